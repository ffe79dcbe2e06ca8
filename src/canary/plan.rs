//! Where a canary is, and its next move. Pure.
//!
//! Everything is counted in indexes here: index 0 is the ordinal
//! `ordinals.start`, and a partition is an index (kubernetes #128529).

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{
    back::Doomed,
    change,
    record::{Phase, Record},
    rules,
};
use crate::{
    output::{Exit, text::age},
    status::stuck,
    workload::{Facts, Finding, Pod, Slot, Strategy, Survey},
};

/// A set and the canary on it, at one moment.
pub struct Stand<'a> {
    pub survey: Survey<'a>,
    pub record: &'a Record,
}

/// What decides whether an ordinal is good, as far as the clock and the pods
/// can tell.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "terms hold or they do not")]
pub struct Terms {
    /// The lowest index that is to move.
    pub goal: u32,
    /// How long an ordinal may take to be available; none waits for ever.
    pub deadline: Option<SignedDuration>,
    /// How long it must then stay Ready without a restart.
    pub bake: SignedDuration,
    /// Whether there are checks to ask after that.
    pub checks: bool,
    /// Whether a person looks after every ordinal.
    pub pause_between: bool,
    /// Whether disruption budgets are asked.
    pub budgets: bool,
    /// Whether stable pods may be unavailable: somebody allowed it.
    pub unhealthy: bool,
}

/// What one run has seen so far; another run begins anew and loses nothing but
/// time.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The ordinal in hand, whether it has passed, and since when.
    hand: Option<(u32, bool, Timestamp)>,
    /// Ready stretches of new pods, by uid.
    stretches: HashMap<String, Stretch>,
    /// The first flap or restart of a new pod that was Ready.
    broken: Option<(u32, String)>,
    /// The index whose checks have passed.
    pub checked: Option<u32>,
    /// The index that may be told to move: budgets, leader and hooks agreed.
    pub prepared: Option<u32>,
    /// The lowest index that passed everything, in this run.
    pub judged: Option<u32>,
    /// How long an ordinal is watched in this run.
    pub bake: SignedDuration,
}

#[derive(Clone, Debug)]
struct Stretch {
    since: Option<Timestamp>,
    restarts: u32,
}

/// The next move.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// Nothing to do before the cluster changes, or the clock passes `until`.
    Wait { what: String, until: Option<Timestamp> },
    /// Ask the checks about the ordinal at this index.
    Check { index: u32 },
    /// The ordinal has passed everything.
    Passed { index: u32 },
    /// Ask budgets, leader and hooks whether this ordinal may move.
    Prepare { index: u32 },
    /// Tell it to move.
    Step { index: u32 },
    /// Under OnDelete: delete this pod, for nobody else will.
    Replace { pod: Doomed },
    /// All have moved: give the strategy back and forget the canary.
    Finish,
    /// The goal is reached; the rest stays on the stable revision.
    Rest,
    /// Something is in the way.
    Stop { exit: Exit, finding: Finding },
}

/// Which revision a pod runs, as the canary sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Stable,
    Target,
    /// Of neither: left from an edit in between.
    Other,
    /// No pod, or one on its way out.
    Absent,
}

impl<'a> Stand<'a> {
    pub fn new(facts: &'a Facts, record: &'a Record, now: Timestamp) -> Stand<'a> {
        Stand { survey: Survey::new(facts, now), record }
    }

    /// The revision that the canary brings, once the controller has made it.
    pub fn target(&self) -> Option<&'a str> {
        let set = self.survey.set;
        let ours = self.record.phase == Phase::Rolling && set.is_observed();
        set.status.update_revision.as_deref().filter(|_| ours)
    }

    pub fn slot(&self, index: u32) -> Option<&Slot<'a>> {
        self.survey.slots.get(usize::try_from(index).ok()?)
    }

    /// `web-2`.
    pub fn name(&self, index: u32) -> String {
        let set = self.survey.set;
        set.pod_name(set.start.saturating_add(index))
    }

    pub fn indexes(&self) -> impl DoubleEndedIterator<Item = (u32, &Slot<'a>)> {
        self.survey.indexes()
    }

    pub fn side(&self, slot: &Slot) -> Side {
        let Some(pod) = slot.pod.filter(|pod| !pod.is_terminating()) else { return Side::Absent };
        match pod.revision() {
            Some(revision) if revision == self.record.stable => Side::Stable,
            Some(revision) if Some(revision) == self.target() => Side::Target,
            _ => Side::Other,
        }
    }

    fn is_available(&self, slot: &Slot) -> bool {
        slot.is_available(self.survey.set, self.survey.now)
    }

    /// Whether the ordinal at this index has passed everything, in this run or
    /// an earlier one.
    pub fn has_judged(&self, memory: &Memory, index: u32) -> bool {
        self.record.has_judged(index) || memory.judged.is_some_and(|judged| index >= judged)
    }
}

