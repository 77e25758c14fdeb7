//! Request bodies: read within bounds, unpacked, and turned into checked values.

use std::io::Read as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use clap::Args;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use validator::Validate;

use super::problems::{self, VIOLATIONS_TOLD_MAX};
use crate::app::AppState;
use crate::error::ApiError;
use crate::ingest::OnItsWay;
use crate::model::{
    AuthDetailsHolder, Awaited, BatchDelete, Comment, CompleteMultipartUploadRequest, DeleteAttachmentsRequest,
    DeleteFeedbackScore, DeleteThreadFeedbackScores, DeleteTraceThreads, EnvironmentUpdate, EnvironmentWrite, Fault,
    FeedbackCreate, FeedbackScore, FeedbackScoreBatch, FeedbackScoreBatchThread, FeedbackUpdate, KpiCardRequest,
    Limited, Object, ProjectMetricRequest, ProjectRetrieve, ProjectUpdate, ProjectWrite, SpanBatchUpdate,
    SpanBatchWrite, SpanSearchStreamRequest, SpanUpdate, SpanWrite, StartMultipartUploadRequest, TraceBatchUpdate,
    TraceBatchWrite, TraceSearchStreamRequest, TraceThreadBatchIdentifier, TraceThreadBatchUpdate,
    TraceThreadIdentifier, TraceThreadSearchStreamRequest, TraceThreadUpdate, TraceUpdate, TraceWrite, Violation,
    WorkspaceConfiguration, flatten,
};
use crate::scan::{MetadataNotes, Records, scan};

/// How large request bodies may be, and how long they may take.
#[derive(Debug, Clone, Copy, Args)]
pub struct BodyLimits {
    /// Largest request body, counted both as sent and unpacked.
    #[arg(long, env = "SPANDREL_BODY_BYTES_MAX", default_value_t = 256 << 20, value_name = "BYTES")]
    pub body_bytes_max: usize,
    /// Memory for all request bodies that are being read at once; beyond it, requests are answered 429. A body that alone
    /// is larger is read while there is no other.
    #[arg(long, env = "SPANDREL_BODIES_BYTES_MAX", default_value_t = 1 << 30, value_name = "BYTES")]
    pub bodies_bytes_max: usize,
    /// How many times larger than it was sent a body may become when it is unpacked. Up to 32 MiB it may in any case.
    #[arg(long, env = "SPANDREL_BODY_RATIO_MAX", default_value_t = 250, value_name = "TIMES")]
    pub body_ratio_max: usize,
    /// Largest attachment. It goes to disk as it comes, and takes no memory.
    #[arg(long, env = "SPANDREL_ATTACHMENT_BYTES_MAX", default_value_t = 1 << 30, value_name = "BYTES")]
    pub attachment_bytes_max: u64,
    /// Longest time in which a request body must have arrived; of an attachment, the next piece of it.
    #[arg(long, env = "SPANDREL_BODY_SECONDS_MAX", default_value_t = 120, value_name = "SECONDS")]
    pub body_seconds_max: u64,
}

impl BodyLimits {
    /// Memory for bodies, in units.
    #[must_use]
    pub fn units(&self) -> usize {
        (self.bodies_bytes_max / UNIT_BYTES).clamp(1, u32::MAX as usize >> 3)
    }
}

/// The unit in which memory for bodies is counted out.
const UNIT_BYTES: usize = 1 << 10;

/// Unpacked bodies up to this size may be of any ratio: batches of spans that are much alike pack very well.
const ANY_RATIO_BYTES: usize = 32 << 20;

/// Bodies from this size on are unpacked and parsed beside the threads that serve everyone. Chosen: about a millisecond.
const ASIDE_BYTES: usize = 256 << 10;

/// For how much of a body room is made before it comes, so that it need not be moved: memory that is not written to is
/// taken from nobody.
const ROOM_BYTES_MAX: usize = 4 << 20;

/// How long room is held in the queue for a body that has not arrived. Chosen: bodies on a fast network are there by then.
const ROOM_HELD_MAX: Duration = Duration::from_millis(250);

/// How much of a refused body is read and thrown away, so that its sender sees the answer and not a broken connection.
const DRAIN_BYTES_MAX: usize = 64 << 20;

/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A type that is read from a JSON body.
pub(super) trait RequestBody: DeserializeOwned + Validate + Limited + Send + 'static {
    /// Where in the body records with payloads stand.
    const RECORDS: Option<Records>;
}

macro_rules! bodies {
    ($($body:ty => $records:expr),+ $(,)?) => {
        $(impl RequestBody for $body {
            const RECORDS: Option<Records> = $records;
        })+
    };
}

