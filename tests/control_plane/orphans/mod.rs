//! `orphans` on a real control plane: every class made real, the traps in
//! which others fall, missing rights, pages that expire, and what is left when
//! `delete` and `adopt` are killed.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::support::{
    self, Answer, Fault, FaultProxy, Gate, Namespace, Output, SNAPSHOT_CLASS, TestCluster, csi,
    document, report_snapshot, snapshot_of, snapshots, wait_for,
};

mod faults;
mod held;
mod kept;
mod rights;
mod truth;
mod words;

const SOON: Duration = Duration::from_secs(60);

fn claims(namespace: &Namespace) -> String {
    namespace.path("v1", "persistentvolumeclaims", "")
}

fn claim(name: &str, class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": {"app": "hand"}},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    object.pointer_mut(parent).expect("a parent")[key] = value;
    object
}

fn make(namespace: &Namespace, object: &Value) -> Value {
    let kind = object["kind"].as_str().expect("a kind").to_lowercase();
    let version = object["apiVersion"].as_str().expect("a version");
    namespace.cluster().api().create(&namespace.path(version, &format!("{kind}s"), ""), object)
}

fn set(name: &str, template: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "serviceName": name, "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "main", "image": "main:1"}],
                },
            },
            "volumeClaimTemplates": [{
                "metadata": {"name": template},
                "spec": {
                    "accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }],
        },
    })
}

fn scale(namespace: &Namespace, name: &str, spec: &Value) {
    let path = namespace.path("apps/v1", "statefulsets", name);
    namespace.cluster().api().patch(&path, &json!({"spec": spec}));
}

