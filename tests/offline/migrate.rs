//! What holds for every migration, whatever happens meanwhile: `plan::next`,
//! `back::next` and `finish::next` drive a model of a cluster (see
//! `migrate_model`), and its controllers, other people and the end of our own
//! program take turns in any order.
//!
//! Our side is that of `migrate/run`, without streams: look, decide, write,
//! look again.

use std::{collections::BTreeSet, rc::Rc};

use kubectl_stateful::{
    cluster::Write,
    migrate::{
        back,
        begin::{self, Wish},
        convert::Options,
        finish,
        journal::{ANNOTATION, Arrived, Book, Intent, Journal, Mode, Order},
        plan::{self, Act, Memory, Move, Terms},
        world::World,
        writes,
    },
    output::Exit,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    migrate_model::{
        ALL, BOOK, CLAIM, Class, DEPLOYMENT, Key, Model, POD, SET, Shape, VOLUME, Who, annotation,
        claim_spec, is_on_hold, is_ready, members, replicas, text,
    },
    server::Answer,
};

/// What happens next in the world.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// Somebody hears of everything, or of one kind of object.
    Hear(Who, Option<&'static str>),
    /// Somebody does a piece of work, by what was heard.
    Work(Who, usize),
    /// Scheduler, kubelet and garbage collector look after a pod.
    Run(usize),
    /// Claims that nobody uses go; disks that nobody uses leave their node.
    Protect,
    Detach,
    /// We look, decide and write.
    Us,
    /// The same, but so many actions lie between decision and write.
    Late(u8),
    /// Only the first of several writes was sent when our program was killed.
    Half,
    /// Our program is killed, and somebody goes on with it.
    Kill,
    /// A pod is deleted: that happens anyway.
    Die(usize),
    /// A claim for any volume that is free.
    Foreign,
    Other(Other),
}

/// What other people do, and a move has to cope with.
#[derive(Clone, Copy, Debug)]
enum Other {
    ScaleDeployment(usize, u64),
    ScaleSet(u64),
    DeleteSet,
    DeleteClaim(usize),
    /// A claim by the name of one that was there in the beginning.
    MakeClaim(usize),
    Policy(usize, &'static str),
}

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Run,
    Resume,
    Rollback,
    Finalize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// There, wherever it was going.
    Done(Intent),
    Stopped {
        code: u8,
        id: &'static str,
    },
    /// A guard says no; nothing was changed.
    Refused(Vec<&'static str>),
    /// There is no migration to go on with.
    Nothing,
}

/// One of our processes at work on the model.
struct Run<'a> {
    model: &'a mut Model,
    shape: &'a Shape,
    verb: Verb,
    process: Process,
    number: u32,
    /// The last look, and of what.
    seen: Option<(u64, Rc<World>)>,
}

/// What dies with a process.
#[derive(Default)]
struct Process {
    hand: Option<Rc<Hand>>,
    memory: Memory,
    /// The last act, and how often it was done in a row.
    acted: Option<(Act, u32)>,
    /// Looks in a row without anything to write for what is to be done.
    vain: u32,
}

struct Hand {
    journal: Journal,
    uid: String,
    intent: Intent,
}

/// A decision that has not been carried out yet.
enum Decided {
    Open(Write),
    Take(Write, Box<Hand>),
    Act(Act, Vec<Write>),
    Last(Write, End),
    Nothing { waits: bool },
    End(End),
}

