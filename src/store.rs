//! Where spans, projects and settings are kept: the words in which the rest of the server speaks of storage.
//!
//! To add a database: a module beside `sqlite` that implements [`Store`], migrations with the same numbers, and an arm
//! in [`open`], [`migrate`] and [`check`].

mod apply;
mod attachment;
mod cells;
mod condition;
mod copy;
mod manage;
mod options;
mod postgres;
mod quantiles;
mod query;
mod sql;
mod sqlite;
mod sums;
mod tables;
mod upload;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::cost::Prices;
use crate::model::{
    CommentPublic, EnvironmentPublic, FeedbackPublic, Id, ProjectPublic, Source, SpanType, WorkspaceConfiguration,
};
use crate::record::{
    Conflict, Entity, Parts, ProjectRef, Record, Score, SpanFields, SpanRecord, StoredSpan, StoredThread, StoredTrace,
    TagChange, Target, ThreadScore, TraceFields, TraceRecord,
};

pub use attachment::{AttachmentFile, AttachmentQuery, NewAttachment, StoredAttachment};
pub use copy::{CopiedStore, CopyProgress, copy};
pub use manage::{DefinitionChange, EnvironmentChange, Manage, ManageRefusal, ProjectChange};
pub use options::StoreOptions;
pub use query::{
    Amount, DefinitionQuery, Group, Handle, Intervals, Kind, OnPage, Order, PROJECTS_SORTABLE, PageQuery, ProjectQuery,
    ProjectSort, Query, Series, SeriesQuery, SortField, Stats, TraceDay,
};
pub use sqlite::{Checkpoints, connect};
pub use upload::{ContentHash, ReceivedFile, Upload};

/// The workspace every installation begins with, and the id of its default project.
pub const DEFAULT_WORKSPACE: &str = "default";

/// The project of spans that name none.
pub const DEFAULT_PROJECT: &str = "Default Project";

/// On whose behalf something is done.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The workspace's name; made on its first write.
    pub workspace: Arc<str>,
    /// The user's name.
    pub user: Arc<str>,
}

/// A change that is made whole or not at all.
#[derive(Debug)]
pub struct Submission {
    /// On whose behalf.
    pub caller: Caller,
    /// What is to change.
    pub change: Change,
}

