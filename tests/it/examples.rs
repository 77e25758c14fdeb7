//! The document's examples, sent to a server as they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use spandrel::model::{Id, Timestamp};

use crate::support::flatten::operations;
use crate::support::{Api, Server, contract};

/// Members that a server fills in; a version too, so that a release changes no example.
const MADE: [&str; 8] =
    ["id", "project_id", "thread_model_id", "created_at", "createdAt", "last_updated_at", "lastUpdatedAt", "version"];

/// Members that the document does not have: Python's SDK needs them.
const UNDOCUMENTED: [&str; 3] =
    ["agentInsightsGuidanceEnabled", "annotationQueueAutomationEnabled", "eventBridgeAlertsEnabled"];

/// A member's name, however it is spelled.
fn name_of(member: &str) -> String {
    member.replace('_', "").to_lowercase()
}

/// The files of examples; the operations of each in the order in which they are sent.
fn files() -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/examples");
    let read = |file: std::fs::DirEntry| {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let examples: Map<String, Value> = serde_json::from_str(&text).unwrap();
        examples.into_iter().map(|(id, _)| id).collect()
    };
    std::fs::read_dir(folder).unwrap().map(|file| read(file.unwrap())).collect()
}

/// An operation as the document shows it.
struct Shown<'a> {
    method: String,
    path: &'a str,
    operation: &'a Value,
}

fn shown(id: &str) -> Shown<'static> {
    let found = operations(&contract().document).find(|(.., operation)| operation["operationId"] == id);
    let (method, path, _, operation) = found.unwrap_or_else(|| panic!("examples of {id}, which is no operation"));
    Shown { method, path, operation }
}

impl<'a> Shown<'a> {
    fn parameters(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.operation["parameters"].as_array().into_iter().flatten()
    }

    /// The success: the status as documented, and what is sent with it.
    fn success(&self) -> (&'a str, Option<&'a Value>) {
        let responses = self.operation["responses"].as_object().unwrap();
        let success = responses.iter().find(|(status, _)| status.starts_with(['2', '3']));
        let (status, response) = success.unwrap_or_else(|| responses.get_key_value("default").unwrap());
        (status, media(response))
    }
}

/// The only kind of content of a request or response.
fn media(node: &Value) -> Option<&Value> {
    let mut all = node["content"].as_object()?.values();
    let first = all.next();
    assert!(all.next().is_none(), "{node}");
    first
}

/// Fails unless an example is what its schema says, to the letter and with no other members.
#[track_caller]
fn assert_valid(what: &str, schema: &Value, example: &Value) {
    let mut root = schema.clone();
    root["components"] = contract().document["components"].clone();
    for schema in root["components"]["schemas"].as_object_mut().unwrap().values_mut() {
        if schema["properties"].is_object() && schema["additionalProperties"].is_null() {
            schema["additionalProperties"] = json!(false);
        }
    }
    let validator = jsonschema::options().should_validate_formats(true).build(&root).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(example).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
}

