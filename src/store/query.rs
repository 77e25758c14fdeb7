//! What readers ask for.

use crate::filter::Filter;
use crate::model::{Id, SpanType};

/// Which spans are meant. All conditions hold together.
#[derive(Debug, Clone)]
pub struct SpanQuery {
    /// Key of the project.
    pub project: i64,
    /// Only this trace's.
    pub trace_id: Option<Id>,
    /// Only of this type.
    pub span_type: Option<SpanType>,
    /// Only those that match.
    pub filters: Vec<Filter>,
    /// Only those with this pattern in some text of theirs.
    pub search: Option<String>,
    /// Only ids from this one on.
    pub id_min: Option<Id>,
    /// Only ids up to this one.
    pub id_max: Option<Id>,
    /// Only ids below this one: where a stream goes on.
    pub id_below: Option<Id>,
}

impl SpanQuery {
    /// All spans of a project.
    #[must_use]
    pub fn all_of(project: i64) -> Self {
        Self {
            project,
            trace_id: None,
            span_type: None,
            filters: Vec::new(),
            search: None,
            id_min: None,
            id_max: None,
            id_below: None,
        }
    }
}

/// In what order spans come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Newest trace first; in it, children before root spans; then newest id first.
    ByTrace,
    /// Newest id first.
    ById,
    /// By a field; equal ones [`Order::ByTrace`].
    By {
        /// As named in [`SORTABLE`].
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

/// What can be sorted by, in the order and with the repetition in which the original tells it.
pub const SORTABLE: [&str; 24] = [
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

impl SortField {
    /// The field named so, if it can be sorted by.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let some = |key: &str| (!key.is_empty()).then(|| key.to_owned());
        if let Some(key) = name.strip_prefix("usage.") {
            return some(key).map(Self::Usage);
        }
        if let Some(key) = name.strip_prefix("feedback_scores.") {
            return some(key).map(Self::FeedbackScore);
        }
        SORTABLE.into_iter().find(|known| *known == name && !known.ends_with(".*")).map(Self::Plain)
    }
}

/// Which parts of spans are read.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part of its own")]
pub struct Parts {
    /// The input.
    pub input: bool,
    /// The output.
    pub output: bool,
    /// The metadata.
    pub metadata: bool,
    /// Scores.
    pub scores: bool,
    /// Comments.
    pub comments: bool,
}

impl Parts {
    /// Everything.
    pub const ALL: Self = Self { input: true, output: true, metadata: true, scores: true, comments: true };
}

/// Sums over spans.
#[derive(Debug, Default, Clone)]
pub struct SpanStats {
    /// How many there are.
    pub count: u64,
    /// Durations in milliseconds at 50, 90 and 99 %.
    pub duration_ms: [f64; 3],
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
}
