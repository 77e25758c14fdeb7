//! What is tried: a request for every sample of every place in the document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::flatten::operations;
use crate::support::samples::{ID, ID_IN_CAPITALS, Sample, Samples as _};
use crate::support::views::{Additional, Schemas};
use crate::support::{Api, fresh_id};

/// Stands in a body for the value that is tried.
const HERE: &str = "@here@";
/// Stands in a request for the id of a project that exists.
const PROJECT: &str = "@project@";
/// Stands in a request for the id of a span that exists.
const SPAN: &str = "@span@";
/// Stands in a request for the id of a comment on that span.
const COMMENT: &str = "@comment@";
/// Stands in a request for the id of a trace that exists.
const TRACE: &str = "@trace@";
/// Stands in a request for the id of a comment on that trace.
const REMARK: &str = "@remark@";
/// Stands in a request for the id of an environment that exists.
const ENVIRONMENT: &str = "@environment@";
/// Stands in a request for the id of a feedback definition that exists.
const DEFINITION: &str = "@definition@";
/// Stands in a request for the id of a project that exists in [`ANOTHER_WORKSPACE`].
const ANOTHER_PROJECT: &str = "@another@";

/// Stands in a request for the own id of a thread that exists.
const THREAD: &str = "@thread@";
/// Stands in a request for the id of a comment on that thread.
const WORD: &str = "@word@";
/// What the traces of that thread call it.
const TALK: &str = "talk";

/// Stands in a request for the id of a trace and of a span, each with a file of the plainest name.
const OWNER: &str = "@owner@";

/// Stands in a request for the id of a trace that exists in [`ANOTHER_WORKSPACE`].
const ANOTHER_TRACE: &str = "@anothers@";

/// Every placeholder for something that exists; in capital letters, it stands for the id in capital letters.
const EXISTING: [&str; 12] = [
    PROJECT,
    SPAN,
    TRACE,
    COMMENT,
    REMARK,
    THREAD,
    WORD,
    ENVIRONMENT,
    DEFINITION,
    ANOTHER_PROJECT,
    ANOTHER_TRACE,
    OWNER,
];

/// Operations that each time are in a workspace of their own: there, no name is taken, and nothing is missed.
const ALONE: [&str; 4] =
    ["createEnvironment", "createFeedbackDefinition", "createProject", "deleteWorkspaceConfiguration"];

/// Where projects are renamed, and traces looked for: elsewhere, spans take any name, and are of any trace.
const ANOTHER_WORKSPACE: &str = "another";

/// Operations that need a project, by name or id, which the document cannot say: they are tried with an id.
const NEED_PROJECT: [&str; 13] = [
    "findFeedbackScoreNames_1",
    "findFeedbackScoreNames_2",
    "getSpanStats",
    "getSpansByProject",
    "getTraceStats",
    "getTraceThreadStats",
    "getTraceThreads",
    "getTracesByProject",
    "searchSpans",
    "searchTraceThreads",
    "searchTraces",
    "spansExist",
    "tracesExist",
];

/// Operations whose `{id}` must be that of a span that exists.
const NEED_SPAN: [&str; 3] = ["addSpanComment", "addSpanFeedbackScore", "getSpanById"];

/// Operations whose `{id}` must be that of a trace that exists.
const NEED_TRACE: [&str; 3] = ["addTraceComment", "addTraceFeedbackScore", "getTraceById"];

