//! Carries out the verbs: reads, asks, writes, waits, reports.

mod context;
mod convert;
mod dry_run;
mod end;
mod execute;
mod finalize;
mod find;
mod fresh;
mod late;
mod plan;
mod recover;
mod remains;
mod resume;
mod rights;
mod rollback;
mod start;
mod status;
mod tries;

use jiff::Timestamp;

use super::{
    args::{MigrateArgs, Verb},
    journal::Journal,
};
use crate::{
    cluster::{Cluster, ConnectionArgs},
    output::{Confirmed, ConsentArgs, Error, Exit, Format, Look, Question, Terminal},
};

/// Runs a verb of `migrate`.
///
/// # Errors
/// When the command line is wrong, something cannot be read, or a guard
/// refuses.
pub async fn run(
    args: &MigrateArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    match &args.verb {
        Verb::Convert(args) => convert::convert(args, connection, terminal),
        Verb::Plan(args) => plan::plan(args, connection, terminal).await,
        Verb::Run(args) => start::run(args, connection, terminal).await,
        Verb::Status(args) => status::status(args, connection, terminal).await,
        Verb::Resume(args) => resume::resume(args, connection, terminal).await,
        Verb::Rollback(args) => rollback::rollback(args, connection, terminal).await,
        Verb::Finalize(args) => finalize::finalize(args, connection, terminal).await,
        Verb::Recover(args) => recover::recover(args, connection, terminal).await,
    }
}

/// The connection of a verb, and its output.
pub(super) struct Session {
    pub cluster: Cluster,
    pub terminal: Terminal,
    pub output: Format,
    /// The name under which this run holds the lock.
    pub holder: String,
}

impl Session {
    pub async fn open(
        output: Format,
        connection: &ConnectionArgs,
        terminal: Terminal,
    ) -> Result<Session, Error> {
        let cluster = Cluster::connect(connection, terminal).await?;
        Ok(Session { cluster, terminal, output, holder: crate::steps::run_name() })
    }

    /// `kubectl stateful migrate VERB sts/mysql -n shop`, for hints.
    pub fn command(&self, verb: &str, journal: &Journal) -> String {
        format!(
            "kubectl stateful migrate {verb} sts/{} -n {}{}",
            journal.set_name(),
            journal.namespace,
            self.cluster.flags()
        )
    }

    pub fn look(&self) -> Look {
        Look::of(self.terminal, Timestamp::now())
    }

    /// For what is shown before somebody is asked, or refused.
    pub fn look_of_stderr(&self) -> Look {
        Look::of_stderr(self.terminal, Timestamp::now())
    }

    /// Asks before a verb on a begun migration goes on.
    pub fn ask(&self, consent: &ConsentArgs, text: &str) -> Result<Confirmed, Error> {
        let question = Question {
            text,
            plan: None,
            type_to_agree: None,
            for_a_program: self.output.is_machine(),
        };
        Confirmed::ask(self.terminal, consent, question)
    }
}
