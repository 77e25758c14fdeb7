//! Load of numbered requests for a time, whatever the answers: each connection sends one at a time; what is due comes at a
//! pace of its own, or whenever a connection is free.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::client::Connection;
use crate::templates::Templates;

/// How hard to drive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drive {
    pub(crate) connections: usize,
    /// Requests that are due a second; none for as many as are answered.
    pub(crate) rate: Option<f64>,
    /// How long, in seconds; what was sent by then is waited for.
    pub(crate) seconds: f64,
}

/// A request, in seconds since the load began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Which of the templates' requests.
    pub(crate) number: usize,
    pub(crate) begun: f64,
    pub(crate) ended: f64,
    /// 0 if there was no answer.
    pub(crate) status: u16,
}

impl Sent {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Opens as many connections as are to be driven.
pub(crate) async fn open(address: &str, drive: Drive) -> Result<Vec<Connection>, Failure> {
    let mut open = Vec::with_capacity(drive.connections);
    for _ in 0..drive.connections {
        open.push(Connection::open(address).await?);
    }
    Ok(open)
}

/// Sends requests with numbers from `next`; returns them in the order in which they ended.
pub(crate) async fn drive(
    address: &str,
    templates: &Arc<Templates>,
    next: &Arc<AtomicUsize>,
    drive: Drive,
) -> Result<Vec<Sent>, Failure> {
    drive_on(open(address, drive).await?, address, templates, next, drive).await
}

/// The same, on connections that are open.
pub(crate) async fn drive_on(
    open: Vec<Connection>,
    address: &str,
    templates: &Arc<Templates>,
    next: &Arc<AtomicUsize>,
    drive: Drive,
) -> Result<Vec<Sent>, Failure> {
    let begin = Instant::now();
    let due = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for connection in open {
        let work = Work {
            address: address.to_owned(),
            templates: Arc::clone(templates),
            next: Arc::clone(next),
            due: Arc::clone(&due),
            begin,
            drive,
        };
        running.spawn(work.run(connection));
    }
    let mut all = Vec::new();
    while let Some(sent) = running.join_next().await {
        all.extend(sent??);
    }
    all.sort_unstable_by(|one, other| f64::total_cmp(&one.ended, &other.ended));
    Ok(all)
}

struct Work {
    address: String,
    templates: Arc<Templates>,
    next: Arc<AtomicUsize>,
    due: Arc<AtomicUsize>,
    begin: Instant,
    drive: Drive,
}

impl Work {
    async fn run(self, mut connection: Connection) -> Result<Vec<Sent>, Failure> {
        let since = || self.begin.elapsed().as_secs_f64();
        let (mut all, mut request) = (Vec::new(), Vec::new());
        loop {
            if let Some(rate) = self.drive.rate {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let due = self.due.fetch_add(1, Ordering::Relaxed) as f64 / rate;
                if due > self.drive.seconds {
                    return Ok(all);
                }
                if due > since() {
                    tokio::time::sleep_until((self.begin + Duration::from_secs_f64(due)).into()).await;
                }
            }
            if since() > self.drive.seconds {
                return Ok(all);
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.templates.write(number, &mut request);
            let begun = since();
            let status = if let Ok(answer) = connection.send(&request).await {
                answer.status
            } else {
                connection = Connection::open(&self.address).await?;
                0
            };
            all.push(Sent { number, begun, ended: since(), status });
        }
    }
}
