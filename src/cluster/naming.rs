//! What `dns` reads: Services, slices and pods of one namespace, and where the
//! cluster's DNS servers are. A fixed number of requests, however many
//! ordinals there are.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::{sync::Notify, task::JoinSet, time};

use super::{
    Cluster, Failure,
    changes::wake,
    follow::Follow,
    objects::{LabelledObject, MemberObject, NamedService, SetObject, SliceObject, TextsObject},
    read::{Answer, encode, keep, list},
};
use crate::{
    dns::{
        corefile::Corefile,
        facts::{Config, Facts, Member, NodeLocal, Server, Servers, Service, Slice},
    },
    workload::{Read, StatefulSet, Unread},
};

const SYSTEM: &str = "kube-system";
/// The name of the Service that kubeadm and most distributions give DNS.
const DNS: &str = "kube-dns";
/// OpenShift's.
const OPENSHIFT: (&str, &str) = ("openshift-dns", "dns-default");
const NODE_LOCAL: &str = "k8s-app=node-local-dns";

/// Whose names are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Set(String),
    Service(String),
}

/// What was read, and from where watches go on.
#[derive(Debug)]
pub struct Reading {
    pub facts: Facts,
    /// Paths of lists and their resource versions.
    marks: Vec<(String, String)>,
}

/// Reads all that names hang on.
///
/// # Errors
/// When the set or the Service cannot be read, or the server fails. What we
/// have no right to read is listed in the facts instead.
pub async fn facts(cluster: &Cluster, target: &Target) -> Result<Reading, Failure> {
    let namespace = encode(cluster.namespace());
    let core = |resource: &str| format!("/api/v1/namespaces/{namespace}/{resource}");
    let sets = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets");
    let services_path = core("services");
    let slices_path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
    let set = async {
        match target {
            Target::Set(name) => {
                let set = cluster.get::<SetObject>(&format!("{sets}/{}", encode(name))).await?;
                Ok(Answer::Items { items: vec![set], resource_version: String::new() })
            }
            Target::Service(_) => list::<SetObject>(cluster, "statefulsets.apps", &sets).await,
        }
    };
    let (set, services, slices, servers) = tokio::join!(
        set,
        list::<NamedService>(cluster, "services", &services_path),
        list::<SliceObject>(cluster, "endpointslices.discovery.k8s.io", &slices_path),
        servers(cluster),
    );
    let (sets, services, slices) = (set?, services?, slices?);
    let mut marks = vec![(services_path, services.mark()), (slices_path.clone(), slices.mark())];
    let mut unread = Vec::new();
    let sets: Vec<StatefulSet> =
        keep(sets, &mut unread).unwrap_or_default().into_iter().map(StatefulSet::from).collect();
    let services: Read<Service> =
        keep(services, &mut unread).map(|all| all.into_iter().map(Into::into).collect());
    let slices: Read<Slice> =
        keep(slices, &mut unread).map(|all| all.into_iter().map(Into::into).collect());
    if let (Target::Service(name), Some(all)) = (target, &services)
        && !all.iter().any(|service| service.name == *name)
    {
        // Asked for by its name, it is missing in the server's own words.
        let path = core(&format!("services/{}", encode(name)));
        cluster.get::<IgnoredAny>(&path).await?;
    }
    let mut facts = Facts {
        namespace: cluster.namespace().to_owned(),
        services,
        slices,
        servers: servers?,
        flags: cluster.flags(),
        ..Facts::default()
    };
    let selector = aim(&mut facts, target, sets);
    if let Some(selector) = selector {
        let path = format!("{}?labelSelector={}", core("pods"), encode(&selector));
        let pods = list::<MemberObject>(cluster, "pods", &path).await?;
        marks.push((path, pods.mark()));
        facts.pods = keep(pods, &mut unread).map(|all| all.into_iter().map(Member::from).collect());
    }
    facts.unread = unread;
    if wants_namespace_labels(&facts.servers) {
        let path = format!("/api/v1/namespaces/{namespace}");
        let unread = &mut facts.servers.unread;
        let found = read_opt::<LabelledObject>(cluster, "namespaces", &path, unread).await?;
        facts.namespace_labels = found.map(LabelledObject::labels);
    }
    Ok(Reading { facts, marks })
}

/// Finds what the target is about, and the label selector of its pods; `None`
/// where there are none to be had.
pub(super) fn aim(facts: &mut Facts, target: &Target, sets: Vec<StatefulSet>) -> Option<String> {
    match target {
        Target::Set(name) => {
            facts.set = sets.into_iter().find(|set| set.name == *name);
            facts.service = facts
                .set
                .as_ref()
                .and_then(|set| set.service_name.clone())
                .filter(|n| !n.is_empty());
            facts.set.as_ref().map(|set| set.selector.query())
        }
        Target::Service(name) => {
            facts.service = Some(name.clone());
            let service = facts.governing().cloned()?;
            // The set that names it, or else one whose pods it selects: then
            // they have no names under it, which is worth saying.
            let governed = |set: &&StatefulSet| set.service_name.as_deref() == Some(name);
            let selected = |set: &&StatefulSet| service.selects(&set.template.labels);
            let set = sets.iter().find(governed).or_else(|| sets.iter().find(selected));
            facts.set = set.cloned();
            match &facts.set {
                Some(set) => Some(set.selector.query()),
                None if service.selector.is_empty() => None,
                None => {
                    let pairs = service.selector.iter();
                    let pairs: Vec<String> = pairs.map(|(k, v)| format!("{k}={v}")).collect();
                    Some(pairs.join(","))
                }
            }
        }
    }
}

