//! Conditions in SQL. Everything a client sends becomes a bound parameter; the text is ours alone.

use super::query::{Order, SortField, SpanQuery};
use crate::filter::{Absent, Filter, Kind, Wanted};
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
#[derive(Debug, Default, Clone)]
pub(super) struct Sql {
    pub text: String,
    pub values: Vec<Value>,
}

impl Sql {
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

    fn bind_text(&mut self, text: impl Into<String>) -> String {
        self.bind(Value::Text(text.into()))
    }
}

/// Bytes of an id, as stored.
pub(super) fn id_value(id: Id) -> Value {
    Value::Bytes(id.0.as_bytes().to_vec())
}

/// The condition that picks a query's spans, to follow `FROM spans s`, with `p` for the payloads where they are asked
/// about.
pub(super) fn filtered(query: &SpanQuery, order: Option<&Order>, sql: &mut Sql) {
    let sorts_payloads =
        matches!(order, Some(Order::By { field: SortField::Plain("input" | "output" | "metadata"), .. }));
    if sorts_payloads || query.search.is_some() || query.filters.iter().any(Filter::needs_payloads) {
        sql.push(" LEFT JOIN span_payloads p ON p.span = s.key");
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
    for filter in &query.filters {
        let condition = condition(filter, sql);
        sql.push(" AND (").push(&condition).push(")");
    }
    if let Some(pattern) = &query.search {
        let place = sql.bind_text(pattern);
        let texts = [
            "uuid_text(s.id)",
            "uuid_text(s.trace_id)",
            "s.name",
            "s.model",
            "s.provider",
            "plain_json(p.input)",
            "plain_json(p.output)",
            "plain_json(p.metadata)",
        ];
        let any: Vec<String> = texts.iter().map(|text| format!("has_text({text}, {place})")).collect();
        let span_type =
            crate::filter::SPAN_FIELDS.iter().find(|field| field.name == "type").map_or("''", |field| field.sql);
        sql.push(&format!(
            " AND ({} OR has_text({span_type}, {place}) \
             OR EXISTS (SELECT 1 FROM json_each(ifnull(s.tags, '[]')) t WHERE has_text(t.value, {place})))",
            any.join(" OR ")
        ));
    }
}

/// ` ORDER BY …`.
pub(super) fn order_by(order: &Order, sql: &mut Sql) {
    const BY_TRACE: &str = "s.trace_id DESC, s.parent_span_id DESC, s.id DESC";
    sql.push(" ORDER BY ");
    let (field, descending) = match order {
        Order::ByTrace => {
            sql.push(BY_TRACE);
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
            let value = sort_value(name);
            // What is missing comes last, whichever way the rest goes.
            if matches!(*name, "end_time" | "duration" | "ttft") {
                sql.push(&format!("({value}) IS NULL, "));
            }
            sql.push(&format!("{value} {direction}, "));
        }
        SortField::Usage(key) => {
            let place = sql.bind_text(key.as_str());
            let value = format!("usage_count(s.usage, {place})");
            sql.push(&format!("ifnull({value}, 0) {direction}, ({value} IS NOT NULL) {direction}, "));
        }
        SortField::FeedbackScore(name) => {
            let place = sql.bind_text(name.as_str());
            let value = format!("(SELECT mean_score(l.value) FROM {} l)", latest_scores(&format!("f.name = {place}")));
            sql.push(&format!("ifnull({value}, 0) {direction}, ({value} IS NOT NULL) {direction}, "));
        }
    }
    sql.push(BY_TRACE);
}

fn sort_value(name: &str) -> &'static str {
    match name {
        "id" => "s.id",
        "name" => "ifnull(s.name, '')",
        "type" => "s.type",
        "trace_id" => "s.trace_id",
        "parent_span_id" => "ifnull(s.parent_span_id, x'')",
        "input" => "ifnull(p.input, '')",
        "output" => "ifnull(p.output, '')",
        "metadata" => "ifnull(p.metadata, '')",
        "start_time" => "s.start_time",
        "end_time" => "s.end_time",
        "duration" => {
            "CASE WHEN s.end_time IS NULL OR s.start_time = 0 THEN NULL ELSE s.end_time / 1000 - s.start_time / 1000 END"
        }
        "ttft" => "s.ttft",
        "tags" => "ifnull((SELECT group_concat(t.value, char(1)) FROM json_each(s.tags) t), '')",
        "created_at" => "s.created_at",
        "last_updated_at" => "s.last_updated_at",
        "model" => "ifnull(s.model, '')",
        "provider" => "ifnull(s.provider, '')",
        "total_estimated_cost" => "ifnull(s.cost_value, 0)",
        "error_info" => "ifnull(s.error_info, '')",
        "created_by" => "s.created_by",
        _ => "ifnull(s.environment, '')",
    }
}

/// A query for the scores of the span `s` that `which` picks, of each author the latest.
fn latest_scores(which: &str) -> String {
    format!(
        "(SELECT f.name AS name, f.value AS value, max(f.last_updated_at) FROM span_scores f \
         WHERE f.workspace = s.workspace AND f.span_id = s.id AND {which} GROUP BY f.name, f.author)"
    )
}

