//! An eye on the size of a journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::server::Database;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(50);

/// Looks until it is dropped.
pub(crate) struct Watch {
    most: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start(database: &Database) -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let (journal, seen) = (database.journal(), Arc::clone(&most));
        let task = tokio::spawn(async move {
            loop {
                let bytes = std::fs::metadata(&journal).map_or(0, |metadata| metadata.len());
                seen.fetch_max(bytes, Ordering::Relaxed);
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { most, task }
    }

    /// The most bytes that it had.
    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
