//! Pods of a set, and what is wrong with one.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// A pod, as far as it is judged.
#[derive(Clone, Debug)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub labels: BTreeMap<String, String>,
    pub created: Option<Timestamp>,
    /// `deletionTimestamp`: the moment by which it should be gone, which is
    /// the request plus the grace period.
    pub gone_by: Option<Timestamp>,
    pub finalizers: Vec<String>,
    pub controller_uid: Option<String>,
    pub node: Option<String>,
    pub phase: String,
    /// `status.reason`, such as `Evicted` or `NodeLost`.
    pub reason: Option<String>,
    pub conditions: Vec<Condition>,
    /// In the order of the spec, init containers first.
    pub containers: Vec<ContainerStatus>,
    /// Claims that its volumes name.
    pub claims: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Condition {
    pub kind: String,
    pub holds: bool,
    pub reason: Option<String>,
    pub message: Option<String>,
    pub since: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct ContainerStatus {
    pub name: String,
    pub image: String,
    pub init: bool,
    pub ready: bool,
    pub restarts: u32,
    pub state: ContainerState,
    pub last_end: Option<Ended>,
}

#[derive(Clone, Debug)]
pub enum ContainerState {
    Waiting {
        reason: String,
        message: Option<String>,
    },
    Running,
    Ended(Ended),
    /// The kubelet has not reported yet.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub exit_code: i32,
    pub reason: Option<String>,
    /// What it left to be said: its own words, or the end of its log.
    pub message: Option<String>,
    pub at: Option<Timestamp>,
}

/// What keeps a pod from being Ready, where the pod itself says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    ImagePull { container: String, image: String, message: String },
    CrashLoop { container: String, init: bool, restarts: u32, last: Option<Ended> },
    ContainerConfig { container: String, reason: String, message: String },
    Unschedulable { message: String },
    SchedulingGated { message: String },
}

impl Pod {
    /// The revision this pod was made from: the ControllerRevision's name.
    pub fn revision(&self) -> Option<&str> {
        self.labels.get("controller-revision-hash").map(String::as_str)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.holds)
    }

    /// Ready for at least `min_ready_seconds`, as the controller counts it.
    pub fn is_available(&self, min_ready_seconds: u32, now: Timestamp) -> bool {
        let Some(ready) = self.condition("Ready").filter(|condition| condition.holds) else {
            return false;
        };
        min_ready_seconds == 0
            || ready.since.is_some_and(|since| {
                now.duration_since(since) >= SignedDuration::from_secs(min_ready_seconds.into())
            })
    }

    pub fn is_terminating(&self) -> bool {
        self.gone_by.is_some()
    }

    /// Since when it has not been Ready, as far as that is known.
    pub fn unready_since(&self) -> Option<Timestamp> {
        self.condition("Ready").and_then(|condition| condition.since).or(self.created)
    }

    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|container| container.restarts).sum()
    }

    /// What the pod's own status gives as the reason that it is not Ready.
    pub fn trouble(&self) -> Option<Trouble> {
        if self.is_ready() {
            return None;
        }
        if let Some(scheduled) = self.condition("PodScheduled").filter(|c| !c.holds) {
            let message = scheduled.message.clone().unwrap_or_default();
            return match scheduled.reason.as_deref() {
                Some("Unschedulable") => Some(Trouble::Unschedulable { message }),
                Some("SchedulingGated") => Some(Trouble::SchedulingGated { message }),
                _ => None,
            };
        }
        self.containers.iter().find_map(ContainerStatus::trouble)
    }

    /// One word or two for the status column: what `kubectl get pods` would
    /// show, except that `Ready` says Ready and a running pod that is not
    /// says so.
    pub fn state(&self) -> String {
        if self.is_terminating() {
            return "Terminating".to_owned();
        }
        if let Some(reason) = &self.reason {
            return reason.clone();
        }
        match self.trouble() {
            Some(Trouble::Unschedulable { .. }) => return "Unschedulable".to_owned(),
            Some(Trouble::SchedulingGated { .. }) => return "SchedulingGated".to_owned(),
            _ => {}
        }
        for container in &self.containers {
            let prefix = if container.init { "Init:" } else { "" };
            match &container.state {
                ContainerState::Waiting { reason, .. } if reason != "PodInitializing" => {
                    return format!("{prefix}{reason}");
                }
                ContainerState::Ended(ended) if !(container.init && ended.exit_code == 0) => {
                    let reason = ended.reason.clone();
                    return format!(
                        "{prefix}{}",
                        reason.unwrap_or_else(|| format!("ExitCode:{}", ended.exit_code))
                    );
                }
                _ => {}
            }
        }
        match (self.phase.as_str(), self.is_ready()) {
            ("Running", true) => "Ready".to_owned(),
            ("Running", false) => "NotReady".to_owned(),
            ("", _) => "Pending".to_owned(),
            (phase, _) => phase.to_owned(),
        }
    }
}

impl ContainerStatus {
    fn trouble(&self) -> Option<Trouble> {
        let ContainerState::Waiting { reason, message } = &self.state else {
            // Between two crashes a container without readiness probe shows
            // as ended for a moment; the back-off state follows.
            return match &self.state {
                ContainerState::Ended(ended) if ended.exit_code != 0 && self.restarts > 0 => {
                    Some(self.crash_loop(Some(ended.clone())))
                }
                _ => None,
            };
        };
        let container = self.name.clone();
        let message = message.clone().unwrap_or_default();
        match reason.as_str() {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => {
                Some(Trouble::ImagePull { container, image: self.image.clone(), message })
            }
            "CrashLoopBackOff" => Some(self.crash_loop(self.last_end.clone())),
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "RunContainerError"
            | "PreCreateHookError"
            | "PreStartHookError"
            | "PostStartHookError" => {
                Some(Trouble::ContainerConfig { container, reason: reason.clone(), message })
            }
            _ => None,
        }
    }

    fn crash_loop(&self, last: Option<Ended>) -> Trouble {
        Trouble::CrashLoop {
            container: self.name.clone(),
            init: self.init,
            restarts: self.restarts,
            last,
        }
    }
}
