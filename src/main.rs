//! The program: reads its settings, picks a command.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser as _;
use spandrel::app::{App, open_store};
use spandrel::clock::Clock;
use spandrel::config::{Cli, Command, ContractCommand, DatabaseConfig, Format, HealthcheckConfig, ServeConfig};
use spandrel::ephemeral::Ephemeral;
use spandrel::store::{Copied, CopiedStore, CopyProgress, Upgrade};
use spandrel::{api, contract, healthcheck, shutdown, store, telemetry};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error>;

/// Measured beside the system's: a quarter less memory under load, which is given back soon, and shorter waits.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Its settings: few arenas, and what was freed goes back to the system within half a second.
#[expect(unsafe_code, reason = "the allocator looks for its settings under this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8] = b"narenas:4,dirty_decay_ms:500,muzzy_decay_ms:0,background_thread:true\0";

/// The exit code that says that a database is older than this program.
const MIGRATION_NEEDED: u8 = 3;
/// The exit code that says that documents could not be compared.
const NOT_COMPARED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Openapi { format }) => print_document(format),
        Some(Command::Contract(ContractCommand::Check { document, against, json, limits })) => {
            compare(&document, against.as_deref(), json, &limits)
        }
        Some(Command::Migrate { database, check: true }) => check(&database),
        Some(Command::Migrate { database, check: false }) => migrate(&database),
        Some(Command::Backup { database, file }) => back_up(&database, &file),
        Some(Command::Copy { from, to }) => copy(&from, &to),
        Some(Command::Healthcheck(config)) => ask(&config),
        Some(Command::Serve(config)) => serve(&config),
        None => serve(&cli.serve),
    };
    done.unwrap_or_else(|error| {
        eprintln!("spandrel: {error}");
        ExitCode::FAILURE
    })
}

