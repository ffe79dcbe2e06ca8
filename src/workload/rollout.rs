//! What the pods of a set run, where its template stands to that, and what other
//! people have done to a canary on it. `status` and `canary` judge by this, and
//! by nothing else. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    Facts, Pod, Slot, Strategy, Survey,
    canary::{Passed, Phase, Record},
    fingerprint,
};

/// Where the template of a set stands to what its pods run.
///
/// It is never judged by `status.currentRevision` alone, which is the newest one
/// as soon as a template is taken back, whatever the pods run (see
/// [`super::SetStatus`]), nor by the numbers of the revisions: an old revision
/// becomes the newest again when it is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template<'a> {
    /// Every pod runs it.
    Everywhere { update: &'a str },
    /// It was made after the one other revision that pods run: a rollout, under
    /// way or held.
    Newer { stable: &'a str, update: &'a str },
    /// It was made before a revision that pods run: somebody has taken a change
    /// back. `undone` are those newer revisions; `kept` are the other ones that
    /// pods run, besides that of the template.
    Older { update: &'a str, undone: Vec<&'a str>, kept: Vec<&'a str> },
    /// Pods run several older revisions.
    Several { update: &'a str },
    /// Which of the two is older cannot be told.
    Unordered { update: &'a str, other: &'a str },
    /// Pods or revisions were not read, no pod has the label of a revision, or
    /// the controller has made no revision of the template yet.
    Unknown,
}

impl<'a> Template<'a> {
    pub fn of(survey: &Survey<'a>) -> Template<'a> {
        let update = survey.set.status.update_revision.as_deref();
        let run: BTreeSet<&str> = survey.pods().filter_map(|(_, pod)| pod.revision()).collect();
        let Some(update) = update.filter(|_| !run.is_empty()) else { return Template::Unknown };
        let others: Vec<&str> = run.into_iter().filter(|name| *name != update).collect();
        if others.is_empty() {
            return Template::Everywhere { update };
        }
        if survey.facts.revisions.is_none() {
            return Template::Unknown;
        }
        let (mut undone, mut kept) = (Vec::new(), Vec::new());
        for other in others {
            match is_newer(survey, other, update) {
                Some(true) => undone.push(other),
                Some(false) => kept.push(other),
                None => return Template::Unordered { update, other },
            }
        }
        match kept.as_slice() {
            _ if !undone.is_empty() => Template::Older { update, undone, kept },
            [stable] => Template::Newer { stable, update },
            _ => Template::Several { update },
        }
    }

    /// The revision to go back to, or to stay on; `None` where that would be a
    /// guess.
    pub fn stable(&self) -> Option<&'a str> {
        match self {
            Template::Everywhere { update } => Some(update),
            Template::Newer { stable, .. } => Some(stable),
            Template::Older { update, kept, .. } => match kept.as_slice() {
                [] => Some(update),
                [one] => Some(one),
                _ => None,
            },
            Template::Several { .. } | Template::Unordered { .. } | Template::Unknown => None,
        }
    }
}

/// Whether `name` was made after `update`, the revision of the template; `None`
/// where that cannot be told.
fn is_newer(survey: &Survey, name: &str, update: &str) -> Option<bool> {
    let revisions = survey.facts.revision(name).zip(survey.facts.revision(update));
    // Nobody goes back to a revision that is gone, and a guard says so.
    let Some((one, other)) = revisions else { return Some(false) };
    match one.created.zip(other.created) {
        Some((one, other)) if one != other => Some(one > other),
        // Made in the same second, or nobody says when. Nothing is older than the
        // first. Taken back, the template's revision is the current one at once;
        // going forward, at the very end.
        _ if one.number == 1 => Some(false),
        _ if survey.set.status.current_revision.as_deref() == Some(update) => Some(true),
        _ => None,
    }
}

/// The revision to go back to, or to stay on: see [`Template::stable`].
pub fn stable_of<'a>(survey: &Survey<'a>) -> Option<&'a str> {
    Template::of(survey).stable()
}

/// The lowest index that a rollout under way has reached: from there up, every
/// ordinal has left the stable revision or is being replaced, but for those of
/// [`gaps`]. No pod below it runs the revision of the template.
pub fn reached(survey: &Survey, stable: &str) -> u32 {
    let moved = survey.slots.iter().rev().take_while(|slot| {
        slot.pod.is_none_or(|pod| pod.is_terminating() || pod.revision() != Some(stable))
    });
    let moved = u32::try_from(moved.count()).unwrap_or(u32::MAX);
    let unbroken = survey.set.replicas.saturating_sub(moved);
    let update = survey.set.status.update_revision.as_deref();
    let is_new =
        |slot: &Slot| slot.pod.is_some_and(|pod| !pod.is_terminating() && pod.revision() == update);
    let new = survey.indexes().find(|(_, slot)| is_new(slot)).map(|(index, _)| index);
    let is_another = update.is_some_and(|update| update != stable) && survey.set.is_observed();
    new.filter(|_| is_another).map_or(unbroken, |new| new.min(unbroken))
}

