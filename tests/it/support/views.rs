//! Schemas of an OpenAPI document as lists of branches of one type each, with everything indirect folded in: `$ref`
//! followed, `allOf` merged, `anyOf`, `oneOf`, type lists and discriminators made branches, `null` set aside.

use serde_json::{Map, Value, json};

/// One branch of a schema.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Its type; empty for any.
    pub(crate) kind: String,
    /// What else is said of it.
    pub(crate) keywords: Map<String, Value>,
}

impl View {
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.keywords.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    pub(crate) fn requires(&self, property: &str) -> bool {
        self.keywords
            .get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(|one| one == property))
    }

    /// Whether a keyword is `true`.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.keywords.get(keyword) == Some(&Value::Bool(true))
    }

    pub(crate) fn text(&self, keyword: &str) -> Option<&str> {
        self.keywords.get(keyword)?.as_str()
    }

    pub(crate) fn number(&self, keyword: &str) -> Option<f64> {
        self.keywords.get(keyword)?.as_f64()
    }

    pub(crate) fn size(&self, keyword: &str) -> Option<usize> {
        usize::try_from(self.keywords.get(keyword)?.as_u64()?).ok()
    }

    pub(crate) fn enumeration(&self) -> Option<&Vec<Value>> {
        self.keywords.get("enum")?.as_array()
    }

    /// The schema of the members of a list.
    pub(crate) fn items(&self) -> Value {
        self.keywords.get("items").cloned().unwrap_or_else(|| json!({}))
    }

    /// What is said of members of an object that have no property of their own: nothing, that there are none, or their
    /// schema.
    pub(crate) fn additional(&self) -> Additional<'_> {
        match self.keywords.get("additionalProperties") {
            None | Some(Value::Bool(true)) => Additional::Any,
            Some(Value::Bool(false)) => Additional::Closed,
            Some(Value::Object(schema)) if schema.is_empty() => Additional::Any,
            Some(schema) => Additional::Schema(schema),
        }
    }
}

/// See [`View::additional`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Additional<'a> {
    Any,
    Closed,
    Schema(&'a Value),
}

/// A document whose references can be followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schemas<'a>(pub(crate) &'a Value);

impl<'a> Schemas<'a> {
    /// What a reference inside the document points at.
    #[track_caller]
    pub(crate) fn target(self, reference: &str) -> &'a Value {
        let found = reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
        found.unwrap_or_else(|| panic!("dangling reference {reference}"))
    }

    /// Follows the `$ref` of a parameter, body, answer, header or path.
    #[track_caller]
    pub(crate) fn resolve(self, node: &'a Value) -> &'a Value {
        match node["$ref"].as_str() {
            Some(reference) => self.resolve(self.target(reference)),
            None => node,
        }
    }

    /// The branches of a schema, and whether null is one of them.
    #[track_caller]
    pub(crate) fn views(self, schema: &Value) -> (Vec<View>, bool) {
        let mut views = Vec::new();
        let mut nullable = false;
        for mut branch in self.branches(schema, &[], false) {
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
        (join_constants(views), nullable)
    }

    /// Whether a keyword such as `readOnly` is `true` in any branch of a schema.
    #[track_caller]
    pub(crate) fn flag(self, schema: &Value, keyword: &str) -> bool {
        self.branches(schema, &[], false).iter().any(|branch| branch.get(keyword) == Some(&json!(true)))
    }

    /// `seen` are the references that led here. A `base` stands in an `allOf`: its discriminator is for its children.
    fn branches(self, schema: &Value, seen: &[&str], base: bool) -> Vec<Map<String, Value>> {
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
            branches = self.branches(self.target(reference), &[seen, &[reference]].concat(), base);
        }
        for part in list(body.remove("allOf")) {
            branches = product(&branches, &self.branches(&part, seen, true), false);
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
            let part =
                |(value, target)| json!({"allOf": [{"$ref": target}, {"properties": {name: {"enum": [value]}}}]});
            unions.push(mapping.iter().map(part).collect());
        }
        branches = product(&branches, &[body], false);
        for union in unions {
            let parts: Vec<_> = union.iter().flat_map(|part| self.branches(part, seen, base)).collect();
            branches = product(&branches, &parts, true);
        }
        branches
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    if let Some(Value::Array(items)) = value { items } else { Vec::new() }
}

fn product(left: &[Map<String, Value>], right: &[Map<String, Value>], union: bool) -> Vec<Map<String, Value>> {
    left.iter().flat_map(|one| right.iter().map(move |other| merge(one, other, union))).collect()
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
                    Some(other) => json!({"allOf": [other, schema]}),
                    None => schema.clone(),
                };
                properties.insert(name.clone(), schema);
            }
            Some(Value::Object(properties))
        }
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

/// A union of constants is an enum.
fn join_constants(views: Vec<View>) -> Vec<View> {
    let is_constant = |view: &View| view.kind == "string" && view.keywords.contains_key("enum");
    let (constants, mut others): (Vec<View>, Vec<View>) = views.into_iter().partition(is_constant);
    let values: Vec<Value> =
        constants.iter().flat_map(|view| view.enumeration().cloned().unwrap_or_default()).collect();
    if let Some(mut first) = constants.into_iter().next() {
        first.keywords.insert("enum".to_owned(), Value::Array(values));
        others.push(first);
    }
    if others.is_empty() {
        others.push(View { kind: String::new(), keywords: Map::new() });
    }
    others
}
