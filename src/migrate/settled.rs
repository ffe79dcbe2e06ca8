//! What controllers make of the objects of a migration when nothing is in their way,
//! for a preview. Pure.
//!
//! Nothing that is written for real is decided on this: a verb waits until it sees it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{journal::Journal, world::World};
use crate::{
    handover::{holds, is_bound},
    workload::{
        Condition, Pod,
        raw::{generation, is_leaving, is_observed, name, phase, replicas, text, uid},
    },
};

/// Brings the objects to rest; says whether that changed any.
pub fn settle(world: &mut World, journal: &Journal) -> bool {
    let observed = observe(world);
    let gone = end_pods(world, journal);
    let detached = detach(world, journal);
    let bound = bind(world);
    let started = start_pods(world, journal);
    observed || gone || detached || bound || started
}

/// The controllers see what was written last.
fn observe(world: &mut World) -> bool {
    let workloads = world.set.iter_mut().chain(world.deployments.values_mut());
    let mut changed = false;
    for workload in workloads.filter(|one| !is_observed(one)) {
        workload["status"]["observedGeneration"] = json!(generation(workload));
        changed = true;
    }
    changed
}

/// The pods of a workload that was scaled down are gone, and those that were ending.
fn end_pods(world: &mut World, journal: &Journal) -> bool {
    let set = world.own_set(journal);
    let stays_in = |set: &Value, pod: &Pod| {
        let ordinals = ordinals(set);
        let named = ordinals.map(|ordinal| format!("{}-{ordinal}", name(set)));
        !pod.is_terminating() && named.into_iter().any(|name| name == pod.name)
    };
    let of_set = world.pods.iter().filter(|pod| {
        set.is_some_and(|set| {
            pod.controller_uid.as_deref() == Some(uid(set)) && !stays_in(set, pod)
        })
    });
    let stopped = journal
        .deployments
        .iter()
        .filter(|member| world.deployment(member).is_some_and(|found| replicas(found) == 0));
    let of_deployments = stopped.flat_map(|member| world.pods_of_deployment(member, journal));
    let gone: Vec<String> = of_set.chain(of_deployments).map(|pod| pod.uid.clone()).collect();
    world.pods.retain(|pod| !gone.contains(&pod.uid));
    !gone.is_empty()
}

/// Volumes that no pod uses are detached.
fn detach(world: &mut World, journal: &Journal) -> bool {
    let is_used = |volume: &str| {
        let claims = world.claims.iter();
        let of_volume = claims.filter(|(_, claim)| text(claim, "/spec/volumeName") == Some(volume));
        let names: Vec<&str> = of_volume.map(|(name, _)| name.as_str()).collect();
        world.users(&names, None).next().is_some()
    };
    let disks = journal.disks.iter().flat_map(|disk| {
        std::iter::once(&disk.pv).chain(disk.blank.as_ref().map(|blank| &blank.pv))
    });
    let free: Vec<&str> = disks.map(|pv| pv.name.as_str()).filter(|pv| !is_used(pv)).collect();
    let Some(attachments) = &mut world.attachments else { return false };
    let before = attachments.len();
    attachments.retain(|volume, _| !free.contains(&volume.as_str()));
    attachments.len() < before
}

/// A claim is bound to the volume that is reserved for it, and has lost one that is not.
fn bind(world: &mut World) -> bool {
    let mut changed = false;
    for claim in world.claims.values_mut().filter(|claim| !is_leaving(claim)) {
        let Some(named) = text(claim, "/spec/volumeName").map(str::to_owned) else { continue };
        let Some(volume) = world.volumes.get_mut(&named).filter(|one| !is_leaving(one)) else {
            continue;
        };
        if holds(volume, claim) && !is_bound(volume, claim) {
            claim["status"]["phase"] = json!("Bound");
            volume["status"]["phase"] = json!("Bound");
            changed = true;
        } else if !holds(volume, claim) && phase(claim) == "Bound" {
            claim["status"]["phase"] = json!("Lost");
            changed = true;
        }
    }
    changed
}

/// The set has its pods, and they are Ready.
fn start_pods(world: &mut World, journal: &Journal) -> bool {
    let Some(set) = world.own_set(journal).filter(|set| !is_leaving(set)) else { return false };
    let mut changed = false;
    let (uid, name) = (uid(set).to_owned(), name(set).to_owned());
    for ordinal in ordinals(set) {
        let pod = format!("{name}-{ordinal}");
        let is_up = |one: &Pod| one.name == pod && one.is_available(0, Timestamp::MAX);
        if !world.pods.iter().any(is_up) {
            world.pods.retain(|one| one.name != pod);
            world.pods.push(ready(pod, &uid));
            changed = true;
        }
    }
    changed
}

fn ordinals(set: &Value) -> std::ops::Range<u64> {
    let start = set.pointer("/spec/ordinals/start").and_then(Value::as_u64).unwrap_or_default();
    start..start + u64::from(replicas(set))
}

/// A pod of the set that has been Ready for long enough.
fn ready(name: String, set_uid: &str) -> Pod {
    let since = Some(Timestamp::UNIX_EPOCH);
    let ready =
        Condition { kind: "Ready".to_owned(), holds: true, reason: None, message: None, since };
    Pod {
        uid: format!("expected {name}"),
        name,
        phase: "Running".to_owned(),
        controller_uid: Some(set_uid.to_owned()),
        conditions: vec![ready],
        ..Pod::default()
    }
}
