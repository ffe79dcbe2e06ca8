//! The next move forward: from the Deployment to the set. Pure.
//!
//! The move is decided from the objects each time. The journal only says what
//! they were and what they are to become, so it does not matter where the last
//! run ended.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    disturbed, fill,
    journal::{CopyPass, Disk, Journal, Order, SourceDeployment},
    rules,
    world::{Reserved, World, is_ours},
};
use crate::{
    output::{
        Exit,
        text::{list, one_line},
    },
    workload::{
        Finding, Pod, Trouble,
        raw::{is_leaving, is_observed, name, phase, replicas, uid},
    },
};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    Act(Act),
    /// Nothing to do until the cluster changes.
    Wait {
        what: String,
    },
    /// Nothing to do while this pod copies. This has no deadline.
    Watch {
        what: String,
        pod: String,
    },
    /// Run the command of `--verify-exec` in the new pods.
    Verify,
    /// The end in this direction is reached.
    Done,
    /// Something is in the way.
    Stop {
        exit: Exit,
        finding: Finding,
    },
}

impl Move {
    /// Stops for this finding.
    pub fn stop(finding: Finding) -> Move {
        Move::Stop { exit: rules::stopped_for(&finding), finding }
    }
}

/// Something to write. The numbers are positions in the lists of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Set the policy of the volume to `Retain`.
    Protect(usize),
    CreateClaim(usize),
    CreateService,
    /// Create the set, without pods.
    CreateSet,
    /// Hand the volume over to the new claim.
    Swap(usize),
    /// Annotate both claims, so that the binder looks at them now.
    Touch(usize),
    /// Create a Job that copies a disk.
    CreateJob(usize, CopyPass),
    /// Mark the new claim: it has all data.
    MarkFilled(usize),
    DeleteJob(usize, CopyPass),
    CreateSnapshot(usize),
    DeleteSnapshot(usize),
    PauseScaler(usize),
    StopDeployment(usize),
    StartSet,
    PointScaler(usize),

    PointScalerBack(usize),
    StopSet,
    /// Make the old claim again, which someone has deleted.
    CreateOldClaim(usize),
    /// Hand the volume back to the old claim.
    SwapBack(usize),
    /// Make the Deployment again, which someone has deleted.
    CreateDeployment(usize),
    StartDeployment(usize),
    DeleteSet,
    DeleteService,
    DeleteNewClaim(usize),

    DeleteDeployment(usize),
    DeleteOldClaim(usize),

    /// Set the policy of the volume that is replaced to `Retain`.
    ProtectBlank(usize),
    /// Reserve the volume for the claim of this name.
    Reserve(usize),
    /// Remove our mark from the volume that was replaced.
    LeaveBlank(usize),

    /// Put our finalizer on the claim while its volume gets its policy back.
    Hold(usize),
    /// Put our finalizer on the claim that is replaced: once it is deleted, it stays
    /// until its volume was looked at again.
    HoldToGo(usize),
    /// Keep the volume of a claim that was deleted while we held it.
    Withhold(usize),
    /// The same for the volume that is replaced.
    WithholdBlank(usize),
    /// Restore the policy of the volume and remove our mark.
    Release(usize),
    CleanOldClaim(usize),
    CleanNewClaim(usize),
    CleanService,
    CleanSet,
    ResumeScaler(usize),
}

/// Checks that this run was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checks {
    /// Whether the command of `--verify-exec` runs in the new pods.
    pub verify: bool,
}

/// What only this run knows: not in the journal, and lost when it ends.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Disks whose claims this run has annotated.
    pub touched: Vec<usize>,
    /// Jobs that this run has created.
    pub jobs: Vec<String>,
    /// Whether this run has created the set.
    pub made_set: bool,
    pub verified: bool,
}

impl Memory {
    /// Records an act that was carried out.
    pub fn did(&mut self, act: Act) {
        if let Act::Swap(index) | Act::SwapBack(index) | Act::Touch(index) = act
            && !self.touched.contains(&index)
        {
            self.touched.push(index);
        }
        self.made_set |= act == Act::CreateSet;
    }
}

