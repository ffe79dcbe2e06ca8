//! The lines to paste that commands print, made of what was typed: they do the
//! same, and nothing in them is taken for something else.

use std::process::Command;

use clap::Parser;
use kubectl_stateful::{
    canary::args::{StartArgs, Verb as Canary},
    cli::{self, Cli},
    cluster::Cluster,
    dns::args::DnsArgs,
    migrate::args::{RunArgs, Verb as Migrate},
    orphans::args::{AdoptArgs, DeleteArgs, Verb as Orphans},
    output::Terminal,
    scale::args::ScaleArgs,
};

/// A cluster that nobody asks anything.
const NOWHERE: [&str; 2] = ["--kubeconfig=/dev/null", "--server=http://127.0.0.1:9"];
const HASH: &str = "3f9a1c0b";

/// The line that does what was only looked at, or asks again.
fn line(words: &[&str]) -> String {
    let (before, after) = match words.iter().position(|word| *word == "--") {
        Some(end) => words.split_at(end),
        None => (words, &[][..]),
    };
    let words = [&["kubectl-stateful"], before, &NOWHERE, after].concat();
    let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}\n{error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let connected = async { Cluster::connect(&cli.connection, Terminal::silent()).await };
    let cluster = runtime.expect("a runtime").block_on(connected).expect("nothing is sent");
    match cli.command {
        cli::Command::Migrate(args) => match args.verb {
            Migrate::Plan(args) => args.given.to_do::<RunArgs>("migrate run", &cluster, HASH),
            Migrate::Run(args) => args.given.to_do::<RunArgs>("migrate run", &cluster, HASH),
            _ => panic!("{words:?}"),
        },
        cli::Command::Canary(args) => match args.verb {
            Canary::Plan(args) => args.given.to_do::<StartArgs>("canary start", &cluster, HASH),
            Canary::Start(args) => {
                args.common.given.to_do::<StartArgs>("canary start", &cluster, HASH)
            }
            _ => panic!("{words:?}"),
        },
        cli::Command::Scale(args) if args.confirmation.consent.yes => {
            args.given.to_go_on::<ScaleArgs>("scale", &cluster)
        }
        cli::Command::Scale(args) => args.given.to_do::<ScaleArgs>("scale", &cluster, HASH),
        cli::Command::Orphans(args) => match args.verb {
            Some(Orphans::Delete(args)) => {
                args.given.to_do::<DeleteArgs>("orphans delete", &cluster, HASH)
            }
            Some(Orphans::Adopt(args)) => {
                args.given.to_do::<AdoptArgs>("orphans adopt", &cluster, HASH)
            }
            None => panic!("{words:?}"),
        },
        cli::Command::Dns(args) => args.look.given.to_ask_again::<DnsArgs>("dns", &cluster),
        _ => panic!("{words:?}"),
    }
}

