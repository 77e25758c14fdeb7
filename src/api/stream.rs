//! Many spans, traces or threads in one answer, read in pieces: no more of them is in memory than a client is about to
//! take, and no read is open while it takes its time.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, header};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, yield_now};

use super::paging::Page;
use super::query::no_project;
use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{ErrorMessagePublic, SearchLimit, SpanPublic, TracePublic, TraceThread};
use crate::record::{ProjectRef, TraceView, View};
use crate::store::{Handle, OnPage, Order, PageQuery, Query, Store, StoreError};

/// Bytes of spans that are read in one go. Chosen: small beside what a process needs anyway.
const PIECE_BYTES: usize = 1 << 20;

/// How they are put one after the other.
#[derive(Debug, Clone)]
enum Framing {
    /// As a JSON array between these texts.
    Array { before: String, after: String },
    /// One a line.
    Lines,
}

impl Framing {
    fn before(&self) -> &str {
        if let Self::Array { before, .. } = self { before } else { "" }
    }

    fn after(&self) -> &str {
        if let Self::Array { after, .. } = self { after } else { "" }
    }

    fn push(&self, shown: &impl Serialize, first: bool, piece: &mut Vec<u8>) -> Result<(), ApiError> {
        if matches!(self, Self::Array { .. }) && !first {
            piece.push(b',');
        }
        let start = piece.len();
        serde_json::to_writer(&mut *piece, shown).map_err(|_| ApiError::Internal)?;
        if matches!(self, Self::Lines) {
            // Payloads are as they were sent. Their line ends are white space: in a text they would not be bare.
            let mut line = &mut piece[start..];
            while let Some(at) = memchr::memchr2(b'\n', b'\r', line) {
                line[at] = b' ';
                line = &mut line[at + 1..];
            }
            piece.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

/// What a list is of.
#[async_trait]
pub(super) trait Listed: Clone + Send + Sync + 'static {
    /// What a client reads of each.
    type Shown: Serialize + Send;

    /// Those of these keys, in their order, and how many of the keys were looked at: no more once `bytes_max` are read.
    async fn read(
        &self,
        store: &dyn Store,
        keys: Arc<[Handle]>,
        from: usize,
        bytes_max: usize,
    ) -> Result<(Vec<Self::Shown>, usize), StoreError>;

    /// A page of them, and the first of those as [`Listed::read`] does; nothing if there is no such project.
    async fn page(
        &self,
        store: &dyn Store,
        asked: PageQuery,
        bytes_max: usize,
    ) -> Result<Option<OnPage<Self::Shown>>, StoreError>;
}

/// The same page with its first shown.
fn shown<T, U>(page: OnPage<T>, show: impl FnMut(T) -> U) -> OnPage<U> {
    let OnPage { keys, total, first, looked_at } = page;
    OnPage { keys, total, first: first.into_iter().map(show).collect(), looked_at }
}

#[async_trait]
impl Listed for View {
    type Shown = SpanPublic;

    async fn read(
        &self,
        store: &dyn Store,
        keys: Arc<[Handle]>,
        from: usize,
        bytes_max: usize,
    ) -> Result<(Vec<SpanPublic>, usize), StoreError> {
        let (spans, looked_at) = store.spans(keys, from, self.parts(), bytes_max).await?;
        Ok((spans.into_iter().map(|span| span.into_public(self)).collect(), looked_at))
    }

    async fn page(
        &self,
        store: &dyn Store,
        asked: PageQuery,
        bytes_max: usize,
    ) -> Result<Option<OnPage<SpanPublic>>, StoreError> {
        let page = store.span_page(asked, self.parts(), bytes_max).await?;
        Ok(page.map(|page| shown(page, |span| span.into_public(self))))
    }
}

#[async_trait]
impl Listed for TraceView {
    type Shown = TracePublic;

    async fn read(
        &self,
        store: &dyn Store,
        keys: Arc<[Handle]>,
        from: usize,
        bytes_max: usize,
    ) -> Result<(Vec<TracePublic>, usize), StoreError> {
        let (traces, looked_at) = store.traces(keys, from, self.parts(), bytes_max).await?;
        Ok((traces.into_iter().map(|trace| trace.into_public(self)).collect(), looked_at))
    }

    async fn page(
        &self,
        store: &dyn Store,
        asked: PageQuery,
        bytes_max: usize,
    ) -> Result<Option<OnPage<TracePublic>>, StoreError> {
        let page = store.trace_page(asked, self.parts(), bytes_max).await?;
        Ok(page.map(|page| shown(page, |trace| trace.into_public(self))))
    }
}

/// How threads are worked out and shown.
#[derive(Debug, Clone)]
pub(super) struct ThreadView {
    /// Which of their traces count, and what is active.
    pub query: Query,
    /// Whether their messages are cut short.
    pub truncate: bool,
}

#[async_trait]
impl Listed for ThreadView {
    type Shown = TraceThread;

    async fn read(
        &self,
        store: &dyn Store,
        keys: Arc<[Handle]>,
        from: usize,
        bytes_max: usize,
    ) -> Result<(Vec<TraceThread>, usize), StoreError> {
        let (threads, looked_at) = store.threads(self.query.clone(), keys, from, bytes_max).await?;
        Ok((threads.into_iter().map(|thread| thread.into_public(self.truncate)).collect(), looked_at))
    }

    async fn page(
        &self,
        store: &dyn Store,
        asked: PageQuery,
        bytes_max: usize,
    ) -> Result<Option<OnPage<TraceThread>>, StoreError> {
        let PageQuery { query, order, limit, offset, .. } = asked;
        let (keys, total) = store.page(query, order, limit, offset).await?;
        let (first, looked_at) = self.read(store, keys.clone().into(), 0, bytes_max).await?;
        Ok(Some(OnPage { keys, total, first, looked_at }))
    }
}

/// Some that were read, and of how many keys.
type Read<L> = (Vec<<L as Listed>::Shown>, usize);

/// The next ones.
enum Next<L: Listed> {
    /// They are read when they are asked for.
    Unread,
    /// They are being read.
    Coming(JoinHandle<Result<Read<L>, StoreError>>),
    /// They are there.
    Here(Read<L>),
}

struct Pieces<L: Listed> {
    state: AppState,
    keys: Arc<[Handle]>,
    at: usize,
    first: bool,
    view: L,
    framing: Framing,
    next: Next<L>,
}

impl<L: Listed> Pieces<L> {
    fn done(&self) -> bool {
        self.at >= self.keys.len()
    }

    /// Reads the next.
    fn read(&self) -> impl Future<Output = Result<Read<L>, StoreError>> + Send + 'static {
        let (store, view, keys, at) =
            (Arc::clone(&self.state.store), self.view.clone(), Arc::clone(&self.keys), self.at);
        async move { view.read(&*store, keys, at, PIECE_BYTES).await }
    }

    /// Has the next be read from now on: by a task, which goes on whether or not anybody waits for it.
    async fn begin(&mut self) {
        self.next = Next::Coming(tokio::spawn(self.read()));
        // It begins before this one goes on.
        yield_now().await;
    }

    /// The next piece, ended if it is the last. What comes after it is read while it is written.
    async fn next(&mut self) -> Result<Vec<u8>, ApiError> {
        let mut piece = Vec::new();
        if self.at == 0 {
            piece.extend_from_slice(self.framing.before().as_bytes());
        }
        if !self.done() {
            let (shown, looked_at) = match std::mem::replace(&mut self.next, Next::Unread) {
                Next::Unread => self.read().await?,
                Next::Coming(reading) => reading.await.map_err(|_| ApiError::Internal)??,
                Next::Here(read) => read,
            };
            self.at += looked_at.max(1);
            if !self.done() {
                self.begin().await;
            }
            let (before, number) = (piece.len(), shown.len());
            for (at, shown) in shown.into_iter().enumerate() {
                self.framing.push(&shown, self.first, &mut piece)?;
                self.first = false;
                if at == 0 {
                    // The others are about as large.
                    piece.reserve(((piece.len() - before) * number).min(PIECE_BYTES));
                }
            }
        }
        if self.done() {
            piece.extend_from_slice(self.framing.after().as_bytes());
        }
        Ok(piece)
    }
}

/// What these keys lead to, as a body. Trouble before the first piece is an ordinary error; later, a search's last line
/// tells of it, and an array is cut off.
async fn body<L: Listed>(mut pieces: Pieces<L>) -> Result<Body, ApiError> {
    let first = pieces.next().await?;
    if pieces.done() {
        return Ok(Body::from(first));
    }
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(1);
    tokio::spawn(async move {
        let mut piece = Some(Ok(first));
        // Fails once the connection has ended: a client that takes nothing is cut off there.
        while let Ok(room) = sender.reserve().await {
            let next = match piece.take() {
                Some(first) => first,
                None => pieces.next().await,
            };
            let more = next.is_ok() && !pieces.done();
            room.send(next.map(Bytes::from).or_else(|error| failed(&pieces.framing, &error)));
            if !more {
                return;
            }
        }
    });
    Ok(Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver)))
}

