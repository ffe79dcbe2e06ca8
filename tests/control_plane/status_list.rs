//! `status` of many sets on a real control plane: what it asks for, that a row
//! says what the tree says, and what it says without rights.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{self, Namespace, TestCluster, claims, document, follow, wait_for};

const SOON: Duration = Duration::from_secs(60);

/// A set of another name on claims, with changes.
fn named(name: &str, replicas: u32, change: impl FnOnce(&mut Value)) -> String {
    let list = support::web(replicas, |set| {
        claims(set, "standard");
        set["metadata"]["name"] = json!(name);
        let labels = json!({"app": name});
        set["spec"]["selector"]["matchLabels"] = labels.clone();
        set["spec"]["template"]["metadata"]["labels"] = labels;
        change(set);
    });
    // The Service would select the pods of all of them.
    list.replace("\"selector\":{\"app\":\"nginx\"}", "\"selector\":{}")
}

fn cannot_pull(set: &mut Value) {
    set["spec"]["template"]["metadata"]["annotations"] =
        json!({"stateful.test/image-pull": "true"});
    support::container(set)["image"] = json!("nginx:1.99");
}

fn rows(namespace: &Namespace, line: &[&str]) -> Value {
    document(&namespace.stateful(["status", "-o", "json"]).args(line).output())
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().expect("items")
}

/// Which findings, and of what.
fn ids(findings: &Value) -> Vec<(String, String)> {
    let findings = findings.as_array().expect("findings").iter();
    findings.map(|one| (one["id"].to_string(), one["object"].to_string())).collect()
}

/// What a row and the set in a tree have in common.
const OF_THE_SET: [&str; 10] = [
    "uid",
    "created",
    "replicas",
    "ready",
    "available",
    "updated",
    "partition",
    "strategy",
    "currentRevision",
    "updateRevision",
];

/// What a row says of its set, without ages.
fn judgement(item: &Value) -> (Vec<(String, String)>, String, Vec<String>) {
    let fields = OF_THE_SET.iter().map(|field| item[*field].to_string()).collect();
    (ids(&item["findings"]), item["class"].to_string(), fields)
}

/// More sets than pods are looked for one by one, and each with the same cause.
#[test]
fn every_set_whose_name_is_taken_says_so() {
    let namespace = TestCluster::shared().namespace("taken");
    for number in 0..6 {
        let name = format!("t{number}");
        let foreign = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("{name}-0")},
            "spec": {"containers": [{"name": "c", "image": "nginx:1.21"}]},
        });
        namespace.apply(&foreign.to_string());
        namespace.apply(&named(&name, 1, |_| {}));
    }
    wait_for(SOON, "all of them to be stuck", || {
        let listed = rows(&namespace, &[]);
        let items = listed["items"].as_array().expect("items");
        let taken = |item: &&Value| {
            item["class"] == "stuck" && item["findings"].to_string().contains("STATUS-NAME-TAKEN")
        };
        (items.iter().filter(taken).count() == 6).then_some(())
    });
}

