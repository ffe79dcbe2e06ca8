//! The next move of an abort, and the pod that `unstick` deletes. Pure.

use jiff::SignedDuration;

use super::{
    diff,
    foreign::ForeignTemplate,
    missing,
    plan::{Side, State, reached, trouble},
    record::{Phase, Record},
    rules,
};
use crate::{
    diagnosis,
    output::{Exit, text::age},
    steps::PodToDelete,
    workload::{Finding, Pod, PodManagement, Slot, Strategy, Survey},
};

/// How long a pod may be unready before it counts as hopeless, where no flag
/// says.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// The next move of an abort.
#[derive(Clone, Debug, PartialEq)]
pub enum AbortMove {
    /// Put the template of the stable revision back, with the partition at this
    /// index, so that the controller replaces every pod that has moved.
    Revert { partition: u32 },
    /// Delete this pod: the controller does not (kubernetes #67250, or OnDelete).
    Replace { pod: PodToDelete, why: String },
    /// Nothing to do until the cluster changes, or time passes.
    Wait { what: String },
    /// Every pod runs the stable revision: restore the update strategy.
    Finish,
    /// Something is in the way.
    Stop { exit: Exit, finding: Finding },
}

/// The next move. `reverted`: this run has put the template back already, so a
/// template that differs again was changed by somebody else since.
pub fn next(state: &State, patience: SignedDuration, reverted: bool) -> AbortMove {
    let (set, record) = (state.survey.set, state.record);
    if set.deleting.is_some() {
        return stop(state, Exit::Conflict, format!("{} is being deleted", set.name));
    }
    let is_back =
        state.survey.facts.revision(&record.stable).is_some_and(|stable| {
            diff::differences(&stable.template, &set.template.raw).is_empty()
        });
    if record.phase != Phase::Aborting || !is_back {
        if reverted
            && record.phase == Phase::Aborting
            && let Some(theirs) = ForeignTemplate::of(state)
        {
            return AbortMove::Stop { exit: Exit::Conflict, finding: theirs.changed(state) };
        }
        if is_back && is_over(state, patience) {
            return AbortMove::Finish;
        }
        return AbortMove::Revert { partition: revert_partition(state) };
    }
    if !set.is_observed() {
        return AbortMove::Wait { what: "the controller to see the stable template".to_owned() };
    }
    let update = set.status.update_revision.as_deref();
    if update != Some(record.stable.as_str()) {
        let message = format!(
            "the template of {} is back, but the server made revision {} from it",
            record.stable,
            update.unwrap_or("<none>")
        );
        let finding = rules::THIRD_REVISION.found(set.reference(), message).hint(format!(
            "kubectl stateful canary history {} {}",
            set.name,
            state.survey.at()
        ));
        return AbortMove::Stop { exit: Exit::Manual, finding };
    }
    pods(state, patience)
}

/// Whether the last write is all that is left of a canary that was never aborted:
/// nobody has applied anything, or somebody has taken all of it back.
fn is_over(state: &State, patience: SignedDuration) -> bool {
    let (set, stable) = (state.survey.set, state.record.stable.as_str());
    set.is_observed()
        && set.status.update_revision.as_deref() == Some(stable)
        && pods(state, patience) == AbortMove::Finish
}

/// Why an abort stands still while nobody goes on with it: what it waits for, or
/// would do next.
pub fn awaited(state: &State) -> Option<String> {
    let set = state.survey.set;
    match next(state, PATIENCE, false) {
        AbortMove::Wait { what } => Some(what + &why(state)),
        AbortMove::Replace { pod, why } => Some(format!("{} to be deleted: {why}", pod.name)),
        // What others have put there is told as such.
        AbortMove::Revert { .. } if ForeignTemplate::of(state).is_some() => None,
        AbortMove::Revert { partition } if set.partition() != partition => Some(format!(
            "the partition to be lowered to {partition}: {} holds pods back that are to go",
            set.partition()
        )),
        AbortMove::Revert { .. } => {
            Some(format!("the template of {} to be put back", state.record.stable))
        }
        AbortMove::Finish => Some("the last write of the abort".to_owned()),
        AbortMove::Stop { .. } => None,
    }
}

/// What only a person can do for an abort that is under way.
pub fn in_the_way(state: &State) -> Option<Finding> {
    match next(state, PATIENCE, false) {
        _ if state.record.phase != Phase::Aborting => None,
        AbortMove::Stop { finding, .. } => Some(finding),
        _ => None,
    }
}

