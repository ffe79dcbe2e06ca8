//! What a migration reads: everything around a Deployment once, and the few
//! objects of a migration again and again. A fixed number of requests, however
//! many other objects there are.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinSet};

use super::{
    Cluster, Failure, Object, Resource,
    changes::wake,
    follow::Follow,
    http,
    objects::{List, PodObject},
    read::{Answer, api_groups, encode, keep, list, list_foreign},
    scaling::snapshots,
};
use crate::{
    migrate::{
        begin::Surroundings,
        fill::{Pass, job_name},
        journal::{ANNOTATION, Book, Disk, Journal, LABEL, Mode},
        object::{items, name, text},
        recover::Before,
        world::{World, annotation},
    },
    workload::Pod,
};

/// Kinds of the namespace that may speak of a Deployment or its claims.
const AROUND: [(&str, &str, &str, &str); 11] = [
    ("apps", "v1", "deployments", "Deployment"),
    ("apps", "v1", "replicasets", "ReplicaSet"),
    ("apps", "v1", "statefulsets", "StatefulSet"),
    ("apps", "v1", "daemonsets", "DaemonSet"),
    ("batch", "v1", "jobs", "Job"),
    ("batch", "v1", "cronjobs", "CronJob"),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("", "v1", "services", "Service"),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
];

/// Kinds that not every server has.
const PERHAPS: [(&str, &str, &str, &str); 4] = [
    ("autoscaling.k8s.io", "v1", "verticalpodautoscalers", "VerticalPodAutoscaler"),
    ("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject"),
    ("snapshot.storage.k8s.io", "v1", "volumesnapshots", "VolumeSnapshot"),
    ("volsync.backube", "v1alpha1", "replicationsources", "ReplicationSource"),
];

/// Whether a plan looks at objects of this kind.
pub(super) fn is_around(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let mut all = AROUND.iter().chain(&PERHAPS);
    all.any(|known| known.0 == group && known.3 == kind)
}

/// Everything around the Deployments of the namespace. Kinds that may not be
/// read are in [`Surroundings::unread`].
///
/// # Errors
/// When the server fails.
pub async fn surroundings(cluster: &Cluster, volumes: bool) -> Result<Surroundings, Failure> {
    let namespace = encode(cluster.namespace());
    let groups = api_groups(cluster).await?;
    let there = PERHAPS.iter().filter(|kind| groups.iter().any(|served| served == kind.0));
    let lists = AROUND.iter().chain(there).map(|(group, version, plural, kind)| {
        let base = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let path = format!("{base}/namespaces/{namespace}/{plural}");
        let dot = if group.is_empty() { "" } else { "." };
        let api =
            if group.is_empty() { (*version).to_owned() } else { format!("{group}/{version}") };
        async move {
            let what = format!("{plural}{dot}{group}");
            let answer = if PERHAPS.iter().any(|known| known.0 == *group) {
                list_foreign::<Value>(cluster, &what, &path).await?
            } else {
                list::<Value>(cluster, &what, &path).await?
            };
            Ok::<_, Failure>((*kind, api, answer))
        }
    });
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    let (lists, pods, nodes) = tokio::join!(
        try_join_all(lists),
        list::<PodObject>(cluster, "pods", &pods),
        list::<Value>(cluster, "nodes", "/api/v1/nodes"),
    );
    let mut found =
        Surroundings { namespace: cluster.namespace().to_owned(), ..Surroundings::default() };
    for (kind, api, answer) in lists? {
        for mut object in keep(answer, &mut found.unread).unwrap_or_default() {
            object["apiVersion"] = json!(api);
            object["kind"] = json!(kind);
            found.objects.push(object);
        }
    }
    let pods = keep(pods?, &mut found.unread).unwrap_or_default();
    found.pods = pods.into_iter().map(Pod::from).collect();
    // Without nodes nothing is said about them; that is no reason to stop.
    if let Answer::Items { items, .. } = nodes? {
        found.nodes = items;
    }
    if volumes {
        read_volumes(cluster, &mut found).await?;
    }
    Ok(found)
}

/// The volumes of the claims that Deployments mount, one by one: there may be
/// thousands of others.
async fn read_volumes(cluster: &Cluster, found: &mut Surroundings) -> Result<(), Failure> {
    let mounted: Vec<&str> = found
        .objects
        .iter()
        .filter(|object| text(object, "/kind") == Some("Deployment"))
        .flat_map(crate::migrate::object::deployment_mounts)
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
        let path = format!("/api/v1/persistentvolumes/{}", encode(&name));
        match cluster.get_opt::<Value>(&path).await {
            Ok(found) => Ok(found.map(|volume| (name, volume)).into_iter().collect::<Vec<_>>()),
            Err(Failure::Forbidden(_)) => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    });
    found.volumes = try_join_all(reads).await?.into_iter().flatten().collect();
    Ok(())
}

