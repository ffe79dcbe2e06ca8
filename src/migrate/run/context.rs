//! One run of a verb that writes: the journal and its lock, the live state,
//! writes, and progress.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Session,
    fresh::{Freshness, Judged},
};
use crate::{
    cluster::{Failure, Mode, Write, logs},
    migrate::{
        forward::{Act, Memory},
        journal::{Intent, Journal, StoredJournal},
        late::LastWrite,
        read::{self, MigrationChanges},
        rules,
        world::World,
        writes,
    },
    output::{
        Confirmed, Error, Exit,
        text::{clock, one_line},
    },
    steps::{ANSWER_GRACE, End, Progress, Reply, Sender, Signal, Stop, WriteOutcome, interruption},
    workload::raw::uid,
};

/// How often the holder of the lock renews its heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// A holder without a heartbeat for this long is taken for dead.
const HOLDER_TIMEOUT: Duration = Duration::from_secs(15);
/// The objects are read this often even without an event: watches may be late
/// or forbidden.
const READ_INTERVAL: Duration = Duration::from_secs(5);
/// Attempts to take a lock that keeps changing.
const MAX_LOCK_ATTEMPTS: u32 = 8;
/// The pause before an object that is not in the expected state is read again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

pub struct RunContext<'a> {
    pub session: &'a Session,
    pub journal: Journal,
    journal_uid: String,
    /// Whether the journal was there, and ours to change, when we last looked.
    has_journal: bool,
    /// The uid of the set of the migration, as long as that could be told.
    own_set: Option<String>,
    /// The direction of this run.
    pub intent: Intent,
    pub memory: Memory,
    /// When this run stopped what ran: the last Deployment, or the set.
    stopped_at: Option<Instant>,
    /// From then until the other was seen Ready.
    pub downtime: Option<Duration>,
    pub sender: Sender,
    changes: MigrationChanges,
    /// The wait that was printed last.
    last_wait: Option<String>,
    last_heartbeat: Instant,
    /// Whether a write may be sent on what was read.
    fresh: Freshness,
    /// The last write, until a look at the lock shows that it came in time.
    pub last_write: Option<LastWrite>,
    /// When the log of a copy was last read, and its last line.
    log_read_at: Option<Instant>,
    last_log_line: String,
}

impl<'a> RunContext<'a> {
    /// Creates the journal, which is the lock.
    ///
    /// # Errors
    /// A conflict when the journal of another run exists, and whatever else the
    /// server answers.
    pub async fn begin(
        session: &'a Session,
        journal: Journal,
        intent: Intent,
        confirmed: Confirmed,
    ) -> Result<RunContext<'a>, Error> {
        let write = writes::create_journal(&journal, &session.holder, intent, Timestamp::now());
        let mut signal: Signal = Box::pin(interruption());
        let answer = {
            let answer = session.cluster.write(&write, Mode::Real(&confirmed));
            tokio::pin!(answer);
            tokio::select! {
                answer = &mut answer => Ok(answer),
                exit = &mut signal => {
                    let answer = tokio::time::timeout(ANSWER_GRACE, answer).await;
                    Err((exit, answer.is_ok()))
                }
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err((exit, is_answered)) => {
                return Err(not_begun(session, &journal, &confirmed, exit, is_answered).await);
            }
        };
        let created = match answer {
            Ok(created) => created,
            // It may have been created without an answer; then it is ours.
            Err(failure) if failure.is_transient() || failure.is_conflict() => {
                let world = read::world(&session.cluster, &journal).await?;
                match world.stored_journal {
                    Some(stored) if stored.journal.op == journal.op => {
                        return Ok(RunContext::new(session, stored, confirmed));
                    }
                    Some(stored) => return Err(locked(&stored, &journal)),
                    None => return Err(failure.into()),
                }
            }
            Err(failure) => return Err(failure.into()),
        };
        let stored = created.as_ref().map(StoredJournal::read).transpose().ok().flatten();
        let stored = stored.ok_or_else(|| {
            Error::new(
                Exit::Error,
                "the server did not return the journal that it created; nothing else was changed",
            )
        })?;
        let mut context = RunContext::new(session, stored, confirmed);
        // This one has listened since before the write.
        context.sender.signal = signal;
        let done = write.done(context.sender.mode());
        context.sender.writes.push(done);
        Ok(context)
    }

