//! Completion: scripts for shells, answers for kubectl, and all completers.
//!
//! kubectl (1.26 and newer) runs `kubectl_complete-stateful` with the words
//! after `stateful` and reads one candidate a line, with an optional tab and
//! description, then `:` and cobra's directive. A shell that completes
//! `kubectl-stateful` itself goes through clap's registration scripts. Both
//! come to the same completers, which stay silent when the cluster does not
//! answer within [`BUDGET`]: a key press must never hang.

use std::{ffi::OsString, time::Duration};

use clap::{Args, CommandFactory, FromArgMatches, ValueEnum};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate, complete},
    env::Shells,
};

use crate::{
    cli::Cli,
    cluster::{Cluster, ConnectionArgs, Failure, naming, read},
    output::{Error, Exit, Terminal},
    workload::Reference,
};

/// From key press to answer; half of it and people press the key again.
const BUDGET: Duration = Duration::from_millis(120);

/// cobra's `ShellCompDirectiveNoFileComp`: offer no file names instead.
const NO_FILES: &str = ":4";

/// Print a completion script
///
/// The script completes `kubectl-stateful`, called by that name. For `kubectl
/// stateful` put completions/kubectl_complete-stateful on the PATH: kubectl's
/// own completion finds it there.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  source <(kubectl stateful completion bash)\n  kubectl stateful completion fish > ~/.config/fish/completions/kubectl-stateful.fish"
)]
pub struct CompletionArgs {
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell that can be taught.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The words after `kubectl stateful`, as kubectl passes them.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
pub struct CompleteArgs {
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<OsString>,
}

/// Answers a shell that asks through clap's environment variable.
pub fn answers_a_shell(argv: &[OsString]) -> bool {
    std::env::var_os("COMPLETE").is_some()
        && CompleteEnv::with_factory(Cli::command)
            .bin("kubectl-stateful")
            .try_complete(argv.to_vec(), None)
            .unwrap_or(false)
}

/// Prints the registration script of a shell.
///
/// # Errors
/// When the script cannot be written.
pub fn script(args: &CompletionArgs, terminal: Terminal) -> Result<Exit, Error> {
    terminal.answer(&registration(args.shell)?)?;
    Ok(Exit::Done)
}

/// The script that makes a shell ask this program.
pub(crate) fn registration(shell: Shell) -> Result<String, Error> {
    let name = match shell {
        Shell::Bash => "bash",
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
    };
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(name) else {
        return Err(Error::usage(format!("no completion for {name}")));
    };
    let mut script = Vec::new();
    let program = "kubectl-stateful";
    shell
        .write_registration("COMPLETE", program, program, program, &mut script)
        .map_err(|error| Error::new(Exit::Error, format!("cannot write the script: {error}")))?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Answers kubectl.
pub fn for_kubectl(args: &CompleteArgs, terminal: Terminal) -> Exit {
    let mut argv = vec![OsString::from("kubectl-stateful")];
    argv.extend(args.words.iter().cloned());
    if argv.len() == 1 {
        argv.push(OsString::new());
    }
    let index = argv.len() - 1;
    let mut command = Cli::command();
    let candidates = complete(&mut command, argv, index, None).unwrap_or_default();
    let mut answer = String::new();
    let typed = args.words.last().map(|word| word.to_string_lossy()).unwrap_or_default();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        // Flags only for who began to type one, as kubectl does.
        let is_flag = candidate.get_value().to_string_lossy().starts_with('-');
        if is_flag && !typed.starts_with('-') {
            continue;
        }
        answer.push_str(&candidate.get_value().to_string_lossy());
        if let Some(help) = candidate.get_help() {
            answer.push('\t');
            answer.push_str(help.to_string().lines().next().unwrap_or_default());
        }
        answer.push('\n');
    }
    answer.push_str(NO_FILES);
    answer.push('\n');
    match terminal.answer(&answer) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Error,
    }
}

/// Completes the names of StatefulSets in the namespace that the line names.
pub fn sets() -> ArgValueCompleter {
    workloads("statefulsets")
}

/// Completes the names of Deployments, likewise.
pub fn deployments() -> ArgValueCompleter {
    workloads("deployments")
}

