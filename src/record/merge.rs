//! The merge model: nothing that a client stated is lost, in whatever order its writes arrive.
//!
//! * Absent is "not stated", never "clear".
//! * Each field has two lanes. What an update states beats what any create states, always; updates among themselves
//!   go by arrival. Clocks of clients and of the server are never compared.
//! * Creates go field by field: the one with the greater (stamp, has an end, arrival) counts. The stamp is the
//!   client's `last_updated_at`, at most a day ahead of arrival; without one it is the id's first arrival.
//! * Identity (project, trace, parent) belongs to the creates. An update only places a row that was not created yet,
//!   and what the server made up (a trace id, the default project) gives way to whatever is stated.
//!
//! What has to be remembered is little: the newest create's stamp and whether it had an end, a bit for each updated
//! field, and, for the rare row, the fields that an older create owns.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{FieldSet, Fields};
use crate::model::Decimal;

/// How far ahead of its arrival a client's stamp may lie.
pub const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;

const MICROSECOND_NANOS: i64 = 1_000;

/// A write of one entity: the members it states.
#[derive(Debug, Clone)]
pub struct Record<F> {
    /// By what kind of write they are stated.
    pub lane: Lane,
    /// The stated members; an update may state the absence of a value.
    pub stated: FieldSet,
    /// Their values, and those of the server's making where identity is not stated.
    pub fields: F,
    /// Changes to the tags of whatever tags there are; updates only.
    pub tag_edits: Option<TagEdits>,
}

/// The two kinds of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// A create, with the client's stamp (nanoseconds since 1970) if it sent one.
    Create(Option<i64>),
    /// An update.
    Update,
}

/// Tags taken away and added, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagEdits {
    /// The tags that creates stated, to which the edits apply.
    pub base: Option<Vec<String>>,
    /// Added, unless there already.
    pub added: Vec<String>,
    /// Taken away.
    pub removed: Vec<String>,
}

/// The create that a field's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Nanoseconds since 1970.
    pub stamp: i64,
    /// Whether it had an end.
    pub ended: bool,
}

impl Owner {
    /// Owner of what no client stated.
    pub const NOBODY: Self = Self { stamp: i64::MIN, ended: false };
}

/// What a row remembers of the writes that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lanes {
    /// The newest create; none for a row that was only updated so far.
    pub newest: Option<Owner>,
    /// Fields that updates own.
    pub updated: FieldSet,
    /// Fields that belong to another create than the newest, or to nobody.
    pub others: Vec<(u8, Owner)>,
    /// Tag edits that still apply to whatever tags a create brings.
    pub tag_edits: Option<TagEdits>,
}

impl Lanes {
    fn other(&self, field: u8) -> Option<Owner> {
        self.others.iter().find(|(other, _)| *other == field).map(|(_, owner)| *owner)
    }

    fn forget(&mut self, field: u8) {
        self.others.retain(|(other, _)| *other != field);
    }

    fn remember(&mut self, field: u8, owner: Owner) {
        self.forget(field);
        self.others.push((field, owner));
    }
}

/// An entity as stored.
#[derive(Debug, Clone)]
pub struct Row<F> {
    /// Its members' values.
    pub fields: F,
    /// What decides over later writes.
    pub lanes: Lanes,
    /// First arrival, nanoseconds since 1970.
    pub created_at: i64,
    /// Who wrote first.
    pub created_by: Arc<str>,
    /// Greater with every write, whole microseconds; for display and filters, never for ordering writes.
    pub last_updated_at: i64,
    /// Who wrote last.
    pub last_updated_by: Arc<str>,
    /// Fields whose values were replaced since the row was read. Not stored.
    pub changed: FieldSet,
    /// Whether a write was merged into it since it was read. Not stored.
    pub touched: bool,
    /// What it costs by the server's reckoning, where no client stated it.
    pub estimate: Option<Estimate>,
}

/// A cost that the server worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// US dollars.
    pub cost: Decimal,
    /// Version of the way it was worked out.
    pub version: String,
}

/// What `record`, arriving at `arrival` from `user`, makes of `old`.
#[must_use]
pub fn merge<F: Fields>(old: Option<Row<F>>, record: Record<F>, arrival: i64, user: &Arc<str>) -> Row<F> {
    let mut row = match old {
        Some(mut row) => {
            row.last_updated_at += MICROSECOND_NANOS;
            row
        }
        None => Row {
            fields: F::default(),
            lanes: Lanes::default(),
            created_at: arrival,
            created_by: Arc::clone(user),
            last_updated_at: i64::MIN,
            last_updated_by: Arc::clone(user),
            changed: FieldSet::EMPTY,
            touched: true,
            estimate: None,
        },
    };
    row.touched = true;
    row.last_updated_by = Arc::clone(user);
    let stamp = match record.lane {
        Lane::Create(stamp) => {
            let stamp = stamp.map(|stamp| stamp.min(arrival.saturating_add(DAY_NANOS)));
            let first_arrival = row.created_at;
            create(&mut row, record, stamp.unwrap_or(first_arrival));
            stamp
        }
        Lane::Update => {
            update(&mut row, record);
            None
        }
    };
    let shown = stamp.unwrap_or(arrival);
    row.last_updated_at = row.last_updated_at.max(shown - shown.rem_euclid(MICROSECOND_NANOS));
    row
}

