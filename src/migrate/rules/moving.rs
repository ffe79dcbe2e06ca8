//! The findings when a live application is moved: guards before the first write,
//! and reasons to stop later.

use crate::workload::{Finding, Rule, rule};

/// Guards that `--allow ID` overrides, in addition to those of the conversion.
pub const BY_MOVE: &[&Rule] = &[
    &super::convert::GITOPS,
    &super::convert::AUTOSCALER,
    &UNHEALTHY,
    &NOT_TRIED,
    &UNREAD,
    &CLASS_UNKNOWN,
    &VERIFY_SECRET,
];

/// Guards of `recover` that `--allow ID` overrides.
pub const BY_RECOVERY: &[&Rule] = &[&VOLUME_FOREIGN, &VOLUME_DOUBTFUL, &SAME_DISK, &UNREAD];

pub const GUARDS: &[&Rule] = &[
    &VOLUME_UNFIT,
    &VOLUME_FOREIGN,
    &VOLUME_DOUBTFUL,
    &VOLUME_IN_USE,
    &SAME_DISK,
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
    &MADE_AGAIN,
    &VERIFY_KEPT,
    &VERIFY_SECRET,
    &CLAIMS_GO,
    &BLANK_IS_KEPT,
    &NO_SUCH_ORDINAL,
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
    &BOTH_RUN,
    &OTHER_DISK,
    &VOLUME_GOES,
    &ROLLBACK_LOSES,
    &LEFT_OVER,
    &REMAINS,
];