/// What a submission changes.
#[derive(Debug)]
pub enum Change {
    /// One span is created or updated: refused where it contradicts the span that is there.
    Span(Box<SpanRecord>),
    /// Many spans are created: never refused.
    Spans(Vec<SpanRecord>),
    /// Those of these spans that exist are updated alike; identity is not looked at.
    UpdateSpans {
        /// Which.
        ids: Vec<Id>,
        /// How.
        update: Box<Record<SpanFields>>,
    },
    /// A span goes, with its scores and comments. One that does not exist is gone already.
    DeleteSpan(Id),
    /// One trace is created or updated: refused where it contradicts the trace that is there.
    Trace(Box<TraceRecord>),
    /// Many traces are created: never refused.
    Traces(Vec<TraceRecord>),
    /// Those of these traces that exist are updated alike; identity is not looked at.
    UpdateTraces {
        /// Which.
        ids: Vec<Id>,
        /// How.
        update: Box<Record<TraceFields>>,
    },
    /// Traces go, with their spans, and the scores and comments of all of them.
    DeleteTraces(Vec<Id>),
    /// A thread goes on. Its project must exist.
    OpenThread {
        /// Its project.
        project: ProjectRef,
        /// What its traces call it.
        thread_id: String,
    },
    /// Threads are at an end. Each must have traces.
    CloseThreads {
        /// Their project.
        project: ProjectRef,
        /// What their traces call them.
        thread_ids: Vec<String>,
    },
    /// A thread that exists gets other tags, or none.
    UpdateThread {
        /// Its own id.
        id: Id,
        /// How its tags change, if they do.
        tags: Option<TagChange>,
    },
    /// Those of these threads that exist get other tags, or none.
    UpdateThreads {
        /// Their own ids.
        ids: Vec<Id>,
        /// How their tags change, if they do.
        tags: Option<TagChange>,
    },
    /// Threads go, with their traces and all that belongs to these, and what was said of them.
    DeleteThreads {
        /// Their project.
        project: ProjectRef,
        /// What their traces call them.
        thread_ids: Vec<String>,
    },
    /// Scores are given to threads whose traces may come later.
    ScoreThreads(Vec<ThreadScore>),
    /// Scores of a thread are taken back, if there are any.
    DeleteThreadScores {
        /// The thread's project.
        project: ProjectRef,
        /// What its traces call it.
        thread_id: String,
        /// Their names.
        names: Vec<String>,
        /// Only this author's.
        author: Option<String>,
        /// The annotation queue they were given in; none for those given in none.
        queue_id: Option<Id>,
    },
    /// A score is given to something that exists.
    Score(Box<Score>),
    /// Scores are given to what may come later.
    Scores(Vec<Score>),
    /// Scores are taken back, if there are any.
    DeleteScores {
        /// Of what.
        target: Target,
        /// Their name.
        name: String,
        /// Only this author's.
        author: Option<String>,
        /// The annotation queue they were given in; none for those given in none.
        queue_id: Option<Id>,
    },
    /// A comment is made on something that exists.
    AddComment {
        /// On what.
        target: Target,
        /// The new comment's id.
        id: Id,
        /// What it says.
        text: String,
        /// The annotation queue it is made in, if in any.
        queue_id: Option<Id>,
    },
    /// A comment that exists says something else.
    UpdateComment {
        /// Which.
        id: Id,
        /// What it says now.
        text: String,
    },
    /// Comments go, those that exist.
    DeleteComments(Vec<Id>),
    /// A file is attached to what may come later.
    PutAttachment(Box<NewAttachment>),
    /// Attachments go, those that exist.
    DeleteAttachments {
        /// Their project.
        project: ProjectRef,
        /// What they belong to.
        target: Target,
        /// Their names.
        names: Vec<String>,
    },
}

impl Change {
    /// Whether it may leave something behind that is removed after it: spans of traces, files.
    #[must_use]
    pub fn leaves_something(&self) -> bool {
        matches!(
            self,
            Self::DeleteSpan(_)
                | Self::DeleteTraces(_)
                | Self::DeleteThreads { .. }
                | Self::PutAttachment(_)
                | Self::DeleteAttachments { .. }
        )
    }
}

impl Submission {
    /// How many records it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.change {
            Change::Spans(records) => records.len(),
            Change::Traces(records) => records.len(),
            Change::UpdateSpans { ids, .. }
            | Change::UpdateTraces { ids, .. }
            | Change::UpdateThreads { ids, .. }
            | Change::DeleteTraces(ids)
            | Change::DeleteComments(ids) => ids.len(),
            Change::CloseThreads { thread_ids, .. } | Change::DeleteThreads { thread_ids, .. } => thread_ids.len(),
            Change::Scores(scores) => scores.len(),
            Change::ScoreThreads(scores) => scores.len(),
            Change::DeleteAttachments { names, .. } => names.len(),
            _ => 1,
        }
    }

    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.change {
            Change::Span(record) => record.bytes(),
            Change::Spans(records) => records.iter().map(SpanRecord::bytes).sum(),
            Change::UpdateSpans { ids, update } => update.bytes() * ids.len(),
            Change::Trace(record) => record.bytes(),
            Change::Traces(records) => records.iter().map(TraceRecord::bytes).sum(),
            Change::UpdateTraces { ids, update } => update.bytes() * ids.len(),
            Change::Scores(scores) => scores.iter().map(Score::bytes).sum(),
            Change::Score(score) => score.bytes(),
            Change::ScoreThreads(scores) => {
                scores.iter().map(|score| score.score.bytes() + score.thread_id.len()).sum()
            }
            Change::CloseThreads { thread_ids: texts, .. }
            | Change::DeleteThreads { thread_ids: texts, .. }
            | Change::DeleteThreadScores { names: texts, .. }
            | Change::DeleteAttachments { names: texts, .. } => {
                texts.iter().map(|text| size_of::<String>() + text.len()).sum()
            }
            Change::UpdateThread { tags, .. } => tags.as_ref().map_or(0, TagChange::bytes),
            Change::UpdateThreads { ids, tags } => {
                size_of_val(ids.as_slice()) + tags.as_ref().map_or(0, TagChange::bytes)
            }
            Change::OpenThread { thread_id, .. } => thread_id.len(),
            Change::AddComment { text, .. } | Change::UpdateComment { text, .. } => text.len(),
            Change::DeleteComments(ids) | Change::DeleteTraces(ids) => size_of_val(ids.as_slice()),
            Change::PutAttachment(attachment) => attachment.name.len() + attachment.mime_type.len(),
            Change::DeleteSpan(_) | Change::DeleteScores { .. } => size_of::<Self>(),
        }
    }
}

