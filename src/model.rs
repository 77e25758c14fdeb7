//! The contract's types: what clients send and receive.
//!
//! One struct per type of the published contract carries its serde, utoipa and validator attributes, so that
//! parsing, document and enforcement cannot drift apart. Value types that recur (ids, times, decimals, payloads)
//! are newtypes which know their own JSON form, schema and rules. Nothing here knows of HTTP or of a database.
//!
//! Doc comments on fields become descriptions in the public document: they are written for its readers.

mod activity;
mod attachment;
mod both_spellings;
mod comment;
mod decimal;
mod environment;
mod error_info;
mod error_message;
mod feedback_definition;
mod feedback_score;
mod id;
mod ids;
mod integer;
mod json;
mod limits;
mod operator;
mod project;
mod project_metrics;
mod project_stats;
mod short_text;
mod span;
mod span_enums;
mod span_filter;
mod span_query;
mod tags;
mod test_api;
mod text;
mod thread;
mod thread_query;
mod timestamp;
mod toggles;
mod trace;
mod trace_query;
mod usage;
mod validation;
mod within;
mod workspace;

pub use activity::{ActivityType, RecentActivityItemPublic, RecentActivityPagePublic};
pub use attachment::*;
pub use both_spellings::BothSpellings;
pub use comment::{Comment, CommentCreated, CommentPublic};
pub use decimal::{Cost, Decimal};
pub use environment::{
    EnvironmentColor, EnvironmentDescription, EnvironmentName, EnvironmentPagePublic, EnvironmentPublic,
    EnvironmentUpdate, EnvironmentWrite,
};
pub use error_info::{ErrorInfo, ErrorInfoPublic, ErrorInfoWrite};
pub use error_message::{ErrorMessage, ErrorMessagePublic, ParameterPlace, Violation};
pub use feedback_definition::{
    DetailsSent, FeedbackCreate, FeedbackDefinition, FeedbackDefinitionPagePublic, FeedbackDetails, FeedbackPublic,
    FeedbackType, FeedbackUpdate,
};
pub use feedback_score::{
    DeleteFeedbackScore, FeedbackScore, FeedbackScoreBatch, FeedbackScoreBatchItem, FeedbackScoreNames,
    FeedbackScoreNamesPublic, FeedbackScorePublic, NotEmpty, ScoreName, ScoreNamePublic, ScoreSource, ScoreValue,
    ValueEntryPublic,
};
pub use id::Id;
pub use ids::{BatchDelete, Ids};
pub use integer::{Int32, Int64, Integer};
pub use json::{JsonListString, JsonListStringPublic, JsonListStringWrite, Object, Payload, is_null};
pub use limits::{Limited, TextLimits};
pub use operator::Operator;
pub use project::{
    ProjectDescription, ProjectDetailed, ProjectPagePublic, ProjectPublic, ProjectRetrieve, ProjectUpdate,
    ProjectWrite, Visibility,
};
pub use project_metrics::{
    BreakdownConfig, BreakdownField, DataPointNumber, KpiCardRequest, KpiCardResponse, KpiEntity, KpiMetric, KpiType,
    MetricType, ProjectMetricRequest, ProjectMetricResponse, ResultsNumber, TimeInterval,
};
pub use project_stats::{
    ErrorCountWithDeviation, ErrorCountWithDeviationDetailed, FeedbackScoreAverage, FeedbackScoreAverageDetailed,
    ProjectStatsSummary, ProjectStatsSummaryItem, TokenUsageNames,
};
pub use short_text::{NotBlank, ShortText};
pub use span::{SPANS_IN_BATCH_MAX, SpanBatchWrite, SpanList, SpanPublic, SpanUpdate, SpanWrite};
pub use span_enums::{Source, SpanType};
pub use span_filter::{SpanFilter, TraceFilter, TraceThreadFilter, TraceThreadFilterPublic};
pub use span_query::*;
pub use tags::{Tags, UpdateTags};
pub use test_api::*;
pub use text::{Environment, ProjectName, trimmed};
pub use thread::*;
pub use thread_query::*;
pub use timestamp::{LastUpdatedAt, Timestamp};
pub use toggles::ServiceTogglesConfig;
pub use trace::*;
pub use trace_query::*;
pub use usage::{Usage, UsageSums};
pub use validation::{ITEM, flatten};
pub use within::Within;
pub use workspace::{
    AuthDetailsHolder, OpikVersion, WorkspaceConfiguration, WorkspaceNameHolder, WorkspaceUserPermissions,
    WorkspaceVersion,
};
