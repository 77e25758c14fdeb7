//! Changes beside the rows, carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::sync::Arc;

use super::purge::Gone;
use super::remove_traces::remove_traces;
use super::table::{
    DELETE_COMMENTS, DELETE_NAMED_COMMENTS, DELETE_NAMED_THREADS, DELETE_SCORES, MAKE_THREADS, PUT_SCORE, TAG_THREADS,
};
use super::workspaces::Workspaces;
use super::{Connection, Param, attachments, first, id, params, purge, rows, text};
use crate::model::Id;
use crate::record::{Entity, Score, Target};
use crate::store::apply::{Effect, Key, ThreadKey};
use crate::store::{Caller, StoreError};

/// Empty: a score that was given outside of any annotation queue.
fn queue_bytes(queue_id: Option<&Id>) -> &[u8] {
    queue_id.map_or(&[], |id| id.0.as_bytes())
}

/// Carries changes out, in order; of spans that go with their traces, only some are deleted here.
pub(super) fn carry_out<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    effects: Vec<Effect>,
    now: i64,
) -> Result<(), StoreError> {
    let mut at_once = purge::SPANS_AT_ONCE;
    let mut alike = Alike::default();
    let mut kind = None;
    for effect in effects {
        // What comes after others may be about them.
        if kind.replace(discriminant(&effect)).is_some_and(|kind| kind != discriminant(&effect)) {
            std::mem::take(&mut alike).carry_out(connection, workspaces, &mut at_once, now)?;
        }
        match effect {
            Effect::PutScore { caller, score } => alike.scores.push((caller, score)),
            Effect::ScoreThread { caller, thread, score } => alike.thread_scores.push((caller, thread, score)),
            Effect::TagThread { id, tags } => drop(alike.thread_tags.insert(id, tags)),
            Effect::DeleteSpan { span, key } => alike.spans.push((span, key)),
            Effect::DeleteTrace { trace } => alike.traces.push(trace),
            Effect::DeleteThread { workspace, thread } => alike.threads.push((workspace, thread)),
            Effect::DeleteComment { comment } => alike.comments.push(comment),
            effect => carry_out_one(connection, workspaces, effect, now)?,
        }
    }
    alike.carry_out(connection, workspaces, &mut at_once, now)
}

/// Changes of one kind that follow each other, carried out together.
#[derive(Debug, Default)]
struct Alike {
    scores: Vec<(Caller, Score)>,
    thread_scores: Vec<(Caller, ThreadKey, Score)>,
    /// By the threads' ids, the last that each got.
    thread_tags: BTreeMap<Id, Vec<String>>,
    /// With their keys.
    spans: Vec<(Key, i64)>,
    traces: Vec<Key>,
    /// With their workspaces.
    threads: Vec<(Arc<str>, ThreadKey)>,
    comments: Vec<Key>,
}

impl Alike {
    fn carry_out<C: Connection>(
        self,
        connection: &C,
        workspaces: &mut Workspaces,
        at_once: &mut i64,
        now: i64,
    ) -> Result<(), StoreError> {
        let Self { scores, thread_scores, thread_tags, spans, traces, threads, comments } = self;
        put_scores(connection, workspaces, &scores, now)?;
        score_threads(connection, workspaces, thread_scores, now)?;
        let tags = thread_tags.iter().map(|(id, tags)| {
            let tags = (!tags.is_empty()).then(|| serde_json::to_string(tags).unwrap_or_default());
            vec![id.into(), tags.into()]
        });
        connection.many(&TAG_THREADS, tags)?;
        let mut gone = Vec::with_capacity(spans.len());
        for ((workspace, id), key) in spans {
            if let Some(workspace) = workspaces.find(connection, &workspace)? {
                gone.push(Gone { workspace, id, key });
            }
        }
        // As everybody who changes rows goes through them.
        gone.sort_unstable_by_key(|gone| (gone.workspace, gone.id));
        purge::remove_spans(connection, &gone)?;
        remove_traces(connection, workspaces, traces, at_once)?;
        remove_threads(connection, workspaces, &threads)?;
        let mut named = Vec::with_capacity(comments.len());
        for (workspace, id) in &comments {
            if let Some(workspace) = workspaces.find(connection, workspace)? {
                named.push(vec![workspace.into(), id.into()]);
            }
        }
        connection.many(&DELETE_NAMED_COMMENTS, named.into_iter())
    }
}

