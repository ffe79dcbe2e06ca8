//! Sending writes one after the other, in a way that an interruption finds out
//! how the last one went, and that a restless world is looked at again.

use std::{future::Future, pin::Pin, time::Duration};

use serde_json::Value;

use super::Teller;
use crate::{
    cluster::{Cluster, Failure, Mode, Write},
    output::{Confirmed, Error, Exit},
};

/// So often in a row a write may find the world changed, or get no answer.
const MOST_TRIES: u32 = 8;
/// Between such tries; a server that is being restarted needs some.
const PAUSE: Duration = Duration::from_millis(500);
/// After Ctrl-C, the answer to a write under way is worth this much.
pub const LAST_WORD: Duration = Duration::from_secs(3);

/// Ctrl-C, or the request to end.
pub type Signal = Pin<Box<dyn Future<Output = Exit>>>;

/// How a write went, for whoever decides what comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// The world is another one, or nobody knows whether it was written: look
    /// and decide again.
    LookAgain,
    Interrupted(Exit),
}

/// How a write was answered.
#[derive(Debug)]
pub enum Sent {
    /// The object as it is now.
    Done(Option<Value>),
    Failed(Failure),
    /// Somebody does not want to go on.
    Interrupted(Exit),
}

/// The right to write, what was written, and how often in a row in vain.
pub struct Sender {
    cluster: Cluster,
    pub confirmed: Confirmed,
    pub teller: Teller,
    pub signal: Signal,
    /// The writes that were done, as they were named.
    pub writes: Vec<String>,
    tries: u32,
}

impl Sender {
    pub fn new(cluster: &Cluster, confirmed: Confirmed, teller: Teller) -> Sender {
        Sender {
            cluster: cluster.clone(),
            confirmed,
            teller,
            signal: Box::pin(super::interruption()),
            writes: Vec::new(),
            tries: 0,
        }
    }

    pub fn mode(&self) -> Mode<'_> {
        Mode::Real(&self.confirmed)
    }

    /// Sends a write. A signal meanwhile ends the wait for the answer soon.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub async fn send(&mut self, write: &Write) -> Result<Sent, Error> {
        let Sender { cluster, confirmed, teller, signal, writes, tries } = self;
        let mode = Mode::Real(confirmed);
        let sent = cluster.write(write, mode);
        tokio::pin!(sent);
        tokio::select! {
            outcome = &mut sent => match outcome {
                Ok(object) => {
                    *tries = 0;
                    let done = write.done(mode);
                    teller.stream("done", &done)?;
                    writes.push(done);
                    Ok(Sent::Done(object))
                }
                Err(failure) => Ok(Sent::Failed(failure)),
            },
            exit = signal => {
                if matches!(tokio::time::timeout(LAST_WORD, sent).await, Ok(Ok(_))) {
                    writes.push(write.done(mode));
                } else {
                    teller.terminal.say("the last write got no answer: it may have happened");
                }
                Ok(Sent::Interrupted(exit))
            }
        }
    }

    /// Counts something that was in vain; whether that was not too often.
    pub fn may_try_again(&mut self) -> bool {
        self.tries += 1;
        self.tries <= MOST_TRIES
    }

    /// Says that it will be looked again.
    ///
    /// # Errors
    /// The failure, where looking again does not help, or has not.
    pub fn look_again_after(&mut self, failure: Failure) -> Result<(), Error> {
        let passing = failure.is_transient() || failure.is_conflict();
        if !self.may_try_again() || !passing {
            return Err(failure.into());
        }
        let error = Error::from(failure);
        self.teller.terminal.say(&format!("{}; looking again", error.headline()));
        Ok(())
    }

    /// The pause before the next try; the first one is made at once.
    pub async fn rest(&mut self) -> Option<Exit> {
        if self.tries > 1 { self.nap(PAUSE).await } else { None }
    }

    /// Waits; the exit code of a signal that came first.
    pub async fn nap(&mut self, time: Duration) -> Option<Exit> {
        tokio::select! {
            () = tokio::time::sleep(time) => None,
            exit = &mut self.signal => Some(exit),
        }
    }
}
