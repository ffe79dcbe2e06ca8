//! The steps that delete one claim or volume. Pure.
//!
//! Every look at the cluster gives all steps that are left, and only the first
//! of them is taken before the next look. So no step is decided on old facts,
//! and a run that was killed is continued by looking again.

use std::{borrow::Cow, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{
    classify,
    guards::{
        check_held, check_idle, check_orphan, check_same, check_shared, check_snapshot_class,
        check_stays, orphan, pods, twins, volume_of,
    },
    model::Facts,
    rules,
};
use crate::{
    cluster::{Mode, Object, Resource, Write},
    handover::{self, Held, Original},
    output::text::one_line,
    workload::{
        Finding, SnapshotClass,
        raw::{is_leaving, name, policy, text, uid},
        snapshot_of, snapshot_state,
    },
};

/// A claim or volume to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub is_volume: bool,
    /// Of a volume, the namespace of its claim, where that is known.
    pub namespace: Option<String>,
    pub name: String,
    /// From the report, or from the first look.
    pub uid: Option<String>,
}

impl Target {
    /// `persistentvolumeclaim/data-web-3`.
    pub fn reference(&self) -> String {
        let kind = if self.is_volume { "persistentvolume" } else { "persistentvolumeclaim" };
        format!("{kind}/{}", self.name)
    }
}

/// What the flags ask for.
#[derive(Clone, Debug)]
pub struct DeleteOptions {
    pub keep_volume: bool,
    /// The name of the snapshot class, and the class if it could be read.
    pub snapshot: Option<(String, Option<SnapshotClass>)>,
    pub min_idle: Option<SignedDuration>,
}

/// What is in the cluster. The object itself is read first: the write carries
/// its resourceVersion, and fails if the object changed while everything that
/// may use it was read.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub claim: Option<Value>,
    /// The claim's volume, or the volume itself; `None` where it does not exist
    /// or may not be read.
    pub volume: Option<Value>,
    pub snapshot: Option<Value>,
    pub facts: Arc<Facts>,
}

/// A step of a deletion.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Snapshot(Write),
    /// Wait until the snapshot is ready.
    AwaitSnapshot {
        name: String,
        /// The error that the storage reports.
        error: Option<String>,
    },
    Protect(Write),
    /// Keep the claim, once it is deleted, until its volume was looked at again.
    Hold(Write),
    Delete(Write),
    /// Keep the volume, if it is not, and remove our finalizer.
    RemoveHold(Write),
    /// Wait until the object is gone.
    AwaitDeletion(String),
}

impl Step {
    pub fn action(&self) -> Action<'_> {
        match self {
            Step::Snapshot(write)
            | Step::Protect(write)
            | Step::Hold(write)
            | Step::Delete(write)
            | Step::RemoveHold(write) => Action::Write(write),
            Step::AwaitSnapshot { name, error } => Action::Wait {
                what: format!("snapshot {name} to be ready to use").into(),
                why: error.as_deref(),
            },
            Step::AwaitDeletion(what) => Action::Wait { what: what.into(), why: None },
        }
    }
}

impl Step {
    /// Whether it depends on what may use the object, and not on the object and its
    /// volume alone. Only a step that does not may be decided on what was read for
    /// the one before.
    pub fn depends_on_users(&self) -> bool {
        !matches!(
            self,
            Step::Hold(_)
                | Step::RemoveHold(_)
                | Step::AwaitSnapshot { .. }
                | Step::AwaitDeletion(_)
        )
    }
}

/// What a step does.
#[derive(Debug)]
pub enum Action<'a> {
    Write(&'a Write),
    /// `why` is the reason for the delay, where it is known.
    Wait {
        what: Cow<'a, str>,
        why: Option<&'a str>,
    },
}

impl Action<'_> {
    /// A line of the plan.
    pub fn line(&self) -> String {
        match self {
            Action::Write(write) => write.done(Mode::ClientDryRun),
            Action::Wait { what, .. } => format!("wait for {what}"),
        }
    }
}

