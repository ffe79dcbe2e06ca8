//! `--wait` and `--watch`.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{look::Looker, show, verdict};
use crate::{
    cluster::naming::NameChanges,
    dns::{
        args::{LookArgs, Output},
        compare::Verdict,
        expected::{Expected, Kind},
        picture::Picture,
        report::{self, Lists},
    },
    output::{
        Error, Exit, Format, Live, Look, Terminal,
        follow::{Change, End, time_is_up, until},
        text::clock,
    },
    steps,
};

/// Without a change in the API, servers are asked again this often: a cache
/// says nothing when it lets go.
const LOOK: Duration = Duration::from_secs(5);
/// When a denial is about to run out, this often.
const SOON: Duration = Duration::from_millis(250);
/// Changes come in bursts.
const QUIET: Duration = Duration::from_millis(50);

/// `--wait` and `--watch`: looks again whenever the API changes, and when an
/// answer of a server runs out.
pub async fn follow(
    mut looker: Looker<'_>,
    terminal: Terminal,
    ordinal: Option<u32>,
) -> Result<Exit, Error> {
    let args = looker.args;
    let draws =
        args.watch && terminal.stdout_is_tty && matches!(args.output, Output::Table | Output::Wide);
    let mut live = draws.then(|| Live::new(terminal));
    let since = Timestamp::now();
    let (mut picture, reading) = looker.look().await?;
    looker.patient = true;
    if let Some(wait) = args.wait {
        announce(terminal, &picture, wait, since);
    }
    let mut changes = NameChanges::of(looker.cluster, &reading);
    let expired = time_is_up(args.wait);
    let signal = steps::interruption();
    tokio::pin!(expired, signal);
    if args.watch && !args.output.format().is_machine() && live.is_none() {
        show(&picture, args, ordinal, terminal)?;
    }
    let end = loop {
        if let Some(live) = &mut live {
            let lists = Lists { output: args.output, ..Lists::default() };
            let look = Look::of(terminal, picture.now);
            live.draw(&report::render(&picture, verdict(&picture, args), &lists, look)?)?;
        }
        if args.wait.is_some() && picture.is_well() {
            break End::Reached;
        }
        let pause = pause(&picture, args.wait.is_some());
        let next = async {
            changes.next(pause).await;
            tokio::time::sleep(QUIET).await;
            looker.look().await
        };
        let next = tokio::select! {
            () = &mut expired => break End::Deadline,
            exit = &mut signal => break End::Signal(exit),
            next = next => next?.0,
        };
        for change in changes_between(&picture, &next) {
            print(&change, args, terminal, live.is_some())?;
        }
        picture = next;
    };
    finish(&picture, &end, args, ordinal, terminal)
}

/// Until the next look, unless the API changes before. While a denial lasts,
/// asking is of no use; when it is about to end, every moment counts.
fn pause(picture: &Picture, waits: bool) -> Duration {
    match picture.denied_for().filter(|_| waits) {
        Some(seconds @ 2..) => Duration::from_secs(u64::from(seconds) - 1).min(LOOK),
        Some(_) => SOON,
        None if waits && !picture.is_well() => Duration::from_secs(1),
        None => LOOK,
    }
}

fn announce(terminal: Terminal, picture: &Picture, wait: Duration, since: Timestamp) {
    let name = picture.facts.service.as_deref().unwrap_or_default();
    terminal.say(&format!(
        "waiting for the names of {}/{name} to be answered by every server, since {}, {}",
        picture.facts.namespace,
        clock(since),
        until(since, Some(wait)),
    ));
}

fn print(
    change: &Change,
    args: &LookArgs,
    terminal: Terminal,
    is_drawn: bool,
) -> Result<(), Error> {
    if args.output == Output::Jsonl {
        return terminal.answer(&change.json()?);
    }
    if is_drawn {
        return Ok(());
    }
    if args.watch && !matches!(args.output.format(), Format::Json | Format::Yaml) {
        return terminal.answer(&(change.line() + "\n"));
    }
    terminal.say(&change.line());
    Ok(())
}

/// What differs between two pictures, in words. TTLs that run down do not count.
fn changes_between(last: &Picture, next: &Picture) -> Vec<Change> {
    let state = |picture: &Picture| -> BTreeMap<(String, Kind), (Option<Verdict>, String)> {
        let rows = picture.rows.iter().map(|judged| {
            let row = &judged.row;
            let expected = match &row.expected {
                Expected::Records(wanted) => {
                    let values: Vec<String> =
                        wanted.iter().map(|one| one.value.to_string()).collect();
                    values.join(", ")
                }
                Expected::Nothing(absent) => absent.why().to_owned(),
                Expected::Unknown => "not known".to_owned(),
            };
            ((row.name.clone(), row.kind), (judged.verdict, expected))
        });
        rows.collect()
    };
    let (before, after) = (state(last), state(next));
    let mut changes = Vec::new();
    let mut add = |object: &str, message: String| {
        changes.push(Change {
            schema: "kubectl-stateful/dns-change/v1",
            time: next.now,
            object: object.to_owned(),
            message,
        });
    };
    let word = |verdict: Option<Verdict>| verdict.map_or("expected", Verdict::label);
    for ((name, kind), (verdict, expected)) in &after {
        let short = next.zone.short(name);
        match before.get(&(name.clone(), *kind)) {
            Some(same) if *same == (*verdict, expected.clone()) => {}
            _ => add(name, format!("{short} {} is {}: {expected}", kind.name(), word(*verdict))),
        }
    }
    for (name, kind) in before.keys() {
        if !after.contains_key(&(name.clone(), *kind)) {
            add(name, format!("{} {} is no name any more", next.zone.short(name), kind.name()));
        }
    }
    changes
}

fn finish(
    picture: &Picture,
    end: &End,
    args: &LookArgs,
    ordinal: Option<u32>,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let exit = match end {
        End::Reached => verdict(picture, args),
        End::Deadline => Exit::Timeout,
        End::Signal(exit) => *exit,
    };
    if args.wait.is_some() || args.output.format().is_machine() {
        let lists = Lists {
            output: args.output,
            format: args.format.clone(),
            port: args.port.clone(),
            ordinal,
        };
        let look = Look::of(terminal, picture.now);
        terminal.answer(&report::render(picture, exit, &lists, look)?)?;
    }
    match end {
        End::Deadline => {
            let hint = steps::repeat();
            let summary = report::summary(picture);
            terminal
                .say(&format!("error: timed out waiting for the names: {summary}\nhint: {hint}"));
        }
        End::Signal(_) if args.wait.is_some() => {
            let hint = steps::repeat();
            terminal.say(&format!("interrupted; nothing was changed\nhint: {hint}"));
        }
        End::Reached | End::Signal(_) => {}
    }
    Ok(exit)
}
