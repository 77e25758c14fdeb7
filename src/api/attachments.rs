//! Operations on attachments.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use form_urlencoded::Serializer;
use http_body_util::BodyExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tower_http::services::ServeFile;
use utoipa::IntoParams;

use super::document::ATTACHMENTS;
use super::extract::{ValidJson, ValidQuery};
use super::paging::{Page, small};
use super::query::{Whole, needed, optional};
use super::{base_url, body};
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    Attachment, AttachmentEntity, AttachmentPage, CompleteMultipartUploadRequest, DeleteAttachmentsRequest,
    ErrorMessage, FileContent, Id, ProjectName, StartMultipartUploadRequest, StartMultipartUploadResponse, Violation,
};
use crate::record::{Entity, ProjectRef, Target};
use crate::store::{
    AttachmentQuery, Caller, Change, DEFAULT_PROJECT, NewAttachment, ReceivedFile, StoreError, Submission,
};

/// Tells SDKs to send the whole file to the one address, and nothing after it.
const DIRECT_UPLOAD: &str = "BEMinIO";

/// After how many seconds a file is to be sent again that could not be stored.
const RETRY_SECONDS: u64 = 5;

impl FromStr for AttachmentEntity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quoted = serde_json::Value::String(text.to_owned());
        serde_json::from_value(quoted).map_err(|_| "trace or span")
    }
}

fn target(entity: AttachmentEntity, id: Id) -> Target {
    let entity = match entity {
        AttachmentEntity::Trace => Entity::Trace,
        AttachmentEntity::Span => Entity::Span,
    };
    Target { entity, id }
}

fn name_of(entity: AttachmentEntity) -> &'static str {
    match entity {
        AttachmentEntity::Trace => "trace",
        AttachmentEntity::Span => "span",
    }
}

/// The project of what names none is the default one.
fn project_named(name: Option<&ProjectName>) -> Option<ProjectRef> {
    name.map(|name| ProjectRef::Name(name.trimmed().to_owned()))
}

/// A parameter that is needed, with something in it.
fn not_blank(name: &str, value: Option<String>) -> Result<String, ApiError> {
    let value = value.filter(|value| !value.trim().is_empty());
    value.ok_or_else(|| ApiError::bad_request(format!("query param {name} must not be blank")))
}

/// An address of ours, as the client reaches us.
fn address(base: &Uri, operation: &str, query: &mut Serializer<'_, String>) -> String {
    let scheme = base.scheme_str().unwrap_or("http");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let path = base.path().trim_end_matches('/');
    format!("{scheme}://{authority}{path}/v1/private/attachment/{operation}?{}", query.finish())
}

