//! The way back: the next move of an abort, and of an unstick. Pure.

use jiff::SignedDuration;

use super::{
    change,
    plan::{Side, Stand, reached, trouble},
    record::{Phase, Record},
    rules,
};
use crate::{
    output::{Exit, text::age},
    workload::{Finding, Pod, PodManagement, Slot, Strategy, Survey},
};

/// The next move of an abort.
#[derive(Clone, Debug, PartialEq)]
pub enum Back {
    /// Put the template of the stable revision back, with the partition at
    /// this index, so that the controller takes back all that has moved.
    Revert { partition: u32 },
    /// Delete this pod: nobody else will (kubernetes #67250, or OnDelete).
    Replace { pod: Doomed, why: String },
    /// Nothing to do before the cluster changes or the clock passes on.
    Wait { what: String },
    /// Everything is on the stable revision: give the strategy back.
    Finish,
    /// Something is in the way.
    Stop { exit: Exit, finding: Finding },
}

/// A pod that is to be deleted, exactly as it was judged: one that has become
/// Ready since then stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
}

impl Doomed {
    pub fn of(pod: &Pod) -> Doomed {
        Doomed {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            resource_version: pod.resource_version.clone(),
        }
    }
}

/// The next move. `reverted` says that this run has put the template back
/// already: whoever changes it after that does not want it back.
pub fn next(stand: &Stand, patience: SignedDuration, reverted: bool) -> Back {
    let (set, record) = (stand.survey.set, stand.record);
    if set.deleting.is_some() {
        return stop(stand, Exit::Conflict, format!("{} is being deleted", set.name));
    }
    let back =
        stand.survey.facts.revision(&record.stable).is_some_and(|stable| {
            change::differences(&stable.template, &set.template.raw).is_empty()
        });
    if record.phase != Phase::Aborting || !back {
        if reverted && record.phase == Phase::Aborting {
            let message = "somebody else changed the pod template after it was put back".to_owned();
            let finding = rules::TEMPLATE_CHANGED.found(set.reference(), message);
            return Back::Stop { exit: Exit::Conflict, finding };
        }
        return Back::Revert { partition: landing(stand) };
    }
    if !set.is_observed() {
        return Back::Wait { what: "the controller to see the stable template".to_owned() };
    }
    let update = set.status.update_revision.as_deref();
    if update != Some(record.stable.as_str()) {
        let message = format!(
            "the template of {} is back, but the server made {} of it",
            record.stable,
            update.unwrap_or("<none>")
        );
        let finding = rules::THIRD_REVISION.found(set.reference(), message).hint(format!(
            "kubectl stateful canary history {} {}",
            set.name,
            stand.survey.at()
        ));
        return Back::Stop { exit: Exit::Manual, finding };
    }
    pods(stand, patience)
}

/// The record as the write of [`Back::Revert`] leaves it.
pub fn reverted(stand: &Stand, partition: u32, run: &str) -> Record {
    let mut record = stand.record.clone();
    record.phase = Phase::Aborting;
    record.judged = None;
    // What somebody else brought, he may bring again.
    record.adopted |= change::fingerprint(&stand.survey.set.template.raw) != record.template;
    run.clone_into(&mut record.run);
    if let Strategy::RollingUpdate { partition: now } = stand.survey.set.strategy {
        if record.on_delete {
            // It was OnDelete, and somebody has made another one of it: that
            // one is to come back.
            (record.on_delete, record.was) = (false, now);
        }
        record.partition = partition;
    }
    record
}

/// The template is back; what is left are pods.
fn pods(stand: &Stand, patience: SignedDuration) -> Back {
    let set = stand.survey.set;
    let wrong = |slot: &Slot| {
        slot.pod.is_some_and(|pod| pod.revision() != Some(stand.record.stable.as_str()))
    };
    // Somebody raised the partition again: the controller leaves these alone.
    let stays = |slot: &Slot| wrong(slot) && slot.pod.is_some_and(|pod| !pod.is_terminating());
    if stand.indexes().any(|(index, slot)| index < set.partition() && stays(slot)) {
        return Back::Revert { partition: landing(stand) };
    }
    let blocker = stand.indexes().find(|(_, slot)| !slot.is_available(set, stand.survey.now));
    if let Some((index, slot)) = blocker
        && let Some(pod) = slot.pod.filter(|pod| !pod.is_terminating())
    {
        return blocked(stand, index, pod, wrong(slot), patience);
    }
    if stand.survey.set.pod_management == PodManagement::Parallel
        && let Some((pod, why)) = broken_above(stand, patience)
    {
        return Back::Replace { pod: Doomed::of(pod), why };
    }
    if let Some((_, slot)) = blocker {
        return Back::Wait { what: format!("{} to be made again", slot.name) };
    }
    if let Some((_, slot)) = stand.indexes().rev().find(|(_, slot)| wrong(slot)) {
        if !set.takes_partition()
            && let Some(pod) = slot.pod
        {
            let why = "under OnDelete nobody else does".to_owned();
            return Back::Replace { pod: Doomed::of(pod), why };
        }
        return Back::Wait { what: format!("the controller to replace {}", slot.name) };
    }
    if set.takes_partition() && set.status.current_revision != set.status.update_revision {
        let what = "the controller to make the stable revision the current one".to_owned();
        return Back::Wait { what };
    }
    Back::Finish
}

