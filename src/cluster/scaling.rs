//! What taking ordinals away reads beside the set: claims with their owners,
//! and snapshots.

use serde_json::Value;

use super::{
    Cluster, Failure, Resource,
    objects::{ClaimObject, List, SnapshotClassObject},
    read::{Answer, api_groups, encode, list},
};
use crate::workload::{Claim, SNAPSHOT_GROUP, Snapshots};

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

/// Which snapshots the cluster can make.
///
/// # Errors
/// When the server fails.
pub async fn snapshots(cluster: &Cluster) -> Result<Snapshots, Failure> {
    if !api_groups(cluster).await?.iter().any(|group| group == SNAPSHOT_GROUP) {
        return Ok(Snapshots::Absent);
    }
    let path = format!("/apis/{SNAPSHOT_GROUP}/v1/volumesnapshotclasses");
    let what = format!("volumesnapshotclasses.{SNAPSHOT_GROUP}");
    match list::<SnapshotClassObject>(cluster, &what, &path).await {
        Ok(Answer::Items { items, .. }) => {
            Ok(Snapshots::Classes(items.into_iter().map(Into::into).collect()))
        }
        Ok(Answer::Unread(_)) => Ok(Snapshots::Unknown),
        // The group without this kind: half installed, half removed, or of an
        // older version.
        Err(Failure::NoSuchApi(_)) => Ok(Snapshots::Absent),
        Err(failure) => Err(failure),
    }
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
