//! What became of volumes and claims at every moment, not only in the end.
//!
//! The API server keeps the changes of the last minutes for watches; so it is
//! enough to ask afterwards, and nothing can be missed in between.

use std::collections::BTreeMap;

use super::*;

/// The volumes of a namespace, from a moment on.
pub struct Vigil {
    since: u64,
    /// By name.
    volumes: BTreeMap<String, Kept>,
}

/// What becomes of a volume when its claim goes.
#[derive(Clone, Debug)]
struct Kept {
    policy: String,
    /// The uid of the claim that has it.
    holder: String,
}

impl Kept {
    fn of(volume: &Value) -> Kept {
        let policy = word(volume, "/spec/persistentVolumeReclaimPolicy");
        Kept { policy, holder: word(volume, "/spec/claimRef/uid") }
    }
}

impl Vigil {
    pub fn begin(namespace: &Namespace) -> Vigil {
        let list = namespace.cluster().api().get("/api/v1/persistentvolumes").expect("a list");
        let of_ours = |volume: &&Value| volume["spec"]["claimRef"]["namespace"] == namespace.name();
        let volumes = list["items"].as_array().into_iter().flatten().filter(of_ours);
        let volumes = volumes.map(|volume| (word(volume, "/metadata/name"), Kept::of(volume)));
        Vigil { since: version(&list), volumes: volumes.collect() }
    }

    /// At no moment was a volume for nobody, or a claim going whose volume
    /// would have gone with it; and nobody has been given another volume.
    ///
    /// # Panics
    /// When it was otherwise.
    #[track_caller]
    pub fn check(&self, namespace: &Namespace) {
        self.check_each(namespace, |volume| {
            assert_eq!(word(volume, "/status/phase"), "Bound", "{volume:#}");
            assert_ne!(word(volume, "/spec/claimRef/uid"), "", "{volume:#}");
        });
    }

    /// The same of volumes that are between two claims: each is held for one
    /// of the namespace all the time.
    ///
    /// # Panics
    /// When it was otherwise.
    #[track_caller]
    pub fn check_reserved(&self, namespace: &Namespace) {
        self.check_each(namespace, |volume| {
            assert_ne!(word(volume, "/spec/claimRef/name"), "", "{volume:#}");
        });
    }

    #[track_caller]
    fn check_each(&self, namespace: &Namespace, is_held: impl Fn(&Value)) {
        let mut volumes = self.volumes.clone();
        let claims = namespace.path("v1", "persistentvolumeclaims", "");
        let mut events = self.events(namespace, &claims);
        events.extend(wait_for(SOON, "all changes of the volumes", || self.of_volumes(namespace)));
        events.sort_by_key(|event| version(&event["object"]));
        for event in &events {
            let object = &event["object"];
            let name = word(object, "/metadata/name");
            if object["kind"] == "PersistentVolume" {
                assert!(volumes.contains_key(&name), "another volume was made: {event:#}");
                assert_ne!(event["type"], "DELETED", "{event:#}");
                is_held(object);
                volumes.insert(name, Kept::of(object));
                continue;
            }
            let goes = event["type"] == "DELETED"
                || object.pointer("/metadata/deletionTimestamp").is_some();
            // A claim that names a volume need not have it.
            let uid = word(object, "/metadata/uid");
            let kept = volumes.get(&word(object, "/spec/volumeName"));
            let kept = kept.filter(|kept| kept.holder == uid);
            assert!(
                !goes || kept.is_none_or(|kept| kept.policy == "Retain"),
                "{volumes:?} {event:#}"
            );
        }
    }

    /// The changes of our volumes; none unless the last is among them.
    fn of_volumes(&self, namespace: &Namespace) -> Option<Vec<Value>> {
        let path = "/api/v1/persistentvolumes";
        let mut events = self.events(namespace, path);
        events.retain(|event| {
            self.volumes.contains_key(&word(&event["object"], "/metadata/name"))
                || event["object"]["spec"]["claimRef"]["namespace"] == namespace.name()
        });
        let is_complete = self.volumes.keys().all(|name| {
            let now = namespace.cluster().api().get(&format!("{path}/{name}"));
            let now = now.unwrap_or_else(|| panic!("volume {name} is gone"));
            version(&now) <= self.since
                || events.iter().any(|event| {
                    event["object"]["metadata"]["name"] == *name
                        && version(&event["object"]) == version(&now)
                })
        });
        is_complete.then_some(events)
    }

    fn events(&self, namespace: &Namespace, path: &str) -> Vec<Value> {
        let query = format!("watch=1&timeoutSeconds=1&resourceVersion={}", self.since);
        let found = namespace.cluster().api().get(&format!("{path}?{query}"));
        let events: Vec<Value> = match found.expect("a watch") {
            // Several documents are no document.
            Value::String(text) => text
                .lines()
                .map(|line| serde_json::from_str(line).expect("an event is JSON"))
                .collect(),
            one => vec![one],
        };
        for event in &events {
            assert_ne!(event["type"], "ERROR", "the server forgot too soon: {event:#}");
        }
        events
    }
}

fn word(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn version(object: &Value) -> u64 {
    word(object, "/metadata/resourceVersion").parse().expect("a number")
}
