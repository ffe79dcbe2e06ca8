//! Volume snapshots.

use serde_json::Value;

use super::{Cluster, Failure, Listed, Resource, objects::SnapshotClassObject, read::api_groups};
use crate::workload::{SNAPSHOT_GROUP, Snapshots};

/// Which snapshots the cluster can take.
///
/// # Errors
/// When the server fails.
pub async fn snapshots(cluster: &Cluster) -> Result<Snapshots, Failure> {
    if !api_groups(cluster).await?.iter().any(|group| group == SNAPSHOT_GROUP) {
        return Ok(Snapshots::Absent);
    }
    let classes = Resource::SNAPSHOT_CLASS.everywhere();
    match cluster.list_if_allowed::<SnapshotClassObject>(&classes).await {
        Ok(Listed::Items { items, .. }) => {
            Ok(Snapshots::Classes(items.into_iter().map(Into::into).collect()))
        }
        Ok(Listed::Unread(_)) => Ok(Snapshots::Unknown),
        // The group without this kind: partly installed or removed, or an
        // older version.
        Err(Failure::NoSuchApi(_)) => Ok(Snapshots::Absent),
        Err(failure) => Err(failure),
    }
}

/// A VolumeSnapshot; `None` if it does not exist.
///
/// # Errors
/// When it cannot be read.
pub async fn snapshot(cluster: &Cluster, name: &str) -> Result<Option<Value>, Failure> {
    cluster.find(&Resource::SNAPSHOT.object(cluster.namespace(), name)).await
}
