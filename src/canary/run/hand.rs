//! What every verb that writes has in its hand: the set as it is now, the
//! right to write, and the word to whoever watches.

use std::{collections::HashSet, future::Future, time::Duration};

use jiff::Timestamp;

use super::{Session, checks::Said};
use crate::{
    canary::{
        plan::Memory,
        record::Record,
        report::{self, View},
    },
    cluster::{
        Failure, Mirror, Mode, Write,
        read::{self, Reading},
    },
    output::{Confirmed, Error, Exit, Format, Live, Look},
    steps::{MOST_TRIES, PAUSE, Sent, Signal, Teller, Written},
};

/// On a terminal ages are drawn anew this often; that asks the server nothing.
const TICK: Duration = Duration::from_secs(1);
pub struct Hand<'a> {
    pub session: &'a Session,
    pub mirror: Mirror,
    pub memory: Memory,
    /// The writes that were done, as they were named.
    pub writes: Vec<String>,
    /// What checks have said, for the report.
    pub said_by_checks: Said,
    confirmed: Confirmed,
    /// uids of the pods that were deleted here and may not have been seen
    /// leaving.
    deleted: HashSet<String>,
    tries: u32,
    live: Option<Live>,
    said: Option<String>,
    signal: Signal,
    teller: Teller,
}

impl<'a> Hand<'a> {
    pub fn new(session: &'a Session, reading: Reading, confirmed: Confirmed) -> Hand<'a> {
        let draws = session.terminal.stdout_is_tty
            && matches!(session.output, Format::Table | Format::Wide);
        Hand {
            session,
            mirror: Mirror::follow(&session.cluster, reading),
            memory: Memory::default(),
            writes: Vec::new(),
            said_by_checks: Said::default(),
            confirmed,
            deleted: HashSet::new(),
            tries: 0,
            live: draws.then(|| Live::new(session.terminal)),
            said: None,
            signal: Box::pin(crate::steps::interruption()),
            teller: Teller {
                terminal: session.terminal,
                output: session.output,
                command: "canary",
            },
        }
    }

    /// Sends a write. What it was decided on is its precondition.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again.
    pub async fn write(&mut self, write: &Write) -> Result<Written, Error> {
        let cluster = self.session.cluster.clone();
        let mode = Mode::Real(&self.confirmed);
        let failure = match crate::steps::send(&cluster, write, mode, &mut self.signal).await {
            Sent::Interrupted { exit, done } => {
                if done {
                    self.writes.push(write.done(mode));
                } else {
                    self.session.terminal.say("the last write got no answer: it may have happened");
                }
                return Ok(Written::Interrupted(exit));
            }
            Sent::Done(object) => {
                self.tries = 0;
                let done = write.done(mode);
                self.teller.stream("done", &done)?;
                self.writes.push(done);
                if let Some(object) = object.filter(|object| object["kind"] == "StatefulSet") {
                    self.mirror.wrote(read::set_of(object)?);
                }
                return Ok(Written::Done);
            }
            // The pod to be deleted is gone already.
            Sent::Failed(Failure::NotFound(_)) if write.object().name != self.session.name => {
                return self.look_again().await;
            }
            Sent::Failed(failure) => failure,
        };
        let passing = failure.is_transient() || matches!(failure, Failure::Conflict(_));
        self.tries += 1;
        if !passing || self.tries > MOST_TRIES {
            return Err(failure.into());
        }
        let error = Error::from(failure);
        self.session.terminal.say(&format!("{}; looking again", error.headline()));
        self.look_again().await
    }

    /// Deletes a pod once; after that it waits for it to be seen leaving. The
    /// exit code of a signal that came first.
    ///
    /// # Errors
    /// As for [`Hand::write`].
    pub async fn replace(
        &mut self,
        write: &Write,
        uid: &str,
        why: &str,
    ) -> Result<Option<Exit>, Error> {
        if self.deleted.contains(uid) {
            return Ok(self.wait(None).await);
        }
        self.tell(&format!("deleting {}: {why}", write.object().name))?;
        match self.write(write).await? {
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
        let set = &self.mirror.facts().set;
        !self.mirror.set_is_gone() && set.uid == uid && matches!(Record::of(set), Ok(None))
    }

    /// Reads the set and its pods again, for as long as the server is only
    /// away.
    async fn look_again(&mut self) -> Result<Written, Error> {
        loop {
            if self.tries > 1 {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    exit = &mut self.signal => return Ok(Written::Interrupted(exit)),
                }
            }
            match self.mirror.refresh().await {
                Ok(()) => return Ok(Written::LookAgain),
                Err(failure) if failure.is_transient() && self.tries <= MOST_TRIES => {
                    self.tries += 1;
                    let error = Error::from(failure);
                    self.session.terminal.say(&format!("{}; looking again", error.headline()));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Waits for a change in the cluster, or until `until`; the exit code of a
    /// signal that came first.
    pub async fn wait(&mut self, until: Option<Timestamp>) -> Option<Exit> {
        let rest = until.map(|until| until.duration_since(Timestamp::now()));
        let rest = rest.map(|rest| Duration::try_from(rest).unwrap_or_default());
        let nap =
            if self.live.is_some() { Some(rest.map_or(TICK, |rest| rest.min(TICK))) } else { rest };
        let nap = async {
            match nap {
                Some(nap) => tokio::time::sleep(nap).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.mirror.changed() => None,
            () = nap => None,
            exit = &mut self.signal => Some(exit),
        }
    }

    /// Waits for `work`, and for whatever else `wait` waits for: `None` when
    /// something came first, and `work` can be waited for again.
    pub async fn work_or_wait<T>(
        &mut self,
        work: &mut (impl Future<Output = T> + Unpin),
    ) -> Result<Option<T>, Exit> {
        tokio::select! {
            done = work => Ok(Some(done)),
            exit = self.wait(None) => exit.map_or(Ok(None), Err),
        }
    }

    /// Says what is waited for: in the live view, or a line when it changes.
    pub fn say(
        &mut self,
        record: Option<&Record>,
        what: &str,
        until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let now = Timestamp::now();
        if let Some(live) = &mut self.live {
            let mut view = View::new(self.mirror.facts(), record, Some(&self.memory), now);
            view.add(&self.said_by_checks.borrow());
            view.waiting = Some(report::waiting(what, until));
            let look = Look::of(self.session.terminal, now);
            return live.draw(&report::tree(&view, &[], look));
        }
        if self.said.as_deref() != Some(what) {
            self.said = Some(what.to_owned());
            self.teller.waiting(&report::waiting(what, until))?;
        }
        Ok(())
    }

    /// Says something that happened.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.teller.tell(what)
    }

    /// Draws the last picture in the place of the live one; `false` where
    /// there is none.
    pub fn draw_last(&mut self, text: &str) -> Result<bool, Error> {
        match self.live.take() {
            Some(mut live) => live.draw(text).map(|()| true),
            None => Ok(false),
        }
    }
}
