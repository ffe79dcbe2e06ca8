//! `dns explain` on a real control plane: each thing that goes wrong with
//! names is made real and found, and what is printed mends it.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use super::support::{Namespace, TestCluster, follow, hint_of, ids, wait_for, web};

const SOON: Duration = Duration::from_secs(60);

/// `dns explain NAME -o json`, whatever it finds.
fn explained(namespace: &Namespace, name: &str) -> Value {
    let output = namespace.stateful(["dns", "explain", name, "-o", "json"]).output();
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output}"))
}

/// The findings that are no notes.
fn heavy(document: &Value) -> Vec<&str> {
    let reasons = document["reasons"].as_array().expect("reasons");
    let heavy = reasons.iter().filter(|reason| reason["severity"] != "note");
    heavy.map(|reason| reason["id"].as_str().expect("an id")).collect()
}

fn until(namespace: &Namespace, name: &str, wanted: &[&str]) -> Value {
    let mut last = Value::Null;
    wait_for(SOON, &format!("{wanted:?}"), || {
        last = explained(namespace, name);
        (heavy(&last) == wanted).then(|| last.clone())
    })
}

/// All rows are names that should be served; so it says with exit code 0.
fn is_green(namespace: &Namespace, name: &str) {
    until(namespace, name, &[]);
    let look = ["dns", name, "--via", "api", "-o", "json"];
    let document = wait_for(SOON, "every name to be expected", || {
        let output = namespace.stateful(look).output();
        (output.code() == Some(0)).then_some(output.stdout)
    });
    let document: Value = serde_json::from_str(&document).expect("JSON");
    for item in document["items"].as_array().expect("items") {
        let expected = item["expected"].as_array().expect("it was read");
        assert!(!expected.is_empty(), "{item}");
    }
}

fn named(hint: &str, replicas: u32, change: impl FnOnce(&mut Value)) -> Namespace<'static> {
    let namespace = TestCluster::shared().namespace(hint);
    namespace.apply(&web(replicas, change));
    namespace
}

/// Finds what was broken, does what is printed, and all is well.
fn mended(namespace: &Namespace, name: &str, wanted: &[&str], by: &str) {
    let document = until(namespace, name, wanted);
    follow(namespace, &hint_of(&document, by));
    is_green(namespace, name);
}

#[test]
fn a_missing_service_is_made() {
    let namespace = named("dns-missing", 2, |_| {});
    namespace.wait_until_ready("web");
    is_green(&namespace, "web");
    namespace.kubectl(["delete", "service", "nginx"]).output().success();
    mended(&namespace, "web", &["DNS-SERVICE-MISSING"], "DNS-SERVICE-MISSING");
}

#[test]
fn a_service_under_another_name_is_given_the_right_one() {
    let namespace = named("dns-other", 2, |_| {});
    namespace.wait_until_ready("web");
    let manifest = namespace.kubectl(["get", "service", "nginx", "-o", "json"]).output().success();
    let mut service: Value = serde_json::from_str(&manifest).expect("JSON");
    service["metadata"] = json!({"name": "web-headless"});
    namespace.apply(&service.to_string());
    namespace.kubectl(["delete", "service", "nginx"]).output().success();
    let both = ["DNS-SERVICE-MISSING", "DNS-OTHER-SERVICE"];
    mended(&namespace, "web", &both, "DNS-OTHER-SERVICE");
    // Under the second one there are no pods' names; the first has them.
    let document = until(&namespace, "svc/web-headless", &["DNS-NO-POD-NAMES"]);
    let hint = hint_of(&document, "DNS-NO-POD-NAMES");
    assert!(hint.starts_with("kubectl stateful dns web -o name"), "{hint}");
    let words: Vec<&str> = hint.split(' ').skip(2).collect();
    let names = namespace.cluster().stateful(words).output().expect(0);
    let suffix = format!(".nginx.{}.svc.cluster.local", namespace.name());
    assert_eq!(names.stdout, format!("web-0{suffix}\nweb-1{suffix}\n"));
}

#[test]
fn a_service_with_an_address_is_made_headless() {
    let namespace = named("dns-address", 2, |_| {});
    namespace.wait_until_ready("web");
    let manifest = namespace.kubectl(["get", "service", "nginx", "-o", "json"]).output().success();
    let mut service: Value = serde_json::from_str(&manifest).expect("JSON");
    namespace.kubectl(["delete", "service", "nginx"]).output().success();
    service["metadata"] = json!({"name": "nginx"});
    let spec = service["spec"].as_object_mut().expect("a spec");
    spec.remove("clusterIP");
    spec.remove("clusterIPs");
    spec.insert("type".to_owned(), json!("NodePort"));
    namespace.apply(&service.to_string());
    mended(&namespace, "web", &["DNS-NOT-HEADLESS"], "DNS-NOT-HEADLESS");
}

