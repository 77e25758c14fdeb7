//! More than can be taken: every bound is told in words a client can act on, nothing is stored by halves, and the
//! server recovers by itself.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;

use nix::sys::signal::Signal;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Api, Home, Process, Server, fresh_id, until};

const SPANS: &str = "/v1/private/spans";
const BATCH: &str = "/v1/private/spans/batch";

#[tokio::test]
async fn a_full_queue_is_told_and_nothing_of_what_it_refused_is_stored() {
    let server = Server::with_flags(&["--queue-rows-max", "4"]).await;
    let ids: Vec<String> = (0..12).map(|_| fresh_id()).collect();
    let writes = ids.iter().map(|id| post(&server.api, SPANS, &span(id))).collect();
    let answers = crowd(&server, writes, 8).await;
    for (id, answer) in ids.iter().zip(answers) {
        let stored = server.api.get(&format!("{SPANS}/{id}")).await.status;
        assert!(matches!((answer.status, stored), (429, 404) | (201, 200)), "{} {stored}", answer.status);
        server.api.create(&span(id)).await;
    }
}

#[tokio::test]
async fn what_a_full_queue_refuses_is_not_parsed_first() {
    let server = Server::with_flags(&["--queue-rows-max", "1"]).await;
    let held = server.home.hold();
    let (api, write) = (server.api.clone(), post(&server.api, SPANS, &span(&fresh_id())));
    let writing = tokio::spawn(async move { api.send(write).await });
    refused(&server.api).await.expect_try_later("Too many writes are waiting");
    drop(held);
    writing.await.unwrap().expect(201);
    server.api.send(no_json(&server.api)).await.expect(400);
}

#[tokio::test]
async fn no_more_waits_than_can_be_stored_in_the_time_that_is_set() {
    let server = Server::with_flags(&["--queue-millis-max", "1"]).await;
    let many = || {
        let spans: Vec<Value> = (0..1_000).map(|_| span(&fresh_id())).collect();
        post(&server.api, BATCH, &json!({ "spans": spans }))
    };
    // The first tells the pace.
    server.api.send(many()).await.expect(204);
    let held = server.home.hold();
    let (api, write) = (server.api.clone(), many());
    // What is more than the time allows is taken by a queue that is empty.
    let writing = tokio::spawn(async move { api.send(write).await });
    refused(&server.api).await.expect_try_later("Too many writes are waiting");
    drop(held);
    writing.await.unwrap().expect(204);
    server.api.create(&span(&fresh_id())).await;
}

#[tokio::test]
async fn the_journal_stays_small_however_much_is_written() {
    const COMMITS: u64 = 40;
    let server = Server::with_flags(&["--journal-bytes-max", "1000000"]).await;
    let body = |id: &str| json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(500_000)});
    let mut ids = Vec::new();
    for _ in 0..COMMITS {
        ids.push(fresh_id());
        server.api.post(SPANS, &body(ids.last().unwrap())).await.expect(201);
    }
    let size = |file: &Path| std::fs::metadata(file).unwrap().len();
    let journal = server.home.file().with_extension("db-wal");
    assert!(size(&journal) < COMMITS * 500_000 / 2, "{} bytes", size(&journal));
    assert!(size(&server.home.file()) > COMMITS * 500_000 / 2);
    for id in ids {
        server.api.get(&format!("{SPANS}/{id}")).await.expect(200);
    }
}

#[tokio::test]
async fn changes_of_projects_take_room_in_the_queue_too() {
    let server = Server::with_flags(&["--queue-rows-max", "4"]).await;
    let writes: Vec<RequestBuilder> = (0..12)
        .map(|number| match number % 2 {
            0 => post(&server.api, "/v1/private/projects", &json!({"name": number.to_string()})),
            _ => post(&server.api, SPANS, &span(&fresh_id())),
        })
        .collect();
    let answers = crowd(&server, writes, 8).await;
    let stored = server.api.get("/v1/private/projects").await.expect(200).json();
    let made = answers.iter().step_by(2).filter(|answer| answer.status == 201).count();
    // And the one that there always is.
    assert_eq!(stored["total"], made + 1);
    // All of the room is given back.
    for number in 20..30 {
        server.api.post("/v1/private/projects", &json!({"name": number.to_string()})).await.expect(201);
    }
}

