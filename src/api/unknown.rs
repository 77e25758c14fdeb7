//! Answers to what is not there.

use axum::http::Uri;

use crate::error::ApiError;

/// Areas of Opik's API that are not implemented, by the first segment of their paths: a client is told so by name.
const AREAS: [&str; 34] = [
    "agent-configs",
    "agent-insights",
    "alerts",
    "annotation-queues",
    "assertion-results",
    "attachment",
    "auth",
    "automations",
    "chat",
    "dashboards",
    "datasets",
    "environments",
    "experiments",
    "feedback-definitions",
    "guardrails",
    "insights-views",
    "llm",
    "llm-provider-key",
    "local-runners",
    "manual-evaluation",
    "ollama",
    "ollie",
    "optimizations",
    "otel",
    "pairing",
    "projects",
    "prompts",
    "report-failures",
    "retention",
    "toggles",
    "traces",
    "welcome-wizard",
    "workspace-permissions",
    "workspaces",
];

pub(super) async fn path(uri: Uri) -> ApiError {
    let area = uri.path().strip_prefix("/v1/private/").and_then(|rest| rest.split('/').next());
    match area {
        Some(area) if AREAS.contains(&area) => {
            ApiError::NotFound(format!("HTTP 404 Not Found: Spandrel does not implement Opik's {area:?} API"))
        }
        Some("spans") => {
            ApiError::NotFound("HTTP 404 Not Found: not an operation on spans that is implemented".to_owned())
        }
        _ => ApiError::NotFound("HTTP 404 Not Found".to_owned()),
    }
}

pub(super) async fn method() -> ApiError {
    ApiError::MethodNotAllowed
}
