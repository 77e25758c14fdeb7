//! Reading spans, one and many.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::document::SPANS;
use crate::api::extract::{PathId, ValidJson, ValidQuery};
use crate::api::paging::Page;
use crate::api::projects::not_found;
use crate::api::query::{
    Flag, Picked, Whole, body_filters, excluded, id_range, named_project, optional, order, project_key,
    searched_project, source,
};
use crate::api::stats::span_items;
use crate::api::stream::{self, JsonBody};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    ErrorMessage, ExistenceResponse, FeedbackScoreNamesPublic, Id, ProjectStatsPublic, SpanPagePublic, SpanPublic,
    SpanSearchStreamRequest, SpanStream, SpanType,
};
use crate::record::{ProjectRef, View};
use crate::store::{Caller, Kind, Query};

/// Parameters of [`get_span_by_id`].
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct GetSpanQuery {
    /// If true, references to attachments are returned as they are; if false, the attachments' content stands in their
    /// place.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    strip_attachments: Option<Flag>,
}

/// Get span by id
///
/// A span with its scores and comments. Payloads come as they were sent.
#[utoipa::path(
    get, path = "/v1/private/spans/{id}", operation_id = "getSpanById", tag = SPANS,
    params(("id" = inline(Id), Path, description = "The span"), GetSpanQuery),
    responses(
        (status = 200, description = "Span resource", body = SpanPublic),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_span_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidQuery(query): ValidQuery<GetSpanQuery>,
) -> Result<Json<SpanPublic>, ApiError> {
    let strip_attachments = query.strip_attachments.is_some_and(|flag| flag.0);
    let view = View { project_name: true, strip_attachments, ..View::default() };
    let span = state.store.span(&caller.workspace, id, view.parts()).await?;
    let span = span.ok_or_else(|| ApiError::NotFound(format!("Span id: {id} not found")))?;
    Ok(Json(span.into_public(&view)))
}

/// A span's type.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct TypeName(pub SpanType);

impl FromStr for TypeName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quoted = serde_json::Value::String(text.to_owned());
        serde_json::from_value(quoted).map(Self).map_err(|_| "general, tool, llm or guardrail")
    }
}

/// Which spans a list or statistic is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Scope {
    /// Their project, by name. This or `project_id` is needed.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, required = false)]
    pub project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    pub project_id: Option<Id>,
    /// Only this trace's.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    pub trace_id: Option<Id>,
    /// Only of this type.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<SpanType>, inline, required = false)]
    pub r#type: Option<TypeName>,
    /// Only those for which all of these hold: a JSON array of filters, such as
    /// `[{"field": "type", "operator": "=", "value": "llm"}]`.
    #[serde(default)]
    #[param(required = false)]
    pub filters: Option<String>,
    /// Full-text search across span fields
    #[serde(default)]
    #[param(required = false)]
    pub search: Option<String>,
    /// Filter spans created from this time (ISO-8601 format).
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    pub from_time: Option<String>,
    /// Filter spans created up to this time (ISO-8601 format). If not provided, there is no end. Must be after
    /// `from_time`.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    pub to_time: Option<String>,
}