fn wants_namespace_labels(servers: &Servers) -> bool {
    servers.corefiles.iter().any(|config| {
        let corefile = Corefile::read(&config.text);
        corefile.kubernetes(".").is_some_and(|found| found.namespace_labels.is_some())
    })
}

/// Where the DNS servers are, and their configuration. That may not be ours to
/// read; then it is not known, and the rest stands.
async fn servers(cluster: &Cluster) -> Result<Servers, Failure> {
    let mut servers = Servers::default();
    let mut unread = Vec::new();
    let of_system = format!("/api/v1/namespaces/{SYSTEM}/services");
    let node_local =
        format!("/api/v1/namespaces/{SYSTEM}/pods?labelSelector={}", encode(NODE_LOCAL));
    let (services, node_local, kubernetes) = tokio::join!(
        list::<NamedService>(cluster, "services", &of_system),
        list::<MemberObject>(cluster, "pods", &node_local),
        cluster.get::<NamedService>("/api/v1/namespaces/default/services/kubernetes"),
    );
    if let Ok(kubernetes) = kubernetes {
        servers.kubernetes = Service::from(kubernetes).cluster_ips.first().copied();
    }
    let services = keep(services?, &mut unread);
    servers.looked = services.is_some();
    let mut found = services.into_iter().flatten().filter_map(|service| {
        let rank = match (&*service.metadata.name, service.labels().get("k8s-app")) {
            (DNS, _) => 0,
            (_, Some(app)) if app == DNS => 1,
            _ => return None,
        };
        Some((rank, service))
    });
    let first = found.next();
    let best =
        first.map(|first| found.fold(first, |best, one| if one.0 < best.0 { one } else { best }));
    let mut place = best.map(|(_, service)| (SYSTEM, service));
    if place.is_none() && servers.looked {
        let (namespace, name) = OPENSHIFT;
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
        let own = read_opt::<NamedService>(cluster, "services", &path, &mut unread).await?;
        place = own.map(|service| (namespace, service));
    }
    if let Some((namespace, service)) = place {
        behind(cluster, namespace, service, &mut servers, &mut unread).await?;
    }
    // Who may not list them knows nothing of a cache on the nodes.
    if let Some(pod) = keep(node_local?, &mut Vec::new()).unwrap_or_default().first() {
        let corefile = corefiles(cluster, SYSTEM, &pod.config_maps(), &mut unread).await?;
        servers.node_local = Some(NodeLocal {
            seen: format!("pod/{} in {SYSTEM}", pod.name()),
            corefile: corefile.into_iter().next(),
        });
    }
    let knows_zone =
        servers.corefiles.iter().any(|one| Corefile::read(&one.text).primary_zone().is_some());
    if !knows_zone {
        servers.configured_domain = configured_domain(cluster).await;
    }
    servers.unread = unread;
    Ok(servers)
}

/// The pods behind the Service, and their Corefiles.
async fn behind(
    cluster: &Cluster,
    namespace: &str,
    service: NamedService,
    servers: &mut Servers,
    unread: &mut Vec<Unread>,
) -> Result<(), Failure> {
    let name = service.metadata.name.clone();
    let selector: Vec<String> =
        service.selector().iter().map(|(key, value)| format!("{key}={value}")).collect();
    servers.service = Some(format!("{namespace}/{name}"));
    servers.addresses = Service::from(service).cluster_ips;
    let of_service = encode(&format!("kubernetes.io/service-name={name}"));
    let slices = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector={of_service}"
    );
    let pods = format!(
        "/api/v1/namespaces/{namespace}/pods?labelSelector={}",
        encode(&selector.join(","))
    );
    let (slices, pods) = tokio::join!(
        list::<SliceObject>(cluster, "endpointslices.discovery.k8s.io", &slices),
        async {
            if selector.is_empty() {
                Ok(Answer::Items { items: Vec::new(), resource_version: String::new() })
            } else {
                list::<MemberObject>(cluster, "pods", &pods).await
            }
        },
    );
    if let Some(slices) = keep(slices?, unread) {
        servers.listed = true;
        // A server with two addresses is in two slices.
        let mut all: BTreeMap<(String, String), Server> = BTreeMap::new();
        for server in slices.iter().flat_map(SliceObject::servers) {
            all.entry((server.namespace.clone(), server.pod.clone())).or_insert(server);
        }
        servers.pods = all.into_values().collect();
    }
    let pods = keep(pods?, unread).unwrap_or_default();
    let mut maps: Vec<String> = pods.iter().flat_map(MemberObject::config_maps).collect();
    maps.sort();
    maps.dedup();
    servers.corefiles = corefiles(cluster, namespace, &maps, unread).await?;
    Ok(())
}

