//! An OpenAPI document as plain facts, one a line, so that two documents can be compared and the difference read.
//!
//! ```text
//! createSpan | POST /v1/private/spans
//! createSpan | request application/json | .start_time | string date-time required
//! createSpan | request application/json | .type | enum "llm"
//! createSpan | response 201 header Location | string required
//! getSpanById | parameter query strip_attachments | boolean default=false
//! getSpanById | response 200 application/json | .usage.* | integer int32
//! ```
//!
//! What does not change the contract makes no difference: names of components and of path parameters, order, unions
//! against type lists and discriminators, forms of OpenAPI 3.0 against those of 3.1, constraints that constrain nothing,
//! what only answers have in requests and the reverse.

use std::collections::BTreeSet;

use serde_json::Value;

use super::views::{Additional, Schemas, View};

/// What stands between the columns of a line.
pub(crate) const COLUMN: &str = " | ";

/// The facts of the operations that are `wanted`, asked by operation id and tags.
pub(crate) fn flatten(document: &Value, wanted: impl Fn(&str, &[&str]) -> bool) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for (method, path, item, operation) in operations(document) {
        let name = operation["operationId"].as_str().map_or_else(|| format!("{method} {path}"), str::to_owned);
        let tags: Vec<&str> = operation["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if wanted(&name, &tags) {
            let mut flat = Flat { schemas: Schemas(document), operation: &name, facts: &mut facts, above: Vec::new() };
            flat.operation(&method, path, item, operation, &tags);
        }
    }
    facts
}

/// Every operation of a document: method, path, path item, operation.
pub(crate) fn operations(document: &Value) -> impl Iterator<Item = (String, &String, &Value, &Value)> {
    const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    document["paths"].as_object().into_iter().flatten().flat_map(move |(path, item)| {
        let item = Schemas(document).resolve(item);
        METHODS.iter().filter_map(move |method| Some((method.to_uppercase(), path, item, item.get(method)?)))
    })
}

/// The operation that a line is about.
pub(crate) fn operation_of(line: &str) -> &str {
    line.split(COLUMN).next().unwrap_or_default()
}

/// How `ours` differs from `published` where both have an operation: `- ` before what only they say, `+ ` before what
/// only we say. Errors that we add are no difference; of operations that only we have, the address stands for all.
pub(crate) fn differences(ours: &BTreeSet<String>, published: &BTreeSet<String>) -> Vec<String> {
    let names =
        |lines: &BTreeSet<String>| lines.iter().map(|line| operation_of(line).to_owned()).collect::<BTreeSet<_>>();
    let (our_names, published_names) = (names(ours), names(published));
    let missing = published.difference(ours).filter(|line| our_names.contains(operation_of(line)));
    let extra = ours.difference(published).filter(|line| {
        if published_names.contains(operation_of(line)) { !adds_an_error(line, published) } else { is_address(line) }
    });
    missing.map(|line| format!("- {line}")).chain(extra.map(|line| format!("+ {line}"))).collect()
}

/// Whether the line says where an operation is.
fn is_address(line: &str) -> bool {
    line.split(COLUMN).nth(1).is_some_and(|column| column.contains(" /"))
}

