//! Traces: one run of an application from end to end, as clients write and read it.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::json::{explicit, object, objects};
use super::span_enums::vocabulary;
use super::usage::UsageSums;
use super::validation::broken;
use super::{
    CommentPublic, Decimal, Environment, ErrorInfo, ErrorInfoPublic, ErrorInfoWrite, FeedbackScorePublic, Id,
    JsonListString, JsonListStringPublic, JsonListStringWrite, LastUpdatedAt, ProjectName, Source, Tags, Timestamp,
    UpdateTags,
};

/// A trace to create. Members that are left out or null are not stated: creating the same id again adds what is stated
/// and never clears anything.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a trace object")]
#[schema(as = Trace_Write)]
pub struct TraceWrite {
    /// A UUIDv7 chosen by the client; made by the server when absent.
    #[schema(inline)]
    pub id: Option<Id>,
    /// If null, the default project is used. At most 1,000 characters unless the server is set up otherwise.
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// At most 20,000 characters unless the server is set up otherwise.
    pub name: Option<String>,
    /// When it began.
    #[schema(required, value_type = String, format = DateTime)]
    #[validate(required(message = "must not be null"), nested)]
    pub start_time: Option<Timestamp>,
    /// When it ended; may lie before the start, as clocks do.
    #[schema(inline)]
    #[validate(nested)]
    pub end_time: Option<Timestamp>,
    /// What went in. Kept as sent.
    pub input: Option<JsonListStringWrite>,
    /// What came out. Kept as sent.
    pub output: Option<JsonListStringWrite>,
    /// Anything else. Kept as sent.
    pub metadata: Option<JsonListStringWrite>,
    /// At most 1,000 tags of 1,000 characters unless the server is set up otherwise. Repetitions are dropped.
    #[schema(inline)]
    #[validate(nested)]
    pub tags: Option<Tags>,
    /// The error it ended with.
    #[serde(default, deserialize_with = "object")]
    pub error_info: Option<ErrorInfoWrite>,
    /// Orders several creates of the same id: member by member, the one with the later stamp counts.
    #[schema(inline)]
    #[validate(nested)]
    pub last_updated_at: Option<LastUpdatedAt>,
    /// Time to first token in milliseconds
    pub ttft: Option<f64>,
    /// The conversation it belongs to. At most 20,000 characters unless the server is set up otherwise.
    pub thread_id: Option<String>,
    /// Where it comes from.
    #[schema(inline)]
    pub source: Option<Source>,
    /// Name of the environment it ran in.
    #[schema(inline)]
    #[validate(nested)]
    pub environment: Option<Environment>,
}

/// From the published contract.
pub const TRACES_IN_BATCH_MAX: usize = 1_000;

/// Traces to create together: all of them or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object with traces")]
#[schema(as = TraceBatch_Write)]
pub struct TraceBatchWrite {
    /// Any mix of projects. The same id may come more than once.
    #[schema(required, inline, value_type = TraceList)]
    pub traces: Option<TraceList>,
}

/// By hand: the derived form would copy a refused batch whole into its error.
impl Validate for TraceBatchWrite {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let traces = match &self.traces {
            Some(traces) => traces.validate(),
            None => Err(broken("required", "must not be null")),
        };
        let mut errors = ValidationErrors::new();
        errors.merge_self("traces", traces);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The members of a batch.
#[derive(Debug)]
pub struct TraceList(pub Vec<TraceWrite>);

impl<'de> Deserialize<'de> for TraceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        objects(deserializer).map(Self)
    }
}

impl Validate for TraceList {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if !(1..=TRACES_IN_BATCH_MAX).contains(&self.0.len()) {
            return Err(broken("length", format!("size must be between 1 and {TRACES_IN_BATCH_MAX}")));
        }
        self.0.validate()
    }
}

impl PartialSchema for TraceList {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(TraceWrite::name()))
            .min_items(Some(1))
            .max_items(Some(TRACES_IN_BATCH_MAX))
            .into()
    }
}

impl ToSchema for TraceList {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TraceWrite::name().into_owned(), TraceWrite::schema()));
        TraceWrite::schemas(schemas);
    }
}

