//! Everything of one store into another, which may be of another kind: table by table, page by page, in little memory.
//!
//! The copy notes, in each transaction, how far it is: one that broke off goes on from there. In the end both stores are
//! read from one end to the other, and must come to the same counts and checksums.

mod postgres;
mod sqlite;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{StoreError, Upgrade};
use postgres::Postgres;
use sqlite::Sqlite;
use tables::{TABLES, Table};

/// Rows of a page. Chosen.
const PAGE_ROWS: usize = 500;

/// Bytes after which a page takes no further row. Chosen.
const PAGE_BYTES: usize = 8 << 20;

/// Bytes of a piece of an attachment.
const PIECE_BYTES: usize = 1 << 20;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

type Row = Vec<Cell>;

/// How far a copy is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Done {
    /// From where, so that nobody goes on with another.
    from: String,
    /// Tables that are copied.
    tables: usize,
    /// Rows of the next one that are copied, and the key of the last.
    rows: u64,
    last: Row,
}

/// What a copy tells while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is done: `copying` or `comparing`.
    pub doing: &'static str,
    /// The table.
    pub table: &'static str,
    /// Rows that are done, of all tables.
    pub done: u64,
    /// Rows that there are.
    pub all: u64,
}

/// What was copied, and found to be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedStore {
    /// Rows of each table that has any.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows that an earlier try had copied.
    pub before: u64,
}

/// One of the two stores.
enum End {
    Sqlite(Box<Sqlite>),
    Postgres(Box<Postgres>),
}

/// Forwards a call to the store at hand: SQLite's ones return at once.
macro_rules! end {
    ($end:expr, $method:ident($($argument:expr),*)) => {
        match $end {
            End::Sqlite(end) => end.$method($($argument),*),
            End::Postgres(end) => end.$method($($argument),*).await,
        }
    };
}

/// Copies everything at `from` into the empty store at `to`, or goes on with such a copy that broke off. Nothing may write
/// to either meanwhile.
///
/// # Errors
/// When one of them cannot be used, `to` has data, or the two are not the same in the end.
pub fn copy(from: &str, to: &str, tell: impl FnMut(CopyProgress)) -> Result<CopiedStore, StoreError> {
    if from == to {
        return Err(other("a store cannot be copied into itself"));
    }
    let Upgrade { from: has, to: needs } = super::check(from)?;
    if has != needs {
        let name = super::shown(from);
        return Err(other(if has == 0 {
            format!("there is nothing to copy in {name}")
        } else {
            format!("{name} has an older schema: migrate it first, by `spandrel migrate`")
        }));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| StoreError::Other(error.into()))?.block_on(copy_all(from, to, tell))
}

async fn copy_all(from: &str, to: &str, mut tell: impl FnMut(CopyProgress)) -> Result<CopiedStore, StoreError> {
    super::migrate(to, false).await?;
    let name = super::shown(from);
    let mut source = open(from).await?;
    let mut target = open(to).await?;
    end!(&mut source, begin_reading())?;
    let mut done = match end!(&mut target, resume())? {
        Some(done) if done.from != name => {
            return Err(other(format!("a copy from {} into it was begun, and has to be ended", done.from)));
        }
        Some(done) => done,
        None => {
            let done = Done { from: name, tables: 0, rows: 0, last: Row::new() };
            end!(&mut target, begin_writing(&done))?;
            done
        }
    };

    let mut counts = Vec::new();
    for table in &TABLES {
        counts.push(end!(&mut source, count(table))?);
    }
    let all = counts.iter().sum();
    let before = counts[..done.tables].iter().sum::<u64>() + done.rows;
    while let Some(table) = TABLES.get(done.tables) {
        let finished = counts[..done.tables].iter().sum::<u64>();
        tell(CopyProgress { doing: "copying", table: table.name, done: finished + done.rows, all });
        let rows = end!(&mut source, page(table, &done.last))?;
        match rows.last() {
            Some(last) => {
                done.rows += rows.len() as u64;
                done.last = last[..table.key_columns].to_vec();
            }
            None => done = Done { from: done.from, tables: done.tables + 1, rows: 0, last: Row::new() },
        }
        if table.name == "contents" {
            for row in &rows {
                copy_content(&mut source, &mut target, row).await?;
            }
        }
        end!(&mut target, write(table, &rows, &done))?;
    }

    let rows = compare(&mut source, &mut target, &mut tell, all).await?;
    end!(&mut target, finish())?;
    Ok(CopiedStore { rows, before })
}

