//! Storage that can take snapshots, as far as objects go: a CSI driver, a class
//! of it and volumes, and the API of snapshots. Nothing serves them: a test
//! makes the volumes and says that the snapshots are ready.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CustomKind, Namespace, custom::apply_together, wait_for};

pub const DRIVER: &str = "csi.stateful.test";
/// The VolumeSnapshotClass of the driver.
pub const SNAPSHOT_CLASS: &str = "snapshots";
const SOON: Duration = Duration::from_secs(120);
const GROUP: &str = "snapshot.storage.k8s.io";

fn apply(namespace: &Namespace, objects: &Value) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    namespace.apply(&list.to_string());
}

/// A driver that attaches nothing, a class of it whose name is returned, and a
/// volume `NAMESPACE-CLAIM` reserved for each of these claims.
pub fn csi(namespace: &Namespace, claims: &[&str]) -> String {
    let class = format!("{}-class", namespace.name());
    let driver = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
        "metadata": { "name": DRIVER }, "spec": { "attachRequired": false },
    });
    apply_together(namespace.cluster(), &driver);
    apply(
        namespace,
        &json!([
            { "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
              "metadata": { "name": class }, "provisioner": DRIVER },
        ]),
    );
    let volume = |claim: &&str| {
        let name = format!("{}-{claim}", namespace.name());
        let mut volume = csi_volume(&name, &class, "2Gi");
        volume["spec"]["claimRef"] = json!({ "namespace": namespace.name(), "name": claim });
        volume
    };
    apply(namespace, &claims.iter().map(volume).collect());
    class
}

/// A volume of the driver.
pub fn csi_volume(name: &str, class: &str, size: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
        "spec": {
            "storageClassName": class, "accessModes": ["ReadWriteOnce"],
            "capacity": { "storage": size }, "persistentVolumeReclaimPolicy": "Retain",
            "csi": { "driver": DRIVER, "volumeHandle": name },
        },
    })
}

/// The API of snapshots, without the controller, and a class of the driver.
pub fn snapshots(namespace: &Namespace) {
    let kind = |kind, plural, is_namespaced| CustomKind {
        group: GROUP,
        version: "v1",
        kind,
        plural,
        is_namespaced,
        has_status: is_namespaced,
    };
    kind("VolumeSnapshot", "volumesnapshots", true).define(namespace.cluster());
    kind("VolumeSnapshotClass", "volumesnapshotclasses", false).define(namespace.cluster());
    let class = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "VolumeSnapshotClass",
        "metadata": { "name": SNAPSHOT_CLASS }, "driver": DRIVER, "deletionPolicy": "Delete",
    });
    apply_together(namespace.cluster(), &class);
}

/// The snapshot of a claim, once there is one.
pub fn snapshot_of(namespace: &Namespace, claim: &str) -> Value {
    wait_for(SOON, &format!("the snapshot of {claim}"), || {
        let list = namespace.get(&format!("{GROUP}/v1"), "volumesnapshots", "")?;
        let all = list["items"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|one| one["spec"]["source"]["persistentVolumeClaimName"] == claim)
    })
}

/// Plays the snapshot controller.
pub fn report_snapshot(namespace: &Namespace, snapshot: &Value, status: &Value) {
    let name = snapshot["metadata"]["name"].as_str().expect("a name");
    let path = namespace.path(&format!("{GROUP}/v1"), "volumesnapshots", &format!("{name}/status"));
    namespace.cluster().api().patch(&path, &json!({ "status": status }));
}
