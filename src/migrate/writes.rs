//! What each act writes, and what must still hold. Pure.
//!
//! Every patch tests the uid and the resourceVersion it was decided on, and
//! where a volume changes hands also whose it is and that it is kept.

use serde_json::{Value, json};

use super::{
    fill::{self, Pass},
    journal::{
        ANNOTATION, Arrived, Disk, FILLED, HOLD, Held, Intent, Journal, KEDA_PAUSED, Mode, TOUCHED,
        Tag,
    },
    object::{items, text},
    plan::{Act, scaler},
    world::{World, annotation, is_marked, is_on_hold, label, uid, version},
};
use crate::cluster::{Object, Patch, Propagation, Resource, Write, pointer_token};

/// What an act writes, in this order. `None` when what it is about is not
/// there any more: look again.
pub fn of(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    match act {
        Act::Protect(..)
        | Act::ProtectBlank(..)
        | Act::Reserve(..)
        | Act::LeaveBlank(..)
        | Act::Swap(..)
        | Act::SwapBack(..)
        | Act::Touch(..)
        | Act::Release(..) => hand_over(act, journal, world),
        Act::MakeClaim(..)
        | Act::MakeJob(..)
        | Act::MakeSnapshot(..)
        | Act::MakeService
        | Act::MakeSet => create(act, journal, world),
        Act::DeleteJob(..)
        | Act::DeleteSnapshot(..)
        | Act::DeleteSet
        | Act::DeleteService
        | Act::DeleteNewClaim(..)
        | Act::DeleteOldClaim(..)
        | Act::DeleteDeployment(..) => take_away(act, journal, world),
        _ => change(act, journal, world),
    }
}

/// Volumes, and the claims that have them.
fn hand_over(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    match act {
        Act::Protect(index) => {
            let disk = journal.disk(index)?;
            one(protect(journal, disk, &disk.pv, &disk.policy, world)?)
        }
        Act::ProtectBlank(index) => {
            let disk = journal.disk(index)?;
            let blank = disk.blank.as_ref()?;
            one(protect(journal, disk, &blank.pv, &blank.policy, world)?)
        }
        Act::Reserve(index) => one(reserve_by_name(journal, journal.disk(index)?, world)?),
        Act::LeaveBlank(index) => {
            let blank = &journal.disk(index)?.blank.as_ref()?.pv;
            let pv = world.held_volume(blank)?;
            let gone = annotate(pv, ANNOTATION, None);
            one(patch(volume(blank), pv, gone, "kept, under policy Retain"))
        }
        Act::Swap(index) => {
            let disk = journal.disk(index)?;
            let new = world.new_claim(disk)?;
            let swap = reserve(disk, world, new)?;
            let both = [world.held_claim(&disk.old), Some(new)].into_iter().flatten();
            let touches = both.filter_map(|claim| touch(journal, claim));
            Some(std::iter::once(swap).chain(touches).collect())
        }
        Act::SwapBack(index) => {
            let disk = journal.disk(index)?;
            let old = world.held_claim(&disk.old)?;
            let swap = reserve(disk, world, old)?;
            let both = [world.new_claim(disk), Some(old)].into_iter().flatten();
            let touches = both.filter_map(|claim| touch(journal, claim));
            Some(std::iter::once(swap).chain(touches).collect())
        }
        Act::Touch(index) => {
            let disk = journal.disk(index)?;
            let (old, new) = (world.held_claim(&disk.old), world.new_claim(disk));
            let both = [old, new].into_iter().flatten();
            Some(both.filter_map(|claim| touch(journal, claim)).collect())
        }
        Act::Release(index) => one(release(journal.disk(index)?, world)?),
        _ => None,
    }
}

