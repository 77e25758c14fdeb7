//! Group commit: concurrent writes share a transaction, and each is answered after its commit.
//!
//! A bounded queue stands before one task. The task takes whatever queued up while the last commit ran, hands it to
//! the store as one transaction, and answers everyone in it. A store that can do so makes several at once. A lone write
//! commits at once, and the busier the server, the larger the groups. If a group fails for a reason of its own, its
//! members are tried one by one, so that a failing one spoils only itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::store::{Caller, Manage, ManageRefusal, NotCommitted, Refusal, Store, StoreError, Submission};

/// How much may wait, and how much goes into one commit.
#[derive(Debug, Clone, Copy, Args)]
pub struct IngestLimits {
    /// Spans that may wait to be stored; beyond it, writes are answered 429.
    #[arg(long, env = "SPANDREL_QUEUE_ROWS_MAX", default_value_t = 20_000, value_name = "SPANS")]
    pub queue_rows_max: usize,
    /// Bytes of spans that may wait to be stored; beyond it, writes are answered 429.
    #[arg(long, env = "SPANDREL_QUEUE_BYTES_MAX", default_value_t = 256 << 20, value_name = "BYTES")]
    pub queue_bytes_max: usize,
    /// Time in which what waits can be stored, by the pace of the last commits; beyond it, writes are answered 429.
    #[arg(long, env = "SPANDREL_QUEUE_MILLIS_MAX", default_value_t = 700, value_name = "MILLISECONDS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub queue_millis_max: u64,
    /// Spans after which a commit takes no further request in.
    #[arg(long, env = "SPANDREL_COMMIT_ROWS_MAX", default_value_t = 10_000, value_name = "SPANS")]
    pub commit_rows_max: usize,
    /// Bytes of spans after which a commit takes no further request in.
    #[arg(long, env = "SPANDREL_COMMIT_BYTES_MAX", default_value_t = 32 << 20, value_name = "BYTES")]
    pub commit_bytes_max: usize,
}

/// Why a write was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitError {
    /// Too much waits already.
    Full {
        /// After how many seconds to try again.
        seconds: u64,
    },
    /// The store cannot be written now.
    Unavailable {
        /// For people.
        reason: &'static str,
        /// After how many seconds to try again.
        seconds: u64,
    },
    /// No more writes are taken.
    ShuttingDown,
    /// The store refused this one.
    Refused(Refusal),
    /// The database is damaged where this one belongs; told in the log.
    Damaged,
    /// The store failed on this one; told in the log.
    Failed,
}

/// How long the store is left alone after it could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// What clients are told to wait while the store cannot be written: the SDK's own checks come every 10 s.
const RETRY_SECONDS: u64 = 5;

/// Rows a second that clients are told to wait by, before any commit was timed. Chosen: slower than any disk seen.
const ROWS_A_SECOND: u64 = 1_000;

/// Rows from which on a commit tells what pace there is: smaller ones mostly wait for the disk, whatever their size.
const TIMED_ROWS_MIN: usize = 256;

struct Waiting {
    submission: Submission,
    rows: usize,
    bytes: usize,
    reply: oneshot::Sender<Result<(), SubmitError>>,
}

/// What clients of the queue and its task both see.
#[derive(Debug)]
struct Shared {
    limits: IngestLimits,
    rows: AtomicUsize,
    bytes: AtomicUsize,
    /// By commits that are large enough to tell; 0 before there was any.
    rows_a_second: AtomicU64,
    trouble: watch::Sender<Option<&'static str>>,
    commits: watch::Sender<()>,
}

/// The way into the queue.
#[derive(Clone)]
pub struct Ingest {
    store: Arc<dyn Store>,
    queue: mpsc::UnboundedSender<Waiting>,
    shared: Arc<Shared>,
}

