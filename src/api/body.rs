//! Request bodies: read within bounds, unpacked, and turned into checked values.

use std::io::Read as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use clap::Args;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use validator::Validate;

use super::problems;
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{
    BatchDelete, Comment, DeleteFeedbackScore, FeedbackScore, FeedbackScoreBatch, Limited, Object, SpanBatchUpdate,
    SpanBatchWrite, SpanSearchStreamRequest, SpanUpdate, SpanWrite, Violation, flatten,
};
use crate::scan::{MetadataNotes, Records, scan};

/// How large request bodies may be, and how long they may take.
#[derive(Debug, Clone, Copy, Args)]
pub struct BodyLimits {
    /// Largest request body, counted both as sent and unpacked.
    #[arg(long, env = "SPANDREL_BODY_BYTES_MAX", default_value_t = 256 << 20, value_name = "BYTES")]
    pub body_bytes_max: usize,
    /// Memory for all request bodies that are being read at once; beyond it, requests are answered 429.
    #[arg(long, env = "SPANDREL_BODIES_BYTES_MAX", default_value_t = 1 << 30, value_name = "BYTES")]
    pub bodies_bytes_max: usize,
    /// Longest time in which a request body must have arrived.
    #[arg(long, env = "SPANDREL_BODY_SECONDS_MAX", default_value_t = 120, value_name = "SECONDS")]
    pub body_seconds_max: u64,
}

/// The unit in which memory for bodies is counted out.
pub const BODY_UNIT_BYTES: usize = 1 << 10;

/// Bodies from this size on are unpacked and parsed beside the threads that serve everyone. Chosen: about a millisecond.
const ASIDE_BYTES: usize = 256 << 10;

/// How much of a refused body is read and thrown away, so that its sender sees the answer and not a broken connection.
const DRAIN_BYTES_MAX: usize = 64 << 20;

/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A type that is read from a JSON body.
pub(super) trait RequestBody: DeserializeOwned + Validate + Limited + Send + 'static {
    /// Where in the body records with payloads stand.
    const RECORDS: Option<Records>;
}

impl RequestBody for SpanWrite {
    const RECORDS: Option<Records> = Some(Records::Whole);
}

impl RequestBody for SpanUpdate {
    const RECORDS: Option<Records> = Some(Records::Whole);
}

impl RequestBody for SpanBatchUpdate {
    const RECORDS: Option<Records> = Some(Records::Within("update"));
}

impl RequestBody for SpanSearchStreamRequest {
    const RECORDS: Option<Records> = None;
}

impl RequestBody for FeedbackScore {
    const RECORDS: Option<Records> = None;
}

impl RequestBody for FeedbackScoreBatch {
    const RECORDS: Option<Records> = None;
}

impl RequestBody for DeleteFeedbackScore {
    const RECORDS: Option<Records> = None;
}

impl RequestBody for Comment {
    const RECORDS: Option<Records> = None;
}

impl RequestBody for BatchDelete {
    const RECORDS: Option<Records> = None;
}

impl RequestBody for SpanBatchWrite {
    const RECORDS: Option<Records> = Some(Records::Each("spans"));
}

/// A body that was read and checked.
#[derive(Debug)]
pub(super) struct Read<T> {
    /// What it says.
    pub value: T,
    /// What was noted of each record's metadata.
    pub notes: std::collections::HashMap<usize, MetadataNotes>,
    /// Its share of the memory for bodies, until the request is done with.
    _memory: OwnedSemaphorePermit,
}

/// Reads a JSON body.
pub(super) async fn read<T: RequestBody>(
    headers: &HeaderMap,
    body: Body,
    state: &AppState,
) -> Result<Read<T>, ApiError> {
    let mut body = body;
    match collect(headers, &mut body, state).await {
        Ok((bytes, gzip, memory)) => {
            let size = bytes.len();
            let state = state.clone();
            let work = move || parse(bytes, gzip, memory, &state);
            if size >= ASIDE_BYTES {
                tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Internal)?
            } else {
                work()
            }
        }
        Err(error) => {
            let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain(body)).await;
            Err(error)
        }
    }
}

async fn drain(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > DRAIN_BYTES_MAX {
            return;
        }
    }
}