/// What the cluster can make volumes and snapshots of. What may not be read is
/// in [`Surroundings::unread`].
///
/// # Errors
/// When the server fails.
pub async fn offer(cluster: &Cluster, found: &mut Surroundings) -> Result<(), Failure> {
    let path = "/apis/storage.k8s.io/v1/storageclasses";
    let classes = list::<Value>(cluster, "storageclasses.storage.k8s.io", path).await?;
    found.offer.classes = keep(classes, &mut found.unread);
    found.offer.snapshots = snapshots(cluster).await?;
    Ok(())
}

/// The objects of one migration, as they are now.
///
/// # Errors
/// When one of them cannot be read: from half a picture nothing is decided.
pub async fn world(cluster: &Cluster, journal: &Journal) -> Result<World, Failure> {
    let object = |resource: Resource, name: &str| Object {
        resource,
        namespace: Some(journal.namespace.clone()),
        name: name.to_owned(),
    };
    let mut wanted = vec![
        object(Resource::CONFIG_MAP, &journal.book_name()),
        object(Resource::STATEFUL_SET, journal.set_name()),
        object(Resource::SERVICE, journal.service_name()),
    ];
    let members = journal.deployments.iter().map(|member| member.name.as_str());
    wanted.extend(members.map(|name| object(Resource::DEPLOYMENT, name)));
    for (index, disk) in journal.disks.iter().enumerate() {
        if journal.mode == Mode::Copy {
            let names = Pass::ALL.map(|pass| job_name(journal, index, pass));
            wanted.extend(names.map(|name| object(Resource::JOB, &name)));
        }
        if let Some(snapshot) = &disk.snapshot {
            wanted.push(object(Resource::SNAPSHOT, crate::migrate::object::name(snapshot)));
        }
        wanted.push(object(Resource::CLAIM, &disk.old.name));
        wanted.push(object(Resource::CLAIM, &disk.new));
        let blank = disk.blank.as_ref().map(|blank| &blank.pv);
        for volume in std::iter::once(&disk.pv).chain(blank) {
            let name = volume.name.clone();
            wanted.push(Object { resource: Resource::VOLUME, namespace: None, name });
        }
    }
    let scalers = journal.scalers.iter();
    wanted.extend(scalers.map(|scaler| object(scaler.kind.resource(), &scaler.target.name)));
    let reads = wanted.iter().map(|object| async move {
        Ok::<_, Failure>((object, cluster.get_opt::<Value>(&object.path(true)?).await?))
    });
    let pods = format!("/api/v1/namespaces/{}/pods", encode(&journal.namespace));
    let (found, pods, attachments) = tokio::join!(
        try_join_all(reads),
        cluster.get::<List<PodObject>>(&pods),
        attachments(cluster, journal),
    );
    let mut world = World { attachments: attachments?, ..World::default() };
    world.pods = pods?.items.unwrap_or_default().into_iter().map(Pod::from).collect();
    for (object, found) in found? {
        let Some(found) = found else { continue };
        let name = object.name.clone();
        match object.resource {
            Resource::CONFIG_MAP => world.book = Book::of(&found).ok(),
            Resource::STATEFUL_SET => world.set = Some(found),
            Resource::SERVICE => world.service = Some(found),
            Resource::DEPLOYMENT => drop(world.deployments.insert(name, found)),
            Resource::CLAIM => drop(world.claims.insert(name, found)),
            Resource::VOLUME => drop(world.volumes.insert(name, found)),
            Resource::JOB => drop(world.jobs.insert(name, found)),
            Resource::SNAPSHOT => drop(world.snapshots.insert(name, found)),
            other => drop(world.scalers.insert((other.plural, name), found)),
        }
    }
    Ok(world)
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

/// Nodes by the volume that is attached there.
pub(super) fn by_volume(all: Vec<Attachment>) -> BTreeMap<String, String> {
    let named =
        |one: Attachment| Some((one.spec.source.persistent_volume_name?, one.spec.node_name));
    all.into_iter().filter_map(named).collect()
}

/// Where volumes are attached; `None` where that may not be read.
async fn attachments(
    cluster: &Cluster,
    journal: &Journal,
) -> Result<Option<BTreeMap<String, String>>, Failure> {
    if journal.disks.is_empty() {
        return Ok(Some(BTreeMap::new()));
    }
    let path = "/apis/storage.k8s.io/v1/volumeattachments";
    match cluster.get::<List<Attachment>>(path).await {
        Ok(list) => Ok(Some(by_volume(list.items.unwrap_or_default()))),
        Err(Failure::Forbidden(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A set, the claims of its namespace, and these volumes and those of the
/// claims of one ordinal.
///
/// # Errors
/// When something cannot be read.
pub async fn before_recovery(
    cluster: &Cluster,
    set: &str,
    ordinal: u32,
    volumes: &[&str],
) -> Result<Before, Failure> {
    let namespace = encode(cluster.namespace());
    let sets = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{}", encode(set));
    let claims = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let (set, claims) =
        tokio::join!(cluster.get::<Value>(&sets), cluster.get::<List<Value>>(&claims));
    let mut before = Before { set: set?, ..Before::default() };
    for claim in claims?.items.unwrap_or_default() {
        before.claims.insert(name(&claim).to_owned(), claim);
    }
    let own = items(&before.set, "/spec/volumeClaimTemplates")
        .map(|template| format!("{}-{}-{ordinal}", name(template), name(&before.set)))
        .filter_map(|claim| text(before.claims.get(&claim)?, "/spec/volumeName"));
    let names = volumes.iter().copied().chain(own).map(str::to_owned);
    let reads = names.map(|name| async move {
        let path = format!("/api/v1/persistentvolumes/{}", encode(&name));
        Ok::<_, Failure>(cluster.get_opt::<Value>(&path).await?.map(|volume| (name, volume)))
    });
    before.volumes = try_join_all(reads).await?.into_iter().flatten().collect();
    Ok(before)
}

/// The journals of a namespace, or of all.
///
/// # Errors
/// When they cannot be listed.
pub async fn journals(cluster: &Cluster, everywhere: bool) -> Result<Vec<Value>, Failure> {
    let label = encode(&format!("{LABEL}=migrate"));
    let path = if everywhere {
        format!("/api/v1/configmaps?labelSelector={label}")
    } else {
        let namespace = encode(cluster.namespace());
        format!("/api/v1/namespaces/{namespace}/configmaps?labelSelector={label}")
    };
    let list: List<Value> = cluster.get(&path).await?;
    Ok(list.items.unwrap_or_default())
}

/// Volumes that bear the mark of a migration; `None` where volumes may not be
/// listed.
///
/// # Errors
/// When the server fails.
pub async fn marked_volumes(cluster: &Cluster) -> Result<Option<Vec<Value>>, Failure> {
    match cluster.get::<List<Value>>("/api/v1/persistentvolumes").await {
        Ok(list) => {
            let all = list.items.unwrap_or_default().into_iter();
            Ok(Some(all.filter(|volume| annotation(volume, ANNOTATION).is_some()).collect()))
        }
        Err(Failure::Forbidden(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Something that will be wanted later.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    pub verb: &'static str,
    pub resource: Resource,
    pub subresource: &'static str,
}

/// Those of the rights that we do not have, as `kubectl auth can-i` has them.
///
/// # Errors
/// When the server does not say.
pub async fn missing_rights(cluster: &Cluster, rights: &[Right]) -> Result<Vec<String>, Failure> {
    let asks = rights.iter().map(|right| async move {
        let Resource { group, plural, .. } = right.resource;
        let namespaced = right.resource != Resource::VOLUME;
        let namespace = if namespaced { cluster.namespace() } else { "" };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": right.verb, "group": group, "resource": plural,
                "subresource": right.subresource, "namespace": namespace,
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = http::build(
            ::http::Method::POST,
            path,
            Some("application/json"),
            hyper::body::Bytes::from(review.to_string()),
        )?;
        let asked = cluster.http.asked(&request);
        let body = cluster.http.exchange(request).await?;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|error| Failure::Unreadable { asked, cause: error.to_string() })?;
        let allowed = answer.pointer("/status/allowed") == Some(&Value::Bool(true));
        let slash = if right.subresource.is_empty() { "" } else { "/" };
        let dot = if group.is_empty() { "" } else { "." };
        let name = format!("{} {plural}{dot}{group}{slash}{}", right.verb, right.subresource);
        Ok::<_, Failure>((!allowed).then_some(name))
    });
    Ok(try_join_all(asks).await?.into_iter().flatten().collect())
}

/// The last line of a pod's log.
///
/// # Errors
/// When it cannot be read.
pub async fn last_line(cluster: &Cluster, pod: &str) -> Result<String, Failure> {
    let (namespace, pod) = (encode(cluster.namespace()), encode(pod));
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?tailLines=1&limitBytes=500");
    let log = cluster.http.exchange(http::get(&path)?).await?;
    Ok(String::from_utf8_lossy(&log).into_owned())
}

/// Tells that something about a migration changed, without saying what. What
/// else happens in the namespace does not make it look again.
#[derive(Debug)]
pub struct Stirrings {
    woken: Arc<Notify>,
    _watches: JoinSet<()>,
}

/// Of an object that changed: whose it is.
#[derive(Deserialize)]
struct Stirred {
    metadata: StirredMetadata,
    spec: Option<StirredSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StirredMetadata {
    name: String,
    #[serde(default)]
    owner_references: Vec<StirredOwner>,
}

#[derive(Deserialize)]
struct StirredOwner {
    name: String,
}

#[derive(Deserialize)]
struct StirredSpec {
    /// Of an attachment.
    source: Option<AttachmentSource>,
    /// Of a pod.
    volumes: Option<Vec<StirredVolume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StirredVolume {
    persistent_volume_claim: Option<StirredClaim>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StirredClaim {
    claim_name: String,
}

/// The names that a migration is about.
struct Concerned {
    /// The set, and the Deployments.
    workloads: Vec<String>,
    claims: Vec<String>,
    volumes: Vec<String>,
}

impl Concerned {
    fn of(journal: &Journal) -> Concerned {
        let members = journal.deployments.iter().map(|member| member.name.clone());
        let disks = journal.disks.iter();
        let blank = |disk: &Disk| disk.blank.as_ref().map(|blank| blank.pv.name.clone());
        Concerned {
            workloads: members.chain([journal.set_name().to_owned()]).collect(),
            claims: disks
                .clone()
                .flat_map(|disk| [disk.old.name.clone(), disk.new.clone()])
                .collect(),
            volumes: disks
                .flat_map(|disk| std::iter::once(disk.pv.name.clone()).chain(blank(disk)))
                .collect(),
        }
    }

    /// Of a set, or of a Deployment's ReplicaSet or Job: their names begin with
    /// that of the workload. Somebody whose name happens to begin so, too, costs
    /// a look and no more.
    fn is_of_workload(&self, name: &str) -> bool {
        self.workloads.iter().any(|workload| {
            name.strip_prefix(workload.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }

    fn by(&self, what: &Stirred) -> bool {
        let name = &what.metadata.name;
        let owners = &what.metadata.owner_references;
        if self.is_of_workload(name)
            || self.claims.contains(name)
            || owners.iter().any(|owner| self.is_of_workload(&owner.name))
        {
            return true;
        }
        let Some(spec) = &what.spec else { return false };
        let attached =
            spec.source.as_ref().and_then(|source| source.persistent_volume_name.as_ref());
        let mut mounted = spec
            .volumes
            .iter()
            .flatten()
            .filter_map(|volume| Some(&volume.persistent_volume_claim.as_ref()?.claim_name));
        attached.is_some_and(|volume| self.volumes.contains(volume))
            || mounted.any(|claim| self.claims.contains(claim))
    }
}

impl Stirrings {
    /// Watches the pods, claims and workloads of a migration.
    pub fn of(cluster: &Cluster, journal: &Journal) -> Stirrings {
        let namespace = encode(&journal.namespace);
        let core = |resource: &str| format!("/api/v1/namespaces/{namespace}/{resource}");
        let apps = |resource: &str| format!("/apis/apps/v1/namespaces/{namespace}/{resource}");
        let by_name = |path: String, name: &str| {
            format!("{path}?fieldSelector={}", encode(&format!("metadata.name={name}")))
        };
        // Of one name, or of a kind of which there are few.
        let mut own = vec![
            by_name(core("configmaps"), &journal.book_name()),
            by_name(apps("statefulsets"), journal.set_name()),
        ];
        for member in &journal.deployments {
            own.push(by_name(apps("deployments"), &member.name));
        }
        if journal.mode == Mode::Snapshot {
            let group = "/apis/snapshot.storage.k8s.io/v1";
            own.push(format!("{group}/namespaces/{namespace}/volumesnapshots"));
        }
        let mut shared = vec![core("pods")];
        if journal.mode == Mode::Copy {
            shared.push(format!("/apis/batch/v1/namespaces/{namespace}/jobs"));
        }
        if !journal.disks.is_empty() {
            shared.push(core("persistentvolumeclaims"));
            shared.push("/apis/storage.k8s.io/v1/volumeattachments".to_owned());
        }
        let woken = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        for path in own {
            let follow = Follow::new(cluster.clone(), path, String::new());
            watches.spawn(wake(follow, |_: &IgnoredAny| true, Arc::clone(&woken)));
        }
        let concerned = Arc::new(Concerned::of(journal));
        for path in shared {
            let follow = Follow::new(cluster.clone(), path, String::new());
            let concerned = Arc::clone(&concerned);
            let matters = move |what: &Stirred| concerned.by(what);
            watches.spawn(wake(follow, matters, Arc::clone(&woken)));
        }
        Stirrings { woken, _watches: watches }
    }

    /// Waits for the next change; one that came since the last call counts.
    pub async fn next(&mut self) {
        self.woken.notified().await;
    }
}
