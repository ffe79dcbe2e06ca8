//! Carries a migration out: reads, asks, writes, waits, reports.

mod begin;
mod convert;
mod go;
mod hand;
mod later;
mod recover;

use jiff::Timestamp;

use super::{
    args::{MigrateArgs, Verb},
    journal::Journal,
};
use crate::{
    cluster::{Cluster, ConnectionArgs},
    output::{Error, Exit, Format, Look, Terminal},
};

/// Runs a verb of `migrate`.
///
/// # Errors
/// When the words are off, something cannot be read, or a guard says no.
pub async fn run(
    args: &MigrateArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    match &args.verb {
        Verb::Convert(args) => convert::convert(args, connection, terminal),
        Verb::Plan(args) => begin::plan(args, connection, terminal).await,
        Verb::Run(args) => begin::run(args, connection, terminal).await,
        Verb::Status(args) => later::status(args, connection, terminal).await,
        Verb::Resume(args) => later::resume(args, connection, terminal).await,
        Verb::Rollback(args) => later::rollback(args, connection, terminal).await,
        Verb::Finalize(args) => later::finalize(args, connection, terminal).await,
        Verb::Recover(args) => recover::recover(args, connection, terminal).await,
    }
}

/// Who a verb speaks to, and how it answers.
pub(super) struct Session {
    pub cluster: Cluster,
    pub terminal: Terminal,
    pub output: Format,
    /// The name under which this run holds the lock.
    pub run: String,
}

impl Session {
    pub async fn open(
        output: Format,
        connection: &ConnectionArgs,
        terminal: Terminal,
    ) -> Result<Session, Error> {
        let cluster = Cluster::connect(connection, terminal).await?;
        Ok(Session { cluster, terminal, output, run: crate::steps::run_name() })
    }

    /// `kubectl stateful migrate VERB sts/mysql -n shop`, to go on with.
    pub fn command(&self, verb: &str, journal: &Journal) -> String {
        command(verb, journal, &self.cluster)
    }

    pub fn look(&self) -> Look {
        Look::of(self.terminal, Timestamp::now())
    }
}

pub(super) fn command(verb: &str, journal: &Journal, cluster: &Cluster) -> String {
    format!(
        "kubectl stateful migrate {verb} sts/{} -n {}{}",
        journal.set_name(),
        journal.namespace,
        cluster.flags()
    )
}
