//! Pages, streams and statistics of many spans.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "numbers of some forty spans"
)]

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::support::{Server, fresh_id, in_workspace};

const SPANS: &str = "/v1/private/spans";

fn id(number: usize) -> String {
    format!("01a20204-c23a-7bad-84c4-1aba0815{number:04}")
}

/// Forty spans in three traces, some with and some without each member.
async fn fixed() -> Server {
    let server = Server::start().await;
    let spans: Vec<Value> = (0..40)
        .map(|number| {
            let mut span = json!({"id": id(number), "trace_id": id(1000 + number % 3), "project_name": "p",
                "start_time": format!("2024-01-15T09:30:{:02}Z", number % 7), "name": format!("Name {}", number % 5)});
            let mut more = |name: &str, value: Value, when: bool| {
                if when {
                    span[name] = value;
                }
            };
            more("parent_span_id", json!(id(2000 + number % 4)), number % 2 == 0);
            more("type", json!(["tool", "llm", "general"][number % 3]), number % 4 != 0);
            more("end_time", json!(format!("2024-01-15T09:31:{:02}.5Z", number % 11)), number % 3 != 0);
            more("input", json!({"n": number % 6}), number % 5 != 0);
            more("output", json!(format!("text {}", number % 4)), number % 6 != 0);
            more("metadata", json!({"k": number % 3}), number % 7 == 0);
            more("model", json!(format!("m{}", number % 3)), number % 2 == 1);
            more("provider", json!("openai"), number % 8 == 0);
            more("tags", json!([format!("t{}", number % 3), "x"]), number % 3 == 0);
            let tokens = [-3, 0, 2, 5][number / 2 % 4];
            more("usage", json!({"tokens": tokens}), number % 2 == 0);
            more(
                "error_info",
                json!({"exception_type": format!("E{}", number % 2), "traceback": "t"}),
                number % 9 == 0,
            );
            more("total_estimated_cost", json!(number % 5), number % 2 == 0);
            more("ttft", json!(number % 6), number % 5 == 0);
            more("environment", json!(["prod", "test"][number % 2]), number % 3 == 1);
            span
        })
        .collect();
    server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    let scores: Vec<Value> = (0..40)
        .filter(|number| number % 4 == 1)
        .map(|number| json!({"id": id(number), "name": "quality", "value": ([-4, -3, -2, -1, 0, 1, 2, 3][number % 8]), "source": "sdk"}))
        .collect();
    server.api.raw("PUT", "/v1/private/spans/feedback-scores", json!({"scores": scores}).to_string()).await.expect(204);
    server
}

async fn page(server: &Server, query: &[(&str, &str)]) -> Value {
    server.api.send(server.api.request("GET", SPANS).query(query)).await.expect(200).json()
}

fn ids(page: &Value) -> Vec<String> {
    page["content"].as_array().unwrap().iter().map(|span| span["id"].as_str().unwrap().to_owned()).collect()
}

fn text<'a>(span: &'a Value, name: &str) -> &'a str {
    span[name].as_str().unwrap_or_default()
}

