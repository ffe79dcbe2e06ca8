//! What holds for whoever has a volume change hands, whatever happens meanwhile:
//! `orphans delete`, `orphans adopt`, `scale --fresh` and `migrate recover`
//! against a model of a cluster ([`super::model`]). Its controllers, other
//! people, several of our processes and the end of any of them take turns in any
//! order. `migrate` itself is in [`super::migrate`].
//!
//! A process looks, decides, and sends. What it has sent may arrive late, also
//! after it was killed; and the objects that a look reads one after the other
//! need not be of one moment.

use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use kubectl_stateful::{
    cluster::{Write, claims::Claims},
    handover,
    migrate::{
        forward as migration,
        journal::{Intent, Journal, StoredJournal},
        offline,
        recover::{self, Before},
        rules, writes,
    },
    orphans::{adopt, delete, offline::facts as orphan_facts},
    scale::{fresh, record::Record},
    workload::{Allowed, MIGRATION_MARK, Severity, StatefulSet, raw},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    model::{
        self, BOOK, CLAIM, Class, Model, POD, SET, SetShape, Turn, VOLUME, annotation,
        has_our_hold, is_leaving, pick, replicas, text,
    },
    properties,
    server::Answer,
};

const KEPT: &str = "kubectl-stateful.dev/kept-policy";

/// One of the commands.
#[derive(Clone, Debug)]
enum Command {
    Adopt(adopt::Adoption),
    Delete(delete::Target),
    Fresh(Record),
    /// `scale` without `--fresh`, after one that was killed.
    FreshNoMore(Record),
    Recover(recover::Request),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Done,
    Stopped(&'static str),
    /// It waits, and nothing moves any more.
    Waits(String),
}

/// What comes next.
enum Next {
    Send(Vec<Write>),
    Wait(String),
    End(End),
}

/// What is read first for a look.
#[derive(Clone, Debug, Default)]
enum First {
    #[default]
    Unread,
    Read(Option<Value>),
}

impl First {
    fn take(&mut self) -> Option<Value> {
        match std::mem::take(self) {
            First::Read(found) => found,
            First::Unread => panic!("it is read first"),
        }
    }
}

/// What dies with a process.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// What was read first for the next look.
    first: First,
    /// Sent, and not arrived yet.
    under_way: Vec<Write>,
    seen: Option<String>,
    touched: BTreeSet<usize>,
    aside: Option<fresh::Aside>,
    journal: Option<Journal>,
    migration: migration::Memory,
    /// Nothing to write for what is to be done, so often in a row.
    vain: u32,
}

struct Process {
    command: Command,
    memory: Memory,
}

impl Process {
    fn new(command: Command) -> Process {
        Process { command, memory: Memory::default() }
    }

    /// Reads what a look reads first, and no more.
    fn read_first(&mut self, model: &Model) {
        let found = match &self.command {
            Command::Adopt(adoption) => model.get(VOLUME, &adoption.volume),
            Command::Delete(target) => model.get(CLAIM, &target.name),
            Command::Fresh(_) | Command::FreshNoMore(_) | Command::Recover(_) => return,
        };
        self.memory.first = First::Read(found.cloned());
    }

    fn decide(&mut self, model: &Model) -> Next {
        if matches!(self.memory.first, First::Unread) {
            self.read_first(model);
        }
        match self.command.clone() {
            Command::Adopt(adoption) => self.adopt(model, adoption),
            Command::Delete(target) => self.delete(model, target),
            Command::Fresh(record) => self.set_aside(model, &record, true),
            Command::FreshNoMore(record) => self.set_aside(model, &record, false),
            Command::Recover(wish) => self.recover(model, &wish),
        }
    }

    fn adopt(&mut self, model: &Model, mut adoption: adopt::Adoption) -> Next {
        adoption.claim_uid.clone_from(&self.memory.seen);
        let volume = self.memory.first.take();
        let holder = volume.as_ref().map(|volume| text(volume, "/spec/claimRef/name"));
        let world = adopt::World {
            set: model.get(SET, "db").cloned().expect("the set"),
            holder: holder.and_then(|holder| model.get(CLAIM, holder)).cloned(),
            claim: model.get(CLAIM, &adoption.claim()).cloned(),
            facts: Arc::new(orphan_facts(&model.bundle(), Some("default"), true).expect("facts")),
            volume,
        };
        adoption.remember(&world);
        self.memory.seen.clone_from(&adoption.claim_uid);
        match adopt::plan(&adoption, &world, model.now) {
            Err(finding) => Next::End(End::Stopped(finding.id)),
            Ok(steps) => of_orphans(steps.first().map(adopt::Step::action)),
        }
    }

