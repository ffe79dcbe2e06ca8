//! The writes of each step. The table in [`super`] shows their purpose.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Original,
    look::{
        holds, is_bound, is_held, is_held_to_go, is_ours, is_waiting_for_us, is_withheld, may_go,
        needs_hold,
    },
    marks::{BOUND_BY_CONTROLLER, CLAIM_DELETED, HOLD, KEEPS, TOUCHED},
    patch::{annotate, label_gone, patch, patch_any_version, set_annotation, set_finalizers, test},
};
use crate::{
    cluster::{Object, Resource, Write},
    workload::{
        MIGRATION_MARK,
        raw::{annotation, is_leaving, items, name, namespace, policy, text, uid, version},
    },
};

const POLICY: &str = "/spec/persistentVolumeReclaimPolicy";
const CLAIM_REF: &str = "/spec/claimRef";
const HOLDER: &str = "/spec/claimRef/uid";

/// Sets the policy to `Retain`, and notes the policy that it had in the same
/// write.
pub fn protect(volume: &Value, original: &Original) -> Write {
    let mut operations = vec![json!({ "op": "add", "path": POLICY, "value": "Retain" })];
    operations.extend(annotate(volume, original.key(), Some(&original.value())));
    patch(Resource::VOLUME, volume, operations, policy_moves(volume, "Retain"))
}

/// Keeps the volume of a claim that was deleted while it is held: the policy is
/// not restored for that claim. The note stays, for the next claim.
pub fn withhold(volume: &Value, claim: &Value, original: &Original) -> Write {
    let mut operations = annotate(volume, CLAIM_DELETED, Some(uid(claim)));
    if policy(volume) != "Retain" {
        operations.push(json!({ "op": "add", "path": POLICY, "value": "Retain" }));
        operations.push(set_annotation(original.key(), &original.value()));
    }
    let summary = format!("{}: {} was deleted", policy_moves(volume, "Retain"), name(claim));
    patch(Resource::VOLUME, volume, operations, summary)
}

/// Reserves the volume for the claim of this name. The claim that had it before
/// is gone.
pub fn reserve(volume: &Value, namespace: &str, claim: &str) -> Write {
    let mut operations = vec![
        test(POLICY, "Retain"),
        json!({ "op": "add", "path": CLAIM_REF, "value": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "namespace": namespace, "name": claim,
        }}),
    ];
    operations.extend(annotate(volume, BOUND_BY_CONTROLLER, None));
    operations.extend(annotate(volume, CLAIM_DELETED, None));
    let summary = format!("reserved for claim {claim}");
    patch(Resource::VOLUME, volume, operations, summary)
}

/// Gives the volume to another claim, in one write. `None` if that claim does not
/// name it.
pub fn swap(volume: &Value, to: &Value) -> Option<Write> {
    if is_leaving(to) || text(to, "/spec/volumeName") != Some(name(volume)) {
        return None;
    }
    let from = text(volume, "/spec/claimRef/name")?;
    let mut operations = vec![
        test(HOLDER, text(volume, HOLDER)?),
        test(POLICY, "Retain"),
        json!({ "op": "replace", "path": CLAIM_REF, "value": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "namespace": namespace(to)?, "name": name(to),
            "uid": uid(to), "resourceVersion": version(to),
        }}),
    ];
    operations.extend(annotate(volume, BOUND_BY_CONTROLLER, None));
    operations.extend(annotate(volume, CLAIM_DELETED, None));
    let summary = format!("claim {from} -> {}", name(to));
    Some(patch(Resource::VOLUME, volume, operations, summary))
}

/// Changes the claim, to make the binder look at it.
pub fn touch(claim: &Value, now: Timestamp) -> Write {
    let operations = annotate(claim, TOUCHED, Some(&now.to_string()));
    let why = "to speed up the binding";
    // Without annotations, the patch creates the map. It must not replace one
    // that the binder has created in the meantime.
    if claim.pointer("/metadata/annotations").is_none() {
        return patch(Resource::CLAIM, claim, operations, why);
    }
    // Otherwise the uid is enough: if the binder has written in the meantime, it
    // has looked already.
    patch_any_version(Resource::CLAIM, claim, operations, why)
}

