//! Environments: where traced applications run, such as staging and production.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::short_text::ShortText;
use super::validation::broken;
use super::{Id, Int32, Timestamp};

/// An environment's name: letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvironmentName(pub String);

impl EnvironmentName {
    /// From the published contract.
    const PATTERN: &'static str = "^[A-Za-z0-9_-]+$";
    const CHARS_MAX: usize = 150;

    /// This name, if it is one that environments may have.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(Self(name.to_owned())).filter(|name| name.validate().is_ok())
    }

    /// The colour of an environment for which none was chosen: the one the original picks, so that both show the same.
    #[must_use]
    pub fn color(&self) -> &'static str {
        const COLORS: [&str; 10] = [
            "#64748b", "#8b5cf6", "#bf399e", "#f43f5e", "#ef4444", "#f97316", "#eab308", "#10b981", "#06b6d4",
            "#3b82f6",
        ];
        // Java's hash of a text, and its remainder that is never negative.
        let hash = self.0.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
        let at = usize::try_from(hash.rem_euclid(10)).unwrap_or_default();
        COLORS[at]
    }
}

impl Validate for EnvironmentName {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0.chars().count() > Self::CHARS_MAX {
            return Err(broken("length", format!("cannot exceed {} characters", Self::CHARS_MAX)));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if self.0.is_empty() || !self.0.bytes().all(allowed) {
            return Err(broken("pattern", format!("must match '{}'", Self::PATTERN)));
        }
        Ok(())
    }
}

impl PartialSchema for EnvironmentName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(0))
            .max_length(Some(Self::CHARS_MAX))
            .pattern(Some(Self::PATTERN))
            .into()
    }
}

impl ToSchema for EnvironmentName {}

/// An environment's description.
pub type EnvironmentDescription = ShortText<500>;

/// An environment's colour.
pub type EnvironmentColor = ShortText<20>;

/// An environment to create.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an environment object")]
#[schema(as = Environment_Write)]
pub struct EnvironmentWrite {
    /// A UUIDv7 chosen by the client; made by the server when absent.
    #[schema(inline)]
    pub id: Option<Id>,
    /// No other environment of the workspace may have it.
    #[schema(required, inline, value_type = EnvironmentName)]
    #[validate(required(message = "must not be blank"), nested)]
    pub name: Option<EnvironmentName>,
    /// What it is for.
    #[schema(inline)]
    #[validate(nested)]
    pub description: Option<EnvironmentDescription>,
    /// How it is shown; picked by the name when absent.
    #[schema(inline)]
    #[validate(nested)]
    pub color: Option<EnvironmentColor>,
    /// Where it stands among the others; 0 when absent.
    #[schema(inline)]
    pub position: Option<Int32>,
}

/// What to change about an environment. Members that are left out or null stay as they are.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an environment object")]
pub struct EnvironmentUpdate {
    /// Its new name.
    #[schema(inline)]
    #[validate(nested)]
    pub name: Option<EnvironmentName>,
    /// What it is for.
    #[schema(inline)]
    #[validate(nested)]
    pub description: Option<EnvironmentDescription>,
    /// How it is shown.
    #[schema(inline)]
    #[validate(nested)]
    pub color: Option<EnvironmentColor>,
    /// Where it stands among the others.
    #[schema(inline)]
    pub position: Option<Int32>,
}

/// An environment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Environment_Public)]
pub struct EnvironmentPublic {
    /// Its id.
    #[schema(required = false, inline)]
    pub id: Id,
    /// Its name.
    #[schema(inline)]
    pub name: EnvironmentName,
    /// What it is for.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<EnvironmentDescription>,
    /// How it is shown.
    #[schema(required = false, inline)]
    pub color: EnvironmentColor,
    /// Where it stands among the others.
    #[schema(required = false)]
    pub position: i32,
    /// When it was created.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    pub created_at: Timestamp,
    /// Who created it.
    #[schema(value_type = Option<String>, read_only)]
    pub created_by: String,
    /// When it last changed.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    pub last_updated_at: Timestamp,
    /// Who changed it last.
    #[schema(value_type = Option<String>, read_only)]
    pub last_updated_by: String,
}

/// All environments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnvironmentPage_Public)]
pub struct EnvironmentPagePublic {
    /// Always 1: there is one page.
    #[schema(required = false)]
    pub page: i32,
    /// How many there are.
    #[schema(required = false)]
    pub size: i32,
    /// The same.
    #[schema(required = false)]
    pub total: i64,
    /// The environments, the oldest first.
    #[schema(required = false)]
    pub content: Vec<EnvironmentPublic>,
    /// What they are sorted by.
    #[serde(rename = "sortableBy")]
    #[schema(required = false)]
    pub sortable_by: &'static [&'static str],
    /// The same, as the original spells it.
    #[serde(rename = "sortable_by")]
    #[schema(ignore)]
    pub sortable_by_original: &'static [&'static str],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_colour_that_the_original_gives_it() {
        // The hash of the last one is the least integer.
        for (name, color) in [("a", "#10b981"), ("production", "#f43f5e"), ("polygenelubricants", "#bf399e")] {
            assert_eq!(EnvironmentName(name.to_owned()).color(), color, "{name}");
        }
    }
}
