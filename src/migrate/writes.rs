//! The writes of each act, and their preconditions. Pure.
//!
//! Every patch tests the uid and the state that it was decided on. When a volume
//! is handed over, it also tests which claim the volume belongs to and that its
//! policy is `Retain`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    again, copy_job, fill,
    forward::{Act, scaler},
    journal::{Arrived, CopyPass, FILLED, Intent, Journal, KEDA_PAUSED, Mode},
    world::{World, state},
};
use crate::{
    cluster::{Object, Patch, Propagation, Resource, Write},
    handover::{self, annotate, delete, patch, test},
    workload::raw::{generation, name, replicas, text, uid},
};

/// The writes of an act, in order. `None` when an object that it needs is gone:
/// read again.
pub fn of(act: Act, journal: &Journal, world: &World, now: Timestamp) -> Option<Vec<Write>> {
    match act {
        Act::Protect(..)
        | Act::ProtectBlank(..)
        | Act::Reserve(..)
        | Act::LeaveBlank(..)
        | Act::Swap(..)
        | Act::SwapBack(..)
        | Act::Touch(..)
        | Act::Hold(..)
        | Act::HoldToGo(..)
        | Act::Withhold(..)
        | Act::WithholdBlank(..)
        | Act::Release(..)
        | Act::CleanOldClaim(..)
        | Act::CleanNewClaim(..) => hand_over(act, journal, world, now),
        Act::CreateClaim(..)
        | Act::CreateOldClaim(..)
        | Act::CreateDeployment(..)
        | Act::CreateJob(..)
        | Act::CreateSnapshot(..)
        | Act::CreateService
        | Act::CreateSet => create(act, journal, world),
        Act::DeleteJob(..)
        | Act::DeleteSnapshot(..)
        | Act::DeleteSet
        | Act::DeleteService
        | Act::DeleteNewClaim(..)
        | Act::DeleteOldClaim(..)
        | Act::DeleteDeployment(..) => delete_object(act, journal, world),
        _ => change(act, journal, world),
    }
}

/// Writes to volumes and to the claims that have them.
fn hand_over(act: Act, journal: &Journal, world: &World, now: Timestamp) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    // The claims are touched, so that the binder looks at them now.
    let swap = |index: usize, to: &Value| {
        let disk = journal.disk(index)?;
        let swap = handover::swap(world.held_volume(&disk.pv)?, to)?;
        let claims = [world.old_claim(disk), world.new_claim(disk)].into_iter().flatten();
        let others = claims.filter(|claim| uid(claim) != uid(to));
        let touches = others.chain([to]).map(|claim| handover::touch(claim, now));
        Some(std::iter::once(swap).chain(touches).collect())
    };
    let clean = |claim: &Value| {
        one(handover::clean(Resource::CLAIM, claim, &[FILLED], world.volume_of(claim))?)
    };
    match act {
        Act::Protect(index) => {
            let disk = journal.disk(index)?;
            one(handover::protect(world.held_volume(&disk.pv)?, &journal.original(disk)))
        }
        Act::ProtectBlank(index) => {
            let disk = journal.disk(index)?;
            let pv = world.held_volume(&disk.blank.as_ref()?.pv)?;
            one(handover::protect(pv, &journal.original_of_blank(disk)?))
        }
        Act::Reserve(index) => {
            let disk = journal.disk(index)?;
            let pv = world.held_volume(&disk.pv)?;
            one(handover::reserve(pv, &journal.namespace, &disk.new))
        }
        Act::LeaveBlank(index) => {
            let disk = journal.disk(index)?;
            let pv = world.held_volume(&disk.blank.as_ref()?.pv)?;
            one(handover::leave(pv, &journal.original_of_blank(disk)?))
        }
        Act::Swap(index) => swap(index, world.new_claim(journal.disk(index)?)?),
        Act::SwapBack(index) => swap(index, world.old_claim(journal.disk(index)?)?),
        Act::Touch(index) => {
            let disk = journal.disk(index)?;
            let (old, new) = (world.old_claim(disk), world.new_claim(disk));
            let both = [old, new].into_iter().flatten();
            Some(both.map(|claim| handover::touch(claim, now)).collect())
        }
        Act::Hold(index) => one(handover::hold(world.holder(journal.disk(index)?)?)?),
        Act::HoldToGo(index) => one(handover::hold_to_go(world.old_claim(journal.disk(index)?)?)?),
        Act::Withhold(index) => {
            let disk = journal.disk(index)?;
            let (pv, claim) = (world.held_volume(&disk.pv)?, world.holder(disk)?);
            one(handover::withhold(pv, claim, &journal.original(disk)))
        }
        Act::WithholdBlank(index) => {
            let disk = journal.disk(index)?;
            let pv = world.held_volume(&disk.blank.as_ref()?.pv)?;
            let claim = world.claims.values().find(|claim| handover::holds(pv, claim))?;
            one(handover::withhold(pv, claim, &journal.original_of_blank(disk)?))
        }
        Act::Release(index) => {
            let disk = journal.disk(index)?;
            let (pv, claim) = (world.held_volume(&disk.pv)?, world.holder(disk)?);
            one(handover::release(pv, claim, &journal.original(disk))?)
        }
        Act::CleanOldClaim(index) => clean(world.old_claim(journal.disk(index)?)?),
        Act::CleanNewClaim(index) => clean(world.new_claim(journal.disk(index)?)?),
        _ => None,
    }
}

