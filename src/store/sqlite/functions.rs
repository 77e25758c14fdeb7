//! Functions that conditions need and SQLite lacks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bigdecimal::BigDecimal;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use crate::json_path::JsonPath;
use crate::like::Like;
use crate::model::{Decimal, Id, Timestamp};
use crate::record::{DAY_NANOS, mean_score};
use crate::store::sums::COST_FRACTION_DIGITS;

/// Adds them to a connection.
pub(super) fn add(connection: &Connection) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("uuid_text", 1, pure, |context| {
        let id = uuid::Uuid::from_slice(context.get_raw(0).as_bytes().unwrap_or_default());
        Ok(id.map(|id| id.to_string()).unwrap_or_default())
    })?;
    connection.create_scalar_function("day_start", 1, pure, |context| {
        let id = uuid::Uuid::from_slice(context.get_raw(0).as_bytes().unwrap_or_default()).map(Id);
        let midnight = |id: Id| id.time().nanos() / DAY_NANOS * DAY_NANOS;
        Ok(id.ok().map(|id| Id::at(Timestamp::from_nanos(midnight(id)), false).0.as_bytes().to_vec()))
    })?;
    connection.create_scalar_function(
        "plain_json",
        1,
        pure,
        |context| Ok(plain_json(text(context, 0)).into_owned()),
    )?;
    connection.create_scalar_function("has_text", 2, pure, |context| has(context, true, text(context, 0)))?;
    connection.create_scalar_function("has_exact_text", 2, pure, |context| has(context, false, text(context, 0)))?;
    // A text from one function to another is a copy of it.
    connection.create_scalar_function("json_has_text", 2, pure, |context| {
        has(context, true, &plain_json(text(context, 0)))
    })?;
    connection.create_scalar_function("json_text", 2, pure, |context| {
        let path = context.get_or_create_aux(1, |path| -> std::result::Result<_, Nothing> {
            Ok(path.as_str().ok().and_then(JsonPath::parse))
        })?;
        let json = text(context, 0);
        Ok(path.as_ref().as_ref().map_or_else(String::new, |path| path.text_in(json).into_owned()))
    })?;
    connection.create_scalar_function("number_in", 1, pure, |context| {
        Ok(text(context, 0).trim().parse::<f64>().ok().filter(|number| !number.is_nan()))
    })?;
    connection.create_scalar_function("usage_count", 2, pure, |context| {
        let counts: BTreeMap<String, i64> = serde_json::from_str(text(context, 0)).unwrap_or_default();
        Ok(counts.get(text(context, 1)).copied())
    })?;
    connection.create_aggregate_function("mean_score", 1, pure, MeanScore)?;
    connection.create_aggregate_function("usage_sums", 1, pure, UsageSums)?;
    connection.create_aggregate_function("decimal_sum", 1, pure, DecimalSum)
}

/// A JSON text in which letters stand as they are, not as `\u00e9`: some clients escape them, people who search do not.
fn plain_json(json: &str) -> Cow<'_, str> {
    let has = |escape: &str| memchr::memmem::find(json.as_bytes(), escape.as_bytes()).is_some();
    let Some(first) = json.find('\\').filter(|_| has("\\u") || has("\\/")) else { return Cow::Borrowed(json) };
    let mut plain = String::with_capacity(json.len());
    let (before, mut rest) = json.split_at(first);
    plain.push_str(before);
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match rest.as_bytes().get(1) {
            // Two halves of one letter belong together.
            Some(b'u') if rest.get(6..8) == Some("\\u") => 12,
            Some(b'u') => 6,
            _ => 2,
        };
        let lengths = if length == 12 { [12, 6] } else { [length, length] };
        let decoded = lengths.into_iter().find_map(|length| {
            let escape = rest.get(..length)?;
            let text: String = serde_json::from_str(&format!("\"{escape}\"")).ok()?;
            // Of two escapes in a row, only a pair of halves is one letter.
            (length != 12 || text.chars().count() == 1).then_some((escape, text))
        });
        let Some((escape, text)) = decoded else {
            plain.push_str(&rest[..rest.len().min(2)]);
            rest = rest.get(2..).unwrap_or_default();
            continue;
        };
        match text.chars().next() {
            Some(letter) if letter >= ' ' && letter != '"' && letter != '\\' => plain.push(letter),
            _ => plain.push_str(escape),
        }
        rest = &rest[escape.len()..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// A failure that does not happen.
#[derive(Debug, thiserror::Error)]
enum Nothing {}

fn text<'a>(context: &'a Context<'_>, at: usize) -> &'a str {
    match context.get_raw(at) {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        _ => "",
    }
}

fn has(context: &Context<'_>, any_case: bool, text: &str) -> Result<bool> {
    let pattern = context.get_or_create_aux(1, |pattern| -> std::result::Result<_, Nothing> {
        Ok(Like::anywhere(pattern.as_str().unwrap_or_default(), any_case))
    })?;
    Ok(pattern.is_in(text))
}

/// The mean of exact decimals, as scores are shown.
struct MeanScore;

impl Aggregate<Vec<String>, Option<f64>> for MeanScore {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, values: &mut Vec<String>) -> Result<()> {
        values.push(text(context, 0).to_owned());
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, values: Option<Vec<String>>) -> Result<Option<f64>> {
        let values: Vec<_> = values.unwrap_or_default().iter().filter_map(|value| value.parse().ok()).collect();
        Ok(mean_score(&values).map(|mean| mean.to_f64()))
    }
}

/// The sums of token counts by name; nothing where there are none.
struct UsageSums;

impl Aggregate<BTreeMap<String, i64>, Option<String>> for UsageSums {
    fn init(&self, _: &mut Context<'_>) -> Result<BTreeMap<String, i64>> {
        Ok(BTreeMap::new())
    }

    fn step(&self, context: &mut Context<'_>, sums: &mut BTreeMap<String, i64>) -> Result<()> {
        let counts: BTreeMap<String, i64> = serde_json::from_str(text(context, 0)).unwrap_or_default();
        for (name, count) in counts {
            let sum = sums.entry(name).or_default();
            *sum = sum.saturating_add(count);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sums: Option<BTreeMap<String, i64>>) -> Result<Option<String>> {
        Ok(sums.filter(|sums| !sums.is_empty()).and_then(|sums| serde_json::to_string(&sums).ok()))
    }
}

/// The exact sum of decimals; nothing where there are none.
struct DecimalSum;

impl Aggregate<Option<BigDecimal>, Option<String>> for DecimalSum {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<BigDecimal>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<BigDecimal>) -> Result<()> {
        if let Ok(more) = text(context, 0).parse::<Decimal>() {
            *sum.get_or_insert_default() += more.exact();
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<BigDecimal>>) -> Result<Option<String>> {
        Ok(sum.flatten().map(|sum| Decimal::cut(&sum, COST_FRACTION_DIGITS).as_str().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_as_they_are() {
        for (json, wanted) in [
            (r#"{"q":"O\u00f9 \/ \u00c9\n"}"#, "{\"q\":\"Où / É\\n\"}"),
            (r#""\ud83d\ude00\u0041\u0042""#, "\"😀AB\""),
            (r#""\u0022\u005c\u0001""#, r#""\u0022\u005c\u0001""#),
            (r#""\\u0041""#, r#""\\u0041""#),
            (r#""\ud800x""#, r#""\ud800x""#),
            (r#""plain é""#, "\"plain é\""),
        ] {
            assert_eq!(plain_json(json), wanted, "{json}");
        }
    }
}
