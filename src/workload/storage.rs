//! Claims, volumes and classes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{Condition, Selector};

/// The annotation that came before `storageClassName` of claims and volumes; where it
/// stands, it is the one that counts.
pub const LEGACY_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub uid: String,
    /// `ownerReferences`: the garbage collector deletes it with the last owner.
    pub owners: Vec<Owner>,
    /// Since when no running or pending pod uses it, according to the server
    /// (KEP-5541, condition `Unused`). It may have been idle for longer.
    pub unused_since: Option<Timestamp>,
    pub created: Option<Timestamp>,
    pub deleting: Option<Timestamp>,
    pub phase: String,
    pub class: Option<String>,
    pub volume: Option<String>,
    /// The actual capacity; absent until bound.
    pub capacity: Option<String>,
    pub request: Option<String>,
    pub access_modes: Vec<String>,
    /// Whether it asks for a device (`volumeMode: Block`) and not a file system.
    pub is_block: bool,
    /// The labels that it wants of an existing volume.
    pub selector: Option<Selector>,
    /// The node that the scheduler chose for WaitForFirstConsumer.
    pub selected_node: Option<String>,
    pub finalizers: Vec<String>,
    /// The conditions about a change of its size.
    pub resizing: Vec<Condition>,
    /// `allocatedResourceStatuses.storage`: how far a change of its size is.
    pub resize_status: Option<String>,
    /// The annotation [`MIGRATION_MARK`](super::MIGRATION_MARK): the operation
    /// that has made this claim for a volume, and has not finished.
    pub mark: Option<String>,
}

/// An owner of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub kind: String,
    pub name: String,
    pub uid: String,
}

/// A PersistentVolume.
#[derive(Clone, Debug)]
pub struct Volume {
    pub name: String,
    pub phase: String,
    pub class: Option<String>,
    pub reclaim_policy: String,
    pub capacity: Option<String>,
    pub access_modes: Vec<String>,
    /// Whether it is a device (`volumeMode: Block`) and not a file system.
    pub is_block: bool,
    pub labels: BTreeMap<String, String>,
    /// The terms of `nodeAffinity.required`, one of which a node has to match; `None`
    /// for a volume that every node can use.
    pub node_terms: Option<Vec<Value>>,
    pub claim: Option<ClaimRef>,
    /// The CSI driver, if it has one.
    pub driver: Option<String>,
    pub created: Option<Timestamp>,
    pub deleting: Option<Timestamp>,
    /// The annotation [`MIGRATION_MARK`](super::MIGRATION_MARK), while the volume
    /// is handed over to another claim.
    pub mark: Option<String>,
}

/// The claim that a volume is bound to or reserved for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRef {
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
}

/// What is known about the volume that a claim names.
#[derive(Clone, Copy, Debug)]
pub enum VolumeSeen<'a> {
    /// Volumes could not be read.
    Unread,
    /// There is no such volume.
    Gone,
    Found(&'a Volume),
}