/// The body's bytes as sent, whether they are packed, and the memory they may take.
async fn collect(
    headers: &HeaderMap,
    body: &mut Body,
    state: &AppState,
) -> Result<(Vec<u8>, bool, OwnedSemaphorePermit), ApiError> {
    check_media_type(headers, body)?;
    let gzip = is_gzip(headers)?;
    let limits = state.limits.body;
    let mut bytes = Vec::new();
    let mut memory = reserve(state, BODY_UNIT_BYTES)?;
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| ApiError::bad_request("The request body could not be read"))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > limits.body_bytes_max {
                return Err(too_large(limits.body_bytes_max));
            }
            grow(&mut memory, bytes.len() + data.len(), state)?;
            bytes.extend_from_slice(data);
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(limits.body_seconds_max), reading)
        .await
        .map_err(|_| ApiError::TooSlow)??;
    Ok((bytes, gzip, memory))
}

fn check_media_type(headers: &HeaderMap, body: &Body) -> Result<(), ApiError> {
    let Some(media_type) = headers.get(header::CONTENT_TYPE) else {
        // An empty body has no type; it is answered as the missing body that it is.
        if http_body::Body::is_end_stream(body) {
            return Ok(());
        }
        return Err(ApiError::UnsupportedMediaType(
            "HTTP 415 Unsupported Media Type: expected application/json".to_owned(),
        ));
    };
    let essence = media_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType("HTTP 415 Unsupported Media Type: expected application/json".to_owned()))
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    let encoding =
        headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim().to_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(_) => Err(ApiError::UnsupportedMediaType(
            "HTTP 415 Unsupported Media Type: expected no Content-Encoding, or gzip".to_owned(),
        )),
    }
}

fn too_large(bytes_max: usize) -> ApiError {
    ApiError::TooLarge(format!("The request body is larger than {bytes_max} bytes"))
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BODY_UNIT_BYTES)).unwrap_or(u32::MAX)
}

fn reserve(state: &AppState, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    state
        .body_memory
        .clone()
        .try_acquire_many_owned(units(bytes))
        .map_err(|_| ApiError::TryLater { message: "The memory for request bodies is taken up".to_owned(), seconds: 1 })
}

/// Makes sure that `memory` covers `bytes`.
fn grow(memory: &mut OwnedSemaphorePermit, bytes: usize, state: &AppState) -> Result<(), ApiError> {
    let wanted = units(bytes) as usize;
    if wanted > memory.num_permits() {
        memory.merge(reserve(state, (wanted - memory.num_permits()) * BODY_UNIT_BYTES)?);
    }
    Ok(())
}

/// How much is unpacked before memory is asked for again.
const UNPACK_STEP_BYTES: usize = 64 << 10;

fn unpack(packed: &[u8], memory: &mut OwnedSemaphorePermit, state: &AppState) -> Result<Vec<u8>, ApiError> {
    let bytes_max = state.limits.body.body_bytes_max;
    let mut decoder = flate2::bufread::MultiGzDecoder::new(packed);
    let mut bytes = Vec::new();
    loop {
        grow(memory, packed.len() + bytes.len() + UNPACK_STEP_BYTES, state)?;
        let step = decoder
            .by_ref()
            .take(UNPACK_STEP_BYTES as u64)
            .read_to_end(&mut bytes)
            .map_err(|_| ApiError::bad_request("The request body is not valid gzip"))?;
        if bytes.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        if step == 0 {
            return Ok(bytes);
        }
    }
}

fn parse<T: RequestBody>(
    bytes: Vec<u8>,
    gzip: bool,
    mut memory: OwnedSemaphorePermit,
    state: &AppState,
) -> Result<Read<T>, ApiError> {
    let bytes = if gzip { unpack(&bytes, &mut memory, state)? } else { bytes };
    let text = std::str::from_utf8(&bytes).map_err(|error| problems::not_utf8(&bytes, error.valid_up_to()))?;
    if matches!(text.trim_ascii(), "" | "null") {
        return Err(ApiError::unprocessable("", "", "The request body must not be null"));
    }
    let scanned = scan(text, T::RECORDS, &state.limits.json).map_err(|over| problems::over_limit(text, &over))?;
    let Object(value): Object<T> = serde_json::from_str(&scanned.text)
        .map_err(|error| problems::unreadable::<Object<T>>(text, &scanned, &error))?;
    let mut broken: Vec<Violation> = value.validate().err().as_ref().map(flatten).unwrap_or_default();
    value.over_limits(&state.limits.text, "", "", &mut broken);
    if !broken.is_empty() {
        return Err(ApiError::Unprocessable(broken));
    }
    Ok(Read { value, notes: scanned.notes, _memory: memory })
}
