//! The objects of one migration at one moment. Pure.
//!
//! They are raw JSON, because some are written back whole, and because only a few
//! fields of each are looked at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::journal::{
    ANNOTATION, CopyPass, Disk, FILLED, Held, Journal, Mode, SourceDeployment, StoredJournal,
};
use crate::{
    cluster::{FIELD_MANAGER, Object, Resource},
    handover::{self, holds, is_protected},
    workload::{
        Pod, canonical_ordinal,
        raw::{annotation, deployment_mounts, generation, items, labels, name, text, uid},
    },
};

pub use crate::handover::Reserved;

/// The objects of a migration.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By name, whatever the uid.
    pub deployments: BTreeMap<String, Value>,
    pub set: Option<Value>,
    pub service: Option<Value>,
    pub claims: BTreeMap<String, Value>,
    /// Claims that have the name of an ordinal of the set, also of those that it was
    /// scaled up to.
    pub set_claims: Vec<Value>,
    /// Whether these may not be listed.
    pub set_claims_unread: bool,
    pub volumes: BTreeMap<String, Value>,
    pub jobs: BTreeMap<String, Value>,
    pub snapshots: BTreeMap<String, Value>,
    /// By kind and name.
    pub scalers: BTreeMap<(&'static str, String), Value>,
    /// Every pod of the namespace.
    pub pods: Vec<Pod>,
    /// Whether the pods could not be read: then their number is not known.
    pub pods_unread: bool,
    /// Nodes, by the volume that is attached to them; `None` if attachments may
    /// not be read.
    pub attachments: Option<BTreeMap<String, String>>,
    pub stored_journal: Option<StoredJournal>,
}

/// Whether an object has the mark of this migration: a label on the set, an
/// annotation on all others.
pub fn is_ours(object: &Value, journal: &Journal) -> bool {
    handover::is_of(object, &journal.op)
}

impl World {
    /// The objects that are read for a migration, besides pods and attachments.
    pub fn wanted(journal: &Journal) -> Vec<Object> {
        let object = |resource: Resource, name: &str| Object {
            resource,
            namespace: Some(journal.namespace.clone()),
            name: name.to_owned(),
        };
        let mut wanted = vec![
            object(Resource::CONFIG_MAP, &journal.config_map_name()),
            object(Resource::STATEFUL_SET, journal.set_name()),
            object(Resource::SERVICE, journal.service_name()),
        ];
        let members = journal.deployments.iter();
        wanted.extend(members.map(|member| object(Resource::DEPLOYMENT, &member.name)));
        for (index, disk) in journal.disks.iter().enumerate() {
            if journal.mode == Mode::Copy {
                let names = CopyPass::ALL.map(|pass| journal.job_name(index, pass));
                wanted.extend(names.map(|name| object(Resource::JOB, &name)));
            }
            if let Some(snapshot) = &disk.snapshot {
                wanted.push(object(Resource::SNAPSHOT, name(snapshot)));
            }
            wanted.push(object(Resource::CLAIM, &disk.old.name));
            wanted.push(object(Resource::CLAIM, &disk.new));
            let blank = disk.blank.as_ref().map(|blank| &blank.pv);
            for volume in std::iter::once(&disk.pv).chain(blank) {
                let name = volume.name.clone();
                wanted.push(Object { resource: Resource::VOLUME, namespace: None, name });
            }
        }
        wanted.extend(journal.kept.iter().map(|claim| object(Resource::CLAIM, claim)));
        let scalers = journal.scalers.iter();
        wanted.extend(scalers.map(|scaler| object(scaler.kind.resource(), &scaler.target.name)));
        wanted
    }

