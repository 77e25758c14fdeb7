//! Storage in SQL: one text for every database.
//!
//! What is asked and changed is written once, over [`Connection`]: a few synchronous calls that a database's own module
//! provides. [`Dialect`] has the little that is spelled differently.

mod attachments;
mod effects;
mod load;
mod lookups;
mod manage;
mod param;
mod purge;
mod read;
mod remove_traces;
mod save;
mod series;
mod stats;
mod store;
mod table;
mod walk;
mod workspaces;
mod writer;

use super::StoreError;
use super::cells::Cells;
use super::condition::Sql;
use super::query::Handle;
use crate::model::Id;

pub(super) use attachments::{Contents, remove_unless_used};
use load::load;
pub(super) use manage::manage;
pub(super) use param::{Param, params};
pub(super) use purge::{PIECE_ROWS, is_pending, piece};
use save::save;
pub(super) use store::{Backend, SqlStore};
pub(super) use table::{Column, Holds, IDENTITY, Row, SPANS, Statement, TRACES, Table, Verb, list};
use workspaces::Workspaces;
pub(super) use writer::{Work, Writer, commit};

/// How a database spells what the others spell differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// A query for `columns` of the scores `f` in what is `joined`, of each author and thing that is scored the latest.
    pub(super) fn latest_scores(self, columns: &str, joined: &str) -> String {
        match self {
            // The other columns are those of the row that has the greatest.
            Self::Sqlite => {
                format!("SELECT {columns}, max(f.last_updated_at) FROM {joined} GROUP BY f.entity_id, f.name, f.author")
            }
            Self::Postgres => format!(
                "SELECT DISTINCT ON (f.entity_id, f.name, f.author) {columns} FROM {joined} \
                 ORDER BY f.entity_id, f.name, f.author, f.last_updated_at DESC"
            ),
        }
    }

    /// Joins in the order in which it is written.
    pub(super) fn join(self) -> &'static str {
        match self {
            Self::Sqlite => "CROSS JOIN",
            Self::Postgres => "JOIN",
        }
    }

    /// Joins, as `payloads`, what was sent with the row `row` of a table. It may be apart from the row, or in it.
    pub(super) fn payloads(self, table: &Table, row: &str, payloads: &str) -> String {
        match self {
            Self::Sqlite => {
                format!(" LEFT JOIN {} {payloads} ON {payloads}.{} = {row}.key", table.payloads, table.owner)
            }
            Self::Postgres => {
                let columns: Vec<String> =
                    table.payload_columns.iter().map(|column| format!("{row}.{}", column.name)).collect();
                format!(" LEFT JOIN LATERAL (SELECT {}) {payloads} ON true", columns.join(", "))
            }
        }
    }

    /// Whether a pattern is in a text. What is said of JSON is asked of it as it is stored, where there is no other way to
    /// look at it without a copy.
    pub(super) fn has_text(self, text: &str, pattern: &Pattern) -> String {
        let whole = &pattern.whole;
        if text.starts_with("uuid_text(") && !pattern.is_of_ids {
            return "1 = 0".to_owned();
        }
        let json = text.strip_prefix("plain_json(").and_then(|rest| rest.strip_suffix(')'));
        match (self, json) {
            (Self::Sqlite, Some(json)) => format!("json_has_text({json}, {whole})"),
            // Of letters that are escaped, nothing is known.
            (Self::Postgres, Some(json)) => {
                format!("({}has_text({text}, {whole}))", pattern.roughly(json, r"'%\\u%', '%\\/%'"))
            }
            _ => format!("({}has_text({text}, {whole}))", pattern.roughly(text, "")),
        }
    }

    /// Whether a pattern is in an item of a list of texts, as this server writes them.
    pub(super) fn has_item(list: &str, pattern: &Pattern) -> String {
        format!(
            "({}EXISTS (SELECT 1 FROM json_each({list}) t WHERE has_text(t.value, {})))",
            pattern.roughly(list, r"'%\\%'"),
            pattern.whole
        )
    }

    /// Whether a text begins with another, which may have any bytes.
    pub(super) fn starts_with(self, text: &str, start: &str) -> String {
        match self {
            Self::Sqlite => format!(
                "length(CAST({start} AS BLOB)) = 0 \
                 OR substr(CAST({text} AS BLOB), 1, length(CAST({start} AS BLOB))) = CAST({start} AS BLOB)"
            ),
            Self::Postgres => format!("starts_with({text}, {start})"),
        }
    }

    /// Whether a text ends with another, which may have any bytes.
    pub(super) fn ends_with(self, text: &str, end: &str) -> String {
        match self {
            Self::Sqlite => format!(
                "length(CAST({end} AS BLOB)) = 0 \
                 OR substr(CAST({text} AS BLOB), -length(CAST({end} AS BLOB))) = CAST({end} AS BLOB)"
            ),
            Self::Postgres => format!("right({text}, length({end})) = {end}"),
        }
    }

    /// What tells apart the counters of one project: those that several write at once are several.
    pub(super) fn counter(self, columns: &str) -> String {
        match self {
            Self::Sqlite => format!("({columns})"),
            Self::Postgres => format!("({columns}, slot)"),
        }
    }

    /// What tells apart texts of any length where an index says that there is each only once.
    pub(super) fn entry(self, column: &str) -> String {
        match self {
            Self::Sqlite => column.to_owned(),
            Self::Postgres => format!("entry({column})"),
        }
    }

    /// Keeps the rows of `alias` as they are read until the transaction is over.
    pub(super) fn keep(self, alias: &str, how: Keep) -> String {
        match (self, how) {
            // There is one writer.
            (Self::Sqlite, _) => String::new(),
            (Self::Postgres, Keep::Unchanged) => format!(" FOR SHARE OF {alias}"),
            (Self::Postgres, Keep::Mine) => format!(" FOR UPDATE OF {alias}"),
        }
    }
}