/// The next move.
pub fn next(
    world: &World,
    journal: &Journal,
    checks: Checks,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    if let Some(finding) = disturbed::changed(world, journal) {
        return Move::stop(finding);
    }
    if journal.fills() {
        return fill::next(world, journal, checks, memory, now);
    }
    if let Some(index) = first_disk(journal, |disk| !world.is_protected(disk, journal)) {
        return Move::Act(Act::Protect(index));
    }
    let started = world.own_set(journal).is_some_and(|set| replicas(set) > 0);
    if journal.order == Order::StopFirst
        && !started
        && let Some(next) = stop_and_detach(world, journal)
    {
        return next;
    }
    if let Some(next) = create_missing(world, journal).or_else(|| swap(world, journal, memory)) {
        return next;
    }
    if !started && let Some(next) = stop_and_detach(world, journal) {
        return next;
    }
    start_set(world, journal, checks, memory, now)
}

/// Stops because a name that we need belongs to another object, or to one that is
/// being deleted. `is_own`: the migration has created it.
pub fn name_taken(kind: &str, found: &Value, is_own: bool) -> Move {
    let name = name(found);
    let message = match (is_own, is_leaving(found)) {
        (true, _) => format!("{kind} {name} of this migration is being deleted"),
        (false, true) => {
            format!("{kind} {name} was not created by this migration, and is being deleted")
        }
        (false, false) => format!("{kind} {name} was not created by this migration"),
    };
    Move::stop(rules::TAKEN.found(format!("{}/{name}", kind.to_lowercase()), message))
}

/// The first disk for which `holds` is true.
fn first_disk(journal: &Journal, holds: impl Fn(&Disk) -> bool) -> Option<usize> {
    journal.disks.iter().position(holds)
}

/// Creates the claims, the Service and the set, if they do not exist.
pub(super) fn create_missing(world: &World, journal: &Journal) -> Option<Move> {
    for (index, disk) in journal.disks.iter().enumerate() {
        match world.new_claim(disk) {
            None => return Some(Move::Act(Act::CreateClaim(index))),
            Some(claim) if !is_ours(claim, journal) || is_leaving(claim) => {
                return Some(name_taken("PersistentVolumeClaim", claim, is_ours(claim, journal)));
            }
            Some(_) => {}
        }
    }
    if journal.service.is_some() {
        match &world.service {
            None => return Some(Move::Act(Act::CreateService)),
            Some(service) if !is_ours(service, journal) || is_leaving(service) => {
                return Some(name_taken("Service", service, is_ours(service, journal)));
            }
            Some(_) => {}
        }
    }
    match &world.set {
        None => Some(Move::Act(Act::CreateSet)),
        Some(set) if world.own_set(journal).is_none() || is_leaving(set) => {
            Some(name_taken("StatefulSet", set, world.own_set(journal).is_some()))
        }
        Some(_) => None,
    }
}

/// Hands the volumes over to their new claims.
fn swap(world: &World, journal: &Journal, memory: &Memory) -> Option<Move> {
    // `Stale`: someone deleted the new claim, and it was created again.
    let waits = |disk: &Disk| matches!(world.reserved(disk), Reserved::Old | Reserved::Stale);
    if let Some(index) = first_disk(journal, waits) {
        return Some(Move::Act(Act::Swap(index)));
    }
    let bound =
        |disk: &Disk| world.new_claim(disk).is_some_and(|claim| world.is_bound(disk, claim));
    if let Some(index) = first_disk(journal, |disk| !bound(disk)) {
        let disk = &journal.disks[index];
        return Some(wait_for_binding(index, memory, &disk.new, &disk.pv.name));
    }
    // Until the old claim is Lost, a pod could still be scheduled with it.
    let has_lost = |disk: &Disk| world.old_claim(disk).is_none_or(|claim| phase(claim) != "Bound");
    let index = first_disk(journal, |disk| !has_lost(disk))?;
    if !memory.touched.contains(&index) {
        return Some(Move::Act(Act::Touch(index)));
    }
    let disk = &journal.disks[index];
    Some(Move::Wait { what: format!("claim {} to lose volume {}", disk.old.name, disk.pv.name) })
}

