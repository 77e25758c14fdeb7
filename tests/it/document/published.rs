//! The published contract, kept here as a table of plain facts, and what differs from it with the reason.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Value, json};

use super::{bless, file};
use crate::support::contract;
use crate::support::flatten::{COLUMN, differences, flatten, operation_of};

const TABLE: &str = "tests/data/contract/published.txt";
/// Its operations with the tags, in their order there.
const ORDER: &str = "tests/data/contract/order.txt";
const ACCEPTED: &str = "tests/data/contract/accepted.txt";

/// What the table is about: the operations with these tags, and these of others. Those that are not implemented are in it
/// as well, so that one that comes is compared.
const TAGS: [&str; 7] = [
    "Spans",
    "Traces",
    "Attachments",
    "Environments",
    "Feedback-definitions",
    "Service Toggles",
    "Workspace permissions",
];
const OPERATIONS: [&str; 22] = [
    "checkAccess",
    "createProject",
    "deleteProjectById",
    "deleteProjectsBatch",
    "deleteWorkspaceConfiguration",
    "findFeedbackScoreNamesByProjectIds",
    "findProjects",
    "findTokenUsageNames",
    "getProjectById",
    "getProjectKpiCards",
    "getProjectMetrics",
    "getProjectStats",
    "getRecentActivity",
    "getWorkspaceConfiguration",
    "getWorkspaceName",
    "getWorkspaceVersion",
    "isAlive",
    "projectsRedirect",
    "retrieveProject",
    "updateProject",
    "upsertWorkspaceConfiguration",
    "version",
];

const HEAD: &str = "\
# The published contract of the operations that are served: one fact a line.
# Not edited by hand. Made from the published document (as JSON) with
#   SPANDREL_PUBLISHED=published.json SPANDREL_BLESS=1 cargo test --test it the_table_is_what_the_published
";

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The lines of a data file that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The table as it is kept.
fn table() -> BTreeSet<String> {
    lines(&read(TABLE)).map(str::to_owned).collect()
}

/// The accepted differences: a pattern for the line, and the reason.
fn accepted() -> Vec<(Regex, String)> {
    let row = |line: &str| {
        let (pattern, reason) = line.rsplit_once(COLUMN).unwrap_or_else(|| panic!("no reason: {line}"));
        assert!(!reason.trim().is_empty(), "no reason: {line}");
        (Regex::new(&format!("^(?:{})$", pattern.trim())).unwrap(), reason.to_owned())
    };
    lines(&read(ACCEPTED)).map(row).collect()
}

/// How a document differs from the table.
fn all_differences(document: &Value) -> Vec<String> {
    differences(&flatten(document, |_, _| true), &table())
}

/// The same without what is accepted.
fn unaccepted(document: &Value) -> Vec<String> {
    let accepted = accepted();
    let mut found = all_differences(document);
    found.retain(|line| !accepted.iter().any(|(pattern, _)| pattern.is_match(line)));
    found
}

/// What a change to the generated document does to the comparison, beside what differs without the change. Looked at are
/// the operations that are named in `wanted`, all if it is empty: others may share the component that is changed.
#[track_caller]
fn assert_reported(change: impl FnOnce(&mut Value), wanted: &[&str]) {
    let mut document = contract().document.clone();
    change(&mut document);
    assert_ne!(document, contract().document, "nothing was changed");
    let name = |line: &str| operation_of(line).trim_start_matches(['-', '+', ' ']).to_owned();
    let named: BTreeSet<String> = wanted.iter().map(|line| name(line)).collect();
    let standing = unaccepted(&contract().document);
    let mut found = unaccepted(&document);
    found.retain(|line| !standing.contains(line) && (named.is_empty() || named.contains(&name(line))));
    assert_eq!(found, wanted);
}

/// A node of the document that must be there.
#[track_caller]
fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"))
}

#[track_caller]
fn remove(document: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    at(document, parent).as_object_mut().unwrap().remove(name).unwrap_or_else(|| panic!("nothing at {pointer}"));
}