impl Run<'_> {
    fn new<'a>(model: &'a mut Model, shape: &'a Shape, verb: Verb) -> Run<'a> {
        Run { model, shape, verb, process: Process::default(), number: 1, seen: None }
    }

    fn name(&self) -> String {
        format!("run-{:?}-{}", self.verb, self.number)
    }

    /// Lets the world go as the script says, and then fairly, until we are
    /// done.
    fn go(&mut self, script: &[Action]) -> End {
        if let Some(end) = self.begin(script) {
            return end;
        }
        let mut still = 0;
        for _ in 0..400 {
            let moved = self.model.is_moving();
            let decided = self.decide();
            let waits = matches!(decided, Decided::Nothing { waits: true });
            if let Some(end) = self.carry_out(decided) {
                return end;
            }
            still = if waits && !moved { still + 1 } else { 0 };
            if still > 5 {
                return stopped(Exit::Timeout, "MIGRATE-DEADLINE");
            }
        }
        panic!("no end of {:?}: {:?}", self.verb, self.process.acted);
    }

    /// The script alone; what ends on the way.
    fn begin(&mut self, script: &[Action]) -> Option<End> {
        let mut script = script.iter().copied();
        while let Some(action) = script.next() {
            if let Some(end) = self.act(action, &mut script) {
                return Some(end);
            }
        }
        None
    }

    fn act(&mut self, action: Action, script: &mut impl Iterator<Item = Action>) -> Option<End> {
        match action {
            Action::Us => {
                let decided = self.decide();
                self.carry_out(decided)
            }
            Action::Late(count) => {
                let decided = self.decide();
                for action in script.take(count.into()) {
                    // While a request is under way we do nothing else.
                    self.world(action);
                }
                self.carry_out(decided)
            }
            Action::Half => {
                let mut decided = self.decide();
                if let Decided::Act(_, writes) = &mut decided {
                    writes.truncate(1);
                }
                let end = self.carry_out(decided);
                self.kill();
                end
            }
            Action::Kill => {
                self.kill();
                None
            }
            other => {
                self.world(other);
                None
            }
        }
    }

    fn kill(&mut self) {
        self.process = Process::default();
        self.number += 1;
        // Who rolls back or finalizes may also say `resume`.
        if self.verb == Verb::Rollback && self.book().is_some_and(|b| b.intent == Intent::Back) {
            self.verb = Verb::Resume;
        }
    }

    fn world(&mut self, action: Action) {
        let model = &mut *self.model;
        let pick = |names: Vec<String>, place: usize| {
            (!names.is_empty()).then(|| names[place % names.len()].clone())
        };
        match action {
            Action::Hear(who, kind) => model.hear(who, kind),
            Action::Work(who, place) => model.work(who, place),
            Action::Run(place) => {
                let pod = pick(model.names(POD), place);
                if let Some(pod) = pod {
                    model.run_pod(&pod);
                }
            }
            Action::Die(place) => {
                let pod = pick(model.names(POD), place).filter(|pod| pod != "other");
                if let Some(pod) = pod {
                    model.delete(POD, &pod);
                }
            }
            Action::Protect => model.protect(),
            Action::Detach => model.detach(),
            Action::Foreign => {
                let name = format!("foreign-{}", model.version);
                let keeps = self.shape.keeps || self.shape.keeps_last;
                let class = class_name(self.shape.class);
                let spec = claim_spec(class, keeps);
                model.create(CLAIM, json!({"metadata": {"name": name}, "spec": spec}));
            }
            Action::Other(other) => self.disturb(other),
            Action::Us | Action::Late(_) | Action::Half | Action::Kill => {}
        }
    }

    fn disturb(&mut self, other: Other) {
        let shape = self.shape;
        let model = &mut *self.model;
        let before = model.version;
        match other {
            Other::ScaleDeployment(place, to) => {
                // Where the volumes change hands, the old claim is a fence.
                model.crowded |= to > 0 && (shape.keeps || shape.keeps_last);
                let members = members(shape);
                let name = &members[place % members.len()];
                model.change(DEPLOYMENT, name, |found| found["spec"]["replicas"] = json!(to));
            }
            Other::ScaleSet(to) => {
                model.crowded |= to > 0;
                model.change(SET, "db", |found| found["spec"]["replicas"] = json!(to));
            }
            Other::DeleteSet => model.delete(SET, "db"),
            Other::DeleteClaim(place) => {
                let names = model.names(CLAIM);
                let Some(name) = names.get(place % names.len().max(1)).cloned() else { return };
                // What is on hold while its policy returns is ours to save.
                let endangers = |claim: &Value| !is_safe(model, claim) && !is_on_hold(claim);
                model.endangered |= model.get(CLAIM, &name).is_some_and(endangers);
                model.delete(CLAIM, &name);
            }
            Other::MakeClaim(place) => {
                let names = old_claims(shape);
                let spec = claim_spec(class_name(shape.class), shape.keeps || shape.keeps_last);
                let name = &names[place % names.len()];
                model.create(CLAIM, json!({"metadata": {"name": name}, "spec": spec}));
            }
            Other::Policy(place, to) => {
                let names: Vec<String> = model.disks.iter().cloned().collect();
                let name = &names[place % names.len()];
                // A claim that only has the name of the one that is gone holds nothing.
                let is_held = model.get(VOLUME, name).is_some_and(|volume| {
                    let claim = model.get(CLAIM, text(volume, "/spec/claimRef/name"));
                    claim.is_some_and(|claim| {
                        text(claim, "/metadata/uid") == text(volume, "/spec/claimRef/uid")
                            && claim["metadata"].get("deletionTimestamp").is_none()
                    })
                });
                model.policy_edited = true;
                model.endangered |= to == "Delete" && !is_held;
                model.change(VOLUME, name, |found| {
                    found["spec"]["persistentVolumeReclaimPolicy"] = json!(to);
                });
            }
        }
        if model.version != before {
            model.disturbed = true;
        }
    }

    fn book(&self) -> Option<Book> {
        let book = self.model.all(BOOK).next()?;
        Some(Book::of(book).expect("our journal"))
    }

    fn look(&mut self, journal: &Journal) -> Rc<World> {
        let version = self.model.version;
        if let Some((_, world)) = self.seen.as_ref().filter(|(seen, _)| *seen == version) {
            return Rc::clone(world);
        }
        let world = Rc::new(self.model.bundle().world(journal).expect("objects").0);
        self.seen = Some((version, Rc::clone(&world)));
        world
    }

    fn decide(&mut self) -> Decided {
        let Some(hand) = self.process.hand.clone() else { return self.take() };
        let world = self.look(&hand.journal);
        let holds = world.book.as_ref().is_some_and(|book| {
            book.uid == hand.uid && book.holder.as_deref() == Some(self.name().as_str())
        });
        assert!(holds, "nobody else takes the lock");
        let journal = &hand.journal;
        let next = match hand.intent {
            Intent::Forward => {
                let memory = &self.process.memory;
                plan::next(&world, journal, Terms::default(), memory, self.model.now)
            }
            Intent::Back => back::next(&world, journal, &self.process.memory),
            Intent::Finish => finish::next(&world, journal, self.model.now),
            Intent::Recover => panic!("nobody asked for that"),
        };
        match next {
            Move::Act(act) => {
                if let Some(writes) = writes::of(act, journal, &world) {
                    check_act(act, journal, &world);
                    self.process.vain = 0;
                    Decided::Act(act, writes)
                } else {
                    self.process.vain += 1;
                    assert!(self.process.vain < 50, "{act:?} is not as it should be");
                    Decided::Nothing { waits: false }
                }
            }
            Move::Wait { what } | Move::Watch { what, .. } => {
                assert!(!what.is_empty());
                Decided::Nothing { waits: true }
            }
            Move::Verify => panic!("nobody asked for that"),
            Move::Stop { exit, finding } => {
                assert!(!finding.message.is_empty() && !finding.object.is_empty());
                Decided::End(stopped(exit, finding.id))
            }
            Move::Done => self.last(&hand, &world),
        }
    }

    fn last(&self, hand: &Hand, world: &World) -> Decided {
        let end = End::Done(hand.intent);
        let book = world.book.as_ref().expect("the journal");
        match hand.intent {
            Intent::Forward if book.arrived.is_some() => Decided::End(end),
            Intent::Forward => {
                let set = world.own_set(&hand.journal).expect("the set");
                let set_uid = text(set, "/metadata/uid").to_owned();
                let arrived = Arrived { at: self.model.now, set_uid, downtime_ms: None };
                let write = writes::arrive(&hand.journal, &hand.uid, &self.name(), &arrived);
                Decided::Last(write, end)
            }
            _ => Decided::Last(writes::close(&hand.journal, &hand.uid), end),
        }
    }

    /// A migration that was begun, or a new one.
    fn take(&mut self) -> Decided {
        let Some(book) = self.book() else {
            if self.verb != Verb::Run {
                return Decided::End(End::Nothing);
            }
            return self.open();
        };
        let intent = match self.verb {
            Verb::Run | Verb::Resume => book.intent,
            Verb::Rollback if book.intent == Intent::Finish => return Decided::End(End::Nothing),
            Verb::Rollback => Intent::Back,
            Verb::Finalize => {
                let (world, _) = self.model.bundle().world(&book.journal).expect("objects");
                let against = finish::speaks_against(&world, &book.journal, self.model.now);
                match against {
                    _ if book.intent == Intent::Finish => {}
                    Some(finding) => return Decided::End(End::Refused(vec![finding.id])),
                    None if book.arrived.is_none() => {
                        return Decided::End(End::Refused(vec!["MIGRATE-NOT-ARRIVED"]));
                    }
                    None => {}
                }
                Intent::Finish
            }
        };
        let Book { journal, uid, holder, .. } = book;
        let write = writes::take(&journal, &uid, holder.as_deref(), &self.name(), intent);
        Decided::Take(write, Box::new(Hand { journal, uid, intent }))
    }

    fn open(&self) -> Decided {
        let wish = wish(self.shape);
        let members = members(self.shape);
        let keeps = wish.mode == Mode::Keep;
        let there = self.model.bundle().surroundings(&members, None, !keeps).expect("objects");
        let op = format!("op-{}", self.number);
        let refused = |ids: Vec<&'static str>| Decided::End(End::Refused(ids));
        match begin::plan(&there, &wish, &op, self.model.now) {
            Err(error) => {
                assert_eq!(error.exit, Exit::Refused, "{error:?}");
                refused(error.reasons.iter().map(|finding| finding.id).collect())
            }
            Ok(plan) if begin::refuses(&plan.findings) => {
                refused(plan.findings.iter().map(|finding| finding.id).collect())
            }
            Ok(plan) => Decided::Open(writes::open(&plan.journal, &self.name(), Intent::Forward)),
        }
    }

    fn carry_out(&mut self, decided: Decided) -> Option<End> {
        match decided {
            Decided::End(end) => return Some(end),
            Decided::Nothing { .. } => {}
            Decided::Open(write) => {
                if self.model.write(&write) == Answer::Done {
                    let Book { journal, uid, intent, .. } = self.book().expect("it");
                    self.process.hand = Some(Rc::new(Hand { journal, uid, intent }));
                }
            }
            Decided::Take(write, hand) => {
                if self.model.write(&write) == Answer::Done {
                    self.process.hand = Some(Rc::new(*hand));
                }
            }
            Decided::Last(write, end) => {
                if self.model.write(&write) == Answer::Done {
                    return Some(end);
                }
            }
            Decided::Act(act, writes) => self.do_act(act, &writes),
        }
        None
    }

    /// Of several writes only the first counts.
    fn do_act(&mut self, act: Act, writes: &[Write]) {
        for (place, write) in writes.iter().enumerate() {
            match self.model.write(write) {
                Answer::Done => {}
                _ if place > 0 => break,
                _ => return,
            }
        }
        if let Act::Swap(index) | Act::SwapBack(index) | Act::Touch(index) = act {
            self.process.memory.touched.push(index);
        }
        let times = match self.process.acted {
            Some((last, times)) if last == act => times + 1,
            _ => 1,
        };
        assert!(times <= 5, "{act:?} was done {times} times");
        self.process.acted = Some((act, times));
    }
}

