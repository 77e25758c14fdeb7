//! Reading threads, one and many.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{NO_PROJECT, project};
use crate::api::document::TRACES;
use crate::api::extract::{ValidJson, ValidQuery};
use crate::api::paging::Page;
use crate::api::query::{Flag, Picked, Whole, body_filters, id_range, optional, order, project_key, searched_project};
use crate::api::stats::thread_items;
use crate::api::stream::{self, JsonBody, ThreadView};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    ErrorMessage, FeedbackScoreNamesPublic, Id, ProjectStatsPublic, ThreadStream, TraceThread, TraceThreadIdentifier,
    TraceThreadPage, TraceThreadSearchStreamRequest,
};
use crate::record::ProjectRef;
use crate::store::{Caller, Kind, Order, Query};

/// A thread of which nothing was heard for so long is inactive, unless the workspace says otherwise. The original's
/// default.
const TIMEOUT: Duration = Duration::from_mins(15);

/// Threads that changed before this time are inactive; nanoseconds since 1970.
async fn active_since(state: &AppState, caller: &Caller) -> Result<i64, ApiError> {
    let configuration = state.store.configuration(&caller.workspace).await?;
    let timeout = configuration.and_then(|configuration| configuration.timeout_to_mark_thread_as_inactive);
    let timeout = timeout.map_or(TIMEOUT, |timeout| timeout.duration());
    Ok(state.clock.now().saturating_sub(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX)))
}

/// The threads of a project as they are now.
pub(in crate::api) async fn threads(state: &AppState, caller: &Caller, project: i64) -> Result<Query, ApiError> {
    Ok(Query { active_since: active_since(state, caller).await?, ..Query::all(Kind::Threads, project) })
}

/// Which threads a list or statistic is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Scope {
    /// Their project, by name. This or `project_id` is needed.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, required = false)]
    project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    project_id: Option<Id>,
    /// Only those for which all of these hold: a JSON array of filters.
    #[serde(default)]
    #[param(required = false)]
    filters: Option<String>,
    /// Full-text search across thread fields
    #[serde(default)]
    #[param(required = false)]
    search: Option<String>,
    /// Filter trace threads created from this time (ISO-8601 format). Of their traces, only such count.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    from_time: Option<String>,
    /// Filter trace threads created up to this time (ISO-8601 format). If not provided, there is no end. Must be after
    /// `from_time`. Of their traces, only such count.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    to_time: Option<String>,
}

impl Scope {
    async fn read(self, state: &AppState, caller: &Caller) -> Result<(Query, ProjectRef), ApiError> {
        let Self { project_name, project_id, filters, search, from_time, to_time } = self;
        let picked = Picked { project_name, project_id, filters, search, from_time, to_time };
        let (query, project) = picked.read(Kind::Threads)?;
        let key = project_key(state, caller, &project).await?;
        Ok((Query { project: key, active_since: active_since(state, caller).await?, ..query }, project))
    }
}

/// Parameters of [`get_trace_threads`] beside its scope.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PageQuery {
    /// Which page, from 1.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 1, minimum = 1, required = false)]
    page: Option<Whole>,
    /// Threads on a page.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 10, minimum = 1, required = false)]
    size: Option<Whole>,
    /// Cut the messages short.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    truncate: Option<Flag>,
    /// Without effect: messages have references to attachments as they are.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    #[expect(dead_code, reason = "read for its type")]
    strip_attachments: Option<Flag>,
    /// What to sort by: a JSON array of one `{"field": …, "direction": "ASC" or "DESC"}`.
    #[serde(default)]
    #[param(required = false)]
    sorting: Option<String>,
    /// Only threads in this annotation queue: none, as there are no annotation queues.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    annotation_queue_id: Option<Id>,
}

