//! Who else writes to this object.
//!
//! One detector for all commands: each of them warns or refuses under the
//! manager's own id, because whoever reconciles a field takes our change to
//! it back.

use serde::Serialize;

use super::{Autoscaler, Read, StatefulSet};

/// Something that reconciles the set or one of its fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Manager {
    pub kind: ManagerKind,
    /// What it calls itself: a release, an application, an autoscaler.
    pub name: String,
    /// Which field of the object told.
    pub evidence: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ManagerKind {
    /// The controller in `ownerReferences`: an operator.
    Owner,
    HorizontalPodAutoscaler,
    VerticalPodAutoscaler,
    ScaledObject,
    ArgoCD,
    Flux,
    Helm,
}

impl ManagerKind {
    pub fn label(self) -> &'static str {
        match self {
            ManagerKind::Owner => "owner",
            ManagerKind::HorizontalPodAutoscaler => "HPA",
            ManagerKind::VerticalPodAutoscaler => "VPA",
            ManagerKind::ScaledObject => "KEDA",
            ManagerKind::ArgoCD => "Argo CD",
            ManagerKind::Flux => "Flux",
            ManagerKind::Helm => "Helm",
        }
    }
}

/// Everything that manages `set`: its own marks, then the autoscalers that
/// were read. An HPA that KEDA made is KEDA's.
pub fn managers(set: &StatefulSet, autoscalers: &Read<Autoscaler>) -> Vec<Manager> {
    let mut found = marks(set);
    let scalers = autoscalers.iter().flatten().filter(|scaler| scaler.targets(&set.name));
    found.extend(scalers.filter(|scaler| !scaler.made_by_keda).map(|scaler| Manager {
        kind: scaler.kind,
        name: scaler.name.clone(),
        evidence: format!("{} {} names StatefulSet/{}", scaler.kind.label(), scaler.name, set.name),
    }));
    found
}

/// What the object's own metadata says.
fn marks(set: &StatefulSet) -> Vec<Manager> {
    let mut found = Vec::new();
    let mut add = |kind, name: &str, evidence: &str| {
        if !found.iter().any(|manager: &Manager| manager.kind == kind) {
            let (name, evidence) = (name.to_owned(), evidence.to_owned());
            found.push(Manager { kind, name, evidence });
        }
    };
    if let Some(owner) = &set.controller {
        add(ManagerKind::Owner, owner, "metadata.ownerReferences[controller]");
    }
    // Argo CD tracks by annotation since 3.0 and by label before; the plain
    // `app.kubernetes.io/instance` label alone is everybody's.
    let argo = "argocd.argoproj.io/tracking-id";
    if let Some(id) = set.annotations.get(argo) {
        add(ManagerKind::ArgoCD, id.split(':').next().unwrap_or(id), argo);
    }
    let argo_label = "argocd.argoproj.io/instance";
    if let Some(name) = set.labels.get(argo_label) {
        add(ManagerKind::ArgoCD, name, argo_label);
    }
    for label in ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"] {
        if let Some(name) = set.labels.get(label) {
            add(ManagerKind::Flux, name, label);
        }
    }
    for manager in &set.field_managers {
        match manager.name.as_str() {
            name @ ("argocd-controller" | "argocd-application-controller") => {
                let instance = set.labels.get("app.kubernetes.io/instance");
                add(ManagerKind::ArgoCD, instance.map_or(name, String::as_str), "managedFields");
            }
            name @ ("kustomize-controller" | "helm-controller") => {
                add(ManagerKind::Flux, name, "managedFields");
            }
            _ => {}
        }
    }
    let release = "meta.helm.sh/release-name";
    let by_helm = set.labels.get("app.kubernetes.io/managed-by").is_some_and(|by| by == "Helm");
    if let Some(name) = set.annotations.get(release) {
        add(ManagerKind::Helm, name, release);
    } else if by_helm {
        let instance = set.labels.get("app.kubernetes.io/instance");
        add(ManagerKind::Helm, instance.map_or("", String::as_str), "app.kubernetes.io/managed-by");
    }
    found
}
