//! What an API server does with a write: shared by the models of clusters.

use futures_util::FutureExt;
use http::{Method, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use kubectl_stateful::cluster::Write;
use serde::Deserialize;
use serde_json::Value;

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// A precondition did not hold, or the name is taken.
    Conflict,
    NotFound,
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub enum Sent {
    /// A JSON patch (RFC 6902).
    Operations(Value),
    /// A strategic merge patch.
    Strategic(Value),
    Create(Value),
    Delete(Preconditions),
}

impl Sent {
    /// Reads the request that would go over the wire.
    pub fn of(write: &Write) -> Sent {
        let request = write.request(false).expect("a request");
        let (parts, body) = request.into_parts();
        let body = body.collect().now_or_never().expect("the body is in memory");
        let body: Value =
            serde_json::from_slice(&body.expect("a body").to_bytes()).expect("a JSON body");
        let content_type = parts.headers[CONTENT_TYPE].to_str().expect("text");
        match (parts.method, content_type) {
            (Method::POST, "application/json") => Sent::Create(body),
            (Method::PATCH, "application/json-patch+json") => Sent::Operations(body),
            (Method::PATCH, "application/strategic-merge-patch+json") => Sent::Strategic(body),
            (Method::DELETE, "application/json") => {
                let preconditions = body["preconditions"].clone();
                Sent::Delete(serde_json::from_value(preconditions).expect("preconditions"))
            }
            (method, _) => panic!("no model takes a {method} of {content_type}"),
        }
    }
}

/// Which object a write is about, and which version of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preconditions {
    uid: Option<String>,
    pub resource_version: Option<String>,
}

impl Preconditions {
    pub fn hold(&self, object: &Value) -> bool {
        let is = |field: &str, wanted: Option<&String>| {
            wanted.is_none_or(|wanted| object["metadata"][field] == *wanted)
        };
        is("uid", self.uid.as_ref()) && is("resourceVersion", self.resource_version.as_ref())
    }
}

/// The object after a JSON patch; `None` where an operation or a precondition
/// fails.
pub fn patched(object: &Value, operations: &Value) -> Option<Value> {
    let patch: json_patch::Patch =
        serde_json::from_value(operations.clone()).expect("a JSON patch");
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &patch).ok()?;
    is_same(object, &patched).then_some(patched)
}

/// The object after a patch that is merged; `None` where a precondition fails.
/// Lists are replaced whole: who has lists with a merge key merges those.
pub fn merged(object: &Value, patch: &Value) -> Option<Value> {
    let mut merged = object.clone();
    json_patch::merge(&mut merged, patch);
    is_same(object, &merged).then_some(merged)
}

/// The server compares uid and resourceVersion of a patched object with those
/// of the stored one: in a patch they are preconditions.
fn is_same(stored: &Value, patched: &Value) -> bool {
    let same = |field: &str| stored["metadata"][field] == patched["metadata"][field];
    same("uid") && same("resourceVersion")
}

mod tests {
    use kubectl_stateful::cluster::{Object, Patch, Precondition, Propagation, Resource};
    use serde_json::{Map, json};

    use super::*;

    fn web() -> Object {
        Resource::STATEFUL_SET.object("default", "web")
    }

    fn stored() -> Value {
        json!({
            "metadata": {"name": "web", "uid": "u-1", "resourceVersion": "7"},
            "spec": {"replicas": 3, "paused": true},
        })
    }

    #[test]
    fn a_json_patch_is_applied_only_where_all_of_it_holds() {
        let write = |expected: u32, then: Value| {
            let patch = Patch::json("/spec/replicas", &json!(expected), vec![then]);
            let Sent::Operations(operations) = Sent::of(&Write::patch(web(), patch, "")) else {
                panic!("no JSON patch");
            };
            patched(&stored(), &operations)
        };
        let remove = |path: &str| json!({"op": "remove", "path": path});
        let done = write(3, remove("/spec/paused")).expect("it applies");
        assert_eq!(done["spec"], json!({"replicas": 3}));
        assert_eq!(write(2, remove("/spec/paused")), None, "the test fails");
        assert_eq!(write(3, remove("/spec/none")), None, "there is nothing to remove");
    }

    #[test]
    fn a_merge_holds_for_one_object_and_version() {
        let write = |precondition: Precondition| {
            let fields = Map::from_iter([("spec".to_owned(), json!({"paused": null}))]);
            let patch = Patch::strategic(&precondition, fields);
            let Sent::Strategic(patch) = Sent::of(&Write::patch(web(), patch, "")) else {
                panic!("no strategic merge patch");
            };
            merged(&stored(), &patch)
        };
        let version = |version: &str| Precondition::ResourceVersion(version.to_owned());
        let uid = |uid: &str| Precondition::Uid(uid.to_owned());
        for holds in [version("7"), uid("u-1")] {
            assert_eq!(write(holds).expect("it applies")["spec"], json!({"replicas": 3}));
        }
        for fails in [version("6"), uid("u-2")] {
            assert_eq!(write(fails), None);
        }
    }

    #[test]
    fn a_delete_holds_for_one_object_and_version() {
        let holds = |uid: &str, version: Option<&str>| {
            let version = version.map(str::to_owned);
            let write = Write::delete(web(), uid, version, Propagation::Background, "");
            let Sent::Delete(preconditions) = Sent::of(&write) else { panic!("no delete") };
            preconditions.hold(&stored())
        };
        assert!(holds("u-1", None) && holds("u-1", Some("7")));
        assert!(!holds("u-2", None) && !holds("u-1", Some("6")));
    }
}