/// `; ` and why the pod that is waited for does not become Ready, or does not go.
pub fn why(state: &State) -> String {
    let survey = &state.survey;
    let blocker = survey.slots.iter().find(|slot| !slot.is_available(survey.set, survey.now));
    let wrong = || {
        let mut all = state.indexes().rev().map(|(_, slot)| slot);
        all.find(|slot| slot.pod.is_some_and(|pod| pod.revision() != Some(&state.record.stable)))
    };
    let said = blocker.or_else(wrong).and_then(|slot| slot.pod).and_then(|pod| {
        if pod.is_terminating() {
            return diagnosis::overdue(survey, pod);
        }
        Some(diagnosis::unready(survey, pod)?.sentence(&pod.name, survey.now))
    });
    said.map_or_else(String::new, |said| format!("; {said}"))
}

/// The record as the write of [`AbortMove::Revert`] leaves it.
pub fn reverted(state: &State, partition: u32, run: &str) -> Record {
    let mut record = state.record.clone();
    record.phase = Phase::Aborting;
    record.passed.clear();
    // Whoever applied the template may reapply it.
    record.adopted |= diff::fingerprint(&state.survey.set.template.raw) != record.template;
    run.clone_into(&mut record.run);
    if let Strategy::RollingUpdate { partition: now } = state.survey.set.strategy {
        if record.on_delete {
            // It was OnDelete, and somebody has changed the strategy since: the
            // new one is restored at the end.
            (record.on_delete, record.was) = (false, now);
        }
        record.partition = partition;
    }
    record
}

/// The template is back, and the pods follow.
fn pods(state: &State, patience: SignedDuration) -> AbortMove {
    let set = state.survey.set;
    let wrong = |slot: &Slot| {
        slot.pod.is_some_and(|pod| pod.revision() != Some(state.record.stable.as_str()))
    };
    // Somebody has raised the partition, so the controller keeps these pods.
    let stays = |slot: &Slot| wrong(slot) && slot.pod.is_some_and(|pod| !pod.is_terminating());
    if state.indexes().any(|(index, slot)| index < set.partition() && stays(slot)) {
        return AbortMove::Revert { partition: revert_partition(state) };
    }
    let blocker = state.indexes().find(|(_, slot)| !slot.is_available(set, state.survey.now));
    if let Some((index, slot)) = blocker
        && let Some(pod) = slot.pod.filter(|pod| !pod.is_terminating())
    {
        return blocked(state, index, pod, wrong(slot), patience);
    }
    if state.survey.set.pod_management == PodManagement::Parallel
        && let Some((pod, why)) = broken_above(state, patience)
    {
        return AbortMove::Replace { pod: PodToDelete::of(pod), why };
    }
    if let Some((_, slot)) = blocker {
        let why = missing::because(state, &slot.name);
        return AbortMove::Wait { what: format!("{} to be recreated{why}", slot.name) };
    }
    if let Some((_, slot)) = state.indexes().rev().find(|(_, slot)| wrong(slot)) {
        if !set.takes_partition()
            && let Some(pod) = slot.pod
        {
            let why = "under OnDelete the controller deletes no pods".to_owned();
            return AbortMove::Replace { pod: PodToDelete::of(pod), why };
        }
        return AbortMove::Wait { what: format!("the controller to replace {}", slot.name) };
    }
    if set.takes_partition() && set.status.current_revision != set.status.update_revision {
        let what = "the controller to make the stable revision the current one".to_owned();
        return AbortMove::Wait { what };
    }
    AbortMove::Finish
}

/// The lowest ordinal that is not available, and has a pod.
fn blocked(
    state: &State,
    index: u32,
    pod: &Pod,
    wrong: bool,
    patience: SignedDuration,
) -> AbortMove {
    let survey = &state.survey;
    let name = &pod.name;
    let unready = !pod.is_ready() && survey.is_hopeless(pod, patience);
    let broken = trouble(state, pod);
    // A pod that was just made gets its normal start-up time, however long that
    // is; only the deadline of the abort ends it.
    let is_new = pod
        .created
        .zip(pod.unready_since())
        .is_some_and(|(created, since)| since.duration_since(created) <= patience);
    let starts = !wrong && broken.is_none() && (state.record.has_released(index) || is_new);
    if !unready || starts {
        return AbortMove::Wait { what: format!("{name} to be Ready") };
    }
    let since = pod.unready_since().map_or_else(String::new, |since| {
        format!(" for {}", age(survey.now.duration_since(since)))
    });
    let why = broken.unwrap_or_else(|| format!("{name} has not been Ready{since}"));
    if wrong {
        // The controller replaces this pod only once it is Ready, which it will
        // not be (kubernetes #67250).
        return AbortMove::Replace { pod: PodToDelete::of(pod), why };
    }
    if survey.set.pod_management == PodManagement::Parallel {
        if let Some((pod, why)) = broken_above(state, patience) {
            return AbortMove::Replace { pod: PodToDelete::of(pod), why };
        }
        if let Some(name) = next_replaced(state) {
            return AbortMove::Wait { what: format!("the controller to replace {name}") };
        }
    }
    let finding = rules::STABLE_POD_BLOCKS
        .found(format!("pod/{name}"), format!("{name} runs the stable revision, and {why}"))
        .hint(format!("kubectl stateful status {} {}", survey.set.name, survey.at()));
    AbortMove::Stop { exit: Exit::Manual, finding }
}