    /// The volumes of claims that are not known yet: those that the set got for
    /// itself, and those of claims that someone made again.
    pub fn more_wanted(&self) -> Vec<Object> {
        let named = self.claims.values().filter_map(|claim| text(claim, "/spec/volumeName"));
        let mut unknown: Vec<&str> =
            named.filter(|volume| !self.volumes.contains_key(*volume)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown.into_iter().map(|volume| Resource::VOLUME.object("", volume)).collect()
    }

    /// Adds one of the wanted objects.
    pub fn add(&mut self, wanted: &Object, found: Value) {
        let name = wanted.name.clone();
        match wanted.resource {
            Resource::CONFIG_MAP => self.stored_journal = StoredJournal::read(&found).ok(),
            Resource::STATEFUL_SET => self.set = Some(found),
            Resource::SERVICE => self.service = Some(found),
            Resource::DEPLOYMENT => drop(self.deployments.insert(name, found)),
            Resource::CLAIM => drop(self.claims.insert(name, found)),
            Resource::VOLUME => drop(self.volumes.insert(name, found)),
            Resource::JOB => drop(self.jobs.insert(name, found)),
            Resource::SNAPSHOT => drop(self.snapshots.insert(name, found)),
            other => drop(self.scalers.insert((other.plural, name), found)),
        }
    }

    /// One of the wanted objects, by what it is called.
    pub fn object(&self, called: &Object) -> Option<&Value> {
        let name = &called.name;
        match called.resource {
            Resource::STATEFUL_SET => self.set.as_ref(),
            Resource::SERVICE => self.service.as_ref(),
            Resource::DEPLOYMENT => self.deployments.get(name),
            Resource::CLAIM => self.claims.get(name),
            Resource::VOLUME => self.volumes.get(name),
            Resource::JOB => self.jobs.get(name),
            Resource::SNAPSHOT => self.snapshots.get(name),
            other => self.scalers.get(&(other.plural, name.clone())),
        }
    }

    /// Puts an object in the place of the one that is called so, or removes that.
    pub fn put(&mut self, called: &Object, object: Option<Value>) {
        let name = &called.name;
        match (called.resource, object) {
            (_, Some(object)) => self.add(called, object),
            (Resource::STATEFUL_SET, None) => self.set = None,
            (Resource::SERVICE, None) => self.service = None,
            (Resource::DEPLOYMENT, None) => drop(self.deployments.remove(name)),
            (Resource::CLAIM, None) => drop(self.claims.remove(name)),
            (Resource::VOLUME, None) => drop(self.volumes.remove(name)),
            (Resource::JOB, None) => drop(self.jobs.remove(name)),
            (Resource::SNAPSHOT, None) => drop(self.snapshots.remove(name)),
            (other, None) => drop(self.scalers.remove(&(other.plural, name.clone()))),
        }
    }

    /// The Deployment of the migration. If someone deleted the original, this is
    /// the one that was made again under its name, provided that it mounts the
    /// same claims: it serves as well.
    pub fn deployment(&self, member: &SourceDeployment) -> Option<&Value> {
        let found = self.deployments.get(&member.name)?;
        let is_it = uid(found) == member.uid || mounted(found) == mounted(&member.object);
        is_it.then_some(found)
    }

    /// A Deployment that has the name of the original and is neither it nor one
    /// that serves as well.
    pub fn other_deployment(&self, member: &SourceDeployment) -> Option<&Value> {
        self.deployments.get(&member.name).filter(|_| self.deployment(member).is_none())
    }

    pub fn held_claim(&self, held: &Held) -> Option<&Value> {
        self.claims.get(&held.name).filter(|found| uid(found) == held.uid)
    }

    /// The old claim of a disk. If someone deleted the original, this is the one
    /// that was made again under its name for the same volume.
    pub fn old_claim(&self, disk: &Disk) -> Option<&Value> {
        let found = self.claims.get(&disk.old.name)?;
        let names_it = || {
            // Under `recover` the claim that comes has the same name.
            disk.old.name != disk.new
                && text(found, "/spec/volumeName") == Some(disk.pv.name.as_str())
        };
        (uid(found) == disk.old.uid || names_it()).then_some(found)
    }

    /// A claim that has the name of the old claim and is for another volume.
    pub fn other_claim(&self, disk: &Disk) -> Option<&Value> {
        let found = self.claims.get(&disk.old.name).filter(|_| disk.old.name != disk.new)?;
        self.old_claim(disk).is_none().then_some(found)
    }

    pub fn held_volume(&self, held: &Held) -> Option<&Value> {
        self.volumes.get(&held.name).filter(|found| uid(found) == held.uid)
    }

    pub fn new_claim(&self, disk: &Disk) -> Option<&Value> {
        self.claims.get(&disk.new)
    }

    /// The set that this migration has created, or is about.
    pub fn own_set(&self, journal: &Journal) -> Option<&Value> {
        let arrived = self.stored_journal.as_ref();
        let arrived = arrived.and_then(|stored| stored.arrived.as_ref());
        self.set.as_ref().filter(|set| {
            // A set that existed before is recognized by its uid.
            is_ours(set, journal)
                || uid(&journal.set) == uid(set)
                || arrived.is_some_and(|arrived| arrived.set_uid == uid(set))
        })
    }

    /// The set that runs under the name of this migration's set: the same, or one
    /// that someone made again for the same claims.
    pub fn set_in_place(&self, journal: &Journal) -> Option<&Value> {
        let made_again = || self.set.as_ref().filter(|set| serves_as_well(set, journal));
        self.own_set(journal).or_else(made_again)
    }

    /// Which claim the volume is reserved for. It stays reserved for the old claim
    /// when that was deleted, and made again.
    pub fn reserved(&self, disk: &Disk) -> Reserved {
        let Some(pv) = self.held_volume(&disk.pv) else { return Reserved::Elsewhere };
        let namespace = text(&disk.claim, "/metadata/namespace").unwrap_or_default();
        let by = handover::reserved(pv, &disk.old, self.new_claim(disk), (namespace, &disk.new));
        let word = |pointer: &str| text(pv, pointer).unwrap_or_default();
        let of_old = disk.old.name != disk.new
            && word("/spec/claimRef/name") == disk.old.name
            && word("/spec/claimRef/namespace") == namespace
            && !word("/spec/claimRef/uid").is_empty();
        if by == Reserved::Elsewhere && of_old { Reserved::Old } else { by }
    }

    /// Whether the volume is reserved for the old claim as it is now.
    pub fn old_claim_has_it(&self, disk: &Disk) -> bool {
        let (pv, old) = (self.held_volume(&disk.pv), self.old_claim(disk));
        pv.zip(old).is_some_and(|(pv, old)| holds(pv, old))
    }

    /// The claim that the volume is reserved for.
    pub fn holder(&self, disk: &Disk) -> Option<&Value> {
        let pv = self.held_volume(&disk.pv)?;
        self.claims.values().find(|claim| holds(pv, claim))
    }

    /// The volume that a claim names.
    pub fn volume_of(&self, claim: &Value) -> Option<&Value> {
        self.volumes.get(text(claim, "/spec/volumeName")?)
    }

    /// Whether the volume and this claim name each other.
    pub fn is_bound(&self, disk: &Disk, claim: &Value) -> bool {
        self.held_volume(&disk.pv).is_some_and(|pv| handover::is_bound(pv, claim))
    }

    /// Whether the volume is kept whatever happens to its claims, and has our mark.
    pub fn is_protected(&self, disk: &Disk, journal: &Journal) -> bool {
        self.held_volume(&disk.pv).is_some_and(|pv| is_protected(pv, &journal.op))
    }

    /// Pods that use one of these claims, other than those of `but_of`.
    pub fn users<'a>(
        &'a self,
        claims: &'a [&'a str],
        but_of: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| {
            let uses = pod.claims.iter().any(|claim| claims.contains(&claim.as_str()));
            let of_set = but_of.is_some() && pod.controller_uid.as_deref() == but_of;
            uses && !of_set && !pod.is_finished()
        })
    }

    /// The pods of the set.
    pub fn pods_of_set<'a>(&'a self, set_uid: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| pod.controller_uid.as_deref() == Some(set_uid))
    }

    /// The pods of a Deployment that have not finished. The pods of a set may
    /// have the same labels; their names tell them apart.
    pub fn pods_of_deployment<'a>(
        &'a self,
        member: &'a SourceDeployment,
        journal: &'a Journal,
    ) -> impl Iterator<Item = &'a Pod> {
        let found = self.deployment(member).unwrap_or(&member.object);
        let selector = labels(found, "/spec/selector/matchLabels");
        self.pods.iter().filter(move |pod| {
            pod.controller_uid.is_some()
                && !pod.is_finished()
                && !selector.is_empty()
                && selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
                && !is_named_as_ordinal(pod, journal.set_name())
        })
    }

    /// Pods that were left behind when the set was deleted without them: they use
    /// the claims, and no controller will end them.
    pub fn orphaned_pods<'a>(&'a self, journal: &'a Journal) -> impl Iterator<Item = &'a Pod> {
        let claims: Vec<&str> = journal
            .disks
            .iter()
            .map(|disk| disk.new.as_str())
            .chain(journal.kept.iter().map(String::as_str))
            .collect();
        self.pods.iter().filter(move |pod| {
            pod.controller_uid.is_none()
                && !pod.is_finished()
                && !pod.is_terminating()
                && is_named_as_ordinal(pod, journal.set_name())
                && pod.claims.iter().any(|claim| claims.contains(&claim.as_str()))
        })
    }

    /// The first volume that is attached to a node, and that node.
    pub fn attached<'a>(&'a self, journal: &'a Journal) -> Option<(&'a str, &'a str)> {
        let attachments = self.attachments.as_ref()?;
        journal.disks.iter().find_map(|disk| {
            attachments.get(&disk.pv.name).map(|node| (disk.pv.name.as_str(), node.as_str()))
        })
    }
}

