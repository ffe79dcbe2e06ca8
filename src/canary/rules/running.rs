//! What stops a canary that is under way, and what is worth knowing of it: changes
//! by others, failures, notes.

use crate::workload::rule;

rule!(
    pub TEMPLATE_CHANGED,
    "CANARY-TEMPLATE-CHANGED",
    Error,
    "Somebody else changed the pod template during the canary, or after an abort had put the stable \
     one back.",
    "The template's fingerprint differs from the one in the annotation, or from that of the stable \
     revision during an abort. Who it was, and when, is read from the managedFields of the set.",
    "canary start --adopt makes it the new version. canary abort goes back to the stable one, and \
     overwrites the change only with --allow CANARY-OVERWRITES."
);
rule!(
    pub PARTITION_CHANGED,
    "CANARY-PARTITION-CHANGED",
    Error,
    "Somebody else moved the partition during the canary.",
    "The partition differs from the one in the annotation.",
    "canary start --adopt continues from where the pods are; canary abort goes back."
);
rule!(
    pub REPLICAS_CHANGED,
    "CANARY-REPLICAS-CHANGED",
    Error,
    "Somebody else scaled the set during the canary.",
    "spec.replicas differs from the number in the annotation.",
    "canary start --adopt continues with the new number; canary abort goes back."
);
rule!(
    pub ORDINALS_CHANGED,
    "CANARY-ORDINALS-CHANGED",
    Error,
    "Somebody else changed spec.ordinals.start during the canary. The controller removes the ordinals \
     below the new start and adds as many at the other end, and the partition, which counts from the \
     start, is about other pods than before.",
    "spec.ordinals.start differs from the one in the annotation. Annotations of older versions of this \
     program do not have it, and then it is not compared.",
    "canary start --adopt continues with the ordinals that there are now; canary abort goes back to \
     the stable revision, and leaves the ordinals as they are. The claims of the ordinals that were \
     removed stay: kubectl stateful orphans shows them."
);
rule!(
    pub STRATEGY_CHANGED,
    "CANARY-STRATEGY-CHANGED",
    Error,
    "Somebody else changed the type of the update strategy during the canary.",
    "spec.updateStrategy.type differs from the one in the annotation.",
    "Change it back, or canary abort."
);
rule!(
    pub ESCAPED,
    "CANARY-ESCAPED",
    Error,
    "A pod below the partition runs the new revision: something outside of the canary has moved it.",
    "The pod's label controller-revision-hash, and the partition in the annotation; the set is read \
     again after the pods before this is said.",
    "Somebody lowered the partition for a moment, or the control plane has the defect of \
     CANARY-PROMOTION-BUG and a stable pod died. The run ends with exit 7, as for all that others \
     have changed, and --on-failure abort does not take it back. canary abort goes back."
);
rule!(
    pub REPLACED,
    "CANARY-SET-REPLACED",
    Error,
    "The set was deleted, or deleted and created again, during the canary.",
    "The uid of the set.",
    "Find out who did it. A new set runs its template on every ordinal: there is nothing to abort."
);
rule!(
    pub TAKEN_OVER,
    "CANARY-TAKEN-OVER",
    Error,
    "Another run has taken over the canary: a promote, pause or abort by somebody else or in another \
     terminal.",
    "The annotation carries the name of another run.",
    "kubectl stateful canary status shows its current state."
);

