//! ResourceQuotas, as admission counts them.

use std::collections::BTreeMap;

use super::storage::fraction;

/// A ResourceQuota with what its status says: that is what admission compares with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub name: String,
    pub hard: BTreeMap<String, String>,
    pub used: BTreeMap<String, String>,
}

/// What the API server says when a quota has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded<'a> {
    pub quota: &'a str,
    /// `pods=1,requests.cpu=500m`: what there was no room for.
    pub requested: &'a str,
}

impl<'a> Exceeded<'a> {
    /// Whether a message says so.
    pub fn is_said_in(message: &str) -> bool {
        message.contains(EXCEEDED)
    }

    /// Reads `exceeded quota: NAME, requested: …, used: …, limited: …`.
    pub fn read(message: &'a str) -> Option<Exceeded<'a>> {
        let (_, rest) = message.split_once(EXCEEDED)?;
        let (quota, rest) = rest.trim_start_matches(": ").split_once(", requested: ")?;
        let (requested, _) = rest.split_once(", used: ")?;
        Some(Exceeded { quota, requested })
    }
}

const EXCEEDED: &str = "exceeded quota";

impl Quota {
    /// Whether it has room for these amounts. It has room for a resource that it does not
    /// limit. `None`: it has not been counted yet, or an amount cannot be read.
    pub fn has_room(&self, requested: &str) -> Option<bool> {
        // Its controller has not looked at it.
        if self.hard.is_empty() {
            return None;
        }
        let mut has_room = true;
        for part in requested.split(',') {
            let (resource, amount) = part.split_once('=')?;
            let Some(hard) = self.hard.get(resource) else { continue };
            has_room &= fits(self.used.get(resource)?, amount, hard)?;
        }
        Some(has_room)
    }
}

/// Whether both amounts together are no more than `hard`.
fn fits(used: &str, amount: &str, hard: &str) -> Option<bool> {
    let ((used, by), (amount, by_amount)) = (fraction(used)?, fraction(amount)?);
    let (hard, by_hard) = fraction(hard)?;
    let all = used.checked_mul(by_amount)?.checked_add(amount.checked_mul(by)?)?;
    let by = by.checked_mul(by_amount)?;
    Some(all.checked_mul(by_hard)? <= hard.checked_mul(by)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "create Claim www-web-2 for Pod web-2 in StatefulSet web failed error: \
                           persistentvolumeclaims \"www-web-2\" is forbidden: exceeded quota: disks, \
                           requested: requests.storage=1Gi, used: requests.storage=2Gi, limited: \
                           requests.storage=2Gi";

    #[test]
    fn a_refusal_names_the_quota_and_the_amounts() {
        let found = Exceeded::read(MESSAGE).expect("it says so");
        assert_eq!((found.quota, found.requested), ("disks", "requests.storage=1Gi"));
        assert_eq!(Exceeded::read("exceeded quota: q"), None);
        assert!(Exceeded::is_said_in("exceeded quota: q"));
    }

    #[test]
    fn room_is_what_admission_finds() {
        let map = |all: &[(&str, &str)]| {
            all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let quota = |hard: &[(&str, &str)], used: &[(&str, &str)]| Quota {
            name: "q".to_owned(),
            hard: map(hard),
            used: map(used),
        };
        let small = quota(&[("pods", "3"), ("requests.cpu", "1500m")], &[("pods", "2")]);
        assert_eq!(small.has_room("pods=1"), Some(true));
        assert_eq!(small.has_room("pods=2"), Some(false));
        assert_eq!(small.has_room("requests.cpu=1"), None, "it has not been counted");
        assert_eq!(small.has_room("requests.memory=1Gi"), Some(true), "it has no limit");
        let cpu = quota(&[("cpu", "1500m")], &[("cpu", "1")]);
        assert_eq!(cpu.has_room("cpu=500m"), Some(true));
        assert_eq!(cpu.has_room("cpu=501m"), Some(false));
        let disk = quota(&[("requests.storage", "3Gi")], &[("requests.storage", "2048Mi")]);
        assert_eq!(disk.has_room("requests.storage=1Gi"), Some(true));
        assert_eq!(disk.has_room("requests.storage=1025Mi"), Some(false));
        assert_eq!(disk.has_room("requests.storage"), None);
        assert_eq!(Quota::default().has_room("pods=1"), None);
    }
}
