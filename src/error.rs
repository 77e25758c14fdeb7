//! What clients are told when something is wrong: the only place that knows status codes.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::ingest::SubmitError;
use crate::model::{ErrorMessage, Violation};
use crate::record::{Conflict, Entity};
use crate::store::{ManageRefusal, Refusal, StoreError};

/// An answer that is not a success.
#[derive(Debug)]
pub enum ApiError {
    /// 400: the body cannot be read, or a parameter has no meaning.
    BadRequest {
        /// One sentence.
        message: String,
        /// The cause.
        details: Option<String>,
        /// Where, if it is in the body.
        violation: Option<Box<Violation>>,
    },
    /// 400: the request is not as the document says; strict mode tells all that is wrong.
    OffContract(Vec<Violation>),
    /// 404: there is no such thing.
    NotFound(String),
    /// 405; the router adds `Allow`.
    MethodNotAllowed,
    /// 409: the write contradicts what is stored.
    Conflict(Cow<'static, str>),
    /// 413: the body is too large.
    TooLarge(String),
    /// 415: the body is not JSON, or packed in a way that is not understood.
    UnsupportedMediaType(String),
    /// 416: a part of a file is asked for that it does not have.
    NoSuchRange,
    /// 422: the body can be read, but breaks rules; all of them are told.
    Unprocessable(Vec<Violation>),
    /// 429: cannot be taken now. SDKs keep what gets this answer and send it again after so many seconds.
    TryLater {
        /// The cause.
        message: String,
        /// Whole seconds, 1 to 60.
        seconds: u64,
    },
    /// 408: the body did not arrive in time.
    TooSlow,
    /// 408: what was waited for is not there.
    NotYet(String),
    /// 503: cannot be answered by this process.
    Unavailable(&'static str),
    /// 500: it is stored where the database is damaged; told in the log.
    Damaged,
    /// 500: a fault of ours; told in the log.
    Internal,
}

impl ApiError {
    /// A 400 with a message alone.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into(), details: None, violation: None }
    }

    fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict(message.into())
    }

