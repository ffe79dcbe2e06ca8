//! Volume snapshots: classes, and the state of a snapshot.

use serde_json::{Value, json};

/// The API group of the snapshot controller.
pub const SNAPSHOT_GROUP: &str = "snapshot.storage.k8s.io";

/// Whether the cluster supports snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Snapshots {
    /// The server does not serve them.
    #[default]
    Absent,
    Classes(Vec<SnapshotClass>),
    /// It does, but we may not read the classes.
    Unknown,
}

/// A VolumeSnapshotClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotClass {
    pub name: String,
    pub driver: String,
    /// Whether deleting a VolumeSnapshot deletes the data of the snapshot.
    pub deletes: bool,
    pub is_default: bool,
}

impl Snapshots {
    /// The class with this name; `None` if the classes are unknown.
    ///
    /// # Errors
    /// Why a snapshot with this class is not possible.
    pub fn named(&self, wanted: &str) -> Result<Option<&SnapshotClass>, String> {
        let classes = match self {
            Snapshots::Absent => return Err(not_served()),
            Snapshots::Unknown => return Ok(None),
            Snapshots::Classes(classes) => classes,
        };
        let found = classes.iter().find(|class| class.name == wanted);
        found.map(Some).ok_or_else(|| {
            let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            format!("there is no VolumeSnapshotClass {wanted}; available: {names}")
        })
    }

    /// The class to use for volumes of this driver, when the user names none.
    ///
    /// # Errors
    /// Why there is no such class.
    pub fn of_driver(&self, driver: &str) -> Result<&SnapshotClass, String> {
        let classes = match self {
            Snapshots::Absent => return Err(not_served()),
            Snapshots::Unknown => {
                return Err("the VolumeSnapshotClasses cannot be read".to_owned());
            }
            Snapshots::Classes(classes) => classes,
        };
        let fit: Vec<&SnapshotClass> =
            classes.iter().filter(|class| class.driver == driver).collect();
        match (fit.iter().find(|class| class.is_default), fit.as_slice()) {
            (Some(class), _) | (None, [class]) => Ok(class),
            (None, []) => Err(format!("no VolumeSnapshotClass is for the driver {driver}")),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|class| class.name.as_str()).collect();
                Err(format!("choose one of the VolumeSnapshotClasses {}", names.join(", ")))
            }
        }
    }
}

impl SnapshotClass {
    /// Checks that the class can take snapshots of a volume: it must be of the
    /// same CSI driver.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn takes(&self, volume: &str, driver: Option<&str>) -> Result<(), String> {
        match driver {
            Some(driver) if driver == self.driver => Ok(()),
            Some(driver) => Err(format!(
                "VolumeSnapshotClass {} is for the driver {}, but volume {volume} is of {driver}",
                self.name, self.driver
            )),
            None => Err(format!("volume {volume} is not of a CSI driver")),
        }
    }
}

/// The manifest of a VolumeSnapshot of a claim.
pub fn snapshot_of(claim: &str, namespace: &str, name: &str, class: &str) -> Value {
    json!({
        "apiVersion": format!("{SNAPSHOT_GROUP}/v1"), "kind": "VolumeSnapshot",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "volumeSnapshotClassName": class,
            "source": { "persistentVolumeClaimName": claim },
        },
    })
}

/// Whether a snapshot is ready, or the error from its driver. The error may be
/// temporary: the controller retries.
pub fn snapshot_state(found: &Value) -> Result<bool, &str> {
    if found.pointer("/status/readyToUse") == Some(&Value::Bool(true)) {
        return Ok(true);
    }
    let error = found.pointer("/status/error/message").and_then(Value::as_str);
    error.map_or(Ok(false), Err)
}

fn not_served() -> String {
    format!("the server has no {SNAPSHOT_GROUP}/v1 VolumeSnapshotClass")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, driver: &str, is_default: bool) -> SnapshotClass {
        SnapshotClass {
            name: name.to_owned(),
            driver: driver.to_owned(),
            deletes: false,
            is_default,
        }
    }

    #[test]
    fn a_class_is_found_by_its_name() {
        let both = Snapshots::Classes(vec![class("a", "x", false), class("b", "y", false)]);
        assert_eq!(both.named("b").unwrap().unwrap().driver, "y");
        let why = both.named("c").unwrap_err();
        assert_eq!(why, "there is no VolumeSnapshotClass c; available: a, b");
        assert!(
            Snapshots::Classes(Vec::new()).named("c").unwrap_err().ends_with("available: none")
        );
        assert!(Snapshots::Absent.named("a").unwrap_err().contains("has no snapshot.storage"));
        assert_eq!(Snapshots::Unknown.named("a"), Ok(None));
    }

    #[test]
    fn a_class_is_found_by_the_driver() {
        let classes = |default| {
            Snapshots::Classes(vec![
                class("a", "x", false),
                class("b", "x", default),
                class("c", "y", true),
            ])
        };
        assert_eq!(classes(true).of_driver("x").unwrap().name, "b");
        assert_eq!(classes(false).of_driver("y").unwrap().name, "c");
        let why = classes(false).of_driver("x").unwrap_err();
        assert_eq!(why, "choose one of the VolumeSnapshotClasses a, b");
        assert!(classes(false).of_driver("z").unwrap_err().contains("for the driver z"));
        assert!(Snapshots::Unknown.of_driver("x").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_volume_of_another_driver_is_not_taken() {
        let class = class("a", "x", false);
        assert_eq!(class.takes("pv", Some("x")), Ok(()));
        assert!(class.takes("pv", Some("y")).unwrap_err().contains("volume pv is of y"));
        assert!(class.takes("pv", None).unwrap_err().contains("not of a CSI driver"));
    }

    #[test]
    fn an_error_of_the_past_does_not_count_against_a_snapshot_that_is_ready() {
        let error = json!({ "message": "busy" });
        let state = |ready: Value| json!({ "status": { "readyToUse": ready, "error": error } });
        assert_eq!(snapshot_state(&state(json!(true))), Ok(true));
        assert_eq!(snapshot_state(&state(json!(false))), Err("busy"));
        assert_eq!(snapshot_state(&json!({})), Ok(false));
    }
}
