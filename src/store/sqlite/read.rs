//! Reading.

mod threads;

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Params, ToSql, params, params_from_iter};

use super::attachments;
use super::errors::from_rusqlite;
use super::files::Files;
use super::stats;
use crate::filter::thread_sql;
use crate::model::{CommentPublic, Id, NotEmpty, ScoreSource, Source, SpanType, Timestamp};
use crate::record::{Entity, Parts, ProjectRef, Score, SpanScore, StoredScore, StoredSpan, StoredTrace, Target};
use crate::store::apply::folded;
use crate::store::cells::{
    COLUMNS_COUNT, Cells, PAYLOAD_COLUMNS, SPAN_COLUMNS, SUMS_COLUMNS, SUMS_COLUMNS_COUNT, TRACE_COLUMNS,
    TRACE_COLUMNS_COUNT, TRACE_PAYLOAD_COLUMNS, corrupt, id as id_at, read_span, read_sums, read_trace,
};
use crate::store::condition::{self, NOT_PURGED, SUMS_JOIN, Sql, Value, begin, filtered, id_value, order_by};
use crate::store::{Kind, Order, Query, StoreError};

pub(super) use threads::{thread_id, threads};

impl Cells for rusqlite::Row<'_> {
    fn integer(&self, at: usize) -> Result<Option<i64>, StoreError> {
        self.get(at).map_err(from_rusqlite)
    }

    fn real(&self, at: usize) -> Result<Option<f64>, StoreError> {
        self.get(at).map_err(from_rusqlite)
    }

    fn text(&self, at: usize) -> Result<Option<String>, StoreError> {
        self.get(at).map_err(from_rusqlite)
    }

    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(at).map_err(from_rusqlite)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Integer(integer) => integer.to_sql(),
            Self::Real(real) => real.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
        }
    }
}

/// Every row of a query.
pub(super) fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(from_rusqlite)?;
    let mut cursor = statement.query(params).map_err(from_rusqlite)?;
    let mut found = Vec::new();
    while let Some(row) = cursor.next().map_err(from_rusqlite)? {
        found.push(read(row)?);
    }
    Ok(found)
}

pub(super) fn rows_of<T>(
    connection: &Connection,
    sql: &Sql,
    read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows(connection, &sql.text, params_from_iter(&sql.values), read)
}

/// One row of a query, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(from_rusqlite)?;
    statement.query_row(params, read).optional().map_err(from_rusqlite)
}

/// A number that is never missing from its row.
fn integer(row: &rusqlite::Row<'_>, at: usize) -> Result<i64, StoreError> {
    row.get(at).map_err(from_rusqlite)
}

/// Only spans can be gone before they are removed.
fn not_purged(of: Kind) -> &'static str {
    if of == Kind::Spans { NOT_PURGED } else { "" }
}

/// The key of a row of this kind with this id, unless its project is deleted.
pub(super) fn key(connection: &Connection, of: Kind, workspace: &str, id: Id) -> Result<Option<i64>, StoreError> {
    let sql = format!(
        "SELECT s.key FROM {} s JOIN projects j ON j.key = s.project \
         WHERE s.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND s.id = ?2 AND j.deleted_at IS NULL{}",
        of.table().rows,
        not_purged(of)
    );
    first(connection, &sql, params![workspace, id.0.as_bytes()], |row| row.get(0))
}

pub(super) fn project(
    connection: &Connection,
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
        ProjectRef::Id(id) => first(connection, &sql("id"), params![workspace, id.0.as_bytes()], |row| row.get(0)),
        ProjectRef::Name(name) => {
            first(connection, &sql("name_folded"), params![workspace, folded(name)], |row| row.get(0))
        }
    }
}

pub(super) fn find(
    connection: &Connection,
    query: &Query,
    order: &Order,
    limit: u64,
    offset: u64,
) -> Result<Vec<i64>, StoreError> {
    let mut sql = begin(query);
    sql.push(&format!("SELECT s.key FROM {} s", query.of.table().rows));
    filtered(query, Some(order), "", &mut sql);
    order_by(query.of, order, &mut sql);
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (limit, offset) = (sql.bind(whole(limit)), sql.bind(whole(offset)));
    sql.push(&format!(" LIMIT {limit} OFFSET {offset}"));
    rows_of(connection, &sql, |row| integer(row, 0))
}

