//! The claims of the pods that a canary makes go. A claim that is being deleted is
//! held by its pod alone: whoever ends the pod ends the claim, and with it the
//! disk, unless the volume is kept. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    plan::{self, State},
    record::Phase,
    rules,
};
use crate::workload::{
    Claim, Facts, Finding, Pod, Severity, Survey, Volume, VolumeSeen, has_volume,
    rollout::{Template, reached},
};

/// What is known of claims that somebody has deleted.
pub struct LeavingClaims {
    /// Those of the pods that go next: that step would be refused.
    pub ahead: Vec<Finding>,
    /// Those of the other pods.
    pub others: Vec<Finding>,
    /// Whether an abort would be refused.
    pub behind: bool,
}

/// What was read of the claims of some pods.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub claims: Vec<Claim>,
    /// The volumes of the claims that are being deleted, `None` where there is
    /// none. Those that may not be read are missing.
    pub volumes: BTreeMap<String, Option<Volume>>,
}

impl Seen {
    /// What a dump has of them.
    pub fn of(facts: &Facts) -> Seen {
        let claims: Vec<Claim> = facts.claims.iter().flatten().cloned().collect();
        let known = facts.volumes.is_some();
        let names = volumes_in_doubt(&claims).into_iter().filter(|_| known);
        let volumes = names.map(|name| (name.clone(), facts.volume(&name).cloned())).collect();
        Seen { claims, volumes }
    }
}

/// The pods from an index up that go when a write releases it: those that do not
/// run the revision that `stays`, and are not going anyway.
pub fn going(survey: &Survey, from: u32, stays: Option<&str>) -> Vec<String> {
    let goes = |pod: &&Pod| !pod.is_terminating() && (stays.is_none() || pod.revision() != stays);
    let released = survey.indexes().filter(|(index, _)| *index >= from);
    released.filter_map(|(_, slot)| slot.pod).filter(goes).map(|pod| pod.name.clone()).collect()
}

/// The claims that these pods name.
pub fn wanted(survey: &Survey, pods: &[String]) -> Vec<String> {
    let names: BTreeSet<&String> = named(survey, pods).flat_map(|pod| &pod.claims).collect();
    names.into_iter().cloned().collect()
}

/// The volumes of claims that are being deleted.
pub fn volumes_in_doubt(claims: &[Claim]) -> Vec<String> {
    let leaving = claims.iter().filter(|claim| claim.deleting.is_some());
    leaving.filter_map(|claim| claim.volume.clone()).collect()
}

/// The claims that would go with these pods, a finding each.
pub fn leaving(survey: &Survey, pods: &[String], seen: &Seen) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for pod in named(survey, pods) {
        let claims = seen.claims.iter().filter(|claim| pod.claims.contains(&claim.name));
        for claim in claims.filter(|claim| claim.deleting.is_some()) {
            if told.insert(&claim.name) && !is_ephemeral(survey, pod, claim) {
                found.extend(leaves(survey, pod, claim, seen));
            }
        }
    }
    found
}

/// Which pods go next, of a canary that is looked at: with the next step, or with
/// an abort that goes on.
pub fn ahead(state: &State) -> Vec<String> {
    let (survey, record) = (&state.survey, state.record);
    let target = survey.set.status.update_revision.as_deref();
    match record.phase {
        Phase::Rolling => going(survey, plan::one_more(state), target),
        Phase::Staged if state.has_template_waiting() => {
            going(survey, survey.set.replicas.saturating_sub(1), target)
        }
        Phase::Staged => Vec::new(),
        Phase::Aborting => behind(state),
    }
}

/// The same of a rollout that somebody may take over with `start --adopt`.
fn ahead_of_adoption(survey: &Survey) -> Vec<String> {
    let Template::Newer { stable, update } = Template::of(survey) else { return Vec::new() };
    let from = reached(survey, stable).min(survey.set.replicas.saturating_sub(1));
    going(survey, from, Some(update))
}

/// Which pods an abort makes go.
fn behind(state: &State) -> Vec<String> {
    going(&state.survey, 0, Some(&state.record.stable))
}

/// The claims that would go with a pod of the set, for all who look at it.
pub fn shown(state: &State, seen: &Seen) -> LeavingClaims {
    let behind = !leaving(&state.survey, &behind(state), seen).is_empty();
    LeavingClaims { behind, ..shown_of(&state.survey, &ahead(state), seen) }
}