/// Why a submission was not made, although the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It contradicts what is stored.
    Conflict(Entity, Conflict),
    /// It names a project by an id that the workspace does not have.
    ProjectNotFound,
    /// It names a project that the workspace does not have.
    ProjectNameNotFound(String),
    /// These threads have no traces.
    ThreadsNotFound(Vec<String>),
    /// There is no such thing.
    NotFound(Target),
    /// There is no such comment.
    CommentNotFound(Id),
    /// It would leave more tags than are allowed.
    TooManyTags {
        /// How many are.
        max: usize,
    },
}

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, written or read now; trying again later may help.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// For people.
        reason: &'static str,
        /// Whether it is for lack of space.
        full: bool,
    },
    /// It took longer than a query may.
    #[error("a query took longer than it may")]
    TooLong,
    /// The file is not as it was written.
    #[error("the database is damaged: {0}")]
    Damaged(Box<dyn std::error::Error + Send + Sync>),
    /// A stored value that cannot be.
    #[error("corrupt value in {table}.{column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Anything else.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// Makes submissions, in order, in one transaction, and returns once it is durable. The outer error means that none was
/// made: [`StoreError::Unavailable`] where the same may succeed later. An inner refusal concerns its submission alone.
pub type Make<'m> = &'m mut dyn FnMut(&[Submission]) -> Result<Vec<Result<(), Refusal>>, StoreError>;

/// What waits to be committed. It is asked what goes into a commit when that can be made: what came until then belongs
/// together.
pub trait Pending: Send + 'static {
    /// Has some of it made. Dropped instead where the store has stopped.
    fn commit(self: Box<Self>, make: Make<'_>);
}

/// From which schema to which a database is migrated. A schema goes by the number of its last migration; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// What the database has.
    pub from: i64,
    /// What this program needs.
    pub to: i64,
}

impl Upgrade {
    /// Whether there is anything to do.
    #[must_use]
    pub fn is_needed(self) -> bool {
        self.from < self.to
    }
}

/// What a copy of a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the database.
    pub bytes: u64,
    /// Contents of attachments.
    pub attachments: u64,
}

