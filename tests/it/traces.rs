//! Traces: in whatever order they are written, what their spans amount to, and what goes with them.

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, orders, recounted};

const SPANS: &str = "/v1/private/spans";
const TRACES: &str = "/v1/private/traces";
const START: &str = "2024-01-15T09:30:00Z";

/// Without what differs from one trace to the next, however they were written.
fn comparable(mut read: Value, id: &str, span: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|name, _| !["id", "created_at", "last_updated_at"].contains(&name.as_str()));
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut read);
    serde_json::from_str(&read.to_string().replace(id, "[trace]").replace(span, "[span]")).unwrap()
}

fn assert_alike(outcomes: &[(Vec<usize>, Value)], count: usize) -> Value {
    assert_eq!(outcomes.len(), count);
    for (order, stored) in outcomes {
        assert_eq!(stored, &outcomes[0].1, "{order:?}");
    }
    outcomes[0].1.clone()
}

async fn span(server: &Server, trace_id: &str, members: Value) -> String {
    let mut body = json!({"trace_id": trace_id, "project_name": "p", "start_time": START});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    server.api.create(&body).await
}

async fn trace(server: &Server, members: Value) -> String {
    let mut body = json!({"project_name": "p", "start_time": START});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    server.api.create_trace(&body).await
}

/// Start record, full record, single create, update and end of one trace, in every order.
#[tokio::test]
async fn every_order_of_writes_ends_the_same() {
    let server = Server::start().await;
    let mut outcomes = Vec::new();
    for order in orders(5) {
        let id = fresh_id();
        for step in &order {
            let stated = match step {
                0 => json!({"name": "start", "input": {"q": 1}, "last_updated_at": "2024-01-15T09:30:01Z"}),
                1 => json!({"name": "full", "end_time": "2024-01-15T09:30:04Z", "thread_id": "t",
                    "last_updated_at": "2024-01-15T09:30:03Z"}),
                2 => json!({"name": "single", "ttft": 1.5, "last_updated_at": "2024-01-15T09:30:02Z"}),
                3 => json!({"output": {"z": 1}, "tags": ["ui"]}),
                _ => json!({"end_time": "2024-01-15T09:30:05Z", "metadata": {"ended": true}}),
            };
            let mut body = json!({"id": id, "project_name": "p", "start_time": START});
            body.as_object_mut().unwrap().extend(stated.as_object().unwrap().clone());
            match step {
                0 | 1 => server.api.post(&format!("{TRACES}/batch"), &json!({"traces": [body]})).await.expect(204),
                2 => server.api.post(TRACES, &body).await.expect(201),
                _ => server.api.patch(&format!("{TRACES}/{id}"), &body).await.expect(204),
            };
        }
        outcomes.push((order, comparable(server.api.trace(&id).await, &id, &id)));
    }
    let stored = assert_alike(&outcomes, 120);
    assert_eq!(
        [&stored["name"], &stored["input"], &stored["output"], &stored["tags"], &stored["thread_id"], &stored["ttft"]],
        [&json!("full"), &json!({"q": 1}), &json!({"z": 1}), &json!(["ui"]), &json!("t"), &json!(1.5)]
    );
    // What an update states stands against the ends of creates.
    assert_eq!((&stored["end_time"], &stored["duration"]), (&json!("2024-01-15T09:30:05Z"), &json!(5_000.0)));
    recounted(&server);
}

