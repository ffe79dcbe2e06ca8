//! How two pod templates differ. Pure.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::strategic::{self, Merge, Place};
pub use crate::workload::fingerprint;

/// How many characters of a value a diff shows.
const MAX_SHOWN: usize = 200;

/// One leaf in which two templates differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// From the template on: `spec.containers[nginx].image`.
    pub path: String,
    /// `null` where there was nothing. Strings as they are, the rest as JSON.
    pub before: Option<String>,
    /// `null` where there is nothing any more.
    pub after: Option<String>,
}

/// Every leaf in which two templates differ, in a stable order. Lists that the
/// server merges by a key are compared element by element; any other list is one
/// leaf.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(Place::Template, "", Some(before), Some(after), &mut found);
    found
}

fn compare(
    place: Place,
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    let (before, after) =
        (before.filter(|value| is_set(value)), after.filter(|value| is_set(value)));
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            compare_fields(place, path, old, new, found);
        }
        (Some(Value::Object(old)), None) if !old.is_empty() => {
            compare_fields(place, path, old, &Map::new(), found);
        }
        (None, Some(Value::Object(new))) if !new.is_empty() => {
            compare_fields(place, path, &Map::new(), new, found);
        }
        _ => found.push(leaf(path, before, after)),
    }
}

/// The server makes no difference between what is missing, null and an empty list.
fn is_set(value: &Value) -> bool {
    !value.is_null() && !strategic::is_empty_list(value)
}

fn compare_fields(
    place: Place,
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for field in fields {
        let path = below(path, field);
        let (before, after) = (old.get(field), new.get(field));
        match place.list(field) {
            Merge::By(key, inner) => compare_lists(key, inner, &path, before, after, found),
            Merge::Scalars | Merge::Whole => {
                compare(place.mapping(field), &path, before, after, found);
            }
        }
    }
}

fn compare_lists(
    key: &str,
    inner: Place,
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    // Lists whose elements have no unique key (two ports of one number) are
    // compared as a whole.
    let (Some(old), Some(new)) = (by_name(before, key), by_name(after, key)) else {
        compare(Place::Elsewhere, path, before, after, found);
        return;
    };
    // A patch can bring thousands of elements.
    let (of_old, of_new) = (indexed(&old), indexed(&new));
    let common = |items: &Named<'_>, others: &HashMap<&str, &Value>| {
        let names = items.iter().map(|(name, _)| name.as_str());
        json!(names.filter(|name| others.contains_key(name)).collect::<Vec<_>>())
    };
    let (old_order, new_order) = (common(&old, &of_new), common(&new, &of_old));
    if old_order != new_order {
        found.push(leaf(path, Some(&old_order), Some(&new_order)));
    }
    let added = new.iter().filter(|(name, _)| !of_old.contains_key(name.as_str()));
    for (name, _) in old.iter().chain(added) {
        let path = format!("{path}[{name}]");
        let name = name.as_str();
        let (before, after) = (of_old.get(name).copied(), of_new.get(name).copied());
        match (before, after) {
            (Some(_), Some(_)) => compare(inner, &path, before, after, found),
            // The path has the key; the value repeats it only where there is
            // nothing else.
            (Some(element), None) => match beside(element, key) {
                Some(rest) => compare(inner, &path, Some(&rest), None, found),
                None => found.push(leaf(&path, Some(element), None)),
            },
            (None, Some(element)) => match beside(element, key) {
                Some(rest) => compare(inner, &path, None, Some(&rest), found),
                None => found.push(leaf(&path, None, Some(element))),
            },
            (None, None) => {}
        }
    }
}

/// Elements of a list with their merge key.
type Named<'a> = Vec<(String, &'a Value)>;

fn indexed<'a>(items: &'a Named<'_>) -> HashMap<&'a str, &'a Value> {
    items.iter().map(|(name, item)| (name.as_str(), *item)).collect()
}

/// The elements by their merge key; `None` where one has none, or two have the
/// same.
fn by_name<'a>(list: Option<&'a Value>, key: &str) -> Option<Named<'a>> {
    let items = match list {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(list) => list.as_array()?,
    };
    let mut seen = BTreeSet::new();
    let named = items.iter().map(|item| {
        let name = shown(item.get(key)?);
        seen.insert(name.clone()).then_some((name, item))
    });
    named.collect()
}

