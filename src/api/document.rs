//! The OpenAPI document: generated from the routes, finished here, served and committed.

mod openapi_3_0;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use super::examples;
use crate::model::Timestamp;

/// Tag of the operations on spans.
pub(super) const SPANS: &str = "Spans";
/// Tag of the operations on traces.
pub(super) const TRACES: &str = "Traces";
/// Tag of the operations on attachments.
pub(super) const ATTACHMENTS: &str = "Attachments";
/// Tag of the operations that tell how the server is, and who asks.
pub(super) const CHECK: &str = "Check";
/// Tag of what tells how the server is used.
pub(super) const DOCUMENTATION: &str = "Documentation";
/// Tag of the operations on environments.
pub(super) const ENVIRONMENTS: &str = "Environments";
/// Tag of the operations on feedback definitions.
pub(super) const FEEDBACK_DEFINITIONS: &str = "Feedback-definitions";
/// Tag of the operations on projects.
pub(super) const PROJECTS: &str = "Projects";
/// Tag of the links that SDKs print.
pub(super) const REDIRECT: &str = "Redirect";
/// Tag of what tells which features there are.
pub(super) const SERVICE_TOGGLES: &str = "Service Toggles";
/// Tag of what tests of other programs ask.
pub(super) const TESTING: &str = "Testing";
/// Tag of what tells who may do what.
pub(super) const WORKSPACE_PERMISSIONS: &str = "Workspace permissions";
/// Tag of the operations on workspaces.
pub(super) const WORKSPACES: &str = "Workspaces";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Opik REST API",
        version = "1.0.0",
        description = "Tracing for LLM applications: the Opik REST API, served by Spandrel. Every operation also answers \
            under `/api`. An optional header `Comet-Workspace` names the workspace; there is no authentication.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This server"), (url = "/api", description = "This server, as SDKs address it")),
    tags(
        (name = ATTACHMENTS, description = "Attachments related resources"),
        (name = CHECK, description = "Access check resources"),
        (name = DOCUMENTATION, description = "How this server is used, for people and language models"),
        (name = ENVIRONMENTS, description = "Environment related resources"),
        (name = FEEDBACK_DEFINITIONS, description = "Feedback definitions related resources"),
        (name = PROJECTS, description = "Project related resources"),
        (name = SERVICE_TOGGLES, description = "Service Toggles resources"),
        (name = SPANS, description = "Span related resources"),
        (name = TRACES, description = "Trace related resources"),
        (name = WORKSPACE_PERMISSIONS, description = "Workspace permissions related resources"),
        (name = WORKSPACES, description = "Workspace related resources"),
        (name = TESTING, description = "What tests of clients ask of a server that was started with `--test-api`; otherwise 404"),
        (name = REDIRECT, description = "Redirects for SDK generated links"),
    ),
)]
struct Skeleton;

/// The document without operations.
pub(super) fn skeleton() -> OpenApi {
    Skeleton::openapi()
}

/// A finished document.
#[derive(Debug, Clone)]
pub struct Document(Value);

/// What only answers have, but whose mark is lost on lists, maps and what is written in place.
const READ_ONLY: [&str; 17] = [
    "FeedbackScore/properties/value_by_author",
    "FeedbackScore_Public/properties/value_by_author",
    "Span_Public/properties/feedback_scores",
    "Span_Public/properties/comments",
    "Trace_Public/properties/comments",
    "Trace_Public/properties/feedback_scores",
    "Trace_Public/properties/span_feedback_scores",
    "Trace_Public/properties/guardrails_validations",
    "Trace_Public/properties/providers",
    "Trace_Public/properties/total_estimated_cost",
    "Trace_Public/properties/usage",
    "Trace_Public/properties/visibility_mode",
    "ExperimentItemReference_Public",
    "Project_Detailed/properties/feedback_scores",
    "Project_Detailed/properties/duration",
    "Project_Detailed/properties/usage",
    "Project_Detailed/properties/error_count",
];

