//! The schema: which one a database has, and how it gets to the one that this program needs.
//!
//! All of it is one transaction with a lock: of servers that start at once, one migrates, and the others then see that
//! nothing is left to do.

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::address::Address;
use crate::store::{StoreError, Upgrade};

/// How long migrating may take.
const TIME_MAX: std::time::Duration = std::time::Duration::from_hours(1);

/// How long a migration waits for those who use a table: whoever comes after it waits for both.
const LOCK: &str = "SET LOCAL lock_timeout = 2000";

/// How often it is tried, and how long others have their turn in between.
const TRIES: u32 = 100;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Months that partitions are made for when a server starts: some before, for what comes late, and some ahead.
const MAKE_PARTITIONS: &str = "SELECT make_partitions((now() AT TIME ZONE 'UTC')::date - 62, 6)";

fn migrations() -> sqlx::migrate::Migrator {
    let mut migrations = sqlx::migrate!("src/store/migrations/postgres");
    // The lock would be the session's: a pooler gives sessions to several.
    migrations.set_locking(false);
    migrations
}

fn failed(address: &Address, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Other(format!("cannot open the database {address}: {reason}").into())
}

/// Brings the database to the newest schema.
pub(super) async fn migrate(address: &Address) -> Result<Upgrade, StoreError> {
    let mut tried = 0;
    loop {
        tried += 1;
        // A new one each time: a pooler may have given what the last one prepared to others.
        let mut connection = address.connect_first().await.map_err(|error| failed(address, error))?;
        let upgrade = migrate_on(&mut connection, address).await;
        let _ = connection.close().await;
        match upgrade {
            Ok(upgrade) => return Ok(upgrade),
            Err(Unmade::Failed(error)) => return Err(error),
            Err(Unmade::Held) if tried < TRIES => tokio::time::sleep(PAUSE).await,
            Err(Unmade::Held) => return Err(failed(address, "other programs hold its tables. Nothing was changed")),
        }
    }
}

/// Why nothing was migrated.
enum Unmade {
    /// Somebody does something with a table for longer than others should wait behind a migration.
    Held,
    Failed(StoreError),
}

impl From<StoreError> for Unmade {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

async fn migrate_on(connection: &mut PgConnection, address: &Address) -> Result<Upgrade, Unmade> {
    let driver = |error: sqlx::Error| failed(address, error);
    let mut transaction = connection.begin().await.map_err(driver)?;
    if let Some(schema) = &address.schema {
        let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
            .persistent(false)
            .bind(schema)
            .fetch_one(&mut *transaction)
            .await
            .map_err(driver)?;
        if !there {
            let make = format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"");
            transaction.execute(sqlx::raw_sql(AssertSqlSafe(make))).await.map_err(driver)?;
        }
    }
    let begin = format!(
        "{}; SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.spandrel.migrate', 0))",
        address.settings(TIME_MAX)
    );
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await.map_err(driver)?;
    let upgrade = look(&mut transaction, address).await?;
    let made = async {
        transaction.execute(sqlx::raw_sql(LOCK)).await?;
        if upgrade.is_needed() {
            // It gives its statements names. A pooler would give the connection that knows them to others.
            transaction.execute(sqlx::raw_sql("DEALLOCATE ALL")).await?;
            migrations().run(&mut *transaction).await?;
            transaction.execute(sqlx::raw_sql("DEALLOCATE ALL")).await?;
        }
        transaction.execute(sqlx::raw_sql(MAKE_PARTITIONS)).await?;
        Ok::<_, MigrateError>(())
    };
    made.await.map_err(|error| if is_held(&error) { Unmade::Held } else { failed(address, error).into() })?;
    transaction.commit().await.map_err(driver)?;
    Ok(upgrade)
}

fn is_held(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // A table was held for too long, or by somebody who waited for another one that this holds.
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

/// What migrating would do. Changes nothing.
pub(super) async fn check(address: &Address) -> Result<Upgrade, StoreError> {
    let mut connection = address.connect_first().await.map_err(|error| failed(address, error))?;
    let driver = |error: sqlx::Error| failed(address, error);
    let mut transaction = connection.begin().await.map_err(driver)?;
    let begin = address.settings(TIME_MAX);
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await.map_err(driver)?;
    let upgrade = look(&mut transaction, address).await;
    drop(transaction);
    let _ = connection.close().await;
    upgrade
}

/// Whether servers that know schemas up to this one can go on with a newer one.
async fn goes_on(connection: &mut PgConnection, known: i64) -> Result<bool, sqlx::Error> {
    let oldest = sqlx::query_scalar("SELECT oldest FROM compatible").persistent(false);
    let oldest: Option<i64> = oldest.fetch_optional(connection).await?;
    Ok(oldest.is_some_and(|oldest| oldest <= known))
}

async fn look(connection: &mut PgConnection, address: &Address) -> Result<Upgrade, StoreError> {
    let driver = |error: sqlx::Error| failed(address, error);
    let migrations = migrations();
    let to = migrations.iter().last().map_or(0, |migration| migration.version);
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(driver)?;
    if !known {
        return Ok(Upgrade { from: 0, to });
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
            .map_err(driver)?;
    let from = applied.last().map_or(0, |(version, _)| *version);
    if from > to && !goes_on(connection, to).await.map_err(driver)? {
        let version = env!("CARGO_PKG_VERSION");
        let reason = format!(
            "it has schema {from:04}, made by a newer Spandrel; this one, {version}, knows schemas up to {to:04}. \
             Nothing was changed"
        );
        return Err(failed(address, reason));
    }
    let expected = migrations.iter().map(|migration| (migration.version, &*migration.checksum));
    for ((version, checksum), expected) in applied.iter().zip(expected) {
        if (*version, &**checksum) != expected {
            let reason = format!(
                "its migration {version:04} is not the one that this program has: it was made by another variant of \
                 Spandrel, or a migration was edited after its release. Nothing was changed"
            );
            return Err(failed(address, reason));
        }
    }
    Ok(Upgrade { from, to })
}
