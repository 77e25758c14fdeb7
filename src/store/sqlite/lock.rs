//! One server to a file.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Held as long as a server uses a database file; the operating system lets go of it when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock that stands beside the database.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database);
        let failed = |error: &dyn std::fmt::Display| StoreError::Other(format!("{}: {error}", path.display()).into());
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| failed(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(failed(&"another spandrel serves this database (it holds the lock)"))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
        }
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut name: OsString = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
