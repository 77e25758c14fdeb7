//! Changes of many things, which take as many ways to the database as those of a few.

use serde_json::{Value, json};

use crate::plans;
use crate::support::{Home, fresh_id};

const MANY: usize = 100;

/// Each has at least one statement for each of what is changed where it is done one by one.
const STATEMENTS_MAX: usize = 50;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: cargo test --test postgres"]
async fn many_are_changed_by_few_statements() {
    let home = Home::in_postgres();
    let process = plans::start(&home);
    let api = &process.api;
    let told = || std::fs::read_to_string(home.folder().join("log")).unwrap().matches("TRACE ").count();
    let traces: Vec<String> = (0..MANY).map(|_| fresh_id()).collect();
    let of = |more: fn(usize, &str) -> Value| -> Vec<Value> {
        traces.iter().enumerate().map(|(number, trace)| more(number, trace)).collect()
    };
    let body = of(
        |number, id| json!({"id": id, "project_name": "p", "start_time": "2024-01-15T09:30:00Z", "thread_id": format!("thread {number}")}),
    );
    api.post("/v1/private/traces/batch", &json!({"traces": body})).await.expect(204);
    let body = of(|number, trace| {
        json!({"id": fresh_id(), "trace_id": trace, "project_name": if number % 2 == 0 { "p" } else { "q" },
            "start_time": "2024-01-15T09:30:00Z", "type": "tool"})
    });
    api.post("/v1/private/spans/batch", &json!({"spans": body})).await.expect(204);
    let mut comments = Vec::new();
    for trace in &traces {
        let answer = api.post(&format!("/v1/private/traces/{trace}/comments"), &json!({"text": "t"})).await.expect(201);
        comments.push(answer.header("location").rsplit('/').next().unwrap().to_owned());
    }
    let threads = api.get("/v1/private/traces/threads?project_name=p&size=1000").await.expect(200).json();
    let threads = threads["content"].as_array().unwrap();
    let threads: Vec<&Value> = threads.iter().map(|thread| &thread["thread_model_id"]).collect();
    let scores = of(|number, _| {
        // Half of them are made by this.
        json!({"thread_id": format!("thread {}", 2 * number), "project_name": "p", "name": "n", "value": 1, "source": "sdk"})
    });
    for (method, path, body) in [
        ("PUT", "traces/threads/feedback-scores", json!({"scores": scores})),
        ("PATCH", "traces/threads/batch", json!({"ids": threads, "update": {"tags": ["t"]}})),
        ("POST", "traces/comments/delete", json!({"ids": comments})),
        ("POST", "traces/delete", json!({"ids": traces[..MANY / 2]})),
        (
            "POST",
            "traces/threads/delete",
            json!({"project_name": "p", "thread_ids": (0..2 * MANY).map(|number| format!("thread {number}")).collect::<Vec<_>>()}),
        ),
    ] {
        let before = told();
        api.send(api.request(method, &format!("/v1/private/{path}")).json(&body)).await.expect(204);
        let statements = told() - before;
        assert!(statements <= STATEMENTS_MAX, "{path}: {statements}");
        match path {
            "traces/threads/batch" => {
                assert_eq!(home.number("SELECT count(*) FROM threads WHERE tags = '[\"t\"]'"), 100);
            }
            "traces/threads/feedback-scores" => {
                assert_eq!(home.rows("scores"), 100);
                assert_eq!(home.rows("threads"), 150);
            }
            "traces/comments/delete" => assert_eq!(home.rows("comments"), 0),
            "traces/delete" => {
                assert_eq!(home.rows("spans"), 50);
                assert_eq!(home.number("SELECT sum(spans)::bigint FROM project_span_counts"), 50);
            }
            _ => {}
        }
    }
    for table in ["spans", "traces", "trace_sums", "threads", "scores", "comments"] {
        assert_eq!(home.rows(table), 0, "{table}");
    }
    assert_eq!(home.number("SELECT sum(spans)::bigint FROM project_span_counts"), 0);
}
