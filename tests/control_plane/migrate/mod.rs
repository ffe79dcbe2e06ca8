//! `migrate` on a real control plane: there and back, disturbed by others,
//! refused, and killed at every request.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::support::{
    self, Namespace, Output, Run, TestCluster, document, error_ids, reason_ids, wait_for,
    wait_or_explain,
};

mod faults;
mod guards;
mod hash;
mod late;
mod meddled;
mod modes;
mod outages;
mod races;
mod recover;
mod vigil;
mod way;

use vigil::Vigil;

const SOON: Duration = Duration::from_secs(120);
/// On everything that a migration has in hand, in one place or another.
const MARK: &str = "kubectl-stateful.dev/";

/// An application, and how it is moved.
#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    /// What it is made of, in the namespace of that name.
    manifests: fn(&str) -> Vec<Value>,
    /// What comes behind `run`.
    words: &'static str,
    set: &'static str,
    /// The claims that the volumes leave, and those that they come to.
    claims: &'static [(&'static str, &'static str)],
}

/// The seeds' database: a volume made by hand, whose policy is Delete.
const STATIC: Story = Story {
    name: "static",
    manifests: |namespace| by_hand(namespace, "Delete"),
    words: "deploy/mysql",
    set: "mysql",
    claims: &[("mysql-pv-claim", "data-mysql-0")],
};

const PAIR: Story = Story {
    name: "pair",
    manifests: |_| {
        vec![
            claim("mysql-data", "standard", "ReadWriteOnce"),
            claim("mysql-logs", "standard-retain", "ReadWriteOnce"),
            headless("mysql"),
            deployment("mysql", 1, &[("data", "mysql-data"), ("logs", "mysql-logs")]),
        ]
    },
    words: "deploy/mysql",
    set: "mysql",
    claims: &[("mysql-data", "data-mysql-0"), ("mysql-logs", "logs-mysql-0")],
};

const WAIT: Story = Story {
    name: "wait",
    manifests: |_| with_class("standard-wait"),
    words: "deploy/mysql",
    set: "mysql",
    claims: &[("mysql-data", "data-mysql-0")],
};

/// As the seeds have it; volumes belong to no namespace, so its class keeps
/// other tests' claims from it.
fn by_hand(namespace: &str, policy: &str) -> Vec<Value> {
    let class = format!("manual-{namespace}");
    vec![
        disk(namespace, policy, "ReadWriteOnce"),
        claim("mysql-pv-claim", &class, "ReadWriteOnce"),
        headless("mysql"),
        deployment("mysql", 1, &[("data", "mysql-pv-claim")]),
    ]
}

fn with_class(class: &str) -> Vec<Value> {
    vec![
        claim("mysql-data", class, "ReadWriteOnce"),
        headless("mysql"),
        deployment("mysql", 1, &[("data", "mysql-data")]),
    ]
}

fn disk(namespace: &str, policy: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("mysql-pv-{namespace}"), "labels": {"type": "local"}},
        "spec": {
            "storageClassName": format!("manual-{namespace}"), "capacity": {"storage": "20Gi"},
            "accessModes": [mode], "persistentVolumeReclaimPolicy": policy,
            "hostPath": {"path": "/mnt/data"},
        },
    })
}

fn claim(name: &str, class: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": {"app": "mysql"}, "annotations": {"team": "data"}},
        "spec": {
            "storageClassName": class, "accessModes": [mode],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

fn headless(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"port": 3306}]},
    })
}

/// With volumes, each called as the pod calls it, and its claim.
fn deployment(name: &str, replicas: u32, volumes: &[(&str, &str)]) -> Value {
    let mounts = volumes
        .iter()
        .map(|(volume, _)| json!({"name": volume, "mountPath": format!("/var/lib/{volume}")}));
    let claims = volumes.iter().map(
        |(volume, claim)| json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}),
    );
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "server", "image": "mysql:5.6",
                        "volumeMounts": mounts.collect::<Vec<Value>>(),
                    }],
                    "volumes": claims.collect::<Vec<Value>>(),
                },
            },
        },
    })
}

