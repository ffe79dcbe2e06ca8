//! Claims, volumes and classes.

use serde::Deserialize;
use serde_json::Value;

use super::{
    Labels, Meta,
    pod::{ConditionObject, condition},
    set::{SelectorObject, selector},
};
use crate::workload::{
    Claim, ClaimRef, Class, LEGACY_CLASS, MIGRATION_MARK, SnapshotClass, Volume,
};

#[derive(Debug, Deserialize)]
pub struct ClaimObject {
    pub metadata: Meta,
    #[serde(default)]
    spec: ClaimSpec,
    #[serde(default)]
    status: ClaimStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSpec {
    storage_class_name: Option<String>,
    volume_name: Option<String>,
    access_modes: Option<Vec<String>>,
    volume_mode: Option<String>,
    selector: Option<SelectorObject>,
    resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Option<Quantities>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Quantities {
    storage: Option<Quantity>,
}

/// Quantities are strings in the API, but manifests may have bare numbers.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Quantity {
    Text(String),
    Number(serde_json::Number),
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> String {
        match quantity {
            Quantity::Text(text) => text,
            Quantity::Number(number) => number.to_string(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClaimStatus {
    phase: String,
    capacity: Option<Quantities>,
    conditions: Option<Vec<ConditionObject>>,
    #[serde(rename = "allocatedResourceStatuses")]
    resizes: Option<Labels>,
}

/// The conditions of a claim that are about its size.
const ABOUT_THE_SIZE: [&str; 4] =
    ["Resizing", "FileSystemResizePending", "ControllerResizeError", "NodeResizeError"];

fn is_block(mode: Option<&str>) -> bool {
    mode == Some("Block")
}

pub fn storage(quantities: Option<Quantities>) -> Option<String> {
    quantities?.storage.map(String::from)
}

impl From<ClaimObject> for Claim {
    fn from(object: ClaimObject) -> Claim {
        let ClaimObject { metadata: meta, spec, status } = object;
        let owners = meta.owners();
        let annotations = meta.annotations.unwrap_or_default();
        let (mut resizing, mut unused_since) = (Vec::new(), None);
        for condition in status.conditions.into_iter().flatten().map(condition) {
            if ABOUT_THE_SIZE.contains(&condition.kind.as_str()) && condition.holds {
                resizing.push(condition);
            } else if condition.kind == "Unused" && condition.holds {
                unused_since = condition.since;
            }
        }
        let legacy_class = annotations.get(LEGACY_CLASS).cloned();
        Claim {
            mark: annotations.get(MIGRATION_MARK).cloned(),
            owners,
            name: meta.name,
            uid: meta.uid,
            created: meta.creation_timestamp,
            deleting: meta.deletion_timestamp,
            phase: status.phase,
            class: legacy_class.or(spec.storage_class_name),
            volume: spec.volume_name.filter(|name| !name.is_empty()),
            capacity: storage(status.capacity),
            request: storage(spec.resources.requests),
            access_modes: spec.access_modes.unwrap_or_default(),
            is_block: is_block(spec.volume_mode.as_deref()),
            selector: spec.selector.map(selector),
            selected_node: annotations.get("volume.kubernetes.io/selected-node").cloned(),
            finalizers: meta.finalizers.unwrap_or_default(),
            unused_since,
            resizing,
            resize_status: status.resizes.and_then(|mut resizes| resizes.remove("storage")),
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct VolumeObject {
    pub metadata: Meta,
    spec: VolumeSpec,
    #[serde(default)]
    status: VolumeStatus,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeSpec {
    storage_class_name: Option<String>,
    persistent_volume_reclaim_policy: Option<String>,
    capacity: Option<Quantities>,
    access_modes: Option<Vec<String>>,
    volume_mode: Option<String>,
    node_affinity: Option<Affinity>,
    claim_ref: Option<ClaimRefObject>,
    csi: Option<CsiObject>,
}

#[derive(Debug, Deserialize)]
struct Affinity {
    required: Option<NodeSelector>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeSelector {
    #[serde(default)]
    node_selector_terms: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct CsiObject {
    driver: String,
}

#[derive(Debug, Deserialize)]
struct ClaimRefObject {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VolumeStatus {
    phase: String,
}

impl From<VolumeObject> for Volume {
    fn from(object: VolumeObject) -> Volume {
        let VolumeObject { metadata: meta, spec, status } = object;
        let mut annotations = meta.annotations.unwrap_or_default();
        let legacy_class = annotations.remove(LEGACY_CLASS);
        Volume {
            mark: annotations.remove(MIGRATION_MARK),
            name: meta.name,
            created: meta.creation_timestamp,
            deleting: meta.deletion_timestamp,
            phase: status.phase,
            class: legacy_class.or(spec.storage_class_name).filter(|class| !class.is_empty()),
            // The default for volumes that an administrator creates.
            reclaim_policy: spec
                .persistent_volume_reclaim_policy
                .unwrap_or_else(|| "Retain".to_owned()),
            capacity: storage(spec.capacity),
            access_modes: spec.access_modes.unwrap_or_default(),
            is_block: is_block(spec.volume_mode.as_deref()),
            labels: meta.labels.unwrap_or_default(),
            node_terms: spec
                .node_affinity
                .and_then(|affinity| affinity.required)
                .map(|required| required.node_selector_terms),
            claim: spec.claim_ref.map(|claim| ClaimRef {
                namespace: claim.namespace,
                name: claim.name,
                uid: claim.uid.filter(|uid| !uid.is_empty()),
            }),
            driver: spec.csi.map(|csi| csi.driver),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassObject {
    pub metadata: Meta,
    #[serde(default)]
    provisioner: String,
    volume_binding_mode: Option<String>,
}

impl From<ClassObject> for Class {
    fn from(object: ClassObject) -> Class {
        let annotations = object.metadata.annotations.unwrap_or_default();
        let marks = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ];
        Class {
            is_default: marks
                .iter()
                .any(|mark| annotations.get(*mark).is_some_and(|v| v == "true")),
            name: object.metadata.name,
            provisioner: object.provisioner,
            waits_for_consumer: object.volume_binding_mode.as_deref()
                == Some("WaitForFirstConsumer"),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotClassObject {
    pub metadata: Meta,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    deletion_policy: String,
}

impl From<SnapshotClassObject> for SnapshotClass {
    fn from(object: SnapshotClassObject) -> SnapshotClass {
        let annotations = object.metadata.annotations.unwrap_or_default();
        let mark = annotations.get("snapshot.storage.kubernetes.io/is-default-class");
        SnapshotClass {
            is_default: mark.is_some_and(|mark| mark == "true"),
            name: object.metadata.name,
            driver: object.driver,
            deletes: object.deletion_policy == "Delete",
        }
    }
}
