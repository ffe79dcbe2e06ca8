//! What a conversion may find: refusals, what needs a person, what is only
//! said.

use super::rule;
use crate::workload::{Rule, Severity};

/// Refusals that `--allow ID` overrides: a person may know better.
pub const BY_CONVERSION: &[&Rule] =
    &[&OWNER, &PAUSED, &ROLLOUT_IN_PROGRESS, &EMPTY_ORDINALS, &PVC_OTHER_USER];

pub const REFUSALS: &[&Rule] = &[
    &OWNER,
    &PAUSED,
    &ROLLOUT_IN_PROGRESS,
    &BEING_DELETED,
    &PVC_MISSING,
    &PVC_SHARED,
    &PVC_OTHER_USER,
    &PVC_UNUSABLE,
    &EMPTY_ORDINALS,
    &NAME_TOO_LONG,
    &NAME_UNUSABLE,
    &NAME_TAKEN,
    &SERVICE_UNFIT,
    &TEMPLATES_DIFFER,
    &NO_CLAIM_IN_MEMBER,
];

pub const WARNINGS: &[&Rule] = &[
    &BINDING,
    &GITOPS,
    &HELM,
    &REFERENCE,
    &AUTOSCALER,
    &SERVICE_LOST,
    &POD_NAME,
    &CLASS_UNSET,
    &UNKNOWN_FIELD,
    &COMMENTS_LOST,
];

pub const NOTES: &[&Rule] = &[
    &NO_CLAIM,
    &FIELD_DROPPED,
    &SERVER_SET,
    &KEY_DROPPED,
    &LABEL_CHANGED,
    &SERVICE_CREATED,
    &SERVICE_UNSEEN,
    &PVC_FIRST,
    &PVC_TWICE,
    &READ_ONLY,
    &SCRATCH,
    &HOST_PORT,
    &OLD_API,
    &INSTANCE_LABEL,
    &RETARGETED,
];

