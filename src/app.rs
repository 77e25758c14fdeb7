//! The parts, put together: store, then ingest, then router.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, BodyLimits, Strict, TestApi, Ui};
use crate::aside::Aside;
use crate::clock::Clock;
use crate::config::ServeConfig;
use crate::cost::Prices;
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
    /// Where large bodies are parsed.
    pub aside: Arc<Aside>,
    /// What requests are held to before handlers see them, in strict mode.
    pub strict: Option<Arc<Strict>>,
    /// What tests of other programs ask, if they may.
    pub test: Option<Arc<TestApi>>,
}

/// A server with everything it needs, ready to be run.
pub struct App {
    state: AppState,
    ui: Option<Ui>,
    committer: JoinHandle<()>,
    closing: CancellationToken,
    grace: Duration,
    limits: server::ConnectionLimits,
}

impl App {
    /// Starts what works behind the requests.
    ///
    /// # Errors
    /// The document asks for something that strict mode cannot check, the folder of the user interface has none, or the
    /// system gives no threads.
    pub fn new(store: Arc<dyn Store>, config: &ServeConfig, clock: Clock) -> Result<Self, String> {
        let strict = Strict::new(config.strict)?.map(Arc::new);
        let ui = config.ui_dir.as_deref().map(Ui::open).transpose()?;
        let aside = Aside::start().map_err(|error| format!("cannot start threads: {error}"))?;
        let closing = CancellationToken::new();
        let (ingest, committer) = Ingest::start(Arc::clone(&store), config.ingest, closing.clone());
        let state = AppState {
            store,
            ingest,
            clock,
            limits: RequestLimits { body: config.body, json: config.json, text: config.text },
            body_memory: Arc::new(Semaphore::new(config.body.units())),
            aside: Arc::new(aside),
            strict,
            test: TestApi::new(config.test).map(Arc::new),
        };
        Ok(Self {
            state,
            ui,
            committer,
            closing,
            grace: Duration::from_secs(config.shutdown_seconds_max),
            limits: config.connections,
        })
    }

    /// Serves until `shutdown`; then takes no more requests, finishes those begun, stores what was accepted, and lets
    /// go of the database.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) {
        let Self { state, ui, committer, closing, grace, limits } = self;
        let store = Arc::clone(&state.store);
        let beside = state.test.clone().map(|test| {
            let (stopped, store) = (shutdown.clone(), Arc::clone(&store));
            tokio::spawn(async move {
                if let Err(error) = store.prepare_reset().await {
                    tracing::warn!(%error, "a reset will have to be prepared when it is asked for");
                }
                stopped.cancelled().await;
                test.end();
            })
        });
        let router = api::router(state, ui);
        server::serve(listener, router, limits, shutdown, grace).await;
        // What is in the queue is stored; requests that did not end in time find it closed.
        closing.cancel();
        if committer.await.is_err() {
            tracing::error!("the committing task failed");
        }
        if let Some(beside) = beside {
            let _ = beside.await;
        }
        store.close().await;
    }
}

/// Opens the store that `config` names.
///
/// # Errors
/// See [`crate::store::open`].
pub async fn open_store(url: &str, config: &ServeConfig, clock: Clock) -> Result<Arc<dyn Store>, StoreError> {
    let prices = match &config.prices {
        Some(file) => Prices::read(file),
        None => Prices::built_in(),
    };
    let prices = prices.map_err(|error| StoreError::Other(error.into()))?;
    crate::store::open(url, config.store_options(), clock, Arc::new(prices)).await
}