/// The lowest ordinal that is not available, and has a pod.
fn blocked(stand: &Stand, index: u32, pod: &Pod, wrong: bool, patience: SignedDuration) -> Back {
    let survey = &stand.survey;
    let name = &pod.name;
    let unready = !pod.is_ready() && survey.is_hopeless(pod, patience);
    let broken = trouble(stand, pod);
    // A member that has just come back starts for as long as it always does,
    // whoever sent it away; only the time for the whole way ends that.
    let comes_up = pod
        .created
        .zip(pod.unready_since())
        .is_some_and(|(created, since)| since.duration_since(created) <= patience);
    let starts = !wrong && broken.is_none() && (stand.record.has_released(index) || comes_up);
    if !unready || starts {
        return Back::Wait { what: format!("{name} to be Ready") };
    }
    let since = pod.unready_since().map_or_else(String::new, |since| {
        format!(" for {}", age(survey.now.duration_since(since)))
    });
    let why = broken.unwrap_or_else(|| format!("{name} has not been Ready{since}"));
    if wrong {
        // The controller has seen the stable template and would replace this
        // pod if only it became Ready first.
        return Back::Replace { pod: Doomed::of(pod), why };
    }
    if survey.set.pod_management == PodManagement::Parallel {
        if let Some((pod, why)) = broken_above(stand, patience) {
            return Back::Replace { pod: Doomed::of(pod), why };
        }
        if let Some(name) = still_going(stand) {
            return Back::Wait { what: format!("the controller to replace {name}") };
        }
    }
    let finding = rules::STABLE_POD_BLOCKS
        .found(format!("pod/{name}"), format!("{name} runs the stable revision and: {why}"))
        .hint(format!("kubectl stateful status {} {}", survey.set.name, survey.at()));
    Back::Stop { exit: Exit::Manual, finding }
}

/// The pod that the controller will yet replace under Parallel, whatever is
/// below it: going down from the top, it stops only at what is not available.
fn still_going(stand: &Stand) -> Option<String> {
    let stable = stand.record.stable.as_str();
    for (_, slot) in stand.indexes().rev().filter(|_| stand.survey.set.takes_partition()) {
        match slot.pod {
            Some(pod) if pod.revision() != Some(stable) => return Some(slot.name.clone()),
            Some(pod) if trouble(stand, pod).is_some() => return None,
            _ => {}
        }
    }
    None
}

/// Under Parallel nobody waits for anybody, so the lowest blocker need not be
/// the one that stays: 1.35.0 to 1.35.3 leave broken pods of the old template
/// alone (kubernetes #137409).
fn broken_above<'a>(stand: &Stand<'a>, patience: SignedDuration) -> Option<(&'a Pod, String)> {
    stand.indexes().find_map(|(_, slot)| {
        let pod = slot.pod.filter(|pod| !pod.is_terminating() && !pod.is_ready())?;
        let wrong = pod.revision() != Some(stand.record.stable.as_str());
        let why = trouble(stand, pod).unwrap_or_else(|| "it does not become Ready".to_owned());
        (wrong && stand.survey.is_hopeless(pod, patience)).then_some((pod, why))
    })
}

/// Where the partition must be for the controller to take back every pod that
/// has left the stable revision: it never looks below it. Going down is safe,
/// because the template is put back in the same write.
fn landing(stand: &Stand) -> u32 {
    let set = stand.survey.set;
    let moved = stand
        .indexes()
        .find(|(_, slot)| matches!(stand.side(slot), Side::Target | Side::Other))
        .map(|(index, _)| index);
    let lowest = moved.unwrap_or(set.replicas).min(reached(&stand.survey, &stand.record.stable));
    set.partition().min(lowest)
}

fn stop(stand: &Stand, exit: Exit, message: String) -> Back {
    let finding = rules::BEING_DELETED.found(stand.survey.set.reference(), message);
    Back::Stop { exit, finding }
}

/// The pod whose deletion ends the wait of kubernetes #67250, or why there is
/// none.
///
/// # Errors
/// A finding that says what is in the way instead.
pub fn unstick<'a>(survey: &'a Survey, patience: SignedDuration) -> Result<&'a Pod, Finding> {
    if let Some((_, pod)) = survey.trapped(patience) {
        return Ok(pod);
    }
    let set = survey.set;
    let message = match survey.first_blocker() {
        None => "every ordinal is available".to_owned(),
        Some(slot) => match slot.pod {
            None => format!("the set waits for {}, which has no pod", slot.name),
            Some(pod) if pod.is_terminating() => {
                format!("the set waits for {}, which is being deleted already", slot.name)
            }
            Some(pod) if pod.revision() == set.status.update_revision.as_deref() => format!(
                "the set waits for {}, which runs what the template names: it would be made again \
                 just like that",
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
                "the controller has not seen the newest template yet".to_owned()
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
