//! What the traces of projects amount to.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::document::PROJECTS;
use super::extract::{PathId, ValidQuery};
use super::paging::PageQuery;
use super::projects::{self, FindQuery};
use super::query::invalid_filter;
use super::stats::{finite, mean, percentages};
use crate::app::AppState;
use crate::error::ApiError;
use crate::filter::{self, Filter};
use crate::model::{
    ErrorCountWithDeviation, ErrorMessage, FeedbackScoreAverage, FeedbackScoreNames, Id, Number, ProjectStatsSummary,
    ProjectStatsSummaryItem, Timestamp, TokenUsageNames,
};
use crate::record::ProjectRef;
use crate::store::{Amount, Caller, Kind, Query, SeriesQuery, Stats};

/// What counts as recent.
const RECENT_NANOS: i64 = 7 * 24 * 3600 * 1_000_000_000;

/// Traces that ended with an error, in the words of a client.
const WITH_ERROR: &str = r#"[{"field": "error_info", "operator": "is_not_empty"}]"#;

/// Parameters of [`get_project_stats`] beside the projects.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// Which traces count: a JSON array of filters of traces.
    #[serde(default)]
    #[param(required = false)]
    filters: Option<String>,
}

/// Get Project Stats
///
/// What the traces of each project on a page amount to. The page is the one that `findProjects` answers.
#[utoipa::path(
    get, path = "/v1/private/projects/stats", operation_id = "getProjectStats", tag = PROJECTS,
    params(PageQuery, FindQuery, StatsQuery),
    responses(
        (status = 200, description = "Project Stats", body = ProjectStatsSummary),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_project_stats(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
    ValidQuery(find): ValidQuery<FindQuery>,
    ValidQuery(StatsQuery { filters }): ValidQuery<StatsQuery>,
) -> Result<Json<ProjectStatsSummary>, ApiError> {
    let query = find.read(&caller, &page.read()?)?;
    let filters = filter::parse_json(Kind::Traces.fields(), &filters.unwrap_or_default()).map_err(invalid_filter)?;
    let (projects, _) = state.store.projects(query).await?;
    let mut content = Vec::with_capacity(projects.len());
    for project in projects {
        content.push(summary(&state, &caller, project.id, &filters).await?);
    }
    Ok(Json(ProjectStatsSummary { content }))
}

/// What those traces of a project amount to that match.
pub(super) async fn summary(
    state: &AppState,
    caller: &Caller,
    project_id: Id,
    filters: &[Filter],
) -> Result<ProjectStatsSummaryItem, ApiError> {
    let none = ProjectStatsSummaryItem { project_id: Some(project_id), ..Default::default() };
    // One that went meanwhile has no traces.
    let Some(project) = state.store.project(&caller.workspace, &ProjectRef::Id(project_id)).await? else {
        return Ok(none);
    };
    let query = Query { filters: filters.to_vec(), ..Query::all(Kind::Traces, project) };
    let stats = state.store.stats(query.clone()).await?;
    if stats.count == 0 {
        return Ok(none);
    }
    let recent = if stats.errors == 0 { 0 } else { state.store.count(with_recent_errors(query, state)?).await? };
    Ok(ProjectStatsSummaryItem {
        feedback_scores: Some(stats.scores.iter().map(average).collect()),
        duration: Some(percentages(&stats)),
        total_estimated_cost: Some(finite(mean(stats.cost_sum, stats.costs))),
        total_estimated_cost_sum: Some(finite(stats.cost_sum)),
        usage: Some(stats.usage.iter().map(|(name, (sum, number))| (name.clone(), mean(*sum, *number))).collect()),
        trace_count: Some(signed(stats.count)),
        thread_count: Some(signed(stats.threads)),
        guardrails_failed_count: Some(0),
        error_count: Some(errors(&stats, recent)),
        ..none
    })
}

fn average((name, (sum, number)): (&String, &(f64, u64))) -> FeedbackScoreAverage {
    FeedbackScoreAverage { name: name.clone(), value: Number(mean(*sum, *number)) }
}

/// Those of these traces that ended with an error not long ago, as far as ids tell the time.
fn with_recent_errors(query: Query, state: &AppState) -> Result<Query, ApiError> {
    let mut filters = query.filters;
    filters.extend(filter::parse_json(Kind::Traces.fields(), WITH_ERROR).map_err(|_| ApiError::Internal)?);
    let since = Timestamp::from_nanos(state.clock.now() - RECENT_NANOS);
    Ok(Query { filters, id_min: Some(Id::at(since, false)), ..query })
}

fn errors(stats: &Stats, recent: u64) -> ErrorCountWithDeviation {
    let earlier = stats.errors.saturating_sub(recent);
    // Rounded half up.
    let per_cent = (earlier > 0).then(|| (recent * 200 + earlier) / (earlier * 2));
    ErrorCountWithDeviation {
        count: signed(stats.errors),
        deviation: signed(recent),
        deviation_percentage: per_cent.map(signed),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Parameters of [`find_feedback_score_names_by_project_ids`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NamesQuery {
    /// Which projects: a JSON array of ids. All when absent or empty.
    #[serde(default)]
    #[param(required = false)]
    project_ids: Option<String>,
}

/// Find Feedback Score names By Project Ids
///
/// The names of all scores of spans, traces and threads.
#[utoipa::path(
    get, path = "/v1/private/projects/feedback-scores/names", operation_id = "findFeedbackScoreNamesByProjectIds",
    tag = PROJECTS,
    params(NamesQuery),
    responses(
        (status = 200, description = "Feedback Scores resource", body = FeedbackScoreNames),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn find_feedback_score_names_by_project_ids(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(NamesQuery { project_ids }): ValidQuery<NamesQuery>,
) -> Result<Json<FeedbackScoreNames>, ApiError> {
    let text = project_ids.unwrap_or_default();
    let ids: Vec<Id> = if text.trim().is_empty() {
        Vec::new()
    } else {
        serde_json::from_str(&text).map_err(|error| ApiError::BadRequest {
            message: format!("Invalid query param ids '{text}'"),
            details: Some(format!("project_ids: expected a JSON array of ids: {error}")),
            violation: None,
        })?
    };
    let wanted = (!ids.is_empty()).then_some(ids);
    let names = state.store.project_score_names(&caller.workspace, wanted).await?;
    Ok(Json(names.into_iter().collect()))
}

/// Find Token Usage names
///
/// The names of all token counts of a project's spans.
#[utoipa::path(
    get, path = "/v1/private/projects/{id}/token-usage/names", operation_id = "findTokenUsageNames", tag = PROJECTS,
    params(("id" = inline(Id), Path, description = "The project")),
    responses(
        (status = 200, description = "Token Usage names resource", body = TokenUsageNames),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn find_token_usage_names(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<TokenUsageNames>, ApiError> {
    let project = state.store.project(&caller.workspace, &ProjectRef::Id(id)).await?;
    let project = project.ok_or_else(projects::not_found)?;
    let asked = SeriesQuery {
        query: Query::all(Kind::Spans, project),
        starts: vec![0],
        end: i64::MAX,
        group: None,
        amount: Amount::Usage(String::new()),
    };
    let groups = state.store.series(asked).await?.groups;
    let stats = groups.into_values().flat_map(BTreeMap::into_values);
    let names: BTreeSet<String> = stats.flat_map(|stats| stats.usage.into_keys()).collect();
    Ok(Json(TokenUsageNames { names: names.into_iter().collect() }))
}
