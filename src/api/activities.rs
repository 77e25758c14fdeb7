//! What happened in a project lately.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::document::PROJECTS;
use super::extract::{PathId, ValidQuery};
use super::paging::{Page, small};
use super::projects;
use super::query::{Whole, optional};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{ActivityType, ErrorMessagePublic, Id, RecentActivityItemPublic, RecentActivityPagePublic};
use crate::record::ProjectRef;
use crate::store::{Caller, TraceDay};

/// How many are on a page at most.
const SIZE_MAX: u64 = 100;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ActivitiesQuery {
    /// Which page, from 1.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 1, minimum = 1, required = false)]
    page: Option<Whole>,
    /// How many are on a page.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 10, minimum = 1, maximum = 100, required = false)]
    size: Option<Whole>,
}

/// Get recent activity for a project
///
/// Days on which traces began, by the time in their ids (UTC), the latest first. Nothing else that happens is kept: there
/// are no datasets, experiments, prompts and alerts here.
#[utoipa::path(
    get, path = "/v1/private/projects/{projectId}/activities", operation_id = "getRecentActivity", tag = PROJECTS,
    params(("projectId" = inline(Id), Path, description = "The project"), ActivitiesQuery),
    responses(
        (status = 200, description = "Recent activity page", body = RecentActivityPagePublic),
        (status = 400, description = "Bad Request", body = ErrorMessagePublic),
        (status = 500, description = "Internal Server Error", body = ErrorMessagePublic),
        (status = "default", description = "Error", body = ErrorMessagePublic),
    )
)]
pub(super) async fn get_recent_activity(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidQuery(ActivitiesQuery { page, size }): ValidQuery<ActivitiesQuery>,
) -> Result<Json<RecentActivityPagePublic>, ApiError> {
    let page = Page::of(page, size, 10)?;
    if page.limit > SIZE_MAX {
        return Err(ApiError::bad_request(format!("query param size must be less than or equal to {SIZE_MAX}")));
    }
    let project = state.store.project(&caller.workspace, &ProjectRef::Id(id)).await?;
    let project = project.ok_or_else(projects::not_found)?;
    let (days, total) = state.store.trace_days(project, page.limit, page.offset).await?;
    let content: Vec<_> = days.into_iter().map(item).collect();
    Ok(Json(RecentActivityPagePublic {
        page: page.number,
        size: small(content.len() as u64),
        total: i64::try_from(total).unwrap_or(i64::MAX),
        content,
    }))
}

fn item(TraceDay { newest, created_by, traces }: TraceDay) -> RecentActivityItemPublic {
    RecentActivityItemPublic {
        r#type: ActivityType::TraceDaily,
        id: newest,
        name: if traces == 1 { "1 trace".to_owned() } else { format!("{traces} traces") },
        resource_id: None,
        created_at: newest.time(),
        created_by: Some(created_by),
    }
}
