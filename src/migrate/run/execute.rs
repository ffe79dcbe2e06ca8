//! Carries out a migration in one direction: read, decide, write, until it has
//! reached its end or something is in the way.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    context::{RunContext, journal_lost},
    late,
};
use crate::{
    cluster::{ExecOutcome, Write},
    migrate::{
        args::{OnArgs, RunArgs},
        direction,
        forward::{Act, Checks, Move},
        journal::{Arrived, Intent, StoredJournal, Wishes},
        read, rollback, rules,
        standing::{Next, Standing},
        wording::Wording,
        world::{self, World},
        writes,
    },
    output::{
        Error, Exit,
        text::{age, one_line},
    },
    steps::{ANSWER_GRACE, End, Stop, WriteOutcome},
    workload::{Finding, raw::uid},
};

/// The flags that say how a run goes.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// How long one wait may take.
    pub timeout: SignedDuration,
    /// A command that must succeed in every new pod.
    pub verify: Option<String>,
    /// Roll back when the migration fails on the way forward.
    pub auto_rollback: bool,
    /// Finalize when the set has run for this long.
    pub finalize_after: Option<Duration>,
    /// Print commands for an administrator instead of writing to volumes.
    pub admin_steps: bool,
}

impl RunOptions {
    /// The options of `run`.
    pub fn of_run(args: &RunArgs, wishes: &Wishes) -> RunOptions {
        RunOptions::new(args.timeout.longest, args.request.admin_steps).doing(wishes)
    }

    /// The options that all verbs on a begun migration share.
    pub fn of(on: &OnArgs) -> RunOptions {
        RunOptions::new(on.timeout.longest, on.admin_steps)
    }

    fn new(timeout: Duration, admin_steps: bool) -> RunOptions {
        RunOptions {
            timeout: wait_limit(timeout),
            verify: None,
            auto_rollback: false,
            finalize_after: None,
            admin_steps,
        }
    }

    /// The same, on the way forward.
    #[must_use]
    pub fn doing(self, wishes: &Wishes) -> RunOptions {
        RunOptions {
            verify: wishes.verify.clone(),
            auto_rollback: wishes.auto_rollback,
            finalize_after: wishes.finalize_after.map(Duration::from_secs),
            ..self
        }
    }
}

/// How long a wait may take; 0 is forever.
fn wait_limit(timeout: Duration) -> SignedDuration {
    if timeout.is_zero() { SignedDuration::MAX } else { signed(timeout) }
}

/// A duration too long for jiff becomes the longest that it has.
pub fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// How often the same act may succeed in a row without any effect.
const MAX_REPEATS: u32 = 5;

/// Carries out the migration until it has reached its end or something is in
/// the way, and releases the lock.
///
/// # Errors
/// What stopped it.
pub async fn execute(
    context: &mut RunContext<'_>,
    intent: Intent,
    options: &RunOptions,
) -> Result<End, Stop> {
    let reverts = intent == Intent::Forward && options.auto_rollback;
    context.intent = intent;
    let outcome = match run_moves(context, intent, options).await {
        Err(Stop::Blocked(end)) if reverts && has_failed(&end) => {
            revert(context, options, end).await
        }
        other => other,
    };
    // However it ended: the next run must not wait for a heartbeat.
    context.release_lock().await;
    match outcome {
        Err(Stop::Failed(error)) => Err(Stop::Failed(where_it_stands(context, error).await)),
        other => other,
    }
}

