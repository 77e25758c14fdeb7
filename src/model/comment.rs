//! Comments, as they are read with what they are about.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Id, Timestamp};

/// A comment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Comment_Public)]
pub struct CommentPublic {
    /// The comment's own id.
    #[schema(value_type = Option<String>, format = Uuid, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// What it says.
    #[schema(min_length = 1)]
    pub text: String,
    /// The annotation queue it was made in.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_queue_id: Option<Id>,
    /// When it was made.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    #[schema(value_type = Option<String>, format = DateTime, read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_at: Option<Timestamp>,
    /// Who made it.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who changed it last.
    #[schema(read_only)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_by: Option<String>,
}
