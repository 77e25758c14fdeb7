//! Reading spans, one and many.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{
    Flag, Scope, TypeName, Whole, body_filters, excluded, id_range, named_project, optional, order, project_key,
};
use super::stream::{self, Framing};
use crate::api::document::SPANS;
use crate::api::extract::{PathId, ValidJson, ValidQuery};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    AvgValueStat, CountValueStat, ErrorMessage, ExistenceResponse, FeedbackScoreNamesPublic, Id, Number,
    PercentageValueStat, PercentageValues, ProjectStatsPublic, ScoreNamePublic, SearchLimit, Source, SpanPagePublic,
    SpanPublic, SpanSearchStreamRequest, SpanStream, SpanType, StatItem, kind,
};
use crate::record::{ProjectRef, View};
use crate::store::{Caller, Order, SORTABLE, SpanQuery, SpanStats};

/// Parameters of [`get_span_by_id`].
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct GetSpanQuery {
    /// If true, references to attachments are returned as they are; if false, the attachments' content stands in their
    /// place.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = bool, default = false, required = false)]
    #[expect(dead_code, reason = "read for its type; there are no attachments to put in yet")]
    strip_attachments: Option<Flag>,
}

/// Get span by id
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
    ValidQuery(_query): ValidQuery<GetSpanQuery>,
) -> Result<Json<SpanPublic>, ApiError> {
    let span = state.store.span(&caller.workspace, id).await?;
    let span = span.ok_or_else(|| ApiError::NotFound(format!("Span id: {id} not found")))?;
    Ok(Json(span.into_public(&View { project_name: true, ..View::default() })))
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
    #[expect(dead_code, reason = "read for its type; there are no attachments to put in yet")]
    strip_attachments: Option<Flag>,
    /// What to sort by: a JSON array of one `{"field": …, "direction": "ASC" or "DESC"}`.
    #[serde(default)]
    #[param(required = false)]
    sorting: Option<String>,
    /// Members to leave out of the spans: a JSON array of names.
    #[serde(default)]
    #[param(required = false)]
    exclude: Option<String>,
}

