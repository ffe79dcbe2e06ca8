//! Whatever we tell people to type is read by the program as it stands: in
//! docs, in README, in the examples of help, in hints.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use clap::{CommandFactory, Parser};
use kubectl_stateful::{
    canary::{args::Verb, gates::GateArgs},
    cli::{self, Cli},
};

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The command lines of a page: in blocks for a shell, those that continue on
/// the next line as one, and between backticks where there are arguments.
fn commands(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        let line = line.trim().trim_start_matches("$ ").trim_start_matches("→ ");
        let text = match open.take() {
            Some(before) => format!("{before}\n{line}"),
            None if line.starts_with("kubectl stateful ") => line.to_owned(),
            None => continue,
        };
        let quotes = text.matches('\'').count() % 2 == 1;
        if quotes || text.ends_with('\\') { open = Some(text) } else { lines.push(text) }
    }
    lines
}

/// The words of the last command of a line, as a shell splits them.
fn words(line: &str) -> Vec<String> {
    let script = format!("kubectl() {{ printf '%s\\0' \"$@\"; }}\n{line}");
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// The same for a hint, which may be another program's command, or prose.
pub fn read_if_ours(hint: &str) {
    for line in hint.split(" && ").filter(|line| line.starts_with("kubectl stateful ")) {
        read(line);
    }
}

/// Has the program read a line; gates too, which come from flags and a file.
fn read(line: &str) {
    let words = words(line);
    let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{line}\n{error}"));
    let cli::Command::Canary(canary) = cli.command else { return };
    let gates: Option<GateArgs> = match canary.verb {
        Verb::Plan(args) => Some(args.gates),
        Verb::Start(args) => {
            assert!(!args.change.is_empty(), "{line}: no change is named");
            Some(args.gates)
        }
        Verb::Promote(args) => Some(args.gates),
        _ => None,
    };
    if let Some(gates) = gates {
        let example = |_: &str| Ok(file("docs/examples/gates.yaml"));
        gates.resolve(example).unwrap_or_else(|error| panic!("{line}\n{error}"));
    }
}

#[test]
fn every_command_of_the_pages_is_read_as_it_stands() {
    let pages = [
        "README.md",
        "docs/tour.md",
        "docs/canary.md",
        "docs/migrate.md",
        "docs/orphans.md",
        "docs/scale.md",
        "docs/dns.md",
        "docs/status.md",
        "docs/examples/gates.yaml",
    ];
    let mut count = 0;
    for page in pages {
        let text = file(page);
        // A comment in YAML shows commands as well.
        let text = text.lines().map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>();
        for line in commands(&text.join("\n")) {
            // Where the answer goes is the shell's matter.
            read(line.split(" > ").next().unwrap_or_default());
            count += 1;
        }
    }
    assert!(count >= 35, "only {count} commands were found");
}

#[test]
fn every_example_of_a_help_is_read_as_it_stands() {
    let mut count = 0;
    let mut waiting = vec![Cli::command()];
    while let Some(mut command) = waiting.pop() {
        waiting.extend(command.get_subcommands().cloned());
        let help = command.render_long_help().to_string();
        let Some((_, examples)) = help.split_once("Examples:\n") else { continue };
        for line in commands(examples) {
            read(line.split(['>', '|']).next().unwrap_or_default());
            count += 1;
        }
    }
    assert!(count >= 25, "only {count} examples were found");
}

/// People read the beginning of a help; the flags that every command has come last.
#[test]
fn every_help_begins_with_its_examples() {
    let mut waiting = vec![(cli::tree(), true)];
    while let Some((mut command, is_root)) = waiting.pop() {
        waiting.extend(command.get_subcommands().cloned().map(|inner| (inner, false)));
        if command.is_hide_set() {
            continue;
        }
        for help in [command.render_help(), command.render_long_help()] {
            let help = help.to_string();
            let at = |words: &str| help.find(words);
            let examples = at("Examples:\n");
            assert!(examples.is_some(), "{} has no examples\n{help}", command.get_name());
            if !is_root {
                assert!(examples < at("\nUsage: "), "{help}");
                assert!(examples < at("\nOptions:"), "{help}");
            }
        }
    }
}

#[test]
fn every_flag_of_a_command_is_on_its_page() {
    let all = Cli::command();
    for name in ["orphans", "scale", "dns", "status"] {
        let page = file(&format!("docs/{name}.md"));
        let command = all.find_subcommand(name).expect("a command");
        for flag in command.get_arguments().filter_map(|flag| flag.get_long()) {
            assert!(page.contains(&format!("--{flag}")), "--{flag} is not in docs/{name}.md");
        }
    }
}

/// Where the pages point to is there: the file, and the heading in it.
#[test]
fn no_link_of_the_pages_is_dead() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    let pages = ["README", "tour", "canary", "dns", "migrate", "orphans", "scale", "status"]
        .into_iter()
        .chain(["architecture", "glossary"])
        .map(|page| format!("docs/{page}.md"))
        .collect::<Vec<_>>();
    let root_pages = ["README.md", "CONTRIBUTING.md", "SECURITY.md"];
    for page in pages.iter().map(String::as_str).chain(root_pages) {
        for link in file(page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (name, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = root.join(page).parent().expect("a folder").to_owned();
            let target = if name.is_empty() { root.join(page) } else { folder.join(name) };
            assert!(target.exists(), "{page}: {link}");
            count += 1;
            if heading.is_empty() {
                continue;
            }
            let text = fs::read_to_string(&target).expect("a page");
            let headings = text.lines().filter(|line| line.starts_with('#'));
            let kept = |letter: &char| letter.is_alphanumeric() || " -".contains(*letter);
            let mut anchors = headings.map(|line| {
                let line: String = line.to_lowercase().chars().filter(kept).collect();
                line.trim().replace(' ', "-")
            });
            assert!(anchors.any(|anchor| anchor == heading), "{page}: {link}");
        }
    }
    assert!(count >= 25, "only {count} links were found");
}

/// The hints of `canary` name its verbs, and the rules name flags and verbs.
#[test]
fn what_the_findings_advise_exists() {
    let canary = Cli::command();
    let canary = canary.find_subcommand("canary").expect("canary").clone();
    let verbs: BTreeSet<String> =
        canary.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let whole = Cli::command();
    let migrate = whole.find_subcommand("migrate").expect("migrate");
    let orphans = whole.find_subcommand("orphans").expect("orphans");
    let flags: BTreeSet<String> = canary
        .get_subcommands()
        .chain(migrate.get_subcommands())
        .chain(orphans.get_subcommands())
        .chain(whole.get_subcommands())
        .flat_map(|verb| verb.get_arguments().filter_map(|arg| arg.get_long()))
        .map(str::to_owned)
        .collect();
    let page = file("docs/findings.md");
    let (_, page) = page.split_once("\n## canary\n").expect("the rules of canary");
    let page = page.split_whitespace().collect::<Vec<_>>();
    let bare =
        |word: &str| word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-').to_owned();
    for words in page.windows(3) {
        let (before, word, next) = (bare(words[0]), bare(words[1]), bare(words[2]));
        if let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) {
            let flag = flag.split('=').next().unwrap_or(flag);
            // Those are of kubectl logs and kubectl delete.
            let theirs = before == "logs" || flag == "cascade";
            assert!(theirs || flags.contains(flag), "there is no {word}");
        }
        // `a canary takes` is prose; a command has no article.
        let prose = ["a", "the", "of", "no"].contains(&before.to_lowercase().as_str());
        let is_verb = next.chars().all(|c| c.is_ascii_lowercase());
        if words[1] == "canary" && is_verb && !prose {
            assert!(verbs.contains(&next), "there is no canary {next}");
        }
    }
}
