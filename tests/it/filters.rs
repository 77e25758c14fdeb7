//! Filters, sorting and searching, held against a plain evaluation in memory.

pub(crate) mod evaluator;
mod spans;
mod traces;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use spandrel::filter::{Field, Kind, SPAN_FIELDS, TRACE_FIELDS};
use spandrel::model::Operator;

use crate::support::{Server, contract, fresh_id};
use evaluator::matches;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Of {
    Spans,
    Traces,
}

use Of::{Spans, Traces};

impl Of {
    fn path(self) -> &'static str {
        match self {
            Spans => "/v1/private/spans",
            Traces => "/v1/private/traces",
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Spans => &SPAN_FIELDS,
            Traces => &TRACE_FIELDS,
        }
    }
}

/// A server with the fixed spans or traces, and these as it shows them.
struct Fixed {
    server: Server,
    of: Of,
    all: Vec<Value>,
}

impl Fixed {
    async fn start(of: Of) -> Self {
        let server = Server::start().await;
        let count = match of {
            Spans => {
                spans::store(&server).await;
                spans::COUNT
            }
            Traces => {
                traces::store(&server).await;
                traces::COUNT
            }
        };
        let page = server.api.get(&format!("{}?project_name=fixed&size=1000", of.path())).await.expect(200).json();
        let all = page["content"].as_array().unwrap().clone();
        assert_eq!(all.len(), count);
        Self { server, of, all }
    }

    fn expected(&self, filters: &[Value]) -> BTreeSet<String> {
        let chosen = self.all.iter().filter(|one| filters.iter().all(|filter| matches(one, filter)));
        chosen.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }

    /// What the list, the search and the statistics choose.
    async fn chosen(&self, filters: &[Value]) -> [BTreeSet<String>; 2] {
        let (api, path) = (&self.server.api, self.of.path());
        let query = [("project_name", "fixed"), ("size", "1000"), ("filters", &json!(filters).to_string())];
        let page = api.send(api.request("GET", path).query(&query)).await.expect(200).json();
        let ids = |all: &[Value]| all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let listed: BTreeSet<String> = ids(page["content"].as_array().unwrap());
        assert_eq!(page["total"], listed.len(), "{filters:?}");
        let stats = api.send(api.request("GET", &format!("{path}/stats")).query(&query)).await.expect(200).json();
        let count = stats["stats"].as_array().unwrap().first().map_or(json!(0), |item| item["value"].clone());
        assert_eq!(count, listed.len(), "{filters:?}");
        let body = json!({"project_name": "fixed", "limit": 2000, "filters": filters});
        let answer = api.post(&format!("{path}/search"), &body).await.expect(200);
        let found: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        [listed, ids(&found)]
    }

    async fn check(&self, filters: &[Value]) {
        let expected = self.expected(filters);
        for chosen in self.chosen(filters).await {
            let names = |ids: &BTreeSet<String>| -> Vec<String> {
                let named = self.all.iter().filter(|one| ids.contains(one["id"].as_str().unwrap()));
                named.map(|one| one["name"].to_string()).collect()
            };
            assert_eq!(chosen, expected, "{filters:?} chose {:?}, not {:?}", names(&chosen), names(&expected));
        }
    }
}