fn carry_out_one<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    effect: Effect,
    now: i64,
) -> Result<(), StoreError> {
    match effect {
        Effect::MoveSpan { span, key, trace_id } => {
            let Some(workspace) = workspaces.find(connection, &span.0)? else { return Ok(()) };
            let sql = "UPDATE spans SET trace_id = ?4 WHERE workspace = ?1 AND id = ?2 AND key = ?3";
            connection.execute(sql, params![workspace, &span.1, key, &trace_id])?;
        }
        Effect::DeleteThreadScores { workspace, thread, names, author, queue_id } => {
            let Some(id) = thread_id(connection, &thread)? else { return Ok(()) };
            let target = Target { entity: Entity::Thread, id };
            for name in names {
                delete_scores(connection, workspaces, &workspace, target, &name, author.as_deref(), queue_id)?;
            }
        }
        Effect::DeleteScores { workspace, target, name, author, queue_id } => {
            delete_scores(connection, workspaces, &workspace, target, &name, author.as_deref(), queue_id)?;
        }
        Effect::AddComment { caller, target, id, text, queue_id } => {
            let workspace = workspaces.make(connection, &caller.workspace)?;
            let sql = "INSERT INTO comments (workspace, id, entity, entity_id, text, queue_id, created_at, created_by, \
                       last_updated_at, last_updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?8)";
            connection.execute(
                sql,
                params![workspace, &id, target.entity.code(), &target.id, text, queue_id.as_ref(), now, &caller.user,],
            )?;
        }
        Effect::UpdateComment { caller, id, text } => {
            let Some(workspace) = workspaces.find(connection, &caller.workspace)? else { return Ok(()) };
            let sql = "UPDATE comments SET text = ?3, last_updated_at = max(last_updated_at + 1000, ?4), \
                       last_updated_by = ?5 WHERE workspace = ?1 AND id = ?2";
            connection.execute(sql, params![workspace, &id, text, now, &caller.user])?;
        }
        Effect::PutAttachment { project, attached } => attachments::put(connection, workspaces, project, attached)?,
        Effect::DeleteAttachments { workspace, project, target, names } => {
            let Some(workspace) = workspaces.find(connection, &workspace)? else { return Ok(()) };
            attachments::delete(connection, workspace, project, target, &names)?;
        }
        // Carried out together with those that are alike.
        Effect::DeleteSpan { .. }
        | Effect::DeleteThread { .. }
        | Effect::PutScore { .. }
        | Effect::ScoreThread { .. }
        | Effect::TagThread { .. }
        | Effect::DeleteTrace { .. }
        | Effect::DeleteComment { .. } => {}
    }
    Ok(())
}

/// What a score is the only one of.
type ScoreKey<'s> = (i64, i64, Id, &'s str, &'s str, &'s [u8]);

/// Puts scores, of those that are over each other the last.
fn put_scores<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    scores: &[(Caller, Score)],
    now: i64,
) -> Result<(), StoreError> {
    let mut last: BTreeMap<ScoreKey<'_>, (&Caller, &Score)> = BTreeMap::new();
    for (caller, score) in scores {
        let workspace = workspaces.make(connection, &caller.workspace)?;
        let Target { entity, id } = score.target;
        let queue = queue_bytes(score.queue_id.as_ref());
        last.insert((workspace, entity.code(), id, &score.name, &score.author, queue), (caller, score));
    }
    let rows = last.iter().map(|((workspace, entity, id, name, author, queue), (caller, score))| {
        let columns: [Param<'_>; 14] = [
            (*workspace).into(),
            (*entity).into(),
            id.into(),
            (*name).into(),
            (*author).into(),
            (*queue).into(),
            score.value.as_str().into(),
            score.category_name.as_deref().into(),
            score.reason.as_deref().into(),
            score.source.code().into(),
            now.into(),
            (&caller.user).into(),
            now.into(),
            (&caller.user).into(),
        ];
        columns.into()
    });
    connection.many(&PUT_SCORE, rows)
}

fn delete_scores<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    workspace: &Arc<str>,
    target: Target,
    name: &str,
    author: Option<&str>,
    queue_id: Option<Id>,
) -> Result<(), StoreError> {
    let Some(workspace) = workspaces.find(connection, workspace)? else { return Ok(()) };
    let sql = "DELETE FROM scores WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3 AND name = ?4 \
               AND queue_id = ?5 AND author = coalesce(?6, author)";
    let queue = queue_bytes(queue_id.as_ref());
    connection.execute(sql, params![workspace, target.entity.code(), &target.id, name, queue, author]).map(drop)
}