/// Where each kind is found.
const KINDS: [(&str, &str, &str); 9] = [
    ("Deployment", "apps/v1", "deployments"),
    ("ReplicaSet", "apps/v1", "replicasets"),
    ("StatefulSet", "apps/v1", "statefulsets"),
    ("ControllerRevision", "apps/v1", "controllerrevisions"),
    ("Service", "v1", "services"),
    ("ConfigMap", "v1", "configmaps"),
    ("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
    ("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
    ("Pod", "v1", "pods"),
];

#[track_caller]
fn create(namespace: &Namespace, object: &Value) -> Value {
    let api = namespace.cluster().api();
    let kind = object["kind"].as_str().expect("a kind");
    if kind == "PersistentVolume" {
        return api.create("/api/v1/persistentvolumes", object);
    }
    let known = KINDS.iter().find(|known| known.0 == kind).expect("a kind that is known");
    api.create(&namespace.path(known.1, known.2, ""), object)
}

/// An application where it lives, and what it was like before.
struct Place {
    namespace: Namespace<'static>,
    story: Story,
    before: Picture,
    vigil: Vigil,
}

impl Place {
    fn make(story: Story) -> Place {
        Place::make_on(TestCluster::shared(), story)
    }

    /// Makes it, and waits until it runs.
    fn make_on(cluster: &'static TestCluster, story: Story) -> Place {
        let namespace = cluster.namespace(&format!("migrate-{}", story.name));
        for object in (story.manifests)(namespace.name()) {
            create(&namespace, &object);
        }
        wait_for(SOON, "the application to run", || runs(&namespace).then_some(()));
        let before = Picture::of(&namespace);
        let vigil = Vigil::begin(&namespace);
        Place { namespace, story, before, vigil }
    }

    /// Looks away from what was: the server remembers no more than minutes.
    fn watch_anew(&mut self) {
        self.vigil = Vigil::begin(&self.namespace);
    }

    /// `migrate WORDS`; who changes something agrees to it.
    fn migrate(&self, words: &str) -> Run {
        let all = ["migrate"].into_iter().chain(words.split_whitespace());
        let run = self.namespace.stateful(all).deadline(SOON);
        let looks = ["plan", "status", "convert"].iter().any(|verb| words.starts_with(verb));
        let agreed = ["--confirm-plan", "--dry-run"].iter().any(|flag| words.contains(flag));
        if looks || agreed { run } else { run.arg("--yes") }
    }

    /// The same to its end, with this exit code.
    #[track_caller]
    fn ends(&self, words: &str, code: i32) -> Output {
        self.migrate(words).output().expect(code)
    }

    /// `run` with the words of the story and these.
    fn run(&self, more: &str) -> Run {
        self.migrate(&format!("run {} {more}", self.story.words))
    }

    /// `VERB sts/NAME` and more words.
    fn on(&self, verb: &str, more: &str) -> Run {
        self.migrate(&format!("{verb} sts/{} {more}", self.story.set))
    }

    #[track_caller]
    fn moves(&self) {
        self.run("").output().expect(0);
        self.is_moved();
    }

    /// Whether a migration is under way.
    fn has_journal(&self) -> bool {
        let name = format!("kubectl-stateful-migrate-{}", self.story.set);
        self.namespace.get("v1", "configmaps", &name).is_some()
    }

    fn picture(&self) -> Picture {
        Picture::of(&self.namespace)
    }

    /// The Deployment runs as it did, everything is what it was, and nothing
    /// else is there.
    #[track_caller]
    fn is_home(&self) {
        let differences = || self.before.differences(&self.picture());
        let told = || format!("it to be home: {}", differences().join("\n"));
        // Garbage is collected, and pods come, in their own time.
        wait_or_explain(SOON, told, || {
            (differences().is_empty() && runs(&self.namespace)).then_some(())
        });
        self.vigil.check(&self.namespace);
    }

    /// The set runs on the same volumes, and everything is kept for the way
    /// back.
    #[track_caller]
    fn is_moved(&self) {
        let now = self.picture();
        let set = now.get("statefulsets", self.story.set);
        let wanted = &set["spec"]["replicas"];
        wait_for(SOON, "the set to run", || {
            let set = self.namespace.get("apps/v1", "statefulsets", self.story.set)?;
            (set["status"]["readyReplicas"].as_u64().unwrap_or(0) == wanted.as_u64()?).then_some(())
        });
        for (old, new) in self.story.claims {
            let old = now.get("persistentvolumeclaims", old);
            assert_eq!(old["status"]["phase"], "Lost", "{old:#}");
            let disk = self.disk_of(&now, new);
            assert_eq!(disk["spec"]["persistentVolumeReclaimPolicy"], "Retain", "{disk:#}");
        }
        for (name, deployment) in now.all("deployments") {
            assert_eq!(deployment["spec"]["replicas"], 0, "{name}");
        }
    }

    /// The set runs on the same volumes under their old policy, and nothing
    /// tells that it was ever otherwise.
    #[track_caller]
    fn is_finished(&self) {
        let gone = |now: &Picture| {
            let old = self.story.claims.iter().map(|(old, _)| ("persistentvolumeclaims", *old));
            let deployments = self.before.all("deployments").map(|(name, _)| ("deployments", name));
            let sets = self.before.all("replicasets").map(|(name, _)| ("replicasets", name));
            old.chain(deployments).chain(sets).all(|(kind, name)| !now.has(kind, name))
        };
        let now =
            wait_for(SOON, "the garbage to be collected", || Some(self.picture()).filter(gone));
        assert_eq!(now.marked(), Vec::<String>::new());
        for (old, new) in self.story.claims {
            let disk = self.disk_of(&now, new);
            let name = disk["metadata"]["name"].as_str().expect("a name");
            let then = self.before.get("persistentvolumes", name);
            assert_eq!(then["spec"]["claimRef"]["name"], *old);
            for path in ["/metadata/uid", "/metadata/labels", "/metadata/annotations"] {
                assert_eq!(disk.pointer(path), then.pointer(path), "{path} of {name}");
            }
            let (mut is, mut was) = (disk["spec"].clone(), then["spec"].clone());
            (is["claimRef"], was["claimRef"]) = (Value::Null, Value::Null);
            assert_eq!(is, was, "{name}");
        }
        let set = now.get("statefulsets", self.story.set);
        let service = set["spec"]["serviceName"].as_str().expect("a Service");
        assert_eq!(now.get("services", service)["spec"]["clusterIP"], "None");
        self.vigil.check(&self.namespace);
    }

    /// The volume that this claim is bound to; both say so.
    #[track_caller]
    fn disk_of<'a>(&self, now: &'a Picture, claim: &str) -> &'a Value {
        let claim = now.get("persistentvolumeclaims", claim);
        assert_eq!(claim["status"]["phase"], "Bound", "{claim:#}");
        let disk = now.get("persistentvolumes", claim["spec"]["volumeName"].as_str().expect("one"));
        assert_eq!(disk["spec"]["claimRef"]["uid"], claim["metadata"]["uid"], "{disk:#}");
        assert_eq!(disk["status"]["phase"], "Bound", "{disk:#}");
        let then =
            self.before.get("persistentvolumes", disk["metadata"]["name"].as_str().expect("one"));
        assert_eq!(disk["metadata"]["uid"], then["metadata"]["uid"]);
        disk
    }

    /// Somebody else changes something.
    #[track_caller]
    fn edit(&self, version: &str, resource: &str, name: &str, patch: &Value) {
        let path = self.namespace.path(version, resource, name);
        self.namespace.cluster().api().patch(&path, patch);
    }

    #[track_caller]
    fn edit_deployment(&self, patch: &Value) {
        self.edit("apps/v1", "deployments", "mysql", patch);
    }
}

