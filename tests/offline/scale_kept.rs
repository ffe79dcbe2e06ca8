//! What `scale` says of a disk is held to the disk itself, in a model of a
//! cluster whose provisioner destroys ([`super::model`]): over every mix of
//! policies, with other people who delete claims and volumes, strip finalizers,
//! and change policies and the set at any moment.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use kubectl_stateful::{
    cluster::Write,
    output::Exit,
    scale::{
        data::{self, Now, Verdict},
        guards,
        plan::{self, Memory, Move, State, Terms},
        preview::{Fate, Ordinal, Preview, ScaleRequest, Way},
        record::Record,
        rules, writes,
    },
    workload::{Allowed, Facts, Finding, Retention, Severity, Survey},
};
use proptest::prelude::*;
use serde_json::json;

use super::{
    model::{self, CLAIM, Class, Model, POD, SET, SetShape, Turn, VOLUME, is_leaving, text},
    properties,
    server::Answer,
};

const TERMS: Terms = Terms {
    timeout: None,
    settle: SignedDuration::ZERO,
    before: false,
    after: false,
    snapshots: false,
    fresh: false,
    unhealthy: false,
    clears: false,
    shares: false,
};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    World(Turn),
    /// We look and decide; or what we have sent arrives.
    Ours,
    Other(Other),
}

