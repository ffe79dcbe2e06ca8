//! The plans of `orphans delete`: one for each object, and how each of them ended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    context::{refused, report_line},
    targets,
};
use crate::{
    cluster::Cluster,
    handover::Held,
    orphans::{
        classify::{Judgement, judge_claim, judge_volume},
        delete::{Data, DeleteOptions, Step, Target, World, data, fate_of, plan},
        model::{self, Facts},
        read::{self, around},
        report::deletion::ItemView,
        row::Row,
        rules,
    },
    output::Error,
    workload::{
        Finding, Unread, digest,
        raw::{name, policy, text, uid},
    },
};

/// An object to delete, and the steps that are left.
pub struct Plan {
    pub target: Target,
    pub steps: Vec<Step>,
    pub volume: Option<String>,
    /// The volume that is bound to the claim, by uid.
    pub held: Option<Held>,
    pub data: Data,
    policy: String,
    /// Whether the volume has the policy Retain before anything is done.
    pub is_retained: bool,
    /// Set, template and ordinal of the claim, where the set has them.
    pub place: Option<Place>,
    /// Whether another volume is the same disk: nobody is given the one then.
    is_shared: bool,
    /// Whether somebody has made the claim again: then nothing can be adopted.
    pub again: Again,
    pub result: &'static str,
}

/// What others have made of the claim since it was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    No,
    /// The ordinal has another disk now, or may have.
    Elsewhere,
    /// It was adopted: the claim has the volume that it had.
    OnItsVolume,
}

pub struct Place {
    pub set: String,
    pub template: String,
    pub ordinal: u32,
}

impl Place {
    /// The place of a row, where the set has it.
    fn of(row: Row, facts: &Facts, namespace: &str) -> Option<Place> {
        let Row { set, template, ordinal, .. } = row;
        let place = Place { set: set?, template: template?, ordinal: ordinal? };
        place.exists(facts, namespace).then_some(place)
    }

    /// Whether the set is there, and has the template: a guess by name is nothing
    /// that a volume can be given back to.
    fn exists(&self, facts: &Facts, namespace: &str) -> bool {
        facts.sets.iter().any(|set| {
            *set.namespace == *namespace
                && *set.name == *self.set
                && set.templates.iter().any(|template| **template == *self.template)
        })
    }
}

impl Plan {
    pub fn view(self, dry_run: bool, flags: &str) -> ItemView {
        let result = if dry_run && self.result == "left" { "planned" } else { self.result };
        let undo = self.undo(flags);
        let Target { is_volume, namespace, name, uid } = self.target;
        ItemView {
            kind: if is_volume { "PersistentVolume" } else { "PersistentVolumeClaim" },
            namespace,
            name,
            uid,
            result,
            volume: self.volume,
            data: self.data,
            undo,
        }
    }

    /// The line that gives the volume back to the ordinal.
    fn undo(&self, flags: &str) -> Option<String> {
        let Place { set, template, ordinal } = self.place.as_ref()?;
        let (volume, namespace) = (self.volume.as_ref()?, self.target.namespace.as_ref()?);
        let is_kept = self.data == Data::Kept && ["deleted", "gone"].contains(&self.result);
        (is_kept && !self.is_shared && self.again == Again::No).then(|| {
            format!(
                "kubectl stateful orphans adopt pv/{volume} --to {set}/{ordinal} \
                 --template {template} -n {namespace}{flags}"
            )
        })
    }
}

/// Whose data is destroyed.
pub fn doomed(plans: &[Plan]) -> Vec<Finding> {
    let destroyed = plans.iter().filter(|one| one.data == Data::Destroyed && !one.steps.is_empty());
    destroyed
        .map(|one| {
            let volume = one.volume.as_ref().unwrap_or(&one.target.name);
            let message = format!(
                "volume {volume} is DESTROYED with its data (policy {}): --keep-pv=false",
                one.policy
            );
            rules::DATA_GOES.found(one.target.reference(), message)
        })
        .collect()
}

