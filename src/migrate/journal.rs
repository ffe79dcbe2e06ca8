//! The journal of a migration: what cannot be read from the cluster later. It
//! has the original objects, what they are to become, and the direction in which
//! the migration goes.
//!
//! The facts are written once, before anything else, and never changed. So a run
//! that continues after a kill cannot take its own changes for the original
//! state. The journal is a ConfigMap in the namespace, and its creation is the
//! lock. Each volume has the essentials as well, because it outlives the
//! namespace.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::convert;
use crate::{
    cluster::Resource,
    handover::Original,
    workload::raw::{is_leaving, name, text},
};

pub use crate::handover::{Held, Tag, book_name as config_map_name};

/// The mark on every object that a migration has created or changed. On a volume
/// its value is a [`Tag`], elsewhere the id of the migration. It is an
/// annotation, but a label on the set.
pub use crate::workload::MIGRATION_MARK as ANNOTATION;
/// On a new claim that has all its data, and on what fills it: the state of the
/// Deployments that the data is from.
pub const FILLED: &str = "kubectl-stateful.dev/filled";
pub use crate::workload::JOURNAL_LABEL as LABEL;

/// The format that this program writes, and the newest that it reads.
const FORMAT: u8 = 1;

/// The direction of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// To the StatefulSet.
    Forward,
    /// Back to the Deployment.
    Back,
    /// Delete what a rollback would need.
    Finish,
    /// Put an old volume back under an existing set.
    Recover,
}

/// Which volumes the set runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The same volumes under new claims: no copy, the downtime of one restart
    #[default]
    Rebind,
    /// The claims as they are, shared by all pods
    Keep,
    /// New volumes, filled by rsync: for another class or size, or a claim for each pod
    Copy,
    /// New volumes, cloned from the old ones by the storage
    Clone,
    /// New volumes, restored by the storage from snapshots of the old ones
    Snapshot,
}

impl Mode {
    /// What the conversion makes of the claims.
    pub fn of_claims(self) -> convert::Mode {
        match self {
            Mode::Keep => convert::Mode::Keep,
            Mode::Rebind | Mode::Copy | Mode::Clone | Mode::Snapshot => convert::Mode::Rebind,
        }
    }

    /// Whether the set gets its own volumes, and the old ones stay as they are.
    pub fn fills(self) -> bool {
        matches!(self, Mode::Copy | Mode::Clone | Mode::Snapshot)
    }
}

/// When the Deployment stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// After the volumes were handed over, or copied once.
    #[default]
    SwapFirst,
    /// Before anything else.
    StopFirst,
}

/// The facts of a migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    format: u8,
    /// The id of the migration: the mark on our objects.
    pub op: String,
    pub namespace: String,
    pub mode: Mode,
    pub order: Order,
    pub started: Timestamp,
    /// How many pods the set will have.
    pub replicas: u32,
    /// The hash of the plan.
    pub plan: String,
    pub deployments: Vec<SourceDeployment>,
    /// The set as it is created, with 0 replicas.
    pub set: Value,
    /// The Service as it is created; none if an existing one is used.
    pub service: Option<Value>,
    pub disks: Vec<Disk>,
    /// The settings of the copy Jobs, in mode copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copying: Option<Copying>,
    /// Claims that the set mounts under their old names.
    pub kept: Vec<String>,
    pub scalers: Vec<Scaler>,
    /// The number of replicas while a volume is put back.
    #[serde(default)]
    pub down_to: u32,
    #[serde(default, skip_serializing_if = "Wishes::is_empty")]
    pub wishes: Wishes,
}

/// What `run` was asked to do besides the move. Whoever continues it does the
/// same, so that a check is not forgotten with the shell it was typed in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wishes {
    /// The command of `--verify-exec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
    /// Roll back when the migration fails on the way forward.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_rollback: bool,
    /// Finalize when the set has run for so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalize_after: Option<u64>,
}

impl Wishes {
    fn is_empty(&self) -> bool {
        *self == Wishes::default()
    }
}

/// The settings of the copy Jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copying {
    pub image: String,
    /// The resources that their container requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
}

/// The files are copied in two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyPass {
    /// While the application serves, so that little is left for the last pass.
    First,
    /// When the application has stopped; it also compares.
    Last,
}

