//! Reading traces, one and many.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::document::TRACES;
use crate::api::extract::{PathId, ValidJson, ValidQuery};
use crate::api::paging::Page;
use crate::api::query::{
    Flag, Picked, Whole, body_filters, excluded, id_range, named_project, optional, order, project_key,
    searched_project, source,
};
use crate::api::spans::read::score_names;
use crate::api::stats::trace_items;
use crate::api::stream::{self, JsonBody};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    ErrorMessage, ErrorMessagePublic, ExistenceResponse, FeedbackScoreNamesPublic, Id, ProjectStatsPublic, TraceMember,
    TracePagePublic, TracePublic, TraceSearchStreamRequest, TraceStream,
};
use crate::record::{ProjectRef, TraceView};
use crate::store::{Caller, Kind, Query};

/// Parameters of [`get_trace_by_id`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct GetTraceQuery {
    /// If true, references to attachments are returned as they are; if false, the attachments' content stands in their
    /// place.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    strip_attachments: Option<Flag>,
}

/// Get trace by id
///
/// The trace, and what its spans amount to.
#[utoipa::path(
    get, path = "/v1/private/traces/{id}", operation_id = "getTraceById", tag = TRACES,
    params(("id" = inline(Id), Path, description = "The trace"), GetTraceQuery),
    responses(
        (status = 200, description = "Trace resource", body = TracePublic),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_trace_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidQuery(query): ValidQuery<GetTraceQuery>,
) -> Result<Json<TracePublic>, ApiError> {
    let strip_attachments = query.strip_attachments.is_some_and(|flag| flag.0);
    let view = TraceView { strip_attachments, ..TraceView::default() };
    let trace = state.store.trace(&caller.workspace, id, view.parts()).await?;
    let trace = trace.ok_or_else(|| ApiError::NotFound(format!("Trace id: {id} not found")))?;
    Ok(Json(trace.into_public(&view)))
}

/// Which traces a list or statistic is about.
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
    /// Only those for which all of these hold: a JSON array of filters, such as
    /// `[{"field": "name", "operator": "contains", "value": "agent"}]`.
    #[serde(default)]
    #[param(required = false)]
    filters: Option<String>,
    /// Full-text search across trace fields
    #[serde(default)]
    #[param(required = false)]
    search: Option<String>,
    /// Filter traces created from this time (ISO-8601 format).
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    from_time: Option<String>,
    /// Filter traces created up to this time (ISO-8601 format). If not provided, there is no end. Must be after
    /// `from_time`.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    to_time: Option<String>,
}

impl Scope {
    fn read(self) -> Result<(Query, ProjectRef), ApiError> {
        let Self { project_name, project_id, filters, search, from_time, to_time } = self;
        Picked { project_name, project_id, filters, search, from_time, to_time }.read(Kind::Traces)
    }
}

/// Parameters of [`get_traces_by_project`] beside its scope.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PageQuery {
    /// Which page, from 1.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 1, minimum = 1, required = false)]
    page: Option<Whole>,
    /// Traces on a page.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 10, minimum = 1, required = false)]
    size: Option<Whole>,
    /// Truncate input, output and metadata to slim payloads
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    truncate: Option<Flag>,
    /// If true, references to attachments are returned as they are; if false, the attachments' content stands in their
    /// place.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    strip_attachments: Option<Flag>,
    /// What to sort by: a JSON array of one `{"field": …, "direction": "ASC" or "DESC"}`.
    #[serde(default)]
    #[param(required = false)]
    sorting: Option<String>,
    /// Members to leave out of the traces: a JSON array of names.
    #[serde(default)]
    #[param(required = false)]
    exclude: Option<String>,
    /// Only traces in this annotation queue: none, as there are no annotation queues.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    annotation_queue_id: Option<Id>,
}

