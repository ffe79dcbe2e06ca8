//! `status` on a real control plane: what it shows, what it finds, how often
//! it asks, and how a wait ends.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::support::{
    self, Answer, Fault, Gate, Namespace, Run, Seen, TestCluster, follow, hint_of, ids,
    status_document, until_found, wait_for,
};

const SOON: Duration = Duration::from_secs(60);

/// The nginx set of the examples on its claims, with changes.
fn web(replicas: u32, change: impl FnOnce(&mut Value)) -> String {
    support::web(replicas, |set| {
        support::claims(set, "standard");
        change(set);
    })
}

fn ready_web(namespace: &Namespace, replicas: u32, change: impl FnOnce(&mut Value)) {
    namespace.apply(&web(replicas, change));
    namespace.wait_until_ready("web");
}

fn image_pull(set: &mut Value) {
    set["spec"]["template"]["metadata"]["annotations"] =
        json!({"stateful.test/image-pull": "true"});
    set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.99");
}

#[test]
fn kubectl_runs_it_and_it_shows_the_three_replicas() {
    let namespace = TestCluster::shared().namespace("status");
    ready_web(&namespace, 3, |_| {});
    let shown = namespace.plugin(["status", "web"]).output().success();
    let revision =
        namespace.get("apps/v1", "statefulsets", "web").expect("web")["status"]["updateRevision"]
            .clone();
    assert!(shown.contains(&format!("{}/web  Ready  3 of 3 ready", namespace.name())), "{shown}");
    assert!(shown.contains("Service nginx (headless)"), "{shown}");
    assert!(
        shown.contains(&format!("└─ {}   stable   nginx:1.21", revision.as_str().unwrap_or("")))
    );
    for ordinal in 0..3 {
        let row = shown.lines().find(|line| line.contains(&format!(" web-{ordinal} ")));
        let row = row.unwrap_or_else(|| panic!("no row for {ordinal}:\n{shown}"));
        for word in ["Ready", "kwok-", &format!("www-web-{ordinal}"), "1Gi", "standard", "Delete"] {
            assert!(row.contains(word), "{word} is not in {row:?}");
        }
    }
    for spelling in [&["sts/web"][..], &["sts", "web"], &["statefulsets.v1.apps/web"]] {
        namespace.stateful(["status"]).args(spelling).output().success();
    }
}

#[test]
fn the_number_of_requests_does_not_grow_with_the_ordinals() {
    let namespace = TestCluster::shared().namespace("requests");
    let proxy = namespace.cluster().proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let mut counts = Vec::new();
    for replicas in [3, 120] {
        namespace.apply(&web(replicas, |set| {
            set["spec"]["podManagementPolicy"] = json!("Parallel");
        }));
        namespace.wait_until_ready("web");
        let before = proxy.requests().len();
        let shown =
            namespace.stateful(["status", "web"]).kubeconfig(&kubeconfig).output().success();
        assert!(shown.contains(&format!("{replicas} of {replicas} ready")), "{shown}");
        assert!(shown.lines().count() < 20, "many ordinals share lines:\n{shown}");
        counts.push(proxy.requests().len() - before);
        namespace
            .kubectl(["delete", "sts", "web", "--wait=true"])
            .deadline(SOON)
            .output()
            .success();
    }
    assert_eq!(counts, [10, 10], "{}", proxy.log());
}

#[test]
fn a_dump_gives_the_same_tree() {
    let namespace = TestCluster::shared().namespace("dump");
    ready_web(&namespace, 3, |set| set["spec"]["ordinals"] = json!({"start": 5}));
    let kinds = "sts,po,pvc,pv,svc,controllerrevisions,events,sc";
    let dump = namespace.kubectl(["get", kinds, "-o", "yaml"]).output().success();
    let without_age = |shown: String| -> Vec<Vec<String>> {
        let is_age = |word: &&str| {
            word.ends_with(['s', 'm']) && word.starts_with(|c: char| c.is_ascii_digit())
        };
        let words = |line: &str| {
            line.split_whitespace().filter(|w| !is_age(w)).map(str::to_owned).collect()
        };
        // That is said of a dump alone.
        let is_shown = |line: &&str| !line.is_empty() && !line.starts_with("as of ");
        shown.lines().filter(is_shown).map(words).collect()
    };
    let live = namespace.stateful(["status", "web"]).output().success();
    let offline = namespace.stateful(["status", "web", "-f", "-"]).stdin(dump).output().success();
    assert!(
        live.contains("web-5 ") && live.contains("web-7 ") && live.contains("ordinals from 5"),
        "{live}"
    );
    assert_eq!(without_age(live), without_age(offline));
}

