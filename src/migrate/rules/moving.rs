//! What may be found when a live application is moved: what speaks against the
//! first write, and where it stops later.

use super::rule;
use crate::workload::{Rule, Severity};

/// Guards that `--allow ID` overrides, besides those of the conversion.
pub const BY_MOVE: &[&Rule] = &[
    &super::convert::GITOPS,
    &super::convert::AUTOSCALER,
    &UNHEALTHY,
    &NOT_TRIED,
    &UNREAD,
    &CLASS_UNKNOWN,
];

pub const GUARDS: &[&Rule] = &[
    &VOLUME_UNFIT,
    &PVC_IN_USE,
    &PVC_RESIZING,
    &UNHEALTHY,
    &NODE_UNFIT,
    &NO_RIGHTS,
    &SERVER_REFUSES,
    &NOT_TRIED,
    &UNREAD,
    &UNDER_WAY,
    &CLASS_UNKNOWN,
    &NO_COPY,
    &NO_CLONE,
    &NO_SNAPSHOT,
    &NODE_LOCAL_DISK,
    &CLAIMS_GO,
    &BLANK_IS_KEPT,
    &NOT_LIVE,
];

pub const STOPS: &[&Rule] = &[
    &LOCKED,
    &JOURNAL_UNUSABLE,
    &CHANGED,
    &TAKEN,
    &COPY_FAILED,
    &POD_BROKEN,
    &VERIFY_FAILED,
    &DEADLINE,
    &TAKEN_OVER,
    &NOT_ARRIVED,
    &SOAKING,
    &NO_WAY_BACK,
    &ADMIN_STEP,
    &OLD_KEPT,
];

