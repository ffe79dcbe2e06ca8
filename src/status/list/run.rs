//! Reads, judges, shows; with `--watch` or `--wait-for` again and again.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{self, Instant};

use super::{
    offline,
    read::{self, Reading},
    report::{self, View},
    row::Row,
    sets::{Question, Sets},
};
use crate::{
    cluster::{Cluster, ConnectionArgs, Failure, Resource, changes::Changes, shell_quoted},
    manifests::{Bundle, absent},
    output::{Error, Exit, Format, Look, Terminal},
    status::{
        args::StatusArgs,
        plan::{self, Goal},
        run::goal_word,
    },
    steps::watch_loop::{self, Difference, Idle, Request, Watched},
    workload::Unread,
};

/// How long after the last answer everything is read again, if no set has
/// changed: a warning about a pod does not change its set.
const IDLE: Duration = Duration::from_secs(10);
/// The shortest pause between two reads, and how many times the last one: in a
/// cluster with thousands of sets something changes all the time.
const PAUSE: Duration = Duration::from_secs(1);
const REST: u32 = 4;

/// Runs `status` without a name or with several.
///
/// # Errors
/// When the sets cannot be read, one that was named does not exist, or the
/// answer cannot be written.
pub async fn run(
    args: &StatusArgs,
    names: Vec<String>,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    if !args.files.is_empty() {
        let namespace = connection.namespace.clone().filter(|_| !args.all_namespaces);
        let question = Question { namespace, names, selector: args.selector.labels.clone() };
        return from_files(args, &question, terminal);
    }
    let cluster = Cluster::connect(connection, terminal).await?;
    let namespace = (!args.all_namespaces).then(|| cluster.namespace().to_owned());
    let question = Question { namespace, names, selector: args.selector.labels.clone() };
    if args.until.watch || args.until.wait_for.is_some() {
        return follow(&cluster, args, &question, terminal).await;
    }
    let unreadable = |failure| unreadable(failure, &question);
    let mut reading = read::sets(&cluster, &question).await.map_err(unreadable)?;
    check_empty(&cluster, &question, &mut reading.sets).await?;
    terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
    all_named(&question, &reading.sets)?;
    let again = Some(cluster.flags());
    let view = view(args, &question, &reading.sets, Timestamp::now(), again);
    conclude(&view, args, terminal)
}

fn from_files(args: &StatusArgs, question: &Question, terminal: Terminal) -> Result<Exit, Error> {
    let bundle = Bundle::read(&args.files.paths)?;
    let sets = offline::sets(&bundle, question)?;
    all_named(question, &sets)?;
    let time = bundle.newest_time();
    let paths = &args.files.paths;
    let flags = paths.iter().map(|path| format!(" -f {}", shell_quoted(path)));
    // What came from stdin is gone.
    let again = (!paths.iter().any(|path| path == "-")).then(|| flags.collect());
    let now = time.unwrap_or_else(Timestamp::now);
    let mut view = view(args, question, &sets, now, again);
    view.offline = true;
    view.from_the_files = time.is_some();
    if bundle.all(Resource::STATEFUL_SET).is_none() {
        view.unread.push(absent(Resource::STATEFUL_SET));
    }
    conclude(&view, args, terminal)
}

fn conclude(view: &View, args: &StatusArgs, terminal: Terminal) -> Result<Exit, Error> {
    let exit = verdict(view, args);
    let look = args.rows.applied(Look::of(terminal, view.time));
    if look.only_rows || args.output.format == Format::Name {
        terminal.warn_of_unread(&view.unread);
    }
    terminal.conclude(&report::render(view, exit, args.output.format, look)?)?;
    Ok(exit)
}

