//! Operations on spans.

pub(super) mod read;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};

use super::document::SPANS;
use super::extract::{ClientPrefix, PathId, ValidJson, version_7};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{ErrorMessage, Id, SpanBatchUpdate, SpanBatchWrite, SpanUpdate, SpanWrite};
use crate::record::SpanRecord;
use crate::store::{Caller, Change, Submission};

/// Create span
///
/// Stores a span, or adds what is stated to the one that has this id. It is on disk and visible to every reader when
/// the answer arrives.
#[utoipa::path(
    post, path = "/v1/private/spans", operation_id = "createSpan", tag = SPANS,
    request_body = SpanWrite,
    responses(
        (status = 201, description = "Created", headers(("Location" = String, description = "Address of the span"))),
        (status = 409, description = "The span exists with another parent, project or trace", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn create_span(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    ValidJson(mut body): ValidJson<SpanWrite>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let span = SpanRecord::create(body.value, body.notes.remove(&0), || state.clock.fresh_id());
    let id = version_7("Span", span.id, Some("/id"))?;
    state.ingest.submit(Submission { caller, change: Change::Span(Box::new(span)) }).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("{prefix}/v1/private/spans/{id}"))]))
}

/// Create spans
///
/// Stores up to 1,000 spans, all of them or none. An id that exists already is added to, never refused.
#[utoipa::path(
    post, path = "/v1/private/spans/batch", operation_id = "createSpans", tag = SPANS,
    request_body = SpanBatchWrite,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn create_spans(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(mut body): ValidJson<SpanBatchWrite>,
) -> Result<StatusCode, ApiError> {
    let mut records = Vec::new();
    for (index, span) in body.value.spans.into_iter().flat_map(|spans| spans.0).enumerate() {
        let record = SpanRecord::create(span, body.notes.remove(&index), || state.clock.fresh_id());
        version_7("Span", record.id, Some(&format!("/spans/{index}/id")))?;
        records.push(record);
    }
    state.ingest.submit(Submission { caller, change: Change::Spans(records) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Update span by id
///
/// Changes what is stated. A span that does not exist yet is remembered, and completed when it is created.
#[utoipa::path(
    patch, path = "/v1/private/spans/{id}", operation_id = "updateSpan", tag = SPANS,
    params(("id" = inline(Id), Path, description = "The span")),
    request_body = SpanUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "Not found: there is no project with the id that is stated", body = ErrorMessage),
        (status = 409, description = "The span has another project, parent or trace", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_span(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(mut body): ValidJson<SpanUpdate>,
) -> Result<StatusCode, ApiError> {
    let span = SpanRecord::update(version_7("Span", id, None)?, body.value, body.notes.remove(&0));
    state.ingest.submit(Submission { caller, change: Change::Span(Box::new(span)) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Batch update spans
///
/// Changes up to 1,000 spans alike, all of them or none. Unknown ids are passed over.
#[utoipa::path(
    patch, path = "/v1/private/spans/batch", operation_id = "batchUpdateSpans", tag = SPANS,
    request_body = SpanBatchUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn batch_update_spans(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(mut body): ValidJson<SpanBatchUpdate>,
) -> Result<StatusCode, ApiError> {
    let SpanBatchUpdate { ids, update, merge_tags } = body.value;
    let (Some(ids), Some(update)) = (ids, update) else { return Err(ApiError::Internal) };
    // The record's own id is not used: it goes to each of the ids.
    let mut record = SpanRecord::update(state.clock.fresh_id(), update, body.notes.remove(&0)).record;
    if merge_tags == Some(true) {
        record.add_tags();
    }
    let change = Change::UpdateSpans { ids: ids.0, update: Box::new(record) };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete span by id
///
/// The span goes, with its scores and comments. One that is not there is gone already.
#[utoipa::path(
    delete, path = "/v1/private/spans/{id}", operation_id = "deleteSpanById", tag = SPANS,
    params(("id" = String, Path, description = "The span")),
    responses(
        (status = 204, description = "No Content"),
        (status = 501, description = "Not implemented"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_span_by_id(
    State(state): State<AppState>,
    caller: Caller,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<StatusCode, ApiError> {
    // Any other text names no span: it is gone already.
    if let Ok(id) = id.parse() {
        state.ingest.submit(Submission { caller, change: Change::DeleteSpan(id) }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
