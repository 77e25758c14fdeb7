//! The embedded database: one file, one writer, many readers.
//!
//! Writes go through one thread with one connection ([`writer`]), which uses the driver's own C interface: asking a
//! pool to run each statement of a commit costs more than the statements. Reads go through a pool of read-only
//! connections beside it ([`readers`]), which see a commit as soon as it is acknowledged and never wait for one.

mod backup;
mod checkpoint;
mod connection;
mod errors;
mod files;
mod functions;
mod lock;
mod migrate;
mod online;
mod readers;
mod reset;
mod sweep;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::sql::{Backend, SqlStore, Writer};
use super::upload::{ContentHash, ReceivedFile, Upload, from_io};
use super::{AttachmentFile, Copied, StoreError, StoreOptions, Upgrade};
use crate::clock::Clock;
use crate::cost::Prices;
use files::Files;
pub(super) use lock::Lock;
use readers::Readers;
use writer::FileWork;

pub use checkpoint::Checkpoints;
pub use writer::connect;

/// How much the threads that write give way. Chosen: a read is short beside a commit, and few wait for its answer.
const WRITES_NICE: i32 = 5;

/// Chosen when a file is made and never changed: a span of 2 KB with its neighbours fits a page.
const PAGE_BYTES: u32 = 8_192;

/// How long to wait for another program that holds the file, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// A SQLite file.
#[derive(Debug)]
pub(super) struct SqliteFile {
    readers: Arc<Readers>,
    writer: Writer,
    files: Arc<Files>,
    inline_bytes_max: u64,
    _lock: Lock,
}

/// Opens the file, making or migrating it as needed.
///
/// # Errors
/// When another server uses the file, when it cannot be made or written, or when it was made by a later version.
pub(super) async fn open(
    path: &Path,
    options: StoreOptions,
    clock: Clock,
    prices: Arc<Prices>,
) -> Result<SqlStore<SqliteFile>, StoreError> {
    let (path, lock) = take(path)?;
    let upgrade = migrate::migrate(&path, options.durable, options.backup).await?;
    if upgrade.is_needed() && upgrade.from > 0 {
        tracing::info!("the database was migrated from schema {:04} to {:04}", upgrade.from, upgrade.to);
    }
    let files = Arc::new(Files::of(&path, options.durable).map_err(|error| from_io(&error))?);
    let writer = Writer::start(FileWork::on(&path, Arc::clone(&files), options, clock, prices)?)?;
    let readers = Arc::new(Readers::new(&path, options));
    Ok(SqlStore(SqliteFile { readers, writer, files, inline_bytes_max: options.inline_bytes_max, _lock: lock }))
}

impl Backend for SqliteFile {
    type Connection = Connection;
    type Contents = Arc<Files>;

    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        self.readers.read(query)
    }

    fn writer(&self) -> &Writer {
        &self.writer
    }

    fn contents(&self) -> Arc<Files> {
        Arc::clone(&self.files)
    }

    fn inline_bytes_max(&self) -> u64 {
        self.inline_bytes_max
    }

    async fn upload(&self) -> Result<Upload, StoreError> {
        let files = Arc::clone(&self.files);
        let upload = tokio::task::spawn_blocking(move || files.upload()).await;
        upload.map_err(|error| StoreError::Other(error.into()))?.map_err(|error| from_io(&error))
    }

    /// A commit only gives it another name.
    async fn received(&self, file: ReceivedFile) -> Result<ReceivedFile, StoreError> {
        Ok(file)
    }

    async fn file(&self, content: ContentHash) -> Result<Option<AttachmentFile>, StoreError> {
        Ok(Some(AttachmentFile::kept(self.files.path(&content))))
    }

    async fn close(&self) {
        self.readers.close().await;
    }
}

/// Makes or migrates the file, as opening it does.
///
/// # Errors
/// Those of [`open`].
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

/// Copies the file, and the content of attachments, to a name that is not taken. Works beside a server.
///
/// # Errors
/// When the name is taken, the copy cannot be made, or it is not sound.
pub(super) fn back_up(path: &Path, name: &Path) -> Result<Copied, StoreError> {
    migrate::check(&real(path))?;
    online::back_up(&real(path), name)
}

/// Makes the file this program's, and its folder if there is none.
pub(super) fn take(path: &Path) -> Result<(PathBuf, Lock), StoreError> {
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
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
