//! Who asks, and how the workspace likes things shown: what clients want to know when they start.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::document::{CHECK, WORKSPACE_PERMISSIONS, WORKSPACES};
use super::extract::{OptionalJson, ValidJson};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    AuthDetailsHolder, BothSpellings, ErrorMessage, OpikVersion, WorkspaceConfiguration, WorkspaceNameHolder,
    WorkspaceUserPermissions, WorkspaceVersion,
};
use crate::store::{Caller, Manage};

/// Check user access to workspace
///
/// There is no authentication: everyone has access to every workspace.
#[utoipa::path(
    post, path = "/v1/private/auth", operation_id = "checkAccess", tag = CHECK,
    request_body = Option<AuthDetailsHolder>,
    responses(
        (status = 204, description = "No Content"),
        (status = 401, description = "Bad Request", body = ErrorMessage),
        (status = 403, description = "Access forbidden", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn check_access(_caller: Caller, _body: OptionalJson<AuthDetailsHolder>) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// User's default workspace name
///
/// The workspace that the request names: links that are made of it lead to where its data are.
#[utoipa::path(
    get, path = "/v1/private/auth/workspace", operation_id = "getWorkspaceName", tag = CHECK,
    responses(
        (status = 200, description = "Authentication resource", body = WorkspaceNameHolder),
        (status = 401, description = "Bad Request", body = ErrorMessage),
        (status = 403, description = "Access forbidden", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_workspace_name(caller: Caller) -> Json<WorkspaceNameHolder> {
    Json(WorkspaceNameHolder { workspace_name: caller.workspace.to_string() })
}

/// Get workspace permissions for the authenticated user
///
/// There is no authentication: everything may be done, and nothing is listed.
#[utoipa::path(
    get, path = "/v1/private/workspace-permissions", operation_id = "getWorkspaceUserPermissions",
    tag = WORKSPACE_PERMISSIONS,
    responses(
        (status = 200, description = "Workspace Permissions", body = WorkspaceUserPermissions),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = 401, description = "Unauthorized", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_workspace_user_permissions(caller: Caller) -> Json<BothSpellings<WorkspaceUserPermissions>> {
    Json(BothSpellings(WorkspaceUserPermissions {
        user_name: caller.user.to_string(),
        workspace_name: caller.workspace.to_string(),
        permissions: Vec::new(),
    }))
}

/// Get workspace version
///
/// How user interfaces show the workspace: by project.
#[utoipa::path(
    get, path = "/v1/private/workspaces/versions", operation_id = "getWorkspaceVersion", tag = WORKSPACES,
    responses(
        (status = 200, description = "Workspace version", body = WorkspaceVersion),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_workspace_version(_caller: Caller) -> Json<WorkspaceVersion> {
    Json(WorkspaceVersion { opik_version: OpikVersion::Version2 })
}

/// Get workspace configuration
///
/// How the workspace likes things shown, if that was set.
#[utoipa::path(
    get, path = "/v1/private/workspaces/configurations", operation_id = "getWorkspaceConfiguration", tag = WORKSPACES,
    responses(
        (status = 200, description = "Workspace Configuration", body = WorkspaceConfiguration),
        (status = 404, description = "Configuration Not Found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_workspace_configuration(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<WorkspaceConfiguration>, ApiError> {
    let found = state.store.configuration(&caller.workspace).await?;
    found.map(Json).ok_or_else(|| ApiError::NotFound("No workspace configuration found for workspace".to_owned()))
}

/// Upsert workspace configuration
///
/// Replaces the configuration: what is left out is not set any more.
#[utoipa::path(
    put, path = "/v1/private/workspaces/configurations", operation_id = "upsertWorkspaceConfiguration",
    tag = WORKSPACES,
    request_body = WorkspaceConfiguration,
    responses(
        (status = 200, description = "Configuration Updated", body = WorkspaceConfiguration),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = 422, description = "Unprocessable Content", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn upsert_workspace_configuration(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<WorkspaceConfiguration>,
) -> Result<Json<WorkspaceConfiguration>, ApiError> {
    let configuration = body.value;
    state.ingest.manage(caller, Manage::Configuration(Some(Box::new(configuration.clone())))).await??;
    Ok(Json(configuration))
}

/// Delete workspace configuration
///
/// One that is not there is gone already.
#[utoipa::path(
    delete, path = "/v1/private/workspaces/configurations", operation_id = "deleteWorkspaceConfiguration",
    tag = WORKSPACES,
    responses(
        (status = 204, description = "Configuration Deleted"),
        (status = 404, description = "Configuration Not Found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_workspace_configuration(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    state.ingest.manage(caller, Manage::Configuration(None)).await??;
    Ok(StatusCode::NO_CONTENT)
}
