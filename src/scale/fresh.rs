//! A claim that is left from before, set aside: its volume goes to a claim of
//! another name, and the old name is free. Nothing on the volume is touched.
//! Pure.
//!
//! A claim cannot be renamed, but a volume can change hands. That is what a
//! migration does with the claims of a Deployment, so it is done with the same
//! acts: kept first, swapped in one write, bound, and the policy back last.

use serde_json::{Value, json};

use super::{record::Record, rules};
use crate::{
    migrate::{
        back::{on_hold, release},
        journal::{ANNOTATION, Disk, Held, Journal, Tag},
        object::{name, text},
        plan::{Act, Memory, Move, binding, taken},
        recover::Before,
        world::{Reserved, World, annotation, has_tag, is_leaving, is_marked, is_ours, uid},
    },
    output::{Exit, text::list},
    workload::{Finding, StatefulSet},
};

/// The name under which a claim is kept: `data-web-3-aside-20261121t101500`.
pub fn aside(claim: &str, record: &Record) -> String {
    let tail = record.started.strftime("-aside-%Y%m%dt%H%M%S").to_string();
    // Names have at most 253 characters.
    let room = 253 - tail.len();
    format!("{}{tail}", claim.get(..room).unwrap_or(claim))
}

/// The claims of an ordinal that are to be set aside, or have been in part;
/// `None` when there are none.
///
/// # Errors
/// When one of them cannot be.
pub fn journal(
    set: &StatefulSet,
    record: &Record,
    ordinal: u32,
    before: &Before,
) -> Result<Option<Journal>, Finding> {
    let op = record.started.strftime("scale-%Y%m%dt%H%M%S").to_string();
    let bare = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": set.name, "namespace": set.namespace, "uid": set.uid },
        "spec": { "serviceName": set.service_name },
    });
    let mut journal = Journal::begin(op, set.namespace.clone(), bare, record.started);
    for template in &set.claim_templates {
        let claim = set.claim_name(template, ordinal);
        let new = aside(&claim, record);
        let (old, kept) = (before.claims.get(&claim), before.claims.get(&new));
        // One of another making has the name, once the first is set aside.
        let old = old.filter(|old| match kept {
            Some(kept) => text(old, "/spec/volumeName") == text(kept, "/spec/volumeName"),
            None => true,
        });
        if old.is_none() && !kept.is_some_and(is_marked) {
            continue;
        }
        let volume = old.or(kept).and_then(|claim| text(claim, "/spec/volumeName"));
        let Some(pv) = volume.and_then(|volume| before.volumes.get(volume)) else {
            let message = format!("claim {claim} has no volume that could be kept");
            let on = format!("persistentvolumeclaim/{claim}");
            return Err(rules::NOT_ASIDE
                .found(on, message)
                .hint(format!("kubectl delete pvc {claim} -n {}", set.namespace)));
        };
        let tag = annotation(pv, ANNOTATION).and_then(|tag| serde_json::from_str::<Tag>(tag).ok());
        if let Some(tag) = tag.as_ref().filter(|tag| tag.op != journal.op) {
            let message = format!("volume {} is in the hand of {}", name(pv), tag.op);
            return Err(rules::NOT_ASIDE.found(format!("persistentvolume/{}", name(pv)), message));
        }
        let policy = tag.map(|tag| tag.policy);
        let policy = policy.as_deref().or(text(pv, "/spec/persistentVolumeReclaimPolicy"));
        let held =
            |object: &Value| Held { name: name(object).to_owned(), uid: uid(object).to_owned() };
        let by_controller = annotation(pv, "pv.kubernetes.io/bound-by-controller").is_some();
        let disk = Disk {
            volume: template.name.clone(),
            template: template.name.clone(),
            old: old.map_or_else(|| Held { name: claim.clone(), uid: String::new() }, held),
            claim: copy(old.or(kept).unwrap_or(&Value::Null), &new, &journal),
            new,
            pv: held(pv),
            policy: policy.unwrap_or("Retain").to_owned(),
            bound_by_controller: by_controller,
            object: old.cloned().unwrap_or_default(),
            waits_for_pod: false,
            snapshot: None,
            blank: None,
        };
        journal.disks.push(disk);
    }
    Ok(Some(journal).filter(|journal| !journal.disks.is_empty()))
}

