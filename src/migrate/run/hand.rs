//! What every verb that writes has in its hand: the lock, the right to write,
//! and the word to whoever watches.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::Session;
use crate::{
    cluster::{
        Failure, Mode, Write,
        moving::{self, Stirrings},
    },
    migrate::{
        fill::job_name,
        journal::{Book, Intent, Journal},
        plan::{Act, Memory},
        rules,
        world::World,
        writes,
    },
    output::{
        Confirmed, Error, Exit,
        text::{clock, one_line},
    },
    steps::{LAST_WORD, Sender, Sent, Teller, Written},
};

/// So often the holder of the lock says that it is alive.
const BEAT: Duration = Duration::from_secs(5);
/// A holder that has not said so for as long is not.
const SILENCE: Duration = Duration::from_secs(15);
/// Watches may be late or forbidden; this often it is looked anyway.
const LOOK: Duration = Duration::from_secs(5);
/// So often a lock is tried that moves under our hands.
const MOST_TAKES: u32 = 8;
/// Before what is not as it should be is looked at again.
const UNTIL_THEN: Duration = Duration::from_millis(500);

pub struct Hand<'a> {
    pub session: &'a Session,
    pub journal: Journal,
    book_uid: String,
    pub memory: Memory,
    /// When this run stopped the last pod of a Deployment.
    stopped: Option<Instant>,
    /// From then until the set was seen Ready.
    pub downtime: Option<Duration>,
    pub sender: Sender,
    stirrings: Stirrings,
    said: Option<String>,
    beaten: Instant,
    /// When the log of a copy was last asked for, and what it said.
    asked: Option<Instant>,
    heard: String,
}