/// Whether every Deployment has the pods that it wants, and only those.
fn runs(namespace: &Namespace) -> bool {
    let list = namespace.get("apps/v1", "deployments", "").expect("a list");
    list["items"].as_array().into_iter().flatten().all(|deployment| {
        let number = |path: &str| deployment.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let wanted = number("/spec/replicas");
        number("/status/observedGeneration") == number("/metadata/generation")
            && number("/status/availableReplicas") == wanted
            && number("/status/updatedReplicas") == wanted
            && number("/status/replicas") == wanted
    }) && are_bound(namespace)
}

fn are_bound(namespace: &Namespace) -> bool {
    let list = namespace.get("v1", "persistentvolumeclaims", "").expect("a list");
    let claims = list["items"].as_array().cloned().unwrap_or_default();
    claims.iter().all(|claim| claim["status"]["phase"] == "Bound")
}

/// What a test compares: everything in the namespace that somebody asked for,
/// and its volumes, without what only counts or tells the time.
#[derive(Clone)]
struct Picture(BTreeMap<(&'static str, String), Value>);

impl Picture {
    #[track_caller]
    fn of(namespace: &Namespace) -> Picture {
        let mut all = BTreeMap::new();
        let mut note = |plural: &'static str, mut object: Value| {
            forget(plural, &mut object);
            let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
            all.insert((plural, name), object);
        };
        for (_, version, plural) in KINDS.iter().filter(|kind| kind.0 != "Pod") {
            let list = namespace.get(version, plural, "").expect("a list");
            for object in list["items"].as_array().into_iter().flatten() {
                note(plural, object.clone());
            }
        }
        let list = namespace.cluster().api().get("/api/v1/persistentvolumes").expect("a list");
        for volume in list["items"].as_array().into_iter().flatten() {
            if volume["spec"]["claimRef"]["namespace"] == namespace.name() {
                note("persistentvolumes", volume.clone());
            }
        }
        Picture(all)
    }

    #[track_caller]
    fn get(&self, kind: &'static str, name: &str) -> &Value {
        let found = self.0.get(&(kind, name.to_owned()));
        found.unwrap_or_else(|| panic!("{kind}/{name} is not among {:?}", self.0.keys()))
    }

    fn has(&self, kind: &'static str, name: &str) -> bool {
        self.0.contains_key(&(kind, name.to_owned()))
    }

    fn all<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let of_kind = self.0.iter().filter(move |((kind, _), _)| *kind == wanted);
        of_kind.map(|((_, name), object)| (name.as_str(), object))
    }

    /// What bears a mark of ours, wherever.
    fn marked(&self) -> Vec<String> {
        let marked = self.0.iter().filter(|(_, object)| object.to_string().contains(MARK));
        marked.map(|((kind, name), _)| format!("{kind}/{name}")).collect()
    }

    /// How another one differs from this, a line for each object.
    fn differences(&self, other: &Picture) -> Vec<String> {
        let keys: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let differs = keys.into_iter().filter(|key| self.0.get(*key) != other.0.get(*key));
        differs
            .map(|key| {
                let show =
                    |object: Option<&Value>| object.map_or("<none>".into(), Value::to_string);
                let (was, is) = (show(self.0.get(key)), show(other.0.get(key)));
                format!("{}/{}\n was {was}\n is  {is}", key.0, key.1)
            })
            .collect()
    }
}

/// What controllers count, and what changes with every write.
fn forget(plural: &str, object: &mut Value) {
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for field in ["resourceVersion", "managedFields", "generation"] {
        metadata.remove(field);
    }
    match plural {
        "persistentvolumes" => {
            if let Some(reference) = object["spec"]["claimRef"].as_object_mut() {
                reference.remove("resourceVersion");
            }
        }
        "persistentvolumeclaims" => {}
        _ => drop(object.as_object_mut().expect("an object").remove("status")),
    }
}
