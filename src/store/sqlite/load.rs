//! What a commit needs to know before it decides.

use std::collections::HashSet;
use std::sync::Arc;

use rusqlite::{OptionalExtension as _, ToSql, Transaction, params};

use super::errors::from_rusqlite;
use super::purge;
use super::workspaces::Workspaces;
use crate::model::Id;
use crate::record::{Entity, Row, Target};
use crate::store::apply::{Commit, Key, Wanted, WantedThread};
use crate::store::cells::{
    PAYLOAD_COLUMNS, SPAN_COLUMNS, TRACE_COLUMNS, TRACE_PAYLOAD_COLUMNS, entity, json, read_span, read_trace,
};
use crate::store::condition::COMMENT_IN_REACH;
use crate::store::{StoreError, Submission};

pub(super) fn load(
    transaction: &Transaction<'_>,
    submissions: &[Submission],
    workspaces: &mut Workspaces,
) -> Result<Commit, StoreError> {
    let mut wanted = Wanted::by(submissions);
    let mut commit = Commit::default();
    // What a comment is about may go in the same commit, and the comment with it.
    if !wanted.comments.is_empty() {
        let about = comments(transaction, &wanted, workspaces).map_err(from_rusqlite)?.into_iter();
        let spans = about.filter(|(_, target)| target.entity == Entity::Span);
        wanted.spans.extend(spans.map(|(comment, target)| (comment.0, target.id)));
        wanted.spans.sort_unstable();
        wanted.spans.dedup();
    }
    projects(transaction, &wanted, workspaces, &mut commit).map_err(from_rusqlite)?;
    let of_threads = threads(transaction, &wanted, workspaces, &mut commit)?;
    purge::make_way(transaction, workspaces, &wanted.spans).map_err(from_rusqlite)?;
    let sql = format!(
        "SELECT s.key, {DELETED}, {SPAN_COLUMNS}, {PAYLOAD_COLUMNS} FROM spans s LEFT JOIN span_payloads p ON p.span = s.key \
         WHERE s.workspace = ?1 AND s.id = ?2"
    );
    rows(
        transaction,
        Entity::Span,
        &sql,
        &wanted.spans,
        workspaces,
        |row| read_span(row, 2),
        |id, stored| commit.know_span(id, stored),
    )?;
    let sql = format!(
        "SELECT s.key, {DELETED}, {TRACE_COLUMNS}, {TRACE_PAYLOAD_COLUMNS} FROM traces s \
         LEFT JOIN trace_payloads p ON p.trace = s.key WHERE s.workspace = ?1 AND s.id = ?2"
    );
    rows(
        transaction,
        Entity::Trace,
        &sql,
        &wanted.traces,
        workspaces,
        |row| read_trace(row, 2),
        |id, stored| commit.know_trace(id, stored),
    )?;
    // What goes with its thread is not written to: its payloads are not needed.
    let sql = format!(
        "SELECT s.key, {DELETED}, {TRACE_COLUMNS}, NULL, NULL, NULL FROM traces s WHERE s.workspace = ?1 AND s.id = ?2"
    );
    rows(
        transaction,
        Entity::Trace,
        &sql,
        &of_threads,
        workspaces,
        |row| read_trace(row, 2),
        |id, stored| commit.know_trace(id, stored),
    )?;
    for (comment, target) in comments(transaction, &wanted, workspaces).map_err(from_rusqlite)? {
        commit.know_comment(comment, target);
    }
    Ok(commit)
}

