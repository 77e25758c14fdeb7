//! The contract's types: what clients send and receive.
//!
//! One struct per type of the published contract carries its serde, utoipa and validator attributes, so that
//! parsing, document and enforcement cannot drift apart. Value types that recur (ids, times, decimals, payloads)
//! are newtypes which know their own JSON form, schema and rules. Nothing here knows of HTTP or of a database.
//!
//! Doc comments on fields become descriptions in the public document: they are written for its readers.

mod comment;
mod decimal;
mod error_info;
mod error_message;
mod feedback_score;
mod id;
mod ids;
mod json;
mod limits;
mod operator;
mod span;
mod span_enums;
mod span_filter;
mod span_query;
mod tags;
mod text;
mod timestamp;
mod usage;
mod validation;

pub use comment::{Comment, CommentCreated, CommentPublic};
pub use decimal::{Cost, Decimal};
pub use error_info::{ErrorInfo, ErrorInfoPublic, ErrorInfoWrite};
pub use error_message::{ErrorMessage, ErrorMessagePublic, Violation};
pub use feedback_score::{
    DeleteFeedbackScore, FeedbackScore, FeedbackScoreBatch, FeedbackScoreBatchItem, FeedbackScoreNamesPublic,
    FeedbackScorePublic, NotEmpty, ScoreNamePublic, ScoreSource, ScoreValue, ValueEntryPublic,
};
pub use id::Id;
pub use ids::{BatchDelete, Ids};
pub use json::{JsonListString, JsonListStringPublic, JsonListStringWrite, Object, Payload, is_null};
pub use limits::{Limited, TextLimits};
pub use operator::Operator;
pub use span::{SPANS_IN_BATCH_MAX, SpanBatchWrite, SpanList, SpanPublic, SpanUpdate, SpanWrite};
pub use span_enums::{Source, SpanType};
pub use span_filter::SpanFilter;
pub use span_query::*;
pub use tags::{Tags, UpdateTags};
pub use text::{Environment, ProjectName};
pub use timestamp::{LastUpdatedAt, Timestamp};
pub use usage::Usage;
pub use validation::{ITEM, flatten};
