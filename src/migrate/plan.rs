//! The next move forward: from the Deployment to the set. Pure.
//!
//! What to do is read from the objects each time; the journal only says what
//! they were and what they are to become. So it does not matter where the last
//! run ended.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    fill::{self, Pass},
    journal::{Disk, Journal, Member, Order},
    object::name,
    rules,
    world::{Reserved, World, generation, is_leaving, is_observed, is_ours, phase, replicas, uid},
};
use crate::{
    output::{
        Exit,
        text::{list, one_line},
    },
    workload::{Finding, Pod, Trouble},
};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Move {
    Act(Act),
    /// Nothing to do before the cluster changes.
    Wait {
        what: String,
    },
    /// The same while this pod works: that takes as long as it takes.
    Watch {
        what: String,
        pod: String,
    },
    /// Ask the new pod whether all is well.
    Verify,
    /// There, wherever it was going.
    Done,
    /// Something is in the way.
    Stop {
        exit: Exit,
        finding: Finding,
    },
}

/// Something to write. Numbers are places in the journal's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// The volume stays, whatever becomes of its claims.
    Protect(usize),
    MakeClaim(usize),
    MakeService,
    /// The set, without pods.
    MakeSet,
    /// The volume goes over to the new claim.
    Swap(usize),
    /// Have the binder look at both claims now.
    Touch(usize),
    /// A Job that copies a disk.
    MakeJob(usize, Pass),
    /// The new claim has all data.
    Mark(usize),
    DeleteJob(usize, Pass),
    MakeSnapshot(usize),
    DeleteSnapshot(usize),
    PauseScaler(usize),
    StopDeployment(usize),
    StartSet,
    PointScaler(usize),

    PointScalerBack(usize),
    StopSet,
    /// The volume goes back to the old claim.
    SwapBack(usize),
    StartDeployment(usize),
    DeleteSet,
    DeleteService,
    DeleteNewClaim(usize),

    DeleteDeployment(usize),
    DeleteOldClaim(usize),

    /// The blank volume stays, too.
    ProtectBlank(usize),
    /// The volume is for the claim of this name, and nobody else.
    Reserve(usize),
    /// The blank volume, as it is, to whoever wants it.
    LeaveBlank(usize),

    /// The claim stays while its volume gets its policy back.
    Hold(usize),
    /// The volume has its policy again, and nothing of ours.
    Release(usize),
    CleanOldClaim(usize),
    CleanNewClaim(usize),
    CleanService,
    CleanSet,
    ResumeScaler(usize),
}

/// What was asked for, beside the journal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Whether the new pods are asked whether all is well.
    pub verify: bool,
}

/// What only this run knows.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Disks whose claims it has touched since they last changed hands.
    pub touched: Vec<usize>,
    /// Jobs that it has made.
    pub jobs: Vec<String>,
    pub verified: bool,
}

impl Memory {
    /// Remembers an act that was carried out.
    pub fn did(&mut self, act: Act) {
        if let Act::Swap(index) | Act::SwapBack(index) | Act::Touch(index) = act
            && !self.touched.contains(&index)
        {
            self.touched.push(index);
        }
    }
}

/// The next move to the set.
pub fn next(
    world: &World,
    journal: &Journal,
    terms: Terms,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    if let Some(stop) = changed(world, journal) {
        return stop;
    }
    if journal.fills() {
        return fill::next(world, journal, terms, memory, now);
    }
    if let Some(index) = find(journal, |disk| !world.is_protected(disk, journal)) {
        return Move::Act(Act::Protect(index));
    }
    let started = world.own_set(journal).is_some_and(|set| replicas(set) > 0);
    if journal.order == Order::StopFirst
        && !started
        && let Some(next) = stop(world, journal)
    {
        return next;
    }
    if let Some(next) = make(world, journal).or_else(|| swap(world, journal, memory)) {
        return next;
    }
    if !started && let Some(next) = stop(world, journal) {
        return next;
    }
    up(world, journal, terms, memory, now)
}

