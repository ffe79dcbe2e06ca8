//! Strategic merge patches of a pod template, applied as the API server does
//! it (k8s.io/apimachinery/pkg/util/strategicpatch).
//!
//! Only for pod templates: struct tags in k8s.io/api/core/v1/types.go say which
//! lists are merged, and by which key; [`Place`] has those of a template.

mod place;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

pub(super) use self::place::{Merge, Place};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// The template after the patch.
///
/// # Errors
/// Why the server would reject the patch, as a clause that follows "the patch".
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

/// `$retainKeys`: removes the fields that it does not name, before the merge.
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

/// `$setElementOrder`: merges its list, and orders it.
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
    let mut gone = HashSet::new();
    let mut others = Vec::new();
    let mut replaces = false;
    for item in new {
        let Some(directive) = item.get(PATCH) else {
            others.push(item.clone());
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                gone.insert(name_of(item, merge).ok_or_else(|| no_key(key))?);
            }
            Some("replace") => replaces = true,
            _ => return Err(unknown_directive(directive)),
        }
    }
    if replaces {
        return Ok(others.iter().map(plain).collect());
    }
    let stays = |item: &&Value| name_of(item, merge).is_none_or(|name| !gone.contains(&name));
    let kept: Vec<Value> = old.iter().filter(stays).cloned().collect();
    let mut merged = kept.clone();
    let mut places = places(&kept, merge);
    for item in &others {
        let Value::Object(fields) = item else {
            return Err("has a scalar in a list of mappings".to_owned());
        };
        let name = name_of(item, merge).ok_or_else(|| no_key(key))?;
        if let Some(element) = places.get(&name).and_then(|place| merged.get_mut(*place)) {
            let fields_before = element.as_object().cloned().unwrap_or_default();
            *element = Value::Object(merge_mapping(fields_before, fields, place)?);
        } else {
            places.insert(name, merged.len());
            merged.push(plain(item));
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
    if let Merge::By(key, _) = merge
        && items.iter().any(|item| item.get(key).is_none())
    {
        return Err(no_key(key));
    }
    let (in_patch, in_old) = (places(patch_order, merge), places(old_order, merge));
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let name = name_of(&item, merge);
        let of = |places: &HashMap<String, usize>| places.get(name.as_deref()?).copied();
        match (of(&in_patch), of(&in_old)) {
            (Some(place), old) => named.push((place, old, item)),
            (None, old) => others.push((old, item)),
        }
    }
    named.sort_by_key(|(place, ..)| *place);
    others.sort_by_key(|(old, _)| *old);
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, here, item) in named {
        while let Some((_, before)) = here
            .and_then(|here| others.next_if(|(there, _)| there.is_some_and(|there| there < here)))
        {
            sorted.push(before);
        }
        sorted.push(item);
    }
    sorted.extend(others.map(|(_, item)| item));
    Ok(sorted)
}

/// Where each element stands in a list; the first of namesakes counts. A patch
/// can bring thousands of elements.
fn places(list: &[Value], merge: Merge) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, item) in list.iter().enumerate() {
        if let Some(name) = name_of(item, merge) {
            places.entry(name).or_insert(place);
        }
    }
    places
}

/// The identity of an element as text.
fn name_of(item: &Value, merge: Merge) -> Option<String> {
    identity(item, merge).map(Value::to_string)
}

/// The identity of an element in its list.
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

/// The value that a patch adds where there was none: nothing for a mapping with
/// a directive.
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

/// A value that is added as it is. The server's typed objects drop nulls, empty
/// lists and directives.
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

