//! A commit, worked out in memory: what a row of submissions makes of the rows they touch.
//!
//! A store loads the rows and projects that the submissions name, lets [`Commit::apply`] decide, makes the projects
//! that turned out to be needed ([`Commit::new_projects`], then [`Commit::settle`]), and writes what
//! [`Commit::outcome`] lists. Nothing here knows of a database, and nothing about refusals is decided anywhere else.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Caller, Change, DEFAULT_PROJECT, Refusal, Submission};
use crate::model::{Id, UpdateTags};
use crate::record::{ProjectRef, Row, SpanField, SpanFields, SpanRecord, conflict, merge};

/// A span within all workspaces.
pub(super) type SpanKey = (Arc<str>, Id);

/// What a row counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Counted {
    pub project: i64,
    pub trace_id: Id,
    pub type_code: i64,
}

/// A row that a commit touches.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its key in the store; none if it is new.
    pub key: Option<i64>,
    /// What it counted towards before.
    pub before: Option<Counted>,
    /// What it is now; none if it is not there and nothing has made it yet.
    pub row: Option<Row<SpanFields>>,
}

/// A row to be written.
#[derive(Debug)]
pub(super) struct Changed {
    pub span: SpanKey,
    /// Its key in the store; none if it is new.
    pub key: Option<i64>,
    pub row: Row<SpanFields>,
}

/// What a commit amounts to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Rows, ordered by id.
    pub rows: Vec<Changed>,
    /// What they change in the counts.
    pub counts: HashMap<Counted, i64>,
}

/// A project to be made.
#[derive(Debug)]
pub(super) struct NewProject {
    pub workspace: Arc<str>,
    pub name: String,
    pub user: Arc<str>,
}

/// The state of a commit.
#[derive(Debug, Default)]
pub(super) struct Commit {
    rows: HashMap<SpanKey, Slot>,
    by_name: HashMap<(Arc<str>, String), i64>,
    by_id: HashMap<(Arc<str>, Id), i64>,
    new_projects: Vec<NewProject>,
}

/// What a commit needs to know first.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Spans to load.
    pub spans: Vec<SpanKey>,
    /// Projects to look up, by folded name.
    pub names: Vec<(Arc<str>, String)>,
    /// Projects to look up, by id.
    pub ids: Vec<(Arc<str>, Id)>,
}

/// The form of a project's name under which it is the only one of its workspace: letter case does not count.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl Counted {
    pub(super) fn of(row: &Row<SpanFields>) -> Option<Self> {
        let fields = &row.fields;
        Some(Self {
            project: fields.project?,
            trace_id: fields.trace_id?,
            type_code: fields.span_type.map_or(0, crate::model::SpanType::code),
        })
    }
}

impl Wanted {
    /// What these submissions touch.
    pub(super) fn by(submissions: &[Submission]) -> Self {
        let mut spans = HashSet::new();
        let mut names = HashSet::new();
        let mut ids = HashSet::new();
        for submission in submissions {
            let workspace = &submission.caller.workspace;
            for record in submission.records() {
                spans.insert((Arc::clone(workspace), record.id));
                match &record.project {
                    Some(ProjectRef::Id(id)) => {
                        ids.insert((Arc::clone(workspace), *id));
                    }
                    Some(ProjectRef::Name(name)) => {
                        names.insert((Arc::clone(workspace), folded(name)));
                    }
                    None => {
                        names.insert((Arc::clone(workspace), folded(DEFAULT_PROJECT)));
                    }
                }
            }
        }
        let mut spans: Vec<_> = spans.into_iter().collect();
        // Neighbours in the index are looked up together; several writers take locks in one order.
        spans.sort_unstable();
        Self { spans, names: names.into_iter().collect(), ids: ids.into_iter().collect() }
    }
}

impl Commit {
    /// Takes up a span that may be touched, as it is stored.
    pub(super) fn know_span(&mut self, key: SpanKey, stored: Option<(i64, Row<SpanFields>)>) {
        let slot = match stored {
            Some((key, row)) => Slot { key: Some(key), before: Counted::of(&row), row: Some(row) },
            None => Slot { key: None, before: None, row: None },
        };
        self.rows.insert(key, slot);
    }

    /// Takes up an existing project.
    pub(super) fn know_project_name(&mut self, workspace: Arc<str>, folded: String, key: i64) {
        self.by_name.insert((workspace, folded), key);
    }

    /// Takes up an existing project.
    pub(super) fn know_project_id(&mut self, workspace: Arc<str>, id: Id, key: i64) {
        self.by_id.insert((workspace, id), key);
    }

    /// Makes the submissions, in order; `now` is when they arrived.
    pub(super) fn apply(&mut self, submissions: &[Submission], now: i64) -> Vec<Result<(), Refusal>> {
        submissions
            .iter()
            .map(|Submission { caller, change }| match change {
                Change::Span(record) => self.apply_single(caller, record, now),
                Change::Spans(records) => {
                    for record in records {
                        self.merge(caller, record, now);
                    }
                    Ok(())
                }
            })
            .collect()
    }

