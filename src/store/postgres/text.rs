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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", "a\0b", "\u{fffe}", "\u{fffe}0", "\0\u{fffe}1\0", "é\0"] {
            let kept = stored(text);
            assert!(!kept.contains('\0'), "{text:?}");
            assert_eq!(original(kept.into_owned()), text);
        }
    }
}
