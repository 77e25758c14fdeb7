//! Why a body could not be read: where in it, what was expected there, and what came.

use serde::de::DeserializeOwned;

use crate::error::ApiError;
use crate::model::Violation;
use crate::scan::{OverLimit, Scan};

/// How the original begins these messages; people search for it.
const BEGINNING: &str = "Unable to process JSON.";

/// Characters of a refused value that are told back.
const FOUND_CHARS_MAX: usize = 100;

/// Broken rules of one request that are told. Chosen: more than anyone mends at once.
pub(super) const VIOLATIONS_TOLD_MAX: usize = 1_000;

pub(super) fn not_utf8(bytes: &[u8], offset: usize) -> ApiError {
    let valid = std::str::from_utf8(&bytes[..offset]).unwrap_or_default();
    problem(valid, offset, "", "expected UTF-8", None)
}

pub(super) fn over_limit(text: &str, over: &OverLimit) -> ApiError {
    problem(text, over.offset, &over.pointer, &format!("expected {}", over.expected), None)
}

/// The answer to a body that `serde_json` could not read into `T`. Only now, when it is needed, the body is read once
/// more by a reader that knows where it is.
pub(super) fn unreadable<T: DeserializeOwned>(text: &str, scanned: &Scan<'_>, error: &serde_json::Error) -> ApiError {
    let mut reader = serde_json::Deserializer::from_str(&scanned.text);
    let pointer = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(located) if position(located.inner()) == position(error) => pointer(located.path()),
        // What follows the value, not the value, is wrong; or this reader takes less than the other.
        _ => String::new(),
    };
    let offset = scanned.locate(offset_of(&scanned.text, error.line(), error.column()));
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let (expected, found) = match said.rsplit_once(", expected ") {
        Some((found, expected)) => {
            let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
            (format!("expected {expected}"), Some(shortened(found)))
        }
        None => (said.to_owned(), None),
    };
    problem(text, offset, &pointer, &expected, found)
}

fn position(error: &serde_json::Error) -> (usize, usize) {
    (error.line(), error.column())
}

fn problem(text: &str, offset: usize, pointer: &str, message: &str, found: Option<String>) -> ApiError {
    let (line, column) = line_and_column(text, offset);
    let at = if pointer.is_empty() { String::new() } else { format!(" {pointer}:") };
    let came = found.as_ref().map_or_else(String::new, |found| format!(", found {found}"));
    let mut violation = Violation::new(pointer, "", message);
    violation.found = found;
    violation.line = Some(line);
    violation.column = Some(column);
    ApiError::BadRequest {
        message: format!("{BEGINNING}{at} {message}{came} (line {line}, column {column})"),
        details: None,
        violation: Some(Box::new(violation)),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// The byte at serde_json's position: it counts lines from 1, and bytes in a line up to and with the one it looked at.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    (start + column.saturating_sub(1)).min(text.len())
}

/// Line and column, both from 1, the column in characters.
fn line_and_column(text: &str, offset: usize) -> (i32, i32) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    (number(line), number(column))
}

pub(super) fn shortened(found: &str) -> String {
    if found.chars().count() <= FOUND_CHARS_MAX {
        return found.to_owned();
    }
    found.chars().take(FOUND_CHARS_MAX).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let text = "{\n \"é\": x}";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find('x').expect("there")), (2, 7));
        assert_eq!(offset_of(text, 2, 8), text.find('x').expect("there"));
    }
}
