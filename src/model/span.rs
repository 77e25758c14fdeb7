//! Spans: one step of a trace, as clients write and read it.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::json::{explicit, object, objects};
use super::validation::broken;
use super::{
    CommentPublic, Cost, Environment, ErrorInfo, ErrorInfoPublic, ErrorInfoWrite, FeedbackScorePublic, Id,
    JsonListString, JsonListStringPublic, JsonListStringWrite, LastUpdatedAt, ProjectName, Source, SpanType, Tags,
    Timestamp, UpdateTags, Usage,
};

/// A span to create. Members that are left out or null are not stated: creating the same id again adds what is stated
/// and never clears anything.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a span object")]
#[schema(as = Span_Write)]
pub struct SpanWrite {
    /// A UUIDv7 chosen by the client; made by the server when absent.
    #[schema(inline)]
    pub id: Option<Id>,
    /// If null, the default project is used. At most 1,000 characters unless the server is set up otherwise.
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// The trace this span belongs to; it need not exist yet. Made by the server when absent.
    #[schema(inline)]
    pub trace_id: Option<Id>,
    /// The span this one ran inside, if any; it need not exist yet.
    #[schema(inline)]
    pub parent_span_id: Option<Id>,
    /// At most 20,000 characters unless the server is set up otherwise.
    pub name: Option<String>,
    /// What kind of work it is.
    #[schema(inline)]
    pub r#type: Option<SpanType>,
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
    /// Name of the model. At most 20,000 characters unless the server is set up otherwise.
    pub model: Option<String>,
    /// Who serves the model. At most 20,000 characters unless the server is set up otherwise.
    pub provider: Option<String>,
    /// At most 1,000 tags of 1,000 characters unless the server is set up otherwise. Repetitions are dropped.
    #[schema(inline)]
    #[validate(nested)]
    pub tags: Option<Tags>,
    /// Token counts by name.
    #[schema(inline)]
    pub usage: Option<Usage>,
    /// The error it ended with.
    #[serde(default, deserialize_with = "object")]
    pub error_info: Option<ErrorInfoWrite>,
    /// Orders several creates of the same id: member by member, the one with the later stamp counts.
    #[schema(inline)]
    #[validate(nested)]
    pub last_updated_at: Option<LastUpdatedAt>,
    /// What it cost, in US dollars; estimated by the server when absent.
    #[schema(inline)]
    #[validate(nested)]
    pub total_estimated_cost: Option<Cost>,
    /// Accepted and not used: the server names the version of its own estimates.
    pub total_estimated_cost_version: Option<String>,
    /// Time to first token in milliseconds
    pub ttft: Option<f64>,
    /// Where it comes from.
    #[schema(inline)]
    pub source: Option<Source>,
    /// Name of the environment it ran in.
    #[schema(inline)]
    #[validate(nested)]
    pub environment: Option<Environment>,
}

/// From the published contract.
pub const SPANS_IN_BATCH_MAX: usize = 1_000;

/// Spans to create together: all of them or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object with spans")]
#[schema(as = SpanBatch_Write)]
pub struct SpanBatchWrite {
    /// Any mix of projects and traces. The same id may come more than once.
    #[schema(required, inline, value_type = SpanList)]
    pub spans: Option<SpanList>,
}

/// By hand: the derived form would copy a refused batch whole into its error.
impl Validate for SpanBatchWrite {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let spans = match &self.spans {
            Some(spans) => spans.validate(),
            None => Err(broken("required", "must not be null")),
        };
        let mut errors = ValidationErrors::new();
        errors.merge_self("spans", spans);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The members of a batch.
#[derive(Debug)]
pub struct SpanList(pub Vec<SpanWrite>);

impl<'de> Deserialize<'de> for SpanList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        objects(deserializer).map(Self)
    }
}

impl Validate for SpanList {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if !(1..=SPANS_IN_BATCH_MAX).contains(&self.0.len()) {
            return Err(broken("length", format!("size must be between 1 and {SPANS_IN_BATCH_MAX}")));
        }
        self.0.validate()
    }
}

impl PartialSchema for SpanList {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(SpanWrite::name()))
            .min_items(Some(1))
            .max_items(Some(SPANS_IN_BATCH_MAX))
            .into()
    }
}

impl ToSchema for SpanList {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((SpanWrite::name().into_owned(), SpanWrite::schema()));
        SpanWrite::schemas(schemas);
    }
}

/// A change to a span. Members that are left out stay as they are; what an update states stands against any create,
/// whichever comes first.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with the changes")]
pub struct SpanUpdate {
    /// If null and `project_id` not specified, Default Project is assumed. At most 1,000 characters unless the server is set
    /// up otherwise.
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// If null and `project_name` not specified, Default Project is assumed
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// The trace of the span; must be the one it has.
    #[schema(required, value_type = String, format = Uuid)]
    #[validate(required(message = "must not be null"))]
    pub trace_id: Option<Id>,
    /// The parent of the span; must be the one it has, when it is stated.
    #[schema(inline)]
    pub parent_span_id: Option<Id>,
    /// A blank name changes nothing.
    pub name: Option<String>,
    /// What kind of work it is.
    #[schema(inline)]
    pub r#type: Option<SpanType>,
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
    /// A blank model changes nothing.
    pub model: Option<String>,
    /// A blank provider changes nothing.
    pub provider: Option<String>,
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
    /// Replaces all token counts; an empty object clears them.
    #[schema(inline)]
    pub usage: Option<Usage>,
    /// What it cost, in US dollars; 0 clears it.
    #[schema(inline)]
    #[validate(nested)]
    pub total_estimated_cost: Option<Cost>,
    /// Replaces the error.
    #[serde(default, deserialize_with = "object")]
    pub error_info: Option<ErrorInfo>,
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

/// A span as it is stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Span_Public)]
pub struct SpanPublic {
    /// The span's own id.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Name of its project; in answers about one span only.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_name: Option<ProjectName>,
    /// Its project.
    #[schema(value_type = Option<String>, format = Uuid, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Id>,
    /// The trace it belongs to.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Id>,
    /// The span it ran inside, if any.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<Id>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What kind of work it is.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<SpanType>,
    /// When it began; 1970-01-01T00:00:00Z for a span that was updated but not yet created.
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
    /// Anything else, and the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<JsonListStringPublic>,
    /// Name of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who serves the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Its tags, in the order they were added.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Token counts by name.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The error it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_info: Option<ErrorInfoPublic>,
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
    /// Comments on it, oldest first.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comments: Option<Vec<CommentPublic>>,
    /// What it cost, in US dollars.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_estimated_cost: Option<Cost>,
    /// Version of the server's estimate; absent where a client stated the cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_estimated_cost_version: Option<String>,
    /// Duration in milliseconds as a decimal number to support sub-millisecond precision
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Time to first token in milliseconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    /// Where it comes from.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Name of the environment it ran in; empty when none was stated.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}
