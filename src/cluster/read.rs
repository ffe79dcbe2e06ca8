//! Reads facts from a cluster: which lists are read for which command.
//!
//! A command makes a fixed number of requests, whatever the number of ordinals:
//! it lists, and never sends a request per claim or per pod.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Cluster, Failure, Listed, Listing, Resource,
    error::RequestLine,
    objects::{
        AnyObject, AttachmentObject, AutoscalerObject, BudgetObject, ClaimObject, ClassObject,
        EventObject, Meta, NodeObject, PodObject, RevisionObject, ServiceObject, SetObject,
        VolumeObject,
    },
};
use crate::workload::{
    Attachment, Autoscaler, Claim, Event, Facts, ManagerKind, Node, Pod, Read, Revision,
    StatefulSet, Unread, Volume,
};

/// Nodes are read one by one, and only those of pods that are overdue for
/// deletion. With more lost nodes than this, a few are enough to see it.
const MAX_NODES: usize = 3;

/// Likewise for pods that may have taken the name of an ordinal.
pub const MAX_OTHERS: usize = 3;

/// The kinds of autoscalers.
pub const AUTOSCALERS: [(ManagerKind, Resource); 3] = [
    (ManagerKind::HorizontalPodAutoscaler, Resource::HPA),
    (ManagerKind::VerticalPodAutoscaler, Resource::VPA),
    (ManagerKind::ScaledObject, Resource::SCALED_OBJECT),
];

/// The facts, and the versions from which watches continue.
#[derive(Debug)]
pub struct Reading {
    pub facts: Facts,
    pub(super) versions: ListVersions,
}

/// The resource versions of the lists that change during a rollout.
#[derive(Debug)]
pub(super) struct ListVersions {
    pub set: String,
    pub pods: String,
    pub claims: String,
    pub events: String,
    pub budgets: String,
}

/// The lists with a set and what changes with it.
pub(super) struct Lists {
    /// The set itself, as a list that can be watched.
    pub sets: Listing,
    pub pods: Listing,
    pub revisions: Listing,
    pub claims: Listing,
    /// The warnings.
    pub events: Listing,
    pub budgets: Listing,
}

impl Lists {
    pub fn of(set: &StatefulSet) -> Lists {
        let namespace = &set.namespace;
        let labels = set.selector.query();
        Lists {
            sets: Resource::STATEFUL_SET.within(namespace).named(&set.name),
            pods: Resource::POD.within(namespace).labelled(&labels),
            revisions: Resource::REVISION.within(namespace).labelled(&labels),
            claims: Resource::CLAIM.within(namespace),
            events: Resource::EVENT.within(namespace).whose("type=Warning"),
            budgets: Resource::BUDGET.within(namespace),
        }
    }
}

/// Which facts a command needs; all others are left empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The set, its pods and volumes, and what they depend on.
    Status,
    /// What matters for a rollout to another revision.
    Rollout,
    /// What matters for removing and adding ordinals.
    Scale,
}

/// Reads the facts about one set that `scope` needs.
///
/// # Errors
/// When the set cannot be read, or the server fails. Lists without permission
/// are in [`Facts::unread`] instead.
pub async fn facts(cluster: &Cluster, name: &str, scope: Scope) -> Result<Reading, Failure> {
    let namespace = cluster.namespace();
    let set = Resource::STATEFUL_SET.object(namespace, name);
    // The set comes first: without it there is nothing to read, and the other
    // lists need its selector.
    let status = scope == Scope::Status;
    let moves = !status;
    let (set, groups, server_version) = tokio::join!(
        cluster.read::<SetObject>(&set),
        api_groups(cluster),
        server_version(scope == Scope::Rollout, cluster),
    );
    let (set, groups) = (StatefulSet::from(set?), groups?);
    let Lists { pods, revisions, claims, events, budgets, .. } = Lists::of(&set);
    let services = Resource::SERVICE.within(namespace);
    let volumes = Resource::VOLUME.everywhere();
    let classes = Resource::STORAGE_CLASS.everywhere();
    // A set whose pods have no claims needs no volumes, nor permission for them.
    let storage = scope != Scope::Rollout && set.has_claims();
    let (pods, revisions, claims, volumes, classes, services, events, budgets, autoscalers) = tokio::join!(
        cluster.list_if_allowed::<PodObject>(&pods),
        cluster.list_if_allowed::<RevisionObject>(&revisions),
        list_if::<ClaimObject>(storage, cluster, &claims),
        list_if::<VolumeObject>(storage, cluster, &volumes),
        list_if::<ClassObject>(storage, cluster, &classes),
        list_if::<ServiceObject>(status, cluster, &services),
        cluster.list_if_allowed::<EventObject>(&events),
        list_if::<BudgetObject>(moves, cluster, &budgets),
        autoscalers(cluster, &groups),
    );
    let (pods, claims, events, budgets) = (pods?, claims?, events?, budgets?);
    let versions = ListVersions {
        set: set.resource_version.clone(),
        pods: pods.resource_version(),
        claims: claims.resource_version(),
        events: events.resource_version(),
        budgets: budgets.resource_version(),
    };
    let mut unread = Vec::new();
    let mut pods: Read<Pod> = domain(pods.keep(&mut unread));
    let revisions = revisions?.keep(&mut unread).map(|all: Vec<RevisionObject>| {
        let own = all.into_iter().filter(|revision| revision.belongs_to(&set.uid));
        own.map(Into::into).collect()
    });
    let claims = domain(claims.keep(&mut unread));
    let volumes = domain(volumes?.keep(&mut unread));
    let classes = domain(classes?.keep(&mut unread));
    let services = domain(services?.keep(&mut unread));
    let events = domain(events.keep(&mut unread));
    let budgets = domain(budgets.keep(&mut unread));
    let (autoscalers, unread_autoscalers) = autoscalers?;
    unread.extend(unread_autoscalers);
    let overdue = pods.as_deref().filter(|_| status).unwrap_or_default();
    let (nodes, unread_nodes) = nodes_of_overdue(cluster, overdue).await?;
    unread.extend(unread_nodes);
    let taken = status && events.iter().flatten().any(is_multi_attach);
    let attachments =
        if taken { attachments(cluster, &mut unread).await? } else { Some(Vec::new()) };
    if let Some(pods) = pods.as_mut().filter(|_| status) {
        let others = others(cluster, &set, |name| pods.iter().any(|pod| pod.name == name)).await?;
        pods.extend(others);
    }
    let going = scope != Scope::Scale && may_be_going(&set, pods.as_deref());
    let namespace_deleting =
        if going { namespace_deleting(cluster, namespace).await? } else { None };
    let facts = Facts {
        set,
        pods,
        revisions,
        claims,
        volumes,
        classes,
        services,
        autoscalers,
        budgets,
        events,
        nodes,
        attachments,
        namespace_deleting,
        server_version,
        unread,
        flags: cluster.flags(),
    };
    Ok(Reading { facts, versions })
}

