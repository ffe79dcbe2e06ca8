//! Completion: scripts for shells, answers for kubectl, and all completers.
//!
//! kubectl (1.26 and newer) runs `kubectl_complete-stateful` with the words
//! after `stateful`, and reads one candidate per line, with an optional tab and
//! description, then `:` and a directive of cobra. A shell that completes
//! `kubectl-stateful` itself uses clap's registration scripts. Both use the
//! same completers, which offer nothing if the cluster does not answer within
//! [`TIME_LIMIT`], or [`LOGIN_LIMIT`] where a credential plugin is run first: a
//! key press must never hang.

use std::{
    ffi::{OsStr, OsString},
    time::Duration,
};

use clap::{Arg, Command, CommandFactory, FromArgMatches};
use clap_complete::{
    CompleteEnv,
    engine::{ArgValueCompleter, CompletionCandidate, complete},
    env::Shells,
};

use crate::{
    canary,
    cli::{Cli, CompleteArgs, CompletionArgs, Shell},
    cluster::{Cluster, ConnectionArgs, Failure, Resource, names as object_names},
    explain, migrate,
    output::{Error, Exit, Terminal},
    scale,
    workload::{Reference, Rule},
};

/// From key press to answer; half of it and people press the key again.
const TIME_LIMIT: Duration = Duration::from_millis(120);
/// The same where a credential plugin has to log in first, for which kubectl
/// waits without any limit.
const LOGIN_LIMIT: Duration = Duration::from_secs(2);

/// cobra's `ShellCompDirectiveNoFileComp`: offer no file names instead.
const NO_FILES: &str = ":4";

/// Answers a shell that calls us with clap's environment variable.
pub fn answers_a_shell(argv: &[OsString]) -> bool {
    std::env::var_os("COMPLETE").is_some()
        && CompleteEnv::with_factory(command)
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

/// The script that makes a shell call this program for completion.
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

/// Answers a completion request of kubectl.
pub fn for_kubectl(args: &CompleteArgs, terminal: Terminal) -> Exit {
    let mut argv = vec![OsString::from("kubectl-stateful")];
    argv.extend(args.words.iter().cloned());
    if argv.len() == 1 {
        argv.push(OsString::new());
    }
    let index = argv.len() - 1;
    let mut command = command();
    let candidates = complete(&mut command, argv, index, None).unwrap_or_default();
    let mut answer = String::new();
    let typed = args.words.last().map(|word| word.to_string_lossy()).unwrap_or_default();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        // Like kubectl, offer flags only after a dash.
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

/// The command tree, with a completer for every argument that names an object.
fn command() -> Command {
    Cli::command().mut_args(|arg| completed(arg, &[])).mut_subcommands(|command| {
        let guards = guards_of(command.get_name());
        with_completers(command, &guards)
    })
}

fn with_completers(command: Command, guards: &[&'static Rule]) -> Command {
    // A command that reads only files must not contact a cluster here either.
    let reads_files_only = command.get_name() == "convert";
    command
        .mut_args(|arg| {
            if reads_files_only && arg.get_id() != "allow" { arg } else { completed(arg, guards) }
        })
        .mut_subcommands(|inner| with_completers(inner, guards))
}

/// The guards that `--allow` of a command accepts.
fn guards_of(command: &str) -> Vec<&'static Rule> {
    match command {
        "canary" => canary::rules::ALLOWABLE.to_vec(),
        "scale" => scale::rules::ALLOWABLE.to_vec(),
        "migrate" => migrate::rules::allowable(),
        _ => Vec::new(),
    }
}

fn completed(arg: Arg, guards: &[&'static Rule]) -> Arg {
    match completer(&arg, guards) {
        Some(completer) => arg.add(completer),
        None => arg,
    }
}

/// The completer of an argument, by its id and value name.
fn completer(arg: &Arg, guards: &[&'static Rule]) -> Option<ArgValueCompleter> {
    let value = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    Some(match (arg.get_id().as_str(), value) {
        ("namespace" | "from_ns", _) => namespaces(),
        ("set", "STATEFULSET|svc/NAME") => sets_and_services(),
        ("set" | "target", _) => workloads(Resource::STATEFUL_SET),
        ("to", "STATEFULSET/ORDINAL") => sets_of_ordinals(),
        ("deployments", _) | ("from", "A,B,C") => workloads(Resource::DEPLOYMENT),
        ("service", _) => objects(async |cluster| object_names::service_names(&cluster).await),
        ("names", _) => objects(async |cluster| object_names::unused_claim_names(&cluster).await),
        ("volume", _) => volumes_and_claims(),
        ("pv", _) => objects(async |cluster| object_names::volume_names(&cluster).await),
        ("image", _) => containers("="),
        ("container", _) => containers(""),
        ("revision" | "against", _) => revisions(),
        ("allow", _) => ids(guards.iter().map(|rule| rule.id).collect()),
        ("finding", _) => ids(explain::pages().iter().map(explain::Page::id).collect()),
        ("via", _) => views(),
        _ => return None,
    })
}

/// Ids of findings; case does not matter.
fn ids(known: Vec<&'static str>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let typed = current.to_string_lossy().to_ascii_uppercase();
        known.iter().filter(|id| id.starts_with(&typed)).map(CompletionCandidate::new).collect()
    })
}

/// Completes `NAME`.
fn names(
    ask: impl AsyncFn(Cluster) -> Result<Vec<String>, Failure> + Send + Sync + 'static,
    end: &'static str,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let typed = current.to_string_lossy();
        candidates(live(&ask), &typed, |name| format!("{name}{end}"))
    })
}

