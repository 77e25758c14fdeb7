//! Answers that are made up, and those that do not come whole.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::model::{ErrorMessage, Fault, Hangup};

/// In an answer's extensions: it is not to be sent, and the connection ends in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HungUp(pub Hangup);

/// How long what was sent of an answer has to get out before the connection ends. Chosen: it is in the system's hands
/// after the next turn of the task, unless its buffers are full.
const FLUSH: Duration = Duration::from_millis(20);

/// The answer that a fault states, without its headers.
pub(super) fn made_up(fault: &Fault, status: StatusCode) -> Response {
    let body = fault.body.as_ref().map(|body| body.0.as_str());
    match body {
        Some(body) => {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
            let media_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
            (status, [(header::CONTENT_TYPE, media_type)], body.to_owned()).into_response()
        }
        None if status.as_u16() >= 400 => {
            let message = format!("HTTP {status}, as a test wants it");
            let code = Some(i32::from(status.as_u16()));
            let (errors, violations) = (vec![message.clone()], Vec::new());
            let body = ErrorMessage { code, message: Some(message), details: None, errors, violations };
            (status, Json(body)).into_response()
        }
        None => status.into_response(),
    }
}

/// An answer with the headers that a fault states.
pub(super) fn with_headers(mut response: Response, fault: &Fault) -> Response {
    for (name, value) in fault.headers.iter().flatten() {
        // Both were checked when the fault was added.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// No answer.
pub(super) fn none(how: Hangup) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(HungUp(how));
    response
}

/// An answer that breaks off after so many bytes of its body; one that is not longer stays whole.
pub(super) fn cut(response: Response, bytes: usize) -> Response {
    let (mut parts, body) = response.into_parts();
    // The length is still that of the whole.
    if let Some(length) = body.size_hint().exact() {
        if length <= bytes as u64 {
            return Response::from_parts(parts, body);
        }
        parts.headers.entry(header::CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    let pieces = stream::unfold(Some((body, bytes)), |rest| async move {
        let (mut body, left) = rest?;
        loop {
            let data = match body.frame().await? {
                Ok(frame) => frame.into_data().ok()?,
                Err(error) => return Some((Err(io::Error::other(error)), None)),
            };
            if data.is_empty() {
                continue;
            }
            if left == 0 {
                tokio::time::sleep(FLUSH).await;
                return Some((Err(io::Error::other("cut off, as a test wants it")), None));
            }
            let piece: Bytes = data.slice(..data.len().min(left));
            if piece.len() < data.len() {
                // What follows is only there to be cut off.
                return Some((Ok(piece), Some((Body::from(data), 0))));
            }
            let left = left - piece.len();
            return Some((Ok(piece), Some((body, left))));
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
