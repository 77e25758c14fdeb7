//! Values just inside and just outside of what a schema says, as JSON texts.
//!
//! A format, pattern or keyword that is not known here fails the test: what nobody has samples for, nobody has tried.

use serde_json::Value;

use super::views::{Additional, Schemas, View};

/// Stands in a sample for an id that is fresh in every request.
pub(crate) const ID: &str = "@id@";
/// The same in capital letters.
pub(crate) const ID_IN_CAPITALS: &str = "@ID@";

/// Longer than any text may be that the document does not limit.
const LONG_TEXT_CHARS: usize = 20_001;
/// More than any list may have that the document does not limit.
const LONG_LIST_ITEMS: usize = 1_001;

/// A value for one place.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// What is special about it.
    pub(crate) what: String,
    /// The value, as JSON.
    pub(crate) json: String,
    /// Whether the schema allows it.
    pub(crate) inside: bool,
    /// Where in the value it is wrong, as a JSON pointer; empty for the value itself.
    pub(crate) at: String,
    /// Whether it is only of another type, which texts such as query parameters do not have.
    pub(crate) typed: bool,
}

impl Sample {
    fn new(inside: bool, what: impl Into<String>, json: impl Into<String>) -> Self {
        Self { what: what.into(), json: json.into(), inside, at: String::new(), typed: false }
    }

    pub(crate) fn inside(what: impl Into<String>, json: impl Into<String>) -> Self {
        Self::new(true, what, json)
    }

    pub(crate) fn outside(what: impl Into<String>, json: impl Into<String>) -> Self {
        Self::new(false, what, json)
    }
}

fn text(of: &str) -> String {
    Value::from(of).to_string()
}

/// What a format takes and what it does not.
fn format_samples(kind: &str, format: &str) -> Vec<Sample> {
    let texts = |samples: &[(bool, &str, &str)]| {
        samples.iter().map(|(is_inside, what, of)| Sample::new(*is_inside, *what, text(of))).collect()
    };
    match (kind, format) {
        ("string", "uuid") => texts(&[
            (true, "a UUIDv7", ID),
            (true, "a UUIDv7 in capitals", ID_IN_CAPITALS),
            (true, "a UUIDv4", "7ad7fcbd-51d1-4c5b-a5d5-8f0bbd5c7b4e"),
            (true, "the nil UUID", "00000000-0000-0000-0000-000000000000"),
            (false, "a UUID without hyphens", "01a20204c23a7bad84c41aba08155ea5"),
            (false, "a UUID in braces", "{01a20204-c23a-7bad-84c4-1aba08155ea5}"),
            (false, "a UUID as URN", "urn:uuid:01a20204-c23a-7bad-84c4-1aba08155ea5"),
            (false, "a UUID with a wrong letter", "01a20204-c23a-7bad-84c4-1aba08155eag"),
            (false, "a UUID that is too short", "01a20204-c23a-7bad-84c4-1aba08155ea"),
        ]),
        ("string", "date-time") => texts(&[
            (true, "a time in UTC", "2024-01-15T09:30:00Z"),
            (true, "a time with an offset", "2024-01-15T09:30:00+14:00"),
            (true, "a time to the nanosecond", "2024-01-15T09:30:00.123456789Z"),
            (true, "a time to the tenth of a nanosecond", "2024-01-15T09:30:00.1234567891Z"),
            (true, "the first time", "1970-01-01T00:00:00Z"),
            (true, "a time before the first", "1969-12-31T23:59:59Z"),
            (true, "the last time", "2262-04-11T23:47:15.999999999Z"),
            (true, "a time after the last", "2262-04-11T23:47:16Z"),
            (true, "the last stamp", "2299-12-31T23:59:59Z"),
            (true, "a stamp after the last", "2300-01-01T00:00:00Z"),
            (true, "a leap second", "2016-12-31T23:59:60Z"),
            (false, "a time without an offset", "2024-01-15T09:30:00"),
            (false, "a time without seconds", "2024-01-15T09:30Z"),
            (false, "a time with a comma", "2024-01-15T09:30:00,5Z"),
            (false, "a day that does not exist", "2023-02-29T00:00:00Z"),
            (false, "an hour that does not exist", "2024-01-15T24:00:00Z"),
            (false, "a date", "2024-01-15"),
            (false, "seconds since 1970", "1705311000"),
        ]),
        ("integer", "int32") => around_integers(i64::from(i32::MIN), i64::from(i32::MAX)),
        ("integer", "int64") => vec![
            Sample::inside("the least int64", i64::MIN.to_string()),
            Sample::inside("the greatest int64", i64::MAX.to_string()),
            Sample::outside("below int64", "-9223372036854775809"),
            Sample::outside("above int64", "9223372036854775808"),
        ],
        ("number", "double") => vec![
            Sample::inside("the greatest double", format!("{:e}", f64::MAX)),
            Sample::inside("the least double", format!("{:e}", f64::MIN)),
            Sample::outside("above double", "1e309"),
            Sample::outside("below double", "-1e309"),
        ],
        _ => panic!("there are no samples for {kind} of the format {format:?}: add some to `format_samples`"),
    }
}

