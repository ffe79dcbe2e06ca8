//! What speaks against a canary before anything is written.

use crate::workload::rule;

rule!(
    pub OWNER,
    "CANARY-OWNER",
    Error,
    "Another controller owns the set and would revert a change of its template or partition.",
    "metadata.ownerReferences has an entry with controller: true.",
    "Upgrade through that operator's own resource. Override this only while the operator is stopped."
);
rule!(
    pub HPA,
    "CANARY-HPA",
    Error,
    "A HorizontalPodAutoscaler changes the number of replicas: an ordinal that it adds during \
     a canary runs the new version at once, and one that it removes may be the canary itself.",
    "An HPA of the namespace names this StatefulSet in scaleTargetRef.",
    "Hold it for the duration of the canary: set minReplicas and maxReplicas to the current number."
);
rule!(
    pub KEDA,
    "CANARY-KEDA",
    Error,
    "KEDA changes the number of replicas: an ordinal that it adds during a canary runs the new \
     version at once.",
    "A ScaledObject of the namespace names this StatefulSet in scaleTargetRef.",
    "Pause it: annotation autoscaling.keda.sh/paused-replicas on the ScaledObject."
);
rule!(
    pub VPA,
    "CANARY-VPA",
    Warning,
    "A VerticalPodAutoscaler may evict pods during the canary. A stable pod that it \
     evicts comes back on the stable revision, but with other resources than the canary's.",
    "A VPA of the namespace names this StatefulSet in targetRef.",
    "Set its updateMode to Initial or Off for the duration of the canary."
);
rule!(
    pub GITOPS,
    "CANARY-GITOPS",
    Error,
    "Argo CD or Flux applies this set from Git and would revert its template or its partition.",
    "Tracking annotations or labels on the set, or the name of the controller in managedFields. \
     With --adopt the template is what was applied, and only a partition that Git also \
     sets is a problem.",
    "Let Git make the change: canary stage first, then commit, then canary start --adopt. Leave \
     updateStrategy.rollingUpdate.partition out of Git, or let Argo CD ignore it \
     (ignoreDifferences)."
);
rule!(
    pub HELM,
    "CANARY-HELM",
    Warning,
    "The set belongs to a Helm release. Helm does nothing by itself, but the next upgrade or \
     rollback restores the template of the chart.",
    "The annotation meta.helm.sh/release-name, or the label app.kubernetes.io/managed-by.",
    "Put the change into the chart's values before the next helm upgrade; or canary stage, helm \
     upgrade, canary start --adopt."
);
rule!(
    pub UNHEALTHY,
    "CANARY-UNHEALTHY",
    Error,
    "An ordinal is not available before the canary has started. Under OrderedReady the controller \
     would not continue; in any case one member is missing already, and a canary takes down another.",
    "Pods that are missing, terminating, not Ready, or Ready for less than minReadySeconds.",
    "Fix it first: kubectl stateful status shows what is wrong."
);
rule!(
    pub NO_REPLICAS,
    "CANARY-NO-REPLICAS",
    Error,
    "The set is scaled to zero: there is no ordinal to try a new version on, and the controller \
     would make it the current one at once (kubernetes #121534).",
    "spec.replicas is 0.",
    "Change the template directly, or scale up first."
);
rule!(
    pub SINGLE_REPLICA,
    "CANARY-SINGLE-REPLICA",
    Error,
    "The set has one replica: the canary is the whole application, and nothing runs the old version \
     while it is judged.",
    "spec.replicas is 1.",
    "Override this to use the gates and the abort anyway."
);
rule!(
    pub LEFTOVER_PARTITION,
    "CANARY-LEFTOVER-PARTITION",
    Error,
    "A partition is set, and this plugin did not set it: somebody is holding back a rollout, or forgot \
     to remove the partition.",
    "spec.updateStrategy.rollingUpdate.partition is above 0, without our annotation.",
    "Find out who set it. If you override this, the partition is restored at the end of the canary."
);
rule!(
    pub ROLLOUT_IN_PROGRESS,
    "CANARY-ROLLOUT-IN-PROGRESS",
    Error,
    "Not all pods run the current template: a rollout is under way, or a template was applied under \
     a partition. Which revision is the stable one would be a guess.",
    "The labels controller-revision-hash of the pods, and status.updateRevision.",
    "Turn the rollout into a canary: kubectl stateful canary start --adopt. Or wait for it to end."
);
rule!(
    pub UNDONE,
    "CANARY-UNDONE",
    Error,
    "The template is that of an older revision than some pods run: somebody has taken a change back, \
     with kubectl rollout undo or by hand. It is no new version to be tried, and the newer revision \
     is not what an abort should go back to.",
    "The pods' label controller-revision-hash, status.updateRevision, and when each of the two \
     ControllerRevisions was made (metadata.creationTimestamp; where that is the same second, \
     whether status.currentRevision is the template's already).",
    "Let the pods go back: the hint has the line. To try the newer revision again, make the change \
     with canary start once all pods run the template."
);
rule!(
    pub IN_PROGRESS,
    "CANARY-IN-PROGRESS",
    Error,
    "A canary to another template is under way.",
    "The annotation kubectl-stateful.dev/canary, and a template that this start would change.",
    "Finish it first: canary promote --full, or canary abort."
);
rule!(
    pub ABORT_IN_PROGRESS,
    "CANARY-ABORT-IN-PROGRESS",
    Error,
    "The canary is being aborted: the set is returning to the stable revision.",
    "The annotation kubectl-stateful.dev/canary says so.",
    "Run canary abort again until it has finished."
);
rule!(
    pub NONE,
    "CANARY-NONE",
    Error,
    "No canary is under way. There is nothing to promote while pods do not run the current template, \
     and nothing to wait for: whether the last one went through or was taken back is kept nowhere.",
    "The annotation kubectl-stateful.dev/canary is absent, or says that the set is staged.",
    "canary start, or canary start --adopt for a rollout that somebody else started."
);
rule!(
    pub NO_CHANGE,
    "CANARY-NO-CHANGE",
    Error,
    "The template would not change: no pod would move.",
    "The pod template before and after the change, as the server has it.",
    "Name a change; --restart makes new pods from the same template."
);
rule!(
    pub FORBIDDEN_FIELD,
    "CANARY-FORBIDDEN-FIELD",
    Error,
    "The patch touches more than the pod template. Volume claim templates, selector, serviceName \
     and podManagementPolicy cannot be changed on a StatefulSet; replicas, partition and the like \
     have commands of their own.",
    "Fields of the patch outside spec.template.",
    "Remove them from the patch."
);
rule!(
    pub REJECTED,
    "CANARY-REJECTED",
    Error,
    "The server would reject the change.",
    "Its answer to a dry run: validation, an admission webhook, or a quota.",
    "Follow the server's message."
);
rule!(
    pub UNKNOWN_STRATEGY,
    "CANARY-UNKNOWN-STRATEGY",
    Error,
    "The update strategy is one that has no partition: Recreate (KEP-3541) takes all pods down at \
     once.",
    "spec.updateStrategy.type is neither RollingUpdate nor OnDelete.",
    "Change the type to RollingUpdate with a partition first."
);
rule!(
    pub NO_STABLE_REVISION,
    "CANARY-NO-STABLE-REVISION",
    Error,
    "Which revision is the stable one would be a guess: there would be nothing to return to.",
    "No pod has the label controller-revision-hash, pods run several revisions, or which of two is \
     older cannot be told.",
    "Wait until the set has settled on one revision."
);
rule!(
    pub NO_WAY_BACK,
    "CANARY-NO-WAY-BACK",
    Error,
    "Somebody has deleted the ControllerRevision that the pods ran before the canary. It has the \
     only exact copy of the template from before: the annotation has its name alone. So abort is \
     impossible, and the canary can only go forward.",
    "The revisions of the set were read, and the one that the annotation names as the stable one is \
     not among them; without a canary, the one in the pods' label controller-revision-hash.",
    "Go forward with canary promote, or with canary start --adopt --allow CANARY-NO-WAY-BACK where \
     somebody has changed the set since: the hint has the line. To go back, apply the manifest from \
     before, from Git or a backup: if it gives the same template, the controller makes the same \
     revision again, and canary abort works."
);
rule!(
    pub NAMESPACE_DELETING,
    "CANARY-NAMESPACE-DELETING",
    Error,
    "The namespace is being deleted: everything in it goes, and the API server creates no pod there \
     any more.",
    "The same as for STATUS-NAMESPACE-DELETING: the namespace is looked at only where the set is being \
     deleted, an ordinal has no pod, or a pod is going.",
    "A deletion cannot be taken back. kubectl stateful status shows what becomes of the disks."
);
rule!(
    pub BEING_DELETED,
    "CANARY-BEING-DELETED",
    Error,
    "The set is being deleted.",
    "metadata.deletionTimestamp.",
    "Nothing."
);
rule!(
    pub RECORD_UNUSABLE,
    "CANARY-RECORD-UNUSABLE",
    Error,
    "The annotation of a canary cannot be read, was written by a newer version, or belongs to \
     another set of this name that was deleted since.",
    "The annotation kubectl-stateful.dev/canary.",
    "A record of a newer version: upgrade kubectl-stateful. Otherwise canary forget drops it, and \
     says what is lost with it."
);
rule!(
    pub CAN_GO_ON,
    "CANARY-CAN-GO-ON",
    Error,
    "The record of the canary can still be used, so forget does not drop it: without it nobody knows \
     which revision the pods ran before.",
    "The annotation kubectl-stateful.dev/canary can be read and belongs to this set, and the revision \
     to go back to exists.",
    "canary abort goes back, canary promote goes on."
);
rule!(
    pub CLAIM_LEAVING,
    "CANARY-CLAIM-LEAVING",
    Error,
    "Somebody has deleted the claim of a pod that would be replaced. The pod alone still holds it: \
     when the pod ends, the claim goes, and if the policy of its volume is not Retain, the disk is \
     destroyed with all data on it. The next pod gets a new, empty disk. No canary, abort or unstick \
     makes such a pod end, and nothing overrides that.",
    "Read for the plan, and again right before each write that makes a pod go, after its hooks: \
     the deletionTimestamp of each claim that the pod names, and the policy of its volume.",
    "A deletion cannot be taken back. Keep the data first: set the reclaim policy of the volume to \
     Retain now, while the pod runs. Then end the pod by yourself, which lets the claim go, and give \
     the volume back to its ordinal with orphans adopt. Once the claim is whole again, run the same \
     command again."
);
rule!(
    pub UNREAD,
    "CANARY-UNREAD",
    Error,
    "Something that could be a reason against the canary could not be read.",
    "The server refused a list, or does not serve the kind in the version that this program knows; \
     its message is given.",
    "Get the right to read it, or check by hand and override this."
);
rule!(
    pub BLIND,
    "CANARY-BLIND",
    Error,
    "The pods or the revisions of the set could not be read: it is unknown what runs where and \
     what to go back to.",
    "The server refused one of the two lists; its message is given.",
    "Get the right to list pods and controllerrevisions."
);
rule!(
    pub NO_RIGHTS,
    "CANARY-NO-RIGHTS",
    Error,
    "The user does not have a right that is needed: to change the set, to run a gate, or to delete a \
     pod that never becomes Ready, without which an abort would stop half-way. An abort that is not \
     sure to delete a pod only warns of that.",
    "The server's answer to a SelfSubjectAccessReview before the first write, or to a write: the right \
     was lost in the middle of a run, and the canary stays where it is.",
    "Get the right, then run the command again. Override this before the first write if somebody else \
     can delete a pod for you."
);
rule!(
    pub GATE_UNUSABLE,
    "CANARY-GATE-UNUSABLE",
    Error,
    "A gate names a container or a port that the pods do not have: it could never be asked.",
    "The containers and ports of the pod template after the change; where a command is run in all \
     pods, also those of the stable one.",
    "Correct the name: --container for commands, --gate-http for ports, or the file of gates."
);
rule!(
    pub GATE_PORT,
    "CANARY-GATE-PORT",
    Warning,
    "A gate asks a port that no container of the new template declares. Containers may listen on \
     ports that they do not declare, so this may be intended.",
    "spec.containers[].ports of the pod template after the change.",
    "Check the number. If nothing listens there, the gate gives no answer until --deadline."
);
rule!(
    pub PROMOTION_BUG,
    "CANARY-PROMOTION-BUG",
    Error,
    "This version of Kubernetes may make the canary's revision the current one too early: a stable \
     pod that dies then comes back on the new version (kubernetes #119684).",
    "The server's version: 1.27.0 to 1.27.7 or 1.28.0 to 1.28.3.",
    "Update the control plane. If you override this, a pod that comes back on the new version stops \
     the canary."
);
rule!(
    pub MAX_UNAVAILABLE,
    "CANARY-MAX-UNAVAILABLE",
    Note,
    "The server honours maxUnavailable and would replace several pods at once. The partition is \
     moved by one at a time all the same, so that one ordinal moves at a time.",
    "spec.updateStrategy.rollingUpdate.maxUnavailable.",
    "Nothing to do."
);
rule!(
    pub NO_READINESS_PROBE,
    "CANARY-NO-READINESS-PROBE",
    Warning,
    "A container has no readiness probe: it counts as Ready as soon as it runs, even between two \
     crashes.",
    "The new template's containers.",
    "Add a probe, or a check (--gate-exec, --gate-http). Without --bake such a set is watched for \
     30 seconds after each ordinal."
);
rule!(
    pub ON_DELETE_DRIFT,
    "CANARY-ON-DELETE-DRIFT",
    Warning,
    "Under OnDelete there is no partition to hold pods back: a pod that is deleted or evicted by \
     somebody else during the canary comes back on the new version.",
    "spec.updateStrategy.type is OnDelete.",
    "Keep the canary short, or change the strategy to RollingUpdate for its duration."
);
rule!(
    pub NOTHING_TRAPPED,
    "CANARY-NOTHING-TRAPPED",
    Error,
    "There is no pod whose deletion would unblock the set: the controller would not replace the pod \
     that it waits for.",
    "The conditions of STATUS-REVERT-TRAP do not hold.",
    "kubectl stateful status shows what is wrong."
);

rule!(
    pub OVERWRITES,
    "CANARY-OVERWRITES",
    Error,
    "An abort would put the stable template in the place of one that somebody else has set since the \
     last step of the canary: their change would be lost. The abort of a set that is staged says what \
     it takes back, and does not refuse: it waits for a template by others.",
    "The template's fingerprint differs from the one in the annotation, or, once an abort has begun, \
     the template differs from that of the stable revision. Who it was and when is read from the \
     managedFields of the set; they do not name who has only removed fields.",
    "Ask whoever it was. canary start --adopt makes their template the new version. Override this to \
     go back to the stable revision, and have the change applied again afterwards."
);