/// Whether the world is another one than the plan was made for.
fn changed(world: &World, journal: &Journal) -> Option<Move> {
    for member in &journal.deployments {
        let on = format!("deployment/{}", member.name);
        let Some(found) = world.deployment(&member.name, &member.uid) else {
            let message = format!("Deployment {} is gone, or another one by its name", member.name);
            return Some(conflict(rules::CHANGED.found(on, message)));
        };
        if is_leaving(found) {
            let message = format!("Deployment {} is being deleted", member.name);
            return Some(conflict(rules::CHANGED.found(on, message)));
        }
        if generation(found) == member.generation || replicas(found) == 0 {
            continue;
        }
        let message = format!(
            "somebody changed Deployment {} since the plan was made: it wants {} pods at generation \
             {}, and it was {} at {}",
            member.name,
            replicas(found),
            generation(found),
            member.replicas,
            member.generation
        );
        let mut finding = rules::CHANGED.found(on, message);
        // As long as it would run the same pods, it only has to stop again.
        let template = |object: &Value| object.pointer("/spec/template").cloned();
        if template(found) == template(&member.object) {
            finding = finding.hint(format!(
                "kubectl scale deployment/{} --replicas=0 -n {}",
                member.name, journal.namespace
            ));
        }
        return Some(conflict(finding));
    }
    for disk in &journal.disks {
        let on = format!("persistentvolume/{}", disk.pv.name);
        let gone = match world.held_volume(&disk.pv) {
            None => Some("is gone, or another one by its name"),
            Some(pv) if is_leaving(pv) => Some("is being deleted"),
            Some(_) if world.reserved(disk) == Reserved::Elsewhere => {
                Some("is reserved for neither the old claim nor the new one")
            }
            Some(_) => None,
        };
        if let Some(why) = gone {
            let message = format!("volume {} {why}", disk.pv.name);
            return Some(conflict(rules::CHANGED.found(on, message)));
        }
        // Nothing can be taken from a claim that is not there any more.
        let old = world.held_claim(&disk.old);
        if world.reserved(disk) == Reserved::Old && old.is_none_or(is_leaving) {
            let on = format!("persistentvolumeclaim/{}", disk.old.name);
            let message = format!(
                "claim {} is being deleted, is gone, or is another one by its name; its data is on {}",
                disk.old.name, disk.pv.name
            );
            return Some(conflict(rules::CHANGED.found(on, message)));
        }
    }
    let set = world.own_set(journal)?;
    let (is, to_be) = (replicas(set), journal.replicas);
    (is != 0 && is != to_be).then(|| {
        let message = format!("somebody scaled the set to {is}; the plan has {to_be}");
        conflict(rules::CHANGED.found(format!("statefulset/{}", name(set)), message))
    })
}

pub(super) fn conflict(finding: Finding) -> Move {
    Move::Stop { exit: Exit::Conflict, finding }
}

pub fn taken(kind: &str, name: &str) -> Move {
    let message = format!("{kind} {name} is there, and this migration has not made it");
    conflict(rules::TAKEN.found(format!("{}/{name}", kind.to_lowercase()), message))
}

/// The first disk of which this holds.
fn find(journal: &Journal, holds: impl Fn(&Disk) -> bool) -> Option<usize> {
    journal.disks.iter().position(holds)
}

/// Claims, Service and set, as far as they are missing.
pub(super) fn make(world: &World, journal: &Journal) -> Option<Move> {
    for (index, disk) in journal.disks.iter().enumerate() {
        match world.new_claim(disk) {
            None => return Some(Move::Act(Act::MakeClaim(index))),
            Some(claim) if !is_ours(claim, journal) || is_leaving(claim) => {
                return Some(taken("PersistentVolumeClaim", &disk.new));
            }
            Some(_) => {}
        }
    }
    if journal.service.is_some() {
        match &world.service {
            None => return Some(Move::Act(Act::MakeService)),
            Some(service) if !is_ours(service, journal) || is_leaving(service) => {
                return Some(taken("Service", journal.service_name()));
            }
            Some(_) => {}
        }
    }
    match &world.set {
        None => Some(Move::Act(Act::MakeSet)),
        Some(set) if world.own_set(journal).is_none() || is_leaving(set) => {
            Some(taken("StatefulSet", journal.set_name()))
        }
        Some(_) => None,
    }
}

/// The volumes to their new claims.
fn swap(world: &World, journal: &Journal, memory: &Memory) -> Option<Move> {
    // Somebody may have deleted the new claim: it was made again just now.
    let waits = |disk: &Disk| matches!(world.reserved(disk), Reserved::Old | Reserved::Stale);
    if let Some(index) = find(journal, waits) {
        return Some(Move::Act(Act::Swap(index)));
    }
    let bound =
        |disk: &Disk| world.new_claim(disk).is_some_and(|claim| world.is_bound(disk, claim));
    if let Some(index) = find(journal, |disk| !bound(disk)) {
        let disk = &journal.disks[index];
        return Some(binding(index, memory, &disk.new, &disk.pv.name));
    }
    // Until then a pod could still be placed with the old one.
    let has_lost =
        |disk: &Disk| world.held_claim(&disk.old).is_none_or(|claim| phase(claim) != "Bound");
    let index = find(journal, |disk| !has_lost(disk))?;
    if !memory.touched.contains(&index) {
        return Some(Move::Act(Act::Touch(index)));
    }
    let disk = &journal.disks[index];
    Some(Move::Wait { what: format!("claim {} to have lost {}", disk.old.name, disk.pv.name) })
}

