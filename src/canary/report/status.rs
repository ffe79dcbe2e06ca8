//! A canary: its ordinals with their gates, and what comes next.

use jiff::Timestamp;
use serde::Serialize;

use super::next::{Next, next};
pub use crate::workload::rollout::Stage;
use crate::{
    canary::{
        abort,
        foreign::ForeignTemplate,
        guards, missing,
        plan::{self, Memory, Side, State, trouble},
        record::{Passed, Phase, Record},
        rules, way_back,
    },
    output::text::{age, clock, list},
    workload::{
        Facts, Finding, Pod, PodView, Severity, Slot, Strategy, Survey, Unread,
        rollout::{Interference, Template},
    },
};

/// A canary, as text and as the payload of `-o json`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct View {
    pub stage: Stage,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub replicas: u32,
    /// `spec.ordinals.start`: the ordinal of index 0.
    pub start_ordinal: u32,
    pub strategy: String,
    /// How many low ordinals keep the stable revision.
    pub partition: u32,
    /// The partition that is restored at the end; `null` where there is none.
    pub original_partition: Option<u32>,
    /// The revision to go back to.
    pub stable: Option<String>,
    /// The new revision.
    pub target: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub started: Option<Timestamp>,
    /// The run that wrote last.
    pub run: Option<String>,
    /// The ordinals, highest first: the order in which they move.
    pub items: Vec<OrdinalView>,
    /// What the run is waiting for, or a promote would.
    pub waiting: Option<String>,
    /// A template that somebody else has set: it waits on a set that is staged,
    /// and stops a canary.
    pub foreign_template: Option<ForeignTemplate>,
    /// What this run wrote, in order.
    pub writes: Vec<String>,
    /// The commands that may come next.
    pub next: Vec<Next>,
    /// What keeps the canary from going on: what others have changed, and pods
    /// that are broken.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// Whether all that has moved has passed its gates.
    #[serde(skip)]
    pub(super) all_passed: bool,
    /// Whether somebody else has put the stable template back.
    #[serde(skip)]
    pub(super) is_taken_back: bool,
    #[serde(skip)]
    pub pods_known: bool,
    /// The revision of the template.
    #[serde(skip)]
    pub template_revision: Option<String>,
    #[serde(skip)]
    pub(super) images: Vec<(String, String)>,
    #[serde(skip)]
    pub unread: Vec<Unread>,
    /// Whether the set was deleted: what is known of it holds no more.
    #[serde(skip)]
    pub(super) is_dead: bool,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OrdinalView {
    #[serde(flatten)]
    pub pod: PodView,
    pub class: Class,
    pub index: u32,
    /// Whether the partition lets it move.
    pub released: bool,
    pub gates: Vec<GateView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Stable,
    Canary,
    Other,
    Absent,
}

/// One gate of one ordinal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GateView {
    pub gate: String,
    pub verdict: Verdict,
    pub message: String,
}

pub use crate::steps::attempt::Verdict;

impl View {
    pub fn new(
        facts: &Facts,
        record: Option<&Record>,
        memory: Option<&Memory>,
        now: Timestamp,
    ) -> View {
        let set = &facts.set;
        let survey = Survey::new(facts, now);
        let template = Template::of(&survey);
        let stable = match record {
            Some(record) => Some(record.stable.clone()),
            None => template.stable().map(str::to_owned),
        };
        let state = record.map(|record| State::new(facts, record, now));
        let here = memory.map_or(&[][..], |memory| &memory.passed);
        let stage = state.as_ref().map_or(Stage::None, |state| state.stage(here));
        let target = set.status.update_revision.clone().filter(|update| {
            let rolls = record.is_none_or(|record| record.phase == Phase::Rolling);
            // A change that was taken back goes nowhere new.
            let is_new = record.is_some() || matches!(template, Template::Newer { .. });
            Some(update) != stable.as_ref() && rolls && is_new
        });
        let taken_back =
            |state: &State| matches!(state.interference(), Some(Interference::TakenBack { .. }));
        let is_taken_back = stage == Stage::Changed && state.as_ref().is_some_and(taken_back);
        let mut items: Vec<OrdinalView> = survey
            .indexes()
            .rev()
            .map(|(index, slot)| ordinal(&survey, record, memory, index, slot))
            .collect();
        if is_taken_back {
            // It is back, as it should be, and nothing is waited for.
            let back = items.iter_mut().filter(|item| item.class == Class::Stable);
            back.for_each(|item| item.gates.clear());
        }
        let images = facts.revisions.iter().flatten().map(|revision| {
            let images: Vec<&str> = revision.images.iter().map(|(_, i)| i.as_str()).collect();
            (revision.name.clone(), images.join(", "))
        });
        let mut findings = state.as_ref().map_or_else(Vec::new, |state| in_the_way(state, memory));
        let is_back = record.is_some_and(|record| record.phase == Phase::Aborting)
            || matches!(template, Template::Older { .. });
        findings.extend(guards::not_kept(&survey, set.partition()).filter(|_| !is_back));
        if matches!(stage, Stage::Staged | Stage::Judging | Stage::Paused) {
            findings.extend(guards::applied_partition(&survey));
        }
        View {
            stage,
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            uid: set.uid.clone(),
            replicas: set.replicas,
            start_ordinal: set.start,
            strategy: match &set.strategy {
                Strategy::RollingUpdate { .. } => "RollingUpdate".to_owned(),
                Strategy::OnDelete => "OnDelete".to_owned(),
                Strategy::Other(other) => other.clone(),
            },
            partition: match record {
                Some(record) if record.on_delete => record.partition,
                _ => set.partition(),
            },
            original_partition: record.and_then(|record| record.was),
            stable,
            target,
            started: record.map(|record| record.started),
            run: record.map(|record| record.run.clone()),
            next: next(&survey, state.as_ref(), stage, &items),
            waiting: state.as_ref().and_then(|state| match stage {
                Stage::Judging => awaited(state, here),
                Stage::Aborting => abort::awaited(state),
                _ => None,
            }),
            foreign_template: state.as_ref().and_then(ForeignTemplate::of),
            all_passed: state.as_ref().is_some_and(|state| state.unjudged(here).is_none()),
            is_taken_back,
            findings,
            pods_known: survey.pods_known,
            template_revision: set.status.update_revision.clone(),
            items,
            writes: Vec::new(),
            images: with_template_images(images.collect(), facts),
            unread: facts.unread.clone(),
            is_dead: false,
        }
    }

