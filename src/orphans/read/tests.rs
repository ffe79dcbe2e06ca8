//! Both forms of an object come to the same; the real server's are compared in
//! the control plane tests.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Kind, Pool, decode, item::Item, objects::DiskObject};
use crate::cluster::protobuf::wire::write::*;

const KINDS: [Kind; 13] = [
    Kind::Claim,
    Kind::Volume,
    Kind::Pod,
    Kind::StatefulSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::ReplicationController,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::Autoscaler,
    Kind::ScaledObject,
    Kind::Attachment,
];

fn wire(kind: Kind, parts: &[Vec<u8>]) -> Item {
    decode::item(kind, &parts.concat(), &mut Pool::default()).expect("an object")
}

fn json(kind: Kind, object: Value) -> Item {
    let object: DiskObject = serde_json::from_value(object).expect("an object");
    object.into_item(kind, "default", &mut Pool::default())
}

fn entry(field: u32, key: &str, value: &str) -> Vec<u8> {
    message(field, &[text(1, key), text(2, value)])
}

fn quantity(field: u32, key: &str, size: &str) -> Vec<u8> {
    message(field, &[text(1, key), message(2, &[text(1, size)])])
}

fn time(field: u32, seconds: u64) -> Vec<u8> {
    message(field, &[number(1, seconds)])
}

#[test]
fn a_claim_is_the_same_in_both_forms() {
    let owner = message(
        13,
        &[text(1, "StatefulSet"), text(3, "web"), text(4, "u-2"), text(5, "apps/v1"), number(6, 1)],
    );
    let meta = message(
        1,
        &[
            text(1, "data-web-0"),
            text(3, "shop"),
            text(5, "u-1"),
            time(8, 1_700_000_000),
            time(9, 1_700_000_100),
            entry(11, "app", "web"),
            entry(12, "meta.helm.sh/release-name", "shop"),
            entry(12, "kubectl-stateful.dev/migration", "x"),
            owner,
            text(14, "kubernetes.io/pvc-protection"),
            bytes(17, b"managed fields"),
        ],
    );
    let spec = message(
        2,
        &[
            text(1, "ReadWriteOnce"),
            message(2, &[quantity(2, "storage", "1Gi")]),
            text(3, "pv-1"),
            text(5, "fast"),
            text(6, "Filesystem"),
        ],
    );
    let condition = message(
        4,
        &[text(1, "Unused"), text(2, "True"), time(4, 1_700_000_050), text(5, "NoPodsUsingPVC")],
    );
    let status = message(3, &[text(1, "Bound"), quantity(3, "storage", "2Gi"), condition]);
    let written = json(
        Kind::Claim,
        json!({
            "metadata": {
                "name": "data-web-0", "namespace": "shop", "uid": "u-1",
                "creationTimestamp": "2023-11-14T22:13:20Z",
                "deletionTimestamp": "2023-11-14T22:15:00Z",
                "labels": {"app": "web"},
                "annotations": {
                    "meta.helm.sh/release-name": "shop", "kubectl-stateful.dev/migration": "x",
                },
                "ownerReferences": [{
                    "kind": "StatefulSet", "name": "web", "uid": "u-2", "apiVersion": "apps/v1",
                    "controller": true,
                }],
                "finalizers": ["kubernetes.io/pvc-protection"],
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "volumeName": "pv-1", "storageClassName": "fast",
                "resources": {"requests": {"storage": "1Gi"}},
            },
            "status": {
                "phase": "Bound", "capacity": {"storage": "2Gi"},
                "conditions": [{
                    "type": "Unused", "status": "True",
                    "lastTransitionTime": "2023-11-14T22:14:10Z",
                }],
            },
        }),
    );
    let read = wire(Kind::Claim, &[meta, spec, status]);
    assert_eq!(read, written);
    let Item::Claim(claim) = read else { panic!("a claim") };
    assert_eq!(claim.kept_by.as_deref(), Some("Helm release shop"));
    assert!(claim.mark.is_some() && claim.unused.is_some_and(|unused| unused.holds));
}

