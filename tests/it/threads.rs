//! Threads: made by traces, read, closed, judged and deleted.

mod commits;
mod lists;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use spandrel::clock::Clock;

use crate::support::{Answer, Server, fresh_id, in_workspace, recounted, time};

const THREADS: &str = "/v1/private/traces/threads";
const SCORES: &str = "/v1/private/traces/threads/feedback-scores";

/// A trace of a thread in the project `p`.
fn trace(id: &str, thread: &str, more: &Value) -> Value {
    let mut trace = json!({"id": id, "project_name": "p", "thread_id": thread, "start_time": "2024-01-15T09:30:00Z"});
    for (name, value) in more.as_object().unwrap() {
        trace[name] = value.clone();
    }
    trace
}

async fn create(server: &Server, traces: &[Value]) {
    server.api.post("/v1/private/traces/batch", &json!({"traces": traces})).await.expect(204);
}

/// Creates a trace in a thread; returns its id.
async fn add(server: &Server, thread: &str) -> String {
    let id = fresh_id();
    create(server, &[trace(&id, thread, &json!({}))]).await;
    id
}

async fn retrieve(server: &Server, thread: &str) -> Answer {
    server.api.post(&format!("{THREADS}/retrieve"), &json!({"project_name": "p", "thread_id": thread})).await
}

/// Reads a thread that must be there.
async fn thread(server: &Server, thread: &str) -> Value {
    retrieve(server, thread).await.expect(200).json()
}

async fn put(server: &Server, path: &str, body: &Value) -> Answer {
    server.api.raw("PUT", &format!("{THREADS}/{path}"), body.to_string()).await
}

async fn close(server: &Server, threads: &[&str]) -> Answer {
    put(server, "close", &json!({"project_name": "p", "thread_ids": threads})).await
}

async fn open(server: &Server, thread: &str) {
    put(server, "open", &json!({"project_name": "p", "thread_id": thread})).await.expect(204);
}

async fn delete(server: &Server, threads: &[&str]) {
    let body = json!({"project_name": "p", "thread_ids": threads});
    server.api.post(&format!("{THREADS}/delete"), &body).await.expect(204);
}

fn score(thread: &str, name: &str, value: f64) -> Value {
    json!({"project_name": "p", "thread_id": thread, "name": name, "value": value, "source": "sdk"})
}

async fn give(server: &Server, scores: &[Value]) {
    server.api.raw("PUT", SCORES, json!({"scores": scores}).to_string()).await.expect(204);
}

/// What is counted in the whole database.
fn stored(server: &Server, table: &str) -> i64 {
    server.home.rows(table)
}

/// A clock that a test moves, and how.
fn held_clock() -> (Clock, impl Fn(i64)) {
    let now = Arc::new(AtomicI64::new(1_800_000_000_000_000_000));
    let told = Arc::clone(&now);
    let clock = Clock::new(move || told.load(Ordering::SeqCst));
    (clock, move |seconds| {
        now.fetch_add(seconds * 1_000_000_000, Ordering::SeqCst);
    })
}

