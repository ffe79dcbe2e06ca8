//! Sets old claims aside: the volume is handed over to a claim of another name,
//! and the old name is free. Nothing on the volume is touched. Pure.
//!
//! A claim cannot be renamed, but a volume can be handed over: it is protected
//! first, swapped in one write and bound, and gets its policy back last
//! ([`crate::handover`]).

mod moves;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::moves::Stand;
pub use self::moves::{Move, next};
use super::{preview::Preview, record::Record, rules};
use crate::{
    cluster::claims::Claims,
    handover::{
        self, ASIDE, BOUND_BY_CONTROLLER, Held, Original, SCALING, Tag, book_name, is_bound,
        is_marked, is_of_scaling, is_tagged,
    },
    workload::{
        Claim, Facts, Finding, MIGRATION_MARK, Severity, StatefulSet,
        raw::{annotation, name, text, uid},
    },
};

/// Claims to set aside, including those that partly are.
#[derive(Clone, Debug)]
pub struct Aside {
    pub disks: Vec<Disk>,
}

/// A claim and its volume.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The id of the operation in our marks on claims and volumes.
    op: String,
    pub old: Held,
    /// The claim under its other name, as it is created.
    pub new: Value,
    pub volume: Held,
    pub original: Original,
    /// Whether the claim keeps its volume after all, and only the marks go.
    pub back: bool,
}

impl Disk {
    /// What an earlier run has left to do.
    fn line(&self) -> String {
        let (volume, old) = (&self.volume.name, &self.old.name);
        if self.back {
            format!("claim {old} keeps volume {volume}: setting it aside was begun, and is undone")
        } else {
            format!("volume {volume} of {old} is set aside as claim {}", name(&self.new))
        }
    }
}

/// A claim to set aside, and its other name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub op: String,
    pub claim: String,
    pub aside: String,
    /// Its volume, where an earlier run has begun with it.
    pub volume: Option<String>,
}

/// What the names of all claims end in that this scaling sets aside.
fn tail(record: &Record) -> String {
    record.started.strftime(&format!("{ASIDE}%Y%m%dt%H%M%S")).to_string()
}

/// The id of the scaling in our marks.
fn op(record: &Record) -> String {
    record.started.strftime(&format!("{SCALING}%Y%m%dt%H%M%S")).to_string()
}

/// The name under which a claim is kept: `data-web-3-aside-20261121t101500`.
pub fn aside(claim: &str, record: &Record) -> String {
    let tail = tail(record);
    // Names have at most 253 characters.
    let room = 253 - tail.len();
    format!("{}{tail}", claim.get(..room).unwrap_or(claim))
}

/// The claims of an ordinal, with the names that this scaling gives them.
pub fn names(set: &StatefulSet, record: &Record, ordinal: u32) -> Vec<Names> {
    let op = op(record);
    let claims = set.claim_templates.iter().map(|template| set.claim_name(template, ordinal));
    let names = claims.map(|claim| Names {
        op: op.clone(),
        aside: aside(&claim, record),
        claim,
        volume: None,
    });
    names.collect()
}

/// The claims that the scaling of this record has set aside so far, whichever run
/// did it. A scaling that goes back keeps the time at which it began.
pub fn of_record(facts: &Facts, record: &Record) -> Vec<Names> {
    let (op, tail) = (op(record), tail(record));
    let aside = facts.claims.iter().flatten().filter_map(|claim| {
        let old = claim.name.strip_suffix(&tail).filter(|old| is_claim_of(&facts.set, old))?;
        Some(Names {
            op: op.clone(),
            claim: old.to_owned(),
            aside: claim.name.clone(),
            volume: claim.volume.clone(),
        })
    });
    aside.collect()
}

/// The claims that have the data of this claim, because a scaling has set it aside.
pub fn set_aside<'a>(facts: &'a Facts, claim: &'a str) -> impl Iterator<Item = &'a Claim> {
    facts.claims.iter().flatten().filter(move |aside| {
        let rest = aside.name.strip_prefix(claim);
        rest.is_some_and(|rest| rest.starts_with(ASIDE))
            && aside.volume.is_some()
            && aside.deleting.is_none()
    })
}

