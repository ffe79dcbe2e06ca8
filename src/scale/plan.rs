//! Where a scaling is, and its next move. Pure.
//!
//! What the StatefulSet controller does decides what may be done (its code,
//! `stateful_set_control.go`, and tests on a real one): under OrderedReady it
//! takes an ordinal away only while every ordinal that stays is available, the
//! highest first, and one that is not Ready itself only where it is the lowest
//! such one. So a broken ordinal in the middle of those that leave holds
//! everything up when the replicas go down one by one, and goes by itself when
//! they pass it in one step; of two broken ones the higher waits for the lower
//! without end, and is deleted here.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{record::Record, rules};
use crate::{
    output::{
        Exit,
        text::{age, list},
    },
    workload::{Facts, Finding, Pod, PodManagement, Slot, Survey, Trouble},
};

/// A set and the scaling of it, at one moment.
pub struct Stand<'a> {
    pub survey: Survey<'a>,
    pub record: &'a Record,
}

/// What decides when the next step may be taken.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "terms hold or they do not")]
pub struct Terms {
    /// How long one wait may take; none waits for ever.
    pub timeout: Option<SignedDuration>,
    /// How long the set must have been well before the next step.
    pub settle: SignedDuration,
    /// Whether something runs before a step, in the ordinal or here.
    pub before: bool,
    /// Whether something is asked or run after it.
    pub after: bool,
    /// Whether snapshots are taken of what an ordinal leaves behind.
    pub snapshots: bool,
    /// Whether claims of the coming ordinals are set aside first.
    pub fresh: bool,
    /// Whether members that stay may be unavailable: somebody allowed it.
    pub unhealthy: bool,
    /// Whether pods that leave and that the controller waits for in vain may be
    /// deleted: somebody allowed it.
    pub clears: bool,
}

/// What one run has seen so far; another run begins anew and loses nothing but
/// time.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Since when all members have been available.
    well_since: Option<Timestamp>,
    /// What was waited for last, and since when.
    waiting: Option<(Waiting, Timestamp)>,
    /// The replicas that the hooks before a step agreed to.
    pub prepared: Option<u32>,
    /// The replicas whose snapshots are ready.
    pub kept: Option<u32>,
    /// The replicas up to which the claims that come were set aside.
    pub aside: Option<u32>,
    /// The replicas up to which everything after the step is done.
    pub concluded: Option<u32>,
}

/// Kinds of waits, so that each has its own time.
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
    /// Nothing to do before the cluster changes, or the clock passes `until`.
    Wait { what: String, until: Option<Timestamp> },
    /// Run the hooks before the step to so many replicas.
    Prepare { replicas: u32 },
    /// Set the claims of the ordinal that comes next aside.
    SetAside { replicas: u32 },
    /// Change the replicas.
    Step { replicas: u32 },
    /// Delete a pod that is to leave and that the controller would wait for
    /// without end.
    Clear { pod: Leaver },
    /// Take snapshots of what the ordinals left behind.
    Keep { replicas: u32 },
    /// Run what comes after the step.
    Conclude { replicas: u32 },
    /// All is done: forget the scaling.
    Finish,
    /// Something is in the way.
    Stop { exit: Exit, finding: Finding },
}

/// A pod that is deleted by us, as it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaver {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
}

impl<'a> Stand<'a> {
    pub fn new(facts: &'a Facts, record: &'a Record, now: Timestamp) -> Stand<'a> {
        Stand { survey: Survey::new(facts, now), record }
    }

    fn replicas(&self) -> u32 {
        self.survey.set.replicas
    }

    fn is_ordered(&self) -> bool {
        self.survey.set.pod_management == PodManagement::OrderedReady
    }

    /// The lowest ordinal below `replicas` that is not available.
    fn unwell(&self, replicas: u32) -> Option<&Slot<'a>> {
        let set = self.survey.set;
        let mut below = self.survey.indexes().filter(|(index, _)| *index < replicas);
        below.find(|(_, slot)| !slot.is_available(set, self.survey.now)).map(|(_, slot)| slot)
    }

    /// The same of those that somebody waits for: an ordinal that leaves soon
    /// and is past hope is nobody's member any more.
    fn missed(&self, replicas: u32) -> Option<&Slot<'a>> {
        let (set, to) = (self.survey.set, self.record.to);
        let given_up = |index: u32, slot: &Slot| {
            let hopeless = slot.pod.is_none_or(|pod| self.survey.is_hopeless(pod, PATIENCE));
            index >= to && hopeless && !self.is_ordered()
        };
        let mut below = self.survey.indexes().filter(|(index, _)| *index < replicas);
        let missed = below.find(|(index, slot)| {
            !slot.is_available(set, self.survey.now) && !given_up(*index, slot)
        });
        missed.map(|(_, slot)| slot)
    }

    /// The pod names of the indexes from `from` on, below `to`, the highest
    /// first: the order in which they leave.
    pub fn names(&self, from: u32, to: u32) -> Vec<String> {
        let set = self.survey.set;
        (from..to).rev().map(|index| set.pod_name(set.start.saturating_add(index))).collect()
    }
}

