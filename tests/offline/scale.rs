//! The planner of `scale` against a model of the StatefulSet controller: what
//! it does to a set in any order of events, and that it gets there.

use jiff::SignedDuration;
use kubectl_stateful::{
    scale::{
        plan::{self, Memory, Move, State, Terms},
        record::Record,
        writes,
    },
    workload::StatefulSet,
};
use proptest::prelude::*;

use super::{
    canary_model::{By, Fate, Model, Shape},
    properties,
    server::Answer,
};

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// The controller looks; its cache may lag behind.
    Sync(bool),
    Kubelet(u32),
    Tick(i64),
    /// A pod is unready for a while.
    Sicken(u32, i64),
    /// We look, and do what comes next.
    Ours,
    /// Our run is killed, and the same command comes again.
    Killed,
}

#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    to: u32,
    broken: Vec<(u32, Fate)>,
    terms: (bool, bool),
    events: Vec<Event>,
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (1_u32..7, 0_u32..3, any::<bool>()).prop_map(|(replicas, start, parallel)| Shape {
        replicas,
        start,
        parallel,
        on_delete: false,
        partition: Some(0),
        min_ready: 0,
        history_limit: 10,
    });
    shape.prop_flat_map(|shape| {
        let broken = (0..shape.replicas, prop_oneof![Just(Fate::Crash), Just(Fate::Silent)]);
        let event = prop_oneof![
            4 => any::<bool>().prop_map(Event::Sync),
            4 => (0_u32..10).prop_map(Event::Kubelet),
            2 => (1_i64..90).prop_map(Event::Tick),
            1 => (0_u32..10, 1_i64..90).prop_map(|(ordinal, time)| Event::Sicken(ordinal, time)),
            6 => Just(Event::Ours),
            1 => Just(Event::Killed),
        ];
        (
            Just(shape),
            0_u32..8,
            proptest::collection::vec(broken, 0..3),
            any::<(bool, bool)>(),
            proptest::collection::vec(event, 0..60),
        )
            .prop_map(|(shape, to, broken, terms, events)| Case {
                shape,
                to,
                broken,
                terms,
                events,
            })
    })
}

struct Run {
    model: Model,
    terms: Terms,
    memory: Memory,
    over: bool,
}

impl Run {
    fn begin(case: &Case) -> Run {
        let mut model = Model::new(&case.shape);
        // Only what leaves may be broken: for a member that stays it waits.
        for (index, fate) in &case.broken {
            if *index >= case.to {
                model.fates.insert(("a".to_owned(), *index), *fate);
            }
        }
        let terms = Terms {
            timeout: None,
            settle: SignedDuration::ZERO,
            before: case.terms.0,
            after: case.terms.1,
            snapshots: false,
            fresh: false,
            unhealthy: false,
            clears: true,
            shares: false,
        };
        let mut run = Run { model, terms, memory: Memory::default(), over: false };
        let set = run.set();
        let record = Record::begin(&set, case.to, "somebody", run.model.now);
        let answer = run.model.write(&writes::begin(&set, &record, false));
        assert_eq!(answer, Answer::Done);
        run
    }

    fn set(&self) -> StatefulSet {
        self.model.facts().set
    }

    /// Looks, and does what comes next; whether that was anything.
    fn ours(&mut self) -> bool {
        if self.over {
            return false;
        }
        let facts = self.model.facts();
        let record = Record::of(&facts.set).expect("readable").expect("there");
        let state = State::new(&facts, &record, self.model.now);
        self.memory.observe(&state);
        let now = facts.set.replicas;
        match plan::next(&state, &self.terms, &mut self.memory) {
            Move::Wait { .. } => return false,
            Move::Prepare { replicas } => self.memory.prepared = Some(replicas),
            Move::Conclude { replicas } => {
                assert_eq!(replicas, now);
                self.all_have_left(now);
                self.memory.concluded = Some(replicas);
            }
            Move::Step { replicas } => {
                self.may_step(&facts.set, &record, replicas);
                let mut record = record.clone();
                record.concluded = self.memory.concluded_at(&record, now);
                record.at = replicas;
                self.written(&writes::step(&facts.set, &record));
            }
            Move::Clear { pod } => {
                let ordinal = facts.set.ordinal_of(&pod.name).expect("an ordinal");
                assert!(ordinal >= facts.set.ordinals().end, "{} stays", pod.name);
                self.written(&pod.delete(&facts.set, ""));
            }
            Move::Finish => {
                assert_eq!(now, record.to);
                self.all_have_left(now);
                self.written(&writes::finish(&facts.set));
                self.over = true;
            }
            other => panic!("{other:?}"),
        }
        true
    }

    fn written(&mut self, write: &kubectl_stateful::cluster::Write) {
        // Nobody else writes: what was decided on holds.
        assert_eq!(self.model.write(write), Answer::Done, "{write:?}");
    }

    fn all_have_left(&self, replicas: u32) {
        let end = self.model.start() + replicas;
        let late: Vec<_> = self.model.pods.keys().filter(|ordinal| **ordinal >= end).collect();
        assert!(late.is_empty(), "{late:?} are still there at {replicas}");
    }

    fn may_step(&self, set: &StatefulSet, record: &Record, replicas: u32) {
        let now = set.replicas;
        assert!(!self.terms.before || self.memory.prepared == Some(replicas), "hooks first");
        if !record.is_down() {
            self.all_have_left(now);
            assert_eq!(replicas, now + 1);
            return;
        }
        assert!((record.to..now).contains(&replicas), "{now} to {replicas}");
        let slots = self.model.slots();
        let well =
            |index: u32| slots[index as usize].is_some_and(|pod| self.model.is_available(pod));
        if replicas + 1 < now {
            assert!(!well(replicas), "index {replicas} is well, and could wait for its turn");
        }
        if well(replicas) {
            self.all_have_left(now);
        }
        for index in 0..record.to.min(replicas) {
            assert!(well(index), "index {index} stays, and is not available");
        }
    }
}

fn works(case: &Case) {
    let mut run = Run::begin(case);
    for event in &case.events {
        match event {
            Event::Sync(fresh) => run.model.sync(*fresh),
            Event::Kubelet(ordinal) => run.model.run_pod(*ordinal),
            Event::Tick(seconds) => run.model.tick(*seconds),
            Event::Sicken(ordinal, seconds) => run.model.sicken(*ordinal, *seconds),
            Event::Ours => drop(run.ours()),
            Event::Killed => run.memory = Memory::default(),
        }
    }
    // From now on everybody gets a turn: it comes to its end.
    for _ in 0..300 {
        if run.over {
            break;
        }
        if !run.ours() && !run.model.is_moving() {
            run.model.tick(30);
        }
    }
    assert!(run.over, "it waits without end: {:#?}", run.model.pods);
    assert_eq!(run.model.replicas(), case.to);
    let left = run.model.gone.iter().filter(|gone| gone.by != By::Update);
    for gone in left {
        assert!(gone.index >= case.to.min(case.shape.replicas), "index {} stays", gone.index);
    }
    assert!(Record::of(&run.set()).expect("readable").is_none(), "the record is gone");
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..properties::config(48) })]

    #[test]
    fn it_reaches_its_goal_and_deletes_no_other_pod(case in cases()) {
        works(&case);
    }
}
