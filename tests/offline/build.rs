//! Objects for tests, as short as the case they are made for. `json!` values,
//! because they go the whole way a file goes.

use jiff::{SignedDuration, Timestamp};
use kubectl_stateful::{
    manifests::Bundle,
    status::plan::{self, Picture},
};
use serde_json::{Value, json};

/// The moment at which all cases are judged.
pub fn now() -> Timestamp {
    "2026-01-13T12:00:00Z".parse().expect("a time")
}

/// So long before that moment.
pub fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

/// Sets the value at a JSON pointer, making objects on the way.
pub fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let mut place = &mut object;
    for key in pointer.trim_start_matches('/').split('/') {
        place = match (place.is_array(), key.parse::<usize>()) {
            (true, Ok(index)) => &mut place[index],
            _ => &mut place[key],
        };
    }
    *place = value;
    object
}

/// A live set `web` of three ordinals on revision `web-1`, on claims `www`.
pub fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {
            "name": "web", "namespace": "default", "uid": "set-1", "generation": 1,
            "creationTimestamp": ago(86_400),
        },
        "spec": {
            "replicas": 3, "serviceName": "nginx", "podManagementPolicy": "OrderedReady",
            "selector": {"matchLabels": {"app": "nginx"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {
                "metadata": {"labels": {"app": "nginx"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx:1.21"}]},
            },
            "volumeClaimTemplates": [{"metadata": {"name": "www"}}],
        },
        "status": {"observedGeneration": 1, "currentRevision": "web-1", "updateRevision": "web-1"},
    })
}

/// A pod that has been Ready for an hour.
pub fn pod(ordinal: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-{ordinal}"), "namespace": "default",
            "uid": format!("pod-{ordinal}"), "creationTimestamp": ago(3600),
            "labels": {"app": "nginx", "controller-revision-hash": "web-1"},
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "set-1", "controller": true}],
        },
        "spec": {"nodeName": "node-a", "containers": [{"name": "nginx", "image": "nginx:1.21"}]},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": ago(3600)},
                {"type": "PodScheduled", "status": "True"},
            ],
            "containerStatuses": [{"name": "nginx", "ready": true, "restartCount": 0, "state": {"running": {}}}],
        },
    })
}

/// The same, not Ready for so many seconds.
pub fn unready(ordinal: u32, seconds: i64) -> Value {
    let ready = json!({"type": "Ready", "status": "False", "lastTransitionTime": ago(seconds)});
    let pod = with(pod(ordinal), "/status/conditions/0", ready);
    with(pod, "/status/containerStatuses/0/ready", json!(false))
}

/// The same, its container waiting for a reason.
pub fn waiting(ordinal: u32, reason: &str, message: &str) -> Value {
    let pod = with(unready(ordinal, 60), "/status/phase", json!("Pending"));
    let state = json!({"waiting": {"reason": reason, "message": message}});
    with(pod, "/status/containerStatuses/0/state", state)
}

/// A bound claim of an ordinal.
pub fn claim(ordinal: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": format!("www-web-{ordinal}"), "namespace": "default",
            "uid": format!("claim-{ordinal}"), "creationTimestamp": ago(3600),
        },
        "spec": {
            "storageClassName": "standard", "volumeName": format!("pv-{ordinal}"),
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        },
        "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}},
    })
}

/// A claim of an ordinal that has no volume.
pub fn pending_claim(ordinal: u32) -> Value {
    let claim = with(claim(ordinal), "/spec/volumeName", json!(""));
    with(claim, "/status", json!({"phase": "Pending"}))
}

/// The volume of an ordinal's claim.
pub fn volume(ordinal: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("pv-{ordinal}")},
        "spec": {
            "storageClassName": "standard", "persistentVolumeReclaimPolicy": "Delete",
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "claimRef": {
                "namespace": "default", "name": format!("www-web-{ordinal}"),
                "uid": format!("claim-{ordinal}"),
            },
        },
        "status": {"phase": "Bound"},
    })
}

pub fn class(name: &str, provisioner: &str, binding: &str) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": provisioner, "volumeBindingMode": binding,
    })
}

pub fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "nginx", "namespace": "default"},
        "spec": {"clusterIP": "None", "selector": {"app": "nginx"}},
    })
}

pub fn revision(name: &str, number: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {"name": name, "namespace": "default"},
        "revision": number,
        "data": {"spec": {"template": {"spec": {"containers": [{"name": "nginx", "image": image}]}}}},
    })
}

/// A warning about an object.
pub fn event(uid: &str, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("event-{reason}-{uid}"), "namespace": "default"},
        "involvedObject": {"uid": uid}, "reason": reason, "message": message,
        "count": 3, "lastTimestamp": ago(20),
    })
}

/// A healthy set: every case changes something of it.
pub fn healthy() -> Vec<Value> {
    let mut objects = vec![
        set(),
        service(),
        revision("web-1", 1, "nginx:1.21"),
        class("standard", "test/provisioner", "Immediate"),
    ];
    for ordinal in 0..3 {
        objects.extend([pod(ordinal), claim(ordinal), volume(ordinal)]);
    }
    objects
}

/// Puts objects in the place of those of the same kind and name.
pub fn replace(mut objects: Vec<Value>, others: Vec<Value>) -> Vec<Value> {
    let key = |object: &Value| (object["kind"].clone(), object["metadata"]["name"].clone());
    for other in others {
        match objects.iter_mut().find(|object| key(object) == key(&other)) {
            Some(place) => *place = other,
            None => objects.push(other),
        }
    }
    objects
}

/// Takes objects out, by `Kind/name`.
pub fn without(mut objects: Vec<Value>, names: &[&str]) -> Vec<Value> {
    objects.retain(|object| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]));
        !names.contains(&name.as_str())
    });
    objects
}

/// What `status web` makes of them.
pub fn judged(objects: &[Value]) -> Picture {
    let mut bundle = Bundle::default();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    bundle.add_text(&list.to_string(), "case").expect("objects");
    plan::judge(&bundle.facts("web", None).expect("a set"), now())
}
