//! Where a migration stands, judged from the objects as they are. Pure.
//!
//! The journal says which way a migration is going, and never what has become of
//! it: sets are deleted, claims are made again, Deployments are applied again. So
//! what runs is counted, each claim is held against the volume that it really has,
//! and the verbs themselves are asked whether they would go on. What `status`
//! offers is what they would do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    disturbed::{both_run, kept_claims_gone, off_their_disks, unprotected, volumes_that_go},
    fates, finalize,
    forward::{self, Checks, Memory, Move, describe},
    journal::{Disk, Intent, Journal, SourceDeployment, StoredJournal},
    recover, rollback,
    world::{Reserved, World, is_made_by_us},
};
use crate::{
    output::text::one_line,
    workload::{
        Finding, Pod, Severity,
        raw::{entries, is_leaving, phase, replicas, text, uid},
    },
};

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The Deployment has its own claims.
    Begun,
    /// The disks are handed over to the set, and the Deployment is not stopped yet.
    Swapped,
    /// Neither runs.
    Stopped,
    /// The set is starting.
    Starting,
    /// The set runs on the disks; a rollback is possible.
    Arrived,
    /// It had arrived, and the set does not run as it did: it is gone, scaled to
    /// 0, not Ready, or on another disk.
    Degraded,
    GoingBack,
    Finishing,
    /// A volume is being put back under the set.
    Recovering,
    /// The volume was put back under the set.
    Recovered,
    /// The volume is back under its claim, and the set has no pod for it.
    PutBack,
    /// The Deployment is back, and the journal is gone.
    RolledBack,
    /// What a rollback would need is deleted, and the journal is gone.
    Finished,
}

/// What has become of an object that the migration knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// The same object.
    Here,
    /// Someone deleted it and made it again.
    MadeAgain,
    /// An object that cannot take its place has its name.
    Another,
    BeingDeleted,
    Gone,
}

/// The set as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SetState {
    pub presence: Presence,
    /// `spec.replicas`.
    pub wanted: u32,
    /// Its pods that are Ready; null if pods were not read.
    pub ready: Option<usize>,
    /// Why the first of its pods that is not Ready does not start.
    pub trouble: Option<String>,
}

/// A Deployment as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SourceState {
    pub name: String,
    pub presence: Presence,
    /// `spec.replicas`.
    pub wanted: u32,
    /// Its pods that are Ready; null if pods were not read.
    pub ready: Option<usize>,
    /// Its pods, Ready or not.
    pub pods: Option<usize>,
    /// Fields of its spec that are not as they were.
    pub changed: Vec<String>,
    /// Whether a rollback has made it again, from the journal.
    #[serde(skip)]
    pub is_restored: bool,
}

/// The verb that goes on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Resume,
    Finalize,
}

impl Next {
    pub fn word(self) -> &'static str {
        match self {
            Next::Resume => "resume",
            Next::Finalize => "finalize",
        }
    }
}

/// Where a migration stands, and what can be done.
#[derive(Clone, Debug)]
pub struct Standing {
    pub stage: Stage,
    pub set: SetState,
    pub sources: Vec<SourceState>,
    /// What would go on from here, and not stop at once.
    pub next: Option<Next>,
    /// Whether a rollback would bring the Deployment back.
    pub is_way_back_open: bool,
    /// Whether each claim of the set that is wrong still has its volume, and is only
    /// being deleted.
    is_losing_claims: bool,
    pub findings: Vec<Finding>,
}

impl Standing {
    /// Judges a migration that has its journal.
    pub fn of(stored: &StoredJournal, world: &World, now: Timestamp) -> Standing {
        let journal = &stored.journal;
        let mut standing = Standing {
            stage: Stage::Begun,
            set: SetState::of(world, journal, world.own_set(journal)),
            sources: sources(world, journal),
            next: None,
            is_way_back_open: false,
            is_losing_claims: is_losing_claims(world, journal),
            findings: Vec::new(),
        };
        standing.stage = standing.stage(stored, world);
        standing.findings.extend(volumes_that_go(world, journal));
        standing.findings.extend(kept_claims_gone(world, journal));
        standing.findings.extend(both_run(world, journal));
        match stored.intent {
            Intent::Forward => standing.forward(stored, world, now),
            Intent::Back => standing.back(journal, world, now),
            Intent::Finish => {
                let next = finalize::next(world, journal, &Memory::default(), now);
                standing.follow(next);
            }
            Intent::Recover => {
                let next = recover::next(world, journal, &Memory::default(), now);
                standing.follow(next);
            }
        }
        standing
    }

