//! Pods and claims that the API server refuses to create.

use crate::{
    diagnosis::{self, Refusal},
    output::text::age,
    workload::{Finding, Rule, Survey, rule},
};

pub(super) const RULES: &[&Rule] =
    &[&NAMESPACE_DELETING, &SET_DELETING, &NAME_TAKEN, &QUOTA, &REFUSED];

rule!(
    pub(super) NAMESPACE_DELETING,
    "STATUS-NAMESPACE-DELETING",
    Error,
    "The namespace is being deleted: everything in it goes, also the claims, and with them the volumes \
     whose reclaim policy is Delete. The API server creates nothing there any more.",
    "The namespace has a deletionTimestamp. It is looked at only where something is not as it should \
     be: the set is being deleted, an ordinal has no pod, or a pod is going. Who may not read it is \
     not told.",
    "A deletion cannot be taken back. To keep the data of a volume, set its reclaim policy to Retain \
     before its claim is gone: the volume stays then, and can be given to a claim elsewhere."
);

rule!(
    pub(super) SET_DELETING,
    "STATUS-SET-DELETING",
    Error,
    "The set is being deleted. Its controller makes no pod for it any more and replaces none, \
     whatever its spec says; the pods that it has run on until something deletes them.",
    "The set has a deletionTimestamp; the finalizers that still hold it are named. \
     foregroundDeletion waits until the pods are gone, any other until whoever set it removes it.",
    "A deletion cannot be taken back. To have the set again, let it go and apply its manifest \
     then: the claims stay, unless persistentVolumeClaimRetentionPolicy.whenDeleted is Delete."
);

rule!(
    NAME_TAKEN,
    "STATUS-NAME-TAKEN",
    Error,
    "A pod that is not of this set has the name of one of its ordinals, so the set's own pod \
     cannot be created. No event says so.",
    "The ordinal has no pod of this set, and there is a pod of that name whose controller is \
     another one, or whose labels the set's selector does not match.",
    "Find out whose pod it is and whether its data matters; then delete it, or rename what makes \
     it. The controller creates the ordinal's pod by itself."
);

rule!(
    QUOTA,
    "STATUS-QUOTA",
    Error,
    "A ResourceQuota of the namespace leaves no room for the next pod or claim.",
    "An ordinal has no pod, and the newest FailedCreate event about this set (by uid) names that \
     pod or its claim and says `exceeded quota`.",
    "Raise the quota, or delete what uses it up. The controller tries again by itself, at growing \
     intervals."
);

rule!(
    REFUSED,
    "STATUS-REFUSED",
    Error,
    "The API server refuses to create the next pod or claim, because of an admission webhook or a \
     policy such as PodSecurity, or because the object is invalid.",
    "An ordinal has no pod, and the newest FailedCreate event about this set (by uid) names that \
     pod or its claim; the message is the server's.",
    "Correct the template, or the policy that refuses it. The controller tries again by itself, \
     at growing intervals."
);

/// A namespace that goes with all that is in it.
pub(super) fn namespace_deleting(survey: &Survey) -> Option<Finding> {
    let (message, hint) = diagnosis::namespace_deleting(survey)?;
    let namespace = &survey.set.namespace;
    Some(NAMESPACE_DELETING.found(format!("namespace/{namespace}"), message).hint(hint))
}

/// A set that its controller has given up: the cause of all that is missing.
pub(super) fn deleting(survey: &Survey) -> Option<Finding> {
    let set = survey.set;
    let lasts = age(survey.now.duration_since(set.deleting?));
    let held = match set.finalizers.as_slice() {
        [] => String::new(),
        names => format!(", held by {}", names.join(", ")),
    };
    let message = format!(
        "{} was deleted {lasts} ago and is still there{held}: its controller makes no pod for it \
         any more",
        set.name
    );
    let hint = format!("kubectl get statefulset {} {} -o yaml", set.name, survey.at());
    Some(SET_DELETING.found(set.reference(), message).hint(hint))
}

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    if !survey.pods_known {
        return;
    }
    let missing = survey.slots.iter().filter(|slot| slot.pod.is_none());
    for slot in missing {
        if let Some(taken) = taken(survey, &slot.name) {
            found.push(taken);
            return;
        }
        if let Some(refusal) = diagnosis::refused(survey, slot) {
            found.push(describe(survey, &slot.name, &refusal));
            // The controller stops at the first pod that it cannot create.
            return;
        }
    }
}

/// A foreign pod with the name of an ordinal.
fn taken(survey: &Survey, name: &str) -> Option<Finding> {
    let set = survey.set;
    let mut pods = survey.facts.pods.iter().flatten();
    let pod = pods.find(|pod| pod.name == name && !set.owns(pod))?;
    let whose = match (&pod.controller, &pod.controller_uid) {
        (Some(owner), Some(uid))
            if *uid != set.uid && *owner == format!("StatefulSet/{}", set.name) =>
        {
            "an earlier set of the same name".to_owned()
        }
        (Some(owner), Some(uid)) if *uid != set.uid => owner.clone(),
        _ => "nothing, and its labels are not those of the set's selector".to_owned(),
    };
    let message = format!(
        "{name} cannot be created: there is a pod of that name ({}), which belongs to {whose}",
        pod.state()
    );
    let hint = format!("kubectl get pod {name} {} -o wide --show-labels", survey.at());
    Some(NAME_TAKEN.found(format!("pod/{name}"), message).hint(hint))
}

fn describe(survey: &Survey, pod: &str, refusal: &Refusal) -> Finding {
    let rule = if refusal.is_of_quota() { &QUOTA } else { &REFUSED };
    let message = refusal.sentence(pod, survey);
    rule.found(survey.set.reference(), message).hint(refusal.hint(survey))
}