/// The rows of what was read.
fn view(
    args: &StatusArgs,
    question: &Question,
    sets: &Sets,
    now: Timestamp,
    again: Option<String>,
) -> View {
    let mut rows = Vec::with_capacity(sets.len());
    sets.each(|facts| rows.push(Row::of(plan::judge(facts, now))));
    let mut view = View::new(rows, question.namespace.clone(), now);
    view.unread = sets.unread().to_vec();
    view.again = again;
    if let Some(selector) = &question.selector {
        view.selected = format!(" with {}", selector.query());
    }
    if view.items.is_empty() && args.exit_code && view.unread.is_empty() {
        // Nothing is wrong with none of them.
        let why = "there is none, so nothing was judged".to_owned();
        view.unread.push(Unread { resource: Resource::STATEFUL_SET.name(), why });
    }
    view
}

/// The exit code for the rows.
fn verdict(view: &View, args: &StatusArgs) -> Exit {
    if args.exit_code && !view.reasons.is_empty() {
        Exit::Found
    } else if view.unread.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}

/// Every set that was named must be there: an answer about the others alone would
/// look whole.
fn all_named(question: &Question, sets: &Sets) -> Result<(), Error> {
    let absent = |name: &&String| !sets.names().any(|known| known == *name);
    let mut missing = question.names.iter().filter(absent);
    let Some(first) = missing.next() else { return Ok(()) };
    let message = |name: &str| {
        format!("Error from server (NotFound): statefulsets.apps \"{name}\" not found")
    };
    let error = Error::with_headline(Exit::Error, message(first));
    Err(missing.fold(error, |error, name| error.caused_by(message(name))))
}

/// No sets are an answer only where the namespace exists.
async fn check_empty(cluster: &Cluster, question: &Question, sets: &mut Sets) -> Result<(), Error> {
    let Some(namespace) = question.namespace.as_deref().filter(|_| sets.len() == 0) else {
        return Ok(());
    };
    let mut unread = Vec::new();
    let object = Resource::NAMESPACE.object("", namespace);
    let found: Option<Value> = cluster.find_if_allowed(&object, &mut unread).await?;
    if found.is_none() && unread.is_empty() {
        let headline =
            format!("Error from server (NotFound): namespaces \"{namespace}\" not found");
        return Err(Error::with_headline(Exit::Error, headline));
    }
    for Unread { why, .. } in unread {
        sets.note_missing(Resource::NAMESPACE, Some(why));
    }
    Ok(())
}

/// The failure to read the sets themselves.
fn unreadable(failure: Failure, question: &Question) -> Error {
    let forbidden = matches!(failure, Failure::Forbidden(_)) && question.namespace.is_none();
    let error = Error::from(failure);
    if forbidden {
        error.hint("kubectl stateful status -n NAMESPACE reads one namespace only")
    } else {
        error
    }
}

async fn follow(
    cluster: &Cluster,
    args: &StatusArgs,
    question: &Question,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let place = match &question.namespace {
        Some(namespace) => format!(" -n {namespace}"),
        None => " -A".to_owned(),
    };
    let names: String = question.names.iter().flat_map(|name| [" ", name]).collect();
    let selector = question.selector.as_ref();
    let selector = selector.map(|selector| format!(" -l {}", shell_quoted(&selector.query())));
    let selector = selector.unwrap_or_default();
    let hint = format!("kubectl stateful status{names}{place}{selector}{}", cluster.flags());
    let where_to = question.namespace.as_deref().map_or_else(
        || "the StatefulSets of all namespaces".to_owned(),
        |namespace| format!("the StatefulSets in {namespace}"),
    );
    let request = Request {
        terminal,
        form: args.output.format.into(),
        watch: args.until.watch,
        subject: where_to,
        goal: args.until.wait_for.map(goal_word),
        timeout: args.until.timeout,
        schema: "kubectl-stateful/status-change/v1",
        hint,
    };
    let mut watched =
        WatchedSets { cluster, args, question, not_before: None, is_hopeless: false, terminal };
    watch_loop::follow(&mut watched, &request).await
}

/// The sets under `--watch` and `--wait-for`.
struct WatchedSets<'a> {
    cluster: &'a Cluster,
    args: &'a StatusArgs,
    question: &'a Question,
    /// When the next read may begin.
    not_before: Option<Instant>,
    /// Whether not all of them become what is waited for.
    is_hopeless: bool,
    terminal: Terminal,
}

