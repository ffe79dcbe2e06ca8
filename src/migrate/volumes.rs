//! New volumes in a plan: their class and size, and whether the storage can
//! create them in the way that the mode asks for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    journal::{ANNOTATION, Copying, Disk, Mode, Tag},
    rules,
};
use crate::{
    output::Error,
    workload::{
        Finding, SNAPSHOT_GROUP, Snapshots, bytes,
        raw::{annotation, entries, kind_and_name, name, text},
        snapshot_of,
    },
};

/// The flags about new volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewVolumes {
    pub class: Option<String>,
    /// The size of the new claims that are not in `sizes`.
    pub size: Option<String>,
    /// Sizes, by volume of the pod.
    pub sizes: BTreeMap<String, String>,
    pub access_mode: Option<String>,
    pub copying: Option<Copying>,
    pub snapshot_class: Option<String>,
}

/// What the storage of the cluster can create; `None` for what could not be read.
#[derive(Clone, Debug, Default)]
pub struct ClusterStorage {
    pub classes: Option<Vec<Value>>,
    pub snapshots: Snapshots,
}

const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

impl NewVolumes {
    /// The size that was asked for, for a volume of the pod.
    pub fn size_of(&self, volume: &str) -> Option<&str> {
        self.sizes.get(volume).or(self.size.as_ref()).map(String::as_str)
    }

    /// Writes the flags into the spec of a claim or a template.
    pub fn apply_to(&self, spec: &mut Value, volume: &str) {
        if let Some(class) = &self.class {
            spec["storageClassName"] = json!(class);
        }
        if let Some(size) = self.size_of(volume) {
            spec["resources"]["requests"]["storage"] = json!(size);
            // The server refuses a limit below the request.
            if let Some(resources) = spec["resources"].as_object_mut() {
                resources.shift_remove("limits");
            }
        }
        if let Some(mode) = &self.access_mode {
            spec["accessModes"] = json!([mode]);
        }
    }

    /// Checks the volumes that `--size` names.
    ///
    /// # Errors
    /// When one of them gets no new claim.
    pub fn check_sizes(&self, disks: &[Disk]) -> Result<(), Error> {
        let moved: BTreeSet<&str> = disks.iter().map(|disk| disk.volume.as_str()).collect();
        match self.sizes.keys().find(|volume| !moved.contains(volume.as_str())) {
            Some(volume) if !moved.is_empty() => {
                let moved: Vec<&str> = moved.into_iter().collect();
                Err(Error::usage(format!("--size: no volume {volume} gets a new claim"))
                    .hint(format!("volumes that get one: {}", moved.join(", "))))
            }
            _ => Ok(()),
        }
    }
}

/// A new claim, and how its volume is created.
#[derive(Debug)]
pub struct NewClaim {
    pub claim: Value,
    pub waits_for_pod: bool,
    pub snapshot: Option<Value>,
    pub findings: Vec<Finding>,
}