#[test]
fn who_may_not_read_all_gets_what_there_is_and_exit_8() {
    let namespace = TestCluster::shared().namespace("viewer");
    ready_web(&namespace, 1, |_| {});
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["statefulsets", "controllerrevisions"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "persistentvolumeclaims", "services", "events"], "verbs": ["get", "list"]},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
    ]);
    let viewer = namespace.user("viewer", &rules, &json!([]));
    let output = namespace.stateful(["status", "web"]).kubeconfig(&viewer).output().expect(8);
    for words in [
        "1 of 1 ready",
        "web-0",
        "<unknown>",
        "unread",
        "persistentvolumes:",
        "storageclasses.storage.k8s.io:",
    ] {
        assert!(output.stdout.contains(words), "{words}\n{output}");
    }
    // Without claims there is no disk to read, and nothing is missing.
    let bare = TestCluster::shared().namespace("bare");
    bare.apply(&support::web(1, |_| {}));
    bare.wait_until_ready("web");
    let viewer = bare.user("viewer", &rules, &json!([]));
    bare.stateful(["status", "web"]).kubeconfig(&viewer).output().expect(0);
    let few = json!([{"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": ["get"]}]);
    let blind = namespace.user("blind", &few, &json!([]));
    let run = namespace.stateful(["status", "web", "-o", "json"]).kubeconfig(&blind);
    let output = run.output().expect(8);
    let document: Value = serde_json::from_str(&output.stdout).expect("a document");
    assert_eq!(document["health"], "unknown");
    assert_eq!(document["items"][0]["state"], "Unknown", "not read is not missing");
    let unread: Vec<&str> = document["incomplete"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|u| u["resource"].as_str())
        .collect();
    assert_eq!(
        unread,
        [
            "pods",
            "controllerrevisions.apps",
            "persistentvolumeclaims",
            "persistentvolumes",
            "storageclasses.storage.k8s.io",
            "services",
            "events",
            "horizontalpodautoscalers.autoscaling",
        ]
    );
}

