//! What a set with its own volumes has, and what becomes of the old volumes and of
//! the new ones. Pure.

use std::collections::BTreeSet;

use super::{
    journal::{Disk, FILLED, Journal, Mode},
    rules,
    world::{World, is_ours, state},
};
use crate::{
    output::text::list,
    workload::{
        Finding,
        raw::{annotation, is_leaving, phase, policy, replicas, text, uid},
    },
};
use serde_json::Value;

/// Whether the new claim has all data, of the present state of the Deployments.
pub fn is_filled(world: &World, journal: &Journal, disk: &Disk) -> bool {
    let state = state(world, journal);
    world.new_claim(disk).is_some_and(|claim| annotation(claim, FILLED) == Some(state.as_str()))
}

/// A finding for each old claim that finalize has kept, as it is now.
pub fn old_claims_kept(world: &World, journal: &Journal) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let first = journal.disks.iter().filter(|disk| seen.insert(disk.old.name.as_str()));
    let kept = first.filter_map(|disk| {
        let (claim, pv) = (&disk.old.name, &disk.pv.name);
        let found = world.old_claim(disk)?;
        let fate = fate(world.held_volume(&disk.pv), pv);
        let message = if is_leaving(found) {
            format!("claim {claim} is being deleted; {fate}")
        } else {
            format!("claim {claim} is what the data was copied from; {fate}")
        };
        let finding = rules::OLD_KEPT.found(format!("persistentvolumeclaim/{claim}"), message);
        Some(if is_leaving(found) {
            finding
        } else {
            finding.hint(format!("kubectl delete pvc/{claim} -n {}", journal.namespace))
        })
    });
    kept.collect()
}

/// What becomes of a volume when its claim is deleted.
fn fate(volume: Option<&Value>, called: &str) -> String {
    match volume.map(policy) {
        None => format!("its volume {called} could not be looked at"),
        Some("Delete") => {
            format!("deleting the claim destroys {called} and its data: its policy is Delete")
        }
        Some(policy) => {
            format!("deleting the claim leaves {called} with its data: its policy is {policy}")
        }
    }
}

/// What a rollback will delete, as a plan can tell.
pub fn rollback_will_delete(journal: &Journal) -> Option<String> {
    let claims: Vec<&str> = journal.disks.iter().map(|disk| disk.new.as_str()).collect();
    journal
        .fills()
        .then(|| format!("a rollback deletes {}, with what the set has written", list(&claims)))
}

/// What the set has written, and a rollback deletes or leaves behind.
pub fn rollback_loses(world: &World, journal: &Journal) -> Option<Finding> {
    let is_in_use = |disk: &&Disk| {
        world.new_claim(disk).is_some_and(|claim| is_ours(claim, journal) && !is_leaving(claim))
    };
    let claims: Vec<&Disk> = journal.disks.iter().filter(is_in_use).collect();
    let started = world.stored_journal.as_ref().is_some_and(|stored| stored.arrived.is_some())
        || world.own_set(journal).is_some_and(|set| replicas(set) > 0);
    if !journal.fills() || claims.is_empty() || !started {
        return None;
    }
    let fates = claims.iter().map(|disk| {
        let volume = world.new_claim(disk).and_then(|claim| text(claim, "/spec/volumeName"));
        let Some(called) = volume else { return format!("{}, which has no volume", disk.new) };
        match world.volumes.get(called).map(policy) {
            None => format!("{}, whose volume {called} could not be looked at", disk.new),
            Some("Delete") => format!("{}, and with it {called} and its data", disk.new),
            Some(policy) => {
                format!("{}, and leaves {called} with its data: its policy is {policy}", disk.new)
            }
        }
    });
    let fates: Vec<String> = fates.collect();
    let message = format!(
        "what the set has written since it started is not in the old claims; a rollback deletes \
         claim {}",
        fates.join("; claim ")
    );
    let on = format!("statefulset/{}", journal.set_name());
    Some(rules::ROLLBACK_LOSES.found(on, message))
}

/// Whether the set has the data, in any mode: then nothing more is taken from the
/// Deployment, and the way back can be given up, whatever has become of it.
pub fn set_has_data(world: &World, journal: &Journal) -> bool {
    let has = |disk: &Disk| {
        let claim = world.new_claim(disk).filter(|claim| !is_leaving(claim));
        match journal.mode {
            Mode::Copy => is_filled(world, journal, disk),
            _ if journal.fills() => claim.is_some_and(|claim| is_ours(claim, journal)),
            _ => claim.is_some_and(|claim| world.is_bound(disk, claim)),
        }
    };
    world.own_set(journal).is_some_and(|set| !is_leaving(set)) && journal.disks.iter().all(has)
}

/// Whether the new claim is bound.
pub fn has_new_volume(world: &World, disk: &Disk) -> bool {
    world.new_claim(disk).is_some_and(|claim| {
        phase(claim) == "Bound" && !is_leaving(claim) && uid(claim) != disk.old.uid
    })
}