/// Three traces with spans, in whatever order they come.
#[tokio::test]
async fn a_thread_is_what_its_traces_amount_to_in_any_order() {
    let traces = |ids: &[String; 3]| {
        [
            trace(
                &ids[0],
                "t",
                &json!({"start_time": "2024-01-15T09:30:00Z", "end_time": "2024-01-15T09:30:09Z",
                    "input": {"q": "first"}, "output": "longest", "tags": ["not the thread's"], "source": "experiment",
                    "environment": "prod"}),
            ),
            trace(
                &ids[1],
                "t",
                &json!({"start_time": "2024-01-15T09:30:05Z", "end_time": "2024-01-15T09:30:08.5Z",
                    "input": "second", "output": "ended earlier"}),
            ),
            trace(&ids[2], "t", &json!({"start_time": "2024-01-15T09:31:00Z", "input": "third", "output": "no end"})),
        ]
    };
    let span = |trace: &String, cost: f64, usage: Value| {
        json!({"id": fresh_id(), "trace_id": trace, "project_name": "p", "start_time": "2024-01-15T09:30:00Z",
            "total_estimated_cost": cost, "usage": usage})
    };
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let server = Server::start().await;
        let ids = [fresh_id(), fresh_id(), fresh_id()];
        let spans = [
            span(&ids[0], 0.1, json!({"a": 1, "b": 5})),
            span(&ids[1], 0.2, json!({"a": 2})),
            span(&ids[1], 0.000_000_000_3, json!({"c": 7})),
        ];
        let spans = json!({"spans": spans});
        if order[0] == 0 {
            server.api.post("/v1/private/spans/batch", &spans).await.expect(204);
        }
        for at in order {
            create(&server, &traces(&ids)[at..=at]).await;
        }
        if order[0] != 0 {
            server.api.post("/v1/private/spans/batch", &spans).await.expect(204);
        }
        let shown = thread(&server, "t").await;
        for (member, wanted) in [
            ("id", json!("t")),
            ("start_time", json!("2024-01-15T09:30:00Z")),
            ("end_time", json!("2024-01-15T09:30:09Z")),
            ("duration", json!(9000.0)),
            ("first_message", json!({"q": "first"})),
            ("last_message", json!("longest")),
            ("number_of_messages", json!(6)),
            ("usage", json!({"a": 3, "b": 5, "c": 7})),
            ("status", json!("active")),
            ("environment", json!("prod")),
            ("created_by", json!("admin")),
            ("last_updated_by", json!("admin")),
        ] {
            assert_eq!(shown[member], wanted, "{member} in the order {order:?}");
        }
        let text = retrieve(&server, "t").await.text();
        assert!(text.contains(r#""total_estimated_cost":0.3000000003,"#), "{text}");
        for member in ["tags", "feedback_scores", "comments"] {
            assert_eq!(shown.get(member), None, "{member}");
        }
        let last = server.api.get(&format!("/v1/private/traces/{}", ids[order[2]])).await.json();
        assert_eq!(shown["last_updated_at"], last["last_updated_at"]);
        assert_eq!(shown["project_id"], last["project_id"]);
        let listed = server.api.get(&format!("{THREADS}?project_name=p")).await.expect(200).json();
        assert_eq!((&listed["content"][0], &listed["total"]), (&shown, &json!(1)));
        // Its id tells the time of the first trace that came.
        assert_eq!(shown["thread_model_id"].as_str().unwrap()[..13], ids[order[0]][..13]);
    }
}

#[tokio::test]
async fn what_its_traces_do_not_have_a_thread_does_not_have() {
    let server = Server::start().await;
    add(&server, "t").await;
    let shown = thread(&server, "t").await;
    let mut members: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "created_at",
            "created_by",
            "environment",
            "id",
            "last_updated_at",
            "last_updated_by",
            "number_of_messages",
            "project_id",
            "start_time",
            "status",
            "thread_model_id",
        ]
    );
    assert_eq!(shown["environment"], "");
}

#[tokio::test]
async fn threads_are_made_by_updates_as_by_creates() {
    let server = Server::start().await;
    let (early, late) = (fresh_id(), fresh_id());
    let update = json!({"project_name": "p", "thread_id": "t", "input": "early"});
    server.api.patch(&format!("/v1/private/traces/{early}"), &update).await.expect(204);
    let shown = thread(&server, "t").await;
    assert_eq!(
        (&shown["start_time"], &shown["first_message"], &shown["number_of_messages"], shown.get("duration")),
        (&json!("1970-01-01T00:00:00Z"), &json!("early"), &json!(2), None)
    );
    // A trace that was created tells more about the beginning than one that was not.
    create(&server, &[trace(&late, "t", &json!({"input": "late", "end_time": "2024-01-15T09:30:01Z"}))]).await;
    let both = thread(&server, "t").await;
    assert_eq!(
        (&both["start_time"], &both["first_message"], &both["number_of_messages"], &both["duration"]),
        (&json!("2024-01-15T09:30:00Z"), &json!("late"), &json!(4), &json!(1000.0))
    );
    assert_eq!(both["thread_model_id"], shown["thread_model_id"]);
    // What joins another thread makes it.
    let update = json!({"ids": [late], "update": {"thread_id": "u"}});
    server.api.patch("/v1/private/traces/batch", &update).await.expect(204);
    assert_eq!(thread(&server, "u").await["first_message"], "late");
    assert_eq!(thread(&server, "t").await["first_message"], "early");
    let update = json!({"project_name": "p", "thread_id": "u"});
    server.api.patch(&format!("/v1/private/traces/{early}"), &update).await.expect(204);
    let answer = retrieve(&server, "t").await.expect(404);
    assert_eq!(answer.errors(), ["Trace Thread id: t not found"]);
    assert_eq!(thread(&server, "u").await["number_of_messages"], 4);
}

