//! Files on their way in: written to a temporary file piece by piece, however large they are.

use std::io;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::StoreError;

/// What a content is known by: its SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl std::fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A file that is being received. What was written of it goes when this is dropped.
#[derive(Debug)]
pub struct Upload {
    file: File,
    path: TempPath,
    digest: Sha256,
    bytes: u64,
    durable: bool,
}

/// A file that was received whole and is on disk. It goes when this is dropped, unless a commit has kept it.
#[derive(Debug)]
pub struct ReceivedFile {
    pub(super) path: TempPath,
    pub(super) hash: ContentHash,
    pub(super) bytes: u64,
}

impl Upload {
    /// Begins one in this folder.
    pub(super) fn begin(folder: &Path, durable: bool) -> io::Result<Self> {
        let (file, path) = tempfile::Builder::new().prefix("").rand_bytes(24).tempfile_in(folder)?.into_parts();
        Ok(Self { file: File::from_std(file), path, digest: Sha256::new(), bytes: 0, durable })
    }

    /// Takes in what comes next.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).await.map_err(|error| from_io(&error))
    }

    /// How much came so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends it; what came is on disk then.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) async fn finish(mut self) -> Result<ReceivedFile, StoreError> {
        let written = async {
            self.file.flush().await?;
            if self.durable { self.file.sync_all().await } else { Ok(()) }
        };
        written.await.map_err(|error| from_io(&error))?;
        Ok(ReceivedFile { path: self.path, hash: ContentHash(self.digest.finalize().into()), bytes: self.bytes })
    }
}

/// What trouble with files means to the server.
pub(super) fn from_io(error: &io::Error) -> StoreError {
    tracing::warn!(%error, "a file beside the database cannot be read or written");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::Unavailable { reason: "the disk is full", full: true }
        }
        io::ErrorKind::FileTooLarge => StoreError::Unavailable { reason: "files may not become so large", full: true },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::Unavailable { reason: "files beside the database may not be written", full: false }
        }
        io::ErrorKind::NotFound => StoreError::Other("a file beside the database is missing".into()),
        _ => StoreError::Unavailable { reason: "the disk does not read or write", full: false },
    }
}
