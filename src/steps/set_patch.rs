//! JSON patches of a StatefulSet that carries a record of ours in an annotation.
//!
//! Each patch tests generation, uid and the record. The generation moves with
//! every change of the spec, whoever makes it, and never with a status update.
//! A resourceVersion would conflict whenever a pod becomes Ready in between.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, Patch, Resource, Write, pointer_token},
    workload::StatefulSet,
};

/// A set, and the annotation that holds the record of a command.
#[derive(Clone, Copy)]
pub struct RecordPatch<'a> {
    pub set: &'a StatefulSet,
    pub key: &'static str,
}

impl RecordPatch<'_> {
    /// Writes the record, along with these changes.
    pub fn write(self, text: &str, changes: Vec<Value>, summary: impl Into<String>) -> Write {
        let mut operations = self.tests();
        if self.set.annotations.is_empty() {
            operations.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
        }
        operations.push(json!({ "op": "add", "path": self.path(), "value": text }));
        operations.extend(changes);
        self.patch(operations, summary)
    }

    /// Removes the record, along with these changes.
    pub fn remove(self, changes: Vec<Value>, summary: impl Into<String>) -> Write {
        let mut operations = self.tests();
        operations.push(json!({ "op": "remove", "path": self.path() }));
        operations.extend(changes);
        self.patch(operations, summary)
    }

    /// It is still this set, with the record that the patch was decided on.
    fn tests(self) -> Vec<Value> {
        let mut tests =
            vec![json!({ "op": "test", "path": "/metadata/uid", "value": self.set.uid })];
        if let Some(text) = self.set.annotations.get(self.key) {
            tests.push(json!({ "op": "test", "path": self.path(), "value": text }));
        }
        tests
    }

    fn patch(self, operations: Vec<Value>, summary: impl Into<String>) -> Write {
        let generation = json!(self.set.generation);
        let patch = Patch::json("/metadata/generation", &generation, operations);
        Write::patch(object(self.set), patch, summary)
    }

    fn path(self) -> String {
        format!("/metadata/annotations/{}", pointer_token(self.key))
    }
}

pub fn object(set: &StatefulSet) -> Object {
    Object {
        resource: Resource::STATEFUL_SET,
        namespace: Some(set.namespace.clone()),
        name: set.name.clone(),
    }
}
