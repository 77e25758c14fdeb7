//! What a commit does to threads: traces make and revive them, clients open, close, tag, judge and delete them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Caller, Commit, Effect, Key, Projects, Refusal, check_count};
use crate::model::{Id, Source};
use crate::record::{Entity, ProjectRef, Row, TagChange, Target, ThreadScore, TraceFields};

/// A thread: the key of its project, and what its traces call it.
pub(in crate::store) type ThreadKey = (i64, String);

/// The thread that a trace belongs to, and its project even if it belongs to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub project: i64,
    pub thread_id: Option<String>,
}

impl Place {
    pub(super) fn of(row: &Row<TraceFields>) -> Option<Self> {
        Some(Self { project: row.fields.project?, thread_id: row.fields.thread_id.clone() })
    }
}

/// A thread that is stored.
#[derive(Debug)]
struct Known {
    thread: ThreadKey,
    tags: Vec<String>,
}

/// What a commit says of a thread, to be put over what is stored.
#[derive(Debug, Default)]
pub(in crate::store) struct Touched {
    /// The lowest id of its traces that were written; without any, it is not made.
    pub first_trace: Option<Id>,
    /// Whether it is closed now.
    pub closed: Option<bool>,
    /// When it last changed, if it did.
    pub last_updated_at: i64,
    /// Who changed it.
    pub user: Option<Arc<str>>,
    /// Where the first of the traces comes from, as stored.
    pub source: i64,
    /// The environment of the first of the traces.
    pub environment: Option<String>,
}

/// What a commit knows of threads, and makes of them.
#[derive(Debug, Default)]
pub(super) struct Threads {
    /// By workspace and own id.
    known: HashMap<Key, Known>,
    /// How many traces are stored of those that are to be closed.
    traces: HashMap<ThreadKey, i64>,
    touched: BTreeMap<ThreadKey, Touched>,
}

impl Threads {
    /// Puts real keys of projects in the place of others.
    pub(super) fn settle(&mut self, real: &HashMap<i64, i64>) {
        let touched = std::mem::take(&mut self.touched);
        let settled =
            |((project, thread_id), touched)| ((real.get(&project).copied().unwrap_or(project), thread_id), touched);
        self.touched = touched.into_iter().map(settled).collect();
    }

    pub(super) fn into_touched(self) -> BTreeMap<ThreadKey, Touched> {
        self.touched
    }
}

/// What a commit needs to know of a thread that is named by a client.
#[derive(Debug)]
pub(in crate::store) struct WantedThread {
    pub workspace: Arc<str>,
    pub project: ProjectRef,
    pub thread_id: String,
    /// Itself, and each of its traces; else only how many traces it has.
    pub whole: bool,
}

impl Commit {
    /// The key of an existing project.
    pub(in crate::store) fn project(&self, workspace: &Arc<str>, project: &ProjectRef) -> Option<i64> {
        self.projects.find(workspace, project)
    }

    /// Takes up a thread as it is stored.
    pub(in crate::store) fn know_thread(&mut self, id: Key, thread: ThreadKey, tags: Vec<String>) {
        self.threads.known.insert(id, Known { thread, tags });
    }

    /// Takes up how many traces of a thread are stored.
    pub(in crate::store) fn know_traces(&mut self, thread: ThreadKey, number: i64) {
        self.threads.traces.insert(thread, number);
    }

    /// Whether there is a thread with this own id.
    pub(super) fn has_thread(&self, id: &Key) -> bool {
        self.threads.known.contains_key(id)
    }

    /// The thread that a trace is in.
    pub(super) fn thread_of(&self, trace: &Key) -> Option<ThreadKey> {
        let fields = &self.traces.get(trace)?.row.as_ref()?.fields;
        Some((fields.project?, fields.thread_id.clone()?))
    }

    /// Says of a trace's thread that it was written; `before` is the one that the trace was in. A thread that a trace
    /// comes to goes on.
    pub(super) fn trace_written(&mut self, trace: &Key, before: Option<&ThreadKey>) {
        let Some(thread) = self.thread_of(trace) else { return };
        let Some(row) = self.traces.get(trace).and_then(|slot| slot.row.as_ref()) else { return };
        let comes = before != Some(&thread);
        let touched = self.threads.touched.entry(thread).or_default();
        if comes {
            touched.closed = Some(false);
        }
        touched.last_updated_at = touched.last_updated_at.max(row.last_updated_at);
        touched.user = Some(Arc::clone(&row.last_updated_by));
        if touched.first_trace.is_none_or(|first| trace.1 <= first) {
            touched.first_trace = Some(trace.1);
            touched.source = row.fields.source.map_or(0, Source::code);
            touched.environment.clone_from(&row.fields.environment);
        }
    }

