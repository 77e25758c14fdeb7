//! Reading threads: rows are worked out of traces, see [`begin`].

use super::{first, id as id_of, integer, said_of, until_full};
use crate::filter::thread_sql::{END, EXACT_COST, FIRST_MESSAGE, LAST_MESSAGE, MESSAGES, START, USAGE};
use crate::model::{Id, UsageSums};
use crate::record::{Entity, StoredThread};
use crate::store::cells::{Cells as _, corrupt, id as id_at, json, raw};
use crate::store::condition::begin;
use crate::store::query::Handle;
use crate::store::sql::{Connection, params};
use crate::store::{Query, StoreError};

/// Threads by their keys, as `query` works them out.
pub(in crate::store::sql) fn threads<C: Connection>(
    connection: &C,
    query: &Query,
    handles: &[Handle],
    bytes_max: usize,
) -> Result<(Vec<StoredThread>, usize), StoreError> {
    let mut sql = begin(C::DIALECT, query);
    sql.push(&format!(
        "SELECT s.id, s.thread_id, (SELECT j.id FROM projects j WHERE j.key = s.project), {START}, {END}, \
         {FIRST_MESSAGE}, {LAST_MESSAGE}, {MESSAGES}, s.status = 'active', {USAGE}, {EXACT_COST}, s.tags, \
         s.environment, s.created_at, s.created_by, s.last_updated_at, s.last_updated_by, s.workspace \
         FROM conversations s WHERE "
    ));
    let (found, looked_at) = until_full(connection, &sql, (handles, 0), bytes_max, |row| {
        let thread = StoredThread {
            id: id_at(row, 0, "id")?.ok_or(corrupt("id"))?,
            thread_id: row.text(1)?.unwrap_or_default(),
            project_id: id_at(row, 2, "project")?.ok_or(corrupt("project"))?,
            start_time: integer(row, 3)?,
            end_time: row.integer(4)?,
            first_message: raw(row, 5)?,
            last_message: raw(row, 6)?,
            messages: integer(row, 7)?,
            active: integer(row, 8)? != 0,
            usage: UsageSums(json(row, 9, "usage")?.unwrap_or_default()),
            cost: match row.text(10)? {
                Some(text) => Some(text.parse().map_err(|_| corrupt("cost"))?),
                None => None,
            },
            tags: json(row, 11, "tags")?.unwrap_or_default(),
            environment: row.text(12)?,
            created_at: integer(row, 13)?,
            created_by: row.text(14)?.unwrap_or_default(),
            last_updated_at: integer(row, 15)?,
            last_updated_by: row.text(16)?.unwrap_or_default(),
            scores: Vec::new(),
            comments: Vec::new(),
        };
        let bytes = thread.bytes();
        Ok(((thread, integer(row, 17)?), bytes))
    })?;
    let workspace = found.first().map_or(0, |(_, workspace)| *workspace);
    let mut found: Vec<StoredThread> = found.into_iter().map(|(thread, _)| thread).collect();
    let ids: Vec<Id> = found.iter().map(|thread| thread.id).collect();
    let mut said = said_of(connection, workspace, Entity::Thread, &ids, (true, true))?;
    for thread in &mut found {
        (thread.scores, thread.comments) = said.remove(&thread.id).unwrap_or_default();
    }
    Ok((found, looked_at))
}

/// The own id of the thread that a text means: its own id, or what its traces call it.
pub(in crate::store::sql) fn thread_id<C: Connection>(
    connection: &C,
    project: i64,
    text: &str,
) -> Result<Option<Id>, StoreError> {
    let own = text.parse::<Id>().map(|id| id.0.as_bytes().to_vec()).unwrap_or_default();
    let sql = "SELECT h.id FROM threads h WHERE h.project = ?1 AND (h.id = ?2 OR h.thread_id = ?3) \
               ORDER BY h.id = ?2 DESC LIMIT 1";
    first(connection, sql, params![project, &own[..], text], |row| id_of(row, 0))
}
