//! What an ordinal that comes would find: its name, a claim, a volume. Pure.

use jiff::Timestamp;

use crate::{
    output::text::{age, list},
    scale::{
        data, fresh,
        preview::{Disk, Fate, Ordinal, Preview, ScaleRequest, Way},
        record::Record,
        rules,
    },
    workload::{Claim, Finding, Pod, Severity, Survey, Volume, VolumeSeen, has_volume},
};

/// The names that pods of the set are to get: of the ordinals that come, and of those
/// that an earlier run of a scale-up has added and that have no pod yet.
pub fn names_wanted(survey: &Survey, preview: &Preview, record: Option<&Record>) -> Vec<String> {
    let come = preview.items.iter().filter(|item| item.class == Way::Comes);
    let added = record.is_some_and(|record| record.to > record.from);
    let come = come.map(|item| item.name.clone());
    let waited_for = survey.slots.iter().filter(|slot| slot.pod.is_none());
    let waited_for = waited_for.filter(|_| added && survey.pods_known);
    come.chain(waited_for.map(|slot| slot.name.clone())).collect()
}

/// The pods of somebody else that have such a name: the controller cannot make its own.
pub(super) fn names_taken(survey: &Survey, names: &[String], pods: &[Pod]) -> Vec<Finding> {
    let named = pods.iter().filter(|pod| names.contains(&pod.name));
    let taken = named.filter_map(|pod| data::name_taken(survey.set, pod));
    taken.map(|(name, finding)| finding.hint(survey.whose_pod(name))).collect()
}

/// The names of the ordinals of which an earlier run has not seen that they are gone.
pub fn names_left(survey: &Survey, record: Option<&Record>) -> Vec<String> {
    let set = survey.set;
    let left = record.filter(|record| record.is_down()).map(|record| record.at..record.concluded);
    let left = left.into_iter().flatten().map(|index| set.start.saturating_add(index));
    left.map(|ordinal| set.pod_name(ordinal)).collect()
}

/// The pods that have such a name, and are not of the set any more.
pub(super) fn pods_stay(survey: &Survey, names: &[String], pods: &[Pod]) -> Vec<Finding> {
    let named = pods.iter().filter(|pod| names.contains(&pod.name));
    let stay = named.filter_map(|pod| Some((pod, data::pod_stays(survey.set, pod)?)));
    stay.map(|(pod, finding)| finding.hint(survey.whose_pod(&pod.name))).collect()
}

/// Whether new ordinals would get an old claim.
pub(super) fn coming(
    survey: &Survey,
    preview: &Preview,
    request: &ScaleRequest,
    record: Option<&Record>,
    pods: &[Pod],
    found: &mut Vec<Finding>,
) {
    let set = survey.set;
    for (item, disk) in preview.disks() {
        let on = format!("persistentvolumeclaim/{}", disk.claim);
        let Some(claim) = survey.facts.claim(&disk.claim) else {
            match reserved(survey, item, disk) {
                // Going back, the ordinals are those that have just left.
                Some(finding) if request.aborts => found.push(finding.at(Severity::Warning)),
                Some(finding) => found.push(finding),
                None if request.fresh => {}
                None => found.extend(starts_empty(survey, item, disk, record)),
            }
            continue;
        };
        if claim.deleting.is_some() {
            // An earlier run has deleted the claim, and this one waits for its end.
            if disk.fate == Fate::SetAside && claim.phase == "Lost" {
                continue;
            }
            let message = format!("claim {} that {} needs is being deleted", disk.claim, item.name);
            let finding = rules::CLAIM_LEAVING.found(on, message);
            let volume = claim.volume.as_deref();
            found.push(match volume.and_then(|volume| survey.facts.volume(volume)) {
                Some(volume) if volume.reclaim_policy != "Retain" => {
                    finding.hint(survey.keep_volume(&volume.name))
                }
                _ => finding,
            });
            continue;
        }
        let volume = claim.volume.as_deref().and_then(|volume| survey.facts.volume(volume));
        if volume.is_some_and(|volume| volume.deleting.is_some()) {
            found.push(data::volume_leaving(disk, &disk.claim));
        }
        let users = data::users(set, item, disk, pods);
        if !users.is_empty() {
            found.push(data::in_use(item, disk, &users));
        }
        if disk.fate == Fate::Mounted {
            found.extend(readopts(survey, preview, item, disk, claim, request));
        }
    }
}

/// The volumes whose `spec.claimRef` names this claim, whether it is there or not.
fn volumes_of<'a>(survey: &'a Survey, claim: &'a str) -> impl Iterator<Item = &'a Volume> {
    survey.facts.volumes.iter().flatten().filter(move |volume| {
        let named = volume.claim.as_ref();
        named.is_some_and(|named| named.namespace == survey.set.namespace && named.name == claim)
    })
}

