//! What every verb that writes has in its hand: the set as it is now, what this
//! run has seen of it, and what checks have said.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Session, checks::Said};
use crate::{
    canary::{
        plan::Memory,
        record::Record,
        report::{self, View},
    },
    cluster::{Write, read::Reading},
    output::{Confirmed, Error, Exit, Look},
    steps::{self, HeldSet, Teller, Written},
};

pub struct Hand<'a> {
    pub session: &'a Session,
    pub set: HeldSet,
    pub memory: Memory,
    /// What checks have said, for the report.
    pub said_by_checks: Said,
    /// uids of the pods that were deleted here and may not have been seen
    /// leaving.
    deleted: HashSet<String>,
}

impl<'a> Hand<'a> {
    pub fn new(session: &'a Session, reading: Reading, confirmed: Confirmed) -> Hand<'a> {
        let (terminal, output) = (session.terminal, session.output);
        let teller = Teller { terminal, output, command: "canary" };
        Hand {
            session,
            set: HeldSet::new(&session.cluster, reading, confirmed, teller),
            memory: Memory::default(),
            said_by_checks: Said::default(),
            deleted: HashSet::new(),
        }
    }

    /// Deletes a pod once; after that it waits for it to be seen leaving. The
    /// exit code of a signal that came first.
    ///
    /// # Errors
    /// As for [`HeldSet::write`].
    pub async fn replace(
        &mut self,
        write: &Write,
        uid: &str,
        why: &str,
    ) -> Result<Option<Exit>, Error> {
        if self.deleted.contains(uid) {
            return Ok(self.set.wait(None).await);
        }
        self.set.tell(&format!("deleting {}: {why}", write.object().name))?;
        match self.set.write(write).await? {
            Written::Done => {
                self.deleted.insert(uid.to_owned());
                Ok(None)
            }
            Written::LookAgain => Ok(None),
            Written::Interrupted(exit) => Ok(Some(exit)),
        }
    }

    /// Whether the set is there and nothing of a canary is left on it.
    pub fn is_over(&self, uid: &str) -> bool {
        let set = &self.set.mirror.facts().set;
        !self.set.mirror.set_is_gone() && set.uid == uid && matches!(Record::of(set), Ok(None))
    }

    /// Says what is waited for: in the live view, or a line when it changes.
    ///
    /// # Errors
    /// When it cannot be drawn, or written.
    pub fn say(
        &mut self,
        record: Option<&Record>,
        what: &str,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        if !self.set.draws() {
            return self.set.waits_for(what, until);
        }
        let now = Timestamp::now();
        let mut view = View::new(self.set.mirror.facts(), record, Some(&self.memory), now);
        view.add(&self.said_by_checks.borrow());
        view.waiting = Some(steps::waiting(what, until));
        let look = Look::of(self.session.terminal, now);
        self.set.draw(&report::tree(&view, &[], look))
    }
}
