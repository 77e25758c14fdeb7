//! The generated document: committed, served, complete, and the published contract.

mod documentation;
mod published;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::flatten::operations;
use crate::support::views::Schemas;
use crate::support::{Server, contract, snap};

/// Properties that are known to have no description, to be removed from here when they get one.
const KNOWN: [&str; 0] = [];

/// A file of this repository.
fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Whether files are to be rewritten instead of compared.
fn bless() -> bool {
    std::env::var_os("SPANDREL_BLESS").is_some_and(|value| value == "1")
}

/// Calls `visit` with every node of a document and its JSON pointer.
fn walk(node: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(pointer, node);
    let mut step = |name: &str, child: &Value| {
        let name = name.replace('~', "~0").replace('/', "~1");
        walk(child, &format!("{pointer}/{name}"), visit);
    };
    match node {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, child)| step(&index.to_string(), child)),
        Value::Object(members) => members.iter().for_each(|(name, child)| step(name, child)),
        _ => {}
    }
}

/// What must not be said anywhere in the document, where it is.
fn places(wrong: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    walk(&contract().document, "", &mut |pointer, node| {
        if wrong(pointer, node) {
            found.push(pointer.to_owned());
        }
    });
    found
}

/// The components that a node leads to, over any number of references.
fn reached(node: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        walk(node, "", &mut |_, node| {
            if let Some(reference) = node["$ref"].as_str()
                && found.insert(reference.to_owned())
            {
                waiting.push(Schemas(&contract().document).target(reference));
            }
        });
    }
    found
}

fn said(node: &Value, keyword: &str) -> bool {
    node[keyword].as_str().is_some_and(|text| !text.trim().is_empty())
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let generated = spandrel::api::document().yaml();
    if bless() {
        std::fs::write(file("openapi.yaml"), &generated).unwrap();
    }
    let committed = std::fs::read_to_string(file("openapi.yaml")).unwrap();
    let first = committed.lines().zip(generated.lines()).position(|(left, right)| left != right);
    assert!(
        committed == generated,
        "openapi.yaml is not what the code generates (from line {}); rewrite it with\n    \
         SPANDREL_BLESS=1 cargo test --test it the_committed_document\nand look at the difference",
        first.unwrap_or_else(|| committed.lines().count().min(generated.lines().count())) + 1
    );
}

#[tokio::test]
async fn the_served_documents_are_the_generated_one() {
    let server = Server::start().await;
    let generated = spandrel::api::document();
    let special = regex::Regex::new(r"(?m) (=|\d{4}-\d{2}-\d{2}\S*)$").unwrap();
    for prefix in ["", "/api"] {
        let answer = server.api.get(&format!("{prefix}/openapi.json")).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(&answer.json(), generated.value());
        let answer = server.api.get(&format!("{prefix}/openapi.yaml")).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/yaml");
        assert_eq!(answer.text(), generated.yaml());
        let read: Value = yaml_serde::from_str(&answer.text()).unwrap();
        assert_eq!(&read, generated.value(), "YAML and JSON are one document");
        assert_eq!(special.find(&answer.text()), None, "YAML 1.1 has a meaning of its own for it");
    }
}

