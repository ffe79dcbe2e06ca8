//! The next move of a rollback: from wherever the migration is, back to the
//! Deployment. Pure.
//!
//! First the volumes are handed back and the application starts. What someone has
//! deleted meanwhile, the Deployment or its claims, is made again from the journal.
//! Then what the migration created is deleted, and last the policies are restored.
//! Claims that the set got for itself are deleted; the policy of their volumes
//! decides what becomes of those.

use serde_json::Value;

use super::{
    disturbed::{claims_go, retain, scale_to_zero},
    fill::{without_jobs, without_snapshots},
    forward::{
        Act, Memory, Move, delete_or_wait, holds_paused, scaler_points, wait_for_binding,
        wait_for_detach, wait_for_pods,
    },
    journal::{Disk, Held, Journal, SourceDeployment},
    rules,
    world::{Reserved, World, has_tag, is_marked, is_ours},
};
use crate::{
    handover::{holds, is_waiting_for_us, may_go, needs_hold},
    workload::{
        Finding, Pod,
        raw::{
            deployment_mounts, is_leaving, is_observed, items, name, phase, policy, replicas, text,
            uid,
        },
    },
};

/// The next move back.
pub fn next(world: &World, journal: &Journal, memory: &Memory) -> Move {
    let first = free_deleted_claims(world, journal).or_else(|| keep_volumes(world, journal));
    if let Some(next) = first {
        return next;
    }
    if let Some(finding) = blocked(world, journal) {
        return Move::stop(finding);
    }
    let scalers = 0..journal.scalers.len();
    if let Some(index) = scalers.clone().find(|index| scaler_points(world, journal, *index, true)) {
        return Move::Act(Act::PointScalerBack(index));
    }
    if let Some(next) = without_jobs(world, journal).or_else(|| stop_set(world, journal)) {
        return next;
    }
    if let Some(next) = give_back(world, journal, memory) {
        return next;
    }
    for (index, member) in journal.deployments.iter().enumerate() {
        match world.deployment(member) {
            None => return Move::Act(Act::CreateDeployment(index)),
            Some(found) if is_leaving(found) => {
                return Move::Wait { what: format!("Deployment {} to be gone", member.name) };
            }
            Some(found) if member.replicas > 0 && replicas(found) == 0 => {
                return Move::Act(Act::StartDeployment(index));
            }
            Some(_) => {}
        }
    }
    if let Some(index) = scalers.into_iter().find(|index| holds_paused(world, journal, *index)) {
        return Move::Act(Act::ResumeScaler(index));
    }
    clean_up(world, journal)
}

/// Hands the volumes back to the old claims, which are made again if someone has
/// deleted them, and waits until they are bound.
fn give_back(world: &World, journal: &Journal, memory: &Memory) -> Option<Move> {
    for (index, disk) in journal.disks.iter().enumerate() {
        let old = world.old_claim(disk);
        if !journal.rebinds() {
            // The old claims were only read, and cannot be made again.
            if old.is_none_or(|claim| !world.is_bound(disk, claim)) {
                return Some(wait_for_binding(index, memory, &disk.old.name, &disk.pv.name));
            }
            continue;
        }
        match old {
            // Its name is free when the other claim is gone.
            None if world.other_claim(disk).is_some() => {
                return Some(Move::Wait { what: format!("claim {} to be gone", disk.old.name) });
            }
            None => return Some(protect_before(index, world, journal, Act::CreateOldClaim(index))),
            Some(claim) if is_leaving(claim) => {
                return Some(Move::Wait { what: format!("claim {} to be gone", disk.old.name) });
            }
            Some(_) if !world.old_claim_has_it(disk) => {
                return Some(protect_before(index, world, journal, Act::SwapBack(index)));
            }
            Some(claim) if !world.is_bound(disk, claim) => {
                return Some(wait_for_binding(index, memory, &disk.old.name, &disk.pv.name));
            }
            Some(_) => {}
        }
    }
    None
}

