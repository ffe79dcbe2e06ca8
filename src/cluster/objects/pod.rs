//! A pod.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::Meta;
use crate::workload::{Condition, ContainerRole, ContainerState, ContainerStatus, Ended, Pod};

#[derive(Debug, Deserialize)]
pub struct PodObject {
    pub metadata: Meta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
    containers: Vec<PodContainer>,
    init_containers: Option<Vec<PodContainer>>,
    volumes: Option<Vec<PodVolume>>,
    readiness_gates: Option<Vec<ReadinessGate>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadinessGate {
    condition_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodContainer {
    name: String,
    #[serde(default)]
    image: String,
    restart_policy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodVolume {
    #[serde(default)]
    name: String,
    persistent_volume_claim: Option<ClaimSource>,
    /// A claim that is created with the pod, and deleted with it.
    ephemeral: Option<serde::de::IgnoredAny>,
}

impl PodVolume {
    fn claim(self, pod: &str) -> Option<String> {
        match self.persistent_volume_claim {
            Some(claim) => Some(claim.claim_name),
            None => self.ephemeral.map(|_| format!("{pod}-{}", self.name)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSource {
    claim_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    reason: Option<String>,
    conditions: Option<Vec<ConditionObject>>,
    container_statuses: Option<Vec<ContainerStatusObject>>,
    init_container_statuses: Option<Vec<ContainerStatusObject>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConditionObject {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    last_transition_time: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatusObject {
    name: String,
    #[serde(default)]
    ready: bool,
    #[serde(default)]
    started: bool,
    #[serde(default)]
    restart_count: u32,
    #[serde(default)]
    state: StateObject,
    #[serde(default)]
    last_state: StateObject,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StateObject {
    waiting: Option<WaitingObject>,
    running: Option<RunningObject>,
    terminated: Option<TerminatedObject>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunningObject {
    started_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct WaitingObject {
    #[serde(default)]
    reason: String,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TerminatedObject {
    exit_code: i32,
    reason: Option<String>,
    message: Option<String>,
    finished_at: Option<Timestamp>,
}

impl From<TerminatedObject> for Ended {
    fn from(object: TerminatedObject) -> Ended {
        Ended {
            exit_code: object.exit_code,
            reason: object.reason.filter(|reason| !reason.is_empty()),
            message: object.message.filter(|message| !message.is_empty()),
            at: object.finished_at,
        }
    }
}

impl From<PodObject> for Pod {
    fn from(object: PodObject) -> Pod {
        let PodObject { metadata: meta, spec, status } = object;
        let statuses: Vec<ContainerStatusObject> = status
            .init_container_statuses
            .into_iter()
            .flatten()
            .chain(status.container_statuses.into_iter().flatten())
            .collect();
        let mut statuses: BTreeMap<String, ContainerStatusObject> =
            statuses.into_iter().map(|status| (status.name.clone(), status)).collect();
        let init = spec.init_containers.unwrap_or_default();
        let default = "kubectl.kubernetes.io/default-container";
        let annotations = meta.annotations.as_ref();
        Pod {
            default_container: annotations.and_then(|all| all.get(default)).cloned(),
            claims: spec
                .volumes
                .into_iter()
                .flatten()
                .filter_map(|volume| volume.claim(&meta.name))
                .collect(),
            controller_uid: meta.controller().map(|owner| owner.uid.clone()),
            controller: meta.controller().map(|owner| format!("{}/{}", owner.kind, owner.name)),
            name: meta.name,
            uid: meta.uid,
            resource_version: meta.resource_version,
            labels: meta.labels.unwrap_or_default(),
            created: meta.creation_timestamp,
            gone_by: meta.deletion_timestamp,
            finalizers: meta.finalizers.unwrap_or_default(),
            node: spec.node_name.filter(|node| !node.is_empty()),
            phase: status.phase,
            reason: status.reason.filter(|reason| !reason.is_empty()),
            conditions: status.conditions.into_iter().flatten().map(condition).collect(),
            containers: init
                .into_iter()
                .map(|container| (container, true))
                .chain(spec.containers.into_iter().map(|container| (container, false)))
                .map(|(container, init)| {
                    let status = statuses.remove(&container.name);
                    container_status(container, init, status)
                })
                .collect(),
            readiness_gates: spec
                .readiness_gates
                .into_iter()
                .flatten()
                .map(|gate| gate.condition_type)
                .collect(),
        }
    }
}

pub(super) fn condition(object: ConditionObject) -> Condition {
    Condition {
        kind: object.kind,
        holds: object.status == "True",
        reason: object.reason.filter(|reason| !reason.is_empty()),
        message: object.message.filter(|message| !message.is_empty()),
        since: object.last_transition_time,
    }
}

fn container_status(
    container: PodContainer,
    init: bool,
    status: Option<ContainerStatusObject>,
) -> ContainerStatus {
    let PodContainer { name, image, restart_policy } = container;
    let role = match restart_policy.as_deref() {
        _ if !init => ContainerRole::Main,
        Some("Always") => ContainerRole::Sidecar,
        _ => ContainerRole::Init,
    };
    let Some(status) = status else {
        return ContainerStatus {
            name,
            image,
            role,
            started: false,
            ready: false,
            restarts: 0,
            state: ContainerState::Unknown,
            running_since: None,
            last_end: None,
        };
    };
    let running_since = status.state.running.as_ref().and_then(|running| running.started_at);
    let state = match status.state {
        StateObject { running: Some(_), .. } => ContainerState::Running,
        StateObject { terminated: Some(end), .. } => ContainerState::Ended(end.into()),
        StateObject { waiting: Some(wait), .. } => {
            ContainerState::Waiting { reason: wait.reason, message: wait.message }
        }
        StateObject { .. } => ContainerState::Unknown,
    };
    ContainerStatus {
        name,
        image,
        role,
        started: status.started,
        ready: status.ready,
        restarts: status.restart_count,
        state,
        running_since,
        last_end: status.last_state.terminated.map(Ended::from),
    }
}
