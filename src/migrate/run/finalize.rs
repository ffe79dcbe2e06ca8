//! `finalize`: deletes what a rollback would need.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Session,
    context::RunContext,
    dry_run::{Rehearsal, show},
    end::{report, report_and_finalize, report_state},
    execute::{RunOptions, execute, signed},
    find::{self, Found},
    remains, rights,
};
use crate::{
    cluster::{ConnectionArgs, DryRun, Resource},
    migrate::{
        args::FinalizeArgs,
        finalize,
        forward::Checks,
        journal::{Intent, StoredJournal},
        read,
        remains::Way,
        rules, standing,
        world::World,
    },
    output::{
        Confirmed, Error, Exit, Question, Terminal,
        text::{age, clock},
    },
    steps::End,
};

/// Runs `finalize`.
pub async fn finalize(
    args: &FinalizeArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.on.output.format, connection, terminal).await?;
    let found =
        find::journal_unless_over(&session, &args.on.target, Resource::STATEFUL_SET).await?;
    let stored = match found {
        Found::Journal(stored) => *stored,
        Found::Remains(left) if args.confirmation.dry_run != DryRun::None => {
            return remains::show(&session, &left, Exit::Done);
        }
        Found::Remains(left) => {
            return remains::clear(&session, left, Way::On, &args.confirmation.consent).await;
        }
        Found::Over => {
            return find::nothing_to_do(
                &session,
                "no migration is under way, and the set exists: nothing to finalize",
            );
        }
    };
    let world = read::world(&session.cluster, &stored.journal).await?;
    if let Some(end) = too_early(&session, &stored, &world, args.soak) {
        return report_state(&session, &world, &stored, &end, None, &[]);
    }
    let name = stored.journal.set_name().to_owned();
    let gives_up = stored.intent == Intent::Back;
    let admin_steps = args.on.admin_steps;
    if stored.intent == Intent::Forward
        && let Some(end) =
            rights::refusal(&session, &stored, &world, Intent::Finish, admin_steps).await?
    {
        return report_state(&session, &world, &stored, &end, None, &[]);
    }
    if args.confirmation.dry_run != DryRun::None {
        let (intent, then) = if gives_up {
            let then = "then what a rollback needs is deleted".to_owned();
            (Intent::Forward, Some(then))
        } else {
            (Intent::Finish, None)
        };
        let rehearsal = Rehearsal { intent, checks: Checks::default(), admin_steps, then };
        let dry_run = args.confirmation.dry_run;
        return show(&session, &stored, &world, rehearsal, dry_run, End::done()).await;
    }
    let text = if gives_up {
        format!("Give up the rollback, start {name} again, and delete what a rollback needs?")
    } else {
        format!("Delete what a rollback of {name} needs?")
    };
    let question = Question {
        text: &text,
        plan: None,
        type_to_agree: Some(&name),
        for_a_program: session.output.is_machine(),
    };
    let confirmed = Confirmed::ask(session.terminal, &args.confirmation.consent, question)?;
    let takeover = args.on.takeover;
    let mut options = RunOptions::of(&args.on);
    if gives_up {
        options.finalize_after = Some(args.soak);
        let intent = Intent::Forward;
        let mut context =
            RunContext::take_lock(&session, stored, intent, takeover, confirmed).await?;
        let options = RunOptions { finalize_after: Some(args.soak), ..options };
        let outcome = execute(&mut context, intent, &options).await;
        return report_and_finalize(context, outcome, &options).await;
    }
    let mut context =
        RunContext::take_lock(&session, stored, Intent::Finish, takeover, confirmed).await?;
    let outcome = execute(&mut context, Intent::Finish, &options).await;
    report(context, outcome).await
}

/// Why finalize may not begin.
fn too_early(
    session: &Session,
    stored: &StoredJournal,
    world: &World,
    soak: Duration,
) -> Option<End> {
    let journal = &stored.journal;
    let on = format!("statefulset/{}", journal.set_name());
    if stored.intent == Intent::Finish {
        return None;
    }
    if stored.intent == Intent::Back && standing::can_give_up(world, journal, Timestamp::now()) {
        return None;
    }
    let Some(arrived) = stored.arrived.as_ref().filter(|_| stored.intent == Intent::Forward) else {
        let message =
            format!("the migration to {} has not reached its end yet", journal.set_name());
        let finding =
            rules::NOT_ARRIVED.found(on, message).hint(session.command("resume", journal));
        return Some(End::with(rules::refused_for(&finding), finding));
    };
    if let Some(finding) = finalize::not_ready(world, journal, Timestamp::now()) {
        return Some(End::with(rules::refused_for(&finding), finding));
    }
    let soaked_at = arrived.at.checked_add(signed(soak)).unwrap_or(Timestamp::MAX);
    (Timestamp::now() < soaked_at).then(|| {
        let message = format!(
            "the set has run since {}; --soak {} ends at {}",
            clock(arrived.at),
            age(signed(soak)),
            clock(soaked_at)
        );
        let finding = rules::SOAKING.found(on, message);
        End::with(rules::refused_for(&finding), finding)
    })
}
