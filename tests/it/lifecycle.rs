//! The program from start to end: what it says, what it leaves behind, and how it fails.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{Process, wait_for};

const BINARY: &str = env!("CARGO_BIN_EXE_spandrel");

#[tokio::test]
async fn the_ready_file_names_the_base_url_while_the_server_answers() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::on_disk(folder.path());
        let ready = folder.path().join("ready");
        assert!(process.api.base.starts_with("http://127.0.0.1:"), "{}", process.api.base);
        process.api.get("/is-alive/ping").await.expect(200);
        assert!(ready.exists());
        process.signal(signal);
        assert!(process.wait().success());
        assert!(!ready.exists());
    }
}

#[tokio::test]
async fn port_0_is_any_free_port() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let processes = folders.each_ref().map(|folder| Process::on_disk(folder.path()));
    let bases: BTreeSet<&str> = processes.iter().map(|process| process.api.base.as_str()).collect();
    assert_eq!(bases.len(), 2, "{bases:?}");
    assert!(bases.iter().all(|base| !base.ends_with(":0")), "{bases:?}");
}

#[tokio::test]
async fn an_ephemeral_server_leaves_nothing_behind() {
    let (home, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut process = ephemeral(home.path(), temporary.path());
    process.api.create(&span()).await;
    assert_eq!(names(temporary.path()).len(), 1);
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    assert_eq!(names(temporary.path()), [""; 0]);
    assert_eq!(names(home.path()), [""; 0]);
}

#[tokio::test]
async fn what_a_killed_ephemeral_server_left_behind_is_removed_by_the_next() {
    let (home, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(temporary.path().join("of another program"), "").unwrap();
    let mut process = ephemeral(home.path(), temporary.path());
    process.api.create(&span()).await;
    process.signal(Signal::SIGKILL);
    process.wait();
    let left = names(temporary.path());
    assert_eq!(left.len(), 2, "{left:?}");
    let mut process = ephemeral(home.path(), temporary.path());
    let names_now = names(temporary.path());
    assert_eq!(names_now.len(), 2, "{names_now:?}");
    assert_ne!(left, names_now);
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    assert_eq!(names(temporary.path()), ["of another program"]);
}

#[tokio::test]
async fn ephemeral_servers_side_by_side_do_not_disturb_each_other() {
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let temporary = tempfile::tempdir().unwrap();
    let first = ephemeral(homes[0].path(), temporary.path());
    let mine = first.api.create(&span()).await;
    let mut second = ephemeral(homes[1].path(), temporary.path());
    second.api.get(&format!("/v1/private/spans/{mine}")).await.expect(404);
    let other = second.api.create(&span()).await;
    first.api.get(&format!("/v1/private/spans/{other}")).await.expect(404);
    second.signal(Signal::SIGTERM);
    assert!(second.wait().success());
    first.api.span(&mine).await;
    first.api.create(&span()).await;
}

#[tokio::test]
async fn a_database_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::on_disk(folder.path());
    let message = failure(&["--listen", "127.0.0.1:0", "--database", &database_url(folder.path())]);
    assert!(message.contains("spandrel.db") && message.contains("another spandrel uses this database"), "{message}");
    process.api.create(&span()).await;
}

#[test]
fn an_unknown_kind_of_database_is_refused() {
    for url in ["mysql://localhost/spandrel", "spandrel.db"] {
        let message = failure(&["--listen", "127.0.0.1:0", "--database", url]);
        assert!(message.contains("unknown kind of database"), "{message}");
        assert!(message.contains("sqlite:PATH"), "{message}");
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let message = failure(&["--listen", &address, "--ephemeral"]);
    assert!(message.contains(&format!("cannot listen on {address}")), "{message}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spandrel.db");
    let text = "Dear diary. ".repeat(1_000);
    std::fs::write(&file, &text).unwrap();
    let message = failure(&["--listen", "127.0.0.1:0", "--database", &database_url(folder.path())]);
    assert!(message.contains(&*file.to_string_lossy()) && message.contains("not a database"), "{message}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_database_is_one_file_that_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::on_disk(folder.path());
    let id = process.api.create(&span()).await;
    let before = process.api.span(&id).await;
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    assert_eq!(names(folder.path()), ["spandrel.db", "spandrel.db.lock"]);

    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("spandrel.db"), elsewhere.path().join("spandrel.db")).unwrap();
    for folder in [&folder, &elsewhere] {
        let process = Process::on_disk(folder.path());
        assert_eq!(process.api.span(&id).await, before);
    }
}

#[tokio::test]
async fn the_folder_of_the_database_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    let process = Process::start(folder.path(), &["--database", &database_url(&deep)]);
    process.api.create(&span()).await;
    assert!(deep.join("spandrel.db").exists());
}

#[tokio::test]
async fn standard_output_names_the_address_the_database_and_the_swagger_ui() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let runner = ["sh", "-c", r#"exec "$@" > "$0""#, file.to_str().unwrap()];
    let process = Process::start_under(&runner, folder.path(), &["--database", &database_url(folder.path())]);
    let out = Process::wait_for_text(&file, "/createSpan\n");
    assert!(out.contains(&format!("Spandrel {} serves {}\n", env!("CARGO_PKG_VERSION"), process.api.base)), "{out}");
    assert!(out.contains(&database_url(folder.path())), "{out}");
    let link = out.split_whitespace().find(|word| word.ends_with("/swagger-ui/#/Spans/createSpan")).unwrap();
    process.api.get(link.strip_prefix(&process.api.base).unwrap()).await.expect(200);
}

#[test]
fn the_printed_document_is_the_committed_one() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml")).unwrap();
    assert!(success(&["openapi"]) == committed, "openapi.yaml is out of date: cargo run -- openapi > openapi.yaml");
    assert!(success(&["openapi", "--format", "yaml"]) == committed);
    let yaml: Value = yaml_serde::from_str(&committed).unwrap();
    let json: Value = serde_json::from_str(&success(&["openapi", "--format", "json"])).unwrap();
    assert_eq!(json, yaml);
    let markdown = success(&["openapi", "--format", "markdown"]);
    assert!(markdown.starts_with("# Spandrel\n") && markdown.contains("\n## Create span\n"), "{markdown}");
}