/// Waits until these pods alone are there of a set.
fn pods_are(namespace: &Namespace, set: &str, ordinals: &[u32]) {
    let wanted: Vec<String> = ordinals.iter().map(|ordinal| format!("{set}-{ordinal}")).collect();
    wait_for(SOON, &format!("pods {wanted:?}"), || {
        let pods = namespace.get("v1", "pods", "").expect("pods");
        let mut names: Vec<String> = pods["items"]
            .as_array()
            .expect("items")
            .iter()
            .filter(|pod| pod["metadata"]["labels"]["app"] == set)
            .filter(|pod| pod["status"]["phase"] == "Running")
            .map(|pod| pod["metadata"]["name"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        (names == wanted).then_some(())
    });
}

fn phase_is(namespace: &Namespace, claim: &str, phase: &str) -> Value {
    wait_for(SOON, &format!("claim {claim} to be {phase}"), || {
        let found = namespace.get("v1", "persistentvolumeclaims", claim)?;
        (found["status"]["phase"] == phase).then_some(found)
    })
}

fn volume(namespace: &Namespace, name: &str) -> Option<Value> {
    namespace.cluster().api().get(&format!("/api/v1/persistentvolumes/{name}"))
}

fn volume_of(claim: &Value) -> String {
    claim["spec"]["volumeName"].as_str().expect("a volume").to_owned()
}

fn bound(namespace: &Namespace, name: &str) -> String {
    volume_of(&phase_is(namespace, name, "Bound"))
}

/// A set that was scaled from `before` to `after`, at rest.
fn scaled(namespace: &Namespace, name: &str, before: u32, after: u32) {
    make(namespace, &set(name, "data", before));
    pods_are(namespace, name, &(0..before).collect::<Vec<_>>());
    for ordinal in 0..before {
        bound(namespace, &format!("data-{name}-{ordinal}"));
    }
    scale(namespace, name, &json!({"replicas": after}));
    pods_are(namespace, name, &(0..after).collect::<Vec<_>>());
}

/// Name and class of each row.
fn classes(document: &Value) -> BTreeMap<String, String> {
    let items = document["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| {
            let word = |key: &str| item[key].as_str().expect("a word").to_owned();
            (word("name"), word("class"))
        })
        .collect()
}

fn report(namespace: &Namespace) -> Value {
    document(&namespace.stateful(["orphans", "-o", "json"]).output().expect(0))
}

#[test]
#[expect(clippy::too_many_lines, reason = "one thing after the other")]
fn every_class_is_real() {
    let namespace = TestCluster::shared().namespace("orphans-classes");
    let api = namespace.cluster().api();
    // First what needs its minute.
    let held =
        with(claim("held", "standard"), "/metadata/finalizers", json!(["stateful.test/hold"]));
    make(&namespace, &held);
    bound(&namespace, "held");
    api.delete(&namespace.path("v1", "persistentvolumeclaims", "held"));

    scaled(&namespace, "web", 3, 1);
    scaled(&namespace, "night", 1, 0);
    scaled(&namespace, "elastic", 2, 1);
    make(
        &namespace,
        &json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "elastic"},
            "spec": {
                "maxReplicas": 2,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "elastic"},
            },
        }),
    );
    scaled(&namespace, "late", 2, 2);
    scale(&namespace, "late", &json!({"replicas": 1, "ordinals": {"start": 1}}));
    pods_are(&namespace, "late", &[1]);
    for name in ["old", "renamed"] {
        scaled(&namespace, name, 2, 2);
        namespace.kubectl(["delete", "sts", name, "--cascade=foreground"]).output().expect(0);
    }
    make(&namespace, &set("renamed", "www", 1));
    pods_are(&namespace, "renamed", &[0]);
    make(&namespace, &set("b-c", "a", 0));
    make(&namespace, &set("c", "a-b", 0));
    for name in ["a-b-c-0", "data", "data-foo", "data-web-02"] {
        make(&namespace, &claim(name, "standard"));
        bound(&namespace, name);
    }
    make(&namespace, &claim("never", "no-such-class"));
    let owner = json!([{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "db", "uid": "c-1"}]);
    make(&namespace, &with(claim("db-1", "standard"), "/metadata/ownerReferences", owner));

    make(&namespace, &claim("lost", "standard-retain"));
    let lost = format!("/api/v1/persistentvolumes/{}", bound(&namespace, "lost"));
    api.delete(&lost);
    api.patch(&lost, &json!({"metadata": {"finalizers": null}}));
    phase_is(&namespace, "lost", "Lost");
    let mut released = Vec::new();
    for name in ["released", "failed"] {
        make(&namespace, &claim(name, "standard-retain"));
        released.push(bound(&namespace, name));
        api.delete(&namespace.path("v1", "persistentvolumeclaims", name));
        wait_for(SOON, "a released volume", || {
            let volume = volume(&namespace, released.last()?)?;
            (volume["status"]["phase"] == "Released").then_some(())
        });
    }
    api.patch(
        &format!("/api/v1/persistentvolumes/{}/status", released[1]),
        &json!({"status": {"phase": "Failed"}}),
    );

    // Named by what is at rest, by an ephemeral volume, and by a finished pod.
    for name in ["of-deployment", "of-cron-job", "of-finished"] {
        make(&namespace, &claim(name, "standard"));
    }
    let naming = |claim: &str| {
        json!({
            "containers": [{"name": "main", "image": "main:1"}], "restartPolicy": "Always",
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        })
    };
    make(
        &namespace,
        &json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "resting"},
            "spec": {
                "replicas": 0, "selector": {"matchLabels": {"app": "resting"}},
                "template": {"metadata": {"labels": {"app": "resting"}}, "spec": naming("of-deployment")},
            },
        }),
    );
    make(
        &namespace,
        &json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {
                "schedule": "0 3 * * *", "suspend": true,
                "jobTemplate": {"spec": {"template": {"spec": with(naming("of-cron-job"), "/restartPolicy", json!("Never"))}}},
            },
        }),
    );
    let pod = |name: &str, volume: Value| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {
                "schedulerName": "nobody", "containers": [{"name": "main", "image": "main:1"}],
                "volumes": [volume],
            },
        })
    };
    let claim_template = json!({"spec": claim("x", "standard")["spec"]});
    make(
        &namespace,
        &pod("brief", json!({"name": "tmp", "ephemeral": {"volumeClaimTemplate": claim_template}})),
    );
    bound(&namespace, "brief-tmp");
    make(
        &namespace,
        &pod("done", json!({"name": "v", "persistentVolumeClaim": {"claimName": "of-finished"}})),
    );
    let done = namespace.path("v1", "pods", "done");
    api.patch(&format!("{done}/status"), &json!({"status": {"phase": "Succeeded"}}));

    wait_for(Duration::from_secs(90), "the held claim to be overdue", || {
        classes(&report(&namespace)).contains_key("held").then_some(())
    });
    let found = report(&namespace);
    let wanted: BTreeMap<String, String> = [
        ("held", "terminating-stuck"),
        ("data-web-1", "ordinal-beyond"),
        ("data-web-2", "ordinal-beyond"),
        ("data-night-0", "parked"),
        ("data-elastic-1", "elastic"),
        ("data-late-0", "ordinal-below-start"),
        ("data-old-0", "set-gone"),
        ("data-old-1", "set-gone"),
        ("data-renamed-0", "template-renamed"),
        ("data-renamed-1", "template-renamed"),
        ("a-b-c-0", "conflict"),
        ("data", "unreferenced"),
        ("data-foo", "unreferenced"),
        ("data-web-02", "unreferenced"),
        ("of-finished", "unreferenced"),
        ("never", "pending-never-bound"),
        ("db-1", "managed"),
        ("lost", "lost"),
        (released[0].as_str(), "pv-released"),
        (released[1].as_str(), "pv-failed"),
    ]
    .into_iter()
    .map(|(name, class)| (name.to_owned(), class.to_owned()))
    .collect();
    assert_eq!(classes(&found), wanted, "{found:#}");
    let row = |name: &str| {
        let items = found["items"].as_array().expect("items");
        items.iter().find(|item| item["name"] == name).expect("a row").clone()
    };
    let beyond = row("data-web-2");
    assert_eq!((&beyond["reclaimPolicy"], &beyond["readoptedAt"]), (&json!("Delete"), &json!(3)));
    assert_eq!((&beyond["idleSource"], &beyond["size"]), (&json!("unknown"), &json!("1Gi")));
    assert_eq!(row(&released[0])["idleSource"], "Released since");
    // A set by its name, also one that is gone.
    for (name, count) in [("web", 2), ("old", 2), ("renamed", 2), ("c", 1), ("b-c", 1)] {
        let words = ["orphans", name, "-o", "json"];
        let found = document(&namespace.stateful(words).output().expect(0));
        assert_eq!(classes(&found).len(), count, "{name}: {found:#}");
    }
    namespace.stateful(["orphans", "nobody"]).output().expect(1);
    namespace.stateful(["orphans", "--fail-on", "lost"]).output().expect(3);
    // Not held: its lines name objects of other tests too, which end meanwhile. They
    // have the same names in other namespaces.
    let all = namespace.cluster().stateful(["orphans", "-A", "-o", "json"]).unheld().output();
    let mut all = document(&all);
    let items = all["items"].as_array_mut().expect("items");
    items.retain(|item| item["namespace"] == namespace.name());
    assert_eq!(classes(&all), wanted, "{all:#}");
    both_forms_say_the_same(&namespace, &found);
}