/// Says where an error that no report follows has left the migration, and adds how to
/// go on. Nothing is said if that cannot be looked at.
async fn where_it_stands(context: &RunContext<'_>, error: Error) -> Error {
    if error.broken_pipe {
        return error;
    }
    let session = context.session;
    let read = read::world(&session.cluster, &context.journal);
    let Ok(Ok(world)) = tokio::time::timeout(ANSWER_GRACE, read).await else { return error };
    let Some(stored) = &world.stored_journal else { return error };
    let standing = Standing::of(stored, &world, Timestamp::now());
    if let Err(failed) = context.tell(&format!("it stands: {}", standing.sentence())) {
        return failed.caused_by(error.headline());
    }
    let verb = standing.next.map_or("status", Next::word);
    let line = session.command(verb, &context.journal);
    let hint = match error.advice() {
        None => line,
        // It fails as long as the right is missing, and then nothing more is run.
        Some(asks) if asks.starts_with("kubectl auth can-i ") => format!("{asks} && {line}"),
        Some(first) => format!("{first}; to go on: {line}"),
    };
    error.hint(hint)
}

fn has_failed(end: &End) -> bool {
    matches!(end.exit, Exit::Failed | Exit::Timeout)
}

/// Rolls back after a failure, for `--auto-rollback`.
async fn revert(
    context: &mut RunContext<'_>,
    options: &RunOptions,
    failed: End,
) -> Result<End, Stop> {
    context.tell("it failed: rolling back")?;
    context.intent = Intent::Back;
    context.measure_anew();
    if context.change_direction(Intent::Back).await? == WriteOutcome::LookAgain {
        return Err(Stop::Blocked(failed));
    }
    // However far the rollback came, the report says why it was needed.
    let mut end = End::of(run_moves(context, Intent::Back, options).await)?;
    if end.exit == Exit::Done {
        end.exit = Exit::Reverted;
    }
    end.findings.extend(failed.findings);
    Ok(end)
}

async fn run_moves(
    context: &mut RunContext<'_>,
    intent: Intent,
    options: &RunOptions,
) -> Result<End, Stop> {
    let checks = Checks { verify: options.verify.is_some() };
    let mut waited: Option<(String, Timestamp)> = None;
    let mut acted: Option<(Act, u32)> = None;
    loop {
        let world = context.read_world().await?;
        if let Err(stop) = check_lock(context, &world) {
            return Err(late::stopped(context, &world, stop).await);
        }
        context.holds_lock();
        let now = Timestamp::now();
        let (journal, memory) = (&context.journal, &context.memory);
        let next = direction::next(intent, &world, journal, checks, memory, now);
        if !matches!(next, Move::Wait { .. }) {
            waited = None;
        }

        let is_ready = matches!(
            next,
            Move::Verify | Move::Done | Move::Act(Act::PointScaler(_) | Act::ResumeScaler(_))
        );
        if intent == Intent::Forward && is_ready {
            context.is_ready_again();
        }
        match next {
            Move::Act(act) => {
                if let Some(stop) = admin_step(context, act, &world, options) {
                    return Err(stop);
                }
                if context.carry_out(act, &world).await? == WriteOutcome::LookAgain {
                    // Nothing was written; the context counts how often that happens.
                    continue;
                }
                let times = match acted {
                    Some((last, times)) if last == act => times + 1,
                    _ => 1,
                };
                acted = Some((act, times));
                if times > MAX_REPEATS {
                    let Wording { done, unmet, .. } = act.wording(&context.journal);
                    let message = format!(
                        "{done} {times} times and {unmet}: something else keeps undoing it"
                    );
                    return Err(Error::new(Exit::Error, message).into());
                }
            }
            Move::Wait { what } => {
                let since = match &waited {
                    Some((last, since)) if *last == what => *since,
                    _ => {
                        waited = Some((what.clone(), now));
                        now
                    }
                };
                let until = since.checked_add(options.timeout).unwrap_or(Timestamp::MAX);
                if now >= until {
                    return Err(timed_out(context, &what, options.timeout));
                }
                context.wait(&what, until).await?;
            }
            // No deadline: the pod itself reports when it has failed.
            Move::Watch { what, pod } => {
                context.report_progress(&pod).await?;
                context.wait(&what, Timestamp::MAX).await?;
            }
            Move::Verify => {
                let command = options.verify.as_deref().unwrap_or_default();
                verify(context, command, options).await?;
                context.memory.verified = true;
            }
            Move::Done => return record_end(context, intent, &world, options).await,
            Move::Stop { exit, finding } => return Err(Stop::with(exit, finding)),
        }
    }
}

