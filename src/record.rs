//! Sparse records and the rows they merge into.
//!
//! A write is a set of stated members; a row is what all writes of one id amount to. [`merge`] is the only place that
//! knows how the one changes the other, for every kind of entity and every store.

mod fields;
mod merge;
mod score;
mod span;
mod truncate;

pub use fields::{FieldSet, Fields};
pub use merge::{DAY_NANOS, Estimate, Lane, Lanes, Owner, Record, Row, TagEdits, merge};
pub use score::{Score, StoredScore, mean_score, shown_scores};
pub use span::{Conflict, Metadata, ProjectRef, SpanField, SpanFields, SpanRecord, StoredSpan, View, conflict};