fn condition(filter: &Filter, sql: &mut Sql) -> String {
    let value = filter.field.sql;
    match filter.field.kind {
        Kind::String | Kind::Custom => text_condition(filter, &format!("lower({value})"), value, "has_text", sql),
        Kind::StringExact => exact_condition(filter, value, sql),
        Kind::DateTime | Kind::Number => {
            let comparison = filter.operator.comparison().unwrap_or("=");
            let place = match filter.wanted {
                Wanted::Time(nanos) => sql.bind(Value::Integer(nanos)),
                Wanted::Number(number) => sql.bind(Value::Real(number)),
                _ => return "0".to_owned(),
            };
            format!("{value} {comparison} {place}")
        }
        Kind::FeedbackScores => score_condition(filter, sql),
        Kind::Dictionary => dictionary_condition(filter, value, sql),
        Kind::List => list_condition(filter, value, sql),
        Kind::Enum | Kind::EnumLegacy => enum_condition(filter, value, sql),
        Kind::ErrorContainer => {
            format!("{value} IS {}NULL", if filter.operator == Operator::IsNotEmpty { "NOT " } else { "" })
        }
    }
}

fn wanted_text(filter: &Filter) -> &str {
    if let Wanted::Text(text) = &filter.wanted { text } else { "" }
}

/// `folded` is the value in the letter case in which texts are compared, `value` as it is stored.
fn text_condition(filter: &Filter, folded: &str, value: &str, has: &str, sql: &mut Sql) -> String {
    let text = wanted_text(filter);
    match filter.operator {
        Operator::Contains => format!("{has}({value}, {})", sql.bind_text(text)),
        Operator::NotContains => format!("NOT {has}({value}, {})", sql.bind_text(text)),
        operator => {
            let exact = folded == value;
            let place = sql.bind_text(if exact { text.to_owned() } else { text.to_ascii_lowercase() });
            match operator {
                Operator::StartsWith => format!("substr({folded}, 1, length({place})) = {place}"),
                Operator::EndsWith => format!("length({place}) = 0 OR substr({folded}, -length({place})) = {place}"),
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
            _ => "0".to_owned(),
        };
    }
    text_condition(filter, value, value, "has_exact_text", sql)
}

fn score_condition(filter: &Filter, sql: &mut Sql) -> String {
    let name = sql.bind_text(filter.key.to_ascii_lowercase());
    let named = latest_scores(&format!("lower(f.name) = {name}"));
    let any = "EXISTS (SELECT 1 FROM span_scores f WHERE f.workspace = s.workspace AND f.span_id = s.id)";
    let compares = |comparison: &str, sql: &mut Sql| {
        let Wanted::Number(number) = filter.wanted else { return "0".to_owned() };
        let place = sql.bind(Value::Real(number));
        format!("EXISTS (SELECT 1 FROM {named} l GROUP BY l.name HAVING mean_score(l.value) {comparison} {place})")
    };
    match filter.operator {
        Operator::IsEmpty => format!("NOT EXISTS (SELECT 1 FROM {named})"),
        Operator::IsNotEmpty => format!("EXISTS (SELECT 1 FROM {named})"),
        // Spans without any score are not asked.
        Operator::NotEqual => format!("{any} AND NOT {}", compares("=", sql)),
        operator => compares(operator.comparison().unwrap_or("="), sql),
    }
}

fn dictionary_condition(filter: &Filter, value: &str, sql: &mut Sql) -> String {
    let path = sql.bind_text(filter.key.as_str());
    let found = format!("json_text({value}, {path})");
    match filter.operator {
        Operator::IsEmpty => format!("{found} IN ('', 'null')"),
        Operator::IsNotEmpty => format!("{found} NOT IN ('', 'null')"),
        Operator::Greater | Operator::GreaterEqual | Operator::Less | Operator::LessEqual => {
            let Ok(number) = wanted_text(filter).trim().parse::<f64>() else { return "0".to_owned() };
            let place = sql.bind(Value::Real(number));
            format!("number_in({found}) {} {place}", filter.operator.comparison().unwrap_or("="))
        }
        _ => text_condition(filter, &format!("lower({found})"), &found, "has_text", sql),
    }
}

fn list_condition(filter: &Filter, value: &str, sql: &mut Sql) -> String {
    let some = |test: &str| format!("EXISTS (SELECT 1 FROM json_each({value}) t WHERE {test})");
    match filter.operator {
        Operator::IsEmpty => format!("{value} = '[]'"),
        Operator::IsNotEmpty => format!("{value} <> '[]'"),
        operator => {
            let place = sql.bind_text(wanted_text(filter));
            match operator {
                Operator::Equal => some(&format!("t.value = {place}")),
                Operator::NotEqual => format!("NOT {}", some(&format!("t.value = {place}"))),
                Operator::NotContains => format!("NOT {}", some(&format!("has_text(t.value, {place})"))),
                _ => some(&format!("has_text(t.value, {place})")),
            }
        }
    }
}

fn enum_condition(filter: &Filter, value: &str, sql: &mut Sql) -> String {
    let absent = if let Absent::As(text) = filter.field.absent { text } else { "" };
    match (filter.operator, &filter.wanted) {
        (Operator::IsEmpty, _) => format!("({value}) = '{absent}'"),
        (Operator::IsNotEmpty, _) => format!("({value}) <> '{absent}'"),
        (operator, Wanted::AnyOf(items)) => {
            let places: Vec<String> = items.iter().map(|item| sql.bind_text(item.as_str())).collect();
            let not = if operator == Operator::NotIn { "NOT " } else { "" };
            format!("({value}) {not}IN ({})", places.join(", "))
        }
        (operator, _) => {
            let place = sql.bind_text(wanted_text(filter));
            format!("({value}) {} {place}", operator.comparison().unwrap_or("="))
        }
    }
}