/// The stable pods, highest first, that only the partition of now holds back, and
/// that a partition at [`reached`] would let go: a new pod is below them.
pub fn gaps<'a>(survey: &Survey<'a>, stable: &str) -> Vec<(u32, &'a Pod)> {
    let reached = reached(survey, stable);
    let held = reached..survey.set.partition();
    let held = survey.indexes().rev().filter(|(index, _)| held.contains(index));
    let pods = held.filter_map(|(index, slot)| Some((index, slot.pod?)));
    pods.filter(|(_, pod)| !pod.is_terminating() && pod.revision() == Some(stable)).collect()
}

/// A set and the canary on it, at one moment.
pub struct State<'a> {
    pub survey: Survey<'a>,
    pub record: &'a Record,
}

/// Which revision the pod of an ordinal runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Stable,
    Target,
    /// Neither: left from an edit in between.
    Other,
    /// No pod, or a terminating one.
    Absent,
}

/// Where a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// No canary is under way.
    None,
    /// The partition holds every ordinal back; a template may be applied.
    Staged,
    /// An ordinal has moved or been released and has not passed its gates, or one
    /// is not available: a promote waits for that first.
    Judging,
    /// The ordinals that moved have passed, and all are available; the others wait
    /// for a promote.
    Paused,
    /// Somebody else has changed the set since: it goes no further as it is.
    Changed,
    /// The pods go back to the stable revision.
    Aborting,
}

/// What somebody else has changed since a canary began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interference {
    BeingDeleted,
    Replicas {
        began: u32,
        now: u32,
    },
    /// `spec.ordinals.start`, from which the partition counts. `kept` are the pods that
    /// the partition kept when the canary began, and `keeps` those that it is about now.
    Ordinals {
        began: u32,
        now: u32,
        kept: Vec<String>,
        keeps: Vec<String>,
    },
    StrategyType,
    Partition {
        ours: u32,
        now: u32,
    },
    Template,
    /// The template is that of the stable revision again.
    TakenBack {
        stable: String,
    },
    /// A pod below the partition runs the new revision.
    Escaped {
        pod: String,
        partition: u32,
    },
}

