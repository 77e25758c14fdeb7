//! Where spans are kept: the words in which the rest of the server speaks of storage.
//!
//! To add a database: a module beside `sqlite` that implements [`Store`], migrations with the same numbers, and an arm
//! in [`open`].

mod apply;
mod cells;
mod condition;
mod quantiles;
mod query;
mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::model::{CommentPublic, Id, Source, SpanType};
use crate::record::{Conflict, ProjectRef, Record, Score, SpanFields, SpanRecord, StoredSpan};

pub use query::{Order, Parts, SORTABLE, SortField, SpanQuery, SpanStats};
pub use sqlite::{SqliteOptions, SqliteStore};

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
    /// A score is given to a span that exists.
    Score(Box<Score>),
    /// Scores are given to spans that may come later.
    Scores(Vec<Score>),
    /// Scores are taken back, if there are any.
    DeleteScores {
        /// The span.
        span_id: Id,
        /// Their name.
        name: String,
        /// Only this author's.
        author: Option<String>,
        /// The annotation queue they were given in; none for those given in none.
        queue_id: Option<Id>,
    },
    /// A comment is made on a span that exists.
    AddComment {
        /// The span.
        span_id: Id,
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
}

impl Submission {
    /// How many records it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.change {
            Change::Spans(records) => records.len(),
            Change::UpdateSpans { ids, .. } | Change::DeleteComments(ids) => ids.len(),
            Change::Scores(scores) => scores.len(),
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
            Change::Scores(scores) => scores.iter().map(Score::bytes).sum(),
            Change::Score(score) => score.bytes(),
            Change::AddComment { text, .. } | Change::UpdateComment { text, .. } => text.len(),
            Change::DeleteComments(ids) => size_of_val(ids.as_slice()),
            Change::DeleteSpan(_) | Change::DeleteScores { .. } => size_of::<Self>(),
        }
    }
}

/// Why a submission was not made, although the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It contradicts what is stored.
    Conflict(Conflict),
    /// It names a project by an id that the workspace does not have.
    ProjectNotFound,
    /// There is no such span.
    SpanNotFound(Id),
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

/// A commit that did not happen, with what it was to make.
#[derive(Debug)]
pub struct NotCommitted {
    /// Why.
    pub error: StoreError,
    /// As they were given.
    pub submissions: Vec<Submission>,
}

/// A place that keeps spans.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes the submissions, in order, in one transaction, and returns once it is durable. The outer error means that
    /// none was made; an inner refusal concerns its submission alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the same call may succeed later; anything else where it will not.
    async fn commit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<(), Refusal>>, NotCommitted>;

    /// The span with this id in this workspace.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn span(&self, workspace: &str, id: Id) -> Result<Option<StoredSpan>, StoreError>;

    /// Key and id of a project of this workspace, named by its id or, without regard to letter case, its name.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn project(&self, workspace: &str, project: &ProjectRef) -> Result<Option<i64>, StoreError>;

    /// Keys of the spans that are meant, in order: `limit` of them after the first `offset`.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn find_spans(&self, query: SpanQuery, order: Order, limit: u64, offset: u64)
    -> Result<Vec<i64>, StoreError>;

    /// How many spans are meant.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn count_spans(&self, query: SpanQuery) -> Result<u64, StoreError>;

    /// The spans of these keys, in their order, and how many of the keys were looked at: no more once the spans read
    /// hold `bytes_max`. Those that are gone are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn spans(
        &self,
        keys: Arc<[i64]>,
        from: usize,
        parts: Parts,
        bytes_max: usize,
    ) -> Result<(Vec<StoredSpan>, usize), StoreError>;

    /// Sums over the spans that are meant.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn span_stats(&self, query: SpanQuery) -> Result<SpanStats, StoreError>;

    /// Whether a project has a span, from this source if one is named.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn spans_exist(&self, project: i64, source: Option<Source>) -> Result<bool, StoreError>;

    /// Names of the scores of a project's spans, of this type if one is named; each once, in order.
    ///
    /// # Errors
    /// When the store cannot be read, or [`StoreError::TooLong`].
    async fn score_names(&self, project: i64, span_type: Option<SpanType>) -> Result<Vec<String>, StoreError>;

    /// The comment with this id on this span.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn comment(&self, workspace: &str, span_id: Id, id: Id) -> Result<Option<CommentPublic>, StoreError>;

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

    /// Finishes what is begun and lets go of the database.
    async fn close(&self);
}

/// Opens the database at `url`, making it if there is none.
///
/// # Errors
/// When the URL is of no known kind, or the database cannot be opened.
pub async fn open(url: &str, options: SqliteOptions, clock: Clock) -> Result<Arc<dyn Store>, StoreError> {
    match url.strip_prefix("sqlite:") {
        Some(path) => Ok(Arc::new(SqliteStore::open(path.trim_start_matches("//").as_ref(), options, clock).await?)),
        None => Err(StoreError::Other(
            format!("unknown kind of database {:?}; expected sqlite:PATH", url.split(':').next().unwrap_or_default())
                .into(),
        )),
    }
}