    /// A 422 for one broken rule.
    #[must_use]
    pub fn unprocessable(pointer: &str, path: &str, message: &str) -> Self {
        Self::Unprocessable(vec![Violation::new(pointer, path, message)])
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest { .. } | Self::OffContract(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow | Self::NotYet(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoSuchRange => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TryLater { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Damaged | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is wrong with the request, place by place.
    pub fn into_violations(self) -> Vec<Violation> {
        let status = self.status();
        let ErrorMessage { message, violations, .. } = self.into_message(status);
        if violations.is_empty() {
            message.iter().map(|text| Violation::new("", "", text)).collect()
        } else {
            violations
        }
    }

    fn into_message(self, status: StatusCode) -> ErrorMessage {
        let mut details = None;
        let mut violations = Vec::new();
        let mut errors = Vec::new();
        let message = match self {
            Self::BadRequest { message, details: cause, violation } => {
                details = cause;
                violations.extend(violation.map(|violation| *violation));
                message
            }
            Self::Unprocessable(broken) | Self::OffContract(broken) => {
                errors = broken.iter().map(|violation| violation.original.clone()).collect();
                violations = broken;
                errors.join("; ")
            }
            Self::NotFound(message)
            | Self::NotYet(message)
            | Self::TooLarge(message)
            | Self::UnsupportedMediaType(message)
            | Self::TryLater { message, .. } => message,
            Self::Conflict(message) => message.into_owned(),
            Self::Unavailable(message) => message.to_owned(),
            Self::MethodNotAllowed => "HTTP 405 Method Not Allowed".to_owned(),
            Self::NoSuchRange => "HTTP 416 Range Not Satisfiable".to_owned(),
            Self::TooSlow => "The request did not arrive in time".to_owned(),
            Self::Damaged => "The database is damaged where this is stored. It has been logged.".to_owned(),
            Self::Internal => "There was an error processing your request. It has been logged.".to_owned(),
        };
        if errors.is_empty() {
            errors.push(message.clone());
        }
        ErrorMessage { code: Some(i32::from(status.as_u16())), message: Some(message), details, errors, violations }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let seconds = if let Self::TryLater { seconds, .. } = self { Some(seconds) } else { None };
        let mut response = (status, Json(self.into_message(status))).into_response();
        if let Some(seconds) = seconds {
            // Python's SDK reads both headers, and throws data away without the second.
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response.headers_mut().insert(HeaderName::from_static("ratelimit-reset"), HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let told = match error {
            StoreError::Unavailable { reason, .. } => return Self::Unavailable(reason),
            StoreError::TooLong => return Self::Unavailable("The query took longer than it may; ask for less"),
            StoreError::Damaged(_) | StoreError::Corrupt { .. } => Self::Damaged,
            StoreError::Other(_) => Self::Internal,
        };
        tracing::error!(%error, "reading from the store failed");
        told
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict(_, Conflict::Parent) => Self::conflict("parent_span_id does not match the existing span"),
            Refusal::Conflict(Entity::Trace, _) => {
                Self::conflict("Project name and workspace name do not match the existing trace")
            }
            Refusal::Conflict(_, Conflict::Project) => {
                Self::conflict("Project name and workspace name do not match the existing span")
            }
            Refusal::Conflict(_, Conflict::Trace) => Self::conflict("trace_id does not match the existing span"),
            Refusal::ProjectNotFound => Self::NotFound("Project not found".to_owned()),
            Refusal::ProjectNameNotFound(name) => Self::NotFound(format!("Project name: {name} not found")),
            Refusal::ThreadsNotFound(ids) => Self::NotFound(format!("Thread '[{}]' not found:", ids.join(", "))),
            Refusal::NotFound(target) => {
                Self::NotFound(format!("{} id: {} not found", target.entity.title(), target.id))
            }
            Refusal::CommentNotFound(id) => Self::NotFound(format!("Comment id: {id} not found")),
            Refusal::TooManyTags { max } => {
                Self::unprocessable("/tags_to_add", "", &format!("Tag limit exceeded: maximum {max} tags per item"))
            }
        }
    }
}

impl From<ManageRefusal> for ApiError {
    fn from(refusal: ManageRefusal) -> Self {
        let not_found = |what: &str| Self::NotFound(format!("{what} not found"));
        match refusal {
            ManageRefusal::ProjectExists => Self::conflict("Project already exists"),
            ManageRefusal::ProjectNotFound => not_found("Project"),
            ManageRefusal::EnvironmentExists(name) => {
                Self::conflict(format!("Environment with name '{name}' already exists in the workspace"))
            }
            ManageRefusal::EnvironmentIdExists => Self::conflict("Environment already exists"),
            ManageRefusal::TooManyEnvironments { max } => {
                Self::conflict(format!("Workspace already has the maximum of {max} environments"))
            }
            ManageRefusal::EnvironmentNotFound => not_found("Environment"),
            ManageRefusal::DefinitionExists => Self::conflict("Feedback already exists"),
            ManageRefusal::DefinitionNotFound => not_found("Feedback definition"),
            ManageRefusal::DefinitionStays(name) => {
                Self::conflict(format!("Cannot delete feedback definition '{name}'"))
            }
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full { seconds } => {
                Self::TryLater { message: "Too many writes are waiting to be stored".to_owned(), seconds }
            }
            SubmitError::Unavailable { reason, seconds } => {
                Self::TryLater { message: format!("Cannot store now: {reason}"), seconds }
            }
            SubmitError::ShuttingDown => Self::Unavailable("The server is shutting down"),
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Damaged => Self::Damaged,
            SubmitError::Failed => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(error: impl Into<ApiError>) -> (u16, String) {
        let error = error.into();
        let status = error.status();
        (status.as_u16(), error.into_message(status).message.unwrap_or_default())
    }

    #[test]
    fn every_cause_has_its_status() {
        for (error, status) in [
            (ApiError::from(StoreError::Unavailable { reason: "gone", full: false }), 503),
            (StoreError::Corrupt { table: "spans", column: "id" }.into(), 500),
            (StoreError::Damaged("?".into()).into(), 500),
            (StoreError::Other("?".into()).into(), 500),
            (Refusal::Conflict(Entity::Span, Conflict::Parent).into(), 409),
            (Refusal::ProjectNotFound.into(), 404),
            (Refusal::TooManyTags { max: 50 }.into(), 422),
            (ManageRefusal::ProjectExists.into(), 409),
            (ManageRefusal::EnvironmentNotFound.into(), 404),
            (SubmitError::Full { seconds: 1 }.into(), 429),
            (SubmitError::Unavailable { reason: "disk full", seconds: 5 }.into(), 429),
            (SubmitError::ShuttingDown.into(), 503),
            (SubmitError::Damaged.into(), 500),
            (SubmitError::Failed.into(), 500),
            (SubmitError::Refused(Refusal::ProjectNotFound).into(), 404),
        ] {
            let shown = format!("{error:?}");
            assert_eq!(answer(error).0, status, "{shown}");
        }
    }

    #[test]
    fn faults_of_ours_tell_nothing_of_the_inside() {
        let (_, message) = answer(StoreError::Other("no such table: spans".into()));
        assert!(!message.contains("table"), "{message}");
    }
}