/// What was not there before.
fn create(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    match act {
        Act::MakeClaim(index) => {
            let disk = journal.disk(index)?;
            let summary = match journal.mode {
                Mode::Rebind | Mode::Keep => format!("for volume {}", disk.pv.name),
                Mode::Copy => format!("to copy {} to", disk.old.name),
                Mode::Clone => format!("a clone of {}", disk.old.name),
                Mode::Snapshot => format!("from a snapshot of {}", disk.old.name),
            };
            let object = object(journal, Resource::CLAIM, &disk.new);
            one(Write::create(object, fill::claim(journal, world, disk), summary))
        }
        Act::MakeJob(index, pass) => {
            let disk = journal.disk(index)?;
            let job = fill::job(journal, world, index, pass)?;
            let object = object(journal, Resource::JOB, super::object::name(&job));
            let summary = format!("{} to {}, {} pass", disk.old.name, disk.new, pass.word());
            one(Write::create(object, job, summary))
        }
        Act::MakeSnapshot(index) => {
            let disk = journal.disk(index)?;
            let snapshot = fill::snapshot_to_make(journal, world, disk)?;
            let object = object(journal, Resource::SNAPSHOT, super::object::name(&snapshot));
            one(Write::create(object, snapshot, format!("of {}", disk.old.name)))
        }
        Act::MakeService => {
            let object = object(journal, Resource::SERVICE, journal.service_name());
            one(Write::create(object, journal.service.clone()?, "headless"))
        }
        Act::MakeSet => {
            let object = object(journal, Resource::STATEFUL_SET, journal.set_name());
            one(Write::create(object, journal.set.clone(), "no pods yet"))
        }
        _ => None,
    }
}

/// What goes.
fn take_away(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    match act {
        Act::DeleteJob(index, pass) => {
            let job = world.jobs.get(&fill::job_name(journal, index, pass))?;
            one(delete(journal, Resource::JOB, job, ""))
        }
        Act::DeleteSnapshot(index) => {
            let found = fill::snapshot(world, journal.disk(index)?)?;
            one(delete(journal, Resource::SNAPSHOT, found, ""))
        }
        Act::DeleteSet => one(delete(journal, Resource::STATEFUL_SET, world.own_set(journal)?, "")),
        Act::DeleteService => one(delete(journal, Resource::SERVICE, world.service.as_ref()?, "")),
        Act::DeleteNewClaim(index) => {
            let disk = journal.disk(index)?;
            let why = if journal.fills() {
                format!("{} has the data", disk.old.name)
            } else {
                format!("{} is not its volume any more", disk.pv.name)
            };
            one(delete(journal, Resource::CLAIM, world.new_claim(disk)?, &why))
        }
        Act::DeleteOldClaim(index) => {
            let disk = journal.disk(index)?;
            let why = match &disk.blank {
                Some(blank) => format!("its volume {} stays", blank.pv.name),
                None => format!("Lost: {} belongs to {}", disk.pv.name, disk.new),
            };
            one(delete(journal, Resource::CLAIM, world.held_claim(&disk.old)?, &why))
        }
        Act::DeleteDeployment(index) => {
            let member = journal.deployments.get(index)?;
            let found = world.deployment(&member.name, &member.uid)?;
            one(delete(journal, Resource::DEPLOYMENT, found, "it has no pods"))
        }
        _ => None,
    }
}

