//! What lists, searches and statistics are asked with, made sense of.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::app::AppState;
use crate::error::ApiError;
use crate::filter::{self, Filter, FilterError};
use crate::model::{Excluded, Id, SpanMember, SpanType, Timestamp, Violation};
use crate::record::ProjectRef;
use crate::store::{Caller, Order, SortField, SpanQuery};

/// Reads a parameter; an empty one is an absent one, as in the original.
pub(super) fn optional<'de, D: Deserializer<'de>, T: FromStr>(from: D) -> Result<Option<T>, D::Error>
where
    T::Err: std::fmt::Display,
{
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| serde::de::Error::custom(format!("{text:?}: expected {error}")))
}

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Whole(pub i32);

impl FromStr for Whole {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "an integer of 32 bits")
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Flag(pub bool);

impl FromStr for Flag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "true or false")
    }
}

/// A span's type.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct TypeName(pub SpanType);

impl FromStr for TypeName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quoted = serde_json::Value::String(text.to_owned());
        serde_json::from_value(quoted).map(Self).map_err(|_| "general, tool, llm or guardrail")
    }
}

/// Which spans a list or statistic is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Scope {
    /// Their project, by name. This or `project_id` is needed.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, required = false)]
    pub project_name: Option<String>,
    /// Their project, by id; counts more than a name.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    pub project_id: Option<Id>,
    /// Only this trace's.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<String>, format = Uuid, required = false)]
    pub trace_id: Option<Id>,
    /// Only of this type.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = Option<SpanType>, inline, required = false)]
    pub r#type: Option<TypeName>,
    /// Only those for which all of these hold: a JSON array of filters.
    #[serde(default)]
    #[param(required = false)]
    pub filters: Option<String>,
    /// Full-text search across span fields
    #[serde(default)]
    #[param(required = false)]
    pub search: Option<String>,
    /// Filter spans created from this time (ISO-8601 format).
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    pub from_time: Option<String>,
    /// Filter spans created up to this time (ISO-8601 format). If not provided, there is no end. Must be after
    /// `from_time`.
    #[serde(default)]
    #[param(value_type = Option<String>, format = DateTime, required = false)]
    pub to_time: Option<String>,
}

impl Scope {
    /// What it means, and the project it names.
    pub(super) fn read(self) -> Result<(SpanQuery, ProjectRef), ApiError> {
        let project = named_project(self.project_id, self.project_name)?;
        let time = |text: Option<String>| match text.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => text.parse::<Timestamp>().map(Some).map_err(|_| {
                ApiError::bad_request(format!(
                    "Invalid instant format: '{text}'. Expected ISO-8601 (e.g., 2024-01-01T00:00:00Z)"
                ))
            }),
        };
        let (id_min, id_max) = id_range(time(self.from_time)?, time(self.to_time)?)?;
        let filters = filter::parse_json(self.filters.as_deref().unwrap_or_default()).map_err(invalid_filter)?;
        let search = self.search.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let query = SpanQuery {
            trace_id: self.trace_id,
            span_type: self.r#type.map(|name| name.0),
            filters,
            search,
            id_min,
            id_max,
            ..SpanQuery::all_of(0)
        };
        Ok((query, project))
    }
}

/// The project that a request names; an id counts more than a name.
pub(super) fn named_project(id: Option<Id>, name: Option<String>) -> Result<ProjectRef, ApiError> {
    match (id, name.filter(|name| !name.trim().is_empty())) {
        (Some(id), _) => Ok(ProjectRef::Id(id)),
        (None, Some(name)) => Ok(ProjectRef::Name(name.trim_end().to_owned())),
        (None, None) => {
            Err(ApiError::bad_request("Either 'project_name' or 'project_id' query params must be provided"))
        }
    }
}

/// The key of a project that must exist.
pub(super) async fn project_key(state: &AppState, caller: &Caller, project: &ProjectRef) -> Result<i64, ApiError> {
    let key = state.store.project(&caller.workspace, project).await?;
    key.ok_or_else(|| {
        ApiError::NotFound(match project {
            ProjectRef::Id(id) => format!("Project id: {id} not found"),
            ProjectRef::Name(name) => format!("Project name: {name} not found"),
        })
    })
}

/// The ids that were made between two times, both included, as far as ids tell the time.
pub(super) fn id_range(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(Option<Id>, Option<Id>), ApiError> {
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(ApiError::bad_request("Parameter 'from_time' must be before 'to_time'"));
    }
    Ok((from.map(|time| Id::at(time, false)), to.map(|time| Id::at(time, true))))
}

/// The answer to a filter that means nothing: which, what about it, and what would be right.
pub(super) fn invalid_filter(error: FilterError) -> ApiError {
    let place = match (error.index, error.member) {
        (None, _) => "/filters".to_owned(),
        (Some(index), "") => format!("/filters/{index}"),
        (Some(index), member) => format!("/filters/{index}/{member}"),
    };
    let violation = Violation::new(&place, "", &format!("expected {}", error.allowed));
    ApiError::BadRequest {
        message: error.message,
        details: Some(format!("{place}: expected {}", error.allowed)),
        violation: Some(Box::new(violation)),
    }
}

/// Filters of a body.
pub(super) fn body_filters(sent: Option<Vec<crate::model::SpanFilter>>) -> Result<Vec<Filter>, ApiError> {
    filter::validate(sent.unwrap_or_default()).map_err(invalid_filter)
}

/// The order that a parameter asks for. Only the first element counts; a field that cannot be sorted by is passed over.
pub(super) fn order(sorting: Option<&str>) -> Result<Order, ApiError> {
    #[derive(Deserialize)]
    struct Element {
        field: Option<String>,
        direction: Option<Direction>,
    }
    #[derive(Deserialize, Clone, Copy, PartialEq)]
    #[serde(rename_all = "UPPERCASE")]
    enum Direction {
        Asc,
        Desc,
    }
    let Some(text) = sorting.filter(|text| !text.trim().is_empty()) else { return Ok(Order::ByTrace) };
    let elements: Vec<Element> = serde_json::from_str(text).map_err(|error| ApiError::BadRequest {
        message: format!("Invalid sorting query parameter '{text}'"),
        details: Some(format!("expected [{{\"field\": …, \"direction\": \"ASC\" or \"DESC\"}}]: {error}")),
        violation: None,
    })?;
    let Some(first) = elements.into_iter().next() else { return Ok(Order::ByTrace) };
    let field = first.field.as_deref().and_then(SortField::named);
    let descending = first.direction == Some(Direction::Desc);
    Ok(field.map_or(Order::ByTrace, |field| Order::By { field, descending }))
}

/// The members that a parameter leaves out.
pub(super) fn excluded(exclude: Option<&str>) -> Result<Vec<SpanMember>, ApiError> {
    let Some(text) = exclude.filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
    let excluded: Excluded = serde_json::from_str(text).map_err(|error| ApiError::BadRequest {
        message: format!("Invalid query param exclude '{text}'"),
        details: Some(format!("expected a JSON array of member names: {error}")),
        violation: None,
    })?;
    Ok(excluded.0)
}
