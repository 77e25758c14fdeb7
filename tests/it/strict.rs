//! Strict mode: what the document forbids is refused, and nothing else.

use std::io::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::trials::trials;
use crate::limits::{Lists, run_on};
use crate::replay::{FILES, Made, Request, send, written};
use crate::support::{Answer, Process, Server, contract, fresh_id, snap};

/// Every limit of the document, once more: see `limits.rs`.
#[tokio::test]
async fn every_sample_outside_the_document_is_refused_and_every_one_inside_is_taken() {
    let lists = Lists::new(true);
    let complaints = run_on(&["--strict"], trials(&contract().document), &lists).await;
    assert!(complaints.is_empty(), "{}: {complaints:#?}", complaints.len());
    assert_eq!(lists.not_needed(), [""; 0], "rows that are not needed");
}

/// A document in which every object that lists members lists all of them.
fn closed(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(closed),
        Value::Object(members) => {
            members.values_mut().for_each(closed);
            if members.get("type") == Some(&json!("object")) && members.contains_key("properties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn closed_refuses_unknown_members_wherever_some_are_listed() {
    let mut document = contract().document.clone();
    closed(&mut document);
    let mut trials = trials(&document);
    trials.retain(|trial| trial.name().ends_with(": an unknown member"));
    let (inside, outside): (Vec<_>, Vec<_>) = trials.iter().partition(|trial| trial.inside);
    // Payloads, and the objects in them, are free, and so is what access is asked with; usage has a schema of its own, and is tried with `key`.
    let free = ["put", "data", "checkAccess"];
    assert!(inside.iter().all(|trial| free.iter().any(|part| trial.name().contains(part))), "{inside:?}");
    assert!(inside.len() > 20 && outside.len() > 15, "{} {}", inside.len(), outside.len());
    let complaints = run_on(&["--strict=closed"], trials, &Lists::new(true)).await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    first: Vec<First>,
    #[serde(default = "post")]
    method: String,
    #[serde(default = "spans")]
    path: String,
    #[serde(default = "media_type")]
    media_type: String,
    body: Option<String>,
    times: Option<(String, usize)>,
    ordinary: u16,
    strict: u16,
    closed: Option<u16>,
    #[serde(default)]
    pointers: Vec<String>,
    says: Option<String>,
    at: Option<(i64, i64)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    body: String,
}

fn post() -> String {
    "POST".to_owned()
}

fn spans() -> String {
    "/v1/private/spans".to_owned()
}

fn media_type() -> String {
    "application/json".to_owned()
}

impl Row {
    async fn play(&self, server: &Server) -> Answer {
        let ids = [("$ID", fresh_id()), ("$TRACE", fresh_id())];
        let filled = |text: &str| ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
        for First { body } in &self.first {
            server.api.raw("POST", &spans(), filled(body)).await.expect(201);
        }
        let mut request = server.api.request(&self.method, &filled(&self.path));
        if let Some(body) = &self.body {
            let (text, times) = self.times.clone().unwrap_or_default();
            let body = body.replace("$TIMES", &text.repeat(times)).replace("$SEMIT", &"]".repeat(times));
            request = request.body(filled(&body));
            if !self.media_type.is_empty() {
                request = request.header("content-type", &self.media_type);
            }
        }
        server.api.send(request).await
    }

    /// What is wrong with a refusal by a strict server.
    fn complaint(&self, answer: &Answer) -> Option<String> {
        let body = answer.json();
        let violations = body["violations"].as_array().cloned().unwrap_or_default();
        let place = |violation: &Value| match violation["in"].as_str() {
            Some(place) => format!("{place} {}", violation["name"].as_str().unwrap()),
            None => violation["pointer"].as_str().unwrap().to_owned(),
        };
        let mut places: Vec<String> = violations.iter().map(place).collect();
        let mut wanted = self.pointers.clone();
        places.sort();
        wanted.sort();
        let said = self.says.as_ref().is_none_or(|said| answer.errors().iter().any(|error| error.contains(said)));
        let at = self
            .at
            .is_none_or(|(line, column)| violations.iter().any(|one| one["line"] == line && one["column"] == column));
        let right = said && at && (wanted.is_empty() || places == wanted);
        (!right).then(|| format!("{}: {places:?}: {:.500}", self.name, answer.text()))
    }
}

fn rows() -> Vec<Row> {
    yaml_serde::from_str(include_str!("../data/strict.yaml")).unwrap()
}

#[tokio::test]
async fn every_row_is_answered_as_it_says() {
    let ordinary = Server::start().await;
    let strict = Server::with_flags(&["--strict"]).await;
    let closed = Server::with_flags(&["--strict=closed"]).await;
    let rows = rows();
    assert!(rows.len() > 60, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        for (server, status) in
            [(&ordinary, row.ordinary), (&strict, row.strict), (&closed, row.closed.unwrap_or(row.strict))]
        {
            let answer = row.play(server).await;
            if answer.status != status {
                wrong.push(format!("{}: {status} wanted: {} {:.500}", row.name, answer.status, answer.text()));
            } else if status >= 400 && !std::ptr::eq(server, &raw const ordinary) {
                wrong.extend(row.complaint(&answer));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Requests of the official SDKs that strict mode refuses: where they were recorded, what is wrong, and in `closed` alone.
/// Python writes null for what it leaves out; its filters name the type of their field, which the document does not know.
const REFUSED: [(&str, &[&str], &[&str]); 19] = [
    ("python-lowlevel:2", &["/error_info"], &[]),
    ("python-track:2", &["/scores/0/category_name", "/scores/0/reason"], &[]),
    (
        "python-track:14",
        &[
            "/scores/0/category_name",
            "/scores/0/reason",
            "/scores/1/category_name",
            "/scores/1/reason",
            "/scores/2/category_name",
            "/scores/2/reason",
        ],
        &[],
    ),
    ("python-highlevel:6", &["/scores/0/category_name"], &[]),
    ("python-highlevel:7", &["/scores/0/category_name", "/scores/1/category_name", "/scores/1/reason"], &[]),
    ("python-highlevel:13", &["/exclude", "/filters", "/last_retrieved_id"], &[]),
    (
        "python-highlevel:14",
        &["/exclude", "/last_retrieved_id", "/trace_id"],
        &["/filters/0/type", "/filters/1/type", "/filters/2/type"],
    ),
    (
        "python-highlevel:15",
        &["/exclude", "/last_retrieved_id", "/project_id"],
        &["/filters/0/type", "/filters/1/type", "/filters/2/type", "/filters/3/type", "/filters/4/type"],
    ),
    (
        "python-highlevel:16",
        &["/exclude", "/last_retrieved_id", "/project_id"],
        &["/filters/0/type", "/filters/1/type", "/filters/2/type"],
    ),
    ("python-highlevel:17", &["/filters", "/last_retrieved_id", "/project_id"], &[]),
    ("python-highlevel:21", &["/scores/0/category_name", "/scores/0/reason"], &[]),
    ("python-highlevel:22", &["/scores/0/reason", "/scores/1/category_name", "/scores/1/reason"], &[]),
    ("python-nobatching:2", &["/scores/0/category_name", "/scores/0/reason"], &[]),
    ("python-start:24", &["/color"], &[]),
    ("python-start:28", &["/color"], &[]),
    (
        "python-datasets-experiments-prompts:4",
        &["/scores/0/category_name", "/scores/0/reason", "/scores/1/category_name", "/scores/1/reason"],
        &[],
    ),
    ("python-datasets-experiments-prompts:6", &["/exclude", "/filters", "/last_retrieved_id", "/project_id"], &[]),
    ("python-datasets-experiments-prompts:7", &["/exclude", "/filters", "/last_retrieved_id", "/trace_id"], &[]),
    (
        "python-datasets-experiments-prompts:9",
        &["/scores/0/category_name", "/scores/0/reason", "/scores/1/category_name", "/scores/1/reason"],
        &[],
    ),
];

/// A body without its nulls, and without the types of filters.
fn mended(body: &Value) -> Value {
    match body {
        Value::Array(items) => items.iter().map(mended).collect(),
        Value::Object(members) => {
            let is_filter = members.contains_key("operator");
            let kept = members.iter().filter(|(name, value)| !(value.is_null() || is_filter && *name == "type"));
            Value::Object(kept.map(|(name, value)| (name.clone(), mended(value))).collect())
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn requests_of_the_official_sdks_are_refused_for_their_nulls_alone() {
    for is_closed in [false, true] {
        let server = Server::with_flags(&[if is_closed { "--strict=closed" } else { "--strict" }]).await;
        let mut made = Made::default();
        let mut found = Vec::new();
        for (file, text) in FILES {
            for (line, text) in text.lines().enumerate() {
                let mut request: Request = serde_json::from_str(text).unwrap();
                let at = format!("{file}:{}", line + 1);
                let mut answer = send(&server, &request, &made).await;
                if answer.status == 400 && request.status != 400 {
                    let mut pointers = answer.pointers();
                    pointers.sort();
                    found.push((at.clone(), pointers));
                    request.body = request.body.as_ref().map(mended);
                    answer = send(&server, &request, &made).await;
                }
                assert_eq!(answer.status, request.status, "{at}: {}", answer.text());
                if request.path.ends_with("/comments") {
                    made.comment = answer.json()["id"].as_str().map(str::to_owned);
                }
                for (address, _) in written(&request) {
                    let shown = server.api.get(&address).await.expect(200).json();
                    made.project = shown["project_id"].as_str().map(str::to_owned);
                }
            }
        }
        let wanted = REFUSED.iter().map(|(at, always, only_closed)| {
            let only_closed = only_closed.iter().filter(|_| is_closed);
            let mut pointers: Vec<String> =
                always.iter().chain(only_closed).map(|&pointer| pointer.to_owned()).collect();
            pointers.sort();
            ((*at).to_owned(), pointers)
        });
        assert_eq!(found, wanted.collect::<Vec<_>>());
    }
}

/// A batch whose spans have this input.
fn batch(inputs: &[String]) -> String {
    let spans = inputs.iter().map(|input| format!(r#"{{"start_time":"2024-01-15T09:30:00Z","input":{input}}}"#));
    format!(r#"{{"spans":[{}]}}"#, spans.collect::<Vec<_>>().join(","))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn bodies_keep_to_their_bounds() {
    let server = Server::with_flags(&["--strict", "--body-bytes-max", "100000", "--bodies-bytes-max", "250000"]).await;
    let packed = |text: &str| {
        let request = server.api.request("POST", "/v1/private/spans/batch").header("content-encoding", "gzip");
        server.api.send(request.header("content-type", "application/json").body(gzip(text)))
    };
    packed(&batch(&["{}".to_owned()])).await.expect(204);
    let wrong = packed(&batch(&["1".to_owned()])).await.expect(400);
    assert_eq!(wrong.pointers(), ["/spans/0/input"]);
    packed(&batch(&[format!("{:?}", "a".repeat(100_000))])).await.expect(413);
    let large = batch(&[format!("{:?}", "a".repeat(100_000))]);
    server.api.raw("POST", "/v1/private/spans/batch", large).await.expect(413);
    // What a body took is given back, whether it was taken or refused.
    for _ in 0..10 {
        let fits = batch(&[format!("{:?}", "a".repeat(90_000))]);
        server.api.raw("POST", "/v1/private/spans/batch", fits).await.expect(204);
        let refused = batch(&["1".to_owned(), format!("{:?}", "a".repeat(90_000))]);
        server.api.raw("POST", "/v1/private/spans/batch", refused).await.expect(400);
    }
    let request = server.api.request("POST", "/v1/private/spans").header("content-encoding", "br");
    server.api.send(request.header("content-type", "application/json").body("{}")).await.expect(415);
}

#[tokio::test]
async fn large_bodies_are_looked_into_beside_those_who_serve() {
    let server = Server::with_flags(&["--strict"]).await;
    let mut inputs = vec![format!(r#"{{"text":{:?}}}"#, "a".repeat(10_000)); 100];
    server.api.raw("POST", "/v1/private/spans/batch", batch(&inputs)).await.expect(204);
    inputs[99] = "[{},1]".to_owned();
    let answer = server.api.raw("POST", "/v1/private/spans/batch", batch(&inputs)).await.expect(400);
    assert_eq!(answer.pointers(), ["/spans/99/input/1"]);
}

/// An answer does not outgrow what it answers.
#[tokio::test]
async fn hopeless_bodies_get_a_bounded_answer() {
    let server = Server::with_flags(&["--strict=closed"]).await;
    let told = |answer: &Answer| answer.json()["violations"].as_array().unwrap().clone();
    let numbers = format!("[{}0]", "0,".repeat(1_000_000));
    for body in [
        batch(&[numbers.clone(), numbers]),
        format!(r#"{{"spans":[{}0]}}"#, "0,".repeat(100_000)),
        format!(
            r#"{{"spans":[{{"start_time":"2024-01-15T09:30:00Z",{}}}]}}"#,
            (0..50_000).map(|number| format!(r#""unknown{number}":1"#)).collect::<Vec<_>>().join(",")
        ),
        format!(
            r#"{{"spans":[{{"start_time":"2024-01-15T09:30:00Z","usage":{{{}}}}}]}}"#,
            (0..50_000).map(|number| format!(r#""{number}":1.5"#)).collect::<Vec<_>>().join(",")
        ),
    ] {
        let answer = server.api.raw("POST", "/v1/private/spans/batch", body).await.expect(400);
        let violations = told(&answer);
        assert!(violations.len() <= 1_001, "{}", violations.len());
        if violations.len() > 1 {
            assert_eq!(violations.last().unwrap()["message"], "and more");
        }
    }
    let long = format!(r#"{{"start_time":"{}"}}"#, "é".repeat(1_000_000));
    let answer = server.api.raw("POST", "/v1/private/spans", long).await.expect(400);
    assert!(answer.body.len() < 2_000, "{}", answer.body.len());
}

#[tokio::test]
async fn a_refused_request_changes_nothing() {
    let server = Server::with_flags(&["--strict"]).await;
    let id = fresh_id();
    let body = json!({"spans": [{"id": id, "start_time": "2024-01-15T09:30:00Z"}, {"start_time": "never"}]});
    server.api.post("/v1/private/spans/batch", &body).await.expect(400);
    server.api.get(&format!("/v1/private/spans/{id}")).await.expect(404);
}

/// The shape of the answer, as it was accepted.
#[tokio::test]
async fn a_refusal_tells_all_that_is_wrong() {
    let server = Server::with_flags(&["--strict=closed"]).await;
    let body = json!({
        "trace_id": "none",
        "tags": ["a", "a"],
        "usage": {"total": 1.5},
        "ttft": null,
        "nmae": "a",
    });
    let answer = server.api.raw("PATCH", "/v1/private/spans/abc?x=1", body.to_string()).await.expect(400);
    snap("error__strict", &answer.json());
}

#[test]
fn it_is_a_setting_with_three_values() {
    let help = Process::run(&["serve", "--help"], &[]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("SPANDREL_STRICT"));
    for (flags, value) in [(&["serve", "--strict=maybe"][..], "on"), (&["serve"], "maybe")] {
        let run = Process::run(flags, &[("SPANDREL_STRICT", value)]);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && said.contains("[possible values: off, on, closed]"), "{said}");
    }
}
