//! Texts with a greatest length, and names that must say something.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::text::trimmed;
use super::validation::broken;

/// A text of at most `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShortText<const MAX: usize>(pub String);

impl<const MAX: usize> Validate for ShortText<MAX> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0.chars().count() > MAX {
            return Err(broken("length", format!("cannot exceed {MAX} characters")));
        }
        Ok(())
    }
}

impl<const MAX: usize> PartialSchema for ShortText<MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(0)).max_length(Some(MAX)).into()
    }
}

impl<const MAX: usize> ToSchema for ShortText<MAX> {}

/// A name with at least one character that is not white space. The contract asks for any character, but nothing could
/// be written into a project whose name is blank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotBlank(pub String);

impl Validate for NotBlank {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if trimmed(&self.0).is_empty() { Err(broken("pattern", "must not be blank")) } else { Ok(()) }
    }
}

impl PartialSchema for NotBlank {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).into()
    }
}

impl ToSchema for NotBlank {}
