//! What a canary may find, each with the text of its page in
//! docs/findings.md: guards before the first write, conflicts, failures, and
//! what only a person can mend.

use crate::workload::{Rule, Severity};

/// Every rule of `canary`, in the order of their pages.
pub fn all() -> Vec<&'static Rule> {
    [GUARDS, CONFLICTS, FAILURES, NOTES].concat()
}

/// Guards that `--allow ID` overrides: a person may know better.
pub const ALLOWABLE: &[&Rule] = &[
    &OWNER,
    &HPA,
    &KEDA,
    &GITOPS,
    &UNHEALTHY,
    &SINGLE_REPLICA,
    &LEFTOVER_PARTITION,
    &PROMOTION_BUG,
    &UNREAD,
    &NO_HEADROOM,
];

const GUARDS: &[&Rule] = &[
    &OWNER,
    &HPA,
    &KEDA,
    &VPA,
    &GITOPS,
    &HELM,
    &UNHEALTHY,
    &NO_REPLICAS,
    &SINGLE_REPLICA,
    &LEFTOVER_PARTITION,
    &ROLLOUT_IN_PROGRESS,
    &IN_PROGRESS,
    &ABORT_IN_PROGRESS,
    &NONE,
    &NO_CHANGE,
    &FORBIDDEN_FIELD,
    &REJECTED,
    &UNKNOWN_STRATEGY,
    &NO_STABLE_REVISION,
    &BEING_DELETED,
    &RECORD_UNUSABLE,
    &UNREAD,
    &BLIND,
    &PROMOTION_BUG,
    &MAX_UNAVAILABLE,
    &NO_READINESS_PROBE,
    &ON_DELETE_DRIFT,
    &NOTHING_TRAPPED,
];

const CONFLICTS: &[&Rule] = &[
    &TEMPLATE_CHANGED,
    &PARTITION_CHANGED,
    &REPLICAS_CHANGED,
    &STRATEGY_CHANGED,
    &REPLACED,
    &TAKEN_OVER,
];

const FAILURES: &[&Rule] = &[
    &POD_BROKEN,
    &NOT_STEADY,
    &CHECK_FAILED,
    &CHECK_INCONCLUSIVE,
    &HOOK_FAILED,
    &ESCAPED,
    &DEADLINE,
    &NO_HEADROOM,
    &LEADER_AHEAD,
    &STABLE_POD_BLOCKS,
    &THIRD_REVISION,
];

const NOTES: &[&Rule] = &[&GATES_DIFFER, &COMES_BACK];

macro_rules! rule {
    ($name:ident, $id:literal, $severity:ident, $means:literal, $evidence:literal, $remedy:literal) => {
        pub const $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            means: $means,
            evidence: $evidence,
            remedy: $remedy,
        };
    };
}

