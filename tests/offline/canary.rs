//! What holds for every canary, whatever happens meanwhile: `plan::next` and
//! `abort::next` drive a model of the controller (see `canary_model`), and the
//! controller, the kubelets, other people and the end of our own program take
//! turns in any order.
//!
//! Our side is that of `canary/run`, without streams: look, decide, write, look
//! again.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    rc::Rc,
};

use jiff::{SignedDuration, Timestamp};
use kubectl_stateful::{
    canary::{
        abort::{self, AbortMove},
        change, diff,
        guards::{self, StartKind},
        plan::{self, Memory, Move, State, Terms},
        record::{ANNOTATION, Phase, Record},
        report::View,
        rules, writes,
    },
    cluster::{Mode, Write},
    output::Exit,
    workload::{Allowed, Facts, StatefulSet, Survey, refuses},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    canary_model::{By, Fate, Model, Shape, template},
    properties,
    server::Answer,
};

/// What happens next in the world.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// The controller makes a pass, having seen the newest set or not.
    Sync {
        fresh: bool,
    },
    /// The kubelet looks after the pod at this index.
    Run(u32),
    Tick(i64),
    /// We look, decide and write.
    Us,
    /// The same, but so many actions lie between decision and write.
    Late(u8),
    /// Our program is killed, and the same command is typed again.
    Kill,
    /// Somebody deletes the pod at this index.
    Die(u32),
    /// The pod at this index is unready for a while.
    Sicken(u32, i64),
    Edit(Edit),
}

/// What other people do to the set.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Template(&'static str),
    Partition(u32),
    Replicas(u32),
    /// To OnDelete or, from there, to RollingUpdate.
    Strategy,
}

/// What we are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// This image; no further than the highest ordinal.
    Start(&'static str),
    Adopt,
    Full,
    Abort,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// All of them moved, or the way back is at its end.
    Finished,
    /// The goal is reached.
    Rests,
    Stopped {
        code: u8,
        id: &'static str,
    },
    /// A guard says no.
    Refused(Vec<&'static str>),
}

/// One of our processes at work on the model.
struct Run<'a> {
    model: &'a mut Model,
    verb: Verb,
    /// How long an ordinal, or the way back, may take.
    deadline: SignedDuration,
    facts: Option<(u64, Rc<Facts>)>,
    process: Process,
    number: u32,
    check_one: bool,
}

/// What dies with a process.
#[derive(Default)]
struct Process {
    memory: Option<Memory>,
    reverted: bool,
    deleted: HashSet<String>,
    since: Option<Timestamp>,
    /// The last decision, and at what: the same one twice is a loop.
    last: Option<(String, u64, Timestamp)>,
}

/// A decision that has not been carried out yet.
enum Decided {
    Write(Write, After),
    /// Something was asked, and answered.
    Asked(Move),
    Nothing {
        until: Option<Timestamp>,
    },
    End(End),
}

/// What a write means to us once it is done.
enum After {
    GoOn,
    Reverted,
    Deleted(String),
    End(End),
}

const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

