//! The fields that can be filtered by: one row each.

use crate::model::Operator;

/// What kind of values a field has, which decides what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text, compared without regard to letter case.
    String,
    /// Text, compared to the letter.
    StringExact,
    /// A point in time.
    DateTime,
    /// A number.
    Number,
    /// Scores by name; the filter's key is the name.
    FeedbackScores,
    /// JSON; the filter's key is a path in it.
    Dictionary,
    /// A list of texts.
    List,
    /// One of some texts.
    Enum,
    /// The same, where a missing value counts as the first of them.
    EnumLegacy,
    /// Several texts; asked is whether one of them is among some.
    StringList,
    /// An error, or none.
    ErrorContainer,
    /// A path that begins with the name of a payload.
    Custom,
}

impl Kind {
    /// As the original calls it in its messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::StringExact => "STRING_EXACT",
            Self::DateTime => "DATE_TIME",
            Self::Number => "NUMBER",
            Self::FeedbackScores => "FEEDBACK_SCORES_NUMBER",
            Self::Dictionary => "DICTIONARY",
            Self::List => "LIST",
            Self::Enum => "ENUM",
            Self::EnumLegacy => "ENUM_LEGACY",
            Self::StringList => "STRING_LIST",
            Self::ErrorContainer => "ERROR_CONTAINER",
            Self::Custom => "CUSTOM",
        }
    }

    /// What can be asked.
    #[must_use]
    pub const fn operators(self) -> &'static [Operator] {
        use Operator::{
            Contains, EndsWith, Equal, Greater, GreaterEqual, In, IsEmpty, IsNotEmpty, Less, LessEqual, NotContains,
            NotEqual, NotIn, StartsWith,
        };
        match self {
            Self::String | Self::StringExact => {
                &[Contains, NotContains, StartsWith, EndsWith, Equal, NotEqual, Greater, Less]
            }
            Self::DateTime | Self::Number => &[Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual],
            Self::FeedbackScores => &[Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual, IsEmpty, IsNotEmpty],
            Self::Dictionary => &[
                Contains,
                NotContains,
                StartsWith,
                EndsWith,
                Equal,
                NotEqual,
                Greater,
                GreaterEqual,
                Less,
                LessEqual,
                IsEmpty,
                IsNotEmpty,
            ],
            Self::List => &[Contains, NotContains, Equal, NotEqual, IsEmpty, IsNotEmpty],
            Self::Enum => &[Equal, NotEqual, IsEmpty, IsNotEmpty, In, NotIn],
            Self::EnumLegacy => &[Equal, NotEqual],
            Self::StringList => &[In, NotIn],
            Self::ErrorContainer => &[IsEmpty, IsNotEmpty],
            // Becomes one of the others before it is asked anything.
            Self::Custom => &Operator::ALL,
        }
    }

    /// Whether the filter's key means something.
    #[must_use]
    pub const fn has_key(self) -> bool {
        matches!(self, Self::Dictionary | Self::FeedbackScores | Self::Custom)
    }
}

/// What a row without the value counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Every one has a value.
    Never,
    /// As the empty text, list or object.
    Empty,
    /// As 0.
    Zero,
    /// As this text.
    As(&'static str),
    /// No condition is true of it.
    NoMatch,
}

/// A field that can be filtered by.
#[derive(Debug, PartialEq)]
pub struct Field {
    /// As it is written in a filter.
    pub name: &'static str,
    /// What kind of values it has.
    pub kind: Kind,
    /// What one without the value counts as.
    pub absent: Absent,
    /// Its value in SQL, or which scores `f` are meant; `s` is the span, trace or thread, `p` its payloads, `u` what a
    /// trace's spans amount to.
    pub sql: &'static str,
    /// What it is, for people.
    pub about: &'static str,
}

pub(super) const fn field(
    name: &'static str,
    kind: Kind,
    absent: Absent,
    sql: &'static str,
    about: &'static str,
) -> Field {
    Field { name, kind, absent, sql, about }
}

/// Milliseconds from start to end, 0 where there is no end, or no start yet.
pub(crate) const DURATION_SQL: &str = "CASE WHEN s.end_time IS NULL OR s.start_time = 0 THEN 0.0 \
     ELSE (s.end_time / 1000 - s.start_time / 1000) / 1000.0 END";

/// The scores `f` of the span `s`.
pub(crate) const SPAN_SCORES_SQL: &str = "f.workspace = s.workspace AND f.entity = 1 AND f.entity_id = s.id";

/// The scores `f` of the trace `s`.
pub(crate) const TRACE_SCORES_SQL: &str = "f.workspace = s.workspace AND f.entity = 2 AND f.entity_id = s.id";

