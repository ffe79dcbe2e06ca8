//! What was read: Services, EndpointSlices, pods, and the DNS servers.

use std::{collections::BTreeMap, net::IpAddr};

use crate::workload::{Read, Selector, StatefulSet, Unread};

type Labels = BTreeMap<String, String>;

/// Everything that decides about names, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub namespace: String,
    /// The set that was named, or the one that the named Service governs.
    pub set: Option<StatefulSet>,
    /// The ports that the pods of the set's template have.
    pub template_ports: Vec<Port>,
    /// The name of the Service that was named, or of the set's governing
    /// Service.
    pub service: Option<String>,
    /// All in the namespace.
    pub services: Read<Service>,
    /// All in the namespace.
    pub slices: Read<Slice>,
    /// The pods of the set or, without a set, those that the Service selects.
    pub pods: Read<Member>,
    /// The names of ordinals that pods have which are not of the set, as far as
    /// they were looked for.
    pub taken: Vec<String>,
    /// The pods with the labels of the set that are not its own.
    pub strangers: Vec<String>,
    /// Namespaces that are known to exist, from files.
    pub namespaces: Vec<String>,
    /// The namespace's own labels, read if a Corefile filters by them.
    pub namespace_labels: Option<Labels>,
    pub servers: Servers,
    pub unread: Vec<Unread>,
    /// The connection flags that were given, each with a space in front.
    pub flags: String,
}

/// The parts of a Service that decide about names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub labels: Labels,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: String,
    pub selector: Labels,
    /// Without the `None` of a headless Service.
    pub cluster_ips: Vec<IpAddr>,
    pub headless: bool,
    pub external_name: Option<String>,
    pub ports: Vec<Port>,
    pub publish_not_ready: bool,
    /// `IPv4`, `IPv6`; empty in a manifest that no server has seen.
    pub families: Vec<Family>,
    pub family_policy: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    pub name: Option<String>,
    /// `TCP`, `UDP`, `SCTP`.
    pub protocol: String,
    /// The Service's port, or in a slice the pods' port.
    pub number: Option<u16>,
    /// `targetPort` of a Service, a number or a name.
    pub target: Option<String>,
}

impl Port {
    /// The name of a container's port that `targetPort` gives instead of a number.
    pub fn target_name(&self) -> Option<&str> {
        self.target.as_deref().filter(|target| target.parse::<u16>().is_err())
    }

    /// The port that a pod with these container ports has for this port of a Service,
    /// by the rule of the EndpointSlice controller. `None`: the name is of no container
    /// port with this protocol, and then the pod's endpoint lacks the port.
    pub fn number_in(&self, containers: &[Port]) -> Option<u16> {
        let Some(wanted) = self.target_name() else {
            let target = self.target.as_deref().and_then(|target| target.parse().ok());
            return target.or(self.number);
        };
        let is_it =
            |port: &&Port| port.name.as_deref() == Some(wanted) && port.protocol == self.protocol;
        containers.iter().find(is_it)?.number
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    V4,
    V6,
}

/// An EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    pub name: String,
    /// The label `kubernetes.io/service-name`.
    pub service: String,
    pub labels: Labels,
    pub ports: Vec<Port>,
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    pub addresses: Vec<IpAddr>,
    pub hostname: Option<String>,
    /// True if absent.
    pub ready: bool,
    pub terminating: bool,
    /// The pod that it is for.
    pub pod: Option<String>,
}

/// The parts of a pod that decide about its names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the pod")]
pub struct Member {
    pub name: String,
    pub labels: Labels,
    pub ips: Vec<IpAddr>,
    pub ready: bool,
    pub terminating: bool,
    /// Succeeded or Failed: such pods are in no slice.
    pub ended: bool,
    /// One word: `Ready`, `CrashLoopBackOff`.
    pub state: String,
    pub hostname: Option<String>,
    pub subdomain: Option<String>,
    pub host_network: bool,
    pub dns_policy: String,
    pub containers: Vec<String>,
    /// The ports that endpoints may have, in the order in which names are looked up.
    pub ports: Vec<Port>,
    /// The uid of the owner that controls it.
    pub controller_uid: Option<String>,
}

impl Member {
    /// Whether it is of this set, and does not only have its labels.
    pub fn is_of(&self, set: &StatefulSet) -> bool {
        set.has_made(self.controller_uid.as_deref(), &self.labels)
    }
}