/// What other people do.
#[derive(Clone, Copy, Debug)]
enum Other {
    DeleteClaim(usize),
    StripClaim(usize),
    MakeClaim(usize),
    DeleteVolume(usize),
    Policy(usize, &'static str),
    WhenScaled(&'static str),
}

#[derive(Clone, Debug)]
struct Case {
    policy: &'static str,
    when_scaled: &'static str,
    to: u32,
    retain: bool,
    /// Whether it is said that data may go.
    allows: bool,
    events: Vec<Event>,
}

fn other() -> impl Strategy<Value = Other> {
    let policy = || prop::sample::select(vec!["Delete", "Retain"]);
    prop_oneof![
        5 => (0_usize..4).prop_map(Other::DeleteClaim),
        1 => (0_usize..4).prop_map(Other::StripClaim),
        2 => (0_usize..4).prop_map(Other::MakeClaim),
        1 => (0_usize..3).prop_map(Other::DeleteVolume),
        3 => (0_usize..3, policy()).prop_map(|(place, to)| Other::Policy(place, to)),
        3 => policy().prop_map(Other::WhenScaled),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let policy = || prop::sample::select(vec!["Delete", "Retain"]);
    let event = prop_oneof![
        12 => model::turn().prop_map(Event::World),
        12 => Just(Event::Ours),
        1 => other().prop_map(Event::Other),
    ];
    let events = prop::collection::vec(event, 0..120);
    (policy(), policy(), 0_u32..6, any::<bool>(), prop::bool::weighted(0.2), events).prop_map(
        |(policy, when_scaled, to, retain, allows, events)| Case {
            policy,
            when_scaled,
            to,
            retain: retain && to < 3,
            allows,
            events,
        },
    )
}

/// How it ended.
#[derive(Debug)]
struct End {
    exit: Exit,
    /// What the report says of the disks of those that have left or come.
    items: Vec<Ordinal>,
    findings: Vec<Finding>,
}

struct Run {
    model: Model,
    case: Case,
    preview: Option<Preview>,
    memory: Memory,
    under_way: Option<Write>,
    end: Option<End>,
}

impl Run {
    fn new(case: &Case) -> Run {
        let mut model = Model::of_set(&SetShape {
            replicas: 3,
            policy: case.policy,
            class: Class::Immediate,
            bound_by_controller: true,
        });
        // Others may do what they like: what is destroyed is looked at in the end.
        (model.endangered, model.disturbed) = (true, true);
        let policy = json!({"whenScaled": case.when_scaled, "whenDeleted": "Retain"});
        model.change(SET, "db", |set| {
            set["spec"]["persistentVolumeClaimRetentionPolicy"] = policy.clone();
        });
        model.settle();
        Run {
            model,
            case: case.clone(),
            preview: None,
            memory: Memory::default(),
            under_way: None,
            end: None,
        }
    }

    fn facts(&self) -> Facts {
        self.model.bundle().facts("db", Some("default")).expect("facts")
    }

    fn other(&mut self, other: Other) {
        let model = &mut self.model;
        match other {
            Other::DeleteClaim(place) => model.somebody_deletes_claim(place),
            Other::StripClaim(place) => model.somebody_strips_claim(place),
            Other::MakeClaim(ordinal) => model.somebody_makes_claim(&format!("data-db-{ordinal}")),
            Other::Policy(place, to) => model.somebody_sets_policy(place, to),
            Other::DeleteVolume(place) => {
                let now = model.now.to_string();
                model.change(VOLUME, &format!("pv-{place}"), |volume| {
                    volume["metadata"]["deletionTimestamp"] = json!(now);
                });
            }
            Other::WhenScaled(to) => model.change(SET, "db", |set| {
                set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] = json!(to);
            }),
        }
    }

    fn act(&mut self, event: Event) {
        match event {
            Event::World(turn) => self.model.take(turn),
            Event::Other(other) => self.other(other),
            Event::Ours if self.end.is_some() => {}
            Event::Ours => match self.under_way.take() {
                // Whatever the answer is, the next look sees what is there.
                Some(write) => drop(self.model.write(&write)),
                None => self.decide(),
            },
        }
    }

    fn decide(&mut self) {
        let facts = self.facts();
        let Some(preview) = self.preview.clone() else { return self.begin(&facts) };
        let Ok(Some(record)) = Record::of(&facts.set) else {
            // Its first write met another version of the set.
            self.preview = None;
            return;
        };
        let state = State::new(&facts, &record, self.model.now);
        self.memory.observe(&state);
        match plan::next(&state, &TERMS, &mut self.memory) {
            Move::Wait { .. } => {}
            Move::Conclude { replicas } => self.memory.concluded = Some(replicas),
            Move::Step { replicas } => {
                let items = between(&preview, replicas, facts.set.replicas);
                match data::judge(&facts.set, &items, &self.look(&items), false) {
                    Verdict::Wait(_) => {}
                    Verdict::Stop(finding) => self.close(&facts, Exit::Conflict, vec![finding]),
                    Verdict::Go => {
                        let mut record = record.clone();
                        record.concluded = self.memory.concluded_at(&record, facts.set.replicas);
                        record.at = replicas;
                        self.under_way = Some(writes::step(&facts.set, &record));
                    }
                }
            }
            Move::Finish => {
                if self.model.write(&writes::finish(&facts.set)) == Answer::Done {
                    self.close(&facts, Exit::Done, Vec::new());
                }
            }
            Move::Stop { exit, finding } => self.close(&facts, exit, vec![finding]),
            other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self, facts: &Facts) {
        let request =
            ScaleRequest { to: self.case.to, retain: self.case.retain, ..ScaleRequest::default() };
        let survey = Survey::new(facts, self.model.now);
        let preview = Preview::new(&survey, &request);
        let mut findings =
            guards::check(&survey, &preview, &request, None, facts.pods.as_ref().expect("pods"));
        // The model has no revisions and no Services.
        let mut allowed = vec![&rules::READOPTS_DATA, &rules::UNREAD];
        allowed.extend(self.case.allows.then_some(&rules::DESTROYS_DATA));
        Allowed::of(allowed).weigh(&mut findings);
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            self.end = Some(End { exit: Exit::Refused, items: Vec::new(), findings });
            return;
        }
        let record = Record::begin(&facts.set, request.to, "me", self.model.now);
        self.under_way = Some(writes::begin(&facts.set, &record, request.retain));
        self.preview = Some(preview);
    }

    /// What is read before a step.
    fn look(&self, items: &[&Ordinal]) -> Now {
        let wanted = data::claims_wanted(items);
        let facts = self.facts();
        let claims = facts.claims.clone().unwrap_or_default();
        let named = claims.into_iter().filter(|claim| wanted.contains(&claim.name)).collect();
        let pods = facts.pods.clone().unwrap_or_default();
        let volumes = volumes(&facts, data::volumes_wanted(items));
        Now { claims: named, volumes, pods, ..Now::default() }
    }

    /// What the report says.
    fn close(&mut self, facts: &Facts, exit: Exit, mut findings: Vec<Finding>) {
        let preview = self.preview.clone().unwrap_or_else(|| panic!("nothing was begun"));
        let items = between(&preview, preview.from, facts.set.replicas);
        let claims = facts.claims.clone().unwrap_or_default();
        let volumes = volumes(facts, data::volumes_in_the_end(&items));
        let now = Now { claims, volumes, ..Now::default() };
        let mut items: Vec<Ordinal> = items.into_iter().cloned().collect();
        for item in &mut items {
            let is_gone = self.model.get(POD, &item.name).is_none();
            let keeps = is_gone || facts.set.when_scaled == Retention::Retain;
            findings.extend(data::outcome(item, &now, keeps));
        }
        let broken = findings.iter().any(|finding| finding.id == rules::NOT_KEPT.id);
        let exit = if exit == Exit::Done && broken { Exit::Conflict } else { exit };
        self.end = Some(End { exit, items, findings });
    }

    /// The world goes on, and nobody else does anything.
    fn finish(&mut self) {
        for _ in 0..400 {
            if self.end.is_some() {
                break;
            }
            self.act(Event::Ours);
            self.act(Event::Ours);
            if !self.model.is_moving() {
                self.model.now += SignedDuration::from_secs(10);
            }
        }
        self.model.settle();
    }
}

fn volumes(
    facts: &Facts,
    wanted: Vec<String>,
) -> BTreeMap<String, Option<kubectl_stateful::workload::Volume>> {
    wanted.into_iter().map(|name| (name.clone(), facts.volume(&name).cloned())).collect()
}

fn between(preview: &Preview, one: u32, other: u32) -> Vec<&Ordinal> {
    let range = one.min(other)..one.max(other);
    preview.items.iter().filter(|item| range.contains(&item.ordinal)).collect()
}

/// What was said, against what is there.
fn holds(run: &Run, end: &End) {
    for (item, disk) in end.items.iter().flat_map(|item| item.claims.iter().map(move |d| (item, d)))
    {
        let claim = run.model.get(CLAIM, &disk.claim).filter(|claim| {
            disk.uid.as_deref() == Some(text(claim, "/metadata/uid")) && !is_leaving(claim)
        });
        let name = disk.volume.as_deref().unwrap_or_default();
        let volume = run.model.get(VOLUME, name);
        let said = format!("{}: {} of {}, {:?}", disk.claim, disk.fate.label(), item.name, end);
        match (item.class, disk.fate) {
            (Way::Leaves, Fate::Kept | Fate::UntilClaimGoes) => {
                assert!(claim.is_some(), "the claim is gone: {said}");
                let volume = volume.unwrap_or_else(|| panic!("the disk is gone: {said}"));
                assert_eq!(is_leaving(volume), disk.fate == Fate::UntilClaimGoes, "{said}");
            }
            (Way::Leaves, Fate::ClaimGoes) => assert!(volume.is_some(), "the disk is gone: {said}"),
            (Way::Comes, Fate::Mounted) if end.exit == Exit::Done => {
                assert!(claim.is_some(), "another disk: {said}");
            }
            _ => {}
        }
    }
}

fn works(case: &Case) -> Run {
    let mut run = Run::new(case);
    for event in &case.events {
        if run.end.is_some() {
            break;
        }
        run.act(*event);
    }
    run.finish();
    if let Some(end) = &run.end {
        holds(&run, end);
        if end.exit == Exit::Done {
            let planned = &run.preview.as_ref().expect("a plan").items;
            for (said, planned) in end.items.iter().zip(planned) {
                for (said, planned) in said.claims.iter().zip(&planned.claims) {
                    assert!(said.fate.loss() <= planned.fate.loss(), "{said:?} {planned:?}");
                }
            }
        }
    }
    run
}

proptest! {
    #![proptest_config(properties::config(192))]

    #[test]
    fn what_is_said_of_a_disk_is_so_in_the_end(case in case()) {
        works(&case);
    }
}

/// Nothing is said of nothing: undisturbed, each mix comes to its own end.
#[test]
fn every_mix_of_policies_has_its_end() {
    for (when_scaled, policy, retain, allows, exit, fate) in [
        ("Retain", "Delete", false, false, Exit::Done, Some(Fate::Kept)),
        ("Retain", "Retain", false, false, Exit::Done, Some(Fate::Kept)),
        ("Delete", "Retain", false, false, Exit::Done, Some(Fate::ClaimGoes)),
        ("Delete", "Delete", false, false, Exit::Refused, None),
        ("Delete", "Delete", true, false, Exit::Done, Some(Fate::Kept)),
        ("Delete", "Delete", false, true, Exit::Done, Some(Fate::Destroyed)),
    ] {
        let case = Case { policy, when_scaled, to: 1, retain, allows, events: Vec::new() };
        let run = works(&case);
        let end = run.end.as_ref().expect("an end");
        assert_eq!(end.exit, exit, "{case:?}: {end:?}");
        let fates = end.items.iter().flat_map(|item| &item.claims).map(|disk| disk.fate);
        assert!(fates.clone().all(|found| Some(found) == fate), "{case:?}: {end:?}");
        assert_eq!(fates.count(), if fate.is_some() { 2 } else { 0 });
        let destroyed = run.model.destroyed.len();
        assert_eq!(destroyed, if fate == Some(Fate::Destroyed) { 2 } else { 0 }, "{case:?}");
    }
}

/// Somebody meddles at one moment, and it is told.
#[test]
fn meddling_at_the_worst_moment_is_told() {
    for (how, exit, id, said) in [
        (Other::DeleteClaim(2), Exit::Conflict, Some("SCALE-NOT-KEPT"), Some(Fate::Destroyed)),
        // The write does not meet the set that was judged, and it is judged again.
        (Other::WhenScaled("Delete"), Exit::Conflict, Some("SCALE-DATA-CHANGED"), None),
        // It stays as long as its claim does.
        (Other::DeleteVolume(2), Exit::Done, None, Some(Fate::UntilClaimGoes)),
    ] {
        // Between the look and the write: the step has been decided on.
        let case = Case {
            policy: "Delete",
            when_scaled: "Retain",
            to: 2,
            retain: false,
            allows: false,
            events: Vec::new(),
        };
        let mut run = Run::new(&case);
        while run.under_way.is_none() || run.facts().set.annotations.is_empty() {
            run.act(Event::Ours);
            assert!(run.end.is_none(), "{:?}", run.end);
        }
        run.other(how);
        run.finish();
        let end = run.end.as_ref().expect("an end");
        holds(&run, end);
        let fates = end.items.iter().flat_map(|item| &item.claims).map(|disk| disk.fate);
        assert_eq!(fates.collect::<Vec<_>>(), said.into_iter().collect::<Vec<_>>(), "{end:?}");
        assert_eq!(end.exit, exit, "{end:?}");
        assert_eq!(end.findings.first().map(|finding| finding.id), id, "{end:?}");
    }
}