rule!(
    OWNER,
    "CANARY-OWNER",
    Error,
    "Another controller owns the set and would take a change of its template or partition back.",
    "metadata.ownerReferences has an entry with controller: true.",
    "Upgrade through that operator's own resource. Allow it only when the operator is stopped."
);
rule!(
    HPA,
    "CANARY-HPA",
    Error,
    "A HorizontalPodAutoscaler changes the number of replicas: an ordinal that it adds in the \
     middle of a canary runs the new version at once, and one that it takes away takes the canary \
     with it.",
    "An HPA of the namespace names this StatefulSet in scaleTargetRef.",
    "Hold it for the time of the canary: set minReplicas and maxReplicas to the present number."
);
rule!(
    KEDA,
    "CANARY-KEDA",
    Error,
    "KEDA changes the number of replicas: an ordinal that it adds in the middle of a canary runs \
     the new version at once.",
    "A ScaledObject of the namespace names this StatefulSet in scaleTargetRef.",
    "Pause it: annotation autoscaling.keda.sh/paused-replicas on the ScaledObject."
);
rule!(
    VPA,
    "CANARY-VPA",
    Warning,
    "A VerticalPodAutoscaler may evict pods in the middle of the canary. A stable pod that it \
     evicts comes back on the stable revision, but with other resources than the canary's.",
    "A VPA of the namespace names this StatefulSet in targetRef.",
    "Set its updateMode to Initial or Off for the time of the canary."
);
rule!(
    GITOPS,
    "CANARY-GITOPS",
    Error,
    "Argo CD or Flux applies this set from Git and would put its template, or its partition, back.",
    "Tracking annotations or labels on the set, or the name of the controller in managedFields. \
     With --adopt the template is what was applied, and only a partition that Git names as well is \
     in the way.",
    "Let Git bring the change: canary stage first, then commit, then canary start --adopt. Leave \
     updateStrategy.rollingUpdate.partition out of Git, or let Argo CD ignore it \
     (ignoreDifferences)."
);
rule!(
    HELM,
    "CANARY-HELM",
    Warning,
    "The set belongs to a Helm release. Helm does nothing by itself, but the next upgrade or \
     rollback puts the template of the chart back.",
    "The annotation meta.helm.sh/release-name, or the label app.kubernetes.io/managed-by.",
    "Bring the change into the chart's values before the next helm upgrade; or canary stage, helm \
     upgrade, canary start --adopt."
);
rule!(
    UNHEALTHY,
    "CANARY-UNHEALTHY",
    Error,
    "An ordinal is not available before anything has begun. Under OrderedReady the controller \
     would not go on; in any case a member is missing already, and a canary takes another away.",
    "Pods that are missing, terminating, not Ready, or Ready for less than minReadySeconds.",
    "Mend it first: kubectl stateful status says what is wrong."
);
rule!(
    NO_REPLICAS,
    "CANARY-NO-REPLICAS",
    Error,
    "The set is scaled to zero: there is no ordinal to try a new version on, and the controller \
     would make it the current one at once (kubernetes #121534).",
    "spec.replicas is 0.",
    "Change the template directly, or scale up first."
);
rule!(
    SINGLE_REPLICA,
    "CANARY-SINGLE-REPLICA",
    Error,
    "The set has one replica: the canary is the whole application, and nobody is left on the old \
     version while it is judged.",
    "spec.replicas is 1.",
    "Allow it to have gates and the way back all the same."
);
rule!(
    LEFTOVER_PARTITION,
    "CANARY-LEFTOVER-PARTITION",
    Error,
    "A partition is set and no canary of ours set it: somebody holds something back, or forgot to \
     let go.",
    "spec.updateStrategy.rollingUpdate.partition is above 0, without our annotation.",
    "Find out whose it is. Allowed, it comes back at the end of the canary."
);
rule!(
    ROLLOUT_IN_PROGRESS,
    "CANARY-ROLLOUT-IN-PROGRESS",
    Error,
    "The pods do not all run what the template names: a rollout is under way, or a template was \
     applied under a partition. What the stable revision is would be a guess.",
    "The labels controller-revision-hash of the pods, and status.updateRevision.",
    "Take the rollout as it is for the canary: kubectl stateful canary start --adopt. Or wait for \
     it to end."
);
rule!(
    IN_PROGRESS,
    "CANARY-IN-PROGRESS",
    Error,
    "A canary to another template is under way.",
    "The annotation kubectl-stateful.dev/canary, and a template that this start would change.",
    "Bring it to an end first: canary promote --full, or canary abort."
);
rule!(
    ABORT_IN_PROGRESS,
    "CANARY-ABORT-IN-PROGRESS",
    Error,
    "The canary is on its way back to the stable revision.",
    "The annotation kubectl-stateful.dev/canary says so.",
    "Go on with canary abort until it is through."
);
rule!(
    NONE,
    "CANARY-NONE",
    Error,
    "No canary is under way, and the pods do not all run what the template names.",
    "The annotation kubectl-stateful.dev/canary is absent.",
    "canary start, or canary start --adopt for a rollout that somebody else began."
);
rule!(
    NO_CHANGE,
    "CANARY-NO-CHANGE",
    Error,
    "The template would be what it is already: no pod would move.",
    "The pod template before and after the change, as the server has it.",
    "Name a change; --restart makes new pods from the same template."
);
rule!(
    FORBIDDEN_FIELD,
    "CANARY-FORBIDDEN-FIELD",
    Error,
    "The patch touches more than the pod template. Volume claim templates, selector, serviceName \
     and podManagementPolicy cannot be changed on a StatefulSet; replicas, partition and the like \
     have commands of their own.",
    "Fields of the patch outside spec.template.",
    "Take them out of the patch."
);
rule!(
    REJECTED,
    "CANARY-REJECTED",
    Error,
    "The server would not take the change.",
    "Its answer to a dry run: validation, an admission webhook, or a quota.",
    "As the server's message says."
);
rule!(
    UNKNOWN_STRATEGY,
    "CANARY-UNKNOWN-STRATEGY",
    Error,
    "The update strategy is one that has no partition: Recreate (KEP-3541) takes all pods down at \
     once.",
    "spec.updateStrategy.type is neither RollingUpdate nor OnDelete.",
    "Change the type to RollingUpdate with a partition first."
);
rule!(
    NO_STABLE_REVISION,
    "CANARY-NO-STABLE-REVISION",
    Error,
    "The revision that the pods run cannot be read or no longer exists: there would be no way back.",
    "The pods' label controller-revision-hash names no ControllerRevision of this set, or pods run \
     several.",
    "Let the set come to rest on one revision first."
);
rule!(
    BEING_DELETED,
    "CANARY-BEING-DELETED",
    Error,
    "The set is being deleted.",
    "metadata.deletionTimestamp.",
    "Nothing to do here."
);
rule!(
    RECORD_UNUSABLE,
    "CANARY-RECORD-UNUSABLE",
    Error,
    "The annotation of a canary cannot be read, was written by a newer version, or belongs to \
     another set of this name that was deleted since.",
    "The annotation kubectl-stateful.dev/canary.",
    "If no canary is under way, remove the annotation."
);
rule!(
    UNREAD,
    "CANARY-UNREAD",
    Error,
    "Something that would speak against it could not be read.",
    "The server refused a list, or does not serve the kind in the version that this program knows; \
     its message is given.",
    "Get the right to read it, or find out by hand and allow it."
);
rule!(
    BLIND,
    "CANARY-BLIND",
    Error,
    "The pods or the revisions of the set could not be read: nobody can say what runs where, nor \
     what to go back to.",
    "The server refused one of the two lists; its message is given.",
    "Get the right to list pods and controllerrevisions."
);
rule!(
    PROMOTION_BUG,
    "CANARY-PROMOTION-BUG",
    Error,
    "This version of Kubernetes may make the canary's revision the current one too early: a stable \
     pod that dies then comes back on the new version (kubernetes #119684).",
    "The server's version: 1.27.0 to 1.27.7 or 1.28.0 to 1.28.3.",
    "Update the control plane. Allowed, a pod that comes back on the new version stops the canary."
);
rule!(
    MAX_UNAVAILABLE,
    "CANARY-MAX-UNAVAILABLE",
    Note,
    "The server honours maxUnavailable and would replace several pods at once. The partition is \
     moved by one at a time all the same, so that one ordinal moves at a time.",
    "spec.updateStrategy.rollingUpdate.maxUnavailable.",
    "Nothing to do."
);
rule!(
    NO_READINESS_PROBE,
    "CANARY-NO-READINESS-PROBE",
    Warning,
    "A container has no readiness probe: it counts as Ready the moment it runs, also between two \
     crashes.",
    "The new template's containers.",
    "Add a probe, or a check (--gate-exec, --gate-http). Without --bake such a set is watched for \
     30 seconds after each ordinal."
);
rule!(
    ON_DELETE_DRIFT,
    "CANARY-ON-DELETE-DRIFT",
    Warning,
    "Under OnDelete no partition holds anything back: a pod that is deleted or evicted by somebody \
     else during the canary comes back on the new version.",
    "spec.updateStrategy.type is OnDelete.",
    "Keep the time short, or change the strategy to RollingUpdate for it."
);
rule!(
    NOTHING_TRAPPED,
    "CANARY-NOTHING-TRAPPED",
    Error,
    "There is no pod whose deletion would free the set: the one that it waits for is not one that \
     the controller would replace.",
    "The conditions of STATUS-REVERT-TRAP do not hold.",
    "kubectl stateful status says what is wrong."
);

