//! `resume`: continues a migration in the direction it was going.

use super::{
    Session,
    context::RunContext,
    dry_run::{Rehearsal, show},
    end::report_and_finalize,
    execute::{RunOptions, execute},
    find,
    start::forward_question,
};
use crate::{
    cluster::{ConnectionArgs, DryRun},
    migrate::{
        args::ResumeArgs,
        forward::Checks,
        journal::{Intent, StoredJournal, Wishes},
        read,
    },
    output::{Error, Exit, Terminal},
    steps::End,
};

/// Runs `resume`.
pub async fn resume(
    args: &ResumeArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(args.on.output.format, connection, terminal).await?;
    let stored = find::journal_or_remains(&session, &args.on.target).await?;
    let intent = stored.intent;
    let wishes = args.wishes.over(&stored.journal.wishes);
    let dry_run = args.confirmation.dry_run;
    if dry_run != DryRun::None {
        return rehearse(&session, &stored, &wishes, args.on.admin_steps, dry_run).await;
    }
    let text = match intent {
        Intent::Forward => forward_question(stored.journal.set_name(), &wishes),
        Intent::Back => "Continue the rollback?".to_owned(),
        Intent::Finish => "Continue finalize? It cannot be undone.".to_owned(),
        Intent::Recover => "Continue putting the volume back?".to_owned(),
    };
    let confirmed = session.ask(&args.confirmation.consent, &text)?;
    let options = match intent {
        Intent::Forward => RunOptions::of(&args.on).doing(&wishes),
        _ => RunOptions::of(&args.on),
    };
    let takeover = args.on.takeover;
    let mut context = RunContext::take_lock(&session, stored, intent, takeover, confirmed).await?;
    let outcome = execute(&mut context, intent, &options).await;
    report_and_finalize(context, outcome, &options).await
}

/// Shows how the migration would go on in its direction, for `--dry-run`.
pub async fn rehearse(
    session: &Session,
    stored: &StoredJournal,
    wishes: &Wishes,
    admin_steps: bool,
    dry_run: DryRun,
) -> Result<Exit, Error> {
    let world = read::world(&session.cluster, &stored.journal).await?;
    let intent = stored.intent;
    let then = (intent == Intent::Forward).then(|| match wishes.finalize_after {
        None => "then the set has arrived, and finalize or rollback is up to you".to_owned(),
        Some(0) => "then it is finalized, which cannot be undone".to_owned(),
        Some(soak) => format!("then it is finalized after {soak} s, which cannot be undone"),
    });
    let checks = Checks { verify: wishes.verify.is_some() };
    let rehearsal = Rehearsal { intent, checks, admin_steps, then };
    show(session, stored, &world, rehearsal, dry_run, End::done()).await
}
