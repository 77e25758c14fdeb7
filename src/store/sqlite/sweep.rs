//! A walk through the folder of attachments, for what a killed server put there and did not come to refer to.

use std::fs::ReadDir;
use std::sync::Arc;

use rusqlite::Connection;

use super::files::{Files, hash_of};
use crate::store::sql::{PIECE_ROWS, remove_unless_used};

/// The walk.
pub(super) struct Sweep(Option<ReadDir>);

impl Sweep {
    pub(super) fn begin(files: &Files) -> Self {
        Self(files.list().unwrap_or_else(|error| {
            tracing::warn!(%error, "the folder of attachments cannot be read");
            None
        }))
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.is_none()
    }

    /// Looks at some files.
    pub(super) fn piece(&mut self, connection: &Connection, files: &Arc<Files>) {
        let Some(entries) = &mut self.0 else { return };
        let mut seen = 0;
        for entry in entries.by_ref().take(PIECE_ROWS) {
            seen += 1;
            let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
            let Some(content) = name.to_str().and_then(hash_of) else { continue };
            if let Err(error) = remove_unless_used(connection, files, &content) {
                tracing::warn!(%error, "a file that nothing refers to cannot be removed");
            }
        }
        if seen < PIECE_ROWS {
            self.0 = None;
        }
    }
}
