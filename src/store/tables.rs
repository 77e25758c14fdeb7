//! Where what is asked for stands, and what of it can be searched and sorted by.

use super::query::Kind;
use super::sql::{self, Dialect, Pattern};
use crate::filter::{SPAN_SCORES_SQL, TRACE_SCORES_SQL, thread_sql};

/// The tables of one kind of thing. In SQL, `s` is its row, `p` its payloads, `u` what the spans of a trace amount to,
/// `f` a score.
pub(super) struct Table {
    pub rows: &'static str,
    /// What is stored of each; of threads, of each of their traces.
    pub stored: &'static sql::Table,
    /// Which scores `f` are of `s`.
    pub scores: &'static str,
    /// The token counts.
    pub usage: &'static str,
    /// The condition that a search of a pattern sets, which is bound at this place.
    pub search: fn(Dialect, &Pattern) -> String,
    /// The order of equal ones.
    pub order: &'static str,
    /// What a field is sorted by.
    pub sort: fn(&str) -> &'static str,
}

static SPANS: Table = Table {
    rows: "spans",
    stored: &sql::SPANS,
    scores: SPAN_SCORES_SQL,
    usage: "s.usage",
    search: |dialect, pattern| {
        found(
            dialect,
            &[
                "uuid_text(s.id)",
                "uuid_text(s.trace_id)",
                "s.name",
                "s.model",
                "s.provider",
                "CASE s.type WHEN 1 THEN 'general' WHEN 2 THEN 'tool' WHEN 3 THEN 'llm' WHEN 4 THEN 'guardrail' \
         ELSE 'unknown' END",
                "plain_json(p.input)",
                "plain_json(p.output)",
                "plain_json(p.metadata)",
            ],
            pattern,
        )
    },
    order: "s.trace_id DESC, s.parent_span_id DESC NULLS LAST, s.id DESC",
    sort: |name| match name {
        "type" => "s.type",
        "trace_id" => "s.trace_id",
        "parent_span_id" => "coalesce(s.parent_span_id, x'')",
        "model" => "coalesce(s.model, '')",
        "provider" => "coalesce(s.provider, '')",
        "total_estimated_cost" => "coalesce(s.cost_value, 0)",
        name => either(name),
    },
};

static TRACES: Table = Table {
    rows: "traces",
    stored: &sql::TRACES,
    scores: TRACE_SCORES_SQL,
    usage: "u.usage",
    search: |dialect, pattern| {
        found(
            dialect,
            &[
                "uuid_text(s.id)",
                "s.name",
                "s.thread_id",
                "s.error_info",
                "plain_json(p.input)",
                "plain_json(p.output)",
                "plain_json(p.metadata)",
            ],
            pattern,
        )
    },
    order: "s.id DESC",
    sort: |name| match name {
        "thread_id" => "coalesce(s.thread_id, '')",
        "span_count" => "coalesce(u.spans, 0)",
        "llm_span_count" => "coalesce(u.llm_spans, 0)",
        "total_estimated_cost" => "coalesce(u.cost_value, 0)",
        "experiment_id" => "CAST('' AS TEXT)",
        name => either(name),
    },
};

static THREADS: Table = Table {
    rows: "conversations",
    stored: &sql::TRACES,
    scores: thread_sql::SCORES,
    usage: thread_sql::USAGE,
    search: |dialect, pattern| {
        let payloads = dialect.payloads(&sql::TRACES, "m", "q");
        let [name, id, input, output] =
            ["s.thread_id", "uuid_text(m.id)", "plain_json(q.input)", "plain_json(q.output)"]
                .map(|text| dialect.has_text(text, pattern));
        format!(
            "({name} OR EXISTS (SELECT 1 FROM members m{payloads} \
             WHERE m.project = s.project AND m.thread_id = s.thread_id AND ({id} OR {input} OR {output})))"
        )
    },
    order: thread_sql::ORDER,
    sort: |name| match name {
        "id" => "s.thread_id",
        "start_time" => thread_sql::START,
        "end_time" => thread_sql::END,
        "duration" => thread_sql::DURATION,
        "number_of_messages" => thread_sql::MESSAGES,
        "total_estimated_cost" => thread_sql::COST,
        "status" => "s.status",
        name => either(name),
    },
};

impl Kind {
    pub(super) fn table(self) -> &'static Table {
        match self {
            Self::Spans => &SPANS,
            Self::Traces => &TRACES,
            Self::Threads => &THREADS,
        }
    }
}

/// Whether a pattern is in one of these texts of `s`, or in one of its tags.
fn found(dialect: Dialect, texts: &[&str], pattern: &Pattern) -> String {
    let any: Vec<String> = texts.iter().map(|text| dialect.has_text(text, pattern)).collect();
    format!("({} OR {})", any.join(" OR "), Dialect::has_item("coalesce(s.tags, '[]')", pattern))
}

/// What all are sorted by alike.
fn either(name: &str) -> &'static str {
    match name {
        "id" => "s.id",
        "name" => "coalesce(s.name, '')",
        "input" => "coalesce(p.input, '')",
        "output" => "coalesce(p.output, '')",
        "metadata" => "coalesce(p.metadata, '')",
        "start_time" => "s.start_time",
        "end_time" => "s.end_time",
        "duration" => {
            "CASE WHEN s.end_time IS NULL OR s.start_time = 0 THEN NULL ELSE s.end_time / 1000 - s.start_time / 1000 END"
        }
        "ttft" => "s.ttft",
        "tags" => "coalesce((SELECT group_concat(t.value, char(1)) FROM json_each(s.tags) t), '')",
        "created_at" => "s.created_at",
        "last_updated_at" => "s.last_updated_at",
        "error_info" => "coalesce(s.error_info, '')",
        "created_by" => "s.created_by",
        _ => "coalesce(s.environment, '')",
    }
}
