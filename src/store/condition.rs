//! Conditions in SQL. Everything a client sends becomes a bound parameter; the text is ours alone.

use super::query::{Kind, Order, Query, SortField};
use super::sql::{Dialect, Param, Pattern};
use super::tables::Table;
use crate::filter::{Absent, Filter, Kind as FieldKind, Wanted};
use crate::json_path::JsonPath;
use crate::like::rough;
use crate::model::{Id, Operator};

/// A bound parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Real(f64),
    Bytes(Vec<u8>),
}

/// SQL with its parameters.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub dialect: Dialect,
    pub text: String,
    pub values: Vec<Value>,
}

impl Sql {
    /// None yet, for such a database.
    pub(super) fn of(dialect: Dialect) -> Self {
        Self { dialect, text: String::new(), values: Vec::new() }
    }

    /// What is bound, in order.
    pub(super) fn params(&self) -> Vec<Param<'_>> {
        self.values.iter().map(Param::from).collect()
    }

    /// Adds text.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds a value; returns the place that stands for it.
    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    /// Binds a path in JSON, as the function `json_text` takes it.
    pub(super) fn bind_path(&mut self, path: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => self.bind_text(path),
            Dialect::Postgres => self.bind_text(JsonPath::parse(path).map(|path| path.steps()).unwrap_or_default()),
        }
    }

    /// Binds a pattern that is looked for.
    pub(super) fn bind_pattern(&mut self, pattern: &str) -> Pattern {
        let whole = self.bind_text(pattern);
        let rough = if self.dialect == Dialect::Postgres { rough(pattern) } else { None };
        let is_of_ids = pattern.chars().all(|letter| letter.is_ascii_hexdigit() || "-%_\\".contains(letter));
        Pattern { whole, rough: rough.map(|rough| self.bind_text(rough)), is_of_ids }
    }

    fn bind_text(&mut self, text: impl Into<String>) -> String {
        self.bind(Value::Text(text.into()))
    }
}

/// Bytes of an id, as stored.
pub(super) fn id_value(id: Id) -> Value {
    Value::Bytes(id.0.as_bytes().to_vec())
}

/// Whether the sorting asks for what a query's rows do not have themselves.
fn sorts_by(table: &Table, order: Option<&Order>, alias: &str) -> bool {
    match order {
        Some(Order::By { field: SortField::Plain(name), .. }) => (table.sort)(name).contains(alias),
        Some(Order::By { field: SortField::Usage(_), .. }) => table.usage.contains(alias),
        _ => false,
    }
}

/// Where a query begins: with what threads are chosen from, if it is about threads.
pub(super) fn begin(dialect: Dialect, query: &Query) -> Sql {
    let mut sql = Sql::of(dialect);
    if query.of == Kind::Threads {
        threads(query, &mut sql);
    }
    sql
}

/// `WITH` the traces that count as `members` of threads, and the threads that have any as `conversations`. Both are views:
/// what a query does not ask for is not worked out.
fn threads(query: &Query, sql: &mut Sql) {
    sql.push("WITH members AS NOT MATERIALIZED (SELECT t.* FROM traces t WHERE t.thread_id IS NOT NULL");
    for (bound, comparison) in [(query.id_min, ">="), (query.id_max, "<=")] {
        if let Some(id) = bound {
            let place = sql.bind(id_value(id));
            sql.push(&format!(" AND t.id {comparison} {place}"));
        }
    }
    let since = sql.bind(Value::Integer(query.active_since));
    sql.push(&format!(
        "), conversations AS NOT MATERIALIZED (SELECT h.*, \
         (SELECT j.workspace FROM projects j WHERE j.key = h.project) AS workspace, \
         CASE WHEN h.closed <> 0 OR h.last_updated_at < {since} THEN 'inactive' ELSE 'active' END AS status \
         FROM threads h WHERE EXISTS \
         (SELECT 1 FROM members m WHERE m.project = h.project AND m.thread_id = h.thread_id)) "
    ));
}

