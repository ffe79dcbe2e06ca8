//! Names on a real node, as real CoreDNS pods answer them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    migrate::application,
    support::{Namespace, Output, Run, TestCluster, ids, wait_for, web},
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
    server: Option<(&str, u16)>,
) -> BTreeSet<String> {
    let (kind, port) = (format!("-type={kind}"), server.map_or(53, |(_, port)| port));
    let port = format!("-port={port}");
    let mut words = vec!["exec", "busybox", "--", "nslookup", &port, &kind, name];
    words.extend(server.map(|(address, _)| address));
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

/// A client may live in another namespace; and one that learns nothing has found
/// nothing right.
#[test]
fn a_client_that_learned_nothing_is_no_answer() {
    let namespace = TestCluster::shared_node().namespace("dns-clients");
    let elsewhere = TestCluster::shared_node().namespace("dns-clients-elsewhere");
    namespace.apply(&web(1, |_| {}));
    client(&elsewhere);
    let pod = |name: &str, command: &[&str], change: Value| {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "terminationGracePeriodSeconds": 0, "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "registry.test/tools:1",
                    "command": command}],
            },
        });
        for (field, value) in change.as_object().expect("fields") {
            pod["spec"][field] = value.clone();
        }
        namespace.apply(&pod.to_string());
    };
    pod("done", &["true"], json!({}));
    let nobody = json!({"dnsPolicy": "None", "dnsConfig": {
        "nameservers": ["192.0.2.1"],
        "options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "1"}],
    }});
    pod("deaf", &["sleep", "3600"], nobody);
    namespace.wait_until_ready("web");
    namespace.wait("pod/deaf", "condition=Ready");
    namespace.wait("pod/done", "jsonpath={.status.phase}=Succeeded");
    wait_for(SOON, "the names", || {
        let output = look(&namespace, &["-o", "json"]).output();
        (output.code() == Some(0)).then_some(())
    });
    let via = |who: &str| {
        let via = format!("exec={who}");
        look(&namespace, &["--via", &via]).deadline(SOON).output()
    };
    let output = via(&format!("{}/client", elsewhere.name())).expect(0);
    let said = format!("pod/client in {} (getent)", elsewhere.name());
    assert!(output.stdout.contains(&said), "{output}");
    let output = via("done").expect(8);
    assert!(output.stdout.contains("it has ended (Completed)"), "{output}");
    let output = via("deaf").expect(8);
    assert!(output.stdout.contains("pod/deaf gave no answer: "), "{output}");
    assert!(!output.stdout.contains(" missing"), "nobody said that they are: {output}");
}

/// What is broken is also what the servers say, and what mends it does so there.
#[test]
fn a_repaired_service_is_right_on_every_server() {
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

/// A cluster of its own: what is done to its DNS servers others would notice.
struct Servers {
    cluster: TestCluster,
}

impl Servers {
    fn namespace(&self, hint: &str) -> Namespace<'_> {
        self.cluster.namespace(hint)
    }

    fn system(&self, words: &[&str]) -> String {
        self.cluster.kubectl([&["-n", "kube-system"], words].concat()).output().success()
    }

    /// Two servers that have read this, and no others.
    fn configure(&self, corefile: &str) {
        let patch = json!({"data": {"Corefile": corefile}}).to_string();
        self.system(&["patch", "configmap", "coredns", "--type=merge", "-p", &patch]);
        self.system(&["rollout", "restart", "deployment/coredns"]);
        self.system(&["rollout", "status", "deployment/coredns", "--timeout=120s"]);
        wait_for(SOON, "two servers and no others", || (self.addresses().len() == 2).then_some(()));
    }

    /// The servers' pods, and where they are.
    fn addresses(&self) -> Vec<(String, String)> {
        let path = "jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{\"\\n\"}{end}";
        let pods = self.system(&["get", "pods", "-l", "k8s-app=kube-dns", "-o", path]);
        let pairs = pods.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, address)| (name.to_owned(), address.to_owned())).collect()
    }
}