impl Run<'_> {
    fn new(model: &mut Model, verb: Verb) -> Run<'_> {
        Run {
            model,
            verb,
            deadline: SignedDuration::from_mins(10),
            facts: None,
            process: Process::default(),
            number: 1,
            check_one: true,
        }
    }

    fn name(&self) -> String {
        format!("run-{:?}-{}", self.verb, self.number)
    }

    /// Lets the world go as the script says, and then fairly, until we are
    /// done.
    fn go(&mut self, script: &[Action]) -> End {
        let mut script = script.iter().copied();
        while let Some(action) = script.next() {
            if let Some(end) = self.act(action, &mut script) {
                return end;
            }
        }
        for _ in 0..3_000 {
            let before = self.model.version;
            self.world(Action::Sync { fresh: true });
            // Pods beyond the range end, too.
            let start = self.model.start();
            for ordinal in self.model.pods.keys().copied().collect::<Vec<_>>() {
                self.world(Action::Run(ordinal - start));
            }
            let decided = self.decide();
            let until = match &decided {
                Decided::Nothing { until } => Some(*until),
                _ => None,
            };
            if let Some(end) = self.carry_out(decided) {
                return end;
            }
            if let (Some(until), true) = (until, before == self.model.version) {
                let rest = until.map_or(5, |until| until.duration_since(self.model.now).as_secs());
                self.world(Action::Tick(rest.clamp(1, 20)));
            }
        }
        panic!("no end of {:?}: {:?}", self.verb, self.process.last);
    }

    fn act(&mut self, action: Action, script: &mut impl Iterator<Item = Action>) -> Option<End> {
        match action {
            Action::Us => {
                let decided = self.decide();
                self.carry_out(decided)
            }
            Action::Late(count) => {
                let decided = self.decide();
                let sent = matches!(decided, Decided::Write(..));
                for action in script.take(if sent { count.into() } else { 0 }) {
                    // While a request is under way we do nothing else.
                    if !matches!(action, Action::Us | Action::Late(_) | Action::Kill) {
                        self.world(action);
                    }
                }
                self.carry_out(decided)
            }
            Action::Kill => {
                self.process = Process::default();
                self.number += 1;
                None
            }
            other => {
                self.world(other);
                None
            }
        }
    }

    fn world(&mut self, action: Action) {
        let model = &mut *self.model;
        let start = model.start();
        let gone = model.gone.len();
        match action {
            Action::Sync { fresh } => model.sync(fresh),
            Action::Run(index) => model.run_pod(start + index),
            Action::Tick(seconds) => model.tick(seconds),
            Action::Die(index) => model.delete(start + index, By::Other),
            Action::Sicken(index, seconds) => model.sicken(start + index, seconds),
            Action::Edit(edit) => match edit {
                Edit::Template(image) => model.edit("/spec/template", template(image)),
                Edit::Replicas(count) => model.edit("/spec/replicas", json!(count)),
                Edit::Partition(to) if !model.on_delete() => {
                    model.edit("/spec/updateStrategy/rollingUpdate", json!({"partition": to}));
                }
                Edit::Partition(_) => {}
                Edit::Strategy if model.on_delete() => {
                    let strategy = json!({"type": "RollingUpdate"});
                    model.edit("/spec/updateStrategy", strategy);
                }
                Edit::Strategy => {
                    model.edit("/spec/updateStrategy", json!({"type": "OnDelete"}));
                }
            },
            Action::Us | Action::Late(_) | Action::Kill => {}
        }
        self.check_deletions(gone);
    }

    /// Nobody below the partition is touched, and at most one at a time.
    fn check_deletions(&self, from: usize) {
        let record = record_of(self.model);
        for gone in self.model.gone[from..].iter().filter(|gone| gone.by != By::Other) {
            if let Some(record) = record.as_ref().filter(|_| !self.model.edited) {
                let lowest = record.partition;
                match record.phase {
                    Phase::Rolling if gone.by == By::Us => {
                        assert!(record.on_delete, "{gone:?} of a rolling update");
                        assert_eq!(gone.index, lowest, "{gone:?} is not the one in hand");
                    }
                    Phase::Rolling => assert!(gone.index >= lowest, "{gone:?} below {lowest}"),
                    // What the controller has not seen yet it cannot keep to.
                    Phase::Aborting if gone.by == By::Update && self.model.lags() => {}
                    Phase::Aborting => {
                        assert_ne!(gone.revision, record.stable, "{gone:?} on the way back");
                    }
                    Phase::Staged => panic!("{gone:?} of a staged set"),
                }
            }
        }
        if self.check_one && !self.model.edited {
            let taken = &self.model.taken;
            assert!(taken.len() <= 1, "{taken:?} were taken away at once");
        }
    }

    fn facts(&mut self) -> Rc<Facts> {
        if self.facts.as_ref().is_none_or(|(version, _)| *version != self.model.version) {
            self.facts = Some((self.model.version, Rc::new(self.model.facts())));
        }
        Rc::clone(&self.facts.as_ref().expect("facts").1)
    }

    fn decide(&mut self) -> Decided {
        let facts = self.facts();
        let decided = match self.verb {
            Verb::Abort => self.decide_back(&facts),
            Verb::Full => self.decide_forward(&facts, 0),
            Verb::Start(_) | Verb::Adopt => self.decide_start(&facts),
        };
        let (what, waits) = match &decided {
            Decided::Write(write, _) => (write.as_kubectl(Mode::ClientDryRun, &[]), false),
            Decided::Asked(next) => (format!("{next:?}"), false),
            Decided::Nothing { .. } => (String::new(), true),
            Decided::End(end) => (format!("{end:?}"), false),
        };
        let last = (what, self.model.version, self.model.now);
        assert!(waits || self.process.last.as_ref() != Some(&last), "again and again: {last:?}");
        self.process.last = Some(last);
        decided
    }

    fn carry_out(&mut self, decided: Decided) -> Option<End> {
        let (write, after) = match decided {
            Decided::End(end) => return Some(end),
            Decided::Nothing { .. } => return None,
            Decided::Asked(next) => {
                let memory = self.process.memory.as_mut()?;
                memory.note(&next);
                return None;
            }
            Decided::Write(write, after) => (write, after),
        };
        let (before, was) = (record_of(self.model), self.model.partition());
        let gone = self.model.gone.len();
        let strategy = self.model.set["spec"]["updateStrategy"].clone();
        match self.model.write(&write) {
            Answer::Done => {}
            Answer::Conflict | Answer::NotFound => return None,
        }
        if before.is_none() {
            self.model.strategy = Some(strategy);
        }
        self.check_write(before.as_ref(), was);
        self.check_deletions(gone);
        match after {
            After::GoOn => None,
            After::Reverted => {
                self.process.reverted = true;
                // Who was taken away on the way forward is no matter of the
                // way back.
                self.model.taken.clear();
                None
            }
            After::Deleted(uid) => {
                self.process.deleted.insert(uid);
                None
            }
            After::End(end) => Some(end),
        }
    }

    /// The partition goes down by at most one going forward, and lower only
    /// together with the stable template.
    fn check_write(&self, before: Option<&Record>, was: Option<u32>) {
        let record = record_of(self.model);
        let (Some(before), Some(record)) = (before, &record) else { return };
        match record.phase {
            Phase::Aborting => {
                let stable = self.model.template_of(&record.stable);
                assert_eq!(Some(&self.model.set["spec"]["template"]), stable);
            }
            _ if self.verb == Verb::Adopt => {}
            _ => {
                let (was, is) = (was.unwrap_or(0), self.model.partition().unwrap_or(0));
                assert!(is == was || is + 1 == was, "partition {was} -> {is}");
                assert!(before.partition - record.partition <= 1);
            }
        }
    }

    fn terms(&self, goal: u32) -> Terms {
        Terms {
            goal,
            deadline: Some(self.deadline),
            bake: SignedDuration::from_secs(10),
            checks: true,
            pause_between: false,
            budgets: true,
            unhealthy: false,
        }
    }

    fn decide_start(&mut self, facts: &Facts) -> Decided {
        let survey = Survey::new(facts, self.model.now);
        let set = survey.set;
        let there = Record::of(set).expect("our record");
        let goal = set.replicas.saturating_sub(1);
        // Begun by this very process.
        if there.as_ref().is_some_and(|record| record.run == self.name()) {
            return self.decide_forward(facts, goal);
        }
        // It reads again until the controller has seen the newest spec.
        if !set.is_observed() {
            return Decided::Nothing { until: None };
        }
        let (beginning, patch) = match self.verb {
            Verb::Start(image) => (StartKind::Change, Some(image_patch(image))),
            _ => (StartKind::Adopt, None),
        };
        let after = patch
            .as_ref()
            .map_or_else(|| set.template.raw.clone(), |p| change::apply(&set.template.raw, p));
        let resumes = there.as_ref().is_some_and(|record| {
            record.phase == Phase::Rolling
                && diff::fingerprint(&set.template.raw) == record.template
                && set.template.raw == after
                && (record.on_delete || record.partition == set.partition())
                && record.replicas == set.replicas
        });
        if resumes {
            return self.decide_forward(facts, goal);
        }
        let mut findings = guards::check(&survey, there.as_ref(), beginning);
        Allowed::of([&rules::SINGLE_REPLICA, &rules::LEFTOVER_PARTITION]).weigh(&mut findings);
        let going = there.as_ref().is_some_and(|record| record.phase == Phase::Rolling);
        if refuses(&findings) || (going && beginning == StartKind::Change) {
            let mut ids: Vec<_> = findings.iter().map(|finding| finding.id).collect();
            ids.dedup();
            return Decided::End(End::Refused(ids));
        }
        let mut record = there.unwrap_or_else(|| {
            let stable = plan::stable_of(&survey).unwrap_or_default();
            Record::begin(set, stable, "", self.model.now)
        });
        let reached = match beginning {
            StartKind::Adopt => plan::reached(&survey, &record.stable),
            _ => set.replicas,
        };
        record = record.rolling(set, reached, &self.name());
        if record.partition == set.replicas {
            record.partition = goal;
        }
        record.template = diff::fingerprint(&after);
        let write = match &patch {
            Some(patch) => writes::begin(set, patch, &record),
            None => writes::step(set, &record),
        };
        Decided::Write(write, After::GoOn)
    }

    fn decide_forward(&mut self, facts: &Facts, goal: u32) -> Decided {
        let Ok(Some(record)) = Record::of(&facts.set) else {
            return Decided::End(End::Refused(Vec::new()));
        };
        if record.phase != Phase::Rolling {
            return Decided::End(End::Refused(Vec::new()));
        }
        let terms = self.terms(goal);
        let run = self.name();
        let state = State::new(facts, &record, self.model.now);
        let memory = self.process.memory.get_or_insert_with(Memory::default);
        memory.observe(&state);
        let next = plan::next(&state, &terms, memory);
        let passed = state.judgements(&memory.passed);
        let set = &facts.set;
        match next {
            Move::Wait { until, .. } => Decided::Nothing { until },
            Move::Check { .. } | Move::Prepare { .. } | Move::Passed { .. } => Decided::Asked(next),
            Move::Step { index } => {
                let mut record = record.clone();
                (record.partition, record.passed, record.run) = (index, passed, run);
                Decided::Write(writes::step(set, &record), After::GoOn)
            }
            Move::Replace { pod } if self.process.deleted.contains(&pod.uid) => {
                Decided::Nothing { until: None }
            }
            Move::Replace { pod } => Decided::Write(pod.delete(set, ""), After::Deleted(pod.uid)),
            Move::Finish => Decided::Write(writes::finish(set, &record), After::End(End::Finished)),
            Move::Pause if passed == record.passed => Decided::End(End::Rests),
            Move::Pause => {
                let mut record = record.clone();
                (record.passed, record.run) = (passed, run);
                Decided::Write(writes::mark(set, &record, ""), After::End(End::Rests))
            }
            Move::Stop { exit, finding } => Decided::End(stopped(exit, finding.id)),
        }
    }

    fn decide_back(&mut self, facts: &Facts) -> Decided {
        let set = &facts.set;
        let Ok(Some(record)) = Record::of(set) else {
            return Decided::End(End::Refused(Vec::new()));
        };
        let now = self.model.now;
        let since = *self.process.since.get_or_insert(now);
        let state = State::new(facts, &record, now);
        match abort::next(&state, PATIENCE, self.process.reverted) {
            AbortMove::Revert { partition } => {
                let Some(stable) = facts.revision(&record.stable) else {
                    return Decided::End(stopped(Exit::Manual, "CANARY-NO-STABLE-REVISION"));
                };
                let record = abort::reverted(&state, partition, &self.name());
                let write = writes::revert(set, &record, &stable.template);
                Decided::Write(write, After::Reverted)
            }
            AbortMove::Replace { pod, .. } if self.process.deleted.contains(&pod.uid) => {
                Decided::Nothing { until: None }
            }
            AbortMove::Replace { pod, .. } => {
                Decided::Write(pod.delete(set, ""), After::Deleted(pod.uid))
            }
            AbortMove::Wait { .. } if now.duration_since(since) >= self.deadline => {
                Decided::End(stopped(Exit::Timeout, "CANARY-DEADLINE"))
            }
            AbortMove::Wait { .. } => Decided::Nothing { until: None },
            AbortMove::Finish => {
                Decided::Write(writes::finish(set, &record), After::End(End::Finished))
            }
            AbortMove::Stop { exit, finding } => Decided::End(stopped(exit, finding.id)),
        }
    }
}

