//! Schemas of an OpenAPI document as lists of branches of one type each, with everything indirect folded in: `$ref`
//! followed, `allOf` merged, `anyOf`, `oneOf`, type lists and discriminators made branches, `null` set aside.

use percent_encoding::percent_decode_str;
use regex::Regex;
use serde_json::{Map, Value, json};

/// References that one schema may lead over before anything is said. Chosen: documents need a handful.
const REFERENCES_MAX: usize = 64;
/// Branches that one schema may have. Chosen: the largest unions of published documents have some dozens.
const BRANCHES_MAX: usize = 2_000;

/// A schema that leads over too many references, or has too many branches, to be looked at.
#[derive(Debug, thiserror::Error)]
#[error("a schema has more than {BRANCHES_MAX} alternatives, or leads over more than {REFERENCES_MAX} references")]
pub struct TooIntricate;

/// One branch of a schema.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its type; empty for any.
    pub kind: String,
    /// What else is said of it.
    pub keywords: Map<String, Value>,
}

impl View {
    /// The properties and their schemas.
    pub fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.keywords.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    /// The names of properties that must be there.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.keywords.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether a property must be there.
    pub fn requires(&self, property: &str) -> bool {
        self.required().any(|one| one == property)
    }

    /// Whether a keyword is `true`.
    pub fn is(&self, keyword: &str) -> bool {
        self.keywords.get(keyword) == Some(&Value::Bool(true))
    }

    /// A keyword that is a text.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        self.keywords.get(keyword)?.as_str()
    }

    /// A keyword that is a number.
    pub fn number(&self, keyword: &str) -> Option<f64> {
        self.keywords.get(keyword)?.as_f64()
    }

    /// A keyword that is a size.
    pub fn size(&self, keyword: &str) -> Option<usize> {
        usize::try_from(self.keywords.get(keyword)?.as_u64()?).ok()
    }

    /// The values that it may have.
    pub fn enumeration(&self) -> Option<&Vec<Value>> {
        self.keywords.get("enum")?.as_array()
    }

    /// The schema of the members of a list.
    pub fn items(&self) -> Value {
        self.keywords.get("items").cloned().unwrap_or_else(|| json!({}))
    }

    /// What is said of members of an object that have no property of their own: nothing, that there are none, or their
    /// schema.
    pub fn additional(&self) -> Additional<'_> {
        match self.keywords.get("additionalProperties") {
            None | Some(Value::Bool(true)) => Additional::Any,
            Some(Value::Bool(false)) => Additional::Closed,
            Some(Value::Object(schema)) if schema.is_empty() => Additional::Any,
            Some(schema) => Additional::Schema(schema),
        }
    }

    /// Its `minimum` or `maximum`, and whether it is exclusive. OpenAPI 3.0 has a boolean that makes the inclusive one
    /// exclusive.
    pub fn bound(&self, side: &str) -> Option<(f64, bool)> {
        let exclusive = if side == "minimum" { "exclusiveMinimum" } else { "exclusiveMaximum" };
        let inclusive = self.number(side).map(|value| (value, self.is(exclusive)));
        let candidates = [inclusive, self.number(exclusive).map(|value| (value, true))];
        let sign = if side == "minimum" { 1.0 } else { -1.0 };
        let tighter = |left: &(f64, bool), right: &(f64, bool)| {
            (sign * left.0).total_cmp(&(sign * right.0)).then(left.1.cmp(&right.1))
        };
        candidates.into_iter().flatten().max_by(tighter)
    }

    /// Its pattern; one with a leading `(?s)` as ECMA-262 takes it.
    pub fn pattern(&self) -> Option<String> {
        let pattern = self.text("pattern")?;
        let tokens = Regex::new(r"(?s)\\.|\[(?:\\.|[^\]\\])*\]|.").ok();
        let Some((rest, tokens)) = pattern.strip_prefix("(?s)").zip(tokens) else { return Some(pattern.to_owned()) };
        let written = |token: &str| if token == "." { r"[\s\S]".to_owned() } else { token.to_owned() };
        Some(tokens.find_iter(rest).map(|token| written(token.as_str())).collect())
    }
}

/// See [`View::additional`].
#[derive(Debug, Clone, Copy)]
pub enum Additional<'a> {
    /// Nothing is said of them.
    Any,
    /// There are none.
    Closed,
    /// They have this schema.
    Schema(&'a Value),
}

/// A document whose references can be followed.
#[derive(Debug, Clone, Copy)]
pub struct Schemas<'a>(pub &'a Value);