#[tokio::test]
async fn a_thread_may_have_more_than_a_thousand_traces() {
    let server = Server::start().await;
    let (mut ids, long) = (Vec::new(), "x".repeat(12_000));
    for _ in 0..3 {
        let traces: Vec<Value> = (0..500)
            .map(|_| {
                ids.push(fresh_id());
                trace(
                    ids.last().unwrap(),
                    "t",
                    &json!({"input": long, "end_time": "2024-01-15T09:30:01Z", "output": "o"}),
                )
            })
            .collect();
        create(&server, &traces).await;
    }
    let shown = thread(&server, "t").await;
    assert_eq!((&shown["number_of_messages"], &shown["duration"]), (&json!(3000), &json!(1000.0)));
    assert_eq!(shown["first_message"].as_str().unwrap().len(), 12_000);
    let body = json!({"project_name": "p", "thread_id": "t", "truncate": true});
    let cut = server.api.post(&format!("{THREADS}/retrieve"), &body).await.expect(200).json();
    assert_eq!(cut["first_message"].as_str().unwrap().len(), 10_001);
    let listed = server.api.get(&format!("{THREADS}?project_name=p&truncate=true")).await.json();
    assert_eq!(listed["content"][0]["first_message"], cut["first_message"]);
    delete(&server, &["t"]).await;
    for table in ["traces", "trace_payloads", "threads"] {
        assert_eq!(stored(&server, table), 0, "{table}");
    }
    recounted(&server);
}

#[tokio::test]
async fn a_deleted_thread_is_gone_with_all_that_belongs_to_it() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for thread_id in ["t", "t", "kept"] {
        let id = add(&server, thread_id).await;
        let span = json!({"id": fresh_id(), "trace_id": id, "project_name": "p", "start_time": "2024-01-15T09:30:00Z"});
        server.api.create(&span).await;
        for path in [format!("spans/{}", span["id"].as_str().unwrap()), format!("traces/{id}")] {
            server.api.post(&format!("/v1/private/{path}/comments"), &json!({"text": "x"})).await.expect(201);
            let score = json!({"name": "q", "value": 1, "source": "ui"}).to_string();
            server.api.raw("PUT", &format!("/v1/private/{path}/feedback-scores"), score).await.expect(204);
        }
        ids.push(id);
    }
    give(&server, &[score("t", "q", 1.0), score("kept", "q", 2.0)]).await;
    let first = thread(&server, "t").await;
    let comments = format!("{THREADS}/{}/comments", first["thread_model_id"].as_str().unwrap());
    let comment = server.api.post(&comments, &json!({"text": "x"})).await.expect(201);
    delete(&server, &["t", "unknown", "t"]).await;
    retrieve(&server, "t").await.expect(404);
    server.api.get(&format!("/v1/private/traces/{}", ids[0])).await.expect(404);
    server.api.get(comment.header("location")).await.expect(404);
    let answer = server.api.post(&comments, &json!({"text": "x"})).await.expect(404);
    assert_eq!(answer.errors(), [format!("Thread id: {} not found", first["thread_model_id"].as_str().unwrap())]);
    for (table, left) in
        [("traces", 1), ("spans", 1), ("threads", 1), ("scores", 3), ("comments", 2), ("trace_sums", 1)]
    {
        assert_eq!(stored(&server, table), left, "{table}");
    }
    recounted(&server);
    assert_eq!(thread(&server, "kept").await["feedback_scores"][0]["value"], json!(2));
    // A thread of the same name is another one.
    add(&server, "t").await;
    let again = thread(&server, "t").await;
    assert_eq!((again.get("feedback_scores"), again.get("comments")), (None, None));
    assert_ne!(again["thread_model_id"], first["thread_model_id"]);
    // What names nothing that is there deletes nothing.
    for project in [json!({"project_name": "q"}), json!({"project_id": fresh_id()})] {
        let mut body = json!({"thread_ids": ["t"]});
        body.as_object_mut().unwrap().extend(project.as_object().unwrap().clone());
        server.api.post(&format!("{THREADS}/delete"), &body).await.expect(204);
    }
    let by_id = json!({"project_id": again["project_id"], "thread_ids": ["t"]});
    assert_eq!(thread(&server, "t").await, again);
    server.api.post(&format!("{THREADS}/delete"), &by_id).await.expect(204);
    retrieve(&server, "t").await.expect(404);
    recounted(&server);
}

