//! A row of the report: what it holds, and how it is filled from a claim or a
//! volume. Pure.

use std::collections::BTreeMap;

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::model::{Claim, Kind, Labels, Volume};
use crate::workload::bytes;

/// What a claim or a volume is, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Of an ordinal beyond the range of its set
    OrdinalBeyond,
    /// Of an ordinal below ordinals.start
    OrdinalBelowStart,
    /// Named like a claim of a set that does not exist
    SetGone,
    /// Named like a claim of a template that its set does not have
    TemplateRenamed,
    /// Its owner no longer exists
    OwnerGone,
    /// No pod and no template names it
    Unreferenced,
    /// Phase Lost: its volume is gone
    Lost,
    /// Phase Pending: it never had a volume
    PendingNeverBound,
    /// Deleted more than a minute ago, and still there
    TerminatingStuck,
    /// Deleted, but a pod still uses it
    TerminatingInUse,
    /// A volume whose claim is gone
    PvReleased,
    /// A volume that could not be reclaimed
    PvFailed,
    /// A volume without a claim that something may still write to
    PvInUse,
    /// Of a set at 0 replicas
    Parked,
    /// Of an ordinal that an autoscaler may bring back
    Elastic,
    /// Something else manages it
    Managed,
    /// Of two sets at once
    Conflict,
    /// Not everything that decides could be read, or is there any more
    Unknown,
}

impl Class {
    /// `ordinal-beyond`.
    pub fn name(self) -> &'static str {
        match self {
            Class::OrdinalBeyond => "ordinal-beyond",
            Class::OrdinalBelowStart => "ordinal-below-start",
            Class::SetGone => "set-gone",
            Class::TemplateRenamed => "template-renamed",
            Class::OwnerGone => "owner-gone",
            Class::Unreferenced => "unreferenced",
            Class::Lost => "lost",
            Class::PendingNeverBound => "pending-never-bound",
            Class::TerminatingStuck => "terminating-stuck",
            Class::TerminatingInUse => "terminating-in-use",
            Class::PvReleased => "pv-released",
            Class::PvFailed => "pv-failed",
            Class::PvInUse => "pv-in-use",
            Class::Parked => "parked",
            Class::Elastic => "elastic",
            Class::Managed => "managed",
            Class::Conflict => "conflict",
            Class::Unknown => "unknown",
        }
    }

    /// Whether nothing needs it any more, as far as can be read. The other
    /// classes are listed for information.
    pub fn is_orphan(self) -> bool {
        !matches!(
            self,
            Class::TerminatingInUse
                | Class::PvInUse
                | Class::Parked
                | Class::Elastic
                | Class::Managed
                | Class::Conflict
                | Class::Unknown
        )
    }
}

/// How sure we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Only names and labels say it, or something speaks against it.
    Low,
    /// Names and labels agree, or only kinds that this program does not know
    /// could need it.
    Medium,
    /// It follows from fields that were read.
    High,
}

impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// A claim or volume that is not plainly in use.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `PersistentVolumeClaim` or `PersistentVolume`.
    pub kind: &'static str,
    /// Of a volume, the namespace of its former claim.
    pub namespace: Option<String>,
    pub name: String,
    pub uid: String,
    pub class: Class,
    /// Whether nothing needs it any more.
    pub orphan: bool,
    pub confidence: Confidence,
    /// Why we believe it, the deciding reason first.
    pub evidence: Vec<String>,
    /// The set that it belongs or belonged to; null where several match.
    pub set: Option<String>,
    pub template: Option<String>,
    pub ordinal: Option<u32>,
    pub phase: String,
    /// The actual size; for a claim without a volume, the size that it requests.
    pub size: Option<String>,
    pub bytes: Option<u64>,
    pub storage_class: Option<String>,
    pub access_modes: Vec<String>,
    /// The volume of a claim.
    pub volume: Option<String>,
    /// The policy of the volume: what happens to the data when the claim is
    /// deleted.
    pub reclaim_policy: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// Since when nothing uses it, where that is known. Never guessed from its
    /// age.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub idle_since: Option<Timestamp>,
    /// Where `idleSince` comes from, or why it is not known.
    pub idle_source: &'static str,
    /// The node that the volume is attached to.
    pub node: Option<String>,
    /// Other volumes that are the same disk.
    pub shares_disk_with: Vec<String>,
    /// What would mount it again, with its old data.
    pub readopted_by: Option<String>,
    /// The number of replicas from which its set mounts it again.
    pub readopted_at: Option<u32>,
    /// The cost per month, from `--price`.
    pub cost: Option<f64>,
    /// Whether it can go back to the ordinal that it was of: its claim is gone, and
    /// nothing has the name.
    #[serde(skip)]
    pub is_free: bool,
    /// The line that goes on with the operation of this program that it belongs to.
    #[serde(skip)]
    pub goes_on: Option<String>,
    /// The sets that it may belong to, for the filter by set.
    #[serde(skip)]
    pub candidates: Vec<String>,
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
}

