//! `--allow` means the same in every command: an id of no guard is a usage
//! error before anything is read, and case does not matter.

use std::collections::BTreeMap;

use clap::{Command, CommandFactory};
use kubectl_stateful::cli::Cli;

use super::cli::run;

/// A line of each command that has `--allow`, with one of its guards.
const LINES: &[(&str, &str, &[&str])] = &[
    ("canary plan", "canary-hpa", &["web", "--restart"]),
    ("canary start", "canary-hpa", &["web", "--restart"]),
    ("canary stage", "canary-hpa", &["web"]),
    ("canary promote", "Canary-Hpa", &["web"]),
    ("canary abort", "canary-overwrites", &["web"]),
    ("scale", "scale-hpa", &["web", "--replicas", "1"]),
    ("migrate plan", "migrate-gitops", &["web"]),
    ("migrate run", "migrate-gitops", &["web"]),
    ("migrate recover", "migrate-volume-foreign", &["sts/db"]),
    ("migrate convert", "migrate-paused", &["-f", "tests/apps/mysql-deployment.yaml"]),
];

fn with_allow(command: &Command, path: &str, all: &mut Vec<String>) {
    if command.get_arguments().any(|arg| arg.get_long() == Some("allow")) {
        all.push(path.trim().to_owned());
    }
    for inner in command.get_subcommands() {
        with_allow(inner, &format!("{path} {}", inner.get_name()), all);
    }
}

/// A server that nobody is at, so that what reads fails otherwise.
const NOBODY: [&str; 2] = ["--server", "http://127.0.0.1:9"];

fn allow(path: &str, id: &str, rest: &[&str]) -> (String, Option<i32>) {
    let words: Vec<&str> = path.split(' ').chain(rest.iter().copied()).collect();
    let words = [&words[..], &["--allow", id], &NOBODY].concat();
    let (_, stderr, code) = run(&words, "");
    (stderr, code)
}

#[test]
fn every_command_refuses_an_unknown_id_and_names_those_it_knows() {
    let mut commands = Vec::new();
    with_allow(&Cli::command(), "", &mut commands);
    let lines: BTreeMap<&str, _> =
        LINES.iter().map(|(path, id, rest)| (*path, (*id, *rest))).collect();
    assert_eq!(commands.len(), lines.len(), "{commands:?}");
    for command in &commands {
        let (known, rest) = lines[command.as_str()];
        for unknown in ["CANARY-HPPA", "STATUS-IMAGE-PULL", ""] {
            let (stderr, code) = allow(command, unknown, rest);
            assert_eq!(code, Some(2), "{command}: {stderr}");
            let message =
                format!("error: --allow {unknown}: no guard of that id can be overridden");
            assert!(stderr.contains(&message), "{command}: {stderr}");
            assert!(stderr.contains(&known.to_uppercase()), "{command}: {stderr}");
        }
        // Nobody is at the server; convert asks none.
        let (stderr, code) = allow(command, known, rest);
        let expected = i32::from(command != "migrate convert");
        assert_eq!(code, Some(expected), "{command}: {stderr}");
    }
}