fn stopped(exit: Exit, id: &'static str) -> End {
    End::Stopped { code: exit.code(), id }
}

/// What was known when it was decided on.
fn check_act(act: Act, journal: &Journal, world: &World) {
    match act {
        Act::Swap(index)
        | Act::SwapBack(index)
        | Act::DeleteOldClaim(index)
        | Act::DeleteNewClaim(index) => {
            let disk = &journal.disks[index];
            assert!(world.is_protected(disk, journal), "{act:?}: {} may go", disk.pv.name);
        }
        Act::Release(index) => {
            let disk = &journal.disks[index];
            let claim = world.claims.values().find(|claim| world.is_bound(disk, claim));
            assert!(claim.is_some(), "{act:?}: {} is not bound", disk.pv.name);
        }
        _ => {}
    }
}

fn is_of(pod: &Value, kind: &str) -> bool {
    text(pod, "/metadata/ownerReferences/0/kind") == kind
}

/// Whether the volume of a claim stays when the claim goes.
fn is_safe(model: &Model, claim: &Value) -> bool {
    let name = text(claim, "/spec/volumeName");
    model.get(VOLUME, name).is_none_or(|volume| {
        text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain"
            || text(volume, "/spec/claimRef/uid") != text(claim, "/metadata/uid")
    })
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Immediate => "standard",
        Class::WaitForFirstConsumer => "standard-wait",
        Class::Static => "manual",
    }
}

