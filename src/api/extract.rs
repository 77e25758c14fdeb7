//! What handlers take: callers, ids, parameters and bodies, each with its own clear refusal.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Prefix;
use super::body::{self, Read, RequestBody};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{Id, Violation};
use crate::store::{Caller, DEFAULT_WORKSPACE};

/// The user of a server without authentication, as in the original.
const USER: &str = "admin";

/// Longest workspace name, in characters. Chosen.
const WORKSPACE_CHARS_MAX: usize = 150;

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let workspace = match parts.headers.get("comet-workspace") {
            None => "",
            Some(name) => std::str::from_utf8(name.as_bytes())
                .map_err(|_| ApiError::bad_request("The header Comet-Workspace is not UTF-8"))?,
        };
        if workspace.chars().count() > WORKSPACE_CHARS_MAX {
            let message = format!("The header Comet-Workspace is longer than {WORKSPACE_CHARS_MAX} characters");
            return Err(ApiError::bad_request(message));
        }
        let workspace = if workspace.is_empty() { DEFAULT_WORKSPACE } else { workspace };
        Ok(Self { workspace: Arc::from(workspace), user: Arc::from(USER) })
    }
}

/// An id in the path; anything that is none is no path of ours.
pub(super) struct PathId(pub Id);

impl FromRequestParts<AppState> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let not_found = || ApiError::NotFound("HTTP 404 Not Found".to_owned());
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        text.parse().map(Self).map_err(|_| not_found())
    }
}

/// Query parameters.
pub(super) struct ValidQuery<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for ValidQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        #[expect(clippy::disallowed_types, reason = "wrapped here, so that its refusals are ours")]
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        match query {
            Ok(query) => Ok(Self(query.0)),
            Err(rejection) => Err(ApiError::BadRequest {
                message: "A query parameter has no meaning".to_owned(),
                details: Some(rejection.body_text()),
                violation: None,
            }),
        }
    }
}

/// The path prefix under which the client reached us.
pub(super) struct ClientPrefix(pub &'static str);

impl FromRequestParts<AppState> for ClientPrefix {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Prefix>().map_or("", |prefix| prefix.0)))
    }
}

/// A JSON body, read and checked.
pub(super) struct ValidJson<T>(pub Read<T>);

impl<T: RequestBody> FromRequest<AppState> for ValidJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        body::read(request, state).await.map(Self)
    }
}

/// A JSON body that may be left out: Python's SDK announces one and sends none.
pub(super) struct OptionalJson<T>(pub Option<Read<T>>);

impl<T: RequestBody> FromRequest<AppState> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        if http_body::Body::is_end_stream(request.body()) {
            return Ok(Self(None));
        }
        ValidJson::from_request(request, state).await.map(|ValidJson(body)| Self(Some(body)))
    }
}

/// The id, if it is one that clients may choose: it tells the time, and storage is ordered by it. `whose` begins the
/// message; `pointer` says where in a body it stands.
pub(super) fn version_7(whose: &str, id: Id, pointer: Option<&str>) -> Result<Id, ApiError> {
    if id.is_v7() {
        return Ok(id);
    }
    Err(ApiError::BadRequest {
        message: "Invalid UUID for id".to_owned(),
        details: Some(format!("{whose} id must be a version 7 UUID")),
        violation: pointer.map(|pointer| Box::new(Violation::new(pointer, "id", "must be a version 7 UUID"))),
    })
}
