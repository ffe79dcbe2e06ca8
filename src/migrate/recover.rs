//! The old disk back under a set that runs on a blank one. Pure.
//!
//! That is how hand-made moves end: the set was there before its volume, got a
//! new, empty one, and the data sits on a volume that is Released. A claim
//! cannot be pointed at another volume, so it has to be made again; the blank
//! volume is told to stay before its claim goes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    back::{on_hold, release},
    journal::{ANNOTATION, Blank, Disk, Held, Journal, Order},
    object::{items, label, name, text},
    plan::{Act, Memory, Move, binding, conflict, taken, wait_for_ordinals, wait_for_pods},
    rules,
    world::{
        Reserved, World, annotation, has_tag, is_leaving, is_marked, is_ours, phase, policy,
        replicas, uid,
    },
};
use crate::{
    output::Error,
    workload::{Finding, Pod, canonical_ordinal},
};

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The volumes to put back, each with the template that they belong to
    /// where there are several.
    pub volumes: Vec<(Option<String>, String)>,
    pub ordinal: u32,
}

/// What is there before a recovery.
#[derive(Clone, Debug, Default)]
pub struct Before {
    pub set: Value,
    /// Claims of the namespace, by name.
    pub claims: std::collections::BTreeMap<String, Value>,
    /// The volumes that were named, and those of the claims.
    pub volumes: std::collections::BTreeMap<String, Value>,
}

/// Makes the plan.
///
/// # Errors
/// When the words name what is not there.
pub fn plan(
    before: &Before,
    wish: &Wish,
    op: &str,
    now: Timestamp,
) -> Result<(Journal, Vec<Finding>), Error> {
    let set = &before.set;
    let namespace = text(set, "/metadata/namespace").unwrap_or_default().to_owned();
    let mut journal = Journal::begin(op.to_owned(), namespace, bare(set), now);
    journal.replicas = replicas(set);
    journal.order = Order::StopFirst;
    let start = set.pointer("/spec/ordinals/start").and_then(Value::as_u64).unwrap_or_default();
    let index = u64::from(wish.ordinal).checked_sub(start);
    let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else {
        return Err(Error::usage(format!("{} begins with ordinal {start}", name(set))));
    };
    journal.down_to = index;
    let mut findings = Vec::new();
    let templates: Vec<&str> = items(set, "/spec/volumeClaimTemplates").map(name).collect();
    for (template, pv) in &wish.volumes {
        let template = match (template, templates.as_slice()) {
            (Some(asked), known) if known.contains(&asked.as_str()) => asked.as_str(),
            (None, [one]) => one,
            (_, []) => {
                return Err(Error::usage(format!("{} has no volumeClaimTemplates", name(set))));
            }
            (_, known) => {
                return Err(Error::usage(format!("which template is {pv} for?"))
                    .hint(format!("--pv TEMPLATE={pv}; there are: {}", known.join(", "))));
            }
        };
        let Some(volume) = before.volumes.get(pv) else {
            let message = format!("persistentvolumes \"{pv}\" not found");
            return Err(Error::with_headline(
                crate::output::Exit::Error,
                format!("Error from server (NotFound): {message}"),
            ));
        };
        let disk = disk(before, &journal, wish.ordinal, template, volume, &mut findings);
        journal.disks.push(disk);
    }
    let goes = text(set, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled");
    if goes == Some("Delete") {
        let message = format!("{} deletes claims when it is scaled down (whenScaled)", name(set));
        findings.push(rules::CLAIMS_GO.found(label(set), message).hint(format!(
            "kubectl patch sts {} -n {} -p '{{\"spec\":{{\"persistentVolumeClaimRetentionPolicy\":\
             {{\"whenScaled\":\"Retain\"}}}}}}'",
            name(set),
            journal.namespace
        )));
    }
    journal.plan = super::begin::digest(&journal, &findings);
    Ok((journal, findings))
}

/// What is remembered of the set: which it is.
fn bare(set: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": name(set), "namespace": text(set, "/metadata/namespace"), "uid": uid(set) },
        "spec": { "serviceName": text(set, "/spec/serviceName") },
    })
}

fn disk(
    before: &Before,
    journal: &Journal,
    ordinal: u32,
    template: &str,
    volume: &Value,
    findings: &mut Vec<Finding>,
) -> Disk {
    let set = &before.set;
    let claim_name = format!("{template}-{}-{ordinal}", name(set));
    let held = |object: &Value| Held { name: name(object).to_owned(), uid: uid(object).to_owned() };
    let old = before.claims.get(&claim_name);
    let blank = old
        .and_then(|claim| text(claim, "/spec/volumeName"))
        .and_then(|blank| before.volumes.get(blank));
    check(journal, &claim_name, volume, blank, findings);
    let policy =
        |pv: &Value| text(pv, "/spec/persistentVolumeReclaimPolicy").unwrap_or("Retain").to_owned();
    Disk {
        volume: template.to_owned(),
        template: template.to_owned(),
        old: old.map_or(Held { name: claim_name.clone(), uid: String::new() }, held),
        new: claim_name.clone(),
        claim: claim(set, old, template, &claim_name, volume, journal),
        pv: held(volume),
        policy: policy(volume),
        bound_by_controller: false,
        object: old.cloned().unwrap_or_default(),
        waits_for_pod: false,
        snapshot: None,
        blank: blank.map(|pv| Blank { pv: held(pv), policy: policy(pv) }),
    }
}

