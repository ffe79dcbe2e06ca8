//! Which volumes may be the one with the data. Pure.

use serde::Serialize;
use serde_json::Value;

use super::{Before, plan::LastClaim};
use crate::workload::{
    canonical_ordinal,
    raw::{items, name, phase, policy, text},
};

/// A volume that no claim is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// `PersistentVolume`.
    pub kind: &'static str,
    pub namespace: Option<String>,
    pub name: String,
    /// `Released`, `Available` or `Failed`.
    pub phase: String,
    /// `NAMESPACE/NAME` of the claim that it was reserved for last, or is now.
    pub last_claim: Option<String>,
    pub size: Option<String>,
    pub access_modes: Vec<String>,
    pub storage_class: Option<String>,
    pub reclaim_policy: String,
    /// When the volume was created.
    pub created: Option<String>,
    /// When its phase changed last, where the server tells.
    pub since: Option<String>,
    /// Whether its last claim was in the namespace of the set.
    pub of_this_namespace: bool,
    /// Whether its last claim had the name of a claim of this ordinal.
    pub of_this_ordinal: bool,
}

/// The volumes that no claim is bound to: those of the ordinal's own claims
/// first, then those of the namespace, each from the newest on.
pub fn candidates(before: &Before, claims: &[String]) -> Vec<Candidate> {
    let free = |volume: &&Value| matches!(phase(volume), "Released" | "Available" | "Failed");
    let here = text(&before.set, "/metadata/namespace").unwrap_or_default();
    let mut found: Vec<Candidate> = before
        .volumes
        .values()
        .filter(free)
        .map(|volume| {
            let word = |pointer: &str| text(volume, pointer).map(str::to_owned);
            let last = LastClaim::of(volume);
            let of_this_namespace = last.as_ref().is_some_and(|last| last.namespace == here);
            let named = |last: &LastClaim<'_>| claims.iter().any(|claim| claim == last.name);
            Candidate {
                kind: "PersistentVolume",
                namespace: None,
                name: name(volume).to_owned(),
                phase: phase(volume).to_owned(),
                of_this_ordinal: of_this_namespace && last.as_ref().is_some_and(named),
                of_this_namespace,
                last_claim: last.map(|last| format!("{}/{}", last.namespace, last.name)),
                size: word("/spec/capacity/storage"),
                access_modes: modes(volume),
                storage_class: word("/spec/storageClassName").filter(|class| !class.is_empty()),
                reclaim_policy: policy(volume).to_owned(),
                created: word("/metadata/creationTimestamp"),
                since: word("/status/lastPhaseTransitionTime"),
            }
        })
        .collect();
    found.sort_by(|one, other| {
        let newest = |one: &Candidate| std::cmp::Reverse(one.since.clone());
        let key = |one: &Candidate| (!one.of_this_ordinal, !one.of_this_namespace, newest(one));
        (key(one), &one.name).cmp(&(key(other), &other.name))
    });
    found
}

/// The place of the template and the ordinal that the last claim of a volume
/// names, if it was a claim of this set.
pub fn place_of(candidate: &Candidate, templates: &[&str], set: &str) -> Option<(usize, u32)> {
    let last = candidate.last_claim.as_ref().filter(|_| candidate.of_this_namespace)?;
    let (_, claim) = last.split_once('/')?;
    templates.iter().enumerate().find_map(|(place, template)| {
        let rest = claim.strip_prefix(template)?.strip_prefix('-')?;
        let ordinal = rest.strip_prefix(set)?.strip_prefix('-')?;
        Some((place, canonical_ordinal(ordinal)?))
    })
}

/// The access modes of a volume.
pub fn modes(volume: &Value) -> Vec<String> {
    items(volume, "/spec/accessModes").filter_map(Value::as_str).map(str::to_owned).collect()
}
