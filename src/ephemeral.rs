//! A temporary home for data that nobody will miss.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const PREFIX: &str = "spandrel-ephemeral-";

/// A folder that is removed when this is dropped; if the process dies before that, by the next server that makes one.
#[derive(Debug)]
pub struct Ephemeral {
    folder: TempDir,
    _lock: File,
}

impl Ephemeral {
    /// Makes a folder, and removes those whose owners are gone.
    ///
    /// # Errors
    /// When the system's folder for temporary files cannot be written.
    pub fn new() -> io::Result<Self> {
        sweep(&std::env::temp_dir());
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        // Locked before it has the name that others look for: there is no moment in which it seems to be nobody's.
        let unnamed = folder.path().join("owner.new");
        let lock = File::create(&unnamed)?;
        lock.lock()?;
        std::fs::rename(unnamed, lock_in(folder.path()))?;
        Ok(Self { folder, _lock: lock })
    }

    /// The database's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.folder.path().join("spandrel.db").display())
    }
}

fn lock_in(folder: &Path) -> PathBuf {
    folder.join("owner")
}

/// Removes the folders that no living process holds. Trouble with one is its next visitor's.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // A folder without the file is just being made.
        let Ok(lock) = File::options().write(true).open(lock_in(&entry.path())) else { continue };
        if lock.try_lock().is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