/// Newest trace first, in it children before roots, then newest id first.
fn by_trace(left: &Value, right: &Value) -> Ordering {
    ["trace_id", "parent_span_id", "id"]
        .iter()
        .map(|name| text(right, name).cmp(text(left, name)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[tokio::test]
async fn without_a_wish_traces_come_newest_first_and_roots_last() {
    let server = fixed().await;
    let got = page(&server, &[("project_name", "p"), ("size", "100")]).await;
    let mut wanted = got["content"].as_array().unwrap().clone();
    wanted.sort_by(by_trace);
    assert_eq!(got["content"], json!(wanted));
    assert_eq!((&got["page"], &got["size"], &got["total"]), (&json!(1), &json!(40), &json!(40)));
    assert_eq!(got["sortable_by"], got["sortableBy"]);
}

/// Every field that can be sorted by, both ways, against a plain sort of what is shown.
#[tokio::test]
async fn spans_are_sorted_as_a_plain_sort_does() {
    let server = fixed().await;
    let all = page(&server, &[("project_name", "p"), ("size", "100")]).await;
    let names: Vec<String> = serde_json::from_value(all["sortable_by"].clone()).unwrap();
    let types = ["", "general", "tool", "llm", "guardrail"];
    for name in names {
        let field = name.replace("usage.*", "usage.tokens").replace("feedback_scores.*", "feedback_scores.quality");
        let number = |span: &Value| -> (f64, bool) {
            let value = match field.as_str() {
                "usage.tokens" => span["usage"]["tokens"].as_f64(),
                "feedback_scores.quality" => span["feedback_scores"][0]["value"].as_f64(),
                _ => span[&field].as_f64(),
            };
            (value.unwrap_or_default(), value.is_some())
        };
        for descending in [false, true] {
            let compare = |left: &Value, right: &Value| -> Ordering {
                let turn = |order: Ordering| if descending { order.reverse() } else { order };
                match field.as_str() {
                    // What is missing comes last, whichever way the rest goes.
                    "end_time" | "duration" | "ttft" => {
                        let missing = left.get(&field).is_none().cmp(&right.get(&field).is_none());
                        let values = match field.as_str() {
                            "end_time" => text(left, &field).cmp(text(right, &field)),
                            _ => number(left).partial_cmp(&number(right)).unwrap(),
                        };
                        missing.then(turn(values))
                    }
                    "usage.tokens" | "feedback_scores.quality" | "total_estimated_cost" => {
                        turn(number(left).partial_cmp(&number(right)).unwrap())
                    }
                    "type" => {
                        let rank = |span: &Value| types.iter().position(|name| *name == text(span, "type"));
                        turn(rank(left).cmp(&rank(right)))
                    }
                    "tags" => {
                        let tags = |span: &Value| -> Vec<String> {
                            serde_json::from_value(span["tags"].clone()).unwrap_or_default()
                        };
                        turn(tags(left).cmp(&tags(right)))
                    }
                    "input" | "output" | "error_info" | "metadata" => {
                        let shown = |span: &Value| {
                            let mut value = span.get(&field).cloned().unwrap_or_default();
                            // What answers add is not what is stored.
                            if let Some(members) = value.as_object_mut() {
                                members.remove("provider");
                            }
                            if value.is_null() || (field == "metadata" && value == json!({})) {
                                String::new()
                            } else {
                                value.to_string()
                            }
                        };
                        turn(shown(left).cmp(&shown(right)))
                    }
                    _ => turn(text(left, &field).cmp(text(right, &field))),
                }
            };
            let mut wanted = all["content"].as_array().unwrap().clone();
            wanted.sort_by(|left, right| compare(left, right).then_with(|| by_trace(left, right)));
            let direction = if descending { "DESC" } else { "ASC" };
            let sorting = json!([{"field": field, "direction": direction}, {"field": "name"}]).to_string();
            let got = page(&server, &[("project_name", "p"), ("size", "100"), ("sorting", &sorting)]).await;
            assert_eq!(ids(&got), ids(&json!({"content": wanted})), "{field} {direction}");
        }
    }
}

#[tokio::test]
async fn wishes_that_mean_nothing_are_passed_over_or_refused() {
    let server = fixed().await;
    let default = ids(&page(&server, &[("project_name", "p"), ("size", "50")]).await);
    for sorting in ["", "[]", r#"[{"field":"nothing"}]"#, r#"[{"field":"usage."}]"#, r#"[{"field":"source"}]"#] {
        assert_eq!(ids(&page(&server, &[("project_name", "p"), ("size", "50"), ("sorting", sorting)]).await), default);
    }
    for (name, value) in [
        ("sorting", "x"),
        ("sorting", r#"[{"field":"name","direction":"down"}]"#),
        ("exclude", r#"["nothing"]"#),
        ("exclude", "x"),
        ("page", "0"),
        ("page", "-1"),
        ("page", "x"),
        ("size", "0"),
        ("size", "99999999999"),
        ("type", "nothing"),
        ("trace_id", "x"),
        ("truncate", "maybe"),
        ("from_time", "yesterday"),
        ("filters", "x"),
    ] {
        let query = [("project_name", "p"), (name, value)];
        server.api.send(server.api.request("GET", SPANS).query(&query)).await.expect(400);
    }
}

#[tokio::test]
async fn pages_have_no_gaps_and_no_repetitions() {
    let server = fixed().await;
    for sorting in ["", r#"[{"field":"name","direction":"ASC"}]"#] {
        let all = ids(&page(&server, &[("project_name", "p"), ("size", "100"), ("sorting", sorting)]).await);
        let mut walked = Vec::new();
        for number in 1..=8 {
            let got = page(
                &server,
                &[("project_name", "P"), ("size", "6"), ("page", &number.to_string()), ("sorting", sorting)],
            )
            .await;
            assert_eq!((got["total"].as_u64(), got["size"].as_u64()), (Some(40), Some(ids(&got).len() as u64)));
            walked.extend(ids(&got));
        }
        assert_eq!(walked, all);
    }
    let past = page(&server, &[("project_name", "p"), ("page", "1000000")]).await;
    assert_eq!((&past["total"], &past["size"], &past["content"]), (&json!(40), &json!(0), &json!([])));
}

#[tokio::test]
async fn a_page_of_any_size_is_streamed_whole() {
    let server = Server::start().await;
    for _ in 0..3 {
        let spans: Vec<Value> = (0..1_000)
            .map(|_| json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "input": "x".repeat(2_000)}))
            .collect();
        server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    }
    let got = page(&server, &[("project_name", "p"), ("size", "1000000")]).await;
    assert_eq!((&got["total"], &got["size"], ids(&got).len()), (&json!(3_000), &json!(3_000), 3_000));
}

#[tokio::test]
async fn excluded_members_are_left_out_and_nothing_else() {
    let server = fixed().await;
    let whole = page(&server, &[("project_name", "p"), ("size", "100")]).await;
    let members = [
        "name",
        "type",
        "start_time",
        "end_time",
        "input",
        "output",
        "metadata",
        "model",
        "provider",
        "tags",
        "usage",
        "error_info",
        "created_at",
        "created_by",
        "last_updated_by",
        "feedback_scores",
        "comments",
        "total_estimated_cost",
        "total_estimated_cost_version",
        "duration",
        "ttft",
        "source",
        "environment",
    ];
    for member in members {
        let exclude = json!([member]).to_string();
        let got = page(&server, &[("project_name", "p"), ("size", "100"), ("exclude", &exclude)]).await;
        for (span, before) in got["content"].as_array().unwrap().iter().zip(whole["content"].as_array().unwrap()) {
            let mut wanted = before.clone();
            let provider = wanted["provider"].clone();
            match member {
                // The provider stands in the metadata, unless it is left out itself.
                "metadata" if !provider.is_null() => wanted["metadata"] = json!({"provider": provider}),
                "provider" if !provider.is_null() => {
                    wanted["metadata"].as_object_mut().unwrap().remove("provider");
                    if wanted["metadata"] == json!({}) {
                        wanted.as_object_mut().unwrap().remove("metadata");
                    }
                    wanted.as_object_mut().unwrap().remove("provider");
                }
                _ => {
                    wanted.as_object_mut().unwrap().remove(member);
                }
            }
            assert_eq!(span, &wanted, "{member}");
        }
    }
}

#[tokio::test]
async fn long_payloads_and_images_are_cut_short_when_asked() {
    let server = Server::start().await;
    let long = json!({"text": "é".repeat(10_000)});
    let image = json!({"image": "data:image/png;base64,iVBORw0KGgoAAAA=", "text": "kept"});
    server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "input": long, "output": image, "metadata": image})).await;
    let cut = &page(&server, &[("project_name", "p"), ("truncate", "true")]).await["content"][0];
    assert!(long.to_string().starts_with(cut["input"].as_str().unwrap()));
    assert!((9_999..=10_001).contains(&cut["input"].as_str().unwrap().len()));
    assert_eq!(
        (&cut["output"], &cut["metadata"]),
        (&json!({"image": "[image]", "text": "kept"}), &json!({"image": "[image]", "text": "kept"}))
    );
    let whole = &page(&server, &[("project_name", "p")]).await["content"][0];
    assert_eq!((&whole["input"], &whole["output"]), (&long, &image));
    for (truncate, wanted) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
        let answer =
            server.api.post("/v1/private/spans/search", &json!({"project_name": "p", "truncate": truncate})).await;
        assert_eq!(answer.text().contains("[image]"), wanted);
    }
}

