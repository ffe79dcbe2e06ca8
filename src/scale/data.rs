//! What becomes of a claim and its volume when its pod leaves or comes; whether
//! what was agreed to still holds before a step; and what has become of it. Pure.
//!
//! A claim that is being deleted is gone as soon as its pod is, whatever the set
//! says about claims. Until then other people may delete it, change the set or
//! the policy of the volume, or make another claim of the same name. So a step is
//! taken only if a fresh look gives the same answer as the plan, and the report
//! at the end looks again: it says of no disk that it is kept because a plan said
//! so.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    preview::{Disk, Fate, Ordinal, Way, disk_of},
    rules,
};
use crate::{
    output::text::{age, list},
    workload::{Claim, Finding, Pod, Retention, StatefulSet, Volume, VolumeSeen, has_volume},
};

/// What becomes of a claim when its pod leaves. `keeps` is whether the set keeps
/// the claims of ordinals that leave.
pub fn when_pod_leaves(keeps: bool, claim: &Claim, volume: VolumeSeen) -> Fate {
    if !has_volume(claim, volume) {
        return Fate::NoVolume;
    }
    if keeps && claim.deleting.is_none() {
        return match volume {
            VolumeSeen::Found(volume) if volume.deleting.is_some() => Fate::UntilClaimGoes,
            _ => Fate::Kept,
        };
    }
    match volume {
        VolumeSeen::Found(volume) if volume.reclaim_policy != "Retain" => Fate::Destroyed,
        VolumeSeen::Found(volume) if volume.deleting.is_some() => Fate::VolumeGoes,
        VolumeSeen::Found(_) => Fate::ClaimGoes,
        VolumeSeen::Unread | VolumeSeen::Gone => Fate::Unknown,
    }
}

/// The claims of some ordinals, as they were read just now.
#[derive(Clone, Debug, Default)]
pub struct Now {
    pub claims: Vec<Claim>,
    /// The volumes that were asked for, `None` where there is none. Those that
    /// may not be read are missing.
    pub volumes: BTreeMap<String, Option<Volume>>,
    /// The pods with the names of the ordinals that come, and all of the namespace where
    /// [`Disk::is_mounted_again`].
    pub pods: Vec<Pod>,
    /// Which volume is attached where, as far as that may be read, in the same case.
    pub attached: BTreeMap<String, String>,
}

impl Now {
    fn claim(&self, name: &str) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.name == name)
    }

    fn volume(&self, name: Option<&String>) -> VolumeSeen<'_> {
        let asked = name.and_then(|name| self.volumes.get(name));
        asked.map_or(VolumeSeen::Unread, |found| VolumeSeen::new(found.as_ref(), true))
    }
}

/// The claims that have to be read before these ordinals leave or come.
pub fn claims_wanted(items: &[&Ordinal]) -> Vec<String> {
    let disks = items.iter().flat_map(|item| &item.claims);
    disks.filter(|disk| disk.fate != Fate::Ephemeral).map(|disk| disk.claim.clone()).collect()
}

/// The names of the ordinals that come: nobody else may have a pod of that name.
pub fn names_wanted(items: &[&Ordinal]) -> Vec<String> {
    let come = items.iter().filter(|item| item.class == Way::Comes);
    come.map(|item| item.name.clone()).collect()
}

/// The volumes on which what was agreed to depends, and of which is said what becomes of
/// them where it does not hold.
pub fn volumes_wanted(items: &[&Ordinal]) -> Vec<String> {
    let leave = items.iter().filter(|item| item.class == Way::Leaves);
    let disks = leave.flat_map(|item| &item.claims);
    let depends = |disk: &&Disk| disk.fate != Fate::Ephemeral;
    disks.filter(depends).filter_map(|disk| disk.volume.clone()).collect()
}

/// The volumes to look at for the end. One whose claim stays is looked at as well:
/// somebody may have deleted it, which cannot be taken back.
pub fn volumes_in_the_end(items: &[&Ordinal]) -> Vec<String> {
    let disks = items.iter().flat_map(|item| &item.claims);
    let promised = |disk: &&Disk| {
        let stays = matches!(disk.fate, Fate::Kept | Fate::UntilClaimGoes | Fate::ClaimGoes);
        stays || matches!(disk.fate, Fate::SetAside | Fate::Mounted)
    };
    disks.filter(promised).filter_map(|disk| disk.volume.clone()).collect()
}

