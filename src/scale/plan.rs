//! The state of a scaling, and its next move. Pure.
//!
//! The StatefulSet controller decides what is possible (`stateful_set_control.go`,
//! and tests against a real one). Under OrderedReady it removes the highest
//! ordinal first, and only while every remaining ordinal is available. It removes
//! an ordinal that is not Ready only if that is the lowest such ordinal. So a
//! broken ordinal in the middle of those that leave blocks a scale-down by one,
//! and goes by itself when the replicas pass it in one step. Of two broken
//! ordinals the higher one waits for the lower one forever, and is deleted here.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{record::Record, rules};
use crate::{
    output::{
        Exit,
        text::{age, list},
    },
    steps::PodToDelete,
    workload::{Facts, Finding, Pod, PodManagement, Slot, Survey, Trouble},
};

/// A set and the scaling of it, at one moment.
pub struct State<'a> {
    pub survey: Survey<'a>,
    pub record: &'a Record,
}

/// The options that decide when the next step may be taken.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct Terms {
    /// How long one wait may take; `None` waits forever.
    pub timeout: Option<SignedDuration>,
    /// How long the set must have been available before the next step.
    pub settle: SignedDuration,
    /// Whether a hook runs before a step, in the pod or here.
    pub before: bool,
    /// Whether a hook or a check runs after it.
    pub after: bool,
    /// Whether snapshots are taken of what an ordinal leaves behind.
    pub snapshots: bool,
    /// Whether claims of the coming ordinals are set aside first.
    pub fresh: bool,
    /// Whether remaining pods may be unavailable, because `--allow` says so.
    pub unhealthy: bool,
    /// Whether a leaving pod that the controller would wait for forever may be
    /// deleted, because `--allow` says so.
    pub clears: bool,
    /// Whether a claim that other pods use may be mounted, because `--allow` says
    /// so.
    pub shares: bool,
}

/// What one run has seen so far. A new run starts without it, which costs only
/// time.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Since when all pods have been available.
    available_since: Option<Timestamp>,
    /// What was waited for last, and since when.
    waiting: Option<(Waiting, Timestamp)>,
    /// The replicas of the step that the hooks before it agreed to.
    pub prepared: Option<u32>,
    /// The replicas after the step whose snapshots are ready.
    pub snapshots: Option<u32>,
    /// The replicas up to which old claims have been set aside.
    pub set_aside: Option<u32>,
    /// The replicas up to which hooks and checks after the step are done.
    pub concluded: Option<u32>,
}

/// What is waited for; each wait has its own time limit.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Waiting {
    Seen(u32),
    Gone(BTreeSet<String>),
    Well(u32),
    Settled(u32),
}

/// The next move.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    /// Nothing to do until the cluster changes, or until `until`.
    Wait { what: String, until: Option<Timestamp> },
    /// Run the hooks before the step to these replicas.
    Prepare { replicas: u32 },
    /// Set the old claims of the next ordinal aside.
    SetAside { replicas: u32 },
    /// Change the replicas.
    Step { replicas: u32 },
    /// Delete a leaving pod that the controller would wait for forever.
    Clear { pod: PodToDelete },
    /// Take snapshots of the claims that the ordinals left behind.
    Snapshot { replicas: u32 },
    /// Run the hooks and checks after the step.
    Conclude { replicas: u32 },
    /// All is done: remove the record.
    Finish,
    /// Something is in the way.
    Stop { exit: Exit, finding: Finding },
}

