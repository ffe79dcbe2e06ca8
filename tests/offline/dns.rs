//! Names from objects alone: what should be served, every rule in a case of
//! its own, and the lists for other programs.

use std::{collections::BTreeSet, fs};

use kubectl_stateful::{
    dns::{
        compare::{JudgedRow, Outcome, Verdict},
        domain::{Domain, DomainSource},
        expected::{Expected, Kind, Row, RowOptions, Value, Zone, reverse_name, reversed, rows},
        explain::explain,
        facts::{Config, Facts, NodeLocal},
        lists::ListOptions,
        picture::{Picture, Responder, answer_findings},
        report::render,
        rules,
        wire::{Code, Reply},
    },
    dns::{offline as names, read::Target},
    manifests::Bundle,
    output::{Exit, Look},
    workload::{Finding, Severity},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{
    build::{pod, set, unready, with},
    cli::run,
    words::read_if_ours,
};

/// The headless Service of the set `web`.
pub fn service() -> Json {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "nginx", "namespace": "default", "labels": {"app": "nginx"}},
        "spec": {
            "type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "selector": {"app": "nginx"},
            "ports": [{"name": "web", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    })
}

/// A pod as the set makes it, with an address.
pub fn member(ordinal: u32) -> Json {
    named(pod(ordinal), ordinal)
}

fn named(pod: Json, ordinal: u32) -> Json {
    let pod = with(pod, "/spec/hostname", json!(format!("web-{ordinal}")));
    let pod = with(pod, "/spec/subdomain", json!("nginx"));
    let address = format!("10.244.0.{}", 10 + ordinal);
    let pod = with(pod, "/status/podIP", json!(address));
    with(pod, "/status/podIPs", json!([{"ip": address}]))
}

pub fn endpoint(ordinal: u32) -> Json {
    json!({
        "addresses": [format!("10.244.0.{}", 10 + ordinal)],
        "hostname": format!("web-{ordinal}"),
        "conditions": {"ready": true, "serving": true, "terminating": false},
        "targetRef": {"kind": "Pod", "name": format!("web-{ordinal}"), "namespace": "default"},
    })
}

pub fn slice(name: &str, endpoints: &[Json]) -> Json {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": name, "namespace": "default",
            "labels": {"kubernetes.io/service-name": "nginx", "app": "nginx"},
        },
        "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

/// A set of three that is as it should be.
pub fn healthy() -> Vec<Json> {
    let endpoints: Vec<Json> = (0..3).map(endpoint).collect();
    let mut all = vec![set(), service(), slice("nginx-a", &endpoints)];
    all.extend((0..3).map(member));
    all
}

/// The same with others in the place of those of their kind and name.
pub fn changed(others: &[Json]) -> Vec<Json> {
    let key = |object: &Json| (object["kind"].clone(), object["metadata"]["name"].clone());
    let mut all = healthy();
    all.retain(|object| !others.iter().any(|other| key(other) == key(object)));
    all.extend(others.iter().cloned());
    all
}

pub fn without(kind: &str, name: &str) -> Vec<Json> {
    let mut all = healthy();
    all.retain(|one| one["kind"] != kind || !(name.is_empty() || one["metadata"]["name"] == name));
    all
}

fn facts_of(objects: Vec<Json>, target: &Target) -> Facts {
    let mut bundle = Bundle::default();
    for object in objects {
        bundle.add(object).expect("an object");
    }
    names::facts(&bundle, target, None).expect("facts")
}

fn facts(objects: Vec<Json>) -> Facts {
    facts_of(objects, &Target::Set("web".to_owned()))
}

fn zone() -> Zone {
    Zone { namespace: "default".to_owned(), domain: "cluster.local".to_owned() }
}

fn domain() -> Domain {
    Domain { name: "cluster.local".to_owned(), source: DomainSource::Assumed }
}

fn findings(facts: &Facts, options: &RowOptions) -> Vec<Finding> {
    let found = explain(facts, &zone(), &domain(), options);
    for finding in &found {
        read_if_ours(finding.hint.as_deref().unwrap_or_default());
    }
    found
}

fn ids(found: &[Finding]) -> Vec<&'static str> {
    found.iter().map(|finding| finding.id).collect()
}

/// A row in a line: `web-0.nginx A 10.244.0.10`.
fn line(row: &Row) -> String {
    let zone = zone();
    let expected = match &row.expected {
        Expected::Records(all) => {
            let all: Vec<String> =
                all.iter().map(|one| one.value.to_string().replace(&zone.suffix(), "")).collect();
            all.join(" ")
        }
        Expected::Nothing(absent) => format!("- {}", absent.why()),
        Expected::Unknown => "?".to_owned(),
    };
    format!("{} {} {expected}", zone.short(&row.name), row.kind.name())
}

fn lines(facts: &Facts) -> Vec<String> {
    rows(facts, &zone(), &RowOptions::default()).iter().map(line).collect()
}

#[test]
fn a_set_its_ports_and_its_pods_have_names() {
    assert_eq!(
        lines(&facts(healthy())),
        [
            "nginx A 10.244.0.10 10.244.0.11 10.244.0.12",
            "_web._tcp.nginx SRV web-0.nginx:8080 web-1.nginx:8080 web-2.nginx:8080",
            "web-0.nginx A 10.244.0.10",
            "web-1.nginx A 10.244.0.11",
            "web-2.nginx A 10.244.0.12",
            "10.244.0.10 PTR web-0.nginx",
            "10.244.0.11 PTR web-1.nginx",
            "10.244.0.12 PTR web-2.nginx",
        ]
    );
    assert_eq!(findings(&facts(healthy()), &RowOptions::default()), []);
}

#[test]
fn slices_of_any_number_and_family_are_merged() {
    let mut six = slice("nginx-six", &[]);
    six["endpoints"] = json!([{"addresses": ["fd00::10"], "hostname": "web-0"}]);
    let mut objects = changed(&[
        with(service(), "/spec/ipFamilies", json!(["IPv4", "IPv6"])),
        slice("nginx-a", &[endpoint(0)]),
        slice("nginx-b", &[endpoint(1)]),
        six,
    ]);
    // Another Service's slice is none of it.
    let mut other = slice("other", &[endpoint(2)]);
    other["metadata"]["labels"]["kubernetes.io/service-name"] = json!("other");
    objects.push(other);
    let found = lines(&facts(objects));
    for row in [
        "nginx A 10.244.0.10 10.244.0.11",
        "nginx AAAA fd00::10",
        "web-0.nginx A 10.244.0.10",
        "web-0.nginx AAAA fd00::10",
        "web-1.nginx A 10.244.0.11",
        "fd00::10 PTR web-0.nginx",
    ] {
        assert!(found.iter().any(|line| line == row), "{row}\n{found:#?}");
    }
    assert!(!found.iter().any(|line| line.starts_with("web-1.nginx AAAA")), "{found:#?}");
}