/// What runs on this set have begun and not finished, according to the marks on
/// volumes and claims: whoever scaled or recreated the set since, they remain.
pub fn begun(facts: &Facts) -> Vec<Names> {
    let set = &facts.set;
    let marked = facts.volumes.iter().flatten().filter_map(|volume| {
        let tag: Tag = serde_json::from_str(volume.mark.as_deref()?).ok()?;
        let ours = is_of_scaling(&tag.op)
            && tag.namespace == set.namespace
            && tag.journal == book_name(&set.name);
        ours.then(|| Names {
            op: tag.op,
            claim: tag.old.name,
            aside: tag.new,
            volume: Some(volume.name.clone()),
        })
    });
    let mut begun: Vec<Names> = marked.collect();
    for claim in facts.claims.iter().flatten() {
        let Some(op) = claim.mark.as_ref().filter(|op| is_of_scaling(op)) else { continue };
        let old = claim.name.rsplit_once(ASIDE).map_or(&*claim.name, |(old, _)| old);
        let is_known =
            begun.iter().any(|names| [&names.aside, &names.claim].contains(&&claim.name));
        if !is_known && is_claim_of(set, old) {
            let time = op.strip_prefix(SCALING).unwrap_or_default();
            begun.push(Names {
                op: op.clone(),
                claim: old.to_owned(),
                aside: format!("{old}{ASIDE}{time}"),
                volume: claim.volume.clone(),
            });
        }
    }
    begun
}

/// Whether a claim has the name of an ordinal of this set.
fn is_claim_of(set: &StatefulSet, claim: &str) -> bool {
    set.claim_templates.iter().any(|template| {
        let pod = claim.strip_prefix(&template.name).and_then(|rest| rest.strip_prefix('-'));
        pod.is_some_and(|pod| set.ordinal_of(pod).is_some())
    })
}

/// The claims to set aside, including those that partly are; `None` when there
/// are none. A claim that an earlier run has begun with, and that is in use or is
/// not to be set aside any more (`fresh`), keeps its volume.
///
/// # Errors
/// When one of them cannot be set aside.
pub fn plan(
    set: &StatefulSet,
    names: &[Names],
    world: &Claims,
    fresh: bool,
) -> Result<Option<Aside>, Finding> {
    let disks = names.iter().filter_map(|names| disk(set, names, world, fresh).transpose());
    let disks: Vec<Disk> = disks.collect::<Result<_, Finding>>()?;
    Ok(Some(Aside { disks }).filter(|aside| !aside.disks.is_empty()))
}

fn disk(
    set: &StatefulSet,
    names: &Names,
    world: &Claims,
    fresh: bool,
) -> Result<Option<Disk>, Finding> {
    let Names { op, claim, aside, volume } = names;
    let kept = world.claims.get(aside);
    let named = volume.as_ref().and_then(|volume| world.volumes.get(volume));
    // Once the old claim is set aside, the new claim of the ordinal has its name.
    let old = world.claims.get(claim).filter(|old| match (named.and_then(Tag::of), kept) {
        (Some(tag), _) => tag.old.uid == uid(old),
        (None, Some(kept)) => text(old, "/spec/volumeName") == text(kept, "/spec/volumeName"),
        (None, None) => volume.is_none() || annotation(old, MIGRATION_MARK) == Some(op),
    });
    let tagged = named.filter(|volume| is_tagged(volume, op));
    if old.is_none() && tagged.is_none() && !kept.is_some_and(is_marked) {
        return Ok(None);
    }
    let found = tagged.or_else(|| old.or(kept).and_then(|claim| volume_of(world, claim)));
    let Some(pv) = found else {
        let claim = old.or(kept).map_or(claim.as_str(), name);
        let message = format!("claim {claim} has no volume to keep");
        let hint = format!("kubectl delete pvc {claim} -n {}", set.namespace);
        return Err(not_aside(claim, message).hint(hint));
    };
    let tag = Tag::of(pv);
    if let Some(tag) = tag.as_ref().filter(|tag| tag.op != *op) {
        let message = format!("volume {} is part of operation {}", name(pv), tag.op);
        return Err(rules::NOT_ASIDE.found(format!("persistentvolume/{}", name(pv)), message));
    }
    let old_then = match (old, &tag) {
        (Some(old), _) => Held::of(old),
        (None, Some(tag)) => tag.old.clone(),
        (None, None) => Held { name: claim.clone(), uid: String::new() },
    };
    let tag = tag.unwrap_or_else(|| Tag {
        op: op.clone(),
        namespace: set.namespace.clone(),
        journal: book_name(&set.name),
        policy: Original::now(pv).policy().to_owned(),
        old: old_then.clone(),
        new: aside.clone(),
    });
    let by_controller = annotation(pv, BOUND_BY_CONTROLLER).is_some();
    let new = match old.or(kept) {
        Some(claim) => copy(claim, aside, &set.namespace, op),
        None => copy_of_volume(set, pv, aside, op),
    };
    let mut disk = Disk {
        op: op.clone(),
        old: old_then,
        new,
        volume: Held::of(pv),
        original: Original::tagged(tag, by_controller),
        back: false,
    };
    let stand = Stand::of(world, &disk);
    let keeps = old.is_some_and(|old| is_bound(pv, old)) && volume.is_some();
    disk.back = keeps && (!fresh || stand.users().is_some());
    Ok(Some(disk))
}