/// Start multipart attachment upload
///
/// Tells where to upload a file to: with one `PUT` to the one address. Nothing has to be completed.
#[utoipa::path(
    post, path = "/v1/private/attachment/upload-start", operation_id = "startMultiPartUpload", tag = ATTACHMENTS,
    request_body = StartMultipartUploadRequest,
    responses(
        (status = 200, description = "MultipartUploadResponse", body = StartMultipartUploadResponse),
        (status = 401, description = "Bad Request", body = ErrorMessage),
        (status = 403, description = "Access forbidden", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn start_multi_part_upload(
    ValidJson(body): ValidJson<StartMultipartUploadRequest>,
) -> Result<Json<StartMultipartUploadResponse>, ApiError> {
    let StartMultipartUploadRequest { file_name, mime_type, project_name, entity_type, entity_id, path, .. } =
        body.value;
    let (Some(file_name), Some(entity_type), Some(entity_id), Some(path)) = (file_name, entity_type, entity_id, path)
    else {
        return Err(ApiError::Internal);
    };
    let base = base_url::read(&path.0).map_err(|error| match error {
        ApiError::BadRequest { message, details, .. } => {
            let violation = Violation::new("/path", "", "expected the address of the server, in base64");
            ApiError::BadRequest { message, details, violation: Some(Box::new(violation)) }
        }
        other => other,
    })?;
    let mut query = Serializer::new(String::new());
    query.append_pair("file_name", &file_name.0);
    if let Some(mime_type) = &mime_type {
        query.append_pair("mime_type", mime_type);
    }
    query.append_pair("entity_type", name_of(entity_type)).append_pair("entity_id", &entity_id.to_string());
    if let Some(project_name) = &project_name {
        query.append_pair("project_name", project_name.trimmed());
    }
    let pre_sign_urls = vec![address(&base, "upload", &mut query)];
    Ok(Json(StartMultipartUploadResponse { upload_id: DIRECT_UPLOAD, pre_sign_urls }))
}

/// Parameters of [`upload_attachment`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// The file's name, with at least one character. At most 20,000 unless the server is set up otherwise.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, required = true)]
    file_name: Option<String>,
    /// If null, the default project is used
    #[serde(default)]
    #[param(inline, required = false)]
    project_name: Option<ProjectName>,
    /// Its media type; guessed from the name when absent.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, required = false)]
    mime_type: Option<String>,
    /// What it belongs to.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = AttachmentEntity, inline, required = true)]
    entity_type: Option<AttachmentEntity>,
    /// To which one, which may come later.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, format = Uuid, required = true)]
    entity_id: Option<Id>,
}

/// What an upload is for.
struct Described {
    target: Target,
    project: Option<ProjectRef>,
    name: String,
    mime_type: String,
}

impl UploadQuery {
    fn read(self, state: &AppState) -> Result<Described, ApiError> {
        let Self { file_name, project_name, mime_type, entity_type, entity_id } = self;
        let limits = state.limits.text;
        for (name, text, chars_max) in [
            ("file_name", file_name.as_deref(), limits.name_chars_max),
            ("mime_type", mime_type.as_deref(), limits.name_chars_max),
            ("project_name", project_name.as_ref().map(ProjectName::trimmed), limits.project_name_chars_max),
        ] {
            if text.is_some_and(|text| text.chars().count() > chars_max) {
                return Err(ApiError::bad_request(format!("query param {name} cannot exceed {chars_max} characters")));
            }
        }
        let name = needed("file_name", file_name)?;
        let target = target(needed("entity_type", entity_type)?, needed("entity_id", entity_id)?);
        if project_name.as_ref().is_some_and(|name| name.trimmed().is_empty()) {
            return Err(ApiError::bad_request("query param project_name must not be blank"));
        }
        let mime_type = mime_type.filter(|text| !text.trim().is_empty());
        // By its ending alone.
        let guessed = || mime_guess::from_path(&name).first_or_octet_stream().to_string();
        let mime_type = mime_type.unwrap_or_else(guessed);
        Ok(Described { target, project: project_named(project_name.as_ref()), name, mime_type })
    }
}

/// Upload attachment
///
/// Takes the content of a file, over the one of the same name. The span or trace it belongs to may come later.
#[utoipa::path(
    put, path = "/v1/private/attachment/upload", operation_id = "uploadAttachment", tag = ATTACHMENTS,
    params(UploadQuery),
    request_body(content = Option<Object>, content_type = "*/*"),
    responses(
        (status = 204, description = "No content"),
        (status = 401, description = "Bad Request", body = ErrorMessage),
        (status = 403, description = "Access forbidden", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn upload_attachment(
    State(state): State<AppState>,
    caller: Caller,
    query: Result<ValidQuery<UploadQuery>, ApiError>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (parts, mut body) = request.into_parts();
    let received = match query.and_then(|ValidQuery(query)| query.read(&state)) {
        Ok(described) => receive(&parts.headers, &mut body, &state).await.map(|file| (described, file)),
        Err(error) => Err(error),
    };
    let (Described { target, project, name, mime_type }, file) = match received {
        Ok(received) => received,
        Err(error @ ApiError::TooSlow) => return Err(error),
        Err(error) => return Err(body::refuse(body, error).await),
    };
    let attachment = Box::new(NewAttachment { target, project, name, mime_type, file });
    state.ingest.submit(Submission { caller, change: Change::PutAttachment(attachment) }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Receives a file of any size, piece by piece.
async fn receive(headers: &HeaderMap, body: &mut Body, state: &AppState) -> Result<ReceivedFile, ApiError> {
    let limits = state.limits.body;
    if body::is_gzip(headers)? {
        return Err(body::unsupported("no Content-Encoding"));
    }
    if http_body::Body::size_hint(body).lower() > limits.attachment_bytes_max {
        return Err(body::too_large(limits.attachment_bytes_max));
    }
    let mut upload = state.store.upload().await.map_err(not_stored)?;
    let patience = Duration::from_secs(limits.body_seconds_max);
    while let Some(frame) = tokio::time::timeout(patience, body.frame()).await.map_err(|_| ApiError::TooSlow)? {
        let frame = frame.map_err(|_| ApiError::bad_request("The request body could not be read"))?;
        let Some(data) = frame.data_ref() else { continue };
        if upload.bytes() + data.len() as u64 > limits.attachment_bytes_max {
            return Err(body::too_large(limits.attachment_bytes_max));
        }
        upload.write(data).await.map_err(not_stored)?;
    }
    state.store.received(upload).await.map_err(not_stored)
}

/// What cannot be stored now may be later.
fn not_stored(error: StoreError) -> ApiError {
    match error {
        StoreError::Unavailable { reason, .. } => {
            ApiError::TryLater { message: format!("Cannot store now: {reason}"), seconds: RETRY_SECONDS }
        }
        other => other.into(),
    }
}

/// Complete multipart attachment upload
///
/// Does nothing: an upload is complete when it is answered.
#[utoipa::path(
    post, path = "/v1/private/attachment/upload-complete", operation_id = "completeMultiPartUpload", tag = ATTACHMENTS,
    request_body = CompleteMultipartUploadRequest,
    responses(
        (status = 204, description = "No content"),
        (status = 401, description = "Bad Request", body = ErrorMessage),
        (status = 403, description = "Access forbidden", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn complete_multi_part_upload(_: ValidJson<CompleteMultipartUploadRequest>) -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Parameters of [`attachment_list`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Which page, from 1.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 1, minimum = 1, required = false)]
    page: Option<Whole>,
    /// How many are on a page.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 100, minimum = 1, required = false)]
    size: Option<Whole>,
    /// The project that they are in.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, format = Uuid, required = true)]
    project_id: Option<Id>,
    /// What they belong to.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = AttachmentEntity, inline, required = true)]
    entity_type: Option<AttachmentEntity>,
    /// To which one.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, format = Uuid, required = true)]
    entity_id: Option<Id>,
    /// The address by which the client reaches the server, in base64. Links begin with it.
    #[serde(default)]
    #[param(value_type = String, min_length = 1, required = true)]
    path: Option<String>,
}

/// Attachments list for entity
///
/// A page of the files of a span or trace, by name downwards.
#[utoipa::path(
    get, path = "/v1/private/attachment/list", operation_id = "attachmentList", tag = ATTACHMENTS,
    params(ListQuery),
    responses(
        (status = 200, description = "Attachment Resource", body = AttachmentPage),
        (status = 401, description = "Bad Request", body = ErrorMessage),
        (status = 403, description = "Access forbidden", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn attachment_list(
    State(state): State<AppState>,
    caller: Caller,
    ValidQuery(query): ValidQuery<ListQuery>,
) -> Result<Json<AttachmentPage>, ApiError> {
    let page = Page::of(query.page, query.size, 100)?;
    let project = needed("project_id", query.project_id)?;
    let (entity, id) = (needed("entity_type", query.entity_type)?, needed("entity_id", query.entity_id)?);
    let base = base_url::read(&not_blank("path", query.path)?)?;
    let meant = AttachmentQuery {
        workspace: caller.workspace.to_string(),
        project,
        target: target(entity, id),
        limit: page.limit,
        offset: page.offset,
    };
    let (found, total) = state.store.attachments(meant).await?;
    let link = |name: &str, mime_type: &str| {
        let mut query = Serializer::new(String::new());
        query
            .append_pair("workspace_name", &caller.workspace)
            .append_pair("container_id", &project.to_string())
            .append_pair("file_name", name)
            .append_pair("mime_type", mime_type)
            .append_pair("entity_type", name_of(entity))
            .append_pair("entity_id", &id.to_string());
        address(&base, "download", &mut query)
    };
    let shown = found.into_iter().map(|found| Attachment {
        link: link(&found.name, &found.mime_type),
        file_name: found.name,
        file_size: found.bytes,
        mime_type: found.mime_type,
    });
    let content: Vec<Attachment> = shown.collect();
    Ok(Json(AttachmentPage {
        page: page.number,
        size: small(content.len() as u64),
        total: i64::try_from(total).unwrap_or(i64::MAX),
        content,
        sortable_by: [],
        sortable_by_original: [],
    }))
}

/// Parameters of [`download_attachment`].
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DownloadQuery {
    /// The workspace, which browsers cannot name in a header; the one that the request is for when absent.
    #[serde(default)]
    #[param(required = false)]
    workspace_name: Option<String>,
    /// The project that the file is in.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, format = Uuid, required = true)]
    container_id: Option<Id>,
    /// What it belongs to.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = AttachmentEntity, inline, required = true)]
    entity_type: Option<AttachmentEntity>,
    /// To which one.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, format = Uuid, required = true)]
    entity_id: Option<Id>,
    /// Its name.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = String, min_length = 1, required = true)]
    file_name: Option<String>,
    /// As which media type it is to be sent.
    #[serde(default)]
    #[param(value_type = String, min_length = 1, required = true)]
    mime_type: Option<String>,
}

/// Download attachment
///
/// The content of a file; with 206 a part of it, if the header `Range` asks for one.
#[utoipa::path(
    get, path = "/v1/private/attachment/download", operation_id = "downloadAttachment", tag = ATTACHMENTS,
    params(DownloadQuery),
    responses(
        (status = 200, description = "Attachment Resource", body = inline(FileContent), content_type = "*/*"),
        (status = 401, description = "Bad Request", content((ErrorMessage = "*/*"))),
        (status = 403, description = "Access forbidden", content((ErrorMessage = "*/*"))),
        (status = 416, description = "The file has no such part", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn download_attachment(
    State(state): State<AppState>,
    caller: Caller,
    method: Method,
    headers: HeaderMap,
    ValidQuery(query): ValidQuery<DownloadQuery>,
) -> Result<Response, ApiError> {
    let project = needed("container_id", query.container_id)?;
    let target = target(needed("entity_type", query.entity_type)?, needed("entity_id", query.entity_id)?);
    let name = needed("file_name", query.file_name)?;
    let mime_type = not_blank("mime_type", query.mime_type)?;
    let workspace: Arc<str> = match query.workspace_name.filter(|name| !name.is_empty()) {
        Some(name) => Arc::from(name),
        None => caller.workspace,
    };
    let not_found = || ApiError::NotFound(format!("File not found: {name}"));
    let file = state.store.attachment_file(&workspace, project, target, &name).await?.ok_or_else(not_found)?;
    let mut asked = Request::builder().method(method).body(Body::empty()).map_err(|_| ApiError::Internal)?;
    // Several parts in one answer are not worth it: who asks for them gets the whole.
    if let Some(range) = headers.get(header::RANGE).filter(|range| !range.as_bytes().contains(&b',')) {
        asked.headers_mut().insert(header::RANGE, range.clone());
    }
    let mut served = ServeFile::new(file.path()).try_call(asked).await.map_err(|error| {
        tracing::error!(%error, "an attachment cannot be read");
        ApiError::Internal
    })?;
    match served.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
        StatusCode::RANGE_NOT_SATISFIABLE => {
            let size = served.headers_mut().remove(header::CONTENT_RANGE);
            let mut refused = ApiError::NoSuchRange.into_response();
            refused.headers_mut().extend(size.map(|size| (header::CONTENT_RANGE, size)));
            return Ok(refused);
        }
        // Deleted in this moment.
        _ => return Err(not_found()),
    }
    let answer = served.headers_mut();
    // When a content first came says nothing of when this file got it.
    answer.remove(header::LAST_MODIFIED);
    let octets = HeaderValue::from_static("application/octet-stream");
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_str(&mime_type).unwrap_or(octets));
    answer.insert(header::CONTENT_DISPOSITION, disposition(&name));
    for (name, value) in HARMLESS {
        answer.insert(name, HeaderValue::from_static(value));
    }
    Ok(served.map(Body::new))
}

/// A file may be a page with scripts: a browser saves it, and if it shows it all the same, runs nothing of it.
const HARMLESS: [(HeaderName, &str); 2] =
    [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")];

/// What is escaped in an extended header parameter.
const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The header by which a browser saves a file under its name: once in ASCII, once as it is.
fn disposition(name: &str) -> HeaderValue {
    let plain = |letter: char| {
        if letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '/' | '%') || letter == ' ' {
            letter
        } else {
            '_'
        }
    };
    let ascii: String = name.chars().map(plain).collect();
    let mut value = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        value.push_str("; filename*=UTF-8''");
        value.extend(utf8_percent_encode(name, PARAMETER));
    }
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// Delete attachments
///
/// Files of a span or trace go, those that exist.
#[utoipa::path(
    post, path = "/v1/private/attachment/delete", operation_id = "deleteAttachments", tag = ATTACHMENTS,
    request_body = DeleteAttachmentsRequest,
    responses(
        (status = 204, description = "No content"),
        (status = 401, description = "Bad Request", body = ErrorMessage),
        (status = 403, description = "Access forbidden", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn delete_attachments(
    State(state): State<AppState>,
    caller: Caller,
    ValidJson(body): ValidJson<DeleteAttachmentsRequest>,
) -> Result<StatusCode, ApiError> {
    let DeleteAttachmentsRequest { file_names, file_name, project_name, entity_type, entity_id, container_id, .. } =
        body.value;
    let (Some(entity_type), Some(entity_id)) = (entity_type, entity_id) else { return Err(ApiError::Internal) };
    if file_names.is_none() && file_name.is_none() {
        return Err(ApiError::unprocessable("/file_name", "fileName", "must not be blank"));
    }
    let names = file_names.into_iter().flatten().chain(file_name.map(|name| name.0)).collect();
    let project = container_id.map(ProjectRef::Id).or_else(|| project_named(project_name.as_ref()));
    let project = project.unwrap_or_else(|| ProjectRef::Name(DEFAULT_PROJECT.to_owned()));
    let change = Change::DeleteAttachments { project, target: target(entity_type, entity_id), names };
    state.ingest.submit(Submission { caller, change }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_saved_under_its_name_whatever_that_is() {
        for (name, wanted) in [
            ("a b.png", r#"attachment; filename="a b.png""#),
            ("résumé.pdf", r#"attachment; filename="r_sum_.pdf"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf"#),
            (
                "a\"; filename=\"b.exe",
                r#"attachment; filename="a_; filename=_b.exe"; filename*=UTF-8''a%22%3B%20filename%3D%22b.exe"#,
            ),
            ("../etc/passwd", r#"attachment; filename=".._etc_passwd"; filename*=UTF-8''..%2Fetc%2Fpasswd"#),
            (
                "a\r\nSet-Cookie: b",
                r#"attachment; filename="a__Set-Cookie: b"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"#,
            ),
        ] {
            assert_eq!(disposition(name), wanted, "{name}");
        }
    }
}
