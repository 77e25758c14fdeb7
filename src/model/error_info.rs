//! What went wrong inside a span.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The contract names the same type once for each view; clients are generated with these names.
///
/// Members that are missing or empty are accepted, although the document asks for them: real clients leave them out,
/// and a span with an error is worth more than a refused one. They are filled when the span is kept, since no SDK can
/// read a span without them.
macro_rules! error_info {
    ($(#[$doc:meta])* $name:ident as $published:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[schema(as = $published)]
        pub struct $name {
            /// Class or kind of the error.
            #[schema(required, value_type = String, min_length = 1)]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub exception_type: Option<String>,
            /// What the error said.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub message: Option<String>,
            /// Where it happened.
            #[schema(required, value_type = String, min_length = 1)]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub traceback: Option<String>,
        }
    };
}

error_info!(
    /// An error in an update.
    ErrorInfo as ErrorInfo
);
error_info!(
    /// An error in a create.
    ErrorInfoWrite as ErrorInfo_Write
);
error_info!(
    /// An error in an answer.
    ErrorInfoPublic as ErrorInfo_Public
);

impl From<ErrorInfoWrite> for ErrorInfo {
    fn from(error: ErrorInfoWrite) -> Self {
        let ErrorInfoWrite { exception_type, message, traceback } = error;
        Self { exception_type, message, traceback }
    }
}

impl From<ErrorInfo> for ErrorInfoPublic {
    fn from(error: ErrorInfo) -> Self {
        let ErrorInfo { exception_type, message, traceback } = error;
        Self { exception_type, message, traceback }
    }
}

impl ErrorInfo {
    /// The error with what every reader needs.
    #[must_use]
    pub fn filled(self) -> Self {
        let or = |text: Option<String>, otherwise: &str| {
            Some(text.filter(|text| !text.is_empty()).unwrap_or_else(|| otherwise.to_owned()))
        };
        Self {
            exception_type: or(self.exception_type, "Error"),
            message: self.message,
            traceback: or(self.traceback, "(no traceback)"),
        }
    }
}
