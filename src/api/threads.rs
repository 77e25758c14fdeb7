//! Operations on threads.

pub(super) mod read;

use axum::extract::State;
use axum::http::StatusCode;

use super::document::TRACES;
use super::extract::{PathId, ValidJson};
use super::query::named_project;
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    DeleteTraceThreads, ErrorMessage, Id, TraceThreadBatchIdentifier, TraceThreadBatchUpdate, TraceThreadIdentifier,
    TraceThreadUpdate,
};
use crate::record::{ProjectRef, TagChange};
use crate::store::{Caller, Change, Submission};

/// The project that a body names, which must name one; `otherwise` is what it is told.
fn project(id: Option<Id>, name: Option<String>, otherwise: &str) -> Result<ProjectRef, ApiError> {
    named_project(id, name).map_err(|_| ApiError::unprocessable("/project_id", "", otherwise))
}

/// What is told where a thread is named without its project: the original has two sentences for it.
const NO_PROJECT: &str = "The request body must provide either a project_name or a project_id";
const NO_PROJECT_TO_CHANGE: &str = "The request body Either 'projectName' or 'projectId' must be provided.";

/// Open trace thread
///
/// The conversation goes on. It is inactive again once nothing is heard of it for a while.
#[utoipa::path(
    put, path = "/v1/private/traces/threads/open", operation_id = "openTraceThread", tag = TRACES,
    request_body = TraceThreadIdentifier,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn open_trace_thread(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceThreadIdentifier>,
) -> Result<StatusCode, ApiError> {
    let TraceThreadIdentifier { project_name, project_id, thread_id, .. } = body.value;
    let Some(thread_id) = thread_id else { return Err(ApiError::Internal) };
    let project = project(project_id, project_name, NO_PROJECT_TO_CHANGE)?;
    let change = Change::OpenThread { project, thread_id: thread_id.0 };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Close trace thread(s)
///
/// Up to 1,000 conversations are at an end, all of them or none. A later trace of one opens it again.
#[utoipa::path(
    put, path = "/v1/private/traces/threads/close", operation_id = "closeTraceThread", tag = TRACES,
    request_body = TraceThreadBatchIdentifier,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn close_trace_thread(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceThreadBatchIdentifier>,
) -> Result<StatusCode, ApiError> {
    let TraceThreadBatchIdentifier { project_name, project_id, thread_id, thread_ids } = body.value;
    let project = project(project_id, project_name, NO_PROJECT_TO_CHANGE)?;
    let thread_ids = match (thread_id.filter(|text| !text.trim().is_empty()), thread_ids) {
        (Some(thread_id), None) => vec![thread_id],
        (None, Some(thread_ids)) => thread_ids.0,
        (None, None) => {
            let message = "The request body Either 'threadId' or 'threadIds' must be provided.";
            return Err(ApiError::unprocessable("/thread_id", "", message));
        }
        (Some(_), Some(_)) => {
            let message = "The request body Cannot provide both 'threadId' and 'threadIds'. Use 'threadId' for single \
                           operations or 'threadIds' for batch operations.";
            return Err(ApiError::unprocessable("/thread_ids", "", message));
        }
    };
    state.ingest.submit(Submission { caller, change: Change::CloseThreads { project, thread_ids } }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Update thread
///
/// Changes the thread's own tags.
#[utoipa::path(
    patch, path = "/v1/private/traces/threads/{threadModelId}", operation_id = "updateThread", tag = TRACES,
    params(("threadModelId" = inline(Id), Path, description = "The thread's own id, `thread_model_id`")),
    request_body = TraceThreadUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_thread(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<TraceThreadUpdate>,
) -> Result<StatusCode, ApiError> {
    let tags = TagChange::of(body.value, false);
    state.ingest.submit(Submission { caller, change: Change::UpdateThread { id, tags } }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Batch update threads
///
/// Changes the own tags of up to 1,000 threads alike, all of them or none. Unknown ids are passed over.
#[utoipa::path(
    patch, path = "/v1/private/traces/threads/batch", operation_id = "batchUpdateThreads", tag = TRACES,
    request_body = TraceThreadBatchUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn batch_update_threads(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceThreadBatchUpdate>,
) -> Result<StatusCode, ApiError> {
    let TraceThreadBatchUpdate { ids, update, merge_tags } = body.value;
    let (Some(ids), Some(update)) = (ids, update) else { return Err(ApiError::Internal) };
    let tags = TagChange::of(update, merge_tags == Some(true));
    state.ingest.submit(Submission { caller, change: Change::UpdateThreads { ids: ids.0, tags } }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete trace threads
///
/// Up to 1,000 threads go, all of them or none, with their traces, the spans of these, and the scores and comments of all
/// of them.
#[utoipa::path(
    post, path = "/v1/private/traces/threads/delete", operation_id = "deleteTraceThreads", tag = TRACES,
    request_body = DeleteTraceThreads,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_trace_threads(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<DeleteTraceThreads>,
) -> Result<StatusCode, ApiError> {
    let DeleteTraceThreads { project_name, project_id, thread_ids } = body.value;
    let Some(thread_ids) = thread_ids else { return Err(ApiError::Internal) };
    let project = project(project_id, project_name.map(|name| name.trimmed().to_owned()), NO_PROJECT)?;
    let change = Change::DeleteThreads { project, thread_ids: thread_ids.0 };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
}
