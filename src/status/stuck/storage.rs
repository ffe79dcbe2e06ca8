//! Claims that are not bound and volumes that cannot be used.

use jiff::SignedDuration;

use crate::{
    output::text::{age, list, one_line},
    workload::{Claim, Class, Finding, Rule, Severity, Slot, SlotClaim, Survey, Volume, rule},
};

pub(super) const RULES: &[&Rule] = &[
    &NO_CLASS,
    &NO_VOLUME,
    &PROVISIONING,
    &CLAIM_WAITS,
    &CLAIM_LOST,
    &CLAIM_TERMINATING,
    &VOLUME_RELEASED,
];

rule!(
    NO_CLASS,
    "STATUS-CLAIM-NO-CLASS",
    Error,
    "A claim is Pending because its StorageClass does not exist, because it names none and the \
     cluster has no default, or because it asks for a volume without a class and there is none.",
    "The claim's storageClassName, the list of StorageClasses, and no existing volume that would \
     fit.",
    "Create the class, or create the claim again with one that exists: the class of a claim and \
     of volumeClaimTemplates cannot be changed in place."
);

rule!(
    NO_VOLUME,
    "STATUS-CLAIM-NO-VOLUME",
    Error,
    "A claim is Pending because no existing volume matches it and none will be created for it.",
    "The class has no provisioner (or there is no such StorageClass and volumes have its name), \
     and each volume of that class is taken, too small, or lacks an access mode; the reasons are \
     given. Or the claim names a volume that does not exist, belongs to another claim, or does not \
     fit; a VolumeMismatch event about the claim (by uid) says so in the controller's words.",
    "Create a volume that matches. A Released volume is bound again only after its claimRef is \
     cleared, which gives its old data to the new claim."
);

rule!(
    PROVISIONING,
    "STATUS-CLAIM-PROVISIONING",
    Error,
    "A claim waits for its provisioner, which reports a failure or has not created a volume for a \
     long time.",
    "The claim is Pending, its class has a provisioner, and there is a ProvisioningFailed event \
     about this claim (by uid), or the claim was created more than two minutes ago.",
    "Look at the provisioner's pods and log, and at the quota of the storage behind it."
);

rule!(
    CLAIM_WAITS,
    "STATUS-CLAIM-WAITS",
    Note,
    "A claim is Pending until its pod is scheduled. This is normal.",
    "The class's volumeBindingMode is WaitForFirstConsumer and no node has been chosen for the \
     claim.",
    "Nothing to do here: the cause is whatever keeps the pod from being scheduled."
);

rule!(
    CLAIM_LOST,
    "STATUS-CLAIM-LOST",
    Error,
    "The claim's volume no longer exists or belongs to another claim. Pods with this claim cannot \
     start.",
    "The claim's phase is Lost. The finding says whether its volume still exists, and whose it \
     is.",
    "If the volume belongs to another claim, find out who moved it and why before you do anything \
     else. If it is gone, restore from a backup into a new claim."
);

rule!(
    CLAIM_TERMINATING,
    "STATUS-CLAIM-TERMINATING",
    Error,
    "The claim is being deleted. It disappears when its pod does, and the ordinal's next pod gets \
     a new, empty claim; if the volume's policy is Delete, the disk is deleted too.",
    "The claim has a deletionTimestamp; the finalizers that still hold it are named.",
    "A deletion cannot be taken back. To keep the disk, set the volume's \
     persistentVolumeReclaimPolicy to Retain now, before the pod stops."
);

rule!(
    VOLUME_RELEASED,
    "STATUS-VOLUME-RELEASED",
    Warning,
    "A volume still holds the data of an earlier claim of this ordinal, and nothing uses it: that \
     claim was deleted, and the ordinal runs, or would run, on another disk.",
    "The volume's phase is Released or Failed, and its claimRef names a claim of this set. One that \
     was made after the volume that the ordinal uses is a note: it is what migrate recover leaves of \
     the disk that was blank, or of one in between.",
    "Decide which disk is the right one before the new one fills up. A Released volume is never \
     bound again by itself: kubectl stateful migrate recover shows the volumes of the ordinal, puts \
     the one that is named with --pv back under the set, and keeps the other one."
);

