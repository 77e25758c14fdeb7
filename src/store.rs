//! Where spans are kept: the words in which the rest of the server speaks of storage.
//!
//! To add a database: a module beside `sqlite` that implements [`Store`], migrations with the same numbers, and an arm
//! in [`open`].

mod apply;
mod cells;
mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::model::Id;
use crate::record::{Conflict, SpanRecord, StoredSpan};

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
}

impl Submission {
    /// How many records it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.records().len()
    }

    /// Bytes that it holds, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.records().iter().map(SpanRecord::bytes).sum()
    }

    /// Its records, in order.
    #[must_use]
    pub fn records(&self) -> &[SpanRecord] {
        match &self.change {
            Change::Span(record) => std::slice::from_ref(record),
            Change::Spans(records) => records,
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
