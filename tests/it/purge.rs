//! Big traces are gone at once, and removed piece by piece.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Api, Home, Process, Server, fresh_id, recounted, wait_for};

const BATCH: &str = "/v1/private/spans/batch";

/// More than a transaction deletes itself.
const SPANS: usize = 2_500;

/// A trace with many spans, of which the first has a score and a comment; returns the spans' ids.
async fn big_trace(api: &Api, trace: &str) -> Vec<String> {
    let body = json!({"id": trace, "start_time": "2024-01-15T09:30:00Z", "project_name": "p"});
    api.post("/v1/private/traces", &body).await.expect(201);
    let ids: Vec<String> = (0..SPANS).map(|_| fresh_id()).collect();
    for ids in ids.chunks(1_000) {
        let span = |id: &String| {
            json!({"id": id, "trace_id": trace, "project_name": "p", "start_time": "2024-01-15T09:30:00Z", "type": "llm",
                "usage": {"total_tokens": 3}, "input": "x".repeat(500)})
        };
        api.post(BATCH, &json!({"spans": ids.iter().map(span).collect::<Vec<_>>()})).await.expect(204);
    }
    let first = format!("/v1/private/spans/{}", ids[0]);
    api.post(&format!("{first}/comments"), &json!({"text": "x"})).await.expect(201);
    let score = json!({"name": "q", "value": 1, "source": "ui"}).to_string();
    api.raw("PUT", &format!("{first}/feedback-scores"), score).await.expect(204);
    ids
}