/// The claim under its other name: all that somebody has asked for, and nothing
/// of what the controllers have written on it.
fn copy(claim: &Value, new: &str, journal: &Journal) -> Value {
    let controllers = [
        "pv.kubernetes.io/",
        "volume.kubernetes.io/",
        "volume.beta.kubernetes.io/storage-provisioner",
    ];
    let annotations = claim.pointer("/metadata/annotations").and_then(Value::as_object);
    let mut kept: serde_json::Map<String, Value> = annotations
        .into_iter()
        .flatten()
        .filter(|(key, _)| !controllers.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    kept.insert(ANNOTATION.to_owned(), json!(journal.op));
    let mut metadata = json!({ "name": new, "namespace": journal.namespace, "annotations": kept });
    if let Some(labels) = claim.pointer("/metadata/labels") {
        metadata["labels"] = labels.clone();
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": metadata, "spec": claim["spec"],
    })
}

/// The next move.
pub fn next(world: &World, journal: &Journal, memory: &Memory) -> Move {
    if let Some(next) = on_hold(world, journal, Act::CleanNewClaim) {
        return next;
    }
    for (index, disk) in journal.disks.iter().enumerate() {
        if let Some(next) = next_of(world, journal, memory, index, disk) {
            return next;
        }
    }
    Move::Done
}

fn next_of(
    world: &World,
    journal: &Journal,
    memory: &Memory,
    index: usize,
    disk: &Disk,
) -> Option<Move> {
    let old = world.held_claim(&disk.old);
    let new = world.new_claim(disk);
    let tagged = world.held_volume(&disk.pv).is_some_and(|pv| has_tag(pv, journal));
    if old.is_none() && !tagged && new.is_none_or(|new| !is_marked(new)) {
        return None;
    }
    let on = format!("persistentvolumeclaim/{}", disk.old.name);
    let not = |message: String| {
        let finding = rules::NOT_ASIDE.found(on.clone(), message);
        Some(Move::Stop { exit: Exit::Conflict, finding })
    };
    let names = [disk.old.name.as_str(), disk.new.as_str()];
    let users: Vec<&str> = world.users(&names, None).map(|pod| pod.name.as_str()).collect();
    if !users.is_empty() {
        return not(format!("claim {} is in use by {}", disk.old.name, list(&users)));
    }
    match new {
        _ if old.is_some() && !world.is_protected(disk, journal) => {
            return Some(Move::Act(Act::Protect(index)));
        }
        None => return Some(Move::Act(Act::MakeClaim(index))),
        Some(new) if !is_ours(new, journal) || is_leaving(new) => {
            return Some(taken("PersistentVolumeClaim", &disk.new));
        }
        Some(_) => {}
    }
    match world.reserved(disk) {
        Reserved::Old if old.is_some() => return Some(Move::Act(Act::Swap(index))),
        Reserved::New => {}
        _ => return not(format!("volume {} has gone to somebody else", disk.pv.name)),
    }
    let new = new?;
    if !world.is_bound(disk, new) {
        return Some(binding(index, memory, &disk.new, &disk.pv.name));
    }
    if let Some(old) = old {
        let what = format!("claim {} to be gone", disk.old.name);
        let leaving = is_leaving(old);
        return Some(if leaving {
            Move::Wait { what }
        } else {
            Move::Act(Act::DeleteOldClaim(index))
        });
    }
    Some(if tagged { release(index, world, journal) } else { Move::Act(Act::CleanNewClaim(index)) })
}
