//! What carrying something out has in common for all commands.

use crate::output::Exit;

/// Waits for Ctrl-C or a request to end, and says which it was. Where signals
/// cannot be had it waits forever, and the default action of the signal ends
/// the program instead.
pub async fn interruption() -> Exit {
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => Exit::Interrupted,
        () = terminate() => Exit::Terminated,
        else => std::future::pending().await,
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}