    fn apply_single(&mut self, caller: &Caller, record: &SpanRecord, now: i64) -> Result<(), Refusal> {
        let project = match &record.project {
            None => None,
            Some(ProjectRef::Name(name)) => Some(self.by_name.get(&(Arc::clone(&caller.workspace), folded(name)))),
            Some(ProjectRef::Id(id)) => match self.by_id.get(&(Arc::clone(&caller.workspace), *id)) {
                None => return Err(Refusal::ProjectNotFound),
                found => Some(found),
            },
        };
        let key = (Arc::clone(&caller.workspace), record.id);
        if let Some(row) = self.rows.get(&key).and_then(|slot| slot.row.as_ref()) {
            let same_project = project.is_none_or(|project| project.copied() == row.fields.project);
            if let Some(conflict) = conflict(row, &record.record, same_project) {
                return Err(Refusal::Conflict(conflict));
            }
            if record.record.tag_edits.is_some() {
                let edited = merge(Some(row.clone()), record.record.clone(), now, &caller.user);
                if edited.fields.tags.is_some_and(|tags| tags.len() > UpdateTags::COUNT_MAX) {
                    return Err(Refusal::TooManyTags { max: UpdateTags::COUNT_MAX });
                }
            }
        }
        self.merge(caller, record, now);
        Ok(())
    }

    fn merge(&mut self, caller: &Caller, span: &SpanRecord, now: i64) {
        let key = (Arc::clone(&caller.workspace), span.id);
        let old = self.rows.get_mut(&key).and_then(|slot| slot.row.take());
        let mut record = span.record.clone();
        match &span.project {
            Some(project) => {
                record.fields.project = self.project(caller, project);
                record.stated.insert(SpanField::PROJECT);
            }
            // Only a span that has no project yet needs the default one.
            None if old.is_none() => {
                record.fields.project = self.project(caller, &ProjectRef::Name(DEFAULT_PROJECT.to_owned()));
            }
            None => {}
        }
        let row = merge(old, record, now, &caller.user);
        match self.rows.entry(key) {
            Entry::Occupied(mut slot) => slot.get_mut().row = Some(row),
            Entry::Vacant(slot) => {
                slot.insert(Slot { key: None, before: None, row: Some(row) });
            }
        }
    }

    /// The project's key; a negative one stands for a project that is still to be made.
    fn project(&mut self, caller: &Caller, project: &ProjectRef) -> Option<i64> {
        let workspace = Arc::clone(&caller.workspace);
        match project {
            ProjectRef::Id(id) => self.by_id.get(&(workspace, *id)).copied(),
            ProjectRef::Name(name) => {
                let new = &mut self.new_projects;
                Some(*self.by_name.entry((workspace, folded(name))).or_insert_with(|| {
                    new.push(NewProject {
                        workspace: Arc::clone(&caller.workspace),
                        name: name.clone(),
                        user: Arc::clone(&caller.user),
                    });
                    stand_in(new.len() - 1)
                }))
            }
        }
    }

    /// The projects that must be made, in order.
    pub(super) fn new_projects(&self) -> &[NewProject] {
        &self.new_projects
    }

    /// Puts the keys of the new projects, in order, where they were stood in for.
    pub(super) fn settle(&mut self, keys: &[i64]) {
        let real: HashMap<i64, i64> = keys.iter().enumerate().map(|(at, key)| (stand_in(at), *key)).collect();
        if real.is_empty() {
            return;
        }
        for row in self.rows.values_mut().filter_map(|slot| slot.row.as_mut()) {
            if let Some(project) = row.fields.project.and_then(|project| real.get(&project)) {
                row.fields.project = Some(*project);
            }
        }
    }

    /// What is to be written.
    pub(super) fn outcome(self) -> Outcome {
        let mut counts = HashMap::new();
        let mut rows = Vec::with_capacity(self.rows.len());
        for (key, slot) in self.rows {
            let Some(row) = slot.row else { continue };
            if !row.touched {
                continue;
            }
            let after = Counted::of(&row);
            if slot.before != after {
                for (counted, change) in [(slot.before, -1), (after, 1)] {
                    if let Some(counted) = counted {
                        *counts.entry(counted).or_default() += change;
                    }
                }
            }
            rows.push(Changed { span: key, key: slot.key, row });
        }
        rows.sort_unstable_by(|left, right| left.span.cmp(&right.span));
        counts.retain(|_, change| *change != 0);
        Outcome { rows, counts }
    }
}

fn stand_in(at: usize) -> i64 {
    -i64::try_from(at).unwrap_or(i64::MAX) - 1
}
