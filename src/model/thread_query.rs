//! Many threads: asked for, and answered together.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::{PartialSchema, ToSchema, openapi::Ref};
use validator::Validate;

use super::span_query::filters;
use super::{ErrorMessage, Id, SearchLimit, SpanFilter, Timestamp, TraceThread, TraceThreadFilter};

/// Where a search for threads goes on: a thread's own id. Python's SDK sends what the thread's traces call it instead.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct ThreadCursor(pub String);

impl PartialSchema for ThreadCursor {
    fn schema() -> RefOr<Schema> {
        Id::schema()
    }
}

impl ToSchema for ThreadCursor {}

/// Which threads to stream.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a search object")]
pub struct TraceThreadSearchStreamRequest {
    /// Their project, by name. This or `project_id` is needed.
    pub project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// Only those for which all of these hold.
    #[serde(default, deserialize_with = "filters")]
    #[schema(value_type = Option<Vec<TraceThreadFilter>>)]
    pub filters: Option<Vec<SpanFilter>>,
    /// Only threads with a lower `thread_model_id`: the last one of the answer before this one. Its `id` will do, too.
    #[schema(inline)]
    pub last_retrieved_thread_model_id: Option<ThreadCursor>,
    /// Most threads to answer with.
    #[schema(inline)]
    #[validate(nested)]
    pub limit: Option<SearchLimit>,
    /// Cut the messages short.
    #[schema(default = false)]
    pub truncate: Option<bool>,
    /// Without effect: messages have references to attachments as they are.
    #[schema(default = false)]
    pub strip_attachments: Option<bool>,
    /// Only threads whose `thread_model_id` was made from this time on, and of them only such traces.
    #[schema(inline)]
    pub from_time: Option<Timestamp>,
    /// Only threads whose `thread_model_id` was made up to this time, and of them only such traces. Must be after
    /// `from_time`.
    #[schema(inline)]
    pub to_time: Option<Timestamp>,
}

/// The answer to a search: one thread a line.
#[derive(Debug)]
pub struct ThreadStream;

impl PartialSchema for ThreadStream {
    fn schema() -> RefOr<Schema> {
        let item = utoipa::openapi::schema::AnyOfBuilder::new()
            .item(Ref::from_schema_name(TraceThread::name()))
            .item(Ref::from_schema_name(ErrorMessage::name()));
        ArrayBuilder::new().items(item).max_items(Some(2_000)).into()
    }
}

impl ToSchema for ThreadStream {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TraceThread::name().into_owned(), TraceThread::schema()));
        TraceThread::schemas(schemas);
    }
}

/// A page of threads.
#[derive(Debug, Serialize, ToSchema)]
pub struct TraceThreadPage {
    /// Which page it is, from 1.
    #[schema(required = false)]
    pub page: i32,
    /// How many threads are on it.
    #[schema(required = false)]
    pub size: i32,
    /// How many threads there are on all pages.
    #[schema(required = false)]
    pub total: i64,
    /// The threads.
    #[schema(required = false)]
    pub content: Vec<TraceThread>,
    /// What can be sorted by.
    #[serde(rename = "sortableBy")]
    #[schema(required = false)]
    pub sortable_by: Vec<&'static str>,
}
