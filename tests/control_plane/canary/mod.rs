//! `canary` on a real control plane: forward, back, held up, broken, disturbed
//! by others, and killed at every request.

use std::{collections::BTreeMap, time::Duration};

use http::Method;
use serde_json::{Value, json};

use super::support::{
    self, CustomKind, Namespace, Output, Run, SCALED_OBJECT, TestCluster, VERTICAL, container,
    document, error_ids, reason_ids, wait_for, web_set,
};

mod broken;
mod claims;
mod conflicts;
mod creation;
mod faults;
mod first_write;
mod guards;
mod interrupted;
mod lost;
mod rights;
mod truth;
mod variants;
mod way;

const SOON: Duration = Duration::from_secs(100);
const ANNOTATION: &str = "kubectl-stateful.dev/canary";

/// The change that most canaries here bring.
const START: &str = "start web --image nginx=nginx:1.22";

/// The set of the examples with a readiness probe: without one every ordinal
/// is watched for half a minute.
fn set(replicas: u32, change: impl FnOnce(&mut Value)) -> Value {
    web_set(replicas, |set| {
        container(set)["readinessProbe"] = json!({"tcpSocket": {"port": 80}});
        change(set);
    })
}

/// Makes it, and waits until all of its pods are ready.
fn make(namespace: &Namespace, replicas: u32, change: impl FnOnce(&mut Value)) {
    namespace.create_set(&set(replicas, change));
}

/// The same in a namespace of its own.
fn made(hint: &str, replicas: u32, change: impl FnOnce(&mut Value)) -> Namespace<'static> {
    let namespace = TestCluster::shared().namespace(hint);
    make(&namespace, replicas, change);
    namespace
}

/// `canary WORDS`; who changes something agrees to it.
fn canary(namespace: &Namespace, words: &str) -> Run {
    let all = ["canary"].into_iter().chain(words.split_whitespace());
    let run = namespace.stateful(all).deadline(SOON);
    // By default each pod is watched for ten seconds, which is the matter of a
    // test of its own.
    let moves = ["plan", "start", "promote"].iter().any(|verb| words.starts_with(verb));
    let run = if moves && !words.contains("--bake") { run.arg("--bake=0") } else { run };
    let looks = ["plan", "status", "history"];
    if looks.iter().any(|verb| words.starts_with(verb)) || words.contains("--confirm-plan") {
        return run;
    }
    run.arg("--yes")
}

/// The same to its end, with this exit code.
#[track_caller]
fn ends(namespace: &Namespace, words: &str, code: i32) -> Output {
    canary(namespace, words).output().expect(code)
}

/// A template whose pods fail in the way that a knob names.
fn broken_by(knob: &str) -> String {
    let annotations = json!({ format!("stateful.test/{knob}"): "true" });
    json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}).to_string()
}

/// Makes one pod that runs fail, or recover with `false`.
#[track_caller]
fn turn(namespace: &Namespace, pod: &str, knob: &str, on: bool) {
    let value = if on { json!("true") } else { Value::Null };
    let patch = json!({"metadata": {"annotations": {format!("stateful.test/{knob}"): value}}});
    namespace.cluster().api().patch(&namespace.path("v1", "pods", pod), &patch);
}

/// Somebody else changes the set.
#[track_caller]
fn edit(namespace: &Namespace, patch: &Value) {
    let path = namespace.path("apps/v1", "statefulsets", "web");
    namespace.cluster().api().patch(&path, patch);
}

/// Somebody else names another image, and nothing else. (A merge patch would
/// take the whole list of containers.)
#[track_caller]
fn edit_image(namespace: &Namespace, image: &str) {
    let path = namespace.path("apps/v1", "statefulsets", "web");
    let patch = json!([{
        "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image,
    }]);
    let api = namespace.cluster().api();
    let (status, body) =
        api.request(Method::PATCH, &path, Some(&patch), "application/json-patch+json");
    assert!(status.is_success(), "{status} {body}");
}

fn partition(index: u32) -> Value {
    json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": index}}}})
}

/// What a test compares: the set, its pods and its revisions at one moment.
#[derive(Clone)]
struct Picture {
    set: Value,
    pods: BTreeMap<String, Value>,
    revisions: Vec<String>,
}

impl Picture {
    #[track_caller]
    fn of(namespace: &Namespace) -> Picture {
        let items = |version: &str, resource: &str| -> Vec<Value> {
            let list = namespace.get(version, resource, "").expect("a list");
            list["items"].as_array().cloned().unwrap_or_default()
        };
        let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or("").to_owned();
        let set = namespace.get("apps/v1", "statefulsets", "web").unwrap_or_default();
        let pods = items("v1", "pods").into_iter().map(|pod| (name(&pod), pod)).collect();
        let mut revisions: Vec<String> =
            items("apps/v1", "controllerrevisions").iter().map(name).collect();
        revisions.sort();
        Picture { set, pods, revisions }
    }

