//! What is next for one thing that is to be deleted. Pure.
//!
//! Every look gives the whole rest of the way, and only its first step is
//! taken before the next look. So what was decided on is never old, and a run
//! that was killed is gone on with by looking.

use std::{borrow::Cow, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    classify::{self, Class, Finding as Is, Row, judge_claim},
    model::{Facts, Kind},
    rules,
};
use crate::{
    cluster::{Mode, Object, Patch, Propagation, Resource, Write},
    migrate::{
        object::{name, text},
        world::{annotation, is_leaving, uid, version},
    },
    output::text::{age, one_line},
    workload::{Finding, SnapshotClass, snapshot_of, snapshot_state},
};

/// On a volume that was told to stay: the policy that it had.
pub const KEPT_POLICY: &str = "kubectl-stateful.dev/kept-policy";
const KEPT_POLICY_PATH: &str = "/metadata/annotations/kubectl-stateful.dev~1kept-policy";
const POLICY: &str = "/spec/persistentVolumeReclaimPolicy";

/// What is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub is_volume: bool,
    /// Of a volume, that of its claim, as far as it is known.
    pub namespace: Option<String>,
    pub name: String,
    /// As the report had it, or as it was seen first.
    pub uid: Option<String>,
}

impl Target {
    /// `persistentvolumeclaim/data-web-3`.
    pub fn reference(&self) -> String {
        let kind = if self.is_volume { "persistentvolume" } else { "persistentvolumeclaim" };
        format!("{kind}/{}", self.name)
    }
}

/// How it is to be deleted.
#[derive(Clone, Debug)]
pub struct Wish {
    pub keep_volume: bool,
    /// The name of the class, and the class where it could be read.
    pub snapshot: Option<(String, Option<SnapshotClass>)>,
    pub min_idle: Option<SignedDuration>,
}

/// What is there. The object itself was read first: its resourceVersion says
/// whether it is still the same after everything that may use it was read.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub claim: Option<Value>,
    /// The claim's volume, or the volume itself; none where it is not there or
    /// may not be read.
    pub volume: Option<Value>,
    pub snapshot: Option<Value>,
    pub facts: Arc<Facts>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Todo {
    Snapshot(Write),
    /// The snapshot of this name becomes ready.
    AwaitSnapshot {
        name: String,
        /// What the storage says is in the way.
        error: Option<String>,
    },
    Protect(Write),
    Delete(Write),
    /// A claim that is being deleted goes.
    AwaitGone(String),
}

impl Todo {
    pub fn next(&self) -> Next<'_> {
        match self {
            Todo::Snapshot(write) | Todo::Protect(write) | Todo::Delete(write) => {
                Next::Write(write)
            }
            Todo::AwaitSnapshot { name, error } => Next::Wait {
                what: format!("snapshot {name} to be ready to use").into(),
                why: error.as_deref(),
            },
            Todo::AwaitGone(what) => Next::Wait { what: what.into(), why: None },
        }
    }
}

/// What a step is, for whoever takes it.
#[derive(Debug)]
pub enum Next<'a> {
    Write(&'a Write),
    /// Something that only takes time, and what is known to be in the way.
    Wait {
        what: Cow<'a, str>,
        why: Option<&'a str>,
    },
}

impl Next<'_> {
    /// A line of the plan.
    pub fn line(&self) -> String {
        match self {
            Next::Write(write) => write.done(Mode::ClientDryRun),
            Next::Wait { what, .. } => format!("wait for {what}"),
        }
    }
}

/// The rest of the way; empty when it is gone.
///
/// # Errors
/// Why it may not be deleted.
pub fn plan(
    target: &Target,
    world: &World,
    wish: &Wish,
    now: Timestamp,
) -> Result<Vec<Todo>, Box<Finding>> {
    if target.is_volume {
        of_volume(target, world, wish, now)
    } else {
        of_claim(target, world, wish, now)
    }
}