/// A server that speaks only JSON: played by a proxy, with what this one says.
fn both_forms_say_the_same(namespace: &Namespace, wanted: &Value) {
    let proxy = namespace.cluster().proxy();
    let through = namespace.kubeconfig_through(&proxy);
    let run = || namespace.stateful(["orphans", "-o", "json"]).kubeconfig(&through).output();
    run().expect(0);
    let api = namespace.cluster().api();
    let lists = proxy.requests().into_iter().filter(|seen| seen.path.contains("?limit=500"));
    let in_json: BTreeMap<String, Value> = lists
        .map(|seen| {
            assert!(seen.header("accept").is_some_and(|accept| accept.contains("protobuf")));
            let list = api.get(&seen.path).expect("a list");
            (seen.path, list)
        })
        .collect();
    assert_eq!(in_json.len(), 13, "{}", proxy.log());
    proxy.on(move |seen| Some(Fault::Answer(Answer::object(in_json.get(&seen.path)?.clone()))));
    let found = document(&run().expect(0));
    // How long something has been so is said in seconds.
    let rows = |document: &Value| -> Vec<Value> {
        let items = document["items"].as_array().expect("items");
        items.iter().filter(|item| item["name"] != "held").cloned().collect()
    };
    assert_eq!(rows(&found), rows(wanted));
    // Volumes belong to no namespace: other tests make and delete some meanwhile.
    let totals = |document: &Value| {
        let mut totals = document["totals"].clone();
        totals["read"]["volumes"] = Value::Null;
        totals
    };
    assert_eq!(totals(&found), totals(wanted));
}

/// The garbage collector takes such a claim within a moment, where it runs.
#[test]
fn a_claim_outlives_its_owner_only_without_a_garbage_collector() {
    let cluster = TestCluster::fresh();
    let namespace = cluster.namespace("orphans-owner");
    cluster.stop("kube-controller-manager");
    let owner = json!([{"apiVersion": "v1", "kind": "Pod", "name": "gone", "uid": "nobody"}]);
    make(&namespace, &with(claim("left", "standard"), "/metadata/ownerReferences", owner));
    let found = report(&namespace);
    assert_eq!(classes(&found)["left"], "owner-gone", "{found:#}");
    let output = namespace.stateful(["orphans"]).output().expect(0);
    assert!(output.stdout.contains("Pod gone is gone (by uid)"), "{output}");
}

fn rule(group: &str, resources: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "get"]})
}

