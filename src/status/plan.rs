//! Makes the picture from the facts and the time. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::stuck;
use crate::workload::{
    Facts, Finding, Manager, Pod, PodManagement, PodView, Retention, Service, Severity, Slot,
    SlotClaim, StatefulSet, Strategy, Survey, Unread, managers,
};

/// The state of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Every ordinal is available and nothing is under way.
    Ready,
    /// Not ready yet, and nothing known is in the way.
    Progressing,
    /// Something is in the way: see the findings.
    Stuck,
    /// Pods could not be read, so the state is not known.
    Unknown,
    /// Scaled to zero.
    Parked,
}

impl Health {
    pub fn label(self) -> &'static str {
        match self {
            Health::Ready => "Ready",
            Health::Progressing => "Progressing",
            Health::Stuck => "Stuck",
            Health::Unknown => "Unknown",
            Health::Parked => "Parked",
        }
    }
}

/// Where the time of judgement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// This machine's clock.
    Now,
    /// The newest time in the files: they may be days old.
    Files,
}

/// The set as it is shown, and the payload of `-o json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Picture {
    /// The time of judgement.
    #[cfg_attr(test, schemars(with = "String"))]
    pub time: Timestamp,
    pub clock: Clock,
    pub health: Health,
    pub set: SetView,
    pub managers: Vec<Manager>,
    pub revisions: Vec<RevisionView>,
    /// The ordinals, ascending, then those that are leaving.
    pub items: Vec<OrdinalView>,
    #[serde(skip)]
    pub findings: Vec<Finding>,
    #[serde(skip)]
    pub unread: Vec<Unread>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SetView {
    pub namespace: String,
    pub name: String,
    pub uid: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// Since when it is being deleted; null if it is not.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub deleting: Option<Timestamp>,
    pub replicas: u32,
    pub ordinals_start: u32,
    /// Null when the pods could not be read; so are the next two.
    pub ready: Option<u32>,
    pub available: Option<u32>,
    /// Pods that run the update revision.
    pub updated: Option<u32>,
    pub pod_management: PodManagement,
    pub strategy: String,
    /// `null` where the strategy has none.
    pub partition: Option<u32>,
    pub min_ready_seconds: u32,
    pub when_scaled: Retention,
    pub when_deleted: Retention,
    pub service: Option<ServiceView>,
    pub current_revision: Option<String>,
    pub update_revision: Option<String>,
    /// Whether the controller has seen the newest spec.
    pub observed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    pub name: String,
    /// `headless`, the Service's type, `missing`, or `unknown` when Services
    /// were not read.
    pub class: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RevisionView {
    /// Name of the ControllerRevision, or `<unknown>`.
    pub name: String,
    pub role: Role,
    pub number: Option<i64>,
    pub images: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The revision to go back to.
    Stable,
    /// The revision of the current template.
    Update,
    /// Neither: from an earlier template.
    Old,
}

impl Role {
    pub fn label(self) -> &'static str {
        match self {
            Role::Stable => "stable",
            Role::Update => "update",
            Role::Old => "old",
        }
    }
}

/// One ordinal as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrdinalView {
    #[serde(flatten)]
    pub pod: PodView,
    pub class: OrdinalClass,
    pub node: Option<String>,
    pub claims: Vec<ClaimView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OrdinalClass {
    /// Has a pod.
    Present,
    /// Should have a pod and has none.
    Missing,
    /// Outside the set's range, to be removed.
    Leaving,
    /// Pods were not read.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClaimView {
    pub name: String,
    /// `Bound`, `Pending`, `Lost`, `Terminating`, `missing`, or `unknown`.
    pub phase: String,
    pub size: Option<String>,
    pub storage_class: Option<String>,
    pub volume: Option<String>,
    /// What happens to the disk when the claim is deleted.
    pub reclaim_policy: Option<String>,
}

/// What `--wait-for` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// Every ordinal exists and is available, and none is leaving
    Ready,
    /// The same, and every ordinal that the partition does not hold runs the update revision
    Updated,
}