/// Whether a step may be taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Go,
    /// The controller has yet to take itself away as an owner of a claim, or a volume
    /// has yet to leave its node.
    Wait(Finding),
    Stop(Finding),
}

/// Whether what was agreed to still holds for these ordinals. `shared` is whether
/// claims may be mounted that other pods use.
pub fn judge(set: &StatefulSet, items: &[&Ordinal], now: &Now, shared: bool) -> Verdict {
    let names = names_wanted(items);
    let named = now.pods.iter().filter(|pod| names.contains(&pod.name));
    if let Some((_, taken)) = named.into_iter().find_map(|pod| name_taken(set, pod)) {
        return Verdict::Stop(taken);
    }
    let disks = || items.iter().flat_map(|item| item.claims.iter().map(move |disk| (*item, disk)));
    for (item, disk) in disks() {
        let why = match item.class {
            Way::Leaves => no_longer_leaves(set, item, disk, now),
            Way::Comes => no_longer_comes(disk, now),
        };
        if let Some(why) = why {
            return Verdict::Stop(rules::DATA_CHANGED.found(on(disk), why));
        }
        let users = users(set, item, disk, &now.pods);
        if !users.is_empty() && !shared {
            return Verdict::Stop(in_use(item, disk, &users));
        }
        if !shared && let Some(finding) = still_attached(item, disk, now) {
            return Verdict::Wait(finding);
        }
    }
    let owned = disks().find_map(|(item, disk)| {
        let stays = matches!(disk.fate, Fate::Kept | Fate::UntilClaimGoes);
        let claim = now.claim(&disk.claim).filter(|_| stays)?;
        if !is_owned(claim, item) {
            return None;
        }
        let message =
            format!("pod {} still owns claim {}, which is deleted with it", item.name, disk.claim);
        Some(Verdict::Wait(rules::NOT_RETAINED.found(on(disk), message)))
    });
    owned.unwrap_or(Verdict::Go)
}

/// The finding for a pod of somebody else that has a name which the set needs.
pub fn name_taken<'a>(set: &StatefulSet, pod: &'a Pod) -> Option<(&'a str, Finding)> {
    let taken = set.name_taken(pod)?;
    let what = if pod.is_terminating() {
        "it is being deleted: wait until it is gone"
    } else {
        "delete it, or rename what makes it"
    };
    let finding = rules::NAME_TAKEN.found(format!("pod/{}", pod.name), format!("{taken}; {what}"));
    Some((&pod.name, finding))
}

/// The finding for a pod that has the name of an ordinal which has left. `None` for one of
/// the set, which is on its way.
pub fn pod_stays(set: &StatefulSet, pod: &Pod) -> Option<Finding> {
    if set.owns(pod) {
        return None;
    }
    let claims = match pod.claims.as_slice() {
        [] => String::new(),
        claims => format!(", and uses claim {}", list(claims)),
    };
    let message = format!(
        "{} is no pod of {} any more, and is still there ({}){claims}",
        pod.name,
        set.name,
        pod.state()
    );
    Some(rules::POD_STAYS.found(format!("pod/{}", pod.name), message))
}

/// Whether the pod of this ordinal owns the claim: then it is deleted with it.
fn is_owned(claim: &Claim, item: &Ordinal) -> bool {
    claim.owners.iter().any(|owner| owner.kind == "Pod" && owner.name == item.name)
}

/// What a finding about its claim is about.
pub fn on(disk: &Disk) -> String {
    format!("persistentvolumeclaim/{}", disk.claim)
}

