//! Finding the first of many by going through them in order, where a database may think of reading all and sorting what
//! it finds: it guesses how many match, and of a text nobody can say.

use super::read::{count, read_handle};
use super::{Connection, Dialect, rows_of};
use crate::filter::Filter;
use crate::store::condition::{Sql, Value, filtered, order_by};
use crate::store::query::Handle;
use crate::store::{Kind, Order, Query, StoreError};

/// How many rows are gone through before anything else is tried. Chosen: some ten milliseconds.
const ROWS_FIRST: u64 = 5_000;

/// So many times more are gone through next: what was in vain is a tenth of it.
const ROWS_GROWTH: u64 = 10;

/// As long as it is no more than this part of all that there is: then reading all, on several processors, is not slower.
const ROWS_PART: u64 = 4;

/// Whether going through what is meant in order, by an index, may be better than what the database would do.
fn is_worthwhile(dialect: Dialect, query: &Query, order: &Order) -> bool {
    // The other database does so anyway.
    dialect == Dialect::Postgres
        && query.of != Kind::Threads
        && !matches!(order, Order::By { .. })
        && query.trace_id.is_none()
        && query.thread_id.is_none()
        && (query.span_type.is_some() || query.search.is_some() || !query.filters.is_empty())
        && !query.filters.iter().any(Filter::is_one_id)
}

/// So many of what is meant, in order, if they are soon found.
pub(super) fn found<C: Connection>(
    connection: &C,
    query: &Query,
    order: &Order,
    (limit, offset): (u64, u64),
) -> Result<Option<Vec<Handle>>, StoreError> {
    if !is_worthwhile(C::DIALECT, query, order) {
        return Ok(None);
    }
    let mut there = None;
    let mut rows = ROWS_FIRST;
    loop {
        if offset.saturating_add(limit) <= rows {
            let found = among(connection, query, order, rows, (limit, offset))?;
            if found.len() as u64 == limit {
                return Ok(Some(found));
            }
        }
        let all = match there {
            Some(all) => all,
            None => *there.insert(count(connection, &Query::all(query.of, query.project))?),
        };
        rows *= ROWS_GROWTH;
        if rows > all / ROWS_PART {
            return Ok(None);
        }
    }
}

/// What is meant among the first of all that are in the project, and in the range of ids.
fn among<C: Connection>(
    connection: &C,
    query: &Query,
    order: &Order,
    rows: u64,
    (limit, offset): (u64, u64),
) -> Result<Vec<Handle>, StoreError> {
    let whole = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let mut sql = Sql::of(C::DIALECT);
    sql.push(&format!("SELECT s.key, s.project, s.id FROM (SELECT s.* FROM {} s", query.of.table().rows));
    let any = Query { span_type: None, filters: Vec::new(), search: None, ..query.clone() };
    filtered(&any, None, "", &mut sql);
    order_by(query.of, order, &mut sql);
    let rows = sql.bind(whole(rows));
    sql.push(&format!(" LIMIT {rows}) s"));
    filtered(query, Some(order), "", &mut sql);
    order_by(query.of, order, &mut sql);
    let (limit, offset) = (sql.bind(whole(limit)), sql.bind(whole(offset)));
    sql.push(&format!(" LIMIT {limit} OFFSET {offset}"));
    rows_of(connection, &sql, |row| read_handle(row))
}
