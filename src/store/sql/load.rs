//! What a commit needs to know before it decides.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::purge::Gone;
use super::workspaces::Workspaces;
use super::{
    Connection, Keep, Param, SPANS, TRACES, Wanted as WantedRows, first, id, integer, params, purge, rows, text,
};
use crate::model::Id;
use crate::record::{Entity, Row, Target};
use crate::store::apply::{Commit, Key, Wanted, WantedThread};
use crate::store::cells::{
    PAYLOAD_COLUMNS, SPAN_COLUMNS, TRACE_COLUMNS, TRACE_PAYLOAD_COLUMNS, entity, json, read_span, read_trace,
};
use crate::store::condition::{COMMENT_IN_REACH, NOT_PURGED};
use crate::store::{StoreError, Submission};

pub(in crate::store) fn load<C: Connection>(
    connection: &C,
    submissions: &[Submission],
    workspaces: &mut Workspaces,
) -> Result<Commit, StoreError> {
    let mut wanted = Wanted::by(submissions);
    let mut commit = Commit::default();
    // What a comment is about may go in the same commit, and the comment with it.
    if !wanted.comments.is_empty() {
        let about = comments(connection, &wanted, workspaces)?.into_iter();
        let spans = about.filter(|(_, target)| target.entity == Entity::Span);
        wanted.spans.extend(spans.map(|(comment, target)| (comment.0, target.id)));
        wanted.spans.sort_unstable();
        wanted.spans.dedup();
    }
    let unknown = projects(connection, &wanted, workspaces, &mut commit)?;
    let of_threads = threads(connection, &wanted, workspaces, &mut commit)?;
    commit.expect(wanted.spans.len(), wanted.traces.len() + of_threads.len());
    let payloads = C::DIALECT.payloads(&SPANS, "s", "p");
    let sql = format!(
        "SELECT s.id, s.key, CASE WHEN NOT (1 = 1{NOT_PURGED}) THEN {WITH_TRACE} WHEN {DELETED} THEN 1 ELSE 0 END, \
         {SPAN_COLUMNS}, {PAYLOAD_COLUMNS} FROM spans s{payloads} WHERE "
    );
    each_row(
        connection,
        Entity::Span,
        &sql,
        &wanted.spans,
        workspaces,
        |row| read_span(row, 3),
        |id, stored| commit.know_span(id, stored),
    )?;
    let payloads = C::DIALECT.payloads(&TRACES, "s", "p");
    let sql = format!(
        "SELECT s.id, s.key, {DELETED}, {TRACE_COLUMNS}, {TRACE_PAYLOAD_COLUMNS} FROM traces s{payloads} WHERE "
    );
    each_row(
        connection,
        Entity::Trace,
        &sql,
        &wanted.traces,
        workspaces,
        |row| read_trace(row, 3),
        |id, stored| commit.know_trace(id, stored),
    )?;
    // What goes with its thread is not written to: its payloads are not needed.
    let sql = format!("SELECT s.id, s.key, {DELETED}, {TRACE_COLUMNS}, NULL, NULL, NULL FROM traces s WHERE ");
    each_row(
        connection,
        Entity::Trace,
        &sql,
        &of_threads,
        workspaces,
        |row| read_trace(row, 3),
        |id, stored| commit.know_trace(id, stored),
    )?;
    for (comment, target) in comments(connection, &wanted, workspaces)? {
        commit.know_comment(comment, target);
    }
    // Another server may have made a project, with what was found here, since it was looked for.
    projects_by_name(connection, unknown, workspaces, &mut commit)?;
    Ok(commit)
}

/// Looks up projects. Returns the names of which there are none.
fn projects<'w, C: Connection>(
    connection: &C,
    wanted: &'w Wanted,
    workspaces: &mut Workspaces,
    commit: &mut Commit,
) -> Result<Vec<&'w (Arc<str>, String)>, StoreError> {
    let mut names: Vec<_> = wanted.names.iter().collect();
    names.sort_unstable();
    let unknown = projects_by_name(connection, names, workspaces, commit)?;
    let kept = C::DIALECT.keep("j", Keep::Unchanged);
    let by_id =
        format!("SELECT j.key FROM projects j WHERE j.workspace = ?1 AND j.id = ?2 AND j.deleted_at IS NULL{kept}");
    let mut ids: Vec<_> = wanted.ids.iter().collect();
    ids.sort_unstable();
    for (workspace, id) in ids {
        let Some(key) = workspaces.find(connection, workspace)? else { continue };
        if let Some(key) = first(connection, &by_id, params![key, id], |row| integer(row, 0))? {
            commit.know_project_id((workspace.clone(), *id), key);
        }
    }
    Ok(unknown)
}

