//! Sending writes one by one, and waiting, for both verbs that change
//! something.

use std::time::{Duration, Instant};

use crate::{
    cluster::{Cluster, Failure, Mode, Write},
    output::{Error, Exit},
    steps::{MOST_TRIES, PAUSE, Sent, Signal, Teller},
};

/// How soon something that only takes time is looked at again; what takes
/// longer is looked at less often.
const LOOK: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(2);

/// How a step went.
pub enum Went {
    /// Look again and decide again.
    On,
    Interrupted(Exit),
    Timeout,
}

pub struct Hand<'a> {
    pub cluster: &'a Cluster,
    pub mode: Mode<'a>,
    pub teller: Teller,
    /// What was written, in order.
    pub writes: Vec<String>,
    signal: Signal,
    timeout: Duration,
    waiting: Option<(String, Instant)>,
    tries: u32,
}

impl<'a> Hand<'a> {
    pub fn new(cluster: &'a Cluster, mode: Mode<'a>, teller: Teller, timeout: Duration) -> Self {
        Hand {
            cluster,
            mode,
            teller,
            writes: Vec::new(),
            signal: Box::pin(crate::steps::interruption()),
            timeout,
            waiting: None,
            tries: 0,
        }
    }

    /// Sends a write. Where the world has changed, or nobody knows whether it
    /// was written, the next look says what is.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again.
    pub async fn write(&mut self, write: &Write) -> Result<Went, Error> {
        self.waiting = None;
        let sent = crate::steps::send(self.cluster, write, self.mode, &mut self.signal).await;
        let failure = match sent {
            Sent::Done(_) => {
                self.tries = 0;
                let done = write.done(self.mode);
                self.teller.stream("done", &done)?;
                self.writes.push(done);
                return Ok(Went::On);
            }
            Sent::Interrupted { exit, done } => {
                if done {
                    self.writes.push(write.done(self.mode));
                } else {
                    self.teller.terminal.say("the last write got no answer: it may have happened");
                }
                return Ok(Went::Interrupted(exit));
            }
            Sent::Failed(failure) => failure,
        };
        self.tries += 1;
        let again = failure.is_transient()
            || failure.is_conflict()
            || matches!(failure, Failure::NotFound(_));
        if !again || self.tries > MOST_TRIES {
            return Err(failure.into());
        }
        let error = Error::from(failure);
        self.teller.terminal.say(&format!("{}; looking again", error.headline()));
        Ok(self.nap(if self.tries > 1 { PAUSE } else { Duration::ZERO }).await)
    }

    /// A look that failed for a moment is tried again.
    ///
    /// # Errors
    /// When it is not only for a moment.
    pub async fn missed(&mut self, failure: Failure) -> Result<Went, Error> {
        self.tries += 1;
        if !failure.is_transient() || self.tries > MOST_TRIES {
            return Err(failure.into());
        }
        let error = Error::from(failure);
        self.teller.terminal.say(&format!("{}; looking again", error.headline()));
        Ok(self.nap(PAUSE).await)
    }

    /// Waits a moment for something, until the time for it is over.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub async fn wait(&mut self, what: &str) -> Result<Went, Error> {
        let since = match &self.waiting {
            Some((said, since)) if said == what => *since,
            _ => {
                self.teller.waiting(what)?;
                let now = Instant::now();
                self.waiting = Some((what.to_owned(), now));
                now
            }
        };
        if !self.timeout.is_zero() && since.elapsed() >= self.timeout {
            return Ok(Went::Timeout);
        }
        Ok(self.nap((since.elapsed() / 4).clamp(LOOK, SELDOM)).await)
    }

    async fn nap(&mut self, duration: Duration) -> Went {
        tokio::select! {
            () = tokio::time::sleep(duration) => Went::On,
            exit = &mut self.signal => Went::Interrupted(exit),
        }
    }

    /// Reads, or is interrupted.
    pub async fn look<T>(&mut self, read: impl Future<Output = T>) -> Result<T, Exit> {
        tokio::select! {
            found = read => Ok(found),
            exit = &mut self.signal => Err(exit),
        }
    }
}
