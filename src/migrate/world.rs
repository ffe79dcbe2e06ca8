//! The objects of one migration as they are at one moment. Pure.
//!
//! They are raw, because some are written back whole, and because what is
//! judged of them are a few fields each.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    journal::{ANNOTATION, Book, Disk, FILLED, HOLD, Held, Journal, TOUCHED},
    object::{items, name, text},
};
use crate::workload::Pod;

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By name, whatever its uid.
    pub deployments: BTreeMap<String, Value>,
    pub set: Option<Value>,
    pub service: Option<Value>,
    pub claims: BTreeMap<String, Value>,
    pub volumes: BTreeMap<String, Value>,
    pub jobs: BTreeMap<String, Value>,
    pub snapshots: BTreeMap<String, Value>,
    /// By kind and name.
    pub scalers: BTreeMap<(&'static str, String), Value>,
    /// Every pod of the namespace.
    pub pods: Vec<Pod>,
    /// Nodes by the volume that is attached there; `None` when that may not be
    /// read.
    pub attachments: Option<BTreeMap<String, String>>,
    pub book: Option<Book>,
}

/// Whom a volume is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    Old,
    New,
    /// A claim by the new one's name that is not there any more.
    Stale,
    /// Somebody else, or nobody.
    Elsewhere,
}

pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid").unwrap_or_default()
}

pub fn version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion").unwrap_or_default()
}

pub fn generation(object: &Value) -> i64 {
    object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
}

pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations").and_then(|all| all.get(key)).and_then(Value::as_str)
}

pub fn is_leaving(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|value| !value.is_null())
}

pub fn phase(object: &Value) -> &str {
    text(object, "/status/phase").unwrap_or_default()
}

/// What becomes of a volume when its claim goes.
pub fn policy(pv: &Value) -> &str {
    text(pv, "/spec/persistentVolumeReclaimPolicy").unwrap_or_default()
}

/// `spec.replicas`, one where it is not said.
pub fn replicas(object: &Value) -> u32 {
    let asked = object.pointer("/spec/replicas").and_then(Value::as_u64);
    asked.map_or(1, |asked| u32::try_from(asked).unwrap_or(u32::MAX))
}

pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels").and_then(|all| all.get(key)).and_then(Value::as_str)
}

/// Whether the controller of a workload has seen its newest spec.
pub fn is_observed(object: &Value) -> bool {
    let seen = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    seen.unwrap_or_default() >= generation(object)
}

/// Whether an object carries the mark of this migration: a set as a label, all
/// others as an annotation.
pub fn is_ours(object: &Value, journal: &Journal) -> bool {
    [annotation(object, ANNOTATION), label(object, ANNOTATION)].contains(&Some(journal.op.as_str()))
}

impl World {
    /// The Deployment that was there at the beginning, and no other.
    pub fn deployment(&self, held: &str, uid_then: &str) -> Option<&Value> {
        self.deployments.get(held).filter(|found| uid(found) == uid_then)
    }

    pub fn held_claim(&self, held: &Held) -> Option<&Value> {
        self.claims.get(&held.name).filter(|found| uid(found) == held.uid)
    }

    pub fn held_volume(&self, held: &Held) -> Option<&Value> {
        self.volumes.get(&held.name).filter(|found| uid(found) == held.uid)
    }

    pub fn new_claim(&self, disk: &Disk) -> Option<&Value> {
        self.claims.get(&disk.new)
    }

    /// The set that this migration has made, or is about.
    pub fn own_set(&self, journal: &Journal) -> Option<&Value> {
        let arrived = self.book.as_ref().and_then(|book| book.arrived.as_ref());
        self.set.as_ref().filter(|set| {
            // A set that was there before is known by its uid.
            is_ours(set, journal)
                || uid(&journal.set) == uid(set)
                || arrived.is_some_and(|arrived| arrived.set_uid == uid(set))
        })
    }

