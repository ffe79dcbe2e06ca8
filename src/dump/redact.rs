//! Takes the values of environment variables out of an object. Equal values stay equal,
//! so that templates can still be compared; which value it was cannot be found out,
//! because each dump has a salt of its own.

use std::collections::BTreeMap;

use ring::{hmac, rand::SystemRandom};
use serde_json::Value;

use crate::{
    output::{Error, Exit},
    workload::{fingerprint, raw},
};

/// What makes the replacements of one dump.
pub struct Salt(hmac::Key);

impl Salt {
    pub fn new() -> Result<Salt, Error> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let no_key = |_| Error::new(Exit::Error, "this machine cannot generate random numbers");
        Ok(Salt(key.map_err(no_key)?))
    }

    fn replacement(&self, value: &str) -> String {
        let tag = hmac::sign(&self.0, value.as_bytes());
        let [a, b, c, d, ..] = tag.as_ref() else { return "redacted".to_owned() };
        format!("redacted-{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

/// Where a set and a revision have a pod template.
const TEMPLATES: [&str; 2] = ["/spec/template", "/data/spec/template"];

/// Replaces the values in these objects, also in those that annotations and data hold
/// as JSON.
pub fn redact<'a>(objects: impl IntoIterator<Item = &'a mut Value>, salt: &Salt) {
    let mut sets = Vec::new();
    let mut changed = BTreeMap::new();
    for object in objects {
        let before = template(object).map(|template| fingerprint(&template));
        within(object, salt);
        for place in ["/metadata/annotations", "/data"] {
            let Some(Value::Object(texts)) = object.pointer_mut(place) else { continue };
            texts.values_mut().for_each(|text| within_text(text, salt));
        }
        let after = template(object).map(|template| fingerprint(&template));
        changed.extend(before.zip(after).filter(|(before, after)| before != after));
        if raw::text(object, "/kind") == Some("StatefulSet") {
            sets.push(object);
        }
    }
    // The record of a canary names templates by their fingerprints.
    for set in sets {
        let Some(Value::Object(texts)) = set.pointer_mut("/metadata/annotations") else { continue };
        let ours = texts.iter_mut().filter(|(key, _)| key.starts_with(OWN));
        for (_, text) in ours {
            let Some(known) = text.as_str() else { continue };
            let renamed = changed
                .iter()
                .fold(known.to_owned(), |text, (before, after)| text.replace(before, after));
            *text = renamed.into();
        }
    }
}

/// The annotations of this program.
const OWN: &str = "kubectl-stateful.dev/";

/// The pod template of a set, or the one that a revision keeps.
fn template(object: &Value) -> Option<Value> {
    let mut template = TEMPLATES.iter().find_map(|place| object.pointer(place))?.clone();
    template.as_object_mut()?.shift_remove("$patch");
    Some(template)
}

/// Every `env` in a value.
fn within(value: &mut Value, salt: &Salt) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| within(item, salt)),
        Value::Object(fields) => {
            for (key, field) in fields {
                if key == "env" {
                    variables(field, salt);
                }
                within(field, salt);
            }
        }
        _ => {}
    }
}

fn variables(env: &mut Value, salt: &Salt) {
    for variable in env.as_array_mut().into_iter().flatten() {
        if let Some(value) = variable.get_mut("value")
            && let Some(text) = value.as_str().filter(|text| !text.is_empty())
        {
            *value = salt.replacement(text).into();
        }
    }
}

/// A text that is an object in JSON, as kubectl's last-applied-configuration is.
fn within_text(text: &mut Value, salt: &Salt) {
    let parsed = text.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(mut inner) = parsed.filter(Value::is_object) {
        let before = inner.clone();
        within(&mut inner, salt);
        if inner != before {
            *text = inner.to_string().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod_spec(password: &str) -> Value {
        json!({
            "containers": [{
                "name": "db",
                "env": [
                    {"name": "PASSWORD", "value": password},
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "EMPTY", "value": ""},
                ],
            }],
            "initContainers": [{"name": "init", "env": [{"name": "P", "value": password}]}],
        })
    }

    fn set(password: &str, record: &str) -> Value {
        let applied = json!({"spec": {"template": {"spec": pod_spec(password)}}}).to_string();
        json!({
            "kind": "StatefulSet",
            "metadata": {"annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": applied,
                "kubectl-stateful.dev/canary": record,
                "note": "not JSON: s3cret stays where nobody said that it is a value",
            }},
            "spec": {"template": {"spec": pod_spec(password)}},
        })
    }

    fn redacted(mut objects: Vec<Value>) -> Vec<Value> {
        let salt = Salt::new().unwrap_or_else(|error| panic!("{error}"));
        redact(&mut objects, &salt);
        objects
    }

    #[test]
    fn no_value_of_a_variable_is_left() {
        let objects = redacted(vec![
            set("hunter2", "{}"),
            json!({"kind": "Pod", "spec": pod_spec("hunter2")}),
            json!({"kind": "ControllerRevision", "data": {"spec": {"template": {"spec": pod_spec("hunter2")}}}}),
            json!({"kind": "ConfigMap", "data": {"journal": json!({"was": pod_spec("hunter2")}).to_string()}}),
            json!({"kind": "ConfigMap", "data": {"journal": "no JSON"}}),
        ]);
        let text = json!(objects).to_string();
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(text.matches("redacted-").count(), 10, "{text}");
        assert!(
            text.contains("metadata.name") && text.contains("s3cret") && text.contains("no JSON")
        );
    }

    #[test]
    fn equal_values_stay_equal_and_others_do_not() {
        let value = |object: &Value| object.pointer("/spec/containers/0/env/0/value").cloned();
        let pod = |password: &str| json!({"kind": "Pod", "spec": pod_spec(password)});
        let [a, b, c] = redacted(vec![pod("a"), pod("a"), pod("b")]).try_into().expect("three");
        assert_eq!(value(&a), value(&b));
        assert_ne!(value(&a), value(&c));
        let [other] = redacted(vec![pod("a")]).try_into().expect("one");
        assert_ne!(value(&a), value(&other), "each dump has a salt of its own");
    }

    /// Otherwise the canary would seem to have been changed by somebody.
    #[test]
    fn the_record_of_a_canary_still_names_its_template() {
        let was = fingerprint(&json!({"spec": pod_spec("a")}));
        let revision = json!({"kind": "ControllerRevision", "data": {"spec": {"template": {
            "$patch": "replace", "spec": pod_spec("a"),
        }}}});
        let record = json!({"template": was}).to_string();
        let [set, _] = redacted(vec![set("b", &record), revision]).try_into().expect("two");
        let record = raw::text(&set, "/metadata/annotations/kubectl-stateful.dev~1canary");
        let record = record.expect("the record");
        assert!(
            !record.contains(&was) && record.len() == json!({"template": was}).to_string().len()
        );
    }
}
