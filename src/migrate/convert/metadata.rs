//! The metadata that a new object inherits from the old one.

use serde_json::{Map, Value};

use super::{Converter, fold::Source};
use crate::{
    migrate::rules,
    workload::{
        Finding,
        raw::{entries, items, join, kind_and_name, text},
    },
};

/// Fields that only the server writes.
const SERVER_SET: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "selfLink",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

pub const INSTANCE: &str = "app.kubernetes.io/instance";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// What the metadata is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Set,
    Claim,
}

/// Who owns a label or annotation that must not be copied.
fn owner(key: &str, value: &str, heir: Target) -> Option<&'static str> {
    let (prefix, rest) = key.split_once('/').unwrap_or(("", key));
    let tracking = match prefix {
        "argocd.argoproj.io" if matches!(rest, "tracking-id" | "instance") => "Argo CD",
        "kustomize.toolkit.fluxcd.io" | "helm.toolkit.fluxcd.io"
            if matches!(rest, "name" | "namespace" | "checksum") =>
        {
            "Flux"
        }
        "kubectl.kubernetes.io" if rest == "last-applied-configuration" => "kubectl apply",
        "deployment.kubernetes.io" => "the Deployment controller",
        "" if rest == "pod-template-hash" => "the Deployment controller",
        _ => "",
    };
    if !tracking.is_empty() {
        return Some(tracking);
    }
    if heir == Target::Set {
        return None;
    }
    match prefix {
        "pv.kubernetes.io" | "volume.beta.kubernetes.io" => Some("the volume controller"),
        "volume.kubernetes.io"
            if matches!(rest, "selected-node" | "storage-provisioner" | "storage-resizer") =>
        {
            Some("the volume controller")
        }
        "argocd.argoproj.io" if !matches!(rest, "sync-options" | "compare-options") => {
            Some("Argo CD")
        }
        "meta.helm.sh" => Some("Helm"),
        "helm.sh" if rest != "resource-policy" => Some("Helm"),
        "app.kubernetes.io" if key == MANAGED_BY && value == "Helm" => Some("Helm"),
        "app.kubernetes.io" if key == INSTANCE => Some("a release or application"),
        _ => None,
    }
}

/// The metadata of `object` without what must not be copied, and findings about
/// that. Name and namespace are kept.
pub fn inherited_metadata(object: &Value, heir: Target) -> (Map<String, Value>, Vec<Finding>) {
    let mut metadata =
        object.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut written: Vec<String> = Vec::new();
    for key in SERVER_SET {
        if metadata.shift_remove(key).is_some() {
            written.push(join("metadata", key));
        }
    }
    if object.get("status").is_some() {
        written.push("status".to_owned());
    }
    let protection = |name: &Value| name == "kubernetes.io/pvc-protection";
    if let Some(finalizers) = metadata.shift_remove("finalizers") {
        match finalizers.as_array() {
            Some(all) if heir == Target::Claim && all.iter().all(protection) => {
                written.push("metadata.finalizers".to_owned());
            }
            _ => written
                .push("metadata.finalizers (whoever set them will add them again)".to_owned()),
        }
    }
    if metadata.shift_remove("ownerReferences").is_some() {
        written.push("metadata.ownerReferences".to_owned());
    }
    let mut findings = Vec::new();
    if !written.is_empty() {
        let message = format!("left out, written by the server: {}", written.join(", "));
        findings.push(rules::SERVER_SET.found(kind_and_name(object), message));
    }
    let mut dropped: Vec<(&str, Vec<String>)> = Vec::new();
    for list in ["labels", "annotations"] {
        let path = join("metadata", list);
        for (key, why) in remove_owned(&mut metadata, list, heir) {
            let key = join(&path, &key);
            match dropped.iter_mut().find(|(known, _)| *known == why) {
                Some((_, keys)) => keys.push(key),
                None => dropped.push((why, vec![key])),
            }
        }
    }
    for (why, keys) in dropped {
        let message = format!("not copied, owned by {why}: {}", keys.join(", "));
        findings.push(rules::KEY_DROPPED.found(kind_and_name(object), message));
    }
    (metadata, findings)
}

