//! Puts an old volume back under a set that runs on an empty one. Pure.
//! [`candidates`] finds the volume, [`plan`] checks it, [`next`] makes the moves.
//!
//! A move by hand often ends like this: the set started before its volume was
//! handed over and got a new, empty one, and the data is on a volume that is
//! Released. The volume of a claim cannot be changed, so the claim is recreated.
//! Before the claim is deleted, its empty volume (the blank) gets `Retain`.

mod candidates;
mod plan;

use jiff::Timestamp;
use serde_json::Value;

pub use self::{
    candidates::{Candidate, candidates, place_of},
    plan::{Before, Request, is_done, plan},
};
use super::{
    disturbed::claims_go_scaled,
    forward::{Act, Memory, Move, name_taken, wait_for_binding, wait_for_ordinals, wait_for_pods},
    journal::{Disk, Held, Journal},
    rollback::{free_deleted_claims, release},
    rules,
    world::{Reserved, World, has_tag, is_marked, is_ours},
};
use crate::{
    handover::{holds, is_held_to_go, is_protected},
    workload::{
        Pod, canonical_ordinal,
        raw::{is_leaving, phase, replicas, text, uid},
    },
};

/// The next move.
pub fn next(world: &World, journal: &Journal, memory: &Memory, now: Timestamp) -> Move {
    if let Some(next) = free_deleted_claims(world, journal) {
        return next;
    }
    if let Some(stop) = changed(world, journal) {
        return stop;
    }
    let swapped = journal.disks.iter().all(|disk| is_restored(world, journal, disk));
    // Somebody may have changed this since the plan was made.
    let stops = |set: &&Value| {
        replicas(set) > journal.down_to || stopping_pods(world, journal, set).next().is_some()
    };
    let goes = world.own_set(journal).filter(stops).and_then(|set| claims_go_scaled(journal, set));
    if let Some(finding) = goes.filter(|_| !swapped) {
        return Move::stop(finding);
    }
    for (index, disk) in journal.disks.iter().enumerate() {
        if disk.blank.is_some()
            && !is_restored(world, journal, disk)
            && !blank_is_protected(world, journal, disk)
        {
            return Move::Act(Act::ProtectBlank(index));
        }
        if !is_restored(world, journal, disk) && !world.is_protected(disk, journal) {
            return Move::Act(Act::Protect(index));
        }
    }
    if !swapped && let Some(next) = replace_claims(world, journal, memory) {
        return next;
    }
    let Some(set) = world.own_set(journal) else { return set_gone(journal) };
    if replicas(set) != journal.replicas {
        return Move::Act(Act::StartSet);
    }
    if let Some(next) = wait_for_ordinals(world, journal, uid(set), now) {
        return next;
    }
    clean_up(world, journal)
}

/// Whether the set has the ordinals that the volumes were put back for.
pub fn has_pod(world: &World, journal: &Journal) -> bool {
    world.own_set(journal).is_some_and(|set| replicas(set) > journal.down_to)
}

/// Whether the claim is the new one and bound to the volume.
fn is_restored(world: &World, _: &Journal, disk: &Disk) -> bool {
    world
        .new_claim(disk)
        .is_some_and(|claim| uid(claim) != disk.old.uid && world.is_bound(disk, claim))
}

/// Whether the blank volume is kept when its claim is deleted. If someone has
/// deleted the volume, there is nothing to keep.
fn blank_is_protected(world: &World, journal: &Journal, disk: &Disk) -> bool {
    let blank = disk.blank.as_ref().and_then(|blank| world.held_volume(&blank.pv));
    blank.is_none_or(|pv| is_protected(pv, &journal.op))
}

fn set_gone(journal: &Journal) -> Move {
    let message = format!("StatefulSet {} is gone, being deleted, or replaced", journal.set_name());
    let on = format!("statefulset/{}", journal.set_name());
    Move::stop(rules::CHANGED.found(on, message))
}

fn changed(world: &World, journal: &Journal) -> Option<Move> {
    let Some(set) = world.own_set(journal).filter(|set| !is_leaving(set)) else {
        return Some(set_gone(journal));
    };
    let is = replicas(set);
    if is != journal.replicas && is != journal.down_to {
        let message = format!("someone scaled the set to {is}; the plan has {}", journal.replicas);
        let on = format!("statefulset/{}", journal.set_name());
        return Some(Move::stop(rules::CHANGED.found(on, message)));
    }
    journal.disks.iter().find_map(|disk| {
        let on = format!("persistentvolume/{}", disk.pv.name);
        let pv = world.held_volume(&disk.pv).filter(|pv| !is_leaving(pv));
        let Some(pv) = pv else {
            let message = format!("volume {} is gone, being deleted, or replaced", disk.pv.name);
            return Some(Move::stop(rules::CHANGED.found(on, message)));
        };
        // Bound to a claim that is neither the old one nor the new one.
        let elsewhere = phase(pv) == "Bound" && world.reserved(disk) == Reserved::Elsewhere;
        elsewhere.then(|| {
            let message = format!("volume {} is bound to another claim", disk.pv.name);
            Move::stop(rules::CHANGED.found(on, message))
        })
    })
}

