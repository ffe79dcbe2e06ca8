//! What every verb that writes has in its hand: the set as it is now, the
//! right to write, and the word to whoever watches.

use std::{collections::HashSet, future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

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
    output::{Confirmed, Error, Exit, Format, Live, Look, text::clock},
};

/// So often in a row a write may find the world changed, or get no answer.
const MOST_TRIES: u32 = 8;
/// Between such tries; a server that is being restarted needs some.
const PAUSE: Duration = Duration::from_millis(500);
/// On a terminal ages are drawn anew this often; that asks the server nothing.
const TICK: Duration = Duration::from_secs(1);
/// After Ctrl-C, the answer to a write under way is worth this much.
const LAST_WORD: Duration = Duration::from_secs(3);

/// How a write went.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// The world is another one, or nobody knows whether it was written. It
    /// has been read again: decide again.
    LookAgain,
    Interrupted(Exit),
}

/// Something that happened, or is waited for: a line of `-o jsonl`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event<'a> {
    /// `kubectl-stateful/canary-event/v1`.
    schema: &'static str,
    #[cfg_attr(test, schemars(with = "String"))]
    time: Timestamp,
    /// `waiting`, `done` for a write, or `said`.
    class: &'static str,
    message: &'a str,
}

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
    signal: Pin<Box<dyn Future<Output = Exit>>>,
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
        }
    }

    /// Sends a write. What it was decided on is its precondition.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again.
    pub async fn write(&mut self, write: &Write) -> Result<Written, Error> {
        let cluster = self.session.cluster.clone();
        let mode = Mode::Real(&self.confirmed);
        let outcome = {
            let sent = cluster.write(write, mode);
            tokio::pin!(sent);
            tokio::select! {
                outcome = &mut sent => outcome,
                exit = &mut self.signal => {
                    if let Ok(Ok(_)) = tokio::time::timeout(LAST_WORD, sent).await {
                        self.writes.push(write.done(mode));
                    } else {
                        self.session.terminal.say("the last write got no answer: it may have happened");
                    }
                    return Ok(Written::Interrupted(exit));
                }
            }
        };
        let failure = match outcome {
            Ok(object) => {
                self.tries = 0;
                let done = write.done(mode);
                self.stream("done", &done)?;
                self.writes.push(done);
                if let Some(object) = object.filter(|object| object["kind"] == "StatefulSet") {
                    self.mirror.wrote(read::set_of(object)?);
                }
                return Ok(Written::Done);
            }
            // The pod to be deleted is gone already.
            Err(Failure::NotFound(_)) if write.object().name != self.session.name => {
                return self.look_again().await;
            }
            Err(failure) => failure,
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
            let waiting = report::waiting(what, until);
            self.session.terminal.say(&format!("{}  waiting for {waiting}", clock(now)));
            self.stream("waiting", &waiting)?;
        }
        Ok(())
    }

    /// With `-o jsonl`, a line of its own for what happens.
    fn stream(&self, class: &'static str, message: &str) -> Result<(), Error> {
        if self.session.output != Format::Jsonl {
            return Ok(());
        }
        let (schema, time) = ("kubectl-stateful/canary-event/v1", Timestamp::now());
        let line = serde_json::to_string(&Event { schema, time, class, message })
            .map_err(|error| Error::new(Exit::Error, format!("cannot write: {error}")))?;
        match self.session.terminal.answer(&(line + "\n")) {
            // Who reads may leave; the canary goes on, and stderr says how.
            Err(error) if error.reader_left => Ok(()),
            other => other,
        }
    }

    /// Says something that happened.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.session.terminal.say(&format!("{}  {what}", clock(Timestamp::now())));
        self.stream("said", what)
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
