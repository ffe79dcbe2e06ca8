//! What was read about names: Services, slices, pods, and the DNS servers.

use std::{collections::BTreeMap, net::IpAddr};

use crate::workload::{Read, Selector, StatefulSet, Unread};

type Labels = BTreeMap<String, String>;

/// Everything that names hang on, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub namespace: String,
    /// The set that was asked about, or the one that the Service governs.
    pub set: Option<StatefulSet>,
    /// The Service that was asked about, by its name; for a set it is the one
    /// that the set names.
    pub service: Option<String>,
    /// Of the namespace.
    pub services: Read<Service>,
    /// Of the namespace.
    pub slices: Read<Slice>,
    /// Those of the set or, without one, those that the Service selects.
    pub pods: Read<Member>,
    /// Of the namespace itself, where a Corefile asks for them.
    pub namespace_labels: Option<Labels>,
    pub servers: Servers,
    pub unread: Vec<Unread>,
    /// The connection flags that were given, each with a blank in front.
    pub flags: String,
}

/// A Service, as far as names hang on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub labels: Labels,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: String,
    pub selector: Labels,
    /// Without the `None` of a headless one.
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
    /// Of a Service the port itself, of a slice the pods'.
    pub number: Option<u16>,
    /// `targetPort` of a Service, a number or a name.
    pub target: Option<String>,
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
    /// Absent counts as true: nobody looks.
    pub ready: bool,
    pub terminating: bool,
    /// The pod it was made from.
    pub pod: Option<String>,
}

/// A pod, as far as its names hang on it.
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
}

/// The cluster's DNS servers and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    /// `kube-system/kube-dns`; `None` when there is none, or it was not read.
    pub service: Option<String>,
    /// Whether the Services of the server's namespace could be read, so that
    /// an absent one is known to be absent.
    pub looked: bool,
    /// Whether its pods could be read; without them an empty list means nothing.
    pub listed: bool,
    pub pods: Vec<Server>,
    /// The address that pods have in their resolv.conf.
    pub addresses: Vec<IpAddr>,
    /// ConfigMap and text; several for servers that differ.
    pub corefiles: Vec<Config>,
    /// NodeLocal DNSCache runs on the nodes.
    pub node_local: Option<NodeLocal>,
    /// The address of `kubernetes.default`, whose PTR record names the zone.
    pub kubernetes: Option<IpAddr>,
    /// `networking.dnsDomain` of kubeadm-config, or `clusterDomain` of
    /// kubelet-config.
    pub configured_domain: Option<(String, String)>,
    /// What of all this could not be read.
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

/// A cache that sits on every node, before the cluster's servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLocal {
    /// What was seen of it: `pod/node-local-dns-x7k2p`.
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
    /// The Service whose names are looked at, where it exists and was read.
    pub fn governing(&self) -> Option<&Service> {
        let name = self.service.as_deref()?;
        self.services.iter().flatten().find(|service| service.name == name)
    }

    /// The slices of a Service.
    pub fn slices_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Slice> {
        self.slices.iter().flatten().filter(move |slice| slice.service == service)
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.pods.iter().flatten().find(|pod| pod.name == name)
    }

    /// Where the commands that hints name find things.
    pub fn at(&self) -> String {
        format!("-n {}{}", self.namespace, self.flags)
    }
}

impl Service {
    pub fn is_external_name(&self) -> bool {
        self.kind == "ExternalName"
    }

    /// Whether it selects a pod with these labels; without a selector none.
    pub fn selects(&self, labels: &Labels) -> bool {
        !self.selector.is_empty() && crate::workload::contains_all(labels, &self.selector)
    }

    /// The families that its records may have. A manifest does not say.
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