#[test]
fn what_is_not_ready_is_not_served_unless_it_is_published() {
    let mut waiting = endpoint(1);
    waiting["conditions"]["ready"] = json!(false);
    let objects = changed(&[
        slice("nginx-a", &[endpoint(0), waiting, endpoint(2)]),
        named(unready(1, 60), 1),
    ]);
    let known = facts(objects);
    let found = lines(&known);
    assert!(found.contains(&"web-1.nginx A - web-1 is NotReady".to_owned()), "{found:#?}");
    assert!(found.contains(&"nginx A 10.244.0.10 10.244.0.12".to_owned()), "{found:#?}");
    assert!(!found.iter().any(|line| line.starts_with("10.244.0.11 PTR")));
    let judged: Vec<Option<Verdict>> = rows(&known, &zone(), &RowOptions::default())
        .into_iter()
        .map(|row| JudgedRow::new(row, Vec::new(), "nginx.default.svc.cluster.local").verdict)
        .collect();
    assert_eq!(judged.iter().filter(|one| **one == Some(Verdict::NotReady)).count(), 1);
}

#[test]
fn services_of_other_types_have_their_own_names() {
    let lines_of = |objects: Vec<Json>, name: &str| {
        lines(&facts_of(objects, &Target::Service(name.to_owned())))
    };
    let own = |name: &str, spec: Json| {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    };
    let external = own("ext", json!({"type": "ExternalName", "externalName": "db.example.ORG."}));
    assert_eq!(lines_of(vec![external], "ext"), ["ext CNAME db.example.org"]);
    let address = own("ext", json!({"type": "ExternalName", "externalName": "192.0.2.1"}));
    assert_eq!(
        lines_of(vec![address], "ext"),
        ["ext CNAME - externalName \"192.0.2.1\" is not a name, so there is no CNAME record"]
    );
    // Hand-made endpoints behind an address of its own.
    let ports = json!([{"port": 80, "protocol": "TCP"}]);
    let cluster = own(
        "ext",
        json!({"type": "ClusterIP", "clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7"],
            "ipFamilies": ["IPv4"], "ports": ports}),
    );
    let mut made = slice("ext-1", &[]);
    made["metadata"]["labels"] = json!({"kubernetes.io/service-name": "ext"});
    made["endpoints"] = json!([{"addresses": ["172.0.0.1"]}]);
    assert_eq!(
        lines_of(vec![cluster, made.clone()], "ext"),
        ["ext A 10.96.7.7", "10.96.7.7 PTR ext"]
    );
    // And behind a headless one: the server chooses the host's name.
    let headless = own(
        "ext",
        json!({"clusterIP": "None", "ipFamilies": ["IPv4"],
        "ports": [{"name": "web", "port": 8080}]}),
    );
    assert_eq!(
        lines_of(vec![headless, made], "ext"),
        ["ext A 172.0.0.1", "_web._tcp.ext SRV 172-0-0-1.ext:8080", "172.0.0.1 PTR 172-0-0-1.ext"]
    );
    // A Service with an address in front of a set: the pods' names all the same.
    let fronted = with(service(), "/spec/clusterIP", json!("10.96.1.1"));
    let fronted = with(fronted, "/spec/clusterIPs", json!(["10.96.1.1"]));
    assert_eq!(
        lines(&facts(changed(&[fronted]))),
        [
            "nginx A 10.96.1.1",
            "_web._tcp.nginx SRV nginx:80",
            "web-0.nginx A 10.244.0.10",
            "web-1.nginx A 10.244.0.11",
            "web-2.nginx A 10.244.0.12",
            "10.96.1.1 PTR nginx",
        ]
    );
}

#[test]
fn nothing_is_concluded_from_what_was_not_read() {
    let no_slices = facts(without("EndpointSlice", ""));
    assert_eq!(
        lines(&no_slices),
        [
            "nginx A ?",
            "_web._tcp.nginx SRV ?",
            "web-0.nginx A ?",
            "web-1.nginx A ?",
            "web-2.nginx A ?"
        ]
    );
    assert_eq!(no_slices.unread[0].resource, "endpointslices.discovery.k8s.io");
    assert_eq!(findings(&no_slices, &RowOptions::default()), []);
    let no_services = facts(without("Service", ""));
    assert!(lines(&no_services).iter().all(|line| line.ends_with('?')));
    assert_eq!(findings(&no_services, &RowOptions::default()), []);
}

struct Case {
    name: &'static str,
    facts: Facts,
    options: RowOptions,
    ids: &'static [&'static str],
    says: &'static str,
}

fn case(
    name: &'static str,
    objects: Vec<Json>,
    ids: &'static [&'static str],
    says: &'static str,
) -> Case {
    Case { name, facts: facts(objects), options: RowOptions::default(), ids, says }
}

