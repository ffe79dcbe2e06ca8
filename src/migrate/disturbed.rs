//! What others have done to a migration, as findings. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    fates::{has_new_volume, set_has_data},
    journal::{Disk, Intent, Journal, Mode, SourceDeployment},
    rules,
    world::{Reserved, World, is_made_by_us},
};
use crate::{
    handover::holds,
    output::text::{count, list},
    workload::{
        Finding, Pod, Severity,
        raw::{generation, is_leaving, items, labels, name, phase, policy, replicas, text, uid},
    },
};

/// What is no longer as it was when the plan was made, so that the way forward stops.
pub fn changed(world: &World, journal: &Journal) -> Option<Finding> {
    // Once the set has the data, nothing is taken from the Deployment any more.
    let started =
        world.own_set(journal).is_some_and(|set| replicas(set) > 0) || set_has_data(world, journal);
    let mut of_deployments =
        journal.deployments.iter().filter_map(|member| deployment_changed(world, journal, member));
    if let Some((_, finding)) = of_deployments.find(|(is_up, _)| *is_up || !started) {
        return Some(finding);
    }
    // A claim that is being deleted goes when the pods that use it are stopped.
    if let Some(finding) = kept_claims_gone(world, journal).into_iter().next() {
        return Some(finding);
    }
    for disk in journal.disks.iter().filter(|_| journal.rebinds() || !started) {
        let on = format!("persistentvolume/{}", disk.pv.name);
        let gone = match world.held_volume(&disk.pv) {
            None => Some("is gone, or was replaced by another of that name"),
            Some(pv) if is_leaving(pv) => Some("is being deleted"),
            Some(_) if world.reserved(disk) == Reserved::Elsewhere => {
                Some("is reserved for neither the old claim nor the new one")
            }
            Some(_) => None,
        };
        if let Some(why) = gone {
            let message = format!("volume {} {why}", disk.pv.name);
            return Some(rules::CHANGED.found(on, message));
        }
        // A volume can only be handed over while its old claim exists.
        let old = world.old_claim(disk);
        if world.reserved(disk) == Reserved::Old && old.is_none_or(is_leaving) {
            let on = format!("persistentvolumeclaim/{}", disk.old.name);
            let message = format!(
                "claim {} is gone, being deleted, or replaced by another of that name; its data is on {}",
                disk.old.name, disk.pv.name
            );
            return Some(rules::CHANGED.found(on, message));
        }
    }
    let set = world.own_set(journal)?;
    let (is, to_be) = (replicas(set), journal.replicas);
    (is != 0 && is != to_be).then(|| {
        let message = format!("someone scaled the set to {is}; the plan has {to_be}");
        rules::CHANGED.found(format!("statefulset/{}", name(set)), message)
    })
}

/// A finding for each claim that the Deployment and the set share, and that
/// someone has deleted. The journal does not have it.
pub fn kept_claims_gone(world: &World, journal: &Journal) -> Vec<Finding> {
    let found = journal.kept.iter().filter_map(|claim| {
        let how = match world.claims.get(claim) {
            None => "is gone: no pod that needs it can start",
            Some(found) if is_leaving(found) => "is being deleted, and goes when its pods end",
            Some(_) => return None,
        };
        let message = format!("claim {claim}, which the Deployment and the set both use, {how}");
        Some(rules::CHANGED.found(format!("persistentvolumeclaim/{claim}"), message))
    });
    found.collect()
}

/// What someone has done to a Deployment, and whether it is scaled up.
fn deployment_changed(
    world: &World,
    journal: &Journal,
    member: &SourceDeployment,
) -> Option<(bool, Finding)> {
    let name = &member.name;
    let say = |message: String| rules::CHANGED.found(format!("deployment/{name}"), message);
    if world.other_deployment(member).is_some() {
        let message = format!(
            "Deployment {name} was replaced by another of that name, which mounts other claims"
        );
        return Some((false, say(message)));
    }
    let Some(found) = world.deployment(member) else {
        let message =
            format!("Deployment {name} is gone; a rollback makes it again from the journal");
        return Some((false, say(message)));
    };
    if is_leaving(found) {
        return Some((false, say(format!("Deployment {name} is being deleted"))));
    }
    let again = uid(found) != member.uid;
    if replicas(found) == 0 || (!again && generation(found) == member.generation) {
        return None;
    }
    let now = replicas(found);
    let message = if again && is_made_by_us(found) {
        format!(
            "a rollback made Deployment {name} again, which someone had deleted; it has {now} replicas"
        )
    } else if again {
        format!("someone deleted Deployment {name} and made it again, with {now} replicas")
    } else if now == member.replicas {
        // Scaled down by us, and up again; or its template was changed.
        format!("someone changed Deployment {name} since the plan was made; it has {now} replicas")
    } else {
        format!(
            "someone changed Deployment {name} since the plan was made: it has {now} replicas, \
             and had {}",
            member.replicas
        )
    };
    let mut finding = say(message);
    // With the same template it only has to be scaled down again.
    let template = |object: &Value| object.pointer("/spec/template/spec").cloned();
    if template(found) == template(&member.object) {
        finding = finding.hint(scale_to_zero(name, &journal.namespace));
    }
    Some((true, finding))
}

