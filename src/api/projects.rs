//! Operations on projects.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::document::PROJECTS;
use super::extract::{ClientPrefix, PathId, ValidJson, ValidQuery};
use super::paging::{Page, PageQuery, Sorting, small, sorting};
use super::project_stats;
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    BatchDelete, ErrorMessage, Id, ProjectDetailed, ProjectPagePublic, ProjectPublic, ProjectRetrieve,
    ProjectStatsSummaryItem, ProjectUpdate, ProjectWrite, Visibility,
};
use crate::record::ProjectRef;
use crate::store::{Caller, Manage, PROJECTS_SORTABLE, ProjectChange, ProjectQuery, ProjectSort};

/// Create project
///
/// Projects are also made by the first span or trace that names them.
#[utoipa::path(
    post, path = "/v1/private/projects", operation_id = "createProject", tag = PROJECTS,
    request_body = ProjectWrite,
    responses(
        (status = 201, description = "Created", headers(("Location" = String, description = "Address of the project"))),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = 409, description = "There is a project of this name, in whatever letter case", body = ErrorMessage),
        (status = 422, description = "Unprocessable Content", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn create_project(
    State(state): State<AppState>,
    caller: Caller,
    ClientPrefix(prefix): ClientPrefix,
    ValidJson(body): ValidJson<ProjectWrite>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let ProjectWrite { name, visibility, description } = body.value;
    let Some(name) = name else { return Err(ApiError::Internal) };
    let id = state.clock.fresh_id();
    let visibility = visibility.unwrap_or(Visibility::Private);
    state.ingest.manage(caller, Manage::Project(ProjectChange::Create { id, name, description, visibility })).await??;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("{prefix}/v1/private/projects/{id}"))]))
}

/// Which projects are meant, and in what order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FindQuery {
    /// Filter projects by name (partial match, case insensitive)
    #[serde(default)]
    #[param(required = false)]
    name: Option<String>,
    /// What to sort by: a JSON array of one `{"field": …, "direction": "ASC" or "DESC"}`.
    #[serde(default)]
    #[param(required = false)]
    sorting: Option<String>,
}

impl FindQuery {
    /// What it means.
    pub(super) fn read(self, caller: &Caller, page: &Page) -> Result<ProjectQuery, ApiError> {
        let named = |Sorting { field, descending }| Some((ProjectSort::named(&field?)?, descending));
        let (sort, descending) = sorting(self.sorting.as_deref())?.and_then(named).unwrap_or((ProjectSort::Id, true));
        Ok(ProjectQuery {
            workspace: caller.workspace.to_string(),
            name: self.name.filter(|name| !name.is_empty()),
            sort,
            descending,
            limit: page.limit,
            offset: page.offset,
        })
    }
}

/// Find projects
///
/// A page of projects, the newest first unless another order is asked for. `total` counts all that match.
#[utoipa::path(
    get, path = "/v1/private/projects", operation_id = "findProjects", tag = PROJECTS,
    params(PageQuery, FindQuery),
    responses(
        (status = 200, description = "Project resource", body = ProjectPagePublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn find_projects(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(page): ValidQuery<PageQuery>,
    ValidQuery(find): ValidQuery<FindQuery>,
) -> Result<Json<ProjectPagePublic>, ApiError> {
    let page = page.read()?;
    let (content, total) = state.store.projects(find.read(&caller, &page)?).await?;
    Ok(Json(ProjectPagePublic {
        page: page.number,
        size: small(content.len() as u64),
        total: i64::try_from(total).unwrap_or(i64::MAX),
        content,
        sortable_by: &PROJECTS_SORTABLE,
        sortable_by_original: &PROJECTS_SORTABLE,
    }))
}

/// Get project by id
///
/// One project of the workspace.
#[utoipa::path(
    get, path = "/v1/private/projects/{id}", operation_id = "getProjectById", tag = PROJECTS,
    params(("id" = inline(Id), Path, description = "The project")),
    responses(
        (status = 200, description = "Project resource", body = ProjectPublic),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_project_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<ProjectPublic>, ApiError> {
    project(&state, &caller, &ProjectRef::Id(id)).await.map(Json)
}

/// Retrieve project
///
/// Looks a project up by its name.
#[utoipa::path(
    post, path = "/v1/private/projects/retrieve", operation_id = "retrieveProject", tag = PROJECTS,
    request_body = ProjectRetrieve,
    responses(
        (status = 200, description = "Project resource", body = ProjectDetailed),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = 404, description = "Not Found", body = ErrorMessage),
        (status = 422, description = "Unprocessable Content", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn retrieve_project(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<ProjectRetrieve>,
) -> Result<Json<ProjectDetailed>, ApiError> {
    let Some(name) = body.value.name else { return Err(ApiError::Internal) };
    let project = project(&state, &caller, &ProjectRef::Name(name.0)).await?;
    let stats = if body.value.include_stats == Some(true) {
        project_stats::summary(&state, &caller, project.id, &[]).await?
    } else {
        ProjectStatsSummaryItem::default()
    };
    Ok(Json(ProjectDetailed::new(project, stats)))
}

/// A project that must be there.
async fn project(state: &AppState, caller: &Caller, project: &ProjectRef) -> Result<ProjectPublic, ApiError> {
    let found = state.store.project_public(&caller.workspace, project).await?;
    found.ok_or_else(not_found)
}

/// The answer where there is no such project.
pub(super) fn not_found() -> ApiError {
    ApiError::NotFound("Project not found".to_owned())
}

/// Update project by id
///
/// Changes what is stated.
#[utoipa::path(
    patch, path = "/v1/private/projects/{id}", operation_id = "updateProject", tag = PROJECTS,
    params(("id" = inline(Id), Path, description = "The project")),
    request_body = ProjectUpdate,
    responses(
        (status = 204, description = "No Content"),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = 404, description = "Not found", body = ErrorMessage),
        (status = 409, description = "Another project has this name, in whatever letter case", body = ErrorMessage),
        (status = 422, description = "Unprocessable Content", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn update_project(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
    ValidJson(body): ValidJson<ProjectUpdate>,
) -> Result<StatusCode, ApiError> {
    let ProjectUpdate { name, description, visibility } = body.value;
    state.ingest.manage(caller, Manage::Project(ProjectChange::Update { id, name, description, visibility })).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete project by id
///
/// The project goes, with all that is in it; its name is free again. One that is not there is gone already.
#[utoipa::path(
    delete, path = "/v1/private/projects/{id}", operation_id = "deleteProjectById", tag = PROJECTS,
    params(("id" = inline(Id), Path, description = "The project")),
    responses(
        (status = 204, description = "No Content"),
        (status = 409, description = "Conflict", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_project_by_id(
    State(state): State<AppState>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    state.ingest.manage(caller, Manage::Project(ProjectChange::Delete(vec![id]))).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete projects
///
/// Up to 1,000 projects go, with all that is in them. Unknown ids are passed over.
#[utoipa::path(
    post, path = "/v1/private/projects/delete", operation_id = "deleteProjectsBatch", tag = PROJECTS,
    request_body = BatchDelete,
    responses(
        (status = 204, description = "No Content"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_projects_batch(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<BatchDelete>,
) -> Result<StatusCode, ApiError> {
    let Some(ids) = body.value.ids else { return Err(ApiError::Internal) };
    state.ingest.manage(caller, Manage::Project(ProjectChange::Delete(ids.0))).await??;
    Ok(StatusCode::NO_CONTENT)
}
