//! Carries a canary out: reads, asks, writes, watches, reports.

mod back;
mod begin;
mod checks;
mod forward;
mod hand;
mod look;
mod pause;

use jiff::Timestamp;

use self::hand::Hand;
use super::{
    args::{CanaryArgs, Common, Verb},
    record::Record,
    report::{self, View},
    rules,
};
use crate::{
    cluster::{Cluster, ConnectionArgs, DryRun, Mode, Write, read},
    output::{Confirmed, Error, Exit, Format, Look, Question, Terminal},
    steps::End,
    workload::{Facts, Finding, Reference},
};

/// Runs a verb of `canary`.
///
/// # Errors
/// When the words are off, the set cannot be read, or a guard says no.
pub async fn run(
    args: &CanaryArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    match &args.verb {
        Verb::Plan(args) => begin::plan(args, connection, terminal).await,
        Verb::Start(args) => begin::start(args, connection, terminal).await,
        Verb::Stage(args) => pause::stage(args, connection, terminal).await,
        Verb::Status(args) => look::status(args, connection, terminal).await,
        Verb::Promote(args) => forward::promote(args, connection, terminal).await,
        Verb::Pause(args) => pause::pause(args, connection, terminal).await,
        Verb::Abort(args) => back::abort(args, connection, terminal).await,
        Verb::Unstick(args) => back::unstick(args, connection, terminal).await,
        Verb::History(args) => look::history(args, connection, terminal).await,
    }
}

/// Who a verb speaks to, and for whom.
pub(super) struct Session {
    pub cluster: Cluster,
    pub terminal: Terminal,
    pub output: Format,
    pub dry_run: DryRun,
    pub name: String,
    /// The name under which this run writes; see [`Record::run`].
    pub run: String,
}

impl Session {
    pub async fn open(
        common: &Common,
        connection: &ConnectionArgs,
        terminal: Terminal,
    ) -> Result<Session, Error> {
        let reference = Reference::parse(&common.set, "StatefulSet").map_err(Error::usage)?;
        let cluster = Cluster::connect(connection, terminal).await?;
        Ok(Session {
            cluster,
            terminal,
            output: common.output,
            dry_run: common.rehearsal.dry_run,
            name: reference.name,
            run: crate::steps::run_name(),
        })
    }

    pub async fn read(&self) -> Result<read::Reading, Error> {
        Ok(read::facts(&self.cluster, &self.name, read::Scope::Rollout).await?)
    }

    /// `kubectl stateful canary VERB web -n shop`, to go on with.
    pub fn command(&self, verb: &str) -> String {
        command(verb, &self.name, &self.cluster)
    }

    /// Asks whether to do it.
    pub fn ask(&self, common: &Common, text: &str, plan: Option<&str>) -> Result<Confirmed, Error> {
        let for_a_program = self.output.is_machine();
        let question = Question { text, plan, type_to_agree: None, for_a_program };
        Confirmed::ask(self.terminal, &common.consent, question)
    }

    /// Shows a write, or has the server try it, without doing it.
    ///
    /// # Errors
    /// What the server has against it.
    pub async fn rehearse(&self, write: &Write) -> Result<(), Error> {
        let mode = match self.dry_run {
            DryRun::Server => Mode::ServerDryRun,
            DryRun::Client | DryRun::None => Mode::ClientDryRun,
        };
        self.cluster.write(write, mode).await?;
        Ok(())
    }

    /// Reports how it ended: what is in the way and what to type next are part
    /// of the answer.
    ///
    /// # Errors
    /// When the answer cannot be written.
    pub fn close(&self, hand: &mut Hand, end: &End) -> Result<Exit, Error> {
        let now = Timestamp::now();
        let facts = hand.set.mirror.facts();
        let record = Record::of(&facts.set).ok().flatten();
        let mut view = View::new(facts, record.as_ref(), Some(&hand.memory), now);
        view.add(&hand.said_by_checks.borrow());
        view.writes.clone_from(&hand.set.sender.writes);
        let look = Look::of(self.terminal, now);
        let text = report::render(&view, end.exit, &end.findings, self.output, look)?;
        if !hand.set.draw_last(&text)? {
            self.terminal.conclude(&text)?;
        }
        if matches!(end.exit, Exit::Interrupted | Exit::Terminated) {
            let line = crate::steps::repeat();
            self.terminal.say(&format!("interrupted; the set is at rest\nhint: to go on: {line}"));
        }
        Ok(end.exit)
    }

    /// The same where nothing was followed.
    ///
    /// # Errors
    /// When the answer cannot be written.
    pub fn close_unwatched(&self, facts: &Facts, end: &End) -> Result<Exit, Error> {
        let now = Timestamp::now();
        let record = Record::of(&facts.set).ok().flatten();
        let view = View::new(facts, record.as_ref(), None, now);
        let look = Look::of(self.terminal, now);
        self.terminal.conclude(&report::render(
            &view,
            end.exit,
            &end.findings,
            self.output,
            look,
        )?)?;
        Ok(end.exit)
    }
}

pub(super) fn command(verb: &str, name: &str, cluster: &Cluster) -> String {
    format!("kubectl stateful canary {verb} {name} -n {}{}", cluster.namespace(), cluster.flags())
}

/// A refusal, with the guards of a canary.
pub(super) fn refused(what: &str, findings: impl AsRef<[Finding]>) -> Error {
    crate::steps::refused(what, findings.as_ref(), rules::ALLOWABLE)
}