fn check(
    journal: &Journal,
    claim: &str,
    volume: &Value,
    blank: Option<&Value>,
    findings: &mut Vec<Finding>,
) {
    let on = format!("persistentvolume/{}", name(volume));
    let mut unfit = |message: String| {
        findings.push(rules::VOLUME_UNFIT.found(on.clone(), message));
    };
    if blank.is_some_and(|blank| uid(blank) == uid(volume)) {
        unfit(format!("claim {claim} has volume {} already", name(volume)));
    } else if !matches!(phase(volume), "Released" | "Available") {
        let holder = text(volume, "/spec/claimRef/name").unwrap_or("nobody");
        unfit(format!(
            "volume {} is {}, not Released or Available (claim {holder})",
            name(volume),
            phase(volume)
        ));
    }
    if is_leaving(volume) {
        unfit(format!("volume {} is being deleted", name(volume)));
    }
    for pv in [Some(volume), blank].into_iter().flatten() {
        if let Some(tag) = annotation(pv, ANNOTATION) {
            let message = format!("volume {} is in the hand of another migration: {tag}", name(pv));
            findings
                .push(rules::UNDER_WAY.found(format!("persistentvolume/{}", name(pv)), message));
        }
    }
    if let Some(blank) = blank {
        let message = format!(
            "what {} has written to {} since it runs stays there, and is not merged",
            journal.set_name(),
            name(blank)
        );
        findings
            .push(rules::BLANK_IS_KEPT.found(format!("persistentvolume/{}", name(blank)), message));
    }
}

/// The claim as the set would look for it, for exactly this volume.
fn claim(
    set: &Value,
    old: Option<&Value>,
    template: &str,
    claim_name: &str,
    volume: &Value,
    journal: &Journal,
) -> Value {
    let of_set = items(set, "/spec/volumeClaimTemplates").find(|one| name(one) == template);
    let labels = old
        .and_then(|old| old.pointer("/metadata/labels"))
        .or_else(|| set.pointer("/spec/selector/matchLabels"));
    let modes =
        volume.pointer("/spec/accessModes").or_else(|| of_set?.pointer("/spec/accessModes"));
    let mut spec = json!({
        "accessModes": modes,
        "resources": { "requests": { "storage": text(volume, "/spec/capacity/storage") } },
        "storageClassName": text(volume, "/spec/storageClassName").unwrap_or_default(),
        "volumeName": name(volume),
    });
    for field in ["volumeMode", "volumeAttributesClassName"] {
        if let Some(value) = volume.pointer(&format!("/spec/{field}")) {
            spec[field] = value.clone();
        }
    }
    let mut metadata = json!({
        "name": claim_name, "namespace": journal.namespace,
        "annotations": { ANNOTATION: journal.op },
    });
    if let Some(labels) = labels {
        metadata["labels"] = labels.clone();
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec,
    })
}

/// The next move.
pub fn next(world: &World, journal: &Journal, memory: &Memory, now: Timestamp) -> Move {
    if let Some(next) = on_hold(world, journal, Act::CleanNewClaim) {
        return next;
    }
    if let Some(stop) = changed(world, journal) {
        return stop;
    }
    for (index, disk) in journal.disks.iter().enumerate() {
        if disk.blank.is_some()
            && !is_at_rest(world, journal, disk)
            && !keeps_blank(world, journal, disk)
        {
            return Move::Act(Act::ProtectBlank(index));
        }
        if !is_at_rest(world, journal, disk) && !world.is_protected(disk, journal) {
            return Move::Act(Act::Protect(index));
        }
    }
    let swapped = journal.disks.iter().all(|disk| is_at_rest(world, journal, disk));
    if !swapped && let Some(next) = change_disks(world, journal, memory) {
        return next;
    }
    let Some(set) = world.own_set(journal) else { return gone(journal) };
    if replicas(set) != journal.replicas {
        return Move::Act(Act::StartSet);
    }
    if let Some(next) = wait_for_ordinals(world, journal, uid(set), now) {
        return next;
    }
    clear(world, journal)
}

/// Whether the claim is the new one, and has the volume.
fn is_at_rest(world: &World, _: &Journal, disk: &Disk) -> bool {
    world
        .new_claim(disk)
        .is_some_and(|claim| uid(claim) != disk.old.uid && world.is_bound(disk, claim))
}

