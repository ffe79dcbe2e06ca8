//! What holds for every migration, whatever happens meanwhile: `forward::next`,
//! `rollback::next` and `finalize::next` drive a model of a cluster (see
//! `model`), and its controllers, other people and the end of our own
//! program take turns in any order.
//!
//! Our side is that of `migrate/run`, without streams: look, decide, write,
//! look again.

use std::{collections::BTreeSet, rc::Rc};

use kubectl_stateful::{
    cluster::{Mode as DryRun, Write},
    migrate::{
        convert::Options,
        finalize,
        forward::{self, Act, Checks, Memory, Move},
        journal::{ANNOTATION, Arrived, Intent, Journal, Mode, Order, StoredJournal},
        offline,
        plan::{self, Request},
        rollback,
        standing::{self, Next, Stage, Standing},
        world::World,
        writes,
    },
    output::Exit,
    workload::{Severity, refuses},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    model::{
        self, BOOK, CLAIM, Class, DEPLOYMENT, Key, Model, POD, SET, Shape, Turn, VOLUME,
        annotation, is_ready, members, replicas, text,
    },
    properties,
    server::Answer,
};

/// What happens next in the world.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// What happens anyway.
    World(Turn),
    /// We look, decide and write.
    Us,
    /// The same, but so many actions lie between decision and write.
    Late(u8),
    /// Only the first of several writes was sent when our program was killed.
    Half,
    /// Our program is killed, and somebody goes on with it.
    Kill,
    Other(Other),
}

