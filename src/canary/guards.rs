//! What speaks against a canary before anything is written. Pure.

use super::{
    gates::Gates,
    plan::{reached, stable_of},
    record::{Phase, Record, Unusable},
    rules,
};
use crate::{
    output::text::{count, list},
    workload::{
        Finding, Manager, ManagerKind, PodTemplate, Revision, Severity, Strategy, Survey, managers,
    },
};

/// What is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A template of ours.
    Change,
    /// A template that somebody else applied.
    Adopt,
    /// Nothing yet: the partition is to hold what somebody else will apply.
    Stage,
}

/// Sets the severity that remains after `--allow`: what was allowed is still
/// said, as a warning.
pub fn allow(findings: &mut [Finding], allowed: &[String]) {
    for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Error) {
        let may = rules::ALLOWABLE.iter().any(|rule| rule.id == finding.id);
        if may && allowed.iter().any(|id| id.eq_ignore_ascii_case(finding.id)) {
            finding.severity = Severity::Warning;
        }
    }
}

/// Whether something says no.
pub fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// Everything that speaks against a beginning. `record` is the canary that is
/// there already.
pub fn check(survey: &Survey, record: Option<&Record>, beginning: Beginning) -> Vec<Finding> {
    let mut found = Vec::new();
    unread(survey, &mut found);
    shape(survey, &mut found);
    state(survey, record, beginning, &mut found);
    others(survey, beginning, &mut found);
    server(survey, &mut found);
    found.sort_by_key(|finding| finding.severity);
    found
}