fn corefile(port: u16, zone: &str, seconds: u32, cache: &str) -> String {
    format!(
        ".:{port} {{\n errors\n ready\n health\n kubernetes {zone} in-addr.arpa ip6.arpa {{\n  \
         pods insecure\n  ttl {seconds}\n }}\n cache {seconds} {cache}\n loadbalance\n}}\n"
    )
}

fn look(namespace: &Namespace, words: &[&str]) -> Run {
    namespace.stateful([&["dns", "web"], words].concat())
}

fn green(namespace: &Namespace) -> Output {
    wait_for(SOON, "every server to answer", || {
        let output = look(namespace, &[]).output();
        (output.code() == Some(0)).then_some(output)
    })
}

fn scale(namespace: &Namespace, replicas: u32) {
    let replicas = format!("--replicas={replicas}");
    namespace.kubectl(["scale", "sts", "web", &replicas]).output().success();
    namespace.wait_until_ready("web");
}

#[test]
fn servers_that_remember_differ_listen_elsewhere_or_serve_another_zone() {
    let servers = Servers { cluster: TestCluster::fresh_node() };
    let namespace = servers.namespace("dns-servers");
    client(&namespace);
    namespace.apply(&web(1, |_| {}));
    namespace.wait_until_ready("web");
    one_remembers(&servers, &namespace);
    they_serve_elsewhere(&servers, &namespace);
    they_keep_names_back(&servers, &namespace);
    they_remember_no_denial(&servers, &namespace);
    // No server at all: it is said, and what the API says is shown.
    servers.system(&["scale", "deployment/coredns", "--replicas=0"]);
    wait_for(SOON, "no server to be left", || {
        let output = look(&namespace, &["-o", "json"]).output();
        ids(&document(&output)).contains(&"DNS-NO-SERVERS").then_some(())
    });
}

/// One server is asked too early and remembers it; the other is not.
fn one_remembers(servers: &Servers, namespace: &Namespace) {
    servers.configure(&corefile(53, "cluster.local", 30, ""));
    let all = servers.addresses();
    let (name, address) = &all[0];
    let full = format!("web-1.nginx.{}.svc.cluster.local.", namespace.name());
    let early = nslookup(namespace, "a", &full, Some((address, 53)));
    assert_eq!(early, BTreeSet::new());
    let planted = Instant::now();
    scale(namespace, 2);
    let output = look(namespace, &["-o", "json"]).output().expect(3);
    let found = document(&output);
    let skew = found["reasons"].as_array().expect("reasons").iter();
    let skew: Vec<&Value> = skew.filter(|reason| reason["id"] == "DNS-SKEW").collect();
    assert_eq!(skew.len(), 1, "{output}");
    assert_eq!(skew[0]["object"], format!("pod/{name}"), "{output}");
    let message = skew[0]["message"].as_str().expect("a message");
    assert!(message.contains("web-1.nginx A is NXDOMAIN, valid for "), "{message}");
    let rows = found["items"].as_array().expect("items");
    let row = rows.iter().find(|item| item["ordinal"] == 1 && item["type"] == "A");
    assert_eq!(row.expect("a row")["class"], "skew");
    // What caches keep matters now, while a denial is at hand, and only now.
    assert!(ids(&found).contains(&"DNS-DENIALS-CACHED"), "{output}");
    let explain = ["dns", "explain", "web", "-o", "json"];
    let explained = document(&namespace.stateful(explain).output());
    assert!(!ids(&explained).contains(&"DNS-DENIALS-CACHED"), "{explained:#}");
    // Its answer says for how long, and so long it is waited, and not longer.
    let wait = look(namespace, &["--wait", "60s"]).deadline(Duration::from_secs(90));
    let waited = wait.output().expect(0);
    let after = planted.elapsed();
    assert!(after > Duration::from_secs(25), "the denial was not waited out: {after:?}\n{waited}");
    assert!(after < Duration::from_secs(45), "it ended long before: {after:?}\n{waited}");

    // Our own question leaves no denial behind for others.
    look(namespace, &["-o", "json"]).output().expect(0);
    let early = namespace.stateful(["dns", "web/2"]).output().expect(3);
    assert!(early.stdout.contains("web-2.nginx"), "{early}");
    scale(namespace, 3);
    let full = format!("web-2.nginx.{}.svc.cluster.local.", namespace.name());
    for (_, address) in &all {
        let found = nslookup(namespace, "a", &full, Some((address, 53)));
        assert_eq!(found.len(), 1, "{address}");
    }
}

