//! Every limit of the document, from just inside and just outside.
//!
//! The document is walked: for every place in every request body, and for every parameter, values just inside and just
//! outside of what it says are sent to a server. What is inside is taken; what is outside is refused with the place
//! named. Where it is otherwise on purpose, it stands in one of the lists below, and each row must be needed.

pub(crate) mod trials;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::flatten::operations;
use crate::support::samples::Samples as _;
use crate::support::views::Schemas;
use crate::support::{Answer, Api, Server, contract};
use trials::{Place, Setup, Trial, trials};

/// What the document forbids and the server takes all the same: a pattern for `operation place: sample`, and the reason.
const TOLERANCES: [(&str, &str); 9] = [
    (
        r"searchTraceThreads /last_retrieved_thread_model_id: (a UUID .*|no text|some text)",
        "Python's SDK sends what the thread's traces call it",
    ),
    (r"\w+ /\S+: null for an optional member", "SDKs write null for what they leave out"),
    (
        r"\w+ /\S*(input|output|metadata)(/0)?: (null|an? .*)",
        "payloads are any JSON, kept as sent: SDKs send what the traced function took and returned",
    ),
    (r"\w+ /\S*usage/key: a fraction", "cut off: the TypeScript SDK does not check what it is given"),
    (r"\w+ /\S*usage/key: null", "dropped: providers send it for counts that they do not have"),
    (
        r"\w+ /\S*(tags(_to_add|_to_remove)?|ids|exclude|names): the same item twice",
        "dropped: a set is meant, and no SDK removes repetitions",
    ),
    (
        r"\w+ /\S*error_info/(exception_type|traceback): (no \w+|null|0 characters)",
        "filled in: a span with half an error is worth more than none",
    ),
    (
        r"((find|get|spans|traces)\w+ query (page|size|truncate|strip_attachments|trace_id|type|from_time|to_time|thread_only|annotation_queue_id)|findTraceThreadsFeedbackScoreNames query project_id|attachmentList query (page|size)|listRequests query last): (no text|an empty value)",
        "an empty parameter is an absent one, as in the original",
    ),
    (
        r"deleteAttachments /(file_size|upload_id|uploaded_file_parts): (no \w+|null)",
        "published with the request of another operation: nobody reads them, and the original's user interface does not send them",
    ),
];

