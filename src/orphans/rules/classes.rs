//! A finding for each class of claims and volumes.

use crate::workload::rule;

rule!(
    pub ORDINAL_BEYOND,
    "ORPHANS-ORDINAL-BEYOND",
    Warning,
    "A claim for an ordinal beyond the range of its StatefulSet. The set was scaled down and the \
     claim stayed, which is the default.",
    "Template, set and ordinal give exactly the claim's name, the ordinal is not below \
     spec.ordinals.start plus spec.replicas, no autoscaler goes that far, no pod uses the claim \
     and no template names it.",
    "Scaling the set up mounts the claim again, with its old data. If nobody wants that, orphans \
     delete deletes the claim and keeps the volume."
);

rule!(
    pub ORDINAL_BELOW_START,
    "ORPHANS-ORDINAL-BELOW-START",
    Warning,
    "A claim for an ordinal below the first ordinal of its StatefulSet.",
    "As for an ordinal beyond the range, but the ordinal is below spec.ordinals.start.",
    "The claim is mounted again only if spec.ordinals.start is lowered. Otherwise: orphans \
     delete."
);

rule!(
    pub SET_GONE,
    "ORPHANS-SET-GONE",
    Warning,
    "A claim that looks like the claim of a StatefulSet that no longer exists. Nothing points \
     back to a deleted set, so this is a guess.",
    "The name ends in an ordinal, no StatefulSet would create it, it has labels like those that \
     the controller copies, and no claim that differs only in the ordinal is in use. With other \
     claims of the same labels the confidence is medium, otherwise low.",
    "Ask whose claim it was before you delete it. A StatefulSet with the same name and template \
     mounts it again."
);

rule!(
    pub TEMPLATE_RENAMED,
    "ORPHANS-TEMPLATE-RENAMED",
    Warning,
    "A claim that looks like the claim of an existing StatefulSet, but of a template that the \
     set does not have: the set was created again with another template name.",
    "The name ends in the set's name and an ordinal, the part before is none of its \
     volumeClaimTemplates, and the claim has the labels of the set's selector.",
    "The set may need this data. orphans adopt gives the volume to an ordinal of the current \
     template."
);

rule!(
    pub OWNER_GONE,
    "ORPHANS-OWNER-GONE",
    Warning,
    "A claim whose owners are gone. The garbage collector should have deleted it.",
    "All ownerReferences are of kinds that were read, and none of their uids was found.",
    "If the claim stays, the garbage collector is not working or may not delete it: look at the \
     events and finalizers of the claim."
);

rule!(
    pub UNREFERENCED,
    "ORPHANS-UNREFERENCED",
    Warning,
    "A claim that nothing names: no unfinished pod, and no template.",
    "The templates of Deployments, ReplicaSets, ReplicationControllers, StatefulSets, \
     DaemonSets, Jobs and CronJobs were read, including those that are suspended or scaled to \
     zero. It is not known whether objects of other kinds name the claim.",
    "Ask whose claim it is; labels and annotations may tell. orphans delete keeps the volume."
);

rule!(
    pub LOST,
    "ORPHANS-LOST",
    Warning,
    "A claim that has lost its volume: there is no data behind it.",
    "status.phase is Lost, and nothing uses the claim.",
    "If the volume exists and is Released, orphans adopt gives it to an ordinal. Otherwise the \
     claim can be deleted."
);

rule!(
    pub PENDING_NEVER_BOUND,
    "ORPHANS-PENDING-NEVER-BOUND",
    Warning,
    "A claim that never had a volume, and that nothing waits for.",
    "status.phase is Pending, and no pod and no template names the claim.",
    "The claim holds no data: orphans delete."
);

rule!(
    pub TERMINATING_STUCK,
    "ORPHANS-TERMINATING-STUCK",
    Warning,
    "A claim that was deleted more than a minute ago and still exists. A finalizer holds it. \
     When the finalizer is removed, the policy of the volume decides what happens to the data.",
    "metadata.deletionTimestamp is older than a minute; metadata.finalizers and the pods show \
     what holds the claim.",
    "kubernetes.io/pvc-protection waits for the pod that uses the claim: with the policy Delete \
     the data is destroyed when that pod ends. Set the volume to Retain before that. \
     kubectl-stateful.dev/policy-returns and kubectl-stateful.dev/volume-stays are left from an \
     orphans adopt or delete that was killed: orphans delete keeps the volume and removes them. Other finalizers belong to whoever set \
     them."
);