/// Whether a set uses the claims that the set of the migration uses. If there are
/// none, its pods have to be called the same.
fn serves_as_well(set: &Value, journal: &Journal) -> bool {
    let mounts = mounted(set);
    let has =
        |template: &str| items(set, "/spec/volumeClaimTemplates").any(|one| name(one) == template);
    let selector = "/spec/selector/matchLabels";
    let uses_claims = !journal.disks.is_empty() || !journal.kept.is_empty();
    journal.disks.iter().all(|disk| has(&disk.template))
        && journal.kept.iter().all(|claim| mounts.contains(claim.as_str()))
        && (uses_claims || labels(set, selector) == labels(&journal.set, selector))
}

/// Whether we have created this workload, and not only changed it: the selector is
/// a field that nobody can change afterwards.
pub fn is_made_by_us(workload: &Value) -> bool {
    items(workload, "/metadata/managedFields").any(|entry| {
        text(entry, "/manager") == Some(FIELD_MANAGER)
            && entry.pointer("/fieldsV1/f:spec/f:selector").is_some()
    })
}

/// Whether the volume has the mark of this migration.
pub fn has_tag(pv: &Value, journal: &Journal) -> bool {
    handover::is_tagged(pv, &journal.op)
}

/// Whether an object has one of our marks.
pub fn is_marked(object: &Value) -> bool {
    handover::is_marked(object) || annotation(object, FILLED).is_some()
}

