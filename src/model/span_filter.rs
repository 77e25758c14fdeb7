//! Conditions, as clients send them.

use serde::Deserialize;
use utoipa::ToSchema;

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
