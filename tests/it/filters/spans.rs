//! The fixed spans.

use serde_json::{Value, json};

use crate::support::Server;

/// How many there are.
pub(super) const COUNT: usize = 15;

fn id(number: usize) -> String {
    format!("01a20204-c23a-7bad-84c4-1aba08155e{number:02}")
}

/// What each of them has beside an id, a trace and a start.
fn members() -> Vec<Value> {
    vec![
        json!({"name": "alpha", "type": "llm", "model": "Alpha-É", "provider": "openai", "tags": ["alpha", "É"],
            "input": {"k": "alpha", "my-key": 1.50, "two words": true}, "metadata": {"k": "alpha", "null": null},
            "usage": {"total_tokens": 785, "prompt_tokens": 10}, "total_estimated_cost": 0.5, "environment": "prod"}),
        json!({"name": "Alpha É", "type": "tool", "provider": "100%", "tags": ["Alpha"], "output": {"k": "ÉTÉ", "n": {"m": [2, {"x": "1.5"}]}},
            "metadata": {"k": "2", "é": "É", "my-key": "a%b"}, "usage": {"total_tokens": 1}, "environment": "Prod", "source": "sdk"}),
        json!({"name": "alpha é", "type": "general", "model": "a%a", "end_time": "2024-01-15T09:30:02.000001Z", "ttft": 0.5,
            "metadata": {"n": {"m": [1, {"x": "alpha"}]}, "list": ["alpha", 2]}, "source": "experiment"}),
        json!({"name": "100%", "type": "guardrail", "end_time": "2024-01-15T09:30:00Z", "ttft": 0, "tags": ["a", "b"], "source": "evaluator"}),
        json!({"name": "' OR 1=1 --", "end_time": "2024-01-15T09:29:58.5Z", "ttft": -1.5, "input": "été alpha"}),
        json!({"name": "\"; DROP TABLE spans", "error_info": {"exception_type": "alpha", "traceback": "t"}}),
        json!({"error_info": {"message": "m"}, "output": [{"k": 1}, {"k": "alpha"}]}),
        json!({"name": "", "model": "zz", "metadata": ["alpha"], "environment": "test", "input": [1, 2]}),
        json!({"name": "scored", "metadata": {"k": {"k": "alpha"}, "my-key": [], "two words": "null"}}),
        json!({"name": "scored twice", "type": "llm", "total_estimated_cost": 10}),
        json!({"name": "scored otherwise", "usage": {"completion_tokens": -1, "other": 5}}),
        json!({"name": "axpha", "metadata": {"k": 2, "null": 0}, "output": "zz"}),
        json!({"name": "escaped", "input": {"k": "\u{e9}t\u{e9} \"k\""}, "metadata": {"k": "ALPHA", "nowhere": ""}}),
        json!({"name": "alphabet", "type": "llm", "total_estimated_cost": 1, "start_time": "2024-01-15T09:30:00.000000001Z"}),
    ]
}

/// Stores them in the project `fixed`; the last was only updated.
pub(super) async fn store(server: &Server) {
    let spans: Vec<Value> = members()
        .into_iter()
        .enumerate()
        .map(|(number, more)| {
            let mut span = json!({"id": id(number), "trace_id": id(50 + number % 3), "project_name": "fixed",
                "start_time": "2024-01-15T09:30:00Z"});
            span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            span
        })
        .collect();
    assert_eq!(spans.len() + 1, COUNT);
    // Letters escaped, as some clients send them.
    let body = json!({"spans": spans}).to_string().replace('é', "\\u00e9");
    server.api.raw("POST", "/v1/private/spans/batch", body).await.expect(204);
    let update =
        json!({"trace_id": id(50), "project_name": "fixed", "name": "partial", "end_time": "2024-01-15T09:30:00Z"});
    server.api.patch(&format!("/v1/private/spans/{}", id(COUNT - 1)), &update).await.expect(204);
    let scores = [
        (8, "quality", "a", "0.5"),
        (9, "Quality", "a", "0.5"),
        (9, "Quality", "b", "0.6"),
        (10, "other name", "a", "1"),
        (10, "quality", "a", "-1"),
    ];
    let scores: Vec<Value> = scores
        .into_iter()
        .map(|(number, name, author, value)| {
            json!({"id": id(number), "name": name, "author": author, "source": "sdk", "value": value.parse::<f64>().unwrap()})
        })
        .collect();
    server.api.raw("PUT", "/v1/private/spans/feedback-scores", json!({"scores": scores}).to_string()).await.expect(204);
}
