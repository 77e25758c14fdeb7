//! Feedback scores: as they are given, and as they are read with what they judge.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::Ref;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use validator::{Validate, ValidationErrors};

use super::json::objects;
use super::span_enums::vocabulary;
use super::validation::broken;
use super::{Decimal, Id, ProjectName, Timestamp};

vocabulary!(
    /// Who or what gave a score.
    ScoreSource {
        /// A person, in the user interface.
        Ui = 1,
        /// A program.
        Sdk = 2,
        /// A rule that scores what comes in.
        OnlineScoring = 3,
    }
);

/// A score's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScoreValue(pub Decimal);

impl ScoreValue {
    /// From the published contract, both ways from zero.
    const MAX: f64 = 1e9;
}

impl Validate for ScoreValue {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let limit = bigdecimal::BigDecimal::from(1_000_000_000);
        let value = self.0.exact();
        if value > limit {
            return Err(broken("range", format!("must be less than or equal to {limit}")));
        }
        if value < -&limit {
            return Err(broken("range", format!("must be greater than or equal to -{limit}")));
        }
        Ok(())
    }
}

impl PartialSchema for ScoreValue {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).minimum(Some(-Self::MAX)).maximum(Some(Self::MAX)).into()
    }
}

impl ToSchema for ScoreValue {}

/// Text that must be there and have at least one character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotEmpty(pub String);

impl Validate for NotEmpty {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0.is_empty() { Err(broken("length", "must not be blank")) } else { Ok(()) }
    }
}

impl PartialSchema for NotEmpty {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).into()
    }
}

impl ToSchema for NotEmpty {}

/// A score to give, in a request, or that a thread was given. The same author's score of the same name is replaced.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a score object")]
pub struct FeedbackScore {
    /// What is judged.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<NotEmpty>,
    /// The category chosen, for scores with categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category_name: Option<String>,
    /// The score.
    #[schema(required, value_type = ScoreValue, inline)]
    #[validate(required(message = "must not be null"), nested)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<ScoreValue>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who or what gives it.
    #[schema(required, value_type = ScoreSource, inline)]
    #[validate(required(message = "must not be null"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ScoreSource>,
    /// The annotation queue it is given in.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_queue_id: Option<Id>,
    /// Set by the server.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Set by the server.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_at: Option<Timestamp>,
    /// Set by the server.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Set by the server.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_by: Option<String>,
    /// Set by the server.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_by_author: Option<BTreeMap<String, ValueEntry>>,
}

impl From<FeedbackScorePublic> for FeedbackScore {
    fn from(score: FeedbackScorePublic) -> Self {
        let by_author = score.value_by_author.unwrap_or_default();
        Self {
            name: Some(NotEmpty(score.name)),
            category_name: score.category_name,
            value: Some(score.value),
            reason: score.reason,
            source: Some(score.source),
            source_queue_id: score.source_queue_id,
            created_at: score.created_at,
            last_updated_at: score.last_updated_at,
            created_by: score.created_by,
            last_updated_by: score.last_updated_by,
            value_by_author: Some(by_author.into_iter().map(|(author, entry)| (author, entry.into())).collect()),
        }
    }
}

/// From the published contract.
pub(super) const SCORES_IN_BATCH_MAX: usize = 1_000;

/// Scores to give together: all of them or none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object with scores")]
pub struct FeedbackScoreBatch {
    /// Any mix of spans; they need not exist yet.
    #[schema(required, inline, value_type = ScoreList)]
    pub scores: Option<ScoreList>,
}

impl Validate for FeedbackScoreBatch {
    fn validate(&self) -> Result<(), ValidationErrors> {
        let scores = match &self.scores {
            Some(scores) => scores.validate(),
            None => Err(broken("required", "must not be null")),
        };
        let mut errors = ValidationErrors::new();
        errors.merge_self("scores", scores);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// The members of a batch.
#[derive(Debug)]
pub struct ScoreList(pub Vec<FeedbackScoreBatchItem>);

impl<'de> Deserialize<'de> for ScoreList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        objects(deserializer).map(Self)
    }
}

impl Validate for ScoreList {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if !(1..=SCORES_IN_BATCH_MAX).contains(&self.0.len()) {
            return Err(broken("length", format!("size must be between 1 and {SCORES_IN_BATCH_MAX}")));
        }
        self.0.validate()
    }
}

impl PartialSchema for ScoreList {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(FeedbackScoreBatchItem::name()))
            .min_items(Some(1))
            .max_items(Some(SCORES_IN_BATCH_MAX))
            .into()
    }
}

impl ToSchema for ScoreList {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((FeedbackScoreBatchItem::name().into_owned(), FeedbackScoreBatchItem::schema()));
        FeedbackScoreBatchItem::schemas(schemas);
    }
}

