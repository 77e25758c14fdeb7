//! Settings: each is a flag and an environment variable, with its unit in its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::api::{BodyLimits, Strictness, TestConfig};
use crate::contract;
use crate::healthcheck::Question;
use crate::ingest::IngestLimits;
use crate::model::TextLimits;
use crate::parent::Parent;
use crate::scan::JsonLimits;
use crate::server::ConnectionLimits;
use crate::store::StoreOptions;

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
    /// Make or migrate the database, as `serve` does when it starts, without serving.
    Migrate {
        /// Which database.
        #[command(flatten)]
        database: DatabaseConfig,
        /// Only say whether the database needs it, changing nothing: the exit code is 0 if it does not, 3 if it does,
        /// 1 if this program cannot use the database.
        #[arg(long)]
        check: bool,
    },
    /// Copy a SQLite database, whether or not a server runs on it, with the content of its attachments.
    Backup {
        /// Which database.
        #[arg(long, env = "SPANDREL_DATABASE", default_value = "sqlite:spandrel.db", value_name = "sqlite:PATH")]
        database: String,
        /// Name of the copy, a database like the other; its attachments go into the folder of that name with `-files`.
        /// Neither may exist.
        file: PathBuf,
    },
    /// Copy everything from one database into another, empty one, of the same kind or the other: between SQLite and
    /// PostgreSQL. Nothing may write to them meanwhile. One that broke off goes on when it is started again.
    Copy {
        /// The database that there is.
        #[arg(long, value_name = "URL")]
        from: String,
        /// The empty one; it is made if it is a file.
        #[arg(long, value_name = "URL")]
        to: String,
    },
    /// Ask a running server whether it is well: the exit code is 0 if it is, 1 if not or if no answer comes.
    Healthcheck(HealthcheckConfig),
    /// Print the OpenAPI document.
    Openapi {
        /// Form of the document.
        #[arg(long, value_enum, default_value_t = Format::Yaml)]
        format: Format,
    },
    /// What can be done with OpenAPI documents.
    #[command(subcommand)]
    Contract(ContractCommand),
}

/// What can be done with OpenAPI documents.
#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Compare a document with the one that clients were made for, and say what they would notice: the exit code is 0
    /// if nothing breaks, 1 if something does, 2 if the documents could not be compared.
    Check {
        /// The document of the server that clients are to talk to: a file, an http:// address, or - for standard input.
        #[arg(value_name = "URL|FILE")]
        document: String,
        /// The document that clients were made for; the one of this program, if it is not named.
        #[arg(long, value_name = "URL|FILE")]
        against: Option<String>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
        /// Bounds on what is read.
        #[command(flatten)]
        limits: contract::Limits,
    },
}

/// Forms of the OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// YAML, as committed.
    Yaml,
    /// JSON.
    Json,
    /// The documentation that is rendered from it.
    Markdown,
}

/// The database.
#[derive(Debug, Clone, Args)]
pub struct DatabaseConfig {
    /// Where to keep the data. The file is made if there is none.
    #[arg(
        id = "database",
        long = "database",
        env = "SPANDREL_DATABASE",
        default_value = "sqlite:spandrel.db",
        value_name = "sqlite:PATH"
    )]
    pub url: String,
    /// Keep no copy of the database when it is migrated.
    #[arg(long, env = "SPANDREL_NO_BACKUP")]
    pub no_backup: bool,
}

/// Which server to ask, and what.
#[derive(Debug, Clone, Args)]
pub struct HealthcheckConfig {
    /// The server's URL; without one, the server on this machine that has `--listen`.
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// Address that the server listens on.
    #[arg(long, env = "SPANDREL_LISTEN", default_value = "127.0.0.1:5173", value_name = "HOST:PORT")]
    pub listen: String,
    /// Only ask whether the process answers, whatever its database does.
    #[arg(long)]
    pub alive: bool,
    /// How long to wait for the answer.
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub seconds_max: u64,
}

