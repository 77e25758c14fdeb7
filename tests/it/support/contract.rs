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
        let mut validators = self.validators.lock().unwrap();
        let made = validators.entry(pointer.to_owned()).or_insert_with(|| {
            let mut components = self.document["components"].clone();
            // Named exception: payloads are any JSON, kept as sent, whatever the published contract says of them.
            for view in ["JsonListString", "JsonListString_Write", "JsonListString_Public"] {
                components["schemas"][view] = json!({});
            }
            let schema = self.document.pointer(pointer).unwrap_or_else(|| panic!("no schema at {pointer}"));
            let mut root = schema.clone();
            root["components"] = components;
            Arc::new(jsonschema::options().should_validate_formats(true).build(&root).unwrap())
        });
        Arc::clone(made)
    }

    /// Fails unless the answer is one that the document describes.
    #[track_caller]
    pub(crate) fn judge(&self, method: &str, path: &str, answer: &Answer) {
        let at = format!("{method} {path} {}", answer.status);
        if answer.status >= 400 && !path.ends_with("/is-alive/ping") {
            judge_error(&at, answer);
        }
        let Some((template, operation)) = self.operation(method, path) else { return };
        let status = answer.status.to_string();
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
        let Some(media) = content.get(media_type) else { panic!("{at}: undocumented media type {media_type}") };
        if media.get("schema").is_some() {
            let step = |text: &str| text.replace('~', "~0").replace('/', "~1");
            let pointer = format!(
                "/paths/{}/{}/responses/{key}/content/{}/schema",
                step(&template),
                method.to_lowercase(),
                step(media_type)
            );
            let body = answer.json();
            let wrong: Vec<String> = self
                .validator(&pointer)
                .iter_errors(&body)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{at}: {wrong:#?}\n{body:#}");
        }
    }
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