/// A place that keeps spans.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Turns to what waits, on a thread of its own, after what it was given before.
    fn commit(&self, pending: Box<dyn Pending>);

    /// How many commits it makes at the same time; more than that wait for each other.
    fn commits_at_once(&self) -> usize {
        1
    }

    /// Begins to receive a file. It is kept once a commit has it ([`Change::PutAttachment`]).
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn upload(&self) -> Result<Upload, StoreError>;

    /// Ends it. What takes long is done here, and not in the commit, for which others wait.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn received(&self, upload: Upload) -> Result<ReceivedFile, StoreError>;

    /// The attachments that are meant, by name downwards, and how many there are on all pages.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn attachments(&self, query: AttachmentQuery) -> Result<(Vec<StoredAttachment>, u64), StoreError>;

    /// The file with the content of an attachment.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn attachment_file(
        &self,
        workspace: &str,
        project: Id,
        target: Target,
        name: &str,
    ) -> Result<Option<AttachmentFile>, StoreError>;

    /// The span with this id in this workspace.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn span(&self, workspace: &str, id: Id, parts: Parts) -> Result<Option<StoredSpan>, StoreError>;

    /// Key and id of a project of this workspace, named by its id or, without regard to letter case, its name.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn project(&self, workspace: &str, project: &ProjectRef) -> Result<Option<i64>, StoreError>;

    /// Keys of what is meant, in order: `limit` of them after the first `offset`.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn find(&self, query: Query, order: Order, limit: u64, offset: u64) -> Result<Vec<Handle>, StoreError>;

    /// The same keys, and how much is meant in all.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn page(&self, query: Query, order: Order, limit: u64, offset: u64)
    -> Result<(Vec<Handle>, u64), StoreError>;

    /// A page of spans, and the first of them: no more once those read hold `bytes_max`. Nothing if there is no such
    /// project.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn span_page(
        &self,
        asked: PageQuery,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<Option<OnPage<StoredSpan>>, StoreError>;

    /// A page of traces, as [`Store::span_page`] does.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn trace_page(
        &self,
        asked: PageQuery,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<Option<OnPage<StoredTrace>>, StoreError>;

    /// How much is meant.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn count(&self, query: Query) -> Result<u64, StoreError>;

    /// The spans of these keys, in their order, and how many of the keys were looked at: no more once the spans read
    /// hold `bytes_max`. Those that are gone are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn spans(
        &self,
        keys: Arc<[Handle]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredSpan>, usize), StoreError>;

    /// The trace with this id in this workspace.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn trace(&self, workspace: &str, id: Id, parts: Parts) -> Result<Option<StoredTrace>, StoreError>;

    /// The traces of these keys, as [`Store::spans`] does.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn traces(
        &self,
        keys: Arc<[Handle]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredTrace>, usize), StoreError>;

    /// The threads of these keys, as [`Store::spans`] does; `query` says which of their traces count, and what is active.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn threads(
        &self,
        query: Query,
        keys: Arc<[Handle]>,
        from: usize,
        bytes_max: usize,
    ) -> Result<(Vec<StoredThread>, usize), StoreError>;

    /// The own id of the thread of a project that a text means: its own id, or what its traces call it.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn thread_id(&self, project: i64, text: &str) -> Result<Option<Id>, StoreError>;

    /// Names of the scores of all threads of a workspace, or of one project's; each once, in order.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn thread_score_names(&self, workspace: &str, project: Option<Id>) -> Result<Vec<String>, StoreError>;

    /// Sums over what is meant.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn stats(&self, query: Query) -> Result<Stats, StoreError>;

    /// Sums over what is meant, by interval and group.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn series(&self, asked: SeriesQuery) -> Result<Series, StoreError>;

    /// Whether a project has any, from this source if one is named; only traces of conversations if `threads`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn exists(&self, of: Kind, project: i64, source: Option<Source>, threads: bool) -> Result<bool, StoreError>;

    /// Names of the scores of a project's spans or traces, of spans of this type if one is named; each once, in order.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn score_names(&self, of: Kind, project: i64, span_type: Option<SpanType>)
    -> Result<Vec<String>, StoreError>;

    /// Names of the scores of all spans, traces and threads of a workspace, or of these projects; each once, in order.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn project_score_names(&self, workspace: &str, projects: Option<Vec<Id>>) -> Result<Vec<String>, StoreError>;

    /// The comment with this id on this target.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn comment(&self, workspace: &str, target: Target, id: Id) -> Result<Option<CommentPublic>, StoreError>;

    /// Makes a change beside the spans, in a transaction of its own, and returns once it is durable. An inner refusal
    /// means that nothing was changed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the same call may succeed later; anything else where it will not.
    async fn manage(&self, caller: Caller, change: Manage) -> Result<Result<(), ManageRefusal>, StoreError>;

    /// A project of this workspace, named as in [`Store::project`].
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn project_public(&self, workspace: &str, project: &ProjectRef) -> Result<Option<ProjectPublic>, StoreError>;

    /// The projects that are meant, and how many there are on all pages.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn projects(&self, query: ProjectQuery) -> Result<(Vec<ProjectPublic>, u64), StoreError>;

    /// The id of the project that has this trace.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn project_of_trace(&self, workspace: &str, trace_id: Id) -> Result<Option<Id>, StoreError>;

    /// The days on which traces of a project began, by their ids, the latest first: `limit` of them after the first
    /// `offset`, and how many there are in all.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn trace_days(&self, project: i64, limit: u64, offset: u64) -> Result<(Vec<TraceDay>, u64), StoreError>;

    /// The environments of a workspace, the oldest first; only the one with this id, if one is named.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn environments(&self, workspace: &str, id: Option<Id>) -> Result<Vec<EnvironmentPublic>, StoreError>;

    /// A feedback definition.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn definition(&self, workspace: &str, id: Id) -> Result<Option<FeedbackPublic>, StoreError>;

    /// The feedback definitions that are meant, the newest first, and how many there are on all pages.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn definitions(&self, query: DefinitionQuery) -> Result<(Vec<FeedbackPublic>, u64), StoreError>;

    /// How a workspace is set up, if it was.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn configuration(&self, workspace: &str) -> Result<Option<WorkspaceConfiguration>, StoreError>;

    /// Asks the database for something, to see that it answers.
    ///
    /// # Errors
    /// When it does not.
    async fn check(&self) -> Result<(), StoreError>;

    /// Writes something of no importance, durably, to see whether writing works.
    ///
    /// # Errors
    /// When it does not.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Makes the store what a new one is: all that was committed is gone, durably, whoever's it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the same call may succeed later; anything else where it will not.
    async fn reset(&self) -> Result<(), StoreError>;

    /// Makes ready what [`Store::reset`] needs, so that the first one takes no longer than the next.
    ///
    /// # Errors
    /// When there is no place for it.
    async fn prepare_reset(&self) -> Result<(), StoreError>;

    /// Finishes what is begun and lets go of the database.
    async fn close(&self);
}

