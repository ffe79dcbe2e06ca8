//! Reads, judges, shows; again at every change where that was asked for.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use super::{
    args::StatusArgs,
    plan::{self, Goal, OrdinalView, Picture},
    report,
};
use crate::{
    cluster::{
        Cluster, ConnectionArgs, Failure,
        changes::Changes,
        offline::Bundle,
        read::{self, Scope},
    },
    output::{
        Error, Exit, Format, Live, Look, Terminal,
        follow::{Change, End, time_is_up, until},
        text::clock,
    },
    workload::{Facts, Finding, Reference, Severity},
};

/// Changes come in bursts: a pod's new status, its claim, the set's count.
/// So long it must be quiet before they are read, all at once.
const QUIET: Duration = Duration::from_millis(50);
/// Ages, and findings that need time to pass, are looked at this often; that
/// asks the server nothing.
const TICK: Duration = Duration::from_secs(1);
/// How soon a server that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(2);

/// Runs `status`.
///
/// # Errors
/// When the set cannot be named or read, or the answer not be written.
pub async fn run(
    args: &StatusArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let reference = Reference::parse(&args.set, "StatefulSet").map_err(Error::usage)?;
    if !args.filename.is_empty() {
        let bundle = Bundle::read(&args.filename)?;
        let facts = bundle.facts(&reference.name, connection.namespace.as_deref())?;
        return once(&facts, args, terminal);
    }
    let cluster = Cluster::connect(connection, terminal).await?;
    if args.watch || args.wait_for.is_some() {
        return Follower::new(&cluster, args, reference.name, terminal).run().await;
    }
    let reading = read::facts(&cluster, &reference.name, Scope::Status).await?;
    terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
    once(&reading.facts, args, terminal)
}

fn once(facts: &Facts, args: &StatusArgs, terminal: Terminal) -> Result<Exit, Error> {
    let now = Timestamp::now();
    let picture = plan::judge(facts, now);
    let exit = verdict(&picture, args);
    match show(&picture, exit, args, terminal, now) {
        // All is known: the code is what it would have been.
        Err(error) if error.reader_left => Ok(exit),
        Err(error) => Err(error),
        Ok(()) => Ok(exit),
    }
}

/// What a picture means for the exit code.
fn verdict(picture: &Picture, args: &StatusArgs) -> Exit {
    let stuck = picture.findings.iter().any(|finding| finding.severity == Severity::Error);
    if args.exit_code && stuck {
        Exit::Found
    } else if picture.unread.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}

fn show(
    picture: &Picture,
    exit: Exit,
    args: &StatusArgs,
    terminal: Terminal,
    now: Timestamp,
) -> Result<(), Error> {
    terminal.answer(&report::render(picture, exit, args.output, Look::of(terminal, now))?)
}

/// `--watch` and `--wait-for`: the same loop, shown or not.
struct Follower<'a> {
    cluster: &'a Cluster,
    args: &'a StatusArgs,
    name: String,
    terminal: Terminal,
    live: Option<Live>,
    last: Option<Picture>,
    since: Timestamp,
}

impl<'a> Follower<'a> {
    fn new(cluster: &'a Cluster, args: &'a StatusArgs, name: String, terminal: Terminal) -> Self {
        let draws = args.watch
            && terminal.stdout_is_tty
            && matches!(args.output, Format::Table | Format::Wide);
        let live = draws.then(|| Live::new(terminal));
        Follower { cluster, args, name, terminal, live, last: None, since: Timestamp::now() }
    }

