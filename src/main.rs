//! The program: reads its settings, picks a command.

use std::process::ExitCode;

use clap::Parser as _;
use spandrel::app::{App, open_store};
use spandrel::clock::Clock;
use spandrel::config::{Cli, Command, Format, ServeConfig};
use spandrel::ephemeral::Ephemeral;
use spandrel::{api, shutdown, telemetry};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Openapi { format }) => print_document(format),
        Some(Command::Serve(config)) => serve(&config),
        None => serve(&cli.serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spandrel: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_document(format: Format) -> Result<(), Failure> {
    use std::io::Write as _;
    let document = api::document();
    let text = match format {
        Format::Yaml => document.yaml(),
        Format::Json => document.json(),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

#[tokio::main]
async fn serve(config: &ServeConfig) -> Result<(), Failure> {
    telemetry::start();
    let stop = shutdown::on_signal()?;
    let clock = Clock::system();
    let ephemeral = config.ephemeral.then(Ephemeral::new).transpose()?;
    let database = ephemeral.as_ref().map_or_else(|| config.database.clone(), Ephemeral::url);
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let store = open_store(&database, config, clock.clone()).await?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("Spandrel {} serves {address}", spandrel::app::VERSION);
    println!("  database    {database}");
    println!("  Swagger UI  {address}/swagger-ui/");
    if let Some(file) = &config.ready_file {
        // The listener already queues connections: whoever reads the file is answered.
        write_whole(file, &address).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    App::new(store, config, clock).run(listener, stop).await;
    if let Some(file) = &config.ready_file {
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// Writes a file so that nobody sees half of it.
fn write_whole(file: &std::path::Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut whole, text.as_bytes())?;
    whole.persist(file)?;
    Ok(())
}
