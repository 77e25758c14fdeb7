//! What can be asked of a field.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An operator, as it is written in a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Has the value somewhere in it.
    Contains,
    /// Has not.
    NotContains,
    /// Begins with the value.
    StartsWith,
    /// Ends with the value.
    EndsWith,
    /// Equals the value.
    #[serde(rename = "=")]
    Equal,
    /// Does not.
    #[serde(rename = "!=")]
    NotEqual,
    /// Is greater.
    #[serde(rename = ">")]
    Greater,
    /// Is greater or equal.
    #[serde(rename = ">=")]
    GreaterEqual,
    /// Is less.
    #[serde(rename = "<")]
    Less,
    /// Is less or equal.
    #[serde(rename = "<=")]
    LessEqual,
    /// Has no value.
    IsEmpty,
    /// Has one.
    IsNotEmpty,
    /// Is one of the values, which commas separate.
    In,
    /// Is none of them.
    NotIn,
}

impl Operator {
    /// All of them, in the published order.
    pub const ALL: [Self; 14] = [
        Self::Contains,
        Self::NotContains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Equal,
        Self::NotEqual,
        Self::Greater,
        Self::GreaterEqual,
        Self::Less,
        Self::LessEqual,
        Self::IsEmpty,
        Self::IsNotEmpty,
        Self::In,
        Self::NotIn,
    ];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::NotContains => "not_contains",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::IsEmpty => "is_empty",
            Self::IsNotEmpty => "is_not_empty",
            Self::In => "in",
            Self::NotIn => "not_in",
        }
    }

    /// The operator written so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }

    /// Whether it asks about the presence of a value, and takes none itself.
    #[must_use]
    pub const fn is_about_presence(self) -> bool {
        matches!(self, Self::IsEmpty | Self::IsNotEmpty)
    }

    /// Its symbol in SQL, for those that compare.
    #[must_use]
    pub const fn comparison(self) -> Option<&'static str> {
        match self {
            Self::Equal => Some("="),
            Self::NotEqual => Some("<>"),
            Self::Greater => Some(">"),
            Self::GreaterEqual => Some(">="),
            Self::Less => Some("<"),
            Self::LessEqual => Some("<="),
            _ => None,
        }
    }
}