/// A pattern that is looked for, by the places where it is bound.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub whole: String,
    /// A pattern for `LIKE`, which is soon looked for: what has not got that has not got the whole.
    pub rough: Option<String>,
    /// Whether it may be found in an id.
    pub is_of_ids: bool,
}

impl Pattern {
    /// What is asked first of a text, with ` AND ` after it; `others` are further patterns of which one is enough.
    fn roughly(&self, text: &str, others: &str) -> String {
        let Some(rough) = &self.rough else { return String::new() };
        let lower = format!("lower(coalesce({text}, '') COLLATE \"C\")");
        if others.is_empty() {
            format!("{lower} LIKE {rough} AND ")
        } else {
            format!("{lower} LIKE ANY (ARRAY[{rough}, {others}]) AND ")
        }
    }
}

/// For what rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// So that nobody changes them.
    Unchanged,
    /// To change them.
    Mine,
}

/// A connection to a database, perhaps with a transaction. In SQL, `?1` is the first parameter.
pub(super) trait Connection {
    /// How its database spells things.
    const DIALECT: Dialect;

    /// A row of a result.
    type Row<'r>: Cells;

    /// Runs a query and sees each of its rows, as long as `see` says that more are wanted.
    fn each(
        &self,
        sql: &str,
        params: &[Param<'_>],
        see: impl FnMut(&Self::Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError>;

    /// Runs a change; says how many rows it changed.
    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError>;

    /// Sees the rows `s` that these handles lead to, in their order, with the place of each. `sql` ends with ` WHERE `,
    /// and has their ids as a column.
    fn of_handles(
        &self,
        sql: &Sql,
        handles: &[Handle],
        id_at: usize,
        see: impl FnMut(usize, &Self::Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError>;

    /// Sees the rows of a workspace that these ids, in order, lead to, and keeps them for a change: `sql` ends with
    /// ` WHERE `, and `alias` is its row, with the columns `workspace` and `column`. Most ids may be of nothing that
    /// `probe`, a table with an index of both, has.
    fn of_ids(
        &self,
        sql: &str,
        wanted: Wanted<'_>,
        see: impl FnMut(&Self::Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Writes rows of a table, new ones and changed ones.
    fn save<'r>(&self, table: &'static Table, rows: impl Iterator<Item = Row<'r>>) -> Result<(), StoreError>;

    /// Runs a statement for many rows alike.
    fn many<'r>(
        &self,
        statement: &'static Statement,
        rows: impl Iterator<Item = Vec<Param<'r>>>,
    ) -> Result<(), StoreError>;

    /// Sees rows that are to be changed, which have an id of those that are wanted. Where others write at the same time
    /// they are made first, in order, and kept: of those who begin the same row, one makes it, and the others wait for
    /// it and then for nothing that waits for them.
    fn hold<'r>(
        &self,
        making: &'static Statement,
        rows: impl Iterator<Item = Vec<Param<'r>>>,
        columns: &str,
        wanted: Wanted<'_>,
        see: impl FnMut(&Self::Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// Has all that is read be of one moment.
    fn snapshot<T>(&self, read: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError>;
}

/// Tells a statement, without its parameters, to whoever asks for it: `SPANDREL_LOG=spandrel::sql=trace`.
pub(super) fn told(sql: &str) {
    tracing::trace!(target: "spandrel::sql", "{sql}");
}

/// Rows that are wanted by their ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub workspace: i64,
    /// In order, each once.
    pub ids: &'a [Id],
    /// What `sql` calls the row.
    pub alias: &'static str,
    /// Its column that has the id.
    pub column: &'static str,
    /// A table to be asked first which of the ids it has.
    pub probe: Option<&'static str>,
}

/// Every row of a query.
pub(super) fn rows<C: Connection, T>(
    connection: &C,
    sql: &str,
    params: &[Param<'_>],
    mut read: impl FnMut(&C::Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    connection.each(sql, params, |row| {
        found.push(read(row)?);
        Ok(true)
    })?;
    Ok(found)
}

/// Every row of a query with its parameters.
pub(super) fn rows_of<C: Connection, T>(
    connection: &C,
    sql: &Sql,
    read: impl FnMut(&C::Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows(connection, &sql.text, &sql.params(), read)
}

/// One row of a query, if there is one.
pub(super) fn first<C: Connection, T>(
    connection: &C,
    sql: &str,
    params: &[Param<'_>],
    mut read: impl FnMut(&C::Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut found = None;
    connection.each(sql, params, |row| {
        found = Some(read(row)?);
        Ok(false)
    })?;
    Ok(found)
}

/// Whether a query has any row.
pub(super) fn any<C: Connection>(connection: &C, sql: &str, params: &[Param<'_>]) -> Result<bool, StoreError> {
    Ok(first(connection, sql, params, |_| Ok(()))?.is_some())
}

/// A number that is never missing from its row.
pub(super) fn integer(row: &impl Cells, at: usize) -> Result<i64, StoreError> {
    row.integer(at)?.ok_or(StoreError::Corrupt { table: "query", column: "number" })
}

/// An id that is never missing from its row.
pub(super) fn id(row: &impl Cells, at: usize) -> Result<Id, StoreError> {
    super::cells::id(row, at, "id")?.ok_or(StoreError::Corrupt { table: "query", column: "id" })
}

/// A text that is never missing from its row.
pub(super) fn text(row: &impl Cells, at: usize) -> Result<String, StoreError> {
    row.text(at)?.ok_or(StoreError::Corrupt { table: "query", column: "text" })
}
