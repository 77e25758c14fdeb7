//! Operations on environments.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};

use super::document::ENVIRONMENTS;
use super::extract::{ClientPrefix, PathId, ValidJson, version_7};
use super::paging::small;
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    BatchDelete, EnvironmentPagePublic, EnvironmentPublic, EnvironmentUpdate, EnvironmentWrite, ErrorMessage, Id,
    ShortText,
};
use crate::store::{Caller, EnvironmentChange, Manage};

/// What the list is sorted by.
const SORTABLE: [&str; 1] = ["created_at"];

/// Find environments
///
/// All environments of the workspace, the oldest first: at most 100 unless the server is set up otherwise.
#[utoipa::path(
    get, path = "/v1/private/environments", operation_id = "findEnvironments", tag = ENVIRONMENTS,
    responses(
        (status = 200, description = "Environments page", body = EnvironmentPagePublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn find_environments(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<EnvironmentPagePublic>, ApiError> {
    let content = state.store.environments(&caller.workspace, None).await?;
    let size = small(content.len() as u64);
    Ok(Json(EnvironmentPagePublic {
        page: 1,
        size,
        total: size.into(),
        content,
        sortable_by: &SORTABLE,
        sortable_by_original: &SORTABLE,
    }))
}

/// Create environment
///
/// Environments are also made by the first span or trace that names them. `Location` names it.
#[utoipa::path(
    post, path = "/v1/private/environments", operation_id = "createEnvironment", tag = ENVIRONMENTS,
    request_body = EnvironmentWrite,
    responses(
        (status = 201, description = "Created",
            headers(("Location" = String, description = "Address of the environment"))),
        (status = 409, description = "There is an environment of this name or id, or there are too many",
            body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn create_environment(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    ValidJson(body): ValidJson<EnvironmentWrite>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let EnvironmentWrite { id, name, description, color, position } = body.value;
    let Some(name) = name else { return Err(ApiError::Internal) };
    let id = match id {
        Some(id) => version_7("environment", id, Some("/id"))?,
        None => state.clock.fresh_id(),
    };
    let color = color.unwrap_or_else(|| ShortText(name.color().to_owned()));
    let position = position.map_or(0, |position| position.0);
    let max = state.limits.text.environments_max;
    let change = EnvironmentChange::Create { id, name, description, color, position, max };
    state.ingest.manage(caller, Manage::Environment(change)).await??;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("{prefix}/v1/private/environments/{id}"))]))
}

/// Get environment by id
///
/// One environment of the workspace.
#[utoipa::path(
    get, path = "/v1/private/environments/{id}", operation_id = "getEnvironmentById", tag = ENVIRONMENTS,
    params(("id" = inline(Id), Path, description = "The environment")),
    responses(
        (status = 200, description = "Environment", body = EnvironmentPublic),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_environment_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<EnvironmentPublic>, ApiError> {
    let found = state.store.environments(&caller.workspace, Some(id)).await?.pop();
    found.map(Json).ok_or_else(|| ApiError::NotFound("Environment not found".to_owned()))
}

/// Update environment by id
///
/// Changes what is stated. Spans and traces keep the name that they were sent with.
#[utoipa::path(
    patch, path = "/v1/private/environments/{id}", operation_id = "updateEnvironment", tag = ENVIRONMENTS,
    params(("id" = inline(Id), Path, description = "The environment")),
    request_body = EnvironmentUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = 409, description = "Another environment has this name", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_environment(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<EnvironmentUpdate>,
) -> Result<StatusCode, ApiError> {
    let EnvironmentUpdate { name, description, color, position } = body.value;
    let position = position.map(|position| position.0);
    state
        .ingest
        .manage(caller, Manage::Environment(EnvironmentChange::Update { id, name, description, color, position }))
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete environments
///
/// Unknown ids are passed over. Spans and traces keep the name that they were sent with.
#[utoipa::path(
    post, path = "/v1/private/environments/delete", operation_id = "deleteEnvironmentsBatch", tag = ENVIRONMENTS,
    request_body = BatchDelete,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_environments_batch(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<BatchDelete>,
) -> Result<StatusCode, ApiError> {
    let Some(ids) = body.value.ids else { return Err(ApiError::Internal) };
    state.ingest.manage(caller, Manage::Environment(EnvironmentChange::Delete(ids.0))).await??;
    Ok(StatusCode::NO_CONTENT)
}