/// What other people do, and a move has to cope with.
#[derive(Clone, Copy, Debug)]
enum Other {
    ScaleDeployment(usize, u64),
    ScaleSet(u64),
    DeleteSet,
    /// The same, but its pods stay.
    OrphanPods,
    DeleteDeployment(usize),
    /// `kubectl apply` of the old manifest.
    ApplyDeployment(usize),
    DeleteClaim(usize),
    /// All finalizers of a claim go, ours too.
    StripClaim(usize),
    /// A claim by the name of one that was there in the beginning.
    MakeClaim(usize),
    Policy(usize, &'static str),
}

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Run,
    Resume,
    Rollback,
    Finalize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
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
    /// What was written, as a dry run names it; without the journal.
    wrote: Vec<String>,
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
        Run {
            model,
            shape,
            verb,
            process: Process::default(),
            number: 1,
            seen: None,
            wrote: Vec::new(),
        }
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
        if self.verb == Verb::Rollback
            && self.stored_journal().is_some_and(|one| one.intent == Intent::Back)
        {
            self.verb = Verb::Resume;
        }
    }

    fn world(&mut self, action: Action) {
        match action {
            Action::World(turn) => self.model.take(turn),
            Action::Other(other) => self.disturb(other),
            Action::Us | Action::Late(_) | Action::Half | Action::Kill => {}
        }
    }

    fn disturb(&mut self, other: Other) {
        let shape = self.shape;
        self.model.disturb(|model| match other {
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
            Other::OrphanPods => model.somebody_orphans_pods("db"),
            Other::DeleteDeployment(place) => {
                let members = members(shape);
                model.delete(DEPLOYMENT, &members[place % members.len()]);
            }
            Other::ApplyDeployment(place) => {
                model.crowded |= shape.keeps || shape.keeps_last;
                let members = members(shape);
                model.somebody_applies_deployment(shape, &members[place % members.len()]);
            }
            Other::DeleteClaim(place) => model.somebody_deletes_claim(place),
            Other::StripClaim(place) => model.somebody_strips_claim(place),
            Other::MakeClaim(place) => {
                let names = old_claims(shape);
                model.somebody_makes_claim(&names[place % names.len()]);
            }
            Other::Policy(place, to) => model.somebody_sets_policy(place, to),
        });
    }

    fn stored_journal(&self) -> Option<StoredJournal> {
        let stored = self.model.all(BOOK).next()?;
        Some(StoredJournal::read(stored).expect("our journal"))
    }

    fn look(&mut self, journal: &Journal) -> Rc<World> {
        let version = self.model.version;
        if let Some((_, world)) = self.seen.as_ref().filter(|(seen, _)| *seen == version) {
            return Rc::clone(world);
        }
        let world = Rc::new(offline::world(&self.model.bundle(), journal).expect("objects").0);
        self.seen = Some((version, Rc::clone(&world)));
        world
    }

    fn decide(&mut self) -> Decided {
        let Some(hand) = self.process.hand.clone() else { return self.take() };
        let world = self.look(&hand.journal);
        let holds = world.stored_journal.as_ref().is_some_and(|stored| {
            stored.uid == hand.uid && stored.holder.as_deref() == Some(self.name().as_str())
        });
        assert!(holds, "nobody else takes the lock");
        let journal = &hand.journal;
        let next = match hand.intent {
            Intent::Forward => {
                let memory = &self.process.memory;
                forward::next(&world, journal, Checks::default(), memory, self.model.now)
            }
            Intent::Back => rollback::next(&world, journal, &self.process.memory),
            Intent::Finish => finalize::next(&world, journal, &self.process.memory, self.model.now),
            Intent::Recover => panic!("nobody asked for that"),
        };
        match next {
            Move::Act(act) => {
                if let Some(writes) = writes::of(act, journal, &world, self.model.now) {
                    check_act(act, journal, &world);
                    for write in &writes {
                        self.model.judge_decision(write);
                    }
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
        let stored = world.stored_journal.as_ref().expect("the journal");
        match hand.intent {
            Intent::Forward => {
                let set = world.own_set(&hand.journal).expect("the set");
                let set_uid = text(set, "/metadata/uid").to_owned();
                if stored.arrived.as_ref().is_some_and(|one| one.set_uid == set_uid) {
                    return Decided::End(end);
                }
                let arrived = Arrived { at: self.model.now, set_uid, downtime_ms: None };
                let write =
                    writes::record_arrival(&hand.journal, &hand.uid, &self.name(), &arrived);
                Decided::Last(write, end)
            }
            _ => Decided::Last(writes::delete_journal(&hand.journal, &hand.uid, None), end),
        }
    }

    /// A migration that was begun, or a new one.
    fn take(&mut self) -> Decided {
        let Some(stored) = self.stored_journal() else {
            if self.verb != Verb::Run {
                return Decided::End(End::Nothing);
            }
            return self.open();
        };
        let intent = match self.verb {
            Verb::Run | Verb::Resume => stored.intent,
            Verb::Rollback if stored.intent == Intent::Finish => return Decided::End(End::Nothing),
            Verb::Rollback => {
                let world = self.look(&stored.journal);
                let against = rollback::blocked(&world, &stored.journal);
                if let Some(finding) = against.filter(|_| stored.intent == Intent::Forward) {
                    return Decided::End(End::Refused(vec![finding.id]));
                }
                Intent::Back
            }
            Verb::Finalize => {
                let (world, _) =
                    offline::world(&self.model.bundle(), &stored.journal).expect("objects");
                let against = finalize::not_ready(&world, &stored.journal, self.model.now);
                let gives_up = stored.intent == Intent::Back
                    && standing::can_give_up(&world, &stored.journal, self.model.now);
                match against {
                    _ if stored.intent == Intent::Finish || gives_up => {}
                    Some(finding) => return Decided::End(End::Refused(vec![finding.id])),
                    None if stored.arrived.is_none() => {
                        return Decided::End(End::Refused(vec!["MIGRATE-NOT-ARRIVED"]));
                    }
                    None => {}
                }
                if gives_up { Intent::Forward } else { Intent::Finish }
            }
        };
        let StoredJournal { journal, uid, holder, .. } = stored;
        let (holder, me) = (holder.as_deref(), self.name());
        let write = writes::take_lock(&journal, &uid, holder, &me, intent, self.model.now);
        Decided::Take(write, Box::new(Hand { journal, uid, intent }))
    }

    fn open(&self) -> Decided {
        let request = request(self.shape);
        let members = members(self.shape);
        let keeps = request.mode == Mode::Keep;
        let there =
            offline::surroundings(&self.model.bundle(), &members, None, !keeps).expect("objects");
        let op = format!("op-{}", self.number);
        let refused = |ids: Vec<&'static str>| Decided::End(End::Refused(ids));
        match plan::plan(&there, &request, &op, self.model.now) {
            // Somebody has deleted it.
            Err(error) if error.exit == Exit::Usage => Decided::End(End::Nothing),
            Err(error) => {
                assert_eq!(error.exit, Exit::Refused, "{error:?}");
                refused(error.reasons.iter().map(|finding| finding.id).collect())
            }
            Ok(plan) if refuses(&plan.findings) => {
                refused(plan.findings.iter().map(|finding| finding.id).collect())
            }
            Ok(plan) => {
                let (me, now) = (self.name(), self.model.now);
                Decided::Open(writes::create_journal(&plan.journal, &me, Intent::Forward, now))
            }
        }
    }

    fn carry_out(&mut self, decided: Decided) -> Option<End> {
        match decided {
            // Having given the rollback up, it goes on to the end.
            Decided::End(End::Done(Intent::Forward)) if self.verb == Verb::Finalize => {
                self.process = Process::default();
            }
            Decided::End(end) => return Some(end),
            Decided::Nothing { .. } => {}
            Decided::Open(write) => {
                if self.model.write(&write) == Answer::Done {
                    let StoredJournal { journal, uid, intent, .. } =
                        self.stored_journal().expect("it");
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
                    return self.carry_out(Decided::End(end));
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
                Answer::Done => self.wrote.push(write.done(DryRun::ClientDryRun)),
                _ if place > 0 => break,
                _ => return,
            }
        }
        self.process.memory.did(act);
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

fn old_claims(shape: &Shape) -> Vec<String> {
    let of = |member: String| (0..shape.disks).map(move |disk| format!("v{disk}-of-{member}"));
    members(shape).into_iter().flat_map(of).collect()
}

fn request(shape: &Shape) -> Request {
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
    Request { options, mode, order: shape.order, ..Request::default() }
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
    let stored = StoredJournal::read(model.all(BOOK).next().expect("the journal")).expect("ours");
    assert!(stored.arrived.is_some() && stored.intent == Intent::Forward);
    runs_as_a_set(model, before, shape);
    for disk in &stored.journal.disks {
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

/// What is said of where it stands: held against the objects, and against what
/// the verbs that are offered then do.
pub fn standing_is_true(model: &Model, shape: &Shape) -> Option<Standing> {
    let stored = StoredJournal::read(model.all(BOOK).next()?).expect("our journal");
    let journal = &stored.journal;
    let (world, _) = offline::world(&model.bundle(), journal).expect("objects");
    let standing = Standing::of(&stored, &world, model.now);
    let sentence = standing.sentence();

    let pods_of = |owner: &str| {
        let is_up = |pod: &Value| {
            let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            !conditions.any(|one| one["type"] == "Ready" && one["status"] == "False")
        };
        let ready = move |pod: &&Value| {
            let owned = text(pod, "/metadata/ownerReferences/0/uid") == owner;
            is_ready(pod) && is_up(pod) && owned
        };
        model.all(POD).filter(ready).count()
    };
    let set = model.get(SET, "db");
    let ready = set.map_or(0, |set| pods_of(text(set, "/metadata/uid")));
    if let Some(set) = set.filter(|_| standing.set.wanted > 0) {
        assert_eq!(u64::from(standing.set.wanted), replicas(set));
        assert_eq!(standing.set.ready, Some(ready), "{:?}", standing.set);
    }
    if standing.stage == Stage::Arrived {
        let set = set.expect("the set that is said to run");
        assert!(ready as u64 >= replicas(set), "{sentence}");
        for disk in &journal.disks {
            let claim = model.get(CLAIM, &disk.new).expect("its claim");
            let volume = model.get(VOLUME, &disk.pv.name).expect("its volume");
            assert_eq!(claim["spec"]["volumeName"], volume["metadata"]["name"], "{sentence}");
            assert_eq!(volume["spec"]["claimRef"]["uid"], claim["metadata"]["uid"], "{sentence}");
        }
    }
    if sentence.contains("the Deployment runs") {
        for deployment in model.all(DEPLOYMENT) {
            let name = text(deployment, "/metadata/name");
            let set = model.all("ReplicaSet").find(|set| {
                text(set, "/metadata/ownerReferences/0/uid") == text(deployment, "/metadata/uid")
            });
            let ready = set.map_or(0, |set| pods_of(text(set, "/metadata/uid")));
            assert!(ready as u64 >= replicas(deployment), "{name}: {sentence}");
        }
    }
    let running = model.all(POD).filter(|pod| is_ready(pod) && is_of(pod, "ReplicaSet")).count();
    if sentence.contains("neither") {
        assert_eq!((running, ready), (0, 0), "{sentence}");
    }
    if standing.stage == Stage::Arrived && running > 0 {
        let ids: Vec<&str> = standing.findings.iter().map(|finding| finding.id).collect();
        assert!(ids.contains(&"MIGRATE-BOTH-RUN"), "{ids:?}");
    }

    // Nobody is left alone: something goes on, or it is said what is in the way.
    let is_said = standing.findings.iter().any(|one| one.severity != Severity::Note);
    assert!(standing.next.is_some() || is_said, "{standing:?}");
    if standing.is_way_back_open {
        let mut model = model.clone();
        let end = Run::new(&mut model, shape, Verb::Rollback).go(&[]);
        if !model.destroyed.is_empty() {
            let mut said = standing.findings.iter();
            let is_told =
                said.any(|one| one.id == "MIGRATE-VOLUME-GOES" || one.message.contains("both use"));
            assert!(is_told, "nobody was told: {standing:?}");
            return Some(standing);
        }
        assert_eq!(end, End::Done(Intent::Back), "{standing:?}");
        for disk in &journal.disks {
            let volume = model.get(VOLUME, &disk.pv.name).expect("its volume");
            assert_eq!(text(volume, "/spec/claimRef/name"), disk.old.name);
        }
        model.settle();
        let shares = standing.findings.iter().any(|one| one.message.contains("both use"));
        for member in journal.deployments.iter().filter(|_| !shares) {
            let deployment = model.get(DEPLOYMENT, &member.name).expect("it is back");
            let pods = model
                .all(POD)
                .filter(|pod| is_ready(pod) && pod["metadata"]["labels"]["app"] == member.name);
            let as_planned = replicas(deployment) == u64::from(member.replicas);
            assert!(!as_planned || pods.count() >= member.replicas as usize, "{}", member.name);
        }
    } else if stored.intent == Intent::Forward {
        let mut model = model.clone();
        let decided = Run::new(&mut model, shape, Verb::Rollback).decide();
        let is_refused = matches!(decided, Decided::End(End::Refused(_)));
        assert!(is_refused, "it is said to be closed, and is not refused: {standing:?}");
    }
    if let Some(next) = standing.next {
        let mut model = model.clone();
        let verb = match next {
            Next::Resume => Verb::Resume,
            Next::Finalize => Verb::Finalize,
        };
        let mut run = Run::new(&mut model, shape, verb);
        // The lock, and the first move.
        for _ in 0..2 {
            let decided = run.decide();
            let stops = matches!(decided, Decided::End(End::Stopped { .. } | End::Refused(_)));
            assert!(!stops, "{verb:?} is offered, and stops at once: {standing:?}");
            if run.carry_out(decided).is_some() {
                break;
            }
        }
    }
    Some(standing)
}

/// The end of a verb on a migration that was begun, with nobody in between.
pub fn ends(model: &mut Model, shape: &Shape, verb: Verb) -> End {
    let end = Run::new(model, shape, verb).go(&[]);
    model.settle();
    end
}

/// The same, with what it wrote on the way.
pub fn writes_of(model: &mut Model, shape: &Shape, verb: Verb) -> (End, Vec<String>) {
    let mut run = Run::new(model, shape, verb);
    let end = run.go(&[]);
    (end, run.wrote)
}

/// A verb that is killed after so many moves.
pub fn is_killed(model: &mut Model, shape: &Shape, verb: Verb, moves: usize) {
    let mut run = Run::new(model, shape, verb);
    for _ in 0..moves {
        let decided = run.decide();
        if run.carry_out(decided).is_some() {
            return;
        }
        run.model.is_moving();
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
    prop_oneof![
        8 => Just(Action::Us),
        3 => (1_u8..4).prop_map(Action::Late),
        1 => Just(Action::Half),
        1 => Just(Action::Kill),
        25 => model::turn().prop_map(Action::World),
    ]
}

fn other() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => (0_usize..3, 0_u64..3).prop_map(|(place, to)| Other::ScaleDeployment(place, to)),
        2 => (0_u64..3).prop_map(Other::ScaleSet),
        2 => Just(Other::DeleteSet),
        1 => Just(Other::OrphanPods),
        2 => (0_usize..3).prop_map(Other::DeleteDeployment),
        2 => (0_usize..3).prop_map(Other::ApplyDeployment),
        3 => (0_usize..8).prop_map(Other::DeleteClaim),
        1 => (0_usize..8).prop_map(Other::StripClaim),
        2 => (0_usize..6).prop_map(Other::MakeClaim),
        2 => (0_usize..6, prop::sample::select(vec!["Delete", "Retain"]))
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
    #![proptest_config(properties::config(32))]

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

    /// Wherever it was left, and whatever others have done: what is said of it is
    /// true, and what is offered works.
    #[test]
    fn where_it_stands_is_looked_at(
        shape in shape(),
        (first, second) in (script(trouble(), 100), script(trouble(), 60)),
        whole in any::<bool>(),
        then in prop::sample::select(vec![None, Some(Verb::Rollback), Some(Verb::Finalize)]),
        settles in any::<bool>(),
    ) {
        let mut model = Model::new(&shape);
        let mut run = Run::new(&mut model, &shape, Verb::Run);
        if whole { drop(run.go(&first)) } else { drop(run.begin(&first)) }
        let mut run = Run::new(&mut model, &shape, then.unwrap_or(Verb::Resume));
        if then.is_some() {
            run.begin(&second);
        } else {
            for action in second {
                run.world(action);
            }
        }
        if settles {
            model.settle();
        }
        if model.destroyed.is_empty() {
            standing_is_true(&model, &shape);
        }
    }
}
