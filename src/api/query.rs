//! What lists, searches and statistics are asked with, made sense of.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::paging::{self, Sorting};
use crate::app::AppState;
use crate::error::ApiError;
use crate::filter::{self, Filter, FilterError};
use crate::model::{Excluded, Id, Source, Timestamp, Violation};
use crate::record::ProjectRef;
use crate::store::{Caller, Kind, Order, Query, SortField};

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

/// A parameter without which nothing can be done.
pub(super) fn needed<T>(name: &str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::bad_request(format!("query param {name} must not be null")))
}

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whole(pub i32);

impl FromStr for Whole {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "an integer of 32 bits")
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag(pub bool);

impl FromStr for Flag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| "true or false")
    }
}

/// What picks some of a project's spans or traces, as a query's parameters name it.
#[derive(Debug, Default)]
pub(super) struct Picked {
    pub project_name: Option<String>,
    pub project_id: Option<Id>,
    pub filters: Option<String>,
    pub search: Option<String>,
    pub from_time: Option<String>,
    pub to_time: Option<String>,
}

impl Picked {
    /// What it means, and the project it names.
    pub(super) fn read(self, of: Kind) -> Result<(Query, ProjectRef), ApiError> {
        let project = named_project(self.project_id, self.project_name)?;
        let (id_min, id_max) =
            id_range(time("from_time", self.from_time.as_deref())?, time("to_time", self.to_time.as_deref())?)?;
        let text = self.filters.as_deref().unwrap_or_default();
        let filters = filter::parse_json(of.fields(), text).map_err(invalid_filter)?;
        let search = self.search.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok((Query { filters, search, id_min, id_max, ..Query::all(of, 0) }, project))
    }
}

/// A point in time in a parameter.
fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| ApiError::BadRequest {
            message: format!("Invalid instant format: '{text}'. Expected ISO-8601 (e.g., 2024-01-01T00:00:00Z)"),
            details: Some(format!("{name}: expected an RFC 3339 date-time")),
            violation: None,
        }),
    }
}

/// A source in a parameter.
pub(super) fn source(name: Option<String>) -> Result<Option<Source>, ApiError> {
    let Some(name) = name.filter(|name| !name.trim().is_empty()) else { return Ok(None) };
    let source = serde_json::from_value(serde_json::Value::String(name.clone()));
    source.map(Some).map_err(|_| ApiError::bad_request(format!("Invalid source '{name}'")))
}

/// The project that the body of a search names.
pub(super) fn searched_project(id: Option<Id>, name: Option<String>) -> Result<ProjectRef, ApiError> {
    named_project(id, name).map_err(|_| {
        let message = "Either 'project_name' or 'project_id' must be provided";
        ApiError::BadRequest {
            message: message.to_owned(),
            details: None,
            violation: Some(Box::new(Violation::new("/project_id", "", message))),
        }
    })
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
    key.ok_or_else(|| no_project(project))
}

/// The answer where it does not.
pub(super) fn no_project(project: &ProjectRef) -> ApiError {
    ApiError::NotFound(match project {
        ProjectRef::Id(id) => format!("Project id: {id} not found"),
        ProjectRef::Name(name) => format!("Project name: {name} not found"),
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
    invalid_filter_of("filters", error)
}

fn invalid_filter_of(list: &str, error: FilterError) -> ApiError {
    let place = match (error.index, error.member) {
        (None, _) => format!("/{list}"),
        (Some(index), "") => format!("/{list}/{index}"),
        (Some(index), member) => format!("/{list}/{index}/{member}"),
    };
    let violation = Violation::new(&place, "", &format!("expected {}", error.allowed));
    ApiError::BadRequest {
        message: error.message,
        details: Some(format!("{place}: expected {}", error.allowed)),
        violation: Some(Box::new(violation)),
    }
}

/// Filters of a body, in its member `list`.
pub(super) fn body_filters(
    of: Kind,
    list: &str,
    sent: Option<Vec<crate::model::SpanFilter>>,
) -> Result<Vec<Filter>, ApiError> {
    filter::validate(of.fields(), sent.unwrap_or_default()).map_err(|error| invalid_filter_of(list, error))
}

/// The order that a parameter asks for. A field that cannot be sorted by is passed over.
pub(super) fn order(of: Kind, sorting: Option<&str>) -> Result<Order, ApiError> {
    let Some(Sorting { field, descending }) = paging::sorting(sorting)? else { return Ok(Order::Default) };
    let field = field.as_deref().and_then(|name| SortField::named(of, name));
    Ok(field.map_or(Order::Default, |field| Order::By { field, descending }))
}

/// The members that a parameter leaves out.
pub(super) fn excluded<M: DeserializeOwned>(exclude: Option<&str>) -> Result<Vec<M>, ApiError> {
    let Some(text) = exclude.filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
    let excluded: Excluded<M> = serde_json::from_str(text).map_err(|error| ApiError::BadRequest {
        message: format!("Invalid query param exclude '{text}'"),
        details: Some(format!("expected a JSON array of member names: {error}")),
        violation: None,
    })?;
    Ok(excluded.0)
}