/// On another port, which only their Service tells, and in another zone.
fn they_serve_elsewhere(servers: &Servers, namespace: &Namespace) {
    let ports = json!([{"op": "replace", "path": "/spec/ports", "value": [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 5353},
    ]}]);
    servers.system(&["patch", "service", "kube-dns", "--type=json", "-p", &ports.to_string()]);
    servers.configure(&corefile(5353, "my.zone", 5, ""));
    let output = green(namespace);
    assert!(output.stdout.contains("(port 5353)"), "{output}");
    let suffix = format!("all end in .{}.svc.my.zone", namespace.name());
    assert!(output.stdout.contains(&suffix), "{output}");
    let wrong = look(namespace, &["--cluster-domain", "cluster.local", "-o", "json"]);
    let wrong = wrong.output().expect(3);
    assert!(ids(&document(&wrong)).contains(&"DNS-WRONG-DOMAIN"), "{wrong}");
    // Pods still search in the zone that the kubelet was told.
    let inside = look(namespace, &["--via", "coredns,exec=client", "-o", "json"]).output();
    assert!(ids(&document(&inside)).contains(&"DNS-WRONG-DOMAIN"), "{inside}");
}

/// What the configuration keeps back is said by the configuration.
fn they_keep_names_back(servers: &Servers, namespace: &Namespace) {
    servers.configure(
        ".:5353 {\n ready\n health\n kubernetes my.zone in-addr.arpa {\n  \
         namespaces kube-system default\n }\n}\n",
    );
    let output = wait_for(SOON, "the names to be kept back", || {
        let output = look(namespace, &["-o", "json"]).output();
        let found = document(&output);
        (ids(&found).contains(&"DNS-FILTERED") && ids(&found).contains(&"DNS-DENIED"))
            .then_some(output)
    });
    assert_eq!(output.code(), Some(3), "{output}");
    // Without that line they are served.
    servers.configure(&corefile(5353, "my.zone", 30, ""));
    let output = green(namespace);
    assert!(!output.stdout.contains("DNS-FILTERED"), "{output}");
}

/// A cache that keeps no denials has nothing to wait out.
fn they_remember_no_denial(servers: &Servers, namespace: &Namespace) {
    servers.configure(&corefile(5353, "my.zone", 30, "{\n  disable denial\n }"));
    green(namespace);
    let full = format!("web-3.nginx.{}.svc.my.zone.", namespace.name());
    for (_, address) in servers.addresses() {
        let early = nslookup(namespace, "a", &full, Some((&address, 5353)));
        assert_eq!(early, BTreeSet::new());
    }
    scale(namespace, 4);
    let begun = Instant::now();
    // What the cache keeps are answers: those of the Service are of before.
    let wait = namespace.stateful(["dns", "web/3", "--type", "a", "--wait", "25s"]);
    wait.deadline(Duration::from_secs(60)).output().expect(0);
    assert!(begun.elapsed() < Duration::from_secs(15), "it waited for a denial to end");
}

