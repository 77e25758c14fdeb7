//! Every limit of the document, from just inside and just outside.
//!
//! The document is walked: for every place in every request body, and for every parameter, values just inside and just
//! outside of what it says are sent to a server. What is inside is taken; what is outside is refused with the place
//! named. Where it is otherwise on purpose, it stands in one of the lists below, and each row must be needed.

mod trials;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::flatten::operations;
use crate::support::views::Schemas;
use crate::support::{Answer, Api, Server, contract};
use trials::{Place, Setup, Trial, trials};

/// What the document forbids and the server takes all the same: a pattern for `operation place: sample`, and the reason.
const TOLERANCES: [(&str, &str); 6] = [
    (r"\w+ /\S+: null for an optional member", "SDKs write null for what they leave out"),
    (
        r"\w+ /\S*(input|output|metadata)(/0)?: (null|an? .*)",
        "payloads are any JSON, kept as sent: SDKs send what the traced function took and returned",
    ),
    (r"\w+ /\S*usage/key: a fraction", "cut off: the TypeScript SDK does not check what it is given"),
    (r"\w+ /\S*usage/key: null", "dropped: providers send it for counts that they do not have"),
    (r"\w+ /\S*tags(_to_add|_to_remove)?: the same item twice", "dropped: no SDK removes repetitions"),
    (
        r"\w+ /\S*error_info/(exception_type|traceback): (no \w+|null|0 characters)",
        "filled in: a span with half an error is worth more than none",
    ),
];

/// What the document allows and the server refuses all the same, with this status, and the reason.
const REFUSALS: [(&str, u16, &str); 12] = [
    (r"createSpans? /(spans/0/)?id: (a UUIDv4|the nil UUID)", 400, "the id of a span tells its time: version 7 alone"),
    (r"updateSpan path id: (a UUIDv4|the nil UUID)", 400, "the same"),
    (r"getSpanById path id: (a UUIDv4|the nil UUID)", 404, "no span has such an id"),
    (r"updateSpan /project_id: (a UUIDv4|the nil UUID)", 404, "there must be a project with that id"),
    (r"\w+ /\S+_(time|at): a leap second", 400, "no clock of a client shows one, and no store can keep it"),
    (r"\w+ /\S+_(time|at): a time to the tenth of a nanosecond", 400, "times are kept to the nanosecond"),
    (r"\w+ /\S+_(time|at): a time before the first", 422, "64 bits of nanoseconds from 1970 on, as in the original"),
    (r"\w+ /\S+_time: (a time after the last|the last stamp|a stamp after the last)", 422, "the same, until 2262"),
    (r"\w+ /\S+_at: a stamp after the last", 422, "as in the original"),
    (
        r"\w+ /\S*(name|model|provider|project_name): a long text",
        422,
        "more than any real one, said in its description",
    ),
    (r"\w+ /\S*tags/0: a long text", 422, "the same"),
    (r"\w+ /\S*tags: 1001 items", 422, "the same"),
];

/// Where the server is known to be wrong: a pattern for the complaint, and the cause. To be removed when it is mended.
const KNOWN: [(&str, &str); 0] = [];

/// Requests that are under way at once.
const AT_ONCE: usize = 16;

/// A list of patterns for the names of trials, that knows which were needed.
struct Rows(Vec<(Regex, u16, Cell<bool>)>);

impl Rows {
    fn new<'a>(rows: impl IntoIterator<Item = (&'a str, u16)>) -> Self {
        let row = |(pattern, status)| (Regex::new(&format!("^(?:{pattern})$")).unwrap(), status, Cell::new(false));
        Self(rows.into_iter().map(row).collect())
    }

    /// The status of the first row for a name.
    fn find(&self, name: &str) -> Option<u16> {
        let (_, status, needed) = self.0.iter().find(|(pattern, ..)| pattern.is_match(name))?;
        needed.set(true);
        Some(*status)
    }

    fn not_needed(&self) -> impl Iterator<Item = String> {
        let rows = self.0.iter().filter(|(.., needed)| !needed.get());
        rows.map(|(pattern, ..)| format!("a row that is not needed: {pattern}"))
    }
}

/// The three lists.
struct Lists {
    tolerances: Rows,
    refusals: Rows,
    known: Rows,
}

impl Lists {
    fn new() -> Self {
        Self {
            tolerances: Rows::new(TOLERANCES.map(|(pattern, _)| (pattern, 0))),
            refusals: Rows::new(REFUSALS.map(|(pattern, status, _)| (pattern, status))),
            known: Rows::new(KNOWN.map(|(pattern, _)| (pattern, 0))),
        }
    }