bodies! {
    SpanWrite => Some(Records::Whole),
    SpanBatchWrite => Some(Records::Each("spans")),
    SpanUpdate => Some(Records::Whole),
    SpanBatchUpdate => Some(Records::Within("update")),
    KpiCardRequest => None,
    ProjectMetricRequest => None,
    SpanSearchStreamRequest => None,
    TraceWrite => Some(Records::Whole),
    TraceBatchWrite => Some(Records::Each("traces")),
    TraceUpdate => Some(Records::Whole),
    TraceBatchUpdate => Some(Records::Within("update")),
    TraceSearchStreamRequest => None,
    TraceThreadIdentifier => None,
    TraceThreadBatchIdentifier => None,
    TraceThreadUpdate => None,
    TraceThreadBatchUpdate => None,
    TraceThreadSearchStreamRequest => None,
    DeleteTraceThreads => None,
    FeedbackScoreBatchThread => None,
    DeleteThreadFeedbackScores => None,
    FeedbackScore => None,
    FeedbackScoreBatch => None,
    DeleteFeedbackScore => None,
    Comment => None,
    BatchDelete => None,
    ProjectWrite => None,
    ProjectUpdate => None,
    ProjectRetrieve => None,
    EnvironmentWrite => None,
    EnvironmentUpdate => None,
    FeedbackCreate => None,
    FeedbackUpdate => None,
    WorkspaceConfiguration => None,
    StartMultipartUploadRequest => None,
    CompleteMultipartUploadRequest => None,
    DeleteAttachmentsRequest => None,
    AuthDetailsHolder => None,
    Fault => None,
    Awaited => None,
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

/// The bytes of a body, within all bounds.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    gzip: bool,
    /// Its share of the memory for bodies.
    memory: OwnedSemaphorePermit,
    /// Its share of the room in the queue, until it is parsed.
    on_its_way: Option<OnItsWay>,
}

/// Reads a JSON body, unless it was received already.
pub(super) async fn read<T: RequestBody>(request: Request, state: &AppState) -> Result<Read<T>, ApiError> {
    let (mut parts, body) = request.into_parts();
    let received = match parts.extensions.remove::<Arc<Received>>().and_then(Arc::into_inner) {
        Some(received) => received,
        None if T::RECORDS.is_some() => let_in(&parts.headers, body, state).await?,
        None => receive(&parts.headers, body, state).await?,
    };
    let aside_of = state.clone();
    aside(received.bytes.len(), state, move || {
        // What would be refused is not parsed first: that takes from what is not.
        if T::RECORDS.is_some() {
            aside_of.ingest.check_room()?;
        }
        parse(received, &aside_of)
    })
    .await
}

/// Receives a body that is to be stored. What would be refused is not kept while it comes: that takes memory, and time
/// from what is not. Who is slow takes no room from others meanwhile.
async fn let_in(headers: &HeaderMap, body: Body, state: &AppState) -> Result<Received, ApiError> {
    let stated = http_body::Body::size_hint(&body).lower();
    let mut on_its_way = match state.ingest.let_in(usize::try_from(stated).unwrap_or(usize::MAX)) {
        Ok(on_its_way) => on_its_way,
        Err(error) => return Err(refuse(body, error.into()).await),
    };
    let mut receiving = pin!(receive(headers, body, state));
    let mut received = if let Ok(received) = tokio::time::timeout(ROOM_HELD_MAX, &mut receiving).await {
        received?
    } else {
        drop(on_its_way);
        let received = receiving.await?;
        on_its_way = state.ingest.let_in(received.len())?;
        received
    };
    received.on_its_way = Some(on_its_way.arrived(received.len()));
    Ok(received)
}

/// Does what takes longer the larger the body is.
pub(super) async fn aside<R: Send + 'static>(
    size: usize,
    state: &AppState,
    work: impl FnOnce() -> Result<R, ApiError> + Send + 'static,
) -> Result<R, ApiError> {
    if size < ASIDE_BYTES {
        return work();
    }
    state.aside.run(work).await.ok_or(ApiError::Internal)?
}

/// Receives a body.
pub(super) async fn receive(headers: &HeaderMap, body: Body, state: &AppState) -> Result<Received, ApiError> {
    let mut body = body;
    match collect(headers, &mut body, state).await {
        Ok(received) => Ok(received),
        // Who is slow is not waited for once more.
        Err(error @ ApiError::TooSlow) => Err(error),
        Err(error) => Err(refuse(body, error).await),
    }
}

/// The answer to a body that is not taken: its sender sees it once it has sent all.
pub(super) async fn refuse(body: Body, error: ApiError) -> ApiError {
    drained(body).await;
    error
}

