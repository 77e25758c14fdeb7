//! Patterns of text: `%` is any run of characters, `_` any one, and `\` takes their meaning away.

/// A pattern to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Like {
    parts: Vec<Part>,
    any_case: bool,
    /// The pattern itself, where it has no wildcards.
    plain: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Run,
    Any,
    Letter(char),
}

/// Letter by letter: what stands beside a letter does not change it, as it would a sigma at a word's end.
fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

impl Like {
    /// A pattern that may stand anywhere in a text; `any_case` disregards letter case, in all alphabets.
    #[must_use]
    pub fn anywhere(pattern: &str, any_case: bool) -> Self {
        let folded = if any_case { lower(pattern) } else { pattern.to_owned() };
        let plain = (!folded.contains(['%', '_', '\\'])).then(|| folded.clone());
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
            return memchr::memmem::find(text.as_bytes(), plain.as_bytes()).is_some();
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn many_runs_take_no_forever() {
        let text = "a".repeat(20_000);
        assert!(!Like::anywhere(&"%a".repeat(30).replace("%a", "%a_"), true).is_in(&format!("{}b", &text[..10])));
        assert!(!Like::anywhere("%a%a%a%a%b", false).is_in(&text));
    }
}
