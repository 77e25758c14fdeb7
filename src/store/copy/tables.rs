//! What there is to copy: each table with its columns, in an order in which no row refers to one that comes later.

use crate::store::sql::Holds;
use Holds::{Bytes, Integer, Real, Text};

/// A table, as both stores can tell it.
#[derive(Debug)]
pub(super) struct Table {
    pub name: &'static str,
    /// The first ones are its key.
    pub columns: &'static [(&'static str, Holds)],
    pub key_columns: usize,
    /// Where SQLite keeps its last columns: a table, its column for the key, and how many they are.
    pub apart: Option<(&'static str, &'static str, usize)>,
    /// The query for it in PostgreSQL, if its rows are kept otherwise there.
    pub in_postgres: Option<&'static str>,
    /// Whether PostgreSQL makes keys up by a sequence.
    pub has_sequence: bool,
}

const PLAIN: Table =
    Table { name: "", columns: &[], key_columns: 1, apart: None, in_postgres: None, has_sequence: false };

impl Table {
    /// Its columns, in a row.
    pub(super) fn list(&self) -> String {
        names(self.columns)
    }

    /// Those of its key.
    pub(super) fn key(&self) -> String {
        names(&self.columns[..self.key_columns])
    }
}

pub(super) fn names(columns: &[(&'static str, Holds)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// All of them. Attachments' contents are no table in SQLite, and copied by themselves.
pub(super) const TABLES: [Table; 18] = [
    Table { name: "workspaces", columns: &[("key", Integer), ("name", Text)], has_sequence: true, ..PLAIN },
    Table {
        name: "projects",
        columns: &[
            ("key", Integer),
            ("workspace", Integer),
            ("id", Bytes),
            ("name", Text),
            ("name_folded", Text),
            ("description", Text),
            ("visibility", Integer),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
            ("deleted_at", Integer),
        ],
        has_sequence: true,
        ..PLAIN
    },
    Table {
        name: "environments",
        columns: &[
            ("key", Integer),
            ("workspace", Integer),
            ("id", Bytes),
            ("name", Text),
            ("description", Text),
            ("color", Text),
            ("position", Integer),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
        ],
        has_sequence: true,
        ..PLAIN
    },
    Table {
        name: "feedback_definitions",
        columns: &[
            ("key", Integer),
            ("workspace", Integer),
            ("id", Bytes),
            ("name", Text),
            ("name_folded", Text),
            ("description", Text),
            ("type", Integer),
            ("details", Text),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
        ],
        has_sequence: true,
        ..PLAIN
    },
    Table { name: "workspace_configurations", columns: &[("workspace", Integer), ("configuration", Text)], ..PLAIN },
    Table {
        name: "traces",
        columns: &[
            ("workspace", Integer),
            ("id", Bytes),
            ("key", Integer),
            ("project", Integer),
            ("name", Text),
            ("start_time", Integer),
            ("end_time", Integer),
            ("tags", Text),
            ("error_info", Text),
            ("ttft", Real),
            ("thread_id", Text),
            ("source", Integer),
            ("environment", Text),
            ("payloads", Integer),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
            ("newest_stamp", Integer),
            ("newest_ended", Integer),
            ("updated", Integer),
            ("others", Text),
            ("tag_edits", Text),
            ("input", Text),
            ("output", Text),
            ("metadata", Text),
        ],
        key_columns: 2,
        apart: Some(("trace_payloads", "trace", 3)),
        has_sequence: true,
        ..PLAIN
    },
    Table {
        name: "spans",
        columns: &[
            ("workspace", Integer),
            ("id", Bytes),
            ("key", Integer),
            ("project", Integer),
            ("trace_id", Bytes),
            ("parent_span_id", Bytes),
            ("name", Text),
            ("type", Integer),
            ("start_time", Integer),
            ("end_time", Integer),
            ("model", Text),
            ("provider", Text),
            ("tags", Text),
            ("usage", Text),
            ("error_info", Text),
            ("cost", Text),
            ("cost_value", Real),
            ("cost_version", Text),
            ("ttft", Real),
            ("source", Integer),
            ("environment", Text),
            ("payloads", Integer),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
            ("newest_stamp", Integer),
            ("newest_ended", Integer),
            ("updated", Integer),
            ("others", Text),
            ("tag_edits", Text),
            ("input", Text),
            ("output", Text),
            ("metadata", Text),
            ("metadata_model", Text),
            ("metadata_has_provider", Integer),
        ],
        key_columns: 2,
        apart: Some(("span_payloads", "span", 5)),
        has_sequence: true,
        ..PLAIN
    },
    Table {
        name: "trace_sums",
        columns: &[
            ("workspace", Integer),
            ("trace_id", Bytes),
            ("project", Integer),
            ("spans", Integer),
            ("general_spans", Integer),
            ("tool_spans", Integer),
            ("llm_spans", Integer),
            ("guardrail_spans", Integer),
            ("usage", Text),
            ("usage_spans", Text),
            ("providers", Text),
            ("cost", Text),
            ("cost_value", Real),
        ],
        key_columns: 3,
        ..PLAIN
    },
    Table {
        name: "project_span_counts",
        columns: &[("project", Integer), ("type", Integer), ("spans", Integer)],
        key_columns: 2,
        // Servers that write at once count apart.
        in_postgres: Some(
            "SELECT project, type, CAST(sum(spans) AS bigint) AS spans FROM project_span_counts GROUP BY project, type",
        ),
        ..PLAIN
    },
    Table {
        name: "project_trace_counts",
        columns: &[("project", Integer), ("traces", Integer), ("last_updated_at", Integer)],
        in_postgres: Some(
            "SELECT project, CAST(sum(traces) AS bigint) AS traces, max(last_updated_at) AS last_updated_at \
             FROM project_trace_counts GROUP BY project",
        ),
        ..PLAIN
    },
    Table {
        name: "threads",
        columns: &[
            ("key", Integer),
            ("project", Integer),
            ("thread_id", Text),
            ("id", Bytes),
            ("closed", Integer),
            ("tags", Text),
            ("source", Integer),
            ("environment", Text),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
        ],
        has_sequence: true,
        ..PLAIN
    },
    Table {
        name: "scores",
        columns: &[
            ("workspace", Integer),
            ("entity", Integer),
            ("entity_id", Bytes),
            ("name", Text),
            ("author", Text),
            ("queue_id", Bytes),
            ("value", Text),
            ("category_name", Text),
            ("reason", Text),
            ("source", Integer),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
        ],
        key_columns: 6,
        ..PLAIN
    },
    Table {
        name: "comments",
        columns: &[
            ("key", Integer),
            ("workspace", Integer),
            ("id", Bytes),
            ("entity", Integer),
            ("entity_id", Bytes),
            ("text", Text),
            ("queue_id", Bytes),
            ("created_at", Integer),
            ("created_by", Text),
            ("last_updated_at", Integer),
            ("last_updated_by", Text),
        ],
        has_sequence: true,
        ..PLAIN
    },
    Table {
        name: "purges",
        columns: &[("key", Integer), ("project", Integer), ("trace_id", Bytes), ("last_span", Integer)],
        has_sequence: true,
        ..PLAIN
    },
    Table { name: "project_purges", columns: &[("project", Integer)], ..PLAIN },
    Table {
        name: "attachments",
        columns: &[
            ("key", Integer),
            ("workspace", Integer),
            ("entity", Integer),
            ("entity_id", Bytes),
            ("project", Integer),
            ("name", Text),
            ("mime_type", Text),
            ("bytes", Integer),
            ("sha256", Bytes),
        ],
        has_sequence: true,
        ..PLAIN
    },
    Table { name: "loose_contents", columns: &[("sha256", Bytes)], ..PLAIN },
    // Contents, by themselves: see `copy`.
    Table { name: "contents", columns: &[("sha256", Bytes)], ..PLAIN },
];
