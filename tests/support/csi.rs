//! The objects of a storage that can take snapshots: a CSI driver, its class and
//! volumes, and the snapshot API. There is no driver behind them: the test
//! creates the volumes and reports the snapshots as ready.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CustomKind, Namespace, custom::apply_shared, wait_for};

pub const DRIVER: &str = "csi.stateful.test";
/// The VolumeSnapshotClass of the driver.
pub const SNAPSHOT_CLASS: &str = "snapshots";
const SOON: Duration = Duration::from_secs(120);
const GROUP: &str = "snapshot.storage.k8s.io";

fn apply(namespace: &Namespace, objects: &Value) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    namespace.apply(&list.to_string());
}

/// Creates the driver, a class of it, and a volume `NAMESPACE-CLAIM` reserved
/// for each of these claims. Returns the name of the class.
pub fn csi(namespace: &Namespace, claims: &[&str]) -> String {
    let class = format!("{}-class", namespace.name());
    let driver = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
        "metadata": { "name": DRIVER }, "spec": { "attachRequired": false },
    });
    apply_shared(namespace.cluster(), &driver);
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

/// Creates the snapshot API and a snapshot class. There is no controller for it.
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
    apply_shared(namespace.cluster(), &class);
}

/// Waits for a snapshot of the claim.
pub fn snapshot_of(namespace: &Namespace, claim: &str) -> Value {
    wait_for(SOON, &format!("the snapshot of {claim}"), || {
        let list = namespace.get(&format!("{GROUP}/v1"), "volumesnapshots", "")?;
        let all = list["items"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|one| one["spec"]["source"]["persistentVolumeClaimName"] == claim)
    })
}

/// Sets the status of a snapshot, as the snapshot controller would.
pub fn report_snapshot(namespace: &Namespace, snapshot: &Value, status: &Value) {
    let name = snapshot["metadata"]["name"].as_str().expect("a name");
    let path = namespace.path(&format!("{GROUP}/v1"), "volumesnapshots", &format!("{name}/status"));
    namespace.cluster().api().patch(&path, &json!({ "status": status }));
}