    /// What is wrong with an answer, if anything is that is not known.
    fn complaint(&self, trial: &Trial, answer: &Answer) -> Option<Complaint> {
        let why = self.judge(trial, answer)?;
        let what = format!("{}: {why}", trial.name());
        if self.known.find(&what).is_some() {
            return None;
        }
        Some(Complaint { what, answer: format!("{} {:.200}", answer.status, answer.text()) })
    }

    fn judge(&self, trial: &Trial, answer: &Answer) -> Option<&'static str> {
        let name = trial.name();
        let taken = (200..300).contains(&answer.status);
        if trial.inside {
            return match self.refusals.find(&name) {
                None => (!taken).then_some("allowed by the document, and refused"),
                Some(status) if answer.status != status => Some("refused otherwise than the list says"),
                Some(_) => not_named(trial, answer),
            };
        }
        if self.tolerances.find(&name).is_some() {
            return (!taken).then_some("tolerated by the list, and refused");
        }
        if taken { Some("forbidden by the document, and taken") } else { not_named(trial, answer) }
    }
}

/// What is wrong with a refusal.
fn not_named(trial: &Trial, answer: &Answer) -> Option<&'static str> {
    let named = match (&trial.place, answer.status) {
        // What is no id is no address; and what is well-formed may still not be there.
        (Place::Path(_) | Place::Body(_), 404) => trial.inside || matches!(trial.place, Place::Path(_)),
        (Place::Path(_), 400) => trial.inside,
        (Place::Query(name), 400) => answer.text().contains(name.as_str()),
        (Place::Body(pointer), 400 | 422) => answer.pointers().contains(pointer),
        _ => return Some("refused with another status than such a refusal has"),
    };
    (!named).then_some("refused without naming the place")
}

/// An answer that is not as the document and the lists want it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Complaint {
    what: String,
    answer: String,
}

/// Sends every trial; what is wrong with the answers.
async fn run(api: &Api, trials: Vec<Trial>, lists: &Lists) -> Vec<Complaint> {
    let setup = Arc::new(Setup::new(api).await);
    let mut complaints = Vec::new();
    let mut running = JoinSet::new();
    let mut waiting = trials.into_iter();
    loop {
        while running.len() < AT_ONCE
            && let Some(trial) = waiting.next()
        {
            let (api, setup) = (api.clone(), Arc::clone(&setup));
            running.spawn(async move {
                let answer = api.send(setup.request(&api, &trial)).await;
                (trial, answer)
            });
        }
        let Some(done) = running.join_next().await else { break };
        let (trial, answer) = done.unwrap();
        complaints.extend(lists.complaint(&trial, &answer));
    }
    complaints.sort();
    complaints
}

#[tokio::test]
async fn what_is_just_inside_is_taken_and_what_is_just_outside_is_refused_by_name() {
    let server = Server::start().await;
    let lists = Lists::new();
    let trials = trials(&contract().document);
    let mut tried: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for trial in &trials {
        tried.entry(trial.operation.clone()).or_default()[usize::from(trial.inside)] += 1;
    }
    println!("outside and inside: {tried:?}");
    let complaints = run(&server.api, trials, &lists).await;
    let total: usize = tried.values().flatten().sum();
    assert!(complaints.is_empty(), "{} of {total}: {complaints:#?}", complaints.len());
    let not_needed: Vec<String> =
        [lists.tolerances, lists.refusals, lists.known].iter().flat_map(Rows::not_needed).collect();
    assert_eq!(not_needed, [""; 0], "rows that are not needed");
    assert!(total > 1_000, "{tried:?}");
    for operation in ["createSpan", "createSpans", "updateSpan"] {
        assert!(tried[operation].iter().all(|count| *count > 100), "{tried:?}");
    }
}

/// The sentence in a complaint about a value that the document allows.
const REFUSED: &str = "allowed by the document, and refused";
/// The same about a value that it forbids.
const TAKEN: &str = "forbidden by the document, and taken";

