//! What each claim and volume is. Pure.
//!
//! The order in which a claim is asked is the order of safety: first whoever
//! may use it, then whether everybody who may was read at all, then whose it
//! is, and only then what it is an orphan of.

use std::collections::{BTreeMap, HashMap, HashSet};

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::model::{Claim, Facts, Kind, Labels, Owner, Pod, Set, Text, Uid, Volume};
use crate::{
    output::text::{age, list},
    workload::{bytes, canonical_ordinal},
};

/// A deletion that takes longer than this waits for somebody.
const STUCK: SignedDuration = SignedDuration::from_secs(60);

/// What a claim or a volume is, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Of an ordinal behind the range of its set
    OrdinalBeyond,
    /// Of an ordinal below ordinals.start
    OrdinalBelowStart,
    /// Named as by a set that does not exist
    SetGone,
    /// Named as by a template that its set does not have
    TemplateRenamed,
    /// Its owner does not exist any more
    OwnerGone,
    /// No pod and no template names it
    Unreferenced,
    /// Phase Lost: its volume is gone
    Lost,
    /// Phase Pending: it never had a volume
    PendingNeverBound,
    /// Deleted long ago, and still there
    TerminatingStuck,
    /// A volume whose claim is gone
    PvReleased,
    /// A volume that could not be reclaimed
    PvFailed,
    /// Of a set at 0 replicas
    Parked,
    /// Of an ordinal that an autoscaler may bring back
    Elastic,
    /// Something else looks after it
    Managed,
    /// Of two sets at once
    Conflict,
    /// Not everything could be read that decides
    Unknown,
}

impl Class {
    /// `ordinal-beyond`.
    pub fn name(self) -> &'static str {
        match self {
            Class::OrdinalBeyond => "ordinal-beyond",
            Class::OrdinalBelowStart => "ordinal-below-start",
            Class::SetGone => "set-gone",
            Class::TemplateRenamed => "template-renamed",
            Class::OwnerGone => "owner-gone",
            Class::Unreferenced => "unreferenced",
            Class::Lost => "lost",
            Class::PendingNeverBound => "pending-never-bound",
            Class::TerminatingStuck => "terminating-stuck",
            Class::PvReleased => "pv-released",
            Class::PvFailed => "pv-failed",
            Class::Parked => "parked",
            Class::Elastic => "elastic",
            Class::Managed => "managed",
            Class::Conflict => "conflict",
            Class::Unknown => "unknown",
        }
    }

    /// Whether nothing needs it any more, as far as can be told. The others
    /// are named, so that nobody wonders, and are no orphans.
    pub fn is_orphan(self) -> bool {
        !matches!(
            self,
            Class::Parked | Class::Elastic | Class::Managed | Class::Conflict | Class::Unknown
        )
    }
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It rests on names and labels alone, or something speaks against it.
    Low,
    /// Names and labels agree, or only what this program does not know could
    /// need it.
    Medium,
    /// It follows from fields that were read.
    High,
}

impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// A claim or a volume that is not plainly in use.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `PersistentVolumeClaim` or `PersistentVolume`.
    pub kind: &'static str,
    /// Of a volume, that of the claim that had it.
    pub namespace: Option<String>,
    pub name: String,
    pub uid: String,
    pub class: Class,
    /// Whether nothing needs it any more. The other classes are only named.
    pub orphan: bool,
    pub confidence: Confidence,
    /// Why we believe it, the deciding sentence first.
    pub evidence: Vec<String>,
    /// The set that it is or was of; of several candidates none.
    pub set: Option<String>,
    pub template: Option<String>,
    pub ordinal: Option<u32>,
    pub phase: String,
    /// What it really has; of a claim without volume, what it asks for.
    pub size: Option<String>,
    pub bytes: Option<u64>,
    pub storage_class: Option<String>,
    pub access_modes: Vec<String>,
    /// The volume of a claim.
    pub volume: Option<String>,
    /// Of the volume: what becomes of the data when the claim is deleted.
    pub reclaim_policy: Option<String>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// Since when nothing uses it, where something says so. Never guessed
    /// from its age.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub idle_since: Option<Timestamp>,
    /// What says so.
    pub idle_source: &'static str,
    /// The node that the volume is attached to.
    pub node: Option<String>,
    /// What would bring it back, with its old data.
    pub readopted_by: Option<String>,
    /// From so many replicas on its set mounts it again.
    pub readopted_at: Option<u32>,
    /// What it costs a month, by `--price`.
    pub cost: Option<f64>,
    /// The names it could be of, for a filter by set.
    #[serde(skip)]
    pub candidates: Vec<String>,
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
}

