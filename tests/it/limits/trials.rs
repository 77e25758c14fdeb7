//! What is tried: a request for every sample of every place in the document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::flatten::operations;
use crate::support::samples::{ID, ID_IN_CAPITALS, Sample};
use crate::support::views::{Additional, Schemas};
use crate::support::{Api, fresh_id};

/// Stands in a body for the value that is tried.
const HERE: &str = "@here@";
/// Stands in a request for the id of a project that exists.
const PROJECT: &str = "@project@";
/// The same in capital letters.
const PROJECT_IN_CAPITALS: &str = "@PROJECT@";

/// Where a value is tried.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A JSON pointer into the body.
    Body(String),
    Query(String),
    Path(String),
}

/// One value, in one place of one request.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) operation: String,
    method: String,
    /// The address, with placeholders.
    address: String,
    /// The body, with placeholders; none for requests without one.
    body: Option<String>,
    pub(super) place: Place,
    what: String,
    /// Whether the document allows it.
    pub(super) inside: bool,
}

impl Trial {
    /// The name by which the lists know it.
    pub(super) fn name(&self) -> String {
        let place = match &self.place {
            Place::Body(pointer) if pointer.is_empty() => "the body",
            Place::Body(pointer) => pointer,
            Place::Query(name) => &format!("query {name}"),
            Place::Path(name) => &format!("path {name}"),
        };
        format!("{} {place}: {}", self.operation, self.what)
    }

    fn of(&self, place: Place, sample: Sample) -> Self {
        Self { place, what: sample.what, inside: sample.inside, ..self.clone() }
    }

    /// Whether it tries something in the body of this operation.
    pub(super) fn is_in_body_of(&self, operation: &Value) -> bool {
        operation["operationId"] == self.operation && matches!(self.place, Place::Body(_))
    }

    /// The body as a value, if it has one that a reader of doubles can hold.
    pub(super) fn value(&self) -> Option<Value> {
        let id = "01a20204-c23a-7bad-84c4-1aba08155ea5";
        let body = self.body.as_ref()?.replace(PROJECT, id).replace(ID, id);
        let body = body.replace(PROJECT_IN_CAPITALS, &id.to_uppercase()).replace(ID_IN_CAPITALS, &id.to_uppercase());
        serde_json::from_str(&body).ok()
    }
}

/// What must be there before requests can succeed. An operation that needs more gets it here.
pub(super) struct Setup {
    /// A span that exists.
    span: String,
    /// Its project.
    project: String,
}

impl Setup {
    pub(super) async fn new(api: &Api) -> Self {
        let span = api.create(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
        let project = api.span(&span).await["project_id"].as_str().unwrap().to_owned();
        Self { span, project }
    }

    /// The request of a trial.
    pub(super) fn request(&self, api: &Api, trial: &Trial) -> reqwest::RequestBuilder {
        let request = api.request(&trial.method, &self.fill(&trial.address, &trial.method));
        match &trial.body {
            None => request,
            Some(body) => request.header("content-type", "application/json").body(self.fill(body, &trial.method)),
        }
    }

    /// Puts values in place of the placeholders. What is read must exist; what is written is new each time.
    fn fill(&self, text: &str, method: &str) -> String {
        let id = || if method == "GET" { self.span.clone() } else { fresh_id() };
        let mut text = text.replace(PROJECT, &self.project).replace(PROJECT_IN_CAPITALS, &self.project.to_uppercase());
        while text.contains(ID) {
            text = text.replacen(ID, &id(), 1);
        }
        text.replace(ID_IN_CAPITALS, &id().to_uppercase())
    }
}

/// Ids that must exist are those of the setup.
fn existing(name: &str, value: &str) -> String {
    if name == "project_id" {
        return value.replace(ID, PROJECT).replace(ID_IN_CAPITALS, PROJECT_IN_CAPITALS);
    }
    value.to_owned()
}

/// Every trial of a document.
pub(super) fn trials(document: &Value) -> Vec<Trial> {
    let schemas = Schemas(document);
    let mut trials = Vec::new();
    for (method, path, item, operation) in operations(document) {
        let name = operation["operationId"].as_str().unwrap();
        let parameters = [item, operation].into_iter().filter_map(|node| node["parameters"].as_array()).flatten();
        let parameters: Vec<Parameter> = parameters.map(|node| Parameter::new(name, schemas, node)).collect();
        let values = parameters.iter().filter(|parameter| parameter.required);
        let values: Values = values.map(|parameter| (parameter.name, parameter.valid.clone())).collect();
        let body = operation.get("requestBody").map(|body| {
            let body = schemas.resolve(body);
            let content = body["content"].as_object().unwrap();
            assert!(content.keys().eq(["application/json"]), "{name}: say how such a body is tried");
            (&content["application/json"]["schema"], body["required"] == true)
        });
        let base = Trial {
            operation: name.to_owned(),
            method,
            address: address(path, &parameters, &values),
            body: body.map(|(schema, _)| schemas.valid(schema, 0)),
            place: Place::Body(String::new()),
            what: "nothing special".to_owned(),
            inside: true,
        };
        trials.push(base.clone());
        for parameter in &parameters {
            for (sample, value) in &parameter.samples {
                let mut values = values.clone();
                values.insert(parameter.name, value.clone());
                let address = address(path, &parameters, &values);
                trials.push(Trial { address, ..base.of(parameter.place(), sample.clone()) });
            }
            if parameter.required && !parameter.in_path {
                let mut values = values.clone();
                values.remove(parameter.name);
                let (address, what) = (address(path, &parameters, &values), "no value".to_owned());
                trials.push(Trial { address, place: parameter.place(), what, inside: false, ..base.clone() });
            }
        }
        if let Some((schema, required)) = body {
            let (body, what) = (Some(String::new()), "no body".to_owned());
            trials.push(Trial { body, what, inside: !required, ..base.clone() });
            let mut add = |pointer: &str, sample: Sample, body: String| {
                trials.push(Trial { body: Some(body), ..base.of(Place::Body(pointer.to_owned()), sample) });
            };
            Walk { schemas, add: &mut add }.place(schema, "", HERE);
        }
    }
    trials
}

/// Values of parameters, by name.
type Values<'a> = BTreeMap<&'a str, String>;

struct Parameter<'a> {
    name: &'a str,
    in_path: bool,
    required: bool,
    /// A value that is fine.
    valid: String,
    /// What is tried, as it stands in an address.
    samples: Vec<(Sample, String)>,
}

