//! `rollback`: brings the Deployment back.

use jiff::Timestamp;

use super::{
    Session,
    context::RunContext,
    dry_run::{Rehearsal, show},
    end::{report, report_state},
    execute::{RunOptions, execute},
    find::{self, Found},
    remains, rights,
};
use crate::{
    cluster::{
        ConnectionArgs, DryRun, Resource,
        rights::{Right, missing_rights},
    },
    migrate::{
        args::RollbackArgs,
        fates,
        forward::Checks,
        journal::{Intent, Journal},
        read,
        remains::Way,
        rollback, rules,
        world::World,
    },
    output::{Error, Exit, Look, Terminal, layout},
    steps::End,
    workload::{Finding, Severity},
};

/// Runs `rollback`.
pub async fn rollback(
    args: &RollbackArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.on.output.format, connection, terminal).await?;
    let found = find::journal_unless_over(&session, &args.on.target, Resource::DEPLOYMENT).await?;
    let stored = match found {
        Found::Journal(stored) => *stored,
        Found::Remains(left) if args.confirmation.dry_run != DryRun::None => {
            return remains::show(&session, &left, Exit::Done);
        }
        Found::Remains(left) => {
            return remains::clear(&session, left, Way::Back, &args.confirmation.consent).await;
        }
        Found::Over => {
            return find::nothing_to_do(
                &session,
                "no migration is under way, and the Deployment exists: nothing to roll back",
            );
        }
    };
    let journal = &stored.journal;
    if matches!(stored.intent, Intent::Finish | Intent::Recover) {
        let set = journal.set_name();
        let message = if stored.intent == Intent::Finish {
            format!("finalize of {set} has begun, and cannot be undone")
        } else {
            format!(
                "a volume is being put back under {set}: to undo it, run recover with the other \
                 volume"
            )
        };
        return Err(Error::new(Exit::Manual, message).hint(session.command("resume", journal)));
    }
    let world = read::world(&session.cluster, journal).await?;
    // One that was begun goes on to where it is stuck: what others have done to it
    // may be undone by now, and volumes may have to be protected.
    if stored.intent == Intent::Forward
        && let Some(finding) = in_the_way(&session, &world, journal).await?
    {
        let end = End::with(rules::refused_for(&finding), finding);
        return report_state(&session, &world, &stored, &end, None, &[]);
    }
    let admin_steps = args.on.admin_steps;
    if stored.intent == Intent::Forward
        && let Some(end) =
            rights::refusal(&session, &stored, &world, Intent::Back, admin_steps).await?
    {
        return report_state(&session, &world, &stored, &end, None, &[]);
    }
    let loses = fates::rollback_loses(&world, journal);
    let unread = rollback::claims_unread(&world, journal);
    let unread = unread.map(|finding| finding.at(Severity::Warning));
    if args.confirmation.dry_run != DryRun::None {
        let intent = Intent::Back;
        let rehearsal = Rehearsal { intent, checks: Checks::default(), admin_steps, then: None };
        let end = End { findings: loses.into_iter().chain(unread).collect(), ..End::done() };
        return show(&session, &stored, &world, rehearsal, args.confirmation.dry_run, end).await;
    }
    for finding in loses.iter().chain(&unread) {
        let look = Look::plain(Timestamp::now());
        for line in layout::finding(finding, "stopped", look) {
            terminal.say(&line);
        }
    }
    let names: Vec<&str> = journal.deployments.iter().map(|one| one.name.as_str()).collect();
    let confirmed = session.ask(
        &args.confirmation.consent,
        &format!("Roll back to Deployment {}?", names.join(", ")),
    )?;
    let (options, takeover) = (RunOptions::of(&args.on), args.on.takeover);
    let mut context =
        RunContext::take_lock(&session, stored, Intent::Back, takeover, confirmed).await?;
    let outcome = execute(&mut context, Intent::Back, &options).await.map(|mut end| {
        end.findings.extend(loses);
        end
    });
    report(context, outcome).await
}

/// Why the rollback would not get through. It is looked at before the first write.
async fn in_the_way(
    session: &Session,
    world: &World,
    journal: &Journal,
) -> Result<Option<Finding>, Error> {
    if let Some(finding) = rollback::blocked(world, journal) {
        return Ok(Some(finding));
    }
    let is_gone = journal.deployments.iter().any(|one| world.deployment(one).is_none());
    if !is_gone {
        return Ok(None);
    }
    // Nobody needs this right as long as the Deployment is there.
    let right = Right { verb: "create", resource: Resource::DEPLOYMENT, subresource: "" };
    let missing = missing_rights(&session.cluster, &[right]).await?;
    Ok(missing.first().map(|missing| {
        let message = format!(
            "the Deployment is gone and has to be made again from the journal, and you may not \
             {missing}"
        );
        rules::NO_RIGHTS.found(format!("namespace/{}", journal.namespace), message)
    }))
}