impl HealthcheckConfig {
    /// What is asked.
    #[must_use]
    pub fn question(&self) -> Question {
        if self.alive { Question::Alive } else { Question::Well }
    }
}

/// How to serve.
#[derive(Debug, Clone, Args)]
pub struct ServeConfig {
    /// Address to listen on; port 0 takes any free one.
    #[arg(long, env = "SPANDREL_LISTEN", default_value = "127.0.0.1:5173", value_name = "HOST:PORT")]
    pub listen: String,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Keep the data in a temporary folder that is removed on exit, without waiting for the disk.
    #[arg(long, env = "SPANDREL_EPHEMERAL", conflicts_with = "database")]
    pub ephemeral: bool,
    /// Folder with a built user interface, to be served beside the API.
    #[arg(long, env = "SPANDREL_UI_DIR", value_name = "DIR")]
    pub ui_dir: Option<PathBuf>,
    /// File to write the base URL to once the server answers.
    #[arg(long, env = "SPANDREL_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// End with the process that started this one, or with the one whose id is stated: then also if that one has ended
    /// already.
    #[arg(long, env = "SPANDREL_EXIT_WITH_PARENT", value_name = "ID", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub exit_with_parent: Option<Parent>,
    /// File with the prices that costs are estimated by, in place of the built-in ones: LiteLLM's
    /// `model_prices_and_context_window.json`, or one cut from it.
    #[arg(long, env = "SPANDREL_PRICES", value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Refuse, with 400, what the OpenAPI document forbids; `closed` also refuses members and query parameters that it
    /// does not name. For tests of clients: it costs time.
    #[arg(long, env = "SPANDREL_STRICT", value_enum, default_value_t = Strictness::Off, value_name = "HOW",
          num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub strict: Strictness,
    /// Size beyond which the database does not grow: writes are then answered 429. 0 for no limit.
    #[arg(long, env = "SPANDREL_DATABASE_BYTES_MAX", default_value_t = 0, value_name = "BYTES")]
    pub database_bytes_max: u64,
    /// Size of the database's journal from which writes wait until it is in the database; a quarter of it is put there
    /// beside them.
    #[arg(long, env = "SPANDREL_JOURNAL_BYTES_MAX", default_value_t = 256 << 20, value_name = "BYTES")]
    pub journal_bytes_max: u64,
    /// Connections to the database for reading.
    #[arg(long, env = "SPANDREL_READERS", default_value_t = 4, value_name = "CONNECTIONS",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub readers: u32,
    /// Longest time a query may take; beyond it, the request is answered 503.
    #[arg(long, env = "SPANDREL_READ_SECONDS_MAX", default_value_t = 30, value_name = "SECONDS")]
    pub read_seconds_max: u64,
    /// Bytes of attachments that are put in the place of references to them when a span or trace is read; further
    /// references stay what they are.
    #[arg(long, env = "SPANDREL_ATTACHMENT_INLINE_BYTES_MAX", default_value_t = 100 << 20, value_name = "BYTES")]
    pub attachment_inline_bytes_max: u64,
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
    /// Tests of clients.
    #[command(flatten, next_help_heading = "Tests of clients")]
    pub test: TestConfig,
    /// Writes that wait.
    #[command(flatten, next_help_heading = "Limits on waiting writes")]
    pub ingest: IngestLimits,
}

impl ServeConfig {
    /// How the SQLite file is used.
    #[must_use]
    pub fn store_options(&self) -> StoreOptions {
        StoreOptions {
            durable: !self.ephemeral,
            backup: !self.database.no_backup,
            readers: self.readers,
            read_time_max: std::time::Duration::from_secs(self.read_seconds_max),
            bytes_max: self.database_bytes_max,
            journal_bytes_max: self.journal_bytes_max,
            inline_bytes_max: self.attachment_inline_bytes_max,
            environments_max: self.text.environments_max,
        }
    }
}
