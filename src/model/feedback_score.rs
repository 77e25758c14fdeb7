//! Feedback scores, as they are read with what they judge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Decimal, Id, Timestamp};

/// Who or what gave a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoreSource {
    /// A person, in the user interface.
    Ui,
    /// A program.
    Sdk,
    /// A rule that scores what comes in.
    OnlineScoring,
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
    #[schema(inline, schema_with = score_value)]
    pub value: Decimal,
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

fn score_value() -> utoipa::openapi::schema::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::Number)
        .description(Some("The score; the mean where several authors gave one."))
        .minimum(Some(-1e9))
        .maximum(Some(1e9))
        .build()
}

/// One author's score.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ValueEntry_Public)]
pub struct ValueEntryPublic {
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
