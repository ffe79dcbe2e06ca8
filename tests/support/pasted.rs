//! Holds every command line that an output tells people to type: our own are
//! read by the program, and where the run had a cluster to itself they are run,
//! as kubectl's are, with nothing written: as a dry run, or for the help of a
//! verb that has none.

use std::{
    collections::BTreeSet,
    process::Command,
    sync::{Mutex, OnceLock},
};

use clap::{CommandFactory, Parser};
use kubectl_stateful::cli::Cli;
use serde_json::Value;

use super::{Output, Run};

/// What a line begins with where people are told to type it.
const LABELS: &[&str] = &["→", "hint", "next", "back", "undo", "do it", "to do it:", "stop it"];

/// Verbs of kubectl that only read. `logs` reads too, but simulated pods have none.
const READ: &[&str] = &["get", "describe", "events", "top", "version"];
/// Verbs of kubectl whose dry run asks the server.
const WRITE: &[&str] = &[
    "annotate", "apply", "cordon", "create", "delete", "label", "patch", "replace", "scale", "set",
    "uncordon",
];

/// Where a document has a line to type.
const KEYS: &[&str] = &["back", "command", "hint", "next", "undo", "wayBack"];

/// A line to type, and whether it is about what has been written since: a plan
/// that is shown before the first write has hints for who does not agree.
struct Line {
    text: String,
    is_over: bool,
}

/// The lines of an output that are to be typed as they stand.
fn lines(output: &Output) -> Vec<Line> {
    let Output { stdout, stderr, .. } = output;
    if stdout.contains("\nUsage: kubectl stateful") {
        return Vec::new();
    }
    let last_write = stderr.lines().enumerate().filter(|(_, line)| is_write(line)).last();
    let mut found = Vec::new();
    let documents: Vec<Value> = match serde_json::from_str(stdout) {
        Ok(document) => vec![document],
        Err(_) => stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    for document in &documents {
        in_document(document, last_write.is_some(), &mut found);
    }
    let printed = stdout.lines().map(|line| (line, false));
    let said = stderr.lines().enumerate();
    let said = said.map(|(at, line)| (line, last_write.is_some_and(|(last, _)| at < last)));
    for (line, is_over) in printed.chain(said) {
        let line = line.trim();
        let rest = LABELS.iter().find_map(|label| line.strip_prefix(label));
        let text = rest.unwrap_or(line).trim();
        if text.starts_with("kubectl ") {
            found.push(Line { text: text.to_owned(), is_over });
        }
    }
    found
}

/// Whether a line says that something was written, as kubectl does.
fn is_write(line: &str) -> bool {
    let done = ["patched", "deleted", "created", "scaled", "annotated"];
    let mut words = line.split(' ');
    let object = words.next().is_some_and(|word| word.contains('/'));
    object && words.next().is_some_and(|word| done.contains(&word)) && !line.contains("(dry run")
}

fn in_document(value: &Value, is_over: bool, found: &mut Vec<Line>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| in_document(item, is_over, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text)
                        if KEYS.contains(&key.as_str()) && text.starts_with("kubectl ") =>
                    {
                        found.push(Line { text: text.clone(), is_over });
                    }
                    value => in_document(value, is_over || key == "warnings", found),
                }
            }
        }
        _ => {}
    }
}

/// Holds the lines of `output`, the first of each shape in this process. With
/// `shell`, a kubectl as `output`'s run had it, they are run as well.
#[track_caller]
pub fn hold(output: &Output, shell: Option<&Run>) {
    static HELD: OnceLock<Mutex<BTreeSet<String>>> = OnceLock::new();
    for Line { text: line, is_over } in lines(output) {
        let shell = shell.filter(|_| !is_over && !is_for_stdin(&line));
        let shape = format!("{}{}", shell.is_some(), shape(&line));
        let held = HELD.get_or_init(Mutex::default);
        if !held.lock().expect("nobody panics while holding it").insert(shape) {
            continue;
        }
        for (place, words) in commands(&line, output).into_iter().enumerate() {
            // What comes after `&&` is for what the first has done.
            let shell = shell.filter(|_| place == 0 || !line.contains(" && "));
            match words.first().map(String::as_str) {
                Some("stateful") => hold_ours(&words, output, shell),
                _ => hold_theirs(&words, output, shell),
            }
        }
    }
}