/// An element without its merge key, if anything is left that can be shown.
fn beside(element: &Value, key: &str) -> Option<Value> {
    let mut fields = element.as_object()?.clone();
    fields.retain(|field, value| field != key && is_set(value));
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn below(path: &str, field: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !field.chars().all(plain) {
        format!("{path}[{field}]")
    } else if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn leaf(path: &str, before: Option<&Value>, after: Option<&Value>) -> Difference {
    let (before, after) = (before.map(shown), after.map(shown));
    // The cut must not hide the difference.
    let from = match (&before, &after) {
        (Some(before), Some(after)) => {
            let same = before.chars().zip(after.chars()).take_while(|(old, new)| old == new);
            let same = same.count();
            if same + 40 > MAX_SHOWN { same - 40 } else { 0 }
        }
        _ => 0,
    };
    let cut = |text: String| clipped(&text, from);
    Difference { path: path.to_owned(), before: before.map(cut), after: after.map(cut) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// At most [`MAX_SHOWN`] characters, starting at `from`.
fn clipped(text: &str, from: usize) -> String {
    let left: String = text.chars().skip(from).collect();
    let start = if from > 0 { "…" } else { "" };
    let room = MAX_SHOWN - start.chars().count();
    if left.chars().count() <= room {
        return format!("{start}{left}");
    }
    let kept: String = left.chars().take(room - 1).collect();
    format!("{start}{kept}…")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A pod template, for the tests of changes as well.
    pub(in crate::canary) fn template() -> Value {
        json!({
            "metadata": {"labels": {"app": "db"}, "creationTimestamp": null},
            "spec": {
                "initContainers": [{"name": "init", "image": "busybox:1"}],
                "containers": [
                    {
                        "name": "mysql", "image": "mysql:5.7",
                        "env": [
                            {"name": "A", "value": "1"},
                            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                        ],
                        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
                        "ports": [{"containerPort": 3306, "name": "mysql"}],
                        "args": ["--one"],
                    },
                    {"name": "backup", "image": "backup:1"},
                ],
                "volumes": [{"name": "conf", "emptyDir": {}}],
            },
        })
    }

    #[test]
    fn an_element_with_nothing_but_empty_lists_is_a_difference() {
        let (none, one) = (
            json!({"spec": {"containers": []}}),
            json!({"spec": {"containers": [{"name": "a", "env": []}]}}),
        );
        assert_eq!(
            differences(&none, &one),
            [leaf("spec.containers[a]", None, Some(&json!({"name": "a", "env": []})))]
        );
        assert_eq!(
            differences(&one, &none),
            [leaf("spec.containers[a]", Some(&json!({"name": "a", "env": []})), None)]
        );
    }

    #[test]
    fn differences_name_what_is_added_removed_and_moved() {
        let mut after = template();
        let spec = &mut after["spec"];
        spec["containers"].as_array_mut().unwrap().swap(0, 1);
        spec["containers"][1]["args"] = json!(["--one", "--two"]);
        spec["containers"][1]["ports"] = json!([{"containerPort": 3306}, {"containerPort": 33060}]);
        spec["volumes"] = json!([]);
        spec["imagePullSecrets"] = json!([{"name": "pull"}]);
        spec["hostNetwork"] = json!(true);
        after["metadata"].as_object_mut().unwrap().shift_remove("creationTimestamp");
        let found = differences(&template(), &after);
        let lines: Vec<String> = found
            .iter()
            .map(|Difference { path, before, after }| {
                let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                format!("{path} {} {}", said(before), said(after))
            })
            .collect();
        assert_eq!(
            lines,
            [
                r#"spec.containers ["mysql","backup"] ["backup","mysql"]"#,
                r#"spec.containers[mysql].args ["--one"] ["--one","--two"]"#,
                "spec.containers[mysql].ports[3306].name mysql -",
                r#"spec.containers[mysql].ports[33060] - {"containerPort":33060}"#,
                "spec.hostNetwork - true",
                r#"spec.imagePullSecrets[pull] - {"name":"pull"}"#,
                "spec.volumes[conf].emptyDir {} -",
            ]
        );
    }

    #[test]
    fn a_long_value_is_cut_where_it_does_not_differ() {
        let long = |end: &str| json!({"spec": {"text": "x".repeat(300) + end}});
        let found = differences(&long("one"), &long("two"));
        let text = format!("…{}", "x".repeat(40));
        assert_eq!(found[0].before, Some(format!("{text}one")));
        assert_eq!(found[0].after, Some(format!("{text}two")));
        let found = differences(&json!({}), &long(""));
        assert_eq!(found[0].after.as_ref().unwrap().chars().count(), MAX_SHOWN);
    }
}
