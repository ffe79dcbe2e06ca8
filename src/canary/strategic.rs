//! Strategic merge patches of a pod template, applied as the API server does
//! it (k8s.io/apimachinery/pkg/util/strategicpatch).
//!
//! Only a pod template: which lists are merged, and by which key, stands in
//! struct tags of k8s.io/api/core/v1/types.go, and [`Place`] has those that a
//! template can reach.

use serde_json::{Map, Value};

/// Where in a pod template a mapping stands, which says how the lists in it
/// are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Template,
    Metadata,
    Spec,
    Container,
    Volume,
    Ephemeral,
    ClaimTemplate,
    /// No list in here or below is merged.
    Elsewhere,
}

/// How a list is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// Element by element; those with the same value in this field are the
    /// same element.
    By(&'static str, Place),
    /// As a set of scalars.
    Scalars,
    /// Not at all: the new list takes the place of the old one.
    Whole,
}

impl Place {
    /// Where a mapping under `field` stands.
    pub fn mapping(self, field: &str) -> Place {
        match (self, field) {
            (Place::Template | Place::ClaimTemplate, "metadata") => Place::Metadata,
            (Place::Template, "spec") => Place::Spec,
            (Place::Volume, "ephemeral") => Place::Ephemeral,
            (Place::Ephemeral, "volumeClaimTemplate") => Place::ClaimTemplate,
            _ => Place::Elsewhere,
        }
    }

    /// How a list under `field` is merged.
    pub fn list(self, field: &str) -> Merge {
        match (self, field) {
            (Place::Metadata, "finalizers") => Merge::Scalars,
            (Place::Metadata, "ownerReferences") => Merge::By("uid", Place::Elsewhere),
            (Place::Spec, "containers" | "initContainers" | "ephemeralContainers") => {
                Merge::By("name", Place::Container)
            }
            (Place::Spec, "volumes") => Merge::By("name", Place::Volume),
            (Place::Spec, "imagePullSecrets" | "schedulingGates" | "resourceClaims")
            | (Place::Container, "env") => Merge::By("name", Place::Elsewhere),
            (Place::Spec, "hostAliases") => Merge::By("ip", Place::Elsewhere),
            (Place::Spec, "topologySpreadConstraints") => {
                Merge::By("topologyKey", Place::Elsewhere)
            }
            (Place::Container, "ports") => Merge::By("containerPort", Place::Elsewhere),
            (Place::Container, "volumeMounts") => Merge::By("mountPath", Place::Elsewhere),
            (Place::Container, "volumeDevices") => Merge::By("devicePath", Place::Elsewhere),
            _ => Merge::Whole,
        }
    }
}

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// The template after the patch.
///
/// # Errors
/// Where the server would refuse the patch, in a sentence that follows "the
/// patch …".
pub(super) fn merge(template: &Value, patch: &Map<String, Value>) -> Result<Value, String> {
    let original = template.as_object().cloned().unwrap_or_default();
    merge_mapping(original, patch, Place::Template).map(Value::Object)
}

fn merge_mapping(
    mut original: Map<String, Value>,
    patch: &Map<String, Value>,
    place: Place,
) -> Result<Map<String, Value>, String> {
    match patch.get(PATCH) {
        None => {}
        Some(Value::String(word)) if word == "replace" => return Ok(plain_fields(patch)),
        Some(Value::String(word)) if word == "delete" => return Ok(Map::new()),
        Some(other) => return Err(unknown_directive(other)),
    }
    retain(&mut original, patch)?;
    let mut ordered = Vec::new();
    for (directive, order) in patch {
        if let Some(field) = directive.strip_prefix(ORDER) {
            put_in_order(&mut original, patch, place, field, order)?;
            ordered.push(field);
        }
    }
    for (field, value) in patch {
        if field == RETAIN || field.starts_with(ORDER) || ordered.contains(&field.as_str()) {
            continue;
        }
        if let Some(field) = field.strip_prefix(DELETE) {
            if let (Some(Value::Array(list)), Value::Array(gone)) = (original.get_mut(field), value)
            {
                list.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if value.is_null() {
            original.shift_remove(field);
            continue;
        }
        let merged = match (original.get_mut(field).map(Value::take), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                Some(Value::Object(merge_mapping(old, new, place.mapping(field))?))
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                Some(Value::Array(merge_list(&old, new, place.list(field))?))
            }
            _ => without_directives(value),
        };
        match merged.filter(|merged| !is_empty_list(merged)) {
            Some(merged) => original.insert(field.clone(), merged),
            None => original.shift_remove(field),
        };
    }
    Ok(original)
}

/// `$retainKeys`: what it does not name goes away, before the rest is merged.
fn retain(original: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), String> {
    let Some(kept) = patch.get(RETAIN) else {
        return Ok(());
    };
    let Value::Array(kept) = kept else {
        return Err(format!("has a {RETAIN} that is no list"));
    };
    let is_kept = |field: &str| kept.iter().any(|name| name == field);
    let forgotten = patch.iter().find(|(field, value)| {
        !value.is_null() && !field.starts_with('$') && !is_kept(field.as_str())
    });
    if let Some((field, _)) = forgotten {
        return Err(format!("sets {field}, which its {RETAIN} does not name"));
    }
    original.retain(|field, _| is_kept(field));
    Ok(())
}

/// `$setElementOrder`: merges the list that it is for, and orders it.
fn put_in_order(
    original: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    place: Place,
    field: &str,
    order: &Value,
) -> Result<(), String> {
    let merge = place.list(field);
    let Value::Array(order) = order else {
        return Err(format!("has a {ORDER}{field} that is no list"));
    };
    let list = |value: Option<&Value>| match value {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list.clone())),
        Some(_) => Err(format!("orders {field}, which is no list")),
    };
    let (old, new) = (list(original.get(field))?, list(patch.get(field))?);
    let mut named = order.iter().filter_map(|item| identity(item, merge));
    for item in new.iter().flatten().filter(|item| item.get(PATCH).is_none()) {
        let wanted = identity(item, merge);
        if !order.is_empty() && !named.any(|name| Some(name) == wanted) {
            return Err(format!("does not have {field} in the order of its {ORDER}{field}"));
        }
    }
    let merged = match (&old, &new) {
        (None, None) => return Ok(()),
        (Some(old), None) => old.clone(),
        (None, Some(new)) => new.iter().filter_map(without_directives).collect(),
        (Some(old), Some(new)) => merge_list(old, new, merge)?,
    };
    let sorted = arranged(merged, order, old.as_deref().unwrap_or_default(), merge)?;
    if sorted.is_empty() {
        original.shift_remove(field);
    } else {
        original.insert(field.to_owned(), Value::Array(sorted));
    }
    Ok(())
}