impl<'a> Schemas<'a> {
    /// What a reference inside the document points at.
    pub fn find(self, reference: &str) -> Option<&'a Value> {
        let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        self.0.pointer(&pointer)
    }

    /// The same; where there is nothing, a schema that says nothing.
    pub fn target(self, reference: &str) -> &'a Value {
        self.find(reference).unwrap_or(&Value::Null)
    }

    /// Follows the `$ref` of a parameter, body, answer, header or path.
    pub fn resolve(self, node: &'a Value) -> &'a Value {
        let mut node = node;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = node["$ref"].as_str() else { return node };
            node = self.target(reference);
        }
        &Value::Null
    }

    /// The reference that a discriminator's mapping means: it may also name a schema.
    pub fn mapped(self, target: &str) -> String {
        let named = format!("#/components/schemas/{target}");
        if self.find(target).is_none() && self.find(&named).is_some() { named } else { target.to_owned() }
    }

    /// The branches of a schema, and whether null is one of them.
    ///
    /// # Errors
    /// When there are too many.
    pub fn views(self, schema: &Value) -> Result<(Vec<View>, bool), TooIntricate> {
        let mut views = Vec::new();
        let mut nullable = false;
        for mut branch in self.branches(schema, &[], false)? {
            if let Some(only) = branch.remove("const") {
                branch.insert("enum".to_owned(), json!([only]));
            }
            let kinds = kinds_of(&branch);
            let null_value = branch.get_mut("enum").and_then(Value::as_array_mut).is_some_and(|values| {
                let before = values.len();
                values.retain(|value| !value.is_null());
                values.len() < before
            });
            nullable |=
                branch.get("nullable") == Some(&json!(true)) || kinds.iter().any(|kind| kind == "null") || null_value;
            if branch.get("enum") != Some(&json!([])) {
                let kinds = kinds.into_iter().filter(|kind| kind != "null");
                views.extend(kinds.map(|kind| View { kind, keywords: branch.clone() }));
            }
        }
        Ok((join_constants(views), nullable))
    }

    /// Whether a keyword such as `readOnly` is `true` in any branch of a schema.
    pub fn flag(self, schema: &Value, keyword: &str) -> bool {
        let branches = self.branches(schema, &[], false).unwrap_or_default();
        branches.iter().any(|branch| branch.get(keyword) == Some(&json!(true)))
    }

    /// `seen` are the references that led here. A `base` stands in an `allOf`: its discriminator is for its children.
    fn branches(self, schema: &Value, seen: &[&str], base: bool) -> Result<Vec<Map<String, Value>>, TooIntricate> {
        let mut body = match schema {
            Value::Object(body) => body.clone(),
            Value::Bool(false) => Map::from_iter([("not".to_owned(), json!({}))]),
            _ => Map::new(),
        };
        let mut branches = vec![Map::new()];
        body.remove("$ref");
        if let Some(reference) = schema["$ref"].as_str()
            && !seen.contains(&reference)
        {
            if seen.len() >= REFERENCES_MAX {
                return Err(TooIntricate);
            }
            branches = self.branches(self.target(reference), &[seen, &[reference]].concat(), base)?;
        }
        for part in list(body.remove("allOf")) {
            branches = product(&branches, &self.branches(&part, seen, true)?, false)?;
        }
        let mut unions: Vec<Vec<Value>> = ["anyOf", "oneOf"].iter().map(|word| list(body.remove(*word))).collect();
        unions.retain(|union| !union.is_empty());
        let mapping = schema["discriminator"]["mapping"].as_object();
        if base {
            body.remove("discriminator");
        } else if let Some(mapping) = mapping
            && unions.is_empty()
        {
            body.remove("discriminator");
            let name = schema["discriminator"]["propertyName"].as_str().unwrap_or_default();
            let part = |(value, target): (&String, &Value)| {
                let target = self.mapped(target.as_str().unwrap_or_default());
                json!({"allOf": [{"$ref": target}, {"properties": {name: {"enum": [value]}}}]})
            };
            unions.push(mapping.iter().map(part).collect());
        }
        branches = product(&branches, &[body], false)?;
        for union in unions {
            let mut parts = Vec::new();
            for part in &union {
                parts.append(&mut self.branches(part, seen, base)?);
            }
            branches = product(&branches, &parts, true)?;
        }
        Ok(branches)
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    if let Some(Value::Array(items)) = value { items } else { Vec::new() }
}

fn product(
    left: &[Map<String, Value>],
    right: &[Map<String, Value>],
    union: bool,
) -> Result<Vec<Map<String, Value>>, TooIntricate> {
    if left.len() * right.len() > BRANCHES_MAX {
        return Err(TooIntricate);
    }
    Ok(left.iter().flat_map(|one| right.iter().map(move |other| merge(one, other, union))).collect())
}

