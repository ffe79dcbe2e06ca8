//! Names on a real node, as real CoreDNS pods answer them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    migrate::application,
    support::{Namespace, Output, TestCluster, wait_for, web},
};

const SOON: Duration = Duration::from_secs(120);

fn apply(namespace: &Namespace, name: &str) {
    // Its volumes belong to no namespace: another test has those of their own names.
    let manifest = application(name)
        .replace("html-pv-", &format!("{}-", namespace.name()))
        .replace("storageClassName: html", &format!("storageClassName: {}", namespace.name()));
    namespace.apply(&manifest);
}

fn document(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output}"))
}

fn ids(document: &Value) -> Vec<&str> {
    let reasons = document["reasons"].as_array().expect("reasons");
    reasons.iter().map(|reason| reason["id"].as_str().expect("an id")).collect()
}

/// A pod that has the tools to ask.
fn client(namespace: &Namespace) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "client", "image": "registry.test/tools:1",
                "command": ["sleep", "3600"]}],
        },
    });
    let lookup = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "busybox"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "busybox", "image": "busybox:1.36",
                "command": ["sleep", "3600"]}],
        },
    });
    namespace
        .apply(&json!({"apiVersion": "v1", "kind": "List", "items": [pod, lookup]}).to_string());
    namespace.wait("pod/client", "condition=Ready");
    namespace.wait("pod/busybox", "condition=Ready");
}

/// What nslookup inside a pod says about a name, of a server or of the pod's own.
fn nslookup(
    namespace: &Namespace,
    kind: &str,
    name: &str,
    server: Option<&str>,
) -> BTreeSet<String> {
    let kind = format!("-type={kind}");
    let mut words = vec!["exec", "busybox", "--", "nslookup", &kind, name];
    words.extend(server);
    let said = namespace.kubectl(words).output().stdout;
    let mut found = BTreeSet::new();
    let mut answers = false;
    for line in said.lines() {
        answers |= line.starts_with("Name:");
        if let Some(address) = line.strip_prefix("Address: ").filter(|_| answers) {
            found.insert(address.trim().to_owned());
        }
        // `NAME service = 0 33 80 web-0.nginx…` and `NAME name = web-0…`.
        if let Some((_, data)) = line.split_once("service = ") {
            let words: Vec<&str> = data.split_whitespace().collect();
            found.insert(format!("{}:{}", words[3].trim_end_matches('.'), words[2]));
        } else if let Some((_, name)) = line.split_once("name = ") {
            found.insert(name.trim().trim_end_matches('.').to_owned());
        }
    }
    found
}

/// Every row is ok on both servers, and nslookup in a pod says the same.
fn all_ok(namespace: &Namespace, name: &str) -> Value {
    let output = wait_for(SOON, "every name to be answered", || {
        let output = namespace.stateful(["dns", name, "-o", "json"]).output();
        (output.code() == Some(0)).then_some(output)
    });
    let found = document(&output);
    let servers = found["servers"].as_array().expect("servers");
    assert_eq!(servers.len(), 2, "{output}");
    for server in servers {
        assert_eq!((&server["streams"], &server["port"]), (&json!(1), &json!(53)), "{output}");
    }
    for item in found["items"].as_array().expect("items") {
        assert_eq!(item["class"], "ok", "{item:#}");
        assert_eq!(item["answers"].as_array().expect("answers").len(), 2);
        // Of what the server says: an address may have other Services' names too.
        let said: BTreeSet<String> = item["answers"][0]["values"]
            .as_array()
            .expect("values")
            .iter()
            .map(|value| value.as_str().expect("text").to_owned())
            .collect();
        let kind = item["type"].as_str().expect("a type").to_lowercase();
        let asked = item["name"].as_str().expect("a name");
        if kind != "cname" {
            let inside = nslookup(namespace, &kind, &format!("{asked}."), None);
            assert_eq!(inside, said, "{item:#}");
        }
    }
    found
}