/// Workloads and what scales them, and marks of ours.
fn change(act: Act, journal: &Journal, world: &World) -> Option<Vec<Write>> {
    let one = |write: Write| Some(vec![write]);
    match act {
        Act::Mark(index) => {
            let claim = world.new_claim(journal.disk(index)?)?;
            let state = fill::state(world, journal);
            let target = object(journal, Resource::CLAIM, super::object::name(claim));
            let operations = annotate(claim, FILLED, Some(&state));
            one(patch(target, claim, operations, "it has all data, compared by checksum"))
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
        Act::Hold(index) => {
            let claim = world.holder(journal.disk(index)?)?;
            let all = finalizers(claim).chain([json!(HOLD)]);
            let operations = vec![set_finalizers(all)];
            let target = object(journal, Resource::CLAIM, super::object::name(claim));
            one(patch(target, claim, operations, "it stays until its volume's policy is back"))
        }
        Act::CleanOldClaim(index) => {
            clean(journal, Resource::CLAIM, world.held_claim(&journal.disk(index)?.old)?)
        }
        Act::CleanNewClaim(index) => {
            clean(journal, Resource::CLAIM, world.new_claim(journal.disk(index)?)?)
        }
        Act::CleanService => clean(journal, Resource::SERVICE, world.service.as_ref()?),
        Act::CleanSet => clean(journal, Resource::STATEFUL_SET, world.set.as_ref()?),
        _ => None,
    }
}

/// The lock, and what is to be remembered.
pub fn open(journal: &Journal, holder: &str, intent: Intent) -> Write {
    let summary = "journal and lock of the migration";
    Write::create(book(journal), journal.book(holder, intent), summary)
}

/// The pod that a Job of ours will have, only to be tried: whether a pod is let
/// in is no question when its Job is made.
pub fn pod_of_job(journal: &Journal) -> Option<Write> {
    let job = fill::job(journal, &World::default(), 0, Pass::Last)?;
    let pod = fill::pod_to_try(journal, &job);
    let target = object(journal, Resource::POD, super::object::name(&pod));
    Some(Write::create(target, pod, "copies"))
}

/// Takes the lock over from `from`, and says which way it goes now.
pub fn take(
    journal: &Journal,
    book_uid: &str,
    from: Option<&str>,
    to: &str,
    intent: Intent,
) -> Write {
    let test = |path: &str, value: Value| json!({ "op": "test", "path": path, "value": value });
    let intent = json!(intent);
    let operations = vec![
        test("/data/holder", json!(from.unwrap_or_default())),
        json!({ "op": "add", "path": "/data/holder", "value": to }),
        json!({ "op": "add", "path": "/data/intent", "value": intent }),
        beat_now(),
    ];
    let summary = format!("{to} has it in hand, {}", intent.as_str().unwrap_or_default());
    Write::patch(
        self::book(journal),
        Patch::json("/metadata/uid", &json!(book_uid), operations),
        summary,
    )
}

/// Says that the holder is alive.
pub fn beat(journal: &Journal, book_uid: &str, holder: &str) -> Write {
    let operations =
        vec![json!({ "op": "test", "path": "/data/holder", "value": holder }), beat_now()];
    let patch = Patch::json("/metadata/uid", &json!(book_uid), operations);
    Write::patch(book(journal), patch, "still at it")
}

/// Lets go of the lock, so that the next run need not wait for it.
pub fn let_go(journal: &Journal, book_uid: &str, holder: &str) -> Write {
    let operations = vec![
        json!({ "op": "test", "path": "/data/holder", "value": holder }),
        json!({ "op": "add", "path": "/data/holder", "value": "" }),
    ];
    let patch = Patch::json("/metadata/uid", &json!(book_uid), operations);
    Write::patch(book(journal), patch, "nobody has it in hand")
}

/// Remembers that the set runs.
pub fn arrive(journal: &Journal, book_uid: &str, holder: &str, arrived: &Arrived) -> Write {
    // Serializing what can be deserialized cannot fail.
    let text = serde_json::to_string(arrived).unwrap_or_default();
    let operations = vec![
        json!({ "op": "test", "path": "/data/holder", "value": holder }),
        json!({ "op": "add", "path": "/data/arrived", "value": text }),
    ];
    let patch = Patch::json("/metadata/uid", &json!(book_uid), operations);
    Write::patch(book(journal), patch, "the set runs")
}

/// The end of it.
pub fn close(journal: &Journal, book_uid: &str) -> Write {
    Write::delete(book(journal), book_uid, None, Propagation::Background, "the migration is over")
}

fn beat_now() -> Value {
    json!({ "op": "add", "path": "/data/beat", "value": jiff::Timestamp::now().to_string() })
}

fn book(journal: &Journal) -> Object {
    object(journal, Resource::CONFIG_MAP, &journal.book_name())
}

fn object(journal: &Journal, resource: Resource, name: &str) -> Object {
    Object { resource, namespace: Some(journal.namespace.clone()), name: name.to_owned() }
}

fn volume(held: &Held) -> Object {
    Object { resource: Resource::VOLUME, namespace: None, name: held.name.clone() }
}

/// A JSON patch of exactly the object that was judged.
fn patch(target: Object, found: &Value, operations: Vec<Value>, summary: &str) -> Write {
    let mut all =
        vec![json!({ "op": "test", "path": "/metadata/resourceVersion", "value": version(found) })];
    all.extend(operations);
    Write::patch(target, Patch::json("/metadata/uid", &json!(uid(found)), all), summary)
}

fn delete(journal: &Journal, resource: Resource, found: &Value, why: &str) -> Write {
    let target = object(journal, resource, super::object::name(found));
    let version = Some(version(found).to_owned());
    Write::delete(target, uid(found), version, Propagation::Background, why)
}

fn test(path: &str, value: impl Into<Value>) -> Value {
    json!({ "op": "test", "path": path, "value": value.into() })
}

const POLICY: &str = "/spec/persistentVolumeReclaimPolicy";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Policy and tag in one write: the original policy is never lost.
fn protect(
    journal: &Journal,
    disk: &Disk,
    held: &Held,
    policy: &str,
    world: &World,
) -> Option<Write> {
    let pv = world.held_volume(held)?;
    let tag = Tag { policy: policy.to_owned(), ..journal.tag(disk) };
    // Serializing what can be deserialized cannot fail.
    let tag = serde_json::to_string(&tag).unwrap_or_default();
    let mut operations = vec![json!({ "op": "add", "path": POLICY, "value": "Retain" })];
    operations.extend(annotate(pv, ANNOTATION, Some(&tag)));
    let summary = policy_moves(text(pv, POLICY).unwrap_or("<none>"), "Retain");
    Some(patch(volume(held), pv, operations, &summary))
}

fn policy_moves(from: &str, to: &str) -> String {
    if from == to { format!("policy stays {to}") } else { format!("policy {from} -> {to}") }
}

/// A volume that nobody has goes to the claim of a name: whoever it was
/// reserved for before is gone.
fn reserve_by_name(journal: &Journal, disk: &Disk, world: &World) -> Option<Write> {
    let pv = world.held_volume(&disk.pv)?;
    let mut operations = vec![
        test(POLICY, "Retain"),
        json!({ "op": "add", "path": "/spec/claimRef", "value": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "namespace": journal.namespace, "name": disk.new,
        }}),
    ];
    if annotation(pv, BOUND_BY_CONTROLLER).is_some() {
        operations.extend(annotate(pv, BOUND_BY_CONTROLLER, None));
    }
    let summary = format!("reserved for claim {}", disk.new);
    Some(patch(volume(&disk.pv), pv, operations, &summary))
}