/// The list is read as Protocol Buffers and in pages, the tree as JSON: that both
/// say the same is also a test of the tables of fields.
#[test]
fn a_row_says_what_the_tree_says() {
    let namespace = TestCluster::shared().namespace("rows");
    namespace.apply(&named("good", 2, |_| {}));
    namespace.apply(&named("bad", 2, cannot_pull));
    namespace.apply(&named("odd", 2, |set| {
        set["spec"]["ordinals"] = json!({"start": 3});
        set["spec"]["updateStrategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
        set["spec"]["persistentVolumeClaimRetentionPolicy"] = json!({"whenScaled": "Delete"});
        support::container(set)["livenessProbe"] =
            json!({"exec": {"command": ["check", "$(HOST)", ""]}});
        set["spec"]["serviceName"] = json!("absent");
    }));
    namespace.apply(&named("small", 1, |set| {
        let claim = &mut set["spec"]["volumeClaimTemplates"][0]["spec"];
        claim["storageClassName"] = json!("no-such-class");
    }));
    namespace.wait_until_ready("good");
    namespace.wait_until_ready("odd");
    wait_for(SOON, "the findings", || {
        let ids = rows(&namespace, &[]).to_string();
        let all = ["STATUS-IMAGE-PULL", "STATUS-CLAIM-NO-CLASS", "STATUS-PARTITION-LEFTOVER"];
        all.iter().all(|id| ids.contains(id)).then_some(())
    });
    // Scheduler and kubelet go on while the sets are read one after another: only what
    // the list says before and after is said of the time between.
    let kinds = "sts,po,pvc,pv,svc,controllerrevisions,events,sc";
    let (listed, trees, dump) = wait_for(SOON, "nothing to change between two lists", || {
        let listed = rows(&namespace, &[]);
        let tree = |item: &Value| rows(&namespace, &[item["name"].as_str().expect("a name")]);
        let trees: Vec<Value> = items(&listed).iter().map(tree).collect();
        let dump = namespace.kubectl(["get", kinds, "-o", "yaml"]).output().success();
        let again = rows(&namespace, &[]);
        let said = |list: &Value| -> Vec<_> { items(list).iter().map(judgement).collect() };
        (said(&listed) == said(&again)).then_some((listed, trees, dump))
    });
    let names: Vec<&str> = items(&listed).iter().filter_map(|item| item["name"].as_str()).collect();
    assert_eq!(names, ["bad", "small", "good", "odd"], "the worst first");
    for (item, tree) in items(&listed).iter().zip(&trees) {
        let name = item["name"].as_str().expect("a name");
        assert_eq!(ids(&item["findings"]), ids(&tree["reasons"]), "{name}: {item:#}\n{tree:#}");
        assert_eq!(item["class"], tree["health"], "{name}");
        for field in OF_THE_SET {
            assert_eq!(item[field], tree["set"][field], "{name}: {field}");
        }
        assert!(item["images"][0].as_str().is_some_and(|image| image.starts_with("nginx:")));
    }
    // And a dump of it says the same again.
    let run = namespace.stateful(["status", "-f", "-", "-o", "json"]).stdin(dump);
    let offline = document(&run.output());
    for (live, dumped) in items(&listed).iter().zip(items(&offline)) {
        for field in ["name", "class", "ready", "updated", "images", "held"] {
            assert_eq!(live[field], dumped[field], "{field}");
        }
        assert_eq!(ids(&live["findings"]), ids(&dumped["findings"]));
    }
    // The line below the table opens the tree.
    let shown = namespace.stateful(["status"]).output().success();
    let line = shown.lines().find_map(|line| line.trim().strip_prefix("→ ")).expect("a line");
    assert!(line.contains(&format!("status bad -n {}", namespace.name())), "{line}");
    follow(&namespace, line);
}

#[test]
fn the_number_of_requests_does_not_grow_with_the_sets() {
    let namespace = TestCluster::shared().namespace("few");
    let proxy = namespace.cluster().proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let ask = || {
        let before = proxy.requests().len();
        let run = namespace.stateful(["status", "--exit-code"]).kubeconfig(&kubeconfig);
        let shown = run.output().success();
        (shown, proxy.requests().len() - before)
    };
    let mut counts = Vec::new();
    let mut known = 0;
    for sets in [1, 12] {
        for number in known..sets {
            namespace.apply(&named(&format!("s{number}"), 1, |_| {}));
        }
        for number in known..sets {
            namespace.wait_until_ready(&format!("s{number}"));
        }
        known = sets;
        let (shown, count) = ask();
        assert!(shown.contains(&format!(": {sets} ready")), "{shown}");
        counts.push(count);
    }
    // Sets, pods, Services, claims, volumes and classes.
    assert_eq!(counts, [6, 6], "{}", proxy.log());
}

#[test]
fn what_may_not_be_read_is_said_and_nothing_is_concluded_from_it() {
    let namespace = TestCluster::shared().namespace("blind");
    namespace.apply(&named("web", 1, |_| {}));
    namespace.wait_until_ready("web");
    let sets = json!([{"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get", "list", "watch"]}]);
    let blind = namespace.user("blind", &sets, &json!([]));
    let output = namespace.stateful(["status", "--exit-code"]).kubeconfig(&blind).output();
    let output = output.expect(8);
    // Neither can it be waited for.
    for line in [&["status", "--wait-for", "ready"][..], &["status", "web", "--wait-for", "ready"]]
    {
        let run = namespace.stateful(line).args(["--timeout", "50s"]).kubeconfig(&blind);
        run.output().expect(8);
    }
    assert!(output.stdout.contains("web    Unknown   ?/1"), "{output}");
    assert!(output.stdout.contains("unread   pods: "), "{output}");
    let run = namespace.stateful(["status", "-o", "json"]).kubeconfig(&blind);
    let document = document(&run.output());
    let unread = document["incomplete"].as_array().expect("a list").iter();
    let mut unread: Vec<&str> = unread.filter_map(|one| one["resource"].as_str()).collect();
    unread.sort_unstable();
    assert_eq!(
        unread,
        [
            "events",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "services",
            "storageclasses.storage.k8s.io",
        ]
    );
    // Without the sets there is no answer at all, and the way out is said.
    let output = namespace.stateful(["status", "-A"]).kubeconfig(&blind).output().expect(1);
    assert!(output.stderr.starts_with("Error from server (Forbidden): "), "{output}");
    assert!(output.stderr.contains("hint: kubectl stateful status -n NAMESPACE"), "{output}");
    assert_eq!(output.stdout, "");
}

