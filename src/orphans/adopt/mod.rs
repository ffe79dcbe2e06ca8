//! The steps that give a volume to an ordinal. Pure.
//!
//! As in a deletion, every look at the cluster gives all steps that are left. A
//! claim cannot be pointed at another volume, so it is created for this one:
//! the volume is set to `Retain` and reserved for the claim's name, and then the
//! claim is created. From the first step on nobody else can get the volume, and
//! no deletion takes the data with it ([`crate::handover`]).

mod fit;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub use self::fit::notes;
use self::fit::{check_free, check_mode, check_unshared, handed_over};
use super::{
    classify::{Judgement, judge_claim},
    delete::{Action, keep},
    model::{Facts, Kind, Uid},
    rules,
};
use crate::{
    cluster::{Resource, Write},
    handover::{self, Original, holds, is_bound, needs_hold},
    workload::{
        Finding, MIGRATION_MARK,
        raw::{annotation, is_leaving, items, name, phase, policy, text, uid},
    },
};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoption {
    pub namespace: String,
    pub volume: String,
    pub set: String,
    pub ordinal: u32,
    pub template: String,
    /// The uid of the ordinal's claim, once it was seen with the volume.
    pub claim_uid: Option<String>,
}

impl Adoption {
    /// Remembers the claim: if someone deletes it after this, it is not created
    /// again.
    pub fn remember(&mut self, world: &World) {
        let (Some(volume), Some(claim)) = (&world.volume, &world.claim) else { return };
        let waits = text(claim, "/spec/volumeName") == Some(name(volume));
        let is_its = holds(volume, claim) || (waits && is_reserved(self, volume));
        if is_its && !is_leaving(claim) && !goes_with_its_pod(self, claim, world) {
            self.claim_uid.get_or_insert_with(|| uid(claim).to_owned());
        }
    }

    /// The claim that the ordinal looks for.
    pub fn claim(&self) -> String {
        format!("{}-{}-{}", self.template, self.set, self.ordinal)
    }

    /// The line that goes on: by the volume, which stays when its claim goes.
    pub fn line(&self, facts: &Facts) -> String {
        let Adoption { namespace, volume, set, ordinal, template, .. } = self;
        format!(
            "kubectl stateful orphans adopt pv/{volume} --to {set}/{ordinal} --template {template} \
             -n {namespace}{}",
            facts.flags
        )
    }

    /// The line that keeps the volume of a claim that is being deleted.
    fn line_to_keep(&self, facts: &Facts) -> String {
        let (claim, namespace) = (self.claim(), &self.namespace);
        format!("kubectl stateful orphans delete {claim} -n {namespace}{}", facts.flags)
    }

    fn template_in<'a>(&self, set: &'a Value) -> Option<&'a Value> {
        items(set, "/spec/volumeClaimTemplates").find(|one| name(one) == self.template)
    }

    fn on_volume(&self) -> String {
        format!("persistentvolume/{}", self.volume)
    }
}

/// What is in the cluster.
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

/// A step of an adoption.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Protect(Write),
    /// Delete the orphan that has the volume.
    DeleteHolder(Write),
    Reserve(Write),
    CreateClaim(Write),
    /// Keep the claim while the policy is restored; or the orphan, once it is
    /// deleted, until the volume was looked at again.
    Hold(Write),
    RestorePolicy(Write),
    /// Remove our finalizer: the policy is restored, or someone deleted the
    /// claim.
    RemoveHold(Write),
    Await(String),
}

impl Step {
    pub fn action(&self) -> Action<'_> {
        match self {
            Step::Protect(write)
            | Step::DeleteHolder(write)
            | Step::Reserve(write)
            | Step::CreateClaim(write)
            | Step::Hold(write)
            | Step::RestorePolicy(write)
            | Step::RemoveHold(write) => Action::Write(write),
            Step::Await(what) => Action::Wait { what: what.into(), why: None },
        }
    }
}

