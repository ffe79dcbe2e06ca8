//! What a migration reads: everything around a Deployment once, for the plan, and
//! the few objects of a migration again and again. The number of requests does
//! not depend on how many other objects there are.

mod changes;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::changes::MigrationChanges;
use super::{
    journal::{ANNOTATION, Intent, Journal, LABEL},
    plan::Surroundings,
    recover::Before,
    remains::{self, Found, Remains},
    world::{World, is_of_ordinal},
};
use crate::{
    cluster::{
        Cluster, Failure, Resource, objects::PodObject, read::api_groups, snapshots::snapshots,
    },
    workload::{
        Pod, Unread,
        raw::{deployment_mounts, items, name, text},
    },
};

/// Kinds in the namespace that may refer to a Deployment or its claims.
const AROUND: [Resource; 11] = [
    Resource::DEPLOYMENT,
    Resource::REPLICA_SET,
    Resource::STATEFUL_SET,
    Resource::DAEMON_SET,
    Resource::JOB,
    Resource::CRON_JOB,
    Resource::CLAIM,
    Resource::SERVICE,
    Resource::HPA,
    Resource::BUDGET,
    Resource::NETWORK_POLICY,
];

/// Kinds that not every server has.
const AROUND_IF_SERVED: [Resource; 4] =
    [Resource::VPA, Resource::SCALED_OBJECT, Resource::SNAPSHOT, Resource::REPLICATION_SOURCE];

/// Whether a plan looks at objects of this kind.
pub(super) fn is_around(api_version: &str, kind: &str) -> bool {
    AROUND.iter().chain(&AROUND_IF_SERVED).any(|known| known.is_of(api_version, kind))
}

/// Everything around the Deployments of the namespace. Kinds that may not be
/// read are in [`Surroundings::unread`].
///
/// # Errors
/// When the server fails.
pub async fn surroundings(cluster: &Cluster, volumes: bool) -> Result<Surroundings, Failure> {
    let namespace = cluster.namespace();
    let groups = api_groups(cluster).await?;
    let served = |kind: &&Resource| groups.iter().any(|group| group == kind.group);
    let lists =
        AROUND.iter().chain(AROUND_IF_SERVED.iter().filter(served)).map(|kind| async move {
            let listing = kind.within(namespace);
            let answer = if AROUND_IF_SERVED.contains(kind) {
                cluster.list_if_served::<Value>(&listing).await?
            } else {
                cluster.list_if_allowed::<Value>(&listing).await?
            };
            Ok::<_, Failure>((kind, answer))
        });
    let pods = Resource::POD.within(namespace);
    let nodes = Resource::NODE.everywhere();
    let (lists, pods, nodes) = tokio::join!(
        try_join_all(lists),
        cluster.list_if_allowed::<PodObject>(&pods),
        cluster.list_if_allowed::<Value>(&nodes),
    );
    let mut found = Surroundings {
        namespace: namespace.to_owned(),
        flags: cluster.flags(),
        ..Surroundings::default()
    };
    for (kind, answer) in lists? {
        for mut object in answer.keep(&mut found.unread).unwrap_or_default() {
            object["apiVersion"] = json!(kind.api_version());
            object["kind"] = json!(kind.kind);
            found.objects.push(object);
        }
    }
    let pods = pods?.keep(&mut found.unread).unwrap_or_default();
    found.pods = pods.into_iter().map(Pod::from).collect();
    let mut unread = Vec::new();
    found.nodes = nodes?.keep(&mut unread).unwrap_or_default();
    found.nodes_unread = unread.pop();
    if volumes {
        read_volumes(cluster, &mut found).await?;
    }
    Ok(found)
}

