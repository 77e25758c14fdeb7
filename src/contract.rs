//! Two OpenAPI documents compared, operation by operation: what would a client notice that was made for one of them and
//! talks to a server that is described by the other?
//!
//! What does not change the contract makes no difference: names of components and of path parameters, order, `$ref` and
//! `allOf` against what they stand for, forms of OpenAPI 3.0 against those of 3.1.

mod compare;
mod report;
mod schema;
mod source;
mod spec;
pub mod views;

pub use compare::compare;
pub use report::{Change, Kind, Report};
pub use source::{Limits, read};
pub use spec::Spec;
