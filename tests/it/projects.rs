//! Projects: made, found, changed and deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use spandrel::clock::Clock;

use crate::support::{Home, Process, Server, fresh_id, in_workspace, recounted, snap, time};

const PROJECTS: &str = "/v1/private/projects";
const RETRIEVE: &str = "/v1/private/projects/retrieve";

/// Makes a project; returns its address.
async fn create(server: &Server, body: Value) -> String {
    server.api.post(PROJECTS, &body).await.expect(201).header("location").to_owned()
}

async fn read(server: &Server, address: &str) -> Value {
    server.api.get(address).await.expect(200).json()
}

/// The names on a page of projects, and what the page says of itself.
async fn names(server: &Server, query: &[(&str, &str)]) -> (Vec<String>, Value) {
    let mut page = server.api.send(server.api.request("GET", PROJECTS).query(query)).await.expect(200).json();
    let content = page.as_object_mut().unwrap().remove("content").unwrap();
    let name = |project: &Value| project["name"].as_str().unwrap().to_owned();
    (content.as_array().unwrap().iter().map(name).collect(), page)
}

#[tokio::test]
async fn a_fresh_installation_has_its_default_project() {
    let server = Server::start().await;
    let (found, page) = names(&server, &[]).await;
    assert_eq!(found, ["Default Project"]);
    let sortable = json!(["id", "name", "last_updated_at", "created_at", "last_updated_trace_at"]);
    assert_eq!(page, json!({"page": 1, "size": 1, "total": 1, "sortableBy": sortable, "sortable_by": sortable}));
    let project = read(&server, &format!("{PROJECTS}/0190babc-62a0-71d2-832a-0feffa4676eb")).await;
    assert_eq!((&project["name"], &project["visibility"]), (&json!("Default Project"), &json!("private")));
}

#[tokio::test]
async fn a_project_comes_back_as_it_was_made_and_changes_by_what_is_stated() {
    let server = Server::start().await;
    let body = json!({"name": " Größe ", "description": "d", "visibility": "public", "id": fresh_id()});
    let answer = server.api.post(&format!("/api{PROJECTS}/"), &body).await.expect(201);
    assert!(answer.body.is_empty());
    let address = answer.header("location").to_owned();
    assert!(address.starts_with(&format!("/api{PROJECTS}/")), "{address}");
    let made = read(&server, &address).await;
    snap("project__full", &made);
    for body in [json!({"name": "gRÖSSE"}), json!({"name": "grö"})] {
        server.api.post(RETRIEVE, &body).await.expect(404);
    }
    for body in [json!({"name": "GRÖßE", "include_stats": true}), json!({"name": "größe  ", "includeStats": false})]
    {
        assert_eq!(server.api.post(RETRIEVE, &body).await.expect(200).json(), made);
    }

    server.api.patch(&address, &json!({"visibility": "private", "name": null})).await.expect(204);
    let changed = read(&server, &address).await;
    let mut wanted = made.clone();
    wanted["visibility"] = json!("private");
    wanted["last_updated_at"] = changed["last_updated_at"].clone();
    assert_eq!(changed, wanted);
    assert!(time(&changed["last_updated_at"]) > time(&made["last_updated_at"]));

    // Its own name in another letter case is no other project's.
    server.api.patch(&address, &json!({"name": "GRÖßE", "description": ""})).await.expect(204);
    let changed = read(&server, &address).await;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("GRÖßE"), &json!("")));
    let answer = server.api.patch(&address, &json!({"name": "default project", "description": "x"})).await.expect(409);
    assert_eq!(answer.errors(), ["Project already exists"]);
    assert_eq!(read(&server, &address).await, changed);
}

#[tokio::test]
async fn spans_go_into_the_project_that_has_their_name() {
    let server = Server::start().await;
    let address = create(&server, json!({"name": "Mine"})).await;
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": " mINE"});
    let span = server.api.create(&body).await;
    let id = server.api.span(&span).await["project_id"].clone();
    assert_eq!(read(&server, &address).await["id"], id);
}

