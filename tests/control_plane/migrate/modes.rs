//! `migrate` in the modes that give the set volumes of its own: which objects
//! are made in which order, and that nothing touches the old ones. The nodes
//! are simulated, and so are the storage's clones and snapshots.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Answer, Fault, Namespace, Output, Running, SNAPSHOT_CLASS, TestCluster, csi, csi_volume,
    report_snapshot, snapshot_of, snapshots, wait_for,
};

const SOON: Duration = Duration::from_secs(120);
const COPY: [&str; 4] = ["--mode", "copy", "--copy-image", "rsync:1"];

fn apply(namespace: &Namespace, objects: &Value) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    namespace.apply(&list.to_string());
}

/// A Deployment `app` over the claim `app-claim`.
fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "app" },
        "spec": {
            "replicas": replicas, "strategy": { "type": "Recreate" },
            "selector": { "matchLabels": { "app": "app" } },
            "template": {
                "metadata": { "labels": { "app": "app" } },
                "spec": {
                    "containers": [{
                        "name": "main", "image": "app:1",
                        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                    }],
                    "volumes": [{
                        "name": "data", "persistentVolumeClaim": { "claimName": "app-claim" },
                    }],
                },
            },
        },
    })
}

fn claim(class: &str, mode: &str, volume: Option<&str>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "app-claim" },
        "spec": {
            "storageClassName": class, "accessModes": [mode], "volumeName": volume,
            "resources": { "requests": { "storage": "1Gi" } },
        },
    })
}

#[track_caller]
fn begin(namespace: &Namespace, objects: &Value) {
    apply(namespace, objects);
    namespace.wait("pvc/app-claim", "jsonpath={.status.phase}=Bound");
    let words = ["rollout", "status", "deploy/app", "--timeout=100s"];
    namespace.kubectl(words).deadline(SOON).output().expect(0);
}

#[track_caller]
fn migrate(namespace: &Namespace, words: &[&str], code: i32) -> Output {
    namespace.stateful([&["migrate"], words].concat()).deadline(SOON).output().expect(code)
}

/// Lines of what was written, which come in this order.
#[track_caller]
fn in_order(output: &Output, lines: &[&str]) {
    let mut rest = output.stderr.as_str();
    for line in lines {
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("{line} is not there, or too early\n{output}"));
        rest = &rest[at + line.len()..];
    }
}

fn claim_now(namespace: &Namespace, name: &str) -> Option<Value> {
    namespace.get("v1", "persistentvolumeclaims", name)
}

/// The claim and its volume: what nobody may touch.
fn old(namespace: &Namespace) -> (Value, Value) {
    let claim = claim_now(namespace, "app-claim").expect("the old claim");
    let name = claim["spec"]["volumeName"].as_str().expect("it is bound");
    let volume = namespace.cluster().api().get(&format!("/api/v1/persistentvolumes/{name}"));
    let volume = volume.expect("its volume");
    let lasting = |object: Value| {
        json!([object["metadata"]["uid"], object["metadata"]["annotations"], object["spec"]])
    };
    (lasting(claim), lasting(volume))
}

#[track_caller]
fn nothing_is_left(namespace: &Namespace) {
    let kinds = "jobs,configmaps,statefulsets,services,persistentvolumeclaims";
    let all = namespace.kubectl(["get", kinds, "-o", "json"]).output().success();
    assert!(!all.contains("kubectl-stateful.dev"), "{all}");
}

#[test]
fn a_copy_has_two_passes_and_keeps_the_old_claim() {
    let namespace = TestCluster::shared().namespace("modes-copy");
    begin(&namespace, &json!([claim("standard", "ReadWriteOnce", None), deployment(1)]));
    let before = old(&namespace);
    let words = [&["run", "deploy/app", "--yes", "--storage-class", "standard-retain"], &COPY[..]];
    let run = migrate(&namespace, &words.concat(), 0);
    in_order(
        &run,
        &[
            "persistentvolumeclaim/data-app-0 created",
            "statefulset.apps/app created",
            "job.batch/app-copy1-0 created",
            "deployment.apps/app patched (replicas 1 -> 0)",
            "job.batch/app-copy2-0 created",
            "persistentvolumeclaim/data-app-0 patched",
            "job.batch/app-copy1-0 deleted",
            "job.batch/app-copy2-0 deleted",
            "statefulset.apps/app patched (replicas 0 -> 1)",
        ],
    );
    assert!(!run.stderr.contains("persistentvolume/"), "no volume is written to: {run}");
    assert_eq!(old(&namespace), before);

    let back = migrate(&namespace, &["rollback", "sts/app", "--yes"], 0);
    in_order(
        &back,
        &[
            "statefulset.apps/app patched (replicas 1 -> 0)",
            "deployment.apps/app patched (replicas 0 -> 1)",
            "statefulset.apps/app deleted",
            "persistentvolumeclaim/data-app-0 deleted",
        ],
    );
    assert!(claim_now(&namespace, "data-app-0").is_none());
    assert_eq!(old(&namespace), before);
    nothing_is_left(&namespace);

    let run = migrate(&namespace, &[&words.concat()[..], &["--stop-first"]].concat(), 0);
    assert!(!run.stderr.contains("app-copy1-0"), "one pass is enough: {run}");
    let end = migrate(&namespace, &["finalize", "sts/app", "--yes"], 0);
    assert!(end.stdout.contains("kubectl delete pvc/app-claim"), "{end}");
    assert_eq!(old(&namespace), before);
    nothing_is_left(&namespace);
}

