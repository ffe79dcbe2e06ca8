//! What a migration reads, from files instead of a cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    journal::{Journal, LABEL},
    plan::Surroundings,
    read::{Attachment, by_volume, is_around},
    remains::{self, Found, Remains},
    volumes::ClusterStorage,
    world::{World, is_of_ordinal},
};
use crate::{
    cluster::{
        Resource,
        objects::{PodObject, SnapshotClassObject},
    },
    manifests::{Bundle, Object, absent},
    output::Error,
    workload::{Pod, Snapshots, Unread, raw},
};

/// The objects around these Deployments, from files. If the files are a dump and
/// lack a kind that a plan needs, that kind is in [`Surroundings::unread`].
///
/// # Errors
/// When they are in several namespaces and none was named, or an object is not
/// valid for its kind.
pub fn surroundings(
    input: &Bundle,
    members: &[String],
    namespace: Option<&str>,
    volumes: bool,
) -> Result<Surroundings, Error> {
    let namespace = match namespace {
        Some(namespace) => namespace,
        None => namespace_of(input, members)?,
    };
    let near = input.scope(namespace);
    let around = input.seen_from(namespace).filter(|object| object.is_one_of(is_around));
    let objects: Vec<Value> = around.map(|object| object.body.clone()).collect();
    let live = |wanted: Resource| {
        let mut all = objects.iter();
        all.any(|one| raw::kind(one) == wanted.kind && !raw::uid(one).is_empty())
    };
    let is_dump = live(Resource::DEPLOYMENT);
    let mut unread = Vec::new();
    let pods = near.list::<PodObject, Pod>(Resource::POD)?;
    if is_dump && pods.is_none() {
        unread.push(absent(Resource::POD));
    }
    // Without ReplicaSets the owner of a pod is not known.
    let owners = live(Resource::REPLICA_SET);
    if is_dump && !owners {
        unread.push(absent(Resource::REPLICA_SET));
    }
    let found: Vec<Value> = input.bodies(Resource::VOLUME).cloned().collect();
    if volumes && live(Resource::CLAIM) && found.is_empty() {
        unread.push(absent(Resource::VOLUME));
    }
    Ok(Surroundings {
        namespace: namespace.to_owned(),
        pods: pods.filter(|_| owners).unwrap_or_default(),
        volumes: found.into_iter().map(|volume| (raw::name(&volume).to_owned(), volume)).collect(),
        nodes: input.bodies(Resource::NODE).cloned().collect(),
        storage: storage(input)?,
        objects,
        unread,
        ..Surroundings::default()
    })
}

/// The storage classes and snapshot classes of the files.
fn storage(input: &Bundle) -> Result<ClusterStorage, Error> {
    let near = input.scope("");
    let classes = input.all(Resource::STORAGE_CLASS);
    Ok(ClusterStorage {
        classes: classes.map(|all| all.map(|object| object.body.clone()).collect()),
        snapshots: near
            .list::<SnapshotClassObject, _>(Resource::SNAPSHOT_CLASS)?
            .map_or(Snapshots::Absent, Snapshots::Classes),
    })
}

/// The only namespace that has these Deployments.
fn namespace_of<'a>(input: &'a Bundle, members: &[String]) -> Result<&'a str, Error> {
    let named = |object: &&Object| {
        raw::is_deployment(&object.body) && members.iter().any(|member| member == object.name())
    };
    let all: BTreeSet<&str> =
        input.objects().filter(named).filter_map(|one| one.namespace.as_deref()).collect();
    if all.len() > 1 {
        let names: Vec<&str> = all.into_iter().collect();
        let message = format!(
            "these Deployments are in several namespaces of the input: {}",
            names.join(", ")
        );
        return Err(Error::usage(message).hint("name the namespace with -n"));
    }
    Ok(all.first().copied().unwrap_or("default"))
}

/// The journals of migrations, in one namespace or in all.
pub fn journals(input: &Bundle, namespace: Option<&str>) -> Vec<Value> {
    let is_journal = |body: &&Value| {
        let labels = body.pointer("/metadata/labels");
        labels.and_then(|labels| labels.get(LABEL)).is_some()
    };
    let here = |object: &&Object| namespace.is_none_or(|wanted| object.in_namespace(wanted));
    let all = input.all(Resource::CONFIG_MAP).into_iter().flatten().filter(here);
    all.map(|object| &object.body).filter(is_journal).cloned().collect()
}

/// What is left of migrations whose journal is not in the files, in one namespace or in
/// all. Files without ConfigMaps say nothing about that.
pub fn remains(input: &Bundle, namespace: Option<&str>) -> Vec<Remains> {
    if input.all(Resource::CONFIG_MAP).is_none() {
        return Vec::new();
    }
    let bodies = |kind: Resource| input.all(kind).into_iter().flatten().map(|one| one.body.clone());
    let kinds = [
        Resource::VOLUME,
        Resource::SERVICE,
        Resource::STATEFUL_SET,
        Resource::JOB,
        Resource::SNAPSHOT,
    ];
    let objects = kinds.into_iter().flat_map(|kind| bodies(kind).map(move |body| (kind, body)));
    let found = Found {
        objects: objects.collect(),
        claims: bodies(Resource::CLAIM).collect(),
        journals: journals(input, None),
    };
    let mut remains = remains::remains(&found);
    remains.retain(|one| namespace.is_none_or(|namespace| one.namespace == namespace));
    remains
}

/// The objects of one migration, and the kinds that the input does not have.
///
/// # Errors
/// When an object is not valid for its kind.
pub fn world(input: &Bundle, journal: &Journal) -> Result<(World, Vec<Unread>), Error> {
    let near = input.scope(&journal.namespace);
    let mut world = World::default();
    for wanted in World::wanted(journal) {
        if let Some(found) = near.find(&wanted) {
            world.add(&wanted, found.clone());
        }
    }
    let disks = !journal.disks.is_empty();
    let claims = disks || !journal.kept.is_empty();
    let kinds =
        [(Resource::DEPLOYMENT, true), (Resource::CLAIM, claims), (Resource::VOLUME, disks)];
    let scalers = journal.scalers.iter().map(|scaler| (scaler.kind.resource(), true));
    let mut unread = Vec::new();
    for (kind, needed) in kinds.into_iter().chain(scalers) {
        if needed && near.bodies(kind).is_none() {
            unread.push(absent(kind));
        }
    }
    let claims = near.bodies(Resource::CLAIM).into_iter().flatten();
    world.set_claims = claims.filter(|one| is_of_ordinal(one, journal)).cloned().collect();
    for wanted in world.more_wanted() {
        if let Some(found) = near.find(&wanted) {
            world.add(&wanted, found.clone());
        }
    }
    let pods = near.list::<PodObject, Pod>(Resource::POD)?;
    // Where nothing asks for a pod, there may be none.
    let wants_pods =
        world.deployments.values().chain(&world.set).any(|workload| raw::replicas(workload) > 0);
    world.pods_unread = pods.is_none() && wants_pods;
    if world.pods_unread {
        unread.push(absent(Resource::POD));
    }
    world.pods = pods.unwrap_or_default();
    // A set that had arrived is in a dump that has sets.
    let arrived = world.stored_journal.as_ref().is_some_and(|stored| stored.arrived.is_some());
    if arrived && near.bodies(Resource::STATEFUL_SET).is_none() {
        unread.push(absent(Resource::STATEFUL_SET));
    }
    let attachments = near.list_raw::<Attachment>(Resource::ATTACHMENT)?;
    world.attachments = attachments.map(by_volume);
    Ok((world, unread))
}
