//! The way itself: look, decide, act, until it is there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::hand::Hand;
use crate::{
    cluster::Executed,
    migrate::{
        back, fill, finish,
        journal::{Arrived, Intent},
        plan::{self, Act, Move, Terms},
        recover, rules,
        world::{World, uid},
        writes,
    },
    output::{
        Error, Exit,
        text::{age, one_line},
    },
    steps::{End, Written},
    workload::Finding,
};

/// How it is to go.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How long one wait may take.
    pub timeout: SignedDuration,
    /// A command that must succeed in every new pod.
    pub verify: Option<String>,
    /// Back again when it fails after the Deployment was stopped.
    pub auto_rollback: bool,
    /// Lines for an administrator instead of writes to volumes.
    pub admin_steps: bool,
}

/// The same act without anything to show for it, so often, is a fault.
const IN_VAIN: u32 = 5;

/// Goes on until it is there, or something is in the way; lets go of the lock.
///
/// # Errors
/// When the server refuses for good.
pub async fn go(hand: &mut Hand<'_>, intent: Intent, manner: &Manner) -> Result<End, Error> {
    let ended = match travel(hand, intent, manner).await {
        Ok(end) if intent == Intent::Forward && manner.auto_rollback && has_failed(&end) => {
            revert(hand, manner, end).await
        }
        other => other,
    };
    hand.let_go().await;
    ended
}

fn has_failed(end: &End) -> bool {
    matches!(end.exit, Exit::Failed | Exit::Timeout)
}

/// Takes back what failed.
async fn revert(hand: &mut Hand<'_>, manner: &Manner, failed: End) -> Result<End, Error> {
    hand.tell("it failed: going back")?;
    match hand.turn(Intent::Back).await? {
        Written::Done => {}
        Written::LookAgain => return Ok(failed),
        Written::Interrupted(exit) => return Ok(End::interrupted(exit)),
    }
    let mut end = travel(hand, Intent::Back, manner).await?;
    if end.exit == Exit::Done {
        end.exit = Exit::Reverted;
    }
    end.findings.extend(failed.findings);
    Ok(end)
}

async fn travel(hand: &mut Hand<'_>, intent: Intent, manner: &Manner) -> Result<End, Error> {
    let terms = Terms { verify: manner.verify.is_some() };
    let mut waited: Option<(String, Timestamp)> = None;
    let mut acted: Option<(Act, u32)> = None;
    loop {
        let world = match hand.look().await? {
            Ok(world) => world,
            Err(exit) => return Ok(End::interrupted(exit)),
        };
        if let Some(end) = lost(hand, &world) {
            return Ok(end);
        }
        let now = Timestamp::now();
        let next = match intent {
            Intent::Forward => plan::next(&world, &hand.journal, terms, &hand.memory, now),
            Intent::Back => back::next(&world, &hand.journal, &hand.memory),
            Intent::Finish => finish::next(&world, &hand.journal, now),
            Intent::Recover => recover::next(&world, &hand.journal, &hand.memory, now),
        };
        if !matches!(next, Move::Wait { .. }) {
            waited = None;
        }

        let serves = matches!(
            next,
            Move::Verify | Move::Done | Move::Act(Act::PointScaler(_) | Act::ResumeScaler(_))
        );
        if intent == Intent::Forward && serves {
            hand.serves();
        }
        match next {
            Move::Act(act) => {
                if let Some(end) = for_an_administrator(hand, act, &world, manner) {
                    return Ok(end);
                }
                match hand.act(act, &world).await? {
                    Written::Done => {}
                    // Not done at all: how often that may be is the hand's matter.
                    Written::LookAgain => continue,
                    Written::Interrupted(exit) => return Ok(End::interrupted(exit)),
                }
                let times = match acted {
                    Some((last, times)) if last == act => times + 1,
                    _ => 1,
                };
                acted = Some((act, times));
                if times > IN_VAIN {
                    let message = format!("{act:?} was done {times} times, and it is not so");
                    return Err(Error::new(Exit::Error, message));
                }
            }
            Move::Wait { what } => {
                let since = match &waited {
                    Some((last, since)) if *last == what => *since,
                    _ => {
                        waited = Some((what.clone(), now));
                        now
                    }
                };
                let until = since.checked_add(manner.timeout).unwrap_or(Timestamp::MAX);
                if now >= until {
                    return Ok(late(hand, &what, manner.timeout));
                }
                if let Some(exit) = hand.wait(&what, until).await? {
                    return Ok(End::interrupted(exit));
                }
            }
            // What works says itself when it has failed: there is no deadline.
            Move::Watch { what, pod } => {
                if let Some(exit) = hand.progress(&pod).await? {
                    return Ok(End::interrupted(exit));
                }
                if let Some(exit) = hand.wait(&what, Timestamp::MAX).await? {
                    return Ok(End::interrupted(exit));
                }
            }
            Move::Verify => {
                let command = manner.verify.as_deref().unwrap_or_default();
                match verify(hand, command, manner).await? {
                    Ok(None) => hand.memory.verified = true,
                    Ok(Some(finding)) => return Ok(End::with(Exit::Failed, finding)),
                    Err(exit) => return Ok(End::interrupted(exit)),
                }
            }
            Move::Done => return there(hand, intent, &world, manner).await,
            Move::Stop { exit, finding } => return Ok(End::with(exit, finding)),
        }
    }
}

