//! Many traces: asked for, changed, and answered together.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::{PartialSchema, ToSchema, openapi::Ref};
use validator::{Validate, ValidationErrors};

use super::json::object;
use super::span_query::{filters, ids_and_update};
use super::{
    ErrorMessagePublic, Excluded, Id, Ids, SearchLimit, SpanFilter, Timestamp, TraceFilter, TracePublic, TraceUpdate,
};

/// One change to many traces.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object with ids and an update")]
pub struct TraceBatchUpdate {
    /// The traces; unknown ones are passed over.
    #[schema(required, inline, value_type = Ids)]
    pub ids: Option<Ids>,
    /// The change. Its project is not looked at.
    #[schema(required, value_type = TraceUpdate)]
    #[serde(default, deserialize_with = "object")]
    pub update: Option<TraceUpdate>,
    /// If true, `tags` are added to the tags there are; if false, they replace them.
    pub merge_tags: Option<bool>,
}

impl Validate for TraceBatchUpdate {
    fn validate(&self) -> Result<(), ValidationErrors> {
        ids_and_update(self.ids.as_ref(), self.update.as_ref())
    }
}

/// Members of a trace that an answer can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named after the members")]
pub enum TraceMember {
    Name,
    StartTime,
    EndTime,
    Input,
    Output,
    Metadata,
    Tags,
    ErrorInfo,
    Usage,
    CreatedAt,
    CreatedBy,
    LastUpdatedBy,
    FeedbackScores,
    SpanFeedbackScores,
    Comments,
    GuardrailsValidations,
    TotalEstimatedCost,
    SpanCount,
    LlmSpanCount,
    HasToolSpans,
    Duration,
    Ttft,
    ThreadId,
    VisibilityMode,
    Providers,
    Experiment,
    Source,
    Environment,
}

/// Members of traces to leave out.
pub type ExcludedOfTraces = Excluded<TraceMember>;

/// Which traces to stream.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a search object")]
#[schema(as = TraceSearchStreamRequest_Public)]
pub struct TraceSearchStreamRequest {
    /// Their project, by name. This or `project_id` is needed.
    pub project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// Only those for which all of these hold.
    #[serde(default, deserialize_with = "filters")]
    #[schema(value_type = Option<Vec<TraceFilter>>)]
    pub filters: Option<Vec<SpanFilter>>,
    /// Only traces with lower ids: the last id of the answer before this one.
    #[schema(inline)]
    pub last_retrieved_id: Option<Id>,
    /// Most traces to answer with.
    #[schema(inline)]
    #[validate(nested)]
    pub limit: Option<SearchLimit>,
    /// Cut input, output and metadata short.
    #[schema(default = false)]
    pub truncate: Option<bool>,
    /// If true, references to attachments are returned as they are; if false, the attachments' content stands in their
    /// place.
    #[schema(default = false)]
    pub strip_attachments: Option<bool>,
    /// Members to leave out of the answer.
    #[schema(inline)]
    pub exclude: Option<ExcludedOfTraces>,
    /// Only traces whose ids were made from this time on.
    #[schema(inline)]
    pub from_time: Option<Timestamp>,
    /// Only traces whose ids were made up to this time. Must be after `from_time`.
    #[schema(inline)]
    pub to_time: Option<Timestamp>,
}

/// The answer to a search: one trace a line.
#[derive(Debug)]
pub struct TraceStream;

impl PartialSchema for TraceStream {
    fn schema() -> RefOr<Schema> {
        let item = utoipa::openapi::schema::AnyOfBuilder::new()
            .item(Ref::from_schema_name(TracePublic::name()))
            .item(Ref::from_schema_name(ErrorMessagePublic::name()));
        ArrayBuilder::new().items(item).max_items(Some(2_000)).into()
    }
}

impl ToSchema for TraceStream {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ErrorMessagePublic::name().into_owned(), ErrorMessagePublic::schema()));
        schemas.push((TracePublic::name().into_owned(), TracePublic::schema()));
        TracePublic::schemas(schemas);
    }
}

/// A page of traces.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TracePage_Public)]
pub struct TracePagePublic {
    /// Which page it is, from 1.
    #[schema(required = false)]
    pub page: i32,
    /// How many traces are on it.
    #[schema(required = false)]
    pub size: i32,
    /// How many traces there are on all pages.
    #[schema(required = false)]
    pub total: i64,
    /// The traces.
    #[schema(required = false)]
    pub content: Vec<TracePublic>,
    /// What can be sorted by.
    #[serde(rename = "sortableBy")]
    #[schema(required = false)]
    pub sortable_by: Vec<&'static str>,
}
