//! Payloads: what an application traced, kept as it was sent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A payload's JSON text, character for character as it came. Many may hold it: it is not copied from step to step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

impl Payload {
    /// The payload that a store has kept. It was looked through when it came, and is not once more.
    #[must_use]
    pub fn kept(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl From<Box<RawValue>> for Payload {
    fn from(raw: Box<RawValue>) -> Self {
        Self(Box::<str>::from(raw).into())
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(from).map(|raw| Self(raw.get().into()))
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        /// The name by which serde_json knows a text that is JSON already. A [`RawValue`] has the same, but cannot be made
        /// without looking through the text.
        const RAW: &str = "$serde_json::private::RawValue";
        let mut raw = to.serialize_struct(RAW, 1)?;
        raw.serialize_field(RAW, self.get())?;
        raw.end()
    }
}

/// Whether it is JSON's `null`.
#[must_use]
pub fn is_null(payload: &Payload) -> bool {
    payload.get() == "null"
}

/// Reads a member so that an explicit `null` is told from an absent member.
pub(super) fn explicit<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A value that is read from an object alone. A derived reader also takes a list, member by member.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Reads a list of [`Object`]s.
pub(super) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Object<T>>::deserialize(from)?.into_iter().map(|object| object.0).collect())
}

/// Reads an optional list of [`Object`]s.
pub(super) fn optional_objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let objects = Option::<Vec<Object<T>>>::deserialize(from)?;
    Ok(objects.map(|objects| objects.into_iter().map(|object| object.0).collect()))
}

/// Reads an optional member as an [`Object`].
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(from)?.map(|object| object.0))
}

/// The contract names the same type once for each view; clients are generated with these names.
macro_rules! json_list_string {
    ($(#[$doc:meta])* $name:ident, $published:literal, $about:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Payload);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                object_list_or_string($about)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($published)
            }
        }
    };
}

json_list_string!(
    /// A payload in an update; `null` clears what is stored.
    JsonListString,
    "JsonListString",
    "Any JSON, kept as sent; `null` clears what is stored."
);
json_list_string!(
    /// A payload in a create; `null` is the same as no payload.
    JsonListStringWrite,
    "JsonListString_Write",
    "Any JSON, kept as sent; `null` is the same as no payload."
);
json_list_string!(
    /// A payload in an answer.
    JsonListStringPublic,
    "JsonListString_Public",
    "JSON as it was sent."
);

fn object_list_or_string(about: &str) -> RefOr<Schema> {
    let object = || {
        ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true)))
    };
    AnyOfBuilder::new()
        .description(Some(about))
        .item(object())
        .item(ArrayBuilder::new().items(object()))
        .item(ObjectBuilder::new().schema_type(Type::String))
        .into()
}
