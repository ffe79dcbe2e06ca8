//! Sends one write after another. An interruption still learns how the last
//! write went, and a write that meets a changed object is decided on again.

use std::{future::Future, pin::Pin, time::Duration};

use futures_util::FutureExt;
use serde_json::Value;

use super::{Progress, Stop};
use crate::{
    cluster::{Cluster, Failure, Mode, Write},
    output::{Confirmed, Error, Exit},
};

/// How many writes in a row may meet a changed object, or get no answer.
const MAX_TRIES: u32 = 8;
/// Between such tries; a server that is being restarted needs some time.
const PAUSE: Duration = Duration::from_millis(500);
/// How long to wait for the answer to a write that was under way at Ctrl-C.
pub const ANSWER_GRACE: Duration = Duration::from_secs(3);

/// Ctrl-C, or the request to terminate.
pub type Signal = Pin<Box<dyn Future<Output = Exit>>>;

/// The server's answer to a write.
#[derive(Debug)]
pub enum Reply {
    /// The object as it is now.
    Done(Option<Value>),
    Failed(Failure),
}

/// Whether the next move can build on a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    Done,
    /// The object has changed, or the answer was lost: read, and decide again.
    LookAgain,
}

/// Holds the user's consent, the list of writes so far, and how many tries in a
/// row have failed.
pub struct Sender {
    cluster: Cluster,
    pub confirmed: Confirmed,
    pub progress: Progress,
    pub signal: Signal,
    /// The writes that succeeded, as the report names them.
    pub writes: Vec<String>,
    tries: u32,
}

impl Sender {
    pub fn new(cluster: &Cluster, confirmed: Confirmed, progress: Progress) -> Sender {
        Sender {
            cluster: cluster.clone(),
            confirmed,
            progress,
            // What is asked after the end of a run is asked to the end.
            signal: Box::pin(super::interruption().fuse()),
            writes: Vec::new(),
            tries: 0,
        }
    }

    pub fn mode(&self) -> Mode<'_> {
        Mode::Real(&self.confirmed)
    }

    /// Sends a write.
    ///
    /// # Errors
    /// When the event cannot be written to stdout, and after a signal, which
    /// shortens the wait for the answer.
    pub async fn write(&mut self, write: &Write) -> Result<Reply, Stop> {
        let Sender { cluster, confirmed, progress, signal, writes, tries } = self;
        let mode = Mode::Real(confirmed);
        let reply = cluster.write(write, mode);
        tokio::pin!(reply);
        tokio::select! {
            outcome = &mut reply => match outcome {
                Ok(object) => {
                    *tries = 0;
                    let done = write.done(mode);
                    progress.event("done", &done)?;
                    writes.push(done);
                    Ok(Reply::Done(object))
                }
                Err(failure) => Ok(Reply::Failed(failure)),
            },
            exit = signal => {
                if matches!(tokio::time::timeout(ANSWER_GRACE, reply).await, Ok(Ok(_))) {
                    writes.push(write.done(mode));
                } else {
                    progress.terminal.say("the last write got no answer: it may have happened");
                }
                Err(Stop::Interrupted(exit))
            }
        }
    }

    /// Counts a failed try. Returns whether another one is allowed.
    pub fn may_try_again(&mut self) -> bool {
        self.tries += 1;
        self.tries <= MAX_TRIES
    }

    /// Counts a failure that another look at the cluster may resolve.
    ///
    /// # Errors
    /// The failure itself, where looking again does not help or has not so far.
    pub fn look_again_after(&mut self, failure: Failure) -> Result<(), Error> {
        let passing = failure.is_transient() || failure.is_conflict();
        if !self.may_try_again() || !passing {
            return Err(failure.into());
        }
        let error = Error::from(failure);
        self.progress.terminal.say(&format!("{}; looking again", error.headline()));
        Ok(())
    }

    /// Pauses before the next try; the first one is made at once.
    ///
    /// # Errors
    /// After a signal.
    pub async fn pause(&mut self) -> Result<(), Stop> {
        if self.tries > 1 { self.sleep(PAUSE).await } else { Ok(()) }
    }

    /// Sleeps.
    ///
    /// # Errors
    /// After a signal.
    pub async fn sleep(&mut self, time: Duration) -> Result<(), Stop> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            exit = &mut self.signal => Err(Stop::Interrupted(exit)),
        }
    }
}
