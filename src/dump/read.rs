//! Every kind that an offline command looks at, each in one list.

use futures_util::future::try_join_all;
use serde_json::Value;

use crate::{
    cluster::{Cluster, Failure, Listed, Listing, Resource, read::api_groups},
    workload::{JOURNAL_LABEL, Unread, raw},
};

/// In the order in which they are written: the sets first.
pub const KINDS: [Resource; 29] = [
    Resource::STATEFUL_SET,
    Resource::REVISION,
    Resource::POD,
    Resource::CLAIM,
    Resource::VOLUME,
    Resource::STORAGE_CLASS,
    Resource::ATTACHMENT,
    Resource::NODE,
    Resource::SERVICE,
    Resource::ENDPOINT_SLICE,
    Resource::NETWORK_POLICY,
    Resource::BUDGET,
    Resource::QUOTA,
    Resource::HPA,
    Resource::VPA,
    Resource::SCALED_OBJECT,
    Resource::SNAPSHOT,
    Resource::SNAPSHOT_CLASS,
    Resource::REPLICATION_SOURCE,
    Resource::DEPLOYMENT,
    Resource::REPLICA_SET,
    Resource::DAEMON_SET,
    Resource::REPLICATION_CONTROLLER,
    Resource::JOB,
    Resource::CRON_JOB,
    Resource::POD_TEMPLATE,
    Resource::CONFIG_MAP,
    Resource::NAMESPACE,
    Resource::EVENT,
];

/// All objects of a kind that were asked for, as the server sends them.
pub struct Kind {
    pub resource: Resource,
    pub objects: Vec<Value>,
}

pub struct Dump {
    pub kinds: Vec<Kind>,
    pub unread: Vec<Unread>,
}

/// Reads a namespace, or all of them, and what is of no namespace. What may not be
/// read is in `unread`, and not in `kinds`.
pub async fn everything(cluster: &Cluster, namespace: Option<&str>) -> Result<Dump, Failure> {
    let groups = api_groups(cluster).await?;
    // A kind whose group is not served has no objects.
    let is_served =
        |kind: Resource| !kind.group.contains('.') || groups.iter().any(|one| one == kind.group);
    let lists = KINDS.into_iter().map(async |kind| {
        if is_served(kind) {
            cluster.whole(listing(kind, namespace)).await
        } else {
            Ok(Listed::none())
        }
    });
    let mut dump = Dump { kinds: Vec::new(), unread: Vec::new() };
    for (resource, list) in KINDS.into_iter().zip(try_join_all(lists).await?) {
        let Some(mut objects) = list.keep(&mut dump.unread) else { continue };
        objects.retain(|object| concerns(resource, object, namespace));
        for object in &mut objects {
            complete(resource, object);
        }
        dump.kinds.push(Kind { resource, objects });
    }
    Ok(dump)
}

fn listing(kind: Resource, namespace: Option<&str>) -> Listing {
    let all = kind.list(namespace);
    match (kind, namespace) {
        // Only our journals: other people's ConfigMaps are their own.
        (Resource::CONFIG_MAP, _) => all.labelled(JOURNAL_LABEL),
        (Resource::NAMESPACE, Some(name)) => all.named(name),
        _ => all,
    }
}

/// Volumes are of no namespace; those whose claim is in another one stay out.
fn concerns(kind: Resource, object: &Value, namespace: Option<&str>) -> bool {
    let holder = raw::text(object, "/spec/claimRef/namespace");
    kind != Resource::VOLUME || namespace.is_none() || holder.is_none() || holder == namespace
}

/// The items of a list have no kind of their own; and nobody asks who manages a pod,
/// or which images a node has.
fn complete(kind: Resource, object: &mut Value) {
    let Value::Object(fields) = object else { return };
    fields.shift_insert(0, "apiVersion".to_owned(), kind.api_version().into());
    fields.shift_insert(1, "kind".to_owned(), kind.kind.into());
    if let Some(Value::Object(metadata)) = fields.get_mut("metadata")
        && matches!(
            kind,
            Resource::POD | Resource::EVENT | Resource::NODE | Resource::ENDPOINT_SLICE
        )
    {
        metadata.shift_remove("managedFields");
    }
    if let (Resource::NODE, Some(Value::Object(status))) = (kind, fields.get_mut("status")) {
        status.shift_remove("images");
    }
}
