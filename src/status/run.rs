//! Reads, judges, shows; with `--watch` or `--wait-for` again at every change.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use super::{
    args::StatusArgs,
    list,
    plan::{self, Clock, Goal, OrdinalView, Picture},
    report,
};
use crate::{
    cluster::{
        Cluster, ConnectionArgs, Failure,
        changes::Changes,
        read::{self, Reading, Scope},
    },
    manifests::Bundle,
    output::{Error, Exit, Format, Look, Terminal},
    steps::watch_loop::{self, Difference, Idle, Request, Watched},
    workload::{Facts, Finding, Severity},
};

/// How often ages, and findings that need time to pass, are judged again,
/// without asking the server.
const TICK: Duration = Duration::from_secs(1);

/// Runs `status`.
///
/// # Errors
/// When the arguments are wrong, or the set cannot be read, or the answer
/// cannot be written.
pub async fn run(
    args: &StatusArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let names = args.names()?;
    let is_table = names.len() != 1 && matches!(args.output.format, Format::Table | Format::Wide);
    args.rows.check(is_table)?;
    // A name alone is shown as a tree, everything else as a table.
    let [name] = names.as_slice() else {
        return list::run(args, names, connection, terminal).await;
    };
    let name = name.clone();
    if !args.files.is_empty() {
        let bundle = Bundle::read(&args.files.paths)?;
        let facts = bundle.facts(&name, connection.namespace.as_deref())?;
        return match bundle.newest_time() {
            Some(time) => once(&facts, (time, Clock::Files), args, terminal),
            None => once(&facts, (Timestamp::now(), Clock::Now), args, terminal),
        };
    }
    let cluster = Cluster::connect(connection, terminal).await?;
    if args.until.watch || args.until.wait_for.is_some() {
        return follow(&cluster, args, name, terminal).await;
    }
    let reading = read::facts(&cluster, &name, Scope::Status).await?;
    terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
    once(&reading.facts, (Timestamp::now(), Clock::Now), args, terminal)
}

fn once(
    facts: &Facts,
    (now, clock): (Timestamp, Clock),
    args: &StatusArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let picture = Picture { clock, ..plan::judge(facts, now) };
    let exit = verdict(&picture, args);
    match show(&picture, exit, args, terminal, now) {
        // The reader closed the pipe; the exit code stays the same.
        Err(error) if error.broken_pipe => Ok(exit),
        Err(error) => Err(error),
        Ok(()) => Ok(exit),
    }
}

/// The exit code for a picture.
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
    terminal.answer(&report::render(picture, exit, args.output.format, Look::of(terminal, now))?)
}

async fn follow(
    cluster: &Cluster,
    args: &StatusArgs,
    name: String,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let (namespace, flags) = (cluster.namespace(), cluster.flags());
    let hint = format!("kubectl stateful status {name} -n {namespace}{flags}");
    let request = Request {
        terminal,
        form: args.output.format.into(),
        watch: args.until.watch,
        subject: format!("{namespace}/{name}"),
        goal: args.until.wait_for.map(goal_word),
        timeout: args.until.timeout,
        schema: "kubectl-stateful/status-change/v1",
        hint: hint.clone(),
    };
    let mut watched =
        WatchedSet { cluster, args, name, uid: None, is_hopeless: false, terminal, hint };
    watch_loop::follow(&mut watched, &request).await
}

/// The set under `--watch` and `--wait-for`.
struct WatchedSet<'a> {
    cluster: &'a Cluster,
    args: &'a StatusArgs,
    name: String,
    /// The uid of the set that was read first.
    uid: Option<String>,
    /// Whether it never becomes what is waited for.
    is_hopeless: bool,
    terminal: Terminal,
    hint: String,
}

