//! One pass over a JSON body before it is read into a struct.
//!
//! Payloads (`input`, `output`, `metadata`) are never parsed into a tree. This pass walks the bytes once: it holds the
//! body to the limits, makes real clients' liberties readable for a strict parser, and notes what the server wants to
//! know of a payload without parsing it. Liberties are mended so that offsets stay those of the client's text:
//!
//! * a repeated member counts with its last value: the earlier ones are blanked;
//! * a lone surrogate or NUL escape in a text becomes U+FFFD, which has the same length (payloads are left alone);
//! * bare `NaN`, `Infinity` and `-Infinity` inside payloads become the strings of that name; the two quotes that this
//!   inserts are remembered, and [`Scan::locate`] takes them out of a position again.
//!
//! Syntax errors are not judged here: on meeting one the walk stops and leaves the verdict, and its wording, to
//! `serde_json`, which reads the text next.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use clap::Args;

/// How large the parts of a JSON body may be.
#[derive(Debug, Clone, Copy, Args)]
pub struct JsonLimits {
    /// Deepest nesting of a JSON body, its outermost object counted.
    #[arg(long, env = "SPANDREL_JSON_DEPTH_MAX", default_value_t = 1_000, value_name = "LEVELS")]
    pub json_depth_max: usize,
    /// Longest string in a JSON body, in bytes.
    #[arg(long, env = "SPANDREL_JSON_STRING_BYTES_MAX", default_value_t = 104_857_600, value_name = "BYTES")]
    pub json_string_bytes_max: usize,
    /// Longest number in a JSON body, in characters.
    #[arg(long, env = "SPANDREL_JSON_NUMBER_CHARS_MAX", default_value_t = 1_000, value_name = "CHARACTERS")]
    pub json_number_chars_max: usize,
    /// Longest member name in a JSON body, in bytes.
    #[arg(long, env = "SPANDREL_JSON_NAME_BYTES_MAX", default_value_t = 50_000, value_name = "BYTES")]
    pub json_name_bytes_max: usize,
}

/// Where in a body the records with payloads stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// The body is one.
    Whole,
    /// The body has a list of them under this name.
    Each(&'static str),
    /// The body has one under this name.
    Within(&'static str),
}

/// What the server needs from a record's metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataNotes {
    /// The text under `model`: priced when the record itself names no model.
    pub model: Option<String>,
    /// Whether there is a `provider`: it then stands before the record's own in answers.
    pub has_provider: bool,
}

/// A body that went over a limit.
#[derive(Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Byte offset in the client's text.
    pub offset: usize,
    /// JSON pointer to the place.
    pub pointer: String,
    /// What was expected there.
    pub expected: String,
}

/// A body that was walked.
#[derive(Debug)]
pub struct Scan<'a> {
    /// The text for a strict parser: the client's own unless something had to be mended.
    pub text: Cow<'a, str>,
    /// Metadata notes, by the record's index.
    pub notes: HashMap<usize, MetadataNotes>,
    /// Offsets in the client's text of bare words that got quotes, with their lengths.
    quoted: Vec<Range<usize>>,
}

/// Names of the members that are payloads.
const PAYLOADS: [&str; 3] = ["input", "output", "metadata"];

/// Members of one object after which repetitions are looked up by hash instead of one by one.
const NAMES_COMPARED_MAX: usize = 32;

impl Scan<'_> {
    /// The offset in the client's text for an offset in [`Scan::text`].
    #[must_use]
    pub fn locate(&self, offset: usize) -> usize {
        let mut inserted = 0;
        for word in &self.quoted {
            if offset > word.start + inserted {
                inserted += 1;
            }
            if offset > word.end + inserted {
                inserted += 1;
            }
        }
        offset - inserted
    }
}

/// Walks `text`, whose records with payloads stand at `records`.
///
/// # Errors
/// The first place that is deeper or longer than `limits` allow.
pub fn scan<'a>(text: &'a str, records: Option<Records>, limits: &JsonLimits) -> Result<Scan<'a>, OverLimit> {
    walked(text, records, limits, None)
}

