//! Whether the server is there, and well.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::document::CHECK;
use crate::app::{AppState, VERSION};
use crate::error::ApiError;
use crate::model::ErrorMessage;

/// Is alive
///
/// Answers 200 while writes can be taken. SDKs ask every few seconds and keep their data to themselves as long as the
/// answer is anything else.
#[utoipa::path(
    get, path = "/is-alive/ping", operation_id = "isAlive", tag = CHECK,
    responses(
        (status = "default", description = "`{\"message\":\"Healthy Server\",\"healthy\":true}`", content_type = "application/json"),
        (status = 503, description = "Nothing can be stored now: `{\"message\":\"Not Healthy\",\"healthy\":false}`", content_type = "application/json"),
    )
)]
pub(super) async fn is_alive(State(state): State<AppState>) -> (StatusCode, Json<Alive>) {
    match state.ingest.trouble() {
        None => (StatusCode::OK, Json(Alive { message: "Healthy Server", healthy: true })),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(Alive { message: "Not Healthy", healthy: false })),
    }
}

/// As the original answers it.
#[derive(Debug, Serialize)]
pub(super) struct Alive {
    message: &'static str,
    healthy: bool,
}

/// Version
///
/// The version of the server.
#[utoipa::path(
    get, path = "/is-alive/ver", operation_id = "version", tag = CHECK,
    responses((status = "default", description = "`{\"version\":\"…\"}`", content_type = "application/json"))
)]
pub(super) async fn version() -> Json<Version> {
    Json(Version { version: VERSION })
}

/// As the original answers it.
#[derive(Debug, Serialize)]
pub(super) struct Version {
    version: &'static str,
}

/// Health
///
/// Asks the database, and tells what stands in the way of writing to it.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = CHECK,
    responses(
        (status = 200, description = "All is well", body = Health),
        (status = 503, description = "The database does not answer, or cannot be written", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn health(State(state): State<AppState>) -> Result<Json<Health>, ApiError> {
    state.store.check().await?;
    if let Some(reason) = state.ingest.trouble() {
        return Err(ApiError::Unavailable(reason));
    }
    Ok(Json(Health { status: "ok", version: VERSION }))
}

/// A server that is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`
    #[schema(value_type = String)]
    status: &'static str,
    /// The version of the server.
    #[schema(value_type = String)]
    version: &'static str,
}
