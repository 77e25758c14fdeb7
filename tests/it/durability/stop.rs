//! A server that is told to stop.

use nix::sys::signal::Signal;
use rand::Rng as _;
use rusqlite::Connection;
use serde_json::json;
use tokio::task::JoinSet;

use super::kill::{CLIENTS, check, new_clients, write_until};
use super::seeded;
use crate::support::{Process, database, database_url, fresh_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_keeps_what_it_acknowledged_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seeded();
    let mut clients = new_clients(&mut rng);
    for _ in 0..3 {
        let acknowledged = rng.random_range(50..500);
        let mut process = Process::on_disk(folder.path());
        clients = write_until(&process, clients, acknowledged, Signal::SIGTERM).await;
        assert!(process.wait().success());
        let unanswered;
        (clients, unanswered) = check(&Process::on_disk(folder.path()), folder.path(), clients).await;
        assert_eq!(unanswered, [false; CLIENTS], "stored, but never answered");
    }
}

#[tokio::test]
async fn a_request_that_has_begun_is_answered_by_a_server_that_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::on_disk(folder.path());
    let id = fresh_id();
    let body = json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "input": "late"}).to_string();
    let length = body.len().to_string();
    let mut wire = process.api.connect();
    wire.head("POST", "/v1/private/spans", &[("Content-Length", &length), ("Expect", "100-continue")]);
    wire.wait_for_continue();
    process.signal(Signal::SIGTERM);
    process.wait_until_closed();
    wire.send(body);
    wire.answer().expect(201);
    assert!(process.wait().success());
    let process = Process::on_disk(folder.path());
    assert_eq!(process.api.span(&id).await["input"], "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_wait_when_the_server_is_told_to_stop_are_stored_and_answered() {
    let folder = tempfile::tempdir().unwrap();
    let url = database_url(folder.path());
    let mut process = Process::start(folder.path(), &["--database", &url, "--queue-rows-max", "8"]);
    let held = Connection::open(database(folder.path())).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut sending = JoinSet::new();
    for id in (0..9).map(|_| fresh_id()) {
        let api = process.api.clone();
        let body = json!({"id": id, "start_time": "2024-01-15T09:30:00Z"});
        sending.spawn(async move { (id, api.post("/v1/private/spans", &body).await) });
    }
    // One finds the queue full: the other eight are in it.
    sending.join_next().await.unwrap().unwrap().1.expect(429);
    process.signal(Signal::SIGTERM);
    process.wait_until_closed();
    drop(held);
    let answers = sending.join_all().await;
    assert!(process.wait().success());
    let process = Process::on_disk(folder.path());
    for (id, answer) in answers {
        answer.expect(201);
        process.api.span(&id).await;
    }
}
