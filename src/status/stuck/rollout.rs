//! What keeps a rollout, a scale-up or a scale-down from going on.

use jiff::SignedDuration;

use super::pods;
use crate::{
    output::text::{age, list},
    workload::{Finding, PodManagement, Rule, Severity, Slot, Strategy, Survey},
};

pub(super) const RULES: &[&Rule] = &[
    &REVERT_TRAP,
    &BLOCKED_ORDINAL,
    &PARTITION_HELD,
    &PARTITION_LEFTOVER,
    &ON_DELETE,
    &UNOBSERVED,
];

const REVERT_TRAP: Rule = Rule {
    id: "STATUS-REVERT-TRAP",
    severity: Severity::Error,
    means: "A broken rollout was taken back or replaced in the template, but the controller still \
            waits for the broken pod to become Ready before it replaces anything \
            (kubernetes #67250). Only deleting that pod ends the wait.",
    evidence: "Under OrderedReady the lowest ordinal that is not available runs a revision that \
               the template no longer names, lies at or above the partition, and is broken or has \
               not been Ready for two minutes, while the controller has seen the newest template.",
    remedy: "kubectl stateful canary unstick deletes the pod that is named, and only that one: it is \
             made anew from the revision that the template names now. Its claims and their data \
             stay.",
};

const BLOCKED_ORDINAL: Rule = Rule {
    id: "STATUS-BLOCKED-ORDINAL",
    severity: Severity::Error,
    means: "One ordinal that is not available stops all work on the set.",
    evidence: "Under OrderedReady the controller goes through the ordinals upwards and stops at \
               the first that is missing, terminating, not Ready, or Ready for less than \
               minReadySeconds. What it therefore leaves undone is named.",
    remedy: "Mend that ordinal; the rest follows by itself.",
};

const PARTITION_HELD: Rule = Rule {
    id: "STATUS-PARTITION-HELD",
    severity: Severity::Note,
    means: "A rollout is held by the partition: the ordinals below it stay on the stable revision.",
    evidence: "spec.updateStrategy.rollingUpdate.partition is above 0, the set has two revisions, \
               and ordinals below the partition run the stable one. The partition counts from \
               ordinals.start.",
    remedy: "Normal during a canary: canary status says where it is, canary promote goes on. A \
             rollout that somebody else holds is taken over with canary start --adopt.",
};

const PARTITION_LEFTOVER: Rule = Rule {
    id: "STATUS-PARTITION-LEFTOVER",
    severity: Severity::Warning,
    means: "No rollout is under way and the partition is still set: the next template change will \
            reach only the ordinals above it, and `kubectl rollout status` will call that complete.",
    evidence: "The partition is above 0 and the update revision is the stable revision.",
    remedy: "Set the partition back to 0, unless it is held on purpose for the next change.",
};

const ON_DELETE: Rule = Rule {
    id: "STATUS-ON-DELETE",
    severity: Severity::Warning,
    means: "The template has changed, and under OnDelete a pod takes it only when somebody deletes \
            the pod.",
    evidence: "updateStrategy is OnDelete and pods carry a revision other than \
               status.updateRevision.",
    remedy: "Delete the pods one at a time, the highest ordinal first, each after the one before \
             is Ready again.",
};

const UNOBSERVED: Rule = Rule {
    id: "STATUS-UNOBSERVED",
    severity: Severity::Warning,
    means: "The controller has not seen the newest spec, so the status is that of an older one.",
    evidence: "status.observedGeneration is below metadata.generation.",
    remedy: "Normal for a moment after a change. If it lasts, the StatefulSet controller is not \
             running or is far behind: look at kube-controller-manager.",
};

/// How long a pod of a revision that is no longer wanted may take to become
/// Ready before it counts as trapped; a pod that is plainly broken does not
/// get this long.
const TRAP_PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// A pod that is younger than this, or has been leaving for less, is on its
/// way and blocks nothing that would not wait for it anyway.
const PASSING: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn revert_trap(survey: &Survey, found: &mut Vec<Finding>) {
    let Some((slot, pod)) = survey.trapped(TRAP_PATIENCE) else { return };
    let set = survey.set;
    let (name, at) = (&pod.name, survey.at());
    let (has, wanted) = (
        pod.revision().unwrap_or("<none>"),
        set.status.update_revision.as_deref().unwrap_or("<none>"),
    );
    found.push(
        REVERT_TRAP
            .found(
                format!("pod/{}", slot.name),
                format!(
                    "{name} still runs {has}, the template names {wanted}, and OrderedReady waits \
                     for {name} to become Ready before it replaces it: it must be deleted by hand \
                     (kubernetes #67250)"
                ),
            )
            .hint(format!("kubectl stateful canary unstick {} {at}", set.name)),
    );
}

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    let set = survey.set;
    if set.is_live() && !set.is_observed() {
        found.push(UNOBSERVED.found(
            set.reference(),
            format!(
                "the controller has seen generation {} of {}",
                set.status.observed_generation, set.generation
            ),
        ));
    }
    found.extend(blocked_ordinal(survey));
    match &set.strategy {
        Strategy::RollingUpdate { .. } => found.extend(partition(survey)),
        Strategy::OnDelete => found.extend(on_delete(survey)),
        Strategy::Other(_) => {}
    }
}