/// Completes `NAME` and `KIND/NAME`, for any kind.
fn objects(
    ask: impl AsyncFn(Cluster) -> Result<Vec<String>, Failure> + Send + Sync + 'static,
) -> ArgValueCompleter {
    by_kind(async move |cluster, _| ask(cluster).await)
}

/// The same, with the typed kind (or an empty string) passed to `ask`.
fn by_kind(
    ask: impl AsyncFn(Cluster, &str) -> Result<Vec<String>, Failure> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let current = current.to_string_lossy();
        let (kind, typed) = match current.split_once('/') {
            Some((kind, typed)) => (Some(kind), typed),
            None => (None, current.as_ref()),
        };
        let names = live(async |cluster| ask(cluster, kind.unwrap_or_default()).await);
        let prefix = kind.map(|kind| format!("{kind}/")).unwrap_or_default();
        candidates(names, typed, |name| format!("{prefix}{name}"))
    })
}

/// The names with the typed prefix, as they should appear on the line.
fn candidates(
    names: Option<Vec<String>>,
    typed: &str,
    shown: impl Fn(&str) -> String,
) -> Vec<CompletionCandidate> {
    let names = names.unwrap_or_default();
    let fitting = names.iter().filter(|name| name.starts_with(typed));
    fitting.map(|name| CompletionCandidate::new(shown(name))).collect()
}

/// The names of a kind of workload in the namespace of the line.
fn workloads(kind: Resource) -> ArgValueCompleter {
    objects(async move |cluster| object_names::workload_names(&cluster, kind).await)
}

/// The names of StatefulSets, or of Services after `svc/`.
fn sets_and_services() -> ArgValueCompleter {
    by_kind(async |cluster, kind| match kind {
        "svc" | "service" | "services" => object_names::service_names(&cluster).await,
        _ => object_names::workload_names(&cluster, Resource::STATEFUL_SET).await,
    })
}

/// The names of volumes, or of claims after `pvc/`.
fn volumes_and_claims() -> ArgValueCompleter {
    by_kind(async |cluster, kind| match kind {
        "pvc" | "persistentvolumeclaim" | "persistentvolumeclaims" => {
            object_names::claim_names(&cluster).await
        }
        _ => object_names::volume_names(&cluster).await,
    })
}

/// The names of sets, for `STATEFULSET/ORDINAL`.
fn sets_of_ordinals() -> ArgValueCompleter {
    names(async |cluster| object_names::workload_names(&cluster, Resource::STATEFUL_SET).await, "/")
}

/// What `dns --via` asks; several with commas.
fn views() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let current = current.to_string_lossy();
        let (before, typed) = match current.rsplit_once(',') {
            Some((before, typed)) => (format!("{before},"), typed),
            None => (String::new(), current.as_ref()),
        };
        let shown = |view: &str| format!("{before}{view}");
        if let Some(pod) = typed.strip_prefix("exec=") {
            let names =
                live(async |cluster| object_names::workload_names(&cluster, Resource::POD).await);
            return candidates(names, pod, |name| shown(&format!("exec={name}")));
        }
        let known = ["api", "coredns", "exec="].map(str::to_owned).to_vec();
        candidates(Some(known), typed, shown)
    })
}

fn namespaces() -> ArgValueCompleter {
    names(async |cluster| object_names::namespace_names(&cluster).await, "")
}