rule!(
    pub POD_BROKEN,
    "CANARY-POD-BROKEN",
    Error,
    "A pod on the new revision is broken in a way that waiting will not fix.",
    "Image pull, crash loop, container configuration, unschedulable for ten seconds, or a volume \
     that could not be mounted for two minutes; the same evidence as in kubectl stateful status.",
    "canary abort; or fix what the pod needs and run canary promote again."
);
rule!(
    pub POD_REFUSED,
    "CANARY-POD-REFUSED",
    Error,
    "The API server refuses to create the pod of an ordinal: a ResourceQuota has no room for it, or a \
     LimitRange, a policy or an admission webhook refuses it. The controller tries again by itself, at \
     growing intervals.",
    "The ordinal has no pod, and the newest FailedCreate event about the set (by uid) since the canary \
     began names that pod or its claim; the message is the server's. A run names it while it waits, \
     and fails once it has seen for 30 seconds that the pod of the new version is refused. A pod of \
     the stable revision is waited for until the deadline.",
    "Make room in the quota, or correct what refuses the pod, then run canary promote again. If the \
     new version asks for too much, canary abort goes back."
);
rule!(
    pub NOT_STEADY,
    "CANARY-NOT-STEADY",
    Error,
    "A pod on the new revision was Ready and then became unready, or restarted.",
    "The pod's condition Ready and its restart count, since it was first seen Ready. A moment of \
     unreadiness counts against the ordinal that is being judged; a restart counts against every \
     ordinal that has moved.",
    "Read the log of the previous run: kubectl logs --previous. canary abort goes back."
);
rule!(
    pub CHECK_FAILED,
    "CANARY-CHECK-FAILED",
    Error,
    "A check of the new version failed (--gate-exec, --gate-http or --gate-prom).",
    "Its last answers, as many as --gate-tries asks for.",
    "canary abort; or fix it and run canary promote again."
);
rule!(
    pub CHECK_INCONCLUSIVE,
    "CANARY-CHECK-INCONCLUSIVE",
    Error,
    "A check of the new version gave no usable answer before the deadline: the command could not be \
     run, nothing answered, or Prometheus had no samples.",
    "Its last answer. Exit codes 126, 127 and those of signals, and errors of the API server itself, \
     are not answers of the application.",
    "Run the check by hand; canary promote runs it again."
);
rule!(
    pub HOOK_FAILED,
    "CANARY-HOOK-FAILED",
    Error,
    "A hook or a switchover command failed or timed out. Before the first write of a canary that refuses \
     the start (exit 4), and nothing was changed; later it is a failure (exit 5).",
    "Its exit code.",
    "Fix it and run the same command again."
);
rule!(
    pub DEADLINE,
    "CANARY-DEADLINE",
    Error,
    "An ordinal did not pass before the deadline.",
    "--deadline, counted for each ordinal from the write that lets it move.",
    "kubectl stateful status shows what it waits for; canary promote waits again."
);
rule!(
    pub NO_HEADROOM,
    "CANARY-NO-HEADROOM",
    Error,
    "A PodDisruptionBudget allows no disruption now. The StatefulSet controller does not \
     check budgets (kubernetes #89820), so the canary does, before each ordinal.",
    "status.disruptionsAllowed of the budgets that select the pod is 0, for as long as --deadline. \
     Where a budget needs all of its pods, start and promote refuse at once.",
    "Find out which member is missing, or whether the budget can ever have room. --allow CANARY-NO-HEADROOM or --no-budgets continues \
     anyway."
);
rule!(
    pub LEADER_AHEAD,
    "CANARY-LEADER-AHEAD",
    Error,
    "The next ordinal is the leader, and no way to move the leader was given.",
    "--leader-label or --leader-exec.",
    "Move the leader to an ordinal that has moved already and promote again; or give \
     --switchover-exec; or --on-leader last to restart it when it is the only one left."
);
rule!(
    pub STABLE_POD_BLOCKS,
    "CANARY-STABLE-POD-BLOCKS",
    Error,
    "A pod on the stable revision is not available and keeps the controller from restoring the \
     others. Deleting pods of the canary would not help: they would not be created again.",
    "Under OrderedReady the lowest ordinal that is not available runs the stable revision.",
    "Fix that pod, then run canary abort again. The template is the stable one already."
);
rule!(
    pub THIRD_REVISION,
    "CANARY-THIRD-REVISION",
    Error,
    "The template is restored, but the server created a new revision for it instead of reusing the \
     old one: something changes the template as it is written, or this server fills in different \
     defaults than the one that wrote the revision.",
    "After the abort, status.updateRevision is not the stable revision.",
    "Look at the difference with canary history; look for mutating webhooks. The pods below the \
     partition are untouched."
);

rule!(
    pub GATES_DIFFER,
    "CANARY-GATES-DIFFER",
    Warning,
    "This run has different gates than the run that started the canary.",
    "A fingerprint of the gates in the annotation. The gates themselves are not stored in \
     the cluster: whoever may write there could otherwise have commands run on your machine.",
    "Pass the same flags, or the same --gates FILE."
);
rule!(
    pub NOT_KEPT,
    "CANARY-NOT-KEPT",
    Warning,
    "Pods below the partition run the revision from before, and a pod that takes the place of one \
     would not: the controller makes it of the revision that it takes for the current one, and that \
     is the new one. So it is in a set that was deleted without its pods (kubectl delete \
     --cascade=orphan) and applied again with another template.",
    "status.currentRevision is status.updateRevision, and pods below the partition have another \
     revision in the label controller-revision-hash.",
    "Restart or delete none of these pods until the canary is over. canary abort goes back safely: \
     it makes the revision from before that of the template again."
);
rule!(
    pub MANIFEST_PARTITION,
    "CANARY-MANIFEST-PARTITION",
    Warning,
    "The manifest of the set has a partition of its own: the next kubectl apply of it overwrites \
     that of the canary, and every ordinal from there up moves at once.",
    "spec.updateStrategy.rollingUpdate.partition in the annotation \
     kubectl.kubernetes.io/last-applied-configuration.",
    "Remove the partition from the manifest before the next apply: kubectl apply then removes what \
     it had set itself, so apply it without the partition before the canary begins."
);
rule!(
    pub PARTITION_STAYS,
    "CANARY-PARTITION-STAYS",
    Warning,
    "The canary is over, and the partition that it has put back is above 0, as it was when the canary \
     began. Where start --adopt took over a canary whose annotation somebody had removed, what it found \
     was the partition of that canary, and what was there before is not known.",
    "spec.updateStrategy.rollingUpdate.partition after the last write.",
    "If nobody holds pods back with it on purpose, set it to 0: the finding has the line."
);
rule!(
    pub COMES_BACK,
    "CANARY-COMES-BACK",
    Warning,
    "The change that was reverted may return: whoever applied the template may reapply it.",
    "Argo CD, Flux, Helm or an operator manages a set whose new template somebody else had applied; \
     an entry of managedFields with operation Apply, that is a server-side apply, has part of such a \
     template; or the annotation kubectl.kubernetes.io/last-applied-configuration, the manifest of \
     the last kubectl apply, would change again a field that the abort reverted.",
    "Revert it there too."
);
