//! Stuck sets made real on a node that runs containers: what `status` says of
//! them, and that its next step helps.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{
    Namespace, TestCluster, claims, container, follow, hint_of, ids, status_document, until_found,
    wait_for, web,
};

const SOON: Duration = Duration::from_secs(120);

/// Waits until this is among the findings, and returns its message.
#[track_caller]
fn until_said(namespace: &Namespace, id: &str) -> String {
    wait_for(SOON, id, || {
        let document = status_document(namespace, "web");
        let reason = document["reasons"].as_array()?.iter().find(|reason| reason["id"] == id)?;
        Some(reason["message"].as_str()?.to_owned())
    })
}

#[test]
fn an_image_that_the_registry_does_not_have_and_the_way_out() {
    let namespace = TestCluster::shared_node().namespace("image");
    namespace.apply(&web(3, |set| claims(set, "standard")));
    namespace.wait_until_ready("web");
    namespace.apply(&web(3, |set| {
        claims(set, "standard");
        container(set)["image"] = json!("nginx:1.99");
    }));
    let message = until_said(&namespace, "STATUS-IMAGE-PULL");
    assert_eq!(message, "web-2 cannot pull nginx:1.99 (container nginx): not found");
    until_found(&namespace, "web", &["STATUS-IMAGE-PULL", "STATUS-BLOCKED-ORDINAL"]);
    // Taken back in the template, and still stuck: kubernetes #67250.
    namespace.apply(&web(3, |set| claims(set, "standard")));
    let trapped = until_found(&namespace, "web", &["STATUS-REVERT-TRAP", "STATUS-IMAGE-PULL"]);
    let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-2").expect("a claim");
    follow(&namespace, &hint_of(&trapped, "STATUS-REVERT-TRAP"));
    let run = namespace.stateful(["status", "web", "--wait-for", "updated", "--timeout", "100s"]);
    run.deadline(SOON).output().expect(0);
    let after = namespace.get("v1", "persistentvolumeclaims", "www-web-2").expect("a claim");
    assert_eq!(after["metadata"]["uid"], claim["metadata"]["uid"], "the claim and its data stay");
}

#[test]
fn a_crash_loop_with_its_exit_code_and_the_log_to_read() {
    let namespace = TestCluster::shared_node().namespace("crash");
    namespace.apply(&web(2, |set| {
        container(set)["command"] = json!(["sh", "-c", "echo no config; exit 7"]);
        // Without a probe it is Ready for a moment at each start, and web-1 is made.
        container(set)["readinessProbe"] =
            json!({"exec": {"command": ["true"]}, "initialDelaySeconds": 5});
    }));
    let message = until_said(&namespace, "STATUS-CRASH-LOOP");
    assert!(message.starts_with("container nginx of web-0 keeps exiting with code 7"), "{message}");
    let found = until_found(&namespace, "web", &["STATUS-CRASH-LOOP", "STATUS-BLOCKED-ORDINAL"]);
    let blocked = found["reasons"][1]["message"].as_str().expect("a message");
    assert!(blocked.ends_with("until it is available, web-1 will not be created"), "{blocked}");
    follow(&namespace, &hint_of(&found, "STATUS-CRASH-LOOP"));
}

#[test]
fn a_secret_that_is_missing() {
    let namespace = TestCluster::shared_node().namespace("config");
    namespace.apply(&web(1, |set| {
        container(set)["env"] = json!([{
            "name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}},
        }]);
    }));
    let message = until_said(&namespace, "STATUS-CONTAINER-CONFIG");
    assert!(message.contains("CreateContainerConfigError: secret \"db\" not found"), "{message}");
    let secret = ["create", "secret", "generic", "db", "--from-literal=password=x"];
    namespace.kubectl(secret).output().success();
    namespace.wait_until_ready("web");
    until_found(&namespace, "web", &[]);
}

