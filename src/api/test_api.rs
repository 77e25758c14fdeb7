//! What tests of other programs ask of this server: that it forgets everything, that it misbehaves, what it received, and
//! that something has arrived.
//!
//! The operations are served with `--test-api` alone. The document describes them in any case: there is one document. Own
//! requests are neither recorded nor disturbed.

mod answer;
mod faults;
mod layer;
mod requests;
mod wait;

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use clap::Args;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body;
use super::document::TESTING;
use super::extract::{ValidJson, ValidQuery};
use super::paging::at_least_one;
use super::query::{Whole, optional};
use super::strict::Strict;
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{ErrorMessage, Fault, Faults, RecordedRequests};
use faults::Rules;
use requests::Requests;

pub use answer::HungUp;
pub(super) use layer::around;

/// Under which all of it is.
pub(super) const PREFIX: &str = "/v1/test/";

/// Whether there are operations for tests, and how much they keep.
#[derive(Debug, Clone, Copy, Args)]
pub struct TestConfig {
    /// Serve the operations under `/v1/test`: to forget everything, to answer with faults, to tell what was received and
    /// to wait for what is stored. For tests of clients, never for data that somebody wants to keep.
    #[arg(long, env = "SPANDREL_TEST_API")]
    pub test_api: bool,
    /// Requests that the operations for tests can tell; the oldest are forgotten first.
    #[arg(long, env = "SPANDREL_TEST_REQUESTS_MAX", default_value_t = 1_000, value_name = "REQUESTS",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub test_requests_max: u32,
    /// Memory for them; of a body, a quarter of it is kept.
    #[arg(long, env = "SPANDREL_TEST_REQUESTS_BYTES_MAX", default_value_t = 64 << 20, value_name = "BYTES")]
    pub test_requests_bytes_max: usize,
}

/// Waits at once. Chosen: each asks the database after each commit.
const WAITS_MAX: usize = 100;

/// What the operations share.
#[derive(Debug)]
pub struct TestApi {
    rules: Rules,
    requests: Requests,
    /// Ids of operations, by method and path.
    operations: OnceLock<Operations>,
    contract: OnceLock<Result<Arc<Strict>, String>>,
    waits: Semaphore,
    /// Ends what waits.
    ending: CancellationToken,
}

impl TestApi {
    /// With nothing in it; none if it is not asked for.
    #[must_use]
    pub fn new(config: TestConfig) -> Option<Self> {
        config.test_api.then(|| Self {
            rules: Rules::default(),
            requests: Requests::new(config.test_requests_max as usize, config.test_requests_bytes_max),
            operations: OnceLock::new(),
            contract: OnceLock::new(),
            waits: Semaphore::new(WAITS_MAX),
            ending: CancellationToken::new(),
        })
    }

    /// Lets go of all who wait: the server is told to stop.
    pub fn end(&self) {
        self.ending.cancel();
    }

    fn operations(&self) -> &Operations {
        self.operations.get_or_init(Operations::of_document)
    }

    /// What requests are held to afterwards: what strict mode holds them to.
    fn contract(&self, state: &AppState) -> Result<Arc<Strict>, ApiError> {
        if let Some(strict) = &state.strict {
            return Ok(Arc::clone(strict));
        }
        let made = self.contract.get_or_init(|| Strict::of_document(false).map(Arc::new));
        made.clone().map_err(|error| {
            tracing::error!(error, "the document cannot be checked against");
            ApiError::Internal
        })
    }
}

/// Ids of operations, by method and path.
#[derive(Debug)]
struct Operations(Vec<(String, String, Arc<str>)>);

impl Operations {
    fn of_document() -> Self {
        let document = super::document();
        let mut all = Vec::new();
        for (path, item) in document.value()["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if let Some(id) = operation["operationId"].as_str() {
                    all.push((method.to_uppercase(), path.clone(), Arc::from(id)));
                }
            }
        }
        Self(all)
    }

    /// The one that answers a request. A `HEAD` is a `GET`.
    fn find(&self, method: &str, path: &str) -> Option<Arc<str>> {
        let method = if method == "HEAD" { "GET" } else { method };
        let found = self.0.iter().find(|(own_method, own_path, _)| own_method == method && own_path == path);
        found.map(|(.., id)| Arc::clone(id))
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(.., id)| &**id)
    }
}