/// A new claim.
pub fn make(claim: Value, summary: impl Into<String>) -> Write {
    let target = Object {
        resource: Resource::CLAIM,
        namespace: namespace(&claim).map(str::to_owned),
        name: name(&claim).to_owned(),
    };
    Write::create(target, claim, summary)
}

/// A claim for exactly this volume: it requests what the volume has. `metadata`
/// holds its namespace, name, labels and annotations.
pub fn claim_for(volume: &Value, metadata: &Value, modes: &Value) -> Value {
    let mut spec = json!({
        "accessModes": modes,
        "resources": { "requests": { "storage": text(volume, "/spec/capacity/storage") } },
        // Without this field the claim would get the default class.
        "storageClassName": text(volume, "/spec/storageClassName").unwrap_or_default(),
        "volumeName": name(volume),
    });
    for field in ["volumeMode", "volumeAttributesClassName"] {
        if let Some(value) = volume.pointer(&format!("/spec/{field}")) {
            spec[field] = value.clone();
        }
    }
    let mut claim = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim" });
    claim["metadata"] = metadata.clone();
    claim["spec"] = spec;
    claim
}

/// Keeps the claim while its volume gets its policy back. `None` if it is being
/// deleted: then no finalizer can be added.
pub fn hold(claim: &Value) -> Option<Write> {
    if is_leaving(claim) {
        return None;
    }
    let all = items(claim, "/metadata/finalizers").cloned().chain([json!(HOLD)]);
    let why = "kept until the policy of its volume is restored";
    Some(patch(Resource::CLAIM, claim, vec![set_finalizers(all)], why))
}

/// The same for an operation that nothing else remembers: the claim gets its mark in
/// the same write, so that whoever finds the claim held can tell why.
pub fn hold_for(claim: &Value, op: &str) -> Option<Write> {
    if is_leaving(claim) {
        return None;
    }
    let all = items(claim, "/metadata/finalizers").cloned().chain([json!(HOLD)]);
    let mut operations = annotate(claim, MIGRATION_MARK, Some(op));
    operations.push(set_finalizers(all));
    let why = "kept until the policy of its volume is restored";
    Some(patch(Resource::CLAIM, claim, operations, why))
}

/// Keeps the claim, once it is deleted, until its volume was looked at again.
/// `None` if it is being deleted.
pub fn hold_to_go(claim: &Value) -> Option<Write> {
    if is_leaving(claim) {
        return None;
    }
    // The first: others that go before it leave it in its place.
    let all = [json!(KEEPS)].into_iter().chain(items(claim, "/metadata/finalizers").cloned());
    let why = "held until its volume is seen to stay";
    Some(patch(Resource::CLAIM, claim, vec![set_finalizers(all)], why))
}

/// Takes back [`hold_to_go`], of a claim that is not deleted after all. `None` for
/// any other claim.
pub fn spare(claim: &Value) -> Option<Write> {
    if is_leaving(claim) || !is_held_to_go(claim) {
        return None;
    }
    let rest = items(claim, "/metadata/finalizers").filter(|one| *one != KEEPS).cloned();
    let why = "not deleted, and no longer held";
    Some(patch(Resource::CLAIM, claim, vec![set_finalizers(rest)], why))
}

/// Restores the policy of the volume and removes our marks. `None` unless volume
/// and claim are bound, and the claim is held if the policy requires that.
pub fn release(volume: &Value, claim: &Value, original: &Original) -> Option<Write> {
    let was_deleted = is_withheld(volume, claim);
    if !is_bound(volume, claim) || needs_hold(original, claim) || was_deleted {
        return None;
    }
    let mut operations = vec![
        test(HOLDER, uid(claim)),
        test("/status/phase", "Bound"),
        json!({ "op": "add", "path": POLICY, "value": original.policy() }),
    ];
    operations.extend(annotate(volume, original.key(), None));
    operations.extend(annotate(volume, CLAIM_DELETED, None));
    if original.is_bound_by_controller() && annotation(volume, BOUND_BY_CONTROLLER).is_none() {
        operations.extend(annotate(volume, BOUND_BY_CONTROLLER, Some("yes")));
    }
    let summary = policy_moves(volume, original.policy());
    Some(patch(Resource::VOLUME, volume, operations, summary))
}

