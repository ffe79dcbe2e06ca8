//! Classifies each claim and volume. Pure.
//!
//! The checks of a claim are ordered by safety: first whether something uses
//! it, then whether everything that may use it was read, then who owns it, and
//! only then what kind of orphan it is ([`class`]).

mod class;
mod evidence;
mod guess;
mod leaving;
mod operation;
mod owners;
mod volume;

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use self::owners::Ownership;
use super::{
    model::{Claim, Facts, Kind, Labels, Pod, Set, Text, Uid, Volume},
    row::{Class, Row},
};
use crate::{output::text::list, workload::canonical_ordinal};

/// A deletion that takes longer than this waits for a finalizer.
const STUCK: SignedDuration = SignedDuration::from_secs(60);

/// The result.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub rows: Vec<Row>,
    pub counts: Counts,
}

/// How many claims and volumes were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub claims: usize,
    pub volumes: usize,
    /// Claims that a pod uses, those that are being deleted included.
    pub used: usize,
    /// Claims that no pod uses, but a template names.
    pub referenced: usize,
    /// Claims of ordinals in the range of their set, whose pods do not exist.
    pub expected: usize,
    /// Claims that were deleted a moment ago.
    pub leaving: usize,
}

/// Judges everything that was read.
pub fn judge(facts: &Facts, now: Timestamp) -> Verdict {
    Judge::new(facts, now).verdict()
}

/// Judges one claim; `None` if it was not read.
pub fn judge_claim(
    facts: &Facts,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> Option<Judgement> {
    let judge = Judge::new(facts, now);
    let claim =
        facts.claims.iter().find(|one| &*one.namespace == namespace && &*one.name == name)?;
    Some(judge.claim(claim))
}

/// The row of a volume whose claim is gone, or of one that is reserved for a
/// claim that does not exist yet; `None` for any other.
pub fn judge_volume(facts: &Facts, name: &str, now: Timestamp) -> Option<Row> {
    let judge = Judge::new(facts, now);
    let volume = facts.volumes.iter().find(|volume| &*volume.name == name)?;
    judge.free_volume(volume)
}

/// Whether a claim is needed, and if not, its row in the report.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// This pod uses it.
    Used(String),
    /// The template of this workload names it.
    Referenced(String),
    /// It belongs to an ordinal of this set.
    Expected(String),
    /// It was deleted less than a minute ago.
    Leaving,
    Row(Box<Row>),
}

