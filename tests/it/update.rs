//! Updating spans, before and after they are created.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, orders, recounted};

const SPANS: &str = "/v1/private/spans";
const TRACE: &str = "01a20204-c23a-7bad-84c4-1aba08155ea5";

fn path(id: &str) -> String {
    format!("{SPANS}/{id}")
}

async fn update(server: &Server, id: &str, mut body: Value) {
    body["trace_id"] = json!(TRACE);
    server.api.patch(&path(id), &body).await.expect(204);
}

fn create(id: &str) -> Value {
    json!({"id": id, "trace_id": TRACE, "start_time": "2024-01-15T09:30:00Z", "name": "created", "type": "tool",
        "input": {"q": 1}, "output": {"a": 1}, "metadata": {"k": 1}, "model": "m", "tags": ["a"], "usage": {"t": 1},
        "total_estimated_cost": 1.5, "environment": "prod", "source": "sdk", "ttft": 1.0})
}

#[tokio::test]
async fn a_span_that_was_only_updated_is_there_and_is_completed_later() {
    let server = Server::start().await;
    let id = fresh_id();
    update(&server, &id, json!({"end_time": "2024-01-15T09:30:05Z", "output": {"z": 1}})).await;
    let partial = server.api.span(&id).await;
    assert_eq!(partial["start_time"], "1970-01-01T00:00:00Z");
    assert!(partial.get("duration").is_none());
    server.api.create(&create(&id)).await;
    let whole = server.api.span(&id).await;
    assert_eq!(whole["start_time"], "2024-01-15T09:30:00Z");
    assert_eq!(
        (&whole["output"], &whole["duration"], &whole["name"]),
        (&json!({"z": 1}), &json!(5000.0), &json!("created"))
    );
    assert_eq!(whole["created_at"], partial["created_at"]);
    recounted(&server);
}

/// Each member alone: what an update states, what it then is, before and after the create.
#[tokio::test]
async fn what_an_update_states_stands_whichever_comes_first() {
    let server = Server::start().await;
    let none = Value::Null;
    for (member, stated, wanted) in [
        ("name", json!("updated"), json!("updated")),
        ("name", json!(" "), json!("created")),
        ("type", json!("llm"), json!("llm")),
        ("end_time", json!("2024-01-15T09:31:00Z"), json!("2024-01-15T09:31:00Z")),
        ("input", json!([1]), json!([1])),
        ("input", none.clone(), none.clone()),
        ("output", json!("text"), json!("text")),
        ("metadata", json!({}), json!({})),
        ("metadata", none.clone(), none.clone()),
        ("model", json!("other"), json!("other")),
        ("model", json!(""), json!("m")),
        ("provider", json!("p"), json!("p")),
        ("tags", json!(["b", "a", "b"]), json!(["b", "a"])),
        ("tags", json!([]), none.clone()),
        ("usage", json!({"x": 2.5}), json!({"x": 2})),
        ("usage", json!({}), none.clone()),
        ("total_estimated_cost", json!(0.25), json!(0.25)),
        ("total_estimated_cost", json!(0), none.clone()),
        (
            "error_info",
            json!({"message": "m"}),
            json!({"exception_type": "Error", "message": "m", "traceback": "(no traceback)"}),
        ),
        ("ttft", json!(7.5), json!(7.5)),
        ("source", json!("experiment"), json!("experiment")),
        ("environment", json!("test"), json!("test")),
        ("environment", json!(""), json!("")),
        ("tags_to_add", json!(["z"]), json!(["a", "z"])),
        ("tags_to_remove", json!(["a"]), none.clone()),
    ] {
        for update_first in [true, false] {
            let id = fresh_id();
            if update_first {
                update(&server, &id, json!({member: stated})).await;
                server.api.create(&create(&id)).await;
            } else {
                server.api.create(&create(&id)).await;
                update(&server, &id, json!({member: stated})).await;
            }
            let stored = server.api.span(&id).await;
            let shown = if member.starts_with("tags") { "tags" } else { member };
            assert_eq!(stored[shown], wanted, "{member} {stated}, update first: {update_first}");
        }
    }
    recounted(&server);
}

