//! The state of a canary, and its next move. Pure.
//!
//! Positions are indexes: index 0 is the ordinal `ordinals.start`, and a
//! partition is an index (kubernetes #128529).

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    foreign::ForeignTemplate,
    lines,
    missing::{self, Refused},
    record::Passed,
    rules,
};
pub use crate::workload::rollout::{Side, State, gaps, reached, stable_of};
use crate::{
    diagnosis::{self, Problem},
    output::{Exit, text::age},
    steps::PodToDelete,
    workload::{Finding, Pod, PodManagement, PodTemplate, Slot, rollout::Interference},
};

/// The options that decide when an ordinal has passed and the next one may move.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct Terms {
    /// The lowest index that is to move.
    pub goal: u32,
    /// How long an ordinal may take to be available; `None` waits forever.
    pub deadline: Option<SignedDuration>,
    /// How long it must then stay Ready without a restart.
    pub bake: SignedDuration,
    /// Whether checks run after that.
    pub checks: bool,
    /// Whether to stop after every ordinal, for a person to look.
    pub pause_between: bool,
    /// Whether PodDisruptionBudgets must have room.
    pub budgets: bool,
    /// Whether stable pods may be unavailable, because `--allow` says so.
    pub unhealthy: bool,
}

/// How long a pod is watched where nobody says how long. It is never nothing: a
/// program that ends a second after it has begun is Ready until then. Without a
/// readiness probe a pod is Ready even between two crashes, and the kubelet
/// restarts a container at once the first time and after ten seconds the second.
pub fn default_bake(template: &PodTemplate) -> SignedDuration {
    let mut own = template.containers.iter().filter(|container| !container.init);
    let probed = own.all(|container| container.has_readiness_probe);
    SignedDuration::from_secs(if probed { 10 } else { 30 })
}

/// What one run has seen so far. A new run starts without it, which costs only
/// time.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The index that is judged, or the lowest released one where all have
    /// passed; which of the two; and since when it has been waited for.
    current: Option<(u32, bool, Timestamp)>,
    /// Since when new pods have been Ready, by uid.
    ready: HashMap<String, ReadyPeriod>,
    /// The uid of the first new pod that was Ready and then restarted or was
    /// not Ready.
    broken: Option<(String, String)>,
    /// Since when the server has refused to create a pod.
    refused: Refused,
    /// The uid of the pod whose checks have passed.
    checked: Option<String>,
    /// The index that may move next: budgets, leader and hooks agree.
    pub prepared: Option<u32>,
    /// The pods that passed everything, in this run.
    pub passed: Vec<Passed>,
    /// How long an ordinal is watched in this run.
    pub bake: SignedDuration,
}

#[derive(Clone, Debug)]
struct ReadyPeriod {
    since: Option<Timestamp>,
    restarts: u32,
}

/// The next move.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// Nothing to do until the cluster changes, or until `until`.
    Wait { what: String, until: Option<Timestamp> },
    /// Run the checks of this pod, at this index.
    Check { index: u32, uid: String },
    /// The pod has passed every check: run the hook after it.
    Passed { index: u32, uid: String },
    /// Ask budgets, leader and hooks whether this ordinal may move.
    Prepare { index: u32 },
    /// Lower the partition to this index.
    Step { index: u32 },
    /// Under OnDelete: delete this pod, because the controller does not.
    Replace { pod: PodToDelete },
    /// All have moved: restore the update strategy and remove the record.
    Finish,
    /// The goal is reached; the other ordinals stay on the stable revision.
    Pause,
    /// Something is in the way.
    Stop { exit: Exit, finding: Finding },
}