impl Memory {
    /// Takes a look: which ordinal is in hand, and whether a new pod that was
    /// Ready has stopped being so or has restarted.
    pub fn observe(&mut self, stand: &Stand) {
        let now = stand.survey.now;
        let lowest = stand.record.partition;
        let passed = stand.has_judged(self, lowest);
        if self.hand.is_none_or(|(index, was, _)| (index, was) != (lowest, passed)) {
            self.hand = Some((lowest, passed, now));
        }
        for (index, slot) in stand.indexes().filter(|(index, _)| *index >= lowest) {
            let Some(pod) = slot.pod.filter(|_| stand.side(slot) == Side::Target) else { continue };
            let since = pod.condition("Ready").and_then(|condition| condition.since);
            let Some(seen) = self.stretches.get(&pod.uid) else {
                if pod.is_ready() {
                    let stretch = Stretch { since, restarts: pod.restarts() };
                    self.stretches.insert(pod.uid.clone(), stretch);
                }
                continue;
            };
            let what = if pod.restarts() > seen.restarts {
                format!("restarted ({} times so far) after it was Ready", pod.restarts())
            } else if index == lowest && !passed && (!pod.is_ready() || since != seen.since) {
                // One that has passed is waited for instead: members of a
                // quorum may be unready while another one is away.
                "was Ready and then was not".to_owned()
            } else {
                continue;
            };
            self.broken.get_or_insert((index, what));
        }
    }

    /// What broke an ordinal that was Ready.
    pub fn broken_at(&self, index: u32) -> Option<&str> {
        self.broken.as_ref().filter(|(broken, _)| *broken == index).map(|(_, what)| what.as_str())
    }

    /// Since when the ordinal in hand has been waited for.
    pub fn since(&self) -> Option<Timestamp> {
        self.hand.map(|(.., since)| since)
    }
}

/// The next move of a canary that goes forward.
pub fn next(stand: &Stand, terms: &Terms, memory: &Memory) -> Move {
    if let Some(stop) = contradiction(stand) {
        return stop;
    }
    // An earlier one may break before the next one has moved, and then that
    // one never does.
    if let Some(failed) = failing(stand, memory) {
        return failed;
    }
    if let Some(behind) = left_behind(stand, terms, memory) {
        return behind;
    }
    let record = stand.record;
    let lowest = record.partition;
    if lowest < record.replicas && !stand.has_judged(memory, lowest) {
        return judge(stand, terms, memory, lowest);
    }
    if lowest == 0 {
        return finish(stand, terms, memory);
    }
    let rests = terms.pause_between && memory.judged.is_some();
    if lowest <= terms.goal || rests {
        return Move::Rest;
    }
    if let Some(waiting) = unsettled(stand, terms, memory, None) {
        return waiting;
    }
    let index = lowest - 1;
    if memory.prepared == Some(index) {
        return Move::Step { index };
    }
    headroom(stand, terms, memory, index).unwrap_or(Move::Prepare { index })
}

/// The next move before the first write: the ordinal at `index` is to be the
/// first, and the record is not yet on the set.
pub fn first(stand: &Stand, terms: &Terms, memory: &Memory, index: u32) -> Move {
    headroom(stand, terms, memory, index).unwrap_or(Move::Prepare { index })
}