/// Whether this set may be one that goes with its namespace.
fn may_be_going(set: &StatefulSet, pods: Option<&[Pod]>) -> bool {
    let replicas = usize::try_from(set.replicas).unwrap_or(usize::MAX);
    let goes = |pods: &[Pod]| pods.len() < replicas || pods.iter().any(Pod::is_terminating);
    set.deleting.is_some() || pods.is_some_and(goes)
}

/// When this namespace was deleted, if it is going and may be read.
///
/// # Errors
/// Any [`Failure`] except a 403 or a 404.
pub async fn namespace_deleting(
    cluster: &Cluster,
    name: &str,
) -> Result<Option<Timestamp>, Failure> {
    let object = Resource::NAMESPACE.object("", name);
    // Many may read everything in a namespace, and not the namespace itself.
    let found = cluster.find_if_allowed::<AnyObject>(&object, &mut Vec::new()).await?;
    Ok(found.and_then(|namespace| namespace.metadata.deletion_timestamp))
}

/// Whether an event says that a volume is still attached to another node.
pub fn is_multi_attach(event: &Event) -> bool {
    event.reason == "FailedAttachVolume" && event.message.contains("Multi-Attach")
}

/// Which volumes are attached where.
async fn attachments(
    cluster: &Cluster,
    unread: &mut Vec<Unread>,
) -> Result<Read<Attachment>, Failure> {
    let listing = Resource::ATTACHMENT.everywhere();
    let all = cluster.list_if_allowed::<AttachmentObject>(&listing).await?.keep(unread);
    Ok(all.map(|all| all.into_iter().filter_map(Into::into).collect()))
}

/// The nodes to which volumes are attached, by the name of the volume; none that may
/// not be read.
///
/// # Errors
/// Any [`Failure`] except a 403 or a 404.
pub async fn attached(cluster: &Cluster) -> Result<BTreeMap<String, String>, Failure> {
    let all = attachments(cluster, &mut Vec::new()).await?;
    Ok(all.into_iter().flatten().map(|one| (one.volume, one.node)).collect())
}

/// Pods with the names of ordinals that have none: they may be of somebody else,
/// and then the set's own cannot be created.
///
/// # Errors
/// When the server fails.
pub async fn others(
    cluster: &Cluster,
    set: &StatefulSet,
    has: impl Fn(&str) -> bool,
) -> Result<Vec<Pod>, Failure> {
    let names = set.ordinals().map(|ordinal| set.pod_name(ordinal)).filter(|name| !has(name));
    let names: Vec<String> = names.take(MAX_OTHERS).collect();
    pods_named(cluster, names.iter().map(|name| (set.namespace.as_str(), name.as_str()))).await
}

/// Reads a few pods by name, of those that exist and may be read.
///
/// # Errors
/// Any [`Failure`] except a 403 or a 404.
pub async fn pods_named<'a>(
    cluster: &Cluster,
    names: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<Pod>, Failure> {
    let mut found = Vec::new();
    for (namespace, name) in names {
        let object = Resource::POD.object(namespace, name);
        // Who may list pods may nearly always read one. If not, less is said.
        let pod = cluster.find_if_allowed::<PodObject>(&object, &mut Vec::new()).await?;
        found.extend(pod.map(Pod::from));
    }
    Ok(found)
}