/// Why the data of an ordinal that leaves would fare worse than was agreed to.
fn no_longer_leaves(set: &StatefulSet, item: &Ordinal, disk: &Disk, now: &Now) -> Option<String> {
    if disk.fate == Fate::Ephemeral {
        return None;
    }
    let keeps = set.when_scaled == Retention::Retain;
    let agreed = disk.fate.label();
    let Some(claim) = now.claim(&disk.claim) else {
        let lost = disk.uid.is_some() && disk.fate.loss() < LOST;
        return lost.then(|| format!("claim {} is gone; the plan said: {agreed}", disk.claim));
    };
    if disk.uid.as_ref().is_some_and(|uid| *uid != claim.uid) {
        return Some(format!("claim {} was deleted and created again", disk.claim));
    }
    let fate = fate_now(disk, claim, keeps, now);
    if fate.loss() <= disk.fate.loss() {
        return None;
    }
    let why = match (claim.deleting, keeps) {
        (Some(_), _) => format!("claim {} is being deleted", disk.claim),
        (None, false) => format!("whenScaled of {} is Delete", set.name),
        (None, true) => format!("claim {} has lost its volume", disk.claim),
    };
    Some(format!(
        "{why}: with {}, {} would be: {}; the plan said: {agreed}",
        item.name,
        disk.claim,
        fate.label()
    ))
}

/// Why an ordinal that comes would get another disk than was agreed to.
fn no_longer_comes(disk: &Disk, now: &Now) -> Option<String> {
    let name = &disk.claim;
    match (disk.fate, now.claim(name)) {
        (Fate::Mounted, None) => {
            Some(format!("claim {name} is gone: its ordinal would come up on an empty disk"))
        }
        (Fate::Mounted, Some(claim)) if disk.uid.as_ref() != Some(&claim.uid) => {
            Some(format!("claim {name} was deleted and created again: it is another disk"))
        }
        (Fate::Mounted, Some(claim)) if claim.deleting.is_some() => Some(format!(
            "claim {name} is being deleted: its ordinal would come up on an empty disk"
        )),
        (Fate::New | Fate::SetAside, Some(_)) => {
            Some(format!("claim {name} was created meanwhile: its ordinal would mount it"))
        }
        _ => None,
    }
}

/// The pods, other than that of the ordinal itself, that use a claim which the
/// ordinal would mount.
pub fn users<'a>(set: &StatefulSet, item: &Ordinal, disk: &Disk, pods: &'a [Pod]) -> Vec<&'a Pod> {
    if !disk.is_mounted_again() {
        return Vec::new();
    }
    let is_own = |pod: &Pod| pod.name == item.name && pod.controller_uid.as_ref() == Some(&set.uid);
    let uses = |pod: &&Pod| !pod.is_finished() && !is_own(pod) && pod.claims.contains(&disk.claim);
    pods.iter().filter(uses).collect()
}

/// A volume that an ordinal would mount again, and that no pod needs where it is
/// attached: whoever was there last may still write to it.
fn still_attached(item: &Ordinal, disk: &Disk, now: &Now) -> Option<Finding> {
    let volume = now.claim(&disk.claim)?.volume.as_ref().filter(|_| disk.is_mounted_again())?;
    let node = now.attached.get(volume)?;
    let message = format!(
        "volume {volume} of claim {} that {} would mount is still attached to {node}",
        disk.claim, item.name
    );
    Some(rules::CLAIM_IN_USE.found(on(disk), message))
}

/// The finding for a claim that other pods use.
pub fn in_use(item: &Ordinal, disk: &Disk, users: &[&Pod]) -> Finding {
    let users: Vec<String> = users
        .iter()
        .map(|pod| match &pod.node {
            Some(node) => format!("{} (on {node}, {})", pod.name, pod.state()),
            None => format!("{} ({})", pod.name, pod.state()),
        })
        .collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let message = format!(
        "claim {} that {} would mount is in use by pod {}: two would write to one disk",
        disk.claim,
        item.name,
        list(&users)
    );
    rules::CLAIM_IN_USE.found(on(disk), message)
}

/// The line that gives its data back to the ordinal whose `claim` had it: `object` is
/// the volume, `pv/NAME`, or the claim that has it now. `at` are the flags that say where.
pub fn line_to_adopt(
    set: &StatefulSet,
    ordinal: u32,
    claim: &str,
    object: &str,
    at: &str,
) -> String {
    let mut templates = set.claim_templates.iter();
    let template = templates.find(|template| set.claim_name(template, ordinal) == claim);
    let template = template.map_or_else(String::new, |one| format!(" --template {}", one.name));
    let name = &set.name;
    format!("kubectl stateful orphans adopt {object} --to {name}/{ordinal}{template}{at}")
}

