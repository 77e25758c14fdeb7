//! The one shape of every error answer.

use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong. Every error of this server has this shape; `code`, `message` and `errors` are always there.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorMessage {
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// One sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// More about the cause, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// The same as short texts, one for each thing that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<String>,
    /// Where in the request it is wrong, and what was wanted there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub violations: Vec<Violation>,
}

/// An error as a line of a stream.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ErrorMessage_Public)]
pub struct ErrorMessagePublic {
    /// The HTTP status it would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// One sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// More about the cause, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// Where a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "named after the places")]
pub enum ParameterPlace {
    Path,
    Query,
    Header,
}

impl ParameterPlace {
    /// Its name in the document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// One place in a request that breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// JSON pointer to the place in the body, such as `/spans/0/start_time`; empty for the body as a whole, or for a
    /// parameter.
    pub pointer: String,
    /// Where the parameter is that it is about; nothing for a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline)]
    pub r#in: Option<ParameterPlace>,
    /// Name of the member or parameter.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    pub name: String,
    /// What is wrong with it, and what was wanted.
    pub message: String,
    /// What was found there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Line in the body as sent, from 1. Only for bodies that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<i32>,
    /// Column in that line, in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<i32>,
    /// The original's text for it.
    #[serde(skip)]
    pub original: String,
}

impl Violation {
    /// A broken rule at `pointer`, which the original calls `path`.
    #[must_use]
    pub fn new(pointer: &str, path: &str, message: &str) -> Self {
        let original = if path.is_empty() { message.to_owned() } else { format!("{path} {message}") };
        Self {
            pointer: pointer.to_owned(),
            r#in: None,
            name: name_at(pointer).to_owned(),
            message: message.to_owned(),
            found: None,
            line: None,
            column: None,
            original,
        }
    }
}

/// The last member name in a pointer, indexes passed over.
fn name_at(pointer: &str) -> &str {
    pointer.rsplit('/').find(|step| step.parse::<usize>().is_err()).unwrap_or_default()
}