#[tokio::test]
async fn what_few_have_is_found_behind_many() {
    // More than are gone through before all are read.
    const SPANS: usize = 6_000;
    let server = Server::start().await;
    let mut ids: Vec<String> = (0..SPANS).map(|_| fresh_id()).collect();
    ids.sort_unstable();
    for (batch, ids) in ids.chunks(1_000).enumerate() {
        let spans = ids.iter().enumerate().map(|(at, id)| {
            let number = batch * 1_000 + at;
            let name = if number.is_multiple_of(3) { "third" } else { "other" };
            let kind = if number < 2 { "guardrail" } else { "llm" };
            json!({"id": id, "trace_id": id, "project_name": "p", "start_time": "2024-01-15T09:30:00Z", "name": name,
                "type": kind, "input": if number == 4_000 { "needle" } else { "hay" }})
        });
        server.api.post("/v1/private/spans/batch", &json!({"spans": spans.collect::<Vec<_>>()})).await.expect(204);
    }
    let newest =
        |step: usize| (0..SPANS).rev().filter(move |number| number.is_multiple_of(step)).map(|number| &ids[number]);
    let filtered =
        |field: &str, operator: &str, value: &str| json!([{"field": field, "operator": operator, "value": value}]);
    for (filters, size, number, wanted) in [
        (filtered("name", "=", "third"), 5, 1, newest(3).take(5).collect::<Vec<_>>()),
        (filtered("name", "=", "third"), 100, 18, newest(3).skip(1_700).take(100).collect()),
        (filtered("name", "=", "third"), 150, 14, newest(3).skip(1_950).collect()),
        (filtered("type", "=", "guardrail"), 5, 1, vec![&ids[1], &ids[0]]),
        (filtered("input", "contains", "HAY"), 3, 1, ids.iter().rev().take(3).collect()),
        (filtered("input", "contains", "needle"), 3, 1, vec![&ids[4_000]]),
        (filtered("input", "contains", "nowhere"), 3, 1, vec![]),
    ] {
        let (size, number) = (size.to_string(), number.to_string());
        let query = [("project_name", "p"), ("size", &size), ("page", &number), ("filters", &filters.to_string())];
        let page = page(&server, &query).await;
        let found: Vec<&str> =
            page["content"].as_array().unwrap().iter().map(|span| span["id"].as_str().unwrap()).collect();
        assert_eq!(found, wanted, "{filters}");
        if number == "1" {
            let body = json!({"project_name": "p", "limit": size.parse::<i32>().unwrap(), "filters": filters});
            let answer = server.api.post("/v1/private/spans/search", &body).await.expect(200);
            let text = answer.text();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let searched: Vec<String> = lines.map(|span| span["id"].as_str().unwrap().to_owned()).collect();
            assert_eq!(searched, found, "{filters}");
        }
    }
}

