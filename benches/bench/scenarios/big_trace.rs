//! A trace with more spans than anyone looks at, read at once.

use std::time::Instant;

use super::{create_many, data, progress};
use crate::ceiling;
use crate::client::{Connection, request};
use crate::data::{PROJECT, Span};
use crate::load::{closed, percentile};
use crate::report::{Figure, Target};
use crate::server::{Database, Server};
use crate::{Failure, Options};

/// Reads of the trace for each repetition.
const READS: usize = 5;

/// How long the answer takes, against its rows being read and as many bytes as it has being written to a socket; and
/// the memory that it takes of a server that did nothing before.
pub(super) async fn run(options: &Options) -> Result<[Figure; 2], Failure> {
    let spans_count = options.scaled(10_000);
    let name = format!("big trace: {spans_count} spans as JSON");
    let mut times = Figure::new(format!("{name}, against rows to bytes"), "ms");
    let mut grown =
        Figure::new(format!("{name}, memory at most above that before"), "MiB").target(Target::AtMost(20.0));
    for repetition in 0..options.repeat {
        let mut data = data(options, repetition);
        let spans: Vec<Span> = (0..spans_count).map(|_| data.span(spans_count)).collect();
        let trace_id = spans[0].trace_id;
        let database = Database::new(options)?;
        let server = Server::start(options, &database)?;
        closed(&server, 1, spans.chunks(1_000).map(|spans| vec![create_many(spans)]).collect()).await?;
        drop(server);
        // One that has no memory left from writing.
        let server = Server::start(options, &database)?;
        let mut connection = Connection::open(&server.address).await?;
        let path = |size: usize| format!("/v1/private/spans?project_name={PROJECT}&trace_id={trace_id}&size={size}");
        connection.send(&request("GET", &path(1), b"")).await?;
        let before = server.memory()?;
        server.forget_peak()?;
        let request = request("GET", &path(spans_count), b"");
        let (mut took, mut floors) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..READS {
            let begun = Instant::now();
            let answer = connection.send(&request).await?;
            took.push(begun.elapsed().as_secs_f64() * 1e3);
            if answer.status != 200 {
                return Err(format!("answered {}", answer.status).into());
            }
            bytes = answer.bytes;
            floors.push(ceiling::read_trace(&database.file(), trace_id, bytes)? * 1e3);
        }
        for times in [&mut took, &mut floors] {
            times.sort_unstable_by(f64::total_cmp);
        }
        times.values.push(percentile(&took, 0.5));
        times.ceilings.push(percentile(&floors, 0.5));
        let peak = server.peak_memory()?;
        times.memory.push(peak);
        grown.values.push(peak - before);
        grown.memory.push(peak);
        progress("big trace", repetition, &format!("{bytes} bytes; memory grew by at most {:.0} MiB", peak - before));
    }
    Ok([times, grown])
}
