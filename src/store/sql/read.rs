//! Reading.

mod threads;

use std::collections::HashMap;

use super::attachments::{self, Contents};
use super::{Connection, Dialect, Param, any, first, id, integer, params, rows, rows_of, stats, walk};
use crate::filter::thread_sql;
use crate::model::{CommentPublic, Id, NotEmpty, ScoreSource, Source, SpanType, Timestamp};
use crate::record::{Entity, Parts, ProjectRef, Score, SpanScore, StoredScore, StoredSpan, StoredTrace, Target};
use crate::store::apply::folded;
use crate::store::cells::{
    COLUMNS_COUNT, Cells, PAYLOAD_COLUMNS, SPAN_COLUMNS, SUMS_COLUMNS, SUMS_COLUMNS_COUNT, TRACE_COLUMNS,
    TRACE_COLUMNS_COUNT, TRACE_PAYLOAD_COLUMNS, corrupt, id as id_at, read_span, read_sums, read_trace,
};
use crate::store::condition::{self, NOT_PURGED, SUMS_JOIN, Sql, Value, begin, filtered, id_value, order_by};
use crate::store::query::Handle;
use crate::store::{Amount, Kind, Order, Query, StoreError};

pub(super) use threads::{thread_id, threads};

/// Only spans can be gone before they are removed.
fn not_purged(of: Kind) -> &'static str {
    if of == Kind::Spans { NOT_PURGED } else { "" }
}

/// The row of this kind with this id, unless its project is deleted.
pub(super) fn handle<C: Connection>(
    connection: &C,
    of: Kind,
    workspace: &str,
    id: Id,
) -> Result<Option<Handle>, StoreError> {
    let sql = format!(
        "SELECT s.key, s.project FROM {} s JOIN projects j ON j.key = s.project \
         WHERE s.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND s.id = ?2 AND j.deleted_at IS NULL{}",
        of.table().rows,
        not_purged(of)
    );
    first(connection, &sql, params![workspace, &id], |row| {
        Ok(Handle { key: integer(row, 0)?, project: integer(row, 1)?, id })
    })
}

pub(super) fn project<C: Connection>(
    connection: &C,
    workspace: &str,
    project: &ProjectRef,
) -> Result<Option<i64>, StoreError> {
    let sql = |column: &str| {
        format!(
            "SELECT key FROM projects WHERE workspace = (SELECT key FROM workspaces WHERE name = ?1) AND {column} = ?2 \
             AND deleted_at IS NULL"
        )
    };
    match project {
        ProjectRef::Id(id) => first(connection, &sql("id"), params![workspace, id], |row| integer(row, 0)),
        ProjectRef::Name(name) => {
            first(connection, &sql("name_folded"), params![workspace, folded(name)], |row| integer(row, 0))
        }
    }
}

pub(super) fn find<C: Connection>(
    connection: &C,
    query: &Query,
    order: &Order,
    limit: u64,
    offset: u64,
) -> Result<Vec<Handle>, StoreError> {
    if let Some(found) = walk::found(connection, query, order, (limit, offset))? {
        return Ok(found);
    }
    let mut sql = begin(C::DIALECT, query);
    sql.push(&format!("SELECT s.key, s.project, s.id FROM {} s", query.of.table().rows));
    filtered(query, Some(order), "", &mut sql);
    order_by(query.of, order, &mut sql);
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (limit, offset) = (sql.bind(whole(limit)), sql.bind(whole(offset)));
    sql.push(&format!(" LIMIT {limit} OFFSET {offset}"));
    rows_of(connection, &sql, |row| read_handle(row))
}

/// Key, project and id.
pub(super) fn read_handle(row: &impl Cells) -> Result<Handle, StoreError> {
    Ok(Handle { key: integer(row, 0)?, project: integer(row, 1)?, id: id(row, 2)? })
}

/// The keys of a page, and how much there is on all pages.
pub(super) fn page<C: Connection>(
    connection: &C,
    query: &Query,
    order: &Order,
    limit: u64,
    offset: u64,
) -> Result<(Vec<Handle>, u64), StoreError> {
    let total = count(connection, query)?;
    // Of fewer than are wanted, nobody looks for more.
    let rest = total.saturating_sub(offset).min(limit);
    let keys = if rest > 0 { find(connection, query, order, rest, offset)? } else { Vec::new() };
    Ok((keys, total))
}