/// Reads the volumes of the claims that Deployments mount, one by one: there may
/// be thousands of others.
async fn read_volumes(cluster: &Cluster, found: &mut Surroundings) -> Result<(), Failure> {
    let mounted: Vec<&str> = found
        .objects
        .iter()
        .filter(|object| text(object, "/kind") == Some("Deployment"))
        .flat_map(deployment_mounts)
        .map(|(_, claim)| claim)
        .collect();
    let names = found
        .objects
        .iter()
        .filter(|object| text(object, "/kind") == Some("PersistentVolumeClaim"))
        .filter(|object| mounted.contains(&name(object)))
        .filter_map(|claim| text(claim, "/spec/volumeName"))
        .map(str::to_owned);
    let reads = names.map(|name| async move {
        let volume = Resource::VOLUME.object("", &name);
        let mut unread = Vec::new();
        let found = cluster.find_if_allowed::<Value>(&volume, &mut unread).await?;
        Ok::<_, Failure>((found.map(|volume| (name, volume)), !unread.is_empty()))
    });
    let answers = try_join_all(reads).await?;
    found.volumes_forbidden = answers.iter().any(|(_, forbidden)| *forbidden);
    found.volumes = answers.into_iter().filter_map(|(volume, _)| volume).collect();
    Ok(())
}

/// Reads the storage classes and snapshot classes. What may not be read is in
/// [`Surroundings::unread`].
///
/// # Errors
/// When the server fails.
pub async fn storage(cluster: &Cluster, found: &mut Surroundings) -> Result<(), Failure> {
    let classes = cluster.list_if_allowed(&Resource::STORAGE_CLASS.everywhere()).await?;
    found.storage.classes = classes.keep(&mut found.unread);
    found.storage.snapshots = snapshots(cluster).await?;
    Ok(())
}

/// The objects of one migration, as they are now.
///
/// # Errors
/// When one of them cannot be read: nothing is decided from incomplete facts.
pub async fn world(cluster: &Cluster, journal: &Journal) -> Result<World, Failure> {
    let wanted = World::wanted(journal);
    let reads = wanted.iter().map(|object| async move {
        Ok::<_, Failure>((object, cluster.find::<Value>(object).await?))
    });
    let pods = Resource::POD.within(&journal.namespace);
    let (found, pods, attachments) = tokio::join!(
        try_join_all(reads),
        cluster.list::<PodObject>(&pods),
        attachments(cluster, journal),
    );
    let mut world = World { attachments: attachments?, ..World::default() };
    world.pods = pods?.into_iter().map(Pod::from).collect();
    for (object, found) in found? {
        if let Some(found) = found {
            world.add(object, found);
        }
    }
    // Before a rollback: the set may own claims that no journal knows.
    let may_go_back = world
        .stored_journal
        .as_ref()
        .is_some_and(|stored| matches!(stored.intent, Intent::Forward | Intent::Back));
    let has_set = may_go_back && world.own_set(journal).is_some() && !journal.disks.is_empty();
    let claims =
        async { if has_set { claims_of_set(cluster, journal).await.map(Some) } else { Ok(None) } };
    // What may not be read of these stays unknown; nothing is decided by it.
    let more = world.more_wanted();
    let reads = more.iter().map(|object| async move {
        let found = cluster.find_if_allowed::<Value>(object, &mut Vec::new()).await?;
        Ok::<_, Failure>((object, found))
    });
    let (found, claims) = tokio::join!(try_join_all(reads), claims);
    for (object, found) in found? {
        if let Some(found) = found {
            world.add(object, found);
        }
    }
    if let Some(claims) = claims? {
        world.set_claims_unread = claims.is_none();
        world.set_claims = claims.unwrap_or_default();
    }
    Ok(world)
}

/// The claims of a namespace that have the name of an ordinal of the set; `None`
/// if claims may not be listed.
///
/// # Errors
/// When the server fails.
pub async fn claims_of_set(
    cluster: &Cluster,
    journal: &Journal,
) -> Result<Option<Vec<Value>>, Failure> {
    let listing = Resource::CLAIM.within(&journal.namespace);
    let claims = cluster.list_if_allowed::<Value>(&listing).await?.keep(&mut Vec::new());
    Ok(claims.map(|all| all.into_iter().filter(|one| is_of_ordinal(one, journal)).collect()))
}