fn stopped(exit: Exit, id: &'static str) -> End {
    End::Stopped { code: exit.code(), id }
}

fn image_patch(image: &str) -> Map<String, Value> {
    let containers = json!([{"name": "nginx", "image": image}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    patch.as_object().expect("an object").clone()
}

fn record_of(model: &Model) -> Option<Record> {
    model.annotation().map(|text| serde_json::from_str(text).expect("a record"))
}

/// Every pod's revision, and whether it is available.
fn pods(model: &Model) -> Vec<Option<(String, bool)>> {
    let pod = |pod: Option<&super::canary_model::Pod>| {
        pod.map(|pod| (pod.revision.clone(), model.is_available(pod)))
    };
    model.slots().into_iter().map(pod).collect()
}

fn shape() -> impl Strategy<Value = Shape> {
    (
        1_u32..6,
        prop_oneof![Just(0_u32), Just(3)],
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop_oneof![3 => Just(Some(0_u32)), 1 => Just(None), 1 => (1_u32..7).prop_map(Some)],
        prop_oneof![3 => Just(0_u32), 1 => Just(7)],
    )
        .prop_map(|(replicas, start, parallel, on_delete, partition, min_ready)| Shape {
            replicas,
            start,
            parallel,
            on_delete,
            partition: partition.filter(|_| !on_delete),
            min_ready,
            history_limit: 10,
        })
}

/// What happens anyway: turns, in any order.
fn turn() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => Just(Action::Us),
        2 => (1_u8..4).prop_map(Action::Late),
        5 => any::<bool>().prop_map(|fresh| Action::Sync { fresh }),
        6 => (0_u32..6).prop_map(Action::Run),
        3 => (1_i64..40).prop_map(Action::Tick),
        1 => Just(Action::Kill),
    ]
}