/// The containers of the set on the line, each followed by `end`.
fn containers(end: &'static str) -> ArgValueCompleter {
    of_set(async |cluster, set| object_names::container_names(&cluster, set).await, end)
}

/// The revisions of the set on the line.
fn revisions() -> ArgValueCompleter {
    of_set(async |cluster, set| object_names::revision_names(&cluster, set).await, "")
}

/// Names that belong to the set on the line.
fn of_set(
    ask: impl AsyncFn(Cluster, &str) -> Result<Vec<String>, Failure> + Send + Sync + 'static,
    end: &'static str,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let Some(set) = set_of_line(&line_of(std::env::args_os())) else { return Vec::new() };
        let names = live(async |cluster| ask(cluster, &set).await);
        candidates(names, &current.to_string_lossy(), |name| format!("{name}{end}"))
    })
}

/// The line that is being typed, from the one with which a shell or kubectl has
/// called us: `kubectl-stateful -- kubectl-stateful status …`, or
/// `kubectl-stateful __complete status …`.
fn line_of(argv: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = argv.collect();
    match words.get(1).and_then(|word| word.to_str()) {
        Some("--") => drop(words.drain(..2)),
        Some("__complete") => drop(words.remove(1)),
        _ => {}
    }
    // bash takes `--namespace=shop` for three words.
    let mut line: Vec<OsString> = Vec::new();
    let mut is_value = false;
    for word in words {
        let after_flag = |last: &OsString| last.to_string_lossy().starts_with("--");
        match line.last_mut() {
            Some(last) if word == "=" && after_flag(last) => {
                last.push("=");
                is_value = true;
            }
            Some(last) if is_value => {
                last.push(word);
                is_value = false;
            }
            _ => line.push(word),
        }
    }
    line
}

/// The set on an incomplete line.
fn set_of_line(words: &[OsString]) -> Option<String> {
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    let mut deepest = &matches;
    while let Some((_, inner)) = deepest.subcommand() {
        deepest = inner;
    }
    let words: Vec<String> = deepest.try_get_many("set").ok()??.cloned().collect();
    Reference::parse(&words, "StatefulSet").ok().map(|reference| reference.name)
}

