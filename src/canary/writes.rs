//! The writes of a canary: what each changes, and what must still hold. Pure.

use serde_json::{Map, Value, json};

use super::record::{ANNOTATION, Record};
use crate::{
    cluster::{Patch, Precondition, Write},
    steps::set_patch::{self, RecordPatch},
    workload::{StatefulSet, Strategy, fingerprint},
};

/// Begins a canary: template, partition and record in one write, on exactly the
/// object that was judged.
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
        return patch(set).write(&record.text(), Vec::new(), summary);
    }
    let summary = moved(set, record).unwrap_or_else(|| "canary".to_owned());
    patch(set).write(&record.text(), vec![partition(set, record.partition)], summary)
}

/// Writes the record and nothing else.
pub fn mark(set: &StatefulSet, record: &Record, summary: &str) -> Write {
    patch(set).write(&record.text(), Vec::new(), summary)
}

/// Puts the template of the stable revision back, exactly as it was recorded.
pub fn revert(set: &StatefulSet, record: &Record, template: &Value) -> Write {
    // Somebody may have put it back already.
    let is_back = fingerprint(&set.template.raw) == fingerprint(template);
    let replace = json!({ "op": "replace", "path": "/spec/template", "value": template });
    let mut changes: Vec<Value> = Vec::from_iter((!is_back).then_some(replace));
    let mut summary = if is_back {
        "canary aborting".to_owned()
    } else {
        format!("template of {}", record.stable)
    };
    if set.takes_partition() && set.partition() != record.partition {
        changes.push(partition(set, record.partition));
        summary = format!("{summary}, partition {} -> {}", set.partition(), record.partition);
    }
    patch(set).write(&record.text(), changes, summary)
}

/// Restores the update strategy and removes the record.
pub fn finish(set: &StatefulSet, record: &Record) -> Write {
    let over = "canary finished".to_owned();
    let (changes, summary) = match (&set.strategy, record.was) {
        // The strategy was OnDelete, and nothing was changed.
        _ if record.on_delete => (Vec::new(), over),
        (Strategy::RollingUpdate { partition: now }, Some(was)) if *now != Some(was) => {
            (vec![partition(set, was)], format!("{over}, partition {} -> {was}", set.partition()))
        }
        // It was null, which the server keeps where a type is given.
        (Strategy::RollingUpdate { partition: Some(_) }, None) => (
            vec![json!({ "op": "remove", "path": "/spec/updateStrategy/rollingUpdate" })],
            format!("{over}, rollingUpdate removed again"),
        ),
        // It has its old value again, or somebody else has changed the strategy.
        _ => (Vec::new(), over),
    };
    patch(set).remove(changes, summary)
}

/// Removes the record and changes nothing else.
pub fn forget(set: &StatefulSet) -> Write {
    patch(set).remove(Vec::new(), "record of the canary dropped")
}

fn patch(set: &StatefulSet) -> RecordPatch<'_> {
    RecordPatch { set, key: ANNOTATION }
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
    let (from, to) = (set.partition(), record.partition);
    let change = if from == to { to.to_string() } else { format!("{from} -> {to}") };
    (!record.on_delete).then(|| format!("partition {change}"))
}