/// Opens the database at `url`, making it if there is none.
///
/// # Errors
/// When the URL is of no known kind, or the database cannot be opened.
pub async fn open(
    url: &str,
    options: StoreOptions,
    clock: Clock,
    prices: Arc<Prices>,
) -> Result<Arc<dyn Store>, StoreError> {
    if postgres::is_address(url) {
        return Ok(Arc::new(postgres::open(url, options, clock, prices).await?));
    }
    Ok(Arc::new(sqlite::open(sqlite_path(url)?, options, clock, prices).await?))
}

/// Makes or migrates the database at `url`, as [`open`] does; with `backup`, a file is copied first.
///
/// # Errors
/// Those of [`open`].
pub async fn migrate(url: &str, backup: bool) -> Result<Upgrade, StoreError> {
    if postgres::is_address(url) {
        return postgres::migrate(url).await;
    }
    sqlite::migrate(sqlite_path(url)?, backup).await
}

/// What [`migrate`] would do. Changes nothing.
///
/// # Errors
/// Those of [`open`].
pub fn check(url: &str) -> Result<Upgrade, StoreError> {
    if postgres::is_address(url) {
        return postgres::check(url);
    }
    sqlite::check(sqlite_path(url)?)
}

/// Copies the database at `url`, with the content of attachments, to a name that is not taken. Works beside a server.
///
/// # Errors
/// When the database is in no file, the name is taken, the copy cannot be made, or it is not sound.
pub fn back_up(url: &str, name: &Path) -> Result<Copied, StoreError> {
    if postgres::is_address(url) {
        return Err(StoreError::Other("of PostgreSQL, pg_dump makes copies; this copies files".into()));
    }
    sqlite::back_up(sqlite_path(url)?, name)
}

/// The URL as people may see it: without passwords.
#[must_use]
pub fn shown(url: &str) -> String {
    if postgres::is_address(url) { postgres::shown(url) } else { url.to_owned() }
}

fn sqlite_path(url: &str) -> Result<&Path, StoreError> {
    match url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
        // SQLite takes these for databases that are in no file, of which each connection has its own.
        Some(path) if path.is_empty() || path.starts_with(":memory:") || path.starts_with("file:") => {
            Err(StoreError::Other(format!("{url:?} names no file; expected sqlite:PATH").into()))
        }
        Some(path) => Ok(path.as_ref()),
        None => Err(StoreError::Other(
            format!(
                "unknown kind of database {:?}; expected sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
                url.split(':').next().unwrap_or_default()
            )
            .into(),
        )),
    }
}
