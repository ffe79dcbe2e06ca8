//! Why names are not there, from what the API says alone.
//!
//! Each rule concludes only from what was read, says the evidence, and names
//! the next step.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    corefile::{Corefile, selector},
    domain::{Domain, How},
    expected::{Wish, Zone, range_of},
    facts::{Config, Facts, Family, Member, Port, Service, Slice},
    rules,
};
use crate::{
    output::text::{count, list},
    workload::{Finding, Severity, StatefulSet},
};

/// Findings in the order in which a person would mend them.
pub fn explain(facts: &Facts, zone: &Zone, domain: &Domain, wish: &Wish) -> Vec<Finding> {
    let mut view = View { facts, zone, wish, found: Vec::new() };
    view.no_ordinal();
    view.governing();
    view.members();
    view.host_network();
    view.corefile(domain);
    let mut found = view.found;
    found.sort_by_key(|finding| finding.severity);
    found
}

struct View<'a> {
    facts: &'a Facts,
    zone: &'a Zone,
    wish: &'a Wish,
    found: Vec<Finding>,
}

impl<'a> View<'a> {
    fn at(&self) -> String {
        self.facts.at()
    }

    fn add(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// The pods that names are wanted for: not those that have ended, and of
    /// one ordinal only, where only that one was asked for.
    fn pods(&self) -> Vec<&'a Member> {
        let set = self.facts.set.as_ref();
        let pods = self.facts.pods.iter().flatten().filter(|pod| !pod.ended);
        let wanted = self.wish.ordinal;
        pods.filter(|pod| {
            wanted.is_none_or(|one| set.and_then(|set| set.ordinal_of(&pod.name)) == Some(one))
        })
        .collect()
    }

    fn no_ordinal(&mut self) {
        let (Some(set), Some(ordinal)) = (&self.facts.set, self.wish.ordinal) else { return };
        if set.ordinals().contains(&ordinal) {
            return;
        }
        let message = format!(
            "{} has {} (replicas {}), so {} does not exist",
            set.name,
            range_of(set),
            set.replicas,
            set.pod_name(ordinal)
        );
        let mut finding = rules::NO_ORDINAL.found(set.reference(), message);
        if ordinal >= set.start {
            let replicas = u64::from(ordinal - set.start) + 1;
            let (name, at) = (&set.name, self.at());
            finding = finding
                .hint(format!("kubectl scale statefulset {name} --replicas {replicas} {at}"));
        }
        self.add(finding);
    }

    /// The Service itself.
    fn governing(&mut self) {
        let facts = self.facts;
        let Some(name) = facts.service.as_deref() else {
            if let Some(set) = &facts.set {
                let message = format!("{} names no Service in spec.serviceName", set.name);
                let at = self.at();
                let hint = format!("kubectl get statefulset {} {at} -o yaml", set.name);
                self.add(rules::NO_SERVICE_NAME.found(set.reference(), message).hint(hint));
            }
            return;
        };
        // Nothing is said of Services that were not read.
        let Some(services) = &facts.services else { return };
        let Some(service) = facts.governing() else {
            if let Some(set) = &facts.set {
                self.missing(set, name);
                self.other_service(set, name, services);
            }
            return;
        };
        let object = format!("service/{name}");
        if service.is_external_name() {
            self.external(service, &object);
            return;
        }
        if let Some(set) = &facts.set
            && set.service_name.as_deref() == Some(name)
        {
            if !service.headless {
                self.not_headless(service, &object);
            }
            self.selects_nothing(set, service, &object);
            self.ports(service, &object);
            if !self.selects_any(set, service) {
                self.other_service(set, name, services);
            }
        }
        if service.selector.is_empty()
            && service.headless
            && facts.slices.is_some()
            && facts.slices_of(name).all(|slice| slice.endpoints.is_empty())
        {
            let message = format!(
                "Service {name} has no selector, and no EndpointSlice has endpoints for it"
            );
            let hint = format!(
                "kubectl get endpointslices {} -l kubernetes.io/service-name={name}",
                self.at()
            );
            self.add(rules::NO_ENDPOINTS.found(&object, message).hint(hint));
        }
        self.families(service, &object);
    }