    fn delete(&mut self, model: &Model, mut target: delete::Target) -> Next {
        target.uid = target.uid.or_else(|| self.memory.seen.clone());
        let claim = self.memory.first.take();
        let volume = claim.as_ref().map(|claim| text(claim, "/spec/volumeName"));
        let world = delete::World {
            volume: volume.and_then(|volume| model.get(VOLUME, volume)).cloned(),
            facts: Arc::new(orphan_facts(&model.bundle(), Some("default"), true).expect("facts")),
            claim,
            snapshot: None,
        };
        let options = delete::DeleteOptions { keep_volume: true, snapshot: None, min_idle: None };
        let uid = world.claim.as_ref().map(|claim| text(claim, "/metadata/uid").to_owned());
        match delete::plan(&target, &world, &options, model.now) {
            // A claim that is not deleted after all is not left held.
            Err(finding) => match world.claim.as_ref().and_then(handover::spare) {
                Some(write) => Next::Send(vec![write]),
                None => Next::End(End::Stopped(finding.id)),
            },
            Ok(steps) => {
                self.memory.seen = self.memory.seen.take().or(uid);
                of_orphans(steps.first().map(delete::Step::action))
            }
        }
    }

    /// First whatever an earlier run has begun; with `fresh`, then the claims of
    /// ordinal 1.
    fn set_aside(&mut self, model: &Model, record: &Record, fresh: bool) -> Next {
        let facts = model.bundle().facts("db", Some("default")).expect("facts");
        let begun = fresh::begun(&facts);
        let is_rest = !begun.is_empty();
        if !is_rest && !fresh && self.memory.aside.is_none() {
            return Next::End(End::Done);
        }
        let names = if is_rest { begun } else { fresh::names(&facts.set, record, 1) };
        let (claims, mut volumes) = fresh::wanted(names.iter());
        let aside = self.memory.aside.take();
        let of_plan = aside.iter().flat_map(|aside| &aside.disks);
        volumes.extend(of_plan.map(|disk| disk.volume.name.clone()));
        let mut world = Claims { pods: every_pod(model), ..Claims::default() };
        for name in claims {
            let Some(claim) = model.get(CLAIM, &name) else { continue };
            volumes.push(text(claim, "/spec/volumeName").to_owned());
            world.claims.insert(name, claim.clone());
        }
        for name in volumes {
            if let Some(found) = model.get(VOLUME, &name) {
                world.volumes.insert(name, found.clone());
            }
        }
        let aside = match aside {
            Some(aside) => aside,
            None => match fresh::plan(&facts.set, &names, &world, fresh) {
                Ok(Some(aside)) => aside,
                Ok(None) => return Next::End(End::Done),
                Err(finding) => return Next::End(End::Stopped(finding.id)),
            },
        };
        let next = fresh::next(&world, &aside, &self.memory.touched, model.now);
        self.memory.aside = Some(aside);
        match next {
            fresh::Move::Write { writes, touches } => {
                self.memory.touched.extend(touches);
                Next::Send(writes)
            }
            fresh::Move::Wait { what } => Next::Wait(what),
            fresh::Move::Done if is_rest => {
                self.memory.aside = None;
                self.set_aside(model, record, fresh)
            }
            fresh::Move::Done => Next::End(End::Done),
            fresh::Move::Stop { finding, .. } => Next::End(End::Stopped(finding.id)),
        }
    }

    fn recover(&mut self, model: &Model, wish: &recover::Request) -> Next {
        let Some(journal) = self.memory.journal.clone() else {
            return self.begin_recovery(model, wish);
        };
        let (world, _) = offline::world(&model.bundle(), &journal).expect("objects");
        let Some(stored) = &world.stored_journal else { return Next::End(End::Done) };
        match recover::next(&world, &journal, &self.memory.migration, model.now) {
            migration::Move::Act(act) => {
                let Some(writes) = writes::of(act, &journal, &world, model.now) else {
                    self.memory.vain += 1;
                    assert!(self.memory.vain < 50, "{act:?} cannot be done");
                    return Next::Wait(format!("{act:?}"));
                };
                self.memory.vain = 0;
                self.memory.migration.did(act);
                Next::Send(writes)
            }
            migration::Move::Wait { what } => Next::Wait(what),
            migration::Move::Done => {
                Next::Send(vec![writes::delete_journal(&journal, &stored.uid, None)])
            }
            migration::Move::Stop { finding, .. } => Next::End(End::Stopped(finding.id)),
            other => panic!("{other:?}"),
        }
    }

