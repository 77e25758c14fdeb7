//! What an SDK sends that tells of a record when it begins and when it ends.

use serde_json::{Value, json};

use super::{data, progress};
use crate::ceiling;
use crate::client::request;
use crate::data::{PROJECT, Span};
use crate::load::{Task, closed};
use crate::report::Figure;
use crate::server::{Database, Server};
use crate::{Failure, Options};

/// A trace, a span in it, a score.
pub(super) async fn run(options: &Options) -> Result<Figure, Failure> {
    const CONNECTIONS: usize = 8;
    let name = "mixed: a trace and a span, begun and ended, and a score";
    let mut rates = Figure::new(name, "requests/s");
    for repetition in 0..options.repeat {
        let mut data = data(options, repetition);
        let mut ids = Vec::new();
        let tasks: Vec<Task> = (0..options.scaled(6_000))
            .map(|_| {
                let mut span = data.span(1);
                ids.push(span.id);
                sdk_like(&mut span)
            })
            .collect();
        let requests = tasks.iter().map(Vec::len).sum();
        let database = Database::new(options)?;
        let server = Server::start(options, &database)?;
        let measured = closed(&server, CONNECTIONS, tasks).await?;
        rates.add(&measured, requests, server.peak_memory()?);
        drop(server);
        ceiling::verify(&database.file(), &ids)?;
        progress(name, repetition, &format!("{:.0} requests/s", rates.values.last().copied().unwrap_or_default()));
    }
    Ok(rates)
}

fn sdk_like(span: &mut Span) -> Task {
    let (id, trace_id) = (span.id, span.trace_id);
    let mut end = json!({"trace_id": trace_id.to_string(), "project_name": PROJECT});
    for member in ["end_time", "output", "usage"] {
        if let Some(value) = span.json.as_object_mut().and_then(|members| members.remove(member)) {
            end[member] = value;
        }
    }
    let trace = json!({"id": trace_id.to_string(), "project_name": PROJECT, "name": "request",
        "start_time": span.json["start_time"], "input": span.json["input"]});
    let trace_end = json!({"project_name": PROJECT, "end_time": end["end_time"], "output": end["output"]});
    let score = json!({"name": "relevance", "value": 0.75, "source": "sdk"});
    let send = |method: &str, path: String, body: &Value| request(method, &path, body.to_string().as_bytes());
    vec![
        send("POST", "/v1/private/traces".to_owned(), &trace),
        send("POST", "/v1/private/spans".to_owned(), &span.json),
        send("PATCH", format!("/v1/private/spans/{id}"), &end),
        send("PATCH", format!("/v1/private/traces/{trace_id}"), &trace_end),
        send("PUT", format!("/v1/private/spans/{id}/feedback-scores"), &score),
    ]
}