fn print_document(format: Format) -> Result<ExitCode, Failure> {
    use std::io::Write as _;
    let document = api::document();
    let text = match format {
        Format::Yaml => document.yaml(),
        Format::Json => document.json(),
        Format::Markdown => api::documentation("http://localhost:5173"),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Says what clients that were made for one document would notice of another; so does the exit code.
#[tokio::main(flavor = "current_thread")]
async fn compare(
    document: &str,
    against: Option<&str>,
    json: bool,
    limits: &contract::Limits,
) -> Result<ExitCode, Failure> {
    use std::io::Write as _;
    let compare = async {
        let checked = contract::read(document, limits).await?;
        let against = match against {
            Some(place) => contract::read(place, limits).await?,
            None => contract::Spec::new("this program's document", api::document().value().clone())?,
        };
        contract::compare(&checked, &against)
    };
    let report = match compare.await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("spandrel: {error}");
            return Ok(ExitCode::from(NOT_COMPARED));
        }
    };
    let text = if json { serde_json::to_string_pretty(&report)? + "\n" } else { report.text() };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(if report.breaking == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says whether the database needs a migration; so does the exit code.
fn check(database: &DatabaseConfig) -> Result<ExitCode, Failure> {
    let upgrade = store::check(&database.url)?;
    let url = store::shown(&database.url);
    match upgrade {
        Upgrade { from, to } if from > to => {
            println!("{url} has schema {from:04}, of a newer Spandrel: this one can go on with it");
        }
        Upgrade { to, .. } if !upgrade.is_needed() => println!("{url} has schema {to:04}: up to date"),
        Upgrade { from: 0, to } => println!("{url} has no data yet: it would be made with schema {to:04}"),
        Upgrade { from, to } => println!("{url} has schema {from:04}: it would be migrated to {to:04}"),
    }
    Ok(if upgrade.is_needed() { ExitCode::from(MIGRATION_NEEDED) } else { ExitCode::SUCCESS })
}

#[tokio::main]
async fn migrate(database: &DatabaseConfig) -> Result<ExitCode, Failure> {
    telemetry::start();
    let upgrade = store::migrate(&database.url, !database.no_backup).await?;
    let url = store::shown(&database.url);
    match upgrade {
        Upgrade { from, to } if from > to => {
            println!("{url} has schema {from:04}, of a newer Spandrel: this one can go on with it");
        }
        Upgrade { to, .. } if !upgrade.is_needed() => println!("{url} has schema {to:04}: up to date"),
        Upgrade { from: 0, to } => println!("{url} was made with schema {to:04}"),
        Upgrade { from, to } => println!("{url} was migrated from schema {from:04} to {to:04}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn back_up(database: &str, file: &std::path::Path) -> Result<ExitCode, Failure> {
    telemetry::start();
    let Copied { bytes, attachments } = store::back_up(database, file)?;
    println!("{database} was copied to {}: {bytes} bytes, and {attachments} attachments", file.display());
    Ok(ExitCode::SUCCESS)
}

fn copy(from: &str, to: &str) -> Result<ExitCode, Failure> {
    telemetry::start();
    let mut bar = ProgressBar::new();
    let copied = store::copy(from, to, |progress| bar.tell(progress));
    bar.end();
    let CopiedStore { rows, before } = copied?;
    for (table, count) in &rows {
        println!("{count:>12} {table}");
    }
    if before > 0 {
        println!("{before:>12} rows were there already, of a copy that broke off");
    }
    println!("{} was copied to {}; both are the same", store::shown(from), store::shown(to));
    Ok(ExitCode::SUCCESS)
}

/// How far a copy is, on standard error: on one line of a terminal, otherwise a line now and then.
struct ProgressBar {
    is_terminal: bool,
    told: Option<Instant>,
}

impl ProgressBar {
    const WIDTH: usize = 30;

    fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), told: None }
    }

    fn tell(&mut self, progress: CopyProgress) {
        let CopyProgress { doing, table, done, all } = progress;
        let pause = Duration::from_millis(if self.is_terminal { 100 } else { 10_000 });
        if self.told.is_some_and(|told| told.elapsed() < pause) {
            return;
        }
        self.told = Some(Instant::now());
        let percent = (done * 100).checked_div(all).unwrap_or(100);
        let full = usize::try_from(percent).unwrap_or_default().min(100) * Self::WIDTH / 100;
        let (full, rest) = ("#".repeat(full), ".".repeat(Self::WIDTH - full));
        let line = format!("{doing} [{full}{rest}] {percent:>3} %, {done} of {all} rows, {table}");
        if self.is_terminal { eprint!("\r\x1b[K{line}") } else { eprintln!("{line}") }
    }

    fn end(&self) {
        if self.is_terminal {
            eprintln!();
        }
    }
}

/// Says how a running server is; so does the exit code.
#[tokio::main(flavor = "current_thread")]
async fn ask(config: &HealthcheckConfig) -> Result<ExitCode, Failure> {
    let base = match &config.url {
        Some(url) => url.clone(),
        None => healthcheck::base_of(&config.listen)?,
    };
    let line = healthcheck::ask(&base, config.question(), Duration::from_secs(config.seconds_max)).await?;
    println!("{line}");
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn serve(config: &ServeConfig) -> Result<ExitCode, Failure> {
    telemetry::start();
    let stop = shutdown::on_signal()?;
    if let Some(parent) = config.exit_with_parent {
        parent.watch(stop.clone()).map_err(|error| format!("cannot watch the parent process: {error}"))?;
    }
    let clock = Clock::system();
    let ephemeral = config.ephemeral.then(Ephemeral::new).transpose()?;
    let database = ephemeral.as_ref().map_or_else(|| config.database.url.clone(), Ephemeral::url);
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let store = open_store(&database, config, clock.clone()).await?;
    let app = App::new(store, config, clock)?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("Spandrel {} serves {address}", spandrel::app::VERSION);
    println!("  database    {}", store::shown(&database));
    if let Some(folder) = &config.ui_dir {
        println!("  UI          {address}/ from {}", folder.display());
    }
    println!("  Swagger UI  {address}/{}", api::START);
    if let Some(file) = &config.ready_file {
        // The listener already queues connections: whoever reads the file is answered.
        write_whole(file, &address).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    app.run(listener, stop).await;
    if let Some(file) = &config.ready_file {
        let _ = std::fs::remove_file(file);
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a file so that nobody sees half of it.
fn write_whole(file: &std::path::Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    // Readable by others, as an ordinary file is.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut whole = tempfile::Builder::new().permissions(readable).tempfile_in(folder)?;
    std::io::Write::write_all(&mut whole, text.as_bytes())?;
    whole.persist(file)?;
    Ok(())
}