    /// One that was begun, or a new one. The lock is taken as read: there is
    /// never a second such process.
    fn begin_recovery(&mut self, model: &Model, wish: &recover::Request) -> Next {
        if let Some(book) = model.all(BOOK).next() {
            self.memory.journal = Some(StoredJournal::read(book).expect("ours").journal);
            return self.recover(model, wish);
        }
        let by_name = |kind| {
            let all = model.all(kind).cloned();
            all.map(|one| (text(&one, "/metadata/name").to_owned(), one)).collect()
        };
        let set = model.get(SET, "db").cloned().expect("the set");
        let before = Before {
            set,
            claims: by_name(CLAIM),
            volumes: by_name(VOLUME),
            pods: [("default".to_owned(), Some(every_pod(model)))].into(),
            attachments: Some([].into()),
            all_volumes: Some(Vec::new()),
            ..Before::default()
        };
        let (journal, findings) = match recover::plan(&before, wish, "op-1", model.now) {
            Ok(plan) => plan,
            // Somebody has set its policy to Delete. That it was not us: is_safe.
            Err(_) if model.get(VOLUME, "pv-1").is_none() => {
                return Next::End(End::Stopped("no such volume"));
            }
            Err(error) => panic!("no plan can be made: {error}"),
        };
        if let Some(finding) = findings.iter().find(|one| one.severity == Severity::Error) {
            return Next::End(End::Stopped(finding.id));
        }
        Next::Send(vec![writes::create_journal(&journal, "me", Intent::Recover, model.now)])
    }
}

fn every_pod(model: &Model) -> Vec<kubectl_stateful::workload::Pod> {
    offline::surroundings(&model.bundle(), &[], None, false).expect("objects").pods
}