#[test]
fn documents_keep_to_their_schemas() {
    let namespace = TestCluster::shared().namespace("schema");
    namespace.apply(&web(3, image_pull));
    until_found(&namespace, "web", &["STATUS-IMAGE-PULL", "STATUS-BLOCKED-ORDINAL"]);
    let schema = |name: &str| -> Value {
        let path = format!("{}/docs/schemas/{name}-v1.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&fs::read_to_string(path).expect("a schema")).expect("JSON")
    };
    let check = |name: &str, document: &Value| {
        let validator = jsonschema::validator_for(&schema(name)).expect("a schema");
        let errors: Vec<String> = validator.iter_errors(document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}\n{document:#}");
    };
    check("status", &status_document(&namespace, "web"));
    let yaml = namespace.stateful(["status", "web", "-o", "yaml"]).output().success();
    let from_yaml: Value = serde_saphyr::from_str(&yaml).expect("YAML");
    assert_eq!(ids(&from_yaml), ids(&status_document(&namespace, "web")));
    check("status", &from_yaml);
    let missing = namespace.stateful(["status", "nobody", "-o", "json"]).output().expect(1);
    check("error", &serde_json::from_str(&missing.stdout).expect("a document"));
    let version = namespace.stateful(["version", "-o", "json"]).output().success();
    check("version", &serde_json::from_str(&version).expect("a document"));
    // A validator that accepts everything would prove nothing.
    let validator = jsonschema::validator_for(&schema("status")).expect("a schema");
    assert!(!validator.is_valid(&json!({"schema": 1})));
}

#[test]
fn a_reverted_rollout_names_the_one_pod_and_deleting_it_helps() {
    let namespace = TestCluster::shared().namespace("trap");
    ready_web(&namespace, 3, |_| {});
    namespace.apply(&web(3, image_pull));
    let document = until_found(&namespace, "web", &["STATUS-IMAGE-PULL", "STATUS-BLOCKED-ORDINAL"]);
    assert_eq!(document["health"], "stuck");
    namespace.stateful(["status", "web"]).output().expect(0);
    namespace.stateful(["status", "web", "--exit-code"]).output().expect(3);
    // A command that lost the flags would reach another cluster.
    let kubeconfig = namespace.cluster().kubeconfig().display().to_string();
    let run = namespace.stateful(["status", "web", "--kubeconfig", &kubeconfig]);
    let shown = run.kubeconfig("/dev/null").output().success();
    let hint =
        format!("→ kubectl describe pod web-2 -n {} --kubeconfig={kubeconfig}", namespace.name());
    assert!(shown.contains(&hint), "{shown}");
    // Taken back: the controller alone never gets out of it (kubernetes #67250).
    namespace.apply(&web(3, |_| {}));
    let document = until_found(&namespace, "web", &["STATUS-REVERT-TRAP", "STATUS-IMAGE-PULL"]);
    let uid =
        |pod: &str| namespace.get("v1", "pods", pod).map(|pod| pod["metadata"]["uid"].clone());
    let (zero, one) = (uid("web-0"), uid("web-1"));
    let hint = hint_of(&document, "STATUS-REVERT-TRAP");
    assert_eq!(hint, format!("kubectl stateful canary unstick web -n {}", namespace.name()));
    follow(&namespace, &hint);
    let run = namespace.stateful(["status", "web", "--wait-for", "updated", "--timeout", "60s"]);
    run.deadline(SOON).output().expect(0);
    assert_eq!((uid("web-0"), uid("web-1")), (zero, one), "the others were not touched");
}

#[test]
fn a_leftover_partition_is_found_and_its_hint_takes_it_away() {
    let namespace = TestCluster::shared().namespace("partition");
    ready_web(&namespace, 3, |set| {
        set["spec"]["updateStrategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    });
    let document = until_found(&namespace, "web", &["STATUS-PARTITION-LEFTOVER"]);
    follow(&namespace, &hint_of(&document, "STATUS-PARTITION-LEFTOVER"));
    until_found(&namespace, "web", &[]);
}

#[test]
fn on_delete_reaches_nobody_by_itself() {
    let namespace = TestCluster::shared().namespace("ondelete");
    let on_delete = |set: &mut Value| set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    ready_web(&namespace, 2, on_delete);
    namespace.apply(&web(2, |set| {
        on_delete(set);
        set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("nginx:1.22");
    }));
    for _ in 0..2 {
        let document = until_found(&namespace, "web", &["STATUS-ON-DELETE"]);
        follow(&namespace, &hint_of(&document, "STATUS-ON-DELETE"));
        namespace.wait_until_ready("web");
    }
    until_found(&namespace, "web", &[]);
}

/// A set of two where a quota has room for one.
fn beyond_a_quota(namespace: &Namespace) -> Value {
    namespace.kubectl(["create", "quota", "one", "--hard=pods=1"]).output().success();
    wait_for(SOON, "the quota to count", || {
        let quota = namespace.get("v1", "resourcequotas", "one")?;
        (quota["status"]["hard"]["pods"] == "1").then_some(())
    });
    namespace.apply(&web(2, |_| {}));
    until_found(namespace, "web", &["STATUS-QUOTA"])
}

#[test]
fn a_quota_that_is_full_is_named() {
    let namespace = TestCluster::shared().namespace("quota");
    let document = beyond_a_quota(&namespace);
    let message = document["reasons"][0]["message"].as_str().expect("a message");
    assert!(message.starts_with("web-1 cannot be created: "), "{message}");
    assert!(message.contains("exceeded quota: one"), "{message}");
}

/// The event stays for an hour and the controller waits for up to 17 minutes, so what an
/// event says of a quota is compared with the quota. The list says the same as the tree.
#[test]
fn a_quota_that_has_room_again_is_not_called_full() {
    let namespace = TestCluster::shared().namespace("quota-over");
    beyond_a_quota(&namespace);
    // The pauses double, so after enough tries one is long enough to be seen.
    wait_for(Duration::from_secs(120), "the controller to wait", || {
        let events = namespace.kubectl(["get", "events", "-o", "json"]).output().success();
        let events: Value = serde_json::from_str(&events).expect("JSON");
        let mut events = events["items"].as_array().expect("items").iter();
        let count = |event: &Value| event["count"].as_u64().unwrap_or(0);
        events.any(|event| event["reason"] == "FailedCreate" && count(event) >= 13).then_some(())
    });
    // Who may not read quotas is told that nobody looked.
    let rules = json!([
        {"apiGroups": ["", "apps", "policy", "autoscaling"], "verbs": ["get", "list"],
            "resources": ["statefulsets", "pods", "services", "events", "controllerrevisions",
                "persistentvolumeclaims"]},
    ]);
    let user = namespace.user("blind", &rules, &json!([]));
    let output = namespace.stateful(["status", "web"]).kubeconfig(&user).output();
    let said = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("; the quota itself was not read"), "{output}");
    assert!(said.contains("unread resourcequotas: "), "{output}");
    // Its controller would write the status too, but may take as long as the pause.
    for (field, more) in [("spec", None), ("status", Some("--subresource=status"))] {
        let patch = format!(r#"{{"{field}":{{"hard":{{"pods":"5"}}}}}}"#);
        let patch = ["patch", "quota", "one", "-p", &patch];
        namespace.kubectl(patch).args(more).output().success();
    }
    let document = status_document(&namespace, "web");
    assert_eq!(ids(&document), ["STATUS-CREATE-WAITS"], "{document:#}");
    let message = document["reasons"][0]["message"].as_str().expect("a message");
    assert!(message.contains("which has room for pods=1 by now"), "{message}");
    let row = support::document(&namespace.stateful(["status", "-o", "json"]).output());
    assert_eq!(row["items"][0]["findings"][0]["id"], "STATUS-CREATE-WAITS", "{row:#}");
    // The line makes the controller try at once, and leaves nothing on the set.
    follow(&namespace, &hint_of(&document, "STATUS-CREATE-WAITS"));
    namespace.wait_until_ready("web");
    until_found(&namespace, "web", &[]);
    let set = namespace.get("apps/v1", "statefulsets", "web").expect("web");
    assert!(!set["metadata"]["annotations"].to_string().contains("kubectl-stateful"), "{set:#}");
}

#[test]
fn a_policy_that_refuses_pods_is_named() {
    let namespace = TestCluster::shared().namespace("policy");
    let label = "pod-security.kubernetes.io/enforce=restricted";
    namespace.kubectl(["label", "namespace", namespace.name(), label]).output().success();
    namespace.apply(&web(1, |_| {}));
    let document = until_found(&namespace, "web", &["STATUS-REFUSED"]);
    let message = document["reasons"][0]["message"].as_str().expect("a message");
    assert!(message.contains("violates PodSecurity \"restricted:latest\""), "{message}");
}

#[test]
fn claims_that_cannot_bind_are_explained() {
    let namespace = TestCluster::shared().namespace("claims");
    let class = |name: &'static str| {
        move |set: &mut Value| {
            set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = json!(name);
        }
    };
    namespace.apply(&web(1, class("gold")));
    let document = wait_for(SOON, "the missing class", || {
        let document = status_document(&namespace, "web");
        ids(&document).contains(&"STATUS-CLAIM-NO-CLASS").then_some(document)
    });
    let message = document["reasons"].to_string();
    assert!(
        message.contains("www-web-0 of web-0 is Pending: it asks for StorageClass gold"),
        "{message}"
    );
    namespace.kubectl(["delete", "sts,pvc", "--all"]).deadline(SOON).output().success();
    // WaitForFirstConsumer is normal: what keeps the pod away is the cause.
    namespace.apply(&web(1, |set| {
        class("standard-wait")(set);
        set["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "none-has-this"});
    }));
    let document = until_found(&namespace, "web", &["STATUS-UNSCHEDULABLE", "STATUS-CLAIM-WAITS"]);
    assert!(document["reasons"][0]["message"].to_string().contains("nodes are available"));
}

/// No scheduler looks at this pod: what one had against it stands there.
#[test]
fn a_scheduler_that_missed_a_binding_is_distinguished_from_one_with_a_reason() {
    let namespace = TestCluster::shared().namespace("behind");
    namespace.apply(&web(1, |set| {
        support::claims(set, "standard");
        set["spec"]["template"]["spec"]["schedulerName"] = json!("nobody");
    }));
    let pod = || namespace.get("v1", "pods", "web-0");
    let uid = wait_for(SOON, "the pod", || Some(pod()?["metadata"]["uid"].clone()));
    wait_for(SOON, "the claim to be bound", || {
        let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-0")?;
        (claim["status"]["phase"] == "Bound").then_some(())
    });
    let say = |message: &str| {
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": message, "lastTransitionTime": "2026-01-02T03:04:05Z",
        });
        let path = namespace.path("v1", "pods", "web-0/status");
        namespace.cluster().api().patch(&path, &json!({"status": {"conditions": [condition]}}));
    };
    say("0/2 nodes are available: 2 Insufficient cpu.");
    until_found(&namespace, "web", &["STATUS-UNSCHEDULABLE"]);
    say("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found");
    let document = until_found(&namespace, "web", &["STATUS-SCHEDULER-BEHIND"]);
    follow(&namespace, &hint_of(&document, "STATUS-SCHEDULER-BEHIND"));
    wait_for(SOON, "its successor", || (pod()?["metadata"]["uid"] != uid).then_some(()));
}

#[test]
fn the_governing_service_is_looked_at() {
    let namespace = TestCluster::shared().namespace("service");
    ready_web(&namespace, 1, |_| {});
    namespace.kubectl(["delete", "service", "nginx"]).output().success();
    let document = until_found(&namespace, "web", &["STATUS-SERVICE-MISSING"]);
    follow(&namespace, &hint_of(&document, "STATUS-SERVICE-MISSING"));
    until_found(&namespace, "web", &[]);
    let other = json!([{"op": "replace", "path": "/spec/selector", "value": {"name": "nginx"}}]);
    let patch =
        ["patch", "service", "nginx", "--type=json", "-p", &other.to_string()].map(str::to_owned);
    namespace.kubectl(patch).output().success();
    until_found(&namespace, "web", &["STATUS-SERVICE-SELECTS-NOTHING"]);
}

#[test]
fn a_pod_that_stays_on_a_lost_node_is_not_forced_away() {
    let namespace = TestCluster::shared().namespace("lost");
    ready_web(&namespace, 2, |_| {});
    let mark = "stateful.test/stuck-terminating=true";
    namespace.kubectl(["annotate", "pod", "web-1", mark]).output().success();
    namespace.kubectl(["delete", "pod", "web-1", "--wait=false"]).output().success();
    let document = wait_for(Duration::from_secs(90), "the overdue pod", || {
        let document = status_document(&namespace, "web");
        ids(&document).contains(&"STATUS-TERMINATING").then_some(document)
    });
    let text = document.to_string();
    assert!(!text.contains("--force"), "{text}");
    namespace
        .kubectl(["annotate", "pod", "web-1", "stateful.test/stuck-terminating-"])
        .output()
        .success();
}

#[test]
fn who_manages_the_set_is_said() {
    let namespace = TestCluster::shared().namespace("managed");
    ready_web(&namespace, 1, |set| {
        set["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "shop"});
        set["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "db"});
    });
    let hpa = ["autoscale", "sts", "web", "--min=1", "--max=3"];
    namespace.kubectl(hpa).output().success();
    let shown = namespace.stateful(["status", "web"]).output().success();
    assert!(shown.contains("managed by Flux shop, Helm db, HPA web"), "{shown}");
}

#[test]
fn a_wait_ends_when_its_goal_is_reached_or_its_time_is_up() {
    let namespace = TestCluster::shared().namespace("wait");
    let never = |set: &mut Value| {
        set["spec"]["template"]["metadata"]["annotations"] =
            json!({"stateful.test/never-ready": "true"});
    };
    namespace.apply(&web(1, never));
    let run = namespace.stateful(["status", "web", "--wait-for", "ready", "--timeout", "2s"]);
    let output = run.deadline(SOON).output().expect(6);
    assert!(output.stderr.contains("waiting for "), "{output}");
    let ended = format!("error: timed out waiting for {}/web to be ready: ", namespace.name());
    assert!(output.stderr.contains(&ended), "{output}");
    assert!(output.stdout.contains("0 of 1 ready"), "the answer stands on stdout\n{output}");
    let run = namespace.stateful(["status", "web", "--wait-for", "ready", "--timeout", "60s"]);
    let waiting = run.deadline(SOON).start();
    waiting.wait_for_stderr("the wait to begin", |said| said.contains("waiting for "));
    namespace
        .kubectl(["annotate", "pod", "web-0", "stateful.test/never-ready-"])
        .output()
        .success();
    let output = waiting.finish().expect(0);
    assert!(output.stdout.contains("1 of 1 ready"), "{output}");
}

#[test]
fn ctrl_c_and_sigterm_end_a_wait_with_their_own_codes() {
    let namespace = TestCluster::shared().namespace("signals");
    ready_web(&namespace, 1, |_| {});
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let run =
            namespace.stateful(["status", "web", "--watch", "--timeout", "60s"]).deadline(SOON);
        let watching = run.start();
        watching.wait_for_stdout("the tree", |shown| shown.contains("web-0"));
        watching.signal(signal);
        watching.finish().expect(code);
    }
}

#[test]
fn off_a_terminal_a_watch_prints_a_line_for_each_change() {
    let namespace = TestCluster::shared().namespace("watch");
    ready_web(&namespace, 2, |_| {});
    let run = namespace.stateful(["status", "web", "--watch", "--timeout", "60s"]).deadline(SOON);
    let watching = run.start();
    watching.wait_for_stdout("the tree", |shown| shown.contains("2 of 2 ready"));
    namespace.apply(&web(2, image_pull));
    let shown = watching.wait_for_stdout("the change", |shown| {
        shown.contains("web-1 is a new pod on ")
            && shown.contains("STATUS-IMAGE-PULL web-1 cannot pull nginx:1.99")
    });
    assert!(!shown.contains('\u{1b}'), "no escape sequence off a terminal:\n{shown}");
    watching.signal("INT");
    watching.finish().expect(130);
    let run = namespace.stateful(["status", "web", "--watch", "-o", "jsonl", "--timeout", "2s"]);
    let watching = run.deadline(SOON).start();
    let output = watching.finish().expect(6);
    let last: Value =
        serde_json::from_str(output.stdout.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["schema"], "kubectl-stateful/status/v1", "the stream ends with the document");
    assert_eq!((&last["result"], &last["exitCode"]), (&json!("timeout"), &json!(6)));
    let run = namespace.stateful(["status", "web", "--watch", "-o", "json", "--timeout", "2s"]);
    let output = run.deadline(SOON).output().expect(6);
    let only: Value = serde_json::from_str(&output.stdout).expect("one document and nothing else");
    assert_eq!(only["schema"], "kubectl-stateful/status/v1");
}

#[test]
fn a_set_that_is_made_again_under_a_watch_is_a_conflict() {
    let namespace = TestCluster::shared().namespace("replaced");
    ready_web(&namespace, 1, |_| {});
    let proxy = namespace.cluster().proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let run = namespace.stateful(["status", "web", "--watch", "--timeout", "60s"]);
    let watching = run.kubeconfig(&kubeconfig).deadline(SOON).start();
    watching.wait_for_stdout("the tree", |shown| shown.contains("web-0"));
    // Held back, so that the watcher sees the new set and not the gap.
    let gate = Gate::closed();
    let is_read = |seen: &Seen| seen.path.ends_with("/statefulsets/web");
    proxy.when(is_read, Fault::Hold(gate.clone()));
    namespace.kubectl(["delete", "sts", "web"]).deadline(SOON).output().success();
    namespace.apply(&web(1, |_| {}));
    gate.release();
    let output = watching.finish().expect(7);
    assert!(output.stderr.contains("was deleted and made again while it was watched"), "{output}");
    let run = namespace.stateful(["status", "web", "--watch", "--timeout", "60s"]).deadline(SOON);
    let watching = run.start();
    watching.wait_for_stdout("the tree", |shown| shown.contains("web-0"));
    namespace.kubectl(["delete", "sts", "web"]).deadline(SOON).output().success();
    let output = watching.finish().expect(1);
    assert!(output.stderr.contains("(NotFound): statefulsets.apps \"web\" not found"), "{output}");
}

#[test]
fn a_watch_outlives_a_server_that_fails_for_a_while() {
    let namespace = TestCluster::shared().namespace("outage");
    ready_web(&namespace, 1, |_| {});
    let proxy = namespace.cluster().proxy();
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let run = namespace.stateful([
        "status",
        "web",
        "--wait-for",
        "updated",
        "--watch",
        "--timeout",
        "60s",
    ]);
    namespace.apply(&web(1, image_pull));
    let watching = run.kubeconfig(&kubeconfig).deadline(SOON).start();
    watching.wait_for_stdout("the tree", |shown| shown.contains("web-0"));
    let mut failures = 0;
    proxy.on(move |seen| {
        failures += 1;
        (failures <= 6 && !seen.writes()).then(|| Fault::Answer(Answer::unavailable()))
    });
    namespace.apply(&web(1, |_| {}));
    // The broken pod is in the way (kubernetes #67250); the watch is to see it go.
    namespace.kubectl(["delete", "pod", "web-0", "--wait=false"]).output().success();
    watching.finish().expect(0);
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let namespace = TestCluster::shared().namespace("pipe");
    ready_web(&namespace, 1, |_| {});
    let binary = env!("CARGO_BIN_EXE_kubectl-stateful");
    let line =
        format!("set -o pipefail; {binary} status web -o json -n {} | true", namespace.name());
    let output = Run::new("/bin/bash")
        .args(["-c", &line])
        .kubeconfig(namespace.cluster().kubeconfig())
        .deadline(SOON)
        .output()
        .expect(0);
    assert_eq!(output.stderr, "", "{output}");
    // A watch ends with the first change that nobody reads.
    let line = format!("{binary} status web --watch -n {} | head -1", namespace.name());
    let run =
        Run::new("/bin/bash").args(["-c", &line]).kubeconfig(namespace.cluster().kubeconfig());
    let watching = run.deadline(SOON).start();
    watching.wait_for_stdout("the first line", |shown| shown.contains("1 of 1 ready"));
    namespace.kubectl(["scale", "sts", "web", "--replicas=2"]).output().success();
    let output = watching.finish().expect(0);
    assert_eq!(output.stderr, "", "{output}");
}

#[test]
fn names_are_completed_within_the_time_of_a_key_press() {
    let namespace = TestCluster::shared().namespace("complete");
    ready_web(&namespace, 1, |_| {});
    let complete = ["__complete", "status", "-n", namespace.name()];
    let cluster = namespace.cluster();
    for (typed, wanted) in [("we", "web\n:4\n"), ("sts/", "sts/web\n:4\n"), ("x", ":4\n")] {
        // On a machine that is busy with other tests a try may run out of its time.
        wait_for(SOON, &format!("candidates for {typed}"), || {
            let output = cluster.stateful(complete).args([typed]).output().expect(0);
            assert_eq!(output.stderr, "", "a stray word lands in somebody's prompt");
            (output.stdout == wanted).then_some(())
        });
    }
    wait_for(SOON, "the second word", || {
        let output = cluster.stateful(complete).args(["sts", "we"]).output().expect(0);
        (output.stdout == "web\n:4\n").then_some(())
    });
    // A server that does not answer: silence, and soon.
    let proxy = cluster.proxy();
    let gate = Gate::closed();
    proxy.when(|_| true, Fault::Hold(gate.clone()));
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let asked = |kubeconfig: &Path| {
        let output = cluster.stateful(complete).args(["we"]).kubeconfig(kubeconfig).output();
        let output = output.expect(0);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (":4\n", ""));
        output.took
    };
    wait_for(SOON, "a try that the machine does not slow down", || {
        // What a process takes that asks nobody.
        let alone = asked(Path::new("/nonexistent"));
        (asked(&kubeconfig) < alone + Duration::from_millis(150)).then_some(())
    });
    gate.release();
}

/// `script` gives the program a terminal, and writes down what it draws.
#[test]
fn on_a_terminal_it_redraws_in_place() {
    let namespace = TestCluster::shared().namespace("terminal");
    ready_web(&namespace, 1, |_| {});
    let binary = env!("CARGO_BIN_EXE_kubectl-stateful");
    let line = format!(
        "stty rows 8 cols 90; {binary} status web --watch --timeout 3s -n {}",
        namespace.name()
    );
    let output = Run::new("/usr/bin/script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .kubeconfig(namespace.cluster().kubeconfig())
        .deadline(SOON)
        .output()
        .expect(6);
    let frames: Vec<&str> = output.stdout.split("\u{1b}[?7l").skip(1).collect();
    assert!(frames.len() >= 2, "it draws again as ages change: {:?}", output.stdout);
    let lines = frames[0].matches('\n').count();
    assert!(frames[1].starts_with(&format!("\u{1b}[{lines}A\r")), "{:?}", frames[1]);
    assert!(
        frames.iter().all(|frame| frame.contains("web-0") && frame.contains("\u{1b}[J\u{1b}[?7h"))
    );
}

#[test]
fn a_watch_outlives_a_restart_of_the_api_server() {
    let cluster = TestCluster::fresh();
    let namespace = cluster.namespace("restart");
    ready_web(&namespace, 1, |_| {});
    let run = namespace.stateful(["status", "web", "--watch", "--timeout", "100s"]);
    let watching = run.deadline(2 * SOON).start();
    watching.wait_for_stdout("the tree", |shown| shown.contains("1 of 1 ready"));
    cluster.restart("kube-apiserver");
    wait_for(SOON, "the server to take a change", || {
        let scale = ["scale", "sts", "web", "--replicas=2"];
        (namespace.kubectl(scale).output().code() == Some(0)).then_some(())
    });
    watching.wait_for_stdout("the change after the restart", |shown| {
        shown.contains("web: Ready, 2 of 2 ready")
    });
    watching.signal("INT");
    watching.finish().expect(130);
}

/// What stands under `Examples:` is typed as it stands.
#[test]
fn the_examples_of_every_help_work() {
    let namespace = TestCluster::shared().namespace("examples");
    ready_web(&namespace, 1, |_| {});
    let cluster = namespace.cluster();
    let kubeconfig = namespace.directory().join("kubeconfig");
    fs::copy(cluster.kubeconfig(), &kubeconfig).expect("a kubeconfig of our own");
    let here = ["config", "set-context", "--current", "--namespace", namespace.name()];
    cluster.kubectl(here).kubeconfig(&kubeconfig).output().success();
    let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-stateful"));
    let mut typed = 0;
    for command in ["status", "completion", "version"] {
        let help = namespace.cluster().stateful([command, "--help"]).output().success();
        let (_, examples) = help.split_once("Examples:\n").expect("examples");
        let (examples, _) = examples.split_once("\nUsage:").expect("how it is used");
        for example in examples.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if example.is_empty() {
                continue;
            }
            let line = format!(
                "set -e; cd {}; mkdir -p ~/.config/fish/completions; {example}",
                namespace.directory().display()
            );
            Run::new("/bin/bash")
                .args(["-c", &line])
                .search(cluster.kubectl_path().parent().expect("a directory"))
                .search(plugin.parent().expect("a directory"))
                .home(namespace.directory())
                .kubeconfig(&kubeconfig)
                .deadline(SOON)
                .output()
                .expect(0);
            typed += 1;
        }
    }
    assert!(typed >= 9, "{typed} examples");
}
