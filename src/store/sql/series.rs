//! Sums by interval and group, while rows go by.

use std::collections::{BTreeMap, HashMap};

use super::read::{SUMMED, each, summed};
use super::stats::Sums;
use super::{Connection, id, text};
use crate::store::cells::Cells;
use crate::store::condition::{Sql, begin, filtered};
use crate::store::query::GROUPS_MAX;
use crate::store::{Amount, Group, Intervals, Series, SeriesQuery, StoreError};

/// Groups that are summed up apart before it is known which have most; of further ones, only that they are others.
const GROUPS_KEPT_MAX: usize = 10_000;

type Parts = BTreeMap<usize, Sums>;

/// Sums so far.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<String, Parts>,
    others: Parts,
}

impl Groups {
    /// The sums of a group in an interval.
    fn sums(&mut self, group: &str, interval: usize) -> &mut Sums {
        if !self.groups.contains_key(group) && self.groups.len() < GROUPS_KEPT_MAX {
            self.groups.insert(group.to_owned(), Parts::new());
        }
        self.groups.get_mut(group).unwrap_or(&mut self.others).entry(interval).or_default()
    }

    /// Takes in the sums of other rows.
    pub(super) fn absorb(&mut self, other: Self) {
        for (group, parts) in other.groups {
            for (interval, sums) in parts {
                self.sums(&group, interval).absorb(sums);
            }
        }
        merge(&mut self.others, other.others);
    }

    pub(super) fn finish(self, amount: &Amount) -> Series {
        let Self { groups, mut others } = self;
        let weight = |parts: &Parts| parts.values().map(|sums| sums.amount(amount)).sum::<f64>();
        let mut ranked: Vec<(String, Parts)> = groups.into_iter().collect();
        ranked.sort_by(|one, other| weight(&other.1).total_cmp(&weight(&one.1)).then_with(|| one.0.cmp(&other.0)));
        for (_, parts) in ranked.split_off(GROUPS_MAX.min(ranked.len())) {
            merge(&mut others, parts);
        }
        let finished = |parts: Parts| -> Intervals {
            parts.into_iter().map(|(interval, sums)| (interval, sums.finish())).collect()
        };
        Series {
            groups: ranked.into_iter().map(|(group, parts)| (group, finished(parts))).collect(),
            others: (!others.is_empty()).then(|| finished(others)),
        }
    }
}

fn merge(into: &mut Parts, parts: Parts) {
    for (interval, sums) in parts {
        into.entry(interval).or_default().absorb(sums);
    }
}

/// The sums of rows, within a range of keys if there is one.
pub(super) fn rows<C: Connection>(
    connection: &C,
    asked: &SeriesQuery,
    range: Option<(i64, i64)>,
) -> Result<Groups, StoreError> {
    let summed = summed(asked.query.of, &asked.amount);
    let mut sql = begin(C::DIALECT, &asked.query);
    let selected = format!("{summed}, s.id, {}", group_sql(asked.group.as_ref(), &mut sql));
    let (mut groups, mut all) = (Groups::default(), Parts::new());
    each(connection, &asked.query, range, &selected, sql, |row| {
        let Some(interval) = interval(asked, row, SUMMED)? else { return Ok(()) };
        if asked.group.is_none() {
            return all.entry(interval).or_default().add(row, asked.query.of, &asked.amount);
        }
        for group in groups_of(asked.group.as_ref(), row, SUMMED + 1)? {
            groups.sums(&group, interval).add(row, asked.query.of, &asked.amount)?;
        }
        Ok(())
    })?;
    if !all.is_empty() {
        groups.groups.insert(String::new(), all);
    }
    Ok(groups)
}

/// The sums of scores: the mean of each name counts once for each thing that has it.
pub(super) fn scores<C: Connection>(connection: &C, asked: &SeriesQuery) -> Result<Groups, StoreError> {
    let table = asked.query.of.table();
    let mut sql = begin(C::DIALECT, &asked.query);
    let group = group_sql(asked.group.as_ref(), &mut sql);
    let mut meant = Sql { text: String::new(), ..sql.clone() };
    filtered(&asked.query, None, &group, &mut meant);
    let latest = C::DIALECT.latest_scores(
        &format!("f.entity_id AS entity_id, f.name AS name, f.value AS value, s.id AS id, {group} AS grouped"),
        &format!(
            "scores f {} {} s ON {}{} AND f.workspace = s.workspace",
            C::DIALECT.join(),
            table.rows,
            table.scores,
            meant.text
        ),
    );
    sql.values = meant.values;
    sql.push(&format!(
        "SELECT l.name, mean_score(l.value), l.id, l.grouped FROM ({latest}) l \
         GROUP BY l.entity_id, l.name, l.id, l.grouped"
    ));
    let mut groups = Groups::default();
    connection.each(&sql.text, &sql.params(), |row| {
        let Some(interval) = interval(asked, row, 2)? else { return Ok(true) };
        let (name, mean) = (text(row, 0)?, row.real(1)?);
        if matches!(&asked.amount, Amount::Score(wanted) if !wanted.is_empty() && *wanted != name) {
            return Ok(true);
        }
        for group in groups_of(asked.group.as_ref(), row, 3)? {
            groups.sums(&group, interval).add_scores(vec![(name.clone(), mean.unwrap_or_default())]);
        }
        Ok(true)
    })?;
    Ok(groups)
}

/// The interval in which an id was made.
fn interval(asked: &SeriesQuery, row: &impl Cells, at: usize) -> Result<Option<usize>, StoreError> {
    let time = id(row, at)?.time().nanos();
    Ok(if time < asked.end { asked.starts.partition_point(|start| *start <= time).checked_sub(1) } else { None })
}

/// SQL for what a row is grouped by; tags as a JSON list.
fn group_sql(group: Option<&Group>, sql: &mut Sql) -> String {
    match group {
        None => "CAST(NULL AS TEXT)".to_owned(),
        Some(Group::Tags) => "s.tags".to_owned(),
        Some(Group::Metadata(key)) => {
            let key = sql.bind_path(key);
            format!("json_text(p.metadata, {key})")
        }
        Some(Group::Name) => "s.name".to_owned(),
        Some(Group::HasError) => "CASE WHEN s.error_info IS NULL THEN 'No Error' ELSE 'Has Error' END".to_owned(),
        Some(Group::ErrorType) => "json_extract(s.error_info, '$.exception_type')".to_owned(),
        Some(Group::Model) => "s.model".to_owned(),
        Some(Group::Provider) => "s.provider".to_owned(),
        Some(Group::Type) => {
            "CASE s.type WHEN 1 THEN 'general' WHEN 2 THEN 'tool' WHEN 3 THEN 'llm' WHEN 4 THEN 'guardrail' END"
                .to_owned()
        }
    }
}

/// What stands for a group without a name.
const UNKNOWN: &str = "Unknown";

/// The groups that a row belongs to.
fn groups_of(group: Option<&Group>, row: &impl Cells, at: usize) -> Result<Vec<String>, StoreError> {
    let text = row.text(at)?.unwrap_or_default();
    let named = |name: String| if name.is_empty() { UNKNOWN.to_owned() } else { name };
    Ok(match group {
        None => vec![String::new()],
        Some(Group::Tags) => serde_json::from_str(&text).unwrap_or_default(),
        Some(_) => vec![named(text)],
    })
}
