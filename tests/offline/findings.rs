//! Every rule of `status` in a case of its own, and what must not be found.

use std::collections::BTreeSet;

use kubectl_stateful::{
    output::{Exit, Format, Look},
    status::{
        plan::{Goal, Health},
        report, stuck,
    },
    workload::Severity,
};
use serde_json::{Value, json};

use super::build::*;

/// A set after a template change: `web-2` is to be on revision `web-2`.
fn rolling(partition: u32) -> Value {
    let set = with(set(), "/status/updateRevision", json!("web-2"));
    with(set, "/spec/updateStrategy/rollingUpdate/partition", json!(partition))
}

fn on_revision(pod: Value, revision: &str) -> Value {
    with(pod, "/metadata/labels/controller-revision-hash", json!(revision))
}

fn deleting(object: Value, overdue: i64) -> Value {
    with(object, "/metadata/deletionTimestamp", json!(ago(overdue)))
}

fn node(ready: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"},
        "status": {"conditions": [{
            "type": "Ready", "status": ready, "lastTransitionTime": ago(300),
            "message": "Kubelet stopped posting node status.",
        }]},
    })
}

fn probe(kind: &str, command: &[&str]) -> Value {
    with(
        set(),
        &format!("/spec/template/spec/containers/0/{kind}"),
        json!({"exec": {"command": command}}),
    )
}

#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub objects: Vec<Value>,
    /// Exactly these, in this order.
    ids: &'static [&'static str],
    /// What the findings' messages must say.
    says: &'static [&'static str],
}

pub fn case(
    name: &'static str,
    others: Vec<Value>,
    gone: &[&str],
    ids: &'static [&'static str],
    says: &'static [&'static str],
) -> Case {
    Case { name, objects: replace(without(healthy(), gone), others), ids, says }
}

/// The refusal of web-2 by the quota q.
fn over_quota() -> Value {
    event(
        "set-1",
        "FailedCreate",
        "create Pod web-2 in StatefulSet web failed error: pods \"web-2\" is forbidden: exceeded \
         quota: q, requested: pods=1,requests.cpu=500m, used: pods=2,requests.cpu=1, limited: \
         pods=2,requests.cpu=1",
    )
}

/// A quota of which one CPU is used.
fn quota(name: &str, hard_pods: &str, used_pods: &str, hard_cpu: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hard": {"pods": hard_pods, "requests.cpu": hard_cpu}},
        "status": {
            "hard": {"pods": hard_pods, "requests.cpu": hard_cpu},
            "used": {"pods": used_pods, "requests.cpu": "1"},
        },
    })
}

/// Every case, also those beside this file.
pub fn cases() -> Vec<Case> {
    [own_cases(), super::causes::cases()].concat()
}

