//! Operations on the comments of spans.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};

use super::document::SPANS;
use super::extract::{ClientPrefix, PathId, ValidJson};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{BatchDelete, Comment, CommentCreated, ErrorMessage, Id};
use crate::store::{Caller, Change, Submission};

/// Add span comment
#[utoipa::path(
    post, path = "/v1/private/spans/{id}/comments", operation_id = "addSpanComment", tag = SPANS,
    params(("id" = inline(Id), Path, description = "The span")),
    request_body = Comment,
    responses(
        (status = 201, description = "Created", body = CommentCreated,
            headers(("Location" = String, description = "Address of the comment"))),
        (status = 404, description = "There is no such span", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn add_span_comment(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    PathId(span_id): PathId,
    ValidJson(body): ValidJson<Comment>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<CommentCreated>), ApiError> {
    let Comment { text, source_queue_id, .. } = body.value;
    let Some(text) = text else { return Err(ApiError::Internal) };
    let id = state.clock.fresh_id();
    let change = Change::AddComment { span_id, id, text: text.0, queue_id: source_queue_id };
    state.ingest.submit(Submission { caller, change }).await?;
    let location = format!("{prefix}/v1/private/spans/{span_id}/comments/{id}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(CommentCreated { id })))
}

/// Get span comment
#[utoipa::path(
    get, path = "/v1/private/spans/{spanId}/comments/{commentId}", operation_id = "getSpanComment", tag = SPANS,
    params(
        ("spanId" = inline(Id), Path, description = "The span"),
        ("commentId" = inline(Id), Path, description = "The comment"),
    ),
    responses(
        (status = 200, description = "Comment resource", body = Comment),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_span_comment(
    State(state): State<AppState>,
    caller: Caller,
    Path((span_id, id)): Path<(String, String)>,
) -> Result<Json<Comment>, ApiError> {
    let path = |text: &str| text.parse().map_err(|_| ApiError::NotFound("HTTP 404 Not Found".to_owned()));
    let (span_id, id): (Id, Id) = (path(&span_id)?, path(&id)?);
    let comment = state.store.comment(&caller.workspace, span_id, id).await?;
    let comment = comment.ok_or_else(|| ApiError::NotFound(format!("Comment id: {id} not found")))?;
    Ok(Json(comment.into()))
}

/// Update span comment by id
#[utoipa::path(
    patch, path = "/v1/private/spans/comments/{commentId}", operation_id = "updateSpanComment", tag = SPANS,
    params(("commentId" = inline(Id), Path, description = "The comment")),
    request_body = Comment,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_span_comment(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<Comment>,
) -> Result<StatusCode, ApiError> {
    let Some(text) = body.value.text else { return Err(ApiError::Internal) };
    state.ingest.submit(Submission { caller, change: Change::UpdateComment { id, text: text.0 } }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete span comments
#[utoipa::path(
    post, path = "/v1/private/spans/comments/delete", operation_id = "deleteSpanComments", tag = SPANS,
    request_body = BatchDelete,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_span_comments(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<BatchDelete>,
) -> Result<StatusCode, ApiError> {
    let Some(ids) = body.value.ids else { return Err(ApiError::Internal) };
    state.ingest.submit(Submission { caller, change: Change::DeleteComments(ids.0) }).await?;
    Ok(StatusCode::NO_CONTENT)
}
