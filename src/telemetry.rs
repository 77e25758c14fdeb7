//! The log: on standard error, so that standard output stays for the program's own answers.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging at level `info`, or as the variable `SPANDREL_LOG` says.
pub fn start() {
    let filter = EnvFilter::try_from_env("SPANDREL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
