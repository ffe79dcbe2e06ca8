//! What is left of a migration whose journal does not exist, and what clears it. Pure.
//!
//! A run that is killed at the moment at which another one rolls back can leave its
//! last write behind, and somebody may delete a journal by hand. The objects still have
//! the mark. Those that hold no data, and whose policy can return, are cleared by
//! `rollback`, or by `finalize` where the set has the volumes; everything else is named
//! with a line for a person.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    journal::{ANNOTATION, FILLED, Tag},
    rules,
};
use crate::{
    cluster::{Resource, Write},
    handover::{
        self, CLAIM_DELETED, Original, holds, is_bound, is_held, is_of_scaling, is_waiting_for_us,
        needs_hold,
    },
    workload::{
        Finding,
        raw::{
            annotation, generation, is_leaving, is_observed, items, label, name, namespace, phase,
            policy, replicas, text, uid,
        },
    },
};

/// The objects among which remains are looked for. Those without a mark are passed
/// over; of the claims all are needed.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub objects: Vec<(Resource, Value)>,
    pub claims: Vec<Value>,
    /// The journals, read after everything else: a migration makes its journal first,
    /// so that an object whose journal is not among these has none.
    pub journals: Vec<Value>,
}

/// What is left of one migration.
#[derive(Clone, Debug)]
pub struct Remains {
    pub op: String,
    pub namespace: String,
    /// The set, if an object tells its name.
    pub set: Option<String>,
    objects: Vec<(Resource, Value)>,
    /// The claims that hold its volumes.
    holders: Vec<Value>,
    pub way: Way,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `rollback`: the volumes are with their old claims, and nothing uses what the
    /// migration made.
    Back,
    /// `finalize`: the set has the volumes.
    On,
    /// Some volumes are with their old claims, and others with those of the set.
    Open,
}

impl Way {
    pub fn verb(self) -> Option<&'static str> {
        match self {
            Way::Back => Some("rollback"),
            Way::On => Some("finalize"),
            Way::Open => None,
        }
    }
}

/// One object that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remnant {
    pub resource: Resource,
    pub namespace: String,
    pub name: String,
    /// What it is, in a sentence.
    pub what: String,
    /// Whether the verb of the way clears it.
    pub is_cleared: bool,
    /// The line that clears it, without the flags of a connection.
    pub line: String,
}

impl Remnant {
    /// `flags` are those of the connection.
    pub fn finding(&self, flags: &str) -> Finding {
        let on = format!("{}/{}", self.resource.singular, self.name);
        rules::REMAINS.found(on, &self.what).hint(format!("{}{flags}", self.line))
    }
}

/// The next thing to do about what is left.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Write(Box<Write>),
    /// Nothing more that a verb clears.
    Done,
}

/// The operation whose mark an object has: in a tag on a volume, in a label on a set.
fn operation(resource: Resource, object: &Value) -> Option<String> {
    let mark = annotation(object, ANNOTATION).or_else(|| label(object, ANNOTATION))?;
    let op = match resource {
        Resource::VOLUME => Tag::read(mark)?.op,
        _ => mark.to_owned(),
    };
    (!is_of_scaling(&op)).then_some(op)
}

/// What is left, by operation.
pub fn remains(found: &Found) -> Vec<Remains> {
    let mut groups: BTreeMap<(String, String), Vec<(Resource, Value)>> = BTreeMap::new();
    let claims = found.claims.iter().map(|claim| (Resource::CLAIM, claim));
    let all = found.objects.iter().map(|(resource, object)| (*resource, object)).chain(claims);
    for (resource, object) in all {
        let Some(op) = operation(resource, object) else { continue };
        let tag = Tag::of(object).filter(|_| resource == Resource::VOLUME);
        let space = tag.as_ref().map(|tag| tag.namespace.as_str()).or_else(|| namespace(object));
        let space = space.unwrap_or_default().to_owned();
        let has_journal = found.journals.iter().any(|journal| {
            namespace(journal) == Some(space.as_str())
                && handover::is_journal_of(journal, &op, tag.as_ref())
        });
        if !has_journal {
            groups.entry((space, op)).or_default().push((resource, object.clone()));
        }
    }
    let make = |((namespace, op), objects)| Remains::of(op, namespace, objects, &found.claims);
    groups.into_iter().map(make).collect()
}

/// The line that takes the mark from a volume, which stays as it is.
pub fn unmark(volume: &Value) -> String {
    let keys = [ANNOTATION, CLAIM_DELETED];
    let there = keys.iter().filter(|key| annotation(volume, key).is_some());
    let gone: Vec<String> = there.map(|key| format!("{key}-")).collect();
    format!("kubectl annotate persistentvolume/{} {}", name(volume), gone.join(" "))
}

