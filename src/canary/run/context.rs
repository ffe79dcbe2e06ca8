//! What every verb that writes works with: the live set, what this run has seen
//! of it, and the results of the checks.

use std::{cell::RefCell, collections::HashSet, rc::Rc, time::Duration};

use jiff::Timestamp;

use super::{claims, look::last_picture, session::Session};
use crate::{
    canary::{
        no_canary,
        plan::Memory,
        record::{Phase, Record},
        report::{self, GateView, View},
        rules,
    },
    cluster::read::Reading,
    output::{Confirmed, Error, Exit, Look},
    steps::{self, End, LiveSet, PodToDelete, Progress, Stop, WriteOutcome, watch_loop::LAST_READ},
    workload::{Allowed, Facts, StatefulSet, Survey},
};

/// The last result of each check, by index.
pub type CheckResults = Rc<RefCell<Vec<(u32, GateView)>>>;

pub struct RunContext<'a> {
    pub session: &'a Session,
    pub live: LiveSet,
    pub memory: Memory,
    pub check_results: CheckResults,
    /// uids of the pods that this run deleted: the watch may not have shown
    /// them terminating yet.
    deleted: HashSet<String>,
    /// Whether claims that may not be read are no reason to stop: that was
    /// allowed, or said before the first write.
    pub without_claims: bool,
    /// The guards that were overridden, to be kept with the canary.
    pub allowed: Allowed,
}

/// How soon claims are read again after a failure that passes.
const CLAIMS_AGAIN: Duration = Duration::from_secs(1);