    /// The set was deleted. Its pods and lines are none any more: another set of
    /// its name has nothing to do with this canary.
    pub fn drop_deleted(&mut self) {
        self.is_dead = true;
        self.stage = Stage::None;
        self.items.clear();
        self.findings.clear();
        self.next.clear();
        self.unread.clear();
        (self.waiting, self.foreign_template) = (None, None);
    }

    /// Adds the results of the checks of this run.
    pub fn add(&mut self, results: &[(u32, GateView)]) {
        for item in self.items.iter_mut().filter(|item| !item.gates.is_empty()) {
            let results = results.iter().filter(|(index, _)| *index == item.index);
            let place = item.gates.iter().position(|gate| gate.gate == "judged");
            let place = place.unwrap_or(item.gates.len());
            item.gates.splice(place..place, results.map(|(_, view)| view.clone()));
        }
    }

    /// Whether a gate has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.items.iter().flat_map(|item| &item.gates).any(|gate| gate.verdict == Verdict::Fail)
    }

    /// Whether something keeps the canary from going on, as far as it was read.
    pub fn is_held_up(&self) -> bool {
        let unread = [rules::BLIND.id, rules::UNREAD.id];
        let says_so = |finding: &Finding| {
            finding.severity == Severity::Error && !unread.contains(&finding.id)
        };
        self.is_broken() || self.findings.iter().any(says_so)
    }

    /// How many ordinals have left the stable revision.
    pub fn moved(&self) -> usize {
        let left =
            |item: &&OrdinalView| item.pod.revision.is_some() && item.pod.revision != self.stable;
        self.items.iter().filter(left).count()
    }

    /// What goes on, and what does not, while no command runs.
    pub fn without_us(&self) -> String {
        let names = |open: &dyn Fn(&OrdinalView) -> bool| -> Vec<&str> {
            let open = self.items.iter().filter(|item| open(item));
            open.map(|item| item.pod.name.as_str()).collect()
        };
        let is_on_delete = self.strategy == "OnDelete";
        let is_leaving = |item: &OrdinalView| item.class == Class::Absent;
        if self.stage == Stage::Aborting {
            let open = names(&|item| item.class != Class::Stable);
            return match open.as_slice() {
                [] => "every pod runs the stable revision".to_owned(),
                open => format!("{} not back on the stable revision yet", are(open)),
            };
        }
        let open = names(&|item| {
            item.released && item.class != Class::Canary && (!is_on_delete || is_leaving(item))
        });
        let rest = "no further pod will move until you continue";
        match open.as_slice() {
            [] => rest.to_owned(),
            open => format!("{} still being replaced, and {rest}", are(open)),
        }
    }
}

/// The update revision may be newer than our list of revisions; its images are
/// those of the template.
fn with_template_images(mut images: Vec<(String, String)>, facts: &Facts) -> Vec<(String, String)> {
    if let Some(update) = &facts.set.status.update_revision
        && !images.iter().any(|(name, _)| name == update)
    {
        let containers = facts.set.template.containers.iter().filter(|c| !c.init);
        let all: Vec<&str> = containers.map(|container| container.image.as_str()).collect();
        images.push((update.clone(), all.join(", ")));
    }
    images
}

fn are(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", list(names))
}

/// What a promote would wait for, although all that moved has passed.
fn awaited(state: &State, here: &[Passed]) -> Option<String> {
    let slot = state.unavailable().filter(|_| state.unjudged(here).is_none())?;
    Some(format!("{} to be available", slot.name))
}

