//! Access to fields of raw objects.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

/// The string at a JSON pointer.
pub fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name").unwrap_or_default()
}

pub fn namespace(object: &Value) -> Option<&str> {
    text(object, "/metadata/namespace").filter(|namespace| !namespace.is_empty())
}

pub fn kind(object: &Value) -> &str {
    text(object, "/kind").unwrap_or_default()
}

/// `Deployment/web`, for findings.
pub fn kind_and_name(object: &Value) -> String {
    format!("{}/{}", kind(object), name(object))
}

pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid").unwrap_or_default()
}

pub fn version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion").unwrap_or_default()
}

pub fn generation(object: &Value) -> i64 {
    object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
}

pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations").and_then(|all| all.get(key)).and_then(Value::as_str)
}

pub fn is_leaving(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|value| !value.is_null())
}

pub fn phase(object: &Value) -> &str {
    text(object, "/status/phase").unwrap_or_default()
}

/// Fields whose value is the time at which something happened. Others, such as
/// the end of a certificate, may lie ahead.
const PAST: [&str; 16] = [
    "completionTime",
    "creationTimestamp",
    "eventTime",
    "finishedAt",
    "firstTimestamp",
    "lastHeartbeatTime",
    "lastObservedTime",
    "lastPhaseTransitionTime",
    "lastProbeTime",
    "lastScheduleTime",
    "lastSuccessfulTime",
    "lastTimestamp",
    "lastTransitionTime",
    "lastUpdateTime",
    "startTime",
    "startedAt",
];

/// The newest time at which an object says that something happened to it.
pub fn newest_time(object: &Value) -> Option<Timestamp> {
    let deleted = text(object, "/metadata/deletionTimestamp").and_then(|at| at.parse().ok());
    // A pod's is the time by which it should be gone.
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    let asked = |at: Timestamp| at - SignedDuration::from_secs(grace.unwrap_or_default());
    let changed = object.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter();
    let changed = changed.flatten().filter_map(|entry| text(entry, "/time")?.parse().ok()).max();
    let made = text(object, "/metadata/creationTimestamp").and_then(|at| at.parse().ok());
    // An event has its times outside of a status.
    let of_event = ["/eventTime", "/firstTimestamp", "/lastTimestamp", "/series/lastObservedTime"]
        .iter()
        .filter_map(|pointer| text(object, pointer)?.parse().ok())
        .max();
    let of_status = object.get("status").and_then(newest_within);
    [deleted.map(asked), changed, made, of_event, of_status].into_iter().flatten().max()
}

fn newest_within(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Array(items) => items.iter().filter_map(newest_within).max(),
        Value::Object(fields) => {
            let times = fields.iter().filter_map(|(key, value)| match value.as_str() {
                Some(text) if PAST.contains(&key.as_str()) => text.parse().ok(),
                Some(_) => None,
                None => newest_within(value),
            });
            times.max()
        }
        _ => None,
    }
}

/// The reclaim policy of a volume.
pub fn policy(pv: &Value) -> &str {
    text(pv, "/spec/persistentVolumeReclaimPolicy").unwrap_or_default()
}

/// `spec.replicas`, which defaults to 1.
pub fn replicas(object: &Value) -> u32 {
    let asked = object.pointer("/spec/replicas").and_then(Value::as_u64);
    asked.map_or(1, |asked| u32::try_from(asked).unwrap_or(u32::MAX))
}

pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels").and_then(|all| all.get(key)).and_then(Value::as_str)
}

/// Whether the controller has observed the newest spec.
pub fn is_observed(object: &Value) -> bool {
    let seen = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    seen.unwrap_or_default() >= generation(object)
}

/// The entries of an object; none if it is missing.
pub fn entries<'a>(
    object: &'a Value,
    pointer: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// The items of an array; none if it is missing.
pub fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The object at `key`, created if it is missing.
pub fn below<'a>(
    object: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    let slot = object.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// Whether it is a Deployment, of any API group that has had them.
pub fn is_deployment(object: &Value) -> bool {
    let api = text(object, "/apiVersion").unwrap_or_default();
    kind(object) == "Deployment" && (api.starts_with("apps/") || api.starts_with("extensions/"))
}

/// The volumes of a Deployment that use claims: (volume, claim), in order.
pub fn deployment_mounts(deployment: &Value) -> Vec<(&str, &str)> {
    items(deployment, "/spec/template/spec/volumes")
        .filter_map(|volume| {
            let claim = text(volume, "/persistentVolumeClaim/claimName")?;
            Some((text(volume, "/name")?, claim))
        })
        .collect()
}

/// The fields of a pod spec that list containers.
pub const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Visits every value in `value` with its path: `spec.rules[0].host`.
pub fn walk<'a>(value: &'a Value, path: &str, seen: &mut impl FnMut(&str, &'a Value)) {
    seen(path, value);
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                walk(field, &join(path, key), seen);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{index}]"), seen);
            }
        }
        _ => {}
    }
}

/// Appends a key to a path; keys with dots are in brackets, as in JSONPath.
pub fn join(path: &str, key: &str) -> String {
    if key.contains(['.', '/']) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The labels at a pointer; values that are not strings are skipped.
pub fn labels(object: &Value, pointer: &str) -> std::collections::BTreeMap<String, String> {
    entries(object, pointer)
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