pub(super) fn count(connection: &Connection, query: &Query) -> Result<u64, StoreError> {
    let unfiltered = query.filters.is_empty()
        && query.search.is_none()
        && query.id_min.is_none()
        && query.id_max.is_none()
        && query.id_below.is_none()
        && !query.nothing;
    let mut sql = begin(query);
    match (query.of, query.trace_id, query.span_type) {
        // Counted when they were written.
        (Kind::Traces, ..) if unfiltered => {
            let project = sql.bind(Value::Integer(query.project));
            sql.push(&format!(
                "SELECT ifnull(sum(c.traces), 0) FROM project_trace_counts c WHERE c.project = {project}"
            ));
        }
        (Kind::Spans, None, span_type) if unfiltered => {
            sql.push("SELECT ifnull(sum(c.spans), 0) FROM project_span_counts c WHERE c.project = ");
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
                "SELECT ifnull(sum(u.spans), 0) FROM trace_sums u WHERE u.project = {project} AND u.trace_id = {trace} \
                 AND u.workspace = (SELECT workspace FROM projects WHERE key = {project})"
            ));
        }
        _ => {
            sql.push(&format!("SELECT count(*) FROM {} s", query.of.table().rows));
            filtered(query, None, "", &mut sql);
        }
    }
    let count = rows_of(connection, &sql, |row| integer(row, 0))?;
    Ok(count.first().map_or(0, |count| u64::try_from(*count).unwrap_or_default()))
}

/// Rows read in one go at most: their scores and comments are looked up together.
const ROWS_AT_ONCE: usize = 200;

/// Reads rows one by one, until those read hold `bytes_max`; says how many of the keys were looked at. A key is the
/// parameter that follows those of `sql`.
fn one_by_one<T>(
    connection: &Connection,
    sql: &Sql,
    keys: &[i64],
    bytes_max: usize,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<(T, usize), StoreError>,
) -> Result<(Vec<T>, usize), StoreError> {
    let mut statement = connection.prepare_cached(&sql.text).map_err(from_rusqlite)?;
    let mut found = Vec::with_capacity(keys.len().min(ROWS_AT_ONCE));
    let (mut looked_at, mut bytes) = (0, 0);
    for key in keys.iter().take(ROWS_AT_ONCE) {
        if bytes >= bytes_max {
            break;
        }
        looked_at += 1;
        let params = sql.values.iter().cloned().chain([Value::Integer(*key)]);
        let mut cursor = statement.query(params_from_iter(params)).map_err(from_rusqlite)?;
        if let Some(row) = cursor.next().map_err(from_rusqlite)? {
            let (row, more) = read(row)?;
            bytes += more;
            found.push(row);
        }
    }
    Ok((found, looked_at))
}

/// What was said of one thing: its scores and its comments.
type Said = (Vec<StoredScore>, Vec<CommentPublic>);