/// Removes the keys that must not be copied, and returns them with their owners.
/// The list itself is removed when nothing is left in it.
fn remove_owned(
    metadata: &mut Map<String, Value>,
    list: &str,
    heir: Target,
) -> Vec<(String, &'static str)> {
    let Some(Value::Object(pairs)) = metadata.get_mut(list) else { return Vec::new() };
    let gone: Vec<(String, &'static str)> = pairs
        .iter()
        .filter_map(|(key, value)| {
            Some((key.clone(), owner(key, value.as_str().unwrap_or_default(), heir)?))
        })
        .collect();
    for (key, _) in &gone {
        pairs.shift_remove(key);
    }
    if pairs.is_empty() && !gone.is_empty() {
        metadata.shift_remove(list);
    }
    gone
}

/// Every key of labels and annotations.
fn keys(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let lists = ["/metadata/labels", "/metadata/annotations"];
    lists
        .into_iter()
        .flat_map(|list| entries(object, list))
        .map(|(key, value)| (key.as_str(), value))
}

/// Whether the object has a mark of Argo CD, or one meant for it.
pub fn has_argo(object: &Value) -> bool {
    let manager = |entry: &Value| {
        let name = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        name.starts_with("argocd-")
    };
    keys(object).any(|(key, _)| key.starts_with("argocd.argoproj.io/"))
        || items(object, "/metadata/managedFields").any(manager)
}

fn has_flux(object: &Value) -> bool {
    keys(object)
        .any(|(key, _)| key.split('/').next().is_some_and(|p| p.ends_with(".toolkit.fluxcd.io")))
}

fn has_helm(object: &Value) -> bool {
    keys(object).any(|(key, value)| {
        key.starts_with("meta.helm.sh/") || (key == MANAGED_BY && value == "Helm")
    })
}

/// Who makes the object again when it is gone, or sets it back, from a manifest
/// or a resource of their own: as far as the object itself shows it.
pub fn makers(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for owner in items(object, "/metadata/ownerReferences") {
        let word = |pointer: &str| text(owner, pointer).unwrap_or("<unknown>");
        found.push(format!("{} {}", word("/kind"), word("/name")));
    }
    let known =
        [(has_argo(object), "Argo CD"), (has_flux(object), "Flux"), (has_helm(object), "Helm")];
    found.extend(known.iter().filter(|(is, _)| *is).map(|(_, who)| (*who).to_owned()));
    let client_side = "kubectl.kubernetes.io/last-applied-configuration";
    let applied = keys(object).any(|(key, _)| key == client_side);
    let mut by_kubectl = applied;
    for entry in items(object, "/metadata/managedFields") {
        if text(entry, "/operation") != Some("Apply") {
            continue;
        }
        match text(entry, "/manager").unwrap_or_default() {
            "kubectl" => by_kubectl = true,
            "kubectl-stateful" | "helm" | "kustomize-controller" | "helm-controller" => {}
            argo if argo.starts_with("argocd-") => {}
            other => found.push(format!("{other} (server-side apply)")),
        }
    }
    if by_kubectl {
        found.push("kubectl apply".to_owned());
    }
    found
}

impl Converter<'_> {
    /// Finds tools that would undo the change.
    pub(super) fn check_managers(&mut self, source: &Source, group: &[usize]) {
        for &index in group {
            let deployment = &self.objects[index];
            let mut found = |rule: &crate::workload::Rule, message: String| {
                self.findings.push(rule.found(kind_and_name(deployment), message));
            };
            if has_argo(deployment) || has_flux(deployment) {
                let who = if has_argo(deployment) { "Argo CD" } else { "Flux" };
                let message = format!(
                    "{who} keeps {} in sync with Git: suspend it for the move",
                    kind_and_name(deployment)
                );
                found(&rules::GITOPS, message);
            }
            if has_helm(deployment) {
                let message = format!(
                    "{} belongs to a Helm release: its next upgrade recreates it unless the chart \
                     changes",
                    kind_and_name(deployment)
                );
                found(&rules::HELM, message);
            }
        }
        let instance =
            entries(&source.body, "/spec/selector/matchLabels").any(|(key, _)| key == INSTANCE);
        if instance {
            let message = format!(
                "the selector has {INSTANCE}, so the controller puts it on every claim that it creates"
            );
            self.findings.push(rules::INSTANCE_LABEL.found(kind_and_name(&source.body), message));
        }
    }
}
