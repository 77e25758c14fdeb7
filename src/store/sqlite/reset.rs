//! Emptying the file, however much is in it: what an empty database has is written over it in one transaction.
//!
//! That costs what an empty database costs to write, some dozens of pages; the pages of what was there are neither read
//! nor written. Readers see it as any other commit. The file gets short when the journal is put into it, beside the
//! commits that follow.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use tokio::runtime::Handle;

use super::errors::from_rusqlite;
use super::{PAGE_BYTES, migrate};
use crate::store::StoreError;
use crate::store::upload::from_io;

/// An empty database with the newest schema, in memory.
#[derive(Debug)]
pub(super) struct Blank(Connection);

impl Blank {
    /// Makes one; a place for it to be made is the folder of `database`.
    pub(super) fn make(database: &Path, runtime: &Handle) -> Result<Self, StoreError> {
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = tempfile::tempdir_in(folder).map_err(|error| from_io(&error))?;
        let file = folder.path().join("blank.db");
        runtime.block_on(migrate::migrate(&file, false, false))?;
        read(&file).map_err(from_rusqlite)
    }

    /// Makes the database of a connection that writes the same as this one.
    pub(super) fn write_over(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        copy(&self.0, connection)
    }
}

/// Takes a file into memory.
fn read(file: &Path) -> rusqlite::Result<Blank> {
    let from = Connection::open(file)?;
    // What is in memory has no journal.
    from.pragma_update(None, "journal_mode", "DELETE")?;
    let mut blank = Connection::open_in_memory()?;
    blank.pragma_update(None, "page_size", PAGE_BYTES)?;
    copy(&from, &mut blank)?;
    Ok(Blank(blank))
}

fn copy(from: &Connection, to: &mut Connection) -> rusqlite::Result<()> {
    match Backup::new(from, to)?.step(-1)? {
        StepResult::Done => Ok(()),
        // Who holds the database was waited for.
        _ => Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)),
    }
}
