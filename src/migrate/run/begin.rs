//! The beginning: what would happen, whether it may, and the first write.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    Session,
    go::{Manner, go},
    hand::{Hand, locked},
    later,
};
use crate::{
    cluster::{
        Cluster, ConnectionArgs, DryRun, Failure, Resource,
        moving::{self, Right},
        offline::Bundle,
    },
    migrate::{
        args::{PlanArgs, RunArgs},
        begin::{self, Plan, Wish},
        fill::Pass,
        journal::{Book, Intent, Mode as Way},
        plan::Act,
        report::{self, PlanView},
        rules,
        world::World,
        writes,
    },
    output::{Confirmed, Error, Exit, Look, Question, Terminal},
    workload::{Finding, Severity},
};

/// Runs `plan`.
pub async fn plan(
    args: &PlanArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let wish = args.wish.wish()?;
    let (plan, flags) = if args.filename.is_empty() {
        let session = Session::open(args.output, connection, terminal).await?;
        let plan = decide(&session, &wish, true, args.wish.admin_steps).await?;
        (plan, Some(session.cluster.flags()))
    } else {
        (from_files(&args.filename, connection.namespace.as_deref(), &wish)?, None)
    };
    let refuses = begin::refuses(&plan.findings);
    let exit = match (refuses, args.exit_code) {
        (true, true) => Exit::Refused,
        (false, true) => Exit::Found,
        _ if plan.unread.is_empty() => Exit::Done,
        _ => Exit::Incomplete,
    };
    if let Some(folder) = &args.emit {
        report::emit(&plan.journal, folder, args.yes)?;
    }
    let view = PlanView::new(&plan, flags.as_deref());
    let look = Look::of(terminal, Timestamp::now());
    let Plan { findings, unread, .. } = &plan;
    let text = report::render_plan(&view, exit, findings, unread, args.output, look)?;
    terminal.conclude(&text)?;
    Ok(exit)
}

/// The plan without a cluster. A migration that the input has a journal of is
/// begun already.
fn from_files(files: &[String], namespace: Option<&str>, wish: &Wish) -> Result<Plan, Error> {
    let bundle = Bundle::read(files)?;
    let there = bundle.surroundings(members(wish), namespace, wish.mode != Way::Keep)?;
    let mut plan = begin::plan(&there, wish, &operation(), Timestamp::now())?;
    if let Some(book) = begun(&bundle.journals(Some(&there.namespace)), wish) {
        let on = format!("configmap/{}", book.journal.book_name());
        let message =
            format!("a migration to StatefulSet {} is under way", book.journal.set_name());
        plan.findings.insert(0, rules::UNDER_WAY.found(on, message));
    }
    Ok(plan)
}

/// Runs `run`.
pub async fn run(
    args: &RunArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.output, connection, terminal).await?;
    let wish = args.wish.wish()?;
    if let Some(book) = under_way(&session, &wish).await? {
        return later::go_on(&session, book, args).await;
    }
    let tries = args.rehearsal.dry_run != DryRun::Client;
    let plan = decide(&session, &wish, tries, args.wish.admin_steps).await?;
    if begin::refuses(&plan.findings) {
        // Whoever began while this one was looking is what it met.
        if let Some(book) = under_way(&session, &wish).await? {
            return Err(locked(&book, &book.journal));
        }
        let what = format!("cannot move to StatefulSet {}", plan.journal.set_name());
        return Err(refused(&what, &plan.findings));
    }
    let view = PlanView::new(&plan, Some(&session.cluster.flags()));
    if args.rehearsal.dry_run != DryRun::None {
        let Plan { findings, unread, .. } = &plan;
        let look = session.look();
        let text = report::render_plan(&view, Exit::Done, findings, unread, args.output, look)?;
        session.terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    terminal.say(report::plan_text(&view, &plan.findings, session.look()).trim_end());
    let text = format!(
        "Move Deployment {} to StatefulSet {}?",
        view.deployments.join(", "),
        plan.journal.set_name()
    );
    let question = Question {
        text: &text,
        plan: Some(&plan.journal.plan),
        type_to_agree: None,
        for_a_program: args.output.is_machine(),
    };
    let confirmed = Confirmed::ask(terminal, &args.consent, question)?;
    let mut hand = Hand::begin(&session, plan.journal, Intent::Forward, confirmed).await?;
    let manner = manner(args);
    let end = go(&mut hand, Intent::Forward, &manner).await?;
    later::close(hand, end, args.finalize, args.soak, &manner).await
}

pub fn manner(args: &RunArgs) -> Manner {
    Manner {
        timeout: later::patience(args.timeout),
        verify: args.verify_exec.clone(),
        auto_rollback: args.auto_rollback,
        admin_steps: args.wish.admin_steps,
    }
}

/// The journal of a migration that has been begun with these words already.
async fn under_way(session: &Session, wish: &Wish) -> Result<Option<Book>, Error> {
    Ok(begun(&moving::journals(&session.cluster, false).await?, wish))
}

/// The Deployments that are to be moved.
fn members(wish: &Wish) -> &[String] {
    if wish.options.from.is_empty() { &wish.options.deployments } else { &wish.options.from }
}

fn begun(journals: &[Value], wish: &Wish) -> Option<Book> {
    // One that cannot be read is met again when its name is taken.
    let books = journals.iter().filter_map(|found| Book::of(found).ok());
    let is_theirs = |book: &Book| {
        let mut theirs = book.journal.deployments.iter();
        theirs.any(|member| members(wish).contains(&member.name))
    };
    books.into_iter().find(is_theirs)
}