rule!(
    pub VOLUME_UNFIT,
    "MIGRATE-VOLUME-UNFIT",
    Error,
    "The volume and the claim do not belong to each other, or one of them is being deleted: it is \
     not known what the new claim would get.",
    "The volume is not Bound, spec.claimRef.uid is not the uid of the claim, spec.volumeName of \
     the claim is empty, or a deletionTimestamp is set.",
    "kubectl describe pv and pvc say why. If the data is already on a Released volume, migrate \
     recover puts it back."
);
rule!(
    pub VOLUME_FOREIGN,
    "MIGRATE-VOLUME-FOREIGN",
    Error,
    "The volume that was named for migrate recover belongs to somebody else, as far as can be seen: \
     the data of another application, or of another member, would come up under the set.",
    "spec.claimRef of the volume names a claim of another namespace, of another ordinal of the set, \
     one that it is reserved for and that has not taken it yet, or one that exists again.",
    "kubectl stateful migrate recover without --pv lists the volumes with their last claims. If the \
     data is the right one all the same, allow it."
);
rule!(
    pub VOLUME_DOUBTFUL,
    "MIGRATE-VOLUME-DOUBTFUL",
    Error,
    "The volume that was named for migrate recover is not what the set's template asks for, or it \
     may have lost data.",
    "spec.capacity is below the request of the template, spec.accessModes lacks one of its modes, \
     or the phase of the volume is Failed: somebody tried to delete it.",
    "Check that it is the right volume. If allowed, the claim is made for the volume as it is; the \
     template is not changed."
);
rule!(
    pub VOLUME_IN_USE,
    "MIGRATE-VOLUME-IN-USE",
    Error,
    "Something that is not stopped by migrate recover may still write to the volume, although no \
     claim is bound to it: two applications would write to one disk.",
    "A pod that has not finished mounts the last claim of the volume and is older than the claim \
     that has that name now, or a VolumeAttachment names the volume.",
    "Stop that pod and what creates it, and wait until kubectl get volumeattachments no longer \
     names the volume."
);
rule!(
    pub SAME_DISK,
    "MIGRATE-SAME-DISK",
    Error,
    "The volume that was named for migrate recover is the same disk as another volume, after a \
     static re-import, say: two applications would write to one disk, and deleting the data of the \
     one volume deletes that of the other. A warning if no claim uses the other one now.",
    "Both volumes name the same disk in their spec: the driver and the handle of a CSI volume, the \
     server and the path, or the path on the same node. A hostPath volume without nodeAffinity is \
     taken to be on the same node.",
    "Find out which of the two is the right one, and delete the object of the other while its \
     policy is Retain. If they are not the same disk after all, such as a hostPath on two nodes, \
     allow it."
);
rule!(
    pub PVC_IN_USE,
    "MIGRATE-PVC-IN-USE",
    Error,
    "A pod that does not belong to the Deployment mounts the claim: it would keep writing to the \
     disk while the new pod runs.",
    "A pod that has not finished names the claim, and no ReplicaSet of the Deployment owns it.",
    "Stop that pod (and what creates it), or leave the claim as it is with --keep VOLUME."
);
rule!(
    pub PVC_RESIZING,
    "MIGRATE-PVC-RESIZING",
    Error,
    "The claim is being resized. The resizer finds the claim by its name, and would not finish.",
    "A condition Resizing or FileSystemResizePending is True, or status.allocatedResourceStatuses \
     is not empty.",
    "Wait until kubectl get pvc shows the new size. FileSystemResizePending needs a pod that \
     mounts the claim."
);
rule!(
    pub UNHEALTHY,
    "MIGRATE-UNHEALTHY",
    Error,
    "The application is not healthy before the move: afterwards nobody could tell whether the \
     move broke it.",
    "status.availableReplicas of the Deployment is below spec.replicas.",
    "Repair it first. If allowed, it is moved as it is, and has to become Ready as a set."
);
rule!(
    pub NODE_UNFIT,
    "MIGRATE-NODE-UNFIT",
    Error,
    "The volume can only be used on certain nodes, and none of them accepts pods now: the new pod \
     could not start.",
    "spec.nodeAffinity of the volume matches no node that is Ready and schedulable.",
    "kubectl get nodes; uncordon or repair one of the nodes that the volume names."
);
rule!(
    pub NO_RIGHTS,
    "MIGRATE-NO-RIGHTS",
    Error,
    "The user lacks a right that will be needed half way.",
    "SelfSubjectAccessReviews, sent before the first write. Who may not list claims cannot see \
     whether the set owns some that would go with it: a rollback brings the Deployment back, and \
     stops before it deletes the set.",
    "Ask for the rights that are named. Without rights on volumes: --mode keep, which touches \
     none, or --print-admin-steps, which stops where an administrator has a command to run."
);
/// The user lacks a right, named as in `kubectl auth can-i`.
pub fn no_right(right: &str) -> Finding {
    NO_RIGHTS.found(right, format!("the user may not {right}"))
}

