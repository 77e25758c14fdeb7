//! Waiting until something is stored. Whoever waits is woken by commits, and asks the database then.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use tokio::time::Instant;

use super::test_api;
use crate::api::document::TESTING;
use crate::api::extract::ValidJson;
use crate::api::query::{body_filters, searched_project};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{Arrived, Awaited, AwaitedKind, ErrorMessage, Within};
use crate::record::ProjectRef;
use crate::store::{Caller, Kind, Query};

/// Wait for spans or traces
///
/// Answers as soon as so many of them are stored, at once if they are. A project that does not exist yet has none.
#[utoipa::path(
    post, path = "/v1/test/wait", operation_id = "waitFor", tag = TESTING,
    request_body = Awaited,
    responses(
        (status = 200, description = "So many are there", body = Arrived),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = 404, description = "The server was started without `--test-api`", body = ErrorMessage),
        (status = 408, description = "There were not so many in time", body = ErrorMessage),
        (status = 422, description = "Unprocessable Content", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(in crate::api) async fn wait_for(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<Awaited>,
) -> Result<Json<Arrived>, ApiError> {
    let test = test_api(&state)?;
    let awaited = body.value;
    let (count, timeout_ms) = (Within::or_default(awaited.count), Within::or_default(awaited.timeout_ms));
    let (query, project) = read(awaited)?;
    let busy = |_| ApiError::TryLater { message: "Too many wait already".to_owned(), seconds: 1 };
    let _waits = test.waits.try_acquire().map_err(busy)?;
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.into());
    let mut commits = state.ingest.commits();
    loop {
        // Before they are counted: what is committed meanwhile is not missed.
        commits.mark_unchanged();
        let there = count_of(&state, &caller, &query, &project).await?;
        if there >= u64::from(count) {
            return Ok(Json(Arrived { count: i64::try_from(there).unwrap_or(i64::MAX) }));
        }
        let what = if query.of == Kind::Spans { "spans" } else { "traces" };
        tokio::select! {
            changed = commits.changed() => changed.map_err(|_| ApiError::Unavailable("The server is shutting down"))?,
            () = tokio::time::sleep_until(deadline) => {
                return Err(ApiError::NotYet(format!("There are {there} such {what} after {timeout_ms} ms, not {count}")));
            }
            () = test.ending.cancelled() => return Err(ApiError::Unavailable("The server is shutting down")),
        }
    }
}

/// What it means, and the project it names.
fn read(awaited: Awaited) -> Result<(Query, ProjectRef), ApiError> {
    let project = searched_project(awaited.project_id, awaited.project_name)?;
    let of = match awaited.kind {
        Some(AwaitedKind::Spans) => Kind::Spans,
        Some(AwaitedKind::Traces) => Kind::Traces,
        None => return Err(ApiError::Internal),
    };
    if of == Kind::Traces && awaited.r#type.is_some() {
        return Err(ApiError::unprocessable("/type", "type", "must be null: only spans are of a type"));
    }
    let filters = body_filters(of, "filters", awaited.filters)?;
    let search = awaited.search.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let query = Query { span_type: awaited.r#type, filters, search, ..Query::all(of, 0) };
    let query = match of {
        Kind::Spans => Query { trace_id: awaited.trace_id, ..query },
        // It is meant itself.
        _ => Query { id_min: awaited.trace_id, id_max: awaited.trace_id, ..query },
    };
    Ok((query, project))
}

async fn count_of(state: &AppState, caller: &Caller, query: &Query, project: &ProjectRef) -> Result<u64, ApiError> {
    let Some(project) = state.store.project(&caller.workspace, project).await? else { return Ok(0) };
    Ok(state.store.count(Query { project, ..query.clone() }).await?)
}
