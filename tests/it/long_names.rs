//! Names as long as they may be, which indices have to take: each is told from one that differs in its last letter.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::{Answer, Api, Server, fresh_id};

const START: &str = "2024-01-15T09:30:00Z";

/// A text that cannot be made shorter: databases try.
fn long(chars: usize, letters: std::ops::Range<u32>) -> String {
    let mut rng = StdRng::seed_from_u64(chars as u64);
    (0..chars).map(|_| char::from_u32(rng.random_range(letters.clone())).unwrap()).collect()
}

/// Of the greatest length that a name may have.
fn name() -> String {
    long(19_999, 0x61..0x7b)
}

async fn put_scores(api: &Api, path: &str, scores: Value) -> Answer {
    api.put(&format!("/v1/private/{path}/feedback-scores"), &json!({"scores": scores})).await
}

#[tokio::test]
async fn long_project_names_are_names_like_others() {
    let server = Server::start().await;
    let api = &server.api;
    // Of four bytes each.
    let long = long(999, 0x1_f600..0x1_f640);
    let names = [format!("{long}a"), format!("{long}b")];
    for name in names.iter().chain(&names) {
        api.create(&json!({"start_time": START, "project_name": name})).await;
    }
    for name in &names {
        let found = api.post("/v1/private/projects/retrieve", &json!({"name": name.to_uppercase()})).await.expect(200);
        assert_eq!(found.json()["name"], **name);
        api.post("/v1/private/projects", &json!({"name": name.to_uppercase()})).await.expect(409);
    }
    assert_eq!(api.get("/v1/private/projects").await.expect(200).json()["total"], 3);
}

#[tokio::test]
async fn long_names_of_scores_and_their_authors_are_names_like_others() {
    let server = Server::start().await;
    let api = &server.api;
    let id = api.create(&json!({"start_time": START, "project_name": "p"})).await;
    let (one, other) = (format!("{}a", name()), format!("{}b", name()));
    let score = |name: &str, author: &str, value: i32| json!({"id": id, "name": name, "author": author, "value": value, "source": "sdk"});
    for round in 1..=2 {
        let scores = [score(&one, &one, round), score(&one, &other, 3 * round), score(&other, &one, 5)];
        put_scores(api, "spans", json!(scores)).await.expect(204);
    }
    let span = api.span(&id).await;
    let mut scores = span["feedback_scores"].as_array().unwrap().clone();
    scores.sort_unstable_by_key(|score| score["name"].to_string());
    assert_eq!(scores.len(), 2);
    assert_eq!((&scores[0]["name"], &scores[0]["value"]), (&json!(one), &json!(4)));
    assert_eq!(scores[0]["value_by_author"].as_object().unwrap().len(), 2);
    assert_eq!((&scores[1]["name"], &scores[1]["value"]), (&json!(other), &json!(5)));
    let gone = json!({"name": one, "author": one});
    api.post(&format!("/v1/private/spans/{id}/feedback-scores/delete"), &gone).await.expect(204);
    assert_eq!(server.home.rows("scores"), 2);
}

#[tokio::test]
async fn long_names_of_threads_are_names_like_others() {
    let server = Server::start().await;
    let api = &server.api;
    let names = [format!("{}a", name()), format!("{}b", name())];
    for name in names.iter().chain(&names) {
        api.create_trace(&json!({"start_time": START, "project_name": "p", "thread_id": name})).await;
    }
    let scores: Vec<Value> = names
        .iter()
        .map(|name| json!({"thread_id": name, "project_name": "p", "name": name, "value": 1, "source": "sdk"}))
        .collect();
    put_scores(api, "traces/threads", json!(scores)).await.expect(204);
    api.put("/v1/private/traces/threads/close", &json!({"project_name": "p", "thread_ids": names})).await.expect(204);
    let retrieve = json!({"project_name": "p", "thread_id": names[0]});
    let thread = api.post("/v1/private/traces/threads/retrieve", &retrieve).await.expect(200).json();
    assert_eq!((&thread["status"], &thread["number_of_messages"]), (&json!("inactive"), &json!(4)));
    assert_eq!((server.home.rows("threads"), server.home.rows("scores")), (2, 2));
}

#[tokio::test]
async fn long_names_of_attachments_and_definitions_are_names_like_others() {
    let server = Server::start().await;
    let api = &server.api;
    // An address has no room for more.
    let long = long(5_000, 0x61..0x7b);
    let (names, trace) = ([format!("{long}a"), format!("{long}b")], fresh_id());
    for name in names.iter().chain(&names) {
        let query = [("file_name", &**name), ("entity_type", "trace"), ("entity_id", &trace), ("project_name", "p")];
        let request = api.request("PUT", "/v1/private/attachment/upload").query(&query).body(name.clone());
        api.send(request).await.expect(204);
    }
    assert_eq!(server.home.rows("attachments"), 2);
    for (name, status) in names.iter().map(|name| (name, 201)).chain([(&names[0].to_uppercase(), 409)]) {
        let details = json!({"min": 0, "max": 1});
        let definition = json!({"name": name, "type": "numerical", "details": details});
        api.post("/v1/private/feedback-definitions", &definition).await.expect(status);
    }
}