impl Ingest {
    /// Starts the task. Once `closing` is cancelled nothing more is taken, and the task ends when everything in the
    /// queue is answered.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, limits: IngestLimits, closing: CancellationToken) -> (Self, JoinHandle<()>) {
        // Unbounded as a channel: rows and bytes are counted, and bounded, before anything is sent.
        let (queue, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            limits,
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            rows_a_second: AtomicU64::new(0),
            trouble: watch::Sender::new(None),
            commits: watch::Sender::new(()),
        });
        let task = tokio::spawn(run(Arc::clone(&store), waiting, Arc::clone(&shared), closing));
        (Self { store, queue, shared }, task)
    }

    /// Has a submission stored; returns once it is durable and visible.
    ///
    /// # Errors
    /// When it was not stored: nothing of it is kept then.
    pub async fn submit(&self, submission: Submission) -> Result<(), SubmitError> {
        let (rows, bytes) = (submission.rows(), submission.bytes());
        self.make_room(rows, bytes)?;
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Waiting { submission, rows, bytes, reply }).is_err() {
            self.shared.release(rows, bytes);
            return Err(SubmitError::ShuttingDown);
        }
        answer.await.unwrap_or(Err(SubmitError::ShuttingDown))
    }

    /// Has a change made that is none of spans; returns once it is durable and visible. It does not join a group: such
    /// changes are rare. It takes room in the queue all the same, and the store's writer makes it between two groups.
    ///
    /// # Errors
    /// When it was not made, for a reason other than a refusal.
    pub async fn manage(&self, caller: Caller, change: Manage) -> Result<Result<(), ManageRefusal>, SubmitError> {
        let bytes = change.bytes();
        self.make_room(1, bytes)?;
        let (store, shared) = (Arc::clone(&self.store), Arc::clone(&self.shared));
        // On a task of its own: a client that leaves does not give the room back before the change is made.
        let task = tokio::spawn(async move {
            let outcome = store.manage(caller, change).await.map_err(|error| failed(&error, &shared));
            shared.commits.send_replace(());
            shared.release(1, bytes);
            outcome
        });
        task.await.unwrap_or(Err(SubmitError::Failed))
    }

    /// Empties the store; what still waits to be stored is stored after it.
    ///
    /// # Errors
    /// When it is as it was.
    pub async fn reset(&self) -> Result<(), SubmitError> {
        self.check_taken()?;
        let outcome = self.store.reset().await.map_err(|error| failed(&error, &self.shared));
        self.shared.commits.send_replace(());
        outcome
    }

    /// Is told of what was stored after it was stored.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<()> {
        self.shared.commits.subscribe()
    }

    /// Whether anything can be taken now: asked before a body is parsed, which would be for nothing.
    ///
    /// # Errors
    /// Why not.
    pub fn check_room(&self) -> Result<(), SubmitError> {
        self.check_taken()?;
        if self.shared.is_full() {
            return Err(SubmitError::Full { seconds: self.shared.seconds_to_wait() });
        }
        Ok(())
    }

    /// Whether writes are taken at all.
    fn check_taken(&self) -> Result<(), SubmitError> {
        if self.queue.is_closed() {
            return Err(SubmitError::ShuttingDown);
        }
        if let Some(reason) = self.trouble() {
            return Err(SubmitError::Unavailable { reason, seconds: RETRY_SECONDS });
        }
        Ok(())
    }

    /// Takes room in the queue, if writes are taken.
    fn make_room(&self, rows: usize, bytes: usize) -> Result<(), SubmitError> {
        self.check_taken()?;
        if !self.shared.reserve(rows, bytes) {
            return Err(SubmitError::Full { seconds: self.shared.seconds_to_wait() });
        }
        Ok(())
    }

    /// Why nothing can be stored now, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        *self.shared.trouble.borrow()
    }
}

impl Shared {
    /// Takes room in the queue. One submission larger than all of it is let in when the queue is empty.
    fn reserve(&self, rows: usize, bytes: usize) -> bool {
        let rows_before = self.rows.fetch_add(rows, Ordering::AcqRel);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = rows_before + rows <= self.rows_max() && bytes_before + bytes <= self.limits.queue_bytes_max;
        if !fits && rows_before > 0 {
            self.release(rows, bytes);
            return false;
        }
        true
    }

    /// How many rows may wait: after an overload, all is well again as soon as they are stored.
    fn rows_max(&self) -> usize {
        let pace = self.rows_a_second.load(Ordering::Acquire);
        let in_time = usize::try_from(pace.saturating_mul(self.limits.queue_millis_max) / 1_000).unwrap_or(usize::MAX);
        if pace == 0 { self.limits.queue_rows_max } else { self.limits.queue_rows_max.min(in_time.max(1)) }
    }

    fn is_full(&self) -> bool {
        self.rows.load(Ordering::Acquire) >= self.rows_max()
            || self.bytes.load(Ordering::Acquire) >= self.limits.queue_bytes_max
    }

