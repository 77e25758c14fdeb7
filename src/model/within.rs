//! Integers between two bounds.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::Int32;
use super::validation::broken;

/// A whole number from `MIN` to `MAX`; where it is left out, `DEFAULT` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Within<const MIN: i32, const MAX: i32, const DEFAULT: i32 = { i32::MIN }>(pub Int32);

impl<const MIN: i32, const MAX: i32, const DEFAULT: i32> Within<MIN, MAX, DEFAULT> {
    /// The number; one that was validated is not negative, nor is a default.
    #[must_use]
    pub fn or_default(number: Option<Self>) -> u32 {
        u32::try_from(number.map_or(DEFAULT, |number| number.0.0)).unwrap_or(0)
    }
}

impl<const MIN: i32, const MAX: i32, const DEFAULT: i32> Validate for Within<MIN, MAX, DEFAULT> {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if (MIN..=MAX).contains(&self.0.0) {
            return Ok(());
        }
        Err(broken("range", format!("must be between {MIN} and {MAX}")))
    }
}

impl<const MIN: i32, const MAX: i32, const DEFAULT: i32> PartialSchema for Within<MIN, MAX, DEFAULT> {
    fn schema() -> RefOr<Schema> {
        let mut schema = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
            .minimum(Some(MIN))
            .maximum(Some(MAX));
        if DEFAULT >= MIN {
            schema = schema.default(Some(DEFAULT.into()));
        }
        schema.into()
    }
}

impl<const MIN: i32, const MAX: i32, const DEFAULT: i32> ToSchema for Within<MIN, MAX, DEFAULT> {}
