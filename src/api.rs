//! The HTTP face: the whole route table, one line per path, and what stands around it.

mod body;
mod comments;
mod document;
mod extract;
mod feedback;
mod health;
mod home;
mod middleware;
mod problems;
mod spans;
mod unknown;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub use body::{BODY_UNIT_BYTES, BodyLimits};
pub use document::Document;
pub use middleware::{Prefix, rewrite};

/// The operations and the document generated from them, not yet finished.
fn operations() -> (Router<AppState>, OpenApi) {
    OpenApiRouter::with_openapi(document::skeleton())
        .routes(routes!(spans::create_span, spans::read::get_spans_by_project))
        .routes(routes!(spans::create_spans, spans::batch_update_spans))
        .routes(routes!(spans::read::get_span_by_id, spans::update_span, spans::delete_span_by_id))
        .routes(routes!(spans::read::search_spans))
        .routes(routes!(spans::read::get_span_stats))
        .routes(routes!(spans::read::spans_exist))
        .routes(routes!(feedback::add_span_feedback_score))
        .routes(routes!(feedback::score_batch_of_spans))
        .routes(routes!(feedback::delete_span_feedback_score))
        .routes(routes!(spans::read::find_feedback_score_names))
        .routes(routes!(comments::add_span_comment))
        .routes(routes!(comments::get_span_comment))
        .routes(routes!(comments::update_span_comment))
        .routes(routes!(comments::delete_span_comments))
        .routes(routes!(health::is_alive))
        .routes(routes!(health::version))
        .routes(routes!(health::health))
        .split_for_parts()
}

/// The document of what [`router`] serves.
#[must_use]
pub fn document() -> Document {
    Document::finish(&operations().1)
}

/// Everything that is answered.
pub fn router(state: AppState) -> Router {
    let document = document();
    let (operations, _) = operations();
    let app = operations
        .route("/", get(home::page))
        .merge(document.routes())
        .method_not_allowed_fallback(unknown::method)
        .fallback(unknown::path)
        // Our own limit, which is larger, answers in our own words.
        .layer(DefaultBodyLimit::disable())
        .with_state(state);
    middleware::around(app)
}
