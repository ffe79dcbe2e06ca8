//! Kubernetes objects as they travel, and their way into `workload` types.
//!
//! Only the fields that are used are named: serde skips the rest, so that a
//! list of thousands of pods costs little, and nothing read here is ever
//! written back (a typed round trip would drop fields that this program has
//! never heard of, kubernetes #3955). The same types read a cluster's answers
//! and files.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::workload::{
    Autoscaler, Claim, ClaimRef, ClaimTemplate, Class, Condition, Container, ContainerState,
    ContainerStatus, Ended, Event, Expression, FieldManager, ManagerKind, Node, Pod, PodManagement,
    PodTemplate, Probe, ProbeKind, Retention, Revision, Selector, Service, SetStatus, StatefulSet,
    Strategy, Volume,
};

type Labels = BTreeMap<String, String>;

/// A list as the server sends it; some servers send null for no items.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    #[serde(default)]
    pub metadata: ListMeta,
    #[serde(default = "Option::default")]
    pub items: Option<Vec<T>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    #[serde(default)]
    pub resource_version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub name: String,
    pub namespace: Option<String>,
    uid: String,
    resource_version: String,
    generation: i64,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<Timestamp>,
    labels: Option<Labels>,
    annotations: Option<Labels>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Debug, Deserialize)]
struct OwnerReference {
    kind: String,
    name: String,
    #[serde(default)]
    uid: String,
    controller: Option<bool>,
}

impl Meta {
    fn controller(&self) -> Option<&OwnerReference> {
        self.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    }
}

// StatefulSet

