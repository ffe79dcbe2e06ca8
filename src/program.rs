//! From a command line to an exit code: parse, dispatch, report errors.

use std::{ffi::OsString, io::ErrorKind};

use clap::{FromArgMatches, error::ErrorKind as Clap};

use crate::{
    canary,
    cli::{self, Cli, Command},
    completion, dns, dump, explain, migrate, orphans,
    output::{
        Envelope, Error, Exit, Failure, Format, Terminal, layout, switches,
        template::{self, Template},
        usage,
    },
    scale, status, version,
};

/// Runs a command line. The first word is the name of the program.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> Exit {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if completion::answers_a_shell(&argv) {
        return Exit::Done;
    }
    let argv = switches::plain(argv, &cli::tree());
    let (argv, template) = match template::taken_from(argv) {
        Ok(taken) => taken,
        Err(error) => return fail(&error, Format::Table, Terminal::detect(0)),
    };
    let parsed =
        cli::tree().try_get_matches_from(&argv).and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => run(&cli, template),
        // A template is for answers: of an error there is only the message.
        Err(error) if template.is_some() => refuse(&error, &argv, Format::Table),
        Err(error) => refuse(&error, &argv, usage::format_of(&argv)),
    }
}

fn run(cli: &Cli, template: Option<Template>) -> Exit {
    let terminal = Terminal::detect(cli.verbosity).for_people(cli.command.is_for_people());
    if let Some(template) = template {
        let terminal = terminal.through(template);
        return dispatch(cli, terminal)
            .unwrap_or_else(|error| fail(&error, Format::Table, terminal));
    }
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
        Command::Dump(args) => block_on(dump::run(args, &cli.connection, terminal)),
        Command::Explain(args) => explain::print(args, terminal),
        Command::Completion(args) => completion::script(args, terminal),
        Command::Version(args) => version::print(args, terminal),
        Command::Complete(args) => Ok(completion::for_kubectl(args, terminal)),
    }
}

/// One thread is enough: commands mostly wait for one server.
fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Error::new(Exit::Error, format!("cannot start: {error}")))?
        .block_on(work)
}

/// Reports an error: on stderr for people, and for a machine format also as a
/// document on stdout.
fn fail(error: &Error, format: Format, terminal: Terminal) -> Exit {
    if error.broken_pipe {
        return error.exit;
    }
    if format.is_machine() {
        let envelope = Envelope::new("error", error.exit, &error.reasons, &[], Failure::new(error));
        let written = envelope.render(format).and_then(|document| terminal.answer(&document));
        if let Err(second) = written
            && !second.broken_pipe
        {
            terminal.say(&second.to_string());
        }
    }
    let text = match terminal.stderr_columns() {
        Some(columns) => layout::error(error, columns),
        None => error.to_string(),
    };
    terminal.say(&text);
    error.exit
}

/// Prints what clap reports. Help and the version are exit 0; everything else
/// is a usage error.
fn refuse(error: &clap::Error, argv: &[OsString], format: Format) -> Exit {
    match error.kind() {
        Clap::DisplayHelp | Clap::DisplayVersion => {
            match error.print() {
                // If stdout is closed, there is nobody to tell.
                Err(failed) if failed.kind() != ErrorKind::BrokenPipe => {
                    let failed = Error::new(Exit::Error, format!("cannot write: {failed}"));
                    fail(&failed, Format::Table, Terminal::detect(0))
                }
                Ok(()) | Err(_) => Exit::Done,
            }
        }
        // The help of a command that needs a subcommand.
        Clap::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage
        }
        _ => {
            let error = usage::error(error, &cli::tree(), argv);
            fail(&error, format, Terminal::detect(0))
        }
    }
}
