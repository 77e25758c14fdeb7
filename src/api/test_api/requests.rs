//! The last requests, within bounds: so many, and so many bytes of them.

use std::collections::VecDeque;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use http_body::{Frame, SizeHint};
use indexmap::IndexMap;

use crate::api::body::is_gzip;
use crate::api::strict::{Seen, Strict};
use crate::app::RequestLimits;
use crate::model::{RecordedRequest, RecordedRequests, Timestamp};

/// What each request takes beside its texts, roughly.
const ENTRY_BYTES: usize = 512;

/// Parts of the names of headers that give access: their values are not kept.
const SECRET: [&str; 5] = ["authorization", "cookie", "api-key", "token", "secret"];

/// The last requests.
#[derive(Debug)]
pub(super) struct Requests {
    count_max: usize,
    bytes_max: usize,
    ring: Arc<Mutex<Ring>>,
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    total: i64,
    bytes: usize,
}

/// What is known of a request when it begins.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) received_at: i64,
    pub(super) method: Method,
    /// The address as it was sent.
    pub(super) sent: Uri,
    /// The address that is served, without `/api`.
    pub(super) served: Uri,
    /// The path of the operation, with names in braces.
    pub(super) template: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) operation_id: Option<Arc<str>>,
    pub(super) fault: bool,
}

#[derive(Debug)]
struct Entry {
    number: i64,
    head: Head,
    rest: Mutex<Rest>,
}

/// What comes later.
#[derive(Debug, Default)]
struct Rest {
    body: Vec<u8>,
    /// Bytes that came, those that are not kept among them.
    came: usize,
    /// Whether all came.
    ended: bool,
    status: Option<StatusCode>,
    /// Whether it is not kept any more.
    forgotten: bool,
}

/// A request that goes on.
pub(super) struct Record {
    entry: Arc<Entry>,
    ring: Arc<Mutex<Ring>>,
    bytes_max: usize,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ring {
    /// Forgets the oldest as long as `more` bytes are too many.
    fn make_room(&mut self, more: usize, bytes_max: usize) {
        while self.bytes + more > bytes_max
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.forget();
        }
    }
}

impl Entry {
    fn head_bytes(&self) -> usize {
        let headers: usize = self.head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        ENTRY_BYTES + self.head.sent.to_string().len() * 2 + headers
    }

    /// Lets go of its body; the bytes that it took.
    fn forget(&self) -> usize {
        let mut rest = locked(&self.rest);
        rest.forgotten = true;
        self.head_bytes() + std::mem::take(&mut rest.body).len()
    }
}

impl Requests {
    pub(super) fn new(count_max: usize, bytes_max: usize) -> Self {
        Self { count_max, bytes_max, ring: Arc::default() }
    }

    /// Notes a request that begins.
    pub(super) fn begin(&self, mut head: Head) -> Record {
        for (name, value) in &mut head.headers {
            if is_secret(name) {
                *value = axum::http::HeaderValue::from_static("***");
            }
        }
        let mut ring = locked(&self.ring);
        ring.total += 1;
        let entry = Arc::new(Entry { number: ring.total, head, rest: Mutex::default() });
        let bytes = entry.head_bytes();
        ring.make_room(bytes, self.bytes_max);
        if ring.entries.len() >= self.count_max
            && let Some(oldest) = ring.entries.pop_front()
        {
            ring.bytes -= oldest.forget();
        }
        ring.bytes += bytes;
        ring.entries.push_back(Arc::clone(&entry));
        Record { entry, ring: Arc::clone(&self.ring), bytes_max: self.bytes_max }
    }

    pub(super) fn clear(&self) {
        let mut ring = locked(&self.ring);
        for entry in &ring.entries {
            entry.forget();
        }
        *ring = Ring::default();
    }

    /// The last of them, in the order in which they came, with what is wrong with each.
    pub(super) fn list(
        &self,
        operation_id: Option<&str>,
        last: usize,
        contract: &Strict,
        limits: &RequestLimits,
    ) -> RecordedRequests {
        let (total, entries) = {
            let ring = locked(&self.ring);
            (ring.total, ring.entries.iter().cloned().collect::<Vec<_>>())
        };
        let wanted = |entry: &&Arc<Entry>| operation_id.is_none_or(|id| entry.head.operation_id.as_deref() == Some(id));
        let mut left = self.bytes_max;
        let mut requests: Vec<RecordedRequest> = entries
            .iter()
            .rev()
            .filter(wanted)
            .take(last)
            .map(|entry| entry.told(&mut left, contract, limits))
            .collect();
        requests.reverse();
        RecordedRequests { total, requests }
    }
}