/// Spans, scores and a comment come before, between or after what they belong to.
#[tokio::test]
async fn every_order_of_what_belongs_to_a_trace_ends_the_same() {
    let server = Server::start().await;
    let mut outcomes = Vec::new();
    for order in orders(5) {
        let (id, span) = (fresh_id(), fresh_id());
        let score = |of: &str, name: &str| json!({"scores": [{"id": of, "name": name, "value": 0.5, "source": "sdk"}]});
        for step in &order {
            match step {
                0 => {
                    let body = json!({"id": id, "project_name": "p", "start_time": START, "metadata": {"k": 1}});
                    server.api.post(&format!("{TRACES}/batch"), &json!({"traces": [body]})).await.expect(204);
                }
                1 => {
                    let body = json!({"id": span, "trace_id": id, "project_name": "p", "start_time": START, "type": "llm",
                        "provider": "openai", "usage": {"total_tokens": 3}, "total_estimated_cost": 0.25});
                    server.api.post(&format!("{SPANS}/batch"), &json!({"spans": [body]})).await.expect(204);
                }
                2 => {
                    server.api.put(&format!("{TRACES}/feedback-scores"), &score(&id, "of the trace")).await.expect(204);
                }
                3 => {
                    server.api.put(&format!("{SPANS}/feedback-scores"), &score(&span, "of the span")).await.expect(204);
                }
                // A comment needs a trace: an update is enough of one.
                _ => {
                    let body = json!({"project_name": "p", "output": "late"});
                    server.api.patch(&format!("{TRACES}/{id}"), &body).await.expect(204);
                    let path = format!("{TRACES}/{id}/comments");
                    server.api.post(&path, &json!({"text": "said"})).await.expect(201);
                }
            }
        }
        outcomes.push((order, comparable(server.api.trace(&id).await, &id, &span)));
    }
    let stored = assert_alike(&outcomes, 120);
    assert_eq!(
        [&stored["span_count"], &stored["llm_span_count"], &stored["usage"], &stored["total_estimated_cost"]],
        [&json!(1), &json!(1), &json!({"total_tokens": 3}), &json!(0.25)]
    );
    assert_eq!(
        [
            &stored["feedback_scores"][0]["name"],
            &stored["span_feedback_scores"][0]["name"],
            &stored["comments"][0]["text"]
        ],
        ["of the trace", "of the span", "said"]
    );
    assert_eq!((&stored["output"], &stored["visibility_mode"]), (&json!("late"), &json!("default")));
    recounted(&server);
}

