//! From what a client sends to what is asked.

use serde_json::Value;

use super::field::{all, named};
use super::{Field, Kind};
use crate::json_path::JsonPath;
use crate::model::{Operator, SpanFilter, SpanType, Timestamp};

/// A condition that means something.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// What is asked about.
    pub field: &'static Field,
    /// What is asked.
    pub operator: Operator,
    /// Path or score name, where the field has them.
    pub key: String,
    /// What it is compared with.
    pub wanted: Wanted,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// Nanoseconds since 1970.
    Time(i64),
    /// Any of these texts.
    AnyOf(Vec<String>),
}

/// A condition that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Which of the filters, from 0; none if they are no list of filters at all.
    pub index: Option<usize>,
    /// Its member that is wrong.
    pub member: &'static str,
    /// What is wrong, as the original says it.
    pub message: String,
    /// What would be right.
    pub allowed: String,
}

/// Most filters in one request. Chosen: SQLite takes no expression that is 1,000 deep.
const FILTERS_MAX: usize = 500;

/// Fails if there are more filters than can be asked together.
fn not_too_many(number: usize) -> Result<(), FilterError> {
    if number <= FILTERS_MAX {
        return Ok(());
    }
    let message = format!("Cannot have more than {FILTERS_MAX} filters");
    Err(FilterError { index: None, member: "", message, allowed: format!("at most {FILTERS_MAX} filters") })
}

/// Reads the filters in a query parameter: a JSON array, or nothing.
///
/// # Errors
/// The first filter that means nothing.
pub fn parse_json(fields: &'static [Field], text: &str) -> Result<Vec<Filter>, FilterError> {
    let invalid = |index, member, allowed: String| FilterError {
        index,
        member,
        message: format!("Invalid filters query parameter '{text}'"),
        allowed,
    };
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<Value> =
        serde_json::from_str(text).map_err(|error| invalid(None, "", format!("a JSON array of filters: {error}")))?;
    not_too_many(list.len())?;
    let mut filters = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        let Value::Object(members) = item else { return Err(invalid(Some(index), "", "an object".to_owned())) };
        let text_of = |name: &'static str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(scalar @ (Value::Number(_) | Value::Bool(_))) if name == "value" => Ok(Some(scalar.to_string())),
            Some(_) => Err(invalid(Some(index), name, "a string".to_owned())),
        };
        let operator = match text_of("operator")? {
            Some(name) => {
                Some(Operator::named(&name).ok_or_else(|| invalid(Some(index), "operator", names(&Operator::ALL)))?)
            }
            None => None,
        };
        let sent = SpanFilter { field: text_of("field")?, operator, key: text_of("key")?, value: text_of("value")? };
        let filter = one(fields, index, sent, &|member, allowed| invalid(Some(index), member, allowed))?;
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    Ok(filters)
}

/// Makes sense of the filters in a body.
///
/// # Errors
/// The first filter that means nothing.
pub fn validate(fields: &'static [Field], sent: Vec<SpanFilter>) -> Result<Vec<Filter>, FilterError> {
    not_too_many(sent.len())?;
    sent.into_iter()
        .enumerate()
        .map(|(index, filter)| {
            let shown = filter.field.clone().unwrap_or_default();
            one(fields, index, filter, &|member, allowed| FilterError {
                index: Some(index),
                member,
                message: format!("Invalid filter {index} (field '{shown}')"),
                allowed,
            })
        })
        .collect()
}

fn names(operators: &[Operator]) -> String {
    format!("one of {}", operators.iter().map(|operator| operator.name()).collect::<Vec<_>>().join(", "))
}

fn field_names(fields: &'static [Field]) -> String {
    let names: Vec<_> = all(fields).map(|field| field.name).collect();
    format!("one of {}", names.join(", "))
}

