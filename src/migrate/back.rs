//! The next move back: from wherever a migration is to the Deployment as it
//! was. Pure.
//!
//! The volumes go back first and the application starts; only then is taken
//! away what the forward way had made, and the policies return last. Volumes
//! that the set got for itself go with their claims.

use super::{
    fill::{without_jobs, without_snapshots},
    journal::{Disk, Journal, Member},
    plan::{
        Act, Memory, Move, binding, holds_paused, scaler_points, wait_for_detach, wait_for_pods,
    },
    rules,
    world::{
        Reserved, World, has_tag, is_leaving, is_marked, is_observed, is_on_hold, is_ours, policy,
        replicas, uid,
    },
};
use crate::output::Exit;

/// The next move back.
pub fn next(world: &World, journal: &Journal, memory: &Memory) -> Move {
    if let Some(next) = on_hold(world, journal, Act::CleanOldClaim) {
        return next;
    }
    if let Some(stop) = impossible(world, journal) {
        return stop;
    }
    let scalers = 0..journal.scalers.len();
    if let Some(index) = scalers.clone().find(|index| scaler_points(world, journal, *index, true)) {
        return Move::Act(Act::PointScalerBack(index));
    }
    if let Some(next) = without_jobs(world, journal).or_else(|| quiet(world, journal)) {
        return next;
    }
    let held = |disk: &Disk| matches!(world.reserved(disk), Reserved::New | Reserved::Stale);
    if let Some(index) = journal.disks.iter().position(held) {
        return protected(index, world, journal, Act::SwapBack(index));
    }
    let bound =
        |disk: &Disk| world.held_claim(&disk.old).is_some_and(|claim| world.is_bound(disk, claim));
    if let Some(index) = journal.disks.iter().position(|disk| !bound(disk)) {
        let disk = &journal.disks[index];
        return binding(index, memory, &disk.old.name, &disk.pv.name);
    }
    let rests = |member: &Member| {
        let found = world.deployment(&member.name, &member.uid);
        member.replicas > 0 && found.is_some_and(|found| replicas(found) == 0)
    };
    if let Some(index) = journal.deployments.iter().position(rests) {
        return Move::Act(Act::StartDeployment(index));
    }
    if let Some(index) = scalers.into_iter().find(|index| holds_paused(world, journal, *index)) {
        return Move::Act(Act::ResumeScaler(index));
    }
    clear(world, journal)
}

/// What only a person can mend.
fn impossible(world: &World, journal: &Journal) -> Option<Move> {
    let manual = |on: String, message: String| Move::Stop {
        exit: Exit::Manual,
        finding: rules::NO_WAY_BACK.found(on, message),
    };
    for member in &journal.deployments {
        let found = world.deployment(&member.name, &member.uid);
        if found.is_none_or(is_leaving) {
            let on = format!("deployment/{}", member.name);
            let message = format!(
                "Deployment {} is gone; as it was it stands in configmap/{}",
                member.name,
                journal.book_name()
            );
            return Some(manual(on, message));
        }
    }
    for disk in &journal.disks {
        let old = world.held_claim(&disk.old);
        if old.is_none_or(is_leaving) {
            let on = format!("persistentvolumeclaim/{}", disk.old.name);
            let pv = &disk.pv.name;
            let volume = match world.held_volume(&disk.pv).map(policy) {
                Some("Retain") => format!("its data is safe on {pv}"),
                Some(policy) => format!("its volume {pv} has policy {policy}"),
                None => format!("its volume {pv} is gone, too"),
            };
            let message =
                format!("claim {} is gone, or another one by its name; {volume}", disk.old.name);
            return Some(manual(on, message));
        }
        let pv = world.held_volume(&disk.pv);
        if pv.is_none_or(is_leaving) || world.reserved(disk) == Reserved::Elsewhere {
            let on = format!("persistentvolume/{}", disk.pv.name);
            let message = format!(
                "volume {} is reserved for neither {} nor {}",
                disk.pv.name, disk.old.name, disk.new
            );
            return Some(manual(on, message));
        }
    }
    None
}