#[test]
fn help_names_every_setting_with_its_default_and_its_environment_variable() {
    // Flags that need no default: without them there is no such thing.
    let without =
        ["--no-backup", "--ephemeral", "--test-api", "--exit-with-parent", "--ready-file", "--prices", "--ui-dir"];
    let short = settings(&success(&["--help"]));
    let serve = settings(&success(&["serve", "--help"]));
    assert_eq!(short, serve);
    assert!(serve.len() > 20, "{serve:#?}");
    for (flag, text) in &serve {
        let variable = flag.replacen("--", "SPANDREL_", 1).replace('-', "_").to_uppercase();
        assert!(text.contains(&format!("[env: {variable}=")), "{text}");
        assert_eq!(text.contains("[default: "), !without.contains(&flag.as_str()), "{text}");
    }
}

#[test]
fn every_flag_is_in_the_readme() {
    let readme = include_str!("../../README.md");
    let missing: Vec<String> = settings(&success(&["serve", "--help"])).into_iter().map(|(flag, _)| flag).collect();
    let missing: Vec<&String> = missing.iter().filter(|flag| !readme.contains(&format!("`{flag}`"))).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Files that others take over are right, too.
#[test]
fn settings_that_files_for_deployment_name_exist() {
    let known = settings(&success(&["serve", "--help"])).into_iter();
    let known: BTreeSet<String> =
        known.map(|(flag, _)| flag.replacen("--", "SPANDREL_", 1).replace('-', "_").to_uppercase()).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(root.join("docs/deploy")).unwrap().map(|entry| entry.unwrap().path());
    let name = Regex::new("SPANDREL_[A-Z_]+").unwrap();
    let mut found = 0;
    for file in files.chain([root.join("docs/deploy.md")]) {
        let text = std::fs::read_to_string(&file).unwrap();
        for variable in name.find_iter(&text).map(|found| found.as_str()) {
            assert!(known.contains(variable), "{variable} in {}", file.display());
            found += 1;
        }
        if file.extension().is_some_and(|ending| ending == "yaml") {
            for document in text.split("\n---\n") {
                let _: Value = yaml_serde::from_str(document).unwrap();
            }
        }
    }
    assert!(found > 5);
}

#[tokio::test]
async fn settings_can_be_made_by_environment_variables_and_flags_win() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let mut command = Command::new(BINARY);
    command
        .args(["--name-chars-max", "6"])
        .env("SPANDREL_LISTEN", "127.0.0.1:0")
        .env("SPANDREL_DATABASE", database_url(folder.path()))
        .env("SPANDREL_READY_FILE", &ready)
        .env("SPANDREL_NAME_CHARS_MAX", "3")
        .env("SPANDREL_TAGS_MAX", "1")
        .stdout(Stdio::null());
    let process = Process::ready(command.spawn().unwrap(), &ready);
    assert!(folder.path().join("spandrel.db").exists());
    let mut body = span();
    body["tags"] = json!(["a"]);
    body["name"] = json!("123456");
    process.api.create(&body).await;
    body["tags"] = json!(["a", "b"]);
    body["name"] = json!("1234567");
    let refused = process.api.post("/v1/private/spans", &body).await.expect(422);
    assert_eq!(refused.pointers(), ["/name", "/tags"]);
}

