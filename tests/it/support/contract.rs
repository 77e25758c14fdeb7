//! The served document as a judge: every answer of the suite is held against it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::Answer;

/// The document, with what is needed to judge by it.
pub(crate) struct Contract {
    pub(crate) document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The document of this build.
pub(crate) fn contract() -> &'static Contract {
    static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract {
        document: spandrel::api::document().value().clone(),
        validators: Mutex::default(),
    });
    &CONTRACT
}

impl Contract {
    /// The operation at a path, and the path's template.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<(String, &Value)> {
        let path = path.split('?').next().unwrap();
        let path = path.strip_prefix("/api").unwrap_or(path).trim_end_matches('/');
        let wanted: Vec<&str> = path.split('/').collect();
        let paths = self.document["paths"].as_object().unwrap();
        let matching = |template: &&String| {
            let steps: Vec<&str> = template.split('/').collect();
            steps.len() == wanted.len()
                && steps.iter().zip(&wanted).all(|(step, part)| step.starts_with('{') || step == part)
        };
        // A literal path wins over one with parameters.
        let template = paths.keys().filter(matching).min_by_key(|template| template.matches('{').count())?;
        paths[template].get(method.to_lowercase()).map(|operation| (template.clone(), operation))
    }

    /// A validator for a schema of the document, named by a JSON pointer.
    pub(crate) fn validator(&self, pointer: &str) -> Arc<Validator> {
        self.validator_without(pointer, false)
    }

    /// The same. Named exception: who leaves the start of spans or traces out of a list gets them without the start
    /// that they otherwise have.
    fn validator_without(&self, pointer: &str, start_time: bool) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let made = validators.entry(format!("{pointer} {start_time}")).or_insert_with(|| {
            let mut components = self.document["components"].clone();
            // Named exception: payloads are any JSON, kept as sent, whatever the published contract says of them.
            for view in ["JsonListString", "JsonListString_Write", "JsonListString_Public"] {
                components["schemas"][view] = json!({});
            }
            if start_time {
                for view in ["Span_Public", "Trace_Public"] {
                    let required = components["schemas"][view]["required"].as_array_mut().unwrap();
                    required.retain(|name| name != "start_time");
                }
            }
            let schema = self.document.pointer(pointer).unwrap_or_else(|| panic!("no schema at {pointer}"));
            let mut root = schema.clone();
            root["components"] = components;
            Arc::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap())
        });
        Arc::clone(made)
    }

    /// Fails unless the answer to a request for this path, with its query, is one that the document describes.
    #[track_caller]
    pub(crate) fn judge(&self, method: &str, path: &str, answer: &Answer) {
        let at = format!("{method} {path} {}", answer.status);
        if answer.status >= 400 && !path.split('?').next().unwrap().ends_with("/is-alive/ping") {
            judge_error(&at, answer);
        }
        let Some((template, operation)) = self.operation(method, path) else { return };
        // Named exception: who asks for a part of a file gets it, as HTTP has it.
        let status = if answer.status == 206 { "200".to_owned() } else { answer.status.to_string() };
        let responses = operation["responses"].as_object().unwrap();
        let key = if responses.contains_key(&status) { status.as_str() } else { "default" };
        let Some(response) = responses.get(key) else { panic!("{at}: the document knows no such status") };
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            if header["required"] == true {
                assert!(answer.headers.contains_key(name), "{at}: no header {name}");
            }
        }
        let Some(content) = response["content"].as_object() else {
            assert!(answer.body.is_empty(), "{at}: a body where none is documented: {}", answer.text());
            return;
        };
        let media_type = answer.header("content-type").split(';').next().unwrap().trim();
        let media_type = if content.contains_key("*/*") { "*/*" } else { media_type };
        let Some(media) = content.get(media_type) else { panic!("{at}: undocumented media type {media_type}") };
        if media.get("schema").is_some() {
            let step = |text: &str| text.replace('~', "~0").replace('/', "~1");
            let pointer = format!(
                "/paths/{}/{}/responses/{key}/content/{}/schema",
                step(&template),
                method.to_lowercase(),
                step(media_type)
            );
            let validator = self.validator_without(&pointer, leaves_start_out(path));
            let body = if media["schema"]["format"] == "binary" || media_type == "text/markdown" {
                json!(answer.text())
            } else if media_type == "application/octet-stream" {
                self.lines(&at, &self.streamed(&media["schema"]), answer)
            } else {
                answer.json()
            };
            assert_fits(&at, &validator, &body);
        }
    }

    /// What the lines of a stream are, beside errors: a pointer to its schema.
    fn streamed(&self, schema: &Value) -> String {
        let pointer = |reference: &Value| reference.as_str().unwrap().trim_start_matches('#').to_owned();
        let stream = self.document.pointer(&pointer(&schema["$ref"])).unwrap();
        pointer(&stream["items"]["anyOf"][0]["$ref"])
    }

    /// A stream's lines as a list. Each is what is `streamed`, but the last may tell of an error: by the document alone,
    /// whose errors have only optional members, any object would be one.
    #[track_caller]
    fn lines(&self, at: &str, streamed: &str, answer: &Answer) -> Value {
        let text = std::str::from_utf8(&answer.body).unwrap();
        let mut lines = Vec::new();
        for line in text.split_inclusive('\n') {
            let line = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("{at}: a line without its end: {line}"));
            assert!(lines.last().is_none_or(is_no_error), "{at}: more after an error: {line}");
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{at}: {error}: {line}"));
            let view = if is_no_error(&value) { streamed } else { "/components/schemas/ErrorMessage_Public" };
            assert_fits(at, &self.validator(view), &value);
            lines.push(value);
        }
        Value::Array(lines)
    }
}

