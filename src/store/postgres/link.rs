//! Statements over a connection to a server, which wait for its answers.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor as _, Row as _, ValueRef as _};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::errors::{from_sqlx, is_broken, is_collision};
use super::text::original;
use super::writes::{How, Unsent, add, put};
use crate::model::Id;
use crate::store::StoreError;
use crate::store::cells::Cells;
use crate::store::condition::{NOT_PURGED, Sql};
use crate::store::query::Handle;
use crate::store::sql::{self, Column, Dialect, Holds, IDENTITY, Param, Row, Statement, Table, Verb, Wanted, list};

/// What is waited for when a query is given up.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    /// When its time is up.
    pub deadline: Instant,
    /// When nobody waits for it any more.
    pub gone: CancellationToken,
}

impl Patience {
    pub(super) fn of(time: Duration) -> Self {
        Self { deadline: Instant::now() + time, gone: CancellationToken::new() }
    }
}

/// Waits on the thread that asks: an answer wakes no other thread, which would then have to wake this one.
#[derive(Debug)]
struct Waits(Option<Runtime>);

impl Waits {
    fn new() -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| StoreError::Other(error.into()))
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let runtime = self.0.as_ref().ok_or(StoreError::Unavailable { reason: "the server stops", full: false })?;
        Ok(runtime.block_on(work))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        // It may be dropped where nobody may wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A connection that is used by one thread at a time.
#[derive(Debug)]
pub(in crate::store) struct Link {
    connection: RefCell<PgConnection>,
    waits: Waits,
    patience: RefCell<Patience>,
    /// Whether statements are kept by the server under names.
    kept: bool,
    broken: Cell<bool>,
    collided: Cell<bool>,
    /// Whether the transaction reads, and nothing is there to be removed while it does.
    nothing_purged: Cell<bool>,
    /// Writes that go with the next one, or before whatever else is asked for.
    unsent: RefCell<Unsent>,
}

