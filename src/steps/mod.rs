//! What all commands share that change something: one write after another,
//! waits with deadlines, hooks, interruption and events.

pub mod attempt;
mod delete_pod;
pub mod hook;
mod live_set;
pub mod paste;
pub mod pod_command;
mod progress;
pub mod rights;
mod sender;
pub mod set_patch;
mod stop;
pub mod watch_loop;

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

pub use self::{
    delete_pod::PodToDelete,
    live_set::{LiveSet, wait_text},
    progress::{Event, Progress},
    sender::{ANSWER_GRACE, Reply, Sender, Signal, WriteOutcome},
    stop::{End, Stop},
};
use crate::{
    output::{Error, Exit},
    workload::{Finding, Rule, Severity},
};

/// Waits for Ctrl-C or a request to terminate, and returns which one came. It
/// listens from this call on, not from the first poll: a signal in between must
/// not kill the program in the middle of a write. Where no handler can be
/// installed it waits forever, and the signal's default action applies.
#[cfg(unix)]
pub fn interruption() -> impl Future<Output = Exit> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    async fn comes(signal: Option<Signal>) {
        match signal {
            Some(mut signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
    let interrupt = signal(SignalKind::interrupt()).ok();
    let terminate = signal(SignalKind::terminate()).ok();
    async move {
        tokio::select! {
            () = comes(interrupt) => Exit::Interrupted,
            () = comes(terminate) => Exit::Terminated,
        }
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub async fn interruption() -> Exit {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Exit::Interrupted,
        Err(_) => std::future::pending().await,
    }
}

/// A refusal that names every finding of severity error. `allowable` are the
/// rules that `--allow ID` overrides.
pub fn refused(what: &str, findings: &[Finding], allowable: &[&Rule]) -> Error {
    let wrong = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let wrong: Vec<Finding> = wrong.cloned().collect();
    let mut error = Error::new(Exit::Refused, format!("{what}; nothing was changed"));
    for finding in &wrong {
        error = error.caused_by(format!("{} {}", finding.id, finding.message));
    }
    let hint = wrong.iter().find_map(|finding| finding.hint.clone()).or_else(|| {
        let mut ids: Vec<&str> = wrong.iter().map(|finding| finding.id).collect();
        ids.dedup();
        let all = ids.iter().all(|id| allowable.iter().any(|rule| rule.id == *id));
        let flags: Vec<String> = ids.iter().map(|id| format!("--allow {id}")).collect();
        all.then(|| format!("to do it all the same: {}", flags.join(" ")))
    });
    if let Some(hint) = hint {
        error = error.hint(hint);
    }
    error.because(wrong)
}

/// `user@host/9f2c1a07d4`: a run that finds another name in its place can report
/// who took over. No two runs may have one name: the second would take the goal of
/// the first for its own. Two that start at once have nearly the same time and
/// process id, so the number is from the random source of the operating system.
pub fn run_name() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "somewhere".to_owned());
    let number = RandomState::new().build_hasher().finish() >> 24;
    let clip = |text: &str| text.trim().chars().take(40).collect::<String>();
    format!("{}@{}/{number:010x}", clip(&user), clip(&host))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::run_name;

    /// Two that had started within the same moment took each other's goal for
    /// their own: 4 to 3 had ended at 1.
    #[test]
    fn no_two_runs_have_one_name() {
        let names: BTreeSet<String> = (0..10_000).map(|_| run_name()).collect();
        assert_eq!(names.len(), 10_000);
    }
}