impl Memory {
    /// Takes in what is seen now.
    pub fn observe(&mut self, stand: &Stand) {
        let well = stand.missed(stand.replicas()).is_none() && stand.survey.leaving.is_empty();
        self.well_since = match (well, self.well_since) {
            (true, since) => since.or(Some(stand.survey.now)),
            (false, _) => None,
        };
    }

    /// Whether everything after the step to these replicas is done.
    fn has_concluded(&self, record: &Record, replicas: u32) -> bool {
        let reached =
            |done: u32| if record.is_down() { done <= replicas } else { done >= replicas };
        reached(record.concluded) || self.concluded.is_some_and(reached)
    }
}

/// The next move.
pub fn next(stand: &Stand, terms: &Terms, memory: &mut Memory) -> Move {
    let (set, record) = (stand.survey.set, stand.record);
    let now = set.replicas;
    if !stand.survey.pods_known {
        let message = "pods cannot be read: nothing is known of who has left";
        return stop(Exit::Error, rules::BLIND.found(set.reference(), message));
    }
    if !set.is_observed() {
        let what = "the controller to see the change".to_owned();
        return wait(stand, terms, memory, Waiting::Seen(now), what, None);
    }
    if let Some(next) = until_gone(stand, terms, memory) {
        return next;
    }
    let concluded = memory.has_concluded(record, now);
    if !concluded && record.is_down() && terms.snapshots && memory.kept != Some(now) {
        return Move::Keep { replicas: now };
    }
    if let Some(next) = until_well(stand, terms, memory) {
        return next;
    }
    if !concluded {
        return Move::Conclude { replicas: now };
    }
    if now == record.to {
        return Move::Finish;
    }
    let target = if record.is_down() { lower(stand) } else { now + 1 };
    if !record.is_down() && terms.fresh && memory.aside != Some(target) {
        return Move::SetAside { replicas: target };
    }
    if terms.before && memory.prepared != Some(target) {
        return Move::Prepare { replicas: target };
    }
    Move::Step { replicas: target }
}

/// How long a pod that is to leave may be unready before nobody waits for it.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// The replicas to go down to next: one less, or past an ordinal that
/// OrderedReady would wait for and that does not recover.
pub fn lower(stand: &Stand) -> u32 {
    let now = stand.replicas();
    let one_less = now.saturating_sub(1);
    if !stand.is_ordered() {
        return one_less;
    }
    broken(&stand.survey, stand.record.to).first().map_or(one_less, |(index, _)| *index)
}

/// The ordinals from index `to` on that are not available and past hope, the
/// lowest first.
pub fn broken<'s, 'a>(survey: &'s Survey<'a>, to: u32) -> Vec<(u32, &'s Slot<'a>)> {
    let leaving = survey.indexes().filter(|(index, _)| *index >= to);
    let broken = leaving.filter(|(_, slot)| {
        !slot.is_available(survey.set, survey.now)
            && slot.pod.is_some_and(|pod| survey.is_hopeless(pod, PATIENCE))
    });
    broken.collect()
}

