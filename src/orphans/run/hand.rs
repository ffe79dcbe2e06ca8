//! Looking, sending writes one by one, and waiting, for both verbs that change
//! something.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    cluster::{Cluster, Failure, Write},
    orphans::{delete::Next, model::Facts, rules},
    output::{Confirmed, Error, Exit},
    steps::{self, Sender, Sent, Teller},
    workload::Finding,
};

/// How soon something that only takes time is looked at again; what takes
/// longer is looked at less often.
const LOOK: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(2);

/// The exit code, and what it is for.
pub type End = (Exit, Vec<Finding>);

/// How a look went.
pub enum Looked<T> {
    Found(T),
    /// It failed for a moment.
    Again,
    End(End),
}

pub struct Hand<'a> {
    pub cluster: &'a Cluster,
    pub sender: Sender,
    timeout: Duration,
    waiting: Option<Waiting>,
    /// What may use the thing in hand, as it was before a wait. Nothing is
    /// written on it.
    known: Option<Arc<Facts>>,
}

struct Waiting {
    what: String,
    said: String,
    since: Instant,
}

impl<'a> Hand<'a> {
    pub fn new(
        cluster: &'a Cluster,
        confirmed: Confirmed,
        teller: Teller,
        timeout: Duration,
    ) -> Self {
        let sender = Sender::new(cluster, confirmed, teller);
        Hand { cluster, sender, timeout, waiting: None, known: None }
    }

    /// What is known is of another object than the next one.
    pub fn begin(&mut self) {
        self.known = None;
        self.waiting = None;
    }

    /// What a look need not read again: while something only takes time, what
    /// else there is does not matter.
    pub fn known(&self) -> Option<Arc<Facts>> {
        self.known.clone()
    }

    /// Whether the look that `next` was decided on was a whole one, or whole
    /// enough for it. `None` stands for a refusal.
    pub fn is_sure_of(&mut self, next: Option<&Next<'_>>, facts: &Arc<Facts>) -> bool {
        if let Some(Next::Wait { .. }) = next {
            self.known = Some(Arc::clone(facts));
            return true;
        }
        self.known.take().is_none()
    }

    /// Reads; what fails for a moment is tried again.
    ///
    /// # Errors
    /// When it is not only for a moment.
    pub async fn look<T>(
        &mut self,
        read: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Looked<T>, Error> {
        let found = tokio::select! {
            found = read => found,
            exit = &mut self.sender.signal => return Ok(Looked::End(self.interrupted(exit))),
        };
        match found {
            Ok(found) => Ok(Looked::Found(found)),
            Err(failure) => {
                self.sender.look_again_after(failure)?;
                Ok(match self.sender.rest().await {
                    Some(exit) => Looked::End(self.interrupted(exit)),
                    None => Looked::Again,
                })
            }
        }
    }

    /// Takes a step; `None` to look again and decide again. `on` is what it is
    /// about.
    ///
    /// # Errors
    /// When the server refuses for good, or a line of the answer cannot be
    /// written.
    pub async fn step(&mut self, next: &Next<'_>, on: &str) -> Result<Option<End>, Error> {
        match next {
            Next::Write(write) => self.write(write).await,
            Next::Wait { what, why } => self.wait(what, *why, on).await,
        }
    }

    /// Where the world has changed, or nobody knows whether it was written, the
    /// next look says what is.
    async fn write(&mut self, write: &Write) -> Result<Option<End>, Error> {
        self.waiting = None;
        match self.sender.send(write).await? {
            Sent::Done(_) => return Ok(None),
            Sent::Interrupted(exit) => return Ok(Some(self.interrupted(exit))),
            Sent::Failed(Failure::NotFound(_)) if self.sender.may_try_again() => {}
            Sent::Failed(failure) => self.sender.look_again_after(failure)?,
        }
        Ok(self.sender.rest().await.map(|exit| self.interrupted(exit)))
    }

    async fn wait(
        &mut self,
        what: &str,
        why: Option<&str>,
        on: &str,
    ) -> Result<Option<End>, Error> {
        let text = why.map_or_else(|| what.to_owned(), |why| format!("{what}: {why}"));
        let mut waiting = match self.waiting.take() {
            Some(waiting) if waiting.what == what => waiting,
            _ => Waiting { what: what.to_owned(), said: String::new(), since: Instant::now() },
        };
        if waiting.said != text {
            self.sender.teller.waiting(&text)?;
            waiting.said.clone_from(&text);
        }
        let elapsed = waiting.since.elapsed();
        self.waiting = Some(waiting);
        if !self.timeout.is_zero() && elapsed >= self.timeout {
            let finding = rules::NOT_YET.found(on.to_owned(), format!("waited in vain for {text}"));
            return Ok(Some(self.stopped(Exit::Timeout, finding.hint(steps::repeat()))));
        }
        let interrupted = self.sender.nap((elapsed / 4).clamp(LOOK, SELDOM)).await;
        Ok(interrupted.map(|exit| self.interrupted(exit)))
    }

    /// Somebody does not want to go on.
    fn interrupted(&self, exit: Exit) -> End {
        self.sender.teller.terminal.say(&format!("hint: to go on: {}", steps::repeat()));
        (exit, Vec::new())
    }

    /// Something is in the way half way.
    pub fn stopped(&self, exit: Exit, finding: Finding) -> End {
        self.sender.teller.terminal.say(&format!("{}: {}", finding.id, finding.message));
        (exit, vec![finding])
    }
}
