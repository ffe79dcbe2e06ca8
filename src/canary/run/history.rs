//! `history`: the revisions of a set, and how two of them differ.

use jiff::Timestamp;

use super::look::facts_of_files;
use crate::{
    canary::{
        args::HistoryArgs,
        diff,
        record::Record,
        report::{self, Comparison, HistoryView},
    },
    cluster::{
        Cluster, ConnectionArgs, Resource,
        read::{self, Scope},
    },
    output::{Error, Exit, Look, Terminal},
    workload::{Facts, Revision},
};

/// Runs `history`.
pub async fn history(
    args: &HistoryArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let name = args.set.name()?;
    let facts = if args.files.paths.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        read::facts(&cluster, &name, Scope::Rollout).await?.facts
    } else {
        facts_of_files(&args.files.paths, &name, connection)?
    };
    let now = Timestamp::now();
    // A record that cannot be read changes nothing about the revisions.
    let record = Record::of(&facts.set).ok().flatten();
    let mut view = HistoryView::new(&facts, record.as_ref(), now);
    if let Some(wanted) = &args.revision {
        view.differences = Some(compare(&facts, wanted, args.against.as_deref())?);
    }
    let exit = if facts.unread.is_empty() { Exit::Done } else { Exit::Incomplete };
    let text = report::render_history(&view, exit, args.output.format, Look::of(terminal, now))?;
    terminal.answer(&text)?;
    Ok(exit)
}

fn compare(facts: &Facts, wanted: &str, against: Option<&str>) -> Result<Comparison, Error> {
    if facts.revisions.is_none() {
        let kind = Resource::REVISION.name();
        let unread = facts.unread.iter().find(|unread| unread.resource == kind);
        let why = unread.map_or_else(String::new, |unread| format!(": {}", unread.why));
        let message = format!("{kind} could not be read{why}");
        return Err(Error::new(Exit::Incomplete, message));
    }
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
        changes: diff::differences(&from.template, &to.template),
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