rule!(
    TEMPLATE_CHANGED,
    "CANARY-TEMPLATE-CHANGED",
    Error,
    "Somebody else changed the pod template in the middle of the canary.",
    "The template's fingerprint differs from the one in the annotation.",
    "canary start --adopt takes it as the new version, canary abort goes back to the stable one."
);
rule!(
    PARTITION_CHANGED,
    "CANARY-PARTITION-CHANGED",
    Error,
    "Somebody else moved the partition in the middle of the canary.",
    "The partition differs from the one in the annotation.",
    "canary start --adopt goes on from where the pods are, canary abort goes back."
);
rule!(
    REPLICAS_CHANGED,
    "CANARY-REPLICAS-CHANGED",
    Error,
    "Somebody else scaled the set in the middle of the canary.",
    "spec.replicas differs from the number in the annotation.",
    "canary start --adopt goes on with the new number, canary abort goes back."
);
rule!(
    STRATEGY_CHANGED,
    "CANARY-STRATEGY-CHANGED",
    Error,
    "Somebody else changed the type of the update strategy in the middle of the canary.",
    "spec.updateStrategy.type differs from the one in the annotation.",
    "Change it back, or canary abort."
);
rule!(
    REPLACED,
    "CANARY-SET-REPLACED",
    Error,
    "The set was deleted, or deleted and made again, in the middle of the canary.",
    "The uid of the set.",
    "Look who did it. A new set runs its template everywhere: there is nothing to abort."
);
rule!(
    TAKEN_OVER,
    "CANARY-TAKEN-OVER",
    Error,
    "Another run went on with the canary: promote, pause or abort, by somebody else or in another \
     terminal.",
    "The annotation carries the name of another run.",
    "kubectl stateful canary status shows where it is."
);

