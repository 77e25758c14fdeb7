//! The OpenAPI document: generated from the routes, finished here, served and committed.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// Tag of the operations on spans.
pub(super) const SPANS: &str = "Spans";
/// Tag of the operations that tell how the server is.
pub(super) const CHECK: &str = "Check";

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
        (name = SPANS, description = "Span related resources"),
        (name = CHECK, description = "Whether the server is there, and well"),
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

/// Properties that only answers have, but whose mark is lost on lists and maps.
const READ_ONLY: [(&str, &str); 4] = [
    ("FeedbackScore", "value_by_author"),
    ("Span_Public", "feedback_scores"),
    ("Span_Public", "comments"),
    ("FeedbackScore_Public", "value_by_author"),
];

impl Document {
    /// Finishes what utoipa generates.
    pub(super) fn finish(generated: &OpenApi) -> Self {
        // A document that serialises is the only kind utoipa builds. Going through a value also sorts its keys.
        let mut document = serde_json::to_value(generated).unwrap_or_default();
        tidy(&mut document);
        document["security"] = json!([]);
        for path in ["/v1/private/spans", "/v1/private/spans/{id}/comments"] {
            document["paths"][path]["post"]["responses"]["201"]["headers"]["Location"]["required"] = json!(true);
        }
        for (schema, property) in READ_ONLY {
            document["components"]["schemas"][schema]["properties"][property]["readOnly"] = json!(true);
        }
        // The published document says of these answers that they are JSON and nothing more.
        for (path, statuses) in [("/is-alive/ping", &["default", "503"][..]), ("/is-alive/ver", &["default"])] {
            for status in statuses {
                document["paths"][path]["get"]["responses"][status]["content"] = json!({"application/json": {}});
            }
        }
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
        let mut text = serde_json::to_string_pretty(&self.0).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As YAML text.
    #[must_use]
    pub fn yaml(&self) -> String {
        // In the order in which people read it.
        const ORDER: [&str; 7] = ["openapi", "info", "servers", "tags", "security", "paths", "components"];
        let part = |name: &str| yaml_serde::to_string(&json!({name: self.0[name]})).unwrap_or_default();
        let text: String = ORDER.into_iter().map(part).collect();
        // Readers of YAML 1.1 give a bare equals sign a meaning of its own.
        text.replace("- =\n", "- '='\n")
    }

    /// The addresses at which it is read and explored.
    pub(super) fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let serve = |media_type: &'static str, text: String| {
            let text = Bytes::from(text);
            get(move || async move { ([(header::CONTENT_TYPE, media_type)], text) })
        };
        Router::new()
            .route("/openapi.json", serve("application/json", self.json()))
            .route("/openapi.yaml", serve("application/yaml", self.yaml()))
            .merge(Router::from(SwaggerUi::new("/swagger-ui").config(
                utoipa_swagger_ui::Config::from("../openapi.json").try_it_out_enabled(true).validator_url("none"),
            )))
    }
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