/// Waits until the binder has seen that a volume was handed over.
pub fn wait_for_binding(index: usize, memory: &Memory, claim: &str, pv: &str) -> Move {
    if memory.touched.contains(&index) {
        Move::Wait { what: format!("claim {claim} to be bound to {pv}") }
    } else {
        Move::Act(Act::Touch(index))
    }
}

/// Stops the Deployments, and waits until their disks are detached.
fn stop_and_detach(world: &World, journal: &Journal) -> Option<Move> {
    if let Some(next) = stop_deployments(world, journal) {
        return Some(next);
    }
    // A controller that has not seen it may still create a pod.
    for member in &journal.deployments {
        let found = world.deployment(member);
        if found.is_some_and(|found| !is_observed(found)) {
            let what =
                format!("the controller of Deployment {} to see the scale-down", member.name);
            return Some(Move::Wait { what });
        }
    }
    let claims: Vec<&str> = journal
        .disks
        .iter()
        .map(|disk| disk.old.name.as_str())
        .chain(journal.kept.iter().map(String::as_str))
        .collect();
    wait_for_pods(world.users(&claims, None)).or_else(|| wait_for_detach(world, journal))
}

/// Scales the Deployments to 0, after pausing what would scale them up.
pub(super) fn stop_deployments(world: &World, journal: &Journal) -> Option<Move> {
    let paused = |index: &usize| scaler_is_paused(world, journal, *index);
    if let Some(index) = waking_scalers(journal).find(|index| !paused(index)) {
        return Some(Move::Act(Act::PauseScaler(index)));
    }
    let runs = |member: &SourceDeployment| {
        world.deployment(member).is_some_and(|found| replicas(found) > 0)
    };
    journal.deployments.iter().position(runs).map(|index| Move::Act(Act::StopDeployment(index)))
}

/// Waits until none of these pods is left.
pub(super) fn wait_for_pods<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<Move> {
    let names: Vec<&str> = pods.map(|pod| pod.name.as_str()).collect();
    (!names.is_empty()).then(|| Move::Wait { what: format!("{} to be gone", list(&names)) })
}

/// Waits until the volumes are detached: a pod can be gone before its disk is
/// (longhorn #5345).
pub(super) fn wait_for_detach(world: &World, journal: &Journal) -> Option<Move> {
    world.attached(journal).map(|(volume, node)| Move::Wait {
        what: format!("volume {volume} to be detached from {node}"),
    })
}

/// Starts the set, waits for its pods, and points the autoscalers at it.
pub(super) fn start_set(
    world: &World,
    journal: &Journal,
    checks: Checks,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    let Some(set) = world.own_set(journal) else { return Move::Act(Act::CreateSet) };
    if replicas(set) != journal.replicas {
        return Move::Act(Act::StartSet);
    }
    if let Some(next) = wait_for_ordinals(world, journal, uid(set), now) {
        return next;
    }
    if checks.verify && !memory.verified && journal.replicas > 0 {
        return Move::Verify;
    }
    let points = |index: usize, to_set: bool| scaler_points(world, journal, index, to_set);
    let scalers = 0..journal.scalers.len();
    if let Some(index) = scalers.clone().find(|index| points(*index, false)) {
        return Move::Act(Act::PointScaler(index));
    }
    if let Some(index) = scalers.into_iter().find(|index| holds_paused(world, journal, *index)) {
        return Move::Act(Act::ResumeScaler(index));
    }
    Move::Done
}