#[test]
fn without_rights_no_claim_is_called_unused() {
    let namespace = TestCluster::shared().namespace("orphans-rights");
    scaled(&namespace, "web", 2, 1);
    make(&namespace, &claim("hand", "standard"));
    bound(&namespace, "hand");
    let all = [
        ("", "pods"),
        ("", "persistentvolumeclaims"),
        ("", "replicationcontrollers"),
        ("apps", "statefulsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "daemonsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
        ("autoscaling", "horizontalpodautoscalers"),
        ("", "podtemplates"),
    ];
    let cluster_wide =
        json!([rule("", &["persistentvolumes"]), rule("storage.k8s.io", &["volumeattachments"]),]);
    let see = |user: &str, without: &str, cluster_rules: &Value, code: i32| {
        let rules: Vec<Value> = all
            .iter()
            .filter(|(_, resource)| *resource != without)
            .map(|(group, resource)| rule(group, &[resource]))
            .collect();
        let kubeconfig = namespace.user(user, &json!(rules), cluster_rules);
        let run = namespace.stateful(["orphans", "-o", "json"]).kubeconfig(kubeconfig);
        document(&run.output().expect(code))
    };
    let full = see("full", "", &cluster_wide, 0);
    assert_eq!(classes(&full)["data-web-1"], "ordinal-beyond");
    assert_eq!(classes(&full)["hand"], "unreferenced");
    for (number, (_, resource)) in all.iter().enumerate() {
        let found = see(&format!("less-{number}"), resource, &cluster_wide, 8);
        let unread = found["incomplete"].as_array().expect("a list");
        assert!(
            unread
                .iter()
                .any(|one| one["resource"].as_str().is_some_and(|name| name.starts_with(resource)))
        );
        let classes = classes(&found);
        match *resource {
            "persistentvolumeclaims" => assert_eq!(classes.len(), 0),
            "horizontalpodautoscalers" => {
                assert_eq!(classes["data-web-1"], "unknown");
                assert_eq!(classes["hand"], "unreferenced");
            }
            // data-web-0 is in use, as long as its pod or its set can be seen.
            _ => {
                assert!(
                    classes.values().all(|class| class == "unknown"),
                    "{resource}: {classes:?}"
                );
            }
        }
    }
    // Without the volumes the classes stand, the policies do not.
    let found = see("no-volumes", "", &json!([]), 8);
    assert_eq!(classes(&found)["data-web-1"], "ordinal-beyond");
    assert_eq!(found["items"][0]["reclaimPolicy"], Value::Null);
    let rules: Vec<Value> = all.iter().map(|(group, resource)| {
        json!({"apiGroups": [group], "resources": [resource], "verbs": ["list", "get", "delete"]})
    }).collect();
    let kubeconfig = namespace.user("may-delete", &json!(rules), &json!([]));
    let words = ["orphans", "delete", "hand", "--yes"];
    let output = namespace.stateful(words).kubeconfig(kubeconfig).output().expect(4);
    assert!(output.stderr.contains("ORPHANS-POLICY-UNKNOWN"), "{output}");
    bound(&namespace, "hand");
}

/// Three pages of claims and two of pods; the later ones expire once, or
/// always.
#[test]
fn pages_that_expire_are_read_again() {
    let namespace = TestCluster::for_sweeps().namespace("orphans-pages");
    let api = namespace.cluster().api();
    let path = claims(&namespace);
    let pods = namespace.path("v1", "pods", "");
    for number in 0..1010 {
        api.create(&path, &claim(&format!("c-{number}"), "no-such-class"));
    }
    for number in 0..510 {
        api.create(&pods, &json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p-{number}")},
            "spec": {
                "schedulerName": "nobody", "containers": [{"name": "main", "image": "main:1"}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": format!("c-{number}")}}],
            },
        }));
    }
    let expired = || {
        Fault::Answer(Answer::status(410, "Expired", "The provided continue parameter is too old"))
    };
    let run = |proxy: &FaultProxy| {
        let through = namespace.kubeconfig_through(proxy);
        namespace.stateful(["orphans", "-o", "json", "--v", "1"]).kubeconfig(through).output()
    };
    for kind in ["", "persistentvolumeclaims", "pods"] {
        let proxy = namespace.cluster().proxy();
        let once = kind.to_owned();
        proxy.once(
            move |seen| {
                !once.is_empty()
                    && seen.path.contains(&format!("/{once}?"))
                    && seen.path.contains("continue=")
            },
            expired(),
        );
        let output = run(&proxy).expect(0);
        let found = document(&output);
        assert_eq!(found["totals"]["read"]["claims"], 1010, "{kind}");
        assert_eq!(found["totals"]["read"]["used"], 510, "{kind}");
        assert_eq!(classes(&found).len(), 500, "{kind}");
        assert_eq!(output.stderr.contains("expired"), !kind.is_empty(), "{output}");
        // The first page of claims stands before everything that may use them.
        let requests = proxy.requests();
        let first = |what: &str| {
            requests.iter().position(|seen| seen.path.contains(what)).expect("a request")
        };
        assert!(first("/persistentvolumeclaims?limit") < first("/pods?limit"), "{}", proxy.log());
        let lists = proxy.count(|seen| seen.path.contains("limit="));
        assert!(kind == "persistentvolumeclaims" || lists <= 16 + 2, "{}", proxy.log());
    }
    let proxy = namespace.cluster().proxy();
    proxy.when(|seen| seen.path.contains("continue="), expired());
    run(&proxy).expect(1);
    // Lost in the middle of a page, once.
    let proxy = namespace.cluster().proxy();
    proxy.once(|seen| seen.path.contains("/pods?"), Fault::DropAfter);
    assert_eq!(classes(&document(&run(&proxy).expect(0))).len(), 500);
}

