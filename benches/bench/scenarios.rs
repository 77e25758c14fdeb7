//! What is measured.

mod aggregates;
mod big_trace;
mod growth;
mod ingest;
mod instructions;
mod mixed;
mod overload;
mod postgres;
mod reads;
mod start;
mod troublemakers;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::request;
use crate::data::{Data, Span};
use crate::report::Report;
use crate::{Failure, Options};

/// Scenarios that take long, or all of the machine: they are run when they are named.
const HEAVY: [&str; 5] = ["overload", "troublemakers", "aggregates", "growth", "instructions"];

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let named = |name: &str| options.only.iter().any(|only| name.contains(only.as_str()));
    let wanted = |name: &str| {
        let heavy = HEAVY.iter().any(|heavy| name.starts_with(heavy));
        named(name) || (options.only.is_empty() && !heavy)
    };
    for ingest in &ingest::INGEST {
        if wanted(&ingest.name()) {
            report.figures.extend(ingest::run(options, ingest).await?);
        }
    }
    if wanted("mixed") {
        report.figures.push(mixed::run(options).await?);
    }
    if wanted("reads while writing") {
        report.figures.extend(reads::run(options).await?);
    }
    if wanted("big trace") {
        report.figures.extend(big_trace::run(options).await?);
    }
    if wanted("start") {
        report.figures.extend(start::run(options).await?);
    }
    for overload in &overload::OVERLOAD {
        if wanted(&overload.name()) {
            report.figures.extend(overload::run(options, overload).await?);
        }
    }
    if wanted("troublemakers") {
        report.figures.extend(troublemakers::run(options).await?);
    }
    if wanted("aggregates") {
        report.figures.extend(aggregates::run(options).await?);
    }
    if wanted("growth") {
        report.figures.extend(growth::run(options).await?);
    }
    if wanted("instructions") {
        report.figures.extend(instructions::run(options).await?);
    }
    // What is said of creates in general is of SQLite's.
    let only = options.only.iter().filter(|only| only.starts_with("postgres")).cloned().collect::<Vec<_>>();
    if !only.is_empty() {
        report.figures.extend(postgres::run(options, &only).await?);
    }
    if report.figures.is_empty() { Err("no scenario has such a name".into()) } else { Ok(()) }
}

fn progress(name: &str, repetition: usize, what: &str) {
    eprintln!("{name}, {}: {what}", repetition + 1);
}

fn create(span: &Span) -> Bytes {
    request("POST", "/v1/private/spans", span.json.to_string().as_bytes())
}

fn create_many(spans: &[Span]) -> Bytes {
    let spans: Vec<&Value> = spans.iter().map(|span| &span.json).collect();
    request("POST", "/v1/private/spans/batch", json!({"spans": spans}).to_string().as_bytes())
}

/// A source of data of its own for each repetition.
fn data(options: &Options, repetition: usize) -> Data {
    let seed = options.seed.wrapping_add(u64::try_from(repetition).unwrap_or_default());
    Data::new(seed, options.span_bytes)
}

/// Creates of so many spans on so many connections, in words.
fn creates(batch: usize, connections: usize) -> String {
    match batch {
        1 => format!("single creates, {connections} connections"),
        batch => format!("batches of {batch}, {connections} connections"),
    }
}

/// A number that is far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "as said")]
fn float(number: usize) -> f64 {
    number as f64
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