impl<'a> Parameter<'a> {
    fn new(operation: &str, schemas: Schemas<'a>, node: &'a Value) -> Self {
        let node = schemas.resolve(node);
        let (name, place, schema) = (node["name"].as_str().unwrap(), node["in"].as_str().unwrap(), &node["schema"]);
        assert!(["path", "query"].contains(&place), "{operation}: say how a parameter in {place:?} is tried");
        let in_path = place == "path";
        // Everything is a text in an address.
        let is_text = schemas.known_views(schema).iter().any(|view| view.kind == "string");
        let samples = schemas.samples(schema).into_iter().filter_map(|sample| {
            let value = existing(name, &plain(&sample.json)?);
            let tried = !(sample.typed && (is_text || sample.json == "\"1\"") || in_path && value.is_empty());
            tried.then_some((sample, value))
        });
        let nothing = (!is_text && !in_path).then(|| (Sample::outside("an empty value", "\"\""), String::new()));
        Self {
            name,
            in_path,
            required: node["required"] == true,
            valid: existing(name, &plain(&schemas.valid(schema, 0)).unwrap()),
            samples: samples.chain(nothing).collect(),
        }
    }

    fn place(&self) -> Place {
        if self.in_path { Place::Path(self.name.to_owned()) } else { Place::Query(self.name.to_owned()) }
    }
}

/// A value as it stands in an address; none for what cannot stand there.
fn plain(json: &str) -> Option<String> {
    match json.chars().next()? {
        '"' => serde_json::from_str(json).ok(),
        '{' | '[' | 'n' => None,
        _ => Some(json.to_owned()),
    }
}

/// The address of a request with these values of parameters.
fn address(path: &str, parameters: &[Parameter], values: &Values) -> String {
    let mut address = path.to_owned();
    let mut query = Vec::new();
    for (name, value) in values {
        let value = escaped(value);
        if parameters.iter().any(|parameter| parameter.name == *name && parameter.in_path) {
            address = address.replace(&format!("{{{name}}}"), &value);
        } else {
            query.push(format!("{name}={value}"));
        }
    }
    if query.is_empty() { address } else { format!("{address}?{}", query.join("&")) }
}

/// Percent-encoded, but for what stands in placeholders.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A walk over every place in a body. What is found is added: the JSON pointer, the sample, and the whole body.
struct Walk<'a, 'b> {
    schemas: Schemas<'a>,
    add: &'b mut dyn FnMut(&str, Sample, String),
}

impl Walk<'_, '_> {
    /// Everything that is tried at one place and below it. `around` is the body around that place.
    fn place(&mut self, schema: &Value, pointer: &str, around: &str) {
        assert!(pointer.matches('/').count() < 20, "{pointer}: say how deep a schema that contains itself is tried");
        let schemas = self.schemas;
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let body = |json: &str| around.replace(HERE, &existing(name, json));
        for sample in schemas.samples(schema) {
            let body = body(&sample.json);
            (self.add)(&format!("{pointer}{}", sample.at), sample, body);
        }
        for view in schemas.known_views(schema) {
            if view.kind == "object" {
                for (name, member) in view.properties().filter(|(_, member)| !schemas.flag(member, "readOnly")) {
                    let around = body(&schemas.object(&view, Some((name, HERE))));
                    self.member(member, &format!("{pointer}/{name}"), &around, view.requires(name));
                }
                if let Additional::Schema(member) = view.additional() {
                    let around = body(&schemas.object(&view, Some(("key", HERE))));
                    self.place(member, &format!("{pointer}/key"), &around);
                }
            } else if view.kind == "array" {
                let others = (1..view.size("minItems").unwrap_or(0)).map(|number| schemas.valid(&view.items(), number));
                let items: Vec<String> = std::iter::once(HERE.to_owned()).chain(others).collect();
                self.place(&view.items(), &format!("{pointer}/0"), &body(&format!("[{}]", items.join(","))));
            }
        }
    }

    fn member(&mut self, schema: &Value, pointer: &str, around: &str, required: bool) {
        let add = &mut self.add;
        let mut add = |at: &str, mut sample: Sample, body: String| {
            if !required && at == pointer && sample.what == "null" {
                sample.what.push_str(" for an optional member");
            }
            add(at, sample, body);
        };
        Walk { schemas: self.schemas, add: &mut add }.place(schema, pointer, around);
    }
}
