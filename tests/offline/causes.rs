//! More cases of the rules of `status`: causes that a set's own status hides.

use serde_json::{Value, json};

use super::{
    build::*,
    findings::{Case, case},
};

/// A pod whose init containers have begun; `init` is the state of the first.
fn initializing(container: &Value, status: &Value) -> Value {
    let pod = waiting(2, "PodInitializing", "");
    let pod = with(pod, "/spec/initContainers", json!([container]));
    with(pod, "/status/initContainerStatuses", json!([status]))
}

/// A container that waits after it has ended like this.
fn crashed(end: &Value) -> Value {
    let pod = waiting(2, "CrashLoopBackOff", "back-off");
    let pod = with(pod, "/status/containerStatuses/0/lastState", json!({"terminated": end}));
    with(pod, "/status/containerStatuses/0/restartCount", json!(7))
}

/// A Ready container that has ended so many times, last so many seconds ago.
fn restarted(times: u32, seconds: i64) -> Value {
    let end = json!({"exitCode": 137, "reason": "Error", "finishedAt": ago(seconds)});
    let pod = with(pod(2), "/status/containerStatuses/0/lastState", json!({"terminated": end}));
    with(pod, "/status/containerStatuses/0/restartCount", json!(times))
}

fn about_container(event: Value, container: &str) -> Value {
    let path = format!("spec.containers{{{container}}}");
    with(event, "/involvedObject/fieldPath", json!(path))
}

/// A pod that is not Ready although its container is.
fn gated(conditions: &[Value]) -> Value {
    let pod = with(unready(2, 90), "/status/containerStatuses/0/ready", json!(true));
    let mut pod =
        with(pod, "/spec/readinessGates", json!([{"conditionType": "example.com/balancer"}]));
    let all = pod["status"]["conditions"].as_array_mut().expect("conditions");
    all.extend_from_slice(conditions);
    pod
}

