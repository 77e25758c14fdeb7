//! Reading: a few connections, each used by one query at a time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::link::{Link, Patience};
use crate::store::{StoreError, StoreOptions};

/// How long a query waits for a connection.
const WAIT: Duration = Duration::from_secs(10);

/// How long a server that is to end a query is waited for.
const GRACE: Duration = Duration::from_secs(5);

/// The connections.
#[derive(Debug)]
pub(super) struct Readers {
    address: Address,
    time_max: Duration,
    idle: Mutex<Vec<Link>>,
    room: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(address: Address, options: StoreOptions) -> Self {
        Self {
            address,
            time_max: options.read_time_max,
            idle: Mutex::default(),
            room: Arc::new(Semaphore::new(options.readers as usize)),
        }
    }

    /// Runs `query` on a connection of its own, in a transaction that sees one moment.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Link) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(Ok(permit)) = tokio::time::timeout(WAIT, Arc::clone(&self.room).acquire_owned()).await else {
            return Err(StoreError::Unavailable { reason: "all database connections are busy", full: false });
        };
        let gone = CancellationToken::new();
        let _waiting = gone.clone().drop_guard();
        // The server ends what takes too long; this is for one that does not answer.
        let patience = Patience { deadline: Instant::now() + self.time_max + GRACE, gone };
        let readers = Arc::clone(self);
        let work = move || {
            let _permit = permit;
            let link = readers.begin(patience)?;
            let outcome = query(&link);
            // Nothing was changed, however it ended.
            if link.commit().is_ok() {
                readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
            }
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Other(error.into()))?
    }

    /// A connection with a transaction. One that was idle may have ended meanwhile.
    fn begin(&self, patience: Patience) -> Result<Link, StoreError> {
        // What is read by which index depends on how much a project has: a plan for any project is one for a large one.
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan; {}",
            self.address.settings(self.time_max)
        );
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(link) = idle {
            link.have(patience.clone());
            match link.begin_reading(&begin) {
                Ok(()) => return Ok(link),
                // The others are as old.
                Err(_) if link.is_broken() => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
                Err(error) => return Err(error),
            }
        }
        let link = Link::open(&self.address, patience)?;
        link.begin_reading(&begin)?;
        Ok(link)
    }

    /// Waits for no query, and closes the connections.
    pub(super) async fn close(&self) {
        self.room.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = tokio::task::spawn_blocking(|| idle.into_iter().for_each(Link::close)).await;
    }
}
