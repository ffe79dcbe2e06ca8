//! Every finding of `dns`, with the text of its page.

use crate::workload::{Rule, Severity};

pub const NO_SERVICE_NAME: Rule = Rule {
    id: "DNS-NO-SERVICE-NAME",
    severity: Severity::Error,
    means: "The set has no spec.serviceName. Its pods get no subdomain and so no names of their \
            own, under whatever Service.",
    evidence: "spec.serviceName of the set is empty.",
    remedy: "serviceName cannot be changed: delete the set but not its pods, create it again with \
             a serviceName, and replace the pods one by one, because a pod gets its subdomain when \
             it is made.",
};

pub const SERVICE_MISSING: Rule = Rule {
    id: "DNS-SERVICE-MISSING",
    severity: Severity::Error,
    means: "spec.serviceName names a Service that does not exist, so no pod has a name in DNS. The \
            API server accepts such a set.",
    evidence: "spec.serviceName and the Services of the namespace.",
    remedy: "Create a headless Service of that name: serviceName itself cannot be changed, and the \
             pods that run already get their names as soon as it is there.",
};

pub const OTHER_SERVICE: Rule = Rule {
    id: "DNS-OTHER-SERVICE",
    severity: Severity::Warning,
    means: "Another headless Service selects the set's pods, but serviceName does not name it, so \
            the pods have no names under it. Pods get names under one Service only, the one that \
            was their set's serviceName when they were made.",
    evidence: "The Service of serviceName is absent or selects none of the pods, and another \
               headless Service selects them.",
    remedy: "Create a headless Service under the name that serviceName has, with the other one's \
             selector and ports.",
};

pub const NOT_HEADLESS: Rule = Rule {
    id: "DNS-NOT-HEADLESS",
    severity: Severity::Warning,
    means: "The governing Service has an address of its own: its bare name answers with that one \
            instead of the pods'. CoreDNS serves the pods' names all the same, other servers may \
            not (kubernetes #68352).",
    evidence: "The Service's spec.clusterIP is not None.",
    remedy: "Make it headless. The field cannot be changed: the Service is deleted and made again, \
             which takes its names out of DNS for a moment and ends what is connected through its \
             address.",
};

pub const SELECTS_NOTHING: Rule = Rule {
    id: "DNS-SELECTS-NOTHING",
    severity: Severity::Error,
    means: "The Service's selector does not match the set's pods, so the pods are no endpoints of \
            it and have no names.",
    evidence: "The selector asks for a label that the pods, or the pod template where there are \
               none yet, do not have; the first such label is named.",
    remedy: "Correct the Service's selector; that is possible at any time and works at once.",
};

pub const NOT_READY: Rule = Rule {
    id: "DNS-NOT-READY",
    severity: Severity::Warning,
    means: "Pods are not Ready, and the Service publishes only those that are. Members that must \
            find each other by name before they can become Ready never will: a deadlock at \
            bootstrap.",
    evidence: "The endpoints' ready condition is false, or the pods are not Ready, and \
               publishNotReadyAddresses is not true.",
    remedy: "For a Service by which members find each other, set publishNotReadyAddresses: true. \
             For one that clients use, mend the pods instead.",
};

pub const UNREADY_PUBLISHED: Rule = Rule {
    id: "DNS-UNREADY-PUBLISHED",
    severity: Severity::Warning,
    means: "publishNotReadyAddresses is true, so pods that are not Ready, crash or are being \
            deleted are served as well, and clients that use this Service are sent to them.",
    evidence: "The field, and pods among the served endpoints that are not Ready or are \
               terminating.",
    remedy: "Mend the pods. If clients use this Service, give them another one without \
             publishNotReadyAddresses, or set it to false.",
};

pub const NO_POD_NAMES: Rule = Rule {
    id: "DNS-NO-POD-NAMES",
    severity: Severity::Warning,
    means: "This headless Service selects the set's pods, but it is not the one that their names \
            are under. It answers with all addresses, and pod names below it do not exist.",
    evidence: "The pods' spec.subdomain is another Service's name.",
    remedy: "Use the names under the governing Service. Nothing can give a pod names under two \
             Services.",
};

pub const OLD_SUBDOMAIN: Rule = Rule {
    id: "DNS-OLD-SUBDOMAIN",
    severity: Severity::Error,
    means: "Pods carry another subdomain than the set's serviceName: they were made under another \
            serviceName, before the set was created anew. Their names under this Service do not \
            exist until they are replaced.",
    evidence: "The pods' spec.subdomain and the set's spec.serviceName.",
    remedy: "Delete the pods one after the other; the set makes them again with the right \
             subdomain.",
};

pub const PORT_UNNAMED: Rule = Rule {
    id: "DNS-PORT-UNNAMED",
    severity: Severity::Note,
    means: "A port of the Service has no name, so there is no SRV record for it: what looks for \
            peers by SRV (etcd, MongoDB, peer-finder) finds nothing.",
    evidence: "The Service's spec.ports.",
    remedy: "Name the port. That changes nothing for those who connect to it.",
};

