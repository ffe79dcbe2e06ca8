//! What a rollback makes again when someone has deleted it: the original
//! Deployment and its claims, from the journal, which has both whole. Pure.

use serde_json::{Value, json};

use super::journal::{Disk, SourceDeployment};
use crate::workload::raw::annotation;

/// Fields of the metadata that the server writes.
const OF_SERVER: [&str; 7] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "selfLink",
];

/// Annotations of the volume controller: on a new claim they would say that it is
/// bound already.
const OF_BINDER: [&str; 2] = ["pv.kubernetes.io/", "volume.kubernetes.io/"];
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The original Deployment, as it is created again.
pub fn deployment(member: &SourceDeployment) -> Value {
    let mut body = without_status(&member.object, "apps/v1", "Deployment");
    // Whatever the journal's copy has: this is what ran when the plan was made.
    body["spec"]["replicas"] = json!(member.replicas);
    if annotation(&body, REVISION).is_some()
        && let Some(all) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        all.shift_remove(REVISION);
    }
    body
}

/// The original claim, as it is created again: for the same volume.
pub fn claim(disk: &Disk) -> Value {
    let mut body = without_status(&disk.object, "v1", "PersistentVolumeClaim");
    body["spec"]["volumeName"] = json!(disk.pv.name);
    if let Some(all) = body.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        all.retain(|key, _| !OF_BINDER.iter().any(|prefix| key.starts_with(prefix)));
    }
    body
}

fn without_status(object: &Value, api_version: &str, kind: &str) -> Value {
    let mut body = json!({ "apiVersion": api_version, "kind": kind });
    body["metadata"] = object["metadata"].clone();
    body["spec"] = object["spec"].clone();
    if let Some(metadata) = body["metadata"].as_object_mut() {
        for field in OF_SERVER {
            metadata.shift_remove(field);
        }
        // Finalizers belong to whoever has put them on the one that is gone.
        metadata.shift_remove("finalizers");
    }
    body
}
