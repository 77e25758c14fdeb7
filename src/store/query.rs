//! What readers ask for.

use std::sync::Arc;

use crate::filter::{Field, Filter, SPAN_FIELDS, THREAD_FIELDS, TRACE_FIELDS};
use crate::model::{FeedbackType, Id, SpanType};
use crate::record::ProjectRef;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Spans.
    Spans,
    /// Traces.
    Traces,
    /// Threads: what has traces, worked out of them.
    Threads,
}

/// Where a span, trace or thread is kept: what a search finds, to be read later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    /// Its key in the store.
    pub key: i64,
    /// The key of its project.
    pub project: i64,
    /// Its id.
    pub id: Id,
}

/// A page that is asked for.
#[derive(Debug, Clone)]
pub struct PageQuery {
    /// Whose it is.
    pub workspace: Arc<str>,
    /// The project that is named. What is meant is of this one.
    pub named: ProjectRef,
    /// What is meant otherwise.
    pub query: Query,
    /// Its order.
    pub order: Order,
    /// How many are on the page at most.
    pub limit: u64,
    /// How many are on the pages before it.
    pub offset: u64,
}

/// What is on a page.
#[derive(Debug)]
pub struct OnPage<T> {
    /// Keys of all that is on it.
    pub keys: Vec<Handle>,
    /// How much there is on all pages.
    pub total: u64,
    /// Those of the first keys.
    pub first: Vec<T>,
    /// How many of the keys were looked at for them.
    pub looked_at: usize,
}

/// Which of them are meant. All conditions hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is asked for.
    pub of: Kind,
    /// Key of the project.
    pub project: i64,
    /// Only spans of this trace.
    pub trace_id: Option<Id>,
    /// Only spans of this type.
    pub span_type: Option<SpanType>,
    /// Only those that match.
    pub filters: Vec<Filter>,
    /// Only those with this pattern in some text of theirs.
    pub search: Option<String>,
    /// Only ids from this one on; of threads, only such traces count.
    pub id_min: Option<Id>,
    /// Only ids up to this one; of threads, only such traces count.
    pub id_max: Option<Id>,
    /// Only ids below this one: where a stream goes on.
    pub id_below: Option<Id>,
    /// Only the thread that traces call so.
    pub thread_id: Option<String>,
    /// None at all: something is asked for that nothing has.
    pub nothing: bool,
    /// Threads of which nothing was heard since are inactive; nanoseconds since 1970.
    pub active_since: i64,
}

impl Query {
    /// All of a project.
    #[must_use]
    pub fn all(of: Kind, project: i64) -> Self {
        Self {
            of,
            project,
            trace_id: None,
            span_type: None,
            filters: Vec::new(),
            search: None,
            id_min: None,
            id_max: None,
            id_below: None,
            thread_id: None,
            nothing: false,
            active_since: i64::MIN,
        }
    }
}

impl Query {
    /// The same, where a filter for one type of spans is said by `span_type`: how many there are of each is known.
    #[must_use]
    pub fn by_type(mut self) -> Self {
        if self.span_type.is_none()
            && let Some(at) = self.filters.iter().position(|filter| filter.one_type().is_some())
        {
            self.span_type = self.filters.remove(at).one_type();
        }
        self
    }

    /// Whether what was sent is looked into.
    #[must_use]
    pub fn reads_payloads(&self) -> bool {
        self.search.is_some() || self.filters.iter().any(Filter::needs_payloads)
    }
}

impl Kind {
    /// What can be filtered by.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Spans => &SPAN_FIELDS,
            Self::Traces => &TRACE_FIELDS,
            Self::Threads => &THREAD_FIELDS,
        }
    }

    /// What can be sorted by, in the order and with the repetition in which the original tells it.
    #[must_use]
    pub fn sortable(self) -> &'static [&'static str] {
        match self {
            Self::Spans => &SORTABLE_SPANS,
            Self::Traces => &SORTABLE_TRACES,
            Self::Threads => &SORTABLE_THREADS,
        }
    }
}

