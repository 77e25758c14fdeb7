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
mod json;
mod limits;
mod span;
mod span_enums;
mod tags;
mod text;
mod timestamp;
mod usage;
mod validation;

pub use comment::CommentPublic;
pub use decimal::{Cost, Decimal};
pub use error_info::{ErrorInfo, ErrorInfoPublic, ErrorInfoWrite};
pub use error_message::{ErrorMessage, Violation};
pub use feedback_score::{FeedbackScorePublic, ScoreSource, ValueEntryPublic};
pub use id::Id;
pub use json::{JsonListString, JsonListStringPublic, JsonListStringWrite, Object, Payload, is_null};
pub use limits::{Limited, TextLimits};
pub use span::{SPANS_IN_BATCH_MAX, SpanBatchWrite, SpanList, SpanPublic, SpanUpdate, SpanWrite};
pub use span_enums::{Source, SpanType};
pub use tags::{Tags, UpdateTags};
pub use text::{Environment, ProjectName};
pub use timestamp::{LastUpdatedAt, Timestamp};
pub use usage::Usage;
pub use validation::{ITEM, flatten};
