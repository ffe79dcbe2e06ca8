//! Objects around a set: Services, autoscalers, budgets, events, nodes.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Labels, Meta,
    pod::{ConditionObject, condition},
    set::{SelectorObject, selector},
};
use crate::workload::{Attachment, Autoscaler, Budget, Event, ManagerKind, Node, Quota, Service};

#[derive(Debug, Deserialize)]
pub struct ServiceObject {
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
pub struct AutoscalerObject {
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
pub struct BudgetObject {
    metadata: Meta,
    #[serde(default)]
    spec: BudgetSpec,
    #[serde(default)]
    status: BudgetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BudgetSpec {
    selector: Option<SelectorObject>,
    /// A number, or a percentage.
    min_available: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BudgetStatus {
    observed_generation: i64,
    disruptions_allowed: i64,
    expected_pods: i64,
    desired_healthy: i64,
    current_healthy: i64,
}

impl From<BudgetObject> for Budget {
    fn from(BudgetObject { metadata: meta, spec, status }: BudgetObject) -> Budget {
        Budget {
            name: meta.name,
            selector: spec.selector.map(selector),
            min_available: spec.min_available.and_then(|least| u32::try_from(least.as_u64()?).ok()),
            disruptions_allowed: status.disruptions_allowed,
            expected_pods: status.expected_pods,
            desired_healthy: status.desired_healthy,
            current_healthy: status.current_healthy,
            observed: status.observed_generation >= meta.generation,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventObject {
    #[serde(default)]
    metadata: Meta,
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
#[serde(rename_all = "camelCase", default)]
struct InvolvedObject {
    uid: String,
    /// `spec.containers{nginx}`.
    field_path: String,
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
            name: object.metadata.name,
            container: container_of(&involved.field_path),
            object_uid: involved.uid,
            reason: object.reason,
            message: object.message,
            count: series_count.or(object.count).unwrap_or(1),
            last: series_last.or(object.last_timestamp).or(object.event_time),
        }
    }
}

/// `nginx` of `spec.containers{nginx}`.
fn container_of(path: &str) -> Option<String> {
    Some(path.strip_suffix('}')?.split_once('{')?.1.to_owned())
}

#[derive(Debug, Deserialize)]
pub struct AttachmentObject {
    #[serde(default)]
    metadata: Meta,
    spec: AttachmentSpec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachmentSpec {
    #[serde(default)]
    node_name: String,
    #[serde(default)]
    source: AttachmentSource,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AttachmentSource {
    persistent_volume_name: Option<String>,
}

impl From<AttachmentObject> for Option<Attachment> {
    fn from(object: AttachmentObject) -> Option<Attachment> {
        Some(Attachment {
            volume: object.spec.source.persistent_volume_name?,
            node: object.spec.node_name,
            since: object.metadata.creation_timestamp,
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct QuotaObject {
    pub metadata: Meta,
    #[serde(default)]
    status: QuotaStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct QuotaStatus {
    hard: Option<Labels>,
    used: Option<Labels>,
}

impl From<QuotaObject> for Quota {
    fn from(QuotaObject { metadata, status }: QuotaObject) -> Quota {
        Quota {
            name: metadata.name,
            hard: status.hard.unwrap_or_default(),
            used: status.used.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct NodeObject {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_budget_covers_what_policy_v1_says() {
        let budget = |selector: &Value| {
            let object = json!({
                "metadata": {"name": "b", "generation": 2},
                "spec": {"selector": selector},
                "status": {"observedGeneration": 1, "disruptionsAllowed": 1, "expectedPods": 3},
            });
            Budget::from(serde_json::from_value::<BudgetObject>(object).unwrap())
        };
        let web = Labels::from([("app".to_owned(), "web".to_owned())]);
        assert!(!budget(&Value::Null).covers(&web), "a null selector selects nothing");
        assert!(budget(&json!({})).covers(&web), "an empty one everything");
        assert!(budget(&json!({"matchLabels": {"app": "web"}})).covers(&web));
        assert!(!budget(&json!({"matchLabels": {"app": "db"}})).covers(&web));
        let read = budget(&json!({}));
        assert!(!read.observed, "its numbers are about an older spec");
        assert_eq!((read.disruptions_allowed, read.expected_pods), (1, 3));
        let fresh = json!({"metadata": {"name": "b", "generation": 1}, "spec": {}});
        assert!(!Budget::from(serde_json::from_value::<BudgetObject>(fresh).unwrap()).observed);
    }
}