fn around_integers(least: i64, greatest: i64) -> Vec<Sample> {
    vec![
        Sample::inside(format!("the least integer {least}"), least.to_string()),
        Sample::inside(format!("the greatest integer {greatest}"), greatest.to_string()),
        Sample::outside(format!("below the integer {least}"), (least - 1).to_string()),
        Sample::outside(format!("above the integer {greatest}"), (greatest + 1).to_string()),
    ]
}

/// What a pattern takes, the plainest first, and what it does not.
fn pattern_samples(pattern: &str) -> Vec<Sample> {
    match pattern {
        r"^\s*(\S[\s\S]*\S|\S)\s*$" => vec![
            Sample::inside("one letter", text("a")),
            Sample::inside("words in white space", text("\u{a0} a\nb\t")),
            Sample::inside("a long text", text(&"a".repeat(LONG_TEXT_CHARS))),
            Sample::outside("no text", text("")),
            Sample::outside("a space", text(" ")),
            Sample::outside("white space", text("\t\n\r\u{a0}\u{2003}\u{feff}")),
        ],
        "^[A-Za-z0-9_-]+$" => vec![
            Sample::inside("one letter", text("a")),
            Sample::inside("every kind of letter", text("-aZ09_")),
            Sample::inside("150 letters", text(&"a".repeat(150))),
            Sample::outside("151 letters", text(&"a".repeat(151))),
            Sample::outside("no text", text("")),
            Sample::outside("a space", text("a b")),
            Sample::outside("a dot", text("a.b")),
            Sample::outside("a letter of another alphabet", text("é")),
            Sample::outside("a line end", text("a\n")),
        ],
        _ => panic!("there are no samples for the pattern {pattern:?}: add some to `pattern_samples`"),
    }
}

/// Keywords that limit nothing, or whose samples are made below.
const KEYWORDS: [&str; 29] = [
    "$ref",
    "additionalProperties",
    "default",
    "deprecated",
    "description",
    "discriminator",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
    "xml",
];

/// A value of each type, and the types of schemas that take it.
const TYPES: [(&str, &str, &[&str]); 8] = [
    ("null", "null", &[]),
    ("a boolean", "true", &["boolean"]),
    ("an integer", "1", &["integer", "number"]),
    ("a fraction", "1.5", &["number"]),
    ("a string", "\"text\"", &["string"]),
    ("a number in a string", "\"1\"", &["string"]),
    ("a list", "[]", &["array"]),
    ("an object", "{}", &["object"]),
];

/// Values to try a schema with.
pub(crate) trait Samples: Copy {
    /// The branches of a schema, all of whose keywords are known.
    fn known_views(self, schema: &Value) -> Vec<View>;

