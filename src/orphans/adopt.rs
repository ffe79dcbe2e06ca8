//! What is next for a volume that is to become the claim of an ordinal. Pure.
//!
//! As for a deletion, every look gives the whole rest of the way. A claim
//! cannot be pointed at another volume, so it is made for this one: the volume
//! is told to stay, reserved for the claim's name, and then the claim is made.
//! From the first step on nobody else can get the volume, and nothing that is
//! deleted takes its data along.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    classify::{Finding as Is, judge_claim},
    delete::{self, KEPT_POLICY, Next, give_back, keep, object, test},
    model::Facts,
    rules,
};
use crate::{
    cluster::{Object, Patch, Resource, Write},
    migrate::{
        journal,
        object::{items, name, text},
        world::{annotation, is_leaving, phase, uid, version},
    },
    workload::Finding,
};

const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const BOUND_BY_CONTROLLER_PATH: &str =
    "/metadata/annotations/pv.kubernetes.io~1bound-by-controller";

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub namespace: String,
    pub volume: String,
    pub set: String,
    pub ordinal: u32,
    pub template: String,
}

impl Wish {
    /// The claim that the ordinal looks for.
    pub fn claim(&self) -> String {
        format!("{}-{}-{}", self.template, self.set, self.ordinal)
    }

    fn on_volume(&self) -> String {
        format!("persistentvolume/{}", self.volume)
    }
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub set: Value,
    pub volume: Option<Value>,
    /// The claim that the volume names.
    pub holder: Option<Value>,
    /// The claim that the ordinal looks for.
    pub claim: Option<Value>,
    pub facts: Arc<Facts>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Todo {
    Protect(Write),
    /// The orphan that has the volume goes.
    DeleteHolder(Write),
    Reserve(Write),
    Make(Write),
    GiveBack(Write),
    /// Something that only takes time.
    Await(String),
}

impl Todo {
    pub fn next(&self) -> Next<'_> {
        match self {
            Todo::Protect(write)
            | Todo::DeleteHolder(write)
            | Todo::Reserve(write)
            | Todo::Make(write)
            | Todo::GiveBack(write) => Next::Write(write),
            Todo::Await(what) => Next::Wait { what: what.into(), why: None },
        }
    }
}

/// The rest of the way; empty when the ordinal has the volume.
///
/// # Errors
/// Why it cannot be.
pub fn plan(wish: &Wish, world: &World, now: Timestamp) -> Result<Vec<Todo>, Box<Finding>> {
    let unfit = |message: String| Box::new(rules::UNFIT.found(wish.on_volume(), message));
    let Some(volume) = &world.volume else {
        return Err(unfit(format!("there is no volume {}", wish.volume)));
    };
    if is_leaving(volume) {
        return Err(unfit(format!("volume {} is being deleted", wish.volume)));
    }
    if let Some(tag) = annotation(volume, journal::ANNOTATION) {
        return Err(unfit(format!("a migration has {} in hand: {tag}", wish.volume)));
    }
    if let Some(claim) = &world.claim
        && !is_holder(volume, claim)
    {
        return of_claim(wish, volume, claim);
    }
    if let Some(claim) = &world.claim {
        return Ok(rest_when_reserved(wish, volume, claim));
    }
    let mut todo = Vec::new();
    todo.extend(keep(volume).map(Todo::Protect));
    match phase(volume) {
        "Released" | "Available" => {
            let from = text(volume, "/spec/claimRef/namespace");
            if from.is_some_and(|from| from != wish.namespace) {
                let from = from.unwrap_or_default();
                return Err(unfit(format!("{} belonged to namespace {from}", wish.volume)));
            }
            if let Some(node) = world.facts.attachments.get(wish.volume.as_str()) {
                return Err(unfit(format!("{} is attached to {node}", wish.volume)));
            }
        }
        "Bound" => todo.extend(let_go(wish, volume, world, now)?),
        other => return Err(unfit(format!("volume {} is {other}", wish.volume))),
    }
    if !is_reserved(wish, volume) {
        todo.push(Todo::Reserve(reserve(wish, volume)));
    }
    todo.push(Todo::Make(make(wish, volume, &world.set)));
    todo.push(Todo::Await(format!("claim {} to be bound", wish.claim())));
    todo.extend(policy_at_the_end(wish, volume));
    Ok(todo)
}

/// There is a claim by that name, and the volume does not name it by uid.
fn of_claim(wish: &Wish, volume: &Value, claim: &Value) -> Result<Vec<Todo>, Box<Finding>> {
    let ours = text(claim, "/spec/volumeName") == Some(wish.volume.as_str());
    if ours && is_reserved(wish, volume) && !is_leaving(claim) {
        let mut todo = vec![Todo::Await(format!("claim {} to be bound", wish.claim()))];
        todo.extend(policy_at_the_end(wish, volume));
        return Ok(todo);
    }
    let has = text(claim, "/spec/volumeName").unwrap_or("none yet");
    let message = format!("claim {} is there, with volume {has}", wish.claim());
    let on = format!("persistentvolumeclaim/{}", wish.claim());
    Err(Box::new(rules::TAKEN.found(on, message)))
}

/// The claim has the volume, or nearly.
fn rest_when_reserved(wish: &Wish, volume: &Value, claim: &Value) -> Vec<Todo> {
    let bound = phase(volume) == "Bound" && text(claim, "/status/phase") == Some("Bound");
    if !bound {
        let mut todo = vec![Todo::Await(format!("claim {} to be bound", wish.claim()))];
        todo.extend(policy_at_the_end(wish, volume));
        return todo;
    }
    give_back(claim, volume).into_iter().map(Todo::GiveBack).collect()
}

