//! A set that is followed while it is changed: its watches, the writes, and the
//! word to whoever looks on.

use std::{future::Future, time::Duration};

use jiff::Timestamp;

use super::{Sender, Sent, Teller, Written};
use crate::{
    cluster::{
        Cluster, Failure, Mirror, Resource, Write,
        read::{self, Reading},
    },
    output::{
        Confirmed, Error, Exit, Format, Live,
        text::{clock, one_line},
    },
};

/// On a terminal ages are drawn anew this often; that asks the server nothing.
const TICK: Duration = Duration::from_secs(1);

pub struct HeldSet {
    pub mirror: Mirror,
    pub sender: Sender,
    live: Option<Live>,
    said: Option<String>,
}

impl HeldSet {
    pub fn new(
        cluster: &Cluster,
        reading: Reading,
        confirmed: Confirmed,
        teller: Teller,
    ) -> HeldSet {
        let draws =
            teller.terminal.stdout_is_tty && matches!(teller.output, Format::Table | Format::Wide);
        HeldSet {
            mirror: Mirror::follow(cluster, reading),
            sender: Sender::new(cluster, confirmed, teller),
            live: draws.then(|| Live::new(teller.terminal)),
            said: None,
        }
    }

    /// Sends a write. What it was decided on is its precondition.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again.
    pub async fn write(&mut self, write: &Write) -> Result<Written, Error> {
        match self.sender.send(write).await? {
            Sent::Interrupted(exit) => return Ok(Written::Interrupted(exit)),
            Sent::Done(object) => {
                if let Some(object) = object.filter(|object| object["kind"] == "StatefulSet") {
                    self.mirror.wrote(read::set_of(object)?);
                }
                return Ok(Written::Done);
            }
            // The pod to be deleted is gone already.
            Sent::Failed(Failure::NotFound(_))
                if write.object().resource != Resource::STATEFUL_SET => {}
            Sent::Failed(failure) => self.sender.look_again_after(failure)?,
        }
        self.look_again().await
    }

    /// Reads the set and its pods again, for as long as the server is only
    /// away.
    async fn look_again(&mut self) -> Result<Written, Error> {
        loop {
            if let Some(exit) = self.sender.rest().await {
                return Ok(Written::Interrupted(exit));
            }
            match self.mirror.refresh().await {
                Ok(()) => return Ok(Written::LookAgain),
                Err(failure) => self.sender.look_again_after(failure)?,
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
            exit = &mut self.sender.signal => Some(exit),
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

    /// Whether a picture is drawn in place.
    pub fn draws(&self) -> bool {
        self.live.is_some()
    }

    /// Draws the picture anew.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn draw(&mut self, picture: &str) -> Result<(), Error> {
        self.live.as_mut().map_or(Ok(()), |live| live.draw(picture))
    }

    /// Says what is waited for, where nothing is drawn: a line when it changes.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn waits_for(&mut self, what: &str, until: Option<Timestamp>) -> Result<(), Error> {
        if self.said.as_deref() == Some(what) {
            return Ok(());
        }
        self.said = Some(what.to_owned());
        self.sender.teller.waiting(&waiting(what, until))
    }

    /// Says something that happened.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.sender.teller.tell(what)
    }

    /// Draws the last picture in the place of the live one; `false` where
    /// there is none.
    ///
    /// # Errors
    /// When it cannot be drawn.
    pub fn draw_last(&mut self, text: &str) -> Result<bool, Error> {
        match self.live.take() {
            Some(mut live) => live.draw(text).map(|()| true),
            None => Ok(false),
        }
    }
}

/// `web-2 to be Ready, until 10:51:07Z`.
pub fn waiting(what: &str, until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("{}, until {}", one_line(what), clock(until)),
        None => one_line(what),
    }
}
