//! Every finding of `dns`, with the text of its page.

use crate::workload::{Rule, rule};

rule!(
    pub NO_SERVICE_NAME,
    "DNS-NO-SERVICE-NAME",
    Error,
    "The set has no spec.serviceName. Its pods get no subdomain, and so no names of their own \
     under any Service.",
    "spec.serviceName of the set is empty.",
    "serviceName cannot be changed: delete the set without its pods, create it again with a \
     serviceName, and replace the pods one by one, because a pod gets its subdomain when it is \
     created."
);

rule!(
    pub SERVICE_MISSING,
    "DNS-SERVICE-MISSING",
    Error,
    "spec.serviceName names a Service that does not exist, so no pod has a name in DNS. The API \
     server accepts such a set.",
    "spec.serviceName and the Services of the namespace.",
    "Create a headless Service of that name: serviceName itself cannot be changed. Pods that \
     already run get their names as soon as the Service exists."
);

rule!(
    pub OTHER_SERVICE,
    "DNS-OTHER-SERVICE",
    Warning,
    "Another headless Service selects the set's pods, but serviceName does not name it, so the \
     pods have no names under it. Pods get names under one Service only: the one that was their \
     set's serviceName when they were created.",
    "The Service of serviceName does not exist or selects none of the pods, and another headless \
     Service selects them.",
    "Create a headless Service with the name in serviceName, and with the selector and ports of \
     the other one."
);

rule!(
    pub NOT_HEADLESS,
    "DNS-NOT-HEADLESS",
    Warning,
    "The governing Service has a cluster IP: its own name resolves to that address instead of the \
     pods' addresses. CoreDNS serves the pods' names all the same; other DNS servers may not \
     (kubernetes #68352). If it is an ExternalName, it is only an alias, and no pod has a name \
     under it.",
    "The Service's spec.type, and its spec.clusterIP, which is not None.",
    "If every row of kubectl stateful dns is ok and nobody expects the pods' addresses under the \
     Service's own name, nothing has to be done. Otherwise make it headless. clusterIP cannot be \
     changed, so the Service is deleted and created again. That takes its names out of DNS for a \
     moment and ends connections through its address."
);

rule!(
    pub SELECTS_NOTHING,
    "DNS-SELECTS-NOTHING",
    Error,
    "The Service's selector does not match the set's pods, so they are not endpoints of it and \
     have no names.",
    "The selector requires a label that the pods, or the pod template if there are no pods, do \
     not have; the finding names the first such label. Or the Service is headless and has neither \
     a selector nor endpoints.",
    "Correct the Service's selector. This is possible at any time and takes effect at once. If the \
     Service serves other pods, which would lose it, the set needs a Service of its own: serviceName \
     cannot be changed, so the set has to be made again (`kubectl delete --cascade=orphan`)."
);

rule!(
    pub NOT_READY,
    "DNS-NOT-READY",
    Warning,
    "Pods are not Ready, and the Service serves only pods that are. Members that must find each \
     other by name before they can become Ready never will: a deadlock at bootstrap.",
    "Pods that the Service selects have an address and are not Ready, and \
     publishNotReadyAddresses is not true.",
    "If a container cannot run (an image that is not pulled, a crash), publishing its address \
     helps nobody: kubectl stateful status says why it does not. If the containers run and the \
     members find each other through this Service, set publishNotReadyAddresses: true. If clients \
     use it, fix the pods instead."
);

rule!(
    pub UNREADY_PUBLISHED,
    "DNS-UNREADY-PUBLISHED",
    Warning,
    "publishNotReadyAddresses is true, so pods that are not Ready, crash or are being deleted are \
     served as well, and clients of this Service are sent to them.",
    "publishNotReadyAddresses, and pods among the Service's endpoints that are not Ready or are \
     terminating.",
    "Fix the pods. If clients use this Service, give them another one without \
     publishNotReadyAddresses, or set it to false."
);

rule!(
    pub NO_POD_NAMES,
    "DNS-NO-POD-NAMES",
    Warning,
    "This headless Service selects the set's pods, but the pods have their names under another \
     Service. This one resolves to all addresses, but pod names under it do not exist.",
    "The pods' spec.subdomain is the name of another Service.",
    "Use the names under the governing Service. A pod cannot have names under two Services."
);