/// A budget that would not let the pod at `index` go. The StatefulSet
/// controller deletes and does not evict, so it asks no budget (kubernetes
/// #89820).
fn headroom(stand: &Stand, terms: &Terms, memory: &Memory, index: u32) -> Option<Move> {
    let pod = stand.slot(index).and_then(|slot| slot.pod).filter(|pod| pod.is_ready())?;
    let budgets = stand.survey.facts.budgets.iter().flatten().filter(|_| terms.budgets);
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
    Some(match wait(stand, terms, memory, what, None) {
        Move::Stop { exit, finding } => {
            let object = format!("poddisruptionbudget.policy/{}", exhausted.name);
            Move::Stop { exit, finding: rules::NO_HEADROOM.found(object, finding.message) }
        }
        waiting => waiting,
    })
}

/// The ordinal in hand: is it there, is it new, is it well, for how long?
fn judge(stand: &Stand, terms: &Terms, memory: &Memory, index: u32) -> Move {
    let name = stand.name(index);
    if !stand.survey.set.is_observed() {
        let what = "the controller to see the new spec".to_owned();
        return wait(stand, terms, memory, what, None);
    }
    let Some(slot) = stand.slot(index) else {
        return wait(stand, terms, memory, format!("{name} to exist"), None);
    };
    let Some(pod) = slot.pod else {
        let what = format!("{name} to be made again{}", held_up_by(stand, index));
        return wait(stand, terms, memory, what, None);
    };
    if pod.is_terminating() {
        return wait(stand, terms, memory, format!("the old {name} to be gone"), None);
    }
    if stand.side(slot) != Side::Target {
        if stand.record.on_delete {
            // Decided by an earlier run, perhaps; since then a member may have
            // been lost.
            if let Some(waiting) = unsettled(stand, terms, memory, Some(index)) {
                return waiting;
            }
            return Move::Replace { pod: Doomed::of(pod) };
        }
        let what = format!("{name} to be replaced{}", held_up_by(stand, index));
        return wait(stand, terms, memory, what, None);
    }
    if let Some(waiting) = unsettled(stand, terms, memory, None) {
        return waiting;
    }
    let ready = pod.condition("Ready").and_then(|condition| condition.since);
    let baked = ready.map(|since| since + terms.bake);
    if !terms.bake.is_zero() && baked.is_none_or(|baked| baked > stand.survey.now) {
        let what = format!("{name} to stay Ready for {} without a restart", age(terms.bake));
        return Move::Wait { what, until: baked };
    }
    if terms.checks && memory.checked != Some(index) {
        return Move::Check { index };
    }
    Move::Passed { index }
}

/// An ordinal above the one in hand that is not on the new revision: left from
/// an edit that was adopted.
fn left_behind(stand: &Stand, terms: &Terms, memory: &Memory) -> Option<Move> {
    let behind = |(index, slot): &(u32, &Slot)| {
        *index > stand.record.partition && matches!(stand.side(slot), Side::Stable | Side::Other)
    };
    let (index, slot) = stand.indexes().rev().find(behind)?;
    let pod = slot.pod.filter(|_| stand.survey.set.is_observed())?;
    if stand.record.on_delete {
        let replace = Move::Replace { pod: Doomed::of(pod) };
        return Some(unsettled(stand, terms, memory, Some(index)).unwrap_or(replace));
    }
    let what = format!("{} to be replaced{}", pod.name, held_up_by(stand, index));
    Some(wait(stand, terms, memory, what, None))
}

/// A new pod that is plainly broken, the one in hand or an earlier one.
fn failing(stand: &Stand, memory: &Memory) -> Option<Move> {
    let stop = |finding| Some(Move::Stop { exit: Exit::Failed, finding });
    for (index, slot) in stand.indexes().rev() {
        let Some(pod) = slot.pod.filter(|_| stand.side(slot) == Side::Target) else { continue };
        if let Some(trouble) = trouble(stand, pod) {
            return stop(rules::POD_BROKEN.found(
                format!("pod/{}", pod.name),
                format!("{trouble}; it runs {}", pod.revision().unwrap_or("<none>")),
            ));
        }
        if let Some(what) = memory.broken_at(index) {
            return stop(rules::NOT_STEADY.found(
                format!("pod/{}", pod.name),
                format!("{} on the new revision {what}", pod.name),
            ));
        }
    }
    None
}

