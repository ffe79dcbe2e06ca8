//! From a cluster to `workload` types: which lists are read for what.
//!
//! A command costs a fixed number of requests, whatever the number of
//! ordinals: lists, never a request per claim or per pod.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Cluster, Failure,
    error::Asked,
    objects::{
        AutoscalerObject, BudgetObject, ClaimObject, ClassObject, EventObject, List, Meta,
        NodeObject, PodObject, RevisionObject, ServiceObject, SetObject, VolumeObject,
    },
};
use crate::workload::{
    Autoscaler, Facts, ManagerKind, Node, Pod, Read, Revision, StatefulSet, Unread,
};

/// All but the unreserved characters of RFC 3986, so that names stay legible.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Nodes are asked for one by one, and only those of pods that overstay their
/// deletion; more lost nodes than this at once are one finding, not many.
const MOST_NODES: usize = 3;

/// What was read, and from where a watch goes on.
#[derive(Debug)]
pub struct Reading {
    pub facts: Facts,
    pub(super) marks: Marks,
}

/// The resource versions of the lists that change while a set moves.
#[derive(Debug)]
pub(super) struct Marks {
    pub set: String,
    pub pods: String,
    pub claims: String,
    pub events: String,
    pub budgets: String,
}

/// The lists that hold a set and what moves with it.
pub(super) struct Paths {
    /// Of the one set, as a list: that can be watched.
    pub sets: String,
    pub pods: String,
    pub revisions: String,
    pub claims: String,
    /// The warnings.
    pub events: String,
    pub budgets: String,
}

impl Paths {
    pub fn of(set: &StatefulSet) -> Paths {
        let namespace = encode(&set.namespace);
        let core = |resource: &str| format!("/api/v1/namespaces/{namespace}/{resource}");
        let apps = |resource: &str| format!("/apis/apps/v1/namespaces/{namespace}/{resource}");
        let labels = encode(&set.selector.query());
        let name = encode(&format!("metadata.name={}", set.name));
        let warnings = encode("type=Warning");
        Paths {
            sets: format!("{}?fieldSelector={name}", apps("statefulsets")),
            pods: format!("{}?labelSelector={labels}", core("pods")),
            revisions: format!("{}?labelSelector={labels}", apps("controllerrevisions")),
            claims: core("persistentvolumeclaims"),
            events: format!("{}?fieldSelector={warnings}", core("events")),
            budgets: format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"),
        }
    }
}

/// Which of the facts a command needs; what it does not is as good as empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The set, its pods and its disks, and what they hang on.
    Status,
    /// What decides over moving a set from one revision to another.
    Rollout,
    /// What decides over taking ordinals away, and adding some.
    Scale,
}

