//! What the validator found, in plain words.

use std::borrow::Cow;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde::de::Unexpected;
use serde_json::{Map, Value};

use super::schema::listed;
use crate::api::problems::{VIOLATIONS_TOLD_MAX, shortened};
use crate::model::{Id, ParameterPlace, Timestamp, Violation};

/// How far a name may be from a known one to be taken for a slip of it, in letters changed, added or left out.
const SLIP_LETTERS_MAX: usize = 3;

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// JSON pointer into the value.
    pub(super) pointer: String,
    /// What was wanted.
    pub(super) message: String,
    /// What came instead.
    pub(super) found: Option<String>,
    /// Whether it is of a type that is not taken here at all.
    pub(super) mistyped: bool,
}

impl Fault {
    pub(super) fn new(pointer: String, message: impl Into<String>) -> Self {
        Self { pointer, message: message.into(), found: None, mistyped: false }
    }
}

impl Fault {
    /// Of something that is not there.
    pub(super) fn missing() -> Self {
        Self::new(String::new(), "is required")
    }

    /// In a body.
    pub(super) fn of_body(self) -> Violation {
        let at = if self.pointer.is_empty() { "the body".to_owned() } else { self.pointer.clone() };
        self.told(&at)
    }

    /// In the value of a parameter.
    pub(super) fn of_parameter(self, place: ParameterPlace, name: &str) -> Violation {
        let at = format!("{} parameter {}{}", place.as_str(), shortened(name), self.pointer);
        Violation { r#in: Some(place), name: shortened(name), ..self.told(&at) }
    }

    fn told(self, at: &str) -> Violation {
        let came = self.found.as_ref().map_or_else(String::new, |found| format!(", found {found}"));
        let verb = if self.message.starts_with("is ") { " " } else { ": " };
        let original = format!("{at}{verb}{}{came}", self.message);
        Violation { found: self.found, original, ..Violation::new(&self.pointer, "", &self.message) }
    }
}

/// All that is wrong, in the order in which it was found.
pub(super) fn faults<'a>(errors: impl IntoIterator<Item = ValidationError<'a>>, document: &Value) -> Vec<Fault> {
    let mut found = Vec::new();
    errors.into_iter().for_each(|error| tell(&error, document, &mut found));
    found
}

fn tell(error: &ValidationError<'_>, document: &Value, told: &mut Vec<Fault>) {
    let pointer = error.instance_path().as_str();
    let below = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
    let wanted = match error.kind() {
        Kind::Required { property } => {
            told.push(Fault { pointer: below(property.as_str().unwrap_or_default()), ..Fault::missing() });
            return;
        }
        Kind::UnevaluatedProperties { unexpected } | Kind::AdditionalProperties { unexpected } => {
            let known = around(error, document).map(|schema| listed(schema, document, 0)).unwrap_or_default();
            let rest = (VIOLATIONS_TOLD_MAX + 1).saturating_sub(told.len());
            told.extend(unexpected.iter().take(rest).map(|name| Fault::new(below(name), unknown(name, &known))));
            return;
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            // A branch that takes such a value says what is wrong in it; otherwise all say what they take.
            let takes = |branch: &&Vec<ValidationError<'_>>| !branch.iter().any(|one| is_mistyped(one, pointer));
            if let Some(branch) = context.iter().find(takes) {
                let discriminator = around(error, document).and_then(|schema| schema.get("discriminator"));
                let named = discriminator.and_then(|one| Some((one["propertyName"].as_str()?, &one["mapping"])));
                match named {
                    Some((member, kinds)) => told.extend(by_kind(context, &below(member), kinds, document)),
                    None => {
                        for error in branch {
                            tell(error, document, told);
                        }
                    }
                }
                return;
            }
            let types = context.iter().flatten().filter(|one| is_mistyped(one, pointer));
            either(types.flat_map(|one| types_of(one.kind())))
        }
        Kind::Type { .. } => either(types_of(error.kind())),
        Kind::Enum { options } => either(options.as_array().into_iter().flatten().map(|option| match option {
            Value::String(text) => Cow::Owned(text.clone()),
            other => Cow::Owned(other.to_string()),
        })),
        Kind::Constant { expected_value } => expected_value.to_string(),
        Kind::Format { format } => format_named(format),
        Kind::Custom { message, .. } => message.clone(),
        Kind::MinLength { limit } => format!("at least {}", counted(*limit, "character")),
        Kind::MaxLength { limit } => format!("at most {}", counted(*limit, "character")),
        Kind::MinItems { limit } => format!("at least {}", counted(*limit, "item")),
        Kind::MaxItems { limit } => format!("at most {}", counted(*limit, "item")),
        Kind::UniqueItems => "items that are all different".to_owned(),
        Kind::Pattern { pattern } => format!("a text that matches {pattern}"),
        _ => {
            told.push(Fault::new(pointer.to_owned(), error.masked().to_string()));
            return;
        }
    };
    let mistyped = is_mistyped(error, pointer) || matches!(error.kind(), Kind::AnyOf { .. });
    let found = Some(match (error.kind(), &**error.instance()) {
        // A number that no double can hold.
        (Kind::Custom { .. }, Value::String(digits)) => shortened(digits),
        (_, value) => describe(value),
    });
    told.push(Fault { pointer: pointer.to_owned(), message: format!("expected {wanted}"), found, mistyped });
}

