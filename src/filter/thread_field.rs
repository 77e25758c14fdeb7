//! The fields of threads. Most are worked out of a thread's traces while a query runs, and only where it asks for them.

use super::field::{SOURCE_SQL, field};
use super::{Absent, Field, Kind};

/// SQL for a value worked out of the traces `m` of the thread `s`.
macro_rules! of_traces {
    ($value:literal $(, $rest:literal)?) => {
        concat!(
            "(SELECT ", $value, " FROM members m WHERE m.project = s.project AND m.thread_id = s.thread_id", $($rest,)? ")"
        )
    };
}

/// SQL for a value worked out of what the spans of the traces of the thread `s` amount to, `v`.
macro_rules! of_spans {
    ($value:literal) => {
        concat!(
            "(SELECT ",
            $value,
            " FROM members m JOIN trace_sums v ON v.workspace = m.workspace AND v.trace_id = m.id \
             AND v.project = m.project WHERE m.project = s.project AND m.thread_id = s.thread_id)"
        )
    };
}

macro_rules! start {
    () => {
        of_traces!("coalesce(min(nullif(m.start_time, 0)), 0)")
    };
}

macro_rules! end {
    () => {
        of_traces!("max(m.end_time)")
    };
}

macro_rules! duration {
    () => {
        of_traces!("max(m.end_time) / 1000 - min(nullif(m.start_time, 0)) / 1000")
    };
}

macro_rules! messages {
    () => {
        of_traces!("2 * count(*)")
    };
}

macro_rules! first_message {
    () => {
        concat!(
            "(SELECT q.input FROM trace_payloads q WHERE q.trace = ",
            of_traces!("m.key", " ORDER BY m.start_time = 0, m.start_time, m.id LIMIT 1"),
            ")"
        )
    };
}

macro_rules! last_message {
    () => {
        concat!(
            "(SELECT q.output FROM trace_payloads q WHERE q.trace = ",
            of_traces!("m.key", " AND m.end_time IS NOT NULL ORDER BY m.end_time DESC, m.id DESC LIMIT 1"),
            ")"
        )
    };
}

/// What threads are sorted and shown by. A query begins with what `members` and `s` are chosen from; see
/// `store::threads`.
pub(crate) mod thread_sql {
    /// When the first of its traces began; 0 if none was created yet.
    pub(crate) const START: &str = start!();
    /// When the last of its traces to end ended.
    pub(crate) const END: &str = end!();
    /// Microseconds between the two; null where one is missing.
    pub(crate) const DURATION: &str = duration!();
    /// Two for each of its traces.
    pub(crate) const MESSAGES: &str = messages!();
    /// Input of the trace that began first.
    pub(crate) const FIRST_MESSAGE: &str = first_message!();
    /// Output of the trace that ended last.
    pub(crate) const LAST_MESSAGE: &str = last_message!();
    /// Token counts of its spans, as a JSON object.
    pub(crate) const USAGE: &str = of_spans!("usage_sums(v.usage)");
    /// What its spans cost, to compare.
    pub(crate) const COST: &str = of_spans!("coalesce(sum(v.cost_value), 0)");
    /// The same as an exact decimal.
    pub(crate) const EXACT_COST: &str = of_spans!("decimal_sum(v.cost)");
    /// The order of threads that are equal otherwise.
    pub(crate) const ORDER: &str = concat!("s.last_updated_at DESC, ", start!(), ", s.id DESC");
    /// The scores `f` of the thread `s`.
    pub(crate) const SCORES: &str = "f.workspace = s.workspace AND f.entity = 3 AND f.entity_id = s.id";
}

/// The fields of threads.
pub static THREAD_FIELDS: [Field; 15] = [
    field("id", Kind::StringExact, Absent::Never, "s.thread_id", "what its traces say in `thread_id`"),
    field(
        "first_message",
        Kind::String,
        Absent::Empty,
        concat!("plain_json(", first_message!(), ")"),
        "JSON text of the input of the trace that began first, as it was sent",
    ),
    field(
        "last_message",
        Kind::String,
        Absent::Empty,
        concat!("plain_json(", last_message!(), ")"),
        "JSON text of the output of the trace that ended last, as it was sent",
    ),
    field("number_of_messages", Kind::Number, Absent::Never, messages!(), "two for each of its traces"),
    field("start_time", Kind::DateTime, Absent::Never, start!(), "when its first trace began"),
    field("end_time", Kind::DateTime, Absent::NoMatch, end!(), "when the last of its traces to end ended"),
    field(
        "duration",
        Kind::Number,
        Absent::Zero,
        concat!("coalesce(", duration!(), " / 1000.0, 0.0)"),
        "milliseconds from the one to the other",
    ),
    field("created_at", Kind::DateTime, Absent::Never, "s.created_at", "when the server first heard of it"),
    field(
        "last_updated_at",
        Kind::DateTime,
        Absent::Never,
        "s.last_updated_at",
        "when one of its traces last changed, or it was opened",
    ),
    field(
        "feedback_scores",
        Kind::FeedbackScores,
        Absent::Empty,
        thread_sql::SCORES,
        "the score of the name that is the key",
    ),
    field("status", Kind::Enum, Absent::Never, "s.status", "active or inactive"),
    field("tags", Kind::List, Absent::Empty, "coalesce(s.tags, '[]')", "its own tags"),
    field("annotation_queue_ids", Kind::List, Absent::Empty, "'[]'", "always empty: there are no annotation queues"),
    field(
        "source",
        Kind::EnumLegacy,
        Absent::As("sdk"),
        SOURCE_SQL,
        "where it began: sdk, experiment, playground, optimization or evaluator",
    ),
    field("environment", Kind::Enum, Absent::Empty, "coalesce(s.environment, '')", "the environment it began in"),
];
