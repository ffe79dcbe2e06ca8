//! What speaks against a canary before anything is written. Pure.

use super::{
    abort, allowed, foresight,
    gates::Gates,
    lines,
    plan::{self, State, gaps, reached, stable_of},
    record::{Phase, Record},
    rules, way_back,
};
use crate::{
    diagnosis,
    output::text::{count, list},
    workload::{
        Finding, Manager, ManagerKind, Pod, PodTemplate, Revision, Severity, Strategy, Survey,
        Unusable, managers, rollout::Template,
    },
};

/// How a canary starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartKind {
    /// With a change of the template by us.
    Change,
    /// With a template that somebody else has applied.
    Adopt,
    /// The partition is raised before somebody else applies a template.
    Stage,
}

/// Everything that speaks against a start. `record` is the canary that is under
/// way already.
pub fn check(survey: &Survey, record: Option<&Record>, start: StartKind) -> Vec<Finding> {
    let mut found = Vec::from_iter(namespace_deleting(survey));
    unread(survey, &mut found);
    shape(survey, &mut found);
    state(survey, record, start, &mut found);
    others(survey, start, &mut found);
    server(survey, &mut found);
    found.extend(applied_partition(survey));
    if start == StartKind::Adopt
        && let Some(stable) = stable_of(survey)
    {
        let partition = reached(survey, stable).max(survey.set.partition());
        found.extend(not_kept(survey, partition));
        let stable = record.map_or(stable, |record| record.stable.as_str());
        // One of them may go first. Another one would go behind no gate.
        found.extend(too_far_apart(survey, stable).filter(|_| gaps(survey, stable).len() > 1));
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// What speaks against continuing a canary, besides what somebody else has
/// changed of it ([`super::plan::changed_by_others`]): `promote` refuses for it,
/// and `status` shows it, which has no `gates`.
pub fn for_promote(survey: &Survey, record: &Record, gates: Option<&Gates>) -> Vec<Finding> {
    let set = survey.set;
    let mut found = Vec::from_iter(namespace_deleting(survey));
    unread(survey, &mut found);
    match record.phase {
        Phase::Rolling => {}
        Phase::Staged => {
            let waits = State::new(survey.facts, record, survey.now).has_template_waiting();
            let message = "the set is staged, and no canary has begun".to_owned();
            let finding = rules::NONE.found(set.reference(), message);
            found.push(if waits {
                finding.hint(lines::adopt(survey, Some(record)))
            } else {
                finding.hint("apply a new template first, then canary start --adopt")
            });
        }
        Phase::Aborting => found.push(going_back(survey, record)),
    }
    if record.phase == Phase::Rolling {
        // Somebody may have come to manage the set since the start.
        let kind = if record.adopted { StartKind::Adopt } else { StartKind::Change };
        others(survey, kind, &mut found);
    }
    // A canary that was staged or adopted has no gates yet.
    if let Some(gates) = gates.filter(|_| !record.gates.is_empty())
        && record.gates != gates.fingerprint()
    {
        let message = "the gates differ from those that the canary was started with".to_owned();
        found.push(rules::GATES_DIFFER.found(set.reference(), message));
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// What speaks against going back.
pub fn for_abort(survey: &Survey, record: &Record) -> Vec<Finding> {
    let mut found = Vec::new();
    unread(survey, &mut found);
    found.extend(namespace_deleting(survey));
    found.extend(way_back::lost(survey, Some(record)));
    found
}

/// A manifest that takes the partition of a canary away with the next apply.
pub fn applied_partition(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let applied = set.applied_partition().filter(|_| set.takes_partition())?;
    let released = survey.indexes().filter(|(index, _)| u64::from(*index) >= applied);
    let released: Vec<&str> = released.map(|(_, slot)| slot.name.as_str()).collect();
    let what = match released.as_slice() {
        [] => "takes the partition of the canary away".to_owned(),
        names => format!("lets {} move, whatever the canary holds", list(names)),
    };
    let message = format!(
        "the manifest that kubectl apply has applied last sets the partition to {applied}: the \
         next apply of it {what}"
    );
    Some(rules::MANIFEST_PARTITION.found(set.reference(), message))
}

/// Pods that this partition holds back, but does not keep.
pub fn not_kept(survey: &Survey, partition: u32) -> Option<Finding> {
    let message = diagnosis::not_kept(survey, partition)?;
    Some(rules::NOT_KEPT.found(survey.set.reference(), message))
}

/// A partition that stays on a set whose canary is over, as it was before.
pub fn partition_stays(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let partition = set.partition();
    if partition == 0 || !set.takes_partition() || set.has_canary() {
        return None;
    }
    let message = format!(
        "partition {partition} is on {} again, as it was when the canary began: {}",
        set.name,
        diagnosis::next_change_reaches(survey)
    );
    Some(rules::PARTITION_STAYS.found(set.reference(), message).hint(survey.move_partition(0)))
}

/// Pods that a partition below every new pod would let go.
pub fn too_far_apart(survey: &Survey, stable: &str) -> Option<Finding> {
    let set = survey.set;
    let gaps = gaps(survey, stable);
    let held: Vec<&str> = gaps.iter().map(|(_, pod)| pod.name.as_str()).collect();
    let index = usize::try_from(reached(survey, stable)).ok()?;
    let new = survey.slots.get(index).filter(|_| !held.is_empty())?;
    let message = format!(
        "{} runs the new revision although the partition {} holds it back; a partition that \
         releases it lets {} go in the same write",
        new.name,
        set.partition(),
        list(&held)
    );
    let verb = if set.has_canary() { "abort" } else { "status" };
    let line = format!("kubectl stateful canary {verb} {} {}", set.name, survey.at());
    Some(rules::ESCAPED.found(set.reference(), message).hint(line))
}

/// The namespace goes with all that is in it: nothing goes on there.
pub fn namespace_deleting(survey: &Survey) -> Option<Finding> {
    let (message, hint) = diagnosis::namespace_deleting(survey)?;
    let on = format!("namespace/{}", survey.set.namespace);
    Some(rules::NAMESPACE_DELETING.found(on, message).hint(hint))
}

/// An abort is under way.
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

/// What `status` shows of all that: what `promote` would refuse of a canary that
/// goes forward. `live`: from files nobody expects the lists that do not matter.
pub fn for_status(survey: &Survey, record: Option<&Record>, live: bool) -> Vec<Finding> {
    let mut found = match record {
        Some(record) if record.phase == Phase::Rolling => {
            let mut found = for_promote(survey, record, None);
            let state = State::new(survey.facts, record, survey.now);
            let goal = plan::one_more(&state);
            found.extend(foresight::blocking_budget(&state, &Gates::default(), goal));
            found
        }
        _ => {
            let mut found = Vec::from_iter(namespace_deleting(survey));
            unread(survey, &mut found);
            found
        }
    };
    found.retain(|finding| finding.severity == Severity::Error);
    found.retain(|finding| live || finding.id != rules::UNREAD.id);
    if let Some(record) = record {
        allowed::before(record).weigh(&mut found);
    }
    found
}

/// Whether pods and revisions could be read: without them nothing can be decided.
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
            rules::NO_REPLICAS.found(set.reference(), "the set is scaled to zero".to_owned()).hint(
                format!(
                    "change the template directly, because no pod runs it; or scale up first: \
                     kubectl stateful scale {} --replicas 1 {}",
                    set.name,
                    survey.at()
                ),
            ),
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

/// Whether the set is healthy and runs one known revision.
fn state(survey: &Survey, record: Option<&Record>, start: StartKind, found: &mut Vec<Finding>) {
    let set = survey.set;
    let at = survey.at();
    if survey.pods_known {
        // In a rollout under way, ordinals that it has reached may be unavailable.
        let stable = record.map(|record| record.stable.as_str()).or_else(|| stable_of(survey));
        let at_rest = match (start, stable) {
            (StartKind::Adopt, Some(stable)) => reached(survey, stable),
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
    if set.partition() > 0 && record.is_none() && start != StartKind::Adopt {
        found.push(
            rules::LEFTOVER_PARTITION
                .found(set.reference(), format!("partition {} is set", set.partition()))
                .hint(format!("kubectl stateful status {} {at}", set.name)),
        );
    }
    if !readable(survey) || set.replicas == 0 {
        return;
    }
    if start == StartKind::Adopt && !set.is_observed() {
        let message = "the controller has not seen the current template yet".to_owned();
        found.push(
            rules::ROLLOUT_IN_PROGRESS
                .found(set.reference(), message)
                .hint(format!("kubectl stateful status {} {at}", set.name)),
        );
        return;
    }
    if record.is_none()
        && let Some(undone) = undone(survey)
    {
        found.push(undone);
        return;
    }
    let stable = record.map_or_else(|| stable_of(survey), |record| Some(record.stable.as_str()));
    if stable.is_none() {
        let names: Vec<&str> = survey.pods().filter_map(|(_, pod)| pod.revision()).collect();
        let message = match Template::of(survey) {
            _ if names.is_empty() => "no pod has a revision label".to_owned(),
            Template::Unordered { update, other } => format!(
                "{update} and {other} were made in the same second, or it is not known when: which \
                 of them is older cannot be told"
            ),
            _ => "the pods run more than two revisions".to_owned(),
        };
        found.push(rules::NO_STABLE_REVISION.found(set.reference(), message));
        return;
    }
    found.extend(way_back::lost(survey, record));
    let update = set.status.update_revision.as_deref();
    if start != StartKind::Adopt && record.is_none() {
        let behind = survey.pods().filter(|(_, pod)| pod.revision() != update).count();
        if behind > 0 || !set.is_observed() {
            let (message, line) = if set.is_observed() {
                let all = count(survey.slots.len(), "pod");
                let message = format!("{behind} of {all} do not run the current template");
                (message, format!("canary start {} --adopt", set.name))
            } else {
                let message = "the controller has not seen the current template yet".to_owned();
                (message, format!("status {}", set.name))
            };
            found.push(
                rules::ROLLOUT_IN_PROGRESS
                    .found(set.reference(), message)
                    .hint(format!("kubectl stateful {line} {at}")),
            );
        }
    }
    if let Some(record) = record.filter(|record| record.phase == Phase::Aborting) {
        found.push(going_back(survey, record));
    }
}

/// Somebody has taken a change back: the template is older than a revision that
/// pods run. There is nothing new to be tried, and what the pods have left is
/// what they go back to. A canary would have the two the wrong way round.
pub fn undone(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let Template::Older { update, undone, kept } = Template::of(survey) else { return None };
    let left: Vec<(u32, &Pod)> = survey
        .indexes()
        .filter_map(|(index, slot)| Some((index, slot.pod?)))
        .filter(|(_, pod)| pod.revision().is_some_and(|revision| undone.contains(&revision)))
        .collect();
    let names: Vec<&str> = left.iter().map(|(_, pod)| pod.name.as_str()).collect();
    let verb = if names.len() == 1 { "runs" } else { "run" };
    let message = format!(
        "the template is that of {update}, which is older than {}, which {} {verb}: somebody has \
         taken that change back",
        list(&undone),
        list(&names)
    );
    let at = survey.at();
    let status = format!("kubectl stateful status {} {at}", set.name);
    let lowest = left.first().map_or(0, |(index, _)| *index);
    let hint = match &set.strategy {
        Strategy::OnDelete => {
            let highest = names.last().copied().unwrap_or_default();
            format!("kubectl delete pod {highest} {at}")
        }
        // The partition holds pods that are to go back, and none that is to stay.
        Strategy::RollingUpdate { .. } if lowest < set.partition() && kept.is_empty() => {
            survey.move_partition(lowest)
        }
        _ if survey.trapped(abort::PATIENCE).is_some() => {
            format!("kubectl stateful canary unstick {} {at}", set.name)
        }
        _ => status,
    };
    Some(rules::UNDONE.found(set.reference(), message).hint(hint))
}

/// Who else manages the set.
fn others(survey: &Survey, start: StartKind, found: &mut Vec<Finding>) {
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
        if rule.id == rules::GITOPS.id && start != StartKind::Change && !applies_partition(survey) {
            // It applies the template and leaves the partition alone, as intended.
            finding.severity = Severity::Note;
        }
        found.push(finding);
    }
}

/// Whether a GitOps controller applies the partition, and would overwrite ours.
fn applies_partition(survey: &Survey) -> bool {
    let mut managers = survey.set.field_managers.iter();
    managers.any(|manager| manager.partition && manager.gitops().is_some())
}

/// Known defects of this server version that break a canary.
fn server(survey: &Survey, found: &mut Vec<Finding>) {
    let Some(version) = &survey.facts.server_version else { return };
    // The controller promoted the revision on status.replicas alone; fixed in
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
pub fn numbers(version: &str) -> Option<(u32, u32, u32)> {
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

/// Warns where nothing tells a working new pod from a broken one.
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

/// The finding for an annotation that cannot be used.
pub fn unusable(survey: &Survey, why: &Unusable) -> Finding {
    why.found(&rules::RECORD_UNUSABLE, survey, "a canary", lines::forget(survey))
}

/// The revision to go back to, with its template.
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
