//! The fields of each kind that are used. The numbers are those of the
//! `generated.proto` files in k8s.io/api and k8s.io/apimachinery, which never
//! change; the names are those of the types in `cluster/objects`.

use super::object::{
    Form::{
        Bool, Count, Inline, IntOrString, Map, Number, Object, Quantity, Text, TextOrEmpty, Time,
    },
    Message, many, one,
};

const OWNER: Message = Message(&[
    one(1, "kind", Text),
    one(3, "name", Text),
    one(4, "uid", Text),
    one(5, "apiVersion", Text),
    one(6, "controller", Bool),
]);

const META: Message = Message(&[
    one(1, "name", Text),
    one(3, "namespace", Text),
    one(5, "uid", Text),
    one(6, "resourceVersion", Text),
    one(7, "generation", Count),
    one(8, "creationTimestamp", Time),
    one(9, "deletionTimestamp", Time),
    one(11, "labels", Map(&Text)),
    one(12, "annotations", Map(&Text)),
    many(13, "ownerReferences", Object(&OWNER)),
    many(14, "finalizers", Text),
]);

const REQUIREMENT: Message =
    Message(&[one(1, "key", Text), one(2, "operator", Text), many(3, "values", TextOrEmpty)]);

const SELECTOR: Message = Message(&[
    one(1, "matchLabels", Map(&Text)),
    many(2, "matchExpressions", Object(&REQUIREMENT)),
]);

const COMMAND: Message = Message(&[many(1, "command", TextOrEmpty)]);
const HANDLER: Message = Message(&[one(1, "exec", Object(&COMMAND))]);
const PROBE: Message = Message(&[one(1, "handler", Inline(&HANDLER))]);
const ENV: Message = Message(&[one(1, "name", Text)]);

const CONTAINER: Message = Message(&[
    one(1, "name", Text),
    one(2, "image", Text),
    many(7, "env", Object(&ENV)),
    one(10, "livenessProbe", Object(&PROBE)),
    one(11, "readinessProbe", Object(&PROBE)),
    one(22, "startupProbe", Object(&PROBE)),
    one(24, "restartPolicy", Text),
]);

const CLAIM_SOURCE: Message = Message(&[one(1, "claimName", Text)]);
const EPHEMERAL: Message = Message(&[]);
const VOLUME_SOURCE: Message = Message(&[
    one(10, "persistentVolumeClaim", Object(&CLAIM_SOURCE)),
    one(29, "ephemeral", Object(&EPHEMERAL)),
]);
const POD_VOLUME: Message =
    Message(&[one(1, "name", Text), one(2, "volumeSource", Inline(&VOLUME_SOURCE))]);
const GATE: Message = Message(&[one(1, "conditionType", Text)]);

const POD_SPEC: Message = Message(&[
    many(1, "volumes", Object(&POD_VOLUME)),
    many(2, "containers", Object(&CONTAINER)),
    one(10, "nodeName", Text),
    many(20, "initContainers", Object(&CONTAINER)),
    many(28, "readinessGates", Object(&GATE)),
]);

const CONDITION: Message = Message(&[
    one(1, "type", Text),
    one(2, "status", Text),
    one(4, "lastTransitionTime", Time),
    one(5, "reason", Text),
    one(6, "message", Text),
]);

const WAITING: Message = Message(&[one(1, "reason", Text), one(2, "message", Text)]);
const RUNNING: Message = Message(&[one(1, "startedAt", Time)]);
const TERMINATED: Message = Message(&[
    one(1, "exitCode", Number),
    one(3, "reason", Text),
    one(4, "message", Text),
    one(6, "finishedAt", Time),
]);
const STATE: Message = Message(&[
    one(1, "waiting", Object(&WAITING)),
    one(2, "running", Object(&RUNNING)),
    one(3, "terminated", Object(&TERMINATED)),
]);
const CONTAINER_STATUS: Message = Message(&[
    one(1, "name", Text),
    one(2, "state", Object(&STATE)),
    one(3, "lastState", Object(&STATE)),
    one(4, "ready", Bool),
    one(5, "restartCount", Number),
    one(9, "started", Bool),
]);

const POD_STATUS: Message = Message(&[
    one(1, "phase", Text),
    many(2, "conditions", Object(&CONDITION)),
    one(4, "reason", Text),
    many(8, "containerStatuses", Object(&CONTAINER_STATUS)),
    many(10, "initContainerStatuses", Object(&CONTAINER_STATUS)),
]);

pub const POD: Message = Message(&[
    one(1, "metadata", Object(&META)),
    one(2, "spec", Object(&POD_SPEC)),
    one(3, "status", Object(&POD_STATUS)),
]);

const TEMPLATE: Message =
    Message(&[one(1, "metadata", Object(&META)), one(2, "spec", Object(&POD_SPEC))]);

const REQUESTS: Message = Message(&[one(2, "requests", Map(&Quantity))]);
const CLAIM_SPEC: Message = Message(&[
    many(1, "accessModes", Text),
    one(2, "resources", Object(&REQUESTS)),
    one(3, "volumeName", Text),
    one(4, "selector", Object(&SELECTOR)),
    one(5, "storageClassName", TextOrEmpty),
    one(6, "volumeMode", Text),
]);
const CLAIM_STATUS: Message = Message(&[
    one(1, "phase", Text),
    one(3, "capacity", Map(&Quantity)),
    many(4, "conditions", Object(&CONDITION)),
    one(7, "allocatedResourceStatuses", Map(&Text)),
]);