/// Lets a body come that nobody wants, within bounds.
pub(super) async fn drained(body: Body) {
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, drain(body)).await;
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

async fn collect(headers: &HeaderMap, body: &mut Body, state: &AppState) -> Result<Received, ApiError> {
    check_media_type(headers, body)?;
    let gzip = is_gzip(headers)?;
    let limits = state.limits.body;
    let size = http_body::Body::size_hint(body).exact().and_then(|size| usize::try_from(size).ok());
    let mut bytes = Vec::with_capacity(size.unwrap_or_default().min(ROOM_BYTES_MAX));
    let mut memory = reserve(state, UNIT_BYTES)?;
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
    Ok(Received { bytes, gzip, memory, on_its_way: None })
}

fn check_media_type(headers: &HeaderMap, body: &Body) -> Result<(), ApiError> {
    let Some(media_type) = headers.get(header::CONTENT_TYPE) else {
        // An empty body has no type; it is answered as the missing body that it is.
        if http_body::Body::is_end_stream(body) {
            return Ok(());
        }
        return Err(unsupported("application/json"));
    };
    let essence = media_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(unsupported("application/json"))
}

/// The answer to a body of another type than is expected.
pub(super) fn unsupported(expected: &str) -> ApiError {
    ApiError::UnsupportedMediaType(format!("HTTP 415 Unsupported Media Type: expected {expected}"))
}

pub(super) fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    let encoding =
        headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim().to_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(_) => Err(unsupported("no Content-Encoding, or gzip")),
    }
}

pub(super) fn too_large(bytes_max: impl std::fmt::Display) -> ApiError {
    ApiError::TooLarge(format!("The request body is larger than {bytes_max} bytes"))
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

fn reserve(state: &AppState, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    state
        .body_memory
        .clone()
        .try_acquire_many_owned(units(bytes))
        .map_err(|_| ApiError::TryLater { message: "The memory for request bodies is taken up".to_owned(), seconds: 1 })
}

/// Makes sure that `memory` covers `bytes`, or is all that there is: then no other body is read.
fn grow(memory: &mut OwnedSemaphorePermit, bytes: usize, state: &AppState) -> Result<(), ApiError> {
    let wanted = bytes.div_ceil(UNIT_BYTES).min(state.limits.body.units());
    if wanted > memory.num_permits() {
        memory.merge(reserve(state, (wanted - memory.num_permits()) * UNIT_BYTES)?);
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
        let ratio_max = state.limits.body.body_ratio_max;
        if bytes.len() > ANY_RATIO_BYTES && bytes.len() / ratio_max.max(1) > packed.len() {
            return Err(ApiError::TooLarge(format!("The request body is more than {ratio_max} times larger unpacked")));
        }
        if step == 0 {
            return Ok(bytes);
        }
    }
}

impl Received {
    /// How many bytes came.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The same, unpacked.
    pub(super) fn unpacked(mut self, state: &AppState) -> Result<Self, ApiError> {
        if std::mem::take(&mut self.gzip) {
            self.bytes = unpack(&self.bytes, &mut self.memory, state)?;
        }
        Ok(self)
    }

    /// The text of an unpacked body.
    pub(super) fn text(&self) -> Result<&str, ApiError> {
        std::str::from_utf8(&self.bytes).map_err(|error| problems::not_utf8(&self.bytes, error.valid_up_to()))
    }
}

fn parse<T: RequestBody>(received: Received, state: &AppState) -> Result<Read<T>, ApiError> {
    let received = received.unpacked(state)?;
    let text = received.text()?;
    if matches!(text.trim_ascii(), "" | "null") {
        return Err(ApiError::unprocessable("", "", "The request body must not be null"));
    }
    let scanned = scan(text, T::RECORDS, &state.limits.json).map_err(|over| problems::over_limit(text, &over))?;
    let Object(value): Object<T> = serde_json::from_str(&scanned.text)
        .map_err(|error| problems::unreadable::<Object<T>>(text, &scanned, &error))?;
    let mut broken: Vec<Violation> = value.validate().err().as_ref().map(flatten).unwrap_or_default();
    value.over_limits(&state.limits.text, "", "", &mut broken);
    if !broken.is_empty() {
        if broken.len() > VIOLATIONS_TOLD_MAX {
            let more = broken.len() - VIOLATIONS_TOLD_MAX;
            broken.truncate(VIOLATIONS_TOLD_MAX);
            broken.push(Violation::new("", "", &format!("and {more} more")));
        }
        return Err(ApiError::Unprocessable(broken));
    }
    Ok(Read { value, notes: scanned.notes, _memory: received.memory })
}
