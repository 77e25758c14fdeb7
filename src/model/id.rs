//! Identifiers.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// A UUID in its 36-character form, letters of any case. The uuid crate alone also takes URNs, braces and bare digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub Uuid);

impl Id {
    const EXPECTED: &'static str = "a UUID of 36 characters";

    /// The first id of version 7 of a millisecond, or the last.
    #[must_use]
    pub fn at(time: super::Timestamp, last: bool) -> Self {
        let millis = u128::try_from(time.nanos() / 1_000_000).unwrap_or_default() & 0xffff_ffff_ffff;
        let rest = if last { 0x7fff_bfff_ffff_ffff_ffff } else { 0x7000_8000_0000_0000_0000 };
        Self(Uuid::from_u128(millis << 80 | rest))
    }

    /// The time in it.
    #[must_use]
    pub fn time(self) -> super::Timestamp {
        let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or_default();
        super::Timestamp::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// This id with the time of another.
    #[must_use]
    pub fn at_time_of(self, other: Self) -> Self {
        let rest = (1 << 80) - 1;
        Self(Uuid::from_u128((other.0.as_u128() & !rest) | (self.0.as_u128() & rest)))
    }

    /// Whether it is a version 7 (time-ordered) UUID.
    #[must_use]
    pub fn is_v7(self) -> bool {
        self.0.get_version_num() == 7
    }
}

impl FromStr for Id {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 36 {
            return Err(Self::EXPECTED);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| Self::EXPECTED)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(out)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Id;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(Id::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Id, E> {
                text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))).into()
    }
}

impl ToSchema for Id {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_36_character_form_is_taken() {
        let id = "01A20204-C23A-7bad-84c4-1aba08155ea5";
        assert_eq!(id.parse::<Id>().expect("valid").to_string(), id.to_lowercase());
        for text in [
            "01a20204c23a7bad84c41aba08155ea5",
            "{01a20204-c23a-7bad-84c4-1aba08155ea5}",
            "urn:uuid:01a20204-c23a-7bad-84c4-1aba08155ea5",
            " 1a20204-c23a-7bad-84c4-1aba08155ea5",
            "01a20204-c23a-7bad-84c4-1aba08155eag",
            "",
        ] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
