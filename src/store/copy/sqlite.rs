//! A SQLite file, and the folder beside it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::tables::{TABLES, Table, names};
use super::{Cell, Done, PAGE_BYTES, PAGE_ROWS, PIECE_BYTES, Row, bytes_of, hexadecimal, other};
use crate::store::StoreError;
use crate::store::sqlite::{Lock, beside, take};

/// A file that is this program's as long as this is there.
pub(super) struct Sqlite {
    connection: Connection,
    files: PathBuf,
    /// The content that is being written.
    content: Option<File>,
    _lock: Lock,
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Integer(number) => (*number).into(),
            Self::Real(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => bytes.as_slice().into(),
        })
    }
}

type Outcome<T> = Result<T, StoreError>;

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Other(error.into())
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        let (path, lock) = take(path)?;
        let connection = Connection::open(&path).map_err(failed)?;
        connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL").map_err(failed)?;
        Ok(Self { connection, files: beside(&path, "-files"), content: None, _lock: lock })
    }

    /// Has all that is read be of one moment.
    pub(super) fn begin_reading(&mut self) -> Outcome<()> {
        self.connection.execute_batch("BEGIN").map_err(failed)
    }

    /// How far a copy into this file is, if one was begun.
    pub(super) fn resume(&mut self) -> Outcome<Option<Done>> {
        if !self.connection.table_exists(None, "copying").map_err(failed)? {
            return Ok(None);
        }
        let done: String =
            self.connection.query_row("SELECT done FROM copying", [], |row| row.get(0)).map_err(failed)?;
        serde_json::from_str(&done).map(Some).map_err(failed)
    }

    /// Takes away what an empty store has, and notes that a copy is begun.
    pub(super) fn begin_writing(&mut self, done: &Done) -> Outcome<()> {
        let transaction = self.connection.transaction().map_err(failed)?;
        for table in ["spans", "traces", "scores", "comments", "attachments", "threads"] {
            let any = transaction.query_row(&format!("SELECT 1 FROM {table} LIMIT 1"), [], |_| Ok(())).optional();
            if any.map_err(failed)?.is_some() {
                return Err(other("the store to copy into is not empty"));
            }
        }
        for table in TABLES.iter().rev().filter(|table| table.name != "contents") {
            transaction.execute(&format!("DELETE FROM {}", table.name), []).map_err(failed)?;
        }
        transaction.execute_batch("CREATE TABLE copying (done TEXT NOT NULL) STRICT").map_err(failed)?;
        let done = serde_json::to_string(done).map_err(failed)?;
        transaction.execute("INSERT INTO copying VALUES (?1)", [done]).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    pub(super) fn count(&mut self, table: &Table) -> Outcome<u64> {
        let from = if table.name == "contents" { "(SELECT DISTINCT sha256 FROM attachments)" } else { table.name };
        let count = self.connection.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(failed)
    }

    /// The rows after the one with this key; after none, the first.
    pub(super) fn page(&mut self, table: &Table, last: &[Cell]) -> Outcome<Vec<Row>> {
        let (key, places) = (table.key(), vec!["?"; last.len()].join(", "));
        let after = if last.is_empty() { String::new() } else { format!("WHERE ({key}) > ({places})") };
        let from = match table.apart {
            _ if table.name == "contents" => "(SELECT DISTINCT sha256 FROM attachments)".to_owned(),
            None => table.name.to_owned(),
            Some((apart, owner, _)) => format!("{} LEFT JOIN {apart} ON {owner} = key", table.name),
        };
        // What is apart is null where there is none.
        let columns = table.list().replace("metadata_has_provider", "coalesce(metadata_has_provider, 0)");
        let sql = format!("SELECT {columns} FROM {from} {after} ORDER BY {key} LIMIT {PAGE_ROWS}");
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        let mut found = statement.query(params_from_iter(last)).map_err(failed)?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES
            && let Some(row) = found.next().map_err(failed)?
        {
            let cells = (0..table.columns.len()).map(|at| cell(row.get_ref(at)?, at));
            let row = cells.collect::<rusqlite::Result<Row>>().map_err(failed)?;
            bytes += bytes_of(&row);
            rows.push(row);
        }
        Ok(rows)
    }

    /// Writes rows, and how far the copy then is.
    pub(super) fn write(&mut self, table: &Table, rows: &[Row], done: &Done) -> Outcome<()> {
        let transaction = self.connection.transaction().map_err(failed)?;
        let rows = if table.name == "contents" { &[] } else { rows };
        let (own, apart) = table.columns.split_at(table.columns.len() - table.apart.map_or(0, |(.., count)| count));
        for row in rows {
            let (mine, theirs) = row.split_at(own.len());
            insert(&transaction, table.name, &names(own), mine)?;
            if let Some((name, owner, _)) = table.apart
                && theirs.iter().any(|cell| !matches!(cell, Cell::Null | Cell::Integer(0)))
            {
                let key = own.iter().position(|(name, _)| *name == "key").unwrap_or_default();
                let theirs: Row = std::iter::once(&row[key]).chain(theirs).cloned().collect();
                insert(&transaction, name, &format!("{owner}, {}", names(apart)), &theirs)?;
            }
        }
        let done = serde_json::to_string(done).map_err(failed)?;
        transaction.execute("UPDATE copying SET done = ?1", [done]).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    pub(super) fn begin_content(&mut self, hash: &[u8]) -> Outcome<()> {
        std::fs::create_dir_all(&self.files).map_err(failed)?;
        self.content = Some(File::create(self.partial(hash)).map_err(failed)?);
        Ok(())
    }

    /// Bytes of a content; none after its end.
    pub(super) fn piece(&mut self, hash: &[u8], piece: u64) -> Outcome<Vec<u8>> {
        let mut file = match File::open(self.files.join(hexadecimal(hash))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.map_err(failed)?,
        };
        file.seek(SeekFrom::Start(piece * PIECE_BYTES as u64)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(PIECE_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    pub(super) fn write_piece(&mut self, _hash: &[u8], _piece: u64, bytes: &[u8]) -> Outcome<()> {
        self.content.as_mut().map_or(Ok(()), |file| file.write_all(bytes)).map_err(failed)
    }

    pub(super) fn end_content(&mut self, hash: &[u8]) -> Outcome<()> {
        if let Some(file) = self.content.take() {
            file.sync_all().map_err(failed)?;
            std::fs::rename(self.partial(hash), self.files.join(hexadecimal(hash))).map_err(failed)?;
            File::open(&self.files).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    fn partial(&self, hash: &[u8]) -> PathBuf {
        self.files.join(format!("{}.copying", hexadecimal(hash)))
    }

    pub(super) fn finish(&mut self) -> Outcome<()> {
        self.connection.execute_batch("DROP TABLE copying").map_err(failed)
    }
}

fn cell(value: ValueRef<'_>, at: usize) -> rusqlite::Result<Cell> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|error| rusqlite::Error::Utf8Error(at, error))?;
            Cell::Text(text.to_owned())
        }
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
    })
}

fn insert(connection: &Connection, table: &str, columns: &str, row: &[Cell]) -> Outcome<()> {
    let sql = format!("INSERT INTO {table} ({columns}) VALUES ({})", vec!["?"; row.len()].join(", "));
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    statement.execute(params_from_iter(row)).map_err(failed)?;
    Ok(())
}
