//! Changes beside the rows, carried out.

use rusqlite::{Transaction, params};

use super::workspaces::Workspaces;
use crate::model::Id;
use crate::record::Entity;
use crate::store::apply::Effect;

/// Empty: a score that was given outside of any annotation queue.
fn queue_bytes(queue_id: Option<&Id>) -> &[u8] {
    queue_id.map_or(&[], |id| id.0.as_bytes())
}

pub(super) fn carry_out(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    effect: Effect,
    now: i64,
) -> rusqlite::Result<()> {
    match effect {
        Effect::DeleteSpan { span, key } => {
            let Some(workspace) = workspaces.find(transaction, &span.0)? else { return Ok(()) };
            // The payloads go with the row.
            transaction.prepare_cached("DELETE FROM spans WHERE key = ?1")?.execute([key])?;
            delete_said_of(transaction, workspace, Entity::Span, span.1)?;
        }
        Effect::MoveSpan { key, trace_id } => {
            let sql = "UPDATE spans SET trace_id = ?2 WHERE key = ?1";
            transaction.prepare_cached(sql)?.execute(params![key, trace_id.0.as_bytes()])?;
        }
        Effect::DeleteTrace { trace } => {
            let Some(workspace) = workspaces.find(transaction, &trace.0)? else { return Ok(()) };
            delete_trace(transaction, workspace, trace.1)?;
        }
        Effect::PutScore { caller, score } => {
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
        }
        Effect::DeleteScores { workspace, target, name, author, queue_id } => {
            let Some(workspace) = workspaces.find(transaction, &workspace)? else { return Ok(()) };
            let sql = "DELETE FROM scores WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3 AND name = ?4 \
                       AND queue_id = ?5 AND (?6 IS NULL OR author = ?6)";
            let (entity, queue) = (target.entity.code(), queue_bytes(queue_id.as_ref()));
            transaction.prepare_cached(sql)?.execute(params![
                workspace,
                entity,
                target.id.0.as_bytes(),
                name,
                queue,
                author
            ])?;
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
    }
    Ok(())
}

/// Scores and comments of one thing go.
fn delete_said_of(transaction: &Transaction<'_>, workspace: i64, entity: Entity, id: Id) -> rusqlite::Result<()> {
    for table in ["scores", "comments"] {
        let sql = format!("DELETE FROM {table} WHERE workspace = ?1 AND entity = ?2 AND entity_id = ?3");
        transaction.prepare_cached(&sql)?.execute(params![workspace, entity.code(), id.0.as_bytes()])?;
    }
    Ok(())
}

/// A trace goes with its spans, whatever project they are in, and with what was summed up of them.
fn delete_trace(transaction: &Transaction<'_>, workspace: i64, id: Id) -> rusqlite::Result<()> {
    let trace_id = id.0.as_bytes();
    let spans = "workspace = ?1 AND trace_id = ?2 AND project IN \
                 (SELECT u.project FROM trace_sums u WHERE u.workspace = ?1 AND u.trace_id = ?2)";
    for table in ["scores", "comments"] {
        let sql = format!(
            "DELETE FROM {table} WHERE workspace = ?1 AND entity = {} \
             AND entity_id IN (SELECT id FROM spans WHERE {spans})",
            Entity::Span.code()
        );
        transaction.prepare_cached(&sql)?.execute(params![workspace, trace_id])?;
    }
    let count = "INSERT INTO project_span_counts (project, type, spans) \
         SELECT u.project, t.value, -CASE t.value WHEN 1 THEN u.general_spans WHEN 2 THEN u.tool_spans \
             WHEN 3 THEN u.llm_spans WHEN 4 THEN u.guardrail_spans \
             ELSE u.spans - u.general_spans - u.tool_spans - u.llm_spans - u.guardrail_spans END \
         FROM trace_sums u, json_each('[0,1,2,3,4]') t WHERE u.workspace = ?1 AND u.trace_id = ?2 \
         ON CONFLICT (project, type) DO UPDATE SET spans = spans + excluded.spans";
    transaction.prepare_cached(count)?.execute(params![workspace, trace_id])?;
    transaction.prepare_cached(&format!("DELETE FROM spans WHERE {spans}"))?.execute(params![workspace, trace_id])?;
    let sums = "DELETE FROM trace_sums WHERE workspace = ?1 AND trace_id = ?2";
    transaction.prepare_cached(sums)?.execute(params![workspace, trace_id])?;
    let trace = "DELETE FROM traces WHERE workspace = ?1 AND id = ?2";
    transaction.prepare_cached(trace)?.execute(params![workspace, trace_id])?;
    delete_said_of(transaction, workspace, Entity::Trace, id)
}
