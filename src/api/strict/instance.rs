//! JSON as the validator sees it: a text that is read only where a schema looks.
//!
//! Payloads, which schemas say little of, cost no memory so, and numbers keep their digits. The text must be valid JSON.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, unique};
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::Value;
use serde_json::value::RawValue;

use super::number::Number;

/// Longest part of a refused value that is kept to be told, in bytes.
const FOUND_BYTES_MAX: usize = 1_000;

/// Members of an object from which on it is cut short once enough is wrong.
const MEMBERS_MANY: usize = 1_000;

/// How much may still be found wrong. Beyond it, lists are cut short: an answer should not outgrow its request.
#[derive(Debug)]
pub(super) struct Patience(Cell<usize>);

impl Patience {
    pub(super) fn new(faults: usize) -> Self {
        Self(Cell::new(faults))
    }

    fn spend(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }

    fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// The representation.
pub(super) struct Text;

impl Json for Text {
    type Node<'a> = Instance<'a>;
    type PreparedKey = String;
    type StringBuffer = String;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>(buffer: &mut String, string: &str, then: impl FnOnce(Instance<'_>) -> T) -> T {
        *buffer = Value::from(string).to_string();
        then(Instance::of(buffer, None))
    }
}

/// One value.
#[derive(Clone)]
pub(super) struct Instance<'a> {
    json: &'a str,
    patience: Option<&'a Patience>,
    members: OnceCell<Rc<[Member<'a>]>>,
    items: OnceCell<usize>,
}

/// A name and its value.
type Member<'a> = (Cow<'a, str>, Instance<'a>);

impl<'a> Instance<'a> {
    /// Of valid JSON.
    pub(super) fn new(json: &'a str, patience: Option<&'a Patience>) -> Self {
        Self::of(json.trim_ascii(), patience)
    }

    fn of(json: &'a str, patience: Option<&'a Patience>) -> Self {
        Self { json, patience, members: OnceCell::new(), items: OnceCell::new() }
    }

    fn is_over(&self) -> bool {
        self.patience.is_some_and(Patience::is_spent)
    }

    fn read_members(&self) -> Rc<[Member<'a>]> {
        struct Members<'a>(Option<&'a Patience>);
        impl<'a> Visitor<'a> for Members<'a> {
            type Value = Vec<Member<'a>>;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'a>, &'a RawValue>()? {
                    members.push((name, Instance::of(value.get(), self.0)));
                }
                Ok(members)
            }
        }
        let members = serde_json::Deserializer::from_str(self.json).deserialize_map(Members(self.patience));
        Rc::from(members.unwrap_or_default())
    }

    /// The whole value; as text, if it is too deep to be one.
    fn whole(&self) -> Value {
        serde_json::from_str(self.json).unwrap_or_else(|_| Value::from(self.json))
    }
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Node<'a, Text> for Instance<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = Number<'a>;

    fn as_object(&self) -> Option<Members<'a>> {
        let is_object = self.json_type() == JsonType::Object;
        is_object.then(|| Members {
            all: Rc::clone(self.members.get_or_init(|| self.read_members())),
            next: 0,
            patience: self.patience,
        })
    }

    fn as_array(&self) -> Option<Items<'a>> {
        (self.json_type() == JsonType::Array).then(|| Items {
            count: *self.items.get_or_init(|| count(self.json)),
            within: self.clone(),
            next: 1,
        })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.is_string().then(|| serde_json::from_str::<Name<'a>>(self.json).ok())?;
        text.map(|Name(text)| text)
    }

    fn as_number(&self) -> Option<Number<'a>> {
        self.is_number().then_some(Number(self.json))
    }

    fn as_boolean(&self) -> Option<bool> {
        self.json.parse().ok()
    }

    fn is_null(&self) -> bool {
        self.json_type() == JsonType::Null
    }

    fn is_number(&self) -> bool {
        self.json_type() == JsonType::Number
    }

    fn json_type(&self) -> JsonType {
        match self.json.as_bytes().first() {
            Some(b'{') => JsonType::Object,
            Some(b'[') => JsonType::Array,
            Some(b'"') => JsonType::String,
            Some(b't' | b'f') => JsonType::Boolean,
            Some(b'n') => JsonType::Null,
            _ => JsonType::Number,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match expected {
            Value::String(text) => self.as_string().is_some_and(|own| own == *text),
            _ => self.whole() == *expected,
        }
    }

    /// What is told of a value that is refused: lists and objects without what is in them, long texts cut short.
    fn to_value(&self) -> Cow<'a, Value> {
        if let Some(patience) = self.patience {
            patience.spend();
        }
        Cow::Owned(match self.json_type() {
            JsonType::Object => Value::Object(serde_json::Map::new()),
            JsonType::Array => Value::Array(Vec::new()),
            _ if self.json.len() <= FOUND_BYTES_MAX => self.whole(),
            _ => Value::from(self.json.get(1..self.json.floor_char_boundary(FOUND_BYTES_MAX)).unwrap_or_default()),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        None
    }
}

/// The members of an object, and a walk over them.
pub(super) struct Members<'a> {
    all: Rc<[Member<'a>]>,
    next: usize,
    patience: Option<&'a Patience>,
}

impl<'a> Object<'a, Text> for Members<'a> {
    type Node = Instance<'a>;
    type MemberName = Cow<'a, str>;
    type MembersIter = Self;

    fn len(&self) -> usize {
        self.all.len()
    }

    fn get(&self, key: &String) -> Option<Instance<'a>> {
        self.all.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }

    fn members(&self) -> Self {
        Self { all: Rc::clone(&self.all), next: 0, patience: self.patience }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        if self.all.len() > MEMBERS_MANY && self.patience.is_some_and(Patience::is_spent) {
            return None;
        }
        self.next += 1;
        self.all.get(self.next - 1).cloned()
    }
}

/// The items of a list, and a walk over them.
pub(super) struct Items<'a> {
    count: usize,
    within: Instance<'a>,
    /// Where the next item begins, in bytes.
    next: usize,
}

impl<'a> Array<'a, Text> for Items<'a> {
    type Node = Instance<'a>;
    type ElementsIter = Self;

    fn len(&self) -> usize {
        self.count
    }

    fn elements(&self) -> Self {
        Self { count: self.count, within: self.within.clone(), next: 1 }
    }

    fn is_unique(&self) -> bool {
        let items: Vec<Value> = self.elements().map(|item| item.whole()).collect();
        unique::is_unique(&items)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Instance<'a>;

    fn next(&mut self) -> Option<Instance<'a>> {
        if self.within.is_over() {
            return None;
        }
        let rest = self.within.json.get(self.next..)?;
        let mut items = serde_json::Deserializer::from_str(rest).into_iter::<&'a RawValue>();
        let item = items.next()?.ok()?;
        let end = items.byte_offset();
        // Past the comma; at the end there is none.
        let after = rest.as_bytes().iter().skip(end).take_while(|byte| byte.is_ascii_whitespace() || **byte == b',');
        self.next += end + after.count();
        Some(Instance::of(item.get(), self.within.patience))
    }
}

/// How many items a list has.
fn count(json: &str) -> usize {
    struct Count;
    impl<'a> Visitor<'a> for Count {
        type Value = usize;

        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<usize, A::Error> {
            let mut count = 0;
            while items.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(count)
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_seq(Count).unwrap_or_default()
}
