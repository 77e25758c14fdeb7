//! A commit, worked out in memory: what a row of submissions makes of what they touch.
//!
//! A store loads what the submissions name ([`Wanted`]), lets [`Commit::apply`] decide, makes the projects that turned
//! out to be needed ([`Commit::new_projects`], then [`Commit::settle`]), carries out the [`Effect`]s in order, and then
//! writes the rows that [`Commit::outcome`] lists. Nothing here knows of a database, and nothing about refusals is
//! decided anywhere else.

mod rows;
mod threads;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use self::rows::Rows;
use self::threads::{Place, Threads};
use super::sums::{Share, Sums};
use super::{Caller, Change, ContentHash, DEFAULT_PROJECT, NewAttachment, Refusal, Submission};
use crate::cost::{self, Prices};
use crate::model::{Id, UpdateTags, trimmed};
use crate::record::{
    Entity, Estimate, FieldSet, ProjectRef, Record, Row, Score, SpanField, SpanFields, Target, TraceFields, Traced,
    Write, conflict, merge,
};

pub(super) use threads::{ThreadKey, Touched, WantedThread};

/// Something within all workspaces.
pub(super) type Key = (Arc<str>, Id);

/// A row that a commit touches.
#[derive(Debug)]
struct Slot<F, B> {
    /// Its key in the store; none if it is new, or was deleted.
    key: Option<i64>,
    /// What it counted towards before.
    before: Option<B>,
    /// What it is now; none if it is not there.
    row: Option<Row<F>>,
}

impl<F, B> Slot<F, B> {
    const ABSENT: Self = Self { key: None, before: None, row: None };
}

/// A row to be written.
#[derive(Debug)]
pub(super) struct Changed<F> {
    pub id: Key,
    /// Its key in the store; none if it is new.
    pub key: Option<i64>,
    pub row: Row<F>,
}

/// What a commit amounts to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Rows of spans, ordered by id.
    pub spans: Vec<Changed<SpanFields>>,
    /// Rows of traces, ordered by id.
    pub traces: Vec<Changed<TraceFields>>,
    /// What they change in what traces amount to, by workspace, trace and project.
    pub sums: BTreeMap<(Key, i64), Sums>,
    /// What they change in the numbers of traces, by project, and when the last of them was written.
    pub trace_counts: BTreeMap<i64, (i64, i64)>,
    /// What is said of threads.
    pub threads: BTreeMap<ThreadKey, Touched>,
}

/// A change beside the rows, decided and to be carried out as it is.
#[derive(Debug)]
pub(super) enum Effect {
    /// The row goes, with its payloads, and the span's scores and comments.
    DeleteSpan { span: Key, key: i64 },
    /// The span, of which the row is still to be written, belongs to another trace than the stored one.
    MoveSpan { span: Key, key: i64, trace_id: Id },
    /// The trace goes, and all that belongs to it, with what was summed up of it.
    DeleteTrace { trace: Key },
    /// The thread's tags are these.
    TagThread { id: Id, tags: Vec<String> },
    /// What was said of the thread goes, and what is known of it; its traces are seen to by other effects.
    DeleteThread { workspace: Arc<str>, thread: ThreadKey },
    /// The score is put on the thread, which is made with the score's target as its own id if there is none.
    ScoreThread { caller: Caller, thread: ThreadKey, score: Score },
    /// These scores of the thread go.
    DeleteThreadScores {
        workspace: Arc<str>,
        thread: ThreadKey,
        names: Vec<String>,
        author: Option<String>,
        queue_id: Option<Id>,
    },
    /// The score is put, over the one of the same target, name, author and queue.
    PutScore { caller: Caller, score: Score },
    /// These scores go.
    DeleteScores { workspace: Arc<str>, target: Target, name: String, author: Option<String>, queue_id: Option<Id> },
    /// The comment is made.
    AddComment { caller: Caller, target: Target, id: Id, text: String, queue_id: Option<Id> },
    /// The comment says something else.
    UpdateComment { caller: Caller, id: Id, text: String },
    /// The comment goes.
    DeleteComment { comment: Key },
    /// The file is attached, over the one of the same name.
    PutAttachment { project: i64, attached: Attached },
    /// These attachments go.
    DeleteAttachments { workspace: Arc<str>, project: i64, target: Target, names: Vec<String> },
}