impl<'a> State<'a> {
    pub fn new(facts: &'a Facts, record: &'a Record, now: Timestamp) -> State<'a> {
        State { survey: Survey::new(facts, now), record }
    }

    fn replicas(&self) -> u32 {
        self.survey.set.replicas
    }

    fn is_ordered(&self) -> bool {
        self.survey.set.pod_management == PodManagement::OrderedReady
    }

    /// The pod that the controller has yet to make, where ordinals come.
    pub fn missing(&self) -> Option<&str> {
        let comes = self.record.to > self.record.from && self.survey.pods_known;
        let mut slots = self.survey.slots.iter().filter(|_| comes);
        slots.find(|slot| slot.pod.is_none()).map(|slot| slot.name.as_str())
    }

    /// The lowest ordinal below index `replicas` that is not available.
    fn unavailable(&self, replicas: u32) -> Option<&Slot<'a>> {
        let set = self.survey.set;
        let mut below = self.survey.indexes().filter(|(index, _)| *index < replicas);
        below.find(|(_, slot)| !slot.is_available(set, self.survey.now)).map(|(_, slot)| slot)
    }

    /// The same, without hopeless ordinals that leave soon: under Parallel nothing
    /// waits for them.
    fn waited_for(&self, replicas: u32) -> Option<&Slot<'a>> {
        let (set, to) = (self.survey.set, self.record.to);
        let given_up = |index: u32, slot: &Slot| {
            let hopeless = slot.pod.is_none_or(|pod| self.survey.is_hopeless(pod, PATIENCE));
            index >= to && hopeless && !self.is_ordered()
        };
        let mut below = self.survey.indexes().filter(|(index, _)| *index < replicas);
        let found = below.find(|(index, slot)| {
            !slot.is_available(set, self.survey.now) && !given_up(*index, slot)
        });
        found.map(|(_, slot)| slot)
    }

    /// The pod names of the indexes from `from` on, below `to`, the highest
    /// first: the order in which they leave.
    pub fn names(&self, from: u32, to: u32) -> Vec<String> {
        let set = self.survey.set;
        (from..to).rev().map(|index| set.pod_name(set.start.saturating_add(index))).collect()
    }
}

impl Memory {
    /// Takes in the current state.
    pub fn observe(&mut self, state: &State) {
        let available =
            state.waited_for(state.replicas()).is_none() && state.survey.leaving.is_empty();
        self.available_since = match (available, self.available_since) {
            (true, since) => since.or(Some(state.survey.now)),
            (false, _) => None,
        };
    }

    /// The replicas up to which hooks and checks after a step are done.
    pub fn concluded_at(&self, record: &Record, replicas: u32) -> u32 {
        if self.has_concluded(record, replicas) { replicas } else { record.concluded }
    }

    /// Whether hooks and checks after the step to these replicas are done.
    fn has_concluded(&self, record: &Record, replicas: u32) -> bool {
        let reached =
            |done: u32| if record.is_down() { done <= replicas } else { done >= replicas };
        reached(record.concluded) || self.concluded.is_some_and(reached)
    }
}

/// The next move.
pub fn next(state: &State, terms: &Terms, memory: &mut Memory) -> Move {
    let (set, record) = (state.survey.set, state.record);
    let now = set.replicas;
    if !state.survey.pods_known {
        let message = "pods cannot be read, so nobody knows which ordinals have left";
        return stop(Exit::Error, rules::BLIND.found(set.reference(), message));
    }
    if !set.is_observed() {
        let what = "the controller to see the change".to_owned();
        return wait(state, terms, memory, Waiting::Seen(now), what, None);
    }
    if record.from == record.to {
        // An earlier scaling that somebody else has ended: only its note is left.
        return Move::Finish;
    }
    if let Some(target) = skips_broken(state) {
        return step_to(target, terms, memory);
    }
    if let Some(next) = until_gone(state, terms, memory) {
        return next;
    }
    let concluded = memory.has_concluded(record, now);
    if !concluded && record.is_down() && terms.snapshots && memory.snapshots != Some(now) {
        return Move::Snapshot { replicas: now };
    }
    if let Some(next) = until_well(state, terms, memory) {
        return next;
    }
    if !concluded {
        return Move::Conclude { replicas: now };
    }
    if now == record.to {
        return Move::Finish;
    }
    let target = if record.is_down() { lower(state) } else { now + 1 };
    if !record.is_down() && terms.fresh && memory.set_aside != Some(target) {
        return Move::SetAside { replicas: target };
    }
    step_to(target, terms, memory)
}