/// Whether the lock is somebody else's, or gone.
fn lost(hand: &Hand<'_>, world: &World) -> Option<End> {
    let on = format!("configmap/{}", hand.journal.book_name());
    let message = match &world.book {
        None => "the journal is gone: somebody else has ended this migration".to_owned(),
        Some(book) if book.uid != hand.book_uid() => {
            "the journal is another one: somebody has begun anew".to_owned()
        }
        Some(book) if book.holder.as_deref() == Some(hand.session.run.as_str()) => return None,
        Some(book) => match &book.holder {
            Some(holder) => format!("{holder} has taken the migration over"),
            None => "somebody has taken the lock away".to_owned(),
        },
    };
    Some(End::with(Exit::Conflict, rules::TAKEN_OVER.found(on, message)))
}

fn late(hand: &Hand<'_>, what: &str, timeout: SignedDuration) -> End {
    let message = format!("waited {} for {what}", age(timeout));
    let on = format!("statefulset/{}", hand.journal.set_name());
    End::with(Exit::Timeout, rules::DEADLINE.found(on, message))
}

/// Stops before a write to a volume, with the line that does it.
fn for_an_administrator(hand: &Hand<'_>, act: Act, world: &World, manner: &Manner) -> Option<End> {
    let on_volume = matches!(
        act,
        Act::Protect(_)
            | Act::ProtectBlank(_)
            | Act::Reserve(_)
            | Act::Swap(_)
            | Act::SwapBack(_)
            | Act::Release(_)
            | Act::LeaveBlank(_)
    );
    if !manner.admin_steps || !on_volume {
        return None;
    }
    let write = writes::of(act, &hand.journal, world)?.into_iter().next()?;
    let line = hand.as_kubectl(&write);
    let on = write.object().to_string();
    let finding = rules::ADMIN_STEP
        .found(on, "an administrator has to type this, then resume".to_owned())
        .hint(line);
    Some(End::with(Exit::Waiting, finding))
}

