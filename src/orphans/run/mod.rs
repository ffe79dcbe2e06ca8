//! Runs `orphans` and its verbs.

pub mod adopt;
mod aftermath;
mod context;
pub mod delete;
mod plans;
mod rights;
mod targets;

use std::mem::take;

use jiff::Timestamp;

use super::{
    args::{OrphansArgs, ReportArgs, Verb},
    classify::judge,
    model::{Facts, Kind},
    offline, read,
    report::{self, View, lacking::Lacking},
    select::Filter,
    totals::{self, Totals},
};
use crate::{
    cluster::{Cluster, ConnectionArgs},
    output::{Error, Exit, Format, Look, Terminal},
};

/// Runs `orphans` or one of its verbs.
///
/// # Errors
/// When the command line is wrong, something cannot be read, or a guard refuses.
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
    args.rows.check(matches!(args.output.format, Format::Table | Format::Wide))?;
    let filter = args.filter()?;
    let mut cluster = None;
    let facts = if args.files.is_empty() {
        let connected = Cluster::connect(connection, terminal).await?;
        let namespace = (!args.all_namespaces).then(|| connected.namespace().to_owned());
        let mut facts = read::facts(&connected, namespace.as_deref()).await?;
        read::check_namespace(&connected, &mut facts).await?;
        cluster = Some(connected);
        facts
    } else {
        let namespace = connection.namespace.as_deref().filter(|_| !args.all_namespaces);
        offline::read(&args.files.paths, namespace, args.complete)?
    };
    let now = Timestamp::now();
    let (mut view, by_age) = view(args, &filter, facts, now)?;
    let lacking = match &cluster {
        Some(cluster) if view.items.iter().any(Lacking::matters) => {
            rights::lacking(cluster, view.namespace.as_deref(), terminal).await?
        }
        _ => Lacking::default(),
    };
    if let Some(cluster) = &cluster {
        terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
    }
    let fails = |class| args.fail_on.iter().any(|one| one.matches(class));
    view.add_findings(by_age, fails, &lacking);
    let exit = if view.items.iter().any(|row| fails(row.class)) {
        Exit::Found
    } else if view.unread.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    let look = args.rows.applied(Look::of(terminal, now));
    let text = report::render(&view, exit, args.output.format, look)?;
    // Where stdout has only names or rows, an empty one must not look like an answer.
    if args.output.format == Format::Name || look.only_rows {
        terminal.warn_of_unread(&view.unread);
    }
    terminal.conclude(&text)?;
    Ok(exit)
}

/// The report on one set.
///
/// # Errors
/// When the server fails.
pub async fn of_set(cluster: &Cluster, set: &str) -> Result<View, Error> {
    let mut facts = read::facts(cluster, Some(cluster.namespace())).await?;
    let now = Timestamp::now();
    let verdict = judge(&facts, now);
    let rows: Vec<_> =
        verdict.rows.into_iter().filter(|row| row.set.as_deref() == Some(set)).collect();
    Ok(View {
        namespace: facts.namespace.as_ref().map(ToString::to_string),
        set: Some(set.to_owned()),
        filtered: None,
        time: now,
        totals: Totals::of(&rows, verdict.counts),
        items: rows,
        findings: Vec::new(),
        unread: take(&mut facts.unread),
        flags: take(&mut facts.flags),
    })
}

/// The report without the findings for its rows, and in how many of these the age
/// stands for the idle time.
fn view(
    args: &ReportArgs,
    filter: &Filter,
    mut facts: Facts,
    now: Timestamp,
) -> Result<(View, usize), Error> {
    let verdict = judge(&facts, now);
    let mut rows = verdict.rows;
    let applied = filter.apply(&mut rows, now);
    if let Some(set) = &filter.set {
        let exists = facts.sets.iter().any(|one| &*one.name == set);
        let known = !facts.missing.contains(&Kind::StatefulSet);
        if !exists && known && rows.is_empty() {
            let headline =
                format!("Error from server (NotFound): statefulsets.apps \"{set}\" not found");
            return Err(Error::with_headline(Exit::Error, headline)
                .caused_by("and no claim or volume has the name of one of its claims"));
        }
    }
    totals::price(&mut rows, &args.price);
    let mut findings = totals::unknown_classes(&facts, &args.price);
    findings.extend(report::left_held(&facts));
    let namespace = facts.namespace.as_ref().map(ToString::to_string);
    let (unread, flags) = (take(&mut facts.unread), take(&mut facts.flags));
    // Tens of thousands of objects: free them before the report is built.
    drop(facts);
    let view = View {
        namespace,
        set: filter.set.clone(),
        filtered: applied.filtered,
        time: now,
        totals: Totals::of(&rows, verdict.counts),
        items: rows,
        findings,
        unread,
        flags,
    };
    Ok((view, applied.by_age))
}
