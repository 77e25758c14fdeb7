//! What is written many rows at a time.

use std::sync::OnceLock;

use super::{Dialect, Param};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Holds {
    Integer,
    Real,
    Text,
    Bytes,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Column {
    pub name: &'static str,
    pub holds: Holds,
}

const fn integer(name: &'static str) -> Column {
    Column { name, holds: Holds::Integer }
}

const fn real(name: &'static str) -> Column {
    Column { name, holds: Holds::Real }
}

const fn text(name: &'static str) -> Column {
    Column { name, holds: Holds::Text }
}

const fn bytes(name: &'static str) -> Column {
    Column { name, holds: Holds::Bytes }
}

/// How many columns name a row of a [`Table`]: workspace and id, the first two.
pub(in crate::store) const IDENTITY: usize = 2;

/// The rows of one kind of thing, with their payloads: those may be in a table of their own.
#[derive(Debug)]
pub(in crate::store) struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// The payloads' table.
    pub payloads: &'static str,
    /// Its column that names the row.
    pub owner: &'static str,
    pub payload_columns: &'static [Column],
    /// SQLite's statements that write a row, change one, and write its payloads, once they were spelled out.
    pub spelled: OnceLock<[String; 3]>,
}

/// A row to be written.
#[derive(Debug)]
pub(in crate::store) struct Row<'r> {
    /// Its key; none if it is new.
    pub key: Option<i64>,
    /// Values of [`Table::columns`].
    pub columns: Vec<Param<'r>>,
    /// Values of [`Table::payload_columns`], if they are to be written.
    pub payloads: Option<Vec<Param<'r>>>,
}

pub(in crate::store) static SPANS: Table = Table {
    name: "spans",
    columns: &[
        integer("workspace"),
        bytes("id"),
        integer("project"),
        bytes("trace_id"),
        bytes("parent_span_id"),
        text("name"),
        integer("type"),
        integer("start_time"),
        integer("end_time"),
        text("model"),
        text("provider"),
        text("tags"),
        text("usage"),
        text("error_info"),
        text("cost"),
        real("cost_value"),
        real("ttft"),
        integer("source"),
        text("environment"),
        integer("created_at"),
        text("created_by"),
        integer("last_updated_at"),
        text("last_updated_by"),
        integer("newest_stamp"),
        integer("newest_ended"),
        integer("updated"),
        text("others"),
        text("tag_edits"),
        text("cost_version"),
        integer("payloads"),
    ],
    payloads: "span_payloads",
    owner: "span",
    payload_columns: &[
        text("input"),
        text("output"),
        text("metadata"),
        text("metadata_model"),
        integer("metadata_has_provider"),
    ],
    spelled: OnceLock::new(),
};

pub(in crate::store) static TRACES: Table = Table {
    name: "traces",
    columns: &[
        integer("workspace"),
        bytes("id"),
        integer("project"),
        text("name"),
        integer("start_time"),
        integer("end_time"),
        text("tags"),
        text("error_info"),
        real("ttft"),
        text("thread_id"),
        integer("source"),
        text("environment"),
        integer("created_at"),
        text("created_by"),
        integer("last_updated_at"),
        text("last_updated_by"),
        integer("newest_stamp"),
        integer("newest_ended"),
        integer("updated"),
        text("others"),
        text("tag_edits"),
        integer("payloads"),
    ],
    payloads: "trace_payloads",
    owner: "trace",
    payload_columns: &[text("input"), text("output"), text("metadata")],
    spelled: OnceLock::new(),
};

/// Spells what follows ` SET `, told how the new value of a column is spelled.
pub(in crate::store) type Set = fn(&dyn Fn(&str) -> String) -> String;

/// What is done with a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Verb {
    /// It is put in, or what follows ` ON CONFLICT ` is done.
    Insert(Option<fn(Dialect) -> String>),
    /// The row that the first columns name gets the others.
    Update(usize),
    /// The row that the first columns name changes by their values.
    Change(usize, Set),
    /// The row that the columns name goes.
    Delete,
}

/// A statement that is run for many rows alike.
#[derive(Debug)]
pub(in crate::store) struct Statement {
    pub verb: Verb,
    pub table: &'static str,
    pub columns: &'static [Column],
    /// SQLite's text of it, once it was spelled out.
    pub spelled: OnceLock<String>,
}