/// A set with a canary of ours on it.
pub fn with_canary(set: Value, phase: &str, partition: u32, on_delete: bool) -> Value {
    let template = kubectl_stateful::workload::fingerprint(&set["spec"]["template"]);
    let record = json!({
        "format": 1, "set": "set-1", "phase": phase, "stable": "web-1", "template": template,
        "replicas": 3, "partition": partition, "was": 0, "onDelete": on_delete, "gates": "",
        "started": ago(600), "run": "somebody@here/000001",
    });
    let annotations = json!({"kubectl-stateful.dev/canary": record.to_string()});
    with(set, "/metadata/annotations", annotations)
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub fn cases() -> Vec<Case> {
    let init = json!({"name": "wait-for-db", "image": "init:1"});
    let proxy = json!({"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"});
    let running = |name: &str, seconds: i64| {
        json!({
            "name": name, "ready": false, "started": false,
            "state": {"running": {"startedAt": ago(seconds)}},
        })
    };
    let beside = |status: Value| {
        let pod = with(unready(2, 90), "/spec/initContainers", json!([proxy]));
        let pod = with(pod, "/status/initContainerStatuses", json!([status]));
        with(pod, "/status/containerStatuses/0/ready", json!(true))
    };
    let completed = json!({"exitCode": 0, "reason": "Completed", "finishedAt": ago(30)});
    let not_found = "failed to create containerd task: failed to create shim task: OCI runtime \
        create failed: runc create failed: unable to start container process: error during \
        container init: exec: \"serve\": executable file not found in $PATH: unknown";
    let start_error = json!({
        "exitCode": 128, "reason": "StartError", "message": not_found, "finishedAt": ago(30),
    });
    let wrong_password = json!({"exitCode": 1, "reason": "Error", "finishedAt": ago(30)});
    let creating = with(waiting(2, "ContainerCreating", ""), "/status/phase", json!("Pending"));
    let attachment = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment",
        "metadata": {"name": "csi-1", "creationTimestamp": ago(7_200)},
        "spec": {"attacher": "d", "nodeName": "node-b", "source": {"persistentVolumeName": "pv-2"}},
    });
    let held_by_another = "Multi-Attach error for volume \"pv-2\" Volume is already used by pod(s) \
        copy-7";
    let foreign = with(
        pod(2),
        "/metadata/ownerReferences/0",
        json!({"kind": "ReplicaSet", "name": "other", "uid": "rs-1", "controller": true}),
    );
    let made_again = with(set(), "/metadata/creationTimestamp", json!(ago(600)));
    let sized = |size: &str, class: &str| {
        let template = json!([{
            "metadata": {"name": "www"},
            "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}},
        }]);
        with(set(), "/spec/volumeClaimTemplates", template)
    };
    let growing = |conditions: Value| {
        let claim = with(claim(2), "/spec/resources/requests/storage", json!("2Gi"));
        with(claim, "/status/conditions", conditions)
    };
    let partition =
        |set: Value, at: u32| with(set, "/spec/updateStrategy/rollingUpdate/partition", json!(at));
    let undone = with(pod(2), "/metadata/labels/controller-revision-hash", json!("web-2"));
    let made = |revision: Value, seconds: i64| {
        with(revision, "/metadata/creationTimestamp", json!(ago(seconds)))
    };
    let on_delete = with(
        with(set(), "/spec/updateStrategy", json!({"type": "OnDelete"})),
        "/status/updateRevision",
        json!("web-2"),
    );
    vec![
        case(
            "an init container that hangs",
            vec![initializing(&init, &running("wait-for-db", 360))],
            &[],
            &["STATUS-INIT"],
            &["web-2 is at Init:0/1: init container wait-for-db has been running for 6m"],
        ),
        case(
            "an init container that has begun",
            vec![initializing(&init, &running("wait-for-db", 60))],
            &[],
            &[],
            &[],
        ),
        case(
            "a sidecar that does not start",
            vec![
                initializing(&proxy, &running("proxy", 90)),
                event("pod-2", "Unhealthy", "Startup probe failed: connection refused"),
            ],
            &[],
            &["STATUS-INIT"],
            &["sidecar proxy has not started for 90s: Startup probe failed: connection refused"],
        ),
        case(
            "a sidecar that is not ready",
            vec![
                beside(with(running("proxy", 90), "/started", json!(true))),
                event("pod-2", "Unhealthy", "Readiness probe failed: 503"),
            ],
            &[],
            &["STATUS-NOT-READY"],
            &["container proxy (a sidecar) does not pass its probe: Readiness probe failed: 503"],
        ),
        case(
            "a foreign pod with the name of an ordinal",
            vec![foreign],
            &[],
            &["STATUS-NAME-TAKEN"],
            &["there is a pod of that name (Ready), which belongs to ReplicaSet/other"],
        ),
        case(
            "a pod that nobody owns, with other labels",
            vec![with(
                with(pod(2), "/metadata/ownerReferences", json!([])),
                "/metadata/labels",
                json!({"run": "debug"}),
            )],
            &[],
            &["STATUS-NAME-TAKEN"],
            &["belongs to nothing, and its labels are not those of the set's selector"],
        ),
        case(
            "killed by its liveness probe",
            vec![
                crashed(&completed),
                about_container(event("pod-2", "Unhealthy", "Liveness probe failed: 500"), "nginx"),
            ],
            &[],
            &["STATUS-PROBE-KILLS"],
            &["container nginx of web-2: the kubelet keeps killing it because its probe fails: \
                 Liveness probe failed: 500; 7 restarts so far"],
        ),
        case(
            "killed now and then, and Ready in between",
            vec![
                restarted(3, 120),
                about_container(event("pod-2", "Unhealthy", "Liveness probe failed: 500"), "nginx"),
            ],
            &[],
            &["STATUS-RESTARTS"],
            &[
                "web-2 runs, but its container nginx has been restarted 3 times; its last run ended 2m \
                 ago with code 137 (Error): the kubelet killed it because its probe failed: \
                 Liveness probe failed: 500",
            ],
        ),
        case("restarted once, which happens", vec![restarted(1, 120)], &[], &[], &[]),
        case("restarted long ago", vec![restarted(9, 7200)], &[], &[], &[]),
        case(
            "another container is killed by its probe",
            vec![
                crashed(&completed),
                about_container(event("pod-2", "Unhealthy", "Liveness probe failed: 500"), "proxy"),
            ],
            &[],
            &["STATUS-CRASH-LOOP"],
            &["keeps exiting with code 0 (Completed)"],
        ),
        case(
            "its postStart hook fails",
            vec![
                crashed(&completed),
                about_container(event("pod-2", "FailedPostStartHook", "exited with 1"), "nginx"),
            ],
            &[],
            &["STATUS-POST-START-HOOK"],
            &["because its postStart hook fails: exited with 1"],
        ),
        case(
            "a command that is not there",
            vec![crashed(&start_error)],
            &[],
            &["STATUS-CONTAINER-CONFIG"],
            &["StartError: exec: \"serve\": executable file not found in $PATH"],
        ),
        case(
            "a readiness gate that says no",
            vec![gated(&[json!({
                "type": "example.com/balancer", "status": "False", "reason": "Registering",
            })])],
            &[],
            &["STATUS-NOT-READY"],
            &["a readiness gate has not passed: example.com/balancer is not True: Registering"],
        ),
        case(
            "a readiness gate that nobody answers",
            vec![gated(&[])],
            &[],
            &["STATUS-NOT-READY"],
            &["nobody has set the condition example.com/balancer"],
        ),
        case(
            "ready containers, and the kubelet has not said so",
            vec![with(unready(2, 90), "/status/containerStatuses/0/ready", json!(true))],
            &[],
            &["STATUS-NOT-READY"],
            &["its containers are ready, and the kubelet has not said so of the pod"],
        ),
        case(
            "a volume that another node has",
            vec![
                creating.clone(),
                event("pod-2", "FailedAttachVolume", held_by_another),
                attachment,
            ],
            &[],
            &["STATUS-MULTI-ATTACH"],
            &["volume pv-2 is still attached to node node-b (for 120m), where copy-7 uses it"],
        ),
        case(
            "a volume that another node has, and nobody says which",
            vec![creating, event("pod-2", "FailedAttachVolume", held_by_another)],
            &[],
            &["STATUS-MULTI-ATTACH"],
            &["volume pv-2 is still attached to another node, where copy-7 uses it"],
        ),
        case(
            "old data under a new set",
            vec![made_again.clone(), crashed(&wrong_password)],
            &[],
            &["STATUS-CRASH-LOOP", "STATUS-CLAIM-OLDER"],
            &["www-web-2 was made 50m before the set"],
        ),
        case("old data, and all is well", vec![made_again], &[], &[], &[]),
        case(
            "claims that differ from their template",
            vec![
                sized("10Gi", "fast"),
                with(
                    with(claim(0), "/spec/resources/requests/storage", json!("10Gi")),
                    "/status/capacity/storage",
                    json!("10Gi"),
                ),
            ],
            &[],
            &["STATUS-CLAIM-DIFFERS"],
            &[
                "www-web-0: class standard instead of fast",
                "www-web-1 and www-web-2: 1Gi instead of 10Gi and class standard instead of fast",
            ],
        ),
        case("claims like their template", vec![sized("1024Mi", "standard")], &[], &[], &[]),
        case(
            "a claim that grows",
            vec![growing(json!([{
                "type": "FileSystemResizePending", "status": "True", "lastTransitionTime": ago(60),
            }]))],
            &[],
            &["STATUS-RESIZE"],
            &["www-web-2 of web-2 is to grow from 1Gi to 2Gi: the volume has grown"],
        ),
        case(
            "a claim that cannot grow",
            vec![growing(json!([{
                "type": "ControllerResizeError", "status": "True", "message": "quota of the pool",
            }]))],
            &[],
            &["STATUS-RESIZE-STUCK"],
            &["www-web-2 of web-2 is to grow from 1Gi to 2Gi, and that fails: quota of the pool"],
        ),
        case(
            "a claim that cannot grow, by its event",
            vec![growing(json!([])), event("claim-2", "VolumeResizeFailed", "no such volume")],
            &[],
            &["STATUS-RESIZE-STUCK"],
            &["and that fails: no such volume"],
        ),
        case(
            "a change that was taken back",
            vec![
                partition(set(), 2),
                undone,
                made(revision("web-1", 3, "nginx:1.21"), 86_400),
                made(revision("web-2", 2, "nginx:1.22"), 600),
            ],
            &[],
            &["STATUS-PARTITION-HELD"],
            &["the template is that of web-1 again, and web-2 is still on web-2"],
        ),
        case(
            "staged by canary",
            vec![partition(with_canary(set(), "staged", 3, false), 3)],
            &[],
            &["STATUS-PARTITION-HELD"],
            &["a template that is applied now moves no pod before canary start --adopt"],
        ),
        case(
            "a canary under OnDelete",
            vec![with_canary(on_delete, "rolling", 2, true)],
            &[],
            &["STATUS-ON-DELETE"],
            &["no pod runs the template's revision web-2 yet"],
        ),
    ]
}