/// A change to a trace. Members that are left out stay as they are; what an update states stands against any create,
/// whichever comes first.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with the changes")]
pub struct TraceUpdate {
    /// If null and `project_id` not specified, Default Project is assumed. At most 1,000 characters unless the server is set
    /// up otherwise.
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// If null and `project_name` not specified, Default Project is assumed
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// A blank name changes nothing.
    pub name: Option<String>,
    /// When it ended.
    #[schema(inline)]
    #[validate(nested)]
    pub end_time: Option<Timestamp>,
    /// Replaces the whole input.
    #[serde(default, deserialize_with = "explicit")]
    pub input: Option<JsonListString>,
    /// Replaces the whole output.
    #[serde(default, deserialize_with = "explicit")]
    pub output: Option<JsonListString>,
    /// Replaces the whole metadata.
    #[serde(default, deserialize_with = "explicit")]
    pub metadata: Option<JsonListString>,
    /// Replaces the tags; an empty list clears them.
    #[schema(inline)]
    #[validate(nested)]
    pub tags: Option<UpdateTags>,
    /// Added to the tags, after `tags_to_remove` was taken from them; `tags` is then not looked at.
    #[schema(inline)]
    #[validate(nested)]
    pub tags_to_add: Option<UpdateTags>,
    /// Taken from the tags; `tags` is then not looked at.
    #[schema(inline)]
    #[validate(nested)]
    pub tags_to_remove: Option<UpdateTags>,
    /// Replaces the error.
    #[serde(default, deserialize_with = "object")]
    pub error_info: Option<ErrorInfo>,
    /// The conversation it belongs to; a blank one changes nothing.
    pub thread_id: Option<String>,
    /// Time to first token in milliseconds.
    pub ttft: Option<f64>,
    /// Where it comes from.
    #[schema(inline)]
    pub source: Option<Source>,
    /// Name of the environment it ran in; an empty text clears it.
    #[schema(inline)]
    #[validate(nested)]
    pub environment: Option<Environment>,
}

vocabulary!(
    /// Whether a trace is shown in lists of the user interface.
    VisibilityMode {
        /// It is.
        Default = 1,
        /// It is not.
        Hidden = 2,
    }
);

/// A trace as it is stored, with what its spans amount to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trace_Public)]
pub struct TracePublic {
    /// The trace's own id.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Its project.
    #[schema(value_type = Option<String>, format = Uuid, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Id>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it began; 1970-01-01T00:00:00Z for a trace that was updated but not yet created.
    #[schema(required, value_type = String, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// What went in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<JsonListStringPublic>,
    /// What came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<JsonListStringPublic>,
    /// Anything else, and the providers of its spans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonListStringPublic>,
    /// Its tags, in the order they were added.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// The error it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_info: Option<ErrorInfoPublic>,
    /// Token counts of all its spans, by name.
    #[schema(value_type = Option<UsageSums>, inline, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageSums>,
    /// When the server first heard of it.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it last changed, to the microsecond.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_at: Option<Timestamp>,
    /// Who wrote it first.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who changed it last.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_by: Option<String>,
    /// Scores given to it, one for each name.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_scores: Option<Vec<FeedbackScorePublic>>,
    /// Aggregated feedback scores from all spans in this trace, averaged by score name
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_feedback_scores: Option<Vec<FeedbackScorePublic>>,
    /// Comments on it, oldest first.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<Vec<CommentPublic>>,
    /// Never there: guardrails are not implemented.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrails_validations: Option<Vec<GuardrailsValidationPublic>>,
    /// What its spans cost together, in US dollars.
    #[schema(value_type = Option<Decimal>, inline, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_estimated_cost: Option<Decimal>,
    /// How many spans it has.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_count: Option<i32>,
    /// Duration in milliseconds as a decimal number to support sub-millisecond precision
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Time to first token in milliseconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    /// The conversation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// Whether it is shown in lists of the user interface; absent for a trace that was updated but not yet created.
    #[schema(value_type = Option<VisibilityMode>, inline, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility_mode: Option<VisibilityMode>,
    /// How many spans of the type llm it has.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_span_count: Option<i32>,
    /// Whether it has spans of the type tool.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_tool_spans: Option<bool>,
    /// List of unique provider names from all spans in this trace, sorted alphabetically
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<String>>,
    /// Never there: experiments are not implemented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentItemReferencePublic>,
    /// Where it comes from.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Name of the environment it ran in; empty when none was stated.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

/// What guardrails found in a span.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuardrailsValidation_Public)]
pub struct GuardrailsValidationPublic {
    /// The span.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<Id>,
    /// What was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<CheckPublic>>,
}

/// One thing that a guardrail looked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check_Public)]
pub struct CheckPublic {
    /// What.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<CheckName>,
    /// Whether it was not there.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<CheckResult>,
}

/// What guardrails look for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckName {
    /// A topic.
    Topic,
    /// Personal data.
    Pii,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// Nothing was found.
    Passed,
    /// Something was.
    Failed,
}

/// The experiment that a trace belongs to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExperimentItemReference_Public)]
pub struct ExperimentItemReferencePublic {
    /// Experiment ID
    #[schema(inline)]
    pub id: Id,
    /// Experiment name
    pub name: String,
    /// Dataset ID
    #[schema(inline)]
    pub dataset_id: Id,
    /// Dataset Item ID
    #[schema(inline)]
    pub dataset_item_id: Id,
}
