//! Conditions, as clients send them.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::Operator;

/// A condition. What it can ask is told by the page about filters.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(expecting = "a filter object")]
#[schema(as = SpanFilter_Public)]
pub struct SpanFilter {
    /// Name of the field.
    pub field: Option<String>,
    /// What is asked of it.
    #[schema(inline)]
    pub operator: Option<Operator>,
    /// Path in a payload, or name of a score; means nothing for other fields.
    pub key: Option<String>,
    /// What it is compared with; nothing for `is_empty` and `is_not_empty`.
    pub value: Option<String>,
}

/// The contract names the same type once for each thing that is asked about; clients are generated with these names.
macro_rules! also_named {
    ($(#[$doc:meta])* $name:ident, $published:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                SpanFilter::schema()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($published)
            }
        }
    };
}

also_named!(
    /// Name in the document of a condition on traces.
    TraceFilter,
    "TraceFilter_Public"
);
also_named!(
    /// Name in the document of a condition on threads, where a metric is asked for.
    TraceThreadFilterPublic,
    "TraceThreadFilter_Public"
);
also_named!(
    /// Name in the document of a condition on threads.
    TraceThreadFilter,
    "TraceThreadFilter"
);
