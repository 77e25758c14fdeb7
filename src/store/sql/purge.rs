//! Spans of deleted traces, all that was in deleted projects, and files that nothing refers to, removed a few at a time:
//! nobody waits while a big trace or project goes.

use super::attachments::{self, Contents};
use super::effects::{delete_said_of, of_things};
use super::table::{DELETE_ATTACHMENTS, DELETE_SPANS, DELETE_THREADS, DELETE_TRACES};
use super::{Connection, Param, Wanted, any, first, id, integer, params, rows};
use crate::model::Id;
use crate::record::Entity;
use crate::store::StoreError;
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

/// Notes that the spans a project has of a trace are to be removed.
pub(super) fn later<C: Connection>(connection: &C, project: i64, trace_id: Id) -> Result<(), StoreError> {
    let sql = "INSERT INTO purges (project, trace_id, last_span) \
               SELECT ?1, ?2, max(key) FROM spans WHERE project = ?1 AND trace_id = ?2 HAVING max(key) IS NOT NULL";
    connection.execute(sql, params![project, &trace_id]).map(drop)
}

/// Removes a span if its trace was deleted: what is written to its id now is of another.
pub(super) fn make_way<C: Connection>(connection: &C, workspace: i64, span: Id) -> Result<(), StoreError> {
    let sql = format!("SELECT s.id, s.key FROM spans s WHERE NOT (1 = 1{NOT_PURGED}) AND ");
    let wanted = Wanted { workspace, ids: &[span], alias: "s", column: "id", probe: Some("spans") };
    let mut gone = Vec::new();
    connection.of_ids(&sql, wanted, |row| {
        gone.push(Gone { workspace, id: id(row, 0)?, key: integer(row, 1)? });
        Ok(())
    })?;
    remove_spans(connection, &gone)
}

/// Spans go, with all that belongs to them.
pub(super) fn remove_spans<C: Connection>(connection: &C, gone: &[Gone]) -> Result<(), StoreError> {
    remove(connection, Entity::Span, gone)?;
    delete_attachments_of(connection, Entity::Span, gone)
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
        "SELECT s.workspace, s.id, s.key FROM spans s WHERE s.project = ?1 AND s.trace_id = ?2 AND s.key <= ?3 \
         ORDER BY s.parent_span_id NULLS FIRST, s.id LIMIT {PIECE_ROWS}"
    );
    let gone = gone(connection, &sql, params![project, &trace_id, last_span])?;
    remove_spans(connection, &gone)?;
    if gone.len() < PIECE_ROWS {
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
        if entity == Entity::Span {
            let sums = format!(
                "DELETE FROM trace_sums WHERE project = ?1 AND (workspace, trace_id) IN \
                 (SELECT workspace, trace_id FROM spans WHERE project = ?1 ORDER BY id LIMIT {PIECE_ROWS})"
            );
            connection.execute(&sums, params![project])?;
        }
        let sql = format!("SELECT {workspace}, id, key FROM {table} WHERE project = ?1 ORDER BY id LIMIT {PIECE_ROWS}");
        let gone = gone(connection, &sql, params![project])?;
        if !gone.is_empty() {
            return remove(connection, entity, &gone);
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

/// A row that is to be removed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone {
    pub workspace: i64,
    pub id: Id,
    pub key: i64,
}

/// Those that a query tells, by workspace, id and key.
fn gone<C: Connection>(connection: &C, sql: &str, params: &[Param<'_>]) -> Result<Vec<Gone>, StoreError> {
    let mut gone = rows(connection, sql, params, |row| {
        Ok(Gone { workspace: integer(row, 0)?, id: id(row, 1)?, key: integer(row, 2)? })
    })?;
    // As everybody who changes rows goes through them.
    gone.sort_unstable_by_key(|gone| (gone.workspace, gone.id));
    Ok(gone)
}

/// Rows go, with their payloads, scores and comments.
pub(super) fn remove<'g, C: Connection>(connection: &C, entity: Entity, gone: &'g [Gone]) -> Result<(), StoreError> {
    // The payloads go with the row.
    let row = |gone: &'g Gone| vec![gone.workspace.into(), (&gone.id).into(), gone.key.into()];
    match entity {
        Entity::Span => connection.many(&DELETE_SPANS, gone.iter().map(row)),
        Entity::Trace => connection.many(&DELETE_TRACES, gone.iter().map(row)),
        Entity::Thread => connection.many(&DELETE_THREADS, gone.iter().map(|gone| vec![gone.key.into()])),
    }?;
    delete_said_of(connection, entity, gone.iter().map(|gone| (gone.workspace, &gone.id)))
}

/// What is attached to rows goes.
fn delete_attachments_of<C: Connection>(connection: &C, entity: Entity, gone: &[Gone]) -> Result<(), StoreError> {
    connection.many(&DELETE_ATTACHMENTS, of_things(entity, gone.iter().map(|gone| (gone.workspace, &gone.id))))
}
