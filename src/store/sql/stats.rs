//! Statistics, summed up while rows go by.

use std::collections::BTreeMap;

use super::integer;
use crate::store::StoreError;
use crate::store::cells::Cells;
use crate::store::quantiles::Quantiles;
use crate::store::{Amount, Kind, Stats};

/// Sums so far.
#[derive(Debug, Default)]
pub(super) struct Sums {
    stats: Stats,
    durations: Quantiles,
    /// Names of token counts, with sum and number.
    usage: Vec<(Box<[u8]>, f64, u64)>,
}

impl Sums {
    /// Adds a row, as far as this amount goes: start, end, cost, usage, flags, tags; of a trace also its spans and llm
    /// spans.
    pub(super) fn add(&mut self, row: &impl Cells, of: Kind, amount: &Amount) -> Result<(), StoreError> {
        self.stats.count += 1;
        match amount {
            Amount::Number | Amount::Score(_) => {}
            Amount::Duration => self.add_duration(row)?,
            Amount::Cost => self.add_cost(row)?,
            Amount::Usage(_) => self.add_usage(row)?,
            Amount::All => {
                self.add_duration(row)?;
                self.add_cost(row)?;
                self.add_flags(row)?;
                self.add_usage(row)?;
                self.add_rest(row, of)?;
            }
            Amount::Figures => {
                self.add_duration(row)?;
                self.add_cost(row)?;
                self.add_flags(row)?;
            }
        }
        Ok(())
    }

    fn add_duration(&mut self, row: &impl Cells) -> Result<(), StoreError> {
        let (start, end) = (integer(row, 0)?, row.integer(1)?);
        if let Some(end) = end.filter(|_| start != 0) {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
            let duration = (end.div_euclid(1_000) - start.div_euclid(1_000)) as f64 / 1_000.0;
            self.durations.add(duration);
            self.stats.durations += 1;
            self.stats.duration_sum += duration;
        }
        Ok(())
    }

    fn add_cost(&mut self, row: &impl Cells) -> Result<(), StoreError> {
        if let Some(cost) = row.real(2)?.filter(|cost| *cost > 0.0) {
            self.stats.costs += 1;
            self.stats.cost_sum += cost;
        }
        Ok(())
    }

    fn add_usage(&mut self, row: &impl Cells) -> Result<(), StoreError> {
        if let Some(usage) = row.raw(3)? {
            self.add_counts(usage);
        }
        Ok(())
    }

    fn add_flags(&mut self, row: &impl Cells) -> Result<(), StoreError> {
        let (stats, flags) = (&mut self.stats, integer(row, 4)?);
        stats.inputs += u64::from(flags & 1 != 0);
        stats.outputs += u64::from(flags & 2 != 0);
        stats.metadata += u64::from(flags & 4 != 0);
        stats.errors += u64::from(flags & 8 != 0);
        Ok(())
    }

    fn add_rest(&mut self, row: &impl Cells, of: Kind) -> Result<(), StoreError> {
        let stats = &mut self.stats;
        if let Some(tags) = row.raw(5)? {
            stats.tags += count_tags(tags);
        }
        if of == Kind::Traces {
            let count = |number: Option<i64>| u64::try_from(number.unwrap_or_default()).unwrap_or_default();
            stats.spans += count(row.integer(6)?);
            stats.llm_spans += count(row.integer(7)?);
        }
        Ok(())
    }

    /// Takes a usage object apart. It is our own writing, so names without escapes and plain integers are the rule;
    /// anything else is parsed in full.
    fn add_counts(&mut self, usage: &[u8]) {
        if usage.contains(&b'\\') {
            let counts: BTreeMap<String, i64> = serde_json::from_slice(usage).unwrap_or_default();
            for (name, count) in counts {
                #[expect(clippy::cast_precision_loss, reason = "sums of 32 bits; exact up to 2^53")]
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
            if let Ok(count) = std::str::from_utf8(&value[..end]).unwrap_or_default().parse::<i64>() {
                #[expect(clippy::cast_precision_loss, reason = "sums of 32 bits; exact up to 2^53")]
                self.add_count(name, count as f64);
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

    /// Adds scores by name, each the mean of one span or trace.
    pub(super) fn add_scores(&mut self, means: Vec<(String, f64)>) {
        add_means(&mut self.stats.scores, means);
    }

    /// Adds scores of the spans of traces by name, each the mean of one trace.
    pub(super) fn add_span_scores(&mut self, means: Vec<(String, f64)>) {
        add_means(&mut self.stats.span_scores, means);
    }

    /// Says how many conversations there are.
    pub(super) fn set_threads(&mut self, threads: u64) {
        self.stats.threads = threads;
    }

    /// Takes in the sums of other rows.
    pub(super) fn absorb(&mut self, other: Self) {
        let (stats, more) = (&mut self.stats, other.stats);
        stats.count += more.count;
        stats.inputs += more.inputs;
        stats.outputs += more.outputs;
        stats.metadata += more.metadata;
        stats.tags += more.tags;
        stats.durations += more.durations;
        stats.duration_sum += more.duration_sum;
        stats.costs += more.costs;
        stats.cost_sum += more.cost_sum;
        stats.errors += more.errors;
        stats.spans += more.spans;
        stats.llm_spans += more.llm_spans;
        self.durations.absorb(other.durations);
        for (scores, more) in [(&mut stats.scores, more.scores), (&mut stats.span_scores, more.span_scores)] {
            for (name, (sum, number)) in more {
                let known = scores.entry(name).or_default();
                known.0 += sum;
                known.1 += number;
            }
        }
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

    /// How much there is of something so far.
    pub(super) fn amount(&self, of: &Amount) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        match of {
            Amount::All | Amount::Figures | Amount::Number => self.stats.count as f64,
            Amount::Duration => self.stats.duration_sum,
            Amount::Cost => self.stats.cost_sum,
            Amount::Usage(name) => {
                self.usage.iter().find(|(known, ..)| **known == *name.as_bytes()).map_or(0.0, |(_, sum, _)| *sum)
            }
            Amount::Score(name) => self.stats.scores.get(name).map_or(0.0, |(sum, _)| *sum),
        }
    }

    pub(super) fn finish(self) -> Stats {
        let Self { mut stats, durations, usage } = self;
        stats.duration_ms = durations.at([0.5, 0.9, 0.99]);
        stats.usage = usage
            .into_iter()
            .map(|(name, sum, number)| (String::from_utf8_lossy(&name).into_owned(), (sum, number)))
            .collect();
        stats
    }
}

fn add_means(sums: &mut BTreeMap<String, (f64, u64)>, means: Vec<(String, f64)>) {
    for (name, mean) in means {
        let sum = sums.entry(name).or_default();
        sum.0 += mean;
        sum.1 += 1;
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
            sums.add_counts(usage.as_bytes());
        }
        let usage = sums.finish().usage;
        assert_eq!(usage["a"], (4.0, 2));
        assert_eq!(usage["b"], (-2.0, 1));
        assert_eq!(usage["a\""], (5.0, 1));
    }
}
