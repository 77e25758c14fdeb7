//! A document to be compared: read, and looked over so that nothing in it leads astray later.

use serde_json::Value;

use super::views::Schemas;

/// An OpenAPI document, 3.0 or 3.1, whose references all lead somewhere inside it.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What it is called in messages.
    pub name: String,
    /// The document.
    pub document: Value,
}

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation<'a> {
    /// Its id; without one, its address.
    pub(super) name: String,
    /// Method and path.
    pub(super) address: String,
    /// The same with `{}` for each parameter.
    pub(super) key: String,
    /// Parameters in the path, in their order there.
    pub(super) places: Vec<&'a str>,
    /// What is said of all operations of the path.
    pub(super) item: &'a Value,
    pub(super) node: &'a Value,
}

impl Spec {
    /// The document that this text is, in JSON or YAML.
    ///
    /// # Errors
    /// When it is none, or one that cannot be compared.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let document: Value = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| format!("{name}: not JSON: {error}"))?
        } else {
            yaml_serde::from_str(text).map_err(|error| format!("{name}: neither JSON nor YAML: {error}"))?
        };
        Self::new(name, document)
    }

    /// The same of one that was read already.
    ///
    /// # Errors
    /// When it cannot be compared.
    pub fn new(name: &str, document: Value) -> Result<Self, String> {
        let version = document["openapi"].as_str().unwrap_or_default();
        if !version.starts_with("3.0.") && !version.starts_with("3.1.") {
            let found = match document["swagger"].as_str() {
                Some(old) => format!("Swagger {old}"),
                None if version.is_empty() => "none".to_owned(),
                None => format!("OpenAPI {version}"),
            };
            return Err(format!("{name}: expected an OpenAPI document of version 3.0 or 3.1, found {found}"));
        }
        let spec = Self { name: name.to_owned(), document };
        let mut wrong = Vec::new();
        references(&spec.document, "", false, &mut |pointer, reference| {
            if spec.schemas().find(reference).is_none() {
                wrong.push(format!("{pointer}: {reference:?}"));
            }
        });
        if let Some(first) = wrong.first() {
            let more = if wrong.len() > 1 { format!(" and {} more", wrong.len() - 1) } else { String::new() };
            return Err(format!("{name}: a reference leads nowhere in the document: {first}{more}"));
        }
        if spec.operations().is_empty() {
            return Err(format!("{name}: has no operations"));
        }
        Ok(spec)
    }

    pub(super) fn schemas(&self) -> Schemas<'_> {
        Schemas(&self.document)
    }

    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in self.document["paths"].as_object().into_iter().flatten() {
            let item = self.schemas().resolve(item);
            let places: Vec<&str> = path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
            let bare = places.iter().fold(path.clone(), |path, name| path.replace(&format!("{{{name}}}"), "{}"));
            for method in METHODS {
                let Some(node) = item.get(method) else { continue };
                let address = format!("{} {path}", method.to_uppercase());
                operations.push(Operation {
                    name: node["operationId"].as_str().unwrap_or(&address).to_owned(),
                    key: format!("{method} {bare}"),
                    address,
                    places: places.clone(),
                    item,
                    node,
                });
            }
        }
        operations
    }
}

/// Calls `visit` with each reference, and where it stands. Examples and other data may hold what only looks like one;
/// `named` says that the members of this node are names.
pub(super) fn references(node: &Value, pointer: &str, named: bool, visit: &mut impl FnMut(&str, &str)) {
    const DATA: [&str; 6] = ["example", "examples", "default", "enum", "const", "value"];
    const NAMES: [&str; 12] = [
        "properties",
        "patternProperties",
        "$defs",
        "schemas",
        "responses",
        "parameters",
        "requestBodies",
        "headers",
        "paths",
        "content",
        "callbacks",
        "links",
    ];
    match node {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                references(item, &format!("{pointer}/{index}"), false, visit);
            }
        }
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str).filter(|_| !named) {
                visit(pointer, reference);
            }
            for (name, member) in members {
                if !named && (DATA.contains(&name.as_str()) || name.starts_with("x-")) {
                    continue;
                }
                let here = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                references(member, &here, !named && NAMES.contains(&name.as_str()), visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_compared_is_told() {
        for (text, wanted) in [
            ("{", "a: not JSON: EOF"),
            ("a: [", "a: neither JSON nor YAML"),
            ("[]", "a: expected an OpenAPI document of version 3.0 or 3.1, found none"),
            ("swagger: '2.0'", "found Swagger 2.0"),
            ("openapi: 4.0.0", "found OpenAPI 4.0.0"),
            ("openapi: 3.1.0\npaths: {}", "a: has no operations"),
            (
                r##"{"openapi":"3.1.0","paths":{"/a":{"get":{"responses":{"200":{"$ref":"#/b"}}}}}}"##,
                r##"/paths/~1a/get/responses/200: "#/b""##,
            ),
            (
                r#"{"openapi":"3.1.0","paths":{"/a":{"get":{"responses":{"200":{"$ref":"b.yaml#/c"}}}}}}"#,
                "leads nowhere in the document",
            ),
        ] {
            let told = Spec::parse("a", text).expect_err(text);
            assert!(told.contains(wanted), "{text}: {told}");
        }
    }

    #[test]
    fn what_only_looks_like_a_reference_is_none() {
        let data = r##"{"openapi":"3.0.3","x-a":{"$ref":"#/b"},"paths":{"/a/{id}":{"get":{"responses":{
            "200":{"content":{"a/b":{"example":{"$ref":"#/b"},"schema":{"properties":{"$ref":{"type":"string"}}}}}}}}}}}"##;
        let spec = Spec::parse("a", data).expect("a document");
        let operation = &spec.operations()[0];
        assert_eq!((operation.name.as_str(), operation.key.as_str()), ("GET /a/{id}", "get /a/{}"));
    }
}