#[test]
fn a_volume_that_cannot_be_mounted() {
    let namespace = TestCluster::shared_node().namespace("mount");
    namespace.apply(&web(1, |set| {
        set["spec"]["template"]["spec"]["volumes"] =
            json!([{"name": "conf", "configMap": {"name": "absent"}}]);
        container(set)["volumeMounts"] = json!([{"name": "conf", "mountPath": "/conf"}]);
    }));
    let message = until_said(&namespace, "STATUS-MOUNT");
    assert!(message.contains("configmap \"absent\" not found"), "{message}");
}

#[test]
fn a_pod_that_no_node_can_take() {
    let namespace = TestCluster::shared_node().namespace("big");
    namespace.apply(&web(1, |set| {
        container(set)["resources"] = json!({"requests": {"cpu": "100000"}});
    }));
    let message = until_said(&namespace, "STATUS-UNSCHEDULABLE");
    assert!(message.starts_with("no node fits web-0: 0/"), "{message}");
    assert!(message.contains("Insufficient cpu"), "{message}");
}

#[test]
fn a_readiness_probe_that_fails_is_quoted() {
    let namespace = TestCluster::shared_node().namespace("probe");
    namespace.apply(&web(1, |set| {
        container(set)["readinessProbe"] =
            json!({"httpGet": {"path": "/", "port": 8081}, "periodSeconds": 1});
    }));
    let message = until_said(&namespace, "STATUS-NOT-READY");
    let says = "container nginx does not pass its probe: Readiness probe failed";
    assert!(message.contains(says) && message.contains("connection refused"), "{message}");
}

#[test]
fn the_mysql_example_with_a_variable_that_no_shell_expands() {
    let namespace = TestCluster::shared_node().namespace("mysql-probe");
    let manifest = format!("{}/tests/apps/mysql-probe-bug.yaml", env!("CARGO_MANIFEST_DIR"));
    namespace.kubectl(["apply", "-f", &manifest]).output().success();
    let found = wait_for(SOON, "the probe", || {
        let found = status_document(&namespace, "mysql");
        let guilty = |reason: &&Value| {
            reason["id"] == "STATUS-PROBE-NO-SHELL" && reason["severity"] == "error"
        };
        found["reasons"].as_array()?.iter().find(guilty).cloned()
    });
    let message = found["message"].to_string();
    assert!(message.contains("${MYSQL_ROOT_PASSWORD} is never expanded"), "{found}");
    // The hint, carried out, makes the pod Ready.
    let hint = found["hint"].as_str().expect("a hint");
    let command = hint.strip_prefix("use command: ").expect("a command");
    let command: Value = serde_json::from_str(command).expect("a list of words");
    let patch = json!([{
        "op": "replace",
        "path": "/spec/template/spec/containers/0/readinessProbe/exec/command",
        "value": command,
    }]);
    let patch = patch.to_string();
    namespace.kubectl(["patch", "sts", "mysql", "--type=json", "-p", &patch]).output().success();
    let trapped = wait_for(Duration::from_secs(200), "the trap of the old pod", || {
        let found = status_document(&namespace, "mysql");
        ids(&found).contains(&"STATUS-REVERT-TRAP").then_some(found)
    });
    follow(&namespace, &hint_of(&trapped, "STATUS-REVERT-TRAP"));
    namespace.wait_until_ready("mysql");
}

#[test]
fn a_volume_whose_claim_was_made_again_holds_the_old_data() {
    let namespace = TestCluster::shared_node().namespace("released");
    namespace.apply(&web(1, |set| claims(set, "standard-retain")));
    namespace.wait_until_ready("web");
    let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-0").expect("a claim");
    let volume = claim["spec"]["volumeName"].as_str().expect("a volume").to_owned();
    namespace.kubectl(["scale", "sts", "web", "--replicas=0"]).output().success();
    wait_for(SOON, "the pod to be gone", || {
        namespace.get("v1", "pods", "web-0").is_none().then_some(())
    });
    assert_eq!(status_document(&namespace, "web")["health"], "parked");
    namespace.kubectl(["delete", "pvc", "www-web-0"]).deadline(SOON).output().success();
    namespace.kubectl(["scale", "sts", "web", "--replicas=1"]).output().success();
    namespace.wait_until_ready("web");
    let found = until_found(&namespace, "web", &["STATUS-VOLUME-RELEASED"]);
    let message = found["reasons"][0]["message"].as_str().expect("a message");
    let says = format!("volume {volume} is Released and holds the data");
    assert!(message.starts_with(&says), "{message}");
    // The line shows the volumes to choose from, this one first.
    let hint = hint_of(&found, "STATUS-VOLUME-RELEASED");
    assert!(hint.contains("migrate recover sts/web --ordinal 0"), "{hint}");
    follow(&namespace, &hint);
    namespace.kubectl(["delete", "pv", &volume]).deadline(SOON).output().success();
    until_found(&namespace, "web", &[]);
}

