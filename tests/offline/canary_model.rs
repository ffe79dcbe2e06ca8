//! A StatefulSet with its controller and its kubelets, small and faithful: the
//! moves of `canary` against it show what they would do to a real one.
//!
//! The controller is that of Kubernetes 1.34 (`stateful_set_control.go`): one
//! call of [`Model::sync`] is one pass of it, and [`Model::run_pod`] what a
//! kubelet does to one pod. The set is kept as the JSON that a server keeps, and
//! writes are applied to it as a server applies them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kubectl_stateful::{
    canary::{change, record::ANNOTATION},
    cluster::{Resource, Write},
    manifests::Bundle,
    workload::Facts,
};
use serde_json::{Value, json};

use super::{
    build,
    server::{self, Answer, Sent},
};

/// What becomes of a pod that is made from a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Well,
    /// Its image cannot be pulled.
    Pull,
    /// It ends again and again.
    Crash,
    /// It runs, and never becomes Ready.
    Silent,
    /// It becomes Ready after 45 seconds.
    Slow,
    /// It is Ready once, and then crashes for good.
    Flaps,
}

/// Who took a pod away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The controller, because the pod is of the wrong revision.
    Update,
    /// A write of ours.
    Us,
    /// Somebody else: a person, a drain, a scale-down.
    Other,
}

/// A deletion that happened.
#[derive(Clone, Debug)]
pub struct Gone {
    pub by: By,
    pub index: u32,
    pub revision: String,
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub uid: String,
    pub revision: String,
    pub terminating: bool,
    created: Timestamp,
    /// Ready or not, and since when.
    pub ready: bool,
    since: Timestamp,
    restarts: u32,
    /// The reason for which its container waits.
    waits: Option<&'static str>,
    /// Nothing has been told about it before the kubelet has seen it.
    begun: bool,
    /// Not Ready before this moment, whatever its fate.
    sick_until: Option<Timestamp>,
    version: u64,
}

#[derive(Clone, Debug)]
pub struct Revision {
    pub name: String,
    number: i64,
    made: Timestamp,
    pub template: Value,
}

/// What a set is made of.
#[derive(Clone, Debug)]
pub struct Shape {
    pub replicas: u32,
    pub start: u32,
    pub parallel: bool,
    pub on_delete: bool,
    /// `None`: `rollingUpdate` is null.
    pub partition: Option<u32>,
    pub min_ready: u32,
    pub history_limit: usize,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub now: Timestamp,
    pub set: Value,
    /// The set as the controller has seen it last.
    seen: Value,
    /// By ordinal.
    pub pods: BTreeMap<u32, Pod>,
    pub revisions: Vec<Revision>,
    /// Fates other than to be well, by image and index.
    pub fates: BTreeMap<(String, u32), Fate>,
    history_limit: usize,
    /// Moves with every change of anything but the clock.
    pub version: u64,
    pub gone: Vec<Gone>,
    /// Ordinals that were available, were taken away by the update or by us,
    /// and have not been available since.
    pub taken: BTreeSet<u32>,
    /// Whether other people have changed the set at any time: a later run does
    /// not know.
    pub edited: bool,
    /// The update strategy that is to come back: as it was when the canary
    /// began. `None` once other people have made another one of it.
    pub strategy: Option<Value>,
    made: u32,
    /// Whether a pod was ever unready without a fate.
    pub was_sick: bool,
}

pub fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "nginx"}},
        "spec": {"containers": [{
            "name": "nginx", "image": image, "readinessProbe": {"exec": {"command": ["true"]}},
        }]},
    })
}

