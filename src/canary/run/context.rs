//! What every verb that writes works with: the live set, what this run has seen
//! of it, and the results of the checks.

use std::{cell::RefCell, collections::HashSet, rc::Rc, time::Duration};

use jiff::Timestamp;

use super::{claims, look::last_picture, session::Session};
use crate::{
    canary::{
        lines, no_canary,
        plan::{Memory, State},
        record::{Phase, Record},
        report::{self, GateView, View},
        rules,
    },
    cluster::read::Reading,
    output::{Confirmed, Error, Exit, Look},
    steps::{self, ANSWER_GRACE, End, LiveSet, PodToDelete, Progress, Stop, WriteOutcome},
    workload::{Allowed, Facts, Finding, StatefulSet, Survey},
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
    /// Whether this run has seen its canary. Without one after that, it is over.
    pub has_begun: bool,
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
            has_begun: false,
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
            // They could be read before the first write, or that was allowed.
            Ok(Err(unread)) => (Exit::Error, vec![self.lost_right(&unread.why)]),
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
        match outcome {
            Err(Stop::Failed(error)) if error.is_forbidden && self.record().is_some() => {
                let said = error.headline().trim_start_matches("Error from server (Forbidden): ");
                Ok(End::with(error.exit, self.lost_right(said)))
            }
            outcome => End::of(outcome),
        }
    }

    /// The finding for a right that was there when the run began.
    fn lost_right(&self, said: &str) -> Finding {
        let line = self.line_that_goes_on().unwrap_or_else(|| self.session.command("status"));
        rules::NO_RIGHTS.found(self.set().reference(), said).hint(line)
    }

    /// Stops where what everything is decided on may not be read any more.
    ///
    /// # Errors
    /// The server's answer, then.
    pub fn may_look(&self) -> Result<(), Stop> {
        self.live.mirror.lost_right().map_or(Ok(()), |failure| Err(failure.clone().into()))
    }

    /// The record of a canary that is under way.
    pub fn record(&self) -> Option<Record> {
        Record::of(self.set()).ok().flatten().filter(|_| !self.live.is_gone())
    }

    /// The line that goes on from where the canary is now: what has begun to go back is
    /// not begun again. None where the canary is over.
    fn line_that_goes_on(&self) -> Option<String> {
        match self.record() {
            Some(record) if record.phase == Phase::Aborting && !self.session.is("abort") => {
                Some(lines::abort(&State::new(self.facts(), &record, Timestamp::now())))
            }
            None if self.has_begun => None,
            _ => Some(self.session.to_continue.clone()),
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
        if let Some(why) = self.read_again().await {
            let shown =
                "the set could not be read again, so what is shown may be older than the last";
            self.session.terminal.warn(&format!("{shown} write: {why}"));
        }
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
            let said = match self.line_that_goes_on() {
                Some(line) => format!("{}\nhint: to continue: {line}", view.without_us()),
                None => format!("the canary is over\nhint: {}", self.session.command("status")),
            };
            self.session.terminal.say(&format!("interrupted; {said}"));
        }
        Ok(end.exit)
    }

    /// Reads the set and its pods again, for the last picture; why that was not possible.
    async fn read_again(&mut self) -> Option<String> {
        match tokio::time::timeout(ANSWER_GRACE, self.live.mirror.refresh()).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(Error::from(failure).headline().to_owned()),
            Err(_) => Some("the server did not answer in time".to_owned()),
        }
    }
}