/// A finding if pods of a Deployment run while the set has the data.
pub fn both_run(world: &World, journal: &Journal) -> Option<Finding> {
    let set = world.set_in_place(journal).filter(|set| replicas(set) > 0)?;
    let stored = world.stored_journal.as_ref()?;
    if !matches!(stored.intent, Intent::Forward | Intent::Finish) {
        return None;
    }
    let set_name = name(set);
    journal.deployments.iter().find_map(|member| {
        let called = &member.name;
        let pods: Vec<&Pod> = world.pods_of_deployment(member, journal).collect();
        let running = pods.iter().filter(|pod| pod.phase == "Running").count();
        // That it is only scaled up is said by the verbs, which would stop for it.
        if running == 0 {
            return None;
        }
        let on = format!("deployment/{called}");
        let hint = scale_to_zero(called, &journal.namespace);
        let serves_both = world.service.as_ref().filter(|service| {
            let selector = labels(service, "/spec/selector");
            let of =
                |pod: &Pod| selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value));
            !selector.is_empty()
                && pods.iter().any(|pod| of(pod))
                && world.pods_of_set(uid(set)).any(of)
        });
        let behind = serves_both.map_or_else(String::new, |service| {
            format!(", and Service {} selects the pods of both", name(service))
        });
        let harm = if journal.mode == Mode::Keep {
            "both write to the same claims"
        } else {
            "what one writes, the other does not have"
        };
        let pods = count(running, "pod");
        let verb = if running == 1 { "runs" } else { "run" };
        let message = format!(
            "{pods} of Deployment {called} {verb} beside StatefulSet {set_name}{behind}: {harm}"
        );
        Some(rules::BOTH_RUN.found(on, message).hint(hint))
    })
}

/// A finding for each volume that goes with a claim that someone has deleted.
pub fn volumes_that_go(world: &World, journal: &Journal) -> Vec<Finding> {
    let kept = journal.kept.iter().filter_map(|claim| world.volume_of(world.claims.get(claim)?));
    let own = journal.disks.iter().filter_map(|disk| world.held_volume(&disk.pv));
    let found = own.chain(kept).filter_map(|volume| {
        let (called, policy) = (name(volume), policy(volume));
        let reserved = text(volume, "/spec/claimRef/name")?;
        let claim = world.claims.values().find(|claim| holds(volume, claim));
        if policy == "Retain" || claim.is_some_and(|claim| !is_leaving(claim)) {
            return None;
        }
        let how = if claim.is_some() { "is being deleted" } else { "is gone" };
        let message = format!(
            "claim {reserved} {how}, and volume {called} goes with it: its policy is {policy}"
        );
        let on = format!("persistentvolume/{called}");
        Some(rules::VOLUME_GOES.found(on, message).hint(retain(called)))
    });
    found.collect()
}

/// A finding for each moved volume whose policy somebody has changed while the way
/// back is open: nothing keeps it any more when its claim is deleted.
pub fn unprotected(world: &World, journal: &Journal) -> Vec<Finding> {
    let changed = journal.disks.iter().filter(|_| journal.rebinds()).filter_map(|disk| {
        let volume = world.held_volume(&disk.pv).filter(|volume| !is_leaving(volume))?;
        let claim = world.holder(disk).filter(|claim| !is_leaving(claim))?;
        let (called, policy) = (name(volume), policy(volume));
        (policy != "Retain").then(|| {
            let message = format!(
                "someone set the policy of volume {called} to {policy}: if claim {} is deleted, \
                 the data goes with it, and there is no way back; resume sets it to Retain again",
                name(claim)
            );
            let on = format!("persistentvolume/{called}");
            rules::CHANGED.found(on, message).hint(retain(called)).at(Severity::Warning)
        })
    });
    changed.collect()
}