#[test]
fn of_no_sets_it_says_where_it_looked() {
    let namespace = TestCluster::shared().namespace("empty");
    let name = namespace.name();
    let shown = namespace.stateful(["status"]).output().success();
    assert_eq!(shown, format!("No StatefulSets in {name}: nothing was judged\n"));
    let output = namespace.stateful(["status", "--exit-code", "-o", "json"]).output().expect(8);
    assert_eq!(document(&output)["result"], "incomplete");
    let run = support::stateful(["status", "-n", "no-such-namespace"]);
    let output = run.kubeconfig(namespace.cluster().kubeconfig()).output().expect(1);
    assert_eq!(
        output.stderr,
        "Error from server (NotFound): namespaces \"no-such-namespace\" not found\n"
    );
    // None is not ready: it waits for one.
    let line = ["status", "--wait-for", "ready", "--timeout", "2s"];
    let output = namespace.stateful(line).output().expect(6);
    assert!(output.stderr.contains("timed out waiting for the StatefulSets in"), "{output}");
}

#[test]
fn a_wait_is_for_all_of_them() {
    let namespace = TestCluster::shared().namespace("all");
    namespace.apply(&named("one", 2, |_| {}));
    namespace.apply(&named("two", 1, |_| {}));
    let line = ["status", "one", "two", "--wait-for", "ready", "--timeout", "60s"];
    let shown = namespace.stateful(line).deadline(SOON).output().success();
    assert!(shown.contains(": 2 ready"), "{shown}");
    // Another one that is not ready does not keep those that were named.
    namespace.apply(&named("three", 1, cannot_pull));
    namespace.stateful(line).deadline(SOON).output().success();
    let line = ["status", "--wait-for", "ready", "--timeout", "3s"];
    let output = namespace.stateful(line).deadline(SOON).output().expect(6);
    assert!(output.stdout.contains("three"), "{output}");
}

#[test]
fn off_a_terminal_a_watch_prints_a_line_for_each_change() {
    let namespace = TestCluster::shared().namespace("watched");
    namespace.apply(&named("web", 1, |_| {}));
    namespace.wait_until_ready("web");
    let run = namespace.stateful(["status", "--watch", "--timeout", "60s"]).deadline(SOON);
    let watching = run.start();
    watching.wait_for_stdout("the table", |shown| shown.contains(": 1 ready"));
    namespace.kubectl(["scale", "sts", "web", "--replicas=2"]).output().success();
    let change = format!("{}/web: Ready, 2 of 2 ready", namespace.name());
    watching.wait_for_stdout("the change", |shown| shown.contains(&change));
    watching.signal("INT");
    watching.finish().expect(130);
}