const SUMS: &[Column] = &[
    integer("workspace"),
    bytes("trace_id"),
    integer("project"),
    integer("spans"),
    integer("general_spans"),
    integer("tool_spans"),
    integer("llm_spans"),
    integer("guardrail_spans"),
    text("usage"),
    text("usage_spans"),
    text("providers"),
    text("cost"),
    real("cost_value"),
];

/// How many columns name a row of what traces amount to.
const SUMS_IDENTITY: usize = 3;

/// How many a row cannot be without.
pub(super) const SUMS_NEEDED: usize = 8;

/// Removes the row that these columns name.
const fn delete(table: &'static str, columns: &'static [Column]) -> Statement {
    Statement { verb: Verb::Delete, table, columns, spelled: OnceLock::new() }
}

pub(super) static INSERT_SUMS: Statement =
    Statement { verb: Verb::Insert(None), table: "trace_sums", columns: SUMS, spelled: OnceLock::new() };

/// Those that are there are left as they are, and are this transaction's.
pub(super) static MAKE_SUMS: Statement = Statement {
    verb: Verb::Insert(Some(|_| "(workspace, trace_id, project) DO UPDATE SET spans = trace_sums.spans".to_owned())),
    table: "trace_sums",
    columns: SUMS.split_at(SUMS_NEEDED).0,
    spelled: OnceLock::new(),
};

pub(super) static UPDATE_SUMS: Statement =
    Statement { verb: Verb::Update(SUMS_IDENTITY), table: "trace_sums", columns: SUMS, spelled: OnceLock::new() };

pub(super) static DELETE_SUMS: Statement =
    delete("trace_sums", &[integer("workspace"), bytes("trace_id"), integer("project")]);

/// What was said of things, and what is attached to them.
const OF_THING: &[Column] = &[integer("workspace"), integer("entity"), bytes("entity_id")];

pub(super) static DELETE_SCORES: Statement = delete("scores", OF_THING);

pub(super) static DELETE_COMMENTS: Statement = delete("comments", OF_THING);

pub(super) static DELETE_ATTACHMENTS: Statement = delete("attachments", OF_THING);

pub(super) static DELETE_NAMED_ATTACHMENTS: Statement = delete(
    "attachments",
    &[integer("workspace"), integer("entity"), bytes("entity_id"), integer("project"), text("name")],
);

pub(super) static DELETE_LOOSE_CONTENTS: Statement = delete("loose_contents", &[bytes("sha256")]);

/// What names a row of spans or traces: workspace and id lead to it where keys do not.
const ROW: &[Column] = &[integer("workspace"), bytes("id"), integer("key")];

pub(super) static DELETE_SPANS: Statement = delete("spans", ROW);

pub(super) static DELETE_TRACES: Statement = delete("traces", ROW);

pub(super) static DELETE_NAMED_TRACES: Statement = delete("traces", ROW.split_at(IDENTITY).0);

pub(super) static DELETE_NAMED_COMMENTS: Statement = delete("comments", &[integer("workspace"), bytes("id")]);

pub(super) static DELETE_NAMED_THREADS: Statement = delete("threads", &[bytes("id")]);

pub(super) static DELETE_THREADS: Statement = delete("threads", &[integer("key")]);

pub(super) static COUNT_SPANS: Statement = Statement {
    verb: Verb::Insert(Some(|dialect| {
        format!("{} DO UPDATE SET spans = project_span_counts.spans + excluded.spans", dialect.counter("project, type"))
    })),
    table: "project_span_counts",
    columns: &[integer("project"), integer("type"), integer("spans")],
    spelled: OnceLock::new(),
};

pub(super) static COUNT_TRACES: Statement = Statement {
    verb: Verb::Insert(Some(|dialect| {
        format!(
            "{} DO UPDATE SET traces = project_trace_counts.traces + excluded.traces, \
             last_updated_at = max(project_trace_counts.last_updated_at, excluded.last_updated_at)",
            dialect.counter("project")
        )
    })),
    table: "project_trace_counts",
    columns: &[integer("project"), integer("traces"), integer("last_updated_at")],
    spelled: OnceLock::new(),
};

