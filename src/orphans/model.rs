//! What is read before claims and volumes are judged: of each object only the
//! fields that matter. Clusters have tens of thousands of them, so repeated text
//! is shared.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{cluster::Resource, workload::Unread};

pub use crate::workload::pool::{Labels, Text};

/// The kinds that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Claim,
    Volume,
    Pod,
    StatefulSet,
    Deployment,
    ReplicaSet,
    ReplicationController,
    DaemonSet,
    Job,
    CronJob,
    PodTemplate,
    Autoscaler,
    ScaledObject,
    Attachment,
}

impl Kind {
    /// The kinds that may use a claim. If one of these lists is missing, no claim
    /// counts as unused.
    pub const USERS: [Kind; 9] = [
        Kind::Pod,
        Kind::StatefulSet,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::ReplicationController,
        Kind::DaemonSet,
        Kind::Job,
        Kind::CronJob,
        Kind::PodTemplate,
    ];

    /// The kinds that may scale a set up again.
    pub const SCALERS: [Kind; 2] = [Kind::Autoscaler, Kind::ScaledObject];

    /// The resource in the API.
    pub fn resource(self) -> Resource {
        match self {
            Kind::Claim => Resource::CLAIM,
            Kind::Volume => Resource::VOLUME,
            Kind::Pod => Resource::POD,
            Kind::StatefulSet => Resource::STATEFUL_SET,
            Kind::Deployment => Resource::DEPLOYMENT,
            Kind::ReplicaSet => Resource::REPLICA_SET,
            Kind::ReplicationController => Resource::REPLICATION_CONTROLLER,
            Kind::DaemonSet => Resource::DAEMON_SET,
            Kind::Job => Resource::JOB,
            Kind::CronJob => Resource::CRON_JOB,
            Kind::PodTemplate => Resource::POD_TEMPLATE,
            Kind::Autoscaler => Resource::HPA,
            Kind::ScaledObject => Resource::SCALED_OBJECT,
            Kind::Attachment => Resource::ATTACHMENT,
        }
    }

    /// The name of the kind in the API, such as `Deployment`.
    pub fn name(self) -> &'static str {
        self.resource().kind
    }

    /// The kind of an owner; `None` for kinds whose uids are not read.
    pub fn of_owner(api_version: &str, kind: &str) -> Option<Kind> {
        Kind::USERS.into_iter().find(|one| one.resource().is_of(api_version, kind))
    }
}

/// A PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    pub namespace: Text,
    pub name: Text,
    pub uid: Text,
    pub created: Option<Timestamp>,
    pub deleting: Option<Timestamp>,
    /// Empty where there is no status, as in a manifest.
    pub phase: Text,
    pub class: Option<Text>,
    pub volume: Option<Text>,
    /// The actual size; absent until bound.
    pub capacity: Option<Text>,
    pub request: Option<Text>,
    pub access_modes: Arc<[Text]>,
    pub labels: Arc<Labels>,
    pub owners: Box<[Owner]>,
    pub finalizers: Arc<[Text]>,
    /// The condition `Unused`, of servers that have it (KEP-5541).
    pub unused: Option<Unused>,
    /// Who applies it, by its labels and annotations: `Helm release db`.
    pub kept_by: Option<Text>,
    /// The operation of this program that hands it over.
    pub mark: Option<Text>,
}

/// What the server itself reports about the use of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Whether the condition is true: no unfinished pod names the claim.
    pub holds: bool,
    pub since: Option<Timestamp>,
}

impl Unused {
    /// Reads the condition `Unused`; `None` for any other, and while its status
    /// is unknown.
    pub fn of(kind: &str, status: &str, since: Option<Timestamp>) -> Option<Unused> {
        let holds = match (kind, status) {
            ("Unused", "True") => true,
            ("Unused", "False") => false,
            _ => return None,
        };
        Some(Unused { holds, since })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub api_version: Text,
    pub kind: Text,
    pub name: Text,
    pub uid: Text,
}

/// A PersistentVolume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    pub name: Text,
    pub uid: Text,
    pub created: Option<Timestamp>,
    pub deleting: Option<Timestamp>,
    pub phase: Text,
    /// `status.lastPhaseTransitionTime`.
    pub phase_since: Option<Timestamp>,
    pub class: Option<Text>,
    pub policy: Text,
    pub capacity: Option<Text>,
    pub access_modes: Arc<[Text]>,
    pub labels: Arc<Labels>,
    pub claim: Option<ClaimRef>,
    pub finalizers: Arc<[Text]>,
    /// The note of the operation of this program that hands it over.
    pub mark: Option<Text>,
    /// What identifies the disk behind it; `None` for a kind of disk that this
    /// program does not know. Two volumes with the same one are one disk.
    pub disk: Option<Uid>,
}

/// The claim that a volume belongs or belonged to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimRef {
    pub namespace: Text,
    pub name: Text,
    pub uid: Text,
}

/// A pod that names claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub namespace: Text,
    pub name: Text,
    pub created: Option<Timestamp>,
    /// Whether it has a node. Without one it has never mounted anything.
    pub on_node: bool,
    /// Succeeded or Failed: it no longer uses its claims. One that had a node
    /// still keeps them from being deleted, until it is deleted itself.
    pub finished: bool,
    /// The names of its claims, including those of generic ephemeral volumes.
    pub claims: Box<[Text]>,
}