pub const DENIALS_CACHED: Rule = Rule {
    id: "DNS-DENIALS-CACHED",
    severity: Severity::Note,
    means: "The DNS servers remember that a name does not exist. A name that was asked for too \
            early stays absent for that long after it exists, on each server by itself: one may \
            answer while the other still denies.",
    evidence: "The plugins kubernetes (ttl) and cache of the Corefile, and that of NodeLocal \
               DNSCache where it runs.",
    remedy: "Where peers wait for each other, keep denials of the cluster's zone out of the cache: \
             disable denial, as new installations by kubeadm have it.",
};

pub const SHORT_NAME: Rule = Rule {
    id: "DNS-SHORT-NAME",
    severity: Severity::Warning,
    means: "A short form of the name does not reach this Service from that namespace: the search \
            path leads elsewhere or nowhere.",
    evidence: "The search path and ndots of a pod there, simulated, or the resolv.conf of the pod \
               that was asked.",
    remedy: "Use the form that is named: with the namespace, or in full.",
};

pub const WRONG_DOMAIN: Rule = Rule {
    id: "DNS-WRONG-DOMAIN",
    severity: Severity::Warning,
    means: "The domain that was asked for is not one that the cluster's DNS servers serve, so no \
            name in it exists.",
    evidence: "--cluster-domain, or a pod's search path, against the zones of the plugin \
               kubernetes in the Corefile.",
    remedy: "Use the cluster's own domain; configurations that have another one spelled out are \
             to be corrected.",
};

pub const FAMILY: Rule = Rule {
    id: "DNS-FAMILY",
    severity: Severity::Warning,
    means: "Service and pods have different address families. Where the Service asks for one that \
            a pod does not have, the pod is not served; where it asks for fewer, clients of the \
            other family get an empty answer.",
    evidence: "The Service's spec.ipFamilies and the pods' status.podIPs.",
    remedy: "Let the Service have the families that its pods have: ipFamilyPolicy \
             PreferDualStack, or other ipFamilies.",
};

pub const HOST_NETWORK: Rule = Rule {
    id: "DNS-HOST-NETWORK",
    severity: Severity::Warning,
    means: "The pods do not ask the cluster's DNS servers: on the host network the policy \
            ClusterFirst means the node's own resolver, and Default means that anywhere. Inside \
            them no name of the cluster resolves, although others can resolve theirs.",
    evidence: "hostNetwork and dnsPolicy of the pods, or of the pod template where there are none.",
    remedy: "Set dnsPolicy: ClusterFirstWithHostNet (ClusterFirst without the host network) in the \
             template; the set replaces its pods.",
};

pub const FILTERED: Rule = Rule {
    id: "DNS-FILTERED",
    severity: Severity::Error,
    means: "The DNS servers' configuration keeps this Service's names back.",
    evidence: "namespaces, namespace_labels, labels or noendpoints of the plugin kubernetes in the \
               Corefile, against the namespace and the labels of Service and EndpointSlices.",
    remedy: "Change the Corefile, or give Service or namespace the labels that it asks for.",
};

pub const OLD_ADDRESS: Rule = Rule {
    id: "DNS-OLD-ADDRESS",
    severity: Severity::Warning,
    means: "A name leads to an address that its pod does not have any more.",
    evidence: "The EndpointSlice's address is none of the pod's status.podIPs, or a server answers \
               with an address that no slice has for the name.",
    remedy: "Where a cache holds it, it goes when the TTL is over. Where a slice has it, the \
             EndpointSlice controller is behind, or somebody made the slice by hand.",
};

pub const NO_ORDINAL: Rule = Rule {
    id: "DNS-NO-ORDINAL",
    severity: Severity::Warning,
    means: "The ordinal that was asked for is not one of the set's, so its name is not served.",
    evidence: "spec.replicas and spec.ordinals.start of the set.",
    remedy: "Ask for one that exists, or scale the set. With -o name the names of ordinals to come \
             can be had in advance.",
};

pub const NOT_IN_SLICES: Rule = Rule {
    id: "DNS-NOT-IN-SLICES",
    severity: Severity::Warning,
    means: "Pods are Ready and selected, but no EndpointSlice of the Service names them. That is \
            normal for a moment; if it lasts, the EndpointSlice controller does not work.",
    evidence: "Pods that the selector matches, against the endpoints of the Service's slices.",
    remedy: "Look again. If it lasts, look at the kube-controller-manager, and at who else writes \
             EndpointSlices for this Service.",
};

pub const NO_ENDPOINTS: Rule = Rule {
    id: "DNS-NO-ENDPOINTS",
    severity: Severity::Warning,
    means: "The Service has no selector and nobody made endpoints for it, so a headless one \
            answers with nothing.",
    evidence: "The Service's spec.selector, and the EndpointSlices that bear its name.",
    remedy: "Create an EndpointSlice with the label kubernetes.io/service-name, or give the \
             Service a selector.",
};