    async fn run(mut self) -> Result<Exit, Error> {
        let mut reading = read::facts(self.cluster, &self.name, Scope::Status).await?;
        let uid = reading.facts.set.uid.clone();
        if let Some(goal) = self.args.wait_for {
            self.announce(goal);
        }
        let mut changes = Changes::of_set(self.cluster, &reading);
        let expired = time_is_up(self.args.timeout);
        let signal = crate::steps::interruption();
        tokio::pin!(expired, signal);
        let end = loop {
            let now = Timestamp::now();
            let picture = plan::judge(&reading.facts, now);
            let reached = self.args.wait_for.is_some_and(|goal| picture.meets(goal));
            self.show_change(picture, now)?;
            if reached {
                break End::Reached;
            }
            tokio::select! {
                () = &mut expired => break End::Deadline,
                exit = &mut signal => break End::Signal(exit),
                () = tokio::time::sleep(TICK) => {}
                () = changes.next() => {
                    changes.settle(QUIET).await;
                    let again = tokio::select! {
                        () = &mut expired => break End::Deadline,
                        exit = &mut signal => break End::Signal(exit),
                        again = self.read_again() => again?,
                    };
                    if again.facts.set.uid != uid {
                        return Err(self.replaced());
                    }
                    reading = again;
                }
            }
        };
        self.finish(&end)
    }