#[test]
fn a_selector_that_misses_is_corrected() {
    let namespace = named("dns-selector", 2, |_| {});
    namespace.wait_until_ready("web");
    namespace.kubectl(["set", "selector", "service", "nginx", "name=nginx"]).output().success();
    mended(&namespace, "web", &["DNS-SELECTS-NOTHING"], "DNS-SELECTS-NOTHING");
}

#[test]
fn pods_that_wait_for_each_other_are_published() {
    let namespace = named("dns-deadlock", 1, |set| {
        set["spec"]["template"]["metadata"]["annotations"] =
            json!({"stateful.test/never-ready": "true"});
    });
    let document = until(&namespace, "web", &["DNS-NOT-READY"]);
    follow(&namespace, &hint_of(&document, "DNS-NOT-READY"));
    // Now they have names, and whoever uses them is warned of that.
    until(&namespace, "web", &["DNS-UNREADY-PUBLISHED"]);
    namespace.stateful(["dns", "web", "--via", "api"]).output().expect(0);
    namespace
        .kubectl(["annotate", "pod", "web-0", "stateful.test/never-ready-"])
        .output()
        .success();
    is_green(&namespace, "web");
}

#[test]
fn pods_of_an_earlier_service_name_are_replaced() {
    let namespace = named("dns-former", 1, |_| {});
    namespace.wait_until_ready("web");
    let read = |kind: &str, name: &str| -> Value {
        let text = namespace.kubectl(["get", kind, name, "-o", "json"]).output().success();
        serde_json::from_str(&text).expect("JSON")
    };
    let (mut set, mut service) = (read("statefulset", "web"), read("service", "nginx"));
    namespace.kubectl(["delete", "sts", "web", "--cascade=orphan"]).output().success();
    service["metadata"] = json!({"name": "members"});
    set["metadata"] = json!({"name": "web"});
    set["spec"]["serviceName"] = json!("members");
    namespace.apply(&service.to_string());
    namespace.apply(&set.to_string());
    namespace.wait_until_ready("web");
    mended(&namespace, "web", &["DNS-OLD-SUBDOMAIN"], "DNS-OLD-SUBDOMAIN");
}

#[test]
fn a_port_gets_a_name() {
    let namespace = named("dns-port", 1, |_| {});
    namespace.wait_until_ready("web");
    // The port of the manifest has none, which most manifests can do without.
    let document = until(&namespace, "web", &[]);
    assert!(ids(&document).contains(&"DNS-PORT-UNNAMED"), "{document:#}");
    follow(&namespace, &hint_of(&document, "DNS-PORT-UNNAMED"));
    wait_for(SOON, "the port to have an SRV record", || {
        let output = namespace.stateful(["dns", "web", "--via", "api"]).output().expect(0);
        let found = !ids(&explained(&namespace, "web")).contains(&"DNS-PORT-UNNAMED");
        (found && output.stdout.contains("_port-80._tcp.nginx ")).then_some(())
    });
}

/// The EndpointSlice controller leaves out a port whose target no container has. So says
/// `dns`, in every form, and the printed line mends it.
#[test]
fn a_target_port_that_no_container_has_is_found_and_corrected() {
    let list: Value = serde_json::from_str(&web(2, |set| {
        set["spec"]["template"]["spec"]["containers"][0]["ports"] =
            json!([{"name": "http", "containerPort": 8080}]);
    }))
    .expect("JSON");
    let namespace = TestCluster::shared().namespace("dns-target");
    let mut list = list;
    list["items"][0]["spec"]["ports"] =
        json!([{"name": "peer", "port": 2380, "targetPort": "per"}]);
    namespace.apply(&list.to_string());
    namespace.wait_until_ready("web");
    let document = until(&namespace, "web", &["DNS-TARGET-PORT"]);
    let look = ["dns", "web", "--via", "api", "-o", "json"];
    let srv = || -> Value {
        let output = namespace.stateful(look).output();
        let all: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let items = all["items"].as_array().expect("items").clone();
        items.into_iter().find(|item| item["type"] == "SRV").expect("a row")
    };
    assert_eq!(srv()["expected"], json!([]));
    let list = ["dns", "web", "-o", "srv-list"];
    let output = namespace.stateful(list).output().expect(3);
    assert_eq!(output.stdout, "");
    follow(&namespace, &hint_of(&document, "DNS-TARGET-PORT"));
    is_green(&namespace, "web");
    // What is listed is what the records have.
    let suffix = format!(".nginx.{}.svc.cluster.local:8080", namespace.name());
    let wanted = ["web-0", "web-1"].map(|pod| format!("{pod}{suffix}"));
    assert_eq!(srv()["expected"], json!(wanted));
    let output = namespace.stateful(list).output().expect(0);
    assert_eq!(output.stdout, wanted.join(",") + "\n");
}

