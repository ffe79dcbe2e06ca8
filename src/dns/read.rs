//! What `dns` reads: Services, EndpointSlices and pods of one namespace, and
//! the cluster's DNS servers. The number of requests does not depend on the
//! number of ordinals.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::{
    corefile::Corefile,
    facts::{Config, Facts, Member, NodeLocal, Server, Servers, Service, Slice},
    objects::{
        ConfigMapObject, LabelledObject, MemberObject, NamedService, SliceObject, container_ports,
    },
};
use crate::{
    cluster::{
        Cluster, Failure, Listed, Listing, Resource, changes::Changes, objects::SetObject,
        read::others,
    },
    workload::{Read, StatefulSet, Unread},
};

const SYSTEM_NAMESPACE: &str = "kube-system";
/// The DNS Service of kubeadm and most distributions.
const DNS_SERVICE: &str = "kube-dns";
/// Namespace and DNS Service of OpenShift.
const OPENSHIFT_DNS: (&str, &str) = ("openshift-dns", "dns-default");
const NODE_LOCAL: &str = "k8s-app=node-local-dns";

/// The object whose names are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Set(String),
    Service(String),
}

/// What was read, and where watches continue.
#[derive(Debug)]
pub struct Reading {
    pub facts: Facts,
    /// The lists and their resource versions.
    lists: Vec<(Listing, String)>,
}

impl Reading {
    /// Watches what was read, from the version that was read.
    pub fn changes(&self, cluster: &Cluster) -> Changes {
        Changes::of_lists(cluster, self.lists.iter().cloned())
    }
}

/// Reads everything that decides about names.
///
/// # Errors
/// When the set or the Service cannot be read, or the server fails. What we may
/// not read is listed in the facts instead.
pub async fn facts(cluster: &Cluster, target: &Target) -> Result<Reading, Failure> {
    let namespace = cluster.namespace();
    let all_services = Resource::SERVICE.within(namespace);
    let all_slices = Resource::ENDPOINT_SLICE.within(namespace);
    let set = async {
        match target {
            Target::Set(name) => {
                let set = cluster.read(&Resource::STATEFUL_SET.object(namespace, name)).await?;
                Ok(Listed::Items { items: vec![set], resource_version: String::new() })
            }
            Target::Service(_) => {
                cluster.list_if_allowed(&Resource::STATEFUL_SET.within(namespace)).await
            }
        }
    };
    let (set, services, slices, servers) = tokio::join!(
        set,
        cluster.list_if_allowed::<NamedService>(&all_services),
        cluster.list_if_allowed::<SliceObject>(&all_slices),
        servers(cluster),
    );
    let set: Result<Listed<SetObject>, Failure> = set;
    let (sets, services, slices) = (set?, services?, slices?);
    let mut lists =
        vec![(all_services, services.resource_version()), (all_slices, slices.resource_version())];
    let mut unread = Vec::new();
    let sets: Vec<StatefulSet> =
        sets.keep(&mut unread).unwrap_or_default().into_iter().map(StatefulSet::from).collect();
    let services: Read<Service> =
        services.keep(&mut unread).map(|all| all.into_iter().map(Into::into).collect());
    let slices: Read<Slice> =
        slices.keep(&mut unread).map(|all| all.into_iter().map(Into::into).collect());
    if let (Target::Service(name), Some(all)) = (target, &services)
        && !all.iter().any(|service| service.name == *name)
    {
        // Reading it by name gives the server's own NotFound message.
        cluster.read::<IgnoredAny>(&Resource::SERVICE.object(namespace, name)).await?;
    }
    let mut facts = Facts {
        namespace: cluster.namespace().to_owned(),
        services,
        slices,
        servers: servers?,
        flags: cluster.flags(),
        ..Facts::default()
    };
    let selector = resolve_target(&mut facts, target, sets);
    if let Some(selector) = selector {
        let listing = Resource::POD.within(namespace).labelled(&selector);
        let pods = cluster.list_if_allowed::<MemberObject>(&listing).await?;
        lists.push((listing, pods.resource_version()));
        facts.pods = pods.keep(&mut unread).map(|all| all.into_iter().map(Member::from).collect());
        facts.set_strangers_apart();
        if let (Some(set), Some(pods)) = (&facts.set, &facts.pods) {
            let strangers = &facts.strangers;
            let has = |name: &str| {
                pods.iter().any(|pod| pod.name == name) || strangers.iter().any(|one| one == name)
            };
            let others = others(cluster, set, has).await?;
            let others = others.into_iter().filter(|pod| !set.owns(pod));
            facts.taken = others.map(|pod| pod.name).collect();
        }
    }
    facts.unread = unread;
    if wants_namespace_labels(&facts.servers) {
        let own = Resource::NAMESPACE.object("", namespace);
        let unread = &mut facts.servers.unread;
        let found = cluster.find_if_allowed::<LabelledObject>(&own, unread).await?;
        facts.namespace_labels = found.map(LabelledObject::labels);
    }
    Ok(Reading { facts, lists })
}

