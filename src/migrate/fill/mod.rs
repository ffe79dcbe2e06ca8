//! The moves that fill new volumes: by copy Jobs, as clones, or from snapshots.
//! Pure.
//!
//! The old claims keep their volumes and are only read. What was filled records
//! the state of the Deployments at that time. If one of them has run since, it is
//! filled again.

mod copy;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::copy::copy_all;
pub(super) use self::copy::without_jobs;
use super::{
    fates::is_filled,
    forward::{
        Act, Checks, Memory, Move, create_missing, delete_or_wait, name_taken, start_set,
        stop_deployments, wait_for_pods,
    },
    journal::{CopyPass, Disk, FILLED, Journal, Mode, Order},
    rules,
    world::{World, is_copier, is_ours, state},
};
use crate::{
    output::text::one_line,
    workload::{
        bytes,
        raw::{annotation, is_leaving, name, phase, replicas, text},
        snapshot_state,
    },
};

/// The next move to a set with its own volumes.
pub(super) fn next(
    world: &World,
    journal: &Journal,
    checks: Checks,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    if world.own_set(journal).is_some_and(|set| replicas(set) > 0) {
        // A claim that the set created itself has an empty volume.
        let lost = |disk: &&Disk| {
            world.new_claim(disk).is_none_or(|claim| !is_ours(claim, journal) || is_leaving(claim))
        };
        return match journal.disks.iter().find(lost) {
            Some(disk) => {
                let message = format!("claim {} is not the one that was filled", disk.new);
                let on = format!("persistentvolumeclaim/{}", disk.new);
                Move::stop(rules::CHANGED.found(on, message))
            }
            None => start_set(world, journal, checks, memory, now),
        };
    }
    let gone = |disk: &&Disk| world.old_claim(disk).is_none_or(is_leaving);
    if let Some(disk) = journal.disks.iter().find(gone) {
        let message = format!("claim {} is gone or being deleted", disk.old.name);
        let on = format!("persistentvolumeclaim/{}", disk.old.name);
        return Move::stop(rules::CHANGED.found(on, message));
    }
    let first = || {
        let runs = journal.order == Order::SwapFirst && is_running(world, journal);
        runs.then(|| copy_all(world, journal, memory, CopyPass::First)).flatten()
    };
    let stopped_first = || (journal.order == Order::StopFirst).then(|| stop(world, journal));
    let next = match journal.mode {
        Mode::Copy => stopped_first()
            .flatten()
            .or_else(|| create_missing(world, journal))
            .or_else(first)
            .or_else(|| stop(world, journal))
            .or_else(|| copy_all(world, journal, memory, CopyPass::Last))
            .or_else(|| without_jobs(world, journal)),
        _ => stop(world, journal)
            .or_else(|| outdated(world, journal))
            .or_else(|| snapshots(world, journal))
            .or_else(|| create_missing(world, journal)),
    };
    next.or_else(|| wait_for_new_volumes(world, journal))
        .unwrap_or_else(|| start_set(world, journal, checks, memory, now))
}

fn is_running(world: &World, journal: &Journal) -> bool {
    journal
        .deployments
        .iter()
        .any(|member| world.deployment(member).is_some_and(|found| replicas(found) > 0))
}

/// Stops the Deployments, and waits until nothing else uses the claims.
fn stop(world: &World, journal: &Journal) -> Option<Move> {
    if let Some(next) = stop_deployments(world, journal) {
        return Some(next);
    }
    let claims: Vec<&str> = journal
        .disks
        .iter()
        .map(|disk| disk.old.name.as_str())
        .chain(journal.kept.iter().map(String::as_str))
        .collect();
    let others = || world.users(&claims, None).filter(|pod| !is_copier(pod, journal));
    let last = |index: usize| world.jobs.get(&journal.job_name(index, CopyPass::Last));
    let jobs = (0..journal.disks.len()).filter_map(|index| Some((index, last(index)?)));
    if let Some(wait) = wait_for_pods(others()) {
        // The data may have changed: a copy under way is out of date.
        let mut ours = jobs.filter(|(_, job)| is_ours(job, journal) && !is_leaving(job));
        let away = ours.next().map(|(index, _)| Move::Act(Act::DeleteJob(index, CopyPass::Last)));
        return Some(away.unwrap_or(wait));
    }
    // A disk that is being copied is attached because of us.
    let old = journal.disks.iter().map(|disk| disk.pv.name.as_str());
    let works =
        jobs.count() > 0 || journal.disks.iter().any(|disk| is_filled(world, journal, disk));
    if works { None } else { detached(world, old) }
}