/// The state that counts after a deletion.
fn rest(namespace: &Namespace, claim: &str, volume_name: &str) -> Value {
    let pv = volume(namespace, volume_name);
    let claim = namespace.get("v1", "persistentvolumeclaims", claim);
    let ours = |claim: &Value| claim["metadata"].to_string().contains("kubectl-stateful.dev/");
    assert!(!claim.as_ref().is_some_and(ours), "nothing of ours stays on a claim: {claim:#?}");
    json!({
        "claim": claim.map(|claim| claim["spec"]["volumeName"].clone()),
        "phase": pv.as_ref().map(|pv| pv["status"]["phase"].clone()),
        "policy": pv.as_ref().map(|pv| pv["spec"]["persistentVolumeReclaimPolicy"].clone()),
        "kept": pv.as_ref().map(|pv| pv["metadata"]["annotations"]["kubectl-stateful.dev/kept-policy"].clone()),
    })
}

#[test]
fn a_claim_goes_its_volume_stays_and_comes_back() {
    let namespace = TestCluster::shared().namespace("orphans-way");
    scaled(&namespace, "web", 3, 1);
    let pv = bound(&namespace, "data-web-2");
    let orphans = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        namespace.stateful(["orphans"]).args(words).output()
    };
    // Nothing is changed without consent, and nothing by a rehearsal.
    orphans("delete data-web-2").expect(2);
    orphans("delete data-web-2 --dry-run=client").expect(0);
    let dry = document(&orphans("delete data-web-2 --dry-run=server -o json").expect(0));
    assert_eq!(dry["items"][0]["result"], "planned");
    orphans("delete data-web-2 --confirm-plan 00000000").expect(7);
    assert_eq!(rest(&namespace, "data-web-2", &pv)["policy"], "Delete");
    // What is used, of a set, parked, or not there to be kept.
    let refused = orphans("delete data-web-0 data-web-2 --yes").expect(4);
    assert!(refused.stderr.contains("ORPHANS-IN-USE pod web-0 uses data-web-0"), "{refused}");
    orphans(&format!("delete pv/{pv} --yes --keep-pv=false")).expect(4);
    orphans("delete data-web-2 --yes --min-idle 1h").expect(4);
    let refused = orphans("delete data-web-2 --yes --snapshot csi").expect(4);
    assert!(refused.stderr.contains("ORPHANS-NO-SNAPSHOTS"), "{refused}");
    bound(&namespace, "data-web-2");

    let hash = dry["hash"].as_str().expect("a hash");
    let done =
        document(&orphans(&format!("delete data-web-2 -o json --confirm-plan {hash}")).expect(0));
    assert_eq!(done["items"][0]["result"], "deleted");
    let wanted = json!({"claim": null, "phase": "Released", "policy": "Retain", "kept": "Delete"});
    wait_for(SOON, "the volume to be released", || {
        (rest(&namespace, "data-web-2", &pv) == wanted).then_some(())
    });
    // Once more is done already.
    orphans("delete data-web-2 --yes").expect(0);

    // Back to where it was, and the set takes it up.
    orphans(&format!("adopt {pv} --to web/2 --yes")).expect(0);
    assert_eq!(
        rest(&namespace, "data-web-2", &pv),
        json!({"claim": pv, "phase": "Bound", "policy": "Delete", "kept": null})
    );
    orphans(&format!("adopt pv/{pv} --to web/2 --yes")).expect(0);
    scale(&namespace, "web", &json!({"replicas": 3}));
    pods_are(&namespace, "web", &[0, 1, 2]);
    assert_eq!(bound(&namespace, "data-web-2"), pv);
    let taken = orphans("adopt pvc/data-web-2 --to web/0 --yes").expect(4);
    assert!(taken.stderr.contains("ORPHANS-TAKEN"), "{taken}");

    // From the claim of a template that was renamed to the one there is now.
    scaled(&namespace, "moved", 1, 1);
    let pv = bound(&namespace, "data-moved-0");
    namespace.kubectl(["delete", "sts", "moved", "--cascade=foreground"]).output().expect(0);
    make(&namespace, &set("moved", "www", 0));
    orphans("adopt pvc/data-moved-0 --to moved/0 --yes").expect(0);
    assert_eq!(bound(&namespace, "www-moved-0"), pv);
    assert_eq!(namespace.get("v1", "persistentvolumeclaims", "data-moved-0"), None);
    scale(&namespace, "moved", &json!({"replicas": 1}));
    pods_are(&namespace, "moved", &[0]);
}

