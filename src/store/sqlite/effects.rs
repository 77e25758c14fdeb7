//! Changes beside the rows, carried out.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::attachments;
use super::purge;
use super::workspaces::Workspaces;
use crate::model::Id;
use crate::record::{Entity, Score, Target};
use crate::store::Caller;
use crate::store::apply::{Effect, ThreadKey};

/// Empty: a score that was given outside of any annotation queue.
fn queue_bytes(queue_id: Option<&Id>) -> &[u8] {
    queue_id.map_or(&[], |id| id.0.as_bytes())
}

/// Carries a change out; of spans that go with their traces, only `at_once` are deleted here, and taken off it.
pub(super) fn carry_out(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    effect: Effect,
    at_once: &mut i64,
    now: i64,
) -> rusqlite::Result<()> {
    match effect {
        Effect::DeleteSpan { span, key } => {
            let Some(workspace) = workspaces.find(transaction, &span.0)? else { return Ok(()) };
            // The payloads go with the row.
            transaction.prepare_cached("DELETE FROM spans WHERE key = ?1")?.execute([key])?;
            delete_all_of(transaction, workspace, Entity::Span, span.1)?;
        }
        Effect::MoveSpan { key, trace_id } => {
            let sql = "UPDATE spans SET trace_id = ?2 WHERE key = ?1";
            transaction.prepare_cached(sql)?.execute(params![key, trace_id.0.as_bytes()])?;
        }
        Effect::DeleteTrace { trace } => {
            let Some(workspace) = workspaces.find(transaction, &trace.0)? else { return Ok(()) };
            delete_trace(transaction, workspace, trace.1, at_once)?;
        }
        Effect::TagThread { id, tags } => {
            let tags = (!tags.is_empty()).then(|| serde_json::to_string(&tags).unwrap_or_default());
            let sql = "UPDATE threads SET tags = ?2 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id.0.as_bytes(), tags])?;
        }
        Effect::DeleteThread { workspace, thread } => {
            let Some(workspace) = workspaces.find(transaction, &workspace)? else { return Ok(()) };
            let Some(id) = thread_id(transaction, &thread)? else { return Ok(()) };
            delete_said_of(transaction, workspace, Entity::Thread, id)?;
            transaction.prepare_cached("DELETE FROM threads WHERE id = ?1")?.execute([id.0.as_bytes()])?;
        }
        Effect::ScoreThread { caller, thread, mut score } => {
            match thread_id(transaction, &thread)? {
                Some(id) => score.target.id = id,
                None => make_thread(transaction, &thread, score.target.id, &caller.user, now)?,
            }
            put_score(transaction, workspaces, &caller, &score, now)?;
        }
        Effect::DeleteThreadScores { workspace, thread, names, author, queue_id } => {
            let Some(id) = thread_id(transaction, &thread)? else { return Ok(()) };
            let target = Target { entity: Entity::Thread, id };
            for name in names {
                delete_scores(transaction, workspaces, &workspace, target, &name, author.as_deref(), queue_id)?;
            }
        }
        Effect::PutScore { caller, score } => put_score(transaction, workspaces, &caller, &score, now)?,
        Effect::DeleteScores { workspace, target, name, author, queue_id } => {
            delete_scores(transaction, workspaces, &workspace, target, &name, author.as_deref(), queue_id)?;
        }
        Effect::AddComment { caller, target, id, text, queue_id } => {
            let workspace = workspaces.make(transaction, &caller.workspace)?;
            let sql = "INSERT INTO comments (workspace, id, entity, entity_id, text, queue_id, created_at, created_by, \
                       last_updated_at, last_updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?8)";
            transaction.prepare_cached(sql)?.execute(params![
                workspace,
                id.0.as_bytes(),
                target.entity.code(),
                target.id.0.as_bytes(),
                text,
                queue_id.as_ref().map(|id| id.0.as_bytes()),
                now,
                caller.user,
            ])?;
        }
        Effect::UpdateComment { caller, id, text } => {
            let Some(workspace) = workspaces.find(transaction, &caller.workspace)? else { return Ok(()) };
            let sql = "UPDATE comments SET text = ?3, last_updated_at = max(last_updated_at + 1000, ?4), \
                       last_updated_by = ?5 WHERE workspace = ?1 AND id = ?2";
            transaction.prepare_cached(sql)?.execute(params![workspace, id.0.as_bytes(), text, now, caller.user])?;
        }
        Effect::DeleteComment { comment } => {
            let Some(workspace) = workspaces.find(transaction, &comment.0)? else { return Ok(()) };
            let sql = "DELETE FROM comments WHERE workspace = ?1 AND id = ?2";
            transaction.prepare_cached(sql)?.execute(params![workspace, comment.1.0.as_bytes()])?;
        }
        Effect::PutAttachment { project, attached } => attachments::put(transaction, workspaces, project, attached)?,
        Effect::DeleteAttachments { workspace, project, target, names } => {
            let Some(workspace) = workspaces.find(transaction, &workspace)? else { return Ok(()) };
            attachments::delete(transaction, workspace, project, target, &names)?;
        }
    }
    Ok(())
}