/// The set without pods, and the disks free of them.
fn quiet(world: &World, journal: &Journal) -> Option<Move> {
    let runs = |member: &Member| {
        world.deployment(&member.name, &member.uid).is_some_and(|found| replicas(found) > 0)
    };
    let serves = journal.deployments.iter().any(runs);
    let Some(set) = world.own_set(journal) else {
        // Pods may be left of it, or be somebody else's; claims that are kept
        // are the Deployment's own where it runs.
        let kept = journal.kept.iter().filter(|_| !serves);
        let new = journal.disks.iter().map(|disk| &disk.new);
        let claims: Vec<&str> = kept.chain(new).map(String::as_str).collect();
        return wait_for_pods(world.users(&claims, None));
    };
    if replicas(set) > 0 {
        return Some(Move::Act(Act::StopSet));
    }
    // One that has not seen it may still make a pod.
    if !is_observed(set) {
        return Some(Move::Wait { what: "the set's controller to see that".to_owned() });
    }
    if let Some(wait) = wait_for_pods(world.pods_of_set(uid(set))) {
        return Some(wait);
    }
    // Where the Deployment runs, its own pods have the disks.
    if serves { None } else { wait_for_detach(world, journal) }
}

/// What the forward way had made goes, and what it had changed.
fn clear(world: &World, journal: &Journal) -> Move {
    if let Some(set) = world.own_set(journal) {
        return gone_or(Act::DeleteSet, is_leaving(set), "the StatefulSet");
    }
    if let Some(service) = world.service.as_ref().filter(|service| is_ours(service, journal)) {
        return gone_or(Act::DeleteService, is_leaving(service), "the Service");
    }
    for (index, disk) in journal.disks.iter().enumerate() {
        if let Some(claim) = world.new_claim(disk).filter(|claim| is_ours(claim, journal)) {
            let what = format!("claim {}", disk.new);
            return match gone_or(Act::DeleteNewClaim(index), is_leaving(claim), &what) {
                Move::Act(act) => protected(index, world, journal, act),
                wait => wait,
            };
        }
    }
    if let Some(next) = without_snapshots(world, journal) {
        return next;
    }
    let tagged = |disk: &Disk| world.held_volume(&disk.pv).is_some_and(|pv| has_tag(pv, journal));
    if let Some(index) = journal.disks.iter().position(tagged) {
        return release(index, world, journal);
    }
    let marked = |disk: &Disk| world.held_claim(&disk.old).is_some_and(is_marked);
    if let Some(index) = journal.disks.iter().position(marked) {
        return Move::Act(Act::CleanOldClaim(index));
    }
    Move::Done
}

/// Somebody may have changed the policy meanwhile: before anything that would
/// then cost the volume, it is Retain again. Where the set has volumes of its
/// own, the old ones are not ours to change.
pub(super) fn protected(index: usize, world: &World, journal: &Journal, act: Act) -> Move {
    let is_safe = !journal.rebinds() || world.is_protected(&journal.disks[index], journal);
    Move::Act(if is_safe { act } else { Act::Protect(index) })
}

/// The volume gets its policy back. Where it would then go with its claim, the
/// claim is held first: no write can ask for both, and whoever deletes the claim
/// between our look and our write has seen a volume that is kept.
pub fn release(index: usize, world: &World, journal: &Journal) -> Move {
    let disk = &journal.disks[index];
    let stays = disk.policy == "Retain" || world.holder(disk).is_some_and(is_on_hold);
    Move::Act(if stays { Act::Release(index) } else { Act::Hold(index) })
}

/// What comes before all guards: a claim on hold that was deleted meanwhile goes
/// when its volume is kept again, and not before. `clean` lets it go.
pub fn on_hold(world: &World, journal: &Journal, clean: fn(usize) -> Act) -> Option<Move> {
    let deleted = |disk: &Disk| {
        world.holder(disk).is_some_and(|claim| is_on_hold(claim) && is_leaving(claim))
    };
    let index = journal.disks.iter().position(deleted)?;
    Some(protected(index, world, journal, clean(index)))
}

/// Deletes what is not being deleted already.
pub(super) fn gone_or(act: Act, leaving: bool, what: &str) -> Move {
    if leaving { Move::Wait { what: format!("{what} to be gone") } } else { Move::Act(act) }
}

/// A Deployment that has not all its pods available yet.
pub fn starting<'a>(world: &World, journal: &'a Journal) -> Option<&'a str> {
    let lacks = |member: &&Member| {
        let found = world.deployment(&member.name, &member.uid);
        found.is_some_and(|found| {
            let available = found.pointer("/status/availableReplicas");
            let available = available.and_then(serde_json::Value::as_u64).unwrap_or_default();
            !is_observed(found) || available < u64::from(replicas(found))
        })
    };
    journal.deployments.iter().find(lacks).map(|member| member.name.as_str())
}
