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
    report::{self, Ended, View},
    rules,
};
use crate::{
    cluster::{Cluster, ConnectionArgs, DryRun, read},
    output::{Confirmed, Error, Exit, Format, Question, Terminal},
    workload::{Finding, Reference},
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

/// How a verb ended, apart from errors.
pub(super) struct End {
    pub exit: Exit,
    pub findings: Vec<Finding>,
}

impl End {
    pub fn done() -> End {
        End { exit: Exit::Done, findings: Vec::new() }
    }

    pub fn with(exit: Exit, finding: Finding) -> End {
        End { exit, findings: vec![finding] }
    }
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
            dry_run: common.dry_run,
            name: reference.name,
            run: run_name(),
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
    pub fn ask(
        &self,
        common: &Common,
        text: &str,
        plan: Option<&str>,
    ) -> Result<Confirmed, Error> {
        let for_a_program = self.output.is_machine();
        let question = Question { text, plan, type_to_agree: None, for_a_program };
        Confirmed::ask(self.terminal, &common.consent, question)
    }

    /// Reports how it ended: the answer on stdout, what is in the way and what
    /// to type next on both.
    pub fn close(&self, hand: &Hand, end: End) -> Result<Exit, Error> {
        let now = Timestamp::now();
        let facts = hand.mirror.facts();
        let record = Record::of(&facts.set).ok().flatten();
        let mut view = View::new(facts, record.as_ref(), Some(&hand.memory), now);
        view.writes.clone_from(&hand.writes);
        let Ended { exit, findings } = Ended { exit: end.exit, findings: end.findings };
        let drawn = hand.is_live();
        let text = report::render(&view, exit, &findings, self.output, report::look(self.terminal, now))?;
        if drawn {
            hand.redraw(&text)?;
        } else {
            match self.terminal.answer(&text) {
                Err(error) if error.reader_left => {}
                other => other?,
            }
        }
        Ok(exit)
    }
}

pub(super) fn command(verb: &str, name: &str, cluster: &Cluster) -> String {
    format!(
        "kubectl stateful canary {verb} {name} -n {}{}",
        cluster.namespace(),
        cluster.flags()
    )
}

/// A refusal: what speaks against it is the message.
pub(super) fn refused(what: &str, findings: Vec<Finding>) -> Error {
    let mut error = Error::new(Exit::Refused, format!("{what}; nothing was changed"));
    let mut hint = None;
    for finding in findings.iter().filter(|f| f.severity == crate::workload::Severity::Error) {
        error = error.caused_by(format!("{} {}", finding.id, finding.message));
        hint = hint.or_else(|| finding.hint.clone());
    }
    let allowable: Vec<&str> = findings
        .iter()
        .filter(|f| f.severity == crate::workload::Severity::Error)
        .map(|f| f.id)
        .filter(|id| rules::ALLOWABLE.iter().any(|rule| rule.id == *id))
        .collect();
    if let Some(hint) = hint {
        error = error.hint(hint);
    } else if let [id] = allowable.as_slice() {
        error = error.hint(format!("to do it all the same: --allow {id}"));
    }
    error.because(findings)
}

/// Someone at some machine, and which of their runs: so that a run that finds
/// another name in its place can say whose it is.
fn run_name() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_else(|| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "somewhere".to_owned());
    let moment = Timestamp::now().as_nanosecond() / 1_000_000;
    let number = (moment % 0x0100_0000) ^ i128::from(std::process::id());
    let clip = |text: &str| text.trim().chars().take(40).collect::<String>();
    format!("{}@{}/{:06x}", clip(&user), clip(&host), number & 0x00ff_ffff)
}