/// The routes, and what the document says of them.
pub(super) fn operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(reset_data))
        .routes(routes!(list_faults, add_fault, clear_faults))
        .routes(routes!(list_requests))
        .routes(routes!(wait::wait_for))
}

/// What every handler begins with.
fn test_api(state: &AppState) -> Result<Arc<TestApi>, ApiError> {
    // The routes are there only if it is.
    state.test.clone().ok_or(ApiError::Internal)
}

/// Reset
///
/// Forgets all data, all faults and all requests: the server is as a new one. What is being stored meanwhile may come
/// before or after it.
#[utoipa::path(
    post, path = "/v1/test/reset", operation_id = "resetData", tag = TESTING,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "The server was started without `--test-api`", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
async fn reset_data(State(state): State<AppState>) -> Result<StatusCode, ApiError> {
    let test = test_api(&state)?;
    state.ingest.reset().await?;
    test.rules.clear();
    test.requests.clear();
    Ok(StatusCode::NO_CONTENT)
}

/// Add fault
///
/// Has the next requests that fit answered otherwise than they would be: with another status, headers and body, later,
/// cut short, or not at all. There may be 1,000 faults, of 64 MiB together.
#[utoipa::path(
    post, path = "/v1/test/faults", operation_id = "addFault", tag = TESTING,
    request_body = Fault,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "The server was started without `--test-api`", body = ErrorMessage),
        (status = 422, description = "Unprocessable Content", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
async fn add_fault(State(state): State<AppState>, ValidJson(body): ValidJson<Fault>) -> Result<StatusCode, ApiError> {
    let test = test_api(&state)?;
    test.rules.add(body.value, test.operations())?;
    Ok(StatusCode::NO_CONTENT)
}

/// List faults
///
/// Those that were added, with how often each came about.
#[utoipa::path(
    get, path = "/v1/test/faults", operation_id = "listFaults", tag = TESTING,
    responses(
        (status = 200, description = "Faults", body = Faults),
        (status = 404, description = "The server was started without `--test-api`", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
async fn list_faults(State(state): State<AppState>) -> Result<Json<Faults>, ApiError> {
    Ok(Json(Faults { faults: test_api(&state)?.rules.list() }))
}

/// Clear faults
///
/// From now on all requests are answered as they should be.
#[utoipa::path(
    delete, path = "/v1/test/faults", operation_id = "clearFaults", tag = TESTING,
    responses(
        (status = 204, description = "No Content"),
        (status = 404, description = "The server was started without `--test-api`", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
async fn clear_faults(State(state): State<AppState>) -> Result<StatusCode, ApiError> {
    test_api(&state)?.rules.clear();
    Ok(StatusCode::NO_CONTENT)
}

/// Parameters of [`list_requests`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RequestsQuery {
    /// Only requests for this operation, such as `createSpans`.
    #[serde(default)]
    #[param(required = false)]
    operation_id: Option<String>,
    /// Only the last so many.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, minimum = 1, required = false)]
    last: Option<Whole>,
}

/// List requests
///
/// The last requests as they were received, the latest last, with what is wrong with each. As many are kept as
/// `--test-requests-max` and `--test-requests-bytes-max` say; `/v1/test` itself is not among them.
#[utoipa::path(
    get, path = "/v1/test/requests", operation_id = "listRequests", tag = TESTING,
    params(RequestsQuery),
    responses(
        (status = 200, description = "Requests", body = RecordedRequests),
        (status = 404, description = "The server was started without `--test-api`", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
async fn list_requests(
    State(state): State<AppState>,
    ValidQuery(query): ValidQuery<RequestsQuery>,
) -> Result<Json<RecordedRequests>, ApiError> {
    let test = test_api(&state)?;
    let last = at_least_one("last", query.last, u32::MAX)?;
    let operation_id = query.operation_id.filter(|id| !id.is_empty());
    let aside_of = state.clone();
    let work = move || {
        let contract = test.contract(&aside_of)?;
        Ok(Json(test.requests.list(operation_id.as_deref(), last as usize, &contract, &aside_of.limits)))
    };
    // However little it is, it is looked at beside the threads that serve everyone.
    body::aside(usize::MAX, &state, work).await
}