impl Scope {
    fn read(self) -> Result<(Query, ProjectRef), ApiError> {
        let Self { project_name, project_id, trace_id, r#type, filters, search, from_time, to_time } = self;
        let picked = Picked { project_name, project_id, filters, search, from_time, to_time };
        let (query, project) = picked.read(Kind::Spans)?;
        Ok((Query { trace_id, span_type: r#type.map(|name| name.0), ..query }, project))
    }
}

/// Parameters of [`get_spans_by_project`] beside its scope.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct PageQuery {
    /// Which page, from 1.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 1, minimum = 1, required = false)]
    page: Option<Whole>,
    /// Spans on a page.
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
    /// Members to leave out of the spans: a JSON array of names, such as `["input", "output"]`.
    #[serde(default)]
    #[param(required = false)]
    exclude: Option<String>,
}

/// Get spans by project
///
/// A page of spans, newest trace first unless another order is asked for. `total` counts all that match.
#[utoipa::path(
    get, path = "/v1/private/spans", operation_id = "getSpansByProject", tag = SPANS,
    summary = "Get spans by project_name or project_id and optionally by trace_id and/or type",
    params(PageQuery, Scope),
    responses(
        (status = 200, description = "Spans resource", body = SpanPagePublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_spans_by_project(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
    ValidQuery(scope): ValidQuery<Scope>,
) -> Result<JsonBody, ApiError> {
    let at = Page::of(page.page, page.size, 10)?;
    let (query, project) = scope.read()?;
    let order = order(Kind::Spans, page.sorting.as_deref())?;
    let view = View {
        excluded: excluded(page.exclude.as_deref())?,
        truncate: page.truncate.is_some_and(|flag| flag.0),
        strip_attachments: page.strip_attachments.is_some_and(|flag| flag.0),
        project_name: false,
    };
    stream::page(state, caller.workspace, (project, query), order, at, view).await
}

/// Search spans
///
/// Streams spans, newest id first, one JSON object a line; lines end with CR and LF. For more, ask again with the last
/// id as `last_retrieved_id`, until fewer than `limit` come.
#[utoipa::path(
    post, path = "/v1/private/spans/search", operation_id = "searchSpans", tag = SPANS,
    request_body = SpanSearchStreamRequest,
    responses(
        (status = 200, description = "Spans stream or error during process", body = SpanStream, content_type = "application/octet-stream"),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn search_spans(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<SpanSearchStreamRequest>,
) -> Result<JsonBody, ApiError> {
    let search = body.value;
    let project = searched_project(search.project_id, search.project_name)?;
    let (id_min, id_max) = id_range(search.from_time, search.to_time)?;
    let filters = body_filters(Kind::Spans, "filters", search.filters)?;
    let query = Query {
        trace_id: search.trace_id,
        span_type: search.r#type,
        filters,
        id_min,
        id_max,
        id_below: search.last_retrieved_id,
        ..Query::all(Kind::Spans, project_key(&state, &caller, &project).await?)
    };
    // A span without a start is a line that SDKs cannot read.
    let mut excluded = search.exclude.unwrap_or_default().0;
    excluded.retain(|member| *member != crate::model::SpanMember::StartTime);
    let view = View { excluded, truncate: search.truncate.unwrap_or(false), ..View::default() };
    stream::lines(state, query, search.limit, view).await
}

/// Get span stats
///
/// Counts, sums, means and quantiles over the spans that match.
#[utoipa::path(
    get, path = "/v1/private/spans/stats", operation_id = "getSpanStats", tag = SPANS,
    params(Scope),
    responses(
        (status = 200, description = "Span stats resource", body = ProjectStatsPublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn get_span_stats(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(scope): ValidQuery<Scope>,
) -> Result<Json<ProjectStatsPublic>, ApiError> {
    let (mut query, project) = scope.read()?;
    query.project = project_key(&state, &caller, &project).await?;
    Ok(Json(ProjectStatsPublic { stats: span_items(&state.store.stats(query).await?) }))
}

/// Parameters of [`spans_exist`].
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
    /// Only spans from this source: sdk, experiment, playground, optimization or evaluator.
    #[serde(default)]
    #[param(required = false)]
    source: Option<String>,
}

/// Check whether a project has spans
///
/// Looks for one span, and no further.
#[utoipa::path(
    get, path = "/v1/private/spans/exists", operation_id = "spansExist", tag = SPANS,
    params(ExistQuery),
    responses(
        (status = 200, description = "Span existence", body = ExistenceResponse),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn spans_exist(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ExistQuery>,
) -> Result<Json<ExistenceResponse>, ApiError> {
    let source = source(query.source)?;
    let project = named_project(query.project_id, query.project_name)?;
    let project = project_key(&state, &caller, &project).await?;
    Ok(Json(ExistenceResponse { exists: state.store.exists(Kind::Spans, project, source, false).await? }))
}

/// Parameters of [`find_feedback_score_names`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct ScoreNamesQuery {
    /// The project. It is needed.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    project_id: Option<Id>,
    /// Only scores of spans of this type.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<SpanType>, inline, required = false)]
    r#type: Option<TypeName>,
}

/// Find Feedback Score names
///
/// The names of all scores of a project's spans.
#[utoipa::path(
    get, path = "/v1/private/spans/feedback-scores/names", operation_id = "findFeedbackScoreNames_1", tag = SPANS,
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
    let names = score_names(&state, &caller, Kind::Spans, query.project_id, query.r#type.map(|name| name.0)).await?;
    Ok(Json(names))
}

/// The names of all scores of what a project has.
pub(in crate::api) async fn score_names(
    state: &AppState,
    caller: &Caller,
    of: Kind,
    project_id: Option<Id>,
    span_type: Option<SpanType>,
) -> Result<FeedbackScoreNamesPublic, ApiError> {
    let id = project_id.ok_or_else(|| ApiError::bad_request("project_id must be provided"))?;
    let project = state.store.project(&caller.workspace, &ProjectRef::Id(id)).await?;
    let project = project.ok_or_else(not_found)?;
    let names = state.store.score_names(of, project, span_type).await?;
    Ok(names.into_iter().collect())
}
