//! Creating single spans, and reading them back.

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, snap};

const SPANS: &str = "/v1/private/spans";

/// Every field of the documented request.
fn full(id: &str, trace_id: &str, parent_span_id: &str) -> Value {
    json!({
        "id": id,
        "project_name": "  demo ",
        "trace_id": trace_id,
        "parent_span_id": parent_span_id,
        "name": "chat",
        "type": "llm",
        "start_time": "2024-01-15T10:30:00.123456789+01:00",
        "end_time": "2024-01-15T09:30:01.000000999Z",
        "input": {"messages": [{"role": "user", "content": "é\n"}], "big": 12_345_678_901_234_567_890.10},
        "output": [{"a": 1}],
        "metadata": {"k": {"n": 1.50}},
        "model": "gpt-4o",
        "provider": "openai",
        "tags": ["b", "a", "b"],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4.0},
        "error_info": {"exception_type": "E", "message": "m", "traceback": "t"},
        "last_updated_at": "2024-01-15T09:30:02Z",
        "total_estimated_cost": 0.000_000_25,
        "total_estimated_cost_version": "mine",
        "ttft": 12.5,
        "source": "sdk",
        "environment": "prod",
    })
}

#[tokio::test]
async fn the_documented_minimal_body_is_a_span() {
    let server = Server::start().await;
    let answer = server.api.post(SPANS, &json!({"start_time": "2024-01-15T09:30:00Z"})).await.expect(201);
    assert!(answer.body.is_empty());
    let span = server.api.get(answer.header("location")).await.expect(200).json();
    snap("span__minimal", &span);
}

#[tokio::test]
async fn every_documented_field_comes_back() {
    let server = Server::start().await;
    let (id, trace_id, parent_span_id) = (fresh_id(), fresh_id(), fresh_id());
    assert_eq!(server.api.create(&full(&id, &trace_id, &parent_span_id)).await, id);
    let span = server.api.span(&id).await;
    assert_eq!((&span["trace_id"], &span["parent_span_id"]), (&json!(trace_id), &json!(parent_span_id)));
    snap("span__full", &span);
}

#[tokio::test]
async fn location_leads_to_the_span_at_the_address_the_client_used() {
    let server = Server::start().await;
    for (sent, wanted) in [
        ("/v1/private/spans", "/v1/private/spans/"),
        ("/v1/private/spans/", "/v1/private/spans/"),
        ("/api/v1/private/spans", "/api/v1/private/spans/"),
        ("/api/v1/private/spans/", "/api/v1/private/spans/"),
    ] {
        let answer = server.api.post(sent, &json!({"start_time": "2024-01-15T09:30:00Z"})).await.expect(201);
        let location = answer.header("location");
        assert!(location.starts_with(wanted), "{location}");
        server.api.get(location).await.expect(200);
        server.api.get(&format!("{location}/")).await.expect(200);
    }
}

#[tokio::test]
async fn payloads_are_kept_character_for_character() {
    let server = Server::start().await;
    for payload in [
        r#"{"b":1,"a":1.10,"b":1e2,"n":123456789012345678901234567890,"s":"\u00e9\/"}"#,
        r#"[ 1 , {"x" : [ ] } ]"#,
        r#""text \ud83d\ude00""#,
        "1.50",
        "true",
        "{}",
        // Python's and JavaScript's readers take it; ours, which judges the suite's answers, does not.
        r#"{"lone":"\ud800","nul":"\u0000"}"#,
    ] {
        let body = format!(
            r#"{{"start_time":"2024-01-15T09:30:00Z","input":{payload}, "output" :{payload},"metadata":{payload}}}"#
        );
        let answer = server.api.raw("POST", SPANS, body).await.expect(201);
        let span = server.api.request("GET", answer.header("location")).send().await.unwrap().text().await.unwrap();
        for member in ["input", "output", "metadata"] {
            assert!(span.contains(&format!(r#""{member}":{payload}"#)), "{payload}: {span}");
        }
    }
}

#[tokio::test]
async fn words_for_numbers_become_texts_in_payloads_only() {
    let server = Server::start().await;
    let body = r#"{"start_time":"2024-01-15T09:30:00Z","input":{"a":[NaN,Infinity,-Infinity]},"output":NaN}"#;
    let answer = server.api.raw("POST", SPANS, body).await.expect(201);
    let span = server.api.get(answer.header("location")).await.json();
    assert_eq!(span["input"], json!({"a": ["NaN", "Infinity", "-Infinity"]}));
    assert_eq!(span["output"], "NaN");
    let body = r#"{"start_time":"2024-01-15T09:30:00Z","input":[NaN],"ttft":NaN}"#;
    let answer = server.api.raw("POST", SPANS, body).await.expect(400);
    let violation = &answer.json()["violations"][0];
    assert_eq!((&violation["line"], &violation["column"]), (&json!(1), &json!(body.find("NaN}").unwrap() + 1)));
}

/// Where nobody said what a span cost, it is worked out, and again when its tokens change.
#[tokio::test]
async fn a_cost_that_nobody_stated_is_estimated() {
    let server = Server::start().await;
    let trace_id = fresh_id();
    let told =
        |span: &Value| (span.get("total_estimated_cost").cloned(), span.get("total_estimated_cost_version").cloned());
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "trace_id": trace_id, "provider": "openai",
        "metadata": {"model": "gpt-4o-mini"}, "usage": {"prompt_tokens": 1000, "completion_tokens": 500}});
    let id = server.api.create(&body).await;
    assert_eq!(told(&server.api.span(&id).await), (Some(json!(0.00045)), Some(json!("1.1"))));
    let path = format!("{SPANS}/{id}");
    for (change, cost, version) in [
        (json!({"usage": {"prompt_tokens": 2000, "completion_tokens": 500}}), Some(json!(0.0006)), Some(json!("1.1"))),
        (json!({"model": "no such model"}), Some(json!(0.0006)), Some(json!("1.1"))),
        (json!({"total_estimated_cost": 7}), Some(json!(7)), None),
        (json!({"model": "gpt-4o-mini", "usage": {"prompt_tokens": 1}}), Some(json!(7)), None),
        (json!({"total_estimated_cost": 0}), None, None),
    ] {
        let mut update = change.clone();
        update["trace_id"] = json!(trace_id);
        server.api.patch(&path, &update).await.expect(204);
        assert_eq!(told(&server.api.span(&id).await), (cost, version), "{change}");
    }
    let body =
        json!({"start_time": "2024-01-15T09:30:00Z", "metadata": {"cost": {"total_cost": 0.25, "currency": "USD"}}});
    let id = server.api.create(&body).await;
    assert_eq!(told(&server.api.span(&id).await), (Some(json!(0.25)), Some(json!("1.1"))));
}

/// Other prices can take the built-in ones' place.
#[tokio::test]
async fn prices_come_from_a_file_if_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prices.json");
    let row = json!({"litellm_provider": "openai", "input_cost_per_token": 0.5, "max_tokens": "of no use here"});
    std::fs::write(&file, json!({"mine": row}).to_string()).unwrap();
    let server = Server::with_flags(&["--prices", file.to_str().unwrap()]).await;
    for (model, cost) in [("mine", Some(json!(1.5))), ("gpt-4o-mini", None)] {
        let body = json!({"start_time": "2024-01-15T09:30:00Z", "provider": "openai", "model": model, "usage": {"prompt_tokens": 3}});
        let id = server.api.create(&body).await;
        assert_eq!(server.api.span(&id).await.get("total_estimated_cost"), cost.as_ref(), "{model}");
    }
}
