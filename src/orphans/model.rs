//! What is read before claims and volumes are judged: of each object only what
//! decides. Clusters have tens of thousands of them, so text that repeats is
//! shared.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use jiff::Timestamp;

use crate::workload::Unread;

/// Text that many objects may share.
pub type Text = Arc<str>;
pub type Labels = BTreeMap<Text, Text>;

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
    Autoscaler,
    ScaledObject,
    Attachment,
}

impl Kind {
    /// Whoever may use a claim. Without one of these lists nothing is unused.
    pub const USERS: [Kind; 8] = [
        Kind::Pod,
        Kind::StatefulSet,
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::ReplicationController,
        Kind::DaemonSet,
        Kind::Job,
        Kind::CronJob,
    ];

    /// Whoever may scale a set up again.
    pub const SCALERS: [Kind; 2] = [Kind::Autoscaler, Kind::ScaledObject];

    /// `Deployment`, as the API has it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Claim => "PersistentVolumeClaim",
            Kind::Volume => "PersistentVolume",
            Kind::Pod => "Pod",
            Kind::StatefulSet => "StatefulSet",
            Kind::Deployment => "Deployment",
            Kind::ReplicaSet => "ReplicaSet",
            Kind::ReplicationController => "ReplicationController",
            Kind::DaemonSet => "DaemonSet",
            Kind::Job => "Job",
            Kind::CronJob => "CronJob",
            Kind::Autoscaler => "HorizontalPodAutoscaler",
            Kind::ScaledObject => "ScaledObject",
            Kind::Attachment => "VolumeAttachment",
        }
    }

    /// `deployments.apps`, as RBAC has it.
    pub fn resource(self) -> &'static str {
        match self {
            Kind::Claim => "persistentvolumeclaims",
            Kind::Volume => "persistentvolumes",
            Kind::Pod => "pods",
            Kind::StatefulSet => "statefulsets.apps",
            Kind::Deployment => "deployments.apps",
            Kind::ReplicaSet => "replicasets.apps",
            Kind::ReplicationController => "replicationcontrollers",
            Kind::DaemonSet => "daemonsets.apps",
            Kind::Job => "jobs.batch",
            Kind::CronJob => "cronjobs.batch",
            Kind::Autoscaler => "horizontalpodautoscalers.autoscaling",
            Kind::ScaledObject => "scaledobjects.keda.sh",
            Kind::Attachment => "volumeattachments.storage.k8s.io",
        }
    }

    /// The kind of an owner, where it is one of those whose uids are read.
    pub fn of_owner(api_version: &str, kind: &str) -> Option<Kind> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Kind::USERS.into_iter().find(|one| {
            let of = match one {
                Kind::Pod | Kind::ReplicationController => "",
                Kind::Job | Kind::CronJob => "batch",
                _ => "apps",
            };
            one.name() == kind && of == group
        })
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
    /// Empty where nobody wrote a status, as in a manifest.
    pub phase: Text,
    pub class: Option<Text>,
    pub volume: Option<Text>,
    /// What it really has; absent until bound.
    pub capacity: Option<Text>,
    pub request: Option<Text>,
    pub access_modes: Arc<[Text]>,
    pub labels: Arc<Labels>,
    pub owners: Box<[Owner]>,
    pub finalizers: Arc<[Text]>,
    /// The condition `Unused`, of servers that have it (KEP-5541).
    pub unused: Option<Unused>,
    /// `Helm release db`, where its marks say that somebody keeps it.
    pub kept_by: Option<Text>,
    /// A migration of ours has it in hand.
    pub migrates: bool,
}

/// What the server itself says about the use of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused {
    /// No pod that has not finished names it.
    pub holds: bool,
    pub since: Option<Timestamp>,
}

impl Unused {
    /// The condition, if it is this one and says something.
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
    pub migrates: bool,
}

/// Whom a volume belongs to, or belonged.
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
    /// Succeeded or Failed: it will never use anything again.
    pub finished: bool,
    /// By name; those of generic ephemeral volumes too.
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
}

impl Set {
    /// Whether the ordinal should exist.
    pub fn has(&self, ordinal: u32) -> bool {
        (self.start..self.end()).contains(&ordinal)
    }

    /// The first ordinal behind the range.
    pub fn end(&self) -> u32 {
        self.start.saturating_add(self.replicas)
    }

    /// How many replicas it takes until the ordinal exists; `None` for one
    /// that no number reaches.
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

/// An object's identity in 16 bytes: tens of thousands are remembered.
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

    /// What is no UUID, such as in a test.
    fn hashed(text: &str) -> Uid {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Uid(half(0) << 64 | half(1))
    }
}

/// Everything that was read, and what could not be.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Where was looked; `None` is everywhere.
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
    /// From these lists nothing may be concluded, least of all that they are
    /// empty.
    pub missing: BTreeSet<Kind>,
    /// The same, said to people.
    pub unread: Vec<Unread>,
    /// API groups of the server whose objects may name claims in ways that
    /// nobody but their controllers know.
    pub foreign: Vec<String>,
    /// The connection flags that were given, for commands that hints name.
    pub flags: String,
}

impl Facts {
    /// The kinds of these that could not be read.
    pub fn missing_of(&self, kinds: &[Kind]) -> Vec<Kind> {
        kinds.iter().copied().filter(|kind| self.missing.contains(kind)).collect()
    }

    /// Remembers that a list could not be read.
    pub fn note_missing(&mut self, kind: Kind, why: String) {
        self.missing.insert(kind);
        self.unread.push(Unread { resource: kind.resource().to_owned(), why });
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