/// A finding for each claim of the set that does not have the volume that was
/// moved to it.
pub fn off_their_disks(world: &World, journal: &Journal) -> Vec<Finding> {
    let off = |disk: &&Disk| {
        if journal.fills() {
            return !has_new_volume(world, disk);
        }
        !world.new_claim(disk).is_some_and(|claim| world.is_bound(disk, claim))
    };
    let off = journal.disks.iter().filter(off);
    off.map(|disk| off_its_disk(world, journal, disk)).collect()
}

/// What has become of a claim of the set that does not have its volume.
pub fn off_its_disk(world: &World, journal: &Journal, disk: &Disk) -> Finding {
    let (claim, pv) = (&disk.new, &disk.pv.name);
    let on = format!("persistentvolumeclaim/{claim}");
    let held = world.held_volume(&disk.pv);
    let state = held.map_or_else(
        || "which is gone".to_owned(),
        |held| format!("which is {}, with policy {}", phase(held), policy(held)),
    );
    let data = format!("the data is on {pv}, {state}");
    let Some(found) = world.new_claim(disk) else {
        let message = if journal.fills() {
            format!("claim {claim} is gone: someone has deleted it")
        } else {
            format!("claim {claim} is gone: someone has deleted it; {data}")
        };
        return rules::NOT_ARRIVED.found(on, message);
    };
    let has = text(found, "/spec/volumeName");
    if is_leaving(found) {
        let message = format!("claim {claim} is being deleted, and goes when its pod ends");
        let finding = rules::NOT_ARRIVED.found(on, message);
        // The claim is made again for the same volume, which has to outlive it.
        let stays = held.is_some_and(|pv| policy(pv) == "Retain" && !is_leaving(pv));
        let is_moved = !journal.fills() && has == Some(pv.as_str()) && world.set.is_some();
        return if stays && is_moved { finding.hint(put_back(world, journal)) } else { finding };
    }
    if journal.fills() || has == Some(pv.as_str()) {
        let message = format!("claim {claim} is {}, not Bound", phase(found));
        return rules::NOT_ARRIVED.found(on, message);
    }
    let message = format!(
        "claim {claim} is another one by now, with volume {} instead of {pv}: someone deleted the \
         claim that had it; {data}",
        has.unwrap_or("<none>")
    );
    let finding = rules::OTHER_DISK.found(on, message);
    // A resume stops for a volume that is gone: the set would be stopped for nothing.
    let is_here = |disk: &Disk| world.held_volume(&disk.pv).is_some_and(|pv| !is_leaving(pv));
    if journal.disks.iter().all(is_here) { finding.hint(put_back(world, journal)) } else { finding }
}

/// The commands that put the volumes back under the set. They keep what it has
/// written to others meanwhile.
fn put_back(world: &World, journal: &Journal) -> String {
    let (set, namespace) = (journal.set_name(), &journal.namespace);
    let off = journal.disks.iter().filter_map(|disk| {
        let found = world.new_claim(disk)?;
        (text(found, "/spec/volumeName") != Some(disk.pv.name.as_str())).then_some(found)
    });
    let off: Vec<&Value> = off.collect();
    let volumes = off.iter().filter_map(|claim| text(claim, "/spec/volumeName"));
    let mut lines: Vec<String> = volumes.map(retain).collect();
    // Otherwise the scale-down deletes the claims of all ordinals.
    if world.set.as_ref().is_some_and(|set| deletes_claims(set).is_some()) {
        lines.push(keep_claims(set, namespace));
    }
    lines.push(format!("kubectl scale statefulset/{set} --replicas=0 -n {namespace}"));
    lines.extend(
        off.iter().map(|claim| format!("kubectl delete pvc/{} -n {namespace}", name(claim))),
    );
    let goes = journal.disks.iter().filter_map(|disk| world.new_claim(disk));
    let goes = goes.filter(|claim| is_leaving(claim) && !off.contains(claim));
    lines.extend(goes.map(|claim| {
        format!("kubectl wait --for=delete pvc/{} --timeout=10m -n {namespace}", name(claim))
    }));
    lines.push(format!("kubectl stateful migrate resume sts/{set} -n {namespace}"));
    let finishes =
        world.stored_journal.as_ref().is_some_and(|stored| stored.intent == Intent::Finish);
    // A resume starts as many as were planned, and finalize none.
    let to = world.set.as_ref().map_or(journal.replicas, replicas).max(1);
    if finishes || to > journal.replicas {
        lines.push(format!("kubectl scale statefulset/{set} --replicas={to} -n {namespace}"));
    }
    lines.join(" && ")
}

