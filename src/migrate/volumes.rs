//! New volumes in a plan: of which class and size, and whether the storage can
//! make them as the mode asks. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    journal::{ANNOTATION, Copying, Disk, Mode},
    object::{entries, label, name, text},
    rules,
};
use crate::{
    output::Error,
    workload::{Finding, SNAPSHOT_GROUP, Snapshots, bytes, snapshot_of},
};

/// What was asked for about new volumes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filling {
    pub class: Option<String>,
    /// The size of all new claims, where none of their own is asked for.
    pub size: Option<String>,
    /// Sizes by volume of the pod.
    pub sizes: BTreeMap<String, String>,
    pub access_mode: Option<String>,
    pub copying: Option<Copying>,
    pub snapshot_class: Option<String>,
}

/// What the cluster can make; `None` for what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    pub classes: Option<Vec<Value>>,
    pub snapshots: Snapshots,
}

const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

impl Filling {
    /// The size that a volume of the pod was asked to have.
    pub fn size_of(&self, volume: &str) -> Option<&str> {
        self.sizes.get(volume).or(self.size.as_ref()).map(String::as_str)
    }

    /// Puts what was asked for into the spec of a claim or a template.
    pub fn shape(&self, spec: &mut Value, volume: &str) {
        if let Some(class) = &self.class {
            spec["storageClassName"] = json!(class);
        }
        if let Some(size) = self.size_of(volume) {
            spec["resources"]["requests"]["storage"] = json!(size);
            // A limit below it would be refused.
            if let Some(resources) = spec["resources"].as_object_mut() {
                resources.shift_remove("limits");
            }
        }
        if let Some(mode) = &self.access_mode {
            spec["accessModes"] = json!([mode]);
        }
    }

    /// # Errors
    /// When a size was asked for a volume that does not move.
    pub fn known(&self, disks: &[Disk]) -> Result<(), Error> {
        let moved: BTreeSet<&str> = disks.iter().map(|disk| disk.volume.as_str()).collect();
        match self.sizes.keys().find(|volume| !moved.contains(volume.as_str())) {
            Some(volume) if !moved.is_empty() => {
                let moved: Vec<&str> = moved.into_iter().collect();
                Err(Error::usage(format!("--size: no volume {volume} gets a new claim"))
                    .hint(format!("these do: {}", moved.join(", "))))
            }
            _ => Ok(()),
        }
    }
}

/// What becomes of one claim, beside its new name.
#[derive(Debug)]
pub struct Shaped {
    pub claim: Value,
    pub waits_for_pod: bool,
    pub snapshot: Option<Value>,
    pub findings: Vec<Finding>,
}

