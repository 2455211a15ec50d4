//! One token that ends a component: cancelled by SIGTERM or SIGINT.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that SIGTERM and SIGINT cancel. A second signal ends the process at once.
///
/// # Panics
/// Outside a tokio runtime.
pub fn token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let (Ok(mut term), Ok(mut int)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            tracing::error!("cannot listen for signals");
            return;
        };
        let next = async || {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        };
        let mut next = next;
        next().await;
        tracing::info!("shutting down");
        cancelled.cancel();
        next().await;
        std::process::exit(130);
    });
    token
}
