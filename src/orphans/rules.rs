//! What `orphans` may find, each with the text of its page in
//! docs/findings.md.

use super::classify::Class;
use crate::workload::{Rule, Severity};

macro_rules! rule {
    ($name:ident, $id:literal, $severity:ident, $means:literal, $evidence:literal, $remedy:literal) => {
        pub const $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            means: $means,
            evidence: $evidence,
            remedy: $remedy,
        };
    };
}

/// Every rule, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    CLASSES.iter().chain(REPORT).chain(REFUSALS).copied().collect()
}

/// The rule of a class.
pub fn of(class: Class) -> &'static Rule {
    match class {
        Class::OrdinalBeyond => &ORDINAL_BEYOND,
        Class::OrdinalBelowStart => &ORDINAL_BELOW_START,
        Class::SetGone => &SET_GONE,
        Class::TemplateRenamed => &TEMPLATE_RENAMED,
        Class::OwnerGone => &OWNER_GONE,
        Class::Unreferenced => &UNREFERENCED,
        Class::Lost => &LOST,
        Class::PendingNeverBound => &PENDING_NEVER_BOUND,
        Class::TerminatingStuck => &TERMINATING_STUCK,
        Class::PvReleased => &PV_RELEASED,
        Class::PvFailed => &PV_FAILED,
        Class::Parked => &PARKED,
        Class::Elastic => &ELASTIC,
        Class::Managed => &MANAGED,
        Class::Conflict => &CONFLICT,
        Class::Unknown => &UNKNOWN,
    }
}

const CLASSES: &[&Rule] = &[
    &ORDINAL_BEYOND,
    &ORDINAL_BELOW_START,
    &SET_GONE,
    &TEMPLATE_RENAMED,
    &OWNER_GONE,
    &UNREFERENCED,
    &LOST,
    &PENDING_NEVER_BOUND,
    &TERMINATING_STUCK,
    &PV_RELEASED,
    &PV_FAILED,
    &PARKED,
    &ELASTIC,
    &MANAGED,
    &CONFLICT,
    &UNKNOWN,
];

const REPORT: &[&Rule] = &[&READOPTED, &BY_AGE];

const REFUSALS: &[&Rule] = &[
    &IN_USE,
    &NO_ORPHAN,
    &CHANGED,
    &NOT_IDLE,
    &VOLUME_STAYS,
    &POLICY_UNKNOWN,
    &DATA_GOES,
    &NO_SNAPSHOTS,
    &UNFIT,
    &TAKEN,
    &NOT_YET,
];