rule!(
    POD_BROKEN,
    "CANARY-POD-BROKEN",
    Error,
    "A pod on the new revision is broken in a way that waiting does not mend.",
    "Image pull, crash loop, container configuration, unschedulable for ten seconds, or a volume \
     that could not be mounted for two minutes; the same evidence as in kubectl stateful status.",
    "canary abort, or mend what the pod needs and canary promote again."
);
rule!(
    NOT_STEADY,
    "CANARY-NOT-STEADY",
    Error,
    "A pod on the new revision was Ready, and then was not, or restarted.",
    "The pod's condition Ready and its restart count, since it was first seen Ready. Being unready \
     for a moment counts against the ordinal that is being judged; a restart counts against every \
     one that has moved.",
    "Read the log of the previous run: kubectl logs --previous. canary abort goes back."
);
rule!(
    CHECK_FAILED,
    "CANARY-CHECK-FAILED",
    Error,
    "A check of the new version failed (--gate-exec, --gate-http or --gate-prom).",
    "Its last answers, as many as --gate-tries says.",
    "canary abort, or mend it and canary promote again."
);
rule!(
    CHECK_INCONCLUSIVE,
    "CANARY-CHECK-INCONCLUSIVE",
    Error,
    "A check of the new version gave no answer to judge by until the deadline: the command could \
     not be run, nobody answered, or Prometheus had no samples.",
    "Its last answer. Exit codes 126, 127 and those of signals, and whatever the API server says \
     itself, are no answers of the application.",
    "Run the check by hand; canary promote asks again."
);
rule!(
    HOOK_FAILED,
    "CANARY-HOOK-FAILED",
    Error,
    "A hook or a switchover command failed or did not end in time.",
    "Its exit code.",
    "Mend it and run the same command again."
);
rule!(
    ESCAPED,
    "CANARY-ESCAPED",
    Error,
    "A pod below the partition runs the new revision.",
    "The pod's label controller-revision-hash.",
    "Somebody deleted it while the partition was lower, or the control plane has the defect of \
     CANARY-PROMOTION-BUG. canary abort goes back."
);
rule!(
    DEADLINE,
    "CANARY-DEADLINE",
    Error,
    "An ordinal was not well in time.",
    "--deadline, counted for each ordinal from when it was told to move.",
    "kubectl stateful status says what it waits for; canary promote waits again."
);
rule!(
    NO_HEADROOM,
    "CANARY-NO-HEADROOM",
    Error,
    "A PodDisruptionBudget allows no disruption now. The StatefulSet controller would not ask it \
     (kubernetes #89820), so the canary does, before each ordinal.",
    "status.disruptionsAllowed of the budgets that select the pod is 0, for as long as --deadline.",
    "Find out which member is missing. --allow CANARY-NO-HEADROOM or --no-budgets goes on all the \
     same."
);
rule!(
    LEADER_AHEAD,
    "CANARY-LEADER-AHEAD",
    Error,
    "The next ordinal is the leader, and nobody said how to move it.",
    "--leader-label or --leader-exec.",
    "Move the leader to an ordinal that has moved already and promote again; or give \
     --switchover-exec; or --on-leader last to restart it when it is the only one left."
);
rule!(
    STABLE_POD_BLOCKS,
    "CANARY-STABLE-POD-BLOCKS",
    Error,
    "A pod on the stable revision is not available and keeps the controller from bringing the \
     others back. Deleting canaries would not help: they would not be made again.",
    "Under OrderedReady the lowest ordinal that is not available runs the stable revision.",
    "Mend that pod; then canary abort goes on. The template is the stable one already."
);
rule!(
    THIRD_REVISION,
    "CANARY-THIRD-REVISION",
    Error,
    "The template is back, but the server made a new revision of it instead of finding the old one: \
     something changes the template as it is written, or this server fills in other defaults than \
     the one that wrote the revision.",
    "status.updateRevision after the way back is not the stable revision.",
    "Look at the difference with canary history; look for mutating webhooks. The pods below the \
     partition are untouched."
);

rule!(
    GATES_DIFFER,
    "CANARY-GATES-DIFFER",
    Warning,
    "This run has other gates than the one that started the canary.",
    "A fingerprint of the gates in the annotation. The gates themselves are not kept in the \
     cluster: a command that everybody may write there would run on your machine.",
    "Pass the same flags, or the same -f gates.yaml."
);
rule!(
    COMES_BACK,
    "CANARY-COMES-BACK",
    Warning,
    "What was taken back may come again: the new version is still in what somebody applies.",
    "Argo CD, Flux, Helm or kubectl apply wrote the template, as managedFields says.",
    "Revert it there too."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_say_the_command() {
        let mut ids: Vec<&str> = all().iter().map(|rule| rule.id).collect();
        assert!(ids.iter().all(|id| id.starts_with("CANARY-")), "{ids:?}");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
