//! Operations on traces.

pub(super) mod read;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};

use super::document::TRACES;
use super::extract::{ClientPrefix, PathId, ValidJson, version_7};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{BatchDelete, ErrorMessage, Id, TraceBatchUpdate, TraceBatchWrite, TraceUpdate, TraceWrite};
use crate::record::TraceRecord;
use crate::store::{Caller, Change, Submission};

/// Create trace
///
/// Stores a trace, or adds what is stated to the one that has this id. It is on disk and visible to every reader when
/// the answer arrives. Its spans may come before or after it.
#[utoipa::path(
    post, path = "/v1/private/traces", operation_id = "createTrace", tag = TRACES,
    request_body = TraceWrite,
    responses(
        (status = 201, description = "Created", headers(("Location" = String, description = "Address of the trace"))),
        (status = 409, description = "The trace exists in another project", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn create_trace(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    ValidJson(body): ValidJson<TraceWrite>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let trace = TraceRecord::create(body.value, || state.clock.fresh_id());
    let id = version_7("Trace", trace.id, Some("/id"))?;
    state.ingest.submit(Submission { caller, change: Change::Trace(Box::new(trace)) }).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("{prefix}/v1/private/traces/{id}"))]))
}

/// Create traces
///
/// Stores up to 1,000 traces, all of them or none. An id that exists already is added to, never refused.
#[utoipa::path(
    post, path = "/v1/private/traces/batch", operation_id = "createTraces", tag = TRACES,
    request_body = TraceBatchWrite,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn create_traces(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceBatchWrite>,
) -> Result<StatusCode, ApiError> {
    let mut records = Vec::new();
    for (index, trace) in body.value.traces.into_iter().flat_map(|traces| traces.0).enumerate() {
        let record = TraceRecord::create(trace, || state.clock.fresh_id());
        version_7("Trace", record.id, Some(&format!("/traces/{index}/id")))?;
        records.push(record);
    }
    state.ingest.submit(Submission { caller, change: Change::Traces(records) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Update trace by id
///
/// Changes what is stated. A trace that does not exist yet is remembered, and completed when it is created.
#[utoipa::path(
    patch, path = "/v1/private/traces/{id}", operation_id = "updateTrace", tag = TRACES,
    params(("id" = inline(Id), Path, description = "The trace")),
    request_body = TraceUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found: there is no project with the id that is stated", body = ErrorMessage),
        (status = 409, description = "The trace has another project", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_trace(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<TraceUpdate>,
) -> Result<StatusCode, ApiError> {
    let trace = TraceRecord::update(version_7("Trace", id, None)?, body.value);
    state.ingest.submit(Submission { caller, change: Change::Trace(Box::new(trace)) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Batch update traces
///
/// Changes up to 1,000 traces alike, all of them or none. Unknown ids are passed over.
#[utoipa::path(
    patch, path = "/v1/private/traces/batch", operation_id = "batchUpdateTraces", tag = TRACES,
    request_body = TraceBatchUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn batch_update_traces(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceBatchUpdate>,
) -> Result<StatusCode, ApiError> {
    let TraceBatchUpdate { ids, update, merge_tags } = body.value;
    let (Some(ids), Some(update)) = (ids, update) else { return Err(ApiError::Internal) };
    // The record's own id is not used: it goes to each of the ids.
    let mut record = TraceRecord::update(state.clock.fresh_id(), update).record;
    if merge_tags == Some(true) {
        record.add_tags();
    }
    let change = Change::UpdateTraces { ids: ids.0, update: Box::new(record) };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete trace by id
///
/// The trace goes with its spans, and the scores and comments of all of them. One that is not there is gone already.
#[utoipa::path(
    delete, path = "/v1/private/traces/{id}", operation_id = "deleteTraceById", tag = TRACES,
    params(("id" = inline(Id), Path, description = "The trace")),
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_trace_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    state.ingest.submit(Submission { caller, change: Change::DeleteTraces(vec![id]) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete traces
///
/// Up to 1,000 traces go, all of them or none, with their spans, and the scores and comments of all of them.
#[utoipa::path(
    post, path = "/v1/private/traces/delete", operation_id = "deleteTraces", tag = TRACES,
    request_body = BatchDelete,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_traces(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<BatchDelete>,
) -> Result<StatusCode, ApiError> {
    let Some(ids) = body.value.ids else { return Err(ApiError::Internal) };
    state.ingest.submit(Submission { caller, change: Change::DeleteTraces(ids.0) }).await?;
    Ok(StatusCode::NO_CONTENT)
}
