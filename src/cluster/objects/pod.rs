//! A pod.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::Meta;
use crate::workload::{Condition, ContainerState, ContainerStatus, Ended, Pod};

#[derive(Debug, Deserialize)]
pub(in crate::cluster) struct PodObject {
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
}

#[derive(Debug, Deserialize)]
struct PodContainer {
    name: String,
    #[serde(default)]
    image: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodVolume {
    persistent_volume_claim: Option<ClaimSource>,
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
    running: Option<serde::de::IgnoredAny>,
    terminated: Option<TerminatedObject>,
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
        Pod {
            controller_uid: meta.controller().map(|owner| owner.uid.clone()),
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
            claims: spec
                .volumes
                .into_iter()
                .flatten()
                .filter_map(|volume| Some(volume.persistent_volume_claim?.claim_name))
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
    let PodContainer { name, image } = container;
    let Some(status) = status else {
        let (ready, restarts, state) = (false, 0, ContainerState::Unknown);
        return ContainerStatus { name, image, init, ready, restarts, state, last_end: None };
    };
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
        init,
        ready: status.ready,
        restarts: status.restart_count,
        state,
        last_end: status.last_state.terminated.map(Ended::from),
    }
}