/// What speaks against going on with a canary.
pub fn for_promote(survey: &Survey, record: &Record, gates: &Gates) -> Vec<Finding> {
    let set = survey.set;
    let mut found = Vec::new();
    let at = survey.at();
    unread(survey, &mut found);
    match record.phase {
        Phase::Rolling => {}
        Phase::Staged => found.push(
            rules::NONE
                .found(set.reference(), "the set is staged, and no canary has begun".to_owned())
                .hint(format!("kubectl stateful canary start {} --adopt {at}", set.name)),
        ),
        Phase::Aborting => found.push(going_back(survey, record)),
    }
    // Staged, or taken over from kubectl: nobody has named any gates yet.
    if !record.gates.is_empty() && record.gates != gates.fingerprint() {
        let message = "this run has other gates than the one that started the canary".to_owned();
        found.push(rules::GATES_DIFFER.found(set.reference(), message));
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// What speaks against going back.
pub fn for_abort(survey: &Survey, record: &Record) -> Vec<Finding> {
    let mut found = Vec::new();
    unread(survey, &mut found);
    if survey.facts.revisions.is_some() && survey.facts.revision(&record.stable).is_none() {
        let message = format!("there is no ControllerRevision {} any more", record.stable);
        found.push(rules::NO_STABLE_REVISION.found(survey.set.reference(), message));
    }
    found
}

/// The canary is on its way back.
pub fn going_back(survey: &Survey, record: &Record) -> Finding {
    let set = survey.set;
    rules::ABORT_IN_PROGRESS
        .found(set.reference(), format!("the canary is going back to {}", record.stable))
        .hint(format!("kubectl stateful canary abort {} {}", set.name, survey.at()))
}

fn unread(survey: &Survey, found: &mut Vec<Finding>) {
    for unread in &survey.facts.unread {
        let message = format!("{} could not be read: {}", unread.resource, unread.why);
        let vital = ["pods", "controllerrevisions.apps"].contains(&unread.resource.as_str());
        let rule = if vital { &rules::BLIND } else { &rules::UNREAD };
        found.push(rule.found(survey.set.reference(), message));
    }
}

/// Whether the two lists without which nothing can be decided are there.
pub fn readable(survey: &Survey) -> bool {
    survey.facts.pods.is_some() && survey.facts.revisions.is_some()
}

/// The set itself.
fn shape(survey: &Survey, found: &mut Vec<Finding>) {
    let set = survey.set;
    if set.deleting.is_some() {
        let message = format!("{} is being deleted", set.name);
        found.push(rules::BEING_DELETED.found(set.reference(), message));
    }
    if let Strategy::Other(kind) = &set.strategy {
        let message = format!("the update strategy {kind} has no partition");
        found.push(rules::UNKNOWN_STRATEGY.found(set.reference(), message));
    }
    match set.replicas {
        0 => found.push(
            rules::NO_REPLICAS.found(set.reference(), "the set is scaled to zero".to_owned()),
        ),
        1 => found.push(
            rules::SINGLE_REPLICA
                .found(set.reference(), format!("{} is the only pod", set.pod_name(set.start))),
        ),
        _ => {}
    }
    if set.strategy == Strategy::OnDelete {
        let message = "under OnDelete a pod that somebody else deletes during the canary comes \
                       back on the new version";
        found.push(rules::ON_DELETE_DRIFT.found(set.reference(), message));
    }
    if let Some(most) = set.max_unavailable.as_deref().filter(|most| *most != "1") {
        let message = format!("maxUnavailable is {most}; the canary moves one ordinal at a time");
        found.push(rules::MAX_UNAVAILABLE.found(set.reference(), message));
    }
}

/// Whether it is at rest, and on what.
fn state(survey: &Survey, record: Option<&Record>, beginning: Beginning, found: &mut Vec<Finding>) {
    let set = survey.set;
    let at = survey.at();
    if survey.pods_known {
        // A rollout under way has ordinals that come and go above where it is.
        let stable = record.map(|record| record.stable.as_str()).or_else(|| stable_of(survey));
        let at_rest = match (beginning, stable) {
            (Beginning::Adopt, Some(stable)) => reached(survey, stable),
            _ => set.replicas,
        };
        let unwell: Vec<&str> = survey
            .indexes()
            .filter(|(index, slot)| *index < at_rest && !slot.is_available(set, survey.now))
            .map(|(_, slot)| slot.name.as_str())
            .collect();
        if !unwell.is_empty() {
            let verb = if unwell.len() == 1 { "is" } else { "are" };
            found.push(
                rules::UNHEALTHY
                    .found(set.reference(), format!("{} {verb} not available", list(&unwell)))
                    .hint(format!("kubectl stateful status {} {at}", set.name)),
            );
        }
    }
    if set.partition() > 0 && record.is_none() && beginning != Beginning::Adopt {
        found.push(
            rules::LEFTOVER_PARTITION
                .found(set.reference(), format!("partition {} is set", set.partition()))
                .hint(format!("kubectl stateful status {} {at}", set.name)),
        );
    }
    if !readable(survey) || set.replicas == 0 {
        return;
    }
    let stable = record.map_or_else(|| stable_of(survey), |record| Some(record.stable.as_str()));
    let Some(stable) = stable else {
        let names: Vec<&str> = survey.pods().filter_map(|(_, pod)| pod.revision()).collect();
        let message = if names.is_empty() {
            "no pod says which revision it runs".to_owned()
        } else {
            "the pods run more than two revisions".to_owned()
        };
        found.push(rules::NO_STABLE_REVISION.found(set.reference(), message));
        return;
    };
    if survey.facts.revision(stable).is_none() {
        let message = format!("there is no ControllerRevision {stable} any more");
        found.push(rules::NO_STABLE_REVISION.found(set.reference(), message));
    }
    let update = set.status.update_revision.as_deref();
    if beginning != Beginning::Adopt && record.is_none() {
        let behind = survey.pods().filter(|(_, pod)| pod.revision() != update).count();
        if behind > 0 || !set.is_observed() {
            let message = if set.is_observed() {
                format!(
                    "{} of {} do not run what the template names",
                    behind,
                    count(survey.slots.len(), "pod")
                )
            } else {
                "the controller has not seen the newest template yet".to_owned()
            };
            found.push(
                rules::ROLLOUT_IN_PROGRESS
                    .found(set.reference(), message)
                    .hint(format!("kubectl stateful canary start {} --adopt {at}", set.name)),
            );
        }
    }
    if let Some(record) = record.filter(|record| record.phase == Phase::Aborting) {
        found.push(going_back(survey, record));
    }
}

/// Who else writes to it.
fn others(survey: &Survey, beginning: Beginning, found: &mut Vec<Finding>) {
    let set = survey.set;
    for manager in managers(set, &survey.facts.autoscalers) {
        let Manager { kind, name, evidence } = &manager;
        let label = kind.label();
        let message = format!("{label} {name} manages this set ({evidence})");
        let rule = match kind {
            ManagerKind::Owner => &rules::OWNER,
            ManagerKind::HorizontalPodAutoscaler => &rules::HPA,
            ManagerKind::ScaledObject => &rules::KEDA,
            ManagerKind::VerticalPodAutoscaler => &rules::VPA,
            ManagerKind::Helm => &rules::HELM,
            ManagerKind::ArgoCD | ManagerKind::Flux => &rules::GITOPS,
        };
        let mut finding = rule.found(set.reference(), message);
        if rule.id == rules::GITOPS.id
            && beginning != Beginning::Change
            && !applies_partition(survey)
        {
            // It brings the template and leaves the partition alone: that is
            // how it is meant to be.
            finding.severity = Severity::Note;
        }
        found.push(finding);
    }
}

/// Whether a GitOps controller writes the partition, so that it would move ours.
fn applies_partition(survey: &Survey) -> bool {
    let controllers = [
        "argocd-controller",
        "argocd-application-controller",
        "kustomize-controller",
        "helm-controller",
    ];
    survey
        .set
        .field_managers
        .iter()
        .any(|manager| manager.partition && controllers.contains(&manager.name.as_str()))
}

/// Defects of the control plane that a canary would run into.
fn server(survey: &Survey, found: &mut Vec<Finding>) {
    let Some(version) = &survey.facts.server_version else { return };
    // The controller promoted the revision on status.replicas alone; mended in
    // 1.27.8 and 1.28.4 (kubernetes #120731, picks #121396 and #121395).
    let defective = match numbers(version) {
        Some((1, 27, patch)) => patch < 8,
        Some((1, 28, patch)) => patch < 4,
        _ => false,
    };
    if defective {
        let message = format!("the server is {version}");
        found.push(rules::PROMOTION_BUG.found(survey.set.reference(), message));
    }
}

/// `v1.28.3-gke.100` as numbers.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.strip_prefix('v')?.splitn(3, '.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
    Some((major, minor, patch.parse().ok()?))
}

/// The containers of the new template that count as Ready the moment they run.
pub fn unprobed(template: &PodTemplate) -> Vec<&str> {
    let containers = template.containers.iter().filter(|container| !container.init);
    containers
        .filter(|container| !container.has_readiness_probe)
        .map(|container| container.name.as_str())
        .collect()
}

/// Says so where nothing else tells a new pod that works from one that does not.
pub fn probes(survey: &Survey, template: &PodTemplate, checks: bool) -> Option<Finding> {
    let unprobed = unprobed(template);
    if unprobed.is_empty() || checks {
        return None;
    }
    let (noun, verb) =
        if unprobed.len() == 1 { ("container", "has") } else { ("containers", "have") };
    let message = format!("{noun} {} {verb} no readiness probe", list(&unprobed));
    Some(rules::NO_READINESS_PROBE.found(survey.set.reference(), message))
}

/// What an annotation that cannot be used means.
pub fn unusable(survey: &Survey, why: &Unusable) -> Finding {
    let set = survey.set;
    let message = match why {
        Unusable::Unreadable(why) => format!("the annotation of a canary cannot be read: {why}"),
        Unusable::OfAnotherSet => {
            "the annotation of a canary belongs to a set of this name that was deleted".to_owned()
        }
    };
    let annotation = super::record::ANNOTATION;
    rules::RECORD_UNUSABLE.found(set.reference(), message).hint(format!(
        "kubectl annotate sts {} {annotation}- {}",
        set.name,
        survey.at()
    ))
}

/// The revision to come back to, with its template.
pub fn stable_revision<'a>(survey: &Survey<'a>, record: Option<&Record>) -> Option<&'a Revision> {
    match record {
        Some(record) => survey.facts.revision(&record.stable),
        None => survey.facts.revision(stable_of(survey)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_with_and_without_a_vendor_are_read() {
        assert_eq!(numbers("v1.28.3"), Some((1, 28, 3)));
        assert_eq!(numbers("v1.27.7-gke.1056000"), Some((1, 27, 7)));
        assert_eq!(numbers("v1.34.4+rke2r1"), Some((1, 34, 4)));
        assert_eq!(numbers("unknown"), None);
    }
}
