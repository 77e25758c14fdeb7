//! Figures over many spans, traces or threads, in the original's order.

use crate::model::{AvgValueStat, CountValueStat, Number, PercentageValueStat, PercentageValues, StatItem, kind};
use crate::store::Stats;

/// Sum and number of a figure, by name.
type Means = std::collections::BTreeMap<String, (f64, u64)>;

fn count(name: &str, value: u64) -> StatItem {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    StatItem::Count(CountValueStat { name: name.to_owned(), r#type: kind::CountKind::Count, value })
}

fn avg(name: impl Into<String>, value: f64) -> StatItem {
    StatItem::Avg(AvgValueStat { name: name.into(), r#type: kind::AvgKind::Avg, value: finite(value) })
}

/// JSON knows no infinity, to which the greatest costs sum up.
pub(super) fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn mean(sum: f64, number: u64) -> f64 {
    if number == 0 { 0.0 } else { sum / number as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn mean_count(sum: u64, number: u64) -> f64 {
    mean(sum as f64, number)
}

fn duration(stats: &Stats) -> StatItem {
    StatItem::Percentage(PercentageValueStat {
        name: "duration".to_owned(),
        r#type: kind::PercentageKind::Percentage,
        value: percentages(stats),
    })
}

/// How long things took.
pub(super) fn percentages(stats: &Stats) -> PercentageValues {
    let [p50, p90, p99] = stats.duration_ms.map(|value| Number(in_range(value)));
    PercentageValues { p50, p90, p99 }
}

/// What there is of payloads and tags.
fn contents(stats: &Stats) -> [StatItem; 4] {
    [
        count("input", stats.inputs),
        count("output", stats.outputs),
        count("metadata", stats.metadata),
        avg("tags", mean_count(stats.tags, stats.count)),
    ]
}

/// What it cost and took.
fn costs(stats: &Stats) -> Vec<StatItem> {
    let mut items = vec![
        avg("total_estimated_cost", mean(stats.cost_sum, stats.costs)),
        avg("total_estimated_cost_sum", stats.cost_sum),
    ];
    items.extend(means("usage", &stats.usage));
    items.extend(stats.usage.iter().map(|(key, (sum, _))| avg(format!("usage_sum.{key}"), *sum)));
    items
}

fn means(what: &str, means: &Means) -> impl Iterator<Item = StatItem> {
    means.iter().map(move |(name, (sum, number))| avg(format!("{what}.{name}"), mean(*sum, *number)))
}

/// Figures over spans; none where there are none.
pub(super) fn span_items(stats: &Stats) -> Vec<StatItem> {
    if stats.count == 0 {
        return Vec::new();
    }
    let mut items = vec![count("span_count", stats.count), duration(stats)];
    items.extend(contents(stats));
    items.extend(costs(stats));
    items.extend(means("feedback_scores", &stats.scores));
    items.push(count("error_count", stats.errors));
    items
}

/// Figures over traces; none where there are none.
pub(super) fn trace_items(stats: &Stats) -> Vec<StatItem> {
    if stats.count == 0 {
        return Vec::new();
    }
    let mut items = vec![count("trace_count", stats.count), duration(stats)];
    items.extend(contents(stats));
    items.push(count("thread_count", stats.threads));
    items.push(avg("llm_span_count", mean_count(stats.llm_spans, stats.count)));
    items.push(avg("span_count", mean_count(stats.spans, stats.count)));
    items.extend(costs(stats));
    items.extend(means("feedback_scores", &stats.scores));
    items.extend(means("span_feedback_scores", &stats.span_scores));
    items.push(count("guardrails_failed_count", 0));
    items.push(count("error_count", stats.errors));
    items
}

/// Figures over threads, with those that threads do not have as 0; none where there are no threads.
pub(super) fn thread_items(stats: &Stats) -> Vec<StatItem> {
    if stats.count == 0 {
        return Vec::new();
    }
    let mut items = vec![count("thread_count", stats.count), duration(stats)];
    items.extend(contents(stats));
    items.extend(costs(stats));
    items.extend(means("feedback_scores", &stats.scores));
    items.push(count("guardrails_failed_count", 0));
    items.push(count("error_count", stats.errors));
    items
}

/// Within what the original can tell, with nine digits of fraction.
fn in_range(value: f64) -> f64 {
    const MAX: f64 = 999_999_999.999_999_999;
    (value.clamp(-MAX, MAX) * 1e9).round() / 1e9
}