/// Texts in a query that hold JSON, or a name out of a list that the document does not know: what is tried of them.
const MEANINGS: [(&str, &str, &str, bool); 31] = [
    ("sorting", "nothing to sort by", "[]", true),
    ("sorting", "a field upwards", r#"[{"field":"name","direction":"ASC"}]"#, true),
    ("sorting", "a field downwards", r#"[{"field":"start_time","direction":"DESC"}]"#, true),
    ("sorting", "two fields", r#"[{"field":"name"},{"field":"id"}]"#, true),
    ("sorting", "a field that is not there", r#"[{"field":"unknown","direction":"ASC"}]"#, true),
    ("sorting", "a direction that is none", r#"[{"field":"name","direction":"UP"}]"#, false),
    ("sorting", "a name alone", "name", false),
    ("sorting", "no list", r#"{"field":"name"}"#, false),
    ("exclude", "no members", "[]", true),
    ("exclude", "a payload", r#"["input"]"#, true),
    ("exclude", "the start", r#"["start_time"]"#, true),
    ("exclude", "the same member twice", r#"["output","output"]"#, true),
    ("exclude", "a member that is not there", r#"["unknown"]"#, false),
    ("exclude", "a name alone", "input", false),
    ("filters", "no filters", "[]", true),
    ("filters", "a filter", r#"[{"field":"name","operator":"=","value":"a"}]"#, true),
    (
        "filters",
        "a filter twice",
        r#"[{"field":"tags","operator":"is_empty"},{"field":"tags","operator":"is_empty"}]"#,
        true,
    ),
    ("filters", "no list of filters", r#"{"field":"name"}"#, false),
    ("filters", "a field that is not there", r#"[{"field":"unknown","operator":"=","value":"a"}]"#, false),
    ("filters", "an operator that is not there", r#"[{"field":"name","operator":"~","value":"a"}]"#, false),
    ("filters", "an operator for other fields", r#"[{"field":"name","operator":"in","value":"a"}]"#, false),
    ("filters", "a filter without a value", r#"[{"field":"name","operator":"="}]"#, false),
    ("filters", "a filter with a value of another type", r#"[{"field":"duration","operator":"=","value":"a"}]"#, false),
    ("source", "the value sdk", "sdk", true),
    ("source", "the value evaluator", "evaluator", true),
    ("source", "the value SDK", "SDK", false),
    ("project_ids", "no ids", "[]", true),
    ("project_ids", "an id", r#"["01a20204-c23a-7bad-84c4-1aba08155ea5"]"#, true),
    ("project_ids", "an id alone", "01a20204-c23a-7bad-84c4-1aba08155ea5", false),
    ("project_ids", "a text that is no id", r#"["a"]"#, false),
    ("project_ids", "no list", "{}", false),
];

/// Where a value is tried.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A JSON pointer into the body.
    Body(String),
    Query(String),
    Path(String),
}

/// One value, in one place of one request.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) operation: String,
    method: String,
    /// The address, with placeholders.
    address: String,
    /// The body, with placeholders; none for requests without one.
    body: Option<String>,
    pub(crate) place: Place,
    what: String,
    /// Whether the document allows it.
    pub(crate) inside: bool,
}

impl Trial {
    /// The name by which the lists know it.
    pub(crate) fn name(&self) -> String {
        let place = match &self.place {
            Place::Body(pointer) if pointer.is_empty() => "the body",
            Place::Body(pointer) => pointer,
            Place::Query(name) => &format!("query {name}"),
            Place::Path(name) => &format!("path {name}"),
        };
        format!("{} {place}: {}", self.operation, self.what)
    }

    fn of(&self, place: Place, sample: Sample) -> Self {
        Self { place, what: sample.what, inside: sample.inside, ..self.clone() }
    }

    /// Whether it tries something in the body of this operation.
    pub(crate) fn is_in_body_of(&self, operation: &Value) -> bool {
        operation["operationId"] == self.operation && matches!(self.place, Place::Body(_))
    }

    /// The body as a value, if it has one that a reader of doubles can hold.
    pub(crate) fn value(&self) -> Option<Value> {
        let id = "01a20204-c23a-7bad-84c4-1aba08155ea5";
        let mut body = self.body.clone()?;
        for existing in EXISTING {
            body = body.replace(existing, id).replace(&existing.to_uppercase(), &id.to_uppercase());
        }
        // Every other id is another one.
        while body.contains(ID) {
            body = body.replacen(ID, &fresh_id(), 1);
        }
        serde_json::from_str(&body.replace(ID_IN_CAPITALS, &id.to_uppercase())).ok()
    }
}

/// What must be there before requests can succeed. An operation that needs more gets it here.
pub(crate) struct Setup {
    /// What stands in the place of each of [`EXISTING`].
    ids: [String; EXISTING.len()],
}

impl Setup {
    pub(crate) async fn new(api: &Api) -> Self {
        let span = api.create(&json!({"start_time": "2024-01-15T09:30:00Z", "project_name": "of the walk"})).await;
        let read = api.span(&span).await;
        let id = |value: &Value| value.as_str().unwrap().to_owned();
        let answer = api.post(&format!("/v1/private/spans/{span}/comments"), &json!({"text": "so"})).await.expect(201);
        let comment = id(&answer.json()["id"]);
        let made = async |area: &str, workspace: &str, body: Value| {
            let request = api.request("POST", &format!("/v1/private/{area}")).header("comet-workspace", workspace);
            let request = request.header("content-type", "application/json").body(body.to_string());
            let answer = api.send(request).await.expect(201);
            answer.header("location").rsplit('/').next().unwrap().to_owned()
        };
        let trace = api.create_trace(&json!({"start_time": "2024-01-15T09:30:00Z"})).await;
        let answer =
            api.post(&format!("/v1/private/traces/{trace}/comments"), &json!({"text": "so"})).await.expect(201);
        let remark = id(&answer.json()["id"]);
        let talk =
            json!({"start_time": "2024-01-15T09:30:00Z", "thread_id": TALK, "project_name": read["project_name"]});
        api.create_trace(&talk).await;
        let project = id(&read["project_id"]);
        let named = json!({"project_id": project, "thread_id": TALK});
        let thread = api.post("/v1/private/traces/threads/retrieve", &named).await.expect(200);
        let thread = id(&thread.json()["thread_model_id"]);
        let path = format!("/v1/private/traces/threads/{thread}/comments");
        let word = id(&api.post(&path, &json!({"text": "so"})).await.expect(201).json()["id"]);
        let another_trace = fresh_id();
        let of_trace = json!({"start_time": "2024-01-15T09:30:00Z", "trace_id": another_trace});
        made("spans", ANOTHER_WORKSPACE, of_trace).await;
        let environment = made("environments", "default", json!({"name": fresh_id()})).await;
        let details = json!({"min": 0, "max": 1});
        let definition = json!({"name": fresh_id(), "type": "numerical", "details": details});
        let definition = made("feedback-definitions", "default", definition).await;
        let another = made("projects", ANOTHER_WORKSPACE, json!({"name": fresh_id()})).await;
        // The plainest name, by which a project is looked up. An earlier setup of this server may have made it.
        let plain = api.post("/v1/private/projects", &json!({"name": "0"})).await;
        assert!([201, 409].contains(&plain.status), "{}", plain.text());
        let owner = fresh_id();
        for entity in ["trace", "span"] {
            let file = format!("file_name=0&entity_type={entity}&entity_id={owner}&project_name=of%20the%20walk");
            api.send(api.request("PUT", &format!("/v1/private/attachment/upload?{file}")).body("0")).await.expect(204);
        }
        api.raw("PUT", "/v1/private/workspaces/configurations", "{}".to_owned()).await.expect(200);
        Self {
            ids: [
                project,
                span,
                trace,
                comment,
                remark,
                thread,
                word,
                environment,
                definition,
                another,
                another_trace,
                owner,
            ],
        }
    }

    /// The request of a trial.
    pub(crate) fn request(&self, api: &Api, trial: &Trial) -> reqwest::RequestBuilder {
        let mut request = api.request(&trial.method, &self.fill(&trial.address));
        if ALONE.contains(&trial.operation.as_str()) {
            request = request.header("comet-workspace", fresh_id());
        } else if ["updateProject", "projectsRedirect"].contains(&trial.operation.as_str()) {
            request = request.header("comet-workspace", ANOTHER_WORKSPACE);
        }
        match &trial.body {
            None => request,
            Some(body) => request.header("content-type", "application/json").body(self.fill(body)),
        }
    }

    /// Puts values in place of the placeholders. What is to exist does, other ids are new each time.
    fn fill(&self, text: &str) -> String {
        let mut text = text.replace(&format!(r#""project_id":"{ID}""#), &format!(r#""project_id":"{PROJECT}""#));
        for (existing, id) in EXISTING.into_iter().zip(&self.ids) {
            text = text.replace(existing, id).replace(&existing.to_uppercase(), &id.to_uppercase());
        }
        while text.contains(ID) {
            text = text.replacen(ID, &fresh_id(), 1);
        }
        text.replace(ID_IN_CAPITALS, &fresh_id().to_uppercase())
    }
}

/// An id that must exist.
fn which_exists(value: &str, existing: &str) -> String {
    value.replace(ID, existing).replace(ID_IN_CAPITALS, &existing.to_uppercase())
}

/// Ids in a path that must exist are those of the setup.
fn in_path(operation: &str, name: &str, value: &str) -> String {
    // The text that is fine everywhere else.
    if name == "page" && value == "0" {
        return "createSpan.md".to_owned();
    }
    let existing = match (name, operation) {
        ("spanId", _) => SPAN,
        ("traceId", _) => TRACE,
        ("threadId" | "threadModelId", _) | ("id", "addThreadComment") => THREAD,
        ("commentId", operation) if operation.contains("Thread") => WORD,
        ("commentId", operation) if operation.contains("Trace") => REMARK,
        ("commentId", _) => COMMENT,
        ("projectId", _)
        | (_, "getProjectById" | "findTokenUsageNames" | "getProjectMetrics" | "getProjectKpiCards") => PROJECT,
        (_, "updateProject") => ANOTHER_PROJECT,
        (_, "getEnvironmentById" | "updateEnvironment") => ENVIRONMENT,
        (_, "getFeedbackDefinitionById" | "updateFeedbackDefinition") => DEFINITION,
        _ if NEED_TRACE.contains(&operation) => TRACE,
        _ if NEED_SPAN.contains(&operation) => SPAN,
        _ => return value.to_owned(),
    };
    which_exists(value, existing)
}

/// The same for a parameter in a query.
fn in_query(operation: &str, name: &str, value: &str) -> String {
    if operation == "projectsRedirect" && name == "trace_id" {
        return which_exists(value, ANOTHER_TRACE);
    }
    if operation == "downloadAttachment" && name == "container_id" {
        return which_exists(value, PROJECT);
    }
    if operation == "downloadAttachment" && name == "entity_id" {
        return which_exists(value, OWNER);
    }
    existing(name, value)
}

/// The same for a member of a body.
fn existing(name: &str, value: &str) -> String {
    if name == "project_id" { which_exists(value, PROJECT) } else { value.to_owned() }
}

/// The document, with what the server needs beyond it: without, a request would be refused for that, whatever else is
/// tried. A project where one is needed; of a filter all that one has, about a field that can be compared with any text;
/// and what rules say in words only.
pub(crate) fn with_what_is_needed(document: &Value) -> Value {
    let mut document = document.clone();
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            let needs = NEED_PROJECT.iter().any(|name| operation["operationId"] == *name);
            let parameters = operation["parameters"].as_array_mut().filter(|_| needs).into_iter().flatten();
            for parameter in parameters.filter(|parameter| parameter["name"] == "project_id") {
                parameter["required"] = json!(true);
            }
        }
    }
    // An address in base64.
    let address = json!(["aHR0cDovL2xvY2FsaG9zdDo1MTczL2FwaQ=="]);
    for (path, name, values) in
        [("/v1/session/redirect/projects", "path", &address), ("/v1/private/attachment/list", "path", &address)]
    {
        let parameters = document["paths"][path]["get"]["parameters"].as_array_mut().unwrap();
        for parameter in parameters.iter_mut().filter(|parameter| parameter["name"] == name) {
            parameter["schema"]["enum"] = values.clone();
        }
    }
    let schemas = &mut document["components"]["schemas"];
    // What can be taken apart by anything, and a time that ends after it began, in intervals that are not too many.
    let metric = &mut schemas["ProjectMetricRequest_Public"];
    metric["required"] = json!(["metric_type", "interval", "interval_start", "interval_end"]);
    for (member, first) in [("metric_type", "SPAN_COUNT"), ("interval", "TOTAL")] {
        let values = metric["properties"][member]["enum"].as_array_mut().unwrap();
        values.sort_by_key(|value| value != first);
    }
    // That needs a place in the metadata as well.
    let fields = schemas["BreakdownConfig_Public"]["properties"]["field"]["enum"].as_array_mut().unwrap();
    fields.retain(|field| field != "metadata");
    schemas["KpiCardRequest"]["required"] = json!(["entity_type", "interval_start", "interval_end"]);
    for request in ["ProjectMetricRequest_Public", "KpiCardRequest"] {
        schemas[request]["properties"]["interval_end"] = json!({"type": "string", "enum": ["2200-01-01T00:00:00Z"]});
    }
    schemas["StartMultipartUploadRequest"]["properties"]["path"]["enum"] = address;
    for view in ["Create", "Update"] {
        // More than the least value, and a choice between two.
        schemas[format!("NumericalFeedbackDetail_{view}")]["properties"]["max"]["example"] = json!(1000);
        schemas[format!("CategoricalFeedbackDetail_{view}")]["properties"]["categories"]["minProperties"] = json!(2);
    }
    for search in
        ["SpanSearchStreamRequest_Public", "TraceSearchStreamRequest_Public", "TraceThreadSearchStreamRequest"]
    {
        schemas[search]["required"] = json!(["project_id"]);
    }
    for (filter, field) in [
        ("SpanFilter_Public", "name"),
        ("TraceFilter_Public", "name"),
        ("TraceThreadFilter", "id"),
        ("TraceThreadFilter_Public", "id"),
    ] {
        let filter = &mut schemas[filter];
        filter["required"] = json!(["field", "operator", "value"]);
        filter["properties"]["field"]["enum"] = json!([field]);
        filter["properties"]["value"]["minLength"] = json!(1);
    }
    // What is there is waited for, and not for long.
    schemas["Awaited"]["required"] = json!(["kind", "project_id", "timeout_ms"]);
    schemas["TraceThreadIdentifier"]["required"] = json!(["project_id", "thread_id"]);
    // Any thread can be opened. What others add to its tags decides how many more a thread takes: that is tried of many.
    let open = schemas["TraceThreadIdentifier"].clone();
    let mut tags = schemas["TraceThreadUpdate"].clone();
    tags["properties"].as_object_mut().unwrap().remove("tags_to_add");
    // A thread that is read or closed must exist, and is named in one way or the other.
    schemas["TraceThreadIdentifier"]["properties"]["thread_id"]["enum"] = json!([TALK]);
    schemas["TraceThreadBatchIdentifier"]["required"] = json!(["project_id", "thread_id"]);
    schemas["TraceThreadBatchIdentifier"]["properties"]["thread_id"]["enum"] = json!([TALK]);
    schemas["TraceThreadBatchIdentifier"]["properties"].as_object_mut().unwrap().remove("thread_ids");
    schemas["DeleteTraceThreads"]["required"] = json!(["project_id", "thread_ids"]);
    let threads = "/v1/private/traces/threads";
    for (path, method, schema) in
        [(format!("{threads}/open"), "put", open), (format!("{threads}/{{threadModelId}}"), "patch", tags)]
    {
        document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"] = schema;
    }
    document
}

/// Every trial of a document.
pub(crate) fn trials(document: &Value) -> Vec<Trial> {
    let document = &with_what_is_needed(document);
    let schemas = Schemas(document);
    let mut trials = Vec::new();
    for (method, path, item, operation) in operations(document) {
        let name = operation["operationId"].as_str().unwrap();
        let parameters = [item, operation].into_iter().filter_map(|node| node["parameters"].as_array()).flatten();
        let parameters: Vec<Parameter> = parameters.map(|node| Parameter::new(name, schemas, node)).collect();
        let values = parameters.iter().filter(|parameter| parameter.required);
        let values: Values = values.map(|parameter| (parameter.name, parameter.valid.clone())).collect();
        // Any bytes are a file.
        let body = operation.get("requestBody").filter(|_| name != "uploadAttachment").map(|body| {
            let body = schemas.resolve(body);
            let content = body["content"].as_object().unwrap();
            assert!(content.keys().eq(["application/json"]), "{name}: say how such a body is tried");
            (&content["application/json"]["schema"], body["required"] == true)
        });
        let base = Trial {
            operation: name.to_owned(),
            method,
            address: address(path, &parameters, &values),
            body: body.map(|(schema, _)| schemas.valid(schema, 0)),
            place: Place::Body(String::new()),
            what: "nothing special".to_owned(),
            inside: true,
        };
        trials.push(base.clone());
        for parameter in &parameters {
            for (sample, value) in &parameter.samples {
                let mut values = values.clone();
                values.insert(parameter.name, value.clone());
                let address = address(path, &parameters, &values);
                trials.push(Trial { address, ..base.of(parameter.place(), sample.clone()) });
            }
            if parameter.required && !parameter.in_path {
                let mut values = values.clone();
                values.remove(parameter.name);
                let (address, what) = (address(path, &parameters, &values), "no value".to_owned());
                trials.push(Trial { address, place: parameter.place(), what, inside: false, ..base.clone() });
            }
        }
        if let Some((schema, required)) = body {
            let (body, what) = (Some(String::new()), "no body".to_owned());
            trials.push(Trial { body, what, inside: !required, ..base.clone() });
            let mut add = |pointer: &str, sample: Sample, body: String| {
                trials.push(Trial { body: Some(body), ..base.of(Place::Body(pointer.to_owned()), sample) });
            };
            Walk { schemas, add: &mut add }.place(schema, "", HERE);
        }
    }
    // That time is limited is fixed above.
    trials.retain(|trial| {
        let of_time = matches!(&trial.place, Place::Body(pointer) if pointer == "/timeout_ms");
        !(of_time && ["no timeout_ms", "null"].contains(&trial.what.as_str()))
    });
    // The ends of intervals are fixed above.
    trials.retain(|trial| !matches!(&trial.place, Place::Body(pointer) if pointer == "/interval_end"));
    trials
}

/// Values of parameters, by name.
type Values<'a> = BTreeMap<&'a str, String>;

struct Parameter<'a> {
    name: &'a str,
    in_path: bool,
    required: bool,
    /// A value that is fine.
    valid: String,
    /// What is tried, as it stands in an address.
    samples: Vec<(Sample, String)>,
}

impl<'a> Parameter<'a> {
    fn new(operation: &str, schemas: Schemas<'a>, node: &'a Value) -> Self {
        let node = schemas.resolve(node);
        let (name, place, schema) = (node["name"].as_str().unwrap(), node["in"].as_str().unwrap(), &node["schema"]);
        assert!(["path", "query"].contains(&place), "{operation}: say how a parameter in {place:?} is tried");
        let in_path = place == "path";
        // Everything is a text in an address.
        let is_text = schemas.known_views(schema).iter().any(|view| view.kind == "string");
        let fill = |value: &str| {
            if in_path { self::in_path(operation, name, value) } else { in_query(operation, name, value) }
        };
        let samples = schemas.samples(schema).into_iter().filter_map(|sample| {
            let value = fill(&plain(&sample.json)?);
            let tried = !(sample.typed && (is_text || sample.json == "\"1\"") || in_path && value.is_empty());
            tried.then_some((sample, value))
        });
        let nothing = (!is_text && !in_path).then(|| (Sample::outside("an empty value", "\"\""), String::new()));
        let meanings = MEANINGS.iter().filter(|(of, ..)| *of == name && !in_path).map(|(_, what, text, inside)| {
            let sample = if *inside { Sample::inside(*what, "") } else { Sample::outside(*what, "") };
            (sample, (*text).to_owned())
        });
        Self {
            name,
            in_path,
            required: node["required"] == true,
            valid: fill(&plain(&schemas.valid(schema, 0)).unwrap()),
            samples: samples.chain(nothing).chain(meanings).collect(),
        }
    }

    fn place(&self) -> Place {
        if self.in_path { Place::Path(self.name.to_owned()) } else { Place::Query(self.name.to_owned()) }
    }
}

/// A value as it stands in an address; none for what cannot stand there.
fn plain(json: &str) -> Option<String> {
    match json.chars().next()? {
        '"' => serde_json::from_str(json).ok(),
        '{' | '[' | 'n' => None,
        _ => Some(json.to_owned()),
    }
}

/// The address of a request with these values of parameters.
fn address(path: &str, parameters: &[Parameter], values: &Values) -> String {
    let mut address = path.to_owned();
    let mut query = Vec::new();
    for (name, value) in values {
        let value = escaped(value);
        if parameters.iter().any(|parameter| parameter.name == *name && parameter.in_path) {
            address = address.replace(&format!("{{{name}}}"), &value);
        } else {
            query.push(format!("{name}={value}"));
        }
    }
    if query.is_empty() { address } else { format!("{address}?{}", query.join("&")) }
}

/// Percent-encoded, but for what stands in placeholders.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A walk over every place in a body. What is found is added: the JSON pointer, the sample, and the whole body.
struct Walk<'a, 'b> {
    schemas: Schemas<'a>,
    add: &'b mut dyn FnMut(&str, Sample, String),
}

impl Walk<'_, '_> {
    /// Everything that is tried at one place and below it. `around` is the body around that place.
    fn place(&mut self, schema: &Value, pointer: &str, around: &str) {
        assert!(pointer.matches('/').count() < 20, "{pointer}: say how deep a schema that contains itself is tried");
        let schemas = self.schemas;
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let body = |json: &str| around.replace(HERE, &existing(name, json));
        for sample in schemas.samples(schema) {
            let body = body(&sample.json);
            (self.add)(&format!("{pointer}{}", sample.at), sample, body);
        }
        for view in schemas.known_views(schema) {
            if view.kind == "object" {
                for (name, member) in view.properties().filter(|(_, member)| !schemas.flag(member, "readOnly")) {
                    let around = body(&schemas.object(&view, Some((name, HERE))));
                    self.member(member, &format!("{pointer}/{name}"), &around, view.requires(name));
                }
                if let Additional::Schema(member) = view.additional() {
                    let around = body(&schemas.object(&view, Some(("key", HERE))));
                    self.place(member, &format!("{pointer}/key"), &around);
                }
            } else if view.kind == "array" {
                let others = (1..view.size("minItems").unwrap_or(0)).map(|number| schemas.valid(&view.items(), number));
                let items: Vec<String> = std::iter::once(HERE.to_owned()).chain(others).collect();
                self.place(&view.items(), &format!("{pointer}/0"), &body(&format!("[{}]", items.join(","))));
            }
        }
    }

    fn member(&mut self, schema: &Value, pointer: &str, around: &str, required: bool) {
        let add = &mut self.add;
        let mut add = |at: &str, mut sample: Sample, body: String| {
            if !required && at == pointer && sample.what == "null" {
                sample.what.push_str(" for an optional member");
            }
            add(at, sample, body);
        };
        Walk { schemas: self.schemas, add: &mut add }.place(schema, pointer, around);
    }
}
