//! What is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ceiling::{self, Rows};
use crate::client::{Connection, request};
use crate::data::{Data, PROJECT, Span};
use crate::load::{Task, closed, paced, percentile};
use crate::report::{Figure, Report};
use crate::server::{Database, Server};
use crate::{Failure, Options};

/// Creates of one kind on so many connections, against rows written so many at once.
struct Ingest {
    connections: usize,
    /// Spans in a request; 1 for single creates.
    batch: usize,
    spans: usize,
    /// Rows of a transaction of the ceiling.
    at_once: usize,
}

const INGEST: [Ingest; 5] = [
    Ingest { connections: 8, batch: 1_000, spans: 150_000, at_once: 1_000 },
    Ingest { connections: 8, batch: 100, spans: 150_000, at_once: 100 },
    Ingest { connections: 64, batch: 1, spans: 60_000, at_once: 64 },
    Ingest { connections: 8, batch: 1, spans: 30_000, at_once: 8 },
    Ingest { connections: 1, batch: 1, spans: 5_000, at_once: 1 },
];

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    for ingest in &INGEST {
        let name = ingest.name();
        if wanted(&name) {
            report.figures.extend(self::ingest(options, ingest, &name).await?);
        }
    }
    if wanted("mixed") {
        report.figures.push(mixed(options).await?);
    }
    if wanted("reads while writing") {
        report.figures.extend(reads_while_writing(options).await?);
    }
    if wanted("big trace") {
        report.figures.push(big_trace(options).await?);
    }
    if wanted("start") {
        report.figures.extend(start(options).await?);
    }
    Ok(())
}

impl Ingest {
    fn name(&self) -> String {
        match self.batch {
            1 => format!("single creates, {} connections", self.connections),
            batch => format!("batches of {batch}, {} connections", self.connections),
        }
    }
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
    Data::new(options.seed.wrapping_add(u64::try_from(repetition).unwrap_or_default()))
}

async fn ingest(options: &Options, ingest: &Ingest, name: &str) -> Result<Vec<Figure>, Failure> {
    let mut rates = Figure::new(name, "spans/s");
    let mut bytes = Figure::new("bytes on disk of a span", "bytes");
    let mut journal = Figure::new("journal at the end", "MiB");
    for repetition in 0..options.repeat {
        let spans = data(options, repetition).spans(options.scaled(ingest.spans));
        let tasks: Vec<Task> = match ingest.batch {
            1 => spans.iter().map(|span| vec![create(span)]).collect(),
            batch => spans.chunks(batch).map(|spans| vec![create_many(spans)]).collect(),
        };
        let ids: Vec<Uuid> = spans.iter().map(|span| span.id).collect();
        drop(spans);
        let database = Database::new(options)?;
        let server = Server::start(options, &database)?;
        let measured = closed(&server, ingest.connections, tasks).await?;
        rates.add(&measured, ids.len(), server.peak_memory()?);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        journal.values.push(database.journal_bytes() as f64 / f64::from(1 << 20));
        drop(server);
        ceiling::verify(&database.file(), &ids)?;
        ceiling::checkpoint(&database.file())?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        bytes.values.push(database.bytes() as f64 / ids.len() as f64);
        let rows = Rows::of(&database.file())?;
        drop(database);
        let ceiling = rows.write(options, rows.len(), ingest.at_once)?;
        rates.ceilings.push(ceiling);
        let rate = rates.values.last().copied().unwrap_or_default();
        progress(name, repetition, &format!("{rate:.0} spans/s, the ceiling is {ceiling:.0}; all are there"));
    }
    Ok(if ingest.batch == 1_000 { vec![rates, bytes, journal] } else { vec![rates] })
}