/// The volume of web-2, which no claim has.
fn free() -> Value {
    let volume = with(volume(2), "/status/phase", json!("Available"));
    with(volume, "/spec/claimRef", Value::Null)
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn own_cases() -> Vec<Case> {
    let crash =
        json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(30)}});
    let crashing = with(
        with(
            waiting(1, "CrashLoopBackOff", "back-off"),
            "/status/containerStatuses/0/lastState",
            crash,
        ),
        "/status/containerStatuses/0/restartCount",
        json!(7),
    );
    let unscheduled = |reason: &str, message: &str| {
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": reason, "message": message});
        let pod = with(unready(2, 60), "/status/conditions/1", condition);
        with(with(pod, "/status/phase", json!("Pending")), "/status/containerStatuses", json!([]))
    };
    let unbound = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let on_its_claim = |pod: Value| {
        let claim = json!({"claimName": "www-web-2"});
        with(pod, "/spec/volumes", json!([{"name": "www", "persistentVolumeClaim": claim}]))
    };
    let creating = with(waiting(2, "ContainerCreating", ""), "/status/phase", json!("Pending"));
    let no_class = with(pending_claim(2), "/spec/storageClassName", json!("gold"));
    let absent_class = {
        let mut claim = pending_claim(2);
        claim["spec"].as_object_mut().expect("a spec").remove("storageClassName");
        claim
    };
    let manual = with(pending_claim(2), "/spec/storageClassName", json!("manual"));
    let small = with(
        with(volume(9), "/spec/storageClassName", json!("manual")),
        "/spec/capacity/storage",
        json!("10Mi"),
    );
    let small =
        with(with(small, "/status/phase", json!("Available")), "/spec/claimRef", Value::Null);
    let released = with(
        with(volume(7), "/status/phase", json!("Released")),
        "/spec/claimRef",
        json!({"namespace": "default", "name": "www-web-1", "uid": "claim-of-old"}),
    );
    let retention = |field: &str| {
        with(set(), "/spec/persistentVolumeClaimRetentionPolicy", json!({field: "Delete"}))
    };
    let wait_class = class("standard", "test/provisioner", "WaitForFirstConsumer");
    vec![
        case("healthy", vec![], &[], &[], &[]),
        case(
            "image",
            vec![waiting(2, "ImagePullBackOff", "rpc error: code = NotFound desc = x: not found")],
            &[],
            &["STATUS-IMAGE-PULL"],
            &["web-2 cannot pull nginx:1.21 (container nginx): not found"],
        ),
        case(
            "image of an init container",
            vec![with(
                with(
                    waiting(2, "PodInitializing", ""),
                    "/spec/initContainers",
                    json!([{"name": "init", "image": "init:9"}]),
                ),
                "/status/initContainerStatuses",
                json!([{"name": "init", "state": {"waiting": {"reason": "ErrImagePull", "message": "denied"}}}]),
            )],
            &[],
            &["STATUS-IMAGE-PULL"],
            &["cannot pull init:9 (container init): denied"],
        ),
        case(
            "crash loop below a missing ordinal",
            vec![crashing],
            &["Pod/web-2"],
            &["STATUS-CRASH-LOOP", "STATUS-BLOCKED-ORDINAL"],
            &[
                "container nginx of web-1 keeps exiting with code 137 (OOMKilled), last 30s ago; 7 restarts",
                "web-1 has not been Ready for 60s; until it is available, web-2 will not be created",
            ],
        ),
        case(
            "container config",
            vec![waiting(2, "CreateContainerConfigError", "secret \"db\" not found")],
            &[],
            &["STATUS-CONTAINER-CONFIG"],
            &["CreateContainerConfigError: secret \"db\" not found"],
        ),
        case(
            "unschedulable",
            vec![unscheduled("Unschedulable", "0/2 nodes are available: 2 Insufficient cpu.")],
            &[],
            &["STATUS-UNSCHEDULABLE"],
            &["no node fits web-2: 0/2 nodes are available: 2 Insufficient cpu."],
        ),
        case(
            "the scheduler is behind",
            vec![on_its_claim(unscheduled("Unschedulable", unbound))],
            &[],
            &["STATUS-SCHEDULER-BEHIND"],
            &["web-2 is not scheduled because its claims were not bound, but they are bound now"],
        ),
        case(
            "the scheduler is right",
            vec![on_its_claim(unscheduled("Unschedulable", unbound)), pending_claim(2)],
            &[],
            &["STATUS-CLAIM-PROVISIONING", "STATUS-UNSCHEDULABLE"],
            &["no node fits web-2: 0/2 nodes"],
        ),
        case(
            "gated",
            vec![unscheduled("SchedulingGated", "Scheduling is blocked")],
            &[],
            &["STATUS-SCHEDULING-GATED"],
            &["web-2 waits for its scheduling gates to be removed"],
        ),
        case(
            "mount",
            vec![creating, event("pod-2", "FailedAttachVolume", "rpc error: no such disk")],
            &[],
            &["STATUS-MOUNT"],
            &["web-2 waits for a volume: rpc error: no such disk"],
        ),
        case(
            "not ready",
            vec![unready(2, 90), event("pod-2", "Unhealthy", "Readiness probe failed: 503")],
            &[],
            &["STATUS-NOT-READY"],
            &[
                "web-2 has not been Ready for 90s: container nginx does not pass its probe: Readiness probe failed: 503",
            ],
        ),
        case("not ready yet", vec![unready(2, 10)], &[], &[], &[]),
        case(
            "node lost",
            vec![deleting(unready(2, 400), 60), node("Unknown")],
            &[],
            &["STATUS-NODE-LOST"],
            &["its node node-a has not been Ready for 5m (Kubelet stopped posting node status.)"],
        ),
        case(
            "terminating on a node that is well",
            vec![
                with(
                    deleting(unready(2, 400), 60),
                    "/metadata/finalizers",
                    json!(["example.com/hold"]),
                ),
                node("True"),
            ],
            &[],
            &["STATUS-TERMINATING"],
            &["web-2 should have been gone 60s ago: held by finalizers example.com/hold"],
        ),
        case(
            "reverted, and the broken pod stays",
            vec![
                with(set(), "/status/updateRevision", json!("web-1")),
                on_revision(waiting(2, "ErrImagePull", "not found"), "web-bad"),
            ],
            &[],
            &["STATUS-REVERT-TRAP", "STATUS-IMAGE-PULL"],
            &["web-2 still runs web-bad, the template names web-1"],
        ),
        case(
            "replaced by a third revision, stuck without a reason of its own",
            vec![rolling(0), on_revision(unready(2, 600), "web-bad")],
            &[],
            &["STATUS-REVERT-TRAP", "STATUS-NOT-READY", "STATUS-BLOCKED-ORDINAL"],
            &["web-0 and web-1 will not be updated"],
        ),
        case(
            "the trap is not sprung for a pod below the partition",
            vec![rolling(2), unready(0, 600)],
            &[],
            &["STATUS-NOT-READY", "STATUS-BLOCKED-ORDINAL", "STATUS-PARTITION-HELD"],
            &["web-2 will not be updated"],
        ),
        case(
            "canary",
            vec![rolling(2), on_revision(pod(2), "web-2"), revision("web-2", 2, "nginx:1.22")],
            &[],
            &["STATUS-PARTITION-HELD"],
            &["partition 2 keeps web-0 and web-1 on the stable revision web-1"],
        ),
        case(
            "leftover partition",
            vec![with(set(), "/spec/updateStrategy/rollingUpdate/partition", json!(2))],
            &[],
            &["STATUS-PARTITION-LEFTOVER"],
            &["the next template change will reach only web-2"],
        ),
        case(
            "partition beyond the end",
            vec![with(set(), "/spec/updateStrategy/rollingUpdate/partition", json!(9))],
            &[],
            &["STATUS-PARTITION-LEFTOVER"],
            &["will reach no pod at all"],
        ),
        case(
            "staged, and an apply has reset the partition",
            vec![with(
                set(),
                "/metadata/annotations",
                json!({"kubectl-stateful.dev/canary": json!({
                    "format": 1, "set": "set-1", "phase": "staged", "stable": "web-1",
                    "template": "t", "replicas": 3, "partition": 32767, "was": 0,
                    "onDelete": false, "gates": "", "started": ago(60), "run": "me",
                }).to_string()}),
            )],
            &[],
            &["STATUS-CANARY-CHANGED"],
            &["the canary set the partition to 32767, and somebody else set it to 0"],
        ),
        case(
            "on delete",
            vec![with(
                with(set(), "/spec/updateStrategy", json!({"type": "OnDelete"})),
                "/status/updateRevision",
                json!("web-2"),
            )],
            &[],
            &["STATUS-ON-DELETE"],
            &[
                "no pod runs the template's revision web-2 yet: under OnDelete a pod gets it only when it is deleted: web-0, web-1 and web-2",
            ],
        ),
        case(
            "unobserved",
            vec![with(set(), "/metadata/generation", json!(2))],
            &[],
            &["STATUS-UNOBSERVED"],
            &["generation 1, but the newest is 2"],
        ),
        case(
            "quota",
            vec![event(
                "set-1",
                "FailedCreate",
                "create Pod web-2 in StatefulSet web failed error: pods \"web-2\" is forbidden: exceeded quota: q",
            )],
            &["Pod/web-2"],
            &["STATUS-QUOTA"],
            &[
                "web-2 cannot be created: pods \"web-2\" is forbidden: exceeded quota: q (3 tries, the last 20s ago); the quota itself was not read",
            ],
        ),
        case(
            "a quota that is still full",
            vec![over_quota(), quota("q", "3", "2", "1")],
            &["Pod/web-2"],
            &["STATUS-QUOTA"],
            &["limited: pods=2,requests.cpu=1 (3 tries, the last 20s ago)"],
        ),
        case(
            "a quota that has room by now",
            vec![over_quota(), quota("q", "3", "2", "1500m")],
            &["Pod/web-2"],
            &["STATUS-CREATE-WAITS"],
            &["web-2 was refused for quota q (3 tries, the last 20s ago), which has room for \
                 pods=1,requests.cpu=500m by now: the controller tries again within 17 minutes"],
        ),
        case(
            "a quota that is gone",
            vec![over_quota(), quota("another", "3", "3", "1")],
            &["Pod/web-2"],
            &["STATUS-CREATE-WAITS"],
            &["web-2 was refused for quota q (3 tries, the last 20s ago), which is gone: the"],
        ),
        case(
            "a quota that has not been counted",
            vec![over_quota(), with(quota("q", "3", "2", "1"), "/status", json!({}))],
            &["Pod/web-2"],
            &["STATUS-QUOTA"],
            &["exceeded quota: q"],
        ),
        case(
            "admission",
            vec![event(
                "set-1",
                "FailedCreate",
                "create Pod web-2 in StatefulSet web failed error: denied by policy",
            )],
            &["Pod/web-2"],
            &["STATUS-REFUSED"],
            &["web-2 cannot be created: denied by policy"],
        ),
        case(
            "an old refusal of a pod that exists",
            vec![event(
                "set-1",
                "FailedCreate",
                "create Pod web-2 in StatefulSet web failed error: exceeded quota",
            )],
            &[],
            &[],
            &[],
        ),
        case(
            "no such class",
            vec![no_class],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-NO-CLASS"],
            &["www-web-2 of web-2 is Pending: it asks for StorageClass gold, which does not exist"],
        ),
        case(
            "no class and no default",
            vec![absent_class],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-NO-CLASS"],
            &["it names no StorageClass, and the cluster has no default"],
        ),
        case(
            "static volumes, none that fits",
            vec![manual, small],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-NO-VOLUME"],
            &["pv-9 has 10Mi, less than 1Gi"],
        ),
        case(
            "class without provisioner",
            vec![pending_claim(2), class("standard", "kubernetes.io/no-provisioner", "Immediate")],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-NO-VOLUME"],
            &[
                "class standard has no provisioner, and no volume fits: pv-0 is Bound (claim default/www-web-0)",
            ],
        ),
        case(
            "a claim that names a volume of another",
            vec![with(
                with(claim(2), "/status", json!({"phase": "Pending"})),
                "/spec/volumeName",
                json!("pv-1"),
            )],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-NO-VOLUME"],
            &["it names pv-1, but volume pv-1 is Bound and belongs to claim default/www-web-1"],
        ),
        case(
            "a claim that names a volume of another class",
            vec![
                with(
                    with(claim(2), "/status", json!({"phase": "Pending"})),
                    "/spec/volumeName",
                    json!("pv-2"),
                ),
                with(free(), "/spec/storageClassName", json!("slow")),
            ],
            &[],
            &["STATUS-CLAIM-NO-VOLUME"],
            &["names pv-2, but cannot be bound to it: pv-2 has class slow, and the claim asks for"],
        ),
        case(
            "a claim that names a volume which the controller refuses",
            vec![
                with(
                    with(claim(2), "/status", json!({"phase": "Pending"})),
                    "/spec/volumeName",
                    json!("pv-2"),
                ),
                free(),
                event(
                    "claim-2",
                    "VolumeMismatch",
                    "Cannot bind to requested volume \"pv-2\": requested PV is too small",
                ),
            ],
            &[],
            &["STATUS-CLAIM-NO-VOLUME"],
            &["pv-2\": requested PV is too small"],
        ),
        case(
            "not ready without any probe",
            vec![unready(2, 90)],
            &[],
            &["STATUS-NOT-READY"],
            &["web-2 has not been Ready for 90s: container nginx is not ready"],
        ),
        case(
            "a set that is being deleted",
            vec![with(deleting(set(), 300), "/metadata/finalizers", json!(["foregroundDeletion"]))],
            &["Pod/web-2"],
            &["STATUS-SET-DELETING"],
            &["web was deleted 5m ago and is still there, held by foregroundDeletion"],
        ),
        case(
            "a Service without a selector",
            vec![with(service(), "/spec/selector", json!({}))],
            &[],
            &["STATUS-SERVICE-SELECTS-NOTHING"],
            &["Service nginx has no selector"],
        ),
        case(
            "provisioning fails",
            vec![pending_claim(2), event("claim-2", "ProvisioningFailed", "no space left")],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-PROVISIONING"],
            &["test/provisioner says: no space left"],
        ),
        case(
            "waits for its consumer",
            vec![pending_claim(2), wait_class],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-WAITS"],
            &["www-web-2 will be bound when the pod is scheduled"],
        ),
        case(
            "lost",
            vec![with(claim(2), "/status/phase", json!("Lost"))],
            &["PersistentVolume/pv-2"],
            &["STATUS-CLAIM-LOST"],
            &["www-web-2 of web-2 is Lost: volume pv-2 does not exist"],
        ),
        case(
            "claim terminating",
            vec![deleting(claim(2), 5)],
            &[],
            &["STATUS-CLAIM-TERMINATING"],
            &["disk pv-2 is deleted with it (policy Delete)"],
        ),
        case(
            "released volume",
            vec![released],
            &[],
            &["STATUS-VOLUME-RELEASED"],
            &[
                "volume pv-7 is Released and holds the data of an earlier claim www-web-1; web-1 now uses pv-1",
            ],
        ),
        case(
            "service missing",
            vec![with(service(), "/metadata/name", json!("other"))],
            &["Service/nginx"],
            &["STATUS-SERVICE-MISSING"],
            &["serviceName is nginx, but Service nginx does not exist"],
        ),
        case(
            "service not headless",
            vec![with(service(), "/spec/clusterIP", json!("10.96.0.7"))],
            &[],
            &["STATUS-SERVICE-NOT-HEADLESS"],
            &["Service nginx has type ClusterIP and is not headless"],
        ),
        case(
            "service selects nothing",
            vec![with(service(), "/spec/selector", json!({"name": "nginx"}))],
            &[],
            &["STATUS-SERVICE-SELECTS-NOTHING"],
            &["selects name=nginx, but the pods have no such label"],
        ),
        case(
            "service selects what only the template has",
            vec![
                with(
                    with(set(), "/spec/template/metadata/labels/tier", json!("db")),
                    "/spec/updateStrategy",
                    json!({"type": "OnDelete"}),
                ),
                with(service(), "/spec/selector", json!({"tier": "db"})),
            ],
            &[],
            &["STATUS-SERVICE-SELECTS-NOTHING"],
            &["selects tier=db, but the pods have no such label"],
        ),
        case(
            "service selects some of the pods",
            vec![
                with(service(), "/spec/selector", json!({"app": "nginx", "tier": "db"})),
                with(pod(0), "/metadata/labels/tier", json!("db")),
                with(pod(1), "/metadata/labels/tier", json!("db")),
            ],
            &[],
            &["STATUS-SERVICE-SELECTS-NOTHING"],
            &["selects tier=db, but web-2 has no such label"],
        ),
        case(
            "service selects what the next pods do not have",
            vec![
                with(service(), "/spec/selector", json!({"tier": "db"})),
                with(pod(0), "/metadata/labels/tier", json!("db")),
                with(pod(1), "/metadata/labels/tier", json!("db")),
                with(pod(2), "/metadata/labels/tier", json!("db")),
            ],
            &[],
            &["STATUS-SERVICE-SELECTS-NOTHING"],
            &["but the template has no such label: the next pods"],
        ),
        case(
            "namespace going",
            vec![
                json!({
                    "apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": "default", "deletionTimestamp": ago(90)},
                    "status": {"phase": "Terminating"},
                }),
                with(set(), "/metadata/deletionTimestamp", json!(ago(80))),
            ],
            &["Pod/web-2"],
            &["STATUS-NAMESPACE-DELETING", "STATUS-SET-DELETING"],
            &["namespace default was deleted 90s ago: everything in it goes"],
        ),
        case(
            "probe without shell, pod not ready",
            vec![probe("readinessProbe", &["mysql", "-p${MYSQL_ROOT_PASSWORD}"]), unready(0, 90)],
            &["Pod/web-1", "Pod/web-2"],
            &["STATUS-NOT-READY", "STATUS-BLOCKED-ORDINAL", "STATUS-PROBE-NO-SHELL"],
            &["passes \"-p${MYSQL_ROOT_PASSWORD}\" as written"],
        ),
        case(
            "probe without shell, ready all the same",
            vec![probe("livenessProbe", &["check", "$(HOST)"])],
            &[],
            &["STATUS-PROBE-NO-SHELL"],
            &["the liveness probe of container nginx"],
        ),
        case(
            "probe through a shell",
            vec![probe("readinessProbe", &["sh", "-c", "x ${Y}"])],
            &[],
            &[],
            &[],
        ),
        case(
            "when scaled",
            vec![retention("whenScaled")],
            &[],
            &["STATUS-WHEN-SCALED-DELETE"],
            &["3 disks in use would go with them (policy Delete)"],
        ),
        case(
            "when deleted",
            vec![retention("whenDeleted")],
            &[],
            &["STATUS-WHEN-DELETED-DELETE"],
            &["deleting the set deletes its claims"],
        ),
    ]
}