#[test]
fn pods_on_the_host_network_get_the_right_policy() {
    let namespace = named("dns-host", 1, |set| {
        set["spec"]["template"]["spec"]["hostNetwork"] = json!(true);
    });
    namespace.wait_until_ready("web");
    mended(&namespace, "web", &["DNS-HOST-NETWORK"], "DNS-HOST-NETWORK");
}

#[test]
fn the_hint_for_a_missing_ordinal_scales_up() {
    let namespace = named("dns-beyond", 1, |_| {});
    namespace.wait_until_ready("web");
    let document = until(&namespace, "web/2", &["DNS-NO-ORDINAL"]);
    follow(&namespace, &hint_of(&document, "DNS-NO-ORDINAL"));
    namespace.wait_until_ready("web");
    is_green(&namespace, "web/2");
}

#[test]
fn endpoints_made_by_hand_may_be_wrong_or_absent() {
    let namespace = TestCluster::shared().namespace("dns-by-hand");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ext"},
        "spec": {"clusterIP": "None", "ports": [{"name": "web", "port": 80}]}});
    namespace.apply(&service.to_string());
    until(&namespace, "svc/ext", &["DNS-NO-ENDPOINTS"]);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "ext-1", "labels": {"kubernetes.io/service-name": "ext"}},
        "ports": [{"name": "web", "port": 80}],
        "endpoints": [{"addresses": ["192.0.2.7"], "hostname": "one"}],
    });
    namespace.apply(&slice.to_string());
    is_green(&namespace, "svc/ext");
    let names = namespace.stateful(["dns", "svc/ext", "--via", "api"]).output().expect(0).stdout;
    assert!(names.contains("one.ext ") && names.contains("192.0.2.7"), "{names}");

    // An old address: somebody's slice for a pod that has another one now.
    namespace.apply(&web(1, |_| {}));
    namespace.wait_until_ready("web");
    let mut old = slice.clone();
    old["metadata"] = json!({"name": "old", "labels": {"kubernetes.io/service-name": "nginx"}});
    old["endpoints"] = json!([{"addresses": ["192.0.2.8"], "hostname": "web-0",
        "targetRef": {"kind": "Pod", "name": "web-0", "namespace": namespace.name()}}]);
    namespace.apply(&old.to_string());
    until(&namespace, "web", &["DNS-OLD-ADDRESS"]);
    namespace.kubectl(["delete", "endpointslice", "old"]).output().success();
    is_green(&namespace, "web");

    let external = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"},
        "spec": {"type": "ExternalName", "externalName": "192.0.2.9"}});
    namespace.apply(&external.to_string());
    until(&namespace, "svc/alias", &["DNS-EXTERNAL-ADDRESS"]);
    // An address belongs into a slice.
    namespace.kubectl(["delete", "service", "alias"]).output().success();
    let (mut service, mut slice) = (service, slice);
    service["metadata"] = json!({"name": "alias"});
    slice["metadata"] = json!({"name": "alias", "labels": {"kubernetes.io/service-name": "alias"}});
    namespace.apply(&service.to_string());
    namespace.apply(&slice.to_string());
    is_green(&namespace, "svc/alias");
}

/// The remedy of its page: made again with one, and the pods one by one.
#[test]
fn a_set_without_a_service_name_is_made_again() {
    let namespace = named("dns-nameless", 2, |set| {
        set["spec"].as_object_mut().expect("a spec").remove("serviceName");
    });
    namespace.wait_until_ready("web");
    until(&namespace, "web", &["DNS-NO-SERVICE-NAME"]);
    namespace.kubectl(["delete", "sts", "web", "--cascade=orphan"]).output().success();
    namespace.apply(&web(2, |_| {}));
    for pod in ["web-0", "web-1"] {
        let document = wait_for(SOON, "the pods without names", || {
            let document = explained(&namespace, "web");
            (heavy(&document) == ["DNS-OLD-SUBDOMAIN"]).then_some(document)
        });
        let hint = hint_of(&document, "DNS-OLD-SUBDOMAIN");
        assert!(hint.contains(&format!("delete pod {pod} ")), "{hint}");
        follow(&namespace, &hint);
        namespace.wait_until_ready("web");
    }
    is_green(&namespace, "web");
}

