//! Links that SDKs print: addresses at which a person finds what was traced in a user interface.

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::base_url;
use super::document::REDIRECT;
use super::extract::ValidQuery;
use super::query::{needed, optional};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{ErrorMessage, Id};
use crate::store::Caller;

/// Parameters of [`projects_redirect`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RedirectQuery {
    /// The trace.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, format = Uuid, required = true)]
    trace_id: Option<Id>,
    /// Its workspace; the one that the request is for when absent.
    #[serde(default)]
    #[param(required = false)]
    workspace_name: Option<String>,
    /// The address by which the SDK reaches the server, in base64.
    #[serde(default)]
    #[param(value_type = String, required = true)]
    path: Option<String>,
}

/// Create project redirect url
///
/// Leads to the trace in the user interface that stands before this server. A link never leads to another host.
#[utoipa::path(
    get, path = "/v1/session/redirect/projects", operation_id = "projectsRedirect", tag = REDIRECT,
    params(RedirectQuery),
    responses(
        (status = 303, description = "Redirect", headers(("Location" = String, description = "Address of the trace"))),
        (status = 400, description = "Bad Request", content((ErrorMessage = "application/json"), (ErrorMessage = "*/*"))),
        (status = 404, description = "Not Found", content((ErrorMessage = "application/json"), (ErrorMessage = "*/*"))),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn projects_redirect(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(RedirectQuery { trace_id, workspace_name, path }): ValidQuery<RedirectQuery>,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let trace_id = needed("trace_id", trace_id)?;
    let prefix = prefix(&base_url::read(&needed("path", path)?)?);
    let workspace = workspace_name.filter(|name| !name.is_empty()).unwrap_or_else(|| caller.workspace.to_string());
    let project = state.store.project_of_trace(&workspace, trace_id).await?;
    let project = project.ok_or_else(|| ApiError::NotFound(format!("Trace id: {trace_id} not found")))?;
    let workspace = utf8_percent_encode(&workspace, SEGMENT);
    let location = format!("{prefix}/{workspace}/projects/{project}/traces?tab=logs&logsType=traces&trace={trace_id}");
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]))
}

/// What is escaped in a step of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The path under which the user interface stands; it is on the host that was asked.
fn prefix(address: &Uri) -> String {
    let path = address.path().trim_end_matches('/');
    let path = path.strip_suffix("/api").unwrap_or(path).trim_matches(['/', '\\']);
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_an_address_counts() {
        for (address, wanted) in [
            ("http://localhost:5173/api", ""),
            ("http://localhost:5173/api/", ""),
            ("https://example.com/opik/api", "/opik"),
            ("https://example.com", ""),
            ("https://example.com//evil.com/api", "/evil.com"),
            ("https://example.com/\\evil.com", "/evil.com"),
        ] {
            assert_eq!(prefix(&address.parse().expect("valid")), wanted, "{address}");
        }
    }
}
