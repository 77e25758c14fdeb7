//! Looking up projects, and what workspaces are set up with.

use std::collections::BTreeSet;

use super::{Connection, Dialect, first, id, integer, params, rows, rows_of, text};
use crate::model::{
    DetailsSent, EnvironmentName, EnvironmentPublic, FeedbackDetails, FeedbackPublic, FeedbackType, Id, ProjectPublic,
    ShortText, Timestamp, Visibility, WorkspaceConfiguration,
};
use crate::record::{Entity, ProjectRef};
use crate::store::apply::folded;
use crate::store::cells::Cells;
use crate::store::condition::{NOT_PURGED, Sql, Value, id_value};
use crate::store::{DefinitionQuery, ProjectQuery, ProjectSort, StoreError, TraceDay};

const AUDIT_COLUMNS: &str = "created_at, created_by, last_updated_at, last_updated_by";

/// A query of one workspace's rows.
fn of_workspace(dialect: Dialect, columns: &str, table: &str, workspace: &str) -> Sql {
    let mut sql = Sql::of(dialect);
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
fn page<C: Connection, T>(
    connection: &C,
    sql: Sql,
    order: &str,
    (limit, offset): (u64, u64),
    read: impl FnMut(&C::Row<'_>) -> Result<T, StoreError>,
) -> Result<(Vec<T>, u64), StoreError> {
    let mut sql = sql;
    let counting = Sql { text: format!("SELECT count(*) FROM ({}) r", sql.text), ..sql.clone() };
    let total = rows_of(connection, &counting, |row| integer(row, 0))?;
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let (limit, offset) = (sql.bind(whole(limit)), sql.bind(whole(offset)));
    sql.push(&format!(" ORDER BY {order} LIMIT {limit} OFFSET {offset}"));
    let found = rows_of(connection, &sql, read)?;
    Ok((found, total.first().copied().and_then(|total| u64::try_from(total).ok()).unwrap_or_default()))
}

const fn corrupt(table: &'static str, column: &'static str) -> StoreError {
    StoreError::Corrupt { table, column }
}

fn time(row: &impl Cells, at: usize) -> Result<Timestamp, StoreError> {
    integer(row, at).map(Timestamp::from_nanos)
}

const PROJECT_COLUMNS: &str = "id, name, description, visibility, \
     (SELECT max(c.last_updated_at) FROM project_trace_counts c WHERE c.project = projects.key)";

fn read_project(row: &impl Cells) -> Result<ProjectPublic, StoreError> {
    Ok(ProjectPublic {
        id: id(row, 0)?,
        name: text(row, 1)?,
        visibility: Visibility::from_code(integer(row, 3)?).ok_or(corrupt("projects", "visibility"))?,
        description: row.text(2)?.map(ShortText),
        created_at: time(row, 5)?,
        created_by: text(row, 6)?,
        last_updated_at: time(row, 7)?,
        last_updated_by: text(row, 8)?,
        last_updated_trace_at: row.integer(4)?.map(Timestamp::from_nanos),
    })
}

fn projects_of(dialect: Dialect, workspace: &str) -> Sql {
    let mut sql = of_workspace(dialect, PROJECT_COLUMNS, "projects", workspace);
    sql.push(" AND deleted_at IS NULL");
    sql
}

pub(super) fn project<C: Connection>(
    connection: &C,
    workspace: &str,
    project: &ProjectRef,
) -> Result<Option<ProjectPublic>, StoreError> {
    let mut sql = projects_of(C::DIALECT, workspace);
    let (column, value) = match project {
        ProjectRef::Id(id) => ("id", id_value(*id)),
        ProjectRef::Name(name) => ("name_folded", Value::Text(folded(name))),
    };
    let place = sql.bind(value);
    sql.push(&format!(" AND {column} = {place}"));
    Ok(rows_of(connection, &sql, |row| read_project(row))?.pop())
}

pub(super) fn projects<C: Connection>(
    connection: &C,
    query: &ProjectQuery,
) -> Result<(Vec<ProjectPublic>, u64), StoreError> {
    let mut sql = projects_of(C::DIALECT, &query.workspace);
    named(query.name.as_deref(), &mut sql);
    let column = match query.sort {
        ProjectSort::Id => "id",
        ProjectSort::Name => "name_folded",
        ProjectSort::LastUpdatedAt => "last_updated_at",
        // A project without traces last changed when it did itself.
        ProjectSort::LastUpdatedTraceAt => {
            "coalesce((SELECT max(c.last_updated_at) FROM project_trace_counts c WHERE c.project = projects.key), \
             last_updated_at)"
        }
        ProjectSort::CreatedAt => "created_at",
    };
    let direction = if query.descending { "DESC" } else { "ASC" };
    page(connection, sql, &format!("{column} {direction}, id DESC"), (query.limit, query.offset), |row| {
        read_project(row)
    })
}

pub(super) fn project_score_names<C: Connection>(
    connection: &C,
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
pub(super) fn score_names_of<C: Connection>(
    connection: &C,
    workspace: &str,
    entity: Entity,
    projects: Option<&[Id]>,
) -> Result<Vec<String>, StoreError> {
    let (rows, purged) = match entity {
        Entity::Span => ("spans", NOT_PURGED),
        Entity::Trace => ("traces", ""),
        Entity::Thread => ("threads", ""),
    };
    if projects.is_some_and(<[Id]>::is_empty) {
        return Ok(Vec::new());
    }
    let mut sql = Sql::of(C::DIALECT);
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
    rows_of(connection, &sql, |row| text(row, 0))
}

/// A trace may come after its spans: then these tell. Each project is looked into, whose index has them or not: there is
/// none of the traces of spans over all projects.
pub(super) fn project_of_trace<C: Connection>(
    connection: &C,
    workspace: &str,
    trace_id: Id,
) -> Result<Option<Id>, StoreError> {
    let of_trace = "SELECT p.id FROM projects p JOIN traces s ON s.project = p.key \
                    WHERE s.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND s.id = ?2 \
                    AND p.deleted_at IS NULL";
    if let Some(found) = first(connection, of_trace, params![workspace, &trace_id], |row| id(row, 0))? {
        return Ok(Some(found));
    }
    let sql = "SELECT p.id FROM projects p \
               WHERE p.workspace = (SELECT key FROM workspaces WHERE name = ?1) AND p.deleted_at IS NULL \
               AND EXISTS (SELECT 1 FROM spans s WHERE s.project = p.key AND s.trace_id = ?2) LIMIT 1";
    first(connection, sql, params![workspace, &trace_id], |row| id(row, 0))
}

/// Of each day, the index of ids is asked for the newest trace alone; those on the page are counted.
pub(super) fn trace_days<C: Connection>(
    connection: &C,
    project: i64,
    limit: u64,
    offset: u64,
) -> Result<(Vec<TraceDay>, u64), StoreError> {
    let newest = |before: &str| format!("SELECT id FROM traces WHERE project = ?1{before} ORDER BY id DESC LIMIT 1");
    let days = format!(
        "WITH RECURSIVE days (newest) AS (SELECT ({}) UNION SELECT ({}) FROM days WHERE newest IS NOT NULL) \
         SELECT newest FROM days WHERE newest IS NOT NULL ORDER BY newest DESC",
        newest(""),
        newest(" AND id < day_start(days.newest)")
    );
    let days = rows(connection, &days, params![project], |row| id(row, 0))?;
    let [limit, offset] = [limit, offset].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let count = "SELECT (SELECT created_by FROM traces WHERE project = ?1 AND id = ?2), \
                 (SELECT count(*) FROM traces WHERE project = ?1 AND id BETWEEN day_start(?2) AND ?2)";
    let mut found = Vec::new();
    for newest in days.iter().skip(offset).take(limit) {
        let day = first(connection, count, params![project, newest], |row| {
            let traces = u64::try_from(integer(row, 1)?).unwrap_or_default();
            Ok(TraceDay { newest: *newest, created_by: text(row, 0)?, traces })
        })?;
        found.extend(day);
    }
    Ok((found, days.len() as u64))
}

pub(super) fn environments<C: Connection>(
    connection: &C,
    workspace: &str,
    id_wanted: Option<Id>,
) -> Result<Vec<EnvironmentPublic>, StoreError> {
    let mut sql = of_workspace(C::DIALECT, "id, name, description, color, position", "environments", workspace);
    if let Some(id) = id_wanted {
        let place = sql.bind(id_value(id));
        sql.push(&format!(" AND id = {place}"));
    }
    sql.push(" ORDER BY created_at, key");
    rows_of(connection, &sql, |row| {
        let position = i32::try_from(integer(row, 4)?).map_err(|_| corrupt("environments", "position"))?;
        Ok(EnvironmentPublic {
            id: id(row, 0)?,
            name: EnvironmentName(text(row, 1)?),
            description: row.text(2)?.map(ShortText),
            color: ShortText(text(row, 3)?),
            position,
            created_at: time(row, 5)?,
            created_by: text(row, 6)?,
            last_updated_at: time(row, 7)?,
            last_updated_by: text(row, 8)?,
        })
    })
}

const DEFINITION_COLUMNS: &str = "id, name, description, type, details";

fn read_definition(row: &impl Cells) -> Result<FeedbackPublic, StoreError> {
    let kind = FeedbackType::from_code(integer(row, 3)?).ok_or(corrupt("feedback_definitions", "type"))?;
    let details = serde_json::from_str(&text(row, 4)?).ok();
    let details = details.and_then(|sent: DetailsSent| FeedbackDetails::of(kind, sent));
    let (created_at, created_by) = (time(row, 5)?, text(row, 6)?);
    let (last_updated_at, last_updated_by) = (time(row, 7)?, text(row, 8)?);
    Ok(FeedbackPublic {
        id: id(row, 0)?,
        name: text(row, 1)?,
        description: row.text(2)?,
        r#type: kind,
        details: details.ok_or(corrupt("feedback_definitions", "details"))?,
        created_at,
        created_by: created_by.clone(),
        last_updated_at,
        last_updated_by: last_updated_by.clone(),
        created_at_documented: created_at,
        created_by_documented: created_by,
        last_updated_at_documented: last_updated_at,
        last_updated_by_documented: last_updated_by,
    })
}

pub(super) fn definition<C: Connection>(
    connection: &C,
    workspace: &str,
    id: Id,
) -> Result<Option<FeedbackPublic>, StoreError> {
    let mut sql = of_workspace(C::DIALECT, DEFINITION_COLUMNS, "feedback_definitions", workspace);
    let place = sql.bind(id_value(id));
    sql.push(&format!(" AND id = {place}"));
    Ok(rows_of(connection, &sql, |row| read_definition(row))?.pop())
}

pub(super) fn definitions<C: Connection>(
    connection: &C,
    query: &DefinitionQuery,
) -> Result<(Vec<FeedbackPublic>, u64), StoreError> {
    let mut sql = of_workspace(C::DIALECT, DEFINITION_COLUMNS, "feedback_definitions", &query.workspace);
    named(query.name.as_deref(), &mut sql);
    if let Some(kind) = query.kind {
        let place = sql.bind(Value::Integer(kind.code()));
        sql.push(&format!(" AND type = {place}"));
    }
    page(connection, sql, "id DESC", (query.limit, query.offset), |row| read_definition(row))
}

pub(super) fn configuration<C: Connection>(
    connection: &C,
    workspace: &str,
) -> Result<Option<WorkspaceConfiguration>, StoreError> {
    let sql = "SELECT configuration FROM workspace_configurations \
               WHERE workspace = (SELECT key FROM workspaces WHERE name = ?1)";
    let found = first(connection, sql, params![workspace], |row| text(row, 0))?;
    let read = |text: String| serde_json::from_str(&text);
    found.map(read).transpose().map_err(|_| corrupt("workspace_configurations", "configuration"))
}
