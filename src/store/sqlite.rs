//! The embedded database: one file, one writer, many readers.
//!
//! Writes go through one thread with one connection ([`writer`]), which uses the driver's own C interface: asking a
//! pool to run each statement of a commit costs more than the statements. Reads go through a pool of read-only
//! connections beside it ([`readers`]), which see a commit as soon as it is acknowledged and never wait for one.

mod attachments;
mod backup;
mod checkpoint;
mod effects;
mod errors;
mod files;
mod functions;
mod load;
mod lock;
mod lookups;
mod manage;
mod migrate;
mod purge;
mod read;
mod readers;
mod save;
mod series;
mod stats;
mod workspaces;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use super::upload::{Upload, from_io};
use super::{
    Amount, AttachmentQuery, Caller, DefinitionQuery, Kind, Manage, ManageRefusal, NotCommitted, Order, ProjectQuery,
    Query, Refusal, Series, SeriesQuery, Stats, Store, StoreError, StoredAttachment, Submission, TraceDay, Upgrade,
};
use crate::clock::Clock;
use crate::cost::Prices;
use crate::model::{
    CommentPublic, EnvironmentPublic, FeedbackPublic, Id, ProjectPublic, Source, SpanType, WorkspaceConfiguration,
};
use crate::record::{Entity, Parts, ProjectRef, StoredSpan, StoredThread, StoredTrace, Target};
use errors::from_rusqlite;
use files::Files;
use lock::Lock;
use readers::Readers;
use writer::Writer;

pub use checkpoint::Checkpoints;
pub use writer::connect;

/// Chosen when a file is made and never changed: a span of 2 KB with its neighbours fits a page.
const PAGE_BYTES: u32 = 8_192;

/// How long to wait for another program that holds the file, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// How the file is used.
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// Whether a commit is on disk when it is acknowledged. Off only for data that nobody will miss.
    pub durable: bool,
    /// Whether a copy of the file is kept before it is migrated.
    pub backup: bool,
    /// Connections that read.
    pub readers: u32,
    /// How long a query may take.
    pub read_time_max: Duration,
    /// Size beyond which the file does not grow; 0 for no limit.
    pub bytes_max: u64,
    /// Size of the journal from which writes wait for it to be put into the file.
    pub journal_bytes_max: u64,
    /// Bytes of attachments that are put where the payloads of one span or trace refer to them.
    pub inline_bytes_max: u64,
    /// Environments of a workspace beyond which spans and traces make no further ones.
    pub environments_max: usize,
}

/// A SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    readers: Arc<Readers>,
    writer: Writer,
    files: Arc<Files>,
    inline_bytes_max: u64,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the file, making or migrating it as needed.
    ///
    /// # Errors
    /// When another server uses the file, when it cannot be made or written, or when it was made by a later version.
    pub async fn open(
        path: &Path,
        options: SqliteOptions,
        clock: Clock,
        prices: Arc<Prices>,
    ) -> Result<Self, StoreError> {
        let (path, lock) = take(path)?;
        let upgrade = migrate::migrate(&path, options.durable, options.backup).await?;
        if upgrade.is_needed() && upgrade.from > 0 {
            tracing::info!("the database was migrated from schema {:04} to {:04}", upgrade.from, upgrade.to);
        }
        let files = Arc::new(Files::of(&path, options.durable).map_err(|error| from_io(&error))?);
        let writer = Writer::start(&path, Arc::clone(&files), options, clock, prices)?;
        let readers = Arc::new(Readers::new(&path, options));
        Ok(Self { readers, writer, files, inline_bytes_max: options.inline_bytes_max, _lock: lock })
    }

    /// What reading puts in the place of references, as far as that is wanted.
    fn inlining(&self) -> read::Inlining {
        read::Inlining { files: Arc::clone(&self.files), bytes_max: self.inline_bytes_max }
    }
}

/// Makes or migrates the file, as opening it does.
///
/// # Errors
/// Those of [`SqliteStore::open`].
pub(super) async fn migrate(path: &Path, backup: bool) -> Result<Upgrade, StoreError> {
    let (path, _lock) = take(path)?;
    migrate::migrate(&path, true, backup).await
}

/// What migrating the file would do. Changes nothing, and works beside a server.
///
/// # Errors
/// When the file cannot be read, is no database of Spandrel's, or was made by a later version.
pub(super) fn check(path: &Path) -> Result<Upgrade, StoreError> {
    migrate::check(&real(path))
}

/// Makes the file this program's, and its folder if there is none.
fn take(path: &Path) -> Result<(PathBuf, Lock), StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| {
            StoreError::Other(format!("cannot make the folder {}: {error}", folder.display()).into())
        })?;
    }
    let path = real(path);
    let lock = Lock::take(&path)?;
    writable(&path)?;
    Ok((path, lock))
}

/// SQLite opens a file that it may only read, and one beside which it can have no journal: everything but writing would
/// seem to be well.
fn writable(path: &Path) -> Result<(), StoreError> {
    let refused = |what: &Path, error: &io::Error| {
        let (path, what) = (path.display(), what.display());
        StoreError::Other(format!("cannot write the database {path}: {what}: {error}").into())
    };
    match File::options().append(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(path, &error)),
        _ => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(folder).map(drop).map_err(|error| refused(folder, &error))
}