/// The Corefiles among these ConfigMaps.
async fn corefiles(
    cluster: &Cluster,
    namespace: &str,
    maps: &[String],
    unread: &mut Vec<Unread>,
) -> Result<Vec<Config>, Failure> {
    let mut found = Vec::new();
    for name in maps {
        let path = format!("/api/v1/namespaces/{}/configmaps/{}", encode(namespace), encode(name));
        let map = read_opt::<TextsObject>(cluster, "configmaps", &path, unread).await?;
        found.extend(map.into_iter().flat_map(|map| texts(map, namespace)));
    }
    Ok(found)
}

/// The Corefiles in a ConfigMap.
pub(super) fn texts(map: TextsObject, namespace: &str) -> Vec<Config> {
    let name = map.metadata.name;
    let of_key = |(key, text): (String, String)| Config {
        namespace: namespace.to_owned(),
        name: name.clone(),
        key,
        text,
    };
    let data = map.data.unwrap_or_default().into_iter();
    data.filter(|(key, _)| key.contains("Corefile")).map(of_key).collect()
}

/// What the installer wrote down, where anybody may read it.
async fn configured_domain(cluster: &Cluster) -> Option<(String, String)> {
    for (name, field) in [("kubeadm-config", "dnsDomain"), ("kubelet-config", "clusterDomain")] {
        let path = format!("/api/v1/namespaces/{SYSTEM}/configmaps/{name}");
        let Ok(map) = cluster.get::<TextsObject>(&path).await else { continue };
        if let Some(domain) = field_of(&map, field) {
            return Some((domain, format!("{field} of configmap {SYSTEM}/{name}")));
        }
    }
    None
}

/// The value of a field in one of the texts, which are YAML.
pub(super) fn field_of(map: &TextsObject, field: &str) -> Option<String> {
    let lines = map.data.iter().flat_map(|data| data.values()).flat_map(|text| text.lines());
    let mut values =
        lines.filter_map(|line| line.trim().strip_prefix(field)?.trim_start().strip_prefix(':'));
    let value = values.next()?.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// An object that may be absent, or not ours to read.
async fn read_opt<T: DeserializeOwned>(
    cluster: &Cluster,
    resource: &str,
    path: &str,
    unread: &mut Vec<Unread>,
) -> Result<Option<T>, Failure> {
    match cluster.get_opt::<T>(path).await {
        Err(Failure::Forbidden(rejection)) => {
            let why = rejection.status.message.clone();
            unread.push(Unread { resource: resource.to_owned(), why });
            Ok(None)
        }
        other => other,
    }
}

/// Whether a namespace has a Service of this name; `None` where that may not
/// be known. For names that are tried under another namespace.
///
/// # Errors
/// When the server fails.
pub async fn has_service(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<bool>, Failure> {
    let path = format!("/api/v1/namespaces/{}/services/{}", encode(namespace), encode(name));
    match cluster.get_opt::<IgnoredAny>(&path).await {
        Ok(found) => Ok(Some(found.is_some())),
        Err(Failure::Forbidden(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A pod that a command is to run in.
///
/// # Errors
/// When it cannot be read.
pub async fn member(cluster: &Cluster, name: &str) -> Result<Member, Failure> {
    let namespace = encode(cluster.namespace());
    let path = format!("/api/v1/namespaces/{namespace}/pods/{}", encode(name));
    Ok(cluster.get::<MemberObject>(&path).await?.into())
}

/// The names of the namespace's Services.
///
/// # Errors
/// When they cannot be listed.
pub async fn service_names(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    let path = format!("/api/v1/namespaces/{}/services", encode(cluster.namespace()));
    match list::<NamedService>(cluster, "services", &path).await? {
        Answer::Items { items, .. } => {
            Ok(items.into_iter().map(|service| service.metadata.name).collect())
        }
        Answer::Unread(_) => Ok(Vec::new()),
    }
}

/// Tells that something that names hang on has changed.
#[derive(Debug)]
pub struct NameChanges {
    woken: Arc<Notify>,
    _watches: JoinSet<()>,
}

impl NameChanges {
    /// Watches from where `reading` ended.
    pub fn of(cluster: &Cluster, reading: &Reading) -> NameChanges {
        let woken = Arc::new(Notify::new());
        let mut watches = JoinSet::new();
        for (path, mark) in &reading.marks {
            let follow = Follow::new(cluster.clone(), path.clone(), mark.clone());
            watches.spawn(wake(follow, |_: &IgnoredAny| true, Arc::clone(&woken)));
        }
        NameChanges { woken, _watches: watches }
    }

    /// Waits for the next change, but not longer than `most`.
    pub async fn next(&mut self, most: Duration) {
        // Whether it was a change or the clock, all is read again.
        let _ = time::timeout(most, self.woken.notified()).await;
    }
}