fn of_orphans(next: Option<delete::Action<'_>>) -> Next {
    match next {
        None => Next::End(End::Done),
        Some(delete::Action::Write(write)) => Next::Send(vec![write.clone()]),
        Some(delete::Action::Wait { what, .. }) => Next::Wait(what.into_owned()),
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Action {
    World(Turn),
    /// One of our processes looks, decides and sends, and it arrives.
    Us(usize),
    /// The first object of a look is read, and the others later.
    Peek(usize),
    /// It sends, and that arrives later.
    Send(usize),
    Arrive(usize),
    /// A process is killed, and the same command comes again. What was under
    /// way may still arrive.
    Kill(usize),
    Stray(usize),
    Other(Other),
}

/// What other people do.
#[derive(Clone, Copy, Debug)]
enum Other {
    DeleteClaim(usize),
    StripClaim(usize),
    MakeClaim(usize),
    Scale(u64),
    Policy(usize, &'static str),
}

struct Run {
    model: Model,
    processes: Vec<Process>,
    /// Sent by processes that are gone.
    strays: Vec<Write>,
}

impl Run {
    fn new(model: Model, commands: Vec<Command>) -> Run {
        let processes = commands.into_iter().map(Process::new).collect();
        Run { model, processes, strays: Vec::new() }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::World(turn) => self.model.take(turn),
            Action::Us(place) => {
                if !self.arrive(place) {
                    self.send(place);
                    self.arrive(place);
                }
            }
            Action::Peek(place) => {
                let process = self.process(place);
                if process.memory.under_way.is_empty() {
                    let model = self.model.clone();
                    self.process(place).read_first(&model);
                }
            }
            Action::Send(place) => drop(self.send(place)),
            Action::Arrive(place) => drop(self.arrive(place)),
            Action::Kill(place) => {
                let process = self.process(place);
                let memory = std::mem::take(&mut process.memory);
                self.strays.extend(memory.under_way.into_iter().take(1));
            }
            Action::Stray(place) => {
                if !self.strays.is_empty() {
                    let write = self.strays.remove(place % self.strays.len());
                    self.model.write(&write);
                }
            }
            Action::Other(other) => self.model.disturb(|model| match other {
                Other::DeleteClaim(place) => model.somebody_deletes_claim(place),
                Other::StripClaim(place) => model.somebody_strips_claim(place),
                Other::MakeClaim(ordinal) => {
                    model.somebody_makes_claim(&format!("data-db-{ordinal}"));
                }
                Other::Scale(to) => model.change(SET, "db", |set| {
                    set["spec"]["replicas"] = json!(to);
                }),
                Other::Policy(place, to) => model.somebody_sets_policy(place, to),
            }),
        }
    }

    fn process(&mut self, place: usize) -> &mut Process {
        let count = self.processes.len();
        &mut self.processes[place % count]
    }

    /// Decides, if nothing is under way. A command that ended is typed again.
    fn send(&mut self, place: usize) -> Option<Next> {
        let count = self.processes.len();
        let process = &mut self.processes[place % count];
        if !process.memory.under_way.is_empty() {
            return None;
        }
        let next = process.decide(&self.model);
        match &next {
            Next::Send(writes) => {
                for write in writes {
                    self.model.judge_decision(write);
                }
                process.memory.under_way.clone_from(writes);
            }
            Next::Wait(_) => {}
            Next::End(_) => process.memory = Memory::default(),
        }
        Some(next)
    }

    /// Of several writes only the first counts. Whether anything was under way.
    fn arrive(&mut self, place: usize) -> bool {
        let count = self.processes.len();
        let process = &mut self.processes[place % count];
        let writes = std::mem::take(&mut process.memory.under_way);
        for (index, write) in writes.iter().enumerate() {
            if self.model.write(write) != Answer::Done {
                // It is touched again, if it was not.
                if index == 0 {
                    process.memory.touched.clear();
                    process.memory.migration.touched.clear();
                }
                break;
            }
        }
        !writes.is_empty()
    }

    /// The world goes on fairly, and this command alone, to its end.
    fn finish(&mut self, place: usize) -> End {
        self.act(Action::Kill(place));
        self.strays.clear();
        let mut still = 0;
        for _ in 0..400 {
            let moved = self.model.is_moving();
            match self.send(place) {
                Some(Next::End(end)) => return end,
                Some(Next::Wait(what)) => {
                    still = if moved { 0 } else { still + 1 };
                    if still > 60 {
                        return End::Waits(what);
                    }
                }
                _ => drop(self.arrive(place)),
            }
        }
        panic!("no end of {:?}", self.processes[place].command);
    }
}

// -------------------------------------------------------------- the stories

/// Where it begins.
#[derive(Clone, Debug)]
struct Scene {
    shape: SetShape,
    /// What is done.
    story: Story,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// A Released volume to the ordinal that it was of.
    AdoptReleased,
    /// A volume that an orphan of another name has.
    AdoptFromOrphan,
    /// Two do the same.
    AdoptTwice,
    Delete,
    /// One deletes what the other has adopted or is adopting.
    DeleteAndAdopt,
    Fresh,
    /// Of two runs of different scalings, the second finishes what the first has
    /// begun: somebody else has scaled in between.
    FreshTwice,
    /// The second wants no new disks.
    FreshNoMore,
    Recover,
}

const STORIES: [Story; 9] = [
    Story::AdoptReleased,
    Story::AdoptFromOrphan,
    Story::AdoptTwice,
    Story::Delete,
    Story::DeleteAndAdopt,
    Story::Fresh,
    Story::FreshTwice,
    Story::FreshNoMore,
    Story::Recover,
];

fn adoption() -> Command {
    Command::Adopt(adopt::Adoption {
        namespace: "default".to_owned(),
        volume: "pv-1".to_owned(),
        set: "db".to_owned(),
        ordinal: 1,
        template: "data".to_owned(),
        claim_uid: None,
    })
}

fn deletion() -> Command {
    Command::Delete(delete::Target {
        is_volume: false,
        namespace: Some("default".to_owned()),
        name: "data-db-1".to_owned(),
        uid: None,
    })
}

impl Scene {
    /// A set that had two pods and has one.
    fn model(&self) -> Model {
        let mut model = Model::of_set(&self.shape);
        if self.story == Story::Recover {
            return Scene::with_a_blank_disk(model);
        }
        model.change(SET, "db", |set| set["spec"]["replicas"] = json!(1));
        model.settle();
        match self.story {
            Story::AdoptReleased | Story::AdoptTwice | Story::DeleteAndAdopt => {
                let mut run = Run::new(model, vec![deletion()]);
                assert_eq!(run.finish(0), End::Done);
                run.model.settle();
                run.model
            }
            Story::AdoptFromOrphan => {
                model.change(VOLUME, "pv-1", |volume| {
                    volume["spec"]["claimRef"]["name"] = json!("old-1");
                });
                let claim = model.get(CLAIM, "data-db-1").cloned().expect("it");
                let uid = text(&claim, "/metadata/uid").to_owned();
                model.rename(CLAIM, "data-db-1", "old-1");
                assert_eq!(
                    model.get(CLAIM, "old-1").map(|one| text(one, "/metadata/uid")),
                    Some(&*uid)
                );
                model.settle();
                model
            }
            _ => model,
        }
    }

    /// Ordinal 0 runs on a blank disk; pv-1 is what it was to run on.
    fn with_a_blank_disk(model: Model) -> Model {
        let mut run = Run::new(model, vec![deletion()]);
        run.model.change(SET, "db", |set| set["spec"]["replicas"] = json!(1));
        run.model.settle();
        assert_eq!(run.finish(0), End::Done);
        run.model.settle();
        // By hand: nothing is noted on it.
        run.model.change(VOLUME, "pv-1", |volume| {
            volume["metadata"]["annotations"] = json!({});
        });
        run.model
    }

    fn commands(&self, model: &Model) -> Vec<Command> {
        match self.story {
            Story::AdoptReleased | Story::AdoptFromOrphan => vec![adoption()],
            Story::AdoptTwice => vec![adoption(), adoption()],
            Story::Delete => vec![deletion()],
            Story::DeleteAndAdopt => vec![deletion(), adoption()],
            Story::Fresh | Story::FreshTwice | Story::FreshNoMore => {
                let set: StatefulSet =
                    model.bundle().facts("db", Some("default")).expect("facts").set;
                let at = |minutes: i64| {
                    let time = model.now + SignedDuration::from_mins(minutes);
                    Record::begin(&set, 2, "me", time)
                };
                let first = Command::Fresh(at(0));
                match self.story {
                    Story::Fresh => vec![first],
                    Story::FreshTwice => vec![first, Command::Fresh(at(1))],
                    _ => vec![first, Command::FreshNoMore(at(1))],
                }
            }
            Story::Recover => {
                let volumes = vec![(None, "pv-1".to_owned())];
                vec![Command::Recover(recover::Request {
                    volumes,
                    // It was that of ordinal 1.
                    allow: Allowed::of([&rules::VOLUME_FOREIGN]),
                    ..recover::Request::default()
                })]
            }
        }
    }

    /// The command that is to have the last word.
    fn last(&self) -> usize {
        usize::from(matches!(
            self.story,
            Story::DeleteAndAdopt | Story::FreshTwice | Story::FreshNoMore
        ))
    }

    /// Undisturbed it is as it was wanted.
    fn is_there(&self, model: &Model) {
        let volume = model.get(VOLUME, "pv-1").expect("the volume");
        let policy = text(volume, "/spec/persistentVolumeReclaimPolicy");
        let holder = text(volume, "/spec/claimRef/name");
        match self.story {
            Story::Delete => {
                assert_eq!((text(volume, "/status/phase"), policy), ("Released", "Retain"));
                let kept = (self.shape.policy != "Retain").then_some(self.shape.policy);
                assert_eq!(annotation(volume, KEPT), kept);
                return;
            }
            Story::Fresh | Story::FreshTwice => {
                assert!(holder.starts_with("data-db-1-aside-"), "{holder}");
                assert_eq!(policy, self.shape.policy);
            }
            Story::FreshNoMore => {
                assert!(holder.starts_with("data-db-1"), "{holder}");
                assert_eq!(policy, self.shape.policy);
            }
            Story::Recover => {
                assert_eq!((holder, policy), ("data-db-0", "Retain"));
                let blank = model.get(VOLUME, "pv-0").expect("the blank volume");
                assert_eq!(text(blank, "/spec/persistentVolumeReclaimPolicy"), "Retain");
            }
            _ => assert_eq!((holder, policy), ("data-db-1", self.shape.policy)),
        }
        assert_eq!(text(volume, "/status/phase"), "Bound");
        let claim = model.get(CLAIM, holder).expect("its claim");
        assert_eq!(text(claim, "/status/phase"), "Bound");
        assert_eq!(text(volume, "/spec/claimRef/uid"), text(claim, "/metadata/uid"));
    }
}

/// No mark of ours on anything that has or is a claim. On a volume without a
/// claim the policy that it had stays noted.
fn nothing_of_ours_is_left(model: &Model) {
    for kind in [CLAIM, VOLUME, SET, BOOK] {
        for object in model.all(kind) {
            let at_rest = text(object, "/status/phase") == "Bound" || kind != VOLUME;
            let ours = object.to_string().contains("kubectl-stateful");
            assert!(!ours || !at_rest, "{object:#}");
        }
    }
}

/// Whatever was done to it: no disk is lost, and none has gone to somebody else.
fn is_safe(model: &Model) {
    for name in &model.disks {
        if model.destroyed.contains(name) {
            assert!(model.endangered);
            continue;
        }
        let volume = model.get(VOLUME, name).expect("the volume");
        let holder = text(volume, "/spec/claimRef/name");
        assert!(!holder.starts_with("foreign-"), "{holder} has taken {name}");
    }
}

// ----------------------------------------------------------- what may happen

fn scene() -> impl Strategy<Value = Scene> {
    let class =
        prop::sample::select(vec![Class::Immediate, Class::WaitForFirstConsumer, Class::Static]);
    let story = prop::sample::select(STORIES.to_vec());
    (story, prop::bool::weighted(0.8), class, any::<bool>()).prop_map(
        |(story, deletes, class, bound_by_controller)| Scene {
            shape: SetShape {
                replicas: 2,
                policy: if deletes { "Delete" } else { "Retain" },
                class,
                bound_by_controller,
            },
            story,
        },
    )
}

fn ours() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (0_usize..2).prop_map(Action::Us),
        3 => (0_usize..2).prop_map(Action::Peek),
        5 => (0_usize..2).prop_map(Action::Send),
        4 => (0_usize..2).prop_map(Action::Arrive),
        2 => (0_usize..2).prop_map(Action::Kill),
        2 => (0_usize..4).prop_map(Action::Stray),
    ]
}

