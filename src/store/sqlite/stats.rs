//! Statistics, summed up while rows go by.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;

use crate::store::SpanStats;
use crate::store::quantiles::Quantiles;

/// Sums so far.
#[derive(Debug, Default)]
pub(super) struct Sums {
    stats: SpanStats,
    durations: Quantiles,
    /// Names of token counts, with sum and number.
    usage: Vec<(Box<[u8]>, f64, u64)>,
}

impl Sums {
    /// Adds a row: start, end, payloads, tags, cost, usage, error.
    pub(super) fn add(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        let stats = &mut self.stats;
        stats.count += 1;
        let (start, end): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        if let Some(end) = end.filter(|_| start != 0) {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
            self.durations.add((end.div_euclid(1_000) - start.div_euclid(1_000)) as f64 / 1_000.0);
        }
        let payloads: i64 = row.get(2)?;
        stats.inputs += u64::from(payloads & 1 != 0);
        stats.outputs += u64::from(payloads & 2 != 0);
        stats.metadata += u64::from(payloads & 4 != 0);
        if let ValueRef::Text(tags) = row.get_ref(3)? {
            stats.tags += count_tags(tags);
        }
        let cost: Option<f64> = row.get(4)?;
        if let Some(cost) = cost.filter(|cost| *cost > 0.0) {
            stats.costs += 1;
            stats.cost_sum += cost;
        }
        if let ValueRef::Text(usage) = row.get_ref(5)? {
            self.add_usage(usage);
        }
        self.stats.errors += u64::from(row.get::<_, bool>(6)?);
        Ok(())
    }

    /// Takes a usage object apart. It is our own writing, so names without escapes and plain integers are the rule;
    /// anything else is parsed in full.
    fn add_usage(&mut self, usage: &[u8]) {
        if usage.contains(&b'\\') {
            let counts: BTreeMap<String, i64> = serde_json::from_slice(usage).unwrap_or_default();
            for (name, count) in counts {
                #[expect(clippy::cast_precision_loss, reason = "32 bits")]
                self.add_count(name.as_bytes(), count as f64);
            }
            return;
        }
        let mut rest = usage;
        while let Some(open) = memchr::memchr(b'"', rest) {
            let Some(close) = memchr::memchr(b'"', &rest[open + 1..]) else { return };
            let name = &rest[open + 1..open + 1 + close];
            let value = &rest[open + close + 3..];
            let end = memchr::memchr2(b',', b'}', value).unwrap_or(value.len());
            if let Ok(count) = std::str::from_utf8(&value[..end]).unwrap_or_default().parse::<i32>() {
                self.add_count(name, f64::from(count));
            }
            rest = &value[end..];
        }
    }

    fn add_count(&mut self, name: &[u8], count: f64) {
        if let Some(known) = self.usage.iter_mut().find(|(known, _, _)| &**known == name) {
            known.1 += count;
            known.2 += 1;
        } else {
            self.usage.push((name.into(), count, 1));
        }
    }

    /// Adds one span's score of a name.
    pub(super) fn add_score(&mut self, name: String, mean: f64) {
        let sum = self.stats.scores.entry(name).or_default();
        sum.0 += mean;
        sum.1 += 1;
    }

    /// Takes in the sums of other rows.
    pub(super) fn absorb(&mut self, other: Self) {
        let (stats, more) = (&mut self.stats, other.stats);
        stats.count += more.count;
        stats.inputs += more.inputs;
        stats.outputs += more.outputs;
        stats.metadata += more.metadata;
        stats.tags += more.tags;
        stats.costs += more.costs;
        stats.cost_sum += more.cost_sum;
        stats.errors += more.errors;
        self.durations.absorb(other.durations);
        for (name, sum, number) in other.usage {
            match self.usage.iter_mut().find(|(known, _, _)| *known == name) {
                Some(known) => {
                    known.1 += sum;
                    known.2 += number;
                }
                None => self.usage.push((name, sum, number)),
            }
        }
    }

    pub(super) fn finish(self) -> SpanStats {
        let Self { mut stats, durations, usage } = self;
        stats.duration_ms = durations.at([0.5, 0.9, 0.99]);
        stats.usage = usage
            .into_iter()
            .map(|(name, sum, number)| (String::from_utf8_lossy(&name).into_owned(), (sum, number)))
            .collect();
        stats
    }
}

/// How many texts a JSON list of texts has.
fn count_tags(tags: &[u8]) -> u64 {
    let mut quotes = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &tags[at..]) {
        at += found;
        if tags[at] == b'"' {
            quotes += 1;
            at += 1;
        } else {
            at += 2;
        }
        if at >= tags.len() {
            break;
        }
    }
    quotes / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_without_a_parser() {
        for tags in [vec![], vec!["a"], vec!["a", "b\"c", "\\"], vec!["", "é,\""]] {
            let text = serde_json::to_string(&tags).expect("texts");
            assert_eq!(count_tags(text.as_bytes()), tags.len() as u64, "{text}");
        }
    }

    #[test]
    fn usage_is_taken_apart() {
        let mut sums = Sums::default();
        for usage in [r#"{"a":1,"b":-2}"#, r#"{"a":3}"#, "{}", r#"{"a\"":5}"#] {
            sums.add_usage(usage.as_bytes());
        }
        let usage = sums.finish().usage;
        assert_eq!(usage["a"], (4.0, 2));
        assert_eq!(usage["b"], (-2.0, 1));
        assert_eq!(usage["a\""], (5.0, 1));
    }
}
