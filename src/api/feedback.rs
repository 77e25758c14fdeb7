//! Operations on the scores of spans, traces and threads.

use axum::extract::State;
use axum::http::StatusCode;

use super::document::{SPANS, TRACES};
use super::extract::{PathId, ValidJson, version_7};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    DeleteFeedbackScore, DeleteThreadFeedbackScores, ErrorMessage, FeedbackScore, FeedbackScoreBatch,
    FeedbackScoreBatchItem, FeedbackScoreBatchItemThread, FeedbackScoreBatchThread, Id,
};
use crate::record::{Entity, ProjectRef, Score, Target, ThreadScore};
use crate::store::{Caller, Change, Submission};

/// Text that says something.
fn said(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

async fn give(state: AppState, caller: Caller, target: Target, body: FeedbackScore) -> Result<StatusCode, ApiError> {
    let FeedbackScore { name, category_name, value, reason, source, source_queue_id, .. } = body;
    let (Some(name), Some(value), Some(source)) = (name, value, source) else { return Err(ApiError::Internal) };
    let score = Score {
        target,
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

async fn give_many(
    state: AppState,
    caller: Caller,
    entity: Entity,
    body: FeedbackScoreBatch,
) -> Result<StatusCode, ApiError> {
    let mut scores = Vec::new();
    for (index, item) in body.scores.into_iter().flat_map(|scores| scores.0).enumerate() {
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
        let (Some(id), Some(name), Some(value), Some(source)) = (id, name, value, source) else {
            return Err(ApiError::Internal);
        };
        version_7(entity.name(), id, Some(&format!("/scores/{index}/id")))?;
        scores.push(Score {
            target: Target { entity, id },
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

async fn take_back(
    state: AppState,
    caller: Caller,
    target: Target,
    body: DeleteFeedbackScore,
) -> Result<StatusCode, ApiError> {
    let DeleteFeedbackScore { name, author, source_queue_id } = body;
    let Some(name) = name else { return Err(ApiError::Internal) };
    let change = Change::DeleteScores { target, name: name.0, author: said(author), queue_id: source_queue_id };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
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
    PathId(id): PathId,
    ValidJson(body): ValidJson<FeedbackScore>,
) -> Result<StatusCode, ApiError> {
    give(state, caller, Target { entity: Entity::Span, id }, body.value).await
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
    give_many(state, caller, Entity::Span, body.value).await
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
    PathId(id): PathId,
    ValidJson(body): ValidJson<DeleteFeedbackScore>,
) -> Result<StatusCode, ApiError> {
    take_back(state, caller, Target { entity: Entity::Span, id }, body.value).await
}

/// Add trace feedback score
///
/// Gives a score to a trace, or changes the one of this name that the caller gave before.
#[utoipa::path(
    put, path = "/v1/private/traces/{id}/feedback-scores", operation_id = "addTraceFeedbackScore", tag = TRACES,
    params(("id" = inline(Id), Path, description = "The trace")),
    request_body = FeedbackScore,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "There is no such trace", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn add_trace_feedback_score(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<FeedbackScore>,
) -> Result<StatusCode, ApiError> {
    give(state, caller, Target { entity: Entity::Trace, id }, body.value).await
}

/// Batch feedback scoring for traces
///
/// Gives up to 1,000 scores, all of them or none. The traces may come later.
#[utoipa::path(
    put, path = "/v1/private/traces/feedback-scores", operation_id = "scoreBatchOfTraces", tag = TRACES,
    request_body = FeedbackScoreBatch,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn score_batch_of_traces(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<FeedbackScoreBatch>,
) -> Result<StatusCode, ApiError> {
    give_many(state, caller, Entity::Trace, body.value).await
}

/// Delete trace feedback score
///
/// Takes a score back: one author's, or everyone's of that name.
#[utoipa::path(
    post, path = "/v1/private/traces/{id}/feedback-scores/delete", operation_id = "deleteTraceFeedbackScore", tag = TRACES,
    params(("id" = inline(Id), Path, description = "The trace")),
    request_body = DeleteFeedbackScore,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_trace_feedback_score(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<DeleteFeedbackScore>,
) -> Result<StatusCode, ApiError> {
    take_back(state, caller, Target { entity: Entity::Trace, id }, body.value).await
}

/// Batch feedback scoring for threads
///
/// Gives up to 1,000 scores, all of them or none. Projects and threads that there are not yet are made; their traces may
/// come later.
#[utoipa::path(
    put, path = "/v1/private/traces/threads/feedback-scores", operation_id = "scoreBatchOfThreads", tag = TRACES,
    request_body = FeedbackScoreBatchThread,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn score_batch_of_threads(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<FeedbackScoreBatchThread>,
) -> Result<StatusCode, ApiError> {
    let mut scores = Vec::new();
    for item in body.value.scores.into_iter().flat_map(|scores| scores.0) {
        let FeedbackScoreBatchItemThread {
            project_name,
            project_id,
            name,
            category_name,
            value,
            reason,
            source,
            author,
            source_queue_id,
            thread_id,
        } = item;
        let (Some(thread_id), Some(name), Some(value), Some(source)) = (thread_id, name, value, source) else {
            return Err(ApiError::Internal);
        };
        let named = project_name.map(|name| ProjectRef::Name(name.trimmed().to_owned()));
        let score = Score {
            target: Target { entity: Entity::Thread, id: state.clock.fresh_id() },
            name: name.0,
            author: said(author).unwrap_or_else(|| caller.user.to_string()),
            queue_id: source_queue_id,
            value: value.0,
            category_name: said(category_name),
            reason: said(reason),
            source,
        };
        scores.push(ThreadScore { project: project_id.map(ProjectRef::Id).or(named), thread_id: thread_id.0, score });
    }
    state.ingest.submit(Submission { caller, change: Change::ScoreThreads(scores) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete thread feedback scores
///
/// Takes scores back: one author's, or everyone's of these names.
#[utoipa::path(
    post, path = "/v1/private/traces/threads/feedback-scores/delete", operation_id = "deleteThreadFeedbackScores",
    tag = TRACES,
    request_body = DeleteThreadFeedbackScores,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_thread_feedback_scores(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<DeleteThreadFeedbackScores>,
) -> Result<StatusCode, ApiError> {
    let DeleteThreadFeedbackScores { project_name, thread_id, names, author, source_queue_id } = body.value;
    let (Some(project), Some(thread_id), Some(names)) = (project_name, thread_id, names) else {
        return Err(ApiError::Internal);
    };
    let change = Change::DeleteThreadScores {
        project: ProjectRef::Name(project.0.trim().to_owned()),
        thread_id: thread_id.0,
        names: names.0,
        author: said(author),
        queue_id: source_queue_id,
    };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
}
