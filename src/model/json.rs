//! Payloads: what an application traced, kept as it was sent.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A payload's JSON text, character for character as it came.
pub type Payload = Box<RawValue>;

/// Whether it is JSON's `null`.
#[must_use]
pub fn is_null(payload: &Payload) -> bool {
    payload.get() == "null"
}

/// Reads a member so that an explicit `null` is told from an absent member.
pub(super) fn explicit<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
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
