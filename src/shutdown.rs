//! When to stop.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGTERM or SIGINT (Ctrl-C).
///
/// # Errors
/// When the system does not let signals be watched.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what has begun");
        cancelled.cancel();
    });
    Ok(token)
}
