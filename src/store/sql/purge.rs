//! Spans of deleted traces, all that was in deleted projects, and files that nothing refers to, removed a few at a time:
//! nobody waits while a big trace or project goes.

use super::attachments::{self, Contents};
use super::effects::delete_said_of;
use super::workspaces::Workspaces;
use super::{Connection, Param, any, first, id, integer, params, rows};
use crate::model::Id;
use crate::record::Entity;
use crate::store::StoreError;
use crate::store::apply::Key;
use crate::store::condition::NOT_PURGED;

/// Spans that one transaction deletes itself; further ones are left to be removed after it. Chosen: about 20 ms.
pub(super) const SPANS_AT_ONCE: i64 = 1_000;

/// Rows that are removed before somebody else has a turn. Chosen: some milliseconds.
pub(in crate::store) const PIECE_ROWS: usize = 200;

/// Whether there is anything to be removed.
pub(in crate::store) fn is_pending<C: Connection>(connection: &C) -> Result<bool, StoreError> {
    let sql =
        "SELECT 1 FROM purges UNION ALL SELECT 1 FROM project_purges UNION ALL SELECT 1 FROM loose_contents LIMIT 1";
    any(connection, sql, &[])
}

/// Whether there are spans of deleted traces to be removed.
fn has_traces<C: Connection>(connection: &C) -> Result<bool, StoreError> {
    any(connection, "SELECT 1 FROM purges LIMIT 1", &[])
}

/// Notes that the spans a project has of a trace are to be removed.
pub(super) fn later<C: Connection>(connection: &C, project: i64, trace_id: Id) -> Result<(), StoreError> {
    let sql = "INSERT INTO purges (project, trace_id, last_span) \
               SELECT ?1, ?2, max(key) FROM spans WHERE project = ?1 AND trace_id = ?2 HAVING max(key) IS NOT NULL";
    connection.execute(sql, params![project, &trace_id]).map(drop)
}

/// Removes those of these spans that are gone: they are about to be written anew.
pub(super) fn make_way<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    spans: &[Key],
) -> Result<(), StoreError> {
    if spans.is_empty() || !has_traces(connection)? {
        return Ok(());
    }
    let sql = format!("SELECT s.key FROM spans s WHERE s.workspace = ?1 AND s.id = ?2 AND NOT (1 = 1{NOT_PURGED})");
    for (workspace, id) in spans {
        let Some(workspace) = workspaces.find(connection, workspace)? else { continue };
        if let Some(key) = first(connection, &sql, params![workspace, id], |row| integer(row, 0))? {
            remove(connection, workspace, Entity::Span, *id, key)?;
            attachments::delete_of(connection, workspace, Entity::Span, *id)?;
        }
    }
    Ok(())
}

/// Removes some of what is to be removed, in a transaction; says whether there is more.
pub(in crate::store) fn piece<C: Connection>(connection: &C, contents: &impl Contents<C>) -> Result<bool, StoreError> {
    if !piece_of_trace(connection)? {
        piece_of_project(connection)?;
    }
    attachments::remove_loose(connection, contents)?;
    is_pending(connection)
}

/// Of a deleted trace, if there is one.
fn piece_of_trace<C: Connection>(connection: &C) -> Result<bool, StoreError> {
    let sql = "SELECT key, project, trace_id, last_span FROM purges ORDER BY key LIMIT 1";
    let purge =
        first(connection, sql, &[], |row| Ok((integer(row, 0)?, integer(row, 1)?, id(row, 2)?, integer(row, 3)?)))?;
    let Some((key, project, trace_id, last_span)) = purge else { return Ok(false) };
    let sql = format!(
        "SELECT key, workspace, id FROM spans WHERE project = ?1 AND trace_id = ?2 AND key <= ?3 LIMIT {PIECE_ROWS}"
    );
    let removed = remove_all(connection, Entity::Span, &sql, params![project, &trace_id, last_span])?;
    for (workspace, id) in &removed {
        attachments::delete_of(connection, *workspace, Entity::Span, *id)?;
    }
    if removed.len() < PIECE_ROWS {
        connection.execute("DELETE FROM purges WHERE key = ?1", params![key])?;
    }
    Ok(true)
}

/// Of a deleted project, if there is one: spans first, then traces, then threads, then attachments, which know their
/// project themselves.
fn piece_of_project<C: Connection>(connection: &C) -> Result<(), StoreError> {
    let project = first(connection, "SELECT project FROM project_purges LIMIT 1", &[], |row| integer(row, 0))?;
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
            connection.execute(&sums, params![project])?;
        }
        if !remove_all(connection, entity, &sql, params![project])?.is_empty() {
            return Ok(());
        }
    }
    if attachments::delete_some_of_project(connection, project)? > 0 {
        return Ok(());
    }
    for table in ["project_span_counts", "project_trace_counts", "project_purges"] {
        connection.execute(&format!("DELETE FROM {table} WHERE project = ?1"), params![project])?;
    }
    Ok(())
}

/// Removes the rows of a query, with what was said of them; says which there were, by workspace and id.
fn remove_all<C: Connection>(
    connection: &C,
    entity: Entity,
    sql: &str,
    params: &[Param<'_>],
) -> Result<Vec<(i64, Id)>, StoreError> {
    let rows = rows(connection, sql, params, |row| Ok((integer(row, 0)?, integer(row, 1)?, id(row, 2)?)))?;
    for (key, workspace, id) in &rows {
        remove(connection, *workspace, entity, *id, *key)?;
    }
    Ok(rows.into_iter().map(|(_, workspace, id)| (workspace, id)).collect())
}

/// A row goes, with its payloads, scores and comments.
pub(super) fn remove<C: Connection>(
    connection: &C,
    workspace: i64,
    entity: Entity,
    id: Id,
    key: i64,
) -> Result<(), StoreError> {
    let table = match entity {
        Entity::Span => "spans",
        Entity::Trace => "traces",
        Entity::Thread => "threads",
    };
    // The payloads go with the row.
    connection.execute(&format!("DELETE FROM {table} WHERE key = ?1 AND id = ?2"), params![key, &id])?;
    delete_said_of(connection, workspace, entity, id)
}
