//! The next move of `finalize`, which deletes what a rollback would need. Pure.

use jiff::Timestamp;

use super::{
    disturbed::{off_its_disk, scale_to_zero},
    fates::has_new_volume,
    forward::{Act, Memory, Move, delete_or_wait, wait_for_binding, wait_for_ordinals},
    journal::{Disk, Journal},
    rollback::{delete_claim, free_deleted_claims, protect_before, restore_volumes},
    rules,
    world::{Reserved, World, is_marked, is_ours},
};
use crate::{
    output::text::{count, list},
    workload::{
        Finding, Pod, Severity,
        raw::{generation, is_leaving, name, phase, replicas, uid},
    },
};

/// The next move. All checks are made again before each one, because none of them
/// can be undone.
pub fn next(world: &World, journal: &Journal, memory: &Memory, now: Timestamp) -> Move {
    if let Some(next) = free_deleted_claims(world, journal) {
        return next;
    }
    if let Some(next) = mend(world, journal, memory, now) {
        return next;
    }
    if let Some(wait) = wait_until_ready(world, journal, now) {
        return wait;
    }
    if let Some(finding) = not_ready(world, journal, now) {
        return Move::stop(finding);
    }
    for (index, member) in journal.deployments.iter().enumerate() {
        if let Some(found) = world.deployment(member) {
            let what = format!("Deployment {}", member.name);
            return delete_or_wait(Act::DeleteDeployment(index), is_leaving(found), &what);
        }
    }
    // A claim that was copied from is kept: it is the only untouched copy.
    let to_delete = journal.disks.iter().enumerate().filter(|_| !journal.fills());
    for (index, disk) in to_delete {
        if let Some(claim) = world.old_claim(disk) {
            return delete_claim(index, world, journal, claim, Act::DeleteOldClaim(index));
        }
    }
    if let Some(next) = restore_volumes(world, journal) {
        return next;
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

/// A finding for each Deployment that has the name of one that was moved, when
/// finalize has ended: it is not the original, or somebody made it since.
pub fn left_beside(world: &World, journal: &Journal) -> Vec<Finding> {
    let (set, namespace) = (journal.set_name(), &journal.namespace);
    let there = journal.deployments.iter().filter_map(|member| {
        let found = world.deployments.get(&member.name).filter(|found| !is_leaving(found))?;
        Some((member, found))
    });
    let findings = there.map(|(member, found)| {
        let (called, wanted) = (&member.name, replicas(found));
        let what = if world.deployment(member).is_some() {
            "was made again"
        } else {
            "mounts other claims than the one that was moved"
        };
        let pods =
            if wanted == 0 { "scaled to 0".to_owned() } else { count(wanted as usize, "replica") };
        let message =
            format!("Deployment {called} stands beside StatefulSet {set}: it {what}, {pods}");
        let severity = if wanted == 0 { Severity::Note } else { Severity::Warning };
        rules::LEFT_OVER
            .found(format!("deployment/{called}"), message)
            .hint(format!("kubectl get deployment/{called} -n {namespace} -o wide"))
            .at(severity)
    });
    findings.collect()
}

/// Makes again what someone has deleted since: a claim, while no other has its
/// name, and the set. The data is on the volume, which is reserved for the name.
fn mend(world: &World, journal: &Journal, memory: &Memory, now: Timestamp) -> Option<Move> {
    for (index, disk) in journal.disks.iter().enumerate().filter(|_| journal.rebinds()) {
        let stale = world.reserved(disk) == Reserved::Stale;
        match world.new_claim(disk) {
            None if stale => return Some(Move::Act(Act::CreateClaim(index))),
            Some(claim) if is_ours(claim, journal) && !is_leaving(claim) => {
                if stale {
                    return Some(protect_before(index, world, journal, Act::Swap(index)));
                }
                let has_it = world.reserved(disk) == Reserved::New;
                if has_it && !world.is_bound(disk, claim) && phase(claim) != "Lost" {
                    return Some(wait_for_binding(index, memory, &disk.new, &disk.pv.name));
                }
            }
            _ => {}
        }
    }
    if world.set.is_none() {
        return Some(Move::Act(Act::CreateSet));
    }
    // Just made by us, and not scaled by anybody yet.
    let set = world.own_set(journal).filter(|set| is_ours(set, journal) && !is_leaving(set))?;
    if journal.replicas > 0 && replicas(set) == 0 && generation(set) == 1 {
        return Some(Move::Act(Act::StartSet));
    }
    // What was made again has to come up before anything more is deleted.
    memory.made_set.then(|| wait_for_ordinals(world, journal, uid(set), now)).flatten()
}

/// Waits for pods of the set that are not Ready, if nothing says why they should not
/// become so: a server that was away for a moment makes every pod look like that.
fn wait_until_ready(world: &World, journal: &Journal, now: Timestamp) -> Option<Move> {
    let set = world.set_in_place(journal).filter(|set| !is_leaving(set))?;
    let (up, down): (Vec<&Pod>, Vec<&Pod>) = world
        .pods_of_set(uid(set))
        .partition(|pod| pod.is_available(0, now) && !pod.is_terminating());
    let is_short = (up.len() as u64) < u64::from(replicas(set));
    let is_broken = |pod: &&Pod| !pod.is_terminating() && pod.trouble().is_some();
    if !is_short || world.pods_unread || down.iter().any(is_broken) {
        return None;
    }
    let names: Vec<&str> = down.iter().map(|pod| pod.name.as_str()).collect();
    let what = if names.is_empty() {
        format!("the pods of StatefulSet {} to be created", name(set))
    } else {
        format!("{} to be Ready", list(&names))
    };
    Some(Move::Wait { what })
}

/// Why finalize may not begin or continue.
pub fn not_ready(world: &World, journal: &Journal, now: Timestamp) -> Option<Finding> {
    let (set_name, namespace) = (journal.set_name(), &journal.namespace);
    let on = format!("statefulset/{set_name}");
    let Some(set) = world.set_in_place(journal) else {
        let message = if world.set.is_some() {
            format!(
                "StatefulSet {set_name} is another one by now, without templates for the claims"
            )
        } else {
            format!("StatefulSet {set_name} is gone: someone has deleted it")
        };
        return Some(rules::NOT_ARRIVED.found(on, message));
    };
    if is_leaving(set) {
        let message = format!("StatefulSet {set_name} is being deleted");
        return Some(rules::NOT_ARRIVED.found(on, message));
    }
    let ready = world.pods_of_set(uid(set)).filter(|pod| pod.is_available(0, now));
    let ready = ready.filter(|pod| !pod.is_terminating()).count();
    if (ready as u64) < u64::from(replicas(set)) {
        let message = format!("{ready} of {} pods are Ready", replicas(set));
        return Some(rules::NOT_ARRIVED.found(on, message));
    }
    for member in &journal.deployments {
        let found = world.deployment(member);
        if let Some(found) = found.filter(|found| replicas(found) > 0) {
            let message = format!("Deployment {} is scaled to {}", member.name, replicas(found));
            let finding = rules::CHANGED.found(format!("deployment/{}", member.name), message);
            return Some(finding.hint(scale_to_zero(&member.name, namespace)));
        }
    }
    for disk in &journal.disks {
        if journal.fills() {
            if !has_new_volume(world, disk) {
                return Some(off_its_disk(world, journal, disk));
            }
            continue;
        }
        let claim = world.new_claim(disk);
        if !claim.is_some_and(|claim| world.is_bound(disk, claim)) {
            return Some(off_its_disk(world, journal, disk));
        }
        // Only a Lost claim can be deleted without its volume.
        if let Some(old) = world.old_claim(disk)
            && phase(old) != "Lost"
        {
            let message = format!("claim {} is {}, not Lost", disk.old.name, phase(old));
            let on = format!("persistentvolumeclaim/{}", disk.old.name);
            return Some(rules::NOT_ARRIVED.found(on, message));
        }
    }
    None
}