/// Why a rollback would not bring the Deployment back: something that it needs is
/// gone and cannot be made again, or someone else has taken its place. A rollback
/// looks here before its first write.
pub fn blocked(world: &World, journal: &Journal) -> Option<Finding> {
    if let Some(finding) = world.own_set(journal).and_then(|set| {
        let runs = replicas(set) > 0 || world.pods_of_set(uid(set)).next().is_some();
        claims_go(world, journal, set, runs)
    }) {
        return Some(finding);
    }
    if let Some(finding) = claims_owned(world, journal) {
        return Some(finding);
    }
    let no_way = |on: String, message: String| rules::NO_WAY_BACK.found(on, message);
    let namespace = &journal.namespace;
    for disk in &journal.disks {
        let (pv, on) = (&disk.pv.name, format!("persistentvolume/{}", disk.pv.name));
        let found = world.held_volume(&disk.pv);
        let why = match found {
            None if world.volumes.contains_key(pv) => "was replaced by another of that name".into(),
            None => "is gone".to_owned(),
            Some(found) if is_leaving(found) => "is being deleted".to_owned(),
            Some(found) if world.reserved(disk) == Reserved::Elsewhere => {
                let holder = text(found, "/spec/claimRef/name").unwrap_or("<none>");
                let (old, new) = (&disk.old.name, &disk.new);
                format!("is reserved for claim {holder}, and for neither {old} nor {new}")
            }
            Some(_) => continue,
        };
        return Some(no_way(on, format!("volume {pv} {why}")));
    }
    if let Some(finding) = journal.disks.iter().find_map(|disk| claim_blocks(world, journal, disk))
    {
        return Some(finding);
    }
    if let Some(finding) = kept_claim_blocks(world, journal) {
        return Some(finding);
    }
    for member in &journal.deployments {
        let name = &member.name;
        if world.other_deployment(member).is_some_and(|found| !is_leaving(found)) {
            let message = format!(
                "Deployment {name} is another one by now, which mounts other claims than the \
                 original; delete or rename it, and the rollback makes the original again"
            );
            return Some(no_way(format!("deployment/{name}"), message));
        }
    }
    if let Some(pod) = world.orphaned_pods(journal).next() {
        let message = format!(
            "pod {} uses the disks and belongs to no set: someone deleted StatefulSet {} without \
             its pods, and nothing else ends it",
            pod.name,
            journal.set_name()
        );
        let hint = format!("kubectl delete pod/{} -n {namespace}", pod.name);
        return Some(no_way(format!("pod/{}", pod.name), message).hint(hint));
    }
    let again = world.set_in_place(journal).filter(|_| world.own_set(journal).is_none());
    again.filter(|set| replicas(set) > 0).map(|_| {
        let set = journal.set_name();
        let message = format!(
            "someone deleted StatefulSet {set} and made it again; its pods use the claims, and a \
             rollback stops no set that it did not create"
        );
        let hint = format!("kubectl scale statefulset/{set} --replicas=0 -n {namespace}");
        no_way(format!("statefulset/{set}"), message).hint(hint)
    })
}

/// A claim that goes when the set is deleted, although the set keeps its claims by
/// now: the controller takes the owner only from claims that have a pod.
fn claims_owned(world: &World, journal: &Journal) -> Option<Finding> {
    let set = world.own_set(journal).filter(|set| !is_leaving(set))?;
    let is_owned = |claim: &&Value| {
        let moved = journal.disks.iter().any(|disk| disk.new == name(claim));
        !moved
            && items(claim, "/metadata/ownerReferences")
                .any(|owner| text(owner, "/uid") == Some(uid(set)))
    };
    let called = name(world.set_claims.iter().find(is_owned)?);
    let message = format!(
        "StatefulSet {} owns claim {called}, which the migration did not move: a rollback deletes \
         the set, and the claim goes with its data",
        name(set)
    );
    let hint = format!(
        "kubectl patch pvc/{called} -n {} --type=json -p \
         '[{{\"op\":\"remove\",\"path\":\"/metadata/ownerReferences\"}}]'",
        journal.namespace
    );
    let on = format!("persistentvolumeclaim/{called}");
    Some(rules::CLAIMS_GO.found(on, message).hint(hint))
}