/// The pod that the controller replaces next under Parallel. It goes down from
/// the top, and stops only at a broken pod of the stable revision.
fn next_replaced(state: &State) -> Option<String> {
    let stable = state.record.stable.as_str();
    for (_, slot) in state.indexes().rev().filter(|_| state.survey.set.takes_partition()) {
        match slot.pod {
            Some(pod) if pod.revision() != Some(stable) => return Some(slot.name.clone()),
            Some(pod) if trouble(state, pod).is_some() => return None,
            _ => {}
        }
    }
    None
}

/// Under Parallel no pod waits for another one, so the pod that the controller
/// leaves alone need not be the lowest: 1.35.0 to 1.35.3 do not replace broken
/// pods of an old template (kubernetes #137409).
fn broken_above<'a>(state: &State<'a>, patience: SignedDuration) -> Option<(&'a Pod, String)> {
    state.indexes().find_map(|(_, slot)| {
        let pod = slot.pod.filter(|pod| !pod.is_terminating() && !pod.is_ready())?;
        let wrong = pod.revision() != Some(state.record.stable.as_str());
        let why = trouble(state, pod).unwrap_or_else(|| "it does not become Ready".to_owned());
        (wrong && state.survey.is_hopeless(pod, patience)).then_some((pod, why))
    })
}

/// The partition at which the controller replaces every pod that has left the
/// stable revision. Lowering it is safe, because the same write puts the stable
/// template back.
fn revert_partition(state: &State) -> u32 {
    let set = state.survey.set;
    let moved = state
        .indexes()
        .find(|(_, slot)| matches!(state.side(slot), Side::Target | Side::Other))
        .map(|(index, _)| index);
    let lowest = moved.unwrap_or(set.replicas).min(reached(&state.survey, &state.record.stable));
    set.partition().min(lowest)
}

fn stop(state: &State, exit: Exit, message: String) -> AbortMove {
    let finding = rules::BEING_DELETED.found(state.survey.set.reference(), message);
    AbortMove::Stop { exit, finding }
}

/// The pod whose deletion ends the wait of kubernetes #67250.
///
/// # Errors
/// A finding that says what the set waits for instead.
pub fn unstick<'a>(survey: &'a Survey, patience: SignedDuration) -> Result<&'a Pod, Finding> {
    if let Some((_, pod)) = survey.trapped(patience) {
        return Ok(pod);
    }
    let set = survey.set;
    let message = match survey.first_blocker() {
        None => "every ordinal is available".to_owned(),
        Some(slot) => match slot.pod {
            None => {
                let why = diagnosis::refused(survey, slot);
                let why = why.map_or_else(String::new, |refusal| format!(": {}", refusal.cause));
                format!("the set waits for {}, which has no pod{why}", slot.name)
            }
            Some(pod) if pod.is_terminating() => {
                format!("the set waits for {}, which is already being deleted", slot.name)
            }
            Some(pod) if pod.revision() == set.status.update_revision.as_deref() => format!(
                "the set waits for {}, which runs the current template: deleting it would change \
                 nothing",
                slot.name
            ),
            Some(_) if !set.released().contains(&slot.ordinal) => format!(
                "the set waits for {}, which the partition {} keeps on the stable revision",
                slot.name,
                set.partition()
            ),
            Some(_) if set.pod_management == PodManagement::Parallel => {
                "under Parallel the controller replaces broken pods by itself".to_owned()
            }
            Some(_) if !set.is_observed() => {
                "the controller has not seen the current template yet".to_owned()
            }
            Some(_) => format!(
                "{} has not been unready for {}: it may yet become Ready",
                slot.name,
                age(patience)
            ),
        },
    };
    Err(rules::NOTHING_TRAPPED.found(set.reference(), message).hint(format!(
        "kubectl stateful status {} {}",
        set.name,
        survey.at()
    )))
}
