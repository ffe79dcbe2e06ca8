//! Claims that are bound and yet not what one would expect.

use jiff::SignedDuration;

use crate::{
    diagnosis::{self, Problem},
    output::text::{age, list, one_line},
    workload::{
        Claim, ClaimTemplate, Finding, Rule, Slot, Survey, Trouble, bytes, rule, same_quantity,
    },
};

pub(super) const RULES: &[&Rule] = &[&OLDER, &DIFFERS, &RESIZE, &RESIZE_STUCK];

rule!(
    OLDER,
    "STATUS-CLAIM-OLDER",
    Warning,
    "A pod that does not come up runs on a claim that is older than its set: the set was made \
     again and has found the data of the one before. A database then has the users and passwords \
     of that time, and a member its old identity.",
    "The claim was created more than a minute before the set, and the pod of its ordinal crashes, \
     is killed, or does not become Ready.",
    "Read the pod's log for a wrong password or a foreign identity. Use the secrets from that \
     time, or keep the old disk aside and start on an empty one."
);

rule!(
    DIFFERS,
    "STATUS-CLAIM-DIFFERS",
    Note,
    "Claims ask for another size or class than their template does. The claims of the next \
     ordinals will be as the template says.",
    "The claim's spec.resources.requests.storage or spec.storageClassName, and those of the entry \
     in volumeClaimTemplates. A template without a class is not compared.",
    "Nothing, if that is meant. volumeClaimTemplates cannot be changed in place: the set has to be \
     deleted with --cascade=orphan and created again."
);

rule!(
    RESIZE,
    "STATUS-RESIZE",
    Note,
    "A claim is being made larger.",
    "The claim asks for more than status.capacity, or has a condition about its size; \
     allocatedResourceStatuses says how far it is.",
    "Wait. A file system grows when the kubelet has the volume mounted, so an ordinal without a \
     running pod is not finished."
);

rule!(
    RESIZE_STUCK,
    "STATUS-RESIZE-STUCK",
    Warning,
    "A claim cannot be made larger; its pod runs on the old size.",
    "The claim asks for more than status.capacity, and a condition ControllerResizeError or \
     NodeResizeError, a status that ends in Infeasible, or a VolumeResizeFailed event about this \
     claim (by uid) says that it failed.",
    "Look at the storage's quota and at the log of its external-resizer. From Kubernetes 1.34 on, \
     the claim's request can be lowered again to a size above the old one."
);

/// A claim that is made together with its set is not older than it.
const TOGETHER: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    found.extend(older(survey));
    for (index, template) in survey.set.claim_templates.iter().enumerate() {
        let claims = survey.slots.iter().filter_map(|slot| slot.claims.get(index)?.claim);
        found.extend(different(survey, template, &claims.collect::<Vec<_>>()));
    }
    for slot in &survey.slots {
        let claims = slot.claims.iter().filter_map(|part| part.claim);
        found.extend(claims.filter_map(|claim| resize(survey, slot, claim)));
    }
}

/// Old data under pods that do not come up.
fn older(survey: &Survey) -> Option<Finding> {
    let made = survey.set.created?;
    let suffers = |slot: &&Slot| {
        let pod = slot.pod.filter(|pod| !pod.is_terminating() && !pod.is_ready());
        let problem = pod.and_then(|pod| diagnosis::problem(survey, pod));
        matches!(
            problem,
            Some(
                Problem::Trouble(Trouble::CrashLoop { .. })
                    | Problem::Killed { .. }
                    | Problem::NotReady { .. }
            )
        )
    };
    let parts = survey.slots.iter().filter(suffers).flat_map(|slot| &slot.claims);
    let old: Vec<&Claim> = parts
        .filter_map(|part| part.claim)
        .filter(|claim| claim.created.is_some_and(|created| created + TOGETHER < made))
        .collect();
    let first = old.first()?;
    let oldest = old.iter().filter_map(|claim| claim.created).min()?;
    let names: Vec<&str> = old.iter().map(|claim| claim.name.as_str()).collect();
    let (was, them) = if old.len() == 1 { ("was made", "it") } else { ("were made up to", "them") };
    let message = format!(
        "{} {was} {} before the set: what is on {them} is from then, users and \
         passwords too",
        list(&names),
        age(made.duration_since(oldest))
    );
    Some(OLDER.found(format!("persistentvolumeclaim/{}", first.name), message).hint(format!(
        "kubectl describe pvc {} {}",
        first.name,
        survey.at()
    )))
}