#[tokio::test]
async fn a_text_is_searched_in_every_text_of_a_span() {
    let server = Server::start().await;
    let (id, trace_id) = (fresh_id(), fresh_id());
    let body = json!({"id": id, "trace_id": trace_id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p", "name": "NAME É", "type": "guardrail",
        "input": {"q": "input"}, "output": ["output"], "metadata": {"m": "metadata"}, "tags": ["one", "Tag"], "model": "model", "provider": "provider",
        "environment": "environment"});
    server.api.create(&body).await;
    server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
    for (search, total) in [
        (id.as_str(), 1),
        (&trace_id[5..], 1),
        ("name é", 1),
        ("GUARD", 1),
        ("INPUT", 1),
        ("output", 1),
        ("metadata", 1),
        ("tag", 1),
        ("model", 1),
        ("provider", 1),
        ("n_me", 1),
        ("in%ut", 1),
        (" input ", 1),
        ("environment", 0),
        ("nowhere", 0),
        (" ", 2),
        ("\\%", 0),
    ] {
        assert_eq!(page(&server, &[("project_name", "p"), ("search", search)]).await["total"], total, "{search:?}");
    }
}

#[tokio::test]
async fn times_bound_the_ids() {
    let server = Server::start().await;
    // 1,700,000,000,000 ms and the two beside it.
    let ids_made = [
        "018bcfe5-67ff-7fff-bfff-ffffffffffff",
        "018bcfe5-6800-7000-8000-000000000000",
        "018bcfe5-6801-7000-8000-000000000000",
    ];
    for id in ids_made {
        server.api.create(&json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
    }
    let at = "2023-11-14T22:13:20Z";
    for (query, wanted) in [
        (vec![("from_time", at)], vec![2, 1]),
        (vec![("to_time", at)], vec![1, 0]),
        (vec![("from_time", at), ("to_time", "2023-11-14T22:13:20.0009Z")], vec![1]),
        (vec![("from_time", ""), ("to_time", "")], vec![2, 1, 0]),
        (vec![("from_time", "1960-01-01T00:00:00Z")], vec![2, 1, 0]),
    ] {
        let all: Vec<_> = [("project_name", "p"), ("sorting", r#"[{"field":"id","direction":"DESC"}]"#)]
            .into_iter()
            .chain(query)
            .collect();
        assert_eq!(
            ids(&page(&server, &all).await),
            wanted.iter().map(|at| ids_made[*at]).collect::<Vec<_>>(),
            "{all:?}"
        );
    }
    let query = [("project_name", "p"), ("from_time", at), ("to_time", at)];
    let answer = server.api.send(server.api.request("GET", SPANS).query(&query)).await.expect(400);
    assert_eq!(answer.errors(), ["Parameter 'from_time' must be before 'to_time'"]);
}

#[tokio::test]
async fn totals_of_times_are_exact_where_there_is_much() {
    const SPANS_MADE: u64 = 11_000;
    const BEGIN: u64 = 1_700_000_000_000;
    let server = Server::start().await;
    let span = |at: u64| {
        let millis = format!("{:012x}", BEGIN + at);
        let id = format!("{}-{}-7000-8000-{at:012x}", &millis[..8], &millis[8..]);
        json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "project_name": "p"})
    };
    for from in (0..SPANS_MADE).step_by(1_000) {
        let spans: Vec<Value> = (from..from + 1_000).map(span).collect();
        server.api.post("/v1/private/spans/batch", &json!({ "spans": spans })).await.expect(204);
    }
    let time = |millis: u64, more: i64| {
        let nanos = i64::try_from(millis * 1_000_000).unwrap() + more;
        spandrel::model::Timestamp::from_nanos(nanos).to_string()
    };
    // Nearly all, some more than half of it, less, and almost nothing.
    for (from, to) in [(0, 10_999), (5, 10_999), (0, 10_990), (7, 10_992), (4_000, 10_999), (9_000, 10_999), (3, 3)] {
        let (from_time, to_time) = (time(BEGIN + from, 0), time(BEGIN + to, 500_000));
        let query = [("project_name", "p"), ("size", "1"), ("from_time", &*from_time), ("to_time", &*to_time)];
        assert_eq!(page(&server, &query).await["total"], to - from + 1, "{from} to {to}");
    }
}

#[tokio::test]
async fn projects_are_found_by_id_or_name_in_their_workspace_and_never_made() {
    let server = fixed().await;
    let project_id =
        page(&server, &[("project_name", "p")]).await["content"][0]["project_id"].as_str().unwrap().to_owned();
    assert_eq!(page(&server, &[("project_id", &project_id), ("project_name", "nothing")]).await["total"], 40);
    for path in [SPANS, "/v1/private/spans/stats", "/v1/private/spans/exists"] {
        let ask = |query: Vec<(&'static str, String)>| server.api.send(server.api.request("GET", path).query(&query));
        assert_eq!(
            ask(vec![("project_name", "no such".to_owned())]).await.expect(404).errors(),
            ["Project name: no such not found"]
        );
        let unknown = fresh_id();
        assert_eq!(
            ask(vec![("project_id", unknown.clone())]).await.expect(404).errors(),
            [format!("Project id: {unknown} not found")]
        );
        ask(vec![]).await.expect(400);
        ask(vec![("project_name", " ".to_owned())]).await.expect(400);
        let foreign = in_workspace(&server, "team", "GET", path).query(&[("project_id", &project_id)]);
        server.api.send(foreign).await.expect(404);
    }
    assert_eq!(server.home.rows("projects"), 2);
}

#[tokio::test]
async fn a_trace_and_a_type_narrow_a_list() {
    let server = fixed().await;
    let all = page(&server, &[("project_name", "p"), ("size", "100")]).await;
    let count =
        |test: &dyn Fn(&Value) -> bool| all["content"].as_array().unwrap().iter().filter(|span| test(span)).count();
    let trace = id(1001);
    for (query, wanted) in [
        (vec![("trace_id", trace.as_str())], count(&|span| span["trace_id"] == trace)),
        (vec![("type", "llm")], count(&|span| span["type"] == "llm")),
        (
            vec![("type", "llm"), ("trace_id", trace.as_str())],
            count(&|span| span["type"] == "llm" && span["trace_id"] == trace),
        ),
        (vec![("type", ""), ("trace_id", "")], 40),
    ] {
        let query: Vec<_> = [("project_name", "p"), ("size", "100")].into_iter().chain(query).collect();
        let got = page(&server, &query).await;
        assert_eq!((got["total"].as_u64().unwrap() as usize, ids(&got).len()), (wanted, wanted), "{query:?}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_ended() {
    let server = fixed().await;
    let mut walked: Vec<String> = Vec::new();
    loop {
        let body = json!({"project_name": "p", "limit": 7, "last_retrieved_id": walked.last(), "exclude": ["input", "start_time"]});
        let answer = server.api.post("/v1/private/spans/search", &body).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        let text = answer.text();
        let lines: Vec<Value> = text.split_terminator("\r\n").map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().all(|span| span.get("start_time").is_some()
            && span.get("input").is_none()
            && span.get("project_name").is_none()));
        walked.extend(lines.iter().map(|span| span["id"].as_str().unwrap().to_owned()));
        if lines.len() < 7 {
            break;
        }
    }
    let wanted: Vec<String> = (0..40).rev().map(id).collect();
    assert_eq!(walked, wanted);
    let nothing = server
        .api
        .post("/v1/private/spans/search", &json!({"project_name": "p", "trace_id": fresh_id()}))
        .await
        .expect(200);
    assert!(nothing.body.is_empty());
    // To JSON Schema, 7.0 is an integer.
    let limits = [
        (json!(0), 422),
        (json!(2001), 422),
        (json!(2000), 200),
        (json!(1), 200),
        (json!(7.0), 200),
        (json!(7.5), 400),
    ];
    for (limit, status) in limits {
        server.api.post("/v1/private/spans/search", &json!({"project_name": "p", "limit": limit})).await.expect(status);
    }
    server.api.post("/v1/private/spans/search", &json!({"project_name": "nothing"})).await.expect(404);
    server.api.post("/v1/private/spans/search", &json!({})).await.expect(400);
}

/// Every figure, against sums over what a list shows.
#[tokio::test]
async fn statistics_are_those_of_the_spans() {
    let server = fixed().await;
    for trace in [String::new(), id(1002)] {
        let query = [("project_name", "p"), ("size", "100"), ("trace_id", &trace)];
        let listed = page(&server, &query).await;
        let spans = listed["content"].as_array().unwrap();
        let stats = server
            .api
            .send(server.api.request("GET", "/v1/private/spans/stats").query(&query))
            .await
            .expect(200)
            .json();
        let with = |name: &str| spans.iter().filter(|span| span.get(name).is_some()).count();
        let values = |name: &str| -> Vec<f64> { spans.iter().filter_map(|span| span[name].as_f64()).collect() };
        let mut durations = values("duration");
        durations.sort_by(f64::total_cmp);
        let quantile = |fraction: f64| {
            let place = fraction * (durations.len() - 1) as f64;
            let (low, high) = (durations[place.floor() as usize], durations[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let mean = |values: &[f64]| sum(values) / values.len() as f64;
        let tags: Vec<f64> = spans.iter().map(|span| span["tags"].as_array().map_or(0, Vec::len) as f64).collect();
        let costs: Vec<f64> = values("total_estimated_cost").into_iter().filter(|cost| *cost > 0.0).collect();
        let usage: Vec<f64> = spans.iter().filter_map(|span| span["usage"]["tokens"].as_f64()).collect();
        let scores: Vec<f64> = spans.iter().filter_map(|span| span["feedback_scores"][0]["value"].as_f64()).collect();
        let stored_metadata = spans.iter().filter(|span| span["metadata"]["k"].is_number()).count();
        let wanted = json!([
            {"name": "span_count", "type": "COUNT", "value": spans.len()},
            {"name": "duration", "type": "PERCENTAGE", "value": {"p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99)}},
            {"name": "input", "type": "COUNT", "value": with("input")},
            {"name": "output", "type": "COUNT", "value": with("output")},
            {"name": "metadata", "type": "COUNT", "value": stored_metadata},
            {"name": "tags", "type": "AVG", "value": mean(&tags)},
            {"name": "total_estimated_cost", "type": "AVG", "value": mean(&costs)},
            {"name": "total_estimated_cost_sum", "type": "AVG", "value": sum(&costs)},
            {"name": "usage.tokens", "type": "AVG", "value": mean(&usage)},
            {"name": "usage_sum.tokens", "type": "AVG", "value": sum(&usage)},
            {"name": "feedback_scores.quality", "type": "AVG", "value": mean(&scores)},
            {"name": "error_count", "type": "COUNT", "value": with("error_info")},
        ]);
        let (got, wanted) = (stats["stats"].as_array().unwrap(), wanted.as_array().unwrap().clone());
        assert_eq!(got.len(), wanted.len(), "{stats:#}");
        for (got, wanted) in got.iter().zip(&wanted) {
            assert_eq!((&got["name"], &got["type"]), (&wanted["name"], &wanted["type"]));
            let near = |left: &Value, right: &Value| (left.as_f64().unwrap() - right.as_f64().unwrap()).abs() < 1e-6;
            let same = match &wanted["value"] {
                Value::Object(parts) => parts.iter().all(|(name, value)| near(&got["value"][name], value)),
                value => near(&got["value"], value),
            };
            assert!(same, "{got} is not {wanted}");
        }
    }
    let query = [("project_name", "p"), ("trace_id", &fresh_id())];
    let nothing = server.api.send(server.api.request("GET", "/v1/private/spans/stats").query(&query)).await.expect(200);
    assert_eq!(nothing.json(), json!({"stats": []}));
}

/// A project that is a good part of the table is summed up in parts; the sums are the same.
#[tokio::test]
async fn statistics_of_the_greatest_costs_are_numbers() {
    let server = Server::start().await;
    for _ in 0..2 {
        let span = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "total_estimated_cost": 1.5e308});
        server.api.post("/v1/private/spans", &span).await.expect(201);
    }
    let stats = server.api.get("/v1/private/spans/stats?project_name=p").await.expect(200).json();
    let sum = stats["stats"].as_array().unwrap().iter().find(|stat| stat["name"] == "total_estimated_cost_sum");
    assert_eq!(sum.unwrap()["value"], json!(f64::MAX));
}

#[tokio::test]
async fn statistics_in_parts_are_those_of_the_whole() {
    let server = Server::start().await;
    for part in 0..25 {
        let spans: Vec<Value> = (0..1_000)
            .map(|number| {
                json!({"start_time": "2024-01-15T09:30:00Z", "end_time": "2024-01-15T09:30:01Z", "project_name": "p",
                "usage": {"tokens": number}, "tags": ["a"], "total_estimated_cost": 1, "name": format!("{part}")})
            })
            .collect();
        server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    }
    let stats = server.api.get("/v1/private/spans/stats?project_name=p").await.expect(200).json();
    let value = |name: &str| {
        stats["stats"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(value("span_count"), 25_000);
    assert_eq!(value("usage_sum.tokens"), json!(25.0 * 499_500.0));
    assert_eq!(value("total_estimated_cost_sum"), json!(25_000.0));
    assert_eq!(value("duration")["p99"], json!(1000.0));
}

#[tokio::test]
async fn existence_is_told_by_source() {
    let server = Server::start().await;
    server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p"})).await;
    server
        .api
        .create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "source": "playground"}))
        .await;
    server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "q", "source": "evaluator"})).await;
    for (project, source, exists) in [
        ("p", "", true),
        ("p", "sdk", true),
        ("p", "playground", true),
        ("p", "experiment", false),
        ("q", "sdk", false),
        ("q", "evaluator", true),
        ("Default Project", "", false),
    ] {
        let query = [("project_name", project), ("source", source)];
        let answer =
            server.api.send(server.api.request("GET", "/v1/private/spans/exists").query(&query)).await.expect(200);
        assert_eq!(answer.json(), json!({"exists": exists}), "{project} {source}");
    }
    server.api.get("/v1/private/spans/exists?project_name=p&source=nothing").await.expect(400);
}

/// A query that takes longer than it may is ended, and leaves the others alone.
#[tokio::test]
async fn a_query_may_not_take_longer_than_it_is_given() {
    let server = Server::with_flags(&["--read-seconds-max", "0"]).await;
    let spans: Vec<Value> =
        (0..1_000).map(|_| json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "p", "input": "x"})).collect();
    server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
    let filters = json!([{"field": "input", "operator": "contains", "value": "nowhere"}]);
    let query = [("project_name", "p"), ("filters", &filters.to_string())];
    for path in [SPANS, "/v1/private/spans/stats"] {
        let answer = server.api.send(server.api.request("GET", path).query(&query)).await.expect(503);
        assert!(answer.errors()[0].contains("took longer than it may"), "{}", answer.text());
    }
    let body = json!({"project_name": "p", "filters": filters});
    server.api.post("/v1/private/spans/search", &body).await.expect(503);
    let id = server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    server.api.span(&id).await;
}

/// Line ends in what was sent are white space: they end no line of a stream.
#[tokio::test]
async fn a_line_of_a_stream_has_all_of_one_span_trace_or_thread() {
    let server = Server::start().await;
    let payload = "{\n  \"a\": [\r\n1,\r \"b\\n\"\n]\n}";
    let body = format!(
        r#"{{"start_time":"2024-01-15T09:30:00Z","project_name":"p","input":{payload},"output":{payload},"metadata":{payload}}}"#
    );
    let trace = body.replacen('{', r#"{"thread_id":"talk","#, 1);
    for (path, body) in [("spans", &body), ("spans", &body), ("traces", &trace), ("traces", &trace)] {
        server.api.raw("POST", &format!("/v1/private/{path}"), body.clone()).await.expect(201);
    }
    for (path, lines) in [("spans", 2), ("traces", 2), ("traces/threads", 1)] {
        let answer =
            server.api.post(&format!("/v1/private/{path}/search"), &json!({"project_name": "p"})).await.expect(200);
        assert!(answer.text().ends_with("\r\n"), "{path}");
        let found: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(found.len(), lines, "{path}");
        if path != "traces/threads" {
            assert_eq!(found[0]["input"], json!({"a": [1, "b\n"]}), "{path}");
        }
    }
}
