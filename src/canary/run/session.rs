//! The cluster, the terminal and the options of one run.

use clap::Args;
use jiff::Timestamp;

use super::look::last_picture;
use crate::{
    canary::{
        args::{Common, ReachArgs},
        gates::GateArgs,
        outlook,
        plan::State,
        record::Record,
        report::{self, Onward},
        rules,
    },
    cluster::{Cluster, ConnectionArgs, DryRun, Failure, Mode, Write, read},
    flags::{AllowArgs, Given, SetArg},
    output::{Confirmed, Error, Exit, Format, Look, Question, Terminal},
    steps::{self, End, PodToDelete},
    workload::{Facts, Finding, Pod, Rule, Survey, rollout::Interference},
};

/// The cluster, the terminal and the options of one run.
pub struct Session {
    pub cluster: Cluster,
    pub terminal: Terminal,
    pub output: Format,
    pub dry_run: DryRun,
    pub name: String,
    /// The name under which this run writes; see [`Record::run`].
    pub run: String,
    /// The command line that continues this run.
    pub to_continue: String,
    /// The lines that go further, with what was given to this run.
    pub onward: Onward,
    /// What was given, for other lines.
    given: Given,
    verb: String,
}

/// What one run passes on to the next, of all that it was given.
#[derive(Args)]
struct PassedOn {
    #[command(flatten)]
    _set: SetArg,
    #[command(flatten)]
    _gates: GateArgs,
    #[command(flatten)]
    _allow: AllowArgs,
}

/// The same, with how far it goes.
#[derive(Args)]
struct PassedOnToTheGoal {
    #[command(flatten)]
    _set: SetArg,
    #[arg(id = "full", long = "full")]
    _full: bool,
    #[command(flatten)]
    _reach: ReachArgs,
    #[command(flatten)]
    _gates: GateArgs,
    #[command(flatten)]
    _allow: AllowArgs,
}

/// The same for `start`, which has no `--full`.
#[derive(Args)]
struct PassedOnToAdopt {
    #[command(flatten)]
    _set: SetArg,
    #[arg(id = "adopt", long = "adopt")]
    _adopt: bool,
    #[command(flatten)]
    _reach: ReachArgs,
    #[command(flatten)]
    _gates: GateArgs,
    #[command(flatten)]
    _allow: AllowArgs,
}

/// The ids that `--allow` takes, and that change nothing for this verb: a line that
/// is printed has none of them.
fn without_effect(verb: &str) -> Vec<&'static str> {
    let asked = |rule: &Rule| match verb {
        "abort" => [rules::OVERWRITES.id, rules::NO_RIGHTS.id].contains(&rule.id),
        "promote" => rule.id != rules::OVERWRITES.id && !is_of_the_start(rule),
        "stage" => {
            ![rules::OVERWRITES.id, rules::NO_HEADROOM.id, rules::NO_RIGHTS.id].contains(&rule.id)
        }
        _ => rule.id != rules::OVERWRITES.id,
    };
    rules::ALLOWABLE.iter().filter(|rule| !asked(rule)).map(|rule| rule.id).collect()
}

fn is_of_the_start(rule: &Rule) -> bool {
    rules::OF_THE_START.iter().any(|one| one.id == rule.id)
}

fn onward(given: &Given, cluster: &Cluster) -> Onward {
    // The guard of an abort is none of a way forward.
    let given = given.without("allow", &[rules::OVERWRITES.id]);
    let of_the_start: Vec<&str> = rules::OF_THE_START.iter().map(|rule| rule.id).collect();
    let on = given.without("allow", &of_the_start);
    // `start` says in another way that all are to move.
    let adopted = given.without("allow", &[rules::LEFTOVER_PARTITION.id]);
    let adopted = adopted.instead_of("full", "percent", "100").and("adopt", "true");
    Onward {
        promote: on.to_go_on::<PassedOn>("canary promote", cluster),
        finish: on.to_go_on::<PassedOnToTheGoal>("canary promote", cluster),
        adopt: adopted.to_go_on::<PassedOnToAdopt>("canary start", cluster),
    }
}

impl Session {
    /// `A` are the arguments of the verb.
    pub async fn open<A: Args>(
        verb: &str,
        common: &Common,
        connection: &ConnectionArgs,
        terminal: Terminal,
    ) -> Result<Session, Error> {
        let name = common.set.name()?;
        let cluster = Cluster::connect(connection, terminal).await?;
        // Another verb may ask for what this one does not.
        let onward = onward(&common.given.without("allow", &[]), &cluster);
        let given = common.given.without("allow", &without_effect(verb));
        let verb = format!("canary {verb}");
        Ok(Session {
            to_continue: given.to_go_on::<A>(&verb, &cluster),
            onward,
            given,
            verb,
            cluster,
            terminal,
            output: common.output.format,
            dry_run: common.confirmation.dry_run,
            name,
            run: steps::run_name(),
        })
    }

