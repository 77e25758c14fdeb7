//! Documentation for people and language models, as Markdown: an index (<https://llmstxt.org>), a page for each operation,
//! and all of it in one text. Rendered from the document, and so as true as it.

mod curl;
mod page;
mod types;

use std::sync::LazyLock;

use axum::Extension;
// utoipa knows the extractor by its name, and would describe the parameter a second time.
use axum::extract::Path as Segment;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};

use super::Prefix;
use super::document::DOCUMENTATION;
use crate::error::ApiError;
use crate::model::ErrorMessage;
use page::Page;

/// Stands for the address of the server until it is known.
const BASE: &str = "{base}";

/// How long a copy may be used before the server is asked again; the pages change with the program only.
const CACHE: &str = "max-age=300";

/// The pages, rendered when they are first asked for: a start should not wait for them.
static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| page::pages(super::document().value()));
static INDEX: LazyLock<String> = LazyLock::new(|| page::index(super::document().value(), &PAGES));
static WHOLE: LazyLock<String> = LazyLock::new(|| page::whole(super::document().value(), &PAGES));

/// All of it in one text, for a server at this address.
#[must_use]
pub fn documentation(base: &str) -> String {
    WHOLE.replace(BASE, base)
}

type Markdown = ([(HeaderName, &'static str); 2], String);

fn markdown(text: &str, base: &Base) -> Markdown {
    let headers = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8"), (header::CACHE_CONTROL, CACHE)];
    (headers, text.replace(BASE, &base.0))
}

/// The address by which a client reached the server.
struct Base(String);

impl Base {
    fn of(headers: &HeaderMap, prefix: Prefix) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // A proxy that speaks TLS says so.
        let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
        let host: Option<Authority> = text("host").and_then(|host| host.parse().ok());
        let host = host.as_ref().filter(|host| host.as_str().bytes().all(is_plain));
        Self(format!("{scheme}://{}{}", host.map_or("localhost:5173", Authority::as_str), prefix.0))
    }
}

/// Whether a byte of a host means nothing to a shell or in Markdown.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)
}

/// Index of the documentation
///
/// What this server is, and a link to the page of each operation, as Markdown.
#[utoipa::path(
    get, path = "/llms.txt", operation_id = "getDocumentationIndex", tag = DOCUMENTATION,
    responses(
        (status = 200, description = "The index", body = String, content_type = "text/markdown"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn index(headers: HeaderMap, Extension(prefix): Extension<Prefix>) -> Markdown {
    markdown(&INDEX, &Base::of(&headers, prefix))
}

/// The whole documentation
///
/// All pages in one text, and each type once, as Markdown.
#[utoipa::path(
    get, path = "/llms-full.txt", operation_id = "getDocumentation", tag = DOCUMENTATION,
    responses(
        (status = 200, description = "The documentation", body = String, content_type = "text/markdown"),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn whole(headers: HeaderMap, Extension(prefix): Extension<Prefix>) -> Markdown {
    markdown(&WHOLE, &Base::of(&headers, prefix))
}

/// Documentation of an operation
///
/// Parameters, body, answers and types of an operation, and a call to try, as Markdown.
#[utoipa::path(
    get, path = "/docs/{page}", operation_id = "getDocumentationPage", tag = DOCUMENTATION,
    params(("page" = String, Path, description = "The id of an operation, and `.md`")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/markdown"),
        (status = 404, description = "There is no such operation", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn page(
    headers: HeaderMap,
    Extension(prefix): Extension<Prefix>,
    Segment(name): Segment<String>,
) -> Result<Markdown, ApiError> {
    let page = name.strip_suffix(".md").and_then(|id| PAGES.iter().find(|page| page.id == id));
    let page = page.ok_or_else(|| {
        ApiError::NotFound("HTTP 404 Not Found: no page of the documentation; /llms.txt lists them".to_owned())
    })?;
    Ok(markdown(&page.text, &Base::of(&headers, prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_the_client_used() {
        for (host, proto, prefix, wanted) in [
            (Some("a.example:80"), None, "", "http://a.example:80"),
            (Some("[::1]:5173"), None, "/api", "http://[::1]:5173/api"),
            (Some("a.example"), Some("https"), "/api", "https://a.example/api"),
            (Some("a.example"), Some("ftp"), "", "http://a.example"),
            (Some("a'; rm -rf b"), None, "", "http://localhost:5173"),
            (Some("$(a)"), None, "", "http://localhost:5173"),
            (None, None, "", "http://localhost:5173"),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", host), ("x-forwarded-proto", proto)] {
                headers.extend(
                    value.map(|value| (name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"))),
                );
            }
            assert_eq!(Base::of(&headers, Prefix(prefix)).0, wanted);
        }
    }
}