/// The steps that are left; empty when the ordinal has the volume.
///
/// # Errors
/// Why it is refused.
pub fn plan(adoption: &Adoption, world: &World, now: Timestamp) -> Result<Vec<Step>, Box<Finding>> {
    let unfit = |message: String| Box::new(rules::UNFIT.found(adoption.on_volume(), message));
    let Some(volume) = &world.volume else {
        return Err(unfit(format!("volume {} does not exist", adoption.volume)));
    };
    if is_leaving(volume) {
        return Err(unfit(format!("volume {} is being deleted", adoption.volume)));
    }
    if annotation(volume, MIGRATION_MARK).is_some() {
        return Err(Box::new(handed_over(adoption, volume, &world.facts)));
    }
    check_mode(adoption, volume, &world.set)?;
    let is_same = |claim: &Value| adoption.claim_uid.as_deref() == Some(uid(claim));
    if adoption.claim_uid.is_some() && !world.claim.as_ref().is_some_and(is_same) {
        let fate = match policy(volume) {
            "Retain" => "its volume is kept".to_owned(),
            other => format!("its volume goes with it, under policy {other}"),
        };
        let finding =
            unfit(format!("claim {} was deleted by someone else; {fate}", adoption.claim()));
        return Err(Box::new(finding.hint(adoption.line(&world.facts))));
    }
    if let Some(claim) = &world.claim {
        let goes = is_leaving(claim) || goes_with_its_pod(adoption, claim, world);
        return if holds(volume, claim) && goes && !is_same(claim) {
            rescue(adoption, volume, claim, world)
        } else if holds(volume, claim) {
            steps_with_claim(adoption, volume, claim, &world.facts)
        } else {
            steps_before_binding(adoption, volume, claim)
        };
    }
    let mut steps = Vec::new();
    steps.extend(keep(volume).map(Step::Protect));
    match phase(volume) {
        "Released" | "Available" | "Failed" => {
            check_free(adoption, world, now)?;
            let from = text(volume, "/spec/claimRef/namespace");
            if from.is_some_and(|from| from != adoption.namespace) {
                let from = from.unwrap_or_default();
                return Err(unfit(format!("{} belonged to namespace {from}", adoption.volume)));
            }
            if let Some(node) = world.facts.attachments.get(adoption.volume.as_str()) {
                return Err(unfit(format!("{} is attached to {node}", adoption.volume)));
            }
        }
        "Bound" => steps.extend(free_volume(adoption, volume, world, now)?),
        other => return Err(unfit(format!("volume {} is {other}", adoption.volume))),
    }
    if !is_reserved(adoption, volume) {
        let reserve = handover::reserve(volume, &adoption.namespace, &adoption.claim());
        steps.push(Step::Reserve(reserve));
    }
    steps.push(Step::CreateClaim(claim_to_create(adoption, volume, &world.set)));
    steps.push(Step::Await(format!("claim {} to be bound", adoption.claim())));
    steps.extend(await_policy(adoption, volume));
    Ok(steps)
}

/// The ordinal's claim exists, and the volume does not name it by uid.
fn steps_before_binding(
    adoption: &Adoption,
    volume: &Value,
    claim: &Value,
) -> Result<Vec<Step>, Box<Finding>> {
    let ours = text(claim, "/spec/volumeName") == Some(adoption.volume.as_str());
    if ours && is_reserved(adoption, volume) && !is_leaving(claim) {
        let mut steps = vec![Step::Await(format!("claim {} to be bound", adoption.claim()))];
        steps.extend(await_policy(adoption, volume));
        return Ok(steps);
    }
    let has = text(claim, "/spec/volumeName").unwrap_or("<none>");
    let message = format!("claim {} exists, with volume {has}", adoption.claim());
    let on = format!("persistentvolumeclaim/{}", adoption.claim());
    Err(Box::new(rules::TAKEN.found(on, message)))
}

