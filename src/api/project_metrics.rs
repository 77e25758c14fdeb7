//! How what is in a project changes over time.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;

use super::document::PROJECTS;
use super::extract::{PathId, ValidJson};
use super::query::{body_filters, invalid_filter};
use super::stats::{finite, mean};
use super::{projects, threads};
use crate::app::AppState;
use crate::error::ApiError;
use crate::filter;
use crate::model::{
    BreakdownConfig, BreakdownField, DataPointNumber, ErrorMessage, ErrorMessagePublic, Id, KpiCardRequest,
    KpiCardResponse, KpiEntity, KpiMetric, KpiType, MetricType, Number, ProjectMetricRequest, ProjectMetricResponse,
    ResultsNumber, TimeInterval, Timestamp, Violation,
};
use crate::record::ProjectRef;
use crate::store::{Amount, Caller, Group, Intervals, Kind, Query, Series, SeriesQuery, Stats};

/// Most intervals of a metric: more than a year of hours.
const INTERVALS_MAX: usize = 10_000;

/// What is told of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Number,
    Cost,
    Guardrails,
    Tokens,
    Quantiles,
    Scores,
    AverageDuration,
    ErrorRate,
}

/// What a metric is about, what is told of it, and how its results are named.
fn measured(metric: MetricType) -> (Kind, Measure, &'static str) {
    match metric {
        MetricType::TraceCount => (Kind::Traces, Measure::Number, "traces"),
        MetricType::SpanCount => (Kind::Spans, Measure::Number, "spans"),
        MetricType::ThreadCount => (Kind::Threads, Measure::Number, "threads"),
        MetricType::Cost => (Kind::Traces, Measure::Cost, "cost"),
        MetricType::SpanCost => (Kind::Spans, Measure::Cost, "span_cost"),
        MetricType::ThreadCost => (Kind::Threads, Measure::Cost, "thread_cost"),
        MetricType::GuardrailsFailedCount => (Kind::Traces, Measure::Guardrails, "failed"),
        MetricType::TokenUsage => (Kind::Traces, Measure::Tokens, ""),
        MetricType::SpanTokenUsage => (Kind::Spans, Measure::Tokens, ""),
        MetricType::Duration => (Kind::Traces, Measure::Quantiles, "duration"),
        MetricType::SpanDuration => (Kind::Spans, Measure::Quantiles, "span_duration"),
        MetricType::ThreadDuration => (Kind::Threads, Measure::Quantiles, "thread_duration"),
        MetricType::FeedbackScores => (Kind::Traces, Measure::Scores, ""),
        MetricType::SpanFeedbackScores => (Kind::Spans, Measure::Scores, ""),
        MetricType::ThreadFeedbackScores => (Kind::Threads, Measure::Scores, ""),
        MetricType::TraceAverageDuration => (Kind::Traces, Measure::AverageDuration, "trace_average_duration"),
        MetricType::SpanAverageDuration => (Kind::Spans, Measure::AverageDuration, "span_average_duration"),
        MetricType::ThreadAverageDuration => (Kind::Threads, Measure::AverageDuration, "thread_average_duration"),
        MetricType::TraceErrorRate => (Kind::Traces, Measure::ErrorRate, "trace_error_rate"),
        MetricType::SpanErrorRate => (Kind::Spans, Measure::ErrorRate, "span_error_rate"),
    }
}

/// The quantiles that are told.
const QUANTILES: [&str; 3] = ["p50", "p90", "p99"];

impl Measure {
    /// What there is of it in an interval; of scores, token counts and quantiles those of this name.
    fn value(self, stats: Option<&Stats>, name: &str) -> Option<f64> {
        let none = Stats::default();
        let stats = stats.unwrap_or(&none);
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        let value = match self {
            Self::Number => Some(stats.count as f64),
            Self::Cost => Some(stats.cost_sum),
            Self::Guardrails => Some(0.0),
            Self::Tokens => Some(stats.usage.get(name).map_or(0.0, |(sum, _)| *sum)),
            Self::Quantiles => {
                let which = QUANTILES.iter().position(|quantile| *quantile == name);
                which.filter(|_| stats.durations > 0).map(|which| stats.duration_ms[which])
            }
            Self::Scores => stats.scores.get(name).map(|(sum, number)| mean(*sum, *number)),
            Self::AverageDuration => (stats.durations > 0).then(|| mean(stats.duration_sum, stats.durations)),
            Self::ErrorRate => Some(100.0 * mean(stats.errors as f64, stats.count)),
        };
        value.map(finite)
    }