/// And what should not.
fn trouble() -> impl Strategy<Value = Action> {
    prop_oneof![
        10 => turn(),
        1 => (0_u32..6).prop_map(Action::Die),
        1 => (0_u32..6, 1_i64..60).prop_map(|(index, seconds)| Action::Sicken(index, seconds)),
    ]
}

fn deaths() -> impl Strategy<Value = Action> {
    prop_oneof![10 => turn(), 1 => (0_u32..6).prop_map(Action::Die)]
}

fn edit() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Edit::Template("a")),
        Just(Edit::Template("c")),
        (0_u32..7).prop_map(Edit::Partition),
        (0_u32..7).prop_map(Edit::Replicas),
        Just(Edit::Strategy),
    ]
    .prop_map(Action::Edit)
}

fn edits() -> impl Strategy<Value = Action> {
    prop_oneof![12 => trouble(), 1 => edit()]
}

fn script(action: impl Strategy<Value = Action>) -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(action, 0..60)
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Pull),
        Just(Fate::Crash),
        Just(Fate::Silent),
        Just(Fate::Slow),
        Just(Fate::Flaps)
    ]
}

/// Fates of pods of these images.
fn fates(images: &'static [&'static str]) -> impl Strategy<Value = BTreeMap<(String, u32), Fate>> {
    let one = (prop::sample::select(images), 0_u32..6, fate());
    prop::collection::vec(one, 0..3).prop_map(|all| {
        all.into_iter().map(|(image, index, fate)| ((image.to_owned(), index), fate)).collect()
    })
}

fn model(shape: &Shape, fates: &BTreeMap<(String, u32), Fate>) -> Model {
    let mut model = Model::new(shape);
    model.fates.clone_from(fates);
    model
}

/// Everything is on the stable revision, and nothing of the canary is left.
fn is_back(model: &Model, revisions: &BTreeSet<String>, calm: bool) {
    let stable = &model.revisions[0].name;
    for pod in pods(model) {
        let there = pod.as_ref().is_some_and(|(_, available)| *available);
        assert!(there || !calm, "{:?}", pods(model));
        assert!(pod.is_none_or(|(revision, _)| revision == *stable), "{:?}", pods(model));
    }
    assert_eq!(model.set["spec"]["template"], template("a"));
    if let Some(strategy) = &model.strategy {
        assert_eq!(model.set["spec"]["updateStrategy"], *strategy);
    }
    assert_eq!(model.annotation(), None);
    for known in &model.revisions {
        assert!(revisions.contains(&known.name), "a new revision {}", known.name);
    }
}

/// The controller and the kubelets go on until nothing moves any more.
fn settle(model: &mut Model) {
    for _ in 0..20 {
        while model.is_moving() {}
        model.tick(10);
    }
}

fn names(model: &Model) -> BTreeSet<String> {
    model.revisions.iter().map(|known| known.name.clone()).collect()
}