/// The ordinal's claim exists, and the volume is reserved for it.
fn steps_with_claim(
    adoption: &Adoption,
    volume: &Value,
    claim: &Value,
    facts: &Facts,
) -> Result<Vec<Step>, Box<Finding>> {
    if is_leaving(claim) {
        return match handover::finish_deletion(claim, Some(volume), None) {
            Some(write) => Ok(vec![Step::RemoveHold(write), await_deletion(&adoption.claim())]),
            None => Err(Box::new(claim_is_deleted(adoption, volume, facts))),
        };
    }
    if !is_bound(volume, claim) {
        let mut steps = vec![Step::Await(format!("claim {} to be bound", adoption.claim()))];
        steps.extend(await_policy(adoption, volume));
        return Ok(steps);
    }
    let Some(original) = Original::kept_on(volume) else {
        return Ok(handover::let_go(claim, Some(volume))
            .map(Step::RemoveHold)
            .into_iter()
            .collect());
    };
    if needs_hold(&original, claim) {
        let hold = handover::hold(claim).map(Step::Hold);
        return Ok(hold.into_iter().chain(await_policy(adoption, volume)).collect());
    }
    // After this write the next look gives the removal of the finalizer.
    Ok(vec![handover::release(volume, claim, &original).map_or_else(
        || Step::Await(format!("volume {} to be bound", adoption.volume)),
        Step::RestorePolicy,
    )])
}

/// While a pod keeps a claim that is being deleted, the volume can be deleted
/// together with that pod.
fn claim_is_deleted(adoption: &Adoption, volume: &Value, facts: &Facts) -> Finding {
    let claim = adoption.claim();
    let message =
        format!("claim {claim} is being deleted, and still has volume {}", adoption.volume);
    let finding = rules::UNFIT.found(adoption.on_volume(), message);
    if keep(volume).is_some() {
        finding.hint(adoption.line_to_keep(facts))
    } else {
        finding.hint(adoption.line(facts))
    }
}

/// The ordinal's claim is being deleted, and nobody but us will give its volume
/// back: the volume is kept, the claim let go, and made again. Not while the set
/// wants the ordinal: its controller would make the claim before us, with an
/// empty disk.
fn rescue(
    adoption: &Adoption,
    volume: &Value,
    claim: &Value,
    world: &World,
) -> Result<Vec<Step>, Box<Finding>> {
    let Adoption { set, ordinal, .. } = adoption;
    // One that we hold waits for us, and goes nowhere until we let it.
    if let Some(write) = handover::finish_deletion(claim, Some(volume), None) {
        return Ok(vec![Step::RemoveHold(write), await_deletion(&adoption.claim())]);
    }
    if let Some(replicas) = replicas_without(&world.set, *ordinal) {
        let message = format!(
            "claim {} is being deleted, and {set} wants ordinal {ordinal}: it makes a new claim, \
             with an empty disk, as soon as this one is gone",
            adoption.claim()
        );
        let finding = rules::UNFIT.found(adoption.on_volume(), message);
        let hint = if keep(volume).is_some() {
            adoption.line_to_keep(&world.facts)
        } else {
            let Adoption { namespace, .. } = adoption;
            let flags = &world.facts.flags;
            format!("kubectl stateful scale sts/{set} --replicas {replicas} -n {namespace}{flags}")
        };
        return Err(Box::new(finding.hint(hint)));
    }
    let mut steps: Vec<Step> = keep(volume).map(Step::Protect).into_iter().collect();
    steps.push(await_deletion(&adoption.claim()));
    let reserve = handover::reserve(volume, &adoption.namespace, &adoption.claim());
    steps.push(Step::Reserve(reserve));
    steps.push(Step::CreateClaim(claim_to_create(adoption, volume, &world.set)));
    steps.extend(await_policy(adoption, volume));
    Ok(steps)
}

/// Whether the garbage collector has yet to delete the claim, whose owners were pods
/// that are gone: the set deletes the claims of ordinals that leave. One that the set
/// wants again is let go by its controller.
fn goes_with_its_pod(adoption: &Adoption, claim: &Value, world: &World) -> bool {
    let Facts { live, missing, .. } = &*world.facts;
    let is_gone = |owner: &Value| {
        let uid = text(owner, "/uid").unwrap_or_default();
        text(owner, "/kind") == Some("Pod") && !live.contains(&Uid::of(uid))
    };
    let mut owners = items(claim, "/metadata/ownerReferences").peekable();
    let is_owned = owners.peek().is_some();
    let wanted = wants(&world.set, adoption.ordinal);
    is_owned && !wanted && !missing.contains(&Kind::Pod) && owners.all(is_gone)
}

/// If the ordinal is in the range of the set: with how many replicas it is not.
fn replicas_without(set: &Value, ordinal: u32) -> Option<u64> {
    let number = |pointer: &str| set.pointer(pointer).and_then(Value::as_u64);
    let (start, replicas) =
        (number("/spec/ordinals/start").unwrap_or_default(), number("/spec/replicas").unwrap_or(1));
    let place = u64::from(ordinal).checked_sub(start)?;
    (place < replicas).then_some(place)
}