/// What is known about one set, as far as `scope` goes.
///
/// # Errors
/// When the set cannot be read, or the server fails. What we have no right to
/// read is listed in [`Facts::unread`] instead.
pub async fn facts(cluster: &Cluster, name: &str, scope: Scope) -> Result<Reading, Failure> {
    let namespace = encode(cluster.namespace());
    let sets = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{}", encode(name));
    // The set comes first: its selector is needed, and its absence ends it.
    let status = scope == Scope::Status;
    let moves = !status;
    let (set, groups, server_version) = tokio::join!(
        cluster.get::<SetObject>(&sets),
        api_groups(cluster),
        server_version(scope == Scope::Rollout, cluster),
    );
    let (set, groups) = (StatefulSet::from(set?), groups?);
    let Paths { pods, revisions, claims, events, budgets, .. } = Paths::of(&set);
    let services = format!("/api/v1/namespaces/{namespace}/services");
    // A set without claims needs no disks, nor the right to read them.
    let storage = scope != Scope::Rollout && !set.claim_templates.is_empty();
    let (pods, revisions, claims, volumes, classes, services, events, budgets, autoscalers) = tokio::join!(
        list::<PodObject>(cluster, "pods", &pods),
        list::<RevisionObject>(cluster, "controllerrevisions.apps", &revisions),
        list_if::<ClaimObject>(storage, cluster, "persistentvolumeclaims", &claims),
        list_if::<VolumeObject>(storage, cluster, "persistentvolumes", "/api/v1/persistentvolumes"),
        list_if::<ClassObject>(
            storage,
            cluster,
            "storageclasses.storage.k8s.io",
            "/apis/storage.k8s.io/v1/storageclasses"
        ),
        list_if::<ServiceObject>(status, cluster, "services", &services),
        list::<EventObject>(cluster, "events", &events),
        list_if::<BudgetObject>(moves, cluster, "poddisruptionbudgets.policy", &budgets),
        autoscalers(cluster, &namespace, &groups),
    );
    let (pods, claims, events, budgets) = (pods?, claims?, events?, budgets?);
    let marks = Marks {
        set: set.resource_version.clone(),
        pods: pods.mark(),
        claims: claims.mark(),
        events: events.mark(),
        budgets: budgets.mark(),
    };
    let mut unread = Vec::new();
    let pods: Read<Pod> = domain(keep(pods, &mut unread));
    let revisions = keep(revisions?, &mut unread).map(|all: Vec<RevisionObject>| {
        let own = all.into_iter().filter(|revision| revision.belongs_to(&set.uid));
        own.map(Into::into).collect()
    });
    let claims = domain(keep(claims, &mut unread));
    let volumes = domain(keep(volumes?, &mut unread));
    let classes = domain(keep(classes?, &mut unread));
    let services = domain(keep(services?, &mut unread));
    let events = domain(keep(events, &mut unread));
    let budgets = domain(keep(budgets, &mut unread));
    let (autoscalers, unread_autoscalers) = autoscalers?;
    unread.extend(unread_autoscalers);
    let overdue = pods.as_deref().filter(|_| status).unwrap_or_default();
    let (nodes, unread_nodes) = nodes_of_overdue(cluster, overdue).await?;
    unread.extend(unread_nodes);
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
        server_version,
        unread,
        flags: cluster.flags(),
    };
    Ok(Reading { facts, marks })
}

/// A StatefulSet as a write was answered with.
///
/// # Errors
/// When it is none.
pub fn set_of(answer: Value) -> Result<StatefulSet, Failure> {
    serde_json::from_value::<SetObject>(answer)
        .map(StatefulSet::from)
        .map_err(|error| Failure::Unreadable { asked: Asked::unknown(), cause: error.to_string() })
}

/// The names of the namespace's sets, or of another kind of workload.
///
/// # Errors
/// When they cannot be listed.
pub async fn workload_names(cluster: &Cluster, plural: &str) -> Result<Vec<String>, Failure> {
    let namespace = encode(cluster.namespace());
    names(cluster, &format!("/apis/apps/v1/namespaces/{namespace}/{plural}")).await
}

/// The names of the namespace's claims, as many as a page has.
///
/// # Errors
/// When they cannot be listed.
pub async fn claim_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let namespace = encode(cluster.namespace());
    let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims?limit=500");
    names(cluster, &path).await
}

/// The names of a set's containers, init containers first.
///
/// # Errors
/// When the set cannot be read.
pub async fn container_names(cluster: &Cluster, set: &str) -> Result<Vec<String>, Failure> {
    let namespace = encode(cluster.namespace());
    let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{}", encode(set));
    let set = StatefulSet::from(cluster.get::<SetObject>(&path).await?);
    Ok(set.template.containers.into_iter().map(|container| container.name).collect())
}

/// The names of a set's revisions, the newest first.
///
/// # Errors
/// When they cannot be listed.
pub async fn revision_names(cluster: &Cluster, set: &str) -> Result<Vec<String>, Failure> {
    let namespace = encode(cluster.namespace());
    let path = format!("/apis/apps/v1/namespaces/{namespace}/controllerrevisions");
    let list: List<RevisionObject> = cluster.get(&path).await?;
    let all = list.items.unwrap_or_default().into_iter();
    let own = all.filter(|revision| revision.is_of_set_named(set));
    let mut revisions: Vec<Revision> = own.map(Into::into).collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    Ok(revisions.into_iter().map(|revision| revision.name).collect())
}

/// The names of the namespaces.
///
/// # Errors
/// When they cannot be listed.
pub async fn namespace_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    names(cluster, "/api/v1/namespaces").await
}

async fn names(cluster: &Cluster, path: &str) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct NameOnly {
        metadata: Meta,
    }
    let list: List<NameOnly> = cluster.get(path).await?;
    Ok(list.items.unwrap_or_default().into_iter().map(|object| object.metadata.name).collect())
}

