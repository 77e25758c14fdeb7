//! Load on a server: how fast it answers, and how much that costs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::client::Connection;
use crate::server::{Server, cpu};
use bytes::Bytes;

/// Requests that follow each other on one connection.
pub(crate) type Task = Vec<Bytes>;

/// What a load came to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// Seconds of processor time that the server used.
    pub(crate) server_cpu: f64,
    /// The same of this program.
    pub(crate) own_cpu: f64,
    /// Seconds that each request took, ascending.
    pub(crate) latencies: Vec<f64>,
}

/// The value that this share of ascending values does not exceed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index, not negative"
)]
pub(crate) fn percentile(ascending: &[f64], share: f64) -> f64 {
    let at = (ascending.len() as f64 * share).ceil() as usize;
    ascending.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

/// Milliseconds that half, 99 % and 99.9 % of ascending seconds did not exceed, and the most.
pub(crate) fn quantiles(ascending: &[f64]) -> [f64; 4] {
    [0.5, 0.99, 0.999, 1.0].map(|share| percentile(ascending, share) * 1e3)
}

/// Does all tasks, each connection one after the other, and expects every answer to be a success.
pub(crate) async fn closed(server: &Server, connections: usize, tasks: Vec<Task>) -> Result<Measured, Failure> {
    closed_on(std::slice::from_ref(server), connections, tasks).await
}

/// The same with connections to these servers in turn.
pub(crate) async fn closed_on(servers: &[Server], connections: usize, tasks: Vec<Task>) -> Result<Measured, Failure> {
    let mut open = Vec::with_capacity(connections);
    for server in servers.iter().cycle().take(connections) {
        open.push(Connection::open(&server.address).await?);
    }
    let server_cpu = || servers.iter().map(Server::cpu).sum::<Result<f64, Failure>>();
    let (tasks, next) = (Arc::new(tasks), Arc::new(AtomicUsize::new(0)));
    let cpu_before = (server_cpu()?, cpu("self")?);
    let begun = Instant::now();
    let mut running = Vec::with_capacity(connections);
    for mut connection in open {
        let (tasks, next) = (Arc::clone(&tasks), Arc::clone(&next));
        running.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                for request in task {
                    let sent = Instant::now();
                    let answer = connection.send(request).await?;
                    latencies.push(sent.elapsed().as_secs_f64());
                    if !(200..300).contains(&answer.status) {
                        return Err(Failure::from(format!("answered {}", answer.status)));
                    }
                }
            }
            Ok(latencies)
        }));
    }
    let mut measured = Measured::default();
    for connection in running {
        measured.latencies.extend(connection.await??);
    }
    measured.seconds = begun.elapsed().as_secs_f64();
    measured.server_cpu = server_cpu()? - cpu_before.0;
    measured.own_cpu = cpu("self")? - cpu_before.1;
    measured.latencies.sort_unstable_by(f64::total_cmp);
    Ok(measured)
}

/// Sends requests, in turn, at a fixed pace until `done`, and measures from when each was due. On a thread of its own, with
/// a clock that does not round, and before others where that is allowed: it stands for somebody on another machine, and
/// waits for the server alone.
pub(crate) fn paced(
    address: &str,
    pause: Duration,
    first: Duration,
    requests: &[Bytes],
    done: &AtomicBool,
) -> Result<Vec<f64>, Failure> {
    let _ = rustix::process::nice(-10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connection = runtime.block_on(Connection::open(address))?;
    let mut due = Instant::now() + first;
    let mut latencies = Vec::new();
    for request in requests.iter().cycle() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if done.load(Ordering::Relaxed) {
            break;
        }
        let answer = runtime.block_on(connection.send(request))?;
        latencies.push(due.elapsed().as_secs_f64());
        if answer.status != 200 {
            return Err(format!("answered {}", answer.status).into());
        }
        due += pause;
    }
    latencies.sort_unstable_by(f64::total_cmp);
    Ok(latencies)
}