    /// A small value that a schema allows; another one for each `number`.
    fn valid(self, schema: &Value, number: usize) -> String;

    /// An object of what is required, with one member as given.
    fn object(self, view: &View, with: Option<(&str, &str)>) -> String;

    /// A list of so many members, different ones unless they are objects.
    fn list(self, view: &View, size: usize) -> String;

    /// What is worth trying in the place of a value of this schema; what is in it, is looked at for itself.
    fn samples(self, schema: &Value) -> Vec<Sample>;

    /// The same of a list.
    fn list_samples(self, view: &View) -> Vec<Sample>;

    /// The same of an object, which is one of these branches.
    fn object_samples(self, view: &View, views: &[View]) -> Vec<Sample>;
}

impl Samples for Schemas<'_> {
    #[track_caller]
    fn known_views(self, schema: &Value) -> Vec<View> {
        let (views, nullable) = self.views(schema).unwrap();
        assert!(!nullable, "null is allowed: say in samples.rs how it is tried: {schema}");
        for view in &views {
            for keyword in view.keywords.keys() {
                let known = KEYWORDS.contains(&keyword.as_str());
                assert!(known, "there are no samples for the keyword {keyword:?}: make some in samples.rs");
            }
            let same = views.iter().filter(|other| other.kind == view.kind).count();
            // A discriminator tells its branches apart.
            assert!(
                same == 1 || view.keywords.contains_key("discriminator"),
                "two branches of the type {:?}: say in samples.rs how to tell them apart",
                view.kind
            );
        }
        views
    }

    fn valid(self, schema: &Value, number: usize) -> String {
        let view = self.known_views(schema).swap_remove(0);
        match view.kind.as_str() {
            "object" => self.object(&view, None),
            "array" => self.list(&view, view.size("minItems").unwrap_or(0)),
            "boolean" => "true".to_owned(),
            "string" => valid_text(&view, number),
            "integer" | "number" => {
                #[expect(clippy::cast_precision_loss, reason = "a small number")]
                let wanted = view.number("example").unwrap_or(number as f64 + 1.0);
                let least = view.number("minimum").or(view.number("exclusiveMinimum").map(|bound| bound + 1.0));
                let greatest = view.number("maximum").or(view.number("exclusiveMaximum").map(|bound| bound - 1.0));
                wanted.max(least.unwrap_or(wanted)).min(greatest.unwrap_or(f64::MAX)).to_string()
            }
            _ => "{}".to_owned(),
        }
    }

    fn object(self, view: &View, with: Option<(&str, &str)>) -> String {
        let required =
            view.properties().filter(|(name, _)| view.requires(name) && with.is_none_or(|(one, _)| one != *name));
        let mut members: Vec<String> =
            required.map(|(name, schema)| format!("{}:{}", text(name), self.valid(schema, 0))).collect();
        members.extend(with.map(|(name, value)| format!("{}:{value}", text(name))));
        if let Additional::Schema(schema) = view.additional() {
            let more = members.len()..view.size("minProperties").unwrap_or(0);
            members.extend(more.map(|number| format!("\"member {number}\":{}", self.valid(schema, number))));
        }
        format!("{{{}}}", members.join(","))
    }

    fn list(self, view: &View, size: usize) -> String {
        let items = view.items();
        let first = self.valid(&items, 0);
        let all_alike = first.starts_with('{') && !view.is("uniqueItems");
        let item = |number| if all_alike { first.clone() } else { self.valid(&items, number) };
        format!("[{}]", (0..size).map(item).collect::<Vec<String>>().join(","))
    }

    #[track_caller]
    fn samples(self, schema: &Value) -> Vec<Sample> {
        let views = self.known_views(schema);
        let mut samples = Vec::new();
        for (what, json, kinds) in TYPES {
            let taken = views.iter().any(|view| view.kind.is_empty() || kinds.contains(&view.kind.as_str()));
            if !taken {
                samples.push(Sample { typed: true, ..Sample::outside(what, json) });
            }
        }
        for view in &views {
            samples.extend(match view.kind.as_str() {
                "string" => text_samples(view),
                "integer" | "number" => number_samples(view),
                "array" => self.list_samples(view),
                "object" => self.object_samples(view, &views),
                "boolean" => vec![Sample::inside("true", "true"), Sample::inside("false", "false")],
                "" => TYPES.iter().map(|(what, json, _)| Sample::inside(*what, *json)).collect(),
                other => panic!("there are no samples for the type {other:?}: make some in samples.rs"),
            });
        }
        samples
    }

    fn list_samples(self, view: &View) -> Vec<Sample> {
        let (least, most) = (view.size("minItems").unwrap_or(0), view.size("maxItems"));
        let mut samples = vec![Sample::inside(format!("{least} items"), self.list(view, least))];
        if least > 0 {
            samples.push(Sample::outside(format!("{} items", least - 1), self.list(view, least - 1)));
        }
        let items = self.known_views(&view.items());
        // There are no more different items than the enum has.
        let different = items.first().and_then(View::enumeration).filter(|_| view.is("uniqueItems")).map(Vec::len);
        let greatest = most.or(different).unwrap_or(LONG_LIST_ITEMS);
        samples.push(Sample::inside(format!("{greatest} items"), self.list(view, greatest)));
        if most.is_some() {
            samples.push(Sample::outside(format!("{} items", greatest + 1), self.list(view, greatest + 1)));
        }
        let twice = {
            let item = self.valid(&view.items(), 0).replace(ID, "01a20204-c23a-7bad-84c4-1aba08155ea5");
            format!("[{item},{item}]")
        };
        samples.push(Sample::new(!view.is("uniqueItems"), "the same item twice", twice));
        samples
    }

    fn object_samples(self, view: &View, views: &[View]) -> Vec<Sample> {
        let mut samples = vec![Sample::inside("only what is required", self.object(view, None))];
        for (name, _) in view.properties().filter(|(name, _)| view.requires(name)) {
            let mut without = view.clone();
            without.keywords["required"].as_array_mut().unwrap().retain(|other| other != name);
            let missing = Sample::outside(format!("no {name}"), self.object(&without, None));
            samples.push(Sample { at: format!("/{name}"), ..missing });
        }
        match view.additional() {
            Additional::Any => {
                samples.push(Sample::inside("an unknown member", self.object(view, Some(("unknown", "[{}]")))));
            }
            Additional::Closed => {
                let unknown = Sample::outside("an unknown member", self.object(view, Some(("unknown", "[{}]"))));
                samples.push(Sample { at: "/unknown".to_owned(), ..unknown });
            }
            Additional::Schema(_) if view.keywords.contains_key("minProperties") => {
                samples.push(Sample::outside("no members", "{}"));
                samples.push(Sample::inside("the fewest members", self.object(view, None)));
            }
            Additional::Schema(_) => samples.push(Sample::inside("no members", self.object(view, None))),
        }
        if views.len() == 1 {
            // Readers that know members by their position take it.
            let nulls = vec!["null"; view.properties().count()];
            samples
                .push(Sample { typed: true, ..Sample::outside("a list of members", format!("[{}]", nulls.join(","))) });
        }
        samples
    }
}