/// The state of the Deployments, as a string. It changes when someone starts one
/// of them, even if it is stopped again, and when one is made again.
pub fn state(world: &World, journal: &Journal) -> String {
    let of_each = journal.deployments.iter().map(|member| {
        let found = world.deployment(member);
        let again = found.map(uid).filter(|uid| *uid != member.uid);
        let again = again.map_or_else(String::new, |uid| format!("@{uid}"));
        format!("{}{again}@{}", member.name, found.map_or(0, generation))
    });
    of_each.collect::<Vec<_>>().join(",")
}

/// How long neither ran, as the objects tell it: from our scale-down of the last
/// Deployment until the last pod of the set was Ready. `None` if someone else has
/// changed a Deployment since, or the objects do not say.
pub fn downtime(world: &World, journal: &Journal) -> Option<std::time::Duration> {
    let stops = journal.deployments.iter().map(|member| {
        let found = world.deployment(member).filter(|found| uid(found) == member.uid)?;
        if generation(found) != member.generation + 1 {
            return None;
        }
        let ours = items(found, "/metadata/managedFields")
            .filter(|entry| text(entry, "/manager") == Some(FIELD_MANAGER));
        ours.filter_map(|entry| text(entry, "/time")?.parse::<Timestamp>().ok()).max()
    });
    let stopped = stops.collect::<Option<Vec<Timestamp>>>()?.into_iter().max()?;
    let set = world.own_set(journal)?;
    let ready = world.pods_of_set(uid(set)).map(|pod| {
        pod.condition("Ready").filter(|condition| condition.holds).and_then(|one| one.since)
    });
    let ready = ready.collect::<Option<Vec<Timestamp>>>()?.into_iter().max()?;
    std::time::Duration::try_from(ready.duration_since(stopped)).ok()
}

/// The claims that the pod template of a workload mounts.
fn mounted(workload: &Value) -> std::collections::BTreeSet<&str> {
    deployment_mounts(workload).into_iter().map(|(_, claim)| claim).collect()
}

/// Whether a claim has the name that the set gives to the claim of an ordinal.
pub fn is_of_ordinal(claim: &Value, journal: &Journal) -> bool {
    journal.disks.iter().any(|disk| {
        let rest = name(claim).strip_prefix(disk.template.as_str());
        let rest = rest.and_then(|rest| rest.strip_prefix('-'));
        let rest = rest.and_then(|rest| rest.strip_prefix(journal.set_name()));
        let ordinal = rest.and_then(|rest| rest.strip_prefix('-'));
        ordinal.and_then(canonical_ordinal).is_some()
    })
}

/// Whether a pod has the name of an ordinal of the set.
fn is_named_as_ordinal(pod: &Pod, set: &str) -> bool {
    let rest = pod.name.strip_prefix(set).and_then(|rest| rest.strip_prefix('-'));
    rest.and_then(canonical_ordinal).is_some()
}

/// Whether a pod belongs to a copy Job of this migration.
pub fn is_copier(pod: &Pod, journal: &Journal) -> bool {
    pod.labels.get(ANNOTATION).is_some_and(|op| *op == journal.op)
}
