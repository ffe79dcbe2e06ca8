//! A StatefulSet under change: its live state, the writes to it, the progress.

use std::{future::Future, time::Duration};

use jiff::Timestamp;

use super::{Progress, Reply, Sender, Stop, WriteOutcome, watch_loop::LAST_READ};
use crate::{
    cluster::{
        Cluster, Failure, Mirror, Resource, Write,
        read::{self, Reading},
    },
    output::{
        Confirmed, Error, Format, Live,
        text::{clock, one_line},
    },
    workload::{Facts, StatefulSet},
};

/// How often ages are redrawn on a terminal; that asks the server nothing.
const TICK: Duration = Duration::from_secs(1);

pub struct LiveSet {
    pub mirror: Mirror,
    pub sender: Sender,
    live: Option<Live>,
    last_wait: Option<String>,
}

impl LiveSet {
    pub fn new(
        cluster: &Cluster,
        reading: Reading,
        confirmed: Confirmed,
        progress: Progress,
    ) -> LiveSet {
        let draws = progress.terminal.stdout_is_tty
            && matches!(progress.output, Format::Table | Format::Wide);
        LiveSet {
            mirror: Mirror::follow(cluster, reading),
            sender: Sender::new(cluster, confirmed, progress),
            live: draws.then(|| Live::new(progress.terminal)),
            last_wait: None,
        }
    }

    /// The set and what was read around it, as of now.
    pub fn facts(&self) -> &Facts {
        self.mirror.facts()
    }

    /// The set as of now.
    pub fn set(&self) -> &StatefulSet {
        &self.mirror.facts().set
    }

    /// Whether this set is gone, or another one has its name.
    pub fn is_replaced(&self, uid: &str) -> bool {
        self.mirror.set_is_gone() || self.set().uid != uid
    }

    /// Whether there is no set of this name any more.
    pub fn is_gone(&self) -> bool {
        self.mirror.set_is_gone()
    }

    /// Sends a write. Its preconditions are what it was decided on.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again; after a signal.
    pub async fn write(&mut self, write: &Write) -> Result<WriteOutcome, Stop> {
        let reply = self.sender.write(write).await;
        if let Err(Stop::Interrupted(_)) = reply {
            // The report that follows shows what the write did, answered or not. If
            // the server is away, it shows what was known before.
            let _ = tokio::time::timeout(LAST_READ, self.mirror.refresh()).await;
        }
        match reply? {
            Reply::Done(object) => {
                if let Some(object) = object.filter(|object| object["kind"] == "StatefulSet") {
                    self.mirror.wrote(read::set_of(object)?);
                }
                return Ok(WriteOutcome::Done);
            }
            // The pod to be deleted is gone already.
            Reply::Failed(Failure::NotFound(_))
                if write.object().resource != Resource::STATEFUL_SET => {}
            Reply::Failed(failure) => self.sender.look_again_after(failure)?,
        }
        self.look_again().await?;
        Ok(WriteOutcome::LookAgain)
    }

    /// Reads the set and its pods again, as long as only the connection fails.
    ///
    /// # Errors
    /// When the server refuses for good; after a signal.
    pub async fn look_again(&mut self) -> Result<(), Stop> {
        loop {
            self.sender.pause().await?;
            match self.mirror.refresh().await {
                Ok(()) => return Ok(()),
                Err(failure) => self.sender.look_again_after(failure)?,
            }
        }
    }

    /// Reads the revisions again, as long as only the connection fails.
    ///
    /// # Errors
    /// When the server refuses; after a signal.
    pub async fn read_revisions(&mut self) -> Result<(), Stop> {
        loop {
            match self.mirror.refresh_revisions().await {
                Ok(()) => return Ok(()),
                Err(failure) => self.sender.look_again_after(failure)?,
            }
            self.sender.pause().await?;
        }
    }

    /// Waits for a change in the cluster, or until `until`.
    ///
    /// # Errors
    /// After a signal.
    pub async fn wait(&mut self, until: Option<Timestamp>) -> Result<(), Stop> {
        let rest = until.map(|until| until.duration_since(Timestamp::now()));
        let rest = rest.map(|rest| Duration::try_from(rest).unwrap_or_default());
        let limit =
            if self.live.is_some() { Some(rest.map_or(TICK, |rest| rest.min(TICK))) } else { rest };
        let timer = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.mirror.changed() => Ok(()),
            () = timer => Ok(()),
            exit = &mut self.sender.signal => Err(Stop::Interrupted(exit)),
        }
    }

    /// Waits for `work`, or for a change in the cluster: `None` when the change
    /// came first. `work` can then be waited for again.
    ///
    /// # Errors
    /// After a signal.
    pub async fn work_or_wait<T>(
        &mut self,
        work: &mut (impl Future<Output = T> + Unpin),
    ) -> Result<Option<T>, Stop> {
        tokio::select! {
            done = work => Ok(Some(done)),
            waited = self.wait(None) => waited.map(|()| None),
        }
    }

    /// Whether a live view is drawn in place.
    pub fn draws(&self) -> bool {
        self.live.is_some()
    }

    /// Redraws the live view.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn draw(&mut self, view: &str) -> Result<(), Error> {
        self.live.as_mut().map_or(Ok(()), |live| live.draw(view))
    }

    /// Reports what is waited for, where no live view shows it: one line each
    /// time it changes.
    ///
    /// # Errors
    /// When the event cannot be written to stdout.
    pub fn report_wait(&mut self, what: &str, until: Option<Timestamp>) -> Result<(), Error> {
        if self.last_wait.as_deref() == Some(what) {
            return Ok(());
        }
        self.last_wait = Some(what.to_owned());
        self.sender.progress.waiting(&wait_text(what, until))
    }

    /// Reports something that happened.
    ///
    /// # Errors
    /// When the event cannot be written to stdout.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.sender.progress.tell(what)
    }

    /// Replaces the live view by the final report; `false` where there is no
    /// live view.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn draw_last(&mut self, text: &str) -> Result<bool, Error> {
        match self.live.take() {
            Some(live) => live.finish(text).map(|()| true),
            None => Ok(false),
        }
    }
}

/// `web-2 to be Ready, until 10:51:07Z`.
pub fn wait_text(what: &str, until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("{}, until {}", one_line(what), clock(until)),
        None => one_line(what),
    }
}