fn put_score(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    caller: &Caller,
    score: &Score,
    now: i64,
) -> rusqlite::Result<()> {
    let workspace = workspaces.make(transaction, &caller.workspace)?;
    let sql = "INSERT OR REPLACE INTO scores (workspace, entity, entity_id, name, author, queue_id, value, \
               category_name, reason, source, created_at, created_by, last_updated_at, last_updated_by) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?11, ?12)";
    transaction.prepare_cached(sql)?.execute(params![
        workspace,
        score.target.entity.code(),
        score.target.id.0.as_bytes(),
        score.name,
        score.author,
        queue_bytes(score.queue_id.as_ref()),
        score.value.as_str(),
        score.category_name,
        score.reason,
        score.source.code(),
        now,
        caller.user,
    ])?;
    Ok(())
}

fn delete_scores(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    workspace: &Arc<str>,
    target: Target,
    name: &str,
    author: Option<&str>,
    queue_id: Option<Id>,
) -> rusqlite::Result<()> {
    let Some(workspace) = workspaces.find(transaction, workspace)? else { return Ok(()) };
    let sql = "DELETE FROM scores WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3 AND name = ?4 \
               AND queue_id = ?5 AND (?6 IS NULL OR author = ?6)";
    let (entity, queue) = (target.entity.code(), queue_bytes(queue_id.as_ref()));
    let params = params![workspace, entity, target.id.0.as_bytes(), name, queue, author];
    transaction.prepare_cached(sql)?.execute(params)?;
    Ok(())
}

/// The own id of a thread, if it is there.
fn thread_id(transaction: &Transaction<'_>, (project, thread_id): &ThreadKey) -> rusqlite::Result<Option<Id>> {
    let mut find = transaction.prepare_cached("SELECT id FROM threads WHERE project = ?1 AND thread_id = ?2")?;
    let id = |row: &rusqlite::Row<'_>| Ok(Id(uuid::Uuid::from_bytes(row.get(0)?)));
    find.query_row(params![project, thread_id], id).optional()
}

/// Makes a thread before its first trace, which is then the first that is heard of it.
fn make_thread(
    transaction: &Transaction<'_>,
    (project, thread_id): &ThreadKey,
    id: Id,
    user: &str,
    now: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO threads (project, thread_id, id, created_at, created_by, last_updated_at, last_updated_by) \
               VALUES (?1, ?2, ?3, ?4, ?5, 0, ?5)";
    transaction.prepare_cached(sql)?.execute(params![project, thread_id, id.0.as_bytes(), now, user])?;
    Ok(())
}

/// Scores and comments of one thing go.
pub(super) fn delete_said_of(
    transaction: &Transaction<'_>,
    workspace: i64,
    entity: Entity,
    id: Id,
) -> rusqlite::Result<()> {
    for table in ["scores", "comments"] {
        let sql = format!("DELETE FROM {table} WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3");
        transaction.prepare_cached(&sql)?.execute(params![workspace, entity.code(), id.0.as_bytes()])?;
    }
    Ok(())
}

/// Scores, comments and attachments of one thing go.
pub(super) fn delete_all_of(
    transaction: &Transaction<'_>,
    workspace: i64,
    entity: Entity,
    id: Id,
) -> rusqlite::Result<()> {
    delete_said_of(transaction, workspace, entity, id)?;
    attachments::delete_of(transaction, workspace, entity, id)
}

/// A trace goes with its spans, whatever project they are in, and with what was summed up of them. Spans beyond
/// `at_once` are gone, but removed later.
fn delete_trace(transaction: &Transaction<'_>, workspace: i64, id: Id, at_once: &mut i64) -> rusqlite::Result<()> {
    let trace_id = id.0.as_bytes();
    let sums: Vec<(i64, i64)> = transaction
        .prepare_cached("SELECT project, spans FROM trace_sums WHERE workspace = ?1 AND trace_id = ?2")?
        .query_map(params![workspace, trace_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let count = "INSERT INTO project_span_counts (project, type, spans) \
         SELECT u.project, t.value, -CASE t.value WHEN 1 THEN u.general_spans WHEN 2 THEN u.tool_spans \
             WHEN 3 THEN u.llm_spans WHEN 4 THEN u.guardrail_spans \
             ELSE u.spans - u.general_spans - u.tool_spans - u.llm_spans - u.guardrail_spans END \
         FROM trace_sums u, json_each('[0,1,2,3,4]') t WHERE u.workspace = ?1 AND u.trace_id = ?2 \
         ON CONFLICT (project, type) DO UPDATE SET spans = spans + excluded.spans";
    transaction.prepare_cached(count)?.execute(params![workspace, trace_id])?;
    for (project, spans) in sums {
        if spans > *at_once {
            purge::later(transaction, project, trace_id)?;
            continue;
        }
        *at_once -= spans;
        for table in ["scores", "comments", "attachments"] {
            let sql = format!(
                "DELETE FROM {table} WHERE workspace = ?1 AND entity = {} \
                 AND entity_id IN (SELECT id FROM spans WHERE project = ?2 AND trace_id = ?3)",
                Entity::Span.code()
            );
            transaction.prepare_cached(&sql)?.execute(params![workspace, project, trace_id])?;
        }
        let spans = "DELETE FROM spans WHERE project = ?1 AND trace_id = ?2";
        transaction.prepare_cached(spans)?.execute(params![project, trace_id])?;
    }
    let sums = "DELETE FROM trace_sums WHERE workspace = ?1 AND trace_id = ?2";
    transaction.prepare_cached(sums)?.execute(params![workspace, trace_id])?;
    let trace = "DELETE FROM traces WHERE workspace = ?1 AND id = ?2";
    transaction.prepare_cached(trace)?.execute(params![workspace, trace_id])?;
    delete_all_of(transaction, workspace, Entity::Trace, id)
}
