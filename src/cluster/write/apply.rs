//! What an object would be after a write, to show what comes after it.

use serde_json::Value;

use super::{PatchKind, Verb, Write};

impl Write {
    /// The object after this write, `None` if it is deleted. Preconditions are not
    /// looked at; a patch that is not a JSON patch changes nothing here.
    #[must_use]
    pub fn applied_to(&self, found: Option<&Value>) -> Option<Value> {
        match &self.verb {
            Verb::Create(body) => Some(body.clone()),
            Verb::Delete { .. } => None,
            Verb::Patch(patch) => {
                let mut object = found?.clone();
                if patch.kind == PatchKind::Json {
                    patch.body.as_array()?.iter().for_each(|one| apply(one, &mut object));
                }
                Some(object)
            }
        }
    }
}

/// Carries out one operation of a JSON patch, on fields of objects.
fn apply(operation: &Value, object: &mut Value) {
    let word = |key: &str| operation.get(key).and_then(Value::as_str);
    let (Some(kind), Some(path)) = (word("op"), word("path")) else { return };
    let Some((parent, key)) = path.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    let Some(fields) = object.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    match kind {
        "add" | "replace" => {
            let value = operation.get("value").cloned().unwrap_or_default();
            fields.insert(key, value);
        }
        "remove" => drop(fields.shift_remove(&key)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cluster::{Patch, Propagation, Resource, Write};

    #[test]
    fn an_object_is_as_the_write_leaves_it() {
        let claim = || Resource::CLAIM.object("shop", "data");
        let found = json!({"metadata": {"uid": "u", "annotations": {"a/b": "x", "c": "y"}}});
        let operations = vec![
            json!({"op": "test", "path": "/metadata/uid", "value": "u"}),
            json!({"op": "remove", "path": "/metadata/annotations/a~1b"}),
            json!({"op": "add", "path": "/metadata/finalizers", "value": ["f"]}),
            json!({"op": "replace", "path": "/metadata/annotations/c", "value": "z"}),
        ];
        let patch = Patch::json("/metadata/uid", &json!("u"), operations);
        assert_eq!(
            Write::patch(claim(), patch, "").applied_to(Some(&found)),
            Some(json!({
                "metadata": {"uid": "u", "annotations": {"c": "z"}, "finalizers": ["f"]},
            }))
        );
        let made = Write::create(claim(), found.clone(), "");
        assert_eq!(made.applied_to(None), Some(found.clone()));
        let gone = Write::delete(claim(), "u", None, Propagation::Background, "");
        assert_eq!(gone.applied_to(Some(&found)), None);
    }
}
