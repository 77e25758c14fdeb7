//! What tests of other programs ask of the server: see `docs/testing-with-spandrel.md`.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::{Api, Process, Server, fresh_id, on_postgres, recounted, until};

const START: &str = "2024-01-15T09:30:00Z";

async fn with_test_api() -> Server {
    Server::with_flags(&["--test-api"]).await
}

async fn fault(api: &Api, fault: &Value) {
    api.post("/v1/test/faults", fault).await.expect(204);
}

/// The recorded requests.
async fn requests(api: &Api, query: &str) -> Vec<Value> {
    let told = api.get(&format!("/v1/test/requests{query}")).await.expect(200).json();
    told["requests"].as_array().unwrap().clone()
}

/// A request that is not held against the document: what comes is made up. The status, or none without an answer.
async fn status(api: &Api, method: &str, path: &str, body: &Value) -> Option<u16> {
    let request = api.request(method, path).header("content-type", "application/json").body(body.to_string());
    request.send().await.ok().map(|response| response.status().as_u16())
}

async fn create(api: &Api) -> Option<u16> {
    status(api, "POST", "/api/v1/private/spans", &json!({"start_time": START})).await
}

#[tokio::test]
async fn without_the_flag_there_is_no_such_thing() {
    for flags in [&[][..], &["--strict"]] {
        let server = Server::with_flags(flags).await;
        for (method, path) in [
            ("POST", "/v1/test/reset"),
            ("POST", "/api/v1/test/faults/"),
            ("PUT", "/v1/test/faults"),
            ("GET", "/v1/test/nothing"),
        ] {
            let answer = server.api.send(server.api.request(method, path)).await.expect(404);
            assert!(answer.errors()[0].contains("--test-api"), "{}", answer.text());
        }
        server.api.create(&json!({"start_time": START})).await;
    }
}

