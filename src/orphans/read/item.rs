//! An object of a list, decoded from either format, and how it is added to the
//! facts.

use crate::{
    orphans::model::{Claim, Facts, Kind, Pod, Scaler, Set, Text, Uid, Volume, Workload},
    workload::{LEGACY_CLASS, MIGRATION_MARK, SCALE_ANNOTATION},
};

/// What is kept of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Claim(Claim),
    Volume(Volume),
    /// Of a pod that names no claim only the uid is kept.
    Pod(Uid, Option<Pod>),
    /// Likewise for a workload whose template names no claim.
    Workload(Uid, Option<Workload>),
    Set(Uid, Set, Option<Workload>),
    Scaler(Scaler),
    /// Volume and node; `None` if it names no volume.
    Attachment(Option<(Text, Text)>),
}

impl Item {
    pub fn join(self, facts: &mut Facts) {
        match self {
            Item::Claim(claim) => facts.claims.push(claim),
            Item::Volume(volume) => facts.volumes.push(volume),
            Item::Pod(uid, pod) => {
                facts.live.insert(uid);
                facts.pods.extend(pod);
            }
            Item::Workload(uid, workload) => {
                facts.live.insert(uid);
                facts.workloads.extend(workload);
            }
            Item::Set(uid, set, workload) => {
                facts.live.insert(uid);
                facts.sets.push(set);
                facts.workloads.extend(workload);
            }
            Item::Scaler(scaler) => facts.scalers.push(scaler),
            Item::Attachment(attachment) => facts.attachments.extend(attachment),
        }
    }
}

/// Whether only the pod template of a kind matters.
pub fn is_plain_workload(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Deployment
            | Kind::ReplicaSet
            | Kind::ReplicationController
            | Kind::DaemonSet
            | Kind::Job
            | Kind::CronJob
            | Kind::PodTemplate
    )
}

/// The labels and annotations that matter, collected while an object is decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    helm: Option<&'a str>,
    argo: Option<&'a str>,
    flux: Option<&'a str>,
    /// Of [`LEGACY_CLASS`], which overrides the field.
    pub class: Option<&'a str>,
    pub mark: Option<&'a str>,
    /// The note of a scaling.
    pub scaling: Option<&'a str>,
}

impl<'a> Marks<'a> {
    pub fn annotation(&mut self, key: &str, value: &'a str) {
        match key {
            "meta.helm.sh/release-name" => self.helm = Some(value),
            "argocd.argoproj.io/tracking-id" => self.argo = value.split(':').next(),
            LEGACY_CLASS => self.class = Some(value),
            MIGRATION_MARK => self.mark = Some(value),
            SCALE_ANNOTATION => self.scaling = Some(value),
            _ => {}
        }
    }

    pub fn label(&mut self, key: &str, value: &'a str) {
        match key {
            "argocd.argoproj.io/instance" if self.argo.is_none() => self.argo = Some(value),
            "kustomize.toolkit.fluxcd.io/name" | "helm.toolkit.fluxcd.io/name" => {
                self.flux = Some(value);
            }
            _ => {}
        }
    }

    /// Who applies the object, by its labels and annotations.
    pub fn kept_by(&self) -> Option<String> {
        let named = |who: &str, name: &str| format!("{who} {name}");
        self.argo
            .map(|name| named("Argo CD application", name))
            .or_else(|| self.flux.map(|name| named("Flux", name)))
            .or_else(|| self.helm.map(|name| named("Helm release", name)))
    }
}

/// Removes the objects of a list that expired. Their uids stay in
/// [`Facts::live`]: a uid too many never makes a claim an orphan.
pub fn forget(facts: &mut Facts, kind: Kind) {
    match kind {
        Kind::Claim => facts.claims.clear(),
        Kind::Volume => facts.volumes.clear(),
        Kind::Pod => facts.pods.clear(),
        Kind::StatefulSet => facts.sets.clear(),
        Kind::Autoscaler | Kind::ScaledObject => {
            facts.scalers.retain(|scaler| scaler.kind != kind);
        }
        Kind::Attachment => facts.attachments.clear(),
        _ => {}
    }
    facts.workloads.retain(|workload| workload.kind != kind);
}
