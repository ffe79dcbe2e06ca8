//! Looking: `status` and `history`.

use std::{future::pending, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::command;
use crate::{
    canary::{
        args::{Awaited, HistoryArgs, ShowArgs},
        change,
        record::Record,
        report::{self, Class, Comparison, HistoryView, Stage, View},
    },
    cluster::{Cluster, ConnectionArgs, Mirror, offline::Bundle, read},
    output::{
        Error, Exit, Live, Look, Terminal,
        text::{clock, one_line},
    },
    workload::{Facts, Reference, Revision},
};

/// Changes come in bursts; so long it must be quiet before they are shown.
const QUIET: Duration = Duration::from_millis(50);
/// Ages are drawn anew this often.
const TICK: Duration = Duration::from_secs(1);

/// Runs `status`.
pub async fn status(
    args: &ShowArgs,
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
    let reading = read::facts(&cluster, &reference.name, read::Scope::Rollout).await?;
    if args.watch || args.wait_for.is_some() {
        return follow(&cluster, reading, args, terminal).await;
    }
    once(&reading.facts, args, terminal)
}

fn once(facts: &Facts, args: &ShowArgs, terminal: Terminal) -> Result<Exit, Error> {
    let now = Timestamp::now();
    let view = picture(facts, now)?;
    let exit = verdict(&view, facts, args);
    terminal.answer(&report::render(&view, exit, &[], args.output, Look::of(terminal, now))?)?;
    Ok(exit)
}

fn picture(facts: &Facts, now: Timestamp) -> Result<View, Error> {
    let record = Record::of(&facts.set).map_err(|why| {
        let survey = crate::workload::Survey::new(facts, now);
        let finding = crate::canary::guards::unusable(&survey, &why);
        super::refused(&format!("cannot show the canary of {}", facts.set.name), vec![finding])
    })?;
    Ok(View::new(facts, record.as_ref(), None, now))
}

fn verdict(view: &View, facts: &Facts, args: &ShowArgs) -> Exit {
    let waits = matches!(view.stage, Stage::Paused | Stage::Judging | Stage::Staged);
    match (args.exit_code, view.is_broken(), waits) {
        (true, true, _) => Exit::Found,
        (true, false, true) => Exit::Waiting,
        _ if facts.unread.is_empty() => Exit::Done,
        _ => Exit::Incomplete,
    }
}

fn meets(view: &View, goal: Awaited) -> bool {
    let well = view.items.iter().all(|item| item.available);
    match goal {
        Awaited::Paused => matches!(view.stage, Stage::Paused | Stage::None) && well,
        Awaited::Complete => {
            view.stage == Stage::None
                && well
                && view.items.iter().all(|item| item.class == Class::Stable)
        }
    }
}

/// `--watch` and `--wait-for`: the same loop, shown or not.
async fn follow(
    cluster: &Cluster,
    reading: read::Reading,
    args: &ShowArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let name = reading.facts.set.name.clone();
    let uid = reading.facts.set.uid.clone();
    let machine = args.output.is_machine();
    let mut live = (args.watch && terminal.stdout_is_tty && !machine).then(|| Live::new(terminal));
    let mut mirror = Mirror::follow(cluster, reading);
    let expired = async {
        match args.timeout.filter(|timeout| !timeout.is_zero()) {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => pending().await,
        }
    };
    let signal = crate::steps::interruption();
    tokio::pin!(expired, signal);
    let mut last: Option<Vec<String>> = None;
    let since = Timestamp::now();
    if let Some(goal) = args.wait_for {
        terminal.say(&announcement(&name, goal, since, args.timeout));
    }
    let exit = loop {
        let now = Timestamp::now();
        if mirror.set_is_gone() || mirror.facts().set.uid != uid {
            return Err(Error::new(Exit::Conflict, format!("{name} was deleted meanwhile"))
                .hint(command("status", &name, cluster)));
        }
        let view = picture(mirror.facts(), now)?;
        let lines = words(&view);
        if let Some(live) = &mut live {
            live.draw(&report::tree(&view, &[], Look::of(terminal, now)))?;
        } else if args.watch && last.is_none() && !machine {
            terminal.answer(&report::tree(&view, &[], Look::of(terminal, now)))?;
        } else if let Some(before) = &last {
            for line in lines.iter().filter(|line| !before.contains(line)) {
                tell(args, terminal, now, line)?;
            }
        }
        last = Some(lines);
        if args.wait_for.is_some_and(|goal| meets(&view, goal)) {
            break verdict(&view, mirror.facts(), args);
        }
        tokio::select! {
            () = &mut expired => break Exit::Timeout,
            exit = &mut signal => break exit,
            () = tokio::time::sleep(TICK), if live.is_some() => {}
            () = mirror.changed() => {
                // What comes within a blink is one change.
                while tokio::time::timeout(QUIET, mirror.changed()).await.is_ok() {}
            }
        }
    };
    if exit == Exit::Timeout {
        let hint = command("status", &name, cluster);
        terminal.say(&format!("the time to wait for {name} is up\nhint: {hint}"));
    }
    if machine || !args.watch {
        let now = Timestamp::now();
        let view = picture(mirror.facts(), now)?;
        terminal.answer(&report::render(
            &view,
            exit,
            &[],
            args.output,
            Look::of(terminal, now),
        )?)?;
    }
    Ok(exit)
}

fn announcement(name: &str, goal: Awaited, since: Timestamp, timeout: Option<Duration>) -> String {
    let goal = match goal {
        Awaited::Paused => "its ordinals in hand to pass",
        Awaited::Complete => "the canary to be complete",
    };
    let until = timeout
        .filter(|timeout| !timeout.is_zero())
        .and_then(|timeout| SignedDuration::try_from(timeout).ok())
        .map_or_else(|| "without a limit".to_owned(), |t| format!("until {}", clock(since + t)));
    format!("waiting on {name} for {goal}, since {}, {until}", clock(since))
}

/// The canary as a line for each thing that can change; ages do not count.
fn words(view: &View) -> Vec<String> {
    let mut lines: Vec<String> = view
        .items
        .iter()
        .map(|item| {
            let revision = item.revision.as_deref().unwrap_or("<none>");
            format!("{} is {} on {revision}", item.name, item.state)
        })
        .collect();
    let stage = match view.stage {
        Stage::None => "no canary is under way".to_owned(),
        Stage::Staged => "staged".to_owned(),
        Stage::Judging => format!("judging at partition {}", view.partition),
        Stage::Paused => format!("paused at partition {}", view.partition),
        Stage::Aborting => "aborting".to_owned(),
    };
    lines.push(format!("{}: {stage}", view.name));
    lines
}

fn tell(args: &ShowArgs, terminal: Terminal, now: Timestamp, line: &str) -> Result<(), Error> {
    let line = format!("{}  {}", clock(now), one_line(line));
    if args.watch && !args.output.is_machine() {
        return terminal.answer(&(line + "\n"));
    }
    terminal.say(&line);
    Ok(())
}

/// Runs `history`.
pub async fn history(
    args: &HistoryArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let reference = Reference::parse(&args.set, "StatefulSet").map_err(Error::usage)?;
    let facts = if args.filename.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        read::facts(&cluster, &reference.name, read::Scope::Rollout).await?.facts
    } else {
        let bundle = Bundle::read(&args.filename)?;
        bundle.facts(&reference.name, connection.namespace.as_deref())?
    };
    let now = Timestamp::now();
    // A record that cannot be read changes nothing about the revisions.
    let record = Record::of(&facts.set).ok().flatten();
    let mut view = HistoryView::new(&facts, record.as_ref(), now);
    if let Some(wanted) = &args.revision {
        view.differences = Some(compare(&facts, wanted, args.against.as_deref())?);
    }
    let exit = if facts.unread.is_empty() { Exit::Done } else { Exit::Incomplete };
    let text = report::render_history(&view, exit, args.output, Look::of(terminal, now))?;
    terminal.answer(&text)?;
    Ok(exit)
}

