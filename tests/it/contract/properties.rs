//! What holds for any two documents.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use spandrel::contract::{Change, Kind};

use super::{changes, document, told};

/// Small schemas that have much in common.
fn schemas() -> impl Strategy<Value = Value> {
    let size = |word: &'static str| prop::option::of(0_u64..3).prop_map(move |size| (word, size.map(Value::from)));
    let bound = |word: &'static str| prop::option::of(-1_i64..3).prop_map(move |bound| (word, bound.map(Value::from)));
    let made = |kind: &'static str, words: Vec<(&'static str, Option<Value>)>| {
        let mut schema = Map::from_iter([("type".to_owned(), json!(kind))]);
        schema.extend(words.into_iter().filter_map(|(word, value)| Some((word.to_owned(), value?))));
        Value::Object(schema)
    };
    let text = (size("minLength"), size("maxLength"), prop::option::of(prop::collection::btree_set("[ab]{0,2}", 1..4)))
        .prop_map(move |(least, most, values)| {
            made("string", vec![least, most, ("enum", values.map(|values| json!(values)))])
        });
    let number = (any::<bool>(), bound("minimum"), bound("maximum"), bound("exclusiveMinimum")).prop_map(
        move |(whole, least, most, above)| made(if whole { "integer" } else { "number" }, vec![least, most, above]),
    );
    let leaf = prop_oneof![4 => text, 4 => number, 1 => Just(json!({"type": "boolean"})), 1 => Just(json!({}))];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let list = (inner.clone(), size("minItems"), size("maxItems"), any::<bool>()).prop_map(
            move |(items, least, most, unique)| {
                made("array", vec![("items", Some(items)), least, most, ("uniqueItems", unique.then(|| json!(true)))])
            },
        );
        let object = (
            prop::collection::btree_map("[ab]", inner.clone(), 0..3),
            prop::collection::btree_set("[ab]", 0..2),
            prop_oneof![2 => Just(None), 1 => Just(Some(json!(false))), 1 => inner.clone().prop_map(Some)],
        )
            .prop_map(move |(properties, required, further)| {
                let words = vec![
                    ("properties", Some(json!(properties))),
                    ("required", Some(json!(required))),
                    ("additionalProperties", further),
                ];
                made("object", words)
            });
        let union = prop::collection::vec(inner, 1..4).prop_map(|branches| json!({"anyOf": branches}));
        prop_oneof![2 => list, 3 => object, 1 => union]
    })
}

/// Values of the same sort.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        "[ab]{0,3}".prop_map(Value::from),
        (-2_i64..4).prop_map(Value::from),
        Just(json!(0.5)),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from);
        prop_oneof![list, prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|members| json!(members))]
    })
}

/// A schema and what becomes of it when one of its parts is replaced.
fn pairs() -> impl Strategy<Value = (Value, Value)> {
    (schemas(), schemas(), any::<prop::sample::Index>()).prop_map(|(one, other, at)| {
        let mut places = Vec::new();
        collect(&one, String::new(), &mut places);
        let place = &places[at.index(places.len())];
        let mut changed = one.clone();
        if let Some(part) = changed.pointer_mut(place) {
            match (part.as_object_mut(), other) {
                // Most of what is said stays, so that the pair has something in common.
                (Some(part), Value::Object(other)) if part.get("type") == other.get("type") => part.extend(other),
                (_, other) => *changed.pointer_mut(place).unwrap() = other,
            }
        }
        (one, changed)
    })
}

/// Where the schemas inside a schema are.
fn collect(schema: &Value, here: String, found: &mut Vec<String>) {
    for word in ["items", "additionalProperties"] {
        if schema[word].is_object() {
            collect(&schema[word], format!("{here}/{word}"), found);
        }
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        collect(inner, format!("{here}/properties/{name}"), found);
    }
    for (index, inner) in schema["anyOf"].as_array().into_iter().flatten().enumerate() {
        collect(inner, format!("{here}/anyOf/{index}"), found);
    }
    found.push(here);
}

fn alone(schema: &Value) -> Value {
    document(schema, schema, &json!({}))
}

/// The same schema, in other words: through references, in an `allOf`, members the other way round.
fn rewritten(schema: &Value, components: &mut Map<String, Value>) -> Value {
    let inner = match schema {
        Value::Object(members) => {
            let mut turned: Vec<(String, Value)> = members
                .iter()
                .map(|(word, value)| {
                    let value = match (word.as_str(), value) {
                        ("items" | "additionalProperties", Value::Object(_)) => rewritten(value, components),
                        ("properties", Value::Object(properties)) => {
                            let turned: Vec<_> = properties
                                .iter()
                                .map(|(name, inner)| (name.clone(), rewritten(inner, components)))
                                .collect();
                            Value::Object(turned.into_iter().rev().collect())
                        }
                        ("anyOf", Value::Array(branches)) => {
                            branches.iter().rev().map(|branch| rewritten(branch, components)).collect()
                        }
                        _ => value.clone(),
                    };
                    (word.clone(), value)
                })
                .collect();
            turned.reverse();
            Value::Object(turned.into_iter().collect())
        }
        other => other.clone(),
    };
    let name = format!("S{}", components.len());
    let reference = json!({"$ref": format!("#/components/schemas/{name}")});
    components.insert(name, inner);
    if components.len().is_multiple_of(2) { reference } else { json!({"allOf": [reference]}) }
}

proptest! {
    #[test]
    fn a_document_compared_with_itself_is_clean(schema in schemas()) {
        prop_assert_eq!(told(&changes(&alone(&schema), &alone(&schema))), [""; 0]);
    }

    #[test]
    fn the_same_in_other_words_is_clean(schema in schemas()) {
        let mut components = Map::new();
        let other = rewritten(&schema, &mut components);
        let other = document(&other, &other, &json!({"schemas": components}));
        prop_assert_eq!(told(&changes(&alone(&schema), &other)), [""; 0]);
        prop_assert_eq!(told(&changes(&other, &alone(&schema))), [""; 0]);
    }

    #[test]
    fn what_is_a_change_there_is_a_change_back((one, other) in pairs()) {
        let there = changes(&alone(&one), &alone(&other));
        let back = changes(&alone(&other), &alone(&one));
        prop_assert_eq!(there.is_empty(), back.is_empty(), "{:?} {:?}", told(&there), told(&back));
    }

    /// What is not called breaking breaks nothing: a value that could be sent can be sent, one that comes could come. A
    /// name that is new may have been used before where any name was allowed: that is nobody's contract.
    #[test]
    fn nothing_breaks_silently((one, other) in pairs(), values in prop::collection::vec(values(), 40)) {
        let found = changes(&alone(&one), &alone(&other));
        let [before, after] = [&one, &other].map(|schema| jsonschema::validator_for(schema).unwrap());
        for (place, source, target) in [("request", &before, &after), ("response", &after, &before)] {
            let excused = |change: &Change| change.breaking || change.kind == Kind::Added;
            if found.iter().any(|change| excused(change) && change.place.starts_with(place)) {
                continue;
            }
            for value in values.iter().filter(|value| source.is_valid(value)) {
                prop_assert!(target.is_valid(value), "{} {}: {:?}", place, value, told(&found));
            }
        }
    }
}
