//! The page at the root: what this is, and where to go.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::Html;
use axum::routing::get;

use super::swagger_ui::{CONTENT_SECURITY_POLICY, START};
use crate::app::{AppState, VERSION};

pub(super) fn routes() -> Router<AppState> {
    let style = ([(header::CONTENT_TYPE, "text/css")], include_str!("home.css"));
    Router::new().route("/", get(page)).route("/home.css", get(|| async { style }))
}

async fn page(State(state): State<AppState>) -> ([(HeaderName, &'static str); 1], Html<String>) {
    let status = match state.ingest.trouble() {
        None => "ready".to_owned(),
        Some(reason) => format!("not taking writes: {reason}"),
    };
    let page = format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Spandrel</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="home.css">
<h1>Spandrel {VERSION}</h1>
<p>Status: <strong>{status}</strong></p>
<ul>
<li><a href="{START}">Explore the API</a></li>
<li><a href="openapi.yaml">openapi.yaml</a>, <a href="openapi.json">openapi.json</a></li>
<li><a href="llms.txt">Documentation for language models</a>, <a href="llms-full.txt">in one text</a></li>
<li><a href="health">Health</a></li>
</ul>
</html>
"#
    );
    ([CONTENT_SECURITY_POLICY], Html(page))
}
