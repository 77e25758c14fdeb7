//! Many spans: asked for, changed, and answered together.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, openapi::Ref};
use validator::{Validate, ValidationErrors};

use super::json::{Object, object};
use super::validation::{broken, broken_rules, rule};
use super::{ErrorMessagePublic, Id, Ids, SpanFilter, SpanPublic, SpanType, SpanUpdate, Timestamp};

/// One change to many spans.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object with ids and an update")]
pub struct SpanBatchUpdate {
    /// The spans; unknown ones are passed over.
    #[schema(required, inline, value_type = Ids)]
    pub ids: Option<Ids>,
    /// The change. Its identity (project, trace, parent) is not looked at.
    #[schema(required, value_type = SpanUpdate)]
    #[serde(default, deserialize_with = "object")]
    pub update: Option<SpanUpdate>,
    /// If true, `tags` are added to the tags there are; if false, they replace them.
    pub merge_tags: Option<bool>,
}

impl Validate for SpanBatchUpdate {
    fn validate(&self) -> Result<(), ValidationErrors> {
        ids_and_update(self.ids.as_ref(), self.update.as_ref())
    }
}

/// By hand: the derived form would have to copy the update into its error.
pub(super) fn ids_and_update<U: Validate>(ids: Option<&Ids>, update: Option<&U>) -> Result<(), ValidationErrors> {
    let missing = || Err(broken("required", "must not be null"));
    let mut errors = ValidationErrors::new();
    let ids = match ids {
        // The original has both rules, and says both.
        Some(ids) if ids.0.is_empty() => Err(broken_rules(vec![
            rule("length", "must not be empty"),
            rule("length", "size must be between 1 and 1000"),
        ])),
        ids => ids.map_or_else(missing, Validate::validate),
    };
    errors.merge_self("ids", ids);
    errors.merge_self("update", update.map_or_else(missing, Validate::validate));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Members of a span that an answer can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "named after the members")]
pub enum SpanMember {
    Name,
    Type,
    StartTime,
    EndTime,
    Input,
    Output,
    Metadata,
    Model,
    Provider,
    Tags,
    Usage,
    ErrorInfo,
    CreatedAt,
    CreatedBy,
    LastUpdatedBy,
    FeedbackScores,
    Comments,
    TotalEstimatedCost,
    TotalEstimatedCostVersion,
    Duration,
    Ttft,
    Source,
    Environment,
}

/// Members to leave out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Excluded<M>(pub Vec<M>);

impl<M> Default for Excluded<M> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M: PartialSchema> PartialSchema for Excluded<M> {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(M::schema()).unique_items(true).into()
    }
}

impl<M: PartialSchema> ToSchema for Excluded<M> {}

/// Members of spans to leave out.
pub type ExcludedOfSpans = Excluded<SpanMember>;

/// How many spans a search answers with at most.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct SearchLimit(pub i32);

impl<'de> Deserialize<'de> for SearchLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        // 500.0 is an integer too.
        if number.fract() != 0.0 || !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
            return Err(D::Error::invalid_value(Unexpected::Float(number), &"an integer of 32 bits"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within range, as just checked")]
        Ok(Self(number as i32))
    }
}

impl SearchLimit {
    /// From the published contract.
    pub const DEFAULT: i32 = 500;
    const MAX: i32 = 2_000;
}

impl Validate for SearchLimit {
    fn validate(&self) -> Result<(), ValidationErrors> {
        if self.0 < 1 {
            return Err(broken("range", "must be greater than or equal to 1"));
        }
        if self.0 > Self::MAX {
            return Err(broken("range", format!("must be less than or equal to {}", Self::MAX)));
        }
        Ok(())
    }
}

impl PartialSchema for SearchLimit {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Int32)))
            .minimum(Some(1))
            .maximum(Some(Self::MAX))
            .default(Some(Self::DEFAULT.into()))
            .into()
    }
}

impl ToSchema for SearchLimit {}

/// Which spans to stream.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(expecting = "a search object")]
#[schema(as = SpanSearchStreamRequest_Public)]
pub struct SpanSearchStreamRequest {
    /// Only this trace's.
    #[schema(inline)]
    pub trace_id: Option<Id>,
    /// Their project, by name. This or `project_id` is needed.
    pub project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[schema(inline)]
    pub project_id: Option<Id>,
    /// Only of this type.
    #[schema(inline)]
    pub r#type: Option<SpanType>,
    /// Only those for which all of these hold.
    #[serde(default, deserialize_with = "filters")]
    pub filters: Option<Vec<SpanFilter>>,
    /// Most spans to answer with.
    #[schema(inline)]
    #[validate(nested)]
    pub limit: Option<SearchLimit>,
    /// Only spans with lower ids: the last id of the answer before this one.
    #[schema(inline)]
    pub last_retrieved_id: Option<Id>,
    /// Cut input, output and metadata short.
    #[schema(default = false)]
    pub truncate: Option<bool>,
    /// Members to leave out of the answer.
    #[schema(inline)]
    pub exclude: Option<ExcludedOfSpans>,
    /// Only spans whose ids were made from this time on.
    #[schema(inline)]
    pub from_time: Option<Timestamp>,
    /// Only spans whose ids were made up to this time. Must be after `from_time`.
    #[schema(inline)]
    pub to_time: Option<Timestamp>,
}