/// The schema that has the keyword which an error is about.
fn around<'a>(error: &ValidationError<'_>, document: &'a Value) -> Option<&'a Value> {
    let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
    document.pointer(parent)
}

/// What is wrong with an object of one of several kinds, told apart by the member at `at`: what is wrong with it as one of
/// the kind that it says it is, or else which kinds there are.
fn by_kind(branches: &[Vec<ValidationError<'_>>], at: &str, kinds: &Value, document: &Value) -> Vec<Fault> {
    let mut of_no_kind = None;
    for branch in branches {
        let mut found = Vec::new();
        for error in branch {
            tell(error, document, &mut found);
        }
        match found.iter().position(|fault| fault.pointer == at) {
            None => return found,
            Some(position) => of_no_kind = Some(found.swap_remove(position)),
        }
    }
    if let Some(fault) = of_no_kind.as_mut().filter(|fault| fault.found.is_some()) {
        let kinds = kinds.as_object().into_iter().flat_map(Map::keys);
        fault.message = format!("expected {}", either(kinds.map(|kind| Cow::Borrowed(kind.as_str()))));
    }
    of_no_kind.into_iter().collect()
}

fn is_mistyped(error: &ValidationError<'_>, pointer: &str) -> bool {
    matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == pointer
}

fn types_of(kind: &Kind) -> Vec<Cow<'static, str>> {
    let named = |kind: JsonType| match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    };
    let types: Vec<JsonType> = match kind {
        Kind::Type { kind: TypeKind::Single(one) } => vec![*one],
        Kind::Type { kind: TypeKind::Multiple(several) } => several.iter().collect(),
        _ => Vec::new(),
    };
    types.into_iter().map(|kind| Cow::Borrowed(named(kind))).collect()
}

/// `a, b or c`
fn either<'a>(choices: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let mut choices: Vec<Cow<'a, str>> = choices.into_iter().collect();
    choices.dedup();
    match choices.as_slice() {
        [] => String::new(),
        [only] => only.to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// What a format takes, in the words of the type that reads it.
fn format_named(format: &str) -> String {
    let said = match format {
        "uuid" => "".parse::<Id>().err(),
        "date-time" => "".parse::<Timestamp>().err(),
        _ => None,
    };
    said.map_or_else(|| format!("a text of the format {format}"), str::to_owned)
}

/// Says that a name is not known, and which one was perhaps meant.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
    // Names of very different lengths are not compared letter by letter.
    let alike = known.iter().filter(|known| known.len().abs_diff(name.len()) <= SLIP_LETTERS_MAX);
    match alike.min_by_key(distance).filter(|known| distance(known) <= SLIP_LETTERS_MAX.min(name.len() / 2)) {
        Some(meant) => format!("is not known; did you mean {meant}?"),
        None => "is not known".to_owned(),
    }
}

/// A value in the words of the reader of ordinary bodies.
fn describe(value: &Value) -> String {
    let found = match value {
        Value::Null => return "null".to_owned(),
        Value::Bool(value) => Unexpected::Bool(*value).to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Unexpected::Signed(value).to_string(),
            (_, Some(value)) => Unexpected::Unsigned(value).to_string(),
            _ => Unexpected::Float(number.as_f64().unwrap_or_default()).to_string(),
        },
        Value::String(text) => Unexpected::Str(text).to_string(),
        Value::Array(_) => Unexpected::Seq.to_string(),
        Value::Object(_) => Unexpected::Map.to_string(),
    };
    shortened(&found)
}
