//! Comments: as they are made, and as they are read with what they are about.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::feedback_score::NotEmpty;
use super::{Id, Timestamp};

/// The contract names the same type once for each view; clients are generated with these names.
macro_rules! comment {
    ($(#[$doc:meta])* $name:ident as $published:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
        #[serde(expecting = "a comment object")]
        #[schema(as = $published)]
        pub struct $name {
            /// The comment's own id.
            #[schema(value_type = Option<String>, format = Uuid, read_only)]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub id: Option<Id>,
            /// What it says.
            #[schema(required, value_type = String, min_length = 1)]
            #[validate(required(message = "must not be blank"), nested)]
            pub text: Option<NotEmpty>,
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
    };
}

comment!(
    /// A comment, in a request or by itself.
    Comment as Comment
);
comment!(
    /// A comment, with what it is about.
    CommentPublic as Comment_Public
);

impl From<CommentPublic> for Comment {
    fn from(comment: CommentPublic) -> Self {
        let CommentPublic { id, text, source_queue_id, created_at, last_updated_at, created_by, last_updated_by } =
            comment;
        Self { id, text, source_queue_id, created_at, last_updated_at, created_by, last_updated_by }
    }
}

/// A comment that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentCreated {
    /// Its id.
    #[schema(inline)]
    pub id: Id,
}