fn image(template: &Value) -> String {
    template["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_default()).expect("a small number")
}

impl Model {
    /// A set at rest on image `a`.
    pub fn new(shape: &Shape) -> Model {
        let strategy = match (shape.on_delete, shape.partition) {
            (true, _) => json!({"type": "OnDelete"}),
            (false, None) => json!({"type": "RollingUpdate"}),
            (false, Some(partition)) => {
                json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}})
            }
        };
        let policy = if shape.parallel { "Parallel" } else { "OrderedReady" };
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {
                "name": "web", "namespace": "default", "uid": "set-1",
                "generation": 1, "resourceVersion": "1",
            },
            "spec": {
                "replicas": shape.replicas, "serviceName": "nginx", "podManagementPolicy": policy,
                "minReadySeconds": shape.min_ready, "ordinals": {"start": shape.start},
                "selector": {"matchLabels": {"app": "nginx"}},
                "updateStrategy": strategy, "template": template("a"),
            },
            "status": {},
        });
        let mut model = Model {
            now: build::now(),
            seen: set.clone(),
            set,
            pods: BTreeMap::new(),
            revisions: Vec::new(),
            fates: BTreeMap::new(),
            history_limit: shape.history_limit,
            version: 1,
            gone: Vec::new(),
            taken: BTreeSet::new(),
            edited: false,
            strategy: None,
            made: 0,
            was_sick: false,
        };
        while model.is_moving() {}
        model.now += SignedDuration::from_secs(3600);
        model.sync(true);
        model
    }

    /// One round of everybody; whether anything but the clock moved.
    pub fn is_moving(&mut self) -> bool {
        let before = self.version;
        self.sync(true);
        for ordinal in self.pods.keys().copied().collect::<Vec<_>>() {
            self.run_pod(ordinal);
        }
        if before == self.version {
            return false;
        }
        self.now += SignedDuration::from_secs(1);
        true
    }

    pub fn replicas(&self) -> u32 {
        number(&self.set["spec"]["replicas"])
    }

    pub fn start(&self) -> u32 {
        number(&self.set["spec"]["ordinals"]["start"])
    }

    /// `None`: there is none, `rollingUpdate` is null.
    pub fn partition(&self) -> Option<u32> {
        self.set.pointer("/spec/updateStrategy/rollingUpdate/partition").map(number)
    }

    pub fn on_delete(&self) -> bool {
        self.set["spec"]["updateStrategy"]["type"] == "OnDelete"
    }

    pub fn annotation(&self) -> Option<&str> {
        self.set["metadata"]["annotations"][ANNOTATION].as_str()
    }

    fn min_ready(&self) -> SignedDuration {
        SignedDuration::from_secs(number(&self.set["spec"]["minReadySeconds"]).into())
    }

    pub fn is_available(&self, pod: &Pod) -> bool {
        pod.ready && !pod.terminating && self.now.duration_since(pod.since) >= self.min_ready()
    }

    /// The pods of the range, by index.
    pub fn slots(&self) -> Vec<Option<&Pod>> {
        let start = self.start();
        (start..start + self.replicas()).map(|ordinal| self.pods.get(&ordinal)).collect()
    }

    pub fn template_of(&self, revision: &str) -> Option<&Value> {
        let all = self.revisions.iter();
        all.clone().find(|known| known.name == revision).map(|known| &known.template)
    }

    /// Whether the controller has not seen the newest spec.
    pub fn lags(&self) -> bool {
        self.seen["metadata"]["generation"] != self.set["metadata"]["generation"]
    }

    fn touch(&mut self) {
        self.version += 1;
        self.set["metadata"]["resourceVersion"] = json!(self.version.to_string());
    }

    pub fn tick(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        self.recount();
    }

    fn recount(&mut self) {
        let back: Vec<u32> = self
            .taken
            .iter()
            .copied()
            .filter(|ordinal| self.pods.get(ordinal).is_some_and(|pod| self.is_available(pod)))
            .collect();
        for ordinal in back {
            self.taken.remove(&ordinal);
        }
    }

    /// Sends a pod on its way out.
    pub fn delete(&mut self, ordinal: u32, by: By) {
        let start = self.start();
        let available = self.pods.get(&ordinal).is_some_and(|pod| self.is_available(pod));
        let Some(pod) = self.pods.get_mut(&ordinal).filter(|pod| !pod.terminating) else { return };
        pod.terminating = true;
        pod.version += 1;
        let revision = pod.revision.clone();
        self.gone.push(Gone { by, index: ordinal.saturating_sub(start), revision });
        if by != By::Other && available {
            self.taken.insert(ordinal);
        }
        self.touch();
    }

    /// A pod that was Ready is not for a while.
    pub fn sicken(&mut self, ordinal: u32, seconds: i64) {
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&ordinal).filter(|pod| pod.ready) else { return };
        self.was_sick = true;
        pod.ready = false;
        pod.version += 1;
        pod.since = now;
        pod.sick_until = Some(now + SignedDuration::from_secs(seconds));
        self.touch();
    }

    /// What the kubelet does next to a pod.
    pub fn run_pod(&mut self, ordinal: u32) {
        let Some(pod) = self.pods.get(&ordinal) else { return };
        if pod.terminating {
            self.pods.remove(&ordinal);
            return self.touch();
        }
        let made_of = self.template_of(&pod.revision).map(image).unwrap_or_default();
        let index = ordinal.saturating_sub(self.start());
        let fate = self.fates.get(&(made_of, index)).copied().unwrap_or(Fate::Well);
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        let age = now.duration_since(pod.created);
        let before = (pod.begun, pod.ready, pod.restarts, pod.waits);
        pod.begun = true;
        let healed = pod.sick_until.is_none_or(|until| now >= until);
        let ready = match fate {
            Fate::Well => healed,
            Fate::Slow => healed && age >= SignedDuration::from_secs(45),
            Fate::Flaps => pod.restarts == 0 && !before.1,
            Fate::Pull | Fate::Crash | Fate::Silent => false,
        };
        match fate {
            Fate::Pull => pod.waits = Some("ImagePullBackOff"),
            Fate::Crash => (pod.waits, pod.restarts) = (Some("CrashLoopBackOff"), 3),
            Fate::Flaps if !ready => {
                (pod.waits, pod.restarts) = (Some("CrashLoopBackOff"), pod.restarts.max(1));
            }
            _ => {}
        }
        if ready != pod.ready {
            (pod.ready, pod.since) = (ready, now);
        }
        if before != (pod.begun, pod.ready, pod.restarts, pod.waits) {
            pod.version += 1;
            self.touch();
            self.recount();
        }
    }

    /// One pass of the controller. With `fresh` it has seen the newest set; its
    /// cache may lag behind, with template and partition of one moment.
    pub fn sync(&mut self, fresh: bool) {
        if fresh {
            self.seen = self.set.clone();
        }
        let spec = self.seen["spec"].clone();
        let update = self.update_revision(&spec["template"]);
        let status = &self.set["status"];
        let current = status["currentRevision"].as_str().map(str::to_owned);
        let current = current
            .filter(|name| self.revisions.iter().any(|known| known.name == *name))
            .unwrap_or_else(|| update.clone());
        let counted = number(&status["currentReplicas"]);
        let mut status = self.count(&current, &update);
        let kept = self.act(&spec, &current, &update, counted);
        if kept {
            status["currentReplicas"] = json!(number(&status["currentReplicas"]).saturating_sub(1));
        }
        let replicas = number(&spec["replicas"]);
        let all = |field: &str| number(&status[field]) == replicas;
        let rolling = spec["updateStrategy"]["type"] == "RollingUpdate";
        if rolling && all("updatedReplicas") && all("readyReplicas") && all("replicas") {
            status["currentReplicas"] = status["updatedReplicas"].clone();
            status["currentRevision"] = json!(update);
        }
        status["observedGeneration"] = self.seen["metadata"]["generation"].clone();
        if self.set["status"] != status {
            self.set["status"] = status;
            self.touch();
        }
        self.forget(&current, &update);
    }

    /// The revision of a template: an equal one becomes the newest again.
    fn update_revision(&mut self, template: &Value) -> String {
        let newest = self.revisions.iter().map(|known| known.number).max().unwrap_or_default();
        if let Some(known) = self.revisions.iter_mut().find(|known| known.template == *template) {
            if known.number != newest {
                known.number = newest + 1;
                self.version += 1;
            }
            return known.name.clone();
        }
        self.made += 1;
        let name = format!("web-r{}", self.made);
        let template = template.clone();
        let (number, made) = (newest + 1, self.now);
        self.revisions.push(Revision { name: name.clone(), number, made, template });
        self.version += 1;
        name
    }

    /// Old revisions that nobody runs any more go, beyond the limit.
    fn forget(&mut self, current: &str, update: &str) {
        let live = |name: &str| {
            name == current || name == update || self.pods.values().any(|pod| pod.revision == name)
        };
        let mut old: Vec<(i64, String)> = self
            .revisions
            .iter()
            .filter(|known| !live(&known.name))
            .map(|known| (known.number, known.name.clone()))
            .collect();
        old.sort();
        old.truncate(old.len().saturating_sub(self.history_limit));
        self.revisions.retain(|known| !old.iter().any(|(_, name)| *name == known.name));
    }

    fn count(&self, current: &str, update: &str) -> Value {
        let begun: Vec<&Pod> = self.pods.values().filter(|pod| pod.begun).collect();
        let of = |revision: &str| {
            begun.iter().filter(|pod| !pod.terminating && pod.revision == revision).count()
        };
        json!({
            "replicas": begun.len(),
            "readyReplicas": begun.iter().filter(|pod| pod.ready).count(),
            "currentReplicas": of(current), "updatedReplicas": of(update),
            "currentRevision": current, "updateRevision": update,
            "availableReplicas": begun.iter().filter(|pod| self.is_available(pod)).count(),
        })
    }

    /// Creates and deletes; whether a pod was deleted for the update.
    fn act(&mut self, spec: &Value, current: &str, update: &str, counted: u32) -> bool {
        let start = number(&spec["ordinals"]["start"]);
        let end = start + number(&spec["replicas"]);
        let ordered = spec["podManagementPolicy"] != "Parallel";
        let partition = spec.pointer("/updateStrategy/rollingUpdate/partition").map(number);
        let rolling = spec["updateStrategy"]["type"] == "RollingUpdate";
        for ordinal in start..end {
            let Some(pod) = self.pods.get(&ordinal) else {
                let keeps = match partition {
                    None => rolling && ordinal < start + counted,
                    Some(partition) => ordinal < start + partition,
                };
                self.make(ordinal, if keeps { current } else { update });
                if ordered {
                    return false;
                }
                continue;
            };
            if ordered && !self.is_available(pod) {
                return false;
            }
        }
        let beyond: Vec<u32> =
            self.pods.keys().copied().filter(|o| !(start..end).contains(o)).rev().collect();
        for ordinal in beyond {
            if !ordered {
                self.delete(ordinal, By::Other);
            } else if self.pods[&ordinal].terminating {
                return false;
            } else {
                // The first unhealthy one is the one that may go unhealthy; with
                // all of the range available that is the lowest beyond it.
                let lowest =
                    self.pods.iter().find(|(o, pod)| **o >= end && !self.is_available(pod));
                if !self.is_available(&self.pods[&ordinal])
                    && lowest.is_some_and(|(lowest, _)| *lowest != ordinal)
                {
                    return false;
                }
                self.delete(ordinal, By::Other);
                return false;
            }
        }
        if !rolling {
            return false;
        }
        for ordinal in (start + partition.unwrap_or(0)..end).rev() {
            let Some(pod) = self.pods.get(&ordinal) else { return false };
            if pod.revision != update && !pod.terminating {
                self.delete(ordinal, By::Update);
                return true;
            }
            if !self.is_available(pod) {
                return false;
            }
        }
        false
    }

    fn make(&mut self, ordinal: u32, revision: &str) {
        self.touch();
        let pod = Pod {
            uid: format!("pod-{ordinal}-{}", self.version),
            revision: revision.to_owned(),
            terminating: false,
            created: self.now,
            ready: false,
            since: self.now,
            restarts: 0,
            waits: None,
            begun: false,
            sick_until: None,
            version: self.version,
        };
        self.pods.insert(ordinal, pod);
    }

    /// Somebody else changes the set.
    pub fn edit(&mut self, pointer: &str, value: Value) {
        let before = self.set["spec"].clone();
        self.edited = true;
        if pointer.starts_with("/spec/updateStrategy") {
            self.strategy = None;
        }
        self.set = build::with(self.set.clone(), pointer, value);
        self.stored(&before);
    }

    fn stored(&mut self, before: &Value) {
        let strategy = &self.set["spec"]["updateStrategy"];
        let null = strategy.get("rollingUpdate").is_none_or(Value::is_null);
        assert!(null || strategy["type"] == "RollingUpdate", "the server refuses {strategy}");
        if self.set["spec"] != *before {
            let generation = self.set["metadata"]["generation"].as_i64().unwrap_or_default();
            self.set["metadata"]["generation"] = json!(generation + 1);
        }
        self.touch();
    }

    /// `kubectl rollout undo`: back to the second newest revision.
    pub fn undo(&mut self) {
        let mut known: Vec<&Revision> = self.revisions.iter().collect();
        known.sort_by_key(|revision| std::cmp::Reverse(revision.number));
        if let Some(template) = known.get(1).map(|revision| revision.template.clone()) {
            self.edit("/spec/template", template);
        }
    }

    /// Does a write as the server does it.
    pub fn write(&mut self, write: &Write) -> Answer {
        let before = self.set["spec"].clone();
        let patched = match Sent::of(write) {
            Sent::Delete(preconditions) => {
                assert_eq!(write.object().resource, Resource::POD);
                assert!(preconditions.resource_version.is_some(), "a pod goes as it was judged");
                let ordinal = write.object().name.strip_prefix("web-").expect("a pod of the set");
                let ordinal = ordinal.parse().expect("an ordinal");
                let Some(pod) = self.pods.get(&ordinal) else { return Answer::NotFound };
                if !preconditions.hold(&self.pod(ordinal, pod)) {
                    return Answer::Conflict;
                }
                self.delete(ordinal, By::Us);
                return Answer::Done;
            }
            Sent::Strategic(patch) => strategic(&self.set, &patch),
            Sent::Operations(operations) => server::patched(&self.set, &operations),
            Sent::Create(body) => panic!("a canary makes nothing: {body}"),
        };
        assert_eq!(write.object().resource, Resource::STATEFUL_SET);
        match patched {
            Some(set) => {
                self.set = set;
                self.stored(&before);
                Answer::Done
            }
            None => Answer::Conflict,
        }
    }

    /// The facts, as they are read from files with these objects in them.
    pub fn facts(&self) -> Facts {
        let mut objects = vec![self.set.clone(), build::service()];
        for revision in &self.revisions {
            objects.push(json!({
                "apiVersion": "apps/v1", "kind": "ControllerRevision",
                "metadata": {
                    "name": revision.name, "namespace": "default",
                    // To the second, as servers keep it.
                    "creationTimestamp": format!("{:.0}", revision.made),
                    "ownerReferences": [
                        {"kind": "StatefulSet", "name": "web", "uid": "set-1", "controller": true},
                    ],
                },
                "revision": revision.number, "data": {"spec": {"template": revision.template}},
            }));
        }
        objects.extend(self.pods.iter().map(|(ordinal, pod)| self.pod(*ordinal, pod)));
        // Without any pod in the input nothing is known about pods.
        objects.push(build::with(build::pod(999), "/metadata/labels/app", json!("other")));
        let mut bundle = Bundle::default();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        bundle.add_text(&list.to_string(), "model").expect("objects");
        bundle.facts("web", None).expect("a set")
    }

    fn pod(&self, ordinal: u32, pod: &Pod) -> Value {
        let word = |holds: bool| if holds { "True" } else { "False" };
        let state = match pod.waits {
            Some(reason) => json!({"waiting": {"reason": reason}}),
            None => json!({"running": {}}),
        };
        let mut object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("web-{ordinal}"), "namespace": "default", "uid": pod.uid,
                "resourceVersion": pod.version.to_string(),
                "creationTimestamp": pod.created.to_string(),
                "labels": {"app": "nginx", "controller-revision-hash": pod.revision},
                "ownerReferences": [
                    {"kind": "StatefulSet", "name": "web", "uid": "set-1", "controller": true},
                ],
            },
            "spec": {"nodeName": "node-a", "containers": [{"name": "nginx"}]},
            "status": {"phase": "Pending"},
        });
        if pod.begun {
            object["status"] = json!({
                "phase": if pod.waits == Some("ImagePullBackOff") { "Pending" } else { "Running" },
                "conditions": [
                    {"type": "Ready", "status": word(pod.ready), "lastTransitionTime": pod.since.to_string()},
                    {"type": "PodScheduled", "status": "True"},
                ],
                "containerStatuses": [{
                    "name": "nginx", "ready": pod.ready, "restartCount": pod.restarts, "state": state,
                }],
            });
        }
        if pod.terminating {
            object["metadata"]["deletionTimestamp"] = json!(self.now.to_string());
        }
        object
    }
}

/// The set after a strategic merge patch. Only the template has lists that are
/// merged by a key.
fn strategic(set: &Value, patch: &Value) -> Option<Value> {
    let mut merged = server::merged(set, patch)?;
    let fields = patch.as_object().expect("an object");
    merged["spec"]["template"] = change::apply(&set["spec"]["template"], fields);
    Some(merged)
}
