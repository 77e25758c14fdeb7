//! Pages of lists, and their order.

use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{Whole, optional};
use crate::error::ApiError;

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Which page, from 1.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 1, minimum = 1, required = false)]
    page: Option<Whole>,
    /// How many are on a page.
    #[serde(default, deserialize_with = "optional")]
    #[param(value_type = i32, default = 10, minimum = 1, required = false)]
    size: Option<Whole>,
}

/// The part of a list that a page is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    /// Its number, from 1.
    pub number: i32,
    /// How many are on it at most.
    pub limit: u64,
    /// How many are on the pages before it.
    pub offset: u64,
}

impl PageQuery {
    /// What it means.
    pub(super) fn read(self) -> Result<Page, ApiError> {
        Page::of(self.page, self.size, 10)
    }
}

impl Page {
    /// The page that parameters name; so many are on it where they do not say.
    pub(super) fn of(number: Option<Whole>, size: Option<Whole>, otherwise: u32) -> Result<Self, ApiError> {
        let number = at_least_one("page", number, 1)?;
        let limit = u64::from(at_least_one("size", size, otherwise)?);
        Ok(Self { number: small(number.into()), limit, offset: u64::from(number - 1) * limit })
    }
}

/// A count as 32 bits, which the contract has for it.
pub(super) fn small(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A parameter that counts something, from 1.
pub(super) fn at_least_one(name: &str, value: Option<Whole>, otherwise: u32) -> Result<u32, ApiError> {
    match value {
        None => Ok(otherwise),
        Some(Whole(value)) => u32::try_from(value)
            .ok()
            .filter(|value| *value > 0)
            .ok_or_else(|| ApiError::bad_request(format!("query param {name} must be greater than or equal to 1"))),
    }
}

/// What a list is to be sorted by.
pub(super) struct Sorting {
    pub field: Option<String>,
    pub descending: bool,
}

/// The order that a parameter asks for. Only the first element counts.
pub(super) fn sorting(text: Option<&str>) -> Result<Option<Sorting>, ApiError> {
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
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let elements: Vec<Element> = serde_json::from_str(text).map_err(|error| ApiError::BadRequest {
        message: format!("Invalid sorting query parameter '{text}'"),
        details: Some(format!("expected [{{\"field\": …, \"direction\": \"ASC\" or \"DESC\"}}]: {error}")),
        violation: None,
    })?;
    let sorting = |Element { field, direction }| Sorting { field, descending: direction == Some(Direction::Desc) };
    Ok(elements.into_iter().next().map(sorting))
}
