//! A writer: a thread, a connection, a transaction at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::{Connection, Workspaces, load, save};
use crate::clock::Clock;
use crate::cost::Prices;
use crate::priority::give_way;
use crate::store::{Caller, Manage, ManageRefusal, Pending, ProjectChange, Refusal, StoreError, Submission};

/// What the thread does.
pub(in crate::store) trait Work: Sized + Send + 'static {
    /// How much the thread gives way to those that serve.
    const NICE: i32;

    /// Makes submissions in one transaction.
    fn commit(&mut self, submissions: &[Submission]) -> Result<Vec<Result<(), Refusal>>, StoreError>;

    /// Makes a change beside them, in a transaction of its own.
    fn manage(&mut self, caller: &Caller, change: &Manage) -> Result<Result<(), ManageRefusal>, StoreError>;

    /// Writes something of no importance.
    fn check_writable(&mut self) -> Result<(), StoreError>;

    /// Makes ready what a reset needs.
    fn prepare_reset(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes the database what a new one is.
    fn reset(&mut self) -> Result<(), StoreError>;

    /// Whether something is left to be removed.
    fn is_pending(&mut self) -> Result<bool, StoreError>;

    /// Removes some of it; says whether there is more.
    fn remove_piece(&mut self) -> Result<bool, StoreError>;

    /// Whether there is something else to do when nobody asks for anything.
    fn has_chores(&self) -> bool {
        false
    }

    /// Does some of it.
    fn chore(&mut self) {}

    /// Does what is to be done after each change.
    fn after(&mut self) {}

    /// Lets go of the database.
    fn close(self);
}

/// Makes submissions on a connection with a transaction.
pub(in crate::store) fn commit<C: Connection>(
    connection: &C,
    submissions: &[Submission],
    clock: &Clock,
    prices: &Prices,
    environments_max: usize,
) -> Result<Vec<Result<(), Refusal>>, StoreError> {
    let mut workspaces = Workspaces::default();
    let mut commit = load(connection, submissions, &mut workspaces)?;
    let now = clock.now();
    let refusals = commit.apply(submissions, now);
    commit.price(prices);
    save(connection, commit, &mut workspaces, clock, now, environments_max)?;
    Ok(refusals)
}

type Done = oneshot::Sender<Result<(), StoreError>>;

type Managed = Result<Result<(), ManageRefusal>, StoreError>;

enum Job {
    Commit(Box<dyn Pending>),
    Manage(Caller, Manage, oneshot::Sender<Managed>),
    CheckWritable(Done),
    PrepareReset(Done),
    Reset(Done),
}

/// The way to the writing thread.
#[derive(Debug)]
pub(in crate::store) struct Writer {
    /// Commits that it was given and has not made yet.
    commits: Arc<AtomicUsize>,
    jobs: std::sync::Mutex<Option<mpsc::Sender<Job>>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(in crate::store) fn start<W: Work>(work: W) -> Result<Self, StoreError> {
        // Unbounded, but never long: a commit waits for the one before it, and other changes are counted before they
        // are sent.
        let (jobs, queue) = mpsc::channel();
        let commits = Arc::new(AtomicUsize::new(0));
        let made = Arc::clone(&commits);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                give_way(W::NICE);
                run(work, &queue, &made);
            })
            .map_err(|error| StoreError::Other(error.into()))?;
        Ok(Self { commits, jobs: std::sync::Mutex::new(Some(jobs)), thread: std::sync::Mutex::new(Some(thread)) })
    }

    /// How many commits it was given and has not made yet.
    pub(in crate::store) fn commits(&self) -> usize {
        self.commits.load(Ordering::Acquire)
    }

    /// Has it turn to what waits; lets go of that if it has stopped.
    pub(in crate::store) fn commit(&self, pending: Box<dyn Pending>) {
        self.commits.fetch_add(1, Ordering::AcqRel);
        let _ = self.send(Job::Commit(pending));
    }

    pub(in crate::store) async fn manage(&self, caller: Caller, change: Manage) -> Managed {
        let (reply, outcome) = oneshot::channel();
        self.send(Job::Manage(caller, change, reply))?;
        outcome.await.map_err(|_| gone())?
    }

    pub(in crate::store) async fn check_writable(&self) -> Result<(), StoreError> {
        self.done(Job::CheckWritable).await
    }

    pub(in crate::store) async fn prepare_reset(&self) -> Result<(), StoreError> {
        self.done(Job::PrepareReset).await
    }

    pub(in crate::store) async fn reset(&self) -> Result<(), StoreError> {
        self.done(Job::Reset).await
    }

    async fn done(&self, job: fn(Done) -> Job) -> Result<(), StoreError> {
        let (reply, outcome) = oneshot::channel();
        self.send(job(reply))?;
        outcome.await.map_err(|_| gone())?
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }

    /// Lets the thread finish what it was given, and waits until it has let go of the database.
    pub(in crate::store) async fn close(&self) {
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

fn run(mut work: impl Work, queue: &mpsc::Receiver<Job>, commits: &AtomicUsize) {
    // What an earlier run left to be removed.
    let mut purging = work.is_pending().unwrap_or(false);
    // Whether removing failed, and is tried again once something else was written.
    let mut left = false;
    while let Some(job) = next(queue, purging || work.has_chores()) {
        // Whoever asked may be gone; what was asked for is done all the same.
        match job {
            Some(Job::Commit(pending)) => {
                pending.commit(&mut |submissions| {
                    let outcome = work.commit(submissions);
                    let leaves = |submission: &Submission| submission.change.leaves_something();
                    purging |= outcome.is_ok() && (left || submissions.iter().any(leaves));
                    outcome
                });
                commits.fetch_sub(1, Ordering::AcqRel);
            }
            Some(Job::Manage(caller, change, reply)) => {
                purging |= matches!(change, Manage::Project(ProjectChange::Delete(_)));
                let _ = reply.send(work.manage(&caller, &change));
            }
            Some(Job::CheckWritable(reply)) => {
                let _ = reply.send(work.check_writable());
            }
            Some(Job::PrepareReset(reply)) => {
                let _ = reply.send(work.prepare_reset());
            }
            Some(Job::Reset(reply)) => {
                let outcome = work.reset();
                purging &= outcome.is_err();
                let _ = reply.send(outcome);
            }
            None => work.chore(),
        }
        if purging {
            let outcome = work.remove_piece();
            left = outcome.is_err();
            purging = outcome.unwrap_or_else(|error| {
                // Told and left for later; nobody waits for it.
                tracing::warn!(%error, "removing what was deleted failed");
                false
            });
        }
        work.after();
    }
    work.close();
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