#[test]
fn an_address_family_that_no_pod_has_is_found() {
    let list: Value = serde_json::from_str(&web(1, |_| {})).expect("JSON");
    let namespace = TestCluster::shared().namespace("dns-family");
    let mut six = list;
    six["items"][0]["spec"]["ipFamilies"] = json!(["IPv6"]);
    namespace.apply(&six.to_string());
    namespace.wait_until_ready("web");
    mended(&namespace, "web", &["DNS-FAMILY"], "DNS-FAMILY");
}

/// What a pod elsewhere gets for the short form is tried step by step.
#[test]
fn short_names_mean_something_else_in_another_namespace() {
    let namespace = named("dns-short", 1, |_| {});
    namespace.wait_until_ready("web");
    let elsewhere = TestCluster::shared().namespace("dns-elsewhere");
    let from = elsewhere.name();
    let short = |severity: &str| {
        let words = ["dns", "web", "--via", "api", "--from-ns", from, "-o", "json"];
        let output = namespace.stateful(words).output();
        let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let reasons = document["reasons"].as_array().expect("reasons");
        let found = reasons.iter().find(|reason| reason["id"] == "DNS-SHORT-NAME");
        let found = found.unwrap_or_else(|| panic!("{output}"));
        assert_eq!(found["severity"], severity, "{output}");
        let message = found["message"].as_str().expect("a message");
        let better = format!("; use web-0.nginx.{}", namespace.name());
        assert!(message.ends_with(&better), "{message}");
        message.to_owned()
    };
    assert!(short("note").contains("web-0.nginx does not lead here"));
    // There is a Service of that name: the answer would be somebody else's.
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nginx"},
        "spec": {"clusterIP": "None", "selector": {"app": "other"}}});
    elsewhere.apply(&service.to_string());
    assert!(short("warning").contains("may lead to another Service of that name"));
    // The same namespace has nothing against it.
    let words = ["dns", "web", "--via", "api", "--from-ns", namespace.name(), "-o", "json"];
    let output = namespace.stateful(words).output().expect(0);
    assert!(!output.stdout.contains("DNS-SHORT-NAME"), "{output}");
}

/// Here CoreDNS is no pod: that is known and said, and the API's view stands.
#[test]
fn dns_that_does_not_run_in_pods_is_reported_and_no_failure() {
    let namespace = named("dns-managed", 1, |_| {});
    namespace.wait_until_ready("web");
    let output = namespace.stateful(["dns", "web", "-o", "json"]).output().expect(0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert!(ids(&document).contains(&"DNS-NO-SERVERS"), "{output}");
    assert_eq!(document["servers"], json!([]));
    // Asked for by name, they are missed.
    let output = namespace.stateful(["dns", "web", "--via", "coredns"]).output().expect(8);
    assert!(output.stdout.contains("DNS servers could not be read"), "{output}");
}

/// Who may read one namespace only still sees what its API says.
#[test]
fn rights_to_one_namespace_are_enough_for_its_names() {
    let namespace = named("dns-rights", 1, |_| {});
    namespace.wait_until_ready("web");
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
    ]);
    let user = namespace.user("member", &rules, &json!([]));
    let output = namespace.stateful(["dns", "web"]).kubeconfig(&user).output().expect(0);
    assert!(output.stdout.contains("DNS-NOT-FORWARDED"), "{output}");
    assert!(output.stdout.contains("assumed: no source names it"), "{output}");
    // The right that is missing is the one that was refused.
    let hint = "kubectl auth can-i list services -n kube-system";
    assert!(output.stdout.contains(&format!("→ {hint}\n")), "{output}");
    // What the servers keep back is not known then, and that is said.
    let output = namespace.stateful(["dns", "explain", "web"]).kubeconfig(&user).output().expect(0);
    assert!(output.stdout.contains("DNS-SERVERS-UNREAD"), "{output}");
    assert!(output.stdout.contains(&format!("→ {hint}\n")), "{output}");
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get"]},
    ]);
    let user = namespace.user("stranger", &rules, &json!([]));
    let output = namespace.stateful(["dns", "web"]).kubeconfig(&user).output().expect(8);
    for resource in ["services", "endpointslices.discovery.k8s.io", "pods"] {
        assert!(output.stdout.contains(&format!("{resource} could not be read")), "{output}");
    }
}

