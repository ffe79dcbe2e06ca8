//! Holding: before a template is applied, and in the middle of a rollout.

use jiff::Timestamp;

use super::{Session, hand::Hand, refused};
use crate::{
    canary::{
        args::{PauseArgs, StageArgs},
        change,
        guards::{self, Beginning},
        plan,
        record::{Phase, Record},
        rules, writes,
    },
    cluster::{ConnectionArgs, DryRun, Write},
    output::{Error, Exit, Terminal},
    steps::{End, Written},
    workload::{Strategy, Survey},
};

/// Above every ordinal that a set can have, so that one which is added
/// meanwhile stays on the stable revision, too. OpenKruise holds with the same
/// number.
const HOLD: u32 = 32767;

/// Runs `stage`.
pub async fn stage(
    args: &StageArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(&args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    let set = survey.set;
    let what = format!("cannot stage {}", session.name);
    let there =
        Record::of(set).map_err(|why| refused(&what, vec![guards::unusable(&survey, &why)]))?;
    match &there {
        Some(record) if record.phase == Phase::Staged && set.partition() == record.partition => {
            terminal.say(&format!("{} is staged already", session.name));
            return session.close_unwatched(&reading.facts, &End::done());
        }
        Some(record) if record.phase == Phase::Rolling => {
            let finding = rules::IN_PROGRESS
                .found(set.reference(), "a canary is under way".to_owned())
                .hint(session.command("status"));
            return Err(refused(&what, vec![finding]));
        }
        _ => {}
    }
    let mut findings = guards::check(&survey, there.as_ref(), Beginning::Stage);
    guards::allow(&mut findings, &args.allow);
    if guards::refuses(&findings) {
        return Err(refused(&what, findings));
    }
    for finding in &findings {
        terminal.warn(&format!("{} {}", finding.id, finding.message));
    }
    let stable = plan::stable_of(&survey).unwrap_or_default();
    let mut record = there.unwrap_or_else(|| Record::begin(set, stable, &session.run, now));
    record.phase = Phase::Staged;
    record.partition = HOLD;
    record.template = change::fingerprint(&set.template.raw);
    record.run.clone_from(&session.run);
    let write = writes::step(set, &record);
    let text = format!("Hold {} at {}, whatever is applied?", session.name, record.stable);
    once(&session, reading, &args.common, &text, &write).await
}

/// Runs `pause`.
pub async fn pause(
    args: &PauseArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(&args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    let set = survey.set;
    let what = format!("cannot pause {}", session.name);
    let there =
        Record::of(set).map_err(|why| refused(&what, vec![guards::unusable(&survey, &why)]))?;
    if !guards::readable(&survey) {
        return Err(refused(&what, guards::check(&survey, there.as_ref(), Beginning::Adopt)));
    }
    let record = match there {
        Some(record) if record.phase == Phase::Aborting => {
            return Err(refused(&what, vec![guards::going_back(&survey, &record)]));
        }
        Some(record) if record.phase == Phase::Staged => {
            terminal.say(&format!("{} is staged: nothing moves", session.name));
            return session.close_unwatched(&reading.facts, &End::done());
        }
        Some(mut record) => {
            // What was told to move and has not begun to is told to stay.
            record.partition = plan::reached(&survey, &record.stable).max(record.partition);
            record.run.clone_from(&session.run);
            record
        }
        None => {
            let Some(record) = taken_over(&survey, &session.run, now) else {
                terminal
                    .say(&format!("no rollout of {} is under way: nothing to pause", session.name));
                return session.close_unwatched(&reading.facts, &End::done());
            };
            if survey.facts.revision(&record.stable).is_none() {
                return Err(refused(&what, guards::for_abort(&survey, &record)));
            }
            record
        }
    };
    let write = writes::step(set, &record);
    let text = format!("Hold the rollout of {} where it is?", session.name);
    once(&session, reading, &args.common, &text, &write).await
}

/// The record of a rollout that somebody else began.
fn taken_over(survey: &Survey, run: &str, now: Timestamp) -> Option<Record> {
    let set = survey.set;
    if !matches!(set.strategy, Strategy::RollingUpdate { .. }) {
        return None;
    }
    let stable = plan::stable_of(survey)?;
    if set.status.update_revision.as_deref() == Some(stable) {
        return None;
    }
    let mut record =
        Record::begin(set, stable, run, now).opened(set, plan::reached(survey, stable), run);
    record.template = change::fingerprint(&set.template.raw);
    record.adopted = true;
    Some(record)
}

/// Asks, and does one write. Where the world has moved meanwhile it stops: the
/// same command again decides anew.
async fn once(
    session: &Session,
    reading: crate::cluster::read::Reading,
    common: &crate::canary::args::Common,
    text: &str,
    write: &Write,
) -> Result<Exit, Error> {
    if session.dry_run != DryRun::None {
        session.rehearse(write).await?;
        return session.close_unwatched(&reading.facts, &End::done());
    }
    let confirmed = session.ask(common, text, None)?;
    let mut hand = Hand::new(session, reading, confirmed);
    let end = match hand.set.write(write).await? {
        Written::Done => End::done(),
        Written::Interrupted(exit) => End::interrupted(exit),
        Written::LookAgain => {
            let set = &hand.set.mirror.facts().set;
            match Record::of(set) {
                Ok(Some(record)) if record.run == session.run => End::done(),
                _ => {
                    let message = "the set changed at this very moment: type it again".to_owned();
                    End::with(Exit::Conflict, rules::TAKEN_OVER.found(set.reference(), message))
                }
            }
        }
    };
    session.close(&mut hand, &end)
}
