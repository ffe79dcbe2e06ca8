//! Flags that several commands share, one struct each: one spelling, one help
//! text, one meaning. A command that means something narrower says so with
//! clap's `mut_arg`.

use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum, builder::ArgPredicate};

pub use crate::steps::paste::Given;
use crate::{
    cluster::{DryRun, parse_timeout},
    output::{ConsentArgs, Error, Format, Look},
    workload::{Allowed, Reference, Rule, Selector},
};

/// The StatefulSet.
#[derive(Args, Clone, Debug, Default)]
pub struct SetArg {
    /// The set: NAME, sts/NAME, or sts NAME
    #[arg(id = "set", value_name = "STATEFULSET", required = true, num_args = 1..=2)]
    pub words: Vec<String>,
}

impl SetArg {
    /// The name of the set.
    ///
    /// # Errors
    /// When the words name something else.
    pub fn name(&self) -> Result<String, Error> {
        let reference = Reference::parse(&self.words, "StatefulSet").map_err(Error::usage)?;
        Ok(reference.name)
    }
}

/// Objects by their labels.
#[derive(Args, Clone, Debug, Default)]
pub struct SelectorArg {
    /// Only those with these labels, such as app=db,tier!=test
    #[arg(
        short = 'l',
        id = "selector",
        long = "selector",
        value_name = "SELECTOR",
        value_parser = Selector::parse
    )]
    pub labels: Option<Selector>,
}

/// Files instead of a cluster.
#[derive(Args, Clone, Debug, Default)]
pub struct FileArgs {
    /// Read objects from a file, a folder, or - for stdin, instead of a cluster; may be repeated
    #[arg(
        short = 'f',
        id = "filename",
        long = "filename",
        value_name = "FILE",
        value_hint = clap::ValueHint::AnyPath
    )]
    pub paths: Vec<String>,
}

impl FileArgs {
    /// Whether a cluster is asked.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

/// How the answer is written.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputArg {
    /// How to write the answer; also jsonpath=TEMPLATE and custom-columns=HEADING:PATH,…
    #[arg(
        short = 'o',
        id = "output",
        long = "output",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub format: Format,
}

/// Rows for scripts.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct RowsArg {
    /// Print the rows of the table alone: no headings, and nothing below it
    #[arg(long)]
    pub no_headers: bool,
}

impl RowsArg {
    /// Checks that there is a table.
    ///
    /// # Errors
    /// `Usage` when the answer is none.
    pub fn check(self, is_table: bool) -> Result<(), Error> {
        if self.no_headers && !is_table {
            return Err(Error::usage("--no-headers goes with a table of several rows")
                .hint("that is without -o, or with -o wide or -o custom-columns=HEADING:PATH,…"));
        }
        Ok(())
    }

    /// How the table looks.
    pub fn applied(self, look: Look) -> Look {
        Look { only_rows: self.no_headers, ..look }
    }
}

/// Guards to override.
#[derive(Args, Clone, Debug, Default)]
pub struct AllowArgs {
    /// Override a guard by its id; may be repeated
    #[arg(id = "allow", long = "allow", value_name = "ID", help_heading = "Safety options")]
    pub ids: Vec<String>,
}

impl AllowArgs {
    /// The guards that were named, among those that the command can override.
    /// Case does not matter.
    ///
    /// # Errors
    /// `Usage` for an id of none of them.
    pub fn among(&self, guards: &[&'static Rule]) -> Result<Allowed, Error> {
        let named = |id: &String| {
            let guard = guards.iter().find(|rule| rule.id.eq_ignore_ascii_case(id));
            guard.copied().ok_or_else(|| {
                let known: Vec<&str> = guards.iter().map(|rule| rule.id).collect();
                Error::usage(format!("--allow {id}: no guard of that id can be overridden"))
                    .hint(format!("these can: {}", known.join(", ")))
            })
        };
        let allowed: Result<Vec<_>, _> = self.ids.iter().map(named).collect();
        allowed.map(Allowed::of)
    }
}

/// How a change is tried and agreed to.
#[derive(Args, Clone, Debug)]
pub struct ConfirmationArgs {
    /// Only show what would be written (client), or let the server check it without storing it
    #[arg(
        long,
        value_name = "WHERE",
        value_enum,
        default_value_t,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "client",
        help_heading = "Safety options"
    )]
    pub dry_run: DryRun,

    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// How long one wait may take.
#[derive(Args, Clone, Copy, Debug)]
pub struct TimeoutArg {
    /// How long one wait may take; 0s waits forever
    #[arg(
        id = "timeout",
        long = "timeout",
        value_name = "DURATION",
        value_parser = parse_timeout,
        default_value = "10m"
    )]
    pub longest: Duration,
}

/// Watching a set, and waiting for a state of it.
#[derive(Args, Clone, Copy, Debug)]
#[command(group = ArgGroup::new("waits").args(["watch", "wait_for"]).multiple(true))]
pub struct WatchArgs<Goal: ValueEnum + Send + Sync + 'static> {
    /// Keep running and show every change: in place on a terminal, one line each elsewhere
    #[arg(short, long, conflicts_with = "filename")]
    pub watch: bool,

    /// Wait until the set reaches this state, then exit
    #[arg(long, value_name = "GOAL", value_enum, conflicts_with = "filename")]
    pub wait_for: Option<Goal>,

    /// How long to wait: 5s, 2m, 1m30s, or seconds; 0 waits forever
    #[arg(
        long,
        requires = "waits",
        value_name = "DURATION",
        value_parser = parse_timeout,
        default_value_if("wait_for", ArgPredicate::IsPresent, "5m")
    )]
    pub timeout: Option<Duration>,
}