/// What is known about the cluster's DNS servers.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// `kube-system/kube-dns`; `None` when there is none, or it was not read.
    pub service: Option<String>,
    /// Whether the Services of kube-system could be read. If not, an absent one
    /// may exist.
    pub services_read: bool,
    /// Whether its EndpointSlices could be read. If not, an empty list of pods
    /// means nothing.
    pub endpoints_read: bool,
    pub pods: Vec<Server>,
    /// The addresses that pods have in their resolv.conf.
    pub addresses: Vec<IpAddr>,
    /// More than one if the servers have different ones.
    pub corefiles: Vec<Config>,
    /// Set if NodeLocal DNSCache runs on the nodes.
    pub node_local: Option<NodeLocal>,
    /// The address of `kubernetes.default`, whose PTR record names the zone.
    pub kubernetes: Option<IpAddr>,
    /// The domain in kubeadm-config or kubelet-config, and where it is.
    pub configured_domain: Option<(String, String)>,
    /// What of this could not be read.
    pub unread: Vec<Unread>,
}

/// One pod that answers DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub namespace: String,
    pub pod: String,
    /// Where it listens for TCP, inside the pod.
    pub port: Option<u16>,
    pub ready: bool,
}

/// A Corefile and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub namespace: String,
    pub name: String,
    pub key: String,
    pub text: String,
}

/// A cache on every node, in front of the cluster's servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLocal {
    /// The pod that was found: `pod/node-local-dns-x7k2p`.
    pub seen: String,
    pub corefile: Option<Config>,
}

impl Family {
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    pub fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

impl Facts {
    /// The Service whose names are shown, if it exists and was read.
    pub fn governing(&self) -> Option<&Service> {
        let name = self.service.as_deref()?;
        self.services.iter().flatten().find(|service| service.name == name)
    }

    /// The set whose pods have their names under this Service: the pods of
    /// another set that it selects have none there.
    pub fn governed_set(&self) -> Option<&StatefulSet> {
        self.set.as_ref().filter(|set| set.service_name == self.service)
    }

    /// The slices of a Service.
    pub fn slices_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Slice> {
        self.slices.iter().flatten().filter(move |slice| slice.service == service)
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.pods.iter().flatten().find(|pod| pod.name == name)
    }

    /// The container ports of a pod of the set; of one that is not there, those that the
    /// template gives it.
    pub fn ports_of(&self, pod: &str) -> &[Port] {
        self.member(pod).map_or(&self.template_ports, |member| &member.ports)
    }

    /// The ports of a pod's endpoint, as the slices of this Service have it; `None` if it
    /// has no endpoint there.
    pub fn endpoint_ports<'a>(&'a self, service: &'a str, pod: &str) -> Option<Vec<&'a Port>> {
        let is_its = |endpoint: &Endpoint| match &endpoint.pod {
            Some(name) => name == pod,
            None => endpoint.hostname.as_deref() == Some(pod),
        };
        let slices = self.slices_of(service);
        let its: Vec<&Slice> = slices.filter(|slice| slice.endpoints.iter().any(is_its)).collect();
        (!its.is_empty()).then(|| its.into_iter().flat_map(|slice| &slice.ports).collect())
    }

    /// Takes out the pods that have the labels of the set and are not its own. They
    /// are endpoints all the same, as far as the Service selects them.
    pub fn set_strangers_apart(&mut self) {
        let (Some(set), Some(pods)) = (&self.set, &mut self.pods) else { return };
        let strangers = pods.extract_if(.., |pod| !pod.is_of(set));
        self.strangers = strangers.map(|pod| pod.name).collect();
    }

    /// Why there is no pod of the set with this name.
    pub fn no_pod(&self, name: &str) -> String {
        match &self.set {
            Some(set) if self.taken.iter().chain(&self.strangers).any(|taken| taken == name) => {
                format!("the pod {name} is not of {}, whose own pod cannot be created", set.name)
            }
            _ => format!("{name} does not exist"),
        }
    }

    /// The namespace and connection flags for the commands in hints.
    pub fn at(&self) -> String {
        format!("-n {}{}", self.namespace, self.flags)
    }
}

impl Service {
    pub fn is_external_name(&self) -> bool {
        self.kind == "ExternalName"
    }

    /// Whether it selects a pod with these labels. Without a selector it
    /// selects none.
    pub fn selects(&self, labels: &Labels) -> bool {
        !self.selector.is_empty() && crate::workload::contains_all(labels, &self.selector)
    }

    /// Whether its records may have this family. A manifest often does not say.
    pub fn has_family(&self, family: Family) -> bool {
        self.families.contains(&family)
            || (self.families.is_empty()
                && (family == Family::V4 || self.cluster_ips.iter().any(IpAddr::is_ipv6)))
    }
}

impl Slice {
    pub fn matches(&self, selector: &Selector) -> bool {
        selector.matches(&self.labels)
    }
}
