//! The writes of a canary: what each changes, and what must still hold. Pure.
//!
//! A step is a JSON patch that tests uid, generation and annotation. The
//! generation moves with every change of the spec, by whomever, and with
//! nothing that the controller reports; a resourceVersion would fail at every
//! report of a pod that becomes Ready just then.

use serde_json::{Map, Value, json};

use super::{
    back::Doomed,
    record::{ANNOTATION, Record},
};
use crate::{
    cluster::{Object, Patch, Precondition, Propagation, Resource, Write},
    workload::{StatefulSet, Strategy},
};

/// Begins a canary: template, partition and record in one write, on exactly
/// the object that was judged.
pub fn begin(set: &StatefulSet, change: &Map<String, Value>, record: &Record) -> Write {
    let mut fields = change.clone();
    fields.insert("metadata".to_owned(), json!({ "annotations": { ANNOTATION: record.text() } }));
    if !record.on_delete
        && let Some(Value::Object(spec)) = fields.get_mut("spec")
    {
        let strategy = json!({ "rollingUpdate": { "partition": record.partition } });
        spec.insert("updateStrategy".to_owned(), strategy);
    }
    let version = Precondition::ResourceVersion(set.resource_version.clone());
    let summary = match moved(set, record) {
        Some(moved) => format!("template, {moved}"),
        None => "template".to_owned(),
    };
    Write::patch(object(set), Patch::strategic(&version, fields), summary)
}

/// Moves the partition to where the record says, and writes the record.
pub fn step(set: &StatefulSet, record: &Record) -> Write {
    let mut operations = annotate(set, record);
    let summary = if record.on_delete {
        format!("canary from index {} up", record.partition)
    } else {
        operations.push(partition(set, record.partition));
        moved(set, record).unwrap_or_else(|| "canary".to_owned())
    };
    patch(set, operations, summary)
}

/// Writes the record and nothing else.
pub fn mark(set: &StatefulSet, record: &Record, summary: &str) -> Write {
    patch(set, annotate(set, record), summary.to_owned())
}

/// Puts the template of the stable revision back, exactly as it was recorded.
pub fn revert(set: &StatefulSet, record: &Record, template: &Value) -> Write {
    let mut operations = annotate(set, record);
    operations.push(json!({ "op": "replace", "path": "/spec/template", "value": template }));
    let mut summary = format!("template of {}", record.stable);
    if set.takes_partition() && set.partition() != record.partition {
        operations.push(partition(set, record.partition));
        summary = format!("{summary}, partition {} -> {}", set.partition(), record.partition);
    }
    patch(set, operations, summary)
}

/// Gives the strategy back and removes the record.
pub fn finish(set: &StatefulSet, record: &Record) -> Write {
    let path = format!("/metadata/annotations/{}", pointer(ANNOTATION));
    let mut operations = tests(set);
    operations.push(json!({ "op": "remove", "path": path }));
    let over = "canary over".to_owned();
    let summary = match (&set.strategy, record.was) {
        // It was so from the beginning.
        _ if record.on_delete => over,
        (Strategy::RollingUpdate { partition: now }, Some(was)) if *now != Some(was) => {
            operations.push(partition(set, was));
            format!("{over}, partition {} -> {was}", set.partition())
        }
        // It was null, and the server leaves it so where a type is given.
        (Strategy::RollingUpdate { partition: Some(_) }, None) => {
            operations
                .push(json!({ "op": "remove", "path": "/spec/updateStrategy/rollingUpdate" }));
            format!("{over}, rollingUpdate as it was")
        }
        // It is so again, or somebody else has made another one of it.
        _ => over,
    };
    patch(set, operations, summary)
}

/// Deletes a pod as it was judged, and no successor of its name.
pub fn replace(set: &StatefulSet, pod: &Doomed, why: &str) -> Write {
    let object = Object {
        resource: Resource::POD,
        namespace: Some(set.namespace.clone()),
        name: pod.name.clone(),
    };
    let version = Some(pod.resource_version.clone());
    Write::delete(object, pod.uid.as_str(), version, Propagation::Background, why)
}

fn object(set: &StatefulSet) -> Object {
    Object {
        resource: Resource::STATEFUL_SET,
        namespace: Some(set.namespace.clone()),
        name: set.name.clone(),
    }
}

fn patch(set: &StatefulSet, operations: Vec<Value>, summary: String) -> Write {
    let generation = json!(set.generation);
    Write::patch(object(set), Patch::json("/metadata/generation", &generation, operations), summary)
}

/// It is still this set, with the record that was judged.
fn tests(set: &StatefulSet) -> Vec<Value> {
    let mut tests = vec![json!({ "op": "test", "path": "/metadata/uid", "value": set.uid })];
    if let Some(text) = set.annotations.get(ANNOTATION) {
        let path = format!("/metadata/annotations/{}", pointer(ANNOTATION));
        tests.push(json!({ "op": "test", "path": path, "value": text }));
    }
    tests
}

fn annotate(set: &StatefulSet, record: &Record) -> Vec<Value> {
    let mut operations = tests(set);
    if set.annotations.is_empty() {
        operations.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
    }
    let path = format!("/metadata/annotations/{}", pointer(ANNOTATION));
    operations.push(json!({ "op": "add", "path": path, "value": record.text() }));
    operations
}

fn partition(set: &StatefulSet, to: u32) -> Value {
    let operation = |path: &str, value: Value| json!({ "op": "add", "path": path, "value": value });
    if set.strategy == (Strategy::RollingUpdate { partition: None }) {
        operation("/spec/updateStrategy/rollingUpdate", json!({ "partition": to }))
    } else {
        operation("/spec/updateStrategy/rollingUpdate/partition", json!(to))
    }
}

fn moved(set: &StatefulSet, record: &Record) -> Option<String> {
    (!record.on_delete).then(|| format!("partition {} -> {}", set.partition(), record.partition))
}

/// A key as a part of a JSON pointer (RFC 6901).
fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
