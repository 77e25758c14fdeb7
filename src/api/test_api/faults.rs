//! The faults that were added, and which request gets which.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderName, HeaderValue, Method};
use regex::Regex;

use super::Operations;
use crate::error::ApiError;
use crate::model::{Fault, Violation, Within};

/// Most faults. Chosen: more than any test has.
const FAULTS_MAX: usize = 1_000;

/// Bytes of all of them. Chosen.
const BYTES_MAX: usize = 64 << 20;

/// The faults, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Rules(Mutex<Vec<Rule>>);

#[derive(Debug)]
struct Rule {
    fault: Fault,
    path: Option<Regex>,
    /// Requests that fitted, those that were spared among them.
    seen: u64,
    hits: u64,
}

/// What a fault looks at.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// The path, without `/api`.
    pub(super) path: &'a str,
    /// The path of the operation, with names in braces.
    pub(super) template: Option<&'a str>,
    pub(super) operation_id: Option<&'a str>,
}

impl Rules {
    fn all(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, fault: Fault, operations: &Operations) -> Result<(), ApiError> {
        check(&fault, operations)?;
        let path = fault.path.as_deref().map(pattern).transpose()?;
        let mut all = self.all();
        let bytes: usize = all.iter().map(|rule| size(&rule.fault)).sum();
        if all.len() >= FAULTS_MAX || bytes + size(&fault) > BYTES_MAX {
            let message = format!("There may be {FAULTS_MAX} faults, of {BYTES_MAX} bytes together");
            return Err(ApiError::unprocessable("", "", &message));
        }
        all.push(Rule { fault, path, seen: 0, hits: 0 });
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<Fault> {
        let told =
            |rule: &Rule| Fault { hits: Some(i64::try_from(rule.hits).unwrap_or(i64::MAX)), ..rule.fault.clone() };
        self.all().iter().map(told).collect()
    }

    pub(super) fn clear(&self) {
        self.all().clear();
    }

    /// The fault of a request, if it gets one; its turn is then taken.
    pub(super) fn pick(&self, asked: &Asked<'_>) -> Option<Fault> {
        let mut all = self.all();
        for rule in all.iter_mut().filter(|rule| rule.fits(asked)) {
            let (skip, times) = (Within::or_default(rule.fault.skip), Within::or_default(rule.fault.times));
            if rule.hits >= u64::from(times) {
                continue;
            }
            rule.seen += 1;
            if rule.seen > u64::from(skip) {
                rule.hits += 1;
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

impl Rule {
    fn fits(&self, asked: &Asked<'_>) -> bool {
        let Fault { operation_id, method, path, .. } = &self.fault;
        operation_id.as_deref().is_none_or(|id| asked.operation_id == Some(id))
            && method.is_none_or(|method| asked.method == method.as_str())
            && (path.as_deref().is_none_or(|path| asked.template == Some(path))
                || self.path.as_ref().is_some_and(|pattern| pattern.is_match(asked.path)))
    }
}

/// What no schema says of a fault.
fn check(fault: &Fault, operations: &Operations) -> Result<(), ApiError> {
    let mut broken = Vec::new();
    if let Some(id) = fault.operation_id.as_deref()
        && !operations.ids().any(|known| known == id)
    {
        broken.push(Violation::new("/operation_id", "operationId", "must be the id of an operation of the document"));
    }
    for (name, value) in fault.headers.iter().flatten() {
        let place = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        if HeaderName::try_from(name).is_err() || HeaderValue::from_bytes(value.as_bytes()).is_err() {
            broken.push(Violation::new(&place, &format!("headers[{name}]"), "must be a header that HTTP allows"));
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(ApiError::Unprocessable(broken)) }
}

/// A path in which each `*` stands for any text.
fn pattern(path: &str) -> Result<Regex, ApiError> {
    let parts: Vec<String> = path.split('*').map(regex::escape).collect();
    let pattern = Regex::new(&format!("^{}$", parts.join(".*")));
    pattern.map_err(|_| ApiError::unprocessable("/path", "path", "is too long"))
}

/// Bytes that it holds, roughly.
fn size(fault: &Fault) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let headers: usize = fault.headers.iter().flatten().map(|(name, value)| name.len() + value.len()).sum();
    let body = fault.body.as_ref().map_or(0, |body| body.0.len());
    size_of::<Rule>() + text(&fault.operation_id) + text(&fault.path) + headers + body
}
