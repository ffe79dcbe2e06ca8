//! Kubernetes objects as they travel, and their way into `workload` types.
//!
//! Only the fields that are used are named: serde skips the rest, so that a
//! list of thousands of pods costs little, and nothing read here is ever
//! written back (a typed round trip would drop fields that this program has
//! never heard of, kubernetes #3955). The same types read a cluster's answers
//! and files.

mod around;
mod disks;
mod naming;
mod pod;
mod set;
mod storage;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::workload::Owner;

pub(super) use around::{AutoscalerObject, BudgetObject, EventObject, NodeObject, ServiceObject};
pub(super) use disks::DiskObject;
pub(super) use naming::{LabelledObject, MemberObject, NamedService, SliceObject, TextsObject};
pub(super) use pod::PodObject;
pub(super) use set::{RevisionObject, SetObject};
pub(super) use storage::{ClaimObject, ClassObject, SnapshotClassObject, VolumeObject};

type Labels = BTreeMap<String, String>;

/// Something read in full and kept as it came: what is put back must be what
/// was read.
#[derive(Debug)]
struct Kept<T> {
    raw: Value,
    known: T,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Kept<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kept<T>, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        let known = T::deserialize(&raw).map_err(serde::de::Error::custom)?;
        Ok(Kept { raw, known })
    }
}

/// A list as the server sends it; some servers send null for no items.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    #[serde(default)]
    pub metadata: ListMeta,
    #[serde(default = "Option::default")]
    pub items: Option<Vec<T>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    #[serde(default)]
    pub resource_version: String,
    /// From where the next page goes on; empty behind the last.
    #[serde(default, rename = "continue")]
    pub next: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub name: String,
    pub namespace: Option<String>,
    uid: String,
    resource_version: String,
    generation: i64,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<Timestamp>,
    labels: Option<Labels>,
    annotations: Option<Labels>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference {
    #[serde(default)]
    api_version: String,
    kind: String,
    name: String,
    #[serde(default)]
    uid: String,
    controller: Option<bool>,
}

impl Meta {
    fn owners(&self) -> Vec<Owner> {
        let owners = self.owner_references.iter().flatten();
        let owner = |of: &OwnerReference| Owner {
            kind: of.kind.clone(),
            name: of.name.clone(),
            uid: of.uid.clone(),
        };
        owners.map(owner).collect()
    }

    fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    }
}