/// What the status rules say against a pod, where waiting will not mend it.
pub fn trouble(stand: &Stand, pod: &Pod) -> Option<String> {
    let since = pod.created.unwrap_or(stand.survey.now);
    let lasts = stand.survey.now.duration_since(since);
    let finding = stuck::broken_pod(&stand.survey, pod)?;
    // A disk that is still attached elsewhere is released within seconds or
    // minutes, and every move to another node says so first.
    let passing = finding.id == stuck::MOUNT_ID && lasts < MOUNT_PATIENCE;
    (!passing).then_some(finding.message)
}

/// kubelet itself gives up a mount after two minutes and three seconds.
const MOUNT_PATIENCE: SignedDuration = SignedDuration::from_secs(130);

/// An ordinal that is not available keeps every other one where it is:
/// canaries and stable pods alike.
fn unsettled(stand: &Stand, terms: &Terms, memory: &Memory, besides: Option<u32>) -> Option<Move> {
    let matters = |index: u32| !terms.unhealthy || stand.record.has_released(index);
    let unavailable = |(index, slot): &(u32, &Slot)| {
        Some(*index) != besides && matters(*index) && !stand.is_available(slot)
    };
    let (_, slot) = stand.indexes().rev().find(unavailable)?;
    let set = stand.survey.set;
    let (what, until) = match slot.pod {
        None => (format!("{} to exist", slot.name), None),
        Some(pod) if pod.is_terminating() => (format!("{} to be made again", slot.name), None),
        Some(pod) if pod.is_ready() => {
            let since = pod.condition("Ready").and_then(|condition| condition.since);
            let needed = SignedDuration::from_secs(set.min_ready_seconds.into());
            let what = format!("{} to be Ready for {}", slot.name, age(needed));
            (what, since.map(|since| since + needed))
        }
        Some(_) => (format!("{} to be Ready", slot.name), None),
    };
    Some(wait(stand, terms, memory, what, until))
}

/// Who keeps the controller from working on `index` under OrderedReady.
fn held_up_by(stand: &Stand, index: u32) -> String {
    let ordered = stand.survey.set.pod_management == crate::workload::PodManagement::OrderedReady;
    let blocker = stand.survey.first_blocker().filter(|_| ordered);
    match blocker {
        Some(slot) if slot.name != stand.name(index) => {
            format!("; {} is not available and OrderedReady waits for it first", slot.name)
        }
        _ => String::new(),
    }
}

/// Waits, or says that the time is up.
pub fn wait(
    stand: &Stand,
    terms: &Terms,
    memory: &Memory,
    what: String,
    until: Option<Timestamp>,
) -> Move {
    let Some((since, patience)) = memory.since().zip(terms.deadline) else {
        return Move::Wait { what, until };
    };
    let deadline = since + patience;
    if deadline > stand.survey.now {
        let until = until.map_or(deadline, |until| until.min(deadline));
        return Move::Wait { what, until: Some(until) };
    }
    let set = stand.survey.set;
    let mut unready = stand.indexes().rev().filter_map(|(_, slot)| slot.pod);
    let why = unready.find_map(|pod| stuck::unready_pod(&stand.survey, pod));
    let why = why.map_or_else(String::new, |finding| format!("; {}", finding.message));
    let hint = format!("kubectl stateful status {} {}", set.name, stand.survey.at());
    let message = format!("waited {} for {what}{why}", age(patience));
    let finding = rules::DEADLINE.found(set.reference(), message).hint(hint);
    Move::Stop { exit: Exit::Timeout, finding }
}

