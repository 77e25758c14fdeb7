//! What was measured, as a table and as JSON.

use std::fmt;

use serde::Serialize;

use crate::Failure;
use crate::load::{Measured, quantiles};
use crate::server::cpu;

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) figures: Vec<Figure>,
}

/// One figure, with its ceiling where it has one, once for each repetition.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
    /// What the machine can do of it.
    pub(crate) ceilings: Vec<f64>,
    /// Microseconds of processor time that the server used for each.
    pub(crate) server_cpu: Vec<f64>,
    /// The same of this program.
    pub(crate) own_cpu: Vec<f64>,
    /// Milliseconds that half, 99 % and 99.9 % of the requests did not exceed, and the most.
    pub(crate) latencies: Vec<[f64; 4]>,
    /// The most memory that the server had, in MiB.
    pub(crate) memory: Vec<f64>,
    /// What it should be.
    pub(crate) target: Option<Target>,
    /// Values over the number of spans that are stored.
    pub(crate) line: Vec<[f64; 2]>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// At least this share of its ceiling.
    RatioAtLeast(f64),
    /// At most this share of its ceiling.
    RatioAtMost(f64),
    /// No more than this.
    AtMost(f64),
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, ..Self::default() }
    }

    /// Takes up a repetition of a load that did so much.
    pub(crate) fn add(&mut self, measured: &Measured, done: usize, memory: f64) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let done = done as f64;
        self.values.push(done / measured.seconds);
        self.server_cpu.push(measured.server_cpu / done * 1e6);
        self.own_cpu.push(measured.own_cpu / done * 1e6);
        self.latencies.push(quantiles(&measured.latencies));
        self.memory.push(memory);
    }

    /// The same with a target.
    pub(crate) fn target(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    pub(crate) fn ratio(&self) -> Option<f64> {
        let ratios: Vec<f64> = self.values.iter().zip(&self.ceilings).map(|(value, ceiling)| value / ceiling).collect();
        median(&ratios)
    }

    /// Whether the median is what it should be.
    pub(crate) fn is_met(&self) -> Option<bool> {
        match self.target? {
            Target::RatioAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Target::RatioAtMost(most) => self.ratio().map(|ratio| ratio <= most),
            Target::AtMost(most) => median(&self.values).map(|value| value <= most),
        }
    }

    /// What stands in its row.
    pub(crate) fn cells(&self) -> [String; COLUMNS.len()] {
        let at =
            |place: usize| shown(median(&self.latencies.iter().map(|latencies| latencies[place]).collect::<Vec<_>>()));
        let latencies = if self.latencies.is_empty() { String::new() } else { [0, 1, 2, 3].map(at).join(" / ") };
        [
            self.name.clone(),
            format!("{} {}", shown(median(&self.values)), self.unit),
            spread(&self.values),
            shown(median(&self.ceilings)),
            self.ratio().map_or(String::new(), |ratio| format!("{:.0} %", ratio * 100.0)),
            self.told_target(),
            shown(median(&self.server_cpu)),
            shown(median(&self.own_cpu)),
            latencies,
            shown(median(&self.memory)),
        ]
    }

    fn told_target(&self) -> String {
        let wanted = match self.target {
            None => return String::new(),
            Some(Target::RatioAtLeast(least)) => format!("≥ {:.0} %", least * 100.0),
            Some(Target::RatioAtMost(most)) => format!("≤ {:.0} %", most * 100.0),
            Some(Target::AtMost(most)) => format!("≤ {most} {}", self.unit),
        };
        if self.is_met() == Some(true) { wanted } else { format!("**missed**: {wanted}") }
    }
}

/// What stands above the rows.
pub(crate) const COLUMNS: [&str; 10] = [
    "figure",
    "median",
    "spread",
    "ceiling",
    "ratio",
    "target",
    "server CPU µs each",
    "load CPU µs each",
    "p50 / p99 / p99.9 / most ms",
    "most memory MiB",
];

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// How far the least and the greatest are from the median, in percent of it.
fn spread(values: &[f64]) -> String {
    let (Some(median), true) = (median(values), values.len() > 1) else { return String::new() };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(0.0, f64::max);
    format!("{:+.0}/{:+.0} %", (least / median - 1.0) * 100.0, (greatest / median - 1.0) * 100.0)
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.machine)?;
        writeln!(out, "| {} |", COLUMNS.join(" | "))?;
        writeln!(out, "|{}", "---|".repeat(COLUMNS.len()))?;
        self.figures.iter().try_for_each(|figure| writeln!(out, "| {} |", figure.cells().join(" | ")))
    }
}

/// The machine's processor time so far: of all, and of this program with its children that have ended.
#[derive(Debug)]
pub(crate) struct Machine {
    busy: f64,
    all: f64,
    own: f64,
}

impl Machine {
    pub(crate) fn now() -> Result<Self, Failure> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<f64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
        let all: f64 = ticks.iter().sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { busy: all - idle, all, own: cpu("self")? * 100.0 + children()? })
    }

    /// How much of it others took since then.
    pub(crate) fn until_now(&self) -> Result<String, Failure> {
        let now = Self::now()?;
        let all = now.all - self.all;
        let others = ((now.busy - self.busy) - (now.own - self.own)).max(0.0) / all * 100.0;
        let processors = std::thread::available_parallelism()?;
        Ok(format!("{processors} processors, of which others, and the system for itself, took {others:.0} % meanwhile"))
    }
}

/// Ticks of processor time of the children that have ended.
fn children() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Result<Vec<f64>, _> = after.split_whitespace().skip(13).take(2).map(str::parse).collect();
    Ok(ticks?.into_iter().sum())
}