    fn missing(&mut self, set: &StatefulSet, name: &str) {
        let pairs = set.selector.labels.iter();
        let labels: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
        let at = self.at();
        // kubectl's own idiom for a Service with a selector of one's choice.
        let hint = format!(
            "kubectl create service clusterip {name} --clusterip=None --dry-run=client -o yaml | \
             kubectl set selector --local -f - '{}' -o yaml | kubectl create {at} -f -",
            labels.join(",")
        );
        let message =
            format!("serviceName of {} is {name}, and there is no Service of that name", set.name);
        self.add(rules::SERVICE_MISSING.found(set.reference(), message).hint(hint));
    }

    /// Another headless Service that would do, had it the right name.
    fn other_service(&mut self, set: &StatefulSet, name: &str, services: &[Service]) {
        let fits = |service: &&Service| {
            service.headless && service.name != name && self.selects_any(set, service)
        };
        let Some(other) = services.iter().find(fits) else { return };
        let (other, at) = (&other.name, self.at());
        let message = format!(
            "headless Service {other} selects the pods of {}, but serviceName is {name}: the pods \
             have no names under {other}",
            set.name
        );
        let hint = format!(
            "kubectl get service {other} {at} -o yaml | sed 's/^  name: {other}$/  name: {name}/' \
             | kubectl create -f - {at}"
        );
        self.add(rules::OTHER_SERVICE.found(format!("service/{other}"), message).hint(hint));
    }

    fn external(&mut self, service: &Service, object: &str) {
        let target = service.external_name.as_deref().unwrap_or_default();
        if target.parse::<std::net::IpAddr>().is_ok() {
            let message = format!("externalName of {} is the address {target}", service.name);
            let hint = format!("kubectl edit service {} {}", service.name, self.at());
            self.add(rules::EXTERNAL_ADDRESS.found(object, message).hint(hint));
        }
    }

    fn not_headless(&mut self, service: &Service, object: &str) {
        let (name, at) = (&service.name, self.at());
        let own: Vec<String> = service.cluster_ips.iter().map(ToString::to_string).collect();
        let address = own.first().map_or_else(
            || "an address of its own once it is created".to_owned(),
            |address| format!("the address {address}"),
        );
        let message = format!("Service {name} is of type {} and has {address}", service.kind);
        let hint = format!(
            "kubectl patch service {name} {at} --dry-run=client -o yaml --type merge -p '{}' | \
             kubectl replace --force {at} -f -",
            headless(service)
        );
        self.add(rules::NOT_HEADLESS.found(object, message).hint(hint));
    }

    /// The pods' labels where there are pods, else those that pods would get.
    fn selects_any(&self, set: &StatefulSet, service: &Service) -> bool {
        let pods = self.pods();
        if pods.is_empty() {
            return service.selects(&set.template.labels);
        }
        pods.iter().any(|pod| service.selects(&pod.labels))
    }

    fn selects_nothing(&mut self, set: &StatefulSet, service: &Service, object: &str) {
        if service.selector.is_empty() {
            // Somebody else may make its slices.
            let made = self.facts.slices_of(&service.name).any(|one| !one.endpoints.is_empty());
            if made || !service.headless || self.facts.slices.is_none() {
                return;
            }
        } else if self.selects_any(set, service) {
            return;
        }
        let pods = self.pods();
        let labels: &BTreeMap<String, String> =
            pods.first().map_or(&set.template.labels, |pod| &pod.labels);
        let wrong = service.selector.iter().find(|(key, value)| labels.get(*key) != Some(*value));
        let (name, at) = (&service.name, self.at());
        let message = match wrong {
            None => format!("Service {name} has no selector, so it selects no pod of {}", set.name),
            Some((key, value)) => {
                let has = labels.get(key).map_or_else(
                    || "have no such label".to_owned(),
                    |other| format!("have {key}={other}"),
                );
                format!("Service {name} selects {key}={value}, but the pods of {} {has}", set.name)
            }
        };
        let pairs = set.selector.labels.iter();
        let right: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
        let hint = format!("kubectl set selector service {name} '{}' {at}", right.join(","));
        self.add(rules::SELECTS_NOTHING.found(object, message).hint(hint));
    }