rule!(
    pub OLD_SUBDOMAIN,
    "DNS-OLD-SUBDOMAIN",
    Error,
    "Pods have a subdomain other than the set's serviceName: they were created under another \
     serviceName, before the set was created again. Their names under this Service do not exist \
     until the pods are replaced.",
    "The pods' spec.subdomain and the set's spec.serviceName.",
    "Delete the pods one after the other; the set creates them again with the right subdomain."
);

rule!(
    pub PORT_UNNAMED,
    "DNS-PORT-UNNAMED",
    Note,
    "A port of the Service has no name, so there is no SRV record for it: applications that look \
     for peers by SRV (etcd, MongoDB, peer-finder) find nothing.",
    "The Service's spec.ports.",
    "Name the port. Clients that connect to it are not affected."
);

rule!(
    pub TARGET_PORT,
    "DNS-TARGET-PORT",
    Warning,
    "A port of the Service has a targetPort whose name no container of the pods has, with the same \
     protocol. The EndpointSlice controller leaves such a port out without an error: a headless \
     Service has no SRV record for it, and behind the address of another nothing listens.",
    "The Service's spec.ports, and the ports of the pods' containers and sidecars (of the template \
     if there are no pods). Other init containers do not count.",
    "Correct targetPort, which takes effect at once; or name the port in the container, for which \
     the set replaces its pods."
);

rule!(
    pub DENIALS_CACHED,
    "DNS-DENIALS-CACHED",
    Note,
    "The DNS servers cache the answer that a name does not exist. A name that is queried too \
     early stays absent until that answer expires, even if it exists by then. Each server has its \
     own cache, so one may answer while another still denies the name.",
    "The plugins kubernetes (ttl) and cache in the DNS servers' Corefile, and a server that denies \
     a name that exists.",
    "Usually: wait until the denial expires. Where peers wait for each other, do not cache denials of the cluster's zone: set disable \
     denial in the plugin cache, as new kubeadm installations do."
);

rule!(
    pub SHORT_NAME,
    "DNS-SHORT-NAME",
    Warning,
    "A short form of the name does not reach this Service from that namespace: the search path \
     leads to another name, or to none.",
    "The search path and ndots that a kubelet gives a pod in that namespace, simulated, and the \
     Services that exist under the names it tries.",
    "Use the form that the finding names: with the namespace, or in full."
);

rule!(
    pub FROM_NAMESPACE,
    "DNS-FROM-NAMESPACE",
    Warning,
    "The namespace that --from-ns names does not exist, so no pod asks from there. As a note: it is \
     not known whether it exists.",
    "The API server's answer to a request for that namespace. From files: whether they have it.",
    "Correct the name. The names that are tried are those of a pod in a namespace of that name, so \
     they hold as soon as there is one."
);

rule!(
    pub WRONG_DOMAIN,
    "DNS-WRONG-DOMAIN",
    Warning,
    "The domain that was asked for is not one that the cluster's DNS servers serve, so no name in \
     it exists.",
    "--cluster-domain, compared with the zones of the plugin kubernetes in the Corefile; or the \
     search path of the pod of --via exec=POD, compared with the cluster's domain.",
    "Use the cluster's own domain, and correct configurations that spell out another one."
);

rule!(
    pub FAMILY,
    "DNS-FAMILY",
    Warning,
    "The Service and its pods have different address families. If the Service asks for a family \
     that a pod does not have, the pod is not served. If it asks for fewer than the pods have, \
     clients of the other family get an empty answer.",
    "The Service's spec.ipFamilies and the pods' status.podIPs.",
    "Give the Service the families that its pods have: ipFamilyPolicy PreferDualStack, or other \
     ipFamilies."
);

rule!(
    pub HOST_NETWORK,
    "DNS-HOST-NETWORK",
    Warning,
    "The pods do not ask the cluster's DNS servers. On the host network, dnsPolicy ClusterFirst \
     means the node's own resolver; Default means that everywhere. Inside these pods no name of \
     the cluster resolves, although other pods can resolve theirs.",
    "hostNetwork and dnsPolicy of the pods, or of the pod template if there are no pods.",
    "Set dnsPolicy: ClusterFirstWithHostNet (ClusterFirst without the host network) in the \
     template; the set then replaces its pods."
);

