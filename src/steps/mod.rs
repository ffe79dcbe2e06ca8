//! What carrying something out has in common for all commands.

mod telling;

use jiff::Timestamp;

pub use self::telling::{Event, LAST_WORD, MOST_TRIES, PAUSE, Sent, Signal, Teller, Written, send};

use crate::{cluster::shell_quoted, output::Exit};

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

/// This very command line.
pub fn repeat() -> String {
    let words = std::env::args().skip(1).map(|word| shell_quoted(&word));
    let words: Vec<String> = words.collect();
    format!("kubectl stateful {}", words.join(" "))
}

/// Someone at some machine, and which of their runs: so that a run that finds
/// another name in its place can say whose it is.
pub fn run_name() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "somewhere".to_owned());
    let moment = Timestamp::now().as_nanosecond() / 1_000_000;
    let number = (moment % 0x0100_0000) ^ i128::from(std::process::id());
    let clip = |text: &str| text.trim().chars().take(40).collect::<String>();
    format!("{}@{}/{:06x}", clip(&user), clip(&host), number & 0x00ff_ffff)
}