fn corefile(text: &str) -> Facts {
    let mut known = facts(healthy());
    let text = format!(".:53 {{\n kubernetes cluster.local in-addr.arpa {{\n{text}\n}}\n}}\n");
    known.servers.corefiles = vec![Config {
        namespace: "kube-system".to_owned(),
        name: "coredns".to_owned(),
        key: "Corefile".to_owned(),
        text,
    }];
    known
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let pointing = |name: &str| with(set(), "/spec/serviceName", json!(name));
    let template =
        |field: &str, value: Json| with(set(), &format!("/spec/template/spec/{field}"), value);
    let mut renamed = service();
    renamed["metadata"]["name"] = json!("web-headless");
    let selecting = |value: &str| with(service(), "/spec/selector", json!({"app": value}));
    let waiting = {
        let mut one = endpoint(1);
        one["conditions"]["ready"] = json!(false);
        slice("nginx-a", &[endpoint(0), one, endpoint(2)])
    };
    let published = with(service(), "/spec/publishNotReadyAddresses", json!(true));
    let old = |pod: Json| with(pod, "/spec/subdomain", json!("former"));
    let moved = {
        let mut one = endpoint(1);
        one["addresses"] = json!(["10.244.0.99"]);
        slice("nginx-a", &[endpoint(0), one, endpoint(2)])
    };
    let bare = with(service(), "/spec/selector", json!({}));
    let second = facts_of(
        {
            let mut other = slice("web-headless-a", &[endpoint(0), endpoint(1), endpoint(2)]);
            other["metadata"]["labels"]["kubernetes.io/service-name"] = json!("web-headless");
            for endpoint in other["endpoints"].as_array_mut().expect("endpoints") {
                endpoint.as_object_mut().expect("fields").remove("hostname");
            }
            let mut all = healthy();
            all.extend([renamed.clone(), other]);
            all
        },
        &Target::Service("web-headless".to_owned()),
    );
    let external = facts_of(
        vec![json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "ext", "namespace": "default"},
            "spec": {"type": "ExternalName", "externalName": "192.0.2.1"}})],
        &Target::Service("ext".to_owned()),
    );
    let of =
        |name, facts, ids, says| Case { name, facts, options: RowOptions::default(), ids, says };
    let mut local = facts(healthy());
    local.servers.node_local =
        Some(NodeLocal { seen: "pod/node-local-dns-x in kube-system".to_owned(), corefile: None });
    let mut managed = facts(healthy());
    managed.servers.services_read = true;
    vec![
        case(
            "no name",
            vec![pointing("")],
            &["DNS-NO-SERVICE-NAME"],
            "web has no spec.serviceName",
        ),
        case(
            "missing",
            without("Service", "nginx").into_iter().chain([bare_other()]).collect(),
            &["DNS-SERVICE-MISSING"],
            "serviceName of web is nginx, but Service nginx does not exist",
        ),
        case(
            "another one",
            {
                let mut all = without("Service", "nginx");
                all.push(renamed.clone());
                all
            },
            &["DNS-SERVICE-MISSING", "DNS-OTHER-SERVICE"],
            "headless Service web-headless selects the pods of web",
        ),
        case(
            "not headless",
            changed(&[with(
                with(service(), "/spec/clusterIP", json!("10.96.1.1")),
                "/spec/clusterIPs",
                json!(["10.96.1.1"]),
            )]),
            &["DNS-NOT-HEADLESS"],
            "has type ClusterIP and the address 10.96.1.1",
        ),
        case(
            "alias",
            changed(&[with(
                with(service(), "/spec", json!({"type": "ExternalName"})),
                "/spec/externalName",
                json!("db.example.org"),
            )]),
            &["DNS-NOT-HEADLESS"],
            "is an ExternalName, an alias for db.example.org: no pod has a name under it",
        ),
        case(
            "selector",
            changed(&[selecting("ngnix"), slice("nginx-a", &[])]),
            &["DNS-SELECTS-NOTHING"],
            "selects app=ngnix, but the pods of web have app=nginx",
        ),
        case(
            "not ready",
            changed(&[waiting.clone(), named(unready(1, 60), 1)]),
            &["DNS-NOT-READY"],
            "web-1 is not Ready, and Service nginx serves only pods that are",
        ),
        case(
            "cannot pull",
            changed(&[waiting.clone(), named(waits_for_image(), 1)]),
            &["DNS-NOT-READY"],
            "web-1 is not Ready (web-1 is ImagePullBackOff)",
        ),
        case(
            "without an address",
            changed(&[
                slice("nginx-a", &[endpoint(2)]),
                with(pending(0), "/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
                pending(1),
            ]),
            &["DNS-NOT-RUNNING"],
            "web-0 is Terminating and web-1 is Pending, and DNS serves only running pods",
        ),
        case(
            "no pods",
            changed(&[slice("nginx-a", &[])])
                .into_iter()
                .filter(|one| one["kind"] != "Pod")
                .chain([pod_of_another_set()])
                .collect(),
            &["DNS-NOT-RUNNING"],
            "web-0 does not exist, web-1 does not exist and web-2 does not exist",
        ),
        case(
            "no replicas",
            vec![with(set(), "/spec/replicas", json!(0)), service(), slice("nginx-a", &[])],
            &["DNS-NOT-RUNNING"],
            "web has 0 replicas",
        ),
        of(
            "selects no pod",
            facts_of(
                vec![service(), slice("nginx-a", &[]), pod_of_another_set()],
                &Target::Service("nginx".to_owned()),
            ),
            &["DNS-NO-ENDPOINTS"],
            "Service nginx selects no pod of the namespace",
        ),
        case(
            "published",
            changed(&[published, named(unready(1, 60), 1)]),
            &["DNS-UNREADY-PUBLISHED"],
            "web-1 is served although not Ready",
        ),
        case(
            "old subdomain",
            changed(&[old(member(0)), old(member(1)), old(member(2))]),
            &["DNS-OLD-SUBDOMAIN"],
            "web-0, web-1 and web-2 have the subdomain former, not nginx",
        ),
        of(
            "second Service",
            second,
            &["DNS-NO-POD-NAMES"],
            "under Service nginx: use web-0.nginx, not web-0.web-headless",
        ),
        case(
            "unnamed port",
            changed(&[with(service(), "/spec/ports", json!([{"port": 80, "protocol": "TCP"}]))]),
            &["DNS-PORT-UNNAMED"],
            "port 80 of Service nginx has no name, so it has no SRV record",
        ),
        case(
            "unknown target",
            changed(&[
                with(service(), "/spec/ports/0/targetPort", json!("peer")),
                with(
                    slice("nginx-a", &[endpoint(0), endpoint(1), endpoint(2)]),
                    "/ports",
                    json!([]),
                ),
            ]),
            &["DNS-TARGET-PORT"],
            "port web of Service nginx leads to the TCP port named peer, which no container of the \
             pods of web has",
        ),
        case(
            "family",
            changed(&[with(service(), "/spec/ipFamilies", json!(["IPv6"])), slice("nginx-a", &[])]),
            &["DNS-FAMILY"],
            "is IPv6 only, but web-0, web-1 and web-2 have no such address",
        ),
        case(
            "host network",
            vec![template("hostNetwork", json!(true)), service()],
            &["DNS-HOST-NETWORK"],
            "run on the host network with dnsPolicy ClusterFirst",
        ),
        case(
            "default policy",
            vec![template("dnsPolicy", json!("Default")), service()],
            &["DNS-HOST-NETWORK"],
            "run with dnsPolicy Default",
        ),
        case(
            "addresses of nodes",
            changed(&[0, 1, 2].map(|ordinal| {
                let pod = with(member(ordinal), "/spec/hostNetwork", json!(true));
                with(pod, "/spec/dnsPolicy", json!("ClusterFirstWithHostNet"))
            })),
            &["DNS-NODE-ADDRESS"],
            "their names under nginx give the node's address",
        ),
        of(
            "stranger",
            stranger(),
            &["DNS-STRANGER"],
            "j-x is not a pod of web, but it is an endpoint",
        ),
        of("namespaces", corefile("namespaces a b"), &["DNS-FILTERED"], "only a, b, not default"),
        of("labels", corefile("labels tier=x"), &["DNS-FILTERED"], "(labels) requires tier=x"),
        of("noendpoints", corefile("noendpoints"), &["DNS-FILTERED"], "sets noendpoints"),
        of("good labels", corefile("labels app in (nginx, db)"), &[], ""),
        case(
            "old address",
            changed(&[moved]),
            &["DNS-OLD-ADDRESS"],
            "has 10.244.0.99 for web-1, whose address is now 10.244.0.11",
        ),
        Case {
            name: "beyond",
            facts: facts(healthy()),
            options: RowOptions { ordinal: Some(5), ..RowOptions::default() },
            ids: &["DNS-NO-ORDINAL"],
            says: "web has ordinals 0 to 2 (replicas 3), so web-5 does not exist",
        },
        case(
            "no slices",
            changed(&[slice("nginx-a", &[endpoint(0)])]),
            &["DNS-NOT-IN-SLICES"],
            "web-1 and web-2 are Ready and selected by Service nginx, but in none",
        ),
        case(
            "no selector",
            changed(&[bare, slice("nginx-a", &[])]),
            &["DNS-SELECTS-NOTHING", "DNS-NO-ENDPOINTS"],
            "no selector",
        ),
        of("external", external, &["DNS-EXTERNAL-ADDRESS"], "is the address 192.0.2.1"),
        of("node local", local, &["DNS-NODE-LOCAL"], "NodeLocal DNSCache runs on the nodes"),
        of("managed", managed, &["DNS-NO-SERVERS"], "there is no Service kube-dns"),
    ]
}

