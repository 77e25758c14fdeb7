//! The document held against that of the previous release: what breaks clients is named in `docs/compatibility.md`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check;

/// The title of the part of `docs/compatibility.md` in which such changes are named.
const TITLE: &str = "## Breaking changes since the previous release";

/// The document of the previous release, which is the only one that is kept.
fn previous() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/releases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// A breaking change, as it is named.
fn named(change: &Value) -> String {
    let text = |member: &str| change[member].as_str().unwrap();
    format!("{} {}: {} {}", text("operation"), text("place"), text("what"), text("kind"))
}

/// The changes that a text names: in the part with the title, lines that begin with a name in backquotes and go on with
/// the reason. `*` stands for anything.
fn reasons(text: &str) -> Vec<&str> {
    let part = text.split_once(TITLE).expect("the part about breaking changes").1;
    let part = part.split("\n## ").next().unwrap();
    let lines = part.lines().filter_map(|line| line.strip_prefix("- `"));
    lines
        .map(|line| {
            let (name, reason) = line.split_once("`: ").unwrap_or_else(|| panic!("no reason: {line}"));
            assert!(!reason.trim().is_empty(), "no reason: {line}");
            name
        })
        .collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    let pattern = regex::escape(pattern).replace(r"\*", ".*");
    regex::Regex::new(&format!("^{pattern}$")).unwrap().is_match(name)
}

/// What is not named, and names that nothing needs.
fn judge(broken: &[String], text: &str) -> (Vec<String>, Vec<String>) {
    let named = reasons(text);
    let unnamed = broken.iter().filter(|name| !named.iter().any(|pattern| matches(pattern, name)));
    let idle = named.iter().filter(|pattern| !broken.iter().any(|name| matches(pattern, name)));
    (unnamed.cloned().collect(), idle.map(|pattern| (*pattern).to_owned()).collect())
}

#[test]
fn what_breaks_clients_of_the_previous_release_is_named_with_its_reason() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
    let (_, out, complaint) = check(&[committed, "--against", previous().to_str().unwrap(), "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{complaint}"));
    let changes = report["changes"].as_array().unwrap();
    let broken: Vec<String> = changes.iter().filter(|change| change["breaking"] == true).map(named).collect();
    let (unnamed, idle) = judge(&broken, include_str!("../../../docs/compatibility.md"));
    assert!(unnamed.is_empty(), "this breaks clients; if it must, name it in docs/compatibility.md: {unnamed:#?}");
    assert!(idle.is_empty(), "docs/compatibility.md names what is not broken: {idle:#?}");
}

#[test]
fn a_breaking_change_needs_a_line_and_a_line_needs_a_breaking_change() {
    let broken = ["a request: body missing", "b response 404: response missing"].map(str::to_owned);
    let text = |lines: &str| format!("# Title\n\n{TITLE}\n\nWords.\n\n{lines}\n## Next\n\n- `c`: d\n");
    let none: Vec<String> = Vec::new();
    assert_eq!(
        judge(&broken, &text("- `a request: body missing`: why\n- `* response 404: *`: why\n")),
        (none.clone(), none.clone())
    );
    assert_eq!(judge(&broken, &text("- `b *`: why\n")), (vec![broken[0].clone()], none));
    assert_eq!(judge(&[], &text("- `b *`: why\n")), (Vec::new(), vec!["b *".to_owned()]));
}
