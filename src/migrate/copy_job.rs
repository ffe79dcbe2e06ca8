//! The Job that copies a disk. Pure.

use serde_json::{Map, Value, json};

use super::{
    journal::{ANNOTATION, CopyPass, Copying, Disk, FILLED, Journal},
    world::{World, is_copier, state},
};
use crate::workload::raw::name;

/// The script of the Job.
const SCRIPT: &str = include_str!("copy.sh");
/// Capabilities that rsync needs to set owners, modes and capabilities of files.
const CAPABILITIES: [&str; 6] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"];

/// The Job that copies a disk.
pub fn job(journal: &Journal, world: &World, index: usize, pass: CopyPass) -> Option<Value> {
    let disk = journal.disk(index)?;
    let Copying { image, requests } = journal.copying.as_ref()?;
    let mut container = json!({
        "name": "copy", "image": image,
        "command": ["sh", "-c", SCRIPT, "copy", pass.name()],
        "volumeMounts": [
            { "name": "old", "mountPath": "/old", "readOnly": true },
            { "name": "new", "mountPath": "/new" },
        ],
        "securityContext": {
            "runAsUser": 0, "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"], "add": CAPABILITIES },
        },
        // The end of the output is in the status, which needs no right to read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if !requests.is_empty() {
        container["resources"] = json!({ "requests": requests });
    }
    let mut spec = inherited(journal);
    spec.extend(fields_of(json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 5,
        "containers": [container],
        "volumes": [
            { "name": "old", "persistentVolumeClaim": { "claimName": disk.old.name, "readOnly": true } },
            { "name": "new", "persistentVolumeClaim": { "claimName": disk.new } },
        ],
    })));
    let mut spec = Value::Object(spec);
    if let Some(node) = node_of(world, journal, disk).filter(|_| pass == CopyPass::First) {
        pin(&mut spec, node);
    }
    let mut annotations = json!({ ANNOTATION: journal.op });
    if pass == CopyPass::Last {
        annotations[FILLED] = json!(state(world, journal));
    }
    // With a sidecar proxy the pod would never end.
    let labels = json!({ ANNOTATION: journal.op, "sidecar.istio.io/inject": "false" });
    Some(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": journal.job_name(index, pass), "namespace": journal.namespace,
            "labels": { ANNOTATION: journal.op }, "annotations": annotations,
        },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {
                    "labels": labels, "annotations": { "linkerd.io/inject": "disabled" },
                },
                "spec": spec,
            },
        },
    }))
}

/// The pod of a Job, for a dry run.
pub fn pod_to_try(journal: &Journal, job: &Value) -> Value {
    let template = job.pointer("/spec/template").cloned().unwrap_or_default();
    let mut pod = json!({ "apiVersion": "v1", "kind": "Pod" });
    pod["metadata"] = template.get("metadata").cloned().unwrap_or_default();
    pod["metadata"]["name"] = json!(name(job));
    pod["metadata"]["namespace"] = json!(journal.namespace);
    pod["spec"] = template.get("spec").cloned().unwrap_or_default();
    pod
}

/// The fields that the pod has from the application: where it may run, and the
/// secrets to pull images with.
pub(super) fn inherited(journal: &Journal) -> Map<String, Value> {
    let mut spec = Map::new();
    let Some(member) = journal.deployments.first() else { return spec };
    let own = |field: &str| member.object.pointer(&format!("/spec/template/spec/{field}")).cloned();
    for field in ["nodeSelector", "tolerations", "imagePullSecrets"] {
        if let Some(value) = own(field) {
            spec.insert(field.to_owned(), value);
        }
    }
    if let Some(affinity) = own("affinity/nodeAffinity") {
        spec.insert("affinity".to_owned(), json!({ "nodeAffinity": affinity }));
    }
    if let Some(labels) = own("securityContext/seLinuxOptions") {
        spec.insert("securityContext".to_owned(), json!({ "seLinuxOptions": labels }));
    }
    spec
}

fn fields_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The node of the pod that uses the disk, if only one node can use it.
fn node_of<'a>(world: &'a World, journal: &Journal, disk: &Disk) -> Option<&'a str> {
    if disk.is_shared() {
        return None;
    }
    let mut pods = world.pods.iter().filter(|pod| {
        pod.claims.contains(&disk.old.name) && !is_copier(pod, journal) && !pod.is_finished()
    });
    pods.find_map(|pod| pod.node.as_deref())
}

/// Pins the pod to a node by affinity. With `nodeName` there would be no scheduler
/// to bind a claim that waits for a pod.
pub(super) fn pin(spec: &mut Value, node: &str) {
    let here = json!({ "key": "metadata.name", "operator": "In", "values": [node] });
    let path = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let checks =
        spec.pointer_mut(&format!("{path}/nodeSelectorTerms")).and_then(Value::as_array_mut);
    if let Some(checks) = checks.filter(|checks| !checks.is_empty()) {
        for term in checks {
            match term.get_mut("matchFields").and_then(Value::as_array_mut) {
                Some(fields) => fields.push(here.clone()),
                None => term["matchFields"] = json!([here.clone()]),
            }
        }
        return;
    }
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({ "nodeSelectorTerms": [{ "matchFields": [here] }] });
}