/// Get trace threads
///
/// A page of threads, the last that changed first unless another order is asked for. `total` counts all that match.
#[utoipa::path(
    get, path = "/v1/private/traces/threads", operation_id = "getTraceThreads", tag = TRACES,
    params(PageQuery, Scope),
    responses(
        (status = 200, description = "Trace threads resource", body = TraceThreadPage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_trace_threads(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
    ValidQuery(scope): ValidQuery<Scope>,
) -> Result<JsonBody, ApiError> {
    let at = Page::of(page.page, page.size, 10)?;
    let order = order(Kind::Threads, page.sorting.as_deref())?;
    let (query, project) = scope.read(&state, &caller).await?;
    let query = Query { nothing: page.annotation_queue_id.is_some(), ..query };
    let view = ThreadView { query: query.clone(), truncate: page.truncate.is_some_and(|flag| flag.0) };
    stream::page(state, caller.workspace, (project, query), order, at, view).await
}

/// Get trace thread
///
/// What the traces of a conversation amount to.
#[utoipa::path(
    post, path = "/v1/private/traces/threads/retrieve", operation_id = "getTraceThread", tag = TRACES,
    request_body = TraceThreadIdentifier,
    responses(
        (status = 200, description = "Trace thread resource", body = TraceThread),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_trace_thread(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceThreadIdentifier>,
) -> Result<Json<TraceThread>, ApiError> {
    let TraceThreadIdentifier { project_name, project_id, thread_id, truncate } = body.value;
    let Some(thread_id) = thread_id else { return Err(ApiError::Internal) };
    let project = project(project_id, project_name, NO_PROJECT)?;
    let key = match (state.store.project(&caller.workspace, &project).await?, &project) {
        (Some(key), _) => key,
        (None, ProjectRef::Id(_)) => return Err(ApiError::NotFound("Project not found".to_owned())),
        (None, ProjectRef::Name(name)) => return Err(ApiError::NotFound(format!("Project name: {name} not found"))),
    };
    let query = Query { thread_id: Some(thread_id.0.clone()), ..threads(&state, &caller, key).await? };
    let keys = state.store.find(query.clone(), Order::ById, 1, 0).await?;
    let (mut found, _) = state.store.threads(query, keys.into(), 0, usize::MAX).await?;
    let not_found = || ApiError::NotFound(format!("Trace Thread id: {} not found", thread_id.0));
    Ok(Json(found.pop().ok_or_else(not_found)?.into_public(truncate == Some(true))))
}

/// Search trace threads
///
/// Streams threads, newest `thread_model_id` first, one JSON object a line; lines end with CR and LF. For more, ask again
/// with the last `thread_model_id` as `last_retrieved_thread_model_id`, until fewer than `limit` come.
#[utoipa::path(
    post, path = "/v1/private/traces/threads/search", operation_id = "searchTraceThreads", tag = TRACES,
    request_body = TraceThreadSearchStreamRequest,
    responses(
        (status = 200, description = "Trace threads stream or error during process", body = ThreadStream, content_type = "application/octet-stream"),
        (status = 400, description = "Bad Request",
            content((ErrorMessage = "application/json"), (ErrorMessage = "application/octet-stream"))),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn search_trace_threads(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceThreadSearchStreamRequest>,
) -> Result<JsonBody, ApiError> {
    let search = body.value;
    let project = searched_project(search.project_id, search.project_name)?;
    let (id_min, id_max) = id_range(search.from_time, search.to_time)?;
    let filters = body_filters(Kind::Threads, "filters", search.filters)?;
    let project = project_key(&state, &caller, &project).await?;
    let mut query = Query { filters, id_min, id_max, ..threads(&state, &caller, project).await? };
    if let Some(cursor) = search.last_retrieved_thread_model_id {
        // What leads to no thread may still be the id of one that has gone meanwhile; anything else is the end.
        let thread = state.store.thread_id(project, &cursor.0).await?;
        query.id_below = thread.or_else(|| cursor.0.parse().ok());
        query.nothing = query.id_below.is_none();
    }
    let view = ThreadView { query: query.clone(), truncate: search.truncate == Some(true) };
    stream::lines(state, query, search.limit, view).await
}

/// Get trace thread stats
///
/// Counts, sums, means and quantiles over the threads that match.
#[utoipa::path(
    get, path = "/v1/private/traces/threads/stats", operation_id = "getTraceThreadStats", tag = TRACES,
    params(Scope),
    responses(
        (status = 200, description = "Trace thread stats resource", body = ProjectStatsPublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_trace_thread_stats(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(scope): ValidQuery<Scope>,
) -> Result<Json<ProjectStatsPublic>, ApiError> {
    let (query, _) = scope.read(&state, &caller).await?;
    Ok(Json(ProjectStatsPublic { stats: thread_items(&state.store.stats(query).await?) }))
}

/// Parameters of [`find_trace_threads_feedback_score_names`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ScoreNamesQuery {
    /// The project; all projects when absent.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    project_id: Option<Id>,
}

/// Find Trace Threads Feedback Score names
///
/// The names of all scores of threads.
#[utoipa::path(
    get, path = "/v1/private/traces/threads/feedback-scores/names",
    operation_id = "findTraceThreadsFeedbackScoreNames", tag = TRACES,
    params(ScoreNamesQuery),
    responses(
        (status = 200, description = "Find Trace Threads Feedback Score names", body = FeedbackScoreNamesPublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn find_trace_threads_feedback_score_names(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ScoreNamesQuery>,
) -> Result<Json<FeedbackScoreNamesPublic>, ApiError> {
    let names = state.store.thread_score_names(&caller.workspace, query.project_id).await?;
    Ok(Json(names.into_iter().collect()))
}
