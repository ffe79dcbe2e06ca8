//! What is read right before something is changed: the object itself first,
//! then everything that may use it, so that the object's resourceVersion
//! speaks for the whole time.

use std::sync::Arc;

use serde_json::Value;

use super::facts;
use crate::{
    cluster::{Cluster, Failure, Object, Resource},
    migrate::object::text,
    orphans::{
        adopt,
        delete::{self, Target},
        model::Facts,
    },
};

async fn one(
    cluster: &Cluster,
    resource: Resource,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Value>, Failure> {
    let object =
        Object { resource, namespace: namespace.map(str::to_owned), name: name.to_owned() };
    cluster.get_opt(&object.path(true)?).await
}

/// The same, where no right to read it is as good as not there: what hangs on
/// it is refused then.
async fn one_if_allowed(
    cluster: &Cluster,
    resource: Resource,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Value>, Failure> {
    match one(cluster, resource, namespace, name).await {
        Err(Failure::Forbidden(_)) => Ok(None),
        other => other,
    }
}

/// What there is around something that is to be deleted. `known` are facts
/// that were read a moment ago, where that is good enough.
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
        world.volume = one(cluster, Resource::VOLUME, None, &target.name).await?;
        let holder = world.volume.as_ref().and_then(|pv| text(pv, "/spec/claimRef/namespace"));
        namespace = holder.map(str::to_owned).or(namespace);
    } else {
        let here = namespace.as_deref();
        world.claim = one(cluster, Resource::CLAIM, here, &target.name).await?;
        let Some(claim) = &world.claim else { return Ok(world) };
        let volume = text(claim, "/spec/volumeName").filter(|name| !name.is_empty());
        if let Some(volume) = volume {
            world.volume = one_if_allowed(cluster, Resource::VOLUME, None, volume).await?;
        }
        if snapshots {
            let name = delete::snapshot_name(claim);
            world.snapshot = one(cluster, Resource::SNAPSHOT, here, &name).await?;
        }
    }
    let is_there = world.claim.is_some() || world.volume.is_some();
    if is_there {
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

/// What there is around a volume that is to be adopted.
///
/// # Errors
/// Any [`Failure`].
pub async fn to_adopt(
    cluster: &Cluster,
    wish: &adopt::Wish,
    known: Option<&Arc<Facts>>,
) -> Result<adopt::World, Failure> {
    let here = Some(wish.namespace.as_str());
    let set = set(cluster, &wish.namespace, &wish.set).await?;
    let volume = one(cluster, Resource::VOLUME, None, &wish.volume).await?;
    let claim = one(cluster, Resource::CLAIM, here, &wish.claim()).await?;
    let held = |pointer: &str| volume.as_ref().and_then(|volume| text(volume, pointer));
    let holder = match (held("/spec/claimRef/namespace"), held("/spec/claimRef/name")) {
        (Some(namespace), Some(name)) if namespace == wish.namespace => {
            one(cluster, Resource::CLAIM, Some(namespace), name).await?
        }
        _ => None,
    };
    let facts = around(cluster, &wish.namespace, known).await?;
    Ok(adopt::World { set, volume, holder, claim, facts })
}

/// A StatefulSet as it is.
///
/// # Errors
/// When it is not there.
pub async fn set(cluster: &Cluster, namespace: &str, name: &str) -> Result<Value, Failure> {
    let set = Object {
        resource: Resource::STATEFUL_SET,
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    };
    cluster.get(&set.path(true)?).await
}

/// The volume that a claim has; `None` where it has none.
///
/// # Errors
/// When the claim is not there.
pub async fn volume_of_claim(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, Failure> {
    let claim = Object {
        resource: Resource::CLAIM,
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    };
    let claim: Value = cluster.get(&claim.path(true)?).await?;
    let volume = text(&claim, "/spec/volumeName").filter(|name| !name.is_empty());
    Ok(volume.map(str::to_owned))
}