/// Stops this run for a finding.
pub fn stop(finding: Finding) -> Stop {
    Stop::with(rules::stopped_for(&finding), finding)
}

/// Stops this run when the lock is gone or belongs to another run.
fn check_lock(context: &RunContext<'_>, world: &World) -> Result<(), Stop> {
    let on = format!("configmap/{}", context.journal.config_map_name());
    let stored = world.stored_journal.as_ref();
    let holder = stored.and_then(|stored| stored.holder.as_ref());
    let message = match (journal_lost(stored, context.journal_uid()), holder) {
        (Some(lost), _) => lost.to_owned(),
        (None, Some(holder)) if *holder == context.session.holder => return Ok(()),
        (None, Some(holder)) => format!("{holder} has taken over the migration"),
        (None, None) => "someone has removed the lock".to_owned(),
    };
    Err(stop(rules::TAKEN_OVER.found(on, message)))
}

fn timed_out(context: &RunContext<'_>, what: &str, timeout: SignedDuration) -> Stop {
    let message = format!("waited {} for {what}", age(timeout));
    let on = format!("statefulset/{}", context.journal.set_name());
    stop(rules::DEADLINE.found(on, message))
}

/// Stops before a write to a volume, with the command that does it.
fn admin_step(
    context: &RunContext<'_>,
    act: Act,
    world: &World,
    options: &RunOptions,
) -> Option<Stop> {
    let on_volume = matches!(
        act,
        Act::Protect(_)
            | Act::ProtectBlank(_)
            | Act::Reserve(_)
            | Act::Swap(_)
            | Act::SwapBack(_)
            | Act::Withhold(_)
            | Act::WithholdBlank(_)
            | Act::Release(_)
            | Act::LeaveBlank(_)
    );
    if !options.admin_steps || !on_volume {
        return None;
    }
    let write = writes::of(act, &context.journal, world, Timestamp::now())?.into_iter().next()?;
    // Somebody else runs it, with a kubeconfig of their own: what says who we are
    // has no place in it.
    let line = write.as_kubectl(context.sender.mode(), &[]);
    let server = context.session.cluster.server();
    let message = format!("an administrator of {server} has to run this command; then resume");
    let finding = rules::ADMIN_STEP.found(write.object().to_string(), message).hint(line);
    Some(stop(finding))
}

/// Runs the command of `--verify-exec` in the new pods, and stops at the first
/// failure.
async fn verify(
    context: &mut RunContext<'_>,
    command: &str,
    options: &RunOptions,
) -> Result<(), Stop> {
    let words = ["sh", "-c", command].map(str::to_owned);
    let time = Duration::try_from(options.timeout).unwrap_or(Duration::MAX);
    for ordinal in 0..context.journal.replicas {
        let pod = format!("{}-{ordinal}", context.journal.set_name());
        context.tell(&format!("running in {pod}: {}", one_line(command)))?;
        let cluster = context.session.cluster.clone();
        let outcome = context.holding_lock(cluster.exec(&pod, None, &words, time)).await?;
        let why = match outcome {
            Ok(ExecOutcome::Ended { code: 0, .. }) => continue,
            Ok(ExecOutcome::Ended { code, stdout, stderr }) => {
                let output = if stderr.trim().is_empty() { stdout } else { stderr };
                format!("{pod}: the command ended with {code}: {}", one_line(output.trim()))
            }
            Ok(ExecOutcome::TimedOut) => {
                format!("{pod}: the command did not end within {}", age(options.timeout))
            }
            Err(failure) => format!("{pod}: {}", Error::from(failure).headline()),
        };
        let finding = rules::VERIFY_FAILED.found(format!("pod/{pod}"), why);
        return Err(stop(finding));
    }
    Ok(())
}