/// Newer servers say themselves since when a claim is unused (KEP-5541), and
/// whether it is; this server keeps what is said.
#[test]
fn the_unused_condition_of_the_server_counts() {
    let namespace = TestCluster::shared().namespace("orphans-unused");
    scaled(&namespace, "web", 2, 1);
    let path = namespace.path("v1", "persistentvolumeclaims", "data-web-1/status");
    let say = |status: &str, since: &str| {
        let condition = json!({"type": "Unused", "status": status, "lastTransitionTime": since});
        namespace.cluster().api().patch(&path, &json!({"status": {"conditions": [condition]}}));
    };
    let row = || {
        let report = report(&namespace);
        let items = report["items"].as_array().expect("items").clone();
        items.into_iter().find(|item| item["name"] == "data-web-1").expect("it")
    };
    assert_eq!(row()["idleSource"], "unknown");
    say("True", "2026-01-02T03:04:05Z");
    let known = row();
    assert_eq!(known["idleSince"], "2026-01-02T03:04:05Z");
    assert_eq!(known["idleSource"], "condition Unused");
    assert_eq!(known["confidence"], "high");
    let table = namespace.stateful(["orphans", "-o", "table"]).output().expect(0).stdout;
    assert!(!table.contains("<unknown>"), "{table}");
    let delete = |idle: &str| {
        let words = ["orphans", "delete", "data-web-1", "--yes", "--dry-run", "--min-idle", idle];
        namespace.stateful(words).output()
    };
    let refused = delete("9000d").expect(4);
    assert!(refused.stderr.contains("ORPHANS-NOT-IDLE"), "{refused}");
    delete("1d").expect(0);

    say("False", "2026-01-02T03:04:06Z");
    assert_eq!(row()["confidence"], "low");
    let refused = delete("1d").expect(4);
    assert!(refused.stderr.contains("condition Unused"), "{refused}");
}

/// Nothing else is left of the data then, so it has to be ready; what the
/// storage says is said.
#[test]
fn a_snapshot_is_ready_before_its_claim_goes() {
    let namespace = TestCluster::shared().namespace("orphans-snapshot");
    let class = csi(&namespace, &["data-web-0"]);
    let template = "/spec/volumeClaimTemplates/0/spec/storageClassName";
    make(&namespace, &with(set("web", "data", 1), template, json!(class)));
    pods_are(&namespace, "web", &[0]);
    let pv = bound(&namespace, "data-web-0");
    namespace.kubectl(["delete", "sts", "web", "--cascade=foreground"]).output().expect(0);
    snapshots(&namespace);
    // Of a volume that is of no driver.
    scaled(&namespace, "plain", 1, 1);
    namespace.kubectl(["delete", "sts", "plain", "--cascade=foreground"]).output().expect(0);
    let delete = |claim: &str| {
        let words = ["orphans", "delete", claim, "--snapshot", SNAPSHOT_CLASS, "--yes"];
        namespace.stateful(words).args(["--keep-pv=false", "--timeout", "60s"])
    };
    let refused = delete("data-plain-0").output().expect(4);
    assert!(refused.stderr.contains("is not of a CSI driver"), "{refused}");

    let running = delete("data-web-0").start();
    let snapshot = snapshot_of(&namespace, "data-web-0");
    assert_eq!(snapshot["spec"]["volumeSnapshotClassName"], SNAPSHOT_CLASS);
    let busy = json!({"readyToUse": false, "error": {"message": "the array is busy"}});
    report_snapshot(&namespace, &snapshot, &busy);
    running.wait_for_stderr("what is in the way", |said| said.contains("the array is busy"));
    bound(&namespace, "data-web-0");
    report_snapshot(&namespace, &snapshot, &json!({"readyToUse": true, "error": null}));
    let output = running.finish().expect(0);
    assert_eq!(namespace.get("v1", "persistentvolumeclaims", "data-web-0"), None, "{output}");
    let uid = &snapshot_of(&namespace, "data-web-0")["metadata"]["uid"];
    assert_eq!(*uid, snapshot["metadata"]["uid"], "what was taken stays");
    let volume = volume(&namespace, &pv).expect("its policy is Retain");
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
}

#[test]
fn a_report_can_be_fed_to_delete() {
    let namespace = TestCluster::shared().namespace("orphans-from");
    scaled(&namespace, "web", 3, 1);
    scaled(&namespace, "night", 1, 0);
    for form in ["json", "yaml"] {
        let report = namespace.stateful(["orphans", "-o", form]).output().expect(0).stdout;
        let words = ["orphans", "delete", "--from", "-", "--dry-run=client", "-o", "name"];
        let planned = namespace.stateful(words).stdin(report).output().expect(0);
        let wanted = "persistentvolumeclaim/data-web-1\npersistentvolumeclaim/data-web-2\n";
        assert_eq!(planned.stdout, wanted);
    }
    let report = namespace.stateful(["orphans", "-o", "json"]).output().expect(0).stdout;
    // One of them is another one by that name since.
    namespace.cluster().api().delete(&namespace.path("v1", "persistentvolumeclaims", "data-web-2"));
    wait_for(SOON, "the claim to be gone", || {
        namespace.get("v1", "persistentvolumeclaims", "data-web-2").is_none().then_some(())
    });
    make(&namespace, &claim("data-web-2", "standard"));
    bound(&namespace, "data-web-2");
    let delete = ["orphans", "delete", "--from", "-", "--yes"];
    let refused = namespace.stateful(delete).stdin(report.clone()).output().expect(4);
    assert!(refused.stderr.contains("ORPHANS-CHANGED"), "{refused}");
    bound(&namespace, "data-web-1");
    // Scaled up since: in use.
    scale(&namespace, "web", &json!({"replicas": 2}));
    pods_are(&namespace, "web", &[0, 1]);
    let refused = namespace.stateful(delete).stdin(report).output().expect(4);
    assert!(refused.stderr.contains("ORPHANS-IN-USE"), "{refused}");
    for wrong in ["{}", "a: b", "[", r#"{"schema":"kubectl-stateful/status/v1"}"#] {
        namespace.stateful(delete).stdin(wrong).output().expect(2);
    }
}