fn old_claims(shape: &Shape) -> Vec<String> {
    let of = |member: String| (0..shape.disks).map(move |disk| format!("v{disk}-of-{member}"));
    members(shape).into_iter().flat_map(of).collect()
}

fn wish(shape: &Shape) -> Wish {
    let mut options = Options { name: Some("db".to_owned()), ..Options::default() };
    if shape.members > 1 {
        options.from = members(shape);
    } else {
        options.deployments = members(shape);
    }
    if shape.keeps_last {
        options.keep.insert(format!("v{}", shape.disks - 1));
    }
    let mode = if shape.keeps { Mode::Keep } else { Mode::Rebind };
    Wish { options, mode, order: shape.order, ..Wish::default() }
}

/// A migration whose journal has just been written.
pub fn planned(shape: &Shape) -> Model {
    let mut model = Model::new(shape);
    let mut run = Run::new(&mut model, shape, Verb::Run);
    let decided = run.decide();
    assert_eq!(run.carry_out(decided), None);
    assert!(run.process.hand.is_some());
    model
}

/// One whose set runs.
pub fn arrived(shape: &Shape) -> Model {
    let mut model = Model::new(shape);
    let end = Run::new(&mut model, shape, Verb::Run).go(&[]);
    assert_eq!(end, End::Done(Intent::Forward));
    model.settle();
    model
}