/// What was said of things, by their ids; scores and comments are read where they are wanted.
fn said_of(
    connection: &Connection,
    workspace: i64,
    entity: Entity,
    ids: &[Id],
    (with_scores, with_comments): (bool, bool),
) -> Result<HashMap<Id, Said>, StoreError> {
    let mut said: HashMap<Id, Said> = HashMap::new();
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
pub(super) struct Inlining {
    pub files: Arc<Files>,
    /// Bytes of one span or trace.
    pub bytes_max: u64,
}

pub(super) fn spans(
    connection: &Connection,
    inlining: &Inlining,
    keys: &[i64],
    parts: Parts,
    bytes_max: usize,
) -> Result<(Vec<StoredSpan>, usize), StoreError> {
    // One transaction: a span, its payloads, scores and comments are of the same moment.
    let transaction = connection.unchecked_transaction().map_err(from_rusqlite)?;
    let payloads = wanted_payloads(PAYLOAD_COLUMNS, parts);
    let sql = format!(
        "SELECT {SPAN_COLUMNS}, {payloads}, j.id, j.name, s.id, s.workspace FROM spans s \
         JOIN projects j ON j.key = s.project{} WHERE s.key = ?1",
        payloads_join(Kind::Spans, parts)
    );
    let sql = Sql { text: sql, values: Vec::new() };
    let (found, looked_at) = one_by_one(&transaction, &sql, keys, bytes_max, |row| {
        let mut span = StoredSpan {
            id: id_at(row, COLUMNS_COUNT + 2, "id")?.ok_or(corrupt("id"))?,
            project_id: id_at(row, COLUMNS_COUNT, "project")?.ok_or(corrupt("project"))?,
            project_name: row.text(COLUMNS_COUNT + 1)?.unwrap_or_default(),
            row: read_span(row, 0)?,
            scores: Vec::new(),
            comments: Vec::new(),
        };
        let workspace = integer(row, COLUMNS_COUNT + 3)?;
        if parts.attachments {
            let fields = &mut span.row.fields;
            let metadata = fields.metadata.as_mut().map(|metadata| &mut metadata.raw);
            let payloads = fields.input.iter_mut().chain(&mut fields.output).chain(metadata);
            let target = Target { entity: Entity::Span, id: span.id };
            let place = (workspace, fields.project);
            attachments::put_in(&transaction, &inlining.files, place, target, payloads, inlining.bytes_max)?;
        }
        let bytes = span.bytes();
        Ok(((span, workspace), bytes))
    })?;
    // All are of one project, and so of one workspace.
    let workspace = found.first().map_or(0, |(_, workspace)| *workspace);
    let mut found: Vec<StoredSpan> = found.into_iter().map(|(span, _)| span).collect();
    let ids: Vec<Id> = found.iter().map(|span| span.id).collect();
    let mut said = said_of(&transaction, workspace, Entity::Span, &ids, (parts.scores, parts.comments))?;
    for span in &mut found {
        (span.scores, span.comments) = said.remove(&span.id).unwrap_or_default();
    }
    Ok((found, looked_at))
}

pub(super) fn traces(
    connection: &Connection,
    inlining: &Inlining,
    keys: &[i64],
    parts: Parts,
    bytes_max: usize,
) -> Result<(Vec<StoredTrace>, usize), StoreError> {
    const SUMS: usize = TRACE_COLUMNS_COUNT;
    const OWN: usize = SUMS + SUMS_COLUMNS_COUNT;
    let transaction = connection.unchecked_transaction().map_err(from_rusqlite)?;
    let payloads = wanted_payloads(TRACE_PAYLOAD_COLUMNS, parts);
    let sql = format!(
        "SELECT {TRACE_COLUMNS}, {payloads}, {SUMS_COLUMNS}, j.id, s.id, s.workspace FROM traces s \
         JOIN projects j ON j.key = s.project{}{SUMS_JOIN} WHERE s.key = ?1",
        payloads_join(Kind::Traces, parts)
    );
    let sql = Sql { text: sql, values: Vec::new() };
    let (found, looked_at) = one_by_one(&transaction, &sql, keys, bytes_max, |row| {
        let mut trace = StoredTrace {
            id: id_at(row, OWN + 1, "id")?.ok_or(corrupt("id"))?,
            project_id: id_at(row, OWN, "project")?.ok_or(corrupt("project"))?,
            row: read_trace(row, 0)?,
            sums: read_sums(row, SUMS)?,
            scores: Vec::new(),
            span_scores: Vec::new(),
            comments: Vec::new(),
        };
        let workspace = integer(row, OWN + 2)?;
        if parts.attachments {
            let fields = &mut trace.row.fields;
            let payloads = fields.input.iter_mut().chain(&mut fields.output).chain(&mut fields.metadata);
            let target = Target { entity: Entity::Trace, id: trace.id };
            let place = (workspace, fields.project);
            attachments::put_in(&transaction, &inlining.files, place, target, payloads, inlining.bytes_max)?;
        }
        let bytes = trace.bytes();
        Ok(((trace, workspace), bytes))
    })?;
    let workspace = found.first().map_or(0, |(_, workspace)| *workspace);
    let mut found: Vec<StoredTrace> = found.into_iter().map(|(trace, _)| trace).collect();
    let ids: Vec<Id> = found.iter().map(|trace| trace.id).collect();
    let mut said = said_of(&transaction, workspace, Entity::Trace, &ids, (parts.scores, parts.comments))?;
    for trace in &mut found {
        (trace.scores, trace.comments) = said.remove(&trace.id).unwrap_or_default();
    }
    if parts.span_scores && any_span_score(&transaction, workspace)? {
        for trace in found.iter_mut().filter(|trace| trace.sums.spans > 0) {
            trace.span_scores = span_scores(&transaction, workspace, trace)?;
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

fn payloads_join(of: Kind, parts: Parts) -> String {
    let table = of.table();
    if parts.input || parts.output || parts.metadata {
        format!(" LEFT JOIN {} p ON p.{} = s.key", table.payloads, table.owner)
    } else {
        String::new()
    }
}

/// Places for `count` parameters.
fn places(count: usize) -> String {
    let mut places = "?,".repeat(count);
    places.pop();
    places
}

fn by_ids(workspace: i64, entity: Entity, ids: &[Id]) -> Vec<Value> {
    let ids = ids.iter().map(|id| id_value(*id));
    [Value::Integer(workspace), Value::Integer(entity.code())].into_iter().chain(ids).collect()
}

/// The columns of a score `f`, in the order in which [`read_score`] takes them.
const SCORE_COLUMNS: &str = "f.entity_id, f.name, f.author, f.queue_id, f.value, f.category_name, f.reason, f.source, \
     f.created_at, f.created_by, f.last_updated_at, f.last_updated_by";

fn read_score(row: &rusqlite::Row<'_>, entity: Entity) -> Result<StoredScore, StoreError> {
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

fn scores(connection: &Connection, workspace: i64, entity: Entity, ids: &[Id]) -> Result<Vec<StoredScore>, StoreError> {
    let sql = format!(
        "SELECT {SCORE_COLUMNS} FROM scores f WHERE f.workspace = ?1 AND f.entity = ?2 AND f.entity_id IN ({})",
        places(ids.len())
    );
    rows(connection, &sql, params_from_iter(by_ids(workspace, entity, ids)), |row| read_score(row, entity))
}

/// Most workspaces have none: then the spans of traces are not gone through for them.
fn any_span_score(connection: &Connection, workspace: i64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM scores WHERE workspace = ?1 AND entity = ?2 LIMIT 1";
    Ok(first(connection, sql, params![workspace, Entity::Span.code()], |_| Ok(()))?.is_some())
}

/// The scores of a trace's spans.
fn span_scores(connection: &Connection, workspace: i64, trace: &StoredTrace) -> Result<Vec<SpanScore>, StoreError> {
    let sql = format!(
        "SELECT {SCORE_COLUMNS}, s.type FROM spans s CROSS JOIN scores f \
         ON f.workspace = ?1 AND f.entity = ?2 AND f.entity_id = s.id \
         WHERE s.project = ?3 AND s.trace_id = ?4{NOT_PURGED}"
    );
    let params = params![workspace, Entity::Span.code(), trace.row.fields.project, trace.id.0.as_bytes()];
    rows(connection, &sql, params, |row| {
        let span_type = SpanType::from_code(integer(row, 12)?);
        Ok(SpanScore { span_type, stored: read_score(row, Entity::Span)? })
    })
}

const COMMENT_COLUMNS: &str = "entity_id, id, text, queue_id, created_at, created_by, last_updated_at, last_updated_by";

fn read_comment(row: &rusqlite::Row<'_>) -> Result<(Id, CommentPublic), StoreError> {
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

fn comments(
    connection: &Connection,
    workspace: i64,
    entity: Entity,
    ids: &[Id],
) -> Result<Vec<(Id, CommentPublic)>, StoreError> {
    let sql = format!(
        "SELECT {COMMENT_COLUMNS} FROM comments WHERE workspace = ?1 AND entity = ?2 AND entity_id IN ({}) ORDER BY created_at, id",
        places(ids.len())
    );
    rows(connection, &sql, params_from_iter(by_ids(workspace, entity, ids)), read_comment)
}

pub(super) fn comment(
    connection: &Connection,
    workspace: &str,
    target: Target,
    id: Id,
) -> Result<Option<CommentPublic>, StoreError> {
    let sql = format!(
        "SELECT {COMMENT_COLUMNS} FROM comments c \
         WHERE workspace = (SELECT key FROM workspaces WHERE name = ?1) AND id = ?2 AND entity = ?3 AND entity_id = ?4{}",
        condition::COMMENT_IN_REACH
    );
    let params = params![workspace, id.0.as_bytes(), target.entity.code(), target.id.0.as_bytes()];
    let found = rows(connection, &sql, params, read_comment)?;
    Ok(found.into_iter().next().map(|(_, comment)| comment))
}

pub(super) fn exists(
    connection: &Connection,
    of: Kind,
    project: i64,
    source: Option<Source>,
    threads: bool,
) -> Result<bool, StoreError> {
    // What has no source counts as the SDK's.
    let sql = format!(
        "SELECT 1 FROM {} s WHERE s.project = ?1 AND (?2 IS NULL OR s.source = ?2 OR (?2 = 1 AND s.source = 0)){}{} LIMIT 1",
        of.table().rows,
        if threads { " AND s.thread_id IS NOT NULL" } else { "" },
        not_purged(of)
    );
    Ok(first(connection, &sql, params![project, source.map(Source::code)], |_| Ok(()))?.is_some())
}

pub(super) fn score_names(
    connection: &Connection,
    of: Kind,
    project: i64,
    span_type: Option<SpanType>,
) -> Result<Vec<String>, StoreError> {
    let table = of.table();
    let of_type = if span_type.is_some() { " AND s.type = ?2" } else { " AND ?2 IS NULL" };
    let sql = format!(
        "SELECT DISTINCT f.name FROM scores f JOIN {} s ON {} \
         WHERE s.project = ?1 AND f.workspace = (SELECT workspace FROM projects WHERE key = ?1){of_type}{} ORDER BY f.name",
        table.rows,
        table.scores,
        not_purged(of)
    );
    rows(connection, &sql, params![project, span_type.map(SpanType::code)], |row| Ok(row.text(0)?.unwrap_or_default()))
}

/// The ranges of keys over which statistics are summed up side by side; none where an index leads to the rows.
///
/// What is a good part of the table is read in the table's own order, which is the fastest there is.
pub(super) fn stats_ranges(connection: &Connection, query: &Query, parts: i64) -> Result<Vec<(i64, i64)>, StoreError> {
    if query.of == Kind::Threads || query.trace_id.is_some() {
        return Ok(Vec::new());
    }
    let (id_min, id_max) = (query.id_min, query.id_max);
    let count = count(connection, &Query { id_min, id_max, ..Query::all(query.of, query.project) })?;
    let last = format!("SELECT max(key) FROM {}", query.of.table().rows);
    let last: Option<i64> = first(connection, &last, [], |row| row.get(0))?.flatten();
    let last = last.unwrap_or_default();
    if i64::try_from(count).unwrap_or(i64::MAX) < (last / 4).max(STATS_ROWS_IN_TURN) {
        return Ok(Vec::new());
    }
    let width = last / parts + 1;
    Ok((0..parts).map(|part| (part * width, (part + 1) * width - 1)).collect())
}

/// Rows that are summed up faster than they are divided.
const STATS_ROWS_IN_TURN: i64 = 20_000;

/// What [`stats::Sums::add`] reads of a row.
pub(super) fn summed(of: Kind) -> String {
    match of {
        Kind::Spans => {
            "s.start_time, s.end_time, s.payloads, s.tags, s.cost_value, s.usage, s.error_info IS NOT NULL".to_owned()
        }
        Kind::Traces => {
            "s.start_time, s.end_time, s.payloads, s.tags, u.cost_value, u.usage, s.error_info IS NOT NULL, \
             u.spans, u.llm_spans"
                .to_owned()
        }
        Kind::Threads => {
            [thread_sql::START, thread_sql::END, "0", "NULL", thread_sql::COST, thread_sql::USAGE, "0"].join(", ")
        }
    }
}

/// The rows that are meant, with `selected` of each, within a range of keys if there is one. `sql` has what was bound
/// for `selected`.
pub(super) fn each(
    connection: &Connection,
    query: &Query,
    range: Option<(i64, i64)>,
    selected: &str,
    sql: Sql,
    mut see: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
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
    let mut statement = connection.prepare_cached(&sql.text).map_err(from_rusqlite)?;
    let mut cursor = statement.query(params_from_iter(&sql.values)).map_err(from_rusqlite)?;
    while let Some(row) = cursor.next().map_err(from_rusqlite)? {
        see(row).map_err(from_rusqlite)?;
    }
    Ok(())
}

/// Sums over the rows that are meant, within a range of keys if there is one.
pub(super) fn stats_sums(
    connection: &Connection,
    query: &Query,
    range: Option<(i64, i64)>,
) -> Result<stats::Sums, StoreError> {
    let mut sums = stats::Sums::default();
    each(connection, query, range, &summed(query.of), begin(query), |row| sums.add(row, query.of))?;
    Ok(sums)
}

/// Mean scores of what is meant, one for each and name.
pub(super) fn stats_scores(connection: &Connection, query: &Query) -> Result<Vec<(String, f64)>, StoreError> {
    let table = query.of.table();
    let mut sql = begin(query);
    // From the scores to what they are of: most spans and traces have none.
    sql.push(&format!(
        "SELECT l.name, mean_score(l.value) FROM (SELECT f.entity_id AS entity_id, f.name AS name, f.value AS value, \
         max(f.last_updated_at) FROM scores f CROSS JOIN {} s ON {}",
        table.rows, table.scores
    ));
    filtered(query, None, "", &mut sql);
    let project = sql.bind(Value::Integer(query.project));
    sql.push(&format!(
        " AND f.workspace = (SELECT workspace FROM projects WHERE key = {project}) \
         GROUP BY f.entity_id, f.name, f.author) l GROUP BY l.entity_id, l.name"
    ));
    rows_of(connection, &sql, |row| Ok((row.text(0)?.unwrap_or_default(), row.real(1)?.unwrap_or_default())))
}

/// Mean scores of the spans of the traces that are meant, one for each trace and name.
pub(super) fn stats_span_scores(connection: &Connection, query: &Query) -> Result<Vec<(String, f64)>, StoreError> {
    let mut sql = Sql::default();
    sql.push(
        "SELECT l.name, mean_score(l.value) FROM (SELECT s.key AS trace, f.name AS name, f.value AS value, \
         max(f.last_updated_at) FROM scores f \
         CROSS JOIN spans x ON f.entity = 1 AND x.workspace = f.workspace AND x.id = f.entity_id \
         CROSS JOIN traces s ON s.workspace = x.workspace AND s.id = x.trace_id AND s.project = x.project",
    );
    filtered(query, None, "", &mut sql);
    let project = sql.bind(Value::Integer(query.project));
    sql.push(&format!(
        " AND f.workspace = (SELECT workspace FROM projects WHERE key = {project}) \
         GROUP BY f.entity_id, f.name, f.author) l GROUP BY l.trace, l.name"
    ));
    rows_of(connection, &sql, |row| Ok((row.text(0)?.unwrap_or_default(), row.real(1)?.unwrap_or_default())))
}

/// How many conversations the traces that are meant belong to.
pub(super) fn stats_threads(connection: &Connection, query: &Query) -> Result<u64, StoreError> {
    let mut sql = Sql::default();
    sql.push("SELECT count(DISTINCT s.thread_id) FROM traces s");
    filtered(query, None, "", &mut sql);
    let count = rows_of(connection, &sql, |row| integer(row, 0))?;
    Ok(count.first().map_or(0, |count| u64::try_from(*count).unwrap_or_default()))
}