/// The ordinal that the set's pods begin with.
fn start(set: &Value) -> u64 {
    set.pointer("/spec/ordinals/start").and_then(Value::as_u64).unwrap_or_default()
}

/// Stops the pods that use the disks, then replaces the claims.
fn replace_claims(world: &World, journal: &Journal, memory: &Memory) -> Option<Move> {
    let set = world.own_set(journal)?;
    if replicas(set) > journal.down_to {
        return Some(Move::Act(Act::StopSet));
    }
    if let Some(wait) = wait_for_pods(stopping_pods(world, journal, set)) {
        return Some(wait);
    }
    let claims: Vec<&str> = journal.disks.iter().map(|disk| disk.new.as_str()).collect();
    if let Some(wait) = wait_for_pods(world.users(&claims, None)) {
        return Some(wait);
    }
    if let Some(wait) = wait_for_detach(world, journal) {
        return Some(wait);
    }
    for (index, disk) in journal.disks.iter().enumerate() {
        if !is_reserved(world, journal, disk) {
            return Some(Move::Act(Act::Reserve(index)));
        }
        match world.new_claim(disk) {
            // Its volume is to stay, whatever somebody does to the policy meanwhile.
            Some(blank)
                if uid(blank) == disk.old.uid
                    && !is_leaving(blank)
                    && !is_held_to_go(blank)
                    && world.volume_of(blank).is_some_and(|volume| holds(volume, blank)) =>
            {
                return Some(Move::Act(Act::HoldToGo(index)));
            }
            Some(blank) if uid(blank) == disk.old.uid => {
                let what = format!("claim {}", disk.new);
                return Some(super::forward::delete_or_wait(
                    Act::DeleteOldClaim(index),
                    is_leaving(blank),
                    &what,
                ));
            }
            None => return Some(Move::Act(Act::CreateClaim(index))),
            Some(claim) if !is_ours(claim, journal) => {
                return Some(name_taken("PersistentVolumeClaim", claim, false));
            }
            Some(claim) if !world.is_bound(disk, claim) => {
                return Some(wait_for_binding(index, memory, &disk.new, &disk.pv.name));
            }
            Some(_) => {}
        }
    }
    None
}

/// The pods that are stopped for this and are still there.
fn stopping_pods<'a>(
    world: &'a World,
    journal: &'a Journal,
    set: &'a Value,
) -> impl Iterator<Item = &'a Pod> {
    let first = start(set) + u64::from(journal.down_to);
    world.pods_of_set(uid(set)).filter(move |pod| {
        ordinal(&pod.name, journal.set_name()).is_none_or(|ordinal| u64::from(ordinal) >= first)
    })
}

/// Waits until neither the blank volume nor the old one is attached.
fn wait_for_detach(world: &World, journal: &Journal) -> Option<Move> {
    let attachments = world.attachments.as_ref()?;
    let mut volumes = journal.disks.iter().flat_map(|disk| {
        let blank = disk.blank.as_ref().map(|blank| blank.pv.name.as_str());
        [Some(disk.pv.name.as_str()), blank].into_iter().flatten()
    });
    let (volume, node) = volumes.find_map(|pv| attachments.get_key_value(pv))?;
    Some(Move::Wait { what: format!("volume {volume} to be detached from {node}") })
}

/// Whether the volume is reserved for the claim of this name.
fn is_reserved(world: &World, journal: &Journal, disk: &Disk) -> bool {
    let Some(pv) = world.held_volume(&disk.pv) else { return false };
    let word = |pointer: &str| text(pv, pointer).unwrap_or_default();
    let by_name = word("/spec/claimRef/namespace") == journal.namespace
        && word("/spec/claimRef/name") == disk.new;
    let holder = word("/spec/claimRef/uid");
    let new = world.new_claim(disk).filter(|claim| is_ours(claim, journal)).map(uid);
    by_name && (holder.is_empty() || new == Some(holder))
}

/// Restores the policies and removes our marks. The blank volume is kept under
/// `Retain`, because data may have been written to it.
fn clean_up(world: &World, journal: &Journal) -> Move {
    let tagged = |held: &Held| world.held_volume(held).is_some_and(|pv| has_tag(pv, journal));
    for (index, disk) in journal.disks.iter().enumerate() {
        if tagged(&disk.pv) {
            return release(index, world, journal);
        }
        if disk.blank.as_ref().is_some_and(|blank| tagged(&blank.pv)) {
            return Move::Act(Act::LeaveBlank(index));
        }
        if world.new_claim(disk).is_some_and(is_marked) {
            return Move::Act(Act::CleanNewClaim(index));
        }
    }
    Move::Done
}

/// The ordinal of a pod, or of anything else called like one.
fn ordinal(pod: &str, set: &str) -> Option<u32> {
    pod.strip_prefix(set)?.strip_prefix('-').and_then(canonical_ordinal)
}
