//! Causes that only a kubelet shows, made real: init containers, sidecars, probes
//! and hooks that kill, commands and gates.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{
    Namespace, TestCluster, container, follow, hint_of, ids, status_document, wait_for, web,
    web_set,
};

const SOON: Duration = Duration::from_secs(240);

/// Waits until this is among the findings; returns the document.
#[track_caller]
fn until(namespace: &Namespace, id: &str) -> Value {
    wait_for(SOON, id, || {
        let document = status_document(namespace, "web");
        ids(&document).contains(&id).then_some(document)
    })
}

fn message_of(document: &Value, id: &str) -> String {
    let mut reasons = document["reasons"].as_array().expect("reasons").iter();
    let reason = reasons.find(|reason| reason["id"] == id).expect("the finding");
    reason["message"].as_str().expect("a message").to_owned()
}

/// A probe of a port where nobody listens.
fn nobody() -> Value {
    json!({"tcpSocket": {"port": 9}, "periodSeconds": 1, "failureThreshold": 1})
}

#[test]
fn an_init_container_that_hangs_and_a_sidecar_that_does_not_start() {
    let init = TestCluster::shared_node().namespace("init");
    let sleeps = |name: &str| json!({"name": name, "image": "nginx:1.21", "command": ["sh", "-c", "echo waiting; sleep 9999"]});
    init.apply(&web(1, |set| {
        set["spec"]["template"]["spec"]["initContainers"] = json!([sleeps("wait-for-db")]);
    }));
    let sidecar = TestCluster::shared_node().namespace("sidecar");
    sidecar.apply(&web(1, |set| {
        let mut proxy = sleeps("proxy");
        proxy["restartPolicy"] = json!("Always");
        proxy["startupProbe"] = nobody();
        proxy["startupProbe"]["failureThreshold"] = json!(9999);
        set["spec"]["template"]["spec"]["initContainers"] = json!([proxy]);
    }));
    let unready = TestCluster::shared_node().namespace("sidecar-unready");
    unready.apply(&web(1, |set| {
        let mut proxy = sleeps("proxy");
        proxy["restartPolicy"] = json!("Always");
        proxy["readinessProbe"] = nobody();
        set["spec"]["template"]["spec"]["initContainers"] = json!([proxy]);
    }));
    let found = until(&sidecar, "STATUS-INIT");
    let message = message_of(&found, "STATUS-INIT");
    assert!(message.starts_with("web-0 is at Init:0/1: sidecar proxy has not started for"));
    assert!(message.contains(": Startup probe failed: "), "{message}");
    let message = message_of(&until(&unready, "STATUS-NOT-READY"), "STATUS-NOT-READY");
    let says = "container proxy (a sidecar) does not pass its probe: Readiness probe failed: ";
    assert!(message.contains(says), "{message}");
    let found = until(&init, "STATUS-INIT");
    assert_eq!(found["items"][0]["state"], "Init:0/1");
    let message = message_of(&found, "STATUS-INIT");
    let says = "web-0 is at Init:0/1: init container wait-for-db has been running for ";
    assert!(message.starts_with(says), "{message}");
    follow(&init, &hint_of(&found, "STATUS-INIT"));
}

#[test]
fn a_container_that_the_kubelet_kills_says_for_what() {
    let probed = TestCluster::shared_node().namespace("liveness");
    // It ends well when it is asked to.
    let polite = json!(["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.2; done"]);
    probed.apply(&web(1, |set| {
        container(set)["command"] = polite.clone();
        container(set)["livenessProbe"] = nobody();
        container(set)["readinessProbe"] = nobody();
    }));
    let hooked = TestCluster::shared_node().namespace("hook");
    hooked.apply(&web(1, |set| {
        container(set)["command"] = polite.clone();
        let fails = json!({"exec": {"command": ["sh", "-c", "echo no such user >&2; exit 3"]}});
        container(set)["lifecycle"] = json!({"postStart": fails});
    }));
    // Killed every few seconds, and Ready in between.
    let flaky = TestCluster::shared_node().namespace("flaky");
    flaky.apply(&web(1, |set| {
        let lives = "touch /tmp/alive; sleep 8; rm /tmp/alive; sleep 600";
        container(set)["command"] = json!(["sh", "-c", lives]);
        let alive = json!({"command": ["test", "-e", "/tmp/alive"]});
        container(set)["livenessProbe"] = json!({
            "exec": alive, "initialDelaySeconds": 2, "periodSeconds": 1, "failureThreshold": 1,
            "terminationGracePeriodSeconds": 1,
        });
        container(set).as_object_mut().expect("a container").remove("readinessProbe");
    }));
    let absent = TestCluster::shared_node().namespace("absent");
    absent.apply(&web(1, |set| container(set)["command"] = json!(["no-such-program"])));
    let message = message_of(&until(&absent, "STATUS-CONTAINER-CONFIG"), "STATUS-CONTAINER-CONFIG");
    assert!(message.contains("exec: \"no-such-program\": executable file not found"), "{message}");
    let found = until(&probed, "STATUS-PROBE-KILLS");
    let message = message_of(&found, "STATUS-PROBE-KILLS");
    assert!(message.contains("because its probe fails: Liveness probe failed: "), "{message}");
    assert!(!ids(&found).contains(&"STATUS-CRASH-LOOP"), "{found:#}");
    follow(&probed, &hint_of(&found, "STATUS-PROBE-KILLS"));
    let message = message_of(&until(&hooked, "STATUS-POST-START-HOOK"), "STATUS-POST-START-HOOK");
    assert!(message.contains("because its postStart hook fails: "), "{message}");
    let found = until(&flaky, "STATUS-RESTARTS");
    let message = message_of(&found, "STATUS-RESTARTS");
    assert!(
        message.starts_with("web-0 runs, but its container nginx has been restarted "),
        "{message}"
    );
    assert!(message.contains("because its probe failed: Liveness probe failed"), "{message}");
    follow(&flaky, &hint_of(&found, "STATUS-RESTARTS"));
}

#[test]
fn a_gate_that_nobody_answers_and_a_name_that_somebody_has() {
    let gate = TestCluster::shared_node().namespace("gate");
    gate.apply(&web(1, |set| {
        set["spec"]["template"]["spec"]["readinessGates"] =
            json!([{"conditionType": "example.com/balancer"}]);
    }));
    let taken = TestCluster::shared_node().namespace("taken");
    let mut pod = web_set(1, |_| {})["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"] = json!({"name": "web-1", "labels": {"run": "debug"}});
    taken.apply(&pod.to_string());
    taken.apply(&web(2, |_| {}));
    let found = until(&taken, "STATUS-NAME-TAKEN");
    let message = message_of(&found, "STATUS-NAME-TAKEN");
    assert!(
        message.starts_with("web-1 cannot be created: there is a pod of that name"),
        "{message}"
    );
    assert!(message.ends_with("its labels are not those of the set's selector"), "{message}");
    follow(&taken, &hint_of(&found, "STATUS-NAME-TAKEN"));
    taken.kubectl(["delete", "pod", "web-1"]).deadline(SOON).output().success();
    taken.wait_until_ready("web");
    let message = message_of(&until(&gate, "STATUS-NOT-READY"), "STATUS-NOT-READY");
    let says = "a readiness gate has not passed: nobody has set the condition example.com/balancer";
    assert!(message.ends_with(says), "{message}");
}