rule!(
    pub SERVER_REFUSES,
    "MIGRATE-SERVER-REFUSES",
    Error,
    "The server, a quota or an admission webhook would refuse an object of the migration.",
    "The object was sent with dryRun=All, and this was the answer.",
    "Do what the message asks for. Nothing was changed."
);
rule!(
    pub NOT_TRIED,
    "MIGRATE-NOT-TRIED",
    Error,
    "A webhook does not support dry runs, so nobody knows whether it will accept the object. A guard \
     of run and plan; a warning where --dry-run=server shows what another verb would write.",
    "The server answered a dry run with a BadRequest: a webhook has side effects.",
    "If allowed, the object is sent without a dry run. If it is refused then, rollback has little \
     to undo: in the modes that do not stop the Deployment first, objects are created before \
     anything stops."
);
rule!(
    pub UNREAD,
    "MIGRATE-UNREAD",
    Error,
    "Something could not be read, so nothing can be concluded from it.",
    "The server refused a list, or does not serve the kind in the version that this program \
     knows; its message is given.",
    "Get the right to list it, or find out by hand. If allowed, the plan is made without it: \
     other users of the claim, or what scales the Deployment, may be missing."
);
rule!(
    pub UNDER_WAY,
    "MIGRATE-UNDER-WAY",
    Error,
    "A migration of this Deployment, or of one of these volumes, has already been begun, and it is \
     not this one.",
    "A ConfigMap kubectl-stateful-migrate-NAME holds its journal, or a volume has the mark of a \
     migration.",
    "migrate status shows where it stands; migrate resume continues it, migrate rollback takes it \
     back."
);
rule!(
    pub CLASS_UNKNOWN,
    "MIGRATE-CLASS-UNKNOWN",
    Error,
    "The new claim names a storage class that the cluster does not have: nothing would create a \
     volume for it, and it would stay Pending.",
    "No StorageClass has that name.",
    "kubectl get storageclass; name one with --storage-class. If allowed, a volume of that class \
     must already be available."
);
rule!(
    pub NO_COPY,
    "MIGRATE-NO-COPY",
    Error,
    "The claim is a block device: there are no files to copy.",
    "spec.volumeMode of the claim is Block.",
    "--mode rebind keeps the volume; --mode clone or snapshot has the storage copy it."
);
rule!(
    pub NO_CLONE,
    "MIGRATE-NO-CLONE",
    Error,
    "The storage cannot create the new volume as a clone of the old one.",
    "The old volume is not a CSI volume, the class of the new claim is not known or uses another \
     driver, or the new claim is smaller than the volume.",
    "--mode copy copies files, whatever the storage; --mode rebind keeps the volume. Only the \
     driver knows whether it can clone: if it cannot, the claim stays Pending and its events say \
     so."
);
rule!(
    pub NO_SNAPSHOT,
    "MIGRATE-NO-SNAPSHOT",
    Error,
    "The storage cannot create the new volume from a snapshot of the old one.",
    "The old volume is not a CSI volume, the server has no snapshots, or no VolumeSnapshotClass \
     is for its driver.",
    "kubectl get volumesnapshotclass; name one with --snapshot-class. --mode copy copies files, \
     whatever the storage."
);
rule!(
    pub NODE_LOCAL_DISK,
    "MIGRATE-NODE-LOCAL-DISK",
    Warning,
    "The data is on the disk of one node, before and after the move.",
    "The volume is a hostPath or a local volume.",
    "Nothing, if that is intended. A hostPath without nodeAffinity does not keep the pod on its \
     node: the nodeSelector of the pod, or a cluster of one node, has to."
);
rule!(
    pub MADE_AGAIN,
    "MIGRATE-MADE-AGAIN",
    Warning,
    "Somebody has a manifest of the Deployment. Applied again, it starts the Deployment beside the \
     StatefulSet, and the same Services send requests to both. Where the volume was handed over, \
     the old claim is Lost until finalize, and the pods cannot start; after finalize, and in the \
     modes in which the Deployment keeps its claims, they can.",
    "The Deployment's owner, the marks of Argo CD, Flux or Helm, the annotation \
     kubectl.kubernetes.io/last-applied-configuration, or a manager in managedFields whose \
     operation is Apply.",
    "Before anybody applies that manifest again, replace the Deployment and its claims in it: \
     migrate plan --emit DIR writes the StatefulSet, and migrate convert converts the file. \
     Nothing in the cluster can prevent it without changing objects that the migration does not \
     own."
);
rule!(
    pub VERIFY_KEPT,
    "MIGRATE-VERIFY-KEPT",
    Note,
    "The journal keeps the command of --verify-exec as it was typed: whoever continues the migration \
     runs the same check. Everybody who may read ConfigMaps in the namespace can read it until \
     finalize or rollback deletes the journal.",
    "--verify-exec was given.",
    "Nothing, if there is no secret in it. The shell that runs it is in the pod: take passwords from \
     the environment of the pod, within single quotes."
);
rule!(
    pub VERIFY_SECRET,
    "MIGRATE-VERIFY-SECRET",
    Error,
    "The command of --verify-exec seems to have a password in it, and the journal would keep it as it \
     was typed.",
    "An option or a variable whose name says password, passphrase, pwd, secret or token has a value \
     that is not taken from a variable; or -p of a MySQL client, -a of redis-cli, or a URL has one.",
    "Take it from the environment of the pod, as in --verify-exec 'mysql -p\"$MYSQL_ROOT_PASSWORD\" \
     -e \"SELECT 1\"'. If it is no secret, allow it."
);
rule!(
    pub CLAIMS_GO,
    "MIGRATE-CLAIMS-GO",
    Error,
    "The set deletes the claims of ordinals when it is scaled down or deleted. To put a volume back \
     it has to be scaled down; a rollback also deletes it, and the claims of ordinals that it was \
     scaled up to would go, with their data.",
    "spec.persistentVolumeClaimRetentionPolicy.whenScaled is Delete; for a rollback also \
     whenDeleted, and a claim of the set that the migration did not move and that the set owns. It \
     is looked at before each step, because somebody may change it in the middle.",
    "Set it to Retain first, or take the owner from the claim; the hint is the command. Then \
     resume."
);
rule!(
    pub BLANK_IS_KEPT,
    "MIGRATE-BLANK-IS-KEPT",
    Warning,
    "The volume that the set runs on now is taken out of use, with whatever was written to it.",
    "spec.volumeName of the claim that is recreated.",
    "Nothing is deleted: the volume is kept, Released, under policy Retain. Take from it what you \
     need; migrate recover puts it back the same way."
);
rule!(
    pub NO_SUCH_ORDINAL,
    "MIGRATE-NO-SUCH-ORDINAL",
    Warning,
    "The set has no pod of the ordinal that the volume is put back for: nothing runs on the volume \
     afterwards.",
    "--ordinal is not below spec.ordinals.start plus spec.replicas.",
    "Check --ordinal. If it is right, scale the set up when the volume is back under its claim."
);
rule!(
    pub NOT_LIVE,
    "MIGRATE-NOT-LIVE",
    Warning,
    "The plan is made from manifests: pods, volumes and binding could not be checked, and the \
     volumes may not be known.",
    "The Deployment or the claim has no uid, so it does not come from a server.",
    "Ask the cluster: migrate plan without -f. Or make the plan from a dump of it: kubectl get \
     deploy,rs,sts,pod,pvc,svc,hpa -o yaml, and kubectl get pv,node -o yaml."
);
rule!(
    pub LOCKED,
    "MIGRATE-LOCKED",
    Error,
    "Another run holds the lock of the migration and is alive.",
    "data.holder of the journal names it, and data.holder or data.beat has changed while we \
     watched.",
    "Let it finish. If it is known to be dead: --takeover. Volumes are safe even if it is not: \
     they are handed over by uid, and only one claim can have a volume."
);
rule!(
    pub JOURNAL_UNUSABLE,
    "MIGRATE-JOURNAL-UNUSABLE",
    Error,
    "The journal of the migration cannot be read: without it, the original state is not known.",
    "data.journal of the ConfigMap is missing, is not ours, or was written by a newer version; or \
     somebody has deleted the ConfigMap, and something still holds it.",
    "Use the version that wrote it. The volumes carry the essentials: kubectl get pv -o yaml, \
     annotation kubectl-stateful.dev/migration, has the policy and the old claim."
);
rule!(
    pub CHANGED,
    "MIGRATE-CHANGED",
    Error,
    "Someone else changed what the plan was made from.",
    "A uid, a generation, a reservation or a number of replicas is not the one in the journal, or \
     an object is gone or being deleted: a Deployment, a volume, a claim that has data or that both \
     use. Once the set has the data, a Deployment that is scaled up (finalize deletes none that \
     runs), and, as a warning, a moved volume whose policy is no longer Retain. Pods of the \
     Deployment that run already beside the set are MIGRATE-BOTH-RUN.",
    "Find out who it was (managedFields). If a Deployment was scaled up in the middle: kubectl \
     scale it to 0 and resume; once its claim has lost the volume, its pods cannot start. \
     Otherwise roll back and plan again."
);
rule!(
    pub TAKEN,
    "MIGRATE-TAKEN",
    Error,
    "An object exists under a name that the migration needs, and the migration did not create it; \
     or it did, and the object is being deleted.",
    "The mark kubectl-stateful.dev/migration is missing or is that of another migration, or a \
     deletionTimestamp is set.",
    "A controller or a Git sync may have created it meanwhile. Delete it if there is nothing of \
     value in it, and resume; or roll back. If it is being deleted, resume when it is gone: a claim \
     goes when no pod mounts it any more."
);
rule!(
    pub COPY_FAILED,
    "MIGRATE-COPY-FAILED",
    Error,
    "A Job that copies has failed, or the old and the new volume differ after it.",
    "The condition Failed of the Job, or the state of its pod; the message ends with its last \
     output.",
    "Repair the cause (a volume that is full needs a larger --size: roll back and run again). \
     migrate resume recreates the Job, which copies what is missing. The old claim was only read: \
     migrate rollback starts the Deployment on it."
);
rule!(
    pub POD_BROKEN,
    "MIGRATE-POD-BROKEN",
    Error,
    "A pod of the set does not start.",
    "The state of its containers.",
    "kubectl describe the pod. When it is repaired: migrate resume. To get the Deployment back: \
     migrate rollback."
);
rule!(
    pub VERIFY_FAILED,
    "MIGRATE-VERIFY-FAILED",
    Error,
    "The command of --verify-exec did not succeed in a new pod.",
    "Its exit code and its output.",
    "Look into the pod. migrate resume --verify-exec runs it again; migrate rollback brings the \
     Deployment back. What the set has written since it started stays on the disk, unless the set \
     has its own volumes."
);
rule!(
    pub DEADLINE,
    "MIGRATE-DEADLINE",
    Error,
    "A wait took longer than --timeout.",
    "The clock, and what was waited for.",
    "Find out why, and resume: waiting loses nothing. Or roll back."
);
rule!(
    pub TAKEN_OVER,
    "MIGRATE-TAKEN-OVER",
    Error,
    "Another run has taken the lock while this one was working, or the journal is gone; this run \
     stopped.",
    "data.holder of the journal is another run, or the ConfigMap is gone or has another uid.",
    "Nothing, if another run has the lock: it continues. If the journal is gone, the last write of \
     this run may have come too late; the message says whether it was taken back. migrate status \
     says what is left, with the line that clears it."
);
rule!(
    pub NOT_ARRIVED,
    "MIGRATE-NOT-ARRIVED",
    Error,
    "The set does not have everything yet, or has it no longer, so what a rollback needs must stay.",
    "Pods that are not Ready, a claim that is not bound to its volume, or an old claim that is \
     not Lost.",
    "migrate status says what is missing. Resume or roll back first. finalize and resume make a \
     set and a claim again that someone has deleted, while nothing else has their names."
);
rule!(
    pub SOAKING,
    "MIGRATE-SOAKING",
    Note,
    "The set has not run for as long as --soak asks.",
    "The journal has the time at which the set was complete.",
    "Run finalize again later, or with a shorter --soak."
);
rule!(
    pub NO_WAY_BACK,
    "MIGRATE-NO-WAY-BACK",
    Error,
    "A rollback would not bring the Deployment back: something that it needs is gone and cannot be \
     made again, or something else is in its place.",
    "A volume is gone, being deleted, or reserved for another claim; another Deployment or claim \
     has the name of the original; or pods that the rollback may not stop use the claims. A \
     Deployment and claims that are only gone are no obstacle: rollback makes them again from the \
     journal.",
    "The hint has the command that clears the way, where there is one. rollback looks before its \
     first write and then changes nothing. To give the way back up: migrate finalize, also while \
     a rollback is stuck, as long as the set has the data. Delete no volume."
);
rule!(
    pub BOTH_RUN,
    "MIGRATE-BOTH-RUN",
    Error,
    "The Deployment was started again beside the set that has its data, for example by kubectl \
     apply of the old manifest. In the modes that give the set its own volumes, its pods run on \
     the old claims: two applications behind one Service, with different data. In mode keep both \
     write to the same claims, which most databases do not survive.",
    "Pods that have the labels of the Deployment, and are not those of the set, run while the set has \
     replicas. A Deployment that is only scaled up, and has no such pod yet, is MIGRATE-CHANGED.",
    "Stop the Deployment with the command in the hint, and remove it from whatever applies it. \
     What was written to its claims since is not on the disks of the set."
);
rule!(
    pub OTHER_DISK,
    "MIGRATE-OTHER-DISK",
    Error,
    "The set runs on another disk than the one that was moved: someone deleted its claim, and the \
     set has made a new one, which got an empty volume. Before it has a volume, that claim is \
     Pending and says the same.",
    "spec.volumeName of the claim is not the volume in the journal, or is empty. The hint is missing \
     when a moved volume is gone: then resume would stop the set for nothing.",
    "The commands in the hint put the moved volume back and keep the other one, under Retain, with \
     what was written to it. migrate rollback brings the Deployment back on the moved volume."
);
rule!(
    pub VOLUME_GOES,
    "MIGRATE-VOLUME-GOES",
    Error,
    "Someone has deleted a claim, and its volume will be deleted with it, with the data.",
    "The claim has a deletionTimestamp, the volume is reserved for it, and the policy of the \
     volume is not Retain, which a migration sets first: someone has changed it, or the migration \
     had only begun.",
    "Set the policy to Retain at once, with the command in the hint. Then the volume stays, and a \
     rollback makes the claim again."
);
rule!(
    pub ROLLBACK_LOSES,
    "MIGRATE-ROLLBACK-LOSES",
    Warning,
    "The set has its own volumes. A rollback goes back to the old claims, which have the data as \
     it was when the Deployment stopped, and deletes the new claims.",
    "The mode is copy, clone or snapshot, and the set has been started. What becomes of each new \
     volume is said by its policy as it is now.",
    "Save what the set has written, if it matters, before you roll back. To keep a volume, set its \
     policy to Retain first."
);
rule!(
    pub LEFT_OVER,
    "MIGRATE-LEFT-OVER",
    Note,
    "The rollback left something behind that belongs to the set and was not created by the \
     migration; or finalize left a Deployment that is not the one that was moved, or was made again: \
     a warning if it has replicas, because it then runs beside the set.",
    "A claim has the name of an ordinal of the set, or a StatefulSet has its name, after the \
     rollback; or a Deployment has the name of one that was moved, after finalize.",
    "Look at what is in it, and delete it if nobody needs it. kubectl stateful orphans says what \
     deleting a claim would destroy."
);
rule!(
    pub REMAINS,
    "MIGRATE-REMAINS",
    Warning,
    "An object has the mark of a migration whose journal does not exist. A run was killed, or \
     stopped for some time, at the moment at which another one rolled back; or somebody deleted \
     the journal. A volume stays under policy Retain, and no new migration can begin with it, or \
     under the name of the object.",
    "The object has the mark kubectl-stateful.dev/migration, and no ConfigMap with the same mark \
     is in its namespace. Everything else is read from the objects: which claim has the volume, \
     whether a claim holds any, whether the set has pods.",
    "The hint is the line that clears it. rollback deletes what holds no data, and gives a volume \
     that is bound to its old claim the policy that its mark records. finalize takes the marks \
     from what the set uses, and gives its volumes their policy back. What neither can judge is \
     left, and has a line of its own."
);
rule!(
    pub ADMIN_STEP,
    "MIGRATE-ADMIN-STEP",
    Note,
    "The next step writes to a volume, which is left to an administrator.",
    "--print-admin-steps was given.",
    "Have an administrator run the command, and resume."
);
rule!(
    pub OLD_KEPT,
    "MIGRATE-OLD-KEPT",
    Note,
    "The set has its own volumes; the old claim and its volume were only read, and are not \
     deleted.",
    "The mode is copy, clone or snapshot.",
    "Delete the claim when nobody needs it any more. Its volume is deleted with it if its policy \
     is Delete; otherwise the volume stays, Released, with its data."
);