rule!(
    pub TERMINATING_IN_USE,
    "ORPHANS-TERMINATING-IN-USE",
    Warning,
    "A claim that somebody has deleted while a pod uses it. Kubernetes keeps it until that pod \
     ends. Then the claim goes, and the policy of its volume decides what happens to the data. A \
     deletion cannot be taken back.",
    "metadata.deletionTimestamp of the claim, an unfinished pod that names it, and \
     spec.persistentVolumeReclaimPolicy of its volume.",
    "Keep the data first: orphans delete sets the volume to Retain at once, and then waits for \
     the claim to be gone. Then end the pod, by scaling the set down below its ordinal: a set \
     that still wants the ordinal makes a new claim, with an empty disk. Then orphans adopt gives \
     the volume back to the ordinal."
);

rule!(
    pub PV_RELEASED,
    "ORPHANS-PV-RELEASED",
    Warning,
    "A volume whose claim is gone. No other claim can bind it, because it still names that \
     claim.",
    "status.phase is Released; with the policy Delete, for more than a minute.",
    "orphans adopt gives it to an ordinal of a set. By hand: clear spec.claimRef.uid."
);

rule!(
    pub PV_FAILED,
    "ORPHANS-PV-FAILED",
    Warning,
    "A volume that could not be reclaimed.",
    "status.phase is Failed.",
    "kubectl describe pv shows why. The disk may still exist, and cost money."
);

rule!(
    pub PV_IN_USE,
    "ORPHANS-PV-IN-USE",
    Warning,
    "A volume whose claim is gone, and that may be written to all the same: the finalizers of the \
     claim were removed by force while its pod ran, or the same disk has another volume. Whoever \
     gets the volume shares it with that writer.",
    "A pod that has a node, has not finished, names the former claim and is older than a claim \
     that has the name now; or a VolumeAttachment; or another volume, with a claim, that has the \
     same disk behind it (driver and handle, server and path, path on the same node).",
    "Find out who writes to it, and end that first. Set the policy to Retain if the data is \
     needed."
);

rule!(
    pub PARKED,
    "ORPHANS-PARKED",
    Note,
    "A claim of a StatefulSet at 0 replicas. The set may be scaled up again, so the claim is not \
     an orphan.",
    "spec.replicas is 0, and the ordinal is not below spec.ordinals.start.",
    "Nothing. If the set is no longer needed, delete the set first."
);

rule!(
    pub ELASTIC,
    "ORPHANS-ELASTIC",
    Note,
    "A claim for an ordinal that an autoscaler may bring back at any time.",
    "maxReplicas of a HorizontalPodAutoscaler, or maxReplicaCount of a KEDA ScaledObject, \
     reaches the ordinal.",
    "Nothing. If the ordinal is no longer needed, lower the limit of the autoscaler first."
);

rule!(
    pub MANAGED,
    "ORPHANS-MANAGED",
    Note,
    "A claim or volume that something else manages: an operator, a pod, a migration, or a scaling \
     that sets it aside.",
    "An ownerReference to an object that exists or whose kind is not read, or the mark of a migration \
     or a scaling of this program, which is named.",
    "Ask its owner. This program does not delete it. A migration or a scaling goes on with the line \
     that is printed."
);

rule!(
    pub CONFLICT,
    "ORPHANS-CONFLICT",
    Warning,
    "A claim that matches two StatefulSets: a-b-c-0 belongs to template a of b-c, and to \
     template a-b of c.",
    "Template, set and ordinal give its name in more than one way.",
    "Rename one of the templates before both sets mount the same data."
);

rule!(
    pub UNKNOWN,
    "ORPHANS-UNKNOWN",
    Warning,
    "Nothing can be said about this claim or volume: a list that decides could not be read, or it \
     has the mark of a migration whose journal is gone.",
    "The evidence names the lists, or the migration and its ConfigMap.",
    "Get the right to list them; docs/orphans.md has the role. What a migration has left, `migrate \
     status` shows."
);