impl<'a> Hand<'a> {
    /// Writes the journal down; whoever comes second finds it there.
    ///
    /// # Errors
    /// [`Failure::AlreadyExists`] as a conflict, and what the server has
    /// against it.
    pub async fn begin(
        session: &'a Session,
        journal: Journal,
        intent: Intent,
        confirmed: Confirmed,
    ) -> Result<Hand<'a>, Error> {
        let write = writes::open(&journal, &session.run, intent);
        let made = match session.cluster.write(&write, Mode::Real(&confirmed)).await {
            Ok(made) => made,
            // Nobody knows whether it was written; if it was, it says so.
            Err(failure) if failure.is_transient() || failure.is_conflict() => {
                let world = moving::world(&session.cluster, &journal).await?;
                match world.book {
                    Some(book) if book.journal.op == journal.op => {
                        return Ok(Hand::new(session, book, confirmed));
                    }
                    Some(book) => return Err(locked(&book, &journal)),
                    None => return Err(failure.into()),
                }
            }
            Err(failure) => return Err(failure.into()),
        };
        let book = made.as_ref().map(Book::of).transpose().ok().flatten();
        let book = book.ok_or_else(|| {
            Error::new(Exit::Error, "the server gave back no journal; nothing else was changed")
        })?;
        let mut hand = Hand::new(session, book, confirmed);
        let done = write.done(hand.sender.mode());
        hand.sender.writes.push(done);
        Ok(hand)
    }

    /// Takes an existing journal in hand, if nobody alive has it.
    ///
    /// # Errors
    /// `Conflict` when somebody has.
    pub async fn take(
        session: &'a Session,
        book: Book,
        intent: Intent,
        takeover: bool,
        confirmed: Confirmed,
    ) -> Result<Hand<'a>, Error> {
        let mut hand = Hand::new(session, book.clone(), confirmed);
        let mut book = book;
        if let (Some(holder), false) = (&book.holder, takeover) {
            hand.tell(&format!(
                "{holder} had the migration in hand and did not let go; looking for {} s whether it \
                 is alive",
                SILENCE.as_secs()
            ))?;
            book = hand.wait_for_silence(book).await?;
        }
        for _ in 0..MOST_TAKES {
            let write = writes::take(
                &hand.journal,
                &book.uid,
                book.holder.as_deref(),
                &session.run,
                intent,
            );
            match hand.write(&write).await? {
                Written::Done => return Ok(hand),
                Written::Interrupted(exit) => {
                    return Err(Error::new(exit, "interrupted; nothing was changed"));
                }
                Written::LookAgain => {}
            }
            let world = moving::world(&session.cluster, &hand.journal).await?;
            match world.book {
                Some(now) if now.holder.as_deref() == Some(session.run.as_str()) => {
                    return Ok(hand);
                }
                Some(now) if now.holder == book.holder => book = now,
                Some(now) => return Err(locked(&now, &hand.journal)),
                None => {
                    return Err(Error::new(
                        Exit::Conflict,
                        format!("the migration of {} has just ended", hand.journal.set_name()),
                    ));
                }
            }
        }
        Err(locked(&book, &hand.journal))
    }

    fn new(session: &'a Session, book: Book, confirmed: Confirmed) -> Hand<'a> {
        let (terminal, output) = (session.terminal, session.output);
        let teller = Teller { terminal, output, command: "migrate" };
        Hand {
            session,
            stirrings: Stirrings::of(&session.cluster, &book.journal),
            journal: book.journal,
            book_uid: book.uid,
            memory: Memory::default(),
            stopped: None,
            downtime: None,
            sender: Sender::new(&session.cluster, confirmed, teller),
            said: None,
            beaten: Instant::now(),
            asked: None,
            heard: String::new(),
        }
    }

    /// Watches a lock until its holder has been silent for long enough. Whoever
    /// lets go meanwhile was alive, too: what it has done is to be looked at
    /// first. No two clocks are compared.
    async fn wait_for_silence(&mut self, book: Book) -> Result<Book, Error> {
        let since = Instant::now();
        while since.elapsed() < SILENCE {
            if let Some(exit) = self.sender.nap(Duration::from_secs(1)).await {
                return Err(Error::new(exit, "interrupted; nothing was changed"));
            }
            let now = moving::world(&self.session.cluster, &self.journal).await?.book;
            match now {
                None => {
                    return Err(Error::new(
                        Exit::Conflict,
                        format!("the migration of {} has just ended", self.journal.set_name()),
                    ));
                }
                Some(now) if now.beat == book.beat && now.holder == book.holder => {}
                Some(now) if now.holder.is_some() => return Err(locked(&now, &self.journal)),
                Some(_) => return Err(locked(&book, &self.journal)),
            }
        }
        Ok(book)
    }

    /// The world as it is now.
    ///
    /// # Errors
    /// When it cannot be read, and not only for a moment.
    pub async fn look(&mut self) -> Result<Result<World, Exit>, Error> {
        loop {
            let cluster = self.session.cluster.clone();
            let read = moving::world(&cluster, &self.journal);
            let outcome = tokio::select! {
                outcome = read => outcome,
                exit = &mut self.sender.signal => return Ok(Err(exit)),
            };
            match outcome {
                Ok(world) => return Ok(Ok(world)),
                Err(failure) => {
                    self.sender.look_again_after(failure)?;
                    if let Some(exit) = self.sender.rest().await {
                        return Ok(Err(exit));
                    }
                }
            }
        }
    }

    /// Sends a write. What it was decided on is its precondition.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again.
    pub async fn write(&mut self, write: &Write) -> Result<Written, Error> {
        match self.sender.send(write).await? {
            Sent::Done(_) => return Ok(Written::Done),
            Sent::Interrupted(exit) => return Ok(Written::Interrupted(exit)),
            // What was to be changed is gone; the next look says what that
            // means.
            Sent::Failed(Failure::NotFound(_)) if self.sender.may_try_again() => {
                return Ok(Written::LookAgain);
            }
            Sent::Failed(failure) => self.sender.look_again_after(failure)?,
        }
        Ok(self.sender.rest().await.map_or(Written::LookAgain, Written::Interrupted))
    }

    /// Carries an act out. Of several writes only the first counts: the others
    /// hurry it along.
    ///
    /// # Errors
    /// As for [`Hand::write`].
    pub async fn act(&mut self, act: Act, world: &World) -> Result<Written, Error> {
        let Some(writes) = writes::of(act, &self.journal, world) else {
            if !self.sender.may_try_again() {
                let message = format!("{act:?}: what it is about is not as it should be");
                return Err(Error::new(Exit::Error, message));
            }
            return Ok(self
                .sender
                .nap(UNTIL_THEN)
                .await
                .map_or(Written::LookAgain, Written::Interrupted));
        };
        if matches!(act, Act::StopDeployment(_)) {
            self.stopped = Some(Instant::now());
        }
        for (place, write) in writes.iter().enumerate() {
            match self.write(write).await? {
                Written::Done => {}
                // Whoever was not touched is, next.
                Written::LookAgain if place > 0 => return Ok(Written::Done),
                other => return Ok(other),
            }
        }
        if let Act::MakeJob(index, pass) = act {
            self.memory.jobs.push(job_name(&self.journal, index, pass));
        }
        self.memory.did(act);
        Ok(Written::Done)
    }

    /// Waits for a change in the cluster, or until `until`; the exit code of a
    /// signal that came first. Meanwhile it says now and then that it is alive.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub async fn wait(&mut self, what: &str, until: Timestamp) -> Result<Option<Exit>, Error> {
        if self.beaten.elapsed() >= BEAT {
            self.beat().await;
        }
        self.wait_unlocked(what, until).await
    }

    /// Says that we are alive. Whether the lock is still ours, the next look
    /// says.
    async fn beat(&mut self) {
        self.beaten = Instant::now();
        let beat = writes::beat(&self.journal, &self.book_uid, &self.session.run);
        let _ = self.session.cluster.write_quietly(&beat, &self.sender.confirmed).await;
    }

    /// The same when there is no lock any more.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub async fn wait_unlocked(
        &mut self,
        what: &str,
        until: Timestamp,
    ) -> Result<Option<Exit>, Error> {
        if self.said.as_deref() != Some(what) {
            self.said = Some(what.to_owned());
            self.sender.teller.waiting(&if until == Timestamp::MAX {
                what.to_owned()
            } else {
                format!("{what}, until {}", clock(until))
            })?;
        }
        let rest = until.duration_since(Timestamp::now());
        let rest = Duration::try_from(rest).unwrap_or_default().min(LOOK);
        Ok(tokio::select! {
            () = self.stirrings.next() => None,
            () = tokio::time::sleep(rest) => None,
            exit = &mut self.sender.signal => Some(exit),
        })
    }

    /// Says what a pod that copies said last, now and then. It is no more than
    /// a word: where its log cannot be read, nothing is said.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub async fn progress(&mut self, pod: &str) -> Result<Option<Exit>, Error> {
        if self.asked.is_some_and(|asked| asked.elapsed() < LOOK) {
            return Ok(None);
        }
        self.asked = Some(Instant::now());
        let cluster = self.session.cluster.clone();
        let said = match self.work(moving::last_line(&cluster, pod)).await {
            Ok(said) => said.unwrap_or_default(),
            Err(exit) => return Ok(Some(exit)),
        };
        let said = one_line(said.trim());
        if !said.is_empty() && self.heard != said {
            self.tell(&format!("{pod}: {said}"))?;
            self.heard = said;
        }
        Ok(None)
    }

    /// Waits for `work`, or for a signal, and says meanwhile that it is alive.
    pub async fn work<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Exit> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                exit = &mut self.sender.signal => return Err(exit),
                () = tokio::time::sleep(BEAT) => self.beat().await,
            }
        }
    }

    /// Goes the other way from here on.
    ///
    /// # Errors
    /// As for [`Hand::write`].
    pub async fn turn(&mut self, intent: Intent) -> Result<Written, Error> {
        self.memory = Memory::default();
        let run = self.session.run.clone();
        let write = writes::take(&self.journal, &self.book_uid, Some(&run), &run, intent);
        self.write(&write).await
    }

    /// Remembers how long nothing served, the first time this is called.
    pub fn serves(&mut self) {
        if self.downtime.is_none() {
            self.downtime = self.stopped.map(|stopped| stopped.elapsed());
        }
    }

    /// The kubectl line that does what a write does.
    pub fn as_kubectl(&self, write: &Write) -> String {
        self.session.cluster.as_kubectl(write, self.sender.mode())
    }

    /// The lock again, after it was let go, to go another way.
    ///
    /// # Errors
    /// As for [`Hand::write`].
    pub async fn retake(&mut self, intent: Intent) -> Result<Written, Error> {
        self.memory = Memory::default();
        let run = self.session.run.clone();
        let write = writes::take(&self.journal, &self.book_uid, None, &run, intent);
        self.write(&write).await
    }

    pub fn book_uid(&self) -> &str {
        &self.book_uid
    }

    /// Lets go of the lock: nobody has to wait for somebody who is gone.
    pub async fn let_go(&mut self) {
        let write = writes::let_go(&self.journal, &self.book_uid, &self.session.run);
        let gone = self.session.cluster.write_quietly(&write, &self.sender.confirmed);
        // Without it the next run looks for a while whether we are alive.
        let _ = tokio::time::timeout(LAST_WORD, gone).await;
    }

    /// Says something that happened.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.sender.teller.tell(what)
    }
}

/// Somebody else is at it.
pub fn locked(book: &Book, journal: &Journal) -> Error {
    let holder = book.holder.as_deref().unwrap_or("nobody");
    let message = format!(
        "{holder} has the migration to {} in hand, last heard of at {}",
        journal.set_name(),
        book.beat
    );
    let on = format!("configmap/{}", journal.book_name());
    let finding = rules::LOCKED.found(on, message.clone());
    Error::new(Exit::Conflict, message)
        .hint("if it is known to be dead: --takeover")
        .because(vec![finding])
}
