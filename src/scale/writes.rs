//! The writes of a scaling: what each changes, and what must still hold. Pure.

use serde_json::json;

use super::{
    plan::Leaver,
    record::{ANNOTATION, Record},
};
use crate::{
    cluster::{Object, Propagation, Resource, Write},
    steps::set_patch::Marked,
    workload::{Retention, StatefulSet, snapshot_of},
};

/// Writes down what is begun, by whom; and with `retain`, that the claims of
/// ordinals that leave are to stay.
pub fn begin(set: &StatefulSet, record: &Record, retain: bool) -> Write {
    let mut summary = format!("scaling {} -> {}", record.from, record.to);
    let mut changes = Vec::new();
    if retain && set.when_scaled != Retention::Retain {
        changes.push(json!({
            "op": "replace", "path": "/spec/persistentVolumeClaimRetentionPolicy/whenScaled",
            "value": "Retain",
        }));
        summary.push_str(", whenScaled Delete -> Retain");
    }
    marked(set).record(&record.text(), changes, summary)
}

/// Another number of replicas, from the one that was judged.
pub fn step(set: &StatefulSet, record: &Record) -> Write {
    let changes = vec![
        json!({ "op": "test", "path": "/spec/replicas", "value": set.replicas }),
        json!({ "op": "replace", "path": "/spec/replicas", "value": record.at }),
    ];
    let summary = format!("replicas {} -> {}", set.replicas, record.at);
    marked(set).record(&record.text(), changes, summary)
}

/// Takes the record away.
pub fn finish(set: &StatefulSet) -> Write {
    marked(set).forget(Vec::new(), "scaling over")
}

/// Deletes a pod that leaves, and no successor of its name.
pub fn clear(set: &StatefulSet, pod: &Leaver) -> Write {
    let object = Object {
        resource: Resource::POD,
        namespace: Some(set.namespace.clone()),
        name: pod.name.clone(),
    };
    let version = Some(pod.resource_version.clone());
    let why = "it leaves, and its controller waits for a lower one";
    Write::delete(object, pod.uid.as_str(), version, Propagation::Background, why)
}

/// A snapshot of a claim whose pod is gone. Its name is that of the claim and
/// of this scaling, so that another run finds it.
pub fn snapshot(set: &StatefulSet, record: &Record, claim: &str, class: &str) -> Write {
    let name = snapshot_name(record, claim);
    let object = Object {
        resource: Resource::SNAPSHOT,
        namespace: Some(set.namespace.clone()),
        name: name.clone(),
    };
    let body = snapshot_of(claim, &set.namespace, &name, class);
    Write::create(object, body, format!("of claim {claim}"))
}

/// `www-web-4-20261121t101500`.
pub fn snapshot_name(record: &Record, claim: &str) -> String {
    let started = record.started.strftime("%Y%m%dt%H%M%S");
    // Names are at most 253 characters; claims leave room for this.
    format!("{claim}-{started}")
}

fn marked(set: &StatefulSet) -> Marked<'_> {
    Marked { set, key: ANNOTATION }
}