/// Changes the document at `pointer`, tries what it then says of `place`, and expects these complaints and no others.
async fn assert_found(api: &Api, place: &str, (pointer, value): (&str, Value), wanted: &[(&str, &str)]) {
    let mut document = contract().document.clone();
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    let mut trials = trials(&document);
    trials.retain(|trial| trial.name().starts_with(&format!("{place}: ")));
    let complaints = run(api, trials, &Lists::new()).await;
    let found: Vec<&str> = complaints.iter().map(|complaint| complaint.what.as_str()).collect();
    let wanted: Vec<String> = wanted.iter().map(|(what, why)| format!("{place}: {what}: {why}")).collect();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_limit_that_the_server_does_not_keep_is_found() {
    let server = Server::start().await;
    let api = &server.api;
    let limit = "/components/schemas/Span_Write/properties/environment/maxLength";
    let wanted = [("151 characters", REFUSED), ("151 wide characters", REFUSED)];
    assert_found(api, "createSpan /environment", (limit, json!(151)), &wanted).await;
    let wanted = [("150 characters", TAKEN), ("150 wide characters", TAKEN)];
    assert_found(api, "createSpans /spans/0/environment", (limit, json!(149)), &wanted).await;
    let limit = "/components/schemas/SpanBatch_Write/properties/spans/maxItems";
    assert_found(api, "createSpans /spans", (limit, json!(1001)), &[("1001 items", REFUSED)]).await;

    let required = "/components/schemas/SpanUpdate/required";
    let wanted = [("no name", TAKEN), ("null", TAKEN)];
    assert_found(api, "updateSpan /name", (required, json!(["trace_id", "name"])), &wanted).await;
    let properties = "/components/schemas/SpanUpdate/properties";
    let values = format!("{properties}/type/enum");
    let wanted = [("the value agent", REFUSED)];
    assert_found(api, "updateSpan /type", (&values, json!(["general", "agent"])), &wanted).await;
    let cost = format!("{properties}/total_estimated_cost");
    let positive = json!({"type": "number", "exclusiveMinimum": 0});
    assert_found(api, "updateSpan /total_estimated_cost", (&cost, positive), &[("the minimum 0", TAKEN)]).await;
    let format = format!("{properties}/usage/additionalProperties/format");
    let wanted = [("the greatest int64", REFUSED), ("the least int64", REFUSED)];
    assert_found(api, "updateSpan /usage/key", (&format, json!("int64")), &wanted).await;
    let kind = format!("{properties}/model/type");
    let wanted =
        [("a number in a string", TAKEN), ("a string", TAKEN), ("an integer with a fraction of zero", REFUSED)];
    assert_found(api, "updateSpan /model", (&kind, json!("integer")), &wanted).await;

    let parameter = "/paths/~1v1~1private~1spans~1{id}/get/parameters/1/schema";
    let values = json!({"type": "string", "enum": ["true", "all"]});
    let wanted = [("the value all", REFUSED)];
    assert_found(api, "getSpanById query strip_attachments", (parameter, values), &wanted).await;
}

/// Samples that are not what they are said to be would make the tests above say nothing.
#[test]
fn a_validator_of_json_schema_agrees_with_every_sample() {
    let document = &contract().document;
    let trials = trials(document);
    let mut judged = 0;
    let mut wrong = Vec::new();
    for (.., operation) in operations(document) {
        let Some(schema) = operation["requestBody"]["content"].get("application/json").map(|media| &media["schema"])
        else {
            continue;
        };
        let mut root = schema.clone();
        root["components"] = document["components"].clone();
        let validator = jsonschema::options().should_validate_formats(true).build(&root).unwrap();
        for trial in trials.iter().filter(|trial| trial.is_in_body_of(operation)) {
            let Some(body) = trial.value() else { continue };
            judged += 1;
            if validator.is_valid(&body) != trial.inside {
                wrong.push(trial.name());
            }
        }
    }
    // It does not know the formats of numbers.
    wrong.retain(|name| !name.contains("the integer ") && !name.contains("double"));
    assert_eq!(wrong, [""; 0]);
    assert!(judged > 1_000, "{judged}");
}

#[test]
#[should_panic(expected = "no samples for string of the format \"hostname\": add some to `format_samples`")]
fn a_format_without_samples_is_an_error() {
    Schemas(&json!({})).samples(&json!({"type": "string", "format": "hostname"}));
}

#[test]
#[should_panic(expected = "no samples for the pattern \"^a$\": add some to `pattern_samples`")]
fn a_pattern_without_samples_is_an_error() {
    Schemas(&json!({})).samples(&json!({"type": "string", "pattern": "^a$"}));
}

#[test]
#[should_panic(expected = "no samples for the keyword \"multipleOf\": make some in samples.rs")]
fn a_keyword_without_samples_is_an_error() {
    Schemas(&json!({})).samples(&json!({"type": "number", "multipleOf": 2}));
}