pub(super) fn count<C: Connection>(connection: &C, query: &Query) -> Result<u64, StoreError> {
    if is_a_range(query)
        && let Some(count) = connection.snapshot(|connection| count_by_rest(connection, query))?
    {
        return Ok(count);
    }
    let unfiltered = query.filters.is_empty()
        && query.search.is_none()
        && query.id_min.is_none()
        && query.id_max.is_none()
        && query.id_below.is_none()
        && !query.nothing;
    let mut sql = Sql::of(C::DIALECT);
    match (query.of, query.trace_id, query.span_type) {
        // Counted when they were written.
        (Kind::Traces, ..) if unfiltered => {
            let project = sql.bind(Value::Integer(query.project));
            sql.push(&format!(
                "SELECT CAST(coalesce(sum(c.traces), 0) AS BIGINT) FROM project_trace_counts c WHERE c.project = {project}"
            ));
        }
        (Kind::Spans, None, span_type) if unfiltered => {
            sql.push("SELECT CAST(coalesce(sum(c.spans), 0) AS BIGINT) FROM project_span_counts c WHERE c.project = ");
            let project = sql.bind(Value::Integer(query.project));
            sql.push(&project);
            if let Some(span_type) = span_type {
                let place = sql.bind(Value::Integer(span_type.code()));
                sql.push(" AND c.type = ").push(&place);
            }
        }
        (Kind::Spans, Some(trace_id), None) if unfiltered => {
            let project = sql.bind(Value::Integer(query.project));
            let trace = sql.bind(id_value(trace_id));
            sql.push(&format!(
                "SELECT CAST(coalesce(sum(u.spans), 0) AS BIGINT) FROM trace_sums u WHERE u.project = {project} AND u.trace_id = {trace} \
                 AND u.workspace = (SELECT workspace FROM projects WHERE key = {project})"
            ));
        }
        _ => return count_in(connection, query, None),
    }
    let count = rows_of(connection, &sql, |row| integer(row, 0))?;
    Ok(count.first().map_or(0, |count| u64::try_from(*count).unwrap_or_default()))
}