rule!(
    OWNER,
    "MIGRATE-OWNER",
    Error,
    "Another controller owns the Deployment and makes it again when it is gone: two applications \
     would reach for one disk.",
    "metadata.ownerReferences is not empty.",
    "Move the application through that operator's own resource. Allow it only when the operator \
     is stopped for good."
);
rule!(
    PAUSED,
    "MIGRATE-PAUSED",
    Error,
    "The Deployment is paused: its template may be one that no pod runs yet, and a StatefulSet \
     would start with it.",
    "spec.paused is true.",
    "kubectl rollout resume, wait until it is through, and convert then. Allowed, the template is \
     taken as it stands."
);
rule!(
    ROLLOUT_IN_PROGRESS,
    "MIGRATE-ROLLOUT-IN-PROGRESS",
    Error,
    "A rollout of the Deployment is under way: whether its template works is not known yet.",
    "status.updatedReplicas is not spec.replicas, or status.observedGeneration is behind.",
    "Wait for kubectl rollout status, or undo the rollout, and convert then."
);
rule!(
    BEING_DELETED,
    "MIGRATE-BEING-DELETED",
    Error,
    "The object is being deleted; that cannot be taken back.",
    "metadata.deletionTimestamp is set.",
    "Find out who deleted it. A claim that is still mounted goes when its last pod does: set the \
     reclaim policy of its volume to Retain before anything else."
);
rule!(
    PVC_MISSING,
    "MIGRATE-PVC-MISSING",
    Error,
    "The Deployment mounts a claim that the input does not have, and a template cannot be made \
     from its name alone.",
    "spec.template.spec.volumes names the claim; no PersistentVolumeClaim of that name and \
     namespace was given.",
    "Give its manifest too (kubectl get pvc NAME -o yaml), or leave it as it is with --keep VOLUME \
     or --mode keep."
);
rule!(
    PVC_SHARED,
    "MIGRATE-PVC-SHARED",
    Error,
    "Several pods share one claim. In a StatefulSet with a template each pod has a claim of its \
     own, so that all but one would begin with an empty disk.",
    "spec.replicas is above 1 and a volume names a claim.",
    "--mode keep leaves the claim shared; --replicas 1 keeps the data with one pod; otherwise copy \
     the data to a claim per pod first."
);
rule!(
    PVC_OTHER_USER,
    "MIGRATE-PVC-OTHER-USER",
    Error,
    "Another workload mounts the same claim. Once its name changes that workload finds nothing, or \
     writes to the disk beside the StatefulSet.",
    "Another Deployment, StatefulSet, DaemonSet, ReplicaSet or bare Pod of the input names the claim.",
    "Leave the claim as it is (--keep VOLUME), or move the other workload away first."
);
rule!(
    PVC_UNUSABLE,
    "MIGRATE-PVC-UNUSABLE",
    Error,
    "The claim is not in a state in which its disk can be handed to another claim.",
    "status.phase is Lost or Pending, metadata.ownerReferences is not empty, or \
     metadata.finalizers has one that is not Kubernetes' own pvc-protection.",
    "Mend the claim, or let its owner (an operator, a snapshot, a clone) finish with it."
);
rule!(
    EMPTY_ORDINALS,
    "MIGRATE-EMPTY-ORDINALS",
    Error,
    "There are more ordinals than claims: those above begin with an empty disk. Many applications \
     then initialise a second, blank database.",
    "--replicas is above the number of claims that come over.",
    "Ask for fewer replicas; or allow it where the application fills a new member by itself."
);
rule!(
    NAME_TOO_LONG,
    "MIGRATE-NAME-TOO-LONG",
    Error,
    "A name would be longer than Kubernetes takes. A StatefulSet of more than 52 characters is \
     accepted and never makes a pod, because the label controller-revision-hash does not fit.",
    "Set name up to 52 characters, pod and Service name up to 63, claim name up to 253.",
    "Give a shorter one: --name, --claim VOLUME=TEMPLATE, --service."
);
rule!(
    NAME_UNUSABLE,
    "MIGRATE-NAME-UNUSABLE",
    Error,
    "The name is no DNS label, and pods of a StatefulSet take it as their host name.",
    "Lower-case letters, digits and hyphens, no dot; a Service begins with a letter.",
    "Give another one: --name, --claim VOLUME=TEMPLATE, --service."
);
rule!(
    NAME_TAKEN,
    "MIGRATE-NAME-TAKEN",
    Error,
    "Something of that name is there already, and would be overwritten or adopted by mistake.",
    "The input has an object of that kind, name and namespace (perhaps twice: a manifest and a dump \
     of it), or the pod template has such a volume.",
    "Take the other one out of the input, or choose another name: --name, --claim VOLUME=TEMPLATE, \
     --service."
);
rule!(
    SERVICE_UNFIT,
    "MIGRATE-SERVICE-UNFIT",
    Error,
    "The Service cannot govern the set: it is not headless, or does not select its pods. clusterIP \
     cannot be changed, so no other Service is made headless.",
    "spec.clusterIP is not None, or spec.selector does not match the labels of the pod template.",
    "Leave out --service: a headless one is made beside it, and the one that clients use stays."
);
rule!(
    TEMPLATES_DIFFER,
    "MIGRATE-TEMPLATES-DIFFER",
    Error,
    "The Deployments of --from are not alike, and a StatefulSet has one template for all pods.",
    "A field of spec other than the claims, replicas and strategy differs. Labels that carry the \
     Deployment's own name count as alike.",
    "Make them alike first, or put what differs into a file that is chosen by the ordinal."
);
rule!(
    NO_CLAIM_IN_MEMBER,
    "MIGRATE-PVC-NOT-OWN",
    Error,
    "Two Deployments of --from mount the same claim: an ordinal would be without a disk of its own.",
    "The same volume names the same claim in two of them.",
    "Leave that volume as it is with --keep VOLUME, or leave one of them out."
);
rule!(
    GITOPS,
    "MIGRATE-GITOPS",
    Warning,
    "Argo CD or Flux keeps these objects as Git has them: it makes the Deployment and an empty \
     claim again, and prunes what Git does not name.",
    "Labels or annotations of argocd.argoproj.io or toolkit.fluxcd.io. They are taken off the new \
     objects, and the templates ask Argo CD not to prune the claims.",
    "Suspend the sync, move the live application, put the converted manifests into Git, and resume: \
     there must be nothing to sync then."
);
rule!(
    HELM,
    "MIGRATE-HELM",
    Warning,
    "Helm owns the Deployment: the next upgrade of its release makes it again, and deletes a claim \
     that its chart no longer has, with the data.",
    "app.kubernetes.io/managed-by: Helm, or annotations of meta.helm.sh. The StatefulSet keeps \
     them, so that a chart with a StatefulSet can adopt it; claims do not.",
    "Change the chart, and annotate the old claim with helm.sh/resource-policy=keep before the \
     next upgrade."
);
rule!(
    REFERENCE,
    "MIGRATE-REFERENCE",
    Warning,
    "Something else names the Deployment or its claim, and will look for it in vain.",
    "A kind and name, a claim name, or a word such as deploy/NAME in another object of the input.",
    "Change it to the StatefulSet, or to the new name of the claim, together with the move."
);
rule!(
    AUTOSCALER,
    "MIGRATE-AUTOSCALER",
    Warning,
    "An autoscaler names the Deployment, and does nothing once that is gone. Pointed at the \
     StatefulSet it may add ordinals, which begin with an empty disk.",
    "scaleTargetRef of a HorizontalPodAutoscaler or ScaledObject, or targetRef of a \
     VerticalPodAutoscaler.",
    "--retarget hpa,vpa,keda points it at the StatefulSet; look at minReplicas and maxReplicas."
);
rule!(
    SERVICE_LOST,
    "MIGRATE-SELECTOR-LOST",
    Warning,
    "Something selects pods by a label that the pods of the StatefulSet do not have.",
    "A selector names pod-template-hash, or a label that --from changed.",
    "Change the selector to labels of the pod template."
);
rule!(
    POD_NAME,
    "MIGRATE-POD-NAME",
    Warning,
    "The application is told its pod's name or host name, and that changes: data may be kept under \
     the old one (RabbitMQ, Elasticsearch node names).",
    "A fieldRef to metadata.name, or hostname or subdomain in the pod template: the StatefulSet \
     sets both itself.",
    "Look at what the application does with it. The new name never changes again."
);
rule!(
    CLASS_UNSET,
    "MIGRATE-CLASS-UNSET",
    Warning,
    "The claim names no storage class: the server writes the default class of that day into it, \
     which may not be the one that the disk has.",
    "spec.storageClassName is absent, which is not the same as empty.",
    "Write the class of the volume into the claim and the template before you apply them."
);
rule!(
    UNKNOWN_FIELD,
    "MIGRATE-UNKNOWN-FIELD",
    Warning,
    "The Deployment has a field that this program does not know. It was copied; whether a \
     StatefulSet has it too is not known.",
    "A field of spec that is none of apps/v1.",
    "kubectl apply --dry-run=server tells."
);
rule!(
    COMMENTS_LOST,
    "MIGRATE-COMMENTS-LOST",
    Warning,
    "A converted document is written anew. A comment goes where its key or list item goes, and \
     what these speak of is not in the output.",
    "The lines that are named have a comment at a key or an item that has no place in the output.",
    "Carry over by hand what is still true."
);
rule!(
    NO_CLAIM,
    "MIGRATE-NO-CLAIM",
    Note,
    "The Deployment mounts no claim and passes as it is.",
    "No volume of its template has a persistentVolumeClaim.",
    "Name it (deploy/NAME) to convert it all the same."
);
rule!(
    BINDING,
    "MIGRATE-BINDING",
    Warning,
    "The data stays on the volume of the old claim; applying these manifests alone moves nothing. \
     Without volumeName the new claim gets a new, empty volume.",
    "The claim changes its name. volumeName is carried over where the input has it; the volume's \
     claimRef is the server's and is never written here.",
    "Before you apply them to a cluster that has the data, its volume must be handed to the new \
     claim. docs/migrate.md has the steps."
);
rule!(
    FIELD_DROPPED,
    "MIGRATE-FIELD-DROPPED",
    Note,
    "A field has no counterpart and was left out.",
    "The message names the field and why.",
    "Nothing, where the reason holds for you."
);
rule!(
    SERVER_SET,
    "MIGRATE-SERVER-SET",
    Note,
    "What the server wrote into the object (a dump) was left out.",
    "The message names the fields.",
    "Nothing."
);
rule!(
    KEY_DROPPED,
    "MIGRATE-KEY-DROPPED",
    Note,
    "A label or annotation that says whose the old object is was not copied: the new one would be \
     taken for it, and pruned.",
    "The message names the keys.",
    "Nothing, unless you put them there by hand for another purpose."
);
rule!(
    LABEL_CHANGED,
    "MIGRATE-LABEL-CHANGED",
    Note,
    "A label that carried the Deployment's own name now carries the set's, so that one selector \
     finds the pods of all.",
    "--from with labels that differ in the Deployment's name alone.",
    "Look for selectors elsewhere that use the old value."
);
rule!(
    SERVICE_CREATED,
    "MIGRATE-SERVICE-CREATED",
    Note,
    "A StatefulSet needs a headless Service for the names of its pods, and the input had none.",
    "No Service with clusterIP: None selects the pods.",
    "Nothing; clients go on using the Service that they use."
);
rule!(
    SERVICE_UNSEEN,
    "MIGRATE-SERVICE-UNSEEN",
    Note,
    "The Service of --service is not in the input: whether it is headless and selects the pods is \
     not known.",
    "No Service of that name was given.",
    "Give its manifest too, or look: kubectl get svc NAME."
);
rule!(
    PVC_FIRST,
    "MIGRATE-PVC-FIRST",
    Note,
    "The claim was moved in front of the StatefulSet. Applied after it, it would find that the \
     controller has made a claim of that name already, on an empty disk.",
    "The claim's document stood behind the Deployment's, or in a later file.",
    "Keep that order. Files are applied in the order of their names."
);
rule!(
    PVC_TWICE,
    "MIGRATE-PVC-TWICE",
    Note,
    "Two volumes of the template were the same claim; they became one template, and the mounts \
     follow.",
    "Two volumes name one claimName.",
    "Nothing."
);
rule!(
    READ_ONLY,
    "MIGRATE-READ-ONLY",
    Note,
    "The volume was read-only as a whole. A template cannot say so, and each mount says it now.",
    "persistentVolumeClaim.readOnly is true.",
    "Nothing."
);
rule!(
    SCRATCH,
    "MIGRATE-SCRATCH",
    Note,
    "What is in an emptyDir or an ephemeral volume goes with the pod, as at every restart.",
    "A volume of the template has emptyDir or ephemeral.",
    "Nothing, unless somebody keeps data there."
);
rule!(
    HOST_PORT,
    "MIGRATE-HOST-PORT",
    Note,
    "The pod takes a port of its node: the old pod must be gone before the new one starts there.",
    "A container has hostPort.",
    "Scale the Deployment to 0 before the StatefulSet starts."
);
rule!(
    OLD_API,
    "MIGRATE-OLD-API",
    Note,
    "The Deployment was written for an API that no server has any more.",
    "apiVersion is extensions/v1beta1, apps/v1beta1 or apps/v1beta2. A missing selector is made \
     from the labels of the pod template, as those servers did.",
    "Nothing."
);
rule!(
    INSTANCE_LABEL,
    "MIGRATE-INSTANCE-LABEL",
    Note,
    "The selector has app.kubernetes.io/instance, and the StatefulSet controller puts it on every \
     claim that it makes. An Argo CD that tracks by that label would then prune them.",
    "spec.selector.matchLabels.",
    "With Argo CD: track by annotation, or annotate the template with \
     argocd.argoproj.io/sync-options: Prune=false,Delete=false."
);
rule!(
    RETARGETED,
    "MIGRATE-RETARGETED",
    Note,
    "An autoscaler was pointed at the StatefulSet, as asked.",
    "--retarget.",
    "Look at its minimum and maximum: ordinals that it adds begin with an empty disk."
);