impl Memory {
    /// Takes in the current state: which ordinal is waited for, and whether a new
    /// pod that was Ready has restarted or is not Ready any more.
    pub fn observe(&mut self, state: &State) {
        let now = state.survey.now;
        self.refused = missing::observe(self.refused.take(), state);
        let judged = state.unjudged(&self.passed);
        let current = (judged.unwrap_or(state.record.partition), judged.is_none());
        if self.current.is_none_or(|(index, passed, _)| (index, passed) != current) {
            self.current = Some((current.0, current.1, now));
        }
        let judges = |(index, slot): &(u32, &Slot)| state.is_judged(*index, slot);
        for (index, slot) in state.indexes().filter(judges) {
            let Some(pod) = slot.pod.filter(|_| state.side(slot) == Side::Target) else { continue };
            let since = pod.condition("Ready").and_then(|condition| condition.since);
            let Some(seen) = self.ready.get(&pod.uid) else {
                if pod.is_ready() {
                    let period = ReadyPeriod { since, restarts: pod.restarts() };
                    self.ready.insert(pod.uid.clone(), period);
                }
                continue;
            };
            let what = if pod.restarts() > seen.restarts {
                format!("restarted ({} times so far) after it was Ready", pod.restarts())
            } else if judged == Some(index) && (!pod.is_ready() || since != seen.since) {
                // A pod that has passed is waited for instead: members of a
                // quorum may be unready while another one restarts.
                "was Ready and then was not".to_owned()
            } else {
                continue;
            };
            self.broken.get_or_insert((pod.uid.clone(), what));
        }
    }

    /// What happened to this new pod after it was Ready.
    pub fn broken(&self, pod: &Pod) -> Option<&str> {
        self.broken.as_ref().filter(|(uid, _)| *uid == pod.uid).map(|(_, what)| what.as_str())
    }

    /// Remembers that what `asked` asks has been answered with yes.
    pub fn note(&mut self, asked: &Move) {
        match asked {
            Move::Check { uid, .. } => self.checked = Some(uid.clone()),
            Move::Prepare { index } => self.prepared = Some(*index),
            Move::Passed { index, uid } => {
                // As many as when it was seen Ready: another one is a failure.
                let restarts = self.ready.get(uid).map_or(0, |period| period.restarts);
                self.passed.push(Passed::new(*index, uid, restarts));
            }
            _ => {}
        }
    }

    /// Since when the current ordinal has been waited for.
    pub fn since(&self) -> Option<Timestamp> {
        self.current.map(|(.., since)| since)
    }
}

/// The next move of a canary that goes forward.
pub fn next(state: &State, terms: &Terms, memory: &Memory) -> Move {
    if let Some(finding) = changed_by_others(state) {
        return Move::Stop { exit: Exit::Conflict, finding };
    }
    // A pod that passed earlier may break before the next one has been replaced,
    // which then never happens.
    if let Some(finding) = failing(state, memory) {
        return Move::Stop { exit: Exit::Failed, finding };
    }
    if let Some(finding) = missing::lasting(state, &memory.refused) {
        return Move::Stop { exit: Exit::Failed, finding };
    }
    if let Some(behind) = left_behind(state, terms, memory) {
        return behind;
    }
    if let Some(index) = state.unjudged(&memory.passed) {
        return judge(state, terms, memory, index);
    }
    let lowest = state.record.partition;
    if lowest == 0 {
        return finish(state, terms, memory);
    }
    let pauses = terms.pause_between && !memory.passed.is_empty();
    if lowest <= terms.goal || pauses {
        return Move::Pause;
    }
    let index = lowest - 1;
    if has_moved_unasked(state, index) {
        // It has passed, and no pod goes.
        return Move::Step { index };
    }
    if let Some(waiting) = unsettled(state, terms, memory, None) {
        return waiting;
    }
    if memory.prepared == Some(index) {
        return Move::Step { index };
    }
    headroom(state, terms, memory, index).unwrap_or(Move::Prepare { index })
}

/// The default goal of `promote`: the ordinals that have moved, where one of
/// them has not passed yet, or the next one; and those below it that have moved
/// unasked, which need not go any more.
pub fn one_more(state: &State) -> u32 {
    let lowest = state.record.partition.min(state.survey.set.replicas);
    if state.unjudged(&[]).is_some() {
        return lowest;
    }
    let mut goal = lowest.saturating_sub(1);
    while goal > 0 && has_moved_unasked(state, goal - 1) {
        goal -= 1;
    }
    goal
}

