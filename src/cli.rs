//! The command tree, the flags that all commands share, and the way from a
//! command line to an exit code.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::{
    canary::{self, args::CanaryArgs},
    cluster::ConnectionArgs,
    completion,
    dns::{self, args::DnsArgs},
    migrate::{self, args::MigrateArgs},
    orphans::{self, args::OrphansArgs},
    output::{Envelope, Error, Exit, Failure, Format, Terminal},
    scale::{self, args::ScaleArgs},
    status::{self, args::StatusArgs},
    version,
};

/// Look after StatefulSets: what they are, why they are stuck, what comes next
///
/// A kubectl plugin for the people who keep databases, queues and other
/// stateful applications alive. Nothing is installed in the cluster.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-stateful",
    bin_name = "kubectl stateful",
    version = version::NUMBER,
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit codes: kubectl stateful --help, or docs/exit-codes.md",
    after_long_help = exit_codes(),
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub connection: ConnectionArgs,

    /// Say more on stderr: 4 the kubectl line of each write, 6 each request, 8 their bodies
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
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Status(StatusArgs),
    Canary(Box<CanaryArgs>),
    Dns(Box<DnsArgs>),
    Scale(Box<ScaleArgs>),
    Orphans(Box<OrphansArgs>),
    Migrate(MigrateArgs),
    Completion(completion::CompletionArgs),
    Version(version::VersionArgs),
    #[command(name = "__complete", hide = true)]
    Complete(completion::CompleteArgs),
}

impl Command {
    /// How the answer was asked for, so that a failure is written likewise.
    fn format(&self) -> Format {
        match self {
            Command::Status(args) => args.output,
            Command::Canary(args) => args.verb.format(),
            Command::Dns(args) => args.format(),
            Command::Orphans(args) => args.format(),
            Command::Scale(args) => args.output,
            Command::Migrate(args) => args.verb.format(),
            Command::Version(args) => args.output,
            Command::Completion(_) | Command::Complete(_) => Format::Table,
        }
    }
}

/// The table that every command shares, for `--help`.
fn exit_codes() -> String {
    let lines = Exit::ALL
        .map(|exit| format!("  {:>3}  {:<11}  {}", exit.code(), exit.name(), exit.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// Runs a command line. The first word is the program's name.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> Exit {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if completion::answers_a_shell(&argv) {
        return Exit::Done;
    }
    let parsed = Cli::command()
        .try_get_matches_from(argv)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => run(&cli),
        Err(error) => refuse(&error),
    }
}

fn run(cli: &Cli) -> Exit {
    let terminal = Terminal::detect(cli.verbosity);
    match dispatch(cli, terminal) {
        Ok(exit) => exit,
        Err(error) => fail(&error, cli.command.format(), terminal),
    }
}

fn dispatch(cli: &Cli, terminal: Terminal) -> Result<Exit, Error> {
    match &cli.command {
        Command::Status(args) => block_on(status::run::run(args, &cli.connection, terminal)),
        Command::Canary(args) => block_on(canary::run::run(args, &cli.connection, terminal)),
        Command::Dns(args) => block_on(dns::run::run(args, &cli.connection, terminal)),
        Command::Orphans(args) => block_on(orphans::run::run(args, &cli.connection, terminal)),
        Command::Migrate(args) => block_on(migrate::run::run(args, &cli.connection, terminal)),
        Command::Scale(args) => block_on(scale::run::run(args, &cli.connection, terminal)),
        Command::Completion(args) => completion::script(args, terminal),
        Command::Version(args) => version::print(args, terminal),
        Command::Complete(args) => Ok(completion::for_kubectl(args, terminal)),
    }
}

/// One thread is plenty: the work is waiting for one server.
fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Error::new(Exit::Error, format!("cannot start: {error}")))?
        .block_on(work)
}

/// Says what went wrong: for people on stderr, and for programs, where they
/// asked for a document, on stdout as well.
fn fail(error: &Error, format: Format, terminal: Terminal) -> Exit {
    if error.reader_left {
        return error.exit;
    }
    if format.is_machine() {
        let envelope = Envelope::new("error", error.exit, &error.reasons, &[], Failure::new(error));
        let written = envelope.render(format).and_then(|document| terminal.answer(&document));
        if let Err(second) = written
            && !second.reader_left
        {
            terminal.say(&second.to_string());
        }
    }
    terminal.say(&error.to_string());
    error.exit
}

/// Help is an answer; anything else that clap says is about wrong words.
fn refuse(error: &clap::Error) -> Exit {
    // Where stdout or stderr is gone there is nobody to tell.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp => Exit::Done,
        _ => Exit::Usage,
    }
}