/// Records that the set is complete, or deletes the journal when nothing is
/// left to do.
async fn record_end(
    context: &mut RunContext<'_>,
    intent: Intent,
    world: &World,
    options: &RunOptions,
) -> Result<End, Stop> {
    let mut set_uid = String::new();
    let mut write = match intent {
        Intent::Forward => {
            let stored = world.stored_journal.as_ref();
            let arrived = stored.and_then(|stored| stored.arrived.as_ref());
            // A set that someone deleted and we have made again is another one.
            let recorded = |set: &Value| arrived.is_some_and(|one| one.set_uid == uid(set));
            let Some(set) = world.own_set(&context.journal).filter(|set| !recorded(set)) else {
                return Ok(End::done());
            };
            // If another run has stopped the Deployment, the objects say when.
            context.downtime =
                context.downtime.or_else(|| world::downtime(world, &context.journal));
            let downtime = context.downtime.map(|downtime| downtime.as_millis());
            set_uid = uid(set).to_owned();
            let arrived = Arrived {
                at: Timestamp::now(),
                set_uid: set_uid.clone(),
                downtime_ms: downtime.and_then(|time| u64::try_from(time).ok()),
            };
            let (uid, holder) = (context.journal_uid(), &context.session.holder);
            writes::record_arrival(&context.journal, uid, holder, &arrived)
        }
        Intent::Back | Intent::Finish | Intent::Recover => close(context, world),
    };
    loop {
        match context.write(&write).await? {
            WriteOutcome::Done if intent == Intent::Forward => return Ok(End::done()),
            WriteOutcome::Done => {
                context.has_closed();
                return closed(context, intent, options).await;
            }
            WriteOutcome::LookAgain => {}
        }
        let world = context.read_world().await?;
        match (intent, &world.stored_journal) {
            (Intent::Back | Intent::Finish | Intent::Recover, None) => {
                return closed(context, intent, options).await;
            }
            (Intent::Forward, Some(StoredJournal { arrived: Some(arrived), .. }))
                if arrived.set_uid == set_uid =>
            {
                return Ok(End::done());
            }
            _ => check_lock(context, &world)?,
        }
        if intent != Intent::Forward {
            write = close(context, &world);
        }
    }
}

/// Deletes the journal in which our lock was seen.
fn close(context: &RunContext<'_>, world: &World) -> Write {
    let version = world.stored_journal.as_ref().map(|stored| stored.resource_version.clone());
    writes::delete_journal(&context.journal, context.journal_uid(), version)
}

/// The end of a migration whose journal is deleted.
async fn closed(
    context: &mut RunContext<'_>,
    intent: Intent,
    options: &RunOptions,
) -> Result<End, Stop> {
    if intent == Intent::Back {
        return wait_for_deployments(context, options).await;
    }
    Ok(End::done())
}

/// After a rollback there is no journal any more. Still waits until the
/// Deployments are available.
async fn wait_for_deployments(
    context: &mut RunContext<'_>,
    options: &RunOptions,
) -> Result<End, Stop> {
    let until = Timestamp::now().checked_add(options.timeout).unwrap_or(Timestamp::MAX);
    loop {
        let world = context.read_world().await?;
        let Some(name) = rollback::unavailable_deployment(&world, &context.journal) else {
            context.is_ready_again();
            return Ok(End::done());
        };
        let what = format!("Deployment {name} to be available");
        if Timestamp::now() >= until {
            let message =
                format!("waited {} for {what}; everything else is back", age(options.timeout));
            let namespace = &context.journal.namespace;
            let finding = rules::DEADLINE
                .found(format!("deployment/{name}"), message)
                .hint(format!("kubectl describe deployment/{name} -n {namespace}"));
            return Err(stop(finding));
        }
        context.wait_unlocked(&what, until).await?;
    }
}
