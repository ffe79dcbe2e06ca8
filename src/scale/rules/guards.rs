//! What speaks against a scaling before the first write.

use crate::workload::rule;

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
    "The claim TEMPLATE-SET-ORDINAL exists, and has a volume; or it does not exist, and a volume \
     that is Available names it in `spec.claimRef`, so that a new claim gets that volume. The age is that of the volume: the \
     claim can be younger than its data. The idle time is known if the server keeps the condition \
     Unused of claims (alpha in 1.36, on by default from 1.37).",
    "If the old data is wanted, for example to undo a scale-down: `--allow SCALE-READOPTS-DATA`. \
     If not: `--fresh` sets the claim aside under another name, and the ordinal gets a new disk. \
     Once somebody has deleted the claim, and its volume is kept, `SCALE-STARTS-EMPTY` takes the \
     place of this. Where a pod uses the claim, `SCALE-CLAIM-IN-USE` comes beside it."
);

rule!(
    pub STARTS_EMPTY,
    "SCALE-STARTS-EMPTY",
    Error,
    "A new ordinal has no claim, and a volume is there that its former claim had: the claim was \
     deleted, and the data was kept. The controller makes a new claim with an empty disk, and does \
     not look for that volume. Where the claim is still there, this is `SCALE-READOPTS-DATA`; \
     where another volume is there to be taken, `SCALE-FREE-VOLUME` says so.",
    "The claim TEMPLATE-SET-ORDINAL does not exist. A volume that is Released or Failed names it in \
     `spec.claimRef`, has the policy Retain, and is not being deleted; or a claim has its data under \
     the name with which an earlier `--fresh` has set it aside.",
    "If the data is wanted, `kubectl stateful orphans adopt` gives the volume to the ordinal first. \
     If not: `--fresh`, or `--allow SCALE-STARTS-EMPTY`. The volume stays as it is."
);

rule!(
    pub NAME_TAKEN,
    "SCALE-NAME-TAKEN",
    Error,
    "A pod that is not of this set has the name of an ordinal that comes, so the set's own pod \
     cannot be created. The controller tries without end, and no event says so.",
    "A pod of that name whose controller is another one, or whose labels the set's selector does \
     not match: read for the plan, before each step, and while the pod of a new ordinal is missing.",
    "Find out whose pod it is and whether its data matters; then delete it, or rename what makes \
     it, and run the same command again. `STATUS-NAME-TAKEN` says the same of an ordinal that the \
     set has already."
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
    pub HOOK_UNUSABLE,
    "SCALE-HOOK-UNUSABLE",
    Error,
    "A hook names a container or a port that the pods do not have: it could never run.",
    "For --container, the containers of the pods that leave, sidecars included; for the name of a \
     port in --before-http, the ports of the pod template.",
    "Correct the name. Without --container, the command runs in the default container."
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
    "Get the right to read it, or check by hand. To scale anyway: `--allow SCALE-UNREAD`. As a \
     warning, for volumes: whether one has the data of an ordinal without a claim is not known."
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
    "Ask whoever may give it, and see with the line in the hint whether it is there. Lines that \
     the same lack would refuse are not printed."
);