/// A list, or why there is none.
pub(super) enum Answer<T> {
    Items { items: Vec<T>, resource_version: String },
    Unread(Unread),
}

impl<T> Answer<T> {
    /// From where to watch on; empty means from whatever is there then.
    pub(super) fn mark(&self) -> String {
        match self {
            Answer::Items { resource_version, .. } => resource_version.clone(),
            Answer::Unread(_) => String::new(),
        }
    }
}

/// A list that may not be needed; then it is as good as empty.
async fn list_if<T: DeserializeOwned>(
    needed: bool,
    cluster: &Cluster,
    resource: &str,
    path: &str,
) -> Result<Answer<T>, Failure> {
    if needed {
        list(cluster, resource, path).await
    } else {
        Ok(Answer::Items { items: Vec::new(), resource_version: String::new() })
    }
}

pub(super) async fn list<T: DeserializeOwned>(
    cluster: &Cluster,
    resource: &str,
    path: &str,
) -> Result<Answer<T>, Failure> {
    match cluster.get::<List<T>>(path).await {
        Ok(list) => Ok(Answer::Items {
            items: list.items.unwrap_or_default(),
            resource_version: list.metadata.resource_version,
        }),
        Err(Failure::Forbidden(rejection)) => Ok(Answer::Unread(Unread {
            resource: resource.to_owned(),
            why: rejection.status.message.clone(),
        })),
        Err(failure) => Err(failure),
    }
}

/// A list of a kind that is no part of Kubernetes. Its group may be served
/// without the version that this program knows, which is no reason to end, nor
/// to take the list for empty.
pub(super) async fn list_foreign<T: DeserializeOwned>(
    cluster: &Cluster,
    resource: &str,
    path: &str,
) -> Result<Answer<T>, Failure> {
    match list(cluster, resource, path).await {
        Err(Failure::NoSuchApi(rejection)) => {
            Ok(Answer::Unread(Unread { resource: resource.to_owned(), why: rejection.unserved() }))
        }
        other => other,
    }
}

pub(super) fn keep<T>(answer: Answer<T>, unread: &mut Vec<Unread>) -> Option<Vec<T>> {
    match answer {
        Answer::Items { items, .. } => Some(items),
        Answer::Unread(what) => {
            unread.push(what);
            None
        }
    }
}

fn domain<W: Into<T>, T>(objects: Option<Vec<W>>) -> Read<T> {
    objects.map(|objects| objects.into_iter().map(Into::into).collect())
}

/// The API groups that the server has. Asking for a kind that it does not
/// have would answer 403 to people with few rights, as if there were some.
pub(super) async fn api_groups(cluster: &Cluster) -> Result<Vec<String>, Failure> {
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

/// Which Kubernetes this is. Anybody may ask; a server that does not say is
/// no reason to end.
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
    namespace: &str,
    groups: &[String],
) -> Result<(Read<Autoscaler>, Vec<Unread>), Failure> {
    let kinds = [
        (ManagerKind::HorizontalPodAutoscaler, "autoscaling", "v2", "horizontalpodautoscalers"),
        (ManagerKind::VerticalPodAutoscaler, "autoscaling.k8s.io", "v1", "verticalpodautoscalers"),
        (ManagerKind::ScaledObject, "keda.sh", "v1alpha1", "scaledobjects"),
    ];
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for (kind, group, version, resource) in kinds {
        if !groups.iter().any(|served| served == group) {
            continue;
        }
        let path = format!("/apis/{group}/{version}/namespaces/{namespace}/{resource}");
        let name = format!("{resource}.{group}");
        let answer = list_foreign::<AutoscalerObject>(cluster, &name, &path).await?;
        let objects = keep(answer, &mut unread).unwrap_or_default();
        found.extend(objects.into_iter().map(|object| object.into_autoscaler(kind)));
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
    for name in names.into_iter().take(MOST_NODES) {
        match cluster.get_opt::<NodeObject>(&format!("/api/v1/nodes/{}", encode(name))).await {
            Ok(Some(node)) => nodes.push(node.into()),
            Ok(None) => nodes.push(Node::gone(name)),
            Err(Failure::Forbidden(rejection)) => {
                let why = rejection.status.message.clone();
                return Ok((None, Some(Unread { resource: "nodes".to_owned(), why })));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((Some(nodes), None))
}

pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