/// Goes back, and says whether that is a way that an abort may end: there, or
/// held up by a pod of the stable revision.
fn goes_back(model: &mut Model, shape: &Shape, script: &[Action]) {
    // The controller makes a revision of the newest template before it sees
    // the stable one, or never.
    let mut revisions = names(model);
    let well = |((image, _), fate): (&(String, u32), &Fate)| image != "a" || *fate == Fate::Slow;
    let recovers = model.fates.iter().all(well) && !model.was_sick;
    // What happens while the last write is under way is not ours to see.
    let calm = !script.iter().any(|action| matches!(action, Action::Sicken(..) | Action::Die(_)));
    let sick = script.iter().any(|action| matches!(action, Action::Sicken(..)));
    let recovers = recovers && !sick;
    model.taken.clear();
    let mut run = Run::new(model, Verb::Abort);
    // A pod that is broken may be taken away beside one that is well.
    run.check_one = !shape.parallel;
    let end = run.go(script);
    revisions.extend(
        names(model)
            .into_iter()
            .filter(|name| model.template_of(name).is_some_and(|made| *made != template("a"))),
    );
    match end {
        End::Finished => is_back(model, &revisions, calm),
        End::Stopped { code: 11, id: "CANARY-STABLE-POD-BLOCKS" } => {
            assert!(!recovers, "given up: {:?}", pods(model));
            let stable = record_of(model).expect("a record").stable;
            let pods = pods(model).into_iter().flatten();
            let mut low = pods.filter(|(_, available)| !available).map(|(revision, _)| revision);
            if shape.parallel {
                assert!(low.any(|revision| revision == stable));
            } else {
                assert_eq!(low.next(), Some(stable));
            }
        }
        End::Stopped { code: 6, .. } => {
            assert!(!recovers, "late: {:?}", pods(model));
        }
        End::Refused(ids) => {
            assert!(ids.is_empty() && model.annotation().is_none());
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(properties::config(100))]

    /// However turns fall, whoever deletes pods, and however often we are
    /// killed: a canary that is well gets through.
    #[test]
    fn a_healthy_canary_gets_through(
        shape in shape(),
        first in script(deaths()),
        second in script(deaths()),
    ) {
        let mut model = Model::new(&shape);
        let end = Run::new(&mut model, Verb::Start("b")).go(&first);
        // Nobody is obliged to begin while a pod is missing.
        if let End::Refused(ids) = &end {
            prop_assert!(ids.contains(&"CANARY-UNHEALTHY"), "{:?}", ids);
            return Ok(());
        }
        if shape.replicas > 1 {
            prop_assert_eq!(end, End::Rests);
            let end = Run::new(&mut model, Verb::Full).go(&second);
            prop_assert_eq!(end, End::Finished);
        } else {
            // The first ordinal is the last one.
            prop_assert_eq!(end, End::Finished);
        }
        // Whoever died while the last write was under way comes back on it.
        settle(&mut model);
        let target = model.revisions.last().expect("a revision").name.clone();
        for pod in pods(&model) {
            prop_assert_eq!(pod, Some((target.clone(), true)));
        }
        prop_assert_eq!(model.partition(), shape.partition);
        prop_assert_eq!(model.annotation(), None);
        prop_assert_eq!(model.revisions.len(), 2);
        if !shape.on_delete {
            prop_assert_eq!(&model.set["status"]["currentRevision"], &json!(target));
        }
    }

    /// With pods that fail: it ends, and no ordinal below the one that failed
    /// has moved. Then it goes back.
    #[test]
    fn a_failing_canary_stops_and_goes_back(
        shape in shape(),
        fates in fates(&["b"]),
        (first, second, third) in (script(trouble()), script(trouble()), script(turn())),
    ) {
        let mut model = model(&shape, &fates);
        let mut end = Run::new(&mut model, Verb::Start("b")).go(&first);
        if end == End::Rests {
            end = Run::new(&mut model, Verb::Full).go(&second);
        }
        let bad = |fate: &Fate| !matches!(fate, Fate::Well | Fate::Slow);
        let worst = (0..shape.replicas).rev().find(|index| {
            fates.get(&("b".to_owned(), *index)).is_some_and(bad)
        });
        if let Some(worst) = worst.filter(|_| !shape.on_delete) {
            prop_assert!(matches!(end, End::Stopped { .. } | End::Refused(_)), "{:?}", end);
            let stable = &model.revisions[0].name;
            let low = &pods(&model)[..usize::try_from(worst).expect("small")];
            prop_assert!(low.iter().flatten().all(|(revision, _)| revision == stable), "{:?}", low);
        }
        if model.annotation().is_some() {
            goes_back(&mut model, &shape, &third);
        }
    }

    /// From any moment on the way forward, and with a stable version that does
    /// not come up again either.
    #[test]
    fn an_abort_ends(
        shape in shape(),
        fates in fates(&["a", "b"]),
        promotes in any::<bool>(),
        (first, second, third) in (script(trouble()), script(trouble()), script(trouble())),
    ) {
        let mut model = model(&shape, &fates);
        begin(&mut model, promotes, &first, &second);
        if model.annotation().is_some() {
            goes_back(&mut model, &shape, &third);
        }
    }

    /// Whatever other people have done to the set meanwhile, except to its size.
    #[test]
    fn edits_stop_it_and_it_goes_back(
        shape in shape(),
        fates in fates(&["b", "c"]),
        promotes in any::<bool>(),
        (first, second, third) in (script(edits()), script(edits()), script(turn())),
    ) {
        let mut model = model(&shape, &fates);
        begin(&mut model, promotes, &first, &second);
        if model.annotation().is_some() && model.replicas() > 0 {
            goes_back(&mut model, &shape, &third);
        }
    }

    /// What somebody else applied is taken over, and brought to its end.
    #[test]
    fn another_template_is_adopted(
        shape in shape(),
        promotes in any::<bool>(),
        (first, second, third) in (script(turn()), script(turn()), script(turn())),
    ) {
        let mut model = Model::new(&shape);
        begin(&mut model, promotes, &first, &second);
        model.edit("/spec/template", template("c"));
        let mut run = Run::new(&mut model, Verb::Adopt);
        let adopted = run.go(&third);
        if let End::Refused(ids) = &adopted {
            prop_assert!(ids.contains(&"CANARY-UNHEALTHY") || ids.contains(&"CANARY-NO-STABLE-REVISION"), "{:?}", ids);
            return Ok(());
        }
        if adopted != End::Finished {
            prop_assert_eq!(adopted, End::Rests);
            model.taken.clear();
            let mut run = Run::new(&mut model, Verb::Full);
            prop_assert_eq!(run.go(&[]), End::Finished);
        }
        while model.is_moving() {}
        for (revision, available) in pods(&model).into_iter().flatten() {
            prop_assert_eq!(model.template_of(&revision), Some(&template("c")));
            prop_assert!(available);
        }
        prop_assert_eq!(model.annotation(), None);
    }

    /// A kill at any moment, and the same command again, ends where it would
    /// have ended without.
    #[test]
    fn a_kill_changes_nothing(
        shape in shape(),
        fates in fates(&["b"]).prop_filter("what one run sees", |fates| {
            !fates.values().any(|fate| *fate == Fate::Flaps)
        }),
        kills in prop::collection::vec(0_usize..80, 1..4),
    ) {
        let round: Vec<Action> = [Action::Sync { fresh: true }, Action::Us]
            .into_iter()
            .chain((0..shape.replicas).map(Action::Run))
            .chain([Action::Us, Action::Tick(3)])
            .collect();
        let calm: Vec<Action> = round.iter().copied().cycle().take(400).collect();
        let mut killed = calm.clone();
        for kill in &kills {
            killed.insert(*kill, Action::Kill);
        }
        let ways = [&calm, &killed].map(|script| {
            let mut model = model(&shape, &fates);
            let mut ends = vec![Run::new(&mut model, Verb::Start("b")).go(script)];
            ends.push(Run::new(&mut model, Verb::Full).go(script));
            let forward = (pods(&model), model.partition(), model.annotation().is_some());
            if model.annotation().is_some() {
                ends.push(Run::new(&mut model, Verb::Abort).go(script));
            }
            let back = (pods(&model), model.partition(), model.annotation().is_some());
            (ends, forward, back)
        });
        prop_assert_eq!(&ways[0], &ways[1]);
    }
}

/// What people do to a set with kubectl alone.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Template(&'static str),
    Undo,
    Partition(u32),
    /// Somebody deletes the pod at this index.
    Delete(u32),
    /// Controller and kubelets take so many turns, and time passes.
    Rounds(u8),
    Settle,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(Deed::Template),
        3 => Just(Deed::Undo),
        3 => (0_u32..6).prop_map(Deed::Partition),
        1 => (0_u32..6).prop_map(Deed::Delete),
        4 => (1_u8..6).prop_map(Deed::Rounds),
        1 => Just(Deed::Settle),
    ]
}

