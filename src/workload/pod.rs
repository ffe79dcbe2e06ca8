//! Pods, and what is wrong with them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// The fields of a pod that are used.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub labels: BTreeMap<String, String>,
    pub created: Option<Timestamp>,
    /// `deletionTimestamp`: when it should be gone, which is the time of the
    /// request plus the grace period.
    pub gone_by: Option<Timestamp>,
    pub finalizers: Vec<String>,
    pub controller_uid: Option<String>,
    /// The same as `kind/name`.
    pub controller: Option<String>,
    pub node: Option<String>,
    pub phase: String,
    /// `status.reason`, such as `Evicted` or `NodeLost`.
    pub reason: Option<String>,
    pub conditions: Vec<Condition>,
    /// The container that the annotation of kubectl names.
    pub default_container: Option<String>,
    /// In the order of the spec, init containers first.
    pub containers: Vec<ContainerStatus>,
    /// The claims of its volumes, also those that are created with it.
    pub claims: Vec<String>,
    /// The conditions that must hold before it is Ready, besides its containers.
    pub readiness_gates: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub role: ContainerRole,
    /// Whether its startup probe has passed, and its postStart hook.
    pub started: bool,
    pub ready: bool,
    pub restarts: u32,
    pub state: ContainerState,
    pub running_since: Option<Timestamp>,
    pub last_end: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerRole {
    Main,
    Init,
    /// An init container that runs on beside the others.
    Sidecar,
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
    /// The termination message, or the end of the log.
    pub message: Option<String>,
    pub at: Option<Timestamp>,
}

/// Why a pod is not Ready, as far as its own status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    ImagePull { container: String, image: String, message: String },
    CrashLoop { container: String, init: bool, restarts: u32, last: Option<Ended> },
    ContainerConfig { container: String, reason: String, message: String },
    Unschedulable { message: String },
    SchedulingGated { message: String },
}

impl Pod {
    /// The containers that run as long as it does, and in which a command can be run.
    pub fn lasting_containers(&self) -> impl Iterator<Item = &str> {
        let lasting = self.containers.iter().filter(|one| one.role != ContainerRole::Init);
        lasting.map(|one| one.name.as_str())
    }

    /// The name of the ControllerRevision that this pod was created from.
    pub fn revision(&self) -> Option<&str> {
        self.labels.get("controller-revision-hash").map(String::as_str)
    }

    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.holds)
    }

    /// Ready for at least `min_ready_seconds`, as the controller computes it.
    pub fn is_available(&self, min_ready_seconds: u32, now: Timestamp) -> bool {
        let Some(ready) = self.condition("Ready").filter(|condition| condition.holds) else {
            return false;
        };
        min_ready_seconds == 0
            || ready.since.is_some_and(|since| {
                now.duration_since(since) >= SignedDuration::from_secs(min_ready_seconds.into())
            })
    }

    /// Finished pods no longer use their volumes.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }

    pub fn is_terminating(&self) -> bool {
        self.gone_by.is_some()
    }

    /// Since when it has not been Ready, as far as known.
    pub fn unready_since(&self) -> Option<Timestamp> {
        self.condition("Ready").and_then(|condition| condition.since).or(self.created)
    }

    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    pub fn restarts(&self) -> u32 {
        self.containers.iter().map(|container| container.restarts).sum()
    }

    /// Why the pod is not Ready, according to its own status.
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

    /// The init container that the pod waits for, once its node has begun with
    /// them.
    pub fn init_step(&self) -> Option<InitStep<'_>> {
        let all: Vec<&ContainerStatus> =
            self.containers.iter().filter(|one| one.is_init()).collect();
        let begun = all.iter().any(|one| !matches!(one.state, ContainerState::Unknown));
        let is_done = |one: &ContainerStatus| {
            matches!(&one.state, ContainerState::Ended(end) if end.exit_code == 0 && !one.is_sidecar())
                || (one.is_sidecar() && one.started && matches!(one.state, ContainerState::Running))
        };
        let done = all.iter().take_while(|one| is_done(one)).count();
        let container = all.get(done).copied().filter(|_| begun && self.phase == "Pending")?;
        Some(InitStep { container, done, of: all.len() })
    }

    /// The text of the status column: as in `kubectl get pods`, but with Ready
    /// and NotReady instead of Running.
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
            let prefix = if container.is_init() { "Init:" } else { "" };
            match &container.state {
                ContainerState::Waiting { reason, .. } if reason != "PodInitializing" => {
                    return format!("{prefix}{reason}");
                }
                ContainerState::Ended(ended) if !(container.is_init() && ended.exit_code == 0) => {
                    let reason = ended.reason.clone();
                    return format!(
                        "{prefix}{}",
                        reason.unwrap_or_else(|| format!("ExitCode:{}", ended.exit_code))
                    );
                }
                _ => {}
            }
        }
        if let Some(step) = self.init_step() {
            return step.label();
        }
        match (self.phase.as_str(), self.is_ready()) {
            ("Running", true) => "Ready".to_owned(),
            ("Running", false) => "NotReady".to_owned(),
            ("", _) => "Pending".to_owned(),
            (phase, _) => phase.to_owned(),
        }
    }
}

/// An init container that a pod waits for.
#[derive(Clone, Copy, Debug)]
pub struct InitStep<'a> {
    pub container: &'a ContainerStatus,
    done: usize,
    of: usize,
}

impl InitStep<'_> {
    /// `Init:0/1`, as kubectl shows it.
    pub fn label(&self) -> String {
        format!("Init:{}/{}", self.done, self.of)
    }
}

/// The end of a runtime's message that says why a container cannot be started:
/// `exec: "serve": executable file not found in $PATH`.
fn start_failure(message: &str) -> String {
    let cause = message.rsplit_once("container process: ").map_or(message, |(_, cause)| cause);
    let cause = cause.rsplit_once("error during container init: ").map_or(cause, |(_, end)| end);
    cause.trim().trim_end_matches(": unknown").to_owned()
}

impl ContainerStatus {
    /// Whether it is listed among the init containers, as sidecars are.
    pub fn is_init(&self) -> bool {
        self.role != ContainerRole::Main
    }

    pub fn is_sidecar(&self) -> bool {
        self.role == ContainerRole::Sidecar
    }

    fn trouble(&self) -> Option<Trouble> {
        let ContainerState::Waiting { reason, message } = &self.state else {
            // Between two crashes, a container is terminated for a moment
            // before its state becomes CrashLoopBackOff.
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
            "RunContainerError" => Some(Trouble::ContainerConfig {
                container,
                reason: reason.clone(),
                message: start_failure(&message),
            }),
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "PreCreateHookError"
            | "PreStartHookError"
            | "PostStartHookError" => {
                Some(Trouble::ContainerConfig { container, reason: reason.clone(), message })
            }
            _ => None,
        }
    }

    fn crash_loop(&self, last: Option<Ended>) -> Trouble {
        // It has never run: there is no program of that name, or no such user.
        if let Some(end) = &last
            && let Some(reason @ ("StartError" | "ContainerCannotRun")) = end.reason.as_deref()
        {
            return Trouble::ContainerConfig {
                container: self.name.clone(),
                reason: reason.to_owned(),
                message: start_failure(end.message.as_deref().unwrap_or_default()),
            };
        }
        Trouble::CrashLoop {
            container: self.name.clone(),
            init: self.is_init(),
            restarts: self.restarts,
            last,
        }
    }
}
