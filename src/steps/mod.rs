//! What carrying something out has in common for all commands.

pub mod attempt;
mod held_set;
pub mod hook;
pub mod pod_command;
mod sending;
pub mod set_patch;
mod telling;

use jiff::Timestamp;

pub use self::{
    held_set::{HeldSet, waiting},
    sending::{LAST_WORD, Sender, Sent, Signal, Written},
    telling::{Event, Teller},
};
use crate::{
    cluster::shell_quoted,
    output::{Error, Exit},
    workload::{Finding, Rule, Severity},
};

/// How a verb ended, apart from errors.
#[derive(Debug)]
pub struct End {
    pub exit: Exit,
    pub findings: Vec<Finding>,
}

impl End {
    pub fn done() -> End {
        End { exit: Exit::Done, findings: Vec::new() }
    }

    pub fn with(exit: Exit, finding: Finding) -> End {
        End { exit, findings: vec![finding] }
    }

    /// Ctrl-C, or the request to end.
    pub fn interrupted(exit: Exit) -> End {
        End { exit, findings: Vec::new() }
    }
}

/// Waits for Ctrl-C or a request to end, and says which it was. It listens from
/// this call on, and not only once it is waited for: what comes in between must
/// not end the program in the middle of something. Where signals cannot be had
/// it waits forever, and the default action of the signal ends the program
/// instead.
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

/// This very command line.
pub fn repeat() -> String {
    let words = std::env::args().skip(1).map(|word| shell_quoted(&word));
    let words: Vec<String> = words.collect();
    format!("kubectl stateful {}", words.join(" "))
}

/// These words without those that only look: the line that does it. `verb` is
/// one that becomes another, `left_out` names flags without a value.
pub fn again(
    words: impl Iterator<Item = String>,
    verb: Option<(&str, &str)>,
    left_out: &[&str],
) -> String {
    let mut line = vec!["kubectl".to_owned(), "stateful".to_owned()];
    let (mut skip, mut verb) = (false, verb);
    for word in words {
        let flag = word.split('=').next().unwrap_or_default();
        if std::mem::take(&mut skip) || left_out.contains(&flag) {
            continue;
        }
        match (word.as_str(), verb) {
            (word, Some((this, that))) if word == this => {
                verb = None;
                line.push(that.to_owned());
            }
            ("-o" | "--output", _) => skip = true,
            (word, _) if word.starts_with("-o") || flag == "--output" => {}
            (word, _) => line.push(shell_quoted(word)),
        }
    }
    line.join(" ")
}

/// A refusal: what speaks against it is the message. `allowable` are the guards
/// that may be overridden by their ids.
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

#[cfg(test)]
mod tests {
    use super::again;

    fn line(words: &str, verb: Option<(&str, &str)>, left_out: &[&str]) -> String {
        again(words.split_whitespace().map(str::to_owned), verb, left_out)
    }

    #[test]
    fn a_plan_names_the_line_that_does_it() {
        let words = "canary plan web --image nginx=nginx:1.22 -o json --env A=b;c";
        assert_eq!(
            line(words, Some(("plan", "start")), &["--exit-code"]),
            "kubectl stateful canary start web --image nginx=nginx:1.22 --env 'A=b;c'"
        );
        let words = "scale web --by -2 --dry-run=server -ojson --output=yaml";
        assert_eq!(line(words, None, &["--dry-run"]), "kubectl stateful scale web --by -2");
    }
}
