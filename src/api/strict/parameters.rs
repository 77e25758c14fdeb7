//! Parameters: told apart, decoded as the document says, and held to their schemas.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, Uri};
use serde_json::Value;

use super::schema::{Schema, Schemas};
use super::words::{Fault, unknown};
use crate::model::{ParameterPlace, Violation};

/// A documented parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    place: ParameterPlace,
    name: String,
    required: bool,
    form: Form,
    schema: Schema,
}

/// How a value is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Once, as it is.
    Single,
    /// A list: each item on its own.
    Repeated,
    /// A list: all items in one, with this between them.
    Separated(char),
}

impl Parameter {
    /// Of a node of the document, whose schema is compiled.
    pub(super) fn new(node: &Value, schema: Schema, schemas: &Schemas) -> Result<Self, String> {
        let name = node["name"].as_str().unwrap_or_default().to_owned();
        let place = match node["in"].as_str() {
            Some("path") => ParameterPlace::Path,
            Some("query") => ParameterPlace::Query,
            Some("header") => ParameterPlace::Header,
            place => return Err(format!("parameter {name} in {place:?} cannot be checked")),
        };
        let usual = if place == ParameterPlace::Query { "form" } else { "simple" };
        let style = node["style"].as_str().unwrap_or(usual);
        let kind = &schemas.resolve(&node["schema"])["type"];
        let form = match (kind.as_str(), style, node["explode"].as_bool().unwrap_or(style == "form")) {
            (Some("object"), ..) => return Err(format!("parameter {name}: objects cannot be checked")),
            (Some("array"), "form", true) => Form::Repeated,
            (Some("array"), "form" | "simple", _) => Form::Separated(','),
            (Some("array"), "spaceDelimited", false) => Form::Separated(' '),
            (Some("array"), "pipeDelimited", false) => Form::Separated('|'),
            (Some("array"), ..) => return Err(format!("parameter {name}: lists of style {style} cannot be checked")),
            _ => Form::Single,
        };
        Ok(Self { place, name, required: node["required"] == true, form, schema })
    }

    /// What is wrong with the values that came.
    fn faults(&self, values: &[&str], schemas: &Schemas) -> Vec<Fault> {
        let values: Vec<&str> = match (self.form, values) {
            (_, []) if self.required => return vec![Fault::missing()],
            (_, []) => return Vec::new(),
            (Form::Single, [_, _, ..]) => return vec![Fault::new(String::new(), "is given more than once")],
            (Form::Separated(separator), [all]) => all.split(separator).collect(),
            (_, values) => values.to_vec(),
        };
        let listed = |items: Vec<Cow<str>>| format!("[{}]", items.join(","));
        let written = |item: fn(&str) -> Cow<str>| match self.form {
            Form::Single => values.iter().map(|value| item(value)).collect(),
            Form::Repeated | Form::Separated(_) => listed(values.iter().map(|value| item(value)).collect()),
        };
        // In an address everything is a text; a schema may take it as one, or as what it looks like.
        let (plain, quoted) = (written(plain), written(quoted));
        let as_plain = schemas.faults(&self.schema, &plain);
        if as_plain.is_empty() || plain == quoted {
            return as_plain;
        }
        let as_text = schemas.faults(&self.schema, &quoted);
        let mistyped = |faults: &[Fault]| faults.iter().filter(|fault| fault.mistyped).count();
        if !as_text.is_empty() && mistyped(&as_plain) < mistyped(&as_text) { as_plain } else { as_text }
    }
}

/// A text as JSON of what it looks like.
fn plain(text: &str) -> Cow<'_, str> {
    let looks = matches!(serde_json::from_str(text), Ok(Value::Bool(_) | Value::Number(_)));
    if looks && text.trim_ascii() == text { Cow::Borrowed(text) } else { quoted(text) }
}

/// A text as a JSON string.
fn quoted(text: &str) -> Cow<'_, str> {
    Cow::Owned(Value::from(text).to_string())
}