fn turn() -> impl Strategy<Value = Action> {
    prop_oneof![1 => ours(), 1 => model::turn().prop_map(Action::World)]
}

fn other() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0_usize..6).prop_map(Other::DeleteClaim),
        1 => (0_usize..6).prop_map(Other::StripClaim),
        1 => (0_usize..2).prop_map(Other::MakeClaim),
        3 => (1_u64..3).prop_map(Other::Scale),
        1 => (0_usize..3, prop::sample::select(vec!["Delete", "Retain"]))
            .prop_map(|(place, to)| Other::Policy(place, to)),
    ]
    .prop_map(Action::Other)
}

fn trouble() -> impl Strategy<Value = Action> {
    prop_oneof![8 => turn(), 1 => other()]
}

fn script(action: impl Strategy<Value = Action>) -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(action, 0..160)
}

proptest! {
    #![proptest_config(properties::config(96))]

    /// However turns fall, and however often we are killed: the same command
    /// ends it, and leaves nothing behind.
    #[test]
    fn every_command_ends_as_it_was_meant(scene in scene(), script in script(turn())) {
        let model = scene.model();
        let commands = scene.commands(&model);
        let mut run = Run::new(model, commands);
        for action in script {
            run.act(action);
        }
        let end = run.finish(scene.last());
        prop_assert_eq!(&end, &End::Done);
        run.model.settle();
        scene.is_there(&run.model);
        nothing_of_ours_is_left(&run.model);
        prop_assert!(run.model.destroyed.is_empty());
    }

    /// Whatever other people do: no disk is lost through us.
    #[test]
    fn no_disk_is_lost_whatever_others_do(scene in scene(), script in script(trouble())) {
        let model = scene.model();
        let commands = scene.commands(&model);
        let mut run = Run::new(model, commands);
        for action in script {
            run.act(action);
        }
        run.model.settle();
        is_safe(&run.model);
        let end = run.finish(scene.last());
        let said = (scene.story == Story::Delete).then(|| said_of_the_disk(&run.model));
        run.model.settle();
        is_safe(&run.model);
        if end == End::Done && let Some(said) = said {
            holds_of_the_disk(&run.model, said);
        }
        if end == End::Done {
            nothing_of_ours_is_left_on_claims(&run.model, &scene);
        }
    }
}

