//! New indices of what is kept in partitions, made one partition after the other while all servers write.
//!
//! A migration says what there is to be, which takes a moment: `CREATE INDEX … ON ONLY spans …`. It is of no use until each
//! partition has its own, which this makes after the server has started. Servers that do so at once do it once.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::address::Address;
use super::errors::from_sqlx;
use crate::store::StoreError;

/// The statements that are left for the next partition without such an index: the newest is asked most.
const NEXT: &str = "\
    SELECT CASE WHEN to_regclass(w.name) IS NOT NULL THEN format('DROP INDEX CONCURRENTLY %s', w.name) END, \
        format('CREATE %sINDEX CONCURRENTLY %I ON %s%s', w.uniqueness, w.short, w.place, w.rest), \
        format('ALTER INDEX %s ATTACH PARTITION %s', w.parent, w.name) \
    FROM (SELECT CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END AS uniqueness, p.relname AS partition, \
            left(c.relname, 40) || substr(p.relname, length(r.relname) + 1) AS short, \
            format('%I.%I', $1, left(c.relname, 40) || substr(p.relname, length(r.relname) + 1)) AS name, \
            format('%I.%I', $1, c.relname) AS parent, format('%I.%I', $1, p.relname) AS place, \
            substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*$') AS rest \
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
        JOIN pg_inherits t ON t.inhparent = i.indrelid JOIN pg_class p ON p.oid = t.inhrelid \
        JOIN pg_class r ON r.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'I' AND NOT i.indisvalid AND n.nspname = $1 AND NOT EXISTS \
            (SELECT 1 FROM pg_inherits x JOIN pg_index y ON y.indexrelid = x.inhrelid \
            WHERE x.inhparent = i.indexrelid AND y.indrelid = p.oid)) w \
    ORDER BY w.partition DESC LIMIT 1";

/// Makes what is missing; what cannot be made now is made when the next server starts.
pub(super) async fn finish(address: Address) {
    match try_finish(&address).await {
        Ok(0) => {}
        Ok(made) => tracing::info!("{made} indices of partitions were made"),
        Err(error) => tracing::warn!(%error, "an index of a partition could not be made"),
    }
}

async fn try_finish(address: &Address) -> Result<u64, StoreError> {
    let mut keeper = address.connect().await?;
    let mut made = 0;
    // The lock is a transaction's, as poolers give sessions to several; what it protects cannot be in a transaction.
    let mut lock = keeper.begin().await.map_err(from_sqlx)?;
    if let Some(schema) = take(address, &mut lock).await.map_err(from_sqlx)? {
        let mut maker = None;
        while let Some(statements) = next(&mut lock, &schema).await.map_err(from_sqlx)? {
            let maker = match &mut maker {
                Some(maker) => maker,
                none => none.insert(address.connect().await?),
            };
            // One that broke off is begun anew.
            let (begun, make, attach) = statements;
            for statement in begun.into_iter().chain([make, attach]) {
                maker.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.map_err(from_sqlx)?;
            }
            made += 1;
        }
        if let Some(maker) = maker {
            let _ = maker.close().await;
        }
    }
    drop(lock);
    let _ = keeper.close().await;
    Ok(made)
}

/// The schema of the tables, unless another server is at it.
async fn take(address: &Address, lock: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    lock.execute(sqlx::raw_sql(AssertSqlSafe(address.schema_setting()))).await?;
    let schema = sqlx::query_scalar("SELECT current_schema()").persistent(false);
    let schema: String = schema.fetch_one(&mut *lock).await?;
    let mine = "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || '.spandrel.indices', 0))";
    let mine: bool = sqlx::query_scalar(mine).persistent(false).bind(&schema).fetch_one(&mut *lock).await?;
    // Names are told with their schemas.
    lock.execute(sqlx::raw_sql("SET LOCAL search_path = ''")).await?;
    Ok(mine.then_some(schema))
}

async fn next(lock: &mut PgConnection, schema: &str) -> Result<Option<(Option<String>, String, String)>, sqlx::Error> {
    sqlx::query_as(NEXT).persistent(false).bind(schema).fetch_optional(lock).await
}
