//! What `delete` and `adopt` refuse, and what they tell.

use crate::workload::rule;

rule!(
    pub IN_USE,
    "ORPHANS-IN-USE",
    Error,
    "The claim or volume is in use, or something may start to use it.",
    "Read right before the write: a pod, a template, an ordinal of a set, an attached volume, or \
     another volume of the same disk.",
    "Leave it. If it was an orphan a moment ago, it has been taken into use since."
);

rule!(
    pub NO_ORPHAN,
    "ORPHANS-NO-ORPHAN",
    Error,
    "The object is not an orphan, but parked, elastic, managed, of two sets, or unknown.",
    "The same classification as in the report, with what was read right before.",
    "The report shows what would have to change first."
);

rule!(
    pub CHANGED,
    "ORPHANS-CHANGED",
    Error,
    "The object is not the one in the report any more, or it changed during the deletion; or a \
     volume that was to be kept is gone, or is not under Retain, once its claim is deleted.",
    "Its uid is not the one in the report, or the precondition of a write failed; for a volume, its \
     policy and deletionTimestamp after the deletion of its claim.",
    "Write a new report. For a volume that still exists: set its policy to Retain at once."
);

rule!(
    pub NOT_READ,
    "ORPHANS-NOT-READ",
    Warning,
    "After a deletion, something could not be read: it is not known what has become of the volume, \
     or whether somebody has made the claim again.",
    "The answer of the server to the last look.",
    "Look at the volume: kubectl get pv. Under the policy Retain it stays."
);

rule!(
    pub NOT_IDLE,
    "ORPHANS-NOT-IDLE",
    Error,
    "The object has not been idle for as long as --min-idle asks, or its idle time is not known.",
    "The condition Unused of the claim, or lastPhaseTransitionTime of a Released volume.",
    "Wait, or leave out --min-idle if the server does not report the idle time."
);

rule!(
    pub VOLUME_STAYS,
    "ORPHANS-VOLUME-STAYS",
    Error,
    "Volumes are kept unless --keep-pv=false is given.",
    "A PersistentVolume was named.",
    "With --keep-pv=false the object is deleted. Under the policy Retain the disk stays in the \
     storage, and nothing in Kubernetes knows about it any more."
);

rule!(
    pub POLICY_UNKNOWN,
    "ORPHANS-POLICY-UNKNOWN",
    Error,
    "The volume of the claim could not be read, so it is not known whether the data would be \
     kept.",
    "The server has no PersistentVolume of that name, or the user may not read it.",
    "Get the rights to get and patch persistentvolumes."
);

rule!(
    pub VOLUME_GOES,
    "ORPHANS-VOLUME-GOES",
    Error,
    "The volume of the claim is being deleted itself. It goes together with the claim, whatever \
     its policy is, and cannot be kept as a volume.",
    "metadata.deletionTimestamp of the volume.",
    "Leave the claim: as long as it exists, so does the volume. Copy the data, or set the volume to \
     Retain, so that at least the disk stays in the storage, and make a new volume for it."
);

rule!(
    pub SHARED_DISK,
    "ORPHANS-SHARED-DISK",
    Error,
    "Another volume is the same disk. Deleting the data of the one deletes that of the other, and \
     whoever gets the one writes to the other.",
    "Driver and handle, server and path, or path and node of both volumes are the same.",
    "Set the policy of the volume that is too many to Retain, and delete it: then only the object \
     goes."
);

rule!(
    pub HELD,
    "ORPHANS-HELD",
    Error,
    "A pod that has finished still names the claim. Kubernetes keeps a claim that was deleted \
     until such a pod is deleted.",
    "A pod that has a node, is Succeeded or Failed, and names the claim.",
    "Delete that pod first. The logs of its containers go with it."
);

rule!(
    pub DATA_GOES,
    "ORPHANS-DATA-GOES",
    Warning,
    "The data is destroyed: the policy of the volume is not Retain, and --keep-pv=false was \
     given.",
    "spec.persistentVolumeReclaimPolicy of the volume.",
    "Leave out --keep-pv=false, or take a snapshot with --snapshot."
);