/// Filters, each an object.
pub(super) fn filters<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Vec<SpanFilter>>, D::Error> {
    let sent: Option<Vec<Object<SpanFilter>>> = Option::deserialize(from)?;
    Ok(sent.map(|sent| sent.into_iter().map(|filter| filter.0).collect()))
}

/// The answer to a search: one span a line.
#[derive(Debug)]
pub struct SpanStream;

impl PartialSchema for SpanStream {
    fn schema() -> RefOr<Schema> {
        let item = utoipa::openapi::schema::AnyOfBuilder::new()
            .item(Ref::from_schema_name(SpanPublic::name()))
            .item(Ref::from_schema_name(ErrorMessagePublic::name()));
        ArrayBuilder::new().items(item).max_items(Some(2_000)).into()
    }
}

impl ToSchema for SpanStream {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ErrorMessagePublic::name().into_owned(), ErrorMessagePublic::schema()));
        schemas.push((SpanPublic::name().into_owned(), SpanPublic::schema()));
        SpanPublic::schemas(schemas);
    }
}

/// A page of spans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpanPage_Public)]
pub struct SpanPagePublic {
    /// Which page it is, from 1.
    #[schema(required = false)]
    pub page: i32,
    /// How many spans are on it.
    #[schema(required = false)]
    pub size: i32,
    /// How many spans there are on all pages.
    #[schema(required = false)]
    pub total: i64,
    /// The spans.
    #[schema(required = false)]
    pub content: Vec<SpanPublic>,
    /// What can be sorted by.
    #[serde(rename = "sortableBy")]
    #[schema(required = false)]
    pub sortable_by: Vec<&'static str>,
}

/// Whether there is any.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExistenceResponse {
    /// Whether the project has at least one.
    #[schema(required = false)]
    pub exists: bool,
}

/// Statistics of many spans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProjectStats_Public)]
pub struct ProjectStatsPublic {
    /// One for each figure.
    #[schema(required = false)]
    pub stats: Vec<StatItem>,
}

/// A figure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ProjectStatItemObject_Public)]
pub enum StatItem {
    /// How many.
    Count(CountValueStat),
    /// How much on average, or in all.
    Avg(AvgValueStat),
    /// How much for most.
    Percentage(PercentageValueStat),
}

macro_rules! stat {
    ($(#[$doc:meta])* $name:ident as $published:ident, $kind:ident, $value:ty) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        #[schema(as = $published)]
        pub struct $name {
            /// What it is about.
            #[schema(required = false)]
            pub name: String,
            /// What kind of figure it is.
            #[schema(required = false, inline)]
            pub r#type: kind::$kind,
            /// The figure.
            #[schema(required = false)]
            pub value: $value,
        }
    };
}

/// Constant types of figures.
pub mod kind {
    use serde::Serialize;
    use utoipa::ToSchema;

    macro_rules! kind {
        ($name:ident, $value:ident) => {
            /// Always the same text.
            #[derive(Debug, Clone, Copy, Serialize, ToSchema)]
            #[serde(rename_all = "UPPERCASE")]
            pub enum $name {
                /// The text.
                $value,
            }
        };
    }
    kind!(CountKind, Count);
    kind!(AvgKind, Avg);
    kind!(PercentageKind, Percentage);
}

stat!(
    /// How many.
    CountValueStat as CountValueStat_Public, CountKind, i64
);
stat!(
    /// How much on average, or in all.
    AvgValueStat as AvgValueStat_Public, AvgKind, f64
);
stat!(
    /// How much for most.
    PercentageValueStat as PercentageValueStat_Public, PercentageKind, PercentageValues
);

/// Values at 50, 90 and 99 %.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PercentageValues_Public)]
pub struct PercentageValues {
    /// Half are not above it.
    #[schema(required = false, inline)]
    pub p50: Number,
    /// Nine in ten are not above it.
    #[schema(required = false, inline)]
    pub p90: Number,
    /// All but one in a hundred are not above it.
    #[schema(required = false, inline)]
    pub p99: Number,
}

/// A number that promises no format.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct Number(pub f64);

impl PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).into()
    }
}

impl ToSchema for Number {}
