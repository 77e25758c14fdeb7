//! PostgreSQL: a cluster of the benchmark's own, as it is made and with no setting changed, and the ceiling there: rows
//! that the server stored, copied into a staging table and put into new tables of the same schema by one statement.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cluster::{Cluster, ROLE, programs};
use crate::server::Database;
use crate::{Failure, Options};

/// What a copy of rows begins and ends with: no row has anything else.
const COPY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COPY_END: &[u8] = b"\xff\xff";

/// The months that ids of the data are of: nobody sends what is so old, and so they are not made by themselves.
const MONTHS: &str = "SELECT make_partitions('2025-01-01', 2)";

/// A cluster, with a database for each server or servers.
pub(crate) struct Postgres {
    cluster: Cluster,
    made: AtomicUsize,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self, Failure> {
        programs()?;
        // Waits for the disk, as any other does.
        Ok(Self { cluster: Cluster::start(true, &[]), made: AtomicUsize::new(0) })
    }

    /// A new database with the server's tables, and partitions for the data.
    pub(crate) async fn database(&self, options: &Options) -> Result<Database, Failure> {
        let name = format!("bench_{}", self.made.fetch_add(1, Ordering::Relaxed));
        run(&self.cluster.url(ROLE, "postgres"), &format!("CREATE DATABASE {name}")).await?;
        let database = Database::at(options, self.cluster.url(ROLE, &name))?;
        let mut migrate = Command::new(&options.program);
        let made = migrate.args(["migrate", "--database", &database.url()]).stdout(Stdio::null()).status()?;
        if !made.success() {
            return Err("the schema could not be made".into());
        }
        run(&database.url(), MONTHS).await?;
        Ok(database)
    }

    /// Removes a database that nobody is connected to any more.
    pub(crate) async fn remove(&self, database: Database) -> Result<(), Failure> {
        let url = database.url();
        let name = url.rsplit('/').next().unwrap_or_default();
        run(&self.cluster.url(ROLE, "postgres"), &format!("DROP DATABASE {name} WITH (FORCE)")).await
    }
}

async fn run(url: &str, sql: &str) -> Result<(), Failure> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// The number that a query gives.
pub(crate) async fn number(database: &Database, sql: &str) -> Result<i64, Failure> {
    let mut connection = PgConnection::connect(&database.url()).await?;
    Ok(sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await?)
}

/// Has PostgreSQL learn what is in its tables now, as it does by itself within a minute.
pub(crate) async fn analyze(database: &Database) -> Result<(), Failure> {
    let mut connection = PgConnection::connect(&database.url()).await?;
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await?;
    Ok(())
}

/// Fails unless all of these spans are stored.
pub(crate) async fn verify(database: &Database, acknowledged: &[Uuid]) -> Result<(), Failure> {
    let mut connection = PgConnection::connect(&database.url()).await?;
    let ids: Vec<&[u8]> = acknowledged.iter().map(|id| &id.as_bytes()[..]).collect();
    let count = sqlx::query_scalar("SELECT count(*) FROM spans WHERE id = ANY($1) AND payloads <> 0").bind(&ids);
    let there: i64 = count.fetch_one(&mut connection).await?;
    match ids.len() - usize::try_from(there)? {
        0 => Ok(()),
        missing => Err(format!("{missing} of {} acknowledged spans are missing", ids.len()).into()),
    }
}

/// Rows of a database, as they are copied: those of each transaction together.
pub(crate) struct Rows {
    transactions: Arc<Vec<[Vec<u8>; 2]>>,
    /// Workspaces and projects.
    places: [Vec<u8>; 2],
    spans: usize,
}

impl Rows {
    /// Those of a database, so many spans a transaction, each with what traces amount to that come in with it.
    pub(crate) async fn of(database: &Database, at_once: usize) -> Result<Self, Failure> {
        let mut connection = PgConnection::connect(&database.url()).await?;
        let connection = &mut connection;
        let spans = copied(connection, "SELECT * FROM spans ORDER BY key").await?;
        let sums = format!(
            "CREATE TEMP TABLE sums AS SELECT u.*, f.chunk FROM trace_sums u JOIN \
             (SELECT r.project, r.trace_id, min(r.chunk) AS chunk FROM \
              (SELECT project, trace_id, (row_number() OVER (ORDER BY key) - 1) / {at_once} AS chunk FROM spans) r \
              GROUP BY 1, 2) f USING (project, trace_id)"
        );
        sqlx::raw_sql(AssertSqlSafe(sums)).execute(&mut *connection).await?;
        let columns: String = sqlx::query_scalar(
            "SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute \
             WHERE attrelid = 'trace_sums'::regclass AND attnum > 0",
        )
        .fetch_one(&mut *connection)
        .await?;
        let sums = copied(connection, &format!("SELECT {columns} FROM sums ORDER BY chunk")).await?;
        let come: Vec<i64> =
            sqlx::query_scalar("SELECT chunk FROM sums ORDER BY 1").fetch_all(&mut *connection).await?;
        let (spans, sums) = (tuples(&spans)?, tuples(&sums)?);
        let mut rest = sums.iter().zip(&come).peekable();
        let transactions = spans.chunks(at_once).zip(0_i64..).map(|(spans, chunk)| {
            let sums: Vec<&[u8]> =
                std::iter::from_fn(|| rest.next_if(|(_, at)| **at == chunk)).map(|(row, _)| *row).collect();
            [copy_of(spans), copy_of(&sums)]
        });
        Ok(Self {
            transactions: Arc::new(transactions.collect()),
            spans: spans.len(),
            places: [
                copied(connection, "SELECT * FROM workspaces").await?,
                copied(connection, "SELECT * FROM projects").await?,
            ],
        })
    }

