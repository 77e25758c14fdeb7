//! Statements on SQLite's own interface.

use std::collections::HashSet;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql, params_from_iter};

use super::errors::from_rusqlite;
use crate::model::Id;
use crate::store::StoreError;
use crate::store::cells::Cells;
use crate::store::condition::Sql;
use crate::store::query::Handle;
use crate::store::sql::{self, Column, Dialect, IDENTITY, Param, Row, Statement, Table, Verb, Wanted, list};

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

    fn raw(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        Ok(match self.get_ref(at).map_err(from_rusqlite)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
            _ => None,
        })
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn prepared<'c>(connection: &'c Connection, sql: &str) -> Result<CachedStatement<'c>, StoreError> {
    sql::told(sql);
    connection.prepare_cached(sql).map_err(from_rusqlite)
}

/// Ids that are looked for in one go.
const PROBED_AT_ONCE: usize = 100;

impl sql::Connection for Connection {
    const DIALECT: Dialect = Dialect::Sqlite;

    type Row<'r> = rusqlite::Row<'r>;

    fn each(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut see: impl FnMut(&Self::Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = prepared(self, sql)?;
        let mut cursor = statement.query(params_from_iter(params)).map_err(from_rusqlite)?;
        while let Some(row) = cursor.next().map_err(from_rusqlite)? {
            if !see(row)? {
                break;
            }
        }
        Ok(())
    }

    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let mut statement = prepared(self, sql)?;
        Ok(statement.execute(params_from_iter(params)).map_err(from_rusqlite)? as u64)
    }

    fn of_handles(
        &self,
        sql: &Sql,
        handles: &[Handle],
        _: usize,
        mut see: impl FnMut(usize, &Self::Row<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let text = format!("{}s.key = ?{}", sql.text, sql.values.len() + 1);
        let mut statement = prepared(self, &text)?;
        for (place, handle) in handles.iter().enumerate() {
            let params = sql.values.iter().map(Param::from).chain([Param::from(handle.key)]);
            let mut cursor = statement.query(params_from_iter(params)).map_err(from_rusqlite)?;
            if let Some(row) = cursor.next().map_err(from_rusqlite)?
                && !see(place, row)?
            {
                break;
            }
        }
        Ok(())
    }

    fn of_ids(
        &self,
        sql: &str,
        wanted: Wanted<'_>,
        mut see: impl FnMut(&Self::Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Wanted { workspace, ids, alias, column, probe } = wanted;
        let text = format!("{sql}{alias}.workspace = ?1 AND {alias}.{column} = ?2");
        let mut find = prepared(self, &text)?;
        for chunk in ids.chunks(PROBED_AT_ONCE) {
            let there = match probe {
                Some(table) => those_there(self, (table, column), workspace, chunk).map_err(from_rusqlite)?,
                None => None,
            };
            for id in chunk.iter().filter(|id| there.as_ref().is_none_or(|there| there.contains(*id))) {
                let mut rows = find.query((workspace, id.0.as_bytes())).map_err(from_rusqlite)?;
                while let Some(row) = rows.next().map_err(from_rusqlite)? {
                    see(row)?;
                }
            }
        }
        Ok(())
    }

    fn save<'r>(&self, table: &'static Table, rows: impl Iterator<Item = Row<'r>>) -> Result<(), StoreError> {
        save(self, table, rows).map_err(from_rusqlite)
    }

    fn many<'r>(
        &self,
        statement: &'static Statement,
        rows: impl Iterator<Item = Vec<Param<'r>>>,
    ) -> Result<(), StoreError> {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let Statement { verb, table, columns, spelled } = statement;
        let sql = spelled.get_or_init(|| match verb {
            Verb::Insert(conflict) => {
                let conflict = conflict.map(|conflict| format!(" ON CONFLICT {}", conflict(Dialect::Sqlite)));
                insert(table, columns, &conflict.unwrap_or_default())
            }
            Verb::Update(named) => {
                let set = list(&columns[*named..], ", ", |at, column| format!("{} = ?{}", column.name, at + named + 1));
                format!("UPDATE {table} SET {set} WHERE {}", equal(&columns[..*named], 1))
            }
            Verb::Change(named, set) => {
                let place = |name: &str| columns.iter().position(|column| column.name == name).unwrap_or_default() + 1;
                let set = set(&|column| format!("?{}", place(column)));
                format!("UPDATE {table} SET {set} WHERE {}", equal(&columns[..*named], 1))
            }
            Verb::Delete => format!("DELETE FROM {table} WHERE {}", equal(columns, 1)),
        });
        let mut statement = prepared(self, sql)?;
        for row in rows {
            statement.execute(params_from_iter(&row)).map_err(from_rusqlite)?;
        }
        Ok(())
    }