/// The new claim for a volume of its own. `made` is the old one under its new
/// name.
pub fn shape(
    offer: &Offer,
    filling: &Filling,
    mode: Mode,
    volume: &str,
    (made, old, pv): (Value, &Value, &Value),
    (op, set): (&str, &str),
) -> Shaped {
    let mut claim = made;
    let class = text(old, "/spec/storageClassName").or_else(|| text(pv, "/spec/storageClassName"));
    let spec = &mut claim["spec"];
    spec["storageClassName"] = json!(class.unwrap_or_default());
    if let Some(fields) = spec.as_object_mut() {
        fields.shift_remove("volumeName");
    }
    let has = text(pv, "/spec/capacity/storage").unwrap_or_default();
    let wants = text(spec, "/resources/requests/storage").unwrap_or_default();
    // The storage gives no less than the volume has.
    if mode != Mode::Copy && bytes(has) > bytes(wants) {
        spec["resources"]["requests"]["storage"] = json!(has);
    }
    filling.shape(spec, volume);
    let wanted = text(spec, "/storageClassName").unwrap_or_default().to_owned();
    let class = offer.classes.iter().flatten().find(|class| name(class) == wanted);
    let waits =
        class.is_none_or(|class| text(class, "/volumeBindingMode") == Some("WaitForFirstConsumer"));
    let mut shaped = Shaped { claim, waits_for_pod: waits, snapshot: None, findings: Vec::new() };
    let on = label(old);
    let mut say = |finding: Finding| shaped.findings.push(finding);
    if offer.classes.is_some() && class.is_none() {
        let message = format!("there is no storage class {wanted:?}: nothing would make a volume");
        say(rules::CLASS_UNKNOWN.found(on.clone(), message));
    }
    let csi = || driver(pv);
    match mode {
        Mode::Rebind | Mode::Keep => {}
        Mode::Copy => {
            if text(old, "/spec/volumeMode") == Some("Block") {
                let message = format!("claim {} is a block device: rsync copies files", name(old));
                say(rules::NO_COPY.found(on, message));
            }
        }
        Mode::Clone => {
            let why = csi().and_then(|driver| clones(driver, class, &wanted, &shaped.claim, has));
            if let Err(why) = why {
                let message = format!("claim {} cannot be cloned: {why}", name(old));
                shaped.findings.push(rules::NO_CLONE.found(on, message));
            }
            shaped.claim["spec"]["dataSource"] =
                json!({ "kind": "PersistentVolumeClaim", "name": name(old) });
        }
        Mode::Snapshot => match snapshot_class(offer, filling, pv) {
            Ok(class) => {
                let called = format!("{set}-from-{}", name(old));
                shaped.claim["spec"]["dataSource"] = json!({
                    "apiGroup": SNAPSHOT_GROUP, "kind": "VolumeSnapshot", "name": called,
                });
                let namespace = text(old, "/metadata/namespace").unwrap_or_default();
                let mut snapshot = snapshot_of(name(old), namespace, &called, &class);
                snapshot["metadata"]["annotations"] = json!({ ANNOTATION: op });
                shaped.snapshot = Some(snapshot);
            }
            Err(why) => {
                let message = format!("claim {} cannot be snapshotted: {why}", name(old));
                shaped.findings.push(rules::NO_SNAPSHOT.found(on, message));
            }
        },
    }
    shaped
}

/// The CSI driver of a volume, or why it has none.
fn driver(pv: &Value) -> Result<&str, String> {
    if let Some(driver) = text(pv, "/spec/csi/driver") {
        return Ok(driver);
    }
    // What is no field of every volume is its kind.
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
    Err(format!("{} is a {} volume, not one of a CSI driver", name(pv), kind.unwrap_or("unknown")))
}

/// Why a driver cannot clone into a claim of this class.
fn clones(
    driver: &str,
    class: Option<&Value>,
    wanted: &str,
    claim: &Value,
    has: &str,
) -> Result<(), String> {
    let Some(class) = class else {
        return Err(format!("nothing is known of storage class {wanted:?}"));
    };
    let provisioner = text(class, "/provisioner").unwrap_or_default();
    if provisioner == NO_PROVISIONER {
        return Err(format!("class {wanted} makes no volumes"));
    }
    if provisioner != driver {
        return Err(format!("class {wanted} is of {provisioner}, and the volume of {driver}"));
    }
    let wants = text(claim, "/spec/resources/requests/storage").unwrap_or_default();
    if bytes(wants) < bytes(has) {
        return Err(format!("a clone of {wants} is smaller than the {has} of the volume"));
    }
    Ok(())
}

