//! More than can be served: far more connections than a server has use for, on which requests are due at three times the
//! best rate. Server and load have a core each, so that neither takes from the other.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use uuid::Uuid;

use super::{create_many, creates, data, float, mib, progress};
use crate::ceiling;
use crate::drive::{Drive, Sent, drive, drive_on, open};
use crate::load::quantiles;
use crate::pin::Pinned;
use crate::report::{Figure, Target};
use crate::server::{Database, Server, cpu};
use crate::templates::Templates;
use crate::watch::Watch;
use crate::{Failure, Options};

/// Creates of one kind.
pub(super) struct Overload {
    /// Spans in a request; 1 for single creates.
    batch: usize,
    connections: usize,
    /// As many as serve best, and as are there when the overload is over.
    usual_connections: usize,
    /// Requests that differ.
    templates: usize,
}

pub(super) const OVERLOAD: [Overload; 3] = [
    Overload { batch: 1, connections: 2_000, usual_connections: 64, templates: 20_000 },
    Overload { batch: 100, connections: 2_000, usual_connections: 8, templates: 200 },
    Overload { batch: 1_000, connections: 500, usual_connections: 8, templates: 20 },
];

/// How much more than the best is due.
const TIMES: f64 = 3.0;

/// Seconds of each part.
const BEST_SECONDS: f64 = 5.0;
const OVERLOAD_SECONDS: f64 = 10.0;
const CALM_SECONDS: f64 = 6.0;

/// The rate is back when it is, for so many seconds, at least this share of the best.
const BACK_SECONDS: f64 = 0.5;
const BACK_SHARE: f64 = 0.9;

impl Overload {
    pub(super) fn name(&self) -> String {
        format!("overload: {}", creates(self.batch, self.connections))
    }
}

/// What was measured of one repetition.
struct Measured {
    /// The best rate before the overload, and after it: an index takes longer the more there is in it.
    best: [f64; 2],
    flood: Vec<Sent>,
    calm: Vec<Sent>,
}

pub(super) async fn run(options: &Options, overload: &Overload) -> Result<Vec<Figure>, Failure> {
    let name = overload.name();
    let mut rates = Figure::new(
        format!("{name}, one core for the server, one for the load: successes, against the best"),
        "spans/s",
    )
    .target(Target::RatioAtLeast(0.9));
    let mut refused = Figure::new(format!("{name}: refused with 429"), "% of requests");
    let mut recovery = Figure::new(format!("{name}: until all is well again"), "s").target(Target::AtMost(1.0));
    let mut lost = Figure::new(format!("{name}: acknowledged and lost"), "spans").target(Target::AtMost(0.0));
    let mut journal = Figure::new(format!("{name}: journal at most"), "MiB");
    for repetition in 0..options.repeat {
        let path = if overload.batch == 1 { create_one } else { create_batch };
        let templates = Templates::new(data(options, repetition), overload.batch, overload.templates, 1, path);
        let (templates, next) = (Arc::new(templates), Arc::new(AtomicUsize::new(0)));
        let pinned = Pinned::new()?;
        let database = Database::new(options)?;
        let server = Server::start_pinned(options, &database)?;
        let watch = Watch::start(&database);
        let seconds = |seconds: f64| (seconds * options.scale).max(1.0);
        let usual = |seconds| Drive { connections: overload.usual_connections, rate: None, seconds };
        let best = drive(&server.address, &templates, &next, usual(seconds(BEST_SECONDS))).await?;
        let best_rate = rate(&best, 0.0, seconds(BEST_SECONDS));
        server.forget_peak()?;
        let cpu_before = (server.cpu()?, cpu("self")?);
        let hard = Drive {
            connections: overload.connections,
            rate: Some(TIMES * best_rate),
            seconds: seconds(OVERLOAD_SECONDS),
        };
        // That many are not open at once: the time begins when they are.
        let many = open(&server.address, hard).await?;
        let flood = {
            let (address, templates, next) = (server.address.clone(), Arc::clone(&templates), Arc::clone(&next));
            tokio::spawn(async move { drive_on(many, &address, &templates, &next, hard).await })
        };
        tokio::time::sleep(Duration::from_secs_f64(hard.seconds)).await;
        let spent = (server.cpu()? - cpu_before.0, cpu("self")? - cpu_before.1);
        let calm = drive(&server.address, &templates, &next, usual(CALM_SECONDS)).await?;
        let flood = flood.await??;
        let memory = server.peak_memory()?;
        let after = drive(&server.address, &templates, &next, usual(seconds(BEST_SECONDS))).await?;
        let best_after = rate(&after, 0.0, seconds(BEST_SECONDS));
        let measured = Measured { best: [best_rate, best_after], flood, calm };
        drop(server);
        drop(pinned);

        let spans = float(overload.batch);
        let done = rate(&measured.flood, 0.0, hard.seconds);
        rates.values.push(done * spans);
        rates.ceilings.push(f64::midpoint(best_rate, best_after) * spans);
        let stored = (done * hard.seconds * spans).max(1.0);
        rates.server_cpu.push(spent.0 / stored * 1e6);
        rates.own_cpu.push(spent.1 / stored * 1e6);
        rates.latencies.push(latencies(&measured.flood, Sent::is_success));
        rates.memory.push(memory);
        let is_refused = |sent: &Sent| sent.status == 429;
        let refusals = measured.flood.iter().filter(|sent| is_refused(sent)).count();
        refused.values.push(100.0 * float(refusals) / float(measured.flood.len()).max(1.0));
        if refusals > 0 {
            refused.latencies.push(latencies(&measured.flood, is_refused));
        }
        recovery.values.push(measured.recovered());
        recovery.latencies.push(latencies(&measured.calm, Sent::is_success));
        let acknowledged: Vec<Uuid> = [&best, &measured.flood, &measured.calm, &after]
            .into_iter()
            .flatten()
            .filter(|sent| sent.is_success())
            .flat_map(|sent| templates.ids(sent.number))
            .collect();
        lost.values.push(float(ceiling::missing(&database.file(), &acknowledged)?));
        journal.values.push(mib(watch.most()));
        progress(&name, repetition, &measured.told(hard));
    }
    Ok(vec![rates, refused, recovery, lost, journal])
}