/// The one pod that may have the claim has it: nothing can be copied before it
/// is gone.
#[test]
fn a_claim_for_one_pod_has_no_first_pass() {
    let namespace = TestCluster::shared().namespace("modes-one-pod");
    begin(&namespace, &json!([claim("standard", "ReadWriteOncePod", None), deployment(1)]));
    let run = migrate(&namespace, &[&["run", "deploy/app", "--yes"], &COPY[..]].concat(), 0);
    assert!(!run.stderr.contains("app-copy1-0"), "{run}");
    in_order(&run, &["(replicas 1 -> 0)", "job.batch/app-copy2-0 created"]);
}

/// Somebody starts the Deployment after it was copied, and stops it again: what
/// it wrote is copied, too.
#[test]
fn what_was_written_after_the_copy_is_copied_again() {
    let namespace = TestCluster::shared().namespace("modes-again");
    begin(&namespace, &json!([claim("standard", "ReadWriteMany", None), deployment(2)]));
    // The set's pods are never Ready, so that the run stops in between.
    let words = ["run", "deploy/app", "--yes", "--timeout", "5s", "--verify-exec", "false"];
    let run = migrate(&namespace, &[&words[..], &COPY[..]].concat(), 5);
    in_order(
        &run,
        &["job.batch/app-copy2-1 created", "statefulset.apps/app patched (replicas 0 -> 2)"],
    );
    namespace.kubectl(["scale", "sts/app", "--replicas=0"]).output().expect(0);
    for replicas in ["--replicas=1", "--replicas=0"] {
        namespace.kubectl(["scale", "deploy/app", replicas]).output().expect(0);
    }
    // The check is the run's, whoever goes on: it fails again.
    let again = migrate(&namespace, &["resume", "sts/app", "--yes"], 5);
    assert!(again.stderr.contains("running in app-0: false"), "{again}");
    in_order(
        &again,
        &["job.batch/app-copy2-0 created", "job.batch/app-copy2-1 created", "(replicas 0 -> 2)"],
    );
}

/// The words that a mode needs, and those that are for another.
#[test]
fn flags_of_another_mode_are_refused() {
    let namespace = TestCluster::shared().namespace("modes-words");
    let says = |words: &[&str], wanted: &str| {
        let output = migrate(&namespace, &[&["plan", "deploy/app"], words].concat(), 2);
        assert!(output.stderr.contains(wanted), "{output}");
    };
    says(&["--mode", "copy"], "--copy-image");
    says(&["--size", "2Gi"], "--size is for --mode copy, clone, snapshot");
    says(&["--mode", "clone", "--copy-image", "rsync:1"], "--copy-image is for --mode copy");
    says(
        &["--mode", "clone", "--snapshot-class", "fast"],
        "--snapshot-class is for --mode snapshot",
    );
}

/// Directories of a node cannot be cloned, and a class must be there.
#[test]
fn what_the_storage_cannot_do_is_refused_with_the_reason() {
    let namespace = TestCluster::shared().namespace("modes-refused");
    begin(&namespace, &json!([claim("standard", "ReadWriteOnce", None), deployment(1)]));
    let before = old(&namespace);
    let says = |words: &[&str], id: &str, wanted: &str| {
        let output = migrate(&namespace, &[&["run", "deploy/app", "--yes"], words].concat(), 4);
        assert!(output.stderr.contains(id) && output.stderr.contains(wanted), "{output}");
    };
    let why = "is a hostPath volume, not a CSI volume";
    says(&["--mode", "clone"], "MIGRATE-NO-CLONE", why);
    says(&["--mode", "snapshot"], "MIGRATE-NO-SNAPSHOT", why);
    let class = [&COPY[..], &["--storage-class", "none-such"]].concat();
    says(&class, "MIGRATE-CLASS-UNKNOWN", "there is no storage class \"none-such\"");
    assert_eq!(old(&namespace), before);
    nothing_is_left(&namespace);
}

