//! The command tree and the flags that all commands share.

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{
    canary::args::CanaryArgs,
    cluster::ConnectionArgs,
    dns::args::DnsArgs,
    dump::args::DumpArgs,
    explain::ExplainArgs,
    migrate::{self, args::MigrateArgs},
    orphans::args::OrphansArgs,
    output::{Exit, Format},
    scale::args::ScaleArgs,
    status::args::StatusArgs,
    version,
};

/// Operate StatefulSets: see their state, why they are stuck, and what to run next
///
/// A kubectl plugin for people who run databases, queues and other stateful
/// applications. Nothing is installed in the cluster.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-stateful",
    bin_name = "kubectl stateful",
    version = version::NUMBER,
    disable_version_flag = true,
    // As with kubectl, the last of a repeated flag wins.
    args_override_self = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = examples_and("Exit codes: kubectl stateful --help, or docs/exit-codes.md"),
    after_long_help = exit_codes_and_terms(),
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Log more to stderr: 4 the kubectl command for each write, 6 each request, 8 the bodies
    #[arg(
        short,
        long = "v",
        global = true,
        value_name = "LEVEL",
        default_value_t = 0,
        hide_default_value = true,
        help_heading = "Other options"
    )]
    pub verbosity: u8,

    /// Print the version
    #[arg(long, action = clap::ArgAction::Version, help_heading = "Other options")]
    version: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Status(StatusArgs),
    Canary(Box<CanaryArgs>),
    Dns(Box<DnsArgs>),
    Scale(Box<ScaleArgs>),
    Orphans(Box<OrphansArgs>),
    Migrate(MigrateArgs),
    Dump(DumpArgs),
    Explain(ExplainArgs),
    Completion(CompletionArgs),
    Version(version::VersionArgs),
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
}

impl Command {
    /// Whether the answer is text that this program words. What is copied from
    /// files, and scripts, are not.
    pub fn is_for_people(&self) -> bool {
        let copies = match self {
            Command::Migrate(args) => matches!(args.verb, migrate::args::Verb::Convert(_)),
            Command::Dump(_) | Command::Completion(_) | Command::Complete(_) => true,
            _ => false,
        };
        !copies && matches!(self.format(), Format::Table | Format::Wide)
    }

    /// The output format of the command, which failures use too.
    pub fn format(&self) -> Format {
        match self {
            Command::Status(args) => args.output.format,
            Command::Canary(args) => args.verb.format(),
            Command::Dns(args) => args.format(),
            Command::Orphans(args) => args.format(),
            Command::Scale(args) => args.output.format,
            Command::Migrate(args) => args.verb.format(),
            Command::Explain(args) => args.output.format,
            Command::Version(args) => args.output.format,
            Command::Dump(_) | Command::Completion(_) | Command::Complete(_) => Format::Table,
        }
    }
}

/// The command tree, each help with its examples first, as kubectl's are.
pub fn tree() -> clap::Command {
    Cli::command().mut_subcommands(examples_first)
}

fn examples_first(command: clap::Command) -> clap::Command {
    const TEMPLATE: &str = "{about}{after-help}\n\n{usage-heading} {usage}\n\n{all-args}";
    command.help_template(TEMPLATE).mut_subcommands(examples_first)
}

/// Print a completion script
///
/// The script completes `kubectl-stateful` when it is called by that name. For
/// `kubectl stateful`, put completions/kubectl_complete-stateful on the PATH,
/// where kubectl's own completion finds it.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  source <(kubectl stateful completion bash)\n  kubectl stateful completion fish > ~/.config/fish/completions/kubectl-stateful.fish"
)]
pub struct CompletionArgs {
    #[arg(value_enum)]
    pub shell: Shell,
}

/// A shell that we have completion for.
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
    pub words: Vec<OsString>,
}

/// The examples of the whole, and what follows them.
fn examples_and(end: &str) -> String {
    format!(
        "Examples:\n\
         \x20 # Is it stuck, and what would help?\n\
         \x20 kubectl stateful status web\n\n\
         \x20 # A new image on one ordinal after the other, and back\n\
         \x20 kubectl stateful canary start web --image nginx:1.22\n\
         \x20 kubectl stateful canary abort web\n\n{end}"
    )
}

/// The end of the long help: the table that all commands share.
fn exit_codes_and_terms() -> String {
    let lines = Exit::ALL
        .map(|exit| format!("  {:>3}  {:<11}  {}", exit.code(), exit.name(), exit.meaning()));
    examples_and(&format!("Exit codes:\n{}\n\nTerms: docs/glossary.md", lines.join("\n")))
}
