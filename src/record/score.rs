//! Scores: as stored, one for each author, and as shown, one for each name.

use std::collections::BTreeMap;

use super::Target;
use crate::model::{Decimal, FeedbackScorePublic, Id, ScoreSource, ScoreValue, SpanType, Timestamp, ValueEntryPublic};

/// Digits of a mean's fraction, as in the original.
const MEAN_FRACTION_DIGITS: i64 = 9;

/// A score, as an author gave it.
#[derive(Debug, Clone)]
pub struct Score {
    /// What it judges.
    pub target: Target,
    /// The name.
    pub name: String,
    /// Who gave it.
    pub author: String,
    /// In which annotation queue, if in any.
    pub queue_id: Option<Id>,
    /// The value.
    pub value: Decimal,
    /// The category.
    pub category_name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who or what gave it.
    pub source: ScoreSource,
}

impl Score {
    /// Bytes that it holds, roughly: for bounds on what waits in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.name.len() + self.author.len() + text(&self.category_name) + text(&self.reason)
    }
}

/// A score as read.
#[derive(Debug, Clone)]
pub struct StoredScore {
    /// What was given.
    pub score: Score,
    /// When, nanoseconds since 1970.
    pub created_at: i64,
    /// By whom.
    pub created_by: String,
    /// When it last changed.
    pub last_updated_at: i64,
    /// Who changed it last.
    pub last_updated_by: String,
}

/// The mean, cut to nine digits of its fraction; a single value as it is.
#[must_use]
pub fn mean_score(values: &[Decimal]) -> Option<Decimal> {
    match values {
        [] => None,
        [only] => Some(only.clone()),
        several => {
            let sum: bigdecimal::BigDecimal = several.iter().map(Decimal::exact).sum();
            let count = u64::try_from(several.len()).unwrap_or(u64::MAX);
            Some(Decimal::cut(&(sum / bigdecimal::BigDecimal::from(count)), MEAN_FRACTION_DIGITS))
        }
    }
}

/// The scores of one span as they are shown: by name, of each author the latest, averaged over authors.
#[must_use]
pub fn shown_scores(stored: Vec<StoredScore>) -> Vec<FeedbackScorePublic> {
    let mut names: BTreeMap<String, BTreeMap<String, StoredScore>> = BTreeMap::new();
    for score in stored {
        let authors = names.entry(score.score.name.clone()).or_default();
        let author = score.score.author.clone();
        if authors.get(&author).is_none_or(|known| known.last_updated_at <= score.last_updated_at) {
            authors.insert(author, score);
        }
    }
    names.into_values().filter_map(|authors| shown(authors.into_values().collect(), Some("<no reason>"))).collect()
}

/// A score of one of a trace's spans.
#[derive(Debug, Clone)]
pub struct SpanScore {
    /// What kind of span it is.
    pub span_type: Option<SpanType>,
    /// The score; its target is the span.
    pub stored: StoredScore,
}

/// The scores of all spans of a trace as they are shown with it: by name, of each span and author the latest, averaged
/// over all of them.
#[must_use]
pub fn shown_span_scores(stored: Vec<SpanScore>) -> Vec<FeedbackScorePublic> {
    let mut names: BTreeMap<String, BTreeMap<(Id, String), SpanScore>> = BTreeMap::new();
    for score in stored {
        let given = &score.stored.score;
        let authors = names.entry(given.name.clone()).or_default();
        let key = (given.target.id, given.author.clone());
        if authors.get(&key).is_none_or(|known| known.stored.last_updated_at <= score.stored.last_updated_at) {
            authors.insert(key, score);
        }
    }
    names
        .into_values()
        .filter_map(|scores| {
            let by_author = scores.iter().map(|((span_id, author), score)| {
                let (_, mut entry) = entry(&score.stored);
                entry.span_id = Some(span_id.to_string());
                entry.span_type =
                    score.span_type.and_then(|kind| serde_json::to_value(kind).ok()?.as_str().map(str::to_owned));
                (format!("{author}_{span_id}"), entry)
            });
            let by_author = by_author.collect();
            let all = scores.into_values().map(|score| score.stored).collect();
            Some(FeedbackScorePublic { value_by_author: Some(by_author), ..shown(all, None)? })
        })
        .collect()
}

/// `without_reason` stands for reasons that were not given, where there are several.
fn shown(mut authors: Vec<StoredScore>, without_reason: Option<&str>) -> Option<FeedbackScorePublic> {
    authors.sort_by_key(|score| std::cmp::Reverse(score.last_updated_at));
    let values: Vec<_> = authors.iter().map(|score| score.score.value.clone()).collect();
    let joined = |texts: Vec<&str>| Some(texts.join(", ")).filter(|joined| !joined.is_empty());
    let names = |name: fn(&StoredScore) -> &str| {
        let mut seen = std::collections::HashSet::new();
        joined(authors.iter().map(name).filter(|name| seen.insert(*name)).collect())
    };
    let first = authors.first()?;
    let several = authors.len() > 1;
    let reason = if several {
        joined(authors.iter().filter_map(|score| score.score.reason.as_deref().or(without_reason)).collect())
    } else {
        first.score.reason.clone()
    };
    // Authors who chose no category are not told as empty ones.
    let categories: Vec<_> = authors.iter().filter_map(|score| score.score.category_name.as_deref()).collect();
    Some(FeedbackScorePublic {
        name: first.score.name.clone(),
        category_name: joined(categories),
        value: ScoreValue(mean_score(&values)?),
        reason,
        source: first.score.source,
        source_queue_id: None,
        created_at: authors.iter().map(|score| score.created_at).min().map(Timestamp::from_nanos),
        last_updated_at: authors.iter().map(|score| score.last_updated_at).max().map(Timestamp::from_nanos),
        created_by: names(|score| &score.created_by),
        last_updated_by: names(|score| &score.last_updated_by),
        value_by_author: Some(authors.iter().map(entry).collect()),
    })
}

fn entry(stored: &StoredScore) -> (String, ValueEntryPublic) {
    let score = &stored.score;
    let entry = ValueEntryPublic {
        author: Some(score.author.clone()),
        value: Some(score.value.clone()),
        reason: score.reason.clone(),
        category_name: score.category_name.clone(),
        source: Some(score.source),
        source_queue_id: score.queue_id.map(|id| id.to_string()),
        last_updated_at: Some(Timestamp::from_nanos(stored.last_updated_at)),
        span_type: Some(String::new()),
        span_id: Some(String::new()),
    };
    (score.author.clone(), entry)
}