/// What status tells people to type never goes past the gates of a canary.
#[test]
fn under_a_canary_every_hint_is_the_canarys() {
    for Case { name, objects, .. } in cases() {
        let canary =
            objects[0]["metadata"]["annotations"]["kubectl-stateful.dev/canary"].is_string();
        if !canary {
            continue;
        }
        for finding in judged(&objects).findings {
            assert_eq!(
                finding.hint.as_deref(),
                Some("kubectl stateful canary status web -n default"),
                "{name}"
            );
            assert_eq!(finding.severity, kubectl_stateful::workload::Severity::Note, "{name}");
        }
    }
}

#[test]
fn the_status_column_says_which_init_container_it_is() {
    let init = |name: &str| json!({"name": name, "image": "init:1"});
    let done = |name: &str| json!({"name": name, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let waits =
        |name: &str| json!({"name": name, "state": {"waiting": {"reason": "PodInitializing"}}});
    let pod = waiting(2, "PodInitializing", "");
    let pod = with(pod, "/spec/initContainers", json!([init("a"), init("b"), init("c")]));
    let running = json!({"name": "b", "state": {"running": {"startedAt": ago(5)}}});
    let pod = with(pod, "/status/initContainerStatuses", json!([done("a"), running, waits("c")]));
    let picture = judged(&replace(healthy(), vec![pod]));
    assert_eq!(picture.items[2].pod.state, "Init:1/3");
}

#[test]
fn of_pods_that_were_not_read_nobody_says_how_many_are_ready() {
    let picture = judged(&without(healthy(), &["Pod/web-0", "Pod/web-1", "Pod/web-2"]));
    assert_eq!((picture.set.ready, picture.set.available, picture.set.updated), (None, None, None));
    assert_eq!(picture.set.ready_text(), "3 replicas, unknown how many are ready");
}