/// Creates an object.
fn create(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    match act {
        Act::CreateClaim(index) => {
            let disk = journal.disk(index)?;
            let summary = match journal.mode {
                Mode::Rebind | Mode::Keep => format!("for volume {}", disk.pv.name),
                Mode::Copy => format!("to copy {} into", disk.old.name),
                Mode::Clone => format!("a clone of {}", disk.old.name),
                Mode::Snapshot => format!("from a snapshot of {}", disk.old.name),
            };
            one(handover::make(fill::claim(journal, world, disk), summary))
        }
        Act::CreateOldClaim(index) => {
            let disk = journal.disk(index)?;
            let summary = format!("again, for volume {}", disk.pv.name);
            one(handover::make(again::claim(disk), summary))
        }
        Act::CreateDeployment(index) => {
            let member = journal.deployments.get(index)?;
            let object = object(journal, Resource::DEPLOYMENT, &member.name);
            one(Write::create(object, again::deployment(member), "again, from the journal"))
        }
        Act::CreateJob(index, pass) => {
            let disk = journal.disk(index)?;
            let job = copy_job::job(journal, world, index, pass)?;
            let object = object(journal, Resource::JOB, name(&job));
            let summary = format!("{} to {}, {} pass", disk.old.name, disk.new, pass.name());
            one(Write::create(object, job, summary))
        }
        Act::CreateSnapshot(index) => {
            let disk = journal.disk(index)?;
            let snapshot = fill::snapshot_to_make(journal, world, disk)?;
            let object = object(journal, Resource::SNAPSHOT, name(&snapshot));
            one(Write::create(object, snapshot, format!("of {}", disk.old.name)))
        }
        Act::CreateService => {
            let object = object(journal, Resource::SERVICE, journal.service_name());
            one(Write::create(object, journal.service.clone()?, "headless"))
        }
        Act::CreateSet => {
            let object = object(journal, Resource::STATEFUL_SET, journal.set_name());
            one(Write::create(object, journal.set.clone(), "no pods yet"))
        }
        _ => None,
    }
}

/// Deletes an object.
fn delete_object(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    match act {
        Act::DeleteJob(index, pass) => {
            let job = world.jobs.get(&journal.job_name(index, pass))?;
            one(delete(Resource::JOB, job, ""))
        }
        Act::DeleteSnapshot(index) => {
            let found = fill::snapshot(world, journal.disk(index)?)?;
            one(delete(Resource::SNAPSHOT, found, ""))
        }
        Act::DeleteSet => one(delete(Resource::STATEFUL_SET, world.own_set(journal)?, "")),
        Act::DeleteService => one(delete(Resource::SERVICE, world.service.as_ref()?, "")),
        Act::DeleteNewClaim(index) => {
            let disk = journal.disk(index)?;
            let why = if journal.fills() {
                format!("{} has the data", disk.old.name)
            } else {
                format!("it no longer has {}", disk.pv.name)
            };
            one(delete(Resource::CLAIM, world.new_claim(disk)?, why))
        }
        Act::DeleteOldClaim(index) => {
            let disk = journal.disk(index)?;
            let why = match &disk.blank {
                Some(blank) => format!("its volume {} is kept", blank.pv.name),
                None => format!("Lost: {} belongs to {}", disk.pv.name, disk.new),
            };
            one(delete(Resource::CLAIM, world.old_claim(disk)?, why))
        }
        Act::DeleteDeployment(index) => {
            let member = journal.deployments.get(index)?;
            let found = world.deployment(member)?;
            one(delete(Resource::DEPLOYMENT, found, "scaled to 0"))
        }
        _ => None,
    }
}

