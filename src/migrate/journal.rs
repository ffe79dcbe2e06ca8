//! What a migration remembers that nobody could tell it later: what the
//! objects were before, what they are to become, and which way it is going.
//!
//! The facts are written once, before anything else, and never again; a run
//! that is killed finds them as they were, and so cannot take its own doing
//! for the original. They stand in a ConfigMap of the namespace, whose
//! creation is the lock, and in short on each volume: that survives whatever
//! becomes of the namespace.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    convert,
    object::{name, text},
    world::annotation,
};
use crate::cluster::Resource;

/// On every object that a migration has made or taken in hand. On a volume its
/// value is a [`Tag`], elsewhere the id of the migration. An annotation, but on
/// the set a label.
pub use crate::workload::MIGRATION_MARK as ANNOTATION;
/// Changes on a claim for no other reason than that the binder looks at it:
/// left alone it looks every 15 seconds.
pub const TOUCHED: &str = "kubectl-stateful.dev/touched";
/// On a new claim that has all its data, and on the Job that makes it so: of
/// which state of the Deployments.
pub const FILLED: &str = "kubectl-stateful.dev/filled";
/// A finalizer of a claim that must not go while its volume gets a policy back
/// under which it would go as well.
pub const HOLD: &str = "kubectl-stateful.dev/policy-returns";
/// On the journal, so that all journals can be listed.
pub const LABEL: &str = "kubectl-stateful.dev/journal";

/// The format this program writes, and the newest that it reads.
const FORMAT: u8 = 1;

/// Which way it is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// To the StatefulSet.
    Forward,
    /// Back to the Deployment.
    Back,
    /// What was kept for the way back goes.
    Finish,
    /// An old volume back under a set that is there.
    Recover,
}

/// How the data comes to the set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The same volumes under new claims: seconds of downtime, no copy
    #[default]
    Rebind,
    /// The claims as they are, shared by all pods
    Keep,
    /// New volumes, filled by rsync: another class or size, one claim into many
    Copy,
    /// New volumes that the storage clones from the old ones
    Clone,
    /// New volumes that the storage makes from a snapshot of the old ones
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

    /// Whether the set gets volumes of its own, and the old ones stay as they
    /// are.
    pub fn fills(self) -> bool {
        matches!(self, Mode::Copy | Mode::Clone | Mode::Snapshot)
    }
}

/// When the Deployment stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The volumes change hands while it still serves.
    #[default]
    SwapFirst,
    StopFirst,
}

/// The facts of a migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    format: u8,
    /// The id under which objects are ours.
    pub op: String,
    pub namespace: String,
    pub mode: Mode,
    pub order: Order,
    pub started: Timestamp,
    /// How many pods the set is to have.
    pub replicas: u32,
    /// What has to be typed again to get the same plan: a digest of it.
    pub plan: String,
    pub deployments: Vec<Member>,
    /// The set as it is created: without replicas.
    pub set: Value,
    /// The Service as it is created; none where one was there.
    pub service: Option<Value>,
    pub disks: Vec<Disk>,
    /// What copies, where something is copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copying: Option<Copying>,
    /// Claims that the set mounts under the name that they have.
    pub kept: Vec<String>,
    pub scalers: Vec<Scaler>,
    /// How many pods of the set may stay while a volume is put back.
    #[serde(default)]
    pub down_to: u32,
}

/// What the Jobs that copy are made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copying {
    pub image: String,
    /// The resources that their container requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
}

/// A Deployment as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub uid: String,
    /// Moves with every change of the spec, by whomever.
    pub generation: i64,
    pub replicas: u32,
    pub object: Value,
}

/// A claim and its volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// The volume of the pod, and the template that takes its place.
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
    /// Whether the binder had marked the volume as bound by itself: then it
    /// would take the reservation away when it unbinds.
    pub bound_by_controller: bool,
    /// The old claim as it was.
    pub object: Value,
    /// Whether the new claim gets a volume only when a pod wants it.
    #[serde(default)]
    pub waits_for_pod: bool,
    /// The snapshot of the old claim, as it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Value>,
    /// The volume that the set runs on, where another is put in its place.
    #[serde(default)]
    pub blank: Option<Blank>,
}

/// A volume that is kept, with what is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blank {
    pub pv: Held,
    pub policy: String,
}

impl Disk {
    /// Whether one pod at most may have the old claim.
    pub fn is_for_one_pod(&self) -> bool {
        super::object::items(&self.object, "/spec/accessModes")
            .any(|mode| mode.as_str() == Some("ReadWriteOncePod"))
    }

    /// Whether several nodes may have the old claim.
    pub fn is_shared(&self) -> bool {
        let many = ["ReadWriteMany", "ReadOnlyMany"];
        super::object::items(&self.object, "/spec/accessModes")
            .any(|mode| mode.as_str().is_some_and(|mode| many.contains(&mode)))
    }
}

/// One object, and no other by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub name: String,
    pub uid: String,
}