#[test]
fn a_setting_without_meaning_is_refused() {
    for arguments in [&["--readers", "0"][..], &["--body-bytes-max", "many"], &["--unknown", "1"], &["unknown"]] {
        let output = Process::run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(arguments[0]), "{output:?}");
    }
    let message = failure_of(&Process::run(&[], &[("SPANDREL_READERS", "0")]));
    assert!(message.contains("--readers"), "{message}");
}

fn span() -> Value {
    json!({"start_time": "2024-01-15T09:30:00Z", "input": {"question": "?"}, "output": "!"})
}

fn database_url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("spandrel.db").display())
}

fn ephemeral(home: &Path, temporary: &Path) -> Process {
    Process::start_under(&["env", &format!("TMPDIR={}", temporary.display())], home, &["--ephemeral"])
}

/// What is in a folder.
fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the program prints when all goes well.
fn success(arguments: &[&str]) -> String {
    let output = Process::run(arguments, &[]);
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

/// What `serve` says when it cannot start.
fn failure(flags: &[&str]) -> String {
    failure_of(&Process::run(&[&["serve"], flags].concat(), &[]))
}

fn failure_of(output: &Output) -> String {
    assert!(output.status.code().is_some_and(|code| code != 0), "{output:?}");
    assert_eq!(text(&output.stdout), "", "errors go to standard error");
    let message = text(&output.stderr);
    assert!(!message.contains("panicked"), "{message}");
    message
}

/// The settings in a help text: each flag, and all that is said of it, on one line.
fn settings(help: &str) -> Vec<(String, String)> {
    let flag = Regex::new(r"(?m)^ +(?:-\w, )?(--[a-z-]+)").unwrap();
    let begins: Vec<_> = flag.captures_iter(help).map(|found| found.get(1).unwrap()).collect();
    let ends = begins.iter().skip(1).map(regex::Match::start).chain([help.len()]);
    let all = begins.iter().zip(ends).map(|(begin, end)| {
        let text: Vec<&str> = help[begin.start()..end].split_whitespace().collect();
        (begin.as_str().to_owned(), text.join(" "))
    });
    all.filter(|(flag, _)| flag != "--help" && flag != "--version").collect()
}

/// Requests that do not end are given up after `--shutdown-seconds-max`.
#[tokio::test]
async fn a_stop_waits_no_longer_for_requests_than_it_was_set_to() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--ephemeral", "--shutdown-seconds-max", "1", "--body-seconds-max", "3600"];
    let mut process = Process::start(folder.path(), &flags);
    let mut wire = process.api.connect();
    wire.head("POST", "/v1/private/spans", &[("Content-Length", "1000"), ("Expect", "100-continue")]);
    wire.wait_for_continue();
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
}

