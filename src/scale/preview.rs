//! What a scaling would do to every ordinal and its disks. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::workload::{Class, Finding, Pod, Retention, Slot, SlotClaim, Survey, digest};

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub to: u32,
    /// Keep the claims, whatever the set says.
    pub retain: bool,
    /// Take a snapshot of every claim, of this class.
    pub snapshot: Option<String>,
    /// Set claims that are left from before aside.
    pub fresh: bool,
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
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub created: Option<Timestamp>,
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
    /// The claim is deleted with its pod; the volume stays, for nobody.
    ClaimGoes,
    /// The claim is deleted with its pod, and the volume with the claim.
    Destroyed,
    /// The claim is deleted with its pod; what its volume does then is not
    /// known.
    Unknown,
    /// There is no claim, and so nothing to lose.
    Absent,
    /// There is no claim yet: a new one is made.
    New,
    /// A claim that is left from before is mounted again.
    Mounted,
    /// It is set aside under another name, and a new one is made.
    SetAside,
}

impl Fate {
    pub fn word(self) -> &'static str {
        match self {
            Fate::Kept => "kept",
            Fate::ClaimGoes => "claim deleted, volume kept",
            Fate::Destroyed => "DESTROYED",
            Fate::Unknown => "claim deleted, volume unknown",
            Fate::Absent => "no claim",
            Fate::New => "new",
            Fate::Mounted => "mounted again",
            Fate::SetAside => "set aside",
        }
    }
}

impl Preview {
    pub fn new(survey: &Survey, wish: &Wish) -> Preview {
        let (from, to) = (survey.set.replicas, wish.to);
        let items = if to < from {
            let leaving = survey.indexes().filter(|(index, _)| *index >= to).rev();
            leaving.map(|(_, slot)| leaves(survey, wish, slot)).collect()
        } else {
            (from..to).map(|index| comes(survey, wish, index)).collect()
        };
        Preview { from, to, items }
    }

    /// The disks, each with the ordinal that it belongs to.
    pub fn disks(&self) -> impl Iterator<Item = (&Ordinal, &Disk)> {
        self.items.iter().flat_map(|item| item.claims.iter().map(move |disk| (item, disk)))
    }

    /// Whether the same ordinals would come back to the same disks.
    pub fn can_be_undone(&self) -> bool {
        let lost = [Fate::ClaimGoes, Fate::Destroyed, Fate::Unknown];
        !self.disks().any(|(_, disk)| lost.contains(&disk.fate))
    }

    pub fn claims_of(&self, fate: Fate) -> Vec<&str> {
        self.disks().filter(|(_, disk)| disk.fate == fate).map(|(_, disk)| &*disk.claim).collect()
    }

    /// What the plan stands on, in a few characters: when it differs, the world
    /// or the words are others.
    pub fn hash(&self, survey: &Survey, findings: &[Finding]) -> String {
        let found: Vec<_> =
            findings.iter().map(|finding| json!([finding.id, finding.severity])).collect();
        let items = self.items.iter().map(|item| {
            let disks = item.claims.iter().map(|disk| json!([disk.claim, disk.uid, disk.fate]));
            json!([item.ordinal, item.class, disks.collect::<Vec<_>>()])
        });
        let items: Vec<_> = items.collect();
        digest(&json!([survey.set.uid, self.from, self.to, items, found]), 8)
    }
}

fn leaves(survey: &Survey, wish: &Wish, slot: &Slot) -> Ordinal {
    let disks = slot.claims.iter().map(|claim| {
        let fate = if survey.set.when_scaled == Retention::Retain || wish.retain {
            Fate::Kept
        } else {
            match claim.volume.map(|volume| volume.reclaim_policy.as_str()) {
                Some("Retain") => Fate::ClaimGoes,
                // Delete; Recycle is long gone, and wipes.
                Some(_) => Fate::Destroyed,
                None => Fate::Unknown,
            }
        };
        disk(claim, fate)
    });
    ordinal(survey, Way::Leaves, slot.ordinal, slot.pod, disks.collect())
}

fn comes(survey: &Survey, wish: &Wish, index: u32) -> Ordinal {
    let set = survey.set;
    let number = set.start.saturating_add(index);
    let disks = set.claim_templates.iter().map(|template| {
        let name = set.claim_name(template, number);
        let claim = survey.facts.claim(&name);
        let volume = claim
            .and_then(|claim| claim.volume.as_deref())
            .and_then(|volume| survey.facts.volume(volume));
        let fate = match (claim, wish.fresh) {
            (None, _) => Fate::New,
            (Some(_), true) => Fate::SetAside,
            (Some(_), false) => Fate::Mounted,
        };
        disk(&SlotClaim { name, claim, volume }, fate)
    });
    ordinal(survey, Way::Comes, number, None, disks.collect())
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
        unused_since: claim.and_then(|claim| claim.unused_since),
        fate: if claim.is_none() && fate != Fate::New { Fate::Absent } else { fate },
    }
}

/// Who throws a volume away when its claim goes, as far as that is known.
pub fn destroyer(survey: &Survey, disk: &Disk) -> String {
    let class = disk.storage_class.as_deref().and_then(|class| survey.facts.class(class));
    match class.filter(|class| Class::provisions(class)) {
        Some(class) => format!("its provisioner ({})", class.provisioner),
        None => "whoever reclaims it".to_owned(),
    }
}
