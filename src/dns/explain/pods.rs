//! The pods and their endpoints.

use std::collections::BTreeSet;

use super::{View, names_are, names_have};
use crate::{
    dns::{
        facts::{Family, Member, Service, Slice},
        rules,
    },
    output::text::list,
};

impl View<'_> {
    /// The pods and their endpoints.
    pub(super) fn members(&mut self) {
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
                "{} {has}, not {name}: {} no name under {name}",
                names_have(&names),
                if names.len() == 1 { "it has" } else { "they have" }
            );
            let hint = format!("kubectl delete pod {} {at}", names[0]);
            self.add(rules::OLD_SUBDOMAIN.found(object, message).hint(hint));
        } else if let Some(old) = old.filter(|_| service.headless) {
            let message = format!(
                "the pods have their names under Service {old}: use {}, not {}",
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

    /// Whether this is the set's governing Service.
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
                let although = match served.iter().filter(|pod| pod.terminating).count() {
                    0 => "not Ready",
                    all if all == served.len() => "terminating",
                    _ => "not Ready or terminating",
                };
                let message = format!(
                    "{} served although {although}{}, because publishNotReadyAddresses is true",
                    names_are(&names),
                    state(first)
                );
                let hint = self.why_not_ready(first);
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
        // A container that cannot run needs no name. One that runs may wait for
        // the names of the others.
        let broken = waiting.iter().find(|pod| pod.state != "NotReady");
        let names: Vec<&str> = waiting.iter().map(|pod| pod.name.as_str()).collect();
        let message = format!(
            "{} not Ready{}, and Service {name} serves only pods that are",
            names_are(&names),
            state(broken.unwrap_or(first))
        );
        let hint = if let Some(broken) = broken {
            self.why_not_ready(broken)
        } else {
            let patch = r#"{"spec":{"publishNotReadyAddresses":true}}"#;
            format!("kubectl patch service {name} {at} -p '{patch}'")
        };
        self.add(rules::NOT_READY.found(object, message).hint(hint));
    }

    /// The line that says why a pod is not Ready.
    fn why_not_ready(&self, pod: &Member) -> String {
        let at = self.at();
        match &self.facts.set {
            Some(set) => format!("kubectl stateful status {} {at}", set.name),
            None => format!("kubectl describe pod {} {at}", pod.name),
        }
    }

    /// Ordinals whose pods cannot be served, whatever the Service says.
    pub(super) fn not_running(&mut self) {
        let facts = self.facts;
        let Some(set) = facts.governed_set().filter(|set| set.is_live()) else { return };
        let hint = format!("kubectl stateful status {} {}", set.name, self.at());
        if set.ordinals().is_empty() {
            let message = format!("{} has 0 replicas, so no pod has a name", set.name);
            self.add(rules::NOT_RUNNING.found(set.reference(), message).hint(hint));
            return;
        }
        let Some(pods) = &facts.pods else { return };
        let published = facts.governing().is_some_and(|service| service.publish_not_ready);
        let wanted = set.ordinals().filter(|one| self.options.ordinal.is_none_or(|o| o == *one));
        let absent: Vec<String> = wanted
            .filter_map(|ordinal| {
                let name = set.pod_name(ordinal);
                let Some(pod) = pods.iter().find(|pod| pod.name == name) else {
                    return Some(facts.no_pod(&name));
                };
                let goes = pod.terminating && !published;
                (goes || pod.ended || pod.ips.is_empty())
                    .then(|| format!("{name} is {}", pod.state))
            })
            .collect();
        if !absent.is_empty() {
            let message = format!("{}, and DNS serves only running pods", list(&absent));
            self.add(rules::NOT_RUNNING.found(set.reference(), message).hint(hint));
        }
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
                    "EndpointSlice {} has {address} for {}, whose address is now {}",
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
                names_are(&absent)
            );
            let hint =
                format!("kubectl get endpointslices {at} -l kubernetes.io/service-name={name}");
            self.add(rules::NOT_IN_SLICES.found(format!("service/{name}"), message).hint(hint));
        }
    }

    /// Endpoints that are not pods of the set. Those of another set behind the same
    /// Service have names of their own: their hostname is the name of the pod.
    pub(super) fn strangers(&mut self) {
        let facts = self.facts;
        let (Some(name), Some(set)) = (facts.service.as_deref(), facts.governed_set()) else {
            return;
        };
        let Some(pods) = &facts.pods else { return };
        let endpoints = facts.slices_of(name).flat_map(|slice| &slice.endpoints);
        let served = endpoints.filter_map(|endpoint| {
            let pod = endpoint.pod.as_deref()?;
            let is_own = pods.iter().any(|own| own.name == pod);
            let has_its_own_name = endpoint.hostname.as_deref() == Some(pod);
            let has_our_labels = facts.strangers.iter().any(|stranger| stranger == pod);
            (!is_own && (has_our_labels || !has_its_own_name)).then_some(pod)
        });
        // A pod has an endpoint in the slice of each address family.
        let served: BTreeSet<&str> = served.collect();
        let served: Vec<&str> = served.into_iter().collect();
        let Some(first) = served.first() else { return };
        let (are, endpoints) = match served.as_slice() {
            [_] => ("is not a pod", "it is an endpoint"),
            _ => ("are not pods", "they are endpoints"),
        };
        let message = format!(
            "{} {are} of {}, but {endpoints} of Service {name}: clients of {name} are sent \
             there, too",
            list(&served),
            set.name
        );
        let hint = format!("kubectl get pod {first} {} -o wide --show-labels", self.at());
        self.add(rules::STRANGER.found(format!("service/{name}"), message).hint(hint));
    }

    /// Pods whose names lead to their nodes.
    pub(super) fn node_addresses(&mut self) {
        let (Some(name), Some(set)) = (self.facts.service.as_deref(), self.facts.governed_set())
        else {
            return;
        };
        let pods = self.pods();
        let of_nodes: Vec<&str> =
            pods.iter().filter(|pod| pod.host_network).map(|pod| pod.name.as_str()).collect();
        if of_nodes.is_empty() {
            return;
        }
        let (they, their) =
            if of_nodes.len() == 1 { ("runs", "its name") } else { ("run", "their names") };
        let message = format!(
            "{} {they} on the host network: {their} under {name} give the node's address, and change \
             with the node",
            list(&of_nodes)
        );
        self.add(rules::NODE_ADDRESS.found(set.reference(), message));
    }

    /// Whether the pods can resolve names of the cluster.
    pub(super) fn host_network(&mut self) {
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
            "the pods run{where_to} with dnsPolicy {policy}: they ask the node's resolver, which does \
             not know the cluster's names"
        );
        let Some(set) = &self.facts.set else {
            let object = pods.first().map_or_else(String::new, |pod| format!("pod/{}", pod.name));
            self.add(rules::HOST_NETWORK.found(object, message));
            return;
        };
        let message = format!("{message}; a change of the template replaces every pod");
        let patch = format!(r#"{{"spec":{{"template":{{"spec":{{"dnsPolicy":"{right}"}}}}}}}}"#);
        let hint = format!("kubectl patch statefulset {} {} -p '{patch}'", set.name, self.at());
        self.add(rules::HOST_NETWORK.found(set.reference(), message).hint(hint));
    }
}

/// The pod's state, if it says more than that the pod is not Ready.
fn state(pod: &Member) -> String {
    if pod.state == "NotReady" {
        return String::new();
    }
    format!(" ({} is {})", pod.name, pod.state)
}
