//! A database that many servers share, each with a few writers and readers.
//!
//! Nothing is kept on a connection between transactions but prepared statements, so that a pooler may stand between:
//! settings are made for a transaction, and so are locks.

mod address;
mod arrivals;
mod contents;
mod errors;
mod indices;
mod link;
mod migrate;
mod readers;
pub(super) mod text;
mod writer;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::sql::{Backend, SqlStore, Writer};
use super::upload::{ContentHash, ReceivedFile, Upload, from_io};
use super::{AttachmentFile, StoreError, StoreOptions, Upgrade};
use crate::clock::Clock;
use crate::cost::Prices;
pub(super) use address::Address;
use arrivals::Arrivals;
use contents::Rows;
use link::Link;
use readers::Readers;
use writer::ServerWork;

pub(super) use address::{is_address, shown};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// A database on a server.
#[derive(Debug)]
pub(super) struct Server {
    readers: Arc<Readers>,
    /// While some wait for the server, or for its disk, others work.
    writers: [Writer; 4],
    arrivals: Arrivals,
    /// What migrations left to be made while the server works.
    indices: AbortHandle,
    inline_bytes_max: u64,
}

/// Opens the database, making or migrating its tables as needed.
///
/// # Errors
/// When it cannot be reached or written, or was made by a later version.
pub(super) async fn open(
    url: &str,
    options: StoreOptions,
    clock: Clock,
    prices: Arc<Prices>,
) -> Result<SqlStore<Server>, StoreError> {
    let address = Address::parse(url)?;
    let upgrade = migrate::migrate(&address).await?;
    if upgrade.is_needed() && upgrade.from > 0 {
        tracing::info!("the database was migrated from schema {:04} to {:04}", upgrade.from, upgrade.to);
    }
    if upgrade.from > upgrade.to {
        tracing::info!("the database has schema {:04}, of a newer Spandrel; this one goes on with it", upgrade.from);
    }
    let indices = tokio::spawn(indices::finish(address.clone()));
    let writer = || Writer::start(ServerWork::new(address.clone(), options, clock.clone(), Arc::clone(&prices)));
    let writers = [writer()?, writer()?, writer()?, writer()?];
    let arrivals = Arrivals::new(address.clone());
    let readers = Arc::new(Readers::new(address, options));
    let indices = indices.abort_handle();
    Ok(SqlStore(Server { readers, writers, arrivals, indices, inline_bytes_max: options.inline_bytes_max }))
}

/// Makes or migrates the tables, as opening does.
///
/// # Errors
/// Those of [`open`].
pub(super) async fn migrate(url: &str) -> Result<Upgrade, StoreError> {
    migrate::migrate(&Address::parse(url)?).await
}

/// What migrating would do. Changes nothing.
///
/// # Errors
/// Those of [`open`].
pub(super) fn check(url: &str) -> Result<Upgrade, StoreError> {
    let address = Address::parse(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| StoreError::Other(error.into()))?.block_on(migrate::check(&address))
}

impl Backend for Server {
    type Connection = Link;
    type Contents = Rows;

    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Link) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        self.readers.read(query)
    }

    fn writer(&self) -> &Writer {
        &self.writers[0]
    }

    fn committers(&self) -> &[Writer] {
        &self.writers
    }

    fn contents(&self) -> Rows {
        Rows
    }

    fn inline_bytes_max(&self) -> u64 {
        self.inline_bytes_max
    }

    async fn upload(&self) -> Result<Upload, StoreError> {
        let upload = tokio::task::spawn_blocking(|| Upload::begin(&std::env::temp_dir(), false)).await;
        upload.map_err(|error| StoreError::Other(error.into()))?.map_err(|error| from_io(&error))
    }

    async fn received(&self, file: ReceivedFile) -> Result<ReceivedFile, StoreError> {
        self.arrivals.take(file).await
    }

    async fn file(&self, content: ContentHash) -> Result<Option<AttachmentFile>, StoreError> {
        self.readers.read(move |link| contents::file(link, &content)).await
    }

    async fn close(&self) {
        self.indices.abort();
        self.readers.close().await;
    }
}