fn compare(facts: &Facts, wanted: &str, against: Option<&str>) -> Result<Comparison, Error> {
    let to = revision(facts, wanted)?;
    let from = match against {
        Some(against) => revision(facts, against)?,
        None => facts
            .revisions
            .iter()
            .flatten()
            .filter(|revision| revision.number < to.number)
            .max_by_key(|revision| revision.number)
            .ok_or_else(|| {
                Error::usage(format!("there is no revision before {}", to.name))
                    .hint("name the other one: --against REVISION")
            })?,
    };
    Ok(Comparison {
        from: from.name.clone(),
        to: to.name.clone(),
        changes: change::differences(&from.template, &to.template),
    })
}

/// By name, by the end of the name, or by number.
fn revision<'a>(facts: &'a Facts, wanted: &str) -> Result<&'a Revision, Error> {
    let all = || facts.revisions.iter().flatten();
    let number: Option<i64> = wanted.parse().ok();
    all()
        .find(|revision| revision.name == wanted)
        .or_else(|| all().find(|revision| Some(revision.number) == number))
        .ok_or_else(|| {
            let known: Vec<String> = all().map(|r| format!("{} ({})", r.number, r.name)).collect();
            Error::usage(format!("{} has no revision {wanted}", facts.set.name))
                .hint(format!("there are: {}", known.join(", ")))
        })
}
