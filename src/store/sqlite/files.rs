//! The folder beside the database: the content of attachments, each under its SHA-256.
//!
//! Only the writing thread gives files their names and removes them, between its transactions: a file is there before
//! the row that refers to it is committed, and goes after the last such row did. What a killed server left without a row
//! is removed by the next.

use std::fs::{File, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::beside;
use crate::store::StoreError;
use crate::store::sql::Contents;
use crate::store::upload::{ContentHash, ReceivedFile, Upload, from_io};

/// Where the files of a database are.
#[derive(Debug)]
pub(in crate::store) struct Files {
    folder: PathBuf,
    /// What is not whole yet.
    partial: PathBuf,
    durable: bool,
}

/// Names that were given for a commit. They are taken back unless it comes about.
#[derive(Debug, Default)]
pub(super) struct Named(Vec<(PathBuf, PathBuf)>);

impl Files {
    /// Those of this database; what was not received whole is removed.
    pub(super) fn of(database: &Path, durable: bool) -> io::Result<Self> {
        let folder = beside(database, "-files");
        let partial = folder.join("partial");
        match std::fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { folder, partial, durable })
    }

    /// Begins to receive a file.
    pub(super) fn upload(&self) -> io::Result<Upload> {
        if !self.partial.is_dir() {
            std::fs::create_dir_all(&self.partial)?;
            self.sync(&self.folder)?;
            self.sync(self.folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        }
        Upload::begin(&self.partial, self.durable)
    }

    /// Where a content is.
    pub(super) fn path(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(hash.to_string())
    }

    /// Puts what was received where it is looked for.
    pub(super) fn name<'a>(&self, received: impl Iterator<Item = &'a ReceivedFile>) -> io::Result<Named> {
        let (mut named, mut any) = (Named::default(), false);
        for ReceivedFile { path, hash, bytes } in received {
            any = true;
            let kept = self.path(hash);
            if std::fs::metadata(&kept).is_ok_and(|there| there.len() == *bytes) {
                continue;
            }
            std::fs::rename(path, &kept)?;
            named.0.push((path.to_path_buf(), kept));
        }
        if any {
            self.sync(&self.folder)?;
        }
        Ok(named)
    }

    fn sync(&self, folder: &Path) -> io::Result<()> {
        if self.durable { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    /// Removes a content that nothing refers to.
    pub(super) fn remove(&self, hash: &ContentHash) -> io::Result<()> {
        match std::fs::remove_file(self.path(hash)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All that there is.
    pub(super) fn list(&self) -> io::Result<Option<ReadDir>> {
        match std::fs::read_dir(&self.folder) {
            Ok(entries) => Ok(Some(entries)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Contents<Connection> for Arc<Files> {
    fn read(&self, _: &Connection, content: &ContentHash, into: &mut dyn io::Write) -> Result<(), StoreError> {
        let copied = File::open(self.path(content)).and_then(|mut file| io::copy(&mut file, into));
        copied.map(drop).map_err(|error| StoreError::Other(error.into()))
    }

    /// There is one writer.
    fn hold(&self, _: &Connection, _: &[ContentHash]) -> Result<(), StoreError> {
        Ok(())
    }

    fn remove(&self, _: &Connection, contents: &[ContentHash]) -> Result<(), StoreError> {
        contents.iter().try_for_each(|content| Files::remove(self, content)).map_err(|error| from_io(&error))
    }
}

impl Named {
    /// The commit came about.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        for (received, kept) in self.0.drain(..) {
            let _ = std::fs::rename(kept, received);
        }
    }
}

/// The content that goes by this name; none for files that are not ours.
pub(super) fn hash_of(name: &str) -> Option<ContentHash> {
    let mut hash = [0; 32];
    let mut digits = name.as_bytes().chunks_exact(2);
    for (byte, digits) in hash.iter_mut().zip(&mut digits) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    let hash = ContentHash(hash);
    (hash.to_string() == name).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_given_here_are_known() {
        let hash = ContentHash([0xa0; 32]);
        assert_eq!(hash_of(&hash.to_string()), Some(hash));
        for name in
            ["", "partial", &"a0".repeat(31), &"a0".repeat(33), &"A0".repeat(32), &"é".repeat(32), &"+1".repeat(32)]
        {
            assert_eq!(hash_of(name), None, "{name}");
        }
    }
}