impl Row {
    /// A claim, with `volume` where that was read.
    pub fn of_claim(
        claim: &Claim,
        volume: Option<&Volume>,
        node: Option<String>,
        class: Class,
        why: String,
    ) -> Row {
        let size = claim.capacity.as_ref().or(claim.request.as_ref());
        let (idle_since, idle_source) = match (claim.unused, &node) {
            (Some(unused), _) if unused.holds => (unused.since, "condition Unused"),
            (_, Some(_)) => (None, "attached"),
            _ => (None, "unknown"),
        };
        Row {
            kind: Kind::Claim.name(),
            namespace: Some(claim.namespace.to_string()),
            name: claim.name.to_string(),
            uid: claim.uid.to_string(),
            class,
            orphan: class.is_orphan(),
            confidence: Confidence::High,
            evidence: vec![why],
            set: None,
            template: None,
            ordinal: None,
            phase: claim.phase.to_string(),
            size: size.map(ToString::to_string),
            bytes: size.and_then(|size| whole_bytes(size)),
            storage_class: claim.class.as_ref().map(ToString::to_string),
            access_modes: claim.access_modes.iter().map(ToString::to_string).collect(),
            volume: claim.volume.as_ref().map(ToString::to_string),
            reclaim_policy: volume.map(|volume| volume.policy.to_string()),
            created: claim.created,
            idle_since,
            idle_source,
            node,
            shares_disk_with: Vec::new(),
            readopted_by: None,
            readopted_at: None,
            cost: None,
            is_free: false,
            goes_on: None,
            candidates: Vec::new(),
            labels: owned_labels(&claim.labels),
        }
    }

    /// A volume, in the namespace of the claim that it names.
    pub fn of_volume(
        volume: &Volume,
        node: Option<String>,
        class: Class,
        evidence: Vec<String>,
    ) -> Row {
        let (idle_since, idle_source) = match (&node, volume.phase_since) {
            (Some(_), _) => (None, "attached"),
            (None, Some(since)) if &*volume.phase == "Released" => (Some(since), "Released since"),
            _ => (None, "unknown"),
        };
        Row {
            kind: Kind::Volume.name(),
            namespace: volume.claim.as_ref().map(|claim| claim.namespace.to_string()),
            name: volume.name.to_string(),
            uid: volume.uid.to_string(),
            class,
            orphan: class.is_orphan(),
            confidence: if node.is_some() { Confidence::Low } else { Confidence::High },
            evidence,
            set: None,
            template: None,
            ordinal: None,
            phase: volume.phase.to_string(),
            size: volume.capacity.as_ref().map(ToString::to_string),
            bytes: volume.capacity.as_ref().and_then(|size| whole_bytes(size)),
            storage_class: volume.class.as_ref().map(ToString::to_string),
            access_modes: volume.access_modes.iter().map(ToString::to_string).collect(),
            volume: None,
            reclaim_policy: Some(volume.policy.to_string()),
            created: volume.created,
            idle_since,
            idle_source,
            node,
            shares_disk_with: Vec::new(),
            readopted_by: None,
            readopted_at: None,
            cost: None,
            is_free: false,
            goes_on: None,
            candidates: Vec::new(),
            labels: owned_labels(&volume.labels),
        }
    }

    /// `persistentvolumeclaim/data-web-3`.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind.to_ascii_lowercase(), self.name)
    }

    pub fn is_volume(&self) -> bool {
        self.kind == Kind::Volume.name()
    }

    /// For how long nothing has used it, where that is known.
    pub fn idle_for(&self, now: Timestamp) -> Option<SignedDuration> {
        self.idle_since.map(|since| now.duration_since(since))
    }
}

fn whole_bytes(size: &str) -> Option<u64> {
    bytes(size).and_then(|size| u64::try_from(size).ok())
}

fn owned_labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
