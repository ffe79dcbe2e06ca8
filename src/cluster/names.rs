//! The names of objects: for completion, and where a name is looked for.

use std::collections::HashSet;

use serde::Deserialize;

use super::{
    Cluster, Failure, Listing, Resource,
    objects::{Meta, PodObject, RevisionObject, SetObject},
};
use crate::workload::{Pod, Revision, StatefulSet};

/// The names of the sets in the namespace, or of another kind of workload.
///
/// # Errors
/// When they cannot be listed.
pub async fn workload_names(cluster: &Cluster, kind: Resource) -> Result<Vec<String>, Failure> {
    names(cluster, &kind.within(cluster.namespace())).await
}

/// The names of the claims that no pod of the namespace uses, at most one page.
/// Without the right to list pods it is not known which these are: none.
///
/// # Errors
/// When they cannot be listed.
pub async fn unused_claim_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let pods = Resource::POD.within(cluster.namespace());
    let (claims, pods) = tokio::try_join!(claim_names(cluster), cluster.list::<PodObject>(&pods))?;
    let pods: Vec<Pod> = pods.into_iter().map(Into::into).collect();
    let running = || pods.iter().filter(|pod| !pod.is_finished());
    let used: HashSet<&String> = running().flat_map(|pod| &pod.claims).collect();
    // The claim of an ephemeral volume begins with the name of its pod.
    let is_ephemeral = |claim: &str| {
        running().any(|pod| claim.strip_prefix(&*pod.name).is_some_and(|end| end.starts_with('-')))
    };
    let unused = |claim: &String| !used.contains(claim) && !is_ephemeral(claim);
    Ok(claims.into_iter().filter(unused).collect())
}

/// The names of the claims in the namespace, at most one page.
///
/// # Errors
/// When they cannot be listed.
pub async fn claim_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    names(cluster, &Resource::CLAIM.within(cluster.namespace()).limit(500)).await
}

/// The names of the Services in the namespace; none without permission.
///
/// # Errors
/// When the server fails.
pub async fn service_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    match names(cluster, &Resource::SERVICE.within(cluster.namespace())).await {
        Err(Failure::Forbidden(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// The names of the volumes in the cluster, at most one page.
///
/// # Errors
/// When they cannot be listed.
pub async fn volume_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    names(cluster, &Resource::VOLUME.everywhere().limit(500)).await
}

/// The names of a set's containers, init containers first.
///
/// # Errors
/// When the set cannot be read.
pub async fn container_names(cluster: &Cluster, set: &str) -> Result<Vec<String>, Failure> {
    let set = Resource::STATEFUL_SET.object(cluster.namespace(), set);
    let set = StatefulSet::from(cluster.read::<SetObject>(&set).await?);
    Ok(set.template.containers.into_iter().map(|container| container.name).collect())
}

/// The names of a set's revisions, newest first.
///
/// # Errors
/// When they cannot be listed.
pub async fn revision_names(cluster: &Cluster, set: &str) -> Result<Vec<String>, Failure> {
    let listing = Resource::REVISION.within(cluster.namespace());
    let all = cluster.list::<RevisionObject>(&listing).await?;
    let own = all.into_iter().filter(|revision| revision.is_of_set_named(set));
    let mut revisions: Vec<Revision> = own.map(Into::into).collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    Ok(revisions.into_iter().map(|revision| revision.name).collect())
}

/// The names of the namespaces.
///
/// # Errors
/// When they cannot be listed.
pub async fn namespace_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    names(cluster, &Resource::NAMESPACE.everywhere()).await
}

async fn names(cluster: &Cluster, listing: &Listing) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct NameOnly {
        metadata: Meta,
    }
    let all = cluster.list::<NameOnly>(listing).await?;
    Ok(all.into_iter().map(|object| object.metadata.name).collect())
}
