//! What blocks a rollout, a scale-up or a scale-down.

use jiff::SignedDuration;

use crate::{
    diagnosis,
    output::text::{age, list},
    workload::{
        Finding, Pod, PodManagement, Rule, Severity, Slot, Strategy, Survey, Unusable,
        canary::{Phase, Record},
        rollout::{Interference, State, Template},
        rule,
    },
};

pub(super) const RULES: &[&Rule] = &[
    &REVERT_TRAP,
    &BLOCKED_ORDINAL,
    &PARTITION_HELD,
    &PARTITION_LEFTOVER,
    &CANARY_CHANGED,
    &ON_DELETE,
    &UNOBSERVED,
];

rule!(
    REVERT_TRAP,
    "STATUS-REVERT-TRAP",
    Error,
    "A broken rollout was reverted or replaced in the template, but the controller still waits \
     for the broken pod to become Ready before it replaces anything (kubernetes #67250). Only \
     deleting that pod ends the wait.",
    "Under OrderedReady, the lowest ordinal that is not available runs a revision that the \
     template no longer has, is at or above the partition, and is broken or has not been Ready \
     for two minutes; and the controller has seen the newest template.",
    "kubectl stateful canary unstick deletes the pod that is named, and only that one; the \
     controller creates it again from the template's current revision. Its claims and their data \
     stay."
);

rule!(
    BLOCKED_ORDINAL,
    "STATUS-BLOCKED-ORDINAL",
    Error,
    "One ordinal that is not available stops all work on the set.",
    "Under OrderedReady, the controller works from the lowest ordinal up and stops at the first \
     one that is missing, terminating, not Ready, or Ready for less than minReadySeconds. The \
     finding names the work that waits for it.",
    "Fix that ordinal; the rest follows by itself."
);

rule!(
    PARTITION_HELD,
    "STATUS-PARTITION-HELD",
    Note,
    "The partition holds a rollout: the ordinals below it stay on the stable revision.",
    "spec.updateStrategy.rollingUpdate.partition is above 0, and the pods run more than one \
     revision, or the annotation of a canary says that it has staged the set. Which revision is \
     the stable one follows from what the pods run and when each revision was made. The partition \
     counts from ordinals.start.",
    "A warning says that the partition does not hold what it seems to: a pod below it would come \
     back on the new revision (CANARY-NOT-KEPT), or the next kubectl apply overwrites it \
     (CANARY-MANIFEST-PARTITION). Otherwise this is normal during a canary: canary status shows \
     where it is, and canary promote continues it. canary start --adopt takes over a rollout that \
     someone else holds."
);

rule!(
    PARTITION_LEFTOVER,
    "STATUS-PARTITION-LEFTOVER",
    Warning,
    "No rollout is under way, but the partition is still set: the next template change will reach \
     only the ordinals at or above it, and `kubectl rollout status` will call that complete.",
    "The partition is above 0, every pod runs the revision of the template, and no annotation of a \
     canary is on the set.",
    "Set the partition back to 0, unless it is held on purpose for the next change."
);

rule!(
    CANARY_CHANGED,
    "STATUS-CANARY-CHANGED",
    Warning,
    "Somebody else has changed a set with a canary on it, so the canary goes no further as it is. \
     Where the partition was changed, such as by an apply of a manifest that sets it, pods that the \
     canary held back may be moving.",
    "The annotation of the canary says other replicas, another partition, another type of the update \
     strategy or another template than the set has. The template is compared only where one set is \
     asked for: of many sets at once it is not read.",
    "canary status shows what was changed and the line that goes on; canary pause holds a rollout \
     where it is."
);

rule!(
    ON_DELETE,
    "STATUS-ON-DELETE",
    Warning,
    "The template has changed, and under OnDelete a pod gets the new template only when someone \
     deletes the pod.",
    "updateStrategy is OnDelete, and pods have a revision other than status.updateRevision.",
    "Delete the pods one at a time, from the highest ordinal down, each after the one before is \
     Ready again. A canary does that behind its gates: while there is one, the finding is a note \
     and points at it."
);

