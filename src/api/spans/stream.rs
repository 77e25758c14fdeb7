//! Many spans in one answer, read in pieces: no more of them is in memory than a client is about to take, and no read
//! is open while it takes its time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::sync::mpsc;

use crate::app::AppState;
use crate::error::ApiError;
use crate::model::{ErrorMessagePublic, SpanPublic};
use crate::record::View;

/// Bytes of spans that are read in one go. Chosen: small beside what a process needs anyway.
const PIECE_BYTES: usize = 1 << 20;

/// How long a client may take over a piece before it is given up.
const STALLED_MAX: Duration = Duration::from_mins(2);

/// How spans are put one after the other.
#[derive(Debug, Clone)]
pub(super) enum Framing {
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

    fn push(&self, span: &SpanPublic, first: bool, piece: &mut Vec<u8>) -> Result<(), ApiError> {
        if matches!(self, Self::Array { .. }) && !first {
            piece.push(b',');
        }
        serde_json::to_writer(&mut *piece, span).map_err(|_| ApiError::Internal)?;
        if matches!(self, Self::Lines) {
            piece.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

struct Pieces {
    state: AppState,
    keys: Arc<[i64]>,
    at: usize,
    first: bool,
    view: View,
    framing: Framing,
}

impl Pieces {
    fn done(&self) -> bool {
        self.at >= self.keys.len()
    }

    /// The next piece, ended if it is the last.
    async fn next(&mut self) -> Result<Vec<u8>, ApiError> {
        let mut piece = Vec::new();
        if self.at == 0 {
            piece.extend_from_slice(self.framing.before().as_bytes());
        }
        if !self.done() {
            let read = self.state.store.spans(Arc::clone(&self.keys), self.at, self.view.parts(), PIECE_BYTES);
            let (spans, looked_at) = read.await?;
            self.at += looked_at.max(1);
            for span in spans {
                self.framing.push(&span.into_public(&self.view), self.first, &mut piece)?;
                self.first = false;
            }
        }
        if self.done() {
            piece.extend_from_slice(self.framing.after().as_bytes());
        }
        Ok(piece)
    }
}

/// The spans of these keys as a body. Trouble before the first piece is an ordinary error; later, a search's last line
/// tells of it, and an array is cut off.
pub(super) async fn body(state: AppState, keys: Vec<i64>, view: View, framing: Framing) -> Result<Body, ApiError> {
    let mut pieces = Pieces { state, keys: keys.into(), at: 0, first: true, view, framing };
    let first = pieces.next().await?;
    if pieces.done() {
        return Ok(Body::from(first));
    }
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(1);
    tokio::spawn(async move {
        let mut piece = Ok(first);
        loop {
            let (part, more) = match piece {
                Ok(piece) => (Ok(Bytes::from(piece)), !pieces.done()),
                Err(error) => (failed(&pieces.framing, &error), false),
            };
            let sent = tokio::time::timeout(STALLED_MAX, sender.send(part)).await;
            if !more || !matches!(sent, Ok(Ok(()))) {
                return;
            }
            piece = pieces.next().await;
        }
    });
    Ok(Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver)))
}

fn failed(framing: &Framing, error: &ApiError) -> Result<Bytes, io::Error> {
    tracing::warn!(?error, "a stream of spans broke off");
    if matches!(framing, Framing::Array { .. }) {
        return Err(io::Error::other("the spans could not be read"));
    }
    let message =
        ErrorMessagePublic { code: Some(500), message: Some("The rest could not be read".to_owned()), details: None };
    let mut line = serde_json::to_vec(&message).unwrap_or_default();
    line.extend_from_slice(b"\r\n");
    Ok(Bytes::from(line))
}
