//! Swagger UI: a page of our own around the vendored files, and what a browser may do on it.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, serve};

use crate::error::ApiError;

/// Where people begin, relative to the root: the operation that makes a span, unfolded.
pub const START: &str = "swagger-ui/#/Spans/createSpan";

/// The page and what it is set up with.
const OWN: [(&str, &str, &str); 3] = [
    ("index.html", "text/html; charset=utf-8", include_str!("swagger_ui/index.html")),
    ("index.css", "text/css", include_str!("swagger_ui/index.css")),
    ("index.js", "text/javascript", include_str!("swagger_ui/index.js")),
];

/// The files of Swagger UI that the page loads.
const VENDORED: [&str; 2] = ["swagger-ui.css", "swagger-ui-bundle.js"];

/// Nothing from elsewhere, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The header that holds a page to it.
pub(super) const CONTENT_SECURITY_POLICY: (HeaderName, &str) = (header::CONTENT_SECURITY_POLICY, POLICY);

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        // Relative, so that a prefix stays.
        .route("/swagger-ui", get(|| async { Redirect::to("swagger-ui/") }))
        .route("/swagger-ui/", get(|| async { file("index.html") }))
        .route("/swagger-ui/{*name}", get(|Path(name): Path<String>| async move { file(&name) }))
}

fn file(name: &str) -> Response {
    if let Some((_, media_type, text)) = OWN.iter().find(|(own, ..)| *own == name) {
        return ([CONTENT_SECURITY_POLICY, (header::CONTENT_TYPE, media_type)], *text).into_response();
    }
    let vendored = VENDORED.contains(&name).then(|| serve(name, Arc::new(Config::default())));
    match vendored {
        Some(Ok(Some(file))) => ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response(),
        _ => ApiError::NotFound("HTTP 404 Not Found".to_owned()).into_response(),
    }
}
