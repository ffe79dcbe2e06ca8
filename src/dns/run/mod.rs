//! Reads, asks, shows; again at every change where that was asked for.

mod follow;
mod look;
mod unasked;
mod within;

use self::{follow::follow, look::Looker, unasked::Unasked};
use super::{
    args::{DnsArgs, ExplainArgs, LookArgs, Verb},
    compare::Outcome,
    domain::How,
    expected::Wish,
    facts::Facts,
    picture::Picture,
    report::{self, Lists},
};
use crate::{
    cluster::{Cluster, ConnectionArgs, naming, offline::Bundle},
    output::{Error, Exit, Look, Terminal},
    workload::{Finding, Severity},
};

/// Runs `dns`.
///
/// # Errors
/// When the target cannot be named or read, or the answer not be written.
pub async fn run(
    args: &DnsArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    match &args.verb {
        Some(Verb::Explain(args)) => explained(args, connection, terminal).await,
        None => look(&args.look, connection, terminal).await,
    }
}

async fn explained(
    args: &ExplainArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let (target, ordinal) = args.target.parse()?;
    let wish = Wish { ordinal, ..Wish::default() };
    let mut picture = if args.target.filename.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        let reading = naming::facts(&cluster, &target).await?;
        terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
        let mut unasked = Unasked::new(reading.facts, &args.target, wish);
        unasked.facts.unread.append(&mut unasked.facts.servers.unread);
        let paths = unasked.paths(&args.target, Some(&cluster)).await?;
        unasked.picture(paths)
    } else {
        let bundle = Bundle::read(&args.target.filename)?;
        let facts = bundle.naming(&target, connection.namespace.as_deref())?;
        let unasked = Unasked::new(facts, &args.target, wish);
        let paths = unasked.paths(&args.target, None).await?;
        unasked.picture(paths)
    };
    picture.findings.sort_by_key(|finding| finding.severity);
    let heavy = |finding: &Finding| finding.severity != Severity::Note;
    let exit = if picture.findings.iter().any(heavy) {
        Exit::Found
    } else if picture.unread.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    let look = Look::of(terminal, picture.now);
    terminal.conclude(&report::explained(&picture, exit, args.output, look)?)?;
    Ok(exit)
}

async fn look(
    args: &LookArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let (target, ordinal) = args.target.parse()?;
    if !args.output.is_a_list() && (args.replicas.is_some() || args.format.is_some()) {
        return Err(Error::usage("--replicas and --format are for -o name, hosts and srv-list"));
    }
    let wish = Wish { ordinal, kinds: args.kinds.clone(), ..Wish::default() };
    if !args.target.filename.is_empty() {
        let bundle = Bundle::read(&args.target.filename)?;
        let facts = bundle.naming(&target, connection.namespace.as_deref())?;
        let unasked = Unasked::new(as_if(facts, args), &args.target, wish);
        let paths = unasked.paths(&args.target, None).await?;
        return show(&unasked.picture(paths), args, ordinal, terminal);
    }
    let cluster = Cluster::connect(connection, terminal).await?;
    let mut looker = Looker::new(&cluster, args, target, wish, terminal);
    if args.wait.is_some() || args.watch {
        return follow(looker, terminal, ordinal).await;
    }
    let (picture, _) = looker.look().await?;
    terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
    show(&picture, args, ordinal, terminal)
}

/// With `--replicas` the set counts as so large.
fn as_if(mut facts: Facts, args: &LookArgs) -> Facts {
    if let (Some(set), Some(replicas)) = (&mut facts.set, args.replicas) {
        set.replicas = replicas;
    }
    facts
}

fn show(
    picture: &Picture,
    args: &LookArgs,
    ordinal: Option<u32>,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let exit = verdict(picture, args);
    if args.output.is_a_list() && picture.domain.how == How::Assumed {
        let domain = &picture.domain.name;
        terminal.warn(&format!(
            "{domain} is assumed to be the cluster's domain; --cluster-domain says it"
        ));
    }
    let lists = Lists {
        output: args.output,
        format: args.format.clone(),
        port: args.port.clone(),
        ordinal,
    };
    let look = Look::of(terminal, picture.now);
    terminal.conclude(&report::render(picture, exit, &lists, look)?)?;
    Ok(exit)
}

/// What a picture means for the exit code. Lists are about names, not about
/// who serves them.
fn verdict(picture: &Picture, args: &LookArgs) -> Exit {
    if args.output.is_a_list() {
        return if picture.unread.is_empty() { Exit::Done } else { Exit::Incomplete };
    }
    let silent = picture.asked.iter().any(|asked| asked.error.is_some());
    let failed = || {
        let mut outcomes = picture.rows.iter().flat_map(|judged| &judged.outcomes);
        outcomes.any(|outcome| matches!(outcome, Outcome::Failed(_)))
    };
    if picture.is_found() {
        Exit::Found
    } else if picture.unread.is_empty() && !silent && !failed() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}
