//! Traces that go with their spans, many at a time.

use std::collections::BTreeMap;

use super::effects::{delete_said_of, of_things};
use super::purge::Gone;
use super::table::{COUNT_SPANS, DELETE_ATTACHMENTS, DELETE_NAMED_TRACES, DELETE_SUMS};
use super::workspaces::Workspaces;
use super::{Connection, Wanted, id, integer, purge};
use crate::model::Id;
use crate::record::Entity;
use crate::store::StoreError;
use crate::store::apply::Key;
use crate::store::condition::NOT_PURGED;
use crate::store::sums::TYPES;

/// What a project has of a trace.
struct Share {
    trace_id: Id,
    project: i64,
    /// By code of their type.
    spans: [i64; TYPES],
}

impl Share {
    fn all_spans(&self) -> i64 {
        self.spans.iter().sum()
    }
}

/// Traces go with their spans, whatever project they are in, and with what was summed up of them. Spans beyond `at_once`
/// are gone, but removed later.
pub(super) fn remove_traces<C: Connection>(
    connection: &C,
    workspaces: &mut Workspaces,
    mut traces: Vec<Key>,
    at_once: &mut i64,
) -> Result<(), StoreError> {
    traces.sort_unstable();
    traces.dedup();
    for traces in traces.chunk_by(|one, other| one.0 == other.0) {
        let Some((name, _)) = traces.first() else { continue };
        let Some(workspace) = workspaces.find(connection, name)? else { continue };
        let ids: Vec<Id> = traces.iter().map(|trace| trace.1).collect();
        let shares = shares(connection, workspace, &ids)?;
        uncount(connection, &shares)?;
        let mut soon: BTreeMap<i64, Vec<Id>> = BTreeMap::new();
        for share in &shares {
            let spans = share.all_spans();
            if spans > *at_once {
                purge::later(connection, share.project, share.trace_id)?;
            } else {
                *at_once -= spans;
                soon.entry(share.project).or_default().push(share.trace_id);
            }
        }
        for (project, traces) in soon {
            remove_spans_of(connection, workspace, project, &traces)?;
        }
        let sums = shares.iter().map(|share| vec![workspace.into(), (&share.trace_id).into(), share.project.into()]);
        connection.many(&DELETE_SUMS, sums)?;
        connection.many(&DELETE_NAMED_TRACES, ids.iter().map(|id| vec![workspace.into(), id.into()]))?;
        let things = ids.iter().map(|id| (workspace, id));
        delete_said_of(connection, Entity::Trace, things.clone())?;
        connection.many(&DELETE_ATTACHMENTS, of_things(Entity::Trace, things))?;
    }
    Ok(())
}

/// What all projects have of these traces, kept for a change.
fn shares<C: Connection>(connection: &C, workspace: i64, ids: &[Id]) -> Result<Vec<Share>, StoreError> {
    const SQL: &str = "SELECT u.trace_id, u.project, \
         u.spans - u.general_spans - u.tool_spans - u.llm_spans - u.guardrail_spans, \
         u.general_spans, u.tool_spans, u.llm_spans, u.guardrail_spans FROM trace_sums u WHERE ";
    let mut shares = Vec::new();
    let wanted = Wanted { workspace, ids, alias: "u", column: "trace_id", probe: Some("trace_sums") };
    connection.of_ids(SQL, wanted, |row| {
        let mut share = Share { trace_id: id(row, 0)?, project: integer(row, 1)?, spans: [0; TYPES] };
        for (at, spans) in share.spans.iter_mut().enumerate() {
            *spans = integer(row, at + 2)?;
        }
        shares.push(share);
        Ok(())
    })?;
    Ok(shares)
}

/// The spans that a project has of traces go, but those that are to be removed anyway.
fn remove_spans_of<C: Connection>(
    connection: &C,
    workspace: i64,
    project: i64,
    traces: &[Id],
) -> Result<(), StoreError> {
    let sql = format!("SELECT s.id, s.key FROM spans s WHERE s.project = {project}{NOT_PURGED} AND ");
    let wanted = Wanted { workspace, ids: traces, alias: "s", column: "trace_id", probe: None };
    let mut gone = Vec::new();
    connection.of_ids(&sql, wanted, |row| {
        gone.push(Gone { workspace, id: id(row, 0)?, key: integer(row, 1)? });
        Ok(())
    })?;
    // As everybody who changes rows goes through them.
    gone.sort_unstable_by_key(|gone| gone.id);
    purge::remove_spans(connection, &gone)
}

/// Spans of traces that go no longer count.
fn uncount<C: Connection>(connection: &C, shares: &[Share]) -> Result<(), StoreError> {
    let mut counts: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for share in shares {
        for (kind, spans) in (0_i64..).zip(share.spans).filter(|(_, spans)| *spans != 0) {
            *counts.entry((share.project, kind)).or_default() -= spans;
        }
    }
    let counts = counts.into_iter().map(|((project, kind), spans)| vec![project.into(), kind.into(), spans.into()]);
    connection.many(&COUNT_SPANS, counts)
}