pub const EXTERNAL_ADDRESS: Rule = Rule {
    id: "DNS-EXTERNAL-ADDRESS",
    severity: Severity::Warning,
    means: "An ExternalName that is an address: it would have to be an alias for a name, and DNS \
            servers serve nothing.",
    evidence: "The Service's spec.externalName.",
    remedy: "Put a name there, or make a Service without selector and an EndpointSlice with the \
             address.",
};

pub const SKEW: Rule = Rule {
    id: "DNS-SKEW",
    severity: Severity::Warning,
    means: "The DNS servers do not agree: which answer an application gets depends on which one it \
            is sent to. Each keeps a cache of its own.",
    evidence: "The answers of each server to the same question; the one that differs from the API \
               is named.",
    remedy: "Wait until the time is over that its answer has left. If it does not pass, that \
             server has lost its watch on the API: restart it.",
};

pub const DENIED: Rule = Rule {
    id: "DNS-DENIED",
    severity: Severity::Warning,
    means: "Servers deny a name that the API says should be served: somebody asked for it before \
            it existed, and the denial is still remembered, or the server has not seen the change \
            yet.",
    evidence: "The answers, and the SOA record in them, which says for how long.",
    remedy: "dns --wait waits it out. If it does not pass, the server has lost its watch on the \
             API: restart it.",
};

pub const UNEXPECTED: Rule = Rule {
    id: "DNS-UNEXPECTED",
    severity: Severity::Warning,
    means: "Servers answer with records that the API does not have, beside those that it has.",
    evidence: "The answers against the EndpointSlices.",
    remedy: "Wait until the TTL is over. If it does not pass, look for a hosts, rewrite or file \
             plugin in the Corefile.",
};

pub const SERVER_SILENT: Rule = Rule {
    id: "DNS-SERVER-SILENT",
    severity: Severity::Warning,
    means: "A DNS server pod gave no usable answer, so what it would say is not known.",
    evidence: "What happened on the way to it: refused, too late, or an answer that is none.",
    remedy: "Look at that pod. A server that listens on its Service's address only, as NodeLocal \
             DNSCache does, cannot be asked through a port-forward.",
};

pub const NO_SERVERS: Rule = Rule {
    id: "DNS-NO-SERVERS",
    severity: Severity::Note,
    means: "There are no DNS server pods to be asked: DNS is managed by the provider, runs outside \
            of the cluster, or is down.",
    evidence: "The Service kube-dns in kube-system (or dns-default in openshift-dns) and the pods \
               behind its EndpointSlices.",
    remedy: "What an application sees can be asked in a pod: --via exec=POD.",
};

pub const NODE_LOCAL: Rule = Rule {
    id: "DNS-NODE-LOCAL",
    severity: Severity::Note,
    means: "NodeLocal DNSCache runs on the nodes, before the servers that are asked here. Pods may \
            see older answers than these.",
    evidence: "Pods labelled k8s-app=node-local-dns in kube-system.",
    remedy: "What an application sees can be asked in a pod: --via exec=POD.",
};

pub const NOT_FORWARDED: Rule = Rule {
    id: "DNS-NOT-FORWARDED",
    severity: Severity::Note,
    means: "The DNS servers were not asked, because that is not allowed: what is shown is what the \
            API says they should answer.",
    evidence: "The API server's refusal.",
    remedy: "Have the rights to get and to create pods/portforward in the servers' namespace \
             granted (API servers before 1.35 ask for get, later ones for create), or ask in a \
             pod of your own: --via exec=POD.",
};

/// In the order of their pages.
const ALL: [&Rule; 28] = [
    &NO_SERVICE_NAME,
    &SERVICE_MISSING,
    &OTHER_SERVICE,
    &NOT_HEADLESS,
    &SELECTS_NOTHING,
    &NOT_READY,
    &UNREADY_PUBLISHED,
    &NO_POD_NAMES,
    &OLD_SUBDOMAIN,
    &PORT_UNNAMED,
    &DENIALS_CACHED,
    &SHORT_NAME,
    &WRONG_DOMAIN,
    &FAMILY,
    &HOST_NETWORK,
    &FILTERED,
    &OLD_ADDRESS,
    &NO_ORDINAL,
    &NOT_IN_SLICES,
    &NO_ENDPOINTS,
    &EXTERNAL_ADDRESS,
    &SKEW,
    &DENIED,
    &UNEXPECTED,
    &SERVER_SILENT,
    &NO_SERVERS,
    &NODE_LOCAL,
    &NOT_FORWARDED,
];

/// Every rule.
pub fn all() -> Vec<&'static Rule> {
    ALL.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_say_the_command() {
        let mut ids: Vec<&str> = all().iter().map(|rule| rule.id).collect();
        assert!(ids.iter().all(|id| id.starts_with("DNS-")), "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
