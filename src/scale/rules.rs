//! What a scaling may find, each with the text of its page in docs/findings.md.

use crate::workload::{Rule, Severity};

/// Every rule of `scale`, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    [GUARDS, CONFLICTS, FAILURES, NOTES].concat()
}

/// Guards that `--allow ID` overrides: a person may know better.
pub const ALLOWABLE: &[&Rule] = &[
    &DESTROYS_DATA,
    &READOPTS_DATA,
    &MEMBER_UNHEALTHY,
    &TWO_BROKEN,
    &ROLLOUT,
    &OWNER,
    &HPA,
    &KEDA,
    &GITOPS,
    &NO_HEADROOM,
    &UNREAD,
];

const GUARDS: &[&Rule] = &[
    &DESTROYS_DATA,
    &READOPTS_DATA,
    &CLAIM_LEAVING,
    &MEMBER_UNHEALTHY,
    &TWO_BROKEN,
    &ROLLOUT,
    &CANARY,
    &MIGRATION,
    &OTHER_GOAL,
    &OWNER,
    &HPA,
    &KEDA,
    &GITOPS,
    &NO_HEADROOM,
    &NO_SNAPSHOTS,
    &SNAPSHOT_NEEDS_CLAIM,
    &NOT_ASIDE,
    &BEING_DELETED,
    &RECORD_UNUSABLE,
    &UNREAD,
    &BLIND,
    &NO_RIGHTS,
];

const CONFLICTS: &[&Rule] = &[&REPLICAS_CHANGED, &REPLACED, &TAKEN_OVER];

const FAILURES: &[&Rule] =
    &[&HOOK_FAILED, &CHECK_FAILED, &SNAPSHOT_FAILED, &DOES_NOT_COME_UP, &NOT_RETAINED, &DEADLINE];

const NOTES: &[&Rule] =
    &[&CLAIM_GOES, &SNAPSHOT_DELETES, &PASSES_BROKEN, &QUORUM, &BUDGET_LATER, &HELM, &TO_ZERO];

pub const DESTROYS_DATA: Rule = Rule {
    id: "SCALE-DESTROYS-DATA",
    severity: Severity::Error,
    means: "The set deletes the claims of ordinals that leave (whenScaled: Delete), and their \
            volumes are deleted with them. The moment the pod is gone nothing brings the data back.",
    evidence: "`spec.persistentVolumeClaimRetentionPolicy.whenScaled` is Delete, and the reclaim \
               policy of the volume is not Retain, or could not be read.",
    remedy: "`--retain` keeps the claims: the set is told so, and it is verified, before the first \
             pod goes. Only where the data is really not wanted: `--allow SCALE-DESTROYS-DATA`.",
};

pub const READOPTS_DATA: Rule = Rule {
    id: "SCALE-READOPTS-DATA",
    severity: Severity::Error,
    means: "A claim with the name that a coming ordinal looks for is left from before. The \
            controller mounts it without a look at what is on it: an old member may come back into \
            a cluster that has removed it, with the data of that time.",
    evidence: "The claim TEMPLATE-SET-ORDINAL exists. Since when it is unused is known where the \
               server keeps the claim's condition Unused (1.36 and later).",
    remedy: "If the old data is wanted, as after a scale-down that is undone: `--allow \
             SCALE-READOPTS-DATA`. If not: `--fresh` sets the claim aside under another name, and \
             the ordinal gets a new disk.",
};

pub const CLAIM_LEAVING: Rule = Rule {
    id: "SCALE-CLAIM-LEAVING",
    severity: Severity::Error,
    means: "A claim that a coming ordinal needs is being deleted. Until it is gone its pod is not \
            made, and the data on it goes.",
    evidence: "The claim's deletionTimestamp.",
    remedy: "Wait until it is gone. Whoever wants its data sets the volume's reclaim policy to \
             Retain before it is too late.",
};

pub const MEMBER_UNHEALTHY: Rule = Rule {
    id: "SCALE-MEMBER-UNHEALTHY",
    severity: Severity::Error,
    means: "An ordinal that stays is not available. Under OrderedReady the controller takes \
            nothing away, and adds nothing, before it is; and a quorum may hang on those that \
            leave.",
    evidence: "The pod is missing, terminating, not Ready, or not so for minReadySeconds.",
    remedy: "Mend it first; `kubectl stateful status` says what is wrong. Under Parallel the \
             controller goes on all the same, and so does `--allow SCALE-MEMBER-UNHEALTHY`.",
};

