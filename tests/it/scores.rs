//! Feedback scores and comments.

use serde_json::{Value, json};

use crate::support::{Answer, Server, fresh_id, in_workspace, time};

const SCORES: &str = "/v1/private/spans/feedback-scores";

async fn span(server: &Server) -> String {
    server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await
}

async fn give(server: &Server, id: &str, body: Value) -> Answer {
    server.api.raw("PUT", &format!("/v1/private/spans/{id}/feedback-scores"), body.to_string()).await
}

async fn give_many(server: &Server, scores: Value) -> Answer {
    server.api.raw("PUT", SCORES, json!({"scores": scores}).to_string()).await
}

async fn take_back(server: &Server, id: &str, body: Value) {
    server.api.post(&format!("/v1/private/spans/{id}/feedback-scores/delete"), &body).await.expect(204);
}

async fn scores(server: &Server, id: &str) -> Vec<Value> {
    server.api.span(id).await["feedback_scores"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_score_is_given_to_a_span_that_is_there_and_replaced() {
    let server = Server::start().await;
    let id = span(&server).await;
    give(&server, &id, json!({"name": "q", "value": 0.1, "source": "ui", "reason": " why ", "category_name": "c"}))
        .await
        .expect(204);
    let first = scores(&server, &id).await.remove(0);
    assert_eq!(
        (&first["value"], &first["reason"], &first["category_name"], &first["source"]),
        (&json!(0.1), &json!("why"), &json!("c"), &json!("ui"))
    );
    assert_eq!(first["value_by_author"]["admin"]["value"], 0.1);
    give(&server, &id, json!({"name": "q", "value": 2, "source": "sdk"})).await.expect(204);
    let second = scores(&server, &id).await;
    assert_eq!(second.len(), 1);
    assert_eq!((&second[0]["value"], second[0].get("reason")), (&json!(2), None));
    assert!(time(&second[0]["created_at"]) > time(&first["created_at"]));
    let unknown = fresh_id();
    let answer = give(&server, &unknown, json!({"name": "q", "value": 1, "source": "sdk"})).await.expect(404);
    assert_eq!(answer.errors(), [format!("Span id: {unknown} not found")]);
}

#[tokio::test]
async fn scores_may_come_before_their_span_and_make_no_project() {
    let server = Server::start().await;
    let id = fresh_id();
    give_many(&server, json!([{"id": id, "name": "q", "value": 1, "source": "sdk", "project_name": "never made"}]))
        .await
        .expect(204);
    server.api.get(&format!("/v1/private/spans/{id}")).await.expect(404);
    server.api.create(&json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
    assert_eq!(scores(&server, &id).await[0]["value"], 1);
    assert_eq!(server.home.rows("projects WHERE name = 'never made'"), 0);
}

#[tokio::test]
async fn scores_of_several_authors_are_averaged_and_told_apart() {
    let server = Server::start().await;
    let id = span(&server).await;
    let one = |author: &str, value: Value, reason: Value| json!({"id": id, "name": "q", "author": author, "value": value, "reason": reason, "source": "sdk"});
    give_many(
        &server,
        json!([one("a", json!(0), json!("r")), one("b", json!(1), json!(null)), one("c", json!(1), json!("s"))]),
    )
    .await
    .expect(204);
    let shown = scores(&server, &id).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["value"], json!(0.666_666_666));
    let reasons = shown[0]["reason"].as_str().unwrap();
    assert!(reasons.contains("<no reason>") && reasons.contains('r') && reasons.contains('s'), "{reasons}");
    assert_eq!(shown[0]["value_by_author"]["b"]["value"], 1);
    take_back(&server, &id, json!({"name": "q", "author": "a"})).await;
    assert_eq!(scores(&server, &id).await[0]["value"], 1);
    take_back(&server, &id, json!({"name": "q", "author": " "})).await;
    assert!(scores(&server, &id).await.is_empty());
    take_back(&server, &fresh_id(), json!({"name": "q"})).await;
}

#[tokio::test]
async fn a_queue_is_part_of_what_a_score_is() {
    let server = Server::start().await;
    let (id, queue) = (span(&server).await, fresh_id());
    give(&server, &id, json!({"name": "q", "value": 1, "source": "ui"})).await.expect(204);
    give(&server, &id, json!({"name": "q", "value": 3, "source": "ui", "source_queue_id": queue})).await.expect(204);
    // Of one author, the latest is shown.
    assert_eq!(scores(&server, &id).await[0]["value"], 3);
    take_back(&server, &id, json!({"name": "q", "source_queue_id": queue})).await;
    assert_eq!(scores(&server, &id).await[0]["value"], 1);
    take_back(&server, &id, json!({"name": "q", "source_queue_id": queue})).await;
    take_back(&server, &id, json!({"name": "q"})).await;
    assert!(scores(&server, &id).await.is_empty());
}

#[tokio::test]
async fn values_are_exact_up_to_a_billion() {
    let server = Server::start().await;
    let id = span(&server).await;
    for value in ["0.1", "0.000000001", "999999999.999999999", "1000000000", "-1000000000", "0"] {
        let body = format!(r#"{{"name":"q","value":{value},"source":"sdk"}}"#);
        server.api.raw("PUT", &format!("/v1/private/spans/{id}/feedback-scores"), body).await.expect(204);
        let shown = server.api.get(&format!("/v1/private/spans/{id}")).await.text();
        assert!(shown.contains(&format!(r#""value":{value},"#)), "{value}: {shown}");
    }
    for (value, wanted) in [
        ("1000000000.1", "value must be less than or equal to 1000000000"),
        ("-1000000001", "value must be greater than or equal to -1000000000"),
    ] {
        let body = format!(r#"{{"name":"q","value":{value},"source":"sdk"}}"#);
        let answer = server.api.raw("PUT", &format!("/v1/private/spans/{id}/feedback-scores"), body).await.expect(422);
        assert_eq!(answer.errors(), [wanted]);
    }
}

#[tokio::test]
async fn a_batch_of_scores_is_given_whole_or_not_at_all() {
    let server = Server::start().await;
    let id = span(&server).await;
    let version_4 = "5f6a2f5e-6a55-4c6f-9d0a-3d2f0b4f0f11";
    let good = json!({"id": id, "name": "q", "value": 1, "source": "sdk"});
    let bad = json!({"id": version_4, "name": "q", "value": 1, "source": "sdk"});
    let answer = give_many(&server, json!([good, bad])).await.expect(400);
    assert_eq!(
        (answer.errors(), &answer.json()["details"]),
        (vec!["Invalid UUID for id".to_owned()], &json!("span id must be a version 7 UUID"))
    );
    assert_eq!(answer.pointers(), ["/scores/1/id"]);
    assert!(scores(&server, &id).await.is_empty());
    let many = vec![good; 1001];
    assert_eq!(give_many(&server, json!(many)).await.expect(422).errors(), ["scores size must be between 1 and 1000"]);
    assert_eq!(give_many(&server, json!([])).await.expect(422).errors(), ["scores size must be between 1 and 1000"]);
    assert_eq!(server.api.raw("PUT", SCORES, "{}").await.expect(422).errors(), ["scores must not be null"]);
    assert_eq!(
        give_many(&server, json!([{"id": id, "value": 1, "source": "sdk"}])).await.expect(422).errors(),
        ["scores[0].name must not be blank"]
    );
}

#[tokio::test]
async fn rules_of_scores_and_comments_are_told_in_the_originals_words() {
    let server = Server::start().await;
    let id = span(&server).await;
    for (body, status, wanted) in [
        (json!({"value": 1, "source": "sdk"}), 422, "name must not be blank"),
        (json!({"name": "", "value": 1, "source": "sdk"}), 422, "name must not be blank"),
        (json!({"name": "q", "source": "sdk"}), 422, "value must not be null"),
        (json!({"name": "q", "value": 1}), 422, "source must not be null"),
        (json!({"name": "q", "value": 1, "source": "zzz"}), 400, "expected one of `ui`, `sdk`, `online_scoring`"),
        (json!({"name": "q", "value": "1", "source": "sdk"}), 400, "/value: expected a number"),
    ] {
        let answer = give(&server, &id, body).await.expect(status);
        assert!(answer.errors()[0].contains(wanted), "{}", answer.text());
    }
    let path = format!("/v1/private/spans/{id}/feedback-scores/delete");
    assert_eq!(server.api.post(&path, &json!({"name": ""})).await.expect(422).errors(), ["name must not be blank"]);
    let path = format!("/v1/private/spans/{id}/comments");
    assert_eq!(server.api.post(&path, &json!({"text": ""})).await.expect(422).errors(), ["text must not be blank"]);
    assert_eq!(server.api.post(&path, &json!({})).await.expect(422).errors(), ["text must not be blank"]);
    server.api.post(&path, &json!({"text": " "})).await.expect(201);
    let delete = "/v1/private/spans/comments/delete";
    assert_eq!(
        server.api.post(delete, &json!({"ids": []})).await.expect(422).errors(),
        ["ids size must be between 1 and 1000"]
    );
    assert_eq!(server.api.post(delete, &json!({})).await.expect(422).errors(), ["ids must not be null"]);
}

#[tokio::test]
async fn names_of_scores_are_told_by_project_and_type() {
    let server = Server::start().await;
    let body = |kind: &str| json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "type": kind});
    let (llm, tool) = (server.api.create(&body("llm")).await, server.api.create(&body("tool")).await);
    give_many(&server, json!([
        {"id": llm, "name": "b", "value": 1, "source": "sdk"}, {"id": llm, "name": "a", "value": 1, "source": "sdk"},
        {"id": tool, "name": "a", "value": 1, "source": "sdk"}, {"id": fresh_id(), "name": "c", "value": 1, "source": "sdk"},
    ])).await.expect(204);
    let project = server.api.span(&llm).await["project_id"].as_str().unwrap().to_owned();
    for (kind, wanted) in [("", json!(["a", "b"])), ("tool", json!(["a"])), ("guardrail", json!([]))] {
        let answer =
            server.api.get(&format!("{SCORES}/names?project_id={project}&type={kind}")).await.expect(200).json();
        let names: Vec<Value> =
            answer["scores"].as_array().unwrap().iter().map(|score| score["name"].clone()).collect();
        assert_eq!(json!(names), wanted, "{kind}");
    }
    assert_eq!(server.api.get(&format!("{SCORES}/names")).await.expect(400).errors(), ["project_id must be provided"]);
    assert_eq!(
        server.api.get(&format!("{SCORES}/names?project_id={}", fresh_id())).await.expect(404).errors(),
        ["Project not found"]
    );
}

#[tokio::test]
async fn comments_are_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let (id, other) = (span(&server).await, span(&server).await);
    let made = server
        .api
        .post(&format!("/api/v1/private/spans/{id}/comments"), &json!({"text": "one", "source_queue_id": other}))
        .await
        .expect(201);
    let comment = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/api/v1/private/spans/{id}/comments/{comment}"));
    let read = server.api.get(made.header("location")).await.expect(200).json();
    assert_eq!(
        (&read["text"], &read["created_by"], &read["source_queue_id"]),
        (&json!("one"), &json!("admin"), &json!(other))
    );
    let elsewhere = format!("/v1/private/spans/{other}/comments/{comment}");
    assert_eq!(server.api.get(&elsewhere).await.expect(404).errors(), [format!("Comment id: {comment} not found")]);

    server.api.patch(&format!("/v1/private/spans/comments/{comment}"), &json!({"text": "changed"})).await.expect(204);
    server.api.post(&format!("/v1/private/spans/{id}/comments"), &json!({"text": "two"})).await.expect(201);
    let shown = server.api.span(&id).await["comments"].as_array().unwrap().clone();
    let texts: Vec<&Value> = shown.iter().map(|comment| &comment["text"]).collect();
    assert_eq!(texts, [&json!("changed"), &json!("two")]);
    assert!(time(&shown[0]["last_updated_at"]) > time(&shown[0]["created_at"]));

    let unknown = fresh_id();
    let answer =
        server.api.patch(&format!("/v1/private/spans/comments/{unknown}"), &json!({"text": "x"})).await.expect(404);
    assert_eq!(answer.errors(), [format!("Comment id: {unknown} not found")]);
    let answer =
        server.api.post(&format!("/v1/private/spans/{unknown}/comments"), &json!({"text": "x"})).await.expect(404);
    assert_eq!(answer.errors(), [format!("Span id: {unknown} not found")]);
    server.api.post("/v1/private/spans/comments/delete", &json!({"ids": [comment, unknown]})).await.expect(204);
    server.api.get(made.header("location")).await.expect(404);
    assert_eq!(server.api.span(&id).await["comments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn workspaces_have_scores_and_comments_of_their_own() {
    let server = Server::start().await;
    let id = fresh_id();
    for workspace in ["default", "team"] {
        let body = json!({"id": id, "start_time": "2024-01-15T09:30:00Z"}).to_string();
        server.api.send(in_workspace(&server, workspace, "POST", "/v1/private/spans").body(body)).await.expect(201);
    }
    let body = json!({"name": "q", "value": 1, "source": "ui"}).to_string();
    server
        .api
        .send(in_workspace(&server, "team", "PUT", &format!("/v1/private/spans/{id}/feedback-scores")).body(body))
        .await
        .expect(204);
    let comments = format!("/v1/private/spans/{id}/comments");
    let made = server
        .api
        .send(in_workspace(&server, "team", "POST", &comments).body(json!({"text": "x"}).to_string()))
        .await
        .expect(201);
    let ours = server.api.span(&id).await;
    assert!(ours.get("feedback_scores").is_none() && ours.get("comments").is_none());
    server.api.get(made.header("location")).await.expect(404);
    let comment = made.json()["id"].clone();
    server.api.post("/v1/private/spans/comments/delete", &json!({"ids": [comment]})).await.expect(204);
    server.api.send(in_workspace(&server, "team", "GET", made.header("location"))).await.expect(200);
}