fn of_claim(
    target: &Target,
    world: &World,
    wish: &Wish,
    now: Timestamp,
) -> Result<Vec<Todo>, Box<Finding>> {
    let Some(claim) = &world.claim else { return Ok(Vec::new()) };
    same(target, claim)?;
    let mut todo = Vec::new();
    if is_leaving(claim) {
        // Whoever deleted it: until it is gone its data can be kept.
        if wish.keep_volume {
            todo.extend(world.volume.as_ref().and_then(|volume| protect(claim, volume)));
        }
        todo.push(Todo::AwaitGone(holders(claim, target, world, now)));
        return Ok(todo);
    }
    let row = orphan(target, claim, world, now)?;
    idle(target, &row, wish, now)?;
    let volume = volume_of(target, claim, world)?;
    if let (Some((name, class)), Some(volume)) = (&wish.snapshot, volume) {
        if let Some(class) = class {
            takes(target, class, volume)?;
        }
        todo.extend(snapshot(target, claim, name, world)?);
    }
    if wish.keep_volume {
        todo.extend(volume.and_then(|volume| protect(claim, volume)));
    }
    let what = match (volume, wish.keep_volume) {
        (None, _) => format!("{}, no volume", row.class.name()),
        (Some(volume), true) => format!("{}, volume {} stays", row.class.name(), name(volume)),
        (Some(volume), false) => format!(
            "{}, volume {} under policy {}",
            row.class.name(),
            name(volume),
            text(volume, POLICY).unwrap_or("Retain")
        ),
    };
    todo.push(Todo::Delete(delete(Resource::CLAIM, claim, what)));
    Ok(todo)
}

fn of_volume(
    target: &Target,
    world: &World,
    wish: &Wish,
    now: Timestamp,
) -> Result<Vec<Todo>, Box<Finding>> {
    let Some(volume) = &world.volume else { return Ok(Vec::new()) };
    same(target, volume)?;
    if is_leaving(volume) {
        return Ok(vec![Todo::AwaitGone(format!("volume {} to be gone", target.name))]);
    }
    if wish.keep_volume {
        let message = format!("{} is a volume, and volumes are kept", target.name);
        let finding = rules::VOLUME_STAYS.found(target.reference(), message);
        return Err(Box::new(finding.hint("--keep-pv=false deletes the object")));
    }
    if wish.snapshot.is_some() {
        let message = format!("{} has no claim that a snapshot could be taken of", target.name);
        return Err(Box::new(rules::NO_SNAPSHOTS.found(target.reference(), message)));
    }
    let verdict = classify::judge(&world.facts, now);
    let row = verdict.rows.into_iter().find(|row| row.is_volume() && row.uid == uid(volume));
    let Some(row) = row else {
        let phase = text(volume, "/status/phase").unwrap_or("of no phase");
        let message = format!("volume {} is {phase}, not Released or Failed", target.name);
        return Err(Box::new(rules::IN_USE.found(target.reference(), message)));
    };
    fit(target, &row)?;
    let policy = text(volume, POLICY).unwrap_or("Retain");
    let what = format!("{}, policy {policy}", row.class.name());
    Ok(vec![Todo::Delete(delete(Resource::VOLUME, volume, what))])
}

/// It must still be the object that was meant.
fn same(target: &Target, found: &Value) -> Result<(), Box<Finding>> {
    match &target.uid {
        Some(wanted) if wanted != uid(found) => {
            let message = format!(
                "{} is another object now: its uid is {}, not {wanted}",
                target.name,
                uid(found)
            );
            Err(Box::new(rules::CHANGED.found(target.reference(), message)))
        }
        _ => Ok(()),
    }
}