fn bare_other() -> Json {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "unrelated", "namespace": "default"},
        "spec": {"clusterIP": "10.96.3.3"}})
}

/// A pod of the set that cannot pull its image: it has an address.
fn waits_for_image() -> Json {
    with(
        unready(1, 60),
        "/status/containerStatuses/0/state",
        json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
    )
}

/// A pod of the set that waits for a node.
fn pending(ordinal: u32) -> Json {
    let pod = with(unready(ordinal, 60), "/status", json!({"phase": "Pending"}));
    let pod = with(pod, "/spec/hostname", json!(format!("web-{ordinal}")));
    with(pod, "/spec/subdomain", json!("nginx"))
}

fn pod_of_another_set() -> Json {
    let other = with(pod(0), "/metadata/labels", json!({"app": "db"}));
    with(other, "/metadata/name", json!("db-0"))
}

/// The pod of a Job.
fn foreign(pod: Json) -> Json {
    let owner = json!([{"kind": "Job", "name": "j", "uid": "job-1", "controller": true}]);
    with(pod, "/metadata/ownerReferences", owner)
}

/// One that has the labels of the set, and is an endpoint.
fn stranger() -> Facts {
    let pod = with(foreign(member(7)), "/metadata/name", json!("j-x"));
    let pod = with(pod, "/spec", json!({}));
    let mut its = endpoint(7);
    its["targetRef"]["name"] = json!("j-x");
    its.as_object_mut().expect("fields").remove("hostname");
    let all: Vec<Json> = (0..3).map(endpoint).chain([its]).collect();
    facts(changed(&[pod, slice("nginx-a", &all)]))
}

/// The rules about answers need answers; the others have a case above.
const OF_ANSWERS: [&str; 11] = [
    "DNS-SERVERS-UNREAD",
    "DNS-NO-RECORD",
    "DNS-SKEW",
    "DNS-DENIED",
    "DNS-UNEXPECTED",
    "DNS-SERVER-SILENT",
    "DNS-NOT-FORWARDED",
    "DNS-SHORT-NAME",
    "DNS-FROM-NAMESPACE",
    "DNS-WRONG-DOMAIN",
    "DNS-DENIALS-CACHED",
];

#[test]
fn each_rule_finds_its_case_and_nothing_else() {
    let mut seen = BTreeSet::new();
    for Case { name, facts, options, ids: wanted, says } in cases() {
        let found = findings(&facts, &options);
        assert_eq!(ids(&found), wanted, "{name}: {found:#?}");
        let said = found.iter().any(|finding| finding.message.contains(says));
        assert!(said || wanted.is_empty(), "{name}: {found:#?}");
        seen.extend(wanted.iter().copied());
    }
    seen.extend(OF_ANSWERS);
    for rule in rules::all() {
        assert!(seen.contains(rule.id), "{} has no case", rule.id);
    }
}

#[test]
fn what_a_cache_remembers_is_said_with_its_seconds() {
    let mut known = corefile("ttl 30");
    let text = known.servers.corefiles[0].text.replace(".:53 {\n", ".:53 {\n cache 20\n");
    known.servers.corefiles[0].text = text;
    let found = findings(&known, &RowOptions::default());
    assert_eq!(ids(&found), ["DNS-DENIALS-CACHED"]);
    assert_eq!(found[0].hint, None, "nobody edits kube-system for 20 s");
    assert!(found[0].message.contains("for up to 20 s on each server"), "{found:#?}");
    assert_eq!(found[0].severity, Severity::Note);
    let flag = Domain { name: "other.local".to_owned(), source: DomainSource::Flag };
    let zone = Zone { domain: "other.local".to_owned(), ..zone() };
    let found = explain(&known, &zone, &flag, &RowOptions::default());
    assert_eq!(ids(&found), ["DNS-WRONG-DOMAIN"]);
}

fn reply(values: &[&str], denied_for: Option<u32>) -> Outcome {
    let code = if values.is_empty() { Code::NxDomain } else { Code::NoError };
    let values: Vec<Value> =
        values.iter().map(|text| Value::Address(text.parse().expect("an address"))).collect();
    let weights = vec![None; values.len()];
    Outcome::Reply(Reply { code, values, weights, ttl: Some(5), denied_for })
}

