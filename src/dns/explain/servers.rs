//! The DNS servers: what they do not serve, and what they cache.

use super::View;
use crate::dns::{
    corefile::{Corefile, selector},
    domain::{Domain, DomainSource},
    facts::Config,
    rules,
};

impl View<'_> {
    /// What the servers do not serve, and what they cache.
    pub(super) fn corefile(&mut self, domain: &Domain) {
        let servers = &self.facts.servers;
        for config in &servers.corefiles {
            let corefile = Corefile::read(&config.text);
            let object = format!("configmap/{}", config.name);
            let hint = format!(
                "kubectl edit configmap {} -n {}{}",
                config.name, config.namespace, self.facts.flags
            );
            if domain.source == DomainSource::Flag
                && corefile.primary_zone().is_some()
                && !corefile.serves(&domain.name)
            {
                let zone = corefile.primary_zone().unwrap_or_default();
                let message = format!(
                    "the DNS servers do not serve {}: the zone in the Corefile is {zone}",
                    domain.name
                );
                let right = format!("omit --cluster-domain, or set it to {zone}");
                self.add(rules::WRONG_DOMAIN.found(&object, message).hint(right));
                continue;
            }
            if let Some(why) = self.filtered_by(&corefile, &domain.name) {
                self.add(rules::FILTERED.found(&object, why).hint(hint));
            }
            self.denials_cached(&corefile, config, &domain.name);
        }
        if let Some(local) = &servers.node_local {
            let caches = local.corefile.as_ref().map(|config| {
                let cache_times =
                    Corefile::read(&config.text).cache_times(&domain.name, self.ttl(&domain.name));
                format!(
                    "; it caches {} and {}",
                    cached("answers", cache_times.answers),
                    cached("denials", cache_times.denials)
                )
            });
            let message = format!(
                "NodeLocal DNSCache runs on the nodes ({}), and pods ask it first{}",
                local.seen,
                caches.unwrap_or_default()
            );
            self.add(rules::NODE_LOCAL.found("node-local-dns", message));
        }
        if servers.services_read
            && servers.pods.is_empty()
            && (servers.service.is_none() || servers.endpoints_read)
        {
            let message = match &servers.service {
                Some(service) => format!("Service {service} has no pods"),
                None => "there is no Service kube-dns in kube-system and no dns-default in \
                         openshift-dns"
                    .to_owned(),
            };
            self.add(rules::NO_SERVERS.found("service/kube-dns", message));
        }
    }

    /// The TTL of the servers' own answers.
    fn ttl(&self, zone: &str) -> u32 {
        let first = self.facts.servers.corefiles.first();
        let kubernetes = first.and_then(|one| Corefile::read(&one.text).kubernetes(zone));
        kubernetes.map_or(5, |found| found.ttl)
    }

    fn filtered_by(&self, corefile: &Corefile, zone: &str) -> Option<String> {
        let kubernetes = corefile.kubernetes(zone)?;
        let namespace = &self.facts.namespace;
        if !kubernetes.namespaces.is_empty() && !kubernetes.namespaces.contains(namespace) {
            let named = kubernetes.namespaces.join(", ");
            return Some(format!("the Corefile (namespaces) serves only {named}, not {namespace}"));
        }
        if let (Some(text), Some(labels)) =
            (&kubernetes.namespace_labels, &self.facts.namespace_labels)
            && selector(text).is_some_and(|wanted| !wanted.matches(labels))
        {
            return Some(format!(
                "the Corefile (namespace_labels) requires {text}, and namespace {namespace} does not match"
            ));
        }
        let service = self.facts.governing()?;
        if kubernetes.noendpoints && service.headless {
            return Some(format!(
                "the Corefile sets noendpoints: headless Services such as {} have no records",
                service.name
            ));
        }
        let text = kubernetes.labels.as_ref()?;
        let wanted = selector(text)?;
        if !wanted.matches(&service.labels) {
            return Some(format!(
                "the Corefile (labels) requires {text}, and Service {} does not match",
                service.name
            ));
        }
        let mut slices = self.facts.slices_of(&service.name);
        let other = slices.find(|slice| !slice.matches(&wanted))?;
        Some(format!(
            "the Corefile (labels) requires {text}, and EndpointSlice {} does not match",
            other.name
        ))
    }

    fn denials_cached(&mut self, corefile: &Corefile, config: &Config, zone: &str) {
        let Some(kubernetes) = corefile.kubernetes(zone) else { return };
        let Some(denials) = corefile.cache_times(zone, kubernetes.ttl).denials else { return };
        let message = format!(
            "a name in {zone} that is queried before it exists stays absent for up to {denials} s \
             on each server (configmap {}/{}: ttl {}, cache without disable denial)",
            config.namespace, config.name, kubernetes.ttl
        );
        let object = format!("configmap/{}", config.name);
        self.add(rules::DENIALS_CACHED.found(object, message));
    }
}

/// `answers for up to 30 s`, `no denials`.
fn cached(what: &str, seconds: Option<u32>) -> String {
    seconds.map_or_else(|| format!("no {what}"), |seconds| format!("{what} for up to {seconds} s"))
}