/// The same of a set without a canary.
pub fn shown_at_rest(survey: &Survey, seen: &Seen) -> LeavingClaims {
    shown_of(survey, &ahead_of_adoption(survey), seen)
}

fn shown_of(survey: &Survey, ahead: &[String], seen: &Seen) -> LeavingClaims {
    let all: Vec<String> = survey.pods().map(|(_, pod)| pod.name.clone()).collect();
    let ahead = leaving(survey, ahead, seen);
    let others = leaving(survey, &all, seen).into_iter();
    let others = others.filter(|one| ahead.iter().all(|other| other.object != one.object));
    let others = others.map(|one| one.at(Severity::Warning)).collect();
    LeavingClaims { ahead, others, behind: false }
}

fn named<'a>(survey: &'a Survey, pods: &'a [String]) -> impl Iterator<Item = &'a Pod> {
    survey.pods().map(|(_, pod)| pod).filter(|pod| pods.contains(&pod.name))
}

/// Whether it was made with the pod, to end with it.
fn is_ephemeral(survey: &Survey, pod: &Pod, claim: &Claim) -> bool {
    ordinal_with(survey, pod, claim).is_none()
        && claim.owners.iter().any(|owner| owner.uid == pod.uid)
}

/// The ordinal of the pod, if this is its claim of one of the set's templates.
fn ordinal_with(survey: &Survey, pod: &Pod, claim: &Claim) -> Option<u32> {
    let set = survey.set;
    let ordinal = set.ordinal_of(&pod.name)?;
    let is_of = set.claim_templates.iter().any(|made| set.claim_name(made, ordinal) == claim.name);
    is_of.then_some(ordinal)
}

/// What becomes of a volume that is kept when its claim goes, and the line that lets
/// the claim go, after which the volume can be given back.
fn kept(survey: &Survey, pod: &Pod, claim: &Claim, volume: &str) -> (String, String) {
    let (set, at, pod_name) = (&survey.set.name, survey.at(), &pod.name);
    let fate = format!(
        "volume {volume} is kept (policy Retain), but the next {pod_name} does not get it by itself"
    );
    let Some(ordinal) = ordinal_with(survey, pod, claim) else {
        return (fate, format!("kubectl stateful status {set} {at}"));
    };
    let fate = format!(
        "{fate}. End {pod_name} by yourself, which lets the claim go; once the next one runs, give it \
         the volume back: kubectl stateful migrate recover sts/{set} --ordinal {ordinal} --pv \
         {volume} {at}"
    );
    (fate, format!("kubectl delete pod {pod_name} {at}"))
}

/// The finding for a claim with data on it.
fn leaves(survey: &Survey, pod: &Pod, claim: &Claim, seen: &Seen) -> Option<Finding> {
    let name = claim.volume.as_ref()?;
    let asked = seen.volumes.get(name);
    let volume = asked.map_or(VolumeSeen::Unread, |found| VolumeSeen::new(found.as_ref(), true));
    if !has_volume(claim, volume) {
        return None;
    }
    let keep = survey.keep_volume(name);
    let (fate, hint) = match volume {
        VolumeSeen::Found(volume) if volume.reclaim_policy != "Retain" => {
            let policy = &volume.reclaim_policy;
            let fate = format!(
                "volume {name} and all data on it go with it (policy {policy}). Keep the disk first, \
                 then the same command says how its pod gets it back"
            );
            (fate, keep)
        }
        VolumeSeen::Found(volume) if volume.deleting.is_some() => (
            format!(
                "volume {name} goes with it, which is being deleted too: nothing in the cluster \
                 names its disk then"
            ),
            format!("kubectl get pv {name} -o yaml{}", survey.cluster_wide()),
        ),
        VolumeSeen::Found(_) => kept(survey, pod, claim, name),
        VolumeSeen::Unread | VolumeSeen::Gone => {
            (format!("what happens to volume {name} then is not known"), keep)
        }
    };
    let message = format!(
        "claim {} of {} is being deleted, and is gone once no pod uses it; {fate}",
        claim.name, pod.name
    );
    let on = format!("persistentvolumeclaim/{}", claim.name);
    Some(rules::CLAIM_LEAVING.found(on, message).hint(hint))
}
