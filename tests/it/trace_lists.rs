//! Pages, streams and statistics of many traces.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::support::{Server, fresh_id};

const TRACES: &str = "/v1/private/traces";

fn id(number: usize) -> String {
    format!("01a20204-c23a-7bad-84c4-1aba0815{number:04}")
}

/// Forty traces, some with and some without each member, and with up to three spans.
async fn fixed() -> Server {
    let server = Server::start().await;
    let (mut traces, mut spans, mut scores, mut span_scores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..40 {
        let mut trace = json!({"id": id(number), "project_name": "p",
            "start_time": format!("2024-01-15T09:30:{:02}Z", number % 7), "name": format!("Name {}", number % 5)});
        let mut more = |name: &str, value: Value, when: bool| {
            if when {
                trace[name] = value;
            }
        };
        more("end_time", json!(format!("2024-01-15T09:31:{:02}.5Z", number % 11)), number % 3 != 0);
        more("input", json!({"n": number % 6}), number % 5 != 0);
        more("output", json!(format!("text {}", number % 4)), number % 6 != 0);
        more("metadata", json!({"k": number % 3}), number % 7 == 0);
        more("tags", json!([format!("t{}", number % 3), "x"]), number % 3 == 0);
        more("error_info", json!({"exception_type": format!("E{}", number % 2), "traceback": "t"}), number % 9 == 0);
        more("ttft", json!(number % 6), number % 5 == 0);
        more("thread_id", json!(format!("thread {}", number % 4)), number % 2 == 0);
        more("environment", json!(["prod", "test"][number % 2]), number % 3 == 1);
        more("source", json!("evaluator"), number % 10 == 0);
        traces.push(trace);
        for below in 0..number % 4 {
            let mut span = json!({"id": id(1000 + number * 10 + below), "trace_id": id(number), "project_name": "p",
                "start_time": "2024-01-15T09:30:00Z", "type": (["llm", "tool", "general"][(number + below) % 3])});
            if below == 0 {
                let tokens = [-3, 0, 2, 5][number / 2 % 4];
                span["usage"] = json!({"tokens": tokens});
            }
            if number % 3 != 0 {
                span["total_estimated_cost"] = json!(number % 5);
                span["provider"] = json!((["openai", "anthropic"][below % 2]));
            }
            if number % 5 == 1 {
                span_scores
                    .push(json!({"id": span["id"], "name": "quality", "value": (number + below) % 3, "source": "sdk"}));
            }
            spans.push(span);
        }
        if number % 4 == 1 {
            let value = [-4, -3, -2, -1, 0, 1, 2, 3][number / 4 % 8];
            scores.push(json!({"id": id(number), "name": "quality", "value": value, "source": "sdk"}));
        }
    }
    server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    server.api.post(&format!("{TRACES}/batch"), &json!({"traces": traces})).await.expect(204);
    server.api.put(&format!("{TRACES}/feedback-scores"), &json!({"scores": scores})).await.expect(204);
    server.api.put("/v1/private/spans/feedback-scores", &json!({"scores": span_scores})).await.expect(204);
    server.api.post(&format!("{TRACES}/{}/comments", id(3)), &json!({"text": "said"})).await.expect(201);
    server.api.create_trace(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "other"})).await;
    server
}

async fn ask(server: &Server, path: &str, query: &[(&str, &str)]) -> Value {
    server.api.send(server.api.request("GET", &format!("{TRACES}{path}")).query(query)).await.expect(200).json()
}

/// A page of the project `p`.
async fn page(server: &Server, query: &[(&str, &str)]) -> Value {
    let all: Vec<_> = [("project_name", "p")].into_iter().chain(query.iter().copied()).collect();
    ask(server, "", &all).await
}

fn content(page: &Value) -> &Vec<Value> {
    page["content"].as_array().unwrap()
}

fn ids<'a>(traces: impl IntoIterator<Item = &'a Value>) -> Vec<&'a str> {
    traces.into_iter().map(|trace| trace["id"].as_str().unwrap()).collect()
}

fn text<'a>(trace: &'a Value, name: &str) -> &'a str {
    trace[name].as_str().unwrap_or_default()
}

