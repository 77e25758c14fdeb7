//! Reading.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Params, ToSql, params, params_from_iter};

use super::errors::from_rusqlite;
use super::stats;
use crate::model::{CommentPublic, Id, NotEmpty, ScoreSource, Source, SpanType, Timestamp};
use crate::record::{ProjectRef, Score, StoredScore, StoredSpan};
use crate::store::apply::folded;
use crate::store::cells::{COLUMNS_COUNT, Cells, PAYLOAD_COLUMNS, SPAN_COLUMNS, corrupt, id as id_at, read_span};
use crate::store::condition::{Sql, Value, filtered, order_by};
use crate::store::{Order, Parts, SpanQuery, StoreError};

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

fn rows_of<T>(
    connection: &Connection,
    sql: &Sql,
    read: impl FnMut(&rusqlite::Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows(connection, &sql.text, params_from_iter(&sql.values), read)
}

/// One row of a query, if there is one.
fn first<T>(
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

pub(super) fn span_key(connection: &Connection, workspace: &str, id: Id) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT s.key FROM spans s \
               WHERE s.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND s.id = ?2";
    first(connection, sql, params![workspace, id.0.as_bytes()], |row| row.get(0))
}

pub(super) fn project(
    connection: &Connection,
    workspace: &str,
    project: &ProjectRef,
) -> Result<Option<i64>, StoreError> {
    let sql = |column: &str| {
        format!(
            "SELECT key FROM projects WHERE workspace = (SELECT key FROM workspaces WHERE name = ?1) AND {column} = ?2"
        )
    };
    match project {
        ProjectRef::Id(id) => first(connection, &sql("id"), params![workspace, id.0.as_bytes()], |row| row.get(0)),
        ProjectRef::Name(name) => {
            first(connection, &sql("name_folded"), params![workspace, folded(name)], |row| row.get(0))
        }
    }
}

pub(super) fn find_spans(
    connection: &Connection,
    query: &SpanQuery,
    order: &Order,
    limit: u64,
    offset: u64,
) -> Result<Vec<i64>, StoreError> {
    let mut sql = Sql::default();
    sql.push("SELECT s.key FROM spans s");
    filtered(query, Some(order), &mut sql);
    order_by(order, &mut sql);
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (limit, offset) = (sql.bind(whole(limit)), sql.bind(whole(offset)));
    sql.push(&format!(" LIMIT {limit} OFFSET {offset}"));
    rows_of(connection, &sql, |row| integer(row, 0))
}

pub(super) fn count_spans(connection: &Connection, query: &SpanQuery) -> Result<u64, StoreError> {
    let unfiltered = query.filters.is_empty()
        && query.search.is_none()
        && query.id_min.is_none()
        && query.id_max.is_none()
        && query.id_below.is_none();
    let mut sql = Sql::default();
    match (unfiltered, query.trace_id, query.span_type) {
        // Counted when they were written.
        (true, None, span_type) => {
            sql.push("SELECT ifnull(sum(c.spans), 0) FROM project_span_counts c WHERE c.project = ");
            let project = sql.bind(Value::Integer(query.project));
            sql.push(&project);
            if let Some(span_type) = span_type {
                let place = sql.bind(Value::Integer(span_type.code()));
                sql.push(" AND c.type = ").push(&place);
            }
        }
        (true, Some(trace_id), None) => {
            sql.push("SELECT ifnull(sum(c.spans), 0) FROM trace_span_counts c WHERE c.project = ");
            let project = sql.bind(Value::Integer(query.project));
            let trace = sql.bind(Value::Bytes(trace_id.0.as_bytes().to_vec()));
            sql.push(&format!("{project} AND c.trace_id = {trace}"));
        }
        _ => {
            sql.push("SELECT count(*) FROM spans s");
            filtered(query, None, &mut sql);
        }
    }
    let count = rows_of(connection, &sql, |row| integer(row, 0))?;
    Ok(count.first().map_or(0, |count| u64::try_from(*count).unwrap_or_default()))
}

/// Spans read in one go at most: their scores and comments are looked up together.
const SPANS_AT_ONCE: usize = 200;

pub(super) fn spans(
    connection: &Connection,
    keys: &[i64],
    parts: Parts,
    bytes_max: usize,
) -> Result<(Vec<StoredSpan>, usize), StoreError> {
    // One transaction: a span, its payloads, scores and comments are of the same moment.
    let transaction = connection.unchecked_transaction().map_err(from_rusqlite)?;
    let sql = one_span(parts);
    let mut statement = transaction.prepare_cached(&sql).map_err(from_rusqlite)?;
    let mut found: Vec<StoredSpan> = Vec::with_capacity(keys.len().min(SPANS_AT_ONCE));
    let mut workspace = 0;
    let (mut looked_at, mut bytes) = (0, 0);
    for key in keys.iter().take(SPANS_AT_ONCE) {
        if bytes >= bytes_max {
            break;
        }
        looked_at += 1;
        let mut cursor = statement.query([key]).map_err(from_rusqlite)?;
        let Some(row) = cursor.next().map_err(from_rusqlite)? else { continue };
        let span = StoredSpan {
            id: id_at(row, COLUMNS_COUNT + 2, "id")?.ok_or(corrupt("id"))?,
            project_id: id_at(row, COLUMNS_COUNT, "project")?.ok_or(corrupt("project"))?,
            project_name: row.text(COLUMNS_COUNT + 1)?.unwrap_or_default(),
            row: read_span(row, 0)?,
            scores: Vec::new(),
            comments: Vec::new(),
        };
        workspace = integer(row, COLUMNS_COUNT + 3)?;
        bytes += span.bytes();
        found.push(span);
    }
    drop(statement);
    // All are of one project, and so of one workspace.
    let at: HashMap<Id, usize> = found.iter().enumerate().map(|(at, span)| (span.id, at)).collect();
    let ids: Vec<Id> = found.iter().map(|span| span.id).collect();
    if parts.scores {
        for score in scores(&transaction, workspace, &ids)? {
            if let Some(at) = at.get(&score.score.span_id) {
                found[*at].scores.push(score);
            }
        }
    }
    if parts.comments {
        for (span_id, comment) in comments(&transaction, workspace, &ids)? {
            if let Some(at) = at.get(&span_id) {
                found[*at].comments.push(comment);
            }
        }
    }
    Ok((found, looked_at))
}

/// The query for one span by its key. Payloads that are not wanted are not read.
fn one_span(parts: Parts) -> String {
    let any_payload = parts.input || parts.output || parts.metadata;
    let join = if any_payload { " LEFT JOIN span_payloads p ON p.span = s.key" } else { "" };
    let mut payloads = String::new();
    for column in PAYLOAD_COLUMNS.split(", ") {
        let wanted = match column {
            "p.input" => parts.input,
            "p.output" => parts.output,
            _ => parts.metadata,
        };
        payloads.push_str(if wanted { column } else { "NULL" });
        payloads.push_str(", ");
    }
    format!(
        "SELECT {SPAN_COLUMNS}, {payloads}j.id, j.name, s.id, s.workspace FROM spans s \
         JOIN projects j ON j.key = s.project{join} WHERE s.key = ?1"
    )
}

/// Places for `count` parameters.
fn places(count: usize) -> String {
    let mut places = "?,".repeat(count);
    places.pop();
    places
}

fn by_ids(workspace: i64, ids: &[Id]) -> Vec<Value> {
    let ids = ids.iter().map(|id| Value::Bytes(id.0.as_bytes().to_vec()));
    std::iter::once(Value::Integer(workspace)).chain(ids).collect()
}

fn scores(connection: &Connection, workspace: i64, ids: &[Id]) -> Result<Vec<StoredScore>, StoreError> {
    let sql = format!(
        "SELECT span_id, name, author, queue_id, value, category_name, reason, source, created_at, created_by, \
         last_updated_at, last_updated_by FROM span_scores WHERE workspace = ?1 AND span_id IN ({})",
        places(ids.len())
    );
    let wrong = |column| StoreError::Corrupt { table: "span_scores", column };
    rows(connection, &sql, params_from_iter(by_ids(workspace, ids)), |row| {
        let queue_id = row.bytes(3)?.unwrap_or_default();
        Ok(StoredScore {
            score: Score {
                span_id: id_at(row, 0, "span_id")?.ok_or(wrong("span_id"))?,
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
    })
}

const COMMENT_COLUMNS: &str = "span_id, id, text, queue_id, created_at, created_by, last_updated_at, last_updated_by";

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
    Ok((id_at(row, 0, "span_id")?.ok_or(wrong("span_id"))?, comment))
}

fn comments(connection: &Connection, workspace: i64, ids: &[Id]) -> Result<Vec<(Id, CommentPublic)>, StoreError> {
    let sql = format!(
        "SELECT {COMMENT_COLUMNS} FROM comments WHERE workspace = ?1 AND span_id IN ({}) ORDER BY id",
        places(ids.len())
    );
    rows(connection, &sql, params_from_iter(by_ids(workspace, ids)), read_comment)
}

pub(super) fn comment(
    connection: &Connection,
    workspace: &str,
    span_id: Id,
    id: Id,
) -> Result<Option<CommentPublic>, StoreError> {
    let sql = format!(
        "SELECT {COMMENT_COLUMNS} FROM comments \
         WHERE workspace = (SELECT key FROM workspaces WHERE name = ?1) AND id = ?2 AND span_id = ?3"
    );
    let found = rows(connection, &sql, params![workspace, id.0.as_bytes(), span_id.0.as_bytes()], read_comment)?;
    Ok(found.into_iter().next().map(|(_, comment)| comment))
}

pub(super) fn spans_exist(connection: &Connection, project: i64, source: Option<Source>) -> Result<bool, StoreError> {
    // A span without a source counts as the SDK's.
    let sql = "SELECT 1 FROM spans s WHERE s.project = ?1 AND (?2 IS NULL OR s.source = ?2 OR (?2 = 1 AND s.source = 0)) \
               LIMIT 1";
    Ok(first(connection, sql, params![project, source.map(Source::code)], |_| Ok(()))?.is_some())
}

pub(super) fn score_names(
    connection: &Connection,
    project: i64,
    span_type: Option<SpanType>,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT f.name FROM span_scores f \
               JOIN spans s ON s.workspace = f.workspace AND s.id = f.span_id \
               WHERE s.project = ?1 AND f.workspace = (SELECT workspace FROM projects WHERE key = ?1) \
               AND (?2 IS NULL OR s.type = ?2) ORDER BY f.name";
    rows(connection, sql, params![project, span_type.map(SpanType::code)], |row| Ok(row.text(0)?.unwrap_or_default()))
}

/// The ranges of keys over which statistics are summed up side by side; none where an index leads to the rows.
///
/// A project that is a good part of the table is read in the table's own order, which is the fastest there is.
pub(super) fn stats_ranges(
    connection: &Connection,
    query: &SpanQuery,
    parts: i64,
) -> Result<Vec<(i64, i64)>, StoreError> {
    if query.trace_id.is_some() || query.id_min.is_some() || query.id_max.is_some() {
        return Ok(Vec::new());
    }
    let count = count_spans(connection, &SpanQuery::all_of(query.project))?;
    let last: Option<i64> = first(connection, "SELECT max(key) FROM spans", [], |row| row.get(0))?.flatten();
    let last = last.unwrap_or_default();
    if i64::try_from(count).unwrap_or(i64::MAX) < (last / 4).max(STATS_ROWS_IN_TURN) {
        return Ok(Vec::new());
    }
    let width = last / parts + 1;
    Ok((0..parts).map(|part| (part * width, (part + 1) * width - 1)).collect())
}

/// Rows that are summed up faster than they are divided.
const STATS_ROWS_IN_TURN: i64 = 20_000;

/// Sums over the rows that are meant, within a range of keys if there is one.
pub(super) fn stats_sums(
    connection: &Connection,
    query: &SpanQuery,
    range: Option<(i64, i64)>,
) -> Result<stats::Sums, StoreError> {
    let mut sql = Sql::default();
    sql.push("SELECT s.start_time, s.end_time, s.payloads, s.tags, s.cost_value, s.usage, s.error_info IS NOT NULL");
    sql.push(" FROM spans s");
    if range.is_some() {
        sql.push(" NOT INDEXED");
    }
    filtered(query, None, &mut sql);
    if let Some((low, high)) = range {
        let (low, high) = (sql.bind(Value::Integer(low)), sql.bind(Value::Integer(high)));
        sql.push(&format!(" AND s.key BETWEEN {low} AND {high}"));
    }
    let mut sums = stats::Sums::default();
    let mut statement = connection.prepare_cached(&sql.text).map_err(from_rusqlite)?;
    let mut cursor = statement.query(params_from_iter(&sql.values)).map_err(from_rusqlite)?;
    while let Some(row) = cursor.next().map_err(from_rusqlite)? {
        sums.add(row).map_err(from_rusqlite)?;
    }
    Ok(sums)
}

/// Mean scores of the spans that are meant, one for each span and name.
pub(super) fn stats_scores(connection: &Connection, query: &SpanQuery) -> Result<Vec<(String, f64)>, StoreError> {
    let mut sql = Sql::default();
    // From the scores to their spans: most spans have none.
    sql.push(
        "SELECT l.name, mean_score(l.value) FROM (SELECT f.span_id AS span_id, f.name AS name, f.value AS value, \
         max(f.last_updated_at) FROM span_scores f CROSS JOIN spans s ON s.workspace = f.workspace AND s.id = f.span_id",
    );
    filtered(query, None, &mut sql);
    let project = sql.bind(Value::Integer(query.project));
    sql.push(&format!(
        " AND f.workspace = (SELECT workspace FROM projects WHERE key = {project}) \
         GROUP BY f.span_id, f.name, f.author) l GROUP BY l.span_id, l.name"
    ));
    rows_of(connection, &sql, |row| Ok((row.text(0)?.unwrap_or_default(), row.real(1)?.unwrap_or_default())))
}
