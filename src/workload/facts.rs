//! Everything that was read about one set, and what could not be.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Claim, Class, ManagerKind, Pod, Selector, Service, StatefulSet, Volume};

/// A list that was read, or `None` where it could not be: from a list that
/// was not read nothing may be concluded, least of all that it is empty.
pub type Read<T> = Option<Vec<T>>;

/// What is known about a set at one moment. Potentially out of date the
/// moment it is made: planners propose, preconditions decide.
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
    /// Only the nodes of pods that overstay their deletion.
    pub nodes: Read<Node>,
    /// `v1.34.4`; `None` where it was not asked for or not told.
    pub server_version: Option<String>,
    pub unread: Vec<Unread>,
    /// The connection flags that were given, as a shell wants them, each with
    /// a blank in front: a command that a hint names without them might reach
    /// another cluster.
    pub flags: String,
}

/// Something that could not be read, so that what is printed is a lower bound.
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
    /// `spec.template` as the controller keeps it.
    pub template: Value,
    /// Container name and image, in the template's order.
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
    /// `minAvailable` where it is a number.
    pub min_available: Option<u32>,
    pub current_healthy: i64,
    /// Whether the numbers are about the newest spec.
    pub observed: bool,
}

/// A warning event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its own name, by which a later state of it replaces an earlier one.
    pub name: String,
    pub object_uid: String,
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
    /// Why it is not, as the node or its controller says.
    pub message: Option<String>,
    pub since: Option<Timestamp>,
}

impl Node {
    /// A node that a pod names and that no longer exists.
    pub fn gone(name: &str) -> Node {
        Node { name: name.to_owned(), ready: None, message: None, since: None }
    }
}

impl Autoscaler {
    pub fn targets(&self, set: &str) -> bool {
        // KEDA leaves the kind out when it means a Deployment.
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

    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().flatten().find(|class| class.name == name)
    }

    pub fn revision(&self, name: &str) -> Option<&Revision> {
        self.revisions.iter().flatten().find(|revision| revision.name == name)
    }

    /// The newest event with one of these reasons about an object; the uid
    /// tells a pod from its predecessor of the same name.
    pub fn newest_event(&self, uid: &str, reasons: &[&str]) -> Option<&Event> {
        self.events
            .iter()
            .flatten()
            .filter(|event| event.object_uid == uid && reasons.contains(&event.reason.as_str()))
            .max_by_key(|event| event.last)
    }
}