/// Longer than a provisioner usually takes.
const PROVISIONING_PATIENCE: SignedDuration = SignedDuration::from_mins(2);

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    if survey.facts.claims.is_none() {
        return;
    }
    let mut waiting = Vec::new();
    for slot in &survey.slots {
        for part in &slot.claims {
            let Some(claim) = part.claim else { continue };
            if claim.deleting.is_some() {
                found.push(terminating(survey, slot, claim, part.bound_volume()));
            }
            match claim.phase.as_str() {
                "Lost" => found.push(lost(survey, slot, claim)),
                "Pending" | "" => match pending(survey, slot, claim) {
                    Some(Pending::Waits) => waiting.push(claim.name.as_str()),
                    Some(Pending::Stuck(finding)) => found.push(finding),
                    None => {}
                },
                _ => {}
            }
        }
    }
    if let Some(first) = waiting.first() {
        found.push(CLAIM_WAITS.found(
            format!("persistentvolumeclaim/{first}"),
            format!(
                "{} will be bound when the pod is scheduled (WaitForFirstConsumer)",
                list(&waiting)
            ),
        ));
    }
    found.extend(released(survey));
}

enum Pending {
    Waits,
    Stuck(Finding),
}

fn pending(survey: &Survey, slot: &Slot, claim: &Claim) -> Option<Pending> {
    let classes = survey.facts.classes.as_ref()?;
    let object = format!("persistentvolumeclaim/{}", claim.name);
    let (name, pod) = (&claim.name, &slot.name);
    let at = survey.at();
    let describe = format!("kubectl describe pvc {name} {at}");
    if let Some(volume) = claim.volume.as_deref() {
        return prebound(survey, claim, volume, &object).map(Pending::Stuck);
    }
    let class_name = claim.class.as_deref().filter(|class| !class.is_empty());
    let class: Option<&Class> = match (&claim.class, class_name) {
        (_, Some(name)) => survey.facts.class(name),
        // "" asks for a volume without a class; only an absent field asks for
        // the default.
        (Some(_), None) => None,
        (None, None) => classes.iter().find(|class| class.is_default),
    };
    let Some(class) = class else {
        let asks = match class_name {
            Some(name) => format!("asks for StorageClass {name}, which does not exist"),
            None if claim.class.is_some() => "asks for a volume without a class".to_owned(),
            None => "names no StorageClass, and the cluster has no default".to_owned(),
        };
        let volumes = survey.facts.volumes.as_ref();
        let of_class: Vec<&Volume> =
            volumes.into_iter().flatten().filter(|v| v.class.as_deref() == class_name).collect();
        if of_class.iter().any(|volume| volume.unfit_for(claim).is_none()) {
            // The volume controller is about to bind it.
            return None;
        }
        let why = unfit(&of_class, claim);
        let finding = if of_class.is_empty() {
            NO_CLASS
                .found(object, format!("{name} of {pod} is Pending: it {asks}"))
                .hint(format!("kubectl get storageclass{}; {describe}", survey.cluster_wide()))
        } else {
            NO_VOLUME
                .found(
                    object,
                    format!("{name} of {pod} is Pending: it {asks}, and no volume fits: {why}"),
                )
                .hint(describe)
        };
        return Some(Pending::Stuck(finding));
    };
    if class.waits_for_consumer && claim.selected_node.is_none() {
        return Some(Pending::Waits);
    }
    if !class.provisions() {
        let volumes = survey.facts.volumes.as_ref()?;
        let of_class: Vec<&Volume> =
            volumes.iter().filter(|v| v.class.as_deref() == Some(&class.name)).collect();
        if of_class.iter().any(|volume| volume.unfit_for(claim).is_none()) {
            return None;
        }
        let why = unfit(&of_class, claim);
        let message = format!(
            "{name} of {pod} is Pending: class {} has no provisioner, and no volume fits: {why}",
            class.name
        );
        return Some(Pending::Stuck(NO_VOLUME.found(object, message).hint(describe)));
    }
    let failure = survey.facts.newest_event(&claim.uid, &["ProvisioningFailed"]);
    let waits = claim.created.map(|created| survey.now.duration_since(created));
    let message = match (failure, waits) {
        (Some(event), _) => format!("{} says: {}", class.provisioner, one_line(&event.message)),
        (None, Some(waits)) if waits > PROVISIONING_PATIENCE => {
            format!("{} has created no volume in {}", class.provisioner, age(waits))
        }
        _ => return None,
    };
    Some(Pending::Stuck(
        PROVISIONING.found(object, format!("{name} of {pod} is Pending: {message}")).hint(describe),
    ))
}