#[test]
fn answers_that_differ_are_said_with_who_gave_them() {
    let service = "nginx.default.svc.cluster.local";
    let row = || {
        let options =
            RowOptions { ordinal: Some(1), kinds: vec![Kind::A], ..RowOptions::default() };
        rows(&facts(healthy()), &zone(), &options).remove(0)
    };
    let asked = |name: &str| Responder {
        name: name.to_owned(),
        namespace: "kube-system".to_owned(),
        port: Some(53),
        error: None,
        streams: 1,
        means: None,
    };
    let both = [asked("coredns-a"), asked("coredns-b")];
    let said = |one: Outcome, other: Outcome| {
        let judged = vec![JudgedRow::new(row(), vec![one, other], service)];
        let found = answer_findings(&judged, &both, &zone(), service, "again");
        assert!(found.len() <= 1, "{found:#?}");
        found.into_iter().next().map(|finding| (finding.id, finding.message))
    };
    let good = || reply(&["10.244.0.11"], None);
    assert_eq!(said(good(), good()), None);
    let (id, message) = said(good(), reply(&[], Some(27))).expect("a finding");
    assert_eq!(id, "DNS-SKEW");
    assert_eq!(
        message,
        "coredns-b differs from the API: web-1.nginx A is NXDOMAIN, valid for 27 s more"
    );
    let (id, message) = said(reply(&[], Some(3)), reply(&[], Some(27))).expect("a finding");
    assert_eq!(id, "DNS-DENIED");
    assert!(message.contains("web-1.nginx A is NXDOMAIN, valid for 3 s more"), "{message}");
    let old = || reply(&["10.244.0.99"], None);
    let (id, message) = said(old(), old()).expect("a finding");
    assert_eq!(id, "DNS-OLD-ADDRESS");
    assert!(message.contains("10.244.0.99, but the API has 10.244.0.11"), "{message}");
    let more = || reply(&["10.244.0.11", "10.244.0.99"], None);
    assert_eq!(said(more(), more()).expect("a finding").0, "DNS-UNEXPECTED");
    let failed = Outcome::Failed("no answer within 5000 ms".to_owned());
    let (id, message) = said(good(), failed).expect("a finding");
    assert_eq!(id, "DNS-SERVER-SILENT");
    assert!(
        message.contains("coredns-b gave no usable answer to web-1.nginx A: no answer"),
        "{message}"
    );
    // Where it is not known what is right, nobody differs from it.
    let unread = Row { expected: Expected::Unknown, ..row() };
    let judged = vec![JudgedRow::new(unread, vec![good(), reply(&[], Some(9))], service)];
    let found = answer_findings(&judged, &both, &zone(), service, "again");
    assert_eq!(ids(&found), ["DNS-SKEW"]);
    assert_eq!(found[0].object, "service/nginx");
    assert_eq!(
        found[0].message,
        "the servers do not agree, and what is right could not be read: web-1.nginx A is \
         10.244.0.11 from coredns-a, NXDOMAIN, valid for 9 s more from coredns-b"
    );
    assert_eq!(found[0].hint, None);
}

