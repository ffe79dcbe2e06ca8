//! Everything that was read about one set, and what could not be read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    Claim, Class, Exceeded, ManagerKind, Pod, Quota, Selector, Service, StatefulSet, Volume,
};

/// A list, or `None` if it could not be read: then nothing may be concluded,
/// least of all that it is empty.
pub type Read<T> = Option<Vec<T>>;

/// The facts about a set at one moment. They may be out of date at once: plans
/// are based on them, but the preconditions of the writes decide.
#[derive(Clone, Debug)]
pub struct Facts {
    pub set: StatefulSet,
    pub pods: Read<Pod>,
    pub revisions: Read<Revision>,
    pub claims: Read<Claim>,
    pub volumes: Read<Volume>,
    pub classes: Read<Class>,
    pub services: Read<Service>,
    pub autoscalers: Read<Autoscaler>,
    /// The PodDisruptionBudgets of the namespace.
    pub budgets: Read<Budget>,
    pub events: Read<Event>,
    /// Only the nodes of pods that are overdue for deletion.
    pub nodes: Read<Node>,
    /// Only of volumes that a pod cannot have because another node has them.
    pub attachments: Read<Attachment>,
    /// Only where an event says that one was exceeded.
    pub quotas: Read<Quota>,
    /// When the namespace was deleted, if it is going; `None` also where nobody asked.
    pub namespace_deleting: Option<Timestamp>,
    /// `v1.34.4`; `None` if it was not read.
    pub server_version: Option<String>,
    pub unread: Vec<Unread>,
    /// The connection flags of this run, quoted for a shell, each with a blank
    /// in front: without them, a command in a hint might reach another cluster.
    pub flags: String,
}

/// Something that could not be read; the answer is then a lower bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unread {
    /// The resource, as RBAC names it: `persistentvolumes`.
    pub resource: String,
    pub why: String,
}

/// A ControllerRevision of the set.
#[derive(Clone, Debug)]
pub struct Revision {
    pub name: String,
    pub number: i64,
    pub created: Option<Timestamp>,
    /// `spec.template` as the controller stores it.
    pub template: Value,
    /// Container names and images, in the order of the template.
    pub images: Vec<(String, String)>,
}

/// Something that scales or resizes a workload.
#[derive(Clone, Debug)]
pub struct Autoscaler {
    pub kind: ManagerKind,
    pub name: String,
    pub target_kind: String,
    pub target_name: String,
    pub made_by_keda: bool,
}

/// A PodDisruptionBudget.
#[derive(Clone, Debug)]
pub struct Budget {
    pub name: String,
    /// `None` selects nothing, an empty one everything.
    pub selector: Option<Selector>,
    pub disruptions_allowed: i64,
    pub expected_pods: i64,
    pub desired_healthy: i64,
    /// `minAvailable`, if it is a number.
    pub min_available: Option<u32>,
    pub current_healthy: i64,
    /// Whether the status is for the newest spec.
    pub observed: bool,
}

/// A warning event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The name of the event, by which updates replace earlier states.
    pub name: String,
    pub object_uid: String,
    /// The container that it is about, if it names one.
    pub container: Option<String>,
    pub reason: String,
    pub message: String,
    pub count: u32,
    pub last: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    /// `None`: the node object is gone.
    pub ready: Option<bool>,
    /// The message of the condition Ready.
    pub message: Option<String>,
    pub since: Option<Timestamp>,
}

/// A volume that is attached to a node.
#[derive(Clone, Debug)]
pub struct Attachment {
    pub volume: String,
    pub node: String,
    pub since: Option<Timestamp>,
}

impl Event {
    /// Whether it is about something that could not be created for want of room in a
    /// ResourceQuota.
    pub fn exceeds_quota(&self) -> bool {
        self.reason == "FailedCreate" && Exceeded::is_said_in(&self.message)
    }
}

impl Node {
    /// A node that no longer exists.
    pub fn gone(name: &str) -> Node {
        Node { name: name.to_owned(), ready: None, message: None, since: None }
    }
}

impl Autoscaler {
    pub fn targets(&self, set: &str) -> bool {
        // KEDA omits the kind for a Deployment.
        self.target_kind == "StatefulSet" && self.target_name == set
    }
}

impl Budget {
    /// Whether it protects a pod with these labels.
    pub fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

impl Facts {
    pub fn claim(&self, name: &str) -> Option<&Claim> {
        self.claims.iter().flatten().find(|claim| claim.name == name)
    }

    pub fn volume(&self, name: &str) -> Option<&Volume> {
        self.volumes.iter().flatten().find(|volume| volume.name == name)
    }

    /// The name of the class that a claim asks for which names this one: `None` of an
    /// absent field is the default. Empty where volumes without a class are wanted, and
    /// `None` where the default is not known.
    pub fn class_asked_for<'a>(&'a self, named: Option<&'a str>) -> Option<&'a str> {
        let default = || {
            let mut classes = self.classes.as_ref()?.iter();
            Some(classes.find(|class| class.is_default).map_or("", |class| class.name.as_str()))
        };
        named.or_else(default)
    }

    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().flatten().find(|class| class.name == name)
    }

    pub fn revision(&self, name: &str) -> Option<&Revision> {
        self.revisions.iter().flatten().find(|revision| revision.name == name)
    }

    /// Whether the revisions were read, and this one is not among them.
    pub fn lacks(&self, revision: &str) -> bool {
        self.revisions.is_some() && self.revision(revision).is_none()
    }

    /// The newest event about an object with one of these reasons. The uid
    /// distinguishes a pod from an earlier one with the same name.
    pub fn newest_event(&self, uid: &str, reasons: &[&str]) -> Option<&Event> {
        self.events
            .iter()
            .flatten()
            .filter(|event| event.object_uid == uid && reasons.contains(&event.reason.as_str()))
            .max_by_key(|event| event.last)
    }
}

/// `v1.28.3-gke.100` as numbers.
pub fn version_numbers(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.strip_prefix('v')?.splitn(3, '.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor, patch.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_and_without_a_vendor_are_read() {
        assert_eq!(version_numbers("v1.28.3"), Some((1, 28, 3)));
        assert_eq!(version_numbers("v1.27.7-gke.1056000"), Some((1, 27, 7)));
        assert_eq!(version_numbers("v1.34.4+rke2r1"), Some((1, 34, 4)));
        assert_eq!(version_numbers("unknown"), None);
    }
}
