//! Patches of exactly the object that was read.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, Patch, Propagation, Resource, Write, pointer_token},
    workload::raw::{annotation, label, name, namespace, uid, version},
};

/// The object that was read.
pub fn object(resource: Resource, found: &Value) -> Object {
    Object {
        resource,
        namespace: namespace(found).map(str::to_owned),
        name: name(found).to_owned(),
    }
}

/// A JSON patch that fails if the object has changed since it was read.
pub fn patch(
    resource: Resource,
    found: &Value,
    operations: Vec<Value>,
    summary: impl Into<String>,
) -> Write {
    let mut all = vec![test("/metadata/resourceVersion", version(found))];
    all.extend(operations);
    patch_any_version(resource, found, all, summary)
}

/// A JSON patch that only requires the same uid.
pub(super) fn patch_any_version(
    resource: Resource,
    found: &Value,
    operations: Vec<Value>,
    summary: impl Into<String>,
) -> Write {
    let patch = Patch::json("/metadata/uid", &json!(uid(found)), operations);
    Write::patch(object(resource, found), patch, summary)
}

/// A deletion that fails if the object has changed since it was read.
pub fn delete(resource: Resource, found: &Value, summary: impl Into<String>) -> Write {
    let version = Some(version(found).to_owned());
    Write::delete(object(resource, found), uid(found), version, Propagation::Background, summary)
}

/// A precondition of a patch.
pub fn test(path: &str, value: impl Into<Value>) -> Value {
    json!({ "op": "test", "path": path, "value": value.into() })
}

/// Sets or removes an annotation.
pub fn annotate(found: &Value, key: &str, to: Option<&str>) -> Vec<Value> {
    let path = format!("/metadata/annotations/{}", pointer_token(key));
    let there = annotation(found, key).is_some();
    let mut operations = Vec::new();
    match to {
        Some(value) => {
            if found.pointer("/metadata/annotations").is_none() {
                operations
                    .push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
            }
            operations.push(set_annotation(key, value));
        }
        None if there => operations.push(json!({ "op": "remove", "path": path })),
        None => {}
    }
    operations
}

/// Removes a label, if it is there.
pub fn label_gone(found: &Value, key: &str) -> Option<Value> {
    let path = format!("/metadata/labels/{}", pointer_token(key));
    label(found, key).map(|_| json!({ "op": "remove", "path": path }))
}

/// Sets an annotation of an object that already has annotations.
pub(super) fn set_annotation(key: &str, value: &str) -> Value {
    let path = format!("/metadata/annotations/{}", pointer_token(key));
    json!({ "op": "add", "path": path, "value": value })
}

pub(super) fn set_finalizers(all: impl Iterator<Item = Value>) -> Value {
    let all: Vec<Value> = all.collect();
    json!({ "op": "add", "path": "/metadata/finalizers", "value": all })
}