/// A server that takes no more connections still hears that it is to stop.
#[tokio::test]
async fn a_stop_is_heard_while_all_connections_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &["--ephemeral", "--connections-max", "1"]);
    // The client keeps its connection.
    process.api.get("/is-alive/ping").await.expect(200);
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
}

/// A database that is in no file would lose everything, and is refused.
#[test]
fn a_database_that_is_no_file_is_refused() {
    for url in ["sqlite:", "sqlite::memory:", "sqlite:file:x?mode=memory"] {
        let message = failure(&["--listen", "127.0.0.1:0", "--database", url]);
        assert!(message.contains("sqlite:PATH"), "{message}");
    }
}

/// Prices that mean nothing are told before anything is served.
#[test]
fn prices_that_mean_nothing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.json");
    std::fs::write(&file, r#"{"m": {"litellm_provider": "openai", "input_cost_per_token": "x"}}"#).unwrap();
    let message = failure(&["--ephemeral", "--listen", "127.0.0.1:0", "--prices", file.to_str().unwrap()]);
    assert!(message.contains("prices.json: the prices of \"m\""), "{message}");
    std::fs::write(&file, r#"{"m": {"litellm_provider": "nobody", "input_cost_per_token": 1}}"#).unwrap();
    let message = failure(&["--ephemeral", "--listen", "127.0.0.1:0", "--prices", file.to_str().unwrap()]);
    assert!(message.contains("prices.json: no model in it"), "{message}");
}

/// A server that is to end with its parent, started in the background of a shell, whose id is that of `child`.
fn ends_with_parent(home: &Path, temporary: &Path) -> Process {
    let variable = format!("TMPDIR={}", temporary.display());
    let runner = ["env", &variable, "sh", "-c", r#""$@" & wait"#, "sh"];
    Process::start_under(&runner, home, &["--ephemeral", "--exit-with-parent"])
}

#[tokio::test]
async fn a_server_ends_with_its_parent_however_that_ends_and_leaves_nothing_behind() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let (home, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut process = ends_with_parent(home.path(), temporary.path());
        process.api.create(&span()).await;
        process.signal(signal);
        process.wait();
        process.wait_until_closed();
        wait_for(|| names(temporary.path()).is_empty().then_some(()));
        wait_for(|| names(home.path()).is_empty().then_some(()));
    }
}

/// Its parent is a process: the thread that started it may end.
#[tokio::test]
async fn a_server_does_not_end_with_the_thread_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let start = move || Process::start(&path, &["--ephemeral", "--exit-with-parent"]);
    let process = std::thread::spawn(start).join().unwrap();
    for _ in 0..10 {
        process.api.create(&span()).await;
    }
    let mine = format!("--exit-with-parent={}", std::process::id());
    let other = tempfile::tempdir().unwrap();
    let stated = Process::start(other.path(), &["--ephemeral", &mine]);
    stated.api.create(&span()).await;
    process.api.create(&span()).await;
}

#[test]
fn a_server_whose_parent_has_ended_already_ends_at_once() {
    let mut gone = Command::new("true").spawn().unwrap();
    let id = gone.id();
    gone.wait().unwrap();
    let flag = format!("--exit-with-parent={id}");
    success(&["serve", "--ephemeral", "--listen", "127.0.0.1:0", &flag]);
    for id in ["0", "me", ""] {
        let output = Process::run(&["serve", "--ephemeral", &format!("--exit-with-parent={id}")], &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("expected the id of a process"), "{output:?}");
    }
}