    /// One that has no traces yet is as open as can be.
    pub(super) fn open_thread(
        &mut self,
        caller: &Caller,
        project: &ProjectRef,
        thread_id: &str,
        now: i64,
    ) -> Result<(), Refusal> {
        let project = self.existing_project(caller, project)?;
        let touched = self.threads.touched.entry((project, thread_id.to_owned())).or_default();
        touched.closed = Some(false);
        touched.last_updated_at = touched.last_updated_at.max(now);
        touched.user = Some(Arc::clone(&caller.user));
        Ok(())
    }

    pub(super) fn close_threads(
        &mut self,
        caller: &Caller,
        project: &ProjectRef,
        thread_ids: &[String],
    ) -> Result<(), Refusal> {
        let project = self.existing_project(caller, project)?;
        let stored = |thread_id: &String| self.threads.traces.get(&(project, thread_id.clone())).copied();
        let mut traces: HashMap<&str, i64> =
            thread_ids.iter().map(|id| (id.as_str(), stored(id).unwrap_or_default())).collect();
        for (_, slot) in self.traces.iter() {
            let after = slot.row.as_ref().and_then(Place::of);
            for (place, change) in [(slot.before.as_ref(), -1), (after.as_ref(), 1)] {
                let Some(Place { project: its, thread_id: Some(thread_id) }) = place else { continue };
                if *its == project
                    && let Some(traces) = traces.get_mut(thread_id.as_str())
                {
                    *traces += change;
                }
            }
        }
        let missing: Vec<String> =
            thread_ids.iter().filter(|id| traces.get(id.as_str()).is_none_or(|traces| *traces < 1)).cloned().collect();
        if !missing.is_empty() {
            return Err(Refusal::ThreadsNotFound(missing));
        }
        for thread_id in thread_ids {
            self.threads.touched.entry((project, thread_id.clone())).or_default().closed = Some(true);
        }
        Ok(())
    }

    /// Changes the tags of those that exist; refused where it would leave more than are allowed.
    pub(super) fn tag_threads(&mut self, caller: &Caller, ids: &[Id], change: &TagChange) -> Result<(), Refusal> {
        let mut changed = Vec::new();
        for id in ids {
            let key = (Arc::clone(&caller.workspace), *id);
            let Some(known) = self.threads.known.get(&key) else { continue };
            let tags = change.applied_to(&known.tags);
            check_count(&known.tags, &tags)?;
            changed.push((key, tags));
        }
        for (key, tags) in changed {
            let id = key.1;
            if let Some(known) = self.threads.known.get_mut(&key) {
                known.tags.clone_from(&tags);
            }
            self.effects.push(Effect::TagThread { id, tags });
        }
        Ok(())
    }

    /// Threads go as if each of their traces was deleted, and with what was said of them.
    pub(super) fn delete_threads(&mut self, caller: &Caller, project: &ProjectRef, thread_ids: &[String]) {
        let Some(project) = self.projects.find(&caller.workspace, project) else { return };
        let wanted: HashSet<&str> = thread_ids.iter().map(String::as_str).collect();
        let mut traces: Vec<Key> = Vec::new();
        for (trace, slot) in self.traces.iter() {
            let place = slot.row.as_ref().and_then(Place::of);
            let Some(Place { project: its, thread_id: Some(thread_id) }) = place else { continue };
            if its == project && wanted.contains(thread_id.as_str()) {
                traces.push(trace.clone());
            }
        }
        for trace in traces {
            self.delete_trace(trace);
        }
        for thread_id in thread_ids {
            let thread = (project, thread_id.clone());
            self.threads.touched.remove(&thread);
            let id = self.threads.known.iter().find(|(_, known)| known.thread == thread).map(|(id, _)| id.clone());
            if let Some(id) = id {
                self.threads.known.remove(&id);
                self.forget_comments(&caller.workspace, Target { entity: Entity::Thread, id: id.1 });
            }
            self.effects.push(Effect::DeleteThread { workspace: Arc::clone(&caller.workspace), thread });
        }
    }

    /// Projects and threads that there are not yet are made.
    pub(super) fn score_threads(&mut self, caller: &Caller, scores: &[ThreadScore]) -> Result<(), Refusal> {
        for project in scores.iter().filter_map(|score| score.project.as_ref()) {
            self.projects.known(caller, project)?;
        }
        for ThreadScore { project, thread_id, score } in scores {
            let project = match project {
                Some(project) => self.projects.key(caller, project),
                None => self.projects.key(caller, &Projects::default_one()),
            };
            let thread = (project.ok_or(Refusal::ProjectNotFound)?, thread_id.clone());
            self.effects.push(Effect::ScoreThread { caller: caller.clone(), thread, score: score.clone() });
        }
        Ok(())
    }

    fn existing_project(&self, caller: &Caller, project: &ProjectRef) -> Result<i64, Refusal> {
        self.projects.known(caller, project)?.ok_or_else(|| match project {
            ProjectRef::Name(name) => Refusal::ProjectNameNotFound(name.clone()),
            ProjectRef::Id(_) => Refusal::ProjectNotFound,
        })
    }
}