    fn ports(&mut self, service: &Service, object: &str) {
        let (name, at) = (&service.name, self.at());
        let Some(place) = service.ports.iter().position(|port| port.name.is_none()) else {
            return;
        };
        let number = service.ports[place].number.unwrap_or_default();
        let message =
            format!("port {number} of Service {name} has no name, so it has no SRV record");
        let patch = format!(
            r#"[{{"op":"add","path":"/spec/ports/{place}/name","value":"port-{number}"}}]"#
        );
        let hint = format!("kubectl patch service {name} {at} --type json -p '{patch}'");
        self.add(rules::PORT_UNNAMED.found(object, message).hint(hint));
    }

    fn families(&mut self, service: &Service, object: &str) {
        let pods = self.pods();
        let with_address: Vec<&&Member> = pods.iter().filter(|pod| !pod.ips.is_empty()).collect();
        if service.families.is_empty() || service.selector.is_empty() {
            return;
        }
        let has = |pod: &Member, family| pod.ips.iter().any(|ip| Family::of(*ip) == family);
        let wanted: Vec<&str> = service.families.iter().map(|family| family.name()).collect();
        let (name, at) = (&service.name, self.at());
        let both = r#"{"spec":{"ipFamilyPolicy":"PreferDualStack"}}"#;
        let hint = format!("kubectl patch service {name} {at} -p '{both}'");
        let without: Vec<&str> = with_address
            .iter()
            .filter(|pod| !service.families.iter().any(|family| has(pod, *family)))
            .map(|pod| pod.name.as_str())
            .collect();
        if !without.is_empty() {
            let message = format!(
                "Service {name} is {} only, and {} no such address",
                wanted.join(" and "),
                have(&without)
            );
            self.add(rules::FAMILY.found(object, message).hint(hint));
            return;
        }
        for family in [Family::V4, Family::V6] {
            let asked = service.families.contains(&family);
            let having = with_address.iter().filter(|pod| has(pod, family)).count();
            if !asked && having > 0 && service.headless {
                let message = format!(
                    "{} of {name} have {} addresses, but the Service is {} only: the other family \
                     is answered with nothing",
                    count(having, "pod"),
                    family.name(),
                    wanted.join(" and ")
                );
                let finding = rules::FAMILY.found(object, message).hint(hint.clone());
                self.add(finding.at(Severity::Note));
            } else if asked && having == 0 && !with_address.is_empty() {
                let message = format!(
                    "Service {name} is {}, and no pod has an {} address",
                    wanted.join(" and "),
                    family.name()
                );
                self.add(rules::FAMILY.found(object, message).at(Severity::Note));
            }
        }
    }

    /// The pods and their endpoints.
    fn members(&mut self) {
        let facts = self.facts;
        let (Some(name), Some(service)) = (facts.service.as_deref(), facts.governing()) else {
            return;
        };
        if service.is_external_name() || facts.pods.is_none() {
            return;
        }
        let pods = self.pods();
        self.subdomains(name, service, &pods);
        let Some(slices) = facts.slices.as_ref().map(|_| facts.slices_of(name).collect()) else {
            return;
        };
        let slices: Vec<&Slice> = slices;
        self.readiness(service, &pods, &slices);
        self.addresses(name, &pods, &slices);
    }

