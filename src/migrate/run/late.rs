//! What a run does about its last write when it finds that the lock is not its own any
//! more.

use super::context::RunContext;
use crate::{
    cluster::Failure,
    migrate::{
        late::{LastWrite, TakeBack},
        world::World,
    },
    steps::{Reply, Stop},
};

/// So often the objects may change while the write is taken back.
const MAX_LOOKS: u32 = 12;

/// The stop of a run that has lost its lock. If the journal is gone, its last write
/// came too late, and is taken back where that is safe. If another run has the lock,
/// that one looks after everything.
pub async fn stopped(context: &mut RunContext<'_>, world: &World, stop: Stop) -> Stop {
    let Some(last) = context.last_write.take() else { return stop };
    if world.stored_journal.is_some() {
        return stop;
    }
    let told = match take_back(context, &last).await {
        Ok(Ended::Nothing) => return stop,
        Ok(Ended::TakenBack) => (" and was taken back".to_owned(), None),
        Ok(Ended::Stays { why, line }) => (format!(" and stays: {why}"), line),
        Err(Stop::Failed(error)) => {
            let namespace = &context.journal.namespace;
            let line = format!("kubectl stateful migrate status -n {namespace}");
            (format!(" and could not be taken back: {}", error.headline()), Some(line))
        }
        Err(other) => return other,
    };
    let (what, line) = told;
    let done = last.act.wording(&context.journal).done;
    let Stop::Blocked(mut end) = stop else { return stop };
    if let Some(finding) = end.findings.first_mut() {
        finding.message =
            format!("{}; its last write came too late ({done}){what}", finding.message);
        finding.hint = finding.hint.take().or(line);
    }
    Stop::Blocked(end)
}

enum Ended {
    Nothing,
    TakenBack,
    Stays { why: String, line: Option<String> },
}

async fn take_back(context: &mut RunContext<'_>, last: &LastWrite) -> Result<Ended, Stop> {
    let mut has_written = false;
    for _ in 0..MAX_LOOKS {
        let world = context.read_world().await?;
        // Another run has begun: it finds what there is.
        if world.stored_journal.is_some() {
            let why = "another run has begun".to_owned();
            return Ok(Ended::Stays { why, line: None });
        }
        let write = match last.take_back(&world, &context.journal) {
            TakeBack::Write(write) => write,
            TakeBack::Nothing if has_written => return Ok(Ended::TakenBack),
            TakeBack::Nothing => return Ok(Ended::Nothing),
            TakeBack::Stays { why, line } => return Ok(Ended::Stays { why, line }),
        };
        match context.sender.write(&write).await? {
            Reply::Done(_) => has_written = true,
            // Somebody else has deleted it.
            Reply::Failed(Failure::NotFound(_)) => {}
            Reply::Failed(failure) => {
                context.sender.look_again_after(failure)?;
                context.sender.pause().await?;
            }
        }
    }
    let why = "something else keeps changing it".to_owned();
    Ok(Ended::Stays { why, line: None })
}