/// The same without what every line has: the cluster, and the hash where it
/// does something. Pasted, it is the same line again.
fn printed(words: &[&str]) -> String {
    let printed = line(words);
    let script = format!("kubectl() {{ printf '%s\\0' \"$@\"; }}\n{printed}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let pasted: Vec<&str> = text.split_terminator('\0').skip(1).collect();
    let without_cluster: Vec<&str> =
        pasted.iter().copied().filter(|word| !NOWHERE.contains(word)).collect();
    assert_eq!(line(&without_cluster), printed, "{printed}");
    let short = printed.replace(&format!(" {}", NOWHERE.join(" ")), "");
    short.replace(&format!(" --confirm-plan {HASH}"), " …")
}

#[test]
fn a_value_that_looks_like_a_verb_is_kept() {
    assert_eq!(
        printed(&["migrate", "-n", "plan", "plan", "plan", "--name", "run"]),
        "kubectl stateful migrate run plan --name run -n plan …"
    );
    assert_eq!(
        printed(&["migrate", "plan", "deploy", "plan", "-oyaml", "-n=plan"]),
        "kubectl stateful migrate run deploy plan -n plan …"
    );
    assert_eq!(
        printed(&["canary", "plan", "plan", "--image=plan=plan:1", "--exit-code"]),
        "kubectl stateful canary start plan --image plan=plan:1 -n default …"
    );
    assert_eq!(
        printed(&["dns", "--wait", "5s", "--", "explain"]),
        "kubectl stateful dns --wait 5s -n default -- explain"
    );
}

#[test]
fn flags_for_output_and_dry_runs_are_left_out() {
    for words in [
        &["-ojson"][..],
        &["-o", "json"],
        &["-o=json", "--dry-run"],
        &["--output=json", "--dry-run=server"],
        &["--output", "json", "--confirm-plan", "00000000"],
        &["-v", "6", "--request-timeout", "5s"],
    ] {
        let all = [&["scale", "web", "--by", "-2"], words].concat();
        assert_eq!(printed(&all), "kubectl stateful scale web --by -2 -n default …");
    }
    assert_eq!(
        printed(&["migrate", "plan", "web", "--emit", "out", "-y", "--exit-code"]),
        "kubectl stateful migrate run web -n default …"
    );
    // An answer is asked for again in the form that was asked for.
    assert_eq!(
        printed(&["dns", "web", "-o", "srv-list", "--format", "{pod} {port}", "--wait", "5s"]),
        "kubectl stateful dns web --wait 5s --output srv-list --format '{pod} {port}' -n default"
    );
}

#[test]
fn yes_is_kept() {
    assert_eq!(
        printed(&["scale", "web", "--replicas", "3", "--yes", "-o", "json"]),
        "kubectl stateful scale web --replicas 3 --yes -n default"
    );
}

#[test]
fn values_are_quoted_for_a_shell() {
    assert_eq!(
        printed(&["canary", "plan", "web", "--env", "A=b c;  d", "--env", "B=it's"]),
        "kubectl stateful canary start web --env 'A=b c;  d' --env 'B=it'\\''s' -n default …"
    );
    assert_eq!(
        printed(&["scale", "web", "--replicas=1", "--before=-x", "--after", ""]),
        "kubectl stateful scale web --replicas 1 --before=-x --after='' -n default …"
    );
}

#[test]
fn lists_and_repeated_flags_are_kept() {
    let allow = ["--allow", "migrate-gitops", "--allow=MIGRATE-UNHEALTHY"];
    assert_eq!(
        printed(&[&["migrate", "plan", "--from", "a,b,c", "--name=db"], &allow[..]].concat()),
        "kubectl stateful migrate run --from a,b,c --name db --allow migrate-gitops \
         --allow MIGRATE-UNHEALTHY -n default …"
    );
    assert_eq!(
        printed(&["orphans", "delete", "a", "pv/b", "--keep-pv=false", "--min-idle", "30d"]),
        "kubectl stateful orphans delete a pv/b --keep-pv=false --min-idle 30d -n default …"
    );
    assert_eq!(
        printed(&["orphans", "adopt", "pv/a", "--to", "web/3", "--dry-run"]),
        "kubectl stateful orphans adopt pv/a --to web/3 -n default …"
    );
}

/// The flags of the connection are those that say where and who; none that is
/// a secret.
#[test]
fn the_connection_comes_along() {
    let words = [
        "scale",
        "web",
        "--by=1",
        "--as",
        "jane doe",
        "--insecure-skip-tls-verify",
        "--token",
        "s3cret",
        "--as-user-extra=scopes=view",
    ];
    assert_eq!(
        line(&words),
        "kubectl stateful scale web --by 1 -n default --kubeconfig=/dev/null \
         --server=http://127.0.0.1:9 --insecure-skip-tls-verify=true '--as=jane doe' \
         --as-user-extra=scopes=view --confirm-plan 3f9a1c0b"
    );
}
