//! The page about filters, written from the table.

use std::fmt::Write as _;

use super::field::all;
use super::{Absent, Kind, SPAN_FIELDS, THREAD_FIELDS, TRACE_FIELDS};
use crate::model::Operator;

/// The text of `docs/filters.md`.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Filters\n\n\
         Generated from the tables in `src/filter/field.rs` and `src/filter/thread_field.rs`.\n\n\
         A filter is an object: `{\"field\": …, \"operator\": …, \"key\": …, \"value\": …}`. Lists and statistics take a JSON \
         array of them in the query parameter `filters`, searches in the member `filters` of their body. All must hold; there may be 500 of them.\n\n",
    );
    for (things, fields) in
        [("spans", &SPAN_FIELDS[..]), ("traces", &TRACE_FIELDS[..]), ("threads", &THREAD_FIELDS[..])]
    {
        let _ = write!(
            page,
            "## Fields of {things}\n\n| field | kind | what it is | where it is missing |\n| --- | --- | --- | --- |\n"
        );
        for field in fields {
            let absent = match field.absent {
                Absent::Never => "-".to_owned(),
                Absent::Empty => "counts as empty".to_owned(),
                Absent::Zero => "counts as 0".to_owned(),
                Absent::As(text) => format!("counts as `{text}`"),
                Absent::NoMatch => "never matches".to_owned(),
            };
            // Writing to memory does not fail.
            let _ = writeln!(page, "| `{}` | {} | {} | {absent} |", field.name, field.kind.name(), field.about);
        }
        if all(fields).any(|field| field.kind == Kind::Custom) {
            page.push_str(
                "| `custom` | CUSTOM | `input` or `output` with a path as key: `input.a[0]` | as the field it means |\n",
            );
        }
        page.push('\n');
    }
    page.push_str("## What can be asked\n\n| kind |");
    for operator in Operator::ALL {
        let _ = write!(page, " `{}` |", operator.name());
    }
    let _ = write!(page, "\n| --- |{}\n", " --- |".repeat(Operator::ALL.len()));
    let kinds = [
        Kind::String,
        Kind::StringExact,
        Kind::DateTime,
        Kind::Number,
        Kind::FeedbackScores,
        Kind::Dictionary,
        Kind::List,
        Kind::Enum,
        Kind::EnumLegacy,
        Kind::StringList,
        Kind::ErrorContainer,
    ];
    for kind in kinds {
        let _ = write!(page, "| {} |", kind.name());
        for operator in Operator::ALL {
            page.push_str(if kind.operators().contains(&operator) { " x |" } else { " |" });
        }
        page.push('\n');
    }
    page.push_str(MEANING);
    page
}

const MEANING: &str = "\n## What it means\n\n\
    | kind | meaning |\n| --- | --- |\n\
    | STRING | `contains` and `not_contains` disregard letter case in all alphabets; the others in A to Z only, and compare \
    bytes |\n\
    | STRING_EXACT | to the letter |\n\
    | `contains` everywhere | `%` stands for any run of characters, `_` for any one, `\\` takes their meaning away |\n\
    | DATE_TIME | RFC 3339, to the nanosecond |\n\
    | NUMBER | plain decimals: `-1.5`, not `1e3` |\n\
    | FEEDBACK_SCORES_NUMBER | the key is the score's name, letter case of A to Z disregarded; compared is the mean over \
    authors. `!=` is true of spans that have a score of any name |\n\
    | DICTIONARY | the key is a path: `a.b[0]`, `$.a`, `[0].x`, `a.\"any name\"`, `a['any name']`. Texts are compared as in \
    STRING; `>`, `>=`, `<`, `<=` compare numbers, and texts that hold one. A null is the text `null`; objects, lists and \
    what is not there are the empty text |\n\
    | LIST | some item (for `!=` and `not_contains`: no item) equals the value to the letter, or contains it in any letter \
    case |\n\
    | ENUM | to the letter; `in` and `not_in` take items that commas separate |\n\
    | ENUM_LEGACY | as ENUM |\n\
    | STRING_LIST | to the letter; takes items that commas separate |\n";
