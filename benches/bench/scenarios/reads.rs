//! Reads that are due at a fixed pace, while batches are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{create_many, data, float, progress};
use crate::client::request;
use crate::data::{PROJECT, Span};
use crate::load::{closed, paced, percentile, quantiles};
use crate::report::Figure;
use crate::server::{Database, Server};
use crate::{Failure, Options};

pub(super) async fn run(options: &Options) -> Result<Vec<Figure>, Failure> {
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
        let firsts = (0..).map(|number| PAUSE / 4 * number);
        let readers: Vec<_> = requests
            .into_iter()
            .zip(firsts)
            .map(|(requests, first)| {
                let (address, done) = (server.address.clone(), Arc::clone(&done));
                std::thread::spawn(move || paced(&address, PAUSE, first, &requests, &done))
            })
            .collect();
        let measured = closed(&server, CONNECTIONS, batches(then)).await?;
        done.store(true, Ordering::Relaxed);
        let memory = server.peak_memory()?;
        for (figure, reader) in figures.iter_mut().zip(readers) {
            let latencies = reader.join().map_err(|_| "a reader panicked")??;
            figure.values.push(percentile(&latencies, 0.99) * 1e3);
            figure.latencies.push(quantiles(&latencies));
            figure.memory.push(memory);
        }
        let rate = float(then.len()) / measured.seconds;
        progress("reads while writing", repetition, &format!("{rate:.0} spans/s meanwhile"));
    }
    Ok(figures)
}