/// Until the binder has seen that a volume changed hands.
pub fn binding(index: usize, memory: &Memory, claim: &str, pv: &str) -> Move {
    if memory.touched.contains(&index) {
        Move::Wait { what: format!("claim {claim} to be bound to {pv}") }
    } else {
        Move::Act(Act::Touch(index))
    }
}

/// The Deployment without pods, and the disks free.
fn stop(world: &World, journal: &Journal) -> Option<Move> {
    if let Some(next) = halt(world, journal) {
        return Some(next);
    }
    // One that has not seen it may still make a pod.
    for member in &journal.deployments {
        let found = world.deployment(&member.name, &member.uid);
        if found.is_some_and(|found| !is_observed(found)) {
            let what = format!("the controller of Deployment {} to see that", member.name);
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

/// The Deployments at 0, and nothing that wakes them.
pub(super) fn halt(world: &World, journal: &Journal) -> Option<Move> {
    let paused = |index: &usize| scaler_is_paused(world, journal, *index);
    if let Some(index) = keda(journal).find(|index| !paused(index)) {
        return Some(Move::Act(Act::PauseScaler(index)));
    }
    let runs = |member: &Member| {
        world.deployment(&member.name, &member.uid).is_some_and(|found| replicas(found) > 0)
    };
    journal.deployments.iter().position(runs).map(|index| Move::Act(Act::StopDeployment(index)))
}

/// Until none of these is left.
pub(super) fn wait_for_pods<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<Move> {
    let names: Vec<&str> = pods.map(|pod| pod.name.as_str()).collect();
    (!names.is_empty()).then(|| Move::Wait { what: format!("{} to be gone", list(&names)) })
}

/// A pod that is gone has not always let go of its disk (longhorn #5345).
pub(super) fn wait_for_detach(world: &World, journal: &Journal) -> Option<Move> {
    world.attached(journal).map(|(volume, node)| Move::Wait {
        what: format!("volume {volume} to be detached from {node}"),
    })
}

/// The set with its pods, and what scales it.
pub(super) fn up(
    world: &World,
    journal: &Journal,
    terms: Terms,
    memory: &Memory,
    now: Timestamp,
) -> Move {
    let Some(set) = world.own_set(journal) else { return Move::Act(Act::MakeSet) };
    if replicas(set) != journal.replicas {
        return Move::Act(Act::StartSet);
    }
    if let Some(next) = wait_for_ordinals(world, journal, uid(set), now) {
        return next;
    }
    if terms.verify && !memory.verified && journal.replicas > 0 {
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

/// Until every ordinal is available.
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
            return Some(Move::Wait { what: format!("{wanted} to be made") });
        };
        if pod.is_available(min_ready, now) && !pod.is_terminating() {
            continue;
        }
        let trouble = pod.trouble().filter(|_| !pod.is_terminating());
        return Some(match trouble {
            // The scheduler tries again and again, and says why until then.
            Some(Trouble::Unschedulable { message }) => {
                Move::Wait { what: format!("{wanted} to be scheduled: {}", one_line(&message)) }
            }
            None | Some(Trouble::SchedulingGated { .. }) => {
                Move::Wait { what: format!("{wanted} to be Ready") }
            }
            Some(trouble) => {
                let message = format!("{wanted} {}", say(&trouble));
                let finding = rules::POD_BROKEN.found(format!("pod/{wanted}"), message);
                Move::Stop { exit: Exit::Failed, finding }
            }
        });
    }
    None
}

/// What keeps a pod from being Ready.
fn say(trouble: &Trouble) -> String {
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

/// The scalers that can start pods of a Deployment at 0.
fn keda(journal: &Journal) -> impl Iterator<Item = usize> {
    let all = journal.scalers.iter().enumerate();
    all.filter(|(_, scaler)| scaler.kind.can_wake()).map(|(index, _)| index)
}

fn scaler_is_paused(world: &World, journal: &Journal, index: usize) -> bool {
    let Some(found) = scaler(world, journal, index) else { return true };
    super::world::annotation(found, super::journal::KEDA_PAUSED) == Some("true")
}

/// Whether it is paused because of us.
pub(super) fn holds_paused(world: &World, journal: &Journal, index: usize) -> bool {
    let scaler = &journal.scalers[index];
    scaler.kind.can_wake()
        && scaler.paused.as_deref() != Some("true")
        && self::scaler(world, journal, index).is_some()
        && scaler_is_paused(world, journal, index)
}

/// Whether it names the set, or the Deployment; one that is gone names nobody.
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
