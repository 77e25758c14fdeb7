//! Short texts with rules of their own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::validation::broken;

/// A project's name: at least one character that is not white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectName(pub String);

impl ProjectName {
    /// The published pattern, in ECMA-262 form.
    const PATTERN: &'static str = r"^\s*(\S[\s\S]*\S|\S)\s*$";

    /// The name without outer white space.
    #[must_use]
    pub fn trimmed(&self) -> &str {
        trimmed(&self.0)
    }
}

/// A text without outer white space.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// White space as ECMA-262's `\s` has it, which the published pattern means.
fn is_space(letter: char) -> bool {
    letter == '\u{feff}' || (letter.is_whitespace() && letter != '\u{85}')
}

impl Validate for ProjectName {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.trimmed().is_empty() { Err(broken("pattern", "must not be blank")) } else { Ok(()) }
    }
}

impl PartialSchema for ProjectName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(Self::PATTERN)).into()
    }
}

impl ToSchema for ProjectName {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ProjectName")
    }
}

/// The name of the environment a span ran in: at most 150 characters; the empty text is "not set".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub String);

impl Environment {
    /// Characters, from the published contract.
    const CHARS_MAX: usize = 150;
}

impl Validate for Environment {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0.chars().count() > Self::CHARS_MAX {
            return Err(broken("length", format!("cannot exceed {} characters", Self::CHARS_MAX)));
        }
        Ok(())
    }
}

impl PartialSchema for Environment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(0)).max_length(Some(Self::CHARS_MAX)).into()
    }
}

impl ToSchema for Environment {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Environment")
    }
}
