//! Writes as they are sent: several in one statement, rows as values or as arrays of columns.

use std::fmt::Write as _;

use sqlx::encode::IsNull;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::{Arguments as _, Encode, Postgres, Type};

use super::text::stored;
use crate::store::StoreError;
use crate::store::sql::{Column, Dialect, Holds, Param, Verb, list};

/// Writes to so many tables, which the server does in one go: each answer is waited for.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    tables: Vec<&'static str>,
    texts: Vec<String>,
    arguments: PgArguments,
    /// How many arguments there are.
    places: usize,
}

impl Unsent {
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Whether it writes to a table: what is done in one go sees nothing of what goes with it.
    pub(super) fn writes_to(&self, table: &str) -> bool {
        self.tables.contains(&table)
    }

    pub(super) fn add(
        &mut self,
        verb: Verb,
        table: &'static str,
        columns: &[Column],
        rows: &[Vec<Param<'_>>],
        how: How,
    ) -> Result<(), StoreError> {
        self.tables.push(table);
        self.texts.push(writing(verb, table, columns, &how.spelled(columns, rows.len(), self.places)));
        self.places += how.add(&mut self.arguments, columns, rows)?;
        Ok(())
    }

    /// One statement, with its arguments. PostgreSQL does the statement itself first and then what stands before it, the
    /// last of that first, as nothing reads from it: so they are done in the order in which they were added.
    pub(super) fn statement(self) -> (String, PgArguments) {
        let mut text = String::new();
        for (at, other) in self.texts.iter().enumerate().skip(1).rev() {
            let before = if text.is_empty() { "WITH" } else { "," };
            let _ = write!(text, "{before} w{at} AS ({other}) ");
        }
        text.extend(self.texts.first().map(String::as_str));
        (text, self.arguments)
    }
}

/// How rows are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// Each value by itself: the quickest for a few rows, but each number of them is a statement of its own.
    Values,
    /// Columns, each as an array: one statement for any number of rows.
    Arrays,
}

impl How {
    pub(super) fn of_new(rows: usize) -> Self {
        if rows <= VALUES_ROWS_MAX { Self::Values } else { Self::Arrays }
    }

    /// The rows, as what may follow a FROM, with so many places before them.
    fn spelled(self, columns: &[Column], rows: usize, places: usize) -> String {
        let (start, many) = match self {
            Self::Values => ("(VALUES ", rows),
            Self::Arrays => ("unnest", 1),
        };
        let mut text = String::with_capacity(16 + many * columns.len() * 16);
        text.push_str(start);
        let mut place = places;
        for row in 0..many {
            text.push_str(if row == 0 { "(" } else { ", (" });
            for (at, column) in columns.iter().enumerate() {
                place += 1;
                let _ = write!(text, "{}${place}::{}", if at == 0 { "" } else { ", " }, type_of(column.holds));
                if matches!(self, Self::Arrays) {
                    text.push_str("[]");
                }
            }
            text.push(')');
        }
        if matches!(self, Self::Values) {
            text.push(')');
        }
        text
    }

    /// Adds the arguments; says how many they are.
    fn add(
        self,
        arguments: &mut PgArguments,
        columns: &[Column],
        rows: &[Vec<Param<'_>>],
    ) -> Result<usize, StoreError> {
        match self {
            Self::Values => {
                for value in rows.iter().flatten() {
                    add(arguments, value)?;
                }
                Ok(rows.len() * columns.len())
            }
            Self::Arrays => {
                for (at, column) in columns.iter().enumerate() {
                    add(arguments, ColumnOf { rows, at, holds: column.holds })?;
                }
                Ok(columns.len())
            }
        }
    }
}

/// What writes rows.
fn writing(verb: Verb, table: &str, columns: &[Column], rows: &str) -> String {
    let names = list(columns, ", ", |_, column| column.name.to_owned());
    let rows = format!("{rows} v({names})");
    let equal = |columns: &[Column]| list(columns, " AND ", |_, column| format!("{table}.{0} = v.{0}", column.name));
    match verb {
        Verb::Insert(conflict) => {
            let conflict = conflict.map(|conflict| format!(" ON CONFLICT {}", conflict(Dialect::Postgres)));
            format!("INSERT INTO {table} ({names}) SELECT {names} FROM {rows}{}", conflict.unwrap_or_default())
        }
        Verb::Update(named) => {
            let set = list(&columns[named..], ", ", |_, column| format!("{0} = v.{0}", column.name));
            format!("UPDATE {table} SET {set} FROM {rows} WHERE {}", equal(&columns[..named]))
        }
        Verb::Change(named, set) => {
            let set = set(&|column| format!("v.{column}"));
            format!("UPDATE {table} SET {set} FROM {rows} WHERE {}", equal(&columns[..named]))
        }
        Verb::Delete => format!("DELETE FROM {table} USING {rows} WHERE {}", equal(columns)),
    }
}

/// Rows up to which each value is sent by itself.
const VALUES_ROWS_MAX: usize = 16;

fn type_of(holds: Holds) -> &'static str {
    match holds {
        Holds::Integer => "bigint",
        Holds::Real => "double precision",
        Holds::Text => "text",
        Holds::Bytes => "bytea",
    }
}

