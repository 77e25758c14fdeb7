//! Operations on the scores of spans.

use axum::extract::State;
use axum::http::StatusCode;

use super::document::SPANS;
use super::extract::{PathId, ValidJson};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{DeleteFeedbackScore, ErrorMessage, FeedbackScore, FeedbackScoreBatch, FeedbackScoreBatchItem, Id};
use crate::record::Score;
use crate::store::{Caller, Change, Submission};

/// Text that says something.
fn said(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Add span feedback score
///
/// Gives a score to a span, or changes the one of this name that the caller gave before.
#[utoipa::path(
    put, path = "/v1/private/spans/{id}/feedback-scores", operation_id = "addSpanFeedbackScore", tag = SPANS,
    params(("id" = inline(Id), Path, description = "The span")),
    request_body = FeedbackScore,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "There is no such span", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn add_span_feedback_score(
    State(state): State<AppState>,
    caller: Caller,
    PathId(span_id): PathId,
    ValidJson(body): ValidJson<FeedbackScore>,
) -> Result<StatusCode, ApiError> {
    let FeedbackScore { name, category_name, value, reason, source, source_queue_id, .. } = body.value;
    let (Some(name), Some(value), Some(source)) = (name, value, source) else { return Err(ApiError::Internal) };
    let score = Score {
        span_id,
        name: name.0,
        author: caller.user.to_string(),
        queue_id: source_queue_id,
        value: value.0,
        category_name: said(category_name),
        reason: said(reason),
        source,
    };
    state.ingest.submit(Submission { caller, change: Change::Score(Box::new(score)) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Batch feedback scoring for spans
///
/// Gives up to 1,000 scores, all of them or none. The spans may come later.
#[utoipa::path(
    put, path = "/v1/private/spans/feedback-scores", operation_id = "scoreBatchOfSpans", tag = SPANS,
    request_body = FeedbackScoreBatch,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn score_batch_of_spans(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<FeedbackScoreBatch>,
) -> Result<StatusCode, ApiError> {
    let mut scores = Vec::new();
    for item in body.value.scores.into_iter().flat_map(|scores| scores.0) {
        let FeedbackScoreBatchItem {
            id,
            project_name: _,
            project_id: _,
            name,
            category_name,
            value,
            reason,
            source,
            author,
            source_queue_id,
        } = item;
        let (Some(span_id), Some(name), Some(value), Some(source)) = (id, name, value, source) else {
            return Err(ApiError::Internal);
        };
        if !span_id.is_v7() {
            return Err(ApiError::BadRequest {
                message: "Invalid UUID for id".to_owned(),
                details: Some("span id must be a version 7 UUID".to_owned()),
                violation: None,
            });
        }
        scores.push(Score {
            span_id,
            name: name.0,
            author: said(author).unwrap_or_else(|| caller.user.to_string()),
            queue_id: source_queue_id,
            value: value.0,
            category_name: said(category_name),
            reason: said(reason),
            source,
        });
    }
    state.ingest.submit(Submission { caller, change: Change::Scores(scores) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete span feedback score
///
/// Takes a score back: one author's, or everyone's of that name.
#[utoipa::path(
    post, path = "/v1/private/spans/{id}/feedback-scores/delete", operation_id = "deleteSpanFeedbackScore", tag = SPANS,
    params(("id" = inline(Id), Path, description = "The span")),
    request_body = DeleteFeedbackScore,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_span_feedback_score(
    State(state): State<AppState>,
    caller: Caller,
    PathId(span_id): PathId,
    ValidJson(body): ValidJson<DeleteFeedbackScore>,
) -> Result<StatusCode, ApiError> {
    let DeleteFeedbackScore { name, author, source_queue_id } = body.value;
    let Some(name) = name else { return Err(ApiError::Internal) };
    let change = Change::DeleteScores { span_id, name: name.0, author: said(author), queue_id: source_queue_id };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
}
