//! `stage` and `pause`: hold every ordinal before a template is applied, or hold
//! a rollout where it is.

use jiff::Timestamp;

use super::{
    context::RunContext,
    session::{Session, refused},
};
use crate::{
    canary::{
        args::{Common, PauseArgs, StageArgs},
        diff,
        guards::{self, StartKind},
        plan,
        record::{Phase, Record},
        rules, writes,
    },
    cluster::{ConnectionArgs, DryRun, Write, read::Reading},
    output::{Error, Exit, Terminal},
    steps::{End, Stop, WriteOutcome},
    workload::{Finding, Strategy, Survey, refuses, rollout::Template},
};

/// A partition above every ordinal that a set can have: an ordinal that is added
/// meanwhile stays on the stable revision, too. OpenKruise holds with the same
/// number.
const ABOVE_ALL_ORDINALS: u32 = 32767;

/// Runs `stage`.
pub async fn stage(
    args: &StageArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let allowed = args.allow.among(rules::ALLOWABLE)?;
    let session = Session::open::<StageArgs>("stage", &args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    let set = survey.set;
    let what = format!("cannot stage {}", session.name);
    let existing =
        Record::of(set).map_err(|why| refused(&what, vec![guards::unusable(&survey, &why)]))?;
    match &existing {
        Some(record) if record.phase == Phase::Staged && set.partition() == record.partition => {
            terminal.say(&format!("{} is staged already", session.name));
            return session.close_unchanged(&reading.facts).await;
        }
        Some(record) if record.phase == Phase::Rolling => {
            let finding = rules::IN_PROGRESS
                .found(set.reference(), "a canary is under way".to_owned())
                .hint(session.command("status"));
            return Err(refused(&what, vec![finding]));
        }
        _ => {}
    }
    let mut findings = guards::check(&survey, existing.as_ref(), StartKind::Stage);
    allowed.weigh(&mut findings);
    if refuses(&findings) {
        return Err(refused(&what, findings));
    }
    for finding in &findings {
        terminal.warn(&format!("{} {}", finding.id, finding.message));
    }
    let stable = plan::stable_of(&survey).unwrap_or_default();
    let begin = || {
        let mut record = Record::begin(set, stable, &session.run, now);
        record.template = diff::fingerprint(&set.template.raw);
        record
    };
    // What somebody has applied since the set was staged still waits.
    let mut record = existing.unwrap_or_else(begin);
    record.phase = Phase::Staged;
    record.partition = ABOVE_ALL_ORDINALS;
    record.run.clone_from(&session.run);
    let write = writes::step(set, &record);
    let text = format!("Hold {} at {}, whatever is applied?", session.name, record.stable);
    write_once(&session, reading, &args.common, &text, &write).await
}

/// Runs `pause`.
pub async fn pause(
    args: &PauseArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open::<PauseArgs>("pause", &args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    let set = survey.set;
    let what = format!("cannot pause {}", session.name);
    let existing =
        Record::of(set).map_err(|why| refused(&what, vec![guards::unusable(&survey, &why)]))?;
    if let Some(going) = guards::namespace_deleting(&survey) {
        return Err(refused(&what, vec![going]));
    }
    if !guards::readable(&survey) {
        return Err(refused(&what, guards::check(&survey, existing.as_ref(), StartKind::Adopt)));
    }
    let record = match existing {
        Some(record) if record.phase == Phase::Aborting => {
            return Err(refused(&what, vec![guards::going_back(&survey, &record)]));
        }
        Some(record) if record.phase == Phase::Staged => {
            terminal.say(&format!("{} is staged: nothing moves", session.name));
            return session.close_unchanged(&reading.facts).await;
        }
        Some(mut record) => {
            // An ordinal that was released and has not moved yet is held again.
            record.partition = plan::reached(&survey, &record.stable).max(record.partition);
            record.run.clone_from(&session.run);
            record
        }
        None => {
            if let Some(undone) = guards::undone(&survey) {
                return Err(refused(&what, vec![held_by_hand(&survey, undone)]));
            }
            let Some(record) = adopt_rollout(&survey, &session.run, now) else {
                terminal
                    .say(&format!("no rollout of {} is under way: nothing to pause", session.name));
                return session.close_unchanged(&reading.facts).await;
            };
            if survey.facts.revision(&record.stable).is_none() {
                return Err(refused(&what, guards::for_abort(&survey, &record)));
            }
            record
        }
    };
    // Whoever wants nothing to move does not want the partition lowered.
    if record.partition < set.partition()
        && let Some(finding) = guards::too_far_apart(&survey, &record.stable)
    {
        return Err(refused(&what, vec![finding]));
    }
    let not_kept = guards::not_kept(&survey, record.partition);
    for finding in not_kept.into_iter().chain(guards::applied_partition(&survey)) {
        terminal.warn(&format!("{} {}", finding.id, finding.message));
    }
    let write = writes::step(set, &record);
    let text = format!("Hold the rollout of {} where it is?", session.name);
    write_once(&session, reading, &args.common, &text, &write).await
}

/// A change that is being taken back is no canary. Whoever wants it to stop
/// half-way sets the partition.
fn held_by_hand(survey: &Survey, undone: Finding) -> Finding {
    let (set, Template::Older { undone: left, .. }) = (survey.set, Template::of(survey)) else {
        return undone;
    };
    if !set.takes_partition() {
        return undone;
    }
    let reached = left.iter().map(|revision| plan::reached(survey, revision)).max().unwrap_or(0);
    undone.hint(survey.move_partition(reached))
}

/// The record of a rollout that somebody else began.
fn adopt_rollout(survey: &Survey, run: &str, now: Timestamp) -> Option<Record> {
    let set = survey.set;
    if !matches!(set.strategy, Strategy::RollingUpdate { .. }) {
        return None;
    }
    let stable = plan::stable_of(survey)?;
    if set.status.update_revision.as_deref() == Some(stable) {
        return None;
    }
    let mut record =
        Record::begin(set, stable, run, now).rolling(set, plan::reached(survey, stable), run);
    record.template = diff::fingerprint(&set.template.raw);
    record.adopted = true;
    Some(record)
}

/// Asks for confirmation, and does one write. It stops if the set has changed
/// meanwhile: the same command again decides anew.
async fn write_once(
    session: &Session,
    reading: Reading,
    common: &Common,
    text: &str,
    write: &Write,
) -> Result<Exit, Error> {
    if session.dry_run != DryRun::None {
        session.rehearse(write).await?;
        return session.close_unchanged(&reading.facts).await;
    }
    let confirmed = session.ask(common, text, None)?;
    let mut context = RunContext::new(session, reading, confirmed);
    let end = write_or_stop(&mut context, write).await;
    context.close(end).await
}

async fn write_or_stop(context: &mut RunContext<'_>, write: &Write) -> Result<End, Stop> {
    if context.live.write(write).await? == WriteOutcome::Done {
        return Ok(End::done());
    }
    let set = context.set();
    match Record::of(set) {
        // The write went through, and its answer was lost.
        Ok(Some(record)) if record.run == context.session.run => Ok(End::done()),
        _ => {
            let message = "the set changed during the write; run the command again";
            let finding = rules::TAKEN_OVER.found(set.reference(), message);
            Err(Stop::with(Exit::Conflict, finding))
        }
    }
}