#[test]
fn a_claim_whose_volume_is_gone_is_lost() {
    let namespace = TestCluster::shared_node().namespace("gone");
    let name = format!("pv-{}", namespace.name());
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "storageClassName": name, "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/tmp"},
        },
    });
    namespace.apply(&volume.to_string());
    namespace.apply(&web(1, |set| claims(set, &name)));
    namespace.wait_until_ready("web");
    namespace.kubectl(["delete", "pv", &name, "--wait=false"]).output().success();
    let finalizers = json!({"metadata": {"finalizers": null}}).to_string();
    namespace.kubectl(["patch", "pv", &name, "-p", &finalizers]).output().success();
    let message = until_said(&namespace, "STATUS-CLAIM-LOST");
    assert_eq!(message, format!("www-web-0 of web-0 is Lost: volume {name} does not exist"));
}

#[test]
fn deleting_a_claim_in_use_says_what_becomes_of_the_disk_and_how_to_keep_it() {
    let namespace = TestCluster::shared_node().namespace("doomed");
    namespace.apply(&web(1, |set| claims(set, "standard")));
    namespace.wait_until_ready("web");
    namespace.kubectl(["delete", "pvc", "www-web-0", "--wait=false"]).output().success();
    let found = until_found(&namespace, "web", &["STATUS-CLAIM-TERMINATING"]);
    let message = found["reasons"][0]["message"].as_str().expect("a message");
    assert!(message.contains("held by kubernetes.io/pvc-protection; disk "), "{message}");
    assert!(message.ends_with("is deleted with it (policy Delete)"), "{message}");
    follow(&namespace, &hint_of(&found, "STATUS-CLAIM-TERMINATING"));
    let found = until_found(&namespace, "web", &["STATUS-CLAIM-TERMINATING"]);
    assert!(found["reasons"][0]["message"].to_string().contains("is kept (policy Retain)"));
    let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-0").expect("a claim");
    let volume = claim["spec"]["volumeName"].as_str().expect("a volume").to_owned();
    namespace.kubectl(["delete", "sts", "web"]).deadline(SOON).output().success();
    wait_for(SOON, "the claim to be gone", || {
        namespace.get("v1", "persistentvolumeclaims", "www-web-0").is_none().then_some(())
    });
    let kept = namespace.kubectl(["get", "pv", &volume, "-o", "name"]).output().success();
    assert_eq!(kept.trim(), format!("persistentvolume/{volume}"));
    namespace.kubectl(["delete", "pv", &volume]).deadline(SOON).output().success();
}

#[test]
fn a_pod_of_a_node_that_does_not_answer() {
    let cluster = TestCluster::fresh_node();
    let namespace = cluster.namespace("lost");
    namespace.apply(&web(1, |_| {}));
    namespace.wait_until_ready("web");
    cluster.stop("kubelet");
    let found = wait_for(Duration::from_secs(180), "the lost node", || {
        let found = status_document(&namespace, "web");
        ids(&found).contains(&"STATUS-NODE-LOST").then_some(found)
    });
    let message = found["reasons"][0]["message"].as_str().expect("a message");
    assert!(message.contains("but its node node-a has not been Ready for "), "{message}");
    assert!(!found.to_string().contains("--force"), "{found}");
    cluster.start_part("kubelet");
    let run = namespace.stateful(["status", "web", "--wait-for", "ready", "--timeout", "100s"]);
    run.deadline(SOON).output().expect(0);
}