#[tokio::test]
async fn null_scalars_state_nothing() {
    let server = Server::start().await;
    let id = fresh_id();
    server.api.create(&create(&id)).await;
    let before = server.api.span(&id).await;
    let nulls = [
        "name",
        "type",
        "end_time",
        "model",
        "provider",
        "tags",
        "tags_to_add",
        "usage",
        "error_info",
        "total_estimated_cost",
        "ttft",
        "source",
        "environment",
        "project_name",
        "project_id",
        "parent_span_id",
    ];
    update(
        &server,
        &id,
        nulls.iter().map(|name| ((*name).to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>().into(),
    )
    .await;
    let mut after = server.api.span(&id).await;
    after["last_updated_at"] = before["last_updated_at"].clone();
    assert_eq!(before, after);
}

#[tokio::test]
async fn additions_beyond_fifty_tags_are_refused_whole() {
    let server = Server::start().await;
    let id = fresh_id();
    server
        .api
        .create(&json!({"id": id, "trace_id": TRACE, "start_time": "2024-01-15T09:30:00Z",
        "tags": (0..45).map(|number| number.to_string()).collect::<Vec<_>>()}))
        .await;
    let more: Vec<String> = (100..106).map(|number| number.to_string()).collect();
    let answer =
        server.api.patch(&path(&id), &json!({"trace_id": TRACE, "name": "no", "tags_to_add": more})).await.expect(422);
    assert_eq!(answer.errors(), ["Tag limit exceeded: maximum 50 tags per item"]);
    let stored = server.api.span(&id).await;
    assert_eq!((stored["tags"].as_array().unwrap().len(), stored.get("name")), (45, None));
    update(&server, &id, json!({"tags_to_add": &more[..5], "tags_to_remove": ["0"]})).await;
    assert_eq!(server.api.span(&id).await["tags"].as_array().unwrap().len(), 49);
}

#[tokio::test]
async fn conflicts_are_told_in_the_originals_order() {
    let server = Server::start().await;
    let (id, parent, other) = (fresh_id(), fresh_id(), fresh_id());
    server
        .api
        .create(&json!({"id": id, "trace_id": TRACE, "parent_span_id": parent, "project_name": "a",
        "start_time": "2024-01-15T09:30:00Z"}))
        .await;
    let before = server.api.span(&id).await;
    let (project, of_parent, trace) = (
        "Project name and workspace name do not match the existing span",
        "parent_span_id does not match the existing span",
        "trace_id does not match the existing span",
    );
    let wrong = json!({"start_time": "2024-01-15T09:30:00Z", "id": id, "trace_id": other, "parent_span_id": other,
        "project_name": "never made"});
    let without = |names: &[&str]| {
        let mut body = wrong.clone();
        for name in names {
            body.as_object_mut().unwrap().remove(*name);
        }
        body
    };
    for (names, patched, posted) in [
        (&[][..], project, of_parent),
        (&["parent_span_id"], project, project),
        (&["project_name"], of_parent, of_parent),
        (&["project_name", "parent_span_id"], trace, trace),
    ] {
        assert_eq!(server.api.patch(&path(&id), &without(names)).await.expect(409).errors(), [patched]);
        assert_eq!(server.api.post(SPANS, &without(names)).await.expect(409).errors(), [posted]);
    }
    assert_eq!(server.api.span(&id).await, before);
    assert_eq!(server.home.rows("projects WHERE name = 'never made'"), 0);
}

#[tokio::test]
async fn a_project_id_counts_more_than_a_name() {
    let server = Server::start().await;
    let id = fresh_id();
    server
        .api
        .create(&json!({"id": id, "trace_id": TRACE, "project_name": "a", "start_time": "2024-01-15T09:30:00Z"}))
        .await;
    let project_id = server.api.span(&id).await["project_id"].clone();
    update(&server, &id, json!({"project_id": project_id, "project_name": "b", "name": "n"})).await;
    assert_eq!(server.api.span(&id).await["name"], "n");
}

#[tokio::test]
async fn the_provider_stands_in_the_metadata() {
    let server = Server::start().await;
    for (metadata, wanted) in [
        (json!({"k": 1}), r#""metadata":{"provider":"openai","k":1}"#),
        (json!({}), r#""metadata":{"provider":"openai"}"#),
        (json!({"k": 1, "provider": "own"}), r#""metadata":{"k":1,"provider":"own"}"#),
        (json!([1]), r#""metadata":[1]"#),
        (Value::Null, r#""metadata":{"provider":"openai"}"#),
    ] {
        let body = json!({"start_time": "2024-01-15T09:30:00Z", "provider": "openai", "metadata": metadata});
        let id = server.api.create(&body).await;
        let shown = server.api.get(&path(&id)).await.text();
        assert!(shown.contains(wanted), "{metadata}: {shown}");
    }
}

/// Start record, full record, single create and update of one span, in every order.
#[tokio::test]
async fn every_order_of_writes_ends_the_same() {
    let server = Server::start().await;
    let mut outcomes = Vec::new();
    for order in orders(4) {
        let id = fresh_id();
        for step in &order {
            let common =
                json!({"id": id, "trace_id": TRACE, "project_name": "p", "start_time": "2024-01-15T09:30:00Z"});
            let stated = match step {
                0 => json!({"name": "start", "input": {"q": 1}, "last_updated_at": "2024-01-15T09:30:01Z"}),
                1 => {
                    json!({"name": "full", "end_time": "2024-01-15T09:30:04Z", "last_updated_at": "2024-01-15T09:30:03Z"})
                }
                2 => json!({"name": "single", "model": "m", "last_updated_at": "2024-01-15T09:30:02Z"}),
                _ => json!({"output": {"z": 1}, "tags": ["ui"]}),
            };
            let mut body = common;
            body.as_object_mut().unwrap().extend(stated.as_object().unwrap().clone());
            match step {
                0 | 1 => server.api.post("/v1/private/spans/batch", &json!({"spans": [body]})).await.expect(204),
                2 => server.api.post(SPANS, &body).await.expect(201),
                _ => server.api.patch(&path(&id), &body).await.expect(204),
            };
        }
        let mut stored = server.api.span(&id).await;
        for member in ["id", "created_at", "last_updated_at"] {
            stored.as_object_mut().unwrap().remove(member);
        }
        outcomes.push((order, stored));
    }
    assert_eq!(outcomes.len(), 24);
    for (order, stored) in &outcomes {
        assert_eq!(stored, &outcomes[0].1, "{order:?}");
    }
    let stored = &outcomes[0].1;
    assert_eq!(
        [&stored["name"], &stored["model"], &stored["output"], &stored["input"]],
        [&json!("full"), &json!("m"), &json!({"z": 1}), &json!({"q": 1})]
    );
}

/// Sixteen clients at once: nothing fails, and each member is what some client stated last.
#[tokio::test(flavor = "multi_thread")]
async fn many_clients_on_the_same_spans_are_all_answered() {
    let server = Arc::new(Server::start().await);
    let ids: Arc<Vec<String>> = Arc::new((0..3).map(|_| fresh_id()).collect());
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..16 {
        let (server, ids) = (Arc::clone(&server), Arc::clone(&ids));
        clients.spawn(async move {
            for round in 0..20 {
                let id = &ids[(client + round) % ids.len()];
                let mark = format!("{client}-{round}");
                let answer = if client % 2 == 0 {
                    server.api.patch(&path(id), &json!({"trace_id": TRACE, "output": mark})).await
                } else {
                    let mut body = create(id);
                    body["name"] = json!(mark);
                    server.api.post(SPANS, &body).await
                };
                assert!(answer.status < 300, "{}", answer.text());
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    for id in ids.iter() {
        let stored = server.api.span(id).await;
        let client =
            |member: &str| -> usize { stored[member].as_str().unwrap().split('-').next().unwrap().parse().unwrap() };
        assert_eq!((client("output") % 2, client("name") % 2), (0, 1), "{stored}");
    }
    recounted(&server);
}
