//! What the program asked of the system, as `strace` tells it: every write is synced before its answer, and what cannot be
//! synced is not acknowledged.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use nix::sys::signal::Signal;
use regex::Regex;
use serde_json::{Value, json};

use super::client::Client;
use crate::support::{Process, beside, database, database_url, fresh_id, until};

#[tokio::test]
async fn every_write_is_synced_before_its_answer() {
    let Some(trace) = of_writes(30, false).await else { return };
    let (answers, wrong) = unsynced(&trace);
    assert_eq!(answers, 30);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn without_syncing_the_same_check_fails() {
    let Some(trace) = of_writes(10, true).await else { return };
    let (answers, wrong) = unsynced(&trace);
    assert_eq!(answers, 10);
    assert!(wrong.len() >= 10, "{wrong:#?}");
}

#[test]
fn a_sync_counts_only_between_the_write_and_the_answer() {
    let write = r#"1 pwrite64(9</a/spandrel.db-wal>, "\0\"", 2, 24) = 2"#;
    let sync = "1 fsync(9</a/spandrel.db-wal>)   = 0";
    let answer = r#"2 writev(7<socket:[1]>, [{iov_base="HTTP/1.1 201 Created\r\n", iov_len=22}], 1) = 22"#;
    let (begun, ended) = ("1 fsync(9</a/spandrel.db-wal> <unfinished ...>", "1 <... fsync resumed>) = 0");
    for (lines, good) in [
        (vec![write, sync, answer], true),
        (vec![write, sync, answer, write, sync, answer], true),
        (vec![write, begun, r#"2 write(1</dev/null>, "", 0) = 0"#, ended, answer], true),
        (vec![write, answer], false),
        (vec![sync, write, answer], false),
        (vec![write, answer, sync], false),
        (vec![write, begun, answer, ended], false),
        (vec![write, begun, "1 <... fsync resumed>) = -1 EIO (Input/output error)", answer], false),
        (vec![write, "1 fsync(8</a/spandrel.db>) = 0", answer], false),
        (vec![write, sync, answer, answer], false),
        (vec![write, sync, write, answer], false),
    ] {
        assert_eq!(unsynced(&lines.join("\n")).1.is_empty(), good, "{lines:#?}");
    }
}

#[tokio::test]
async fn a_write_whose_sync_fails_is_not_acknowledged() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Made before: that takes syncs, too.
    let mut process = Process::on_disk(folder.path());
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    let journal = beside(&database(folder.path()), "-wal");
    let mut runner = vec!["strace", "-D", "-f", "-o", "/dev/null", "-P", journal.to_str().unwrap()];
    runner.extend(["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=6..7"]);
    let mut process = Process::start_under(&runner, folder.path(), &["--database", &database_url(folder.path())]);
    let mut stored = Vec::new();
    let refused = loop {
        let id = fresh_id();
        let answer = process.api.post("/v1/private/spans", &span(&id)).await;
        if answer.status != 201 {
            answer.expect_try_later("the disk does not read or write");
            break id;
        }
        stored.push(id);
    };
    assert!(!stored.is_empty());
    process.api.get(&format!("/v1/private/spans/{refused}")).await.expect(404);
    until(async || (process.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
    stored.push(process.api.create(&span(&fresh_id())).await);
    process.signal(Signal::SIGKILL);
    process.wait();
    let process = Process::on_disk(folder.path());
    for id in stored {
        process.api.span(&id).await;
    }
}

fn span(id: &str) -> Value {
    json!({"id": id, "start_time": "2024-01-15T09:30:00Z"})
}

fn is_there() -> bool {
    let there = Command::new("strace").arg("-V").output().is_ok();
    if !there {
        assert!(std::env::var_os("SPANDREL_TESTS_COMPLETE").is_none(), "strace is not installed");
        println!("not run: strace is not installed");
    }
    there
}

/// The trace of a server that takes so many writes, one after the other. None where it cannot be had.
async fn of_writes(writes: usize, ephemeral: bool) -> Option<String> {
    if !is_there() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace");
    let mut process = start(folder.path(), &file, ephemeral);
    let mut client = Client::new(0, 1);
    for _ in 0..writes {
        assert!(client.write(&process.api).await.is_some());
    }
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    // The tracer is a process of its own and may be a little behind.
    Some(Process::wait_for_text(&file, &format!("\n{:<5} +++ exited with 0 +++\n", process.child.id())))
}

fn start(folder: &Path, file: &Path, ephemeral: bool) -> Process {
    let temporary = format!("TMPDIR={}", folder.display());
    // With -D the tracer is the child, and signals go to the program.
    let mut runner = vec!["env", &temporary, "strace", "-D", "-f", "-y", "-s", "64", "-o", file.to_str().unwrap()];
    runner.extend(["-e", "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync"]);
    let database = database_url(folder);
    let flags: &[&str] = if ephemeral { &["--ephemeral"] } else { &["--database", &database] };
    Process::start_under(&runner, folder, flags)
}

/// A call that concerns an open file or socket. Times are lines of the trace.
#[derive(Debug)]
struct Call<'a> {
    thread: &'a str,
    name: &'a str,
    target: &'a str,
    line: &'a str,
    begun: usize,
    /// When it succeeded.
    done: Option<usize>,
}

fn calls(trace: &str) -> Vec<Call<'_>> {
    static BEGUN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+) +(\w+)\(\d+<([^>]*)>").unwrap());
    static RESUMED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+) +<\.\.\. (\w+) resumed>").unwrap());
    static DONE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\) += \d+$").unwrap());
    let mut calls: Vec<Call> = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let done = DONE.is_match(line).then_some(at);
        if let Some(found) = BEGUN.captures(line) {
            let [thread, name, target] = found.extract().1;
            calls.push(Call { thread, name, target, line, begun: at, done });
        } else if let Some(found) = RESUMED.captures(line) {
            let [thread, name] = found.extract().1;
            let call = calls.iter_mut().rev().find(|call| call.thread == thread && call.name == name);
            call.unwrap_or_else(|| panic!("never begun: {line}")).done = done;
        }
    }
    calls
}

/// How many writes were answered, and what of them was not on disk then.
fn unsynced(trace: &str) -> (usize, Vec<String>) {
    static ANSWER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""HTTP/1\.1 20[14] "#).unwrap());
    let calls = calls(trace);
    let is_answer = |call: &&Call| call.target.starts_with("socket:") && ANSWER.is_match(call.line);
    let is_sync = |call: &&Call| matches!(call.name, "fsync" | "fdatasync");
    let is_write =
        |call: &&Call| !is_sync(call) && [".db", ".db-wal"].iter().any(|ending| call.target.ends_with(ending));
    let answers: Vec<&Call> = calls.iter().filter(is_answer).collect();
    let mut wrong = Vec::new();
    let mut before = 0;
    for answer in &answers {
        let at = answer.begun;
        let written = |call: &Call| call.done.filter(|done| (before..at).contains(done));
        let writes = calls.iter().filter(is_write).filter_map(|call| Some((call, written(call)?)));
        let writes: Vec<(&Call, usize)> = writes.collect();
        if writes.is_empty() {
            wrong.push(format!("line {at}: nothing was written: {}", answer.line));
        }
        for (write, done) in writes {
            let mut syncs = calls.iter().filter(is_sync).filter(|sync| sync.target == write.target);
            if !syncs.any(|sync| sync.begun > done && sync.done.is_some_and(|done| done < at)) {
                wrong.push(format!("line {at}: not synced: {}", write.line));
            }
        }
        before = at;
    }
    (answers.len(), wrong)
}