fn blocked_ordinal(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    if set.pod_management != PodManagement::OrderedReady || !set.is_live() {
        return None;
    }
    let blocker = survey.first_blocker()?;
    let undone = undone(survey, blocker.ordinal);
    if undone.is_empty() {
        return None;
    }
    let why = match blocker.pod {
        None => "does not exist".to_owned(),
        Some(pod) if pod.is_terminating() => "is terminating".to_owned(),
        Some(pod) if pod.is_ready() => {
            format!("has not been Ready for the {} s of minReadySeconds", set.min_ready_seconds)
        }
        Some(pod) => match pod.unready_since() {
            Some(since) => {
                format!("has not been Ready for {}", age(survey.now.duration_since(since)))
            }
            None => "is not Ready".to_owned(),
        },
    };
    let severity = if is_passing(survey, blocker) { Severity::Note } else { Severity::Error };
    Some(
        BLOCKED_ORDINAL
            .found(
                format!("pod/{}", blocker.name),
                format!("{} {why}; until it is, {}", blocker.name, undone.join(", ")),
            )
            .at(severity),
    )
}

/// Whether the blocker is only on its way: young, and nothing is wrong with
/// it. A pod that is not there yet is made within a second or two, or an
/// event says why not.
fn is_passing(survey: &Survey, blocker: &Slot) -> bool {
    let Some(pod) = blocker.pod else { return true };
    let young = pod
        .gone_by
        .or(pod.unready_since())
        .is_some_and(|since| survey.now.duration_since(since) < PASSING);
    let troubled = pod.trouble().is_some_and(|trouble| !pods::is_passing(survey, pod, &trouble));
    pod.is_ready() || (young && !troubled)
}

/// The work behind the blocker, in words.
fn undone(survey: &Survey, blocker: u32) -> Vec<String> {
    let set = survey.set;
    let names = |slots: Vec<&Slot>| {
        let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
        list(&names)
    };
    let missing: Vec<&Slot> =
        survey.slots.iter().filter(|slot| slot.ordinal > blocker && slot.pod.is_none()).collect();
    let leaving: Vec<&Slot> = survey.leaving.iter().collect();
    let released = set.released();
    let outdated: Vec<&Slot> = survey
        .slots
        .iter()
        .filter(|slot| slot.ordinal != blocker && released.contains(&slot.ordinal))
        .filter(|slot| {
            slot.pod.is_some_and(|pod| pod.revision() != set.status.update_revision.as_deref())
        })
        .collect();
    let mut undone = Vec::new();
    if !missing.is_empty() {
        undone.push(format!("{} will not be created", names(missing)));
    }
    if !leaving.is_empty() {
        undone.push(format!("{} will not be removed", names(leaving)));
    }
    if !outdated.is_empty() {
        undone.push(format!("{} will not be updated", names(outdated)));
    }
    undone
}

fn partition(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let partition = set.partition();
    if partition == 0 || !set.is_live() {
        return None;
    }
    let status = &set.status;
    let released: Vec<&str> = survey
        .slots
        .iter()
        .filter(|slot| set.released().contains(&slot.ordinal))
        .map(|slot| slot.name.as_str())
        .collect();
    if status.current_revision == status.update_revision {
        let reach = match released.as_slice() {
            [] => "no pod at all".to_owned(),
            names => format!("only {}", list(names)),
        };
        let patch = r#"{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}"#;
        return Some(
            PARTITION_LEFTOVER
                .found(
                    set.reference(),
                    format!(
                        "partition {partition} is set and no rollout is under way: the next \
                         template change will reach {reach}"
                    ),
                )
                .hint(format!("kubectl patch sts {} {} -p '{patch}'", set.name, survey.at())),
        );
    }
    let held: Vec<&str> = survey
        .slots
        .iter()
        .filter(|slot| !set.released().contains(&slot.ordinal))
        .map(|slot| slot.name.as_str())
        .collect();
    let stable = status.current_revision.as_deref().unwrap_or("<none>");
    let (name, at) = (&set.name, survey.at());
    let hint = if set.has_canary() {
        format!("kubectl stateful canary status {name} {at}")
    } else {
        format!("kubectl stateful canary start {name} --adopt {at}")
    };
    Some(
        PARTITION_HELD
            .found(
                set.reference(),
                format!(
                    "partition {partition} keeps {} on the stable revision {stable}",
                    list(&held)
                ),
            )
            .hint(hint),
    )
}

fn on_delete(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let update = set.status.update_revision.as_deref()?;
    let outdated: Vec<&str> = survey
        .pods()
        .filter(|(_, pod)| !pod.is_terminating())
        .filter(|(_, pod)| pod.revision().is_some_and(|revision| revision != update))
        .map(|(slot, _)| slot.name.as_str())
        .collect();
    let highest = outdated.last()?;
    let reached = survey.pods().filter(|(_, pod)| pod.revision() == Some(update)).count();
    let nobody = if reached == 0 { "has reached nobody" } else { "has not reached all" };
    Some(
        ON_DELETE
            .found(
                set.reference(),
                format!(
                    "the template's revision {update} {nobody}: under OnDelete {} take it only \
                     when deleted",
                    list(&outdated)
                ),
            )
            .hint(format!("kubectl delete pod {highest} {}", survey.at())),
    )
}