/// Whether the line is about an error that the published operation does not mention.
fn adds_an_error(line: &str, published: &BTreeSet<String>) -> bool {
    let Some(about) = line.split(COLUMN).nth(1) else { return false };
    let Some(status) = about.strip_prefix("response ").and_then(|rest| rest.split(' ').next()) else { return false };
    let answer = format!("{}{COLUMN}response {status}", operation_of(line));
    (status.starts_with(['4', '5']) || status == "default")
        && !published
            .iter()
            .any(|known| known.strip_prefix(&answer).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

/// Which way a schema's values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

struct Flat<'a> {
    schemas: Schemas<'a>,
    operation: &'a str,
    facts: &'a mut BTreeSet<String>,
    /// The schemas around the one that is looked at.
    above: Vec<Value>,
}

impl Flat<'_> {
    fn add(&mut self, columns: &[&str]) {
        let columns = columns.iter().filter(|column| !column.is_empty());
        let line: Vec<&str> = std::iter::once(self.operation).chain(columns.copied()).collect();
        self.facts.insert(line.join(COLUMN));
    }

    fn operation(&mut self, method: &str, path: &str, item: &Value, operation: &Value, tags: &[&str]) {
        self.add(&[&format!("{method} {}", regex::Regex::new(r"\{[^}]*\}").unwrap().replace_all(path, "{}"))]);
        for tag in tags {
            self.add(&["tag", tag]);
        }
        let security = operation.get("security").or(self.schemas.0.get("security"));
        if let Some(security) = security.and_then(Value::as_array).filter(|schemes| !schemes.is_empty()) {
            self.add(&["security", &serde_json::to_string(security).unwrap()]);
        }
        let places: Vec<&str> = path.split('/').filter(|step| step.starts_with('{')).collect();
        for parameter in [item, operation].into_iter().filter_map(|node| node["parameters"].as_array()).flatten() {
            self.parameter(&self.schemas.resolve(parameter).clone(), &places);
        }
        if let Some(body) = operation.get("requestBody") {
            let body = self.schemas.resolve(body).clone();
            if body["required"] == true {
                self.add(&["request", "required"]);
            }
            self.content("request", &body, Way::In);
        }
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            let response = self.schemas.resolve(response).clone();
            let about = format!("response {status}");
            self.add(&[&about]);
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                let header = self.schemas.resolve(header).clone();
                let flags = flags(&[("required", header["required"] == true)]);
                self.schema(&format!("{about} header {name}"), "", &flags, &schema_of(&header), Way::Out);
            }
            self.content(&about, &response, Way::Out);
        }
    }

    fn parameter(&mut self, parameter: &Value, places: &[&str]) {
        let (place, name) =
            (parameter["in"].as_str().unwrap_or_default(), parameter["name"].as_str().unwrap_or_default());
        let name = match place {
            // Path parameters are told apart by their position, headers are the same in any case.
            "path" => places
                .iter()
                .position(|one| one[1..].trim_end_matches('}') == name)
                .map_or_else(|| name.to_owned(), |position| (position + 1).to_string()),
            "header" => name.to_lowercase(),
            _ => name.to_owned(),
        };
        let style = if place == "query" || place == "cookie" { "form" } else { "simple" };
        let mut flags = flags(&[("required", parameter["required"] == true)]);
        if let Some(other) = parameter["style"].as_str().filter(|other| *other != style) {
            flags.push(format!("style={other}"));
        }
        if let Some(other) = parameter["explode"].as_bool().filter(|other| *other != (style == "form")) {
            flags.push(format!("explode={other}"));
        }
        self.schema(&format!("parameter {place} {name}"), "", &flags, &schema_of(parameter), Way::In);
    }

    fn content(&mut self, about: &str, node: &Value, way: Way) {
        for (media_type, media) in node["content"].as_object().into_iter().flatten() {
            let media_type = media_type.split(';').next().unwrap_or_default().trim().to_lowercase();
            self.schema(&format!("{about} {media_type}"), "", &[], &media["schema"], way);
        }
    }

    fn schema(&mut self, about: &str, path: &str, flags: &[String], schema: &Value, way: Way) {
        if self.above.contains(schema) {
            return self.add(&[about, path, "as above"]);
        }
        self.above.push(schema.clone());
        let (views, nullable) = self.schemas.views(schema).unwrap();
        let mut flags = flags.to_vec();
        flags.extend(nullable.then(|| "nullable".to_owned()));
        if let [view] = views.as_slice() {
            self.view(about, path, &flags, view, way);
        } else {
            self.add(&[about, path, &[&[format!("one of {}", views.len())], flags.as_slice()].concat().join(" ")]);
            for (label, view) in self.labelled(views, way) {
                self.view(about, &format!("{path}<{label}>"), &[], &view, way);
            }
        }
        self.above.pop();
    }

    /// The branches of a union with their names: the type, and a number where several are of one type.
    fn labelled(&self, views: Vec<View>, way: Way) -> Vec<(String, View)> {
        // Their order is that of what is said of them, not that in which the document has them.
        let mut views: Vec<(String, BTreeSet<String>, View)> = views
            .into_iter()
            .map(|view| {
                let mut facts = BTreeSet::new();
                let above = self.above.clone();
                Flat { schemas: self.schemas, operation: "", facts: &mut facts, above }.view("", "", &[], &view, way);
                (if view.kind.is_empty() { "any".to_owned() } else { view.kind.clone() }, facts, view)
            })
            .collect();
        views.sort_by(|left, right| (&left.0, &left.1).cmp(&(&right.0, &right.1)));
        let kinds: Vec<String> = views.iter().map(|(kind, ..)| kind.clone()).collect();
        let label = |(index, (kind, _, view)): (usize, (String, _, View))| {
            let number = kinds[..index].iter().filter(|one| **one == kind).count() + 1;
            let many = kinds.iter().filter(|one| **one == kind).count() > 1;
            (if many { format!("{kind} {number}") } else { kind }, view)
        };
        views.into_iter().enumerate().map(label).collect()
    }

    fn view(&mut self, about: &str, path: &str, flags: &[String], view: &View, way: Way) {
        let mut words = vec![if view.kind.is_empty() { "any".to_owned() } else { view.kind.clone() }];
        words.extend(view.text("format").map(str::to_owned));
        words.extend_from_slice(flags);
        words.extend(constraints(view));
        if matches!(view.additional(), Additional::Closed) {
            words.push("closed".to_owned());
        }
        self.add(&[about, path, &words.join(" ")]);
        for value in view.enumeration().into_iter().flatten() {
            self.add(&[about, path, &format!("enum {value}")]);
        }
        if view.kind == "array" {
            self.schema(about, &format!("{path}[]"), &[], &view.items(), way);
        }
        if view.kind == "object" {
            let hidden = if way == Way::In { "readOnly" } else { "writeOnly" };
            let schemas = self.schemas;
            for (name, schema) in view.properties().filter(|(_, schema)| !schemas.flag(schema, hidden)) {
                let flags = self::flags(&[
                    ("required", view.requires(name)),
                    ("readOnly", schemas.flag(schema, "readOnly")),
                    ("writeOnly", schemas.flag(schema, "writeOnly")),
                ]);
                self.schema(about, &format!("{path}.{name}"), &flags, schema, way);
            }
            if let Additional::Schema(schema) = view.additional() {
                self.schema(about, &format!("{path}.*"), &[], schema, way);
            }
        }
    }
}

