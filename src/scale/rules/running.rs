//! What is worth knowing, what stops a scaling that runs, and what is told in the end.

use crate::workload::rule;

rule!(
    pub HELM,
    "SCALE-HELM",
    Warning,
    "The set is part of a Helm release: the next upgrade restores the number in the values.",
    "The annotation or labels that Helm leaves.",
    "Set the number in the values as well."
);

rule!(
    pub REPLICAS_CHANGED,
    "SCALE-REPLICAS-CHANGED",
    Error,
    "Something else changed the replicas in the middle, or the ordinal that they are counted from: a \
     person, an autoscaler, a repository. Nothing more is changed.",
    "`spec.replicas` is not the number that was written last, or `spec.ordinals.start` not that of \
     the plan.",
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
    "Run the same command again: it plans from what is there now, and refuses what would be lost. \
     What is noticed only once the pod has left is `SCALE-NOT-KEPT`."
);

rule!(
    pub NOT_KEPT,
    "SCALE-NOT-KEPT",
    Error,
    "Something that was to be kept is not, and `SCALE-DATA-CHANGED` came too late for it. Someone else deleted the claim, or changed the set or \
     the volume, while the pod was leaving or coming.",
    "Read at the end: the claim by its uid, its deletionTimestamp and owners, and the volume.",
    "If the volume is kept, the line in the hint (`kubectl stateful orphans adopt pv/VOLUME --to \
     STATEFULSET/ORDINAL`) gives it to the ordinal again. If a pod still holds a claim that is being deleted, set the \
     reclaim policy of its volume to Retain at once."
);

rule!(
    pub POD_STAYS,
    "SCALE-POD-STAYS",
    Error,
    "An ordinal has left the set, and a pod of its name is there all the same, which the set does \
     not own: somebody has changed its labels or its owner, or has made it. It may still write to the \
     disk of the ordinal, so the ordinal is not gone: no hook after it and no snapshot runs.",
    "A pod of that name, read once the set has none of it any more.",
    "Look at what it does. Once it is deleted, the same command goes on."
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
    "`--retain` keeps claims that are not being deleted yet. Afterwards, the line in the hint gives \
     the volume to its ordinal again."
);

rule!(
    pub FREE_VOLUME,
    "SCALE-FREE-VOLUME",
    Warning,
    "A new ordinal gets a new claim, and a volume is there that fits it and waits for any claim. \
     Kubernetes takes such a volume rather than make a disk, also with --fresh, and does not look at \
     what is on it. Which one it takes is not known beforehand.",
    "A volume that is Available without `spec.claimRef`, of the class that the claim template asks \
     for, large enough, with its access modes, volumeMode and labels; and, where the class waits \
     for the pod, a node that the volume can be used on. One that is reserved for the claim by name \
     is `SCALE-READOPTS-DATA`.",
    "Look at what is on the volume. If it is empty, do nothing. If not, give it away first: reserve \
     it for another claim in `spec.claimRef`, or delete it. At the end, `SCALE-OLD-VOLUME` says \
     whether it was taken."
);

rule!(
    pub OLD_VOLUME,
    "SCALE-OLD-VOLUME",
    Warning,
    "The new claim of an ordinal that has come is bound to a volume that was there before: the \
     ordinal is not on a new disk, and what was on that one is not known.",
    "Read at the end: the volume of the claim, which is one of those that were read before the \
     first write.",
    "Look at what is on it, before the member counts for anything. `SCALE-FREE-VOLUME` tells of \
     such volumes before the scaling."
);

rule!(
    pub STILL_ASIDE,
    "SCALE-STILL-ASIDE",
    Warning,
    "A claim that was set aside with --fresh is still there under its other name, after the scaling \
     went back or somebody else has ended it. Its ordinal does not look for it there.",
    "A claim TEMPLATE-SET-ORDINAL-aside-TIME that is Bound, with the time at which the scaling began.",
    "Run the line in the hint: it keeps the disk that the ordinal got instead, and gives the old \
     volume to the ordinal again. To keep the data where it is, do nothing."
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