    /// Takes the lock of an existing journal, unless its holder is alive.
    ///
    /// # Errors
    /// `Conflict` when it is.
    pub async fn take_lock(
        session: &'a Session,
        stored: StoredJournal,
        intent: Intent,
        takeover: bool,
        confirmed: Confirmed,
    ) -> Result<RunContext<'a>, Error> {
        let mut context = RunContext::new(session, stored.clone(), confirmed);
        let was = stored.intent;
        let taken = context.acquire_lock(stored, intent, takeover).await;
        match End::of(taken.map(|()| End::done()))?.exit {
            Exit::Done => Ok(context),
            exit => Err(context.not_taken(exit, was, intent).await),
        }
    }

    /// The end after a signal that came before we knew that the lock is ours. The
    /// write may have happened; then it is taken back.
    async fn not_taken(&mut self, exit: Exit, was: Intent, asked: Intent) -> Error {
        let (uid, holder) = (&self.journal_uid, &self.session.holder);
        let write = writes::give_lock_back(&self.journal, uid, holder, was);
        let released = self.session.cluster.write_quietly(&write, &self.sender.confirmed);
        let _ = tokio::time::timeout(ANSWER_GRACE, released).await;
        let read = read::world(&self.session.cluster, &self.journal);
        let world = tokio::time::timeout(ANSWER_GRACE, read).await;
        let stored = world.ok().and_then(Result::ok).and_then(|world| world.stored_journal);
        match stored {
            Some(stored) if stored.holder.as_deref() == Some(self.session.holder.as_str()) => {
                let message = "interrupted; the lock was taken and could not be released: the \
                               next run waits for it";
                Error::new(exit, message)
            }
            Some(stored) if stored.intent == asked && asked != was => {
                Error::new(exit, "interrupted; only the direction of the migration was changed")
                    .hint(self.session.command("status", &self.journal))
            }
            Some(_) => Error::new(exit, "interrupted; nothing was changed"),
            None => Error::new(exit, "interrupted; the lock may have been taken, and nothing else"),
        }
    }

    async fn acquire_lock(
        &mut self,
        mut stored: StoredJournal,
        intent: Intent,
        takeover: bool,
    ) -> Result<(), Stop> {
        let session = self.session;
        if let (Some(holder), false) = (&stored.holder, takeover) {
            self.tell(&format!(
                "{holder} still holds the migration lock; waiting {} s for a heartbeat",
                HOLDER_TIMEOUT.as_secs()
            ))?;
            stored = self.wait_for_heartbeat(stored).await?;
        }
        for _ in 0..MAX_LOCK_ATTEMPTS {
            if stored.is_leaving {
                return Err(being_deleted(&self.journal).into());
            }
            let write = writes::take_lock(
                &self.journal,
                &stored.uid,
                stored.holder.as_deref(),
                &session.holder,
                intent,
                Timestamp::now(),
            );
            if self.write(&write).await? == WriteOutcome::Done {
                return Ok(());
            }
            let world = read::world(&session.cluster, &self.journal).await?;
            match world.stored_journal {
                Some(now) if now.holder.as_deref() == Some(session.holder.as_str()) => {
                    return Ok(());
                }
                Some(now) if now.holder == stored.holder => stored = now,
                Some(now) => return Err(locked(&now, &self.journal).into()),
                None => return Err(just_ended(&self.journal).into()),
            }
        }
        Err(locked(&stored, &self.journal).into())
    }

    fn new(session: &'a Session, stored: StoredJournal, confirmed: Confirmed) -> RunContext<'a> {
        let (terminal, output) = (session.terminal, session.output);
        let progress = Progress { terminal, output, command: "migrate" };
        RunContext {
            session,
            changes: MigrationChanges::of(&session.cluster, &stored.journal),
            journal: stored.journal,
            journal_uid: stored.uid,
            has_journal: true,
            own_set: None,
            intent: stored.intent,
            memory: Memory::default(),
            stopped_at: None,
            downtime: None,
            sender: Sender::new(&session.cluster, confirmed, progress),
            last_wait: None,
            last_heartbeat: Instant::now(),
            fresh: Freshness::new(),
            last_write: None,
            log_read_at: None,
            last_log_line: String::new(),
        }
    }

    /// Watches a lock until its holder has given no heartbeat for long enough.
    /// A holder that releases the lock meanwhile was alive, too: what it has
    /// done must be looked at before anyone continues. The heartbeats are only
    /// compared with each other, so the clocks of two machines need not agree.
    async fn wait_for_heartbeat(&mut self, stored: StoredJournal) -> Result<StoredJournal, Stop> {
        let since = Instant::now();
        while since.elapsed() < HOLDER_TIMEOUT {
            self.sender.sleep(Duration::from_secs(1)).await?;
            let world = read::world(&self.session.cluster, &self.journal).await?;
            match world.stored_journal {
                None => return Err(just_ended(&self.journal).into()),
                Some(now) if now.heartbeat == stored.heartbeat && now.holder == stored.holder => {}
                Some(now) if now.holder.is_some() => {
                    return Err(locked(&now, &self.journal).into());
                }
                Some(_) => return Err(locked(&stored, &self.journal).into()),
            }
        }
        Ok(stored)
    }

    /// Reads the objects of the migration.
    ///
    /// # Errors
    /// When they cannot be read, and not only for a moment, and after a signal.
    pub async fn read_world(&mut self) -> Result<World, Stop> {
        loop {
            let cluster = self.session.cluster.clone();
            self.fresh.reads();
            let read = read::world(&cluster, &self.journal);
            let outcome = tokio::select! {
                outcome = read => outcome,
                exit = &mut self.sender.signal => return Err(Stop::Interrupted(exit)),
            };
            match outcome {
                Ok(world) => {
                    let stored = world.stored_journal.as_ref();
                    self.has_journal = journal_lost(stored, &self.journal_uid).is_none();
                    if let Some(set) = world.own_set(&self.journal) {
                        self.own_set = Some(uid(set).to_owned());
                    }
                    return Ok(world);
                }
                Err(failure) => {
                    self.sender.look_again_after(failure)?;
                    self.sender.pause().await?;
                }
            }
        }
    }

    /// Sends a write.
    ///
    /// # Errors
    /// When the server refuses for good, or again and again, and after a signal.
    pub async fn write(&mut self, write: &Write) -> Result<WriteOutcome, Stop> {
        Ok(match self.send(write).await? {
            Sent::Done(_) => WriteOutcome::Done,
            Sent::Refused | Sent::Unanswered => WriteOutcome::LookAgain,
        })
    }

    async fn send(&mut self, write: &Write) -> Result<Sent, Stop> {
        let sent = match self.sender.write(write).await? {
            Reply::Done(object) => return Ok(Sent::Done(object)),
            // The object is gone; the next read shows what that means.
            Reply::Failed(Failure::NotFound(_)) if self.sender.may_try_again() => {
                return Ok(Sent::Refused);
            }
            Reply::Failed(failure) => {
                let sent = if failure.is_conflict() { Sent::Refused } else { Sent::Unanswered };
                self.sender.look_again_after(failure)?;
                sent
            }
        };
        self.sender.pause().await?;
        Ok(sent)
    }

    /// Whether what was read is recent enough to write on it.
    fn is_fresh(&mut self) -> Result<bool, Error> {
        match self.fresh.judge() {
            Judged::Fresh => Ok(true),
            Judged::Stale => Ok(false),
            Judged::Hopeless => {
                let message = "the server takes so long to answer that what was read is out of \
                               date each time: nothing is written on it";
                let hint = self.session.command("status", &self.journal);
                Err(Error::new(Exit::Error, message).hint(hint))
            }
        }
    }

    /// Carries out an act. If it has several writes, only the first has to
    /// succeed: the others make the controllers notice it sooner.
    ///
    /// # Errors
    /// As for [`RunContext::write`].
    pub async fn carry_out(&mut self, act: Act, world: &World) -> Result<WriteOutcome, Stop> {
        let Some(writes) = writes::of(act, &self.journal, world, Timestamp::now()) else {
            if !self.sender.may_try_again() {
                let task = act.wording(&self.journal).task;
                let message = format!("cannot {task}: it is not in the expected state");
                return Err(Error::new(Exit::Error, message).into());
            }
            self.sender.sleep(RETRY_PAUSE).await?;
            return Ok(WriteOutcome::LookAgain);
        };
        match act {
            Act::StopDeployment(_) => self.stopped_at = Some(Instant::now()),
            Act::StopSet if self.intent == Intent::Back && self.stopped_at.is_none() => {
                self.stopped_at = Some(Instant::now());
            }
            _ => {}
        }
        for (place, write) in writes.iter().enumerate() {
            let sent = if self.is_fresh()? { self.send(write).await? } else { Sent::Refused };
            match sent {
                Sent::Done(object) if place == 0 => {
                    self.last_write = Some(LastWrite::new(act, world, &self.journal, object));
                }
                Sent::Done(_) => {}
                // The next move touches the claims that were left out.
                Sent::Refused | Sent::Unanswered if place > 0 => return Ok(WriteOutcome::Done),
                Sent::Unanswered => {
                    self.last_write = Some(LastWrite::new(act, world, &self.journal, None));
                    return Ok(WriteOutcome::LookAgain);
                }
                Sent::Refused => return Ok(WriteOutcome::LookAgain),
            }
        }
        if let Act::CreateJob(index, pass) = act {
            self.memory.jobs.push(self.journal.job_name(index, pass));
        }
        self.memory.did(act);
        Ok(WriteOutcome::Done)
    }

    /// Waits for a change in the cluster, or until `until`, and keeps the lock.
    ///
    /// # Errors
    /// When a line of the answer cannot be written, and after a signal.
    pub async fn wait(&mut self, what: &str, until: Timestamp) -> Result<(), Stop> {
        if self.last_heartbeat.elapsed() >= HEARTBEAT_INTERVAL {
            self.send_heartbeat().await;
        }
        self.wait_unlocked(what, until).await
    }

    /// Renews the lock. Whether we still hold it, the next read shows.
    async fn send_heartbeat(&mut self) {
        self.last_heartbeat = Instant::now();
        if !self.has_journal {
            return;
        }
        let holder = &self.session.holder;
        let write = writes::heartbeat(&self.journal, &self.journal_uid, holder, Timestamp::now());
        let _ = self.session.cluster.write_quietly(&write, &self.sender.confirmed).await;
    }

    /// Like [`RunContext::wait`], when there is no lock any more.
    ///
    /// # Errors
    /// As for [`RunContext::wait`].
    pub async fn wait_unlocked(&mut self, what: &str, until: Timestamp) -> Result<(), Stop> {
        if self.last_wait.as_deref() != Some(what) {
            self.last_wait = Some(what.to_owned());
            self.sender.progress.waiting(&if until == Timestamp::MAX {
                what.to_owned()
            } else {
                format!("{what}, until {}", clock(until))
            })?;
        }
        let rest = until.duration_since(Timestamp::now());
        let rest = Duration::try_from(rest).unwrap_or_default().min(READ_INTERVAL);
        tokio::select! {
            () = self.changes.next() => Ok(()),
            () = tokio::time::sleep(rest) => Ok(()),
            exit = &mut self.sender.signal => Err(Stop::Interrupted(exit)),
        }
    }

    /// Prints the last log line of a pod that copies, now and then. If its log
    /// cannot be read, nothing is printed.
    ///
    /// # Errors
    /// As for [`RunContext::wait`].
    pub async fn report_progress(&mut self, pod: &str) -> Result<(), Stop> {
        if self.log_read_at.is_some_and(|read_at| read_at.elapsed() < READ_INTERVAL) {
            return Ok(());
        }
        self.log_read_at = Some(Instant::now());
        let cluster = self.session.cluster.clone();
        let line = self.holding_lock(logs::last_line(&cluster, pod)).await?.unwrap_or_default();
        let line = one_line(line.trim());
        if !line.is_empty() && self.last_log_line != line {
            self.tell(&format!("{pod}: {line}"))?;
            self.last_log_line = line;
        }
        Ok(())
    }

    /// Waits for `work`, and keeps the lock meanwhile.
    ///
    /// # Errors
    /// After a signal.
    pub async fn holding_lock<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                exit = &mut self.sender.signal => return Err(Stop::Interrupted(exit)),
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => self.send_heartbeat().await,
            }
        }
    }

    /// Changes the direction of the migration, while we hold the lock.
    ///
    /// # Errors
    /// As for [`RunContext::write`].
    pub async fn change_direction(&mut self, intent: Intent) -> Result<WriteOutcome, Stop> {
        let holder = self.session.holder.clone();
        self.set_intent(Some(&holder), intent).await
    }

    /// Takes the lock again after it was released, for another direction.
    ///
    /// # Errors
    /// As for [`RunContext::write`].
    pub async fn retake_lock(&mut self, intent: Intent) -> Result<WriteOutcome, Stop> {
        self.set_intent(None, intent).await
    }

    async fn set_intent(
        &mut self,
        from: Option<&str>,
        intent: Intent,
    ) -> Result<WriteOutcome, Stop> {
        self.memory = Memory::default();
        let (uid, holder) = (&self.journal_uid, &self.session.holder);
        let write = writes::take_lock(&self.journal, uid, from, holder, intent, Timestamp::now());
        self.write(&write).await
    }

    /// Starts to measure another downtime, if the last one has ended.
    pub fn measure_anew(&mut self) {
        if self.downtime.take().is_some() {
            self.stopped_at = None;
        }
    }

    /// Stops the clock of the downtime, the first time this is called.
    pub fn is_ready_again(&mut self) {
        if self.downtime.is_none() {
            self.downtime = self.stopped_at.map(|stopped| stopped.elapsed());
        }
    }

    /// Notes that the lock was ours when the objects were read: what was written before
    /// that came in time.
    pub fn holds_lock(&mut self) {
        self.last_write = None;
    }

    pub fn journal_uid(&self) -> &str {
        &self.journal_uid
    }

    /// The uid of the set that was the migration's own when that could last be
    /// told: its marks and the journal are gone at the end.
    pub fn own_set(&self) -> Option<&str> {
        self.own_set.as_deref()
    }

    /// Notes that this run has deleted the journal.
    pub fn has_closed(&mut self) {
        self.has_journal = false;
    }

    /// Releases the lock, so that the next run need not wait for a heartbeat.
    pub async fn release_lock(&mut self) {
        if !self.has_journal {
            return;
        }
        let write = writes::release_lock(&self.journal, &self.journal_uid, &self.session.holder);
        let released = self.session.cluster.write_quietly(&write, &self.sender.confirmed);
        let _ = tokio::time::timeout(ANSWER_GRACE, released).await;
    }

    /// Prints something that happened.
    ///
    /// # Errors
    /// When a line of the answer cannot be written.
    pub fn tell(&self, what: &str) -> Result<(), Error> {
        self.sender.progress.tell(what)
    }
}

