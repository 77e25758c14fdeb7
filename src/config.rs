//! Settings: each is a flag and an environment variable, with its unit in its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::api::BodyLimits;
use crate::ingest::IngestLimits;
use crate::model::TextLimits;
use crate::scan::JsonLimits;
use crate::server::ConnectionLimits;
use crate::store::SqliteOptions;

/// Tracing for LLM applications in one binary: speaks the Opik REST API, keeps everything in one SQLite file.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// What to do; without a command, `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings of `serve`, when no command is named.
    #[command(flatten)]
    pub serve: ServeConfig,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API (the default).
    Serve(Box<ServeConfig>),
    /// Print the OpenAPI document.
    Openapi {
        /// Form of the document.
        #[arg(long, value_enum, default_value_t = Format::Yaml)]
        format: Format,
    },
}

/// Forms of the OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// YAML, as committed.
    Yaml,
    /// JSON.
    Json,
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct ServeConfig {
    /// Address to listen on; port 0 takes any free one.
    #[arg(long, env = "SPANDREL_LISTEN", default_value = "127.0.0.1:5173", value_name = "HOST:PORT")]
    pub listen: String,
    /// Where to keep the data. The file is made if there is none.
    #[arg(long, env = "SPANDREL_DATABASE", default_value = "sqlite:spandrel.db", value_name = "sqlite:PATH")]
    pub database: String,
    /// Keep the data in a temporary folder that is removed on exit, without waiting for the disk.
    #[arg(long, env = "SPANDREL_EPHEMERAL", conflicts_with = "database")]
    pub ephemeral: bool,
    /// File to write the base URL to once the server answers.
    #[arg(long, env = "SPANDREL_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Size beyond which the database does not grow: writes are then answered 429. 0 for no limit.
    #[arg(long, env = "SPANDREL_DATABASE_BYTES_MAX", default_value_t = 0, value_name = "BYTES")]
    pub database_bytes_max: u64,
    /// Connections to the database for reading.
    #[arg(long, env = "SPANDREL_READERS", default_value_t = 4, value_name = "CONNECTIONS",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub readers: u32,
    /// Longest time a query may take; beyond it, the request is answered 503.
    #[arg(long, env = "SPANDREL_READ_SECONDS_MAX", default_value_t = 30, value_name = "SECONDS")]
    pub read_seconds_max: u64,
    /// How long to wait for requests that have begun when the server is told to stop.
    #[arg(long, env = "SPANDREL_SHUTDOWN_SECONDS_MAX", default_value_t = 30, value_name = "SECONDS")]
    pub shutdown_seconds_max: u64,
    /// Connections.
    #[command(flatten, next_help_heading = "Limits on connections")]
    pub connections: ConnectionLimits,
    /// Request bodies.
    #[command(flatten, next_help_heading = "Limits on request bodies")]
    pub body: BodyLimits,
    /// The JSON in them.
    #[command(flatten, next_help_heading = "Limits on JSON")]
    pub json: JsonLimits,
    /// The texts in it.
    #[command(flatten, next_help_heading = "Limits on texts")]
    pub text: TextLimits,
    /// Writes that wait.
    #[command(flatten, next_help_heading = "Limits on waiting writes")]
    pub ingest: IngestLimits,
}

impl ServeConfig {
    /// How the SQLite file is used.
    #[must_use]
    pub fn sqlite_options(&self) -> SqliteOptions {
        SqliteOptions {
            durable: !self.ephemeral,
            readers: self.readers,
            read_time_max: std::time::Duration::from_secs(self.read_seconds_max),
            bytes_max: self.database_bytes_max,
        }
    }
}
