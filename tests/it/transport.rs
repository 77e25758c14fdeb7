//! Packing, addresses and answers around the operations.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{Server, contract, fresh_id};

const SPANS: &str = "/v1/private/spans";
const MINIMAL: &str = r#"{"start_time":"2024-01-15T09:30:00Z"}"#;

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_may_be_packed() {
    let server = Server::start().await;
    let two = [packed(&MINIMAL[..10]), packed(&MINIMAL[10..])].concat();
    for (encoding, body, status) in [
        ("gzip", packed(MINIMAL), 201),
        ("x-gzip", packed(MINIMAL), 201),
        ("GZIP", two, 201),
        ("identity", MINIMAL.into(), 201),
        ("gzip", MINIMAL.into(), 400),
        ("gzip", packed(MINIMAL)[..20].to_vec(), 400),
        ("br", MINIMAL.into(), 415),
        ("deflate", MINIMAL.into(), 415),
    ] {
        let request = server.api.request("POST", SPANS).header("content-type", "application/json;charset=utf-8");
        let answer = server.api.send(request.header("content-encoding", encoding).body(body)).await;
        assert_eq!(answer.status, status, "{encoding}: {}", answer.text());
    }
}

#[tokio::test]
async fn answers_are_packed_for_who_asks_if_they_are_large() {
    let server = Server::start().await;
    let id = server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "input": "x".repeat(5_000)})).await;
    let path = format!("{SPANS}/{id}");
    let asked = |encoding: &'static str| server.api.request("GET", &path).header("accept-encoding", encoding).send();
    let answer = asked("gzip").await.unwrap();
    assert_eq!(
        (&answer.headers()["content-encoding"], &answer.headers()["vary"]),
        (&"gzip".parse().unwrap(), &"accept-encoding".parse().unwrap())
    );
    let bytes = answer.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert!(bytes.len() < 1_000 && text.contains("xxxxx"));
    assert!(asked("identity").await.unwrap().headers().get("content-encoding").is_none());
}

/// Every operation of the document, at each of its addresses: the same answer, and never a redirect.
#[tokio::test]
async fn every_address_of_an_operation_is_the_same() {
    let server = Server::start().await;
    let parameter = regex::Regex::new(r"\{\w+\}").unwrap();
    for (template, item) in contract().document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let id = fresh_id();
            let path = parameter.replace_all(template, id.as_str()).into_owned();
            let mut statuses = Vec::new();
            for address in [path.clone(), format!("{path}/"), format!("/api{path}"), format!("/api{path}/")] {
                let answer = server.api.raw(&method.to_uppercase(), &address, "").await;
                assert!(!(300..400).contains(&answer.status), "{method} {address}: {}", answer.status);
                statuses.push(answer.status);
            }
            assert!(statuses.iter().all(|status| *status == statuses[0]), "{method} {path}: {statuses:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let server = Server::start().await;
    for path in ["/nothing", "/v1", "/v1/private", "/v1/private/spans/a/b/c", "/api/v2/private/spans", "/index.html"] {
        server.api.get(path).await.expect(404);
    }
    for area in ["projects/x", "traces/x", "datasets", "experiments", "prompts"] {
        let answer = server.api.get(&format!("/api/v1/private/{area}/x")).await.expect(404);
        assert!(answer.text().contains(area.trim_end_matches("/x")), "{}", answer.text());
    }
    let answer = server.api.raw("PUT", SPANS, "{}").await.expect(405);
    assert!(answer.header("allow").contains("POST"));
}

#[tokio::test]
async fn the_pages_around_the_api_are_there() {
    let server = Server::start().await;
    for path in ["/", "/api", "/api/"] {
        let page = server.api.get(path).await.expect(200).text();
        assert!(page.contains("swagger-ui/") && page.contains("openapi.yaml") && page.contains("llms.txt"), "{page}");
    }
    let alive = server.api.get("/is-alive/ping").await.expect(200);
    assert_eq!(alive.text(), r#"{"message":"Healthy Server","healthy":true}"#);
    assert_eq!(
        server.api.get("/api/is-alive/ver").await.expect(200).json(),
        json!({"version": env!("CARGO_PKG_VERSION")})
    );
    assert_eq!(server.api.get("/health").await.expect(200).json()["status"], "ok");
    let id = server.api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
    let head = server.api.send(server.api.request("HEAD", &format!("{SPANS}/{id}"))).await.expect(200);
    assert!(head.body.is_empty());
}

/// Generated clients look `Location` up by this spelling; and one connection serves many requests.
#[tokio::test(flavor = "multi_thread")]
async fn header_names_have_their_usual_spelling_and_connections_stay() {
    let server = Server::start().await;
    let address = server.api.base.strip_prefix("http://").unwrap().to_owned();
    let spoken = tokio::task::spawn_blocking(move || {
        let mut wire = std::net::TcpStream::connect(&address).unwrap();
        let mut spoken = String::new();
        for _ in 0..3 {
            write!(
                wire,
                "POST {SPANS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{MINIMAL}",
                MINIMAL.len()
            )
            .unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                wire.read_exact(&mut byte).unwrap();
                answer.push(byte[0]);
            }
            spoken.push_str(std::str::from_utf8(&answer).unwrap());
        }
        spoken
    });
    let spoken = spoken.await.unwrap();
    assert_eq!(spoken.matches("HTTP/1.1 201 Created").count(), 3);
    assert_eq!(spoken.matches("\r\nLocation: /v1/private/spans/").count(), 3, "{spoken}");
}

#[tokio::test]
async fn workspace_names_have_bounds() {
    let server = Server::start().await;
    let long = "x".repeat(151);
    for (name, status) in [(&b"t\xc3\xa9am"[..], 201), (b"", 201), (b"\xff", 400), (long.as_bytes(), 400)] {
        let name = reqwest::header::HeaderValue::from_bytes(name).unwrap();
        let request = server.api.request("POST", SPANS).header("content-type", "application/json");
        let answer = server.api.send(request.header("comet-workspace", name).body(MINIMAL)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let sound = r#"{"id":"01a20204-c23a-7bad-84c4-1aba08155ea5","spans":[{"start_time":"2024-01-15T09:30:00Z"}],"start_time":"2024-01-15T09:30:00.5+02:00","input":{"a":[1,NaN,"\ud800"]},"tags":["a",null],"usage":{"a":1.5},"error_info":{},"trace_id":"01a20204-c23a-7bad-84c4-1aba08155ea5","total_estimated_cost":1e3}"#;
    let change = (
        0..sound.len(),
        prop_oneof![
            Just(None),
            any::<u8>().prop_map(Some),
            "[\\[\\]{}\",:0-9eNn]".prop_map(|text| Some(text.as_bytes()[0]))
        ],
    );
    prop::collection::vec(change, 0..4).prop_map(move |changes| {
        let mut bytes = sound.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.min(bytes.len() - 1);
            match byte {
                Some(byte) => bytes[at] = byte,
                None => {
                    bytes.remove(at);
                }
            }
        }
        bytes
    })
}

/// Whatever a body is, it is answered, and never with a fault of the server's.
#[test]
fn no_body_is_too_strange_to_be_answered() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start());
    let id = fresh_id();
    let cases = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) };
    proptest!(cases, |(body in mangled())| {
        for (method, path) in [("POST", SPANS), ("POST", "/v1/private/spans/batch"), ("PATCH", &format!("{SPANS}/{id}"))] {
            let answer = runtime.block_on(server.api.raw(method, path, body.clone()));
            prop_assert!(answer.status < 500, "{}", answer.text());
        }
    });
}