/// What the document allows and the server refuses all the same, with this status, and the reason.
const REFUSALS: [(&str, u16, &str); 43] = [
    (r"addFault /operation_id: (0 characters|a long text)", 422, "it must be that of an operation"),
    (
        r"downloadAttachment query ((container|entity)_id: (a UUIDv4|the nil UUID)|(file|workspace)_name: (1 characters|a long text))",
        404,
        "there must be such a file",
    ),
    (r"getDocumentationPage path page: a long text", 404, "there must be such a page"),
    (r"startMultiPartUpload /(file_name|mime_type|project_name): a long text", 422, "more than any real one"),
    (r"uploadAttachment query (file_name|mime_type|project_name): a long text", 400, "more than any real one"),
    (r"uploadAttachment query file_name: 0 characters", 400, "a file has a name, said in its description"),
    (r"createEnvironment /id: (a UUIDv4|the nil UUID)", 400, "ids that clients choose tell the time: version 7 alone"),
    (
        r"((get|update)(Project|Environment|FeedbackDefinition)(ById)?|findTokenUsageNames|getProjectMetrics|getRecentActivity) path (id|projectId): (a UUIDv4|the nil UUID)",
        404,
        "nothing has such an id",
    ),
    (r"projectsRedirect query trace_id: (a UUIDv4|the nil UUID)", 404, "no trace has such an id"),
    (r"projectsRedirect query workspace_name: a long text", 404, "no trace is in such a workspace"),
    (r"retrieveProject /name: (1 characters|a long text)", 404, "there must be a project of that name"),
    (
        r"(create|update)(Project|FeedbackDefinition) /name: a long text",
        422,
        "more than any real one, said in its description",
    ),
    (
        r"(create|update)FeedbackDefinition /details/min: a (great number|number of many digits)",
        422,
        "less than the greatest, said in its description",
    ),
    (
        r"upsertWorkspaceConfiguration /timeout_to_mark_thread_as_inactive: (0 characters|a long text)",
        400,
        "a duration, said in its description",
    ),
    (
        r"upsertWorkspaceConfiguration /color_map/key: (0 characters|a long text)",
        422,
        "a colour, said in the description",
    ),
    (
        r"(search\w+ /|waitFor /|getProjectMetrics /\w+_)filters: 1001 items",
        400,
        "more than SQLite takes in one expression",
    ),
    (
        r"(create(Span|Trace)s?|scoreBatchOf\w+) /((spans|traces|scores)/0/)?id: (a UUIDv4|the nil UUID)",
        400,
        "the id of a span or trace tells its time: version 7 alone",
    ),
    (r"update(Span|Trace) path id: (a UUIDv4|the nil UUID)", 400, "the same"),
    (
        r"(add\w+Comment|add\w+FeedbackScore|get\w+ById|get\w+Comment) path (id|spanId|traceId|threadId): (a UUIDv4|the nil UUID)",
        404,
        "no span, trace or thread has such an id",
    ),
    (r"scoreBatchOfThreads /scores/0/project_name: a long text", 422, "it is made, and so is its project"),
    (r"updateThread path threadModelId: (a UUIDv4|the nil UUID)", 404, "the same"),
    (r"getTraceThread(s|Stats) query filters: a filter", 400, "threads have no name, which it is about"),
    (r"(get|update)\w+Comment path commentId: (a UUIDv4|the nil UUID)", 404, "no comment has such an id"),
    (
        r"(update(Span|Trace)|search\w+|(open|get|close)TraceThread|scoreBatchOfThreads) /(scores/0/)?project_id: (a UUIDv4|the nil UUID)",
        404,
        "there must be a project with that id",
    ),
    (r"(find\w+_\d|get\w+|\w+Exist) query project_id: (a UUIDv4|the nil UUID)", 404, "the same"),
    (r"\w+ (/|query )\S*_(time|at): a leap second", 400, "no clock of a client shows one, and no store can keep it"),
    (r"\w+ (/|query )\S*_(time|at): a time to the tenth of a nanosecond", 400, "times are kept to the nanosecond"),
    (
        r"\w+ /\S*(start_time|end_time|_at): a time before the first",
        422,
        "64 bits of nanoseconds from 1970 on, as in the original",
    ),
    (
        r"\w+ /\S*(start|end)_time: (a time after the last|the last stamp|a stamp after the last)",
        422,
        "the same, until 2262",
    ),
    (r"\w+ /\S+_at: a stamp after the last", 422, "as in the original"),
    (
        r"(create|update|batchUpdate)(Span|Trace)s? /\S*(name|model|provider|thread_id): a long text",
        422,
        "more than any real one, said in its description",
    ),
    (
        r"(add\w+FeedbackScore|scoreBatchOf\w+) /(scores/0/)?(name|category_name|author|thread_id): a long text",
        422,
        "more than any real one",
    ),
    (r"\w+ /\S*tags/0: a long text", 422, "more than any real one, said in its description"),
    (r"\w+ /\S*tags: 1001 items", 422, "the same"),
    (r"getProjectKpiCards /filters: a long text", 400, "it must be JSON, said in its description"),
    (r"getProjectMetrics /interval: the value (DAILY|HOURLY)", 422, "so many intervals are not told"),
    (r"getProjectMetrics /interval_start: (the last|a) (time|stamp)( after the last)?", 400, "it is after the end"),
    (r"getProjectKpiCards /interval_start: (the last|a) (time|stamp)( after the last)?", 422, "it is after the end"),
    (r"getProject\w+ /\w+: a leap second", 400, "no clock of a client shows one, and no store can keep it"),
    (r"getProject\w+ /\w+: a time to the tenth of a nanosecond", 400, "times are kept to the nanosecond"),
    (r"\w+ query (exclude|filters|project_ids|sorting): a long text", 400, "it must be JSON, said in its description"),
    (
        r"(spans|traces)Exist query source: a long text",
        400,
        "checked, though the document has a plain string: the values are said in its description",
    ),
    (
        r"(search\w+ /|waitFor /|getProjectMetrics /\w+_)filters/0/operator: the value (>=|<=|is_empty|is_not_empty|in|not_in)",
        400,
        "not asked of a name, said on the page about filters",
    ),
];

