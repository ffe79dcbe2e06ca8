//! The spec of the StatefulSet, from that of the Deployment.

use serde_json::{Map, Value, json};

use super::{
    Converter, Mode,
    fold::Source,
    metadata::{Target, inherited_metadata},
    volumes::Storage,
};
use crate::{
    migrate::rules,
    workload::raw::{CONTAINERS, below, items, kind_and_name, name, text, walk},
};

/// Fields of spec that both kinds have, with the same meaning.
const COMMON: [&str; 5] =
    ["replicas", "selector", "template", "minReadySeconds", "revisionHistoryLimit"];

impl Converter<'_> {
    /// Guards that only need the Deployments themselves.
    pub(super) fn guard(&mut self, group: &[usize]) {
        for &index in group {
            let deployment = &self.objects[index];
            self.refuse_duplicates(deployment);
            let on = kind_and_name(deployment);
            if let Some(since) = text(deployment, "/metadata/deletionTimestamp") {
                let message = format!("{on} is being deleted (since {since})");
                self.findings.push(rules::BEING_DELETED.found(on.clone(), message));
            }
            for owner in items(deployment, "/metadata/ownerReferences") {
                let kind = text(owner, "/kind").unwrap_or_default();
                let owner = text(owner, "/name").unwrap_or_default();
                let message = format!("{on} belongs to {kind} {owner}");
                self.findings.push(rules::OWNER.found(on.clone(), message));
            }
            if deployment.pointer("/spec/paused") == Some(&Value::Bool(true)) {
                let hint = format!(
                    "kubectl rollout resume deploy/{}{}",
                    name(deployment),
                    self.typed(deployment)
                );
                let message = format!("{on} is paused");
                self.findings.push(rules::PAUSED.found(on.clone(), message).hint(hint));
            }
            let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64);
            let wanted = number("/spec/replicas").unwrap_or(1);
            let updated = number("/status/updatedReplicas").unwrap_or(0);
            let behind = number("/status/observedGeneration") < number("/metadata/generation");
            let seen = number("/status/observedGeneration").is_some();
            if seen && (behind || updated < wanted) {
                let message = format!("{updated} of {wanted} replicas of {on} run its template");
                let hint = format!(
                    "kubectl rollout status deploy/{}{}",
                    name(deployment),
                    self.typed(deployment)
                );
                self.findings
                    .push(rules::ROLLOUT_IN_PROGRESS.found(on.clone(), message).hint(hint));
            }
            let replicas = number("/spec/replicas").unwrap_or(1);
            if group.len() > 1 && replicas > 1 {
                let message = format!("{replicas} replicas of {on} share its claims");
                self.findings.push(
                    rules::PVC_SHARED
                        .found(on, message)
                        .hint("each Deployment of --from becomes one ordinal: scale it to 1 first"),
                );
            }
        }
    }

    pub(super) fn stateful_set(
        &mut self,
        source: &Source,
        set: &str,
        service: &str,
        storage: &Storage,
    ) -> Value {
        let (mut metadata, findings) = inherited_metadata(&source.body, Target::Set);
        self.findings.extend(findings);
        self.report_changed_labels(source, set);
        metadata.insert("name".to_owned(), set.into());
        let mut body = source.body.clone();
        let Some(fields) = body.as_object_mut() else { return body };
        let api = fields.insert("apiVersion".to_owned(), "apps/v1".into());
        fields.insert("kind".to_owned(), "StatefulSet".into());
        fields.insert("metadata".to_owned(), Value::Object(metadata));
        fields.shift_remove("status");
        let old_spec = match fields.get_mut("spec").map(Value::take) {
            Some(Value::Object(spec)) => spec,
            _ => Map::new(),
        };
        if api.as_ref().and_then(Value::as_str) != Some("apps/v1") {
            let api = api.as_ref().and_then(Value::as_str).unwrap_or_default();
            let message = format!("apiVersion {api} became apps/v1");
            self.findings.push(rules::OLD_API.found(kind_and_name(&source.body), message));
        }
        let spec = self.spec(source, old_spec, service, storage);
        fields.insert("spec".to_owned(), Value::Object(spec));
        body
    }

    fn spec(
        &mut self,
        source: &Source,
        mut old: Map<String, Value>,
        service: &str,
        storage: &Storage,
    ) -> Map<String, Value> {
        let on = kind_and_name(&source.body);
        let template = old.shift_remove("template").unwrap_or_default();
        let mut spec = Map::new();
        spec.insert("serviceName".to_owned(), service.into());
        for (key, value) in old {
            let why = match key.as_str() {
                "strategy" => strategy(&value),
                "progressDeadlineSeconds" => "a StatefulSet has no deadline".to_owned(),
                "paused" => "a StatefulSet cannot be paused".to_owned(),
                "rollbackTo" => "no server supports it any more".to_owned(),
                known => {
                    if !COMMON.contains(&known) {
                        let message =
                            format!("spec.{key} is not known to this program and was copied");
                        self.findings.push(
                            rules::UNKNOWN_FIELD
                                .found(on.clone(), message)
                                .hint("kubectl apply --dry-run=server -f …"),
                        );
                    }
                    spec.insert(key, value);
                    continue;
                }
            };
            let message = format!("spec.{key} is left out: {why}");
            self.findings.push(rules::FIELD_DROPPED.found(on.clone(), message));
        }
        let own = spec.get("replicas").cloned();
        let members = (source.ordinals > 1).then_some(source.ordinals as u64);
        if let Some(replicas) = self.options.replicas.map(u64::from).or(members) {
            if let Some(own) = own.filter(|own| own.as_u64() != Some(replicas) && members.is_none())
            {
                let message =
                    format!("spec.replicas was {own} and is now {replicas}, as requested");
                self.findings.push(rules::FIELD_DROPPED.found(on.clone(), message));
            }
            spec.insert("replicas".to_owned(), replicas.into());
        }
        if !spec.contains_key("selector") {
            let labels = template.pointer("/metadata/labels").cloned().unwrap_or_default();
            spec.insert("selector".to_owned(), json!({"matchLabels": labels}));
        }
        let hash = spec
            .get_mut("selector")
            .and_then(|selector| selector.get_mut("matchLabels"))
            .and_then(Value::as_object_mut)
            .and_then(|labels| labels.shift_remove("pod-template-hash"));
        if hash.is_some() {
            let message = "not copied, owned by the Deployment controller: \
                           spec.selector.matchLabels.pod-template-hash";
            self.findings.push(rules::KEY_DROPPED.found(on, message));
        }
        let several = spec.get("replicas").and_then(Value::as_u64).is_some_and(|count| count > 1);
        // Pods that shared a disk started at the same time, in no order.
        let parallel = several && self.options.mode == Mode::Keep;
        let policy = if parallel { "Parallel" } else { "OrderedReady" };
        spec.insert("podManagementPolicy".to_owned(), policy.into());
        spec.insert(
            "updateStrategy".to_owned(),
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        );
        if !storage.templates.is_empty() {
            spec.insert(
                "persistentVolumeClaimRetentionPolicy".to_owned(),
                json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
            );
        }
        let template = self.template(source, template, storage);
        spec.insert("template".to_owned(), template);
        if !storage.templates.is_empty() {
            let templates = Value::Array(storage.templates.clone());
            spec.insert("volumeClaimTemplates".to_owned(), templates);
        }
        spec
    }

    fn template(&mut self, source: &Source, mut template: Value, storage: &Storage) -> Value {
        let on = kind_and_name(&source.body);
        let Some(fields) = template.as_object_mut() else { return template };
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            // In dumps it is null.
            if metadata.get("creationTimestamp").is_some_and(Value::is_null) {
                metadata.shift_remove("creationTimestamp");
                let message =
                    "left out, written by the server: spec.template.metadata.creationTimestamp";
                self.findings.push(rules::SERVER_SET.found(on.clone(), message));
            }
            if let Some(Value::Object(labels)) = metadata.get_mut("labels")
                && labels.shift_remove("pod-template-hash").is_some()
            {
                let message = "not copied, owned by the Deployment controller: \
                               spec.template.metadata.labels.pod-template-hash";
                self.findings.push(rules::KEY_DROPPED.found(on.clone(), message));
            }
        }
        let Some(pod) = below(fields, "spec") else { return template };
        for (field, becomes) in [("hostname", "the pod's name"), ("subdomain", "serviceName")] {
            if let Some(value) = pod.shift_remove(field) {
                let message = format!(
                    "spec.template.spec.{field} ({}) is left out: a StatefulSet sets it to {becomes}",
                    value.as_str().unwrap_or_default()
                );
                self.findings.push(rules::POD_NAME.found(on.clone(), message));
            }
        }
        if let Some(Value::Array(volumes)) = pod.get_mut("volumes") {
            volumes.retain(|volume| {
                !text(volume, "/name").is_some_and(|name| storage.replaced.contains_key(name))
            });
            if volumes.is_empty() && !storage.replaced.is_empty() {
                pod.shift_remove("volumes");
            }
        }
        for list in CONTAINERS {
            let containers = pod.get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                rename_mounts(container, storage);
            }
        }
        template
    }

    /// Notes what in the template means something different in a StatefulSet.
    pub(super) fn report_template_changes(&mut self, source: &Source) {
        let on = kind_and_name(&source.body);
        let template = source.body.pointer("/spec/template/spec").unwrap_or(&Value::Null);
        let scratch: Vec<&str> = items(template, "/volumes")
            .filter(|volume| volume.get("emptyDir").is_some() || volume.get("ephemeral").is_some())
            .filter_map(|volume| text(volume, "/name"))
            .collect();
        if !scratch.is_empty() {
            let message =
                format!("the content of volume {} is lost with the pod", scratch.join(", "));
            self.findings.push(rules::SCRATCH.found(on.clone(), message));
        }
        let mut ports = Vec::new();
        walk(template, "spec.template.spec", &mut |path, value| {
            if text(value, "/fieldRef/fieldPath") == Some("metadata.name") {
                let message =
                    format!("{path} gives the application the name of its pod, which changes once");
                self.findings.push(rules::POD_NAME.found(on.clone(), message));
            }
            if let Some(port) = value.get("hostPort").and_then(Value::as_u64) {
                ports.push(port.to_string());
            }
        });
        if !ports.is_empty() {
            let message = format!("the pod uses port {} of its node", ports.join(", "));
            self.findings.push(rules::HOST_PORT.found(on, message));
        }
    }
}

fn strategy(strategy: &Value) -> String {
    match text(strategy, "/type").unwrap_or("RollingUpdate") {
        "Recreate" => "Recreate: a set never runs two pods of one ordinal".to_owned(),
        "RollingUpdate" if strategy.get("rollingUpdate").is_some() => {
            "RollingUpdate: the old pod is gone before the new one starts; maxSurge has no counterpart"
                .to_owned()
        }
        other => format!("{other}: the old pod is gone before the new one starts"),
    }
}

/// Renames mounts whose volume is now a claim template.
fn rename_mounts(container: &mut Value, storage: &Storage) {
    for list in ["volumeMounts", "volumeDevices"] {
        let mounts = container.get_mut(list).and_then(Value::as_array_mut);
        for mount in mounts.into_iter().flatten().filter_map(Value::as_object_mut) {
            let Some(volume) = mount.get("name").and_then(Value::as_str).map(str::to_owned) else {
                continue;
            };
            if let Some(template) = storage.replaced.get(&volume) {
                mount.insert("name".to_owned(), template.as_str().into());
            }
            if list == "volumeMounts" && storage.read_only.contains(&volume) {
                mount.insert("readOnly".to_owned(), true.into());
            }
        }
    }
}