    fn subdomains(&mut self, name: &str, service: &Service, pods: &[&Member]) {
        let others: Vec<&&Member> = pods
            .iter()
            .filter(|pod| service.selects(&pod.labels) || self.governs(name))
            .filter(|pod| pod.subdomain.as_deref() != Some(name))
            .collect();
        let Some(first) = others.first() else { return };
        let names: Vec<&str> = others.iter().map(|pod| pod.name.as_str()).collect();
        let (at, object) = (self.at(), format!("pod/{}", first.name));
        let old = first.subdomain.as_deref();
        if self.governs(name) {
            let has = old.map_or("no subdomain".to_owned(), |old| format!("the subdomain {old}"));
            let message = format!(
                "{} {has}, not {name}: no name under {name} leads to {}",
                have(&names),
                if names.len() == 1 { "it" } else { "them" }
            );
            let hint = format!("kubectl delete pod {} {at}", names[0]);
            self.add(rules::OLD_SUBDOMAIN.found(object, message).hint(hint));
        } else if let Some(old) = old.filter(|_| service.headless) {
            let message = format!(
                "the pods' names are under Service {old}: {} exists, {} does not",
                self.zone.short(&self.zone.host(names[0], old)),
                self.zone.short(&self.zone.host(names[0], name))
            );
            let set = self.facts.set.as_ref().map(|set| set.name.clone());
            let mut finding = rules::NO_POD_NAMES.found(format!("service/{name}"), message);
            if let Some(set) = set {
                finding = finding.hint(format!("kubectl stateful dns {set} -o name {at}"));
            }
            self.add(finding);
        }
    }

    /// Whether the set names this very Service.
    fn governs(&self, name: &str) -> bool {
        self.facts.set.as_ref().is_some_and(|set| set.service_name.as_deref() == Some(name))
    }

    fn readiness(&mut self, service: &Service, pods: &[&Member], slices: &[&Slice]) {
        let (name, at) = (&service.name, self.at());
        let object = format!("service/{name}");
        let listed = |pod: &Member, ready: bool| {
            slices
                .iter()
                .flat_map(|slice| &slice.endpoints)
                .any(|one| one.ready == ready && one.pod.as_deref() == Some(&*pod.name))
        };
        if service.publish_not_ready {
            let served: Vec<&&Member> = pods
                .iter()
                .filter(|pod| (!pod.ready || pod.terminating) && listed(pod, true))
                .collect();
            if let Some(first) = served.first() {
                let names: Vec<&str> = served.iter().map(|pod| pod.name.as_str()).collect();
                let message = format!(
                    "{} served although not Ready{}, because publishNotReadyAddresses is true",
                    is(&names),
                    state(first)
                );
                let hint = format!("kubectl describe pod {} {at}", first.name);
                self.add(rules::UNREADY_PUBLISHED.found(object, message).hint(hint));
            }
            return;
        }
        let waiting: Vec<&&Member> = pods
            .iter()
            .filter(|pod| !pod.ready && !pod.terminating && !pod.ips.is_empty())
            .filter(|pod| service.selects(&pod.labels))
            .collect();
        let Some(first) = waiting.first() else { return };
        let names: Vec<&str> = waiting.iter().map(|pod| pod.name.as_str()).collect();
        let message = format!(
            "{} not Ready{}, and Service {name} publishes only pods that are",
            is(&names),
            state(first)
        );
        let patch = r#"{"spec":{"publishNotReadyAddresses":true}}"#;
        let hint = format!("kubectl patch service {name} {at} -p '{patch}'");
        self.add(rules::NOT_READY.found(object, message).hint(hint));
    }

    fn addresses(&mut self, name: &str, pods: &[&Member], slices: &[&Slice]) {
        let at = self.at();
        let endpoints =
            || slices.iter().flat_map(|slice| slice.endpoints.iter().map(|e| (*slice, e)));
        for pod in pods.iter().filter(|pod| !pod.ips.is_empty() && !pod.terminating) {
            let own = |hostname: &Option<String>, of: &Option<String>| {
                of.as_deref() == Some(&*pod.name)
                    || (of.is_none() && hostname.as_deref() == Some(&*pod.name))
            };
            let wrong = endpoints()
                .filter(|(_, endpoint)| own(&endpoint.hostname, &endpoint.pod))
                .flat_map(|(slice, endpoint)| endpoint.addresses.iter().map(move |a| (slice, a)))
                .find(|(_, address)| !pod.ips.contains(address));
            if let Some((slice, address)) = wrong {
                let message = format!(
                    "EndpointSlice {} has {address} for {}, which has {} now",
                    slice.name, pod.name, pod.ips[0]
                );
                let hint = format!("kubectl get endpointslice {} {at} -o yaml", slice.name);
                let object = format!("endpointslice.discovery.k8s.io/{}", slice.name);
                self.add(rules::OLD_ADDRESS.found(object, message).hint(hint));
            }
        }
        let Some(service) = self.facts.governing() else { return };
        let absent: Vec<&str> = pods
            .iter()
            .filter(|pod| pod.ready && !pod.terminating && service.selects(&pod.labels))
            .filter(|pod| pod.ips.iter().any(|ip| service.has_family(Family::of(*ip))))
            .filter(|pod| !endpoints().any(|(_, one)| one.pod.as_deref() == Some(&*pod.name)))
            .map(|pod| pod.name.as_str())
            .collect();
        if !absent.is_empty() {
            let message = format!(
                "{} Ready and selected by Service {name}, but in none of its EndpointSlices",
                is(&absent)
            );
            let hint =
                format!("kubectl get endpointslices {at} -l kubernetes.io/service-name={name}");
            self.add(rules::NOT_IN_SLICES.found(format!("service/{name}"), message).hint(hint));
        }
    }

