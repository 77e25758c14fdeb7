//! The document as OpenAPI 3.0.3 says it, for tools that read nothing newer.

use serde_json::{Map, Value, json};

/// Rewrites a document of OpenAPI 3.1.
pub(super) fn rendition(document: &Value) -> Value {
    let mut older = document.clone();
    rewrite(&mut older);
    older["openapi"] = json!("3.0.3");
    if let Some(license) = older.pointer_mut("/info/license").and_then(Value::as_object_mut) {
        license.remove("identifier");
    }
    older
}

fn rewrite(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        Value::Object(members) => {
            for (name, child) in members.iter_mut() {
                match (name.as_str(), child) {
                    // Data, not schemas.
                    ("default" | "enum" | "const" | "example" | "examples", _) => {}
                    // Names of these are no keywords.
                    ("properties" | "responses" | "schemas", Value::Object(named)) => {
                        named.values_mut().for_each(rewrite);
                    }
                    (_, child) => rewrite(child),
                }
            }
            types(members);
            bounds(members);
            values(members);
            reference(members);
        }
        _ => {}
    }
}

/// Several types are alternatives, and `null` is none of them.
fn types(members: &mut Map<String, Value>) {
    let Some(Value::Array(names)) = members.get("type") else { return };
    let mut names = names.clone();
    let count = names.len();
    names.retain(|name| name != "null");
    if names.len() < count {
        members.insert("nullable".to_owned(), json!(true));
    }
    members.remove("type");
    if let [only] = names.as_slice() {
        members.insert("type".to_owned(), only.clone());
    } else {
        let branches = names.iter().map(|name| json!({"type": name})).collect();
        members.insert("anyOf".to_owned(), Value::Array(branches));
    }
}

/// An exclusive bound is a bound and a flag.
fn bounds(members: &mut Map<String, Value>) {
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if let Some(limit) = members.get_mut(exclusive).filter(|limit| limit.is_number()) {
            let limit = std::mem::replace(limit, json!(true));
            members.insert(bound.to_owned(), limit);
        }
    }
}

/// One allowed value is a list of one; of a schema's examples there is one.
fn values(members: &mut Map<String, Value>) {
    if let Some(only) = members.remove("const") {
        members.insert("enum".to_owned(), json!([only]));
    }
    // Those of media types and parameters have names, and are the same in 3.0.
    if let Some(Value::Array(examples)) = members.get_mut("examples") {
        let first = examples.first().cloned();
        members.remove("examples");
        members.extend(first.map(|example| ("example".to_owned(), example)));
    }
}

/// What stands beside a reference is not read.
fn reference(members: &mut Map<String, Value>) {
    if members.len() > 1
        && let Some(target) = members.remove("$ref")
    {
        members.insert("allOf".to_owned(), json!([{"$ref": target}]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_3_1_has_one_of_3_0() {
        for (newer, older) in [
            (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true})),
            (json!({"type": ["string", "integer"]}), json!({"anyOf": [{"type": "string"}, {"type": "integer"}]})),
            (json!({"exclusiveMinimum": 0}), json!({"exclusiveMinimum": true, "minimum": 0})),
            (json!({"exclusiveMaximum": 1.5}), json!({"exclusiveMaximum": true, "maximum": 1.5})),
            (json!({"const": "a"}), json!({"enum": ["a"]})),
            (json!({"examples": ["a", "b"]}), json!({"example": "a"})),
            (json!({"$ref": "#/a"}), json!({"$ref": "#/a"})),
            (json!({"$ref": "#/a", "description": "b"}), json!({"allOf": [{"$ref": "#/a"}], "description": "b"})),
            (json!({"default": {"const": 1}}), json!({"default": {"const": 1}})),
            (
                json!({"responses": {"default": {"schema": {"const": 1}}}}),
                json!({"responses": {"default": {"schema": {"enum": [1]}}}}),
            ),
            (
                json!({"examples": {"named": {"value": {"const": 1}}}}),
                json!({"examples": {"named": {"value": {"const": 1}}}}),
            ),
            (
                json!({"properties": {"const": {"type": ["object", "null"]}, "examples": {"const": 1}}}),
                json!({"properties": {"const": {"type": "object", "nullable": true}, "examples": {"enum": [1]}}}),
            ),
        ] {
            let mut rewritten = newer;
            rewrite(&mut rewritten);
            assert_eq!(rewritten, older);
        }
    }
}