impl CopyPass {
    pub const ALL: [CopyPass; 2] = [CopyPass::First, CopyPass::Last];

    pub fn name(self) -> &'static str {
        match self {
            CopyPass::First => "first",
            CopyPass::Last => "last",
        }
    }
}

/// A Deployment as it was before the migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceDeployment {
    pub name: String,
    pub uid: String,
    /// Grows with every change of the spec, whoever makes it.
    pub generation: i64,
    pub replicas: u32,
    pub object: Value,
    /// Who makes it again, or starts it again, from a manifest of theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makers: Vec<String>,
}

/// A claim and its volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// The volume of the pod, and the claim template that replaces it.
    pub volume: String,
    pub template: String,
    pub old: Held,
    /// The new claim's name.
    pub new: String,
    /// The new claim as it is created.
    pub claim: Value,
    /// The PersistentVolume.
    pub pv: Held,
    pub policy: String,
    /// Whether the volume had the annotation of a volume that the binder has
    /// bound by itself: when it unbinds one, it also removes the reservation.
    pub bound_by_controller: bool,
    /// The old claim as it was.
    pub object: Value,
    /// Whether the new claim is bound only when a pod uses it.
    #[serde(default)]
    pub waits_for_pod: bool,
    /// The snapshot of the old claim, as it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Value>,
    /// For `recover`: the volume that is replaced.
    #[serde(default)]
    pub blank: Option<Blank>,
}

/// The volume that `recover` takes out of use, and keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blank {
    pub pv: Held,
    pub policy: String,
}

impl Disk {
    /// Whether only one pod can use the old claim.
    pub fn is_for_one_pod(&self) -> bool {
        crate::workload::raw::items(&self.object, "/spec/accessModes")
            .any(|mode| mode.as_str() == Some("ReadWriteOncePod"))
    }

    /// Whether several nodes can use the old claim.
    pub fn is_shared(&self) -> bool {
        let many = ["ReadWriteMany", "ReadOnlyMany"];
        crate::workload::raw::items(&self.object, "/spec/accessModes")
            .any(|mode| mode.as_str().is_some_and(|mode| many.contains(&mode)))
    }
}

/// An autoscaler of the Deployment that will scale the set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaler {
    pub kind: ScalerKind,
    pub target: Held,
    /// The JSON pointer of the field that names its target.
    pub pointer: String,
    pub from: Value,
    pub to: Value,
    /// The original value of the annotation that pauses KEDA.
    pub paused: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalerKind {
    Hpa,
    Vpa,
    Keda,
}

/// The annotation that pauses a ScaledObject; see KEDA's documentation.
pub const KEDA_PAUSED: &str = "autoscaling.keda.sh/paused";

impl ScalerKind {
    pub fn resource(self) -> Resource {
        match self {
            ScalerKind::Hpa => Resource::HPA,
            ScalerKind::Vpa => Resource::VPA,
            ScalerKind::Keda => Resource::SCALED_OBJECT,
        }
    }

    pub fn api_name(self) -> &'static str {
        match self {
            ScalerKind::Hpa => "HorizontalPodAutoscaler",
            ScalerKind::Vpa => "VerticalPodAutoscaler",
            ScalerKind::Keda => "ScaledObject",
        }
    }

    /// Whether it scales up a Deployment that is at 0. An HPA does not.
    pub fn can_wake(self) -> bool {
        self == ScalerKind::Keda
    }
}

/// The ConfigMap with the journal: the facts, and what changes during the
/// migration.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredJournal {
    pub uid: String,
    pub resource_version: String,
    /// Whether somebody has deleted it, and something still holds it.
    pub is_leaving: bool,
    pub journal: Journal,
    pub intent: Intent,
    /// The run that holds the lock, and its last heartbeat.
    pub holder: Option<String>,
    pub heartbeat: String,
    /// Set when the migration forward is complete.
    pub arrived: Option<Arrived>,
}

/// The set runs, and a rollback is still possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrived {
    pub at: Timestamp,
    pub set_uid: String,
    /// From the scale-down of the Deployment until the set was Ready; none if
    /// neither one run has seen both nor the objects say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downtime_ms: Option<u64>,
}

