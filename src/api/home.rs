//! The page at the root: what this is, and where to go.

use axum::extract::State;
use axum::response::Html;

use crate::app::{AppState, VERSION};

pub(super) async fn page(State(state): State<AppState>) -> Html<String> {
    let status = match state.ingest.trouble() {
        None => "ready".to_owned(),
        Some(reason) => format!("not taking writes: {reason}"),
    };
    Html(format!(
        r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Spandrel</title>
<link rel="icon" href="data:,">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>
<h1>Spandrel {VERSION}</h1>
<p>Status: <strong>{status}</strong></p>
<ul>
<li><a href="swagger-ui/">Explore the API</a></li>
<li><a href="openapi.yaml">openapi.yaml</a>, <a href="openapi.json">openapi.json</a></li>
<li><a href="health">Health</a></li>
</ul>
</html>
"#
    ))
}