/// What became of a write.
enum Sent {
    /// The object as the server has it now.
    Done(Option<Value>),
    /// It was not made.
    Refused,
    /// It may have been made.
    Unanswered,
}

/// The end after a signal that came while the journal was being created. It may be
/// there; then it is deleted, because nothing else was done. Without an answer, it may
/// still come to be there.
async fn not_begun(
    session: &Session,
    journal: &Journal,
    confirmed: &Confirmed,
    exit: Exit,
    is_answered: bool,
) -> Error {
    let look = || async {
        let read = read::world(&session.cluster, journal);
        let world = tokio::time::timeout(ANSWER_GRACE, read).await.ok()?.ok()?;
        Some(world.stored_journal.filter(|stored| stored.journal.op == journal.op))
    };
    let message = match look().await {
        Some(None) if is_answered => return Error::new(exit, "interrupted; nothing was changed"),
        Some(None) | None => {
            "interrupted; the journal may have been created, and nothing else was changed"
        }
        Some(Some(stored)) => {
            let version = Some(stored.resource_version.clone());
            let write = writes::delete_journal(journal, &stored.uid, version);
            let deleted = session.cluster.write_quietly(&write, confirmed);
            let _ = tokio::time::timeout(ANSWER_GRACE, deleted).await;
            if let Some(None) = look().await {
                let message = "interrupted; the journal was deleted again, and nothing else was \
                               changed";
                return Error::new(exit, message);
            }
            "interrupted; the journal was created and could not be deleted, and nothing else was \
             changed"
        }
    };
    let (namespace, flags) = (&journal.namespace, session.cluster.flags());
    Error::new(exit, message).hint(format!("kubectl stateful migrate status -n {namespace}{flags}"))
}