// ---------------------------------------------------------- what must be so

/// Annotations, where none and an empty list are the same.
fn annotations(object: &Value) -> Value {
    match &object["metadata"]["annotations"] {
        Value::Null => json!({}),
        all => all.clone(),
    }
}

fn lasting(model: &Model) -> BTreeSet<Key> {
    let foreign = |key: &Key| key.1.starts_with("foreign-") || key.1.starts_with("blank-");
    model.keys().into_iter().filter(|key| !foreign(key)).collect()
}

fn nothing_of_ours_is_left(model: &Model) {
    for key in model.keys() {
        let object = model.get(key.0, &key.1).expect("it");
        assert!(!object.to_string().contains("kubectl-stateful"), "{object}");
    }
}

/// What a volume was and is again, whoever has it.
fn volume_is_as_before(model: &Model, before: &Model, name: &str) {
    let [is, was] = [model, before].map(|model| {
        let mut volume = model.get(VOLUME, name).expect("the volume").clone();
        volume["spec"].as_object_mut().expect("a spec").shift_remove("claimRef");
        volume
    });
    assert_eq!(is["spec"], was["spec"]);
    assert_eq!(annotations(&is), annotations(&was), "{name}");
    assert_eq!(is["status"], was["status"]);
}

/// The Deployments run as they did, and nothing of ours is left.
fn is_back(model: &mut Model, before: &Model) {
    assert_eq!(lasting(model), lasting(before));
    nothing_of_ours_is_left(model);
    model.settle();
    for deployment in before.all(DEPLOYMENT) {
        let name = text(deployment, "/metadata/name");
        let now = model.get(DEPLOYMENT, name).expect("it");
        assert_eq!(now["spec"], deployment["spec"]);
        let pods =
            model.all(POD).filter(|pod| is_ready(pod) && pod["metadata"]["labels"]["app"] == name);
        assert_eq!(pods.count() as u64, replicas(deployment));
    }
    for claim in before.all(CLAIM) {
        let now = model.get(CLAIM, text(claim, "/metadata/name")).expect("it");
        assert_eq!(now["spec"], claim["spec"]);
        assert_eq!(now["status"]["phase"], "Bound");
        assert_eq!(annotations(now), annotations(claim));
        let volume = model.get(VOLUME, text(now, "/spec/volumeName")).expect("its volume");
        assert_eq!(text(volume, "/spec/claimRef/uid"), text(now, "/metadata/uid"));
    }
    for name in &before.disks {
        volume_is_as_before(model, before, name);
    }
}

/// The set runs on the disks of the Deployments.
fn is_arrived(model: &mut Model, before: &Model, shape: &Shape) {
    model.settle();
    let book = Book::of(model.all(BOOK).next().expect("the journal")).expect("ours");
    assert!(book.arrived.is_some() && book.intent == Intent::Forward);
    runs_as_a_set(model, before, shape);
    for disk in &book.journal.disks {
        let volume = model.get(VOLUME, &disk.pv.name).expect("it");
        assert_eq!(text(volume, "/spec/persistentVolumeReclaimPolicy"), "Retain");
        assert!(annotation(volume, ANNOTATION).is_some());
        assert_eq!(
            model.get(CLAIM, &disk.old.name).expect("the old claim")["status"]["phase"],
            "Lost"
        );
    }
    for deployment in model.all(DEPLOYMENT) {
        assert_eq!(replicas(deployment), 0);
    }
}