/// The race that no precondition catches: the set is scaled up between the
/// look and the deletion. The pod keeps the claim, and the volume is kept.
#[test]
fn a_scale_up_in_between_costs_no_data() {
    let namespace = TestCluster::shared().namespace("orphans-race");
    scaled(&namespace, "web", 2, 1);
    let pv = bound(&namespace, "data-web-1");
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    proxy.once(|seen| seen.method == http::Method::DELETE, Fault::Hold(gate.clone()));
    let through = namespace.kubeconfig_through(&proxy);
    let words = ["orphans", "delete", "data-web-1", "--yes", "--timeout", "3s"];
    let running = namespace.stateful(words).kubeconfig(through).start();
    gate.wait_until_reached(SOON);
    scale(&namespace, "web", &json!({"replicas": 2}));
    pods_are(&namespace, "web", &[0, 1]);
    gate.release();
    let output = running.finish().expect(6);
    assert!(
        output.stderr.contains("pod web-1 uses it") || output.stderr.contains("pvc-protection"),
        "{output}"
    );
    let found = rest(&namespace, "data-web-1", &pv);
    assert_eq!(
        (&found["phase"], &found["policy"]),
        (&json!("Bound"), &json!("Retain")),
        "{output}"
    );
}

/// Waits until the claim is gone; its volume is there, and told to stay.
#[track_caller]
fn volume_stays(namespace: &Namespace, claim: &str, pv: &str, output: &Output) {
    let wanted = json!({"claim": null, "phase": "Released", "policy": "Retain", "kept": "Delete"});
    wait_for(SOON, &format!("volume {pv} to be kept\n{output}"), || {
        assert!(volume(namespace, pv).is_some(), "volume {pv} is gone\n{output}");
        namespace.get("v1", "persistentvolumeclaims", claim).is_none().then_some(())?;
        (rest(namespace, claim, pv) == wanted).then_some(())
    });
}

/// Its pod runs, so Kubernetes keeps the claim for now: with its old policy the
/// volume would go when the pod does.
#[test]
fn a_claim_that_is_being_deleted_is_not_adopted() {
    let namespace = TestCluster::shared().namespace("orphans-leaving");
    scaled(&namespace, "db", 2, 2);
    let pv = bound(&namespace, "data-db-1");
    namespace.kubectl(["delete", "pvc", "data-db-1", "--wait=false"]).output().expect(0);
    let orphans = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        namespace.stateful(["orphans"]).args(words).output()
    };
    orphans("delete data-db-1 --yes --timeout 3s").expect(6);
    for words in ["--dry-run", "--yes"] {
        let refused = orphans(&format!("adopt pvc/data-db-1 --to db/1 {words}")).expect(4);
        assert!(refused.stderr.contains("claim data-db-1 is being deleted"), "{refused}");
    }
    scale(&namespace, "db", &json!({"replicas": 1}));
    pods_are(&namespace, "db", &[0]);
    let output = orphans("delete data-db-1 --yes").expect(0);
    volume_stays(&namespace, "data-db-1", &pv, &output);
    // What is gone can be adopted.
    orphans(&format!("adopt {pv} --to db/1 --yes")).expect(0);
    assert_eq!(
        rest(&namespace, "data-db-1", &pv),
        json!({"claim": pv, "phase": "Bound", "policy": "Delete", "kept": null})
    );
}

/// While a claim that is in use is waited for, anybody may change the policy of
/// its volume back. It is set again for as long as the volume is there, and what is
/// said at the end is what the volume says.
#[test]
fn a_volume_that_loses_its_policy_meanwhile_is_not_called_kept() {
    let namespace = TestCluster::shared().namespace("orphans-policy-back");
    scaled(&namespace, "db", 2, 2);
    let pv = bound(&namespace, "data-db-1");
    namespace.kubectl(["delete", "pvc", "data-db-1", "--wait=false"]).output().expect(0);
    let words = ["orphans", "delete", "data-db-1", "--yes", "-o", "json"];
    let running = namespace.stateful(words).start();
    running.wait_for_stderr("the wait for the claim", |said| said.contains("to be gone"));
    let policy = json!({"spec": {"persistentVolumeReclaimPolicy": "Delete"}}).to_string();
    namespace.kubectl(["patch", "pv", &pv, "-p", &policy]).output().expect(0);
    scale(&namespace, "db", &json!({"replicas": 1}));
    let output = running.finish();
    if output.code() == Some(0) {
        volume_stays(&namespace, "data-db-1", &pv, &output);
    } else {
        assert_eq!(support::reason_ids(&output.expect(7)), ["ORPHANS-CHANGED"]);
    }
}

