//! Who else manages this object.
//!
//! All commands share this detector, and warn or refuse because a manager that
//! reconciles a field reverts our change to it.

use jiff::Timestamp;
use serde::Serialize;

use super::{Autoscaler, FieldManager, Read, StatefulSet};

/// Something that reconciles the set or one of its fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Manager {
    pub kind: ManagerKind,
    /// The name of the release, the application or the autoscaler.
    pub name: String,
    /// The field that shows it.
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

/// Everything that manages `set`: by its own metadata, then the autoscalers. An
/// HPA that KEDA created counts as KEDA.
pub fn managers(set: &StatefulSet, autoscalers: &Read<Autoscaler>) -> Vec<Manager> {
    let mut found = from_metadata(set);
    let scalers = autoscalers.iter().flatten().filter(|scaler| scaler.targets(&set.name));
    found.extend(scalers.filter(|scaler| !scaler.made_by_keda).map(|scaler| Manager {
        kind: scaler.kind,
        name: scaler.name.clone(),
        evidence: format!("{} {} names StatefulSet/{}", scaler.kind.label(), scaler.name, set.name),
    }));
    found
}

/// The managers that the metadata of the set shows.
fn from_metadata(set: &StatefulSet) -> Vec<Manager> {
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
    // Argo CD tracks by annotation since 3.0, and by label before. The label
    // `app.kubernetes.io/instance` alone proves nothing: everyone uses it.
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
        let Some(kind) = manager.gitops() else { continue };
        let instance = set.labels.get("app.kubernetes.io/instance");
        let instance = instance.filter(|_| kind == ManagerKind::ArgoCD);
        add(kind, instance.unwrap_or(&manager.name), "managedFields");
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

impl StatefulSet {
    /// The field manager that has written into the template last, since this
    /// program has written to the set, and when. Who only removes a field is not
    /// among the managers.
    pub fn template_setter(&self) -> Option<(&str, Timestamp)> {
        let ours = self.field_managers.iter().filter(|manager| manager.is_ours());
        let ours = ours.filter_map(|manager| manager.time).max();
        let others = self.field_managers.iter().filter(|one| one.template && !one.is_ours());
        let last = others.filter_map(|one| Some((one.name.as_str(), one.time?)));
        let last = last.max_by_key(|(_, time)| *time)?;
        ours.is_none_or(|ours| last.1 >= ours).then_some(last)
    }
}

impl FieldManager {
    /// Whether it stands for the writes of this program.
    pub fn is_ours(&self) -> bool {
        self.name == "kubectl-stateful"
    }

    /// Argo CD or Flux, if it is a controller of theirs.
    pub fn gitops(&self) -> Option<ManagerKind> {
        match self.name.as_str() {
            "argocd-controller" | "argocd-application-controller" => Some(ManagerKind::ArgoCD),
            "kustomize-controller" | "helm-controller" => Some(ManagerKind::Flux),
            _ => None,
        }
    }
}
