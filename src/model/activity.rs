//! What happened in a project lately.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Id, Timestamp};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActivityType {
    /// Traces began, on one day.
    TraceDaily,
    /// An experiment ran.
    Experiment,
    /// A dataset changed.
    DatasetVersion,
    /// A test suite changed.
    TestSuiteVersion,
    /// An alert was raised.
    AlertEvent,
    /// An optimization ran.
    Optimization,
    /// A prompt changed.
    PromptVersion,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecentActivityItem_Public)]
pub struct RecentActivityItemPublic {
    /// What kind of thing.
    #[schema(inline, required = false)]
    pub r#type: ActivityType,
    /// Of a day with traces, the newest of these.
    #[schema(value_type = String, format = Uuid, required = false)]
    pub id: Id,
    /// Of a day with traces, how many these are.
    #[schema(required = false)]
    pub name: String,
    /// What it is a version of; days with traces are versions of nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid)]
    pub resource_id: Option<Id>,
    /// When it happened; of a day with traces, when the newest of these began.
    #[schema(value_type = String, format = DateTime, required = false)]
    pub created_at: Timestamp,
    /// Whose doing it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

/// A page of what happened in a project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecentActivityPage_Public)]
pub struct RecentActivityPagePublic {
    /// Which page, from 1.
    #[schema(required = false)]
    pub page: i32,
    /// How much is on it.
    #[schema(required = false)]
    pub size: i32,
    /// How much there is on all pages.
    #[schema(required = false)]
    pub total: i64,
    /// What happened, the latest first.
    #[schema(required = false)]
    pub content: Vec<RecentActivityItemPublic>,
}