/// Whether the blank volume stays when its claim goes.
fn keeps_blank(world: &World, journal: &Journal, disk: &Disk) -> bool {
    let blank = disk.blank.as_ref().and_then(|blank| world.held_volume(&blank.pv));
    blank.is_some_and(|pv| policy(pv) == "Retain" && has_tag(pv, journal))
}

fn gone(journal: &Journal) -> Move {
    let message = format!("StatefulSet {} is gone, or another one", journal.set_name());
    let on = format!("statefulset/{}", journal.set_name());
    conflict(rules::CHANGED.found(on, message))
}

fn changed(world: &World, journal: &Journal) -> Option<Move> {
    let Some(set) = world.own_set(journal).filter(|set| !is_leaving(set)) else {
        return Some(gone(journal));
    };
    let is = replicas(set);
    if is != journal.replicas && is != journal.down_to {
        let message = format!("somebody scaled the set to {is}; the plan has {}", journal.replicas);
        let on = format!("statefulset/{}", journal.set_name());
        return Some(conflict(rules::CHANGED.found(on, message)));
    }
    journal.disks.iter().find_map(|disk| {
        let on = format!("persistentvolume/{}", disk.pv.name);
        let pv = world.held_volume(&disk.pv).filter(|pv| !is_leaving(pv));
        let Some(pv) = pv else {
            let message = format!("volume {} is gone, or another one", disk.pv.name);
            return Some(conflict(rules::CHANGED.found(on, message)));
        };
        // Bound to somebody who is neither ours nor on the way.
        let elsewhere = phase(pv) == "Bound" && world.reserved(disk) == Reserved::Elsewhere;
        elsewhere.then(|| {
            let message = format!("volume {} is bound to another claim", disk.pv.name);
            conflict(rules::CHANGED.found(on, message))
        })
    })
}

/// The set without the pods that have the disks; then the claims change.
fn change_disks(world: &World, journal: &Journal, memory: &Memory) -> Option<Move> {
    let set = world.own_set(journal)?;
    if replicas(set) > journal.down_to {
        return Some(Move::Act(Act::StopSet));
    }
    let start = set.pointer("/spec/ordinals/start").and_then(Value::as_u64).unwrap_or_default();
    let first = start + u64::from(journal.down_to);
    let leaves = |pod: &&Pod| {
        ordinal(&pod.name, journal.set_name()).is_none_or(|ordinal| u64::from(ordinal) >= first)
    };
    if let Some(wait) = wait_for_pods(world.pods_of_set(uid(set)).filter(leaves)) {
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
            Some(blank) if uid(blank) == disk.old.uid => {
                let what = format!("claim {}", disk.new);
                return Some(super::back::gone_or(
                    Act::DeleteOldClaim(index),
                    is_leaving(blank),
                    &what,
                ));
            }
            None => return Some(Move::Act(Act::MakeClaim(index))),
            Some(claim) if !is_ours(claim, journal) => {
                return Some(taken("PersistentVolumeClaim", &disk.new));
            }
            Some(claim) if !world.is_bound(disk, claim) => {
                return Some(binding(index, memory, &disk.new, &disk.pv.name));
            }
            Some(_) => {}
        }
    }
    None
}

/// Neither the blank disk nor the other may still be somewhere.
fn wait_for_detach(world: &World, journal: &Journal) -> Option<Move> {
    let attachments = world.attachments.as_ref()?;
    let mut volumes = journal.disks.iter().flat_map(|disk| {
        let blank = disk.blank.as_ref().map(|blank| blank.pv.name.as_str());
        [Some(disk.pv.name.as_str()), blank].into_iter().flatten()
    });
    let (volume, node) = volumes.find_map(|pv| attachments.get_key_value(pv))?;
    Some(Move::Wait { what: format!("volume {volume} to be detached from {node}") })
}

/// Whether nobody but the claim by this name can get the volume.
fn is_reserved(world: &World, journal: &Journal, disk: &Disk) -> bool {
    let Some(pv) = world.held_volume(&disk.pv) else { return false };
    let word = |pointer: &str| text(pv, pointer).unwrap_or_default();
    let by_name = word("/spec/claimRef/namespace") == journal.namespace
        && word("/spec/claimRef/name") == disk.new;
    let holder = word("/spec/claimRef/uid");
    let new = world.new_claim(disk).filter(|claim| is_ours(claim, journal)).map(uid);
    by_name && (holder.is_empty() || new == Some(holder))
}

/// The policies, and nothing of ours. The blank volume stays, and under
/// Retain: what was written to it is nobody's to throw away.
fn clear(world: &World, journal: &Journal) -> Move {
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

fn ordinal(pod: &str, set: &str) -> Option<u32> {
    pod.strip_prefix(set)?.strip_prefix('-').and_then(canonical_ordinal)
}
