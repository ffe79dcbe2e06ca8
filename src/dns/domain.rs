//! The cluster's domain. No API tells it, so it is concluded, and it is said
//! from what.

use super::{corefile::Corefile, facts::Servers, search::ResolvConf};

/// The zone and how it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub name: String,
    pub how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// `--cluster-domain`.
    Flag,
    /// A server's own answer: the name of `kubernetes.default`'s address.
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

impl How {
    pub fn text(&self) -> String {
        match self {
            How::Flag => "as --cluster-domain says".to_owned(),
            How::Ptr { address, server } => {
                format!("{server} calls {address} kubernetes.default.svc in it")
            }
            How::Corefile(place) => format!("from the Corefile in {place}"),
            How::Config(place) => format!("from {place}"),
            How::Search(pod) => format!("from the search path of {pod}"),
            How::Assumed => "assumed: nothing that was read says it".to_owned(),
        }
    }
}

/// The zone of an answer to the question what `kubernetes.default` is called.
pub fn of_kubernetes(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let zone = name.strip_prefix("kubernetes.default.svc.")?;
    (!zone.is_empty()).then(|| zone.to_owned())
}

/// What is known before a server is asked, in the order of trust.
pub fn without_asking(
    flag: Option<&str>,
    servers: &Servers,
    search: Option<(&str, &ResolvConf)>,
) -> Domain {
    let plain = |name: &str| name.trim().trim_matches('.').to_ascii_lowercase();
    if let Some(flag) = flag {
        return Domain { name: plain(flag), how: How::Flag };
    }
    for config in &servers.corefiles {
        if let Some(zone) = Corefile::read(&config.text).primary_zone() {
            let place = format!("configmap {}/{}", config.namespace, config.name);
            return Domain { name: zone, how: How::Corefile(place) };
        }
    }
    if let Some((name, place)) = &servers.configured_domain {
        return Domain { name: plain(name), how: How::Config(place.clone()) };
    }
    if let Some((pod, resolver)) = search
        && let Some(domain) = resolver.cluster_domain()
    {
        return Domain { name: domain, how: How::Search(pod.to_owned()) };
    }
    Domain { name: "cluster.local".to_owned(), how: How::Assumed }
}