#[test]
fn the_examples_are_answered_as_inside_a_pod() {
    let namespace = TestCluster::shared_node().namespace("dns-seeds");
    for name in ["seeds/web", "seeds/html", "seeds/zookeeper"] {
        apply(&namespace, name);
    }
    client(&namespace);
    for set in ["web", "html-stateful-set", "zookeeper"] {
        namespace.wait_until_ready(set);
    }
    let own = |name: &str| format!("{name}.{}.svc.cluster.local", namespace.name());
    for (set, host, ordinals) in [
        ("web", "nginx", 3),
        ("html-stateful-set", "html-service", 2),
        ("zookeeper", "zookeeper-server", 1),
    ] {
        let found = all_ok(&namespace, set);
        let items = found["items"].as_array().expect("items");
        for ordinal in 0..ordinals {
            let name = own(&format!("{set}-{ordinal}.{host}"));
            let of_it = |item: &&Value| item["name"] == *name && item["type"] == "A";
            assert_eq!(items.iter().filter(of_it).count(), 1, "{name}");
        }
        let how = found["domain"]["how"].as_str().expect("how");
        assert!(how.contains("kubernetes.default.svc"), "{how}");
        // As the application's own C library has it.
        let inside = ["dns", set, "--via", "exec=client", "-o", "json"];
        let inside = document(&namespace.stateful(inside).output().expect(0));
        assert_eq!(inside["inside"]["means"], "getent");
        let addresses = inside["items"].as_array().expect("items").iter();
        for item in addresses.filter(|item| item["type"] == "A") {
            assert_eq!(item["class"], "ok", "{item:#}");
        }
    }
    // busybox has no getent, and nginx's image no nslookup.
    let busybox = ["dns", "web", "--via", "exec=busybox", "-o", "json", "--type", "a"];
    let busybox = document(&namespace.stateful(busybox).output().expect(0));
    assert_eq!(busybox["inside"]["means"], "nslookup");
    assert_eq!(busybox["inside"]["ndots"], 5);

    // `ext`, once as a name and once as endpoints that somebody made.
    apply(&namespace, "seeds/external-name");
    let found = all_ok(&namespace, "svc/ext");
    assert_eq!(found["items"][0]["type"], "CNAME");
    assert_eq!(found["items"][0]["expected"], json!(["localhost"]));
    namespace.kubectl(["delete", "service", "ext"]).output().success();
    apply(&namespace, "seeds/external-endpoints");
    let found = all_ok(&namespace, "svc/ext");
    assert_eq!(found["serviceType"], "ClusterIP");
}

#[test]
fn who_may_not_forward_sees_what_the_api_says() {
    let namespace = TestCluster::shared_node().namespace("dns-rights");
    namespace.apply(&web(1, |_| {}));
    namespace.wait_until_ready("web");
    let resources =
        ["pods", "services", "configmaps", "endpointslices", "statefulsets", "namespaces"];
    let reading =
        json!([{"apiGroups": ["*"], "resources": resources, "verbs": ["get", "list", "watch"]}]);
    let user = namespace.user("viewer", &reading, &reading);
    let output =
        namespace.stateful(["dns", "web", "-o", "json"]).kubeconfig(&user).output().expect(0);
    let found = document(&output);
    assert!(ids(&found).contains(&"DNS-NOT-FORWARDED"), "{output}");
    assert_eq!(found["servers"], json!([]));
    assert_eq!(found["items"][0]["class"], Value::Null);
    let asked = ["dns", "web", "--via", "coredns", "-o", "json"];
    let output = namespace.stateful(asked).kubeconfig(&user).output().expect(8);
    assert_eq!(document(&output)["incomplete"][0]["resource"], "pods/portforward");
}