/// A picture of `web`, its rows answered by one server.
fn picture(facts: &Facts, answers: impl Fn(&Row) -> Outcome) -> Picture {
    let service = "nginx.default.svc.cluster.local";
    let rows = rows(facts, &zone(), &RowOptions::default());
    let judged = rows.into_iter().map(|row| {
        let outcome = answers(&row);
        JudgedRow::new(row, vec![outcome], service)
    });
    Picture {
        facts: facts.clone(),
        domain: domain(),
        zone: zone(),
        rows: judged.collect(),
        asked: vec![Responder {
            name: "coredns-a".to_owned(),
            namespace: "kube-system".to_owned(),
            port: Some(53),
            error: None,
            streams: 1,
            means: None,
        }],
        inside: None,
        paths: Vec::new(),
        findings: Vec::new(),
        unread: facts.unread.clone(),
        cannot_ask: false,
        now: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// The answer that the API expects.
fn right(row: &Row) -> Outcome {
    let values = match &row.expected {
        Expected::Records(wanted) => wanted.iter().map(|one| one.value.clone()).collect(),
        _ => Vec::new(),
    };
    let code = if values.is_empty() { Code::NxDomain } else { Code::NoError };
    let weights = vec![None; values.len()];
    Outcome::Reply(Reply { code, values, weights, ttl: Some(5), denied_for: None })
}

/// `--wait` ends with 0 only after answers: an empty question has no answer.
#[test]
fn all_is_ok_only_where_somebody_was_asked_and_answered() {
    let known = facts(healthy());
    assert!(picture(&known, right).is_all_ok());
    let refused = Picture { cannot_ask: true, ..picture(&known, right) };
    assert!(!refused.is_all_ok() && refused.is_hopeless());
    let nothing = Picture { rows: Vec::new(), ..picture(&known, right) };
    assert!(!nothing.is_all_ok() && !nothing.is_hopeless());
    let failed = |row: &Row| match row.kind {
        Kind::Srv => Outcome::Failed("no answer".to_owned()),
        _ => right(row),
    };
    assert!(!picture(&known, failed).is_all_ok(), "one question has no answer");
    let mut silent = picture(&known, |_| Outcome::NotAsked);
    assert!(silent.is_all_ok(), "the records are known");
    silent.asked[0].error = Some("it has ended".to_owned());
    assert!(!silent.is_all_ok());
    let nameless = facts(vec![with(set(), "/spec/serviceName", json!(""))]);
    assert!(picture(&nameless, right).is_hopeless(), "serviceName cannot be changed");
    // What may not be read will not be known a minute later either.
    let unread = facts(without("EndpointSlice", ""));
    let unread = picture(&unread, |_| Outcome::NotAsked);
    assert!(!unread.is_all_ok() && unread.is_hopeless());
}

/// The column counts who agrees, also that there is nothing.
#[test]
fn servers_that_deny_what_does_not_exist_agree() {
    let mut waiting = endpoint(1);
    waiting["conditions"]["ready"] = json!(false);
    let known = facts(changed(&[
        slice("nginx-a", &[endpoint(0), waiting, endpoint(2)]),
        named(unready(1, 60), 1),
    ]));
    let options = ListOptions::default();
    let look = Look::plain(jiff::Timestamp::UNIX_EPOCH);
    let shown = render(&picture(&known, right), Exit::Found, &options, look).expect("a table");
    let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).expect("a row");
    assert!(line("NAME ").contains("AGREE"), "{shown}");
    assert!(line("web-1.nginx ").contains("1 of 1"), "{shown}");
    // More than was expected is no agreement.
    let more = |row: &Row| match right(row) {
        Outcome::Reply(mut reply) if row.kind == Kind::A => {
            reply.values.push(Value::Address("10.9.9.9".parse().expect("an address")));
            reply.weights.push(None);
            Outcome::Reply(reply)
        }
        other => other,
    };
    let shown = render(&picture(&known, more), Exit::Found, &options, look).expect("a table");
    let line = shown.lines().find(|line| line.starts_with("web-0.nginx ")).expect("a row");
    assert!(line.contains("0 of 1"), "{shown}");
}

/// Rows that are longer than a terminal would be broken within a word.
#[test]
fn rows_fit_on_a_terminal() {
    let known = facts(healthy());
    let options = ListOptions::default();
    for columns in [100, 80, 60, 40] {
        let look = Look { columns, ..Look::plain(jiff::Timestamp::UNIX_EPOCH) };
        let shown = render(&picture(&known, right), Exit::Done, &options, look).expect("a table");
        let rows = shown.lines().skip_while(|line| !line.starts_with("NAME "));
        let too_long = rows.filter(|line| line.chars().count() > columns.max(44));
        assert_eq!(too_long.count(), 0, "{columns}\n{shown}");
        assert!(shown.contains("VERDICT"), "{columns}\n{shown}");
    }
}

/// A Service promises names of the pods of the set that it governs, and of no
/// other's.
#[test]
fn an_ordinary_service_promises_no_names_of_pods() {
    let ordinary = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "front", "namespace": "default"},
        "spec": {
            "type": "ClusterIP", "clusterIP": "10.96.5.5", "clusterIPs": ["10.96.5.5"],
            "ipFamilies": ["IPv4"], "selector": {"app": "nginx"},
            "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
        },
    });
    let mut own = slice("front-a", &[endpoint(0), endpoint(1), endpoint(2)]);
    own["metadata"]["labels"]["kubernetes.io/service-name"] = json!("front");
    for endpoint in own["endpoints"].as_array_mut().expect("endpoints") {
        endpoint.as_object_mut().expect("fields").remove("hostname");
    }
    let mut all = healthy();
    all.extend([ordinary, own]);
    let known = facts_of(all.clone(), &Target::Service("front".to_owned()));
    assert_eq!(
        lines(&known),
        ["front A 10.96.5.5", "_web._tcp.front SRV front:80", "10.96.5.5 PTR front"]
    );
    let (stdout, stderr, code) = offline(&all, &["svc/front"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(!stdout.contains("web-0"), "{stdout}");
}

/// A line to paste stands there as it was made: blanks too.
#[test]
fn a_line_to_paste_keeps_its_blanks() {
    let mut all = without("Service", "nginx");
    let mut renamed = service();
    renamed["metadata"]["name"] = json!("web-headless");
    all.push(renamed);
    let (stdout, _, _) = offline(&all, &["explain", "web"]);
    let line = stdout.lines().find(|line| line.contains(" sed ")).expect("the line");
    assert!(line.contains("sed 's/^  name: web-headless$/  name: nginx/'"), "{line}");
}

/// Each hint is where the cause is looked for, not the first that comes to mind.
#[test]
fn hints_lead_to_the_cause() {
    let hint = |objects: Vec<Json>, options: &RowOptions, id: &str| {
        let found = findings(&facts(objects), options);
        let found = found.into_iter().find(|finding| finding.id == id);
        found.expect("the finding").hint.expect("a hint")
    };
    let waiting = {
        let mut one = endpoint(1);
        one["conditions"]["ready"] = json!(false);
        slice("nginx-a", &[endpoint(0), one, endpoint(2)])
    };
    let all = RowOptions::default();
    let broken = changed(&[waiting.clone(), named(waits_for_image(), 1)]);
    assert_eq!(hint(broken, &all, "DNS-NOT-READY"), "kubectl stateful status web -n default");
    let waits = changed(&[waiting, named(unready(1, 60), 1)]);
    assert!(hint(waits, &all, "DNS-NOT-READY").starts_with("kubectl patch service nginx "));
    let beyond = RowOptions { ordinal: Some(7), ..RowOptions::default() };
    assert_eq!(
        hint(healthy(), &beyond, "DNS-NO-ORDINAL"),
        "kubectl stateful scale web --replicas 8 -n default"
    );
}

pub fn offline(objects: &[Json], words: &[&str]) -> (String, String, Option<i32>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dump.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    fs::write(&path, list.to_string()).expect("a file");
    let path = path.to_str().expect("a name");
    run(&[&["dns"], words, &["-f", path]].concat(), "")
}

#[test]
fn lists_for_other_programs() {
    let said = |words: &[&str]| offline(&healthy(), words).0;
    let name = |n: u32| format!("web-{n}.nginx.default.svc.cluster.local");
    assert_eq!(said(&["web", "-o", "name"]), format!("{}\n{}\n{}\n", name(0), name(1), name(2)));
    assert_eq!(said(&["web/1", "-o", "name"]), format!("{}\n", name(1)));
    // Also of those to come, without a cluster, in another domain.
    let five = said(&["web", "-o", "name", "--replicas", "5", "--cluster-domain", "My.Zone."]);
    assert_eq!(five.lines().count(), 5);
    assert!(five.ends_with("web-4.nginx.default.svc.my.zone\n"), "{five}");
    assert_eq!(
        said(&["web", "-o", "srv-list"]),
        format!("{}:8080,{}:8080,{}:8080\n", name(0), name(1), name(2))
    );
    assert_eq!(
        said(&[
            "web",
            "-o",
            "srv-list",
            "--format",
            "{pod}={ip}:{port}/{ordinal}",
            "--port",
            "2380"
        ]),
        "web-0=10.244.0.10:2380/0,web-1=10.244.0.11:2380/1,web-2=10.244.0.12:2380/2\n"
    );
    let hosts = said(&["web", "-o", "hosts"]);
    let wanted = format!("10.244.0.11 {} web-1.nginx.default web-1.nginx\n", name(1));
    assert!(hosts.contains(&wanted), "{hosts}");
    let dig = said(&["web", "-o", "dig"]);
    assert!(dig.contains(&format!("{}.\t\tIN\tA\t10.244.0.10\n", name(0))), "{dig}");
    let (stdout, stderr, code) = offline(&healthy(), &["web", "-o", "srv-list", "--port", "x"]);
    assert_eq!((stdout.as_str(), code), ("", Some(2)));
    assert!(stderr.contains("no port named x\nhint: choose one with --port: web"), "{stderr}");
}

#[test]
fn manifests_alone_have_names() {
    let mut manifest = set();
    manifest["metadata"].as_object_mut().expect("fields").remove("uid");
    let (stdout, stderr, code) = offline(&[manifest, service()], &["web", "-o", "name"]);
    assert_eq!((stdout.lines().count(), code), (3, Some(0)), "{stderr}");
    assert!(stderr.contains("assumed to be cluster.local"), "{stderr}");
}

#[test]
fn answers_and_exit_codes_from_files() {
    let code = |objects: &[Json], words: &[&str]| offline(objects, words).2;
    assert_eq!(code(&healthy(), &["web"]), Some(0));
    assert_eq!(code(&healthy(), &["explain", "web"]), Some(0));
    assert_eq!(code(&healthy(), &["web/7"]), Some(3));
    assert_eq!(code(&without("EndpointSlice", ""), &["web"]), Some(8));
    assert_eq!(code(&without("EndpointSlice", ""), &["explain", "web"]), Some(8));
    let mut no_service = without("Service", "");
    no_service.push(bare_other());
    assert_eq!(code(&no_service, &["web"]), Some(3));
    assert_eq!(code(&no_service, &["explain", "web"]), Some(3));
    assert_eq!(code(&healthy(), &["db"]), Some(1));
    assert_eq!(code(&healthy(), &["svc/db"]), Some(1));
    assert_eq!(code(&healthy(), &["svc/nginx/1"]), Some(2));
    assert_eq!(code(&healthy(), &["web", "--via", "coredns"]), Some(2));
    assert_eq!(code(&healthy(), &["web", "--wait", "5s"]), Some(2));
    assert_eq!(code(&healthy(), &["web", "--format", "{host}"]), Some(2));
    // What is not known cannot be filled in.
    let format = |text: &str| offline(&healthy(), &["web", "-o", "srv-list", "--format", text]);
    let (stdout, stderr, exit) = format("{nope}");
    assert_eq!((stdout.as_str(), exit), ("", Some(2)), "{stderr}");
    assert!(stderr.contains("{nope} is not known"), "{stderr}");
    assert!(format("{\"h\":\"{host}\"}").0.starts_with("{\"h\":\"web-0.nginx."));
    assert_eq!(code(&healthy(), &["web", "-o", "name", "--format", "{host}"]), Some(2));
    // There is no such record, and so nothing was found right.
    let (stdout, _, exit) = offline(&healthy(), &["web", "--type", "cname"]);
    assert_eq!(exit, Some(3), "{stdout}");
    assert!(stdout.contains("DNS-NO-RECORD") && stdout.contains("there are A, PTR and SRV"));
}

#[test]
fn nothing_wrong_names_what_was_read() {
    let explained = |objects: &[Json]| offline(objects, &["explain", "web"]);
    let (stdout, _, code) = explained(&healthy());
    assert_eq!(code, Some(0), "{stdout}");
    let said = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains(
            "No problem was found with the names: Service nginx, 1 EndpointSlice and 3 pods were \
             read, and no DNS server was asked."
        ),
        "{stdout}"
    );
    // One kind of which there are several is many.
    let (stdout, ..) = explained(&without("Service", ""));
    assert!(!stdout.contains("3 pods was read"), "{stdout}");
    // A manifest alone does not say whether there is a Service.
    let mut manifest = set();
    manifest["metadata"].as_object_mut().expect("fields").remove("uid");
    let (stdout, _, code) = explained(std::slice::from_ref(&manifest));
    assert_eq!(code, Some(8), "{stdout}");
    assert!(stdout.contains("services could not be read: the input has no Service"), "{stdout}");
    // Its pods' names follow from it alone all the same.
    let (stdout, _, code) = offline(&[manifest], &["web", "-o", "name"]);
    assert_eq!((stdout.lines().count(), code), (3, Some(0)));
}

