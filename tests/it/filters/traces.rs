//! The fixed traces, with the spans under them.

use serde_json::{Value, json};

use crate::support::Server;

/// How many there are.
pub(super) const COUNT: usize = 13;

fn id(number: usize) -> String {
    format!("01a20204-c23a-7bad-84c4-1aba08155e{number:02}")
}

/// What each of them has beside an id and a start, and its spans.
fn members() -> Vec<(Value, Vec<Value>)> {
    vec![
        (
            json!({"name": "alpha", "tags": ["alpha", "É"], "input": {"k": "alpha", "my-key": 1.50, "two words": true},
                "metadata": {"k": "alpha", "null": null}, "environment": "prod", "thread_id": "t-1"}),
            vec![
                json!({"type": "llm", "usage": {"total_tokens": 700, "prompt_tokens": 4}, "total_estimated_cost": 0.2}),
                json!({"type": "llm", "usage": {"total_tokens": 85, "prompt_tokens": 6}, "total_estimated_cost": 0.3,
                    "provider": "openai"}),
            ],
        ),
        (
            json!({"name": "Alpha É", "tags": ["Alpha"], "output": {"k": "ÉTÉ", "n": {"m": [2, {"x": "1.5"}]}},
                "metadata": {"k": "2", "é": "É", "my-key": "a%b"}, "environment": "Prod", "source": "sdk",
                "thread_id": "T-1"}),
            vec![json!({"type": "tool", "usage": {"total_tokens": 1}}), json!({"type": "llm", "provider": "100%"})],
        ),
        (
            json!({"name": "alpha é", "end_time": "2024-01-15T09:30:02.000001Z", "ttft": 0.5, "thread_id": "alpha",
                "metadata": {"n": {"m": [1, {"x": "alpha"}]}, "list": ["alpha", 2]}, "source": "experiment"}),
            vec![json!({"total_estimated_cost": 1}), json!({"type": "guardrail", "provider": "openai"})],
        ),
        (
            json!({"name": "100%", "end_time": "2024-01-15T09:30:00Z", "ttft": 0, "tags": ["a", "b"], "source": "evaluator"}),
            vec![json!({"usage": {"completion_tokens": 11}}), json!({"usage": {"completion_tokens": -1}})],
        ),
        (
            json!({"name": "' OR 1=1 --", "end_time": "2024-01-15T09:29:58.5Z", "ttft": -1.5, "input": "été alpha"}),
            vec![json!({"usage": {"prompt_tokens": -1, "total_tokens": 0, "other": 5}, "total_estimated_cost": 10})],
        ),
        (
            json!({"name": "\"; DROP TABLE spans", "error_info": {"exception_type": "alpha", "traceback": "t"}}),
            (0..10).map(|_| json!({"type": "llm", "total_estimated_cost": 0.1})).collect(),
        ),
        (json!({"error_info": {"message": "m"}, "output": [{"k": 1}, {"k": "alpha"}]}), vec![]),
        (
            json!({"name": "", "metadata": ["alpha"], "environment": "test", "input": [1, 2]}),
            vec![json!({"provider": "p"})],
        ),
        (
            json!({"name": "scored", "metadata": {"k": {"k": "alpha"}, "my-key": [], "two words": "null"}}),
            vec![json!({})],
        ),
        (json!({"name": "scored twice"}), vec![json!({}), json!({})]),
        (json!({"name": "axpha", "metadata": {"k": 2, "null": 0}, "output": "zz"}), vec![json!({})]),
        (
            json!({"name": "escaped", "input": {"k": "\u{e9}t\u{e9} \"k\""}, "metadata": {"k": "ALPHA", "nowhere": ""},
                "start_time": "2024-01-15T09:30:00.000000001Z"}),
            vec![],
        ),
    ]
}

/// Stores them in the project `fixed`; the last was only updated.
pub(super) async fn store(server: &Server) {
    let (mut traces, mut spans) = (Vec::new(), Vec::new());
    let with = |id: String, more: Value| {
        let mut body = json!({"id": id, "project_name": "fixed", "start_time": "2024-01-15T09:30:00Z"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (number, (trace, below)) in members().into_iter().enumerate() {
        traces.push(with(id(number), trace));
        for mut span in below {
            span["trace_id"] = json!(id(number));
            spans.push(with(span_id(number, spans.len()), span));
        }
    }
    assert_eq!(traces.len() + 1, COUNT);
    // Spans come before their traces; letters escaped, as some clients send them.
    server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    let body = json!({"traces": traces}).to_string().replace('é', "\\u00e9");
    server.api.raw("POST", "/v1/private/traces/batch", body).await.expect(204);
    let update = json!({"project_name": "fixed", "name": "partial", "end_time": "2024-01-15T09:30:00Z"});
    server.api.patch(&format!("/v1/private/traces/{}", id(COUNT - 1)), &update).await.expect(204);
    let score = |id: String, name: &str, author: &str, value: f64| json!({"id": id, "name": name, "author": author, "source": "sdk", "value": value});
    let scores = [
        score(id(8), "quality", "a", 0.5),
        score(id(9), "Quality", "a", 0.5),
        score(id(9), "Quality", "b", 0.6),
        score(id(10), "other name", "a", 1.0),
        score(id(10), "quality", "a", -1.0),
    ];
    server.api.put("/v1/private/traces/feedback-scores", &json!({"scores": scores})).await.expect(204);
    // The same names on spans, of other traces.
    let of = |number: usize, below: usize| {
        let ids = spans.iter().filter(|span| span["trace_id"] == id(number)).map(|span| span["id"].as_str().unwrap());
        ids.collect::<Vec<_>>()[below].to_owned()
    };
    let scores = [
        score(of(0, 0), "quality", "a", 0.5),
        score(of(0, 1), "quality", "a", 0.6),
        score(of(2, 0), "QUALITY", "a", 1.0),
        score(of(2, 0), "QUALITY", "b", 0.0),
        score(of(9, 1), "other name", "a", 0.0),
        score(of(9, 0), "quality", "a", -1.0),
    ];
    server.api.put("/v1/private/spans/feedback-scores", &json!({"scores": scores})).await.expect(204);
}

fn span_id(trace: usize, number: usize) -> String {
    format!("01a20204-c23a-7bad-84c4-2aba08{trace:02}5e{number:02}")
}