fn unfit(volumes: &[&Volume], claim: &Claim) -> String {
    let reasons: Vec<String> =
        volumes.iter().filter_map(|volume| volume.unfit_for(claim)).collect();
    match reasons.as_slice() {
        [] => "there is none of that class".to_owned(),
        [one, two, three, rest @ ..] if !rest.is_empty() => {
            format!("{one}; {two}; {three}; and {} more", rest.len())
        }
        few => few.join("; "),
    }
}

/// A claim that names its volume and is not bound to it.
fn prebound(survey: &Survey, claim: &Claim, volume: &str, object: &str) -> Option<Finding> {
    let volumes = survey.facts.volumes.as_ref()?;
    let name = &claim.name;
    let (why, hint) = match volumes.iter().find(|known| known.name == volume) {
        None => (
            format!("volume {volume} does not exist"),
            format!("kubectl get pv {volume}{}", survey.cluster_wide()),
        ),
        Some(found) => match &found.claim {
            Some(holder) if holder.uid.as_deref() != Some(claim.uid.as_str()) => (
                format!(
                    "volume {volume} is {} and belongs to claim {}/{}, which has another uid",
                    found.phase, holder.namespace, holder.name
                ),
                format!("kubectl describe pv {volume}{}", survey.cluster_wide()),
            ),
            _ => {
                // The controller's own words: it compares more than we do.
                let event = survey.facts.newest_event(&claim.uid, &["VolumeMismatch"]);
                let said = event.map(|event| one_line(&event.message));
                let why =
                    match said.or_else(|| misfit(found, claim).filter(|_| found.claim.is_none())) {
                        Some(why) => format!("cannot be bound to it: {why}"),
                        None => return None,
                    };
                (why, format!("kubectl describe pvc {name} {}", survey.at()))
            }
        },
    };
    Some(
        NO_VOLUME
            .found(object, format!("{name} is Pending: it names {volume}, but {why}"))
            .hint(hint),
    )
}

/// Why a claim cannot have the volume that it names.
fn misfit(volume: &Volume, claim: &Claim) -> Option<String> {
    let (has, asks) = (volume.class.as_deref(), claim.class.as_deref());
    let class = (has.unwrap_or_default() != asks.unwrap_or_default()).then(|| {
        let said = |class: Option<&str>| match class.filter(|class| !class.is_empty()) {
            Some(class) => format!("class {class}"),
            None => "no class".to_owned(),
        };
        format!("{} has {}, and the claim asks for {}", volume.name, said(has), said(asks))
    });
    class.or_else(|| volume.unfit_for(claim))
}

fn lost(survey: &Survey, slot: &Slot, claim: &Claim) -> Finding {
    let volume = claim.volume.as_deref().unwrap_or("<none>");
    let whose = match survey.facts.volume(volume) {
        Some(Volume { claim: Some(holder), phase, .. }) => {
            format!("volume {volume} is {phase} for claim {}/{}", holder.namespace, holder.name)
        }
        Some(Volume { phase, .. }) => format!("volume {volume} is {phase}"),
        None if survey.facts.volumes.is_some() => format!("volume {volume} does not exist"),
        None => format!("volume {volume} could not be read"),
    };
    CLAIM_LOST
        .found(
            format!("persistentvolumeclaim/{}", claim.name),
            format!("{} of {} is Lost: {whose}", claim.name, slot.name),
        )
        .hint(format!("kubectl describe pvc {} {}", claim.name, survey.at()))
}