/// The StatefulSet in the answer to a write.
///
/// # Errors
/// When the answer is not a StatefulSet.
pub fn set_of(answer: Value) -> Result<StatefulSet, Failure> {
    serde_json::from_value::<SetObject>(answer).map(StatefulSet::from).map_err(|error| {
        Failure::Unreadable { request_line: RequestLine::unknown(), cause: error.to_string() }
    })
}

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

/// The claims in the namespace.
///
/// # Errors
/// When they cannot be listed.
pub async fn claims(cluster: &Cluster) -> Result<Vec<Claim>, Failure> {
    let all = cluster.list::<ClaimObject>(&Resource::CLAIM.within(cluster.namespace())).await?;
    Ok(all.into_iter().map(Into::into).collect())
}

/// These claims, those that exist.
///
/// # Errors
/// When one of them cannot be read.
pub async fn claims_named(cluster: &Cluster, names: &[String]) -> Result<Vec<Claim>, Failure> {
    let one = async |name: &String| {
        let claim = Resource::CLAIM.object(cluster.namespace(), name);
        cluster.find::<ClaimObject>(&claim).await
    };
    let found = try_join_all(names.iter().map(one)).await?;
    Ok(found.into_iter().flatten().map(Into::into).collect())
}

/// These volumes by name, `None` where there is none. Without permission, the
/// volume is missing.
///
/// # Errors
/// When the server fails.
pub async fn volumes_named(
    cluster: &Cluster,
    names: &[String],
) -> Result<BTreeMap<String, Option<Volume>>, Failure> {
    let one = async |name: &String| {
        let volume = Resource::VOLUME.object("", name);
        match cluster.find::<VolumeObject>(&volume).await {
            Ok(found) => Ok(Some((name.clone(), found.map(Volume::from)))),
            Err(Failure::Forbidden(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    };
    Ok(try_join_all(names.iter().map(one)).await?.into_iter().flatten().collect())
}

/// Every pod of the namespace.
///
/// # Errors
/// When they cannot be listed.
pub async fn pods(cluster: &Cluster) -> Result<Vec<Pod>, Failure> {
    let all = cluster.list::<PodObject>(&Resource::POD.within(cluster.namespace())).await?;
    Ok(all.into_iter().map(Into::into).collect())
}

/// Reads a list if it is needed; otherwise it is empty.
async fn list_if<T: serde::de::DeserializeOwned>(
    needed: bool,
    cluster: &Cluster,
    listing: &Listing,
) -> Result<Listed<T>, Failure> {
    if needed { cluster.list_if_allowed(listing).await } else { Ok(Listed::none()) }
}

fn domain<W: Into<T>, T>(objects: Option<Vec<W>>) -> Read<T> {
    objects.map(|objects| objects.into_iter().map(Into::into).collect())
}

/// The API groups of the server. Without this check, a request for a kind that
/// is not served returns 403 to users with few permissions, as if it existed.
pub async fn api_groups(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Groups {
        groups: Vec<Group>,
    }
    #[derive(Deserialize)]
    struct Group {
        name: String,
    }
    let groups: Groups = cluster.get("/apis").await?;
    Ok(groups.groups.into_iter().map(|group| group.name).collect())
}

/// The Kubernetes version. Everyone may read it; failing to is not an error.
async fn server_version(needed: bool, cluster: &Cluster) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    if !needed {
        return None;
    }
    let version: Version = cluster.get("/version").await.ok()?;
    Some(version.git_version)
}

async fn autoscalers(
    cluster: &Cluster,
    groups: &[String],
) -> Result<(Read<Autoscaler>, Vec<Unread>), Failure> {
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for (manager, kind) in AUTOSCALERS {
        if !groups.iter().any(|served| served == kind.group) {
            continue;
        }
        let listing = kind.within(cluster.namespace());
        let answer = cluster.list_if_served::<AutoscalerObject>(&listing).await?;
        let objects = answer.keep(&mut unread).unwrap_or_default();
        found.extend(objects.into_iter().map(|object| object.into_autoscaler(manager)));
    }
    Ok((Some(found), unread))
}

async fn nodes_of_overdue(
    cluster: &Cluster,
    pods: &[Pod],
) -> Result<(Read<Node>, Option<Unread>), Failure> {
    let now = jiff::Timestamp::now();
    let overdue = pods.iter().filter(|pod| pod.gone_by.is_some_and(|deadline| deadline < now));
    let mut names: Vec<&str> = overdue.filter_map(|pod| pod.node.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let mut nodes = Vec::new();
    for name in names.into_iter().take(MAX_NODES) {
        match cluster.find::<NodeObject>(&Resource::NODE.object("", name)).await {
            Ok(Some(node)) => nodes.push(node.into()),
            Ok(None) => nodes.push(Node::gone(name)),
            Err(Failure::Forbidden(rejection)) => {
                let why = rejection.status.message.clone();
                return Ok((None, Some(Unread { resource: Resource::NODE.name(), why })));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((Some(nodes), None))
}