rule!(
    ORDINAL_BEYOND,
    "ORPHANS-ORDINAL-BEYOND",
    Warning,
    "A claim of a StatefulSet, for an ordinal behind its range: the set was scaled down and the claim \
     stayed, which is the default.",
    "Template, set and ordinal give exactly the claim's name, the ordinal is not below \
     spec.ordinals.start plus spec.replicas, no autoscaler goes that far, no pod uses it and no \
     template names it.",
    "Scaling the set up mounts it again, with its old data. Where nobody wants that, orphans delete \
     takes the claim and keeps the volume."
);
rule!(
    ORDINAL_BELOW_START,
    "ORPHANS-ORDINAL-BELOW-START",
    Warning,
    "A claim of a StatefulSet, for an ordinal below its first one.",
    "The same as for an ordinal behind the range, but it is below spec.ordinals.start.",
    "It comes back only when spec.ordinals.start is lowered. Otherwise orphans delete."
);
rule!(
    SET_GONE,
    "ORPHANS-SET-GONE",
    Warning,
    "A claim that looks like one of a StatefulSet that does not exist any more. Nothing points back \
     to a deleted set: this is a guess.",
    "The name ends in an ordinal, no StatefulSet would make it, it has labels as the controller \
     copies them, and no sibling is in use. With siblings of the same labels the confidence is \
     medium, otherwise low.",
    "Ask whose it was before it goes. A StatefulSet of the same name and template mounts it again."
);
rule!(
    TEMPLATE_RENAMED,
    "ORPHANS-TEMPLATE-RENAMED",
    Warning,
    "A claim that looks like one of a StatefulSet that is there, but by a template that it does not \
     have: the set was made anew with another template name.",
    "The name ends in the set's name and an ordinal, what stands before is none of its \
     volumeClaimTemplates, and the claim has the labels of the set's selector.",
    "The data may be what the set should have. orphans adopt gives a volume to an ordinal of the \
     template that there is now."
);
rule!(
    OWNER_GONE,
    "ORPHANS-OWNER-GONE",
    Warning,
    "A claim whose owners are gone: the garbage collector should have taken it.",
    "All ownerReferences are of kinds that were read, and none of their uids was found.",
    "If it stays, the garbage collector does not work or may not delete it: look at the events and \
     finalizers of the claim."
);
rule!(
    UNREFERENCED,
    "ORPHANS-UNREFERENCED",
    Warning,
    "A claim that nothing names: no pod that has not finished, and no template.",
    "The templates of Deployments, ReplicaSets, ReplicationControllers, StatefulSets, DaemonSets, \
     Jobs and CronJobs were read, suspended and scaled to zero ones too. What other kinds of \
     objects name is not known.",
    "Ask whose it is: labels and annotations may tell. orphans delete keeps the volume."
);
rule!(
    LOST,
    "ORPHANS-LOST",
    Warning,
    "A claim that lost its volume: there is no data behind it.",
    "status.phase is Lost, and nothing uses the claim.",
    "If the volume is there and Released, orphans adopt gives it back. Otherwise the claim can go."
);
rule!(
    PENDING_NEVER_BOUND,
    "ORPHANS-PENDING-NEVER-BOUND",
    Warning,
    "A claim that never had a volume, and that nothing waits for.",
    "status.phase is Pending, and no pod and no template names it.",
    "It holds no data. orphans delete takes it."
);
rule!(
    TERMINATING_STUCK,
    "ORPHANS-TERMINATING-STUCK",
    Warning,
    "A claim that was deleted more than a minute ago and is still there: a finalizer holds it, and \
     the data goes or stays with it when that lets go.",
    "metadata.deletionTimestamp is older than a minute; metadata.finalizers and the pods say who \
     holds it.",
    "kubernetes.io/pvc-protection waits for the pod that uses it: with policy Delete its data goes \
     when that pod ends. Set the volume to Retain before. Other finalizers belong to whoever set \
     them."
);
rule!(
    PV_RELEASED,
    "ORPHANS-PV-RELEASED",
    Warning,
    "A volume whose claim is gone, and that nobody can get: it still names that claim.",
    "status.phase is Released. With policy Delete it was so for more than a minute.",
    "orphans adopt gives it to an ordinal of a set. By hand: clear spec.claimRef.uid."
);
rule!(
    PV_FAILED,
    "ORPHANS-PV-FAILED",
    Warning,
    "A volume that could not be reclaimed.",
    "status.phase is Failed.",
    "kubectl describe pv says why. The disk may still be there, and cost."
);
rule!(
    PARKED,
    "ORPHANS-PARKED",
    Note,
    "A claim of a StatefulSet at 0 replicas: switched off for the night, not an orphan.",
    "spec.replicas is 0, and the ordinal is not below spec.ordinals.start.",
    "Nothing. Delete the set first, if it is not to come back."
);
rule!(
    ELASTIC,
    "ORPHANS-ELASTIC",
    Note,
    "A claim for an ordinal that an autoscaler may bring back at any time.",
    "maxReplicas of a HorizontalPodAutoscaler, or maxReplicaCount of a KEDA ScaledObject, reaches \
     the ordinal.",
    "Nothing. Lower the autoscaler's limit first, if the ordinal is not to come back."
);
rule!(
    MANAGED,
    "ORPHANS-MANAGED",
    Note,
    "A claim or volume that something else looks after: an operator, a pod, a migration.",
    "An ownerReference to an object that is there or of a kind that is not read, or a mark of a \
     migration of this program.",
    "Ask its owner. This program does not delete it."
);
rule!(
    CONFLICT,
    "ORPHANS-CONFLICT",
    Warning,
    "A claim that is the claim of two StatefulSets at once: a-b-c-0 is of template a of b-c, and of \
     template a-b of c.",
    "Template, set and ordinal give its name in more than one way.",
    "Rename one of the templates, before both sets mount the same data."
);
rule!(
    UNKNOWN,
    "ORPHANS-UNKNOWN",
    Warning,
    "A claim of which nothing can be said, because a list that decides could not be read.",
    "The evidence names the lists.",
    "Ask for the right to list them; docs/orphans.md has the role."
);
rule!(
    READOPTED,
    "ORPHANS-READOPTED",
    Warning,
    "Scaling up mounts old claims again, with whatever is on them. A database that finds the data of \
     a member that left long ago may refuse to start, or bring back what was deleted.",
    "Claims of ordinals that the set does not have now.",
    "Before scaling up, set them aside: orphans delete keeps the volumes."
);
rule!(
    BY_AGE,
    "ORPHANS-BY-AGE",
    Note,
    "Since when something is idle is not known, so --older-than went by its age: it may have been in \
     use until a moment ago.",
    "There is no condition Unused (servers before 1.37, or the feature is off) and the volume's \
     phase does not say it either.",
    "Read it as a lower bound. orphans delete --min-idle takes only what is known to be idle."
);
rule!(
    IN_USE,
    "ORPHANS-IN-USE",
    Error,
    "It is in use now, or something is to use it.",
    "Read right before the write: a pod, a template, an ordinal of a set, or an attached volume.",
    "Leave it. If it was an orphan a moment ago, somebody has taken it since."
);
rule!(
    NO_ORPHAN,
    "ORPHANS-NO-ORPHAN",
    Error,
    "It is not an orphan, but parked, elastic, managed, of two sets, or unknown.",
    "The same classification as the report, on what was read right before.",
    "The report says what would have to change first."
);
rule!(
    CHANGED,
    "ORPHANS-CHANGED",
    Error,
    "It is not any more what it was in the report, or changed while it was being deleted.",
    "The uid in the report is another one, or a write's precondition did not hold.",
    "Make the report again."
);
rule!(
    NOT_IDLE,
    "ORPHANS-NOT-IDLE",
    Error,
    "It has not been idle for as long as --min-idle asks, or nothing says since when it is.",
    "The condition Unused of the claim, or lastPhaseTransitionTime of a Released volume.",
    "Wait, or leave --min-idle out where the server does not say it."
);
rule!(
    VOLUME_STAYS,
    "ORPHANS-VOLUME-STAYS",
    Error,
    "Volumes are kept unless --keep-pv=false says otherwise.",
    "A PersistentVolume was named.",
    "With --keep-pv=false the object goes. Under policy Retain the disk stays in the storage, and \
     nothing in Kubernetes knows of it any more."
);
rule!(
    POLICY_UNKNOWN,
    "ORPHANS-POLICY-UNKNOWN",
    Error,
    "The claim's volume could not be read, so nobody knows whether the data would stay.",
    "The server gave no PersistentVolume of that name, or no right to see it.",
    "Ask for the right to get and patch persistentvolumes."
);
rule!(
    DATA_GOES,
    "ORPHANS-DATA-GOES",
    Warning,
    "The data will be destroyed: the volume's policy is Delete and --keep-pv=false was asked for.",
    "spec.persistentVolumeReclaimPolicy of the volume.",
    "Leave --keep-pv=false out, or take a snapshot with --snapshot."
);
rule!(
    NO_SNAPSHOTS,
    "ORPHANS-NO-SNAPSHOTS",
    Error,
    "A snapshot was asked for and cannot be made.",
    "The server does not have snapshot.storage.k8s.io, there is no such VolumeSnapshotClass, it is \
     not of the CSI driver of the volume, or there is a snapshot of that name of something else.",
    "Install a snapshot controller, or name another class with --snapshot."
);
rule!(
    UNFIT,
    "ORPHANS-UNFIT",
    Error,
    "The volume cannot become the claim of that ordinal.",
    "Its phase, a deletionTimestamp, an attachment, or a mark of a migration.",
    "The message says what is in the way."
);
rule!(
    TAKEN,
    "ORPHANS-TAKEN",
    Error,
    "There is a claim by that name, and it has another volume.",
    "The claim that the ordinal will look for exists.",
    "If the set runs on it and the old data should be there instead: migrate recover. If nothing \
     uses it: orphans delete it first."
);
rule!(
    NOT_YET,
    "ORPHANS-NOT-YET",
    Warning,
    "What was written has not taken effect in time; it can be gone on with.",
    "A claim that is being deleted is still there, or a claim that was made is not bound.",
    "Look at what holds it, then run the same command again."
);
