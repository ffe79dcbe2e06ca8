//! What is read right before a write: first the object itself, then everything
//! that may use it. So the resourceVersion of the object, as a precondition,
//! covers all of that time.

use std::sync::Arc;

use serde_json::Value;

use super::facts;
use crate::{
    cluster::{Cluster, Failure, Object, Resource},
    orphans::{
        adopt,
        delete::{self, Target},
        model::Facts,
    },
    workload::raw::text,
};

/// Reads an object. One that the user may not read counts as missing, and what
/// depends on it is refused.
async fn find_if_allowed(cluster: &Cluster, object: &Object) -> Result<Option<Value>, Failure> {
    cluster.find_if_allowed(object, &mut Vec::new()).await
}

/// Reads what a deletion depends on. `known` are facts that were read a moment
/// ago, if that is recent enough.
///
/// # Errors
/// Any [`Failure`].
pub async fn to_delete(
    cluster: &Cluster,
    target: &Target,
    snapshots: bool,
    known: Option<&Arc<Facts>>,
) -> Result<delete::World, Failure> {
    let mut world = delete::World::default();
    let mut namespace = target.namespace.clone();
    if target.is_volume {
        world.volume = cluster.find(&Resource::VOLUME.object("", &target.name)).await?;
        let holder = world.volume.as_ref().and_then(|pv| text(pv, "/spec/claimRef/namespace"));
        namespace = holder.map(str::to_owned).or(namespace);
    } else {
        let here = namespace.as_deref().unwrap_or(cluster.namespace());
        world.claim = cluster.find(&Resource::CLAIM.object(here, &target.name)).await?;
        let Some(claim) = &world.claim else { return Ok(world) };
        let volume = text(claim, "/spec/volumeName").filter(|name| !name.is_empty());
        if let Some(volume) = volume {
            let volume = Resource::VOLUME.object("", volume);
            world.volume = find_if_allowed(cluster, &volume).await?;
        }
        if snapshots {
            let name = delete::snapshot_name(claim);
            world.snapshot = cluster.find(&Resource::SNAPSHOT.object(here, &name)).await?;
        }
    }
    let exists = world.claim.is_some() || world.volume.is_some();
    if exists {
        let namespace = namespace.unwrap_or_else(|| cluster.namespace().to_owned());
        world.facts = around(cluster, &namespace, known).await?;
    }
    Ok(world)
}

async fn around(
    cluster: &Cluster,
    namespace: &str,
    known: Option<&Arc<Facts>>,
) -> Result<Arc<Facts>, Failure> {
    match known {
        Some(known) => Ok(Arc::clone(known)),
        None => Ok(Arc::new(facts(cluster, Some(namespace)).await?)),
    }
}

/// Reads what an adoption depends on.
///
/// # Errors
/// Any [`Failure`].
pub async fn to_adopt(
    cluster: &Cluster,
    adoption: &adopt::Adoption,
    known: Option<&Arc<Facts>>,
) -> Result<adopt::World, Failure> {
    let here = adoption.namespace.as_str();
    let set = set(cluster, &adoption.namespace, &adoption.set).await?;
    let volume: Option<Value> =
        cluster.find(&Resource::VOLUME.object("", &adoption.volume)).await?;
    let claim = cluster.find(&Resource::CLAIM.object(here, &adoption.claim())).await?;
    let held = |pointer: &str| volume.as_ref().and_then(|volume| text(volume, pointer));
    let holder = match (held("/spec/claimRef/namespace"), held("/spec/claimRef/name")) {
        (Some(namespace), Some(name)) if namespace == adoption.namespace => {
            cluster.find(&Resource::CLAIM.object(namespace, name)).await?
        }
        _ => None,
    };
    let facts = around(cluster, &adoption.namespace, known).await?;
    Ok(adopt::World { set, volume, holder, claim, facts })
}

/// Reads a StatefulSet.
///
/// # Errors
/// When it does not exist.
pub async fn set(cluster: &Cluster, namespace: &str, name: &str) -> Result<Value, Failure> {
    cluster.read(&Resource::STATEFUL_SET.object(namespace, name)).await
}

/// The volume of a claim, if it has one.
///
/// # Errors
/// When the claim does not exist.
pub async fn volume_of_claim(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, Failure> {
    let claim: Value = cluster.read(&Resource::CLAIM.object(namespace, name)).await?;
    let volume = text(&claim, "/spec/volumeName").filter(|name| !name.is_empty());
    Ok(volume.map(str::to_owned))
}
