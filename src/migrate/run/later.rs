//! What comes after the beginning: going on, going back, finishing, looking.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    Session,
    begin::{manner, signed},
    go::{Manner, go},
    hand::Hand,
};
use crate::{
    cluster::{ConnectionArgs, moving, offline::Bundle, read},
    migrate::{
        args::{Finalize, FinalizeArgs, OnArgs, ResumeArgs, RollbackArgs, RunArgs, StatusArgs},
        fill, finish,
        journal::{Book, Intent, Tag},
        report::{self, View},
        rules,
        world::World,
    },
    output::{
        Confirmed, Error, Exit, Look, Question, Terminal,
        text::{age, clock},
    },
    steps::{End, Written},
    workload::{Finding, Reference, Severity, Unread, WrongReference},
};

/// Runs `resume`.
pub async fn resume(
    args: &ResumeArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.on.output, connection, terminal).await?;
    let book = find(&session, &args.on.target).await?;
    let intent = book.intent;
    let text = match intent {
        Intent::Forward => {
            format!("Go on with the move to StatefulSet {}?", book.journal.set_name())
        }
        Intent::Back => "Go on with the way back?".to_owned(),
        Intent::Finish => "Go on with what cannot be undone?".to_owned(),
        Intent::Recover => "Go on with putting the volume back?".to_owned(),
    };
    let confirmed = ask(&session, &args.on, &text)?;
    let manner = Manner {
        timeout: patience(args.on.timeout),
        verify: args.verify_exec.clone(),
        auto_rollback: args.auto_rollback,
        admin_steps: args.on.admin_steps,
    };
    let mut hand = Hand::take(&session, book, intent, args.on.takeover, confirmed).await?;
    let end = go(&mut hand, intent, &manner).await?;
    close(hand, end, Finalize::Manual, Duration::ZERO, &manner).await
}

/// Runs `rollback`.
pub async fn rollback(
    args: &RollbackArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.on.output, connection, terminal).await?;
    let Some(book) = find_or_over(&session, &args.on.target, "deployments").await? else {
        terminal
            .say("no migration is under way, and the Deployment is there: nothing to take back");
        return Ok(Exit::Done);
    };
    if matches!(book.intent, Intent::Finish | Intent::Recover) {
        let set = book.journal.set_name();
        let message = if book.intent == Intent::Finish {
            format!("finalize of {set} has begun: what the way back needs may be gone")
        } else {
            format!(
                "a volume is being put back under {set}; the way back is the same with the other one"
            )
        };
        return Err(
            Error::new(Exit::Manual, message).hint(session.command("resume", &book.journal))
        );
    }
    let names: Vec<&str> =
        book.journal.deployments.iter().map(|member| member.name.as_str()).collect();
    let loses = fill::loses(&book.journal);
    let loses = loses.map_or_else(String::new, |what| format!(" Mind: {what}."));
    let text = format!("Go back to Deployment {}?{loses}", names.join(", "));
    let confirmed = ask(&session, &args.on, &text)?;
    let manner = Manner {
        timeout: patience(args.on.timeout),
        verify: None,
        auto_rollback: false,
        admin_steps: args.on.admin_steps,
    };
    let mut hand = Hand::take(&session, book, Intent::Back, args.on.takeover, confirmed).await?;
    let end = go(&mut hand, Intent::Back, &manner).await?;
    close(hand, end, Finalize::Manual, Duration::ZERO, &manner).await
}

/// Runs `finalize`.
pub async fn finalize(
    args: &FinalizeArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.on.output, connection, terminal).await?;
    let Some(book) = find_or_over(&session, &args.on.target, "statefulsets").await? else {
        terminal.say("no migration is under way, and the set is there: nothing to finish");
        return Ok(Exit::Done);
    };
    let world = moving::world(&session.cluster, &book.journal).await?;
    if let Some(end) = too_early(&session, &book, &world, args.soak) {
        return report_end(&session, &world, &book, &end, None, &[]);
    }
    let name = book.journal.set_name().to_owned();
    let text = format!("Delete what the way back from {name} needs?");
    let question = Question {
        text: &text,
        plan: None,
        type_to_agree: Some(&name),
        for_a_program: session.output.is_machine(),
    };
    let confirmed = Confirmed::ask(session.terminal, &args.on.consent, question)?;
    let manner = Manner {
        timeout: patience(args.on.timeout),
        verify: None,
        auto_rollback: false,
        admin_steps: args.on.admin_steps,
    };
    let mut hand = Hand::take(&session, book, Intent::Finish, args.on.takeover, confirmed).await?;
    let end = go(&mut hand, Intent::Finish, &manner).await?;
    close(hand, end, Finalize::Manual, Duration::ZERO, &manner).await
}

