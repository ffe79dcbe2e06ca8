//! What of an object's metadata travels to the object that is made from it.

use serde_json::{Map, Value};

use super::{
    Work,
    fold::Source,
    object::{entries, join, label},
};
use crate::{migrate::rules, workload::Finding};

/// Written by the server alone.
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

/// Whose metadata it is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heir {
    Set,
    Claim,
}

/// Why a label or annotation stays behind.
fn reason(key: &str, value: &str, heir: Heir) -> Option<&'static str> {
    let (prefix, rest) = key.split_once('/').unwrap_or(("", key));
    let tracking = match prefix {
        "argocd.argoproj.io" if matches!(rest, "tracking-id" | "instance") => "Argo CD's",
        "kustomize.toolkit.fluxcd.io" | "helm.toolkit.fluxcd.io"
            if matches!(rest, "name" | "namespace" | "checksum") =>
        {
            "Flux's"
        }
        "kubectl.kubernetes.io" if rest == "last-applied-configuration" => "kubectl apply's",
        "deployment.kubernetes.io" => "the Deployment controller's",
        "" if rest == "pod-template-hash" => "the Deployment controller's",
        _ => "",
    };
    if !tracking.is_empty() {
        return Some(tracking);
    }
    if heir == Heir::Set {
        return None;
    }
    match prefix {
        "pv.kubernetes.io" | "volume.beta.kubernetes.io" => Some("the volume controller's"),
        "volume.kubernetes.io"
            if matches!(rest, "selected-node" | "storage-provisioner" | "storage-resizer") =>
        {
            Some("the volume controller's")
        }
        "argocd.argoproj.io" if !matches!(rest, "sync-options" | "compare-options") => {
            Some("Argo CD's")
        }
        "meta.helm.sh" => Some("Helm's"),
        "helm.sh" if rest != "resource-policy" => Some("Helm's"),
        "app.kubernetes.io" if key == MANAGED_BY && value == "Helm" => Some("Helm's"),
        "app.kubernetes.io" if key == INSTANCE => Some("a release's or application's"),
        _ => None,
    }
}

/// The metadata of `object` without what must stay behind, and what is said
/// about that. Names and namespace are kept as they are.
pub fn heritage(object: &Value, heir: Heir) -> (Map<String, Value>, Vec<Finding>) {
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
            Some(all) if heir == Heir::Claim && all.iter().all(protection) => {
                written.push("metadata.finalizers".to_owned());
            }
            _ => written.push("metadata.finalizers (whoever set them adds them again)".to_owned()),
        }
    }
    if metadata.shift_remove("ownerReferences").is_some() {
        written.push("metadata.ownerReferences".to_owned());
    }
    let mut findings = Vec::new();
    if !written.is_empty() {
        let message = format!("left out, the server's own: {}", written.join(", "));
        findings.push(rules::SERVER_SET.found(label(object), message));
    }
    let mut stayed: Vec<(&str, Vec<String>)> = Vec::new();
    for list in ["labels", "annotations"] {
        let path = join("metadata", list);
        for (key, why) in prune(&mut metadata, list, heir) {
            let key = join(&path, &key);
            match stayed.iter_mut().find(|(known, _)| *known == why) {
                Some((_, keys)) => keys.push(key),
                None => stayed.push((why, vec![key])),
            }
        }
    }
    for (why, keys) in stayed {
        let message = format!("not copied, {why}: {}", keys.join(", "));
        findings.push(rules::KEY_DROPPED.found(label(object), message));
    }
    (metadata, findings)
}

/// Takes the keys of one list that must stay behind out, and the list itself
/// when nothing is left of it.
fn prune(metadata: &mut Map<String, Value>, list: &str, heir: Heir) -> Vec<(String, &'static str)> {
    let Some(Value::Object(pairs)) = metadata.get_mut(list) else { return Vec::new() };
    let gone: Vec<(String, &'static str)> = pairs
        .iter()
        .filter_map(|(key, value)| {
            Some((key.clone(), reason(key, value.as_str().unwrap_or_default(), heir)?))
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

/// Whether Argo CD has put a mark on the object, or somebody one for it.
pub fn has_argo(object: &Value) -> bool {
    let manager = |entry: &Value| {
        let name = entry.get("manager").and_then(Value::as_str).unwrap_or_default();
        name.starts_with("argocd-")
    };
    keys(object).any(|(key, _)| key.starts_with("argocd.argoproj.io/"))
        || super::object::items(object, "/metadata/managedFields").any(manager)
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

impl Work<'_> {
    /// Who would take the change back.
    pub(super) fn check_managers(&mut self, source: &Source, group: &[usize]) {
        for &index in group {
            let deployment = &self.objects[index];
            let mut found = |rule: &crate::workload::Rule, message: String| {
                self.findings.push(rule.found(label(deployment), message));
            };
            if has_argo(deployment) || has_flux(deployment) {
                let who = if has_argo(deployment) { "Argo CD" } else { "Flux" };
                let message = format!(
                    "{who} keeps {} as Git has it: suspend it for the move",
                    label(deployment)
                );
                found(&rules::GITOPS, message);
            }
            if has_helm(deployment) {
                let message = format!(
                    "{} belongs to a Helm release: its next upgrade makes it again unless the chart \
                     changes",
                    label(deployment)
                );
                found(&rules::HELM, message);
            }
        }
        let instance =
            entries(&source.body, "/spec/selector/matchLabels").any(|(key, _)| key == INSTANCE);
        if instance {
            let message = format!(
                "the selector has {INSTANCE}, and every claim that the controller makes gets it"
            );
            self.findings.push(rules::INSTANCE_LABEL.found(label(&source.body), message));
        }
    }
}