/// What no schema can say, and strict mode therefore leaves to the handlers: refused with this status, and the reason.
const RULES: [(&str, u16, &str); 4] = [
    (r"(create|update)FeedbackDefinition /details/categories: no members", 422, "a choice between two at least"),
    (
        r"(close|open|get|delete)TraceThreads? /project_id: no project_id",
        422,
        "a project must be named, by its id or its name",
    ),
    (r"closeTraceThread /thread_id: no (text|thread_id)", 422, "one thread must be named, or several"),
    (r"(close|get)TraceThread /thread_id: (no value of these|the value .*)", 404, "there must be such a thread"),
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

/// The three lists, and whether the server is strict: it tolerates nothing, and answers 400.
pub(crate) struct Lists {
    strict: bool,
    tolerances: Rows,
    refusals: Rows,
    rules: Rows,
    known: Rows,
}

impl Lists {
    pub(crate) fn new(strict: bool) -> Self {
        let tolerances = if strict { &[] } else { &TOLERANCES[..] };
        let rules = if strict { &RULES[..] } else { &[] };
        Self {
            strict,
            tolerances: Rows::new(tolerances.iter().map(|(pattern, _)| (*pattern, 0))),
            refusals: Rows::new(REFUSALS.map(|(pattern, status, _)| (pattern, status))),
            rules: Rows::new(rules.iter().map(|(pattern, status, _)| (*pattern, *status))),
            known: Rows::new(KNOWN.map(|(pattern, _)| (pattern, 0))),
        }
    }

    pub(crate) fn not_needed(&self) -> Vec<String> {
        [&self.tolerances, &self.refusals, &self.rules, &self.known].into_iter().flat_map(Rows::not_needed).collect()
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
        if self.strict && !trial.inside && answer.status != 400 {
            let by_rule = self.rules.find(&name) == Some(answer.status);
            return (!by_rule).then_some("forbidden by the document, and not answered 400");
        }
        // What is waited for was understood, and is not there.
        let in_vain = trial.operation == "waitFor" && answer.status == 408;
        let taken = (200..400).contains(&answer.status) || in_vain;
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
        (Place::Path(_) | Place::Query(_) | Place::Body(_), 404) => {
            // A thread goes by any text.
            let by_text = matches!(&trial.place, Place::Body(pointer) if pointer == "/thread_id");
            trial.inside || by_text || matches!(trial.place, Place::Path(_))
        }
        (Place::Path(name), 400) => trial.inside || answer.text().contains(&format!("path parameter {name}")),
        (Place::Query(name), 400) => answer.text().contains(name.as_str()),
        (Place::Body(pointer), 400 | 422) => answer.pointers().contains(pointer),
        _ => return Some("refused with another status than such a refusal has"),
    };
    (!named).then_some("refused without naming the place")
}

/// An answer that is not as the document and the lists want it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Complaint {
    what: String,
    answer: String,
}

/// Sends every trial to servers with these flags; what is wrong with the answers. What is for tests of other programs is
/// tried by itself: it changes what all others get.
pub(crate) async fn run_on(flags: &[&str], trials: Vec<Trial>, lists: &Lists) -> Vec<Complaint> {
    let group = |trial: &Trial| match trial.operation.as_str() {
        "resetData" => 2,
        "addFault" | "clearFaults" | "listFaults" | "listRequests" | "waitFor" => 1,
        _ => 0,
    };
    let mut groups = [Vec::new(), Vec::new(), Vec::new()];
    for trial in trials {
        groups[group(&trial)].push(trial);
    }
    let mut complaints = Vec::new();
    for trials in groups {
        let server = Server::with_flags(&[flags, &["--test-api"]].concat()).await;
        complaints.extend(run(&server.api, trials, lists).await);
    }
    complaints
}

/// Sends every trial; what is wrong with the answers.
pub(crate) async fn run(api: &Api, trials: Vec<Trial>, lists: &Lists) -> Vec<Complaint> {
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
    let lists = Lists::new(false);
    let trials = trials(&contract().document);
    let mut tried: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for trial in &trials {
        tried.entry(trial.operation.clone()).or_default()[usize::from(trial.inside)] += 1;
    }
    println!("outside and inside: {tried:?}");
    let complaints = run_on(&[], trials, &lists).await;
    let total: usize = tried.values().flatten().sum();
    assert!(complaints.is_empty(), "{} of {total}: {complaints:#?}", complaints.len());
    assert_eq!(lists.not_needed(), [""; 0], "rows that are not needed");
    assert!(total > 1_000, "{tried:?}");
    for operation in
        ["batchUpdateSpans", "createSpan", "createSpans", "updateSpan", "createTrace", "createTraces", "updateTrace"]
    {
        assert!(tried[operation].iter().all(|count| *count > 80), "{tried:?}");
    }
    for (.., operation) in operations(&contract().document) {
        assert!(tried.contains_key(operation["operationId"].as_str().unwrap()), "{tried:?}");
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
    let complaints = run(api, trials, &Lists::new(false)).await;
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
    let document = &trials::with_what_is_needed(document);
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
    wrong.retain(|name| !["the integer ", "int64", "double"].iter().any(|known| name.contains(known)));
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