pub const CLAIM: Message = Message(&[
    one(1, "metadata", Object(&META)),
    one(2, "spec", Object(&CLAIM_SPEC)),
    one(3, "status", Object(&CLAIM_STATUS)),
]);

const ROLLING: Message =
    Message(&[one(1, "partition", Number), one(2, "maxUnavailable", IntOrString)]);
const STRATEGY: Message =
    Message(&[one(1, "type", Text), one(2, "rollingUpdate", Object(&ROLLING))]);
const RETENTION: Message = Message(&[one(1, "whenDeleted", Text), one(2, "whenScaled", Text)]);
const ORDINALS: Message = Message(&[one(1, "start", Number)]);

const SET_SPEC: Message = Message(&[
    one(1, "replicas", Number),
    one(2, "selector", Object(&SELECTOR)),
    one(3, "template", Object(&TEMPLATE)),
    many(4, "volumeClaimTemplates", Object(&CLAIM)),
    one(5, "serviceName", Text),
    one(6, "podManagementPolicy", Text),
    one(7, "updateStrategy", Object(&STRATEGY)),
    one(9, "minReadySeconds", Count),
    one(10, "persistentVolumeClaimRetentionPolicy", Object(&RETENTION)),
    one(11, "ordinals", Object(&ORDINALS)),
]);
const SET_STATUS: Message = Message(&[
    one(1, "observedGeneration", Number),
    one(6, "currentRevision", Text),
    one(7, "updateRevision", Text),
]);

pub const STATEFUL_SET: Message = Message(&[
    one(1, "metadata", Object(&META)),
    one(2, "spec", Object(&SET_SPEC)),
    one(3, "status", Object(&SET_STATUS)),
]);

/// Without its data, which is JSON inside.
pub const REVISION: Message =
    Message(&[one(1, "metadata", Object(&META)), one(3, "revision", Number)]);

const CSI: Message = Message(&[one(1, "driver", Text)]);
const SOURCE: Message = Message(&[one(22, "csi", Object(&CSI))]);
const REFERENCE: Message = Message(&[
    one(1, "kind", Text),
    one(2, "namespace", Text),
    one(3, "name", Text),
    one(4, "uid", Text),
    one(7, "fieldPath", Text),
]);
const NODE_TERM: Message = Message(&[
    many(1, "matchExpressions", Object(&REQUIREMENT)),
    many(2, "matchFields", Object(&REQUIREMENT)),
]);
const NODE_SELECTOR: Message = Message(&[many(1, "nodeSelectorTerms", Object(&NODE_TERM))]);
const AFFINITY: Message = Message(&[one(1, "required", Object(&NODE_SELECTOR))]);
const VOLUME_SPEC: Message = Message(&[
    one(1, "capacity", Map(&Quantity)),
    one(2, "persistentVolumeSource", Inline(&SOURCE)),
    many(3, "accessModes", Text),
    one(4, "claimRef", Object(&REFERENCE)),
    one(5, "persistentVolumeReclaimPolicy", Text),
    one(6, "storageClassName", Text),
    one(8, "volumeMode", Text),
    one(9, "nodeAffinity", Object(&AFFINITY)),
]);
const PHASE: Message = Message(&[one(1, "phase", Text)]);

pub const VOLUME: Message = Message(&[
    one(1, "metadata", Object(&META)),
    one(2, "spec", Object(&VOLUME_SPEC)),
    one(3, "status", Object(&PHASE)),
]);

pub const STORAGE_CLASS: Message = Message(&[
    one(1, "metadata", Object(&META)),
    one(2, "provisioner", Text),
    one(6, "allowVolumeExpansion", Bool),
    one(7, "volumeBindingMode", Text),
]);

const SERVICE_SPEC: Message =
    Message(&[one(2, "selector", Map(&Text)), one(3, "clusterIP", Text), one(4, "type", Text)]);

pub const SERVICE: Message =
    Message(&[one(1, "metadata", Object(&META)), one(2, "spec", Object(&SERVICE_SPEC))]);

const SERIES: Message = Message(&[one(1, "count", Count), one(2, "lastObservedTime", Time)]);

pub const EVENT: Message = Message(&[
    one(1, "metadata", Object(&META)),
    one(2, "involvedObject", Object(&REFERENCE)),
    one(3, "reason", Text),
    one(4, "message", Text),
    one(7, "lastTimestamp", Time),
    one(8, "count", Count),
    one(10, "eventTime", Time),
    one(11, "series", Object(&SERIES)),
]);

const ATTACHMENT_SOURCE: Message = Message(&[one(1, "persistentVolumeName", Text)]);
const ATTACHMENT_SPEC: Message =
    Message(&[one(2, "source", Object(&ATTACHMENT_SOURCE)), one(3, "nodeName", Text)]);

pub const ATTACHMENT: Message =
    Message(&[one(1, "metadata", Object(&META)), one(2, "spec", Object(&ATTACHMENT_SPEC))]);

const QUOTA_STATUS: Message =
    Message(&[one(1, "hard", Map(&Quantity)), one(2, "used", Map(&Quantity))]);

pub const QUOTA: Message =
    Message(&[one(1, "metadata", Object(&META)), one(3, "status", Object(&QUOTA_STATUS))]);

const NODE_STATUS: Message = Message(&[many(4, "conditions", Object(&CONDITION))]);

pub const NODE: Message =
    Message(&[one(1, "metadata", Object(&META)), one(3, "status", Object(&NODE_STATUS))]);