/// ` FROM …`, and the condition that picks what a query means: `s` is the row, `p` its payloads and `u` what the spans
/// of a trace amount to, where they are asked about, be it by what is `selected`.
pub(super) fn filtered(query: &Query, order: Option<&Order>, selected: &str, sql: &mut Sql) {
    let table = query.of.table();
    let searches = query.search.is_some() && query.of != Kind::Threads;
    if selected.contains("p.")
        || sorts_by(table, order, "p.")
        || searches
        || query.filters.iter().any(Filter::needs_payloads)
    {
        let payloads = sql.dialect.payloads(table.stored, "s", "p");
        sql.push(&payloads);
    }
    if selected.contains("u.") || sorts_by(table, order, "u.") || query.filters.iter().any(Filter::needs_sums) {
        sql.push(SUMS_JOIN);
    }
    let project = sql.bind(Value::Integer(query.project));
    sql.push(&format!(" WHERE s.project = {project}"));
    if let Some(trace_id) = query.trace_id {
        let place = sql.bind(id_value(trace_id));
        sql.push(&format!(" AND s.trace_id = {place}"));
    }
    if let Some(span_type) = query.span_type {
        let place = sql.bind(Value::Integer(span_type.code()));
        sql.push(&format!(" AND s.type = {place}"));
    }
    for (bound, comparison) in [(query.id_min, ">="), (query.id_max, "<="), (query.id_below, "<")] {
        if let Some(id) = bound {
            let place = sql.bind(id_value(id));
            sql.push(&format!(" AND s.id {comparison} {place}"));
        }
    }
    if let Some(thread_id) = &query.thread_id {
        let place = sql.bind_text(thread_id);
        sql.push(&format!(" AND s.thread_id = {place}"));
    }
    if query.of == Kind::Spans {
        sql.push(NOT_PURGED);
    }
    if query.nothing {
        sql.push(" AND 1 = 0");
    }
    for filter in &query.filters {
        let condition = condition(filter, sql);
        sql.push(" AND (").push(&condition).push(")");
    }
    if let Some(pattern) = &query.search {
        let pattern = sql.bind_pattern(pattern);
        let found = (table.search)(sql.dialect, &pattern);
        sql.push(" AND ").push(&found);
    }
}

/// Leaves out spans `s` of deleted traces that are still to be removed. The first part is asked once for a whole query,
/// and nearly always true.
pub(super) const NOT_PURGED: &str = " AND (NOT EXISTS (SELECT 1 FROM purges) OR NOT EXISTS (SELECT 1 FROM purges g \
     WHERE g.project = s.project AND g.trace_id = s.trace_id AND g.last_span >= s.key))";

/// Leaves out comments `c` on what was in a project that is deleted.
pub(super) const COMMENT_IN_REACH: &str = " AND NOT EXISTS (SELECT 1 FROM projects j WHERE j.deleted_at IS NOT NULL \
     AND j.key = CASE c.entity \
     WHEN 1 THEN (SELECT s.project FROM spans s WHERE s.workspace = c.workspace AND s.id = c.entity_id) \
     WHEN 2 THEN (SELECT s.project FROM traces s WHERE s.workspace = c.workspace AND s.id = c.entity_id) \
     ELSE (SELECT h.project FROM threads h WHERE h.id = c.entity_id) END)";

/// Joins what the spans of the trace `s` amount to, as `u`.
pub(super) const SUMS_JOIN: &str =
    " LEFT JOIN trace_sums u ON u.workspace = s.workspace AND u.trace_id = s.id AND u.project = s.project";