#[tokio::test]
async fn a_reset_server_is_as_a_new_one() {
    let server = with_test_api().await;
    let api = &server.api;
    let new = api.get("/v1/private/environments").await.expect(200).json();
    let definitions = api.get("/v1/private/feedback-definitions").await.expect(200).json();
    let mut sizes = Vec::new();
    for round in 0..3 {
        let body =
            json!({"start_time": START, "project_name": "gone", "environment": "extra", "input": "x".repeat(3_000)});
        let spans: Vec<Value> = (0..500).map(|_| body.clone()).collect();
        api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
        let kept = api.create(&json!({"start_time": START})).await;
        api.create_trace(&json!({"start_time": START, "thread_id": "t"})).await;
        let file = format!("/v1/private/attachment/upload?file_name=a.txt&entity_type=span&entity_id={kept}");
        api.send(api.request("PUT", &file).body("content")).await.expect(204);
        fault(api, &json!({"path": "/nowhere", "status": 500})).await;
        api.post("/v1/test/reset", &json!({})).await.expect(204);

        api.get(&format!("/v1/private/spans/{kept}")).await.expect(404);
        assert_eq!(api.get("/v1/private/projects").await.expect(200).json()["total"], 1, "round {round}");
        assert_eq!(api.get("/v1/private/environments").await.expect(200).json(), new);
        assert_eq!(api.get("/v1/private/feedback-definitions").await.expect(200).json(), definitions);
        assert_eq!(api.get("/v1/test/faults").await.expect(200).json(), json!({"faults": []}));
        let told = api.get("/v1/test/requests?last=1").await.expect(200).json();
        assert_eq!((&told["total"], &told["requests"][0]["number"]), (&json!(4), &json!(4)));
        // It can be written to as before, also under ids that were there.
        api.create(&json!({"id": kept, "start_time": START, "project_name": "another"})).await;
        assert_eq!(api.span(&kept).await["input"], Value::Null);
        recounted(&server);
        if !on_postgres() {
            sizes.push(server.home.number("SELECT page_count FROM pragma_page_count"));
        }
        api.post("/v1/test/reset", &json!({})).await.expect(204);
    }
    assert!(sizes.iter().all(|pages| *pages < 200), "what was there takes no room: {sizes:?}");
    if on_postgres() {
        assert_eq!(server.home.rows("contents"), 0);
        return;
    }
    // Files are removed beside what follows.
    let files = crate::support::beside(&server.home.file(), "-files");
    until(async || {
        let left = std::fs::read_dir(&files).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
        (left == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_reset_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--database", &crate::support::database_url(folder.path()), "--test-api"];
    let mut process = Process::start(folder.path(), &flags);
    let before = process.api.create(&json!({"start_time": START})).await;
    process.api.post("/v1/test/reset", &json!({})).await.expect(204);
    let after = process.api.create(&json!({"start_time": START})).await;
    process.signal(nix::sys::signal::Signal::SIGKILL);
    process.wait();
    let process = Process::start(folder.path(), &flags);
    process.api.get(&format!("/v1/private/spans/{before}")).await.expect(404);
    process.api.span(&after).await;
}

#[tokio::test]
async fn readers_see_a_reset_as_a_whole() {
    let server = with_test_api().await;
    let api = server.api.clone();
    let write = tokio::spawn(async move {
        for _ in 0..20 {
            let spans: Vec<Value> = (0..50).map(|_| json!({"start_time": START, "project_name": "p"})).collect();
            api.post("/v1/private/spans/batch", &json!({"spans": spans})).await.expect(204);
            api.post("/v1/test/reset", &json!({})).await.expect(204);
        }
    });
    while !write.is_finished() {
        let answer = server.api.get("/v1/private/spans?project_name=p&size=100").await;
        assert!([200, 404].contains(&answer.status), "{}", answer.text());
        if answer.status == 200 {
            // Counted and read at two moments; at each of them it is all there, or gone.
            let page = answer.json();
            let counts = (page["total"].as_u64().unwrap(), page["content"].as_array().unwrap().len());
            assert!([0, 50].contains(&counts.0) && [0, 50].contains(&counts.1), "{counts:?}");
        }
    }
    write.await.unwrap();
}

#[tokio::test]
async fn faults_come_to_those_that_fit_in_turn() {
    let server = with_test_api().await;
    let api = &server.api;
    fault(api, &json!({"operation_id": "createSpan", "times": 2, "status": 503})).await;
    fault(api, &json!({"path": "/v1/private/spans", "method": "POST", "skip": 1, "status": 500})).await;
    fault(api, &json!({"path": "/v1/private/*/batch", "status": 502})).await;
    fault(api, &json!({"path": "/v1/private/spans/{id}", "status": 418})).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(create(api).await.unwrap());
    }
    assert_eq!(seen, [503, 503, 201, 500, 201, 201]);
    assert_eq!(status(api, "POST", "/v1/private/traces/batch", &json!({})).await, Some(502));
    assert_eq!(status(api, "POST", "/v1/private/traces/batch", &json!({})).await, Some(422));
    let path = format!("/v1/private/spans/{}", fresh_id());
    assert_eq!(status(api, "GET", &path, &json!({})).await, Some(418));
    assert_eq!(status(api, "GET", &path, &json!({})).await, Some(404));
    let listed = api.get("/v1/test/faults").await.expect(200).json();
    let hits: Vec<&Value> = listed["faults"].as_array().unwrap().iter().map(|fault| &fault["hits"]).collect();
    assert_eq!(hits, [2, 1, 1, 1]);
    assert_eq!(listed["faults"][0], json!({"operation_id": "createSpan", "times": 2, "status": 503, "hits": 2}));

    fault(api, &json!({"times": 1_000, "status": 500})).await;
    assert_eq!(status(api, "GET", "/is-alive/ping", &json!({})).await, Some(500));
    assert_eq!(api.get("/v1/test/requests?last=1").await.expect(200).json()["requests"][0]["fault"], true);
    api.delete("/v1/test/faults").await.expect(204);
    assert_eq!(create(api).await, Some(201));
}

#[tokio::test]
async fn an_answer_is_made_up_as_it_is_stated() {
    let server = with_test_api().await;
    let api = &server.api;
    let headers = json!({"Retry-After": "7", "RateLimit-Reset": "7", "X-Other": "ü"});
    fault(api, &json!({"status": 429, "headers": headers})).await;
    fault(api, &json!({"status": 200, "body": "<html>", "headers": {"content-type": "text/html"}})).await;
    fault(api, &json!({"status": 500, "body": "{\"a\": 1}"})).await;
    fault(api, &json!({"status": 204})).await;
    let ask = || async { api.request("GET", "/v1/private/projects").send().await.unwrap() };
    let answer = ask().await;
    assert_eq!(answer.status(), 429);
    assert_eq!(
        (&answer.headers()["retry-after"], &answer.headers()["ratelimit-reset"]),
        (&"7".parse().unwrap(), &"7".parse().unwrap())
    );
    assert_eq!(answer.headers()["x-other"].as_bytes(), "ü".as_bytes());
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!((&body["code"], body["errors"].as_array().unwrap().len()), (&json!(429), 1));
    let answer = ask().await;
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (200.try_into().unwrap(), &"text/html".parse().unwrap())
    );
    assert_eq!(answer.bytes().await.unwrap(), "<html>");
    let answer = ask().await;
    assert_eq!(&answer.headers()["content-type"], "application/json");
    assert_eq!(answer.bytes().await.unwrap(), "{\"a\": 1}");
    let answer = ask().await;
    assert_eq!((answer.status(), answer.bytes().await.unwrap().len()), (204.try_into().unwrap(), 0));
    // The server's own answer, with another header.
    fault(api, &json!({"headers": {"X-Slow": "no"}})).await;
    let answer = ask().await;
    assert_eq!((answer.status(), &answer.headers()["x-slow"]), (200.try_into().unwrap(), &"no".parse().unwrap()));
}

#[tokio::test]
async fn answers_are_held_back_cut_short_or_never_come() {
    let server = with_test_api().await;
    let api = &server.api;
    let span = api.create(&json!({"start_time": START, "input": "x".repeat(10_000)})).await;
    let path = format!("/v1/private/spans/{span}");

    fault(api, &json!({"operation_id": "getSpanById", "delay_ms": 300})).await;
    let begun = Instant::now();
    api.get(&path).await.expect(200);
    assert!(begun.elapsed() >= Duration::from_millis(300));

    for whole in [0, 1, 500, 9_000] {
        fault(api, &json!({"operation_id": "getSpanById", "cut_after_bytes": whole})).await;
        let (head, body) = raw(api, &path).await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
        assert!(length > 10_000);
        assert_eq!(body.len(), whole);
    }
    fault(api, &json!({"operation_id": "getSpanById", "cut_after_bytes": 1_000_000})).await;
    api.get(&path).await.expect(200);
    fault(api, &json!({"status": 500, "body": "0123456789", "cut_after_bytes": 4})).await;
    assert_eq!(raw(api, &path).await.1, b"0123");

    for (how, fails) in [("closed", false), ("reset", true)] {
        fault(api, &json!({"operation_id": "getSpanById", "connection": how})).await;
        let mut wire = std::net::TcpStream::connect(api.base.trim_start_matches("http://")).unwrap();
        wire.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
        let end = read_to_end(wire).await;
        let wanted = if fails { Err(std::io::ErrorKind::ConnectionReset) } else { Ok(0) };
        assert_eq!(end.map(|bytes| bytes.len()).map_err(|error| error.kind()), wanted);
    }
    assert_eq!(requests(api, "?last=1").await[0].get("status"), None);
    api.get(&path).await.expect(200);
}

/// What comes on a connection until it ends.
async fn read_to_end(mut wire: std::net::TcpStream) -> std::io::Result<Vec<u8>> {
    let read = move || {
        let mut bytes = Vec::new();
        wire.read_to_end(&mut bytes).map(|_| bytes)
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Head and body of an answer, as far as they come.
async fn raw(api: &Api, path: &str) -> (String, Vec<u8>) {
    let mut wire = std::net::TcpStream::connect(api.base.trim_start_matches("http://")).unwrap();
    wire.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let bytes = read_to_end(wire).await.unwrap();
    let end = memchr::memmem::find(&bytes, b"\r\n\r\n").unwrap();
    (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end + 4..].to_vec())
}

#[tokio::test]
async fn a_request_whose_answer_is_lost_is_done_only_if_that_is_wanted() {
    let server = with_test_api().await;
    let api = &server.api;
    for (what, stored) in [
        (json!({"status": 500}), false),
        (json!({"status": 500, "handled": true}), true),
        (json!({"connection": "closed"}), false),
        (json!({"connection": "closed", "handled": true}), true),
        (json!({"delay_ms": 1}), true),
    ] {
        let id = fresh_id();
        let mut what = what;
        what["operation_id"] = json!("createSpan");
        fault(api, &what).await;
        status(api, "POST", "/v1/private/spans", &json!({"id": id, "start_time": START})).await;
        let answer = api.get(&format!("/v1/private/spans/{id}")).await;
        assert_eq!(answer.status, if stored { 200 } else { 404 }, "{what}");
    }
}

#[tokio::test]
async fn a_fault_that_means_nothing_is_refused_by_name() {
    let server = with_test_api().await;
    for (body, pointers) in [
        (json!({"operation_id": "createSpam"}), vec!["/operation_id"]),
        (json!({"headers": {"a b": "x", "c": "x\ny", "d": "x"}}), vec!["/headers/a b", "/headers/c"]),
        (json!({"status": 199, "times": 0, "skip": -1}), vec!["/skip", "/status", "/times"]),
        (json!({"delay_ms": 600_001, "cut_after_bytes": -1}), vec!["/cut_after_bytes", "/delay_ms"]),
        (json!({"body": "x".repeat(65_537)}), vec!["/body"]),
    ] {
        let answer = server.api.post("/v1/test/faults", &body).await.expect(422);
        assert_eq!(answer.pointers(), pointers, "{}", answer.text());
    }
    assert_eq!(server.api.get("/v1/test/faults").await.expect(200).json(), json!({"faults": []}));
    for _ in 0..1_000 {
        fault(&server.api, &json!({"path": "/nowhere"})).await;
    }
    server.api.post("/v1/test/faults", &json!({"path": "/nowhere"})).await.expect(422);
}

#[tokio::test]
async fn requests_are_told_as_they_were_received() {
    let server = with_test_api().await;
    let api = &server.api;
    let trace = fresh_id();
    let body = json!({"start_time": START, "trace_id": trace, "type": "agent", "usage": {"a": 1.5}}).to_string();
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(body.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let request = api
        .request("POST", "/api/v1/private/spans/?a=b%20c")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .header("authorization", "my key")
        .header("comet-workspace", "team")
        .header("x-twice", "1")
        .header("x-twice", "2")
        .body(packed.clone());
    api.send(request).await.expect(400);
    api.get("/v1/private/nothing").await.expect(404);
    let path = format!("/v1/private/spans/{}?strip_attachments=maybe", fresh_id());
    api.get(&path).await.expect(400);

    let told = requests(api, "").await;
    let [first, second, third] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!(first["number"], 1);
    assert_eq!(
        (&first["method"], &first["path"], &first["query"]),
        (&json!("POST"), &json!("/api/v1/private/spans/"), &json!("a=b%20c"))
    );
    assert_eq!(
        (&first["operation_id"], &first["status"], &first["fault"]),
        (&json!("createSpan"), &json!(400), &json!(false))
    );
    assert_eq!(
        (&first["body"], &first["body_bytes"], &first["body_cut"]),
        (&json!(body), &json!(packed.len()), &json!(false))
    );
    let headers = &first["headers"];
    assert_eq!(
        (&headers["authorization"], &headers["comet-workspace"], &headers["x-twice"]),
        (&json!("***"), &json!("team"), &json!("1, 2"))
    );
    assert!(!serde_json::to_string(&told).unwrap().contains("my key"));
    let wrong = |request: &Value| -> Vec<String> {
        let violations = request["violations"].as_array().unwrap().iter();
        let places =
            violations.map(|one| [&one["pointer"], &one["name"]].map(|place| place.as_str().unwrap().to_owned()));
        places.map(|[pointer, name]| if pointer.is_empty() { name } else { pointer }).collect()
    };
    assert_eq!(wrong(first), ["/type", "/usage/a"]);
    assert_eq!((second.get("operation_id"), second["status"].as_i64()), (None, Some(404)));
    assert_eq!((wrong(second), wrong(third)), (vec![], vec!["strip_attachments".to_owned()]));
    assert_eq!(third["operation_id"], "getSpanById");

    assert_eq!(requests(api, "?operation_id=getSpanById").await, std::slice::from_ref(third));
    assert_eq!(requests(api, "?last=2").await, &told[1..]);
    assert_eq!(requests(api, "?operation_id=createSpan&last=1").await, &told[..1]);
}

#[tokio::test]
async fn what_strict_mode_finds_is_what_is_told_afterwards() {
    let (strict, lenient) = (Server::with_flags(&["--strict"]).await, with_test_api().await);
    for body in [
        json!({}).to_string(),
        json!({"start_time": START}).to_string(),
        json!({"start_time": "now", "name": 5, "tags": ["a", "a"], "input": 3}).to_string(),
        "{".to_owned(),
        String::new(),
        json!([]).to_string(),
        json!({"start_time": START, "type": "agent", "project_name": " "}).to_string(),
    ] {
        let path = "/v1/private/spans";
        let refused = strict.api.raw("POST", path, body.clone()).await;
        lenient.api.raw("POST", path, body.clone()).await;
        let told = requests(&lenient.api, "?last=1").await;
        let wanted = if refused.status == 201 { json!([]) } else { refused.json()["violations"].clone() };
        assert_eq!(told[0]["violations"], wanted, "{body}");
    }
}

#[tokio::test]
async fn requests_are_kept_within_bounds() {
    let flags = ["--test-api", "--test-requests-max", "3", "--test-requests-bytes-max", "20000"];
    let server = Server::with_flags(&flags).await;
    let api = &server.api;
    for number in 0..5 {
        api.create(&json!({"start_time": START, "name": number.to_string()})).await;
    }
    let told = api.get("/v1/test/requests").await.expect(200).json();
    assert_eq!(told["total"], 5);
    let numbers = |told: &Value| -> Vec<i64> {
        told["requests"].as_array().unwrap().iter().map(|one| one["number"].as_i64().unwrap()).collect()
    };
    assert_eq!(numbers(&told), [3, 4, 5]);
    // Of a long body, as much as a quarter of what is kept in all; nothing is said of its contract.
    let long = json!({"start_time": START, "input": "x".repeat(100_000), "type": "agent"});
    api.post("/v1/private/spans", &long).await.expect(400);
    let told = requests(api, "?last=1").await;
    assert_eq!((told[0]["body"].as_str().unwrap().len(), &told[0]["body_cut"]), (5_000, &json!(true)));
    assert_eq!((&told[0]["violations"], told[0]["body_bytes"].as_i64().unwrap() > 100_000), (&json!([]), true));
    for _ in 0..6 {
        api.create(&json!({"start_time": START, "input": "y".repeat(4_000)})).await;
    }
    let told = api.get("/v1/test/requests").await.expect(200);
    assert!(told.body.len() < 20_000, "{}", told.body.len());
    assert_eq!(told.json()["total"], 12);
    // What unpacks to more than may be told is cut as well.
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(json!({"start_time": START, "input": "z".repeat(1_000_000)}).to_string().as_bytes()).unwrap();
    let request = api.request("POST", "/v1/private/spans").header("content-type", "application/json");
    api.send(request.header("content-encoding", "gzip").body(packer.finish().unwrap())).await.expect(201);
    let told = requests(api, "?last=1").await;
    assert_eq!((told[0]["body"].as_str().unwrap().len(), &told[0]["body_cut"]), (20_000, &json!(true)));
}

#[tokio::test]
async fn who_waits_is_answered_as_soon_as_it_is_stored() {
    let server = with_test_api().await;
    let api = &server.api;
    let filters = json!([{"field": "name", "operator": "=", "value": "wanted"}]);
    let awaited =
        json!({"kind": "spans", "project_name": "later", "filters": filters, "count": 2, "timeout_ms": 60_000});
    let waits = {
        let (api, awaited) = (api.clone(), awaited.clone());
        tokio::spawn(async move { api.post("/v1/test/wait", &awaited).await })
    };
    for name in ["other", "wanted", "other", "wanted"] {
        assert!(!waits.is_finished());
        api.create(&json!({"start_time": START, "project_name": "later", "name": name})).await;
    }
    assert_eq!(waits.await.unwrap().expect(200).json(), json!({"count": 2}));
    // At once.
    assert_eq!(api.post("/v1/test/wait", &awaited).await.expect(200).json(), json!({"count": 2}));

    let trace = fresh_id();
    let awaited = json!({"kind": "traces", "project_name": "later", "trace_id": trace, "timeout_ms": 60_000});
    let waits = {
        let (api, awaited) = (api.clone(), awaited.clone());
        tokio::spawn(async move { api.post("/v1/test/wait", &awaited).await })
    };
    api.create_trace(&json!({"start_time": START, "project_name": "later"})).await;
    api.create_trace(&json!({"id": trace, "start_time": START, "project_name": "later"})).await;
    assert_eq!(waits.await.unwrap().expect(200).json(), json!({"count": 1}));

    let awaited =
        json!({"kind": "spans", "project_name": "later", "search": "wanted", "type": "llm", "timeout_ms": 20});
    let late = api.post("/v1/test/wait", &awaited).await.expect(408);
    assert_eq!(late.errors(), ["There are 0 such spans after 20 ms, not 1"]);
    let filters = json!([{"field": "nmae", "operator": "=", "value": "a"}]);
    let wrong = json!({"kind": "spans", "project_name": "later", "filters": filters});
    assert_eq!(api.post("/v1/test/wait", &wrong).await.expect(400).pointers(), ["/filters/0/field"]);
}

/// Neither who waits nor an answer that is held back keeps a server from stopping.
#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &["--ephemeral", "--test-api", "--shutdown-seconds-max", "3600"]);
    let api = process.api.clone();
    let awaited = json!({"kind": "spans", "project_name": "never", "timeout_ms": 60_000});
    let waits = tokio::spawn(async move { api.post("/v1/test/wait", &awaited).await.status });
    fault(&process.api, &json!({"operation_id": "createSpan", "delay_ms": 600_000})).await;
    let api = process.api.clone();
    let held = tokio::spawn(async move { create(&api).await });
    until(async || {
        let told = requests(&process.api, "").await;
        (!told.is_empty()).then_some(())
    })
    .await;
    process.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(process.wait().success());
    let ended = waits.await.unwrap();
    assert_eq!(ended, 503);
    assert_eq!(held.await.unwrap(), Some(201));
}
