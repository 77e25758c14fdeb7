//! Questions about a project with a million spans and their traces.

use std::time::Instant;

use serde_json::{Value, json};

use super::{create_many, data, progress};
use crate::client::{Connection, request};
use crate::data::{IDS_MILLIS, PROJECT, Span, TRACE_SPANS};
use crate::load::{Task, closed, percentile, quantiles};
use crate::report::{Figure, Target};
use crate::server::{Database, Server};
use crate::templates::Templates;
use crate::{Failure, Options};

const BATCH: usize = 1_000;

/// Times that each is asked, after one time that does not count.
const TIMES: usize = 10;

/// How long it may take in milliseconds: summing up all, or what a condition leaves of it.
const ALL_MAX: f64 = 300.0;
const FILTERED_MAX: f64 = 1_000.0;

struct Question {
    name: &'static str,
    request: bytes::Bytes,
    most: Option<f64>,
}

/// The traces that spans are of, as a batch.
fn create_traces(spans: &[Span]) -> Vec<u8> {
    let roots = spans.iter().filter(|span| span.json["parent_span_id"].is_null());
    let traces: Vec<Value> = roots
        .map(|span| {
            json!({"id": span.trace_id.to_string(), "project_name": PROJECT, "name": "request",
                "start_time": span.json["start_time"], "end_time": span.json["end_time"],
                "input": span.json["input"], "output": span.json["output"], "tags": span.json["tags"],
                "metadata": span.json["metadata"]})
        })
        .collect();
    request("POST", "/v1/private/traces/batch", json!({"traces": traces}).to_string().as_bytes()).into()
}

async fn fill(options: &Options, server: &Server, spans: usize) -> Result<(), Failure> {
    /// Batches that differ, and that are made at a time.
    const TEMPLATES: usize = 40;
    let batches = spans.div_ceil(BATCH);
    let step = (IDS_MILLIS / u64::try_from(batches)?).max(1);
    let templates = |request: fn(&[Span]) -> Vec<u8>| Templates::new(data(options, 0), BATCH, TEMPLATES, step, request);
    let (of_spans, of_traces) = (templates(|spans| create_many(spans).into()), templates(create_traces));
    for from in (0..batches).step_by(TEMPLATES) {
        let tasks: Vec<Task> = (from..(from + TEMPLATES).min(batches))
            .map(|number| {
                let both = [&of_spans, &of_traces].map(|templates| {
                    let mut request = Vec::new();
                    templates.write(number, &mut request);
                    request.into()
                });
                both.into()
            })
            .collect();
        closed(server, 8, tasks).await?;
        eprintln!("aggregates: {} spans", (from + TEMPLATES).min(batches) * BATCH);
    }
    Ok(())
}

/// The id of the project.
async fn project(connection: &mut Connection) -> Result<String, Failure> {
    connection.send(&request("GET", &format!("/v1/private/projects?name={PROJECT}"), b"")).await?;
    let answer: Value = serde_json::from_slice(connection.body())?;
    Ok(answer["content"][0]["id"].as_str().ok_or("there is no project")?.to_owned())
}