/// Something with a pod template that names claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    pub kind: Kind,
    pub namespace: Text,
    pub name: Text,
    pub claims: Box<[Text]>,
}

/// A StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    pub namespace: Text,
    pub name: Text,
    pub uid: Text,
    pub replicas: u32,
    pub start: u32,
    /// Names of its `volumeClaimTemplates`.
    pub templates: Box<[Text]>,
    /// `selector.matchLabels`, which its controller copies onto claims.
    pub labels: Labels,
    pub deletes_when_scaled: bool,
    pub deletes_when_deleted: bool,
    /// Its controller: an operator's object, which decides about the replicas.
    pub operator: Option<Owner>,
    /// The note of a scaling of this program.
    pub scaling: Option<Text>,
}

impl Set {
    /// Whether the ordinal should exist.
    pub fn has(&self, ordinal: u32) -> bool {
        (self.start..self.end()).contains(&ordinal)
    }

    /// The first ordinal beyond the range.
    pub fn end(&self) -> u32 {
        self.start.saturating_add(self.replicas)
    }

    /// The number of replicas from which on the ordinal exists; `None` if no
    /// number reaches it.
    pub fn replicas_for(&self, ordinal: u32) -> Option<u32> {
        ordinal.checked_sub(self.start)?.checked_add(1)
    }
}

/// A HorizontalPodAutoscaler or a ScaledObject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaler {
    pub kind: Kind,
    pub namespace: Text,
    pub name: Text,
    pub target_kind: Text,
    pub target: Text,
    pub most: u32,
}

/// A uid in 16 bytes: tens of thousands are kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uid(u128);

impl Uid {
    pub fn of(text: &str) -> Uid {
        let mut digits = 0;
        let mut value: u128 = 0;
        for c in text.chars().filter(|c| *c != '-') {
            match c.to_digit(16) {
                Some(digit) if digits < 32 => value = value << 4 | u128::from(digit),
                _ => return Uid::hashed(text),
            }
            digits += 1;
        }
        if digits == 32 { Uid(value) } else { Uid::hashed(text) }
    }

    /// For a uid that is not a UUID, as in tests.
    fn hashed(text: &str) -> Uid {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Uid(half(0) << 64 | half(1))
    }
}

/// Everything that was read, and what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The namespace that was read; `None` for all.
    pub namespace: Option<Text>,
    pub claims: Vec<Claim>,
    pub volumes: Vec<Volume>,
    /// Those that name claims.
    pub pods: Vec<Pod>,
    pub workloads: Vec<Workload>,
    pub sets: Vec<Set>,
    pub scalers: Vec<Scaler>,
    /// Volume and node.
    pub attachments: HashMap<Text, Text>,
    /// The uids of all objects of [`Kind::USERS`] that were read.
    pub live: HashSet<Uid>,
    /// The lists that could not be read. No conclusion may be drawn from them,
    /// least of all that they are empty.
    pub missing: BTreeSet<Kind>,
    /// The same with the reason, for the report.
    pub unread: Vec<Unread>,
    /// API groups whose objects are known to name claims, in ways that only their
    /// controllers know.
    pub foreign: Vec<String>,
    /// The other API groups of custom resources. Nothing is known of them.
    pub custom: Vec<String>,
    /// The migrations of this program that have left marks, and whose journal is gone.
    pub abandoned: BTreeSet<String>,
    /// The connection flags, for the commands in hints.
    pub flags: String,
}

impl Facts {
    /// The kinds of these that could not be read.
    pub fn missing_of(&self, kinds: &[Kind]) -> Vec<Kind> {
        kinds.iter().copied().filter(|kind| self.missing.contains(kind)).collect()
    }

    /// Notes that a list could not be read.
    pub fn note_missing(&mut self, kind: Kind, why: String) {
        self.missing.insert(kind);
        self.unread.push(Unread { resource: kind.resource().name(), why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_differ_whatever_they_look_like() {
        let uids = [
            "0b1f0c7e-2f63-4c7c-9d4f-8b1f6f6d0a01",
            "0b1f0c7e-2f63-4c7c-9d4f-8b1f6f6d0a02",
            "",
            "a",
            "b",
            "0b1f0c7e-2f63-4c7c-9d4f-8b1f6f6d0a012",
        ];
        let all: HashSet<Uid> = uids.into_iter().map(Uid::of).collect();
        assert_eq!(all.len(), uids.len());
    }

    #[test]
    fn owners_are_known_by_group_and_kind() {
        assert_eq!(Kind::of_owner("apps/v1", "StatefulSet"), Some(Kind::StatefulSet));
        assert_eq!(Kind::of_owner("v1", "Pod"), Some(Kind::Pod));
        assert_eq!(Kind::of_owner("batch/v1", "Job"), Some(Kind::Job));
        assert_eq!(Kind::of_owner("apps.kruise.io/v1beta1", "StatefulSet"), None);
        assert_eq!(Kind::of_owner("postgresql.cnpg.io/v1", "Cluster"), None);
    }
}