    /// Names of what there is in these intervals; one that is empty where there is nothing to name.
    fn names(self, intervals: &Intervals) -> BTreeSet<String> {
        let all = |names: fn(&Stats) -> Vec<String>| -> BTreeSet<String> {
            let found: BTreeSet<String> = intervals.values().flat_map(names).collect();
            if found.is_empty() { BTreeSet::from([String::new()]) } else { found }
        };
        match self {
            Self::Tokens => all(|stats| stats.usage.keys().cloned().collect()),
            Self::Scores => all(|stats| stats.scores.keys().cloned().collect()),
            Self::Quantiles => QUANTILES.map(str::to_owned).into(),
            _ => BTreeSet::from([String::new()]),
        }
    }

    /// What groups are ranked by.
    fn amount(self, name: &str) -> Amount {
        match self {
            Self::Scores => Amount::Score(name.to_owned()),
            Self::Tokens => Amount::Usage(name.to_owned()),
            Self::Cost => Amount::Cost,
            Self::Quantiles => Amount::Duration,
            Self::AverageDuration | Self::ErrorRate => Amount::Figures,
            Self::Number | Self::Guardrails => Amount::Number,
        }
    }
}

/// Get Project Metrics
///
/// A metric of a project over time, in intervals of UTC. What is measured belongs to the interval in which its id was
/// made. Taken apart by something, the ten groups that have most are told, and the others together as `__others__`.
#[utoipa::path(
    post, path = "/v1/private/projects/{id}/metrics", operation_id = "getProjectMetrics", tag = PROJECTS,
    params(("id" = inline(Id), Path, description = "The project")),
    request_body = ProjectMetricRequest,
    responses(
        (status = 200, description = "Project Metrics", body = ProjectMetricResponse),
        (status = 400, description = "Bad Request", body = ErrorMessagePublic),
        (status = 404, description = "Not Found", body = ErrorMessagePublic),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_project_metrics(
    State(state): State<AppState>,
    caller: Caller,
    PathId(project_id): PathId,
    ValidJson(body): ValidJson<ProjectMetricRequest>,
) -> Result<Json<ProjectMetricResponse>, ApiError> {
    let ProjectMetricRequest { metric_type, interval, interval_start, interval_end, breakdown, .. } = body.value;
    let metric_type = metric_type.ok_or_else(|| missing("metric_type", "metricType"))?;
    let interval = interval.ok_or_else(|| missing("interval", "interval"))?;
    let start = interval_start.ok_or_else(|| missing("interval_start", "intervalStart"))?.nanos();
    let end = interval_end.map_or_else(|| state.clock.now(), Timestamp::nanos);
    if start >= end {
        return Err(refused("/interval_start", "'start_time' must be before 'end_time'".to_owned()));
    }
    let times = intervals(interval, start, end)?;
    let (of, measure, name) = measured(metric_type);
    let breakdown = breakdown.map_or(Ok(None), |breakdown| Breakdown::read(breakdown, metric_type))?;
    let of_spans = body_filters(Kind::Spans, "span_filters", body.value.span_filters)?;
    let of_traces = body_filters(Kind::Traces, "trace_filters", body.value.trace_filters)?;
    let of_threads = body_filters(Kind::Threads, "thread_filters", body.value.thread_filters)?;
    let filters = match of {
        Kind::Spans => of_spans,
        Kind::Traces => of_traces,
        Kind::Threads => of_threads,
    };
    let project = state.store.project(&caller.workspace, &ProjectRef::Id(project_id)).await?;
    let project = project.ok_or_else(projects::not_found)?;
    let mut starts = times.clone();
    starts[0] = start;
    let sub_metric = breakdown.as_ref().map_or("", |breakdown| breakdown.sub_metric.as_str());
    let asked = SeriesQuery {
        query: Query { filters, ..of_time(&state, &caller, of, project, start, end).await? },
        starts,
        end,
        group: breakdown.as_ref().map(|breakdown| breakdown.group.clone()),
        amount: measure.amount(sub_metric),
    };
    let series = state.store.series(asked).await?;
    let results = match breakdown {
        Some(breakdown) => taken_apart(measure, &breakdown.sub_metric, series, &times),
        None => whole(measure, name, series, &times),
    };
    Ok(Json(ProjectMetricResponse { project_id, metric_type, interval, results }))
}

fn missing(member: &str, name: &str) -> ApiError {
    refused(&format!("/{member}"), format!("{name} is marked non-null but is null"))
}

fn refused(pointer: &str, message: String) -> ApiError {
    let violation = Some(Box::new(Violation::new(pointer, "", &message)));
    ApiError::BadRequest { message, details: None, violation }
}

/// What is meant of a time. Of threads all are: those of another time are passed over later.
async fn of_time(
    state: &AppState,
    caller: &Caller,
    of: Kind,
    project: i64,
    start: i64,
    end: i64,
) -> Result<Query, ApiError> {
    if of == Kind::Threads {
        return threads::read::threads(state, caller, project).await;
    }
    let id_min = Some(Id::at(Timestamp::from_nanos(start), false));
    let id_max = Some(Id::at(Timestamp::from_nanos(end), true));
    Ok(Query { id_min, id_max, ..Query::all(of, project) })
}

const HOUR: i64 = 3_600 * 1_000_000_000;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// When the intervals begin that the time from `start` to `end` touches.
fn intervals(interval: TimeInterval, start: i64, end: i64) -> Result<Vec<i64>, ApiError> {
    // The first day of 1970 was a Thursday.
    let (length, offset) = match interval {
        TimeInterval::Hourly => (HOUR, 0),
        TimeInterval::Daily => (DAY, 0),
        TimeInterval::Weekly => (WEEK, 3 * DAY),
        TimeInterval::Total => return Ok(vec![start]),
    };
    let first = (start + offset).div_euclid(length) * length - offset;
    let length = usize::try_from(length).map_err(|_| ApiError::Internal)?;
    let times: Vec<i64> = (first..end).step_by(length).take(INTERVALS_MAX + 1).collect();
    if times.len() > INTERVALS_MAX {
        let message = format!("must be longer: there are more than {INTERVALS_MAX} intervals");
        return Err(ApiError::unprocessable("/interval", "interval", &message));
    }
    Ok(times)
}

/// How a metric is taken apart.
struct Breakdown {
    group: Group,
    /// Which of several results is told.
    sub_metric: String,
}

impl Breakdown {
    fn read(sent: BreakdownConfig, metric: MetricType) -> Result<Option<Self>, ApiError> {
        let group = match sent.field.unwrap_or(BreakdownField::None) {
            BreakdownField::None => return Ok(None),
            BreakdownField::Tags => Group::Tags,
            BreakdownField::Metadata => {
                let key = sent.metadata_key.filter(|key| !key.trim().is_empty());
                let message = "must name a place in the metadata";
                let unnamed = || ApiError::unprocessable("/breakdown/metadata_key", "breakdown.metadataKey", message);
                Group::Metadata(key.ok_or_else(unnamed)?)
            }
            BreakdownField::Name => Group::Name,
            BreakdownField::ErrorInfo => Group::HasError,
            BreakdownField::ErrorType => Group::ErrorType,
            BreakdownField::Model => Group::Model,
            BreakdownField::Provider => Group::Provider,
            BreakdownField::Type => Group::Type,
        };
        let (of, measure, _) = measured(metric);
        let undivided = matches!(measure, Measure::AverageDuration | Measure::ErrorRate)
            || matches!(metric, MetricType::SpanCost | MetricType::ThreadCost);
        if undivided {
            let name = serde_json::to_value(metric).unwrap_or_default();
            let name = name.as_str().unwrap_or_default();
            return Err(ApiError::bad_request(format!("Breakdown is not supported for metric type '{name}'")));
        }
        let fits = match of {
            Kind::Spans => true,
            Kind::Traces => !matches!(group, Group::Model | Group::Provider | Group::Type),
            Kind::Threads => group == Group::Tags,
        };
        if !fits {
            let message = "must be something that what is measured has: tags of threads; no model, provider or type \
                           of traces";
            return Err(ApiError::unprocessable("/breakdown/field", "breakdown", message));
        }
        let sub_metric = sent.sub_metric.unwrap_or_default();
        let wanted = match measure {
            Measure::Quantiles if !QUANTILES.contains(&sub_metric.as_str()) => "must be p50, p90 or p99",
            Measure::Tokens | Measure::Scores if sub_metric.is_empty() => "must name the score or token count",
            _ => return Ok(Some(Self { group, sub_metric })),
        };
        Err(ApiError::unprocessable("/breakdown/sub_metric", "breakdown.subMetric", wanted))
    }
}

/// The results of a metric, with a value for every interval.
fn whole(measure: Measure, name: &str, series: Series, times: &[i64]) -> Vec<ResultsNumber> {
    let found = series.groups.into_values().next().unwrap_or_default();
    let result = |part: String| {
        let value = |(interval, time): (usize, &i64)| point(*time, measure.value(found.get(&interval), &part));
        let data = times.iter().enumerate().map(value).collect();
        let name = match measure {
            Measure::Quantiles => format!("{name}.{part}"),
            Measure::Tokens | Measure::Scores => part,
            _ => name.to_owned(),
        };
        ResultsNumber { name, data }
    };
    measure.names(&found).into_iter().map(result).collect()
}

/// What stands for the groups that are not told apart.
const OTHERS: &str = "__others__";

/// The results of a metric by group, with values where there are any.
fn taken_apart(measure: Measure, part: &str, series: Series, times: &[i64]) -> Vec<ResultsNumber> {
    let others = series.others.map(|intervals| (OTHERS.to_owned(), intervals));
    let has = |stats: &Stats| measure != Measure::Tokens || stats.usage.contains_key(part);
    let result = |(name, intervals): (String, Intervals)| {
        let value = |(interval, stats): (usize, Stats)| {
            let value = measure.value(Some(&stats), part).filter(|_| has(&stats))?;
            Some(point(*times.get(interval)?, Some(value)))
        };
        ResultsNumber { name, data: intervals.into_iter().filter_map(value).collect() }
    };
    let results = series.groups.into_iter().chain(others).map(result);
    results.filter(|result| !result.data.is_empty()).collect()
}

fn point(time: i64, value: Option<f64>) -> DataPointNumber {
    DataPointNumber { time: Timestamp::from_nanos(time), value: value.map(Number) }
}

/// Get Project KPI Cards
///
/// Key figures of an interval, and of the one of the same length before it. What is counted belongs to the time at which
/// its id was made.
#[utoipa::path(
    post, path = "/v1/private/projects/{id}/kpi-cards", operation_id = "getProjectKpiCards", tag = PROJECTS,
    params(("id" = inline(Id), Path, description = "The project")),
    request_body = KpiCardRequest,
    responses(
        (status = 200, description = "KPI Card Metrics", body = KpiCardResponse),
        (status = 400, description = "Bad Request", body = ErrorMessage),
        (status = "default", description = "Error", body = ErrorMessage),
    )
)]
pub(super) async fn get_project_kpi_cards(
    State(state): State<AppState>,
    caller: Caller,
    PathId(project_id): PathId,
    ValidJson(body): ValidJson<KpiCardRequest>,
) -> Result<Json<KpiCardResponse>, ApiError> {
    let KpiCardRequest { entity_type, filters, interval_start, interval_end } = body.value;
    let (Some(entity), Some(start)) = (entity_type, interval_start) else { return Err(ApiError::Internal) };
    let (start, end) = (start.nanos(), interval_end.map_or_else(|| state.clock.now(), Timestamp::nanos));
    if start >= end {
        let message = "intervalStart must be before intervalEnd or current time";
        return Err(ApiError::unprocessable("/interval_start", "", message));
    }
    let of = match entity {
        KpiEntity::Traces => Kind::Traces,
        KpiEntity::Spans => Kind::Spans,
        KpiEntity::Threads => Kind::Threads,
    };
    let filters = filter::parse_json(of.fields(), &filters.unwrap_or_default()).map_err(invalid_filter)?;
    let before = (start - (end - start)).max(0);
    let project = state.store.project(&caller.workspace, &ProjectRef::Id(project_id)).await?;
    let found = match project {
        None => BTreeMap::new(),
        Some(project) => {
            let query = Query { filters, ..of_time(&state, &caller, of, project, before, end).await? };
            let asked = SeriesQuery { query, starts: vec![before, start], end, group: None, amount: Amount::Figures };
            state.store.series(asked).await?.groups.into_values().next().unwrap_or_default()
        }
    };
    let figure = |r#type, measure: Measure| KpiMetric {
        r#type,
        current_value: measure.value(found.get(&1), ""),
        previous_value: measure.value(found.get(&0), ""),
    };
    let mut stats = vec![
        figure(KpiType::Count, Measure::Number),
        figure(KpiType::AvgDuration, Measure::AverageDuration),
        figure(KpiType::TotalCost, Measure::Cost),
    ];
    if of != Kind::Threads {
        stats.push(figure(KpiType::Errors, Measure::ErrorRate));
    }
    Ok(Json(KpiCardResponse { stats }))
}