    /// Writes them on so many connections; returns the spans a second.
    pub(crate) async fn write(&self, to: &Database, connections: usize) -> Result<f64, Failure> {
        let mut connection = PgConnection::connect(&to.url()).await?;
        sqlx::raw_sql("TRUNCATE workspaces, projects CASCADE").execute(&mut connection).await?;
        for (table, rows) in ["workspaces", "projects"].into_iter().zip(&self.places) {
            copy_in(&mut connection, table, rows).await?;
        }
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut connection = PgConnection::connect(&to.url()).await?;
            sqlx::raw_sql(
                "CREATE TEMP TABLE staged_spans (LIKE spans) ON COMMIT DELETE ROWS; \
                 CREATE TEMP TABLE staged_sums (LIKE trace_sums) ON COMMIT DELETE ROWS",
            )
            .execute(&mut connection)
            .await?;
            open.push(connection);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut running = JoinSet::new();
        for mut connection in open {
            let (transactions, next) = (Arc::clone(&self.transactions), Arc::clone(&next));
            running.spawn(async move {
                while let Some([spans, sums]) = transactions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut transaction = connection.begin().await?;
                    copy_in(&mut transaction, "staged_spans", spans).await?;
                    copy_in(&mut transaction, "staged_sums", sums).await?;
                    sqlx::raw_sql(
                        "INSERT INTO spans SELECT * FROM staged_spans; \
                         INSERT INTO trace_sums SELECT * FROM staged_sums",
                    )
                    .execute(&mut *transaction)
                    .await?;
                    transaction.commit().await?;
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = self.spans as f64 / begun.elapsed().as_secs_f64();
        let there = number(to, "SELECT count(*) FROM spans").await?;
        if usize::try_from(there)? == self.spans { Ok(rate) } else { Err("the ceiling lacks rows".into()) }
    }
}

/// What a query gives, as it is copied.
async fn copied(connection: &mut PgConnection, sql: &str) -> Result<Vec<u8>, Failure> {
    let mut pieces = connection.copy_out_raw(&format!("COPY ({sql}) TO STDOUT (FORMAT binary)")).await?;
    let mut all = Vec::new();
    while let Some(piece) = pieces.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

async fn copy_in(connection: &mut PgConnection, table: &str, rows: &[u8]) -> Result<(), Failure> {
    let mut copy = connection.copy_in_raw(&format!("COPY {table} FROM STDIN (FORMAT binary)")).await?;
    copy.send(rows).await?;
    copy.finish().await?;
    Ok(())
}

/// Rows as a copy of their own.
fn copy_of(rows: &[&[u8]]) -> Vec<u8> {
    [COPY_HEAD, &rows.concat(), COPY_END].concat()
}

/// The rows of a copy: of each, how many fields there are, and each with its length before it.
fn tuples(copy: &[u8]) -> Result<Vec<&[u8]>, Failure> {
    const CUT: &str = "a copy that is cut off";
    let mut rest = copy.strip_prefix(COPY_HEAD).ok_or("not a copy as it is expected")?;
    let mut rows = Vec::new();
    while rest != COPY_END {
        let fields = i16::from_be_bytes(*rest.first_chunk().ok_or(CUT)?);
        let mut length = size_of::<i16>();
        for _ in 0..fields {
            let field = i32::from_be_bytes(*rest.get(length..).and_then(<[u8]>::first_chunk).ok_or(CUT)?);
            // A null has the length -1, and nothing after it.
            length += size_of::<i32>() + usize::try_from(field).unwrap_or_default();
        }
        let (row, after) = rest.split_at_checked(length).ok_or(CUT)?;
        rows.push(row);
        rest = after;
    }
    Ok(rows)
}