/// In what order they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Spans: newest trace first; in it, children before root spans; then newest id first. Traces: newest id first.
    /// Threads: the last that changed first.
    Default,
    /// Newest id first.
    ById,
    /// By a field; equal ones [`Order::Default`].
    By {
        /// As named by [`Kind::sortable`].
        field: SortField,
        /// Greatest first.
        descending: bool,
    },
}

/// A field that can be sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortField {
    /// One of the named ones.
    Plain(&'static str),
    /// A token count, by name.
    Usage(String),
    /// A score, by name.
    FeedbackScore(String),
}

const SORTABLE_SPANS: [&str; 24] = [
    "id",
    "name",
    "type",
    "trace_id",
    "parent_span_id",
    "input",
    "output",
    "metadata",
    "start_time",
    "end_time",
    "duration",
    "ttft",
    "usage.*",
    "metadata",
    "tags",
    "created_at",
    "last_updated_at",
    "model",
    "provider",
    "total_estimated_cost",
    "error_info",
    "created_by",
    "feedback_scores.*",
    "environment",
];

const SORTABLE_TRACES: [&str; 20] = [
    "id",
    "name",
    "input",
    "output",
    "start_time",
    "end_time",
    "duration",
    "ttft",
    "metadata",
    "thread_id",
    "span_count",
    "llm_span_count",
    "usage.*",
    "total_estimated_cost",
    "tags",
    "error_info",
    "created_by",
    "feedback_scores.*",
    "experiment_id",
    "environment",
];

const SORTABLE_THREADS: [&str; 14] = [
    "id",
    "start_time",
    "end_time",
    "duration",
    "number_of_messages",
    "last_updated_at",
    "created_by",
    "created_at",
    "usage.*",
    "total_estimated_cost",
    "feedback_scores.*",
    "status",
    "tags",
    "environment",
];

impl SortField {
    /// The field named so, if it can be sorted by.
    #[must_use]
    pub fn named(of: Kind, name: &str) -> Option<Self> {
        let some = |key: &str| (!key.is_empty()).then(|| key.to_owned());
        if let Some(key) = name.strip_prefix("usage.") {
            return some(key).map(Self::Usage);
        }
        if let Some(key) = name.strip_prefix("feedback_scores.") {
            return some(key).map(Self::FeedbackScore);
        }
        of.sortable().iter().find(|known| **known == name && !known.ends_with(".*")).map(|name| Self::Plain(name))
    }
}

/// Sums over spans, traces or threads.
#[derive(Debug, Default, Clone)]
pub struct Stats {
    /// How many there are.
    pub count: u64,
    /// Durations in milliseconds at 50, 90 and 99 %.
    pub duration_ms: [f64; 3],
    /// How many have a duration.
    pub durations: u64,
    /// What they took together, in milliseconds.
    pub duration_sum: f64,
    /// How many have an input.
    pub inputs: u64,
    /// How many have an output.
    pub outputs: u64,
    /// How many have metadata.
    pub metadata: u64,
    /// Tags of all.
    pub tags: u64,
    /// How many cost something.
    pub costs: u64,
    /// What they cost together.
    pub cost_sum: f64,
    /// Sum and number of each token count.
    pub usage: std::collections::BTreeMap<String, (f64, u64)>,
    /// Sum and number of each score, by name.
    pub scores: std::collections::BTreeMap<String, (f64, u64)>,
    /// How many ended with an error.
    pub errors: u64,
    /// Spans of the traces.
    pub spans: u64,
    /// Spans of the type llm of the traces.
    pub llm_spans: u64,
    /// How many conversations the traces belong to.
    pub threads: u64,
    /// Sum and number of each mean score of the traces' spans, by name.
    pub span_scores: std::collections::BTreeMap<String, (f64, u64)>,
}

