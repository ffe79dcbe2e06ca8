//! Claims, volumes and classes.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A PersistentVolumeClaim.
#[derive(Clone, Debug)]
pub struct Claim {
    pub name: String,
    pub uid: String,
    /// `ownerReferences`: with the last of them the garbage collector takes it.
    pub owners: Vec<Owner>,
    /// Since when no pod that runs or is to run uses it, as the server says
    /// (KEP-5541, condition `Unused`). It may have been idle for longer.
    pub unused_since: Option<Timestamp>,
    pub created: Option<Timestamp>,
    pub deleting: Option<Timestamp>,
    pub phase: String,
    pub class: Option<String>,
    pub volume: Option<String>,
    /// What it really has; absent until bound.
    pub capacity: Option<String>,
    pub request: Option<String>,
    pub access_modes: Vec<String>,
    /// The node that the scheduler chose for WaitForFirstConsumer.
    pub selected_node: Option<String>,
    pub finalizers: Vec<String>,
}

/// Somebody with whom an object goes.
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
    pub claim: Option<ClaimRef>,
    /// The CSI driver, where it is of one.
    pub driver: Option<String>,
}

/// Whom a volume belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRef {
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
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
    /// Whether volumes of it appear by themselves.
    pub fn provisions(&self) -> bool {
        self.provisioner != "kubernetes.io/no-provisioner"
    }
}

impl Volume {
    /// Why this volume cannot serve that claim, or `None` when it could.
    /// Classes are compared by the caller, who knows the default.
    pub fn unfit_for(&self, claim: &Claim) -> Option<String> {
        if self.phase != "Available" {
            let holder = self.claim.as_ref().map_or_else(String::new, |claim| {
                format!(" (claim {}/{})", claim.namespace, claim.name)
            });
            return Some(format!("{} is {}{holder}", self.name, self.phase));
        }
        if let Some(missing) = claim.access_modes.iter().find(|m| !self.access_modes.contains(m)) {
            return Some(format!("{} lacks access mode {missing}", self.name));
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

/// The value of a Kubernetes quantity in whole units, rounded down; `None`
/// where it is no quantity. Exact enough to compare sizes of disks.
pub fn bytes(quantity: &str) -> Option<u128> {
    fraction(quantity).map(|(amount, divisor)| amount / divisor)
}

/// Whether both are quantities, and of the same amount: `1` and `1000m`.
pub fn same_quantity(one: &str, other: &str) -> bool {
    let (Some((one, by)), Some((other, by_other))) = (fraction(one), fraction(other)) else {
        return false;
    };
    // Amounts beyond this are no amounts of anything.
    matches!((one.checked_mul(by_other), other.checked_mul(by)), (Some(l), Some(r)) if l == r)
}

/// A quantity as an amount and what it is to be divided by.
fn fraction(quantity: &str) -> Option<(u128, u128)> {
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
    // Digits beyond the ninth decimal place are less than a byte of any disk
    // that a claim could name with them.
    let fraction = fraction.get(..fraction.len().min(9))?;
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(((whole.checked_mul(places)? + parts).checked_mul(scale)?, places * divisor))
}

/// A Service, as far as a set needs it.
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