pub(super) fn add<'q, T: Encode<'q, Postgres> + Type<Postgres>>(
    arguments: &mut PgArguments,
    value: T,
) -> Result<(), StoreError> {
    arguments.add(value).map_err(StoreError::Other)
}

/// Appends a value without its length.
fn put_bare(value: &Param<'_>, to: &mut Vec<u8>) -> IsNull {
    match value {
        Param::Null => return IsNull::Yes,
        Param::Integer(number) => to.extend_from_slice(&number.to_be_bytes()),
        Param::Real(number) => to.extend_from_slice(&number.to_be_bytes()),
        Param::Text(text) => to.extend_from_slice(stored(text).as_bytes()),
        Param::Bytes(bytes) => to.extend_from_slice(bytes),
    }
    IsNull::No
}

/// Appends a value with its length before it, which is -1 for a null.
pub(super) fn put(value: &Param<'_>, to: &mut Vec<u8>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let start = to.len();
    to.extend_from_slice(&(-1_i32).to_be_bytes());
    if let IsNull::No = put_bare(value, to) {
        let length = i32::try_from(to.len() - start - 4)?;
        to[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Values are sent, and come, as the server has them: big-endian numbers, texts in UTF-8.
impl Encode<'_, Postgres> for &Param<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, Box<dyn std::error::Error + Send + Sync>> {
        Ok(put_bare(self, buffer))
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(match self {
            // Of whatever type is wanted there.
            Param::Null => PgTypeInfo::with_oid(Oid(0)),
            Param::Integer(_) => <i64 as Type<Postgres>>::type_info(),
            Param::Real(_) => <f64 as Type<Postgres>>::type_info(),
            Param::Text(_) => <str as Type<Postgres>>::type_info(),
            Param::Bytes(_) => <[u8] as Type<Postgres>>::type_info(),
        })
    }
}

impl Type<Postgres> for Param<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

/// One column of many rows, as an array.
struct ColumnOf<'a, 'r> {
    rows: &'a [Vec<Param<'r>>],
    at: usize,
    holds: Holds,
}

impl Encode<'_, Postgres> for ColumnOf<'_, '_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, Box<dyn std::error::Error + Send + Sync>> {
        let element = match self.holds {
            Holds::Integer => 20_u32,
            Holds::Real => 701,
            Holds::Text => 25,
            Holds::Bytes => 17,
        };
        // One dimension, perhaps with nulls, of so many elements from 1 on.
        buffer.extend_from_slice(&1_i32.to_be_bytes());
        buffer.extend_from_slice(&1_i32.to_be_bytes());
        buffer.extend_from_slice(&element.to_be_bytes());
        buffer.extend_from_slice(&i32::try_from(self.rows.len())?.to_be_bytes());
        buffer.extend_from_slice(&1_i32.to_be_bytes());
        for row in self.rows {
            let Some(value) = row.get(self.at) else { return Err("a row lacks a column".into()) };
            put(value, buffer)?;
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(match self.holds {
            Holds::Integer => <Vec<i64> as Type<Postgres>>::type_info(),
            Holds::Real => <Vec<f64> as Type<Postgres>>::type_info(),
            Holds::Text => <Vec<String> as Type<Postgres>>::type_info(),
            Holds::Bytes => <Vec<Vec<u8>> as Type<Postgres>>::type_info(),
        })
    }
}

impl Type<Postgres> for ColumnOf<'_, '_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}
