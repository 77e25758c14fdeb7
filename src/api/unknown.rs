//! Answers to what is not there.

use axum::http::Uri;

use super::test_api;
use crate::error::ApiError;

/// Areas of Opik's API that are not implemented, by the first segment of their paths: a client is told so by name.
const AREAS: [&str; 25] = [
    "agent-configs",
    "agent-insights",
    "alerts",
    "annotation-queues",
    "assertion-results",
    "automations",
    "chat",
    "dashboards",
    "datasets",
    "experiments",
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
    "prompts",
    "report-failures",
    "retention",
    "welcome-wizard",
];

/// Areas of which some operations are there.
const PARTS: [&str; 10] = [
    "attachment",
    "auth",
    "environments",
    "feedback-definitions",
    "projects",
    "spans",
    "toggles",
    "traces",
    "workspace-permissions",
    "workspaces",
];

pub(super) async fn path(uri: Uri) -> ApiError {
    let path = uri.path();
    let area = path.strip_prefix("/v1/private/").and_then(|rest| rest.split('/').next());
    let redirect = path.strip_prefix("/v1/session/redirect/");
    if path.starts_with(test_api::PREFIX) {
        return ApiError::NotFound("HTTP 404 Not Found: operations for tests are served with --test-api".to_owned());
    }
    match area.or(redirect) {
        Some(area) if AREAS.contains(&area) => {
            ApiError::NotFound(format!("HTTP 404 Not Found: Spandrel does not implement Opik's {area:?} API"))
        }
        Some(area) if PARTS.contains(&area) => {
            ApiError::NotFound(format!("HTTP 404 Not Found: not an operation on {area} that is implemented"))
        }
        _ => ApiError::NotFound("HTTP 404 Not Found".to_owned()),
    }
}

pub(super) async fn method() -> ApiError {
    ApiError::MethodNotAllowed
}
