//! `--dry-run` of a verb on a migration that was begun: every write that it would
//! send from here on, and what it would wait for in between.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Session, end::report_state, tries::refusal};
use crate::{
    cluster::{DryRun, Mode, Resource, Write},
    migrate::{
        forward::Checks,
        journal::{Intent, StoredJournal},
        preview::{PreviewEnd, Step, preview},
        rules,
        world::World,
        writes,
    },
    output::{Error, Exit},
    steps::End,
    workload::Severity,
};

/// What is shown of a verb.
pub struct Rehearsal {
    pub intent: Intent,
    pub checks: Checks,
    /// Whether volumes are for an administrator to change.
    pub admin_steps: bool,
    /// What is said when it comes to its end; without it, the migration is over then.
    pub then: Option<String>,
}

/// Shows it, with where the migration stands now.
pub async fn show(
    session: &Session,
    stored: &StoredJournal,
    world: &World,
    rehearsal: Rehearsal,
    dry_run: DryRun,
    mut end: End,
) -> Result<Exit, Error> {
    let Rehearsal { intent, checks, admin_steps, then } = rehearsal;
    let (journal, terminal) = (&stored.journal, session.terminal);
    let mut preview = preview(intent, world, journal, checks, Timestamp::now());
    if preview.end == PreviewEnd::Done && then.is_none() {
        let over = writes::delete_journal(journal, &stored.uid, None);
        preview.steps.push(Step::Write(Box::new(over)));
    }
    let mut stage = Stage { session, dry_run, shown: Vec::new(), written: BTreeSet::new() };
    for step in &preview.steps {
        match step {
            Step::Wait(what) => terminal.say(&format!("waits for {what}")),
            Step::Write(write) if admin_steps && write.object().resource == Resource::VOLUME => {
                let line = write.as_kubectl(Mode::ClientDryRun, &[]);
                terminal.say(&format!("waits for an administrator to run: {line}"));
            }
            Step::Write(write) => stage.show(write, &mut end).await?,
        }
    }
    match preview.end {
        PreviewEnd::Done => then.iter().for_each(|then| terminal.say(then)),
        PreviewEnd::Waits(what) => {
            terminal
                .say(&format!("then it would wait for {what}, and decide on what is there then"));
        }
        PreviewEnd::Stops(finding) => {
            end.exit = rules::refused_for(&finding);
            end.findings.push(finding);
        }
    }
    report_state(session, world, stored, &end, None, &stage.shown)
}

/// The writes that were shown.
struct Stage<'a> {
    session: &'a Session,
    dry_run: DryRun,
    shown: Vec<String>,
    /// The objects that they are to.
    written: BTreeSet<String>,
}

impl Stage<'_> {
    /// Shows a write; the server tries it, if it is asked to. What builds on a write to the
    /// same object before it cannot be tried, because that was not made.
    async fn show(&mut self, write: &Write, end: &mut End) -> Result<(), Error> {
        let cluster = &self.session.cluster;
        let is_first = self.written.insert(write.object().to_string());
        let mode =
            if self.dry_run == DryRun::Server { Mode::ServerDryRun } else { Mode::ClientDryRun };
        match cluster.write(write, mode).await {
            Ok(_) => self.shown.push(write.done(mode)),
            Err(failure) => {
                let refusal = refusal(write, failure)?;
                let is_untried = refusal.id == rules::NOT_TRIED.id;
                if is_first && !is_untried {
                    end.findings.push(refusal);
                    end.exit = Exit::Refused;
                    return Ok(());
                }
                if is_untried {
                    end.findings.push(refusal.at(Severity::Warning));
                }
                cluster.write(write, Mode::ClientDryRun).await?;
                self.shown.push(write.done(Mode::ClientDryRun));
            }
        }
        Ok(())
    }
}