/// A list has room for names only, so what could not be read is said on stderr.
#[test]
fn a_list_says_what_could_not_be_read() {
    let namespace = named("dns-lists", 1, |_| {});
    namespace.wait_until_ready("web");
    is_green(&namespace, "web");
    let rules = |resources: &[&str]| {
        json!([
            {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list"]},
            {"apiGroups": ["", "discovery.k8s.io"], "resources": resources,
                "verbs": ["get", "list", "watch"]},
        ])
    };
    let podless = namespace.user("podless", &rules(&["services", "endpointslices"]), &json!([]));
    let sliceless = namespace.user("sliceless", &rules(&["services", "pods"]), &json!([]));
    for (user, unread) in [(&podless, "pods"), (&sliceless, "endpointslices.discovery.k8s.io")] {
        for (format, wanted) in [("hosts", 8), ("srv-list", 8), ("dig", 8), ("name", 0)] {
            let words = ["dns", "web", "--via", "api", "-o", format];
            let output = namespace.stateful(words).kubeconfig(user).output().expect(wanted);
            let said = format!("Warning: {unread} could not be read: ");
            assert!(output.stderr.contains(&said), "{format}: {output}");
            let waits = ["dns", "web", "--via", "api", "-o", format, "--wait", "1s"];
            let output = namespace.stateful(waits).kubeconfig(user).output();
            let warnings = output.stderr.matches(" could not be read: ").count();
            assert_eq!(warnings, 1, "{format}: {output}");
        }
    }
}

/// Nobody asks from a namespace that does not exist; and who may not look is told that
/// nobody looked.
#[test]
fn a_namespace_to_ask_from_that_does_not_exist_is_said() {
    let namespace = named("dns-nowhere", 1, |_| {});
    namespace.wait_until_ready("web");
    is_green(&namespace, "web");
    let nowhere = format!("{}-nowhere", namespace.name());
    let words = ["dns", "web", "--via", "api", "--from-ns", &nowhere];
    let output = namespace.stateful(words).output().expect(0);
    let said = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = format!("warning DNS-FROM-NAMESPACE namespace {nowhere} does not exist");
    assert!(said.contains(&wanted), "{output}");
    let words = ["dns", "explain", "web", "--from-ns", &nowhere];
    namespace.stateful(words).output().expect(3);
    let elsewhere = TestCluster::shared().namespace("dns-somewhere");
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
    ]);
    let user = namespace.user("near", &rules, &json!([]));
    let words = ["dns", "web", "--via", "api", "--from-ns", elsewhere.name()];
    let output = namespace.stateful(words).output().expect(0);
    assert!(!output.stdout.contains("DNS-FROM-NAMESPACE"), "{output}");
    let output = namespace.stateful(words).kubeconfig(&user).output().expect(0);
    let said = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let wanted = format!(
        "note DNS-FROM-NAMESPACE namespace {} may not be read, so it was not checked whether it \
         exists",
        elsewhere.name()
    );
    assert!(said.contains(&wanted), "{output}");
    let hint = format!("→ kubectl auth can-i get namespaces -n {}", elsewhere.name());
    assert!(said.contains(&hint), "{output}");
}

/// The answer to what is no ordinal is the ordinals that there are.
#[test]
fn what_is_no_ordinal_is_answered_with_the_sets_ordinals() {
    let namespace = named("dns-ordinals", 2, |_| {});
    for word in ["x", "-1", "99999999999"] {
        let name = format!("web/{word}");
        let output = namespace.stateful(["dns", &name]).output().expect(2);
        let wanted = format!("\"{word}\" is not an ordinal of web, which has ordinals 0 to 1");
        assert!(output.stderr.contains(&wanted), "{output}");
    }
    let output = namespace.stateful(["dns", "no-such/x"]).output().expect(2);
    assert!(output.stderr.contains("\"no-such\" is not a kind"), "{output}");
}