fn step_to(replicas: u32, terms: &Terms, memory: &Memory) -> Move {
    if terms.before && memory.prepared != Some(replicas) {
        return Move::Prepare { replicas };
    }
    Move::Step { replicas }
}

/// The replicas to step down to where an ordinal that is to leave anyway has
/// broken after the last step: under OrderedReady the controller waits for it
/// before it removes those above it, so they leave in one step.
fn skips_broken(state: &State) -> Option<u32> {
    let survey = &state.survey;
    let waits = !survey.leaving.is_empty()
        && !survey.leaving.iter().any(|slot| slot.pod.is_some_and(Pod::is_terminating));
    if !state.record.is_down() || !state.is_ordered() || !waits {
        return None;
    }
    let (index, slot) = *broken(survey, state.record.to).first()?;
    let blocker = state.unavailable(state.replicas())?;
    (blocker.ordinal == slot.ordinal).then_some(index)
}

/// How long a leaving pod may be unready before it counts as hopeless.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// The replicas to go down to next: one less, or past a hopeless ordinal that
/// OrderedReady would wait for.
pub fn lower(state: &State) -> u32 {
    let now = state.replicas();
    let one_less = now.saturating_sub(1);
    if !state.is_ordered() {
        return one_less;
    }
    broken(&state.survey, state.record.to).first().map_or(one_less, |(index, _)| *index)
}

/// The hopeless ordinals from index `to` on, the lowest first.
pub fn broken<'s, 'a>(survey: &'s Survey<'a>, to: u32) -> Vec<(u32, &'s Slot<'a>)> {
    let leaving = survey.indexes().filter(|(index, _)| *index >= to);
    let broken = leaving.filter(|(_, slot)| {
        !slot.is_available(survey.set, survey.now)
            && slot.pod.is_some_and(|pod| survey.is_hopeless(pod, PATIENCE))
    });
    broken.collect()
}

/// Waits for the pods of removed ordinals to be gone.
fn until_gone(state: &State, terms: &Terms, memory: &mut Memory) -> Option<Move> {
    let survey = &state.survey;
    if survey.leaving.is_empty() {
        return None;
    }
    let names: Vec<&str> = survey.leaving.iter().map(|slot| slot.name.as_str()).collect();
    if terms.clears
        && state.is_ordered()
        && state.unavailable(state.replicas()).is_none()
        && let Some(pod) = waits_forever(state)
    {
        return Some(Move::Clear { pod: PodToDelete::of(pod) });
    }
    let mut what = format!("{} to be gone", list(&names));
    let blocker = state.unavailable(state.replicas()).filter(|_| state.is_ordered());
    let going = survey.leaving.iter().any(|slot| slot.pod.is_some_and(Pod::is_terminating));
    if let Some(blocker) = blocker.filter(|_| !going) {
        let pod_state = blocker.pod.map_or_else(|| "Missing".to_owned(), Pod::state);
        what = format!("{what}: the controller waits for {} first ({pod_state})", blocker.name);
    }
    let kind = Waiting::Gone(names.iter().map(|name| (*name).to_owned()).collect());
    Some(wait(state, terms, memory, kind, what, None))
}

/// The highest leaving pod, where it is not available and a lower one is not
/// either: the controller waits for the lower one first, which has its turn only
/// after the higher one.
fn waits_forever<'a>(state: &State<'a>) -> Option<&'a Pod> {
    let set = state.survey.set;
    let leaving = &state.survey.leaving;
    if leaving.iter().any(|slot| slot.pod.is_some_and(Pod::is_terminating)) {
        return None;
    }
    let highest = leaving.last()?;
    let lowest = leaving.iter().find(|slot| !slot.is_available(set, state.survey.now))?;
    let broken = !highest.is_available(set, state.survey.now);
    highest.pod.filter(|_| broken && lowest.ordinal < highest.ordinal)
}