#[test]
fn each_case_finds_exactly_what_it_should() {
    for Case { name, objects, ids, says } in cases() {
        let picture = judged(&objects);
        let found: Vec<&str> = picture.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(found, ids, "{name}: {:#?}", picture.findings);
        for hint in picture.findings.iter().filter_map(|finding| finding.hint.as_deref()) {
            super::words::read_if_ours(hint);
        }
        for words in says {
            let said = picture.findings.iter().any(|finding| finding.message.contains(words));
            assert!(said, "{name}: nothing says {words:?}: {:#?}", picture.findings);
        }
    }
}

/// One that is whole can be put back; one that is in hand, or that part of may be
/// gone, is looked at first.
#[test]
fn a_released_volume_leads_to_its_recovery() {
    let claim = json!({"namespace": "default", "name": "www-web-1", "uid": "claim-of-old"});
    let released = with(volume(7), "/status/phase", json!("Released"));
    let released = with(released, "/spec/claimRef", claim);
    let mark = json!({"kubectl-stateful.dev/migration": "{}"});
    for (volume, wanted) in [
        (released.clone(), "kubectl stateful migrate recover sts/web --ordinal 1 -n default"),
        (with(released.clone(), "/status/phase", json!("Failed")), "kubectl describe pv pv-7"),
        (with(released, "/metadata/annotations", mark), "kubectl describe pv pv-7"),
    ] {
        let picture = judged(&replace(healthy(), vec![volume]));
        let found = picture.findings.iter().find(|one| one.id == "STATUS-VOLUME-RELEASED");
        assert_eq!(found.expect("it").hint.as_deref(), Some(wanted));
    }
}