/// Get spans by `project_name` or `project_id` and optionally by `trace_id` and/or type
///
/// A page of spans, newest trace first unless another order is asked for. `total` counts all that match.
#[utoipa::path(
    get, path = "/v1/private/spans", operation_id = "getSpansByProject", tag = SPANS,
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
) -> Result<([(HeaderName, &'static str); 1], Body), ApiError> {
    let at_least_one = |name: &str, value: Option<Whole>, otherwise: u32| match value {
        None => Ok(otherwise),
        Some(Whole(value)) => u32::try_from(value)
            .ok()
            .filter(|value| *value > 0)
            .ok_or_else(|| ApiError::bad_request(format!("query param {name} must be greater than or equal to 1"))),
    };
    let (number, size) = (at_least_one("page", page.page, 1)?, at_least_one("size", page.size, 10)?);
    let (mut query, project) = scope.read()?;
    let order = order(page.sorting.as_deref())?;
    query.project = project_key(&state, &caller, &project).await?;
    let view = View {
        excluded: excluded(page.exclude.as_deref())?,
        truncate: page.truncate.is_some_and(|flag| flag.0),
        project_name: false,
    };
    let total = state.store.count_spans(query.clone()).await?;
    let offset = u64::from(number - 1) * u64::from(size);
    let keys =
        if offset < total { state.store.find_spans(query, order, u64::from(size), offset).await? } else { Vec::new() };
    let sortable = serde_json::to_string(&SORTABLE).map_err(|_| ApiError::Internal)?;
    let framing = Framing::Array {
        before: format!(r#"{{"page":{number},"size":{},"total":{total},"content":["#, keys.len()),
        after: format!(r#"],"sortableBy":{sortable},"sortable_by":{sortable}}}"#),
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], stream::body(state, keys, view, framing).await?))
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
) -> Result<([(HeaderName, &'static str); 1], Body), ApiError> {
    let search = body.value;
    let project = named_project(search.project_id, search.project_name)?;
    let (id_min, id_max) = id_range(search.from_time, search.to_time)?;
    let filters = body_filters(search.filters)?;
    let query = SpanQuery {
        trace_id: search.trace_id,
        span_type: search.r#type,
        filters,
        id_min,
        id_max,
        id_below: search.last_retrieved_id,
        ..SpanQuery::all_of(project_key(&state, &caller, &project).await?)
    };
    // A span without a start is a line that SDKs cannot read.
    let mut excluded = search.exclude.unwrap_or_default().0;
    excluded.retain(|member| *member != crate::model::SpanMember::StartTime);
    let view = View { excluded, truncate: search.truncate.unwrap_or(false), project_name: false };
    let limit = search.limit.map_or(SearchLimit::DEFAULT, |limit| limit.0);
    let keys = state.store.find_spans(query, Order::ById, u64::from(limit.unsigned_abs()), 0).await?;
    let body = stream::body(state, keys, view, Framing::Lines).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body))
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
    Ok(Json(ProjectStatsPublic { stats: stat_items(&state.store.span_stats(query).await?) }))
}

/// The figures in the original's order; none where there are no spans.
fn stat_items(stats: &SpanStats) -> Vec<StatItem> {
    let count = |name: &str, value: u64| {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        StatItem::Count(CountValueStat { name: name.to_owned(), r#type: kind::CountKind::Count, value })
    };
    let avg = |name: String, value: f64| StatItem::Avg(AvgValueStat { name, r#type: kind::AvgKind::Avg, value });
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 spans")]
    let mean = |sum: f64, number: u64| if number == 0 { 0.0 } else { sum / number as f64 };
    if stats.count == 0 {
        return Vec::new();
    }
    let [p50, p90, p99] = stats.duration_ms.map(|value| Number(in_range(value)));
    let percentage = PercentageValueStat {
        name: "duration".to_owned(),
        r#type: kind::PercentageKind::Percentage,
        value: PercentageValues { p50, p90, p99 },
    };
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 tags")]
    let tags = stats.tags as f64;
    let mut items = vec![
        count("span_count", stats.count),
        StatItem::Percentage(percentage),
        count("input", stats.inputs),
        count("output", stats.outputs),
        count("metadata", stats.metadata),
        avg("tags".to_owned(), mean(tags, stats.count)),
        avg("total_estimated_cost".to_owned(), mean(stats.cost_sum, stats.costs)),
        avg("total_estimated_cost_sum".to_owned(), stats.cost_sum),
    ];
    items.extend(stats.usage.iter().map(|(key, (sum, number))| avg(format!("usage.{key}"), mean(*sum, *number))));
    items.extend(stats.usage.iter().map(|(key, (sum, _))| avg(format!("usage_sum.{key}"), *sum)));
    let scores = stats.scores.iter();
    items.extend(scores.map(|(name, (sum, number))| avg(format!("feedback_scores.{name}"), mean(*sum, *number))));
    items.push(count("error_count", stats.errors));
    items
}

/// Within what the original can tell, with nine digits of fraction.
fn in_range(value: f64) -> f64 {
    const MAX: f64 = 999_999_999.999_999_999;
    (value.clamp(-MAX, MAX) * 1e9).round() / 1e9
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
    let source = match query.source.filter(|source| !source.trim().is_empty()) {
        None => None,
        Some(name) => {
            let source: Result<Source, _> = serde_json::from_value(serde_json::Value::String(name.clone()));
            Some(source.map_err(|_| ApiError::bad_request(format!("Invalid source '{name}'")))?)
        }
    };
    let project = named_project(query.project_id, query.project_name)?;
    let project = project_key(&state, &caller, &project).await?;
    Ok(Json(ExistenceResponse { exists: state.store.spans_exist(project, source).await? }))
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
    let id = query.project_id.ok_or_else(|| ApiError::bad_request("project_id must be provided"))?;
    let project = state.store.project(&caller.workspace, &ProjectRef::Id(id)).await?;
    let project = project.ok_or_else(|| ApiError::NotFound("Project not found".to_owned()))?;
    let names = state.store.score_names(project, query.r#type.map(|name| name.0)).await?;
    let scores = names.into_iter().map(|name| ScoreNamePublic { name, r#type: None }).collect();
    Ok(Json(FeedbackScoreNamesPublic { scores }))
}