    /// Judges what is left of a migration that was carried to this end. Its journal
    /// is gone, and its marks, so `set_uid` is the set that was its own until then;
    /// `None` if that is not known.
    pub fn after(
        journal: &Journal,
        world: &World,
        intent: Intent,
        set_uid: Option<&str>,
    ) -> Standing {
        let stage = match intent {
            Intent::Back => Stage::RolledBack,
            Intent::Recover if recover::has_pod(world, journal) => Stage::Recovered,
            Intent::Recover => Stage::PutBack,
            Intent::Finish | Intent::Forward => Stage::Finished,
        };
        let own = world.set.as_ref().filter(|set| set_uid.is_none_or(|own| own == uid(set)));
        let set = SetState::of(world, journal, own.or_else(|| world.own_set(journal)));
        Standing {
            stage,
            set,
            sources: sources(world, journal),
            next: None,
            is_way_back_open: false,
            is_losing_claims: is_losing_claims(world, journal),
            findings: Vec::new(),
        }
    }

    fn forward(&mut self, stored: &StoredJournal, world: &World, now: Timestamp) {
        let journal = &stored.journal;
        if let Some(finding) = rollback::blocked(world, journal) {
            self.add(finding.at(Severity::Warning));
        } else {
            self.is_way_back_open = true;
            let loses = fates::rollback_loses(world, journal);
            self.findings.extend(loses.map(|finding| finding.at(Severity::Note)));
        }
        if stored.arrived.is_some() || world.own_set(journal).is_some_and(|set| replicas(set) > 0) {
            for finding in off_their_disks(world, journal) {
                self.add(finding);
            }
        }
        if stored.arrived.is_some() {
            self.findings.extend(unprotected(world, journal));
        }
        let arrived = stored.arrived.is_some();
        let against = finalize::not_ready(world, journal, now);
        match forward::next(world, journal, Checks::default(), &Memory::default(), now) {
            Move::Stop { .. } | Move::Done if arrived && against.is_none() => {
                self.next = Some(Next::Finalize);
            }
            Move::Stop { finding, .. } => self.add(finding),
            Move::Done if arrived => against.into_iter().for_each(|finding| self.add(finding)),
            _ => self.next = Some(Next::Resume),
        }
    }

    fn back(&mut self, journal: &Journal, world: &World, now: Timestamp) {
        match rollback::next(world, journal, &Memory::default()) {
            Move::Stop { finding, .. } => {
                self.add(finding);
                if can_give_up(world, journal, now) {
                    self.next = Some(Next::Finalize);
                }
            }
            _ => self.next = Some(Next::Resume),
        }
    }

    fn follow(&mut self, next: Move) {
        match next {
            Move::Stop { finding, .. } => self.add(finding),
            _ => self.next = Some(Next::Resume),
        }
    }

    fn add(&mut self, finding: Finding) {
        let is_said = |said: &Finding| said.id == finding.id && said.object == finding.object;
        if !self.findings.iter().any(is_said) {
            self.findings.push(finding);
        }
    }

    fn stage(&self, stored: &StoredJournal, world: &World) -> Stage {
        let journal = &stored.journal;
        match stored.intent {
            Intent::Back => return Stage::GoingBack,
            Intent::Finish => return Stage::Finishing,
            Intent::Recover => return Stage::Recovering,
            Intent::Forward => {}
        }
        if stored.arrived.is_some() {
            let is_whole =
                self.set.is_whole(journal.replicas) && off_their_disks(world, journal).is_empty();
            return if is_whole { Stage::Arrived } else { Stage::Degraded };
        }
        if world.own_set(journal).is_some_and(|set| replicas(set) > 0) {
            return Stage::Starting;
        }
        let runs = self.sources.iter().any(|one| one.wanted > 0 || one.pods.unwrap_or(0) > 0);
        let is_away = |disk: &Disk| matches!(world.reserved(disk), Reserved::New | Reserved::Stale);
        let swapped = journal.disks.iter().any(is_away);
        match (runs, swapped) {
            (false, _) => Stage::Stopped,
            (true, true) => Stage::Swapped,
            (true, false) => Stage::Begun,
        }
    }