/// All ordinals run the new revision. The strategy goes back only after the
/// controller has made it the current one: with a partition above 0, a pod
/// that dies before would come back on the old one.
fn finish(stand: &Stand, terms: &Terms, memory: &Memory) -> Move {
    if let Some(waiting) = unsettled(stand, terms, memory, None) {
        return waiting;
    }
    let status = &stand.survey.set.status;
    // Before Kubernetes 1.37 OnDelete never promotes (kubernetes #73492).
    let promotes = !stand.record.on_delete;
    if promotes && status.current_revision != status.update_revision {
        let what = "the controller to make the new revision the current one".to_owned();
        return wait(stand, terms, memory, what, None);
    }
    Move::Finish
}

/// What says that somebody else had a hand in it.
fn contradiction(stand: &Stand) -> Option<Move> {
    let (set, record) = (stand.survey.set, stand.record);
    let stop = |exit, rule: &crate::workload::Rule, message: String| {
        let hint = format!("kubectl stateful canary abort {} {}", set.name, stand.survey.at());
        let finding = rule.found(set.reference(), message).hint(hint);
        Some(Move::Stop { exit, finding })
    };
    if set.deleting.is_some() {
        let message = format!("{} is being deleted", set.name);
        return stop(Exit::Conflict, &rules::BEING_DELETED, message);
    }
    if set.replicas != record.replicas {
        let message = format!(
            "the canary began with {} replicas, and now there are {}",
            record.replicas, set.replicas
        );
        return stop(Exit::Conflict, &rules::REPLICAS_CHANGED, message);
    }
    let on_delete = !matches!(set.strategy, Strategy::RollingUpdate { .. });
    if on_delete != record.on_delete {
        let message = "somebody else changed the type of the update strategy".to_owned();
        return stop(Exit::Conflict, &rules::STRATEGY_CHANGED, message);
    }
    if !record.on_delete && set.partition() != record.partition {
        let message = format!(
            "the canary left the partition at {}, and somebody else set it to {}",
            record.partition,
            set.partition()
        );
        return stop(Exit::Conflict, &rules::PARTITION_CHANGED, message);
    }
    if change::fingerprint(&set.template.raw) != record.template {
        let message = "somebody else changed the pod template after the canary began".to_owned();
        return stop(Exit::Conflict, &rules::TEMPLATE_CHANGED, message);
    }
    if stand.target() == Some(record.stable.as_str()) {
        let message =
            format!("the template is that of the stable revision {} again", record.stable);
        return stop(Exit::Conflict, &rules::TEMPLATE_CHANGED, message);
    }
    let escaped = stand.indexes().find(|(index, slot)| {
        !record.on_delete && !record.has_released(*index) && stand.side(slot) == Side::Target
    });
    if let Some((_, slot)) = escaped {
        let message = format!(
            "{} runs the new revision although the partition {} holds it back",
            slot.name, record.partition
        );
        return stop(Exit::Failed, &rules::ESCAPED, message);
    }
    None
}

/// The lowest index of the run of ordinals, from the top, that have left the
/// stable revision or are about to: what a roll under way has reached.
pub fn reached(survey: &Survey, stable: &str) -> u32 {
    let moved = survey.slots.iter().rev().take_while(|slot| {
        slot.pod.is_none_or(|pod| pod.is_terminating() || pod.revision() != Some(stable))
    });
    let moved = u32::try_from(moved.count()).unwrap_or(u32::MAX);
    survey.set.replicas.saturating_sub(moved)
}

/// The revision to come back to: the one revision besides the newest that pods
/// run, or the newest where they run no other. Never
/// `status.currentRevision`, which lies after a revert (see
/// [`crate::workload::SetStatus`]).
pub fn stable_of<'a>(survey: &Survey<'a>) -> Option<&'a str> {
    let update = survey.set.status.update_revision.as_deref();
    let run: BTreeSet<&str> = survey.pods().filter_map(|(_, pod)| pod.revision()).collect();
    let others: Vec<&str> = run.iter().copied().filter(|name| Some(*name) != update).collect();
    match others.as_slice() {
        [] => run.first().copied(),
        [one] => Some(one),
        _ => None,
    }
}