/// Waits until every ordinal is available.
pub(super) fn wait_for_ordinals(
    world: &World,
    journal: &Journal,
    set_uid: &str,
    now: Timestamp,
) -> Option<Move> {
    let set = world.own_set(journal)?;
    let min_ready = set.pointer("/spec/minReadySeconds").and_then(Value::as_u64);
    let min_ready = u32::try_from(min_ready.unwrap_or_default()).unwrap_or(u32::MAX);
    let start = set.pointer("/spec/ordinals/start").and_then(Value::as_u64);
    let start = u32::try_from(start.unwrap_or_default()).unwrap_or_default();
    for ordinal in start..start.saturating_add(journal.replicas) {
        let wanted = format!("{}-{ordinal}", journal.set_name());
        let pod = world.pods_of_set(set_uid).find(|pod| pod.name == wanted);
        let Some(pod) = pod else {
            return Some(Move::Wait { what: format!("{wanted} to be created") });
        };
        if pod.is_available(min_ready, now) && !pod.is_terminating() {
            continue;
        }
        let trouble = pod.trouble().filter(|_| !pod.is_terminating());
        return Some(match trouble {
            // The scheduler tries again, and its message says why it failed.
            Some(Trouble::Unschedulable { message }) => {
                Move::Wait { what: format!("{wanted} to be scheduled: {}", one_line(&message)) }
            }
            None | Some(Trouble::SchedulingGated { .. }) => {
                Move::Wait { what: format!("{wanted} to be Ready") }
            }
            Some(trouble) => {
                let message = format!("{wanted} {}", describe(&trouble));
                let finding = rules::POD_BROKEN.found(format!("pod/{wanted}"), message);
                Move::stop(finding)
            }
        });
    }
    None
}

/// Why a pod is not Ready.
pub(super) fn describe(trouble: &Trouble) -> String {
    match trouble {
        Trouble::ImagePull { image, message, .. } => format!("cannot pull {image}: {message}"),
        Trouble::CrashLoop { container, restarts, .. } => {
            format!("crashes: container {container} was restarted {restarts} times")
        }
        Trouble::ContainerConfig { container, reason, message } => {
            format!("cannot start container {container}: {reason}: {message}")
        }
        Trouble::Unschedulable { message } | Trouble::SchedulingGated { message } => {
            format!("cannot be scheduled: {message}")
        }
    }
}

/// The autoscalers that can scale up a Deployment that is at 0.
fn waking_scalers(journal: &Journal) -> impl Iterator<Item = usize> {
    let all = journal.scalers.iter().enumerate();
    all.filter(|(_, scaler)| scaler.kind.can_wake()).map(|(index, _)| index)
}

fn scaler_is_paused(world: &World, journal: &Journal, index: usize) -> bool {
    let Some(found) = scaler(world, journal, index) else { return true };
    crate::workload::raw::annotation(found, super::journal::KEDA_PAUSED) == Some("true")
}

/// Whether we have paused it.
pub(super) fn holds_paused(world: &World, journal: &Journal, index: usize) -> bool {
    let scaler = &journal.scalers[index];
    scaler.kind.can_wake()
        && scaler.paused.as_deref() != Some("true")
        && self::scaler(world, journal, index).is_some()
        && scaler_is_paused(world, journal, index)
}

/// Whether an autoscaler names the set (`to_set`) or the Deployment. One that is
/// gone names neither.
pub(super) fn scaler_points(world: &World, journal: &Journal, index: usize, to_set: bool) -> bool {
    let wanted = &journal.scalers[index];
    let target = if to_set { &wanted.to } else { &wanted.from };
    scaler(world, journal, index)
        .is_some_and(|found| found.pointer(&wanted.pointer) == Some(target))
}

pub(super) fn scaler<'a>(world: &'a World, journal: &Journal, index: usize) -> Option<&'a Value> {
    let wanted = &journal.scalers[index];
    let key = (wanted.kind.resource().plural, wanted.target.name.clone());
    world.scalers.get(&key).filter(|found| uid(found) == wanted.target.uid)
}

/// Deletes an object, or waits if it is already being deleted.
pub(super) fn delete_or_wait(act: Act, leaving: bool, what: &str) -> Move {
    if leaving { Move::Wait { what: format!("{what} to be gone") } } else { Move::Act(act) }
}
