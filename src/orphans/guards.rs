//! What speaks against a deletion. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    classify::{Judgement, judge_claim},
    delete::{DeleteOptions, Target, World, policy_of},
    model::{self, Facts, Kind},
    row::{Class, Row},
    rules,
};
use crate::{
    handover,
    output::text::{age, list},
    workload::{
        Finding, SnapshotClass,
        raw::{is_leaving, name, text, uid},
    },
};

/// Refuses another object with the same name.
pub fn check_same(target: &Target, found: &Value) -> Result<(), Box<Finding>> {
    match &target.uid {
        Some(wanted) if wanted != uid(found) => {
            let message = format!(
                "{} is another object now: its uid is {}, and the report has {wanted}",
                target.name,
                uid(found)
            );
            Err(Box::new(rules::CHANGED.found(target.reference(), message)))
        }
        _ => Ok(()),
    }
}

/// The row of a claim that nothing needs.
pub fn orphan(
    target: &Target,
    claim: &Value,
    world: &World,
    now: Timestamp,
) -> Result<Row, Box<Finding>> {
    let namespace = text(claim, "/metadata/namespace").unwrap_or_default();
    let in_use = |message: String| Box::new(rules::IN_USE.found(target.reference(), message));
    let row = match judge_claim(&world.facts, namespace, &target.name, now) {
        None => {
            let message = if world.facts.missing.contains(&Kind::Claim) {
                "the claims could not be listed"
            } else {
                "the list of claims does not have it"
            };
            let finding = rules::NO_ORPHAN.found(target.reference(), message);
            return Err(Box::new(finding));
        }
        Some(Judgement::Used(pod)) => {
            return Err(in_use(format!("pod {pod} uses {}", target.name)));
        }
        Some(Judgement::Referenced(who)) => {
            return Err(in_use(format!("{who} names {} in its template", target.name)));
        }
        Some(Judgement::Expected(set)) => {
            return Err(in_use(format!("{} belongs to an ordinal of {set}", target.name)));
        }
        Some(Judgement::Leaving) => {
            return Err(in_use(format!("{} is being deleted", target.name)));
        }
        Some(Judgement::Row(row)) => *row,
    };
    if row.uid != uid(claim) {
        let message = format!("{} was deleted and created again during the check", target.name);
        return Err(Box::new(rules::CHANGED.found(target.reference(), message)));
    }
    let listed = world.facts.claims.iter().find(|one| *one.uid == *row.uid);
    if listed.is_some_and(|one| one.unused.is_some_and(|unused| !unused.holds)) {
        let message = format!("the server says that a pod uses {} (condition Unused)", target.name);
        return Err(in_use(message));
    }
    check_orphan(target, &row)?;
    Ok(row)
}

pub fn check_orphan(target: &Target, row: &Row) -> Result<(), Box<Finding>> {
    if !row.orphan || row.class == Class::TerminatingStuck {
        let message =
            format!("{} is {}: {}", target.name, row.class.name(), row.evidence.join("; "));
        return Err(Box::new(rules::NO_ORPHAN.found(target.reference(), message)));
    }
    if let Some(node) = &row.node {
        let message = format!("the volume of {} is attached to {node}", target.name);
        return Err(Box::new(rules::IN_USE.found(target.reference(), message)));
    }
    Ok(())
}

