//! `spandrel contract check`: every kind of change in both directions, what is no change, how it ends; and the document of
//! this program held against that of its previous release.

mod previous;
mod properties;

use serde_json::{Value, json};
use spandrel::contract::{Change, Kind, Spec, compare};

use crate::support::{Process, wait_for};

/// A document with one operation: a request and an answer of this schema.
fn document(request: &Value, response: &Value, components: &Value) -> Value {
    let content = |schema: &Value| json!({"application/json": {"schema": schema}});
    json!({"openapi": "3.1.0", "components": components, "paths": {"/a": {"post": {
        "operationId": "act",
        "requestBody": {"content": content(request)},
        "responses": {"200": {"content": content(response)}},
    }}}})
}

/// What a client that was made for `before` notices of `after`.
#[track_caller]
fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let [before, after] = [before, after].map(|document| Spec::new("a", document.clone()).unwrap());
    compare(&after, &before).unwrap().changes
}

fn parse(text: &str) -> Value {
    yaml_serde::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is told: the place, how, what, and whether it breaks.
fn told(changes: &[Change]) -> Vec<String> {
    let told = |change: &Change| {
        let kind = format!("{:?}", change.kind).to_lowercase();
        format!("{}{}: {} {kind}", if change.breaking { "! " } else { "" }, change.place, change.what)
    };
    changes.iter().map(told).collect()
}

/// What a schema says more than another: what it is called, the wider one, the narrower one.
const NARROWER: [(&str, &str, &str); 32] = [
    ("type", "{}", "{type: string}"),
    ("type", "{type: number}", "{type: integer}"),
    ("null", "{type: [string, 'null']}", "{type: string}"),
    ("null", "{type: string, nullable: true}", "{type: string}"),
    ("null", "{oneOf: [{type: string}, {type: 'null'}]}", "{type: string}"),
    ("null", "{type: string, enum: [a, null]}", "{type: string, enum: [a]}"),
    ("alternative", "{type: [string, boolean]}", "{type: string}"),
    ("alternative", "{anyOf: [{type: string}, {type: array, items: {type: string}}]}", "{type: string}"),
    ("enum", "{type: string}", "{type: string, enum: [a]}"),
    ("enum value", "{type: string, enum: [a, b]}", "{type: string, enum: [b]}"),
    ("enum value", "{enum: [a, b]}", "{const: b}"),
    ("format", "{type: string}", "{type: string, format: uuid}"),
    ("format", "{type: integer, format: int64}", "{type: integer, format: int32}"),
    ("format", "{type: number, format: double}", "{type: number, format: float}"),
    ("minLength", "{type: string}", "{type: string, minLength: 1}"),
    ("maxLength", "{type: string, maxLength: 9}", "{type: string, maxLength: 8}"),
    ("minItems", "{type: array}", "{type: array, minItems: 1}"),
    ("maxItems", "{type: array}", "{type: array, maxItems: 1000}"),
    ("minProperties", "{type: object}", "{type: object, minProperties: 1}"),
    ("maxProperties", "{type: object, maxProperties: 2}", "{type: object, maxProperties: 1}"),
    ("minimum", "{type: number, minimum: 0}", "{type: number, minimum: 0.5}"),
    ("minimum", "{type: number, minimum: 0}", "{type: number, exclusiveMinimum: 0}"),
    ("minimum", "{type: number, minimum: 0}", "{type: number, minimum: 0, exclusiveMinimum: true}"),
    ("maximum", "{type: number}", "{type: number, maximum: 1}"),
    ("pattern", "{type: string}", "{type: string, pattern: '^a'}"),
    ("uniqueItems", "{type: array}", "{type: array, uniqueItems: true}"),
    ("multipleOf", "{type: number, multipleOf: 2}", "{type: number, multipleOf: 4}"),
    ("not", "{type: string}", "{type: string, not: {const: a}}"),
    ("further members", "{type: object}", "{type: object, additionalProperties: false}"),
    ("type", "{type: object}", "{type: object, additionalProperties: {type: string}}"),
    (
        "further members",
        "{type: object, additionalProperties: {type: string}}",
        "{type: object, additionalProperties: false}",
    ),
    ("required", "{type: object, properties: {a: {}}}", "{type: object, properties: {a: {}}, required: [a]}"),
];

#[test]
fn less_in_a_request_and_more_in_an_answer_breaks_clients() {
    for (what, wide, narrow) in NARROWER {
        let (wide, narrow) = (parse(wide), parse(narrow));
        let none = json!({});
        for (before, after, request_breaks) in [(&wide, &narrow, true), (&narrow, &wide, false)] {
            let found = changes(&document(before, before, &none), &document(after, after, &none));
            let kind = if request_breaks { Kind::Narrower } else { Kind::Wider };
            let places: Vec<_> =
                found.iter().map(|change| (change.place.split(' ').next().unwrap(), change.breaking)).collect();
            assert_eq!(places, [("request", request_breaks), ("response", !request_breaks)], "{before} {after}");
            for change in &found {
                assert_eq!((change.what.as_str(), change.kind), (what, kind), "{before} {after}");
            }
        }
    }
}

#[test]
fn what_is_found_inside_is_told_with_the_way_to_it() {
    for (wrap, path) in [
        (r#"{"type":"array","items":IT}"#, "[]"),
        (r#"{"type":"object","properties":{"a":IT}}"#, ".a"),
        (r#"{"type":"object","additionalProperties":IT}"#, ".*"),
        (r#"{"type":"array","items":{"type":"object","properties":{"a":{"type":"array","items":IT}}}}"#, "[].a[]"),
        (r#"{"anyOf":[{"type":"boolean"},IT]}"#, "<string>"),
        (r#"{"allOf":[{"type":"object","properties":{"b":{}}},{"properties":{"a":IT}}]}"#, ".a"),
    ] {
        let [before, after] = [r#"{"type":"string"}"#, r#"{"type":"string","maxLength":1}"#]
            .map(|it| document(&parse(&wrap.replace("IT", it)), &json!({}), &json!({})));
        assert_eq!(
            told(&changes(&before, &after)),
            [format!("! request application/json {path}: maxLength narrower")],
            "{wrap}"
        );
    }
}

#[test]
fn what_is_neither_wider_nor_narrower_breaks_clients_both_ways() {
    for (what, one, other) in [
        ("type", "{type: string}", "{type: boolean}"),
        ("format", "{type: string, format: uuid}", "{type: string, format: date}"),
        ("pattern", "{type: string, pattern: a}", "{type: string, pattern: b}"),
        ("multipleOf", "{type: number, multipleOf: 2}", "{type: number, multipleOf: 3}"),
        (
            "patternProperties",
            "{type: object, patternProperties: {a: {}}}",
            "{type: object, patternProperties: {b: {}}}",
        ),
    ] {
        for (before, after) in [(one, other), (other, one)] {
            let [before, after] = [before, after].map(|text| document(&parse(text), &parse(text), &json!({})));
            let wanted = ["request", "response 200"].map(|place| format!("! {place} application/json: {what} changed"));
            assert_eq!(told(&changes(&before, &after)), wanted, "{one} {other}");
        }
    }
}

/// An operation before and after, and what is told one way and the other.
const OPERATIONS: [(&str, &str, &[&str], &[&str]); 24] = [
    (
        "parameters: [{in: query, name: a}]",
        "{}",
        &["! parameter query a: parameter missing"],
        &["parameter query a: parameter added"],
    ),
    (
        "parameters: [{in: query, name: a, required: true}]",
        "{}",
        &["! parameter query a: parameter missing"],
        &["! parameter query a: required parameter narrower"],
    ),
    (
        "parameters: [{in: query, name: a}]",
        "parameters: [{in: query, name: a, required: true}]",
        &["! parameter query a: required narrower"],
        &["parameter query a: required wider"],
    ),
    (
        "parameters: [{in: query, name: a, schema: {type: array}}]",
        "parameters: [{in: query, name: a, explode: false, schema: {type: array}}]",
        &["! parameter query a: explode changed"],
        &["! parameter query a: explode changed"],
    ),
    (
        "parameters: [{in: query, name: a, schema: {type: string}}]",
        "parameters: [{in: query, name: a, schema: {type: integer}}]",
        &["! parameter query a: type changed"],
        &["! parameter query a: type changed"],
    ),
    (
        "parameters: [{in: query, name: a, schema: {default: 1}}]",
        "parameters: [{in: query, name: a, schema: {default: 2}}]",
        &["! parameter query a: default changed"],
        &["! parameter query a: default changed"],
    ),
    (
        "parameters: [{in: query, name: a, schema: {default: 1}}]",
        "parameters: [{in: query, name: a, schema: {}}]",
        &["parameter query a: default changed"],
        &["parameter query a: default changed"],
    ),
    (
        "parameters: [{in: header, name: A-B}]",
        "parameters: [{in: header, name: a-b}, {in: cookie, name: c}]",
        &["parameter cookie c: parameter added"],
        &["! parameter cookie c: parameter missing"],
    ),
    ("requestBody: {}", "{}", &["! request: body missing"], &["request: body added"]),
    ("requestBody: {required: true}", "{}", &["! request: body missing"], &["! request: required body narrower"]),
    (
        "requestBody: {}",
        "requestBody: {required: true}",
        &["! request: required narrower"],
        &["request: required wider"],
    ),
    (
        "requestBody: {content: {a/b: {}, c/d: {}}}",
        "requestBody: {content: {A/B;charset=utf-8: {}}}",
        &["! request c/d: media type missing"],
        &["request c/d: media type added"],
    ),
    (
        "requestBody: {content: {a/b: {}}}",
        "requestBody: {content: {a/*: {}}}",
        &["request a/*: media type added"],
        &["! request a/*: media type missing"],
    ),
    (
        "requestBody: {content: {a/b: {schema: {type: object, properties: {a: {}, b: {}}}}}}",
        "requestBody: {content: {a/b: {schema: {type: object, properties: {a: {}}}}}}",
        &["! request a/b .b: property missing"],
        &["request a/b .b: property added"],
    ),
    (
        "requestBody: {content: {a/b: {schema: {type: object, properties: {a: {}}}}}}",
        "requestBody: {content: {a/b: {schema: {type: object, properties: {a: {}, b: {}}, required: [b]}}}}",
        &["! request a/b .b: required property narrower"],
        &["! request a/b .b: property missing"],
    ),
    (
        "requestBody: {content: {a/b: {schema: {type: object, properties: {a: {}}}}}}",
        "requestBody: {content: {a/b: {schema: {type: object, properties: {a: {readOnly: true}}}}}}",
        &["! request a/b .a: property missing"],
        &["request a/b .a: property added"],
    ),
    (
        "responses: {'200': {}, '404': {}}",
        "responses: {'200': {}}",
        &["! response 404: response missing"],
        &["response 404: response added"],
    ),
    (
        "responses: {'200': {}}",
        "responses: {'200': {}, '202': {}}",
        &["! response 202: response wider"],
        &["! response 202: response missing"],
    ),
    // A range and the default stand for what they cover.
    (
        "responses: {'200': {}, '404': {}, '422': {}}",
        "responses: {'200': {}, '4XX': {}}",
        &["response 4XX: response added"],
        &["! response 4XX: response missing"],
    ),
    (
        "responses: {'200': {}, '404': {content: {a/b: {}}}, default: {}}",
        "responses: {'200': {}, default: {}}",
        &["! response 404 a/b: media type missing"],
        &["response 404 a/b: media type added"],
    ),
    (
        "responses: {'200': {content: {a/b: {schema: {type: object, properties: {a: {}, b: {}}, required: [a, b]}}}}}",
        "responses: {'200': {content: {a/b: {schema: {type: object, properties: {a: {}}}}}}}",
        &["! response 200 a/b .a: required wider", "! response 200 a/b .b: property missing"],
        &["response 200 a/b .a: required narrower", "response 200 a/b .b: property added"],
    ),
    (
        "responses: {'200': {headers: {A: {required: true}, B: {}}}}",
        "responses: {'200': {headers: {a: {}}}}",
        &["! response 200 header A: required wider", "! response 200 header B: header missing"],
        &["response 200 header a: required narrower", "response 200 header B: header added"],
    ),
    ("security: [{}]", "security: [{key: []}]", &["! operation: security narrower"], &[]),
    ("operationId: a", "operationId: b", &["operation: operationId changed"], &["operation: operationId changed"]),
];

#[test]
fn operations_are_compared_part_by_part() {
    for (one, other, there, back) in OPERATIONS {
        let [one, other] = [one, other].map(|node| json!({"openapi": "3.0.3", "paths": {"/a": {"get": parse(node)}}}));
        assert_eq!(told(&changes(&one, &other)), there, "{one} {other}");
        assert_eq!(told(&changes(&other, &one)), back, "{other} {one}");
    }
}

#[test]
fn operations_that_go_move_and_come_are_told() {
    let document = |paths: &str| json!({"openapi": "3.1.1", "paths": parse(paths)});
    let before =
        document("{/a: {get: {operationId: a}}, /b: {get: {operationId: b}}, '/c/{id}': {get: {operationId: c}}}");
    let after =
        document("{/a2: {get: {operationId: a}}, /b: {put: {operationId: d}}, '/c/{name}': {get: {operationId: c}}}");
    let found = changes(&before, &after);
    let shown: Vec<_> = found
        .iter()
        .map(|change| (change.operation.as_str(), change.address.as_str(), change.kind, change.breaking))
        .collect();
    assert_eq!(
        shown,
        [
            ("a", "GET /a", Kind::Missing, true),
            ("b", "GET /b", Kind::Missing, true),
            ("a", "GET /a2", Kind::Added, false),
            ("d", "PUT /b", Kind::Added, false),
        ]
    );
    assert_eq!(found[0].after, Some(json!("GET /a2")), "where it is now");
}

/// Schemas that say the same in different words.
#[test]
fn what_says_the_same_is_no_change() {
    let components = json!({"schemas": {
        "Name": {"type": "string", "maxLength": 3},
        "Named": {"type": "object", "properties": {"name": {"$ref": "#/components/schemas/Name"}}},
        "Cat": {"type": "object", "properties": {"kind": {"type": "string"}, "lives": {"type": "integer"}}},
        "Dog": {"type": "object", "properties": {"kind": {"type": "string"}}},
        "Pet": {"type": "object", "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat", "dog": "#/components/schemas/Dog"}}},
        "Tree": {"type": "object", "properties": {"leaf": {"$ref": "#/components/schemas/Tree"}, "name": {"type": "string", "maxLength": 3}}},
        "Knot": {"allOf": [{"$ref": "#/components/schemas/Tree"}, {"properties": {"leaf": {"$ref": "#/components/schemas/Knot"}}}]},
    }});
    for (one, other) in [
        ("{$ref: '#/components/schemas/Name'}", "{maxLength: 3, type: string, description: a}"),
        ("{allOf: [{$ref: '#/components/schemas/Name'}]}", "{type: [string], maxLength: 3, minLength: 0}"),
        ("{type: [string, 'null']}", "{nullable: true, type: string}"),
        ("{type: [string, integer]}", "{oneOf: [{type: integer}, {type: string}]}"),
        ("{anyOf: [{const: a}, {const: b}]}", "{type: string, enum: [b, a]}"),
        ("{type: number, exclusiveMinimum: 1}", "{type: number, minimum: 1, exclusiveMinimum: true}"),
        ("{type: number, exclusiveMinimum: false}", "{type: number}"),
        ("{type: string, pattern: '(?s)^.[.]\\.'}", "{type: string, pattern: '^[\\s\\S][.]\\.'}"),
        ("{type: object, additionalProperties: {}}", "{type: object}"),
        ("{type: object, properties: {a: {}, b: {}}}", "{properties: {b: {}, a: {}}, additionalProperties: true}"),
        ("{allOf: [{type: string, maxLength: 9}, {maxLength: 3}]}", "{type: string, maxLength: 3}"),
        (
            "{$ref: '#/components/schemas/Named'}",
            "{type: object, properties: {name: {$ref: '#/components/schemas/Name'}}}",
        ),
        (
            "{$ref: '#/components/schemas/Pet'}",
            "{oneOf: [{properties: {kind: {const: dog}}}, {properties: {kind: {const: cat}, lives: {type: integer}}}]}",
        ),
        (
            "{$ref: '#/components/schemas/Tree'}",
            "{type: object, properties: {leaf: {$ref: '#/components/schemas/Tree'}, name: {$ref: '#/components/schemas/Name'}}}",
        ),
        ("{$ref: '#/components/schemas/Knot'}", "{$ref: '#/components/schemas/Tree'}"),
    ] {
        let [left, right] = [one, other].map(|text| document(&parse(text), &parse(text), &components));
        assert_eq!(told(&changes(&left, &right)), [""; 0], "{one} {other}");
        assert_eq!(told(&changes(&right, &left)), [""; 0], "{other} {one}");
    }
}

#[test]
fn a_change_deep_in_a_schema_that_holds_itself_is_found_once() {
    let components = |most: u32| {
        let tree = json!({"type": "object", "properties": {
            "leaves": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}},
            "name": {"type": "string", "maxLength": most},
        }});
        json!({"schemas": {"Tree": tree}})
    };
    let tree = json!({"$ref": "#/components/schemas/Tree"});
    let found = changes(&document(&tree, &json!({}), &components(3)), &document(&tree, &json!({}), &components(2)));
    assert_eq!(told(&found), ["! request application/json .name: maxLength narrower"]);
}

#[test]
fn schemas_that_are_too_intricate_are_told() {
    let many =
        |count: usize| -> Vec<Value> { (0..count).map(|size| json!({"type": "string", "maxLength": size})).collect() };
    let wide = json!({"allOf": [{"anyOf": many(50)}, {"anyOf": many(50)}]});
    let chain: serde_json::Map<String, Value> = (0..100)
        .map(|step| (format!("S{step}"), json!({"$ref": format!("#/components/schemas/S{}", step + 1)})))
        .chain([("S100".to_owned(), json!({"type": "string"}))])
        .collect();
    let long = json!({"$ref": "#/components/schemas/S0"});
    for schema in [wide, long] {
        let components = json!({"schemas": chain.clone()});
        let [one, other] =
            [schema, json!({})].map(|schema| Spec::new("a", document(&schema, &json!({}), &components)).unwrap());
        let told = compare(&one, &other).unwrap_err();
        assert!(told.contains("2000 alternatives") && told.contains("64 references"), "{told}");
    }
}

/// Runs `spandrel contract check` to its end: the exit code, what it printed, and what it complained of.
fn check(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Process::run(&[&["contract", "check"], arguments].concat(), &[]);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");

#[test]
fn the_exit_code_says_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut document = spandrel::api::document().value().clone();
        change(&mut document);
        let file = folder.path().join(name);
        std::fs::write(&file, document.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (code, out, _) = check(&[COMMITTED]);
    assert_eq!(code, Some(0));
    assert!(out.ends_with(" compared with this program's document: 0 breaking changes, 0 others\n"), "{out}");

    let less = file("less.json", &|document| {
        document["paths"]["/v1/private/spans"]["post"]["responses"].as_object_mut().unwrap().remove("409");
        document["components"]["schemas"]["Span_Write"]["properties"]["extra"] = json!({"type": "string"});
    });
    let (code, out, _) = check(&[&less]);
    assert_eq!(code, Some(0), "the default has the same form: {out}");
    assert!(
        out.contains(
            "createSpan (POST /v1/private/spans)\n  compatible  request application/json .extra: property added\n"
        ),
        "{out}"
    );
    let (code, out, _) = check(&[COMMITTED, "--against", &less, "--json"]);
    assert_eq!(code, Some(1), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["checked"], &report["against"]), (&json!(COMMITTED), &json!(less)));
    let wanted = json!({
        "operation": "createSpan",
        "address": "POST /v1/private/spans",
        "place": "request application/json .extra",
        "kind": "missing",
        "breaking": true,
        "what": "property",
    });
    assert!(report["changes"].as_array().unwrap().contains(&wanted), "{out}");
    assert_eq!(json!(report["changes"].as_array().unwrap().len()), report["breaking"]);
    let (_, out, _) = check(&[COMMITTED, "--against", &less]);
    assert!(out.contains("  BREAKING    request application/json .extra: property missing\n"), "{out}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (nothing, text) = (folder.path().join("nothing"), folder.path().join("text"));
    std::fs::write(&text, "Dear diary").unwrap();
    let closed = "http://127.0.0.1:1/openapi.json";
    for (arguments, wanted) in [
        (&[nothing.to_str().unwrap()][..], "nothing: No such file"),
        (&[text.to_str().unwrap()], "text: expected an OpenAPI document of version 3.0 or 3.1, found none"),
        (&[COMMITTED, "--against", text.to_str().unwrap()], "text: expected an OpenAPI document"),
        (&[COMMITTED, "--document-bytes-max", "100"], "larger than 100 bytes (--document-bytes-max)"),
        (&["https://example.com/a"], "curl -fsS https://example.com/a | spandrel contract check -"),
        (&["http://"], "http://: not an address"),
        (&[closed], "cannot connect"),
        (&["-"], "standard input: expected an OpenAPI document"),
    ] {
        let (code, out, complaint) = check(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(complaint.starts_with("spandrel: ") && complaint.contains(wanted), "{arguments:?}: {complaint}");
    }
    assert_eq!(check(&[]).0, Some(2));
}

#[test]
fn documents_are_read_from_servers_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::on_disk(folder.path());
    for name in ["openapi.json", "api/openapi.yaml", "openapi-3.0.json"] {
        let address = format!("{}/{name}", server.api.base);
        let (code, out, complaint) = check(&[&address, "--against", COMMITTED]);
        assert_eq!(code, Some(0), "{out}{complaint}");
        assert!(out.contains(": 0 breaking changes, 0 others"), "{name}: {out}");
        let (code, _, complaint) = check(&[&address, "--document-bytes-max", "1000"]);
        assert_eq!(code, Some(2));
        assert!(complaint.contains("larger than 1000 bytes"), "{complaint}");
    }
    let (code, _, complaint) = check(&[&format!("{}/swagger-ui", server.api.base)]);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("answered 303 See Other, which leads to swagger-ui/"), "{complaint}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", silent.local_addr().unwrap());
    let (code, _, complaint) = check(&[&address, "--document-seconds-max", "1"]);
    assert_eq!(code, Some(2));
    assert!(complaint.contains("no document in 1 s"), "{complaint}");
}

#[test]
fn a_document_comes_through_a_pipe() {
    let committed = std::fs::File::open(COMMITTED).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_spandrel"))
        .args(["contract", "check", "-"])
        .stdin(committed)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert!(wait_for(|| child.try_wait().unwrap()).success());
}