fn does(model: &mut Model, deed: Deed) {
    match deed {
        Deed::Template(image) => model.edit("/spec/template", template(image)),
        Deed::Undo => model.undo(),
        Deed::Partition(to) if !model.on_delete() => {
            model.edit("/spec/updateStrategy/rollingUpdate", json!({"partition": to}));
        }
        Deed::Partition(_) => {}
        Deed::Delete(index) => model.delete(model.start() + index, By::Other),
        Deed::Rounds(count) => {
            for _ in 0..count {
                model.is_moving();
                model.tick(1);
            }
        }
        Deed::Settle => settle(model),
    }
    model.sync(true);
}

/// In which order revisions were made: the model counts them in their names.
fn made(revision: &str) -> u32 {
    revision.strip_prefix("web-r").and_then(|number| number.parse().ok()).expect("a revision")
}

/// The revisions that pods run and that are newer than the template's.
fn taken_back(model: &Model) -> Vec<String> {
    let update = model.set["status"]["updateRevision"].as_str().unwrap_or_default();
    let run = pods(model).into_iter().flatten().map(|(revision, _)| revision);
    run.filter(|revision| made(revision) > made(update)).collect()
}

proptest! {
    #![proptest_config(properties::config(400))]

    /// Whatever was applied, held, deleted and undone: a change that somebody
    /// has taken back is not what an abort goes to, and no template that is
    /// older than what runs counts as new.
    #[test]
    fn what_was_undone_is_never_adopted(
        shape in shape(),
        fates in fates(&["b", "c"]),
        deeds in prop::collection::vec(deed(), 1..12),
    ) {
        let mut model = model(&shape, &fates);
        for deed in deeds {
            does(&mut model, deed);
        }
        let facts = model.facts();
        let survey = Survey::new(&facts, model.now);
        let undone = taken_back(&model);
        let shown = View::new(&facts, None, None, model.now);
        for (stable, target) in shown.stable.iter().zip(&shown.target) {
            prop_assert!(made(stable) < made(target), "{} -> {}", stable, target);
        }
        prop_assert!(shown.stable.is_none_or(|stable| !undone.contains(&stable)));
        let mut findings = guards::check(&survey, None, StartKind::Adopt);
        Allowed::of([&rules::SINGLE_REPLICA, &rules::UNHEALTHY]).weigh(&mut findings);
        let ids: Vec<&str> = findings.iter().map(|finding| finding.id).collect();
        if !undone.is_empty() {
            prop_assert!(refuses(&findings), "{:?} would go back to {:?}", ids, undone);
            prop_assert!(ids.contains(&"CANARY-UNDONE") || ids.contains(&"CANARY-NO-STABLE-REVISION"), "{:?}", ids);
            return Ok(());
        }
        prop_assert!(!ids.contains(&"CANARY-UNDONE"));
        let (update, Some(stable)) = (&facts.set.status.update_revision, plan::stable_of(&survey))
        else {
            return Ok(());
        };
        if refuses(&findings) || update.as_deref() == Some(stable) {
            return Ok(());
        }
        let stable = stable.to_owned();
        let mut run = Run::new(&mut model, Verb::Adopt);
        run.check_one = false;
        let mut turns = std::iter::empty();
        if run.act(Action::Us, &mut turns).is_none() {
            run.act(Action::Us, &mut turns);
        }
        let Some(record) = record_of(&model) else { return Ok(()) };
        prop_assert_eq!(&record.stable, &stable);
        let mut run = Run::new(&mut model, Verb::Abort);
        run.check_one = false;
        if run.go(&[]) == End::Finished {
            for (revision, _) in pods(&model).into_iter().flatten() {
                prop_assert_eq!(&revision, &stable);
            }
        }
    }
}

