//! The raw ceiling: rows that the server stored, put into a new database of the same schema as fast as `SQLite` can.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags, params, params_from_iter};
use spandrel::store::{Checkpoints, StoreOptions, connect};
use uuid::Uuid;

use crate::server::Database;
use crate::{Failure, Options};

type Cells = Vec<Value>;

/// Everything about the spans of a database, row by row.
pub(crate) struct Rows {
    spans: Vec<Cells>,
    payloads: Vec<Cells>,
    /// What the spans of a trace amount to, with the first of them: where it comes in.
    sums: Vec<(usize, Cells)>,
    /// Workspaces and projects.
    places: [Vec<Cells>; 2],
}

/// Opens what a server left behind, however it ended.
fn open(database: &Path) -> Result<Connection, Failure> {
    Ok(Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

/// How many of these spans are not stored; fails if the database is damaged.
pub(crate) fn missing(database: &Path, acknowledged: &[Uuid]) -> Result<usize, Failure> {
    let connection = open(database)?;
    let mut all = connection.prepare("SELECT s.id FROM spans s JOIN span_payloads p ON p.span = s.key")?;
    let stored = all.query_map([], |row| row.get::<_, [u8; 16]>(0))?.collect::<Result<HashSet<_>, _>>()?;
    let sound: String = connection.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(sound.into());
    }
    Ok(acknowledged.iter().filter(|id| !stored.contains(id.as_bytes())).count())
}

/// Fails unless all of these spans are stored.
pub(crate) fn verify(database: &Path, acknowledged: &[Uuid]) -> Result<(), Failure> {
    match missing(database, acknowledged)? {
        0 => Ok(()),
        missing => Err(format!("{missing} of {} acknowledged spans are missing", acknowledged.len()).into()),
    }
}

/// How many spans are stored.
pub(crate) fn count(database: &Path) -> Result<usize, Failure> {
    let sql = "SELECT count(*) FROM spans s JOIN span_payloads p ON p.span = s.key";
    let count: i64 = open(database)?.query_row(sql, [], |row| row.get(0))?;
    Ok(usize::try_from(count)?)
}

/// Puts all that stands in the journal into the file.
pub(crate) fn checkpoint(database: &Path) -> Result<(), Failure> {
    Ok(open(database)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
}

fn read(connection: &Connection, sql: &str) -> Result<Vec<Cells>, Failure> {
    let mut select = connection.prepare(sql)?;
    let columns = select.column_count();
    let rows = select.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Rows {
    pub(crate) fn of(database: &Path) -> Result<Self, Failure> {
        let connection = open(database)?;
        let spans = read(&connection, "SELECT * FROM spans ORDER BY key")?;
        let sums = read(
            &connection,
            "SELECT min(s.key), u.* FROM trace_sums u JOIN spans s \
             ON s.project = u.project AND s.trace_id = u.trace_id GROUP BY u.workspace, u.trace_id, u.project \
             ORDER BY 1",
        )?;
        let first = |key: Value| spans.binary_search_by(|span| integer(&span[0]).cmp(&integer(&key))).unwrap_or(0);
        let sums = sums
            .into_iter()
            .map(|mut cells| {
                let key = cells.remove(0);
                (first(key), cells)
            })
            .collect();
        Ok(Self {
            payloads: read(&connection, "SELECT * FROM span_payloads ORDER BY span")?,
            sums,
            places: [read(&connection, "SELECT * FROM workspaces")?, read(&connection, "SELECT * FROM projects")?],
            spans,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Writes the first `number` of them, so many a transaction; returns the rows a second.
    pub(crate) fn write(&self, options: &Options, number: usize, at_once: usize) -> Result<f64, Failure> {
        let database = Database::new(options)?;
        let made = Command::new(&options.program)
            .args(["migrate", "--database", &database.url()])
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            return Err("the schema could not be made".into());
        }
        // As the server's writer has them.
        let settings = StoreOptions {
            durable: true,
            backup: false,
            readers: 1,
            read_time_max: Duration::MAX,
            bytes_max: 0,
            inline_bytes_max: 0,
            journal_bytes_max: 256 << 20,
            environments_max: 100,
        };
        let connection = connect(&database.file(), settings)?;
        let checkpoints = Checkpoints::start(&database.file(), settings)?;
        for (table, rows) in ["workspaces", "projects"].into_iter().zip(&self.places) {
            let mut insert = insert(&connection, "INSERT OR IGNORE", table, rows)?;
            for cells in rows {
                insert.execute(params_from_iter(cells))?;
            }
        }
        let mut spans = insert(&connection, "INSERT", "spans", &self.spans)?;
        let mut payloads = insert(&connection, "INSERT", "span_payloads", &self.payloads)?;
        let some_sums: Vec<Cells> = self.sums.iter().take(1).map(|sums| sums.1.clone()).collect();
        let mut insert_sums = insert(&connection, "INSERT", "trace_sums", &some_sums)?;
        let number = number.min(self.len());
        let begun = Instant::now();
        let mut sums = self.sums.iter().peekable();
        for from in (0..number).step_by(at_once) {
            let until = (from + at_once).min(number);
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for at in from..until {
                spans.execute(params_from_iter(&self.spans[at]))?;
                payloads.execute(params_from_iter(&self.payloads[at]))?;
            }
            while let Some((_, cells)) = sums.next_if(|sums| sums.0 < until) {
                insert_sums.execute(params_from_iter(cells))?;
            }
            connection.execute_batch("COMMIT")?;
            checkpoints.after_commit(&connection);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        Ok(number as f64 / begun.elapsed().as_secs_f64())
    }
}

fn integer(value: &Value) -> i64 {
    if let Value::Integer(integer) = value { *integer } else { 0 }
}

fn insert<'a>(
    connection: &'a Connection,
    verb: &str,
    table: &str,
    rows: &[Cells],
) -> Result<CachedStatement<'a>, Failure> {
    let places = vec!["?"; rows.first().map_or(1, Vec::len)].join(", ");
    Ok(connection.prepare_cached(&format!("{verb} INTO {table} VALUES ({places})"))?)
}

/// The floor of reading a trace: its rows, in order, and as many bytes as the answer has written to a socket. Returns
/// seconds.
pub(crate) fn read_trace(database: &Path, trace_id: Uuid, answer_bytes: usize) -> Result<f64, Failure> {
    const PIECE_BYTES: usize = 1 << 20;
    let connection = open(database)?;
    let sql = "SELECT project FROM spans WHERE trace_id = ?1 LIMIT 1";
    let project: i64 = connection.query_row(sql, [trace_id.as_bytes()], |row| row.get(0))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut socket = TcpStream::connect(listener.local_addr()?)?;
    let (mut taken, _) = listener.accept()?;
    let drain = std::thread::spawn(move || std::io::copy(&mut taken, &mut std::io::sink()));
    let mut select = connection.prepare(
        "SELECT s.*, p.* FROM spans s JOIN span_payloads p ON p.span = s.key \
         WHERE s.project = ?1 AND s.trace_id = ?2 \
         ORDER BY s.trace_id DESC, s.parent_span_id DESC, s.id DESC",
    )?;
    let columns = select.column_count();
    let begun = Instant::now();
    let mut rows = select.query(params![project, trace_id.as_bytes()])?;
    let mut piece = Vec::with_capacity(2 * PIECE_BYTES);
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        for at in 0..columns {
            if let ValueRef::Text(text) | ValueRef::Blob(text) = row.get_ref(at)? {
                piece.extend_from_slice(text);
            }
        }
        if piece.len() > PIECE_BYTES {
            bytes += piece.len();
            socket.write_all(&piece)?;
            piece.clear();
        }
    }
    // Names, numbers and punctuation make the answer larger than what is stored; stored it may be smaller for other
    // reasons, too.
    bytes += piece.len();
    socket.write_all(&piece)?;
    piece.resize(PIECE_BYTES, b' ');
    while bytes < answer_bytes {
        let some = PIECE_BYTES.min(answer_bytes - bytes);
        socket.write_all(&piece[..some])?;
        bytes += some;
    }
    drop(socket);
    drain.join().map_err(|_| "the reader failed")??;
    Ok(begun.elapsed().as_secs_f64())
}