/// Waits until the remaining pods are available, and have been for `settle`.
fn until_well(state: &State, terms: &Terms, memory: &mut Memory) -> Option<Move> {
    let (now, record) = (state.replicas(), state.record);
    // Ordinals that leave anyway need not be available.
    let stays = if record.is_down() { lower(state).min(now) } else { now };
    let stays = if now == record.to { now } else { stays };
    if let Some(slot) = state.waited_for(stays).filter(|_| !terms.unhealthy) {
        let trouble = slot.pod.filter(|pod| !pod.is_terminating()).and_then(Pod::trouble);
        // A new ordinal that is broken does not recover by waiting.
        let is_new = !record.is_down() && slot.ordinal + 1 == state.survey.set.ordinals().end;
        if let Some(trouble) = trouble.filter(|trouble| is_new && is_lasting(trouble)) {
            let message = format!("{} does not come up: {}", slot.name, describe(&trouble));
            let finding = rules::DOES_NOT_COME_UP
                .found(format!("pod/{}", slot.name), message)
                .hint(format!("kubectl describe pod/{} {}", slot.name, state.survey.at()));
            return Some(stop(Exit::Failed, finding));
        }
        let pod_state = slot.pod.map_or_else(|| "Missing".to_owned(), Pod::state);
        let what = format!("{} to be available ({pod_state})", slot.name);
        // No event tells when a pod has been Ready for minReadySeconds.
        let soon = slot.pod.filter(|pod| pod.is_ready());
        let soon = soon.and_then(|_| state.survey.now.checked_add(TICK).ok());
        return Some(wait(state, terms, memory, Waiting::Well(now), what, soon));
    }
    let since = memory.available_since.filter(|_| !terms.unhealthy)?;
    let until = since.checked_add(terms.settle).unwrap_or(Timestamp::MAX);
    if terms.settle.is_zero() || state.survey.now >= until || now == record.from {
        return None;
    }
    let what = format!("{} to stay available for {}", state.survey.set.name, age(terms.settle));
    Some(wait(state, terms, memory, Waiting::Settled(now), what, Some(until)))
}

const TICK: SignedDuration = SignedDuration::from_secs(1);

/// Whether waiting does not help.
fn is_lasting(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::ImagePull { .. } | Trouble::CrashLoop { .. } | Trouble::ContainerConfig { .. }
    )
}

fn describe(trouble: &Trouble) -> String {
    match trouble {
        Trouble::ImagePull { image, message, .. } => format!("{image} cannot be pulled: {message}"),
        Trouble::CrashLoop { container, restarts, .. } => {
            format!("container {container} crashes, {restarts} restarts")
        }
        Trouble::ContainerConfig { container, reason, message } => {
            format!("container {container}: {reason}: {message}")
        }
        Trouble::Unschedulable { message } | Trouble::SchedulingGated { message } => {
            message.clone()
        }
    }
}

fn wait(
    state: &State,
    terms: &Terms,
    memory: &mut Memory,
    kind: Waiting,
    what: String,
    until: Option<Timestamp>,
) -> Move {
    let now = state.survey.now;
    let since = match &memory.waiting {
        Some((last, since)) if *last == kind => *since,
        _ => now,
    };
    let settles = matches!(kind, Waiting::Settled(_));
    memory.waiting = Some((kind, since));
    let end = terms.timeout.and_then(|timeout| since.checked_add(timeout).ok());
    if !settles && let Some(end) = end {
        if now >= end {
            let waited = age(now.duration_since(since));
            let on = state.survey.set.reference();
            return stop(
                Exit::Timeout,
                rules::DEADLINE.found(on, format!("waited {waited} for {what}")),
            );
        }
        return Move::Wait { what, until: Some(until.map_or(end, |until| until.min(end))) };
    }
    Move::Wait { what, until }
}

fn stop(exit: Exit, finding: Finding) -> Move {
    Move::Stop { exit, finding }
}