/// Why a rollback brings the Deployment back and does not delete the set: nobody can
/// tell which claims go with it.
pub fn claims_unread(world: &World, journal: &Journal) -> Option<Finding> {
    let set = world.own_set(journal).filter(|set| world.set_claims_unread && !is_leaving(set))?;
    let (called, namespace) = (name(set), &journal.namespace);
    let message = format!(
        "you may not list persistentvolumeclaims, and claims that StatefulSet {called} owns would \
         go with it: the rollback brings the Deployment back, and does not delete the set"
    );
    let hint = format!(
        "who may list persistentvolumeclaims runs, to end it: kubectl stateful migrate resume \
         sts/{called} -n {namespace}"
    );
    Some(rules::NO_RIGHTS.found(format!("namespace/{namespace}"), message).hint(hint))
}

/// A claim that is shared, and that someone has deleted, goes when the pods of the
/// set are stopped; the journal could not make it again.
fn kept_claim_blocks(world: &World, journal: &Journal) -> Option<Finding> {
    let set = world.own_set(journal)?;
    let runs = replicas(set) > 0 || world.pods_of_set(uid(set)).next().is_some();
    let leaving = |claim: &&String| world.claims.get(*claim).is_some_and(is_leaving);
    let claim = journal.kept.iter().find(leaving).filter(|_| runs)?;
    let message = format!(
        "someone deleted claim {claim}; it goes when the pods of the set are stopped, and the \
         Deployment needs it"
    );
    Some(rules::NO_WAY_BACK.found(format!("persistentvolumeclaim/{claim}"), message))
}

/// Why an old claim is in the way.
fn claim_blocks(world: &World, journal: &Journal, disk: &Disk) -> Option<Finding> {
    let (claim, pv) = (&disk.old.name, &disk.pv.name);
    let found = |message: String| {
        rules::NO_WAY_BACK.found(format!("persistentvolumeclaim/{claim}"), message)
    };
    let namespace = &journal.namespace;
    if let Some(other) = world.other_claim(disk).filter(|other| !is_leaving(other)) {
        let has = text(other, "/spec/volumeName").unwrap_or("<none>");
        let message = format!(
            "claim {claim} is another one by now, with volume {has} instead of {pv}; if nothing of \
             value is in it, delete it, and the rollback makes the original again"
        );
        // As long as a pod uses it, it would not go.
        let uses_it = |member: &&SourceDeployment| {
            world.deployment(member).is_some_and(|one| {
                replicas(one) > 0 && deployment_mounts(one).iter().any(|(_, used)| used == claim)
            })
        };
        let stops = journal.deployments.iter().filter(uses_it);
        let mut lines: Vec<String> =
            stops.map(|member| scale_to_zero(&member.name, namespace)).collect();
        lines.push(format!("kubectl delete pvc/{claim} -n {namespace}"));
        return Some(found(message).hint(lines.join(" && ")));
    }
    let old = world.old_claim(disk);
    if !journal.rebinds() {
        return old.is_none_or(is_leaving).then(|| {
            let now = world.held_volume(&disk.pv).map_or("<none>", |found| phase(found));
            let how = if old.is_none() { "is gone" } else { "is being deleted" };
            found(format!(
                "claim {claim}, which the Deployment needs, {how}; its volume {pv} is {now}"
            ))
        });
    }
    // A claim goes only when no pod on a node uses it any more.
    let leaving = old.filter(|old| is_leaving(old))?;
    let names = [name(leaving)];
    let stays = |pod: &&Pod| pod.node.is_some() && !pod.is_terminating();
    let user = world.users(&names, None).find(stays)?;
    let policy = world.held_volume(&disk.pv).map_or("<none>", policy);
    if policy != "Retain" {
        let message = format!(
            "someone deleted claim {claim}; it goes when pod {} has ended, and volume {pv} with \
             it: its policy is {policy}",
            user.name
        );
        return Some(found(message).hint(retain(pv)));
    }
    let message = format!(
        "someone deleted claim {claim}; it goes when pod {} has ended, and then the rollback makes \
         it again: {pv} stays, its policy is Retain",
        user.name
    );
    let mut finding = found(message);
    finding.hint = journal.deployments.first().map(|one| scale_to_zero(&one.name, namespace));
    Some(finding)
}

