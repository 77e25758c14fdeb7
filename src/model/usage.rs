//! Token counts.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Token counts by name. Fractions are truncated and nulls dropped: real clients send both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Usage(pub BTreeMap<String, i32>);

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = Usage;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of integers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Usage, A::Error> {
                let mut counts = BTreeMap::new();
                while let Some((name, count)) = map.next_entry::<String, Option<Count>>()? {
                    match count {
                        Some(Count(count)) => counts.insert(name, count),
                        None => counts.remove(&name),
                    };
                }
                Ok(Usage(counts))
            }
        }
        deserializer.deserialize_map(Counts)
    }
}

struct Count(i32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an integer of 32 bits")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Count, E> {
                i32::try_from(value).map(Count).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Count, E> {
                i32::try_from(value).map(Count).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Count, E> {
                let whole = value.trunc();
                if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&whole) {
                    return Err(E::invalid_value(Unexpected::Float(value), &self));
                }
                #[expect(clippy::cast_possible_truncation, reason = "whole and within range, as just checked")]
                Ok(Count(whole as i32))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

impl PartialSchema for Usage {
    fn schema() -> RefOr<Schema> {
        let count =
            ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::RefOr(count.into())))
            .into()
    }
}

impl ToSchema for Usage {}

/// Token counts of several spans together, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UsageSums(pub BTreeMap<String, i64>);

impl PartialSchema for UsageSums {
    fn schema() -> RefOr<Schema> {
        let count =
            ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::RefOr(count.into())))
            .into()
    }
}

impl ToSchema for UsageSums {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let usage: Usage = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(serde_json::to_string(&usage).expect("plain JSON"))
    }

    #[test]
    fn integers_are_kept_fractions_cut_and_nulls_dropped() {
        assert_eq!(
            read(r#"{"a":1,"b":785.0,"c":-1.9,"d":null,"e":2147483647,"f":-2147483648}"#).expect("valid"),
            r#"{"a":1,"b":785,"c":-1,"e":2147483647,"f":-2147483648}"#
        );
        assert_eq!(read(r#"{"a":1,"a":null}"#).expect("the last one counts"), "{}");
        for text in [r#"{"a":3000000000}"#, r#"{"a":1e30}"#, r#"{"a":true}"#, r#"{"a":"1"}"#, "[1]", r#"{"a":[]}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