impl Watched for WatchedSet<'_> {
    type Reading = Reading;
    type Picture = Picture;

    async fn read(&mut self) -> Result<Reading, Failure> {
        read::facts(self.cluster, &self.name, Scope::Status).await
    }

    fn changes(&self, reading: &Reading) -> Changes {
        Changes::of_set(self.cluster, reading, Scope::Status)
    }

    async fn judge(&mut self, reading: &Reading, now: Timestamp) -> Result<Picture, Error> {
        watch_loop::same_set(&mut self.uid, &reading.facts.set, &self.hint)?;
        let picture = plan::judge(&reading.facts, now);
        if let (Some(goal), Some(why)) = (self.args.until.wait_for, picture.goes())
            && !self.is_hopeless
        {
            self.is_hopeless = true;
            let (name, goal) = (&self.name, goal_word(goal));
            self.terminal.say(&format!("error: {name} never becomes {goal}: {why}"));
        }
        Ok(picture)
    }

    fn idle(&self, _: &Picture) -> Idle {
        Idle::JudgeAfter(TICK)
    }

    /// Also where the pods may not be read: the exit code says so at once.
    fn is_reached(&self, picture: &Picture) -> bool {
        let is_reached =
            |goal| picture.meets(goal) || picture.set.ready.is_none() || picture.goes().is_some();
        self.args.until.wait_for.is_some_and(is_reached)
    }

    fn verdict(&self, picture: &Picture) -> Exit {
        if self.is_hopeless { Exit::Conflict } else { verdict(picture, self.args) }
    }

    fn differences(&self, before: &Picture, after: &Picture) -> Vec<Difference> {
        differences(before, after)
    }

    fn render(&self, picture: &Picture, exit: Exit, look: Look) -> Result<String, Error> {
        report::render(picture, exit, self.args.output.format, look)
    }

    fn summary(&self, picture: &Picture) -> String {
        report::summary(picture)
    }

    fn lost(&self, failure: Failure) -> Error {
        let is_gone = matches!(failure, Failure::NotFound(_));
        let error = Error::from(failure);
        if is_gone { error.caused_by("it was deleted while it was being watched") } else { error }
    }
}

pub(super) fn goal_word(goal: Goal) -> &'static str {
    match goal {
        Goal::Ready => "ready",
        Goal::Updated => "updated",
    }
}

/// What is new in `next`, in words. Ages do not count.
fn differences(last: &Picture, next: &Picture) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut add =
        |object: String, message: String| differences.push(Difference { object, message });
    let index = |items: &'_ [OrdinalView]| -> HashMap<String, usize> {
        items.iter().enumerate().map(|(place, item)| (item.pod.name.clone(), place)).collect()
    };
    let (before, after) = (index(&last.items), index(&next.items));
    for item in &next.items {
        let earlier = before.get(&item.pod.name).and_then(|&place| last.items.get(place));
        if let Some(message) = ordinal_change(earlier, item) {
            add(format!("pod/{}", item.pod.name), message);
        }
    }
    for item in &last.items {
        if !after.contains_key(&item.pod.name) {
            add(format!("pod/{}", item.pod.name), format!("{} is gone", item.pod.name));
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
            add(finding.object.clone(), format!("{} no longer applies", finding.id));
        }
    }
    if (last.health, last.set.ready, last.set.replicas, last.set.partition)
        != (next.health, next.set.ready, next.set.replicas, next.set.partition)
    {
        let object = format!("statefulset.apps/{}", next.set.name);
        let partition = next.set.partition.filter(|&partition| partition > 0);
        let partition = partition.map_or_else(String::new, |p| format!(", partition {p}"));
        let (name, health) = (&next.set.name, next.health.label());
        let words = format!("{name}: {health}, {}{partition}", next.set.ready_text());
        add(object, words);
    }
    differences
}

fn ordinal_change(before: Option<&OrdinalView>, item: &OrdinalView) -> Option<String> {
    let Some(before) = before else {
        return Some(format!("{} is {}", item.pod.name, item.pod.state));
    };
    if item.pod.is_another_than(&before.pod) {
        let revision = item.pod.revision.as_deref().unwrap_or("<unknown>");
        return Some(format!("{} is a new pod on {revision}: {}", item.pod.name, item.pod.state));
    }
    if before.pod.state != item.pod.state {
        return Some(format!("{} is {}, was {}", item.pod.name, item.pod.state, before.pod.state));
    }
    if before.pod.restarts < item.pod.restarts {
        return Some(format!("{} restarted ({} times so far)", item.pod.name, item.pod.restarts));
    }
    None
}