/// A file that is attached to something.
#[derive(Debug)]
pub(super) struct Attached {
    /// What it belongs to.
    pub owner: Key,
    pub entity: Entity,
    pub name: String,
    pub mime_type: String,
    pub hash: ContentHash,
    pub bytes: u64,
}

/// A project to be made.
#[derive(Debug)]
pub(super) struct NewProject {
    pub workspace: Arc<str>,
    pub name: String,
    pub user: Arc<str>,
}

/// Projects that a commit knows.
#[derive(Debug, Default)]
struct Projects {
    by_name: HashMap<(Arc<str>, String), i64>,
    by_id: HashMap<Key, i64>,
    new: Vec<NewProject>,
}

/// The state of a commit.
#[derive(Debug, Default)]
pub(super) struct Commit {
    spans: Rows<SpanFields, Share<'static>>,
    traces: Rows<TraceFields, Place>,
    threads: Threads,
    projects: Projects,
    /// Comments that exist, with what they are about.
    comments: HashMap<Key, Target>,
    effects: Vec<Effect>,
}

/// What a commit needs to know first.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Spans to load, in order.
    pub spans: Vec<Key>,
    /// Traces to load, in order.
    pub traces: Vec<Key>,
    /// Projects to look up, by folded name.
    pub names: HashSet<(Arc<str>, String)>,
    /// Projects to look up, by id.
    pub ids: HashSet<Key>,
    /// Comments to look up.
    pub comments: HashSet<Key>,
    /// Threads to look up, by their own ids.
    pub thread_ids: HashSet<Key>,
    /// Threads to look up, as clients name them.
    pub threads: Vec<WantedThread>,
}

/// The form of a project's name under which it is the only one of its workspace: letter case and outer white space do
/// not count.
pub(super) fn folded(name: &str) -> String {
    trimmed(name).to_lowercase()
}

impl Wanted {
    /// What these submissions touch.
    pub(super) fn by(submissions: &[Submission]) -> Self {
        let mut wanted = Self::default();
        for Submission { caller, change } in submissions {
            let workspace = &caller.workspace;
            let key = |id: &Id| (Arc::clone(workspace), *id);
            match change {
                Change::Span(record) => {
                    wanted.spans.push(key(&record.id));
                    wanted.project(workspace, record.project.as_ref());
                }
                Change::Spans(records) => {
                    for record in records {
                        wanted.spans.push(key(&record.id));
                        wanted.project(workspace, record.project.as_ref());
                    }
                }
                Change::Trace(record) => {
                    wanted.traces.push(key(&record.id));
                    wanted.project(workspace, record.project.as_ref());
                }
                Change::Traces(records) => {
                    for record in records {
                        wanted.traces.push(key(&record.id));
                        wanted.project(workspace, record.project.as_ref());
                    }
                }
                Change::UpdateSpans { ids, .. } => wanted.spans.extend(ids.iter().map(key)),
                Change::UpdateTraces { ids, .. } | Change::DeleteTraces(ids) => {
                    wanted.traces.extend(ids.iter().map(key));
                }
                Change::DeleteSpan(id) => wanted.spans.push(key(id)),
                Change::Score(score) => wanted.target(workspace, score.target),
                Change::AddComment { target, .. } => wanted.target(workspace, *target),
                Change::UpdateComment { id, .. } => {
                    wanted.comments.insert(key(id));
                }
                Change::UpdateThread { id, .. } => {
                    wanted.thread_ids.insert(key(id));
                }
                Change::UpdateThreads { ids, .. } => wanted.thread_ids.extend(ids.iter().map(key)),
                Change::CloseThreads { project, thread_ids } => wanted.threads(workspace, project, thread_ids, false),
                Change::DeleteThreads { project, thread_ids } => wanted.threads(workspace, project, thread_ids, true),
                Change::OpenThread { project, .. } | Change::DeleteThreadScores { project, .. } => {
                    wanted.project(workspace, Some(project));
                }
                Change::ScoreThreads(scores) => {
                    for score in scores {
                        wanted.project(workspace, score.project.as_ref());
                    }
                }
                Change::PutAttachment(attachment) => wanted.project(workspace, attachment.project.as_ref()),
                Change::DeleteAttachments { project, .. } => wanted.project(workspace, Some(project)),
                // Made or gone, whatever there is.
                Change::Scores(_) | Change::DeleteScores { .. } | Change::DeleteComments(_) => {}
            }
        }
        // Neighbours in the index are looked up together; several writers take locks in one order.
        for keys in [&mut wanted.spans, &mut wanted.traces] {
            keys.sort_unstable();
            keys.dedup();
        }
        wanted
    }

