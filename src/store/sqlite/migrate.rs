//! The schema: which one a file has, and how it gets to the one that this program needs.
//!
//! A file is looked at before it is opened for writing: one that this program cannot use stays as it is.

use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use sqlx::ConnectOptions as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use super::backup::Backup;
use super::{BUSY, PAGE_BYTES, beside};
use crate::store::{StoreError, Upgrade};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/sqlite");

/// Brings the file to the newest schema; makes the file if there is none. With `backup`, a copy of what it has is kept
/// beside it.
pub(super) async fn migrate(path: &Path, durable: bool, backup: bool) -> Result<Upgrade, StoreError> {
    let upgrade = check(path)?;
    let Some(first) = pending(upgrade.from).next() else { return Ok(upgrade) };
    let backup = if backup && upgrade.from > 0 { Some(Backup::make(path, first)?) } else { None };
    let mut connection = connect(path, durable).await.map_err(|error| failed(path, error))?;
    let applied = apply(&mut connection, path, upgrade.from, backup).await;
    // Closed in any case, so that no journal is left.
    let closed = sqlx::Connection::close(connection).await;
    applied?;
    closed.map_err(|error| failed(path, error))?;
    Ok(upgrade)
}

/// What migrating the file would do. Neither changes nor makes any file.
pub(super) fn check(path: &Path) -> Result<Upgrade, StoreError> {
    let applied = applied(path).map_err(|error| failed(path, error))?;
    let from = applied.last().map_or(0, |(version, _)| *version);
    let to = MIGRATIONS.iter().last().map_or(0, |migration| migration.version);
    if from > to {
        let version = env!("CARGO_PKG_VERSION");
        let reason = format!(
            "it has schema {from:04}, made by a newer Spandrel; this one, {version}, knows schemas up to {to:04}. \
             Use the newer one, or go back to a copy from before that schema. Nothing was changed"
        );
        return Err(failed(path, reason));
    }
    let expected = MIGRATIONS.iter().map(|migration| (migration.version, &*migration.checksum));
    for ((version, checksum), expected) in applied.iter().zip(expected) {
        if (*version, &**checksum) != expected {
            let reason = format!(
                "its migration {version:04} is not the one that this program has: it was made by another variant of \
                 Spandrel, or a migration was edited after its release. Nothing was changed"
            );
            return Err(failed(path, reason));
        }
    }
    Ok(Upgrade { from, to })
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

fn failed(path: &Path, reason: impl Into<Trouble>) -> StoreError {
    StoreError::Other(format!("cannot open the database {}: {}", path.display(), reason.into()).into())
}

/// Numbers and checksums of the migrations that the file has had, in order.
fn applied(path: &Path) -> Result<Vec<(i64, Vec<u8>)>, Trouble> {
    if !has_content(path)? {
        return Ok(Vec::new());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address(path)?, flags)?;
    connection.busy_timeout(BUSY)?;
    // A journal that a killed server left stays a journal.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if !connection.table_exists(None, "_sqlx_migrations")? {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return if tables == 0 { Ok(Vec::new()) } else { Err("it is a database of another program".into()) };
    }
    let mut applied = connection.prepare("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")?;
    let applied = applied.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    Ok(applied)
}

fn has_content(path: &Path) -> std::io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The file's name for SQLite, with how to read it: merely opening a file would make a journal and an index of it.
pub(super) fn address(path: &Path) -> std::io::Result<String> {
    let how = match (has_content(&beside(path, "-wal"))?, beside(path, "-shm").exists()) {
        // All that there is stands in the file.
        (false, _) => "mode=ro&immutable=1",
        // A server may be running.
        (true, true) => "mode=ro&readonly_shm=1",
        // None is: the index can be in this program's memory. SQLite does so only if it might write.
        (true, false) => "mode=rw&vfs=unix-excl",
    };
    let path = percent_encode(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()), NON_ALPHANUMERIC);
    Ok(format!("file:{path}?{how}"))
}

async fn connect(path: &Path, durable: bool) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .disable_statement_logging()
        .page_size(PAGE_BYTES)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if durable { SqliteSynchronous::Full } else { SqliteSynchronous::Off })
        .connect()
        .await
}

/// Numbers of the migrations that a file with this schema lacks.
fn pending(schema: i64) -> impl Iterator<Item = i64> {
    MIGRATIONS.iter().map(|migration| migration.version).filter(move |version| *version > schema)
}

/// Applies what the file lacks, each migration in a transaction of its own.
async fn apply(
    connection: &mut SqliteConnection,
    path: &Path,
    mut schema: i64,
    mut backup: Option<Backup>,
) -> Result<(), StoreError> {
    for next in pending(schema) {
        MIGRATIONS.run_to(next, &mut *connection).await.map_err(|error| {
            let stays = if schema > 0 { format!("has schema {schema:04}") } else { "is empty".to_owned() };
            let path = path.display();
            let text = format!("cannot migrate the database {path} to schema {next:04}: {error}. It still {stays}");
            StoreError::Other(text.into())
        })?;
        schema = next;
        // Only now is it of use: a migration that fails again and again leaves no copies behind.
        if let Some(backup) = backup.take() {
            tracing::info!("the database as it was before migration {next:04} is kept as {}", backup.keep().display());
        }
    }
    Ok(())
}