#[tokio::test]
async fn a_thread_is_inactive_when_closed_or_when_nothing_was_heard_of_it_for_a_quarter_of_an_hour() {
    let (clock, wait) = held_clock();
    let server = Server::with(&[], clock).await;
    let status = async |of: &str| thread(&server, of).await["status"].as_str().unwrap().to_owned();
    add(&server, "t").await;
    add(&server, "u").await;
    assert_eq!(status("t").await, "active");
    let answer = close(&server, &["t", "unknown", "none"]).await.expect(404);
    assert_eq!(answer.errors(), ["Thread '[unknown, none]' not found:"]);
    assert_eq!(status("t").await, "active");
    close(&server, &["t", "u"]).await.expect(204);
    assert_eq!((status("t").await, status("u").await), ("inactive".to_owned(), "inactive".to_owned()));
    put(&server, "close", &json!({"project_name": "p", "thread_id": "t"})).await.expect(204);
    // A new trace opens it again, and so does one that joins it; one that was in it already does not.
    let id = add(&server, "t").await;
    assert_eq!(status("t").await, "active");
    close(&server, &["t"]).await.expect(204);
    let path = format!("/v1/private/traces/{id}");
    server.api.patch(&path, &json!({"project_name": "p", "name": "n"})).await.expect(204);
    assert_eq!(status("t").await, "inactive");
    server.api.patch(&path, &json!({"project_name": "p", "thread_id": "u"})).await.expect(204);
    assert_eq!((status("t").await, status("u").await), ("inactive".to_owned(), "active".to_owned()));
    open(&server, "t").await;
    assert_eq!(status("t").await, "active");
    // A quarter of an hour later it is inactive without anyone's doing.
    wait(15 * 60);
    assert_eq!(status("t").await, "active");
    wait(1);
    assert_eq!(status("t").await, "inactive");
    // Or as long as the workspace's configuration says, from then on.
    let configure = async |timeout: Value| {
        let body = json!({"timeout_to_mark_thread_as_inactive": timeout});
        server.api.put("/v1/private/workspaces/configurations", &body).await.expect(200)
    };
    configure(json!("PT1H")).await;
    assert_eq!(status("t").await, "active");
    configure(json!("PT15M")).await;
    assert_eq!(status("t").await, "inactive");
    configure(json!("P1D")).await;
    assert_eq!(status("t").await, "active");
    configure(Value::Null).await;
    assert_eq!(status("t").await, "inactive");
    let active = async || {
        let filters = r#"[{"field":"status","operator":"=","value":"active"}]"#;
        let request = server.api.request("GET", THREADS).query(&[("project_name", "p"), ("filters", filters)]);
        server.api.send(request).await.expect(200).json()["total"].clone()
    };
    assert_eq!(active().await, 0);
    // What is said of it does not open it.
    give(&server, &[score("t", "q", 1.0)]).await;
    let own = thread(&server, "t").await["thread_model_id"].as_str().unwrap().to_owned();
    server.api.patch(&format!("{THREADS}/{own}"), &json!({"tags": ["a"]})).await.expect(204);
    server.api.post(&format!("{THREADS}/{own}/comments"), &json!({"text": "x"})).await.expect(201);
    assert_eq!(active().await, 0);
    open(&server, "t").await;
    assert_eq!((status("t").await.as_str(), active().await), ("active", json!(1)));
    // What has no traces can be opened, which changes nothing.
    open(&server, "unknown").await;
    retrieve(&server, "unknown").await.expect(404);
    for (path, project) in [
        ("open", json!({"project_name": "q", "thread_id": "t"})),
        ("close", json!({"project_name": "q", "thread_id": "t"})),
        ("retrieve", json!({"project_name": "q", "thread_id": "t"})),
    ] {
        let method = if path == "retrieve" { "POST" } else { "PUT" };
        let answer = server.api.raw(method, &format!("{THREADS}/{path}"), project.to_string()).await.expect(404);
        assert_eq!(answer.errors(), ["Project name: q not found"]);
        let body = json!({"project_id": fresh_id(), "thread_id": "t"});
        let answer = server.api.raw(method, &format!("{THREADS}/{path}"), body.to_string()).await.expect(404);
        assert_eq!(answer.errors(), ["Project not found"]);
    }
    assert_eq!(stored(&server, "threads"), 2);
}

