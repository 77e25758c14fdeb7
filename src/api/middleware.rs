//! What stands around every request: paths made uniform, faults caught, answers packed, a line in the log.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::uri::PathAndQuery;
use axum::http::{Extensions, HeaderMap, StatusCode, Uri, Version, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};

use crate::error::ApiError;

/// Answers below this size are not worth packing.
const COMPRESS_BYTES_MIN: u16 = 256;

/// The path prefix that was taken off a request.
#[derive(Debug, Clone, Copy)]
pub struct Prefix(pub &'static str);

/// The address that a request was sent to, where it was made uniform.
#[derive(Debug, Clone)]
pub(super) struct Sent(pub(super) Uri);

/// The prefix under which clients of the original reach it.
const API: &str = "/api";

pub(super) fn around(router: Router) -> Router {
    router
        .layer(
            CompressionLayer::new()
                .quality(CompressionLevel::Fastest)
                .compress_when(SizeAbove::new(COMPRESS_BYTES_MIN).and(is_no_file)),
        )
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn(logged))
}

/// Files that were uploaded go out as they are: most are packed already, and a client wants to see how large they are.
fn is_no_file(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(header::CONTENT_DISPOSITION)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn caught(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(said = said.unwrap_or("?"), "a request handler panicked");
    ApiError::Internal.into_response()
}

async fn logged(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // The pattern, not the path: ids and names of clients do not belong in a log.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let duration_ms = begun.elapsed().as_secs_f64() * 1e3;
    if status.is_server_error() {
        tracing::warn!(%method, route, status = status.as_u16(), duration_ms, "request failed");
    } else {
        tracing::debug!(%method, route, status = status.as_u16(), duration_ms, "request");
    }
    response
}

/// Makes every address of an operation the same one: with or without `/api` before it and a slash behind it, and never
/// a redirect, which the SDKs follow without their data.
pub fn rewrite<B>(mut request: axum::http::Request<B>) -> axum::http::Request<B> {
    let path = request.uri().path();
    let (prefix, bare) = match path.strip_prefix(API) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => (API, rest),
        _ => ("", path),
    };
    // The pages below it find their files relative to the slash.
    let bare = if bare.starts_with("/swagger-ui") { bare } else { bare.trim_end_matches('/') };
    let bare = if bare.is_empty() { "/" } else { bare };
    if bare.len() != path.len() {
        let with_query = match request.uri().query() {
            Some(query) => format!("{bare}?{query}"),
            None => bare.to_owned(),
        };
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(with_query).ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            let sent = std::mem::replace(request.uri_mut(), uri);
            request.extensions_mut().insert(Sent(sent));
        }
    }
    request.extensions_mut().insert(Prefix(prefix));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_made_uniform() {
        for (sent, served, prefix) in [
            ("/v1/private/spans", "/v1/private/spans", ""),
            ("/api/v1/private/spans/", "/v1/private/spans", "/api"),
            ("/api/v1/private/spans?a=/api/", "/v1/private/spans?a=/api/", "/api"),
            ("/api", "/", "/api"),
            ("/api/", "/", "/api"),
            ("/", "/", ""),
            ("/apis", "/apis", ""),
            ("/swagger-ui/", "/swagger-ui/", ""),
        ] {
            let request = rewrite(axum::http::Request::builder().uri(sent).body(()).expect("valid"));
            assert_eq!(request.uri(), served, "{sent}");
            assert_eq!(request.extensions().get::<Prefix>().expect("set").0, prefix, "{sent}");
        }
    }
}