impl Entry {
    /// What is told of it; `left` is how many bytes of bodies may be told.
    fn told(&self, left: &mut usize, contract: &Strict, limits: &RequestLimits) -> RecordedRequest {
        let head = &self.head;
        let (body, came, mut body_cut, status) = {
            let rest = locked(&self.rest);
            (rest.body.clone(), rest.came, !rest.ended || rest.body.len() < rest.came, rest.status)
        };
        let (body, whole) = unpacked(&head.headers, body, *left);
        *left = left.saturating_sub(body.len());
        body_cut |= !whole;
        let seen = Seen {
            method: &head.method,
            template: head.template.as_deref(),
            uri: &head.served,
            headers: &head.headers,
            body: (!body_cut).then_some(body.as_slice()),
        };
        let violations = contract.look_back(&seen, limits);
        RecordedRequest {
            number: self.number,
            received_at: Timestamp::from_nanos(head.received_at),
            method: head.method.to_string(),
            path: head.sent.path().to_owned(),
            query: head.sent.query().map(str::to_owned),
            headers: told_headers(&head.headers),
            operation_id: head.operation_id.as_deref().map(str::to_owned),
            body: (!body.is_empty()).then(|| String::from_utf8_lossy(&body).into_owned()),
            body_bytes: i64::try_from(came).unwrap_or(i64::MAX),
            body_cut,
            status: status.map(|status| i32::from(status.as_u16())),
            fault: head.fault,
            violations,
        }
    }
}

fn is_secret(name: &HeaderName) -> bool {
    SECRET.iter().any(|part| name.as_str().contains(part))
}

fn told_headers(headers: &HeaderMap) -> IndexMap<String, String> {
    let mut told = IndexMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let joined: &mut String = told.entry(name.as_str().to_owned()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&value);
    }
    told
}

/// A body without its packing, at most so many bytes of it, and whether that is all.
fn unpacked(headers: &HeaderMap, body: Vec<u8>, bytes_max: usize) -> (Vec<u8>, bool) {
    if headers.contains_key(header::CONTENT_ENCODING) && is_gzip(headers).unwrap_or(false) {
        let mut bytes = Vec::new();
        let decoder = flate2::read::MultiGzDecoder::new(body.as_slice());
        let read = decoder.take(bytes_max as u64 + 1).read_to_end(&mut bytes);
        let whole = read.is_ok() && bytes.len() <= bytes_max;
        bytes.truncate(bytes_max);
        return (bytes, whole);
    }
    let mut body = body;
    let whole = body.len() <= bytes_max;
    body.truncate(bytes_max);
    (body, whole)
}

impl Record {
    /// The same body; what goes through it is kept.
    pub(super) fn copying(&self, body: Body) -> Body {
        if http_body::Body::is_end_stream(&body) {
            self.ended();
            return body;
        }
        let entry = Arc::clone(&self.entry);
        Body::new(Copying { body, record: Self { entry, ring: Arc::clone(&self.ring), bytes_max: self.bytes_max } })
    }

    /// The answer begins.
    pub(super) fn answered(&self, status: StatusCode) {
        locked(&self.entry.rest).status = Some(status);
    }

    fn came(&self, data: &Bytes) {
        // The ring first, always: it looks into its entries.
        let mut ring = locked(&self.ring);
        let mut rest = locked(&self.entry.rest);
        let kept_so_far = rest.body.len() == rest.came;
        rest.came += data.len();
        if rest.forgotten || !kept_so_far {
            return;
        }
        // One body does not drive out all the others.
        let room = (self.bytes_max / 4).saturating_sub(rest.body.len());
        let kept = &data[..data.len().min(room)];
        drop(rest);
        ring.make_room(kept.len(), self.bytes_max);
        let mut rest = locked(&self.entry.rest);
        if !rest.forgotten {
            rest.body.extend_from_slice(kept);
            ring.bytes += kept.len();
        }
    }

    fn ended(&self) {
        locked(&self.entry.rest).ended = true;
    }
}

/// A body that is kept as it is read.
struct Copying {
    body: Body,
    record: Record,
}

impl http_body::Body for Copying {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            None => self.record.ended(),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.record.came(data);
                }
                if self.body.is_end_stream() {
                    self.record.ended();
                }
            }
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
