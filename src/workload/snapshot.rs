//! Snapshots of volumes: what a cluster can make, and one that was asked for.

use serde_json::{Value, json};

/// The group that a snapshot controller brings along.
pub const SNAPSHOT_GROUP: &str = "snapshot.storage.k8s.io";

/// Whether snapshots can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Snapshots {
    /// The server does not serve them.
    #[default]
    Absent,
    Classes(Vec<SnapshotClass>),
    /// It does, and which classes there are we may not see.
    Unknown,
}

/// A VolumeSnapshotClass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotClass {
    pub name: String,
    pub driver: String,
    /// Whether what a snapshot holds goes with its VolumeSnapshot.
    pub deletes: bool,
    pub is_default: bool,
}

impl Snapshots {
    /// The class of this name; `None` where nobody can know.
    ///
    /// # Errors
    /// Why a snapshot by it cannot be taken.
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
            format!("there is no VolumeSnapshotClass {wanted}; there are: {names}")
        })
    }

    /// The class by which volumes of this driver are taken, where none was
    /// named.
    ///
    /// # Errors
    /// Why there is none.
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
            (None, []) => Err(format!("no VolumeSnapshotClass is of {driver}")),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|class| class.name.as_str()).collect();
                Err(format!("name one of the VolumeSnapshotClasses {}", names.join(", ")))
            }
        }
    }
}

impl SnapshotClass {
    /// A snapshot controller refuses what is not of the driver of its class,
    /// and what is of no CSI driver at all.
    ///
    /// # Errors
    /// Why this volume cannot be taken.
    pub fn takes(&self, volume: &str, driver: Option<&str>) -> Result<(), String> {
        match driver {
            Some(driver) if driver == self.driver => Ok(()),
            Some(driver) => Err(format!(
                "VolumeSnapshotClass {} is of {}, and volume {volume} of {driver}",
                self.name, self.driver
            )),
            None => Err(format!("volume {volume} is not of a CSI driver")),
        }
    }
}

/// A VolumeSnapshot of a claim.
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

/// Whether a snapshot can be used, or what its driver says is in the way. An
/// error may pass: the controller tries again.
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
        assert_eq!(why, "there is no VolumeSnapshotClass c; there are: a, b");
        assert!(Snapshots::Classes(Vec::new()).named("c").unwrap_err().ends_with("are: none"));
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
        assert_eq!(why, "name one of the VolumeSnapshotClasses a, b");
        assert!(classes(false).of_driver("z").unwrap_err().contains("is of z"));
        assert!(Snapshots::Unknown.of_driver("x").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_volume_of_another_driver_is_not_taken() {
        let class = class("a", "x", false);
        assert_eq!(class.takes("pv", Some("x")), Ok(()));
        assert!(class.takes("pv", Some("y")).unwrap_err().contains("volume pv of y"));
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