impl WatchedSets<'_> {
    /// A set that was named, and is going. One that was not is waited for by the
    /// others: the rest of them may be there when it is gone.
    fn going<'v>(&self, view: &'v View) -> Option<(&'v Row, &'v str)> {
        let mut rows = view.items.iter().filter(|_| !self.question.names.is_empty());
        rows.find_map(|row| Some((row, row.goes.as_deref()?)))
    }
}

impl Watched for WatchedSets<'_> {
    type Reading = Reading;
    type Picture = View;

    async fn read(&mut self) -> Result<Reading, Failure> {
        if let Some(time) = self.not_before {
            time::sleep_until(time).await;
        }
        let begun = Instant::now();
        let reading = read::sets(self.cluster, self.question).await?;
        self.not_before = Some(Instant::now() + PAUSE.max(begun.elapsed() * REST));
        Ok(reading)
    }

    fn changes(&self, reading: &Reading) -> Changes {
        Changes::of_lists(self.cluster, [(read::listing(self.question), reading.version.clone())])
    }

    async fn judge(&mut self, reading: &Reading, now: Timestamp) -> Result<View, Error> {
        all_named(self.question, &reading.sets)?;
        let again = Some(self.cluster.flags());
        let view = view(self.args, self.question, &reading.sets, now, again);
        if let (Some(goal), Some((row, why))) = (self.args.until.wait_for, self.going(&view))
            && !self.is_hopeless
        {
            let (name, goal) = (row.reference(), goal_word(goal));
            self.terminal.say(&format!("error: {name} never becomes {goal}: {why}"));
            self.is_hopeless = true;
        }
        Ok(view)
    }

    fn idle(&self, _: &View) -> Idle {
        Idle::ReadAfter(IDLE)
    }

    fn is_reached(&self, view: &View) -> bool {
        let goal = self.args.until.wait_for;
        let all = |goal: Goal| view.items.iter().all(|row| row.meets(goal));
        // Pods that may not be read are never seen to be ready: the exit code says so.
        let is_unknown = view.items.iter().any(|row| row.ready.is_none());
        // None at all are not ready.
        let ends = is_unknown || self.going(view).is_some();
        !view.items.is_empty() && goal.is_some_and(|goal| ends || all(goal))
    }

    fn verdict(&self, view: &View) -> Exit {
        if self.is_hopeless { Exit::Conflict } else { verdict(view, self.args) }
    }

    fn differences(&self, before: &View, after: &View) -> Vec<Difference> {
        differences(before, after)
    }

    fn render(&self, view: &View, exit: Exit, look: Look) -> Result<String, Error> {
        report::render(view, exit, self.args.output.format, self.args.rows.applied(look))
    }

    fn summary(&self, view: &View) -> String {
        view.summary()
    }

    fn lost(&self, failure: Failure) -> Error {
        unreadable(failure, self.question)
    }
}

/// What is new, in words. Ages do not count.
fn differences(before: &View, after: &View) -> Vec<Difference> {
    let object = |row: &Row| format!("statefulset.apps/{}", row.name);
    let same =
        |one: &Row, other: &Row| (&one.namespace, &one.name) == (&other.namespace, &other.name);
    // Not the message of a finding: there are ages in it.
    let state = |row: &Row| {
        let worst = row.worst().map(|worst| (worst.id, worst.object.clone()));
        (row.class, row.replicas, row.ready, row.updated, row.partition, worst)
    };
    let mut differences = Vec::new();
    for row in &after.items {
        let known = before.items.iter().find(|old| same(old, row));
        if known.is_none_or(|old| state(old) != state(row)) {
            let message = format!("{}: {}", row.reference(), report::state(row));
            differences.push(Difference { object: object(row), message });
        }
    }
    for old in before.items.iter().filter(|old| !after.items.iter().any(|row| same(old, row))) {
        let message = format!("{} is gone", old.reference());
        differences.push(Difference { object: object(old), message });
    }
    differences
}