fn runs_as_a_set(model: &Model, before: &Model, shape: &Shape) {
    let wanted: u64 = before.all(DEPLOYMENT).map(replicas).sum();
    assert_eq!(replicas(model.get(SET, "db").expect("the set")), wanted);
    let pods: Vec<&Value> = model.all(POD).filter(|pod| is_of(pod, SET)).collect();
    assert_eq!(pods.len() as u64, wanted);
    assert!(pods.into_iter().all(is_ready));
    assert!(!model.blank && model.destroyed.is_empty() && model.released.is_empty());
    let members = members(shape);
    for name in &before.disks {
        let volume = model.get(VOLUME, name).expect("the volume");
        assert_eq!(volume["status"]["phase"], "Bound");
        let (member, disk) = name.trim_start_matches("pv-").rsplit_once('-').expect("a name");
        let ordinal = members.iter().position(|one| one == member).expect("a member");
        let kept = shape.keeps || (shape.keeps_last && disk == (shape.disks - 1).to_string());
        let wanted =
            if kept { format!("v{disk}-of-{member}") } else { format!("v{disk}-db-{ordinal}") };
        assert_eq!(text(volume, "/spec/claimRef/name"), wanted);
    }
}

/// The set runs, and nothing else is left.
fn is_finished(model: &mut Model, before: &Model, shape: &Shape) {
    model.settle();
    nothing_of_ours_is_left(model);
    runs_as_a_set(model, before, shape);
    assert_eq!(model.all(DEPLOYMENT).count(), 0);
    assert_eq!(model.all(BOOK).count(), 0);
    for name in &before.disks {
        volume_is_as_before(model, before, name);
        let volume = model.get(VOLUME, name).expect("it");
        let claim = model.get(CLAIM, text(volume, "/spec/claimRef/name")).expect("its claim");
        assert_eq!(claim["status"]["phase"], "Bound");
    }
    let claims = model.names(CLAIM).into_iter().filter(|name| !name.starts_with("foreign-"));
    assert_eq!(claims.count(), before.disks.len());
}

/// Whatever was done to it: the disks of the beginning are whole, and reserved
/// for somebody, as far as it was up to us.
fn is_safe_at_rest(model: &mut Model) {
    model.settle();
    for name in model.disks.clone() {
        if model.destroyed.contains(&name) {
            continue;
        }
        let volume = model.get(VOLUME, &name).expect("the volume");
        let holder = text(volume, "/spec/claimRef/name");
        assert!(!holder.starts_with("foreign-"), "{holder} has taken {name}");
    }
}

// ----------------------------------------------------------- what may happen

fn shape() -> impl Strategy<Value = Shape> {
    let class =
        prop::sample::select(vec![Class::Immediate, Class::WaitForFirstConsumer, Class::Static]);
    (
        (1_u32..4, prop_oneof![3 => Just(1_u32), 1 => 2_u32..4], 1_u64..4),
        prop::bool::weighted(0.7),
        class,
        any::<bool>(),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.2)),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |((disks, members, replicas), deletes, class, by_controller, keep, first, service)| {
                let keeps = keep.0 && members == 1;
                Shape {
                    disks: if members > 1 { disks.min(2) } else { disks },
                    members,
                    replicas: if keeps { u32::try_from(replicas).expect("small") } else { 1 },
                    policy: if deletes { "Delete" } else { "Retain" },
                    class,
                    bound_by_controller: by_controller,
                    keeps,
                    keeps_last: keep.1 && !keeps && members == 1 && disks > 1,
                    order: if first { Order::StopFirst } else { Order::SwapFirst },
                    service,
                }
            },
        )
}

/// What happens anyway: turns, in any order.
fn turn() -> impl Strategy<Value = Action> {
    let who = || prop::sample::select(ALL.to_vec());
    let kind = prop::sample::select(vec![
        None,
        None,
        Some(CLAIM),
        Some(VOLUME),
        Some(DEPLOYMENT),
        Some(SET),
    ]);
    prop_oneof![
        8 => Just(Action::Us),
        3 => (1_u8..4).prop_map(Action::Late),
        1 => Just(Action::Half),
        1 => Just(Action::Kill),
        6 => (who(), kind).prop_map(|(who, kind)| Action::Hear(who, kind)),
        8 => (who(), 0_usize..12).prop_map(|(who, place)| Action::Work(who, place)),
        6 => (0_usize..6).prop_map(Action::Run),
        2 => Just(Action::Detach),
        1 => Just(Action::Protect),
        1 => (0_usize..6).prop_map(Action::Die),
        1 => Just(Action::Foreign),
    ]
}

