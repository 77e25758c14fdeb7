//! Group commit: concurrent writes share a transaction, and each is answered after its commit.
//!
//! What is to be written waits in a bounded queue. The store turns to it when it can make a commit, and takes what has
//! come until then as one transaction. A lone write commits at once, and the busier the server, the larger the groups. A
//! store that can do so makes several at once; there, who was just answered is waited for, a moment, if the others of the
//! group before are there. Where one thread makes all commits it waits for nobody: what it is not told of yet is read and
//! checked meanwhile. If a group fails for a reason of its own, its members are tried one by one, so that a failing
//! one spoils only itself.

mod room;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use room::OnItsWay;
use room::Room;

use crate::store::{Caller, Make, Manage, ManageRefusal, Pending, Refusal, Store, StoreError, Submission};

/// How much may wait, and how much goes into one commit.
#[derive(Debug, Clone, Copy, Args)]
pub struct IngestLimits {
    /// Spans that may wait to be stored; beyond it, writes are answered 429.
    #[arg(long, env = "SPANDREL_QUEUE_ROWS_MAX", default_value_t = 20_000, value_name = "SPANS")]
    pub queue_rows_max: usize,
    /// Bytes of spans that may wait to be stored; beyond it, writes are answered 429.
    #[arg(long, env = "SPANDREL_QUEUE_BYTES_MAX", default_value_t = 256 << 20, value_name = "BYTES")]
    pub queue_bytes_max: usize,
    /// Time in which what waits, or is on its way, can be stored, by the pace of the last commits; beyond it, writes are
    /// answered 429.
    #[arg(long, env = "SPANDREL_QUEUE_MILLIS_MAX", default_value_t = 500, value_name = "MILLISECONDS",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub queue_millis_max: u64,
    /// Spans after which a commit takes no further request in.
    #[arg(long, env = "SPANDREL_COMMIT_ROWS_MAX", default_value_t = 2_000, value_name = "SPANS")]
    pub commit_rows_max: usize,
    /// Bytes of spans after which a commit takes no further request in.
    #[arg(long, env = "SPANDREL_COMMIT_BYTES_MAX", default_value_t = 8 << 20, value_name = "BYTES")]
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

/// Rows from which on a commit tells what pace there is: smaller ones mostly wait for the disk, whatever their size.
const TIMED_ROWS_MIN: usize = 256;

/// How many times as long as its commit all that is done for a submission is thought to take at most: a body that takes
/// long to parse, beside some small ones, tells of no slow pace.
const WAY_TIMES_MAX: u32 = 4;

/// How long those who were just answered are waited for at most; and no longer than half of the commit before took.
const GATHER_MAX: Duration = Duration::from_millis(1);

type Answer = Result<(), SubmitError>;

/// Those of a commit, with whom they go to.
struct Answers {
    to: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// What they are about: to let go of thousands of spans takes as long as to write some.
    submissions: Vec<Submission>,
}

struct Waiting {
    submission: Submission,
    rows: usize,
    bytes: usize,
    reply: oneshot::Sender<Answer>,
}

/// What waits to be committed.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Rows of it.
    rows: usize,
    /// Whether nothing more is taken.
    closed: bool,
    /// How often the store was told of it and has not said that it is done.
    turns: usize,
    /// How many may be there soon: those of the group before, who may come again, and those who came meanwhile.
    expected: usize,
    /// Until when they are waited for.
    gather_until: Option<Instant>,
    /// Whether they are being waited for.
    gathers: bool,
    /// Since the end of the last commit, if there has been something to do ever since.
    busy_since: Option<Instant>,
}

/// What clients of the queue and those who make commits both see.
struct Shared {
    store: Arc<dyn Store>,
    limits: IngestLimits,
    room: Arc<Room>,
    queue: Mutex<Queue>,
    /// Told when as many are there as were expected.
    gathered: Condvar,
    /// Told when no commit is made any more.
    idle: Notify,
    answers: mpsc::UnboundedSender<Answers>,
    trouble: watch::Sender<Option<&'static str>>,
    commits: watch::Sender<()>,
}

/// The way into the queue.
#[derive(Clone)]
pub struct Ingest(Arc<Shared>);