/// Changes to workloads, autoscalers and our marks.
fn change(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    match act {
        Act::MarkFilled(index) => {
            let claim = world.new_claim(journal.disk(index)?)?;
            let state = state(world, journal);
            let operations = annotate(claim, FILLED, Some(&state));
            one(patch(Resource::CLAIM, claim, operations, "it has all data, compared by checksum"))
        }
        Act::StopDeployment(index) => one(scale_deployment(journal, world, index, 0)?),
        Act::StartDeployment(index) => {
            let wanted = journal.deployments.get(index)?.replicas;
            one(scale_deployment(journal, world, index, wanted)?)
        }
        Act::StartSet => one(scale_set(journal, world, journal.replicas)?),
        Act::StopSet => one(scale_set(journal, world, journal.down_to)?),
        Act::PointScaler(index) => one(point(journal, world, index, true)?),
        Act::PointScalerBack(index) => one(point(journal, world, index, false)?),
        Act::PauseScaler(index) => one(pause(journal, world, index, Some("true"))?),
        Act::ResumeScaler(index) => {
            let was = journal.scalers.get(index)?.paused.as_deref();
            one(pause(journal, world, index, was)?)
        }
        Act::CleanService => one(remove_marks(Resource::SERVICE, world.service.as_ref()?)?),
        Act::CleanSet => one(remove_marks(Resource::STATEFUL_SET, world.set.as_ref()?)?),
        _ => None,
    }
}

/// Creates the journal, which is the lock.
pub fn create_journal(journal: &Journal, holder: &str, intent: Intent, now: Timestamp) -> Write {
    let summary = "journal and lock of the migration";
    Write::create(config_map(journal), journal.config_map(holder, intent, now), summary)
}

/// The pod of a copy Job, only for a dry run: admission checks a pod when it is
/// created, and not when its Job is.
pub fn pod_of_job(journal: &Journal) -> Option<Write> {
    let job = copy_job::job(journal, &World::default(), 0, CopyPass::Last)?;
    let pod = copy_job::pod_to_try(journal, &job);
    let target = object(journal, Resource::POD, name(&pod));
    Some(Write::create(target, pod, "copies"))
}

/// Takes the lock from `from`, and sets the direction.
pub fn take_lock(
    journal: &Journal,
    journal_uid: &str,
    from: Option<&str>,
    to: &str,
    intent: Intent,
    now: Timestamp,
) -> Write {
    let intent = json!(intent);
    let operations = vec![
        test("/data/holder", from.unwrap_or_default()),
        json!({ "op": "add", "path": "/data/holder", "value": to }),
        json!({ "op": "add", "path": "/data/intent", "value": intent }),
        heartbeat_at(now),
    ];
    let summary = format!("lock held by {to}, {}", intent.as_str().unwrap_or_default());
    Write::patch(
        config_map(journal),
        Patch::json("/metadata/uid", &json!(journal_uid), operations),
        summary,
    )
}

/// Renews the lock.
pub fn heartbeat(journal: &Journal, journal_uid: &str, holder: &str, now: Timestamp) -> Write {
    let operations = vec![test("/data/holder", holder), heartbeat_at(now)];
    let patch = Patch::json("/metadata/uid", &json!(journal_uid), operations);
    Write::patch(config_map(journal), patch, "heartbeat")
}

/// Releases a lock that was just taken and not used: the direction is as before.
pub fn give_lock_back(journal: &Journal, journal_uid: &str, holder: &str, was: Intent) -> Write {
    let operations = vec![
        test("/data/holder", holder),
        json!({ "op": "add", "path": "/data/holder", "value": "" }),
        json!({ "op": "add", "path": "/data/intent", "value": json!(was) }),
    ];
    let patch = Patch::json("/metadata/uid", &json!(journal_uid), operations);
    Write::patch(config_map(journal), patch, "lock released")
}

