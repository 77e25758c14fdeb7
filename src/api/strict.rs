//! Strict mode: requests are held to the served document before a handler sees them.
//!
//! Nothing here knows an operation: what is checked is read from the document. What no schema can say, such as that an id
//! is of version 7, is left to the handlers.

mod instance;
mod number;
mod parameters;
mod schema;
mod words;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use clap::ValueEnum;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use serde_json::value::RawValue;

use super::body::{self, Received};
use super::problems::{self, VIOLATIONS_TOLD_MAX};
use crate::app::{AppState, RequestLimits};
use crate::error::ApiError;
use crate::model::Violation;
use crate::scan::{JsonLimits, scan};
use parameters::Parameter;
use schema::{Schema, Schemas};
use words::Fault;

/// How much of the document a request must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Strictness {
    /// As much as the handlers ask for: the named tolerances hold.
    #[value(aliases = ["false", "0", "no", ""])]
    Off,
    /// All of it.
    #[value(aliases = ["true", "1", "yes"])]
    On,
    /// All of it, and nothing beyond: what it does not name is refused.
    Closed,
}

/// Headers that are documented otherwise than as parameters.
const HEADERS_PASSED_OVER: [&str; 3] = ["accept", "content-type", "authorization"];

/// A request that was answered already.
pub(super) struct Seen<'a> {
    pub(super) method: &'a Method,
    /// The path of its operation, with names in braces.
    pub(super) template: Option<&'a str>,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Its body, unpacked; none if it is not to be looked into.
    pub(super) body: Option<&'a [u8]>,
}

/// What each operation of the document asks of a request.
#[derive(Debug)]
pub struct Strict {
    schemas: Schemas,
    closed: bool,
    operations: HashMap<String, Vec<(Method, Arc<Operation>)>>,
}

#[derive(Debug)]
struct Operation {
    parameters: Vec<Parameter>,
    body: Option<Documented>,
}

/// The body that a request may have.
#[derive(Debug)]
struct Documented {
    required: bool,
    /// Media types, and the schema of those that are looked into.
    media: Vec<(String, Option<Arc<Schema>>)>,
}

impl Strict {
    /// Of the served document; nothing if it need not be kept to.
    ///
    /// # Errors
    /// The document asks for something that cannot be checked.
    pub fn new(strictness: Strictness) -> Result<Option<Self>, String> {
        match strictness {
            Strictness::Off => Ok(None),
            Strictness::On => Self::of_document(false).map(Some),
            Strictness::Closed => Self::of_document(true).map(Some),
        }
    }

    /// Of the served document; `closed`, if nothing beyond it is to be taken.
    ///
    /// # Errors
    /// The document asks for something that cannot be checked.
    pub(super) fn of_document(closed: bool) -> Result<Self, String> {
        let schemas = Schemas::new(super::document().value(), closed);
        let operations = schemas.compiling(|compile| {
            let mut operations: HashMap<String, Vec<(Method, Arc<Operation>)>> = HashMap::new();
            for (path, item) in schemas.document()["paths"].as_object().into_iter().flatten() {
                for (name, node) in item.as_object().into_iter().flatten() {
                    let at = format!("/paths/{}/{name}", step(path));
                    let method = name.to_uppercase().parse().ok().filter(|_| node.is_object());
                    let Some(method) = method else { return Err(format!("{at} cannot be checked")) };
                    let operation = Operation::new(node, &at, &schemas, compile)?;
                    operations.entry(path.clone()).or_default().push((method, Arc::new(operation)));
                }
            }
            Ok(operations)
        })?;
        Ok(Self { schemas, closed, operations })
    }

    /// The operation that answers a request. A `HEAD` is a `GET`.
    fn operation(&self, path: &str, method: &Method) -> Option<Arc<Operation>> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let methods = self.operations.get(path)?.iter();
        methods.clone().find(|(own, _)| own == method).map(|(_, operation)| Arc::clone(operation))
    }

    /// What is wrong with a JSON body, if it can be read; `without` is what is wrong if there is none.
    fn look_into(
        &self,
        schema: &Schema,
        received: Received,
        state: &AppState,
        without: Option<Violation>,
    ) -> Result<(Received, Vec<Violation>), ApiError> {
        let received = received.unpacked(state)?;
        let wrong = self.look_into_text(schema, received.text()?, &state.limits.json, without)?;
        Ok((received, wrong))
    }

    /// The same of the text of one.
    fn look_into_text(
        &self,
        schema: &Schema,
        text: &str,
        limits: &JsonLimits,
        without: Option<Violation>,
    ) -> Result<Vec<Violation>, ApiError> {
        if text.trim_ascii().is_empty() {
            return Ok(without.into_iter().collect());
        }
        // What is bare in a payload is no JSON; what is repeated counts once.
        let scanned = scan(text, None, limits).map_err(|over| problems::over_limit(text, &over))?;
        serde_json::from_str::<&RawValue>(&scanned.text)
            .map_err(|error| problems::unreadable::<Value>(text, &scanned, &error))?;
        let faults = self.schemas.faults(schema, &scanned.text);
        Ok(faults.into_iter().map(Fault::of_body).collect())
    }

    /// What is wrong with a request that was answered already, as if it came now.
    pub(super) fn look_back(&self, seen: &Seen<'_>, limits: &RequestLimits) -> Vec<Violation> {
        let Some(template) = seen.template else { return Vec::new() };
        let Some(operation) = self.operation(template, seen.method) else { return Vec::new() };
        let values: Vec<(&str, Cow<'_, str>)> = path_values(template, seen.uri.path());
        let path: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, &**value)).collect();
        let mut wrong =
            parameters::check(&operation.parameters, seen.uri, seen.headers, &path, &self.schemas, self.closed);
        if let (Some(documented), Some(body)) = (&operation.body, seen.body) {
            wrong.extend(self.look_back_into(documented, seen.headers, body, limits).unwrap_or_else(|error| {
                // It would have been refused before it was looked into.
                error.into_violations()
            }));
        }
        wrong.truncate(VIOLATIONS_TOLD_MAX);
        wrong
    }

    fn look_back_into(
        &self,
        documented: &Documented,
        headers: &HeaderMap,
        body: &[u8],
        limits: &RequestLimits,
    ) -> Result<Vec<Violation>, ApiError> {
        if body.is_empty() {
            return Ok(documented.without_body().into_iter().collect());
        }
        let Some(schema) = documented.media(headers)? else { return Ok(Vec::new()) };
        body::is_gzip(headers)?;
        let text = std::str::from_utf8(body).map_err(|error| problems::not_utf8(body, error.valid_up_to()))?;
        self.look_into_text(&schema, text, &limits.json, documented.without_body())
    }
}