/// A recovery leaves the disk that was blank: nobody is sent back to it.
#[test]
fn a_released_volume_that_is_newer_than_the_one_in_use_is_no_advice() {
    let claim = json!({"namespace": "default", "name": "www-web-1", "uid": "claim-between"});
    let at = |volume: Value, time: &str| with(volume, "/metadata/creationTimestamp", json!(time));
    let released = with(volume(7), "/status/phase", json!("Released"));
    let released = with(released, "/spec/claimRef", claim);
    let made = |used: &str, released_at: &str| {
        let volumes = vec![at(volume(1), used), at(released.clone(), released_at)];
        let picture = judged(&replace(healthy(), volumes));
        let found = picture.findings.into_iter().find(|one| one.id == "STATUS-VOLUME-RELEASED");
        found.expect("it")
    };
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let newer = made(old, new);
    assert_eq!(newer.severity, Severity::Note, "{newer:?}");
    assert_eq!(newer.hint.as_deref(), Some("kubectl describe pv pv-7"));
    assert!(newer.message.contains("may be blank"), "{newer:?}");
    for used in [new, old] {
        let older = made(used, old);
        assert_eq!(older.severity, Severity::Warning, "{older:?}");
        assert!(older.hint.expect("a line").contains("migrate recover"));
    }
}

