//! Payloads cut short, for lists that are looked over.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::value::RawValue;

use crate::model::Payload;

/// A payload from this size on is cut to it: the original's default.
const BYTES_MAX: usize = 10_001;

/// A whole JSON string that is an image in base64, by the first characters of the usual kinds.
static IMAGE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(
        r#""(?:data:image/[^;]{3,4};base64,)?"#,
        r"(?:/9j/|iVBORw0KGgo|R0lGODlh|R0lGODdh|Qk|SUkq|TU0A|UklGR)",
        r#"={0,2}[A-Za-z0-9+/]+={0,2}""#
    );
    #[expect(clippy::expect_used, reason = "a constant that the tests compile")]
    Regex::new(pattern).expect("a valid pattern")
});

/// The payload's first bytes as a JSON string, if it is long; images in it are named instead of shown.
pub(super) fn cut_short(payload: Payload) -> Payload {
    let text = payload.get();
    if text.len() < BYTES_MAX {
        return without_images(payload);
    }
    let mut end = BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = IMAGE.replace_all(&text[..end], "\"[image]\"");
    serde_json::to_string(&cut).ok().and_then(|cut| RawValue::from_string(cut).ok()).map_or(payload, Payload::from)
}

/// The payload with images named instead of shown.
pub(super) fn without_images(payload: Payload) -> Payload {
    match IMAGE.replace_all(payload.get(), "\"[image]\"") {
        std::borrow::Cow::Borrowed(_) => payload,
        std::borrow::Cow::Owned(text) => RawValue::from_string(text).map_or(payload, Payload::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(text: String) -> Payload {
        RawValue::from_string(text).expect("JSON").into()
    }

    #[test]
    fn images_are_named() {
        let shown = |text: &str| without_images(payload(text.to_owned())).get().to_owned();
        assert_eq!(shown(r#"{"a":"data:image/png;base64,iVBORw0KGgoAAA=="}"#), r#"{"a":"[image]"}"#);
        assert_eq!(shown(r#"["/9j/abc","text","image/svg"]"#), r#"["[image]","text","image/svg"]"#);
        assert_eq!(shown(r#""data:image/svg+xml;base64,QkFD""#), r#""data:image/svg+xml;base64,QkFD""#);
    }

    #[test]
    fn long_payloads_become_strings() {
        let long = format!("{{\"a\":\"{}é\"}}", "x".repeat(BYTES_MAX));
        let cut = cut_short(payload(long.clone()));
        let text: String = serde_json::from_str(cut.get()).expect("a string");
        assert!(long.starts_with(&text) && text.len() == BYTES_MAX);
        assert_eq!(cut_short(payload("{}".to_owned())).get(), "{}");
    }
}
