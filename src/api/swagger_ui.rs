//! Swagger UI: the vendored files, our set-up of it, and what a browser may do on its pages.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::{Config, serve};

/// Where people begin, relative to the root: the operation that makes a span, unfolded.
pub const START: &str = "swagger-ui/#/Spans/createSpan";

/// Files that stand in for vendored ones of the same name.
const OWN: [(&str, &str, &str); 2] = [
    ("index.css", "text/css", include_str!("swagger_ui/index.css")),
    ("swagger-initializer.js", "text/javascript", include_str!("swagger_ui/swagger-initializer.js")),
];

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
    match serve(name, Arc::new(Config::default())) {
        Ok(Some(file)) => {
            let packed = file.gzpipped.then_some([(header::CONTENT_ENCODING, "gzip")]);
            let headers = ([CONTENT_SECURITY_POLICY], [(header::CONTENT_TYPE, file.content_type)], packed);
            (headers.0, headers.1, headers.2, file.bytes.into_owned()).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