async fn open(url: &str) -> Result<End, StoreError> {
    Ok(if super::postgres::is_address(url) {
        End::Postgres(Box::new(Postgres::open(url).await?))
    } else {
        End::Sqlite(Box::new(Sqlite::open(super::sqlite_path(url)?)?))
    })
}

/// Copies the content of an attachment. It is known by its SHA-256, which must be what it is known by.
async fn copy_content(source: &mut End, target: &mut End, row: &[Cell]) -> Result<(), StoreError> {
    let [Cell::Bytes(hash)] = row else { return Err(StoreError::Corrupt { table: "contents", column: "sha256" }) };
    end!(&mut *target, begin_content(hash))?;
    let mut digest = Sha256::new();
    for piece in 0.. {
        let bytes = end!(&mut *source, piece(hash, piece))?;
        // An empty file has a piece, too.
        if bytes.is_empty() && piece > 0 {
            break;
        }
        digest.update(&bytes);
        end!(&mut *target, write_piece(hash, piece, &bytes))?;
    }
    if digest.finalize()[..] != hash[..] {
        return Err(other(format!("the content {} of an attachment is missing or damaged", hexadecimal(hash))));
    }
    end!(&mut *target, end_content(hash))
}

/// Fails unless both have the same rows; says how many.
async fn compare(
    source: &mut End,
    target: &mut End,
    tell: &mut impl FnMut(CopyProgress),
    all: u64,
) -> Result<BTreeMap<&'static str, u64>, StoreError> {
    let (mut counts, mut done) = (BTreeMap::new(), 0);
    for table in &TABLES {
        let mut told = |rows| tell(CopyProgress { doing: "comparing", table: table.name, done: done + rows, all });
        told(0);
        let ours = sum(source, table, &mut told).await?;
        let theirs = sum(target, table, &mut |_| {}).await?;
        if ours != theirs {
            return Err(other(format!(
                "{} is not the same in both: {} rows and {}. Was something written meanwhile? \
                 Begin anew, with an empty store",
                table.name, ours.0, theirs.0
            )));
        }
        done += ours.0;
        if ours.0 > 0 {
            counts.insert(table.name, ours.0);
        }
    }
    Ok(counts)
}

/// Count and checksum of a table.
async fn sum(end: &mut End, table: &Table, tell: &mut impl FnMut(u64)) -> Result<(u64, [u8; 32]), StoreError> {
    let (mut count, mut digest, mut last) = (0, Sha256::new(), Row::new());
    loop {
        let rows = end!(&mut *end, page(table, &last))?;
        let Some(row) = rows.last() else { return Ok((count, digest.finalize().into())) };
        last = row[..table.key_columns].to_vec();
        count += rows.len() as u64;
        for cell in rows.iter().flatten() {
            take_in(&mut digest, cell);
        }
        if table.name == "contents" {
            for row in &rows {
                let [Cell::Bytes(hash)] = &row[..] else { continue };
                for piece in 0.. {
                    let bytes = end!(&mut *end, piece(hash, piece))?;
                    if bytes.is_empty() {
                        break;
                    }
                    digest.update(&bytes);
                }
            }
        }
        tell(count);
    }
}

fn take_in(digest: &mut Sha256, cell: &Cell) {
    let mut part = |tag: u8, bytes: &[u8]| {
        digest.update([tag]);
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    match cell {
        Cell::Null => part(0, &[]),
        Cell::Integer(number) => part(1, &number.to_be_bytes()),
        Cell::Real(number) => part(2, &number.to_be_bytes()),
        Cell::Text(text) => part(3, text.as_bytes()),
        Cell::Bytes(bytes) => part(4, bytes),
    }
}

/// Bytes that a row takes up.
fn bytes_of(row: &[Cell]) -> usize {
    row.iter()
        .map(|cell| match cell {
            Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            _ => size_of::<Cell>(),
        })
        .sum()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn other(text: impl Into<String>) -> StoreError {
    StoreError::Other(text.into().into())
}
