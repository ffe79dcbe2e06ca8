//! Kubernetes objects as the API serves them, and their conversion to
//! `workload` types.
//!
//! Only the fields that are used are declared: serde skips the rest, which
//! keeps long lists cheap. Nothing read here is ever written back, because a
//! typed round trip drops unknown fields (kubernetes #3955). The same types
//! read answers of a cluster and files.

mod around;
mod pod;
mod set;
pub mod storage;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::workload::Owner;

pub use around::{
    AttachmentObject, AutoscalerObject, BudgetObject, EventObject, NodeObject, QuotaObject,
    ServiceObject,
};
pub use pod::PodObject;
pub use set::{RevisionObject, SetObject};
pub use storage::{ClaimObject, ClassObject, SnapshotClassObject, VolumeObject};

pub type Labels = BTreeMap<String, String>;

/// A value decoded and also kept raw, so that it can be written back
/// unchanged.
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

/// An object that is read for its metadata only.
#[derive(Debug, Deserialize)]
pub struct AnyObject {
    pub metadata: Meta,
}

/// A list as the server sends it; some servers send null instead of no items.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    #[serde(default)]
    pub metadata: ListMeta,
    #[serde(default = "Option::default")]
    pub items: Option<Vec<T>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    #[serde(default)]
    pub resource_version: String,
    /// The token of the next page; empty on the last one.
    #[serde(default, rename = "continue")]
    pub next: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    pub name: String,
    pub namespace: Option<String>,
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
    pub creation_timestamp: Option<Timestamp>,
    pub deletion_timestamp: Option<Timestamp>,
    pub labels: Option<Labels>,
    pub annotations: Option<Labels>,
    pub finalizers: Option<Vec<String>>,
    pub owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnerReference {
    #[serde(default)]
    pub api_version: String,
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub uid: String,
    pub controller: Option<bool>,
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

    /// The owner that controls it.
    pub fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    }
}