/// The names of everything that has to be read about these claims: claims, and
/// volumes besides those that the claims name.
pub fn wanted<'a>(all: impl Iterator<Item = &'a Names>) -> (Vec<String>, Vec<String>) {
    let (mut claims, mut volumes) = (Vec::new(), Vec::new());
    for Names { claim, aside, volume, .. } in all {
        claims.extend([claim.clone(), aside.clone()]);
        volumes.extend(volume.clone());
    }
    claims.sort_unstable();
    claims.dedup();
    (claims, volumes)
}

/// What the plan says about claims to set aside: those with which earlier runs
/// have begun (`begun`), and those of ordinals that come (`coming`). The preview
/// gets a line for each of the first, and their fate. Returns those that this run
/// can finish, and what is in the way of the others.
pub fn judge(
    set: &StatefulSet,
    mut world: Claims,
    begun: Vec<Names>,
    coming: &[Names],
    fresh: bool,
    preview: &mut Preview,
) -> (Vec<Names>, Vec<Finding>) {
    // Pods of the set that are on their way out are waited for.
    world.pods.retain(|pod| {
        !(pod.is_terminating() && pod.controller_uid.as_deref() == Some(set.uid.as_str()))
    });
    let ends = |names: &Names| {
        let aside = plan(set, std::slice::from_ref(names), &world, fresh)?;
        let Some(aside) = aside else { return Ok(None) };
        match next(&world, &aside, &BTreeSet::new(), Timestamp::UNIX_EPOCH) {
            Move::Stop { finding, .. } => Err(finding),
            _ => Ok(aside.disks.into_iter().next()),
        }
    };
    let (mut finishes, mut findings) = (Vec::new(), Vec::new());
    let is_begun = |names: &&Names| begun.iter().any(|one| one.claim == names.claim);
    let (_, coming): (Vec<&Names>, Vec<&Names>) = coming.iter().partition(is_begun);
    for names in begun {
        match ends(&names) {
            Ok(None) => {}
            Ok(Some(disk)) => {
                preview.rest.push(disk.line());
                if !disk.back {
                    preview.is_set_aside(&disk.old.uid);
                }
                finishes.push(names);
            }
            Err(finding) if fresh => findings.push(finding),
            Err(finding) => findings.push(finding.at(Severity::Warning)),
        }
    }
    findings.extend(coming.into_iter().filter_map(|names| ends(names).err()));
    (finishes, findings)
}

fn not_aside(claim: &str, message: String) -> Finding {
    rules::NOT_ASIDE.found(format!("persistentvolumeclaim/{claim}"), message)
}

fn volume_of<'a>(world: &'a Claims, claim: &Value) -> Option<&'a Value> {
    world.volumes.get(text(claim, "/spec/volumeName")?)
}

/// The claim under its other name: everything that people wrote on it, and
/// nothing that the controllers wrote.
fn copy(claim: &Value, new: &str, namespace: &str, op: &str) -> Value {
    let controllers = [
        "pv.kubernetes.io/",
        "volume.kubernetes.io/",
        "volume.beta.kubernetes.io/storage-provisioner",
    ];
    let annotations = claim.pointer("/metadata/annotations").and_then(Value::as_object);
    let mut kept: serde_json::Map<String, Value> = annotations
        .into_iter()
        .flatten()
        .filter(|(key, _)| !controllers.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    kept.insert(MIGRATION_MARK.to_owned(), json!(op));
    let mut metadata = json!({ "name": new, "namespace": namespace, "annotations": kept });
    if let Some(labels) = claim.pointer("/metadata/labels") {
        metadata["labels"] = labels.clone();
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": metadata, "spec": claim["spec"],
    })
}

/// The same for a volume of which no claim is left: someone deleted them. It gets
/// the labels that the controller gives to claims of the set.
fn copy_of_volume(set: &StatefulSet, volume: &Value, new: &str, op: &str) -> Value {
    let metadata = json!({
        "name": new, "namespace": set.namespace, "labels": set.selector.labels,
        "annotations": { MIGRATION_MARK: op },
    });
    let modes = volume.pointer("/spec/accessModes").cloned().unwrap_or_else(|| json!([]));
    handover::claim_for(volume, &metadata, &modes)
}