/// Sets the facts' set and Service, and returns the label selector of the pods;
/// `None` if there is none.
pub(super) fn resolve_target(
    facts: &mut Facts,
    target: &Target,
    sets: Vec<StatefulSet>,
) -> Option<String> {
    let selector = match target {
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
            // The set that it governs, or else one whose pods it selects. The
            // pods then have no names under it, which is a finding.
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
    };
    let template = facts.set.as_ref().map(|set| &set.template.raw["spec"]);
    facts.template_ports = template.map(container_ports).unwrap_or_default();
    selector
}

fn wants_namespace_labels(servers: &Servers) -> bool {
    servers.corefiles.iter().any(|config| {
        let corefile = Corefile::read(&config.text);
        corefile.kubernetes(".").is_some_and(|found| found.namespace_labels.is_some())
    })
}

/// The DNS servers and their configuration. Without the right to read them they
/// are unknown, and the rest still works.
async fn servers(cluster: &Cluster) -> Result<Servers, Failure> {
    let mut servers = Servers::default();
    let mut unread = Vec::new();
    let of_system = Resource::SERVICE.within(SYSTEM_NAMESPACE);
    let node_local = Resource::POD.within(SYSTEM_NAMESPACE).labelled(NODE_LOCAL);
    let kubernetes = Resource::SERVICE.object("default", "kubernetes");
    let (services, node_local, kubernetes) = tokio::join!(
        cluster.list_if_allowed::<NamedService>(&of_system),
        cluster.list_if_allowed::<MemberObject>(&node_local),
        cluster.read::<NamedService>(&kubernetes),
    );
    if let Ok(kubernetes) = kubernetes {
        servers.kubernetes = Service::from(kubernetes).cluster_ips.first().copied();
    }
    let services = services?.keep(&mut unread);
    servers.services_read = services.is_some();
    let mut found = services.into_iter().flatten().filter_map(|service| {
        let rank = match (&*service.metadata.name, service.labels().get("k8s-app")) {
            (DNS_SERVICE, _) => 0,
            (_, Some(app)) if app == DNS_SERVICE => 1,
            _ => return None,
        };
        Some((rank, service))
    });
    let first = found.next();
    let best =
        first.map(|first| found.fold(first, |best, one| if one.0 < best.0 { one } else { best }));
    let mut place = best.map(|(_, service)| (SYSTEM_NAMESPACE, service));
    if place.is_none() && servers.services_read {
        let (namespace, name) = OPENSHIFT_DNS;
        let own = Resource::SERVICE.object(namespace, name);
        let own = cluster.find_if_allowed::<NamedService>(&own, &mut unread).await?;
        place = own.map(|service| (namespace, service));
    }
    if let Some((namespace, service)) = place {
        read_servers(cluster, namespace, service, &mut servers, &mut unread).await?;
    }
    // Without the right to list these pods, NodeLocal DNSCache goes unnoticed.
    if let Some(pod) = node_local?.keep(&mut Vec::new()).unwrap_or_default().first() {
        let corefile =
            corefiles(cluster, SYSTEM_NAMESPACE, &pod.config_maps(), &mut unread).await?;
        servers.node_local = Some(NodeLocal {
            seen: format!("pod/{} in {SYSTEM_NAMESPACE}", pod.name()),
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

/// Reads the pods behind the Service, and their Corefiles.
async fn read_servers(
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
    let slices = Resource::ENDPOINT_SLICE
        .within(namespace)
        .labelled(&format!("kubernetes.io/service-name={name}"));
    let pods = Resource::POD.within(namespace).labelled(&selector.join(","));
    let (slices, pods) = tokio::join!(cluster.list_if_allowed::<SliceObject>(&slices), async {
        if selector.is_empty() {
            Ok(Listed::none())
        } else {
            cluster.list_if_allowed::<MemberObject>(&pods).await
        }
    });
    if let Some(slices) = slices?.keep(unread) {
        servers.endpoints_read = true;
        // A dual-stack server is in two slices.
        let mut all: BTreeMap<(String, String), Server> = BTreeMap::new();
        for server in slices.iter().flat_map(SliceObject::servers) {
            all.entry((server.namespace.clone(), server.pod.clone())).or_insert(server);
        }
        servers.pods = all.into_values().collect();
    }
    let pods = pods?.keep(unread).unwrap_or_default();
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
        let map = Resource::CONFIG_MAP.object(namespace, name);
        let map = cluster.find_if_allowed::<ConfigMapObject>(&map, unread).await?;
        found.extend(map.into_iter().flat_map(|map| corefiles_in(map, namespace)));
    }
    Ok(found)
}

/// The Corefiles in a ConfigMap.
pub(super) fn corefiles_in(map: ConfigMapObject, namespace: &str) -> Vec<Config> {
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

/// The domain that the installer wrote into a ConfigMap, if we may read it.
async fn configured_domain(cluster: &Cluster) -> Option<(String, String)> {
    for (name, field) in [("kubeadm-config", "dnsDomain"), ("kubelet-config", "clusterDomain")] {
        let map = Resource::CONFIG_MAP.object(SYSTEM_NAMESPACE, name);
        let Ok(map) = cluster.read::<ConfigMapObject>(&map).await else { continue };
        if let Some(domain) = field_of(&map, field) {
            return Some((domain, format!("{field} of configmap {SYSTEM_NAMESPACE}/{name}")));
        }
    }
    None
}

/// The value of a field in one of the ConfigMap's texts, which are YAML.
pub(super) fn field_of(map: &ConfigMapObject, field: &str) -> Option<String> {
    let lines = map.data.iter().flat_map(|data| data.values()).flat_map(|text| text.lines());
    let mut values =
        lines.filter_map(|line| line.trim().strip_prefix(field)?.trim_start().strip_prefix(':'));
    let value = values.next()?.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

/// Whether a namespace has a Service of this name; `None` without the right to
/// read it. For the names tried under other namespaces.
///
/// # Errors
/// When the server fails.
pub async fn has_service(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<bool>, Failure> {
    match cluster.find::<IgnoredAny>(&Resource::SERVICE.object(namespace, name)).await {
        Ok(found) => Ok(Some(found.is_some())),
        Err(Failure::Forbidden(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The set with this name.
///
/// # Errors
/// When it cannot be read.
pub async fn set(cluster: &Cluster, name: &str) -> Result<StatefulSet, Failure> {
    let set = Resource::STATEFUL_SET.object(cluster.namespace(), name);
    Ok(cluster.read::<SetObject>(&set).await?.into())
}

/// Whether there is a namespace of this name; `None` without the right to read it.
///
/// # Errors
/// When the server fails.
pub async fn has_namespace(
    cluster: &Cluster,
    name: &str,
    unread: &mut Vec<Unread>,
) -> Result<Option<bool>, Failure> {
    let namespace = Resource::NAMESPACE.object("", name);
    let found = cluster.find_if_allowed::<IgnoredAny>(&namespace, unread).await?;
    Ok(unread.is_empty().then_some(found.is_some()))
}

/// Reads the pod in which commands are to run.
///
/// # Errors
/// When it cannot be read.
pub async fn member(cluster: &Cluster, namespace: &str, name: &str) -> Result<Member, Failure> {
    let pod = Resource::POD.object(namespace, name);
    Ok(cluster.read::<MemberObject>(&pod).await?.into())
}
