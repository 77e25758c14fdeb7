//! Projects: what spans and traces are kept in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::project_stats::{ErrorCountWithDeviationDetailed, FeedbackScoreAverageDetailed, ProjectStatsSummaryItem};
use super::short_text::{NotBlank, ShortText};
use super::span_enums::vocabulary;
use super::{Id, PercentageValues, ProjectName, Timestamp};

vocabulary!(
    /// Who may see a project.
    Visibility {
        /// Its workspace.
        Private = 1,
        /// Everyone.
        Public = 2,
    }
);

/// A project's description.
pub type ProjectDescription = ShortText<255>;

/// A project to create.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a project object")]
#[schema(as = Project_Write)]
pub struct ProjectWrite {
    /// No other project of the workspace may have it, in whatever letter case. At most 1,000 characters unless the
    /// server is set up otherwise.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub name: Option<NotBlank>,
    /// Private when absent. Kept, and shown; it has no effect, as there are no users to tell apart.
    #[schema(inline)]
    pub visibility: Option<Visibility>,
    /// What it is for.
    #[schema(inline)]
    #[validate(nested)]
    pub description: Option<ProjectDescription>,
}

/// What to change about a project. Members that are left out or null stay as they are.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a project object")]
pub struct ProjectUpdate {
    /// Its new name. At most 1,000 characters unless the server is set up otherwise.
    #[schema(inline)]
    #[validate(nested)]
    pub name: Option<ProjectName>,
    /// What it is for.
    #[schema(inline)]
    #[validate(nested)]
    pub description: Option<ProjectDescription>,
    /// Who may see it.
    #[schema(inline)]
    pub visibility: Option<Visibility>,
}

/// Which project to look up.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "an object with the name of a project")]
#[schema(as = ProjectRetrieve_Detailed)]
pub struct ProjectRetrieve {
    /// Its name, in whatever letter case.
    #[schema(required, value_type = String, min_length = 1)]
    #[validate(required(message = "must not be blank"), nested)]
    pub name: Option<NotBlank>,
    /// Whether to answer with the statistics of its traces.
    #[serde(rename = "includeStats", alias = "include_stats")]
    pub include_stats: Option<bool>,
}

/// The contract names the same type once for each view; clients are generated with these names.
macro_rules! project {
    ($(#[$doc:meta])* $name:ident as $published:ident { $($more:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, ToSchema)]
        #[schema(as = $published)]
        pub struct $name {
            /// Its id.
            #[schema(value_type = Option<String>, format = Uuid, read_only)]
            pub id: Id,
            /// Its name, as it was given.
            #[schema(min_length = 1)]
            pub name: String,
            /// Who may see it.
            #[schema(required = false, inline)]
            pub visibility: Visibility,
            /// What it is for.
            #[schema(inline)]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub description: Option<ProjectDescription>,
            /// When it was created.
            #[schema(value_type = Option<String>, format = DateTime, read_only)]
            pub created_at: Timestamp,
            /// Who created it.
            #[schema(value_type = Option<String>, read_only)]
            pub created_by: String,
            /// When it last changed.
            #[schema(value_type = Option<String>, format = DateTime, read_only)]
            pub last_updated_at: Timestamp,
            /// Who changed it last.
            #[schema(value_type = Option<String>, read_only)]
            pub last_updated_by: String,
            /// When a trace of it last changed.
            #[schema(value_type = Option<String>, format = DateTime, read_only)]
            #[serde(skip_serializing_if = "Option::is_none")]
            pub last_updated_trace_at: Option<Timestamp>,
            $($more)*
        }
    };
}

project!(
    /// A project.
    ProjectPublic as Project_Public {}
);
project!(
    /// A project with the statistics of its traces. A project without traces has none.
    ProjectDetailed as Project_Detailed {
        /// Means of the scores of its traces.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub feedback_scores: Option<Vec<FeedbackScoreAverageDetailed>>,
        /// How long its traces took, in milliseconds.
        #[schema(inline)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub duration: Option<PercentageValues>,
        /// What a trace of it cost on average, in US dollars.
        #[schema(read_only)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub total_estimated_cost: Option<f64>,
        /// What its traces cost together, in US dollars.
        #[schema(read_only)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub total_estimated_cost_sum: Option<f64>,
        /// Mean token counts, by name.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage: Option<BTreeMap<String, f64>>,
        /// How many traces it has.
        #[schema(read_only)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub trace_count: Option<i64>,
        /// How many threads it has.
        #[schema(read_only)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub thread_count: Option<i64>,
        /// How many of its traces failed a guardrail.
        #[schema(read_only)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub guardrails_failed_count: Option<i64>,
        /// How many of its traces ended with an error.
        #[schema(inline)]
        #[serde(skip_serializing_if = "Option::is_none")]
        pub error_count: Option<ErrorCountWithDeviationDetailed>,
    }
);

impl ProjectDetailed {
    /// A project, with the statistics of its traces.
    #[must_use]
    pub fn new(project: ProjectPublic, stats: ProjectStatsSummaryItem) -> Self {
        Self {
            id: project.id,
            name: project.name,
            visibility: project.visibility,
            description: project.description,
            created_at: project.created_at,
            created_by: project.created_by,
            last_updated_at: project.last_updated_at,
            last_updated_by: project.last_updated_by,
            last_updated_trace_at: project.last_updated_trace_at,
            feedback_scores: stats.feedback_scores.map(|scores| scores.into_iter().map(Into::into).collect()),
            duration: stats.duration,
            total_estimated_cost: stats.total_estimated_cost,
            total_estimated_cost_sum: stats.total_estimated_cost_sum,
            usage: stats.usage,
            trace_count: stats.trace_count,
            thread_count: stats.thread_count,
            guardrails_failed_count: stats.guardrails_failed_count,
            error_count: stats.error_count.map(Into::into),
        }
    }
}

/// A page of projects.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProjectPage_Public)]
pub struct ProjectPagePublic {
    /// Which page it is, from 1.
    #[schema(required = false)]
    pub page: i32,
    /// How many projects are on it.
    #[schema(required = false)]
    pub size: i32,
    /// How many projects there are on all pages.
    #[schema(required = false)]
    pub total: i64,
    /// The projects.
    #[schema(required = false)]
    pub content: Vec<ProjectPublic>,
    /// What can be sorted by.
    #[serde(rename = "sortableBy")]
    #[schema(required = false)]
    pub sortable_by: &'static [&'static str],
    /// The same, as the original spells it.
    #[serde(rename = "sortable_by")]
    #[schema(ignore)]
    pub sortable_by_original: &'static [&'static str],
}