rule!(
    pub NODE_ADDRESS,
    "DNS-NODE-ADDRESS",
    Note,
    "The pods run on the host network, so their names lead to the addresses of their nodes. A pod \
     that moves to another node has another address, and two of them on one node have the same.",
    "hostNetwork of the pods.",
    "Nothing, if it is meant to be so. What reaches the node's address reaches every program on the \
     node: the ports must not collide."
);

rule!(
    pub STRANGER,
    "DNS-STRANGER",
    Warning,
    "A pod that is not of the set has the labels that the governing Service selects, so it is an \
     endpoint of the Service, and clients of the Service's own name are sent there as well.",
    "An EndpointSlice of the Service names a pod that is not of the set. Its hostname is not its own \
     name, as that of a pod of another set would be, or it has all labels of the set's selector.",
    "Find out whose pod it is. Labels of its own, for it or for the Service's selector, keep the two \
     apart."
);

rule!(
    pub FILTERED,
    "DNS-FILTERED",
    Error,
    "The DNS servers are configured not to serve this Service's names.",
    "namespaces, namespace_labels, labels or noendpoints of the plugin kubernetes in the \
     Corefile, compared with the namespace, and with the labels of the namespace, the Service and \
     its EndpointSlices.",
    "Change the Corefile, or give the Service or the namespace the labels that it asks for."
);

rule!(
    pub OLD_ADDRESS,
    "DNS-OLD-ADDRESS",
    Warning,
    "A name resolves to an address that its pod no longer has.",
    "An EndpointSlice has an address that is not in the pod's status.podIPs, or the servers \
     answer with an address that no EndpointSlice has for the name.",
    "If a cache holds the address, it goes away when the TTL is over. If an EndpointSlice has it, \
     the EndpointSlice controller is behind, or someone created the slice by hand."
);

rule!(
    pub NO_ORDINAL,
    "DNS-NO-ORDINAL",
    Warning,
    "The ordinal that was asked for is outside the set's range, so its name is not served.",
    "spec.replicas and spec.ordinals.start of the set.",
    "Ask for an ordinal that exists, or scale the set. -o name also prints the names of ordinals \
     that do not exist yet."
);

rule!(
    pub NOT_RUNNING,
    "DNS-NOT-RUNNING",
    Warning,
    "Pods of the set do not exist, have no address yet, have ended or are being deleted, so their \
     names are not served. Nothing is wrong with the names themselves.",
    "spec.replicas of the set, and the phase, addresses and deletionTimestamp of its pods.",
    "See why they do not run: kubectl stateful status."
);

rule!(
    pub NO_RECORD,
    "DNS-NO-RECORD",
    Error,
    "No name has a record of the types in --type, so there is nothing to compare: CNAME records \
     are only for an ExternalName, SRV records only for named ports, AAAA records only for IPv6.",
    "The Service's type, ports and address families.",
    "Ask for a type that there is; without --type all are shown."
);

rule!(
    pub NOT_IN_SLICES,
    "DNS-NOT-IN-SLICES",
    Warning,
    "Pods are Ready and selected, but are in none of the Service's EndpointSlices. This is normal \
     for a moment; if it lasts, the EndpointSlice controller is not working.",
    "The pods that the selector matches, compared with the endpoints of the Service's \
     EndpointSlices.",
    "Run the command again. If it lasts, check kube-controller-manager, and whatever else writes \
     EndpointSlices for this Service."
);

rule!(
    pub NO_ENDPOINTS,
    "DNS-NO-ENDPOINTS",
    Warning,
    "The Service is headless and has no endpoints: it has no selector, or its selector matches no \
     pod. So its name has no addresses.",
    "The Service's spec.selector, the pods of the namespace, and the EndpointSlices labelled with \
     its name.",
    "Create an EndpointSlice with the label kubernetes.io/service-name, or correct the selector."
);