/// ` ORDER BY …`.
pub(super) fn order_by(of: Kind, order: &Order, sql: &mut Sql) {
    let table = of.table();
    sql.push(" ORDER BY ");
    let (field, descending) = match order {
        Order::Default => {
            sql.push(table.order);
            return;
        }
        Order::ById => {
            sql.push("s.id DESC");
            return;
        }
        Order::By { field, descending } => (field, *descending),
    };
    let direction = if descending { "DESC" } else { "ASC" };
    match field {
        SortField::Plain(name) => {
            let value = (table.sort)(name);
            // What is missing comes last, whichever way the rest goes.
            if matches!(*name, "end_time" | "duration" | "ttft") {
                sql.push(&format!("({value}) IS NULL, "));
            }
            sql.push(&format!("{value} {direction}, "));
        }
        SortField::Usage(key) => {
            let place = sql.bind_text(key.as_str());
            let value = format!("usage_count({}, {place})", table.usage);
            sql.push(&format!("coalesce({value}, 0) {direction}, ({value} IS NOT NULL) {direction}, "));
        }
        SortField::FeedbackScore(name) => {
            let place = sql.bind_text(name.as_str());
            let latest = latest_scores(sql.dialect, table.scores, &format!("f.name = {place}"));
            let value = format!("(SELECT mean_score(l.value) FROM {latest} l)");
            sql.push(&format!("coalesce({value}, 0) {direction}, ({value} IS NOT NULL) {direction}, "));
        }
    }
    sql.push(table.order);
}

/// A query for the scores among `owned` that `which` picks, of each author and thing that is scored the latest.
fn latest_scores(dialect: Dialect, owned: &str, which: &str) -> String {
    let latest =
        dialect.latest_scores("f.name AS name, f.value AS value", &format!("scores f WHERE {owned} AND {which}"));
    format!("({latest})")
}

/// What is true of nothing.
const NEVER: &str = "1 = 0";

fn condition(filter: &Filter, sql: &mut Sql) -> String {
    let value = filter.field.sql;
    // What nothing has is not among some texts, and not without one either.
    if value == "NULL" {
        return NEVER.to_owned();
    }
    match filter.field.kind {
        FieldKind::String | FieldKind::Custom => text_condition(filter, &format!("lower({value})"), value, sql),
        FieldKind::StringExact => exact_condition(filter, value, sql),
        FieldKind::DateTime | FieldKind::Number => {
            let comparison = filter.operator.comparison().unwrap_or("=");
            let place = match filter.wanted {
                Wanted::Time(nanos) => sql.bind(Value::Integer(nanos)),
                Wanted::Number(number) => sql.bind(Value::Real(number)),
                _ => return NEVER.to_owned(),
            };
            format!("{value} {comparison} {place}")
        }
        FieldKind::FeedbackScores => score_condition(filter, sql),
        FieldKind::Dictionary => dictionary_condition(filter, value, sql),
        FieldKind::List => list_condition(filter, value, sql),
        FieldKind::Enum | FieldKind::EnumLegacy | FieldKind::StringList => enum_condition(filter, value, sql),
        FieldKind::ErrorContainer => {
            format!("{value} IS {}NULL", if filter.operator == Operator::IsNotEmpty { "NOT " } else { "" })
        }
    }
}

fn wanted_text(filter: &Filter) -> &str {
    if let Wanted::Text(text) = &filter.wanted { text } else { "" }
}

/// `folded` is the value in the letter case in which texts are compared, `value` as it is stored.
fn text_condition(filter: &Filter, folded: &str, value: &str, sql: &mut Sql) -> String {
    let text = wanted_text(filter);
    let exact = folded == value;
    match filter.operator {
        Operator::Contains | Operator::NotContains => {
            let has = if exact {
                format!("has_exact_text({value}, {})", sql.bind_text(text))
            } else {
                let pattern = sql.bind_pattern(text);
                sql.dialect.has_text(value, &pattern)
            };
            if filter.operator == Operator::Contains { has } else { format!("NOT {has}") }
        }
        operator => {
            let place = sql.bind_text(if exact { text.to_owned() } else { text.to_ascii_lowercase() });
            match operator {
                Operator::StartsWith => sql.dialect.starts_with(folded, &place),
                Operator::EndsWith => sql.dialect.ends_with(folded, &place),
                _ => format!("{folded} {} {place}", operator.comparison().unwrap_or("=")),
            }
        }
    }
}

fn exact_condition(filter: &Filter, value: &str, sql: &mut Sql) -> String {
    // Equality of ids is asked of the column itself, so that an index can answer.
    let column = value.strip_prefix("uuid_text(").and_then(|rest| rest.strip_suffix(')'));
    if let (Some(column), Operator::Equal) = (column, filter.operator) {
        let text = wanted_text(filter);
        return match text.parse::<Id>() {
            Ok(id) if id.to_string() == text => format!("{column} = {}", sql.bind(id_value(id))),
            _ => NEVER.to_owned(),
        };
    }
    text_condition(filter, value, value, sql)
}