/// A VolumeAttachment.
#[derive(Deserialize)]
pub(super) struct Attachment {
    spec: AttachmentSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSpec {
    node_name: String,
    source: AttachmentSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSource {
    persistent_volume_name: Option<String>,
}

/// Nodes, by the volume that is attached to them.
pub(super) fn by_volume(all: Vec<Attachment>) -> BTreeMap<String, String> {
    let named =
        |one: Attachment| Some((one.spec.source.persistent_volume_name?, one.spec.node_name));
    all.into_iter().filter_map(named).collect()
}

/// Where volumes are attached; `None` if that may not be read.
async fn attachments(
    cluster: &Cluster,
    journal: &Journal,
) -> Result<Option<BTreeMap<String, String>>, Failure> {
    if journal.disks.is_empty() {
        return Ok(Some(BTreeMap::new()));
    }
    match cluster.list(&Resource::ATTACHMENT.everywhere()).await {
        Ok(all) => Ok(Some(by_volume(all))),
        Err(Failure::Forbidden(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What a recovery is planned from: a set, the claims of its namespace, these
/// volumes and those of the claims of one ordinal, and who may still use them. If
/// no volume is named, all volumes.
///
/// # Errors
/// When something cannot be read that no plan can do without.
pub async fn before_recovery(
    cluster: &Cluster,
    set: &str,
    ordinal: u32,
    volumes: &[&str],
) -> Result<Before, Failure> {
    let set = Resource::STATEFUL_SET.object(cluster.namespace(), set);
    let claims = Resource::CLAIM.within(cluster.namespace());
    let (set, claims) = tokio::join!(cluster.read(&set), cluster.list::<Value>(&claims));
    let mut before = Before { set: set?, flags: cluster.flags(), ..Before::default() };
    for claim in claims? {
        before.claims.insert(name(&claim).to_owned(), claim);
    }
    let named = |volume: Value| (name(&volume).to_owned(), volume);
    if volumes.is_empty() {
        let all = cluster.list::<Value>(&Resource::VOLUME.everywhere()).await?;
        before.volumes = all.into_iter().map(named).collect();
        return Ok(before);
    }
    let own = items(&before.set, "/spec/volumeClaimTemplates")
        .map(|template| format!("{}-{}-{ordinal}", name(template), name(&before.set)))
        .filter_map(|claim| text(before.claims.get(&claim)?, "/spec/volumeName"));
    let names = volumes.iter().copied().chain(own).map(str::to_owned);
    let reads = names.map(|name| async move {
        let volume = Resource::VOLUME.object("", &name);
        cluster.find::<Value>(&volume).await
    });
    let everywhere = Resource::VOLUME.everywhere();
    let (found, all) =
        tokio::join!(try_join_all(reads), cluster.list_if_allowed::<Value>(&everywhere));
    before.volumes = found?.into_iter().flatten().map(named).collect();
    before.all_volumes = all?.keep(&mut Vec::new());
    read_users(cluster, &mut before, volumes).await?;
    Ok(before)
}

/// The volumes of a migration, by name.
///
/// # Errors
/// When one cannot be read.
pub async fn volumes_of(
    cluster: &Cluster,
    journal: &Journal,
) -> Result<BTreeMap<String, Value>, Failure> {
    let reads = journal.disks.iter().map(|disk| async move {
        let volume = Resource::VOLUME.object("", &disk.pv.name);
        cluster.find::<Value>(&volume).await
    });
    let found = try_join_all(reads).await?.into_iter().flatten();
    Ok(found.map(|volume| (name(&volume).to_owned(), volume)).collect())
}

/// Reads who may use these volumes: the pods of the namespaces of their last
/// claims, what has the names of those claims now, and where they are attached.
async fn read_users(
    cluster: &Cluster,
    before: &mut Before,
    volumes: &[&str],
) -> Result<(), Failure> {
    let last = |volume: &&str| {
        let found = before.volumes.get(*volume)?;
        let last = |field: &str| text(found, &format!("/spec/claimRef/{field}"));
        Some((last("namespace")?.to_owned(), last("name")?.to_owned(), (*volume).to_owned()))
    };
    let claims: Vec<(String, String, String)> = volumes.iter().filter_map(last).collect();
    let namespaces: BTreeSet<&str> = claims.iter().map(|(space, ..)| space.as_str()).collect();
    let pods = namespaces.into_iter().map(|space| async move {
        let listed = cluster.list_if_allowed::<PodObject>(&Resource::POD.within(space)).await?;
        let pods = listed.keep(&mut Vec::new());
        let pods = pods.map(|pods| pods.into_iter().map(Pod::from).collect());
        Ok::<_, Failure>((space.to_owned(), pods))
    });
    let foreign = claims.iter().filter(|(space, ..)| space != cluster.namespace());
    let namesakes = foreign.map(|(space, claim, volume)| async move {
        let claim = Resource::CLAIM.object(space, claim);
        // Without it, a pod that names the claim counts as a user of the volume.
        let found = cluster.find_if_allowed::<Value>(&claim, &mut Vec::new()).await?;
        Ok::<_, Failure>(found.map(|claim| (volume.clone(), claim)))
    });
    let attachments = Resource::ATTACHMENT.everywhere();
    let (pods, namesakes, attachments) = tokio::join!(
        try_join_all(pods),
        try_join_all(namesakes),
        cluster.list_if_allowed::<Attachment>(&attachments),
    );
    let (pods, namesakes) = (pods?, namesakes?);
    before.attachments = attachments?.keep(&mut Vec::new()).map(by_volume);
    before.pods = pods.into_iter().collect();
    before.namesakes = namesakes.into_iter().flatten().collect();
    Ok(())
}

/// The journals of a namespace, or of all.
///
/// # Errors
/// When they cannot be listed.
pub async fn journals(cluster: &Cluster, everywhere: bool) -> Result<Vec<Value>, Failure> {
    let namespace = (!everywhere).then_some(cluster.namespace());
    cluster.list(&Resource::CONFIG_MAP.list(namespace).labelled(&format!("{LABEL}=migrate"))).await
}

/// What is left of migrations whose journal does not exist, in a namespace or in all;
/// and the kinds that could not be read, among which there may be more.
///
/// # Errors
/// When the server fails, or the journals cannot be listed.
pub async fn remains(
    cluster: &Cluster,
    everywhere: bool,
) -> Result<(Vec<Remains>, Vec<Unread>), Failure> {
    let namespace = (!everywhere).then_some(cluster.namespace());
    let kinds = [Resource::VOLUME, Resource::SERVICE, Resource::STATEFUL_SET, Resource::JOB];
    let lists = kinds.map(|kind| async move {
        // Of the volumes, those of other namespaces are left out below.
        let listing = if kind.namespaced { kind.list(namespace) } else { kind.everywhere() };
        let listing = match kind {
            Resource::STATEFUL_SET | Resource::JOB => listing.labelled(ANNOTATION),
            _ => listing,
        };
        Ok::<_, Failure>((kind, cluster.list_if_allowed::<Value>(&listing).await?))
    });
    let claims = Resource::CLAIM.list(namespace);
    let snapshots = Resource::SNAPSHOT.list(namespace);
    let (lists, claims, snapshots) = tokio::join!(
        try_join_all(lists),
        cluster.list_if_allowed::<Value>(&claims),
        cluster.list_if_allowed::<Value>(&snapshots),
    );
    let (mut found, mut unread) = (Found::default(), Vec::new());
    found.claims = claims?.keep(&mut unread).unwrap_or_default();
    for (kind, answer) in lists? {
        let all = answer.keep(&mut unread).unwrap_or_default();
        found.objects.extend(all.into_iter().map(|object| (kind, object)));
    }
    match snapshots {
        // Most servers have none.
        Err(Failure::NoSuchApi(_)) => {}
        other => {
            let all = other?.keep(&mut unread).unwrap_or_default();
            found.objects.extend(all.into_iter().map(|object| (Resource::SNAPSHOT, object)));
        }
    }
    // A migration makes its journal before it marks anything: one that began while the
    // objects were read has its journal in this list.
    found.journals = journals(cluster, everywhere).await?;
    let mut remains = remains::remains(&found);
    remains.retain(|one| namespace.is_none_or(|namespace| one.namespace == namespace));
    Ok((remains, unread))
}
