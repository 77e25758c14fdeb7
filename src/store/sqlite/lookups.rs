//! Looking up projects, and what workspaces are set up with.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::errors::from_rusqlite;
use super::read::{first, rows, rows_of};
use crate::model::{
    DetailsSent, EnvironmentName, EnvironmentPublic, FeedbackDetails, FeedbackPublic, FeedbackType, Id, ProjectPublic,
    ShortText, Timestamp, Visibility, WorkspaceConfiguration,
};
use crate::record::{Entity, ProjectRef};
use crate::store::apply::folded;
use crate::store::condition::{NOT_PURGED, Sql, Value, id_value};
use crate::store::{DefinitionQuery, Kind, ProjectQuery, ProjectSort, StoreError, TraceDay};

type Row<'a> = rusqlite::Row<'a>;

const AUDIT_COLUMNS: &str = "created_at, created_by, last_updated_at, last_updated_by";

/// A query of one workspace's rows.
fn of_workspace(columns: &str, table: &str, workspace: &str) -> Sql {
    let mut sql = Sql::default();
    let place = sql.bind(Value::Text(workspace.to_owned()));
    sql.push(&format!(
        "SELECT {columns}, {AUDIT_COLUMNS} FROM {table} WHERE workspace = (SELECT key FROM workspaces WHERE name = {place})"
    ));
    sql
}

/// Only those with this in their names.
fn named(name: Option<&str>, sql: &mut Sql) {
    if let Some(name) = name {
        let place = sql.bind(Value::Text(folded(name)));
        sql.push(&format!(" AND instr(name_folded, {place}) > 0"));
    }
}

/// One page of a query's rows, and how many rows there are on all pages.
fn page<T>(
    connection: &Connection,
    sql: Sql,
    order: &str,
    (limit, offset): (u64, u64),
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<(Vec<T>, u64), StoreError> {
    let mut sql = sql;
    let counting = Sql { text: format!("SELECT count(*) FROM ({})", sql.text), values: sql.values.clone() };
    let total = rows_of(connection, &counting, |row| row.get::<_, i64>(0).map_err(from_rusqlite))?;
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (limit, offset) = (sql.bind(whole(limit)), sql.bind(whole(offset)));
    sql.push(&format!(" ORDER BY {order} LIMIT {limit} OFFSET {offset}"));
    let found = rows_of(connection, &sql, read)?;
    Ok((found, total.first().copied().and_then(|total| u64::try_from(total).ok()).unwrap_or_default()))
}

const fn corrupt(table: &'static str, column: &'static str) -> StoreError {
    StoreError::Corrupt { table, column }
}

fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<Id> {
    row.get(at).map(|bytes| Id(uuid::Uuid::from_bytes(bytes)))
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_nanos)
}

const PROJECT_COLUMNS: &str = "id, name, description, visibility, \
     (SELECT c.last_updated_at FROM project_trace_counts c WHERE c.project = projects.key)";

fn read_project(row: &Row<'_>) -> Result<ProjectPublic, StoreError> {
    let read = || {
        let visibility: i64 = row.get(3)?;
        let project = ProjectPublic {
            id: id(row, 0)?,
            name: row.get(1)?,
            visibility: Visibility::Private,
            description: row.get::<_, Option<String>>(2)?.map(ShortText),
            created_at: time(row, 5)?,
            created_by: row.get(6)?,
            last_updated_at: time(row, 7)?,
            last_updated_by: row.get(8)?,
            last_updated_trace_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_nanos),
        };
        Ok((project, visibility))
    };
    let (project, visibility) = read().map_err(from_rusqlite)?;
    let visibility = Visibility::from_code(visibility).ok_or(corrupt("projects", "visibility"))?;
    Ok(ProjectPublic { visibility, ..project })
}

fn projects_of(workspace: &str) -> Sql {
    let mut sql = of_workspace(PROJECT_COLUMNS, "projects", workspace);
    sql.push(" AND deleted_at IS NULL");
    sql
}

pub(super) fn project(
    connection: &Connection,
    workspace: &str,
    project: &ProjectRef,
) -> Result<Option<ProjectPublic>, StoreError> {
    let mut sql = projects_of(workspace);
    let (column, value) = match project {
        ProjectRef::Id(id) => ("id", id_value(*id)),
        ProjectRef::Name(name) => ("name_folded", Value::Text(folded(name))),
    };
    let place = sql.bind(value);
    sql.push(&format!(" AND {column} = {place}"));
    Ok(rows_of(connection, &sql, read_project)?.pop())
}