fn merge_list(old: &[Value], new: &[Value], merge: Merge) -> Result<Vec<Value>, String> {
    let Merge::By(key, place) = merge else {
        if merge == Merge::Whole || (old.is_empty() && new.is_empty()) {
            return Ok(new.iter().map(plain).collect());
        }
        let mut both = old.to_vec();
        for item in new {
            if !both.contains(item) {
                both.push(item.clone());
            }
        }
        return arranged(both, new, old, merge);
    };
    let mut kept = old.to_vec();
    let mut others = Vec::new();
    let mut replaces = false;
    for item in new {
        let Some(directive) = item.get(PATCH) else {
            others.push(item.clone());
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let gone = item.get(key).ok_or_else(|| no_key(key))?;
                kept.retain(|element| element.get(key) != Some(gone));
            }
            Some("replace") => replaces = true,
            _ => return Err(unknown_directive(directive)),
        }
    }
    if replaces {
        return Ok(others.iter().map(plain).collect());
    }
    let mut merged = kept.clone();
    for item in &others {
        let Value::Object(fields) = item else {
            return Err("has a scalar in a list of mappings".to_owned());
        };
        let name = fields.get(key).ok_or_else(|| no_key(key))?;
        match merged.iter_mut().find(|element| element.get(key) == Some(name)) {
            Some(element) => {
                let fields_before = element.as_object().cloned().unwrap_or_default();
                *element = Value::Object(merge_mapping(fields_before, fields, place)?);
            }
            None => merged.push(plain(item)),
        }
    }
    arranged(merged, &others, &kept, merge)
}

/// The order that the server gives to a merged list: what the patch names in
/// the patch's order, the rest in the order it had, and where the two meet,
/// as it was.
fn arranged(
    items: Vec<Value>,
    patch_order: &[Value],
    old_order: &[Value],
    merge: Merge,
) -> Result<Vec<Value>, String> {
    let place_in = |order: &[Value], item: &Value| {
        let name = identity(item, merge);
        order.iter().position(|other| identity(other, merge) == name)
    };
    if let Merge::By(key, _) = merge
        && items.iter().any(|item| item.get(key).is_none())
    {
        return Err(no_key(key));
    }
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place_in(patch_order, item).is_some());
    named.sort_by_key(|item| place_in(patch_order, item));
    others.sort_by_key(|item| place_in(old_order, item));
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let here = place_in(old_order, &item);
        while let Some(before) = here.and_then(|here| {
            others.next_if(|other| place_in(old_order, other).is_some_and(|there| there < here))
        }) {
            sorted.push(before);
        }
        sorted.push(item);
    }
    sorted.extend(others);
    Ok(sorted)
}

/// What makes two elements of a list the same one.
fn identity(item: &Value, merge: Merge) -> Option<&Value> {
    match merge {
        Merge::By(key, _) => item.get(key),
        Merge::Scalars | Merge::Whole => Some(item),
    }
}

fn no_key(key: &str) -> String {
    format!("has a list element without {key}, by which its list is merged")
}

fn unknown_directive(directive: &Value) -> String {
    format!("says {PATCH}: {directive}, which has no meaning there")
}

/// What a patch puts where nothing was: a mapping with a directive puts
/// nothing there.
fn without_directives(value: &Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(PATCH) => None,
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(field, value)| is_plain(field, value));
            let kept = fields
                .filter_map(|(field, value)| Some((field.clone(), without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => {
            Some(Value::Array(items.iter().filter_map(without_directives).collect()))
        }
        scalar => Some(scalar.clone()),
    }
}

/// A value that is taken as it stands. A typed object has no room for nulls,
/// empty lists and directives, so the server forgets them.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(plain_fields(fields)),
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        scalar => scalar.clone(),
    }
}

fn plain_fields(fields: &Map<String, Value>) -> Map<String, Value> {
    let fields = fields.iter().filter(|(field, value)| is_plain(field, value));
    fields.map(|(field, value)| (field.clone(), plain(value))).collect()
}

fn is_plain(field: &str, value: &Value) -> bool {
    let directive =
        field == PATCH || field == RETAIN || field.starts_with(ORDER) || field.starts_with(DELETE);
    !directive && !value.is_null() && !is_empty_list(value)
}

/// No list of a template is stored when it is empty.
pub(super) fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}