#[tokio::test]
async fn the_explorer_shows_the_served_document_and_needs_no_other_host() {
    let server = Server::start().await;
    let named = regex::Regex::new(r#"(?:src|href)="([^"]+)""#).unwrap();
    let address = regex::Regex::new(r#"url: "([^"]+)""#).unwrap();
    for prefix in ["", "/api"] {
        let page = reqwest::Url::parse(&format!("{}{prefix}/swagger-ui/", server.api.base)).unwrap();
        let answer = server.api.get(page.path()).await.expect(200);
        assert!(answer.header("content-type").starts_with("text/html"));
        let html = answer.text();
        let mut kinds = BTreeSet::new();
        for name in named.captures_iter(&html).filter(|name| !name[1].starts_with("data:")) {
            let asset = page.join(&name[1]).unwrap();
            assert_eq!(asset.host(), page.host(), "{asset}");
            let answer = server.api.get(asset.path()).await.expect(200);
            assert!(!answer.body.is_empty(), "{asset}");
            kinds.insert(asset.path().rsplit('.').next().unwrap().to_owned());
            if asset.path().ends_with("/index.js") {
                let script = answer.text();
                let document = page.join(&address.captures(&script).expect("an address in the script")[1]).unwrap();
                assert_eq!(document.path(), format!("{prefix}/openapi.json"));
                assert_eq!(document.host(), page.host());
            }
        }
        assert!(kinds.contains("js") && kinds.contains("css"), "{kinds:?}");
        assert!(html.contains("index.js"), "{html}");
    }
}

#[tokio::test]
async fn pages_may_load_nothing_from_elsewhere_and_run_nothing_inline() {
    let server = Server::start().await;
    for page in ["/", "/api/", "/swagger-ui/", "/api/swagger-ui/"] {
        let answer = server.api.get(page).await.expect(200);
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';"), "{page}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{page}: {policy}");
        let html = answer.text();
        assert!(!html.contains("<style") && !html.contains("style=") && !html.contains("<script>"), "{page}: {html}");
    }
    for (page, slash) in [("/swagger-ui", "/swagger-ui/"), ("/api/swagger-ui", "/api/swagger-ui/")] {
        let page = reqwest::Url::parse(&format!("{}{page}", server.api.base)).unwrap();
        let answer = server.api.get(page.path()).await.expect(303);
        assert_eq!(page.join(answer.header("location")).unwrap().path(), slash);
    }
    server.api.get("/swagger-ui/nothing.js").await.expect(404);
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = &contract().document;
    let dangling = places(|_, node| {
        node["$ref"]
            .as_str()
            .is_some_and(|target| target.strip_prefix('#').and_then(|pointer| document.pointer(pointer)).is_none())
    });
    assert_eq!(dangling, [""; 0], "references that lead nowhere");
    let used = reached(&document["paths"]);
    let unused: Vec<String> = document["components"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(section, named)| {
            named.as_object().unwrap().keys().map(move |name| format!("#/components/{section}/{name}"))
        })
        .filter(|component| !used.contains(component))
        .collect();
    assert_eq!(unused, [""; 0], "components that nothing refers to");
}

#[test]
fn every_operation_says_what_it_is() {
    let document = &contract().document;
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for (method, path, item, operation) in operations(document) {
        let mut ask = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{method} {path}: {what}"));
            }
        };
        ask(operation["operationId"].as_str().is_some_and(|id| ids.insert(id.to_owned())), "no operationId of its own");
        ask(said(operation, "summary"), "no summary");
        ask(said(operation, "description"), "no description");
        let own: Vec<&Value> = operation["tags"].as_array().into_iter().flatten().collect();
        ask(!own.is_empty() && own.iter().all(|tag| tags.contains(tag)), "no tag, or one that is not declared");
        let parameters = [item, operation].into_iter().filter_map(|node| node["parameters"].as_array()).flatten();
        let mut names = BTreeSet::new();
        for parameter in parameters.map(|parameter| Schemas(document).resolve(parameter)) {
            let is_new = names.insert((parameter["in"].to_string(), parameter["name"].to_string()));
            ask(is_new, &format!("parameter {}: described twice", parameter["name"]));
            ask(said(parameter, "description"), &format!("parameter {}: no description", parameter["name"]));
        }
        let responses = operation["responses"].as_object().unwrap();
        ask(!responses.is_empty(), "no response");
        for (status, response) in responses {
            let response = Schemas(document).resolve(response);
            ask(said(response, "description"), &format!("response {status}: no description"));
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                ask(said(header, "description"), &format!("response {status}, header {name}: no description"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(ids.len() >= 21, "{ids:?}");
    for tag in document["tags"].as_array().unwrap() {
        assert!(said(tag, "description"), "{tag}");
    }
}

#[test]
fn every_property_has_a_description() {
    let document = &contract().document;
    let is_property = regex::Regex::new(r"(^|/)properties/[^/]+$").unwrap();
    let mut seen = 0;
    let mut bare = Vec::new();
    walk(document, "", &mut |pointer, node| {
        if is_property.is_match(pointer) {
            seen += 1;
            if !said(node, "description") && !said(Schemas(document).resolve(node), "description") {
                bare.push(pointer.to_owned());
            }
        }
    });
    assert_eq!(bare, KNOWN, "properties without description, and those known to have none");
    assert!(seen > 100, "{seen}");
}

#[test]
fn no_form_is_used_that_readers_of_openapi_3_1_stumble_over() {
    assert!(contract().document["openapi"].as_str().unwrap().starts_with("3.1."));
    let kinds = |node: &Value, kind: &str| {
        node["type"] == kind || node["type"].as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
    };
    let none: [&str; 0] = [];
    assert_eq!(places(|_, node| node.is_null()), none, "a member that is null");
    assert_eq!(places(|_, node| kinds(node, "null")), none, "null: what is optional is absent");
    assert_eq!(places(|_, node| node["nullable"].is_boolean()), none, "nullable is OpenAPI 3.0");
    let bounds = ["exclusiveMinimum", "exclusiveMaximum"];
    assert_eq!(places(|_, node| bounds.iter().any(|word| node[*word].is_boolean())), none, "a bound that is a boolean");
    let bare_object = |node: &Value| {
        let said = ["properties", "additionalProperties", "allOf", "anyOf", "oneOf"];
        node["type"] == "object" && said.iter().all(|word| node.get(word).is_none())
    };
    // Any bytes: published so.
    let file = ["/paths/~1v1~1private~1attachment~1upload/put/requestBody/content/*~1*/schema"];
    assert_eq!(places(|_, node| bare_object(node)), file, "an object of nothing, as TypeScript generators read it");
}

/// Keywords of JSON Schema that OpenAPI 3.0 does not have, and those of OpenAPI that came with 3.1.
const NEWER: [&str; 28] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicRef",
    "$id",
    "$schema",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "jsonSchemaDialect",
    "maxContains",
    "minContains",
    "pathItems",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "webhooks",
    "identifier",
    "definitions",
];

#[tokio::test]
async fn the_rendition_for_older_tools_has_the_same_operations_and_nothing_newer() {
    let server = Server::start().await;
    let answer = server.api.get("/openapi-3.0.json").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let older = answer.json();
    assert_eq!(older["openapi"], "3.0.3");
    let named = |document: &Value| -> BTreeSet<String> {
        operations(document)
            .map(|(method, path, _, operation)| format!("{method} {path} {}", operation["operationId"]))
            .collect()
    };
    assert_eq!(named(&older), named(&contract().document));
    let schemas = |document: &Value| -> BTreeSet<String> {
        document["components"]["schemas"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(schemas(&older), schemas(&contract().document));
    let mut newer = Vec::new();
    walk(&older, "", &mut |pointer, node| {
        let Value::Object(members) = node else { return };
        // These hold names and data, not keywords.
        if ["/properties", "/schemas", "/examples", "/example", "/value"].iter().any(|end| pointer.ends_with(end)) {
            return;
        }
        let told = |what: &str| format!("{pointer}: {what}");
        newer.extend(NEWER.iter().filter(|keyword| members.contains_key(**keyword)).map(|keyword| told(keyword)));
        if members.contains_key("$ref") && members.len() > 1 {
            newer.push(told("a reference with something beside it"));
        }
        if members.get("type").is_some_and(|kind| kind.is_array() || kind == "null") {
            newer.push(told("a type that is a list, or null"));
        }
        if members.get("examples").is_some_and(Value::is_array) {
            newer.push(told("examples that are a list"));
        }
        let bounds = ["exclusiveMinimum", "exclusiveMaximum"];
        if bounds.iter().any(|bound| members.get(*bound).is_some_and(Value::is_number)) {
            newer.push(told("an exclusive bound that is a number"));
        }
    });
    assert_eq!(newer, [""; 0]);
}

#[test]
fn every_pattern_is_read_by_every_engine() {
    let patterns: BTreeSet<String> = {
        let mut found = BTreeSet::new();
        walk(&contract().document, "", &mut |_, node| found.extend(node["pattern"].as_str().map(str::to_owned)));
        found
    };
    assert!(!patterns.is_empty());
    for pattern in patterns {
        assert!(!pattern.contains("(?"), "{pattern}: flags and look-around are not read everywhere");
        regex::Regex::new(&pattern).unwrap();
        jsonschema::validator_for(&json!({"pattern": pattern})).unwrap();
    }
}

#[test]
fn no_authentication_is_asked_for() {
    assert_eq!(contract().document["security"], json!([]));
    assert_eq!(places(|pointer, node| pointer.ends_with("/security") && node.is_array()), ["/security"]);
}

#[test]
fn every_operation_is_described_as_it_was_accepted() {
    let document = &contract().document;
    let mut names = BTreeSet::new();
    for (method, path, _, operation) in operations(document) {
        let name = format!("document__{}", operation["operationId"].as_str().unwrap());
        let components = reached(operation);
        snap(&name, &json!({"address": format!("{method} {path}"), "operation": operation, "components": components}));
        names.insert(name);
    }
    let files = std::fs::read_dir(file("snapshots")).unwrap().map(|entry| entry.unwrap().file_name());
    let kept: BTreeSet<String> = files
        .filter_map(|name| name.to_str()?.strip_suffix(".snap").map(str::to_owned))
        .filter(|name| name.starts_with("document__"))
        .collect();
    assert_eq!(kept, names, "a snapshot of an operation that is no more");
}
