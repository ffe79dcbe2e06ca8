//! Runs `scale`: reads, shows, asks, steps, reports.

mod begin;
mod close;
mod context;
mod disks;
mod go;
mod hooks;
mod rights;

use jiff::Timestamp;

use self::context::RunContext;
use super::{
    args::ScaleArgs,
    preview::{Preview, ScaleRequest},
    record::Record,
    report::{self, View},
    rules, writes,
};
use crate::{
    cluster::{Cluster, ConnectionArgs, DryRun, Mode, read},
    flags::Given,
    output::{Confirmed, Error, Exit, Look, Question, Terminal},
    steps::{self, End, LiveSet, Progress, Stop, WriteOutcome},
    workload::{Retention, StatefulSet, Survey, refuses},
};

/// Runs `scale`.
///
/// # Errors
/// When the command line is wrong, the set cannot be read, or a guard refuses.
pub async fn run(
    args: &ScaleArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let name = args.set.name()?;
    let allowed = args.allow.among(rules::ALLOWABLE)?;
    let cluster = Cluster::connect(connection, terminal).await?;
    let reading = read::facts(&cluster, &name, read::Scope::Scale).await?;
    let now = Timestamp::now();
    let begun = begin::decide(args, allowed, &cluster, &reading.facts, now).await?;
    let begin::ScalePlan { found, record, preview, findings, .. } = &begun;
    let set = &reading.facts.set;
    if refuses(findings) {
        let what = format!("cannot scale {} {} → {}", set.name, preview.from, preview.to);
        return Err(steps::refused(&what, findings, rules::ALLOWABLE));
    }
    let survey = Survey::new(&reading.facts, now);
    let hash = preview.hash(&survey, findings, &args.as_json());
    let mut view = View::new(&reading.facts, preview.clone(), hash.clone(), now);
    let look = Look::of(terminal, now);
    let given = goal_as_number(args, preview.to);
    if preview.is_empty() {
        let text = report::render(&view, Exit::Done, findings, args.output.format, look, true)?;
        terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    if args.confirmation.dry_run != DryRun::None {
        rehearse(args, &cluster, set, &begun).await?;
        view.next = Some(given.to_do::<ScaleArgs>("scale", &cluster, &hash));
        let text = report::render(&view, Exit::Done, findings, args.output.format, look, false)?;
        terminal.conclude(&text)?;
        return Ok(Exit::Done);
    }
    let shown = report::plan(&view, findings, Look::of_stderr(terminal, now));
    terminal.say(shown.trim_end());
    let question = Question {
        text: &format!("Scale {} {} → {}?", set.name, preview.from, preview.to),
        plan: Some(&hash),
        type_to_agree: None,
        for_a_program: args.output.format.is_machine(),
    };
    let confirmed = Confirmed::ask(terminal, &args.confirmation.consent, question)?;
    let progress = Progress { terminal, output: args.output.format, command: "scale" };
    let start = set.start;
    let undo_to = undo_to(record.as_ref(), set, preview).filter(|_| !args.abort);
    let mut context = RunContext {
        cluster: &cluster,
        args,
        terms: begun.terms,
        preview: preview.clone(),
        run: steps::run_name(),
        live: LiveSet::new(&cluster, reading, confirmed, progress),
        began: now,
        start,
        undo_to,
        begun: begun.begun.clone(),
        set_aside: begun.set_aside.clone(),
        record: None,
        unreleased: None,
    };
    let end = scale(&mut context, found.as_ref(), record.as_ref(), &begun.request).await;
    close::close(&mut context, end, findings, &hash).await
}

/// What was typed, with the goal as a number: once the scaling is over, `--by`
/// would count from another one.
fn goal_as_number(args: &ScaleArgs, to: u32) -> Given {
    args.given.instead_of("by", "replicas", &to.to_string())
}

async fn scale(
    context: &mut RunContext<'_>,
    found: Option<&Record>,
    record: Option<&Record>,
    request: &ScaleRequest,
) -> Result<End, Stop> {
    write_record(context, found, record, request).await?;
    go::go(context).await
}

/// The replicas before, also before an earlier run of the same scaling; `None`
/// where claims are deleted, which no number of replicas brings back.
fn undo_to(record: Option<&Record>, set: &StatefulSet, preview: &Preview) -> Option<u32> {
    if !preview.can_be_undone() {
        return None;
    }
    match record {
        Some(record) if set.when_scaled != Retention::Retain && record.is_down() => None,
        Some(record) => Some(record.from),
        None => Some(preview.from),
    }
}

/// The first write: what begins, and which run does it. `found` is the record on
/// the set; `record` is the same where this run continues it. The name of this
/// run in it tells the one that began it to stop.
async fn write_record(
    context: &mut RunContext<'_>,
    found: Option<&Record>,
    record: Option<&Record>,
    request: &ScaleRequest,
) -> Result<(), Stop> {
    let uid = context.set().uid.clone();
    loop {
        let set = context.set();
        let now = Record::of(set);
        let is_other = !matches!(&now, Ok(now) if now.as_ref() == found);
        if context.live.is_replaced(&uid) || is_other {
            // The write went through, and its answer was lost.
            if let Ok(Some(now)) = &now
                && now.run == context.run
            {
                return Ok(());
            }
            let message = "somebody else has begun to scale the set";
            let finding = rules::TAKEN_OVER.found(set.reference(), message);
            return Err(Stop::with(Exit::Conflict, finding));
        }
        let first = record.map_or(context.preview.from, |record| record.at);
        if set.replicas != first {
            let message = format!("somebody scaled {} to {}", set.name, set.replicas);
            let finding = rules::REPLICAS_CHANGED.found(set.reference(), message);
            return Err(Stop::with(Exit::Conflict, finding));
        }
        let mut begun = match record {
            Some(record) => record.clone(),
            None => Record::begin(set, request.to, &context.run, context.began),
        };
        begun.run.clone_from(&context.run);
        let write = writes::begin(set, &begun, request.retain);
        context.record = Some(begun);
        if context.live.write(&write).await? == WriteOutcome::Done {
            return Ok(());
        }
    }
}

/// Shows the writes, one after another. A server can validate only the first two:
/// a later step starts from a set that does not exist yet.
async fn rehearse(
    args: &ScaleArgs,
    cluster: &Cluster,
    set: &StatefulSet,
    plan: &begin::ScalePlan,
) -> Result<(), Error> {
    let (preview, retain) = (&plan.preview, plan.request.retain);
    let mut set = set.clone();
    let begin = || Record::begin(&set, preview.to, "rehearsal", Timestamp::now());
    let mut record = plan.record.clone().unwrap_or_else(begin);
    if args.confirmation.dry_run == DryRun::Server {
        let mode = Mode::ServerDryRun;
        cluster.write(&writes::begin(&set, &record, retain), mode).await?;
        if !preview.items.is_empty() {
            record.at = if preview.to < preview.from { preview.from - 1 } else { preview.from + 1 };
            cluster.write(&writes::step(&set, &record), mode).await?;
        }
        return Ok(());
    }
    cluster.write(&writes::begin(&set, &record, retain), Mode::ClientDryRun).await?;
    while set.replicas != preview.to {
        record.at = if preview.to < set.replicas { set.replicas - 1 } else { set.replicas + 1 };
        cluster.write(&writes::step(&set, &record), Mode::ClientDryRun).await?;
        set.replicas = record.at;
    }
    cluster.write(&writes::finish(&set), Mode::ClientDryRun).await?;
    Ok(())
}
