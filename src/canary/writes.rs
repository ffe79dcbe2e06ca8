//! The writes of a canary: what each changes, and what must still hold. Pure.

use serde_json::{Map, Value, json};

use super::{
    back::Doomed,
    record::{ANNOTATION, Record},
};
use crate::{
    cluster::{Object, Patch, Precondition, Propagation, Resource, Write},
    steps::set_patch::{self, Marked},
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
    Write::patch(set_patch::object(set), Patch::strategic(&version, fields), summary)
}

/// Moves the partition to where the record says, and writes the record.
pub fn step(set: &StatefulSet, record: &Record) -> Write {
    if record.on_delete {
        let summary = format!("canary from index {} up", record.partition);
        return marked(set).record(&record.text(), Vec::new(), summary);
    }
    let summary = moved(set, record).unwrap_or_else(|| "canary".to_owned());
    marked(set).record(&record.text(), vec![partition(set, record.partition)], summary)
}

/// Writes the record and nothing else.
pub fn mark(set: &StatefulSet, record: &Record, summary: &str) -> Write {
    marked(set).record(&record.text(), Vec::new(), summary)
}

/// Puts the template of the stable revision back, exactly as it was recorded.
pub fn revert(set: &StatefulSet, record: &Record, template: &Value) -> Write {
    let mut changes = vec![json!({ "op": "replace", "path": "/spec/template", "value": template })];
    let mut summary = format!("template of {}", record.stable);
    if set.takes_partition() && set.partition() != record.partition {
        changes.push(partition(set, record.partition));
        summary = format!("{summary}, partition {} -> {}", set.partition(), record.partition);
    }
    marked(set).record(&record.text(), changes, summary)
}

/// Gives the strategy back and removes the record.
pub fn finish(set: &StatefulSet, record: &Record) -> Write {
    let over = "canary over".to_owned();
    let (changes, summary) = match (&set.strategy, record.was) {
        // It was so from the beginning.
        _ if record.on_delete => (Vec::new(), over),
        (Strategy::RollingUpdate { partition: now }, Some(was)) if *now != Some(was) => {
            (vec![partition(set, was)], format!("{over}, partition {} -> {was}", set.partition()))
        }
        // It was null, and the server leaves it so where a type is given.
        (Strategy::RollingUpdate { partition: Some(_) }, None) => (
            vec![json!({ "op": "remove", "path": "/spec/updateStrategy/rollingUpdate" })],
            format!("{over}, rollingUpdate as it was"),
        ),
        // It is so again, or somebody else has made another one of it.
        _ => (Vec::new(), over),
    };
    marked(set).forget(changes, summary)
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

fn marked(set: &StatefulSet) -> Marked<'_> {
    Marked { set, key: ANNOTATION }
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
