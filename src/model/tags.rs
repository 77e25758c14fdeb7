//! Tags: ordered sets of short texts.

use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::validation::{broken, broken_set_items, rule};

/// A list as sent: members may be null, so that a null is answered with its index and not as unreadable JSON.
type Sent = Vec<Option<String>>;

/// Tags up to which repetitions are found by comparing each with each.
const COMPARED_MAX: usize = 8;

/// Drops repetitions; the first appearance keeps its place.
fn distinct(mut sent: Sent) -> Sent {
    if sent.len() <= COMPARED_MAX {
        for at in (1..sent.len()).rev() {
            if sent[at].is_some() && sent[..at].contains(&sent[at]) {
                sent.remove(at);
            }
        }
        return sent;
    }
    let mut seen = HashSet::new();
    sent.into_iter().filter(|tag| tag.is_none() || seen.insert(tag.clone())).collect()
}

/// Nulls that are named at most: an answer should not be larger than what it answers.
const NULLS_NAMED_MAX: usize = 10;

fn null_items(sent: &Sent) -> impl Iterator<Item = (usize, validator::ValidationError)> + '_ {
    sent.iter()
        .enumerate()
        .filter(|(_, tag)| tag.is_none())
        .take(NULLS_NAMED_MAX)
        .map(|(index, _)| (index, rule("required", "must not be null")))
}

/// Tags of a span that is created.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Tags(Sent);

impl Tags {
    /// The tags in the order they were sent, each once.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        self.0.into_iter().flatten().collect()
    }

    /// The same as [`Tags::into_vec`], to look at.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|tag| tag.as_deref().unwrap_or_default())
    }
}

impl From<Vec<String>> for Tags {
    fn from(tags: Vec<String>) -> Self {
        Self(tags.into_iter().map(Some).collect())
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sent::deserialize(deserializer).map(|sent| Self(distinct(sent)))
    }
}

impl Validate for Tags {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let nulls: Vec<_> = null_items(&self.0).collect();
        if nulls.is_empty() { Ok(()) } else { Err(broken_set_items(nulls)) }
    }
}

fn set_of(item: ObjectBuilder) -> ArrayBuilder {
    ArrayBuilder::new().items(item.schema_type(Type::String)).unique_items(true)
}

impl PartialSchema for Tags {
    fn schema() -> RefOr<Schema> {
        set_of(ObjectBuilder::new()).into()
    }
}

impl ToSchema for Tags {}

/// Tags in an update: at most 50, each of at most 100 characters.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct UpdateTags(Sent);

impl UpdateTags {
    /// From the published contract; also the limit of what additions may lead to.
    pub const COUNT_MAX: usize = 50;
    const CHARS_MAX: usize = 100;

    /// The tags in the order they were sent, each once.
    #[must_use]
    pub fn into_vec(self) -> Vec<String> {
        self.0.into_iter().flatten().collect()
    }
}

impl<'de> Deserialize<'de> for UpdateTags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sent::deserialize(deserializer).map(|sent| Self(distinct(sent)))
    }
}

impl Validate for UpdateTags {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0.len() > Self::COUNT_MAX {
            return Err(broken("length", format!("Cannot have more than {} tags", Self::COUNT_MAX)));
        }
        let long = self.0.iter().enumerate().filter_map(|(index, tag)| {
            let long = tag.as_ref().is_some_and(|tag| tag.chars().count() > Self::CHARS_MAX);
            long.then(|| (index, rule("length", format!("Tag cannot exceed {} characters", Self::CHARS_MAX))))
        });
        let wrong: Vec<_> = null_items(&self.0).chain(long).collect();
        if wrong.is_empty() { Ok(()) } else { Err(broken_set_items(wrong)) }
    }
}

impl PartialSchema for UpdateTags {
    fn schema() -> RefOr<Schema> {
        set_of(ObjectBuilder::new().min_length(Some(0)).max_length(Some(Self::CHARS_MAX)))
            .min_items(Some(0))
            .max_items(Some(Self::COUNT_MAX))
            .into()
    }
}

impl ToSchema for UpdateTags {}