/// What is broken is also what the servers say, and what mends it does so there.
#[test]
fn a_mended_service_is_green_on_every_server() {
    let namespace = TestCluster::shared_node().namespace("dns-mend");
    namespace.apply(&web(2, |_| {}));
    namespace.wait_until_ready("web");
    let look = |words: &[&str]| namespace.stateful([&["dns", "web"], words].concat());
    namespace.kubectl(["set", "selector", "service", "nginx", "app=other"]).output().success();
    let output = wait_for(SOON, "the names to be gone", || {
        let output = look(&["-o", "json"]).output();
        ids(&document(&output)).contains(&"DNS-SELECTS-NOTHING").then_some(output)
    });
    assert_eq!(output.code(), Some(3), "{output}");
    // Somebody waits, and the mend ends that.
    let waiting = look(&["--wait", "60s"]).deadline(Duration::from_secs(80)).start();
    waiting.wait_for_stderr("what it waits for", |text| text.contains("waiting for the names"));
    namespace.kubectl(["set", "selector", "service", "nginx", "app=nginx"]).output().success();
    let output = waiting.finish().expect(0);
    assert!(output.stdout.contains("web-1.nginx"), "{output}");
    look(&[]).output().expect(0);
    // A wait that cannot end says what is missing.
    namespace.kubectl(["set", "selector", "service", "nginx", "app=other"]).output().success();
    let output = look(&["--wait", "3s"]).output().expect(6);
    assert!(output.stderr.contains("timed out waiting for the names"), "{output}");
}

