//! How an API server takes a write: what the models of clusters have in common.

use kubectl_stateful::cluster::{Mode, Write};
use serde_json::Value;

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// A precondition did not hold, or the name is taken.
    Conflict,
    NotFound,
}

/// A write as it is sent.
#[derive(Clone, Debug)]
pub enum Sent {
    /// A JSON patch (RFC 6902).
    Operations(Value),
    /// A strategic merge patch.
    Merge(Value),
    Create(Value),
    Delete {
        uid: String,
        version: Option<String>,
    },
}

impl Sent {
    /// Takes a write apart, by the line that would have kubectl send it.
    pub fn of(write: &Write) -> Sent {
        let line = write.as_kubectl(Mode::ClientDryRun, &[]);
        let body = |rest: &str| serde_json::from_str(&unquoted(rest)).expect("JSON");
        if line.starts_with("kubectl delete ") {
            let (_, only) = line.split_once(" # only while its uid is ").expect("a uid");
            let (uid, version) = match only.split_once(" and its resourceVersion ") {
                Some((uid, version)) => (uid, Some(version.to_owned())),
                None => (only, None),
            };
            return Sent::Delete { uid: uid.to_owned(), version };
        }
        if line.starts_with("kubectl create ") {
            let (_, object) = line.split_once(" <<< '").expect("an object");
            return Sent::Create(body(object));
        }
        let (head, rest) = line.split_once(" -p '").expect("a patch");
        if head.contains("--type=strategic") {
            return Sent::Merge(body(rest));
        }
        assert!(head.contains("--type=json"), "{line}");
        Sent::Operations(body(rest))
    }
}

/// What stands in single quotes from here on, as a shell reads it.
fn unquoted(mut text: &str) -> String {
    let mut whole = String::new();
    loop {
        let (part, rest) = text.split_once('\'').expect("the end of a word");
        whole.push_str(part);
        let Some(rest) = rest.strip_prefix(r"\''") else { return whole };
        whole.push('\'');
        text = rest;
    }
}

/// The object after a JSON patch; `None` where a part of it cannot be done.
pub fn patched(object: &Value, operations: &Value) -> Option<Value> {
    operations.as_array().expect("operations").iter().try_fold(object.clone(), operation)
}

fn operation(mut object: Value, operation: &Value) -> Option<Value> {
    let path = operation["path"].as_str().expect("a path");
    let value = &operation["value"];
    let (parent, key) = path.rsplit_once('/').expect("a place");
    let key = key.replace("~1", "/").replace("~0", "~");
    match operation["op"].as_str().expect("an operation") {
        "test" => return (object.pointer(path)? == value).then_some(object),
        "replace" => *object.pointer_mut(path)? = value.clone(),
        "add" => {
            object.pointer_mut(parent)?.as_object_mut()?.insert(key, value.clone());
        }
        "remove" => {
            object.pointer_mut(parent)?.as_object_mut()?.shift_remove(&key)?;
        }
        other => panic!("operation {other}"),
    }
    Some(object)
}