/// Waits for the pods of ordinals that are no more.
fn until_gone(stand: &Stand, terms: &Terms, memory: &mut Memory) -> Option<Move> {
    let survey = &stand.survey;
    if survey.leaving.is_empty() {
        return None;
    }
    let names: Vec<&str> = survey.leaving.iter().map(|slot| slot.name.as_str()).collect();
    if terms.clears
        && stand.is_ordered()
        && stand.unwell(stand.replicas()).is_none()
        && let Some(pod) = waits_in_vain(stand)
    {
        return Some(Move::Clear { pod: leaver(pod) });
    }
    let mut what = format!("{} to be gone", list(&names));
    let blocker = stand.unwell(stand.replicas()).filter(|_| stand.is_ordered());
    let going = survey.leaving.iter().any(|slot| slot.pod.is_some_and(Pod::is_terminating));
    if let Some(blocker) = blocker.filter(|_| !going) {
        let state = blocker.pod.map_or_else(|| "Missing".to_owned(), Pod::state);
        what = format!("{what}: the controller waits for {} first ({state})", blocker.name);
    }
    let kind = Waiting::Gone(names.iter().map(|name| (*name).to_owned()).collect());
    Some(wait(stand, terms, memory, kind, what, None))
}

/// The highest of those that leave, where it is not Ready and another one below
/// it is not either: the controller then waits for the lower one, which waits
/// for its turn.
fn waits_in_vain<'a>(stand: &Stand<'a>) -> Option<&'a Pod> {
    let set = stand.survey.set;
    let leaving = &stand.survey.leaving;
    if leaving.iter().any(|slot| slot.pod.is_some_and(Pod::is_terminating)) {
        return None;
    }
    let highest = leaving.last()?;
    let lowest = leaving.iter().find(|slot| !slot.is_available(set, stand.survey.now))?;
    let broken = !highest.is_available(set, stand.survey.now);
    highest.pod.filter(|_| broken && lowest.ordinal < highest.ordinal)
}

fn leaver(pod: &Pod) -> Leaver {
    Leaver {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        resource_version: pod.resource_version.clone(),
    }
}

/// Waits for the members, and for as long after as they are to have been well.
fn until_well(stand: &Stand, terms: &Terms, memory: &mut Memory) -> Option<Move> {
    let (now, record) = (stand.replicas(), stand.record);
    // What leaves anyway need not be well.
    let stays = if record.is_down() { lower(stand).min(now) } else { now };
    let stays = if now == record.to { now } else { stays };
    if let Some(slot) = stand.missed(stays).filter(|_| !terms.unhealthy) {
        let trouble = slot.pod.filter(|pod| !pod.is_terminating()).and_then(Pod::trouble);
        // A new ordinal that is plainly broken does not get better by waiting.
        let fresh = !record.is_down() && slot.ordinal + 1 == stand.survey.set.ordinals().end;
        if let Some(trouble) = trouble.filter(|trouble| fresh && is_plain(trouble)) {
            let message = format!("{} does not come up: {}", slot.name, said(&trouble));
            let finding = rules::DOES_NOT_COME_UP
                .found(format!("pod/{}", slot.name), message)
                .hint(format!("kubectl describe pod/{} {}", slot.name, stand.survey.at()));
            return Some(stop(Exit::Failed, finding));
        }
        let state = slot.pod.map_or_else(|| "Missing".to_owned(), Pod::state);
        let what = format!("{} to be available ({state})", slot.name);
        // A pod that is Ready for minReadySeconds makes no event.
        let soon = slot.pod.filter(|pod| pod.is_ready());
        let soon = soon.and_then(|_| stand.survey.now.checked_add(A_MOMENT).ok());
        return Some(wait(stand, terms, memory, Waiting::Well(now), what, soon));
    }
    let since = memory.well_since.filter(|_| !terms.unhealthy)?;
    let until = since.checked_add(terms.settle).unwrap_or(Timestamp::MAX);
    if terms.settle.is_zero() || stand.survey.now >= until || now == record.from {
        return None;
    }
    let what = format!("{} to stay well for {}", stand.survey.set.name, age(terms.settle));
    Some(wait(stand, terms, memory, Waiting::Settled(now), what, Some(until)))
}

const A_MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// Whether it will not mend itself soon.
fn is_plain(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::ImagePull { .. } | Trouble::CrashLoop { .. } | Trouble::ContainerConfig { .. }
    )
}

fn said(trouble: &Trouble) -> String {
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
    stand: &Stand,
    terms: &Terms,
    memory: &mut Memory,
    kind: Waiting,
    what: String,
    until: Option<Timestamp>,
) -> Move {
    let now = stand.survey.now;
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
            let on = stand.survey.set.reference();
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
