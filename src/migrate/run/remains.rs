//! `rollback` and `finalize` of what is left of a migration without a journal: one
//! write after another, each on what was read just before.

use super::{Session, find};
use crate::{
    cluster::Failure,
    migrate::{
        read,
        remains::{Next, Remains, Way},
        report::{self, Lists},
    },
    output::{Confirmed, ConsentArgs, Error, Exit},
    steps::{End, Progress, Reply, Sender, Stop},
};

/// Shows what is left, as `status` does, and changes nothing.
pub fn show(session: &Session, remains: &[Remains], exit: Exit) -> Result<Exit, Error> {
    let flags = session.cluster.flags();
    let lists = Lists { journals: &[], left: remains, unread: &[], flags: &flags };
    let text = report::render_list(lists, exit, session.output, session.look())?;
    session.terminal.conclude(&text)?;
    Ok(exit)
}

/// Clears what is left, if `way` is the one that does.
pub async fn clear(
    session: &Session,
    remains: Vec<Remains>,
    way: Way,
    consent: &ConsentArgs,
) -> Result<Exit, Error> {
    let is_for_us = |one: &Remains| one.way == way && one.next() != Next::Done;
    if !remains.iter().any(is_for_us) {
        return Err(find::without_journal(session, &remains));
    }
    for remnant in remains.iter().flat_map(Remains::remnants) {
        session.terminal.say(&remnant.what);
    }
    let set = remains.iter().find_map(|one| one.set.clone()).unwrap_or_default();
    let question = match way {
        Way::On => format!("Take the marks of that migration from what {set} uses?"),
        Way::Back | Way::Open => format!("Clear what is left of the migration to {set}?"),
    };
    let confirmed = session.ask(consent, &question)?;
    let operations: Vec<String> =
        remains.iter().filter(|one| is_for_us(one)).map(|one| one.op.clone()).collect();
    let end = End::of(carry_out(session, &operations, way, confirmed).await)?;
    let (mut left, _) = read::remains(&session.cluster, false).await?;
    left.retain(|one| one.is_of(&set) || operations.contains(&one.op));
    let exit = match end.exit {
        Exit::Done if left.is_empty() => Exit::Done,
        Exit::Done => Exit::Manual,
        interrupted => interrupted,
    };
    if left.is_empty() {
        session.terminal.say("nothing is left of it");
    }
    show(session, &left, exit)
}

async fn carry_out(
    session: &Session,
    operations: &[String],
    way: Way,
    confirmed: Confirmed,
) -> Result<End, Stop> {
    let progress =
        Progress { terminal: session.terminal, output: session.output, command: "migrate" };
    let mut sender = Sender::new(&session.cluster, confirmed, progress);
    loop {
        let (remains, _) = read::remains(&session.cluster, false).await?;
        // It is judged again each time: somebody may have handed a volume over, or
        // scaled the set up.
        let ours = |one: &&Remains| one.way == way && operations.contains(&one.op);
        let next = remains.iter().filter(ours).find_map(|one| match one.next() {
            Next::Write(write) => Some(write),
            Next::Done => None,
        });
        let Some(write) = next else { return Ok(End::done()) };
        match sender.write(&write).await? {
            Reply::Done(_) => {}
            // Somebody else has deleted it.
            Reply::Failed(Failure::NotFound(_)) if sender.may_try_again() => {}
            Reply::Failed(failure) => {
                sender.look_again_after(failure)?;
                sender.pause().await?;
            }
        }
    }
}