    /// What the pods themselves can resolve.
    fn host_network(&mut self) {
        let pods = self.pods();
        let of_template = self.facts.set.as_ref().map(|set| {
            let spec = &set.template.raw["spec"];
            let policy = spec["dnsPolicy"].as_str().unwrap_or("ClusterFirst");
            (spec["hostNetwork"].as_bool().unwrap_or(false), policy.to_owned())
        });
        let of_pods = pods.first().map(|pod| (pod.host_network, pod.dns_policy.clone()));
        let Some((host_network, policy)) = of_pods.or(of_template) else { return };
        let right = if host_network { "ClusterFirstWithHostNet" } else { "ClusterFirst" };
        let outside = match policy.as_str() {
            "Default" => true,
            "ClusterFirst" => host_network,
            _ => false,
        };
        if !outside {
            return;
        }
        let where_to = if host_network { " on the host network" } else { "" };
        let message = format!(
            "the pods run{where_to} with dnsPolicy {policy}: inside them the node's resolver is \
             asked, which knows no name of the cluster"
        );
        let Some(set) = &self.facts.set else {
            let object = pods.first().map_or_else(String::new, |pod| format!("pod/{}", pod.name));
            self.add(rules::HOST_NETWORK.found(object, message));
            return;
        };
        let patch = format!(r#"{{"spec":{{"template":{{"spec":{{"dnsPolicy":"{right}"}}}}}}}}"#);
        let hint = format!("kubectl patch statefulset {} {} -p '{patch}'", set.name, self.at());
        self.add(rules::HOST_NETWORK.found(set.reference(), message).hint(hint));
    }

    /// What the servers keep back, and what they remember.
    fn corefile(&mut self, domain: &Domain) {
        let servers = &self.facts.servers;
        for config in &servers.corefiles {
            let corefile = Corefile::read(&config.text);
            let object = format!("configmap/{}", config.name);
            let hint = format!(
                "kubectl edit configmap {} -n {}{}",
                config.name, config.namespace, self.facts.flags
            );
            if domain.how == How::Flag
                && corefile.primary_zone().is_some()
                && !corefile.serves(&domain.name)
            {
                let zone = corefile.primary_zone().unwrap_or_default();
                let message =
                    format!("{} is not served: the Corefile has the zone {zone}", domain.name);
                let right = "leave out --cluster-domain, or name that zone".to_owned();
                self.add(rules::WRONG_DOMAIN.found(&object, message).hint(right));
                continue;
            }
            if let Some(why) = self.kept_back(&corefile, &domain.name) {
                self.add(rules::FILTERED.found(&object, why).hint(hint.clone()));
            }
            self.remembered(&corefile, config, &domain.name, &hint);
        }
        if let Some(local) = &servers.node_local {
            let kept = local.corefile.as_ref().map(|config| {
                let remembers =
                    Corefile::read(&config.text).remembers(&domain.name, self.ttl(&domain.name));
                format!(
                    "; it keeps answers for up to {} and denials for up to {}",
                    seconds(remembers.answers),
                    seconds(remembers.denials)
                )
            });
            let message = format!(
                "NodeLocal DNSCache runs on the nodes ({}), and pods ask it first{}",
                local.seen,
                kept.unwrap_or_default()
            );
            self.add(rules::NODE_LOCAL.found("node-local-dns", message));
        }
        if servers.looked
            && servers.pods.is_empty()
            && (servers.service.is_none() || servers.listed)
        {
            let message = match &servers.service {
                Some(service) => format!("no pod is behind the Service {service}"),
                None => "there is no Service kube-dns in kube-system, nor dns-default in \
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

    fn kept_back(&self, corefile: &Corefile, zone: &str) -> Option<String> {
        let kubernetes = corefile.kubernetes(zone)?;
        let namespace = &self.facts.namespace;
        if !kubernetes.namespaces.is_empty() && !kubernetes.namespaces.contains(namespace) {
            let named = kubernetes.namespaces.join(", ");
            return Some(format!("namespaces names only {named}, not {namespace}"));
        }
        if let (Some(text), Some(labels)) =
            (&kubernetes.namespace_labels, &self.facts.namespace_labels)
            && selector(text).is_some_and(|wanted| !wanted.matches(labels))
        {
            return Some(format!(
                "namespace_labels asks for {text}, and namespace {namespace} does not match"
            ));
        }
        let service = self.facts.governing()?;
        if kubernetes.noendpoints && service.headless {
            return Some(format!(
                "noendpoints is set: headless Services such as {} have no records",
                service.name
            ));
        }
        let text = kubernetes.labels.as_ref()?;
        let wanted = selector(text)?;
        if !wanted.matches(&service.labels) {
            return Some(format!(
                "labels asks for {text}, and Service {} does not match",
                service.name
            ));
        }
        let mut slices = self.facts.slices_of(&service.name);
        let other = slices.find(|slice| !slice.matches(&wanted))?;
        Some(format!("labels asks for {text}, and EndpointSlice {} does not match", other.name))
    }

    fn remembered(&mut self, corefile: &Corefile, config: &Config, zone: &str, hint: &str) {
        let Some(kubernetes) = corefile.kubernetes(zone) else { return };
        let Some(denials) = corefile.remembers(zone, kubernetes.ttl).denials else { return };
        let message = format!(
            "a name of {zone} that was asked for too early stays absent for up to {denials} s on \
             each server (configmap {}/{}: ttl {}, cache without disable denial)",
            config.namespace, config.name, kubernetes.ttl
        );
        let object = format!("configmap/{}", config.name);
        self.add(rules::DENIALS_CACHED.found(object, message).hint(hint));
    }
}

/// The merge patch that makes a Service headless, without what only other
/// kinds of Services may have.
fn headless(service: &Service) -> String {
    let mut spec = json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": null});
    if service.kind != "ClusterIP" {
        for field in [
            "externalTrafficPolicy",
            "healthCheckNodePort",
            "allocateLoadBalancerNodePorts",
            "loadBalancerClass",
        ] {
            spec[field] = Value::Null;
        }
        // Without the nodes' ports.
        let port = |port: &Port| {
            let mut own = json!({"port": port.number, "protocol": port.protocol});
            if let Some(name) = &port.name {
                own["name"] = json!(name);
            }
            if let Some(target) = &port.target {
                let number = target.parse::<u16>().ok();
                own["targetPort"] = number.map_or_else(|| json!(target), |number| json!(number));
            }
            own
        };
        spec["ports"] = service.ports.iter().map(port).collect();
    }
    json!({ "spec": spec }).to_string()
}

/// `web-0 has`, `web-0 and web-1 have`.
fn have(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "has" } else { "have" };
    format!("{} {verb}", list(names))
}

/// What more there is to say of a pod than that it is not Ready.
fn state(pod: &Member) -> String {
    if pod.state == "NotReady" {
        return String::new();
    }
    format!(" ({} is {})", pod.name, pod.state)
}

fn is(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", list(names))
}

fn seconds(time: Option<u32>) -> String {
    time.map_or_else(|| "no time".to_owned(), |seconds| format!("{seconds} s"))
}