/// Completes the names of StatefulSets, and after `svc/` those of Services.
pub fn sets_and_services() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &std::ffi::OsStr| {
        let current = current.to_string_lossy();
        let (prefix, typed) = match current.split_once('/') {
            Some((kind, typed)) => (format!("{kind}/"), typed),
            None => (String::new(), current.as_ref()),
        };
        let of_services = ["svc/", "service/", "services/"].contains(&prefix.as_str());
        let names = live(async |cluster| {
            if of_services {
                naming::service_names(&cluster).await
            } else {
                read::workload_names(&cluster, "statefulsets").await
            }
        });
        names
            .unwrap_or_default()
            .iter()
            .filter(|name| name.starts_with(typed))
            .map(|name| CompletionCandidate::new(format!("{prefix}{name}")))
            .collect()
    })
}

/// Completes the names of claims, likewise.
pub fn claims() -> ArgValueCompleter {
    named(async |cluster| read::claim_names(&cluster).await)
}

fn workloads(plural: &'static str) -> ArgValueCompleter {
    named(async move |cluster| read::workload_names(&cluster, plural).await)
}

/// Completes `NAME` and `KIND/NAME`, whatever the kind is called.
fn named(
    ask: impl AsyncFn(Cluster) -> Result<Vec<String>, Failure> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &std::ffi::OsStr| {
        let current = current.to_string_lossy();
        let (prefix, typed) = match current.split_once('/') {
            Some((kind, typed)) => (format!("{kind}/"), typed),
            None => (String::new(), current.as_ref()),
        };
        let names = live(&ask);
        names
            .unwrap_or_default()
            .iter()
            .filter(|name| name.starts_with(typed))
            .map(|name| CompletionCandidate::new(format!("{prefix}{name}")))
            .collect()
    })
}

/// Completes namespaces.
pub fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &std::ffi::OsStr| {
        let typed = current.to_string_lossy();
        let names = live(async |cluster| read::namespace_names(&cluster).await).unwrap_or_default();
        names
            .into_iter()
            .filter(|name| name.starts_with(typed.as_ref()))
            .map(CompletionCandidate::new)
            .collect()
    })
}

/// Completes the container of the set that the line names, in
/// `CONTAINER=IMAGE`.
pub fn containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &std::ffi::OsStr| {
        let typed = current.to_string_lossy();
        let Some(set) = set_of_line(std::env::args_os()) else { return Vec::new() };
        let ask = async |cluster: Cluster| read::container_names(&cluster, &set).await;
        let names = live(ask).unwrap_or_default();
        names
            .iter()
            .filter(|name| name.starts_with(typed.as_ref()))
            .map(|name| CompletionCandidate::new(format!("{name}=")))
            .collect()
    })
}

/// Completes the revisions of the set that the line names.
pub fn revisions() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &std::ffi::OsStr| {
        let typed = current.to_string_lossy();
        let Some(set) = set_of_line(std::env::args_os()) else { return Vec::new() };
        let ask = async |cluster: Cluster| read::revision_names(&cluster, &set).await;
        let names = live(ask).unwrap_or_default();
        names
            .into_iter()
            .filter(|name| name.starts_with(typed.as_ref()))
            .map(CompletionCandidate::new)
            .collect()
    })
}

/// The set that a line names which is still being typed.
fn set_of_line(words: impl Iterator<Item = OsString>) -> Option<String> {
    let asked = |word: &OsString| word == "__complete" || word == "--";
    let words = words.filter(|word| !asked(word));
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    let mut deepest = &matches;
    while let Some((_, inner)) = deepest.subcommand() {
        deepest = inner;
    }
    let words: Vec<String> = deepest.try_get_many("set").ok()??.cloned().collect();
    Reference::parse(&words, "StatefulSet").ok().map(|reference| reference.name)
}

/// Names from the cluster, or nothing: no right, no cluster and no time are
/// all the same to somebody who pressed a key.
fn live(ask: impl AsyncFnOnce(Cluster) -> Result<Vec<String>, Failure>) -> Option<Vec<String>> {
    let connection = connection_of_line(std::env::args_os());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let names = async {
            let cluster = Cluster::connect(&connection, Terminal::silent()).await.ok()?;
            ask(cluster).await.ok()
        };
        tokio::time::timeout(BUDGET, names).await.ok()?
    })
}

/// The connection flags of a line that is still being typed: what stands
/// there whole counts, the rest is left out.
fn connection_of_line(words: impl Iterator<Item = OsString>) -> ConnectionArgs {
    let asked = |word: &OsString| word == "__complete" || word == "--";
    let words = words.filter(|word| !asked(word));
    Cli::command()
        .ignore_errors(true)
        .try_get_matches_from(words)
        .and_then(|matches| ConnectionArgs::from_arg_matches(&matches))
        .unwrap_or_default()
}
