//! What stands around a set: its Service, autoscalers, events, nodes.

use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Labels, Meta,
    pod::{ConditionObject, condition},
};
use crate::workload::{Autoscaler, Event, ManagerKind, Node, Service};

#[derive(Debug, Deserialize)]
pub(in crate::cluster) struct ServiceObject {
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
pub(in crate::cluster) struct AutoscalerObject {
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
pub(in crate::cluster) struct EventObject {
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
            object_uid: involved.uid,
            reason: object.reason,
            message: object.message,
            count: series_count.or(object.count).unwrap_or(1),
            last: series_last.or(object.last_timestamp).or(object.event_time),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(in crate::cluster) struct NodeObject {
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
        let ready = conditions.into_iter().map(condition).find(|c| c.kind == "Ready");
        Node {
            name: object.metadata.name,
            ready: Some(ready.as_ref().is_some_and(|ready| ready.holds)),
            since: ready.as_ref().and_then(|ready| ready.since),
            message: ready.and_then(|ready| ready.message),
        }
    }
}
