//! Operations on the comments of spans, traces and threads.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};

use super::document::{SPANS, TRACES};
use super::extract::{ClientPrefix, PathId, ValidJson};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{BatchDelete, Comment, CommentCreated, ErrorMessage, Id};
use crate::record::{Entity, Target};
use crate::store::{Caller, Change, Submission};

type Made = (StatusCode, [(HeaderName, String); 1], Json<CommentCreated>);

/// Makes a comment; `place` is the address of what it is about, without its prefix.
async fn add(state: AppState, caller: Caller, target: Target, place: &str, body: Comment) -> Result<Made, ApiError> {
    let Comment { text, source_queue_id, .. } = body;
    let Some(text) = text else { return Err(ApiError::Internal) };
    let id = state.clock.fresh_id();
    let change = Change::AddComment { target, id, text: text.0, queue_id: source_queue_id };
    state.ingest.submit(Submission { caller, change }).await?;
    let location = format!("{place}/{}/comments/{id}", target.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(CommentCreated { id })))
}

async fn get(
    state: AppState,
    caller: Caller,
    entity: Entity,
    (about, id): (String, String),
) -> Result<Json<Comment>, ApiError> {
    let path = |text: &str| text.parse().map_err(|_| ApiError::NotFound("HTTP 404 Not Found".to_owned()));
    let (about, id): (Id, Id) = (path(&about)?, path(&id)?);
    let comment = state.store.comment(&caller.workspace, Target { entity, id: about }, id).await?;
    let comment = comment.ok_or_else(|| ApiError::NotFound(format!("Comment id: {id} not found")))?;
    Ok(Json(comment.into()))
}

async fn update(state: AppState, caller: Caller, id: Id, body: Comment) -> Result<StatusCode, ApiError> {
    let Some(text) = body.text else { return Err(ApiError::Internal) };
    state.ingest.submit(Submission { caller, change: Change::UpdateComment { id, text: text.0 } }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(state: AppState, caller: Caller, body: BatchDelete) -> Result<StatusCode, ApiError> {
    let Some(ids) = body.ids else { return Err(ApiError::Internal) };
    state.ingest.submit(Submission { caller, change: Change::DeleteComments(ids.0) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add span comment
///
/// Adds a comment to a span. `Location` and the body name it.
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
    PathId(id): PathId,
    ValidJson(body): ValidJson<Comment>,
) -> Result<Made, ApiError> {
    let target = Target { entity: Entity::Span, id };
    add(state, caller, target, &format!("{prefix}/v1/private/spans"), body.value).await
}

/// Get span comment
///
/// One comment of a span.
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
    Path(ids): Path<(String, String)>,
) -> Result<Json<Comment>, ApiError> {
    get(state, caller, Entity::Span, ids).await
}

/// Update span comment by id
///
/// Replaces the text of a comment.
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
    update(state, caller, id, body.value).await
}

/// Delete span comments
///
/// Deletes up to 1,000 comments. Those that are not there are gone already.
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
    delete(state, caller, body.value).await
}

/// Add trace comment
///
/// Adds a comment to a trace. `Location` and the body name it.
#[utoipa::path(
    post, path = "/v1/private/traces/{id}/comments", operation_id = "addTraceComment", tag = TRACES,
    params(("id" = inline(Id), Path, description = "The trace")),
    request_body = Comment,
    responses(
        (status = 201, description = "Created", body = CommentCreated,
            headers(("Location" = String, description = "Address of the comment"))),
        (status = 404, description = "There is no such trace", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn add_trace_comment(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    PathId(id): PathId,
    ValidJson(body): ValidJson<Comment>,
) -> Result<Made, ApiError> {
    let target = Target { entity: Entity::Trace, id };
    add(state, caller, target, &format!("{prefix}/v1/private/traces"), body.value).await
}

/// Get trace comment
///
/// One comment of a trace.
#[utoipa::path(
    get, path = "/v1/private/traces/{traceId}/comments/{commentId}", operation_id = "getTraceComment", tag = TRACES,
    params(
        ("traceId" = inline(Id), Path, description = "The trace"),
        ("commentId" = inline(Id), Path, description = "The comment"),
    ),
    responses(
        (status = 200, description = "Comment resource", body = Comment),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_trace_comment(
    State(state): State<AppState>,
    caller: Caller,
    Path(ids): Path<(String, String)>,
) -> Result<Json<Comment>, ApiError> {
    get(state, caller, Entity::Trace, ids).await
}

/// Update trace comment by id
///
/// Replaces the text of a comment.
#[utoipa::path(
    patch, path = "/v1/private/traces/comments/{commentId}", operation_id = "updateTraceComment", tag = TRACES,
    params(("commentId" = inline(Id), Path, description = "The comment")),
    request_body = Comment,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_trace_comment(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<Comment>,
) -> Result<StatusCode, ApiError> {
    update(state, caller, id, body.value).await
}

/// Delete trace comments
///
/// Deletes up to 1,000 comments. Those that are not there are gone already.
#[utoipa::path(
    post, path = "/v1/private/traces/comments/delete", operation_id = "deleteTraceComments", tag = TRACES,
    request_body = BatchDelete,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_trace_comments(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<BatchDelete>,
) -> Result<StatusCode, ApiError> {
    delete(state, caller, body.value).await
}

/// Add thread comment
///
/// Adds a comment to a thread. `Location` and the body name it.
#[utoipa::path(
    post, path = "/v1/private/traces/threads/{id}/comments", operation_id = "addThreadComment", tag = TRACES,
    params(("id" = inline(Id), Path, description = "The thread's own id, `thread_model_id`")),
    request_body = Comment,
    responses(
        (status = 201, description = "Created", body = CommentCreated,
            headers(("Location" = String, description = "Address of the comment"))),
        (status = 404, description = "There is no such thread", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn add_thread_comment(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    PathId(id): PathId,
    ValidJson(body): ValidJson<Comment>,
) -> Result<Made, ApiError> {
    let target = Target { entity: Entity::Thread, id };
    add(state, caller, target, &format!("{prefix}/v1/private/traces/threads"), body.value).await
}

/// Get thread comment
///
/// One comment of a thread.
#[utoipa::path(
    get, path = "/v1/private/traces/threads/{threadId}/comments/{commentId}", operation_id = "getThreadComment", tag = TRACES,
    params(
        ("threadId" = inline(Id), Path, description = "The thread's own id, `thread_model_id`"),
        ("commentId" = inline(Id), Path, description = "The comment"),
    ),
    responses(
        (status = 200, description = "Comment resource", body = Comment),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_thread_comment(
    State(state): State<AppState>,
    caller: Caller,
    Path(ids): Path<(String, String)>,
) -> Result<Json<Comment>, ApiError> {
    get(state, caller, Entity::Thread, ids).await
}

/// Update thread comment by id
///
/// Replaces the text of a comment.
#[utoipa::path(
    patch, path = "/v1/private/traces/threads/comments/{commentId}", operation_id = "updateThreadComment", tag = TRACES,
    params(("commentId" = inline(Id), Path, description = "The comment")),
    request_body = Comment,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_thread_comment(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<Comment>,
) -> Result<StatusCode, ApiError> {
    update(state, caller, id, body.value).await
}

/// Delete thread comments
///
/// Deletes up to 1,000 comments. Those that are not there are gone already.
#[utoipa::path(
    post, path = "/v1/private/traces/threads/comments/delete", operation_id = "deleteThreadComments", tag = TRACES,
    request_body = BatchDelete,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_thread_comments(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<BatchDelete>,
) -> Result<StatusCode, ApiError> {
    delete(state, caller, body.value).await
}