/// The steps that are left; empty when the object is gone.
///
/// # Errors
/// Why it may not be deleted.
pub fn plan(
    target: &Target,
    world: &World,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Vec<Step>, Box<Finding>> {
    if target.is_volume {
        of_volume(target, world, options, now)
    } else {
        of_claim(target, world, options, now)
    }
}

fn of_claim(
    target: &Target,
    world: &World,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Vec<Step>, Box<Finding>> {
    let Some(claim) = &world.claim else { return Ok(Vec::new()) };
    check_same(target, claim)?;
    let mut steps = Vec::new();
    if is_leaving(claim) {
        // Someone deleted it, but until it is gone the data can be kept.
        let volume = world.volume.as_ref();
        let let_go = if options.keep_volume {
            handover::finish_deletion(claim, volume, None)
        } else {
            handover::let_go_with_volume(claim)
        };
        if options.keep_volume && let_go.is_none() {
            steps.extend(volume.and_then(|volume| protect(claim, volume)));
        }
        if let (Some(volume), false) = (volume, options.keep_volume)
            && handover::holds(volume, claim)
        {
            check_shared(target, volume, &twins(world, volume), &world.facts)?;
        }
        steps.extend(let_go.map(Step::RemoveHold));
        steps.push(Step::AwaitDeletion(holders(claim, target, world)));
        return Ok(steps);
    }
    let row = orphan(target, claim, world, now)?;
    check_idle(target, &row, options, now)?;
    check_held(target, claim, &world.facts)?;
    let volume = volume_of(target, claim, world)?;
    match volume {
        Some(volume) if options.keep_volume => check_stays(target, volume)?,
        Some(volume) => check_shared(target, volume, &twins(world, volume), &world.facts)?,
        None => {}
    }
    if let (Some((name, class)), Some(volume)) = (&options.snapshot, volume) {
        if let Some(class) = class {
            check_snapshot_class(target, class, volume)?;
        }
        steps.extend(snapshot(target, claim, name, world)?);
    }
    if options.keep_volume {
        steps.extend(volume.and_then(|volume| protect(claim, volume)));
        if volume.is_some() && !handover::is_held_to_go(claim) {
            steps.extend(handover::hold_to_go(claim).map(Step::Hold));
        }
    }
    let what = match (volume, options.keep_volume) {
        (None, _) => format!("{}, no volume", row.class.name()),
        (Some(volume), true) => format!("{}, volume {} stays", row.class.name(), name(volume)),
        (Some(volume), false) => format!(
            "{}, volume {} under policy {}",
            row.class.name(),
            name(volume),
            policy_of(volume)
        ),
    };
    steps.push(Step::Delete(handover::delete(Resource::CLAIM, claim, what)));
    if options.keep_volume
        && let Some(volume) = volume
    {
        steps.push(Step::AwaitDeletion(format!(
            "claim {} to be gone, once volume {} is seen to stay",
            target.name,
            name(volume)
        )));
    }
    Ok(steps)
}

fn of_volume(
    target: &Target,
    world: &World,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Vec<Step>, Box<Finding>> {
    let Some(volume) = &world.volume else { return Ok(Vec::new()) };
    check_same(target, volume)?;
    if is_leaving(volume) {
        return Ok(vec![Step::AwaitDeletion(format!("volume {} to be gone", target.name))]);
    }
    if options.keep_volume {
        let message = format!("{} is a volume, and volumes are kept by default", target.name);
        let finding = rules::VOLUME_STAYS.found(target.reference(), message);
        return Err(Box::new(finding));
    }
    if options.snapshot.is_some() {
        let message =
            format!("{} is a volume: a snapshot can only be taken of a claim", target.name);
        return Err(Box::new(rules::NO_SNAPSHOTS.found(target.reference(), message)));
    }
    let verdict = classify::judge(&world.facts, now);
    let row = verdict.rows.into_iter().find(|row| row.is_volume() && row.uid == uid(volume));
    let Some(row) = row else {
        let phase = text(volume, "/status/phase").unwrap_or("without a phase");
        let message = format!("volume {} is {phase}, not Released or Failed", target.name);
        return Err(Box::new(rules::IN_USE.found(target.reference(), message)));
    };
    check_orphan(target, &row)?;
    check_shared(target, volume, &row.shares_disk_with, &world.facts)?;
    let what = format!("{}, policy {}", row.class.name(), policy_of(volume));
    Ok(vec![Step::Delete(handover::delete(Resource::VOLUME, volume, what))])
}

/// What becomes of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// On its volume, under policy Retain.
    Kept,
    /// The volume is deleted with its disk.
    Destroyed,
    /// The volume is still there, and is to be deleted with its disk.
    Doomed,
    /// The volume is gone, and nothing tells whether the disk is.
    Gone,
    /// The disk stays in the storage, and no volume knows of it.
    Unmanaged,
    /// It could not be read.
    Unread,
    /// There is none, or none is known.
    None,
}

/// What becomes of the data of an object, by what was read.
pub fn data(target: &Target, world: &World, options: &DeleteOptions) -> Data {
    let Some(volume) = &world.volume else { return Data::None };
    if target.is_volume {
        return if policy_of(volume) == "Retain" { Data::Unmanaged } else { Data::Destroyed };
    }
    match &world.claim {
        Some(claim) if handover::holds(volume, claim) => {
            let stays = options.keep_volume || policy_of(volume) == "Retain";
            match (stays, is_leaving(volume)) {
                (true, false) => Data::Kept,
                (true, true) => Data::Unmanaged,
                (false, _) => Data::Destroyed,
            }
        }
        _ => Data::None,
    }
}

/// What becomes of a volume without a claim, by its policy and whether it is being
/// deleted itself.
pub fn fate_of(policy: &str, leaving: bool) -> Data {
    match (policy, leaving) {
        ("Retain", false) => Data::Kept,
        ("Retain", true) => Data::Unmanaged,
        _ => Data::Doomed,
    }
}

/// What has become of a volume whose claim is gone, by a look at what has its name
/// now. Of one that is gone itself only its last policy tells: under `Retain`
/// (`retained`) somebody has deleted the object, or has given it another policy
/// first. One that another claim has by now stays under any policy: it was adopted.
pub fn found_of(volume: &Held, claim: Option<&str>, found: Option<&Value>, retained: bool) -> Data {
    match found.filter(|found| uid(found) == volume.uid) {
        Some(found) if !is_leaving(found) && is_of_another(found, claim) => Data::Kept,
        Some(found) => fate_of(policy(found), is_leaving(found)),
        None if retained => Data::Gone,
        None => Data::Destroyed,
    }
}

/// Whether a volume is bound to another claim than the one of this uid.
fn is_of_another(volume: &Value, claim: Option<&str>) -> bool {
    let holder = text(volume, "/spec/claimRef/uid").filter(|uid| !uid.is_empty());
    holder.zip(claim).is_some_and(|(holder, claim)| holder != claim)
}

/// Sets the volume of a claim to Retain, and notes the policy that it had.
fn protect(claim: &Value, volume: &Value) -> Option<Step> {
    if handover::holds(volume, claim) { keep(volume).map(Step::Protect) } else { None }
}

/// Sets the policy to Retain, unless it is.
pub fn keep(volume: &Value) -> Option<Write> {
    let original = Original::now(volume);
    (original.policy() != "Retain").then(|| handover::protect(volume, &original))
}

pub fn policy_of(volume: &Value) -> String {
    Original::now(volume).policy().to_owned()
}

/// What a claim that is being deleted waits for.
fn holders(claim: &Value, target: &Target, world: &World) -> String {
    let finalizers = claim.pointer("/metadata/finalizers").and_then(Value::as_array);
    let finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
    let mut held: Vec<String> = vec![finalizers.collect::<Vec<_>>().join(", ")];
    for pod in pods(claim, &world.facts) {
        held.push(match (pod.finished, pod.on_node) {
            (false, _) => format!("pod {} uses it", pod.name),
            (true, true) => format!("pod {} has finished, and keeps it until deleted", pod.name),
            (true, false) => continue,
        });
    }
    format!("claim {} to be gone (held by {})", target.name, held.join("; "))
}

/// The name of a snapshot of this claim; the uid tells it from a later one.
pub fn snapshot_name(claim: &Value) -> String {
    let short: String = uid(claim).chars().take(8).collect();
    format!("{}-{short}", name(claim))
}

fn snapshot(
    target: &Target,
    claim: &Value,
    class: &str,
    world: &World,
) -> Result<Vec<Step>, Box<Finding>> {
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
        let ready = Step::AwaitSnapshot { name: wanted, error: None };
        return Ok(vec![Step::Snapshot(write), ready]);
    };
    let source = text(found, "/spec/source/persistentVolumeClaimName");
    if source != Some(name(claim)) {
        let message = format!("snapshot {wanted} exists, of something else");
        return Err(Box::new(rules::NO_SNAPSHOTS.found(target.reference(), message)));
    }
    let error = match snapshot_state(found) {
        Ok(true) => return Ok(Vec::new()),
        Ok(false) => None,
        Err(why) => Some(one_line(why)),
    };
    Ok(vec![Step::AwaitSnapshot { name: wanted, error }])
}