/// Two schemas that hold together. The branch of a union wins over an outer type that contradicts it.
fn merge(left: &Map<String, Value>, right: &Map<String, Value>, union: bool) -> Map<String, Value> {
    let mut merged = left.clone();
    for (word, there) in right {
        let both = left.get(word).and_then(|here| merge_keyword(word, here, there, union));
        merged.insert(word.clone(), both.unwrap_or_else(|| there.clone()));
    }
    merged
}

/// What two schemas say together with one keyword; none if it is what the second one says.
fn merge_keyword(word: &str, here: &Value, there: &Value, union: bool) -> Option<Value> {
    let lists = || (list(Some(here.clone())), list(Some(there.clone())));
    match word {
        "properties" => {
            let mut properties = here.as_object()?.clone();
            for (name, schema) in there.as_object()? {
                let schema = match properties.get(name) {
                    Some(other) => both(other, schema),
                    None => schema.clone(),
                };
                properties.insert(name.clone(), schema);
            }
            Some(Value::Object(properties))
        }
        "items" => Some(both(here, there)),
        "additionalProperties" if here.is_object() && there.is_object() => Some(both(here, there)),
        "additionalProperties" => Some(if here == true { there.clone() } else { here.clone() }),
        "minimum" | "minLength" | "minItems" | "minProperties" => tighter(here, there, f64::gt),
        "maximum" | "maxLength" | "maxItems" | "maxProperties" => tighter(here, there, f64::lt),
        "required" => Some(json!([lists().0, lists().1].concat())),
        "enum" => {
            let (mut here, there) = lists();
            here.retain(|value| there.contains(value));
            Some(Value::Array(here))
        }
        "type" => {
            let (mut common, others) = (texts(here), texts(there));
            common.retain(|kind| others.contains(kind));
            match (common.is_empty(), union) {
                (false, _) => Some(json!(common)),
                (true, true) => None,
                (true, false) => Some(here.clone()),
            }
        }
        "readOnly" | "writeOnly" | "uniqueItems" => Some(json!(here == true || there == true)),
        _ => None,
    }
}

/// A schema that says what two say; each of their parts once, so that schemas that hold themselves come to an end.
fn both(here: &Value, there: &Value) -> Value {
    let parts_of = |schema: &Value| match schema.as_object().filter(|members| members.len() == 1) {
        Some(members) if members.contains_key("allOf") => list(members.get("allOf").cloned()),
        _ => vec![schema.clone()],
    };
    let mut parts = parts_of(here);
    for part in parts_of(there) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.len() == 1 { parts.remove(0) } else { json!({"allOf": parts}) }
}

fn tighter(here: &Value, there: &Value, wins: fn(&f64, &f64) -> bool) -> Option<Value> {
    let (left, right) = (here.as_f64()?, there.as_f64()?);
    Some(if wins(&left, &right) { here.clone() } else { there.clone() })
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The types of a branch, as said or as meant.
fn kinds_of(branch: &Map<String, Value>) -> Vec<String> {
    let meant = match branch.get("type") {
        Some(said) => return texts(said),
        None if branch.contains_key("properties") || branch.contains_key("additionalProperties") => "object",
        None if branch.contains_key("items") => "array",
        None => {
            let values = branch.get("enum").and_then(Value::as_array);
            let texts = values.is_some_and(|values| !values.is_empty() && values.iter().all(Value::is_string));
            if texts { "string" } else { "" }
        }
    };
    vec![meant.to_owned()]
}

/// A union of constants of which nothing else is said, or the same, is an enum.
fn join_constants(views: Vec<View>) -> Vec<View> {
    let is_constant = |view: &View| view.kind == "string" && view.keywords.contains_key("enum");
    let (constants, mut others): (Vec<View>, Vec<View>) = views.into_iter().partition(is_constant);
    let mut joined: Vec<View> = Vec::new();
    for view in constants {
        match joined.iter_mut().find(|one| rules(one).eq(rules(&view))) {
            Some(one) => {
                let values = view.enumeration().cloned().unwrap_or_default();
                if let Some(Value::Array(all)) = one.keywords.get_mut("enum") {
                    all.extend(values);
                }
            }
            None => joined.push(view),
        }
    }
    others.extend(joined);
    if others.is_empty() {
        others.push(View { kind: String::new(), keywords: Map::new() });
    }
    others
}

/// What bounds a constant beside its value.
fn rules(view: &View) -> impl Iterator<Item = Option<&Value>> {
    ["minLength", "maxLength", "pattern", "format", "not"].into_iter().map(|word| view.keywords.get(word))
}