impl<'a> VolumeSeen<'a> {
    /// `known` is whether volumes could be read.
    pub fn new(found: Option<&'a Volume>, known: bool) -> VolumeSeen<'a> {
        match found {
            Some(volume) => VolumeSeen::Found(volume),
            None if known => VolumeSeen::Gone,
            None => VolumeSeen::Unread,
        }
    }
}

/// Whether the claim has a volume of its own, as far as that can be read.
pub fn has_volume(claim: &Claim, volume: VolumeSeen) -> bool {
    let is_its_own = match volume {
        VolumeSeen::Unread => true,
        VolumeSeen::Gone => false,
        VolumeSeen::Found(volume) => {
            let holder = volume.claim.as_ref().and_then(|claim| claim.uid.as_deref());
            holder.is_none_or(|holder| holder == claim.uid)
        }
    };
    claim.volume.is_some() && claim.phase != "Lost" && is_its_own
}

/// A StorageClass.
#[derive(Clone, Debug)]
pub struct Class {
    pub name: String,
    pub provisioner: String,
    pub is_default: bool,
    pub waits_for_consumer: bool,
}

impl Class {
    /// Whether it provisions volumes dynamically.
    pub fn provisions(&self) -> bool {
        self.provisioner != "kubernetes.io/no-provisioner"
    }
}

impl Volume {
    /// Why this volume cannot be bound to the claim, or `None` if it can. The
    /// caller compares the classes, because it knows the default, and the nodes.
    /// (`FindMatchingVolume` in `k8s.io/component-helpers/storage/volume`)
    pub fn unfit_for(&self, claim: &Claim) -> Option<String> {
        if self.deleting.is_some() {
            return Some(format!("{} is being deleted", self.name));
        }
        if self.phase != "Available" {
            let holder = self.claim.as_ref().map_or_else(String::new, |claim| {
                format!(" (claim {}/{})", claim.namespace, claim.name)
            });
            return Some(format!("{} is {}{holder}", self.name, self.phase));
        }
        if let Some(missing) = claim.access_modes.iter().find(|m| !self.access_modes.contains(m)) {
            return Some(format!("{} lacks access mode {missing}", self.name));
        }
        if self.is_block != claim.is_block {
            let mode = if self.is_block { "Block" } else { "Filesystem" };
            return Some(format!("{} has volumeMode {mode}", self.name));
        }
        if claim.selector.as_ref().is_some_and(|selector| !selector.matches(&self.labels)) {
            return Some(format!("{} lacks labels that the claim selects", self.name));
        }
        let (have, want) = (self.capacity.as_deref(), claim.request.as_deref());
        match (have.and_then(bytes), want.and_then(bytes)) {
            (Some(size), Some(wanted)) if size < wanted => Some(format!(
                "{} has {}, less than {}",
                self.name,
                have.unwrap_or_default(),
                want.unwrap_or_default()
            )),
            _ => None,
        }
    }
}

/// The value of a Kubernetes quantity, rounded down to whole units; `None` if it
/// is not a quantity. Exact enough to compare sizes of volumes.
pub fn bytes(quantity: &str) -> Option<u128> {
    fraction(quantity).map(|(amount, divisor)| amount / divisor)
}

/// Whether both are quantities with the same value: `1` and `1000m`.
pub fn same_quantity(one: &str, other: &str) -> bool {
    let (Some((one, by)), Some((other, by_other))) = (fraction(one), fraction(other)) else {
        return false;
    };
    // Values that overflow are not real sizes.
    matches!((one.checked_mul(by_other), other.checked_mul(by)), (Some(l), Some(r)) if l == r)
}

/// A quantity as a numerator and a denominator.
pub(super) fn fraction(quantity: &str) -> Option<(u128, u128)> {
    let end = quantity.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    if !number.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (scale, divisor): (u128, u128) = match suffix {
        "" => (1, 1),
        "n" => (1, 1000_u128.pow(3)),
        "u" => (1, 1000_u128.pow(2)),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1000_u128.pow(2), 1),
        "G" => (1000_u128.pow(3), 1),
        "T" => (1000_u128.pow(4), 1),
        "P" => (1000_u128.pow(5), 1),
        "E" => (1000_u128.pow(6), 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => (10_u128.checked_pow(exponent.strip_prefix(['e', 'E'])?.parse().ok()?)?, 1),
    };
    // Digits after the ninth decimal place are less than a byte of any real
    // volume.
    let fraction = fraction.get(..fraction.len().min(9))?;
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(((whole.checked_mul(places)? + parts).checked_mul(scale)?, places * divisor))
}

/// The fields of a Service that are used.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub headless: bool,
    pub kind: String,
    pub selector: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::{bytes, same_quantity};

    #[test]
    fn quantities_compare_by_value() {
        assert_eq!(bytes("1Gi"), Some(1 << 30));
        assert_eq!(bytes("1.5Gi"), Some(3 << 29));
        assert_eq!(bytes("20G"), Some(20_000_000_000));
        assert_eq!(bytes("1e3"), Some(1000));
        assert_eq!(bytes("16384"), bytes("16Ki"));
        assert_eq!(bytes("1500m"), Some(1));
        assert_eq!(bytes("0.5Ei"), Some(1 << 59));
        for (one, other) in [("1", "1000m"), ("0.5", "500m"), ("1Gi", "1024Mi"), ("1u", "1000n")] {
            assert!(same_quantity(one, other), "{one} and {other}");
        }
        assert!(!same_quantity("1", "1001m"));
        assert!(!same_quantity("1 ", "1 "));
        for wrong in ["", "Gi", "1Qi", "1.2.3", "abc"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