fn projects(
    transaction: &Transaction<'_>,
    wanted: &Wanted,
    workspaces: &mut Workspaces,
    commit: &mut Commit,
) -> rusqlite::Result<()> {
    let mut by_name = transaction
        .prepare_cached("SELECT key FROM projects WHERE workspace = ?1 AND name_folded = ?2 AND deleted_at IS NULL")?;
    for (workspace, name) in &wanted.names {
        let Some(key) = workspaces.find(transaction, workspace)? else { continue };
        if let Some(key) = by_name.query_row(params![key, name], |row| row.get(0)).optional()? {
            commit.know_project_name(workspace.clone(), name.clone(), key);
        }
    }
    let mut by_id = transaction
        .prepare_cached("SELECT key FROM projects WHERE workspace = ?1 AND id = ?2 AND deleted_at IS NULL")?;
    for (workspace, id) in &wanted.ids {
        let Some(key) = workspaces.find(transaction, workspace)? else { continue };
        if let Some(key) = by_id.query_row(params![key, id.0.as_bytes()], |row| row.get(0)).optional()? {
            commit.know_project_id((workspace.clone(), *id), key);
        }
    }
    Ok(())
}

/// Looks up threads. Returns the traces of those that are to go, without those that are loaded anyway.
fn threads(
    transaction: &Transaction<'_>,
    wanted: &Wanted,
    workspaces: &mut Workspaces,
    commit: &mut Commit,
) -> Result<Vec<Key>, StoreError> {
    const COLUMNS: &str = "h.id, h.project, h.thread_id, h.tags";
    let know = |commit: &mut Commit, workspace: &Arc<str>, sql: &str, params: &[&dyn ToSql]| {
        let mut find = transaction.prepare_cached(sql).map_err(from_rusqlite)?;
        let mut rows = find.query(params).map_err(from_rusqlite)?;
        while let Some(row) = rows.next().map_err(from_rusqlite)? {
            let id = Id(uuid::Uuid::from_bytes(row.get(0).map_err(from_rusqlite)?));
            let thread = (row.get(1).map_err(from_rusqlite)?, row.get(2).map_err(from_rusqlite)?);
            commit.know_thread((Arc::clone(workspace), id), thread, json(row, 3, "tags")?.unwrap_or_default());
        }
        Ok::<_, StoreError>(())
    };
    let by_id = format!(
        "SELECT {COLUMNS} FROM threads h JOIN projects j ON j.key = h.project WHERE h.id = ?1 AND j.workspace = ?2 \
         AND j.deleted_at IS NULL"
    );
    for (workspace, id) in &wanted.thread_ids {
        let Some(key) = workspaces.find(transaction, workspace).map_err(from_rusqlite)? else { continue };
        know(commit, workspace, &by_id, &[&id.0.as_bytes(), &key])?;
    }
    let by_name = format!("SELECT {COLUMNS} FROM threads h WHERE h.project = ?1 AND h.thread_id = ?2");
    let mut traces = Vec::new();
    for WantedThread { workspace, project, thread_id, whole } in &wanted.threads {
        let Some(project) = commit.project(workspace, project) else { continue };
        if *whole {
            know(commit, workspace, &by_name, &[&project, thread_id])?;
            let sql = "SELECT id FROM traces WHERE project = ?1 AND thread_id = ?2";
            let mut find = transaction.prepare_cached(sql).map_err(from_rusqlite)?;
            let ids = find.query_map(params![project, thread_id], |row| Ok(Id(uuid::Uuid::from_bytes(row.get(0)?))));
            for id in ids.map_err(from_rusqlite)? {
                traces.push((Arc::clone(workspace), id.map_err(from_rusqlite)?));
            }
        } else {
            let sql = "SELECT count(*) FROM traces WHERE project = ?1 AND thread_id = ?2";
            let mut count = transaction.prepare_cached(sql).map_err(from_rusqlite)?;
            let number = count.query_row(params![project, thread_id], |row| row.get(0)).map_err(from_rusqlite)?;
            commit.know_traces((project, thread_id.clone()), number);
        }
    }
    traces.sort_unstable();
    traces.dedup();
    traces.retain(|trace| wanted.traces.binary_search(trace).is_err());
    Ok(traces)
}

/// Whether the row's project is deleted.
const DELETED: &str = "(SELECT j.deleted_at IS NOT NULL FROM projects j WHERE j.key = s.project)";

