//! A start, and what the server takes when it does nothing.

use std::time::{Duration, Instant};

use super::{create_many, data};
use crate::ceiling;
use crate::client::{Connection, request};
use crate::load::closed;
use crate::report::Figure;
use crate::server::{Database, Server};
use crate::{Failure, Options};

pub(super) async fn run(options: &Options) -> Result<[Figure; 2], Failure> {
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
        // What only the start needed goes back meanwhile.
        tokio::time::sleep(Duration::from_secs(3)).await;
        memory.values.push(server.memory()?);
    }
    Ok([memory, time])
}
