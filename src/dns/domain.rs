//! The cluster's domain. No API reports it, so it is inferred, and the source
//! is shown.

use super::{corefile::Corefile, facts::Servers, search::ResolvConf};

/// The cluster's domain and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub name: String,
    pub source: DomainSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainSource {
    /// `--cluster-domain`.
    Flag,
    /// A server's answer: the name of `kubernetes.default`'s address.
    Ptr {
        address: String,
        server: String,
    },
    /// The zones of the plugin `kubernetes`.
    Corefile(String),
    /// A ConfigMap of the cluster's installer.
    Config(String),
    /// The search path of a pod.
    Search(String),
    Assumed,
}

impl DomainSource {
    pub fn text(&self) -> String {
        match self {
            DomainSource::Flag => "from --cluster-domain".to_owned(),
            DomainSource::Ptr { address, server } => {
                format!("from {server}: {address} is kubernetes.default.svc in this domain")
            }
            DomainSource::Corefile(place) => format!("from the Corefile in {place}"),
            DomainSource::Config(place) => format!("from {place}"),
            DomainSource::Search(pod) => format!("from the search path of {pod}"),
            DomainSource::Assumed => "assumed: no source names it".to_owned(),
        }
    }
}

/// The zone in the name that a server returns for the address of
/// `kubernetes.default`.
pub fn zone_of_kubernetes(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let zone = name.strip_prefix("kubernetes.default.svc.")?;
    (!zone.is_empty()).then(|| zone.to_owned())
}

/// The domain as far as it is known before a server is asked. The most reliable
/// source comes first.
pub fn domain_from_facts(
    flag: Option<&str>,
    servers: &Servers,
    search: Option<(&str, &ResolvConf)>,
) -> Domain {
    let plain = |name: &str| name.trim().trim_matches('.').to_ascii_lowercase();
    if let Some(flag) = flag {
        return Domain { name: plain(flag), source: DomainSource::Flag };
    }
    for config in &servers.corefiles {
        if let Some(zone) = Corefile::read(&config.text).primary_zone() {
            let place = format!("configmap {}/{}", config.namespace, config.name);
            return Domain { name: zone, source: DomainSource::Corefile(place) };
        }
    }
    if let Some((name, place)) = &servers.configured_domain {
        return Domain { name: plain(name), source: DomainSource::Config(place.clone()) };
    }
    if let Some((pod, resolver)) = search
        && let Some(domain) = resolver.cluster_domain()
    {
        return Domain { name: domain, source: DomainSource::Search(pod.to_owned()) };
    }
    Domain { name: "cluster.local".to_owned(), source: DomainSource::Assumed }
}