/// Its own cluster: what is done to the DNS servers here, others would notice.
#[test]
fn servers_that_remember_differ_listen_elsewhere_or_serve_another_zone() {
    let cluster = TestCluster::fresh_node();
    let namespace = cluster.namespace("dns-servers");
    client(&namespace);
    namespace.apply(&web(1, |_| {}));
    namespace.wait_until_ready("web");
    let system = |words: &[&str]| {
        cluster.kubectl([&["-n", "kube-system"], words].concat()).output().success()
    };
    let corefile = |port: u16, zone: &str, seconds: u32| {
        let text = format!(
            ".:{port} {{\n errors\n ready\n health\n kubernetes {zone} in-addr.arpa ip6.arpa {{\n  \
             pods insecure\n  ttl {seconds}\n }}\n cache {seconds}\n loadbalance\n}}\n"
        );
        let patch = json!({"data": {"Corefile": text}}).to_string();
        system(&["patch", "configmap", "coredns", "--type=merge", "-p", &patch]);
        system(&["rollout", "restart", "deployment/coredns"]);
        system(&["rollout", "status", "deployment/coredns", "--timeout=120s"]);
        wait_for(SOON, "two servers and no others", || {
            let pods = system(&["get", "pods", "-l", "k8s-app=kube-dns", "-o", "name"]);
            (pods.lines().count() == 2).then_some(())
        });
    };
    let addresses = || -> Vec<(String, String)> {
        let path = "jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{\"\\n\"}{end}";
        let pods = system(&["get", "pods", "-l", "k8s-app=kube-dns", "-o", path]);
        let pairs = pods.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, address)| (name.to_owned(), address.to_owned())).collect()
    };
    let look = |words: &[&str]| namespace.stateful([&["dns", "web"], words].concat());
    let green = || {
        wait_for(SOON, "every server to answer", || {
            let output = look(&[]).output();
            (output.code() == Some(0)).then_some(output)
        })
    };

    // One server is asked too early and remembers it; the other is not.
    corefile(53, "cluster.local", 30);
    let servers = addresses();
    let (name, address) = &servers[0];
    let full = format!("web-1.nginx.{}.svc.cluster.local.", namespace.name());
    let early = nslookup(&namespace, "a", &full, Some(address));
    assert_eq!(early, BTreeSet::new());
    let planted = Instant::now();
    namespace.kubectl(["scale", "sts", "web", "--replicas=2"]).output().success();
    namespace.wait_until_ready("web");
    let output = look(&["-o", "json"]).output().expect(3);
    let found = document(&output);
    let skew = found["reasons"].as_array().expect("reasons").iter();
    let skew: Vec<&Value> = skew.filter(|reason| reason["id"] == "DNS-SKEW").collect();
    assert_eq!(skew.len(), 1, "{output}");
    assert_eq!(skew[0]["object"], format!("pod/{name}"), "{output}");
    let message = skew[0]["message"].as_str().expect("a message");
    assert!(message.contains("web-1.nginx A is NXDOMAIN, for"), "{message}");
    let rows = found["items"].as_array().expect("items");
    let row = rows.iter().find(|item| item["ordinal"] == 1 && item["type"] == "A");
    assert_eq!(row.expect("a row")["class"], "skew");
    // Its answer says for how long, and so long it is waited, and not longer.
    let waited = look(&["--wait", "60s"]).deadline(Duration::from_secs(90)).output().expect(0);
    let after = planted.elapsed();
    assert!(after > Duration::from_secs(25), "the denial was not waited out: {after:?}\n{waited}");
    assert!(after < Duration::from_secs(45), "it ended long before: {after:?}\n{waited}");

    // Our own question leaves no denial behind for others.
    look(&["-o", "json"]).output().expect(0);
    let early = namespace.stateful(["dns", "web/2"]).output().expect(3);
    assert!(early.stdout.contains("web-2.nginx"), "{early}");
    namespace.kubectl(["scale", "sts", "web", "--replicas=3"]).output().success();
    namespace.wait_until_ready("web");
    let full = format!("web-2.nginx.{}.svc.cluster.local.", namespace.name());
    for (_, address) in &servers {
        assert_eq!(nslookup(&namespace, "a", &full, Some(address)).len(), 1, "{address}");
    }

    // On another port, which only its Service tells, and in another zone.
    let ports = json!([{"op": "replace", "path": "/spec/ports", "value": [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 5353},
    ]}]);
    system(&["patch", "service", "kube-dns", "--type=json", "-p", &ports.to_string()]);
    corefile(5353, "my.zone", 5);
    let output = green();
    assert!(output.stdout.contains("(port 5353)"), "{output}");
    let suffix = format!("all end in .{}.svc.my.zone", namespace.name());
    assert!(output.stdout.contains(&suffix), "{output}");
    let wrong = look(&["--cluster-domain", "cluster.local", "-o", "json"]).output().expect(3);
    assert!(ids(&document(&wrong)).contains(&"DNS-WRONG-DOMAIN"), "{wrong}");
    // Pods still search in the zone that the kubelet was told.
    let inside = look(&["--via", "coredns,exec=client", "-o", "json"]).output();
    assert!(ids(&document(&inside)).contains(&"DNS-WRONG-DOMAIN"), "{inside}");

    // What the configuration keeps back is said by the configuration.
    let text = ".:5353 {\n ready\n health\n kubernetes my.zone in-addr.arpa {\n  \
                namespaces kube-system default\n }\n}\n";
    let patch = json!({"data": {"Corefile": text}}).to_string();
    system(&["patch", "configmap", "coredns", "--type=merge", "-p", &patch]);
    system(&["rollout", "restart", "deployment/coredns"]);
    system(&["rollout", "status", "deployment/coredns", "--timeout=120s"]);
    let output = wait_for(SOON, "the names to be kept back", || {
        let output = look(&["-o", "json"]).output();
        let found = document(&output);
        (ids(&found).contains(&"DNS-FILTERED") && ids(&found).contains(&"DNS-DENIED"))
            .then_some(output)
    });
    assert_eq!(output.code(), Some(3), "{output}");
    // No server at all: it is said, and what the API says is shown.
    system(&["scale", "deployment/coredns", "--replicas=0"]);
    wait_for(SOON, "no server to be left", || {
        let output = look(&["-o", "json"]).output();
        ids(&document(&output)).contains(&"DNS-NO-SERVERS").then_some(())
    });
}
