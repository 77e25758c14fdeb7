//! Connections: taken, bounded, and let go of in good order.

mod socket;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use clap::Args;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::api::{self, HungUp};
use crate::model::Hangup;
use socket::{Reset, Socket};

/// How many connections there may be, and how long they may be idle.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConnectionLimits {
    /// Connections at once; further ones wait in the operating system's queue.
    #[arg(long, env = "SPANDREL_CONNECTIONS_MAX", default_value_t = 10_000, value_name = "CONNECTIONS",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub connections_max: u32,
    /// How long a connection may wait for its next request, or take to send a request's head. SDKs reuse connections
    /// that were idle for 10 s.
    #[arg(long, env = "SPANDREL_IDLE_SECONDS_MAX", default_value_t = 90, value_name = "SECONDS")]
    pub idle_seconds_max: u64,
    /// How long a client may take nothing of an answer; then its connection is cut.
    #[arg(long, env = "SPANDREL_STALLED_SECONDS_MAX", default_value_t = 120, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub stalled_seconds_max: u64,
}

/// Of a connection, what was read and is still to be looked at, or written and still to be sent. A request's head has to
/// fit. Chosen: a processor's own cache has it still when it is copied.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// Pause after the system could not give a connection, such as for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown`, then waits up to `grace` for requests that have begun.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
    grace: Duration,
) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .max_buf_size(BUFFER_BYTES_MAX)
        .header_read_timeout(Duration::from_secs(limits.idle_seconds_max))
        // Some generated clients look headers up by their usual spelling.
        .title_case_headers(true);
    let room = Arc::new(Semaphore::new(limits.connections_max as usize));
    let graceful = GracefulShutdown::new();
    let given_up = CancellationToken::new();
    loop {
        let permit = tokio::select! {
            Ok(permit) = Arc::clone(&room).acquire_owned() => permit,
            () = shutdown.cancelled() => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => break,
        };
        // An answer of a few bytes should not wait for more.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let reset = Reset::default();
        let socket = Socket::new(stream, reset.clone());
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let (router, reset) = (router.clone(), reset.clone());
            async move { answer(router, request).await.inspect_err(|NoAnswer(how)| reset.ask_if(*how == Hangup::Reset)) }
        });
        let mut stream = TimeoutWriter::new(socket);
        stream.set_timeout(Some(Duration::from_secs(limits.stalled_seconds_max)));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
        let given_up = given_up.clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                () = given_up.cancelled() => {}
            }
            drop(permit);
        });
    }
    drop(listener);
    drop(router);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(seconds = grace.as_secs(), "some requests did not end in time");
        given_up.cancel();
    }
}

/// The connection ends instead.
#[derive(Debug)]
struct NoAnswer(Hangup);

impl fmt::Display for NoAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no answer, as a test wants it")
    }
}

impl std::error::Error for NoAnswer {}

async fn answer(router: Router, request: hyper::Request<Incoming>) -> Result<axum::response::Response, NoAnswer> {
    let response = match router.oneshot(api::rewrite(request.map(Body::new))).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    match response.extensions().get::<HungUp>() {
        Some(HungUp(how)) => Err(NoAnswer(*how)),
        None => Ok(response),
    }
}