pub fn check_idle(
    target: &Target,
    row: &Row,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<(), Box<Finding>> {
    let Some(wanted) = options.min_idle else { return Ok(()) };
    let message = match row.idle_for(now) {
        Some(idle) if idle >= wanted => return Ok(()),
        Some(idle) => {
            format!(
                "{} has been idle for {}, and --min-idle is {}",
                target.name,
                age(idle),
                age(wanted)
            )
        }
        None => format!("it is not known since when {} has been idle", target.name),
    };
    Err(Box::new(rules::NOT_IDLE.found(target.reference(), message)))
}

/// The volume of the claim; `None` for a claim that never had one or has lost
/// it.
pub fn volume_of<'a>(
    target: &Target,
    claim: &Value,
    world: &'a World,
) -> Result<Option<&'a Value>, Box<Finding>> {
    let Some(wanted) = text(claim, "/spec/volumeName").filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if text(claim, "/status/phase") == Some("Lost") {
        return Ok(None);
    }
    let volume = world.volume.as_ref().filter(|volume| name(volume) == wanted);
    if let Some(volume) = volume.filter(|volume| handover::holds(volume, claim)) {
        return Ok(Some(volume));
    }
    let message = format!(
        "volume {wanted} of {} could not be read, or is reserved for another claim: it is not \
         known whether the data would stay",
        target.name
    );
    Err(Box::new(rules::POLICY_UNKNOWN.found(target.reference(), message)))
}

/// The other volumes that are the same disk.
pub fn twins(world: &World, volume: &Value) -> Vec<String> {
    let volumes = &world.facts.volumes;
    let Some(own) = volumes.iter().find(|one| *one.uid == *uid(volume)) else {
        return Vec::new();
    };
    let same = |other: &&model::Volume| other.name != own.name && other.disk == own.disk;
    let twins = volumes.iter().filter(|_| own.disk.is_some()).filter(same);
    twins.map(|other| other.name.to_string()).collect()
}

/// Refuses to destroy the data of a disk that another volume has, too, or may have.
pub fn check_shared(
    target: &Target,
    volume: &Value,
    twins: &[String],
    facts: &Facts,
) -> Result<(), Box<Finding>> {
    if policy_of(volume) == "Retain" {
        return Ok(());
    }
    if facts.missing.contains(&Kind::Volume) {
        let message = "persistentvolumes could not be listed: another may be the same disk";
        return Err(Box::new(rules::SHARED_DISK.found(target.reference(), message)));
    }
    if twins.is_empty() {
        return Ok(());
    }
    let message = format!("volume {} is the same disk as {}", name(volume), list(twins));
    Err(Box::new(rules::SHARED_DISK.found(target.reference(), message)))
}

/// Refuses to keep a volume that goes by itself.
pub fn check_stays(target: &Target, volume: &Value) -> Result<(), Box<Finding>> {
    if !is_leaving(volume) {
        return Ok(());
    }
    let message = format!("volume {} is being deleted: it goes with its claim", name(volume));
    Err(Box::new(rules::VOLUME_GOES.found(target.reference(), message)))
}

/// Refuses a claim that would not go, because of a pod that has finished.
pub fn check_held(target: &Target, claim: &Value, facts: &Facts) -> Result<(), Box<Finding>> {
    let Some(pod) = pods(claim, facts).find(|pod| pod.finished && pod.on_node) else {
        return Ok(());
    };
    let message = format!("pod {} has finished, and keeps {}", pod.name, target.name);
    let hint = format!("kubectl delete pod {} -n {}{}", pod.name, pod.namespace, facts.flags);
    Err(Box::new(rules::HELD.found(target.reference(), message).hint(hint)))
}

/// The pods that name a claim.
pub fn pods<'a>(claim: &Value, facts: &'a Facts) -> impl Iterator<Item = &'a model::Pod> {
    let namespace = text(claim, "/metadata/namespace").unwrap_or_default().to_owned();
    let name = name(claim).to_owned();
    let of_claim = move |pod: &&model::Pod| {
        *pod.namespace == *namespace && pod.claims.iter().any(|claim| **claim == *name)
    };
    facts.pods.iter().filter(of_claim)
}

pub fn check_snapshot_class(
    target: &Target,
    class: &SnapshotClass,
    volume: &Value,
) -> Result<(), Box<Finding>> {
    class
        .takes(name(volume), text(volume, "/spec/csi/driver"))
        .map_err(|why| Box::new(rules::NO_SNAPSHOTS.found(target.reference(), why)))
}
