//! `status`: where migrations stand, from a cluster or from files.

use jiff::Timestamp;

use super::{Session, end::report_state, find, remains};
use crate::{
    cluster::{ConnectionArgs, Failure},
    manifests::Bundle,
    migrate::{
        args::StatusArgs,
        journal::StoredJournal,
        offline, read,
        report::{self, Lists, Looked, View},
        rules,
        standing::{Stage, Standing},
    },
    output::{Error, Exit, Look, Terminal, text::list as list_of},
    steps::End,
    workload::{Finding, Severity, Unread},
};

/// Runs `status`.
pub async fn status(
    args: &StatusArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    if !args.files.paths.is_empty() {
        return status_of_files(args, connection.namespace.as_deref(), terminal);
    }
    let session = Session::open(args.output.format, connection, terminal).await?;
    if args.target.is_empty() {
        return list(args, &session).await;
    }
    let stored = match find::journal(&session, &args.target).await {
        Err(missing) if missing.exit == Exit::Refused => {
            let left = find::remains_of(&session, &args.target).await?;
            if left.is_empty() {
                return Err(missing);
            }
            return remains::show(&session, &left, found_if_asked(args));
        }
        stored => stored?,
    };
    let world = read::world(&session.cluster, &stored.journal).await?;
    let standing = Standing::of(&stored, &world, Timestamp::now());
    let end = End { exit: judged(args, &[&standing]), findings: Vec::new() };
    report_state(&session, &world, &stored, &end, None, &[])
}

/// Lists the migrations that are under way.
async fn list(args: &StatusArgs, session: &Session) -> Result<Exit, Error> {
    let config_maps = read::journals(&session.cluster, args.all_namespaces).await?;
    let mut journals = Vec::new();
    for config_map in config_maps {
        let standing = match StoredJournal::read(&config_map) {
            Ok(stored) => match read::world(&session.cluster, &stored.journal).await {
                Ok(world) => Some(Standing::of(&stored, &world, Timestamp::now())),
                Err(Failure::Forbidden(_)) => None,
                Err(failure) => return Err(failure.into()),
            },
            Err(_) => None,
        };
        journals.push(Looked { config_map, standing });
    }
    let (left, unread) = read::remains(&session.cluster, args.all_namespaces).await?;
    if !unread.is_empty() {
        let kinds: Vec<&str> = unread.iter().map(|one| one.resource.as_str()).collect();
        session.terminal.say(&format!(
            "{} may not be listed: those whose journal is gone would not be shown here",
            list_of(&kinds)
        ));
    }
    let exit = match judged_all(args, &journals) {
        Exit::Done if !left.is_empty() && args.exit_code => Exit::Found,
        Exit::Done if !unread.is_empty() => Exit::Incomplete,
        exit => exit,
    };
    let (format, look) = (args.output.format, session.look());
    let flags = session.cluster.flags();
    let lists = Lists { journals: &journals, left: &left, unread: &unread, flags: &flags };
    let text = report::render_list(lists, exit, format, look)?;
    session.terminal.conclude(&text)?;
    Ok(exit)
}

fn found_if_asked(args: &StatusArgs) -> Exit {
    if args.exit_code { Exit::Found } else { Exit::Done }
}

/// The exit code, if the user asked for a judgement.
fn judged(args: &StatusArgs, all: &[&Standing]) -> Exit {
    let is_finding = |finding: &Finding| finding.severity != Severity::Note;
    let wrong = all.iter().any(|standing| {
        standing.stage == Stage::Degraded || standing.findings.iter().any(is_finding)
    });
    if args.exit_code && wrong { Exit::Found } else { Exit::Done }
}

fn judged_all(args: &StatusArgs, journals: &[Looked]) -> Exit {
    let all: Vec<&Standing> = journals.iter().filter_map(|one| one.standing.as_ref()).collect();
    let is_unread =
        |one: &Looked| one.standing.is_none() && StoredJournal::read(&one.config_map).is_ok();
    match judged(args, &all) {
        Exit::Done if journals.iter().any(is_unread) => Exit::Incomplete,
        exit => exit,
    }
}

/// The same for files. A kind that they do not have is unread, and not taken
/// for gone.
fn status_of_files(
    args: &StatusArgs,
    namespace: Option<&str>,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let bundle = Bundle::read(&args.files.paths)?;
    let namespace = namespace.filter(|_| !args.all_namespaces);
    let journals = offline::journals(&bundle, namespace);
    if args.target.is_empty() {
        let left = offline::remains(&bundle, namespace);
        let mut looked = Vec::new();
        for config_map in journals {
            let standing = match StoredJournal::read(&config_map) {
                Ok(stored) => {
                    let (world, unread) = offline::world(&bundle, &stored.journal)?;
                    let now = Timestamp::now();
                    unread.is_empty().then(|| Standing::of(&stored, &world, now))
                }
                Err(_) => None,
            };
            looked.push(Looked { config_map, standing });
        }
        let exit = match judged_all(args, &looked) {
            Exit::Done if !left.is_empty() => found_if_asked(args),
            exit => exit,
        };
        let (format, look) = (args.output.format, Look::of(terminal, Timestamp::now()));
        let lists = Lists { journals: &looked, left: &left, unread: &[], flags: "" };
        let text = report::render_list(lists, exit, format, look)?;
        terminal.conclude(&text)?;
        return Ok(exit);
    }
    let stored = find::choose(&journals, &args.target, "in the input")?;
    let (world, unread) = offline::world(&bundle, &stored.journal)?;
    let mut findings = Vec::new();
    for Unread { resource, why } in unread {
        let message = format!("{resource} could not be read: {why}");
        let severity = Severity::Warning;
        findings.push(Finding { severity, ..rules::UNREAD.found(resource, message) });
    }
    let mut view = View::new(&stored, &world, None, &[], Timestamp::now());
    let exit = if findings.is_empty() {
        judged(args, &[&view.standing])
    } else {
        // From what is not in the input nothing is concluded.
        view.standing.findings.clear();
        view.standing.next = None;
        view.standing.is_way_back_open = false;
        Exit::Incomplete
    };
    view.commands("");
    let look = Look::of(terminal, Timestamp::now());
    let text = report::render(&view, exit, &findings, args.output.format, look)?;
    terminal.conclude(&text)?;
    Ok(exit)
}