#[test]
fn every_operation_has_examples_and_they_are_valid() {
    let ids: BTreeSet<String> = files().concat().into_iter().collect();
    let document = &contract().document;
    let known: BTreeSet<String> =
        operations(document).map(|(.., operation)| operation["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, known);
    for id in ids {
        let shown = shown(&id);
        for parameter in shown.parameters() {
            let what = format!("{id}, parameter {}", parameter["name"]);
            assert!(parameter["required"] != true || parameter.get("example").is_some(), "{what}: none");
            let further = parameter["schema"]["examples"].as_array().into_iter().flatten();
            for example in parameter.get("example").into_iter().chain(further) {
                assert_valid(&what, &parameter["schema"], example);
            }
        }
        let request = media(&shown.operation["requestBody"]).map(|media| ("request", media));
        let response = shown.success().1.map(|media| ("response", media));
        for (what, media) in request.into_iter().chain(response) {
            let what = format!("{id}, {what}");
            let example = media.get("example").unwrap_or_else(|| panic!("{what}: none"));
            assert_valid(&what, media.get("schema").unwrap_or(&json!({})), example);
        }
    }
}

/// What a server made, by what the examples show in its place.
#[derive(Default)]
struct Made(BTreeMap<String, String>);

impl Made {
    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown, real))
    }

    /// Ids and times that a client sends are those that come back.
    fn sent(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.sent(item)),
            Value::Object(members) => members.values().for_each(|member| self.sent(member)),
            Value::String(text) if text.parse::<Id>().is_ok() || text.parse::<Timestamp>().is_ok() => {
                self.0.entry(text.clone()).or_insert_with(|| text.clone());
            }
            _ => {}
        }
    }

    /// Fails unless an answer is the one shown, but for what the server makes, which is the same wherever it is shown
    /// the same.
    #[track_caller]
    fn compare(&mut self, at: &str, shown: &Value, real: &Value) {
        match (shown, real) {
            (Value::Object(shown), Value::Object(real)) => {
                let names = |members: &Map<String, Value>| members.keys().cloned().collect::<BTreeSet<_>>();
                let mut answered = names(real);
                // Said a second time in another spelling, for the SDKs; the document has it once.
                let known = |name: &str| shown.keys().any(|shown| name_of(shown) == name_of(name));
                let undocumented = |name: &str| UNDOCUMENTED.iter().any(|member| name_of(member) == name_of(name));
                answered.retain(|name| shown.contains_key(name) || !known(name) && !undocumented(name));
                assert_eq!(names(shown), answered, "{at}");
                for (name, member) in shown {
                    self.compare(&format!("{at}/{name}"), member, &real[name]);
                }
            }
            (Value::Array(shown), Value::Array(items)) => {
                assert_eq!(shown.len(), items.len(), "{at}: {real:#}");
                for (index, (shown, real)) in shown.iter().zip(items).enumerate() {
                    self.compare(&format!("{at}/{index}"), shown, real);
                }
            }
            (Value::String(shown), Value::String(real))
                if MADE.iter().any(|name| at.ends_with(&format!("/{name}"))) =>
            {
                assert_eq!(self.0.entry(shown.clone()).or_insert_with(|| real.clone()), real, "{at}");
            }
            _ => assert_eq!(shown, real, "{at}"),
        }
    }
}

/// The call that the documentation shows for an operation.
async fn call(api: &Api, id: &str) -> String {
    let page = api.get(&format!("/api/docs/{id}.md")).await.expect(200).text();
    let (_, rest) = page.split_once("\n## Try it\n\n```sh\n").unwrap_or_else(|| panic!("{id} has no call: {page}"));
    rest.split_once("\n```\n").unwrap().0.to_owned()
}

/// Runs a call as people do, in a shell; returns the status, and the body if it is JSON; several lines of it are a list.
async fn run(call: String) -> (u16, Option<Value>) {
    let run = move || std::process::Command::new("sh").args(["-c", &call]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let end = output.stdout.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&output.stdout[..end]).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let is = |media_type: &str| head.to_lowercase().contains(&format!("content-type: {media_type}"));
    let lines = serde_json::Deserializer::from_slice(&output.stdout[end + 4..]).into_iter();
    let values: Vec<Value> = if is("text/") { Vec::new() } else { lines.map_while(Result::ok).collect() };
    (status, if is("application/octet-stream") { Some(values.into()) } else { values.into_iter().next() })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_on_every_page_is_answered_as_documented() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("SPANDREL_TESTS_COMPLETE").is_none(), "curl is not installed");
        return;
    }
    for file in files() {
        let server = Server::with_flags(&["--test-api"]).await;
        let mut made = Made::default();
        for id in file {
            let shown = shown(&id);
            shown.parameters().filter_map(|one| one.get("example")).for_each(|example| made.sent(example));
            if let Some(media) = media(&shown.operation["requestBody"]) {
                made.sent(&media["example"]);
            }
            let call = made.fill(&call(&server.api, &id).await);
            let (status, body) = run(call.clone()).await;
            let (documented, media) = shown.success();
            assert_eq!(status, documented.parse().unwrap_or(200), "{call}\n{body:?}");
            // To ask for a page is a request, too.
            if id == "listRequests" {
                continue;
            }
            // What the server made is needed by later calls.
            if let (Some(media), Some(answer)) = (media.filter(|media| media["schema"]["format"] != "binary"), body) {
                made.compare(&id, &media["example"], &answer);
            }
        }
    }
}

