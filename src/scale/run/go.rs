//! The loop of a scaling: look, decide, act, until the goal is reached.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    context::RunContext,
    disks::{set_aside, take_snapshots},
    hooks::{HookOrdinal, Hooks},
};
use crate::{
    cluster::{Cluster, Failure, read},
    output::{Exit, text::list},
    scale::{
        data::{self, Now, Verdict},
        fresh,
        plan::{self, Memory, Move, State},
        preview::{Disk, Ordinal},
        record::Record,
        rules, writes,
    },
    steps::{End, Stop, WriteOutcome},
    workload::{Finding, Rule},
};

/// How often to decide again without an event, which asks the server nothing.
pub const TICK: Duration = Duration::from_secs(1);
/// How often to read objects that are not watched.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long the controller may take to make a pod before it is looked for.
const SOON_MADE: Duration = Duration::from_secs(2);
/// How long the controller may take to remove a pod as the owner of a claim.
const RETAIN_TIMEOUT: Duration = Duration::from_secs(60);

type Work = Pin<Box<dyn Future<Output = Result<(), Finding>>>>;

/// Scales step by step until the goal is reached. Where it stops before a step
/// whose hooks have run, the ordinals stay and `--on-abort` runs.
///
/// # Errors
/// What stopped it.
pub async fn go(context: &mut RunContext<'_>) -> Result<End, Stop> {
    // What an earlier run has begun with disks comes before everything else.
    let begun = context.begun.clone();
    set_aside(context, &begun).await?;
    let mut progress = Progress::default();
    let outcome = run_moves(context, &mut progress).await;
    // A hook that is still running is killed here, if it runs here.
    end_work(context, &mut progress);
    let Some(replicas) = progress.hooks_run_for else { return outcome };
    // Whether the last write went through, only the server knows.
    let known = context.live.mirror.refresh().await.is_ok();
    let stays = context.set().replicas;
    let record = Record::of(context.set()).ok().flatten();
    let Some(record) = record.filter(|_| known && stays > replicas) else { return outcome };
    let undo = async || hooks(context, &record, replicas, stays).undo().await;
    match outcome {
        // The run that took over continues from where the hooks have left off.
        Err(Stop::Blocked(end)) if is_taken_over(&end) => Err(Stop::Blocked(end)),
        Err(Stop::Failed(error)) => {
            let failed = undo().await;
            let error = failed.iter().fold(error, |error, one| error.caused_by(&one.message));
            Err(Stop::Failed(error))
        }
        other => {
            let mut end = End::of(other)?;
            end.findings.extend(undo().await);
            Ok(end)
        }
    }
}

/// Ends hooks that are under way. A command in a pod cannot be ended from here.
fn end_work(context: &RunContext<'_>, progress: &mut Progress) {
    let Some((asked, _)) = progress.work.take() else { return };
    if matches!(asked, Move::Prepare { .. }) && context.args.hooks.before_exec.is_some() {
        let message = "the command of --before-exec may still run in its pod: it cannot be ended";
        context.live.sender.progress.terminal.say(message);
    }
}

fn is_taken_over(end: &End) -> bool {
    end.findings.iter().any(|finding| finding.id == rules::TAKEN_OVER.id)
}

/// What this run has done, and has under way.
#[derive(Default)]
struct Progress {
    memory: Memory,
    /// Hooks that are running, and for which move.
    work: Option<(Move, Work)>,
    /// Whether the last write removes the record, and its answer was lost.
    finishing: bool,
    /// The replicas of a step whose hooks have begun, and that was not taken.
    hooks_run_for: Option<u32>,
    /// The pods that hooks were begun for, and their uids.
    prepares: Vec<(String, String)>,
    /// The replicas at which the pods that have left were seen to be gone by their names.
    gone: Option<u32>,
    /// The pod that is waited for and does not exist, and since when, or since when it was
    /// looked for by its name.
    missing: Option<(String, Instant)>,
}