/// The finding for an ordinal without a claim for which a volume is reserved: its new
/// claim gets that volume, with what is on it.
pub(super) fn reserved(survey: &Survey, item: &Ordinal, disk: &Disk) -> Option<Finding> {
    let claim = &disk.claim;
    let volume = volumes_of(survey, claim)
        .find(|volume| volume.phase == "Available" && volume.deleting.is_none())?;
    let message = format!(
        "{} would mount volume {} and whatever is on it, also with --fresh: the volume is Available \
         and reserved for claim {claim}; --allow {} accepts that",
        item.name,
        volume.name,
        rules::READOPTS_DATA.id
    );
    let finding = rules::READOPTS_DATA.found(format!("persistentvolumeclaim/{claim}"), message);
    Some(finding.hint(format!("kubectl describe pv {}{}", volume.name, survey.facts.flags)))
}

/// The finding for an ordinal without a claim, where the data of its former claim is
/// on a volume that is left, or under the name with which it was set aside. What the
/// scaling of `record` has set aside has a finding of its own.
fn starts_empty(
    survey: &Survey,
    item: &Ordinal,
    disk: &Disk,
    record: Option<&Record>,
) -> Option<Finding> {
    let (set, claim) = (survey.set, &disk.claim);
    let on = format!("persistentvolumeclaim/{claim}");
    let say = |what: &str, hint: String| {
        let message = format!(
            "{} would start on an empty disk: {what} the data of its former claim {claim}; --allow \
             {} leaves that where it is, and so does --fresh",
            item.name,
            rules::STARTS_EMPTY.id
        );
        Some(rules::STARTS_EMPTY.found(on.clone(), message).hint(hint))
    };
    let adopt = |object: &str| {
        data::line_to_adopt(set, item.ordinal, claim, object, &format!(" {}", survey.at()))
    };
    let every = format!("kubectl stateful orphans {} {} -o wide", set.name, survey.at());
    let of_record = record.map(|record| fresh::aside(claim, record));
    let aside: Vec<&str> = fresh::set_aside(survey.facts, claim)
        .map(|aside| aside.name.as_str())
        .filter(|aside| of_record.as_deref() != Some(aside))
        .collect();
    match aside.as_slice() {
        [] => {}
        [one] => return say(&format!("claim {one} has"), adopt(&format!("pvc/{one}"))),
        several => return say(&format!("claims {} have", list(several)), every),
    }
    if survey.facts.volumes.is_none() {
        let message = format!(
            "persistentvolumes could not be read: whether one has data of a former claim {claim}, \
             without which {} starts on an empty disk, or would be bound to a new one, is not \
             checked",
            item.name
        );
        return Some(rules::UNREAD.found(on, message).at(Severity::Warning));
    }
    let left = volumes_of(survey, claim).filter(|volume| {
        let is_left = matches!(volume.phase.as_str(), "Released" | "Failed");
        is_left && volume.reclaim_policy == "Retain" && volume.deleting.is_none()
    });
    let names: Vec<&str> = left.map(|volume| volume.name.as_str()).collect();
    match names.as_slice() {
        [] => None,
        [one] => say(&format!("volume {one} has"), adopt(&format!("pv/{one}"))),
        several => say(&format!("volumes {} have", list(several)), every),
    }
}

/// The finding for a claim of before that an ordinal would mount. One that never
/// had a volume has no data on it.
fn readopts(
    survey: &Survey,
    preview: &Preview,
    item: &Ordinal,
    disk: &Disk,
    claim: &Claim,
    request: &ScaleRequest,
) -> Option<Finding> {
    let on = format!("persistentvolumeclaim/{}", disk.claim);
    let name = claim.volume.as_deref()?;
    let volume = survey.facts.volume(name);
    let seen = VolumeSeen::new(volume, survey.facts.volumes.is_some());
    if !has_volume(claim, seen) {
        let message = format!(
            "{} would wait for claim {} without end: the claim has lost its volume {name}",
            item.name, disk.claim
        );
        let hint = format!("kubectl delete pvc {} {}", disk.claim, survey.at());
        return Some(rules::READOPTS_DATA.found(on, message).hint(hint));
    }
    let ago = |time: Timestamp| age(survey.now.duration_since(time));
    let old = match (disk.volume_created, disk.created) {
        (Some(volume), _) => format!(" of {} ago", ago(volume)),
        (None, Some(claim)) => format!(", age unknown; the claim is of {} ago", ago(claim)),
        (None, None) => String::new(),
    };
    let idle = match disk.unused_since {
        Some(since) => format!("unused for {}", ago(since)),
        None => "last use unknown".to_owned(),
    };
    let message = format!(
        "{} would mount claim {} again with the data on it (volume {name}{old}, {idle}); --allow {} \
         uses it, and --fresh sets it aside",
        item.name,
        disk.claim,
        rules::READOPTS_DATA.id
    );
    let finding = rules::READOPTS_DATA.found(on, message);
    // Going back, the ordinals are those that have just left.
    if request.aborts {
        return Some(finding.at(Severity::Warning));
    }
    let (name, at) = (&survey.set.name, survey.at());
    Some(
        finding
            .hint(format!("kubectl stateful scale {name} --replicas {} --fresh {at}", preview.to)),
    )
}