fn create<F: Fields>(row: &mut Row<F>, mut record: Record<F>, stamp: i64) {
    let own = Owner { stamp, ended: record.stated.contains(F::END) };
    let newest = row.lanes.newest;
    let leads = newest.is_none_or(|newest| own >= newest);

    // Creates compete for the tags as they stated them; edits are laid over the outcome.
    let mut edits = row.lanes.tag_edits.take();
    if let Some(edits) = &mut edits {
        *row.fields.tags() = edits.base.take();
    }
    let present = row.fields.present();
    for field in record.stated.without(row.lanes.updated).iter() {
        let owner = if present.contains(field) { row.lanes.other(field).or(newest) } else { None };
        if owner.is_none_or(|owner| own >= owner) {
            row.fields.take(field, &mut record.fields);
            row.changed.insert(field);
            if leads {
                row.lanes.forget(field);
            } else {
                row.lanes.remember(field, own);
            }
        }
    }
    place(row, &mut record);
    if leads {
        if let Some(newest) = newest.filter(|newest| *newest != own) {
            let kept = row.fields.present().without(record.stated).without(row.lanes.updated);
            for field in kept.iter() {
                if row.lanes.other(field).is_none() {
                    row.lanes.remember(field, newest);
                }
            }
        }
        row.lanes.newest = Some(own);
    }
    if let Some(mut edits) = edits {
        edits.base.clone_from(row.fields.tags());
        edits.apply(row.fields.tags());
        row.changed.insert(F::TAGS);
        row.lanes.tag_edits = Some(edits);
    }
}

fn update<F: Fields>(row: &mut Row<F>, mut record: Record<F>) {
    for field in record.stated.without(F::IDENTITY).iter() {
        row.fields.take(field, &mut record.fields);
        row.changed.insert(field);
        row.lanes.updated.insert(field);
        row.lanes.forget(field);
        if field == F::TAGS {
            row.lanes.tag_edits = None;
        }
    }
    if row.lanes.newest.is_none() {
        for field in record.stated.common(F::IDENTITY).iter() {
            row.fields.take(field, &mut record.fields);
            row.changed.insert(field);
            row.lanes.remember(field, Owner::NOBODY);
        }
    }
    place(row, &mut record);
    if let Some(edits) = record.tag_edits {
        let tags = row.fields.tags();
        if row.lanes.updated.contains(F::TAGS) {
            edits.apply(tags);
        } else {
            let all = row.lanes.tag_edits.get_or_insert_with(|| TagEdits { base: tags.clone(), ..TagEdits::default() });
            all.extend(edits);
            tags.clone_from(&all.base);
            all.apply(tags);
        }
        row.changed.insert(F::TAGS);
    }
}

/// Fills in identity of the server's making where there is none.
fn place<F: Fields>(row: &mut Row<F>, record: &mut Record<F>) {
    let made_up = record.fields.present().common(F::IDENTITY).without(record.stated);
    for field in made_up.without(row.fields.present()).iter() {
        row.fields.take(field, &mut record.fields);
        row.changed.insert(field);
        row.lanes.remember(field, Owner::NOBODY);
    }
}