/// The server stores no empty list of a template.
pub(super) fn is_empty_list(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::canary::diff::{differences, fingerprint};

    fn merged(template: &Value, patch: &Value) -> Result<Value, String> {
        merge(template, patch.as_object().unwrap())
    }

    #[test]
    fn lists_are_merged_and_ordered_as_on_the_server() {
        let names =
            |list: &[&str]| list.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
        let template = json!({"spec": {"containers": names(&["a", "b", "c"])}});
        let result = |patch: Value| {
            let after = merged(&template, &json!({"spec": patch}))?;
            let list = after["spec"]["containers"].as_array().unwrap().clone();
            Ok::<_, String>(
                list.iter().map(|item| item["name"].as_str().unwrap()).collect::<String>(),
            )
        };
        let containers = |list: Value| json!({ "containers": list });
        assert_eq!(result(containers(json!([{"name": "b"}]))).unwrap(), "abc");
        assert_eq!(result(containers(json!([{"name": "c"}, {"name": "a"}]))).unwrap(), "bca");
        assert_eq!(result(containers(json!([{"name": "n"}]))).unwrap(), "nabc");
        assert_eq!(result(containers(json!([{"name": "c"}, {"name": "n"}]))).unwrap(), "abcn");
        assert_eq!(
            result(containers(json!([{"name": "b", "$patch": "delete"}, {"name": "n"}]))).unwrap(),
            "nac"
        );
        assert_eq!(result(containers(json!([{"$patch": "replace"}, {"name": "n"}]))).unwrap(), "n");
        let ordered = json!({
            "$setElementOrder/containers": names(&["c", "n", "a"]),
            "containers": [{"name": "n"}],
        });
        assert_eq!(result(ordered).unwrap(), "bcna");
        let unordered = json!({
            "$setElementOrder/containers": names(&["a", "n"]),
            "containers": names(&["n", "a"]),
        });
        assert!(result(unordered).unwrap_err().contains("$setElementOrder/containers"));
        let odd = containers(json!([{"name": "a", "$patch": "merge"}]));
        assert!(result(odd).unwrap_err().contains("$patch"));
    }

    #[test]
    fn directives_do_what_they_do_on_the_server() {
        let template = json!({
            "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}},
            "spec": {
                "securityContext": {"runAsUser": 1},
                "nodeSelector": {"a": "b", "c": "d"},
                "volumes": [{"name": "v", "emptyDir": {}}],
                "tolerations": [{"key": "a"}],
            },
        });
        let patch = json!({
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "labels": null},
            "spec": {
                "securityContext": {"$patch": "delete"},
                "nodeSelector": {"$patch": "replace", "e": "f"},
                "volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}],
                "tolerations": [{"key": "b", "value": null}],
                "affinity": {"$patch": "delete"},
                "dnsConfig": {"searches": null, "nameservers": ["1.1.1.1"]},
            },
        });
        assert_eq!(
            merged(&template, &patch).unwrap(),
            json!({
                "metadata": {"finalizers": ["b"]},
                "spec": {
                    "securityContext": {},
                    "nodeSelector": {"e": "f"},
                    "volumes": [{"name": "v", "configMap": {"name": "c"}}],
                    "tolerations": [{"key": "b"}],
                    "dnsConfig": {"nameservers": ["1.1.1.1"]},
                },
            })
        );
        let forgets =
            json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name"], "nfs": {}}]}});
        assert!(merged(&template, &forgets).unwrap_err().contains("nfs"));
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![Just(json!("x")), Just(json!("y")), Just(json!(1)), Just(json!(true))]
    }

    fn element(key: &'static str, fields: &'static [&'static str]) -> BoxedStrategy<Value> {
        let names = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")];
        let fields =
            proptest::collection::btree_map(proptest::sample::select(fields), scalar(), 0..3);
        (names, fields)
            .prop_map(move |(name, fields)| {
                let mut element = json!(fields);
                element[key] = json!(name);
                element
            })
            .boxed()
    }

    /// A list whose elements have unique names.
    fn list(key: &'static str, element: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
        proptest::collection::vec(element, 0..4).prop_map(move |mut items| {
            let mut seen = BTreeSet::new();
            items.retain(|item| seen.insert(item[key].to_string()));
            Value::Array(items)
        })
    }

    /// A template; also a patch that only adds, because it has no nulls and no
    /// directives.
    fn any_template() -> impl Strategy<Value = Value> {
        let container = (element("name", &["image"]), list("name", element("name", &["value"])))
            .prop_map(|(mut container, env)| {
                container["env"] = env;
                container
            });
        let lists = (list("name", container.boxed()), list("name", element("name", &["emptyDir"])));
        (lists, proptest::collection::vec(element("key", &["operator"]), 0..3), scalar()).prop_map(
            |((containers, volumes), tolerations, scalar)| {
                json!({
                    "metadata": {"labels": {"app": scalar}},
                    "spec": {"containers": containers, "volumes": volumes, "tolerations": tolerations},
                })
            },
        )
    }

    /// A patch with deletions: of mappings, of fields, of elements.
    fn any_patch() -> impl Strategy<Value = Value> {
        (any_template(), proptest::collection::vec(0_u8..6, 8)).prop_map(|(mut patch, dice)| {
            if dice[0] == 0 {
                patch["metadata"]["labels"] = Value::Null;
            }
            if dice[1] == 0 {
                patch["spec"]["tolerations"] = Value::Null;
            }
            if dice[2] == 0 {
                patch["spec"]["nodeSelector"] = json!({"$patch": "replace", "a": "b"});
            }
            for (list, dice) in ["containers", "volumes"].iter().zip(&dice[3..]) {
                let items = patch["spec"][list].as_array_mut().unwrap();
                if let Some(item) = items.get_mut(usize::from(*dice)) {
                    item["$patch"] = json!("delete");
                }
            }
            patch
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_changes_nothing(template in any_template()) {
            prop_assert_eq!(&merged(&template, &json!({})).unwrap(), &template);
            prop_assert_eq!(differences(&template, &template), []);
        }

        #[test]
        fn a_patch_holds_after_it_was_applied(template in any_template(), patch in any_patch()) {
            let once = merged(&template, &patch).unwrap();
            prop_assert_eq!(&merged(&once, &patch).unwrap(), &once);
            prop_assert!(!once.to_string().contains('$'));
        }

        #[test]
        fn templates_are_the_same_when_nothing_differs(one in any_template(), other in any_template()) {
            prop_assert_eq!(differences(&one, &other).is_empty(), one == other);
            prop_assert_eq!(fingerprint(&one) == fingerprint(&other), one == other);
        }
    }
}