/// Copying keeps owners and modes, which only root can: where pods may not be
/// root, it is not begun.
#[test]
fn where_no_pod_may_be_root_nothing_is_copied() {
    let namespace = TestCluster::shared().namespace("modes-restricted");
    let label = "pod-security.kubernetes.io/enforce=restricted";
    let namespace_label = ["label", "namespace", namespace.name(), label];
    namespace.kubectl(namespace_label).output().success();
    let mut app = deployment(1);
    let pod = &mut app["spec"]["template"]["spec"];
    pod["securityContext"] = json!({
        "runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": { "type": "RuntimeDefault" },
    });
    pod["containers"][0]["securityContext"] = json!({
        "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
    });
    begin(&namespace, &json!([claim("standard", "ReadWriteOnce", None), app]));
    let before = old(&namespace);
    let refused = migrate(&namespace, &[&["run", "deploy/app", "--yes"], &COPY[..]].concat(), 4);
    for word in ["MIGRATE-SERVER-REFUSES", "violates PodSecurity \"restricted:latest\""] {
        assert!(refused.stderr.contains(word), "{word}: {refused}");
    }
    assert_eq!(old(&namespace), before);
    nothing_is_left(&namespace);
    // What copies nothing needs no pod of its own.
    migrate(&namespace, &["run", "deploy/app", "--yes"], 0);
    migrate(&namespace, &["rollback", "sts/app", "--yes"], 0);
    nothing_is_left(&namespace);
}

/// A device without files goes over as any other volume; copying is for files.
#[test]
fn a_block_device_is_handed_over_and_not_copied() {
    let namespace = TestCluster::shared().namespace("modes-block");
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": namespace.name() },
        "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Block", "storageClassName": namespace.name(),
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": { "driver": "none.test", "volumeHandle": namespace.name() },
        },
    });
    let mut claim = claim(namespace.name(), "ReadWriteOnce", None);
    claim["spec"]["volumeMode"] = json!("Block");
    let driver = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
        "metadata": { "name": "none.test" }, "spec": { "attachRequired": false },
    });
    let mut app = deployment(1);
    let container = &mut app["spec"]["template"]["spec"]["containers"][0];
    container["volumeMounts"] = json!([]);
    container["volumeDevices"] = json!([{ "name": "data", "devicePath": "/dev/data" }]);
    begin(&namespace, &json!([driver, volume, claim, app]));
    let before = old(&namespace);
    let refused = migrate(&namespace, &[&["run", "deploy/app", "--yes"], &COPY[..]].concat(), 4);
    for word in ["MIGRATE-NO-COPY", "app-claim is a block device"] {
        assert!(refused.stderr.contains(word), "{word}: {refused}");
    }
    assert_eq!(old(&namespace), before);
    migrate(&namespace, &["run", "deploy/app", "--yes"], 0);
    let moved = claim_now(&namespace, "data-app-0").expect("the new claim");
    assert_eq!(moved["spec"]["volumeMode"], "Block");
    assert_eq!(moved["status"]["phase"], "Bound");
    let set = namespace.get("apps/v1", "statefulsets", "app").expect("the set");
    assert_eq!(set["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"], "Block");
    migrate(&namespace, &["finalize", "sts/app", "--yes"], 0);
    nothing_is_left(&namespace);
}

/// The application on a volume that can be cloned, and of which snapshots can be
/// taken.
#[track_caller]
fn begin_on_csi(namespace: &Namespace) {
    let class = csi(namespace, &["app-claim"]);
    let volume = format!("{}-app-claim", namespace.name());
    let claim = claim(&class, "ReadWriteOnce", Some(&volume));
    begin(namespace, &json!([claim, deployment(1)]));
}

/// Half installed, or half removed: the API is there, and one of its kinds is
/// not.
#[test]
fn a_snapshot_api_without_classes_does_not_count() {
    let namespace = TestCluster::shared().namespace("modes-half");
    begin_on_csi(&namespace);
    snapshots(&namespace);
    let proxy = namespace.cluster().proxy();
    let absent =
        Answer::status(404, "NotFound", "the server could not find the requested resource");
    proxy.when(|seen| seen.path.contains("/volumesnapshotclasses"), Fault::Answer(absent));
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let run = |words: &[&str]| {
        let all = [&["migrate", "run", "deploy/app", "--dry-run"], words].concat();
        namespace.stateful(all).kubeconfig(&kubeconfig).deadline(SOON).output()
    };
    run(&COPY).expect(0);
    let refused = run(&["--mode", "snapshot"]).expect(4);
    for word in ["MIGRATE-NO-SNAPSHOT", "the server has no snapshot.storage.k8s.io/v1"] {
        assert!(refused.stderr.contains(word), "{word}: {refused}");
    }
    assert!(proxy.count(|seen| seen.status == Some(404)) >= 2, "{}", proxy.log());
}