/// The index of the pod that goes with the next step, once all that moved has
/// passed.
pub fn next_to_go(state: &State) -> Option<u32> {
    let below = state.record.partition.min(state.survey.set.replicas);
    (0..below).rev().find(|index| !has_moved_unasked(state, *index))
}

/// Whether somebody has deleted the pod at this index under OnDelete, so that it
/// runs the new revision already.
pub fn has_moved_unasked(state: &State, index: u32) -> bool {
    state.record.on_delete
        && !state.record.has_released(index)
        && state.slot(index).is_some_and(|slot| state.side(slot) == Side::Target)
}

/// The next move before the first write, which will move the ordinal at `index`
/// and put the record on the set.
pub fn first(state: &State, terms: &Terms, memory: &Memory, index: u32) -> Move {
    headroom(state, terms, memory, index).unwrap_or(Move::Prepare { index })
}

/// Waits while a PodDisruptionBudget has no room for the pod at `index`. The
/// StatefulSet controller deletes pods instead of evicting them, so no budget
/// stops it (kubernetes #89820).
fn headroom(state: &State, terms: &Terms, memory: &Memory, index: u32) -> Option<Move> {
    let pod = state.slot(index).and_then(|slot| slot.pod).filter(|pod| pod.is_ready())?;
    let budgets = state.survey.facts.budgets.iter().flatten().filter(|_| terms.budgets);
    let exhausted = budgets
        .filter(|budget| budget.covers(&pod.labels))
        .find(|budget| !budget.observed || budget.disruptions_allowed < 1)?;
    let what = format!(
        "PodDisruptionBudget {} to allow {} to go ({} of {} healthy, {} needed)",
        exhausted.name,
        pod.name,
        exhausted.current_healthy,
        exhausted.expected_pods,
        exhausted.desired_healthy
    );
    Some(match wait(state, terms, memory, what, None) {
        Move::Stop { exit, finding } => {
            let object = format!("poddisruptionbudget.policy/{}", exhausted.name);
            Move::Stop { exit, finding: rules::NO_HEADROOM.found(object, finding.message) }
        }
        waiting => waiting,
    })
}

/// Whether the current ordinal has been replaced, is available, and for how
/// long.
fn judge(state: &State, terms: &Terms, memory: &Memory, index: u32) -> Move {
    let name = state.name(index);
    if !state.survey.set.is_observed() {
        let what = "the controller to see the new spec".to_owned();
        return wait(state, terms, memory, what, None);
    }
    let Some(slot) = state.slot(index) else {
        return wait(state, terms, memory, format!("{name} to exist"), None);
    };
    let Some(pod) = slot.pod else {
        let why = missing::because(state, &name) + &held_up_by(state, index);
        let what = format!("{name} to be recreated{why}");
        return wait(state, terms, memory, what, None);
    };
    if pod.is_terminating() {
        return wait(state, terms, memory, format!("the old {name} to be gone"), None);
    }
    if state.side(slot) != Side::Target {
        if state.record.on_delete {
            // An earlier run may have decided this, and another pod may have
            // become unavailable since.
            if let Some(waiting) = unsettled(state, terms, memory, Some(index)) {
                return waiting;
            }
            return Move::Replace { pod: PodToDelete::of(pod) };
        }
        let what = format!("{name} to be replaced{}", held_up_by(state, index));
        return wait(state, terms, memory, what, None);
    }
    if let Some(waiting) = unsettled(state, terms, memory, None) {
        return waiting;
    }
    let ready = pod.condition("Ready").and_then(|condition| condition.since);
    let baked = ready.map(|since| since + terms.bake);
    if !terms.bake.is_zero() && baked.is_none_or(|baked| baked > state.survey.now) {
        let what = format!("{name} to stay Ready for {} without a restart", age(terms.bake));
        return Move::Wait { what, until: baked };
    }
    let uid = pod.uid.clone();
    if terms.checks && memory.checked.as_ref() != Some(&uid) {
        return Move::Check { index, uid };
    }
    Move::Passed { index, uid }
}