/// The scores `f` of the spans of the trace `s`.
const SCORES_OF_SPANS_SQL: &str = "f.workspace = s.workspace AND f.entity = 1 AND f.entity_id IN \
     (SELECT x.id FROM spans x WHERE x.project = s.project AND x.trace_id = s.id)";

const ERROR_TYPE_SQL: &str = "coalesce(json_extract(s.error_info, '$.exception_type'), '')";

pub(super) const SOURCE_SQL: &str = "CASE s.source WHEN 2 THEN 'experiment' WHEN 3 THEN 'playground' WHEN 4 THEN 'optimization' \
     WHEN 5 THEN 'evaluator' ELSE 'sdk' END";

/// The fields of spans.
pub static SPAN_FIELDS: [Field; 27] = [
    field("id", Kind::StringExact, Absent::Never, "uuid_text(s.id)", "the span's id, in lower case"),
    field("trace_id", Kind::StringExact, Absent::Never, "uuid_text(s.trace_id)", "the trace's id, in lower case"),
    field("name", Kind::String, Absent::Empty, "coalesce(s.name, '')", "the name"),
    field("model", Kind::String, Absent::Empty, "coalesce(s.model, '')", "the model"),
    field("provider", Kind::String, Absent::Empty, "coalesce(s.provider, '')", "who serves the model"),
    field(
        "type",
        Kind::Enum,
        Absent::As("unknown"),
        "CASE s.type WHEN 1 THEN 'general' WHEN 2 THEN 'tool' WHEN 3 THEN 'llm' WHEN 4 THEN 'guardrail' \
         ELSE 'unknown' END",
        "general, tool, llm or guardrail",
    ),
    field("start_time", Kind::DateTime, Absent::Never, "s.start_time", "when it began"),
    field("end_time", Kind::DateTime, Absent::NoMatch, "s.end_time", "when it ended"),
    field("created_at", Kind::DateTime, Absent::Never, "s.created_at", "when the server first heard of it"),
    field("last_updated_at", Kind::DateTime, Absent::Never, "s.last_updated_at", "when it last changed"),
    field("input", Kind::String, Absent::Empty, "plain_json(p.input)", "the input's JSON text, as it was sent"),
    field("output", Kind::String, Absent::Empty, "plain_json(p.output)", "the output's JSON text, as it was sent"),
    field("input_json", Kind::Dictionary, Absent::Empty, "p.input", "what a path in the input leads to"),
    field("output_json", Kind::Dictionary, Absent::Empty, "p.output", "what a path in the output leads to"),
    field("metadata", Kind::Dictionary, Absent::Empty, "p.metadata", "what a path in the metadata leads to"),
    field("total_estimated_cost", Kind::Number, Absent::Zero, "coalesce(s.cost_value, 0.0)", "the cost in US dollars"),
    field(
        "usage.total_tokens",
        Kind::Number,
        Absent::Zero,
        "coalesce(CAST(json_extract(s.usage, '$.total_tokens') AS BIGINT), 0)",
        "tokens in all",
    ),
    field(
        "usage.prompt_tokens",
        Kind::Number,
        Absent::Zero,
        "coalesce(CAST(json_extract(s.usage, '$.prompt_tokens') AS BIGINT), 0)",
        "tokens of the prompt",
    ),
    field(
        "usage.completion_tokens",
        Kind::Number,
        Absent::Zero,
        "coalesce(CAST(json_extract(s.usage, '$.completion_tokens') AS BIGINT), 0)",
        "tokens of the completion",
    ),
    field("duration", Kind::Number, Absent::Zero, DURATION_SQL, "milliseconds from start to end"),
    field("ttft", Kind::Number, Absent::NoMatch, "s.ttft", "milliseconds to the first token"),
    field("tags", Kind::List, Absent::Empty, "coalesce(s.tags, '[]')", "the tags"),
    field(
        "feedback_scores",
        Kind::FeedbackScores,
        Absent::Empty,
        SPAN_SCORES_SQL,
        "the score of the name that is the key",
    ),
    field("error_info", Kind::ErrorContainer, Absent::Empty, "s.error_info", "the error"),
    field("error_type", Kind::String, Absent::Empty, ERROR_TYPE_SQL, "the kind of the error"),
    field(
        "source",
        Kind::EnumLegacy,
        Absent::As("sdk"),
        SOURCE_SQL,
        "sdk, experiment, playground, optimization or evaluator",
    ),
    field("environment", Kind::Enum, Absent::Empty, "coalesce(s.environment, '')", "the environment"),
];

