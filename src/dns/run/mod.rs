//! Reads, asks, shows; with `--watch` or `--wait` again at every change.

mod api_view;
mod check;
mod exec;
mod follow;
mod show;

use self::{
    api_view::{ApiView, with_replicas},
    check::Checker,
    follow::follow,
    show::show,
};
use super::{
    args::{DnsArgs, ExplainArgs, LookArgs, Output, TargetArgs},
    expected::RowOptions,
    facts::Servers,
    lists, offline,
    read::{self, Target},
    report, rules,
};
use crate::{
    cluster::{Cluster, ConnectionArgs, rights::can_i_of},
    manifests::Bundle,
    output::{Error, Exit, Look, Terminal, text::one_line},
    workload::{Finding, Severity},
};

/// Runs `dns`.
///
/// # Errors
/// When the arguments are wrong, or the target cannot be read, or the answer
/// cannot be written.
pub async fn run(
    args: &DnsArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    match args.explain()? {
        Some(args) => explain(args, connection, terminal).await,
        None => check(&args.look, connection, terminal).await,
    }
}

async fn explain(
    args: &ExplainArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let (target, ordinal) = named(&args.target, connection, terminal).await?;
    let options = RowOptions { ordinal, ..RowOptions::default() };
    let mut picture = if args.target.files.paths.is_empty() {
        let cluster = Cluster::connect(connection, terminal).await?;
        let reading = read::facts(&cluster, &target).await?;
        terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
        let api_view = ApiView::new(reading.facts, &args.target, options);
        let paths = api_view.paths(&args.target, Some(&cluster)).await?;
        let note = servers_unread(&api_view.facts.servers, &cluster);
        let mut picture = api_view.without_answers(paths);
        picture.findings.extend(note);
        picture
    } else {
        let bundle = Bundle::read(&args.target.files.paths)?;
        let facts = offline::facts(&bundle, &target, connection.namespace.as_deref())?;
        let api_view = ApiView::new(facts, &args.target, options);
        let paths = api_view.paths(&args.target, None).await?;
        api_view.without_answers(paths)
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
    terminal.conclude(&report::render_explanation(&picture, exit, args.output.format, look)?)?;
    Ok(exit)
}

/// What the arguments name. If that is a set with something else than an ordinal, the
/// set is looked at for the ordinals that it has.
async fn named(
    args: &TargetArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<(Target, Option<u32>), Error> {
    let Some(wrong) = args.wrong_ordinal() else { return args.parse() };
    let set = if args.files.paths.is_empty() {
        match Cluster::connect(connection, terminal).await {
            Ok(cluster) => read::set(&cluster, &wrong.set).await.ok(),
            Err(_) => None,
        }
    } else {
        let bundle = Bundle::read(&args.files.paths)?;
        bundle.set(&wrong.set, connection.namespace.as_deref()).ok()
    };
    Err(wrong.error(set.as_ref()))
}

/// The note that the DNS servers' configuration could not be read. Most people
/// may not read kube-system, and all else that decides about names is known.
fn servers_unread(servers: &Servers, cluster: &Cluster) -> Option<Finding> {
    let unread = servers.unread.first()?;
    let message = format!("what the DNS servers keep back is not known: {}", one_line(&unread.why));
    let mut finding = rules::SERVERS_UNREAD.found("service/kube-dns", message);
    finding.hint = can_i_of(&unread.why, &cluster.flags());
    Some(finding)
}

async fn check(
    args: &LookArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let (target, ordinal) = named(&args.target, connection, terminal).await?;
    if !args.output.is_list() && args.replicas.is_some() {
        return Err(Error::usage("--replicas is for -o name, hosts and srv-list"));
    }
    if args.output != Output::SrvList && (args.format.is_some() || args.port.is_some()) {
        return Err(Error::usage("--format and --port are for -o srv-list"));
    }
    args.rows.check(matches!(args.output, Output::Table | Output::Wide))?;
    args.format.as_deref().map_or(Ok(()), lists::check_format)?;
    let options = RowOptions { ordinal, kinds: args.kinds.clone(), ..RowOptions::default() };
    if !args.target.files.paths.is_empty() {
        let bundle = Bundle::read(&args.target.files.paths)?;
        let facts = offline::facts(&bundle, &target, connection.namespace.as_deref())?;
        let api_view = ApiView::new(with_replicas(facts, args), &args.target, options);
        let paths = api_view.paths(&args.target, None).await?;
        return show(&api_view.without_answers(paths), args, ordinal, terminal);
    }
    let cluster = Cluster::connect(connection, terminal).await?;
    let mut checker = Checker::new(&cluster, args, target, options, terminal);
    if args.waits() || args.watch {
        return follow(checker, ordinal).await;
    }
    let reading = checker.read().await?;
    let picture = checker.check(&reading).await?;
    terminal.verbose(4, &format!("read with {} requests", cluster.requests()));
    show(&picture, args, ordinal, terminal)
}