    /// There is one writer.
    fn hold<'r>(
        &self,
        making: &'static Statement,
        _: impl Iterator<Item = Vec<Param<'r>>>,
        columns: &str,
        wanted: Wanted<'_>,
        see: impl FnMut(&Self::Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT {columns} FROM {} {} WHERE ", making.table, wanted.alias);
        self.of_ids(&sql, wanted, see)
    }

    fn snapshot<T>(&self, read: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.unchecked_transaction().map_err(from_rusqlite)?;
        read(&transaction)
    }
}

/// Which of these ids, in order, are there; nothing if that takes more than looking for each. Most that is written is
/// new, with ids that stand together where there is nothing yet.
fn those_there(
    connection: &Connection,
    (table, column): (&str, &str),
    workspace: i64,
    wanted: &[Id],
) -> rusqlite::Result<Option<HashSet<Id>>> {
    let [first, .., last] = wanted else { return Ok(None) };
    let sql = format!(
        "SELECT {column} FROM {table} WHERE workspace = ?1 AND {column} BETWEEN ?2 AND ?3 LIMIT {PROBED_AT_ONCE}"
    );
    sql::told(&sql);
    let mut find = connection.prepare_cached(&sql)?;
    let params = (workspace, first.0.as_bytes(), last.0.as_bytes());
    let ids = find.query_map(params, |row| Ok(Id(uuid::Uuid::from_bytes(row.get(0)?))))?;
    let there = ids.collect::<rusqlite::Result<HashSet<_>>>()?;
    Ok(Some(there).filter(|there| there.len() < PROBED_AT_ONCE))
}

fn insert(table: &str, columns: &[Column], end: &str) -> String {
    let names = list(columns, ", ", |_, column| column.name.to_owned());
    let places = list(columns, ", ", |at, _| format!("?{}", at + 1));
    format!("INSERT INTO {table} ({names}) VALUES ({places}){end}")
}

fn equal(columns: &[Column], first: usize) -> String {
    list(columns, " AND ", |at, column| format!("{} = ?{}", column.name, at + first))
}

fn spelled(table: &Table) -> [String; 3] {
    let Table { name, columns, payloads, owner, payload_columns, .. } = table;
    let set = list(&columns[IDENTITY..], ", ", |at, column| format!("{} = ?{}", column.name, at + 2));
    let names = list(payload_columns, ", ", |_, column| column.name.to_owned());
    let places = list(payload_columns, ", ", |at, _| format!("?{}", at + 2));
    let again = list(payload_columns, ", ", |_, column| format!("{0} = excluded.{0}", column.name));
    [
        insert(name, columns, ""),
        format!("UPDATE {name} SET {set} WHERE key = ?1"),
        format!(
            "INSERT INTO {payloads} ({owner}, {names}) VALUES (?1, {places}) ON CONFLICT ({owner}) DO UPDATE SET {again}"
        ),
    ]
}

/// A row, and its payloads in their own table.
fn save<'r>(
    connection: &Connection,
    table: &'static Table,
    rows: impl Iterator<Item = Row<'r>>,
) -> rusqlite::Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let [insert, update, put] = table.spelled.get_or_init(|| spelled(table));
    sql::told(update);
    let mut insert_row = connection.prepare_cached(insert)?;
    let mut update_row = connection.prepare_cached(update)?;
    let mut put_payloads = connection.prepare_cached(put)?;
    for Row { key, columns, payloads } in rows {
        let key = if let Some(key) = key {
            run(&mut update_row, Some(key), &columns[IDENTITY..])?;
            key
        } else {
            run(&mut insert_row, None, &columns)?;
            connection.last_insert_rowid()
        };
        if let Some(payloads) = payloads {
            run(&mut put_payloads, Some(key), &payloads)?;
        }
    }
    Ok(())
}

fn run(statement: &mut CachedStatement<'_>, key: Option<i64>, params: &[Param<'_>]) -> rusqlite::Result<()> {
    let mut at = 0;
    if let Some(key) = key {
        at += 1;
        statement.raw_bind_parameter(at, key)?;
    }
    for param in params {
        at += 1;
        statement.raw_bind_parameter(at, param)?;
    }
    statement.raw_execute()?;
    Ok(())
}