#[test]
fn every_rule_has_a_case() {
    let covered: BTreeSet<&str> =
        cases().iter().flat_map(|case| case.ids.iter().copied()).collect();
    for rule in stuck::rules() {
        assert!(covered.contains(rule.id), "{} has no case", rule.id);
    }
}

#[test]
fn two_hundred_pods_with_one_trouble_are_one_finding() {
    let set = with(set(), "/spec/replicas", json!(200));
    let mut objects = replace(healthy(), vec![set]);
    objects = replace(objects, (0..200).map(|n| waiting(n, "ErrImagePull", "not found")).collect());
    let picture = judged(&objects);
    let pulls = picture.findings.iter().filter(|finding| finding.id == "STATUS-IMAGE-PULL");
    let messages: Vec<&str> = pulls.map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with("web-0, web-1 and 198 more cannot pull"), "{messages:?}");
    assert_eq!(picture.health, Health::Stuck);
}

#[test]
fn nothing_is_concluded_from_what_was_not_read() {
    let only_set = without(
        healthy(),
        &["Pod/web-0", "Pod/web-1", "Pod/web-2", "Service/nginx", "StorageClass/standard"],
    );
    let picture = judged(&only_set);
    assert_eq!(picture.findings, []);
    assert_eq!(picture.health, Health::Unknown);
    let unread: Vec<&str> = picture.unread.iter().map(|unread| unread.resource.as_str()).collect();
    assert_eq!(unread, ["pods", "services"]);
}