/// Plans every deletion; one that is refused refuses all of them.
pub async fn plan_all(
    cluster: &Cluster,
    targets: Vec<Target>,
    options: &DeleteOptions,
    ignore_not_found: bool,
    unread: &mut Vec<Unread>,
) -> Result<Vec<Plan>, Error> {
    let mut known: BTreeMap<String, Arc<Facts>> = BTreeMap::new();
    let (mut plans, mut findings) = (Vec::new(), Vec::new());
    for mut target in targets {
        let namespace = target.namespace.clone();
        // For planning, one read of each namespace is enough.
        if let Some(namespace) = namespace.filter(|_| !target.is_volume)
            && !known.contains_key(&namespace)
        {
            let facts = read::facts(cluster, Some(&namespace)).await?;
            unread.extend(
                facts
                    .unread
                    .iter()
                    .filter(|one| !unread.contains(one))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            known.insert(namespace, Arc::new(facts));
        }
        let facts = target.namespace.as_ref().and_then(|namespace| known.get(namespace));
        let facts = facts.filter(|_| !target.is_volume);
        let world = around::to_delete(cluster, &target, options.snapshot.is_some(), facts).await?;
        let now = Timestamp::now();
        match plan(&target, &world, options, now) {
            Ok(steps) if steps.is_empty() => {
                let left = facts.and_then(|facts| left_by(&target, facts).map(|one| (one, facts)));
                // A report vouches for what was there; a name may be a typing error.
                if left.is_none() && target.uid.is_none() && !ignore_not_found {
                    return Err(targets::not_found(&target, cluster));
                }
                plans.push(match left {
                    Some((volume, facts)) => Plan::gone_from(target, volume, facts, now),
                    None => Plan::gone(target),
                });
            }
            Ok(steps) => {
                remember(&mut target, &world);
                plans.push(Plan::of(target, steps, &world, options, now));
            }
            Err(finding) => findings.push(hinted(*finding, &target, cluster)),
        }
    }
    match findings.as_slice() {
        [] => Ok(plans),
        [one] => Err(refused(cluster, &format!("cannot delete {}", one.object), &findings)),
        several => Err(refused(
            cluster,
            &format!("cannot delete {} of the objects", several.len()),
            &findings,
        )),
    }
}

/// Where nothing better is known, the report shows what the object is.
pub fn hinted(finding: Finding, target: &Target, cluster: &Cluster) -> Finding {
    match (&finding.hint, &target.namespace) {
        (None, Some(namespace)) => finding.hint(report_line(namespace, cluster)),
        _ => finding,
    }
}

/// The volume that still names a claim that is gone.
fn left_by<'a>(target: &Target, facts: &'a Facts) -> Option<&'a model::Volume> {
    let namespace = target.namespace.as_deref()?;
    facts.volumes.iter().find(|volume| {
        let held = volume.claim.as_ref();
        held.is_some_and(|held| *held.namespace == *namespace && *held.name == *target.name)
    })
}

impl Plan {
    fn of(
        target: Target,
        steps: Vec<Step>,
        world: &World,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Plan {
        let volume = world.claim.as_ref().and_then(|claim| text(claim, "/spec/volumeName"));
        let row = target.namespace.as_deref().filter(|_| !target.is_volume).and_then(|namespace| {
            match judge_claim(&world.facts, namespace, &target.name, now) {
                Some(Judgement::Row(row)) => Some(row),
                _ => None,
            }
        });
        let is_shared = row.as_ref().is_some_and(|row| !row.shares_disk_with.is_empty());
        let place = row.and_then(|row| Place::of(*row, &world.facts, target.namespace.as_deref()?));
        Plan {
            volume: volume.filter(|name| !name.is_empty()).map(str::to_owned),
            held: volume_of_claim(world),
            data: data(&target, world, options),
            policy: world.volume.as_ref().map(|one| policy(one).to_owned()).unwrap_or_default(),
            is_retained: world.volume.as_ref().is_some_and(|one| policy(one) == "Retain"),
            place,
            is_shared,
            again: Again::No,
            result: "left",
            target,
            steps,
        }
    }

    /// One that does not exist any more.
    fn gone(target: Target) -> Plan {
        Plan {
            volume: None,
            held: None,
            data: Data::None,
            policy: String::new(),
            is_retained: false,
            place: None,
            is_shared: false,
            again: Again::No,
            result: "gone",
            target,
            steps: Vec::new(),
        }
    }

    /// The same, whose volume is left. Where nothing else has that, it can be given to
    /// its ordinal.
    fn gone_from(target: Target, left: &model::Volume, facts: &Facts, now: Timestamp) -> Plan {
        let row = judge_volume(facts, &left.name, now).filter(|row| row.is_free);
        let namespace = target.namespace.clone();
        let place = row.zip(namespace).and_then(|(row, at)| Place::of(row, facts, &at));
        Plan {
            volume: Some(left.name.to_string()),
            data: fate_of(&left.policy, left.deleting.is_some()),
            policy: left.policy.to_string(),
            is_retained: &*left.policy == "Retain",
            place,
            ..Plan::gone(target)
        }
    }
}

/// From now on only the object with this uid is meant.
fn remember(target: &mut Target, world: &World) {
    let found = if target.is_volume { &world.volume } else { &world.claim };
    let uid = found.as_ref().and_then(|found| text(found, "/metadata/uid"));
    if let Some(uid) = uid {
        target.uid.get_or_insert_with(|| uid.to_owned());
    }
}

pub fn hash(plans: &[Plan], options: &DeleteOptions, timeout: Duration) -> String {
    let items: Vec<Value> = plans
        .iter()
        .map(|one| {
            let steps: Vec<String> = one.steps.iter().map(|step| step.action().line()).collect();
            json!({ "of": one.target.reference(), "in": one.target.namespace,
                    "uid": one.target.uid, "steps": steps })
        })
        .collect();
    let snapshot = options.snapshot.as_ref().map(|(class, _)| class);
    let flags = json!({
        "keep": options.keep_volume, "snapshot": snapshot,
        "idle": options.min_idle.map(|idle| idle.as_secs()), "timeout": timeout.as_secs(),
    });
    digest(&json!({ "items": items, "flags": flags }), 8)
}

/// The volume that is bound to the claim. A claim that has lost its volume has
/// none.
fn volume_of_claim(world: &World) -> Option<Held> {
    let (claim, volume) = (world.claim.as_ref()?, world.volume.as_ref()?);
    let is_its = text(volume, "/spec/claimRef/uid") == Some(uid(claim));
    is_its.then(|| Held { name: name(volume).to_owned(), uid: uid(volume).to_owned() })
}