/// The volume goes from the claim that has it to another, in one write.
fn reserve(disk: &Disk, world: &World, to: &Value) -> Option<Write> {
    let pv = world.held_volume(&disk.pv)?;
    let from_name = text(pv, "/spec/claimRef/name")?;
    let to_name = super::object::name(to);
    let mut operations = vec![
        test("/spec/claimRef/uid", text(pv, "/spec/claimRef/uid")?),
        test(POLICY, "Retain"),
        json!({ "op": "replace", "path": "/spec/claimRef", "value": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "namespace": super::object::namespace(to)?, "name": to_name,
            "uid": uid(to), "resourceVersion": version(to),
        }}),
    ];
    // With it, a binder that unbinds leaves the volume to anybody.
    if annotation(pv, BOUND_BY_CONTROLLER).is_some() {
        operations.extend(annotate(pv, BOUND_BY_CONTROLLER, None));
    }
    let summary = format!("claim {from_name} -> {to_name}");
    Some(patch(volume(&disk.pv), pv, operations, &summary))
}

/// The policy returns, last of all, and only to a volume that is bound.
fn release(disk: &Disk, world: &World) -> Option<Write> {
    let pv = world.held_volume(&disk.pv)?;
    let holder = text(pv, "/spec/claimRef/uid")?;
    if !world.is_bound(disk, world.holder(disk)?) {
        return None;
    }
    let mut operations = vec![
        test("/spec/claimRef/uid", holder),
        test("/status/phase", "Bound"),
        json!({ "op": "add", "path": POLICY, "value": disk.policy }),
    ];
    operations.extend(annotate(pv, ANNOTATION, None));
    if disk.bound_by_controller && annotation(pv, BOUND_BY_CONTROLLER).is_none() {
        operations.push(json!({
            "op": "add", "path": path_of(BOUND_BY_CONTROLLER), "value": "yes",
        }));
    }
    let summary = policy_moves(text(pv, POLICY).unwrap_or("<none>"), &disk.policy);
    Some(patch(volume(&disk.pv), pv, operations, &summary))
}