#[test]
fn pods_of_others_are_not_ours() {
    let foreign = with(pod(1), "/metadata/ownerReferences/0/uid", json!("another-set"));
    let padded = with(pod(2), "/metadata/name", json!("web-02"));
    let picture = judged(&replace(without(healthy(), &["Pod/web-2"]), vec![foreign, padded]));
    let states: Vec<&str> = picture.items.iter().map(|item| item.pod.state.as_str()).collect();
    assert_eq!(states, ["Ready", "Missing", "Missing"]);
}

#[test]
fn ordinals_count_from_their_start() {
    let set = with(rolling(1), "/spec/ordinals", json!({"start": 5}));
    let set = with(set, "/spec/replicas", json!(2));
    let objects = vec![set, pod(5), on_revision(pod(6), "web-2"), pod(0), service()];
    let picture = judged(&objects);
    let names: Vec<(&str, bool)> =
        picture.items.iter().map(|item| (item.pod.name.as_str(), item.pod.uid.is_some())).collect();
    assert_eq!(names, [("web-5", true), ("web-6", true), ("web-0", true)]);
    let held = picture.findings.iter().find(|finding| finding.id == "STATUS-PARTITION-HELD");
    assert_eq!(
        held.map(|f| f.message.as_str()),
        Some("partition 1 keeps web-5 on the stable revision web-1")
    );
}

