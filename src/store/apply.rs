//! A commit, worked out in memory: what a row of submissions makes of what they touch.
//!
//! A store loads what the submissions name ([`Wanted`]), lets [`Commit::apply`] decide, makes the projects that turned
//! out to be needed ([`Commit::new_projects`], then [`Commit::settle`]), carries out the [`Effect`]s in order, and then
//! writes the rows that [`Commit::outcome`] lists. Nothing here knows of a database, and nothing about refusals is
//! decided anywhere else.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Caller, Change, DEFAULT_PROJECT, Refusal, Submission};
use crate::model::{Id, UpdateTags};
use crate::record::{Fields as _, ProjectRef, Record, Row, Score, SpanField, SpanFields, SpanRecord, conflict, merge};

/// Something within all workspaces.
pub(super) type Key = (Arc<str>, Id);

/// What a row counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Counted {
    pub project: i64,
    pub trace_id: Id,
    pub type_code: i64,
}

/// A row that a commit touches.
#[derive(Debug)]
struct Slot {
    /// Its key in the store; none if it is new, or was deleted.
    key: Option<i64>,
    /// What it counted towards before.
    before: Option<Counted>,
    /// What it is now; none if it is not there.
    row: Option<Row<SpanFields>>,
}

/// A row to be written.
#[derive(Debug)]
pub(super) struct Changed {
    pub span: Key,
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

/// A change beside the rows of spans, decided and to be carried out as it is.
#[derive(Debug)]
pub(super) enum Effect {
    /// The row goes, with its payloads, and the span's scores and comments.
    DeleteSpan { span: Key, key: i64 },
    /// The score is put, over the one of the same span, name, author and queue.
    PutScore { caller: Caller, score: Score },
    /// These scores go.
    DeleteScores { span: Key, name: String, author: Option<String>, queue_id: Option<Id> },
    /// The comment is made.
    AddComment { caller: Caller, span_id: Id, id: Id, text: String, queue_id: Option<Id> },
    /// The comment says something else.
    UpdateComment { caller: Caller, id: Id, text: String },
    /// The comment goes.
    DeleteComment { comment: Key },
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
    rows: HashMap<Key, Slot>,
    by_name: HashMap<(Arc<str>, String), i64>,
    by_id: HashMap<Key, i64>,
    new_projects: Vec<NewProject>,
    /// Comments that exist, with their spans.
    comments: HashMap<Key, Id>,
    effects: Vec<Effect>,
}

/// What a commit needs to know first.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Spans to load, in order.
    pub spans: Vec<Key>,
    /// Projects to look up, by folded name.
    pub names: Vec<(Arc<str>, String)>,
    /// Projects to look up, by id.
    pub ids: Vec<Key>,
    /// Comments to look up.
    pub comments: Vec<Key>,
}

/// The form of a project's name under which it is the only one of its workspace: letter case does not count.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl Counted {
    fn of(row: &Row<SpanFields>) -> Option<Self> {
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
        let mut comments = HashSet::new();
        for Submission { caller, change } in submissions {
            let key = |id: &Id| (Arc::clone(&caller.workspace), *id);
            let mut record = |record: &SpanRecord| {
                spans.insert(key(&record.id));
                match &record.project {
                    Some(ProjectRef::Id(id)) => ids.insert(key(id)),
                    Some(ProjectRef::Name(name)) => names.insert((Arc::clone(&caller.workspace), folded(name))),
                    None => names.insert((Arc::clone(&caller.workspace), folded(DEFAULT_PROJECT))),
                };
            };
            match change {
                Change::Span(single) => record(single),
                Change::Spans(records) => records.iter().for_each(record),
                Change::UpdateSpans { ids, .. } => spans.extend(ids.iter().map(key)),
                Change::DeleteSpan(id) => {
                    spans.insert(key(id));
                }
                Change::Score(score) => {
                    spans.insert(key(&score.span_id));
                }
                Change::AddComment { span_id, .. } => {
                    spans.insert(key(span_id));
                }
                Change::UpdateComment { id, .. } => {
                    comments.insert(key(id));
                }
                // Made or gone, whatever there is.
                Change::Scores(_) | Change::DeleteScores { .. } | Change::DeleteComments(_) => {}
            }
        }
        let mut spans: Vec<_> = spans.into_iter().collect();
        // Neighbours in the index are looked up together; several writers take locks in one order.
        spans.sort_unstable();
        let comments = comments.into_iter().collect();
        Self { spans, names: names.into_iter().collect(), ids: ids.into_iter().collect(), comments }
    }
}

impl Commit {
    /// Takes up a span that may be touched, as it is stored.
    pub(super) fn know_span(&mut self, span: Key, stored: Option<(i64, Row<SpanFields>)>) {
        let slot = match stored {
            Some((key, row)) => Slot { key: Some(key), before: Counted::of(&row), row: Some(row) },
            None => Slot { key: None, before: None, row: None },
        };
        self.rows.insert(span, slot);
    }

    /// Takes up an existing project.
    pub(super) fn know_project_name(&mut self, workspace: Arc<str>, folded: String, key: i64) {
        self.by_name.insert((workspace, folded), key);
    }

    /// Takes up an existing project.
    pub(super) fn know_project_id(&mut self, project: Key, key: i64) {
        self.by_id.insert(project, key);
    }

    /// Takes up an existing comment.
    pub(super) fn know_comment(&mut self, comment: Key, span_id: Id) {
        self.comments.insert(comment, span_id);
    }