/// Loads rows one by one; `know` is told of each, and of each that is not there. Those of deleted projects are not: what
/// is written to their ids now is new.
fn rows<F>(
    transaction: &Transaction<'_>,
    of: Entity,
    sql: &str,
    wanted: &[Key],
    workspaces: &mut Workspaces,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<Row<F>, StoreError>,
    mut know: impl FnMut(Key, Option<(i64, Row<F>)>),
) -> Result<(), StoreError> {
    let mut find = transaction.prepare_cached(sql).map_err(from_rusqlite)?;
    let mut known = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(PROBED_AT_ONCE) {
        let there = probe(transaction, of, workspaces, chunk).map_err(from_rusqlite)?;
        known.extend(chunk.iter().map(|key| there.as_ref().is_none_or(|there| there.contains(&key.1))));
    }
    for (key, may_be_there) in wanted.iter().zip(known) {
        let Some(workspace) = workspaces.find(transaction, &key.0).map_err(from_rusqlite)? else {
            know(key.clone(), None);
            continue;
        };
        if !may_be_there {
            know(key.clone(), None);
            continue;
        }
        let mut rows = find.query(params![workspace, key.1.0.as_bytes()]).map_err(from_rusqlite)?;
        let (mut stored, mut lost) = (None, None);
        if let Some(row) = rows.next().map_err(from_rusqlite)? {
            let row_key: i64 = row.get(0).map_err(from_rusqlite)?;
            if row.get(1).map_err(from_rusqlite)? {
                lost = Some(row_key);
            } else {
                stored = Some((row_key, read(row)?));
            }
        }
        drop(rows);
        if let Some(lost) = lost {
            // What was counted and summed up there is asked for by nobody.
            purge::remove(transaction, workspace, of, key.1, lost).map_err(from_rusqlite)?;
        }
        know(key.clone(), stored);
    }
    Ok(())
}

/// Ids that are looked for in one go.
const PROBED_AT_ONCE: usize = 100;

/// Which of these ids, in order, are there; nothing if that takes more than looking for each. Most that is written is
/// new, with ids that stand together where there is nothing yet.
fn probe(
    transaction: &Transaction<'_>,
    of: Entity,
    workspaces: &mut Workspaces,
    wanted: &[Key],
) -> rusqlite::Result<Option<HashSet<Id>>> {
    let [first, .., last] = wanted else { return Ok(None) };
    let workspace = if first.0 == last.0 { workspaces.find(transaction, &first.0)? } else { None };
    let Some(workspace) = workspace else { return Ok(None) };
    let table = if of == Entity::Span { "spans" } else { "traces" };
    let sql = format!("SELECT id FROM {table} WHERE workspace = ?1 AND id BETWEEN ?2 AND ?3 LIMIT {PROBED_AT_ONCE}");
    let mut find = transaction.prepare_cached(&sql)?;
    let params = params![workspace, first.1.0.as_bytes(), last.1.0.as_bytes()];
    let ids = find.query_map(params, |row| Ok(Id(uuid::Uuid::from_bytes(row.get(0)?))))?;
    let there = ids.collect::<rusqlite::Result<HashSet<_>>>()?;
    Ok(Some(there).filter(|there| there.len() < PROBED_AT_ONCE))
}

/// The comments that are there, with what they are about.
fn comments(
    transaction: &Transaction<'_>,
    wanted: &Wanted,
    workspaces: &mut Workspaces,
) -> rusqlite::Result<Vec<(Key, Target)>> {
    let sql = format!("SELECT entity, entity_id FROM comments c WHERE workspace = ?1 AND id = ?2{COMMENT_IN_REACH}");
    let mut find = transaction.prepare_cached(&sql)?;
    let mut there = Vec::new();
    for comment in &wanted.comments {
        let Some(workspace) = workspaces.find(transaction, &comment.0)? else { continue };
        let target = |row: &rusqlite::Row<'_>| {
            let id = Id(uuid::Uuid::from_bytes(row.get(1)?));
            Ok(entity(row.get(0)?).map(|entity| Target { entity, id }))
        };
        let found = find.query_row(params![workspace, comment.1.0.as_bytes()], target).optional()?;
        there.extend(found.flatten().map(|target| (comment.clone(), target)));
    }
    Ok(there)
}