/// What `orphans delete` says of the disk once the claim is gone, by the look that it
/// takes then.
fn said_of_the_disk(model: &Model) -> delete::Data {
    let volume = model.get(VOLUME, "pv-1");
    let uid = volume.map(|volume| text(volume, "/metadata/uid")).unwrap_or_default();
    let volume = handover::Held { name: "pv-1".to_owned(), uid: uid.to_owned() };
    delete::found_of(&volume, None, model.get(VOLUME, "pv-1"), true)
}

/// Kept means that it is there for good; and nothing that is there was said to be
/// destroyed.
fn holds_of_the_disk(model: &Model, said: delete::Data) {
    let is_there = model.get(VOLUME, "pv-1").is_some();
    match said {
        delete::Data::Kept => assert!(is_there, "it was said to be kept"),
        delete::Data::Destroyed | delete::Data::Gone => assert!(!is_there, "{said:?}"),
        _ => {}
    }
}

/// What one command has done is clean; another one that was interrupted may
/// have left something.
fn nothing_of_ours_is_left_on_claims(model: &Model, scene: &Scene) {
    if scene.story == Story::DeleteAndAdopt {
        return;
    }
    // Where others have destroyed the volume of a claim, nothing leads back to it.
    let is_lost =
        |claim: &&Value| model.endangered && raw::phase(claim) == "Lost" && !has_our_hold(claim);
    for claim in model.all(CLAIM).filter(|claim| !is_leaving(claim) && !is_lost(claim)) {
        assert!(!claim.to_string().contains("kubectl-stateful"), "{claim:#}");
    }
    // Nothing else can finish what is marked so.
    let fresh = matches!(scene.story, Story::Fresh | Story::FreshTwice | Story::FreshNoMore);
    for volume in model.all(VOLUME).filter(|_| fresh) {
        assert_eq!(annotation(volume, MIGRATION_MARK), None, "{volume:#}");
    }
}