/// Something that scales the Deployment, and is to scale the set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scaler {
    pub kind: ScalerKind,
    pub target: Held,
    /// Where it names what it scales.
    pub pointer: String,
    pub from: Value,
    pub to: Value,
    /// The annotation that stops KEDA, as it was.
    pub paused: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalerKind {
    Hpa,
    Vpa,
    Keda,
}

/// KEDA's own switch; see its documentation of ScaledObjects.
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

    /// Whether it starts pods of a Deployment that is at 0. An HPA leaves such
    /// a one alone.
    pub fn can_wake(self) -> bool {
        self == ScalerKind::Keda
    }
}

/// What stands on a volume: enough to go back by hand, without the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    pub op: String,
    pub namespace: String,
    pub journal: String,
    pub policy: String,
    pub old: Held,
    pub new: String,
}

impl Tag {
    /// What stands on a volume whose journal is none of these.
    pub fn without_journal(volume: &Value, books: &[Value]) -> Option<Tag> {
        let tag: Tag = serde_json::from_str(annotation(volume, ANNOTATION)?).ok()?;
        let of = |book: &Value| {
            text(book, "/metadata/namespace") == Some(tag.namespace.as_str())
                && name(book) == tag.journal
        };
        (!books.iter().any(of)).then_some(tag)
    }
}

/// The ConfigMap: the facts, and what changes while it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    pub uid: String,
    pub resource_version: String,
    pub journal: Journal,
    pub intent: Intent,
    /// The run that has it in hand, and when it last said so.
    pub holder: Option<String>,
    pub beat: String,
    /// How the forward way ended.
    pub arrived: Option<Arrived>,
}

/// The set runs, and everything can still be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrived {
    pub at: Timestamp,
    pub set_uid: String,
    /// Between the stop of the old pod and the new one Ready; none when no
    /// single run has seen both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downtime_ms: Option<u64>,
}

/// Why a journal cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl Journal {
    pub fn set_name(&self) -> &str {
        name(&self.set)
    }

    /// The governing Service, ours or not.
    pub fn service_name(&self) -> &str {
        text(&self.set, "/spec/serviceName").unwrap_or_default()
    }

    /// The name of the ConfigMap.
    pub fn book_name(&self) -> String {
        book_name(self.set_name())
    }

    pub fn disk(&self, index: usize) -> Option<&Disk> {
        self.disks.get(index)
    }

    /// Whether the volumes themselves change hands.
    pub fn rebinds(&self) -> bool {
        self.mode == Mode::Rebind
    }

    /// Whether the set gets volumes of its own.
    pub fn fills(&self) -> bool {
        self.mode.fills()
    }

    pub fn tag(&self, disk: &Disk) -> Tag {
        Tag {
            op: self.op.clone(),
            namespace: self.namespace.clone(),
            journal: self.book_name(),
            policy: disk.policy.clone(),
            old: disk.old.clone(),
            new: disk.new.clone(),
        }
    }

    /// The facts with nothing filled in yet.
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
        }
    }

    /// The ConfigMap that locks the migration and remembers it.
    pub fn book(&self, holder: &str, intent: Intent) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": self.book_name(), "namespace": self.namespace,
                "labels": { LABEL: "migrate" },
                "annotations": { ANNOTATION: self.op },
            },
            "data": {
                // Serializing what was deserialized cannot fail.
                "journal": serde_json::to_string(self).unwrap_or_default(),
                "intent": intent, "holder": holder, "beat": Timestamp::now().to_string(),
            },
        })
    }
}

pub fn book_name(set: &str) -> String {
    format!("kubectl-stateful-migrate-{set}")
}

impl Book {
    /// Reads the ConfigMap.
    ///
    /// # Errors
    /// When it is not one of ours, or of a newer version.
    pub fn of(config_map: &Value) -> Result<Book, Unusable> {
        let data = |key: &str| text(config_map, &format!("/data/{key}"));
        let unreadable = |error: serde_json::Error| Unusable(error.to_string());
        let facts = data("journal").ok_or_else(|| Unusable("it holds no journal".to_owned()))?;
        let journal: Journal = serde_json::from_str(facts).map_err(unreadable)?;
        if journal.format > FORMAT {
            let format = journal.format;
            return Err(Unusable(format!("format {format} is newer than this program")));
        }
        let intent = data("intent").unwrap_or_default();
        let intent = serde_json::from_value(json!(intent)).map_err(unreadable)?;
        let arrived = data("arrived").map(serde_json::from_str).transpose().map_err(unreadable)?;
        Ok(Book {
            uid: text(config_map, "/metadata/uid").unwrap_or_default().to_owned(),
            resource_version: text(config_map, "/metadata/resourceVersion")
                .unwrap_or_default()
                .to_owned(),
            journal,
            intent,
            holder: data("holder").filter(|holder| !holder.is_empty()).map(str::to_owned),
            beat: data("beat").unwrap_or_default().to_owned(),
            arrived,
        })
    }
}
