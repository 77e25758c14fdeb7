//! One program to a file.

use std::fs::File;
use std::path::Path;

use super::beside;
use crate::store::StoreError;

/// Held as long as a program serves or migrates a database file; the operating system lets go of it when the process
/// ends.
#[derive(Debug)]
pub(in crate::store) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock that stands beside the database.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, ".lock");
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Other(format!("cannot lock the database, {}: {error}", path.display()).into())
        };
        let file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| failed(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(failed(&"another spandrel uses this database (it holds the lock)"))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
        }
    }
}
