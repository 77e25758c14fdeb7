//! How the document shows feedback definitions: for each view a union of three, told apart by their type.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, Discriminator, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::{FeedbackCreate, FeedbackDescription, FeedbackPublic, FeedbackUpdate};
use crate::model::Decimal;

/// The three types: how the document calls them, their value, and what they are.
const KINDS: [(&str, &str, &str); 3] = [
    ("Numerical", "numerical", "A number between two others."),
    ("Categorical", "categorical", "One of several categories, each with a value."),
    ("Boolean", "boolean", "Yes or no."),
];

fn text(about: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(about))
}

fn described(schema: RefOr<Schema>, about: &str) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(about.to_owned());
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}

/// The union of a view.
fn union(view: &str) -> RefOr<Schema> {
    let name = |kind: &str| format!("{kind}FeedbackDefinition_{view}");
    let reference = |kind: &str| Ref::from_schema_name(name(kind));
    let mapping = KINDS.map(|(kind, value, _)| (value, format!("#/components/schemas/{}", name(kind))));
    KINDS
        .iter()
        .fold(OneOfBuilder::new(), |union, (kind, ..)| union.item(reference(kind)))
        .description(Some("Which scores people can give, and how."))
        .discriminator(Some(Discriminator::with_mapping("type", mapping)))
        .into()
}

/// What a view's union refers to.
fn parts(view: &str) -> Vec<(String, RefOr<Schema>)> {
    KINDS
        .into_iter()
        .flat_map(|(kind, value, about)| {
            let details = format!("{kind}FeedbackDetail_{view}");
            let definition = definition(view, &details, value, about);
            [
                (format!("{kind}FeedbackDefinition_{view}"), definition.into()),
                (details, self::details(value, about).into()),
            ]
        })
        .collect()
}

fn definition(view: &str, details: &str, value: &str, about: &str) -> Object {
    let id = RefOr::T(Schema::Object(
        text("Its id; made by the server.")
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
            .read_only(true)
            .build(),
    ));
    let mut object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(about))
        .property("id", id)
        .property(
            "name",
            text("No other definition of the workspace may have it, in whatever letter case.").min_length(Some(1)),
        )
        .property("description", described(FeedbackDescription::schema(), "What it is for."))
        .property("type", text("Its type.").enum_values(Some([value])))
        .property("details", Ref::from_schema_name(details));
    if view == "Public" {
        let time =
            |about: &str| text(about).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).read_only(true);
        let user = |about: &str| text(about).read_only(true);
        // The contract has both spellings.
        for [created_at, created_by, last_updated_at, last_updated_by] in [
            ["created_at", "created_by", "last_updated_at", "last_updated_by"],
            ["createdAt", "createdBy", "lastUpdatedAt", "lastUpdatedBy"],
        ] {
            object = object
                .property(created_at, time("When it was created."))
                .property(created_by, user("Who created it."))
                .property(last_updated_at, time("When it last changed."))
                .property(last_updated_by, user("Who changed it last."));
        }
    }
    object.required("name").required("type").required("details").build()
}

fn details(kind: &str, about: &str) -> Object {
    let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(about));
    match kind {
        "numerical" => object
            .property("min", described(Decimal::schema(), "The least value. Less than `max`."))
            .property("max", described(Decimal::schema(), "The greatest value."))
            .required("min")
            .required("max"),
        "categorical" => {
            let value = ObjectBuilder::new()
                .schema_type(Type::Number)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)));
            let categories = ObjectBuilder::new()
                .schema_type(Type::Object)
                .description(Some("Values by category. At least two, in the order in which they are to be shown."))
                .additional_properties(Some(AdditionalProperties::RefOr(value.into())));
            object.property("categories", categories).required("categories")
        }
        _ => object
            .property("trueLabel", text("What the value 1 is called. `true_label` is the same.").min_length(Some(1)))
            .property("falseLabel", text("What the value 0 is called. `false_label` is the same.").min_length(Some(1)))
            .required("trueLabel")
            .required("falseLabel"),
    }
    .build()
}

macro_rules! view {
    ($name:ident, $view:literal) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                union($view)
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(concat!("Feedback_", $view))
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                schemas.extend(parts($view));
            }
        }
    };
}

view!(FeedbackCreate, "Create");
view!(FeedbackUpdate, "Update");
view!(FeedbackPublic, "Public");
