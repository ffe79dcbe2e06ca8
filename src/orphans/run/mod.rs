//! Carries the verbs of `orphans` out.

pub mod adopt;
pub mod delete;
mod hand;

use std::mem::take;

use jiff::Timestamp;

use super::{
    args::{OrphansArgs, ReportArgs, Verb},
    classify::judge,
    model::Facts,
    report::{self, View},
    totals::{self, Totals},
};
use crate::{
    cluster::{Cluster, ConnectionArgs, disks, offline::Bundle},
    output::{Error, Exit, Look, Terminal},
};

/// Runs `orphans` or one of its verbs.
///
/// # Errors
/// When the words are off, something cannot be read, or a guard says no.
pub async fn run(
    args: &OrphansArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    args.check()?;
    match &args.verb {
        None => report(&args.report, connection, terminal).await,
        Some(Verb::Delete(args)) => delete::run(args, connection, terminal).await,
        Some(Verb::Adopt(args)) => adopt::run(args, connection, terminal).await,
    }
}

async fn report(
    args: &ReportArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let wish = args.wish()?;
    let facts = if args.filename.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        let namespace = (!args.all_namespaces).then(|| cluster.namespace().to_owned());
        let facts = disks::facts(&cluster, namespace.as_deref()).await?;
        terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
        facts
    } else {
        let namespace = connection.namespace.as_deref().filter(|_| !args.all_namespaces);
        Bundle::read(&args.filename)?.disks(namespace, args.complete)?
    };
    let now = Timestamp::now();
    let (view, exit) = view(args, &wish, facts, now)?;
    let text = report::render(&view, exit, args.output, Look::of(terminal, now))?;
    terminal.conclude(&text)?;
    Ok(exit)
}

/// What nothing needs any more of one set.
///
/// # Errors
/// When the server fails.
pub async fn of_set(cluster: &Cluster, set: &str) -> Result<View, Error> {
    let mut facts = disks::facts(cluster, Some(cluster.namespace())).await?;
    let now = Timestamp::now();
    let verdict = judge(&facts, now);
    let rows: Vec<_> =
        verdict.rows.into_iter().filter(|row| row.set.as_deref() == Some(set)).collect();
    Ok(View {
        namespace: facts.namespace.as_ref().map(ToString::to_string),
        set: Some(set.to_owned()),
        time: now,
        totals: Totals::of(&rows, verdict.counts),
        items: rows,
        findings: Vec::new(),
        unread: take(&mut facts.unread),
        flags: take(&mut facts.flags),
    })
}

/// The report, and what it means for the exit code.
fn view(
    args: &ReportArgs,
    wish: &super::select::Wish,
    mut facts: Facts,
    now: Timestamp,
) -> Result<(View, Exit), Error> {
    let verdict = judge(&facts, now);
    let mut rows = verdict.rows;
    let by_age = wish.apply(&mut rows, now);
    if let Some(set) = &wish.set {
        let there = facts.sets.iter().any(|one| &*one.name == set);
        let known = !facts.missing.contains(&super::model::Kind::StatefulSet);
        if !there && known && rows.is_empty() {
            let headline =
                format!("Error from server (NotFound): statefulsets.apps \"{set}\" not found");
            return Err(Error::with_headline(Exit::Error, headline)
                .caused_by("and no claim or volume looks like one of its own"));
        }
    }
    totals::price(&mut rows, &args.price);
    let namespace = facts.namespace.as_ref().map(ToString::to_string);
    let (unread, flags) = (take(&mut facts.unread), take(&mut facts.flags));
    // Tens of thousands of objects, before the answer takes its room.
    drop(facts);
    let mut view = View {
        namespace,
        set: wish.set.clone(),
        time: now,
        totals: Totals::of(&rows, verdict.counts),
        items: rows,
        findings: Vec::new(),
        unread,
        flags,
    };
    let rings = |class| args.fail_on.iter().any(|alarm| alarm.rings(class));
    view.find(by_age, rings);
    let exit = if view.items.iter().any(|row| rings(row.class)) {
        Exit::Found
    } else if view.unread.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    Ok((view, exit))
}