fn projects_by_name<'w, C: Connection>(
    connection: &C,
    names: Vec<&'w (Arc<str>, String)>,
    workspaces: &mut Workspaces,
    commit: &mut Commit,
) -> Result<Vec<&'w (Arc<str>, String)>, StoreError> {
    // None of them is renamed or deleted while something is written to it.
    let sql = format!(
        "SELECT w.key, j.key FROM workspaces w {} projects j ON j.workspace = w.key \
         WHERE w.name = ?1 AND j.name_folded = ?2 AND j.deleted_at IS NULL{}",
        C::DIALECT.join(),
        C::DIALECT.keep("j", Keep::Unchanged)
    );
    let mut unknown = Vec::new();
    for name in names {
        let found = first(connection, &sql, params![&name.0, &name.1], |row| Ok((integer(row, 0)?, integer(row, 1)?)))?;
        let Some((workspace, project)) = found else {
            unknown.push(name);
            continue;
        };
        workspaces.know(&name.0, workspace);
        commit.know_project_name(name.0.clone(), name.1.clone(), project);
    }
    Ok(unknown)
}

/// Ids that are looked up at once.
const IDS_AT_ONCE: usize = 500;

/// Ids of each workspace, in order, not too many at a time.
fn few<'k>(keys: impl Iterator<Item = &'k Key>) -> Vec<(&'k Arc<str>, Vec<Id>)> {
    let mut keys: Vec<&Key> = keys.collect();
    keys.sort_unstable();
    let alike = keys.chunk_by(|one, other| one.0 == other.0).flat_map(|keys| keys.chunks(IDS_AT_ONCE));
    alike.filter_map(|keys| Some((&keys.first()?.0, keys.iter().map(|key| key.1).collect()))).collect()
}

/// Places for so many ids behind that of a workspace.
fn places(ids: usize) -> String {
    (0..ids).map(|at| format!("?{}", at + 2)).collect::<Vec<_>>().join(", ")
}

fn of_ids(workspace: i64, ids: &[Id]) -> Vec<Param<'_>> {
    [workspace.into()].into_iter().chain(ids.iter().map(Param::from)).collect()
}

/// Looks up threads. Returns the traces of those that are to go, without those that are loaded anyway.
fn threads<C: Connection>(
    connection: &C,
    wanted: &Wanted,
    workspaces: &mut Workspaces,
    commit: &mut Commit,
) -> Result<Vec<Key>, StoreError> {
    const COLUMNS: &str = "h.id, h.project, h.thread_id, h.tags";
    let kept = C::DIALECT.keep("h", Keep::Mine);
    let know = |commit: &mut Commit, workspace: &Arc<str>, sql: &str, params: &[Param<'_>]| {
        connection.each(sql, params, |row| {
            let thread = (integer(row, 1)?, text(row, 2)?);
            commit.know_thread((Arc::clone(workspace), id(row, 0)?), thread, json(row, 3, "tags")?.unwrap_or_default());
            Ok(true)
        })
    };
    for (workspace, threads) in few(wanted.thread_ids.iter()) {
        let Some(key) = workspaces.find(connection, workspace)? else { continue };
        let by_id = format!(
            "SELECT {COLUMNS} FROM threads h JOIN projects j ON j.key = h.project WHERE j.workspace = ?1 \
             AND j.deleted_at IS NULL AND h.id IN ({}) ORDER BY h.id{kept}",
            places(threads.len())
        );
        know(commit, workspace, &by_id, &of_ids(key, &threads))?;
    }
    let join = C::DIALECT.join();
    let by_name = format!(
        "SELECT {COLUMNS} FROM json_each(?2) n {join} threads h ON h.project = ?1 AND h.thread_id = n.value \
         ORDER BY h.thread_id{kept}"
    );
    let of_name =
        format!("SELECT t.id FROM json_each(?2) n {join} traces t ON t.project = ?1 AND t.thread_id = n.value");
    let number = "SELECT n.value, (SELECT count(*) FROM traces t WHERE t.project = ?1 AND t.thread_id = n.value) \
                  FROM json_each(?2) n";
    let mut traces = Vec::new();
    let alike = |one: &WantedThread, other: &WantedThread| {
        (&one.workspace, &one.project, one.whole) == (&other.workspace, &other.project, other.whole)
    };
    for threads in wanted.threads.chunk_by(alike) {
        let Some(WantedThread { workspace, project, whole, .. }) = threads.first() else { continue };
        let Some(project) = commit.project(workspace, project) else { continue };
        let names: BTreeSet<&str> = threads.iter().map(|thread| thread.thread_id.as_str()).collect();
        let names = serde_json::to_string(&names).unwrap_or_default();
        let params = params![project, names];
        if *whole {
            know(commit, workspace, &by_name, params)?;
            let ids = rows(connection, &of_name, params, |row| id(row, 0))?;
            traces.extend(ids.into_iter().map(|id| (Arc::clone(workspace), id)));
        } else {
            connection.each(number, params, |row| {
                commit.know_traces((project, text(row, 0)?), integer(row, 1)?);
                Ok(true)
            })?;
        }
    }
    traces.sort_unstable();
    traces.dedup();
    traces.retain(|trace| wanted.traces.binary_search(trace).is_err());
    Ok(traces)
}