/// The class by which a volume is taken, or why it cannot be: the application
/// stands still while its snapshot is made, so it has to be known before.
fn snapshot_class(offer: &Offer, filling: &Filling, pv: &Value) -> Result<String, String> {
    let driver = driver(pv)?;
    let class = match &filling.snapshot_class {
        None => offer.snapshots.of_driver(driver)?,
        Some(wanted) => {
            let class = offer.snapshots.named(wanted)?;
            let class = class.ok_or("the VolumeSnapshotClasses cannot be read")?;
            class.takes(name(pv), Some(driver))?;
            class
        }
    };
    Ok(class.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SnapshotClass;

    const DRIVER: &str = "csi.example.com";

    fn shaped(mode: Mode, filling: &Filling, pv: &Value, offer: &Offer) -> Shaped {
        let old = json!({
            "kind": "PersistentVolumeClaim", "metadata": { "name": "old", "namespace": "shop" },
            "spec": {
                "storageClassName": "fast", "volumeName": "pv",
                "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        shape(offer, filling, mode, "data", (old.clone(), &old, pv), ("op", "db"))
    }

    fn offer() -> Offer {
        let class = |name: &str, provisioner: &str| json!({ "metadata": { "name": name }, "provisioner": provisioner });
        Offer {
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

    fn why(shaped: &Shaped) -> String {
        let said =
            shaped.findings.iter().map(|finding| format!("{} {}", finding.id, finding.message));
        said.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_claim_of_its_own_is_as_the_old_one_where_nothing_else_is_asked_for() {
        let plain = shaped(Mode::Copy, &Filling::default(), &pv("hostPath"), &offer());
        assert_eq!(why(&plain), "");
        let spec = &plain.claim["spec"];
        assert!(spec.get("volumeName").is_none(), "{spec}");
        assert_eq!(spec["storageClassName"], "fast");
        assert_eq!(spec["resources"]["requests"]["storage"], "1Gi");
        let filling = Filling {
            class: Some("other".to_owned()),
            size: Some("5Gi".to_owned()),
            sizes: [("data".to_owned(), "7Gi".to_owned())].into(),
            access_mode: Some("ReadWriteOnce".to_owned()),
            ..Filling::default()
        };
        let asked = shaped(Mode::Copy, &filling, &pv("hostPath"), &offer());
        let spec = &asked.claim["spec"];
        assert_eq!(spec["storageClassName"], "other");
        assert_eq!(spec["resources"]["requests"]["storage"], "7Gi");
        assert_eq!(spec["accessModes"], json!(["ReadWriteOnce"]));
    }

    #[test]
    fn a_clone_is_refused_with_the_reason() {
        let clone = |class: Option<&str>, size: Option<&str>, kind: &str| {
            let own = |word: Option<&str>| word.map(str::to_owned);
            let filling = Filling { class: own(class), size: own(size), ..Filling::default() };
            shaped(Mode::Clone, &filling, &pv(kind), &offer())
        };
        let fits = clone(None, None, "csi");
        assert_eq!(why(&fits), "");
        assert_eq!(fits.claim["spec"]["resources"]["requests"]["storage"], "2Gi");
        assert_eq!(fits.claim["spec"]["dataSource"]["name"], "old");
        for (class, size, kind, wanted) in [
            (None, None, "hostPath", "pv is a hostPath volume"),
            (None, None, "gcePersistentDisk", "pv is a gcePersistentDisk volume"),
            (Some("other"), None, "csi", "class other is of csi.other.com"),
            (Some("by-hand"), None, "csi", "class by-hand makes no volumes"),
            (None, Some("1Gi"), "csi", "a clone of 1Gi is smaller than the 2Gi of the volume"),
        ] {
            let said = why(&clone(class, size, kind));
            assert!(said.starts_with("MIGRATE-NO-CLONE") && said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn a_snapshot_is_of_the_class_of_the_driver() {
        let snapshot = |offer: &Offer, class: Option<&str>| {
            let filling =
                Filling { snapshot_class: class.map(str::to_owned), ..Filling::default() };
            shaped(Mode::Snapshot, &filling, &pv("csi"), offer)
        };
        let fits = snapshot(&offer(), None);
        let made = fits.snapshot.as_ref().expect("a snapshot");
        assert_eq!(made["spec"]["volumeSnapshotClassName"], "snap");
        assert_eq!(fits.claim["spec"]["dataSource"]["name"], made["metadata"]["name"]);
        let without = Offer { snapshots: Snapshots::Absent, ..offer() };
        assert!(why(&snapshot(&without, None)).contains("has no snapshot.storage.k8s.io"));
        let unread = Offer { snapshots: Snapshots::Unknown, ..offer() };
        assert!(why(&snapshot(&unread, None)).contains("cannot be read"));
        let none = Offer { snapshots: Snapshots::Classes(Vec::new()), ..offer() };
        assert!(
            why(&snapshot(&none, None)).contains("no VolumeSnapshotClass is of csi.example.com")
        );
        assert!(
            why(&snapshot(&offer(), Some("no"))).contains("there is no VolumeSnapshotClass no")
        );
    }

    #[test]
    fn a_class_that_is_not_there_makes_no_volume() {
        let filling = Filling { class: Some("gone".to_owned()), ..Filling::default() };
        let said = why(&shaped(Mode::Copy, &filling, &pv("csi"), &offer()));
        assert!(said.starts_with("MIGRATE-CLASS-UNKNOWN"), "{said}");
        let unread = Offer::default();
        assert_eq!(why(&shaped(Mode::Copy, &filling, &pv("csi"), &unread)), "");
    }
}