/// The row, if nothing needs the claim.
fn orphan(
    target: &Target,
    claim: &Value,
    world: &World,
    now: Timestamp,
) -> Result<Row, Box<Finding>> {
    let namespace = text(claim, "/metadata/namespace").unwrap_or_default();
    let in_use = |message: String| Box::new(rules::IN_USE.found(target.reference(), message));
    let is = judge_claim(&world.facts, namespace, &target.name, now);
    let row = match is {
        None => {
            let message = if world.facts.missing.contains(&Kind::Claim) {
                "claims could not be listed"
            } else {
                "it was not in the list of claims"
            };
            let finding = rules::NO_ORPHAN.found(target.reference(), message);
            return Err(Box::new(finding));
        }
        Some(Is::Used(pod)) => return Err(in_use(format!("pod {pod} uses {}", target.name))),
        Some(Is::Referenced(who)) => return Err(in_use(format!("{who} names {}", target.name))),
        Some(Is::Expected(set)) => {
            return Err(in_use(format!("{} is of an ordinal that {set} has", target.name)));
        }
        Some(Is::Leaving) => return Err(in_use(format!("{} is being deleted", target.name))),
        Some(Is::Row(row)) => *row,
    };
    if row.uid != uid(claim) {
        let message = format!("{} was made anew while it was looked at", target.name);
        return Err(Box::new(rules::CHANGED.found(target.reference(), message)));
    }
    let listed = world.facts.claims.iter().find(|one| *one.uid == *row.uid);
    if listed.is_some_and(|one| one.unused.is_some_and(|unused| !unused.holds)) {
        let message = format!("the server says that a pod uses {} (condition Unused)", target.name);
        return Err(in_use(message));
    }
    fit(target, &row)?;
    Ok(row)
}

fn fit(target: &Target, row: &Row) -> Result<(), Box<Finding>> {
    if !row.orphan || row.class == Class::TerminatingStuck {
        let message =
            format!("{} is {}: {}", target.name, row.class.name(), row.evidence.join("; "));
        return Err(Box::new(rules::NO_ORPHAN.found(target.reference(), message)));
    }
    if let Some(node) = &row.node {
        let message = format!("the volume of {} is attached to {node}", target.name);
        return Err(Box::new(rules::IN_USE.found(target.reference(), message)));
    }
    Ok(())
}

fn idle(target: &Target, row: &Row, wish: &Wish, now: Timestamp) -> Result<(), Box<Finding>> {
    let Some(wanted) = wish.min_idle else { return Ok(()) };
    let message = match row.idle_for(now) {
        Some(idle) if idle >= wanted => return Ok(()),
        Some(idle) => {
            format!("{} is idle for {}, not for {}", target.name, age(idle), age(wanted))
        }
        None => format!("nothing says since when {} is idle", target.name),
    };
    Err(Box::new(rules::NOT_IDLE.found(target.reference(), message)))
}

/// The volume that goes or stays with the claim. None for a claim that never
/// had one, or has lost it.
fn volume_of<'a>(
    target: &Target,
    claim: &Value,
    world: &'a World,
) -> Result<Option<&'a Value>, Box<Finding>> {
    let Some(wanted) = text(claim, "/spec/volumeName").filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if text(claim, "/status/phase") == Some("Lost") {
        return Ok(None);
    }
    let volume = world.volume.as_ref().filter(|volume| name(volume) == wanted);
    let is_its = |volume: &&Value| text(volume, "/spec/claimRef/uid") == Some(uid(claim));
    if let Some(volume) = volume.filter(is_its) {
        return Ok(Some(volume));
    }
    let message = format!(
        "volume {wanted} of {} could not be read, or is not its volume: whether its data stays is \
         not known",
        target.name
    );
    Err(Box::new(rules::POLICY_UNKNOWN.found(target.reference(), message)))
}

/// Tells the volume to stay, and remembers what its policy was.
pub fn protect(claim: &Value, volume: &Value) -> Option<Todo> {
    let holder = text(volume, "/spec/claimRef/uid")?;
    (holder == uid(claim)).then_some(())?;
    keep(volume).map(Todo::Protect)
}

/// The policy becomes Retain, if it is not.
pub fn keep(volume: &Value) -> Option<Write> {
    let policy = text(volume, POLICY).unwrap_or("Retain");
    if policy == "Retain" {
        return None;
    }
    let mut operations = vec![test("/metadata/resourceVersion", version(volume))];
    operations.push(test(POLICY, policy));
    operations.push(json!({ "op": "replace", "path": POLICY, "value": "Retain" }));
    if volume.pointer("/metadata/annotations").is_none() {
        operations.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
    }
    operations.push(json!({ "op": "add", "path": KEPT_POLICY_PATH, "value": policy }));
    let patch = Patch::json("/metadata/uid", &json!(uid(volume)), operations);
    Some(Write::patch(
        object(Resource::VOLUME, volume),
        patch,
        format!("policy {policy} -> Retain"),
    ))
}