/// What is there, what would be done, and what speaks against it, the server's
/// own word included.
async fn decide(
    session: &Session,
    wish: &Wish,
    tries: bool,
    admin_steps: bool,
) -> Result<Plan, Error> {
    let cluster = &session.cluster;
    let mut there = moving::surroundings(cluster, wish.mode != Way::Keep).await?;
    if wish.mode.fills() {
        moving::offer(cluster, &mut there).await?;
    }
    begin::all_there(&there, &wish.options)?;
    let now = Timestamp::now();
    let mut plan = begin::plan(&there, wish, &operation(), now)?;
    if tries && !begin::refuses(&plan.findings) {
        let missing = moving::missing_rights(cluster, &rights(&plan, admin_steps)).await?;
        for right in missing {
            let message = format!("the user may not {right}");
            plan.findings.push(rules::NO_RIGHTS.found(right, message));
        }
        let said = rehearse(cluster, &plan).await?;
        plan.findings.extend(said);
        let allowed = &wish.options.allow;
        for finding in &mut plan.findings {
            let known = rules::allowable().iter().any(|rule| rule.id == finding.id);
            if known && allowed.iter().any(|id| id == finding.id) {
                finding.severity = Severity::Warning;
            }
        }
        plan.findings.sort_by_key(|finding| finding.severity);
    }
    Ok(plan)
}

/// A new id: the moment and the process.
pub fn operation() -> String {
    let moment = Timestamp::now().as_nanosecond() / 1_000_000;
    let number = (moment << 16) ^ i128::from(std::process::id());
    format!("{:010x}", number & 0xff_ffff_ffff)
}

/// What will be wanted half way.
fn rights(plan: &Plan, admin_steps: bool) -> Vec<Right> {
    let right = |verb, resource| Right { verb, resource, subresource: "" };
    let mut all = vec![
        right("create", Resource::CONFIG_MAP),
        right("patch", Resource::CONFIG_MAP),
        right("delete", Resource::CONFIG_MAP),
        right("create", Resource::STATEFUL_SET),
        right("patch", Resource::STATEFUL_SET),
        right("delete", Resource::STATEFUL_SET),
        right("patch", Resource::DEPLOYMENT),
        right("delete", Resource::DEPLOYMENT),
    ];
    if plan.journal.service.is_some() {
        all.extend(["create", "patch", "delete"].map(|verb| right(verb, Resource::SERVICE)));
    }
    if !plan.journal.disks.is_empty() {
        all.extend(["create", "patch", "delete"].map(|verb| right(verb, Resource::CLAIM)));
        if !admin_steps && !plan.journal.fills() {
            all.push(right("patch", Resource::VOLUME));
        }
    }
    let made = match plan.journal.mode {
        Way::Copy => Some(Resource::JOB),
        Way::Snapshot => Some(Resource::SNAPSHOT),
        _ => None,
    };
    all.extend(made.into_iter().flat_map(|one| ["create", "delete"].map(|verb| right(verb, one))));
    for scaler in &plan.journal.scalers {
        all.push(right("patch", scaler.kind.resource()));
    }
    all
}

/// Has the server try what will be made: quotas, webhooks and fields that it
/// does not know say no here, and not half way.
async fn rehearse(cluster: &Cluster, plan: &Plan) -> Result<Vec<Finding>, Error> {
    let journal = &plan.journal;
    let world = World::default();
    let mut acts: Vec<Act> = (0..journal.disks.len()).map(Act::MakeClaim).collect();
    if journal.service.is_some() {
        acts.push(Act::MakeService);
    }
    acts.push(Act::MakeSet);
    if journal.mode == Way::Copy {
        acts.extend((0..journal.disks.len()).map(|disk| Act::MakeJob(disk, Pass::Last)));
    }
    acts.extend((0..journal.disks.len()).map(Act::MakeSnapshot));
    let makes = acts.into_iter().filter_map(|act| writes::of(act, journal, &world)).flatten();
    let mut said = Vec::new();
    let open = writes::open(journal, "", Intent::Forward);
    for write in makes.chain([open]).chain(writes::pod_of_job(journal)) {
        let on = write.object().to_string();
        match cluster.try_write(&write).await {
            Ok(_) => {}
            Err(failure) if says_no_dry_run(&failure) => {
                let message = Error::from(failure).headline().to_owned();
                said.push(rules::NOT_TRIED.found(on, message));
            }
            Err(failure) if failure.is_transient() => return Err(failure.into()),
            // Who may make Jobs need not have the right to make pods.
            Err(failure) if write.object().resource == Resource::POD && has_no_right(&failure) => {}
            Err(failure) => {
                let message = Error::from(failure).headline().to_owned();
                said.push(rules::SERVER_REFUSES.found(on, message));
            }
        }
    }
    Ok(said)
}

/// The API server's word for a right that is missing. What an admission plugin
/// forbids, such as a privileged pod or one above a quota, sounds otherwise.
fn has_no_right(failure: &Failure) -> bool {
    let Failure::Forbidden(rejection) = failure else { return false };
    rejection.status.message.contains("cannot create resource")
}

/// The API server's word for a webhook with side effects.
fn says_no_dry_run(failure: &Failure) -> bool {
    let Failure::Server(rejection) = failure else { return false };
    rejection.status.code == 400 && rejection.status.message.contains("does not support dry run")
}

/// A refusal, with the guards of a migration.
pub fn refused(what: &str, findings: &[Finding]) -> Error {
    crate::steps::refused(what, findings, &rules::allowable())
}

/// A wait that never ends is as long as there is time.
pub fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
