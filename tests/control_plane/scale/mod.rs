//! `scale` on a real control plane: down and up, past what is broken, with
//! hooks, beside others, and killed at every request.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde_json::{Value, json};

use super::support::{
    self, Namespace, Output, Run, SCALED_OBJECT, TestCluster, claims, reason_ids, wait_for, web_set,
};

mod aside;
mod data;
mod faults;
mod found;
mod guards;
mod hooks;
mod kept;
mod names;
mod released;
mod rights;
mod way;

const SOON: Duration = Duration::from_secs(100);
const ANNOTATION: &str = "kubectl-stateful.dev/scale";

/// The set of the examples with a disk each.
fn set(replicas: u32, change: impl FnOnce(&mut Value)) -> Value {
    web_set(replicas, |set| {
        claims(set, "standard");
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

fn parallel(set: &mut Value) {
    set["spec"]["podManagementPolicy"] = json!("Parallel");
}

/// Claims go with their ordinals.
fn deletes(set: &mut Value) {
    set["spec"]["persistentVolumeClaimRetentionPolicy"] =
        json!({"whenScaled": "Delete", "whenDeleted": "Retain"});
}

/// `scale web WORDS`, agreed to.
fn scale(namespace: &Namespace, words: &str) -> Run {
    let all = ["scale", "web"].into_iter().chain(words.split_whitespace());
    let run = namespace.stateful(all).deadline(SOON);
    let agreed = ["--dry-run", "--confirm-plan"].iter().any(|flag| words.contains(flag));
    if agreed { run } else { run.arg("--yes") }
}

/// The same to its end, with this exit code.
#[track_caller]
fn ends(namespace: &Namespace, words: &str, code: i32) -> Output {
    scale(namespace, words).output().expect(code)
}

/// A command that ends once this file is there, and in any case after two minutes,
/// so that a test that fails leaves no hook behind.
fn until_there(file: &Path) -> String {
    let file = file.display();
    format!("for _ in $(seq 1200); do if test -e {file}; then break; fi; sleep 0.1; done")
}

/// Somebody else changes the set.
#[track_caller]
fn edit(namespace: &Namespace, patch: &Value) {
    let path = namespace.path("apps/v1", "statefulsets", "web");
    namespace.cluster().api().patch(&path, patch);
}

/// Makes one pod that runs fail in the way that a knob names.
#[track_caller]
fn break_pod(namespace: &Namespace, pod: &str) {
    let patch = json!({"metadata": {"annotations": {"stateful.test/crash-loop": "true"}}});
    namespace.cluster().api().patch(&namespace.path("v1", "pods", pod), &patch);
    wait_for(SOON, "the pod to be broken", || {
        let pod = namespace.get("v1", "pods", pod)?;
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
        (waiting == "CrashLoopBackOff").then_some(())
    });
}

fn items(namespace: &Namespace, version: &str, plural: &str) -> Vec<Value> {
    let list = namespace.get(version, plural, "").expect("a list");
    list["items"].as_array().expect("items").clone()
}

/// What a test compares: the set, its pods and its claims at one moment.
#[derive(Clone, Debug, PartialEq)]
struct Picture {
    replicas: u64,
    annotated: bool,
    when_scaled: Value,
    /// uids by name.
    pods: BTreeMap<String, String>,
    /// uid, volume and owners by name.
    claims: BTreeMap<String, (String, String, Value)>,
}

impl Picture {
    #[track_caller]
    fn of(namespace: &Namespace) -> Picture {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let set = namespace.get("apps/v1", "statefulsets", "web").expect("the set");
        let pods = items(namespace, "v1", "pods");
        let claims = items(namespace, "v1", "persistentvolumeclaims");
        let claim = |claim: &Value| {
            let owners = claim["metadata"]["ownerReferences"].clone();
            (word(&claim["metadata"]["uid"]), word(&claim["spec"]["volumeName"]), owners)
        };
        Picture {
            replicas: set["spec"]["replicas"].as_u64().expect("replicas"),
            annotated: set["metadata"]["annotations"][ANNOTATION].is_string(),
            when_scaled: set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"].clone(),
            pods: pods
                .iter()
                .map(|pod| (word(&pod["metadata"]["name"]), word(&pod["metadata"]["uid"])))
                .collect(),
            claims: claims.iter().map(|one| (word(&one["metadata"]["name"]), claim(one))).collect(),
        }
    }

    fn pod_names(&self) -> Vec<&str> {
        self.pods.keys().map(String::as_str).collect()
    }

    /// Down to so many ordinals, whose pods are those that they were; nothing
    /// of ours is left, and every claim is there.
    #[track_caller]
    fn is_down_to(&self, replicas: usize, before: &Picture) {
        assert_eq!(self.replicas, replicas as u64);
        assert!(!self.annotated, "the record is still there");
        assert_eq!(self.pods.len(), replicas, "{:?}", self.pods);
        for (pod, uid) in &self.pods {
            assert_eq!(before.pods.get(pod), Some(uid), "{pod} was made anew");
        }
        for (claim, (uid, volume, _)) in &before.claims {
            let now = self.claims.get(claim).unwrap_or_else(|| panic!("claim {claim} is gone"));
            assert_eq!((&now.0, &now.1), (uid, volume), "{claim}");
        }
    }
}

/// Everything that changed in a namespace since a moment: the server keeps the
/// last minutes for watches, so that nothing is missed in between.
struct Chronicle {
    since: String,
}

impl Chronicle {
    fn begin(namespace: &Namespace) -> Chronicle {
        let list = namespace.get("v1", "pods", "").expect("a list");
        Chronicle { since: list["metadata"]["resourceVersion"].as_str().expect("one").to_owned() }
    }

    /// In their order: `replicas N`, `gone POD`, `made POD`.
    #[track_caller]
    fn told(&self, namespace: &Namespace) -> Vec<String> {
        let mut events: Vec<(u64, String)> = Vec::new();
        let (mut replicas, mut known) = (None, Vec::new());
        for (version, plural) in [("apps/v1", "statefulsets"), ("v1", "pods")] {
            let path = namespace.path(version, plural, "");
            let query = format!("watch=1&timeoutSeconds=1&resourceVersion={}", self.since);
            let told = namespace.cluster().api().get(&format!("{path}?{query}")).expect("a watch");
            let lines: Vec<Value> = match told {
                Value::String(text) => {
                    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
                }
                Value::Null => Vec::new(),
                one => vec![one],
            };
            for line in lines {
                let object = &line["object"];
                let number = object["metadata"]["resourceVersion"].as_str().expect("a version");
                let number = number.parse().expect("a number");
                let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
                let said = match (plural, line["type"].as_str()) {
                    ("statefulsets", _) => {
                        let now = object["spec"]["replicas"].as_u64();
                        (std::mem::replace(&mut replicas, now) != now)
                            .then(|| format!("replicas {}", now.expect("a number")))
                    }
                    (_, Some("DELETED")) => Some(format!("gone {name}")),
                    (_, Some("ADDED")) if !known.contains(&name) => {
                        known.push(name.clone());
                        Some(format!("made {name}"))
                    }
                    _ => None,
                };
                events.extend(said.map(|said| (number, said)));
            }
        }
        events.sort();
        events.into_iter().map(|(_, said)| said).collect()
    }
}