/// What is wrong with the parameters of a request. A `closed` operation has no others.
pub(super) fn check(
    parameters: &[Parameter],
    uri: &Uri,
    headers: &HeaderMap,
    path: &[(&str, &str)],
    schemas: &Schemas,
    closed: bool,
) -> Vec<Violation> {
    let query: Vec<(Cow<str>, Cow<str>)> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect();
    let mut violations = Vec::new();
    for parameter in parameters {
        let header;
        let values: Vec<&str> = match parameter.place {
            ParameterPlace::Path => {
                path.iter().filter(|(name, _)| *name == parameter.name).map(|(_, value)| *value).collect()
            }
            ParameterPlace::Query => {
                query.iter().filter(|(name, _)| *name == parameter.name).map(|(_, value)| &**value).collect()
            }
            ParameterPlace::Header => {
                header = headers.get_all(&parameter.name).iter().map(HeaderValue::as_bytes);
                header.filter_map(|value| std::str::from_utf8(value).ok()).collect()
            }
        };
        let faults = parameter.faults(&values, schemas);
        violations.extend(faults.into_iter().map(|fault| fault.of_parameter(parameter.place, &parameter.name)));
    }
    if closed {
        let known: Vec<&str> = parameters
            .iter()
            .filter(|parameter| parameter.place == ParameterPlace::Query)
            .map(|parameter| parameter.name.as_str())
            .collect();
        for (name, _) in query.iter().filter(|(name, _)| !known.contains(&&**name)) {
            let fault = Fault::new(String::new(), unknown(name, &known));
            violations.push(fault.of_parameter(ParameterPlace::Query, name));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    /// What is wrong with a request, by the short texts.
    fn wrong(parameters: &Value, query: &str, headers: &[(&str, &str)], path: &[(&str, &str)]) -> Vec<String> {
        let numbers = json!({"type": "array", "items": {"type": "integer", "format": "int64"}, "maxItems": 2});
        let document = json!({
            "paths": {"/a": {"get": {"parameters": parameters}}},
            "components": {"schemas": {"Numbers": numbers}},
        });
        let schemas = Schemas::new(&document, false);
        let parameters = schemas.compiling(|compile| {
            let nodes = parameters.as_array().into_iter().flatten().enumerate();
            let one = |(index, node)| {
                Parameter::new(node, compile(&format!("/paths/~1a/get/parameters/{index}/schema"))?, &schemas)
            };
            nodes.map(one).collect::<Result<Vec<_>, _>>()
        });
        let mut request = Request::builder().uri(format!("/a?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("valid").into_parts();
        let violations = check(&parameters.expect("can be checked"), &parts.uri, &parts.headers, path, &schemas, false);
        violations.into_iter().map(|violation| violation.original).collect()
    }

    #[test]
    fn lists_are_read_as_their_style_says() {
        let numbers = json!({"$ref": "#/components/schemas/Numbers"});
        for (style, right, wrong_item, too_many) in [
            (json!({}), "n=1&n=2", "n=1&n=x", "n=1&n=2&n=3"),
            (json!({"explode": false}), "n=1,2", "n=1,x", "n=1,2,3"),
            (json!({"style": "spaceDelimited", "explode": false}), "n=1%202", "n=1+x", "n=1%202%203"),
            (json!({"style": "pipeDelimited", "explode": false}), "n=1|2", "n=1%7Cx", "n=1|2|3"),
        ] {
            let mut parameter = json!({"name": "n", "in": "query", "schema": numbers});
            parameter.as_object_mut().expect("an object").extend(style.as_object().expect("an object").clone());
            let parameters = json!([parameter]);
            let wrong = |query| wrong(&parameters, query, &[], &[]);
            assert_eq!(wrong(right), [""; 0], "{style}");
            assert_eq!(wrong("m=1"), [""; 0], "{style}");
            assert_eq!(wrong(wrong_item), [r#"query parameter n/1: expected an integer, found string "x""#], "{style}");
            assert_eq!(wrong(too_many), ["query parameter n: expected at most 2 items, found sequence"], "{style}");
        }
    }

    #[test]
    fn paths_and_headers_are_looked_into_too() {
        let parameters = json!([
            {"name": "ids", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/Numbers"}},
            {"name": "X-Count", "in": "header", "required": true, "schema": {"type": "integer", "minimum": 1}},
        ]);
        let path = [("ids", "1,9223372036854775807")];
        assert_eq!(wrong(&parameters, "", &[("x-count", "1")], &path), [""; 0]);
        assert_eq!(wrong(&parameters, "", &[], &path), ["header parameter X-Count is required"]);
        let wanted = [
            "path parameter ids/0: expected an integer of 64 bits, found integer `9223372036854775808`",
            "header parameter X-Count: expected at least 1, found integer `0`",
        ];
        assert_eq!(wrong(&parameters, "", &[("x-count", "0")], &[("ids", "9223372036854775808")]), wanted);
    }

    #[test]
    fn a_text_is_what_the_schema_takes_it_for() {
        let either = json!({"anyOf": [{"type": "integer"}, {"type": "string", "enum": ["all", "1.5"]}]});
        let parameters = json!([{"name": "n", "in": "query", "schema": either}]);
        for query in ["n=5", "n=all", "n=1.5"] {
            assert_eq!(wrong(&parameters, query, &[], &[]), [""; 0], "{query}");
        }
        for query in ["n=", "n=none", "n=true", "n=%205", "n=05", "n=null"] {
            assert_eq!(wrong(&parameters, query, &[], &[]).len(), 1, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_checked_is_told() {
        let schemas = Schemas::new(&json!({"paths": {"/a": {}}}), false);
        for (node, wanted) in [
            (json!({"name": "n", "in": "cookie"}), "cookie"),
            (json!({"name": "n", "in": "query", "schema": {"type": "object"}}), "objects cannot be checked"),
            (json!({"name": "n", "in": "path", "style": "matrix", "schema": {"type": "array"}}), "style matrix"),
        ] {
            let made = schemas.compiling(|compile| Parameter::new(&node, compile("/paths/~1a")?, &schemas));
            let said = made.expect_err("cannot be checked");
            assert!(said.contains(wanted), "{said}");
        }
    }
}
