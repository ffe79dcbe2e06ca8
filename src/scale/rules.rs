//! The findings of `scale`, each with the text of its page in docs/findings.md.

use crate::workload::{Rule, rule};

/// Every rule of `scale`, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    [GUARDS, CONFLICTS, FAILURES, NOTES].concat()
}

/// Guards that `--allow ID` overrides: a person may know better.
pub const ALLOWABLE: &[&Rule] = &[
    &DESTROYS_DATA,
    &READOPTS_DATA,
    &CLAIM_IN_USE,
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
    &CLAIM_IN_USE,
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

const CONFLICTS: &[&Rule] = &[&REPLICAS_CHANGED, &REPLACED, &TAKEN_OVER, &DATA_CHANGED, &NOT_KEPT];

const FAILURES: &[&Rule] =
    &[&HOOK_FAILED, &CHECK_FAILED, &SNAPSHOT_FAILED, &DOES_NOT_COME_UP, &NOT_RETAINED, &DEADLINE];

const NOTES: &[&Rule] = &[
    &CLAIM_GOES,
    &VOLUME_LEAVING,
    &SNAPSHOT_DELETES,
    &PASSES_BROKEN,
    &QUORUM,
    &BUDGET_LATER,
    &HELM,
    &TO_ZERO,
];

rule!(
    pub DESTROYS_DATA,
    "SCALE-DESTROYS-DATA",
    Error,
    "The claims of ordinals that leave are deleted, and their volumes with them: because the set \
     says so (whenScaled: Delete), or because someone has deleted the claim already and only its \
     pod keeps it. Once the pod is gone, nothing brings the data back.",
    "`spec.persistentVolumeClaimRetentionPolicy.whenScaled` is Delete, or the claim has a \
     deletionTimestamp; and the reclaim policy of the volume is not Retain, or could not be read, \
     or the volume is being deleted too.",
    "`--retain` keeps the claims: it changes the set, and verifies the change, before the first \
     pod goes. It does not help a claim that is being deleted already: set the reclaim policy of \
     its volume to Retain, with the command in the hint. Only if the data is really not wanted: \
     `--allow SCALE-DESTROYS-DATA`."
);

rule!(
    pub READOPTS_DATA,
    "SCALE-READOPTS-DATA",
    Error,
    "A claim with the name that a new ordinal looks for is left from before. The controller \
     mounts it without checking what is on it: an old member may come back, with old data, into \
     a cluster that has removed it.",
    "The claim TEMPLATE-SET-ORDINAL exists, and has a volume. The age is that of the volume: the \
     claim can be younger than its data. The idle time is known if the server keeps the condition \
     Unused of claims (alpha in 1.36, on by default from 1.37).",
    "If the old data is wanted, for example to undo a scale-down: `--allow SCALE-READOPTS-DATA`. \
     If not: `--fresh` sets the claim aside under another name, and the ordinal gets a new disk."
);

rule!(
    pub CLAIM_IN_USE,
    "SCALE-CLAIM-IN-USE",
    Error,
    "A claim that a new ordinal would mount is in use by a pod that is not of this set. Two \
     programs would write to one disk, which destroys most file systems and databases.",
    "A pod of the namespace names the claim, and has not finished.",
    "Delete that pod first. Only if the disk is made for several writers (ReadWriteMany): \
     `--allow SCALE-CLAIM-IN-USE`."
);

rule!(
    pub CLAIM_LEAVING,
    "SCALE-CLAIM-LEAVING",
    Error,
    "A claim that a new ordinal needs is being deleted. Its pod is not created before the claim \
     is gone, and the data on it is lost.",
    "The claim's deletionTimestamp.",
    "Wait until it is gone. If the data is wanted, set the reclaim policy of the volume to \
     Retain now."
);

rule!(
    pub MEMBER_UNHEALTHY,
    "SCALE-MEMBER-UNHEALTHY",
    Error,
    "An ordinal that stays is not available. Under OrderedReady the controller neither removes \
     nor adds a pod until it is. A quorum may depend on the ordinals that leave.",
    "The pod is missing, terminating, not Ready, or Ready for less than minReadySeconds.",
    "Fix it first; `kubectl stateful status` shows what is wrong. Under Parallel the controller \
     continues anyway, and so does `--allow SCALE-MEMBER-UNHEALTHY`."
);

rule!(
    pub TWO_BROKEN,
    "SCALE-TWO-BROKEN",
    Error,
    "Several of the ordinals that leave are broken. Under OrderedReady the controller waits at \
     the higher one for the lower one to become available, and does not get to the lower one \
     before the higher one is gone. That takes until someone deletes the higher pod.",
    "More than one pod of those ordinals is not available, and broken or not Ready for more than \
     a minute.",
    "With `--allow SCALE-TWO-BROKEN` the replicas pass all of them in one step, and this program \
     deletes the higher pods, each by its uid. No claim is touched."
);

rule!(
    pub ROLLOUT,
    "SCALE-ROLLOUT-IN-PROGRESS",
    Error,
    "A rollout has not finished, or is held by a partition. The revision of an added ordinal \
     depends on the partition, and scaling down removes the ordinals that a rollout updates \
     first.",
    "Pods of more than one revision, or a partition above zero.",
    "Finish the rollout first. To scale anyway: `--allow SCALE-ROLLOUT-IN-PROGRESS`."
);

rule!(
    pub CANARY,
    "SCALE-CANARY",
    Error,
    "A canary is under way on the set. Its partition was computed from the replicas that it \
     began with, so scaling would end it as a conflict.",
    "The annotation kubectl-stateful.dev/canary.",
    "`kubectl stateful canary promote --full` or `canary abort` first."
);

rule!(
    pub MIGRATION,
    "SCALE-MIGRATION",
    Error,
    "The set belongs to a migration that is under way.",
    "The label kubectl-stateful.dev/migration.",
    "`kubectl stateful migrate finalize` or `migrate rollback` first."
);

rule!(
    pub OTHER_GOAL,
    "SCALE-OTHER-GOAL",
    Error,
    "A scale operation to another number was begun and has not finished.",
    "The annotation kubectl-stateful.dev/scale.",
    "Finish it first, or go back to where it began, with `kubectl stateful scale STATEFULSET \
     --abort`. Either takes over from a run that is gone."
);

rule!(
    pub OWNER,
    "SCALE-OWNER",
    Error,
    "The set belongs to a controller, which reverts what is changed here, or worse: an operator \
     has its own way to remove a member.",
    "`metadata.ownerReferences` with controller: true.",
    "Scale the owner. To scale anyway: `--allow SCALE-OWNER`."
);

rule!(
    pub HPA,
    "SCALE-HPA",
    Error,
    "An autoscaler controls the replicas, and reverts any other number at its next sync.",
    "A HorizontalPodAutoscaler names the set as its target.",
    "Change its minReplicas and maxReplicas instead. To scale anyway: `--allow SCALE-HPA`; if \
     the autoscaler changes the replicas in the middle, the command stops as a conflict."
);

rule!(
    pub KEDA,
    "SCALE-KEDA",
    Error,
    "KEDA controls the replicas, and reverts any other number.",
    "A ScaledObject names the set as its target.",
    "Pause it: `kubectl annotate scaledobject NAME autoscaling.keda.sh/paused-replicas=N`. To \
     scale anyway: `--allow SCALE-KEDA`."
);

rule!(
    pub GITOPS,
    "SCALE-GITOPS",
    Error,
    "Argo CD or Flux applies this set, and restores the replicas of the repository.",
    "Its tracking label or annotation, or its entry in managedFields.",
    "Change the number in the repository, or make it ignore `spec.replicas`, or suspend it. To \
     scale anyway: `--allow SCALE-GITOPS`."
);

rule!(
    pub HELM,
    "SCALE-HELM",
    Warning,
    "The set is part of a Helm release: the next upgrade restores the number in the values.",
    "The annotation or labels that Helm leaves.",
    "Set the number in the values as well."
);

rule!(
    pub NO_HEADROOM,
    "SCALE-NO-HEADROOM",
    Error,
    "A PodDisruptionBudget allows no pod to be down. Kubernetes does not ask budgets when a set \
     is scaled, but whoever wrote this one expects it to hold.",
    "`status.disruptionsAllowed` of a budget that selects the pods is 0.",
    "Fix the pods that are down, or change the budget. To scale anyway: `--allow \
     SCALE-NO-HEADROOM`."
);

rule!(
    pub NO_SNAPSHOTS,
    "SCALE-NO-SNAPSHOTS",
    Error,
    "--snapshot needs something that this cluster does not have: the snapshot API, the class, or \
     a right.",
    "The API groups of the server, and its VolumeSnapshotClasses.",
    "Name an existing class of the driver of the volumes, or leave out --snapshot: the claims \
     are kept."
);

rule!(
    pub SNAPSHOT_NEEDS_CLAIM,
    "SCALE-SNAPSHOT-NEEDS-CLAIM",
    Error,
    "A snapshot is taken when the pod is gone, because before that the disk is in use. But the \
     claim is deleted at that moment.",
    "`whenScaled` is Delete, and --retain was not given; or the claim is being deleted already.",
    "Add --retain. Of a claim that is being deleted, take the snapshot now, by hand."
);

rule!(
    pub NOT_ASIDE,
    "SCALE-NOT-ASIDE",
    Error,
    "--fresh cannot set a claim aside: it has no volume, is in use, is part of another \
     operation, or its other name is taken. As a warning: the same, for a claim that an earlier \
     run has begun to set aside; it is left as it is.",
    "The claim, its volume, and the pods that name it.",
    "Fix what the message says, or delete the claim if its data is not wanted."
);

rule!(
    pub BEING_DELETED,
    "SCALE-BEING-DELETED",
    Error,
    "The set is being deleted.",
    "Its deletionTimestamp.",
    "There is nothing left to scale."
);

rule!(
    pub RECORD_UNUSABLE,
    "SCALE-RECORD-UNUSABLE",
    Error,
    "The annotation of a scale operation exists and cannot be used: someone changed it, another \
     version of this program wrote it, or it was copied from another set.",
    "The annotation kubectl-stateful.dev/scale.",
    "Remove it. The set is at rest, and the command starts again."
);

rule!(
    pub UNREAD,
    "SCALE-UNREAD",
    Error,
    "Something that might be a reason to refuse could not be read.",
    "The server refused a list, or does not serve the kind in the version that this program \
     knows; its message is shown.",
    "Get the right to read it, or check by hand. To scale anyway: `--allow SCALE-UNREAD`."
);

rule!(
    pub BLIND,
    "SCALE-BLIND",
    Error,
    "The pods or claims of the set cannot be read, so it would not be known which pods are gone \
     and which data is lost.",
    "The server's answer to the list.",
    "Get the right to read them."
);

rule!(
    pub NO_RIGHTS,
    "SCALE-NO-RIGHTS",
    Error,
    "The user does not have a right that is needed later.",
    "The server's answer to a SelfSubjectAccessReview.",
    "Get the right before you begin."
);

rule!(
    pub REPLICAS_CHANGED,
    "SCALE-REPLICAS-CHANGED",
    Error,
    "Something else changed the replicas in the middle: a person, an autoscaler, a repository. \
     Nothing more is changed.",
    "`spec.replicas` is not the number that was written last.",
    "Find out what changed it, then decide again."
);

rule!(
    pub REPLACED,
    "SCALE-REPLACED",
    Error,
    "The set was deleted in the middle, or deleted and created again.",
    "It does not exist, or its uid is another.",
    "Look at the current set."
);

rule!(
    pub TAKEN_OVER,
    "SCALE-TAKEN-OVER",
    Error,
    "Another run continues this scale operation, or has finished it.",
    "The annotation on the set names another run, or is gone.",
    "Leave it to that run."
);

rule!(
    pub DATA_CHANGED,
    "SCALE-DATA-CHANGED",
    Error,
    "A claim, its volume, or what the set does with claims is no longer as the plan said, so that \
     the next ordinal would lose data, or come up on another disk. That ordinal was not touched.",
    "Read right before the step: the claim's uid and deletionTimestamp, `whenScaled`, and where it \
     matters the volume's policy.",
    "Run the same command again: it plans from what is there now, and refuses what would be lost."
);

rule!(
    pub NOT_KEPT,
    "SCALE-NOT-KEPT",
    Error,
    "Something that was to be kept is not. Someone else deleted the claim, or changed the set or \
     the volume, while the pod was leaving or coming.",
    "Read at the end: the claim by its uid, its deletionTimestamp and owners, and the volume.",
    "If the volume is kept, `kubectl stateful orphans adopt pv/VOLUME --to STATEFULSET/ORDINAL` \
     gives it to the ordinal again. If a pod still holds a claim that is being deleted, set the \
     reclaim policy of its volume to Retain at once."
);

rule!(
    pub HOOK_FAILED,
    "SCALE-HOOK-FAILED",
    Error,
    "A command before or after a step failed. Before a step: the ordinal still exists, and the \
     --on-abort command has run.",
    "Its exit code, or that it took too long.",
    "Fix the cause and run the same command again: it begins with that ordinal."
);

rule!(
    pub CHECK_FAILED,
    "SCALE-CHECK-FAILED",
    Error,
    "The check between two steps failed. The next ordinal still exists.",
    "Its exit code, or that it took too long.",
    "Read its output, then run the same command again to continue."
);

rule!(
    pub SNAPSHOT_FAILED,
    "SCALE-SNAPSHOT-FAILED",
    Error,
    "A snapshot of the claim of an ordinal that has left did not become ready. The claim still \
     exists.",
    "`status.error` of the VolumeSnapshot.",
    "Delete the failed snapshot and run the same command again, if necessary without --snapshot."
);

rule!(
    pub DOES_NOT_COME_UP,
    "SCALE-DOES-NOT-COME-UP",
    Error,
    "The ordinal that was added does not become available.",
    "The state of its containers.",
    "Fix it and run the same command again, or scale back by one."
);

rule!(
    pub NOT_RETAINED,
    "SCALE-NOT-RETAINED",
    Error,
    "The set keeps the claims of ordinals that leave (whenScaled: Retain), but a claim still belongs \
     to its pod, and would be deleted with it. That pod was not removed.",
    "`ownerReferences` of the claim, read right before the step.",
    "The StatefulSet controller removes this reference within seconds: find out why it does not, and \
     run the same command again."
);

rule!(
    pub DEADLINE,
    "SCALE-DEADLINE",
    Error,
    "A wait took longer than --timeout. The set is at rest at its current number of replicas.",
    "The clock.",
    "`kubectl stateful status` shows what it waits for; the same command continues."
);

rule!(
    pub CLAIM_GOES,
    "SCALE-CLAIM-GOES",
    Warning,
    "The claims of ordinals that leave are deleted. Their volumes are kept, Released, and an \
     ordinal gets them back only by hand.",
    "`whenScaled` is Delete, or the claim is being deleted already; and the reclaim policy of the \
     volume is Retain.",
    "`--retain` keeps claims that are not being deleted yet. Afterwards: `kubectl stateful orphans \
     adopt`."
);

rule!(
    pub VOLUME_LEAVING,
    "SCALE-VOLUME-LEAVING",
    Warning,
    "The volume of a claim that stays is being deleted. A deletion cannot be taken back: the \
     volume stays only as long as its claim does, whatever its policy.",
    "The volume's deletionTimestamp.",
    "Copy the data to another volume, and do not delete the claim before."
);

rule!(
    pub SNAPSHOT_DELETES,
    "SCALE-SNAPSHOT-DELETES",
    Warning,
    "The snapshot lasts only as long as its VolumeSnapshot object: both are deleted with the \
     namespace, or when someone deletes the object.",
    "`deletionPolicy: Delete` of the VolumeSnapshotClass.",
    "Use a class whose deletionPolicy is Retain, if there is one."
);

rule!(
    pub PASSES_BROKEN,
    "SCALE-PASSES-BROKEN",
    Warning,
    "An ordinal that leaves is broken, and is not the highest. One by one, the controller would \
     wait for it forever, so the replicas pass it in one step; the pods above it still leave one \
     by one.",
    "OrderedReady, and a pod that is broken or not Ready for more than a minute.",
    "Nothing, if this is intended. The hooks of all these ordinals run before that step."
);

rule!(
    pub QUORUM,
    "SCALE-QUORUM",
    Note,
    "For applications whose members vote: how many losses the new number of members tolerates. \
     Which members vote cannot be seen from here.",
    "The number of replicas.",
    "An odd number tolerates as many losses as the even number above it."
);

rule!(
    pub BUDGET_LATER,
    "SCALE-BUDGET-TOO-TIGHT",
    Warning,
    "With the new number of replicas, a PodDisruptionBudget never allows a pod to be down: every \
     drain of a node with such a pod will wait forever.",
    "The budget wants at least as many healthy pods as there will be.",
    "Lower its minAvailable."
);

rule!(
    pub TO_ZERO,
    "SCALE-TO-ZERO",
    Warning,
    "No pod will serve any more, and no HPA will scale the set up again: an HPA is switched off \
     at zero replicas.",
    "The number that was asked for.",
    "Nothing, if this is intended."
);