/// Why the set must not be stopped or deleted: it deletes its claims then. Those of
/// ordinals that it was scaled up to are in no journal, and their volumes go with
/// them. `scales` says whether it is still to be scaled down.
pub fn claims_go(world: &World, journal: &Journal, set: &Value, scales: bool) -> Option<Finding> {
    let (scaled, deleted) = goes_with_claims(set)?;
    let when = match (scaled && scales, deleted) {
        (false, false) => return None,
        (true, false) => "is scaled down (whenScaled is Delete)",
        (false, true) => "is deleted (whenDeleted is Delete)",
        (true, true) => "is scaled down or deleted (whenScaled and whenDeleted are Delete)",
    };
    let is_known = |claim: &&str| {
        journal.disks.iter().any(|disk| disk.new == *claim)
            || journal.kept.iter().any(|kept| kept == claim)
    };
    let of_pods = world.pods_of_set(uid(set)).flat_map(|pod| &pod.claims).map(String::as_str);
    let others: BTreeSet<&str> = of_pods.filter(|claim| !is_known(claim)).collect();
    let others: Vec<&str> = others.into_iter().collect();
    let called = name(set);
    let which = if others.is_empty() {
        "those of ordinals that it was scaled up to go with their data".to_owned()
    } else {
        let go = if others.len() == 1 { "goes with its" } else { "go with their" };
        format!("{}, which the migration did not move, {go} data", list(&others))
    };
    let message = format!("StatefulSet {called} deletes its claims when it {when}: {which}");
    let on = format!("statefulset/{called}");
    Some(rules::CLAIMS_GO.found(on, message).hint(keep_claims(called, &journal.namespace)))
}

/// Why the set must not be scaled down to put a volume back: it deletes the claims of
/// the ordinals that are stopped.
pub fn claims_go_scaled(journal: &Journal, set: &Value) -> Option<Finding> {
    let called = name(set);
    goes_with_claims(set).filter(|(scaled, _)| *scaled)?;
    let message = format!(
        "StatefulSet {called} deletes its claims when it is scaled down (whenScaled is Delete), \
         and it is scaled to {} for this: those of the ordinals that stop go with their data",
        journal.down_to
    );
    let on = format!("statefulset/{called}");
    Some(rules::CLAIMS_GO.found(on, message).hint(keep_claims(called, &journal.namespace)))
}

fn goes_with_claims(set: &Value) -> Option<(bool, bool)> {
    let has_claims = items(set, "/spec/volumeClaimTemplates").next().is_some();
    deletes_claims(set).filter(|_| has_claims && !is_leaving(set))
}

/// Whether the set deletes claims when it is scaled down, and when it is deleted;
/// `None` if it does neither.
fn deletes_claims(set: &Value) -> Option<(bool, bool)> {
    let policy = "/spec/persistentVolumeClaimRetentionPolicy";
    let deletes = |when: &str| text(set, &format!("{policy}/{when}")) == Some("Delete");
    let both = (deletes("whenScaled"), deletes("whenDeleted"));
    (both.0 || both.1).then_some(both)
}

/// The command that makes a set keep its claims.
fn keep_claims(set: &str, namespace: &str) -> String {
    format!(
        "kubectl patch statefulset/{set} -n {namespace} -p \
         '{{\"spec\":{{\"persistentVolumeClaimRetentionPolicy\":\
         {{\"whenDeleted\":\"Retain\",\"whenScaled\":\"Retain\"}}}}}}'"
    )
}

/// The command that keeps a volume whatever becomes of its claim.
pub fn retain(volume: &str) -> String {
    format!(
        "kubectl patch pv/{volume} -p \
         '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'"
    )
}

/// The command that stops a Deployment.
pub fn scale_to_zero(deployment: &str, namespace: &str) -> String {
    format!("kubectl scale deployment/{deployment} --replicas=0 -n {namespace}")
}