async fn run_moves(context: &mut RunContext<'_>, progress: &mut Progress) -> Result<End, Stop> {
    let uid = context.set().uid.clone();
    let terms = context.terms;
    loop {
        if progress.finishing && context.is_over(&uid) {
            return Ok(End::done());
        }
        let record = own_record(context, &uid)?;
        let now = Timestamp::now();
        let state = State::new(context.facts(), &record, now);
        progress.memory.observe(&state);
        let next = plan::next(&state, &terms, &mut progress.memory);
        if progress.work.as_ref().is_some_and(|(asked, _)| *asked != next) {
            end_work(context, progress);
        }
        match &next {
            Move::Wait { what, until } => {
                let missing = state.missing().map(str::to_owned);
                not_taken(context, progress, missing).await?;
                context.report_wait(what, *until)?;
                let tick = now.checked_add(TICK).unwrap_or(now);
                let soon = until.map_or(tick, |until| until.min(tick));
                context.live.wait(Some(soon)).await?;
            }
            // A member is not drained for a step that is not taken.
            Move::Prepare { replicas }
                if progress.work.is_none() && !holds(context, *replicas).await? => {}
            Move::Prepare { replicas } => {
                run_hooks(context, progress, &record, &next, *replicas, true).await?;
            }
            Move::Snapshot { replicas } | Move::Conclude { replicas }
                if record.is_down() && progress.gone != Some(*replicas) =>
            {
                really_gone(context, progress, &record, *replicas).await?;
            }
            Move::Conclude { replicas } => {
                run_hooks(context, progress, &record, &next, *replicas, false).await?;
            }
            Move::SetAside { replicas } => {
                let ordinal = context.set().start.saturating_add(replicas - 1);
                progress.memory.set_aside = Some(*replicas);
                let names = fresh::names(context.set(), &record, ordinal);
                set_aside(context, &names).await?;
            }
            Move::Snapshot { replicas } => {
                progress.memory.snapshots = Some(*replicas);
                take_snapshots(context, &record, *replicas).await?;
            }
            Move::Step { replicas } => step(context, progress, record, *replicas).await?,
            Move::Clear { pod } => {
                let why = "it leaves, and its controller waits for a lower one";
                let write = pod.delete(context.set(), why);
                if context.live.write(&write).await? == WriteOutcome::Done {
                    // Nothing is decided before the watch shows it terminating.
                    context.live.wait(None).await?;
                }
            }
            Move::Finish => {
                let write = writes::finish(context.set());
                match context.live.write(&write).await? {
                    WriteOutcome::Done => return Ok(End::done()),
                    WriteOutcome::LookAgain => progress.finishing = true,
                }
            }
            Move::Stop { exit, finding } => return Err(stop(context, *exit, finding.clone())),
        }
    }
}

/// Stops where the pod of a new ordinal does not come because somebody else has one of
/// that name, which no watch of ours shows.
async fn not_taken(
    context: &mut RunContext<'_>,
    progress: &mut Progress,
    missing: Option<String>,
) -> Result<(), Stop> {
    let since = match (progress.missing.take(), &missing) {
        (Some((last, since)), Some(name)) if last == *name => since,
        _ => Instant::now(),
    };
    progress.missing = missing.clone().map(|name| (name, since));
    let Some(name) = missing.filter(|_| since.elapsed() > SOON_MADE) else { return Ok(()) };
    progress.missing = Some((name.clone(), Instant::now()));
    let pods = match read::pods_called(context.cluster, &[name]).await {
        Ok(pods) => pods,
        Err(failure) => return Ok(context.live.sender.look_again_after(failure)?),
    };
    match pods.iter().find_map(|pod| data::name_taken(context.set(), pod)) {
        Some((_, finding)) => Err(stop(context, Exit::Conflict, finding)),
        None => Ok(()),
    }
}

/// Looks for the pods of ordinals that have left by their names: one that is no longer of
/// the set, because somebody has changed its labels, no watch of ours shows.
async fn really_gone(
    context: &mut RunContext<'_>,
    progress: &mut Progress,
    record: &Record,
    replicas: u32,
) -> Result<(), Stop> {
    let left = hooks(context, record, replicas, record.concluded).ordinals;
    let names: Vec<String> = left.into_iter().map(|ordinal| ordinal.pod).collect();
    let pods = match read::pods_called(context.cluster, &names).await {
        Ok(pods) => pods,
        Err(failure) => {
            context.live.sender.look_again_after(failure)?;
            return context.live.sender.sleep(POLL_INTERVAL).await;
        }
    };
    if let Some(finding) = pods.iter().find_map(|pod| data::pod_stays(context.set(), pod)) {
        return Err(stop(context, Exit::Conflict, finding));
    }
    progress.gone = Some(replicas);
    Ok(())
}