fn flags(flags: &[(&str, bool)]) -> Vec<String> {
    flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned()).collect()
}

/// A parameter's or header's schema, given directly or through content.
fn schema_of(node: &Value) -> Value {
    let media = node["content"].as_object().and_then(|content| content.values().next());
    node.get("schema").or_else(|| media?.get("schema")).cloned().unwrap_or_default()
}

/// What a branch says beyond type, format and enum, in words.
fn constraints(view: &View) -> Vec<String> {
    let mut words = Vec::new();
    for word in ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"] {
        words.extend(
            view.size(word).filter(|size| *size > 0 || word.starts_with("max")).map(|size| format!("{word}={size}")),
        );
    }
    for side in ["minimum", "maximum"] {
        let exclusive = if side == "minimum" { "exclusiveMinimum" } else { "exclusiveMaximum" };
        let named = |(value, is_exclusive)| format!("{}={value}", if is_exclusive { exclusive } else { side });
        words.extend(view.bound(side).map(named));
    }
    words.extend(view.pattern().map(|pattern| format!("pattern={}", Value::from(pattern))));
    words.extend(view.number("multipleOf").map(|step| format!("multipleOf={step}")));
    words.extend(view.is("uniqueItems").then(|| "uniqueItems".to_owned()));
    words.extend(view.keywords.get("default").map(|value| format!("default={value}")));
    words
}
