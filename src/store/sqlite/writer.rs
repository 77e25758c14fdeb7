//! What the writing thread does on the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::runtime::Handle;

use super::checkpoint::{self, Checkpoints};
use super::errors::from_rusqlite;
use super::files::Files;
use super::reset::Blank;
use super::sweep::Sweep;
use super::{BUSY, PAGE_BYTES, WRITES_NICE};
use crate::clock::Clock;
use crate::cost::Prices;
use crate::store::StoreOptions;
use crate::store::sql::{Work, commit, is_pending, manage, piece};
use crate::store::upload::from_io;
use crate::store::{Caller, Change, Manage, ManageRefusal, Refusal, StoreError, Submission};

/// Memory for pages that commits touch: a large commit would else write them to the journal more than once.
const CACHE_KIB: i64 = 16 << 10;

/// A connection that writes, set up as all of them are.
///
/// # Errors
/// When the file cannot be opened.
pub fn connect(path: &Path, options: StoreOptions) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", if options.durable { "FULL" } else { "OFF" })?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Commits make no checkpoints: see `checkpoint`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    if options.bytes_max > 0 {
        let pages = (options.bytes_max / u64::from(PAGE_BYTES)).clamp(1, u64::from(u32::MAX));
        connection.pragma_update(None, "max_page_count", i64::try_from(pages).unwrap_or(i64::MAX))?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// What the thread works with.
pub(super) struct FileWork {
    path: PathBuf,
    runtime: Handle,
    connection: Connection,
    checkpoints: Checkpoints,
    files: Arc<Files>,
    sweep: Sweep,
    clock: Clock,
    prices: Arc<Prices>,
    environments_max: usize,
    /// Made when it is first needed.
    blank: Option<Blank>,
}

impl FileWork {
    pub(super) fn on(
        path: &Path,
        files: Arc<Files>,
        options: StoreOptions,
        clock: Clock,
        prices: Arc<Prices>,
    ) -> Result<Self, StoreError> {
        let connection = connect(path, options).map_err(from_rusqlite)?;
        let checkpoints = Checkpoints::start(path, options)?;
        let sweep = Sweep::begin(&files);
        let environments_max = options.environments_max;
        let (path, runtime) = (path.to_owned(), Handle::current());
        Ok(Self { path, runtime, connection, checkpoints, files, sweep, clock, prices, environments_max, blank: None })
    }
}

impl Work for FileWork {
    const NICE: i32 = WRITES_NICE;

    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from_rusqlite)?;
        let refusals = commit(&*transaction, submissions, &self.clock, &self.prices, self.environments_max)?;
        let received = submissions.iter().filter_map(|submission| match &submission.change {
            Change::PutAttachment(attachment) => Some(&attachment.file),
            _ => None,
        });
        let named = self.files.name(received).map_err(|error| from_io(&error))?;
        transaction.commit().map_err(from_rusqlite)?;
        named.keep();
        Ok(refusals)
    }

    fn manage(&mut self, caller: &Caller, change: &Manage) -> Result<Result<(), ManageRefusal>, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from_rusqlite)?;
        let outcome = manage(&*transaction, caller, change, &self.clock)?;
        if outcome.is_ok() {
            transaction.commit().map_err(from_rusqlite)?;
        }
        Ok(outcome)
    }

    fn check_writable(&mut self) -> Result<(), StoreError> {
        let outcome = check_writable(&mut self.connection, &self.clock).map_err(from_rusqlite);
        if outcome.is_err() {
            // A journal that cannot grow can begin anew once all of it is in the file.
            checkpoint::copy_now(&self.connection);
        }
        outcome
    }

    fn prepare_reset(&mut self) -> Result<(), StoreError> {
        if self.blank.is_none() {
            self.blank = Some(Blank::make(&self.path, &self.runtime)?);
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), StoreError> {
        self.prepare_reset()?;
        if let Some(blank) = &self.blank {
            blank.write_over(&mut self.connection).map_err(from_rusqlite)?;
        }
        // No file is referred to any more.
        self.sweep = Sweep::begin(&self.files);
        self.checkpoints.begin();
        Ok(())
    }

    fn is_pending(&mut self) -> Result<bool, StoreError> {
        is_pending(&self.connection)
    }

    fn remove_piece(&mut self) -> Result<bool, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from_rusqlite)?;
        let more = piece(&*transaction, &self.files)?;
        transaction.commit().map_err(from_rusqlite)?;
        Ok(more)
    }

    fn has_chores(&self) -> bool {
        !self.sweep.is_done()
    }

    fn chore(&mut self) {
        self.sweep.piece(&self.connection, &self.files);
    }

    fn after(&mut self) {
        self.checkpoints.after_commit(&self.connection);
    }

    fn close(self) {
        // The last connection that closes copies what is left.
        drop(self.checkpoints);
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "closing the database failed");
        }
    }
}

fn check_writable(connection: &mut Connection, clock: &Clock) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Room for an ordinary batch: a row that needs no new page would say nothing.
    transaction.execute(
        "INSERT INTO writable (one, checked_at, room) VALUES (1, ?1, zeroblob(262144)) \
         ON CONFLICT (one) DO UPDATE SET checked_at = excluded.checked_at, room = excluded.room",
        params![clock.now()],
    )?;
    transaction.execute("UPDATE writable SET room = NULL", [])?;
    transaction.commit()
}
