//! What deleting and adopting work with: reads, writes one by one, and waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    cluster::{Cluster, Failure, Mode, Object, Write},
    orphans::{delete::Action, model::Facts, rules},
    output::{Confirmed, Error, Exit},
    steps::{self, End, Progress, Reply, Sender, Stop},
    workload::Finding,
};

/// How soon to look again while waiting; the longer it takes, the less often.
const FIRST_POLL: Duration = Duration::from_millis(200);
const LAST_POLL: Duration = Duration::from_secs(2);

pub struct RunContext<'a> {
    pub cluster: &'a Cluster,
    pub sender: Sender,
    timeout: Duration,
    /// The command line that continues from where this run has stopped.
    pub to_continue: String,
    waiting: Option<Waiting>,
    /// What may use the current object, as read before the last step. Nothing that
    /// depends on it is decided on it.
    known: Option<Arc<Facts>>,
}

struct Waiting {
    what: String,
    reported: String,
    since: Instant,
}

impl<'a> RunContext<'a> {
    pub fn new(
        cluster: &'a Cluster,
        confirmed: Confirmed,
        progress: Progress,
        timeout: Duration,
        to_continue: String,
    ) -> Self {
        let sender = Sender::new(cluster, confirmed, progress);
        RunContext { cluster, sender, timeout, to_continue, waiting: None, known: None }
    }

    /// Forgets what was read for the object before.
    pub fn begin(&mut self) {
        self.known = None;
        self.waiting = None;
    }

    /// What need not be read again where only the object itself matters.
    pub fn known(&self) -> Option<Arc<Facts>> {
        self.known.clone()
    }

    /// Whether a step was decided on facts that are fresh enough for it. `depends`
    /// is whether it depends on them at all.
    pub fn is_fresh(&mut self, depends: bool, facts: &Arc<Facts>) -> bool {
        let is_fresh = !depends || self.known.is_none();
        self.known = is_fresh.then(|| Arc::clone(facts));
        is_fresh
    }

    /// Reads; `None` after a failure that may pass, to read again.
    ///
    /// # Errors
    /// When the failure does not pass, and after a signal.
    pub async fn read<T>(
        &mut self,
        read: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>, Stop> {
        let found = tokio::select! {
            found = read => found,
            exit = &mut self.sender.signal => return Err(Stop::Interrupted(exit)),
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(failure) => {
                self.sender.look_again_after(failure)?;
                self.sender.pause().await?;
                Ok(None)
            }
        }
    }

    /// Reads an object, if it exists, and again after a failure that may pass.
    ///
    /// # Errors
    /// As for [`RunContext::read`].
    pub async fn look(&mut self, object: &Object) -> Result<Option<Value>, Stop> {
        loop {
            let cluster = self.cluster;
            if let Some(found) = self.read(cluster.find(object)).await? {
                return Ok(found);
            }
        }
    }

    /// Writes or waits, after which the next look decides again. `on` is the
    /// object of the finding when the wait takes too long.
    ///
    /// # Errors
    /// When the server refuses, after --timeout, and after a signal.
    pub async fn act(&mut self, action: &Action<'_>, on: &str) -> Result<(), Stop> {
        match action {
            Action::Write(write) => self.write(write).await,
            Action::Wait { what, why } => self.wait(what, *why, on).await,
        }
    }

    /// Where the object has changed, or the answer was lost, the next look shows
    /// what is there.
    async fn write(&mut self, write: &Write) -> Result<(), Stop> {
        self.waiting = None;
        match self.sender.write(write).await? {
            Reply::Done(_) => return Ok(()),
            Reply::Failed(Failure::NotFound(_)) if self.sender.may_try_again() => {}
            Reply::Failed(failure) => self.sender.look_again_after(failure)?,
        }
        self.sender.pause().await
    }

    async fn wait(&mut self, what: &str, why: Option<&str>, on: &str) -> Result<(), Stop> {
        let text = why.map_or_else(|| what.to_owned(), |why| format!("{what}: {why}"));
        let mut waiting = match self.waiting.take() {
            Some(waiting) if waiting.what == what => waiting,
            _ => Waiting { what: what.to_owned(), reported: String::new(), since: Instant::now() },
        };
        if waiting.reported != text {
            self.sender.progress.waiting(&text)?;
            waiting.reported.clone_from(&text);
        }
        let elapsed = waiting.since.elapsed();
        self.waiting = Some(waiting);
        if !self.timeout.is_zero() && elapsed >= self.timeout {
            let finding =
                rules::NOT_YET.found(on.to_owned(), format!("timed out waiting for {text}"));
            return Err(Stop::with(Exit::Timeout, finding.hint(self.to_continue.clone())));
        }
        self.sender.sleep((elapsed / 4).clamp(FIRST_POLL, LAST_POLL)).await
    }

    /// Stops for a finding. Before the first write that is a refusal.
    pub fn blocked(&self, what: &str, finding: &Finding) -> Stop {
        if self.sender.writes.is_empty() {
            Stop::Failed(refused(self.cluster, what, std::slice::from_ref(finding)))
        } else {
            Stop::with(Exit::Conflict, finding.clone())
        }
    }

    /// Reports how the run ended.
    ///
    /// # Errors
    /// When the run failed.
    pub fn close(&self, outcome: Result<End, Stop>) -> Result<End, Error> {
        let end = End::of(outcome)?;
        let terminal = self.sender.progress.terminal;
        for finding in &end.findings {
            terminal.say(&format!("{}: {}", finding.id, finding.message));
        }
        let mut hints: Vec<&String> = Vec::new();
        for hint in end.findings.iter().filter_map(|finding| finding.hint.as_ref()) {
            // Several findings may have the same way on.
            if !hints.contains(&hint) {
                terminal.say(&format!("hint: {hint}"));
                hints.push(hint);
            }
        }
        if end.is_interrupted() && end.findings.is_empty() {
            terminal.say(&format!("hint: to continue: {}", self.to_continue));
        }
        Ok(end)
    }
}

/// The line that shows what each object is.
pub fn report_line(namespace: &str, cluster: &Cluster) -> String {
    format!("kubectl stateful orphans -n {namespace}{} -o wide", cluster.flags())
}

/// Tries the writes of a plan, and returns what to say of each. The server can only
/// try what the objects allow as they are now: not what comes after a wait, and
/// not a second write to the same object.
///
/// # Errors
/// When the server refuses one.
pub async fn rehearse(
    cluster: &Cluster,
    actions: impl Iterator<Item = Action<'_>>,
    mode: Mode<'_>,
) -> Result<Vec<String>, Error> {
    let (mut said, mut touched, mut waits) = (Vec::new(), Vec::new(), false);
    for action in actions {
        let Action::Write(write) = action else {
            waits = true;
            continue;
        };
        // A deletion depends on the object as it was read, and so it still is.
        let is_open = waits || touched.contains(&write.object()) && !write.is_deletion();
        if is_open && matches!(mode, Mode::ServerDryRun) {
            said.push(format!("{}; not tried: it needs what comes before", write.done(mode)));
            continue;
        }
        touched.push(write.object());
        cluster.write(write, mode).await?;
        said.push(write.done(mode));
    }
    Ok(said)
}

/// A refusal. The hint of a finding without one is the report, which shows what
/// each object is.
pub fn refused(cluster: &Cluster, what: &str, findings: &[Finding]) -> Error {
    let report = report_line(cluster.namespace(), cluster);
    let hinted = findings.iter().map(|finding| match finding.hint {
        Some(_) => finding.clone(),
        None => finding.clone().hint(&report),
    });
    steps::refused(what, &hinted.collect::<Vec<_>>(), &[])
}