/// Builds the picture, with what is in the way.
pub fn judge(facts: &Facts, now: Timestamp) -> Picture {
    let survey = Survey::new(facts, now);
    let mut findings = stuck::findings(&survey);
    findings.sort_by_key(|finding| finding.severity);
    let set = set_view(&survey);
    let items: Vec<OrdinalView> = survey
        .slots
        .iter()
        .map(|slot| ordinal_view(&survey, slot, false))
        .chain(survey.leaving.iter().map(|slot| ordinal_view(&survey, slot, true)))
        .collect();
    let revisions = revision_views(&survey, &items);
    let mut picture = Picture {
        time: now,
        clock: Clock::Now,
        health: Health::Unknown,
        managers: managers(&facts.set, &facts.autoscalers),
        set,
        revisions,
        items,
        findings,
        unread: facts.unread.clone(),
    };
    picture.health = health(&survey, &picture);
    picture
}

fn health(survey: &Survey, picture: &Picture) -> Health {
    let stuck = picture.findings.iter().any(|finding| finding.severity == Severity::Error);
    // Under OnDelete nothing moves by itself, as below a partition.
    let on_delete = survey.set.strategy == Strategy::OnDelete;
    if stuck {
        Health::Stuck
    } else if !survey.pods_known {
        Health::Unknown
    } else if survey.set.replicas == 0 && survey.leaving.is_empty() {
        Health::Parked
    } else if picture.meets(if on_delete { Goal::Ready } else { Goal::Updated }) {
        Health::Ready
    } else {
        Health::Progressing
    }
}

impl SetView {
    /// `2 of 3 ready`.
    pub fn ready_text(&self) -> String {
        match self.ready {
            Some(ready) => format!("{ready} of {} ready", self.replicas),
            None => format!("{} replicas, unknown how many are ready", self.replicas),
        }
    }
}

impl Picture {
    /// Whether the goal of `--wait-for` is reached.
    pub fn meets(&self, goal: Goal) -> bool {
        let here = |item: &&OrdinalView| item.class == OrdinalClass::Present;
        // What is Ready of a set that is being deleted does not stay so.
        let settled = self.set.observed
            && self.set.deleting.is_none()
            && self.items.iter().all(|item| item.class == OrdinalClass::Present)
            && self.items.iter().filter(here).all(|item| item.pod.available);
        match goal {
            Goal::Ready => settled,
            Goal::Updated => settled && self.outdated().next().is_none(),
        }
    }

    /// Why nothing of this set stays, where it is going: no goal is reached any more.
    pub fn goes(&self) -> Option<&str> {
        let of_the_end = stuck::OF_THE_END.map(|rule| rule.id);
        let found = self.findings.iter().find(|found| of_the_end.contains(&found.id));
        found.map(|finding| finding.message.as_str())
    }

    /// The ordinals that should run the update revision and do not.
    pub fn outdated(&self) -> impl Iterator<Item = &OrdinalView> {
        let first = self.set.ordinals_start + self.set.partition.unwrap_or(0);
        self.items.iter().filter(move |item| {
            item.class == OrdinalClass::Present
                && item.pod.ordinal >= first
                && item.pod.revision != self.set.update_revision
        })
    }
}

fn set_view(survey: &Survey) -> SetView {
    let set = survey.set;
    let count = |test: &dyn Fn(&Pod) -> bool| {
        let pods = survey.pods().filter(|(_, pod)| !pod.is_terminating() && test(pod));
        survey.pods_known.then(|| u32::try_from(pods.count()).unwrap_or(u32::MAX))
    };
    SetView {
        namespace: set.namespace.clone(),
        name: set.name.clone(),
        uid: Some(set.uid.clone()).filter(|uid| !uid.is_empty()),
        created: set.created,
        deleting: set.deleting,
        replicas: set.replicas,
        ordinals_start: set.start,
        ready: count(&Pod::is_ready),
        available: count(&|pod| pod.is_available(set.min_ready_seconds, survey.now)),
        updated: count(&|pod| {
            pod.revision().is_some() && pod.revision() == set.status.update_revision.as_deref()
        }),
        pod_management: set.pod_management,
        strategy: match &set.strategy {
            Strategy::RollingUpdate { .. } => "RollingUpdate".to_owned(),
            Strategy::OnDelete => "OnDelete".to_owned(),
            Strategy::Other(other) => other.clone(),
        },
        partition: match set.strategy {
            Strategy::RollingUpdate { partition } => partition,
            Strategy::OnDelete | Strategy::Other(_) => None,
        },
        min_ready_seconds: set.min_ready_seconds,
        when_scaled: set.when_scaled,
        when_deleted: set.when_deleted,
        service: set.service_name.as_ref().map(|name| service_view(name, survey)),
        current_revision: set.status.current_revision.clone(),
        update_revision: set.status.update_revision.clone(),
        observed: set.is_observed(),
    }
}

