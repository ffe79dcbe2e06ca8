//! A write that came too late, and what takes it back. Pure.
//!
//! Kubernetes has no transaction over the journal, which is the lock, and another
//! object. A run that is stopped in the middle of a write may send it after another
//! run has rolled back and deleted the journal. Its preconditions can still hold: the
//! name of a claim is free, a volume or a Deployment is as it was at the beginning.
//! So a run that finds the journal gone looks at its last write once more and takes
//! it back, if nobody has touched it since and no data can be lost by that.
//! Everything else is left, and named.

use serde_json::Value;

use super::{
    forward::{Act, holds_paused, scaler_points},
    journal::Journal,
    world::{World, is_ours},
    writes,
};
use crate::{
    cluster::{Resource, Write},
    handover::{self, TOUCHED, holds, is_held, is_waiting_for_us, needs_hold},
    workload::raw::{annotation, generation, is_leaving, name, phase, replicas, text, uid},
};

/// The last write of a run.
#[derive(Clone, Debug)]
pub struct LastWrite {
    pub act: Act,
    /// The object as the server returned it; `None` if its answer was lost.
    made: Option<Value>,
    /// How many replicas the Deployment had before.
    replicas: Option<u32>,
}

/// How a write is taken back.
#[derive(Clone, Debug, PartialEq)]
pub enum TakeBack {
    /// Send this, and look again.
    Write(Box<Write>),
    /// Nothing of it is there, any more or at all.
    Nothing,
    /// It stays, for this reason. The line removes it, where there is one.
    Stays { why: String, line: Option<String> },
}

impl LastWrite {
    /// A write of this act that was decided on `world`.
    pub fn new(act: Act, world: &World, journal: &Journal, made: Option<Value>) -> LastWrite {
        let replicas = match act {
            Act::StopDeployment(index) => {
                journal.deployments.get(index).and_then(|one| world.deployment(one)).map(replicas)
            }
            _ => None,
        };
        LastWrite { act, made, replicas }
    }

    /// What takes it back, with the objects as they are now and no journal among them.
    pub fn take_back(&self, world: &World, journal: &Journal) -> TakeBack {
        match self.act {
            Act::CreateClaim(index) => self.of_claim(index, world, journal),
            Act::CreateSet => self.of_set(world, journal),
            Act::CreateService => {
                self.of_created(Resource::SERVICE, world.service.as_ref(), journal)
            }
            Act::CreateJob(index, pass) => {
                let job = world.jobs.get(&journal.job_name(index, pass));
                self.of_created(Resource::JOB, job, journal)
            }
            Act::CreateSnapshot(index) => {
                let disk = journal.disk(index);
                let found = disk.and_then(|disk| super::fill::snapshot(world, disk));
                self.of_created(Resource::SNAPSHOT, found, journal)
            }
            Act::Protect(index) => of_volume(index, world, journal),
            Act::StopDeployment(index) => self.of_deployment(index, world, journal),
            Act::PauseScaler(index) => {
                let is_there = holds_paused(world, journal, index);
                of_scaler(Act::ResumeScaler(index), is_there, world, journal)
            }
            Act::PointScaler(index) => {
                let is_there = scaler_points(world, journal, index, true);
                of_scaler(Act::PointScalerBack(index), is_there, world, journal)
            }
            Act::Touch(index) => {
                let disk = journal.disk(index);
                let claims = disk.map(|disk| [world.old_claim(disk), world.new_claim(disk)]);
                let touched = claims.into_iter().flatten().flatten();
                let mut touched =
                    touched.filter(|claim| !is_leaving(claim) && self.has_touched(claim));
                touched.next().map_or(TakeBack::Nothing, |claim| {
                    let operations = handover::annotate(claim, TOUCHED, None);
                    send(handover::patch(Resource::CLAIM, claim, operations, "as before"))
                })
            }
            // What the others change was changed by the other run, too, so that they
            // fail. If the journal was deleted by hand, they stay.
            _ => stays("it is not of a kind that is taken back", None),
        }
    }

    /// Whether this is what the write made: the same object where its answer came.
    fn is_it(&self, found: &Value) -> bool {
        self.made.as_ref().is_none_or(|made| uid(made) == uid(found))
    }

    fn has_touched(&self, claim: &Value) -> bool {
        let ours = self.made.as_ref().and_then(|made| annotation(made, TOUCHED));
        ours.is_some() && annotation(claim, TOUCHED) == ours
    }

    /// An object that holds no data.
    fn of_created(&self, resource: Resource, found: Option<&Value>, journal: &Journal) -> TakeBack {
        let ours = found.filter(|one| is_ours(one, journal) && self.is_it(one));
        match ours.filter(|one| !is_leaving(one)) {
            Some(found) => send(handover::delete(resource, found, "made too late")),
            None => TakeBack::Nothing,
        }
    }