#[tokio::test]
async fn scores_may_come_before_their_thread_and_make_its_project() {
    let server = Server::start().await;
    let mut other = score("t", "r", 1.0);
    other["author"] = json!("someone");
    other["category_name"] = json!("c");
    give(&server, &[score("t", "q", 0.25), score("t", "r", 3.0), other, score("t", "q", 0.5)]).await;
    retrieve(&server, "t").await.expect(404);
    assert_eq!(server.api.get(&format!("{THREADS}?project_name=p")).await.expect(200).json()["total"], 0);
    create(&server, &[trace(&fresh_id(), "t", &json!({"environment": "prod", "source": "sdk"}))]).await;
    let shown = thread(&server, "t").await;
    let scores = shown["feedback_scores"].as_array().unwrap();
    assert_eq!(scores.len(), 2, "{shown}");
    assert_eq!((&scores[0]["name"], &scores[0]["value"]), (&json!("q"), &json!(0.5)));
    assert_eq!((&scores[1]["name"], &scores[1]["value"]), (&json!("r"), &json!(2)));
    assert_eq!(scores[1]["value_by_author"]["someone"]["category_name"], "c");
    assert_eq!(shown["environment"], "prod");
    let names = async |query: &str| {
        let answer = server.api.get(&format!("{SCORES}/names{query}")).await.expect(200).json();
        answer["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|score| score["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // The default project is the one of scores that name none; an id counts more than a name.
    let mut of_default = score("t", "z", 1.0);
    of_default.as_object_mut().unwrap().remove("project_name");
    let mut of_id = score("t", "by id", 1.0);
    of_id["project_id"] = shown["project_id"].clone();
    of_id["project_name"] = json!("never made");
    give(&server, &[of_default, of_id]).await;
    let project = shown["project_id"].as_str().unwrap();
    assert_eq!(names(&format!("?project_id={project}")).await, ["by id", "q", "r"]);
    assert_eq!(names("").await, ["by id", "q", "r", "z"]);
    assert_eq!(names(&format!("?project_id={}", fresh_id())).await, [""; 0]);
    assert_eq!(stored(&server, "projects"), 2);
    // All or none.
    let mut nowhere = score("t", "n", 1.0);
    nowhere["project_id"] = json!(fresh_id());
    let body = json!({"scores": [score("t", "n", 1.0), nowhere]}).to_string();
    let answer = server.api.raw("PUT", SCORES, body).await.expect(404);
    assert_eq!(answer.errors(), ["Project not found"]);
    let take_back = async |names: &[&str], author: Value| {
        let body = json!({"project_name": "p", "thread_id": "t", "names": names, "author": author});
        server.api.post(&format!("{SCORES}/delete"), &body).await.expect(204);
        thread(&server, "t").await["feedback_scores"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(take_back(&["r"], json!("someone")).await, 3);
    assert_eq!(thread(&server, "t").await["feedback_scores"][2]["value"], json!(3));
    assert_eq!(take_back(&["r", "by id", "unknown"], json!(null)).await, 1);
    assert_eq!(take_back(&["q"], json!(null)).await, 0);
    for (project, of) in [("p", "unknown"), ("q", "t")] {
        let body = json!({"project_name": project, "thread_id": of, "names": ["q"]});
        server.api.post(&format!("{SCORES}/delete"), &body).await.expect(204);
    }
    assert_eq!((stored(&server, "threads"), stored(&server, "projects")), (2, 2));
}

#[tokio::test]
async fn comments_are_made_by_the_threads_own_id() {
    let server = Server::start().await;
    add(&server, "t").await;
    let own = thread(&server, "t").await["thread_model_id"].as_str().unwrap().to_owned();
    let path = format!("{THREADS}/{own}/comments");
    let made = server.api.post(&path, &json!({"text": "one"})).await.expect(201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("{path}/{id}"));
    server.api.post(&path, &json!({"text": "two"})).await.expect(201);
    let read = server.api.get(made.header("location")).await.expect(200).json();
    assert_eq!((&read["text"], &read["created_by"]), (&json!("one"), &json!("admin")));
    server.api.patch(&format!("{THREADS}/comments/{id}"), &json!({"text": "changed"})).await.expect(204);
    let shown = thread(&server, "t").await["comments"].as_array().unwrap().clone();
    let texts: Vec<&Value> = shown.iter().map(|comment| &comment["text"]).collect();
    assert_eq!(texts, ["changed", "two"]);
    assert!(time(&shown[0]["last_updated_at"]) > time(&shown[0]["created_at"]));
    let unknown = fresh_id();
    for path in [format!("{THREADS}/comments/{unknown}"), format!("{THREADS}/{unknown}/comments/{id}")] {
        let method = if path.ends_with(&unknown) { "PATCH" } else { "GET" };
        let body = if method == "GET" { String::new() } else { json!({"text": "x"}).to_string() };
        let answer = server.api.raw(method, &path, body).await.expect(404);
        let told = if method == "GET" { &id } else { &unknown };
        assert_eq!(answer.errors(), [format!("Comment id: {told} not found")]);
    }
    let answer = server.api.post(&format!("{THREADS}/{unknown}/comments"), &json!({"text": "x"})).await.expect(404);
    assert_eq!(answer.errors(), [format!("Thread id: {unknown} not found")]);
    server.api.post(&format!("{THREADS}/comments/delete"), &json!({"ids": [id, unknown]})).await.expect(204);
    server.api.get(made.header("location")).await.expect(404);
    assert_eq!(thread(&server, "t").await["comments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn threads_have_tags_of_their_own() {
    let server = Server::start().await;
    let mut own = Vec::new();
    for name in ["t", "u"] {
        add(&server, name).await;
        own.push(thread(&server, name).await["thread_model_id"].as_str().unwrap().to_owned());
    }
    let tags = async |name: &str| thread(&server, name).await["tags"].clone();
    let one = format!("{THREADS}/{}", own[0]);
    for (update, wanted) in [
        (json!({"tags": ["a", "b", "a"]}), json!(["a", "b"])),
        (json!({}), json!(["a", "b"])),
        (json!({"tags": null}), json!(["a", "b"])),
        (json!({"tags_to_add": ["c", "b"], "tags_to_remove": ["a"], "tags": ["x"]}), json!(["b", "c"])),
        (json!({"tags": []}), json!(null)),
        (json!({"tags": ["y"]}), json!(["y"])),
    ] {
        server.api.patch(&one, &update).await.expect(204);
        assert_eq!(tags("t").await, wanted, "{update}");
    }
    let all = json!([own[0], own[1], fresh_id()]);
    let batch = format!("{THREADS}/batch");
    let body = json!({"ids": all, "update": {"tags": ["z"]}, "merge_tags": true});
    server.api.patch(&batch, &body).await.expect(204);
    assert_eq!((tags("t").await, tags("u").await), (json!(["y", "z"]), json!(["z"])));
    let body = json!({"ids": all, "update": {"tags_to_remove": ["z"]}});
    server.api.patch(&batch, &body).await.expect(204);
    assert_eq!((tags("t").await, tags("u").await), (json!(["y"]), json!(null)));
    // All or none: one of them would have too many.
    let fifty: Vec<String> = (0..50).map(|number| format!("{number}")).collect();
    let body = json!({"ids": all, "update": {"tags_to_add": fifty}});
    let answer = server.api.patch(&batch, &body).await.expect(422);
    assert_eq!(answer.errors(), ["Tag limit exceeded: maximum 50 tags per item"]);
    assert_eq!((tags("t").await, tags("u").await), (json!(["y"]), json!(null)));
    let unknown = fresh_id();
    let answer = server.api.patch(&format!("{THREADS}/{unknown}"), &json!({"tags": ["a"]})).await.expect(404);
    assert_eq!(answer.errors(), [format!("Thread id: {unknown} not found")]);
}

#[tokio::test]
async fn workspaces_do_not_see_each_others_threads() {
    let server = Server::start().await;
    add(&server, "t").await;
    let mine = thread(&server, "t").await;
    let own = mine["thread_model_id"].as_str().unwrap();
    let there = async |method: &str, path: &str, body: Value| {
        let request = in_workspace(&server, "there", method, path);
        let request = if method == "GET" { request } else { request.body(body.to_string()) };
        server.api.send(request).await
    };
    let named = json!({"project_name": "p", "thread_id": "t", "thread_ids": null});
    there("POST", &format!("{THREADS}/retrieve"), named.clone()).await.expect(404);
    there("PUT", &format!("{THREADS}/close"), named.clone()).await.expect(404);
    there("POST", &format!("{THREADS}/delete"), json!({"project_name": "p", "thread_ids": ["t"]})).await.expect(204);
    there("PATCH", &format!("{THREADS}/{own}"), json!({"tags": ["a"]})).await.expect(404);
    there("PATCH", &format!("{THREADS}/batch"), json!({"ids": [own], "update": {"tags": ["a"]}})).await.expect(204);
    there("POST", &format!("{THREADS}/{own}/comments"), json!({"text": "x"})).await.expect(404);
    there("PUT", SCORES, json!({"scores": [score("t", "theirs", 1.0)]})).await.expect(204);
    there("POST", &format!("{SCORES}/delete"), json!({"project_name": "p", "thread_id": "t", "names": ["q"]}))
        .await
        .expect(204);
    assert_eq!(thread(&server, "t").await, mine);
    there(
        "POST",
        "/v1/private/traces/batch",
        json!({"traces": [trace(&fresh_id(), "t", &json!({"input": "theirs"}))]}),
    )
    .await
    .expect(204);
    let theirs = there("POST", &format!("{THREADS}/retrieve"), named).await.expect(200).json();
    assert_eq!(theirs["first_message"], "theirs");
    assert_eq!(theirs["feedback_scores"][0]["name"], "theirs");
    assert_ne!(theirs["thread_model_id"], mine["thread_model_id"]);
    assert_eq!(thread(&server, "t").await, mine);
    let names = there("GET", &format!("{SCORES}/names"), json!(null)).await.expect(200).json();
    assert_eq!(names["scores"].as_array().unwrap().len(), 1);
    let names = server.api.get(&format!("{SCORES}/names")).await.expect(200).json();
    assert_eq!(names["scores"], json!([]));
}
