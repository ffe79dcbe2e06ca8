//! The way itself: look, decide, act, until it is there.

use std::{future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

use super::{
    Hand,
    hooks::{Around, Hooks},
};
use crate::{
    cluster::{
        moving::{self, Stirrings},
        scaling,
    },
    migrate,
    output::{
        Error, Exit,
        text::{list, one_line},
    },
    scale::{
        fresh,
        plan::{self, Memory, Move, Stand},
        preview::Way,
        record::Record,
        rules, writes,
    },
    steps::{End, Written},
    workload::{Finding, snapshot_state},
};

/// How often the clock alone is looked at, which asks the server nothing.
const LOOK: Duration = Duration::from_secs(1);
/// How often what has no watch is asked for.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a controller may take to give up claims.
const TO_RETAIN: Duration = Duration::from_secs(60);

type Work = Pin<Box<dyn Future<Output = Result<(), Finding>>>>;

/// Goes on until it is there, or something is in the way. What hooks have done
/// for ordinals that then stay is taken back.
pub async fn go(hand: &mut Hand<'_>) -> Result<End, Error> {
    let mut doing = Doing::default();
    let ended = travel(hand, &mut doing).await;
    // A hook that still runs ends here.
    doing.work = None;
    let Some(replicas) = doing.begun else { return ended };
    let taken_over = |end: &End| end.findings.iter().any(|one| one.id == rules::TAKEN_OVER.id);
    // Whether the last write came through, only the server knows.
    let known = hand.set.mirror.refresh().await.is_ok();
    let stays = hand.facts_set().replicas;
    let record = Record::of(hand.facts_set()).ok().flatten();
    let Some(record) = record.filter(|_| known && stays > replicas) else { return ended };
    match ended {
        // Whoever goes on does so from where the hooks have left it.
        Ok(end) if taken_over(&end) => Ok(end),
        Ok(mut end) => {
            end.findings.extend(hooks(hand, &record, replicas, stays).undo().await);
            Ok(end)
        }
        Err(mut error) => {
            for finding in hooks(hand, &record, replicas, stays).undo().await {
                error = error.caused_by(finding.message);
            }
            Err(error)
        }
    }
}

/// What a run has under way.
#[derive(Default)]
struct Doing {
    memory: Memory,
    /// Hooks that run, and for which move.
    work: Option<(Move, Work)>,
    /// Whether the last write takes the record away, and nobody knows whether
    /// it came through.
    finishing: bool,
    /// Whether it is known that the claims stay.
    retained: bool,
    /// The replicas of a step whose hooks have begun, and that was not taken.
    begun: Option<u32>,
}

async fn travel(hand: &mut Hand<'_>, doing: &mut Doing) -> Result<End, Error> {
    let uid = hand.facts_set().uid.clone();
    let terms = hand.terms;
    doing.retained = !hand.args.retain;
    loop {
        let record = match ours(hand, &uid) {
            Ok(record) => record,
            Err(_) if doing.finishing && is_over(hand, &uid) => return Ok(End::done()),
            Err(end) => return Ok(end),
        };
        let now = Timestamp::now();
        let stand = Stand::new(hand.set.mirror.facts(), &record, now);
        doing.memory.observe(&stand);
        let next = plan::next(&stand, &terms, &mut doing.memory);
        // What is run for a move is moot once the next move is another.
        doing.work.take_if(|(asked, _)| *asked != next);
        let end = match &next {
            Move::Wait { what, until } => {
                hand.say(what, *until)?;
                let look = now.checked_add(LOOK).unwrap_or(now);
                let soon = until.map_or(look, |until| until.min(look));
                hand.set.wait(Some(soon)).await.map(End::interrupted)
            }
            Move::Prepare { .. } | Move::Conclude { .. } => {
                run_hooks(hand, doing, &record, &next).await?
            }
            Move::SetAside { replicas } => {
                let ordinal = hand.facts_set().start.saturating_add(replicas - 1);
                doing.memory.aside = Some(*replicas);
                set_aside(hand, &record, ordinal).await?
            }
            Move::Keep { replicas } => {
                doing.memory.kept = Some(*replicas);
                keep(hand, &record, *replicas).await?
            }
            Move::Step { replicas } => step(hand, doing, record, *replicas).await?,
            Move::Clear { pod } => {
                let write = writes::clear(hand.facts_set(), pod);
                match hand.set.write(&write).await? {
                    // It is seen leaving, before anything else is decided.
                    Written::Done => hand.set.wait(None).await.map(End::interrupted),
                    Written::LookAgain => None,
                    Written::Interrupted(exit) => Some(End::interrupted(exit)),
                }
            }
            Move::Finish => {
                let write = writes::finish(hand.facts_set());
                match hand.set.write(&write).await? {
                    Written::Done => Some(End::done()),
                    // The answer may have been lost, and not the write.
                    Written::LookAgain => {
                        doing.finishing = true;
                        None
                    }
                    Written::Interrupted(exit) => Some(End::interrupted(exit)),
                }
            }
            Move::Stop { exit, finding } => Some(stopped(hand, *exit, finding.clone())?),
        };
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

/// Hooks before or after a step, beside the watches.
async fn run_hooks(
    hand: &mut Hand<'_>,
    doing: &mut Doing,
    record: &Record,
    next: &Move,
) -> Result<Option<End>, Error> {
    let (prepares, replicas) = match next {
        Move::Prepare { replicas } => (true, *replicas),
        Move::Conclude { replicas } => (false, *replicas),
        _ => return Ok(None),
    };
    if !prepares && !hand.terms.after {
        doing.memory.concluded = Some(replicas);
        return Ok(None);
    }
    if doing.work.is_none() {
        let set = hand.facts_set().replicas;
        let hooks = hooks(hand, record, replicas, if prepares { set } else { record.concluded });
        let names: Vec<&str> = hooks.ordinals.iter().map(|around| around.pod.as_str()).collect();
        let when = if prepares { "before" } else { "after" };
        hand.say(&format!("what runs {when} {}", list(&names)), None)?;
        let run: Work = if prepares { Box::pin(hooks.before()) } else { Box::pin(hooks.after()) };
        doing.work = Some((next.clone(), run));
    }
    if prepares {
        doing.begun = Some(replicas).filter(|_| record.is_down());
    }
    let Some((_, run)) = &mut doing.work else { return Ok(None) };
    match hand.set.work_or_wait(run).await {
        Err(exit) => Ok(Some(End::interrupted(exit))),
        Ok(None) => Ok(None),
        Ok(Some(Err(finding))) => stopped(hand, Exit::Failed, finding).map(Some),
        Ok(Some(Ok(()))) => {
            doing.work = None;
            let memory = &mut doing.memory;
            let done = if prepares { &mut memory.prepared } else { &mut memory.concluded };
            *done = Some(replicas);
            Ok(None)
        }
    }
}

/// Another number of replicas; the first one only when it is known that the
/// claims stay, where that was asked for.
async fn step(
    hand: &mut Hand<'_>,
    doing: &mut Doing,
    mut record: Record,
    replicas: u32,
) -> Result<Option<End>, Error> {
    if !doing.retained {
        doing.retained = true;
        return wait_until_retained(hand).await;
    }
    record.concluded = doing.memory.concluded_at(&record, hand.facts_set().replicas);
    record.at = replicas;
    let write = writes::step(hand.facts_set(), &record);
    match hand.set.write(&write).await? {
        Written::Done => {
            doing.begun = None;
            Ok(None)
        }
        Written::LookAgain => Ok(None),
        Written::Interrupted(exit) => Ok(Some(End::interrupted(exit))),
    }
}

fn stopped(hand: &Hand<'_>, exit: Exit, finding: Finding) -> Result<End, Error> {
    hand.set.tell(&format!("stopped: {}", finding.message))?;
    Ok(End::with(exit, finding))
}

/// The record, as long as the scaling is still this one, and the number that
/// was written last.
fn ours(hand: &Hand<'_>, uid: &str) -> Result<Record, End> {
    let set = hand.facts_set();
    let stop = |rule: &crate::workload::Rule, message: String| {
        Err(End::with(Exit::Conflict, rule.found(set.reference(), message)))
    };
    if hand.set.mirror.set_is_gone() || set.uid != uid {
        return stop(&rules::REPLACED, format!("{} was deleted in the middle", set.name));
    }
    match Record::of(set) {
        Ok(Some(record)) if record.run != hand.run => {
            stop(&rules::TAKEN_OVER, format!("{} goes on with this scaling", record.run))
        }
        Ok(Some(record)) if record.at != set.replicas => {
            let others = set.field_managers.iter().filter(|manager| manager.replicas);
            let others: Vec<&str> =
                others.map(|manager| manager.name.as_str()).filter(|name| *name != OURS).collect();
            let who = if others.is_empty() { "somebody".to_owned() } else { list(&others) };
            let message = format!(
                "{who} changed the replicas to {}, and {} was written last",
                set.replicas, record.at
            );
            stop(&rules::REPLICAS_CHANGED, message)
        }
        Ok(Some(record)) => Ok(record),
        Ok(None) => stop(&rules::TAKEN_OVER, "somebody else has ended this scaling".to_owned()),
        Err(_) => stop(&rules::TAKEN_OVER, "the annotation of the scaling was changed".to_owned()),
    }
}

/// Under this name the server notes what we write.
const OURS: &str = "kubectl-stateful";

/// Whether the set is there and nothing of a scaling is left on it.
fn is_over(hand: &Hand<'_>, uid: &str) -> bool {
    let set = hand.facts_set();
    !hand.set.mirror.set_is_gone() && set.uid == uid && matches!(Record::of(set), Ok(None))
}

/// The ordinals between these replicas and those that are, or were, in the order
/// in which they leave or come.
fn hooks(hand: &Hand<'_>, record: &Record, replicas: u32, others: u32) -> Hooks {
    let set = hand.facts_set();
    let around = |index: u32, leaves: bool| {
        let ordinal = set.start.saturating_add(index);
        let claims = set.claim_templates.iter();
        Around {
            pod: set.pod_name(ordinal),
            ordinal,
            claims: claims.map(|template| set.claim_name(template, ordinal)).collect(),
            leaves,
        }
    };
    let ordinals = if record.is_down() {
        (replicas..others).rev().map(|index| around(index, true)).collect()
    } else {
        (replicas.saturating_sub(1)..replicas).map(|index| around(index, false)).collect()
    };
    Hooks {
        cluster: hand.cluster.clone(),
        terminal: hand.set.sender.teller.terminal,
        args: hand.args.hooks.clone(),
        template: set.template.clone(),
        namespace: set.namespace.clone(),
        set: set.name.clone(),
        from: record.from,
        to: record.to,
        ordinals,
    }
}

/// Until no claim of what leaves has an owner that takes it along: before that
/// no pod goes.
async fn wait_until_retained(hand: &mut Hand<'_>) -> Result<Option<End>, Error> {
    let since = std::time::Instant::now();
    let leaving = hand.preview.items.iter().filter(|item| item.class == Way::Leaves);
    let wanted: Vec<String> =
        leaving.flat_map(|item| item.claims.iter().map(|disk| disk.claim.clone())).collect();
    loop {
        let set = hand.facts_set();
        let goes_with_set = set.when_deleted == crate::workload::Retention::Delete;
        let may_own = |owner: &crate::workload::Owner| goes_with_set && owner.uid == set.uid;
        let owned = match scaling::claims(hand.cluster).await {
            Ok(claims) => {
                claims.into_iter().filter(|claim| wanted.contains(&claim.name)).find_map(|claim| {
                    let owner = claim.owners.iter().find(|owner| !may_own(owner))?;
                    Some((claim.name.clone(), format!("{} {}", owner.kind, owner.name)))
                })
            }
            Err(failure) => {
                hand.set.sender.look_again_after(failure)?;
                if let Some(exit) = hand.set.sender.nap(AGAIN).await {
                    return Ok(Some(End::interrupted(exit)));
                }
                continue;
            }
        };
        let Some((claim, owner)) = owned else { return Ok(None) };
        if since.elapsed() > TO_RETAIN {
            let message = format!("claim {claim} still belongs to {owner}, and goes with it");
            let finding =
                rules::NOT_RETAINED.found(format!("persistentvolumeclaim/{claim}"), message);
            return stopped(hand, Exit::Failed, finding).map(Some);
        }
        hand.say(&format!("claim {claim} to be given up by {owner}"), None)?;
        if let Some(exit) = hand.set.sender.nap(AGAIN).await {
            return Ok(Some(End::interrupted(exit)));
        }
    }
}

/// A snapshot of every claim of the ordinals that have just left, ready to be
/// used.
async fn keep(hand: &mut Hand<'_>, record: &Record, replicas: u32) -> Result<Option<End>, Error> {
    let Some(class) = hand.args.snapshot.clone() else { return Ok(None) };
    let claims: Vec<String> = hooks(hand, record, replicas, record.concluded)
        .ordinals
        .into_iter()
        .flat_map(|around| around.claims)
        .collect();
    for claim in claims {
        if hand.set.mirror.facts().claim(&claim).is_none() {
            continue;
        }
        let name = writes::snapshot_name(record, &claim);
        let on = format!("volumesnapshot/{name}");
        let end = hand.terms.timeout.and_then(|timeout| Timestamp::now().checked_add(timeout).ok());
        loop {
            let found = match scaling::snapshot(hand.cluster, &name).await {
                Ok(found) => found,
                Err(failure) => {
                    hand.set.sender.look_again_after(failure)?;
                    if let Some(exit) = hand.set.sender.nap(AGAIN).await {
                        return Ok(Some(End::interrupted(exit)));
                    }
                    continue;
                }
            };
            let Some(found) = found else {
                let write = writes::snapshot(hand.facts_set(), record, &claim, &class);
                match hand.set.write(&write).await? {
                    Written::Done | Written::LookAgain => continue,
                    Written::Interrupted(exit) => return Ok(Some(End::interrupted(exit))),
                }
            };
            let state = snapshot_state(&found);
            if state == Ok(true) {
                hand.set.tell(&format!("snapshot {name} of {claim} is ready to use"))?;
                break;
            }
            let what = format!("snapshot {name} of {claim} to be ready to use");
            if end.is_some_and(|end| Timestamp::now() >= end) {
                let why = state.err().map_or_else(|| "no answer".to_owned(), one_line);
                let finding =
                    rules::SNAPSHOT_FAILED.found(on, format!("waited in vain for {what}: {why}"));
                return stopped(hand, Exit::Timeout, finding).map(Some);
            }
            hand.say(&what, end)?;
            if let Some(exit) = hand.set.sender.nap(AGAIN).await {
                return Ok(Some(End::interrupted(exit)));
            }
        }
    }
    Ok(None)
}

/// The claims that are left from before under another name, so that the ordinal
/// gets new ones.
async fn set_aside(
    hand: &mut Hand<'_>,
    record: &Record,
    ordinal: u32,
) -> Result<Option<End>, Error> {
    let set = hand.facts_set().clone();
    let before = moving::before_recovery(hand.cluster, &set.name, ordinal, &[]).await?;
    // Where it was begun before, the volume belongs to the other name already.
    let names = set
        .claim_templates
        .iter()
        .map(|template| fresh::aside(&set.claim_name(template, ordinal), record));
    let volumes: Vec<String> = names
        .filter_map(|name| {
            before.claims.get(&name)?.pointer("/spec/volumeName")?.as_str().map(str::to_owned)
        })
        .collect();
    let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
    let before = moving::before_recovery(hand.cluster, &set.name, ordinal, &volumes).await?;
    let journal = match fresh::journal(&set, record, ordinal, &before) {
        Ok(Some(journal)) => journal,
        Ok(None) => return Ok(None),
        Err(finding) => return stopped(hand, Exit::Manual, finding).map(Some),
    };
    let mut stirrings = Stirrings::of(hand.cluster, &journal);
    let mut memory = migrate::plan::Memory::default();
    loop {
        let world = match moving::world(hand.cluster, &journal).await {
            Ok(world) => world,
            Err(failure) => {
                hand.set.sender.look_again_after(failure)?;
                if let Some(exit) = hand.set.sender.rest().await {
                    return Ok(Some(End::interrupted(exit)));
                }
                continue;
            }
        };
        match fresh::next(&world, &journal, &memory) {
            migrate::plan::Move::Stop { exit, finding } => {
                return stopped(hand, exit, finding).map(Some);
            }
            migrate::plan::Move::Act(act) => {
                for write in migrate::writes::of(act, &journal, &world).unwrap_or_default() {
                    match hand.set.write(&write).await? {
                        Written::Done => memory.did(act),
                        Written::LookAgain => break,
                        Written::Interrupted(exit) => return Ok(Some(End::interrupted(exit))),
                    }
                }
            }
            migrate::plan::Move::Wait { what } => {
                hand.say(&what, None)?;
                tokio::select! {
                    () = stirrings.next() => {}
                    () = tokio::time::sleep(LOOK) => {}
                    exit = &mut hand.set.sender.signal => return Ok(Some(End::interrupted(exit))),
                }
            }
            migrate::plan::Move::Done
            | migrate::plan::Move::Verify
            | migrate::plan::Move::Watch { .. } => return Ok(None),
        }
    }
}