    fn of_claim(&self, index: usize, world: &World, journal: &Journal) -> TakeBack {
        let found = journal.disk(index).and_then(|disk| world.new_claim(disk));
        let ours = found.filter(|claim| is_ours(claim, journal) && self.is_it(claim));
        let Some(claim) = ours.filter(|claim| !is_leaving(claim)) else {
            return TakeBack::Nothing;
        };
        let called = name(claim);
        let line = || Some(format!("kubectl delete pvc/{called} -n {}", journal.namespace));
        let has_volume =
            phase(claim) == "Bound" || world.volumes.values().any(|volume| holds(volume, claim));
        if has_volume {
            let volume = text(claim, "/spec/volumeName").unwrap_or("<none>");
            return stays(format!("claim {called} has volume {volume} by now"), line());
        }
        if let Some(pod) = world.users(&[called], None).next() {
            return stays(format!("pod {} uses claim {called}", pod.name), line());
        }
        send(handover::delete(Resource::CLAIM, claim, "made too late"))
    }

    fn of_set(&self, world: &World, journal: &Journal) -> TakeBack {
        let ours = world.set.as_ref().filter(|set| is_ours(set, journal) && self.is_it(set));
        let Some(set) = ours.filter(|set| !is_leaving(set)) else { return TakeBack::Nothing };
        let called = name(set);
        if replicas(set) > 0 || world.pods_of_set(uid(set)).next().is_some() {
            let line = format!("kubectl delete statefulset/{called} -n {}", journal.namespace);
            let why = format!("StatefulSet {called} has pods, or is to have some, by now");
            return stays(why, Some(line));
        }
        send(handover::delete(Resource::STATEFUL_SET, set, "made too late"))
    }

    fn of_deployment(&self, index: usize, world: &World, journal: &Journal) -> TakeBack {
        let member = journal.deployments.get(index);
        let Some(found) = member.and_then(|one| world.deployment(one)) else {
            return TakeBack::Nothing;
        };
        let Some((made, to)) = self.made.as_ref().zip(self.replicas) else {
            let called = name(found);
            let line = format!("kubectl get deployment/{called} -n {}", journal.namespace);
            return stays(format!("nobody knows who scaled Deployment {called}"), Some(line));
        };
        let untouched = uid(made) == uid(found) && generation(made) == generation(found);
        if !untouched || replicas(found) != 0 || is_leaving(found) {
            return TakeBack::Nothing;
        }
        writes::scale_deployment(journal, world, index, to).map_or(TakeBack::Nothing, send)
    }
}

/// The policy that a volume had returns as at the end of every handover, with the
/// claim held meanwhile: [`handover`] has the steps.
fn of_volume(index: usize, world: &World, journal: &Journal) -> TakeBack {
    let Some(disk) = journal.disk(index) else { return TakeBack::Nothing };
    let Some(volume) = world.held_volume(&disk.pv) else { return TakeBack::Nothing };
    let claim = world.holder(disk);
    let original = journal.original(disk);
    if let Some(claim) = claim.filter(|claim| is_waiting_for_us(claim)) {
        let next = handover::finish_deletion(claim, Some(volume), Some(&original));
        return next.map_or(TakeBack::Nothing, send);
    }
    if !handover::is_tagged(volume, &journal.op) {
        let held = claim.filter(|claim| uid(claim) == disk.old.uid && is_held(claim));
        let next =
            held.and_then(|claim| handover::clean(Resource::CLAIM, claim, &[], Some(volume)));
        return next.map_or(TakeBack::Nothing, send);
    }
    let called = &disk.pv.name;
    let bound = claim.filter(|claim| {
        uid(claim) == disk.old.uid && handover::is_bound(volume, claim) && !is_leaving(claim)
    });
    let Some(claim) = bound else {
        let why = format!("volume {called} is no longer bound to claim {}", disk.old.name);
        let line = super::remains::unmark(volume);
        return stays(why, Some(line));
    };
    let next = if needs_hold(&original, claim) {
        handover::hold_for(claim, &journal.op)
    } else {
        handover::release(volume, claim, &original)
    };
    next.map_or(TakeBack::Nothing, send)
}

/// `is_there`: the autoscaler is as the write left it.
fn of_scaler(back: Act, is_there: bool, world: &World, journal: &Journal) -> TakeBack {
    if !is_there {
        return TakeBack::Nothing;
    }
    let now = jiff::Timestamp::UNIX_EPOCH;
    let first = writes::of(back, journal, world, now).and_then(|all| all.into_iter().next());
    first.map_or(TakeBack::Nothing, send)
}

fn send(write: Write) -> TakeBack {
    TakeBack::Write(Box::new(write))
}

fn stays(why: impl Into<String>, line: Option<String>) -> TakeBack {
    TakeBack::Stays { why: why.into(), line }
}