/// The fields of traces. What their spans amount to counts as 0 where there are none.
pub static TRACE_FIELDS: [Field; 31] = [
    field("id", Kind::StringExact, Absent::Never, "uuid_text(s.id)", "the trace's id, in lower case"),
    field("name", Kind::String, Absent::Empty, "coalesce(s.name, '')", "the name"),
    field("start_time", Kind::DateTime, Absent::Never, "s.start_time", "when it began"),
    field("end_time", Kind::DateTime, Absent::NoMatch, "s.end_time", "when it ended"),
    field("created_at", Kind::DateTime, Absent::Never, "s.created_at", "when the server first heard of it"),
    field("last_updated_at", Kind::DateTime, Absent::Never, "s.last_updated_at", "when it last changed"),
    field("input", Kind::String, Absent::Empty, "plain_json(p.input)", "the input's JSON text, as it was sent"),
    field("output", Kind::String, Absent::Empty, "plain_json(p.output)", "the output's JSON text, as it was sent"),
    field("input_json", Kind::Dictionary, Absent::Empty, "p.input", "what a path in the input leads to"),
    field("output_json", Kind::Dictionary, Absent::Empty, "p.output", "what a path in the output leads to"),
    field("metadata", Kind::Dictionary, Absent::Empty, "p.metadata", "what a path in the metadata leads to"),
    field(
        "total_estimated_cost",
        Kind::Number,
        Absent::Zero,
        "coalesce(u.cost_value, 0.0)",
        "what its spans cost, in US dollars",
    ),
    field("llm_span_count", Kind::Number, Absent::Zero, "coalesce(u.llm_spans, 0)", "how many llm spans it has"),
    field(
        "usage.total_tokens",
        Kind::Number,
        Absent::Zero,
        "coalesce(CAST(json_extract(u.usage, '$.total_tokens') AS BIGINT), 0)",
        "tokens of its spans in all",
    ),
    field(
        "usage.prompt_tokens",
        Kind::Number,
        Absent::Zero,
        "coalesce(CAST(json_extract(u.usage, '$.prompt_tokens') AS BIGINT), 0)",
        "tokens of its spans' prompts",
    ),
    field(
        "usage.completion_tokens",
        Kind::Number,
        Absent::Zero,
        "coalesce(CAST(json_extract(u.usage, '$.completion_tokens') AS BIGINT), 0)",
        "tokens of its spans' completions",
    ),
    field("duration", Kind::Number, Absent::Zero, DURATION_SQL, "milliseconds from start to end"),
    field("ttft", Kind::Number, Absent::NoMatch, "s.ttft", "milliseconds to the first token"),
    field("tags", Kind::List, Absent::Empty, "coalesce(s.tags, '[]')", "the tags"),
    field(
        "feedback_scores",
        Kind::FeedbackScores,
        Absent::Empty,
        TRACE_SCORES_SQL,
        "the score of the name that is the key",
    ),
    field(
        "span_feedback_scores",
        Kind::FeedbackScores,
        Absent::Empty,
        SCORES_OF_SPANS_SQL,
        "the mean of the scores of its spans with the name that is the key",
    ),
    field("error_info", Kind::ErrorContainer, Absent::Empty, "s.error_info", "the error"),
    field("error_type", Kind::String, Absent::Empty, ERROR_TYPE_SQL, "the kind of the error"),
    field("thread_id", Kind::StringExact, Absent::Empty, "coalesce(s.thread_id, '')", "the conversation it belongs to"),
    field("visibility_mode", Kind::Enum, Absent::Never, "'default'", "always default"),
    field("guardrails", Kind::String, Absent::Empty, "''", "always empty: there are no guardrails"),
    field("annotation_queue_ids", Kind::List, Absent::Empty, "'[]'", "always empty: there are no annotation queues"),
    field("experiment_id", Kind::StringExact, Absent::NoMatch, "NULL", "never there: there are no experiments"),
    field("experiment_ids", Kind::StringList, Absent::NoMatch, "NULL", "never there: there are no experiments"),
    field(
        "source",
        Kind::EnumLegacy,
        Absent::As("sdk"),
        SOURCE_SQL,
        "sdk, experiment, playground, optimization or evaluator",
    ),
    field("environment", Kind::Enum, Absent::Empty, "coalesce(s.environment, '')", "the environment"),
];

/// The field that stands for a path into a payload; it becomes one of the others.
pub(super) static CUSTOM: Field =
    field("custom", Kind::Custom, Absent::Empty, "", "input or output, with a path in it as part of the key");

/// The fields that can be named, [`CUSTOM`] among them where there are paths for it to lead to.
pub(super) fn all(fields: &'static [Field]) -> impl Iterator<Item = &'static Field> {
    let paths = fields.iter().any(|field| field.kind == Kind::Dictionary);
    fields.iter().chain(paths.then_some(&CUSTOM))
}

/// The field named so.
pub(super) fn named(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    all(fields).find(|field| field.name == name)
}
