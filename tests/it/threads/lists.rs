//! Pages, searches and statistics of threads, held against a plain evaluation in memory.

#![expect(clippy::cast_precision_loss, reason = "numbers of some thirty threads")]

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use spandrel::filter::{Kind, THREAD_FIELDS};

use super::{THREADS, close, create, give, score, thread, trace};
use crate::filters::evaluator::matches;
use crate::support::{Server, fresh_id, time};

/// The name of a thread.
fn name(number: usize) -> String {
    let word = ["alpha", "Beta", "É-gamma", "a%b"][number % 4];
    format!("{word} {number:02}")
}

/// The time of a trace, in seconds of one minute.
fn at(second: usize, fraction: &str) -> String {
    format!("2024-01-15T09:30:{:02}{fraction}Z", second % 60)
}

/// Thirty threads of one to four traces; some with and some without each member.
struct Fixed {
    server: Server,
    /// As a client would work them out of what it sent.
    wanted: BTreeMap<String, Value>,
    /// As the server shows them.
    shown: Vec<Value>,
}

const COUNT: usize = 30;

impl Fixed {
    async fn start() -> Self {
        let server = Server::start().await;
        let (mut traces, mut spans, mut scores, mut wanted) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        for number in 0..COUNT {
            let (mut ends, mut usage, mut cost) = (Vec::new(), BTreeMap::new(), 0);
            let count = number % 4 + 1;
            for which in 0..count {
                let id = fresh_id();
                let mut more = json!({"start_time": at(number % 7 + which, "")});
                let mut add = |member: &str, value: Value, when: bool| {
                    if when {
                        more[member] = value;
                    }
                };
                add("end_time", json!(at(number % 5 * 3 + which * 10, ".25")), (number + which) % 3 != 0);
                add("input", json!({"k": format!("in {} {which}", ["alpha", "ÉTÉ"][number % 2])}), number % 6 != 0);
                add("output", json!(format!("out {} {which}", number % 5)), number % 7 != 0);
                add("environment", json!(["prod", "test"][number % 2]), number % 3 == 0);
                add("source", json!(["sdk", "experiment"][number % 2]), number % 4 != 0);
                if let Some(end) = more["end_time"].as_str() {
                    ends.push((end.to_owned(), more.get("output").cloned()));
                }
                if number % 3 == 1 {
                    let tokens = number + which;
                    *usage.entry("total_tokens").or_insert(0) += tokens;
                    cost += tokens;
                    spans.push(json!({"id": fresh_id(), "trace_id": id, "project_name": "p",
                        "start_time": "2024-01-15T09:30:00Z", "usage": {"total_tokens": tokens},
                        "total_estimated_cost": tokens}));
                }
                traces.push(trace(&id, &name(number), &more));
            }
            ends.sort_by(|left, right| left.0.cmp(&right.0));
            let start = at(number % 7, "");
            let last = ends.last();
            let millis = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis() as f64;
            if number % 2 == 0 {
                scores.push(score(&name(number), "quality", f64::from(u32::try_from(number % 5).unwrap()) / 2.0));
            }
            wanted.insert(
                name(number),
                json!({
                    "start_time": start,
                    "end_time": last.map(|(end, _)| end.replace(".25", ".250")),
                    "duration": last.map(|(end, _)| millis(end) - millis(&start)),
                    "first_message": (number % 6 != 0)
                        .then(|| json!({"k": format!("in {} 0", ["alpha", "ÉTÉ"][number % 2])})),
                    "last_message": last.and_then(|(_, output)| output.clone()),
                    "number_of_messages": 2 * count,
                    "usage": (!usage.is_empty()).then_some(usage),
                    "total_estimated_cost": (cost > 0).then_some(cost),
                    "status": if number % 5 == 2 { "inactive" } else { "active" },
                    "tags": (number % 4 == 1).then(|| json!([format!("tag {}", number % 3), "x"])),
                    "environment": if number % 3 == 0 { ["prod", "test"][number % 2] } else { "" },
                    "feedback_scores": (number % 2 == 0).then(|| json!((number % 5) as f64 / 2.0)),
                }),
            );
        }
        // Out of order, in parts.
        for part in 0..3 {
            let some: Vec<Value> = traces.iter().skip(part).step_by(3).rev().cloned().collect();
            create(&server, &some).await;
        }
        server.api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
        give(&server, &scores).await;
        for number in (0..COUNT).filter(|number| number % 4 == 1) {
            let own = thread(&server, &name(number)).await["thread_model_id"].as_str().unwrap().to_owned();
            let tags = json!({"tags": [format!("tag {}", number % 3), "x"]});
            server.api.patch(&format!("{THREADS}/{own}"), &tags).await.expect(204);
        }
        let closed: Vec<String> = (0..COUNT).filter(|number| number % 5 == 2).map(name).collect();
        close(&server, &closed.iter().map(String::as_str).collect::<Vec<_>>()).await.expect(204);
        let page = server.api.get(&format!("{THREADS}?project_name=p&size=1000")).await.expect(200).json();
        let shown = page["content"].as_array().unwrap().clone();
        assert_eq!((shown.len(), &page["total"]), (COUNT, &json!(COUNT)));
        Self { server, wanted, shown }
    }

