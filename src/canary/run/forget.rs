//! `forget`: drops a record from which no verb can go on.

use jiff::Timestamp;

use super::{
    context::RunContext,
    session::{Session, refused},
};
use crate::{
    canary::{
        args::ForgetArgs,
        forget::{self, Dead},
        record::ANNOTATION,
        rules, writes,
    },
    cluster::{ConnectionArgs, DryRun, Write},
    output::{Error, Exit, Look, Paint, Terminal, layout},
    steps::{End, Stop, WriteOutcome},
    workload::Survey,
};

/// Runs `forget`.
pub async fn forget(
    args: &ForgetArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open::<ForgetArgs>("forget", &args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let survey = Survey::new(&reading.facts, Timestamp::now());
    let dead = forget::dead(&survey)
        .map_err(|findings| refused(&format!("cannot forget {}", session.name), findings))?;
    let Some(dead) = dead else {
        terminal.say(&format!("{} has no record of a canary: nothing to forget", session.name));
        return session.close_unchanged(&reading.facts).await;
    };
    let write = writes::forget(survey.set);
    for line in said(&dead, Look::of_stderr(terminal, survey.now)) {
        terminal.say(&line);
    }
    if session.dry_run != DryRun::None {
        session.rehearse(&write).await?;
        return session.close_unchanged(&reading.facts).await;
    }
    let text = format!("Drop the record of the canary of {}?", session.name);
    let confirmed = session.ask(&args.common, &text, None)?;
    let mut context = RunContext::new(&session, reading, confirmed);
    let end = drop_record(&mut context, &write).await;
    context.close(end).await
}

fn said(dead: &Dead, look: Look) -> Vec<String> {
    let label = |word: &str| layout::label(word, Paint::Dim, look);
    let mut lines = layout::hanging(&label("record"), &dead.why, look.columns);
    for (word, all) in [("lost", &dead.lost), ("stays", &dead.stays)] {
        for text in all {
            lines.extend(layout::hanging(&label(word), text, look.columns));
        }
    }
    lines
}

async fn drop_record(context: &mut RunContext<'_>, write: &Write) -> Result<End, Stop> {
    if context.live.write(write).await? == WriteOutcome::Done
        // The write went through, and its answer was lost.
        || !context.set().annotations.contains_key(ANNOTATION)
    {
        return Ok(End::done());
    }
    let message = "the set changed during the write; run the command again";
    let finding = rules::TAKEN_OVER.found(context.set().reference(), message);
    Err(Stop::with(Exit::Conflict, finding))
}
