//! Deleting spans, and updating many.

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, recounted};

const BATCH: &str = "/v1/private/spans/batch";

fn path(id: &str) -> String {
    format!("/v1/private/spans/{id}")
}

async fn delete(server: &Server, id: &str) {
    server.api.send(server.api.request("DELETE", &path(id))).await.expect(204);
}

async fn span(server: &Server, tags: &[&str]) -> String {
    server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "name": "n", "tags": tags, "input": "x"})).await
}

#[tokio::test]
async fn a_deleted_span_is_gone_with_all_that_belongs_to_it() {
    let server = Server::start().await;
    let (id, other) = (span(&server, &[]).await, span(&server, &[]).await);
    for id in [&id, &other] {
        server.api.post(&format!("{}/comments", path(id)), &json!({"text": "x"})).await.expect(201);
        let score = json!({"name": "q", "value": 1, "source": "ui"}).to_string();
        server.api.raw("PUT", &format!("{}/feedback-scores", path(id)), score).await.expect(204);
    }
    delete(&server, &id).await;
    server.api.get(&path(&id)).await.expect(404);
    delete(&server, &id).await;
    delete(&server, "any-text").await;
    assert_eq!(server.api.get("/v1/private/spans?project_name=p").await.json()["total"], 1);
    for table in ["spans", "span_payloads", "scores", "comments"] {
        assert_eq!(server.home.rows(table), 1, "{table}");
    }
    recounted(&server);

    server.api.create(&json!({"id": id, "start_time": "2025-01-15T09:30:00Z", "project_name": "q"})).await;
    let again = server.api.span(&id).await;
    assert_eq!(
        (&again["project_name"], again.get("name"), again.get("comments"), again.get("feedback_scores")),
        (&json!("q"), None, None, None)
    );
    recounted(&server);
}

#[tokio::test]
async fn many_spans_are_updated_alike() {
    let server = Server::start().await;
    let ids = [span(&server, &["a"]).await, span(&server, &["b"]).await];
    let unknown = fresh_id();
    let all = json!([ids[0], ids[1], unknown, ids[0]]);
    let other = fresh_id();
    for (update, member, wanted) in [
        (json!({"name": "new"}), "name", json!("new")),
        (json!({"type": "tool"}), "type", json!("tool")),
        (json!({"input": null}), "input", Value::Null),
        (json!({"output": {"a": 1}}), "output", json!({"a": 1})),
        (json!({"metadata": {"k": 1}}), "metadata", json!({"k": 1})),
        (json!({"usage": {"t": 1}}), "usage", json!({"t": 1})),
        (json!({"source": "evaluator"}), "source", json!("evaluator")),
        (json!({"environment": "prod"}), "environment", json!("prod")),
        (json!({"total_estimated_cost": 1.5}), "total_estimated_cost", json!(1.5)),
        (json!({"ttft": 3}), "ttft", json!(3.0)),
        (json!({"end_time": "2024-01-15T09:31:00Z"}), "end_time", json!("2024-01-15T09:31:00Z")),
        (json!({"project_name": "elsewhere", "parent_span_id": other}), "project_name", json!("p")),
    ] {
        let mut update = update;
        update["trace_id"] = json!(other);
        server.api.patch(BATCH, &json!({"ids": all, "update": update})).await.expect(204);
        for id in &ids {
            assert_eq!(server.api.span(id).await[member], wanted, "{member}");
        }
    }
    server.api.get(&path(&unknown)).await.expect(404);
    recounted(&server);
}

#[tokio::test]
async fn tags_of_many_spans_are_replaced_joined_or_edited() {
    let server = Server::start().await;
    let trace = fresh_id();
    for (update, merge, wanted) in [
        (json!({"tags": ["x"]}), json!(false), [json!(["x"]), json!(["x"])]),
        (json!({"tags": ["x", "a"]}), json!(true), [json!(["a", "x"]), json!(["b", "x", "a"])]),
        (json!({"tags": []}), json!(null), [Value::Null, Value::Null]),
        (
            json!({"tags": ["no"], "tags_to_add": ["y"], "tags_to_remove": ["a", "y"]}),
            json!(true),
            [json!(["y"]), json!(["b", "y"])],
        ),
    ] {
        let ids = [span(&server, &["a"]).await, span(&server, &["b"]).await];
        let mut update = update;
        update["trace_id"] = json!(trace);
        server.api.patch(BATCH, &json!({"ids": ids, "update": update, "merge_tags": merge})).await.expect(204);
        for (id, wanted) in ids.iter().zip(&wanted) {
            assert_eq!(&server.api.span(id).await["tags"], wanted, "{update}");
        }
    }
}

#[tokio::test]
async fn one_span_with_too_many_tags_refuses_the_change_of_all() {
    let server = Server::start().await;
    let many: Vec<String> = (0..45).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let ids = [span(&server, &["a"]).await, span(&server, &many).await];
    let update = json!({"trace_id": fresh_id(), "name": "no", "tags": ["u", "v", "w", "x", "y", "z"]});
    let answer = server.api.patch(BATCH, &json!({"ids": ids, "update": update, "merge_tags": true})).await.expect(422);
    assert_eq!(answer.errors(), ["Tag limit exceeded: maximum 50 tags per item"]);
    for id in &ids {
        assert_eq!(server.api.span(id).await["name"], "n");
    }
}

#[tokio::test]
async fn rules_of_updates_of_many_are_told_in_the_originals_words() {
    let server = Server::start().await;
    let update = json!({"trace_id": fresh_id()});
    let thousand: Vec<String> = (0..1_001).map(|_| fresh_id()).collect();
    for (body, wanted) in [
        (json!({"update": update}), vec!["ids must not be null"]),
        (json!({"ids": [], "update": update}), vec!["ids must not be empty", "ids size must be between 1 and 1000"]),
        (json!({"ids": thousand, "update": update}), vec!["ids size must be between 1 and 1000"]),
        (json!({"ids": [fresh_id()]}), vec!["update must not be null"]),
        (json!({"ids": [fresh_id()], "update": {}}), vec!["update.traceId must not be null"]),
        (
            json!({"ids": [fresh_id()], "update": {"trace_id": fresh_id(), "tags": [null]}}),
            vec!["update.tags[].<iterable element> must not be null"],
        ),
    ] {
        assert_eq!(server.api.patch(BATCH, &body).await.expect(422).errors(), wanted);
    }
    server.api.patch(BATCH, &json!({"ids": ["x"], "update": update})).await.expect(400);
}