impl<'a> RunContext<'a> {
    pub fn new(session: &'a Session, reading: Reading, confirmed: Confirmed) -> RunContext<'a> {
        let (terminal, output) = (session.terminal, session.output);
        let progress = Progress { terminal, output, command: "canary" };
        RunContext {
            session,
            live: LiveSet::new(&session.cluster, reading, confirmed, progress),
            memory: Memory::default(),
            check_results: CheckResults::default(),
            deleted: HashSet::new(),
            without_claims: false,
            allowed: Allowed::default(),
        }
    }

    pub fn facts(&self) -> &Facts {
        self.live.facts()
    }

    pub fn set(&self) -> &StatefulSet {
        self.live.set()
    }

    /// Deletes a pod once; after that, waits for the watch to show it
    /// terminating. `reason` is shown beside the write, `why` is told.
    ///
    /// # Errors
    /// As for [`LiveSet::write`].
    pub async fn delete_once(
        &mut self,
        pod: &PodToDelete,
        reason: &str,
        why: &str,
    ) -> Result<(), Stop> {
        if self.deleted.contains(&pod.uid) {
            return self.live.wait(None).await;
        }
        if !self.claims_stay(std::slice::from_ref(&pod.name)).await? {
            return Ok(());
        }
        self.live.tell(&format!("deleting {}: {why}", pod.name))?;
        let write = pod.delete(self.set(), reason);
        if self.live.write(&write).await? == WriteOutcome::Done {
            self.deleted.insert(pod.uid.clone());
        }
        Ok(())
    }

    /// Looks at the claims of pods that the next write makes go. `false` where
    /// they could not be read just now, and everything is to be looked at again.
    ///
    /// # Errors
    /// Where a claim would go with its pod, or may not be read; after a signal.
    pub async fn claims_stay(&mut self, pods: &[String]) -> Result<bool, Stop> {
        let survey = Survey::new(self.live.facts(), Timestamp::now());
        let (exit, findings) = match claims::look(&self.session.cluster, &survey, pods).await {
            Ok(Ok(findings)) if findings.is_empty() => return Ok(true),
            Ok(Ok(findings)) => (Exit::Conflict, findings),
            Ok(Err(_)) if self.without_claims => return Ok(true),
            Ok(Err(unread)) => {
                (Exit::Incomplete, vec![claims::unread_finding(self.live.facts(), &unread)])
            }
            Err(failure) => {
                self.live.sender.look_again_after(failure)?;
                self.live.sender.sleep(CLAIMS_AGAIN).await?;
                return Ok(false);
            }
        };
        for finding in &findings {
            self.live.tell(&format!("stopped: {}", finding.message))?;
        }
        Err(Stop::Blocked(End { exit, findings }))
    }

    /// Whether the set is there, with no canary on it.
    pub fn is_over(&self, uid: &str) -> bool {
        !self.live.is_replaced(uid) && matches!(Record::of(self.set()), Ok(None))
    }

    /// The set that this run is about is gone. Of another one of its name more can
    /// be said; of none nothing.
    pub fn replaced(&self, when: &str) -> Stop {
        let set = self.set();
        let message = format!("{} was deleted {when}", set.name);
        let finding = rules::REPLACED.found(set.reference(), message);
        let finding = if self.live.is_gone() {
            finding
        } else {
            // One that has taken over its pods may wait for a broken one of them.
            finding.hint(no_canary::look_or_unstick(&Survey::new(self.facts(), Timestamp::now())))
        };
        Stop::with(Exit::Conflict, finding)
    }

    /// What to report. Rights that are lost in the middle stop a canary like all
    /// else that does: it stays where it is, and goes on from there.
    ///
    /// # Errors
    /// When the run failed in another way, or before there was a canary.
    pub fn end_of(&self, outcome: Result<End, Stop>) -> Result<End, Error> {
        let record = Record::of(self.set()).ok().flatten().filter(|_| !self.live.is_gone());
        match (outcome, record) {
            (Err(Stop::Failed(error)), Some(record)) if error.is_forbidden => {
                let said = error.headline().trim_start_matches("Error from server (Forbidden): ");
                let finding = rules::NO_RIGHTS.found(self.set().reference(), said);
                let line = match record.phase {
                    Phase::Aborting => self.session.command("abort"),
                    Phase::Rolling | Phase::Staged => self.session.to_continue.clone(),
                };
                Ok(End::with(error.exit, finding.hint(line)))
            }
            (outcome, _) => End::of(outcome),
        }
    }

    /// Reports what is waited for: in the live view, or as a line when it
    /// changes.
    ///
    /// # Errors
    /// When it cannot be drawn or written.
    pub fn report_wait(
        &mut self,
        record: Option<&Record>,
        what: &str,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        if !self.live.draws() {
            return self.live.report_wait(what, until);
        }
        let now = Timestamp::now();
        let mut view = View::new(self.facts(), record, Some(&self.memory), now);
        view.add(&self.check_results.borrow());
        view.waiting = Some(steps::wait_text(what, until));
        let look = Look::of(self.session.terminal, now);
        self.live.draw(&report::tree(&view, &[], look))
    }

    /// Reports how the run ended, what is in the way, and the command line that
    /// continues.
    ///
    /// # Errors
    /// When the run failed, or the report cannot be written.
    pub async fn close(&mut self, outcome: Result<End, Stop>) -> Result<Exit, Error> {
        let end = self.end_of(outcome)?;
        // The watches may not have told yet what the last write has done, or who
        // was faster. A server that is away leaves what was known before.
        let _ = tokio::time::timeout(LAST_READ, self.live.mirror.refresh()).await;
        let cluster = &self.session.cluster;
        let mut view = last_picture(cluster, self.facts(), Some(&self.memory)).await;
        view.add(&self.check_results.borrow());
        if end.findings.iter().any(|finding| finding.id == rules::REPLACED.id) {
            view.drop_deleted();
        }
        let mut findings = end.findings.clone();
        view.go_on_by(&self.session.onward, end.exit, &mut findings);
        view.writes.clone_from(&self.live.sender.writes);
        let look = Look::of(self.session.terminal, Timestamp::now());
        let text = report::render(&view, end.exit, &findings, self.session.output, look)?;
        if !self.live.draw_last(&text)? {
            self.session.terminal.conclude(&text)?;
        }
        if end.is_interrupted() {
            let line = &self.session.to_continue;
            self.session
                .terminal
                .say(&format!("interrupted; {}\nhint: to continue: {line}", view.without_us()));
        }
        Ok(end.exit)
    }
}
