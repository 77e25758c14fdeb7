//! The closed vocabularies of spans.

/// A vocabulary whose values are stored as small integers; 0 is kept for "not set".
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$value_doc])* $value = $code),+ }

        impl $name {
            /// The integer it is stored as; the order is the published one.
            #[must_use]
            pub fn code(self) -> i64 {
                self as i64
            }

            /// The value stored as `code`, if there is one.
            #[must_use]
            pub fn from_code(code: i64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$value),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use vocabulary;

vocabulary!(
    /// What kind of work a span is.
    SpanType {
        /// Any step.
        General = 1,
        /// A call of a tool.
        Tool = 2,
        /// A call of a language model.
        Llm = 3,
        /// A check of what goes in or comes out.
        Guardrail = 4,
    }
);

vocabulary!(
    /// Where a span comes from.
    Source {
        /// An application that is traced.
        Sdk = 1,
        /// An experiment.
        Experiment = 2,
        /// The playground of the user interface.
        Playground = 3,
        /// A run that optimises prompts.
        Optimization = 4,
        /// A rule that judges what comes in.
        Evaluator = 5,
    }
);
