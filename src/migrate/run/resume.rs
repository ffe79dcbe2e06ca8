//! `resume`: continues a migration in the direction it was going.

use super::{
    Session,
    context::RunContext,
    end::report_and_finalize,
    execute::{RunOptions, execute},
    find,
    start::forward_question,
};
use crate::{
    cluster::ConnectionArgs,
    migrate::{args::ResumeArgs, journal::Intent},
    output::{Error, Exit, Terminal},
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
    let text = match intent {
        Intent::Forward => forward_question(stored.journal.set_name(), &wishes),
        Intent::Back => "Continue the rollback?".to_owned(),
        Intent::Finish => "Continue finalize? It cannot be undone.".to_owned(),
        Intent::Recover => "Continue putting the volume back?".to_owned(),
    };
    let confirmed = session.ask(&args.consent, &text)?;
    let options = match intent {
        Intent::Forward => RunOptions::of(&args.on).doing(&wishes),
        _ => RunOptions::of(&args.on),
    };
    let takeover = args.on.takeover;
    let mut context = RunContext::take_lock(&session, stored, intent, takeover, confirmed).await?;
    let outcome = execute(&mut context, intent, &options).await;
    report_and_finalize(context, outcome, &options).await
}