fn failed(framing: &Framing, error: &ApiError) -> Result<Bytes, io::Error> {
    tracing::warn!(?error, "a stream broke off");
    if matches!(framing, Framing::Array { .. }) {
        return Err(io::Error::other("the rest could not be read"));
    }
    let message =
        ErrorMessagePublic { code: Some(500), message: Some("The rest could not be read".to_owned()), details: None };
    let mut line = serde_json::to_vec(&message).unwrap_or_default();
    line.extend_from_slice(b"\r\n");
    Ok(Bytes::from(line))
}

/// A page as the body of an answer; its total counts all that match. What is meant is of the project that is named.
pub(super) async fn page<L: Listed>(
    state: AppState,
    workspace: Arc<str>,
    (named, query): (ProjectRef, Query),
    order: Order,
    page: Page,
    view: L,
) -> Result<JsonBody, ApiError> {
    let Page { number, limit, offset } = page;
    let sortable = serde_json::to_string(query.of.sortable()).map_err(|_| ApiError::Internal)?;
    let asked = PageQuery { workspace, named: named.clone(), query, order, limit, offset };
    let on_page = view.page(&*state.store, asked, PIECE_BYTES).await?;
    let OnPage { keys, total, first, looked_at } = on_page.ok_or_else(|| no_project(&named))?;
    let framing = Framing::Array {
        before: format!(r#"{{"page":{number},"size":{},"total":{total},"content":["#, keys.len()),
        after: format!(r#"],"sortableBy":{sortable},"sortable_by":{sortable}}}"#),
    };
    let next = Next::Here((first, looked_at));
    let pieces = Pieces { state, keys: keys.into(), at: 0, first: true, view, framing, next };
    Ok(([(header::CONTENT_TYPE, "application/json")], body(pieces).await?))
}

/// A body that is written piece by piece.
pub(super) type JsonBody = ([(HeaderName, &'static str); 1], Body);

/// The newest of what is meant, one a line, as the body of an answer.
pub(super) async fn lines<L: Listed>(
    state: AppState,
    query: Query,
    limit: Option<SearchLimit>,
    view: L,
) -> Result<JsonBody, ApiError> {
    let limit = limit.map_or(SearchLimit::DEFAULT, |limit| limit.0);
    let keys = state.store.find(query, Order::ById, u64::from(limit.unsigned_abs()), 0).await?;
    let framing = Framing::Lines;
    let body = body(Pieces { state, keys: keys.into(), at: 0, first: true, view, framing, next: Next::Unread }).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body))
}