pub const TWO_BROKEN: Rule = Rule {
    id: "SCALE-TWO-BROKEN",
    severity: Severity::Error,
    means: "Of the ordinals that leave several are broken. Under OrderedReady the controller waits \
            at the higher one for the lower, and at the lower for its turn: without end, until \
            somebody deletes the higher pod.",
    evidence: "More than one pod of those ordinals is not available, and plainly broken or unready \
               for more than a minute.",
    remedy: "With `--allow SCALE-TWO-BROKEN` the replicas pass all of them in one step, and the \
             higher pods are deleted here, each by its uid. No claim is touched.",
};

pub const ROLLOUT: Rule = Rule {
    id: "SCALE-ROLLOUT-IN-PROGRESS",
    severity: Severity::Error,
    means: "A rollout is not through, or held by a partition. Which revision an ordinal that is \
            added gets depends on the partition, and a rollout loses its highest ordinals first.",
    evidence: "Pods of more than one revision, or a partition above zero.",
    remedy: "End the rollout first. To scale all the same: `--allow SCALE-ROLLOUT-IN-PROGRESS`.",
};

pub const CANARY: Rule = Rule {
    id: "SCALE-CANARY",
    severity: Severity::Error,
    means: "A canary is under way on the set. Its partition is counted against the replicas that \
            it began with; it would end as a conflict.",
    evidence: "The annotation kubectl-stateful.dev/canary.",
    remedy: "`kubectl stateful canary promote --full` or `canary abort` first.",
};

pub const MIGRATION: Rule = Rule {
    id: "SCALE-MIGRATION",
    severity: Severity::Error,
    means: "The set belongs to a migration that is under way.",
    evidence: "The label kubectl-stateful.dev/migration.",
    remedy: "`kubectl stateful migrate finalize` or `migrate rollback` first.",
};

pub const OTHER_GOAL: Rule = Rule {
    id: "SCALE-OTHER-GOAL",
    severity: Severity::Error,
    means: "A scaling to another number was begun and not ended, and this command goes the other \
            way.",
    evidence: "The annotation kubectl-stateful.dev/scale.",
    remedy: "End it first, with the command that the message names; or take the annotation off \
             when nobody is at it any more: the set is at rest.",
};

pub const OWNER: Rule = Rule {
    id: "SCALE-OWNER",
    severity: Severity::Error,
    means: "The set belongs to a controller, which takes back what is changed here, or does worse: \
            an operator has its own way to take a member away.",
    evidence: "`metadata.ownerReferences` with controller: true.",
    remedy: "Scale the owner. To do it all the same: `--allow SCALE-OWNER`.",
};

pub const HPA: Rule = Rule {
    id: "SCALE-HPA",
    severity: Severity::Error,
    means: "An autoscaler decides over the replicas, and takes back any other number at its next \
            turn.",
    evidence: "A HorizontalPodAutoscaler names the set as its target.",
    remedy: "Change its minReplicas and maxReplicas instead. To do it all the same: `--allow \
             SCALE-HPA`; if it pulls back meanwhile, the scaling stops as a conflict.",
};

pub const KEDA: Rule = Rule {
    id: "SCALE-KEDA",
    severity: Severity::Error,
    means: "KEDA decides over the replicas, and takes back any other number.",
    evidence: "A ScaledObject names the set as its target.",
    remedy: "Pause it: `kubectl annotate scaledobject NAME \
             autoscaling.keda.sh/paused-replicas=N`. To do it all the same: `--allow SCALE-KEDA`.",
};

pub const GITOPS: Rule = Rule {
    id: "SCALE-GITOPS",
    severity: Severity::Error,
    means: "Argo CD or Flux applies this set, and brings the replicas of the repository back.",
    evidence: "Its tracking label or annotation, or its entry in managedFields.",
    remedy: "Change the number in the repository, or have it leave `spec.replicas` alone, or \
             suspend it. To do it all the same: `--allow SCALE-GITOPS`.",
};

pub const HELM: Rule = Rule {
    id: "SCALE-HELM",
    severity: Severity::Warning,
    means: "The set is part of a Helm release: the next upgrade brings the number of the values \
            back.",
    evidence: "The annotation or labels that Helm leaves.",
    remedy: "Set the number in the values as well.",
};

