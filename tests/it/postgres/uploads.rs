//! Large files on their way into PostgreSQL, which are in nobody's way.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Api, Home, Process, fresh_id, until, wait_for};

/// More than a commit takes with it.
const BYTES: usize = 5_000_000;

/// Whether somebody waits to write a content.
const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'contents'::regclass";

async fn upload(api: &Api, trace: &str, content: Vec<u8>) -> u16 {
    let query = [("file_name", "large"), ("entity_type", "trace"), ("entity_id", trace), ("project_name", "p")];
    let request = api.request("PUT", "/v1/private/attachment/upload").query(&query).body(content);
    // A server may be killed meanwhile.
    api.try_send(request).await.map_or(0, |answer| answer.status)
}

fn content(first: u8) -> Vec<u8> {
    (first..=u8::MAX).cycle().take(BYTES).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn nobody_waits_for_a_large_file_but_who_sends_it() {
    let home = Home::in_postgres();
    let process = Process::on(&home);
    let api = &process.api;
    let trace = api.create_trace(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
    // No content is written while this is held.
    let held = home.lock("contents IN SHARE MODE");
    let sending = tokio::spawn({
        let (api, trace) = (api.clone(), trace.clone());
        async move { upload(&api, &trace, content(1)).await }
    });
    tokio::task::block_in_place(|| wait_for(|| (home.number(WAITING) == 1).then_some(())));
    for _ in 0..20 {
        let id = api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
        api.span(&id).await;
    }
    assert!(!sending.is_finished());
    drop(held);
    assert_eq!(sending.await.unwrap(), 204);
    assert_eq!(home.number("SELECT sum(length(bytes)) FROM contents"), i64::try_from(BYTES).unwrap());
    // It is there for good, though what arrived is given up after a while.
    home.execute("UPDATE arriving_contents SET since = since - interval '2 hours'");
    api.send(api.request("DELETE", &format!("/v1/private/traces/{}", fresh_id()))).await.expect(204);
    until(async || (home.rows("arriving_contents") == 0).then_some(())).await;
    until(async || (home.rows("loose_contents") == 0).then_some(())).await;
    assert_eq!(home.number("SELECT sum(length(bytes)) FROM contents"), i64::try_from(BYTES).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn what_a_killed_server_was_receiving_is_removed() {
    let home = Home::in_postgres();
    let mut process = Process::on(&home);
    let trace = fresh_id();
    // The content is written, the commit that refers to it never comes.
    let held = home.lock("attachments IN SHARE MODE");
    let sending = tokio::spawn({
        let (api, trace) = (process.api.clone(), trace.clone());
        async move { upload(&api, &trace, content(2)).await }
    });
    until(async || (home.rows("arriving_contents") == 1).then_some(())).await;
    process.signal(Signal::SIGKILL);
    process.wait();
    assert_eq!(sending.await.unwrap(), 0);
    drop(held);
    assert_eq!(home.number("SELECT sum(length(bytes)) FROM contents"), i64::try_from(BYTES).unwrap());

    // Another server may still be about to refer to it.
    let process = Process::on(&home);
    process.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    assert_eq!((home.rows("arriving_contents"), home.rows("attachments")), (1, 0));
    drop(process);
    home.execute("UPDATE arriving_contents SET since = since - interval '2 hours'");
    let _process = Process::on(&home);
    until(async || (home.rows("arriving_contents") + home.rows("contents") == 0).then_some(())).await;
    assert_eq!(home.rows("loose_contents"), 0);
}
