//! Many servers on one database: creates against what PostgreSQL takes and against SQLite, and a database that grows.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use uuid::Uuid;

use super::growth::{self, BATCH, FIRST, TEMPLATES};
use super::{create, create_many, creates, data, float, mib, progress};
use crate::client::{Connection, request};
use crate::data::{Data, IDS_MILLIS, PROJECT, START, TRACE_SPANS};
use crate::load::{Task, closed, closed_on, percentile, quantiles};
use crate::postgres::{self, Postgres, Rows};
use crate::report::{Figure, Target};
use crate::server::{Database, Server};
use crate::templates::Templates;
use crate::{Failure, Options};

pub(super) async fn run(options: &Options, only: &[String]) -> Result<Vec<Figure>, Failure> {
    let postgres = Postgres::start()?;
    let wanted = |name: &str| only.iter().any(|only| name.contains(only.as_str()));
    let mut figures = Vec::new();
    if wanted("postgres batches") {
        figures.push(batches(options, &postgres).await?);
    }
    if wanted("postgres single creates") {
        for spread in [Spread::Traces, Spread::Spans] {
            figures.extend(single_creates(options, &postgres, spread).await?);
        }
    }
    if wanted("postgres growth") {
        figures.extend(grow(options, &postgres).await?);
    }
    Ok(figures)
}

/// Batches through one server, against copying as many rows a transaction on as many connections as is best.
async fn batches(options: &Options, postgres: &Postgres) -> Result<Figure, Failure> {
    const CONNECTIONS: usize = 8;
    /// Of the ceiling.
    const ITS_CONNECTIONS: [usize; 4] = [1, 2, 4, 8];
    let name = format!("postgres {}", creates(BATCH, CONNECTIONS));
    let mut rates = Figure::new(&name, "spans/s").target(Target::RatioAtLeast(0.7));
    for repetition in 0..options.repeat {
        let spans = data(options, repetition).spans(options.scaled(100_000));
        let tasks: Vec<Task> = spans.chunks(BATCH).map(|spans| vec![create_many(spans)]).collect();
        let ids: Vec<Uuid> = spans.iter().map(|span| span.id).collect();
        drop(spans);
        let database = postgres.database(options).await?;
        let server = Server::start(options, &database)?;
        let measured = closed(&server, CONNECTIONS, tasks).await?;
        rates.add(&measured, ids.len(), server.peak_memory()?);
        server.stop()?;
        postgres::verify(&database, &ids).await?;
        let rows = Rows::of(&database, BATCH).await?;
        postgres.remove(database).await?;
        let (mut ceiling, mut best) = (0.0, 0);
        for connections in ITS_CONNECTIONS {
            let database = postgres.database(options).await?;
            let rate = rows.write(&database, connections).await?;
            postgres.remove(database).await?;
            if rate > ceiling {
                (ceiling, best) = (rate, connections);
            }
        }
        rates.ceilings.push(ceiling);
        let rate = rates.values.last().copied().unwrap_or_default();
        let told = format!("{rate:.0} spans/s, the ceiling is {ceiling:.0} on {best} connections; all are there");
        progress(&name, repetition, &told);
    }
    Ok(rates)
}

/// Which requests follow each other on a connection.
#[derive(Debug, Clone, Copy)]
enum Spread {
    /// Those of a trace, as a program sends what it traces.
    Traces,
    /// Any: spans of one trace go to all servers at the same time.
    Spans,
}