#[derive(Debug, Deserialize)]
pub(super) struct SetObject {
    pub metadata: SetMeta,
    spec: SetSpec,
    #[serde(default)]
    status: SetStatusObject,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetMeta {
    #[serde(flatten)]
    pub common: Meta,
    managed_fields: Option<Vec<ManagedFields>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedFields {
    #[serde(default)]
    manager: String,
    #[serde(rename = "fieldsV1")]
    fields: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetSpec {
    replicas: Option<u32>,
    ordinals: Option<Ordinals>,
    update_strategy: Option<UpdateStrategy>,
    pod_management_policy: Option<String>,
    service_name: Option<String>,
    #[serde(default)]
    selector: SelectorObject,
    min_ready_seconds: Option<u32>,
    persistent_volume_claim_retention_policy: Option<RetentionPolicy>,
    volume_claim_templates: Option<Vec<Named>>,
    template: TemplateObject,
}

#[derive(Debug, Deserialize)]
struct Ordinals {
    start: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateStrategy {
    #[serde(rename = "type")]
    kind: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Debug, Deserialize)]
struct RollingUpdate {
    partition: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionPolicy {
    when_scaled: Option<String>,
    when_deleted: Option<String>,
}

/// An entry of which only the metadata's name matters.
#[derive(Debug, Deserialize)]
struct Named {
    metadata: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SelectorObject {
    match_labels: Option<Labels>,
    match_expressions: Option<Vec<ExpressionObject>>,
}

#[derive(Debug, Deserialize)]
struct ExpressionObject {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct TemplateObject {
    #[serde(default)]
    metadata: Meta,
    spec: Option<TemplateSpec>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateSpec {
    containers: Option<Vec<ContainerObject>>,
    init_containers: Option<Vec<ContainerObject>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerObject {
    name: String,
    #[serde(default)]
    image: String,
    env: Option<Vec<EnvName>>,
    startup_probe: Option<ProbeObject>,
    readiness_probe: Option<ProbeObject>,
    liveness_probe: Option<ProbeObject>,
}

#[derive(Debug, Deserialize)]
struct EnvName {
    name: String,
}

#[derive(Debug, Deserialize)]
struct ProbeObject {
    exec: Option<ExecAction>,
}

#[derive(Debug, Deserialize)]
struct ExecAction {
    command: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SetStatusObject {
    observed_generation: i64,
    current_revision: Option<String>,
    update_revision: Option<String>,
}

impl From<SetObject> for StatefulSet {
    fn from(object: SetObject) -> StatefulSet {
        let SetObject { metadata: SetMeta { common: meta, managed_fields }, spec, status } = object;
        let retention = spec.persistent_volume_claim_retention_policy;
        let (scaled, deleted) = retention.map_or((None, None), |r| (r.when_scaled, r.when_deleted));
        StatefulSet {
            controller: meta.controller().map(|owner| format!("{}/{}", owner.kind, owner.name)),
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name,
            uid: meta.uid,
            resource_version: meta.resource_version,
            generation: meta.generation,
            created: meta.creation_timestamp,
            deleting: meta.deletion_timestamp,
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
            field_managers: field_managers(managed_fields.unwrap_or_default()),
            replicas: spec.replicas.unwrap_or(1),
            start: spec.ordinals.and_then(|ordinals| ordinals.start).unwrap_or(0),
            strategy: strategy(spec.update_strategy),
            pod_management: match spec.pod_management_policy.as_deref() {
                Some("Parallel") => PodManagement::Parallel,
                _ => PodManagement::OrderedReady,
            },
            service_name: spec.service_name.filter(|name| !name.is_empty()),
            selector: selector(spec.selector),
            min_ready_seconds: spec.min_ready_seconds.unwrap_or(0),
            when_scaled: retention_word(scaled.as_deref()),
            when_deleted: retention_word(deleted.as_deref()),
            claim_templates: spec
                .volume_claim_templates
                .unwrap_or_default()
                .into_iter()
                .map(|template| ClaimTemplate { name: template.metadata.name })
                .collect(),
            template: template(spec.template),
            status: SetStatus {
                observed_generation: status.observed_generation,
                current_revision: status.current_revision.filter(|name| !name.is_empty()),
                update_revision: status.update_revision.filter(|name| !name.is_empty()),
            },
        }
    }
}

fn strategy(object: Option<UpdateStrategy>) -> Strategy {
    let Some(object) = object else {
        return Strategy::RollingUpdate { partition: Some(0) };
    };
    match object.kind.as_deref() {
        // Without a type the server fills in type and partition; with a type
        // it leaves a null rollingUpdate as it is.
        None | Some("") => Strategy::RollingUpdate {
            partition: Some(object.rolling_update.and_then(|r| r.partition).unwrap_or(0)),
        },
        Some("RollingUpdate") => Strategy::RollingUpdate {
            partition: object.rolling_update.map(|rolling| rolling.partition.unwrap_or(0)),
        },
        Some("OnDelete") => Strategy::OnDelete,
        Some(other) => Strategy::Other(other.to_owned()),
    }
}

fn retention_word(word: Option<&str>) -> Retention {
    if word == Some("Delete") { Retention::Delete } else { Retention::Retain }
}

fn selector(object: SelectorObject) -> Selector {
    let expressions = object.match_expressions.unwrap_or_default().into_iter();
    Selector {
        labels: object.match_labels.unwrap_or_default(),
        expressions: expressions
            .map(|expression| Expression {
                key: expression.key,
                operator: expression.operator,
                values: expression.values.unwrap_or_default(),
            })
            .collect(),
    }
}

fn template(object: TemplateObject) -> PodTemplate {
    let (init, main) = object.spec.map_or((None, None), |s| (s.init_containers, s.containers));
    PodTemplate {
        labels: object.metadata.labels.unwrap_or_default(),
        containers: init
            .into_iter()
            .flatten()
            .map(|object| container(object, true))
            .chain(main.into_iter().flatten().map(|object| container(object, false)))
            .collect(),
    }
}

fn container(object: ContainerObject, init: bool) -> Container {
    let probes = [
        (ProbeKind::Startup, object.startup_probe),
        (ProbeKind::Readiness, object.readiness_probe),
        (ProbeKind::Liveness, object.liveness_probe),
    ];
    Container {
        name: object.name,
        image: object.image,
        init,
        env_names: object.env.unwrap_or_default().into_iter().map(|env| env.name).collect(),
        probes: probes
            .into_iter()
            .filter_map(|(kind, probe)| {
                Some(Probe { kind, command: probe?.exec?.command.unwrap_or_default() })
            })
            .collect(),
    }
}

fn field_managers(entries: Vec<ManagedFields>) -> Vec<FieldManager> {
    entries
        .into_iter()
        .map(|entry| {
            let spec = entry.fields.as_ref().and_then(|fields| fields.get("f:spec"));
            let has = |path: &[&str]| {
                path.iter().try_fold(spec?, |fields, key| fields.get(key)).map(|_| ())
            };
            FieldManager {
                replicas: has(&["f:replicas"]).is_some(),
                partition: has(&["f:updateStrategy", "f:rollingUpdate", "f:partition"]).is_some(),
                template: has(&["f:template"]).is_some(),
                name: entry.manager,
            }
        })
        .collect()
}

// Pod

#[derive(Debug, Deserialize)]
pub(super) struct PodObject {
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
struct ConditionObject {
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
    finished_at: Option<Timestamp>,
}

impl From<TerminatedObject> for Ended {
    fn from(object: TerminatedObject) -> Ended {
        Ended {
            exit_code: object.exit_code,
            reason: object.reason.filter(|reason| !reason.is_empty()),
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

fn condition(object: ConditionObject) -> Condition {
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

// ControllerRevision

#[derive(Debug, Deserialize)]
pub(super) struct RevisionObject {
    pub metadata: Meta,
    #[serde(default)]
    revision: i64,
    data: Option<RevisionData>,
}

#[derive(Debug, Deserialize)]
struct RevisionData {
    spec: RevisionSpec,
}

#[derive(Debug, Deserialize)]
struct RevisionSpec {
    template: TemplateObject,
}

impl RevisionObject {
    /// Whether the set with this uid wrote it: revisions of a namesake that
    /// was deleted may still be around.
    pub fn belongs_to(&self, set_uid: &str) -> bool {
        self.metadata.controller().is_none_or(|owner| owner.uid == set_uid)
    }
}

impl From<RevisionObject> for Revision {
    fn from(object: RevisionObject) -> Revision {
        let images = object.data.map_or_else(Vec::new, |data| {
            let containers = data.spec.template.spec.and_then(|spec| spec.containers);
            containers.into_iter().flatten().map(|c| (c.name, c.image)).collect()
        });
        Revision { name: object.metadata.name, number: object.revision, images }
    }
}

// Storage

#[derive(Debug, Deserialize)]
pub(super) struct ClaimObject {
    pub metadata: Meta,
    #[serde(default)]
    spec: ClaimSpec,
    #[serde(default)]
    status: ClaimStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClaimSpec {
    storage_class_name: Option<String>,
    volume_name: Option<String>,
    access_modes: Option<Vec<String>>,
    resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Option<Quantities>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Quantities {
    storage: Option<Quantity>,
}

/// Quantities are strings on the wire, but people write bare numbers too.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Quantity {
    Text(String),
    Number(serde_json::Number),
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> String {
        match quantity {
            Quantity::Text(text) => text,
            Quantity::Number(number) => number.to_string(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ClaimStatus {
    phase: String,
    capacity: Option<Quantities>,
}

fn storage(quantities: Option<Quantities>) -> Option<String> {
    quantities?.storage.map(String::from)
}

impl From<ClaimObject> for Claim {
    fn from(object: ClaimObject) -> Claim {
        let ClaimObject { metadata: meta, spec, status } = object;
        let annotations = meta.annotations.unwrap_or_default();
        let legacy_class = annotations.get("volume.beta.kubernetes.io/storage-class").cloned();
        Claim {
            name: meta.name,
            uid: meta.uid,
            created: meta.creation_timestamp,
            deleting: meta.deletion_timestamp,
            phase: status.phase,
            class: legacy_class.or(spec.storage_class_name),
            volume: spec.volume_name.filter(|name| !name.is_empty()),
            capacity: storage(status.capacity),
            request: storage(spec.resources.requests),
            access_modes: spec.access_modes.unwrap_or_default(),
            selected_node: annotations.get("volume.kubernetes.io/selected-node").cloned(),
            finalizers: meta.finalizers.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct VolumeObject {
    pub metadata: Meta,
    spec: VolumeSpec,
    #[serde(default)]
    status: VolumeStatus,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeSpec {
    storage_class_name: Option<String>,
    persistent_volume_reclaim_policy: Option<String>,
    capacity: Option<Quantities>,
    access_modes: Option<Vec<String>>,
    claim_ref: Option<ClaimRefObject>,
}

#[derive(Debug, Deserialize)]
struct ClaimRefObject {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    uid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VolumeStatus {
    phase: String,
}

impl From<VolumeObject> for Volume {
    fn from(object: VolumeObject) -> Volume {
        let VolumeObject { metadata: meta, spec, status } = object;
        Volume {
            name: meta.name,
            phase: status.phase,
            class: spec.storage_class_name.filter(|class| !class.is_empty()),
            // The server's default for volumes that an administrator makes.
            reclaim_policy: spec
                .persistent_volume_reclaim_policy
                .unwrap_or_else(|| "Retain".to_owned()),
            capacity: storage(spec.capacity),
            access_modes: spec.access_modes.unwrap_or_default(),
            claim: spec.claim_ref.map(|claim| ClaimRef {
                namespace: claim.namespace,
                name: claim.name,
                uid: claim.uid.filter(|uid| !uid.is_empty()),
            }),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClassObject {
    pub metadata: Meta,
    #[serde(default)]
    provisioner: String,
    volume_binding_mode: Option<String>,
}

impl From<ClassObject> for Class {
    fn from(object: ClassObject) -> Class {
        let annotations = object.metadata.annotations.unwrap_or_default();
        let marks = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ];
        Class {
            is_default: marks
                .iter()
                .any(|mark| annotations.get(*mark).is_some_and(|v| v == "true")),
            name: object.metadata.name,
            provisioner: object.provisioner,
            waits_for_consumer: object.volume_binding_mode.as_deref()
                == Some("WaitForFirstConsumer"),
        }
    }
}

// The rest

#[derive(Debug, Deserialize)]
pub(super) struct ServiceObject {
    pub metadata: Meta,
    #[serde(default)]
    spec: ServiceSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceSpec {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    selector: Option<Labels>,
}

impl From<ServiceObject> for Service {
    fn from(object: ServiceObject) -> Service {
        Service {
            name: object.metadata.name,
            headless: object.spec.cluster_ip.as_deref() == Some("None"),
            kind: object.spec.kind.unwrap_or_else(|| "ClusterIP".to_owned()),
            selector: object.spec.selector.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct AutoscalerObject {
    pub metadata: Meta,
    #[serde(default)]
    spec: AutoscalerSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AutoscalerSpec {
    /// Of an HPA and of a KEDA ScaledObject.
    scale_target_ref: Option<TargetRef>,
    /// Of a VPA.
    target_ref: Option<TargetRef>,
}

#[derive(Debug, Deserialize)]
struct TargetRef {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
}

impl AutoscalerObject {
    pub fn into_autoscaler(self, kind: ManagerKind) -> Autoscaler {
        let made_by_keda = self.metadata.controller().is_some_and(|o| o.kind == "ScaledObject");
        let target = self.spec.scale_target_ref.or(self.spec.target_ref);
        let (target_kind, target_name) = target.map_or_else(Default::default, |t| (t.kind, t.name));
        Autoscaler { kind, name: self.metadata.name, target_kind, target_name, made_by_keda }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventObject {
    involved_object: Option<InvolvedObject>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    count: Option<u32>,
    last_timestamp: Option<Timestamp>,
    event_time: Option<Timestamp>,
    series: Option<Series>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InvolvedObject {
    kind: String,
    name: String,
    uid: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    count: Option<u32>,
    last_observed_time: Option<Timestamp>,
}

impl From<EventObject> for Event {
    fn from(object: EventObject) -> Event {
        let involved = object.involved_object.unwrap_or_default();
        let (series_count, series_last) =
            object.series.map_or((None, None), |series| (series.count, series.last_observed_time));
        Event {
            object_kind: involved.kind,
            object_name: involved.name,
            object_uid: involved.uid,
            reason: object.reason,
            message: object.message,
            count: series_count.or(object.count).unwrap_or(1),
            last: series_last.or(object.last_timestamp).or(object.event_time),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct NodeObject {
    pub metadata: Meta,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    conditions: Option<Vec<ConditionObject>>,
}

impl From<NodeObject> for Node {
    fn from(object: NodeObject) -> Node {
        let conditions = object.status.conditions.unwrap_or_default();
        let ready = conditions.into_iter().find(|c| c.kind == "Ready").map(condition);
        Node {
            name: object.metadata.name,
            ready: Some(ready.as_ref().is_some_and(|ready| ready.holds)),
            since: ready.as_ref().and_then(|ready| ready.since),
            message: ready.and_then(|ready| ready.message),
        }
    }
}