#[tokio::test]
async fn without_a_wish_the_newest_ids_come_first() {
    let server = fixed().await;
    let got = page(&server, &[("size", "100")]).await;
    let wanted: Vec<String> = (0..40).rev().map(id).collect();
    assert_eq!(ids(content(&got)), wanted);
    assert_eq!((&got["page"], &got["size"], &got["total"]), (&json!(1), &json!(40), &json!(40)));
    assert_eq!(got["sortable_by"], got["sortableBy"]);
    assert_eq!(content(&page(&server, &[]).await).len(), 10);
    // One by one they are the same.
    for trace in content(&got) {
        assert_eq!(&server.api.trace(trace["id"].as_str().unwrap()).await, trace);
    }
}

/// Every field that can be sorted by, both ways, against a plain sort of what is shown.
#[tokio::test]
async fn traces_are_sorted_as_a_plain_sort_does() {
    let server = fixed().await;
    let all = page(&server, &[("size", "100")]).await;
    let names: Vec<String> = serde_json::from_value(all["sortable_by"].clone()).unwrap();
    assert!(names.len() > 18, "{names:?}");
    for name in names {
        let field = name.replace("usage.*", "usage.tokens").replace("feedback_scores.*", "feedback_scores.quality");
        let number = |trace: &Value| -> (f64, bool) {
            let value = match field.as_str() {
                "usage.tokens" => trace["usage"]["tokens"].as_f64(),
                "feedback_scores.quality" => trace["feedback_scores"][0]["value"].as_f64(),
                _ => trace[&field].as_f64(),
            };
            (value.unwrap_or_default(), value.is_some())
        };
        let shown = |trace: &Value| {
            let mut value = trace.get(&field).cloned().unwrap_or_default();
            // What answers add is not what is stored.
            if let Some(members) = value.as_object_mut() {
                members.remove("providers");
            }
            if value.is_null() || value == json!({}) { String::new() } else { value.to_string() }
        };
        let compare = |left: &Value, right: &Value, descending: bool| -> Ordering {
            let turn = |order: Ordering| if descending { order.reverse() } else { order };
            match field.as_str() {
                // What is missing comes last, whichever way the rest goes.
                "end_time" | "duration" | "ttft" => {
                    let values = match field.as_str() {
                        "end_time" => text(left, &field).cmp(text(right, &field)),
                        _ => number(left).partial_cmp(&number(right)).unwrap(),
                    };
                    left.get(&field).is_none().cmp(&right.get(&field).is_none()).then(turn(values))
                }
                "usage.tokens"
                | "feedback_scores.quality"
                | "total_estimated_cost"
                | "span_count"
                | "llm_span_count" => turn(number(left).partial_cmp(&number(right)).unwrap()),
                "tags" => {
                    let tags = |trace: &Value| {
                        serde_json::from_value::<Vec<String>>(trace["tags"].clone()).unwrap_or_default()
                    };
                    turn(tags(left).cmp(&tags(right)))
                }
                "input" | "output" | "error_info" | "metadata" => turn(shown(left).cmp(&shown(right))),
                // There are no experiments: all are equal.
                "experiment_id" => Ordering::Equal,
                _ => turn(text(left, &field).cmp(text(right, &field))),
            }
        };
        for (descending, direction) in [(false, "ASC"), (true, "DESC")] {
            let mut wanted = content(&all).clone();
            wanted.sort_by(|left, right| {
                compare(left, right, descending).then_with(|| text(right, "id").cmp(text(left, "id")))
            });
            let sorting = json!([{"field": field, "direction": direction}, {"field": "name"}]).to_string();
            let got = page(&server, &[("size", "100"), ("sorting", &sorting)]).await;
            assert_eq!(ids(content(&got)), ids(&wanted), "{field} {direction}");
        }
    }
}

