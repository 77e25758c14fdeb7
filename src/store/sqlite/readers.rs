//! Reading: a few read-only connections, each used by one query at a time.
//!
//! A query runs on a thread of its own and reads all it wants before anything goes to a client, so that no read
//! transaction stays open while a slow client reads. It ends early when its time is up, or when nobody waits for it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::errors::from_rusqlite;
use super::{BUSY, functions};
use crate::store::StoreError;
use crate::store::StoreOptions;

/// How many steps of SQLite's machine pass between two looks at the clock. Chosen: some ten microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// How long a query waits for a connection.
const WAIT: Duration = Duration::from_secs(10);

/// The connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    time_max: Duration,
    idle: Mutex<Vec<Connection>>,
    room: Arc<Semaphore>,
}

/// Says, when dropped, that nobody waits any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Readers {
    pub(super) fn new(path: &Path, options: StoreOptions) -> Self {
        Self {
            path: path.to_owned(),
            time_max: options.read_time_max,
            idle: Mutex::default(),
            room: Arc::new(Semaphore::new(options.readers as usize)),
        }
    }

    /// Runs `query` on a connection of its own.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(Ok(permit)) = tokio::time::timeout(WAIT, Arc::clone(&self.room).acquire_owned()).await else {
            return Err(StoreError::Unavailable { reason: "all database connections are busy", full: false });
        };
        let nobody_waits = Arc::new(AtomicBool::new(false));
        let _waiting = Waiting(Arc::clone(&nobody_waits));
        let readers = Arc::clone(self);
        let work = move || {
            let _permit = permit;
            let connection = readers.take()?;
            let deadline = Instant::now() + readers.time_max;
            let stop = move || nobody_waits.load(Ordering::Relaxed) || Instant::now() > deadline;
            connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(stop)).map_err(from_rusqlite)?;
            let outcome = query(&connection);
            connection.progress_handler(0, None::<fn() -> bool>).map_err(from_rusqlite)?;
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Other(error.into()))?
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path).map_err(from_rusqlite),
        }
    }

    /// Waits for the queries that run, and closes the connections.
    pub(super) async fn close(&self) {
        self.room.close();
        let closing = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = tokio::task::spawn_blocking(|| drop(closing)).await;
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    // A damaged page is noticed when it is read, not when something of it makes no sense.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    functions::add(&connection)?;
    Ok(connection)
}