fn detached<'a>(world: &World, volumes: impl Iterator<Item = &'a str>) -> Option<Move> {
    let mut volumes = volumes;
    volumes.find_map(|volume| {
        let node = world.attachments.as_ref()?.get(volume)?;
        Some(Move::Wait { what: format!("volume {volume} to be detached from {node}") })
    })
}

/// Deletes what was made of an earlier state of the Deployments.
fn outdated(world: &World, journal: &Journal) -> Option<Move> {
    let state = state(world, journal);
    let old =
        |object: &Value| is_ours(object, journal) && annotation(object, FILLED) != Some(&state);
    for (index, disk) in journal.disks.iter().enumerate() {
        if let Some(claim) = world.new_claim(disk).filter(|claim| old(claim)) {
            let what = format!("claim {}", disk.new);
            return Some(delete_or_wait(Act::DeleteNewClaim(index), is_leaving(claim), &what));
        }
        if let Some(snapshot) = snapshot(world, disk).filter(|snapshot| old(snapshot)) {
            let what = format!("snapshot {}", name(snapshot));
            return Some(delete_or_wait(Act::DeleteSnapshot(index), is_leaving(snapshot), &what));
        }
    }
    None
}

/// The snapshot of a disk's old claim, whoever made it.
pub fn snapshot<'a>(world: &'a World, disk: &Disk) -> Option<&'a Value> {
    world.snapshots.get(name(disk.snapshot.as_ref()?))
}

/// Takes the snapshots that are still needed, and waits until they are ready.
fn snapshots(world: &World, journal: &Journal) -> Option<Move> {
    for (index, disk) in journal.disks.iter().enumerate() {
        let Some(wanted) = &disk.snapshot else { continue };
        if world.new_claim(disk).is_some() {
            continue;
        }
        let called = name(wanted);
        let Some(found) = snapshot(world, disk) else {
            return Some(Move::Act(Act::CreateSnapshot(index)));
        };
        if !is_ours(found, journal) || is_leaving(found) {
            return Some(name_taken("VolumeSnapshot", found, is_ours(found, journal)));
        }
        let why = match snapshot_state(found) {
            Ok(true) => continue,
            Ok(false) => String::new(),
            Err(why) => format!(": {}", one_line(why)),
        };
        return Some(Move::Wait { what: format!("snapshot {called} to be ready to use{why}") });
    }
    None
}

/// Deletes our snapshots.
pub(super) fn without_snapshots(world: &World, journal: &Journal) -> Option<Move> {
    journal.disks.iter().enumerate().find_map(|(index, disk)| {
        let found = snapshot(world, disk).filter(|found| is_ours(found, journal))?;
        let what = format!("snapshot {}", name(found));
        Some(delete_or_wait(Act::DeleteSnapshot(index), is_leaving(found), &what))
    })
}

/// Waits until the new claims are bound and their volumes detached.
fn wait_for_new_volumes(world: &World, journal: &Journal) -> Option<Move> {
    for disk in journal.disks.iter().filter(|disk| !disk.waits_for_pod) {
        let claim = world.new_claim(disk)?;
        if phase(claim) != "Bound" {
            return Some(Move::Wait { what: format!("claim {} to be bound", disk.new) });
        }
    }
    let claims = journal.disks.iter().filter_map(|disk| world.new_claim(disk));
    detached(world, claims.filter_map(|claim| text(claim, "/spec/volumeName")))
}

/// The new claim as it is created, with what was not known in the plan.
pub fn claim(journal: &Journal, world: &World, disk: &Disk) -> Value {
    let mut claim = disk.claim.clone();
    if matches!(journal.mode, Mode::Clone | Mode::Snapshot) {
        claim["metadata"]["annotations"][FILLED] = json!(state(world, journal));
    }
    let needs = snapshot(world, disk).and_then(|found| text(found, "/status/restoreSize"));
    let wants = text(&claim, "/spec/resources/requests/storage");
    if let (Some(needs), Some(wants)) = (needs, wants)
        && bytes(needs).zip(bytes(wants)).is_some_and(|(needs, wants)| needs > wants)
    {
        claim["spec"]["resources"]["requests"]["storage"] = json!(needs);
    }
    claim
}

/// The snapshot as it is created.
pub fn snapshot_to_make(journal: &Journal, world: &World, disk: &Disk) -> Option<Value> {
    let mut snapshot = disk.snapshot.clone()?;
    snapshot["metadata"]["annotations"][FILLED] = json!(state(world, journal));
    Some(snapshot)
}
