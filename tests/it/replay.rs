//! Requests as the official SDKs sent them, in the order in which they did; see `tests/data/traffic`.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Deserialize;
use serde_json::Value;

use crate::support::{Answer, Server};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    method: String,
    pub(crate) path: String,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default)]
    gzip: bool,
    /// Whether it says that it has a JSON body, and has none.
    #[serde(default)]
    empty: bool,
    /// A workspace other than the one that the recorder had, where that one has what is made here.
    pub(crate) workspace: Option<String>,
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
}

/// One after the other, on one server: what a later file looks for, an earlier one has made.
pub(crate) const FILES: [(&str, &str); 15] = [
    ("python-lowlevel", include_str!("../data/traffic/python-lowlevel.jsonl")),
    ("python-track", include_str!("../data/traffic/python-track.jsonl")),
    ("python-highlevel", include_str!("../data/traffic/python-highlevel.jsonl")),
    ("python-nobatching", include_str!("../data/traffic/python-nobatching.jsonl")),
    ("python-race-slow-server", include_str!("../data/traffic/python-race-slow-server.jsonl")),
    ("ts-track", include_str!("../data/traffic/ts-track.jsonl")),
    ("ts-highlevel", include_str!("../data/traffic/ts-highlevel.jsonl")),
    ("ts-search-lowlevel", include_str!("../data/traffic/ts-search-lowlevel.jsonl")),
    ("python-start", include_str!("../data/traffic/python-start.jsonl")),
    ("ts-start", include_str!("../data/traffic/ts-start.jsonl")),
    ("python-configure-healthcheck", include_str!("../data/traffic/python-configure-healthcheck.jsonl")),
    ("python-datasets-experiments-prompts", include_str!("../data/traffic/python-datasets-experiments-prompts.jsonl")),
    ("python-retry", include_str!("../data/traffic/python-retry.jsonl")),
    ("ts-datasets-experiments-prompts", include_str!("../data/traffic/ts-datasets-experiments-prompts.jsonl")),
    ("ts-retry", include_str!("../data/traffic/ts-retry.jsonl")),
];

/// Ids that our server made, where the recorded ones are the recorder's.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) comment: Option<String>,
    pub(crate) project: Option<String>,
}

pub(crate) async fn send(server: &Server, request: &Request, made: &Made) -> Answer {
    let mut path = request.path.clone();
    if let (Some((before, after)), Some(comment)) = (path.split_once("/comments/"), &made.comment)
        && after != "delete"
    {
        path = format!("{before}/comments/{comment}");
    }
    if let (Some((before, _)), Some(project), "GET") = (path.split_once("/projects/"), &made.project, &*request.method)
    {
        path = format!("{before}/projects/{project}");
    }
    let mut query = request.query.clone();
    if let (Some(id), Some(project)) = (query.get_mut("project_id"), &made.project) {
        id.clone_from(project);
    }
    let mut sent = server.api.request(&request.method, &path).query(&query);
    if let Some(workspace) = &request.workspace {
        sent = sent.header("comet-workspace", workspace);
    }
    if request.empty {
        sent = sent.header("content-type", "application/json").header("content-length", "0");
    }
    if let Some(body) = &request.body {
        let mut bytes = body.to_string().into_bytes();
        if request.gzip {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            packer.write_all(&bytes).unwrap();
            bytes = packer.finish().unwrap();
            sent = sent.header("content-encoding", "gzip");
        }
        sent = sent.header("content-type", "application/json").body(bytes);
    }
    server.api.send(sent).await
}

#[tokio::test]
async fn recorded_requests_are_answered_as_their_senders_need() {
    let server = Server::start().await;
    let mut made = Made::default();
    let mut replayed = 0;
    for (file, text) in FILES {
        for (line, text) in text.lines().enumerate() {
            let request: Request = serde_json::from_str(text).unwrap();
            let at = format!("{file}:{}", line + 1);
            let answer = send(&server, &request, &made).await;
            assert_eq!(answer.status, request.status, "{at}: {}", answer.text());
            replayed += 1;
            if request.path.ends_with("/comments") {
                made.comment = answer.json()["id"].as_str().map(str::to_owned);
            }
            if request.path.ends_with("/projects/retrieve") && answer.status == 200 {
                made.project = answer.json()["id"].as_str().map(str::to_owned);
            }
            for (path, stated) in written(&request) {
                let read = server.api.get(&path).await.expect(200).json();
                made.project = read["project_id"].as_str().map(str::to_owned);
                for (member, value) in stated.iter().filter(|(_, value)| !value.is_null()) {
                    assert!(read.get(member).is_some(), "{at}: {member} of {value} is not there: {read}");
                }
            }
        }
    }
    assert!(replayed > 195, "only {replayed} requests");
}

/// The spans or traces that a request writes: the address of each, and the members that it states and that are shown.
pub(crate) fn written(request: &Request) -> Vec<(String, serde_json::Map<String, Value>)> {
    let Some(body) = &request.body else { return Vec::new() };
    let path = request.path.trim_start_matches("/api");
    let things: Vec<Value> = match (request.method.as_str(), path) {
        ("POST", "/v1/private/spans" | "/v1/private/traces") => vec![body.clone()],
        ("POST", "/v1/private/spans/batch") => body["spans"].as_array().unwrap().clone(),
        ("POST", "/v1/private/traces/batch") => body["traces"].as_array().unwrap().clone(),
        _ => Vec::new(),
    };
    things
        .into_iter()
        .map(|thing| {
            let mut stated = thing.as_object().unwrap().clone();
            // Empty sets are not shown, nor is the name of a trace's project.
            stated.retain(|name, value| {
                *value != serde_json::json!([])
                    && (value.is_null() || *value != serde_json::json!({}))
                    && !(path.contains("/traces") && name == "project_name")
            });
            (format!("{}/{}", path.trim_end_matches("/batch"), thing["id"].as_str().unwrap()), stated)
        })
        .collect()
}
