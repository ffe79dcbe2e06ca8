//! The disk behind a volume, and what other people do to claims, volumes and
//! sets while a command runs. What a command says of a disk is held against the
//! disk itself: the provisioner of the test cluster makes directories, and
//! removes them with everything in them.

use std::{fs, path::PathBuf, time::Duration};

use http::Method;
use serde_json::{Value, json};

use super::{Namespace, wait_for};

const SOON: Duration = Duration::from_secs(60);

/// The disk behind the volume of a claim, with something written on it.
#[derive(Clone, Debug)]
pub struct Disk {
    pub volume: String,
    path: PathBuf,
    written: String,
}

impl Disk {
    /// Waits until the claim is bound, and writes to its disk.
    #[track_caller]
    pub fn of_claim(namespace: &Namespace, claim: &str) -> Disk {
        let volume = wait_for(SOON, &format!("claim {claim} to be bound"), || {
            let found = namespace.get("v1", "persistentvolumeclaims", claim)?;
            let is_bound = found["status"]["phase"] == "Bound";
            is_bound.then(|| found["spec"]["volumeName"].as_str().expect("a volume").to_owned())
        });
        let found = volume_named(namespace, &volume).expect("the volume of a bound claim");
        let path = found["spec"]["hostPath"]["path"].as_str().expect("a directory");
        let disk = Disk { path: path.into(), written: format!("{claim} on {volume}"), volume };
        fs::write(disk.file(), &disk.written).expect("the disk can be written to");
        disk
    }

    fn file(&self) -> PathBuf {
        self.path.join("row")
    }

    /// Whether what was written is still on it.
    pub fn is_whole(&self) -> bool {
        fs::read_to_string(self.file()).is_ok_and(|text| text == self.written)
    }

    /// Its volume, if that exists.
    pub fn volume(&self, namespace: &Namespace) -> Option<Value> {
        volume_named(namespace, &self.volume)
    }

    /// Waits until the provisioner has nothing left to do with it: it is gone, or
    /// its volume belongs to a claim that stays, or is kept.
    #[track_caller]
    pub fn settles(&self, namespace: &Namespace) {
        wait_for(SOON, &format!("volume {} to be at rest", self.volume), || {
            let Some(volume) = self.volume(namespace) else { return Some(()) };
            let claim = volume["spec"]["claimRef"]["name"].as_str().unwrap_or_default();
            let holder = namespace
                .get("v1", "persistentvolumeclaims", claim)
                .filter(|claim| claim["metadata"]["uid"] == volume["spec"]["claimRef"]["uid"]);
            let is_leaving = |object: &Value| object["metadata"]["deletionTimestamp"].is_string();
            let at_rest = match holder {
                Some(claim) => !is_leaving(&claim) && volume["status"]["phase"] == "Bound",
                None => {
                    !is_leaving(&volume)
                        && volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
                        && volume["status"]["phase"] != "Bound"
                }
            };
            at_rest.then_some(())
        });
    }
}

fn volume_named(namespace: &Namespace, name: &str) -> Option<Value> {
    namespace.cluster().api().get(&format!("/api/v1/persistentvolumes/{name}"))
}

/// What somebody else does, with kubectl's means and without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// `kubectl delete pvc --wait=false`
    DeleteClaim,
    /// The usual advice for a claim that does not go.
    StripClaim,
    /// Deleted, and made again under the same name.
    RemakeClaim,
    DeleteVolume,
    PolicyDelete,
    PolicyRetain,
    DeletePod,
    ScaleTo(u32),
    /// `kubectl apply` of a manifest with `whenScaled: Delete`.
    WhenScaledDelete,
    DeleteSet,
}

/// The set, the ordinal and the disk that somebody meddles with.
pub struct Meddled<'a> {
    pub namespace: &'a Namespace<'a>,
    pub set: &'a str,
    /// The claim and its pod.
    pub claim: &'a str,
    pub pod: &'a str,
    pub disk: &'a Disk,
}

impl Meddling {
    pub const OF_CLAIMS: [Meddling; 9] = [
        Meddling::DeleteClaim,
        Meddling::StripClaim,
        Meddling::RemakeClaim,
        Meddling::DeleteVolume,
        Meddling::PolicyDelete,
        Meddling::PolicyRetain,
        Meddling::DeletePod,
        Meddling::ScaleTo(2),
        Meddling::ScaleTo(1),
    ];

    /// Does it. What is not there any more is left alone.
    pub fn to(self, what: &Meddled<'_>) {
        let Meddled { namespace, set, claim, pod, disk } = what;
        let api = namespace.cluster().api();
        let claims = namespace.path("v1", "persistentvolumeclaims", "");
        let claim_path = format!("{claims}/{claim}");
        let pv = format!("/api/v1/persistentvolumes/{}", disk.volume);
        let set_path = namespace.path("apps/v1", "statefulsets", set);
        let patch = |path: &str, patch: &Value| {
            api.request(Method::PATCH, path, Some(patch), "application/merge-patch+json");
        };
        let strip = json!({"metadata": {"finalizers": null}});
        match self {
            Meddling::DeleteClaim => api.delete(&claim_path),
            Meddling::StripClaim => patch(&claim_path, &strip),
            Meddling::RemakeClaim => {
                let Some(found) = api.get(&claim_path) else { return };
                api.delete(&claim_path);
                patch(&claim_path, &strip);
                let (metadata, spec) = (&found["metadata"], &found["spec"]);
                let again = json!({
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                    "metadata": {"name": claim, "labels": metadata["labels"]},
                    "spec": {
                        "accessModes": spec["accessModes"], "resources": spec["resources"],
                        "storageClassName": spec["storageClassName"],
                    },
                });
                api.request(Method::POST, &claims, Some(&again), "application/json");
            }
            Meddling::DeleteVolume => api.delete(&pv),
            Meddling::PolicyDelete | Meddling::PolicyRetain => {
                let to = if self == Meddling::PolicyDelete { "Delete" } else { "Retain" };
                patch(&pv, &json!({"spec": {"persistentVolumeReclaimPolicy": to}}));
            }
            Meddling::DeletePod => api.delete(&namespace.path("v1", "pods", pod)),
            Meddling::ScaleTo(replicas) => {
                patch(&set_path, &json!({"spec": {"replicas": replicas}}));
            }
            Meddling::WhenScaledDelete => {
                let policy = json!({"whenScaled": "Delete"});
                let spec = json!({"persistentVolumeClaimRetentionPolicy": policy});
                patch(&set_path, &json!({"spec": spec}));
            }
            Meddling::DeleteSet => api.delete(&set_path),
        }
    }
}