pub const NO_HEADROOM: Rule = Rule {
    id: "SCALE-NO-HEADROOM",
    severity: Severity::Error,
    means: "A PodDisruptionBudget allows no pod to be down. Kubernetes does not ask it when a set \
            is scaled; whoever wrote it wanted to be asked.",
    evidence: "`status.disruptionsAllowed` of a budget that selects the pods is 0.",
    remedy: "Mend what is down, or change the budget. To do it all the same: `--allow \
             SCALE-NO-HEADROOM`.",
};

pub const NO_SNAPSHOTS: Rule = Rule {
    id: "SCALE-NO-SNAPSHOTS",
    severity: Severity::Error,
    means: "--snapshot needs what this cluster does not have: the snapshot API, the class, or a \
            right.",
    evidence: "The groups that the server serves, and its VolumeSnapshotClasses.",
    remedy: "Name a class that is there, of the driver of the volumes; or leave --snapshot away: \
             the claims are kept.",
};

pub const SNAPSHOT_NEEDS_CLAIM: Rule = Rule {
    id: "SCALE-SNAPSHOT-NEEDS-CLAIM",
    severity: Severity::Error,
    means: "A snapshot is taken when the pod is gone, for before it would be of a disk in use; but \
            the set deletes the claim at that moment.",
    evidence: "`whenScaled` is Delete, and --retain was not given.",
    remedy: "Add --retain.",
};

pub const NOT_ASIDE: Rule = Rule {
    id: "SCALE-NOT-ASIDE",
    severity: Severity::Error,
    means: "--fresh cannot set a claim aside: it has no volume, is in use, or bears the mark of \
            something else that is under way.",
    evidence: "The claim, its volume, and the pods that name it.",
    remedy: "Mend what the message says; or delete the claim, if nothing on it is wanted.",
};

pub const BEING_DELETED: Rule = Rule {
    id: "SCALE-BEING-DELETED",
    severity: Severity::Error,
    means: "The set is being deleted.",
    evidence: "Its deletionTimestamp.",
    remedy: "Nothing is to be scaled any more.",
};

pub const RECORD_UNUSABLE: Rule = Rule {
    id: "SCALE-RECORD-UNUSABLE",
    severity: Severity::Error,
    means: "The annotation of a scaling is there and cannot be used: somebody changed it, another \
            version of this program wrote it, or it was copied from another set.",
    evidence: "The annotation kubectl-stateful.dev/scale.",
    remedy: "Take it off; the set is at rest, and the command begins anew.",
};

pub const UNREAD: Rule = Rule {
    id: "SCALE-UNREAD",
    severity: Severity::Error,
    means: "Something that might speak against it could not be read.",
    evidence: "The server refused a list, or does not serve the kind in the version that this \
               program knows; its message is given.",
    remedy: "Get the right to read it, or find out by hand. To do without: `--allow SCALE-UNREAD`.",
};

pub const BLIND: Rule = Rule {
    id: "SCALE-BLIND",
    severity: Severity::Error,
    means: "The pods or claims of the set cannot be read: nobody could say who has left, or what \
            is lost.",
    evidence: "The server's answer to the list.",
    remedy: "Get the right to read them.",
};

pub const NO_RIGHTS: Rule = Rule {
    id: "SCALE-NO-RIGHTS",
    severity: Severity::Error,
    means: "A right is missing that is needed half way.",
    evidence: "The server's answer to a SelfSubjectAccessReview.",
    remedy: "Get the right, before anything begins.",
};

pub const REPLICAS_CHANGED: Rule = Rule {
    id: "SCALE-REPLICAS-CHANGED",
    severity: Severity::Error,
    means: "Somebody else changed the replicas in the middle: a person, an autoscaler, a \
            repository. Nothing more is changed.",
    evidence: "`spec.replicas` is another number than the one that was written last.",
    remedy: "See who it was, then decide anew.",
};

pub const REPLACED: Rule = Rule {
    id: "SCALE-REPLACED",
    severity: Severity::Error,
    means: "The set was deleted in the middle, or deleted and made again.",
    evidence: "It is not there, or its uid is another.",
    remedy: "Look at what is there now.",
};

pub const TAKEN_OVER: Rule = Rule {
    id: "SCALE-TAKEN-OVER",
    severity: Severity::Error,
    means: "Another run goes on with this scaling, or has ended it.",
    evidence: "The annotation on the set names another run, or is gone.",
    remedy: "Leave it to that run.",
};