async fn delete(api: &Api, trace: &str) {
    api.send(api.request("DELETE", &format!("/v1/private/traces/{trace}"))).await.expect(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_big_trace_is_gone_at_once_for_every_reader_and_writer() {
    let server = Server::start().await;
    let (trace, other) = (fresh_id(), fresh_id());
    let ids = big_trace(&server.api, &trace).await;
    let kept = json!({"trace_id": other, "project_name": "p", "start_time": "2024-01-15T09:30:00Z", "name": "kept"});
    let kept = server.api.create(&kept).await;
    let shown = server.api.get(&format!("/v1/private/traces/{trace}")).await.expect(200).json();
    assert_eq!((&shown["span_count"], &shown["usage"]["total_tokens"]), (&json!(SPANS), &json!(3 * SPANS)));

    delete(&server.api, &trace).await;
    // Whether they are removed by now or not.
    server.api.get(&format!("/v1/private/traces/{trace}")).await.expect(404);
    server.api.get(&format!("/v1/private/spans/{}", ids[SPANS - 1])).await.expect(404);
    let list = server.api.get("/v1/private/spans?project_name=p&size=5000").await.expect(200).json();
    assert_eq!((&list["total"], &list["size"]), (&json!(1), &json!(1)), "{list}");
    let filtered = "/v1/private/spans?project_name=p&filters=%5B%7B%22field%22%3A%22type%22%2C%22operator%22%3A%22%3D%22%2C%22value%22%3A%22llm%22%7D%5D";
    assert_eq!(server.api.get(filtered).await.expect(200).json()["total"], 0);
    let stats = server.api.get("/v1/private/spans/stats?project_name=p").await.expect(200).json();
    assert_eq!(stats["stats"][0]["value"], 1, "{stats}");
    let lines = server.api.post("/v1/private/spans/search", &json!({"project_name": "p"})).await.expect(200);
    assert_eq!(lines.text().lines().count(), 1);
    let last = format!("/v1/private/spans/{}", ids[SPANS - 1]);
    let score = json!({"name": "q", "value": 1, "source": "ui"}).to_string();
    server.api.raw("PUT", &format!("{last}/feedback-scores"), score).await.expect(404);

    // What is written again is new.
    let again = json!({"id": ids[1], "trace_id": trace, "project_name": "p", "start_time": "2025-01-15T09:30:00Z"});
    server.api.create(&again).await;
    let span: Value = server.api.span(&ids[1]).await;
    assert_eq!((span.get("input"), &span["start_time"]), (None, &json!("2025-01-15T09:30:00Z")), "{span}");
    server
        .api
        .post("/v1/private/traces", &json!({"id": trace, "project_name": "p", "start_time": "2025-01-15T09:30:00Z"}))
        .await
        .expect(201);
    let shown = server.api.get(&format!("/v1/private/traces/{trace}")).await.expect(200).json();
    assert_eq!((&shown["span_count"], shown.get("span_feedback_scores")), (&json!(1), None), "{shown}");

    recounted(&server);
    for (table, left) in [("spans", 2), ("span_payloads", 0), ("scores", 0), ("comments", 0), ("trace_sums", 2)] {
        assert_eq!(server.home.rows(table), left, "{table}");
    }
    server.api.span(&kept).await;
    server.api.span(&ids[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_did_not_remove_is_gone_all_the_same_and_removed_by_the_next() {
    let home = Home::new();
    let mut process = Process::on(&home);
    let trace = fresh_id();
    let ids = big_trace(&process.api, &trace).await;
    delete(&process.api, &trace).await;
    process.signal(Signal::SIGKILL);
    process.wait();

    let process = Process::on(&home);
    process.api.get(&format!("/v1/private/spans/{}", ids[SPANS - 1])).await.expect(404);
    assert_eq!(process.api.get("/v1/private/spans?project_name=p").await.expect(200).json()["total"], 0);
    wait_for(|| (home.rows("purges") == 0).then_some(()));
    for table in ["spans", "span_payloads", "scores", "comments"] {
        assert_eq!(home.rows(table), 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_a_deleted_project_is_removed_and_nothing_else() {
    let server = Server::start().await;
    let api = &server.api;
    let trace = fresh_id();
    big_trace(api, &trace).await;
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "thread_id": "talk"});
    let second = api.create_trace(&body).await;
    let score = json!({"name": "q", "value": 1, "source": "ui"}).to_string();
    api.raw("PUT", &format!("/v1/private/traces/{second}/feedback-scores"), score).await.expect(204);
    let scores =
        json!({"scores": [{"thread_id": "talk", "project_name": "p", "name": "q", "value": 1, "source": "sdk"}]});
    api.put("/v1/private/traces/threads/feedback-scores", &scores).await.expect(204);
    let kept = json!({"trace_id": trace, "project_name": "other", "start_time": "2024-01-15T09:30:00Z"});
    let kept = api.create(&kept).await;

    let project = api.post("/v1/private/projects/retrieve", &json!({"name": "p"})).await.expect(200).json();
    let project = format!("/v1/private/projects/{}", project["id"].as_str().unwrap());
    api.raw("DELETE", &project, String::new()).await.expect(204);
    wait_for(|| (server.home.rows("project_purges") == 0).then_some(()));
    for (table, left) in [
        ("spans", 1),
        ("span_payloads", 0),
        ("traces", 0),
        ("trace_payloads", 0),
        ("threads", 0),
        ("trace_sums", 1),
        ("scores", 0),
        ("comments", 0),
        ("projects WHERE deleted_at IS NOT NULL AND name = '' AND description IS NULL", 1),
    ] {
        assert_eq!(server.home.rows(table), left, "{table}");
    }
    api.span(&kept).await;
    recounted(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_removed_is_removed_after_the_next_write() {
    let server = Server::start().await;
    let api = &server.api;
    let trace = fresh_id();
    big_trace(api, &trace).await;
    let last = server.home.number("SELECT max(key) FROM spans");
    server.home.spoil("DELETE", "spans", &format!("old.key = {last}"));
    delete(api, &trace).await;
    // All but the last piece.
    wait_for(|| (server.home.rows("spans") <= 200).then_some(()));
    let other = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "other"});
    api.create(&other).await;
    assert_eq!(server.home.rows("purges"), 1);
    server.home.unspoil("spans");
    api.create(&other).await;
    wait_for(|| (server.home.rows("purges") == 0).then_some(()));
    assert_eq!(server.home.rows("spans"), 2);
    recounted(&server);
}
