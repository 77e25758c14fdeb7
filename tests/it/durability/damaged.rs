//! A database whose bytes were overwritten: what is damaged is refused loudly, what is not is read and written on.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::noise;
use crate::support::{Api, Process, database, database_url, fresh_id};

const PAGE_BYTES: usize = 8_192;

/// Where pages of a kind are.
const TABLE: &str = "SELECT pageno FROM dbstat WHERE name = 'spans' AND pagetype = 'leaf' ORDER BY pageno";
const INDEX: &str = "SELECT pageno FROM dbstat WHERE name = 'sqlite_autoindex_spans_1' AND pagetype = 'leaf' \
                     ORDER BY path";
const LARGE_VALUE: &str = "SELECT pageno FROM dbstat WHERE pagetype = 'overflow' ORDER BY pageno";

/// A database with many spans, some of them large.
struct Made {
    folder: TempDir,
    spans: Vec<(String, Value)>,
}

#[tokio::test]
async fn a_damaged_page_is_told_and_the_rest_can_be_read_and_written() {
    let made = make().await;
    for (what, pages) in [("table", TABLE), ("index", INDEX), ("large value", LARGE_VALUE)] {
        let page = middle(&database(made.folder.path()), pages);
        for (how, bytes) in [("zeros", vec![0; PAGE_BYTES]), ("garbage", garbage(PAGE_BYTES)), ("begin", garbage(512))]
        {
            println!("{what}, {how}, page {page}");
            let folder = tempfile::tempdir().unwrap();
            overwrite(&made, folder.path(), (page - 1) * PAGE_BYTES, &bytes);
            expect_told(&made, folder.path()).await;
        }
    }
}

#[tokio::test]
async fn a_database_whose_beginning_is_damaged_is_refused_at_the_start() {
    let made = make().await;
    for (at, says) in [(0, "not a database"), (100, "malformed")] {
        let folder = tempfile::tempdir().unwrap();
        overwrite(&made, folder.path(), at, &garbage(512));
        let before = std::fs::read(database(folder.path())).unwrap();
        let url = database_url(folder.path());
        let output = Process::run(&["serve", "--listen", "127.0.0.1:0", "--database", &url], &[]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("cannot open the database") && message.contains(says), "{message}");
        assert!(message.contains(database(folder.path()).to_str().unwrap()), "{message}");
        assert_eq!(std::fs::read(database(folder.path())).unwrap(), before);
    }
}

/// Every span reads as it was written, or the answer says that it is damaged; so do lists. Writes to what is damaged say
/// so too, all others are made.
async fn expect_told(made: &Made, folder: &Path) {
    let log = folder.join("log");
    let runner = ["sh", "-c", r#"exec "$@" 2> "$0""#, log.to_str().unwrap()];
    let mut process = Process::start_under(&runner, folder, &["--database", &database_url(folder)]);
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    for (id, input) in &made.spans {
        let answer = process.api.get(&format!("/v1/private/spans/{id}")).await;
        if answer.status == 200 {
            assert_eq!(answer.json()["input"], *input, "{id}");
            whole.push(id);
        } else {
            assert_eq!((answer.status, damage_told(&answer.json())), (500, true), "{}", answer.text());
            damaged.push(id);
        }
    }
    assert!(!damaged.is_empty() && whole.len() > damaged.len(), "{} of {}", damaged.len(), made.spans.len());
    let update =
        |id: &str| (format!("/v1/private/spans/{id}"), json!({"trace_id": id, "name": "updated", "input": "new"}));
    let (path, body) = update(whole[0]);
    process.api.patch(&path, &body).await.expect(204);
    assert_eq!(process.api.span(whole[0]).await["name"], "updated");
    let new = process.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    process.api.span(&new).await;
    // An update of what cannot be read never makes it something else unnoticed.
    let (path, body) = update(damaged[0]);
    let answer = process.api.patch(&path, &body).await;
    if answer.status == 204 {
        assert_eq!(process.api.span(damaged[0]).await["input"], "new");
    } else {
        assert_eq!((answer.status, damage_told(&answer.json())), (500, true), "{}", answer.text());
    }
    expect_lines(made, &process.api, whole[0]).await;
    process.signal(Signal::SIGTERM);
    process.wait();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("ERROR") && log.contains("the database is damaged"), "{log}");
}

/// A stream has no wrong lines, and tells where it breaks off.
async fn expect_lines(made: &Made, api: &Api, changed: &str) {
    let body = json!({"project_name": "Default Project", "limit": 2_000});
    let answer = api.post("/v1/private/spans/search", &body).await;
    assert!(matches!(answer.status, 200 | 500), "{}", answer.text());
    let text = answer.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, spans) = lines.split_last().unwrap();
    if last.get("code").is_none() {
        // Whatever is damaged is not needed for it.
        assert!(lines.len() > made.spans.len(), "{} lines, and nothing of what is missing", lines.len());
    }
    for (id, input) in made.spans.iter().filter(|(id, _)| id != changed) {
        for span in spans.iter().filter(|span| span["id"] == **id && span["input"] != "new") {
            assert_eq!(span["input"], *input);
        }
    }
}

fn damage_told(error: &Value) -> bool {
    error["message"].as_str().unwrap().contains("The database is damaged")
}

async fn make() -> Made {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::on_disk(folder.path());
    let mut spans: Vec<(String, Value)> = Vec::new();
    for number in 0..1_200_usize {
        // Some do not fit a page, and have others of their own.
        let id = fresh_id();
        let input = noise(&id, if number % 100 == 50 { 60_000 } else { 60 });
        spans.push((id, input.into()));
    }
    let body = |(id, input): &(String, Value)| json!({"id": id, "trace_id": id, "start_time": "2024-01-15T09:30:00Z", "input": input});
    for part in spans.chunks(600) {
        let batch = json!({"spans": part.iter().map(body).collect::<Vec<Value>>()});
        process.api.post("/v1/private/spans/batch", &batch).await.expect(204);
    }
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    // All large ones, and enough of the others to meet every page.
    let mut number = 0;
    spans.retain(|_| {
        number += 1;
        number % 100 == 51 || number % 7 == 0
    });
    Made { folder, spans }
}

/// The page in the middle of these.
fn middle(database: &PathBuf, pages: &str) -> usize {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection.prepare(pages).unwrap();
    let pages: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(pages.len() > 2, "{pages:?}");
    usize::try_from(pages[pages.len() / 2]).unwrap()
}

/// Bytes that mean nothing, the same each time.
fn garbage(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(0).fill_bytes(&mut bytes);
    bytes
}

/// A copy of the database with these bytes in it.
fn overwrite(made: &Made, folder: &Path, at: usize, bytes: &[u8]) {
    let mut file = std::fs::read(database(made.folder.path())).unwrap();
    file[at..][..bytes.len()].copy_from_slice(bytes);
    std::fs::write(database(folder), file).unwrap();
}
