//! Sets of ids.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::Id;
use super::validation::broken;

/// From the published contract.
pub(super) const IDS_MAX: usize = 1_000;

/// From 1 to 1,000 different ids; repetitions are dropped.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Ids(pub Vec<Id>);

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut seen = HashSet::new();
        let sent = Vec::<Id>::deserialize(deserializer)?;
        Ok(Self(sent.into_iter().filter(|id| seen.insert(*id)).collect()))
    }
}

impl Validate for Ids {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if (1..=IDS_MAX).contains(&self.0.len()) {
            return Ok(());
        }
        Err(broken("length", format!("size must be between 1 and {IDS_MAX}")))
    }
}

impl PartialSchema for Ids {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(Id::schema()).min_items(Some(1)).max_items(Some(IDS_MAX)).unique_items(true).into()
    }
}

impl ToSchema for Ids {}

/// What to delete.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with ids")]
pub struct BatchDelete {
    /// The ids; unknown ones are passed over.
    #[schema(required, inline, value_type = Ids)]
    #[validate(required(message = "must not be null"), nested)]
    pub ids: Option<Ids>,
}
