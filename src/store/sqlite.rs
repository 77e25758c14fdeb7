//! The embedded database: one file, one writer, many readers.
//!
//! Writes go through one thread with one connection ([`writer`]), which uses the driver's own C interface: asking a
//! pool to run each statement of a commit costs more than the statements. Reads go through a pool of read-only
//! connections beside it, which see a commit as soon as it is acknowledged and never wait for one.

mod errors;
mod lock;
mod read;
mod writer;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::{NotCommitted, Refusal, Store, StoreError, Submission};
use crate::clock::Clock;
use crate::model::Id;
use crate::record::StoredSpan;
use errors::from_sqlx;
use lock::Lock;
use writer::Writer;

/// Chosen when a file is made and never changed: a span of 2 KB with its neighbours fits a page.
const PAGE_BYTES: u32 = 8_192;

/// How long to wait for another program that holds the file, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// How the file is used.
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// Whether a commit is on disk when it is acknowledged. Off only for data that nobody will miss.
    pub durable: bool,
    /// Connections that read.
    pub readers: u32,
    /// Size beyond which the file does not grow; 0 for no limit.
    pub bytes_max: u64,
}

/// A SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the file, making or migrating it as needed.
    ///
    /// # Errors
    /// When another server uses the file, when it cannot be made or written, or when it was made by a later version.
    pub async fn open(path: &Path, options: SqliteOptions, clock: Clock) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| {
                StoreError::Other(format!("cannot make the folder {}: {error}", folder.display()).into())
            })?;
        }
        let lock = Lock::take(path)?;
        let base = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .disable_statement_logging();
        migrate(base.clone().create_if_missing(true), options).await.map_err(|error| {
            StoreError::Other(format!("cannot open the database {}: {error}", path.display()).into())
        })?;
        let writer = Writer::start(path, options, clock)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(base.read_only(true));
        Ok(Self { readers, writer, _lock: lock })
    }
}

async fn migrate(options: SqliteConnectOptions, with: SqliteOptions) -> Result<(), sqlx::Error> {
    let synchronous = if with.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off };
    let mut connection = options
        .page_size(PAGE_BYTES)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .connect()
        .await?;
    sqlx::migrate!("src/store/migrations/sqlite").run(&mut connection).await?;
    sqlx::Connection::close(connection).await
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<(), Refusal>>, NotCommitted> {
        self.writer.commit(submissions).await
    }

    async fn span(&self, workspace: &str, id: Id) -> Result<Option<StoredSpan>, StoreError> {
        read::span(&self.readers, workspace, id).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT key FROM workspaces LIMIT 1").execute(&self.readers).await.map_err(from_sqlx)?;
        Ok(())
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.writer.check_writable().await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