/// Something about the claim changes, so that the binder looks at it.
fn touch(journal: &Journal, claim: &Value) -> Option<Write> {
    let now = jiff::Timestamp::now().to_string();
    let name = super::object::name(claim);
    let target = object(journal, Resource::CLAIM, name);
    let operations = annotate(claim, TOUCHED, Some(&now));
    let why = "so that it is looked at";
    // Where there is no annotation yet the list is made, and must not replace
    // one that the binder has made meanwhile.
    if claim.pointer("/metadata/annotations").is_none() {
        return Some(patch(target, claim, operations, why));
    }
    // Otherwise only the uid counts: if the binder has written meanwhile, it
    // has looked.
    let uid = text(claim, "/metadata/uid")?;
    let patch = Patch::json("/metadata/uid", &json!(uid), operations);
    Some(Write::patch(target, patch, why))
}

fn scale_deployment(journal: &Journal, world: &World, index: usize, to: u32) -> Option<Write> {
    let member = journal.deployments.get(index)?;
    let found = world.deployment(&member.name, &member.uid)?;
    let target = object(journal, Resource::DEPLOYMENT, &member.name);
    Some(scale(target, found, to))
}

fn scale_set(journal: &Journal, world: &World, to: u32) -> Option<Write> {
    let target = object(journal, Resource::STATEFUL_SET, journal.set_name());
    Some(scale(target, world.own_set(journal)?, to))
}

/// Its status moves with every pod, so the generation is the precondition.
fn scale(target: Object, found: &Value, to: u32) -> Write {
    let operations = vec![
        test("/metadata/generation", super::world::generation(found)),
        json!({ "op": "add", "path": "/spec/replicas", "value": to }),
    ];
    let summary = format!("replicas {} -> {to}", super::world::replicas(found));
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
    let target = object(journal, wanted.kind.resource(), &wanted.target.name);
    let summary = format!("scales {kind} {}", text(to, "/name").unwrap_or_default());
    Some(patch(target, found, operations, &summary))
}

fn pause(journal: &Journal, world: &World, index: usize, to: Option<&str>) -> Option<Write> {
    let wanted = journal.scalers.get(index)?;
    let found = scaler(world, journal, index)?;
    let target = object(journal, wanted.kind.resource(), &wanted.target.name);
    let summary = if to == Some("true") { "paused" } else { "as it was" };
    Some(patch(target, found, annotate(found, KEDA_PAUSED, to), summary))
}

/// Takes every mark of ours off.
fn clean(journal: &Journal, resource: Resource, found: &Value) -> Option<Vec<Write>> {
    if !is_marked(found) {
        return None;
    }
    let gone = [ANNOTATION, TOUCHED, FILLED].into_iter().flat_map(|key| annotate(found, key, None));
    let mut gone: Vec<Value> = gone.collect();
    if label(found, ANNOTATION).is_some() {
        let path = format!("/metadata/labels/{}", pointer_token(ANNOTATION));
        gone.push(json!({ "op": "remove", "path": path }));
    }
    if is_on_hold(found) {
        gone.push(set_finalizers(finalizers(found).filter(|one| one != HOLD)));
    }
    let target = object(journal, resource, super::object::name(found));
    Some(vec![patch(target, found, gone, "no mark of ours is left on it")])
}

fn finalizers(found: &Value) -> impl Iterator<Item = Value> {
    items(found, "/metadata/finalizers").cloned()
}

fn set_finalizers(all: impl Iterator<Item = Value>) -> Value {
    let all: Vec<Value> = all.collect();
    json!({ "op": "add", "path": "/metadata/finalizers", "value": all })
}

/// Sets or removes an annotation.
fn annotate(found: &Value, key: &str, to: Option<&str>) -> Vec<Value> {
    let path = path_of(key);
    let there = annotation(found, key).is_some();
    let mut operations = Vec::new();
    match to {
        Some(value) => {
            if found.pointer("/metadata/annotations").is_none() {
                operations
                    .push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
            }
            operations.push(json!({ "op": "add", "path": path, "value": value }));
        }
        None if there => operations.push(json!({ "op": "remove", "path": path })),
        None => {}
    }
    operations
}

fn path_of(key: &str) -> String {
    format!("/metadata/annotations/{}", pointer_token(key))
}