/// Its volume was gone before: there is nothing to keep.
#[test]
fn a_claim_that_has_lost_its_volume_is_deleted() {
    let namespace = TestCluster::shared().namespace("orphans-lost");
    scaled(&namespace, "db", 2, 1);
    let pv = bound(&namespace, "data-db-1");
    namespace.kubectl(["delete", "pv", &pv, "--wait=false"]).output().expect(0);
    let bare = json!({"metadata": {"finalizers": null}}).to_string();
    namespace.kubectl(["patch", "pv", &pv, "-p", &bare]).output().expect(0);
    phase_is(&namespace, "data-db-1", "Lost");
    namespace.stateful(["orphans", "delete", "data-db-1", "--yes"]).output().expect(0);
}

/// A volume that is to be adopted by ordinal 1 of a set with one pod.
fn adoptable(namespace: &Namespace) -> String {
    scaled(namespace, "web", 2, 1);
    let pv = bound(namespace, "data-web-1");
    namespace.stateful(["orphans", "delete", "data-web-1", "--yes"]).output().expect(0);
    pv
}

/// `orphans adopt` that waits before one of its patches.
struct Held {
    running: support::Running,
    gate: Gate,
    _proxy: FaultProxy,
}

/// At so many of its patches of one resource, from 1.
fn adopts_until(namespace: &Namespace, pv: &str, number: usize, part: &'static str) -> Held {
    let proxy = namespace.cluster().proxy();
    let gate = Gate::closed();
    let (held, mut count) = (gate.clone(), 0);
    proxy.on(move |seen| {
        let is_one = seen.method == http::Method::PATCH && seen.path.contains(part);
        count += usize::from(is_one);
        (is_one && count == number).then(|| Fault::Hold(held.clone()))
    });
    let through = namespace.kubeconfig_through(&proxy);
    let words = ["orphans", "adopt", pv, "--to", "web/1", "--yes"];
    let running = namespace.stateful(words).kubeconfig(through).start();
    gate.wait_until_reached(SOON);
    Held { running, gate, _proxy: proxy }
}

/// Between the look at the claim and the write to its volume nobody could tell
/// us; so the claim is held, and the volume kept before it goes.
#[test]
fn whoever_deletes_a_claim_while_it_is_adopted_loses_no_volume() {
    let namespace = TestCluster::shared().namespace("orphans-adopt-race");
    let pv = adoptable(&namespace);
    // Reserved, then the policy.
    let held = adopts_until(&namespace, &pv, 2, "/persistentvolumes/");
    scale(&namespace, "web", &json!({"replicas": 2}));
    pods_are(&namespace, "web", &[0, 1]);
    namespace.kubectl(["delete", "pvc", "data-web-1", "--wait=false"]).output().expect(0);
    held.gate.release();
    let output = held.running.finish().expect(7);
    assert!(output.stderr.contains("claim data-web-1 is being deleted"), "{output}");
    scale(&namespace, "web", &json!({"replicas": 1}));
    pods_are(&namespace, "web", &[0]);
    volume_stays(&namespace, "data-web-1", &pv, &output);
    namespace.stateful(["orphans", "adopt", &pv, "--to", "web/1", "--yes"]).output().expect(0);
    assert_eq!(
        rest(&namespace, "data-web-1", &pv),
        json!({"claim": pv, "phase": "Bound", "policy": "Delete", "kept": null})
    );
}

/// Killed before the claim is let go: the same command ends it, and so does
/// `orphans delete`, also of a claim that somebody has deleted since.
#[test]
fn a_claim_that_was_left_held_is_let_go() {
    let namespace = TestCluster::shared().namespace("orphans-left-held");
    let pv = adoptable(&namespace);
    let orphans = |words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        namespace.stateful(["orphans"]).args(words).output()
    };
    let dies = |pv: &str| {
        // Held, then let go.
        let held = adopts_until(&namespace, pv, 2, "/persistentvolumeclaims/");
        held.running.signal("KILL");
        assert_eq!(held.running.finish().signal(), Some(9));
        let claim = namespace.get("v1", "persistentvolumeclaims", "data-web-1").expect("it");
        assert!(claim["metadata"]["finalizers"].to_string().contains("policy-returns"), "{claim}");
    };
    dies(&pv);
    orphans(&format!("adopt {pv} --to web/1 --yes")).expect(0);
    assert_eq!(
        rest(&namespace, "data-web-1", &pv),
        json!({"claim": pv, "phase": "Bound", "policy": "Delete", "kept": null})
    );
    for deletes in [false, true] {
        orphans("delete data-web-1 --yes").expect(0);
        dies(&pv);
        if deletes {
            let words = ["delete", "pvc", "data-web-1", "--wait=false"];
            namespace.kubectl(words).output().expect(0);
        }
        let output = orphans("delete data-web-1 --yes --timeout 30s").expect(0);
        volume_stays(&namespace, "data-web-1", &pv, &output);
        orphans(&format!("adopt {pv} --to web/1 --yes")).expect(0);
    }
}