/// Whoever waits for answers waits for somebody's. Where nobody can be asked, that
/// is said at once, in every format.
#[test]
fn a_wait_without_anybody_to_ask_is_incomplete() {
    let namespace = named("dns-unasked", 1, |_| {});
    namespace.wait_until_ready("web");
    is_green(&namespace, "web");
    for format in ["table", "name", "hosts", "srv-list", "json"] {
        let wait = ["dns", "web", "--wait", "60s", "-o", format];
        let output = namespace.stateful(wait).deadline(SOON).output().expect(8);
        assert!(output.took < Duration::from_secs(20), "{format}: {:?}", output.took);
    }
    // The API can be asked, and so can a list be made that nobody looks up.
    let api = ["dns", "web", "--wait", "60s", "--via", "api", "-o", "name"];
    let output = namespace.stateful(api).deadline(SOON).output().expect(0);
    assert!(output.stderr.contains("to be known to the API"), "{output}");
    namespace.stateful(["dns", "web", "-o", "name"]).output().expect(0);
    // Who may not read the slices will not see names in them either.
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
    ]);
    let user = namespace.user("blind", &rules, &json!([]));
    let wait = namespace.stateful(["dns", "web", "--wait", "60s", "--via", "api"]);
    let output = wait.kubeconfig(&user).deadline(SOON).output().expect(8);
    assert!(output.took < Duration::from_secs(20), "{:?}", output.took);
}

/// What every cluster has for people who may look and not touch.
#[test]
fn the_role_view_is_enough_for_the_names() {
    let namespace = named("dns-view", 1, |_| {});
    namespace.wait_until_ready("web");
    let user = namespace.user("viewer", &json!([]), &json!([]));
    let bind = ["create", "clusterrolebinding", namespace.name(), "--clusterrole=view"];
    let who = format!("--user=viewer-{}", namespace.name());
    namespace.kubectl(bind).args([&who]).output().success();
    let output = namespace.stateful(["dns", "web"]).kubeconfig(&user).output().expect(0);
    assert!(!output.stdout.contains("could not be read"), "{output}");
    let explain = ["dns", "explain", "web"];
    let output = namespace.stateful(explain).kubeconfig(&user).output().expect(0);
    assert!(output.stdout.contains("No problem was found"), "{output}");
}

/// Nothing is wrong with a name whose pod does not run; there is no name.
#[test]
fn a_set_without_running_pods_has_no_names() {
    let namespace = named("dns-asleep", 2, |_| {});
    namespace.wait_until_ready("web");
    is_green(&namespace, "web");
    namespace.kubectl(["scale", "sts", "web", "--replicas=0"]).output().success();
    let document = until(&namespace, "web", &["DNS-NOT-RUNNING"]);
    let hint = hint_of(&document, "DNS-NOT-RUNNING");
    assert_eq!(hint, format!("kubectl stateful status web -n {}", namespace.name()));
    follow(&namespace, &hint);
    assert_eq!(document["exitCode"], 3);
}

/// The picture first, and then a line for each change; for programs as JSON.
#[test]
fn a_watch_tells_what_changes() {
    let namespace = named("dns-watch", 1, |_| {});
    namespace.wait_until_ready("web");
    let start = |more: &[&str]| {
        let words = [&["dns", "web", "--via", "api", "--watch"], more].concat();
        namespace.stateful(words).deadline(SOON).start()
    };
    let (people, programs) = (start(&[]), start(&["-o", "jsonl"]));
    people.wait_for_stdout("the picture", |said| said.contains("web-0.nginx"));
    namespace.kubectl(["scale", "sts", "web", "--replicas=2"]).output().success();
    people.wait_for_stdout("the new name", |said| said.contains("web-1.nginx A is expected: "));
    programs.wait_for_stdout("the new name", |said| said.contains("web-1.nginx A is expected: "));
    namespace.kubectl(["scale", "sts", "web", "--replicas=1"]).output().success();
    let gone = |said: &str| said.contains("web-1.nginx A is gone");
    people.wait_for_stdout("the name to go", gone);
    programs.wait_for_stdout("the name to go", gone);
    people.signal("INT");
    programs.signal("INT");
    people.finish().expect(130);
    let output = programs.finish().expect(130);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schemas/dns-change-v1.json");
    let schema = serde_json::from_str(&fs::read_to_string(path).expect("a schema")).expect("JSON");
    let changes = output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let changes = changes.filter(|line: &Value| line["schema"] == "kubectl-stateful/dns-change/v1");
    let checked = changes.inspect(|change| {
        jsonschema::validate(&schema, change).unwrap_or_else(|why| panic!("{why}: {change}"));
    });
    assert!(checked.count() >= 2, "{output}");
}