/// The claims of a template that ask for something else than it does.
fn different(survey: &Survey, template: &ClaimTemplate, claims: &[&Claim]) -> Option<Finding> {
    let size = |claim: &Claim| {
        let (asked, wanted) = (claim.request.as_deref()?, template.request.as_deref()?);
        (!same_quantity(asked, wanted)).then(|| format!("{asked} instead of {wanted}"))
    };
    let class = |claim: &Claim| {
        let (asked, wanted) = (claim.class.as_deref()?, template.class.as_deref()?);
        (asked != wanted).then(|| format!("class {asked} instead of {wanted}"))
    };
    let what = |claim: &Claim| {
        let parts: Vec<String> = [size(claim), class(claim)].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    };
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for claim in claims {
        let Some(what) = what(claim) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == what) {
            Some((_, names)) => names.push(&claim.name),
            None => groups.push((what, vec![&claim.name])),
        }
    }
    let said: Vec<String> =
        groups.iter().map(|(what, names)| format!("{}: {what}", list(names))).collect();
    let (_, names) = groups.first()?;
    let object = format!("persistentvolumeclaim/{}", names.first()?);
    let message = format!(
        "claims of template {} ask for something else than it does: {}",
        template.name,
        said.join("; ")
    );
    let hint = format!(
        "kubectl get sts {} {} -o jsonpath='{{.spec.volumeClaimTemplates}}'",
        survey.set.name,
        survey.at()
    );
    Some(DIFFERS.found(object, message).hint(hint))
}

fn resize(survey: &Survey, slot: &Slot, claim: &Claim) -> Option<Finding> {
    let (asked, has) = (claim.request.as_deref()?, claim.capacity.as_deref()?);
    let grows = claim.phase == "Bound" && bytes(asked)? > bytes(has)?;
    if !grows && claim.resizing.is_empty() {
        return None;
    }
    let name = &claim.name;
    let object = format!("persistentvolumeclaim/{name}");
    let from = format!("{name} of {} is to grow from {has} to {asked}", slot.name);
    let describe = format!("kubectl describe pvc {name} {}", survey.at());
    let failed = claim.resizing.iter().find(|condition| condition.kind.ends_with("Error"));
    let failed = failed.and_then(|condition| condition.message.as_deref()).map(one_line);
    let event = survey.facts.newest_event(&claim.uid, &["VolumeResizeFailed"]);
    let infeasible = claim.resize_status.as_deref().filter(|status| status.ends_with("Infeasible"));
    let why = failed
        .or_else(|| event.map(|event| one_line(&event.message)))
        .or_else(|| infeasible.map(str::to_owned));
    if let Some(why) = why {
        return Some(
            RESIZE_STUCK.found(object, format!("{from}, and that fails: {why}")).hint(describe),
        );
    }
    let is = |kind: &str| claim.resizing.iter().any(|condition| condition.kind == kind);
    let (what, since) = if is("FileSystemResizePending") {
        (
            "the volume has grown, the file system grows once the pod has it mounted",
            "FileSystemResizePending",
        )
    } else if is("Resizing") {
        ("the volume is growing", "Resizing")
    } else {
        ("nothing has begun with it yet", "")
    };
    let since = claim.resizing.iter().find(|condition| condition.kind == since);
    let since = since.and_then(|condition| condition.since).map_or_else(String::new, |since| {
        format!(" (for {})", age(survey.now.duration_since(since)))
    });
    Some(RESIZE.found(object, format!("{from}: {what}{since}")).hint(describe))
}