/// Makes a validator for a place of the document.
type Compile<'a> = &'a dyn Fn(&str) -> Result<Schema, String>;

impl Operation {
    fn new(node: &Value, at: &str, schemas: &Schemas, compile: Compile<'_>) -> Result<Self, String> {
        let mut parameters = Vec::new();
        for (index, parameter) in node["parameters"].as_array().into_iter().flatten().enumerate() {
            let name = parameter["name"].as_str().unwrap_or_default().to_lowercase();
            if parameter["in"] != "header" || !HEADERS_PASSED_OVER.contains(&name.as_str()) {
                let schema = compile(&format!("{at}/parameters/{index}/schema"))?;
                parameters.push(Parameter::new(parameter, schema, schemas).map_err(|error| format!("{at}: {error}"))?);
            }
        }
        let body = match node.get("requestBody") {
            None => None,
            Some(body) => {
                let mut media = Vec::new();
                let Some(content) = body["content"].as_object() else {
                    return Err(format!("{at}/requestBody cannot be checked"));
                };
                for (name, content) in content {
                    let pointer = format!("{at}/requestBody/content/{}/schema", step(name));
                    let is_checked = name == JSON && content.get("schema").is_some();
                    let schema = if is_checked { Some(Arc::new(compile(&pointer)?)) } else { None };
                    media.push((name.clone(), schema));
                }
                Some(Documented { required: body["required"] == true, media })
            }
        };
        Ok(Self { parameters, body })
    }
}

impl Documented {
    /// What is wrong with a request that has none.
    fn without_body(&self) -> Option<Violation> {
        self.required.then(|| Fault::missing().of_body())
    }

    /// What is documented of bodies of the type that is sent.
    fn media(&self, headers: &HeaderMap) -> Result<Option<Arc<Schema>>, ApiError> {
        let sent = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let sent = sent.split(';').next().unwrap_or_default().trim().to_lowercase();
        let fits = |range: &str| match range.split_once('/') {
            Some(("*", _)) => true,
            Some((kind, "*")) => sent.split('/').next() == Some(kind),
            _ => range == sent,
        };
        let schema = self.media.iter().find(|(range, _)| fits(range)).map(|(_, schema)| schema.clone());
        schema.ok_or_else(|| {
            let types: Vec<&str> = self.media.iter().map(|(range, _)| range.as_str()).collect();
            body::unsupported(&types.join(" or "))
        })
    }
}

/// The one media type whose bodies are looked into.
const JSON: &str = "application/json";

/// The values in a path that its template names.
fn path_values<'a>(template: &'a str, path: &'a str) -> Vec<(&'a str, Cow<'a, str>)> {
    let steps = template.split('/').zip(path.split('/'));
    let named = steps.filter_map(|(step, value)| Some((step.strip_prefix('{')?.strip_suffix('}')?, value)));
    named.map(|(name, value)| (name, percent_decode_str(value).decode_utf8_lossy())).collect()
}

fn step(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

/// The layer around every operation.
pub(super) async fn check(
    State((strict, state)): State<(Arc<Strict>, AppState)>,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let matched = request.extensions().get::<MatchedPath>();
    let Some(operation) = matched.and_then(|path| strict.operation(path.as_str(), request.method())) else {
        return Ok(next.run(request).await);
    };
    let path = path.map_err(|_| ApiError::bad_request("The path is not UTF-8"))?;
    let path: Vec<(&str, &str)> = path.iter().collect();
    let (mut parts, mut body) = request.into_parts();
    let closed = strict.closed;
    let mut wrong =
        parameters::check(&operation.parameters, &parts.uri, &parts.headers, &path, &strict.schemas, closed);
    if let Some(documented) = &operation.body {
        if http_body::Body::is_end_stream(&body) {
            wrong.extend(documented.without_body());
        } else {
            match documented.media(&parts.headers) {
                Err(error) => return Err(body::refuse(body, error).await),
                // Not looked into here.
                Ok(None) => {}
                Ok(Some(schema)) => {
                    let received = body::receive(&parts.headers, body, &state).await?;
                    let size = received.len();
                    let without = documented.without_body();
                    let aside_of = state.clone();
                    let work = move || strict.look_into(&schema, received, &aside_of, without);
                    let (received, faults) = body::aside(size, &state, work).await?;
                    wrong.extend(faults);
                    parts.extensions.insert(Arc::new(received));
                    body = Body::empty();
                }
            }
        }
    }
    if wrong.is_empty() {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    if wrong.len() > VIOLATIONS_TOLD_MAX {
        wrong.truncate(VIOLATIONS_TOLD_MAX);
        wrong.push(Violation::new("", "", "and more"));
    }
    Err(ApiError::OffContract(wrong))
}
