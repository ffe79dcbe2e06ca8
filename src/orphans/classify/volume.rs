//! Volumes without a claim: whether something still writes to them, and what
//! would become of their data.

use std::collections::HashMap;

use super::{Judge, STUCK, volume_of, with_candidate};
use crate::{
    orphans::{
        model::{Claim, Kind, Pod, Text, Uid, Volume},
        row::{Class, Confidence, Row},
    },
    output::text::{age, list},
};

/// Whether its claim is gone, or reclaiming it has failed.
fn is_left(volume: &Volume) -> bool {
    matches!(&*volume.phase, "Released" | "Failed")
}

/// Whether no claim has it: also one that is reserved for a claim to come.
pub(super) fn is_free(volume: &Volume) -> bool {
    is_left(volume) || (&*volume.phase == "Available" && volume.claim.is_some())
}

/// The volumes of each disk that has several.
pub(super) fn twins(volumes: &[Volume]) -> HashMap<Uid, Vec<&Volume>> {
    let mut by_disk: HashMap<Uid, Vec<&Volume>> = HashMap::new();
    for volume in volumes {
        if let Some(disk) = volume.disk {
            by_disk.entry(disk).or_default().push(volume);
        }
    }
    by_disk.retain(|_, volumes| volumes.len() > 1);
    by_disk
}

impl<'a> Judge<'a> {
    /// The other volumes that are the same disk.
    fn twins_of(&self, volume: &'a Volume) -> impl Iterator<Item = &'a Volume> {
        let all = volume.disk.and_then(|disk| self.twins.get(&disk));
        all.into_iter().flatten().copied().filter(|other| other.name != volume.name)
    }

    /// Names the volumes that are the same disk.
    pub(super) fn note_twins(&self, volume: &'a Volume, row: &mut Row) {
        row.shares_disk_with = self.twins_of(volume).map(|other| other.name.to_string()).collect();
        if row.shares_disk_with.is_empty() {
            return;
        }
        let name = &volume.name;
        let others = list(&row.shares_disk_with);
        row.evidence.push(format!(
            "volume {name} is the same disk as {others}: deleting its data deletes theirs"
        ));
        row.confidence = Confidence::Low;
    }

    /// The pod that may still write to a volume whose claim is gone: it runs on a
    /// node, names that claim, and is older than a claim that has the name now.
    fn writer(&self, volume: &Volume) -> Option<&'a Pod> {
        let held = volume.claim.as_ref()?;
        let key = (&*held.namespace, &*held.name);
        let pod = self.users.get(&key).filter(|pod| pod.on_node)?;
        let is_younger = |now: &Claim| {
            let other = now.uid != held.uid && now.volume.as_ref() != Some(&volume.name);
            other && pod.created.zip(now.created).is_some_and(|(pod, claim)| pod >= claim)
        };
        let has_the_new_one = self.namesakes.get(&key).is_some_and(|now| is_younger(now));
        (!has_the_new_one).then_some(*pod)
    }

    /// The former claim of a volume, and whether it still exists.
    fn former_claim(&self, volume: &Volume) -> String {
        let Some(claim) = &volume.claim else { return "it names no claim".to_owned() };
        let held = format!("it belonged to claim {}/{}", claim.namespace, claim.name);
        match self.namesakes.get(&(&*claim.namespace, &*claim.name)) {
            Some(now) if now.uid == claim.uid => format!("{held}, which still exists"),
            Some(now) => {
                format!("{held}; a new claim with that name has volume {}", volume_of(now))
            }
            None if self.facts.missing.contains(&Kind::Claim) => held,
            None => format!("{held}, which is gone"),
        }
    }

    /// The row of a volume that has lost its claim.
    pub(super) fn volume(&self, volume: &'a Volume) -> Option<Row> {
        if !is_left(volume) {
            return None;
        }
        let here = self.facts.namespace.as_ref();
        let elsewhere =
            |here: &Text| volume.claim.as_ref().is_none_or(|claim| claim.namespace != *here);
        if here.is_some_and(elsewhere) {
            return None;
        }
        let since = volume.deleting.or(volume.phase_since);
        let is_fresh = since.is_some_and(|since| self.now.duration_since(since) < STUCK);
        // Its provisioner is still deleting it, or whoever else has to.
        let goes = volume.deleting.is_some()
            || (&*volume.policy == "Delete" && &*volume.phase == "Released");
        if goes && is_fresh {
            return None;
        }
        self.free_volume(volume)
    }

