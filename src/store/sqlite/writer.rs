//! The one writer: a thread, a connection, a transaction at a time.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::attachments::Sweep;
use super::checkpoint::{self, Checkpoints};
use super::errors::from_rusqlite;
use super::files::Files;
use super::load::load;
use super::manage::manage;
use super::purge;
use super::save::save;
use super::workspaces::Workspaces;
use super::{BUSY, PAGE_BYTES, SqliteOptions};
use crate::clock::Clock;
use crate::cost::Prices;
use crate::store::upload::from_io;
use crate::store::{
    Caller, Change, Manage, ManageRefusal, NotCommitted, ProjectChange, Refusal, StoreError, Submission,
};

type Answer = Result<Vec<Result<(), Refusal>>, NotCommitted>;

type Managed = Result<Result<(), ManageRefusal>, StoreError>;

enum Job {
    Commit(Vec<Submission>, oneshot::Sender<Answer>),
    Manage(Caller, Manage, oneshot::Sender<Managed>),
    CheckWritable(oneshot::Sender<Result<(), StoreError>>),
}

/// The way to the writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: std::sync::Mutex<Option<mpsc::Sender<Job>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        path: &Path,
        files: Arc<Files>,
        options: SqliteOptions,
        clock: Clock,
        prices: Arc<Prices>,
    ) -> Result<Self, StoreError> {
        let connection = connect(path, options).map_err(from_rusqlite)?;
        let checkpoints = Checkpoints::start(path, options)?;
        // Unbounded, but never long: a commit waits for the one before it, and other changes are counted before they
        // are sent.
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                Work { connection, checkpoints, files, clock, prices, environments_max: options.environments_max }
                    .run(&queue);
            })
            .map_err(|error| StoreError::Other(error.into()))?;
        Ok(Self { jobs: std::sync::Mutex::new(Some(jobs)), thread: std::sync::Mutex::new(Some(thread)) })
    }

    pub(super) async fn commit(&self, submissions: Vec<Submission>) -> Answer {
        let (reply, outcome) = oneshot::channel();
        let lost = || NotCommitted { error: gone(), submissions: Vec::new() };
        self.send(Job::Commit(submissions, reply)).map_err(|_| lost())?;
        outcome.await.map_err(|_| lost())?
    }

    pub(super) async fn manage(&self, caller: Caller, change: Manage) -> Managed {
        let (reply, outcome) = oneshot::channel();
        self.send(Job::Manage(caller, change, reply))?;
        outcome.await.map_err(|_| gone())?
    }

    pub(super) async fn check_writable(&self) -> Result<(), StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.send(Job::CheckWritable(reply))?;
        outcome.await.map_err(|_| gone())?
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }

    /// Lets the thread finish what it was given, and waits until it has let go of the file.
    pub(super) async fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable { reason: "the writer has stopped", full: false }
}

/// Memory for pages that commits touch: a large commit would else write them to the journal more than once.
const CACHE_KIB: i64 = 16 << 10;

/// A connection that writes, set up as all of them are.
///
/// # Errors
/// When the file cannot be opened.
pub fn connect(path: &Path, options: SqliteOptions) -> rusqlite::Result<Connection> {
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
struct Work {
    connection: Connection,
    checkpoints: Checkpoints,
    files: Arc<Files>,
    clock: Clock,
    prices: Arc<Prices>,
    environments_max: usize,
}

impl Work {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        // What an earlier run left to be removed.
        let mut purging = purge::is_pending(&self.connection).unwrap_or(false);
        let mut sweep = Sweep::begin(&self.files);
        // Whether removing failed, and is tried again once something else was written.
        let mut left = false;
        while let Some(job) = next(queue, purging || !sweep.is_done()) {
            // Whoever asked may be gone; what was asked for is done all the same.
            match job {
                Some(Job::Commit(submissions, reply)) => {
                    let outcome = self.commit(&submissions);
                    let leaves = |submission: &Submission| submission.change.leaves_something();
                    purging |= outcome.is_ok() && (left || submissions.iter().any(leaves));
                    let _ = reply.send(outcome.map_err(|error| NotCommitted { error, submissions }));
                }
                Some(Job::Manage(caller, change, reply)) => {
                    purging |= matches!(change, Manage::Project(ProjectChange::Delete(_)));
                    let _ = reply.send(manage(&mut self.connection, &caller, change, &self.clock));
                }
                Some(Job::CheckWritable(reply)) => {
                    let outcome = check_writable(&mut self.connection, &self.clock).map_err(from_rusqlite);
                    if outcome.is_err() {
                        // A journal that cannot grow can begin anew once all of it is in the file.
                        checkpoint::copy_now(&self.connection);
                    }
                    let _ = reply.send(outcome);
                }
                None => sweep.piece(&self.connection, &self.files),
            }
            if purging {
                let outcome = purge::piece(&mut self.connection, &self.files);
                left = outcome.is_err();
                purging = outcome.unwrap_or_else(|error| {
                    // Told and left for later; nobody waits for it.
                    tracing::warn!(%error, "removing what was deleted failed");
                    false
                });
            }
            self.checkpoints.after_commit(&self.connection);
        }
        // The last connection that closes copies what is left.
        drop(self.checkpoints);
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "closing the database failed");
        }
    }

    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from_rusqlite)?;
        let mut workspaces = Workspaces::default();
        let mut commit = load(&transaction, submissions, &mut workspaces)?;
        let now = self.clock.now();
        let refusals = commit.apply(submissions, now);
        commit.price(&self.prices);
        save(&transaction, commit, &mut workspaces, &self.clock, now, self.environments_max)?;
        let received = submissions.iter().filter_map(|submission| match &submission.change {
            Change::PutAttachment(attachment) => Some(&attachment.file),
            _ => None,
        });
        let named = self.files.name(received).map_err(|error| from_io(&error))?;
        transaction.commit().map_err(from_rusqlite)?;
        named.keep();
        Ok(refusals)
    }
}

/// The next job, if there is one; nothing at all once there will be none. Waits for it unless there is something else
/// to do.
#[expect(clippy::option_option, reason = "the end, no job now, a job")]
fn next(queue: &mpsc::Receiver<Job>, busy: bool) -> Option<Option<Job>> {
    if !busy {
        return queue.recv().ok().map(Some);
    }
    match queue.try_recv() {
        Ok(job) => Some(Some(job)),
        Err(mpsc::TryRecvError::Empty) => Some(None),
        Err(mpsc::TryRecvError::Disconnected) => None,
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