pub(super) fn projects(connection: &Connection, query: &ProjectQuery) -> Result<(Vec<ProjectPublic>, u64), StoreError> {
    let mut sql = projects_of(&query.workspace);
    named(query.name.as_deref(), &mut sql);
    let column = match query.sort {
        ProjectSort::Id => "id",
        ProjectSort::Name => "name_folded",
        ProjectSort::LastUpdatedAt => "last_updated_at",
        // A project without traces last changed when it did itself.
        ProjectSort::LastUpdatedTraceAt => {
            "ifnull((SELECT c.last_updated_at FROM project_trace_counts c WHERE c.project = projects.key), \
             last_updated_at)"
        }
        ProjectSort::CreatedAt => "created_at",
    };
    let direction = if query.descending { "DESC" } else { "ASC" };
    page(connection, sql, &format!("{column} {direction}, id DESC"), (query.limit, query.offset), read_project)
}

pub(super) fn project_score_names(
    connection: &Connection,
    workspace: &str,
    projects: Option<&[Id]>,
) -> Result<Vec<String>, StoreError> {
    let mut names = BTreeSet::new();
    for entity in [Entity::Span, Entity::Trace, Entity::Thread] {
        names.extend(score_names_of(connection, workspace, entity, projects)?);
    }
    Ok(names.into_iter().collect())
}

/// Names of the scores of all things of one kind of a workspace, or of these projects; each once, in order.
pub(super) fn score_names_of(
    connection: &Connection,
    workspace: &str,
    entity: Entity,
    projects: Option<&[Id]>,
) -> Result<Vec<String>, StoreError> {
    let (rows, purged) = match entity {
        Entity::Span => ("spans", NOT_PURGED),
        Entity::Trace => ("traces", ""),
        Entity::Thread => ("threads", ""),
    };
    let mut sql = Sql::default();
    let (workspace, entity) = (sql.bind(Value::Text(workspace.to_owned())), entity.code());
    sql.push(&format!(
        "SELECT DISTINCT f.name FROM projects j JOIN {rows} s ON s.project = j.key \
         JOIN scores f ON f.workspace = j.workspace AND f.entity = {entity} AND f.entity_id = s.id \
         WHERE j.workspace = (SELECT key FROM workspaces WHERE name = {workspace}) AND j.deleted_at IS NULL{purged}"
    ));
    if let Some(projects) = projects {
        let places: Vec<String> = projects.iter().map(|id| sql.bind(id_value(*id))).collect();
        sql.push(&format!(" AND j.id IN ({})", places.join(", ")));
    }
    sql.push(" ORDER BY f.name");
    rows_of(connection, &sql, |row| row.get(0).map_err(from_rusqlite))
}

/// A trace may come after its spans: then these tell. Each project is looked into, whose index has them or not: there is
/// none of the traces of spans over all projects.
pub(super) fn project_of_trace(
    connection: &Connection,
    workspace: &str,
    trace_id: Id,
) -> Result<Option<Id>, StoreError> {
    let key = super::read::key(connection, Kind::Traces, workspace, trace_id)?;
    let of_trace = "SELECT p.id FROM projects p WHERE p.key = (SELECT s.project FROM traces s WHERE s.key = ?1)";
    if let Some(found) = first(connection, of_trace, [key], |row| id(row, 0))? {
        return Ok(Some(found));
    }
    let sql = "SELECT p.id FROM projects p \
               WHERE p.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND p.deleted_at IS NULL \
               AND EXISTS (SELECT 1 FROM spans s WHERE s.project = p.key AND s.trace_id = ?2) LIMIT 1";
    first(connection, sql, params![workspace, trace_id.0.as_bytes()], |row| id(row, 0))
}

/// Of each day, the index of ids is asked for the newest trace alone; those on the page are counted.
pub(super) fn trace_days(
    connection: &Connection,
    project: i64,
    limit: u64,
    offset: u64,
) -> Result<(Vec<TraceDay>, u64), StoreError> {
    // One transaction: what is counted is of the moment in which the days were found.
    let transaction = connection.unchecked_transaction().map_err(from_rusqlite)?;
    let newest = |before: &str| format!("SELECT id FROM traces WHERE project = ?1{before} ORDER BY id DESC LIMIT 1");
    let days = format!(
        "WITH RECURSIVE days (newest) AS (SELECT ({}) UNION SELECT ({}) FROM days WHERE newest IS NOT NULL) \
         SELECT newest FROM days WHERE newest IS NOT NULL ORDER BY newest DESC",
        newest(""),
        newest(" AND id < day_start(days.newest)")
    );
    let days = rows(&transaction, &days, [project], |row| id(row, 0).map_err(from_rusqlite))?;
    let [limit, offset] = [limit, offset].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let count = "SELECT (SELECT created_by FROM traces WHERE project = ?1 AND id = ?2), \
                 (SELECT count(*) FROM traces WHERE project = ?1 AND id BETWEEN day_start(?2) AND ?2)";
    let mut found = Vec::new();
    for newest in days.iter().skip(offset).take(limit) {
        let day = first(&transaction, count, params![project, newest.0.as_bytes()], |row| {
            let traces: i64 = row.get(1)?;
            Ok(TraceDay { newest: *newest, created_by: row.get(0)?, traces: u64::try_from(traces).unwrap_or_default() })
        })?;
        found.extend(day);
    }
    Ok((found, days.len() as u64))
}