/// Killed after it has sent the policy back, and before that arrives; somebody
/// deletes the claim, and the same command lets it go. What arrives then comes
/// too late.
#[test]
fn a_release_that_arrives_late_finds_its_volume_withheld() {
    let shape = SetShape {
        replicas: 2,
        policy: "Delete",
        class: Class::Immediate,
        bound_by_controller: true,
    };
    for other in [adoption(), deletion()] {
        let scene = Scene { shape: shape.clone(), story: Story::AdoptReleased };
        let mut run = Run::new(scene.model(), vec![adoption(), other]);
        let held = |run: &Run| run.model.get(CLAIM, "data-db-1").is_some_and(has_our_hold);
        while !held(&run) {
            run.model.settle();
            run.act(Action::Us(0));
        }
        run.act(Action::Send(0));
        run.act(Action::Kill(0));
        assert_eq!(run.strays.len(), 1);
        run.model.disturb(|model| model.delete(CLAIM, "data-db-1"));
        while held(&run) {
            run.act(Action::Us(1));
        }
        run.model.protect();
        assert!(run.model.get(CLAIM, "data-db-1").is_none());
        run.act(Action::Stray(0));
        run.model.settle();
        is_safe(&run.model);
        assert!(!run.model.endangered);
        let volume = run.model.get(VOLUME, "pv-1").expect("the volume");
        assert_eq!(annotation(volume, KEPT), Some("Delete"));
        assert_eq!(run.finish(0), End::Done);
        scene.is_there(&run.model);
        nothing_of_ours_is_left(&run.model);
    }
}

/// Somebody gives the volume its policy back between our last look at it and the
/// deletion of its claim: the claim waits, and the volume is kept.
#[test]
fn a_policy_that_is_set_back_during_the_deletion_destroys_nothing() {
    let shape = SetShape {
        replicas: 2,
        policy: "Delete",
        class: Class::Immediate,
        bound_by_controller: true,
    };
    let scene = Scene { shape, story: Story::Delete };
    let mut run = Run::new(scene.model(), vec![deletion()]);
    let is_held = |run: &Run| run.model.get(CLAIM, "data-db-1").is_some_and(has_our_hold);
    while !is_held(&run) {
        run.act(Action::Us(0));
    }
    // The deletion is under way.
    run.act(Action::Send(0));
    run.act(Action::Other(Other::Policy(1, "Delete")));
    run.act(Action::Arrive(0));
    run.model.settle();
    assert!(!run.model.endangered);
    assert!(run.model.get(CLAIM, "data-db-1").is_some_and(is_leaving));
    assert_eq!(run.finish(0), End::Done);
    run.model.settle();
    is_safe(&run.model);
    scene.is_there(&run.model);
}