/// A rollout that is held is a canary of ours, or can be made one; a trap is
/// for unstick either way.
#[test]
fn the_hints_of_a_rollout_name_the_canary() {
    let hint = |set: Value, others: Vec<Value>, id: &str| {
        let objects = replace(replace(healthy(), vec![set]), others);
        let picture = judged(&objects);
        let found = picture.findings.iter().find(|finding| finding.id == id);
        found.and_then(|finding| finding.hint.clone()).unwrap_or_default()
    };
    let annotated = |set: Value| {
        with(set, "/metadata/annotations", json!({"kubectl-stateful.dev/canary": "{}"}))
    };
    let moved = || vec![on_revision(pod(2), "web-2")];
    let held = "STATUS-PARTITION-HELD";
    assert_eq!(
        hint(rolling(2), moved(), held),
        "kubectl stateful canary start web --adopt -n default"
    );
    assert_eq!(
        hint(annotated(rolling(2)), moved(), held),
        "kubectl stateful canary status web -n default"
    );
    let broken = || vec![on_revision(waiting(2, "ErrImagePull", "not found"), "web-3")];
    for set in [set(), annotated(set())] {
        assert_eq!(
            hint(set, broken(), "STATUS-REVERT-TRAP"),
            "kubectl stateful canary unstick web -n default"
        );
    }
}

/// A set of so many ordinals, one of them broken.
fn many(ordinals: u32, broken: u32) -> Vec<Value> {
    let set = with(set(), "/spec/replicas", json!(ordinals));
    let mut objects = vec![set, service(), revision("web-1", 1, "nginx:1.21")];
    for ordinal in 0..ordinals {
        let broken = ordinal == broken;
        let pod = if broken { waiting(ordinal, "ErrImagePull", "not found") } else { pod(ordinal) };
        objects.extend([pod, claim(ordinal), volume(ordinal)]);
    }
    objects
}

#[test]
fn thousands_of_ordinals_fit_on_a_screen() {
    let picture = judged(&many(5000, 4321));
    let text =
        report::render(&picture, Exit::Done, Format::Table, Look::plain(now())).expect("text");
    assert!(text.contains("4999 of 5000 ready"), "{text}");
    assert!(text.contains("web-0 … web-4320") && text.contains("4321 Ready"), "{text}");
    assert!(text.contains("web-4321") && text.contains("web-4322 … web-4999"), "{text}");
    assert!(text.lines().count() < 12, "{text}");
    let wide =
        report::render(&picture, Exit::Done, Format::Wide, Look::plain(now())).expect("text");
    assert!(wide.lines().count() > 5000, "wide leaves nothing out");
    assert!(wide.contains("pv-4999") && !text.contains("pv-"), "and names the volumes");
}

/// Of two sizes, so that a slow or busy machine does not matter: ten times as
/// many take ten times as long, and a hundred times if the work is quadratic.
#[test]
fn thousands_of_ordinals_take_no_more_time_each() {
    let time = |ordinals: u32| {
        let objects = many(ordinals, ordinals / 2);
        let once = || {
            let started = std::time::Instant::now();
            judged(&objects);
            started.elapsed()
        };
        (0..3).map(|_| once()).min().expect("a time")
    };
    let (small, large) = (time(500), time(5000));
    assert!(large < small * 40, "{small:?} for 500, {large:?} for 5000");
}