/// Why something came to no end.
enum Trouble {
    Driver(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Link {
    /// A new connection.
    pub(super) fn open(address: &Address, patience: Patience) -> Result<Self, StoreError> {
        let waits = Waits::new()?;
        let connection = waits.wait(address.connect())??;
        Ok(Self {
            connection: RefCell::new(connection),
            waits,
            patience: RefCell::new(patience),
            kept: address.keeps_statements,
            broken: Cell::new(false),
            collided: Cell::new(false),
            nothing_purged: Cell::new(false),
            unsent: RefCell::default(),
        })
    }

    /// Tells the server that this is the end.
    pub(super) fn close(self) {
        let Self { connection, waits, broken, .. } = self;
        if !broken.get() {
            let _ = waits.wait(sqlx::Connection::close(connection.into_inner()));
        }
    }

    /// From now on waits so long.
    pub(super) fn have(&self, patience: Patience) {
        self.patience.replace(patience);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Whether another server was in the way since this was asked last.
    pub(super) fn collided(&self) -> bool {
        self.collided.take()
    }

    /// Begins a transaction, and whatever else these statements say.
    pub(super) fn begin(&self, sql: &str) -> Result<(), StoreError> {
        self.unsent.take();
        self.batch(sql)
    }

    /// Ends a transaction, with all that was written.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.send()?;
        self.batch("COMMIT")
    }

    /// Ends a transaction, as if nothing had been written.
    pub(super) fn roll_back(&self) -> Result<(), StoreError> {
        self.unsent.take();
        self.batch("ROLLBACK")
    }

    /// Runs statements without parameters or results.
    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        let text = AssertSqlSafe(sql.to_owned());
        self.wait(async |connection| {
            connection.execute(sqlx::raw_sql(text)).await?;
            Ok(())
        })
    }

    /// Begins a transaction that only reads, and sees one moment, by these statements.
    pub(super) fn begin_reading(&self, statements: &str) -> Result<(), StoreError> {
        let text = AssertSqlSafe(format!("{statements}; SELECT 1 FROM purges LIMIT 1"));
        let purged = self.wait(async |connection| Ok(connection.fetch_optional(sqlx::raw_sql(text)).await?))?;
        self.nothing_purged.set(purged.is_none());
        Ok(())
    }

    /// SQL as PostgreSQL spells it. Where there is nothing to be left out, that is not asked of each row: it would be
    /// read by one process alone.
    fn translated(&self, sql: &str) -> String {
        if self.nothing_purged.get() { translated(&sql.replace(NOT_PURGED, "")) } else { translated(sql) }
    }

    fn wait<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Trouble>) -> Result<T, StoreError> {
        let mut connection = self.connection.borrow_mut();
        let Patience { deadline, gone } = self.patience.borrow().clone();
        let outcome = self.waits.wait(async {
            tokio::select! {
                biased;
                outcome = work(&mut connection) => Some(outcome),
                () = gone.cancelled() => None,
                () = tokio::time::sleep_until(deadline) => None,
            }
        })?;
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(Trouble::Store(error))) => Err(error),
            Some(Err(Trouble::Driver(error))) => {
                self.broken.set(self.broken.get() || is_broken(&error));
                self.collided.set(self.collided.get() || is_collision(&error));
                Err(from_sqlx(error))
            }
            None => {
                // The server ends what it does once it notices that the connection is gone.
                self.broken.set(true);
                Err(StoreError::TooLong)
            }
        }
    }

    fn rows(
        &self,
        sql: String,
        arguments: PgArguments,
        mut see: impl FnMut(&PgRow) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.send()?;
        sql::told(&sql);
        self.wait(async |connection| {
            let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(self.kept);
            let mut rows = query.fetch(connection);
            while let Some(row) = rows.try_next().await? {
                if !see(&row)? {
                    break;
                }
            }
            Ok(())
        })
    }

    fn run(&self, sql: String, arguments: PgArguments) -> Result<u64, StoreError> {
        self.send()?;
        sql::told(&sql);
        self.wait(async |connection| {
            let query = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(self.kept);
            Ok(query.execute(connection).await?.rows_affected())
        })
    }

    /// Sends what was not sent yet.
    fn send(&self) -> Result<(), StoreError> {
        let unsent = self.unsent.take();
        if unsent.is_empty() {
            return Ok(());
        }
        let (text, arguments) = unsent.statement();
        self.run(text, arguments).map(drop)
    }

    /// Writes rows of the same columns, at the latest before something else is asked for.
    fn write(
        &self,
        verb: Verb,
        table: &'static str,
        columns: &[Column],
        rows: &[Vec<Param<'_>>],
        how: How,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        if self.unsent.borrow().writes_to(table) {
            self.send()?;
        }
        self.unsent.borrow_mut().add(verb, table, columns, rows, how)
    }

    /// Writes many new rows, without a limit to what they have together.
    fn copy(&self, table: &str, columns: &[Column], rows: &[Vec<Param<'_>>]) -> Result<(), StoreError> {
        let names = list(columns, ", ", |_, column| column.name.to_owned());
        let sql = format!("COPY {table} ({names}) FROM STDIN (FORMAT binary)");
        let fields = i16::try_from(columns.len()).map_err(|error| StoreError::Other(error.into()))?;
        self.send()?;
        self.wait(async |connection| {
            let mut copy = connection.copy_in_raw(&sql).await?;
            let mut piece = Vec::with_capacity(2 * COPY_PIECE_BYTES);
            piece.extend_from_slice(COPY_HEAD);
            for row in rows {
                piece.extend_from_slice(&fields.to_be_bytes());
                for value in row {
                    put(value, &mut piece).map_err(StoreError::Other)?;
                }
                if piece.len() >= COPY_PIECE_BYTES {
                    copy.send(&piece[..]).await?;
                    piece.clear();
                }
            }
            piece.extend_from_slice(COPY_END);
            copy.send(&piece[..]).await?;
            copy.finish().await?;
            Ok(())
        })
    }
}

/// Rows from which on they are copied: for fewer, a statement that the server knows already is faster.
const COPY_ROWS_MIN: usize = 100;

/// About how many bytes of a copy are sent at a time: the server takes them while the next ones are made ready.
const COPY_PIECE_BYTES: usize = 128 << 10;

/// What a copy begins and ends with: its signature, without flags or an extension, and a row of -1 fields.
const COPY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COPY_END: &[u8] = b"\xff\xff";

fn arguments_of(params: &[Param<'_>]) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    for param in params {
        add(&mut arguments, param)?;
    }
    Ok(arguments)
}

/// What is spelled otherwise here. Payloads of traces are in their rows.
const SPELLED_OTHERWISE: [(&str, &str); 5] = [
    ("x''", "''::bytea"),
    ("group_concat(", "string_agg("),
    (" char(1)", " chr(1)"),
    ("SELECT q.input FROM trace_payloads q WHERE q.trace = (SELECT m.key", "(SELECT m.input"),
    ("SELECT q.output FROM trace_payloads q WHERE q.trace = (SELECT m.key", "(SELECT m.output"),
];

/// SQL as PostgreSQL spells it.
fn translated(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    let mut parts = sql.split('?');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let _ = write!(text, "${part}");
    }
    for (theirs, ours) in SPELLED_OTHERWISE {
        if text.contains(theirs) {
            text = text.replace(theirs, ours);
        }
    }
    text
}

