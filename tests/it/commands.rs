//! What the program does beside serving: it copies a database, and asks a server how it is.

use std::path::Path;
use std::process::Output;

use base64::Engine as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Api, Home, Process, beside, database, database_url, fresh_id, recounted_in};

const UPLOAD: &str = "/v1/private/attachment/upload";
const DELETE: &str = "/v1/private/attachment/delete";

/// What was acknowledged: a span, and the content of its file.
struct Acknowledged {
    id: String,
    content: String,
}

/// Creates a span with a file.
async fn write(api: &Api, number: usize) -> Acknowledged {
    let id = fresh_id();
    let body = json!({"id": id, "project_name": "p", "start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(2_000)});
    api.post("/v1/private/spans", &body).await.expect(201);
    let content = format!("content {number}");
    let query = [("file_name", "f.txt"), ("entity_type", "span"), ("entity_id", &id), ("project_name", "p")];
    api.send(api.request("PUT", UPLOAD).query(&query).body(content.clone())).await.expect(204);
    Acknowledged { id, content }
}

async fn project(api: &Api) -> String {
    let answer = api.post("/v1/private/projects/retrieve", &json!({"name": "p"})).await.expect(200);
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// What a server has of a file: its content, or none.
async fn content(api: &Api, project: &str, id: &str) -> Option<String> {
    let path = base64::engine::general_purpose::STANDARD.encode(format!("{}/api", api.base));
    let query = [("project_id", project), ("entity_type", "span"), ("entity_id", id), ("path", path.as_str())];
    let list = api.request("GET", "/v1/private/attachment/list").query(&query);
    let list = api.send(list).await.expect(200).json();
    let link = list["content"].as_array().unwrap().first()?["link"].as_str().unwrap().to_owned();
    Some(api.get(link.strip_prefix(&api.base).unwrap()).await.expect(200).text())
}

fn back_up(from: &Path, to: &Path) -> Output {
    Process::run(&["backup", "--database", &database_url(from), to.to_str().unwrap()], &[])
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_made_under_load_has_all_that_was_acknowledged_before() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let process = Process::on_disk(folder.path());
    let mut before = Vec::new();
    for number in 0..30 {
        before.push(write(&process.api, number).await);
    }
    let copy = database(copies.path());
    let making = {
        let (folder, copy) = (folder.path().to_owned(), copy.clone());
        tokio::task::spawn_blocking(move || back_up(&folder, &copy))
    };
    // Meanwhile files come, and go at once.
    let mut number = 30;
    let project_id = project(&process.api).await;
    while !making.is_finished() {
        let written = write(&process.api, number).await;
        let body = json!({"file_names": ["f.txt"], "entity_type": "span", "entity_id": written.id,
            "container_id": project_id});
        process.api.post(DELETE, &body).await.expect(204);
        number += 1;
    }
    let output = making.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let line = said(&output.stdout);
    assert!(line.lines().count() == 1 && line.contains("spandrel.db") && line.contains("attachments"), "{line}");
    assert!(number > 30, "nothing was written meanwhile");

    // The copy is a database like the other.
    let kept = std::fs::read_dir(beside(&copy, "-files")).unwrap().count();
    let mut served = Process::on_disk(copies.path());
    for Acknowledged { id, content: sent } in &before {
        served.api.span(id).await;
        assert_eq!(content(&served.api, &project_id, id).await.as_ref(), Some(sent));
    }
    let mut contents: Vec<Value> = Vec::new();
    let listed = served.api.get("/v1/private/spans?project_name=p&size=10000").await.expect(200).json();
    for span in listed["content"].as_array().unwrap() {
        contents.extend(content(&served.api, &project_id, span["id"].as_str().unwrap()).await.map(Value::from));
    }
    assert_eq!(contents.len(), kept, "contents and files are not the same");
    served.signal(Signal::SIGTERM);
    assert!(served.wait().success());
    recounted_in(&Home::in_file(copies));
}

#[tokio::test]
async fn a_copy_overwrites_nothing_and_leaves_nothing_when_it_fails() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let process = Process::on_disk(folder.path());
    write(&process.api, 0).await;
    let copy = database(copies.path());
    for taken in [copy.clone(), beside(&copy, "-files"), beside(&copy, "-wal")] {
        std::fs::write(&taken, "of somebody").unwrap();
        let output = back_up(folder.path(), &copy);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let message = said(&output.stderr);
        assert!(message.contains(&format!("{} exists", taken.display())), "{message}");
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "of somebody");
        std::fs::remove_file(taken).unwrap();
    }
    // A content that is not what it was.
    let files = beside(&database(folder.path()), "-files");
    let content = std::fs::read_dir(files).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_file());
    std::fs::write(content.unwrap(), "damaged").unwrap();
    let output = back_up(folder.path(), &copy);
    assert!(output.status.code() == Some(1) && said(&output.stderr).contains("is damaged"), "{output:?}");
    // No database at all.
    let output = back_up(&folder.path().join("none"), &copy);
    assert!(output.status.code() == Some(1) && said(&output.stderr).contains("no such database"), "{output:?}");
    assert!(!folder.path().join("none").exists());
    assert_eq!(std::fs::read_dir(copies.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_copy_of_a_database_that_nobody_serves_takes_the_place_of_what_a_killed_one_left() {
    let (folder, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut process = Process::on_disk(folder.path());
    let written = write(&process.api, 0).await;
    process.signal(Signal::SIGKILL);
    process.wait();
    let copy = database(copies.path());
    std::fs::write(beside(&copy, ".partial"), "half").unwrap();
    std::fs::create_dir(beside(&copy, "-files.partial")).unwrap();
    std::fs::write(beside(&copy, "-files.partial").join("half"), "half").unwrap();
    let output = back_up(folder.path(), &copy);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_dir(copies.path()).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(beside(&copy, "-files")).unwrap().count(), 1);
    let served = Process::on_disk(copies.path());
    served.api.span(&written.id).await;
}

/// Asks by these arguments; the exit code, and the line.
#[track_caller]
fn ask(arguments: &[&str]) -> (i32, String) {
    let output = Process::run(&[&["healthcheck"], arguments].concat(), &[]);
    let line = format!("{}{}", said(&output.stdout), said(&output.stderr));
    assert_eq!(line.lines().count(), 1, "{line}");
    (output.status.code().unwrap(), line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthcheck_says_how_a_server_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::on_disk(folder.path());
    let base = process.api.base.clone();
    let listen = base.trim_start_matches("http://");
    for arguments in [&[base.as_str()][..], &["--listen", listen], &["--alive", &base], &[&format!("{base}/api/")]] {
        let (code, line) = ask(arguments);
        assert!(code == 0 && line.contains("answers 200"), "{line}");
    }
    // It is there, but has nothing of the sort.
    let (code, line) = ask(&[&format!("{base}/elsewhere")]);
    assert!(code == 1 && line.contains("answers 404"), "{line}");
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    let (code, line) = ask(&[&base]);
    assert!(code == 1 && line.contains(&format!("{base}/health does not answer")), "{line}");
    let (code, line) = ask(&["--listen", "127.0.0.1:0"]);
    assert!(code == 1 && line.contains("any free port"), "{line}");
    let (code, line) = ask(&["https://localhost"]);
    assert!(code == 1 && line.contains("only http://"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_store_is_alive_and_not_well() {
    let folder = tempfile::tempdir().unwrap();
    let url = database_url(folder.path());
    let process = Process::start(folder.path(), &["--database", &url, "--database-bytes-max", "1"]);
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(1 << 20)});
    process.api.post("/v1/private/spans", &body).await.expect(429);
    let (code, line) = ask(&[&process.api.base]);
    assert!(code == 1 && line.contains("answers 503"), "{line}");
    let (code, line) = ask(&["--alive", &process.api.base]);
    assert!(code == 0 && line.contains("answers 200"), "{line}");
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let (code, line) = ask(&["--seconds-max", "1", &base]);
    assert!(code == 1 && line.contains("within 1 s"), "{line}");
}