fn score_condition(filter: &Filter, sql: &mut Sql) -> String {
    let name = sql.bind_text(filter.key.to_ascii_lowercase());
    let owned = filter.field.sql;
    let named = latest_scores(sql.dialect, owned, &format!("lower(f.name) = {name}"));
    let any = format!("EXISTS (SELECT 1 FROM scores f WHERE {owned}) IS TRUE");
    let compares = |comparison: &str, sql: &mut Sql| {
        let Wanted::Number(number) = filter.wanted else { return NEVER.to_owned() };
        let place = sql.bind(Value::Real(number));
        format!("EXISTS (SELECT 1 FROM {named} l GROUP BY l.name HAVING mean_score(l.value) {comparison} {place})")
    };
    match filter.operator {
        Operator::IsEmpty => format!("NOT EXISTS (SELECT 1 FROM {named} l)"),
        Operator::IsNotEmpty => format!("EXISTS (SELECT 1 FROM {named} l)"),
        // Spans without any score are not asked.
        Operator::NotEqual => format!("{any} AND NOT {}", compares("=", sql)),
        operator => compares(operator.comparison().unwrap_or("="), sql),
    }
}

fn dictionary_condition(filter: &Filter, value: &str, sql: &mut Sql) -> String {
    let number = wanted_text(filter).trim().parse::<f64>();
    let compares =
        matches!(filter.operator, Operator::Greater | Operator::GreaterEqual | Operator::Less | Operator::LessEqual);
    // Nothing is greater or less than what is no number. Told before anything is bound: every value has its place.
    if compares && number.is_err() {
        return NEVER.to_owned();
    }
    let path = sql.bind_path(&filter.key);
    let found = format!("json_text({value}, {path})");
    match filter.operator {
        Operator::IsEmpty => format!("{found} IN ('', 'null')"),
        Operator::IsNotEmpty => format!("{found} NOT IN ('', 'null')"),
        Operator::Greater | Operator::GreaterEqual | Operator::Less | Operator::LessEqual => {
            let place = sql.bind(Value::Real(number.unwrap_or_default()));
            format!("number_in({found}) {} {place}", filter.operator.comparison().unwrap_or("="))
        }
        _ => text_condition(filter, &format!("lower({found})"), &found, sql),
    }
}

fn list_condition(filter: &Filter, value: &str, sql: &mut Sql) -> String {
    let wanted = wanted_text(filter);
    let some = match filter.operator {
        Operator::IsEmpty => return format!("{value} = '[]'"),
        Operator::IsNotEmpty => return format!("{value} <> '[]'"),
        Operator::Equal | Operator::NotEqual => {
            let place = sql.bind_text(wanted);
            format!("(EXISTS (SELECT 1 FROM json_each({value}) t WHERE t.value = {place}) IS TRUE)")
        }
        _ => {
            let pattern = sql.bind_pattern(wanted);
            format!("({} IS TRUE)", Dialect::has_item(value, &pattern))
        }
    };
    let not = matches!(filter.operator, Operator::NotEqual | Operator::NotContains);
    if not { format!("NOT {some}") } else { some }
}

fn enum_condition(filter: &Filter, value: &str, sql: &mut Sql) -> String {
    let absent = if let Absent::As(text) = filter.field.absent { text } else { "" };
    match (filter.operator, &filter.wanted) {
        (Operator::IsEmpty, _) => format!("({value}) = '{absent}'"),
        (Operator::IsNotEmpty, _) => format!("({value}) <> '{absent}'"),
        (operator, Wanted::AnyOf(items)) => {
            let list = sql.bind_text(serde_json::to_string(items).unwrap_or_default());
            let not = if operator == Operator::NotIn { "NOT " } else { "" };
            format!("({value}) {not}IN (SELECT t.value FROM json_each({list}) t)")
        }
        (operator, _) => {
            let place = sql.bind_text(wanted_text(filter));
            format!("({value}) {} {place}", operator.comparison().unwrap_or("="))
        }
    }
}