struct Judge<'a> {
    facts: &'a Facts,
    now: Timestamp,
    /// By namespace and claim, the pod that uses it.
    users: HashMap<(&'a str, &'a str), &'a Pod>,
    /// The same for pods that have finished: these only add evidence.
    finished: HashMap<(&'a str, &'a str), &'a Pod>,
    templates: HashMap<(&'a str, &'a str), (Kind, &'a str)>,
    /// By namespace and `TEMPLATE-SET`, the sets and templates with that name.
    heads: HashMap<(&'a str, String), Vec<Candidate<'a>>>,
    sets: HashMap<&'a str, Vec<&'a Set>>,
    /// By namespace, head and labels, claims that belong to no set.
    families: HashMap<(&'a str, &'a str, &'a Labels), Family<'a>>,
    volumes: HashMap<&'a str, &'a Volume>,
    /// The volumes of each disk that has several.
    twins: HashMap<Uid, Vec<&'a Volume>>,
    /// Claims with the name of the former claim of a Released or Failed volume.
    namesakes: HashMap<(&'a str, &'a str), &'a Claim>,
}

/// Claims that differ only in the ordinal.
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
            twins: volume::twins(&facts.volumes),
            namesakes: HashMap::new(),
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
        let left = facts.volumes.iter().filter(|volume| volume::is_free(volume));
        let wanted: HashSet<(&str, &str)> = left
            .filter_map(|volume| volume.claim.as_ref())
            .map(|claim| (&*claim.namespace, &*claim.name))
            .collect();
        for claim in &facts.claims {
            let key = (&*claim.namespace, &*claim.name);
            if wanted.contains(&key) {
                judge.namesakes.insert(key, claim);
            }
        }
        judge
    }

    fn note_pod(&mut self, pod: &'a Pod) {
        let to = if pod.finished { &mut self.finished } else { &mut self.users };
        for claim in &pod.claims {
            let named = to.entry((&*pod.namespace, &**claim)).or_insert(pod);
            // One that runs says more than one that waits for a node.
            if pod.on_node && !named.on_node {
                *named = pod;
            }
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
                Judgement::Used(_) => counts.used += 1,
                Judgement::Referenced(_) => counts.referenced += 1,
                Judgement::Expected(_) => counts.expected += 1,
                Judgement::Leaving => counts.leaving += 1,
                Judgement::Row(row) => {
                    counts.used += usize::from(row.class == Class::TerminatingInUse);
                    rows.push(*row);
                }
            }
        }
        rows.extend(self.facts.volumes.iter().filter_map(|volume| self.volume(volume)));
        Verdict { rows, counts }
    }

    fn candidates(&self, namespace: &'a str, name: &str) -> Vec<(Candidate<'a>, u32)> {
        let Some((head, ordinal)) = split(name) else { return Vec::new() };
        let found = self.heads.get(&(namespace, head.to_owned()));
        found.into_iter().flatten().map(|candidate| (*candidate, ordinal)).collect()
    }

    fn claim(&self, claim: &'a Claim) -> Judgement {
        let key = (&*claim.namespace, &*claim.name);
        let user = self.users.get(&key).copied();
        if let Some(since) = claim.deleting {
            return self.leaving(claim, since, user);
        }
        if let Some(pod) = user {
            return Judgement::Used(pod.name.to_string());
        }
        if let Some((kind, name)) = self.templates.get(&key) {
            return Judgement::Referenced(format!("{}/{name}", kind.name()));
        }
        let candidates = self.candidates(&claim.namespace, &claim.name);
        if let [(candidate, ordinal)] = candidates.as_slice()
            && candidate.set.has(*ordinal)
        {
            return Judgement::Expected(format!("StatefulSet/{}", candidate.set.name));
        }
        Judgement::Row(Box::new(self.row(claim, &candidates)))
    }

    fn row(&self, claim: &'a Claim, candidates: &[(Candidate<'a>, u32)]) -> Row {
        let missing = self.facts.missing_of(&Kind::USERS);
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|kind| kind.resource().name()).collect();
            let why = format!("{} could not be read: something there may use it", list(&names));
            return with_candidate(self.base(claim, Class::Unknown, why), candidates);
        }
        if let Some(mark) = &claim.mark {
            let at = (&*claim.namespace, &*claim.name);
            let of = self.operation(mark, claim.volume.as_ref(), at);
            let row = with_candidate(self.base(claim, of.class, of.why), candidates);
            return Row { goes_on: of.line, ..row };
        }
        match self.ownership(claim) {
            Ownership::OwnerGone(owners) => {
                let why = format!("{owners} (by uid): the garbage collector should delete it");
                return with_candidate(self.base(claim, Class::OwnerGone, why), candidates);
            }
            Ownership::Other(owner, confidence) => {
                let row = Row { confidence, ..self.base(claim, Class::Managed, owner) };
                return with_candidate(row, candidates);
            }
            Ownership::Set(owner) if candidates.is_empty() => {
                return self.renamed(claim).unwrap_or_else(|| {
                    with_candidate(self.base(claim, Class::Managed, owner), candidates)
                });
            }
            Ownership::None | Ownership::Set(_) => {}
        }
        match candidates {
            [] => self.of_no_set(claim),
            [(candidate, ordinal)] => self.of_set(claim, *candidate, *ordinal),
            several => self.of_several(claim, several),
        }
    }
}

/// Adds set and ordinal where there is one candidate.
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

/// Splits a name into its head and the ordinal after the last dash. Only the
/// canonical form counts: the controller never writes `web-01`.
fn split(name: &str) -> Option<(&str, u32)> {
    let (head, digits) = name.rsplit_once('-')?;
    Some((head, canonical_ordinal(digits)?))
}

/// Every set name that a head could end with, for the filter by set.
fn suffixes(head: &str) -> Vec<String> {
    head.match_indices('-')
        .filter(|(at, _)| *at > 0)
        .map(|(at, _)| head[at + 1..].to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

fn volume_of(claim: &Claim) -> &str {
    claim.volume.as_deref().unwrap_or("<none>")
}

fn contains(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}
