//! Patterns of text: `%` is any run of characters, `_` any one, and `\` takes their meaning away.

use memchr::memmem::Finder;

/// A pattern to be looked for.
#[derive(Debug, Clone)]
pub struct Like {
    parts: Vec<Part>,
    any_case: bool,
    /// The pattern itself, where it has no wildcards.
    plain: Option<Finder<'static>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Run,
    Any,
    Letter(char),
}

/// Letter by letter: what stands beside a letter does not change it, as it would a sigma at a word's end.
fn lower(text: &str) -> String {
    let folded = text.to_ascii_lowercase();
    // Most texts, and most letters in them, are done.
    let mut rest = folded.as_str();
    let mut whole = String::new();
    while let Some(at) = rest.bytes().position(|byte| !byte.is_ascii()) {
        let (before, from) = rest.split_at(at);
        let end = from.bytes().position(|byte| byte.is_ascii()).unwrap_or(from.len());
        let (others, after) = from.split_at(end);
        whole.reserve(rest.len());
        whole.push_str(before);
        whole.extend(others.chars().flat_map(char::to_lowercase));
        rest = after;
    }
    if whole.is_empty() {
        return folded;
    }
    whole.push_str(rest);
    whole
}

impl Like {
    /// A pattern that may stand anywhere in a text; `any_case` disregards letter case, in all alphabets.
    #[must_use]
    pub fn anywhere(pattern: &str, any_case: bool) -> Self {
        let folded = if any_case { lower(pattern) } else { pattern.to_owned() };
        let plain = (!folded.contains(['%', '_', '\\'])).then(|| Finder::new(&folded).into_owned());
        let mut parts = vec![Part::Run];
        let mut letters = folded.chars();
        while let Some(letter) = letters.next() {
            parts.push(match letter {
                '%' => Part::Run,
                '_' => Part::Any,
                '\\' => Part::Letter(letters.next().unwrap_or('\\')),
                _ => Part::Letter(letter),
            });
        }
        parts.push(Part::Run);
        parts.dedup_by(|left, right| *left == Part::Run && *right == Part::Run);
        Self { parts, any_case, plain }
    }

    /// Whether the text has it.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        if self.any_case { self.matches(&lower(text)) } else { self.matches(text) }
    }

    fn matches(&self, text: &str) -> bool {
        if let Some(plain) = &self.plain {
            return plain.find(text.as_bytes()).is_some();
        }
        // On a mismatch, the last run takes in one character more: no more than pattern times text steps.
        let mut rest = text.chars();
        let (mut part, mut back) = (0, None);
        loop {
            match self.parts.get(part) {
                Some(Part::Run) => {
                    back = Some((part + 1, rest.clone()));
                    part += 1;
                    continue;
                }
                None if rest.as_str().is_empty() => return true,
                wanted => {
                    let letter = rest.next();
                    let fits = match (wanted, letter) {
                        (Some(Part::Any), Some(_)) => true,
                        (Some(Part::Letter(wanted)), Some(letter)) => *wanted == letter,
                        _ => false,
                    };
                    if fits {
                        part += 1;
                        continue;
                    }
                }
            }
            let Some((again, mut from)) = back.take() else { return false };
            if from.next().is_none() {
                return false;
            }
            rest = from.clone();
            part = again;
            back = Some((again, from));
        }
    }
}

/// A pattern that `LIKE` finds in lower case, of A to Z alone, of every text in which a [`Like`] finds this one, and of few
/// others; nothing if it were found nearly everywhere.
///
/// The only letters beyond ASCII that are `i` and `k`, or begin so, in lower case are U+0130 and U+212A: one letter each.
/// What may be otherwise in lower case, and what has a meaning, stands for anything.
#[must_use]
pub fn rough(pattern: &str) -> Option<String> {
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
    fn patterns_are_found() {
        for (pattern, text, any_case, wanted) in [
            ("lo w", "Hello World", true, true),
            ("lo w", "Hello World", false, false),
            ("É", "cafés", true, true),
            ("ΟΔΟΣ", "ΟΔΟΣΑ", true, true),
            ("h%d", "Hello World", true, true),
            ("h%x", "Hello World", true, false),
            ("h_llo", "Hello", true, true),
            ("h_lo", "Hello", true, false),
            ("100\\%", "at 100% now", true, true),
            ("100\\%", "at 1000 now", true, false),
            ("a\\_b", "a_b", true, true),
            ("a\\_b", "axb", true, false),
            ("", "", true, true),
            ("%", "", true, true),
            ("_", "", true, false),
            ("ab%ab", "abxab", true, true),
            ("a%b%c", "aXbYbZc", false, true),
        ] {
            assert_eq!(Like::anywhere(pattern, any_case).is_in(text), wanted, "{pattern} in {text}");
        }
    }

    #[test]
    fn letters_are_folded_one_by_one() {
        for text in ["", "ABC", "ÄbC", "abÉ", "É", "İx模型YÀ", "ΟΔΟΣ a", "x😀Z"] {
            assert_eq!(lower(text), text.chars().flat_map(char::to_lowercase).collect::<String>(), "{text}");
        }
    }

    #[test]
    fn many_runs_take_no_forever() {
        let text = "a".repeat(20_000);
        assert!(!Like::anywhere(&"%a".repeat(30).replace("%a", "%a_"), true).is_in(&format!("{}b", &text[..10])));
        assert!(!Like::anywhere("%a%a%a%a%b", false).is_in(&text));
    }
}