impl Ingest {
    /// Starts a task that answers. Once `closing` is cancelled nothing more is taken, and the task ends when everything
    /// in the queue is answered.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, limits: IngestLimits, closing: CancellationToken) -> (Self, JoinHandle<()>) {
        // Unbounded as a channel: rows and bytes are counted, and bounded, before anything waits.
        let (answers, answered) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            store,
            limits,
            room: Arc::new(Room::new(limits)),
            queue: Mutex::default(),
            gathered: Condvar::new(),
            idle: Notify::new(),
            answers,
            trouble: watch::Sender::new(None),
            commits: watch::Sender::new(()),
        });
        let task = tokio::spawn(run(Arc::clone(&shared), answered, closing));
        (Self(shared), task)
    }

    /// Has a submission stored; returns once it is durable and visible.
    ///
    /// # Errors
    /// When it was not stored: nothing of it is kept then.
    pub async fn submit(&self, submission: Submission) -> Result<(), SubmitError> {
        let (rows, bytes) = (submission.rows(), submission.bytes());
        self.make_room(rows, bytes)?;
        let (reply, answer) = oneshot::channel();
        if !self.0.take_up(Waiting { submission, rows, bytes, reply }) {
            self.0.room.give_back(rows, bytes);
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
        let shared = Arc::clone(&self.0);
        // On a task of its own: a client that leaves does not give the room back before the change is made.
        let task = tokio::spawn(async move {
            let outcome = shared.store.manage(caller, change).await.map_err(|error| failed(&error, &shared));
            shared.commits.send_replace(());
            shared.room.give_back(1, bytes);
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
        let outcome = self.0.store.reset().await.map_err(|error| failed(&error, &self.0));
        self.0.commits.send_replace(());
        outcome
    }

    /// Is told of what was stored after it was stored.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<()> {
        self.0.commits.subscribe()
    }

    /// Whether anything can be taken now: asked before a body is parsed, which would be for nothing.
    ///
    /// # Errors
    /// Why not.
    pub fn check_room(&self) -> Result<(), SubmitError> {
        self.check_taken()?;
        if self.0.room.is_full() {
            return Err(self.0.full());
        }
        Ok(())
    }

    /// Lets in a body of so many bytes, which is to be read, parsed and submitted, if there will be room for it.
    ///
    /// # Errors
    /// Why not.
    pub fn let_in(&self, bytes: usize) -> Result<OnItsWay, SubmitError> {
        self.check_taken()?;
        let let_in = self.0.room.let_in(bytes);
        let_in.ok_or_else(|| self.0.full())
    }

    /// Whether writes are taken at all.
    fn check_taken(&self) -> Result<(), SubmitError> {
        if self.0.queue().closed {
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
        if !self.0.room.take(rows, bytes) {
            return Err(self.0.full());
        }
        Ok(())
    }

    /// Why nothing can be stored now, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        *self.0.trouble.borrow()
    }
}

impl Shared {
    fn full(&self) -> SubmitError {
        SubmitError::Full { seconds: self.room.seconds_to_wait() }
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

/// Answers, and asks a store that could not be written whether it can be again.
async fn run(shared: Arc<Shared>, mut answered: mpsc::UnboundedReceiver<Answers>, closing: CancellationToken) {
    let mut trouble = shared.trouble.subscribe();
    loop {
        let (closed, is_idle) = {
            let queue = shared.queue();
            (queue.closed, queue.turns == 0)
        };
        let troubled = trouble.borrow_and_update().is_some();
        tokio::select! {
            biased;
            Some(answers) = answered.recv() => {
                for (reply, answer) in answers.to {
                    // A client that has left is no reason to stop.
                    let _ = reply.send(answer);
                }
                // After those who were answered.
                tokio::spawn(async move { drop(answers.submissions) });
            }
            () = closing.cancelled(), if !closed => shared.queue().closed = true,
            () = std::future::ready(()), if closed && is_idle => return,
            () = shared.idle.notified() => {}
            Ok(()) = trouble.changed() => {}
            // While the store cannot be written, it is asked now and then whether it can be again.
            () = tokio::time::sleep(RETRY), if troubled && is_idle => {
                if shared.store.check_writable().await.is_ok() {
                    shared.set_trouble(None);
                }
            }
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something into the queue, if it is open.
    fn take_up(self: &Arc<Self>, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        if queue.closed {
            return false;
        }
        queue.rows += waiting.rows;
        queue.waiting.push_back(waiting);
        // A small one waits for the end of the one before it: two small ones cost more than one of them together.
        let enough = queue.rows >= TIMED_ROWS_MIN;
        if queue.turns == 0 || enough && queue.turns < self.store.commits_at_once() {
            queue.turns += 1;
            drop(queue);
            self.store.commit(Box::new(Turn { shared: Arc::clone(self), is_over: false }));
        } else if queue.gathers && (enough || queue.waiting.len() >= queue.expected) {
            queue.gathers = false;
            drop(queue);
            self.gathered.notify_one();
        }
        true
    }

    fn end_turn(&self, queue: &mut Queue) {
        queue.turns -= 1;
        // Who waits for that is told: the end, and what asks a store that could not be written.
        if queue.turns == 0 && (queue.closed || self.trouble.borrow().is_some()) {
            self.idle.notify_one();
        }
    }

    /// Takes what goes into one commit, and says as one of how many that are made at once.
    fn next_group(&self) -> (Vec<Waiting>, usize) {
        let mut queue = self.queue();
        while let Some(until) = queue.gather_until
            && queue.waiting.len() < queue.expected
            && queue.rows < TIMED_ROWS_MIN
            && let Some(rest) = until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
        {
            queue.gathers = true;
            queue = self.gathered.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.gathers = false;
        queue.gather_until = None;
        let (mut group, mut rows, mut bytes) = (Vec::with_capacity(queue.waiting.len()), 0, 0);
        while rows < self.limits.commit_rows_max
            && bytes < self.limits.commit_bytes_max
            && let Some(next) = queue.waiting.pop_front()
        {
            rows += next.rows;
            bytes += next.bytes;
            group.push(next);
        }
        queue.rows -= rows;
        (group, queue.turns)
    }
}

/// The store's turn to take what waits.
struct Turn {
    shared: Arc<Shared>,
    is_over: bool,
}

impl Pending for Turn {
    fn commit(mut self: Box<Self>, make: Make<'_>) {
        let shared = Arc::clone(&self.shared);
        let (group, at_once) = shared.next_group();
        let members = group.len();
        let (rows, bytes) = group.iter().fold((0, 0), |sum, waiting| (sum.0 + waiting.rows, sum.1 + waiting.bytes));
        let begun = Instant::now();
        // Another turn may have taken all.
        if !group.is_empty() {
            commit(&shared, group, make);
        }
        let ended = Instant::now();
        let took = ended - begun;
        let mut queue = shared.queue();
        if rows >= TIMED_ROWS_MIN {
            // Where there was always something to do, all that is done for it is part of what it takes.
            let took = match queue.busy_since {
                Some(since) => ended.saturating_duration_since(since).min(took * WAY_TIMES_MAX),
                None => took / u32::try_from(at_once).unwrap_or(1),
            };
            shared.room.learn(rows, bytes, took);
        }
        let is_busy = !queue.waiting.is_empty() || shared.room.has_arrivals();
        queue.busy_since = is_busy.then_some(ended);
        queue.expected = members + queue.waiting.len();
        let gathers = shared.store.commits_at_once() > 1;
        queue.gather_until = gathers.then(|| begun + took + (took / 2).min(GATHER_MAX));
        if queue.waiting.is_empty() {
            self.is_over = true;
            shared.end_turn(&mut queue);
        } else {
            drop(queue);
            // What else the store was asked for comes between.
            shared.store.commit(self);
        }
    }
}

impl Drop for Turn {
    /// The store has stopped, whatever the reason: nobody would turn to what waits.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut queue = self.shared.queue();
        self.shared.end_turn(&mut queue);
        let waiting = std::mem::take(&mut queue.waiting);
        queue.rows = 0;
        drop(queue);
        let error = StoreError::Unavailable { reason: "the writer has stopped", full: false };
        for Waiting { rows, bytes, reply, .. } in waiting {
            self.shared.room.give_back(rows, bytes);
            let _ = reply.send(Err(failed(&error, &self.shared)));
        }
    }
}

fn commit(shared: &Shared, group: Vec<Waiting>, make: Make<'_>) {
    let (rows, bytes) = group.iter().fold((0, 0), |sum, waiting| (sum.0 + waiting.rows, sum.1 + waiting.bytes));
    let (submissions, replies): (Vec<_>, Vec<_>) =
        group.into_iter().map(|waiting| (waiting.submission, waiting.reply)).unzip();
    let answers: Vec<Answer> = match make(&submissions) {
        Ok(outcomes) => outcomes.into_iter().map(|outcome| outcome.map_err(SubmitError::Refused)).collect(),
        Err(error) if submissions.len() > 1 && !matches!(error, StoreError::Unavailable { .. }) => {
            tracing::warn!(%error, group = submissions.len(), "a group could not be stored; trying its members");
            let alone = |submission: &Submission| match make(std::slice::from_ref(submission)) {
                Ok(mut outcomes) => outcomes.pop().unwrap_or(Ok(())).map_err(SubmitError::Refused),
                Err(error) => Err(failed(&error, shared)),
            };
            submissions.iter().map(alone).collect()
        }
        Err(error) => vec![Err(failed(&error, shared)); replies.len()],
    };
    shared.room.give_back(rows, bytes);
    shared.commits.send_replace(());
    // Sent on by a task: this thread gives way to those that it would wake one by one.
    let _ = shared.answers.send(Answers { to: replies.into_iter().zip(answers).collect(), submissions });
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