fn create_one(spans: &[crate::data::Span]) -> Vec<u8> {
    super::create(&spans[0]).into()
}

fn create_batch(spans: &[crate::data::Span]) -> Vec<u8> {
    create_many(spans).into()
}

/// Successes a second between these times.
fn rate(sent: &[Sent], from: f64, until: f64) -> f64 {
    let count = sent.iter().filter(|sent| sent.is_success() && sent.ended > from && sent.ended <= until).count();
    float(count) / (until - from)
}

fn latencies(sent: &[Sent], which: impl Fn(&Sent) -> bool) -> [f64; 4] {
    let mut took: Vec<f64> = sent.iter().filter(|sent| which(sent)).map(|sent| sent.ended - sent.begun).collect();
    took.sort_unstable_by(f64::total_cmp);
    quantiles(&took)
}

impl Measured {
    /// Seconds after the overload from which on nothing fails and the rate is what it should be; all of the calm if there
    /// is no such time.
    fn recovered(&self) -> f64 {
        const STEP_SECONDS: f64 = 0.05;
        let failed = self.calm.iter().filter(|sent| !sent.is_success()).map(|sent| sent.ended).fold(0.0, f64::max);
        let mut from = failed;
        while from + BACK_SECONDS <= CALM_SECONDS {
            if rate(&self.calm, from, from + BACK_SECONDS) >= BACK_SHARE * self.best[1] {
                return from;
            }
            from += STEP_SECONDS;
        }
        CALM_SECONDS
    }

    fn told(&self, hard: Drive) -> String {
        let mut statuses = std::collections::BTreeMap::new();
        for sent in &self.flood {
            *statuses.entry(sent.status).or_insert(0) += 1;
        }
        let steps = (0..).map(|step| f64::from(step) * BACK_SECONDS).take_while(|from| *from < CALM_SECONDS);
        let back: Vec<String> =
            steps.map(|from| format!("{:.0}", rate(&self.calm, from, from + BACK_SECONDS))).collect();
        format!(
            "best {:.0} and then {:.0} requests/s, {:.0}/s were due for {} s, answered {statuses:?}, {:.0}/s with success; \
             well again after {:.2} s; each {BACK_SECONDS} s of the usual load then: {}/s",
            self.best[0],
            self.best[1],
            hard.rate.unwrap_or_default(),
            hard.seconds,
            rate(&self.flood, 0.0, hard.seconds),
            self.recovered(),
            back.join(" "),
        )
    }
}
