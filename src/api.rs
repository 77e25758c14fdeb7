//! The HTTP face: the whole route table, one line per path, and what stands around it.

mod activities;
mod attachments;
mod base_url;
mod body;
mod comments;
mod document;
mod documentation;
mod environments;
mod examples;
mod extract;
mod feedback;
mod feedback_definitions;
mod health;
mod home;
mod middleware;
mod paging;
mod problems;
mod project_metrics;
mod project_stats;
mod projects;
mod query;
mod redirect;
mod spans;
mod stats;
mod stream;
mod strict;
mod swagger_ui;
mod test_api;
mod threads;
mod toggles;
mod traces;
mod ui;
mod unknown;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

pub use body::BodyLimits;
pub use document::Document;
pub use documentation::documentation;
pub use middleware::{Prefix, rewrite};
pub use strict::{Strict, Strictness};
pub use swagger_ui::START;
pub use test_api::{HungUp, TestApi, TestConfig};
pub use ui::Ui;

/// The operations, those for tests by themselves, and the document generated from all of them, not yet finished. The lines
/// of each tag stand in the order of the published documentation: it is the order of the document, and that of Swagger UI.
fn operations() -> (Router<AppState>, Router<AppState>, OpenApi) {
    let (operations, mut document) = OpenApiRouter::with_openapi(document::skeleton())
        .routes(routes!(comments::add_span_comment))
        .routes(routes!(feedback::add_span_feedback_score))
        .routes(routes!(spans::create_spans, spans::batch_update_spans))
        .routes(routes!(spans::read::get_spans_by_project, spans::create_span))
        .routes(routes!(spans::read::get_span_by_id, spans::delete_span_by_id, spans::update_span))
        .routes(routes!(comments::delete_span_comments))
        .routes(routes!(feedback::delete_span_feedback_score))
        .routes(routes!(spans::read::find_feedback_score_names))
        .routes(routes!(comments::get_span_comment))
        .routes(routes!(spans::read::get_span_stats))
        .routes(routes!(feedback::score_batch_of_spans))
        .routes(routes!(spans::read::search_spans))
        .routes(routes!(spans::read::spans_exist))
        .routes(routes!(comments::update_span_comment))
        .routes(routes!(comments::add_thread_comment))
        .routes(routes!(comments::add_trace_comment))
        .routes(routes!(feedback::add_trace_feedback_score))
        .routes(routes!(traces::create_traces, traces::batch_update_traces))
        .routes(routes!(threads::batch_update_threads))
        .routes(routes!(threads::close_trace_thread))
        .routes(routes!(traces::read::get_traces_by_project, traces::create_trace))
        .routes(routes!(traces::read::get_trace_by_id, traces::delete_trace_by_id, traces::update_trace))
        .routes(routes!(comments::delete_thread_comments))
        .routes(routes!(feedback::delete_thread_feedback_scores))
        .routes(routes!(comments::delete_trace_comments))
        .routes(routes!(feedback::delete_trace_feedback_score))
        .routes(routes!(threads::delete_trace_threads))
        .routes(routes!(traces::delete_traces))
        .routes(routes!(traces::read::find_feedback_score_names))
        .routes(routes!(threads::read::find_trace_threads_feedback_score_names))
        .routes(routes!(traces::read::get_trace_stats))
        .routes(routes!(comments::get_thread_comment))
        .routes(routes!(threads::read::get_trace_thread_stats))
        .routes(routes!(comments::get_trace_comment))
        .routes(routes!(threads::read::get_trace_thread))
        .routes(routes!(threads::read::get_trace_threads))
        .routes(routes!(threads::open_trace_thread))
        .routes(routes!(feedback::score_batch_of_threads))
        .routes(routes!(feedback::score_batch_of_traces))
        .routes(routes!(threads::read::search_trace_threads))
        .routes(routes!(traces::read::search_traces))
        .routes(routes!(traces::read::traces_exist))
        .routes(routes!(threads::update_thread))
        .routes(routes!(comments::update_thread_comment))
        .routes(routes!(comments::update_trace_comment))
        .routes(routes!(attachments::attachment_list))
        .routes(routes!(attachments::complete_multi_part_upload))
        .routes(routes!(attachments::delete_attachments))
        .routes(routes!(attachments::download_attachment))
        .routes(routes!(attachments::start_multi_part_upload))
        .routes(routes!(attachments::upload_attachment))
        .routes(routes!(workspaces::check_access))
        .routes(routes!(workspaces::get_workspace_name))
        .routes(routes!(environments::find_environments, environments::create_environment))
        .routes(routes!(environments::delete_environments_batch))
        .routes(routes!(environments::get_environment_by_id, environments::update_environment))
        .routes(routes!(
            feedback_definitions::find_feedback_definitions,
            feedback_definitions::create_feedback_definition
        ))
        .routes(routes!(
            feedback_definitions::get_feedback_definition_by_id,
            feedback_definitions::update_feedback_definition,
            feedback_definitions::delete_feedback_definition_by_id
        ))
        .routes(routes!(feedback_definitions::delete_feedback_definitions_batch))
        .routes(routes!(projects::find_projects, projects::create_project))
        .routes(routes!(projects::get_project_by_id, projects::delete_project_by_id, projects::update_project))
        .routes(routes!(projects::delete_projects_batch))
        .routes(routes!(projects::retrieve_project))
        .routes(routes!(activities::get_recent_activity))
        .routes(routes!(project_metrics::get_project_metrics))
        .routes(routes!(project_metrics::get_project_kpi_cards))
        .routes(routes!(project_stats::get_project_stats))
        .routes(routes!(project_stats::find_feedback_score_names_by_project_ids))
        .routes(routes!(project_stats::find_token_usage_names))
        .routes(routes!(toggles::get_service_toggles))
        .routes(routes!(workspaces::get_workspace_user_permissions))
        .routes(routes!(
            workspaces::get_workspace_configuration,
            workspaces::upsert_workspace_configuration,
            workspaces::delete_workspace_configuration
        ))
        .routes(routes!(workspaces::get_workspace_version))
        .routes(routes!(redirect::projects_redirect))
        .routes(routes!(health::is_alive))
        .routes(routes!(health::version))
        .routes(routes!(health::health))
        .routes(routes!(documentation::index))
        .routes(routes!(documentation::whole))
        .routes(routes!(documentation::page))
        .split_for_parts();
    let (for_tests, described) = test_api::operations().split_for_parts();
    document.merge(described);
    (operations, for_tests, document)
}

/// The document of what [`router`] serves.
#[must_use]
pub fn document() -> Document {
    Document::finish(&operations().2)
}

/// Everything that is answered; with a user interface in the place of our own first page, if there is one.
pub fn router(state: AppState, ui: Option<Ui>) -> Router {
    let (mut operations, for_tests, generated) = operations();
    let document = Document::finish(&generated);
    if state.test.is_some() {
        operations = operations.merge(for_tests);
    }
    if let Some(strict) = &state.strict {
        let layer = from_fn_with_state((Arc::clone(strict), state.clone()), strict::check);
        operations = operations.route_layer(layer);
    }
    let operations = operations.merge(document.routes()).merge(swagger_ui::routes());
    let app = match ui {
        None => operations.merge(home::routes()).fallback(unknown::path),
        Some(ui) => operations.fallback(move |request| ui.serve(request)),
    };
    let app = app
        .method_not_allowed_fallback(unknown::method)
        // Our own limit, which is larger, answers in our own words.
        .layer(DefaultBodyLimit::disable())
        .with_state(state.clone());
    let app = middleware::around(app);
    match &state.test {
        None => app,
        Some(test) => app.layer(from_fn_with_state((Arc::clone(test), state), test_api::around)),
    }
}
