//! The findings of a conversion: refusals, what needs a person, and notes.

use crate::workload::{Rule, rule};

/// Refusals that `--allow ID` overrides, because a person may know better.
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
    &NOT_AN_OBJECT,
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
    pub OWNER,
    "MIGRATE-OWNER",
    Error,
    "Another controller owns the Deployment and recreates it when it is gone: two applications \
     would then use one disk.",
    "metadata.ownerReferences is not empty.",
    "Move the application through the operator's own resource. Allow this only if the operator is \
     stopped for good."
);
rule!(
    pub PAUSED,
    "MIGRATE-PAUSED",
    Error,
    "The Deployment is paused: its template may be one that no pod runs yet, and the StatefulSet \
     would start with it.",
    "spec.paused is true.",
    "kubectl rollout resume, wait until the rollout is done, and then convert. If allowed, the \
     template is taken as it is."
);
rule!(
    pub ROLLOUT_IN_PROGRESS,
    "MIGRATE-ROLLOUT-IN-PROGRESS",
    Error,
    "A rollout of the Deployment is under way: it is not known yet whether its template works.",
    "status.updatedReplicas is below spec.replicas, or status.observedGeneration is behind.",
    "Wait for kubectl rollout status, or undo the rollout, and then convert."
);
rule!(
    pub BEING_DELETED,
    "MIGRATE-BEING-DELETED",
    Error,
    "The object is being deleted, which cannot be undone.",
    "metadata.deletionTimestamp is set.",
    "Find out who deleted it. A claim that is still mounted is gone when its last pod is gone: \
     set the reclaim policy of its volume to Retain before anything else."
);
rule!(
    pub PVC_MISSING,
    "MIGRATE-PVC-MISSING",
    Error,
    "The Deployment mounts a claim that is not in the input, and a template cannot be made from \
     its name alone.",
    "spec.template.spec.volumes names the claim; no PersistentVolumeClaim of that name and \
     namespace was given.",
    "Add its manifest to the input (kubectl get pvc NAME -o yaml), or leave the claim as it is \
     with --keep VOLUME or --mode keep."
);
rule!(
    pub PVC_SHARED,
    "MIGRATE-PVC-SHARED",
    Error,
    "Several pods share one claim. In a StatefulSet with a claim template each pod has its own \
     claim, so all but one would start with an empty disk.",
    "spec.replicas is above 1 and a volume names a claim.",
    "--mode keep leaves the claim shared; --replicas 1 leaves the data with one pod; otherwise \
     first copy the data to a claim for each pod."
);
rule!(
    pub PVC_OTHER_USER,
    "MIGRATE-PVC-OTHER-USER",
    Error,
    "Another workload mounts the same claim. When the claim has a new name, that workload does \
     not find it, or it writes to the disk at the same time as the StatefulSet.",
    "Another Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController or bare Pod in \
     the input names the claim.",
    "Leave the claim as it is (--keep VOLUME), or move the other workload away first."
);
rule!(
    pub PVC_UNUSABLE,
    "MIGRATE-PVC-UNUSABLE",
    Error,
    "The claim is not in a state in which its volume can be handed over to another claim.",
    "status.phase is Lost or Pending, metadata.ownerReferences is not empty, or \
     metadata.finalizers has one other than Kubernetes' own pvc-protection.",
    "Repair the claim, or let its owner (an operator, a snapshot, a clone) finish with it."
);
rule!(
    pub EMPTY_ORDINALS,
    "MIGRATE-EMPTY-ORDINALS",
    Error,
    "There are more ordinals than claims: the ordinals without one start with an empty disk. Many \
     applications then initialize a second, empty database.",
    "--replicas is above the number of claims that are converted. Claims that have the names of these \
     ordinals already are named: a set takes such a claim as it is, with its data.",
    "Ask for fewer replicas; or allow it if the application fills a new member by itself."
);
rule!(
    pub NAME_TOO_LONG,
    "MIGRATE-NAME-TOO-LONG",
    Error,
    "A name would be longer than Kubernetes supports. A StatefulSet whose name has more than 52 \
     characters is accepted but never creates a pod, because the label controller-revision-hash \
     does not fit.",
    "The limits are 52 characters for the set, 63 for a pod and a Service, and 253 for a claim.",
    "Give a shorter name: --name, --claim VOLUME=TEMPLATE, --service."
);
rule!(
    pub NAME_UNUSABLE,
    "MIGRATE-NAME-UNUSABLE",
    Error,
    "The name is not a DNS label, and the pods of a StatefulSet use it in their host names.",
    "A DNS label has lower-case letters, digits and hyphens, and no dot; the name of a Service \
     begins with a letter.",
    "Give another name: --name, --claim VOLUME=TEMPLATE, --service."
);
rule!(
    pub NAME_TAKEN,
    "MIGRATE-NAME-TAKEN",
    Error,
    "An object of that name already exists and would be overwritten, or adopted by mistake.",
    "The input or the namespace has an object of that kind and name (perhaps twice: a manifest \
     and a dump of it), or the pod template has such a volume.",
    "Leave the other one out of the input, or choose another name: --name, --claim \
     VOLUME=TEMPLATE, --service."
);
rule!(
    pub SERVICE_UNFIT,
    "MIGRATE-SERVICE-UNFIT",
    Error,
    "The Service cannot govern the set: it is not headless, or it does not select the pods. \
     clusterIP cannot be changed, so no existing Service is made headless.",
    "spec.clusterIP is not None, or spec.selector does not match the labels of the pod template.",
    "Leave out --service: a separate headless Service is created, and the one that clients use \
     stays."
);
rule!(
    pub TEMPLATES_DIFFER,
    "MIGRATE-TEMPLATES-DIFFER",
    Error,
    "The Deployments of --from are not the same, and a StatefulSet has one template for all pods.",
    "A field of spec other than the claims, replicas and strategy differs. Labels that carry the \
     Deployment's own name count as the same.",
    "Make them the same first, or put what differs into a file that is chosen by the ordinal."
);
rule!(
    pub NO_CLAIM_IN_MEMBER,
    "MIGRATE-PVC-NOT-OWN",
    Error,
    "Two Deployments of --from mount the same claim: one ordinal would have no disk of its own.",
    "The same volume names the same claim in two of them.",
    "Leave that volume as it is with --keep VOLUME, or leave out one of the Deployments."
);
rule!(
    pub GITOPS,
    "MIGRATE-GITOPS",
    Warning,
    "Argo CD or Flux keeps these objects as they are in Git: it recreates the Deployment and an \
     empty claim, and prunes what is not in Git.",
    "Labels or annotations of argocd.argoproj.io or toolkit.fluxcd.io, or managedFields of Argo \
     CD. Those that track an object are not copied to the new objects, and the claim templates \
     ask Argo CD not to prune the claims.",
    "Suspend the sync, move the live application, put the converted manifests into Git, and \
     resume the sync: it must then find nothing to do."
);
rule!(
    pub HELM,
    "MIGRATE-HELM",
    Warning,
    "Helm owns the Deployment: the next upgrade of its release recreates it, and deletes a claim \
     that is no longer in the chart, with the data.",
    "app.kubernetes.io/managed-by: Helm, or annotations of meta.helm.sh. The StatefulSet keeps \
     them, so that a chart with a StatefulSet can adopt it; claims do not.",
    "Change the chart, and annotate the old claim with helm.sh/resource-policy=keep before the \
     next upgrade."
);
rule!(
    pub REFERENCE,
    "MIGRATE-REFERENCE",
    Warning,
    "Something else names the Deployment or its claim, and will no longer find it.",
    "A kind and name, a claim name, or text such as deploy/NAME in another object.",
    "Change it to the StatefulSet, or to the new name of the claim, as part of the move."
);
rule!(
    pub AUTOSCALER,
    "MIGRATE-AUTOSCALER",
    Warning,
    "An autoscaler names the Deployment and does nothing once the Deployment is gone. Pointed at \
     the StatefulSet, it may add ordinals, which start with an empty disk.",
    "scaleTargetRef of a HorizontalPodAutoscaler or ScaledObject, or targetRef of a \
     VerticalPodAutoscaler.",
    "--retarget hpa,vpa,keda points it at the StatefulSet; check minReplicas and maxReplicas."
);
rule!(
    pub SERVICE_LOST,
    "MIGRATE-SELECTOR-LOST",
    Warning,
    "Something selects pods by a label that the pods of the StatefulSet do not have.",
    "A selector names pod-template-hash, or a label that --from changed.",
    "Change the selector to labels of the pod template."
);
rule!(
    pub POD_NAME,
    "MIGRATE-POD-NAME",
    Warning,
    "The application is given the name or host name of its pod, which changes: data may be stored \
     under the old name (RabbitMQ, Elasticsearch node names).",
    "A fieldRef to metadata.name, or hostname or subdomain in the pod template: the StatefulSet \
     sets both itself.",
    "Check what the application does with the name. The new one does not change again."
);
rule!(
    pub CLASS_UNSET,
    "MIGRATE-CLASS-UNSET",
    Warning,
    "The claim names no storage class: the server fills in the current default class, which may \
     not be the class of the disk.",
    "spec.storageClassName is absent, which is not the same as empty.",
    "Write the class of the volume into the claim and the template before you apply them."
);
rule!(
    pub UNKNOWN_FIELD,
    "MIGRATE-UNKNOWN-FIELD",
    Warning,
    "The Deployment has a field that this program does not know. It was copied; it is not known \
     whether a StatefulSet has it too.",
    "A field of spec that is not in apps/v1.",
    "kubectl apply --dry-run=server tells."
);
rule!(
    pub COMMENTS_LOST,
    "MIGRATE-COMMENTS-LOST",
    Warning,
    "A converted document is written again. A comment stays with its key or list item, and is \
     lost if that is not in the output.",
    "The named lines have a comment at a key or list item that has no place in the output.",
    "Carry over by hand what is still true."
);
rule!(
    pub NO_CLAIM,
    "MIGRATE-NO-CLAIM",
    Note,
    "The Deployment mounts no claim and is copied unchanged.",
    "No volume of its template has a persistentVolumeClaim.",
    "To convert it anyway, name it (deploy/NAME)."
);
rule!(
    pub NOT_AN_OBJECT,
    "MIGRATE-NOT-AN-OBJECT",
    Note,
    "A file of the folder is not a Kubernetes object, such as a kustomization without apiVersion \
     and kind, or the values of a chart. It is copied as it is, and not written to stdout.",
    "A document of the file has no apiVersion or no kind. A file that is named itself has to be a \
     manifest.",
    "Nothing; check that it names nothing that has changed."
);
rule!(
    pub BINDING,
    "MIGRATE-BINDING",
    Warning,
    "The data stays on the volume of the old claim; applying these manifests alone moves nothing. \
     Without volumeName the new claim gets a new, empty volume.",
    "The claim has a new name. volumeName is copied if the input has it; the claimRef of the \
     volume belongs to the server and is never written here.",
    "Before you apply the manifests in a cluster that has the data, the volume must be handed \
     over to the new claim. docs/migrate.md has the steps."
);
rule!(
    pub FIELD_DROPPED,
    "MIGRATE-FIELD-DROPPED",
    Note,
    "A field has no counterpart and was left out.",
    "The message names the field and the reason.",
    "Nothing, if the reason applies to you."
);
rule!(
    pub SERVER_SET,
    "MIGRATE-SERVER-SET",
    Note,
    "Fields that the server had written into the object (a dump) were left out.",
    "The message names the fields.",
    "Nothing."
);
rule!(
    pub KEY_DROPPED,
    "MIGRATE-KEY-DROPPED",
    Note,
    "A label or annotation that says who owns the old object was not copied: the new object would \
     be taken for it, and pruned.",
    "The message names the keys.",
    "Nothing, unless you set them yourself for another purpose."
);
rule!(
    pub LABEL_CHANGED,
    "MIGRATE-LABEL-CHANGED",
    Note,
    "A label that carried the name of a Deployment now carries the name of the set, so that one \
     selector matches all pods.",
    "--from, with labels that differ only in the name of the Deployment.",
    "Look for selectors elsewhere that use the old value."
);
rule!(
    pub SERVICE_CREATED,
    "MIGRATE-SERVICE-CREATED",
    Note,
    "A StatefulSet needs a headless Service for the names of its pods, and there was none.",
    "No Service with clusterIP: None selects the pods.",
    "Nothing; clients keep using the Service that they use."
);
rule!(
    pub SERVICE_UNSEEN,
    "MIGRATE-SERVICE-UNSEEN",
    Note,
    "The Service of --service is not in the input: it is not known whether it is headless and \
     selects the pods.",
    "No Service of that name was found.",
    "Add its manifest to the input, or check: kubectl get svc NAME."
);
rule!(
    pub PVC_FIRST,
    "MIGRATE-PVC-FIRST",
    Note,
    "The claim was moved in front of the StatefulSet. Applied after it, the claim would already \
     exist: created by the controller, with an empty disk.",
    "The document of the claim was behind that of the Deployment, or in a later file.",
    "Keep this order. Files are applied in the order of their names."
);
rule!(
    pub PVC_TWICE,
    "MIGRATE-PVC-TWICE",
    Note,
    "Two volumes of the template use the same claim; they become one template, and the mounts are \
     renamed.",
    "Two volumes name one claimName.",
    "Nothing."
);
rule!(
    pub READ_ONLY,
    "MIGRATE-READ-ONLY",
    Note,
    "The volume as a whole was read-only. A claim template has no such field, so each mount is \
     read-only now.",
    "persistentVolumeClaim.readOnly is true.",
    "Nothing."
);
rule!(
    pub SCRATCH,
    "MIGRATE-SCRATCH",
    Note,
    "The content of an emptyDir or an ephemeral volume is lost with the pod, as at every restart.",
    "A volume of the template has emptyDir or ephemeral.",
    "Nothing, unless someone keeps data there."
);
rule!(
    pub HOST_PORT,
    "MIGRATE-HOST-PORT",
    Note,
    "The pod uses a port of its node: the old pod must be gone before the new one can start \
     there.",
    "A container has hostPort.",
    "Scale the Deployment to 0 before the StatefulSet starts."
);
rule!(
    pub OLD_API,
    "MIGRATE-OLD-API",
    Note,
    "The Deployment was written for an API that no server supports any more.",
    "apiVersion is extensions/v1beta1, apps/v1beta1 or apps/v1beta2. A missing selector is made \
     from the labels of the pod template, as those servers did.",
    "Nothing."
);
rule!(
    pub INSTANCE_LABEL,
    "MIGRATE-INSTANCE-LABEL",
    Note,
    "The selector has app.kubernetes.io/instance, and the StatefulSet controller puts it on every \
     claim that it creates. An Argo CD that tracks by that label would then prune the claims.",
    "spec.selector.matchLabels.",
    "With Argo CD: track by annotation, or annotate the template with \
     argocd.argoproj.io/sync-options: Prune=false,Delete=false."
);
rule!(
    pub RETARGETED,
    "MIGRATE-RETARGETED",
    Note,
    "An autoscaler was pointed at the StatefulSet, as requested.",
    "--retarget.",
    "Check its minimum and maximum: ordinals that it adds start with an empty disk."
);