/// The own id of a thread, if it is there.
fn thread_id<C: Connection>(connection: &C, (project, thread_id): &ThreadKey) -> Result<Option<Id>, StoreError> {
    let sql = "SELECT id FROM threads WHERE project = ?1 AND thread_id = ?2";
    first(connection, sql, params![*project, thread_id], |row| id(row, 0))
}

/// Puts scores of threads, which are made where there are none yet.
fn score_threads<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    scores: Vec<(Caller, ThreadKey, Score)>,
    now: i64,
) -> Result<(), StoreError> {
    let mut known = thread_ids(connection, scores.iter().map(|(_, thread, _)| thread))?;
    let mut made: BTreeMap<&ThreadKey, (Id, &Caller)> = BTreeMap::new();
    for (caller, thread, score) in scores.iter().filter(|(_, thread, _)| !known.contains_key(thread)) {
        made.entry(thread).or_insert((score.target.id, caller));
    }
    let rows = made.iter().map(|((project, thread_id), (id, caller))| {
        let user = Param::from(&caller.user);
        let columns = [(*project).into(), thread_id.into(), id.into(), now.into(), user.clone(), 0_i64.into(), user];
        columns.into()
    });
    connection.many(&MAKE_THREADS, rows)?;
    known.extend(made.into_iter().map(|(thread, (id, _))| (thread.clone(), id)));
    let scores: Vec<(Caller, Score)> = scores
        .into_iter()
        .map(|(caller, thread, mut score)| {
            score.target.id = known.get(&thread).copied().unwrap_or(score.target.id);
            (caller, score)
        })
        .collect();
    put_scores(connection, workspaces, &scores, now)
}

/// Threads go, with what was said of them.
fn remove_threads<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    threads: &[(Arc<str>, ThreadKey)],
) -> Result<(), StoreError> {
    let known = thread_ids(connection, threads.iter().map(|(_, thread)| thread))?;
    let mut gone = Vec::with_capacity(known.len());
    for (workspace, thread) in threads {
        if let (Some(id), Some(workspace)) = (known.get(thread), workspaces.find(connection, workspace)?) {
            gone.push((workspace, id));
        }
    }
    delete_said_of(connection, Entity::Thread, gone.iter().copied())?;
    connection.many(&DELETE_NAMED_THREADS, gone.iter().map(|(_, id)| vec![(*id).into()]))
}

/// The own ids of threads, of those that are there.
fn thread_ids<'t, C: Connection>(
    connection: &C,
    threads: impl Iterator<Item = &'t ThreadKey>,
) -> Result<BTreeMap<ThreadKey, Id>, StoreError> {
    let mut names: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for (project, thread_id) in threads {
        names.entry(*project).or_default().insert(thread_id);
    }
    let sql = format!(
        "SELECT h.thread_id, h.id FROM json_each(?2) n {} threads h ON h.project = ?1 AND h.thread_id = n.value",
        C::DIALECT.join()
    );
    let mut known = BTreeMap::new();
    for (project, names) in names {
        let names = serde_json::to_string(&names).unwrap_or_default();
        let found = rows(connection, &sql, params![project, names], |row| Ok((text(row, 0)?, id(row, 1)?)))?;
        known.extend(found.into_iter().map(|(thread_id, id)| ((project, thread_id), id)));
    }
    Ok(known)
}

/// What names all that belongs to things of one kind.
pub(super) fn of_things<'t>(
    entity: Entity,
    things: impl Iterator<Item = (i64, &'t Id)>,
) -> impl Iterator<Item = Vec<Param<'t>>> {
    things.map(move |(workspace, id)| vec![workspace.into(), entity.code().into(), id.into()])
}

/// Scores and comments of things go.
pub(super) fn delete_said_of<'t, C: Connection>(
    connection: &C,
    entity: Entity,
    things: impl Iterator<Item = (i64, &'t Id)> + Clone,
) -> Result<(), StoreError> {
    connection.many(&DELETE_SCORES, of_things(entity, things.clone()))?;
    connection.many(&DELETE_COMMENTS, of_things(entity, things))
}