    /// Which pods there are, by name.
    fn uid(&self, pod: &str) -> Option<&str> {
        self.pods.get(pod)?["metadata"]["uid"].as_str()
    }

    fn hash(&self, pod: &str) -> Option<&str> {
        self.pods.get(pod)?["metadata"]["labels"]["controller-revision-hash"].as_str()
    }

    fn image(&self, pod: &str) -> Option<&str> {
        self.pods.get(pod)?["spec"]["containers"][0]["image"].as_str()
    }

    fn strategy(&self) -> &Value {
        &self.set["spec"]["updateStrategy"]
    }

    fn partition(&self) -> Option<u64> {
        self.strategy()["rollingUpdate"]["partition"].as_u64()
    }

    fn generation(&self) -> &Value {
        &self.set["metadata"]["generation"]
    }

    fn annotation(&self) -> Option<Value> {
        let text = self.set["metadata"]["annotations"][ANNOTATION].as_str()?;
        Some(serde_json::from_str(text).expect("the annotation is JSON"))
    }

    fn update(&self) -> &str {
        self.set["status"]["updateRevision"].as_str().unwrap_or("")
    }

    fn current(&self) -> &str {
        self.set["status"]["currentRevision"].as_str().unwrap_or("")
    }

    /// Whatever must be the same, however it came about.
    fn end(&self) -> Value {
        let mut annotation = self.annotation();
        if let Some(annotation) = &mut annotation {
            // Who, and when, and on which of the namesakes.
            for field in ["run", "started", "set"] {
                annotation[field] = Value::Null;
            }
            // Which ordinals have passed; the pods are others everywhere.
            let passed = annotation["passed"].as_array_mut();
            for passed in passed.into_iter().flatten() {
                let text = passed.as_str().unwrap_or_default();
                *passed = json!(text.split('.').next());
            }
        }
        let pods: BTreeMap<&str, &str> =
            self.pods.keys().map(|pod| (pod.as_str(), self.hash(pod).unwrap_or(""))).collect();
        json!({
            "template": self.set["spec"]["template"], "strategy": self.strategy(),
            "annotation": annotation, "pods": pods, "revisions": self.revisions,
            "current": self.current(), "update": self.update(),
        })
    }

    /// All pods, the current revision and the newest are this one, and nothing
    /// of a canary is left.
    #[track_caller]
    fn is_back_on(&self, before: &Picture) {
        assert_eq!(self.update(), before.update(), "the revision from before, and no copy of it");
        assert_eq!(self.current(), before.update());
        for pod in before.pods.keys() {
            assert_eq!(self.hash(pod), Some(before.update()), "{pod}");
        }
        assert_eq!(self.set["spec"]["template"], before.set["spec"]["template"]);
        assert_eq!(self.strategy(), before.strategy());
        assert_eq!(self.annotation(), None);
    }

    /// The canary is through: one revision everywhere, and the strategy from
    /// before.
    #[track_caller]
    fn is_through(&self, before: &Picture) {
        assert_ne!(self.update(), before.update());
        assert_eq!(self.current(), self.update());
        for pod in before.pods.keys() {
            assert_eq!(self.hash(pod), Some(self.update()), "{pod}");
            assert_ne!(self.uid(pod), before.uid(pod), "{pod}");
        }
        assert_eq!(self.strategy(), before.strategy());
        assert_eq!(self.annotation(), None);
    }

    /// These pods are the very same ones.
    #[track_caller]
    fn keeps(&self, before: &Picture, pods: &[&str]) {
        for pod in pods {
            assert!(self.uid(pod).is_some(), "{pod} exists");
            assert_eq!(self.uid(pod), before.uid(pod), "{pod} was not to be touched");
        }
    }
}

/// Waits until a picture shows this.
#[track_caller]
fn until(namespace: &Namespace, what: &str, holds: impl Fn(&Picture) -> bool) -> Picture {
    wait_for(SOON, what, || Some(Picture::of(namespace)).filter(&holds))
}

/// Waits until the clock shows another second than this time.
fn a_second_after(time: &str) {
    let time: jiff::Timestamp = time.parse().expect("a time");
    wait_for(SOON, "the next second", || {
        (jiff::Timestamp::now().as_second() > time.as_second()).then_some(())
    });
}

/// A pod that says Ready.
fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}