fn service_view(name: &str, survey: &Survey) -> ServiceView {
    let class = match &survey.facts.services {
        None => "unknown".to_owned(),
        Some(services) => match services.iter().find(|service| service.name == *name) {
            None => "missing".to_owned(),
            Some(Service { headless: true, .. }) => "headless".to_owned(),
            Some(service) => service.kind.clone(),
        },
    };
    ServiceView { name: name.to_owned(), class }
}

fn ordinal_view(survey: &Survey, slot: &Slot, leaving: bool) -> OrdinalView {
    let class = match slot.pod {
        Some(_) if leaving => OrdinalClass::Leaving,
        Some(_) => OrdinalClass::Present,
        None if survey.pods_known => OrdinalClass::Missing,
        None => OrdinalClass::Unknown,
    };
    let mut pod = PodView::of(survey, slot);
    if slot.pod.is_none() {
        pod.revision = survey.revision_for(slot.ordinal).map(str::to_owned);
    }
    OrdinalView {
        pod,
        class,
        node: slot.pod.and_then(|pod| pod.node.clone()),
        claims: slot.claims.iter().map(|claim| claim_view(survey, claim)).collect(),
    }
}

fn claim_view(survey: &Survey, slot: &SlotClaim) -> ClaimView {
    let Some(claim) = slot.claim else {
        let known = survey.facts.claims.is_some();
        return ClaimView {
            name: slot.name.clone(),
            phase: if known { "missing" } else { "unknown" }.to_owned(),
            size: None,
            storage_class: None,
            volume: None,
            reclaim_policy: None,
        };
    };
    ClaimView {
        name: slot.name.clone(),
        phase: match (claim.deleting, claim.phase.as_str()) {
            (Some(_), _) => "Terminating".to_owned(),
            (None, "") => "Pending".to_owned(),
            (None, phase) => phase.to_owned(),
        },
        size: claim.capacity.clone().or_else(|| claim.request.clone()),
        storage_class: claim.class.clone().filter(|class| !class.is_empty()),
        volume: claim.volume.clone(),
        reclaim_policy: slot.bound_volume().map(|volume| volume.reclaim_policy.clone()),
    }
}

/// The revisions that ordinals run, stable first, and the two that the set's
/// status names. Others are history and not shown.
fn revision_views(survey: &Survey, items: &[OrdinalView]) -> Vec<RevisionView> {
    let status = &survey.set.status;
    let mut names: Vec<Option<&str>> = Vec::new();
    let named = [status.current_revision.as_deref(), status.update_revision.as_deref()];
    let of_set = named.into_iter().flatten().map(Some);
    let of_items = items.iter().map(|item| item.pod.revision.as_deref());
    for name in of_set.chain(of_items) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut views: Vec<RevisionView> = names
        .into_iter()
        .map(|name| {
            let revision = name.and_then(|name| survey.facts.revision(name));
            let images = match revision {
                Some(revision) if !revision.images.is_empty() => revision.images.clone(),
                // The template is the update revision, even in a manifest that
                // no controller has seen.
                _ if name == status.update_revision.as_deref() => template_images(survey.set),
                _ => Vec::new(),
            };
            RevisionView {
                name: name.unwrap_or("<unknown>").to_owned(),
                role: match name {
                    _ if name == status.current_revision.as_deref() => Role::Stable,
                    _ if name == status.update_revision.as_deref() => Role::Update,
                    _ => Role::Old,
                },
                number: revision.map(|revision| revision.number),
                images: images_text(&images),
            }
        })
        .collect();
    views.sort_by_key(|view| (view.role, view.number));
    views
}

fn template_images(set: &StatefulSet) -> Vec<(String, String)> {
    let containers = set.template.containers.iter().filter(|container| !container.init);
    containers.map(|container| (container.name.clone(), container.image.clone())).collect()
}

/// A single container needs no name in front of its image.
fn images_text(images: &[(String, String)]) -> Vec<String> {
    match images {
        [(_, image)] => vec![image.clone()],
        several => several.iter().map(|(name, image)| format!("{name}={image}")).collect(),
    }
}