/// Get traces by `project_name` or `project_id`
///
/// A page of traces, newest id first unless another order is asked for. `total` counts all that match.
#[utoipa::path(
    get, path = "/v1/private/traces", operation_id = "getTracesByProject", tag = TRACES,
    params(PageQuery, Scope),
    responses(
        (status = 200, description = "Trace resource", body = TracePagePublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_traces_by_project(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
    ValidQuery(scope): ValidQuery<Scope>,
) -> Result<JsonBody, ApiError> {
    let at = Page::of(page.page, page.size, 10)?;
    let (mut query, project) = scope.read()?;
    let order = order(Kind::Traces, page.sorting.as_deref())?;
    query.nothing = page.annotation_queue_id.is_some();
    let view = TraceView {
        excluded: excluded(page.exclude.as_deref())?,
        truncate: page.truncate.is_some_and(|flag| flag.0),
        strip_attachments: page.strip_attachments.is_some_and(|flag| flag.0),
    };
    stream::page(state, caller.workspace, (project, query), order, at, view).await
}

/// Search traces
///
/// Streams traces, newest id first, one JSON object a line; lines end with CR and LF. For more, ask again with the last
/// id as `last_retrieved_id`, until fewer than `limit` come.
#[utoipa::path(
    post, path = "/v1/private/traces/search", operation_id = "searchTraces", tag = TRACES,
    request_body = TraceSearchStreamRequest,
    responses(
        (status = 200, description = "Traces stream or error during process", body = TraceStream, content_type = "application/octet-stream"),
        (status = 400, description = "Bad Request",
            content((ErrorMessage = "application/json"), (ErrorMessagePublic = "application/octet-stream"))),
        (status = 401, description = "Unauthorized", body = ErrorMessagePublic, content_type = "application/octet-stream"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn search_traces(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<TraceSearchStreamRequest>,
) -> Result<JsonBody, ApiError> {
    let search = body.value;
    let project = searched_project(search.project_id, search.project_name)?;
    let (id_min, id_max) = id_range(search.from_time, search.to_time)?;
    let filters = body_filters(Kind::Traces, "filters", search.filters)?;
    let query = Query {
        filters,
        id_min,
        id_max,
        id_below: search.last_retrieved_id,
        ..Query::all(Kind::Traces, project_key(&state, &caller, &project).await?)
    };
    // A trace without a start is a line that SDKs cannot read.
    let mut excluded = search.exclude.unwrap_or_default().0;
    excluded.retain(|member| *member != TraceMember::StartTime);
    let view = TraceView {
        excluded,
        truncate: search.truncate.unwrap_or(false),
        strip_attachments: search.strip_attachments.unwrap_or(false),
    };
    stream::lines(state, query, search.limit, view).await
}

/// Get trace stats
///
/// Counts, sums, means and quantiles over the traces that match.
#[utoipa::path(
    get, path = "/v1/private/traces/stats", operation_id = "getTraceStats", tag = TRACES,
    params(Scope),
    responses(
        (status = 200, description = "Trace stats resource", body = ProjectStatsPublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_trace_stats(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(scope): ValidQuery<Scope>,
) -> Result<Json<ProjectStatsPublic>, ApiError> {
    let (mut query, project) = scope.read()?;
    query.project = project_key(&state, &caller, &project).await?;
    Ok(Json(ProjectStatsPublic { stats: trace_items(&state.store.stats(query).await?) }))
}

/// Parameters of [`traces_exist`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ExistQuery {
    /// The project, by id; counts more than a name.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    project_id: Option<Id>,
    /// The project, by name. This or `project_id` is needed.
    #[serde(default)]
    #[param(required = false)]
    project_name: Option<String>,
    /// Only traces from this source: sdk, experiment, playground, optimization or evaluator.
    #[serde(default)]
    #[param(required = false)]
    source: Option<String>,
    /// When true, only traces that belong to a conversation.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    thread_only: Option<Flag>,
}

/// Check whether a project has traces
///
/// Looks for one trace, and no further.
#[utoipa::path(
    get, path = "/v1/private/traces/exists", operation_id = "tracesExist", tag = TRACES,
    params(ExistQuery),
    responses(
        (status = 200, description = "Trace existence", body = ExistenceResponse),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn traces_exist(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ExistQuery>,
) -> Result<Json<ExistenceResponse>, ApiError> {
    let source = source(query.source)?;
    let project = named_project(query.project_id, query.project_name)?;
    let project = project_key(&state, &caller, &project).await?;
    let threads = query.thread_only.is_some_and(|flag| flag.0);
    Ok(Json(ExistenceResponse { exists: state.store.exists(Kind::Traces, project, source, threads).await? }))
}

/// Parameters of [`find_feedback_score_names`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ScoreNamesQuery {
    /// The project. It is needed.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    project_id: Option<Id>,
}

/// Find Feedback Score names
///
/// The names of all scores of a project's traces.
#[utoipa::path(
    get, path = "/v1/private/traces/feedback-scores/names", operation_id = "findFeedbackScoreNames_2", tag = TRACES,
    params(ScoreNamesQuery),
    responses(
        (status = 200, description = "Feedback Scores resource", body = FeedbackScoreNamesPublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn find_feedback_score_names(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ScoreNamesQuery>,
) -> Result<Json<FeedbackScoreNamesPublic>, ApiError> {
    Ok(Json(score_names(&state, &caller, Kind::Traces, query.project_id, None).await?))
}
