//! The API objects that decide about names: Services, EndpointSlices, and pods.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;
use serde_json::Value;

use super::facts::{Endpoint, Family, Member, Port, Server, Service, Slice};
use crate::{
    cluster::objects::{Labels, Meta, PodObject},
    workload::Pod,
};

/// The label that names a slice's Service.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

#[derive(Debug, Deserialize)]
pub struct NamedService {
    pub metadata: Meta,
    #[serde(default)]
    spec: NamedServiceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NamedServiceSpec {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: Option<Vec<String>>,
    external_name: Option<String>,
    selector: Option<Labels>,
    ports: Option<Vec<PortObject>>,
    publish_not_ready_addresses: bool,
    ip_families: Option<Vec<String>>,
    ip_family_policy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortObject {
    name: Option<String>,
    protocol: Option<String>,
    port: Option<u16>,
    target_port: Option<Value>,
}

impl From<PortObject> for Port {
    fn from(object: PortObject) -> Port {
        Port {
            name: object.name.filter(|name| !name.is_empty()),
            protocol: object.protocol.unwrap_or_else(|| "TCP".to_owned()),
            number: object.port,
            target: object.target_port.map(|target| match target {
                Value::String(name) => name,
                number => number.to_string(),
            }),
        }
    }
}

impl NamedService {
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.metadata.labels.clone().unwrap_or_default()
    }

    pub fn selector(&self) -> BTreeMap<String, String> {
        self.spec.selector.clone().unwrap_or_default()
    }
}

impl From<NamedService> for Service {
    fn from(NamedService { metadata, spec }: NamedService) -> Service {
        let headless = spec.cluster_ip.as_deref() == Some("None");
        let ips = spec.cluster_ips.unwrap_or_else(|| spec.cluster_ip.into_iter().collect());
        let families = spec.ip_families.unwrap_or_default();
        Service {
            name: metadata.name,
            labels: metadata.labels.unwrap_or_default(),
            kind: spec.kind.unwrap_or_else(|| "ClusterIP".to_owned()),
            selector: spec.selector.unwrap_or_default(),
            cluster_ips: ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
            headless,
            external_name: spec.external_name.filter(|name| !name.is_empty()),
            ports: spec.ports.into_iter().flatten().map(Into::into).collect(),
            publish_not_ready: spec.publish_not_ready_addresses,
            families: families.iter().filter_map(|family| family_of(family)).collect(),
            family_policy: spec.ip_family_policy,
        }
    }
}

fn family_of(word: &str) -> Option<Family> {
    match word {
        "IPv4" => Some(Family::V4),
        "IPv6" => Some(Family::V6),
        _ => None,
    }
}

#[derive(Debug, Deserialize)]
pub struct SliceObject {
    metadata: Meta,
    endpoints: Option<Vec<EndpointObject>>,
    ports: Option<Vec<PortObject>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndpointObject {
    addresses: Option<Vec<String>>,
    hostname: Option<String>,
    #[serde(default)]
    conditions: Conditions,
    target_ref: Option<TargetRef>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct TargetRef {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

impl From<SliceObject> for Slice {
    fn from(SliceObject { metadata, endpoints, ports }: SliceObject) -> Slice {
        let labels = metadata.labels.unwrap_or_default();
        Slice {
            name: metadata.name,
            service: labels.get(SERVICE_NAME_LABEL).cloned().unwrap_or_default(),
            labels,
            ports: ports.into_iter().flatten().map(Into::into).collect(),
            endpoints: endpoints.into_iter().flatten().map(Into::into).collect(),
        }
    }
}

impl From<EndpointObject> for Endpoint {
    fn from(object: EndpointObject) -> Endpoint {
        let addresses = object.addresses.unwrap_or_default();
        let pod = object.target_ref.filter(|target| target.kind == "Pod");
        Endpoint {
            addresses: addresses.iter().filter_map(|address| address.parse().ok()).collect(),
            hostname: object.hostname.filter(|hostname| !hostname.is_empty()),
            // As CoreDNS reads it, and the API documents it.
            ready: object.conditions.ready.unwrap_or(true),
            terminating: object.conditions.terminating.unwrap_or(false),
            pod: pod.map(|pod| pod.name),
        }
    }
}

impl SliceObject {
    /// The pods behind a DNS Service and where they listen for TCP.
    pub fn servers(&self) -> Vec<Server> {
        let tcp = |port: &&PortObject| port.protocol.as_deref().unwrap_or("TCP") == "TCP";
        // Metrics may be served over TCP as well, so the name decides. A single
        // port needs no name.
        let ports: Vec<&PortObject> = self.ports.iter().flatten().filter(tcp).collect();
        let named = ports.iter().find(|port| {
            port.name.as_deref().is_some_and(|name| name.contains("dns") || name.contains("tcp-53"))
        });
        let port = named.or(ports.first()).and_then(|port| port.port);
        let endpoints = self.endpoints.iter().flatten();
        let of_pod = endpoints.filter_map(|endpoint| {
            let target = endpoint.target_ref.as_ref().filter(|target| target.kind == "Pod")?;
            Some(Server {
                namespace: target.namespace.clone(),
                pod: target.name.clone(),
                port,
                ready: endpoint.conditions.ready.unwrap_or(true),
            })
        });
        of_pod.collect()
    }
}

/// A pod, with the fields that decide about its names.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct MemberObject {
    pod: PodObject,
    naming: Naming,
    ports: Vec<Port>,
}

#[derive(Debug, Deserialize)]
struct Naming {
    #[serde(default)]
    spec: NamingSpec,
    #[serde(default)]
    status: NamingStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NamingSpec {
    hostname: Option<String>,
    subdomain: Option<String>,
    host_network: bool,
    dns_policy: Option<String>,
    volumes: Option<Vec<VolumeObject>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeObject {
    config_map: Option<ConfigMapSource>,
}

#[derive(Debug, Deserialize)]
struct ConfigMapSource {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NamingStatus {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodIp>>,
}

#[derive(Debug, Deserialize)]
struct PodIp {
    #[serde(default)]
    ip: String,
}

impl TryFrom<Value> for MemberObject {
    type Error = serde_json::Error;

    fn try_from(raw: Value) -> Result<MemberObject, serde_json::Error> {
        let naming = Naming::deserialize(&raw)?;
        Ok(MemberObject {
            pod: PodObject::deserialize(&raw)?,
            naming,
            ports: container_ports(&raw["spec"]),
        })
    }
}

/// The ports in the spec of a pod, or of a template, that endpoints may have: those of
/// the containers, then those of the sidecars. Other init containers serve nothing.
pub fn container_ports(spec: &Value) -> Vec<Port> {
    let all = |key: &str| spec[key].as_array().into_iter().flatten();
    let sidecars = all("initContainers").filter(|one| one["restartPolicy"] == "Always");
    let ports = all("containers").chain(sidecars).filter_map(|one| one["ports"].as_array());
    ports
        .flatten()
        .map(|port| Port {
            name: port["name"].as_str().map(str::to_owned),
            protocol: port["protocol"].as_str().unwrap_or("TCP").to_owned(),
            number: port["containerPort"].as_u64().and_then(|number| u16::try_from(number).ok()),
            target: None,
        })
        .collect()
}

impl MemberObject {
    /// The ConfigMaps that are mounted into it.
    pub fn config_maps(&self) -> Vec<String> {
        let volumes = self.naming.spec.volumes.iter().flatten();
        volumes.filter_map(|volume| volume.config_map.as_ref()?.name.clone()).collect()
    }

    pub fn name(&self) -> &str {
        &self.pod.metadata.name
    }
}

impl From<MemberObject> for Member {
    fn from(MemberObject { pod, naming, ports }: MemberObject) -> Member {
        let pod = Pod::from(pod);
        let NamingStatus { pod_ip, pod_ips } = naming.status;
        let mut ips: Vec<IpAddr> =
            pod_ips.iter().flatten().filter_map(|one| one.ip.parse().ok()).collect();
        let first = pod_ip.and_then(|ip| ip.parse().ok());
        if let Some(first) = first.filter(|first| !ips.contains(first)) {
            ips.insert(0, first);
        }
        let named = |text: Option<String>| text.filter(|text| !text.is_empty());
        Member {
            labels: pod.labels.clone(),
            controller_uid: pod.controller_uid.clone(),
            ips,
            ready: pod.is_ready(),
            terminating: pod.is_terminating(),
            ended: matches!(pod.phase.as_str(), "Succeeded" | "Failed"),
            state: pod.state(),
            hostname: named(naming.spec.hostname),
            subdomain: named(naming.spec.subdomain),
            host_network: naming.spec.host_network,
            dns_policy: naming.spec.dns_policy.unwrap_or_else(|| "ClusterFirst".to_owned()),
            containers: pod
                .containers
                .iter()
                .filter(|container| !container.is_init())
                .map(|container| container.name.clone())
                .collect(),
            ports,
            name: pod.name,
        }
    }
}

/// A ConfigMap and its texts by key.
#[derive(Debug, Deserialize)]
pub struct ConfigMapObject {
    pub metadata: Meta,
    #[serde(default)]
    pub data: Option<BTreeMap<String, String>>,
}

/// An object that is read for its labels only.
#[derive(Debug, Deserialize)]
pub struct LabelledObject {
    metadata: Meta,
}

impl LabelledObject {
    pub fn labels(self) -> BTreeMap<String, String> {
        self.metadata.labels.unwrap_or_default()
    }
}