/// What is lost at [`Fate::loss`].
pub const LOST: u8 = 2;

/// What has become of the disks of an ordinal that has left or come: their fates
/// as they are now, and what was promised and does not hold. `keeps` is whether a
/// claim without an owner stays: its pod is gone, or the set keeps it.
pub fn outcome(item: &mut Ordinal, now: &Now, keeps: bool) -> Vec<Finding> {
    let mut disks = std::mem::take(&mut item.claims);
    let mut broken = Vec::new();
    for disk in &mut disks {
        let promised = disk.fate;
        let claim = now.claim(&disk.claim).filter(|claim| disk.uid.as_ref() == Some(&claim.uid));
        let why = match (item.class, promised) {
            (Way::Leaves, Fate::Kept | Fate::UntilClaimGoes | Fate::ClaimGoes) => {
                disk.fate = match claim {
                    Some(claim) => {
                        let keeps = keeps && !is_owned(claim, item) && promised != Fate::ClaimGoes;
                        fate_now(disk, claim, keeps, now)
                    }
                    None => of_gone_claim(disk, now.volume(disk.volume.as_ref())),
                };
                (disk.fate.loss() > promised.loss()).then(|| what_is_left(disk, claim, promised))
            }
            (Way::Comes, Fate::Mounted) => match claim {
                Some(claim) if claim.deleting.is_none() && claim.phase != "Lost" => None,
                Some(claim) if claim.deleting.is_none() => Some(format!(
                    "claim {} of before has lost its volume, so {} is on no disk that lasts",
                    disk.claim, item.name
                )),
                _ => Some(format!(
                    "claim {} of before is gone, so {} is on another disk, or on none",
                    disk.claim, item.name
                )),
            },
            _ => None,
        };
        broken.extend(why.map(|why| rules::NOT_KEPT.found(on(disk), why)));
    }
    item.claims = disks;
    broken
}

/// What becomes of a disk whose claim is there, by what was read just now.
fn fate_now(disk: &Disk, claim: &Claim, keeps: bool, now: &Now) -> Fate {
    match when_pod_leaves(keeps, claim, now.volume(claim.volume.as_ref())) {
        // It had one when this began.
        Fate::NoVolume if disk.volume.is_some() && disk.fate != Fate::NoVolume => {
            of_gone_claim(disk, now.volume(disk.volume.as_ref()))
        }
        fate => fate,
    }
}

/// What has become of the data of a claim that is gone.
fn of_gone_claim(disk: &Disk, volume: VolumeSeen) -> Fate {
    match volume {
        VolumeSeen::Found(volume) if volume.reclaim_policy != "Retain" => Fate::Destroyed,
        VolumeSeen::Found(volume) if volume.deleting.is_some() => Fate::VolumeGoes,
        // Whoever has it now, it is no longer kept for this ordinal.
        VolumeSeen::Found(volume)
            if volume.claim.as_ref().and_then(|claim| claim.uid.as_ref()) != disk.uid.as_ref() =>
        {
            Fate::Unknown
        }
        VolumeSeen::Found(_) => Fate::ClaimGoes,
        VolumeSeen::Gone if disk.reclaim_policy.as_deref() == Some("Retain") => Fate::Gone,
        VolumeSeen::Gone => Fate::Destroyed,
        VolumeSeen::Unread => Fate::Unknown,
    }
}

