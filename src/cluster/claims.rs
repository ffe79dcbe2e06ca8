//! Some claims by name, their volumes, and the pods that may use them.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use serde_json::Value;

use super::{Cluster, Failure, Object, Resource, objects::PodObject};
use crate::workload::{Pod, raw::text};

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub claims: BTreeMap<String, Value>,
    pub volumes: BTreeMap<String, Value>,
    /// Every pod of the namespace.
    pub pods: Vec<Pod>,
}

impl Claims {
    /// Reads those of the claims and `volumes` that exist, and the volumes of
    /// the claims.
    ///
    /// # Errors
    /// When anything cannot be read: nothing is decided on partial data.
    pub async fn read(
        cluster: &Cluster,
        namespace: &str,
        names: &[String],
        volumes: &[String],
    ) -> Result<Claims, Failure> {
        let pods = Resource::POD.within(namespace);
        let claims = names.iter().map(|name| one(cluster, Resource::CLAIM.object(namespace, name)));
        let (claims, pods) = tokio::join!(try_join_all(claims), cluster.list::<PodObject>(&pods));
        let mut read = Claims {
            claims: claims?.into_iter().flatten().collect(),
            pods: pods?.into_iter().map(Pod::from).collect(),
            ..Claims::default()
        };
        let mut names: Vec<&str> =
            read.claims.values().filter_map(|claim| text(claim, "/spec/volumeName")).collect();
        names.extend(volumes.iter().map(String::as_str));
        names.sort_unstable();
        names.dedup();
        let volumes = names.into_iter().map(|name| one(cluster, Resource::VOLUME.object("", name)));
        read.volumes = try_join_all(volumes).await?.into_iter().flatten().collect();
        Ok(read)
    }
}

async fn one(cluster: &Cluster, object: Object) -> Result<Option<(String, Value)>, Failure> {
    let found = cluster.find::<Value>(&object).await?;
    Ok(found.map(|found| (object.name, found)))
}