/// Values, and keys, to ask about a field with. A field without any fails the test.
fn trials(field: &str) -> (Vec<&'static str>, Vec<&'static str>) {
    let texts =
        vec!["alpha", "ALPHA", "É", "é", "a%a", "a_pha", "100%", "100\\%", "' OR 1=1 --", "\"; DROP TABLE spans", "zz"];
    let numbers = vec!["0", "1", "-1.5", "0.5", "10", "2000.001", "785", "1.5"];
    let times = vec![
        "2024-01-15T09:30:00Z",
        "2024-01-15T10:30:00+01:00",
        "2024-01-15T09:30:00.000000001Z",
        "1970-01-01T00:00:00Z",
        "2200-01-01T00:00:00Z",
    ];
    let paths =
        vec!["k", "my-key", "two words", "\"two words\"", "n.m[1].x", "$.n.m[0]", "null", "nowhere", "é", "list[*]"];
    let none = Vec::new();
    match field {
        "id" | "trace_id" => (
            vec![
                "01a20204-c23a-7bad-84c4-1aba08155e01",
                "01A20204-C23A-7BAD-84C4-1ABA08155E01",
                "01a20204",
                "155e0_",
                "x",
            ],
            none,
        ),
        "name" | "model" | "provider" | "error_type" => (texts, none),
        "input" | "output" => (vec!["alpha", "ÉTÉ", "été", "\"k\"", "{\"k\":\"alpha\"}", "%k%", "zz"], none),
        "thread_id" => (vec!["alpha", "t-1", "T-1", "t_1", "t-", "zz"], none),
        "visibility_mode" => (vec!["default", "hidden", "default,hidden", "nope"], none),
        "guardrails" => (vec!["failed", "passed"], none),
        "annotation_queue_ids" | "experiment_id" | "experiment_ids" => {
            (vec!["01a20204-c23a-7bad-84c4-1aba08155e01", "01a2"], none)
        }
        "type" => (vec!["llm", "tool", "llm,tool", "unknown", "general, guardrail", "nope"], none),
        "environment" => (vec!["prod", "Prod", "prod,test", "zz"], none),
        "source" => (vec!["sdk", "experiment", "evaluator", "nope"], none),
        "start_time" | "end_time" | "created_at" | "last_updated_at" => (times, none),
        "total_estimated_cost"
        | "duration"
        | "ttft"
        | "llm_span_count"
        | "usage.total_tokens"
        | "usage.prompt_tokens"
        | "usage.completion_tokens" => (numbers, none),
        "input_json" | "output_json" | "metadata" => {
            (vec!["alpha", "ALPHA", "1.5", "2", "null", "true", "", "É", "a%"], paths)
        }
        "tags" => (vec!["alpha", "Alpha", "lph", "É", "%", "zz"], none),
        "feedback_scores" | "span_feedback_scores" => {
            (vec!["0.5", "1", "0.55", "-1e0", "0"], vec!["quality", "QUALITY", "other name", "zz"])
        }
        "error_info" => (vec![""], none),
        _ => (none.clone(), none),
    }
}

fn filter(field: &str, operator: Operator, key: Option<&str>, value: &str) -> Value {
    json!({"field": field, "operator": operator.name(), "key": key, "value": value})
}

/// Every field, operator, key and value of the table.
fn all(of: Of) -> Vec<(Kind, Operator, Value)> {
    let mut all = Vec::new();
    for field in of.fields() {
        let (values, keys) = trials(field.name);
        assert!(!values.is_empty(), "the field {} has no values in this test", field.name);
        let keys: Vec<Option<&str>> = if keys.is_empty() { vec![None] } else { keys.into_iter().map(Some).collect() };
        for operator in Operator::ALL {
            for key in &keys {
                for value in &values {
                    all.push((field.kind, operator, filter(field.name, operator, *key, value)));
                }
            }
        }
    }
    all
}

/// Whether the server takes a filter; what it refuses is told apart from what it finds nothing for.
fn taken(kind: Kind, operator: Operator, filter: &Value) -> bool {
    let value = filter["value"].as_str().unwrap();
    kind.operators().contains(&operator)
        && (operator.is_about_presence()
            || match kind {
                Kind::Dictionary => true,
                Kind::ErrorContainer => false,
                _ => !value.trim().is_empty(),
            })
}

#[tokio::test]
async fn every_field_and_operator_chooses_spans_as_a_plain_evaluation_does() {
    every_field_and_operator(Spans).await;
}

#[tokio::test]
async fn every_field_and_operator_chooses_traces_as_a_plain_evaluation_does() {
    every_field_and_operator(Traces).await;
}

async fn every_field_and_operator(of: Of) {
    let fixed = Fixed::start(of).await;
    let all = all(of);
    assert!(all.len() > 1_000, "only {} filters", all.len());
    let mut some = 0;
    for (kind, operator, filter) in &all {
        if taken(*kind, *operator, filter) {
            fixed.check(std::slice::from_ref(filter)).await;
            some += usize::from(!fixed.expected(std::slice::from_ref(filter)).is_empty());
        }
    }
    assert!(some > 300, "only {some} filters choose anything");
}

#[tokio::test]
async fn what_a_field_cannot_be_asked_is_refused_by_name() {
    for of in [Spans, Traces] {
        refuses(of).await;
    }
}