/// The new claim for a new volume. `made` is the old claim under its new name.
pub fn new_claim(
    storage: &ClusterStorage,
    new_volumes: &NewVolumes,
    mode: Mode,
    volume: &str,
    (made, old, pv): (Value, &Value, &Value),
    (op, set): (&str, &str),
) -> NewClaim {
    let mut claim = made;
    let class = text(old, "/spec/storageClassName").or_else(|| text(pv, "/spec/storageClassName"));
    let spec = &mut claim["spec"];
    spec["storageClassName"] = json!(class.unwrap_or_default());
    if let Some(fields) = spec.as_object_mut() {
        fields.shift_remove("volumeName");
    }
    let has = text(pv, "/spec/capacity/storage").unwrap_or_default();
    let wants = text(spec, "/resources/requests/storage").unwrap_or_default();
    // A clone or a snapshot cannot be smaller than the volume.
    if mode != Mode::Copy && bytes(has) > bytes(wants) {
        spec["resources"]["requests"]["storage"] = json!(has);
    }
    new_volumes.apply_to(spec, volume);
    let wanted = text(spec, "/storageClassName").unwrap_or_default().to_owned();
    let class = storage.classes.iter().flatten().find(|class| name(class) == wanted);
    let waits =
        class.is_none_or(|class| text(class, "/volumeBindingMode") == Some("WaitForFirstConsumer"));
    let mut new = NewClaim { claim, waits_for_pod: waits, snapshot: None, findings: Vec::new() };
    let on = kind_and_name(old);
    let mut say = |finding: Finding| new.findings.push(finding);
    if storage.classes.is_some() && class.is_none() {
        let message =
            format!("there is no storage class {wanted:?}: nothing would create a volume");
        say(rules::CLASS_UNKNOWN.found(on.clone(), message));
    }
    let csi = || driver(pv);
    match mode {
        Mode::Rebind | Mode::Keep => {}
        Mode::Copy => {
            if text(old, "/spec/volumeMode") == Some("Block") {
                let message =
                    format!("claim {} is a block device, and rsync copies files", name(old));
                say(rules::NO_COPY.found(on, message));
            }
        }
        Mode::Clone => {
            let why = csi().and_then(|driver| check_clone(driver, class, &wanted, &new.claim, has));
            if let Err(why) = why {
                let message = format!("claim {} cannot be cloned: {why}", name(old));
                new.findings.push(rules::NO_CLONE.found(on, message));
            }
            new.claim["spec"]["dataSource"] =
                json!({ "kind": "PersistentVolumeClaim", "name": name(old) });
        }
        Mode::Snapshot => match snapshot_class(storage, new_volumes, pv) {
            Ok(class) => {
                let called = format!("{set}-from-{}", name(old));
                new.claim["spec"]["dataSource"] = json!({
                    "apiGroup": SNAPSHOT_GROUP, "kind": "VolumeSnapshot", "name": called,
                });
                let namespace = text(old, "/metadata/namespace").unwrap_or_default();
                let mut snapshot = snapshot_of(name(old), namespace, &called, &class);
                snapshot["metadata"]["annotations"] = json!({ ANNOTATION: op });
                new.snapshot = Some(snapshot);
            }
            Err(why) => {
                let message = format!("claim {} cannot be snapshotted: {why}", name(old));
                new.findings.push(rules::NO_SNAPSHOT.found(on, message));
            }
        },
    }
    new
}

/// The CSI driver of a volume, or why it has none.
fn driver(pv: &Value) -> Result<&str, String> {
    if let Some(driver) = text(pv, "/spec/csi/driver") {
        return Ok(driver);
    }
    // The field that only some volumes have is the kind of the volume.
    let common = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ];
    let kind = entries(pv, "/spec").map(|(key, _)| key.as_str()).find(|key| !common.contains(key));
    Err(format!("{} is a {} volume, not a CSI volume", name(pv), kind.unwrap_or("unknown")))
}

/// Whether a driver can clone into a claim of this class, or why not.
fn check_clone(
    driver: &str,
    class: Option<&Value>,
    wanted: &str,
    claim: &Value,
    has: &str,
) -> Result<(), String> {
    let Some(class) = class else {
        return Err(format!("storage class {wanted:?} is not known"));
    };
    let provisioner = text(class, "/provisioner").unwrap_or_default();
    if provisioner == NO_PROVISIONER {
        return Err(format!("class {wanted} does not provision volumes"));
    }
    if provisioner != driver {
        return Err(format!(
            "class {wanted} uses driver {provisioner}, and the volume uses {driver}"
        ));
    }
    let wants = text(claim, "/spec/resources/requests/storage").unwrap_or_default();
    if bytes(wants) < bytes(has) {
        return Err(format!("a clone of {wants} would be smaller than the volume ({has})"));
    }
    Ok(())
}