/// Asks the new pods; `Some` is why one says no.
async fn verify(
    hand: &mut Hand<'_>,
    command: &str,
    manner: &Manner,
) -> Result<Result<Option<Finding>, Exit>, Error> {
    let words = ["sh", "-c", command].map(str::to_owned);
    let time = Duration::try_from(manner.timeout).unwrap_or(Duration::MAX);
    for ordinal in 0..hand.journal.replicas {
        let pod = format!("{}-{ordinal}", hand.journal.set_name());
        hand.tell(&format!("asking {pod}: {}", one_line(command)))?;
        let cluster = hand.session.cluster.clone();
        let outcome = match hand.work(cluster.exec(&pod, None, &words, time)).await {
            Ok(outcome) => outcome,
            Err(exit) => return Ok(Err(exit)),
        };
        let why = match outcome {
            Ok(Executed::Ended { code: 0, .. }) => continue,
            Ok(Executed::Ended { code, stdout, stderr }) => {
                let said = if stderr.trim().is_empty() { stdout } else { stderr };
                format!("{pod} ended with {code}: {}", one_line(said.trim()))
            }
            Ok(Executed::TimedOut) => format!("{pod} gave no answer in {}", age(manner.timeout)),
            Err(failure) => format!("{pod}: {}", Error::from(failure).headline()),
        };
        return Ok(Ok(Some(rules::VERIFY_FAILED.found(format!("pod/{pod}"), why))));
    }
    Ok(Ok(None))
}

/// What is to be remembered, or thrown away, at the end of a way.
async fn there(
    hand: &mut Hand<'_>,
    intent: Intent,
    world: &World,
    manner: &Manner,
) -> Result<End, Error> {
    let write = match intent {
        Intent::Forward => {
            let done = world.book.as_ref().is_some_and(|book| book.arrived.is_some());
            let Some(set) = world.own_set(&hand.journal).filter(|_| !done) else {
                return Ok(End::done());
            };
            let downtime = hand.downtime.map(|downtime| downtime.as_millis());
            let arrived = Arrived {
                at: Timestamp::now(),
                set_uid: uid(set).to_owned(),
                downtime_ms: downtime.and_then(|time| u64::try_from(time).ok()),
            };
            writes::arrive(&hand.journal, hand.book_uid(), &hand.session.run, &arrived)
        }
        Intent::Back | Intent::Finish | Intent::Recover => {
            writes::close(&hand.journal, hand.book_uid())
        }
    };
    loop {
        match hand.write(&write).await? {
            Written::Done if intent == Intent::Back => return serves_again(hand, manner).await,
            Written::Done => return Ok(arrived(hand, intent)),
            Written::Interrupted(exit) => return Ok(End::interrupted(exit)),
            Written::LookAgain => {}
        }
        let book = match hand.look().await? {
            Ok(world) => world.book,
            Err(exit) => return Ok(End::interrupted(exit)),
        };
        match (intent, book) {
            (Intent::Back, None) => return serves_again(hand, manner).await,
            (Intent::Finish | Intent::Recover, None) => return Ok(arrived(hand, intent)),
            (Intent::Forward, Some(book)) if book.arrived.is_some() => return Ok(End::done()),
            _ => {}
        }
    }
}

/// There, and what is left behind on purpose is said.
fn arrived(hand: &Hand<'_>, intent: Intent) -> End {
    let finished = intent == Intent::Finish && hand.journal.fills();
    End {
        exit: Exit::Done,
        findings: if finished { fill::kept(&hand.journal) } else { Vec::new() },
    }
}

/// The migration is over; whether the Deployment serves is still worth
/// knowing.
async fn serves_again(hand: &mut Hand<'_>, manner: &Manner) -> Result<End, Error> {
    let until = Timestamp::now().checked_add(manner.timeout).unwrap_or(Timestamp::MAX);
    loop {
        let world = match hand.look().await? {
            Ok(world) => world,
            Err(exit) => return Ok(End::interrupted(exit)),
        };
        let Some(name) = back::starting(&world, &hand.journal) else { return Ok(End::done()) };
        let what = format!("Deployment {name} to be available");
        if Timestamp::now() >= until {
            let message = format!("waited {} for {what}; all else is back", age(manner.timeout));
            let finding = rules::DEADLINE
                .found(format!("deployment/{name}"), message)
                .hint(format!("kubectl describe deployment/{name} -n {}", hand.journal.namespace));
            return Ok(End::with(Exit::Timeout, finding));
        }
        if let Some(exit) = hand.wait_unlocked(&what, until).await? {
            return Ok(End::interrupted(exit));
        }
    }
}
