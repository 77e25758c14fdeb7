//! Texts as PostgreSQL takes them: it has no U+0000.

use std::borrow::Cow;

/// A character that stands for no letter, in UTF-8: what follows it tells what was meant.
const MARK: &str = "\u{fffe}";

/// What is stored of a text.
pub(in crate::store) fn stored(text: &str) -> Cow<'_, str> {
    if memchr::memchr(0, text.as_bytes()).is_none() && memchr::memmem::find(text.as_bytes(), MARK.as_bytes()).is_none()
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(MARK, "\u{fffe}1").replace('\0', "\u{fffe}0"))
}

/// The text of which this was stored.
pub(in crate::store) fn original(stored: String) -> String {
    if memchr::memmem::find(stored.as_bytes(), MARK.as_bytes()).is_none() {
        return stored;
    }
    stored.replace("\u{fffe}0", "\0").replace("\u{fffe}1", MARK)
}

/// A pattern that `LIKE` finds in lower case, of A to Z alone, of every text in which `has_text` finds this one, and of few
/// others; nothing if it were found nearly everywhere.
///
/// The only letters beyond ASCII that are `i` and `k`, or begin so, in lower case are U+0130 and U+212A: one letter each.
/// What may be otherwise in lower case, and what has a meaning, stands for anything.
pub(in crate::store) fn rough(pattern: &str) -> Option<String> {
    let mut found = String::from("%");
    let mut is_any = true;
    let mut escaped = false;
    for letter in pattern.chars() {
        let lower = letter.to_ascii_lowercase();
        match lower {
            _ if escaped => escaped = false,
            '\\' => {
                escaped = true;
                found.push('%');
            }
            'i' | 'k' => found.push('_'),
            '\0' | '%' | '_' => found.push('%'),
            _ if !lower.is_ascii() => found.push('%'),
            _ => {
                is_any = false;
                found.push(lower);
            }
        }
    }
    found.push('%');
    (!is_any).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_folded_otherwise_stands_for_anything() {
        for (pattern, wanted) in [
            ("Refund", Some("%refund%")),
            ("a b%c_d", Some("%a b%c%d%")),
            ("Straße", Some("%stra%e%")),
            ("I know", Some("%_ _now%")),
            ("10\\% \\", Some("%10% %%")),
            ("a\0", Some("%a%%")),
            ("", None),
            ("%_", None),
            ("ik", None),
            ("\\x", None),
            ("東京", None),
        ] {
            assert_eq!(rough(pattern).as_deref(), wanted, "{pattern:?}");
        }
    }

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", "a\0b", "\u{fffe}", "\u{fffe}0", "\0\u{fffe}1\0", "é\0"] {
            let kept = stored(text);
            assert!(!kept.contains('\0'), "{text:?}");
            assert_eq!(original(kept.into_owned()), text);
        }
    }
}
