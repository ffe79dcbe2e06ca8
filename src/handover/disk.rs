//! What identifies the disk behind a volume. Two volumes can be one disk: after a
//! static re-import, say. Then deleting the one destroys the data of the other, and
//! what is written to the one is on the other.

use serde_json::Value as Json;

use crate::cluster::protobuf::wire::{Fields, Malformed, Value};

/// A kind of disk.
pub struct Kind {
    /// Its field in the spec of a volume, and the number of that.
    pub field: &'static str,
    number: u32,
    /// The fields that identify a disk, and their numbers.
    keys: &'static [(&'static str, u32)],
    /// Whether it is in a node, so that the same path elsewhere is another disk.
    in_node: bool,
}

const fn kind(
    field: &'static str,
    number: u32,
    keys: &'static [(&'static str, u32)],
    in_node: bool,
) -> Kind {
    Kind { field, number, keys, in_node }
}

/// The kinds of disks that are known.
pub const KINDS: [Kind; 12] = [
    kind("csi", 22, &[("driver", 1), ("volumeHandle", 2)], false),
    kind("hostPath", 3, &[("path", 1)], true),
    kind("local", 20, &[("path", 1)], true),
    kind("nfs", 5, &[("server", 1), ("path", 2)], false),
    kind("iscsi", 7, &[("targetPortal", 1), ("iqn", 2), ("lun", 3)], false),
    kind("fc", 10, &[("targetWWNs", 1), ("lun", 2), ("wwids", 5)], false),
    kind("rbd", 6, &[("monitors", 1), ("image", 2), ("pool", 4)], false),
    kind("cephfs", 9, &[("monitors", 1), ("path", 2)], false),
    kind("awsElasticBlockStore", 2, &[("volumeID", 1), ("partition", 3)], false),
    kind("gcePersistentDisk", 1, &[("pdName", 1), ("partition", 3)], false),
    kind("azureDisk", 16, &[("diskURI", 2)], false),
    kind("vsphereVolume", 14, &[("volumePath", 1)], false),
];

impl Kind {
    /// `values` are those of its keys; `node` says where the disk is.
    fn identity(&self, values: &[String], node: &str) -> Option<String> {
        let is_known = values.iter().any(|value| !value.is_empty());
        let node = if self.in_node { node } else { "" };
        is_known.then(|| format!("{} {} {node}", self.field, values.join("\n")))
    }
}

/// `/data/` is `/data`.
fn trimmed(text: &str) -> String {
    let short = text.trim_end_matches('/');
    if short.is_empty() { text.to_owned() } else { short.to_owned() }
}

/// The disk of a volume; two volumes with the same one are one disk. `None` for a
/// kind of disk that is not known.
pub fn of(volume: &Json) -> Option<String> {
    let spec = volume.get("spec")?;
    let fields = KINDS.map(|kind| (kind.field, spec.get(kind.field)));
    of_json(&fields, spec.get("nodeAffinity"))
}

/// The same by those fields of its spec that are there. `affinity` is its
/// nodeAffinity.
pub fn of_json(fields: &[(&str, Option<&Json>)], affinity: Option<&Json>) -> Option<String> {
    let mut nodes = String::new();
    if let Some(affinity) = affinity {
        for term in items(affinity.pointer("/required/nodeSelectorTerms")) {
            for part in items(term.get("matchExpressions")) {
                let words = [part.get("key"), part.get("operator")].into_iter().flatten();
                for word in words.chain(items(part.get("values"))) {
                    note(&mut nodes, &said(word));
                }
            }
        }
    }
    let (kind, source) = KINDS.iter().find_map(|kind| {
        let (_, source) = fields.iter().find(|(field, _)| *field == kind.field)?;
        Some((kind, (*source)?))
    })?;
    let value = |(key, _): &(&str, u32)| source.get(*key).map(said).unwrap_or_default();
    let values: Vec<String> = kind.keys.iter().map(value).collect();
    kind.identity(&values, &nodes)
}

fn items(list: Option<&Json>) -> impl Iterator<Item = &Json> {
    list.and_then(Json::as_array).into_iter().flatten()
}

/// A value as text; nought is as good as nothing, as on the wire.
fn said(value: &Json) -> String {
    match value {
        Json::String(text) => trimmed(text),
        Json::Number(number) if number.as_i64() != Some(0) => number.to_string(),
        Json::Array(all) => all.iter().map(said).collect::<Vec<_>>().join(","),
        _ => String::new(),
    }
}

/// The same from the fields `persistentVolumeSource` and `nodeAffinity`.
///
/// # Errors
/// When the bytes are not those fields.
pub fn of_wire(source: &[u8], affinity: &[u8]) -> Result<Option<String>, Malformed> {
    let mut nodes = String::new();
    for required in messages(affinity, 1)? {
        for term in messages(required, 1)? {
            for part in messages(term, 1)? {
                for field in Fields(part) {
                    if let (1..=3, word) = field? {
                        note(&mut nodes, &trimmed(word.text()?));
                    }
                }
            }
        }
    }
    for field in Fields(source) {
        let (number, value) = field?;
        let Some(kind) = KINDS.iter().find(|kind| kind.number == number) else { continue };
        let mut values = vec![String::new(); kind.keys.len()];
        for field in value.fields()? {
            let (number, value) = field?;
            let Some(at) = kind.keys.iter().position(|(_, key)| *key == number) else { continue };
            let text = match value {
                Value::Number(0) | Value::Fixed => continue,
                Value::Number(number) => number.cast_signed().to_string(),
                Value::Bytes(_) => trimmed(value.text()?),
            };
            if !values[at].is_empty() {
                values[at].push(',');
            }
            values[at].push_str(&text);
        }
        return Ok(kind.identity(&values, &nodes));
    }
    Ok(None)
}

/// The messages in a field.
fn messages(bytes: &[u8], wanted: u32) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    for field in Fields(bytes) {
        match field? {
            (number, value) if number == wanted => found.push(value.bytes()?),
            _ => {}
        }
    }
    Ok(found)
}

fn note(to: &mut String, word: &str) {
    to.push_str(word);
    to.push('\n');
}
