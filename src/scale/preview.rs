//! What a scaling would do to every ordinal and its disks. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::data;
use crate::workload::{
    Claim, Class, Finding, Pod, Retention, Slot, SlotClaim, Survey, Volume, VolumeSeen, digest,
};

/// The options that decide what becomes of the disks.
#[derive(Clone, Debug, Default)]
pub struct ScaleRequest {
    pub to: u32,
    /// Keep the claims, whatever the set says.
    pub retain: bool,
    /// Take a snapshot of every claim, of this class.
    pub snapshot: Option<String>,
    /// Set claims of earlier ordinals aside.
    pub fresh: bool,
    /// Go back to where a scaling began.
    pub aborts: bool,
}

/// What a scaling would do.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub from: u32,
    pub to: u32,
    /// The ordinals that leave or come, in the order in which they do.
    pub items: Vec<Ordinal>,
    /// What an earlier run has begun, and this one finishes.
    pub rest: Vec<String>,
}

/// One ordinal that leaves or comes.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ordinal {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub class: Way,
    pub ordinal: u32,
    /// What `kubectl get pods` shows, or `<none>`.
    pub state: Option<String>,
    pub node: Option<String>,
    pub claims: Vec<Disk>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Leaves,
    Comes,
}

/// A claim of an ordinal, and what becomes of it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    pub claim: String,
    pub uid: Option<String>,
    pub volume: Option<String>,
    pub size: Option<String>,
    pub storage_class: Option<String>,
    /// Of the volume.
    pub reclaim_policy: Option<String>,
    /// When the claim was created.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
    /// When the volume was created: a claim can be younger than its data.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub volume_created: Option<Timestamp>,
    /// Since when no pod uses it, where the server says so.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub unused_since: Option<Timestamp>,
    pub fate: Fate,
}

/// What becomes of the data on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// The claim stays, and its volume with it.
    Kept,
    /// The claim stays, and its volume, which is being deleted, as long as the claim
    /// does.
    UntilClaimGoes,
    /// The claim is deleted with its pod; the volume stays, Released.
    ClaimGoes,
    /// The claim is deleted with its pod, and the volume with the claim.
    Destroyed,
    /// The claim is deleted with its pod, and the volume, which is being deleted
    /// already, with the claim. Its policy is Retain: the disk stays in the
    /// storage system, and nothing in the cluster names it.
    VolumeGoes,
    /// The claim and its volume are gone. The policy of the volume was Retain: it was
    /// taken away, or somebody has deleted the volume, and its disk may be left.
    Gone,
    /// The claim is deleted with its pod; nobody knows what becomes of its volume.
    Unknown,
    /// The claim has no volume of its own, and so no data.
    NoVolume,
    /// The claim of a generic ephemeral volume, which is deleted with its pod.
    Ephemeral,
    /// There is no claim, and so no data.
    Absent,
    /// There is no claim yet; a new one is made.
    New,
    /// At the end: the new claim has got a volume that was there before.
    Found,
    /// An old claim is mounted again.
    Mounted,
    /// At the end: what has become of it could not be read.
    NotRead,
    /// The old claim is set aside under another name, and a new one is made.
    SetAside,
}

impl Fate {
    pub fn label(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::UntilClaimGoes => "goes as soon as its claim",
            Fate::ClaimGoes => "claim deleted, volume kept",
            Fate::Destroyed => "DESTROYED",
            Fate::VolumeGoes => "claim and volume deleted",
            Fate::Gone => "GONE with its volume",
            Fate::Unknown => "claim deleted, volume unknown",
            Fate::NoVolume => "no volume",
            Fate::Ephemeral => "ephemeral: deleted with its pod",
            Fate::Absent => "no claim",
            Fate::New => "new",
            Fate::Found => "an older volume",
            Fate::Mounted => "mounted again",
            Fate::NotRead => "not read",
            Fate::SetAside => "set aside",
        }
    }

    /// How much is lost: nothing, the claim, or the way to the data.
    pub fn loss(self) -> u8 {
        match self {
            Fate::ClaimGoes => 1,
            Fate::Destroyed | Fate::VolumeGoes | Fate::Gone | Fate::Unknown => data::LOST,
            _ => 0,
        }
    }
}

impl Disk {
    /// Whether an ordinal that comes mounts a claim of before.
    pub fn is_mounted_again(&self) -> bool {
        self.fate == Fate::Mounted
    }
}

impl Preview {
    pub fn new(survey: &Survey, request: &ScaleRequest) -> Preview {
        let (from, to) = (survey.set.replicas, request.to);
        let items = if to < from {
            let leaving = survey.indexes().filter(|(index, _)| *index >= to).rev();
            leaving.map(|(_, slot)| leaves(survey, request, slot)).collect()
        } else {
            (from..to).map(|index| comes(survey, request, index)).collect()
        };
        Preview { from, to, items, rest: Vec::new() }
    }

    /// The disks, each with the ordinal that it belongs to.
    pub fn disks(&self) -> impl Iterator<Item = (&Ordinal, &Disk)> {
        self.items.iter().flat_map(|item| item.claims.iter().map(move |disk| (item, disk)))
    }

    /// Whether the same ordinals can come back to the same disks, as far as is known:
    /// also where the volume of one that has left has to be given to it again.
    pub fn can_be_undone(&self) -> bool {
        let is_lost = |(item, disk): (&Ordinal, &Disk)| {
            let bearable = if item.class == Way::Leaves { data::LOST } else { 1 };
            disk.fate.loss() >= bearable || disk.fate == Fate::NotRead
        };
        !self.disks().any(is_lost)
    }