/// The operations with each tag, in the order in which they stand in a document.
fn order(document: &Value) -> Vec<String> {
    let items = document["paths"].as_object().unwrap().values();
    let operations: Vec<&Value> =
        items.filter_map(Value::as_object).flat_map(|item| item.values()).filter(|one| one.is_object()).collect();
    let of_tag = |tag: &&str| {
        let tag = json!(tag);
        let tagged =
            operations.iter().filter(move |one| one["tags"].as_array().is_some_and(|tags| tags.contains(&tag)));
        tagged.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    TAGS.iter().flat_map(of_tag).collect()
}

#[test]
fn operations_stand_in_the_order_of_the_published_document() {
    let ours = order(&contract().document);
    let published = read(ORDER);
    // Those that are not implemented are in it as well.
    assert_eq!(ours, lines(&published).filter(|id| ours.iter().any(|own| own == id)).collect::<Vec<_>>());
}

/// With `SPANDREL_PUBLISHED` naming the published document, compares or, with `SPANDREL_BLESS=1`, rewrites the table.
#[test]
fn the_table_is_what_the_published_document_says() {
    if let Some(path) = std::env::var_os("SPANDREL_PUBLISHED") {
        let text = std::fs::read_to_string(&path).unwrap();
        let published: Value = serde_json::from_str(&text).unwrap();
        let facts =
            flatten(&published, |id, tags| TAGS.iter().any(|tag| tags.contains(tag)) || OPERATIONS.contains(&id));
        if bless() {
            let lines: Vec<&str> = facts.iter().map(String::as_str).collect();
            std::fs::write(file(TABLE), format!("{HEAD}{}\n", lines.join("\n"))).unwrap();
            std::fs::write(file(ORDER), order(&published).join("\n") + "\n").unwrap();
        }
        assert_eq!(order(&published), lines(&read(ORDER)).collect::<Vec<_>>(), "{ORDER}");
        let kept = table();
        let changed: Vec<&String> = facts.symmetric_difference(&kept).collect();
        assert!(changed.is_empty(), "{TABLE} is not what this document says: {changed:#?}");
    }
    let kept = read(TABLE);
    assert!(kept.starts_with(HEAD), "{TABLE} does not say how it is made");
    assert!(lines(&kept).is_sorted(), "{TABLE} is not sorted");
    let operations: BTreeSet<&str> = lines(&kept).map(operation_of).collect();
    assert_eq!(operations.len(), 94, "{operations:?}");
}

#[test]
fn the_document_is_the_published_contract_but_for_what_is_accepted() {
    let found = unaccepted(&contract().document);
    assert!(
        found.is_empty(),
        "the document differs from the published contract (- only there, + only here); make it the same, or add the \
         line with a reason to {ACCEPTED}:\n{}",
        found.join("\n")
    );
}

#[test]
fn every_accepted_difference_is_there() {
    let found = all_differences(&contract().document);
    for (pattern, reason) in accepted() {
        assert!(found.iter().any(|line| pattern.is_match(line)), "{ACCEPTED}: nothing is like {pattern} ({reason})");
    }
}

#[test]
fn most_of_the_contract_is_compared() {
    let ours = flatten(&contract().document, |_, _| true);
    let same = table().intersection(&ours).count();
    assert!(same > 1_500, "only {same} lines of {TABLE} are in the document");
}

#[test]
fn a_status_that_is_gone_is_reported() {
    assert_reported(
        |document| remove(document, "/paths/~1v1~1private~1spans/post/responses/201"),
        &["- createSpan | response 201", "- createSpan | response 201 header Location | string required"],
    );
}

#[test]
fn a_success_that_is_new_is_reported_and_an_error_is_not() {
    let responses = "/paths/~1v1~1private~1spans~1batch/post/responses";
    assert_reported(
        |document| at(document, responses)["202"] = json!({"description": "Accepted"}),
        &["+ createSpans | response 202"],
    );
    assert_reported(|document| at(document, responses)["413"] = json!({"description": "Too large"}), &[]);
}

#[test]
fn a_narrower_or_missing_limit_is_reported() {
    let environment = "/components/schemas/Span_Write/properties/environment";
    assert_reported(
        |document| at(document, environment)["maxLength"] = json!(149),
        &[
            "- createSpan | request application/json | .environment | string maxLength=150",
            "- createSpans | request application/json | .spans[].environment | string maxLength=150",
            "+ createSpan | request application/json | .environment | string maxLength=149",
            "+ createSpans | request application/json | .spans[].environment | string maxLength=149",
        ],
    );
    assert_reported(
        |document| remove(document, "/components/schemas/SpanUpdate/properties/total_estimated_cost/minimum"),
        &[
            "- updateSpan | request application/json | .total_estimated_cost | number minimum=0",
            "+ updateSpan | request application/json | .total_estimated_cost | number",
        ],
    );
    assert_reported(
        |document| remove(document, "/components/schemas/SpanUpdate/properties/tags/uniqueItems"),
        &[
            "- updateSpan | request application/json | .tags | array maxItems=50 uniqueItems",
            "+ updateSpan | request application/json | .tags | array maxItems=50",
        ],
    );
}

#[test]
fn an_enum_value_that_is_gone_or_new_is_reported() {
    let values = "/components/schemas/SpanUpdate/properties/type/enum";
    assert_reported(
        |document| *at(document, values) = json!(["general", "tool", "llm"]),
        &["- updateSpan | request application/json | .type | enum \"guardrail\""],
    );
    assert_reported(
        |document| at(document, values).as_array_mut().unwrap().push(json!("agent")),
        &["+ updateSpan | request application/json | .type | enum \"agent\""],
    );
    assert_reported(|document| at(document, values).as_array_mut().unwrap().reverse(), &[]);
}

#[test]
fn a_property_that_becomes_required_or_optional_is_reported() {
    assert_reported(
        |document| at(document, "/components/schemas/SpanUpdate/required").as_array_mut().unwrap().push(json!("name")),
        &[
            "- updateSpan | request application/json | .name | string",
            "+ updateSpan | request application/json | .name | string required",
        ],
    );
    assert_reported(
        |document| remove(document, "/components/schemas/Span_Public/required"),
        &[
            "- getSpanById | response 200 application/json | .start_time | string date-time required",
            "+ getSpanById | response 200 application/json | .start_time | string date-time",
        ],
    );
}

#[test]
fn another_format_or_type_is_reported() {
    assert_reported(
        |document| at(document, "/components/schemas/ErrorMessage/properties/code")["format"] = json!("int64"),
        &[
            "- createSpan | response 409 application/json | .code | integer int32",
            "+ createSpan | response 409 application/json | .code | integer int64",
            "+ getSpanById | response 404 application/json | .code | integer int64",
            "+ updateSpan | response 404 application/json | .code | integer int64",
        ],
    );
    assert_reported(
        |document| at(document, "/components/schemas/SpanUpdate/properties/name")["type"] = json!(["string", "null"]),
        &[
            "- updateSpan | request application/json | .name | string",
            "+ updateSpan | request application/json | .name | string nullable",
        ],
    );
}

#[test]
fn a_property_that_is_gone_or_new_is_reported() {
    assert_reported(
        |document| remove(document, "/components/schemas/Span_Public/properties/duration"),
        &["- getSpanById | response 200 application/json | .duration | number double readOnly"],
    );
    assert_reported(
        |document| at(document, "/components/schemas/SpanUpdate/properties")["color"] = json!({"type": "string"}),
        &["+ updateSpan | request application/json | .color | string"],
    );
}

#[test]
fn a_changed_parameter_address_or_tag_is_reported() {
    let operation = "/paths/~1v1~1private~1spans~1{id}/get";
    assert_reported(
        |document| remove(document, &format!("{operation}/parameters/1/schema/default")),
        &[
            "- getSpanById | parameter query strip_attachments | boolean default=false",
            "+ getSpanById | parameter query strip_attachments | boolean",
        ],
    );
    assert_reported(
        |document| at(document, operation)["tags"] = json!(["Traces"]),
        &["- getSpanById | tag | Spans", "+ getSpanById | tag | Traces"],
    );
    assert_reported(
        |document| at(document, operation)["security"] = json!([{"key": []}]),
        &["+ getSpanById | security | [{\"key\":[]}]"],
    );
    assert_reported(
        |document| at(document, operation)["operationId"] = json!("readSpan"),
        &["+ readSpan | GET /v1/private/spans/{}"],
    );
}

#[test]
fn what_does_not_change_the_contract_is_no_difference() {
    let name = "/components/schemas/Span_Write/properties/name";
    for same in [
        json!({"type": ["string"]}),
        json!({"type": "string", "minLength": 0, "description": "?"}),
        json!({"allOf": [{"type": "string"}, {"title": "Name"}]}),
        json!({"oneOf": [{"type": "string"}]}),
    ] {
        assert_reported(|document| *at(document, name) = same, &[]);
    }
    let cost = "/components/schemas/Span_Write/properties/total_estimated_cost";
    for same in
        [json!({"type": "number", "minimum": 0.0}), json!({"type": "number", "minimum": 0, "exclusiveMinimum": false})]
    {
        let mut document = contract().document.clone();
        *at(&mut document, cost) = same;
        assert_eq!(unaccepted(&document), unaccepted(&contract().document));
    }
    let pattern = "/components/schemas/Span_Write/properties/project_name/pattern";
    assert_reported(|document| *at(document, pattern) = json!(r"(?s)^\s*(\S.*\S|\S)\s*$"), &[]);
}
