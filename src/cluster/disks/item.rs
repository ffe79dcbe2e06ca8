//! An object of a list, whatever its form was, and how it joins the others.

use crate::{
    migrate::journal::ANNOTATION,
    orphans::model::{Claim, Facts, Kind, Pod, Scaler, Set, Text, Uid, Volume, Workload},
};

/// What of an object is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Claim(Claim),
    Volume(Volume),
    /// A pod that names no claim is only known to be there.
    Pod(Uid, Option<Pod>),
    /// A template that names no claim likewise.
    Workload(Uid, Option<Workload>),
    Set(Uid, Set, Option<Workload>),
    Scaler(Scaler),
    /// Volume and node; none for one that is of no volume.
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

/// Whether a kind has a pod template, and nothing else that counts.
pub fn is_plain_workload(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Deployment
            | Kind::ReplicaSet
            | Kind::ReplicationController
            | Kind::DaemonSet
            | Kind::Job
            | Kind::CronJob
    )
}

/// Labels and annotations that decide, while an object is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks<'a> {
    helm: Option<&'a str>,
    argo: Option<&'a str>,
    flux: Option<&'a str>,
    /// `volume.beta.kubernetes.io/storage-class`, which goes before the field.
    pub class: Option<&'a str>,
    pub migrates: bool,
}

impl<'a> Marks<'a> {
    pub fn annotation(&mut self, key: &str, value: &'a str) {
        match key {
            "meta.helm.sh/release-name" => self.helm = Some(value),
            "argocd.argoproj.io/tracking-id" => self.argo = value.split(':').next(),
            "volume.beta.kubernetes.io/storage-class" => self.class = Some(value),
            ANNOTATION => self.migrates = true,
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

    /// Whoever keeps the object as a file somewhere says.
    pub fn kept_by(&self) -> Option<String> {
        let named = |who: &str, name: &str| format!("{who} {name}");
        self.argo
            .map(|name| named("Argo CD application", name))
            .or_else(|| self.flux.map(|name| named("Flux", name)))
            .or_else(|| self.helm.map(|name| named("Helm release", name)))
    }
}

/// Takes back what a list that expired has given. That its objects were there
/// is not forgotten: one too many that lives makes nothing an orphan.
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