/// A score to give to the span it names.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a score object")]
pub struct FeedbackScoreBatchItem {
    /// The span.
    #[schema(required, value_type = String, format = Uuid)]
    #[validate(required(message = "must not be null"))]
    pub id: Option<Id>,
    /// If null, the default project is used. A score belongs to its span, whatever project is named here.
    #[schema(inline)]
    #[validate(nested)]
    pub project_name: Option<ProjectName>,
    /// Accepted and not used: a score belongs to its span.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// What is judged.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub name: Option<NotEmpty>,
    /// The category chosen, for scores with categories.
    pub category_name: Option<String>,
    /// The score.
    #[schema(required, value_type = ScoreValue, inline)]
    #[validate(required(message = "must not be null"), nested)]
    pub value: Option<ScoreValue>,
    /// Why.
    pub reason: Option<String>,
    /// Who or what gives it.
    #[schema(required, value_type = ScoreSource, inline)]
    #[validate(required(message = "must not be null"))]
    pub source: Option<ScoreSource>,
    /// Who gives it, if not the caller.
    pub author: Option<String>,
    /// The annotation queue it is given in.
    #[schema(inline)]
    pub source_queue_id: Option<Id>,
}

/// Which score to take back.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with the name of a score")]
pub struct DeleteFeedbackScore {
    /// Its name.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub name: Option<NotEmpty>,
    /// Only this author's; all authors' when absent.
    pub author: Option<String>,
    /// Only those given in this annotation queue; those given in none when absent.
    #[schema(inline)]
    pub source_queue_id: Option<Id>,
}

/// The contract names the same type once for each view; clients are generated with these names.
macro_rules! value_entry {
    ($(#[$doc:meta])* $name:ident as $published:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
        #[schema(as = $published)]
        pub struct $name {
            /// Who gave it.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub author: Option<String>,
            /// The score.
            #[schema(inline)]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub value: Option<Decimal>,
            /// Why.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub reason: Option<String>,
            /// The category chosen.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub category_name: Option<String>,
            /// Who or what gave it.
            #[schema(inline)]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub source: Option<ScoreSource>,
            /// The annotation queue it was given in.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub source_queue_id: Option<String>,
            /// When it last changed.
            #[schema(inline)]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub last_updated_at: Option<Timestamp>,
            /// Type of the span it was given to, where scores of several spans are shown together.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub span_type: Option<String>,
            /// The span it was given to, where scores of several spans are shown together.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub span_id: Option<String>,
        }
    };
}

value_entry!(
    /// One author's score, in a request.
    ValueEntry as ValueEntry
);
value_entry!(
    /// One author's score.
    ValueEntryPublic as ValueEntry_Public
);

impl From<ValueEntryPublic> for ValueEntry {
    fn from(entry: ValueEntryPublic) -> Self {
        Self {
            author: entry.author,
            value: entry.value,
            reason: entry.reason,
            category_name: entry.category_name,
            source: entry.source,
            source_queue_id: entry.source_queue_id,
            last_updated_at: entry.last_updated_at,
            span_type: entry.span_type,
            span_id: entry.span_id,
        }
    }
}

/// All scores of one name, averaged over their authors.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FeedbackScore_Public)]
pub struct FeedbackScorePublic {
    /// What is judged.
    #[schema(min_length = 1)]
    pub name: String,
    /// The category chosen, for scores with categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category_name: Option<String>,
    /// The score; the mean where several authors gave one.
    #[schema(inline)]
    pub value: ScoreValue,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who or what gave it.
    #[schema(inline)]
    pub source: ScoreSource,
    /// The annotation queue it was given in.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_queue_id: Option<Id>,
    /// When the first of them was given.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When the last of them changed.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_at: Option<Timestamp>,
    /// Who gave them.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who changed them last.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_by: Option<String>,
    /// The single scores, by author.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_by_author: Option<BTreeMap<String, ValueEntryPublic>>,
}

/// The contract names the same types once for each view; clients are generated with these names.
macro_rules! score_names {
    ($names:ident as $published:ident, $name:ident as $published_name:ident) => {
        /// Names of scores.
        #[derive(Debug, Clone, Serialize, ToSchema)]
        #[schema(as = $published)]
        pub struct $names {
            /// Each once.
            #[schema(required = false)]
            pub scores: Vec<$name>,
        }

        /// The name of a score.
        #[derive(Debug, Clone, Serialize, ToSchema)]
        #[schema(as = $published_name)]
        pub struct $name {
            /// The name.
            #[schema(required = false)]
            pub name: String,
            /// Not used for scores of spans, traces and threads.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub r#type: Option<String>,
        }

        impl FromIterator<String> for $names {
            fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
                Self { scores: names.into_iter().map(|name| $name { name, r#type: None }).collect() }
            }
        }
    };
}

score_names!(FeedbackScoreNamesPublic as FeedbackScoreNames_Public, ScoreNamePublic as ScoreName_Public);
score_names!(FeedbackScoreNames as FeedbackScoreNames, ScoreName as ScoreName);