    pub fn claims_of(&self, fate: Fate) -> Vec<&str> {
        self.disks().filter(|(_, disk)| disk.fate == fate).map(|(_, disk)| &*disk.claim).collect()
    }

    /// The claim with this uid is set aside, whatever the request says: an earlier
    /// run has begun with it.
    pub fn is_set_aside(&mut self, uid: &str) {
        let disks = self.items.iter_mut().flat_map(|item| &mut item.claims);
        for disk in disks.filter(|disk| disk.uid.as_deref() == Some(uid)) {
            disk.fate = Fate::SetAside;
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.rest.is_empty()
    }

    /// A short hash of everything that the plan was made from, and of the `flags`
    /// that change what is done.
    pub fn hash(&self, survey: &Survey, findings: &[Finding], flags: &Value) -> String {
        let found: Vec<_> =
            findings.iter().map(|finding| json!([finding.id, finding.severity])).collect();
        let items = self.items.iter().map(|item| {
            let disks = item.claims.iter().map(|disk| json!([disk.claim, disk.uid, disk.fate]));
            json!([item.ordinal, item.class, disks.collect::<Vec<_>>()])
        });
        let items: Vec<_> = items.collect();
        let of = json!([survey.set.uid, self.from, self.to, items, self.rest, found, flags]);
        digest(&of, 8)
    }
}

fn leaves(survey: &Survey, request: &ScaleRequest, slot: &Slot) -> Ordinal {
    let keeps = survey.set.when_scaled == Retention::Retain || request.retain;
    let known = survey.facts.volumes.is_some();
    let own = slot.claims.iter().map(|slot_claim| {
        let fate = slot_claim.claim.map_or(Fate::Absent, |claim| {
            data::when_pod_leaves(keeps, claim, VolumeSeen::new(slot_claim.volume, known))
        });
        disk(slot_claim, fate)
    });
    let mut disks: Vec<Disk> = own.collect();
    disks.extend(ephemeral(survey, slot));
    ordinal(survey, Way::Leaves, slot.ordinal, slot.pod, disks)
}

/// The claims that were created with the pod, and are deleted with it.
fn ephemeral(survey: &Survey, slot: &Slot) -> Vec<Disk> {
    let Some(pod) = slot.pod else { return Vec::new() };
    let is_own = |name: &String| slot.claims.iter().any(|own| own.name == *name);
    let belongs = |claim: &&Claim| claim.owners.iter().any(|owner| owner.uid == pod.uid);
    let named = pod.claims.iter().filter(|name| !is_own(name));
    let claims = named.filter_map(|name| survey.facts.claim(name)).filter(belongs);
    let disks = claims.map(|claim| {
        let volume = claim.volume.as_deref().and_then(|volume| survey.facts.volume(volume));
        let slot_claim = SlotClaim { name: claim.name.clone(), claim: Some(claim), volume };
        disk(&slot_claim, Fate::Ephemeral)
    });
    disks.collect()
}

fn comes(survey: &Survey, request: &ScaleRequest, index: u32) -> Ordinal {
    let set = survey.set;
    let number = set.start.saturating_add(index);
    let disks = set.claim_templates.iter().map(|template| {
        let name = set.claim_name(template, number);
        let claim = survey.facts.claim(&name);
        let volume = claim
            .and_then(|claim| claim.volume.as_deref())
            .and_then(|volume| survey.facts.volume(volume));
        let fate = match (claim, request.fresh) {
            (None, _) => Fate::New,
            (Some(_), true) => Fate::SetAside,
            (Some(claim), false) if claim.volume.is_none() => Fate::NoVolume,
            (Some(_), false) => Fate::Mounted,
        };
        disk(&SlotClaim { name, claim, volume }, fate)
    });
    ordinal(survey, Way::Comes, number, None, disks.collect())
}

/// The disk that an ordinal which has come has now, by its new claim.
pub fn disk_of(claim: &Claim, volume: Option<&Volume>, fate: Fate) -> Disk {
    disk(&SlotClaim { name: claim.name.clone(), claim: Some(claim), volume }, fate)
}

fn ordinal(
    survey: &Survey,
    class: Way,
    ordinal: u32,
    pod: Option<&Pod>,
    claims: Vec<Disk>,
) -> Ordinal {
    Ordinal {
        kind: "Pod",
        namespace: survey.set.namespace.clone(),
        name: survey.set.pod_name(ordinal),
        class,
        ordinal,
        state: pod.map(Pod::state),
        node: pod.and_then(|pod| pod.node.clone()),
        claims,
    }
}

fn disk(slot: &SlotClaim, fate: Fate) -> Disk {
    let (claim, volume) = (slot.claim, slot.volume);
    let size = volume.and_then(|volume| volume.capacity.clone());
    Disk {
        claim: slot.name.clone(),
        uid: claim.map(|claim| claim.uid.clone()),
        volume: claim.and_then(|claim| claim.volume.clone()),
        size: size.or_else(|| claim.and_then(|claim| claim.capacity.clone())),
        storage_class: claim.and_then(|claim| claim.class.clone()),
        reclaim_policy: volume.map(|volume| volume.reclaim_policy.clone()),
        created: claim.and_then(|claim| claim.created),
        volume_created: volume.and_then(|volume| volume.created),
        unused_since: claim.and_then(|claim| claim.unused_since),
        fate,
    }
}

/// What deletes a volume after its claim, as far as that is known.
pub fn deleter(survey: &Survey, disk: &Disk) -> String {
    let class = disk.storage_class.as_deref().and_then(|class| survey.facts.class(class));
    match class.filter(|class| Class::provisions(class)) {
        Some(class) => format!("its provisioner ({})", class.provisioner),
        None => "the storage system".to_owned(),
    }
}
