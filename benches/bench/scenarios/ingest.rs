//! Creates: single ones and batches, on few connections and many.

use uuid::Uuid;

use super::{create, create_many, creates, data, float, mib, progress};
use crate::ceiling::{self, Rows};
use crate::load::{Task, closed};
use crate::report::Figure;
use crate::server::{Database, Server};
use crate::{Failure, Options};

/// Creates of one kind on so many connections, against rows written so many at once.
pub(super) struct Ingest {
    connections: usize,
    /// Spans in a request; 1 for single creates.
    batch: usize,
    spans: usize,
    /// Rows of a transaction of the ceiling.
    at_once: usize,
}

pub(super) const INGEST: [Ingest; 5] = [
    Ingest { connections: 8, batch: 1_000, spans: 150_000, at_once: 1_000 },
    Ingest { connections: 8, batch: 100, spans: 150_000, at_once: 100 },
    Ingest { connections: 64, batch: 1, spans: 60_000, at_once: 64 },
    Ingest { connections: 8, batch: 1, spans: 30_000, at_once: 8 },
    Ingest { connections: 1, batch: 1, spans: 5_000, at_once: 1 },
];

impl Ingest {
    pub(super) fn name(&self) -> String {
        creates(self.batch, self.connections)
    }
}

pub(super) async fn run(options: &Options, ingest: &Ingest) -> Result<Vec<Figure>, Failure> {
    let name = &ingest.name();
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
        journal.values.push(mib(database.journal_bytes()));
        drop(server);
        ceiling::verify(&database.file(), &ids)?;
        ceiling::checkpoint(&database.file())?;
        bytes.values.push(mib(database.bytes()) * f64::from(1 << 20) / float(ids.len()));
        let rows = Rows::of(&database.file())?;
        drop(database);
        let ceiling = rows.write(options, rows.len(), ingest.at_once)?;
        rates.ceilings.push(ceiling);
        let rate = rates.values.last().copied().unwrap_or_default();
        progress(name, repetition, &format!("{rate:.0} spans/s, the ceiling is {ceiling:.0}; all are there"));
    }
    Ok(if ingest.batch == 1_000 { vec![rates, bytes, journal] } else { vec![rates] })
}