/// Leaves the volume under `Retain`, and removes the note.
pub fn leave(volume: &Value, original: &Original) -> Write {
    let mut operations = annotate(volume, original.key(), None);
    operations.extend(annotate(volume, CLAIM_DELETED, None));
    patch(Resource::VOLUME, volume, operations, "kept under policy Retain")
}

/// Removes our finalizers. `None` if the claim has none, or if the volume could be
/// deleted with the claim. `volume` is the volume that it names.
pub fn let_go(claim: &Value, volume: Option<&Value>) -> Option<Write> {
    if !is_ours(claim) || (is_leaving(claim) && !may_go(claim, volume)) {
        return None;
    }
    let why = if is_leaving(claim) {
        "its volume is kept"
    } else {
        "the policy of its volume is restored"
    };
    // Kubernetes takes its own finalizer off at the same time, which is no reason to
    // look again: a claim that is being deleted gets no new ones, and the volume was
    // read after the deletion.
    let first = items(claim, "/metadata/finalizers").next().and_then(Value::as_str);
    if is_leaving(claim) && !is_held(claim) && first == Some(KEEPS) {
        let path = "/metadata/finalizers/0";
        let operations = vec![test(path, KEEPS), json!({ "op": "remove", "path": path })];
        return Some(patch_any_version(Resource::CLAIM, claim, operations, why));
    }
    Some(patch(Resource::CLAIM, claim, vec![without_hold(claim)], why))
}

/// Removes our finalizers, and lets the policy of the volume decide what happens
/// to the data: the user asked for that. `None` if the claim has none.
pub fn let_go_with_volume(claim: &Value) -> Option<Write> {
    let why = "the policy of its volume decides";
    is_ours(claim).then(|| patch(Resource::CLAIM, claim, vec![without_hold(claim)], why))
}

/// The next write for a claim that was deleted while it is held: its volume is
/// made safe from that, then our finalizers are removed. `None` for any other claim,
/// and if the volume is not known. Without `original`, the current policy is
/// noted.
pub fn finish_deletion(
    claim: &Value,
    volume: Option<&Value>,
    original: Option<&Original>,
) -> Option<Write> {
    if !is_waiting_for_us(claim) {
        return None;
    }
    let_go(claim, volume).or_else(|| {
        let volume = volume.filter(|volume| holds(volume, claim))?;
        let original = original.cloned().unwrap_or_else(|| Original::now(volume));
        Some(withhold(volume, claim, &original))
    })
}

/// Removes our marks: the annotations with these `keys` and those of a handover,
/// the label, the finalizer. `None` if there is none, or as for [`let_go`].
pub fn clean(
    resource: Resource,
    found: &Value,
    keys: &[&str],
    volume: Option<&Value>,
) -> Option<Write> {
    let keys = [MIGRATION_MARK, TOUCHED].into_iter().chain(keys.iter().copied());
    let mut operations: Vec<Value> = keys.flat_map(|key| annotate(found, key, None)).collect();
    operations.extend(label_gone(found, MIGRATION_MARK));
    if is_ours(found) {
        if is_leaving(found) && !may_go(found, volume) {
            return None;
        }
        operations.push(without_hold(found));
    }
    let why = "marks removed";
    (!operations.is_empty()).then(|| patch(resource, found, operations, why))
}

fn without_hold(claim: &Value) -> Value {
    let is_other = |one: &&Value| **one != HOLD && **one != KEEPS;
    set_finalizers(items(claim, "/metadata/finalizers").filter(is_other).cloned())
}

fn policy_moves(volume: &Value, to: &str) -> String {
    let from = Some(policy(volume)).filter(|from| !from.is_empty()).unwrap_or("<none>");
    if from == to { format!("policy stays {to}") } else { format!("policy {from} -> {to}") }
}