/// Begins, and goes on or not; what ends does not matter.
fn begin(model: &mut Model, promotes: bool, first: &[Action], second: &[Action]) {
    for (verb, script) in [(Verb::Start("b"), first), (Verb::Full, second)] {
        if verb == Verb::Full && !promotes {
            return;
        }
        let mut run = Run::new(model, verb);
        let mut script = script.iter().copied();
        while let Some(action) = script.next() {
            if run.act(action, &mut script).is_some() {
                break;
            }
        }
    }
}

#[test]
fn the_annotation_is_where_the_model_looks_for_it() {
    let mut model = Model::new(&Shape {
        replicas: 2,
        start: 0,
        parallel: false,
        on_delete: false,
        partition: Some(0),
        min_ready: 0,
        history_limit: 10,
    });
    Run::new(&mut model, Verb::Start("b")).go(&[]);
    assert!(model.set["metadata"]["annotations"].get(ANNOTATION).is_some());
    let set: &StatefulSet = &model.facts().set;
    assert!(Record::of(set).is_ok_and(|record| record.is_some()));
}

/// What the properties have found once stays found.
mod regressions {
    use super::*;

    fn three(parallel: bool) -> Shape {
        Shape {
            replicas: 3,
            start: 0,
            parallel,
            on_delete: false,
            partition: Some(0),
            min_ready: 0,
            history_limit: 10,
        }
    }

    fn begun(shape: &Shape) -> Model {
        let mut model = Model::new(shape);
        assert_eq!(Run::new(&mut model, Verb::Start("b")).go(&[]), End::Rests);
        model
    }

    fn is_all_back(model: &mut Model) {
        let revisions = names(model);
        let mut run = Run::new(model, Verb::Abort);
        assert_eq!(run.go(&[]), End::Finished);
        is_back(model, &revisions, true);
    }

    /// The strategy is looked at as it is: nobody replaces pods under OnDelete,
    /// and there is no partition to give back.
    #[test]
    fn the_type_of_the_strategy_was_changed() {
        let shape = three(false);
        let mut model = begun(&shape);
        model.edit("/spec/updateStrategy", json!({"type": "OnDelete"}));
        is_all_back(&mut model);
    }

    /// What it was made while the canary was under way comes back.
    #[test]
    fn on_delete_became_a_rolling_update() {
        let shape = Shape { on_delete: true, partition: None, ..three(false) };
        for to in [
            json!({"type": "RollingUpdate"}),
            json!({
                "type": "RollingUpdate", "rollingUpdate": {"partition": 3},
            }),
        ] {
            let mut model = begun(&shape);
            model.edit("/spec/updateStrategy", to.clone());
            is_all_back(&mut model);
            assert_eq!(model.set["spec"]["updateStrategy"], to);
        }
    }

    /// A pod that moved unasked under OnDelete goes back, too, whatever was made of
    /// the set since.
    #[test]
    fn a_pod_that_moved_unasked_goes_back_in_a_smaller_set() {
        let shape = Shape { on_delete: true, partition: None, ..three(false) };
        let mut model = Model::new(&shape);
        let first = [Action::Us, Action::Die(0)];
        let edits = [Action::Edit(Edit::Strategy), Action::Edit(Edit::Replicas(1))];
        let second = [&[Action::Run(0), Action::Sync { fresh: true }][..], &edits].concat();
        begin(&mut model, true, &first, &second);
        assert!(model.annotation().is_some());
        goes_back(&mut model, &shape, &[]);
    }