#[tokio::test]
async fn a_queue_that_is_full_in_bytes_is_told() {
    let server = Server::with_flags(&["--queue-bytes-max", "100000"]).await;
    let body = |id: &String| json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(30_000)});
    let ids: Vec<String> = (0..9).map(|_| fresh_id()).collect();
    let writes = ids.iter().map(|id| post(&server.api, SPANS, &body(id))).collect();
    let answers = crowd(&server, writes, 6).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 3);
}

#[tokio::test]
async fn a_body_that_does_not_come_takes_room_for_a_moment_only() {
    let server = Server::with_flags(&["--queue-bytes-max", "100000"]).await;
    let mut slow = std::net::TcpStream::connect(server.api.base.trim_start_matches("http://")).unwrap();
    let id = fresh_id();
    let body = json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(90_000)}).to_string();
    let head = format!(
        "POST {SPANS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    // There is no room for both.
    let other = json!({"id": fresh_id(), "start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(90_000)});
    until(async || (server.api.post(SPANS, &other).await.status == 201).then_some(())).await;
    let answer = tokio::task::spawn_blocking(move || {
        slow.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn a_write_larger_than_the_whole_queue_is_taken_when_the_queue_is_empty() {
    let server = Server::with_flags(&["--queue-rows-max", "2", "--queue-bytes-max", "100"]).await;
    let spans: Vec<Value> = (0..10).map(|_| span(&fresh_id())).collect();
    server.api.post(BATCH, &json!({"spans": spans})).await.expect(204);
}

#[tokio::test]
async fn writes_that_wait_together_are_stored_together_and_a_refused_one_fails_alone() {
    let server = Server::with_flags(&["--queue-rows-max", "64"]).await;
    let taken = fresh_id();
    server.api.create(&span(&taken)).await;
    // Every eighth contradicts the span that is there.
    let ids: Vec<String> = (0..65).map(|number| if number % 8 == 0 { taken.clone() } else { fresh_id() }).collect();
    let writes = ids.iter().map(|id| {
        let body = json!({"id": id, "trace_id": fresh_id(), "start_time": "2024-01-15T09:30:00Z"});
        post(&server.api, SPANS, &body)
    });
    let answers = crowd(&server, writes.collect(), 1).await;
    let mut arrivals = BTreeSet::new();
    let mut conflicts = 0;
    for (id, answer) in ids.iter().zip(answers).filter(|(_, answer)| answer.status != 429) {
        if *id == taken {
            answer.expect(409);
            conflicts += 1;
        } else {
            answer.expect(201);
            arrivals.insert(server.api.span(id).await["created_at"].to_string());
        }
    }
    assert!(conflicts >= 8);
    // What a transaction makes has one time of arrival: one for the write that found the database held, one for the
    // rest.
    assert!(arrivals.len() <= 2, "{arrivals:?}");
}

#[tokio::test]
async fn a_batch_that_cannot_be_stored_spoils_only_itself() {
    let server = Server::with_flags(&["--queue-rows-max", "64"]).await;
    server.home.spoil("INSERT", "spans", "new.name = 'spoilt'");
    let pairs: Vec<[String; 2]> = (0..33).map(|_| [fresh_id(), fresh_id()]).collect();
    let spoilt = |number: usize| number.is_multiple_of(4);
    let batches = pairs.iter().enumerate().map(|(number, pair)| {
        let mut spans = pair.each_ref().map(|id| span(id));
        spans[1]["name"] = json!(if spoilt(number) { "spoilt" } else { "good" });
        post(&server.api, BATCH, &json!({"spans": spans}))
    });
    let answers = crowd(&server, batches.collect(), 1).await;
    for (number, (pair, answer)) in pairs.iter().zip(answers).enumerate() {
        let (wanted, stored) = match answer.status {
            429 => (429, 404),
            _ if spoilt(number) => (500, 404),
            _ => (204, 200),
        };
        answer.expect(wanted);
        for id in pair {
            server.api.get(&format!("{SPANS}/{id}")).await.expect(stored);
        }
    }
}

#[tokio::test]
async fn memory_for_bodies_that_is_taken_up_is_told() {
    let home = Home::new();
    // Two units: one for each body that has begun, one for one of them to grow.
    let process = start(&home, &["--bodies-bytes-max", "2048"]);
    let small = json!({"start_time": "2024-01-15T09:30:00Z"});
    let large = json!({"start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(1_500)}).to_string();
    process.api.raw("POST", SPANS, large.clone()).await.expect(201);

    let mut slow = process.api.connect();
    let length = small.to_string().len().to_string();
    slow.head("POST", SPANS, &[("Content-Length", &length), ("Expect", "100-continue")]);
    // Whose body is asked for has its unit.
    slow.wait_for_continue();
    process.api.raw("POST", SPANS, large.clone()).await.expect_try_later("The memory for request bodies is taken up");
    process.api.create(&small).await;
    slow.send(small.to_string());
    slow.answer().expect(201);
    process.api.raw("POST", SPANS, large).await.expect(201);
}

#[tokio::test]
async fn a_body_larger_than_the_memory_for_all_is_read_alone() {
    let home = Home::new();
    let process = start(&home, &["--bodies-bytes-max", "20000"]);
    let small = json!({"start_time": "2024-01-15T09:30:00Z"});
    let large = json!({"start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(100_000)}).to_string();
    process.api.raw("POST", SPANS, large.clone()).await.expect(201);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(large.as_bytes()).unwrap();
    let request = process.api.request("POST", SPANS).header("content-type", "application/json");
    let request = request.header("content-encoding", "gzip").body(packer.finish().unwrap());
    process.api.send(request).await.expect(201);

    // Beside another one it is not.
    let length = large.len().to_string();
    let mut slow = process.api.connect();
    slow.head("POST", SPANS, &[("Content-Length", &length), ("Expect", "100-continue")]);
    slow.wait_for_continue();
    process.api.raw("POST", SPANS, large.clone()).await.expect_try_later("The memory for request bodies is taken up");
    slow.send(&large);
    slow.answer().expect(201);
    process.api.create(&small).await;
}

#[tokio::test]
async fn a_bomb_is_told_by_how_much_it_grows() {
    let server = Server::start().await;
    let packed = |text: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(text.as_bytes()).unwrap();
        let request = server.api.request("POST", SPANS).header("content-type", "application/json");
        server.api.send(request.header("content-encoding", "gzip").body(packer.finish().unwrap()))
    };
    let large = |bytes: usize| format!(r#"{{"start_time":"2024-01-15T09:30:00Z","input":"{}"}}"#, "x".repeat(bytes));
    packed(&large(30 << 20)).await.expect(201);
    let answer = packed(&large(40 << 20)).await.expect(413);
    assert!(answer.text().contains("more than 250 times larger"), "{}", answer.text());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_to_a_sender_that_is_still_sending() {
    let home = Home::new();
    let process = start(&home, &["--body-bytes-max", "100000"]);
    let large = "x".repeat(16 << 20);
    let expect = |answer: Answer| assert!(answer.expect(413).text().contains("larger than 100000 bytes"));

    let mut wire = process.api.connect();
    wire.head("POST", SPANS, &[("Content-Length", &large.len().to_string())]);
    wire.send(&large);
    expect(wire.answer());

    let mut wire = process.api.connect();
    wire.head("POST", BATCH, &[("Transfer-Encoding", "chunked")]);
    for _ in 0..2 {
        wire.send(format!("{:x}\r\n{large}\r\n", large.len()));
    }
    wire.send("0\r\n\r\n");
    expect(wire.answer());

    expect(process.api.raw("PATCH", &format!("{SPANS}/{}", fresh_id()), large).await);
    process.api.create(&span(&fresh_id())).await;
}

#[tokio::test]
async fn a_body_that_unpacks_to_too_much_is_told() {
    let server = Server::with_flags(&["--body-bytes-max", "1000000"]).await;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    for (method, path) in [("POST", SPANS), ("POST", BATCH), ("PATCH", &*format!("{SPANS}/{}", fresh_id()))] {
        let request = server.api.request(method, path).header("content-type", "application/json");
        let answer = server.api.send(request.header("content-encoding", "gzip").body(bomb.clone())).await.expect(413);
        assert!(answer.text().contains("larger than 1000000 bytes"), "{}", answer.text());
    }
    server.api.create(&span(&fresh_id())).await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_told() {
    let home = Home::new();
    let process = start(&home, &["--body-seconds-max", "1"]);
    let mut wire = process.api.connect();
    wire.head("POST", SPANS, &[("Content-Length", "1000")]);
    wire.send(r#"{"start_time":"#);
    wire.answer().expect(408);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_an_answer_is_cut_off() {
    let home = Home::new();
    let process = start(&home, &["--connections-max", "1", "--stalled-seconds-max", "1"]);
    let body = json!({"start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(4 << 20)}).to_string();
    // More than the system keeps for a client.
    for _ in 0..8 {
        let mut wire = process.api.connect();
        wire.head("POST", SPANS, &[("Content-Length", &body.len().to_string())]);
        wire.send(&body);
        wire.answer().expect(201);
    }
    let mut deaf = process.api.connect();
    deaf.head("GET", SPANS, &[]);
    // There is room for another once that one is cut off.
    let mut next = process.api.connect();
    next.head("GET", "/is-alive/ping", &[]);
    next.answer().expect(200);
}

#[tokio::test]
async fn a_database_at_its_size_limit_is_told_and_works_again_with_a_larger_one() {
    let home = Home::new();
    let body = |id: &str| json!({"id": id, "start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(30_000)});

    let mut process = start(&home, &["--database-bytes-max", "1000000"]);
    let mut stored = Vec::new();
    let refused = loop {
        let id = fresh_id();
        let answer = process.api.post(SPANS, &body(&id)).await;
        if answer.status != 201 {
            answer.expect_try_later("size limit");
            break id;
        }
        stored.push(id);
    };
    assert!(stored.len() > 10, "{}", stored.len());
    // The server looks now and then whether it can write again, so what it says is asked for right after a refusal.
    until(async || {
        process.api.post(SPANS, &body(&refused)).await.expect_try_later("size limit");
        process.api.is_ill().await.then_some(())
    })
    .await;
    expect_stored(&process.api, &stored).await;
    process.api.get(&format!("{SPANS}/{refused}")).await.expect(404);
    let file = home.file();
    assert!(file.metadata().unwrap().len() <= 1_000_000);
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
    assert!(file.metadata().unwrap().len() <= 1_000_000);

    let process = start(&home, &["--database-bytes-max", "10000000"]);
    process.api.get("/is-alive/ping").await.expect(200);
    expect_stored(&process.api, &stored).await;
    process.api.create(&body(&refused)).await;
    expect_stored(&process.api, &[refused]).await;
}

#[tokio::test]
async fn a_database_that_another_program_holds_is_told_until_it_lets_go() {
    let server = Server::start().await;
    let id = server.api.create(&span(&fresh_id())).await;
    let held = server.home.hold();
    let refused = fresh_id();
    server.api.post(SPANS, &span(&refused)).await.expect_try_later("another program holds the database");
    assert!(server.api.is_ill().await);
    server.api.post(SPANS, &span(&refused)).await.expect_try_later("another program holds the database");
    server.api.span(&id).await;
    drop(held);
    until(async || (server.api.get("/is-alive/ping").await.status == 200).then_some(())).await;
    server.api.get("/health").await.expect(200);
    server.api.get(&format!("{SPANS}/{refused}")).await.expect(404);
    server.api.create(&span(&refused)).await;
}

/// A server in a process of its own, for tests that block or end it.
fn start(home: &Home, flags: &[&str]) -> Process {
    Process::start(home.folder(), &[&["--database", &home.url()], flags].concat())
}

fn span(id: &str) -> Value {
    json!({"id": id, "start_time": "2024-01-15T09:30:00Z"})
}

fn post(api: &Api, path: &str, body: &Value) -> RequestBuilder {
    api.request("POST", path).header("content-type", "application/json").body(body.to_string())
}

fn no_json(api: &Api) -> RequestBuilder {
    api.request("POST", SPANS).header("content-type", "application/json").body("{")
}

/// What a write is answered that is refused before anybody looks at its body.
async fn refused(api: &Api) -> Answer {
    until(async || {
        let answer = api.send(no_json(api)).await;
        (answer.status != 400).then_some(answer)
    })
    .await
}

/// Sends all of these while the database is held, and lets go of it when so many were refused because the queue is
/// full: then all others are in it. Returns the answers in the order of the requests.
async fn crowd(server: &Server, requests: Vec<RequestBuilder>, refused: usize) -> Vec<Answer> {
    let held = server.home.hold();
    let mut sending = JoinSet::new();
    for (number, request) in requests.into_iter().enumerate() {
        let api = server.api.clone();
        sending.spawn(async move { (number, api.send(request).await) });
    }
    let mut answers = Vec::new();
    for _ in 0..refused {
        let (number, answer) = sending.join_next().await.unwrap().unwrap();
        answer.expect_try_later("Too many writes are waiting");
        answers.push((number, answer));
    }
    drop(held);
    answers.extend(sending.join_all().await);
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

async fn expect_stored(api: &Api, ids: &[String]) {
    for id in ids {
        assert_eq!(api.span(id).await["input"].as_str().unwrap().len(), 30_000);
    }
}
