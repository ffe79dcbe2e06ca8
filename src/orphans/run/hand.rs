//! Sending writes one by one, and waiting, for both verbs that change
//! something.

use std::time::{Duration, Instant};

use crate::{
    cluster::{Cluster, Failure, Write},
    output::{Confirmed, Error, Exit},
    steps::{Sender, Sent, Teller},
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

impl From<Option<Exit>> for Went {
    fn from(exit: Option<Exit>) -> Went {
        exit.map_or(Went::On, Went::Interrupted)
    }
}

pub struct Hand<'a> {
    pub cluster: &'a Cluster,
    pub sender: Sender,
    timeout: Duration,
    waiting: Option<(String, Instant)>,
}

impl<'a> Hand<'a> {
    pub fn new(
        cluster: &'a Cluster,
        confirmed: Confirmed,
        teller: Teller,
        timeout: Duration,
    ) -> Self {
        let sender = Sender::new(cluster, confirmed, teller);
        Hand { cluster, sender, timeout, waiting: None }
    }

    /// Sends a write. Where the world has changed, or nobody knows whether it
    /// was written, the next look says what is.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again.
    pub async fn write(&mut self, write: &Write) -> Result<Went, Error> {
        self.waiting = None;
        match self.sender.send(write).await? {
            Sent::Done(_) => return Ok(Went::On),
            Sent::Interrupted(exit) => return Ok(Went::Interrupted(exit)),
            Sent::Failed(Failure::NotFound(_)) if self.sender.may_try_again() => {}
            Sent::Failed(failure) => self.sender.look_again_after(failure)?,
        }
        Ok(self.sender.rest().await.into())
    }

    /// A look that failed for a moment is tried again.
    ///
    /// # Errors
    /// When it is not only for a moment.
    pub async fn missed(&mut self, failure: Failure) -> Result<Went, Error> {
        self.sender.look_again_after(failure)?;
        Ok(self.sender.rest().await.into())
    }

    /// Waits a moment for something, until the time for it is over.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub async fn wait(&mut self, what: &str) -> Result<Went, Error> {
        let since = match &self.waiting {
            Some((said, since)) if said == what => *since,
            _ => {
                self.sender.teller.waiting(what)?;
                let now = Instant::now();
                self.waiting = Some((what.to_owned(), now));
                now
            }
        };
        if !self.timeout.is_zero() && since.elapsed() >= self.timeout {
            return Ok(Went::Timeout);
        }
        Ok(self.sender.nap((since.elapsed() / 4).clamp(LOOK, SELDOM)).await.into())
    }

    /// Reads, or is interrupted.
    pub async fn look<T>(&mut self, read: impl Future<Output = T>) -> Result<T, Exit> {
        tokio::select! {
            found = read => Ok(found),
            exit = &mut self.sender.signal => Err(exit),
        }
    }
}