impl Row {
    /// `persistentvolumeclaim/data-web-3`.
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind.to_ascii_lowercase(), self.name)
    }

    pub fn is_volume(&self) -> bool {
        self.kind == Kind::Volume.name()
    }

    /// For how long nothing has used it, where that is known.
    pub fn idle_for(&self, now: Timestamp) -> Option<SignedDuration> {
        self.idle_since.map(|since| now.duration_since(since))
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub rows: Vec<Row>,
    pub counts: Counts,
}

/// How many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub claims: usize,
    pub volumes: usize,
    /// Claims that a pod uses.
    pub used: usize,
    /// Claims that no pod uses, but a template names.
    pub referenced: usize,
    /// Claims that no pod uses yet, but an ordinal of a set is to have.
    pub expected: usize,
    /// Claims on their way out.
    pub leaving: usize,
}

/// Judges everything that was read.
pub fn judge(facts: &Facts, now: Timestamp) -> Verdict {
    Judge::new(facts, now).verdict()
}

/// Judges one claim as if it were in the list.
pub fn judge_claim(facts: &Facts, namespace: &str, name: &str, now: Timestamp) -> Option<Finding> {
    let judge = Judge::new(facts, now);
    let claim =
        facts.claims.iter().find(|one| &*one.namespace == namespace && &*one.name == name)?;
    Some(judge.claim(claim))
}

/// What a claim is.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A pod uses it: which.
    Used(String),
    /// A template names it: whose.
    Referenced(String),
    /// An ordinal of a set is to have it.
    Expected(String),
    /// It was deleted a moment ago.
    Leaving,
    Row(Box<Row>),
}