/// The model is no idler: pods run, and follow what is asked for.
#[test]
fn the_set_of_the_model_runs() {
    let shape = SetShape {
        replicas: 2,
        policy: "Delete",
        class: Class::Immediate,
        bound_by_controller: true,
    };
    let model = Model::of_set(&shape);
    assert_eq!(replicas(model.get(SET, "db").expect("it")), 2);
    let pods = model.names(POD);
    assert!(pods.contains(&"db-1".to_owned()), "{pods:?}");
    assert_eq!(pick(&["a".to_owned()], 7).as_deref(), Some("a"));
}

/// The volume gets another policy and its claims are deleted while one is set
/// aside: the same command ends all the same.
#[test]
fn claims_that_go_while_they_are_set_aside_are_set_aside_all_the_same() {
    let shape = SetShape {
        replicas: 2,
        policy: "Retain",
        class: Class::Static,
        bound_by_controller: false,
    };
    let scene = Scene { shape, story: Story::Fresh };
    let model = scene.model();
    let commands = scene.commands(&model);
    let mut run = Run::new(model, commands);
    for action in [
        Action::Send(0),
        Action::World(Turn::Foreign),
        Action::Arrive(0),
        Action::Us(0),
        Action::Us(0),
        Action::Other(Other::DeleteClaim(1)),
        Action::World(Turn::Foreign),
        Action::World(Turn::Protect),
        Action::Other(Other::Policy(1, "Delete")),
        Action::Other(Other::DeleteClaim(5)),
    ] {
        run.act(action);
    }
    run.model.settle();
    is_safe(&run.model);
    assert_eq!(run.finish(scene.last()), End::Done);
    is_safe(&run.model);
}

/// The old claim goes, finalizers and all, before its volume is reserved for the
/// other: nothing but our tag leads to the data.
#[test]
fn a_claim_that_goes_before_its_volume_is_handed_over_is_set_aside_all_the_same() {
    for policy in ["Retain", "Delete"] {
        let shape =
            SetShape { replicas: 2, policy, class: Class::Immediate, bound_by_controller: true };
        let scene = Scene { shape, story: Story::Fresh };
        let model = scene.model();
        let commands = scene.commands(&model);
        let mut run = Run::new(model, commands);
        run.act(Action::Us(0));
        run.act(Action::Other(Other::DeleteClaim(1)));
        run.act(Action::Other(Other::StripClaim(1)));
        run.model.settle();
        assert!(run.model.get(CLAIM, "data-db-1").is_none());
        assert_eq!(run.finish(scene.last()), End::Done);
        run.model.settle();
        is_safe(&run.model);
        nothing_of_ours_is_left_on_claims(&run.model, &scene);
        let aside =
            run.model.all(CLAIM).find(|claim| raw::name(claim).starts_with("data-db-1-aside-"));
        assert_eq!(aside.map(raw::phase), Some("Bound"));
    }
}

/// The new claim is deleted and its volume destroyed by others while the old one is
/// set aside: the old claim is Lost, and the next run has nothing to finish.
#[test]
fn a_claim_whose_volume_others_destroyed_is_nobodys_to_finish() {
    let shape = SetShape {
        replicas: 2,
        policy: "Retain",
        class: Class::Immediate,
        bound_by_controller: false,
    };
    let scene = Scene { shape, story: Story::FreshNoMore };
    let model = scene.model();
    let commands = scene.commands(&model);
    let mut run = Run::new(model, commands);
    for _ in 0..3 {
        run.act(Action::Us(0));
    }
    run.act(Action::Other(Other::DeleteClaim(2)));
    run.act(Action::Other(Other::Policy(1, "Delete")));
    run.model.settle();
    is_safe(&run.model);
    assert_eq!(run.finish(scene.last()), End::Done);
    nothing_of_ours_is_left_on_claims(&run.model, &scene);
}
