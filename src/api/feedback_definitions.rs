//! Operations on feedback definitions.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::document::FEEDBACK_DEFINITIONS;
use super::extract::{ClientPrefix, PathId, ValidJson, ValidQuery};
use super::paging::{PageQuery, small};
use super::query::optional;
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    BatchDelete, ErrorMessage, FeedbackCreate, FeedbackDefinitionPagePublic, FeedbackPublic, FeedbackType,
    FeedbackUpdate, Id,
};
use crate::store::{Caller, DefinitionChange, DefinitionQuery, Manage};

/// A type's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypeName(FeedbackType);

impl FromStr for TypeName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quoted = serde_json::Value::String(text.to_owned());
        serde_json::from_value(quoted).map(Self).map_err(|_| "numerical, categorical or boolean")
    }
}

/// Parameters of [`find_feedback_definitions`] beside its page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FindQuery {
    /// Filter feedback definitions by name (partial match, case insensitive)
    #[serde(default)]
    #[param(required = false)]
    name: Option<String>,
    /// Only of this type.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<FeedbackType>, inline, required = false)]
    r#type: Option<TypeName>,
}

/// Find Feedback definitions
///
/// A page of definitions, the newest first. `total` counts all that match.
#[utoipa::path(
    get, path = "/v1/private/feedback-definitions", operation_id = "findFeedbackDefinitions",
    tag = FEEDBACK_DEFINITIONS,
    params(PageQuery, FindQuery),
    responses(
        (status = 200, description = "Feedback definitions resource", body = FeedbackDefinitionPagePublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn find_feedback_definitions(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
    ValidQuery(FindQuery { name, r#type }): ValidQuery<FindQuery>,
) -> Result<Json<FeedbackDefinitionPagePublic>, ApiError> {
    let page = page.read()?;
    let query = DefinitionQuery {
        workspace: caller.workspace.to_string(),
        name: name.filter(|name| !name.is_empty()),
        kind: r#type.map(|name| name.0),
        limit: page.limit,
        offset: page.offset,
    };
    let (content, total) = state.store.definitions(query).await?;
    Ok(Json(FeedbackDefinitionPagePublic {
        page: page.number,
        size: small(content.len() as u64),
        total: i64::try_from(total).unwrap_or(i64::MAX),
        content,
    }))
}

/// Create feedback definition
///
/// Says which scores people can give, and how. `Location` names it.
#[utoipa::path(
    post, path = "/v1/private/feedback-definitions", operation_id = "createFeedbackDefinition",
    tag = FEEDBACK_DEFINITIONS,
    request_body = FeedbackCreate,
    responses(
        (status = 201, description = "Created",
            headers(("Location" = String, description = "Address of the definition"))),
        (status = 409, description = "There is a definition of this name, in whatever letter case",
            body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn create_feedback_definition(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    ValidJson(body): ValidJson<FeedbackCreate>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let Some(definition) = body.value.0.definition() else { return Err(ApiError::Internal) };
    let id = state.clock.fresh_id();
    state.ingest.manage(caller, Manage::Definition(DefinitionChange::Create(id, definition))).await??;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("{prefix}/v1/private/feedback-definitions/{id}"))]))
}

/// Get feedback definition by id
///
/// One feedback definition of the workspace.
#[utoipa::path(
    get, path = "/v1/private/feedback-definitions/{id}", operation_id = "getFeedbackDefinitionById",
    tag = FEEDBACK_DEFINITIONS,
    params(("id" = inline(Id), Path, description = "The definition")),
    responses(
        (status = 200, description = "Feedback definition resource", body = FeedbackPublic),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_feedback_definition_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<FeedbackPublic>, ApiError> {
    let found = state.store.definition(&caller.workspace, id).await?;
    found.map(Json).ok_or_else(|| ApiError::NotFound("Feedback definition not found".to_owned()))
}

/// Update feedback definition by id
///
/// Replaces all that it says. Scores that were given stay as they are.
#[utoipa::path(
    put, path = "/v1/private/feedback-definitions/{id}", operation_id = "updateFeedbackDefinition",
    tag = FEEDBACK_DEFINITIONS,
    params(("id" = inline(Id), Path, description = "The definition")),
    request_body = FeedbackUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = 409, description = "Another definition has this name, in whatever letter case", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_feedback_definition(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<FeedbackUpdate>,
) -> Result<StatusCode, ApiError> {
    let Some(definition) = body.value.0.definition() else { return Err(ApiError::Internal) };
    state.ingest.manage(caller, Manage::Definition(DefinitionChange::Update(id, definition))).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete feedback definition by id
///
/// Scores that were given stay as they are. A definition that is not there is gone already; "User feedback" stays.
#[utoipa::path(
    delete, path = "/v1/private/feedback-definitions/{id}", operation_id = "deleteFeedbackDefinitionById",
    tag = FEEDBACK_DEFINITIONS,
    params(("id" = inline(Id), Path, description = "The definition")),
    responses(
        (status = 204, description = "No Content"),
        (status = 409, description = "The definition is not to be deleted", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_feedback_definition_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    state.ingest.manage(caller, Manage::Definition(DefinitionChange::Delete(vec![id]))).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete feedback definitions
///
/// All of them or none. Unknown ids are passed over.
#[utoipa::path(
    post, path = "/v1/private/feedback-definitions/delete", operation_id = "deleteFeedbackDefinitionsBatch",
    tag = FEEDBACK_DEFINITIONS,
    request_body = BatchDelete,
    responses(
        (status = 204, description = "No Content"),
        (status = 409, description = "One of them is not to be deleted", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_feedback_definitions_batch(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<BatchDelete>,
) -> Result<StatusCode, ApiError> {
    let Some(ids) = body.value.ids else { return Err(ApiError::Internal) };
    state.ingest.manage(caller, Manage::Definition(DefinitionChange::Delete(ids.0))).await??;
    Ok(StatusCode::NO_CONTENT)
}