rule!(
    pub EXTERNAL_ADDRESS,
    "DNS-EXTERNAL-ADDRESS",
    Warning,
    "The Service is an ExternalName, and its externalName is an address. An ExternalName is an \
     alias for a name, so DNS servers serve nothing for it.",
    "The Service's spec.externalName.",
    "Use a name as externalName, or create a Service without a selector and an EndpointSlice with \
     the address."
);

rule!(
    pub SKEW,
    "DNS-SKEW",
    Warning,
    "The DNS servers do not agree: which answer an application gets depends on the server that it \
     reaches. Each server has its own cache.",
    "Each server's answer to the same question; the finding names the server that differs from \
     the API.",
    "Wait until the wrong answer expires. If it stays, that server has lost its watch on the API: \
     restart it."
);

rule!(
    pub DENIED,
    "DNS-DENIED",
    Warning,
    "Every DNS server that answered lacks records that the API says should be served. From outside, \
     these causes look alike: a denial that is still cached because someone asked before the name \
     existed, a server that has not seen the change yet, a server that has lost its watch on the \
     API. If the Corefile keeps the name back, DNS-FILTERED says so.",
    "The servers' answers, and the SOA record in a denial, which says how long it is valid.",
    "Wait with dns --wait: a cached denial expires and a late server catches up. If the records \
     stay absent, restart the server."
);

rule!(
    pub UNEXPECTED,
    "DNS-UNEXPECTED",
    Warning,
    "The DNS servers return records that the API does not have, in addition to those that it has.",
    "The servers' answers, compared with the EndpointSlices.",
    "Wait until the TTL is over. If the records stay, look for a hosts, rewrite or file plugin in \
     the Corefile."
);

rule!(
    pub SERVER_SILENT,
    "DNS-SERVER-SILENT",
    Warning,
    "A DNS server gave no usable answer, so it is not known what it serves.",
    "What went wrong: the connection was refused, the answer came too late, or it was not a valid \
     answer.",
    "Check that pod. A server that listens only on its Service's address, as NodeLocal DNSCache \
     does, cannot be asked through a port-forward."
);

rule!(
    pub NO_SERVERS,
    "DNS-NO-SERVERS",
    Note,
    "There are no DNS server pods to ask: DNS is managed by the provider, runs outside the \
     cluster, or is down.",
    "The Service kube-dns in kube-system (or dns-default in openshift-dns), and the pods in its \
     EndpointSlices.",
    "Ask from a pod to see what an application sees: --via exec=POD."
);

rule!(
    pub NODE_LOCAL,
    "DNS-NODE-LOCAL",
    Note,
    "NodeLocal DNSCache runs on the nodes, in front of the servers that are asked here. Pods may \
     see older answers than these.",
    "Pods labelled k8s-app=node-local-dns in kube-system.",
    "Ask from a pod to see what an application sees: --via exec=POD."
);

rule!(
    pub NOT_FORWARDED,
    "DNS-NOT-FORWARDED",
    Note,
    "The DNS servers were not asked, because that is not allowed. What is shown is what the API \
     says they should answer.",
    "The API server's refusal.",
    "Get the rights to get and create pods/portforward in the servers' namespace (API servers \
     before 1.35 check get, later ones create), or ask from a pod of your own: --via exec=POD."
);

rule!(
    pub SERVERS_UNREAD,
    "DNS-SERVERS-UNREAD",
    Note,
    "The DNS servers' Service, pods or Corefile could not be read, so it is not known whether they \
     keep names back. Everything else that decides about names was read.",
    "The API server's refusal.",
    "Get the right that the finding names, or ask a server: kubectl stateful dns, or --via \
     exec=POD from a pod of your own."
);

/// In the order of their sections.
const ALL: [&Rule; 35] = [
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
    &TARGET_PORT,
    &DENIALS_CACHED,
    &SHORT_NAME,
    &FROM_NAMESPACE,
    &WRONG_DOMAIN,
    &FAMILY,
    &HOST_NETWORK,
    &NODE_ADDRESS,
    &STRANGER,
    &FILTERED,
    &OLD_ADDRESS,
    &NO_ORDINAL,
    &NOT_RUNNING,
    &NO_RECORD,
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
    &SERVERS_UNREAD,
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