    /// The same for a volume that no claim has, wherever and since when ever.
    pub(super) fn free_volume(&self, volume: &'a Volume) -> Option<Row> {
        if !is_free(volume) {
            return None;
        }
        let node = self.node_of(Some(&volume.name));
        let marked = volume.mark.as_ref().map(|mark| {
            let claim = volume.claim.as_ref();
            let at = claim.map(|claim| (&*claim.namespace, &*claim.name)).unwrap_or_default();
            self.operation(mark, None, at)
        });
        let (class, first, goes_on) = if let Some(of) = marked {
            (of.class, Some(of.why), of.line)
        } else {
            let (class, first) = self.state(volume, node.as_deref());
            (class, first, None)
        };
        let mut evidence: Vec<String> = first.into_iter().collect();
        evidence.push(self.former_claim(volume));
        evidence.push(fate_of(volume));
        let mut row = Row::of_volume(volume, node, class, evidence);
        row.goes_on = goes_on;
        self.note_twins(volume, &mut row);
        if let Some(claim) = &volume.claim {
            let candidates = self.candidates(&claim.namespace, &claim.name);
            let named = std::mem::replace(&mut row.name, claim.name.to_string());
            row = with_candidate(row, &candidates);
            row.name = named;
            let claims_known = !self.facts.missing.contains(&Kind::Claim);
            let key = (&*claim.namespace, &*claim.name);
            let is_alone = row.shares_disk_with.is_empty();
            let is_vacant = claims_known && !self.namesakes.contains_key(&key);
            row.is_free = row.orphan && is_alone && is_vacant;
        }
        Some(row)
    }

    /// What it is, and what decides that if not its phase.
    fn state(&self, volume: &'a Volume, node: Option<&str>) -> (Class, Option<String>) {
        if let Some(pod) = self.writer(volume) {
            let why = format!("pod {} runs, names its claim, and may still write to it", pod.name);
            return (Class::PvInUse, Some(why));
        }
        if let Some(node) = node {
            return (Class::PvInUse, Some(format!("it is attached to {node}")));
        }
        let bound: Vec<&str> = self
            .twins_of(volume)
            .filter(|other| !is_left(other) && other.claim.is_some())
            .map(|other| &*other.name)
            .collect();
        if !bound.is_empty() {
            let why = format!("its disk is in use as volume {}", list(&bound));
            return (Class::PvInUse, Some(why));
        }
        let missing = self.facts.missing_of(&[Kind::Pod, Kind::Attachment]);
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|kind| kind.resource().name()).collect();
            let why = format!("{} could not be read: it may be in use", list(&names));
            return (Class::Unknown, Some(why));
        }
        if let Some(since) = volume.deleting {
            let holders: Vec<&str> = volume.finalizers.iter().map(|name| &**name).collect();
            let holders = if holders.is_empty() { "nothing".to_owned() } else { list(&holders) };
            let lasts = age(self.now.duration_since(since));
            let why = format!("it was deleted {lasts} ago and is held by {holders}");
            return (Class::TerminatingStuck, Some(why));
        }
        let class = if &*volume.phase == "Failed" { Class::PvFailed } else { Class::PvReleased };
        (class, None)
    }
}

/// What becomes of it by itself.
fn fate_of(volume: &Volume) -> String {
    match (&*volume.policy, &*volume.phase) {
        _ if volume.deleting.is_some() && &*volume.policy != "Delete" => {
            format!("policy {}: only the object goes, and the disk stays", volume.policy)
        }
        ("Delete", "Failed") => "policy Delete: deleting it failed".to_owned(),
        ("Delete", _) => "policy Delete: its provisioner has not deleted it".to_owned(),
        ("Recycle", _) => "policy Recycle: it is not available yet".to_owned(),
        (policy, _) => {
            format!("policy {policy}: it stays until someone deletes or adopts it")
        }
    }
}
