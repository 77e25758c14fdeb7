//! Operations compared: addresses, parameters, bodies, answers. What values may be is compared in `schema.rs`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::report::{Change, Kind, Report};
use super::schema::same_components;
use super::spec::{Operation, Spec};
use super::views::TooIntricate;

/// Schemas that may be looked at. Chosen: two documents of three hundred operations each need less than a tenth.
pub(super) const STEPS_MAX: usize = 5_000_000;

/// Which way values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client: what was allowed must stay so.
    Request,
    /// To the client: what was not to be expected must not come.
    Response,
}

/// The work at hand.
pub(super) struct Comparison<'a> {
    pub(super) before: &'a Spec,
    pub(super) after: &'a Spec,
    /// References that lead to the same in both documents.
    pub(super) same: BTreeSet<String>,
    pub(super) found: Vec<Change>,
    pub(super) operation: String,
    pub(super) address: String,
    pub(super) way: Way,
    /// Pairs of schemas around the one that is looked at.
    pub(super) above: Vec<(String, String)>,
    pub(super) steps: usize,
}

/// Compares a document with the one that clients were made for.
///
/// # Errors
/// When a document is too intricate.
pub fn compare(checked: &Spec, against: &Spec) -> Result<Report, String> {
    let same = same_components(&against.document, &checked.document);
    let mut comparison = Comparison {
        before: against,
        after: checked,
        same,
        found: Vec::new(),
        operation: String::new(),
        address: String::new(),
        way: Way::Request,
        above: Vec::new(),
        steps: 0,
    };
    let operations = comparison.documents().map_err(|error| format!("cannot compare: {error}"))?;
    let changes = comparison.found;
    let breaking = changes.iter().filter(|change| change.breaking).count();
    let (checked, against) = (checked.name.clone(), against.name.clone());
    Ok(Report { checked, against, operations, breaking, compatible: changes.len() - breaking, changes })
}

impl<'a> Comparison<'a> {
    /// Adds a change; what follows from its kind depends on the way.
    pub(super) fn add(&mut self, place: &str, kind: Kind, what: &str, before: Option<Value>, after: Option<Value>) {
        let breaking = match kind {
            Kind::Missing | Kind::Changed => true,
            Kind::Narrower => self.way == Way::Request,
            Kind::Wider => self.way == Way::Response,
            Kind::Added => false,
        };
        self.weigh(place, kind, breaking, what, before, after);
    }

    pub(super) fn weigh(
        &mut self,
        place: &str,
        kind: Kind,
        breaking: bool,
        what: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        let (operation, address) = (self.operation.clone(), self.address.clone());
        let (place, what) = (place.to_owned(), what.to_owned());
        self.found.push(Change { operation, address, place, kind, breaking, what, before, after });
    }

    /// All operations; returns how many both have.
    fn documents(&mut self) -> Result<usize, TooIntricate> {
        let (before, after) = (self.before, self.after);
        let (ours, theirs) = (before.operations(), after.operations());
        let mut compared = 0;
        for one in &ours {
            (self.operation, self.address) = (one.name.clone(), one.address.clone());
            if let Some(other) = theirs.iter().find(|other| other.key == one.key) {
                compared += 1;
                self.operation(one, other)?;
            } else {
                let moved = theirs.iter().find(|other| other.name == one.name).map(|other| json!(other.address));
                let was = moved.as_ref().map(|_| json!(one.address));
                self.add("address", Kind::Missing, "operation", was, moved);
            }
        }
        for other in theirs.iter().filter(|other| ours.iter().all(|one| one.key != other.key)) {
            (self.operation, self.address) = (other.name.clone(), other.address.clone());
            self.add("address", Kind::Added, "operation", None, None);
        }
        Ok(compared)
    }

    fn operation(&mut self, one: &Operation<'a>, other: &Operation<'a>) -> Result<(), TooIntricate> {
        for word in ["operationId", "tags", "deprecated"] {
            if one.node.get(word) != other.node.get(word) {
                // Nothing of it goes over the wire.
                let (before, after) = (one.node.get(word).cloned(), other.node.get(word).cloned());
                self.weigh("operation", Kind::Changed, false, word, before, after);
            }
        }
        self.way = Way::Request;
        self.security(one, other);
        self.parameters(one, other)?;
        let (body, other_body) = (one.node.get("requestBody"), other.node.get("requestBody"));
        self.request_body(
            body.map(|node| self.before.schemas().resolve(node)),
            other_body.map(|node| self.after.schemas().resolve(node)),
        )?;
        self.way = Way::Response;
        self.responses(one, other)
    }