/// Connection flags may stand anywhere; what `explain` does not see is refused.
#[test]
fn explain_is_understood_wherever_the_namespace_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dump.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": healthy()});
    fs::write(&path, list.to_string()).expect("a file");
    let path = path.to_str().expect("a name");
    let (stdout, stderr, code) = run(&["dns", "-n", "default", "explain", "web", "-f", path], "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("No problem was found"), "{stdout}");
    for words in
        [&["dns", "--watch", "explain", "web"][..], &["dns", "-o", "json", "explain", "web"]]
    {
        let (stdout, stderr, code) = run(words, "");
        assert_eq!(
            (stdout.is_empty() || stdout.starts_with('{'), code),
            (true, Some(2)),
            "{stdout}"
        );
        assert!(stderr.contains(" stands before explain"), "{stderr}");
    }
}

#[test]
fn the_documents_hold_to_their_schemas() {
    for (words, name) in
        [(&["web"][..], "dns-v1"), (&["explain", "web"], "dns-explain-v1"), (&["web/9"], "dns-v1")]
    {
        let words = [words, &["-o", "json", "--from-ns", "shop"]].concat();
        let (stdout, stderr, _) = offline(&healthy(), &words);
        let document: Json = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
        let path = format!("{}/docs/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let schema = fs::read_to_string(path).expect("a schema");
        let schema: Json = serde_json::from_str(&schema).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, [] as [&str; 0], "{stdout}");
    }
}

#[test]
fn tables_read_so() {
    let mut waiting = endpoint(1);
    waiting["conditions"]["ready"] = json!(false);
    let broken = changed(&[
        slice("nginx-a", &[endpoint(0), waiting, endpoint(2)]),
        named(unready(1, 60), 1),
    ]);
    let shown = |objects: &[Json], words: &[&str]| {
        let (stdout, stderr, code) = offline(objects, words);
        let code = code.expect("an end");
        format!("$ dns {}\n{stdout}{stderr}[exit {code}]\n\n", words.join(" "))
    };
    let seen = [
        shown(&healthy(), &["web"]),
        shown(&broken, &["web"]),
        shown(&broken, &["explain", "web", "--from-ns", "shop"]),
        shown(&healthy(), &["web", "-o", "wide", "--type", "a,srv"]),
    ];
    insta::assert_snapshot!(seen.concat());
}

