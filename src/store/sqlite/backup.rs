//! A copy of the file as it is before it is migrated.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempPath;

use super::{BUSY, beside};
use crate::store::StoreError;

/// A whole copy, which goes when this is dropped, unless it is kept.
pub(super) struct Backup {
    partial: TempPath,
    name: PathBuf,
}

impl Backup {
    /// Copies the database, which is about to get this migration.
    pub(super) fn make(database: &Path, migration: i64) -> Result<Self, StoreError> {
        let name = beside(database, &format!(".before-{migration:04}"));
        let partial = beside(&name, ".partial");
        let bytes = std::fs::metadata(database).map_or(0, |metadata| metadata.len());
        tracing::info!("copying the database, {bytes} bytes, before migration {migration:04}");
        let partial = copy(database, &partial).map_err(|error| {
            let (database, partial) = (database.display(), partial.display());
            let text = format!(
                "cannot copy the database {database} to {partial} before migrating it: {error}. \
                 The copy takes as much room as the database, {bytes} bytes; --no-backup migrates without one"
            );
            StoreError::Other(text.into())
        })?;
        Ok(Self { partial, name })
    }

    /// Gives the copy its lasting name, with a number if there is such a copy already.
    pub(super) fn keep(self) -> PathBuf {
        let Self { mut partial, name } = self;
        let mut kept = name.clone();
        for number in 2.. {
            match partial.persist_noclobber(&kept) {
                Ok(()) => break,
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                    partial = error.path;
                    kept = beside(&name, &format!(".{number}"));
                }
                Err(mut error) => {
                    tracing::warn!("the copy cannot be named {}: {}", kept.display(), error.error);
                    error.path.disable_cleanup(true);
                    return error.path.to_path_buf();
                }
            }
        }
        kept
    }
}

/// Copies the database as of one moment, over what was left of a copy that was not finished.
pub(super) fn copy(database: &Path, partial: &Path) -> Result<TempPath, Box<dyn std::error::Error>> {
    // One that is there was left by a program that was killed.
    match std::fs::remove_file(partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    // Nobody may read the copy who may not read the database.
    let file = File::options().write(true).create_new(true).mode(0o600).open(partial)?;
    let copied = TempPath::try_from_path(partial)?;
    file.set_permissions(std::fs::metadata(database)?.permissions())?;

    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(database, flags)?;
    from.busy_timeout(BUSY)?;
    let mut to = Connection::open_with_flags(partial, flags)?;
    // Half a copy is removed: it needs no journal.
    to.pragma_update(None, "journal_mode", "OFF")?;
    match rusqlite::backup::Backup::new(&from, &mut to)?.step(-1)? {
        StepResult::Done => {}
        other => return Err(format!("another program holds the database ({other:?})").into()),
    }
    to.close().map_err(|(_, error)| error)?;
    // The name, too, is to survive a power cut.
    if let Some(folder) = partial.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(copied)
}