/// Protects a volume that would go with a claim that someone has deleted.
fn keep_volumes(world: &World, journal: &Journal) -> Option<Move> {
    let goes = |disk: &Disk| {
        let leaving = world.holder(disk).is_some_and(is_leaving);
        leaving && !world.is_protected(disk, journal)
    };
    let index = journal.disks.iter().position(goes).filter(|_| journal.rebinds())?;
    Some(Move::Act(Act::Protect(index)))
}

/// Stops the set, and waits until its disks are detached.
fn stop_set(world: &World, journal: &Journal) -> Option<Move> {
    let runs = |member: &SourceDeployment| {
        world.deployment(member).is_some_and(|found| replicas(found) > 0)
    };
    let deployment_runs = journal.deployments.iter().any(runs);
    let Some(set) = world.own_set(journal) else {
        // Some of its pods may be left, or another workload may use the claims.
        // If the Deployment runs, its own pods use the kept claims.
        let kept = journal.kept.iter().filter(|_| !deployment_runs);
        let new = journal.disks.iter().map(|disk| &disk.new);
        let claims: Vec<&str> = kept.chain(new).map(String::as_str).collect();
        return wait_for_pods(world.users(&claims, None));
    };
    if replicas(set) > 0 {
        return Some(Move::Act(Act::StopSet));
    }
    // A controller that has not seen it may still create a pod.
    if !is_observed(set) {
        return Some(Move::Wait {
            what: "the controller of the set to see the scale-down".to_owned(),
        });
    }
    if let Some(wait) = wait_for_pods(world.pods_of_set(uid(set))) {
        return Some(wait);
    }
    // If the Deployment runs, its own pods have the disks.
    if deployment_runs { None } else { wait_for_detach(world, journal) }
}

/// Deletes what the migration created, and restores what it changed.
fn clean_up(world: &World, journal: &Journal) -> Move {
    if let Some(set) = world.own_set(journal) {
        if let Some(finding) = claims_unread(world, journal) {
            return Move::stop(finding);
        }
        return delete_or_wait(Act::DeleteSet, is_leaving(set), "the StatefulSet");
    }
    if let Some(service) = world.service.as_ref().filter(|service| is_ours(service, journal)) {
        return delete_or_wait(Act::DeleteService, is_leaving(service), "the Service");
    }
    for (index, disk) in journal.disks.iter().enumerate() {
        if let Some(claim) = world.new_claim(disk).filter(|claim| is_ours(claim, journal)) {
            return delete_claim(index, world, journal, claim, Act::DeleteNewClaim(index));
        }
    }
    if let Some(next) = restore_volumes(world, journal) {
        return next;
    }
    let marked = |disk: &Disk| world.old_claim(disk).is_some_and(is_marked);
    if let Some(index) = journal.disks.iter().position(marked) {
        return Move::Act(Act::CleanOldClaim(index));
    }
    Move::Done
}

/// Deletes a claim of a disk, when its volume is sure to stay.
pub(super) fn delete_claim(
    index: usize,
    world: &World,
    journal: &Journal,
    claim: &Value,
    act: Act,
) -> Move {
    match delete_or_wait(act, is_leaving(claim), &format!("claim {}", name(claim))) {
        Move::Act(act) => protect_before(index, world, journal, act),
        wait => wait,
    }
}

/// Deletes the snapshots, and gives the volumes their policy back, which takes our mark
/// from them.
pub(super) fn restore_volumes(world: &World, journal: &Journal) -> Option<Move> {
    if let Some(next) = without_snapshots(world, journal) {
        return Some(next);
    }
    let tagged = |disk: &Disk| world.held_volume(&disk.pv).is_some_and(|pv| has_tag(pv, journal));
    let index = journal.disks.iter().position(tagged)?;
    Some(release(index, world, journal))
}

/// Sets the policy to `Retain` before an act that could otherwise delete the
/// volume: someone may have changed it meanwhile. If the set has its own volumes,
/// the old ones are not changed.
pub(super) fn protect_before(index: usize, world: &World, journal: &Journal, act: Act) -> Move {
    let is_safe = !journal.rebinds() || world.is_protected(&journal.disks[index], journal);
    Move::Act(if is_safe { act } else { Act::Protect(index) })
}

