//! Uses the client that openapi-generator's `rust` generator wrote as the crate `opik_client`.
//!
//! The last line is 'N passed, N failed'; the exit status is 1 when a check failed.

use std::error::Error;
use std::fmt::Debug;
use std::process::ExitCode;

use chrono::DateTime;
use opik_client::apis::configuration::Configuration;
use opik_client::apis::spans_api::{self, CreateSpanError, GetSpanByIdError};
use opik_client::apis::{self, ResponseContent};
use opik_client::models::span_write::Type;
use opik_client::models::{SpanSearchStreamRequestPublic, SpanStreamInner, SpanWrite};
use serde_json::json;
use uuid::Uuid;

#[derive(Default)]
struct Checks {
    passed: u32,
    failed: u32,
}

impl Checks {
    fn check<T: PartialEq + Debug>(&mut self, what: &str, got: T, wanted: T) {
        if got == wanted {
            self.passed += 1;
            println!("ok    {what}");
        } else {
            self.failed += 1;
            println!("FAIL  {what}: got {got:?}, wanted {wanted:?}");
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut checks = Checks::default();
    let base_path = std::env::args().nth(1).ok_or("usage: use-opik-client BASE")?;
    let server = Configuration { base_path, ..Configuration::default() };

    let id = Uuid::now_v7();
    let project = format!("rust-{id}");
    let start = DateTime::parse_from_rfc3339("2025-01-02T03:04:05.678901Z")?;
    let input = json!({"question": "why", "n": [1, 2.5, null]});
    let span = SpanWrite {
        id: Some(id),
        project_name: Some(project.clone()),
        name: Some("chat".to_owned()),
        r#type: Some(Type::Llm),
        input: Some(Some(input.clone())),
        output: Some(Some(json!("because"))),
        tags: Some(["a".to_owned()].into()),
        ..SpanWrite::new(start)
    };
    spans_api::create_span(&server, span).await?;

    let read = spans_api::get_span_by_id(&server, &id.to_string(), None).await?;
    checks.check("read: name", read.name.as_deref(), Some("chat"));
    checks.check("read: start", read.start_time, start);
    checks.check("read: input", read.input, Some(Some(input.clone())));
    checks.check("read: output", read.output, Some(Some(json!("because"))));
    checks.check("read: tags", read.tags.into_iter().flatten().collect(), vec!["a".to_owned()]);

    let page = spans_api::get_spans_by_project(
        &server,
        None,
        None,
        None,
        None,
        None,
        None,
        Some(&project),
        None,
        None,
        None,
        None,
        None,
        None,
        None,
    )
    .await?;
    checks.check("list: total", page.total, Some(1));
    checks.check("list: id", page.content.into_iter().flatten().map(|span| span.id).collect(), vec![Some(id)]);

    // The generator knows no streams: a search is sent with its types, and its lines are read one by one.
    let search = SpanSearchStreamRequestPublic { project_name: Some(project), ..SpanSearchStreamRequestPublic::new() };
    let address = format!("{}/v1/private/spans/search", server.base_path);
    let lines = server.client.post(address).json(&search).send().await?.text().await?;
    let found = lines.lines().map(serde_json::from_str).collect::<Result<Vec<SpanStreamInner>, _>>()?;
    checks.check("search: ids", found.iter().map(|span| span.id).collect(), vec![Some(id)]);
    checks.check("search: input", found[0].input.clone(), Some(Some(input)));

    let refused = SpanWrite { project_name: Some(" ".to_owned()), ..SpanWrite::new(start) };
    match spans_api::create_span(&server, refused).await {
        // One shape for all errors, so that the first that fits is chosen.
        Err(apis::Error::ResponseError(ResponseContent {
            status,
            entity: Some(CreateSpanError::DefaultResponse(error) | CreateSpanError::Status409(error)),
            ..
        })) => {
            checks.check("a blank project name answers 422", status.as_u16(), 422);
            checks.check("error: code", error.code, Some(422));
            checks.check("error: errors", error.errors, Some(vec!["projectName must not be blank".to_owned()]));
            let places = error.violations.into_iter().flatten().map(|violation| violation.pointer).collect();
            checks.check("error: place", places, vec!["/project_name".to_owned()]);
        }
        other => checks.check("a blank project name answers 422", format!("{other:?}"), String::new()),
    }

    match spans_api::get_span_by_id(&server, "01900000-0000-7000-8000-ffffffffffff", None).await {
        Err(apis::Error::ResponseError(ResponseContent {
            entity: Some(GetSpanByIdError::Status404(error) | GetSpanByIdError::DefaultResponse(error)),
            ..
        })) => checks.check("what is not there is an error too", error.code, Some(404)),
        other => checks.check("what is not there is an error too", format!("{other:?}"), String::new()),
    }

    println!("{} passed, {} failed", checks.passed, checks.failed);
    Ok(if checks.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