/// What a project's traces amount to, from the list of statistics.
async fn stats(server: &Server, query: &[(&str, &str)]) -> Vec<Value> {
    let request = server.api.request("GET", &format!("{PROJECTS}/stats")).query(query);
    server.api.send(request).await.expect(200).json()["content"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_project_tells_what_its_traces_amount_to() {
    // The times in ids are real ones: errors are recent or not by them.
    let server = Server::start().await;
    let address = create(&server, json!({"name": "busy"})).await;
    create(&server, json!({"name": "idle"})).await;
    let (old, error) = ("018d0c76-3ca0-7f15-a2b3-6d7e8f901b24", json!({"exception_type": "E", "traceback": "t"}));
    let mut traces = Vec::new();
    for (id, thread, error, seconds) in [
        (old.to_owned(), "a", Some(&error), 1),
        (fresh_id(), "a", Some(&error), 2),
        (fresh_id(), "b", Some(&error), 3),
        (fresh_id(), "b", None, 4),
    ] {
        let body = json!({"id": id, "project_name": "busy", "thread_id": thread, "error_info": error,
            "start_time": "2024-01-15T09:30:00Z", "end_time": format!("2024-01-15T09:30:0{seconds}Z")});
        traces.push(server.api.create_trace(&body).await);
    }
    for (trace, cost, tokens) in [(&traces[0], 0.5, 10), (&traces[1], 1.5, 20)] {
        let body = json!({"trace_id": trace, "project_name": "busy", "start_time": "2024-01-15T09:30:00Z",
            "total_estimated_cost": cost, "usage": {"total_tokens": tokens}});
        let span = server.api.create(&body).await;
        let score = json!({"name": "of a span", "value": 1, "source": "sdk"});
        server
            .api
            .raw("PUT", &format!("/v1/private/spans/{span}/feedback-scores"), score.to_string())
            .await
            .expect(204);
    }
    for (trace, value) in [(&traces[0], 0.25), (&traces[1], 0.75)] {
        let score = json!({"name": "quality", "value": value, "source": "sdk"});
        let path = format!("/v1/private/traces/{trace}/feedback-scores");
        server.api.raw("PUT", &path, score.to_string()).await.expect(204);
    }

    let id = read(&server, &address).await["id"].clone();
    let found = stats(&server, &[("sorting", r#"[{"field":"name","direction":"ASC"}]"#)]).await;
    assert_eq!(found.len(), 3);
    let wanted = json!({
        "project_id": id, "trace_count": 4, "thread_count": 2, "guardrails_failed_count": 0,
        "feedback_scores": [{"name": "quality", "value": 0.5}],
        "duration": {"p50": 2500.0, "p90": 3700.0, "p99": 3970.0},
        "total_estimated_cost": 1.0, "total_estimated_cost_sum": 2.0, "usage": {"total_tokens": 15.0},
        "error_count": {"count": 3, "deviation": 2, "deviation_percentage": 200},
    });
    assert_eq!(found[0], wanted);
    assert_eq!(found[2].as_object().unwrap().keys().collect::<Vec<_>>(), ["project_id"], "nothing is in it");
    assert_eq!(stats(&server, &[("name", "BUS")]).await, std::slice::from_ref(&wanted));
    assert_eq!(stats(&server, &[("page", "2"), ("size", "2")]).await.len(), 1);
    let filters = r#"[{"field":"duration","operator":">","value":"2500"}]"#;
    let some = stats(&server, &[("name", "busy"), ("filters", filters)]).await;
    assert_eq!((&some[0]["trace_count"], &some[0]["error_count"]), (&json!(2), &json!({"count": 1, "deviation": 1})));

    let mut whole = server.api.post(RETRIEVE, &json!({"name": "busy", "include_stats": true})).await.expect(200).json();
    let plain = server.api.post(RETRIEVE, &json!({"name": "busy"})).await.expect(200).json();
    for (member, value) in wanted.as_object().unwrap().iter().filter(|(member, _)| *member != "project_id") {
        assert_eq!(whole.as_object_mut().unwrap().remove(member).as_ref(), Some(value), "{member}");
    }
    assert_eq!(whole, plain);

    let names = async |query: &[(&str, &str)]| {
        let request = server.api.request("GET", &format!("{PROJECTS}/feedback-scores/names")).query(query);
        let answer = server.api.send(request).await.expect(200).json();
        answer["scores"].as_array().unwrap().iter().map(|score| score["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]).await, ["of a span", "quality"]);
    assert_eq!(names(&[("project_ids", &json!([id]).to_string())]).await, ["of a span", "quality"]);
    assert_eq!(names(&[("project_ids", &json!([found[2]["project_id"]]).to_string())]).await, [""; 0]);
    let tokens = read(&server, &format!("{address}/token-usage/names")).await;
    assert_eq!(tokens, json!({"names": ["total_tokens"]}));
    server.api.delete(&address).await.expect(204);
    assert_eq!(names(&[]).await, [""; 0]);
    server.api.get(&format!("{address}/token-usage/names")).await.expect(404);
}

#[tokio::test]
async fn projects_are_found_by_part_of_a_name_in_pages_and_in_any_order() {
    // No two ids of one moment.
    let (start, times) = (Clock::system().now(), AtomicI64::new(0));
    let clock = Clock::new(move || start + times.fetch_add(1_000_000, Ordering::Relaxed));
    let server = Server::with(&[], clock).await;
    let mut addresses = Vec::new();
    for name in ["beta", "Alpha", "100%", "Ärger", "alphabet"] {
        addresses.push(create(&server, json!({"name": name})).await);
    }
    server.api.patch(&addresses[0], &json!({"description": "changed last"})).await.expect(204);

    let newest = ["alphabet", "Ärger", "100%", "Alpha", "beta", "Default Project"];
    assert_eq!(names(&server, &[]).await.0, newest);
    for (name, wanted) in [
        ("ALPHA", vec!["alphabet", "Alpha"]),
        ("äRG", vec!["Ärger"]),
        ("%", vec!["100%"]),
        ("_", vec![]),
        ("", newest.to_vec()),
    ] {
        let (found, page) = names(&server, &[("name", name)]).await;
        assert_eq!((found, &page["total"]), (wanted.iter().map(ToString::to_string).collect(), &json!(wanted.len())));
    }
    for (field, direction, first, last) in [
        ("name", "ASC", "100%", "Ärger"),
        ("name", "DESC", "Ärger", "100%"),
        ("id", "ASC", "Default Project", "alphabet"),
        ("created_at", "DESC", "alphabet", "Default Project"),
        ("last_updated_at", "DESC", "beta", "Default Project"),
        ("last_updated_trace_at", "DESC", "beta", "Default Project"),
        ("unknown", "ASC", "alphabet", "Default Project"),
    ] {
        let sorting = json!([{"field": field, "direction": direction}]).to_string();
        let found = names(&server, &[("sorting", &sorting)]).await.0;
        assert_eq!((found.len(), &*found[0], &*found[5]), (6, first, last), "{sorting}");
    }
    let (found, page) = names(&server, &[("page", "2"), ("size", "4")]).await;
    assert_eq!(found, newest[4..]);
    assert_eq!((&page["page"], &page["size"], &page["total"]), (&json!(2), &json!(2), &json!(6)));
    let (found, page) = names(&server, &[("page", "3"), ("size", "4")]).await;
    assert_eq!((found.len(), &page["size"], &page["total"]), (0, &json!(0), &json!(6)));
}

#[tokio::test]
async fn a_deleted_project_is_gone_at_once_and_its_name_is_free() {
    let server = Server::start().await;
    let old = create(&server, json!({"name": "Doomed"})).await;
    let id = old.rsplit('/').next().unwrap().to_owned();
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "doomed"});
    let span = server.api.create(&body).await;
    let comments = format!("/v1/private/spans/{span}/comments");
    let comment = server.api.post(&comments, &json!({"text": "so"})).await.expect(201);

    server.api.raw("DELETE", &old, String::new()).await.expect(204);
    for address in [
        old.clone(),
        format!("/v1/private/spans/{span}"),
        comment.header("location").to_owned(),
        format!("/v1/private/spans?project_id={id}"),
        "/v1/private/spans?project_name=Doomed".to_owned(),
        format!("/v1/private/spans/feedback-scores/names?project_id={id}"),
    ] {
        server.api.get(&address).await.expect(404);
    }
    server.api.post(RETRIEVE, &json!({"name": "Doomed"})).await.expect(404);
    server.api.patch(&old, &json!({"name": "again"})).await.expect(404);
    assert_eq!(names(&server, &[]).await.0, ["Default Project"]);
    // By id, it takes no more spans.
    let update = json!({"trace_id": fresh_id(), "project_id": id});
    server.api.patch(&format!("/v1/private/spans/{}", fresh_id()), &update).await.expect(404);
    // It is gone already.
    server.api.raw("DELETE", &old, String::new()).await.expect(204);

    let new = server.api.span(&server.api.create(&body).await).await["project_id"].clone();
    assert_ne!(new, json!(id));
    let page = server.api.get("/v1/private/spans?project_name=Doomed").await.expect(200).json();
    assert_eq!(page["total"], 1, "none of the old spans");
    assert_eq!(names(&server, &[]).await.0, ["doomed", "Default Project"]);
    server.api.post(&format!("{PROJECTS}/delete"), &json!({"ids": [new, id, fresh_id()]})).await.expect(204);
    create(&server, json!({"name": "Doomed"})).await;
}

#[tokio::test]
async fn what_is_written_to_a_span_of_a_deleted_project_is_a_new_span() {
    let server = Server::start().await;
    let address = create(&server, json!({"name": "Doomed"})).await;
    let mut spans = Vec::new();
    for _ in 0..4 {
        let body = json!({"id": fresh_id(), "trace_id": fresh_id(), "start_time": "2024-01-15T09:30:00Z",
                          "project_name": "doomed", "input": {"old": 1}, "type": "llm"});
        spans.push(server.api.create(&body).await);
    }
    let made = server.api.post(&format!("/v1/private/spans/{}/comments", spans[0]), &json!({"text": "old"})).await;
    let score = json!({"name": "old", "value": 1, "source": "sdk"});
    let scores = format!("/v1/private/spans/{}/feedback-scores", spans[0]);
    server.api.raw("PUT", &scores, score.to_string()).await.expect(204);
    server.api.raw("DELETE", &address, String::new()).await.expect(204);

    // What only changes what is there finds nothing.
    let comment = made.json()["id"].as_str().unwrap().to_owned();
    let update = json!({"text": "new"});
    server.api.patch(&format!("/v1/private/spans/comments/{comment}"), &update).await.expect(404);
    server.api.raw("PUT", &scores, score.to_string()).await.expect(404);
    let body = json!({"ids": [spans[1]], "update": {"trace_id": fresh_id(), "name": "new"}});
    server.api.patch("/v1/private/spans/batch", &body).await.expect(204);
    server.api.get(&format!("/v1/private/spans/{}", spans[1])).await.expect(404);
    server.api.raw("DELETE", &format!("/v1/private/spans/{}", spans[1]), String::new()).await.expect(204);

    // No trace, project or parent is in the way, and nothing of the old is left.
    let trace = fresh_id();
    let body = json!({"id": spans[0], "trace_id": trace, "start_time": "2025-01-15T09:30:00Z", "project_name": "New"});
    server.api.post("/v1/private/spans", &body).await.expect(201);
    let span = server.api.span(&spans[0]).await;
    assert_eq!((&span["trace_id"], &span["start_time"]), (&json!(trace), &json!("2025-01-15T09:30:00Z")));
    for member in ["input", "type", "feedback_scores", "comments"] {
        assert!(span.get(member).is_none(), "{member}: {span}");
    }
    let update = json!({"trace_id": trace, "name": "new"});
    server.api.patch(&format!("/v1/private/spans/{}", spans[2]), &update).await.expect(204);
    assert_eq!(server.api.span(&spans[2]).await["name"], "new");
    recounted(&server);
}

#[tokio::test]
async fn traces_and_threads_of_a_deleted_project_are_gone_and_their_ids_are_free() {
    let server = Server::start().await;
    let project = create(&server, json!({"name": "Doomed"})).await;
    let start = "2024-01-15T09:30:00Z";
    let trace = |id: &str, project: &str, start: &str| json!({"id": id, "start_time": start, "project_name": project});
    let id = fresh_id();
    let mut body = trace(&id, "doomed", start);
    body["thread_id"] = json!("talk");
    body["input"] = json!({"old": 1});
    server.api.create_trace(&body).await;
    let address = format!("/v1/private/traces/{id}");
    let retrieve = json!({"project_name": "doomed", "thread_id": "talk"});
    let threads = "/v1/private/traces/threads";
    let thread = server.api.post(&format!("{threads}/retrieve"), &retrieve).await.expect(200).json();
    let thread = thread["thread_model_id"].as_str().unwrap().to_owned();
    let comment = async |of: String| server.api.post(&of, &json!({"text": "old"})).await.expect(201);
    let on_trace = comment(format!("{address}/comments")).await;
    let on_thread = comment(format!("{threads}/{thread}/comments")).await;
    let score = json!({"name": "old", "value": 1, "source": "sdk"});
    server.api.put(&format!("{address}/feedback-scores"), &score).await.expect(204);
    let scores = json!({"scores": [{"thread_id": "talk", "project_name": "doomed", "name": "of a thread", "value": 1, "source": "sdk"}]});
    server.api.put(&format!("{threads}/feedback-scores"), &scores).await.expect(204);

    server.api.raw("DELETE", &project, String::new()).await.expect(204);
    let of_trace = on_trace.header("location").to_owned();
    for gone in [address.clone(), of_trace.clone(), on_thread.header("location").to_owned()] {
        server.api.get(&gone).await.expect(404);
    }
    server.api.post(&format!("{threads}/retrieve"), &retrieve).await.expect(404);
    let found = server.api.get(&format!("{threads}/feedback-scores/names")).await.expect(200).json();
    assert_eq!(found["scores"], json!([]));
    // What only changes what is there finds nothing.
    let text = json!({"text": "new"});
    for (area, made) in [("traces", &on_trace), ("traces/threads", &on_thread)] {
        let made = made.json()["id"].as_str().unwrap().to_owned();
        server.api.patch(&format!("/v1/private/{area}/comments/{made}"), &text).await.expect(404);
    }
    server.api.put(&format!("{address}/feedback-scores"), &score).await.expect(404);
    server.api.post(&format!("{address}/comments"), &text).await.expect(404);
    server.api.patch(&format!("{threads}/{thread}"), &json!({"tags": ["new"]})).await.expect(404);

    // No project is in the way, and nothing of the old is left.
    server.api.create_trace(&trace(&id, "New", "2025-01-15T09:30:00Z")).await;
    let read = server.api.trace(&id).await;
    assert_eq!(read["start_time"], "2025-01-15T09:30:00Z");
    for member in ["input", "thread_id", "feedback_scores", "comments"] {
        assert!(read.get(member).is_none(), "{member}: {read}");
    }
    server.api.get(&of_trace).await.expect(404);
    let again = server.api.create_trace(&body_with_new_id(&body)).await;
    assert_eq!(server.api.trace(&again).await["thread_id"], "talk");
    let new = server.api.post(&format!("{threads}/retrieve"), &retrieve).await.expect(200).json();
    assert_ne!(new["thread_model_id"], thread);
    assert_eq!(new["number_of_messages"], 2, "of one trace");
    recounted(&server);
}

fn body_with_new_id(body: &Value) -> Value {
    let mut body = body.clone();
    body["id"] = json!(fresh_id());
    body
}

/// Held to by what the clock says, which does not move by itself.
#[tokio::test]
async fn a_project_tells_when_a_trace_of_it_was_last_written_and_is_sorted_by_it() {
    let now = Arc::new(AtomicI64::new(1_800_000_000_000_000_000));
    let told = Arc::clone(&now);
    let server = Server::with(&[], Clock::new(move || told.load(Ordering::Relaxed))).await;
    let later = || now.fetch_add(1_000_000_000, Ordering::Relaxed);
    let first = create(&server, json!({"name": "first"})).await;
    later();
    create(&server, json!({"name": "second"})).await;
    assert!(read(&server, &first).await.get("last_updated_trace_at").is_none());
    let order = async |direction: &str| {
        let sorting = json!([{"field": "last_updated_trace_at", "direction": direction}]).to_string();
        names(&server, &[("sorting", &sorting)]).await.0
    };
    assert_eq!(order("DESC").await, ["second", "first", "Default Project"]);
    later();
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "first"});
    let trace = server.api.create_trace(&body).await;
    let project = read(&server, &first).await;
    assert_eq!(project["last_updated_trace_at"], server.api.trace(&trace).await["last_updated_at"]);
    assert_ne!(project["last_updated_trace_at"], project["last_updated_at"]);
    assert_eq!(order("DESC").await, ["first", "second", "Default Project"]);
    assert_eq!(order("ASC").await, ["Default Project", "second", "first"]);
    // A span is none.
    later();
    server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "second"})).await;
    assert_eq!(order("DESC").await, ["first", "second", "Default Project"]);
}

#[tokio::test]
async fn the_default_project_is_made_again_by_the_next_span_that_names_none() {
    let server = Server::start().await;
    let id = "0190babc-62a0-71d2-832a-0feffa4676eb";
    server.api.raw("DELETE", &format!("{PROJECTS}/{id}"), String::new()).await.expect(204);
    assert_eq!(names(&server, &[]).await.0, [""; 0]);
    let span = server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    let project = server.api.span(&span).await["project_id"].as_str().unwrap().to_owned();
    assert_ne!(project, id);
    assert_eq!(read(&server, &format!("{PROJECTS}/{project}")).await["name"], "Default Project");
}

#[tokio::test]
async fn workspaces_have_projects_of_their_own() {
    let server = Server::start().await;
    let ours = create(&server, json!({"name": "Shared"})).await;
    let request = in_workspace(&server, "team", "POST", PROJECTS).body(json!({"name": "shared"}).to_string());
    let theirs = server.api.send(request).await.expect(201).header("location").to_owned();
    for (address, workspace, status) in
        [(&ours, "default", 200), (&ours, "team", 404), (&theirs, "team", 200), (&theirs, "default", 404)]
    {
        server.api.send(in_workspace(&server, workspace, "GET", address)).await.expect(status);
    }
    server.api.send(in_workspace(&server, "team", "DELETE", &ours)).await.expect(204);
    server.api.get(&ours).await.expect(200);
    let page = server.api.send(in_workspace(&server, "nobody's", "GET", PROJECTS)).await.expect(200).json();
    assert_eq!((&page["total"], &page["content"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn changes_that_were_acknowledged_survive_a_kill() {
    let home = Home::new();
    let mut process = Process::on(&home);
    let kept = process.api.post(PROJECTS, &json!({"name": "kept"})).await.expect(201).header("location").to_owned();
    let gone = process.api.post(PROJECTS, &json!({"name": "gone"})).await.expect(201).header("location").to_owned();
    process.api.raw("DELETE", &gone, String::new()).await.expect(204);
    process.api.patch(&kept, &json!({"description": "changed"})).await.expect(204);
    process.signal(Signal::SIGKILL);
    process.wait();
    let process = Process::on(&home);
    assert_eq!(process.api.get(&kept).await.expect(200).json()["description"], "changed");
    process.api.get(&gone).await.expect(404);
}