/// What a new claim of an ordinal that has come has got: a disk that was made for it, or
/// one of the volumes that were there `before`, which is told. `flags` are those of a line
/// to type.
pub fn what_came(
    item: &mut Ordinal,
    now: &Now,
    before: &[Volume],
    at: Timestamp,
    flags: &str,
) -> Vec<Finding> {
    let mut told = Vec::new();
    let name = &item.name;
    let new = |disk: &&mut Disk| matches!(disk.fate, Fate::New | Fate::SetAside);
    for disk in item.claims.iter_mut().filter(new) {
        let claim = now.claim(&disk.claim);
        let older = claim.and_then(|claim| {
            before.iter().find(|volume| claim.volume.as_ref() == Some(&volume.name))
        });
        if let Some(volume) = older {
            let made = volume.created.map_or_else(String::new, |created| {
                format!(", made {} ago", age(at.duration_since(created)))
            });
            let message = format!(
                "{name} is not on a new disk: claim {} is bound to volume {}, which was there \
                 before this scaling{made}; what was on it is not known",
                disk.claim, volume.name
            );
            let hint = format!("kubectl describe pv {}{flags}", volume.name);
            told.push(rules::OLD_VOLUME.found(on(disk), message).hint(hint));
        }
        // Of one that was set aside, the old disk is told.
        if disk.fate == Fate::New {
            match claim {
                Some(claim) => {
                    let fate = if older.is_some() { Fate::Found } else { Fate::New };
                    *disk = disk_of(claim, older, fate);
                }
                None => disk.fate = Fate::Absent,
            }
        }
    }
    told
}

/// The finding for a claim that was set aside, and is not there under its other
/// name.
pub fn aside_is_gone(disk: &mut Disk, aside: &str, now: &Now) -> Finding {
    disk.fate = of_gone_claim(disk, now.volume(disk.volume.as_ref()));
    let message = format!(
        "claim {} was set aside as {aside}, which is gone or has lost its volume; {}",
        disk.claim,
        rest_of(disk)
    );
    rules::NOT_KEPT.found(on(disk), message)
}

/// Whether the volume of an old claim that has come back, or was set aside, is being
/// deleted.
pub fn is_volume_leaving(disk: &Disk, now: &Now) -> bool {
    let stays = matches!(disk.fate, Fate::Mounted | Fate::SetAside);
    let volume = now.volume(disk.volume.as_ref());
    stays && matches!(volume, VolumeSeen::Found(volume) if volume.deleting.is_some())
}

/// The finding for a volume that is being deleted, while the claim stays that has it now.
pub fn volume_leaving(disk: &Disk, claim: &str) -> Finding {
    let volume = disk.volume.as_deref().unwrap_or("<none>");
    let message =
        format!("volume {volume} is being deleted, and stays only as long as claim {claim} does");
    rules::VOLUME_LEAVING.found(format!("persistentvolumeclaim/{claim}"), message)
}

/// The finding for a claim that went with its pod as the plan had said.
pub fn claim_went(item: &Ordinal, disk: &Disk) -> Finding {
    let volume = disk.volume.as_deref().unwrap_or("<none>");
    let message = format!(
        "claim {} goes with {}; volume {volume} is kept, without a claim",
        disk.claim, item.name
    );
    rules::CLAIM_GOES.found(on(disk), message)
}

fn what_is_left(disk: &Disk, claim: Option<&Claim>, promised: Fate) -> String {
    let claim = match claim {
        None => "is gone".to_owned(),
        Some(claim) if claim.deleting.is_some() => "is being deleted".to_owned(),
        Some(claim) if claim.phase == "Lost" => "has lost its volume".to_owned(),
        Some(_) => "goes with its pod".to_owned(),
    };
    let (name, rest) = (&disk.claim, rest_of(disk));
    format!("claim {name} {claim}, and the plan said: {}; {rest}", promised.label())
}

/// What is left of the volume.
fn rest_of(disk: &Disk) -> String {
    let volume = disk.volume.as_deref().unwrap_or("<none>");
    match disk.fate {
        Fate::ClaimGoes => format!("volume {volume} is kept, without a claim"),
        Fate::VolumeGoes => format!("volume {volume} is being deleted; its policy is Retain"),
        Fate::Destroyed => {
            format!(
                "volume {volume} is DESTROYED with its data: it is gone, or its policy lets it go"
            )
        }
        Fate::Gone => format!(
            "volume {volume} is gone: its data is DESTROYED, unless its storage kept the disk"
        ),
        _ => format!("it is not known what has become of volume {volume}"),
    }
}