fn valid_text(view: &View, number: usize) -> String {
    if let Some(values) = view.enumeration() {
        return values[number % values.len()].to_string();
    }
    let plainest = |samples: Vec<Sample>| samples.into_iter().find(|sample| sample.inside).unwrap().json;
    if let Some(format) = view.text("format") {
        return plainest(format_samples("string", format));
    }
    if let Some(pattern) = view.text("pattern") {
        return plainest(pattern_samples(pattern));
    }
    let least = view.size("minLength").unwrap_or(0);
    text(&format!("{number:x>least$}"))
}

fn text_samples(view: &View) -> Vec<Sample> {
    let mut samples = Vec::new();
    if let Some(values) = view.enumeration() {
        for value in values {
            let value = value.as_str().expect("enums of texts");
            let other_case = if value == value.to_uppercase() { value.to_lowercase() } else { value.to_uppercase() };
            samples.push(Sample::inside(format!("the value {value}"), text(value)));
            if other_case != value {
                samples.push(Sample::outside(format!("the value {other_case}"), text(&other_case)));
            }
            samples.push(Sample::outside(format!("the value {value} and a space"), text(&format!("{value} "))));
        }
        samples.push(Sample::outside("no value of these", text("none_of_these")));
        samples.push(Sample::outside("no text", text("")));
        return samples;
    }
    if let Some(format) = view.text("format") {
        samples.extend(format_samples("string", format));
        samples.push(Sample::outside("no text", text("")));
        samples.push(Sample::outside("some text", text("text")));
        return samples;
    }
    if let Some(pattern) = view.text("pattern") {
        samples.extend(pattern_samples(pattern));
        return samples;
    }
    // What is counted are characters, of however many bytes.
    let of = |letter: &str, size: usize| text(&letter.repeat(size));
    let least = view.size("minLength").unwrap_or(0);
    samples.push(Sample::inside(format!("{least} characters"), of("x", least)));
    if least > 0 {
        samples.push(Sample::outside(format!("{} characters", least - 1), of("x", least - 1)));
    }
    match view.size("maxLength") {
        Some(most) => {
            samples.push(Sample::inside(format!("{most} characters"), of("x", most)));
            samples.push(Sample::inside(format!("{most} wide characters"), of("\u{1f600}", most)));
            samples.push(Sample::outside(format!("{} characters", most + 1), of("x", most + 1)));
            samples.push(Sample::outside(format!("{} wide characters", most + 1), of("\u{1f600}", most + 1)));
        }
        None => samples.push(Sample::inside("a long text", of("x", LONG_TEXT_CHARS))),
    }
    samples
}