impl Remains {
    fn of(
        op: String,
        namespace: String,
        objects: Vec<(Resource, Value)>,
        claims: &[Value],
    ) -> Remains {
        let of_kind = |kind: Resource| {
            objects.iter().filter(move |(resource, _)| *resource == kind).map(|(_, one)| one)
        };
        let holder = |volume: &Value| claims.iter().find(|claim| holds(volume, claim)).cloned();
        let holders: Vec<Value> = of_kind(Resource::VOLUME).filter_map(holder).collect();
        let tagged = of_kind(Resource::VOLUME).filter_map(|volume| {
            Some((Tag::of(volume)?, claims.iter().find(|claim| holds(volume, claim))?))
        });
        let (mut home, mut away) = (false, false);
        for (tag, claim) in tagged.filter(|(tag, _)| tag.old.name != tag.new) {
            home |= tag.old.uid == uid(claim) || tag.old.name == name(claim);
            away |= tag.new == name(claim);
        }
        let runs = of_kind(Resource::STATEFUL_SET).any(|set| !is_empty(set, claims));
        let way = match (home, away || runs) {
            (true, true) => Way::Open,
            (_, true) => Way::On,
            (_, false) => Way::Back,
        };
        let by_tag = of_kind(Resource::VOLUME).find_map(Tag::of).map(|tag| tag.set().to_owned());
        let by_name = of_kind(Resource::STATEFUL_SET).next().map(|set| name(set).to_owned());
        let set = by_name.or(by_tag);
        Remains { op, namespace, set, objects, holders, way }
    }

    /// Whether it is left of a migration to this set.
    pub fn is_of(&self, set: &str) -> bool {
        self.set.as_deref() == Some(set)
    }

    /// Each object, with what clears it.
    pub fn remnants(&self) -> Vec<Remnant> {
        let each = self.objects.iter().map(|(resource, object)| {
            let Judged { what, write, by_hand } = self.judge(*resource, object);
            let verb = self.set.as_ref().zip(self.way.verb());
            let verb = verb.filter(|_| write.is_some());
            let namespace = &self.namespace;
            Remnant {
                resource: *resource,
                namespace: namespace.clone(),
                name: name(object).to_owned(),
                what,
                is_cleared: verb.is_some(),
                line: verb.map_or(by_hand, |(set, verb)| {
                    format!("kubectl stateful migrate {verb} sts/{set} -n {namespace}")
                }),
            }
        });
        each.collect()
    }

    /// The next write that clears something. What holds no data goes first, and what
    /// tells the name of the set last.
    pub fn next(&self) -> Next {
        let order = |resource: Resource| match (resource, self.way) {
            (Resource::STATEFUL_SET, Way::On) => 9,
            (Resource::VOLUME, _) => 5,
            _ => 1,
        };
        let mut sorted: Vec<&(Resource, Value)> = self.objects.iter().collect();
        sorted.sort_by_key(|(resource, _)| order(*resource));
        let write =
            sorted.into_iter().find_map(|(resource, object)| self.judge(*resource, object).write);
        write.map_or(Next::Done, |write| Next::Write(Box::new(write)))
    }

    fn judge(&self, resource: Resource, object: &Value) -> Judged {
        match resource {
            Resource::VOLUME => self.judge_volume(object),
            Resource::CLAIM => self.judge_claim(object),
            Resource::STATEFUL_SET => self.judge_set(object),
            other => self.judge_other(other, object),
        }
    }

    /// A volume gets the policy back that its mark records, if it is bound.
    fn judge_volume(&self, volume: &Value) -> Judged {
        let called = name(volume);
        let by_hand = unmark(volume);
        let now = policy(volume);
        let holder = self.holders.iter().find(|claim| holds(volume, claim));
        let Some((tag, claim)) = Tag::of(volume).zip(holder) else {
            let what = format!(
                "volume {called} has the mark of a migration whose journal is gone; it is {}, under \
                 policy {now}, and no claim has it; the line takes the mark away and leaves it as \
                 it is",
                phase(volume)
            );
            return Judged { what, write: None, by_hand };
        };
        let (was, holder) = (tag.policy.clone(), name(claim));
        let what = format!(
            "volume {called} has the mark of a migration whose journal is gone; claim {holder} has \
             it, and its policy is {now}, which was {was}"
        );
        let ours = [&tag.old.name, &tag.new].iter().any(|known| *known == holder);
        let original = Original::tagged(tag, false);
        let write = if is_waiting_for_us(claim) {
            handover::finish_deletion(claim, Some(volume), Some(&original))
        } else if !ours || self.way == Way::Open || !is_bound(volume, claim) {
            None
        } else if needs_hold(&original, claim) {
            handover::hold_for(claim, &self.op)
        } else {
            handover::release(volume, claim, &original)
        };
        let what = if write.is_some() {
            what
        } else {
            format!("{what}; the line takes the mark away and leaves the policy as it is")
        };
        Judged { what, write, by_hand }
    }