rule!(
    pub SKIPPED,
    "ORPHANS-SKIPPED",
    Note,
    "Not everything in the report is deleted: volumes are only deleted by name, and with -n only \
     what is in that namespace.",
    "The kind and the namespace of the items of the report.",
    "Name the volumes, with --keep-pv=false, or leave out -n."
);

rule!(
    pub MADE_AGAIN,
    "ORPHANS-MADE-AGAIN",
    Warning,
    "While the claim was deleted, its set was scaled up, or somebody made a claim of the same name. \
     The member comes up on an empty disk, or does already. The old data is on the volume that was \
     kept.",
    "A claim of the same name with another uid; or a set in whose range the ordinal is now.",
    "If the member should have the old data: migrate recover."
);

rule!(
    pub NO_SNAPSHOTS,
    "ORPHANS-NO-SNAPSHOTS",
    Error,
    "The snapshot that --snapshot asks for cannot be taken.",
    "The server does not have snapshot.storage.k8s.io, there is no such VolumeSnapshotClass, the \
     class belongs to another CSI driver than the volume, or a snapshot of something else has \
     the name.",
    "Install a snapshot controller, or name another class with --snapshot."
);

rule!(
    pub UNFIT,
    "ORPHANS-UNFIT",
    Error,
    "The volume cannot be given to that ordinal.",
    "Its phase, a deletionTimestamp of the volume or its claim, a pod that may write to it, an \
     attachment, its volumeMode, or a mark of a migration.",
    "The message says what is in the way."
);

rule!(
    pub TAKEN,
    "ORPHANS-TAKEN",
    Error,
    "The claim of that ordinal already exists, and has another volume.",
    "There is a claim with the name that the ordinal will look for.",
    "If the set runs on that claim and should have the old data instead: migrate recover. If \
     nothing uses the claim: orphans delete it first."
);

rule!(
    pub SMALLER,
    "ORPHANS-SMALLER",
    Warning,
    "The volume is smaller than what the template of the set asks for. It is adopted as it is, and \
     may fill up before the others.",
    "spec.capacity of the volume, and spec.resources.requests of the template.",
    "Grow the claim afterwards, if its storage class allows that."
);

rule!(
    pub BELOW_START,
    "ORPHANS-BELOW-START",
    Warning,
    "The ordinal is below the first one of the set: nothing mounts the claim, however far the set \
     is scaled up.",
    "spec.ordinals.start of the set.",
    "Adopt for another ordinal, or lower spec.ordinals.start."
);

rule!(
    pub WAS_FAILED,
    "ORPHANS-WAS-FAILED",
    Warning,
    "The storage was told to delete or to scrub the volume, and that failed. It is adopted, and its \
     data may not be whole.",
    "status.phase Failed, and status.message of the volume.",
    "Check the data before anything else writes to it."
);

rule!(
    pub NO_RIGHTS,
    "ORPHANS-NO-RIGHTS",
    Error,
    "The user does not have a right that one of the steps needs: the command would stop half-way.",
    "The server's answer to a SelfSubjectAccessReview, for each write of the plan.",
    "Get the right before you begin; docs/orphans.md has the role."
);

rule!(
    pub LEFT_RETAINED,
    "ORPHANS-LEFT-RETAINED",
    Warning,
    "The command has set a volume to Retain and stopped before the end. The disk stays, also if \
     somebody deletes the claim.",
    "The policy of the volume after the stop; the policy of before is noted on it.",
    "The same command goes on. To leave it, set the policy back that the message names."
);

rule!(
    pub NOT_YET,
    "ORPHANS-NOT-YET",
    Warning,
    "A step took longer than --timeout. The same command continues.",
    "A claim that is being deleted still exists, or a claim that was created is not bound.",
    "Find out what holds it, then run the same command again."
);
