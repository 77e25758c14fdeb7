//! Examples in the document: a file for each area, in it each operation by its id, in an order in which they can be sent
//! one after the other to an empty server. The test suite does that.

use serde::Deserialize;
use serde_json::{Map, Value, json};

const FILES: [&str; 9] = [
    include_str!("examples/spans.json"),
    include_str!("examples/traces.json"),
    include_str!("examples/attachments.json"),
    include_str!("examples/projects.json"),
    include_str!("examples/environments.json"),
    include_str!("examples/feedback_definitions.json"),
    include_str!("examples/workspaces.json"),
    include_str!("examples/check.json"),
    include_str!("examples/testing.json"),
];

/// What is shown of one operation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    /// Values that Swagger UI fills in, by parameter.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Values that it only shows.
    #[serde(default)]
    further_parameters: Map<String, Value>,
    request: Option<Value>,
    /// The body of the success.
    response: Option<Value>,
}

/// Puts the examples where they belong in a document.
pub(super) fn add(document: &mut Value) {
    for file in FILES {
        // A test reads the files more strictly.
        let examples: Map<String, Value> = serde_json::from_str(file).unwrap_or_default();
        for (id, example) in examples {
            if let (Some(operation), Ok(example)) = (operation(document, &id), serde_json::from_value(example)) {
                example_of(operation, &example);
            }
        }
    }
}

fn operation<'a>(document: &'a mut Value, id: &str) -> Option<&'a mut Value> {
    let items = document["paths"].as_object_mut()?.values_mut();
    let mut operations = items.filter_map(Value::as_object_mut).flat_map(|item| item.values_mut());
    operations.find(|operation| operation["operationId"] == id)
}

fn example_of(operation: &mut Value, example: &Example) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        if let Some(value) = example.parameters.get(&name) {
            parameter["example"] = value.clone();
        }
        if let Some(value) = example.further_parameters.get(&name) {
            parameter["schema"]["examples"] = json!([value]);
        }
    }
    add_to_content(operation.get_mut("requestBody"), example.request.as_ref());
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        // Where the document names no success, the default is one; otherwise it is any error.
        let success = responses.keys().find(|status| status.starts_with(['2', '3'])).cloned();
        if success.is_some() {
            add_to_content(responses.get_mut("default"), Some(&error()));
        }
        add_to_content(responses.get_mut(success.as_deref().unwrap_or("default")), example.response.as_ref());
    }
}

/// The answer to a span without a start.
fn error() -> Value {
    json!({
        "code": 422,
        "message": "startTime must not be null",
        "errors": ["startTime must not be null"],
        "violations": [{"pointer": "/start_time", "name": "start_time", "message": "must not be null"}],
    })
}

/// To a request body or a response, of which each has one media type.
fn add_to_content(node: Option<&mut Value>, example: Option<&Value>) {
    let content = node.and_then(|node| node.get_mut("content")).and_then(Value::as_object_mut);
    for (media, example) in content.into_iter().flat_map(Map::values_mut).zip(example) {
        media["example"] = example.clone();
    }
}