/// What keeps a canary from going on, as a `promote` would find it, and what an
/// abort would overwrite.
fn in_the_way(state: &State, memory: Option<&Memory>) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    if state.record.phase != Phase::Aborting {
        found.extend(plan::changed_by_others(state));
    }
    // What was changed is judged as a whole, and that has the line.
    let judged = found.first().map(|finding| finding.id);
    let theirs = ForeignTemplate::of(state).filter(|_| state.record.phase != Phase::Staged);
    let theirs = theirs.filter(|_| judged != Some(rules::TEMPLATE_CHANGED.id));
    found.extend(theirs.map(|theirs| match (theirs.changed(state), judged) {
        (alone, None) => alone,
        (beside, Some(_)) => Finding { hint: None, ..beside },
    }));
    found.extend(abort::in_the_way(state));
    found.extend(plan::failing(state, memory.unwrap_or(&Memory::default())));
    found.extend(missing::finding(state));
    // A canary may still go forward.
    let lost = way_back::lost(&state.survey, Some(state.record));
    found.extend(lost.map(|lost| lost.at(Severity::Warning)));
    found
}

fn ordinal(
    survey: &Survey,
    record: Option<&Record>,
    memory: Option<&Memory>,
    index: u32,
    slot: &Slot,
) -> OrdinalView {
    let (set, now) = (survey.set, survey.now);
    let state = record.map(|record| State::new(survey.facts, record, now));
    let pod = slot.pod;
    let side = match (&state, pod) {
        (Some(state), _) => state.side(slot),
        (None, Some(pod)) if pod.revision() == set.status.update_revision.as_deref() => {
            Side::Stable
        }
        (None, Some(_)) => Side::Other,
        (None, None) => Side::Absent,
    };
    OrdinalView {
        pod: PodView::of(survey, slot),
        class: match side {
            Side::Stable => Class::Stable,
            Side::Target => Class::Canary,
            Side::Other => Class::Other,
            Side::Absent => Class::Absent,
        },
        index,
        released: record.is_some_and(|r| r.phase == Phase::Rolling && r.has_released(index)),
        gates: state.map_or_else(Vec::new, |state| gates(&state, memory, index)),
    }
}

/// The gates of one ordinal, as far as its pod shows them.
fn gates(state: &State, memory: Option<&Memory>, index: u32) -> Vec<GateView> {
    let record = state.record;
    if record.phase != Phase::Rolling {
        return Vec::new();
    }
    let gate =
        |gate: &str, verdict, message: String| GateView { gate: gate.to_owned(), verdict, message };
    let judged = |slot: &&Slot| state.survey.pods_known && state.is_judged(index, slot);
    let Some(slot) = state.slot(index).filter(judged) else { return Vec::new() };
    let pod = slot.pod.filter(|_| state.side(slot) == Side::Target);
    let Some(pod) = pod else {
        return vec![gate(
            "identity",
            Verdict::Pending,
            "no pod of the new revision yet".to_owned(),
        )];
    };
    let mut gates = vec![gate("identity", Verdict::Pass, format!("uid {}", pod.uid))];
    gates.push(match trouble(state, pod) {
        Some(trouble) => gate("health", Verdict::Fail, trouble),
        None => gate("health", Verdict::Pass, "nothing is wrong".to_owned()),
    });
    let set = state.survey.set;
    gates.push(if pod.is_available(set.min_ready_seconds, state.survey.now) {
        gate("ready", Verdict::Pass, "Ready and available".to_owned())
    } else if pod.is_ready() {
        gate("ready", Verdict::Pending, "Ready, not yet for minReadySeconds".to_owned())
    } else {
        gate("ready", Verdict::Pending, "not Ready".to_owned())
    });
    if let Some(memory) = memory {
        gates.extend(steady(state, memory, pod));
    }
    let here: &[Passed] = memory.map_or(&[], |memory| &memory.passed);
    if state.has_passed(index, here) {
        gates.push(gate("judged", Verdict::Pass, "it has passed its gates".to_owned()));
    } else if gates.iter().all(|gate| gate.verdict == Verdict::Pass) {
        gates.push(gate("judged", Verdict::Pending, "not yet: promote will judge it".to_owned()));
    }
    gates
}

/// Whether the pod has stayed Ready for the bake time.
fn steady(state: &State, memory: &Memory, pod: &Pod) -> Option<GateView> {
    let gate =
        |verdict, message: String| Some(GateView { gate: "bake".to_owned(), verdict, message });
    if let Some(what) = memory.broken(pod) {
        return gate(Verdict::Fail, what.to_owned());
    }
    if memory.bake.is_zero() {
        return None;
    }
    let ready = pod.condition("Ready").filter(|ready| ready.holds)?.since? + memory.bake;
    if ready > state.survey.now {
        return gate(Verdict::Pending, format!("until {}", clock(ready)));
    }
    gate(Verdict::Pass, format!("Ready for {} without a restart", age(memory.bake)))
}
