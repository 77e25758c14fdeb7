//! A database that grows: whether the millionth span takes longer to store than the first, and how long a start takes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use super::{create_many, data, float, mib};
use crate::ceiling;
use crate::client::{Connection, request};
use crate::data::IDS_MILLIS;
use crate::load::quantiles;
use crate::report::{Figure, Target};
use crate::server::{Database, Server, cpu};
use crate::templates::Templates;
use crate::watch::Watch;
use crate::{Failure, Options};

pub(super) const BATCH: usize = 1_000;
const CONNECTIONS: usize = 8;

/// Batches that differ.
pub(super) const TEMPLATES: usize = 64;

/// The number of spans from which rates are compared.
pub(super) const FIRST: usize = 100_000;

/// A batch that was acknowledged, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    pub(super) ended: f64,
    pub(super) took: f64,
}

/// The numbers of spans at which something is measured, on the way to so many.
pub(super) fn marks(spans: usize) -> impl Iterator<Item = usize> {
    let tens = std::iter::successors(Some(FIRST), |mark| Some(mark * 10));
    tens.take_while(move |mark| *mark < spans).chain([spans])
}

/// Sends the batches with these numbers; tells now and then how far it is, and what `more` has to say.
pub(super) async fn fill(
    server: &Server,
    templates: &Arc<Templates>,
    batches: Range<usize>,
    more: impl Fn() -> String,
) -> Result<Vec<Done>, Failure> {
    const TELL_SECONDS: f64 = 5.0;
    let next = Arc::new(AtomicUsize::new(batches.start));
    let begin = Instant::now();
    let mut running = JoinSet::new();
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(&server.address).await?;
        let (templates, next, sender) = (Arc::clone(templates), Arc::clone(&next), sender.clone());
        running.spawn(async move {
            let mut request = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= batches.end {
                    return Ok::<_, Failure>(());
                }
                templates.write(number, &mut request);
                let begun = begin.elapsed().as_secs_f64();
                let answer = connection.send(&request).await?;
                if answer.status != 204 {
                    return Err(format!("answered {}", answer.status).into());
                }
                let ended = begin.elapsed().as_secs_f64();
                sender.send(Done { ended, took: ended - begun })?;
            }
        });
    }
    drop(sender);
    let mut all: Vec<Done> = Vec::with_capacity(batches.len());
    let (mut told, mut told_at) = (0, 0.0);
    while let Some(done) = receiver.recv().await {
        all.push(done);
        if done.ended > told_at + TELL_SECONDS {
            let rate = float((all.len() - told) * BATCH) / (done.ended - told_at);
            eprintln!(
                "growth: {} spans, {rate:.0} a second; memory {:.0} MiB{}",
                (batches.start + all.len()) * BATCH,
                server.memory()?,
                more(),
            );
            (told, told_at) = (all.len(), done.ended);
        }
    }
    while let Some(connection) = running.join_next().await {
        connection??;
    }
    Ok(all)
}

/// Spans a second over the last tenth of the way to so many, or at least half of the way to the first mark.
fn rate_at(done: &[Done], spans: usize) -> f64 {
    let until = (spans / BATCH).min(done.len());
    let from = until - (until / 10).max(FIRST / 2 / BATCH).min(until - 1);
    float((until - from) * BATCH) / (done[until - 1].ended - done[from - 1].ended)
}

/// Rates over the number of spans, at about a hundred places.
fn line(done: &[Done]) -> Vec<[f64; 2]> {
    let every = (done.len() / 100).max(10);
    let ends: Vec<usize> = (0..=done.len()).step_by(every).collect();
    let ended = |at: usize| if at == 0 { 0.0 } else { done[at - 1].ended };
    ends.windows(2)
        .map(|ends| {
            let seconds = ended(ends[1]) - ended(ends[0]);
            [float(ends[1] * BATCH), float((ends[1] - ends[0]) * BATCH) / seconds]
        })
        .collect()
}

/// Grows once, whatever the number of repetitions: it takes long.
pub(super) async fn run(options: &Options) -> Result<Vec<Figure>, Failure> {
    let batches = (options.spans / BATCH).max(FIRST / BATCH);
    let spans = batches * BATCH;
    let step = IDS_MILLIS / u64::try_from(batches)?;
    let templates = Templates::new(data(options, 0), BATCH, TEMPLATES, step.max(1), |spans| create_many(spans).into());
    let templates = Arc::new(templates);
    let database = Database::new(options)?;
    let server = Server::start(options, &database)?;
    let watch = Watch::start(&database);
    let cpu_before = (server.cpu()?, cpu("self")?);
    let on_disk = || {
        let (all, journal) = (mib(database.bytes()), mib(database.journal_bytes()));
        format!("; {all:.0} MiB on disk, of them {journal:.0} MiB journal")
    };
    let done = fill(&server, &templates, 0..batches, on_disk).await?;
    let spent = (server.cpu()? - cpu_before.0, cpu("self")? - cpu_before.1);

    let name = format!("growth to {spans} spans of {} bytes", options.span_bytes);
    let first = rate_at(&done, FIRST);
    let mut figures = Vec::new();
    let mut all = Figure::new(format!("{name}, batches of 1,000 on 8 connections"), "spans/s");
    all.values.push(float(spans) / done[done.len() - 1].ended);
    all.server_cpu.push(spent.0 / float(spans) * 1e6);
    all.own_cpu.push(spent.1 / float(spans) * 1e6);
    let mut took: Vec<f64> = done.iter().map(|done| done.took).collect();
    took.sort_unstable_by(f64::total_cmp);
    all.latencies.push(quantiles(&took));
    all.memory.push(server.peak_memory()?);
    all.line = line(&done);
    figures.push(all);
    for mark in marks(spans) {
        let mut figure =
            Figure::new(format!("{name}: at {mark}, against at {FIRST}"), "spans/s").target(Target::RatioAtLeast(0.7));
        figure.values.push(rate_at(&done, mark));
        figure.ceilings.push(first);
        figures.push(figure);
    }
    let mut add = |what: &str, unit, value: f64, most: Option<f64>| {
        let mut figure = Figure::new(format!("{name}: {what}"), unit);
        figure.target = most.map(Target::AtMost);
        figure.values.push(value);
        figures.push(figure);
    };
    add("99.9 % of the writes took no longer than", "ms", quantiles(&took)[2], Some(250.0));
    add("journal at most", "MiB", mib(watch.most()), None);
    add("memory at the end", "MiB", server.memory()?, None);
    drop(server);
    // As a power cut leaves it: with its journal, and nothing of it in memory.
    database.forget()?;
    add("start after it was killed, from disk", "ms", started(options, &database).await?, Some(100.0));
    ceiling::checkpoint(&database.file())?;
    database.forget()?;
    add("start with an empty journal, from disk", "ms", started(options, &database).await?, Some(100.0));
    add("database", "MiB", mib(database.bytes()), None);
    let stored = ceiling::count(&database.file())?;
    if stored != spans {
        return Err(format!("{stored} of {spans} acknowledged spans are there").into());
    }
    Ok(figures)
}

/// Milliseconds until a server answers.
async fn started(options: &Options, database: &Database) -> Result<f64, Failure> {
    let begun = Instant::now();
    let server = Server::start(options, database)?;
    Connection::open(&server.address).await?.send(&request("GET", "/is-alive/ping", b"")).await?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}
