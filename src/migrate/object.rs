//! Looking into raw objects.

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
pub fn label(object: &Value) -> String {
    format!("{}/{}", kind(object), name(object))
}

/// The entries of an object or none.
pub fn entries<'a>(
    object: &'a Value,
    pointer: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

/// The items of an array or none.
pub fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The object below `key`, made where it is missing.
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

/// A Deployment of any API that ever had them.
pub fn is_deployment(object: &Value) -> bool {
    let api = text(object, "/apiVersion").unwrap_or_default();
    kind(object) == "Deployment" && (api.starts_with("apps/") || api.starts_with("extensions/"))
}

/// Volumes that are claims: (volume, claim), in order.
pub fn deployment_mounts(deployment: &Value) -> Vec<(&str, &str)> {
    items(deployment, "/spec/template/spec/volumes")
        .filter_map(|volume| {
            let claim = text(volume, "/persistentVolumeClaim/claimName")?;
            Some((text(volume, "/name")?, claim))
        })
        .collect()
}

/// The containers of a pod template, with the names of their lists.
pub const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Every value below `value` with its path: `spec.rules[0].host`.
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

/// A path one key further; keys with dots stand in brackets, as in JSONPath.
pub fn join(path: &str, key: &str) -> String {
    if key.contains(['.', '/']) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Labels at a pointer, those that are strings.
pub fn labels(object: &Value, pointer: &str) -> std::collections::BTreeMap<String, String> {
    entries(object, pointer)
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