fn one(
    fields: &'static [Field],
    index: usize,
    sent: SpanFilter,
    invalid: &dyn Fn(&'static str, String) -> FilterError,
) -> Result<Filter, FilterError> {
    let field = sent.field.as_deref().and_then(|name| named(fields, name));
    let field = field.ok_or_else(|| invalid("field", field_names(fields)))?;
    let operator = sent.operator.ok_or_else(|| invalid("operator", names(field.kind.operators())))?;
    let (value, key) = (sent.value, sent.key.unwrap_or_default());
    if value.is_none() && !operator.is_about_presence() {
        return Err(invalid("value", "a string".to_owned()));
    }
    let value = value.unwrap_or_default();
    let (field, key) = if field.kind == Kind::Custom { custom(fields, index, &key)? } else { (field, key) };
    if !field.kind.operators().contains(&operator) {
        return Err(FilterError {
            index: Some(index),
            member: "operator",
            message: format!(
                "Invalid operator '{}' for field '{}' of type '{}'",
                operator.name(),
                field.name,
                field.kind.name()
            ),
            allowed: names(field.kind.operators()),
        });
    }
    let wrong = |member, allowed: &str| FilterError {
        index: Some(index),
        member,
        message: format!(
            "Invalid value '{value}' or key '{}' for field '{}' of type '{}'",
            if key.is_empty() { "null" } else { &key },
            field.name,
            field.kind.name()
        ),
        allowed: allowed.to_owned(),
    };
    if field.kind.has_key() && key.trim().is_empty() {
        return Err(wrong("key", if field.kind == Kind::Dictionary { "a path" } else { "the name of a score" }));
    }
    if field.kind == Kind::Dictionary && JsonPath::parse(&key).is_none() {
        return Err(wrong("key", "a path such as a.b[0], $.a or [\"any name\"]"));
    }
    let wanted = wanted(field, operator, &value).map_err(|allowed| wrong("value", allowed))?;
    let key = if field.kind.has_key() { key } else { String::new() };
    Ok(Filter { field, operator, key, wanted })
}

/// The value that the operator compares with, or what it should have been.
fn wanted(field: &Field, operator: Operator, value: &str) -> Result<Wanted, &'static str> {
    if operator.is_about_presence() {
        return Ok(Wanted::Nothing);
    }
    let not_blank = || if value.trim().is_empty() { Err("text that is not blank") } else { Ok(value.to_owned()) };
    match field.kind {
        Kind::Enum | Kind::StringList if matches!(operator, Operator::In | Operator::NotIn) => {
            let items: Vec<_> =
                value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
            if items.is_empty() { Err("texts that commas separate") } else { Ok(Wanted::AnyOf(items)) }
        }
        Kind::String | Kind::StringExact | Kind::List | Kind::Enum | Kind::EnumLegacy | Kind::StringList => {
            not_blank().map(Wanted::Text)
        }
        Kind::Dictionary | Kind::Custom => Ok(Wanted::Text(value.to_owned())),
        Kind::Number => plain_number(value).map(Wanted::Number).ok_or("a plain decimal number such as -1.5"),
        Kind::FeedbackScores => value
            .parse::<f64>()
            .ok()
            .filter(|number| {
                number.is_finite()
                    && value.starts_with(['-', '+', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            })
            .map(Wanted::Number)
            .ok_or("a decimal number"),
        Kind::DateTime => value
            .parse::<Timestamp>()
            .map(|time| Wanted::Time(time.nanos()))
            .map_err(|_| "an RFC 3339 date-time such as 2024-01-15T09:30:00Z"),
        Kind::ErrorContainer => Err("is_empty or is_not_empty"),
    }
}

/// Digits with at most one point in or before them and a minus: no exponent, no plus, no spaces.
fn plain_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.chars().all(|digit| digit.is_ascii_digit() || digit == '.')
        && digits.matches('.').count() <= 1
        && digits.ends_with(|last: char| last.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// The field and path that a custom key means: `input.a[0]` is the path `a[0]` in the input.
fn custom(fields: &'static [Field], index: usize, key: &str) -> Result<(&'static Field, String), FilterError> {
    let invalid = |message: String| FilterError {
        index: Some(index),
        member: "key",
        message,
        allowed: "input or output, with or without a path behind it".to_owned(),
    };
    if key.trim().is_empty() {
        return Err(invalid("Custom key cannot be null or empty".to_owned()));
    }
    let path = key.strip_prefix("$.").unwrap_or(key);
    for (root, whole, dictionary) in [("input", "input", "input_json"), ("output", "output", "output_json")] {
        let Some(rest) = path.strip_prefix(root) else { continue };
        let (name, rest) = match rest.strip_prefix('.') {
            Some(rest) => (dictionary, rest),
            None if rest.starts_with('[') => (dictionary, rest),
            None if rest.is_empty() => (whole, rest),
            None => continue,
        };
        if let Some(field) = named(fields, name) {
            return Ok((field, rest.to_owned()));
        }
    }
    Err(invalid(format!("Invalid key '{key}' for custom filter")))
}

impl Filter {
    /// Whether it asks about a payload.
    #[must_use]
    pub fn needs_payloads(&self) -> bool {
        self.field.sql.contains("p.")
    }

    /// Whether it is true of what has one id, or one thread's: an index leads there.
    #[must_use]
    pub fn is_one_id(&self) -> bool {
        self.field.kind == Kind::StringExact && self.operator == Operator::Equal
    }

    /// The only type of which spans it is true, if it is about types.
    #[must_use]
    pub fn one_type(&self) -> Option<SpanType> {
        let Wanted::Text(name) = &self.wanted else { return None };
        let name = (self.field.name == "type" && self.operator == Operator::Equal).then(|| name.as_str().into());
        name.and_then(|name| serde_json::from_value(name).ok())
    }

    /// Whether it asks about what the spans of a trace amount to.
    #[must_use]
    pub fn needs_sums(&self) -> bool {
        self.field.sql.contains("u.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::SPAN_FIELDS;

    fn message(text: &str) -> String {
        parse_json(&SPAN_FIELDS, text).expect_err(text).message
    }

    #[test]
    fn filters_are_read_and_repetitions_dropped() {
        let one = r#"{"field":"name","operator":"=","value":"a","type":"string","key":""}"#;
        let filters = parse_json(&SPAN_FIELDS, &format!("[{one},{one}]")).expect("valid");
        assert_eq!(filters.len(), 1);
        assert_eq!(filters[0].wanted, Wanted::Text("a".to_owned()));
        assert!(
            parse_json(&SPAN_FIELDS, " ").expect("nothing").is_empty()
                && parse_json(&SPAN_FIELDS, "[]").expect("nothing").is_empty()
        );
    }

    #[test]
    fn what_means_nothing_says_so() {
        assert_eq!(message("x"), "Invalid filters query parameter 'x'");
        assert_eq!(
            message(r#"[{"field":"duration","operator":"contains","value":"1"}]"#),
            "Invalid operator 'contains' for field 'duration' of type 'NUMBER'"
        );
        assert_eq!(
            message(r#"[{"field":"duration","operator":"=","value":"1e5"}]"#),
            "Invalid value '1e5' or key 'null' for field 'duration' of type 'NUMBER'"
        );
        assert_eq!(
            message(r#"[{"field":"metadata","operator":"=","value":"x"}]"#),
            "Invalid value 'x' or key 'null' for field 'metadata' of type 'DICTIONARY'"
        );
        let error = parse_json(
            &SPAN_FIELDS,
            r#"[{"field":"name","operator":"=","value":"a"},{"field":"nome","operator":"=","value":"a"}]"#,
        )
        .expect_err("unknown");
        assert_eq!((error.index, error.member), (Some(1), "field"));
        assert!(error.allowed.contains("name"), "{}", error.allowed);
    }

    #[test]
    fn custom_keys_become_paths() {
        let read = |key: &str| custom(&SPAN_FIELDS, 0, key).map(|(field, path)| format!("{} {path}", field.name));
        for (key, wanted) in [
            ("input", "input "),
            ("$.input.a[0].b", "input_json a[0].b"),
            ("input[1]", "input_json [1]"),
            ("input.[1]", "input_json [1]"),
            ("output[2].p", "output_json [2].p"),
        ] {
            assert_eq!(read(key).as_deref(), Ok(wanted));
        }
        assert!(read("metadata.x").is_err() && read("inputs").is_err() && read(" ").is_err());
    }
}