#[test]
fn a_volume_is_the_same_in_both_forms() {
    let meta = message(1, &[text(1, "pv-1"), text(5, "u-1"), time(8, 1_700_000_000)]);
    let held = message(
        4,
        &[text(1, "PersistentVolumeClaim"), text(2, "shop"), text(3, "a"), text(4, "u-9")],
    );
    let spec = message(
        2,
        &[
            quantity(1, "storage", "1Gi"),
            message(2, &[message(3, &[text(1, "/data")])]),
            text(3, "ReadWriteOnce"),
            held,
            text(5, "Delete"),
            text(6, "fast"),
        ],
    );
    let status = message(3, &[text(1, "Released"), time(4, 1_700_000_000)]);
    let written = json(
        Kind::Volume,
        json!({
            "metadata": {"name": "pv-1", "uid": "u-1", "creationTimestamp": "2023-11-14T22:13:20Z"},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/data"},
                "claimRef": {"namespace": "shop", "name": "a", "uid": "u-9"},
                "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "fast",
            },
            "status": {"phase": "Released", "lastPhaseTransitionTime": "2023-11-14T22:13:20Z"},
        }),
    );
    assert_eq!(wire(Kind::Volume, &[meta, spec, status]), written);
}

fn volume(name: &str, source: Vec<u8>) -> Vec<u8> {
    message(1, &[text(1, name), message(2, &[source])])
}

#[test]
fn pods_and_templates_name_the_same_claims_in_both_forms() {
    let meta = message(1, &[text(1, "web-0"), text(3, "shop"), text(5, "u-1")]);
    let volumes = [
        volume("data", message(10, &[text(1, "data-web-0")])),
        volume("scratch", message(29, &[message(1, &[])])),
        volume("config", message(19, &[])),
    ];
    let spec_of_pod = json!({"volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "config", "configMap": {"name": "c"}},
    ]});
    let named = |item: &Item| match item {
        Item::Pod(_, Some(pod)) => pod.claims.iter().map(ToString::to_string).collect(),
        Item::Workload(_, Some(workload)) | Item::Set(_, _, Some(workload)) => {
            workload.claims.iter().map(ToString::to_string).collect()
        }
        _ => Vec::<String>::new(),
    };
    let of_json = |kind: Kind, spec: Value| {
        json(
            kind,
            json!({
                "metadata": {"name": "web-0", "namespace": "shop", "uid": "u-1"},
                "spec": spec, "status": {"phase": "Failed"},
            }),
        )
    };
    let phase = message(3, &[text(1, "Failed")]);
    let pod = wire(Kind::Pod, &[meta.clone(), bytes(2, &volumes.concat()), phase]);
    assert_eq!(pod, of_json(Kind::Pod, spec_of_pod.clone()));
    assert_eq!(named(&pod), ["data-web-0", "web-0-scratch"]);

    let template = |field: u32| message(field, &[bytes(2, &volumes.concat())]);
    let in_template = json!({"template": {"spec": spec_of_pod}});
    for (kind, field) in [
        (Kind::Deployment, 3),
        (Kind::ReplicaSet, 3),
        (Kind::ReplicationController, 3),
        (Kind::StatefulSet, 3),
        (Kind::DaemonSet, 2),
        (Kind::Job, 6),
    ] {
        let read = wire(kind, &[meta.clone(), message(2, &[template(field)])]);
        assert_eq!(read, of_json(kind, in_template.clone()), "{kind:?}");
        assert_eq!(named(&read), ["data-web-0"], "{kind:?}");
    }
    let job = message(5, &[message(2, &[template(6)])]);
    let read = wire(Kind::CronJob, &[meta, message(2, &[job])]);
    let in_cron_job = json!({"jobTemplate": {"spec": in_template}});
    assert_eq!(read, of_json(Kind::CronJob, in_cron_job));
    assert_eq!(named(&read), ["data-web-0"]);
}