struct Judge<'a> {
    facts: &'a Facts,
    now: Timestamp,
    /// Namespace and claim, and the pod that uses it.
    users: HashMap<(&'a str, &'a str), &'a str>,
    /// The same for pods that have finished: evidence and no more.
    finished: HashMap<(&'a str, &'a str), &'a str>,
    templates: HashMap<(&'a str, &'a str), (Kind, &'a str)>,
    /// Namespace and `TEMPLATE-SET`, and whose name that is.
    heads: HashMap<(&'a str, String), Vec<Candidate<'a>>>,
    sets: HashMap<&'a str, Vec<&'a Set>>,
    /// Namespace, head and labels of claims that no set would make.
    families: HashMap<(&'a str, &'a str, &'a Labels), Family<'a>>,
    volumes: HashMap<&'a str, &'a Volume>,
    /// Claims that a volume without a claim names as its last.
    again: HashMap<(&'a str, &'a str), &'a Claim>,
}

/// Claims that differ in the ordinal alone.
#[derive(Default)]
struct Family<'a> {
    members: Vec<&'a str>,
    in_use: bool,
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    set: &'a Set,
    template: &'a Text,
}

/// Whose a claim is, by its owner references.
enum Owned {
    Nobody,
    /// All owners are gone.
    ByTheDead(String),
    /// As whenDeleted=Delete makes it.
    BySet(String),
    By(String, Confidence),
}

impl<'a> Judge<'a> {
    fn new(facts: &'a Facts, now: Timestamp) -> Judge<'a> {
        let mut judge = Judge {
            facts,
            now,
            users: HashMap::new(),
            finished: HashMap::new(),
            templates: HashMap::new(),
            heads: HashMap::new(),
            sets: HashMap::new(),
            families: HashMap::new(),
            volumes: facts.volumes.iter().map(|volume| (&*volume.name, volume)).collect(),
            again: HashMap::new(),
        };
        for pod in &facts.pods {
            judge.note_pod(pod);
        }
        for workload in &facts.workloads {
            for claim in &workload.claims {
                judge
                    .templates
                    .entry((&*workload.namespace, &**claim))
                    .or_insert((workload.kind, &*workload.name));
            }
        }
        for set in &facts.sets {
            judge.sets.entry(&*set.namespace).or_default().push(set);
            for template in &set.templates {
                let head = format!("{template}-{}", set.name);
                let found = judge.heads.entry((&*set.namespace, head)).or_default();
                found.push(Candidate { set, template });
            }
        }
        for claim in &facts.claims {
            if let Some((head, _)) = split(&claim.name)
                && judge.candidates(&claim.namespace, &claim.name).is_empty()
            {
                let in_use = judge.users.contains_key(&(&*claim.namespace, &*claim.name));
                let key = (&*claim.namespace, head, &*claim.labels);
                let family = judge.families.entry(key).or_default();
                family.members.push(&claim.name);
                family.in_use |= in_use;
            }
        }
        let left = facts.volumes.iter().filter(|volume| is_left(volume));
        let wanted: HashSet<(&str, &str)> = left
            .filter_map(|volume| volume.claim.as_ref())
            .map(|claim| (&*claim.namespace, &*claim.name))
            .collect();
        for claim in &facts.claims {
            let key = (&*claim.namespace, &*claim.name);
            if wanted.contains(&key) {
                judge.again.insert(key, claim);
            }
        }
        judge
    }

    fn note_pod(&mut self, pod: &'a Pod) {
        let to = if pod.finished { &mut self.finished } else { &mut self.users };
        for claim in &pod.claims {
            to.insert((&*pod.namespace, &**claim), &*pod.name);
        }
    }

    fn verdict(&self) -> Verdict {
        let mut counts = Counts {
            claims: self.facts.claims.len(),
            volumes: self.facts.volumes.len(),
            ..Counts::default()
        };
        let mut rows = Vec::new();
        for claim in &self.facts.claims {
            match self.claim(claim) {
                Finding::Used(_) => counts.used += 1,
                Finding::Referenced(_) => counts.referenced += 1,
                Finding::Expected(_) => counts.expected += 1,
                Finding::Leaving => counts.leaving += 1,
                Finding::Row(row) => rows.push(*row),
            }
        }
        rows.extend(self.facts.volumes.iter().filter_map(|volume| self.volume(volume)));
        Verdict { rows, counts }
    }

    fn candidates(&self, namespace: &'a str, name: &str) -> Vec<(Candidate<'a>, u32)> {
        let Some((head, ordinal)) = split(name) else { return Vec::new() };
        // The key owns its text, so that a lookup needs one as well.
        let found = self.heads.get(&(namespace, head.to_owned()));
        found.into_iter().flatten().map(|candidate| (*candidate, ordinal)).collect()
    }

    fn claim(&self, claim: &'a Claim) -> Finding {
        let key = (&*claim.namespace, &*claim.name);
        let user = self.users.get(&key).copied();
        if let Some(since) = claim.deleting {
            return self.leaving(claim, since, user);
        }
        if let Some(pod) = user {
            return Finding::Used(pod.to_owned());
        }
        if let Some((kind, name)) = self.templates.get(&key) {
            return Finding::Referenced(format!("{}/{name}", kind.name()));
        }
        let candidates = self.candidates(&claim.namespace, &claim.name);
        if let [(candidate, ordinal)] = candidates.as_slice()
            && candidate.set.has(*ordinal)
        {
            return Finding::Expected(format!("StatefulSet/{}", candidate.set.name));
        }
        Finding::Row(Box::new(self.row(claim, &candidates)))
    }

    fn row(&self, claim: &'a Claim, candidates: &[(Candidate<'a>, u32)]) -> Row {
        let blind = self.facts.missing_of(&Kind::USERS);
        if !blind.is_empty() {
            let names: Vec<&str> = blind.iter().map(|kind| kind.resource()).collect();
            let why = format!("{} could not be read: whatever uses it may be there", list(&names));
            return with_candidate(self.base(claim, Class::Unknown, why), candidates);
        }
        if claim.migrates {
            let why = "a migration of kubectl stateful has it in hand".to_owned();
            return with_candidate(self.base(claim, Class::Managed, why), candidates);
        }
        match self.owned(claim) {
            Owned::ByTheDead(owners) => {
                let why = format!("{owners}, by uid: the garbage collector should take it away");
                return with_candidate(self.base(claim, Class::OwnerGone, why), candidates);
            }
            Owned::By(owner, confidence) => {
                let row = Row { confidence, ..self.base(claim, Class::Managed, owner) };
                return with_candidate(row, candidates);
            }
            Owned::BySet(owner) if candidates.is_empty() => {
                return self.renamed(claim).unwrap_or_else(|| {
                    with_candidate(self.base(claim, Class::Managed, owner), candidates)
                });
            }
            Owned::Nobody | Owned::BySet(_) => {}
        }
        match candidates {
            [] => self.of_no_set(claim),
            [(candidate, ordinal)] => self.of_set(claim, *candidate, *ordinal),
            several => self.of_several(claim, several),
        }
    }

    /// Of exactly one set, outside of its range.
    fn of_set(&self, claim: &'a Claim, candidate: Candidate<'a>, ordinal: u32) -> Row {
        let Candidate { set, template } = candidate;
        let name = &set.name;
        let range = range(set);
        let (class, why) = if ordinal < set.start {
            let why = format!("{name} begins at ordinal {} (spec.ordinals.start)", set.start);
            (Class::OrdinalBelowStart, why)
        } else if set.replicas == 0 {
            (Class::Parked, format!("{name} is at 0 replicas"))
        } else if let Some(scaler) = self.scaler_for(set, ordinal) {
            (Class::Elastic, format!("{range}; {scaler}"))
        } else {
            let blind = self.facts.missing_of(&Kind::SCALERS);
            if blind.is_empty() {
                (Class::OrdinalBeyond, range)
            } else {
                let names: Vec<&str> = blind.iter().map(|kind| kind.resource()).collect();
                let why = format!(
                    "{range}, and {} could not be read: whether an autoscaler brings it back is \
                     not known",
                    list(&names)
                );
                (Class::Unknown, why)
            }
        };
        let mut row = self.stated(claim, class, why);
        row.set = Some(name.to_string());
        row.candidates = vec![name.to_string()];
        row.template = Some(template.to_string());
        row.ordinal = Some(ordinal);
        row.readopted_at = set.replicas_for(ordinal);
        let how = if let Some(replicas) = row.readopted_at {
            format!("scaling {name} to {replicas} or more mounts it again")
        } else {
            format!("setting spec.ordinals.start of {name} to {ordinal} or less mounts it again")
        };
        row.readopted_by = Some(self.with_age(how, &row));
        if matches!(self.owned(claim), Owned::BySet(_)) {
            row.evidence.push(format!("it goes when {name} is deleted (whenDeleted=Delete)"));
        }
        row
    }

    /// An orphan's class gives way to what its phase says.
    fn stated(&self, claim: &'a Claim, class: Class, why: String) -> Row {
        let state = match &*claim.phase {
            "Lost" => Some((Class::Lost, format!("its volume {} is gone", volume_of(claim)))),
            "Pending" => {
                Some((Class::PendingNeverBound, "it never had a volume, so no data".to_owned()))
            }
            _ => None,
        };
        match state {
            Some((state, first)) if class.is_orphan() => {
                let mut row = self.base(claim, state, first);
                row.evidence.insert(1, why);
                row
            }
            Some((_, also)) => {
                let mut row = self.base(claim, class, why);
                row.evidence.push(also);
                row
            }
            None => self.base(claim, class, why),
        }
    }

    fn of_several(&self, claim: &'a Claim, candidates: &[(Candidate<'a>, u32)]) -> Row {
        let each: Vec<String> = candidates
            .iter()
            .map(|(Candidate { set, template }, ordinal)| {
                let has = if set.has(*ordinal) { "has" } else { "has not" };
                format!(
                    "template {template} of {} ({}, it {has} ordinal {ordinal})",
                    set.name,
                    range(set)
                )
            })
            .collect();
        let why = format!("it is the claim of {}", each.join(" and of "));
        let mut row = self.base(claim, Class::Conflict, why);
        row.candidates = candidates.iter().map(|(one, _)| one.set.name.to_string()).collect();
        row.ordinal = candidates.first().map(|(_, ordinal)| *ordinal);
        row.readopted_by = Some("each of these sets mounts it when it gets that far".to_owned());
        row
    }

    fn of_no_set(&self, claim: &'a Claim) -> Row {
        if let Some(row) = self.renamed(claim) {
            return row;
        }
        if let Some(row) = self.set_gone(claim) {
            return row;
        }
        let why = "no pod uses it, and no template of a workload names it".to_owned();
        let mut row = self.stated(claim, Class::Unreferenced, why);
        if row.class == Class::Unreferenced {
            row.confidence = Confidence::Medium;
            if !self.facts.foreign.is_empty() {
                row.confidence = Confidence::Low;
                let groups: Vec<&str> = self.facts.foreign.iter().map(String::as_str).collect();
                row.evidence.push(format!(
                    "objects of {} may name claims: they are not read",
                    list(&groups)
                ));
            }
        }
        row
    }

    /// Of a set that is there, by a template that it does not have: a guess by
    /// name, and only where the labels are the set's.
    fn renamed(&self, claim: &'a Claim) -> Option<Row> {
        let (head, ordinal) = split(&claim.name)?;
        let mut fits: Vec<(&Set, &str)> = self
            .sets
            .get(&*claim.namespace)?
            .iter()
            .filter(|set| !set.labels.is_empty() && contains(&claim.labels, &set.labels))
            .filter_map(|set| {
                let template = head.strip_suffix(&*set.name)?.strip_suffix('-')?;
                (!template.is_empty()).then_some((*set, template))
            })
            .collect();
        fits.sort_by_key(|(set, _)| set.name.len());
        let sure = fits.len() == 1;
        let (set, template) = fits.pop()?;
        let known: Vec<&str> = set.templates.iter().map(|name| &**name).collect();
        let has = if known.is_empty() {
            "no volumeClaimTemplates".to_owned()
        } else {
            format!("the volumeClaimTemplates {}, not {template}", list(&known))
        };
        let why = format!("{} has {has}; the claim has the labels of its selector", set.name);
        let mut row = self.stated(claim, Class::TemplateRenamed, why);
        if row.class == Class::TemplateRenamed {
            row.confidence = if sure { Confidence::Medium } else { Confidence::Low };
        }
        row.set = sure.then(|| set.name.to_string());
        row.candidates = vec![set.name.to_string()];
        row.candidates.extend(fits.iter().map(|(set, _)| set.name.to_string()));
        row.template = sure.then(|| template.to_owned());
        row.ordinal = Some(ordinal);
        row.readopted_by =
            Some(format!("a volumeClaimTemplate {template} of {} mounts it again", set.name));
        Some(row)
    }

    /// Named as the claim of a set that does not exist. Nothing points back to
    /// a deleted set, so that this is a guess: by the name, by the labels that
    /// its controller copies, and by siblings that have the same.
    fn set_gone(&self, claim: &'a Claim) -> Option<Row> {
        let (head, ordinal) = split(&claim.name)?;
        if !head.trim_matches('-').contains('-') || claim.labels.is_empty() {
            return None;
        }
        let family = self.families.get(&(&*claim.namespace, head, &*claim.labels))?;
        // Somebody makes claims by number who is no StatefulSet.
        if family.in_use {
            return None;
        }
        let siblings = family.members.len().saturating_sub(1);
        let why =
            format!("no StatefulSet is there that would make {head} and an ordinal its claim");
        let mut row = self.stated(claim, Class::SetGone, why);
        if row.class == Class::SetGone {
            row.confidence = if siblings == 0 { Confidence::Low } else { Confidence::Medium };
            if !self.facts.foreign.is_empty() {
                row.confidence = Confidence::Low;
            }
        }
        if siblings > 0 {
            let others = family.members.iter().copied().filter(|name| *name != &*claim.name);
            let first: Vec<&str> = others.take(2).collect();
            let more = match siblings - first.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = first.join(", ");
            row.evidence.push(format!("{first}{more} beside it, with the same labels"));
        }
        row.ordinal = Some(ordinal);
        row.candidates = suffixes(head);
        let how = format!(
            "a StatefulSet whose template and name make {head} mounts it again at ordinal {ordinal}"
        );
        row.readopted_by = Some(self.with_age(how, &row));
        Some(row)
    }

    fn leaving(&self, claim: &'a Claim, since: Timestamp, user: Option<&str>) -> Finding {
        if self.now.duration_since(since) < STUCK {
            return Finding::Leaving;
        }
        let holders: Vec<&str> = claim.finalizers.iter().map(|name| &**name).collect();
        let holders = if holders.is_empty() { "nothing".to_owned() } else { list(&holders) };
        let why = format!(
            "it was deleted {} ago and is held by {holders}",
            age(self.now.duration_since(since))
        );
        let mut row = self.base(claim, Class::TerminatingStuck, why);
        if let Some(pod) = user {
            row.evidence.push(format!("pod {pod} uses it: it goes when that pod ends"));
        } else if self.facts.missing.contains(&Kind::Pod) {
            row.evidence.push("whether a pod uses it was not read".to_owned());
        }
        let candidates = self.candidates(&claim.namespace, &claim.name);
        Finding::Row(Box::new(with_candidate(row, &candidates)))
    }

    fn with_age(&self, how: String, row: &Row) -> String {
        match row.idle_for(self.now) {
            Some(idle) => format!("{how}, with data last used {} ago", age(idle)),
            None => how,
        }
    }

    fn owned(&self, claim: &Claim) -> Owned {
        let mut dead = Vec::new();
        let mut set = None;
        for owner in &claim.owners {
            let Owner { kind, name, uid, .. } = owner;
            let known = Kind::of_owner(&owner.api_version, kind);
            match known {
                Some(_) if !self.facts.live.contains(&Uid::of(uid)) => {
                    dead.push(format!("{kind} {name} is gone"));
                }
                Some(Kind::StatefulSet) => set = Some(format!("{kind} {name} owns it")),
                Some(_) => return Owned::By(format!("{kind} {name} owns it"), Confidence::High),
                None => {
                    let what =
                        format!("{kind} {name} owns it; whether that is there was not asked");
                    return Owned::By(what, Confidence::Medium);
                }
            }
        }
        match (set, dead.is_empty()) {
            (Some(owner), _) => Owned::BySet(owner),
            (None, false) => Owned::ByTheDead(dead.join(", ")),
            (None, true) => Owned::Nobody,
        }
    }

    /// The autoscaler that may make the ordinal.
    fn scaler_for(&self, set: &Set, ordinal: u32) -> Option<String> {
        let wanted = set.replicas_for(ordinal)?;
        let scaler = self.facts.scalers.iter().find(|scaler| {
            scaler.namespace == set.namespace
                && scaler.target == set.name
                && &*scaler.target_kind == "StatefulSet"
                && scaler.most >= wanted
        })?;
        Some(format!("{} {} may scale it to {}", scaler.kind.name(), scaler.name, scaler.most))
    }

    fn base(&self, claim: &'a Claim, class: Class, why: String) -> Row {
        let volume = claim.volume.as_ref().and_then(|name| self.volumes.get(&**name).copied());
        let size = claim.capacity.as_ref().or(claim.request.as_ref());
        let node = self.node_of(claim.volume.as_ref());
        let (idle_since, idle_source) = match (claim.unused, &node) {
            (Some(unused), _) if unused.holds => (unused.since, "condition Unused"),
            (_, Some(_)) => (None, "attached"),
            _ => (None, "unknown"),
        };
        let mut evidence = vec![why];
        let mut confidence = Confidence::High;
        if claim.unused.is_some_and(|unused| !unused.holds) {
            evidence.push("the server says that a pod uses it (condition Unused)".to_owned());
            confidence = Confidence::Low;
        }
        if let Some(node) = &node {
            evidence.push(format!("its volume is attached to {node}"));
            confidence = Confidence::Low;
        }
        if let Some(pod) = self.finished.get(&(&*claim.namespace, &*claim.name)) {
            evidence.push(format!("pod {pod}, which has finished, was the last to name it"));
        }
        if let Some(who) = &claim.kept_by {
            evidence.push(format!("{who} made it, and may make it again"));
        }
        if let (Some(name), None) = (&claim.volume, volume)
            && !self.facts.missing.contains(&Kind::Volume)
            && &*claim.phase != "Lost"
        {
            evidence.push(format!("its volume {name} was not found"));
        }
        Row {
            kind: Kind::Claim.name(),
            namespace: Some(claim.namespace.to_string()),
            name: claim.name.to_string(),
            uid: claim.uid.to_string(),
            class,
            orphan: class.is_orphan(),
            confidence,
            evidence,
            set: None,
            template: None,
            ordinal: None,
            phase: claim.phase.to_string(),
            size: size.map(ToString::to_string),
            bytes: size.and_then(|size| whole_bytes(size)),
            storage_class: claim.class.as_ref().map(ToString::to_string),
            access_modes: claim.access_modes.iter().map(ToString::to_string).collect(),
            volume: claim.volume.as_ref().map(ToString::to_string),
            reclaim_policy: volume.map(|volume| volume.policy.to_string()),
            created: claim.created,
            idle_since,
            idle_source,
            node,
            readopted_by: None,
            readopted_at: None,
            cost: None,
            candidates: Vec::new(),
            labels: owned_labels(&claim.labels),
        }
    }

    fn node_of(&self, volume: Option<&Text>) -> Option<String> {
        self.facts.attachments.get(volume?).map(ToString::to_string)
    }

    /// The claim that a volume had, and what became of it.
    fn whose(&self, volume: &Volume) -> String {
        let Some(claim) = &volume.claim else { return "it names no claim".to_owned() };
        let held = format!("it belonged to claim {}/{}", claim.namespace, claim.name);
        match self.again.get(&(&*claim.namespace, &*claim.name)) {
            Some(now) if now.uid == claim.uid => format!("{held}, which is still there"),
            Some(now) => {
                format!("{held}; another claim by that name has volume {} now", volume_of(now))
            }
            None if self.facts.missing.contains(&Kind::Claim) => held,
            None => format!("{held}, which is gone"),
        }
    }

    /// A volume that lost its claim.
    fn volume(&self, volume: &'a Volume) -> Option<Row> {
        if !is_left(volume) {
            return None;
        }
        let claim = volume.claim.as_ref();
        let here = self.facts.namespace.as_ref();
        if here.is_some_and(|here| claim.is_none_or(|claim| claim.namespace != *here)) {
            return None;
        }
        let fresh = |since: Option<Timestamp>| {
            since.is_some_and(|since| self.now.duration_since(since) < STUCK)
        };
        let released = &*volume.phase == "Released";
        // Its provisioner is at it.
        if &*volume.policy == "Delete" && released && fresh(volume.phase_since) {
            return None;
        }
        let class = match (volume.migrates, released) {
            (true, _) => Class::Managed,
            (false, true) => Class::PvReleased,
            (false, false) => Class::PvFailed,
        };
        let mut evidence = Vec::new();
        if volume.migrates {
            evidence.push("a migration of kubectl stateful has it in hand".to_owned());
        }
        evidence.push(self.whose(volume));
        evidence.push(what_becomes_of(volume).to_owned());
        let node = self.node_of(Some(&volume.name));
        if let Some(node) = &node {
            evidence.push(format!("it is attached to {node}"));
        }
        let (idle_since, idle_source) = match (&node, volume.phase_since) {
            (Some(_), _) => (None, "attached"),
            (None, Some(since)) if released => (Some(since), "Released since"),
            _ => (None, "unknown"),
        };
        let mut row = Row {
            kind: Kind::Volume.name(),
            namespace: claim.map(|claim| claim.namespace.to_string()),
            name: volume.name.to_string(),
            uid: volume.uid.to_string(),
            class,
            orphan: class.is_orphan(),
            confidence: if node.is_some() { Confidence::Low } else { Confidence::High },
            evidence,
            set: None,
            template: None,
            ordinal: None,
            phase: volume.phase.to_string(),
            size: volume.capacity.as_ref().map(ToString::to_string),
            bytes: volume.capacity.as_ref().and_then(|size| whole_bytes(size)),
            storage_class: volume.class.as_ref().map(ToString::to_string),
            access_modes: volume.access_modes.iter().map(ToString::to_string).collect(),
            volume: None,
            reclaim_policy: Some(volume.policy.to_string()),
            created: volume.created,
            idle_since,
            idle_source,
            node,
            readopted_by: None,
            readopted_at: None,
            cost: None,
            candidates: Vec::new(),
            labels: owned_labels(&volume.labels),
        };
        if let Some(claim) = claim {
            let candidates = self.candidates(&claim.namespace, &claim.name);
            let named = std::mem::replace(&mut row.name, claim.name.to_string());
            row = with_candidate(row, &candidates);
            row.name = named;
        }
        Some(row)
    }
}

