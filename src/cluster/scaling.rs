//! What taking ordinals away reads beside the set: claims with their owners,
//! and snapshots.

use serde_json::Value;

use super::{
    Cluster, Failure, Resource,
    objects::{ClaimObject, List},
    read::{Answer, api_groups, encode, list},
};
use crate::workload::Claim;

/// The group of VolumeSnapshots.
const SNAPSHOTS: &str = "snapshot.storage.k8s.io";

/// The claims of the namespace as they are now.
///
/// # Errors
/// When they cannot be listed.
pub async fn claims(cluster: &Cluster) -> Result<Vec<Claim>, Failure> {
    let namespace = encode(cluster.namespace());
    let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let list: List<ClaimObject> = cluster.get(&path).await?;
    Ok(list.items.unwrap_or_default().into_iter().map(Into::into).collect())
}

/// Whether snapshots can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshots {
    /// The server does not serve them.
    Absent,
    /// The names of the classes, and the driver and what becomes of the
    /// snapshot's data when the object goes.
    Classes(Vec<SnapshotClass>),
    /// There are some, and which we may not see.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotClass {
    pub name: String,
    pub driver: String,
    pub deletes: bool,
}

/// Which snapshots the cluster can make.
///
/// # Errors
/// When the server fails.
pub async fn snapshots(cluster: &Cluster) -> Result<Snapshots, Failure> {
    if !api_groups(cluster).await?.iter().any(|group| group == SNAPSHOTS) {
        return Ok(Snapshots::Absent);
    }
    let path = format!("/apis/{SNAPSHOTS}/v1/volumesnapshotclasses");
    let answer = list::<Value>(cluster, "volumesnapshotclasses.snapshot.storage.k8s.io", &path);
    Ok(match answer.await? {
        Answer::Items { items, .. } => {
            let word = |class: &Value, path: &str| {
                class.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            let class = |class: &Value| SnapshotClass {
                name: word(class, "/metadata/name"),
                driver: word(class, "/driver"),
                deletes: word(class, "/deletionPolicy") == "Delete",
            };
            Snapshots::Classes(items.iter().map(class).collect())
        }
        Answer::NoRight(_) => Snapshots::Unknown,
    })
}

/// A VolumeSnapshot; `None` when there is none.
///
/// # Errors
/// When it cannot be read.
pub async fn snapshot(cluster: &Cluster, name: &str) -> Result<Option<Value>, Failure> {
    let object = super::Object {
        resource: Resource::SNAPSHOT,
        namespace: Some(cluster.namespace().to_owned()),
        name: name.to_owned(),
    };
    cluster.get_opt::<Value>(&object.path(true)?).await
}