    /// Each way in which a client may have shown who it is must still do.
    fn security(&mut self, one: &Operation<'a>, other: &Operation<'a>) {
        let ways = |operation: &Operation<'_>, spec: &Spec| -> Vec<Map<String, Value>> {
            let said = operation.node.get("security").or_else(|| spec.document.get("security"));
            let ways = said.and_then(Value::as_array).cloned().unwrap_or_default();
            let ways: Vec<_> = ways.into_iter().filter_map(|way| way.as_object().cloned()).collect();
            if ways.is_empty() { vec![Map::new()] } else { ways }
        };
        let (before, after) = (ways(one, self.before), ways(other, self.after));
        let does = |way: &Map<String, Value>| after.iter().any(|asked| asked.keys().all(|name| way.contains_key(name)));
        if !before.iter().all(does) {
            self.add("operation", Kind::Narrower, "security", Some(json!(before)), Some(json!(after)));
        }
    }

    fn parameters(&mut self, one: &Operation<'a>, other: &Operation<'a>) -> Result<(), TooIntricate> {
        let (before, after) = (parameters(self.before, one), parameters(self.after, other));
        for (key, parameter) in &before {
            let place = format!("parameter {} {}", key.0, parameter["name"].as_str().unwrap_or_default());
            let Some((_, now)) = after.iter().find(|(other, _)| other == key) else {
                self.add(&place, Kind::Missing, "parameter", None, None);
                continue;
            };
            self.required(&place, "required", parameter["required"] == true, now["required"] == true);
            let style = if matches!(key.0, "query" | "cookie") { "form" } else { "simple" };
            let styles = [*parameter, *now].map(|node| node["style"].as_str().unwrap_or(style).to_owned());
            // Of the styles, only forms come one by one unless it is said.
            let ones = [0, 1].map(|at| [*parameter, *now][at]["explode"].as_bool().unwrap_or(styles[at] == "form"));
            if styles[0] != styles[1] {
                self.add(&place, Kind::Changed, "style", Some(json!(styles[0])), Some(json!(styles[1])));
            }
            if ones[0] != ones[1] {
                self.add(&place, Kind::Changed, "explode", Some(json!(ones[0])), Some(json!(ones[1])));
            }
            self.schema(&place, "", schema_of(parameter), schema_of(now))?;
        }
        for (key, now) in after.iter().filter(|(key, _)| before.iter().all(|(one, _)| one != key)) {
            let place = format!("parameter {} {}", key.0, now["name"].as_str().unwrap_or_default());
            if now["required"] == true {
                self.add(&place, Kind::Narrower, "required parameter", None, None);
            } else {
                self.add(&place, Kind::Added, "parameter", None, None);
            }
        }
        Ok(())
    }

    pub(super) fn required(&mut self, place: &str, what: &str, before: bool, after: bool) {
        if before != after {
            let kind = if after { Kind::Narrower } else { Kind::Wider };
            self.add(place, kind, what, Some(json!(before)), Some(json!(after)));
        }
    }

    fn request_body(&mut self, before: Option<&'a Value>, after: Option<&'a Value>) -> Result<(), TooIntricate> {
        const PLACE: &str = "request";
        match (before, after) {
            (None, None) => {}
            (Some(_), None) => self.add(PLACE, Kind::Missing, "body", None, None),
            (None, Some(now)) if now["required"] == true => {
                self.add(PLACE, Kind::Narrower, "required body", None, None);
            }
            (None, Some(_)) => self.add(PLACE, Kind::Added, "body", None, None),
            (Some(was), Some(now)) => {
                self.required(PLACE, "required", was["required"] == true, now["required"] == true);
                self.content(PLACE, &was["content"], &now["content"])?;
            }
        }
        Ok(())
    }

    fn content(&mut self, place: &str, before: &'a Value, after: &'a Value) -> Result<(), TooIntricate> {
        let (before, after) = (media_types(before), media_types(after));
        for (name, was) in &before {
            // A range of media types stands for each of them.
            let exact = after.iter().find(|(other, _)| other == name);
            match exact.or_else(|| after.iter().find(|(other, _)| covers(other, name))) {
                None => self.add(&format!("{place} {name}"), Kind::Missing, "media type", None, None),
                Some((_, now)) => self.schema(&format!("{place} {name}"), "", &was["schema"], &now["schema"])?,
            }
        }
        for (name, _) in
            after.iter().filter(|(name, _)| before.iter().all(|(one, _)| one != name && !covers(one, name)))
        {
            self.add(&format!("{place} {name}"), Kind::Added, "media type", None, None);
        }
        Ok(())
    }

    fn responses(&mut self, one: &Operation<'a>, other: &Operation<'a>) -> Result<(), TooIntricate> {
        let (before, after) = (responses(self.before, one), responses(self.after, other));
        for (status, was) in &before {
            match answering(&after, status) {
                None => self.add(&format!("response {status}"), Kind::Missing, "response", None, None),
                Some(now) => self.response(status, was, now)?,
            }
        }
        for (status, now) in after.iter().filter(|(status, _)| before.iter().all(|(one, _)| one != status)) {
            let place = format!("response {status}");
            match answering(&before, status) {
                // It was to be expected, in this form.
                Some(was) => self.response(status, was, now)?,
                None if is_error(status) => self.add(&place, Kind::Added, "response", None, None),
                None => self.add(&place, Kind::Wider, "response", None, None),
            }
        }
        Ok(())
    }

    fn response(&mut self, status: &str, was: &'a Value, now: &'a Value) -> Result<(), TooIntricate> {
        let place = format!("response {status}");
        self.content(&place, &was["content"], &now["content"])?;
        let (before, after) = (headers(self.before, was), headers(self.after, now));
        for (name, was) in &before {
            let place = format!("{place} header {name}");
            match after.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
                None => self.add(&place, Kind::Missing, "header", None, None),
                Some((_, now)) => {
                    self.required(&place, "required", was["required"] == true, now["required"] == true);
                    self.schema(&place, "", schema_of(was), schema_of(now))?;
                }
            }
        }
        for (name, _) in after.iter().filter(|(name, _)| before.iter().all(|(one, _)| !one.eq_ignore_ascii_case(name)))
        {
            self.add(&format!("{place} header {name}"), Kind::Added, "header", None, None);
        }
        Ok(())
    }
}

