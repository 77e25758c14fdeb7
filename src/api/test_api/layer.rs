//! What stands around every other request: it is recorded, and answered with a fault if it is to be.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;

use super::faults::Asked;
use super::requests::Head;
use super::{PREFIX, TestApi, answer};
use crate::api::body;
use crate::api::middleware::Sent;
use crate::app::AppState;
use crate::model::{Fault, Within};

pub(in crate::api) async fn around(
    State((test, state)): State<(Arc<TestApi>, AppState)>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with(PREFIX) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let template = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let operation_id = template.as_deref().and_then(|template| test.operations().find(parts.method.as_str(), template));
    let fault = test.rules.pick(&Asked {
        method: &parts.method,
        path: parts.uri.path(),
        template: template.as_deref(),
        operation_id: operation_id.as_deref(),
    });
    let head = Head {
        received_at: state.clock.now(),
        method: parts.method.clone(),
        sent: parts.extensions.get::<Sent>().map_or_else(|| parts.uri.clone(), |sent| sent.0.clone()),
        served: parts.uri.clone(),
        template,
        headers: parts.headers.clone(),
        operation_id,
        fault: fault.is_some(),
    };
    let record = test.requests.begin(head);
    let request = Request::from_parts(parts, record.copying(body));
    let response = match fault {
        None => next.run(request).await,
        Some(fault) => disturbed(&test, &fault, request, next).await,
    };
    if response.extensions().get::<answer::HungUp>().is_none() {
        record.answered(response.status());
    }
    response
}

/// The answer to a request that gets this fault.
async fn disturbed(test: &TestApi, fault: &Fault, request: Request, next: Next) -> Response {
    let stated = fault.status.and_then(|status| u16::try_from(status.0.0).ok());
    let stated = stated.and_then(|status| StatusCode::from_u16(status).ok());
    let own = if fault.handled == Some(true) || stated.is_none() && fault.connection.is_none() {
        Some(next.run(request).await)
    } else {
        body::drained(request.into_body()).await;
        None
    };
    let delay = Duration::from_millis(Within::or_default(fault.delay_ms).into());
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = test.ending.cancelled() => {}
        }
    }
    if let Some(how) = fault.connection {
        return answer::none(how);
    }
    let response = match (stated, own) {
        (None, Some(own)) => own,
        (stated, _) => answer::made_up(fault, stated.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)),
    };
    let response = answer::with_headers(response, fault);
    match fault.cut_after_bytes {
        None => response,
        Some(_) => answer::cut(response, Within::or_default(fault.cut_after_bytes) as usize),
    }
}
