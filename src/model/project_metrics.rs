//! How what is in a project changes over time.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::json::object;
use super::span_query::filters;
use super::{Id, Number, SpanFilter, Timestamp, TraceFilter, TraceThreadFilterPublic};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MetricType {
    /// Mean scores of traces, by name.
    FeedbackScores,
    /// How many traces there are.
    TraceCount,
    /// Token counts of traces, by name.
    TokenUsage,
    /// How long traces took, at 50, 90 and 99 %, in milliseconds.
    Duration,
    /// What traces cost, in US dollars.
    Cost,
    /// How many traces failed a guardrail: none do.
    GuardrailsFailedCount,
    /// How many threads there are.
    ThreadCount,
    /// How long threads took.
    ThreadDuration,
    /// Mean scores of threads.
    ThreadFeedbackScores,
    /// Mean scores of spans.
    SpanFeedbackScores,
    /// How many spans there are.
    SpanCount,
    /// How long spans took.
    SpanDuration,
    /// Token counts of spans.
    SpanTokenUsage,
    /// How long traces took on average, in milliseconds.
    TraceAverageDuration,
    /// How many traces ended with an error, in per cent.
    TraceErrorRate,
    /// How long spans took on average.
    SpanAverageDuration,
    /// What spans cost.
    SpanCost,
    /// How many spans ended with an error, in per cent.
    SpanErrorRate,
    /// How long threads took on average.
    ThreadAverageDuration,
    /// What threads cost.
    ThreadCost,
}

/// How long what is summed up to one value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimeInterval {
    /// An hour.
    Hourly,
    /// A day, in UTC.
    Daily,
    /// A week from Monday on, in UTC.
    Weekly,
    /// All the time that is asked about.
    Total,
}

/// What tells apart what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakdownField {
    /// Nothing.
    None,
    /// Each tag.
    Tags,
    /// A value in the metadata.
    Metadata,
    /// The name.
    Name,
    /// Whether there was an error.
    ErrorInfo,
    /// The kind of the error.
    ErrorType,
    /// The model; of spans.
    Model,
    /// Who served the model; of spans.
    Provider,
    /// The type; of spans.
    Type,
}

/// How a metric is taken apart.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(expecting = "a breakdown object")]
#[schema(as = BreakdownConfig_Public)]
pub struct BreakdownConfig {
    /// By what.
    #[schema(inline)]
    pub field: Option<BreakdownField>,
    /// The value's place in the metadata; needed for `metadata`.
    pub metadata_key: Option<String>,
    /// Of metrics that have several results, the one: p50, p90, p99, or a name.
    pub sub_metric: Option<String>,
}

/// Which metric of a project.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a metric request object")]
#[schema(as = ProjectMetricRequest_Public)]
pub struct ProjectMetricRequest {
    /// What is measured. Needed.
    #[schema(inline)]
    pub metric_type: Option<MetricType>,
    /// How long an interval is. Needed. At most 10,000 of them are told.
    #[schema(inline)]
    pub interval: Option<TimeInterval>,
    /// From when on. Needed. It is moved back to the beginning of an interval.
    #[schema(inline)]
    pub interval_start: Option<Timestamp>,
    /// Until when; now when absent.
    #[schema(inline)]
    pub interval_end: Option<Timestamp>,
    /// Which spans count, for metrics of spans.
    #[serde(default, deserialize_with = "filters")]
    pub span_filters: Option<Vec<SpanFilter>>,
    /// Which traces count, for metrics of traces.
    #[serde(default, deserialize_with = "filters")]
    #[schema(value_type = Option<Vec<TraceFilter>>)]
    pub trace_filters: Option<Vec<SpanFilter>>,
    /// Which threads count, for metrics of threads.
    #[serde(default, deserialize_with = "filters")]
    #[schema(value_type = Option<Vec<TraceThreadFilterPublic>>)]
    pub thread_filters: Option<Vec<SpanFilter>>,
    /// How it is taken apart.
    #[serde(default, deserialize_with = "object")]
    pub breakdown: Option<BreakdownConfig>,
}

/// A metric of a project.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ProjectMetricResponse_Public)]
pub struct ProjectMetricResponse {
    /// The project.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub project_id: Id,
    /// What is measured.
    #[schema(required = false, inline)]
    pub metric_type: MetricType,
    /// How long an interval is.
    #[schema(required = false, inline)]
    pub interval: TimeInterval,
    /// What was measured.
    #[schema(required = false)]
    pub results: Vec<ResultsNumber>,
}

/// Values over time.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ResultsNumber_Public)]
pub struct ResultsNumber {
    /// Of what.
    #[schema(required = false)]
    pub name: String,
    /// The values, by time.
    #[schema(required = false)]
    pub data: Vec<DataPointNumber>,
}

/// A value at a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DataPointNumber_Public)]
pub struct DataPointNumber {
    /// When its interval begins.
    #[schema(inline)]
    pub time: Timestamp,
    /// The value; absent where nothing was measured.
    #[schema(inline)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
}

/// What key figures are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KpiEntity {
    /// Traces.
    Traces,
    /// Spans.
    Spans,
    /// Threads.
    Threads,
}

/// Which key figures of a project.
#[derive(Debug, Clone, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a key figure request object")]
pub struct KpiCardRequest {
    /// What they are about.
    #[schema(required, value_type = KpiEntity, inline)]
    #[validate(required(message = "must not be null"))]
    pub entity_type: Option<KpiEntity>,
    /// Which of it counts: a JSON array of filters.
    pub filters: Option<String>,
    /// From when on.
    #[schema(required, value_type = Timestamp, inline)]
    #[validate(required(message = "must not be null"))]
    pub interval_start: Option<Timestamp>,
    /// Until when; now when absent.
    #[schema(inline)]
    pub interval_end: Option<Timestamp>,
}

/// Key figures of a project.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KpiCardResponse {
    /// The figures.
    #[schema(required = false)]
    pub stats: Vec<KpiMetric>,
}

/// A key figure.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KpiMetric {
    /// Which: a number, errors in per cent, milliseconds, or US dollars.
    #[schema(required = false, inline)]
    pub r#type: KpiType,
    /// In the interval that is asked about; absent where nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_value: Option<f64>,
    /// In the one of the same length before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_value: Option<f64>,
}

/// Key figures that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KpiType {
    /// How many there are.
    Count,
    /// How many ended with an error, in per cent.
    Errors,
    /// How long they took on average, in milliseconds.
    AvgDuration,
    /// What they cost together, in US dollars.
    TotalCost,
}