/// The parameters of an operation by where they stand and how they are told apart there: in paths by their position,
/// headers whatever the letter case.
fn parameters<'a>(spec: &'a Spec, operation: &Operation<'a>) -> Vec<((&'a str, String), &'a Value)> {
    let mut all: Vec<((&str, String), &Value)> = Vec::new();
    for node in [operation.item, operation.node] {
        for parameter in node["parameters"].as_array().into_iter().flatten() {
            let parameter = spec.schemas().resolve(parameter);
            let name = parameter["name"].as_str().unwrap_or_default();
            let place = parameter["in"].as_str().unwrap_or_default();
            let told_by = match place {
                "path" => operation.places.iter().position(|one| *one == name).map(|position| position.to_string()),
                "header" => Some(name.to_lowercase()),
                _ => None,
            };
            let key = (place, told_by.unwrap_or_else(|| name.to_owned()));
            // What an operation says of a parameter stands in the place of what its path says.
            all.retain(|(other, _)| *other != key);
            all.push((key, parameter));
        }
    }
    all
}

fn responses<'a>(spec: &'a Spec, operation: &Operation<'a>) -> Vec<(String, &'a Value)> {
    let all = operation.node["responses"].as_object().into_iter().flatten();
    let status = |status: &str| if status == "default" { status.to_owned() } else { status.to_uppercase() };
    all.map(|(name, node)| (status(name), spec.schemas().resolve(node))).collect()
}

fn headers<'a>(spec: &'a Spec, response: &'a Value) -> Vec<(&'a String, &'a Value)> {
    let all = response["headers"].as_object().into_iter().flatten();
    all.map(|(name, header)| (name, spec.schemas().resolve(header))).collect()
}

fn media_types(content: &Value) -> Vec<(String, &Value)> {
    let bare = |name: &str| name.split(';').next().unwrap_or_default().trim().to_lowercase();
    content.as_object().into_iter().flatten().map(|(name, media)| (bare(name), media)).collect()
}

/// Whether one of these media types is a range that the other lies in.
fn covers(range: &str, name: &str) -> bool {
    let kind = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    range == "*/*" || range.ends_with("/*") && kind(range) == kind(name)
}

fn is_error(status: &str) -> bool {
    status.starts_with(['4', '5']) || status == "default"
}

/// What is said of a status: by its own name, by that of its range, or by default. Where successes have a name of their
/// own, the default is for errors.
fn answering<'a>(all: &[(String, &'a Value)], status: &str) -> Option<&'a Value> {
    let named = |name: &str| all.iter().find(|(one, _)| one == name).map(|(_, node)| *node);
    let range = status.chars().next().filter(char::is_ascii_digit).map(|first| format!("{first}XX"));
    let successes = all.iter().any(|(one, _)| one.starts_with(['2', '3']));
    let default = || named("default").filter(|_| is_error(status) || !successes);
    named(status).or_else(|| named(&range?)).or_else(default)
}

/// A parameter's or header's schema, given directly or through content.
fn schema_of(node: &Value) -> &Value {
    let content =
        || node["content"].as_object().and_then(|content| content.values().next()).map(|media| &media["schema"]);
    node.get("schema").or_else(content).unwrap_or(&Value::Null)
}