/// Whether the ordinal is in the range of the set.
pub fn wants(set: &Value, ordinal: u32) -> bool {
    replicas_without(set, ordinal).is_some()
}

fn await_deletion(claim: &str) -> Step {
    Step::Await(format!("claim {claim} to be gone"))
}

/// Only shown in the plan: the write itself is not known before the claim has a
/// uid.
fn await_policy(adoption: &Adoption, volume: &Value) -> Option<Step> {
    let now = Original::now(volume);
    let then = if now.policy() == "Retain" { Original::kept_on(volume)? } else { now };
    Some(Step::Await(format!(
        "volume {} to get its policy {} back",
        adoption.volume,
        then.policy()
    )))
}

/// Deletes the claim that has the volume now, if nothing needs it.
fn free_volume(
    adoption: &Adoption,
    volume: &Value,
    world: &World,
    now: Timestamp,
) -> Result<Vec<Step>, Box<Finding>> {
    let unfit = |message: String| Box::new(rules::UNFIT.found(adoption.on_volume(), message));
    let released = Step::Await(format!("volume {} to be released", adoption.volume));
    let holder = text(volume, "/spec/claimRef/name").unwrap_or_default();
    let namespace = text(volume, "/spec/claimRef/namespace").unwrap_or_default();
    if namespace != adoption.namespace {
        return Err(unfit(format!("{} belongs to namespace {namespace}", adoption.volume)));
    }
    let Some(found) = world.holder.as_ref().filter(|found| holds(volume, found)) else {
        return Ok(vec![released]);
    };
    if is_leaving(found) {
        let remove_hold =
            handover::finish_deletion(found, Some(volume), None).map(Step::RemoveHold);
        return Ok(remove_hold.into_iter().chain([await_deletion(holder)]).collect());
    }
    let row = match judge_claim(&world.facts, namespace, holder, now) {
        Some(Judgement::Row(row)) if row.orphan && row.uid == uid(found) => row,
        Some(Judgement::Row(row)) => {
            return Err(unfit(format!(
                "claim {holder} has the volume, and is {}: {}",
                row.class.name(),
                row.evidence.join("; ")
            )));
        }
        Some(Judgement::Used(who)) => return Err(unfit(format!("pod {who} uses claim {holder}"))),
        Some(Judgement::Referenced(who)) => {
            return Err(unfit(format!("{who} names claim {holder} in its template")));
        }
        Some(Judgement::Expected(set)) => {
            return Err(unfit(format!("claim {holder} belongs to an ordinal of {set}")));
        }
        Some(Judgement::Leaving) | None => {
            return Err(unfit(format!("claim {holder} has the volume")));
        }
    };
    check_unshared(adoption, &row)?;
    if let Some(node) = &row.node {
        return Err(unfit(format!("{} is attached to {node}", adoption.volume)));
    }
    let what = format!("{}, volume {} stays", row.class.name(), adoption.volume);
    let hold = if handover::is_held_to_go(found) { None } else { handover::hold_to_go(found) };
    let write = handover::delete(Resource::CLAIM, found, what);
    let hold = hold.map(Step::Hold).into_iter();
    Ok(hold.chain([Step::DeleteHolder(write), released]).collect())
}

/// Whether only a claim with that name can get the volume.
fn is_reserved(adoption: &Adoption, volume: &Value) -> bool {
    let word = |pointer: &str| text(volume, pointer).unwrap_or_default();
    word("/spec/claimRef/namespace") == adoption.namespace
        && word("/spec/claimRef/name") == adoption.claim()
        && word("/spec/claimRef/uid").is_empty()
}

/// The claim as the controller would create it, for exactly this volume.
fn claim_to_create(adoption: &Adoption, volume: &Value, set: &Value) -> Write {
    let template = adoption.template_in(set);
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
    let mut metadata = json!({ "name": adoption.claim(), "namespace": adoption.namespace });
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    let claim = handover::claim_for(volume, &metadata, modes);
    handover::make(claim, format!("for volume {}", adoption.volume))
}