rule!(
    UNOBSERVED,
    "STATUS-UNOBSERVED",
    Warning,
    "The controller has not seen the newest spec, so the status is that of an older spec.",
    "status.observedGeneration is below metadata.generation.",
    "This is normal for a moment after a change. If it lasts, the StatefulSet controller is not \
     running or is far behind: check kube-controller-manager."
);

/// How long a pod of an outdated revision may be not Ready before it counts as
/// trapped. A pod that is clearly broken counts at once.
const TRAP_PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// A pod that has not been Ready, or has been overdue, for less than this is
/// probably only slow.
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
                "the controller has seen generation {}, but the newest is {}",
                set.status.observed_generation, set.generation
            ),
        ));
    }
    found.extend(blocked_ordinal(survey));
    if let Some(changed) = canary_changed(survey) {
        found.push(changed);
        return;
    }
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
                format!("{} {why}; until it is available, {}", blocker.name, undone.join(", ")),
            )
            .at(severity),
    )
}

/// Whether the blocker is only slow: nothing is wrong with it yet. A pod that
/// does not exist is created within a second or two, or an event says why not.
fn is_passing(survey: &Survey, blocker: &Slot) -> bool {
    let Some(pod) = blocker.pod else { return true };
    let young = pod
        .gone_by
        .or(pod.unready_since())
        .is_some_and(|since| survey.now.duration_since(since) < PASSING);
    let troubled =
        pod.trouble().is_some_and(|trouble| !diagnosis::is_being_scheduled(survey, pod, &trouble));
    pod.is_ready() || (young && !troubled)
}

/// The work that waits for the blocker, in words.
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

/// What somebody else has done to a canary; the same that `canary status` shows.
fn canary_changed(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let record = Record::of(set).ok().flatten().filter(|_| set.is_live())?;
    let state = State::new(survey.facts, &record, survey.now);
    let hint = format!("kubectl stateful canary status {} {}", set.name, survey.at());
    let found = |message: String| Some(CANARY_CHANGED.found(set.reference(), message).hint(&hint));
    let who = || match set.template_setter() {
        Some((manager, time)) => format!(" ({manager}, at {time:.0})"),
        None => String::new(),
    };
    if state.is_changed_again() {
        return found(format!(
            "a canary is being aborted, and somebody else changed the pod template after the \
             abort had put it back{}",
            who()
        ));
    }
    let changed = state.interference()?;
    // Pods are read after their set, and a step of the canary may come between the
    // two: `canary status` looks twice. That a set is deleted is said elsewhere.
    if matches!(changed, Interference::Escaped { .. } | Interference::BeingDeleted) {
        return None;
    }
    let who = if changed == Interference::Template { who() } else { String::new() };
    found(format!("a canary is on this set, and {}{who}", changed.sentence(&set.name)))
}