/// Set and ordinal, where there is one candidate and the class does not
/// hang on it.
fn with_candidate(mut row: Row, candidates: &[(Candidate<'_>, u32)]) -> Row {
    row.candidates = candidates.iter().map(|(one, _)| one.set.name.to_string()).collect();
    row.ordinal = candidates.first().map(|(_, ordinal)| *ordinal);
    if let [(one, _)] = candidates {
        row.set = Some(one.set.name.to_string());
        row.template = Some(one.template.to_string());
    } else if candidates.is_empty()
        && let Some((head, _)) = split(&row.name)
    {
        row.candidates = suffixes(head);
    }
    row
}

/// By its policy.
fn what_becomes_of(volume: &Volume) -> &'static str {
    match (&*volume.policy, &*volume.phase) {
        ("Delete", "Released") => "policy Delete: its provisioner has not deleted it",
        ("Delete", _) => "policy Delete: deleting it failed",
        ("Recycle", _) => "policy Recycle: it is not available yet",
        _ => "policy Retain: it stays until somebody takes it",
    }
}

/// Whether its claim is gone, or taking it back has failed.
fn is_left(volume: &Volume) -> bool {
    matches!(&*volume.phase, "Released" | "Failed")
}

/// A name as a head and the ordinal behind its last dash; only the canonical
/// form, because the controller never writes `web-01`.
fn split(name: &str) -> Option<(&str, u32)> {
    let (head, digits) = name.rsplit_once('-')?;
    Some((head, canonical_ordinal(digits)?))
}

/// Every set that a head could end with, for a filter by name.
fn suffixes(head: &str) -> Vec<String> {
    head.match_indices('-')
        .filter(|(at, _)| *at > 0)
        .map(|(at, _)| head[at + 1..].to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// `web has ordinals 0 to 2`.
fn range(set: &Set) -> String {
    match set.replicas {
        0 => format!("{} is at 0 replicas", set.name),
        1 => format!("{} has ordinal {}", set.name, set.start),
        _ => format!("{} has ordinals {} to {}", set.name, set.start, set.end().saturating_sub(1)),
    }
}

fn volume_of(claim: &Claim) -> &str {
    claim.volume.as_deref().unwrap_or("<none>")
}

fn whole_bytes(size: &str) -> Option<u64> {
    bytes(size).and_then(|size| u64::try_from(size).ok())
}

fn contains(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn owned_labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}