/// For the plan alone: what the last write will do is not known before the
/// claim has a uid.
fn policy_at_the_end(wish: &Wish, volume: &Value) -> Option<Todo> {
    let now = text(volume, "/spec/persistentVolumeReclaimPolicy").unwrap_or("Retain");
    let then = match (now, annotation(volume, KEPT_POLICY)) {
        ("Retain", then) => then?,
        (now, _) => now,
    };
    Some(Todo::Await(format!("volume {} to get its policy {then} back", wish.volume)))
}

/// The claim that has the volume now goes, if nothing needs it.
fn let_go(
    wish: &Wish,
    volume: &Value,
    world: &World,
    now: Timestamp,
) -> Result<Vec<Todo>, Box<Finding>> {
    let unfit = |message: String| Box::new(rules::UNFIT.found(wish.on_volume(), message));
    let released = Todo::Await(format!("volume {} to be released", wish.volume));
    let holder = text(volume, "/spec/claimRef/name").unwrap_or_default();
    let namespace = text(volume, "/spec/claimRef/namespace").unwrap_or_default();
    if namespace != wish.namespace {
        return Err(unfit(format!("{} belongs to namespace {namespace}", wish.volume)));
    }
    let Some(found) = world.holder.as_ref().filter(|found| is_holder(volume, found)) else {
        return Ok(vec![released]);
    };
    if is_leaving(found) {
        return Ok(vec![Todo::Await(format!("claim {holder} to be gone"))]);
    }
    let row = match judge_claim(&world.facts, namespace, holder, now) {
        Some(Is::Row(row)) if row.orphan && row.uid == uid(found) => row,
        Some(Is::Row(row)) => {
            return Err(unfit(format!(
                "claim {holder} has it, and is {}: {}",
                row.class.name(),
                row.evidence.join("; ")
            )));
        }
        Some(Is::Used(who)) => return Err(unfit(format!("pod {who} uses it, by {holder}"))),
        Some(Is::Referenced(who) | Is::Expected(who)) => {
            return Err(unfit(format!("{who} is to use it, by {holder}")));
        }
        Some(Is::Leaving) | None => return Err(unfit(format!("claim {holder} has it"))),
    };
    if let Some(node) = &row.node {
        return Err(unfit(format!("{} is attached to {node}", wish.volume)));
    }
    let what = format!("{}, volume {} stays", row.class.name(), wish.volume);
    let write = delete::delete(Resource::CLAIM, found, what);
    Ok(vec![Todo::DeleteHolder(write), released])
}

/// Whether the volume names exactly this claim.
fn is_holder(volume: &Value, claim: &Value) -> bool {
    text(volume, "/spec/claimRef/uid").is_some_and(|holder| holder == uid(claim))
}

/// Whether nobody but a claim by that name can get the volume.
fn is_reserved(wish: &Wish, volume: &Value) -> bool {
    let word = |pointer: &str| text(volume, pointer).unwrap_or_default();
    word("/spec/claimRef/namespace") == wish.namespace
        && word("/spec/claimRef/name") == wish.claim()
        && word("/spec/claimRef/uid").is_empty()
}

fn reserve(wish: &Wish, volume: &Value) -> Write {
    let mut operations = vec![
        test("/metadata/resourceVersion", version(volume)),
        test("/spec/persistentVolumeReclaimPolicy", "Retain"),
    ];
    if let Some(holder) = text(volume, "/spec/claimRef/uid") {
        operations.push(test("/spec/claimRef/uid", holder));
    }
    operations.push(json!({ "op": "add", "path": "/spec/claimRef", "value": {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "namespace": wish.namespace, "name": wish.claim(),
    }}));
    // With it, a binder that unbinds leaves the volume to anybody.
    if annotation(volume, BOUND_BY_CONTROLLER).is_some() {
        operations.push(json!({ "op": "remove", "path": BOUND_BY_CONTROLLER_PATH }));
    }
    let patch = Patch::json("/metadata/uid", &json!(uid(volume)), operations);
    let what = format!("reserved for claim {}", wish.claim());
    Write::patch(object(Resource::VOLUME, volume), patch, what)
}

/// The claim as the set would make it, for exactly this volume.
fn make(wish: &Wish, volume: &Value, set: &Value) -> Write {
    let template = items(set, "/spec/volumeClaimTemplates").find(|one| name(one) == wish.template);
    let mut labels = Map::new();
    for of in [
        template.and_then(|one| one.pointer("/metadata/labels")),
        set.pointer("/spec/selector/matchLabels"),
    ] {
        let of = of.and_then(Value::as_object).into_iter().flatten();
        labels.extend(of.map(|(key, value)| (key.clone(), value.clone())));
    }
    let offered = volume.pointer("/spec/accessModes").cloned().unwrap_or_else(|| json!([]));
    let has = |mode: &Value| offered.as_array().is_some_and(|all| all.contains(mode));
    let modes = template
        .and_then(|one| one.pointer("/spec/accessModes"))
        .filter(|modes| modes.as_array().is_some_and(|all| all.iter().all(has)))
        .unwrap_or(&offered);
    let mut spec = json!({
        "accessModes": modes,
        "resources": { "requests": { "storage": text(volume, "/spec/capacity/storage") } },
        "storageClassName": text(volume, "/spec/storageClassName").unwrap_or_default(),
        "volumeName": wish.volume,
    });
    for field in ["volumeMode", "volumeAttributesClassName"] {
        if let Some(value) = volume.pointer(&format!("/spec/{field}")) {
            spec[field] = value.clone();
        }
    }
    let mut metadata = json!({ "name": wish.claim(), "namespace": wish.namespace });
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    let body = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec,
    });
    let target = Object {
        resource: Resource::CLAIM,
        namespace: Some(wish.namespace.clone()),
        name: wish.claim(),
    };
    Write::create(target, body, format!("for volume {}", wish.volume))
}