/// Whatever name it goes by, it is one file with one lock and one journal.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The file beside the database that has its name and this ending.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// In how many parts what is summed up is read side by side.
fn parts() -> i64 {
    std::thread::available_parallelism().map_or(1, |cores| i64::try_from(cores.get()).unwrap_or(1))
}

/// Reads ranges of keys side by side; everything at once if there are none. Each part is of its own moment; every row is
/// in one part, and counted once.
async fn in_parts<T, F: Future<Output = Result<T, StoreError>>>(
    ranges: Vec<(i64, i64)>,
    read: impl Fn(Option<(i64, i64)>) -> F,
) -> Result<Vec<T>, StoreError> {
    if ranges.is_empty() {
        return Ok(vec![read(None).await?]);
    }
    futures_util::future::try_join_all(ranges.into_iter().map(|range| read(Some(range)))).await
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<(), Refusal>>, NotCommitted> {
        self.writer.commit(submissions).await
    }

    async fn upload(&self) -> Result<Upload, StoreError> {
        let files = Arc::clone(&self.files);
        let upload = tokio::task::spawn_blocking(move || files.upload()).await;
        upload.map_err(|error| StoreError::Other(error.into()))?.map_err(|error| from_io(&error))
    }

    async fn attachments(&self, query: AttachmentQuery) -> Result<(Vec<StoredAttachment>, u64), StoreError> {
        self.readers.read(move |connection| attachments::list(connection, &query)).await
    }

    async fn attachment_file(
        &self,
        workspace: &str,
        project: Id,
        target: Target,
        name: &str,
    ) -> Result<Option<PathBuf>, StoreError> {
        let (workspace, name) = (workspace.to_owned(), name.to_owned());
        let read = move |connection: &Connection| attachments::content(connection, &workspace, project, target, &name);
        Ok(self.readers.read(read).await?.map(|content| self.files.path(&content)))
    }

    async fn span(&self, workspace: &str, id: Id, parts: Parts) -> Result<Option<StoredSpan>, StoreError> {
        let (workspace, inlining) = (workspace.to_owned(), self.inlining());
        let read = move |connection: &Connection| {
            let Some(key) = read::key(connection, Kind::Spans, &workspace, id)? else { return Ok(None) };
            Ok(read::spans(connection, &inlining, &[key], parts, usize::MAX)?.0.pop())
        };
        self.readers.read(read).await
    }

    async fn project(&self, workspace: &str, project: &ProjectRef) -> Result<Option<i64>, StoreError> {
        let (workspace, project) = (workspace.to_owned(), project.clone());
        self.readers.read(move |connection| read::project(connection, &workspace, &project)).await
    }

    async fn find(&self, query: Query, order: Order, limit: u64, offset: u64) -> Result<Vec<i64>, StoreError> {
        self.readers.read(move |connection| read::find(connection, &query, &order, limit, offset)).await
    }

    async fn count(&self, query: Query) -> Result<u64, StoreError> {
        self.readers.read(move |connection| read::count(connection, &query)).await
    }

    async fn spans(
        &self,
        keys: Arc<[i64]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredSpan>, usize), StoreError> {
        let inlining = self.inlining();
        self.readers.read(move |connection| read::spans(connection, &inlining, &keys[from..], parts, bytes_max)).await
    }

    async fn trace(&self, workspace: &str, id: Id, parts: Parts) -> Result<Option<StoredTrace>, StoreError> {
        let (workspace, inlining) = (workspace.to_owned(), self.inlining());
        let read = move |connection: &Connection| {
            let Some(key) = read::key(connection, Kind::Traces, &workspace, id)? else { return Ok(None) };
            Ok(read::traces(connection, &inlining, &[key], parts, usize::MAX)?.0.pop())
        };
        self.readers.read(read).await
    }

    async fn traces(
        &self,
        keys: Arc<[i64]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredTrace>, usize), StoreError> {
        let inlining = self.inlining();
        self.readers.read(move |connection| read::traces(connection, &inlining, &keys[from..], parts, bytes_max)).await
    }

    async fn threads(
        &self,
        query: Query,
        keys: Arc<[i64]>,
        from: usize,
        bytes_max: usize,
    ) -> Result<(Vec<StoredThread>, usize), StoreError> {
        self.readers.read(move |connection| read::threads(connection, &query, &keys[from..], bytes_max)).await
    }

    async fn thread_id(&self, project: i64, text: &str) -> Result<Option<Id>, StoreError> {
        let text = text.to_owned();
        self.readers.read(move |connection| read::thread_id(connection, project, &text)).await
    }

    async fn thread_score_names(&self, workspace: &str, project: Option<Id>) -> Result<Vec<String>, StoreError> {
        let workspace = workspace.to_owned();
        let read = move |connection: &Connection| {
            lookups::score_names_of(connection, &workspace, Entity::Thread, project.as_ref().map(std::slice::from_ref))
        };
        self.readers.read(read).await
    }

    async fn stats(&self, query: Query) -> Result<Stats, StoreError> {
        let query = Arc::new(query);
        let parts = parts();
        let asked = Arc::clone(&query);
        let plan = move |connection: &Connection| {
            let ranges = read::stats_ranges(connection, &asked, parts)?;
            let mut all = stats::Sums::default();
            all.add_scores(read::stats_scores(connection, &asked)?);
            if asked.of == Kind::Traces {
                all.add_span_scores(read::stats_span_scores(connection, &asked)?);
                all.set_threads(read::stats_threads(connection, &asked)?);
            }
            Ok((ranges, all))
        };
        let (ranges, mut all) = self.readers.read(plan).await?;
        for part in in_parts(ranges, |range| {
            let query = Arc::clone(&query);
            self.readers.read(move |connection| read::stats_sums(connection, &query, range))
        })
        .await?
        {
            all.absorb(part);
        }
        Ok(all.finish())
    }

    async fn series(&self, asked: SeriesQuery) -> Result<Series, StoreError> {
        let asked = Arc::new(asked);
        let query = Arc::clone(&asked);
        if matches!(asked.amount, Amount::Score(_)) {
            let groups = self.readers.read(move |connection| series::scores(connection, &query)).await?;
            return Ok(groups.finish(&asked.amount));
        }
        let parts = parts();
        let ranges = self.readers.read(move |connection| read::stats_ranges(connection, &query.query, parts)).await?;
        let mut all = series::Groups::default();
        for part in in_parts(ranges, |range| {
            let asked = Arc::clone(&asked);
            self.readers.read(move |connection| series::rows(connection, &asked, range))
        })
        .await?
        {
            all.absorb(part);
        }
        Ok(all.finish(&asked.amount))
    }

    async fn exists(&self, of: Kind, project: i64, source: Option<Source>, threads: bool) -> Result<bool, StoreError> {
        self.readers.read(move |connection| read::exists(connection, of, project, source, threads)).await
    }

    async fn score_names(
        &self,
        of: Kind,
        project: i64,
        span_type: Option<SpanType>,
    ) -> Result<Vec<String>, StoreError> {
        self.readers.read(move |connection| read::score_names(connection, of, project, span_type)).await
    }

    async fn project_score_names(&self, workspace: &str, projects: Option<Vec<Id>>) -> Result<Vec<String>, StoreError> {
        let workspace = workspace.to_owned();
        let read =
            move |connection: &Connection| lookups::project_score_names(connection, &workspace, projects.as_deref());
        self.readers.read(read).await
    }

    async fn comment(&self, workspace: &str, target: Target, id: Id) -> Result<Option<CommentPublic>, StoreError> {
        let workspace = workspace.to_owned();
        self.readers.read(move |connection| read::comment(connection, &workspace, target, id)).await
    }

    async fn manage(&self, caller: Caller, change: Manage) -> Result<Result<(), ManageRefusal>, StoreError> {
        self.writer.manage(caller, change).await
    }

    async fn project_public(&self, workspace: &str, project: &ProjectRef) -> Result<Option<ProjectPublic>, StoreError> {
        let (workspace, project) = (workspace.to_owned(), project.clone());
        self.readers.read(move |connection| lookups::project(connection, &workspace, &project)).await
    }

    async fn projects(&self, query: ProjectQuery) -> Result<(Vec<ProjectPublic>, u64), StoreError> {
        self.readers.read(move |connection| lookups::projects(connection, &query)).await
    }

    async fn project_of_trace(&self, workspace: &str, trace_id: Id) -> Result<Option<Id>, StoreError> {
        let workspace = workspace.to_owned();
        self.readers.read(move |connection| lookups::project_of_trace(connection, &workspace, trace_id)).await
    }

    async fn trace_days(&self, project: i64, limit: u64, offset: u64) -> Result<(Vec<TraceDay>, u64), StoreError> {
        self.readers.read(move |connection| lookups::trace_days(connection, project, limit, offset)).await
    }

    async fn environments(&self, workspace: &str, id: Option<Id>) -> Result<Vec<EnvironmentPublic>, StoreError> {
        let workspace = workspace.to_owned();
        self.readers.read(move |connection| lookups::environments(connection, &workspace, id)).await
    }

    async fn definition(&self, workspace: &str, id: Id) -> Result<Option<FeedbackPublic>, StoreError> {
        let workspace = workspace.to_owned();
        self.readers.read(move |connection| lookups::definition(connection, &workspace, id)).await
    }

    async fn definitions(&self, query: DefinitionQuery) -> Result<(Vec<FeedbackPublic>, u64), StoreError> {
        self.readers.read(move |connection| lookups::definitions(connection, &query)).await
    }

    async fn configuration(&self, workspace: &str) -> Result<Option<WorkspaceConfiguration>, StoreError> {
        let workspace = workspace.to_owned();
        self.readers.read(move |connection| lookups::configuration(connection, &workspace)).await
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