pub(super) static PUT_SCORE: Statement = Statement {
    verb: Verb::Insert(Some(|dialect| {
        format!(
            "(workspace, entity, entity_id, {}, {}, queue_id) DO UPDATE SET value = excluded.value, \
             category_name = excluded.category_name, reason = excluded.reason, source = excluded.source, \
             created_at = excluded.created_at, created_by = excluded.created_by, \
             last_updated_at = excluded.last_updated_at, last_updated_by = excluded.last_updated_by",
            dialect.entry("name"),
            dialect.entry("author")
        )
    })),
    table: "scores",
    columns: &[
        integer("workspace"),
        integer("entity"),
        bytes("entity_id"),
        text("name"),
        text("author"),
        bytes("queue_id"),
        text("value"),
        text("category_name"),
        text("reason"),
        integer("source"),
        integer("created_at"),
        text("created_by"),
        integer("last_updated_at"),
        text("last_updated_by"),
    ],
    spelled: OnceLock::new(),
};

/// How a thread changes by what its traces say of it; `closed` is how it comes to be closed or not.
fn thread_conflict(dialect: Dialect, closed: &str) -> String {
    format!(
        "(project, {}) DO UPDATE SET {closed}last_updated_at = max(threads.last_updated_at, excluded.last_updated_at), \
         last_updated_by = coalesce(excluded.last_updated_by, threads.last_updated_by), \
         source = CASE threads.source WHEN 0 THEN excluded.source ELSE threads.source END, \
         environment = coalesce(threads.environment, excluded.environment)",
        dialect.entry("thread_id")
    )
}

/// What is written of a thread, and last whether it is closed.
const THREAD: &[Column] = &[
    integer("project"),
    text("thread_id"),
    bytes("id"),
    integer("source"),
    text("environment"),
    integer("created_at"),
    text("created_by"),
    integer("last_updated_at"),
    text("last_updated_by"),
    integer("closed"),
];

/// A thread is there as soon as one of its traces is.
pub(super) static PUT_THREADS: Statement = Statement {
    verb: Verb::Insert(Some(|dialect| thread_conflict(dialect, ""))),
    table: "threads",
    columns: THREAD.split_at(THREAD.len() - 1).0,
    spelled: OnceLock::new(),
};

/// The same where it is opened or closed as well.
pub(super) static PUT_THREADS_CLOSED: Statement = Statement {
    verb: Verb::Insert(Some(|dialect| thread_conflict(dialect, "closed = excluded.closed, "))),
    table: "threads",
    columns: THREAD,
    spelled: OnceLock::new(),
};

/// A thread that is scored before its first trace, which is then the first that is heard of it.
pub(super) static MAKE_THREADS: Statement =
    Statement { verb: Verb::Insert(None), table: "threads", columns: MADE_THREAD, spelled: OnceLock::new() };

const MADE_THREAD: &[Column] = &[
    integer("project"),
    text("thread_id"),
    bytes("id"),
    integer("created_at"),
    text("created_by"),
    integer("last_updated_at"),
    text("last_updated_by"),
];

/// A thread gets these tags.
pub(super) static TAG_THREADS: Statement = Statement {
    verb: Verb::Update(1),
    table: "threads",
    columns: &[bytes("id"), text("tags")],
    spelled: OnceLock::new(),
};

/// A thread that is there is opened or closed.
pub(super) static CLOSE_THREADS: Statement = Statement {
    verb: Verb::Change(2, |new| {
        format!(
            "closed = coalesce({}, threads.closed), last_updated_at = max(threads.last_updated_at, {}), \
             last_updated_by = coalesce({}, threads.last_updated_by)",
            new("closed"),
            new("last_updated_at"),
            new("last_updated_by")
        )
    }),
    table: "threads",
    columns: &[
        integer("project"),
        text("thread_id"),
        integer("closed"),
        integer("last_updated_at"),
        text("last_updated_by"),
    ],
    spelled: OnceLock::new(),
};

/// Columns, each as `spelled`, one after the other.
pub(in crate::store) fn list(columns: &[Column], between: &str, spelled: impl Fn(usize, &Column) -> String) -> String {
    let columns: Vec<String> = columns.iter().enumerate().map(|(at, column)| spelled(at, column)).collect();
    columns.join(between)
}