    fn project(&mut self, workspace: &Arc<str>, project: Option<&ProjectRef>) {
        let workspace = Arc::clone(workspace);
        match project {
            Some(ProjectRef::Id(id)) => {
                self.ids.insert((workspace, *id));
            }
            Some(ProjectRef::Name(name)) => {
                self.names.insert((workspace, folded(name)));
            }
            None => {
                self.names.insert((workspace, folded(DEFAULT_PROJECT)));
            }
        }
    }

    fn target(&mut self, workspace: &Arc<str>, target: Target) {
        let key = (Arc::clone(workspace), target.id);
        match target.entity {
            Entity::Span => self.spans.push(key),
            Entity::Trace => self.traces.push(key),
            Entity::Thread => {
                self.thread_ids.insert(key);
            }
        }
    }

    fn threads(&mut self, workspace: &Arc<str>, project: &ProjectRef, thread_ids: &[String], whole: bool) {
        self.project(workspace, Some(project));
        self.threads.extend(thread_ids.iter().map(|thread_id| WantedThread {
            workspace: Arc::clone(workspace),
            project: project.clone(),
            thread_id: thread_id.clone(),
            whole,
        }));
    }
}

impl Commit {
    /// Makes room for so many spans and traces.
    pub(super) fn expect(&mut self, spans: usize, traces: usize) {
        self.spans.reserve(spans);
        self.traces.reserve(traces);
    }

    /// Takes up a span that may be touched, as it is stored; each once.
    pub(super) fn know_span(&mut self, span: Key, stored: Option<(i64, Row<SpanFields>)>) {
        let slot = match stored {
            Some((key, row)) => Slot { key: Some(key), before: Share::of(&row).map(Share::kept), row: Some(row) },
            None => Slot::ABSENT,
        };
        self.spans.know(span, slot);
    }

    /// Takes up a trace that may be touched, as it is stored; each once.
    pub(super) fn know_trace(&mut self, trace: Key, stored: Option<(i64, Row<TraceFields>)>) {
        let slot = match stored {
            Some((key, row)) => Slot { key: Some(key), before: Place::of(&row), row: Some(row) },
            None => Slot::ABSENT,
        };
        self.traces.know(trace, slot);
    }

    /// Takes up an existing project.
    pub(super) fn know_project_name(&mut self, workspace: Arc<str>, folded: String, key: i64) {
        self.projects.by_name.insert((workspace, folded), key);
    }

    /// Takes up an existing project.
    pub(super) fn know_project_id(&mut self, project: Key, key: i64) {
        self.projects.by_id.insert(project, key);
    }

    /// Takes up an existing comment.
    pub(super) fn know_comment(&mut self, comment: Key, target: Target) {
        self.comments.insert(comment, target);
    }

    /// Makes the submissions, in order; `now` is when they arrived.
    pub(super) fn apply(&mut self, submissions: &[Submission], now: i64) -> Vec<Result<(), Refusal>> {
        self.spans.put_in_order();
        self.traces.put_in_order();
        submissions.iter().map(|Submission { caller, change }| self.apply_one(caller, change, now)).collect()
    }

