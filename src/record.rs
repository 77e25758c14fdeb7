//! Sparse records and the rows they merge into.
//!
//! A write is a set of stated members; a row is what all writes of one id amount to. [`merge`] is the only place that
//! knows how the one changes the other, for every kind of entity and every store.

mod entity;
mod fields;
mod merge;
mod score;
mod span;
mod stated;
mod thread;
mod trace;
mod trace_view;
mod truncate;
mod view;

pub use entity::{Conflict, Entity, ProjectRef, Target, Traced, Write, conflict};
pub use fields::{FieldSet, Fields};
pub use merge::{DAY_NANOS, Estimate, Lane, Lanes, Owner, Record, Row, TagEdits, merge};
pub use score::{Score, SpanScore, StoredScore, mean_score, shown_scores, shown_span_scores};
pub use span::{Metadata, SpanField, SpanFields, SpanRecord};
pub use thread::{StoredThread, TagChange, ThreadScore};
pub use trace::{TraceField, TraceFields, TraceRecord};
pub use trace_view::{StoredTrace, TraceSums, TraceView};
pub use view::{Parts, StoredSpan, View};