/// Restores the policy of the volume. Its claim is held first, if the volume
/// would be deleted with it under that policy.
pub fn release(index: usize, world: &World, journal: &Journal) -> Move {
    let disk = &journal.disks[index];
    let original = journal.original(disk);
    let holds_first = world.holder(disk).is_some_and(|claim| needs_hold(&original, claim));
    Move::Act(if holds_first { Act::Hold(index) } else { Act::Release(index) })
}

/// Deals with claims that someone deleted while we held them: first the volume is
/// kept, then the claim may go. This comes before all checks.
pub fn free_deleted_claims(world: &World, journal: &Journal) -> Option<Move> {
    // If the set has its own volumes, we hold no claim.
    if !journal.rebinds() {
        return None;
    }
    journal.disks.iter().enumerate().find_map(|(index, disk)| {
        let old = world.old_claim(disk).map(|claim| (claim, Act::CleanOldClaim(index)));
        let new = world.new_claim(disk).map(|claim| (claim, Act::CleanNewClaim(index)));
        let deleted = |(claim, _): &(&Value, Act)| is_waiting_for_us(claim);
        let (claim, clean) = [old, new].into_iter().flatten().find(deleted)?;
        if may_go(claim, world.volume_of(claim)) {
            return Some(Move::Act(clean));
        }
        let has = |pv: &Held| world.held_volume(pv).is_some_and(|pv| holds(pv, claim));
        if has(&disk.pv) {
            return Some(Move::Act(Act::Withhold(index)));
        }
        // Any other volume is not ours to change.
        let blank = disk.blank.as_ref().filter(|blank| has(&blank.pv));
        blank.map(|_| Move::Act(Act::WithholdBlank(index)))
    })
}

/// The first Deployment whose pods are not all available yet.
pub fn unavailable_deployment<'a>(world: &World, journal: &'a Journal) -> Option<&'a str> {
    let lacks = |member: &&SourceDeployment| {
        let found = world.deployment(member);
        found.is_some_and(|found| {
            let available = found.pointer("/status/availableReplicas");
            let available = available.and_then(Value::as_u64).unwrap_or_default();
            !is_observed(found) || available < u64::from(replicas(found))
        })
    };
    journal.deployments.iter().find(lacks).map(|member| member.name.as_str())
}

/// What a rollback has left behind: claims of the set that the migration did not
/// create, and a set that someone else made. `claims` are those with the name of
/// an ordinal; `None` if they could not be listed.
pub fn left_over(world: &World, journal: &Journal, claims: Option<&[Value]>) -> Vec<Finding> {
    let namespace = &journal.namespace;
    let mut left = Vec::new();
    if let Some(set) = world.set_in_place(journal) {
        let called = name(set);
        let message = format!(
            "StatefulSet {called} was made by someone else and is still there, scaled to {}",
            replicas(set)
        );
        let hint = format!("kubectl delete statefulset/{called} -n {namespace}");
        left.push(rules::LEFT_OVER.found(format!("statefulset/{called}"), message).hint(hint));
    }
    let Some(claims) = claims else {
        let message = format!(
            "claims could not be listed: the set may have left some, such as those of ordinals \
             that {} was scaled up to",
            journal.set_name()
        );
        left.push(rules::LEFT_OVER.found(format!("namespace/{namespace}"), message));
        return left;
    };
    let is_old = |claim: &&Value| journal.disks.iter().any(|disk| disk.old.name == name(claim));
    for claim in claims.iter().filter(|claim| !is_old(claim)) {
        let called = name(claim);
        let volume = text(claim, "/spec/volumeName").unwrap_or("<none>");
        let message = format!("claim {called} of the set is still there, with volume {volume}");
        let hint = format!("kubectl get pvc/{called} -n {namespace}");
        let on = format!("persistentvolumeclaim/{called}");
        left.push(rules::LEFT_OVER.found(on, message).hint(hint));
    }
    left
}