    /// The state in a sentence. It says no more than was looked at.
    pub fn sentence(&self) -> String {
        let up = self.sources.iter().filter(|one| one.wanted > 0 || one.pods.unwrap_or(0) > 0);
        let all_ready = up.clone().all(SourceState::is_whole);
        match self.stage {
            Stage::Begun if all_ready => "begun: the Deployment runs on its own claims".to_owned(),
            Stage::Begun => "begun: the Deployment has its own claims, and does not run as it \
                             should"
                .to_owned(),
            Stage::Swapped if all_ready => {
                "begun: the Deployment runs, and its disks are handed over".to_owned()
            }
            Stage::Swapped => "begun: the disks are handed over, and the Deployment, which can \
                               start no pod with them, is not stopped"
                .to_owned(),
            Stage::Stopped => "under way: neither the Deployment nor the set runs".to_owned(),
            Stage::Starting => "under way: the set is starting".to_owned(),
            Stage::Arrived if self.set.wanted == 0 => {
                "moved: the set has the disks, and 0 replicas as before".to_owned()
            }
            Stage::Arrived => "moved: the set runs on the disks".to_owned(),
            Stage::Degraded if self.is_losing_claims && self.set.is_whole(1) => {
                "moved, but a claim of the set is being deleted".to_owned()
            }
            Stage::Degraded => format!("moved, but {}", self.set.what_is_wrong()),
            Stage::GoingBack => "rolling back to the Deployment".to_owned(),
            Stage::Finishing => "being finalized".to_owned(),
            Stage::Recovering => "a volume is being put back under the set".to_owned(),
            Stage::Recovered if self.set.wanted > 0 && self.set.is_whole(1) => {
                "the volume was put back, and the set runs".to_owned()
            }
            Stage::Recovered => "the volume was put back".to_owned(),
            Stage::PutBack => {
                "the volume is back under its claim; the set has no pod for it".to_owned()
            }
            Stage::RolledBack if self.sources.iter().all(SourceState::is_whole) => {
                "rolled back: the Deployment is back".to_owned()
            }
            Stage::RolledBack => "rolled back; the Deployment does not run as it should".to_owned(),
            Stage::Finished => "finished: nothing of the migration is left".to_owned(),
        }
    }
}

impl SetState {
    /// `own` is the set of the migration itself, if that is there.
    fn of(world: &World, journal: &Journal, own: Option<&Value>) -> SetState {
        let found = own.or_else(|| world.set_in_place(journal));
        let presence = match (found, &world.set) {
            (Some(set), _) if is_leaving(set) => Presence::BeingDeleted,
            (Some(_), _) if own.is_some() => Presence::Here,
            (Some(_), _) => Presence::MadeAgain,
            (None, Some(_)) => Presence::Another,
            (None, None) => Presence::Gone,
        };
        let pods: Vec<&Pod> =
            found.map(|set| world.pods_of_set(uid(set)).collect()).unwrap_or_default();
        let is_up = |pod: &&&Pod| pod.is_ready() && !pod.is_terminating();
        let trouble = pods.iter().filter(|pod| !is_up(pod)).find_map(|pod| {
            let trouble = pod.trouble()?;
            Some(format!("{} {}", pod.name, one_line(&describe(&trouble))))
        });
        SetState {
            presence,
            wanted: found.map_or(0, replicas),
            ready: (!world.pods_unread).then(|| pods.iter().filter(is_up).count()),
            trouble,
        }
    }

    /// Whether all its pods are Ready, and there are some if there should be.
    fn is_whole(&self, planned: u32) -> bool {
        self.presence == Presence::Here
            && (self.wanted > 0 || planned == 0)
            && self.ready.is_none_or(|ready| ready as u64 >= u64::from(self.wanted))
    }

    /// The number of pods, for a table.
    pub fn short(&self) -> String {
        match (self.presence, self.ready) {
            (Presence::Gone | Presence::Another, _) => "<none>".to_owned(),
            (_, None) => format!("unknown of {}", self.wanted),
            (_, Some(ready)) => format!("{ready} of {}", self.wanted),
        }
    }

    /// The pods in words.
    pub fn words(&self) -> String {
        let pods = match self.ready {
            _ if self.wanted == 0 => "scaled to 0".to_owned(),
            None => format!("{} wanted; pods were not read", self.wanted),
            Some(ready) => format!("{ready} of {} pods Ready", self.wanted),
        };
        let pods = match &self.trouble {
            Some(trouble) => format!("{pods}; {trouble}"),
            None => pods,
        };
        match self.presence {
            Presence::Here => pods,
            Presence::MadeAgain => format!("someone deleted it and made it again; {pods}"),
            Presence::Another => "another StatefulSet has this name".to_owned(),
            Presence::BeingDeleted => format!("being deleted; {pods}"),
            Presence::Gone => "<none>".to_owned(),
        }
    }

    fn what_is_wrong(&self) -> String {
        match self.presence {
            Presence::Gone => "the set is gone: someone has deleted it".to_owned(),
            Presence::Another => "another set has its name".to_owned(),
            Presence::BeingDeleted => "the set is being deleted".to_owned(),
            Presence::MadeAgain => "someone deleted the set and made it again".to_owned(),
            Presence::Here if self.wanted == 0 => "the set is scaled to 0".to_owned(),
            Presence::Here => match self.ready {
                Some(ready) if (ready as u64) < u64::from(self.wanted) => {
                    format!("{ready} of {} pods of the set are Ready", self.wanted)
                }
                _ => "the set is not on the disks that were moved".to_owned(),
            },
        }
    }
}