#[tokio::test]
async fn the_providers_of_the_spans_stand_first_in_the_metadata() {
    let server = Server::start().await;
    for (metadata, wanted) in [
        (json!({"k": 1}), r#""metadata":{"providers":["anthropic","openai"],"k":1}"#),
        (json!({}), r#""metadata":{"providers":["anthropic","openai"]}"#),
        (json!([1]), r#""metadata":[1]"#),
        (json!("text"), r#""metadata":"text""#),
        (Value::Null, r#""metadata":{"providers":["anthropic","openai"]}"#),
    ] {
        let id = trace(&server, json!({"metadata": metadata})).await;
        for provider in ["openai", "anthropic", "openai"] {
            span(&server, &id, json!({"provider": provider})).await;
        }
        let shown = server.api.get(&format!("{TRACES}/{id}")).await.text();
        assert!(shown.contains(wanted) && shown.contains(r#""providers":["anthropic","openai"]"#), "{shown}");
    }
    let shown = server.api.trace(&trace(&server, json!({})).await).await;
    assert!(shown.get("metadata").is_none() && shown.get("providers").is_none(), "{shown}");
}

#[tokio::test]
async fn sums_are_exact_and_follow_their_spans() {
    let server = Server::start().await;
    let (one, two) = (trace(&server, json!({})).await, trace(&server, json!({})).await);
    let members = |cost: f64| json!({"type": "tool", "usage": {"t": 2_000_000_000}, "total_estimated_cost": cost});
    let first = span(&server, &one, members(0.1)).await;
    span(&server, &one, members(0.2)).await;
    // A span of the same trace in another project is another project's.
    span(&server, &one, json!({"project_name": "other", "usage": {"t": 1}})).await;
    let text = server.api.get(&format!("{TRACES}/{one}")).await.text();
    assert!(text.contains(r#""total_estimated_cost":0.3,"#) && text.contains(r#""usage":{"t":4000000000}"#), "{text}");
    let told =
        |trace: Value| ["span_count", "llm_span_count", "has_tool_spans", "usage"].map(|name| trace[name].clone());
    assert_eq!(told(server.api.trace(&one).await), [json!(2), json!(0), json!(true), json!({"t": 4_000_000_000_i64})]);

    // Moved by a create, changed by an update, deleted.
    let body = json!({"id": first, "trace_id": two, "project_name": "p", "start_time": START});
    server.api.post(&format!("{SPANS}/batch"), &json!({"spans": [body]})).await.expect(204);
    assert_eq!(told(server.api.trace(&one).await), [json!(1), json!(0), json!(true), json!({"t": 2_000_000_000})]);
    let update =
        json!({"trace_id": two, "project_name": "p", "type": "llm", "usage": {"u": 1}, "total_estimated_cost": 7});
    server.api.patch(&format!("{SPANS}/{first}"), &update).await.expect(204);
    let moved = server.api.trace(&two).await;
    assert_eq!(moved["total_estimated_cost"], 7);
    assert_eq!(told(moved), [json!(1), json!(1), json!(false), json!({"u": 1})]);
    server.api.delete(&format!("{SPANS}/{first}")).await.expect(204);
    let empty = server.api.trace(&two).await;
    assert!(empty.get("total_estimated_cost").is_none(), "{empty}");
    assert_eq!(told(empty), [json!(0), json!(0), json!(false), Value::Null]);
    recounted(&server);
}

#[tokio::test]
async fn scores_of_the_spans_are_averaged_over_all_of_them() {
    let server = Server::start().await;
    let id = trace(&server, json!({})).await;
    let (first, second) = (span(&server, &id, json!({"type": "llm"})).await, span(&server, &id, json!({})).await);
    let score = |of: &str, author: &str, value: f64, reason: Value| json!({"id": of, "name": "q", "author": author, "value": value, "source": "sdk", "reason": reason});
    let scores = [
        score(&first, "a", 1.0, json!("why")),
        score(&first, "b", 0.0, Value::Null),
        score(&second, "a", 1.0, Value::Null),
    ];
    server.api.put(&format!("{SPANS}/feedback-scores"), &json!({"scores": scores})).await.expect(204);
    let listed = server.api.get(&format!("{TRACES}?project_name=p")).await.json()["content"][0].clone();
    for shown in [server.api.trace(&id).await, listed] {
        assert!(shown.get("feedback_scores").is_none());
        let scores = shown["span_feedback_scores"].as_array().unwrap();
        assert_eq!(scores.len(), 1);
        let score = &scores[0];
        assert_eq!(score["value"].to_string(), "0.666666666");
        assert_eq!((&score["reason"], &score["created_by"]), (&json!("why"), &json!("admin")));
        let by_author = score["value_by_author"].as_object().unwrap();
        assert_eq!(by_author.len(), 3);
        let entry = &by_author[&format!("a_{first}")];
        assert_eq!(
            (&entry["span_type"], &entry["span_id"], &entry["value"]),
            (&json!("llm"), &json!(first), &json!(1))
        );
        assert!(by_author[&format!("a_{second}")].get("span_type").is_none());
    }
    server.api.get(&format!("{TRACES}/feedback-scores/names")).await.expect(400);
}

/// A trace takes all that belongs to it, and nothing of others.
#[tokio::test]
async fn a_deleted_trace_is_gone_with_its_spans_and_all_that_was_said_of_them() {
    let server = Server::start().await;
    for many in [false, true] {
        let mut traces = Vec::new();
        for _ in 0..3 {
            let id = trace(&server, json!({"input": "x", "thread_id": "t"})).await;
            let spans = [
                span(&server, &id, json!({"input": "x", "usage": {"t": 1}})).await,
                span(&server, &id, json!({"project_name": "other"})).await,
            ];
            let targets = [(TRACES, &id), (SPANS, &spans[0]), (SPANS, &spans[1])];
            for (path, of) in targets {
                let score = json!({"name": "q", "value": 1, "source": "ui"});
                server.api.put(&format!("{path}/{of}/feedback-scores"), &score).await.expect(204);
                server.api.post(&format!("{path}/{of}/comments"), &json!({"text": "x"})).await.expect(201);
            }
            traces.push((id, spans));
        }
        let kept = traces.pop().unwrap();
        if many {
            let body = json!({"ids": [traces[0].0, fresh_id(), traces[1].0, traces[0].0]});
            server.api.post(&format!("{TRACES}/delete"), &body).await.expect(204);
        } else {
            for (id, _) in &traces {
                server.api.delete(&format!("{TRACES}/{id}")).await.expect(204);
                server.api.delete(&format!("{TRACES}/{id}")).await.expect(204);
            }
        }
        for (id, spans) in &traces {
            server.api.get(&format!("{TRACES}/{id}")).await.expect(404);
            for span in spans {
                server.api.get(&format!("{SPANS}/{span}")).await.expect(404);
            }
        }
        let whole = server.api.trace(&kept.0).await;
        assert_eq!((&whole["span_count"], whole["comments"].as_array().unwrap().len()), (&json!(1), 1));
        for (table, wanted) in [
            ("traces", 1),
            ("trace_payloads", 1),
            ("spans", 2),
            ("span_payloads", 1),
            ("scores", 3),
            ("comments", 3),
            ("trace_sums", 2),
        ] {
            assert_eq!(server.home.rows(table), wanted, "{table}");
        }
        recounted(&server);
        // A write that comes later is a new one.
        let again = trace(&server, json!({"id": traces[0].0, "project_name": "elsewhere"})).await;
        let again = server.api.trace(&again).await;
        assert_eq!(
            ["input", "comments", "feedback_scores", "span_feedback_scores", "thread_id"].map(|name| again.get(name)),
            [None; 5]
        );
        assert_eq!(again["span_count"], 0);
        let rest = json!({"ids": [kept.0, traces[0].0]});
        server.api.post(&format!("{TRACES}/delete"), &rest).await.expect(204);
        recounted(&server);
    }
}

#[tokio::test]
async fn a_trace_that_was_only_updated_is_there_and_is_completed_later() {
    let server = Server::start().await;
    let id = fresh_id();
    let update =
        json!({"end_time": "2024-01-15T09:30:05Z", "output": {"z": 1}, "tags_to_add": ["t"], "project_name": "p"});
    server.api.patch(&format!("{TRACES}/{id}"), &update).await.expect(204);
    let partial = server.api.trace(&id).await;
    assert_eq!((&partial["start_time"], &partial["environment"]), (&json!("1970-01-01T00:00:00Z"), &json!("")));
    assert!(partial.get("duration").is_none() && partial.get("visibility_mode").is_none(), "{partial}");
    assert_eq!(server.api.get(&format!("{TRACES}?project_name=p")).await.json()["total"], 1);
    // It lies in another project than the update said.
    let body = json!({"id": id, "start_time": START, "name": "created", "project_name": "q"});
    server.api.create_trace(&body).await;
    let whole = server.api.trace(&id).await;
    assert_eq!(
        [&whole["output"], &whole["duration"], &whole["name"], &whole["tags"], &whole["visibility_mode"]],
        [&json!({"z": 1}), &json!(5_000.0), &json!("created"), &json!(["t"]), &json!("default")]
    );
    assert_eq!(whole["created_at"], partial["created_at"]);
    for (project, total) in [("p", 0), ("q", 1)] {
        assert_eq!(server.api.get(&format!("{TRACES}?project_name={project}")).await.json()["total"], total);
    }
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
        ("name", none.clone(), json!("created")),
        ("end_time", json!("2024-01-15T09:31:00Z"), json!("2024-01-15T09:31:00Z")),
        ("input", json!([1]), json!([1])),
        ("input", none.clone(), none.clone()),
        ("output", json!("text"), json!("text")),
        ("output", none.clone(), none.clone()),
        ("metadata", json!({}), json!({})),
        ("metadata", none.clone(), none.clone()),
        ("tags", json!(["b"]), json!(["b"])),
        ("tags", json!([]), none.clone()),
        ("tags", none.clone(), json!(["a"])),
        ("tags_to_add", json!(["z", "a"]), json!(["a", "z"])),
        ("tags_to_remove", json!(["a"]), none.clone()),
        ("thread_id", json!("other"), json!("other")),
        ("thread_id", json!(" "), json!("thread")),
        ("environment", json!("test"), json!("test")),
        ("environment", json!(""), json!("")),
        ("environment", none.clone(), json!("prod")),
        ("source", json!("evaluator"), json!("evaluator")),
        ("ttft", json!(2.5), json!(2.5)),
        (
            "error_info",
            json!({"exception_type": "E", "traceback": ""}),
            json!({"exception_type": "E", "traceback": "(no traceback)"}),
        ),
    ] {
        for update_first in [true, false] {
            let id = fresh_id();
            let create = json!({"id": id, "start_time": START, "name": "created", "input": {"q": 1}, "output": {"a": 1},
                "metadata": {"k": 1}, "tags": ["a"], "environment": "prod", "source": "sdk", "ttft": 1,
                "thread_id": "thread"});
            if !update_first {
                server.api.create_trace(&create).await;
            }
            server.api.patch(&format!("{TRACES}/{id}"), &json!({member: stated})).await.expect(204);
            if update_first {
                server.api.create_trace(&create).await;
            }
            let stored = server.api.trace(&id).await;
            let shown = if member.starts_with("tags") { "tags" } else { member };
            assert_eq!(stored[shown], wanted, "{member} {stated}, update first: {update_first}");
        }
    }
    recounted(&server);
}

#[tokio::test]
async fn many_traces_are_updated_alike() {
    let server = Server::start().await;
    let ids = [trace(&server, json!({"tags": ["a"]})).await, trace(&server, json!({"tags": ["b"]})).await];
    let all = json!([ids[0], fresh_id(), ids[1], ids[0]]);
    for (update, merge, wanted) in [
        (json!({"name": "new", "project_name": "ignored", "source": "evaluator"}), false, [json!(["a"]), json!(["b"])]),
        (json!({"tags": ["c"]}), true, [json!(["a", "c"]), json!(["b", "c"])]),
        (
            json!({"tags_to_add": ["d"], "tags_to_remove": ["c"], "tags": ["no"]}),
            true,
            [json!(["a", "d"]), json!(["b", "d"])],
        ),
        (json!({"tags": ["e"]}), false, [json!(["e"]), json!(["e"])]),
        (json!({"tags": []}), false, [Value::Null, Value::Null]),
    ] {
        let body = json!({"ids": all, "update": update, "merge_tags": merge});
        server.api.patch(&format!("{TRACES}/batch"), &body).await.expect(204);
        for (id, wanted) in ids.iter().zip(wanted) {
            let stored = server.api.trace(id).await;
            assert_eq!((&stored["name"], &stored["source"]), (&json!("new"), &json!("evaluator")));
            assert_eq!(stored["tags"], wanted, "{update}");
        }
    }
    assert_eq!(server.api.get(&format!("{TRACES}?project_name=p")).await.json()["total"], 2);
    server.api.get(&format!("{TRACES}?project_name=ignored")).await.expect(404);
    recounted(&server);
}

#[tokio::test]
async fn scores_and_comments_of_a_trace_come_and_go() {
    let server = Server::start().await;
    let id = trace(&server, json!({})).await;
    let scores = format!("{TRACES}/{id}/feedback-scores");
    let give = |body: Value| {
        let (api, path) = (server.api.clone(), scores.clone());
        async move { api.put(&path, &body).await.expect(204) }
    };
    give(json!({"name": "q", "value": 0.1, "source": "ui", "reason": "why", "category_name": "c"})).await;
    give(json!({"name": "q", "value": 0.2, "source": "ui"})).await;
    let queue = fresh_id();
    let other = json!({"scores": [{"id": id, "name": "r", "value": 1, "source": "sdk", "author": "anna", "source_queue_id": queue}]});
    server.api.put(&format!("{TRACES}/feedback-scores"), &other).await.expect(204);
    let shown = server.api.trace(&id).await;
    assert_eq!(shown["feedback_scores"].as_array().unwrap().len(), 2);
    let score = &shown["feedback_scores"][0];
    assert_eq!((&score["value"], score.get("reason"), &score["created_by"]), (&json!(0.2), None, &json!("admin")));
    assert_eq!(shown["feedback_scores"][1]["value_by_author"]["anna"]["source_queue_id"], queue);
    let project = shown["project_id"].as_str().unwrap();
    let names =
        server.api.get(&format!("{TRACES}/feedback-scores/names?project_id={project}")).await.expect(200).json();
    assert_eq!(names, json!({"scores": [{"name": "q"}, {"name": "r"}]}));
    // Those given in a queue go only by its name.
    for (body, left) in [
        (json!({"name": "r"}), 2),
        (json!({"name": "r", "source_queue_id": queue, "author": "bert"}), 2),
        (json!({"name": "r", "source_queue_id": queue}), 1),
        (json!({"name": "q", "author": "admin"}), 0),
    ] {
        server.api.post(&format!("{scores}/delete"), &body).await.expect(204);
        let shown = server.api.trace(&id).await;
        assert_eq!(shown["feedback_scores"].as_array().map_or(0, Vec::len), left, "{body}");
    }

    let comments = format!("{TRACES}/{id}/comments");
    let answer = server.api.post(&format!("/api{comments}"), &json!({"text": "said", "source_queue_id": queue})).await;
    let comment = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.expect(201).header("location"), format!("/api{comments}/{comment}"));
    let read = server.api.get(&format!("{comments}/{comment}")).await.expect(200).json();
    assert_eq!((&read["text"], &read["created_by"]), (&json!("said"), &json!("admin")));
    let elsewhere = trace(&server, json!({})).await;
    server.api.get(&format!("{TRACES}/{elsewhere}/comments/{comment}")).await.expect(404);
    server.api.get(&format!("{SPANS}/{id}/comments/{comment}")).await.expect(404);
    server.api.patch(&format!("{TRACES}/comments/{comment}"), &json!({"text": "changed"})).await.expect(204);
    assert_eq!(server.api.trace(&id).await["comments"][0]["text"], "changed");
    server.api.post(&format!("{TRACES}/comments/delete"), &json!({"ids": [comment, fresh_id()]})).await.expect(204);
    assert!(server.api.trace(&id).await.get("comments").is_none());
    server.api.patch(&format!("{TRACES}/comments/{comment}"), &json!({"text": "gone"})).await.expect(404);
}

/// Workspaces know nothing of each other.
#[tokio::test]
async fn a_trace_of_one_workspace_is_not_in_another() {
    let server = Server::start().await;
    let id = trace(&server, json!({})).await;
    let team = |method: &str, path: String| server.api.request(method, &path).header("comet-workspace", "team");
    server.api.send(team("GET", format!("{TRACES}/{id}"))).await.expect(404);
    server.api.send(team("DELETE", format!("{TRACES}/{id}"))).await.expect(204);
    let body = json!({"id": id, "start_time": START, "name": "theirs"}).to_string();
    let request = team("POST", TRACES.to_owned()).header("content-type", "application/json").body(body);
    server.api.send(request).await.expect(201);
    assert!(server.api.trace(&id).await.get("name").is_none());
    assert_eq!(server.api.send(team("GET", format!("{TRACES}/{id}"))).await.expect(200).json()["name"], "theirs");
    recounted(&server);
}