#[track_caller]
fn hold_ours(words: &[String], output: &Output, shell: Option<&Run>) {
    if let Err(error) = Cli::try_parse_from(words) {
        panic!("{words:?}\n{error}\nis printed by\n{output}");
    }
    let Some(shell) = shell else { return };
    let has = |word: &str| words.iter().any(|other| other == word);
    // A plan names the way back of what has not been begun.
    let is_of = |word: &str| output.line().contains(word);
    let is_refused = is_of(" migrate run ") && !output.stderr.lines().any(is_write);
    if has("rollback") && (is_of(" plan ") || is_of(" --dry-run") || is_refused) {
        return;
    }
    let reads = ["status", "plan", "history", "dns"].into_iter().any(has)
        || has("orphans") && !has("delete") && !has("adopt");
    let tries = !reads && has_dry_run(&words[1..]);
    if !reads && !tries {
        return;
    }
    let dry: &[&str] = if tries { &["--dry-run=client"] } else { &[] };
    let ran = shell.clone().args(words).args(dry).unheld().output();
    let fine = matches!(ran.code(), Some(0 | 3 | 8 | 9));
    assert!(fine, "{ran}\nis a line of\n{output}");
}

#[track_caller]
fn hold_theirs(words: &[String], output: &Output, shell: Option<&Run>) {
    let Some(shell) = shell else { return };
    let verb = words.first().map(String::as_str).unwrap_or_default();
    let extra: &[&str] = match verb {
        verb if READ.contains(&verb) => &[],
        _ if words.iter().any(|word| word == "--force") => &["--help"],
        verb if WRITE.contains(&verb) => &["--dry-run=server"],
        "rollout" if words.get(1).is_some_and(|word| word == "undo") => &["--dry-run=server"],
        "rollout" if words.get(1).is_some_and(|word| word == "status") => &["--watch=false"],
        _ => &["--help"],
    };
    let ran = shell.clone().args(words).args(extra).unheld().output();
    assert_eq!(ran.code(), Some(0), "{ran}\nis a line of\n{output}");
}

/// Whether it reads what is typed or printed below it, as a here document.
fn is_for_stdin(line: &str) -> bool {
    line.contains(" -f -") || line.contains(" -f- ")
}

/// Whether the verb that these words begin with has a dry run.
fn has_dry_run(words: &[String]) -> bool {
    let all = Cli::command();
    let mut command = &all;
    for word in words {
        match command.find_subcommand(word) {
            Some(verb) => command = verb,
            None => break,
        }
    }
    command.get_arguments().any(|flag| flag.get_long() == Some("dry-run"))
}

/// What makes two lines the same for this purpose: names and numbers do not.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut skip = false;
    for word in line.split(' ') {
        let before =
            std::mem::replace(&mut skip, ["-n", "--namespace", "--confirm-plan"].contains(&word));
        if !before {
            shape.extend(
                word.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter }),
            );
            shape.push(' ');
        }
    }
    shape
}

/// The arguments of each kubectl of a line, as a shell splits them.
#[track_caller]
fn commands(line: &str, output: &Output) -> Vec<Vec<String>> {
    let script = format!("kubectl() {{ printf '%s\\0' \"$@\"; printf '\\1\\0'; }}\n{line}");
    let split = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let fine = split.status.success() && split.stderr.is_empty();
    assert!(fine, "{line}\n{split:?}\nis a line of\n{output}");
    let text = String::from_utf8(split.stdout).expect("UTF-8");
    let words: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    words
        .split(|word| word == "\x01")
        .filter(|words| !words.is_empty())
        .map(<[_]>::to_vec)
        .collect()
}