    /// Whether this run is one of this verb.
    pub fn is(&self, verb: &str) -> bool {
        self.verb.strip_prefix("canary ") == Some(verb)
    }

    pub async fn read(&self) -> Result<read::Reading, Error> {
        Ok(read_consistent(&self.cluster, &self.name).await?)
    }

    /// The line of this run, with one more argument.
    pub fn with<A: Args>(&self, id: &str, value: &str) -> String {
        self.given.and(id, value).to_go_on::<A>(&self.verb, &self.cluster)
    }

    /// `kubectl stateful canary VERB web -n shop`, to continue with.
    pub fn command(&self, verb: &str) -> String {
        command(verb, &self.name, &self.cluster)
    }

    /// Asks for confirmation.
    pub fn ask(&self, common: &Common, text: &str, plan: Option<&str>) -> Result<Confirmed, Error> {
        let for_a_program = self.output.is_machine();
        let question = Question { text, plan, type_to_agree: None, for_a_program };
        Confirmed::ask(self.terminal, &common.confirmation.consent, question)
    }

    /// Shows a write, or has the server validate it, without storing it.
    ///
    /// # Errors
    /// When the server rejects it.
    pub async fn rehearse(&self, write: &Write) -> Result<(), Error> {
        let mode = match self.dry_run {
            DryRun::Server => Mode::ServerDryRun,
            DryRun::Client | DryRun::None => Mode::ClientDryRun,
        };
        self.cluster.write(write, mode).await?;
        Ok(())
    }

    /// The same for the pod at this index, which under OnDelete the program deletes.
    ///
    /// # Errors
    /// When the server rejects it.
    pub async fn rehearse_deletion(
        &self,
        survey: &Survey<'_>,
        record: &Record,
        index: u32,
    ) -> Result<(), Error> {
        let slot = usize::try_from(index).ok().and_then(|index| survey.slots.get(index));
        let goes = |pod: &&Pod| {
            record.on_delete
                && !pod.is_terminating()
                && pod.revision() == Some(record.stable.as_str())
        };
        match slot.and_then(|slot| slot.pod).filter(goes) {
            Some(pod) => {
                let write = PodToDelete::of(pod).delete(survey.set, outlook::reason(record));
                self.rehearse(&write).await
            }
            None => Ok(()),
        }
    }

    /// Reports the canary as it is, where nothing had to be done.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub async fn close_unchanged(&self, facts: &Facts) -> Result<Exit, Error> {
        self.close_stopped(facts, &End::done()).await
    }

    /// Reports the canary as it is, and what keeps it from going on.
    ///
    /// # Errors
    /// When the report cannot be written.
    pub async fn close_stopped(&self, facts: &Facts, end: &End) -> Result<Exit, Error> {
        let mut view = last_picture(&self.cluster, facts, None).await;
        let mut findings = end.findings.clone();
        view.go_on_by(&self.onward, end.exit, &mut findings);
        let look = Look::of(self.terminal, Timestamp::now());
        let text = report::render(&view, end.exit, &findings, self.output, look)?;
        self.terminal.conclude(&text)?;
        Ok(end.exit)
    }
}

/// Reads a set and what matters for its canary. The pods are read after the set,
/// and a step of another run may come between the two, so that one of them seems
/// to run the new revision below the partition. Whether that is so shows a set
/// that is read after those pods.
///
/// # Errors
/// When it cannot be read.
pub async fn read_consistent(cluster: &Cluster, name: &str) -> Result<read::Reading, Failure> {
    let mut seen = None;
    loop {
        let reading = read::facts(cluster, name, read::Scope::Rollout).await?;
        let escaped = escaped(&reading.facts);
        if escaped.is_none() || escaped == seen {
            return Ok(reading);
        }
        seen = escaped;
    }
}

fn escaped(facts: &Facts) -> Option<Interference> {
    let record = Record::of(&facts.set).ok().flatten()?;
    let found = State::new(facts, &record, Timestamp::now()).interference()?;
    matches!(found, Interference::Escaped { .. }).then_some(found)
}

pub fn command(verb: &str, name: &str, cluster: &Cluster) -> String {
    format!("kubectl stateful canary {verb} {name} -n {}{}", cluster.namespace(), cluster.flags())
}

/// A refusal with the guards of a canary.
pub fn refused(what: &str, findings: impl AsRef<[Finding]>) -> Error {
    steps::refused(what, findings.as_ref(), rules::ALLOWABLE)
}
