//! A schema in PostgreSQL.

use std::collections::HashSet;
use std::fmt::Write as _;

use chrono::{DateTime, Datelike as _};
use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::tables::{TABLES, Table};
use super::{Cell, Done, PAGE_BYTES, PAGE_ROWS, Row, bytes_of, hexadecimal, other};
use crate::store::StoreError;
use crate::store::postgres::Address;
use crate::store::postgres::text::{original, stored};
use crate::store::sql::Holds;

pub(super) struct Postgres {
    connection: PgConnection,
    /// Those that have a partition, or had to do without.
    months: HashSet<(i32, u32)>,
}

/// Years of which months get partitions. Chosen: what is not of them has a wrong clock.
const YEARS: std::ops::RangeInclusive<i32> = 2020..=2040;

type Outcome<T> = Result<T, StoreError>;

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Other(error.into())
}

impl Postgres {
    pub(super) async fn open(url: &str) -> Outcome<Self> {
        let address = Address::parse(url)?;
        let mut end = Self { connection: address.connect().await?, months: HashSet::new() };
        if let Some(schema) = &address.schema {
            end.run(&format!("SET search_path = \"{schema}\"")).await?;
        }
        Ok(end)
    }

    /// Has all that is read be of one moment.
    pub(super) async fn begin_reading(&mut self) -> Outcome<()> {
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    /// How far a copy into this schema is, if one was begun.
    pub(super) async fn resume(&mut self) -> Outcome<Option<Done>> {
        let there: bool = self.one("SELECT to_regclass('copying') IS NOT NULL").await?;
        if !there {
            return Ok(None);
        }
        let done: String = self.one("SELECT done FROM copying").await?;
        serde_json::from_str(&original(done)).map(Some).map_err(failed)
    }

    /// Takes away what an empty store has, and notes that a copy is begun.
    pub(super) async fn begin_writing(&mut self, done: &Done) -> Outcome<()> {
        for table in ["spans", "traces", "scores", "comments", "attachments", "threads"] {
            let any: bool = self.one(&format!("SELECT EXISTS (SELECT 1 FROM {table})")).await?;
            if any {
                return Err(other("the store to copy into is not empty"));
            }
        }
        self.run("BEGIN").await?;
        for table in TABLES.iter().rev() {
            self.run(&format!("DELETE FROM {}", table.name)).await?;
        }
        self.run("CREATE TABLE copying (done text NOT NULL); INSERT INTO copying VALUES ('')").await?;
        self.note(done).await?;
        self.run("COMMIT").await
    }

    pub(super) async fn count(&mut self, table: &Table) -> Outcome<u64> {
        let count: i64 = self.one(&format!("SELECT count(*) FROM {} rows", from(table))).await?;
        Ok(count.unsigned_abs())
    }

    /// The rows after the one with this key; after none, the first.
    pub(super) async fn page(&mut self, table: &Table, last: &[Cell]) -> Outcome<Vec<Row>> {
        let key = table.key();
        let places: Vec<String> = (1..=last.len()).map(|number| format!("${number}")).collect();
        let after = if last.is_empty() { String::new() } else { format!("WHERE ({key}) > ({})", places.join(", ")) };
        let sql = format!("SELECT {} FROM {} rows {after} ORDER BY {key} LIMIT {PAGE_ROWS}", table.list(), from(table));
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for cell in last {
            query = match cell {
                Cell::Integer(number) => query.bind(number),
                Cell::Text(text) => query.bind(stored(text)),
                Cell::Bytes(bytes) => query.bind(bytes),
                Cell::Null | Cell::Real(_) => return Err(other("a key cannot be of this kind")),
            };
        }
        let mut found = query.fetch(&mut self.connection);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES
            && let Some(row) = found.try_next().await.map_err(failed)?
        {
            let row = cells(table, &row).map_err(failed)?;
            bytes += bytes_of(&row);
            rows.push(row);
        }
        Ok(rows)
    }

    /// Writes rows, and how far the copy then is.
    pub(super) async fn write(&mut self, table: &Table, rows: &[Row], done: &Done) -> Outcome<()> {
        self.run("BEGIN").await?;
        if !rows.is_empty() && table.name != "contents" {
            if table.name == "spans" || table.name == "traces" {
                self.make_partitions(table, rows).await?;
            }
            let sql = format!("COPY {} ({}) FROM STDIN", table.name, table.list());
            let mut copy = self.connection.copy_in_raw(&sql).await.map_err(failed)?;
            let text: String = rows.iter().map(|row| line(row)).collect();
            copy.send(text.as_bytes()).await.map_err(failed)?;
            copy.finish().await.map_err(failed)?;
        }
        self.note(done).await?;
        self.run("COMMIT").await
    }

    /// What is old gets a place of its month, as if it had come in time.
    async fn make_partitions(&mut self, table: &Table, rows: &[Row]) -> Outcome<()> {
        let at = table.columns.iter().position(|(name, _)| *name == "id").unwrap_or_default();
        for row in rows {
            let Cell::Bytes(id) = &row[at] else { continue };
            let millis = id.iter().take(6).fold(0, |millis, byte| millis << 8 | i64::from(*byte));
            let Some(time) = DateTime::from_timestamp_millis(millis) else { continue };
            let month = (time.year(), time.month());
            if YEARS.contains(&month.0) && self.months.insert(month) {
                let (year, month) = month;
                self.run(&format!("SELECT make_partitions('{year}-{month:02}-01', 1)")).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn begin_content(&mut self, hash: &[u8]) -> Outcome<()> {
        self.run("BEGIN").await?;
        let delete = sqlx::query("DELETE FROM contents WHERE sha256 = $1").persistent(false).bind(hash);
        delete.execute(&mut self.connection).await.map_err(failed)?;
        Ok(())
    }

    /// Bytes of a content; none after its end.
    pub(super) async fn piece(&mut self, hash: &[u8], piece: u64) -> Outcome<Vec<u8>> {
        let piece = i64::try_from(piece).map_err(failed)?;
        let bytes = sqlx::query_scalar("SELECT bytes FROM contents WHERE sha256 = $1 AND piece = $2");
        let bytes = bytes.persistent(false).bind(hash).bind(piece).fetch_optional(&mut self.connection).await;
        Ok(bytes.map_err(failed)?.unwrap_or_default())
    }

    pub(super) async fn write_piece(&mut self, hash: &[u8], piece: u64, bytes: &[u8]) -> Outcome<()> {
        let piece = i64::try_from(piece).map_err(failed)?;
        let insert = sqlx::query("INSERT INTO contents (sha256, piece, bytes) VALUES ($1, $2, $3)");
        insert
            .persistent(false)
            .bind(hash)
            .bind(piece)
            .bind(bytes)
            .execute(&mut self.connection)
            .await
            .map_err(failed)?;
        Ok(())
    }

    pub(super) async fn end_content(&mut self, _hash: &[u8]) -> Outcome<()> {
        self.run("COMMIT").await
    }

    /// Keys that are made up from now on come after those that were copied.
    pub(super) async fn finish(&mut self) -> Outcome<()> {
        self.run("BEGIN").await?;
        for table in TABLES.iter().filter(|table| table.has_sequence) {
            let name = table.name;
            self.run(&format!(
                "SELECT setval(pg_get_serial_sequence('{name}', 'key'), greatest(max(key), 1)) FROM {name}"
            ))
            .await?;
        }
        self.run("DROP TABLE copying").await?;
        self.run("COMMIT").await?;
        self.run("ANALYZE").await
    }

    async fn note(&mut self, done: &Done) -> Outcome<()> {
        let done = serde_json::to_string(done).map_err(failed)?;
        let update = sqlx::query("UPDATE copying SET done = $1").persistent(false).bind(stored(&done));
        update.execute(&mut self.connection).await.map_err(failed)?;
        Ok(())
    }

    async fn run(&mut self, sql: &str) -> Outcome<()> {
        let run = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        run.execute(&mut self.connection).await.map_err(failed)?;
        Ok(())
    }

    async fn one<T>(&mut self, sql: &str) -> Outcome<T>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let one = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).persistent(false);
        one.fetch_one(&mut self.connection).await.map_err(failed)
    }
}

/// What a table is read from.
fn from(table: &Table) -> String {
    match table.in_postgres {
        _ if table.name == "contents" => "(SELECT DISTINCT sha256 FROM attachments)".to_owned(),
        Some(query) => format!("({query})"),
        None => table.name.to_owned(),
    }
}

fn cells(table: &Table, row: &PgRow) -> Result<Row, sqlx::Error> {
    let cells = table.columns.iter().enumerate().map(|(at, (_, kind))| {
        Ok(match kind {
            Holds::Integer => row.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
            Holds::Real => row.try_get::<Option<f64>, _>(at)?.map(Cell::Real),
            Holds::Text => row.try_get::<Option<String>, _>(at)?.map(|text| Cell::Text(original(text))),
            Holds::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Cell::Bytes),
        }
        .unwrap_or(Cell::Null))
    });
    cells.collect()
}

/// A row in the text form of `COPY`.
fn line(row: &[Cell]) -> String {
    let mut line = String::new();
    for (at, cell) in row.iter().enumerate() {
        if at > 0 {
            line.push('\t');
        }
        match cell {
            Cell::Null => line.push_str("\\N"),
            Cell::Integer(number) => _ = write!(line, "{number}"),
            Cell::Real(number) => _ = write!(line, "{number:?}"),
            Cell::Bytes(bytes) => {
                line.push_str("\\\\x");
                line.push_str(&hexadecimal(bytes));
            }
            Cell::Text(text) => {
                for letter in stored(text).chars() {
                    match letter {
                        '\\' => line.push_str("\\\\"),
                        '\n' => line.push_str("\\n"),
                        '\r' => line.push_str("\\r"),
                        '\t' => line.push_str("\\t"),
                        letter => line.push(letter),
                    }
                }
            }
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_copy_reads() {
        let row = vec![
            Cell::Null,
            Cell::Integer(-1),
            Cell::Real(0.1),
            Cell::Text("a\tb\\n\n\r".to_owned()),
            Cell::Bytes(vec![0, 255]),
            Cell::Text("\\N".to_owned()),
        ];
        assert_eq!(line(&row), "\\N\t-1\t0.1\ta\\tb\\\\n\\n\\r\t\\\\x00ff\t\\\\N\n");
    }
}