/// Why a journal cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl Journal {
    /// The name of a copy Job: at most 63 characters, because the name of a set
    /// has at most 52.
    pub fn job_name(&self, index: usize, pass: CopyPass) -> String {
        let number = match pass {
            CopyPass::First => 1,
            CopyPass::Last => 2,
        };
        format!("{}-copy{number}-{index}", self.set_name())
    }

    pub fn set_name(&self) -> &str {
        name(&self.set)
    }

    /// The name of the governing Service, whether we create it or not.
    pub fn service_name(&self) -> &str {
        text(&self.set, "/spec/serviceName").unwrap_or_default()
    }

    /// The name of the ConfigMap.
    pub fn config_map_name(&self) -> String {
        config_map_name(self.set_name())
    }

    pub fn disk(&self, index: usize) -> Option<&Disk> {
        self.disks.get(index)
    }

    /// Whether the volumes themselves are handed over.
    pub fn rebinds(&self) -> bool {
        self.mode == Mode::Rebind
    }

    /// Whether the set gets its own volumes.
    pub fn fills(&self) -> bool {
        self.mode.fills()
    }

    pub fn tag(&self, disk: &Disk) -> Tag {
        Tag {
            op: self.op.clone(),
            namespace: self.namespace.clone(),
            journal: self.config_map_name(),
            policy: disk.policy.clone(),
            old: disk.old.clone(),
            new: disk.new.clone(),
        }
    }

    /// The original policy of the volume of a disk.
    pub fn original(&self, disk: &Disk) -> Original {
        Original::tagged(self.tag(disk), disk.bound_by_controller)
    }

    /// The original policy of the volume that `recover` replaces, if any.
    pub fn original_of_blank(&self, disk: &Disk) -> Option<Original> {
        let policy = disk.blank.as_ref()?.policy.clone();
        Some(Original::tagged(Tag { policy, ..self.tag(disk) }, false))
    }

    /// A journal with no disks and Deployments yet.
    pub fn begin(op: String, namespace: String, set: Value, now: Timestamp) -> Journal {
        Journal {
            format: FORMAT,
            op,
            namespace,
            mode: Mode::Rebind,
            order: Order::SwapFirst,
            started: now,
            replicas: 0,
            plan: String::new(),
            deployments: Vec::new(),
            set,
            service: None,
            disks: Vec::new(),
            copying: None,
            kept: Vec::new(),
            scalers: Vec::new(),
            down_to: 0,
            wishes: Wishes::default(),
        }
    }

    /// The ConfigMap with this journal.
    pub fn config_map(&self, holder: &str, intent: Intent, now: Timestamp) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": self.config_map_name(), "namespace": self.namespace,
                "labels": { LABEL: "migrate" },
                "annotations": { ANNOTATION: self.op },
            },
            "data": {
                // A type that was deserialized can be serialized.
                "journal": serde_json::to_string(self).unwrap_or_default(),
                "intent": intent, "holder": holder, "beat": now.to_string(),
            },
        })
    }
}

impl StoredJournal {
    /// Reads the ConfigMap.
    ///
    /// # Errors
    /// When it has no journal, or one of a newer version.
    pub fn read(config_map: &Value) -> Result<StoredJournal, Unusable> {
        let data = |key: &str| text(config_map, &format!("/data/{key}"));
        let unreadable = |error: serde_json::Error| Unusable(error.to_string());
        let facts =
            data("journal").ok_or_else(|| Unusable("it has no journal in it".to_owned()))?;
        let journal: Journal = serde_json::from_str(facts).map_err(unreadable)?;
        if journal.format > FORMAT {
            let format = journal.format;
            return Err(Unusable(format!("format {format} is newer than this program")));
        }
        let intent = data("intent").unwrap_or_default();
        let intent = serde_json::from_value(json!(intent)).map_err(unreadable)?;
        let arrived = data("arrived").map(serde_json::from_str).transpose().map_err(unreadable)?;
        Ok(StoredJournal {
            uid: text(config_map, "/metadata/uid").unwrap_or_default().to_owned(),
            resource_version: text(config_map, "/metadata/resourceVersion")
                .unwrap_or_default()
                .to_owned(),
            is_leaving: is_leaving(config_map),
            journal,
            intent,
            holder: data("holder").filter(|holder| !holder.is_empty()).map(str::to_owned),
            heartbeat: data("beat").unwrap_or_default().to_owned(),
            arrived,
        })
    }
}