    /// Whom the volume is reserved for.
    pub fn reserved(&self, disk: &Disk) -> Reserved {
        let Some(pv) = self.held_volume(&disk.pv) else { return Reserved::Elsewhere };
        let holder = text(pv, "/spec/claimRef/uid").unwrap_or_default();
        if holder == disk.old.uid {
            return Reserved::Old;
        }
        let new = self.new_claim(disk);
        if new.is_some_and(|new| !holder.is_empty() && uid(new) == holder) {
            return Reserved::New;
        }
        let word = |pointer: &str| text(pv, pointer).unwrap_or_default();
        let by_name = word("/spec/claimRef/name") == disk.new
            && Some(word("/spec/claimRef/namespace")) == text(&disk.claim, "/metadata/namespace");
        if by_name && !holder.is_empty() { Reserved::Stale } else { Reserved::Elsewhere }
    }

    /// The claim that the volume is reserved for.
    pub fn holder(&self, disk: &Disk) -> Option<&Value> {
        let holder = text(self.held_volume(&disk.pv)?, "/spec/claimRef/uid")?;
        self.claims.values().find(|claim| uid(claim) == holder)
    }

    /// Whether the volume and this claim have each other, as both say.
    pub fn is_bound(&self, disk: &Disk, claim: &Value) -> bool {
        let Some(pv) = self.held_volume(&disk.pv) else { return false };
        phase(pv) == "Bound"
            && phase(claim) == "Bound"
            && text(pv, "/spec/claimRef/uid") == Some(uid(claim))
            && text(claim, "/spec/volumeName") == Some(name(pv))
            && !is_leaving(claim)
            && !is_leaving(pv)
    }

    /// Whether the volume is kept whatever becomes of its claims, and says so.
    pub fn is_protected(&self, disk: &Disk, journal: &Journal) -> bool {
        self.held_volume(&disk.pv).is_some_and(|pv| policy(pv) == "Retain" && has_tag(pv, journal))
    }

    /// Pods that have one of these claims in use, other than the set's own.
    pub fn users<'a>(
        &'a self,
        claims: &'a [&'a str],
        but_of: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| {
            let uses = pod.claims.iter().any(|claim| claims.contains(&claim.as_str()));
            let of_set = but_of.is_some() && pod.controller_uid.as_deref() == but_of;
            uses && !of_set && !is_finished(pod)
        })
    }

    /// The pods that the set has made.
    pub fn pods_of_set<'a>(&'a self, set_uid: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| pod.controller_uid.as_deref() == Some(set_uid))
    }

    /// The first of these volumes that is attached somewhere, and the node.
    pub fn attached<'a>(&'a self, journal: &'a Journal) -> Option<(&'a str, &'a str)> {
        let attachments = self.attachments.as_ref()?;
        journal.disks.iter().find_map(|disk| {
            attachments.get(&disk.pv.name).map(|node| (disk.pv.name.as_str(), node.as_str()))
        })
    }
}

/// Containers that have ended for good hold no disk.
pub fn is_finished(pod: &Pod) -> bool {
    matches!(pod.phase.as_str(), "Succeeded" | "Failed")
}

/// Whether a volume is in the hand of this migration.
pub fn has_tag(pv: &Value, journal: &Journal) -> bool {
    let tag = annotation(pv, ANNOTATION);
    let tag = tag.and_then(|text| serde_json::from_str::<super::journal::Tag>(text).ok());
    tag.is_some_and(|tag| tag.op == journal.op)
}

/// Whether an object bears a mark of ours.
pub fn is_marked(object: &Value) -> bool {
    [ANNOTATION, TOUCHED, FILLED].iter().any(|key| annotation(object, key).is_some())
        || label(object, ANNOTATION).is_some()
        || is_on_hold(object)
}

/// Whether a claim cannot go before we let it.
pub fn is_on_hold(claim: &Value) -> bool {
    items(claim, "/metadata/finalizers").any(|one| one == HOLD)
}
