//! The suite in `tests/it` once more, on PostgreSQL: the same program, told to take another store. Says what it did not
//! run.
//!
//! Arguments are those of any test program, such as names to run only some. With `--cluster`, it only starts a PostgreSQL
//! for other programs: it prints its URL, does what standard input says, `stop` or `start`, prints each when it is done,
//! and removes it at the end of standard input.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

#[path = "it/support/cluster.rs"]
mod cluster;
#[expect(dead_code, reason = "whether it is there is all that is asked")]
#[path = "it/support/pooler.rs"]
mod pooler;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use serde_json::Value;

/// What is not run again, by parts of names, and why.
const NOT_AGAIN: [(&str, &str); 14] = [
    ("attachments::a_file_that_is_too_large", "the folder beside SQLite's file"),
    ("attachments::a_file_whose_row_cannot_be_written", "the folder beside SQLite's file"),
    ("attachments::an_upload_that_breaks_off", "the folder beside SQLite's file"),
    ("attachments::what_was_acknowledged_is_read_after_a_kill", "the folder beside SQLite's file"),
    ("commands::", "the copy of SQLite's file"),
    ("document::", "no store is behind it"),
    ("durability::", "SQLite's file and journal; postgres::faults is the other half"),
    ("lists::a_query_may_not_take_longer", "no time at all is too little for every statement there"),
    ("lifecycle::", "SQLite's file, or no store is behind it"),
    ("pressure::a_database_at_its_size_limit", "--database-bytes-max is SQLite's"),
    ("pressure::the_journal_stays_small", "SQLite's journal"),
    ("support::", "no store is behind it"),
    ("tidy::", "no store is behind it"),
    ("upgrades::", "SQLite's migrations"),
];

/// What needs clusters of its own, and not only a database.
const CLUSTERS: [&str; 4] = ["postgres::clusters::", POOLER, "postgres::privileges::", "postgres::tls::"];

/// What needs PgBouncer as well.
const POOLER: &str = "postgres::pooler::";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(reason) = missing() {
        println!("\nPostgreSQL: NOT RUN. The suite ran on SQLite alone: {reason}.");
        println!("To run it on PostgreSQL too, install postgresql, or set TEST_DATABASE_URL.\n");
        // Where everything is to be run, this is a failure.
        let complete = std::env::var_os("SPANDREL_TESTS_COMPLETE").is_some();
        return if complete { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    if arguments == ["--cluster"] {
        keep_cluster();
        return ExitCode::SUCCESS;
    }
    let suite = suite();
    check_names(&suite);
    println!("\nPostgreSQL: the same tests, but for");
    for (name, why) in NOT_AGAIN {
        println!("  {name:<60} {why}");
    }
    let mut skipped: Vec<&str> = NOT_AGAIN.iter().map(|(name, _)| *name).collect();
    let not_run: Vec<(&str, String)> = match (cluster::programs(), pooler::program()) {
        (Err(reason), _) => CLUSTERS.map(|name| (name, reason.clone())).into(),
        (Ok(_), Err(reason)) => vec![(POOLER, reason)],
        (Ok(_), Ok(_)) => Vec::new(),
    };
    for (name, reason) in &not_run {
        println!("  {name:<60} NOT RUN: {reason}");
        skipped.push(name);
    }
    if !not_run.is_empty() && std::env::var_os("SPANDREL_TESTS_COMPLETE").is_some() {
        return ExitCode::FAILURE;
    }
    let skipped: Vec<OsString> = skipped.iter().flat_map(|name| ["--skip", name]).map(OsString::from).collect();
    let (done, failed) = run(&suite, skipped.into_iter().chain(arguments));
    if done || failed.is_empty() {
        return if done { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    // Many servers and one PostgreSQL on a small machine: some wait longer than they may for what has its time by itself.
    println!("\nOnce more, one by one: {}", failed.join(", "));
    let alone = ["--exact", "--test-threads", "1"].into_iter().map(str::to_owned).chain(failed);
    if run(&suite, alone.map(OsString::from)).0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the suite on PostgreSQL; whether all passed, and what failed.
fn run(suite: &PathBuf, arguments: impl Iterator<Item = OsString>) -> (bool, Vec<String>) {
    let mut command = Command::new(suite);
    command.arg("--include-ignored").args(arguments).env("SPANDREL_TESTS_STORE", "postgres");
    let mut running = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut failed = Vec::new();
    for line in BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok) {
        println!("{line}");
        let name = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"));
        failed.extend(name.map(str::to_owned));
    }
    (running.wait().unwrap().success(), failed)
}

/// Why there is no PostgreSQL.
fn missing() -> Option<String> {
    if std::env::var_os("TEST_DATABASE_URL").is_some() {
        return None;
    }
    cluster::programs().err().map(|reason| format!("TEST_DATABASE_URL is not set, and there are {reason}"))
}

fn keep_cluster() {
    let cluster = cluster::Cluster::start(true, &[]);
    println!("{}", cluster.url(cluster::ROLE, "postgres"));
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match line.as_str() {
            "stop" => cluster.stop("fast"),
            "start" => cluster.begin(),
            other => panic!("{other:?} is neither stop nor start"),
        }
        println!("{line}");
    }
}

/// The program with the suite; cargo knows where it is, and makes it anew if need be.
fn suite() -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--locked", "--no-run", "--quiet", "--test", "it", "--message-format", "json"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What cargo tells its tests of this package, build scripts of others would take for changes.
    let told = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start)) || name == "CARGO_PRIMARY_PACKAGE"
    });
    for name in told {
        command.env_remove(name);
    }
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the suite cannot be made");
    let messages = String::from_utf8(output.stdout).unwrap();
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let made = messages.find(|message| message["target"]["name"] == "it" && message["executable"].is_string());
    made.unwrap()["executable"].as_str().unwrap().into()
}

/// A test that is gone, or has another name, is no reason for anything.
fn check_names(suite: &PathBuf) {
    let listed = Command::new(suite).arg("--list").output().unwrap().stdout;
    let listed = String::from_utf8(listed).unwrap();
    let unknown: Vec<_> = NOT_AGAIN.iter().filter(|(name, _)| !listed.contains(name)).collect();
    assert!(unknown.is_empty(), "there are no such tests: {unknown:?}");
}