/// What a hostile server does with a connection, in bash.
const HOSTILE: [(&str, &str); 8] = [
    ("silent", "sleep 600"),
    ("closes", "true"),
    ("cut", r"printf '\x02\x00\x12\x34\x84\x00'"),
    ("noise", "head -c 65537 /dev/urandom"),
    ("flood", "cat /dev/urandom"),
    ("dribble", r"printf '\xff\xff'; while sleep 0.05; do printf '\x00'; done"),
    // A name that points at itself, under the number of the question.
    (
        "loop",
        r#"while q=$(head -c 4 | od -An -tx1 | tr -d ' \n') && [ -n "$q" ]; do \
          printf "\x00\x1c\x${q:4:2}\x${q:6:2}\x84\x00\x00\x01\x00\x01\x00\x00\x00\x00"; \
          printf '\xc0\x0c\x00\x01\x00\x01\xc0\x12\x00\x01\x00\x01\x00\x00\x00\x05'; \
          head -c $((16#${q:0:4} - 2)) >/dev/null; done"#,
    ),
    // As long as an answer can be, and of nothing.
    (
        "long",
        r#"while q=$(head -c 4 | od -An -tx1 | tr -d ' \n') && [ -n "$q" ]; do \
          printf "\xff\xff\x${q:4:2}\x${q:6:2}\x84\x00\x00\x01\xff\xff\x00\x00\x00\x00"; \
          head -c 65523 /dev/zero; head -c $((16#${q:0:4} - 2)) >/dev/null; done"#,
    ),
];

/// Whatever is behind the port-forward: an error, in time, and the API's view.
#[test]
fn a_hostile_server_ends_in_an_error_in_time() {
    let cluster = TestCluster::fresh_node();
    let namespace = cluster.namespace("dns-hostile");
    namespace.apply(&web(1, |_| {}));
    namespace.wait_until_ready("web");
    let pods: Vec<Value> = HOSTILE
        .iter()
        .map(|(mode, does)| {
            let serve = format!(
                "cat >/tmp/serve <<'END'\n{does}\nEND\nexec ncat -l -k -p 53 --exec '/bin/bash /tmp/serve'"
            );
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": format!("hostile-{mode}"), "namespace": "kube-system",
                    "labels": {"hostile": mode},
                },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "main", "image": "registry.test/tools:1",
                        "command": ["bash", "-c", serve],
                        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/serve"]}}}],
                },
            })
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    cluster.kubectl(["apply", "-f", "-"]).stdin(list.to_string()).output().success();
    for (mode, _) in HOSTILE {
        let pod = format!("pod/hostile-{mode}");
        let wait = ["-n", "kube-system", "wait", "--for=condition=Ready", "--timeout=100s", &pod];
        cluster.kubectl(wait).deadline(SOON).output().success();
    }
    for (mode, _) in HOSTILE {
        let selector = json!([
            {"op": "replace", "path": "/spec/selector", "value": {"hostile": mode}}
        ]);
        let patch = selector.to_string();
        let words = ["-n", "kube-system", "patch", "service", "kube-dns", "--type=json", "-p"];
        cluster.kubectl(words).args([&patch]).output().success();
        let look = ["dns", "web", "--timeout", "2s", "-o", "json"];
        let server = json!(format!("hostile-{mode}"));
        let output = wait_for(SOON, "the hostile server to be the one", || {
            let output = namespace.stateful(look).deadline(SOON).output();
            let found = document(&output);
            let servers = found["servers"].as_array().expect("servers");
            (servers.len() == 1 && servers[0]["name"] == server).then_some(output)
        });
        assert!(matches!(output.code(), Some(3 | 8)), "{mode}: {output}");
        // Two times two seconds, and what a busy machine takes.
        assert!(output.took < Duration::from_secs(20), "{mode}: {:?}", output.took);
        let found = document(&output);
        let rows = found["items"].as_array().expect("items");
        assert!(!rows.is_empty(), "{output}");
        for row in rows {
            assert_ne!(row["class"], "ok", "{mode}: {row:#}");
            assert_ne!(row["expected"], json!([]), "{mode}: {row:#}");
        }
        let said = found["servers"][0]["error"].as_str();
        let failed = rows.iter().any(|row| row["answers"][0]["error"].is_string());
        assert!(said.is_some_and(|why| !why.is_empty()) || failed, "{mode}: {output}");
    }
}