    fn release(&self, rows: usize, bytes: usize) {
        self.rows.fetch_sub(rows, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// When what waits now will have been stored, by the pace of the last commits.
    fn seconds_to_wait(&self) -> u64 {
        let rows = u64::try_from(self.rows.load(Ordering::Acquire)).unwrap_or(u64::MAX);
        let pace = match self.rows_a_second.load(Ordering::Acquire) {
            0 => ROWS_A_SECOND,
            pace => pace,
        };
        rows.div_ceil(pace).clamp(1, 60)
    }

    /// Learns the pace from a commit, as long as which the others took that were made beside it.
    fn timed(&self, rows: usize, at_once: usize, took: Duration) {
        if rows < TIMED_ROWS_MIN {
            return;
        }
        let rows = u64::try_from(rows * at_once).unwrap_or(u64::MAX);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let pace = rows.saturating_mul(1_000_000) / micros;
        let before = self.rows_a_second.load(Ordering::Acquire);
        let pace = if before == 0 { pace } else { (before * 7 + pace) / 8 };
        self.rows_a_second.store(pace.max(1), Ordering::Release);
    }

    fn set_trouble(&self, trouble: Option<&'static str>) {
        let changed = self.trouble.send_if_modified(|known| {
            let changed = *known != trouble;
            *known = trouble;
            changed
        });
        match trouble {
            Some(reason) if changed => tracing::error!(reason, "the database cannot be written; writes are put off"),
            None if changed => tracing::info!("the database can be written again"),
            _ => {}
        }
    }
}

async fn run(
    store: Arc<dyn Store>,
    mut waiting: mpsc::UnboundedReceiver<Waiting>,
    shared: Arc<Shared>,
    closing: CancellationToken,
) {
    let at_once = store.commits_at_once();
    let mut running = JoinSet::new();
    let mut group = Group::default();
    let mut open = true;
    while open || !group.members.is_empty() || !running.is_empty() {
        if group.is_ready(running.len(), at_once) {
            let (store, shared, group) = (Arc::clone(&store), Arc::clone(&shared), std::mem::take(&mut group));
            let at_once = running.len() + 1;
            running.spawn(async move { commit(&*store, group.members, &shared, at_once).await });
            continue;
        }
        let troubled = shared.trouble.borrow().is_some();
        tokio::select! {
            // What is there already belongs together.
            biased;
            next = waiting.recv(), if open && group.has_room(shared.limits) => match next {
                Some(next) => group.add(next),
                None => open = false,
            },
            Some(_) = running.join_next() => {}
            () = closing.cancelled(), if !waiting.is_closed() => waiting.close(),
            // While the store cannot be written, it is asked now and then whether it can be again.
            () = tokio::time::sleep(RETRY), if troubled && running.is_empty() => {
                if store.check_writable().await.is_ok() {
                    shared.set_trouble(None);
                }
            }
        }
    }
}

/// What goes into one commit.
#[derive(Default)]
struct Group {
    members: Vec<Waiting>,
    rows: usize,
    bytes: usize,
}

impl Group {
    fn add(&mut self, next: Waiting) {
        self.rows += next.rows;
        self.bytes += next.bytes;
        self.members.push(next);
    }

    fn has_room(&self, limits: IngestLimits) -> bool {
        self.rows < limits.commit_rows_max && self.bytes < limits.commit_bytes_max
    }

    /// Whether it is committed now, while so many commits run. A small one waits for the end of the one before it: two
    /// small ones cost more than one of them together.
    fn is_ready(&self, running: usize, at_once: usize) -> bool {
        let enough = self.rows >= TIMED_ROWS_MIN && running < at_once;
        !self.members.is_empty() && (running == 0 || enough)
    }
}

/// Commits a group, as one of so many that are committed at once.
async fn commit(store: &dyn Store, group: Vec<Waiting>, shared: &Shared, at_once: usize) {
    let begun = Instant::now();
    let (rows, bytes) = group.iter().fold((0, 0), |sum, waiting| (sum.0 + waiting.rows, sum.1 + waiting.bytes));
    let mut replies = Vec::with_capacity(group.len());
    let mut submissions = Vec::with_capacity(group.len());
    for Waiting { submission, reply, .. } in group {
        submissions.push(submission);
        replies.push(reply);
    }
    let answers = match store.commit(submissions).await {
        Ok(outcomes) => outcomes.into_iter().map(|outcome| outcome.map_err(SubmitError::Refused)).collect(),
        Err(NotCommitted { error, submissions })
            if submissions.len() > 1 && !matches!(error, StoreError::Unavailable { .. }) =>
        {
            tracing::warn!(%error, group = submissions.len(), "a group could not be stored; trying its members");
            let mut answers = Vec::with_capacity(submissions.len());
            for submission in submissions {
                answers.push(match store.commit(vec![submission]).await {
                    Ok(mut outcomes) => outcomes.pop().unwrap_or(Ok(())).map_err(SubmitError::Refused),
                    Err(NotCommitted { error, .. }) => Err(failed(&error, shared)),
                });
            }
            answers
        }
        Err(NotCommitted { error, .. }) => vec![Err(failed(&error, shared)); replies.len()],
    };
    shared.timed(rows, at_once, begun.elapsed());
    shared.release(rows, bytes);
    shared.commits.send_replace(());
    for (reply, answer) in replies.into_iter().zip(answers) {
        // A client that has left is no reason to stop.
        let _ = reply.send(answer);
    }
}

fn failed(error: &StoreError, shared: &Shared) -> SubmitError {
    if let StoreError::Unavailable { reason, .. } = error {
        shared.set_trouble(Some(reason));
        return SubmitError::Unavailable { reason, seconds: RETRY_SECONDS };
    }
    tracing::error!(%error, "a write could not be stored");
    match error {
        StoreError::Damaged(_) | StoreError::Corrupt { .. } => SubmitError::Damaged,
        _ => SubmitError::Failed,
    }
}