/// The number of what is meant within a range of keys, if there is one.
pub(super) fn count_in<C: Connection>(
    connection: &C,
    query: &Query,
    range: Option<(i64, i64)>,
) -> Result<u64, StoreError> {
    let mut count = 0;
    each(connection, query, range, "count(*)", begin(C::DIALECT, query), |row| {
        count = integer(row, 0)?;
        Ok(())
    })?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// So many are counted before anything else would be thought of.
const SOON_COUNTED: u64 = 10_000;

/// Whether all in a range of ids is meant.
fn is_a_range(query: &Query) -> bool {
    let Query { of, project, id_min, id_max, active_since, .. } = *query;
    let range = Query { id_min, id_max, active_since, ..Query::all(of, project) };
    of != Kind::Threads && (id_min.is_some() || id_max.is_some()) && *query == range
}

/// The number of all that is in a range of ids, if that is most of a project: it is known how much there is in all, and
/// what is outside the range is soon counted.
fn count_by_rest<C: Connection>(connection: &C, query: &Query) -> Result<Option<u64>, StoreError> {
    let Query { of, project, id_min, id_max, .. } = *query;
    let all = Query::all(of, project);
    let total = count(connection, &all)?;
    if total < SOON_COUNTED || !has(connection, query, SOON_COUNTED.cast_signed())? {
        return Ok(None);
    }
    let most = i64::try_from(total / 2).unwrap_or(i64::MAX);
    let mut outside = 0;
    for (bound, comparison) in [(id_min, "<"), (id_max, ">")] {
        let Some(id) = bound else { continue };
        let mut sql = begin(C::DIALECT, &all);
        sql.push(&format!("SELECT count(*) FROM (SELECT 1 FROM {} s", of.table().rows));
        filtered(&all, None, "", &mut sql);
        let (id, limit) = (sql.bind(id_value(id)), sql.bind(Value::Integer(most)));
        sql.push(&format!(" AND s.id {comparison} {id} LIMIT {limit}) r"));
        outside += rows_of(connection, &sql, |row| integer(row, 0))?.into_iter().sum::<i64>();
    }
    let outside = u64::try_from(outside).unwrap_or_default();
    Ok((outside < total / 2).then(|| total.saturating_sub(outside)))
}

/// Rows read in one go at most: their scores and comments are looked up together.
const ROWS_AT_ONCE: usize = 200;

/// Reads rows until those read hold `bytes_max`; says how many of the handles were looked at. `sql` ends with ` WHERE `.
fn until_full<C: Connection, T>(
    connection: &C,
    sql: &Sql,
    (handles, id_at): (&[Handle], usize),
    bytes_max: usize,
    read: impl Fn(&C::Row<'_>) -> Result<(T, usize), StoreError>,
) -> Result<(Vec<T>, usize), StoreError> {
    let handles = &handles[..handles.len().min(ROWS_AT_ONCE)];
    let mut found = Vec::with_capacity(handles.len());
    let (mut looked_at, mut bytes) = (handles.len(), 0);
    connection.of_handles(sql, handles, id_at, |place, row| {
        let (row, more) = read(row)?;
        bytes += more;
        found.push(row);
        let goes_on = bytes < bytes_max;
        if !goes_on {
            looked_at = place + 1;
        }
        Ok(goes_on)
    })?;
    Ok((found, looked_at))
}

/// What was said of one thing: its scores and its comments.
type Said = (Vec<StoredScore>, Vec<CommentPublic>);

/// What was said of things, by their ids; scores and comments are read where they are wanted.
fn said_of<C: Connection>(
    connection: &C,
    workspace: i64,
    entity: Entity,
    ids: &[Id],
    (with_scores, with_comments): (bool, bool),
) -> Result<HashMap<Id, Said>, StoreError> {
    let mut said: HashMap<Id, Said> = HashMap::new();
    if ids.is_empty() {
        return Ok(said);
    }
    if with_scores {
        for score in scores(connection, workspace, entity, ids)? {
            said.entry(score.score.target.id).or_default().0.push(score);
        }
    }
    if with_comments {
        for (about, comment) in comments(connection, workspace, entity, ids)? {
            said.entry(about).or_default().1.push(comment);
        }
    }
    Ok(said)
}

/// What is put in the place of references to attachments.
pub(super) struct Inlining<K> {
    pub contents: K,
    /// Bytes of one span or trace.
    pub bytes_max: u64,
}

pub(super) fn spans<C: Connection>(
    connection: &C,
    inlining: &Inlining<impl Contents<C>>,
    handles: &[Handle],
    parts: Parts,
    bytes_max: usize,
) -> Result<(Vec<StoredSpan>, usize), StoreError> {
    let payloads = wanted_payloads(PAYLOAD_COLUMNS, parts);
    let mut sql = Sql::of(C::DIALECT);
    sql.push(&format!(
        "SELECT {SPAN_COLUMNS}, {payloads}, j.id, j.name, s.id, s.workspace FROM spans s \
         JOIN projects j ON j.key = s.project{} WHERE ",
        payloads_join(C::DIALECT, Kind::Spans, parts)
    ));
    let (found, looked_at) = until_full(connection, &sql, (handles, COLUMNS_COUNT + 2), bytes_max, |row| {
        let span = StoredSpan {
            id: id_at(row, COLUMNS_COUNT + 2, "id")?.ok_or(corrupt("id"))?,
            project_id: id_at(row, COLUMNS_COUNT, "project")?.ok_or(corrupt("project"))?,
            project_name: row.text(COLUMNS_COUNT + 1)?.unwrap_or_default(),
            row: read_span(row, 0)?,
            scores: Vec::new(),
            comments: Vec::new(),
        };
        let bytes = span.bytes();
        Ok(((span, integer(row, COLUMNS_COUNT + 3)?), bytes))
    })?;
    // All are of one project, and so of one workspace.
    let workspace = found.first().map_or(0, |(_, workspace)| *workspace);
    let mut found: Vec<StoredSpan> = found.into_iter().map(|(span, _)| span).collect();
    let fitting = filled(&mut found, bytes_max, |span| {
        if parts.attachments {
            let fields = &mut span.row.fields;
            let metadata = fields.metadata.as_mut().map(|metadata| &mut metadata.raw);
            let payloads = fields.input.iter_mut().chain(&mut fields.output).chain(metadata);
            let target = Target { entity: Entity::Span, id: span.id };
            let place = (workspace, fields.project);
            attachments::put_in(connection, &inlining.contents, place, target, payloads, inlining.bytes_max)?;
        }
        Ok(span.bytes())
    })?;
    let looked_at = looked_at_of(handles, looked_at, found.get(fitting).map(|span| span.id));
    found.truncate(fitting);
    let ids: Vec<Id> = found.iter().map(|span| span.id).collect();
    let mut said = said_of(connection, workspace, Entity::Span, &ids, (parts.scores, parts.comments))?;
    for span in &mut found {
        (span.scores, span.comments) = said.remove(&span.id).unwrap_or_default();
    }
    Ok((found, looked_at))
}

/// Fills rows with their attachments, until they hold as much as they may; says how many were.
fn filled<T>(
    rows: &mut [T],
    bytes_max: usize,
    mut fill: impl FnMut(&mut T) -> Result<usize, StoreError>,
) -> Result<usize, StoreError> {
    let mut bytes = 0;
    for (at, row) in rows.iter_mut().enumerate() {
        if bytes >= bytes_max {
            return Ok(at);
        }
        bytes += fill(row)?;
    }
    Ok(rows.len())
}

/// How many of the handles were looked at, if the row with the id `next` was the first that did not fit.
fn looked_at_of(handles: &[Handle], looked_at: usize, next: Option<Id>) -> usize {
    let place = next.and_then(|next| handles.iter().position(|handle| handle.id == next));
    place.unwrap_or(looked_at)
}

pub(super) fn traces<C: Connection>(
    connection: &C,
    inlining: &Inlining<impl Contents<C>>,
    handles: &[Handle],
    parts: Parts,
    bytes_max: usize,
) -> Result<(Vec<StoredTrace>, usize), StoreError> {
    const SUMS: usize = TRACE_COLUMNS_COUNT;
    const OWN: usize = SUMS + SUMS_COLUMNS_COUNT;
    let payloads = wanted_payloads(TRACE_PAYLOAD_COLUMNS, parts);
    let mut sql = Sql::of(C::DIALECT);
    sql.push(&format!(
        "SELECT {TRACE_COLUMNS}, {payloads}, {SUMS_COLUMNS}, j.id, s.id, s.workspace FROM traces s \
         JOIN projects j ON j.key = s.project{}{SUMS_JOIN} WHERE ",
        payloads_join(C::DIALECT, Kind::Traces, parts)
    ));
    let (found, looked_at) = until_full(connection, &sql, (handles, OWN + 1), bytes_max, |row| {
        let trace = StoredTrace {
            id: id_at(row, OWN + 1, "id")?.ok_or(corrupt("id"))?,
            project_id: id_at(row, OWN, "project")?.ok_or(corrupt("project"))?,
            row: read_trace(row, 0)?,
            sums: read_sums(row, SUMS)?,
            scores: Vec::new(),
            span_scores: Vec::new(),
            comments: Vec::new(),
        };
        let bytes = trace.bytes();
        Ok(((trace, integer(row, OWN + 2)?), bytes))
    })?;
    let workspace = found.first().map_or(0, |(_, workspace)| *workspace);
    let mut found: Vec<StoredTrace> = found.into_iter().map(|(trace, _)| trace).collect();
    let fitting = filled(&mut found, bytes_max, |trace| {
        if parts.attachments {
            let fields = &mut trace.row.fields;
            let payloads = fields.input.iter_mut().chain(&mut fields.output).chain(&mut fields.metadata);
            let target = Target { entity: Entity::Trace, id: trace.id };
            let place = (workspace, fields.project);
            attachments::put_in(connection, &inlining.contents, place, target, payloads, inlining.bytes_max)?;
        }
        Ok(trace.bytes())
    })?;
    let looked_at = looked_at_of(handles, looked_at, found.get(fitting).map(|trace| trace.id));
    found.truncate(fitting);
    let ids: Vec<Id> = found.iter().map(|trace| trace.id).collect();
    let mut said = said_of(connection, workspace, Entity::Trace, &ids, (parts.scores, parts.comments))?;
    for trace in &mut found {
        (trace.scores, trace.comments) = said.remove(&trace.id).unwrap_or_default();
    }
    if parts.span_scores && any_span_score(connection, workspace)? {
        for trace in found.iter_mut().filter(|trace| trace.sums.spans > 0) {
            trace.span_scores = span_scores(connection, workspace, trace)?;
        }
    }
    Ok((found, looked_at))
}

/// The columns of payloads; those that are not wanted are not read.
fn wanted_payloads(columns: &str, parts: Parts) -> String {
    let wanted = |column: &str| match column {
        "p.input" => parts.input,
        "p.output" => parts.output,
        _ => parts.metadata,
    };
    let columns: Vec<_> = columns.split(", ").map(|column| if wanted(column) { column } else { "NULL" }).collect();
    columns.join(", ")
}

fn payloads_join(dialect: Dialect, of: Kind, parts: Parts) -> String {
    if parts.input || parts.output || parts.metadata {
        dialect.payloads(of.table().stored, "s", "p")
    } else {
        String::new()
    }
}

/// Places for `count` parameters after the first two.
fn places(count: usize) -> String {
    let places: Vec<String> = (0..count).map(|at| format!("?{}", at + 3)).collect();
    places.join(",")
}

fn by_ids(workspace: i64, entity: Entity, ids: &[Id]) -> Vec<Param<'_>> {
    [workspace.into(), entity.code().into()].into_iter().chain(ids.iter().map(Param::from)).collect()
}

/// The columns of a score `f`, in the order in which [`read_score`] takes them.
const SCORE_COLUMNS: &str = "f.entity_id, f.name, f.author, f.queue_id, f.value, f.category_name, f.reason, f.source, \
     f.created_at, f.created_by, f.last_updated_at, f.last_updated_by";

fn read_score(row: &impl Cells, entity: Entity) -> Result<StoredScore, StoreError> {
    let wrong = |column| StoreError::Corrupt { table: "scores", column };
    let queue_id = row.bytes(3)?.unwrap_or_default();
    Ok(StoredScore {
        score: Score {
            target: Target { entity, id: id_at(row, 0, "entity_id")?.ok_or(wrong("entity_id"))? },
            name: row.text(1)?.unwrap_or_default(),
            author: row.text(2)?.unwrap_or_default(),
            queue_id: if queue_id.is_empty() { None } else { id_at(row, 3, "queue_id")? },
            value: row.text(4)?.and_then(|text| text.parse().ok()).ok_or(wrong("value"))?,
            category_name: row.text(5)?,
            reason: row.text(6)?,
            source: ScoreSource::from_code(integer(row, 7)?).ok_or(wrong("source"))?,
        },
        created_at: integer(row, 8)?,
        created_by: row.text(9)?.unwrap_or_default(),
        last_updated_at: integer(row, 10)?,
        last_updated_by: row.text(11)?.unwrap_or_default(),
    })
}

fn scores<C: Connection>(
    connection: &C,
    workspace: i64,
    entity: Entity,
    ids: &[Id],
) -> Result<Vec<StoredScore>, StoreError> {
    let sql = format!(
        "SELECT {SCORE_COLUMNS} FROM scores f WHERE f.workspace = ?1 AND f.entity = ?2 AND f.entity_id IN ({})",
        places(ids.len())
    );
    rows(connection, &sql, &by_ids(workspace, entity, ids), |row| read_score(row, entity))
}

/// Most workspaces have none: then the spans of traces are not gone through for them.
fn any_span_score<C: Connection>(connection: &C, workspace: i64) -> Result<bool, StoreError> {
    // In the order of the index: it is not looked for anywhere else.
    let sql = "SELECT 1 FROM scores WHERE workspace = ?1 AND entity = ?2 ORDER BY entity_id LIMIT 1";
    any(connection, sql, params![workspace, Entity::Span.code()])
}

/// The scores of a trace's spans.
fn span_scores<C: Connection>(
    connection: &C,
    workspace: i64,
    trace: &StoredTrace,
) -> Result<Vec<SpanScore>, StoreError> {
    let sql = format!(
        "SELECT {SCORE_COLUMNS}, s.type FROM spans s {} scores f \
         ON f.workspace = ?1 AND f.entity = ?2 AND f.entity_id = s.id \
         WHERE s.project = ?3 AND s.trace_id = ?4{NOT_PURGED}",
        C::DIALECT.join()
    );
    let params = params![workspace, Entity::Span.code(), trace.row.fields.project, &trace.id];
    rows(connection, &sql, params, |row| {
        let span_type = SpanType::from_code(integer(row, 12)?);
        Ok(SpanScore { span_type, stored: read_score(row, Entity::Span)? })
    })
}

const COMMENT_COLUMNS: &str = "entity_id, id, text, queue_id, created_at, created_by, last_updated_at, last_updated_by";

fn read_comment(row: &impl Cells) -> Result<(Id, CommentPublic), StoreError> {
    let wrong = |column| StoreError::Corrupt { table: "comments", column };
    let comment = CommentPublic {
        id: id_at(row, 1, "id")?,
        text: Some(NotEmpty(row.text(2)?.unwrap_or_default())),
        source_queue_id: id_at(row, 3, "queue_id")?,
        created_at: Some(Timestamp::from_nanos(integer(row, 4)?)),
        created_by: row.text(5)?,
        last_updated_at: Some(Timestamp::from_nanos(integer(row, 6)?)),
        last_updated_by: row.text(7)?,
    };
    Ok((id_at(row, 0, "entity_id")?.ok_or(wrong("entity_id"))?, comment))
}

fn comments<C: Connection>(
    connection: &C,
    workspace: i64,
    entity: Entity,
    ids: &[Id],
) -> Result<Vec<(Id, CommentPublic)>, StoreError> {
    let sql = format!(
        "SELECT {COMMENT_COLUMNS} FROM comments WHERE workspace = ?1 AND entity = ?2 AND entity_id IN ({}) ORDER BY created_at, id",
        places(ids.len())
    );
    rows(connection, &sql, &by_ids(workspace, entity, ids), |row| read_comment(row))
}

pub(super) fn comment<C: Connection>(
    connection: &C,
    workspace: &str,
    target: Target,
    id: Id,
) -> Result<Option<CommentPublic>, StoreError> {
    let sql = format!(
        "SELECT {COMMENT_COLUMNS} FROM comments c \
         WHERE workspace = (SELECT key FROM workspaces WHERE name = ?1) AND id = ?2 AND entity = ?3 AND entity_id = ?4{}",
        condition::COMMENT_IN_REACH
    );
    let params = params![workspace, &id, target.entity.code(), &target.id];
    let found = rows(connection, &sql, params, |row| read_comment(row))?;
    Ok(found.into_iter().next().map(|(_, comment)| comment))
}

pub(super) fn exists<C: Connection>(
    connection: &C,
    of: Kind,
    project: i64,
    source: Option<Source>,
    threads: bool,
) -> Result<bool, StoreError> {
    let mut params = vec![Param::from(project)];
    let mut of_source = "";
    if let Some(source) = source {
        params.push(source.code().into());
        // What has no source counts as the SDK's.
        of_source = " AND (s.source = ?2 OR (?2 = 1 AND s.source = 0))";
    }
    let sql = format!(
        "SELECT 1 FROM {} s WHERE s.project = ?1{of_source}{}{} LIMIT 1",
        of.table().rows,
        if threads { " AND s.thread_id IS NOT NULL" } else { "" },
        not_purged(of)
    );
    any(connection, &sql, &params)
}

pub(super) fn score_names<C: Connection>(
    connection: &C,
    of: Kind,
    project: i64,
    span_type: Option<SpanType>,
) -> Result<Vec<String>, StoreError> {
    let table = of.table();
    let mut params = vec![Param::from(project)];
    let mut of_type = "";
    if let Some(span_type) = span_type {
        params.push(span_type.code().into());
        of_type = " AND s.type = ?2";
    }
    let sql = format!(
        "SELECT DISTINCT f.name FROM scores f JOIN {} s ON {} \
         WHERE s.project = ?1 AND f.workspace = (SELECT workspace FROM projects WHERE key = ?1){of_type}{} ORDER BY f.name",
        table.rows,
        table.scores,
        not_purged(of)
    );
    rows(connection, &sql, &params, |row| Ok(row.text(0)?.unwrap_or_default()))
}

/// The ranges of keys over which statistics are summed up side by side; none where an index leads to the rows.
///
/// What is a good part of the table is read in the table's own order, which is the fastest there is.
pub(super) fn stats_ranges<C: Connection>(
    connection: &C,
    query: &Query,
    parts: i64,
) -> Result<Vec<(i64, i64)>, StoreError> {
    // The other database reads side by side by itself.
    if C::DIALECT != Dialect::Sqlite || query.of == Kind::Threads || query.trace_id.is_some() {
        return Ok(Vec::new());
    }
    let last = format!("SELECT max(key) FROM {}", query.of.table().rows);
    let last: Option<i64> = first(connection, &last, &[], |row| row.integer(0))?.flatten();
    let last = last.unwrap_or_default();
    let many = (last / 4).max(STATS_ROWS_IN_TURN);
    let all = Query::all(query.of, query.project);
    let (id_min, id_max) = (query.id_min, query.id_max);
    let within = Query { id_min, id_max, ..all.clone() };
    if i64::try_from(count(connection, &all)?).unwrap_or(i64::MAX) < many || !has(connection, &within, many)? {
        return Ok(Vec::new());
    }
    let width = last / parts + 1;
    Ok((0..parts).map(|part| (part * width, (part + 1) * width - 1)).collect())
}

/// Whether there are so many: no more are counted.
fn has<C: Connection>(connection: &C, query: &Query, many: i64) -> Result<bool, StoreError> {
    let mut sql = begin(C::DIALECT, query);
    sql.push(&format!("SELECT 1 FROM {} s", query.of.table().rows));
    filtered(query, None, "", &mut sql);
    let before = sql.bind(Value::Integer(many - 1));
    sql.push(&format!(" LIMIT 1 OFFSET {before}"));
    Ok(!rows_of(connection, &sql, |_| Ok(()))?.is_empty())
}

/// Rows that are summed up faster than they are divided.
const STATS_ROWS_IN_TURN: i64 = 20_000;

/// How many columns [`summed`] names.
pub(super) const SUMMED: usize = 8;

/// What [`stats::Sums::add`] reads of a row to sum up this amount; what is not needed for it is not read.
pub(super) fn summed(of: Kind, amount: &Amount) -> String {
    /// Nothing, as each of them has it.
    const NONE: [&str; SUMMED] = ["0", "NULL", "NULL", "NULL", "0", "NULL", "0", "0"];
    /// Which payloads there are, and whether it failed.
    const FLAGS: &str = "(s.payloads & 7) + CASE WHEN s.error_info IS NULL THEN 0 ELSE 8 END";
    let all: [&str; SUMMED] = match of {
        Kind::Spans => ["s.start_time", "s.end_time", "s.cost_value", "s.usage", FLAGS, "s.tags", "0", "0"],
        Kind::Traces => {
            ["s.start_time", "s.end_time", "u.cost_value", "u.usage", FLAGS, "s.tags", "u.spans", "u.llm_spans"]
        }
        Kind::Threads => {
            let [start, end] = [thread_sql::START, thread_sql::END];
            [start, end, thread_sql::COST, thread_sql::USAGE, "0", "NULL", "0", "0"]
        }
    };
    let needed = |at: usize| match amount {
        Amount::All => true,
        Amount::Figures => matches!(at, 0..=2 | 4),
        Amount::Duration => at <= 1,
        Amount::Cost => at == 2,
        Amount::Usage(_) => at == 3,
        Amount::Number | Amount::Score(_) => false,
    };
    let columns: Vec<&str> = (0..SUMMED).map(|at| if needed(at) { all[at] } else { NONE[at] }).collect();
    columns.join(", ")
}

/// The rows that are meant, with `selected` of each, within a range of keys if there is one. `sql` has what was bound
/// for `selected`.
pub(super) fn each<C: Connection>(
    connection: &C,
    query: &Query,
    range: Option<(i64, i64)>,
    selected: &str,
    sql: Sql,
    mut see: impl FnMut(&C::Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut sql = sql;
    sql.push(&format!("SELECT {selected} FROM {} s", query.of.table().rows));
    if range.is_some() {
        sql.push(" NOT INDEXED");
    }
    filtered(query, None, selected, &mut sql);
    if let Some((low, high)) = range {
        let (low, high) = (sql.bind(Value::Integer(low)), sql.bind(Value::Integer(high)));
        sql.push(&format!(" AND s.key BETWEEN {low} AND {high}"));
    }
    connection.each(&sql.text, &sql.params(), |row| see(row).map(|()| true))
}

/// Sums over the rows that are meant, within a range of keys if there is one.
pub(super) fn stats_sums<C: Connection>(
    connection: &C,
    query: &Query,
    range: Option<(i64, i64)>,
) -> Result<stats::Sums, StoreError> {
    let mut sums = stats::Sums::default();
    each(connection, query, range, &summed(query.of, &Amount::All), begin(C::DIALECT, query), |row| {
        sums.add(row, query.of, &Amount::All)
    })?;
    Ok(sums)
}

/// `SELECT` the mean of what is of one name `FROM` the latest scores in what is `joined`, of what is meant; whether they
/// are scores of that itself.
fn latest_of(query: &Query, columns: &str, joined: &str, own: bool, sql: &mut Sql) {
    let mut meant = Sql { text: String::new(), ..sql.clone() };
    filtered(query, None, "", &mut meant);
    let project = meant.bind(Value::Integer(query.project));
    meant.push(&format!(" AND f.workspace = (SELECT workspace FROM projects WHERE key = {project})"));
    // No database concludes that by itself.
    for (bound, comparison) in [(query.id_min, ">="), (query.id_max, "<=")].into_iter().filter(|_| own) {
        if let Some(id) = bound {
            let place = meant.bind(id_value(id));
            meant.push(&format!(" AND f.entity_id {comparison} {place}"));
        }
    }
    let latest = sql.dialect.latest_scores(columns, &format!("{joined}{}", meant.text));
    sql.values = meant.values;
    sql.push(&format!("SELECT l.name, mean_score(l.value) FROM ({latest})"));
}

/// Mean scores of what is meant, one for each and name.
pub(super) fn stats_scores<C: Connection>(connection: &C, query: &Query) -> Result<Vec<(String, f64)>, StoreError> {
    let table = query.of.table();
    let mut sql = begin(C::DIALECT, query);
    // From the scores to what they are of: most spans and traces have none.
    let joined = format!("scores f {} {} s ON {}", C::DIALECT.join(), table.rows, table.scores);
    latest_of(
        query,
        "f.entity_id AS entity_id, f.name AS name, f.value AS value",
        &joined,
        query.of != Kind::Threads,
        &mut sql,
    );
    sql.push(" l GROUP BY l.entity_id, l.name");
    rows_of(connection, &sql, |row| Ok((row.text(0)?.unwrap_or_default(), row.real(1)?.unwrap_or_default())))
}

/// Mean scores of the spans of the traces that are meant, one for each trace and name.
pub(super) fn stats_span_scores<C: Connection>(
    connection: &C,
    query: &Query,
) -> Result<Vec<(String, f64)>, StoreError> {
    let mut sql = Sql::of(C::DIALECT);
    let joined = format!(
        "scores f {0} spans x ON f.entity = 1 AND x.workspace = f.workspace AND x.id = f.entity_id \
         {0} traces s ON s.workspace = x.workspace AND s.id = x.trace_id AND s.project = x.project",
        C::DIALECT.join()
    );
    latest_of(query, "s.key AS trace, f.name AS name, f.value AS value", &joined, false, &mut sql);
    sql.push(" l GROUP BY l.trace, l.name");
    rows_of(connection, &sql, |row| Ok((row.text(0)?.unwrap_or_default(), row.real(1)?.unwrap_or_default())))
}

/// How many conversations the traces that are meant belong to.
pub(super) fn stats_threads<C: Connection>(connection: &C, query: &Query) -> Result<u64, StoreError> {
    let mut sql = Sql::of(C::DIALECT);
    sql.push("SELECT count(DISTINCT s.thread_id) FROM traces s");
    filtered(query, None, "", &mut sql);
    let count = rows_of(connection, &sql, |row| integer(row, 0))?;
    Ok(count.first().map_or(0, |count| u64::try_from(*count).unwrap_or_default()))
}