/// Plays the provisioner: a volume for the new claim, and what it is made from.
fn provision(namespace: &Namespace) -> Value {
    let claim = wait_for(SOON, "the new claim", || claim_now(namespace, "data-app-0"));
    let volume = format!("{}-new", namespace.name());
    let word = |pointer: &str| claim.pointer(pointer).and_then(Value::as_str).expect("a word");
    let size = word("/spec/resources/requests/storage");
    let mut made = csi_volume(&volume, word("/spec/storageClassName"), size);
    made["spec"]["claimRef"] = json!({
        "namespace": namespace.name(), "name": "data-app-0", "uid": word("/metadata/uid"),
    });
    apply(namespace, &json!([made]));
    claim
}

fn start(namespace: &Namespace, words: &[&str]) -> Running {
    let all = [&["migrate", "run", "deploy/app", "--yes"], words].concat();
    namespace.stateful(all).deadline(SOON).start()
}

fn is_stopped(namespace: &Namespace) -> bool {
    namespace.get("apps/v1", "deployments", "app").expect("it")["spec"]["replicas"] == 0
}

#[test]
fn a_clone_is_made_of_a_claim_that_nobody_uses() {
    let namespace = TestCluster::shared().namespace("modes-clone");
    begin_on_csi(&namespace);
    let before = old(&namespace);
    let small = migrate(&namespace, &["plan", "deploy/app", "--mode", "clone", "--size", "1Gi"], 0);
    assert!(small.stdout.contains("MIGRATE-NO-CLONE"), "{small}");
    let run = start(&namespace, &["--mode", "clone"]);
    let claim = provision(&namespace);
    assert!(is_stopped(&namespace));
    let source = &claim["spec"]["dataSource"];
    assert_eq!(
        (&source["kind"], &source["name"]),
        (&json!("PersistentVolumeClaim"), &json!("app-claim"))
    );
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "2Gi", "what the volume has");
    let run = run.finish().expect(0);
    in_order(&run, &["(replicas 1 -> 0)", "data-app-0 created", "(replicas 0 -> 1)"]);
    assert_eq!(old(&namespace), before);
    migrate(&namespace, &["rollback", "sts/app", "--yes"], 0);
    assert!(claim_now(&namespace, "data-app-0").is_none());
    assert_eq!(old(&namespace), before);
    nothing_is_left(&namespace);
}

#[test]
fn a_claim_is_made_from_a_snapshot_once_it_is_ready() {
    let namespace = TestCluster::shared().namespace("modes-snapshot");
    begin_on_csi(&namespace);
    snapshots(&namespace);
    let before = old(&namespace);
    let words = ["run", "deploy/app", "--yes", "--mode", "snapshot", "--snapshot-class", "others"];
    let other = migrate(&namespace, &words, 4);
    assert!(other.stderr.contains("there is no VolumeSnapshotClass others"), "{other}");
    let run = start(&namespace, &["--mode", "snapshot"]);
    let snapshot = snapshot_of(&namespace, "app-claim");
    assert_eq!(snapshot["metadata"]["name"], "app-from-app-claim");
    assert!(is_stopped(&namespace), "of a state that is the last");
    assert_eq!(snapshot["spec"]["volumeSnapshotClassName"], SNAPSHOT_CLASS);
    assert!(claim_now(&namespace, "data-app-0").is_none(), "not before it is ready");
    let ready = json!({ "readyToUse": true, "restoreSize": "3Gi" });
    report_snapshot(&namespace, &snapshot, &ready);
    let claim = provision(&namespace);
    let source = &claim["spec"]["dataSource"];
    assert_eq!(
        (&source["kind"], &source["name"]),
        (&json!("VolumeSnapshot"), &json!("app-from-app-claim"))
    );
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "3Gi", "what a restore needs");
    let run = run.finish().expect(0);
    in_order(
        &run,
        &[
            "(replicas 1 -> 0)",
            "app-from-app-claim created",
            "data-app-0 created",
            "(replicas 0 -> 1)",
        ],
    );
    let end = migrate(&namespace, &["finalize", "sts/app", "--yes"], 0);
    let said = end.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("its policy is Retain"), "{end}");
    let group = "snapshot.storage.k8s.io/v1";
    let left = namespace.get(group, "volumesnapshots", "app-from-app-claim");
    assert!(left.is_none(), "it has served");
    assert_eq!(old(&namespace), before);
    nothing_is_left(&namespace);
}