    /// Reads again, for as long as the server is only away: each failed try
    /// is said, and the caller's deadline bounds them.
    async fn read_again(&self) -> Result<read::Reading, Error> {
        loop {
            match read::facts(self.cluster, &self.name, Scope::Status).await {
                Ok(reading) => return Ok(reading),
                Err(failure) if failure.is_transient() => {
                    let error = Error::from(failure);
                    let seconds = RETRY.as_secs();
                    self.terminal
                        .say(&format!("{}; asking again in {seconds} s", error.headline()));
                    tokio::time::sleep(RETRY).await;
                }
                Err(failure @ Failure::NotFound(_)) => {
                    return Err(
                        Error::from(failure).caused_by("it was deleted while it was being watched")
                    );
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    fn replaced(&self) -> Error {
        Error::new(
            Exit::Conflict,
            format!(
                "statefulset \"{}\" was deleted and made again while it was watched",
                self.name
            ),
        )
        .hint(self.command())
    }

    fn announce(&self, goal: Goal) {
        self.terminal.say(&format!(
            "waiting for {}/{} to be {}, since {}, {}",
            self.cluster.namespace(),
            self.name,
            goal_word(goal),
            clock(self.since),
            until(self.since, self.args.timeout),
        ));
    }

    fn show_change(&mut self, picture: Picture, now: Timestamp) -> Result<(), Error> {
        if let Some(live) = &mut self.live {
            let exit = verdict(&picture, self.args);
            live.draw(&report::render(
                &picture,
                exit,
                self.args.output,
                Look::of(self.terminal, now),
            )?)?;
        } else {
            match &self.last {
                None if self.args.watch && !self.args.output.is_machine() => {
                    show(&picture, verdict(&picture, self.args), self.args, self.terminal, now)?;
                }
                None => {}
                Some(last) => {
                    for change in changes_between(last, &picture, now) {
                        self.print(&change)?;
                    }
                }
            }
        }
        self.last = Some(picture);
        Ok(())
    }

    /// With `--watch` the changes are the answer; with `--wait-for` alone
    /// they are progress.
    fn print(&self, change: &Change) -> Result<(), Error> {
        if self.args.output == Format::Jsonl {
            self.terminal.answer(&change.json()?)
        } else if self.args.watch && !self.args.output.is_machine() {
            self.terminal.answer(&(change.line() + "\n"))
        } else {
            self.terminal.say(&change.line());
            Ok(())
        }
    }

    fn finish(&self, end: &End) -> Result<Exit, Error> {
        let Some(picture) = &self.last else { return Ok(Exit::Error) };
        let exit = match end {
            End::Reached => verdict(picture, self.args),
            End::Deadline => Exit::Timeout,
            End::Signal(exit) => *exit,
        };
        // A document ends the stream; a tree that is on the screen already
        // is not printed twice.
        let document = self.args.output.is_machine();
        if document || !self.args.watch {
            show(picture, exit, self.args, self.terminal, Timestamp::now())?;
        }
        let command = self.command();
        match end {
            End::Deadline => {
                let (name, summary) = (&self.name, report::summary(picture));
                let ended = match self.args.wait_for.map(goal_word) {
                    Some(goal) => {
                        format!("error: timed out waiting for {name} to be {goal}: {summary}")
                    }
                    None => format!("the time to watch {name} is up: {summary}"),
                };
                self.terminal.say(&format!("{ended}\nhint: {command}"));
            }
            End::Signal(_) if self.args.wait_for.is_some() => {
                self.terminal.say(&format!("interrupted; nothing was changed\nhint: {command}"));
            }
            End::Reached | End::Signal(_) => {}
        }
        Ok(exit)
    }

    fn command(&self) -> String {
        let (namespace, flags) = (self.cluster.namespace(), self.cluster.flags());
        format!("kubectl stateful status {} -n {namespace}{flags}", self.name)
    }
}

fn goal_word(goal: Goal) -> &'static str {
    match goal {
        Goal::Ready => "ready",
        Goal::Updated => "updated",
    }
}

/// What differs between two pictures, in words. Ages do not count.
fn changes_between(last: &Picture, next: &Picture, now: Timestamp) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut add = |object: String, message: String| {
        changes.push(Change {
            schema: "kubectl-stateful/status-change/v1",
            time: now,
            object,
            message,
        });
    };
    let index = |items: &'_ [OrdinalView]| -> HashMap<String, usize> {
        items.iter().enumerate().map(|(place, item)| (item.name.clone(), place)).collect()
    };
    let (before, after) = (index(&last.items), index(&next.items));
    for item in &next.items {
        let earlier = before.get(&item.name).and_then(|&place| last.items.get(place));
        if let Some(message) = ordinal_change(earlier, item) {
            add(format!("pod/{}", item.name), message);
        }
    }
    for item in &last.items {
        if !after.contains_key(&item.name) {
            add(format!("pod/{}", item.name), format!("{} is gone", item.name));
        }
    }
    let matters = |finding: &&Finding| finding.severity != Severity::Note;
    for finding in next.findings.iter().filter(matters) {
        let known = |old: &Finding| {
            (old.id, &old.object, old.severity) == (finding.id, &finding.object, finding.severity)
        };
        if !last.findings.iter().any(known) {
            add(finding.object.clone(), format!("{} {}", finding.id, finding.message));
        }
    }
    for finding in last.findings.iter().filter(matters) {
        let still = |new: &Finding| (new.id, &new.object) == (finding.id, &finding.object);
        if !next.findings.iter().any(still) {
            add(finding.object.clone(), format!("{} is over", finding.id));
        }
    }
    if (last.health, last.set.ready, last.set.replicas, last.set.partition)
        != (next.health, next.set.ready, next.set.replicas, next.set.partition)
    {
        let object = format!("statefulset.apps/{}", next.set.name);
        let partition = next.set.partition.filter(|&partition| partition > 0);
        let partition = partition.map_or_else(String::new, |p| format!(", partition {p}"));
        let words = format!(
            "{}: {}, {} of {} ready{partition}",
            next.set.name,
            next.health.label(),
            next.set.ready,
            next.set.replicas
        );
        add(object, words);
    }
    changes
}

fn ordinal_change(before: Option<&OrdinalView>, item: &OrdinalView) -> Option<String> {
    let Some(before) = before else { return Some(format!("{} is {}", item.name, item.state)) };
    if item.uid.is_some() && before.uid != item.uid {
        let revision = item.revision.as_deref().unwrap_or("<unknown>");
        return Some(format!("{} is a new pod on {revision}: {}", item.name, item.state));
    }
    if before.state != item.state {
        return Some(format!("{} is {}, was {}", item.name, item.state, before.state));
    }
    if before.restarts < item.restarts {
        return Some(format!("{} restarted ({} times so far)", item.name, item.restarts));
    }
    None
}
