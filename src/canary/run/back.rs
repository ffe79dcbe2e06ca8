//! Back to the stable revision, and out of the trap of kubernetes #67250.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Session, hand::Hand, refused};
use crate::{
    canary::{
        args::{AbortArgs, UnstickArgs},
        back::{self, Back, Doomed},
        guards,
        plan::Stand,
        record::Record,
        rules, writes,
    },
    cluster::{ConnectionArgs, DryRun},
    output::{
        Error, Exit, Terminal,
        text::{age, clock},
    },
    steps::{End, Written},
    workload::{Finding, Manager, ManagerKind, Survey, managers},
};

/// How long a pod may be unready before it is given up, where no flag says.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// How long the way back may take, where no flag says.
pub const LONGEST: SignedDuration = SignedDuration::from_mins(10);

/// Runs `abort`.
pub async fn abort(
    args: &AbortArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(&args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    let record = match Record::of(survey.set) {
        Err(why) => return Err(refused("cannot abort", vec![guards::unusable(&survey, &why)])),
        Ok(None) => {
            terminal.say(&format!("no canary is under way on {}: nothing to abort", session.name));
            return session.close_unwatched(&reading.facts, &End::done());
        }
        Ok(Some(record)) => record,
    };
    if !guards::readable(&survey) || guards::stable_revision(&survey, Some(&record)).is_none() {
        let findings = guards::for_abort(&survey, &record);
        return Err(refused(&format!("cannot abort the canary of {}", session.name), findings));
    }
    if session.dry_run != DryRun::None {
        let stand = Stand::new(&reading.facts, &record, now);
        if let Back::Revert { partition } = back::next(&stand, PATIENCE, false)
            && let Some(write) = revert(&stand, partition, &session.run)
        {
            session.rehearse(&write).await?;
        }
        return session.close_unwatched(&reading.facts, &End::done());
    }
    let text = format!("Bring {} back to {}?", session.name, record.stable);
    let confirmed = session.ask(&args.common, &text, None)?;
    let mut hand = Hand::new(&session, reading, confirmed);
    let patience = signed(args.patience.unstick_after);
    let longest = if args.timeout.is_zero() { SignedDuration::MAX } else { signed(args.timeout) };
    let end = go(&mut hand, patience, longest).await?;
    session.close(&mut hand, &end)
}

/// Goes back until the set is there or only a person can go on.
///
/// # Errors
/// When the server refuses for good.
pub async fn go(
    hand: &mut Hand<'_>,
    patience: SignedDuration,
    longest: SignedDuration,
) -> Result<End, Error> {
    let uid = hand.set.mirror.facts().set.uid.clone();
    let deadline = Timestamp::now().checked_add(longest).unwrap_or(Timestamp::MAX);
    let mut reverted = false;
    let mut finishing = None;
    loop {
        let now = Timestamp::now();
        let set = &hand.set.mirror.facts().set;
        if let Some(adopted) = finishing.filter(|_| hand.is_over(&uid)) {
            return came_back(hand, adopted);
        }
        if hand.set.mirror.set_is_gone() || set.uid != uid {
            let message = format!("{} was deleted on the way back", set.name);
            return Ok(End::with(Exit::Conflict, rules::REPLACED.found(set.reference(), message)));
        }
        let Ok(Some(record)) = Record::of(set) else {
            let message = "somebody else has ended this canary".to_owned();
            return Ok(End::with(
                Exit::Conflict,
                rules::TAKEN_OVER.found(set.reference(), message),
            ));
        };
        let stand = Stand::new(hand.set.mirror.facts(), &record, now);
        match back::next(&stand, patience, reverted) {
            Back::Revert { partition } => {
                let Some(write) = revert(&stand, partition, &hand.session.run) else {
                    let findings = guards::for_abort(&stand.survey, &record);
                    return Ok(End { exit: Exit::Manual, findings });
                };
                match hand.set.write(&write).await? {
                    Written::Done => reverted = true,
                    Written::LookAgain => {}
                    Written::Interrupted(exit) => return Ok(End::interrupted(exit)),
                }
            }
            Back::Replace { pod, why } => {
                let trap = if record.on_delete { "OnDelete" } else { "kubernetes #67250" };
                let write = writes::replace(set, &pod, trap);
                if let Some(exit) = hand.replace(&write, &pod.uid, &why).await? {
                    return Ok(End::interrupted(exit));
                }
            }
            Back::Wait { what } if now >= deadline => {
                let message = format!("waited {} for {what}", age(longest));
                let finding = rules::DEADLINE
                    .found(set.reference(), message)
                    .hint(hand.session.command("abort"));
                hand.set.tell(&format!("stopped: {}", finding.message))?;
                return Ok(End::with(Exit::Timeout, finding));
            }
            Back::Wait { what } => {
                // A pod's patience runs out without an event.
                let soon = now.checked_add(LOOK).unwrap_or(deadline).min(deadline);
                hand.say(
                    Some(&record),
                    &what,
                    Some(deadline).filter(|_| longest != SignedDuration::MAX),
                )?;
                if let Some(exit) = hand.set.wait(Some(soon)).await {
                    return Ok(End::interrupted(exit));
                }
            }
            Back::Finish => {
                let write = writes::finish(set, &record);
                match hand.set.write(&write).await? {
                    Written::Done => return came_back(hand, record.adopted),
                    // The answer may have been lost, and not the write.
                    Written::LookAgain => finishing = Some(record.adopted),
                    Written::Interrupted(exit) => return Ok(End::interrupted(exit)),
                }
            }
            Back::Stop { exit, finding } => {
                hand.set.tell(&format!("stopped: {}", finding.message))?;
                return Ok(End::with(exit, finding));
            }
        }
    }
}

/// How often the clock alone is looked at.
const LOOK: SignedDuration = SignedDuration::from_secs(1);

fn revert(stand: &Stand, partition: u32, run: &str) -> Option<crate::cluster::Write> {
    let set = stand.survey.set;
    let stable = stand.survey.facts.revision(&stand.record.stable)?;
    let record = back::reverted(stand, partition, run);
    Some(writes::revert(set, &record, &stable.template))
}

/// Back; and who may bring it again.
fn came_back(hand: &Hand<'_>, adopted: bool) -> Result<End, Error> {
    let set = &hand.set.mirror.facts().set;
    let stable = set.status.update_revision.as_deref().unwrap_or("<none>");
    hand.set.tell(&format!("back: every ordinal of {} runs {stable}", set.name))?;
    if !adopted {
        return Ok(End::done());
    }
    let facts = hand.set.mirror.facts();
    let set = &facts.set;
    let mut again: Vec<String> = managers(set, &facts.autoscalers)
        .iter()
        .filter(|manager| {
            use ManagerKind::{ArgoCD, Flux, Helm, Owner};
            matches!(manager.kind, ArgoCD | Flux | Helm | Owner)
        })
        .map(|Manager { kind, name, .. }| format!("{} {name}", kind.label()))
        .collect();
    let applied = |name: &str| name.starts_with("kubectl-client-side-apply") || name == "kubectl";
    if set.field_managers.iter().any(|manager| manager.template && applied(&manager.name)) {
        again.push("kubectl apply".to_owned());
    }
    let findings: Vec<Finding> = again
        .iter()
        .map(|who| {
            let message = format!("{who} may bring the new version again: revert it there too");
            rules::COMES_BACK.found(set.reference(), message)
        })
        .collect();
    Ok(End { exit: Exit::Done, findings })
}

/// Runs `unstick`.
pub async fn unstick(
    args: &UnstickArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let session = Session::open(&args.common, connection, terminal).await?;
    let reading = session.read().await?;
    let patience = signed(args.patience.unstick_after);
    let now = Timestamp::now();
    let survey = Survey::new(&reading.facts, now);
    if survey.pods_known && survey.first_blocker().is_none() {
        terminal.say(&format!("every ordinal of {} is available: nothing is stuck", session.name));
        return session.close_unwatched(&reading.facts, &End::done());
    }
    let pod = back::unstick(&survey, patience)
        .map_err(|finding| refused(&format!("cannot unstick {}", session.name), vec![finding]))?;
    for line in proof(&survey, pod, now) {
        terminal.say(&line);
    }
    let write = writes::replace(survey.set, &Doomed::of(pod), "kubernetes #67250");
    if session.dry_run != DryRun::None {
        session.rehearse(&write).await?;
        return session.close_unwatched(&reading.facts, &End::done());
    }
    let text = format!("Delete pod {}? It is made again from what the template names.", pod.name);
    let confirmed = session.ask(&args.common, &text, None)?;
    let mut hand = Hand::new(&session, reading, confirmed);
    let longest = if args.timeout.is_zero() { SignedDuration::MAX } else { signed(args.timeout) };
    let end = free(&mut hand, patience, longest).await?;
    session.close(&mut hand, &end)
}

/// Deletes trapped pods, one after the other, until the set moves again.
async fn free(
    hand: &mut Hand<'_>,
    patience: SignedDuration,
    longest: SignedDuration,
) -> Result<End, Error> {
    let uid = hand.set.mirror.facts().set.uid.clone();
    let deadline = Timestamp::now().checked_add(longest).unwrap_or(Timestamp::MAX);
    loop {
        let now = Timestamp::now();
        let survey = Survey::new(hand.set.mirror.facts(), now);
        let set = survey.set;
        if hand.set.mirror.set_is_gone() || set.uid != uid {
            let message = format!("{} was deleted meanwhile", set.name);
            return Ok(End::with(Exit::Conflict, rules::REPLACED.found(set.reference(), message)));
        }
        let Some(blocker) = survey.first_blocker() else { return Ok(End::done()) };
        let name = blocker.name.clone();
        if let Some((_, pod)) = survey.trapped(patience) {
            let uid = pod.uid.clone();
            let write = writes::replace(set, &Doomed::of(pod), "kubernetes #67250");
            let why = "the controller waits for it and nobody wants it any more";
            if let Some(exit) = hand.replace(&write, &uid, why).await? {
                return Ok(End::interrupted(exit));
            }
            continue;
        }
        if now >= deadline {
            let message = format!("waited {} for {name} to be available", age(longest));
            let finding = rules::DEADLINE.found(set.reference(), message).hint(format!(
                "kubectl stateful status {} {}",
                set.name,
                survey.at()
            ));
            return Ok(End::with(Exit::Timeout, finding));
        }
        hand.say(None, &format!("{name} to be available"), Some(deadline))?;
        let soon = now.checked_add(LOOK).unwrap_or(deadline);
        if let Some(exit) = hand.set.wait(Some(soon)).await {
            return Ok(End::interrupted(exit));
        }
    }
}

/// Why deleting this pod, and no other, helps.
fn proof(survey: &Survey, pod: &crate::workload::Pod, now: Timestamp) -> Vec<String> {
    let set = survey.set;
    let update = set.status.update_revision.as_deref().unwrap_or("<none>");
    let since = pod.unready_since();
    let unready = since.map_or_else(String::new, |since| {
        format!(" since {} ({})", clock(since), age(now.duration_since(since)))
    });
    vec![
        format!("{} is the lowest ordinal of {} that is not available,", pod.name, set.name),
        format!("  it has not been Ready{unready},"),
        format!(
            "  it runs {}, and the template names {update},",
            pod.revision().unwrap_or("<none>")
        ),
        format!("  it lies above the partition {}, and", set.partition()),
        "  under OrderedReady the controller waits for it before it replaces anything.".to_owned(),
    ]
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