/// Runs the hooks before or after a step, beside the watches.
async fn run_hooks(
    context: &mut RunContext<'_>,
    progress: &mut Progress,
    record: &Record,
    next: &Move,
    replicas: u32,
    before: bool,
) -> Result<(), Stop> {
    if !before && !context.terms.after {
        progress.memory.concluded = Some(replicas);
        return Ok(());
    }
    if progress.work.is_none() {
        let from = if before { context.set().replicas } else { record.concluded };
        let hooks = hooks(context, record, replicas, from);
        let names: Vec<&str> = hooks.ordinals.iter().map(|ordinal| ordinal.pod.as_str()).collect();
        let when = if before { "before" } else { "after" };
        context.report_wait(&format!("the hooks {when} {}", list(&names)), None)?;
        if before {
            let pods = names.iter().filter_map(|name| context.known_as(name));
            progress.prepares = pods.collect();
        }
        let work: Work = if before { Box::pin(hooks.before()) } else { Box::pin(hooks.after()) };
        progress.work = Some((next.clone(), work));
    }
    if before {
        progress.hooks_run_for = Some(replicas).filter(|_| record.is_down());
    }
    let Some((_, work)) = &mut progress.work else { return Ok(()) };
    let Some(result) = context.live.work_or_wait(work).await? else { return Ok(()) };
    result.map_err(|finding| stop(context, Exit::Failed, finding))?;
    progress.work = None;
    if !before {
        progress.memory.concluded = Some(replicas);
        return Ok(());
    }
    // One of them may be another pod by now, for which nothing was done.
    let replaced = progress
        .prepares
        .iter()
        .find(|(pod, uid)| context.known_as(pod).is_some_and(|(_, now)| now != *uid));
    if let Some((pod, _)) = replaced {
        let message = format!("{pod} is another pod now: the hooks before it run again");
        return Ok(context.live.tell(&message)?);
    }
    progress.memory.prepared = Some(replicas);
    Ok(())
}

/// Changes the replicas, if what was agreed to still holds for the ordinals that
/// leave or come with it.
async fn step(
    context: &mut RunContext<'_>,
    progress: &mut Progress,
    mut record: Record,
    replicas: u32,
) -> Result<(), Stop> {
    if !holds(context, replicas).await? {
        return Ok(());
    }
    record.concluded = progress.memory.concluded_at(&record, context.set().replicas);
    record.at = replicas;
    let write = writes::step(context.set(), &record);
    if context.live.write(&write).await? == WriteOutcome::Done {
        progress.hooks_run_for = None;
        context.unreleased = None;
    }
    Ok(())
}

/// Reads the claims and names of the ordinals of the next step, and judges them. `false`
/// where the controller has yet to release a claim, or the read has to be
/// repeated.
async fn holds(context: &mut RunContext<'_>, replicas: u32) -> Result<bool, Stop> {
    let next = context.items_between(replicas, context.set().replicas);
    let items: Vec<&Ordinal> = next.iter().collect();
    let now = match look(context.cluster, &items).await {
        Ok(now) => now,
        Err(failure) => {
            context.live.sender.look_again_after(failure)?;
            context.live.sender.sleep(POLL_INTERVAL).await?;
            return Ok(false);
        }
    };
    match data::judge(context.set(), &items, &now, context.terms.shares) {
        Verdict::Go => Ok(true),
        Verdict::Stop(finding) => Err(stop(context, Exit::Conflict, finding)),
        Verdict::Wait(finding) => {
            let since = *context.unreleased.get_or_insert_with(Instant::now);
            let (longest, exit) = if finding.id == rules::CLAIM_IN_USE.id {
                (context.args.timeout.longest, Exit::Timeout)
            } else {
                (RETAIN_TIMEOUT, Exit::Failed)
            };
            if !longest.is_zero() && since.elapsed() > longest {
                return Err(stop(context, exit, finding));
            }
            context.report_wait(&format!("the controller: {}", finding.message), None)?;
            context.live.sender.sleep(POLL_INTERVAL).await?;
            Ok(false)
        }
    }
}

