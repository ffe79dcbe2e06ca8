//! A StatefulSet and its revisions.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{ClaimObject, Kept, Labels, Meta};
use crate::workload::{
    Claim, ClaimTemplate, Container, Expression, FieldManager, Operation, PodManagement,
    PodTemplate, Probe, ProbeKind, Retention, Revision, Selector, SetStatus, StatefulSet, Strategy,
};

#[derive(Debug, Deserialize)]
pub struct SetObject {
    pub metadata: SetMeta,
    spec: SetSpec,
    #[serde(default)]
    status: SetStatusObject,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetMeta {
    #[serde(flatten)]
    pub common: Meta,
    managed_fields: Option<Vec<ManagedFields>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedFields {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    operation: String,
    time: Option<Timestamp>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetSpec {
    replicas: Option<u32>,
    ordinals: Option<Ordinals>,
    update_strategy: Option<Kept<UpdateStrategy>>,
    pod_management_policy: Option<String>,
    service_name: Option<String>,
    #[serde(default)]
    selector: SelectorObject,
    min_ready_seconds: Option<u32>,
    persistent_volume_claim_retention_policy: Option<RetentionPolicy>,
    volume_claim_templates: Option<Vec<ClaimObject>>,
    template: Kept<TemplateObject>,
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
#[serde(rename_all = "camelCase")]
struct RollingUpdate {
    partition: Option<u32>,
    max_unavailable: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionPolicy {
    when_scaled: Option<String>,
    when_deleted: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SelectorObject {
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
        let (strategy_raw, update_strategy) = spec
            .update_strategy
            .map_or((Value::Null, None), |Kept { raw, known }| (raw, Some(known)));
        StatefulSet {
            controller: meta.controller().map(|owner| format!("{}/{}", owner.kind, owner.name)),
            namespace: meta.namespace.unwrap_or_default(),
            name: meta.name,
            uid: meta.uid,
            resource_version: meta.resource_version,
            generation: meta.generation,
            created: meta.creation_timestamp,
            deleting: meta.deletion_timestamp,
            finalizers: meta.finalizers.unwrap_or_default(),
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
            field_managers: field_managers(managed_fields.unwrap_or_default()),
            replicas: spec.replicas.unwrap_or(1),
            start: spec.ordinals.and_then(|ordinals| ordinals.start).unwrap_or(0),
            max_unavailable: max_unavailable(update_strategy.as_ref()),
            strategy: strategy(update_strategy),
            strategy_raw,
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
                .map(Claim::from)
                .map(|Claim { name, request, class, access_modes, is_block, selector, .. }| {
                    ClaimTemplate { name, request, class, access_modes, is_block, selector }
                })
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
        // Without a type the server defaults type and partition; with a type
        // it leaves a null rollingUpdate alone.
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

fn max_unavailable(object: Option<&UpdateStrategy>) -> Option<String> {
    match object?.rolling_update.as_ref()?.max_unavailable.as_ref()? {
        Value::String(percentage) => Some(percentage.clone()),
        number => Some(number.to_string()),
    }
}

fn retention_word(word: Option<&str>) -> Retention {
    if word == Some("Delete") { Retention::Delete } else { Retention::Retain }
}

pub(super) fn selector(object: SelectorObject) -> Selector {
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

fn template(Kept { raw, known: object }: Kept<TemplateObject>) -> PodTemplate {
    let (init, main) = object.spec.map_or((None, None), |s| (s.init_containers, s.containers));
    PodTemplate {
        labels: object.metadata.labels.unwrap_or_default(),
        containers: init
            .into_iter()
            .flatten()
            .map(|object| container(object, true))
            .chain(main.into_iter().flatten().map(|object| container(object, false)))
            .collect(),
        raw,
    }
}

fn container(object: ContainerObject, init: bool) -> Container {
    let has_readiness_probe = object.readiness_probe.is_some();
    let probed = has_readiness_probe || object.startup_probe.is_some();
    let probes = [
        (ProbeKind::Startup, object.startup_probe),
        (ProbeKind::Readiness, object.readiness_probe),
        (ProbeKind::Liveness, object.liveness_probe),
    ];
    Container {
        name: object.name,
        image: object.image,
        init,
        has_readiness_probe,
        probed,
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
                operation: match entry.operation.as_str() {
                    "Apply" => Operation::Apply,
                    _ => Operation::Update,
                },
                name: entry.manager,
                time: entry.time,
            }
        })
        .collect()
}

#[derive(Debug, Deserialize)]
pub struct RevisionObject {
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
    template: Kept<TemplateObject>,
}

impl RevisionObject {
    /// Those of the set with this uid. Revisions of a deleted set with the same name may
    /// still exist.
    pub fn of_set(all: Vec<RevisionObject>, set_uid: &str) -> Vec<Revision> {
        let is_its = |one: &RevisionObject| {
            one.metadata.controller().is_none_or(|owner| owner.uid == set_uid)
        };
        all.into_iter().filter(is_its).map(Into::into).collect()
    }

    /// The uid of the set that owns it.
    pub fn owner_uid(&self) -> Option<&str> {
        self.metadata.controller().map(|owner| owner.uid.as_str())
    }

    /// Whether a set of this name owns it.
    pub fn is_of_set_named(&self, name: &str) -> bool {
        self.metadata
            .controller()
            .is_some_and(|owner| owner.kind == "StatefulSet" && owner.name == name)
    }
}

impl From<RevisionObject> for Revision {
    fn from(object: RevisionObject) -> Revision {
        let (mut template, known) = object.data.map_or((Value::Null, None), |data| {
            let Kept { raw, known } = data.spec.template;
            (raw, known.spec)
        });
        if let Value::Object(fields) = &mut template {
            // The controller adds this because it applies revisions as patches.
            fields.shift_remove("$patch");
        }
        let containers = known.and_then(|spec| spec.containers).into_iter().flatten();
        Revision {
            name: object.metadata.name,
            number: object.revision,
            created: object.metadata.creation_timestamp,
            images: containers.map(|container| (container.name, container.image)).collect(),
            template,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(spec: &Value) -> StatefulSet {
        let metadata = json!({"name": "web", "namespace": "db", "uid": "u"});
        let object = json!({"metadata": metadata, "spec": spec});
        StatefulSet::from(serde_json::from_value::<SetObject>(object).unwrap())
    }

    #[test]
    fn what_is_put_back_is_what_was_read() {
        let template = json!({
            "metadata": {"labels": {"app": "web"}, "creationTimestamp": null},
            "spec": {"newField": {"z": 1, "a": 2}, "containers": [
                {"name": "a", "image": "a:1", "readinessProbe": {"httpGet": {"port": 80}}},
                {"name": "b", "image": "b:1", "livenessProbe": {"exec": {"command": ["true"]}}},
            ]},
        });
        let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}});
        let read = set(&json!({"template": template, "updateStrategy": strategy}));
        assert_eq!(read.template.raw.to_string(), template.to_string());
        assert_eq!(read.strategy_raw, strategy);
        assert_eq!(read.max_unavailable.as_deref(), Some("25%"));
        let probed: Vec<bool> =
            read.template.containers.iter().map(|c| c.has_readiness_probe).collect();
        assert_eq!(probed, [true, false]);

        let number = json!({"rollingUpdate": {"maxUnavailable": 2, "partition": 1}});
        let read = set(&json!({"template": template, "updateStrategy": number}));
        assert_eq!(read.max_unavailable.as_deref(), Some("2"));
        for absent in [json!({"template": {}}), json!({"template": {}, "updateStrategy": null})] {
            let read = set(&absent);
            assert_eq!((read.strategy_raw, read.max_unavailable), (Value::Null, None));
        }
    }

    #[test]
    fn a_revision_is_the_template_without_the_controllers_mark() {
        let revision = |data: &Value| {
            let object = json!({
                "metadata": {"name": "web-1", "creationTimestamp": "2026-01-02T03:04:05Z"},
                "revision": 3, "data": data,
            });
            Revision::from(serde_json::from_value::<RevisionObject>(object).unwrap())
        };
        let template = json!({
            "$patch": "replace",
            "spec": {"containers": [{"name": "a", "image": "a:1", "odd": {"$patch": "delete"}}]},
        });
        let read = revision(&json!({"spec": {"template": template}}));
        assert_eq!(read.created.unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!((read.number, read.images), (3, vec![("a".to_owned(), "a:1".to_owned())]));
        assert_eq!(read.template, json!({"spec": template["spec"]}));
        assert_eq!(revision(&Value::Null).template, Value::Null);
    }
}