#[test]
fn whoever_manages_the_set_is_seen_by_what_it_leaves_on_it() {
    let scaler = |kind: &str, api: &str, field: &str, target: &str| {
        json!({
            "apiVersion": api, "kind": kind, "metadata": {"name": "x", "namespace": "default"},
            "spec": {field: {"kind": target, "name": "web"}},
        })
    };
    let mark = |pointer: &str, value: Value| with(set(), pointer, value);
    let managed = |manager: &str| mark("/metadata/managedFields", json!([{"manager": manager}]));
    let owner = json!([{"kind": "Cluster", "name": "pg", "uid": "9", "controller": true}]);
    let by_keda = with(
        scaler("HorizontalPodAutoscaler", "autoscaling/v2", "scaleTargetRef", "StatefulSet"),
        "/metadata/ownerReferences",
        json!([{"kind": "ScaledObject", "name": "x", "uid": "8", "controller": true}]),
    );
    let cases = [
        (vec![set()], vec![]),
        (vec![mark("/metadata/ownerReferences", owner)], vec!["owner Cluster/pg"]),
        (
            vec![mark(
                "/metadata/annotations",
                json!({"argocd.argoproj.io/tracking-id": "shop:apps/StatefulSet:default/web"}),
            )],
            vec!["Argo CD shop"],
        ),
        (
            vec![mark("/metadata/labels", json!({"argocd.argoproj.io/instance": "shop"}))],
            vec!["Argo CD shop"],
        ),
        (vec![managed("argocd-controller")], vec!["Argo CD argocd-controller"]),
        (vec![managed("kustomize-controller")], vec!["Flux kustomize-controller"]),
        (vec![managed("kubectl-client-side-apply")], vec![]),
        (
            vec![mark("/metadata/labels", json!({"helm.toolkit.fluxcd.io/name": "db"}))],
            vec!["Flux db"],
        ),
        (
            vec![mark("/metadata/annotations", json!({"meta.helm.sh/release-name": "db"}))],
            vec!["Helm db"],
        ),
        // Everybody's label alone says nothing.
        (vec![mark("/metadata/labels", json!({"app.kubernetes.io/instance": "db"}))], vec![]),
        (
            vec![
                set(),
                scaler(
                    "HorizontalPodAutoscaler",
                    "autoscaling/v2",
                    "scaleTargetRef",
                    "StatefulSet",
                ),
            ],
            vec!["HPA x"],
        ),
        (
            vec![
                set(),
                scaler("HorizontalPodAutoscaler", "autoscaling/v2", "scaleTargetRef", "Deployment"),
            ],
            vec![],
        ),
        (
            vec![
                set(),
                scaler(
                    "VerticalPodAutoscaler",
                    "autoscaling.k8s.io/v1",
                    "targetRef",
                    "StatefulSet",
                ),
            ],
            vec!["VPA x"],
        ),
        // The HPA that KEDA makes is KEDA's.
        (
            vec![
                set(),
                scaler("ScaledObject", "keda.sh/v1alpha1", "scaleTargetRef", "StatefulSet"),
                by_keda,
            ],
            vec!["KEDA x"],
        ),
    ];
    for (objects, wanted) in cases {
        // Not `replace`: an HPA and a ScaledObject may share a name.
        let mut all = without(healthy(), &["StatefulSet/web"]);
        all.extend(objects);
        let picture = judged(&all);
        let managers: Vec<String> =
            picture.managers.iter().map(|m| format!("{} {}", m.kind.label(), m.name)).collect();
        assert_eq!(managers, wanted);
    }
}

/// Nothing moves by itself under OnDelete, as nothing does below a partition.
#[test]
fn a_set_whose_pods_wait_to_be_deleted_is_ready_and_not_updated() {
    let set = with(
        with(set(), "/spec/updateStrategy", json!({"type": "OnDelete"})),
        "/status/updateRevision",
        json!("web-2"),
    );
    let picture = judged(&replace(healthy(), vec![set]));
    assert_eq!(picture.health, Health::Ready);
    assert!(picture.meets(Goal::Ready) && !picture.meets(Goal::Updated));
}

#[test]
fn a_set_that_is_being_deleted_is_not_ready() {
    let picture = judged(&replace(healthy(), vec![deleting(set(), 5)]));
    assert_eq!(picture.health, Health::Stuck);
    assert!(!picture.meets(Goal::Ready) && !picture.meets(Goal::Updated));
    assert_eq!(picture.set.deleting.map(|time| time.to_string()), Some(ago(5)));
}

#[test]
fn a_volume_that_a_claim_only_names_has_no_say_in_what_becomes_of_it() {
    let names = with(claim(2), "/status", json!({"phase": "Pending"}));
    let names = with(names, "/spec/volumeName", json!("pv-2"));
    let picture = judged(&replace(healthy(), vec![names, free()]));
    let [.., last] = picture.items.as_slice() else { panic!("{:?}", picture.items) };
    assert_eq!(last.claims[0].volume.as_deref(), Some("pv-2"));
    assert_eq!(last.claims[0].reclaim_policy, None);
}