    /// Makes the submissions, in order; `now` is when they arrived.
    pub(super) fn apply(&mut self, submissions: &[Submission], now: i64) -> Vec<Result<(), Refusal>> {
        submissions.iter().map(|Submission { caller, change }| self.apply_one(caller, change, now)).collect()
    }

    fn apply_one(&mut self, caller: &Caller, change: &Change, now: i64) -> Result<(), Refusal> {
        let key = |id: &Id| (Arc::clone(&caller.workspace), *id);
        match change {
            Change::Span(record) => return self.apply_single(caller, record, now),
            Change::Spans(records) => {
                for record in records {
                    self.merge(caller, record, now);
                }
            }
            Change::UpdateSpans { ids, update } => return self.update_many(caller, ids, update, now),
            Change::DeleteSpan(id) => self.delete(key(id)),
            Change::Score(score) => {
                self.must_exist(&key(&score.span_id))?;
                self.effects.push(Effect::PutScore { caller: caller.clone(), score: Score::clone(score) });
            }
            Change::Scores(scores) => {
                let put = |score: &Score| Effect::PutScore { caller: caller.clone(), score: score.clone() };
                self.effects.extend(scores.iter().map(put));
            }
            Change::DeleteScores { span_id, name, author, queue_id } => self.effects.push(Effect::DeleteScores {
                span: key(span_id),
                name: name.clone(),
                author: author.clone(),
                queue_id: *queue_id,
            }),
            Change::AddComment { span_id, id, text, queue_id } => {
                self.must_exist(&key(span_id))?;
                self.comments.insert(key(id), *span_id);
                self.effects.push(Effect::AddComment {
                    caller: caller.clone(),
                    span_id: *span_id,
                    id: *id,
                    text: text.clone(),
                    queue_id: *queue_id,
                });
            }
            Change::UpdateComment { id, text } => {
                if !self.comments.contains_key(&key(id)) {
                    return Err(Refusal::CommentNotFound(*id));
                }
                self.effects.push(Effect::UpdateComment { caller: caller.clone(), id: *id, text: text.clone() });
            }
            Change::DeleteComments(ids) => {
                for id in ids {
                    self.comments.remove(&key(id));
                    self.effects.push(Effect::DeleteComment { comment: key(id) });
                }
            }
        }
        Ok(())
    }

    fn must_exist(&self, span: &Key) -> Result<(), Refusal> {
        match self.rows.get(span).and_then(|slot| slot.row.as_ref()) {
            Some(_) => Ok(()),
            None => Err(Refusal::SpanNotFound(span.1)),
        }
    }

    fn delete(&mut self, span: Key) {
        let Some(slot) = self.rows.get_mut(&span) else { return };
        slot.row = None;
        // A span made in this commit has no key yet, but may have scores and comments: key 0 is no row's.
        let key = slot.key.take().unwrap_or_default();
        self.comments.retain(|comment, span_id| comment.0 != span.0 || *span_id != span.1);
        self.effects.push(Effect::DeleteSpan { span, key });
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
            check_tags(row, &record.record, now, &caller.user)?;
        }
        self.merge(caller, record, now);
        Ok(())
    }

    fn update_many(
        &mut self,
        caller: &Caller,
        ids: &[Id],
        update: &Record<SpanFields>,
        now: i64,
    ) -> Result<(), Refusal> {
        let mut update = update.clone();
        update.stated = update.stated.without(SpanFields::IDENTITY);
        update.fields.trace_id = None;
        update.fields.parent_span_id = None;
        let keys: Vec<Key> = ids.iter().map(|id| (Arc::clone(&caller.workspace), *id)).collect();
        for key in &keys {
            if let Some(row) = self.rows.get(key).and_then(|slot| slot.row.as_ref()) {
                check_tags(row, &update, now, &caller.user)?;
            }
        }
        for key in &keys {
            let Some(slot) = self.rows.get_mut(key) else { continue };
            slot.row = slot.row.take().map(|row| merge(Some(row), update.clone(), now, &caller.user));
        }
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

    /// What is to be carried out before the rows are written, in order.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What is to be written.
    pub(super) fn outcome(self) -> Outcome {
        let mut counts = HashMap::new();
        let mut rows = Vec::with_capacity(self.rows.len());
        for (span, Slot { key, before, row }) in self.rows {
            let after = row.as_ref().and_then(Counted::of);
            if before != after {
                for (counted, change) in [(before, -1), (after, 1)] {
                    if let Some(counted) = counted {
                        *counts.entry(counted).or_default() += change;
                    }
                }
            }
            if let Some(row) = row.filter(|row| row.touched) {
                rows.push(Changed { span, key, row });
            }
        }
        rows.sort_unstable_by(|left, right| left.span.cmp(&right.span));
        counts.retain(|_, change| *change != 0);
        Outcome { rows, counts }
    }
}

/// Refuses an update whose additions would leave a row with more tags than are allowed.
fn check_tags(row: &Row<SpanFields>, update: &Record<SpanFields>, now: i64, user: &Arc<str>) -> Result<(), Refusal> {
    if update.tag_edits.as_ref().is_none_or(|edits| edits.added.is_empty()) {
        return Ok(());
    }
    let edited = merge(Some(row.clone()), update.clone(), now, user);
    if edited.fields.tags.is_some_and(|tags| tags.len() > UpdateTags::COUNT_MAX) {
        return Err(Refusal::TooManyTags { max: UpdateTags::COUNT_MAX });
    }
    Ok(())
}

fn stand_in(at: usize) -> i64 {
    -i64::try_from(at).unwrap_or(i64::MAX) - 1
}