/// A filter as a query parameter.
fn filters(field: &str, operator: &str, value: &str) -> String {
    let text = json!([{"field": field, "operator": operator, "value": value}]).to_string();
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn questions(project: &str, trace: &str) -> Vec<Question> {
    let get = |path: &str| request("GET", &format!("/v1/private/{path}"), b"");
    let post = |path: &str, body: &Value| request("POST", &format!("/v1/private/{path}"), body.to_string().as_bytes());
    let metric = |metric: &str, filters: Value| {
        let body = json!({"metric_type": metric, "interval": "DAILY", "interval_start": "2025-01-01T00:00:00Z",
            "interval_end": "2025-02-01T00:00:00Z", "span_filters": filters});
        post(&format!("projects/{project}/metrics"), &body)
    };
    let cards = |of: &str| {
        let body = json!({"entity_type": of, "interval_start": "2025-01-15T00:00:00Z",
            "interval_end": "2025-02-01T00:00:00Z"});
        post(&format!("projects/{project}/kpi-cards"), &body)
    };
    let is = |field: &str, value: &str| json!([{"field": field, "operator": "=", "value": value}]);
    let spans = format!("spans?project_name={PROJECT}&truncate=true");
    let found = |field, text| get(&format!("{spans}&size=10&filters={}", filters(field, "contains", text)));
    let search = |text: &str| {
        let filters = json!([{"field": "input", "operator": "contains", "value": text}]);
        post("spans/search", &json!({"project_name": PROJECT, "limit": 100, "truncate": true, "filters": filters}))
    };
    let stats = |path: &str| get(&format!("{path}/stats?project_name={PROJECT}"));
    let some_stats = |filters: &str| get(&format!("spans/stats?project_name={PROJECT}&filters={filters}"));
    let rows = [
        ("projects' statistics", get("projects/stats"), Some(ALL_MAX)),
        ("statistics of spans", stats("spans"), Some(ALL_MAX)),
        ("statistics of traces", stats("traces"), Some(ALL_MAX)),
        ("statistics of spans of a trace", some_stats(&filters("trace_id", "=", trace)), Some(FILTERED_MAX)),
        ("statistics of spans of a type", some_stats(&filters("type", "=", "tool")), Some(FILTERED_MAX)),
        ("number of spans a day", metric("SPAN_COUNT", json!([])), Some(ALL_MAX)),
        ("number of traces a day", metric("TRACE_COUNT", json!([])), Some(ALL_MAX)),
        ("cost of spans a day", metric("SPAN_COST", json!([])), Some(ALL_MAX)),
        ("durations of spans a day", metric("SPAN_DURATION", json!([])), Some(ALL_MAX)),
        ("tokens of spans a day", metric("SPAN_TOKEN_USAGE", json!([])), Some(ALL_MAX)),
        ("tokens of traces a day", metric("TOKEN_USAGE", json!([])), Some(ALL_MAX)),
        ("tokens of spans of a trace a day", metric("SPAN_TOKEN_USAGE", is("trace_id", trace)), Some(FILTERED_MAX)),
        ("tokens of spans of a model a day", metric("SPAN_TOKEN_USAGE", is("model", "gpt-4o")), Some(FILTERED_MAX)),
        ("key figures of spans", cards("spans"), Some(ALL_MAX)),
        ("key figures of traces", cards("traces"), Some(ALL_MAX)),
        ("first page of 100 spans", get(&format!("{spans}&size=100")), None),
        ("first page of 100 traces", get(&format!("traces?project_name={PROJECT}&truncate=true&size=100")), None),
        ("page of 100 spans from the 100,000th on", get(&format!("{spans}&size=100&page=1001")), None),
        ("page of 10 spans with a text in many inputs", found("input", "unfortunately however"), None),
        ("page of 10 spans with a text in no input", found("input", "zyzzyva"), None),
        ("search for 100 spans with a text in many inputs", search("unfortunately however"), None),
        ("search for spans with a text in no input", search("zyzzyva"), None),
    ];
    rows.map(|(name, request, most)| Question { name, request, most }).into()
}

/// Asks everything of one database, whatever the number of repetitions: each question is repeated.
pub(super) async fn run(options: &Options) -> Result<Vec<Figure>, Failure> {
    let spans = options.scaled(1_000_000).next_multiple_of(BATCH);
    let database = Database::new(options)?;
    let server = Server::start(options, &database)?;
    fill(options, &server, spans).await?;
    drop(server);
    // One that has no memory left from writing.
    let server = Server::start(options, &database)?;
    let mut connection = Connection::open(&server.address).await?;
    let project = project(&mut connection).await?;
    let trace = some_trace(options);
    let mut figures = Vec::new();
    for question in questions(&project, &trace) {
        let name = format!("aggregates of {spans} spans: {}", question.name);
        let mut figure = Figure::new(&name, "ms");
        figure.target = question.most.map(Target::AtMost);
        let mut first_bytes = Figure::new(format!("{name}: first byte"), "ms");
        let mut took = Vec::new();
        let cpu_before = server.cpu()?;
        for time in 0..=TIMES {
            if time == 1 {
                server.forget_peak()?;
            }
            let begun = Instant::now();
            let answer = connection.send(&question.request).await?;
            if answer.status != 200 {
                return Err(format!("{name}: answered {}", answer.status).into());
            }
            if time > 0 {
                took.push(begun.elapsed().as_secs_f64());
                first_bytes.values.push(answer.first_byte * 1e3);
            }
        }
        figure.values = took.iter().map(|seconds| seconds * 1e3).collect();
        took.sort_unstable_by(f64::total_cmp);
        figure.latencies.push(quantiles(&took));
        figure.server_cpu.push((server.cpu()? - cpu_before) / super::float(TIMES + 1) * 1e6);
        figure.memory.push(server.peak_memory()?);
        let most = percentile(&took, 1.0) * 1e3;
        progress(&name, 0, &format!("{:.1} ms, at most {most:.1} ms", percentile(&took, 0.5) * 1e3));
        figures.push(figure);
        if question.name.contains("search") {
            figures.push(first_bytes);
        }
    }
    Ok(figures)
}

/// The id of one of the traces.
fn some_trace(options: &Options) -> String {
    // As templates begin.
    let mut data = data(options, 0);
    data.stand_still();
    data.span(TRACE_SPANS).trace_id.to_string()
}