/// Releases the lock, so that the next run need not wait for a heartbeat.
pub fn release_lock(journal: &Journal, journal_uid: &str, holder: &str) -> Write {
    let operations = vec![
        test("/data/holder", holder),
        json!({ "op": "add", "path": "/data/holder", "value": "" }),
    ];
    let patch = Patch::json("/metadata/uid", &json!(journal_uid), operations);
    Write::patch(config_map(journal), patch, "lock released")
}

/// Records that the set runs.
pub fn record_arrival(
    journal: &Journal,
    journal_uid: &str,
    holder: &str,
    arrived: &Arrived,
) -> Write {
    // A type that can be deserialized can be serialized.
    let text = serde_json::to_string(arrived).unwrap_or_default();
    let operations = vec![
        test("/data/holder", holder),
        json!({ "op": "add", "path": "/data/arrived", "value": text }),
    ];
    let patch = Patch::json("/metadata/uid", &json!(journal_uid), operations);
    Write::patch(config_map(journal), patch, "the set runs")
}

/// Deletes the journal: the migration is over. With the version at which our lock was
/// seen in it, nobody else can have taken that since.
pub fn delete_journal(journal: &Journal, journal_uid: &str, version: Option<String>) -> Write {
    Write::delete(
        config_map(journal),
        journal_uid,
        version,
        Propagation::Background,
        "the migration is over",
    )
}

fn heartbeat_at(now: Timestamp) -> Value {
    json!({ "op": "add", "path": "/data/beat", "value": now.to_string() })
}

fn config_map(journal: &Journal) -> Object {
    object(journal, Resource::CONFIG_MAP, &journal.config_map_name())
}

fn object(journal: &Journal, resource: Resource, name: &str) -> Object {
    Object { resource, namespace: Some(journal.namespace.clone()), name: name.to_owned() }
}

/// Scales a Deployment that has not been changed since it was read.
pub fn scale_deployment(journal: &Journal, world: &World, index: usize, to: u32) -> Option<Write> {
    let member = journal.deployments.get(index)?;
    let found = world.deployment(member)?;
    let target = object(journal, Resource::DEPLOYMENT, &member.name);
    Some(scale(target, found, to))
}

fn scale_set(journal: &Journal, world: &World, to: u32) -> Option<Write> {
    let target = object(journal, Resource::STATEFUL_SET, journal.set_name());
    Some(scale(target, world.own_set(journal)?, to))
}

/// The status, and with it the resourceVersion, changes with every pod, so the
/// generation is the precondition.
fn scale(target: Object, found: &Value, to: u32) -> Write {
    let operations = vec![
        test("/metadata/generation", generation(found)),
        json!({ "op": "add", "path": "/spec/replicas", "value": to }),
    ];
    let summary = format!("replicas {} -> {to}", replicas(found));
    Write::patch(target, Patch::json("/metadata/uid", &json!(uid(found)), operations), summary)
}

fn point(journal: &Journal, world: &World, index: usize, to_set: bool) -> Option<Write> {
    let wanted = journal.scalers.get(index)?;
    let found = scaler(world, journal, index)?;
    let (from, to) = if to_set { (&wanted.from, &wanted.to) } else { (&wanted.to, &wanted.from) };
    let operations = vec![
        test(&wanted.pointer, from.clone()),
        json!({ "op": "replace", "path": wanted.pointer, "value": to }),
    ];
    let kind = text(to, "/kind").unwrap_or("Deployment");
    let summary = format!("scales {kind} {}", text(to, "/name").unwrap_or_default());
    Some(patch(wanted.kind.resource(), found, operations, summary))
}

fn pause(journal: &Journal, world: &World, index: usize, to: Option<&str>) -> Option<Write> {
    let wanted = journal.scalers.get(index)?;
    let found = scaler(world, journal, index)?;
    let summary = if to == Some("true") { "paused" } else { "as before" };
    Some(patch(wanted.kind.resource(), found, annotate(found, KEDA_PAUSED, to), summary))
}

/// Removes all our marks.
fn remove_marks(resource: Resource, found: &Value) -> Option<Write> {
    handover::clean(resource, found, &[FILLED], None)
}