/// Sends an operation's examples, with these parameters; returns the answer's body.
async fn send(api: &Api, shown: &Shown<'_>, made: &mut Made, parameters: &[(&Value, &Value)]) -> Value {
    let mut path = shown.path.to_owned();
    let mut query = Vec::new();
    for (parameter, value) in parameters {
        made.sent(value);
        let name = parameter["name"].as_str().unwrap();
        let text = made.fill(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        if parameter["in"] == "path" {
            path = path.replace(&format!("{{{name}}}"), &text);
        } else {
            query.push((name, text));
        }
    }
    let mut request = api.request(&shown.method, &path).query(&query);
    if let Some(media) = media(&shown.operation["requestBody"]) {
        let body = &media["example"];
        made.sent(body);
        request = request.header("content-type", "application/json").body(made.fill(&body.to_string()));
    }
    let answer = api.send(request).await;
    let status = shown.success().0.parse().unwrap_or(200);
    assert_eq!(answer.status, status, "{} {path}: {}", shown.method, answer.text());
    let success = shown.success().1;
    if success.is_none() {
        Value::Null
    } else if success.is_some_and(|media| media["schema"]["format"] == "binary") {
        json!(answer.text())
    } else if answer.header("content-type").starts_with("text/markdown") {
        // The page is longer than its example.
        json!(answer.text().lines().next())
    } else if answer.header("content-type") == "application/octet-stream" {
        answer.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
    } else {
        answer.json()
    }
}

#[tokio::test]
async fn every_example_is_taken_and_answered_as_shown() {
    for file in files() {
        let server = Server::with_flags(&["--test-api"]).await;
        let mut made = Made::default();
        for id in file {
            let shown = shown(&id);
            let mut parameters: Vec<_> =
                shown.parameters().filter_map(|one| Some((one, one.get("example")?))).collect();
            let answer = send(&server.api, &shown, &mut made, &parameters).await;
            if let Some(media) = shown.success().1 {
                made.compare(&id, &media["example"], &answer);
            }
            let further: Vec<_> =
                shown.parameters().filter_map(|one| Some((one, &one["schema"].get("examples")?[0]))).collect();
            if !further.is_empty() {
                parameters.extend(further);
                let narrower = send(&server.api, &shown, &mut made, &parameters).await;
                assert!(narrower["total"] != 0 && narrower["exists"] != false, "{id}: {narrower}");
                assert_ne!(narrower["stats"], json!([]), "{id}");
            }
        }
    }
}

#[tokio::test]
async fn the_example_of_an_error_is_what_comes() {
    let example = &shown("createSpan").operation["responses"]["default"]["content"]["application/json"]["example"];
    assert_valid("error", &json!({"$ref": "#/components/schemas/ErrorMessage"}), example);
    let answer = Server::start().await.api.post("/v1/private/spans", &json!({"name": "answer"})).await.expect(422);
    assert_eq!(&answer.json(), example);
}

#[test]
fn the_first_operation_that_people_see_is_there() {
    let (_, named) = spandrel::api::START.split_once("#/").unwrap();
    let (tag, id) = named.split_once('/').unwrap();
    assert_eq!(shown(id).operation["tags"], json!([tag]));
}