/// An ordinal above the current one that does not run the new revision: left
/// from a rollout that was adopted.
fn left_behind(state: &State, terms: &Terms, memory: &Memory) -> Option<Move> {
    let behind = |(index, slot): &(u32, &Slot)| {
        *index > state.record.partition && matches!(state.side(slot), Side::Stable | Side::Other)
    };
    let (index, slot) = state.indexes().rev().find(behind)?;
    let pod = slot.pod.filter(|_| state.survey.set.is_observed())?;
    if state.record.on_delete {
        let replace = Move::Replace { pod: PodToDelete::of(pod) };
        return Some(unsettled(state, terms, memory, Some(index)).unwrap_or(replace));
    }
    let what = format!("{} to be replaced{}", pod.name, held_up_by(state, index));
    Some(wait(state, terms, memory, what, None))
}

/// A new pod that is broken, the current one or an earlier one.
pub fn failing(state: &State, memory: &Memory) -> Option<Finding> {
    for (_, slot) in state.indexes().rev() {
        let Some(pod) = slot.pod.filter(|_| state.side(slot) == Side::Target) else { continue };
        if let Some(trouble) = trouble(state, pod) {
            return Some(rules::POD_BROKEN.found(
                format!("pod/{}", pod.name),
                format!("{trouble}; it runs {}", pod.revision().unwrap_or("<none>")),
            ));
        }
        if let Some(what) = memory.broken(pod) {
            return Some(rules::NOT_STEADY.found(
                format!("pod/{}", pod.name),
                format!("{} on the new revision {what}", pod.name),
            ));
        }
    }
    None
}

/// What is wrong with a pod, where waiting does not help.
pub fn trouble(state: &State, pod: &Pod) -> Option<String> {
    let since = pod.created.unwrap_or(state.survey.now);
    let lasts = state.survey.now.duration_since(since);
    let problem = diagnosis::broken(&state.survey, pod)?;
    // A disk that is still attached to another node is released within seconds or
    // minutes, and every move to another node reports it at first.
    let passing = matches!(problem, Problem::Mount { .. }) && lasts < MOUNT_PATIENCE;
    (!passing).then(|| problem.sentence(&pod.name, state.survey.now))
}

/// kubelet itself gives up a mount after two minutes and three seconds.
const MOUNT_PATIENCE: SignedDuration = SignedDuration::from_secs(130);

/// Waits while any ordinal is not available, whichever revision it runs.
fn unsettled(state: &State, terms: &Terms, memory: &Memory, besides: Option<u32>) -> Option<Move> {
    let counts = |index: u32| !terms.unhealthy || state.record.has_released(index);
    let unavailable = |(index, slot): &(u32, &Slot)| {
        Some(*index) != besides && counts(*index) && !state.is_available(slot)
    };
    let (_, slot) = state.indexes().rev().find(unavailable)?;
    let set = state.survey.set;
    let (what, until) = match slot.pod {
        None => (format!("{} to exist{}", slot.name, missing::because(state, &slot.name)), None),
        Some(pod) if pod.is_terminating() => (format!("{} to be recreated", slot.name), None),
        Some(pod) if pod.is_ready() => {
            let since = pod.condition("Ready").and_then(|condition| condition.since);
            let needed = SignedDuration::from_secs(set.min_ready_seconds.into());
            let what = format!("{} to be Ready for {}", slot.name, age(needed));
            (what, since.map(|since| since + needed))
        }
        Some(_) => (format!("{} to be Ready", slot.name), None),
    };
    Some(wait(state, terms, memory, what, until))
}

/// The ordinal that OrderedReady waits for before it works on `index`.
fn held_up_by(state: &State, index: u32) -> String {
    let ordered = state.survey.set.pod_management == PodManagement::OrderedReady;
    let blocker = state.survey.first_blocker().filter(|_| ordered);
    match blocker {
        Some(slot) if slot.name != state.name(index) => {
            format!("; {} is not available and OrderedReady waits for it first", slot.name)
        }
        _ => String::new(),
    }
}

