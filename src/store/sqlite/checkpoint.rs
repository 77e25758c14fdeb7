//! Checkpoints: what commits put into the journal goes into the file beside them, not within them.
//!
//! A thread with a connection of its own copies pages while commits go on. It never gets to the end of a journal that
//! grows meanwhile, and only from its end can a journal begin anew: the little that is left is copied by the writer,
//! between two commits.

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::errors::from_rusqlite;
use super::writer::connect;
use super::{PAGE_BYTES, WRITES_NICE};
use crate::priority::give_way;
use crate::store::StoreError;
use crate::store::StoreOptions;

/// The part of its largest size at which a checkpoint of the journal begins. Chosen: there is time for it while the
/// journal grows on.
const BEGIN_PART: i64 = 4;

/// What may be left to the writer. Chosen: about what one commit writes, while a round is made that finds little.
const LEFT_BYTES_MAX: i64 = 8 << 20;

/// After so many rounds it is left to the writer in any case.
const ROUNDS_MAX: usize = 4;

/// The thread has nothing to do.
const IDLE: u8 = 0;
/// It copies.
const COPYING: u8 = 1;
/// It has copied all but a little.
const ALMOST: u8 = 2;

/// The thread that makes checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    /// Size of the journal from which the writer copies all of it before it goes on.
    bytes_max: i64,
    wake: Option<SyncSender<()>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    /// Held while pages are copied: who comes meanwhile would be sent away by SQLite.
    copies: Mutex<()>,
}

/// Pages of a journal: all, and those that are in the file already.
struct Pages {
    all: i64,
    copied: i64,
}

impl Pages {
    fn bytes(pages: i64) -> i64 {
        pages * i64::from(PAGE_BYTES)
    }
}

impl Checkpoints {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the file cannot be opened, or no thread can be made.
    pub fn start(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let connection = connect(path, options).map_err(from_rusqlite)?;
        let (wake, woken) = mpsc::sync_channel(1);
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let work = move || {
            give_way(WRITES_NICE);
            while woken.recv().is_ok() {
                of_thread.copy_most(&connection);
                of_thread.state.store(ALMOST, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("checkpoints".to_owned()).spawn(work);
        let thread = thread.map_err(|error| StoreError::Other(error.into()))?;
        let bytes_max = i64::try_from(options.journal_bytes_max).unwrap_or(i64::MAX);
        Ok(Self { bytes_max, wake: Some(wake), shared, thread: Some(thread) })
    }

    /// To be called by the writer between commits, with its connection.
    pub fn after_commit(&self, connection: &Connection) {
        let Some(bytes) = in_journal(connection).map(|pages| Pages::bytes(pages.all)) else { return };
        let almost = self.shared.state.compare_exchange(ALMOST, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if almost || bytes >= self.bytes_max {
            self.shared.copy(connection);
        } else if bytes >= self.bytes_max / BEGIN_PART {
            self.begin();
        }
    }

    /// Has the thread make one now, unless it does.
    pub fn begin(&self) {
        let idle = self.shared.state.compare_exchange(IDLE, COPYING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if let Some(wake) = &self.wake
            && idle
        {
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn copy(&self, connection: &Connection) {
        let _alone = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copy_now(connection);
    }

    /// Copies until little is left of what came meanwhile.
    fn copy_most(&self, connection: &Connection) {
        for _ in 0..ROUNDS_MAX {
            self.copy(connection);
            let Some(pages) = in_journal(connection) else { return };
            if Pages::bytes(pages.all - pages.copied) <= LEFT_BYTES_MAX {
                return;
            }
        }
    }
}

/// Copies what can be copied at once.
pub(super) fn copy_now(connection: &Connection) {
    told(run(connection, "PASSIVE"));
}

fn in_journal(connection: &Connection) -> Option<Pages> {
    told(run(connection, "NOOP"))
}

fn run(connection: &Connection, mode: &str) -> rusqlite::Result<Pages> {
    let mut checkpoint = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    checkpoint.query_row([], |row| Ok(Pages { all: row.get(1)?, copied: row.get(2)? }))
}

/// A checkpoint that fails is made another time; what is in the journal is safe there.
fn told(outcome: rusqlite::Result<Pages>) -> Option<Pages> {
    outcome.inspect_err(|error| tracing::warn!(%error, "a checkpoint failed")).ok()
}
