//! The writes of a scaling: what each changes, and what must still hold. Pure.

use serde_json::json;

use super::record::{ANNOTATION, Record};
use crate::{
    cluster::{Object, Resource, Write},
    steps::set_patch::RecordPatch,
    workload::{Retention, StatefulSet, snapshot_of},
};

/// Puts the record on the set; with `retain`, also keeps the claims of ordinals
/// that leave.
pub fn begin(set: &StatefulSet, record: &Record, retain: bool) -> Write {
    let mut summary = if record.aborts {
        format!("scaling {}", record.words())
    } else {
        format!("scaling {} -> {}", record.from, record.to)
    };
    let mut changes = Vec::new();
    if retain && set.when_scaled != Retention::Retain {
        changes.push(json!({
            "op": "replace", "path": "/spec/persistentVolumeClaimRetentionPolicy/whenScaled",
            "value": "Retain",
        }));
        summary.push_str(", whenScaled Delete -> Retain");
    }
    patch(set).write(&record.text(), changes, summary)
}

/// Changes the replicas from the number that was judged.
pub fn step(set: &StatefulSet, record: &Record) -> Write {
    let changes = vec![
        json!({ "op": "test", "path": "/spec/replicas", "value": set.replicas }),
        json!({ "op": "replace", "path": "/spec/replicas", "value": record.at }),
    ];
    let summary = format!("replicas {} -> {}", set.replicas, record.at);
    patch(set).write(&record.text(), changes, summary)
}

/// Removes the record.
pub fn finish(set: &StatefulSet) -> Write {
    patch(set).remove(Vec::new(), "scaling over")
}

/// A snapshot of a claim whose pod is gone. Its name comes from the claim and
/// this scaling, so that another run finds it.
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

fn patch(set: &StatefulSet) -> RecordPatch<'_> {
    RecordPatch { set, key: ANNOTATION }
}