fn number_samples(view: &View) -> Vec<Sample> {
    let whole = view.kind == "integer";
    let show = |value: f64| if whole { format!("{value:.0}") } else { format!("{value:e}") };
    let mut samples = Vec::new();
    for (side, exclusive_side, up) in [("minimum", "exclusiveMinimum", true), ("maximum", "exclusiveMaximum", false)] {
        for (keyword, is_exclusive) in [(side, false), (exclusive_side, true)] {
            let Some(bound) = view.number(keyword) else { continue };
            let beside = |up: bool| match (whole, up) {
                (true, true) => bound + 1.0,
                (true, false) => bound - 1.0,
                (false, true) => bound.next_up(),
                (false, false) => bound.next_down(),
            };
            samples.push(Sample::new(!is_exclusive, format!("the {side} {bound}"), show(bound)));
            samples.push(Sample::inside(format!("just within the {side} {bound}"), show(beside(up))));
            samples.push(Sample::outside(format!("just beyond the {side} {bound}"), show(beside(!up))));
        }
    }
    let bounded = |side: &str| view.keywords.keys().any(|keyword| keyword.to_lowercase().ends_with(side));
    if let Some(format) = view.text("format") {
        let mut ends = format_samples(&view.kind, format);
        // The ends of a format are no ends where there is a bound.
        ends.retain(|end| {
            let low = end.what.contains("least") || end.what.contains("below");
            !end.inside || !bounded(if low { "minimum" } else { "maximum" })
        });
        samples.extend(ends);
    } else if !whole && !bounded("maximum") {
        samples.push(Sample::inside("a great number", "1e300"));
        samples.push(Sample::inside("a number of many digits", "123456789012345678901234567890.5"));
    }
    if whole && !bounded("minimum") && !bounded("maximum") {
        samples.push(Sample::inside("an integer with a fraction of zero", "785.0"));
    }
    samples
}
