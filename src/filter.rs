//! Filters: which of many spans are meant.
//!
//! [`SPAN_FIELDS`] is the one table from which parsing, validation, the SQL of a condition and the page
//! `docs/filters.md` come. To add a field, add a row. What a kind of field can be asked is said in [`Kind::operators`],
//! what that means in SQL in `store::condition`.

mod docs;
mod field;
mod parse;

pub use docs::page;
pub use field::{Absent, Field, Kind, SPAN_FIELDS};
pub use parse::{Filter, FilterError, Wanted, parse_json, validate};
