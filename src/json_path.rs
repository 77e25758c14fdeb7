//! What a path in a JSON text leads to, without building a tree of the text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A member of an object.
    Member(String),
    /// An item of a list; of several that are named, the first.
    Item(usize),
}

/// A path such as `a.b[0]`, `$.a`, `[0].x`, `a."any name"`, `a['any name']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Reads a path. A bare name goes on to the next `.` or `[`, whatever is in it: real clients do not quote
    /// `my-key`.
    ///
    /// Returns nothing where a quote or bracket is not closed, or a name is empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        rest = rest.strip_prefix('$').filter(|rest| rest.is_empty() || rest.starts_with(['.', '['])).unwrap_or(rest);
        let mut first = true;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (step, after) = bracket(inside.trim_start())?;
                steps.push(step);
                rest = after;
            } else {
                let name = match rest.strip_prefix('.') {
                    Some(name) => name,
                    None if first => rest,
                    None => return None,
                };
                let name = name.trim_start();
                if name.starts_with('[') {
                    rest = name;
                    continue;
                }
                let (name, after) = if name.starts_with('"') { quoted(name)? } else { bare(name)? };
                steps.push(Step::Member(name));
                rest = after;
            }
            first = false;
            rest = rest.trim_start();
        }
        Some(Self(steps))
    }

    /// Its steps as a JSON list of names and numbers.
    #[must_use]
    pub fn steps(&self) -> String {
        let step = |step: &Step| match step {
            Step::Member(name) => serde_json::Value::from(name.as_str()),
            Step::Item(index) => serde_json::Value::from(*index),
        };
        self.0.iter().map(step).collect::<serde_json::Value>().to_string()
    }

    /// The text of what the path leads to: a string's characters, a number in its shortest form, `true`, `false`,
    /// `null`; the empty text for objects, lists, and where the path leads nowhere.
    #[must_use]
    pub fn text_in<'a>(&self, json: &'a str) -> Cow<'a, str> {
        self.find(json).map_or(Cow::Borrowed(""), scalar_text)
    }

    fn find<'a>(&self, json: &'a str) -> Option<&'a str> {
        let mut at = json;
        for step in &self.0 {
            at = match step {
                Step::Member(name) => {
                    let members: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_str(at).ok()?;
                    members.get(name.as_str())?.get()
                }
                Step::Item(index) => {
                    let items: Vec<&'a RawValue> = serde_json::from_str(at).ok()?;
                    items.get(*index)?.get()
                }
            };
        }
        Some(at)
    }
}

fn bare(text: &str) -> Option<(String, &str)> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let name = text[..end].trim_end();
    if name.is_empty() { None } else { Some((name.to_owned(), &text[end..])) }
}

/// A name between quotes, in which a backslash keeps the next character.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut letters = text.char_indices();
    let (_, quote) = letters.next()?;
    let mut name = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            _ if letter == quote => return Some((name, &text[at + letter.len_utf8()..])),
            _ => name.push(letter),
        }
    }
    None
}

/// What stands in brackets: a quoted name, or the first of the items that `n`, `n to m`, `n,m` or `*` name.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    if inside.starts_with(['"', '\'']) {
        let (name, rest) = quoted(inside)?;
        return Some((Step::Member(name), rest.trim_start().strip_prefix(']')?));
    }
    let (items, rest) = inside.split_once(']')?;
    let first = items.split([',', ' ']).next()?.trim();
    let index = if first == "*" { 0 } else { first.parse().ok()? };
    Some((Step::Item(index), rest))
}

fn scalar_text(json: &str) -> Cow<'_, str> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(json).map_or(Cow::Borrowed(""), Cow::Owned),
        Some(b'{' | b'[') | None => Cow::Borrowed(""),
        Some(b't' | b'f' | b'n') => Cow::Borrowed(json),
        Some(_) => number_text(json),
    }
}

/// Integers as they are; other numbers in the shortest form that means the same double.
fn number_text(json: &str) -> Cow<'_, str> {
    if !json.contains(['.', 'e', 'E']) {
        return Cow::Borrowed(json);
    }
    match json.parse::<f64>() {
        Ok(number) if number.is_finite() && number.abs() < 1e21 => Cow::Owned(number.to_string()),
        Ok(number) if number.is_finite() => Cow::Owned(format!("{number:e}").replace('e', "e+")),
        _ => Cow::Borrowed(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"a":{"b":[1,{"c":"x\n"}]},"my-key":1.50,"two words":true,"a.b":"dotted","n":null,"q\"":2,"é":[],"big":1e30,"i":123456789012345678901,"e":1e3}"#;

    #[test]
    fn paths_lead_to_texts() {
        for (path, wanted) in [
            ("a.b[0]", "1"),
            ("$.a.b[1].c", "x\n"),
            (".a.b[1].c", "x\n"),
            ("a.b[*]", "1"),
            ("a.b[0 to 1]", "1"),
            ("a.b[1,0].c", "x\n"),
            ("my-key", "1.5"),
            ("two words", "true"),
            ("\"two words\"", "true"),
            ("['a.b']", "dotted"),
            ("\"a.b\"", "dotted"),
            ("n", "null"),
            (r#""q\"""#, "2"),
            ("é", ""),
            ("a", ""),
            ("a.b[7]", ""),
            ("nowhere.at.all", ""),
            ("big", "1e+30"),
            ("i", "123456789012345678901"),
            ("e", "1000"),
        ] {
            let parsed = JsonPath::parse(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(parsed.text_in(JSON), wanted, "{path}");
        }
        assert_eq!(JsonPath::parse("[0].x").expect("valid").text_in(r#"[{"x":"y"}]"#), "y");
        assert_eq!(JsonPath::parse("$").expect("valid").text_in("\"all\""), "all");
        assert_eq!(JsonPath::parse("a").expect("valid").text_in("not json"), "");
    }

    #[test]
    fn broken_paths_are_told() {
        for path in ["a[", "a[x]", "a[-1]", "\"open", "a..b", "a[0]b", "['x'"] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
    }
}
