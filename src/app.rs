//! The parts, put together: store, then ingest, then router.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, BodyLimits};
use crate::clock::Clock;
use crate::config::ServeConfig;
use crate::ingest::Ingest;
use crate::model::TextLimits;
use crate::scan::JsonLimits;
use crate::server;
use crate::store::{Store, StoreError};

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What requests are held to.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// Bodies.
    pub body: BodyLimits,
    /// The JSON in them.
    pub json: JsonLimits,
    /// The texts in that.
    pub text: TextLimits,
}

/// What every handler can reach.
#[derive(Clone)]
pub struct AppState {
    /// For reading.
    pub store: Arc<dyn Store>,
    /// For writing.
    pub ingest: Ingest,
    /// For fresh ids.
    pub clock: Clock,
    /// What requests are held to.
    pub limits: RequestLimits,
    /// Memory for request bodies, counted out in units.
    pub body_memory: Arc<Semaphore>,
}

/// A server with everything it needs, ready to be run.
pub struct App {
    state: AppState,
    committer: JoinHandle<()>,
    grace: Duration,
    limits: server::ConnectionLimits,
}

impl App {
    /// Starts what works behind the requests.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, config: &ServeConfig, clock: Clock) -> Self {
        let (ingest, committer) = Ingest::start(Arc::clone(&store), config.ingest);
        let units = (config.body.bodies_bytes_max / api::BODY_UNIT_BYTES).clamp(1, u32::MAX as usize >> 3);
        let state = AppState {
            store,
            ingest,
            clock,
            limits: RequestLimits { body: config.body, json: config.json, text: config.text },
            body_memory: Arc::new(Semaphore::new(units)),
        };
        Self { state, committer, grace: Duration::from_secs(config.shutdown_seconds_max), limits: config.connections }
    }

    /// Serves until `shutdown`; then takes no more requests, finishes those begun, stores what was accepted, and lets
    /// go of the database.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let Self { state, committer, grace, limits } = self;
        let store = Arc::clone(&state.store);
        let router = api::router(state);
        server::serve(listener, router, limits, shutdown, grace).await;
        // The last handler has let go of the queue: what is in it is stored, and the task ends.
        if committer.await.is_err() {
            tracing::error!("the committing task failed");
        }
        store.close().await;
    }
}

/// Opens the store that `config` names.
///
/// # Errors
/// See [`crate::store::open`].
pub async fn open_store(url: &str, config: &ServeConfig, clock: Clock) -> Result<Arc<dyn Store>, StoreError> {
    crate::store::open(url, config.sqlite_options(), clock).await
}