fn walked<'a>(
    text: &'a str,
    records: Option<Records>,
    limits: &JsonLimits,
    odd_at: Option<usize>,
) -> Result<Scan<'a>, OverLimit> {
    let bytes = text.as_bytes();
    let mut walk = Walk { text, bytes, at: 0, records, limits, frames: Vec::new(), odd_at, fixes: Fixes::default() };
    match walk.run() {
        Ok(()) | Err(Stop::Syntax) => {}
        Err(Stop::Limit(over)) => return Err(over),
    }
    let Fixes { replaced, blanked, quoted, notes } = walk.fixes;
    let (text, quoted) = mend(text, &replaced, &blanked, quoted);
    Ok(Scan { text, notes, quoted })
}

enum Stop {
    Syntax,
    Limit(OverLimit),
}

#[derive(Default)]
struct Fixes {
    /// Starts of escapes that become `\ufffd`.
    replaced: Vec<usize>,
    /// Repeated members that do not count.
    blanked: Vec<Range<usize>>,
    /// Bare words that become strings.
    quoted: Vec<Range<usize>>,
    notes: HashMap<usize, MetadataNotes>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The body, when records stand inside it.
    Root,
    /// That list.
    List,
    /// A record with payloads, by its index.
    Record(usize),
    /// The metadata object of a record.
    Metadata(usize),
    /// Anything inside a payload.
    Payload,
    Other,
}

impl Role {
    fn inside_payload(self) -> bool {
        matches!(self, Self::Metadata(_) | Self::Payload)
    }
}

struct Frame<'a> {
    role: Role,
    object: bool,
    /// Members or items begun.
    count: usize,
    /// The name of the member being read, between its quotes.
    name: Range<usize>,
    /// Members seen, for repetitions; not kept inside payloads.
    members: Vec<Member<'a>>,
    by_name: HashMap<Cow<'a, str>, usize>,
}

struct Member<'a> {
    name: Cow<'a, str>,
    start: usize,
}

struct Walk<'a, 'l> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    records: Option<Records>,
    limits: &'l JsonLimits,
    frames: Vec<Frame<'a>>,
    /// The last place at which a payload was seen to be no plain one: what is around it is not passed over.
    odd_at: Option<usize>,
    fixes: Fixes,
}