rule!(
    VOLUME_UNFIT,
    "MIGRATE-VOLUME-UNFIT",
    Error,
    "The volume and its claim do not have each other, or one of them is going away: what the new \
     claim would get is not known.",
    "The volume is not Bound, spec.claimRef.uid is not the claim's uid, spec.volumeName of the \
     claim is empty, or a deletionTimestamp is set.",
    "kubectl describe pv and pvc say why. Where the data sits on a Released volume already, migrate \
     recover puts it back."
);
rule!(
    PVC_IN_USE,
    "MIGRATE-PVC-IN-USE",
    Error,
    "A pod that is not the Deployment's has the claim mounted: it would keep writing to the disk \
     beside the new pod.",
    "A pod that has not finished names the claim, and no ReplicaSet of the Deployment owns it.",
    "End that pod (and what makes it), or leave the claim as it is with --keep VOLUME."
);
rule!(
    PVC_RESIZING,
    "MIGRATE-PVC-RESIZING",
    Error,
    "The claim is being resized: the resizer works on the claim by its name and would not finish.",
    "A condition Resizing or FileSystemResizePending holds, or status.allocatedResourceStatuses \
     names the storage.",
    "Wait until kubectl get pvc shows the new size. FileSystemResizePending wants a pod that mounts \
     the claim."
);
rule!(
    UNHEALTHY,
    "MIGRATE-UNHEALTHY",
    Error,
    "The application is not well before it is moved: afterwards nobody could tell whether the move \
     broke it.",
    "status.availableReplicas of the Deployment is below spec.replicas.",
    "Mend it first. Allowed, it is moved as it is, and has to become Ready as a set."
);
rule!(
    NODE_UNFIT,
    "MIGRATE-NODE-UNFIT",
    Error,
    "The volume can only be reached from certain nodes, and none of them takes pods now: the new pod \
     could not start.",
    "spec.nodeAffinity of the volume matches no node that is Ready and schedulable.",
    "kubectl get nodes; uncordon or repair one of those that the volume names."
);
rule!(
    NO_RIGHTS,
    "MIGRATE-NO-RIGHTS",
    Error,
    "The user may not do something that will be needed half way.",
    "SelfSubjectAccessReviews, sent before the first write.",
    "Ask for the rights that are named. Without rights on volumes: --mode keep, which touches none, \
     or --print-admin-steps, which stops where an administrator has a line to type."
);
rule!(
    SERVER_REFUSES,
    "MIGRATE-SERVER-REFUSES",
    Error,
    "The server, a quota or an admission webhook would refuse an object of the migration.",
    "The object was sent with dryRun=All, and this was the answer.",
    "Do what the message asks for. Nothing was changed."
);
rule!(
    NOT_TRIED,
    "MIGRATE-NOT-TRIED",
    Error,
    "A webhook does not take dry runs, so that nobody knows whether it will accept the object.",
    "The server answered a dry run with a BadRequest that says that a webhook has side effects.",
    "Allowed, the object is sent for real. If it is refused then, rollback has little to undo: \
     objects are made before anything stops."
);
rule!(
    UNREAD,
    "MIGRATE-UNREAD",
    Error,
    "Something could not be read, so that nothing can be concluded from it.",
    "The server refused a list, or does not serve the kind in the version that this program knows; \
     its message is given.",
    "Get the right to list it, or find out by hand. Allowed, the plan is made without: who else uses the claim, or \
     scales the Deployment, may be missing."
);
rule!(
    UNDER_WAY,
    "MIGRATE-UNDER-WAY",
    Error,
    "A migration to this set has been begun, and with another plan than this one.",
    "A ConfigMap kubectl-stateful-migrate-NAME holds its journal.",
    "migrate status shows where it stands; migrate resume goes on with it, migrate rollback takes \
     it back."
);
rule!(
    CLASS_UNKNOWN,
    "MIGRATE-CLASS-UNKNOWN",
    Error,
    "The new claim names a storage class that the cluster does not have: nothing would make a volume \
     for it, and it would stay Pending.",
    "No StorageClass has that name.",
    "kubectl get storageclass; name one with --storage-class. Allowed, a volume of that class must \
     be there for the taking."
);
rule!(
    NO_COPY,
    "MIGRATE-NO-COPY",
    Error,
    "The claim is a block device: there are no files that could be copied.",
    "spec.volumeMode of the claim is Block.",
    "--mode rebind keeps the volume; --mode clone or snapshot has the storage copy it."
);
rule!(
    NO_CLONE,
    "MIGRATE-NO-CLONE",
    Error,
    "The storage cannot make the new volume as a clone of the old one.",
    "The old volume is not of a CSI driver, the class of the new claim is not of the same driver, or \
     the new claim is smaller than the volume.",
    "--mode copy copies files, whatever the storage; --mode rebind keeps the volume. Whether a driver \
     can clone only the driver knows: where it cannot, the claim stays Pending and its events say so."
);
rule!(
    NO_SNAPSHOT,
    "MIGRATE-NO-SNAPSHOT",
    Error,
    "The storage cannot make the new volume from a snapshot of the old one.",
    "The old volume is not of a CSI driver, the server has no snapshots, or no VolumeSnapshotClass is \
     of that driver.",
    "kubectl get volumesnapshotclass; name one with --snapshot-class. --mode copy copies files, \
     whatever the storage."
);
rule!(
    NODE_LOCAL_DISK,
    "MIGRATE-NODE-LOCAL-DISK",
    Warning,
    "The data lies on the disk of one node, before and after.",
    "The volume is a hostPath or a local one.",
    "Nothing, if that is meant. A hostPath without nodeAffinity does not keep the pod on its node: \
     the pod's own nodeSelector or the size of the cluster has to."
);
rule!(
    CLAIMS_GO,
    "MIGRATE-CLAIMS-GO",
    Error,
    "The set deletes the claims of ordinals that it is scaled down by: to put a volume back it has \
     to be scaled down.",
    "spec.persistentVolumeClaimRetentionPolicy.whenScaled is Delete.",
    "Set it to Retain first; the hint is the line."
);
rule!(
    BLANK_IS_KEPT,
    "MIGRATE-BLANK-IS-KEPT",
    Warning,
    "The volume that the set runs on now leaves it, with whatever was written to it since.",
    "spec.volumeName of the claim that is made again.",
    "Nothing is deleted: the volume stays, Released, under policy Retain. Take from it what is \
     needed; migrate recover puts it back the same way."
);
rule!(
    NOT_LIVE,
    "MIGRATE-NOT-LIVE",
    Warning,
    "The plan is made from manifests: nothing about volumes, pods and binding could be checked, and \
     the volumes are not known.",
    "The Deployment or the claim has no uid, so that no server has given it.",
    "Ask the cluster: migrate plan without -f. Or make the plan from a dump of it: kubectl get \
     deploy,rs,sts,pod,pvc,svc,hpa -o yaml, and kubectl get pv,node -o yaml."
);
rule!(
    LOCKED,
    "MIGRATE-LOCKED",
    Error,
    "Another run has the migration in hand, and is alive.",
    "data.holder of the journal names it, and data.beat has moved while we looked.",
    "Let it finish. If it is known to be dead: --takeover. Volumes are safe even if it is not: they \
     change hands by uid, and only one side can have them."
);
rule!(
    JOURNAL_UNUSABLE,
    "MIGRATE-JOURNAL-UNUSABLE",
    Error,
    "The journal of the migration cannot be read: without it nobody knows what was before.",
    "data.journal of the ConfigMap is missing, is not ours, or was written by a newer version.",
    "Use the version that wrote it. The volumes carry the essentials themselves: kubectl get pv -o \
     yaml, annotation kubectl-stateful.dev/migration, has policy and old claim."
);
rule!(
    CHANGED,
    "MIGRATE-CHANGED",
    Error,
    "Somebody else changed what the plan was made from.",
    "A uid, a generation or a reservation is not the one in the journal.",
    "Look who it was (managedFields). Where a Deployment was scaled up in the middle: kubectl scale \
     it to 0 and resume; its pods cannot start, because the claim is not bound. Otherwise roll back \
     and plan again."
);
rule!(
    TAKEN,
    "MIGRATE-TAKEN",
    Error,
    "An object is there under a name that the migration needs, and it did not make it.",
    "The mark kubectl-stateful.dev/migration is missing or of another migration.",
    "A controller or a Git sync may have made it meanwhile. Remove it if it holds nothing, and \
     resume; or roll back."
);
rule!(
    COPY_FAILED,
    "MIGRATE-COPY-FAILED",
    Error,
    "A Job that copies has failed, or the old and the new volume differ after it.",
    "The Job's condition Failed, or the state of its pod; the message ends with what it said last.",
    "Mend what it says (a volume that is full needs a larger --size: roll back and run again); migrate \
     resume makes the Job anew, and it copies what is missing. The old claim was only read: migrate \
     rollback starts the Deployment on it."
);
rule!(
    POD_BROKEN,
    "MIGRATE-POD-BROKEN",
    Error,
    "A pod of the set does not start.",
    "The state of its containers.",
    "kubectl describe the pod. When it is mended: migrate resume. To have the Deployment back: \
     migrate rollback."
);
rule!(
    VERIFY_FAILED,
    "MIGRATE-VERIFY-FAILED",
    Error,
    "The command of --verify-exec did not succeed in the new pod.",
    "Its exit code, and what it said.",
    "Look into the pod. migrate resume asks again; migrate rollback takes it back. What the set has \
     written since it started stays on the disk."
);
rule!(
    DEADLINE,
    "MIGRATE-DEADLINE",
    Error,
    "A wait took longer than --timeout.",
    "The clock, and what it waited for.",
    "See why, and resume: nothing is lost by waiting. Or roll back."
);
rule!(
    TAKEN_OVER,
    "MIGRATE-TAKEN-OVER",
    Error,
    "Another run has taken the lock while this one was at work; this one stopped.",
    "data.holder of the journal is another one.",
    "Nothing: the other run goes on."
);
rule!(
    NOT_ARRIVED,
    "MIGRATE-NOT-ARRIVED",
    Error,
    "The set is not there yet as it should be, so that what the way back needs must stay.",
    "Pods that are not Ready, a claim that is not bound to its volume, or an old claim that is not \
     Lost.",
    "migrate status says what is missing. Resume or roll back first. Where finalize has begun and \
     somebody has deleted a claim of the set, docs/migrate.md has the lines that bring the volume back."
);
rule!(
    SOAKING,
    "MIGRATE-SOAKING",
    Note,
    "The set has not run for as long as --soak asks.",
    "The moment of its arrival stands in the journal.",
    "Run finalize again later, or with a shorter --soak."
);
rule!(
    NO_WAY_BACK,
    "MIGRATE-NO-WAY-BACK",
    Error,
    "Something that the way back needs is gone: finalize has begun, or somebody deleted it.",
    "The uid in the journal has no object any more.",
    "Delete no volume, and before anything else see that the policy of the one with the data is \
     Retain: under Delete it goes with its claim. The Deployment and the claim as they were stand \
     in the journal."
);
rule!(
    ADMIN_STEP,
    "MIGRATE-ADMIN-STEP",
    Note,
    "The next step changes a volume, which this user may not.",
    "--print-admin-steps was given.",
    "Have an administrator type the line, and resume."
);
rule!(
    OLD_KEPT,
    "MIGRATE-OLD-KEPT",
    Note,
    "The set has volumes of its own; the old claim and its volume were only read, and are not deleted.",
    "The mode is copy, clone or snapshot.",
    "Delete the claim when nobody needs it any more. Its volume goes with it where its policy is \
     Delete; otherwise it stays, Released, with its data."
);