/// Whether a rollback can be given up: the set has the data, and would start.
pub fn can_give_up(world: &World, journal: &Journal, now: Timestamp) -> bool {
    let next = forward::next(world, journal, Checks::default(), &Memory::default(), now);
    fates::set_has_data(world, journal) && !matches!(next, Move::Stop { .. })
}

/// Whether there is a claim that still has its volume and is being deleted, and every
/// other one is as it should be.
fn is_losing_claims(world: &World, journal: &Journal) -> bool {
    let mut is_any = false;
    journal.disks.iter().all(|disk| {
        let Some(claim) = world.new_claim(disk) else { return false };
        is_any |= is_leaving(claim);
        let volume = text(claim, "/spec/volumeName");
        phase(claim) == "Bound" && (journal.fills() || volume == Some(disk.pv.name.as_str()))
    }) && is_any
}

fn sources(world: &World, journal: &Journal) -> Vec<SourceState> {
    journal.deployments.iter().map(|member| SourceState::of(world, journal, member)).collect()
}

impl SourceState {
    fn of(world: &World, journal: &Journal, member: &SourceDeployment) -> SourceState {
        let found = world.deployment(member);
        let presence = match found {
            Some(found) if is_leaving(found) => Presence::BeingDeleted,
            Some(found) if uid(found) == member.uid => Presence::Here,
            Some(_) => Presence::MadeAgain,
            None if world.other_deployment(member).is_some() => Presence::Another,
            None => Presence::Gone,
        };
        let pods: Vec<&Pod> = world.pods_of_deployment(member, journal).collect();
        let ready = pods.iter().filter(|pod| pod.is_ready() && !pod.is_terminating()).count();
        // Pods of an earlier Deployment of this name may still be there; and the
        // status may be older than the pods. Neither counts alone.
        let by_status = found.and_then(|found| found.pointer("/status/readyReplicas"));
        let by_status = by_status.and_then(Value::as_u64).unwrap_or_default();
        let ready = ready.min(usize::try_from(by_status).unwrap_or(usize::MAX));
        SourceState {
            name: member.name.clone(),
            presence,
            wanted: found.map_or(0, replicas),
            ready: (!world.pods_unread).then_some(ready),
            pods: (!world.pods_unread).then_some(pods.len()),
            changed: found.map_or_else(Vec::new, |found| changed_fields(&member.object, found)),
            is_restored: found.is_some_and(is_made_by_us),
        }
    }

    /// Whether it has as many Ready pods as it asks for.
    fn is_whole(&self) -> bool {
        matches!(self.presence, Presence::Here | Presence::MadeAgain)
            && self.ready.is_none_or(|ready| ready as u64 >= u64::from(self.wanted))
    }

    /// The Deployment in words.
    pub fn words(&self) -> String {
        let pods = match (self.wanted, self.ready, self.pods) {
            (0, _, Some(0) | None) => "scaled to 0".to_owned(),
            (0, _, Some(pods)) => format!("scaled to 0; {pods} of its pods are not gone yet"),
            (wanted, Some(ready), _) => format!("{ready} of {wanted} pods Ready"),
            (wanted, None, _) => format!("{wanted} wanted; pods were not read"),
        };
        let pods = if self.changed.is_empty() {
            pods
        } else {
            format!("{pods}; changed since: {}", self.changed.join(", "))
        };
        match self.presence {
            Presence::Here => pods,
            Presence::MadeAgain if self.is_restored => {
                format!("someone deleted it, and the rollback made it again; {pods}")
            }
            Presence::MadeAgain => format!("someone deleted it and made it again; {pods}"),
            Presence::Another => "another Deployment has this name".to_owned(),
            Presence::BeingDeleted => format!("being deleted; {pods}"),
            Presence::Gone => "<none>".to_owned(),
        }
    }
}

/// The fields of the spec that differ, but for the number of replicas.
fn changed_fields(was: &Value, is: &Value) -> Vec<String> {
    let keys = |object: &Value| {
        entries(object, "/spec").map(|(key, _)| key.clone()).collect::<BTreeSet<String>>()
    };
    let differs = |key: &String| was["spec"].get(key) != is["spec"].get(key);
    let all: BTreeSet<String> = keys(was).union(&keys(is)).cloned().collect();
    let changed = all.into_iter().filter(|key| key != "replicas" && differs(key));
    changed.map(|key| format!("spec.{key}")).collect()
}