    /// There and back again, so that `rollingUpdate` is null.
    #[test]
    fn the_partition_was_lost() {
        let shape = three(false);
        let mut model = begun(&shape);
        model.edit("/spec/updateStrategy", json!({"type": "OnDelete"}));
        model.edit("/spec/updateStrategy", json!({"type": "RollingUpdate"}));
        is_all_back(&mut model);
    }

    /// `rollingUpdate` was null before the canary and is so again.
    #[test]
    fn without_a_partition_abort_removes_none() {
        let shape = Shape { partition: None, ..three(false) };
        let mut model = begun(&shape);
        model.edit("/spec/updateStrategy", json!({"type": "RollingUpdate"}));
        is_all_back(&mut model);
    }

    /// Somebody raises the partition in the middle of the way back.
    #[test]
    fn pods_above_a_raised_partition_go_back_too() {
        let shape = three(false);
        let mut model = begun(&shape);
        let us = [Action::Us, Action::Edit(Edit::Partition(3))];
        let mut run = Run::new(&mut model, Verb::Abort);
        assert_eq!(run.go(&us), End::Finished);
        assert_eq!(pods(&model).iter().flatten().filter(|(r, _)| r == "web-r1").count(), 3);
    }

    /// A stable pod that needs longer than the patience to come up.
    #[test]
    fn a_slow_stable_pod_is_waited_for() {
        let shape = three(false);
        let mut model = begun(&shape);
        model.fates.extend((0..3).map(|index| (("a".to_owned(), index), Fate::Slow)));
        is_all_back(&mut model);
    }

    /// The same below the partition, where somebody else sent it away.
    #[test]
    fn a_slow_stable_pod_below_the_partition_is_waited_for() {
        let shape = three(false);
        let mut model = begun(&shape);
        model.fates.extend((0..3).map(|index| (("a".to_owned(), index), Fate::Slow)));
        model.delete(0, By::Other);
        is_all_back(&mut model);
    }

    /// Under Parallel the controller replaces the others all the same.
    #[test]
    fn a_lost_stable_pod_stops_nobody_under_parallel() {
        let shape = three(true);
        let mut model = begun(&shape);
        model.sicken(0, 100_000);
        model.tick(31);
        let mut run = Run::new(&mut model, Verb::Abort);
        let blocks = "CANARY-STABLE-POD-BLOCKS";
        assert_eq!(run.go(&[]), End::Stopped { code: Exit::Manual.code(), id: blocks });
        let stable = model.revisions[0].name.clone();
        assert!(pods(&model).iter().flatten().all(|(revision, _)| *revision == stable));
    }

    /// An ordinal that has passed breaks before the next one has moved: that is
    /// said at once, and not when the time is up.
    #[test]
    fn an_earlier_ordinal_breaks() {
        let mut model = begun(&three(false));
        let began = model.now;
        model.fates.insert(("b".to_owned(), 2), Fate::Crash);
        // It prepares, steps, and before the controller sees it web-2 breaks.
        let us = [Action::Us, Action::Us, Action::Run(2)];
        let end = Run::new(&mut model, Verb::Full).go(&us);
        assert_eq!(end, End::Stopped { code: 5, id: "CANARY-POD-BROKEN" });
        assert!(model.now.duration_since(began) < SignedDuration::from_mins(1));
    }

    /// Under OnDelete nobody but us replaces what an edit in between has left.
    #[test]
    fn under_on_delete_pods_of_an_abandoned_edit_are_replaced() {
        let mut model = begun(&Shape { on_delete: true, partition: None, ..three(false) });
        let us = [Action::Us, Action::Us, Action::Us];
        let mut run = Run::new(&mut model, Verb::Full);
        for action in us {
            assert_eq!(run.act(action, &mut std::iter::empty()), None);
        }
        model.edit("/spec/template", template("c"));
        model.sync(true);
        let mut run = Run::new(&mut model, Verb::Adopt);
        assert_eq!(run.go(&[]), End::Rests);
        let mut run = Run::new(&mut model, Verb::Full);
        assert_eq!(run.go(&[]), End::Finished);
        let newest = model.revisions.last().expect("a revision").name.clone();
        assert!(pods(&model).iter().flatten().all(|(revision, _)| *revision == newest));
    }

    /// The judgement of the pod from before is not that of its successor.
    #[test]
    fn a_pod_that_was_made_again_is_judged_before_another_one_moves() {
        let mut model = begun(&three(false));
        let unjudged = |model: &Model| {
            let (facts, record) = (model.facts(), record_of(model).expect("a record"));
            State::new(&facts, &record, model.now).unjudged(&[])
        };
        assert_eq!(unjudged(&model), None);
        model.delete(2, By::Other);
        settle(&mut model);
        assert_eq!(unjudged(&model), Some(2));
        let mut run = Run::new(&mut model, Verb::Full);
        let facts = run.facts();
        let Decided::Asked(next) = run.decide_forward(&facts, 0) else { panic!("it has baked") };
        assert!(matches!(next, Move::Check { index: 2, .. }), "{next:?}");
        assert_eq!(Run::new(&mut model, Verb::Full).go(&[]), End::Finished);
    }

    /// The same start again goes no further.
    #[test]
    fn a_repeated_start_goes_no_further() {
        let mut model = begun(&three(false));
        assert_eq!(Run::new(&mut model, Verb::Start("b")).go(&[]), End::Rests);
        assert_eq!(model.partition(), Some(2));
    }
}
