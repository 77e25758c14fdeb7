//! Creating spans in batches.

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, in_workspace, recounted, time};

const BATCH: &str = "/v1/private/spans/batch";

fn span(id: &str, name: &str) -> Value {
    json!({"id": id, "name": name, "project_name": "p", "trace_id": "01a20204-c23a-7bad-84c4-1aba08155ea5",
        "start_time": "2024-01-15T09:30:00Z"})
}

fn with(mut span: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        span[name] = value.clone();
    }
    span
}

#[tokio::test]
async fn a_thousand_spans_of_many_projects_are_stored_together() {
    let server = Server::start().await;
    let ids: Vec<String> = (0..1_000).map(|_| fresh_id()).collect();
    let spans: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(number, id)| {
            with(span(id, "x"), &json!({"project_name": format!("p{}", number % 7), "name": number.to_string()}))
        })
        .collect();
    server.api.post(BATCH, &json!({"spans": spans})).await.expect(204);
    for number in [0, 500, 999] {
        let stored = server.api.span(&ids[number]).await;
        assert_eq!(
            (&stored["name"], &stored["project_name"]),
            (&json!(number.to_string()), &json!(format!("p{}", number % 7)))
        );
    }
    recounted(&server);
}

#[tokio::test]
async fn ids_may_be_absent() {
    let server = Server::start().await;
    server.api.post(BATCH, &json!({"spans": [{"start_time": "2024-01-15T09:30:00Z"}]})).await.expect(204);
    recounted(&server);
}

/// A start record and a full record of the same span, as Python's decorator sends them.
#[tokio::test]
async fn records_of_one_span_are_folded_in_any_order() {
    let server = Server::start().await;
    let start =
        json!({"name": "start", "type": "general", "input": {"q": 1}, "last_updated_at": "2024-01-15T09:30:01Z"});
    let full = json!({"name": "full", "type": "llm", "output": {"a": 2}, "end_time": "2024-01-15T09:30:05Z",
        "last_updated_at": "2024-01-15T09:30:02Z"});
    for together in [true, false] {
        for first_comes_full in [true, false] {
            let id = fresh_id();
            let mut records = vec![with(span(&id, ""), &start), with(span(&id, ""), &full)];
            if first_comes_full {
                records.reverse();
            }
            if together {
                server.api.post(BATCH, &json!({"spans": records})).await.expect(204);
            } else {
                for record in records {
                    server.api.post(BATCH, &json!({"spans": [record]})).await.expect(204);
                }
            }
            let stored = server.api.span(&id).await;
            let told = [&stored["name"], &stored["type"], &stored["input"], &stored["output"], &stored["end_time"]];
            let wanted = [json!("full"), json!("llm"), json!({"q": 1}), json!({"a": 2}), json!("2024-01-15T09:30:05Z")];
            assert_eq!(told.map(Clone::clone), wanted, "together: {together}, full first: {first_comes_full}");
        }
    }
    recounted(&server);
}

/// Without stamps, the record with an end is the later one, whichever comes first.
#[tokio::test]
async fn without_stamps_the_record_with_an_end_counts() {
    let server = Server::start().await;
    for reversed in [true, false] {
        let id = fresh_id();
        let mut records =
            vec![span(&id, "start"), with(span(&id, "full"), &json!({"end_time": "2024-01-15T09:30:05Z"}))];
        if reversed {
            records.reverse();
        }
        server.api.post(BATCH, &json!({"spans": records})).await.expect(204);
        assert_eq!(server.api.span(&id).await["name"], "full");
    }
}

#[tokio::test]
async fn a_batch_never_conflicts_and_the_newer_identity_counts() {
    let server = Server::start().await;
    let (id, parent, trace) = (fresh_id(), fresh_id(), fresh_id());
    let stamped = |stamp: &str, more: Value| with(with(span(&id, "n"), &json!({"last_updated_at": stamp})), &more);
    let older = stamped("2024-01-15T09:30:01Z", json!({"project_name": "old", "parent_span_id": fresh_id()}));
    let newer =
        stamped("2024-01-15T09:30:02Z", json!({"project_name": "new", "parent_span_id": parent, "trace_id": trace}));
    for record in [&older, &newer, &older] {
        server.api.post(BATCH, &json!({"spans": [record]})).await.expect(204);
    }
    let stored = server.api.span(&id).await;
    assert_eq!(stored["project_name"], "new");
    assert_eq!((&stored["parent_span_id"], &stored["trace_id"]), (&json!(parent), &json!(trace)));
    recounted(&server);
}

#[tokio::test]
async fn a_batch_that_comes_again_changes_nothing_but_the_time_of_the_last_update() {
    let server = Server::start().await;
    let id = fresh_id();
    let batch = json!({"spans": [with(span(&id, "n"), &json!({"tags": ["a"], "usage": {"t": 1}, "end_time": "2024-01-15T09:31:00Z"}))]});
    server.api.post(BATCH, &batch).await.expect(204);
    let mut before = server.api.span(&id).await;
    server.api.post(BATCH, &batch).await.expect(204);
    let mut after = server.api.span(&id).await;
    let taken = |span: &mut Value| time(&span.as_object_mut().unwrap().remove("last_updated_at").unwrap());
    let (earlier, later) = (taken(&mut before), taken(&mut after));
    assert!(later > earlier, "{later} {earlier}");
    assert_eq!(before, after);
    recounted(&server);
}

#[tokio::test]
async fn project_names_are_one_whatever_their_letter_case() {
    let server = Server::start().await;
    let (first, second) = (fresh_id(), fresh_id());
    let spans = [("Ärger", &first), ("äRGER", &second)]
        .map(|(project, id)| with(span(id, "n"), &json!({"project_name": project})));
    server.api.post(BATCH, &json!({"spans": spans})).await.expect(204);
    let (first, second) = (server.api.span(&first).await, server.api.span(&second).await);
    assert_eq!(first["project_id"], second["project_id"]);
    assert_eq!(second["project_name"], "Ärger");
}

#[tokio::test]
async fn workspaces_do_not_see_each_other() {
    let server = Server::start().await;
    let id = fresh_id();
    for workspace in ["default", "team"] {
        let request =
            in_workspace(&server, workspace, "POST", "/v1/private/spans").body(span(&id, workspace).to_string());
        server.api.send(request).await.expect(201);
    }
    let mut projects = Vec::new();
    for workspace in ["default", "team"] {
        let path = format!("/v1/private/spans/{id}");
        let stored = server.api.send(in_workspace(&server, workspace, "GET", &path)).await.expect(200).json();
        assert_eq!(stored["name"], workspace);
        projects.push(stored["project_id"].clone());
    }
    assert_ne!(projects[0], projects[1]);
    let path = format!("/v1/private/spans/{id}");
    server.api.send(in_workspace(&server, "other", "GET", &path)).await.expect(404);
    recounted(&server);
}
