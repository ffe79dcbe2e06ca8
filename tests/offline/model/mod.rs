//! A cluster with disks, small and faithful: the moves of whoever has volumes
//! change hands against it show what they would do to a real one.
//!
//! Objects are the JSON that a server keeps, and writes are applied to them as a
//! server applies them. Around it work, each from a cache of its own that may
//! lag behind:
//!
//! - the volume binder (`pv_controller.go`: `syncVolume`, `syncClaim`, `bind`),
//! - a provisioner that makes disks and destroys them (`shouldProvision`,
//!   `shouldDelete` of sig-storage-lib-external-provisioner: a volume that is
//!   Released under policy Delete, and nothing else),
//! - the controllers of Deployments and StatefulSets,
//!
//! and, from what is there, the scheduler, the kubelets with attach and detach,
//! the protection of claims, and the garbage collector.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use jiff::{SignedDuration, Timestamp};
use kubectl_stateful::{
    cluster::{Resource, Write},
    handover::{HOLD, KEEPS},
    manifests::Bundle,
    migrate::journal::Order,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    build,
    server::{self, Answer, Sent},
};

/// Kind and name.
pub type Key = (&'static str, String);
/// Objects as somebody knows them.
type Known = BTreeMap<Key, Rc<Value>>;

pub const DEPLOYMENT: &str = "Deployment";
pub const SET: &str = "StatefulSet";
pub const CLAIM: &str = "PersistentVolumeClaim";
pub const VOLUME: &str = "PersistentVolume";
pub const POD: &str = "Pod";
pub const SERVICE: &str = "Service";
pub const BOOK: &str = "ConfigMap";
const REPLICA_SET: &str = "ReplicaSet";
const ATTACHMENT: &str = "VolumeAttachment";

const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Who works from a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Binder,
    Provisioner,
    Deployments,
    Sets,
}

pub const ALL: [Who; 4] = [Who::Binder, Who::Provisioner, Who::Deployments, Who::Sets];

/// What a move begins with.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a case of its own")]
pub struct Shape {
    /// Volumes of each Deployment.
    pub disks: u32,
    /// Deployments that become one set.
    pub members: u32,
    pub replicas: u32,
    pub policy: &'static str,
    pub class: Class,
    /// Whether the binder had bound the volumes by itself.
    pub bound_by_controller: bool,
    /// `--mode keep`.
    pub keeps: bool,
    /// The last volume stays as it is: `--keep`.
    pub keeps_last: bool,
    pub order: Order,
    /// Whether there is a headless Service.
    pub service: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Immediate,
    WaitForFirstConsumer,
    /// Volumes are made by hand.
    Static,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Class::Immediate => "standard",
            Class::WaitForFirstConsumer => "standard-wait",
            Class::Static => "manual",
        }
    }
}

/// A StatefulSet with a volume for each ordinal.
#[derive(Clone, Debug)]
pub struct SetShape {
    pub replicas: u64,
    pub policy: &'static str,
    pub class: Class,
    pub bound_by_controller: bool,
}

/// What happens anyway in a cluster, at any time.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// Somebody hears of everything, or of one kind of object.
    Hear(Who, Option<&'static str>),
    /// Somebody does a piece of work, by what was heard.
    Work(Who, usize),
    /// Scheduler, kubelet and garbage collector look after a pod.
    Run(usize),
    /// Claims that nobody uses go; disks that nobody uses leave their node.
    Protect,
    Detach,
    /// A pod is deleted: that happens anyway.
    Die(usize),
    /// A claim for any volume that is free.
    Foreign,
}

/// Turns, in any order.
pub fn turn() -> impl Strategy<Value = Turn> {
    let who = || prop::sample::select(ALL.to_vec());
    let kind = prop::sample::select(vec![
        None,
        None,
        Some(CLAIM),
        Some(VOLUME),
        Some(DEPLOYMENT),
        Some(SET),
    ]);
    prop_oneof![
        6 => (who(), kind).prop_map(|(who, kind)| Turn::Hear(who, kind)),
        8 => (who(), 0_usize..12).prop_map(|(who, place)| Turn::Work(who, place)),
        6 => (0_usize..6).prop_map(Turn::Run),
        2 => Just(Turn::Detach),
        1 => Just(Turn::Protect),
        1 => (0_usize..6).prop_map(Turn::Die),
        1 => Just(Turn::Foreign),
    ]
}

/// One of these, if there is any.
pub fn pick(names: &[String], place: usize) -> Option<String> {
    (!names.is_empty()).then(|| names[place % names.len()].clone())
}

/// Whose pods a disk is mounted by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    owner: &'static str,
    volumes: BTreeSet<String>,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is something that happened")]
pub struct Model {
    pub now: Timestamp,
    objects: Rc<Known>,
    caches: BTreeMap<Who, Rc<Known>>,
    /// When nobody had anything to do.
    rested: Option<u64>,
    /// Moves with every change of anything but the clock.
    pub version: u64,
    class: Class,
    /// Whether several nodes may have the volumes.
    wide: bool,
    /// Whether what we do is meant to take claims from their volumes, and to
    /// give a set new ones.
    pub frees: bool,
    /// What runs, by the uid of its pod.
    mounts: BTreeMap<String, Mount>,
    /// Volumes of the beginning.
    pub disks: BTreeSet<String>,
    /// Those whose data is gone, and those that became Released.
    pub destroyed: BTreeSet<String>,
    pub released: BTreeSet<String>,
    /// Uids of claims that a write of ours has deleted.
    deleted_by_us: BTreeSet<String>,
    /// Whether other people have done something that a move has to cope with.
    pub disturbed: bool,
    /// Whether they have changed the policy of a volume.
    pub policy_edited: bool,
    /// Whether they have started pods beside those that run.
    pub crowded: bool,
    /// Whether the data may be lost because of what they did.
    pub endangered: bool,
    /// Pods of a set that run on a disk that is not of the beginning.
    pub blank: bool,
    /// Uids of claims whose finalizers somebody has taken off by force.
    stripped: BTreeSet<String>,
}

pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// Whether somebody's finalizer keeps it.
pub fn is_on_hold(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

/// Whether one of ours does.
pub fn has_our_hold(claim: &Value) -> bool {
    let all = claim["metadata"]["finalizers"].as_array();
    all.is_some_and(|all| all.iter().any(|one| one == HOLD || one == KEEPS))
}

pub fn is_leaving(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

pub fn replicas(object: &Value) -> u64 {
    object["spec"]["replicas"].as_u64().unwrap_or(1)
}

fn owner(pod: &Value) -> &str {
    text(pod, "/metadata/ownerReferences/0/uid")
}

pub fn is_ready(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running" && !is_leaving(pod)
}

fn set_annotation(object: &mut Value, key: &str, value: &str) {
    object["metadata"]["annotations"][key] = json!(value);
}

fn drop_annotation(object: &mut Value, key: &str) {
    if let Some(all) = object["metadata"]["annotations"].as_object_mut() {
        all.shift_remove(key);
    }
}

/// The claims that a pod or a template mounts.
fn claims_of(spec: &Value) -> Vec<&str> {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    volumes.map(|volume| text(volume, "/persistentVolumeClaim/claimName")).collect()
}

pub fn claim_spec(class: &str, wide: bool) -> Value {
    let mode = if wide { "ReadWriteMany" } else { "ReadWriteOnce" };
    json!({
        "accessModes": [mode], "storageClassName": class, "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "1Gi"}},
    })
}

impl Model {
    fn empty(class: Class, wide: bool) -> Model {
        Model {
            now: build::now(),
            objects: Rc::default(),
            caches: ALL.into_iter().map(|who| (who, Rc::default())).collect(),
            rested: None,
            version: 0,
            class,
            wide,
            frees: false,
            mounts: BTreeMap::new(),
            disks: BTreeSet::new(),
            destroyed: BTreeSet::new(),
            released: BTreeSet::new(),
            deleted_by_us: BTreeSet::new(),
            disturbed: false,
            policy_edited: false,
            crowded: false,
            endangered: false,
            blank: false,
            stripped: BTreeSet::new(),
        }
    }

    /// A set at rest on its claims.
    pub fn of_set(shape: &SetShape) -> Model {
        let mut model = Model::empty(shape.class, false);
        model.frees = true;
        for ordinal in 0..shape.replicas {
            let (claim, pv) = (format!("data-db-{ordinal}"), format!("pv-{ordinal}"));
            model.add_volume(&claim, &pv, shape.policy, shape.bound_by_controller);
        }
        let template = json!({
            "metadata": {"labels": {"app": "db"}},
            "spec": {"containers": [{"name": "db", "image": "db:1"}]},
        });
        let data = json!({
            "metadata": {"name": "data"}, "spec": claim_spec(shape.class.name(), false),
        });
        let spec = json!({
            "replicas": shape.replicas, "serviceName": "db", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "db"}}, "template": template,
            "volumeClaimTemplates": [data],
        });
        let metadata = json!({"name": "db", "labels": {"app": "db"}});
        model.create(SET, json!({"metadata": metadata, "spec": spec}));
        model.settle();
        model.disks = model.names(VOLUME).into_iter().collect();
        model
    }

    /// Deployments at rest on their claims.
    pub fn new(shape: &Shape) -> Model {
        let mut model = Model::empty(shape.class, shape.keeps || shape.keeps_last);
        for member in members(shape) {
            model.add_member(shape, &member);
        }
        if shape.service {
            let spec = json!({"clusterIP": "None", "selector": {"app": members(shape)[0]}});
            model.create(SERVICE, json!({"metadata": {"name": "dns"}, "spec": spec}));
        }
        // Of a kind that is not there at all nothing is known.
        let other = json!({
            "metadata": {"name": "other"}, "spec": {"containers": []},
            "status": {"phase": "Running"},
        });
        model.create(POD, other);
        let spec = json!({"nodeName": "a", "source": {"persistentVolumeName": "other"}});
        model.create(ATTACHMENT, json!({"metadata": {"name": "other"}, "spec": spec}));
        model.settle();
        model.disks = model.names(VOLUME).into_iter().collect();
        model
    }

    fn add_member(&mut self, shape: &Shape, member: &str) {
        for disk in 0..shape.disks {
            let (claim, pv) = (format!("v{disk}-of-{member}"), format!("pv-{member}-{disk}"));
            self.add_volume(&claim, &pv, shape.policy, shape.bound_by_controller);
        }
        self.somebody_applies_deployment(shape, member);
    }

    /// Applies the manifest of a Deployment, whether it is there or not.
    pub fn somebody_applies_deployment(&mut self, shape: &Shape, member: &str) {
        let mut volumes = Vec::new();
        for disk in 0..shape.disks {
            let claim = format!("v{disk}-of-{member}");
            volumes.push(json!({
                "name": format!("v{disk}"), "persistentVolumeClaim": {"claimName": claim},
            }));
        }
        let template = json!({
            "metadata": {"labels": {"app": member}},
            "spec": {"containers": [{"name": "db", "image": "db:1"}], "volumes": volumes},
        });
        let spec = json!({
            "replicas": shape.replicas, "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": member}}, "template": template,
        });
        let metadata = json!({"name": member, "labels": {"app": member}});
        if !self.create(DEPLOYMENT, json!({"metadata": metadata, "spec": spec.clone()})) {
            self.change(DEPLOYMENT, member, |found| found["spec"] = spec);
        }
    }

    /// What a Deployment's controller makes first.
    fn make_replica_set(&mut self, deployment: &Value) {
        let name = text(deployment, "/metadata/name");
        let owner = json!([{
            "apiVersion": "apps/v1", "kind": DEPLOYMENT, "name": name, "uid": uid(deployment),
            "controller": true,
        }]);
        let metadata = json!({"name": format!("{name}-1"), "ownerReferences": owner});
        self.create(REPLICA_SET, json!({"metadata": metadata}));
    }

    /// Deletes a set, and leaves its pods: `--cascade=orphan`.
    pub fn somebody_orphans_pods(&mut self, set: &str) {
        let Some(found) = self.get(SET, set).map(|found| uid(found).to_owned()) else { return };
        for pod in self.pods_of(&found) {
            self.change(POD, text(&pod, "/metadata/name"), |pod| {
                pod["metadata"]["ownerReferences"] = json!([]);
            });
        }
        self.delete(SET, set);
    }

    /// A claim and its volume.
    fn add_volume(&mut self, claim: &str, pv: &str, policy: &str, by_controller: bool) {
        let spec = claim_spec(self.class.name(), self.wide);
        let labels = json!({"app": "db"});
        let mut object = json!({"metadata": {"name": claim, "labels": labels}, "spec": spec});
        object["spec"]["volumeName"] = json!(pv);
        self.create(CLAIM, object);
        let claim_uid = uid(&self.objects[&(CLAIM, claim.to_owned())]).to_owned();
        let mut volume = json!({
            "metadata": {"name": pv, "annotations": {}},
            "spec": {
                "capacity": {"storage": "1Gi"}, "volumeMode": "Filesystem",
                "accessModes": spec_modes(self.wide), "storageClassName": self.class.name(),
                "persistentVolumeReclaimPolicy": policy,
                "claimRef": {
                    "apiVersion": "v1", "kind": CLAIM, "namespace": "default",
                    "name": claim, "uid": claim_uid,
                },
            },
            "status": {"phase": "Bound"},
        });
        if by_controller {
            set_annotation(&mut volume, BOUND_BY_CONTROLLER, "yes");
        }
        if self.class != Class::Static {
            set_annotation(&mut volume, PROVISIONED_BY, "test");
        }
        self.create(VOLUME, volume);
    }

    /// What happens anyway.
    pub fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Hear(who, kind) => self.hear(who, kind),
            Turn::Work(who, place) => self.work(who, place),
            Turn::Run(place) => {
                if let Some(pod) = pick(&self.names(POD), place) {
                    self.run_pod(&pod);
                }
            }
            Turn::Die(place) => {
                let pod = pick(&self.names(POD), place).filter(|pod| pod != "other");
                if let Some(pod) = pod {
                    self.delete(POD, &pod);
                }
            }
            Turn::Protect => self.protect(),
            Turn::Detach => self.detach(),
            Turn::Foreign => {
                let name = format!("foreign-{}", self.version);
                let spec = claim_spec(self.class.name(), self.wide);
                self.create(CLAIM, json!({"metadata": {"name": name}, "spec": spec}));
            }
        }
    }

    // ---------------------------------------------------------- other people

    /// Somebody does something that we have to cope with.
    pub fn disturb(&mut self, how: impl FnOnce(&mut Model)) {
        let before = self.version;
        how(self);
        self.disturbed |= self.version != before;
    }

    /// Deletes a claim by hand.
    pub fn somebody_deletes_claim(&mut self, place: usize) {
        let Some(name) = pick(&self.names(CLAIM), place) else { return };
        let claim = self.get(CLAIM, &name).expect("it");
        // What is held while its policy returns is ours to save.
        let endangers = !self.is_safe(claim) && !is_on_hold(claim);
        self.endangered |= endangers || self.stripped.contains(uid(claim));
        self.delete(CLAIM, &name);
    }

    /// Takes all finalizers off a claim, ours too. What is lost with it then
    /// cannot be helped.
    pub fn somebody_strips_claim(&mut self, place: usize) {
        let Some(name) = pick(&self.names(CLAIM), place) else { return };
        let claim = self.get(CLAIM, &name).expect("it");
        if is_on_hold(claim) {
            let (uid, leaves) = (uid(claim).to_owned(), is_leaving(claim));
            self.endangered |= leaves;
            self.stripped.insert(uid);
        }
        self.change(CLAIM, &name, |claim| claim["metadata"]["finalizers"] = json!([]));
    }

    /// Makes a claim by this name.
    pub fn somebody_makes_claim(&mut self, name: &str) {
        let spec = claim_spec(self.class.name(), self.wide);
        self.create(CLAIM, json!({"metadata": {"name": name}, "spec": spec}));
    }

    /// Sets the policy of a volume by hand.
    pub fn somebody_sets_policy(&mut self, place: usize, to: &str) {
        let Some(name) = pick(&self.disks.iter().cloned().collect::<Vec<_>>(), place) else {
            return;
        };
        // A claim that only has the name of the one that is gone holds nothing.
        let is_held = self.get(VOLUME, &name).is_some_and(|volume| {
            let claim = self.get(CLAIM, text(volume, "/spec/claimRef/name"));
            claim.is_some_and(|claim| {
                uid(claim) == text(volume, "/spec/claimRef/uid") && !is_leaving(claim)
            })
        });
        self.policy_edited = true;
        self.endangered |= to == "Delete" && !is_held;
        self.change(VOLUME, &name, |found| {
            found["spec"]["persistentVolumeReclaimPolicy"] = json!(to);
        });
    }

    /// Whether the volume of a claim stays when the claim goes.
    fn is_safe(&self, claim: &Value) -> bool {
        let name = text(claim, "/spec/volumeName");
        self.get(VOLUME, name).is_none_or(|volume| {
            text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain"
                || text(volume, "/spec/claimRef/uid") != uid(claim)
        })
    }

    fn objects_mut(&mut self) -> &mut Known {
        Rc::make_mut(&mut self.objects)
    }

    pub fn get(&self, kind: &'static str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind, name.to_owned())).map(Rc::as_ref)
    }

    pub fn all(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        let of_kind = self.objects.iter().filter(move |(key, _)| key.0 == kind);
        of_kind.map(|(_, object)| object.as_ref())
    }

    pub fn names(&self, kind: &'static str) -> Vec<String> {
        self.all(kind).map(|object| text(object, "/metadata/name").to_owned()).collect()
    }

    pub fn keys(&self) -> BTreeSet<Key> {
        let lasting = |key: &&Key| key.0 != POD && key.0 != ATTACHMENT;
        self.objects.keys().filter(lasting).cloned().collect()
    }

    /// Everything, as it is read from files with these objects in them.
    pub fn bundle(&self) -> Bundle {
        let mut bundle = Bundle::default();
        for object in self.objects.values() {
            bundle.add(object.as_ref().clone()).expect("an object");
        }
        bundle
    }

    /// Stores a new object as the server does; whether the name was free.
    pub fn create(&mut self, kind: &'static str, mut body: Value) -> bool {
        let name = text(&body, "/metadata/name").to_owned();
        if self.objects.contains_key(&(kind, name.clone())) {
            return false;
        }
        self.version += 1;
        let version = self.version;
        body["kind"] = json!(kind);
        body["apiVersion"] = json!(match kind {
            DEPLOYMENT | SET | REPLICA_SET => "apps/v1",
            ATTACHMENT => "storage.k8s.io/v1",
            _ => "v1",
        });
        let metadata = &mut body["metadata"];
        if kind != VOLUME && kind != ATTACHMENT {
            metadata["namespace"] = json!("default");
        }
        metadata["uid"] = json!(format!("{}-{version}", kind.to_lowercase()));
        metadata["resourceVersion"] = json!(version.to_string());
        metadata["generation"] = json!(1);
        metadata["creationTimestamp"] = json!(self.now.to_string());
        if kind == CLAIM {
            body["status"] = json!({"phase": "Pending"});
        }
        self.objects_mut().insert((kind, name), Rc::new(body));
        true
    }

    fn store(&mut self, kind: &'static str, mut body: Value) {
        let name = text(&body, "/metadata/name").to_owned();
        let key = (kind, name);
        let before = &self.objects[&key];
        if **before == body {
            return;
        }
        if before["spec"] != body["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or_default();
            body["metadata"]["generation"] = json!(generation + 1);
        }
        self.version += 1;
        body["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects_mut().insert(key, Rc::new(body));
    }

    /// A change that nobody can refuse.
    pub fn change(&mut self, kind: &'static str, name: &str, how: impl FnOnce(&mut Value)) {
        let Some(found) = self.get(kind, name) else { return };
        let mut body = found.clone();
        how(&mut body);
        self.store(kind, body);
    }

    /// The same object under another name, as if it had been made so.
    pub fn rename(&mut self, kind: &'static str, name: &str, to: &str) {
        let found = self.objects_mut().remove(&(kind, name.to_owned())).expect("it");
        let mut body = found.as_ref().clone();
        body["metadata"]["name"] = json!(to);
        self.version += 1;
        self.objects_mut().insert((kind, to.to_owned()), Rc::new(body));
    }

    /// Sends an object on its way out, and what it owns after it.
    pub fn delete(&mut self, kind: &'static str, name: &str) {
        // A kubelet stops a pod, and pvc-protection looks who uses a claim.
        if kind == POD || kind == CLAIM {
            let now = self.now.to_string();
            return self.change(kind, name, |object| {
                if !is_leaving(object) {
                    object["metadata"]["deletionTimestamp"] = json!(now);
                }
            });
        }
        if self.objects_mut().remove(&(kind, name.to_owned())).is_some() {
            self.version += 1;
        }
        if kind == DEPLOYMENT {
            self.delete(REPLICA_SET, &format!("{name}-1"));
        }
    }

    /// Does a write of ours as the server does it.
    pub fn write(&mut self, write: &Write) -> Answer {
        let object = write.object();
        let kind = match object.resource {
            Resource::DEPLOYMENT => DEPLOYMENT,
            Resource::STATEFUL_SET => SET,
            Resource::CLAIM => CLAIM,
            Resource::VOLUME => VOLUME,
            Resource::SERVICE => SERVICE,
            Resource::CONFIG_MAP => BOOK,
            other => panic!("{other:?} is not in the model"),
        };
        let found = self.get(kind, &object.name).cloned();
        match (Sent::of(write), found) {
            (Sent::Create(body), None) => {
                assert_eq!(text(&body, "/metadata/name"), object.name);
                assert_eq!(object.namespace.as_deref(), body["metadata"]["namespace"].as_str());
                self.create(kind, body);
            }
            (Sent::Create(_), Some(_)) => return Answer::Conflict,
            (_, None) => return Answer::NotFound,
            (Sent::Operations(operations), Some(found)) => {
                let Some(body) = server::patched(&found, &operations) else {
                    return Answer::Conflict;
                };
                if kind == VOLUME {
                    self.judge_volume(&body);
                }
                // The server takes no new finalizer on what is being deleted.
                let finalizers = |object: &Value| {
                    object["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
                };
                if is_leaving(&found) && finalizers(&body) > finalizers(&found) {
                    return Answer::Conflict;
                }
                self.store(kind, body);
            }
            (Sent::Delete(preconditions), Some(found)) => {
                if !preconditions.hold(&found) {
                    return Answer::Conflict;
                }
                if kind == CLAIM {
                    self.judge_deletion(&found);
                }
                self.delete(kind, &object.name);
            }
            (Sent::Strategic(body), _) => panic!("a migration sends no such patch: {body}"),
        }
        Answer::Done
    }

    /// A volume as we leave it is reserved for one claim, and gets a policy
    /// other than Retain only when it is bound to one that cannot go.
    fn judge_volume(&self, volume: &Value) {
        let name = text(volume, "/metadata/name");
        let holder = text(volume, "/spec/claimRef/uid");
        assert!(!text(volume, "/spec/claimRef/name").is_empty(), "{name} is unreserved");
        assert!(!holder.is_empty() || self.frees, "{name} is reserved for a name only");
        let before = self.get(VOLUME, name).expect("it");
        let policy =
            |volume: &Value| text(volume, "/spec/persistentVolumeReclaimPolicy").to_owned();
        if policy(before) == "Retain" && policy(volume) != "Retain" {
            assert_eq!(text(volume, "/status/phase"), "Bound", "{name}");
            assert_eq!(holder, text(before, "/spec/claimRef/uid"), "{name}: both at once");
            if self.stripped.contains(holder) {
                return;
            }
            let claim = self.all(CLAIM).find(|claim| uid(claim) == holder);
            let all = claim.and_then(|claim| claim["metadata"]["finalizers"].as_array());
            let is_held = all.is_some_and(|all| all.iter().any(|one| one == HOLD));
            assert!(is_held, "{name}: {} to a claim that can go", policy(volume));
        }
    }

    /// What was known when it was decided on: no policy returns to a claim that
    /// is being deleted.
    pub fn judge_decision(&self, write: &Write) {
        if write.object().resource != Resource::VOLUME {
            return;
        }
        let Sent::Operations(operations) = Sent::of(write) else { return };
        let returns = operations.as_array().into_iter().flatten().any(|one| {
            let is_policy = one["path"] == "/spec/persistentVolumeReclaimPolicy";
            is_policy && one["op"] == "add" && one["value"] != "Retain"
        });
        let holder = self.get(VOLUME, &write.object().name);
        let holder = holder.map(|volume| text(volume, "/spec/claimRef/uid"));
        let claim = self.all(CLAIM).find(|claim| Some(uid(claim)) == holder);
        assert!(!returns || !claim.is_some_and(is_leaving), "{write:?} to a claim that is leaving");
    }

    /// No claim goes while its volume may go with it.
    fn judge_deletion(&mut self, claim: &Value) {
        self.deleted_by_us.insert(uid(claim).to_owned());
        let volume = text(claim, "/spec/volumeName");
        let Some(volume) = self.get(VOLUME, volume) else { return };
        let name = text(claim, "/metadata/name");
        let has_it = text(volume, "/spec/claimRef/uid") == uid(claim);
        assert!(!has_it || self.frees, "{name} has its volume still");
        // Between our look and our write somebody may have changed the policy, and
        // one of us may have given it back: the claim is held, and does not go.
        let policy = text(volume, "/spec/persistentVolumeReclaimPolicy");
        let excused = has_our_hold(claim) || (self.frees && !has_it);
        assert!(policy == "Retain" || excused, "{name} goes under policy {policy}");
    }

    /// Somebody hears of what is there now; of one kind only, or of all.
    pub fn hear(&mut self, who: Who, kind: Option<&'static str>) {
        let cache = self.caches.get_mut(&who).expect("a cache");
        let Some(kind) = kind else {
            *cache = Rc::clone(&self.objects);
            return;
        };
        let cache = Rc::make_mut(cache);
        cache.retain(|key, _| key.0 != kind);
        let of_kind = self.objects.iter().filter(|(key, _)| key.0 == kind);
        cache.extend(of_kind.map(|(key, object)| (key.clone(), Rc::clone(object))));
    }

    fn cached(&self, who: Who, kind: &'static str, name: &str) -> Option<Value> {
        self.caches[&who].get(&(kind, name.to_owned())).map(|object| object.as_ref().clone())
    }

    fn cached_names(&self, who: Who, kind: &'static str) -> Vec<String> {
        let of_kind = self.caches[&who].keys().filter(|key| key.0 == kind);
        of_kind.map(|key| key.1.clone()).collect()
    }

    /// One piece of work.
    pub fn work(&mut self, who: Who, place: usize) {
        let names = |model: &Model, kind| model.cached_names(who, kind);
        match who {
            Who::Binder => {
                let (claims, volumes) = (names(self, CLAIM), names(self, VOLUME));
                let count = claims.len() + volumes.len();
                match place % count.max(1) {
                    at if at < claims.len() => self.sync_claim(&claims[at]),
                    at => {
                        if let Some(volume) = volumes.get(at - claims.len()) {
                            self.sync_volume(volume);
                        }
                    }
                }
            }
            Who::Provisioner => {
                for claim in names(self, CLAIM) {
                    self.provision(&claim);
                }
                for volume in names(self, VOLUME) {
                    self.reclaim(&volume);
                }
            }
            Who::Deployments => {
                for name in names(self, DEPLOYMENT) {
                    self.sync_deployment(&name);
                }
            }
            Who::Sets => {
                for name in names(self, SET) {
                    self.sync_set(&name);
                }
            }
        }
    }

    /// One round of everybody, with nobody behind; whether anything moved.
    pub fn is_moving(&mut self) -> bool {
        if self.rested == Some(self.version) {
            return false;
        }
        let before = self.version;
        for who in ALL {
            self.hear(who, None);
            let binds = self.names(CLAIM).len() + self.names(VOLUME).len();
            for place in 0..if who == Who::Binder { binds } else { 1 } {
                self.work(who, place);
            }
        }
        self.run_pods();
        self.protect();
        self.detach();
        self.rested = (before == self.version).then_some(before);
        before != self.version
    }

    pub fn settle(&mut self) {
        for _ in 0..100 {
            if !self.is_moving() {
                return;
            }
            self.now += SignedDuration::from_secs(1);
        }
        panic!("it never rests");
    }

    pub fn run_pods(&mut self) {
        for name in self.names(POD) {
            self.run_pod(&name);
        }
    }

    // ------------------------------------------------------------ the binder

    /// Writes what the binder has decided on, unless it is behind.
    fn update(&mut self, who: Who, kind: &'static str, body: Value) -> bool {
        let key = (kind, text(&body, "/metadata/name").to_owned());
        let version = |object: &Value| text(object, "/metadata/resourceVersion").to_owned();
        if self.objects.get(&key).is_none_or(|now| version(now) != version(&body)) {
            return false;
        }
        self.store(kind, body);
        let now = Rc::clone(&self.objects[&key]);
        Rc::make_mut(self.caches.get_mut(&who).expect("a cache")).insert(key, now);
        true
    }

    fn set_phase(&mut self, kind: &'static str, mut object: Value, phase: &str) -> bool {
        if text(&object, "/status/phase") == phase {
            return true;
        }
        let name = text(&object, "/metadata/name").to_owned();
        if phase == "Released" && self.disks.contains(&name) {
            let holder = text(&object, "/spec/claimRef/uid").to_owned();
            object["status"]["phase"] = json!(phase);
            if !self.update(Who::Binder, kind, object) {
                return false;
            }
            let by_us = self.deleted_by_us.contains(&holder);
            assert!(!by_us || self.frees, "{name} is Released because of us");
            assert!(by_us || self.disturbed, "{name} is Released");
            self.released.insert(name);
            return true;
        }
        object["status"]["phase"] = json!(phase);
        self.update(Who::Binder, kind, object)
    }

    fn sync_volume(&mut self, name: &str) {
        let Some(mut volume) = self.cached(Who::Binder, VOLUME, name) else { return };
        let holder = text(&volume, "/spec/claimRef/uid").to_owned();
        if holder.is_empty() {
            self.set_phase(VOLUME, volume, "Available");
            return;
        }
        let called = text(&volume, "/spec/claimRef/name").to_owned();
        let mut claim = self.cached(Who::Binder, CLAIM, &called);
        if claim.as_ref().is_none_or(|claim| uid(claim) != holder) {
            let phase = text(&volume, "/status/phase");
            // Its cache may not have a claim that the server has.
            let asks = claim.is_some() || !matches!(phase, "Released" | "Failed");
            claim = self.get(CLAIM, &called).filter(|now| asks && uid(now) == holder).cloned();
        }
        let Some(claim) = claim else {
            self.set_phase(VOLUME, volume, "Released");
            return;
        };
        match text(&claim, "/spec/volumeName") {
            "" => {}
            own if own == name => {
                self.set_phase(VOLUME, volume, "Bound");
            }
            _ => {
                let policy = text(&volume, "/spec/persistentVolumeReclaimPolicy");
                if annotation(&volume, PROVISIONED_BY).is_some() && policy == "Delete" {
                    self.set_phase(VOLUME, volume, "Released");
                    return;
                }
                assert!(self.disturbed || !self.disks.contains(name), "{name} is unbound");
                if annotation(&volume, BOUND_BY_CONTROLLER).is_some() {
                    drop_annotation(&mut volume, BOUND_BY_CONTROLLER);
                    volume["spec"].as_object_mut().expect("a spec").shift_remove("claimRef");
                } else {
                    let held = volume["spec"]["claimRef"].as_object_mut().expect("a claimRef");
                    held.shift_remove("uid");
                }
                if self.update(Who::Binder, VOLUME, volume)
                    && let Some(volume) = self.cached(Who::Binder, VOLUME, name)
                {
                    self.set_phase(VOLUME, volume, "Available");
                }
            }
        }
    }

    fn sync_claim(&mut self, name: &str) {
        let Some(claim) = self.cached(Who::Binder, CLAIM, name) else { return };
        let wanted = text(&claim, "/spec/volumeName").to_owned();
        let volume = self.cached(Who::Binder, VOLUME, &wanted);
        if annotation(&claim, BIND_COMPLETED).is_none() {
            return self.sync_unbound(claim, volume);
        }
        match volume {
            None => {
                self.set_phase(CLAIM, claim, "Lost");
            }
            Some(volume) => {
                let holder = text(&volume, "/spec/claimRef/uid");
                if volume["spec"].get("claimRef").is_none() || holder == uid(&claim) {
                    self.bind(volume, claim);
                } else {
                    self.set_phase(CLAIM, claim, "Lost");
                }
            }
        }
    }

    fn sync_unbound(&mut self, claim: Value, volume: Option<Value>) {
        if !text(&claim, "/spec/volumeName").is_empty() {
            let free = |volume: &Value| volume["spec"].get("claimRef").is_none();
            match volume {
                Some(volume)
                    if is_for(&volume, &claim) || (free(&volume) && satisfies(&volume, &claim)) =>
                {
                    self.bind(volume, claim);
                }
                _ => {
                    self.set_phase(CLAIM, claim, "Pending");
                }
            }
            return;
        }
        let names = self.cached_names(Who::Binder, VOLUME);
        let volumes = names.iter().filter_map(|name| self.cached(Who::Binder, VOLUME, name));
        let volumes: Vec<Value> = volumes.filter(|volume| satisfies(volume, &claim)).collect();
        let waits = self.class == Class::WaitForFirstConsumer
            && annotation(&claim, SELECTED_NODE).is_none();
        let reserved = volumes.iter().find(|volume| is_for(volume, &claim));
        let is_free = |volume: &&Value| {
            volume["spec"].get("claimRef").is_none() && volume["status"]["phase"] == "Available"
        };
        let found = reserved.or_else(|| volumes.iter().find(is_free).filter(|_| !waits));
        if let Some(volume) = found {
            return self.bind(volume.clone(), claim);
        }
        let has = annotation(&claim, PROVISIONER).is_some();
        if !waits && !has && text(&claim, "/spec/storageClassName") != Class::Static.name() {
            let mut claim = claim;
            set_annotation(&mut claim, PROVISIONER, "test");
            self.update(Who::Binder, CLAIM, claim);
        }
    }

    /// Each of the four writes may be the first that finds the binder behind.
    fn bind(&mut self, mut volume: Value, mut claim: Value) {
        let by_controller = !is_for(&volume, &claim);
        if text(&volume, "/spec/claimRef/uid") != uid(&claim) {
            volume["spec"]["claimRef"] = json!({
                "apiVersion": "v1", "kind": CLAIM, "namespace": "default",
                "name": claim["metadata"]["name"], "uid": uid(&claim),
                "resourceVersion": claim["metadata"]["resourceVersion"],
            });
            if by_controller {
                set_annotation(&mut volume, BOUND_BY_CONTROLLER, "yes");
            }
            if !self.update(Who::Binder, VOLUME, volume.clone()) {
                return;
            }
        }
        let name = text(&volume, "/metadata/name").to_owned();
        let Some(volume) = self.cached(Who::Binder, VOLUME, &name) else { return };
        if !self.set_phase(VOLUME, volume, "Bound") {
            return;
        }
        if text(&claim, "/spec/volumeName") != name || annotation(&claim, BIND_COMPLETED).is_none()
        {
            if text(&claim, "/spec/volumeName") != name {
                claim["spec"]["volumeName"] = json!(name);
                set_annotation(&mut claim, BOUND_BY_CONTROLLER, "yes");
            }
            set_annotation(&mut claim, BIND_COMPLETED, "yes");
            if !self.update(Who::Binder, CLAIM, claim.clone()) {
                return;
            }
        }
        let called = text(&claim, "/metadata/name").to_owned();
        if let Some(claim) = self.cached(Who::Binder, CLAIM, &called) {
            self.set_phase(CLAIM, claim, "Bound");
        }
    }

    // ------------------------------------------------------- the provisioner

    fn provision(&mut self, name: &str) {
        let Some(claim) = self.cached(Who::Provisioner, CLAIM, name) else { return };
        let asked = annotation(&claim, PROVISIONER).is_some();
        if !asked || !text(&claim, "/spec/volumeName").is_empty() {
            return;
        }
        let volume = json!({
            "metadata": {
                "name": format!("blank-{}", uid(&claim)), "annotations": {PROVISIONED_BY: "test"},
            },
            "spec": {
                "capacity": {"storage": "1Gi"}, "volumeMode": "Filesystem",
                "accessModes": claim["spec"]["accessModes"],
                "storageClassName": claim["spec"]["storageClassName"],
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {
                    "apiVersion": "v1", "kind": CLAIM, "namespace": "default",
                    "name": name, "uid": uid(&claim),
                },
            },
            "status": {"phase": "Pending"},
        });
        self.create(VOLUME, volume);
    }

    /// It looks at phase and policy, at what it has heard of them, and at
    /// nothing else.
    fn reclaim(&mut self, name: &str) {
        let Some(volume) = self.cached(Who::Provisioner, VOLUME, name) else { return };
        let released = text(&volume, "/status/phase") == "Released";
        let policy = text(&volume, "/spec/persistentVolumeReclaimPolicy");
        if !released || policy != "Delete" || self.class == Class::Static {
            return;
        }
        let here = self.get(VOLUME, name).is_some_and(|now| uid(now) == uid(&volume));
        if here {
            if self.disks.contains(name) {
                assert!(self.endangered, "the data of {name} is destroyed");
                self.destroyed.insert(name.to_owned());
            }
            self.delete(VOLUME, name);
        }
    }

    // ------------------------------------------------------- the controllers

    fn pods_of(&self, owner_uid: &str) -> Vec<Value> {
        self.all(POD).filter(|pod| owner(pod) == owner_uid).cloned().collect()
    }

    fn make_pod(&mut self, name: &str, template: &Value, owner: &Value) {
        let metadata = json!({
            "name": name, "labels": template["metadata"]["labels"], "ownerReferences": [owner],
        });
        let (spec, status) = (template["spec"].clone(), json!({"phase": "Pending"}));
        self.create(POD, json!({"metadata": metadata, "spec": spec, "status": status}));
    }

    /// The Deployment's controller and its ReplicaSet's as one.
    fn sync_deployment(&mut self, name: &str) {
        let Some(deployment) = self.cached(Who::Deployments, DEPLOYMENT, name) else { return };
        let set = format!("{name}-1");
        if self.get(DEPLOYMENT, name).is_none_or(|now| uid(now) != uid(&deployment)) {
            return;
        }
        if self.get(REPLICA_SET, &set).is_none() {
            self.make_replica_set(&deployment);
        }
        let owner_uid = uid(self.get(REPLICA_SET, &set).expect("it")).to_owned();
        if text(self.get(REPLICA_SET, &set).expect("it"), "/metadata/ownerReferences/0/uid")
            != uid(&deployment)
        {
            return;
        }
        let wanted = usize::try_from(replicas(&deployment)).expect("small");
        let pods = self.pods_of(&owner_uid);
        let active: Vec<&Value> = pods.iter().filter(|pod| !is_leaving(pod)).collect();
        for _ in active.len()..wanted {
            let owner = json!({
                "apiVersion": "apps/v1", "kind": REPLICA_SET, "name": set, "uid": owner_uid,
                "controller": true,
            });
            let pod = format!("{name}-1-{}", self.version);
            self.make_pod(&pod, &deployment["spec"]["template"], &owner);
        }
        for pod in active.iter().skip(wanted) {
            self.delete(POD, text(pod, "/metadata/name"));
        }
        let pods = self.pods_of(&owner_uid);
        let count = |wanted: &dyn Fn(&Value) -> bool| pods.iter().filter(|pod| wanted(pod)).count();
        let generation = deployment["metadata"]["generation"].clone();
        let is_it = self.get(DEPLOYMENT, name).is_some_and(|now| uid(now) == uid(&deployment));
        if is_it {
            let status = json!({
                "observedGeneration": generation, "replicas": count(&|pod| !is_leaving(pod)),
                "updatedReplicas": count(&|pod| !is_leaving(pod)),
                "availableReplicas": count(&is_ready), "readyReplicas": count(&is_ready),
            });
            self.change(DEPLOYMENT, name, |object| object["status"] = status);
        }
    }

    /// OrderedReady: one ordinal after the other.
    fn sync_set(&mut self, name: &str) {
        let Some(set) = self.cached(Who::Sets, SET, name) else { return };
        if self.get(SET, name).is_none_or(|now| uid(now) != uid(&set)) {
            return;
        }
        self.order(&set, name);
        let pods = self.pods_of(uid(&set));
        let status = json!({
            "observedGeneration": set["metadata"]["generation"], "replicas": pods.len(),
            "readyReplicas": pods.iter().filter(|pod| is_ready(pod)).count(),
            "currentRevision": "db-1", "updateRevision": "db-1",
        });
        self.change(SET, name, |object| object["status"] = status);
    }

    fn order(&mut self, set: &Value, name: &str) {
        let wanted = replicas(set);
        let parallel = set["spec"]["podManagementPolicy"] == "Parallel";
        // Its controller adopts what looks like its own and is nobody's.
        let is_nobodys = |pod: &&Value| {
            let called = text(pod, "/metadata/name").rsplit_once('-');
            owner(pod).is_empty() && called.is_some_and(|(of, _)| of == name)
        };
        let nobodys =
            self.all(POD).find(is_nobodys).map(|pod| text(pod, "/metadata/name").to_owned());
        if let Some(pod) = nobodys {
            let owner = json!([{
                "apiVersion": "apps/v1", "kind": SET, "name": name, "uid": uid(set),
                "controller": true,
            }]);
            return self.change(POD, &pod, |pod| pod["metadata"]["ownerReferences"] = owner);
        }
        for ordinal in 0..wanted {
            let called = format!("{name}-{ordinal}");
            match self.get(POD, &called) {
                Some(pod) if owner(pod) != uid(set) => return,
                Some(pod) => {
                    if !is_ready(pod) && !parallel {
                        return;
                    }
                }
                None => {
                    if self.make_ordinal(set, name, ordinal) && parallel {
                        continue;
                    }
                    return;
                }
            }
        }
        let mut beyond = self.pods_of(uid(set));
        beyond.retain(|pod| {
            let (_, ordinal) = text(pod, "/metadata/name").rsplit_once('-').expect("a name");
            ordinal.parse::<u64>().is_ok_and(|ordinal| ordinal >= wanted)
        });
        for pod in &beyond {
            self.own_claims(set, pod);
        }
        if !parallel && beyond.iter().any(is_leaving) {
            return;
        }
        for pod in beyond.iter().rev() {
            self.delete(POD, text(pod, "/metadata/name"));
            if !parallel {
                return;
            }
        }
    }

    /// Under `whenScaled: Delete` a pod that leaves becomes the owner of its
    /// claims; under `Retain` it is no longer.
    fn own_claims(&mut self, set: &Value, pod: &Value) {
        let policy = text(set, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled");
        let owners = match policy {
            "Delete" => json!([{
                "apiVersion": "v1", "kind": POD, "name": text(pod, "/metadata/name"),
                "uid": uid(pod),
            }]),
            _ => json!([]),
        };
        let claims = claims_of(&pod["spec"]);
        for claim in claims {
            let found = self.get(CLAIM, claim).map(|claim| &claim["metadata"]["ownerReferences"]);
            let has = found.and_then(Value::as_array).map_or(0, Vec::len);
            if found.is_some() && has != owners.as_array().map_or(0, Vec::len) {
                self.change(CLAIM, claim, |claim| {
                    claim["metadata"]["ownerReferences"] = owners.clone();
                });
            }
        }
    }

    fn make_ordinal(&mut self, set: &Value, name: &str, ordinal: u64) -> bool {
        let mut template = set["spec"]["template"].clone();
        let templates = set["spec"]["volumeClaimTemplates"].as_array().cloned();
        for wanted in templates.into_iter().flatten() {
            let volume = text(&wanted, "/metadata/name");
            let claim = format!("{volume}-{name}-{ordinal}");
            match self.get(CLAIM, &claim) {
                Some(found) if is_leaving(found) => return false,
                Some(_) => {}
                None => {
                    let body = json!({"metadata": {"name": claim}, "spec": wanted["spec"]});
                    self.create(CLAIM, body);
                }
            }
            let volumes = &mut template["spec"]["volumes"];
            if !volumes.is_array() {
                *volumes = json!([]);
            }
            let source = json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}});
            let volumes = volumes.as_array_mut().expect("a list");
            volumes.retain(|other| other["name"] != volume);
            volumes.push(source);
        }
        let owner = json!({
            "apiVersion": "apps/v1", "kind": SET, "name": name, "uid": uid(set),
            "controller": true,
        });
        self.make_pod(&format!("{name}-{ordinal}"), &template, &owner);
        true
    }

    // --------------------------------------------------------------- the nodes

    /// What the scheduler, the kubelet or the garbage collector does next to a
    /// pod.
    pub fn run_pod(&mut self, name: &str) {
        let Some(pod) = self.get(POD, name).cloned() else { return };
        if is_leaving(&pod) {
            self.mounts.remove(uid(&pod));
            self.objects_mut().remove(&(POD, name.to_owned()));
            self.version += 1;
            return;
        }
        if owner(&pod).is_empty() {
            return;
        }
        let kinds = [REPLICA_SET, SET];
        if !kinds.iter().any(|kind| self.all(kind).any(|one| uid(one) == owner(&pod))) {
            return self.delete(POD, name);
        }
        if pod["status"]["phase"] == "Running" {
            return;
        }
        if text(&pod, "/spec/nodeName").is_empty() {
            return self.schedule(name, &pod);
        }
        self.start(name, &pod);
    }

    fn schedule(&mut self, name: &str, pod: &Value) {
        let mut why = None;
        for called in claims_of(&pod["spec"]) {
            let claim = self.get(CLAIM, called).cloned();
            let Some(claim) = claim else {
                why = Some(format!("persistentvolumeclaim \"{called}\" not found"));
                continue;
            };
            if is_leaving(&claim) {
                why = Some(format!("persistentvolumeclaim \"{called}\" is being deleted"));
            } else if text(&claim, "/status/phase") == "Lost" {
                why = Some(format!("\"{called}\" bound to non-existent persistentvolume"));
            } else if annotation(&claim, BIND_COMPLETED).is_none() {
                why = Some("pod has unbound PersistentVolumeClaims".to_owned());
                let asks = text(&claim, "/spec/volumeName").is_empty();
                if self.class == Class::WaitForFirstConsumer && asks {
                    self.change(CLAIM, called, |claim| set_annotation(claim, SELECTED_NODE, "a"));
                }
            }
        }
        let node = if self.version.is_multiple_of(2) { "a" } else { "b" };
        let since = self.now.to_string();
        self.change(POD, name, |pod| {
            if let Some(message) = why {
                let before = text(pod, "/status/conditions/0/message");
                if before != message {
                    pod["status"]["conditions"] = json!([{
                        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                        "message": message, "lastTransitionTime": since,
                    }]);
                }
            } else {
                pod["spec"]["nodeName"] = json!(node);
                pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True"}]);
            }
        });
    }

    /// The kubelet asks the server for claim and volume, and both have to name
    /// each other; a disk is on one node at a time.
    fn start(&mut self, name: &str, pod: &Value) {
        let node = text(pod, "/spec/nodeName").to_owned();
        let mut volumes = BTreeSet::new();
        for called in claims_of(&pod["spec"]) {
            let Some(claim) = self.get(CLAIM, called) else { return };
            let Some(volume) = self.get(VOLUME, text(claim, "/spec/volumeName")) else { return };
            if text(claim, "/status/phase") != "Bound"
                || text(volume, "/spec/claimRef/uid") != uid(claim)
            {
                return;
            }
            let wide = volume["spec"]["accessModes"][0] == "ReadWriteMany";
            let pv = text(volume, "/metadata/name").to_owned();
            let elsewhere = self.all(ATTACHMENT).any(|one| {
                text(one, "/spec/source/persistentVolumeName") == pv
                    && text(one, "/spec/nodeName") != node
            });
            if elsewhere && !wide {
                return;
            }
            volumes.insert(pv);
        }
        for pv in &volumes {
            let spec = json!({"nodeName": node, "source": {"persistentVolumeName": pv}});
            let metadata = json!({"name": format!("{pv}-{node}")});
            self.create(ATTACHMENT, json!({"metadata": metadata, "spec": spec}));
        }
        let owner = match text(pod, "/metadata/ownerReferences/0/kind") {
            SET => SET,
            _ => DEPLOYMENT,
        };
        for other in self.mounts.values().filter(|other| other.owner != owner) {
            let both: Vec<_> = other.volumes.intersection(&volumes).collect();
            assert!(
                both.is_empty() || self.crowded,
                "{name} starts on {both:?}, which others have in use"
            );
        }
        if owner == SET && !volumes.is_subset(&self.disks) {
            assert!(self.disturbed || self.frees, "{name} starts on a new disk: {volumes:?}");
            self.blank = true;
        }
        self.mounts.insert(uid(pod).to_owned(), Mount { owner, volumes });
        let since = self.now.to_string();
        self.change(POD, name, |pod| {
            pod["status"] = json!({
                "phase": "Running",
                "conditions": [
                    {"type": "PodScheduled", "status": "True"},
                    {"type": "Ready", "status": "True", "lastTransitionTime": since},
                ],
                "containerStatuses": [
                    {"name": "db", "ready": true, "restartCount": 0, "state": {"running": {}}},
                ],
            });
        });
    }

    /// What nobody on a node has in use any more leaves it.
    pub fn detach(&mut self) {
        let mut used: BTreeSet<(String, String)> = BTreeSet::new();
        for pod in self.all(POD) {
            let node = text(pod, "/spec/nodeName");
            if let Some(mount) = self.mounts.get(uid(pod)) {
                used.extend(mount.volumes.iter().map(|pv| (pv.clone(), node.to_owned())));
            }
        }
        for attachment in self.all(ATTACHMENT).cloned().collect::<Vec<_>>() {
            let pv = text(&attachment, "/spec/source/persistentVolumeName").to_owned();
            let node = text(&attachment, "/spec/nodeName").to_owned();
            if pv != "other" && !used.contains(&(pv, node)) {
                self.delete(ATTACHMENT, text(&attachment, "/metadata/name"));
            }
        }
    }

    /// A claim that was deleted, or whose owner is gone, goes once no pod names it;
    /// a volume that was deleted, once it is not bound.
    pub fn protect(&mut self) {
        let pods: BTreeSet<String> = self.all(POD).map(|pod| uid(pod).to_owned()).collect();
        let is_left = |claim: &Value| {
            let owner = owner(claim);
            !owner.is_empty() && !is_leaving(claim) && !pods.contains(owner)
        };
        let left: Vec<String> = self
            .all(CLAIM)
            .filter(|claim| is_left(claim))
            .map(|claim| text(claim, "/metadata/name").to_owned())
            .collect();
        for claim in left {
            self.delete(CLAIM, &claim);
        }
        for volume in self.names(VOLUME) {
            let goes = |volume: &Value| is_leaving(volume) && volume["status"]["phase"] != "Bound";
            if self.get(VOLUME, &volume).is_some_and(goes) {
                self.delete(VOLUME, &volume);
            }
        }
        let used: BTreeSet<String> = self
            .all(POD)
            .filter(|pod| !text(pod, "/spec/nodeName").is_empty())
            .flat_map(|pod| claims_of(&pod["spec"]))
            .map(str::to_owned)
            .collect();
        for claim in self.names(CLAIM) {
            let goes = |claim: &Value| is_leaving(claim) && !is_on_hold(claim);
            if self.get(CLAIM, &claim).is_some_and(goes) && !used.contains(&claim) {
                self.objects_mut().remove(&(CLAIM, claim));
                self.version += 1;
            }
        }
    }
}

/// Whether a volume is reserved for this claim, and no other by its name.
fn is_for(volume: &Value, claim: &Value) -> bool {
    let held = &volume["spec"]["claimRef"];
    let holder = text(held, "/uid");
    held["name"] == claim["metadata"]["name"] && (holder.is_empty() || holder == uid(claim))
}

fn satisfies(volume: &Value, claim: &Value) -> bool {
    volume["spec"]["storageClassName"] == claim["spec"]["storageClassName"]
        && volume["spec"]["accessModes"] == claim["spec"]["accessModes"]
        && !is_leaving(volume)
        && !is_leaving(claim)
}

fn spec_modes(wide: bool) -> Value {
    json!([if wide { "ReadWriteMany" } else { "ReadWriteOnce" }])
}

/// The Deployments' names.
pub fn members(shape: &Shape) -> Vec<String> {
    if shape.members == 1 {
        return vec!["db".to_owned()];
    }
    (0..shape.members).map(|index| format!("db-{}", ["a", "b", "c"][index as usize])).collect()
}