async fn refuses(of: Of) {
    let fixed = Fixed::start(of).await;
    let (api, path) = (&fixed.server.api, of.path());
    let mut refused = 0;
    for (kind, operator, filter) in all(of) {
        if taken(kind, operator, &filter) || refused > 400 {
            continue;
        }
        refused += 1;
        let query = [("project_name", "fixed"), ("filters", &json!([filter]).to_string())];
        let answer = api.send(api.request("GET", path).query(&query)).await.expect(400);
        let message = answer.errors().remove(0);
        if !kind.operators().contains(&operator) {
            let field = filter["field"].as_str().unwrap();
            let wanted =
                format!("Invalid operator '{}' for field '{field}' of type '{}'", operator.name(), kind.name());
            assert_eq!(message, wanted);
        }
        assert!(answer.pointers()[0].starts_with("/filters/0"), "{}", answer.text());
        assert!(answer.json()["details"].as_str().unwrap().contains("expected"), "{}", answer.text());
        let body = json!({"project_name": "fixed", "filters": [filter]});
        api.post(&format!("{path}/search"), &body).await.expect(400);
    }
    assert!(refused > 100, "only {refused}");
}

#[tokio::test]
async fn presence_needs_no_value() {
    for of in [Spans, Traces] {
        let fixed = Fixed::start(of).await;
        for value in [json!(null), json!("")] {
            for field in ["tags", "environment", "error_info"] {
                fixed.check(&[json!({"field": field, "operator": "is_empty", "value": value})]).await;
            }
        }
    }
}

/// The expressions of the SDKs' query language, as they compile them.
#[tokio::test]
async fn compiled_expressions_choose_what_a_plain_evaluation_does() {
    let spans = include_str!("../data/filters/oql.jsonl");
    assert!(compiled_expressions(Spans, spans).await > 40);
    // Most of what is asked of spans is asked of traces, too.
    let of_both = |case: &Value| {
        let fields: Vec<_> = case["filters"].as_array().unwrap().iter().map(|filter| &filter["field"]).collect();
        fields.iter().all(|name| **name == "custom" || TRACE_FIELDS.iter().any(|field| **name == field.name))
    };
    let alike: Vec<&str> = spans.lines().filter(|line| of_both(&serde_json::from_str(line).unwrap())).collect();
    assert!(compiled_expressions(Traces, &alike.join("\n")).await > 25);
    assert!(compiled_expressions(Traces, include_str!("../data/filters/oql-traces.jsonl")).await > 10);
}

/// How many of them are taken.
async fn compiled_expressions(of: Of, cases: &str) -> usize {
    let fixed = Fixed::start(of).await;
    let mut taken = 0;
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let filters = case["filters"].as_array().unwrap().clone();
        if case["accepted"] == true {
            fixed.check(&filters).await;
            taken += 1;
        } else {
            let body = json!({"project_name": "fixed", "filters": filters});
            let answer = fixed.server.api.post(&format!("{}/search", of.path()), &body).await;
            assert_eq!(answer.status, 400, "{case}: {}", answer.text());
        }
    }
    taken
}

/// Several filters must all hold.
#[test]
fn random_lists_of_filters_choose_what_a_plain_evaluation_does() {
    for of in [Spans, Traces] {
        random_lists(of);
    }
}

fn random_lists(of: Of) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let fixed = runtime.block_on(Fixed::start(of));
    let usable: Vec<Value> = all(of)
        .into_iter()
        .filter(|(kind, operator, filter)| taken(*kind, *operator, filter))
        .map(|(_, _, filter)| filter)
        .collect();
    let cases = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) };
    proptest!(cases, |(chosen in prop::collection::vec(0..usable.len(), 2..5))| {
        let filters: Vec<Value> = chosen.iter().map(|at| usable[*at].clone()).collect();
        runtime.block_on(fixed.check(&filters));
    });
}