/// What has become of the journal, if it is not there any more as it was.
pub fn journal_lost(stored: Option<&StoredJournal>, uid: &str) -> Option<&'static str> {
    match stored {
        None => Some("the journal is gone: someone else has deleted it"),
        Some(stored) if stored.uid != uid => {
            Some("the journal is not the one of this run: someone has deleted and recreated it")
        }
        Some(stored) if stored.is_leaving => {
            Some("the journal is being deleted by someone else; something still holds it")
        }
        Some(_) => None,
    }
}

/// The refusal to take the lock of a journal that somebody has deleted, and that
/// something still holds.
fn being_deleted(journal: &Journal) -> Error {
    let called = journal.config_map_name();
    let message = format!(
        "the journal {called} is being deleted: what was before is only in there, and goes with it"
    );
    let finding = rules::JOURNAL_UNUSABLE.found(format!("configmap/{called}"), message.clone());
    Error::new(rules::refused_for(&finding), message)
        .hint(format!("kubectl get configmap/{called} -n {} -o yaml", journal.namespace))
        .because(vec![finding])
}

fn just_ended(journal: &Journal) -> Error {
    Error::new(Exit::Conflict, format!("the migration of {} has just ended", journal.set_name()))
}

/// The refusal when another run has the lock.
pub fn locked(stored: &StoredJournal, journal: &Journal) -> Error {
    let (set, heartbeat) = (journal.set_name(), &stored.heartbeat);
    let message = match &stored.holder {
        Some(holder) => format!(
            "{holder} holds the lock of the migration to {set}, last heartbeat at {heartbeat}"
        ),
        None => format!(
            "another run has just used the lock of the migration to {set}, last heartbeat at \
             {heartbeat}"
        ),
    };
    let on = format!("configmap/{}", journal.config_map_name());
    let finding = rules::LOCKED.found(on, message.clone());
    Error::new(rules::refused_for(&finding), message)
        .hint("if it is known to be dead: --takeover")
        .because(vec![finding])
}
