//! What the traces of projects amount to.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Id, Number, PercentageValues};

/// The contract names the same type once for each view; clients are generated with these names.
macro_rules! two_views {
    ($(#[$doc:meta])* $name:ident as $published:ident, $detailed:ident as $published_detailed:ident {
        $($(#[$attribute:meta])* $member:ident: $type:ty,)*
    }) => {
        two_views!(@one $(#[$doc])* $name as $published { $($(#[$attribute])* $member: $type,)* });
        two_views!(@one $(#[$doc])* $detailed as $published_detailed { $($(#[$attribute])* $member: $type,)* });

        impl From<$name> for $detailed {
            fn from($name { $($member),* }: $name) -> Self {
                Self { $($member),* }
            }
        }
    };
    (@one $(#[$doc:meta])* $name:ident as $published:ident { $($(#[$attribute:meta])* $member:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, ToSchema)]
        #[schema(as = $published)]
        pub struct $name {
            $($(#[$attribute])* pub $member: $type,)*
        }
    };
}

two_views!(
    /// The mean of all scores of one name.
    FeedbackScoreAverage as FeedbackScoreAverage, FeedbackScoreAverageDetailed as FeedbackScoreAverage_Detailed {
        /// What is judged.
        #[schema(min_length = 1)]
        name: String,
        /// The mean.
        #[schema(inline)]
        value: Number,
    }
);

two_views!(
    /// How many errors there were.
    ErrorCountWithDeviation as ErrorCountWithDeviation,
    ErrorCountWithDeviationDetailed as ErrorCountWithDeviation_Detailed {
        /// In all.
        #[schema(required = false)]
        count: i64,
        /// In the last seven days.
        #[schema(required = false)]
        deviation: i64,
        /// Those against the ones before, in per cent; absent where there were none before.
        #[serde(skip_serializing_if = "Option::is_none")]
        deviation_percentage: Option<i64>,
    }
);

/// What the traces of a project amount to. A project without traces has its id alone.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ProjectStatsSummaryItem {
    /// The project.
    #[schema(value_type = Option<String>, format = Uuid)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Id>,
    /// Means of the scores of its traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_scores: Option<Vec<FeedbackScoreAverage>>,
    /// How long its traces took, in milliseconds.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<PercentageValues>,
    /// What a trace of it cost on average, in US dollars; traces that cost nothing do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_estimated_cost: Option<f64>,
    /// What its traces cost together, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_estimated_cost_sum: Option<f64>,
    /// Mean token counts, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<BTreeMap<String, f64>>,
    /// How many traces it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_count: Option<i64>,
    /// How many threads it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_count: Option<i64>,
    /// How many of its traces failed a guardrail: none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrails_failed_count: Option<i64>,
    /// How many of its traces ended with an error.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_count: Option<ErrorCountWithDeviation>,
}

/// What the traces of each project on a page amount to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProjectStatsSummary {
    /// One for each project, in the order of the projects.
    #[schema(required = false)]
    pub content: Vec<ProjectStatsSummaryItem>,
}

/// Names of token counts.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenUsageNames {
    /// Each once, in order.
    #[schema(required = false)]
    pub names: Vec<String>,
}
