//! What a volume and a claim, as they were read, say about each other.

use serde_json::Value;

use super::{
    Held, Original, Tag,
    marks::{CLAIM_DELETED, HOLD, KEEPS, TOUCHED},
};
use crate::workload::{
    MIGRATION_MARK,
    raw::{annotation, is_leaving, items, label, name, phase, policy, text, uid},
};

/// Which of the two claims of a handover a volume is reserved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    Old,
    New,
    /// An earlier claim with the new claim's name.
    Stale,
    /// Another claim, or none.
    Elsewhere,
}

/// Which claim the volume is reserved for. `new` is the claim that has the new
/// claim's name now, and `(namespace, name)` is that name.
pub fn reserved(
    volume: &Value,
    old: &Held,
    new: Option<&Value>,
    (namespace, name): (&str, &str),
) -> Reserved {
    let holder = text(volume, "/spec/claimRef/uid").unwrap_or_default();
    if holder == old.uid {
        return Reserved::Old;
    }
    if new.is_some_and(|new| holds(volume, new)) {
        return Reserved::New;
    }
    let by_name = text(volume, "/spec/claimRef/name") == Some(name)
        && text(volume, "/spec/claimRef/namespace") == Some(namespace);
    if by_name && !holder.is_empty() { Reserved::Stale } else { Reserved::Elsewhere }
}

/// Whether the volume is reserved for exactly this claim.
pub fn holds(volume: &Value, claim: &Value) -> bool {
    let holder = text(volume, "/spec/claimRef/uid").unwrap_or_default();
    !holder.is_empty() && holder == uid(claim)
}

/// Whether the volume and the claim are bound to each other, and neither is
/// being deleted.
pub fn is_bound(volume: &Value, claim: &Value) -> bool {
    phase(volume) == "Bound"
        && phase(claim) == "Bound"
        && holds(volume, claim)
        && text(claim, "/spec/volumeName") == Some(name(volume))
        && !is_leaving(claim)
        && !is_leaving(volume)
}

/// Whether the volume is kept when its claim is deleted, and has the tag of this
/// operation.
pub fn is_protected(volume: &Value, op: &str) -> bool {
    policy(volume) == "Retain" && is_tagged(volume, op)
}

/// Whether the volume has the tag of this operation.
pub fn is_tagged(volume: &Value, op: &str) -> bool {
    Tag::of(volume).is_some_and(|tag| tag.op == op)
}

/// Whether an object has a mark of a handover.
pub fn is_marked(object: &Value) -> bool {
    [MIGRATION_MARK, TOUCHED].iter().any(|key| annotation(object, key).is_some())
        || label(object, MIGRATION_MARK).is_some()
        || is_ours(object)
}

/// Whether an object has the mark of this operation: a label on a set, an
/// annotation on all others.
pub fn is_of(object: &Value, op: &str) -> bool {
    [annotation(object, MIGRATION_MARK), label(object, MIGRATION_MARK)].contains(&Some(op))
}

/// Whether a claim is held while its volume gets its policy back.
pub fn is_held(claim: &Value) -> bool {
    items(claim, "/metadata/finalizers").any(|one| one == HOLD)
}

/// Whether a claim is held until its volume was looked at after the deletion.
pub fn is_held_to_go(claim: &Value) -> bool {
    items(claim, "/metadata/finalizers").any(|one| one == KEEPS)
}

/// Whether a claim has a finalizer of ours: it stays until we remove that.
pub(super) fn is_ours(claim: &Value) -> bool {
    is_held(claim) || is_held_to_go(claim)
}

/// Whether someone has deleted a claim that we hold. It stays until its volume is
/// safe from that.
pub fn is_waiting_for_us(claim: &Value) -> bool {
    is_leaving(claim) && is_ours(claim)
}

/// Whether the volume is kept and will not get its policy back for this claim:
/// every release that was decided on before fails now.
pub fn is_withheld(volume: &Value, claim: &Value) -> bool {
    policy(volume) == "Retain" && annotation(volume, CLAIM_DELETED) == Some(uid(claim))
}

/// Whether our finalizers may be removed from a claim that is being deleted.
/// `volume` is the volume that it names; if that was not read, only a claim
/// without a volume may go. Without [`HOLD`] no [`release`](super::release) can be
/// on its way, so `Retain` is enough.
pub fn may_go(claim: &Value, volume: Option<&Value>) -> bool {
    match volume {
        Some(volume) => {
            let stays = policy(volume) == "Retain" && !is_held(claim);
            !holds(volume, claim) || stays || is_withheld(volume, claim)
        }
        None => phase(claim) == "Lost" || text(claim, "/spec/volumeName").is_none(),
    }
}

/// Whether the claim has to be held before the volume gets this policy back. Not
/// for `Retain`, under which the volume is kept.
pub fn needs_hold(original: &Original, claim: &Value) -> bool {
    original.policy() != "Retain" && !is_held(claim)
}
