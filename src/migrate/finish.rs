//! The next move of `finalize`: what was kept for the way back goes. Pure.

use jiff::Timestamp;

use super::{
    back::{gone_or, on_hold, protected, release},
    fill::{is_there, without_snapshots},
    journal::{Disk, Journal},
    plan::{Act, Move},
    rules,
    world::{World, has_tag, is_leaving, is_marked, is_ours, phase, replicas, uid},
};
use crate::{output::Exit, workload::Finding};

/// The next move. Everything that is checked is checked again before each
/// step, because none of them can be taken back.
pub fn next(world: &World, journal: &Journal, now: Timestamp) -> Move {
    if let Some(next) = on_hold(world, journal, Act::CleanNewClaim) {
        return next;
    }
    if let Some(finding) = speaks_against(world, journal, now) {
        return Move::Stop { exit: Exit::Failed, finding };
    }
    for (index, member) in journal.deployments.iter().enumerate() {
        if let Some(found) = world.deployment(&member.name, &member.uid) {
            let what = format!("Deployment {}", member.name);
            return gone_or(Act::DeleteDeployment(index), is_leaving(found), &what);
        }
    }
    // What was copied from stays: it is the only untouched copy.
    let lost = journal.disks.iter().enumerate().filter(|_| !journal.fills());
    for (index, disk) in lost {
        if let Some(claim) = world.held_claim(&disk.old) {
            let what = format!("claim {}", disk.old.name);
            return match gone_or(Act::DeleteOldClaim(index), is_leaving(claim), &what) {
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
    let marked = |disk: &Disk| world.new_claim(disk).is_some_and(is_marked);
    if let Some(index) = journal.disks.iter().position(marked) {
        return Move::Act(Act::CleanNewClaim(index));
    }
    if world.service.as_ref().is_some_and(|service| is_ours(service, journal)) {
        return Move::Act(Act::CleanService);
    }
    if world.set.as_ref().is_some_and(|set| is_ours(set, journal)) {
        return Move::Act(Act::CleanSet);
    }
    Move::Done
}

/// Why it may not go on.
pub fn speaks_against(world: &World, journal: &Journal, now: Timestamp) -> Option<Finding> {
    let Some(set) = world.own_set(journal) else {
        let message = format!("StatefulSet {} is not there", journal.set_name());
        let on = format!("statefulset/{}", journal.set_name());
        return Some(rules::NOT_ARRIVED.found(on, message));
    };
    let on = format!("statefulset/{}", journal.set_name());
    let ready = world.pods_of_set(uid(set)).filter(|pod| pod.is_available(0, now)).count();
    if (ready as u64) < u64::from(replicas(set)) || is_leaving(set) {
        let message = format!("{ready} of {} pods are Ready", replicas(set));
        return Some(rules::NOT_ARRIVED.found(on, message));
    }
    for member in &journal.deployments {
        let found = world.deployment(&member.name, &member.uid);
        if let Some(found) = found.filter(|found| replicas(found) > 0) {
            let message = format!("Deployment {} wants {} pods", member.name, replicas(found));
            return Some(rules::CHANGED.found(format!("deployment/{}", member.name), message));
        }
    }
    for disk in &journal.disks {
        let on = format!("persistentvolumeclaim/{}", disk.new);
        if journal.fills() {
            if !is_there(world, disk) {
                let message = format!("claim {} is not bound", disk.new);
                return Some(rules::NOT_ARRIVED.found(on, message));
            }
            continue;
        }
        let claim = world.new_claim(disk);
        if !claim.is_some_and(|claim| world.is_bound(disk, claim)) {
            let message = if claim.is_some_and(is_leaving) {
                format!("claim {} is being deleted", disk.new)
            } else {
                format!("claim {} is not bound to {}", disk.new, disk.pv.name)
            };
            return Some(rules::NOT_ARRIVED.found(on, message));
        }
        // Only a claim that has lost its volume can go without it.
        if let Some(old) = world.held_claim(&disk.old)
            && phase(old) != "Lost"
        {
            let message = format!("claim {} is {}, not Lost", disk.old.name, phase(old));
            return Some(rules::NOT_ARRIVED.found(on, message));
        }
    }
    None
}
