//! The Service.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{View, names_have};
use crate::{
    dns::{
        facts::{Family, Member, Port, Service},
        rules,
    },
    output::text::{count, list},
    workload::{Severity, StatefulSet},
};

impl View<'_> {
    /// The Service itself.
    pub(super) fn governing(&mut self) {
        let facts = self.facts;
        let Some(name) = facts.service.as_deref() else {
            if let Some(set) = &facts.set {
                let message = format!("{} has no spec.serviceName", set.name);
                let at = self.at();
                let hint = format!("kubectl get statefulset {} {at} -o yaml", set.name);
                self.add(rules::NO_SERVICE_NAME.found(set.reference(), message).hint(hint));
            }
            return;
        };
        // Services that were not read have no findings.
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
            if facts.governed_set().is_some() {
                let target = service.external_name.as_deref().unwrap_or_default();
                let message = format!(
                    "Service {name} is an ExternalName, an alias for {target}: no pod has a name \
                     under it"
                );
                let hint = format!("kubectl edit service {name} {}", self.at());
                let finding = rules::NOT_HEADLESS.found(&object, message).hint(hint);
                self.add(finding.at(Severity::Error));
            }
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
            self.target_ports(set, service, &object);
            if !self.selects_any(set, service) {
                self.other_service(set, name, services);
            }
        }
        // The pods of a set are judged with the set.
        let has_no_pod = facts.set.is_none() && facts.pods.as_ref().is_some_and(Vec::is_empty);
        if (service.selector.is_empty() || has_no_pod)
            && service.headless
            && facts.slices.is_some()
            && facts.slices_of(name).all(|slice| slice.endpoints.is_empty())
        {
            let selects = if service.selector.is_empty() {
                "has no selector"
            } else {
                "selects no pod of the namespace"
            };
            let message =
                format!("Service {name} {selects}, and no EndpointSlice has endpoints for it");
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
        // The way of kubectl to create a Service with a given selector.
        let hint = format!(
            "kubectl create service clusterip {name} --clusterip=None --dry-run=client -o yaml | \
             kubectl set selector --local -f - '{}' -o yaml | kubectl create {at} -f -",
            labels.join(",")
        );
        let message =
            format!("serviceName of {} is {name}, but Service {name} does not exist", set.name);
        self.add(rules::SERVICE_MISSING.found(set.reference(), message).hint(hint));
    }

    /// Another headless Service that would do if it had the right name.
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
            || "a cluster IP once it is created".to_owned(),
            |address| format!("the address {address}"),
        );
        let message = format!(
            "Service {name} has type {} and {address}: its own name resolves to that, not to the \
             pods, whose names DNS servers may serve all the same. Making it headless deletes it \
             and creates it again: its address changes, and its names are gone for a moment",
            service.kind
        );
        let hint = format!(
            "kubectl patch service {name} {at} --dry-run=client -o yaml --type merge -p '{}' | \
             kubectl replace --force {at} -f -",
            headless(service)
        );
        self.add(rules::NOT_HEADLESS.found(object, message).hint(hint));
    }

    /// Uses the pods' labels or, without pods, those of the template.
    fn selects_any(&self, set: &StatefulSet, service: &Service) -> bool {
        let pods = self.pods();
        if pods.is_empty() {
            return service.selects(&set.template.labels);
        }
        pods.iter().any(|pod| service.selects(&pod.labels))
    }

    fn selects_nothing(&mut self, set: &StatefulSet, service: &Service, object: &str) {
        if service.selector.is_empty() {
            // Its EndpointSlices may be created by someone else.
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
        let others = self.facts.slices_of(name).any(|slice| !slice.endpoints.is_empty());
        if others && wrong.is_some() {
            let message = format!(
                "{message}; it serves other pods, which would lose it: {} needs a Service of its own",
                set.name
            );
            let hint =
                format!("kubectl get endpointslices {at} -l kubernetes.io/service-name={name}");
            self.add(rules::SELECTS_NOTHING.found(object, message).hint(hint));
            return;
        }
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

    /// Ports that lead to no port of a container. The endpoints lack them then, without
    /// an error anywhere.
    fn target_ports(&mut self, set: &StatefulSet, service: &Service, object: &str) {
        let pods = self.pods();
        let pods: Vec<&Member> =
            pods.into_iter().filter(|pod| service.selects(&pod.labels)).collect();
        let of_template = pods.is_empty() && service.selects(&set.template.labels);
        for (place, port) in service.ports.iter().enumerate() {
            let Some(target) = port.target_name() else { continue };
            let lacks = |ports: &[Port]| port.number_in(ports).is_none();
            let lacking: Vec<&str> =
                pods.iter().filter(|pod| lacks(&pod.ports)).map(|pod| &*pod.name).collect();
            let template_lacks = lacks(&self.facts.template_ports);
            if lacking.is_empty() && !(of_template && template_lacks) {
                continue;
            }
            let whose = if lacking.len() == pods.len() {
                format!("the pods of {}", set.name)
            } else {
                list(&lacking)
            };
            let label = match (&port.name, port.number) {
                (Some(name), _) => format!("port {name}"),
                (None, Some(number)) => format!("port {number}"),
                (None, None) => "the port".to_owned(),
            };
            let effect = if service.headless && port.name.is_some() {
                "there is no SRV record for it"
            } else {
                "nothing listens behind it"
            };
            let message = format!(
                "{label} of Service {} leads to the {} port named {target}, which no container of \
                 {whose} has: their endpoints lack the port, and {effect}",
                service.name, port.protocol
            );
            let hint = if template_lacks {
                self.right_target(service, place, port)
            } else {
                // Pods of an earlier template, which the set replaces.
                format!("kubectl stateful status {} {}", set.name, self.at())
            };
            self.add(rules::TARGET_PORT.found(object, message).hint(hint));
        }
    }

    /// The line that lets a port of the Service lead to a port that the template has, if
    /// it is clear to which.
    fn right_target(&self, service: &Service, place: usize, port: &Port) -> String {
        let (name, at) = (&service.name, self.at());
        let fits = |one: &&Port| one.protocol == port.protocol && one.number.is_some();
        let fitting: Vec<&Port> = self.facts.template_ports.iter().filter(fits).collect();
        let same = fitting.iter().find(|one| one.number == port.number);
        let only = if let [one] = fitting.as_slice() { Some(one) } else { None };
        let Some(right) = same.or(only) else { return format!("kubectl edit service {name} {at}") };
        let target = right.name.as_ref().map_or_else(|| json!(right.number), |name| json!(name));
        let patch = json!([
            {"op": "replace", "path": format!("/spec/ports/{place}/targetPort"), "value": target},
        ]);
        format!("kubectl patch service {name} {at} --type json -p '{patch}'")
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
                "Service {name} is {} only, but {} no such address",
                wanted.join(" and "),
                names_have(&without)
            );
            self.add(rules::FAMILY.found(object, message).hint(hint));
            return;
        }
        for family in [Family::V4, Family::V6] {
            let asked = service.families.contains(&family);
            let having = with_address.iter().filter(|pod| has(pod, family)).count();
            if !asked && having > 0 && service.headless {
                let message = format!(
                    "Service {name} is {} only and does not serve the {} addresses of {}: queries for \
                     them get an empty answer",
                    wanted.join(" and "),
                    family.name(),
                    count(having, "pod")
                );
                let finding = rules::FAMILY.found(object, message).hint(hint.clone());
                self.add(finding.at(Severity::Note));
            } else if asked && having == 0 && !with_address.is_empty() {
                let message = format!(
                    "Service {name} is {}, but no pod has an {} address",
                    wanted.join(" and "),
                    family.name()
                );
                self.add(rules::FAMILY.found(object, message).at(Severity::Note));
            }
        }
    }
}

/// The merge patch that makes a Service headless, without the fields that only
/// other types of Service may have.
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
        // Without nodePort.
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