    fn apply_one(&mut self, caller: &Caller, change: &Change, now: i64) -> Result<(), Refusal> {
        let key = |id: &Id| (Arc::clone(&caller.workspace), *id);
        let projects = &mut self.projects;
        match change {
            Change::Span(record) => return write_single(&mut self.spans, projects, caller, record, now),
            Change::Trace(record) => {
                let trace = key(&record.id);
                let before = self.thread_of(&trace);
                write_single(&mut self.traces, &mut self.projects, caller, record, now)?;
                self.trace_written(&trace, before.as_ref());
            }
            Change::Spans(records) => {
                for record in records {
                    write(&mut self.spans, projects, caller, record, now);
                }
            }
            Change::Traces(records) => {
                for record in records {
                    let trace = key(&record.id);
                    let before = self.thread_of(&trace);
                    write(&mut self.traces, &mut self.projects, caller, record, now);
                    self.trace_written(&trace, before.as_ref());
                }
            }
            Change::UpdateSpans { ids, update } => return update_many(&mut self.spans, caller, ids, update, now),
            Change::UpdateTraces { ids, update } => {
                let traces: Vec<_> = ids.iter().map(|id| (key(id), self.thread_of(&key(id)))).collect();
                update_many(&mut self.traces, caller, ids, update, now)?;
                for (trace, before) in traces {
                    self.trace_written(&trace, before.as_ref());
                }
            }
            Change::DeleteSpan(id) => self.delete_span(key(id)),
            Change::DeleteTraces(ids) => {
                for id in ids {
                    self.delete_trace(key(id));
                }
            }
            Change::OpenThread { project, thread_id } => return self.open_thread(caller, project, thread_id, now),
            Change::CloseThreads { project, thread_ids } => return self.close_threads(caller, project, thread_ids),
            Change::UpdateThread { id, tags } => {
                self.must_exist(caller, Target { entity: Entity::Thread, id: *id })?;
                return tags.as_ref().map_or(Ok(()), |tags| self.tag_threads(caller, &[*id], tags));
            }
            Change::UpdateThreads { ids, tags } => {
                return tags.as_ref().map_or(Ok(()), |tags| self.tag_threads(caller, ids, tags));
            }
            Change::DeleteThreads { project, thread_ids } => self.delete_threads(caller, project, thread_ids),
            Change::ScoreThreads(scores) => return self.score_threads(caller, scores),
            Change::DeleteThreadScores { project, thread_id, names, author, queue_id } => {
                let Some(project) = self.projects.find(&caller.workspace, project) else { return Ok(()) };
                self.effects.push(Effect::DeleteThreadScores {
                    workspace: Arc::clone(&caller.workspace),
                    thread: (project, thread_id.clone()),
                    names: names.clone(),
                    author: author.clone(),
                    queue_id: *queue_id,
                });
            }
            Change::Score(score) => {
                self.must_exist(caller, score.target)?;
                self.effects.push(Effect::PutScore { caller: caller.clone(), score: Score::clone(score) });
            }
            Change::Scores(scores) => {
                let put = |score: &Score| Effect::PutScore { caller: caller.clone(), score: score.clone() };
                self.effects.extend(scores.iter().map(put));
            }
            Change::DeleteScores { target, name, author, queue_id } => self.effects.push(Effect::DeleteScores {
                workspace: Arc::clone(&caller.workspace),
                target: *target,
                name: name.clone(),
                author: author.clone(),
                queue_id: *queue_id,
            }),
            Change::AddComment { target, id, text, queue_id } => {
                self.must_exist(caller, *target)?;
                self.comments.insert(key(id), *target);
                self.effects.push(Effect::AddComment {
                    caller: caller.clone(),
                    target: *target,
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
            Change::DeleteComments(ids) => self.delete_comments(ids.iter().map(key)),
            Change::PutAttachment(attachment) => return self.put_attachment(caller, attachment),
            Change::DeleteAttachments { project, target, names } => {
                self.delete_attachments(caller, project, *target, names);
            }
        }
        Ok(())
    }

    fn delete_comments(&mut self, comments: impl Iterator<Item = Key>) {
        for comment in comments {
            self.comments.remove(&comment);
            self.effects.push(Effect::DeleteComment { comment });
        }
    }

    fn put_attachment(&mut self, caller: &Caller, attachment: &NewAttachment) -> Result<(), Refusal> {
        let NewAttachment { target, project, name, mime_type, file } = attachment;
        let project = project.clone().unwrap_or_else(Projects::default_one);
        let project = self.projects.key(caller, &project).ok_or(Refusal::ProjectNotFound)?;
        let attached = Attached {
            owner: (Arc::clone(&caller.workspace), target.id),
            entity: target.entity,
            name: name.clone(),
            mime_type: mime_type.clone(),
            hash: file.hash,
            bytes: file.bytes,
        };
        self.effects.push(Effect::PutAttachment { project, attached });
        Ok(())
    }

    fn delete_attachments(&mut self, caller: &Caller, project: &ProjectRef, target: Target, names: &[String]) {
        let workspace = Arc::clone(&caller.workspace);
        let Some(project) = self.projects.find(&workspace, project) else { return };
        self.effects.push(Effect::DeleteAttachments { workspace, project, target, names: names.to_vec() });
    }

    fn must_exist(&self, caller: &Caller, target: Target) -> Result<(), Refusal> {
        let key = (Arc::clone(&caller.workspace), target.id);
        let exists = match target.entity {
            Entity::Span => self.spans.get(&key).is_some_and(|slot| slot.row.is_some()),
            Entity::Trace => self.traces.get(&key).is_some_and(|slot| slot.row.is_some()),
            Entity::Thread => self.has_thread(&key),
        };
        if exists { Ok(()) } else { Err(Refusal::NotFound(target)) }
    }

    fn delete_span(&mut self, span: Key) {
        let Some(slot) = self.spans.get_mut(&span) else { return };
        slot.row = None;
        // A span made in this commit has no key yet, but may have scores and comments: key 0 is no row's.
        let key = slot.key.take().unwrap_or_default();
        self.forget_comments(&span.0, Target { entity: Entity::Span, id: span.1 });
        self.effects.push(Effect::DeleteSpan { span, key });
    }

    fn forget_comments(&mut self, workspace: &Arc<str>, target: Target) {
        self.comments.retain(|comment, about| comment.0 != *workspace || *about != target);
    }

    /// The store deletes the spans that it has of the trace; those that this commit touches are seen to here.
    fn delete_trace(&mut self, trace: Key) {
        if let Some(slot) = self.traces.get_mut(&trace) {
            *slot = Slot { before: slot.before.take(), ..Slot::ABSENT };
        }
        let mut gone = Vec::new();
        for (span, slot) in self.spans.iter_mut().filter(|(span, _)| span.0 == trace.0) {
            let stored_in_it = slot.before.as_ref().is_some_and(|share| share.trace_id == trace.1);
            let is_in = slot.row.as_ref().and_then(|row| row.fields.trace_id);
            if stored_in_it {
                // What it counted towards goes with the trace.
                slot.before = None;
            }
            if is_in == Some(trace.1) {
                slot.row = None;
                gone.push((span.clone(), slot.key.take().unwrap_or_default()));
            } else if let (true, Some(key), Some(trace_id)) = (stored_in_it, slot.key, is_in) {
                // Moved away before: it stays, with what was said of it.
                self.effects.push(Effect::MoveSpan { span: span.clone(), key, trace_id });
            }
        }
        for (span, key) in gone {
            self.forget_comments(&span.0, Target { entity: Entity::Span, id: span.1 });
            self.effects.push(Effect::DeleteSpan { span, key });
        }
        self.forget_comments(&trace.0, Target { entity: Entity::Trace, id: trace.1 });
        self.effects.push(Effect::DeleteTrace { trace });
    }

    /// Works out what the touched spans cost, where no client said. A span that no longer has a price keeps the one it
    /// had.
    pub(super) fn price(&mut self, prices: &Prices) {
        const DECIDES: FieldSet = FieldSet::of(&[
            SpanField::MODEL,
            SpanField::PROVIDER,
            SpanField::USAGE,
            SpanField::METADATA,
            SpanField::TOTAL_ESTIMATED_COST,
        ]);
        for row in self.spans.iter_mut().filter_map(|(_, slot)| slot.row.as_mut()) {
            if row.changed.common(DECIDES).is_empty() {
                continue;
            }
            let fields = &row.fields;
            // Stated, if only that there is none.
            let stated = row.lanes.updated.contains(SpanField::TOTAL_ESTIMATED_COST);
            if stated || fields.total_estimated_cost.is_some() {
                row.estimate = None;
                continue;
            }
            let noted = fields.metadata.as_ref().and_then(|metadata| metadata.notes.model.as_deref());
            let model = fields.model.as_deref().or(noted);
            let metadata = fields.metadata.as_ref().map(|metadata| metadata.raw.get());
            if let Some(cost) = prices.estimate(model, fields.provider.as_deref(), fields.usage.as_ref(), metadata) {
                row.estimate = Some(Estimate { cost, version: cost::VERSION.to_owned() });
            }
        }
    }

    /// The projects that must be made, in order.
    pub(super) fn new_projects(&self) -> &[NewProject] {
        &self.projects.new
    }

    /// Puts the keys of the new projects, in order, where they were stood in for.
    pub(super) fn settle(&mut self, keys: &[i64]) {
        let real: HashMap<i64, i64> = keys.iter().enumerate().map(|(at, key)| (stand_in(at), *key)).collect();
        if real.is_empty() {
            return;
        }
        let settle = |project: &mut Option<i64>| {
            if let Some(key) = project.and_then(|project| real.get(&project)) {
                *project = Some(*key);
            }
        };
        let spans = self.spans.iter_mut().filter_map(|(_, slot)| slot.row.as_mut());
        spans.for_each(|row| settle(&mut row.fields.project));
        let traces = self.traces.iter_mut().filter_map(|(_, slot)| slot.row.as_mut());
        traces.for_each(|row| settle(&mut row.fields.project));
        self.threads.settle(&real);
        for effect in &mut self.effects {
            if let Effect::DeleteThread { thread, .. }
            | Effect::ScoreThread { thread, .. }
            | Effect::DeleteThreadScores { thread, .. } = effect
            {
                thread.0 = real.get(&thread.0).copied().unwrap_or(thread.0);
            }
            if let Effect::PutAttachment { project, .. } | Effect::DeleteAttachments { project, .. } = effect {
                *project = real.get(project).copied().unwrap_or(*project);
            }
        }
    }

    /// What is to be carried out before the rows are written, in order.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What is to be written.
    pub(super) fn outcome(self) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.spans.reserve_exact(self.spans.len());
        outcome.traces.reserve_exact(self.traces.len());
        for (id, Slot { key, before, row }) in self.spans {
            let after = row.as_ref().and_then(Share::of);
            if before != after {
                for (share, sign) in [(before, -1), (after, 1)] {
                    let Some(share) = share else { continue };
                    let trace = (Arc::clone(&id.0), share.trace_id);
                    outcome.sums.entry((trace, share.project)).or_default().count(&share, sign);
                }
            }
            if let Some(row) = row.filter(|row| row.touched) {
                outcome.spans.push(Changed { id, key, row });
            }
        }
        for (id, Slot { key, before, row }) in self.traces {
            let before = before.map(|place| place.project);
            let after = row.as_ref().and_then(|row| row.fields.project);
            if before != after {
                for (project, change) in [(before, -1), (after, 1)] {
                    let Some(project) = project else { continue };
                    outcome.trace_counts.entry(project).or_default().0 += change;
                }
            }
            let Some(row) = row.filter(|row| row.touched) else { continue };
            if let Some(project) = after {
                let last = &mut outcome.trace_counts.entry(project).or_default().1;
                *last = (*last).max(row.last_updated_at);
            }
            outcome.traces.push(Changed { id, key, row });
        }
        outcome.threads = self.threads.into_touched();
        outcome
    }
}

impl Projects {
    /// The one of what names none.
    fn default_one() -> ProjectRef {
        ProjectRef::Name(DEFAULT_PROJECT.to_owned())
    }

    /// The project's key, if it exists.
    fn find(&self, workspace: &Arc<str>, project: &ProjectRef) -> Option<i64> {
        match project {
            ProjectRef::Id(id) => self.by_id.get(&(Arc::clone(workspace), *id)).copied(),
            ProjectRef::Name(name) => self.by_name.get(&(Arc::clone(workspace), folded(name))).copied(),
        }
    }

    /// The project's key; a negative one stands for a project that is still to be made.
    fn key(&mut self, caller: &Caller, project: &ProjectRef) -> Option<i64> {
        let workspace = Arc::clone(&caller.workspace);
        match project {
            ProjectRef::Id(id) => self.by_id.get(&(workspace, *id)).copied(),
            ProjectRef::Name(name) => {
                let new = &mut self.new;
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

    /// The project's key, if it exists; refused where it must and does not.
    fn known(&self, caller: &Caller, project: &ProjectRef) -> Result<Option<i64>, Refusal> {
        match (project, self.find(&caller.workspace, project)) {
            (ProjectRef::Id(_), None) => Err(Refusal::ProjectNotFound),
            (_, found) => Ok(found),
        }
    }
}

/// A single write: refused where it contradicts the row that is there.
fn write_single<F: Traced, B>(
    rows: &mut Rows<F, B>,
    projects: &mut Projects,
    caller: &Caller,
    record: &Write<F>,
    now: i64,
) -> Result<(), Refusal> {
    let project = record.project.as_ref().map(|project| projects.known(caller, project)).transpose()?;
    let key = (Arc::clone(&caller.workspace), record.id);
    if let Some(row) = rows.get_mut(&key).and_then(|slot| slot.row.as_mut()) {
        let same_project = project.is_none_or(|project| project == *row.fields.project());
        if let Some(conflict) = conflict(row, &record.record, same_project) {
            return Err(Refusal::Conflict(F::ENTITY, conflict));
        }
        check_tags(row, &record.record, now, &caller.user)?;
    }
    write(rows, projects, caller, record, now);
    Ok(())
}

fn write<F: Traced, B>(rows: &mut Rows<F, B>, projects: &mut Projects, caller: &Caller, written: &Write<F>, now: i64) {
    let slot = rows.or_absent(&(Arc::clone(&caller.workspace), written.id));
    let old = slot.row.take();
    let mut record = written.record.clone();
    match &written.project {
        Some(project) => {
            *record.fields.project() = projects.key(caller, project);
            record.stated.insert(F::PROJECT);
        }
        // Only what has no project yet needs the default one.
        None if old.is_none() => {
            *record.fields.project() = projects.key(caller, &Projects::default_one());
        }
        None => {}
    }
    slot.row = Some(merge(old, record, now, &caller.user));
}

fn update_many<F: Traced, B>(
    rows: &mut Rows<F, B>,
    caller: &Caller,
    ids: &[Id],
    update: &Record<F>,
    now: i64,
) -> Result<(), Refusal> {
    let mut update = update.clone();
    update.stated = update.stated.without(F::IDENTITY);
    for field in F::IDENTITY.iter() {
        update.fields.take(field, &mut F::default());
    }
    let keys: Vec<Key> = ids.iter().map(|id| (Arc::clone(&caller.workspace), *id)).collect();
    for key in &keys {
        if let Some(row) = rows.get_mut(key).and_then(|slot| slot.row.as_mut()) {
            check_tags(row, &update, now, &caller.user)?;
        }
    }
    for key in &keys {
        let Some(slot) = rows.get_mut(key) else { continue };
        slot.row = slot.row.take().map(|row| merge(Some(row), update.clone(), now, &caller.user));
    }
    Ok(())
}

/// Refuses an update whose additions would leave a row with more tags than are allowed.
fn check_tags<F: Traced>(row: &mut Row<F>, update: &Record<F>, now: i64, user: &Arc<str>) -> Result<(), Refusal> {
    if update.tag_edits.as_ref().is_none_or(|edits| edits.added.is_empty()) {
        return Ok(());
    }
    let mut edited = merge(Some(row.clone()), update.clone(), now, user);
    let [before, after] = [row, &mut edited].map(|row| row.fields.tags().as_deref().unwrap_or_default());
    check_count(before, after)
}

/// Refuses tags that are too many. There may have been more before; there must not be more still.
fn check_count(before: &[String], after: &[String]) -> Result<(), Refusal> {
    if after.len() > UpdateTags::COUNT_MAX.max(before.len()) {
        return Err(Refusal::TooManyTags { max: UpdateTags::COUNT_MAX });
    }
    Ok(())
}

fn stand_in(at: usize) -> i64 {
    -i64::try_from(at).unwrap_or(i64::MAX) - 1
}