pub const HOOK_FAILED: Rule = Rule {
    id: "SCALE-HOOK-FAILED",
    severity: Severity::Error,
    means: "A command before or after a step failed. Before a step: the ordinal is still there, \
            and what --on-abort names has been run.",
    evidence: "Its exit code, or that it took too long.",
    remedy: "Mend what it says and run the same command again: it begins with that ordinal.",
};

pub const CHECK_FAILED: Rule = Rule {
    id: "SCALE-CHECK-FAILED",
    severity: Severity::Error,
    means: "The check between two steps says no. The next ordinal is still there.",
    evidence: "Its exit code, or that it took too long.",
    remedy: "See what it says; run the same command again to go on.",
};

pub const SNAPSHOT_FAILED: Rule = Rule {
    id: "SCALE-SNAPSHOT-FAILED",
    severity: Severity::Error,
    means: "A snapshot of what an ordinal left behind did not become ready. The claim is there.",
    evidence: "`status.error` of the VolumeSnapshot.",
    remedy: "Delete the failed snapshot and run the same command again, without --snapshot if need \
             be.",
};

pub const DOES_NOT_COME_UP: Rule = Rule {
    id: "SCALE-DOES-NOT-COME-UP",
    severity: Severity::Error,
    means: "The ordinal that was added does not become available.",
    evidence: "The state of its containers.",
    remedy: "Mend it and run the same command again; or scale back by one.",
};

pub const NOT_RETAINED: Rule = Rule {
    id: "SCALE-NOT-RETAINED",
    severity: Severity::Error,
    means: "--retain was written, and a claim that is to be kept still has an owner that takes it \
            along. No pod was taken away.",
    evidence: "`ownerReferences` of the claims of the ordinals that leave.",
    remedy: "See who owns the claim: the set's controller gives up only what it took itself.",
};

pub const DEADLINE: Rule = Rule {
    id: "SCALE-DEADLINE",
    severity: Severity::Error,
    means: "A wait took longer than --timeout. The set is at rest on the number that it has.",
    evidence: "The clock.",
    remedy: "`kubectl stateful status` says what it waits for; the same command goes on.",
};

pub const CLAIM_GOES: Rule = Rule {
    id: "SCALE-CLAIM-GOES",
    severity: Severity::Warning,
    means: "The set deletes the claims of ordinals that leave; their volumes are kept, Released, \
            and come back to an ordinal only by hand.",
    evidence: "`whenScaled` is Delete, and the reclaim policy of the volume is Retain.",
    remedy: "`--retain` keeps the claims. Afterwards: `kubectl stateful orphans adopt`.",
};

pub const SNAPSHOT_DELETES: Rule = Rule {
    id: "SCALE-SNAPSHOT-DELETES",
    severity: Severity::Warning,
    means: "The snapshot lasts as long as its VolumeSnapshot object: with the namespace, or by \
            somebody's hand, both go.",
    evidence: "`deletionPolicy: Delete` of the VolumeSnapshotClass.",
    remedy: "Use a class whose deletionPolicy is Retain, if there is one.",
};

pub const PASSES_BROKEN: Rule = Rule {
    id: "SCALE-PASSES-BROKEN",
    severity: Severity::Warning,
    means: "An ordinal that leaves is broken and not the highest. One by one the controller would \
            wait for it, so the replicas pass it in one step; the pods above still go one by one.",
    evidence: "OrderedReady, and a pod that is plainly broken or unready for more than a minute.",
    remedy: "Nothing, if that is meant. Hooks of all the ordinals run before that step.",
};

pub const QUORUM: Rule = Rule {
    id: "SCALE-QUORUM",
    severity: Severity::Note,
    means: "A word on majorities, for those whose members vote: which losses the new number \
            tolerates. Who votes cannot be seen from here.",
    evidence: "The number of replicas.",
    remedy: "Odd numbers tolerate as much as the even number above them.",
};

pub const BUDGET_LATER: Rule = Rule {
    id: "SCALE-BUDGET-TOO-TIGHT",
    severity: Severity::Warning,
    means: "With the new number a PodDisruptionBudget never allows a pod to be down: every drain \
            of a node with such a pod will wait without end.",
    evidence: "The budget wants at least as many healthy pods as there will be.",
    remedy: "Lower its minAvailable.",
};

pub const TO_ZERO: Rule = Rule {
    id: "SCALE-TO-ZERO",
    severity: Severity::Warning,
    means: "Nothing serves any more, and an autoscaler does not wake it: with zero replicas an HPA \
            is switched off.",
    evidence: "The number that was asked for.",
    remedy: "Nothing, if that is meant.",
};