/// What an SDK sends that tells of a record when it begins and when it ends: a trace, a span in it, a score.
async fn mixed(options: &Options) -> Result<Figure, Failure> {
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

async fn reads_while_writing(options: &Options) -> Result<Vec<Figure>, Failure> {
    const CONNECTIONS: usize = 8;
    const BATCH: usize = 1_000;
    const PAUSE: Duration = Duration::from_millis(20);
    let names = ["a span by id", "the first page of a list", "a trace of 10 spans", "a ping"];
    let mut figures: Vec<Figure> =
        names.iter().map(|name| Figure::new(format!("reads while writing: {name}, p99"), "ms")).collect();
    for repetition in 0..options.repeat {
        let spans = data(options, repetition).spans(options.scaled(220_000));
        let (before, then) = spans.split_at(spans.len() / 10);
        let batches = |spans: &[Span]| spans.chunks(BATCH).map(|spans| vec![create_many(spans)]).collect::<Vec<_>>();
        let of_each = |path: &dyn Fn(&Span) -> String| -> Vec<Bytes> {
            before.iter().step_by(97).map(|span| request("GET", &path(span), b"")).collect()
        };
        let requests = [
            of_each(&|span| format!("/v1/private/spans/{}", span.id)),
            of_each(&|_| format!("/v1/private/spans?project_name={PROJECT}&size=100")),
            of_each(&|span| format!("/v1/private/spans?project_name={PROJECT}&trace_id={}", span.trace_id)),
            of_each(&|_| "/is-alive/ping".to_owned()),
        ];
        let database = Database::new(options)?;
        let server = Server::start(options, &database)?;
        closed(&server, CONNECTIONS, batches(before)).await?;
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = requests
            .into_iter()
            .map(|requests| tokio::spawn(paced(server.address.clone(), PAUSE, requests, Arc::clone(&done))))
            .collect();
        let measured = closed(&server, CONNECTIONS, batches(then)).await?;
        done.store(true, Ordering::Relaxed);
        let memory = server.peak_memory()?;
        for (figure, reader) in figures.iter_mut().zip(readers) {
            let latencies = reader.await??;
            figure.values.push(percentile(&latencies, 0.99) * 1e3);
            figure.latencies.push([0.5, 0.99, 0.999].map(|share| percentile(&latencies, share) * 1e3));
            figure.memory.push(memory);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = then.len() as f64 / measured.seconds;
        progress("reads while writing", repetition, &format!("{rate:.0} spans/s meanwhile"));
    }
    Ok(figures)
}

async fn big_trace(options: &Options) -> Result<Figure, Failure> {
    const READS: usize = 5;
    let spans_count = options.scaled(10_000);
    let mut figure = Figure::new(format!("big trace: {spans_count} spans as JSON, against rows to bytes"), "ms");
    for repetition in 0..options.repeat {
        let mut data = data(options, repetition);
        let spans: Vec<Span> = (0..spans_count).map(|_| data.span(spans_count)).collect();
        let trace_id = spans[0].trace_id;
        let database = Database::new(options)?;
        let server = Server::start(options, &database)?;
        closed(&server, 1, spans.chunks(1_000).map(|spans| vec![create_many(spans)]).collect()).await?;
        let before = server.memory()?;
        let path = format!("/v1/private/spans?project_name={PROJECT}&trace_id={trace_id}&size={spans_count}");
        let request = request("GET", &path, b"");
        let mut connection = Connection::open(&server.address).await?;
        let (mut took, mut floors) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..READS {
            let begun = Instant::now();
            let answer = connection.send(&request).await?;
            took.push(begun.elapsed().as_secs_f64() * 1e3);
            bytes = answer.bytes;
            floors.push(ceiling::read_trace(&database.file(), trace_id)?.0 * 1e3);
        }
        for times in [&mut took, &mut floors] {
            times.sort_unstable_by(f64::total_cmp);
        }
        figure.values.push(percentile(&took, 0.5));
        figure.ceilings.push(percentile(&floors, 0.5));
        figure.memory.push(server.peak_memory()?);
        let grown = server.peak_memory()? - before;
        progress("big trace", repetition, &format!("{bytes} bytes; memory grew by at most {grown:.0} MiB"));
    }
    Ok(figure)
}

async fn start(options: &Options) -> Result<[Figure; 2], Failure> {
    let mut memory = Figure::new("start: memory when idle", "MiB");
    let mut time = Figure::new("start: until it answers, with 100,000 spans", "ms");
    let database = Database::new(options)?;
    let spans = data(options, 0).spans(options.scaled(100_000));
    let server = Server::start(options, &database)?;
    closed(&server, 2, spans.chunks(1_000).map(|spans| vec![create_many(spans)]).collect()).await?;
    drop(server);
    ceiling::checkpoint(&database.file())?;
    let ping = request("GET", "/is-alive/ping", b"");
    for _ in 0..options.repeat {
        let begun = Instant::now();
        let server = Server::start(options, &database)?;
        Connection::open(&server.address).await?.send(&ping).await?;
        time.values.push(begun.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_secs(1)).await;
        memory.values.push(server.memory()?);
    }
    Ok([memory, time])
}
