//! What the server does against what the machine could: `cargo bench` prints a table.
//!
//! Each figure is measured beside its ceiling in the same run, on the same disk: the rows that the server stored, put
//! into a database of the same schema by the tightest loop there is.

mod ceiling;
mod client;
#[expect(
    clippy::unwrap_used,
    dead_code,
    reason = "the tests' own: what cannot be made ends all, and they stop it, too"
)]
#[path = "../../tests/it/support/cluster.rs"]
mod cluster;
mod data;
mod drive;
mod html;
mod load;
mod pin;
mod postgres;
mod report;
mod scenarios;
mod server;
mod templates;
mod watch;

use std::path::PathBuf;

use clap::Parser;

use report::Report;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures a release build of the server.
#[derive(Debug, Parser)]
struct Options {
    /// Only scenarios whose names have one of these in them. Without any, all but overload, troublemakers, aggregates,
    /// growth, instructions and postgres, which take long or need other programs.
    only: Vec<String>,
    /// How often each scenario is repeated.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Share of the usual amount of data.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// How many spans growth ends with, on either database.
    #[arg(long, default_value_t = 1_000_000)]
    spans: usize,
    /// About how many bytes a span has.
    #[arg(long, default_value_t = 2_048)]
    span_bytes: usize,
    /// Seed of the data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server's program.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_spandrel"))]
    program: PathBuf,
    /// Flags for it.
    #[arg(long, allow_hyphen_values = true)]
    flag: Vec<String>,
    /// Where databases are made, and deleted again.
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// File to write the figures to.
    #[arg(long)]
    json: Option<PathBuf>,
    /// File to write a page with the figures to.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Keep the counts of instructions that are found.
    #[arg(long)]
    bless: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// As many as this, or a share of it.
    fn scaled(&self, number: usize) -> usize {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a round number of spans, times a share"
        )]
        let scaled = (number as f64 * self.scale) as usize;
        scaled.max(1)
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let quiet = report::Machine::now()?;
    let mut report = Report::default();
    runtime.block_on(scenarios::run(&options, &mut report))?;
    report.machine = quiet.until_now()?;
    println!("{report}");
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    if let Some(file) = &options.html {
        std::fs::write(file, html::page(&report))?;
    }
    Ok(())
}