    async fn list(&self, query: &[(&str, &str)]) -> Value {
        let request = self.server.api.request("GET", THREADS).query(&[("project_name", "p")]).query(query);
        self.server.api.send(request).await.expect(200).json()
    }
}

fn names(threads: &Value) -> Vec<String> {
    threads.as_array().unwrap().iter().map(|thread| thread["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_shows_what_a_client_works_out_of_its_traces() {
    let fixed = Fixed::start().await;
    for shown in &fixed.shown {
        let id = shown["id"].as_str().unwrap();
        for (member, wanted) in fixed.wanted[id].as_object().unwrap() {
            let shown = match member.as_str() {
                "feedback_scores" => shown[member].get(0).map_or(Value::Null, |score| json!(score["value"].as_f64())),
                "end_time" if !wanted.is_null() => {
                    assert_eq!(time(&shown[member]), time(wanted), "{id}");
                    continue;
                }
                _ => shown.get(member).cloned().unwrap_or_default(),
            };
            assert_eq!(&shown, wanted, "{member} of {id}");
        }
        assert_eq!(shown, &thread(&fixed.server, id).await);
    }
}

/// A filter and a thread as the evaluator knows them: by the names of what is asked in the same way of spans.
fn as_of_spans(thread: &Value, filter: &Value) -> (Value, Value) {
    let field = filter["field"].as_str().unwrap();
    let (name, value) = match field {
        "first_message" | "last_message" => ("input", thread.get(field).cloned()),
        "number_of_messages" => ("total_estimated_cost", thread.get(field).cloned()),
        "status" => ("environment", thread.get(field).cloned()),
        "annotation_queue_ids" => ("tags", None),
        _ => (field, thread.get(field).cloned()),
    };
    let (mut thread, mut filter) = (thread.clone(), filter.clone());
    filter["field"] = json!(name);
    match value {
        Some(value) => thread[name] = value,
        None => {
            thread.as_object_mut().unwrap().remove(name);
        }
    }
    (thread, filter)
}

/// Values to ask about a field with.
fn trials(field: &str) -> &'static [&'static str] {
    match field {
        "id" => &["alpha", "Beta", "beta", "É", "a%b", "a\\%b", "alpha 04", "zz"],
        "first_message" | "last_message" => {
            &["alpha", "été", "{\"k\":\"in alpha 0\"}", "{", "out 3", "\"out 3 1\"", "OUT", "%2%", "zz"]
        }
        "number_of_messages" => &["2", "4", "6", "3.5", "0", "-1"],
        "duration" => &["0", "250", "9250", "20250.5", "-100000"],
        "created_at" | "last_updated_at" | "start_time" | "end_time" => &[
            "2024-01-15T09:30:03Z",
            "2024-01-15T10:30:03+01:00",
            "2024-01-15T09:30:16.25Z",
            "1970-01-01T00:00:00Z",
            "2200-01-01T00:00:00Z",
        ],
        "feedback_scores" => &["0.5", "1", "0", "-1e0"],
        "status" => &["active", "inactive", "active,inactive", "Active", "nope"],
        "tags" => &["tag 1", "TAG", "x", "%", "zz"],
        "annotation_queue_ids" => &["01a20204-c23a-7bad-84c4-1aba08155e01"],
        "source" => &["sdk", "experiment", "nope"],
        "environment" => &["prod", "prod,test", "zz"],
        _ => panic!("the field {field} has no values in this test"),
    }
}

#[tokio::test]
async fn every_field_and_operator_chooses_threads_as_a_plain_evaluation_does() {
    let fixed = Fixed::start().await;
    // What is not shown, the test knows.
    let sources: BTreeMap<String, &str> = (0..COUNT)
        .map(|number| (name(number), if number % 4 != 0 { ["sdk", "experiment"][number % 2] } else { "sdk" }))
        .collect();
    let (mut asked, mut some) = (0, 0);
    for field in &THREAD_FIELDS {
        for operator in field.kind.operators() {
            for value in trials(field.name) {
                let key = (field.kind == Kind::FeedbackScores).then_some("QUALITY");
                let filter = json!({"field": field.name, "operator": operator.name(), "key": key, "value": value});
                let expected: BTreeSet<String> = fixed
                    .shown
                    .iter()
                    .filter(|thread| {
                        let mut thread = Value::clone(thread);
                        thread["source"] = json!(sources[thread["id"].as_str().unwrap()]);
                        let (thread, filter) = as_of_spans(&thread, &filter);
                        matches(&thread, &filter)
                    })
                    .map(|thread| thread["id"].as_str().unwrap().to_owned())
                    .collect();
                let filters = json!([filter]).to_string();
                let page = fixed.list(&[("size", "1000"), ("filters", &filters)]).await;
                let listed: BTreeSet<String> = names(&page["content"]).into_iter().collect();
                assert_eq!((&listed, &page["total"]), (&expected, &json!(expected.len())), "{filter}");
                let body = json!({"project_name": "p", "filters": [filter]});
                let found: BTreeSet<String> = search(&fixed.server, &body).await.iter().map(id_of).collect();
                assert_eq!(found, expected, "{filter}");
                asked += 1;
                some += usize::from(!expected.is_empty() && expected.len() < COUNT);
            }
        }
    }
    assert!(asked > 300 && some > 150, "{some} of {asked}");
    // Several must all hold, and what cannot be asked is refused by name.
    let filters = json!([{"field": "status", "operator": "=", "value": "active"},
        {"field": "number_of_messages", "operator": ">", "value": "4"}, {"field": "tags", "operator": "is_empty"}]);
    let page = fixed.list(&[("size", "1000"), ("filters", &filters.to_string())]).await;
    let expected = fixed.shown.iter().filter(|thread| {
        thread["status"] == "active" && thread["number_of_messages"].as_i64() > Some(4) && thread.get("tags").is_none()
    });
    assert_eq!(page["total"], expected.count());
    assert!(page["total"].as_i64() > Some(0));
    for filter in [
        json!({"field": "name", "operator": "=", "value": "x"}),
        json!({"field": "custom", "operator": "=", "key": "input", "value": "x"}),
        json!({"field": "status", "operator": ">", "value": "active"}),
        json!({"field": "duration", "operator": "=", "value": "long"}),
    ] {
        let query = [("project_name", "p"), ("filters", &json!([filter]).to_string())];
        let request = fixed.server.api.request("GET", THREADS).query(&query);
        let answer = fixed.server.api.send(request).await.expect(400);
        assert!(answer.pointers()[0].starts_with("/filters/0"), "{}", answer.text());
        let body = json!({"project_name": "p", "filters": [filter]});
        fixed.server.api.post(&format!("{THREADS}/search"), &body).await.expect(400);
    }
}

/// Compares two threads by a field; what is missing counts as stated in the documentation.
fn compare(field: &str, descending: bool, left: &Value, right: &Value) -> Ordering {
    let text = |thread: &Value| thread[field].as_str().unwrap_or_default().to_owned();
    let number = |thread: &Value, absent: f64| thread[field].as_f64().unwrap_or(absent);
    let natural = match field {
        "start_time" | "last_updated_at" | "created_at" => time(&left[field]).nanos().cmp(&time(&right[field]).nanos()),
        // What is missing comes last, whichever way the rest goes.
        "end_time" | "duration" => match (left.get(field), right.get(field)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => return Ordering::Greater,
            (Some(_), None) => return Ordering::Less,
            (Some(one), Some(other)) if field == "end_time" => time(one).nanos().cmp(&time(other).nanos()),
            _ => number(left, 0.0).total_cmp(&number(right, 0.0)),
        },
        "number_of_messages" | "total_estimated_cost" => number(left, 0.0).total_cmp(&number(right, 0.0)),
        "usage.total_tokens" => {
            let tokens = |thread: &Value| {
                let tokens = thread["usage"]["total_tokens"].as_f64();
                (tokens.unwrap_or_default(), tokens.is_some())
            };
            tokens(left).partial_cmp(&tokens(right)).unwrap()
        }
        "feedback_scores.quality" => {
            let value = |thread: &Value| {
                let value = thread["feedback_scores"][0]["value"].as_f64();
                (value.unwrap_or_default(), value.is_some())
            };
            value(left).partial_cmp(&value(right)).unwrap()
        }
        "tags" => {
            let tags = |thread: &Value| thread[field].as_array().cloned().unwrap_or_default();
            let joined = |tags: Vec<Value>| tags.iter().map(|tag| tag.as_str().unwrap().to_owned()).collect::<Vec<_>>();
            joined(tags(left)).cmp(&joined(tags(right)))
        }
        _ => text(left).as_bytes().cmp(text(right).as_bytes()),
    };
    if descending { natural.reverse() } else { natural }
}

/// The order in which threads come that are equal otherwise.
fn otherwise(left: &Value, right: &Value) -> Ordering {
    compare("last_updated_at", true, left, right).then(compare("start_time", false, left, right)).then(compare(
        "thread_model_id",
        true,
        left,
        right,
    ))
}

#[tokio::test]
async fn threads_are_sorted_and_paged_as_in_memory() {
    let fixed = Fixed::start().await;
    let sortable = fixed.list(&[]).await["sortable_by"].clone();
    let mut fields: Vec<String> =
        sortable.as_array().unwrap().iter().map(|field| field.as_str().unwrap().to_owned()).collect();
    assert_eq!(fields.len(), 14);
    for (pattern, field) in [("usage.*", "usage.total_tokens"), ("feedback_scores.*", "feedback_scores.quality")] {
        let place = fields.iter_mut().find(|field| *field == pattern).unwrap();
        *place = field.to_owned();
    }
    let mut sorted = fixed.shown.clone();
    sorted.sort_by(otherwise);
    assert_eq!(names(&json!(sorted)), names(&json!(fixed.shown)), "the order when none is asked for");
    for field in fields {
        for descending in [false, true] {
            let direction = if descending { "DESC" } else { "ASC" };
            let sorting = json!([{"field": field, "direction": direction}]).to_string();
            let mut expected = fixed.shown.clone();
            expected
                .sort_by(|left, right| compare(&field, descending, left, right).then_with(|| otherwise(left, right)));
            let expected = names(&json!(expected));
            let mut found = Vec::new();
            for page in 1..=5 {
                let query = [("sorting", sorting.as_str()), ("size", "7"), ("page", &page.to_string())];
                let page = fixed.list(&query).await;
                assert_eq!(page["total"], COUNT);
                assert_eq!(page["size"], page["content"].as_array().unwrap().len());
                found.extend(names(&page["content"]));
            }
            assert_eq!(found, expected, "{sorting}");
        }
    }
    let past = fixed.list(&[("page", "9")]).await;
    assert_eq!((&past["total"], &past["content"]), (&json!(COUNT), &json!([])));
    let queue = fresh_id();
    let none = fixed.list(&[("annotation_queue_id", &queue)]).await;
    assert_eq!((&none["total"], &none["content"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn a_search_looks_into_names_ids_and_messages_of_all_traces() {
    let server = Server::start().await;
    let id = fresh_id();
    create(
        &server,
        &[
            trace(&id, "one", &json!({"input": {"q": "Where\u{e9}"}})),
            trace(&fresh_id(), "one", &json!({"output": "in the middle", "name": "not looked at"})),
            trace(&fresh_id(), "other", &json!({"metadata": {"k": "nor this"}, "tags": ["or that"]})),
        ],
    )
    .await;
    for (search, found) in [
        ("ONE", vec!["one"]),
        ("othe", vec!["other"]),
        ("o", vec!["one", "other"]),
        (id.as_str(), vec!["one"]),
        ("whereÉ", vec!["one"]),
        (" MIDDLE ", vec!["one"]),
        ("in%mid", vec!["one"]),
        ("not looked", vec![]),
        ("nor this", vec![]),
        ("or that", vec![]),
    ] {
        let query = [("project_name", "p"), ("search", search)];
        let page = server.api.send(server.api.request("GET", THREADS).query(&query)).await.expect(200).json();
        let mut names = names(&page["content"]);
        names.sort_unstable();
        assert_eq!(names, found, "{search}");
        assert_eq!(page["total"], found.len());
    }
}

fn id_of(thread: &Value) -> String {
    thread["id"].as_str().unwrap().to_owned()
}

async fn search(server: &Server, body: &Value) -> Vec<Value> {
    let answer = server.api.post(&format!("{THREADS}/search"), body).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    answer.text().split_terminator("\r\n").map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_search_goes_on_from_a_threads_own_id_and_from_what_its_traces_call_it() {
    let fixed = Fixed::start().await;
    // Names that are UUIDs are names all the same.
    for uuid in ["7ad7fcbd-51d1-4c5b-a5d5-8f0bbd5c7b4e", "00000000-0000-0000-0000-000000000000"] {
        super::add(&fixed.server, uuid).await;
    }
    let page = fixed.list(&[("size", "1000")]).await;
    let mut all = page["content"].as_array().unwrap().clone();
    all.sort_by(|left, right| compare("thread_model_id", true, left, right));
    assert_eq!(all.len(), COUNT + 2);
    for cursor in ["thread_model_id", "id"] {
        let (mut found, mut last) = (Vec::new(), Value::Null);
        loop {
            let body = json!({"project_name": "p", "limit": 7, "last_retrieved_thread_model_id": last});
            let some = search(&fixed.server, &body).await;
            let short = some.len() < 7;
            last = some.last().map_or(Value::Null, |thread| thread[cursor].clone());
            found.extend(some);
            if short {
                break;
            }
        }
        assert_eq!(found, all, "{cursor}");
    }
    // One that has gone meanwhile still tells where to go on; a name that means nothing is the end.
    let gone = &all[10];
    super::delete(&fixed.server, &[gone["id"].as_str().unwrap()]).await;
    let after = |cursor: &Value| json!({"project_name": "p", "last_retrieved_thread_model_id": cursor});
    assert_eq!(search(&fixed.server, &after(&gone["thread_model_id"])).await, all[11..]);
    assert_eq!(search(&fixed.server, &after(&gone["id"])).await, [json!(null); 0]);
    // Filters hold as well.
    let body = json!({"project_name": "p", "last_retrieved_thread_model_id": all[4]["id"],
        "filters": [{"field": "status", "operator": "=", "value": "inactive"}]});
    let wanted = all[5..].iter().filter(|thread| thread["status"] == "inactive" && thread["id"] != gone["id"]);
    assert_eq!(search(&fixed.server, &body).await, wanted.cloned().collect::<Vec<_>>());
}

/// An id of version 7 of a second of one minute.
fn id_at(second: u32, number: u32) -> String {
    let time: spandrel::model::Timestamp = format!("2024-01-15T09:30:{second:02}Z").parse().unwrap();
    let id = spandrel::model::Id::at(time, false).to_string();
    format!("{}{number:04}", &id[..32])
}

#[tokio::test]
async fn times_choose_threads_by_their_own_ids_and_their_traces_by_theirs() {
    let server = Server::start().await;
    let traces: Vec<Value> = [("t", 10), ("t", 20), ("t", 30), ("u", 20), ("v", 40)]
        .iter()
        .zip(0..)
        .map(|((thread, second), number)| trace(&id_at(*second, number), thread, &json!({"input": second})))
        .collect();
    create(&server, &traces).await;
    for (from, to, wanted) in [
        (Some(0), None, vec![("t", 6, 10), ("u", 2, 20), ("v", 2, 40)]),
        (Some(0), Some(25), vec![("t", 4, 10), ("u", 2, 20)]),
        (Some(15), None, vec![("u", 2, 20), ("v", 2, 40)]),
        (None, Some(15), vec![("t", 2, 10)]),
        (Some(50), None, vec![]),
    ] {
        let text = |second: i32| format!("2024-01-15T09:30:{second:02}Z");
        let mut query = vec![("project_name", "p".to_owned())];
        query.extend(from.map(|second| ("from_time", text(second))));
        query.extend(to.map(|second| ("to_time", text(second))));
        let page = server.api.send(server.api.request("GET", THREADS).query(&query)).await.expect(200).json();
        let shown = |thread: &Value| {
            (id_of(thread), thread["number_of_messages"].as_i64().unwrap(), thread["first_message"].as_i64().unwrap())
        };
        let mut found: Vec<_> = page["content"].as_array().unwrap().iter().map(shown).collect();
        found.sort_unstable();
        let wanted: Vec<_> = wanted.into_iter().map(|(id, messages, first)| (id.to_owned(), messages, first)).collect();
        assert_eq!(found, wanted, "{query:?}");
        assert_eq!(page["total"], wanted.len());
        let path = format!("{THREADS}/stats");
        let stats = server.api.send(server.api.request("GET", &path).query(&query)).await.expect(200).json();
        let count = stats["stats"].get(0).map_or(json!(0), |item| item["value"].clone());
        assert_eq!(count, wanted.len());
        let body = json!({"project_name": "p", "from_time": from.map(text), "to_time": to.map(text)});
        assert_eq!(search(&server, &body).await.len(), wanted.len());
    }
}

#[tokio::test]
async fn statistics_are_those_of_the_threads() {
    let fixed = Fixed::start().await;
    let api = &fixed.server.api;
    let stats = api.get(&format!("{THREADS}/stats?project_name=p")).await.expect(200).json();
    let items = stats["stats"].as_array().unwrap();
    let named: Vec<&str> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(
        named,
        [
            "thread_count",
            "duration",
            "input",
            "output",
            "metadata",
            "tags",
            "total_estimated_cost",
            "total_estimated_cost_sum",
            "usage.total_tokens",
            "usage_sum.total_tokens",
            "feedback_scores.quality",
            "guardrails_failed_count",
            "error_count",
        ]
    );
    let value = |name: &str| items.iter().find(|item| item["name"] == name).unwrap()["value"].clone();
    let figures =
        |member: &dyn Fn(&Value) -> Option<f64>| -> Vec<f64> { fixed.shown.iter().filter_map(member).collect() };
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let costs = figures(&|thread| thread["total_estimated_cost"].as_f64());
    let tokens = figures(&|thread| thread["usage"]["total_tokens"].as_f64());
    let scores = figures(&|thread| thread["feedback_scores"][0]["value"].as_f64());
    assert_eq!((value("thread_count"), value("tags"), value("input")), (json!(COUNT), json!(0.0), json!(0)));
    assert_eq!(value("total_estimated_cost"), mean(&costs));
    assert_eq!(value("total_estimated_cost_sum"), costs.iter().sum::<f64>());
    assert_eq!(value("usage.total_tokens"), mean(&tokens));
    assert_eq!(value("usage_sum.total_tokens"), tokens.iter().sum::<f64>());
    assert_eq!(value("feedback_scores.quality"), mean(&scores));
    let mut durations = figures(&|thread| thread["duration"].as_f64());
    durations.sort_by(f64::total_cmp);
    let p99 = value("duration")["p99"].as_f64().unwrap();
    assert!(p99 <= *durations.last().unwrap() && p99 >= durations[durations.len() - 2], "{p99} {durations:?}");
    let filters = json!([{"field": "number_of_messages", "operator": "<", "value": "0"}]).to_string();
    let request =
        api.request("GET", &format!("{THREADS}/stats")).query(&[("project_name", "p"), ("filters", &filters)]);
    assert_eq!(api.send(request).await.expect(200).json()["stats"], json!([]));
}