impl Document {
    /// Finishes what utoipa generates.
    pub(super) fn finish(generated: &OpenApi) -> Self {
        // A document that serialises is the only kind utoipa builds.
        let mut document = serde_json::to_value(generated).unwrap_or_default();
        tidy(&mut document);
        document["security"] = json!([]);
        for path in [
            "/v1/private/spans",
            "/v1/private/spans/{id}/comments",
            "/v1/private/traces",
            "/v1/private/traces/{id}/comments",
            "/v1/private/traces/threads/{id}/comments",
            "/v1/private/projects",
            "/v1/private/environments",
            "/v1/private/feedback-definitions",
        ] {
            document["paths"][path]["post"]["responses"]["201"]["headers"]["Location"]["required"] = json!(true);
        }
        for place in READ_ONLY {
            if let Some(schema) = document.pointer_mut(&format!("/components/schemas/{place}")) {
                schema["readOnly"] = json!(true);
            }
        }
        // The published document says of these answers that they are JSON and nothing more.
        for (path, statuses) in [("/is-alive/ping", &["default", "503"][..]), ("/is-alive/ver", &["default"])] {
            for status in statuses {
                document["paths"][path]["get"]["responses"][status]["content"] = json!({"application/json": {}});
            }
        }
        examples::add(&mut document);
        Self(document)
    }

    /// As a JSON value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// As JSON text.
    #[must_use]
    pub fn json(&self) -> String {
        pretty(&self.0)
    }

    /// As YAML text.
    #[must_use]
    pub fn yaml(&self) -> String {
        // In the order in which people read it.
        const ORDER: [&str; 7] = ["openapi", "info", "servers", "tags", "security", "paths", "components"];
        let part = |name: &str| yaml_serde::to_string(&json!({name: self.0[name]})).unwrap_or_default();
        let text: String = ORDER.into_iter().map(part).collect();
        text.lines().map(quoted).collect()
    }

    /// The addresses at which it is read.
    pub(super) fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let document = Arc::new(self.clone());
        // Written out when first asked for: a start should not wait for it.
        let serve = |media_type: &'static str, write: fn(&Self) -> String| {
            let (document, text) = (Arc::clone(&document), Arc::new(OnceLock::new()));
            get(move || {
                let text = text.get_or_init(|| Bytes::from(write(&document))).clone();
                async move { ([(header::CONTENT_TYPE, media_type)], text) }
            })
        };
        Router::new()
            .route("/openapi.json", serve("application/json", Self::json))
            .route("/openapi.yaml", serve("application/yaml", Self::yaml))
            .route("/openapi-3.0.json", serve("application/json", |own| pretty(&openapi_3_0::rendition(&own.0))))
    }
}

/// A line of YAML; in quotes, if readers of YAML 1.1 give its text a meaning of its own: an equals sign, a date-time.
fn quoted(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((before, text)) if text == "=" || text.parse::<Timestamp>().is_ok() => format!("{before} '{text}'\n"),
        _ => format!("{line}\n"),
    }
}

fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// Says what utoipa means, in the way the published contract says it.
fn tidy(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(members) => {
            members.values_mut().for_each(tidy);
            drop_null(members);
            join_description(members);
            // Names are texts anyway.
            members.remove("propertyNames");
        }
        _ => {}
    }
}

/// Optional members are absent, never null; utoipa says `null` wherever Rust says `Option`.
fn drop_null(members: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(branches)) = members.get_mut("oneOf") else { return };
    branches.retain(|branch| branch != &json!({"type": "null"}));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        members.remove("oneOf");
        for (name, value) in only {
            members.entry(name).or_insert(value);
        }
    }
}

/// A required inline schema with a description comes as two schemas, the second an object of nothing but the
/// description.
fn join_description(members: &mut Map<String, Value>) {
    let Some(Value::Array(parts)) = members.get("allOf") else { return };
    let [Value::Object(schema), Value::Object(described)] = parts.as_slice() else { return };
    if described.len() != 2 || described.get("type") != Some(&json!("object")) {
        return;
    }
    let (schema, description) = (schema.clone(), described.get("description").cloned());
    members.remove("allOf");
    members.extend(schema);
    members.extend(description.map(|text| ("description".to_owned(), text)));
}