fn partition(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let partition = set.partition();
    if partition == 0 || !set.is_live() {
        return None;
    }
    let (name, at) = (&set.name, survey.at());
    let canary_status = format!("kubectl stateful canary status {name} {at}");
    let held = |message: String, hint: String| {
        Some(PARTITION_HELD.found(set.reference(), message).hint(hint))
    };
    let record = Record::of(set);
    let staged = record.as_ref().ok().and_then(Option::as_ref);
    if let Some(record) = staged.filter(|record| record.phase == Phase::Staged) {
        if let Some(applied) = set.applied_partition() {
            let message = format!(
                "partition {partition} was set by canary stage, and the manifest that kubectl \
                 apply has applied last sets the partition to {applied}: the next apply of it \
                 overwrites the one of the canary"
            );
            let found = PARTITION_HELD.found(set.reference(), message);
            return Some(found.at(Severity::Warning).hint(canary_status));
        }
        let waits = State::new(survey.facts, record, survey.now).has_template_waiting();
        let what = if waits {
            "a new template waits, and moves no pod before canary start --adopt"
        } else {
            "a template that is applied now moves no pod before canary start --adopt"
        };
        return held(
            format!("partition {partition} was set by canary stage: {what}"),
            canary_status,
        );
    }
    match Template::of(survey) {
        // One of a set that was deleted is of no canary.
        Template::Everywhere { .. }
            if !matches!(record, Ok(None) | Err(Unusable::OfAnotherSet)) =>
        {
            held(
                format!(
                    "partition {partition} belongs to a canary, and every pod runs one revision"
                ),
                canary_status,
            )
        }
        Template::Everywhere { .. } => Some(leftover(survey, partition)),
        Template::Older { update, undone, .. } => {
            let runs = |pod: &Pod| pod.revision().is_some_and(|name| undone.contains(&name));
            let still = survey.pods().filter(|(_, pod)| runs(pod));
            let still: Vec<&str> = still.map(|(slot, _)| slot.name.as_str()).collect();
            let message = format!(
                "partition {partition} is set, and the change was taken back: the template is \
                 that of {update} again, and {} still on {}",
                are(&still),
                list(&undone)
            );
            held(message, canary_status)
        }
        Template::Several { .. } => held(
            format!("partition {partition} is set, and the pods run several older revisions"),
            canary_status,
        ),
        Template::Newer { stable, .. } => {
            let stays = |slot: &&Slot| {
                let runs = slot.pod.is_none_or(|pod| pod.revision() == Some(stable));
                runs && !set.released().contains(&slot.ordinal)
            };
            held_back(survey, partition, stable, stays)
        }
        Template::Unordered { .. } | Template::Unknown => {
            // The controller says from which one it goes forward.
            let status = &set.status;
            let stable = status.current_revision.as_deref().filter(|stable| {
                status.update_revision.as_deref().is_some_and(|update| update != *stable)
            })?;
            held_back(survey, partition, stable, |slot| !set.released().contains(&slot.ordinal))
        }
    }
}

/// `web-1 is`, `web-1 and web-2 are`.
fn are(names: &[&str]) -> String {
    format!("{} {}", list(names), if names.len() == 1 { "is" } else { "are" })
}

/// A partition that holds ordinals on the stable revision.
fn held_back(
    survey: &Survey,
    partition: u32,
    stable: &str,
    stays: impl Fn(&&Slot) -> bool,
) -> Option<Finding> {
    let set = survey.set;
    let held: Vec<&str> =
        survey.slots.iter().filter(stays).map(|slot| slot.name.as_str()).collect();
    if held.is_empty() {
        return None;
    }
    let (name, at) = (&set.name, survey.at());
    // Without the revision to go back to there is more to know first.
    let hint = if set.has_canary() || survey.facts.lacks(stable) {
        format!("kubectl stateful canary status {name} {at}")
    } else {
        format!("kubectl stateful canary start {name} --adopt {at}")
    };
    if let Some(not_kept) = diagnosis::not_kept(survey, partition) {
        let message = format!("partition {partition} holds a rollout, but {not_kept}");
        let found = PARTITION_HELD.found(set.reference(), message);
        return Some(found.at(Severity::Warning).hint(hint));
    }
    let message =
        format!("partition {partition} keeps {} on the stable revision {stable}", list(&held));
    Some(PARTITION_HELD.found(set.reference(), message).hint(hint))
}

/// A partition without a rollout, and without a canary that would own it.
fn leftover(survey: &Survey, partition: u32) -> Finding {
    let set = survey.set;
    let reaches = diagnosis::next_change_reaches(survey);
    PARTITION_LEFTOVER
        .found(
            set.reference(),
            format!("partition {partition} is set and no rollout is under way: {reaches}"),
        )
        .hint(survey.move_partition(0))
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
    let pods = if reached == 0 { "no pod runs" } else { "not every pod runs" };
    let message = format!(
        "{pods} the template's revision {update} yet: under OnDelete a pod gets it only when it is \
         deleted: {}",
        list(&outdated)
    );
    let finding = ON_DELETE.found(set.reference(), message);
    Some(if set.has_canary() {
        // The canary deletes them one by one, behind its gates.
        let hint = format!("kubectl stateful canary status {} {}", set.name, survey.at());
        finding.at(Severity::Note).hint(hint)
    } else {
        finding.hint(format!("kubectl delete pod {highest} {}", survey.at()))
    })
}
