//! Schemas of the document, made ready for the validator.

use std::cmp::Ordering;

use jsonschema::json::Node as _;
use jsonschema::paths::Location;
use jsonschema::{Draft, Keyword, Registry, RegistryBuilder, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::instance::{Instance, Patience, Text};
use super::number::Number;
use super::words::{Fault, faults};
use crate::api::problems::VIOLATIONS_TOLD_MAX;
use crate::model::{Id, Timestamp};

/// Under which address schemas are found.
const DOCUMENT: &str = "urn:spandrel:document";

/// Formats of numbers: the least and the greatest that they take, and their words.
const NUMBER_FORMATS: [(&str, &str, &str, &str); 4] = [
    ("int32", "-2147483648", "2147483647", "an integer of 32 bits"),
    ("int64", "-9223372036854775808", "9223372036854775807", "an integer of 64 bits"),
    ("float", "-3.4028235e38", "3.4028235e38", "a number of a magnitude below 3.5e38"),
    ("double", "-1.7976931348623157e308", "1.7976931348623157e308", "a number of a magnitude below 1.8e308"),
];

/// A keyword of ours: the library looks at formats of texts alone.
const NUMBER_FORMAT: &str = "numberFormat";

/// Errors after which no more are looked for. A branch of a union has errors of its own, so they are more than are told.
const ERRORS_MAX: usize = 4 * VIOLATIONS_TOLD_MAX;

/// What keeps schemas that contain themselves from being followed forever.
const DEPTH_MAX: usize = 32;

/// The document with what its schemas mean written out.
#[derive(Debug)]
pub(super) struct Schemas {
    document: Value,
}

/// What one place of a request is held to.
#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator<Text>,
}

impl Schemas {
    /// Of a document; `closed` ones list all members of the objects of which they list some.
    pub(super) fn new(document: &Value, closed: bool) -> Self {
        let mut prepared = document.clone();
        let prepare = |schema: &mut Value| prepare(schema, closed.then_some(document), 0);
        if let Some(schemas) = prepared.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
            schemas.values_mut().for_each(prepare);
        }
        let items = prepared.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
        for operation in items.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
            parameters.filter_map(|parameter| parameter.get_mut("schema")).for_each(prepare);
            let content = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
            for media in content.into_iter().flat_map(Map::values_mut) {
                if let Some(schema) = media.get_mut("schema") {
                    close(schema, closed.then_some(document));
                    prepare(schema);
                }
            }
        }
        Self { document: prepared }
    }

    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// Follows the `$ref` of a node, if it is one.
    pub(super) fn resolve<'a>(&'a self, node: &'a Value) -> &'a Value {
        target(node, &self.document).unwrap_or(node)
    }

    /// Hands `compile` over, which makes a validator for a place of the document, named by its JSON pointer.
    pub(super) fn compiling<R>(
        &self,
        work: impl FnOnce(&dyn Fn(&str) -> Result<Schema, String>) -> Result<R, String>,
    ) -> Result<R, String> {
        let registry = Registry::new().draft(Draft::Draft202012).add(DOCUMENT, &self.document);
        let registry = registry.and_then(RegistryBuilder::prepare).map_err(|error| error.to_string())?;
        let mut options = jsonschema::options_for::<Text>()
            .with_draft(Draft::Draft202012)
            .with_registry(&registry)
            .should_validate_formats(true)
            .with_format("uuid", |text: &str| text.parse::<Id>().is_ok())
            .with_format("date-time", |text: &str| text.parse::<Timestamp>().is_ok())
            .with_keyword(NUMBER_FORMAT, number_format);
        for (keyword, allowed, words) in BOUNDS {
            options = options.with_keyword(keyword, bound(allowed, words));
        }
        work(&|pointer| {
            // Templates of paths have braces, which an address may not have.
            let pointer = pointer.replace('{', "%7B").replace('}', "%7D");
            let validator = options.build(&json!({"$ref": format!("{DOCUMENT}#{pointer}")}));
            validator.map(|validator| Schema { validator }).map_err(|error| format!("{pointer}: {error}"))
        })
    }

    /// What is wrong with a JSON text. It must be valid JSON.
    pub(super) fn faults(&self, schema: &Schema, json: &str) -> Vec<Fault> {
        if schema.validator.is_valid(Instance::new(json, None)) {
            return Vec::new();
        }
        let patience = Patience::new(ERRORS_MAX);
        let found = faults(schema.validator.iter_errors(Instance::new(json, Some(&patience))), &self.document);
        if found.is_empty() { vec![Fault::new(String::new(), "is not as documented")] } else { found }
    }
}