/// Why finalize may not begin.
fn too_early(session: &Session, book: &Book, world: &World, soak: Duration) -> Option<End> {
    let journal = &book.journal;
    let on = format!("statefulset/{}", journal.set_name());
    if book.intent == Intent::Finish {
        return None;
    }
    let Some(arrived) = book.arrived.as_ref().filter(|_| book.intent == Intent::Forward) else {
        let message = format!("the move to {} is not there yet", journal.set_name());
        let finding =
            rules::NOT_ARRIVED.found(on, message).hint(session.command("resume", journal));
        return Some(End::with(Exit::Refused, finding));
    };
    if let Some(finding) = finish::speaks_against(world, journal, Timestamp::now()) {
        return Some(End::with(Exit::Refused, finding));
    }
    let ripe = arrived.at.checked_add(signed(soak)).unwrap_or(Timestamp::MAX);
    (Timestamp::now() < ripe).then(|| {
        let message = format!(
            "the set has run since {}; --soak {} ends at {}",
            clock(arrived.at),
            age(signed(soak)),
            clock(ripe)
        );
        End::with(Exit::Waiting, rules::SOAKING.found(on, message))
    })
}

/// Runs `status`.
pub async fn status(
    args: &StatusArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    if !args.filename.is_empty() {
        return status_of_files(args, connection.namespace.as_deref(), terminal);
    }
    let session = Session::open(args.output, connection, terminal).await?;
    if args.target.is_empty() {
        let books = moving::journals(&session.cluster, args.all_namespaces).await?;
        let volumes = moving::marked_volumes(&session.cluster).await?.unwrap_or_default();
        let namespace = (!args.all_namespaces).then(|| session.cluster.namespace());
        let text = report::render_list(&books, &volumes, namespace, args.output)?;
        session.terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    let book = find(&session, &args.target).await?;
    let world = moving::world(&session.cluster, &book.journal).await?;
    let end = End::done();
    report_end(&session, &world, &book, &end, None, &[])
}

/// The same of a dump. What it has nothing of is not known to be gone.
fn status_of_files(
    args: &StatusArgs,
    namespace: Option<&str>,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let bundle = Bundle::read(&args.filename)?;
    let namespace = namespace.filter(|_| !args.all_namespaces);
    let books = bundle.journals(namespace);
    if args.target.is_empty() {
        let volumes = bundle.marked_volumes();
        let text = report::render_list(&books, &volumes, namespace, args.output)?;
        terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    let book = choose(&books, &args.target, "in the input")?;
    let (world, unread) = bundle.world(&book.journal)?;
    let mut findings = Vec::new();
    for Unread { resource, why } in unread {
        let message = format!("{resource} could not be read: {why}");
        let severity = Severity::Warning;
        findings.push(Finding { severity, ..rules::UNREAD.found(resource, message) });
    }
    let exit = if findings.is_empty() { Exit::Done } else { Exit::Incomplete };
    let mut view = View::new(&book, &world, None, &[]);
    view.commands("");
    let look = Look::of(terminal, Timestamp::now());
    let text = report::render(&view, exit, &findings, args.output, look)?;
    terminal.conclude(&text)?;
    Ok(exit)
}

/// Goes on with a migration that `run` finds begun.
pub async fn go_on(session: &Session, book: Book, args: &RunArgs) -> Result<Exit, Error> {
    let journal = &book.journal;
    let same = args.wish.describes(journal);
    if book.intent != Intent::Forward || !same {
        let message = format!(
            "a migration to StatefulSet {} is under way{}",
            journal.set_name(),
            if same { ", and it is not going forward" } else { ", with other words" }
        );
        let finding =
            rules::UNDER_WAY.found(format!("configmap/{}", journal.book_name()), message.clone());
        return Err(Error::new(Exit::Conflict, message)
            .hint(session.command("status", journal))
            .because(vec![finding]));
    }
    let text = format!("Go on with the move to StatefulSet {}?", journal.set_name());
    let question = Question {
        text: &text,
        plan: Some(&journal.plan),
        type_to_agree: None,
        for_a_program: session.output.is_machine(),
    };
    let confirmed = Confirmed::ask(session.terminal, &args.consent, question)?;
    let manner = manner(args);
    let mut hand = Hand::take(session, book, Intent::Forward, args.takeover, confirmed).await?;
    let end = go(&mut hand, Intent::Forward, &manner).await?;
    close(hand, end, args.finalize, args.soak, &manner).await
}

/// How long a wait may take; 0 is forever.
pub fn patience(timeout: Duration) -> SignedDuration {
    if timeout.is_zero() { SignedDuration::MAX } else { signed(timeout) }
}

fn ask(session: &Session, on: &OnArgs, text: &str) -> Result<Confirmed, Error> {
    let question = Question {
        text,
        plan: None,
        type_to_agree: None,
        for_a_program: session.output.is_machine(),
    };
    Confirmed::ask(session.terminal, &on.consent, question)
}

/// The journal that these words mean; `None` when there is none because all is
/// over: then the workload of this name is there.
async fn find_or_over(
    session: &Session,
    words: &[String],
    workload: &str,
) -> Result<Option<Book>, Error> {
    let missing = match find(session, words).await {
        Ok(book) => return Ok(Some(book)),
        Err(error) if error.exit != Exit::Refused => return Err(error),
        Err(missing) => missing,
    };
    let reference = either_end(words)?;
    let names = read::workload_names(&session.cluster, workload).await?;
    if !names.contains(&reference.name) {
        return Err(missing);
    }
    match lost_journal(session).await? {
        Some(error) => Err(error),
        None => Ok(None),
    }
}

/// A journal that somebody deleted leaves its volumes marked: then it is not
/// over.
async fn lost_journal(session: &Session) -> Result<Option<Error>, Error> {
    let books = moving::journals(&session.cluster, false).await?;
    let volumes = moving::marked_volumes(&session.cluster).await?.unwrap_or_default();
    Ok(volumes.iter().find_map(|volume| {
        let tag = Tag::without_journal(volume, &books)?;
        if tag.namespace != session.cluster.namespace() {
            return None;
        }
        let name = crate::migrate::object::name(volume);
        let message = format!(
            "volume {name} is in the hand of a migration whose journal {} is gone",
            tag.journal
        );
        let on = format!("persistentvolume/{name}");
        let finding = rules::JOURNAL_UNUSABLE.found(on, message.clone());
        let hint = format!("kubectl get persistentvolume/{name} -o yaml");
        Some(Error::new(Exit::Manual, message).hint(hint).because(vec![finding]))
    }))
}

/// The journal that these words mean: by the set's name, or a Deployment's.
async fn find(session: &Session, words: &[String]) -> Result<Book, Error> {
    let journals = moving::journals(&session.cluster, false).await?;
    choose(&journals, words, &format!("in namespace {}", session.cluster.namespace()))
}

fn choose(journals: &[Value], words: &[String], place: &str) -> Result<Book, Error> {
    let reference = either_end(words)?;
    let bare = words.len() == 1 && !words[0].contains('/');
    let mut known = Vec::new();
    for config_map in journals {
        let name = crate::migrate::object::name(config_map).to_owned();
        let book = match Book::of(config_map) {
            Ok(book) => book,
            Err(why) if name == crate::migrate::journal::book_name(&reference.name) => {
                let message = format!("cannot use the journal {name}: {}", why.0);
                let finding =
                    rules::JOURNAL_UNUSABLE.found(format!("configmap/{name}"), message.clone());
                return Err(Error::new(Exit::Manual, message).because(vec![finding]));
            }
            Err(_) => continue,
        };
        let of_set = reference.kind == "StatefulSet" && book.journal.set_name() == reference.name;
        let members = &book.journal.deployments;
        let of_member = (bare || reference.kind == "Deployment")
            && members.iter().any(|member| member.name == reference.name);
        if of_set || of_member {
            return Ok(book);
        }
        known.push(format!("sts/{}", book.journal.set_name()));
    }
    let message = format!("no migration of {} is under way {place}", reference.name);
    let error = Error::new(Exit::Refused, message);
    Err(match known.as_slice() {
        [] => {
            error.hint("nothing was begun, or it was finished; kubectl get sts shows what is there")
        }
        known => error.hint(format!("under way are: {}", known.join(", "))),
    })
}

/// A migration is known by the set as well as by its Deployments.
fn either_end(words: &[String]) -> Result<Reference, Error> {
    let parsed = Reference::parse(words, "StatefulSet").or_else(|wrong| match wrong {
        WrongReference::WrongKind { got: "Deployment", .. } => {
            Reference::parse(words, "Deployment")
        }
        other => Err(other),
    });
    parsed.map_err(Error::usage)
}

/// Reports how it ended, after finishing it where that was asked for.
pub async fn close(
    mut hand: Hand<'_>,
    mut end: End,
    finalize: Finalize,
    soak: Duration,
    manner: &Manner,
) -> Result<Exit, Error> {
    if end.exit == Exit::Done && finalize == Finalize::Auto {
        end = finish_by_itself(&mut hand, soak, manner).await?;
    }
    let session = hand.session;
    let world = if matches!(end.exit, Exit::Interrupted | Exit::Terminated) {
        moving::world(&session.cluster, &hand.journal).await?
    } else {
        // A server that is away for a moment does not undo what was done.
        match hand.look().await? {
            Ok(world) => world,
            Err(exit) => return Ok(exit),
        }
    };
    if let Some(book) = world.book.clone() {
        return report_end(session, &world, &book, &end, hand.downtime, &hand.sender.writes);
    }
    if let (Exit::Conflict, [finding, ..]) = (end.exit, end.findings.as_slice()) {
        // Whoever took the journal away knows where it stands; we do not.
        return Err(Error::new(end.exit, &finding.message).because(end.findings));
    }
    // It is over: what is left to say is what became of it.
    let view = View::over(&hand.journal, &world, hand.downtime, &hand.sender.writes);
    let text = report::render(&view, end.exit, &end.findings, session.output, session.look())?;
    session.terminal.conclude(&text)?;
    after(session, &end);
    Ok(end.exit)
}

fn report_end(
    session: &Session,
    world: &World,
    book: &Book,
    end: &End,
    downtime: Option<Duration>,
    written: &[String],
) -> Result<Exit, Error> {
    let mut view = View::new(book, world, downtime, written);
    view.commands(&session.cluster.flags());
    let text = report::render(&view, end.exit, &end.findings, session.output, session.look())?;
    session.terminal.conclude(&text)?;
    after(session, end);
    Ok(end.exit)
}

fn after(session: &Session, end: &End) {
    if matches!(end.exit, Exit::Interrupted | Exit::Terminated) {
        session.terminal.say("interrupted; it stands as shown, and nothing is lost");
    }
    session.terminal.verbose(1, &format!("{} requests", session.cluster.requests()));
}

/// Waits for the soak and finalizes.
async fn finish_by_itself(
    hand: &mut Hand<'_>,
    soak: Duration,
    manner: &Manner,
) -> Result<End, Error> {
    let ripe = Timestamp::now().checked_add(signed(soak)).unwrap_or(Timestamp::MAX);
    while Timestamp::now() < ripe {
        if let Some(exit) = hand.wait("the end of --soak", ripe).await? {
            return Ok(End { exit, findings: Vec::<Finding>::new() });
        }
    }
    match hand.retake(Intent::Finish).await? {
        Written::Done => go(hand, Intent::Finish, manner).await,
        Written::Interrupted(exit) => Ok(End { exit, findings: Vec::new() }),
        Written::LookAgain => {
            let message = "somebody else has taken the migration in hand".to_owned();
            let on = format!("configmap/{}", hand.journal.book_name());
            Ok(End::with(Exit::Conflict, rules::TAKEN_OVER.found(on, message)))
        }
    }
}
