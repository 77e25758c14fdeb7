//! Filters: which of many spans, traces or threads are meant.
//!
//! [`SPAN_FIELDS`], [`TRACE_FIELDS`] and [`THREAD_FIELDS`] are the tables from which parsing, validation, the SQL of a condition and the page
//! `docs/filters.md` come. To add a field, add a row. What a kind of field can be asked is said in [`Kind::operators`],
//! what that means in SQL in `store::condition`.

mod docs;
mod field;
mod parse;
mod thread_field;

pub use docs::page;
pub use field::{Absent, Field, Kind, SPAN_FIELDS, TRACE_FIELDS};
pub(crate) use field::{SPAN_SCORES_SQL, TRACE_SCORES_SQL};
pub use parse::{Filter, FilterError, Wanted, parse_json, validate};
pub use thread_field::THREAD_FIELDS;
pub(crate) use thread_field::thread_sql;