proptest! {
    /// Every address of a ready endpoint is served, under its hostname and the
    /// Service's, and nothing else is.
    #[test]
    fn what_is_expected_is_what_the_slices_have(
        ready in proptest::collection::vec((any::<bool>(), any::<bool>(), 1_u8..250), 0..12),
        cut in 0_usize..12,
    ) {
        let endpoints: Vec<Json> = ready
            .iter()
            .enumerate()
            .map(|(ordinal, (ready, named, last))| {
                let mut one = endpoint(u32::try_from(ordinal).expect("small"));
                one["addresses"] = json!([format!("10.1.{ordinal}.{last}")]);
                one["conditions"]["ready"] = json!(ready);
                if !named {
                    one.as_object_mut().expect("fields").remove("hostname");
                }
                one
            })
            .collect();
        let (one, other) = endpoints.split_at(cut.min(endpoints.len()));
        let known = facts(changed(&[slice("nginx-a", one), slice("nginx-b", other)]));
        let found = rows(&known, &zone(), &RowOptions::default());
        let values = |name: &str, kind: Kind| -> BTreeSet<String> {
            let mut of_name = found.iter().filter(|row| row.name == name && row.kind == kind);
            match of_name.next().map(|row| &row.expected) {
                Some(Expected::Records(all)) => {
                    all.iter().map(|one| one.value.to_string()).collect()
                }
                _ => BTreeSet::new(),
            }
        };
        let of = |ordinal: usize, last: u8| format!("10.1.{ordinal}.{last}");
        let all: BTreeSet<String> = ready
            .iter()
            .enumerate()
            .filter(|(_, (ready, _, _))| *ready)
            .map(|(ordinal, (_, _, last))| of(ordinal, *last))
            .collect();
        prop_assert_eq!(values(&zone().service("nginx"), Kind::A), all.clone());
        for (ordinal, (ready, named, last)) in ready.iter().enumerate() {
            let name = zone().host(&format!("web-{ordinal}"), "nginx");
            let wanted: BTreeSet<String> =
                (*ready && *named).then(|| of(ordinal, *last)).into_iter().collect();
            prop_assert_eq!(values(&name, Kind::A), wanted);
        }
        let reverse = found.iter().filter(|row| row.kind == Kind::Ptr).count();
        prop_assert_eq!(reverse, all.len());
        let srv = values(&format!("_web._tcp.{}", zone().service("nginx")), Kind::Srv);
        prop_assert_eq!(srv.len(), all.len());
    }

    #[test]
    fn an_address_and_its_reverse_name_are_one(bytes in any::<u128>(), six in any::<bool>()) {
        let address: std::net::IpAddr = if six {
            std::net::Ipv6Addr::from(bytes).into()
        } else {
            std::net::Ipv4Addr::from(u32::try_from(bytes & 0xffff_ffff).expect("cut")).into()
        };
        prop_assert_eq!(reversed(&reverse_name(address)), Some(address));
    }
}

#[test]
fn a_foreign_pod_with_the_name_of_an_ordinal_is_not_the_sets() {
    let foreign = with(member(1), "/metadata/labels", json!({"app": "other"}));
    let mut objects = changed(&[foreign, slice("nginx-a", &[endpoint(0), endpoint(2)])]);
    for words in [&["web"][..], &["explain", "web"]] {
        let (stdout, stderr, _) = offline(&objects, words);
        let said = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = "the pod web-1 is not of web, whose own pod cannot be created";
        assert!(said.contains(wanted), "{stdout}{stderr}");
        assert!(!said.contains("does not exist"), "{stdout}");
    }
    // Where there is none, it is said so.
    objects.retain(|one| one["metadata"]["name"] != "web-1");
    let (stdout, ..) = offline(&objects, &["explain", "web"]);
    assert!(stdout.contains("web-1 does not exist"), "{stdout}");
}

/// Labels make a pod an endpoint, and its owner makes it a pod of the set.
#[test]
fn a_pod_of_somebody_else_with_the_labels_is_told_apart() {
    // It need not have all labels of the set: the Service may select fewer.
    let with_labels_of_its_own = Facts { strangers: Vec::new(), ..stranger() };
    let found = findings(&with_labels_of_its_own, &RowOptions::default());
    assert_eq!(ids(&found), ["DNS-STRANGER"], "{found:#?}");
    // Another set behind the Service has names of its own, and would lose them with a
    // selector for this set.
    let mut its = endpoint(0);
    its["targetRef"]["name"] = json!("other-0");
    its["hostname"] = json!("other-0");
    let selects = with(service(), "/spec/selector", json!({"app": "other"}));
    let shared = facts(changed(&[selects, slice("nginx-a", &[its])]));
    let found = findings(&shared, &RowOptions::default());
    assert_eq!(ids(&found), ["DNS-SELECTS-NOTHING"], "{found:#?}");
    assert!(found[0].message.contains("web needs a Service of its own"), "{found:#?}");
    assert!(!found[0].hint.as_deref().expect("a line").contains("set selector"), "{found:#?}");
    // Nobody is told to delete it, which has no subdomain.
    assert_eq!(stranger().pods.map(|pods| pods.len()), Some(3));
    // With the name of an ordinal it is not that ordinal's pod.
    let known = facts(changed(&[foreign(member(1))]));
    let found = findings(&known, &RowOptions::default());
    assert_eq!(ids(&found), ["DNS-NOT-RUNNING", "DNS-STRANGER"], "{found:#?}");
    assert!(found[0].message.contains("the pod web-1 is not of web"), "{found:#?}");
}

#[test]
fn ports_that_could_not_be_read_are_no_mistake_in_the_command() {
    let objects = without("Service", "");
    let (stdout, stderr, code) = offline(&objects, &["web", "-o", "srv-list"]);
    assert_eq!((stdout.as_str(), code), ("", Some(8)), "{stderr}");
    assert!(stderr.contains("the ports of Service nginx could not be read"), "{stderr}");
    let (stdout, stderr, code) = offline(&objects, &["web", "-o", "srv-list", "--port", "5432"]);
    assert!(stdout.contains("web-0.nginx.default.svc.cluster.local:5432"), "{stderr}");
    assert_eq!(code, Some(8));
}
