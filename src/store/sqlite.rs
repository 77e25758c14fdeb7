//! The embedded database: one file, one writer, many readers.
//!
//! Writes go through one thread with one connection ([`writer`]), which uses the driver's own C interface: asking a
//! pool to run each statement of a commit costs more than the statements. Reads go through a pool of read-only
//! connections beside it ([`readers`]), which see a commit as soon as it is acknowledged and never wait for one.

mod errors;
mod functions;
mod lock;
mod read;
mod readers;
mod stats;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::{NotCommitted, Order, Parts, Refusal, SpanQuery, SpanStats, Store, StoreError, Submission};
use crate::clock::Clock;
use crate::model::{CommentPublic, Id, Source, SpanType};
use crate::record::{ProjectRef, StoredSpan};
use errors::from_rusqlite;
use lock::Lock;
use readers::Readers;
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
    /// How long a query may take.
    pub read_time_max: Duration,
    /// Size beyond which the file does not grow; 0 for no limit.
    pub bytes_max: u64,
}

/// A SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Arc<Readers>,
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
        migrate(base.create_if_missing(true), options).await.map_err(|error| {
            StoreError::Other(format!("cannot open the database {}: {error}", path.display()).into())
        })?;
        let writer = Writer::start(path, options, clock)?;
        let readers = Arc::new(Readers::new(path, options));
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
        let workspace = workspace.to_owned();
        let read = move |connection: &Connection| {
            let Some(key) = read::span_key(connection, &workspace, id)? else { return Ok(None) };
            Ok(read::spans(connection, &[key], Parts::ALL, usize::MAX)?.0.pop())
        };
        self.readers.read(read).await
    }

    async fn project(&self, workspace: &str, project: &ProjectRef) -> Result<Option<i64>, StoreError> {
        let (workspace, project) = (workspace.to_owned(), project.clone());
        self.readers.read(move |connection| read::project(connection, &workspace, &project)).await
    }

    async fn find_spans(
        &self,
        query: SpanQuery,
        order: Order,
        limit: u64,
        offset: u64,
    ) -> Result<Vec<i64>, StoreError> {
        self.readers.read(move |connection| read::find_spans(connection, &query, &order, limit, offset)).await
    }

    async fn count_spans(&self, query: SpanQuery) -> Result<u64, StoreError> {
        self.readers.read(move |connection| read::count_spans(connection, &query)).await
    }

    async fn spans(
        &self,
        keys: Arc<[i64]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredSpan>, usize), StoreError> {
        self.readers.read(move |connection| read::spans(connection, &keys[from..], parts, bytes_max)).await
    }

    async fn span_stats(&self, query: SpanQuery) -> Result<SpanStats, StoreError> {
        let query = Arc::new(query);
        let parts = std::thread::available_parallelism().map_or(1, |cores| i64::try_from(cores.get()).unwrap_or(1));
        let asked = Arc::clone(&query);
        let plan = move |connection: &Connection| {
            let ranges = read::stats_ranges(connection, &asked, parts)?;
            Ok((ranges, read::stats_scores(connection, &asked)?))
        };
        let (ranges, scores) = self.readers.read(plan).await?;
        let parts: Vec<_> = if ranges.is_empty() { vec![None] } else { ranges.into_iter().map(Some).collect() };
        // Each part is of its own moment; every span is in one part, and counted once.
        let sums = futures_util::future::try_join_all(parts.into_iter().map(|range| {
            let query = Arc::clone(&query);
            self.readers.read(move |connection| read::stats_sums(connection, &query, range))
        }));
        let mut all = stats::Sums::default();
        for part in sums.await? {
            all.absorb(part);
        }
        for (name, mean) in scores {
            all.add_score(name, mean);
        }
        Ok(all.finish())
    }

    async fn spans_exist(&self, project: i64, source: Option<Source>) -> Result<bool, StoreError> {
        self.readers.read(move |connection| read::spans_exist(connection, project, source)).await
    }

    async fn score_names(&self, project: i64, span_type: Option<SpanType>) -> Result<Vec<String>, StoreError> {
        self.readers.read(move |connection| read::score_names(connection, project, span_type)).await
    }

    async fn comment(&self, workspace: &str, span_id: Id, id: Id) -> Result<Option<CommentPublic>, StoreError> {
        let workspace = workspace.to_owned();
        self.readers.read(move |connection| read::comment(connection, &workspace, span_id, id)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let read = |connection: &Connection| {
            connection.query_row("SELECT key FROM workspaces LIMIT 1", [], |_| Ok(())).map_err(from_rusqlite)
        };
        self.readers.read(read).await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.writer.check_writable().await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