impl TagEdits {
    pub(super) fn apply(&self, tags: &mut Option<Vec<String>>) {
        let tags = tags.get_or_insert_default();
        tags.retain(|tag| !self.removed.contains(tag));
        for tag in &self.added {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
    }

    fn extend(&mut self, later: Self) {
        self.added.retain(|tag| !later.removed.contains(tag));
        self.removed.retain(|tag| !later.added.contains(tag));
        self.removed.extend(later.removed.into_iter().filter(|tag| !later.added.contains(tag)));
        for tag in later.added {
            if !self.added.contains(&tag) {
                self.added.push(tag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Id;
    use crate::record::{SpanField, SpanFields};

    /// One write in a test: which lane, at what stamp, and the values it states.
    #[derive(Debug, Clone)]
    struct Step {
        lane: Lane,
        name: Option<u8>,
        end: Option<u8>,
        trace: Option<u8>,
        project: Option<u8>,
        tags: Option<Vec<String>>,
        edits: Option<(Vec<String>, Vec<String>)>,
        /// An update can also state that there is none.
        #[expect(clippy::option_option, reason = "not stated, stated to be none, stated")]
        input: Option<Option<u8>>,
    }

    fn id(number: u8) -> Id {
        Id(uuid::Uuid::from_u128(u128::from(number)))
    }

    fn payload(number: u8) -> crate::model::Payload {
        serde_json::value::RawValue::from_string(number.to_string()).expect("a number").into()
    }

    fn record(step: &Step) -> Record<SpanFields> {
        let mut stated = FieldSet::EMPTY;
        let mut fields = SpanFields {
            name: step.name.map(|name| name.to_string()),
            end_time: step.end.map(i64::from),
            trace_id: step.trace.map(id),
            project: step.project.map(i64::from),
            tags: step.tags.clone(),
            input: step.input.flatten().map(payload),
            ..SpanFields::default()
        };
        for field in fields.present().iter() {
            stated.insert(field);
        }
        if step.input.is_some() {
            stated.insert(SpanField::INPUT);
        }
        // What the server makes up.
        fields.trace_id.get_or_insert(id(200));
        fields.project.get_or_insert(200);
        let tag_edits = step.edits.clone().map(|(added, removed)| TagEdits { base: None, added, removed });
        Record { lane: step.lane, stated, fields, tag_edits }
    }

    #[derive(Debug, PartialEq)]
    struct Outcome {
        name: Option<String>,
        end: Option<i64>,
        trace: Option<Id>,
        project: Option<i64>,
        tags: Vec<String>,
        input: Option<String>,
        created: bool,
    }

    fn merged(steps: &[&Step]) -> Outcome {
        let user = Arc::from("admin");
        let mut row: Option<Row<SpanFields>> = None;
        let mut last = i64::MIN;
        for (arrival, step) in steps.iter().enumerate() {
            let next = merge(row, record(step), arrival_time(arrival), &user);
            assert!(next.last_updated_at > last, "the display stamp grows with every write");
            last = next.last_updated_at;
            row = Some(next);
        }
        let row = row.expect("at least one step");
        let listed: Vec<u8> = row.lanes.others.iter().map(|(field, _)| *field).collect();
        assert!(listed.iter().all(|field| !row.lanes.updated.contains(*field)), "updated fields have no owner");
        Outcome {
            name: row.fields.name,
            end: row.fields.end_time,
            trace: row.fields.trace_id,
            project: row.fields.project,
            tags: row.fields.tags.unwrap_or_default(),
            input: row.fields.input.map(|raw| raw.get().to_owned()),
            created: row.lanes.newest.is_some(),
        }
    }

    fn arrival_time(arrival: usize) -> i64 {
        1_000_000 + i64::try_from(arrival).expect("few") * 10
    }

    fn newest<T>(creates: &[(Owner, usize, &Step)], stated: impl Fn(&Step) -> Option<T>) -> Option<T> {
        let mut ranked: Vec<_> = creates.iter().filter(|(_, _, step)| stated(step).is_some()).collect();
        ranked.sort_by_key(|(owner, arrival, _)| (*owner, *arrival));
        ranked.last().and_then(|(_, _, step)| stated(step))
    }

    fn last<T>(updates: &[&Step], stated: impl Fn(&Step) -> Option<T>) -> Option<T> {
        updates.iter().rev().find_map(|step| stated(step))
    }

    /// The rules told again from the whole history, without any state that is carried along.
    fn told_from_history(steps: &[&Step]) -> Outcome {
        let first = arrival_time(0);
        let creates: Vec<(Owner, usize, &Step)> = steps
            .iter()
            .enumerate()
            .filter_map(|(arrival, step)| match step.lane {
                Lane::Create(stamp) => {
                    let stamp = stamp.map_or(first, |stamp| stamp.min(arrival_time(arrival) + DAY_NANOS));
                    Some((Owner { stamp, ended: step.end.is_some() }, arrival, *step))
                }
                Lane::Update => None,
            })
            .collect();
        let updates: Vec<&Step> = steps.iter().copied().filter(|step| step.lane == Lane::Update).collect();

        // Updates place a row only until it is created.
        let until_created = steps.iter().position(|step| step.lane != Lane::Update).unwrap_or(steps.len());
        let placing: Vec<&Step> = steps[..until_created].to_vec();
        let mut tags = match steps.iter().rposition(|step| step.lane == Lane::Update && step.tags.is_some()) {
            Some(at) => (steps[at].tags.clone().unwrap_or_default(), at + 1),
            None => (newest(&creates, |step| step.tags.clone()).unwrap_or_default(), 0),
        };
        for step in steps[tags.1..].iter().filter(|step| step.lane == Lane::Update) {
            let Some((added, removed)) = &step.edits else { continue };
            tags.0.retain(|tag| !removed.contains(tag));
            for tag in added {
                if !tags.0.contains(tag) {
                    tags.0.push(tag.clone());
                }
            }
        }
        tags.0.sort();
        Outcome {
            name: last(&updates, |step| step.name).or(newest(&creates, |step| step.name)).map(|name| name.to_string()),
            end: last(&updates, |step| step.end).or(newest(&creates, |step| step.end)).map(i64::from),
            trace: newest(&creates, |step| step.trace).or(last(&placing, |step| step.trace)).map(id).or(Some(id(200))),
            project: newest(&creates, |step| step.project)
                .or(last(&placing, |step| step.project))
                .map(i64::from)
                .or(Some(200)),
            tags: tags.0,
            input: last(&updates, |step| step.input)
                .unwrap_or_else(|| newest(&creates, |step| step.input).flatten())
                .map(|input| input.to_string()),
            created: !creates.is_empty(),
        }
    }

    fn some_tags() -> impl Strategy<Value = Vec<String>> {
        prop::sample::subsequence(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], 0..=3)
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let lane = prop_oneof![
            2 => (0..4_i64).prop_map(|stamp| Lane::Create(Some(stamp * 700_000))),
            1 => Just(Lane::Create(Some(i64::MAX))),
            1 => Just(Lane::Create(None)),
            2 => Just(Lane::Update),
        ];
        let small = || prop::option::of(0..100_u8);
        let edits = prop::option::weighted(0.3, (some_tags(), some_tags()));
        (lane, small(), small(), small(), small(), prop::option::of(some_tags()), edits, prop::option::of(small()))
            .prop_map(|(lane, name, end, trace, project, tags, edits, input)| {
                let update = lane == Lane::Update;
                let edits = edits.filter(|_| update);
                Step {
                    lane,
                    name,
                    end,
                    trace,
                    project,
                    tags: tags.filter(|_| edits.is_none()),
                    edits,
                    // Only an update can state that there is no input.
                    input: input.filter(|input| update || input.is_some()),
                }
            })
    }

    /// Every order of the writes, each also with one of them delivered twice.
    fn orders(steps: &[Step]) -> Vec<Vec<&Step>> {
        fn permute<'a>(rest: &mut Vec<&'a Step>, begun: &mut Vec<&'a Step>, found: &mut Vec<Vec<&'a Step>>) {
            if rest.is_empty() {
                found.push(begun.clone());
            }
            for at in 0..rest.len() {
                let step = rest.remove(at);
                begun.push(step);
                permute(rest, begun, found);
                begun.pop();
                rest.insert(at, step);
            }
        }
        let mut found = Vec::new();
        permute(&mut steps.iter().collect(), &mut Vec::new(), &mut found);
        let doubled: Vec<_> = found
            .iter()
            .enumerate()
            .map(|(number, order)| {
                let mut order = order.clone();
                order.insert(number % (order.len() + 1), order[number % order.len()]);
                order
            })
            .collect();
        found.extend(doubled);
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 2_000 }))]