impl<'a> State<'a> {
    pub fn new(facts: &'a Facts, record: &'a Record, now: Timestamp) -> State<'a> {
        State { survey: Survey::new(facts, now), record }
    }

    /// The new revision, once the controller has created it.
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

    pub fn is_available(&self, slot: &Slot) -> bool {
        slot.is_available(self.survey.set, self.survey.now)
    }

    /// Whether the very pod that is at this index now has passed its gates, and
    /// has not restarted since: in an earlier run, or `here`, in this one.
    pub fn has_passed(&self, index: u32, here: &[Passed]) -> bool {
        self.passed(index, here).is_some()
    }

    fn passed(&self, index: u32, here: &[Passed]) -> Option<Passed> {
        let slot = self.slot(index)?;
        // Right after a write the controller has not said which revision is new.
        let is_new = match self.side(slot) {
            Side::Target => true,
            Side::Other => !self.survey.set.is_observed(),
            Side::Stable | Side::Absent => false,
        };
        let passed = Passed::of(index, slot.pod.filter(|_| is_new)?);
        self.record.passed.iter().chain(here).any(|known| *known == passed).then_some(passed)
    }

    /// Whether the ordinal has to pass the gates: it may move, or has moved all the
    /// same. Under OnDelete every pod that somebody else deletes does.
    pub fn is_judged(&self, index: u32, slot: &Slot) -> bool {
        self.record.has_released(index)
            || (self.record.on_delete && self.side(slot) == Side::Target)
    }

    /// The highest ordinal that has to pass its gates and has not.
    pub fn unjudged(&self, here: &[Passed]) -> Option<u32> {
        let mut judged = self.indexes().rev().filter(|(index, slot)| self.is_judged(*index, slot));
        judged.find(|(index, _)| !self.has_passed(*index, here)).map(|(index, _)| index)
    }

    /// The highest ordinal that is not available: no other one moves before it is.
    pub fn unavailable(&self) -> Option<&Slot<'a>> {
        self.survey.slots.iter().rev().find(|slot| !self.is_available(slot))
    }

    /// The pods that have passed, as the record keeps them.
    pub fn judgements(&self, here: &[Passed]) -> Vec<Passed> {
        self.indexes().filter_map(|(index, _)| self.passed(index, here)).collect()
    }

    /// Whether somebody has applied a template since the set was staged.
    pub fn has_template_waiting(&self) -> bool {
        let template = &self.survey.set.template.raw;
        let is_another = if template.is_null() {
            matches!(Template::of(&self.survey), Template::Newer { .. })
        } else {
            fingerprint(template) != self.record.template
        };
        self.record.phase == Phase::Staged && is_another
    }

    pub fn stage(&self, here: &[Passed]) -> Stage {
        match self.record.phase {
            Phase::Aborting => Stage::Aborting,
            _ if self.interference().is_some() => Stage::Changed,
            Phase::Staged => Stage::Staged,
            Phase::Rolling if self.unjudged(here).is_none() && self.unavailable().is_none() => {
                Stage::Paused
            }
            Phase::Rolling => Stage::Judging,
        }
    }

    /// Whether somebody else has changed the template again after an abort had put
    /// the stable one back.
    pub fn is_changed_again(&self) -> bool {
        let template = &self.survey.set.template.raw;
        let stable = self.survey.facts.revision(&self.record.stable);
        self.record.phase == Phase::Aborting
            && !template.is_null()
            && stable.is_some_and(|stable| fingerprint(&stable.template) != fingerprint(template))
    }

    /// What somebody else has changed since the canary began, so that it must
    /// not go on.
    pub fn interference(&self) -> Option<Interference> {
        let (set, record) = (self.survey.set, self.record);
        if set.deleting.is_some() {
            return Some(Interference::BeingDeleted);
        }
        if record.phase == Phase::Aborting {
            return None;
        }
        let rolls = record.phase == Phase::Rolling;
        if rolls && set.replicas != record.replicas {
            return Some(Interference::Replicas { began: record.replicas, now: set.replicas });
        }
        if let Some(began) = record.first.filter(|began| rolls && *began != set.start) {
            let low = |first: u32| {
                let end = first.saturating_add(record.partition.min(set.replicas));
                (first..end).map(|ordinal| set.pod_name(ordinal)).collect()
            };
            let (now, kept, keeps) = (set.start, low(began), low(set.start));
            return Some(Interference::Ordinals { began, now, kept, keeps });
        }
        let on_delete = !matches!(set.strategy, Strategy::RollingUpdate { .. });
        if on_delete != record.on_delete {
            return Some(Interference::StrategyType);
        }
        if !record.on_delete && set.partition() != record.partition {
            let (ours, now) = (record.partition, set.partition());
            return Some(Interference::Partition { ours, now });
        }
        // A staged set waits for a template. Of many sets at once the templates are
        // not read.
        if !rolls || set.template.raw.is_null() {
            return None;
        }
        let template = fingerprint(&set.template.raw);
        if template != record.template {
            let stable = self.survey.facts.revision(&record.stable);
            return Some(match stable {
                Some(stable) if fingerprint(&stable.template) == template => {
                    Interference::TakenBack { stable: stable.name.clone() }
                }
                _ => Interference::Template,
            });
        }
        if self.target() == Some(record.stable.as_str()) {
            return Some(Interference::TakenBack { stable: record.stable.clone() });
        }
        let escaped = |(index, slot): &(u32, &Slot)| {
            !record.on_delete && !record.has_released(*index) && self.side(slot) == Side::Target
        };
        let (_, slot) = self.indexes().find(escaped)?;
        Some(Interference::Escaped { pod: slot.name.clone(), partition: record.partition })
    }
}

impl Interference {
    /// What was changed, in a sentence about the set of that name.
    pub fn sentence(&self, set: &str) -> String {
        match self {
            Interference::BeingDeleted => format!("{set} is being deleted"),
            Interference::Replicas { began, now } => {
                format!("the canary began with {began} replicas, and now there are {now}")
            }
            Interference::Ordinals { began, now, kept, keeps } => {
                let pods = match (range(kept), range(keeps)) {
                    (Some(kept), Some(keeps)) => {
                        format!(", and is about {keeps} now, where it was about {kept}")
                    }
                    _ => String::new(),
                };
                format!(
                    "somebody else changed spec.ordinals.start from {began} to {now}: the partition \
                     counts from there{pods}"
                )
            }
            Interference::StrategyType => {
                "somebody else changed the type of the update strategy".to_owned()
            }
            Interference::Partition { ours, now } => {
                format!("the canary set the partition to {ours}, and somebody else set it to {now}")
            }
            Interference::Template => {
                "somebody else changed the pod template after the canary began".to_owned()
            }
            Interference::TakenBack { stable } => {
                format!("the template is that of the stable revision {stable} again")
            }
            Interference::Escaped { pod, partition } => format!(
                "{pod} runs the new revision although the partition {partition} holds it back"
            ),
        }
    }
}

/// `web-1 to web-4`.
fn range(pods: &[String]) -> Option<String> {
    match pods {
        [] => None,
        [one] => Some(one.clone()),
        [first, .., last] => Some(format!("{first} to {last}")),
    }
}