/// What is meant, by the time in its ids and perhaps by something else it has.
#[derive(Debug, Clone)]
pub struct SeriesQuery {
    /// What is meant. Of spans and traces, `id_min` and `id_max` should keep to the intervals.
    pub query: Query,
    /// When the intervals begin; each ends where the next begins. Nanoseconds since 1970, ascending.
    pub starts: Vec<i64>,
    /// When the last one ends.
    pub end: i64,
    /// What tells apart what is of one interval.
    pub group: Option<Group>,
    /// What is asked for. Of scores, their sums are the answer; else they are left out.
    pub amount: Amount,
}

/// What there can be more or less of.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// Of everything, all sums; to compare, the number of what is meant.
    All,
    /// Of everything, what key figures tell: how long it took, what it cost, how often it failed; to compare, the number.
    Figures,
    /// What is meant itself.
    Number,
    /// How long it took.
    Duration,
    /// What it cost.
    Cost,
    /// A token count, by name.
    Usage(String),
    /// A score, by name; the empty name stands for all.
    Score(String),
}

/// What spans, traces and threads can be told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// Each of their tags.
    Tags,
    /// A value in their metadata, by its key.
    Metadata(String),
    /// Their names.
    Name,
    /// Whether they ended with an error.
    HasError,
    /// With what kind of error they ended.
    ErrorType,
    /// The model that spans called.
    Model,
    /// Who served the model.
    Provider,
    /// The types of spans.
    Type,
}

/// How many groups are told apart.
pub(super) const GROUPS_MAX: usize = 10;

/// Sums by interval, counted from 0.
pub type Intervals = std::collections::BTreeMap<usize, Stats>;

/// Sums by group and interval. Without a group, what is meant is of one that has no name.
#[derive(Debug, Default)]
pub struct Series {
    /// The groups, by name.
    pub groups: std::collections::BTreeMap<String, Intervals>,
    /// All beyond the [`GROUPS_MAX`] that have most of what is asked for.
    pub others: Option<Intervals>,
}

/// Fields that projects can be sorted by, as clients name them.
pub const PROJECTS_SORTABLE: [&str; 5] = ["id", "name", "last_updated_at", "created_at", "last_updated_trace_at"];

/// What projects can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectSort {
    /// Their ids: by when they were made.
    Id,
    /// Their names, without regard to letter case.
    Name,
    /// When they last changed.
    LastUpdatedAt,
    /// When a trace of theirs was last written.
    LastUpdatedTraceAt,
    /// When they were made.
    CreatedAt,
}

impl ProjectSort {
    /// The field of that name, if projects can be sorted by it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "name" => Self::Name,
            "last_updated_at" => Self::LastUpdatedAt,
            "last_updated_trace_at" => Self::LastUpdatedTraceAt,
            "created_at" => Self::CreatedAt,
            _ => return None,
        })
    }
}

/// Which projects are meant.
#[derive(Debug, Clone)]
pub struct ProjectQuery {
    /// Those of this workspace.
    pub workspace: String,
    /// Only those with this in their names, without regard to letter case.
    pub name: Option<String>,
    /// What comes first.
    pub sort: ProjectSort,
    /// Whether what is greatest does.
    pub descending: bool,
    /// How many at most.
    pub limit: u64,
    /// How many to pass over.
    pub offset: u64,
}

/// What began on one day, by the time in its id (UTC).
#[derive(Debug, Clone)]
pub struct TraceDay {
    /// The newest of the traces.
    pub newest: Id,
    /// Who made it.
    pub created_by: String,
    /// How many traces there are.
    pub traces: u64,
}

/// Which feedback definitions are meant.
#[derive(Debug, Clone)]
pub struct DefinitionQuery {
    /// Those of this workspace.
    pub workspace: String,
    /// Only those with this in their names, without regard to letter case.
    pub name: Option<String>,
    /// Only those of this type.
    pub kind: Option<FeedbackType>,
    /// How many at most.
    pub limit: u64,
    /// How many to pass over.
    pub offset: u64,
}