        #[test]
        fn every_order_and_repetition_gives_what_the_history_tells(steps in prop::collection::vec(any_step(), 1..=4)) {
            for order in orders(&steps) {
                let mut outcome = merged(&order);
                outcome.tags.sort();
                prop_assert_eq!(&outcome, &told_from_history(&order), "order: {:#?}", order);
            }
        }
    }

    fn step(lane: Lane) -> Step {
        Step { lane, name: None, end: None, trace: None, project: None, tags: None, edits: None, input: None }
    }

    #[test]
    fn start_record_full_record_and_updates_agree_in_any_order() {
        let tags = |list: &[&str]| Some(list.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>());
        let steps = [
            Step {
                name: Some(1),
                trace: Some(7),
                project: Some(8),
                input: Some(Some(3)),
                ..step(Lane::Create(Some(10)))
            },
            Step { name: Some(2), trace: Some(7), project: Some(8), end: Some(9), ..step(Lane::Create(Some(20))) },
            Step { tags: tags(&["ui"]), trace: Some(7), ..step(Lane::Update) },
        ];
        for order in orders(&steps) {
            assert_eq!(
                merged(&order),
                Outcome {
                    name: Some("2".to_owned()),
                    end: Some(9),
                    trace: Some(id(7)),
                    project: Some(8),
                    tags: vec!["ui".to_owned()],
                    input: Some("3".to_owned()),
                    created: true,
                }
            );
        }
    }
}