/// Single creates on two servers that share a database, against one on SQLite.
async fn single_creates(options: &Options, postgres: &Postgres, spread: Spread) -> Result<[Figure; 2], Failure> {
    const CONNECTIONS: usize = 32;
    const SERVERS: usize = 2;
    let (spans_of_task, kept) = match spread {
        Spread::Traces => (TRACE_SPANS, "each trace on one of them"),
        Spread::Spans => (1, "each trace on all of them"),
    };
    let alone = format!("{}, {kept}", creates(1, CONNECTIONS));
    let name = format!("postgres {alone}, over {SERVERS} servers, against SQLite");
    let mut rates = Figure::new(&name, "spans/s").target(Target::RatioAtLeast(0.6));
    let mut theirs = Figure::new(format!("SQLite, {alone}"), "spans/s");
    for repetition in 0..options.repeat {
        let spans = data(options, repetition).spans(options.scaled(30_000));
        let tasks =
            || spans.chunks(spans_of_task).map(|spans| spans.iter().map(create).collect()).collect::<Vec<Task>>();
        let database = postgres.database(options).await?;
        let servers = (0..SERVERS).map(|_| Server::start(options, &database)).collect::<Result<Vec<_>, _>>()?;
        let measured = closed_on(&servers, CONNECTIONS, tasks()).await?;
        let memory = servers.iter().map(Server::peak_memory).sum::<Result<f64, Failure>>()?;
        rates.add(&measured, spans.len(), memory);
        servers.into_iter().try_for_each(Server::stop)?;
        postgres::verify(&database, &spans.iter().map(|span| span.id).collect::<Vec<_>>()).await?;
        postgres.remove(database).await?;

        let database = Database::new(options)?;
        let server = Server::start(options, &database)?;
        let measured = closed(&server, CONNECTIONS, tasks()).await?;
        theirs.add(&measured, spans.len(), server.peak_memory()?);
        let last = |figure: &Figure| figure.values.last().copied().unwrap_or_default();
        rates.ceilings.push(last(&theirs));
        progress(
            &name,
            repetition,
            &format!("{:.0} spans/s, SQLite {:.0}; all are there", last(&rates), last(&theirs)),
        );
    }
    Ok([rates, theirs])
}

/// Times that each question is asked, after one time that does not count.
const TIMES: usize = 10;