#[test]
fn a_set_and_its_autoscaler_are_the_same_in_both_forms() {
    let meta = message(1, &[text(1, "web"), text(3, "shop"), text(5, "u-1")]);
    let templates = [
        message(4, &[message(1, &[text(1, "data")])]),
        message(4, &[message(1, &[text(1, "log")])]),
    ];
    let spec = message(
        2,
        &[
            number(1, 3),
            message(2, &[entry(1, "app", "web")]),
            templates.concat(),
            message(10, &[text(1, "Delete"), text(2, "Retain")]),
            message(11, &[number(1, 5)]),
        ],
    );
    let written = json(
        Kind::StatefulSet,
        json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}}, {"metadata": {"name": "log"}}],
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
                "ordinals": {"start": 5},
            },
        }),
    );
    assert_eq!(wire(Kind::StatefulSet, &[meta.clone(), spec]), written);
    let target = message(1, &[text(1, "StatefulSet"), text(2, "web"), text(3, "apps/v1")]);
    let read =
        wire(Kind::Autoscaler, &[meta.clone(), message(2, &[target, number(2, 1), number(3, 9)])]);
    let written = json(
        Kind::Autoscaler,
        json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"maxReplicas": 9, "scaleTargetRef": {"kind": "StatefulSet", "name": "web"}},
        }),
    );
    assert_eq!(read, written);
    let source = message(2, &[text(1, "pv-1")]);
    let read = wire(Kind::Attachment, &[meta, message(2, &[source, text(3, "node-a")])]);
    assert_eq!(read, Item::Attachment(Some(("pv-1".into(), "node-a".into()))));
}

/// The default of replicas is the server's, in a set and in a manifest.
#[test]
fn a_set_without_replicas_has_one() {
    let meta = message(1, &[text(1, "web"), text(3, "default"), text(5, "")]);
    let Item::Set(_, set, _) = wire(Kind::StatefulSet, &[meta]) else { panic!("a set") };
    assert_eq!(set.replicas, 1);
    let Item::Set(_, set, _) = json(Kind::StatefulSet, json!({"metadata": {"name": "web"}})) else {
        panic!("a set");
    };
    assert_eq!((set.replicas, &*set.namespace), (1, "default"));
    // Nought stands on the wire, because the field is a pointer.
    let meta = message(1, &[text(1, "web")]);
    let spec = message(2, &[number(1, 0)]);
    let Item::Set(_, set, _) = wire(Kind::StatefulSet, &[meta, spec]) else { panic!("a set") };
    assert_eq!(set.replicas, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a server sends as an object.
    #[test]
    fn no_object_makes_it_panic(
        data in proptest::collection::vec(any::<u8>(), 0..120),
        kind in proptest::sample::select(&KINDS[..]),
    ) {
        let _ = decode::item(kind, &data, &mut Pool::default());
        let whole = [1, 2, 3].map(|field| bytes(field, &data)).concat();
        let _ = decode::item(kind, &whole, &mut Pool::default());
    }

    /// Messages within messages, of any numbers.
    #[test]
    fn no_nested_object_makes_it_panic(
        parts in proptest::collection::vec((1_u32..35, 0_u8..3, any::<u64>(), "[a-z-]{0,8}"), 0..12),
        kind in proptest::sample::select(&KINDS[..]),
    ) {
        let mut inner: Vec<u8> = Vec::new();
        for (field, shape, value, word) in parts {
            let next = match shape {
                0 => number(field, value),
                1 => text(field, &word),
                _ => bytes(field, &inner),
            };
            inner.extend(next);
        }
        let whole = [1, 2, 3].map(|field| bytes(field, &inner)).concat();
        let _ = decode::item(kind, &whole, &mut Pool::default());
    }
}