#[tokio::test]
async fn letters_are_found_in_either_case_however_that_is_spelled() {
    // The Kelvin sign and the dotted capital I are letters of ASCII in lower case, the latter with a dot behind it.
    let texts = [
        "\u{212a}elvin",
        "kelvin",
        "D\u{130}YAR",
        "diyar",
        "x\u{130}y",
        "xiy",
        "xi\u{307}y",
        "Stra\u{df}e",
        "STRASSE",
        "a/b",
        "a\"b",
        "a\\b",
        "100%",
        "a_b",
        "\u{c9}t\u{e9} A",
        "x\ty",
    ];
    let patterns = [
        "kelvin",
        "KELV",
        "\u{212a}",
        "diyar",
        "d_yar",
        "D\u{130}Y",
        "xiy",
        "xi_y",
        "xi%y",
        "x_y",
        "x__y",
        "i\u{307}",
        "stra%e",
        "stra\u{df}e",
        "a/B",
        "a\\\"b",
        "a\\\\b",
        "100\\%",
        "a\\_B",
        "\u{e9}T\u{c9}",
        "t\u{c9} a",
        "%",
        "ik",
        "x\\ty",
    ];
    let server = Server::start().await;
    let spans: Vec<Value> = texts
        .iter()
        .map(|text| {
            json!({"id": fresh_id(), "trace_id": fresh_id(), "project_name": "fixed", "name": text, "tags": [text],
                "start_time": "2024-01-15T09:30:00Z", "input": {"k": text}, "output": [text, "escaped"]})
        })
        .collect();
    // Some letters escaped, as some clients send them.
    let body = json!({"spans": spans}).to_string();
    let body = body.replace("\u{e9}", "\\u00e9").replace("elvin\",\"escaped", "\\u0065lvin\",\"escaped");
    server.api.raw("POST", "/v1/private/spans/batch", body).await.expect(204);
    let page = server.api.get("/v1/private/spans?project_name=fixed&size=1000").await.expect(200).json();
    let all = page["content"].as_array().unwrap().clone();
    assert_eq!(all.len(), texts.len());
    let fixed = Fixed { server, of: Spans, all };
    for pattern in patterns {
        for field in ["name", "tags", "input", "output"] {
            for operator in [Operator::Contains, Operator::NotContains] {
                fixed.check(&[filter(field, operator, None, pattern)]).await;
            }
        }
    }
}

#[test]
fn the_page_about_filters_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/filters.md");
    if std::env::var_os("SPANDREL_BLESS").is_some() {
        std::fs::write(path, spandrel::filter::page()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert_eq!(page, spandrel::filter::page(), "run the test with SPANDREL_BLESS=1 to write the page anew");
}

/// More items than a statement has parameters, and as many filters as may be.
#[tokio::test]
async fn many_items_and_many_filters_are_answered() {
    let fixed = Fixed::start(Spans).await;
    let items = (0..40_000).map(|number| format!("e{number}")).chain(["prod".to_owned()]).collect::<Vec<_>>().join(",");
    for (operator, absent) in [("in", false), ("not_in", true)] {
        let body = json!({"project_name": "fixed", "filters": [{"field": "environment", "operator": operator, "value": items}]});
        let answer = fixed.server.api.post("/v1/private/spans/search", &body).await.expect(200);
        assert_eq!(answer.text().contains(r#""environment":"""#), absent, "{operator}");
    }
    let many: Vec<Value> = (0..500)
        .map(|number| json!({"field": "feedback_scores", "operator": "!=", "key": format!("k{number}"), "value": "7"}))
        .collect();
    let body = json!({"project_name": "fixed", "filters": many});
    let answer = fixed.server.api.post("/v1/private/spans/search", &body).await.expect(200);
    assert_eq!(answer.text().lines().count(), 3);
}

/// A NUL ends no text: only what really ends with it matches.
#[tokio::test]
async fn a_nul_in_a_value_is_a_character() {
    let fixed = Fixed::start(Spans).await;
    for operator in ["starts_with", "ends_with"] {
        let body =
            json!({"project_name": "fixed", "filters": [{"field": "name", "operator": operator, "value": "\u{0}"}]});
        let answer = fixed.server.api.post("/v1/private/spans/search", &body).await.expect(200);
        assert!(answer.body.is_empty(), "{operator}: {}", answer.text());
    }
}

/// Each line of a search is a span as documented.
#[tokio::test]
async fn lines_of_a_search_are_spans() {
    let fixed = Fixed::start(Spans).await;
    let answer = fixed.server.api.post("/v1/private/spans/search", &json!({"project_name": "FIXED"})).await.expect(200);
    let validator = contract().validator("/components/schemas/Span_Public");
    let text = answer.text();
    assert!(text.ends_with("\r\n"));
    assert_eq!(text.matches("\r\n").count(), spans::COUNT);
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        assert!(validator.is_valid(&serde_json::from_str(line).unwrap()), "{line}");
    }
}