/// The snapshot class for a volume, or why there is none. It is checked in the
/// plan, because the application is stopped while the snapshot is taken.
fn snapshot_class(
    storage: &ClusterStorage,
    new_volumes: &NewVolumes,
    pv: &Value,
) -> Result<String, String> {
    let driver = driver(pv)?;
    let class = match &new_volumes.snapshot_class {
        None => storage.snapshots.of_driver(driver)?,
        Some(wanted) => {
            let class = storage.snapshots.named(wanted)?;
            let class = class.ok_or("the VolumeSnapshotClasses cannot be read")?;
            class.takes(name(pv), Some(driver))?;
            class
        }
    };
    Ok(class.name.clone())
}

/// The finding that a volume has the mark of a migration or a recovery.
pub fn in_hand(volume: &Value, flags: &str) -> Option<Finding> {
    annotation(volume, ANNOTATION)?;
    let called = name(volume);
    let look = format!("kubectl get persistentvolume {called} -o yaml{flags}");
    let (whose, hint) = match Tag::of(volume) {
        Some(tag) if tag.scaled_set().is_some() => {
            let set = tag.set();
            let Tag { old, new, namespace, .. } = &tag;
            let whose =
                format!("of a scaling of {set}, which sets claim {} aside as {new}", old.name);
            (whose, format!("kubectl stateful scale {set} --abort -n {namespace}{flags}"))
        }
        Some(tag) => {
            let Tag { journal, namespace, new, .. } = &tag;
            let whose = format!(
                "of a migration to claim {new} in namespace {namespace}, and names {journal} as its \
                 journal"
            );
            let set = tag.set();
            (whose, format!("kubectl stateful migrate status sts/{set} -n {namespace}{flags}"))
        }
        None => ("of this program, which cannot be read".to_owned(), look),
    };
    let message = format!("volume {called} has the mark {whose}");
    Some(rules::UNDER_WAY.found(format!("persistentvolume/{called}"), message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SnapshotClass;

    const DRIVER: &str = "csi.example.com";

    fn shaped(
        mode: Mode,
        new_volumes: &NewVolumes,
        pv: &Value,
        storage: &ClusterStorage,
    ) -> NewClaim {
        let old = json!({
            "kind": "PersistentVolumeClaim", "metadata": { "name": "old", "namespace": "shop" },
            "spec": {
                "storageClassName": "fast", "volumeName": "pv",
                "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        new_claim(storage, new_volumes, mode, "data", (old.clone(), &old, pv), ("op", "db"))
    }

    fn storage() -> ClusterStorage {
        let class = |name: &str, provisioner: &str| json!({ "metadata": { "name": name }, "provisioner": provisioner });
        ClusterStorage {
            classes: Some(vec![
                class("fast", DRIVER),
                class("other", "csi.other.com"),
                class("by-hand", NO_PROVISIONER),
            ]),
            snapshots: Snapshots::Classes(vec![SnapshotClass {
                name: "snap".to_owned(),
                driver: DRIVER.to_owned(),
                deletes: false,
                is_default: false,
            }]),
        }
    }

    fn pv(kind: &str) -> Value {
        let mut pv = json!({
            "metadata": { "name": "pv" },
            "spec": { "capacity": { "storage": "2Gi" }, "accessModes": [] },
        });
        pv["spec"][kind] = json!({ "driver": DRIVER });
        pv
    }

    fn why(shaped: &NewClaim) -> String {
        let said =
            shaped.findings.iter().map(|finding| format!("{} {}", finding.id, finding.message));
        said.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_claim_of_its_own_is_as_the_old_one_where_nothing_else_is_asked_for() {
        let plain = shaped(Mode::Copy, &NewVolumes::default(), &pv("hostPath"), &storage());
        assert_eq!(why(&plain), "");
        let spec = &plain.claim["spec"];
        assert!(spec.get("volumeName").is_none(), "{spec}");
        assert_eq!(spec["storageClassName"], "fast");
        assert_eq!(spec["resources"]["requests"]["storage"], "1Gi");
        let new_volumes = NewVolumes {
            class: Some("other".to_owned()),
            size: Some("5Gi".to_owned()),
            sizes: [("data".to_owned(), "7Gi".to_owned())].into(),
            access_mode: Some("ReadWriteOnce".to_owned()),
            ..NewVolumes::default()
        };
        let asked = shaped(Mode::Copy, &new_volumes, &pv("hostPath"), &storage());
        let spec = &asked.claim["spec"];
        assert_eq!(spec["storageClassName"], "other");
        assert_eq!(spec["resources"]["requests"]["storage"], "7Gi");
        assert_eq!(spec["accessModes"], json!(["ReadWriteOnce"]));
    }

    #[test]
    fn a_clone_is_refused_with_the_reason() {
        let clone = |class: Option<&str>, size: Option<&str>, kind: &str| {
            let own = |word: Option<&str>| word.map(str::to_owned);
            let new_volumes =
                NewVolumes { class: own(class), size: own(size), ..NewVolumes::default() };
            shaped(Mode::Clone, &new_volumes, &pv(kind), &storage())
        };
        let fits = clone(None, None, "csi");
        assert_eq!(why(&fits), "");
        assert_eq!(fits.claim["spec"]["resources"]["requests"]["storage"], "2Gi");
        assert_eq!(fits.claim["spec"]["dataSource"]["name"], "old");
        for (class, size, kind, wanted) in [
            (None, None, "hostPath", "pv is a hostPath volume"),
            (None, None, "gcePersistentDisk", "pv is a gcePersistentDisk volume"),
            (Some("other"), None, "csi", "class other uses driver csi.other.com"),
            (Some("by-hand"), None, "csi", "class by-hand does not provision volumes"),
            (None, Some("1Gi"), "csi", "a clone of 1Gi would be smaller than the volume (2Gi)"),
        ] {
            let said = why(&clone(class, size, kind));
            assert!(said.starts_with("MIGRATE-NO-CLONE") && said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn a_snapshot_is_of_the_class_of_the_driver() {
        let snapshot = |storage: &ClusterStorage, class: Option<&str>| {
            let new_volumes =
                NewVolumes { snapshot_class: class.map(str::to_owned), ..NewVolumes::default() };
            shaped(Mode::Snapshot, &new_volumes, &pv("csi"), storage)
        };
        let fits = snapshot(&storage(), None);
        let made = fits.snapshot.as_ref().expect("a snapshot");
        assert_eq!(made["spec"]["volumeSnapshotClassName"], "snap");
        assert_eq!(fits.claim["spec"]["dataSource"]["name"], made["metadata"]["name"]);
        let without = ClusterStorage { snapshots: Snapshots::Absent, ..storage() };
        assert!(why(&snapshot(&without, None)).contains("has no snapshot.storage.k8s.io"));
        let unread = ClusterStorage { snapshots: Snapshots::Unknown, ..storage() };
        assert!(why(&snapshot(&unread, None)).contains("cannot be read"));
        let none = ClusterStorage { snapshots: Snapshots::Classes(Vec::new()), ..storage() };
        assert!(
            why(&snapshot(&none, None))
                .contains("no VolumeSnapshotClass is for the driver csi.example.com")
        );
        assert!(
            why(&snapshot(&storage(), Some("no"))).contains("there is no VolumeSnapshotClass no")
        );
    }

    #[test]
    fn a_class_that_is_not_there_makes_no_volume() {
        let new_volumes = NewVolumes { class: Some("gone".to_owned()), ..NewVolumes::default() };
        let said = why(&shaped(Mode::Copy, &new_volumes, &pv("csi"), &storage()));
        assert!(said.starts_with("MIGRATE-CLASS-UNKNOWN"), "{said}");
        let unread = ClusterStorage::default();
        assert_eq!(why(&shaped(Mode::Copy, &new_volumes, &pv("csi"), &unread)), "");
    }
}
