//! Who owns a claim, and who may scale its set up again.

use super::Judge;
use crate::orphans::{
    model::{Claim, Kind, Owner, Set, Text, Uid},
    row::Confidence,
};

/// The owner of a claim, by its owner references.
pub(super) enum Ownership {
    None,
    /// All owners are gone.
    OwnerGone(String),
    /// By its set, which whenDeleted=Delete makes the owner.
    Set(String),
    Other(String, Confidence),
}

impl Judge<'_> {
    pub(super) fn ownership(&self, claim: &Claim) -> Ownership {
        let mut gone = Vec::new();
        let mut set = None;
        for owner in &claim.owners {
            let Owner { kind, name, uid, .. } = owner;
            let known = Kind::of_owner(&owner.api_version, kind);
            match known {
                Some(_) if !self.facts.live.contains(&Uid::of(uid)) => {
                    gone.push(format!("{kind} {name} is gone"));
                }
                Some(Kind::StatefulSet) => set = Some(format!("{kind} {name} owns it")),
                Some(_) => {
                    return Ownership::Other(format!("{kind} {name} owns it"), Confidence::High);
                }
                None => {
                    let what = format!("{kind} {name} owns it; objects of that kind are not read");
                    return Ownership::Other(what, Confidence::Medium);
                }
            }
        }
        match (set, gone.is_empty()) {
            (Some(owner), _) => Ownership::Set(owner),
            (None, false) => Ownership::OwnerGone(gone.join(", ")),
            (None, true) => Ownership::None,
        }
    }

    /// The autoscaler that may create the ordinal. One of the set's operator counts
    /// whatever its limit: what that means for the set only the operator knows.
    pub(super) fn scaler_for(&self, set: &Set, ordinal: u32) -> Option<String> {
        let wanted = set.replicas_for(ordinal)?;
        let mut here = self.facts.scalers.iter().filter(|one| one.namespace == set.namespace);
        here.find_map(|scaler| {
            let targets =
                |kind: &str, name: &Text| &*scaler.target_kind == kind && scaler.target == *name;
            let what = match &set.operator {
                Some(owner) if targets(&owner.kind, &owner.name) => {
                    format!("{} {}, which owns it,", owner.kind, owner.name)
                }
                _ if targets("StatefulSet", &set.name) && scaler.most >= wanted => "it".to_owned(),
                _ => return None,
            };
            let (kind, name, most) = (scaler.kind.name(), &scaler.name, scaler.most);
            Some(format!("{kind} {name} may scale {what} to {most}"))
        })
    }
}