/// Waits, or stops where the deadline has passed.
pub fn wait(
    state: &State,
    terms: &Terms,
    memory: &Memory,
    what: String,
    until: Option<Timestamp>,
) -> Move {
    let Some((since, patience)) = memory.since().zip(terms.deadline) else {
        return Move::Wait { what, until };
    };
    let deadline = since + patience;
    if deadline > state.survey.now {
        let until = until.map_or(deadline, |until| until.min(deadline));
        return Move::Wait { what, until: Some(until) };
    }
    let set = state.survey.set;
    let mut pods = state.indexes().rev().filter_map(|(_, slot)| slot.pod);
    let why = pods.find_map(|pod| {
        let problem = diagnosis::unready(&state.survey, pod)?;
        Some(format!("; {}", problem.sentence(&pod.name, state.survey.now)))
    });
    let why = why.unwrap_or_default();
    let hint = format!("kubectl stateful status {} {}", set.name, state.survey.at());
    let message = format!("waited {} for {what}{why}", age(patience));
    let finding = rules::DEADLINE.found(set.reference(), message).hint(hint);
    Move::Stop { exit: Exit::Timeout, finding }
}

/// Every ordinal runs the new revision. The strategy is restored only after the
/// controller has made that the current revision: with a partition above 0, a
/// pod that dies before would come back on the old one.
fn finish(state: &State, terms: &Terms, memory: &Memory) -> Move {
    if let Some(waiting) = unsettled(state, terms, memory, None) {
        return waiting;
    }
    let status = &state.survey.set.status;
    // Before Kubernetes 1.37 OnDelete never promotes (kubernetes #73492).
    let promotes = !state.record.on_delete;
    if promotes && status.current_revision != status.update_revision {
        let what = "the controller to make the new revision the current one".to_owned();
        return wait(state, terms, memory, what, None);
    }
    Move::Finish
}

/// What somebody else has changed since the canary began, so that it must not
/// go on: what `promote` stops for, and what `status` shows.
pub fn changed_by_others(state: &State) -> Option<Finding> {
    let set = state.survey.set;
    let found = state.interference()?;
    let rule = match found {
        Interference::BeingDeleted => &rules::BEING_DELETED,
        Interference::Replicas { .. } => &rules::REPLICAS_CHANGED,
        Interference::Ordinals { .. } => &rules::ORDINALS_CHANGED,
        Interference::StrategyType => &rules::STRATEGY_CHANGED,
        Interference::Partition { .. } => &rules::PARTITION_CHANGED,
        Interference::Template | Interference::TakenBack { .. } => &rules::TEMPLATE_CHANGED,
        Interference::Escaped { .. } => &rules::ESCAPED,
    };
    let theirs = || ForeignTemplate::of(state).map(|theirs| theirs.changed(state));
    let theirs = (found == Interference::Template).then(theirs).flatten();
    let finding = theirs.unwrap_or_else(|| rule.found(set.reference(), found.sentence(&set.name)));
    Some(match found {
        Interference::BeingDeleted => finding,
        _ if can_be_adopted(state, &found) => {
            finding.hint(lines::adopt(&state.survey, Some(state.record)))
        }
        _ if state.survey.facts.lacks(&state.record.stable) => {
            finding.hint(lines::forget(&state.survey))
        }
        _ => finding.hint(lines::abort(state)),
    })
}

/// Whether `start --adopt` makes a canary of what is there now.
pub fn can_be_adopted(state: &State, found: &Interference) -> bool {
    match found {
        Interference::Template | Interference::Partition { .. } => has_few_gaps(state),
        Interference::Replicas { now, .. } => {
            // Without another template there is nothing to adopt.
            *now > 0 && state.target() != Some(state.record.stable.as_str()) && has_few_gaps(state)
        }
        Interference::Ordinals { .. } => {
            state.target() != Some(state.record.stable.as_str()) && has_few_gaps(state)
        }
        Interference::BeingDeleted
        | Interference::StrategyType
        | Interference::TakenBack { .. }
        | Interference::Escaped { .. } => false,
    }
}

/// One of the pods that are held above a new one may go first. Another one would go
/// behind no gate.
fn has_few_gaps(state: &State) -> bool {
    gaps(&state.survey, &state.record.stable).len() < 2
}