fn other() -> impl Strategy<Value = Action> {
    prop_oneof![
        (0_usize..3, 0_u64..3).prop_map(|(place, to)| Other::ScaleDeployment(place, to)),
        (0_u64..3).prop_map(Other::ScaleSet),
        Just(Other::DeleteSet),
        (0_usize..8).prop_map(Other::DeleteClaim),
        (0_usize..6).prop_map(Other::MakeClaim),
        (0_usize..6, prop::sample::select(vec!["Delete", "Retain"]))
            .prop_map(|(place, to)| Other::Policy(place, to)),
    ]
    .prop_map(Action::Other)
}

fn trouble() -> impl Strategy<Value = Action> {
    prop_oneof![14 => turn(), 1 => other()]
}

fn script(
    action: impl Strategy<Value = Action>,
    length: usize,
) -> impl Strategy<Value = Vec<Action>> {
    prop::collection::vec(action, 0..length)
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(32),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    }
}

/// Nobody is obliged to begin while a pod is missing.
fn is_unwell(end: &End) -> bool {
    let unwell = ["MIGRATE-UNHEALTHY", "MIGRATE-ROLLOUT-IN-PROGRESS"];
    matches!(end, End::Refused(ids) if unwell.iter().any(|id| ids.contains(id)))
}

/// After other people's doings: why it stopped, if it did.
fn is_told(end: &End) {
    match end {
        End::Stopped { code, id } => {
            assert!([4, 5, 6, 7, 11].contains(code), "{code} {id}");
            assert!(id.starts_with("MIGRATE-"));
        }
        End::Refused(ids) => assert!(!ids.is_empty()),
        End::Done(_) | End::Nothing => {}
    }
}

proptest! {
    #![proptest_config(config())]

    /// However turns fall, and however often we are killed: it arrives, and
    /// can be finished.
    #[test]
    fn it_arrives_and_is_finished(
        shape in shape(),
        (first, second) in (script(turn(), 80), script(turn(), 40)),
    ) {
        let mut model = Model::new(&shape);
        let before = model.clone();
        let end = Run::new(&mut model, &shape, Verb::Run).go(&first);
        if is_unwell(&end) {
            return Ok(());
        }
        prop_assert_eq!(end, End::Done(Intent::Forward));
        is_arrived(&mut model, &before, &shape);
        let end = Run::new(&mut model, &shape, Verb::Finalize).go(&second);
        // A pod that dies is reason enough not to finish, once again typed.
        let end = match end {
            End::Refused(_) | End::Stopped { .. } => {
                model.settle();
                Run::new(&mut model, &shape, Verb::Finalize).go(&[])
            }
            end => end,
        };
        prop_assert_eq!(end, End::Done(Intent::Finish));
        is_finished(&mut model, &before, &shape);
    }

    /// From wherever the way forward was left: back as it was.
    #[test]
    fn it_goes_back_from_anywhere(
        shape in shape(),
        (first, second) in (script(turn(), 120), script(turn(), 80)),
    ) {
        let mut model = Model::new(&shape);
        let before = model.clone();
        Run::new(&mut model, &shape, Verb::Run).begin(&first);
        let end = Run::new(&mut model, &shape, Verb::Rollback).go(&second);
        prop_assert!(matches!(end, End::Done(Intent::Back) | End::Nothing), "{:?}", end);
        is_back(&mut model, &before);
    }

    /// Whatever other people do on the way there, on the way back and at the
    /// end: the disks are safe, and it is said why it stops.
    #[test]
    fn the_disks_are_safe_whatever_others_do(
        shape in shape(),
        (first, second, third) in
            (script(trouble(), 100), script(trouble(), 80), script(trouble(), 40)),
        finishes in any::<bool>(),
        whole in any::<bool>(),
    ) {
        let mut model = Model::new(&shape);
        let mut run = Run::new(&mut model, &shape, Verb::Run);
        let end = if whole { Some(run.go(&first)) } else { run.begin(&first) };
        end.iter().for_each(is_told);
        if finishes {
            is_told(&Run::new(&mut model, &shape, Verb::Finalize).go(&third));
        }
        is_told(&Run::new(&mut model, &shape, Verb::Rollback).go(&second));
        is_safe_at_rest(&mut model);
    }
}