/// Names from the cluster, or nothing: without permission, without a cluster
/// and after the time limit there is nothing to complete.
fn live(ask: impl AsyncFnOnce(Cluster) -> Result<Vec<String>, Failure>) -> Option<Vec<String>> {
    let connection = connection_of_line(&line_of(std::env::args_os()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let names = runtime.block_on(async {
        let cluster = Cluster::connect(&connection, Terminal::silent()).await.ok()?;
        let limit = if cluster.logs_in() { LOGIN_LIMIT } else { TIME_LIMIT };
        tokio::time::timeout(limit, ask(cluster)).await.ok()?.ok()
    });
    // Not even a plugin that still runs is waited for.
    runtime.shutdown_background();
    names
}

/// The connection flags of an incomplete line; incomplete flags are ignored.
fn connection_of_line(words: &[OsString]) -> ConnectionArgs {
    Cli::command()
        .ignore_errors(true)
        .try_get_matches_from(words)
        .and_then(|matches| ConnectionArgs::from_arg_matches(&matches))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Ids of arguments that name something in the cluster, or a finding.
    const NAMES: &[&str] = &[
        "namespace",
        "from_ns",
        "set",
        "target",
        "to",
        "deployments",
        "service",
        "names",
        "volume",
        "pv",
        "image",
        "container",
        "gate_container",
        "revision",
        "against",
        "allow",
        "finding",
        "via",
    ];

    /// Ids of arguments that look alike and name nothing in the cluster, or
    /// nothing that can be listed without what else is on the line.
    const NO_NAMES: &[&str] = &[
        "context",
        "cluster",
        "user",
        "tls_server_name",
        // Of a pod's volume and of a template.
        "keep",
        "claim",
        "template",
        // Of the set that will be made.
        "name",
        // Classes.
        "snapshot",
        "storage_class",
        "snapshot_class",
        // Of a line to complete.
        "words",
    ];

    /// What else a value may be.
    const VALUES: &str = "BOOL CLASS,… CLASS=PRICE CMD COMMAND DIR DOMAIN DURATION FILE FORMAT \
        GOAL GROUP HASH IMAGE K K/N KEY KEY=VALUE KIND,… LEVEL METHOD:PORT/PATH MODE N ORDINAL P \
        PORT RESOURCE=AMOUNT,… SELECTOR SHELL TEXT TIME TOKEN TYPE UID URL URL,EXPR,OP,VALUE USER \
        VIEW WHAT WHEN WHERE WHICH [CONTAINER:]LIST [CONTAINER:]NAME=VALUE [SCHEME:]PORT/PATH \
        [VOLUME=]SIZE";

    /// Whether an argument names something; `None` where no table says so.
    fn names_something(arg: &Arg) -> Option<bool> {
        let id = arg.get_id().as_str();
        let value = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
        // Deployments here, and a file of orphans there.
        if NAMES.contains(&id) || (id, value) == ("from", "A,B,C") {
            return Some(true);
        }
        let other = NO_NAMES.contains(&id) || VALUES.split_whitespace().any(|one| one == value);
        other.then_some(false)
    }

    /// Every argument of the tree that takes a value, with its command.
    fn arguments(command: &Command, path: &str, all: &mut Vec<(String, Arg)>) {
        let takes = |arg: &&Arg| arg.get_action().takes_values();
        let own = command.get_arguments().filter(takes);
        all.extend(own.map(|arg| (path.to_owned(), arg.clone())));
        for inner in command.get_subcommands() {
            arguments(inner, &format!("{path}{} ", inner.get_name()), all);
        }
    }

    #[test]
    fn what_names_something_has_a_completer() {
        let mut all = Vec::new();
        arguments(&command(), "", &mut all);
        let mut faults = BTreeSet::new();
        for (path, arg) in &all {
            let id = arg.get_id();
            let Some(names) = names_something(arg) else {
                faults.insert(format!("{path}{id}: say in the tables above what it takes"));
                continue;
            };
            // It reads files and asks no cluster.
            let reads_files_only = path == "migrate convert " && id != "allow";
            let has_completer = arg.get::<ArgValueCompleter>().is_some();
            if has_completer != (names && !reads_files_only) {
                faults.insert(format!("{path}{id}: has a completer: {has_completer}"));
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
        assert!(all.len() > 100, "{}", all.len());
    }

    #[test]
    fn the_flags_of_a_line_are_heeded_however_a_shell_passes_it() {
        let line = |words: &[&str]| line_of(words.iter().map(OsString::from));
        let prefix = "kubectl-stateful";
        let namespace = |words: &[&str]| connection_of_line(&line(words)).namespace;
        let shop = Some("shop".to_owned());
        // zsh and fish, bash, kubectl.
        assert_eq!(namespace(&[prefix, "--", prefix, "status", "-n", "shop", "w"]), shop);
        assert_eq!(
            namespace(&[prefix, "--", prefix, "status", "--namespace", "=", "shop", "w"]),
            shop
        );
        assert_eq!(namespace(&[prefix, "__complete", "status", "-n", "shop", "w"]), shop);
        assert_eq!(namespace(&[prefix, "__complete", "status", "--namespace=shop", ""]), shop);
        let set = |words: &[&str]| set_of_line(&line(words));
        let web = Some("web".to_owned());
        assert_eq!(
            set(&[prefix, "__complete", "canary", "plan", "web", "--gate-container", ""]),
            web
        );
        assert_eq!(set(&[prefix, "--", prefix, "canary", "plan", "sts/web", "-c", "m"]), web);
    }

    fn offered(words: &[&str]) -> Vec<String> {
        let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
        let last = argv.len() - 1;
        let all = complete(&mut command(), argv, last, None).expect("an answer");
        all.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn views_are_completed_one_after_the_other() {
        let via = |typed: &str| offered(&["kubectl-stateful", "dns", "web", "--via", typed]);
        assert_eq!(via(""), ["api", "coredns", "exec="]);
        assert_eq!(via("c"), ["coredns"]);
        assert_eq!(via("api,"), ["api,api", "api,coredns", "api,exec="]);
    }

    #[test]
    fn guards_are_completed_for_their_command() {
        let canary =
            offered(&["kubectl-stateful", "canary", "start", "web", "--allow", "canary-h"]);
        assert_eq!(canary, ["CANARY-HPA"]);
        let scale = offered(&["kubectl-stateful", "scale", "web", "--allow", "SCALE-KE"]);
        assert_eq!(scale, ["SCALE-KEDA"]);
        let convert = offered(&["kubectl-stateful", "migrate", "convert", "--allow", "MIGRATE-"]);
        assert!(convert.contains(&"MIGRATE-GITOPS".to_owned()), "{convert:?}");
    }
}
