//! The source itself: parts know of each other in one direction only.

use std::collections::BTreeSet;
use std::path::Path;

/// Each part of the crate, and the parts that it may name.
const MAY_NAME: [(&str, &[&str]); 24] = [
    ("model", &[]),
    ("scan", &[]),
    ("json_path", &[]),
    ("like", &[]),
    ("clock", &["model"]),
    ("cost", &["model"]),
    ("filter", &["model", "json_path"]),
    ("record", &["model", "scan"]),
    ("store", &["model", "record", "filter", "clock", "cost", "scan", "json_path", "like", "priority"]),
    ("ingest", &["store"]),
    ("error", &["model", "record", "store", "ingest"]),
    ("api", &["app", "error", "filter", "ingest", "model", "record", "scan", "store"]),
    ("server", &["api", "model"]),
    ("config", &["api", "contract", "healthcheck", "ingest", "model", "parent", "scan", "server", "store"]),
    ("app", &["api", "aside", "clock", "config", "cost", "ingest", "model", "scan", "server", "store"]),
    ("aside", &["priority"]),
    ("priority", &[]),
    ("contract", &[]),
    ("ephemeral", &[]),
    ("healthcheck", &[]),
    ("parent", &[]),
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("main", &[]),
];

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn parts_know_of_each_other_in_one_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the source was not found");
    let named = regex::Regex::new(r"crate::(?:\{([^}]*)\}|(\w+))").unwrap();
    let mut wrong = BTreeSet::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let part = inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        if part == "lib" {
            continue;
        }
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == part) else {
            wrong.insert(format!("{inside}: {part} is in no row of the table"));
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        // What a macro writes as `$crate::…` is the macro's own part.
        for found in named.captures_iter(&text.replace("$crate::", "")) {
            let names = found.get(1).or(found.get(2)).unwrap().as_str();
            for name in names.split(',').map(|name| name.trim().split("::").next().unwrap()) {
                if name != part && !name.is_empty() && !allowed.contains(&name) {
                    wrong.insert(format!("{inside} names {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn layers_keep_to_their_libraries() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let inside = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        for (library, where_it_may_be) in [
            ("sqlx::", "store/"),
            ("rusqlite::", "store/"),
            ("StatusCode", "error.rs api contract/source.rs"),
            ("unsafe ", ""),
        ] {
            let allowed = where_it_may_be.split(' ').any(|start| !start.is_empty() && inside.starts_with(start));
            assert!(allowed || !text.contains(library), "{inside} must not name {library}");
        }
    }
}
