//! A user interface: any application of one page that is built into a folder.
//!
//! What is no file of it may be one of its pages: it is answered with the one page, but only to browsers that want HTML,
//! and never at an address of the API. An SDK that got a page with status 200 there would take its data for stored.

use std::path::Path;
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use regex::Regex;
use tower_http::services::{ServeDir, ServeFile};

use super::{Prefix, unknown};
use crate::error::ApiError;

/// A folder with a built user interface.
#[derive(Debug, Clone)]
pub struct Ui {
    files: ServeDir,
    page: ServeFile,
}

impl Ui {
    /// The one in this folder.
    ///
    /// # Errors
    /// When it has no `index.html`.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let page = folder.join("index.html");
        if !page.is_file() {
            return Err(format!("{} has no index.html: expected a built user interface", folder.display()));
        }
        let files = ServeDir::new(folder).append_index_html_on_directories(false);
        Ok(Self { files, page: ServeFile::new(page) })
    }

    /// Answers what is at no address of ours.
    pub(super) async fn serve(self, request: Request) -> Response {
        let Self { mut files, mut page } = self;
        let path = request.uri().path();
        if request.method() != Method::GET && request.method() != Method::HEAD || is_of_the_api(&request) {
            return unknown::path(request.uri().clone()).await.into_response();
        }
        let (uri, wants_page) = (request.uri().clone(), path == "/" || wants_html(request.headers()));
        let is_kept = has_hash(path);
        let again = bare(&request);
        let served = match (path == "/", is_hidden(path)) {
            (true, _) | (_, true) => None,
            _ => Some(files.try_call(bare(&request)).await.map(|served| served.map(Body::new))),
        };
        let served = match served {
            Some(Ok(served)) if served.status() == StatusCode::NOT_FOUND => None,
            other => other,
        };
        let (served, is_kept) = match served {
            Some(served) => (served, is_kept),
            None if wants_page => (page.try_call(again).await.map(|served| served.map(Body::new)), false),
            None => return unknown::path(uri).await.into_response(),
        };
        match served {
            Ok(served) => with_headers(served, is_kept),
            Err(error) => {
                tracing::error!(%error, "a file of the user interface cannot be read");
                ApiError::Internal.into_response()
            }
        }
    }
}

/// The same request without its body.
fn bare(request: &Request) -> Request<Body> {
    let mut bare = Request::new(Body::empty());
    *bare.method_mut() = request.method().clone();
    *bare.uri_mut() = request.uri().clone();
    *bare.headers_mut() = request.headers().clone();
    bare
}

/// Whether the address is one at which the API is or may be, however it is written.
fn is_of_the_api(request: &Request) -> bool {
    if request.extensions().get::<Prefix>().is_some_and(|prefix| !prefix.0.is_empty()) {
        return true;
    }
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().to_lowercase();
    let first = path.split(['/', '\\']).find(|step| !matches!(*step, "" | "."));
    first.is_some_and(|first| {
        matches!(first, "v1" | "api" | "is-alive" | "health" | "swagger-ui" | "docs" | "..")
            || first.starts_with("openapi")
            || first.starts_with("llms")
    })
}

/// Files that no build puts there to be served.
fn is_hidden(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split('/').any(|step| step.starts_with('.') && step != ".well-known")
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        range.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("text/html"))
    })
}

/// Whether a file's name changes with its content, as those that bundlers make do: a run of hexadecimal digits, or, in
/// the folder `assets`, eight letters with a digit among them.
fn has_hash(path: &str) -> bool {
    static HEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[.-]([0-9a-f]{8,})(\.[0-9a-z]+)+$").ok());
    static BASE64: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^/assets/.*[.-]([0-9A-Za-z_-]{8})(\.[0-9a-z]+)+$").ok());
    let mixed = |text: &str| {
        text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let found = [&HEX, &BASE64].into_iter().filter_map(|pattern| pattern.as_ref()?.captures(path));
    found.filter_map(|found| found.get(1)).any(|found| mixed(found.as_str()))
}

fn with_headers(mut served: Response, is_kept: bool) -> Response {
    let keep = if is_kept { "public, max-age=31536000, immutable" } else { "no-cache" };
    served.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    served.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    served
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_change_with_the_content_are_kept() {
        for (path, kept) in [
            ("/assets/index-BxYz12_4.js", true),
            ("/assets/index-BxYz12-4.css", true),
            ("/assets/index-BxYz12_4.js.map", true),
            ("/static/js/main.0a1b2c3d.chunk.js", true),
            ("/static/js/2.0a1b2c3d4e5f6a7b8c9d.js", true),
            ("/index.html", false),
            ("/favicon.ico", false),
            ("/logo-Version2.png", false),
            ("/assets/apple-touch-icon.png", false),
            ("/assets/photo-20240101.png", false),
            ("/assets/index.js", false),
        ] {
            assert_eq!(has_hash(path), kept, "{path}");
        }
    }

    #[test]
    fn addresses_of_the_api_are_known_however_they_are_written() {
        for (path, wanted) in [
            ("/v1", true),
            ("/v1/private/new-area", true),
            ("//v1/private/spans", true),
            ("/%76%31/private/spans", true),
            ("/V1/private/spans", true),
            ("/./v1/private/spans", true),
            ("/is-alive/pong", true),
            ("/health/x", true),
            ("/openapi.yml", true),
            ("/docs/createSpan.md", true),
            ("/docs/a/b", true),
            ("/llms.txt", true),
            ("/swagger-ui/x.js", true),
            ("/../v1", true),
            ("/", false),
            ("/v2", false),
            ("/default/projects", false),
            ("/default/v1/private", false),
            ("/healthy", false),
        ] {
            let request = super::super::rewrite(Request::builder().uri(path).body(Body::empty()).expect("valid"));
            assert_eq!(is_of_the_api(&request), wanted, "{path}");
        }
        let request = super::super::rewrite(Request::builder().uri("/api/x").body(Body::empty()).expect("valid"));
        assert!(is_of_the_api(&request));
    }
}