/// What is asked of a database that grows. The ids are of the last batch that was sent.
fn questions(span: Uuid, trace: Uuid, cursor: Uuid, from_millis: u64) -> [(&'static str, bytes::Bytes); 10] {
    let get = |path: String| request("GET", &format!("/v1/private/{path}"), b"");
    let filters = |field: &str, operator: &str, value: &str| {
        let text = json!([{"field": field, "operator": operator, "value": value}]).to_string();
        form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
    };
    let search = |more: serde_json::Value| {
        let mut body = json!({"project_name": PROJECT, "limit": 100, "truncate": true});
        body.as_object_mut().into_iter().zip(more.as_object()).for_each(|(body, more)| body.extend(more.clone()));
        request("POST", "/v1/private/spans/search", body.to_string().as_bytes())
    };
    let of_input = |text: &str| json!({"filters": [{"field": "input", "operator": "contains", "value": text}]});
    let spans = format!("spans?project_name={PROJECT}&truncate=true");
    let stats = format!("spans/stats?project_name={PROJECT}");
    let from_second =
        i64::try_from(from_millis / 1_000).ok().and_then(|second| chrono::DateTime::from_timestamp(second, 0));
    let from = from_second.map(|from| from.format("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    [
        ("a span by its id", get(format!("spans/{span}"))),
        ("the spans of a trace", get(format!("{spans}&trace_id={trace}&size=100"))),
        ("first page of 100", get(format!("{spans}&size=100"))),
        ("first page of 100 of a type", get(format!("{spans}&size=100&type=tool"))),
        ("search, 100 after a cursor in the middle", search(json!({"last_retrieved_id": cursor.to_string()}))),
        ("search, 100 with a text in many", search(of_input("unfortunately"))),
        ("search, a text in none", search(of_input("zyzzyva"))),
        ("statistics", get(stats.clone())),
        ("statistics of the last tenth of the time", get(format!("{stats}&from_time={from}"))),
        ("statistics of a type", get(format!("{stats}&filters={}", filters("type", "=", "tool")))),
    ]
}

/// Milliseconds that half of the answers took.
async fn ask(server: &Server, request: &[u8]) -> Result<f64, Failure> {
    /// What takes longer is not asked again and again.
    const LONG_SECONDS: f64 = 3.0;
    let mut connection = Connection::open(&server.address).await?;
    let mut took = Vec::new();
    for time in 0..=TIMES {
        let begun = Instant::now();
        let answer = connection.send(request).await?;
        if answer.status != 200 {
            // Such as that it would take too long.
            return Ok(f64::NAN);
        }
        let seconds = begun.elapsed().as_secs_f64();
        if time > 0 || seconds > LONG_SECONDS {
            took.push(seconds);
        }
        if seconds > LONG_SECONDS {
            break;
        }
    }
    took.sort_unstable_by(f64::total_cmp);
    Ok(percentile(&took, 0.5) * 1e3)
}

/// Grows once, whatever the number of repetitions; prints what it took at each power of ten as a table of its own.
async fn grow(options: &Options, postgres: &Postgres) -> Result<Vec<Figure>, Failure> {
    let batches = (options.spans / BATCH).max(FIRST / BATCH);
    let spans = batches * BATCH;
    let step = (IDS_MILLIS / u64::try_from(batches)?).max(1);
    let templates = Templates::new(data(options, 0), BATCH, TEMPLATES, step, |spans| create_many(spans).into());
    let templates = Arc::new(templates);
    let database = postgres.database(options).await?;
    // However long PostgreSQL takes for its upkeep, nothing is refused for it.
    let server = Server::start_with(options, &database, &["--queue-millis-max", "60000"])?;
    let name = format!("postgres growth to {spans} spans of {} bytes", options.span_bytes);
    let mut figures: Vec<Figure> = Vec::new();
    let mut add = |what: &str, mark: usize, unit, value: f64, ratio: Option<f64>| {
        let mut figure = Figure::new(format!("{name}: {what}, at {mark}"), unit);
        figure.values.push(value);
        if let Some(first) = ratio {
            figure.ceilings.push(first);
            figure.target = Some(Target::RatioAtLeast(0.7));
        }
        figures.push(figure);
    };
    let (mut sent, mut first) = (0, None);
    let mut table: Vec<(String, Vec<f64>)> = Vec::new();
    let marks: Vec<usize> = growth::marks(spans).collect();
    for &mark in &marks {
        let done = growth::fill(&server, &templates, sent..mark / BATCH, String::new).await?;
        sent = mark / BATCH;
        // The last tenth, or all of the first part.
        let last = (mark / BATCH / 10).max(FIRST / 2 / BATCH).min(done.len() - 1);
        let seconds = done[done.len() - 1].ended - done[done.len() - 1 - last].ended;
        let rate = float(last * BATCH) / seconds;
        let mut took: Vec<f64> = done.iter().map(|done| done.took).collect();
        took.sort_unstable_by(f64::total_cmp);
        let size = u64::try_from(postgres::number(&database, "SELECT pg_database_size(current_database())").await?)?;
        let mut rows = vec![
            ("ingest".to_owned(), "spans/s", rate),
            ("99.9 % of the batches took no longer than".to_owned(), "ms", quantiles(&took)[2]),
            ("database".to_owned(), "MiB", mib(size)),
        ];
        postgres::analyze(&database).await?;
        let (span, trace, cursor) = some_ids(options, &templates, sent);
        let from = START + u64::try_from(sent - sent / 10)? * step;
        for (question, request) in questions(span, trace, cursor, from) {
            rows.push((question.to_owned(), "ms", ask(&server, &request).await?));
        }
        for (what, unit, value) in rows {
            eprintln!("{name}, at {mark}: {what}: {value:.1} {unit}");
            add(&what, mark, unit, value, first.filter(|_| what == "ingest"));
            let row = format!("{what}, {unit}");
            match table.iter_mut().find(|(name, _)| *name == row) {
                Some((_, values)) => values.push(value),
                None => table.push((row, vec![value])),
            }
        }
        first.get_or_insert(rate);
    }
    add("most memory", spans, "MiB", server.peak_memory()?, None);
    let there = postgres::number(&database, "SELECT count(*) FROM spans").await?;
    if usize::try_from(there)? != spans {
        return Err(format!("{there} of {spans} acknowledged spans are there").into());
    }
    server.stop()?;
    print_table(&name, &marks, &table);
    Ok(figures)
}

/// A span and the trace of a span that were sent last, and a span in the middle.
fn some_ids(options: &Options, templates: &Templates, sent: usize) -> (Uuid, Uuid, Uuid) {
    let of = |number: usize| templates.ids(number).next().unwrap_or_default();
    // As templates begin: the first trace of all, whose time is that of its batch.
    let mut data: Data = data(options, 0);
    data.stand_still();
    let trace = data.span(TRACE_SPANS).trace_id;
    let of_first = (sent - 1) / TEMPLATES * TEMPLATES;
    let (time, rest) = (of(of_first).as_u128() >> 80 << 80, trace.as_u128() & ((1 << 80) - 1));
    (of(sent - 1), Uuid::from_u128(time | rest), of(sent / 2))
}

fn print_table(name: &str, marks: &[usize], table: &[(String, Vec<f64>)]) {
    let marks: Vec<String> = marks.iter().map(ToString::to_string).collect();
    println!("| {name} | {} |\n|---|{}", marks.join(" | "), "---|".repeat(marks.len()));
    for (row, values) in table {
        let values: Vec<String> = values.iter().map(|value| format!("{value:.1}")).collect();
        println!("| {row} | {} |", values.join(" | "));
    }
    println!();
}
