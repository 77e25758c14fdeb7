//! Schemas in words: what a value may be in a cell of a table, what members an object has in a table of its own.

use std::collections::BTreeSet;

use serde_json::Value;

const COMPONENT: &str = "#/components/schemas/";

/// What a value may be, in a few words.
pub(super) fn words(schema: &Value) -> String {
    if let Some(name) = component(schema) {
        return format!("[`{name}`](#{})", name.to_lowercase());
    }
    let mut said = vec![kind(schema)];
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
        said = vec![if values.len() == 1 { values.concat() } else { format!("one of {}", values.join(", ")) }];
    } else {
        said.extend(schema["format"].as_str().map(str::to_owned));
    }
    for (least, most, what) in [
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "members"),
    ] {
        match (&schema[least], &schema[most]) {
            (Value::Null, Value::Null) => {}
            (low, Value::Null) if *low == 1 => said.push("not empty".to_owned()),
            (low, Value::Null) => said.push(format!("at least {low} {what}")),
            (Value::Null, high) => said.push(format!("at most {high} {what}")),
            (low, high) => said.push(format!("{low} to {high} {what}")),
        }
    }
    for (word, what) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("exclusiveMinimum", "more than"),
        ("exclusiveMaximum", "less than"),
    ] {
        said.extend(schema[word].as_number().map(|bound| format!("{what} {bound}")));
    }
    said.extend(schema["pattern"].as_str().map(|pattern| format!("matches `{pattern}`")));
    said.extend((schema["uniqueItems"] == true).then(|| "no two the same".to_owned()));
    said.extend(schema.get("default").map(|value| format!("default `{}`", plain(value))));
    said.join(", ")
}

fn kind(schema: &Value) -> String {
    for union in ["anyOf", "oneOf"] {
        if let Some(branches) = schema[union].as_array() {
            return branches.iter().map(words).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().map(words).collect::<Vec<_>>().join(" and ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", words(&schema["items"])),
        Some("object") if schema["additionalProperties"].as_object().is_some_and(|further| !further.is_empty()) => {
            format!("map of {}", words(&schema["additionalProperties"]))
        }
        Some(kind) => kind.to_owned(),
        None => "any JSON".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The component that a schema is.
fn component(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(COMPONENT)
}

/// A text as a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// A table of what is in an object; nothing for what has no members to speak of.
pub(super) fn table(schema: &Value) -> String {
    let mut rows = Vec::new();
    members(schema, "", &mut rows);
    if rows.is_empty() {
        return String::new();
    }
    format!("| field | type | required | meaning |\n| --- | --- | --- | --- |\n{}\n", rows.join("\n"))
}

/// A row for each member, and for those of objects that have no name of their own.
fn members(schema: &Value, path: &str, rows: &mut Vec<String>) {
    for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|word| schema[word].as_array()).flatten() {
        members(part, path, rows);
    }
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut meaning = member["description"].as_str().unwrap_or_default().to_owned();
        if member["readOnly"] == true {
            meaning = format!("Only in answers. {meaning}");
        }
        let needed = if required(name) { "yes" } else { "" };
        rows.push(format!("| `{here}` | {} | {needed} | {} |", cell(&words(member)), cell(&meaning)));
        members(member, &here, rows);
        members(&member["items"], &format!("{here}[]"), rows);
        members(&member["additionalProperties"], &format!("{here}.*"), rows);
    }
}

/// The names of the components that a node leads to, over any number of references.
pub(super) fn reached(document: &Value, node: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        match node {
            Value::Array(items) => waiting.extend(items),
            Value::Object(members) => {
                if let Some(name) = component(node)
                    && found.insert(name.to_owned())
                {
                    waiting.push(&document["components"]["schemas"][name]);
                }
                waiting.extend(members.iter().filter(|(name, _)| *name != "example").map(|(_, member)| member));
            }
            _ => {}
        }
    }
    found
}

/// What is said of a component.
pub(super) fn section(document: &Value, name: &str) -> String {
    let schema = &document["components"]["schemas"][name];
    let mut parts = vec![format!("### {name}")];
    parts.extend(schema["description"].as_str().map(|text| text.trim().to_owned()));
    let table = table(schema);
    parts.push(if table.is_empty() { format!("{}.", capital(&words(schema))) } else { table.trim_end().to_owned() });
    parts.join("\n\n") + "\n"
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_told_in_a_few_words() {
        for (schema, wanted) in [
            (json!({"$ref": "#/components/schemas/Span_Write"}), "[`Span_Write`](#span_write)"),
            (json!({"type": "string", "format": "uuid"}), "string, uuid"),
            (json!({"type": "string", "minLength": 1, "maxLength": 9}), "string, 1 to 9 characters"),
            (json!({"type": "string", "minLength": 1}), "string, not empty"),
            (json!({"type": "string", "enum": ["a", "b"]}), "one of `a`, `b`"),
            (json!({"type": "string", "enum": ["a"]}), "`a`"),
            (
                json!({"type": "integer", "format": "int32", "minimum": 1, "default": 1}),
                "integer, int32, at least 1, default `1`",
            ),
            (json!({"type": "number", "exclusiveMinimum": 0.5}), "number, more than 0.5"),
            (
                json!({"type": "array", "items": {"type": "string", "pattern": "a"}, "maxItems": 5, "uniqueItems": true}),
                "list of string, matches `a`, at most 5 items, no two the same",
            ),
            (json!({"type": "object", "additionalProperties": {"type": "integer"}}), "map of integer"),
            (json!({"anyOf": [{"type": "string"}, {"type": "object"}]}), "string or object"),
            (json!({}), "any JSON"),
        ] {
            assert_eq!(words(&schema), wanted);
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_member_however_deep() {
        let schema = json!({"properties": {
            "a": {"type": "string", "description": "One |\ntwo", "readOnly": true},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "boolean"}}}},
        }, "required": ["b"]});
        assert_eq!(
            table(&schema),
            "| field | type | required | meaning |\n| --- | --- | --- | --- |\n\
             | `a` | string |  | Only in answers. One \\| two |\n| `b` | list of object | yes |  |\n\
             | `b[].c` | boolean |  |  |\n"
        );
        assert_eq!(table(&json!({"type": "string"})), "");
    }
}