/// The claims of these ordinals and what matters for them; nothing is read where there is
/// nothing to look at.
async fn look(cluster: &Cluster, items: &[&Ordinal]) -> Result<Now, Failure> {
    let (wanted, volumes) = (data::claims_wanted(items), data::volumes_wanted(items));
    let names = data::names_wanted(items);
    let mounts = items.iter().flat_map(|item| &item.claims).any(Disk::is_mounted_again);
    let pods = async {
        if mounts { read::pods(cluster).await } else { read::pods_called(cluster, &names).await }
    };
    let attached =
        async { if mounts { read::attached(cluster).await } else { Ok(BTreeMap::new()) } };
    let (claims, volumes, pods, attached) = tokio::join!(
        read::claims_named(cluster, &wanted),
        read::volumes_named(cluster, &volumes),
        pods,
        attached,
    );
    Ok(Now { claims: claims?, volumes: volumes?, pods: pods?, attached: attached? })
}

/// Reports the finding that stops the run.
pub fn stop(context: &RunContext<'_>, exit: Exit, finding: Finding) -> Stop {
    match context.live.tell(&format!("stopped: {}", finding.message)) {
        Ok(()) => Stop::with(exit, finding),
        Err(error) => error.into(),
    }
}

/// The record, as long as this run has the scaling and nobody else has changed
/// the replicas.
fn own_record(context: &RunContext<'_>, uid: &str) -> Result<Record, Stop> {
    let set = context.set();
    let stop = |rule: &Rule, message: String| {
        Err(Stop::with(Exit::Conflict, rule.found(set.reference(), message)))
    };
    if context.live.is_replaced(uid) {
        return stop(&rules::REPLACED, format!("{} was deleted during the scaling", set.name));
    }
    match Record::of(set) {
        Ok(Some(record)) if record.run != context.run => {
            stop(&rules::TAKEN_OVER, format!("{} continues this scaling", record.run))
        }
        Ok(Some(record)) if record.at != set.replicas => {
            let others = set.field_managers.iter();
            let others = others.filter(|manager| manager.replicas && !manager.is_ours());
            let others: Vec<&str> = others.map(|manager| manager.name.as_str()).collect();
            let who = if others.is_empty() { "somebody".to_owned() } else { list(&others) };
            let message = format!(
                "{who} changed the replicas to {}; this scaling had set them to {}",
                set.replicas, record.at
            );
            stop(&rules::REPLICAS_CHANGED, message)
        }
        Ok(Some(_)) if set.start != context.start => {
            let message = format!(
                "somebody changed spec.ordinals.start from {} to {}: other ordinals would leave or \
                 come than the plan said",
                context.start, set.start
            );
            stop(&rules::REPLICAS_CHANGED, message)
        }
        Ok(Some(record)) => Ok(record),
        Ok(None) => stop(&rules::TAKEN_OVER, "somebody else has ended this scaling".to_owned()),
        Err(_) => stop(&rules::TAKEN_OVER, "the annotation of the scaling was changed".to_owned()),
    }
}

/// The hooks of the ordinals between `replicas` and `others`, in the order in
/// which they leave or come.
pub fn hooks(context: &RunContext<'_>, record: &Record, replicas: u32, others: u32) -> Hooks {
    let set = context.set();
    let hook_ordinal = |index: u32, leaves: bool| {
        let ordinal = set.start.saturating_add(index);
        let claims = set.claim_templates.iter();
        HookOrdinal {
            pod: set.pod_name(ordinal),
            ordinal,
            claims: claims.map(|template| set.claim_name(template, ordinal)).collect(),
            leaves,
        }
    };
    let ordinals = if record.is_down() {
        (replicas..others).rev().map(|index| hook_ordinal(index, true)).collect()
    } else {
        (replicas.saturating_sub(1)..replicas).map(|index| hook_ordinal(index, false)).collect()
    };
    Hooks {
        cluster: context.cluster.clone(),
        terminal: context.live.sender.progress.terminal,
        args: context.args.hooks.clone(),
        template: set.template.clone(),
        namespace: set.namespace.clone(),
        set: set.name.clone(),
        from: record.from,
        to: record.to,
        ordinals,
    }
}
