//! Spans of deleted traces, removed a few at a time, so that nobody waits while a big trace goes.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::effects::delete_said_of;
use super::workspaces::Workspaces;
use crate::model::Id;
use crate::record::Entity;
use crate::store::apply::Key;
use crate::store::condition::NOT_PURGED;

/// Spans that one transaction deletes itself; further ones are left to be removed after it. Chosen: about 20 ms.
pub(super) const SPANS_AT_ONCE: i64 = 1_000;

/// Spans that are removed before somebody else has a turn. Chosen: some milliseconds.
const PIECE_SPANS: usize = 200;

/// Whether there is anything to be removed.
pub(super) fn is_pending(connection: &Connection) -> rusqlite::Result<bool> {
    let mut pending = connection.prepare_cached("SELECT 1 FROM purges LIMIT 1")?;
    Ok(pending.query_row([], |_| Ok(())).optional()?.is_some())
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
    if spans.is_empty() || !is_pending(transaction)? {
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
            remove(transaction, workspace, *id, key)?;
        }
    }
    Ok(())
}

/// Removes some of what is to be removed; says whether there is more.
pub(super) fn piece(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let purge = transaction
        .prepare_cached("SELECT key, project, trace_id, last_span FROM purges ORDER BY key LIMIT 1")?
        .query_row([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, [u8; 16]>(2)?, row.get::<_, i64>(3)?))
        })
        .optional()?;
    let Some((key, project, trace_id, last_span)) = purge else { return Ok(false) };
    let sql = "SELECT key, workspace, id FROM spans WHERE project = ?1 AND trace_id = ?2 AND key <= ?3 LIMIT ?4";
    let spans: Vec<(i64, i64, Id)> = transaction
        .prepare_cached(sql)?
        .query_map(params![project, trace_id, last_span, i64::try_from(PIECE_SPANS).unwrap_or(i64::MAX)], |row| {
            Ok((row.get(0)?, row.get(1)?, Id(uuid::Uuid::from_bytes(row.get(2)?))))
        })?
        .collect::<Result<_, _>>()?;
    for (span, workspace, id) in &spans {
        remove(&transaction, *workspace, *id, *span)?;
    }
    if spans.len() < PIECE_SPANS {
        transaction.prepare_cached("DELETE FROM purges WHERE key = ?1")?.execute([key])?;
    }
    let more = is_pending(&transaction)?;
    transaction.commit()?;
    Ok(more)
}

/// A span goes, with its payloads, scores and comments.
fn remove(transaction: &Transaction<'_>, workspace: i64, id: Id, key: i64) -> rusqlite::Result<()> {
    transaction.prepare_cached("DELETE FROM spans WHERE key = ?1")?.execute([key])?;
    delete_said_of(transaction, workspace, Entity::Span, id)
}
