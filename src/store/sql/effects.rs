//! Changes beside the rows, carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::table::{DELETE_ATTACHMENTS, DELETE_COMMENTS, DELETE_SCORES, PUT_SCORE};
use super::workspaces::Workspaces;
use super::{Connection, Keep, Param, attachments, first, id, integer, params, purge, rows};
use crate::model::Id;
use crate::record::{Entity, Score, Target};
use crate::store::apply::{Effect, ThreadKey};
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
    let mut scores = Vec::new();
    for effect in effects {
        let effect = match effect {
            Effect::PutScore { caller, score } => {
                scores.push((caller, score));
                continue;
            }
            effect => effect,
        };
        // What comes after it may be about it.
        put_scores(connection, workspaces, &std::mem::take(&mut scores), now)?;
        carry_out_one(connection, workspaces, effect, &mut at_once, now)?;
    }
    put_scores(connection, workspaces, &scores, now)
}

fn carry_out_one<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    effect: Effect,
    at_once: &mut i64,
    now: i64,
) -> Result<(), StoreError> {
    match effect {
        Effect::DeleteSpan { span, key } => {
            let Some(workspace) = workspaces.find(connection, &span.0)? else { return Ok(()) };
            let sql = "DELETE FROM spans WHERE workspace = ?1 AND id = ?2 AND key = ?3";
            // The payloads go with the row.
            connection.execute(sql, params![workspace, &span.1, key])?;
            delete_all_of(connection, workspace, Entity::Span, &span.1)?;
        }
        Effect::MoveSpan { span, key, trace_id } => {
            let Some(workspace) = workspaces.find(connection, &span.0)? else { return Ok(()) };
            let sql = "UPDATE spans SET trace_id = ?4 WHERE workspace = ?1 AND id = ?2 AND key = ?3";
            connection.execute(sql, params![workspace, &span.1, key, &trace_id])?;
        }
        Effect::DeleteTrace { trace } => {
            let Some(workspace) = workspaces.find(connection, &trace.0)? else { return Ok(()) };
            delete_trace(connection, workspace, trace.1, at_once)?;
        }
        Effect::TagThread { id, tags } => {
            let tags = (!tags.is_empty()).then(|| serde_json::to_string(&tags).unwrap_or_default());
            connection.execute("UPDATE threads SET tags = ?2 WHERE id = ?1", params![&id, tags])?;
        }
        Effect::DeleteThread { workspace, thread } => {
            let Some(workspace) = workspaces.find(connection, &workspace)? else { return Ok(()) };
            let Some(id) = thread_id(connection, &thread)? else { return Ok(()) };
            delete_said_of(connection, Entity::Thread, std::iter::once((workspace, &id)))?;
            connection.execute("DELETE FROM threads WHERE id = ?1", params![&id])?;
        }
        Effect::ScoreThread { caller, thread, mut score } => {
            match thread_id(connection, &thread)? {
                Some(id) => score.target.id = id,
                None => make_thread(connection, &thread, score.target.id, &caller.user, now)?,
            }
            put_scores(connection, workspaces, &[(caller, score)], now)?;
        }
        Effect::DeleteThreadScores { workspace, thread, names, author, queue_id } => {
            let Some(id) = thread_id(connection, &thread)? else { return Ok(()) };
            let target = Target { entity: Entity::Thread, id };
            for name in names {
                delete_scores(connection, workspaces, &workspace, target, &name, author.as_deref(), queue_id)?;
            }
        }
        Effect::PutScore { caller, score } => put_scores(connection, workspaces, &[(caller, score)], now)?,
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
        Effect::DeleteComment { comment } => {
            let Some(workspace) = workspaces.find(connection, &comment.0)? else { return Ok(()) };
            let sql = "DELETE FROM comments WHERE workspace = ?1 AND id = ?2";
            connection.execute(sql, params![workspace, &comment.1])?;
        }
        Effect::PutAttachment { project, attached } => attachments::put(connection, workspaces, project, attached)?,
        Effect::DeleteAttachments { workspace, project, target, names } => {
            let Some(workspace) = workspaces.find(connection, &workspace)? else { return Ok(()) };
            attachments::delete(connection, workspace, project, target, &names)?;
        }
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

/// Makes a thread before its first trace, which is then the first that is heard of it.
fn make_thread<C: Connection>(
    connection: &C,
    (project, thread_id): &ThreadKey,
    id: Id,
    user: &str,
    now: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO threads (project, thread_id, id, created_at, created_by, last_updated_at, last_updated_by) \
               VALUES (?1, ?2, ?3, ?4, ?5, 0, ?5)";
    connection.execute(sql, params![*project, thread_id, &id, now, user]).map(drop)
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

/// Scores, comments and attachments of one thing go.
fn delete_all_of<C: Connection>(connection: &C, workspace: i64, entity: Entity, id: &Id) -> Result<(), StoreError> {
    let thing = std::iter::once((workspace, id));
    delete_said_of(connection, entity, thing.clone())?;
    connection.many(&DELETE_ATTACHMENTS, of_things(entity, thing))
}

/// A trace goes with its spans, whatever project they are in, and with what was summed up of them. Spans beyond
/// `at_once` are gone, but removed later.
fn delete_trace<C: Connection>(connection: &C, workspace: i64, id: Id, at_once: &mut i64) -> Result<(), StoreError> {
    let kept = C::DIALECT.keep("u", Keep::Mine);
    let sums = format!(
        "SELECT u.project, u.spans FROM trace_sums u WHERE u.workspace = ?1 AND u.trace_id = ?2 ORDER BY u.project{kept}"
    );
    let sums = rows(connection, &sums, params![workspace, &id], |row| Ok((integer(row, 0)?, integer(row, 1)?)))?;
    let count = format!(
        "INSERT INTO project_span_counts (project, type, spans) \
         SELECT u.project, CAST(t.value AS BIGINT), -CASE CAST(t.value AS BIGINT) WHEN 1 THEN u.general_spans \
             WHEN 2 THEN u.tool_spans WHEN 3 THEN u.llm_spans WHEN 4 THEN u.guardrail_spans \
             ELSE u.spans - u.general_spans - u.tool_spans - u.llm_spans - u.guardrail_spans END \
         FROM trace_sums u, json_each('[0,1,2,3,4]') t WHERE u.workspace = ?1 AND u.trace_id = ?2 \
         ON CONFLICT {} DO UPDATE SET spans = project_span_counts.spans + excluded.spans",
        C::DIALECT.counter("project, type")
    );
    connection.execute(&count, params![workspace, &id])?;
    for (project, spans) in sums {
        if spans > *at_once {
            purge::later(connection, project, id)?;
            continue;
        }
        *at_once -= spans;
        for table in ["scores", "comments", "attachments"] {
            let sql = format!(
                "DELETE FROM {table} WHERE workspace = ?1 AND entity = {} \
                 AND entity_id IN (SELECT id FROM spans WHERE project = ?2 AND trace_id = ?3)",
                Entity::Span.code()
            );
            connection.execute(&sql, params![workspace, project, &id])?;
        }
        connection.execute("DELETE FROM spans WHERE project = ?1 AND trace_id = ?2", params![project, &id])?;
    }
    connection.execute("DELETE FROM trace_sums WHERE workspace = ?1 AND trace_id = ?2", params![workspace, &id])?;
    connection.execute("DELETE FROM traces WHERE workspace = ?1 AND id = ?2", params![workspace, &id])?;
    delete_all_of(connection, workspace, Entity::Trace, &id)
}