/// Whether a line of a stream is what is asked for, and not an error.
fn is_no_error(line: &Value) -> bool {
    line.get("code").is_none() && line.get("message").is_none()
}

/// Whether a request for a list leaves out their start.
fn leaves_start_out(path: &str) -> bool {
    let url = reqwest::Url::parse(&format!("http://localhost{path}")).unwrap();
    let excluded = url.query_pairs().find(|(name, _)| name == "exclude");
    let names = excluded.and_then(|(_, names)| serde_json::from_str::<Vec<String>>(&names).ok());
    names.is_some_and(|names| names.iter().any(|name| name == "start_time"))
}

#[track_caller]
fn assert_fits(at: &str, validator: &Validator, body: &Value) {
    let wrong: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{at}: {wrong:#?}\n{body:#}");
}

/// What the document leaves optional in an error is always there.
#[track_caller]
fn judge_error(at: &str, answer: &Answer) {
    assert_eq!(answer.header("content-type"), "application/json", "{at}");
    let body = answer.json();
    assert_eq!(body["code"], answer.status, "{at}: {body}");
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{at}: {body}");
    assert!(body["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{at}: {body}");
    assert!(body.as_object().unwrap().values().all(|value| !value.is_null()), "{at}: {body}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "/v1/private/spans?project_name=a";
    const SEARCH: &str = "/v1/private/spans/search";
    const SPAN: &str = r#"{"trace_id":"01a20204-c23a-7bad-84c4-1aba08155ea5","start_time":"2024-01-15T09:30:00Z"}"#;
    const UNDATED: &str = r#"{"trace_id":"01a20204-c23a-7bad-84c4-1aba08155ea5"}"#;
    const ERROR: &str = r#"{"code":500,"message":"The rest could not be read"}"#;

    #[track_caller]
    fn judge(method: &str, path: &str, media_type: &'static str, body: &str) {
        let headers = [(reqwest::header::CONTENT_TYPE, media_type.parse().unwrap())].into_iter().collect();
        contract().judge(method, path, &Answer { status: 200, headers, body: body.as_bytes().to_vec() });
    }

    #[track_caller]
    fn stream(body: &str) {
        judge("POST", SEARCH, "application/octet-stream", body);
    }

    #[track_caller]
    fn list(query: &str, span: &str) {
        judge("GET", &format!("{LIST}{query}"), "application/json", &format!(r#"{{"content":[{span}]}}"#));
    }

    #[test]
    fn a_stream_of_spans_may_be_empty_and_may_end_with_an_error() {
        stream("");
        stream(&format!("{SPAN}\r\n{SPAN}\r\n"));
        stream(&format!("{SPAN}\r\n{ERROR}\r\n"));
    }

    #[test]
    #[should_panic(expected = "is a required property")]
    fn a_stream_of_what_are_no_spans_is_refused() {
        stream(&format!("{SPAN}\r\n{UNDATED}\r\n"));
    }

    #[test]
    #[should_panic(expected = "more after an error")]
    fn a_stream_that_goes_on_after_an_error_is_refused() {
        stream(&format!("{ERROR}\r\n{SPAN}\r\n"));
    }

    #[test]
    #[should_panic(expected = "a line without its end")]
    fn a_stream_that_is_cut_off_is_refused() {
        stream(&format!("{SPAN}\r\n{SPAN}"));
    }

    #[test]
    fn a_list_may_lack_the_start_that_was_excluded() {
        list("", SPAN);
        list("&exclude=%5B%22input%22%2C%22start_time%22%5D", UNDATED);
    }

    #[test]
    #[should_panic(expected = "is a required property")]
    fn a_list_may_not_lack_the_start_otherwise() {
        list("&exclude=%5B%22input%22%5D", UNDATED);
    }
}