pub(super) fn environments(
    connection: &Connection,
    workspace: &str,
    id_wanted: Option<Id>,
) -> Result<Vec<EnvironmentPublic>, StoreError> {
    let mut sql = of_workspace("id, name, description, color, position", "environments", workspace);
    if let Some(id) = id_wanted {
        let place = sql.bind(id_value(id));
        sql.push(&format!(" AND id = {place}"));
    }
    sql.push(" ORDER BY created_at, key");
    let read = |row: &Row<'_>| {
        Ok(EnvironmentPublic {
            id: id(row, 0)?,
            name: EnvironmentName(row.get(1)?),
            description: row.get::<_, Option<String>>(2)?.map(ShortText),
            color: ShortText(row.get(3)?),
            position: row.get(4)?,
            created_at: time(row, 5)?,
            created_by: row.get(6)?,
            last_updated_at: time(row, 7)?,
            last_updated_by: row.get(8)?,
        })
    };
    rows_of(connection, &sql, |row| read(row).map_err(from_rusqlite))
}

const DEFINITION_COLUMNS: &str = "id, name, description, type, details";

fn read_definition(row: &Row<'_>) -> Result<FeedbackPublic, StoreError> {
    let kind = row.get(3).map_err(from_rusqlite)?;
    let kind = FeedbackType::from_code(kind).ok_or(corrupt("feedback_definitions", "type"))?;
    let details: String = row.get(4).map_err(from_rusqlite)?;
    let details = serde_json::from_str(&details).ok().and_then(|sent: DetailsSent| FeedbackDetails::of(kind, sent));
    let details = details.ok_or(corrupt("feedback_definitions", "details"))?;
    let read = |details| {
        let (created_at, created_by): (_, String) = (time(row, 5)?, row.get(6)?);
        let (last_updated_at, last_updated_by): (_, String) = (time(row, 7)?, row.get(8)?);
        Ok(FeedbackPublic {
            id: id(row, 0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            r#type: kind,
            details,
            created_at,
            created_by: created_by.clone(),
            last_updated_at,
            last_updated_by: last_updated_by.clone(),
            created_at_documented: created_at,
            created_by_documented: created_by,
            last_updated_at_documented: last_updated_at,
            last_updated_by_documented: last_updated_by,
        })
    };
    read(details).map_err(from_rusqlite)
}

pub(super) fn definition(
    connection: &Connection,
    workspace: &str,
    id: Id,
) -> Result<Option<FeedbackPublic>, StoreError> {
    let mut sql = of_workspace(DEFINITION_COLUMNS, "feedback_definitions", workspace);
    let place = sql.bind(id_value(id));
    sql.push(&format!(" AND id = {place}"));
    Ok(rows_of(connection, &sql, read_definition)?.pop())
}

pub(super) fn definitions(
    connection: &Connection,
    query: &DefinitionQuery,
) -> Result<(Vec<FeedbackPublic>, u64), StoreError> {
    let mut sql = of_workspace(DEFINITION_COLUMNS, "feedback_definitions", &query.workspace);
    named(query.name.as_deref(), &mut sql);
    if let Some(kind) = query.kind {
        let place = sql.bind(Value::Integer(kind.code()));
        sql.push(&format!(" AND type = {place}"));
    }
    page(connection, sql, "id DESC", (query.limit, query.offset), read_definition)
}

pub(super) fn configuration(
    connection: &Connection,
    workspace: &str,
) -> Result<Option<WorkspaceConfiguration>, StoreError> {
    let sql = "SELECT configuration FROM workspace_configurations \
               WHERE workspace = (SELECT key FROM workspaces WHERE name = ?1)";
    let found: Option<String> = first(connection, sql, [workspace], |row| row.get(0))?;
    let read = |text: String| serde_json::from_str(&text);
    found.map(read).transpose().map_err(|_| corrupt("workspace_configurations", "configuration"))
}