    fn judge_claim(&self, claim: &Value) -> Judged {
        let (called, namespace) = (name(claim), &self.namespace);
        let volume = text(claim, "/spec/volumeName").unwrap_or("<none>");
        let delete = format!("kubectl delete pvc/{called} -n {namespace}");
        let say = |state: &str| {
            format!("claim {called} has the mark of a migration whose journal is gone; {state}")
        };
        let by_hand = format!("kubectl annotate pvc/{called} {ANNOTATION}- -n {namespace}");
        let of_marked = self
            .objects
            .iter()
            .find(|(resource, object)| *resource == Resource::VOLUME && holds(object, claim));
        if of_marked.is_some() {
            // The volume comes first; without its mark the claim is free, too.
            let what = say(&format!("it has volume {volume}, which has the mark as well"));
            return Judged { what, write: None, by_hand };
        }
        if is_leaving(claim) {
            let write = is_held(claim)
                .then(|| handover::clean(Resource::CLAIM, claim, &[FILLED], None))
                .flatten();
            let by_hand = format!("kubectl describe pvc/{called} -n {namespace}");
            return Judged { what: say("it is being deleted"), write, by_hand };
        }
        if phase(claim) == "Bound" {
            let what = say(&format!("it is bound to volume {volume}"));
            let is_kept = self.way == Way::On || is_held(claim);
            if is_kept {
                let write = handover::clean(Resource::CLAIM, claim, &[FILLED], None);
                return Judged { what, write, by_hand };
            }
            let what = format!(
                "{what}, which the migration filled; deleting the claim deletes the volume, unless \
                 its policy is Retain"
            );
            return Judged { what, write: None, by_hand: delete };
        }
        let write = (self.way == Way::Back)
            .then(|| handover::delete(Resource::CLAIM, claim, "it holds no volume"));
        let what = say(&format!("it is {} and holds no volume", phase(claim)));
        Judged { what, write, by_hand: delete }
    }

    fn judge_set(&self, set: &Value) -> Judged {
        let (called, namespace) = (name(set), &self.namespace);
        let say = |state: &str| {
            format!(
                "StatefulSet {called} has the mark of a migration whose journal is gone; {state}"
            )
        };
        let by_hand = format!("kubectl label statefulset/{called} {ANNOTATION}- -n {namespace}");
        let clean = || handover::clean(Resource::STATEFUL_SET, set, &[FILLED], None);
        if is_leaving(set) {
            let by_hand = format!("kubectl describe statefulset/{called} -n {namespace}");
            return Judged { what: say("it is being deleted"), write: None, by_hand };
        }
        let scaled = say(&format!("it is scaled to {}", replicas(set)));
        match self.way {
            // Otherwise it would not be the way back.
            Way::Back => {
                let write = handover::delete(Resource::STATEFUL_SET, set, "it has no pods");
                Judged { what: say("it has no pods"), write: Some(write), by_hand }
            }
            Way::On => Judged { what: scaled, write: clean(), by_hand },
            Way::Open => Judged { what: scaled, write: None, by_hand },
        }
    }

    /// A Service, a Job that copied, a snapshot.
    fn judge_other(&self, resource: Resource, object: &Value) -> Judged {
        let (called, namespace) = (name(object), &self.namespace);
        let singular = resource.singular;
        let what =
            format!("{} {called} has the mark of a migration whose journal is gone", resource.kind);
        let by_hand = if self.way == Way::Back || resource != Resource::SERVICE {
            format!("kubectl delete {singular}/{called} -n {namespace}")
        } else {
            format!("kubectl annotate {singular}/{called} {ANNOTATION}- -n {namespace}")
        };
        let write = match (is_leaving(object), self.way) {
            (true, _) | (_, Way::Open) => None,
            (_, Way::On) if resource == Resource::SERVICE => {
                handover::clean(resource, object, &[FILLED], None)
            }
            _ => Some(handover::delete(resource, object, "made for the migration")),
        };
        Judged { what, write, by_hand }
    }
}

/// An object that is left: what it is, the write that clears it, and the line for a
/// person where no verb does.
struct Judged {
    what: String,
    write: Option<Write>,
    by_hand: String,
}

/// Whether a set has no pods, wants none, and owns nothing that would go with it.
fn is_empty(set: &Value, claims: &[Value]) -> bool {
    let of_status = set.pointer("/status/replicas").and_then(Value::as_u64).unwrap_or_default();
    let owns = |claim: &Value| {
        let mut owners = items(claim, "/metadata/ownerReferences");
        owners.any(|owner| text(owner, "/uid") == Some(uid(set)))
    };
    // A set that was made without pods and never scaled has none before the controller
    // has seen it, either.
    let is_seen = is_observed(set) || generation(set) == 1;
    replicas(set) == 0 && of_status == 0 && is_seen && !claims.iter().any(owns)
}