#[tokio::test]
async fn pages_have_no_gaps_and_no_repetitions() {
    let server = fixed().await;
    let filters = r#"[{"field":"llm_span_count","operator":">","value":"0"}]"#;
    let listed = page(&server, &[("size", "100")]).await;
    let with_llm = content(&listed).iter().filter(|trace| trace["llm_span_count"] != 0).count();
    assert!((5..35).contains(&with_llm));
    for (sorting, filters, total) in [
        ("", "", 40),
        (r#"[{"field":"name","direction":"ASC"}]"#, "", 40),
        ("", filters, with_llm),
        (r#"[{"field":"total_estimated_cost"}]"#, filters, with_llm),
    ] {
        let wish = [("sorting", sorting), ("filters", filters)];
        let whole = page(&server, &[("size", "100"), wish[0], wish[1]]).await;
        let mut walked = Vec::new();
        for number in 1..=8 {
            let got = page(&server, &[("size", "6"), ("page", &number.to_string()), wish[0], wish[1]]).await;
            assert_eq!((&got["total"], &got["size"]), (&json!(total), &json!(content(&got).len())), "{wish:?}");
            walked.extend(content(&got).clone());
        }
        assert_eq!(ids(&walked), ids(content(&whole)), "{wish:?}");
        assert_eq!(walked.len(), total);
    }
    let past = page(&server, &[("page", "1000000")]).await;
    assert_eq!((&past["total"], &past["size"], &past["content"]), (&json!(40), &json!(0), &json!([])));
    // There are no annotation queues: nothing is in one.
    let queue = page(&server, &[("annotation_queue_id", &fresh_id())]).await;
    assert_eq!((&queue["total"], &queue["content"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn excluded_members_are_left_out_and_nothing_else() {
    let server = fixed().await;
    let whole = page(&server, &[("size", "100")]).await;
    let validator = "/components/schemas/TraceSearchStreamRequest_Public/properties/exclude/items/enum";
    let members = crate::support::contract().document.pointer(validator).unwrap().as_array().unwrap();
    assert_eq!(members.len(), 28);
    for member in members {
        let exclude = json!([member]).to_string();
        let got = page(&server, &[("size", "100"), ("exclude", &exclude)]).await;
        let member = member.as_str().unwrap();
        for (trace, before) in content(&got).iter().zip(content(&whole)) {
            let mut wanted = before.clone();
            match member {
                "span_count" | "llm_span_count" => wanted[member] = json!(0),
                "has_tool_spans" => wanted[member] = json!(false),
                _ => {
                    wanted.as_object_mut().unwrap().remove(member);
                }
            }
            assert_eq!(trace, &wanted, "{member}");
        }
        // A search knows the same names, and keeps the start.
        let body = json!({"project_name": "p", "exclude": [member], "limit": 100});
        let answer = server.api.post(&format!("{TRACES}/search"), &body).await.expect(200);
        let kept = if member == "start_time" { content(&whole) } else { content(&got) };
        let found: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(&found, kept, "{member}");
    }
}

#[tokio::test]
async fn long_payloads_and_images_are_cut_short_when_asked() {
    let server = Server::start().await;
    let long = json!({"text": "é".repeat(10_000)});
    let image = json!({"image": "data:image/png;base64,iVBORw0KGgoAAAA=", "text": "kept"});
    let cut_image = json!({"image": "[image]", "text": "kept"});
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "input": long, "output": image, "metadata": image});
    let id = server.api.create_trace(&body).await;
    let cut = &page(&server, &[("truncate", "true")]).await["content"][0];
    assert!(long.to_string().starts_with(cut["input"].as_str().unwrap()));
    assert!((9_999..=10_001).contains(&cut["input"].as_str().unwrap().len()));
    assert_eq!((&cut["output"], &cut["metadata"]), (&cut_image, &cut_image));
    for whole in [page(&server, &[]).await["content"][0].clone(), server.api.trace(&id).await] {
        assert_eq!((&whole["input"], &whole["output"]), (&long, &image));
    }
    for (truncate, wanted) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
        let body = json!({"project_name": "p", "truncate": truncate, "strip_attachments": true});
        let answer = server.api.post(&format!("{TRACES}/search"), &body).await;
        assert_eq!(answer.text().contains("[image]"), wanted);
    }
}

#[tokio::test]
async fn a_text_is_searched_in_every_text_of_a_trace() {
    let server = Server::start().await;
    let id = fresh_id();
    let body = json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p", "name": "NAME É",
        "input": {"q": "input"}, "output": ["output"], "metadata": {"m": "metadata"}, "tags": ["one", "Tag"],
        "thread_id": "conversation", "error_info": {"exception_type": "ValueError", "traceback": "lines"},
        "environment": "environment"});
    server.api.create_trace(&body).await;
    let span = json!({"trace_id": id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p", "name": "below"});
    server.api.create(&span).await;
    server.api.create_trace(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
    for (search, total) in [
        (id.as_str(), 1),
        (&id[5..], 1),
        ("name é", 1),
        ("INPUT", 1),
        ("output", 1),
        ("metadata", 1),
        ("tag", 1),
        ("CONVERS", 1),
        ("valueerror", 1),
        ("n_me", 1),
        ("in%ut", 1),
        (" input ", 1),
        ("environment", 0),
        ("below", 0),
        ("nowhere", 0),
        (" ", 2),
        ("\\%", 0),
    ] {
        let query = [("project_name", "p"), ("search", search)];
        assert_eq!(ask(&server, "", &query).await["total"], total, "{search:?}");
        let stats = ask(&server, "/stats", &query).await;
        assert_eq!(stats["stats"][0]["value"].as_u64().unwrap_or_default(), total, "{search:?}");
    }
}

#[tokio::test]
async fn times_bound_the_ids() {
    let server = Server::start().await;
    // 1,700,000,000,000 ms and the two beside it.
    let made = [
        "018bcfe5-67ff-7fff-bfff-ffffffffffff",
        "018bcfe5-6800-7000-8000-000000000000",
        "018bcfe5-6801-7000-8000-000000000000",
    ];
    for id in made {
        server.api.create_trace(&json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
    }
    let at = "2023-11-14T22:13:20Z";
    for (from, to, wanted) in [
        (at, "", vec![2, 1]),
        ("", at, vec![1, 0]),
        (at, "2023-11-14T22:13:20.0009Z", vec![1]),
        ("", "", vec![2, 1, 0]),
    ] {
        let wanted: Vec<_> = wanted.into_iter().map(|at: usize| made[at]).collect();
        let got = page(&server, &[("from_time", from), ("to_time", to)]).await;
        assert_eq!((ids(content(&got)), &got["total"]), (wanted.clone(), &json!(wanted.len())), "{from} {to}");
        let time = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        let body = json!({"project_name": "p", "from_time": time(from), "to_time": time(to)});
        let answer = server.api.post(&format!("{TRACES}/search"), &body).await.expect(200);
        let found: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(ids(&found), wanted, "{from} {to}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_ended() {
    let server = fixed().await;
    let search = format!("{TRACES}/search");
    for filters in [json!([]), json!([{"field": "llm_span_count", "operator": ">", "value": "0"}])] {
        let mut walked: Vec<Value> = Vec::new();
        loop {
            let last = walked.last().map(|trace: &Value| trace["id"].clone());
            let body = json!({"project_name": "P", "limit": 7, "last_retrieved_id": last, "filters": filters});
            let answer = server.api.post(&search, &body).await.expect(200);
            assert_eq!(answer.header("content-type"), "application/octet-stream");
            let text = answer.text();
            let lines = text.split_terminator("\r\n").map(|line| serde_json::from_str(line).unwrap());
            let before = walked.len();
            walked.extend(lines);
            if walked.len() - before < 7 {
                break;
            }
        }
        let listed = page(&server, &[("size", "100"), ("filters", &filters.to_string())]).await;
        assert_eq!(&walked, content(&listed));
    }
    let by_id = json!({"project_id": content(&page(&server, &[]).await)[0]["project_id"], "project_name": "no such"});
    assert_eq!(server.api.post(&search, &by_id).await.expect(200).text().lines().count(), 40);
    server.api.post(&search, &json!({"project_name": "nothing"})).await.expect(404);
}

/// Every figure, against sums over what a list shows.
#[tokio::test]
async fn statistics_are_those_of_the_traces() {
    let server = fixed().await;
    let named = r#"[{"field":"name","operator":"contains","value":"1"}]"#;
    for filters in ["", named] {
        let query = [("project_name", "p"), ("size", "100"), ("filters", filters)];
        let listed = page(&server, &query[1..]).await;
        let traces = content(&listed);
        assert!(traces.len() > 7);
        let stats = ask(&server, "/stats", &query).await;
        let with = |name: &str| traces.iter().filter(|trace| trace.get(name).is_some()).count();
        let all = |of: &dyn Fn(&Value) -> Option<f64>| -> Vec<f64> { traces.iter().filter_map(of).collect() };
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let mean = |values: &[f64]| sum(values) / values.len() as f64;
        let mut durations = all(&|trace| trace["duration"].as_f64());
        durations.sort_by(f64::total_cmp);
        let quantile = |fraction: f64| {
            let place = fraction * (durations.len() - 1) as f64;
            let (low, high) = (durations[place.floor() as usize], durations[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        let tags = all(&|trace| Some(trace["tags"].as_array().map_or(0, Vec::len) as f64));
        let costs = all(&|trace| trace["total_estimated_cost"].as_f64());
        let usage = all(&|trace| trace["usage"]["tokens"].as_f64());
        let score = |list: &'static str| all(&move |trace: &Value| trace[list][0]["value"].as_f64());
        let threads: std::collections::BTreeSet<&str> =
            traces.iter().filter_map(|trace| trace["thread_id"].as_str()).collect();
        let metadata = traces.iter().filter(|trace| trace["metadata"]["k"].is_number()).count();
        let wanted = json!([
            {"name": "trace_count", "type": "COUNT", "value": traces.len()},
            {"name": "duration", "type": "PERCENTAGE", "value": {"p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99)}},
            {"name": "input", "type": "COUNT", "value": with("input")},
            {"name": "output", "type": "COUNT", "value": with("output")},
            {"name": "metadata", "type": "COUNT", "value": metadata},
            {"name": "tags", "type": "AVG", "value": mean(&tags)},
            {"name": "thread_count", "type": "COUNT", "value": threads.len()},
            {"name": "llm_span_count", "type": "AVG", "value": mean(&all(&|trace| trace["llm_span_count"].as_f64()))},
            {"name": "span_count", "type": "AVG", "value": mean(&all(&|trace| trace["span_count"].as_f64()))},
            {"name": "total_estimated_cost", "type": "AVG", "value": mean(&costs)},
            {"name": "total_estimated_cost_sum", "type": "AVG", "value": sum(&costs)},
            {"name": "usage.tokens", "type": "AVG", "value": mean(&usage)},
            {"name": "usage_sum.tokens", "type": "AVG", "value": sum(&usage)},
            {"name": "feedback_scores.quality", "type": "AVG", "value": mean(&score("feedback_scores"))},
            {"name": "span_feedback_scores.quality", "type": "AVG", "value": mean(&score("span_feedback_scores"))},
            {"name": "guardrails_failed_count", "type": "COUNT", "value": 0},
            {"name": "error_count", "type": "COUNT", "value": with("error_info")},
        ]);
        let (got, wanted) = (stats["stats"].as_array().unwrap(), wanted.as_array().unwrap());
        assert_eq!(got.len(), wanted.len(), "{stats:#}");
        for (got, wanted) in got.iter().zip(wanted) {
            assert_eq!((&got["name"], &got["type"]), (&wanted["name"], &wanted["type"]));
            let near = |left: &Value, right: &Value| (left.as_f64().unwrap() - right.as_f64().unwrap()).abs() < 1e-6;
            let same = match &wanted["value"] {
                Value::Object(parts) => parts.iter().all(|(name, value)| near(&got["value"][name], value)),
                value => near(&got["value"], value),
            };
            assert!(same, "{got} is not {wanted}");
        }
    }
    let nothing = r#"[{"field":"visibility_mode","operator":"=","value":"hidden"}]"#;
    assert_eq!(ask(&server, "/stats", &[("project_name", "p"), ("filters", nothing)]).await, json!({"stats": []}));
}

#[tokio::test]
async fn existence_is_told_by_source_and_conversation() {
    let server = Server::start().await;
    for (project, source, thread) in
        [("p", None, None), ("p", Some("playground"), None), ("q", Some("evaluator"), Some("t"))]
    {
        let body = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": project, "source": source, "thread_id": thread});
        server.api.create_trace(&body).await;
    }
    for (project, source, threads, exists) in [
        ("p", "", "", true),
        ("p", "sdk", "false", true),
        ("p", "playground", "", true),
        ("p", "experiment", "", false),
        ("p", "", "true", false),
        ("q", "sdk", "", false),
        ("q", "evaluator", "true", true),
        ("Default Project", "", "", false),
    ] {
        let query = [("project_name", project), ("source", source), ("thread_only", threads)];
        assert_eq!(ask(&server, "/exists", &query).await, json!({"exists": exists}), "{query:?}");
    }
}