/// Whether the row's project is deleted.
const DELETED: &str = "(SELECT j.deleted_at IS NOT NULL FROM projects j WHERE j.key = s.project)";

/// What is said instead of a span that is still to be removed because its trace was deleted.
const WITH_TRACE: i64 = 2;

/// Loads rows; `know` is told of each, and of each that is not there. Those of deleted projects are not, nor are spans of
/// deleted traces: what is written to their ids now is new. The third column says which they are.
fn each_row<C: Connection, F>(
    connection: &C,
    of: Entity,
    sql: &str,
    wanted: &[Key],
    workspaces: &mut Workspaces,
    read: impl Fn(&C::Row<'_>) -> Result<Row<F>, StoreError>,
    mut know: impl FnMut(Key, Option<(i64, Row<F>)>),
) -> Result<(), StoreError> {
    let table = if of == Entity::Span { "spans" } else { "traces" };
    for wanted in wanted.chunk_by(|one, other| one.0 == other.0) {
        let Some((name, _)) = wanted.first() else { continue };
        let (mut lost, mut with_trace) = (Vec::new(), Vec::new());
        let mut rest = wanted.iter();
        if let Some(workspace) = workspaces.find(connection, name)? {
            let ids: Vec<Id> = wanted.iter().map(|key| key.1).collect();
            let rows = WantedRows { workspace, ids: &ids, alias: "s", column: "id", probe: Some(table) };
            connection.of_ids(sql, rows, |row| {
                let (row_id, row_key, gone) = (id(row, 0)?, integer(row, 1)?, integer(row, 2)?);
                // They come in the order in which they were asked for.
                for key in rest.by_ref() {
                    if key.1 != row_id {
                        know(key.clone(), None);
                    } else if gone != 0 {
                        let gone_from = if gone == WITH_TRACE { &mut with_trace } else { &mut lost };
                        gone_from.push(Gone { workspace, id: row_id, key: row_key });
                        know(key.clone(), None);
                        break;
                    } else {
                        know(key.clone(), Some((row_key, read(row)?)));
                        break;
                    }
                }
                Ok(())
            })?;
        }
        for key in rest {
            know(key.clone(), None);
        }
        purge::remove_spans(connection, &with_trace)?;
        // What was counted and summed up there is asked for by nobody.
        purge::remove(connection, of, &lost)?;
    }
    Ok(())
}

/// The comments that are there, with what they are about.
fn comments<C: Connection>(
    connection: &C,
    wanted: &Wanted,
    workspaces: &mut Workspaces,
) -> Result<Vec<(Key, Target)>, StoreError> {
    let mut there = Vec::new();
    for (workspace, comments) in few(wanted.comments.iter()) {
        let Some(key) = workspaces.find(connection, workspace)? else { continue };
        let sql = format!(
            "SELECT c.id, c.entity, c.entity_id FROM comments c WHERE c.workspace = ?1 AND c.id IN ({}){COMMENT_IN_REACH}",
            places(comments.len())
        );
        let found = rows(connection, &sql, &of_ids(key, &comments), |row| {
            Ok((id(row, 0)?, entity(integer(row, 1)?), id(row, 2)?))
        })?;
        there.extend(found.into_iter().filter_map(|(comment, entity, id)| {
            Some(((Arc::clone(workspace), comment), Target { entity: entity?, id }))
        }));
    }
    Ok(there)
}