impl sql::Connection for Link {
    const DIALECT: Dialect = Dialect::Postgres;

    type Row<'r> = PgRow;

    fn each(
        &self,
        sql: &str,
        params: &[Param<'_>],
        see: impl FnMut(&PgRow) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.rows(self.translated(sql), arguments_of(params)?, see)
    }

    fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, StoreError> {
        self.run(translated(sql), arguments_of(params)?)
    }

    fn of_handles(
        &self,
        sql: &Sql,
        handles: &[Handle],
        id_at: usize,
        mut see: impl FnMut(usize, &PgRow) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let ids: Vec<Id> = handles.iter().map(|handle| handle.id).collect();
        let (Some(lowest), Some(highest)) = (ids.iter().min(), ids.iter().max()) else { return Ok(()) };
        let at = sql.values.len();
        let mut projects: Vec<i64> = handles.iter().map(|handle| handle.project).collect();
        projects.dedup();
        // The index is one of projects and ids. The bounds tell, even to a plan that is made for any ids, which
        // partitions are not needed.
        let text = format!(
            "{}s.project = ANY(${projects}) AND s.id = ANY(${ids}) AND s.id BETWEEN ${low} AND ${high} \
             AND s.key = ANY(${keys}) ORDER BY array_position(${keys}, s.key)",
            translated(&sql.text),
            keys = at + 1,
            ids = at + 2,
            low = at + 3,
            high = at + 4,
            projects = at + 5,
        );
        let mut arguments = arguments_of(&sql.params())?;
        add(&mut arguments, handles.iter().map(|handle| handle.key).collect::<Vec<i64>>())?;
        add(&mut arguments, bytes_of(&ids))?;
        add(&mut arguments, &lowest.0.as_bytes()[..])?;
        add(&mut arguments, &highest.0.as_bytes()[..])?;
        add(&mut arguments, projects)?;
        let mut rest = ids.iter().enumerate();
        self.rows(text, arguments, |row| {
            let id = sql::id(row, id_at)?;
            // Those that are gone are passed over.
            let place = rest.find(|(_, wanted)| **wanted == id).map(|(place, _)| place);
            see(place.ok_or(WRONG)?, row)
        })
    }

    fn of_ids(
        &self,
        sql: &str,
        wanted: Wanted<'_>,
        mut see: impl FnMut(&PgRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Wanted { workspace, ids, alias, column, .. } = wanted;
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
        let text = format!(
            "{}{alias}.workspace = $1 AND {alias}.{column} = ANY($2) AND {alias}.{column} BETWEEN $3 AND $4 \
             ORDER BY {alias}.{column} FOR UPDATE OF {alias}",
            translated(sql)
        );
        let mut arguments = PgArguments::default();
        add(&mut arguments, workspace)?;
        add(&mut arguments, bytes_of(ids))?;
        add(&mut arguments, &first.0.as_bytes()[..])?;
        add(&mut arguments, &last.0.as_bytes()[..])?;
        self.rows(text, arguments, |row| see(row).map(|()| true))
    }

    fn save<'r>(&self, table: &'static Table, rows: impl Iterator<Item = Row<'r>>) -> Result<(), StoreError> {
        let (mut new, mut changed, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for Row { key, mut columns, payloads } in rows {
            let rows = match (key, &payloads) {
                (None, _) => &mut new,
                (Some(_), Some(_)) => &mut whole,
                (Some(_), None) => &mut changed,
            };
            match payloads {
                Some(payloads) => columns.extend(payloads),
                None if key.is_none() => {
                    columns.extend(table.payload_columns.iter().map(|column| match column.holds {
                        Holds::Integer => Param::Integer(0),
                        _ => Param::Null,
                    }));
                }
                None => {}
            }
            rows.push(columns);
        }
        let all = [table.columns, table.payload_columns].concat();
        if new.len() < COPY_ROWS_MIN {
            self.write(Verb::Insert(None), table.name, &all, &new, How::of_new(new.len()))?;
        } else {
            self.copy(table.name, &all, &new)?;
        }
        self.write(Verb::Update(IDENTITY), table.name, table.columns, &changed, How::Arrays)?;
        self.write(Verb::Update(IDENTITY), table.name, &all, &whole, How::Arrays)
    }

    fn many<'r>(
        &self,
        statement: &'static Statement,
        rows: impl Iterator<Item = Vec<Param<'r>>>,
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = rows.collect();
        self.write(statement.verb, statement.table, statement.columns, &rows, How::Arrays)
    }

    fn hold<'r>(
        &self,
        making: &'static Statement,
        rows: impl Iterator<Item = Vec<Param<'r>>>,
        columns: &str,
        _: Wanted<'_>,
        mut see: impl FnMut(&PgRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let rows: Vec<_> = rows.collect();
        let mut write = Unsent::default();
        write.add(making.verb, making.table, making.columns, &rows, How::of_new(rows.len()))?;
        let (text, arguments) = write.statement();
        self.rows(format!("{text} RETURNING {columns}"), arguments, |row| see(row).map(|()| true))
    }

    /// A read has a transaction of its own anyway.
    fn snapshot<T>(&self, read: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        read(self)
    }
}

fn bytes_of(ids: &[Id]) -> Vec<&[u8]> {
    ids.iter().map(|id| &id.0.as_bytes()[..]).collect()
}

impl Cells for PgRow {
    fn integer(&self, at: usize) -> Result<Option<i64>, StoreError> {
        let Some(bytes) = self.raw(at)? else { return Ok(None) };
        Ok(Some(match bytes {
            [one] => i64::from(*one),
            [a, b, c, d] => i64::from(i32::from_be_bytes([*a, *b, *c, *d])),
            bytes => i64::from_be_bytes(bytes.try_into().map_err(|_| WRONG)?),
        }))
    }

    fn real(&self, at: usize) -> Result<Option<f64>, StoreError> {
        let Some(bytes) = self.raw(at)? else { return Ok(None) };
        Ok(Some(f64::from_be_bytes(bytes.try_into().map_err(|_| WRONG)?)))
    }

    fn text(&self, at: usize) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.raw(at)? else { return Ok(None) };
        String::from_utf8(bytes.to_vec()).map(|text| Some(original(text))).map_err(|_| WRONG)
    }

    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.raw(at)?.map(<[u8]>::to_vec))
    }

    fn raw(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        let value = self.try_get_raw(at).map_err(from_sqlx)?;
        if value.is_null() { Ok(None) } else { value.as_bytes().map(Some).map_err(StoreError::Other) }
    }
}

/// A value that is not of the type that was asked for.
const WRONG: StoreError = StoreError::Corrupt { table: "result", column: "value" };