fn terminating(survey: &Survey, slot: &Slot, claim: &Claim, volume: Option<&Volume>) -> Finding {
    let fate = volume.map_or_else(String::new, |volume| {
        let fate = if volume.reclaim_policy == "Delete" { "is deleted with it" } else { "is kept" };
        format!("; disk {} {fate} (policy {})", volume.name, volume.reclaim_policy)
    });
    let held = match claim.finalizers.as_slice() {
        [] => String::new(),
        names => format!(", held by {}", names.join(", ")),
    };
    let finding = CLAIM_TERMINATING.found(
        format!("persistentvolumeclaim/{}", claim.name),
        format!("{} of {} is being deleted{held}{fate}", claim.name, slot.name),
    );
    match volume.filter(|volume| volume.reclaim_policy == "Delete") {
        Some(volume) => finding.hint(format!(
            "kubectl patch pv {}{} -p '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'",
            volume.name,
            survey.cluster_wide()
        )),
        None => finding.hint(format!("kubectl describe pvc {} {}", claim.name, survey.at())),
    }
}

fn volumes_of<'a>(survey: &Survey<'a>) -> impl Iterator<Item = &'a Volume> {
    survey.facts.volumes.iter().flatten()
}

fn released(survey: &Survey) -> Vec<Finding> {
    let namespace = &survey.set.namespace;
    let parts: std::collections::HashMap<&str, (&Slot, &SlotClaim)> = survey
        .slots
        .iter()
        .flat_map(|slot| slot.claims.iter().map(move |part| (part.name.as_str(), (slot, part))))
        .collect();
    volumes_of(survey)
        .filter(|volume| matches!(volume.phase.as_str(), "Released" | "Failed"))
        .filter_map(|volume| {
            let holder = volume.claim.as_ref().filter(|holder| holder.namespace == *namespace)?;
            let (slot, part) = parts.get(holder.name.as_str())?;
            let used = part.claim.and_then(|claim| claim.volume.as_deref());
            let now = match used {
                Some(other) => format!("{} now uses {other}", slot.name),
                None => format!("{} now has no disk", slot.name),
            };
            // As after a recovery, which keeps the disk that was blank.
            let made = |name: &str| volumes_of(survey).find(|one| one.name == name)?.created;
            let is_newer = used.and_then(made).is_some_and(|used| volume.created > Some(used));
            let on = format!("persistentvolume/{}", volume.name);
            if is_newer {
                let message = format!(
                    "volume {} is {} and was that of an earlier claim {}; {now}, which is older: \
                     this one was made later, and may be blank",
                    volume.name, volume.phase, holder.name
                );
                let line = format!("kubectl describe pv {}{}", volume.name, survey.cluster_wide());
                return Some(VOLUME_RELEASED.found(on, message).hint(line).at(Severity::Note));
            }
            // One that is in hand, or that part of may be gone, is to be looked at first.
            let is_whole = volume.phase == "Released" && volume.deleting.is_none();
            let hint = if is_whole && volume.mark.is_none() {
                let (set, ordinal) = (&survey.set.name, slot.ordinal);
                format!(
                    "kubectl stateful migrate recover sts/{set} --ordinal {ordinal} {}",
                    survey.at()
                )
            } else {
                format!("kubectl describe pv {}{}", volume.name, survey.cluster_wide())
            };
            let message = format!(
                "volume {} is {} and holds the data of an earlier claim {}; {now}",
                volume.name, volume.phase, holder.name
            );
            Some(VOLUME_RELEASED.found(on, message).hint(hint))
        })
        .collect()
}
