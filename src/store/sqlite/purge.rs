//! Spans of deleted traces, all that was in deleted projects, and files that nothing refers to, removed a few at a time:
//! nobody waits while a big trace or project goes.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::attachments;
use super::effects::delete_said_of;
use super::errors::from_rusqlite;
use super::files::Files;
use super::workspaces::Workspaces;
use crate::model::Id;
use crate::record::Entity;
use crate::store::StoreError;
use crate::store::apply::Key;
use crate::store::condition::NOT_PURGED;

/// Spans that one transaction deletes itself; further ones are left to be removed after it. Chosen: about 20 ms.
pub(super) const SPANS_AT_ONCE: i64 = 1_000;

/// Rows that are removed before somebody else has a turn. Chosen: some milliseconds.
pub(super) const PIECE_ROWS: usize = 200;

/// Whether there is anything to be removed.
pub(super) fn is_pending(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM purges) OR EXISTS (SELECT 1 FROM project_purges) \
               OR EXISTS (SELECT 1 FROM loose_contents)";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// Whether there are spans of deleted traces to be removed.
fn has_traces(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM purges)")?.query_row([], |row| row.get(0))
}

/// Notes that the spans a project has of a trace are to be removed.
pub(super) fn later(transaction: &Transaction<'_>, project: i64, trace_id: &[u8; 16]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO purges (project, trace_id, last_span) \
               SELECT ?1, ?2, max(key) FROM spans WHERE project = ?1 AND trace_id = ?2 HAVING max(key) IS NOT NULL";
    transaction.prepare_cached(sql)?.execute(params![project, trace_id])?;
    Ok(())
}

/// Removes those of these spans that are gone: they are about to be written anew.
pub(super) fn make_way(
    transaction: &Transaction<'_>,
    workspaces: &mut Workspaces,
    spans: &[Key],
) -> rusqlite::Result<()> {
    if spans.is_empty() || !has_traces(transaction)? {
        return Ok(());
    }
    let sql = format!("SELECT s.key FROM spans s WHERE s.workspace = ?1 AND s.id = ?2 AND NOT (1{NOT_PURGED})");
    for (workspace, id) in spans {
        let Some(workspace) = workspaces.find(transaction, workspace)? else { continue };
        let gone = transaction
            .prepare_cached(&sql)?
            .query_row(params![workspace, id.0.as_bytes()], |row| row.get::<_, i64>(0))
            .optional()?;
        if let Some(key) = gone {
            remove(transaction, workspace, Entity::Span, *id, key)?;
            attachments::delete_of(transaction, workspace, Entity::Span, *id)?;
        }
    }
    Ok(())
}

/// Removes some of what is to be removed; says whether there is more.
pub(super) fn piece(connection: &mut Connection, files: &Files) -> Result<bool, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from_rusqlite)?;
    if !piece_of_trace(&transaction).map_err(from_rusqlite)? {
        piece_of_project(&transaction).map_err(from_rusqlite)?;
    }
    attachments::remove_loose(&transaction, files)?;
    let more = is_pending(&transaction).map_err(from_rusqlite)?;
    transaction.commit().map_err(from_rusqlite)?;
    Ok(more)
}

/// Of a deleted trace, if there is one.
fn piece_of_trace(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let purge = transaction
        .prepare_cached("SELECT key, project, trace_id, last_span FROM purges ORDER BY key LIMIT 1")?
        .query_row([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, [u8; 16]>(2)?, row.get::<_, i64>(3)?))
        })
        .optional()?;
    let Some((key, project, trace_id, last_span)) = purge else { return Ok(false) };
    let sql = format!(
        "SELECT key, workspace, id FROM spans WHERE project = ?1 AND trace_id = ?2 AND key <= ?3 LIMIT {PIECE_ROWS}"
    );
    let removed = remove_all(transaction, Entity::Span, &sql, params![project, trace_id, last_span])?;
    for (workspace, id) in &removed {
        attachments::delete_of(transaction, *workspace, Entity::Span, *id)?;
    }
    if removed.len() < PIECE_ROWS {
        transaction.prepare_cached("DELETE FROM purges WHERE key = ?1")?.execute([key])?;
    }
    Ok(true)
}

/// Of a deleted project, if there is one: spans first, then traces, then threads, then attachments, which know their
/// project themselves.
fn piece_of_project(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let find = "SELECT project FROM project_purges LIMIT 1";
    let project: Option<i64> = transaction.prepare_cached(find)?.query_row([], |row| row.get(0)).optional()?;
    let Some(project) = project else { return Ok(()) };
    for (entity, workspace, table) in [
        (Entity::Span, "workspace", "spans"),
        (Entity::Trace, "workspace", "traces"),
        (Entity::Thread, "(SELECT workspace FROM projects WHERE key = project)", "threads"),
    ] {
        let sql = format!("SELECT key, {workspace}, id FROM {table} WHERE project = ?1 LIMIT {PIECE_ROWS}");
        if entity == Entity::Span {
            let sums = format!(
                "DELETE FROM trace_sums WHERE project = ?1 AND (workspace, trace_id) IN \
                 (SELECT workspace, trace_id FROM spans WHERE project = ?1 LIMIT {PIECE_ROWS})"
            );
            transaction.prepare_cached(&sums)?.execute([project])?;
        }
        if !remove_all(transaction, entity, &sql, [project])?.is_empty() {
            return Ok(());
        }
    }
    if attachments::delete_some_of_project(transaction, project)? > 0 {
        return Ok(());
    }
    for table in ["project_span_counts", "project_trace_counts", "project_purges"] {
        transaction.prepare_cached(&format!("DELETE FROM {table} WHERE project = ?1"))?.execute([project])?;
    }
    Ok(())
}

/// Removes the rows of a query, with what was said of them; says which there were, by workspace and id.
fn remove_all(
    transaction: &Transaction<'_>,
    entity: Entity,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<(i64, Id)>> {
    let rows: Vec<(i64, i64, Id)> = transaction
        .prepare_cached(sql)?
        .query_map(params, |row| Ok((row.get(0)?, row.get(1)?, Id(uuid::Uuid::from_bytes(row.get(2)?)))))?
        .collect::<Result<_, _>>()?;
    for (key, workspace, id) in &rows {
        remove(transaction, *workspace, entity, *id, *key)?;
    }
    Ok(rows.into_iter().map(|(_, workspace, id)| (workspace, id)).collect())
}

/// A row goes, with its payloads, scores and comments.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    workspace: i64,
    entity: Entity,
    id: Id,
    key: i64,
) -> rusqlite::Result<()> {
    let table = match entity {
        Entity::Span => "spans",
        Entity::Trace => "traces",
        Entity::Thread => "threads",
    };
    // The payloads go with the row.
    transaction.prepare_cached(&format!("DELETE FROM {table} WHERE key = ?1"))?.execute([key])?;
    delete_said_of(transaction, workspace, entity, id)
}