/// Gives the policy back that the volume had before it was told to stay, while
/// it is bound to this claim.
pub fn give_back(claim: &Value, volume: &Value) -> Option<Write> {
    let policy = annotation(volume, KEPT_POLICY)?;
    let operations = vec![
        test("/metadata/resourceVersion", version(volume)),
        test("/spec/claimRef/uid", uid(claim)),
        test("/status/phase", "Bound"),
        json!({ "op": "add", "path": POLICY, "value": policy }),
        json!({ "op": "remove", "path": KEPT_POLICY_PATH }),
    ];
    let patch = Patch::json("/metadata/uid", &json!(uid(volume)), operations);
    let from = text(volume, POLICY).unwrap_or("Retain");
    let what = if from == policy {
        format!("policy stays {policy}")
    } else {
        format!("policy {from} -> {policy}")
    };
    Some(Write::patch(object(Resource::VOLUME, volume), patch, what))
}

pub fn test(path: &str, value: &str) -> Value {
    json!({ "op": "test", "path": path, "value": value })
}

pub fn object(resource: Resource, found: &Value) -> Object {
    Object {
        resource,
        namespace: text(found, "/metadata/namespace").map(str::to_owned),
        name: name(found).to_owned(),
    }
}

/// Exactly this object, as it was read.
pub fn delete(resource: Resource, found: &Value, what: String) -> Write {
    let version = Some(version(found).to_owned());
    Write::delete(object(resource, found), uid(found), version, Propagation::Background, what)
}

/// What a claim on its way out waits for.
fn holders(claim: &Value, target: &Target, world: &World, now: Timestamp) -> String {
    let finalizers = claim.pointer("/metadata/finalizers").and_then(Value::as_array);
    let finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
    let held: Vec<&str> = finalizers.collect();
    let namespace = text(claim, "/metadata/namespace").unwrap_or_default();
    let pod = match judge_claim(&world.facts, namespace, &target.name, now) {
        Some(Is::Row(row)) => row.evidence.iter().find(|why| why.starts_with("pod ")).cloned(),
        _ => None,
    };
    let pod = pod.map_or_else(String::new, |pod| format!("; {pod}"));
    format!("claim {} to be gone (held by {}{pod})", target.name, held.join(", "))
}

/// The name of the snapshot of this very claim.
pub fn snapshot_name(claim: &Value) -> String {
    let short: String = uid(claim).chars().take(8).collect();
    format!("{}-{short}", name(claim))
}

fn takes(target: &Target, class: &SnapshotClass, volume: &Value) -> Result<(), Box<Finding>> {
    class
        .takes(name(volume), text(volume, "/spec/csi/driver"))
        .map_err(|why| Box::new(rules::NO_SNAPSHOTS.found(target.reference(), why)))
}

fn snapshot(
    target: &Target,
    claim: &Value,
    class: &str,
    world: &World,
) -> Result<Vec<Todo>, Box<Finding>> {
    let wanted = snapshot_name(claim);
    let Some(found) = &world.snapshot else {
        let namespace = text(claim, "/metadata/namespace").unwrap_or_default();
        let body = snapshot_of(name(claim), namespace, &wanted, class);
        let object = Object {
            resource: Resource::SNAPSHOT,
            namespace: Some(namespace.to_owned()),
            name: wanted.clone(),
        };
        let write = Write::create(object, body, format!("of {}", target.name));
        let ready = Todo::AwaitSnapshot { name: wanted, error: None };
        return Ok(vec![Todo::Snapshot(write), ready]);
    };
    let source = text(found, "/spec/source/persistentVolumeClaimName");
    if source != Some(name(claim)) {
        let message = format!("there is a snapshot {wanted} of something else");
        return Err(Box::new(rules::NO_SNAPSHOTS.found(target.reference(), message)));
    }
    let error = match snapshot_state(found) {
        Ok(true) => return Ok(Vec::new()),
        Ok(false) => None,
        Err(why) => Some(one_line(why)),
    };
    Ok(vec![Todo::AwaitSnapshot { name: wanted, error }])
}
