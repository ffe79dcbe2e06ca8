//! The report at the end of a run, and `run --finalize auto`.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Session,
    context::{RunContext, journal_lost},
    execute::{RunOptions, execute, signed, stop},
};
use crate::{
    migrate::{
        fates, finalize,
        journal::{Intent, StoredJournal},
        makers::{self, Moment},
        read,
        report::{self, View},
        rollback, rules,
        standing::Standing,
        world::World,
    },
    output::{Error, Exit},
    steps::{End, Stop, WriteOutcome},
    workload::{Finding, raw::is_leaving},
};

/// Finalizes if that was asked for and the set runs, and reports the end.
pub async fn report_and_finalize(
    mut context: RunContext<'_>,
    outcome: Result<End, Stop>,
    options: &RunOptions,
) -> Result<Exit, Error> {
    let outcome = match (outcome, options.finalize_after) {
        (Ok(end), Some(soak)) if end.exit == Exit::Done => {
            soak_and_finalize(&mut context, soak, options).await
        }
        (other, _) => other,
    };
    report(context, outcome).await
}

/// Reports the end of a run, from the objects as they are now.
pub async fn report(
    mut context: RunContext<'_>,
    outcome: Result<End, Stop>,
) -> Result<Exit, Error> {
    let mut end = End::of(outcome)?;
    let session = context.session;
    let world = if end.is_interrupted() {
        read::world(&session.cluster, &context.journal).await?
    } else {
        // A server that cannot be reached for a moment must not hide the result.
        match context.read_world().await {
            Ok(world) => world,
            // A signal that comes now wants no report.
            Err(stop) => return End::of(Err(stop)).map(|end| end.exit),
        }
    };
    if context.intent == Intent::Forward && end.exit == Exit::Done {
        end.findings.extend(makers::checklist(&context.journal, Some(&world), Moment::Moved));
    }
    let writes = &context.sender.writes;
    if let Some(stored) = world.stored_journal.clone() {
        return report_state(session, &world, &stored, &end, context.downtime, writes);
    }
    if let (Exit::Conflict, [finding, ..]) = (end.exit, end.findings.as_slice()) {
        // Someone else has deleted the journal: where the migration stands is not
        // ours to say.
        return Err(Error::new(end.exit, &finding.message).because(end.findings));
    }
    let intent = context.intent;
    match intent {
        Intent::Back => {
            let claims = read::claims_of_set(&session.cluster, &context.journal).await?;
            let left = rollback::left_over(&world, &context.journal, claims.as_deref());
            end.findings.extend(left);
        }
        // The journal is gone, so this is said here for the last time.
        Intent::Finish => {
            if context.journal.fills() {
                end.findings.extend(fates::old_claims_kept(&world, &context.journal));
            }
            end.findings.extend(finalize::left_beside(&world, &context.journal));
            end.findings.extend(makers::checklist(
                &context.journal,
                Some(&world),
                Moment::Finished,
            ));
        }
        _ => {}
    }
    let standing = Standing::after(&context.journal, &world, intent, context.own_set());
    let view = View::over(&context.journal, &world, standing, context.downtime, writes);
    let findings = runnable(&end.findings, &session.cluster.flags());
    let text = report::render(&view, end.exit, &findings, session.output, session.look())?;
    session.terminal.conclude(&text)?;
    say_last(session, &end, &world);
    Ok(end.exit)
}

/// Reports where a migration stands that still has its journal.
pub fn report_state(
    session: &Session,
    world: &World,
    stored: &StoredJournal,
    end: &End,
    downtime: Option<Duration>,
    written: &[String],
) -> Result<Exit, Error> {
    let flags = session.cluster.flags();
    let mut view = View::new(stored, world, downtime, written, Timestamp::now());
    // Whoever may not write to volumes may not do so in the next step either.
    let by_admin = end.findings.iter().any(|finding| finding.id == rules::ADMIN_STEP.id);
    let more = if by_admin { " --print-admin-steps" } else { "" };
    view.commands(&format!("{more}{flags}"));
    view.standing.findings = runnable(&view.standing.findings, &flags);
    let findings = runnable(&end.findings, &flags);
    let text = report::render(&view, end.exit, &findings, session.output, session.look())?;
    session.terminal.conclude(&text)?;
    say_last(session, end, world);
    Ok(end.exit)
}

/// The findings, with the flags of this connection in each command to paste.
pub fn runnable(findings: &[Finding], flags: &str) -> Vec<Finding> {
    let mut findings = findings.to_vec();
    // The line for an administrator is for another user.
    let ours = findings.iter_mut().filter(|finding| finding.id != rules::ADMIN_STEP.id);
    for hint in ours.filter_map(|finding| finding.hint.as_mut()) {
        if hint.starts_with("kubectl ") {
            let lines: Vec<String> =
                hint.split(" && ").map(|line| format!("{line}{flags}")).collect();
            *hint = lines.join(" && ");
        }
    }
    findings
}

fn say_last(session: &Session, end: &End, world: &World) {
    if end.is_interrupted() {
        let gone = world.volumes.values().any(is_leaving);
        session.terminal.say(if gone {
            "interrupted; the state is as shown, and a volume is being deleted"
        } else {
            "interrupted; the state is as shown"
        });
    }
    session.terminal.verbose(1, &format!("{} requests", session.cluster.requests()));
}

/// Waits for `--soak` and finalizes.
async fn soak_and_finalize(
    context: &mut RunContext<'_>,
    soak: Duration,
    options: &RunOptions,
) -> Result<End, Stop> {
    let on = format!("configmap/{}", context.journal.config_map_name());
    let begun = Timestamp::now();
    let taken_over = |message: &str| stop(rules::TAKEN_OVER.found(on.clone(), message));
    loop {
        let stored = context.read_world().await?.stored_journal;
        if let Some(lost) = journal_lost(stored.as_ref(), context.journal_uid()) {
            return Err(taken_over(lost));
        }
        // An earlier run may have seen the set complete.
        let arrived = stored.and_then(|stored| stored.arrived).map(|arrived| arrived.at);
        let since = arrived.unwrap_or(begun);
        let soaked_at = since.checked_add(signed(soak)).unwrap_or(Timestamp::MAX);
        if Timestamp::now() >= soaked_at {
            break;
        }
        // The lock is free meanwhile.
        context.wait_unlocked("the end of --soak", soaked_at).await?;
    }
    match context.retake_lock(Intent::Finish).await? {
        WriteOutcome::Done => execute(context, Intent::Finish, options).await,
        WriteOutcome::LookAgain => {
            let stored = context.read_world().await?.stored_journal;
            let lost = journal_lost(stored.as_ref(), context.journal_uid());
            Err(taken_over(lost.unwrap_or("another run has taken the lock")))
        }
    }
}