impl<'a> Walk<'a, '_> {
    fn run(&mut self) -> Result<(), Stop> {
        loop {
            self.value()?;
            // Close what ends here, and go to the next member or item.
            loop {
                self.space();
                let Some(frame) = self.frames.last() else { return Ok(()) };
                let (object, next) = (frame.object, self.peek());
                match (object, next) {
                    (_, Some(b',')) => {
                        self.at += 1;
                        self.next(object)?;
                        break;
                    }
                    (true, Some(b'}')) | (false, Some(b']')) => {
                        self.at += 1;
                        self.frames.pop();
                    }
                    _ => return Err(Stop::Syntax),
                }
            }
        }
    }

    /// Reads one value, or opens containers until there is a scalar or an empty container.
    fn value(&mut self) -> Result<(), Stop> {
        loop {
            self.space();
            match self.peek().ok_or(Stop::Syntax)? {
                open @ (b'{' | b'[') => {
                    let object = open == b'{';
                    if self.pass_over(object) {
                        return Ok(());
                    }
                    self.open(object)?;
                    self.space();
                    if self.peek() == Some(if object { b'}' } else { b']' }) {
                        self.at += 1;
                        self.frames.pop();
                        return Ok(());
                    }
                    self.next(object)?;
                }
                b'"' => {
                    let inside = self.string(!self.in_payload(), self.limits.json_string_bytes_max)?;
                    self.note_text(inside);
                    return Ok(());
                }
                b't' => return self.word("true"),
                b'f' => return self.word("false"),
                b'n' => return self.word("null"),
                b'N' => return self.bare("NaN"),
                b'I' => return self.bare("Infinity"),
                b'-' if self.bytes.get(self.at + 1) == Some(&b'I') => return self.bare("-Infinity"),
                b'-' | b'0'..=b'9' => return self.number(),
                _ => return Err(Stop::Syntax),
            }
        }
    }

    /// Passes over a container within a payload in which nothing is to be mended, noted or refused, and that is nearly
    /// every one. Otherwise stays before it.
    fn pass_over(&mut self, object: bool) -> bool {
        if self.odd_at.is_some_and(|odd| odd >= self.at) || self.child_role(object) != Role::Payload {
            return false;
        }
        match self.plain_end() {
            Ok(end) => {
                self.at = end;
                true
            }
            Err(odd) => {
                self.odd_at = Some(odd);
                false
            }
        }
    }

    /// Where the container at hand ends; or what in it has to be looked at, or is its last byte.
    fn plain_end(&self) -> Result<usize, usize> {
        let JsonLimits { json_depth_max, json_string_bytes_max, json_number_chars_max, json_name_bytes_max } =
            *self.limits;
        let depth_max = json_depth_max.saturating_sub(self.frames.len());
        let (mut at, mut depth) = (self.at, 0);
        while let Some(byte) = self.bytes.get(at) {
            match byte {
                b'"' => {
                    let start = at + 1;
                    at = self.string_end(start).ok_or(self.bytes.len())?;
                    let length = at - start;
                    at += 1;
                    if length > json_string_bytes_max || length > json_name_bytes_max && self.is_name(at) {
                        return Err(start);
                    }
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth > depth_max {
                        return Err(at);
                    }
                    at += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    at += 1;
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                b'N' | b'I' => return Err(at),
                b'-' | b'0'..=b'9' => {
                    let length = self.bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                    if length > json_number_chars_max {
                        return Err(at);
                    }
                    at += length;
                }
                _ => at += 1,
            }
        }
        Err(self.bytes.len())
    }

    /// Where the string ends whose characters begin at `at`.
    fn string_end(&self, mut at: usize) -> Option<usize> {
        loop {
            at += memchr::memchr2(b'"', b'\\', self.bytes.get(at..)?)?;
            if self.bytes[at] == b'"' {
                return Some(at);
            }
            at += 2;
        }
    }

    /// Whether the string that ends before `at` is a name.
    fn is_name(&self, at: usize) -> bool {
        self.bytes[at..].iter().find(|byte| !is_space(**byte)) == Some(&b':')
    }

    /// Begins the next member or item of the innermost container.
    fn next(&mut self, object: bool) -> Result<(), Stop> {
        self.space();
        if object {
            if self.peek() != Some(b'"') {
                return Err(Stop::Syntax);
            }
            let start = self.at;
            let payload = self.frames.last().is_some_and(|frame| frame.role.inside_payload());
            let name = self.string(!payload, self.limits.json_name_bytes_max)?;
            let known = if payload { None } else { Some(self.name(&name)) };
            if let Some(frame) = self.frames.last_mut() {
                frame.name = name;
                if let Some(name) = known {
                    frame.member(name, start, &mut self.fixes.blanked);
                }
            }
            self.note_name();
            self.space();
            if self.peek() != Some(b':') {
                return Err(Stop::Syntax);
            }
            self.at += 1;
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.count += 1;
        }
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), Stop> {
        if self.frames.len() >= self.limits.json_depth_max {
            return Err(self.over(self.at, format!("nesting of at most {} levels", self.limits.json_depth_max)));
        }
        let role = self.child_role(object);
        self.frames.push(Frame { role, object, count: 0, name: 0..0, members: Vec::new(), by_name: HashMap::new() });
        self.at += 1;
        Ok(())
    }

    fn child_role(&self, object: bool) -> Role {
        let Some(parent) = self.frames.last() else {
            return match self.records {
                Some(Records::Whole) if object => Role::Record(0),
                Some(Records::Each(_) | Records::Within(_)) if object => Role::Root,
                _ => Role::Other,
            };
        };
        let name = &self.text[parent.name.clone()];
        match (parent.role, self.records) {
            (Role::Root, Some(Records::Each(list))) if !object && name == list => Role::List,
            (Role::Root, Some(Records::Within(one))) if object && name == one => Role::Record(0),
            (Role::List, _) if object => Role::Record(parent.count - 1),
            (Role::Record(index), _) if object && name == "metadata" => Role::Metadata(index),
            (Role::Record(_), _) if PAYLOADS.contains(&name) => Role::Payload,
            (Role::Metadata(_) | Role::Payload, _) => Role::Payload,
            _ => Role::Other,
        }
    }

    /// Whether the value at hand is, or is inside, a payload.
    fn in_payload(&self) -> bool {
        self.frames.last().is_some_and(|frame| match frame.role {
            Role::Record(_) => PAYLOADS.contains(&&self.text[frame.name.clone()]),
            role => role.inside_payload(),
        })
    }

    fn note_name(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        match frame.role {
            // A repeated metadata counts with its last value, and so do its notes.
            Role::Record(index) if &self.text[frame.name.clone()] == "metadata" => {
                self.fixes.notes.remove(&index);
            }
            Role::Metadata(index) if &self.text[frame.name.clone()] == "provider" => {
                self.fixes.notes.entry(index).or_default().has_provider = true;
            }
            _ => {}
        }
    }

    fn note_text(&mut self, inside: Range<usize>) {
        let Some(frame) = self.frames.last() else { return };
        if let Role::Metadata(index) = frame.role
            && &self.text[frame.name.clone()] == "model"
        {
            let model = decoded(&self.text[inside]).into_owned();
            self.fixes.notes.entry(index).or_default().model = Some(model);
        }
    }

    fn name(&self, inside: &Range<usize>) -> Cow<'a, str> {
        decoded(&self.text[inside.clone()])
    }

    /// Passes over a string; returns what is between the quotes.
    fn string(&mut self, mend: bool, bytes_max: usize) -> Result<Range<usize>, Stop> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            let found = memchr::memchr2(b'"', b'\\', &self.bytes[at..]).ok_or(Stop::Syntax)?;
            at += found;
            if self.bytes[at] == b'"' {
                break;
            }
            at += if mend { self.escape(at) } else { 2 };
            if at > self.bytes.len() {
                return Err(Stop::Syntax);
            }
        }
        if at - start > bytes_max {
            return Err(self.over(self.at, format!("at most {bytes_max} bytes")));
        }
        self.at = at + 1;
        Ok(start..at)
    }

    /// Length of the escape at `at`; one that no text column can hold is marked for replacement.
    fn escape(&mut self, at: usize) -> usize {
        match self.unicode_escape(at) {
            None => 2,
            Some(0xd800..=0xdbff) if matches!(self.unicode_escape(at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0 | 0xd800..=0xdfff) => {
                self.fixes.replaced.push(at);
                6
            }
            Some(_) => 6,
        }
    }

    fn unicode_escape(&self, at: usize) -> Option<u32> {
        let escape = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        escape.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
    }

    fn number(&mut self) -> Result<(), Stop> {
        let start = self.at;
        while self.peek().is_some_and(is_of_number) {
            self.at += 1;
        }
        let chars_max = self.limits.json_number_chars_max;
        if self.at - start > chars_max {
            return Err(self.over(start, format!("a number of at most {chars_max} characters")));
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Stop> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Stop::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    /// A word that only JavaScript and Python call a number.
    fn bare(&mut self, word: &str) -> Result<(), Stop> {
        let start = self.at;
        self.word(word)?;
        if !self.in_payload() {
            return Err(Stop::Syntax);
        }
        self.fixes.quoted.push(start..self.at);
        Ok(())
    }

    fn space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn over(&self, offset: usize, expected: String) -> Stop {
        let mut pointer = String::new();
        for frame in &self.frames {
            pointer.push('/');
            if frame.object {
                pointer.push_str(&decoded(&self.text[frame.name.clone()]).replace('~', "~0").replace('/', "~1"));
            } else {
                pointer.push_str(&frame.count.saturating_sub(1).to_string());
            }
            if pointer.len() > 1_000 {
                pointer.push_str("/...");
                break;
            }
        }
        Stop::Limit(OverLimit { offset, pointer, expected })
    }
}

impl<'a> Frame<'a> {
    /// Takes up a member that starts at `start`; an earlier one of the same name is blanked, up to its successor.
    fn member(&mut self, name: Cow<'a, str>, start: usize, blanked: &mut Vec<Range<usize>>) {
        let index = self.members.len();
        let earlier = if index < NAMES_COMPARED_MAX {
            self.members.iter().rposition(|member| member.name == name)
        } else {
            if self.by_name.is_empty() {
                self.by_name = self.members.iter().enumerate().map(|(at, member)| (member.name.clone(), at)).collect();
            }
            self.by_name.insert(name.clone(), index)
        };
        if let Some(earlier) = earlier {
            let end = self.members.get(earlier + 1).map_or(start, |next| next.start);
            blanked.push(self.members[earlier].start..end);
        }
        self.members.push(Member { name, start });
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
}

/// A string's characters, escapes resolved where they can be.
fn decoded(inside: &str) -> Cow<'_, str> {
    if inside.contains('\\')
        && let Ok(text) = serde_json::from_str::<String>(&format!("\"{inside}\""))
    {
        return Cow::Owned(text);
    }
    Cow::Borrowed(inside)
}

fn mend<'a>(
    text: &'a str,
    replaced: &[usize],
    blanked: &[Range<usize>],
    mut quoted: Vec<Range<usize>>,
) -> (Cow<'a, str>, Vec<Range<usize>>) {
    if replaced.is_empty() && blanked.is_empty() && quoted.is_empty() {
        return (Cow::Borrowed(text), quoted);
    }
    let mut bytes = text.as_bytes().to_vec();
    for &at in replaced {
        bytes[at..at + 6].copy_from_slice(b"\\ufffd");
    }
    for range in blanked {
        for byte in &mut bytes[range.clone()] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    quoted.retain(|word| bytes[word.start] != b' ');
    if !quoted.is_empty() {
        let mut longer = Vec::with_capacity(bytes.len() + 2 * quoted.len());
        let mut done = 0;
        for word in &quoted {
            longer.extend_from_slice(&bytes[done..word.start]);
            longer.push(b'"');
            longer.extend_from_slice(&bytes[word.clone()]);
            longer.push(b'"');
            done = word.end;
        }
        longer.extend_from_slice(&bytes[done..]);
        bytes = longer;
    }
    // Only ASCII was written, over whole characters: it is still UTF-8.
    let text = String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned);
    (text, quoted)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const LIMITS: JsonLimits =
        JsonLimits { json_depth_max: 6, json_string_bytes_max: 20, json_number_chars_max: 10, json_name_bytes_max: 12 };

    fn whole(text: &str) -> String {
        scan(text, Some(Records::Whole), &LIMITS).expect("within limits").text.into_owned()
    }

    #[test]
    fn the_last_of_repeated_members_counts_and_nothing_moves() {
        for (text, wanted) in [
            (r#"{"a":1,"a":2}"#, r#"{      "a":2}"#),
            (r#"{"a":1,"b":0,"a":2,"a":3}"#, r#"{      "b":0,      "a":3}"#),
            (r#"{"a":1, "\u0061":2}"#, r#"{       "\u0061":2}"#),
            (r#"{"a":{"é":1},"a":[{"b":1,"b":2}]}"#, r#"{             "a":[{      "b":2}]}"#),
            ("{\"a\":\n1,\"a\":2}", "{    \n  \"a\":2}"),
        ] {
            assert_eq!(whole(text), wanted);
            assert_eq!(whole(text).len(), text.len());
        }
        assert_eq!(whole(r#"{"input":{"a":1,"a":2}}"#), r#"{"input":{"a":1,"a":2}}"#);
    }

    #[test]
    fn many_members_are_told_apart_as_well() {
        let mut text = String::from("{");
        for member in 0..100 {
            write!(text, "\"m{}\":{member},", member % 50).expect("to memory");
        }
        text.push_str("\"end\":0}");
        let read: Value = serde_json::from_str(&whole(&text)).expect("valid");
        assert_eq!(read["m7"], 57);
        assert_eq!(whole(&text).matches("m7").count(), 1);
    }

    #[test]
    fn words_for_numbers_become_strings_in_payloads_only() {
        assert_eq!(
            whole(r#"{"input":[NaN,-Infinity],"output":Infinity,"a":{"input":1}}"#),
            r#"{"input":["NaN","-Infinity"],"output":"Infinity","a":{"input":1}}"#
        );
        assert_eq!(whole(r#"{"ttft":NaN}"#), r#"{"ttft":NaN}"#);
        assert_eq!(whole(r#"{"a":{"input":NaN}}"#), r#"{"a":{"input":NaN}}"#);
        assert_eq!(whole(r#"{"input":NaN,"input":1}"#), r#"{            "input":1}"#);
        let batch = scan(r#"{"spans":[{"input":NaN},{"input":1}]}"#, Some(Records::Each("spans")), &LIMITS);
        assert_eq!(batch.expect("valid").text, r#"{"spans":[{"input":"NaN"},{"input":1}]}"#);
    }

    #[test]
    fn positions_stay_the_clients() {
        let text = r#"{"input":[NaN,Infinity],"name":5}"#;
        let scanned = scan(text, Some(Records::Whole), &LIMITS).expect("valid");
        for wanted in ["name", "5}", "],"] {
            let mended = scanned.text.find(wanted).expect("there");
            assert_eq!(scanned.locate(mended), text.find(wanted).expect("there"), "{wanted}");
        }
        assert_eq!(scanned.locate(0), 0);
    }

    #[test]
    fn texts_no_column_can_hold_are_replaced_outside_payloads() {
        assert_eq!(whole(r#"{"name":"a\ud800b\u0000"}"#), r#"{"name":"a\ufffdb\ufffd"}"#);
        assert_eq!(whole(r#"{"name":"\ud83d\ude00"}"#), r#"{"name":"\ud83d\ude00"}"#);
        assert_eq!(whole(r#"{"name":"\\ud800"}"#), r#"{"name":"\\ud800"}"#);
        assert_eq!(whole(r#"{"name":"\udc00\ud800"}"#), r#"{"name":"\ufffd\ufffd"}"#);
        assert_eq!(whole(r#"{"input":"\ud800"}"#), r#"{"input":"\ud800"}"#);
    }

    #[test]
    fn metadata_is_noted() {
        let text = r#"{"spans":[{},{"metadata":{"model":"a\n","provider":1,"x":{"model":"no"}}}]}"#;
        let scanned = scan(text, Some(Records::Each("spans")), &LIMITS).expect("valid");
        let wanted = MetadataNotes { model: Some("a\n".to_owned()), has_provider: true };
        assert_eq!(scanned.notes, HashMap::from([(1, wanted)]));
        let again = scan(r#"{"metadata":{"model":"a"},"metadata":{}}"#, Some(Records::Whole), &LIMITS);
        assert!(again.expect("valid").notes.is_empty());
    }

    #[test]
    fn limits_say_where() {
        for (text, offset, pointer) in [
            (r#"{"input":[[[[[[1]]]]]]}"#, 14, "/input/0/0/0/0/0"),
            (r#"{"name":"123456789012345678901"}"#, 8, "/name"),
            (r#"{"a":[1,12345678901]}"#, 8, "/a/1"),
            (r#"{"b":{"1234567890123":1}}"#, 6, "/b/"),
        ] {
            let over = scan(text, Some(Records::Whole), &LIMITS).expect_err(text);
            assert_eq!((over.offset, over.pointer.as_str()), (offset, pointer), "{text}");
        }
        assert!(scan(r#"{"input":[[[[[1]]]]]}"#, Some(Records::Whole), &LIMITS).is_ok());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\\\\\"\u{1}é😀]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"é]{0,3}|input|metadata|spans|model", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn sound_json_is_left_as_it_is(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("serialises");
            for records in [None, Some(Records::Whole), Some(Records::Each("spans"))] {
                let limits = JsonLimits { json_depth_max: 50, json_string_bytes_max: 500, json_number_chars_max: 20, ..LIMITS };
                let scanned = scan(&text, records, &limits).expect("within limits");
                prop_assert!(matches!(scanned.text, Cow::Borrowed(_)), "{} became {}", text, scanned.text);
            }
        }

        #[test]
        fn what_is_passed_over_would_have_been_left_alone(value in any_json(), word in "NaN|-Infinity|Infinity|12345678901") {
            let text = serde_json::to_string(&value).expect("serialises").replace("null", &word);
            for text in [&text, &format!(r#"{{"input":{text},"metadata":{text}}}"#), &format!(r#"{{"spans":[{{"output":{text}}}]}}"#)] {
                for records in [Some(Records::Whole), Some(Records::Each("spans"))] {
                    let [quick, whole] = [None, Some(usize::MAX)].map(|odd_at| {
                        walked(text, records, &LIMITS, odd_at).map(|scanned| (scanned.text, scanned.notes, scanned.quoted))
                    });
                    prop_assert_eq!(quick, whole, "{}", text);
                }
            }
        }

        #[test]
        fn any_text_is_walked_without_a_panic(text in "[\\[\\]{}:,\"\\\\ua0-9NI\\-é ]{0,60}") {
            let _ = scan(&text, Some(Records::Whole), &LIMITS);
            let _ = scan(&text, Some(Records::Each("a")), &LIMITS);
        }
    }
}