/// What the `$ref` of a node points at.
fn target<'a>(node: &Value, document: &'a Value) -> Option<&'a Value> {
    document.pointer(node["$ref"].as_str()?.strip_prefix('#')?)
}

/// Parts of a schema that speak of the same value.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array()).flatten()
}

/// The members that a schema lists, wherever it does.
pub(super) fn listed<'a>(schema: &'a Value, document: &'a Value, depth: usize) -> Vec<&'a str> {
    if depth > DEPTH_MAX {
        return Vec::new();
    }
    let own = schema["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let others = parts(schema).chain(target(schema, document));
    own.chain(others.flat_map(|part| listed(part, document, depth + 1))).collect()
}

/// Writes out what a schema means: formats of numbers, and what is closed in a `closed` document.
fn prepare(schema: &mut Value, closed: Option<&Value>, depth: usize) {
    let Some(members) = schema.as_object_mut().filter(|_| depth < DEPTH_MAX) else { return };
    if let Some(format) = members.get("format").cloned()
        && NUMBER_FORMATS.iter().any(|(name, ..)| format == *name)
    {
        members.insert(NUMBER_FORMAT.to_owned(), format);
    }
    for (word, value) in members {
        let children: Vec<&mut Value> = match word.as_str() {
            "properties" => value.as_object_mut().into_iter().flat_map(Map::values_mut).collect(),
            "items" | "additionalProperties" => vec![value],
            "allOf" | "anyOf" | "oneOf" => {
                value.as_array_mut().into_iter().flatten().for_each(|part| prepare(part, closed, depth + 1));
                continue;
            }
            _ => continue,
        };
        for child in children {
            close(child, closed);
            prepare(child, closed, depth + 1);
        }
    }
}

/// Closes the schema of a value, unless it lists nothing.
fn close(schema: &mut Value, closed: Option<&Value>) {
    if closed.is_some_and(|document| !listed(schema, document, 0).is_empty())
        && let Some(members) = schema.as_object_mut()
    {
        members.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}

/// Comparisons of a number with a bound: the keyword, what may come out, and its words.
const BOUNDS: [(&str, &[Ordering], &str); 4] = [
    ("minimum", &[Ordering::Equal, Ordering::Greater], "at least"),
    ("maximum", &[Ordering::Equal, Ordering::Less], "at most"),
    ("exclusiveMinimum", &[Ordering::Greater], "more than"),
    ("exclusiveMaximum", &[Ordering::Less], "less than"),
];

/// Bounds of a number, to the last digit.
struct Bounds {
    all: Vec<(String, &'static [Ordering])>,
    wanted: String,
}

impl<'i> Keyword<'i, Text> for Bounds {
    fn validate(&self, instance: Instance<'i>) -> Result<(), ValidationError<'i>> {
        if Keyword::<Text>::is_valid(self, instance) {
            return Ok(());
        }
        Err(ValidationError::custom(self.wanted.clone()))
    }

    fn is_valid(&self, instance: Instance<'i>) -> bool {
        let keeps = |number: Number<'_>| {
            let mut bounds = self.all.iter();
            bounds.all(|(limit, allowed)| allowed.contains(&number.compare(Number(limit))))
        };
        instance.as_number().is_none_or(keeps)
    }
}

type Compiled<'a> = Result<Box<dyn for<'i> Keyword<'i, Text>>, ValidationError<'a>>;

fn bound(
    allowed: &'static [Ordering],
    words: &'static str,
) -> impl for<'a> Fn(&'a Map<String, Value>, &'a Value, Location) -> Compiled<'a> {
    move |_, value, _| {
        let limit = value.to_string();
        let wanted = format!("{words} {}", limit.trim_end_matches(".0"));
        Ok(Box::new(Bounds { all: vec![(limit, allowed)], wanted }))
    }
}

fn number_format<'a>(_: &'a Map<String, Value>, value: &'a Value, _: Location) -> Compiled<'a> {
    let [(_, at_least, _), (_, at_most, _), ..] = BOUNDS;
    let known = NUMBER_FORMATS.iter().find(|(name, ..)| value == name);
    let Some((_, low, high, wanted)) = known else { return Err(ValidationError::custom("not a format of numbers")) };
    let all = vec![((*low).to_owned(), at_least), ((*high).to_owned(), at_most)];
    Ok(Box::new(Bounds { all, wanted: (*wanted).to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places at which a document whose body is `A` finds fault with a JSON text.
    fn wrong(schemas: &Value, closed: bool, body: &str) -> Vec<String> {
        let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/A"}}});
        let document = json!({
            "paths": {"/a": {"post": {"requestBody": {"content": content}}}},
            "components": {"schemas": schemas},
        });
        let schemas = Schemas::new(&document, closed);
        let pointer = "/paths/~1a/post/requestBody/content/application~1json/schema";
        let schema = schemas.compiling(|compile| compile(pointer)).expect("a schema");
        schemas.faults(&schema, body).into_iter().map(|fault| format!("{} {}", fault.pointer, fault.message)).collect()
    }

    #[test]
    fn closed_looks_at_all_parts_of_a_schema() {
        let schemas = json!({
            "A": {"type": "object", "properties": {
                "whole": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"own": {"type": "string"}}}]},
                "either": {"oneOf": [{"$ref": "#/components/schemas/Base"}, {"type": "array", "items": {"$ref": "#/components/schemas/Base"}}]},
                "free": {"type": "object"},
                "map": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Base"}},
                "open": {"type": "object", "properties": {"a": {}}, "additionalProperties": true},
                "again": {"$ref": "#/components/schemas/A"},
            }},
            "Base": {"type": "object", "properties": {"base": {"type": "integer"}}},
        });
        let known = r#"{"whole":{"base":1,"own":"a"},"either":[{"base":1}],"free":{"x":1},"map":{"x":{"base":1}},
            "open":{"x":1},"again":{"either":{"base":1}}}"#;
        assert_eq!(wrong(&schemas, true, known), [""; 0]);
        let unknown = r#"{"whole":{"bse":1,"own":"a"},"map":{"x":{"own":1}},"again":{"again":{"x":1}},"fre":1}"#;
        assert_eq!(wrong(&schemas, false, unknown), [""; 0]);
        let mut found = wrong(&schemas, true, unknown);
        found.sort();
        let wanted = [
            "/again/again/x is not known",
            "/fre is not known; did you mean free?",
            "/map/x/own is not known",
            "/whole/bse is not known; did you mean base?",
        ];
        assert_eq!(found, wanted);
        assert_eq!(
            wrong(&schemas, true, r#"{"either":[{"bas":1}]}"#),
            ["/either/0/bas is not known; did you mean base?"]
        );
    }

    #[test]
    fn the_kind_that_an_object_says_it_is_of_is_what_it_is_held_to() {
        let kind = |name: &str, member: &str| {
            json!({"type": "object", "required": ["kind", member],
                "properties": {"kind": {"type": "string", "enum": [name]}, member: {"type": "integer"}}})
        };
        let either = json!([{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]);
        let mapping = json!({"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"});
        let schemas = json!({
            "A": {"oneOf": either, "discriminator": {"propertyName": "kind", "mapping": mapping}},
            "Cat": kind("cat", "lives"),
            "Dog": kind("dog", "bones"),
        });
        for (body, wanted) in [
            (r#"{"kind":"dog","bones":"a"}"#, "/bones expected an integer"),
            (r#"{"kind":"dog","lives":1}"#, "/bones is required"),
            (r#"{"kind":"cat"}"#, "/lives is required"),
            (r#"{"kind":"cow","lives":1}"#, "/kind expected cat or dog"),
            (r#"{"lives":1}"#, "/kind is required"),
            ("1", " expected an object"),
        ] {
            assert_eq!(wrong(&schemas, false, body), [wanted]);
        }
    }

    #[test]
    fn the_words_are_those_of_the_schema() {
        let schemas = json!({"A": {
            "type": ["object", "array"],
            "properties": {"f": {"type": "number", "format": "float"}, "n": {"exclusiveMinimum": 0.5}, "c": {"const": "x"}},
            "minItems": 2,
        }});
        for (body, wanted) in [
            ("1", " expected an array or an object".to_owned()),
            ("[1]", " expected at least 2 items".to_owned()),
            (r#"{"f":1e39}"#, "/f expected a number of a magnitude below 3.5e38".to_owned()),
            (r#"{"n":0.50}"#, "/n expected more than 0.5".to_owned()),
            (r#"{"c":"y"}"#, r#"/c expected "x""#.to_owned()),
        ] {
            assert_eq!(wrong(&schemas, false, body), [wanted]);
        }
    }
}
