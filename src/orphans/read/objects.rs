//! Claims, volumes and their possible users in JSON: from files, and from servers
//! that do not speak Protocol Buffers. One struct serves all kinds.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Pool,
    item::{Item, Marks, is_plain_workload},
};
use crate::{
    cluster::objects::{
        Labels, Meta,
        storage::{Quantities, storage},
    },
    handover::disk,
    orphans::model::{
        self, Claim, ClaimRef, Kind, Owner, Pod, Scaler, Set, Text, Uid, Unused, Volume, Workload,
    },
    workload::SCALE_ANNOTATION,
};

#[derive(Debug, Deserialize)]
pub struct DiskObject {
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<Status>,
    /// Of a PodTemplate, which has no spec.
    template: Option<Template>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    storage_class_name: Option<String>,
    volume_name: Option<String>,
    access_modes: Option<Vec<String>>,
    resources: Option<Resources>,
    capacity: Option<Quantities>,
    persistent_volume_reclaim_policy: Option<String>,
    claim_ref: Option<HeldBy>,
    volumes: Option<Vec<PodVolume>>,
    template: Option<Template>,
    job_template: Option<JobTemplate>,
    replicas: Option<i64>,
    ordinals: Option<Ordinals>,
    /// Its form depends on the kind.
    selector: Option<Value>,
    volume_claim_templates: Option<Vec<Named>>,
    persistent_volume_claim_retention_policy: Option<Retention>,
    scale_target_ref: Option<Target>,
    max_replicas: Option<u32>,
    max_replica_count: Option<u32>,
    source: Option<Source>,
    node_name: Option<String>,
    node_affinity: Option<Value>,
    csi: Option<Value>,
    host_path: Option<Value>,
    local: Option<Value>,
    nfs: Option<Value>,
    iscsi: Option<Value>,
    fc: Option<Value>,
    rbd: Option<Value>,
    cephfs: Option<Value>,
    aws_elastic_block_store: Option<Value>,
    gce_persistent_disk: Option<Value>,
    azure_disk: Option<Value>,
    vsphere_volume: Option<Value>,
}

impl Spec {
    /// What identifies the disk of a volume.
    fn disk(&self) -> Option<Uid> {
        let sources = [
            ("csi", &self.csi),
            ("hostPath", &self.host_path),
            ("local", &self.local),
            ("nfs", &self.nfs),
            ("iscsi", &self.iscsi),
            ("fc", &self.fc),
            ("rbd", &self.rbd),
            ("cephfs", &self.cephfs),
            ("awsElasticBlockStore", &self.aws_elastic_block_store),
            ("gcePersistentDisk", &self.gce_persistent_disk),
            ("azureDisk", &self.azure_disk),
            ("vsphereVolume", &self.vsphere_volume),
        ];
        let sources = sources.map(|(field, source)| (field, source.as_ref()));
        disk::of_json(&sources, self.node_affinity.as_ref()).as_deref().map(Uid::of)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    requests: Option<Quantities>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HeldBy {
    namespace: String,
    name: String,
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    volumes: Option<Vec<PodVolume>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodVolume {
    name: String,
    persistent_volume_claim: Option<ClaimSource>,
    ephemeral: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSource {
    claim_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    spec: PodSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JobTemplate {
    spec: JobSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JobSpec {
    template: Template,
}

#[derive(Debug, Deserialize)]
struct Ordinals {
    start: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Named {
    metadata: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Retention {
    when_scaled: Option<String>,
    when_deleted: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Option<String>,
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    persistent_volume_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: Option<String>,
    capacity: Option<Quantities>,
    conditions: Option<Vec<Condition>>,
    last_phase_transition_time: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    last_transition_time: Option<Timestamp>,
}

impl DiskObject {
    /// `namespace` is for objects in files that do not name one.
    pub fn into_item(self, kind: Kind, namespace: &str, pool: &mut Pool) -> Item {
        let DiskObject { metadata: meta, spec, status, template: bare } = self;
        let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
        let namespace = pool.text(meta.namespace.as_deref().unwrap_or(namespace));
        let uid = Uid::of(&meta.uid);
        match kind {
            Kind::Claim => Item::Claim(claim(meta, namespace, spec, status, pool)),
            Kind::Volume => Item::Volume(volume(meta, spec, &status, pool)),
            Kind::Pod => {
                let claims = claims(spec.volumes, &meta.name, pool);
                let finished = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
                let pod = Pod {
                    namespace,
                    name: meta.name.into(),
                    created: meta.creation_timestamp,
                    on_node: spec.node_name.is_some_and(|node| !node.is_empty()),
                    finished,
                    claims,
                };
                Item::Pod(uid, Some(pod).filter(|pod| !pod.claims.is_empty()))
            }
            Kind::StatefulSet => {
                let found = template(spec.template.as_ref(), pool);
                let name: Text = meta.name.as_str().into();
                let workload = named(kind, &namespace, &name, found);
                Item::Set(uid, set(&meta, namespace, spec, pool), workload)
            }
            Kind::Autoscaler | Kind::ScaledObject => {
                let target = spec.scale_target_ref;
                // KEDA leaves the kind out when it means a Deployment, and a
                // maximum when it means 100.
                let most = spec.max_replicas.or(spec.max_replica_count).unwrap_or(100);
                let target_kind = target.as_ref().and_then(|target| target.kind.as_deref());
                Item::Scaler(Scaler {
                    kind,
                    namespace,
                    name: meta.name.into(),
                    target_kind: pool.text(target_kind.unwrap_or("Deployment")),
                    target: pool.text(target.as_ref().map_or("", |target| target.name.as_str())),
                    most,
                })
            }
            Kind::Attachment => {
                let volume = spec.source.and_then(|source| source.persistent_volume_name);
                let node = pool.text(spec.node_name.as_deref().unwrap_or_default());
                Item::Attachment(volume.map(|volume| (volume.into(), node)))
            }
            plain => {
                debug_assert!(is_plain_workload(plain));
                let of_job = spec.job_template.map(|job| job.spec.template);
                let of_spec = spec.template.as_ref().or(of_job.as_ref());
                let found = template(of_spec.or(bare.as_ref()), pool);
                Item::Workload(uid, named(plain, &namespace, &meta.name.into(), found))
            }
        }
    }
}

fn named(kind: Kind, namespace: &Text, name: &Text, claims: Box<[Text]>) -> Option<Workload> {
    let (namespace, name) = (Text::clone(namespace), Text::clone(name));
    (!claims.is_empty()).then_some(Workload { kind, namespace, name, claims })
}

fn claims(volumes: Option<Vec<PodVolume>>, pod: &str, pool: &mut Pool) -> Box<[Text]> {
    let names = volumes.into_iter().flatten().filter_map(|volume| {
        match (volume.persistent_volume_claim, volume.ephemeral) {
            (Some(source), _) => Some(pool.text(&source.claim_name)),
            (None, Some(_)) => Some(format!("{pod}-{}", volume.name).into()),
            (None, None) => None,
        }
    });
    names.collect()
}

fn template(template: Option<&Template>, pool: &mut Pool) -> Box<[Text]> {
    let volumes = template.and_then(|template| template.spec.volumes.as_ref());
    let sources = volumes.into_iter().flatten();
    sources
        .filter_map(|volume| volume.persistent_volume_claim.as_ref())
        .map(|source| pool.text(&source.claim_name))
        .collect()
}

fn shared(labels: &Labels, pool: &mut Pool) -> model::Labels {
    labels.iter().map(|(key, value)| (pool.text(key), pool.text(value))).collect()
}

fn texts(all: Option<Vec<String>>, pool: &mut Pool) -> Vec<Text> {
    all.into_iter().flatten().map(|text| pool.text(&text)).collect()
}

fn some(text: Option<String>, pool: &mut Pool) -> Option<Text> {
    text.and_then(|text| pool.some(&text))
}

fn claim(meta: Meta, namespace: Text, spec: Spec, status: Status, pool: &mut Pool) -> Claim {
    let labels = meta.labels.unwrap_or_default();
    let annotations = meta.annotations.unwrap_or_default();
    let mut marks = Marks::default();
    for (key, value) in &labels {
        marks.label(key, value);
    }
    for (key, value) in &annotations {
        marks.annotation(key, value);
    }
    let class = marks.class.map(str::to_owned).or(spec.storage_class_name);
    let owners = meta.owner_references.into_iter().flatten().map(|owner| Owner {
        api_version: pool.text(&owner.api_version),
        kind: pool.text(&owner.kind),
        name: pool.text(&owner.name),
        uid: pool.text(&owner.uid),
    });
    let owners = owners.collect();
    let finalizers = texts(meta.finalizers, pool);
    let modes = texts(spec.access_modes, pool);
    let conditions = status.conditions.into_iter().flatten();
    let unused = conditions
        .rev()
        .find_map(|one| Unused::of(&one.kind, &one.status, one.last_transition_time));
    Claim {
        namespace,
        name: meta.name.into(),
        uid: meta.uid.into(),
        created: meta.creation_timestamp,
        deleting: meta.deletion_timestamp,
        phase: pool.text(status.phase.as_deref().unwrap_or_default()),
        class: some(class, pool),
        volume: spec.volume_name.filter(|name| !name.is_empty()).map(Into::into),
        capacity: some(storage(status.capacity), pool),
        request: some(storage(spec.resources.and_then(|wanted| wanted.requests)), pool),
        access_modes: pool.list(modes),
        owners,
        finalizers: pool.list(finalizers),
        unused,
        kept_by: marks.kept_by().map(|who| pool.text(&who)),
        mark: marks.mark.map(|mark| pool.text(mark)),
        labels: {
            let labels = shared(&labels, pool);
            pool.labels(labels)
        },
    }
}

fn volume(meta: Meta, spec: Spec, status: &Status, pool: &mut Pool) -> Volume {
    let labels = shared(&meta.labels.unwrap_or_default(), pool);
    let annotations = meta.annotations.unwrap_or_default();
    let mut marks = Marks::default();
    for (key, value) in &annotations {
        marks.annotation(key, value);
    }
    let disk = spec.disk();
    let modes = texts(spec.access_modes, pool);
    let finalizers = texts(meta.finalizers, pool);
    Volume {
        name: meta.name.into(),
        uid: meta.uid.into(),
        created: meta.creation_timestamp,
        deleting: meta.deletion_timestamp,
        phase: pool.text(status.phase.as_deref().unwrap_or_default()),
        phase_since: status.last_phase_transition_time,
        class: some(spec.storage_class_name, pool),
        // The server's default for volumes that an administrator creates.
        policy: pool.text(spec.persistent_volume_reclaim_policy.as_deref().unwrap_or("Retain")),
        capacity: some(storage(spec.capacity), pool),
        access_modes: pool.list(modes),
        labels: pool.labels(labels),
        claim: spec.claim_ref.map(|held| ClaimRef {
            namespace: pool.text(&held.namespace),
            name: held.name.into(),
            uid: held.uid.into(),
        }),
        finalizers: pool.list(finalizers),
        mark: marks.mark.map(|mark| pool.text(mark)),
        disk,
    }
}

fn set(meta: &Meta, namespace: Text, spec: Spec, pool: &mut Pool) -> Set {
    let retention = spec.persistent_volume_claim_retention_policy.unwrap_or_default();
    let deletes = |policy: Option<String>| policy.as_deref() == Some("Delete");
    let labels = spec.selector.as_ref().and_then(|selector| selector.get("matchLabels"));
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    let small = |number: i64| u32::try_from(number).unwrap_or_default();
    Set {
        namespace,
        name: meta.name.as_str().into(),
        uid: meta.uid.as_str().into(),
        replicas: small(spec.replicas.unwrap_or(1)),
        start: small(spec.ordinals.and_then(|ordinals| ordinals.start).unwrap_or_default()),
        templates: spec
            .volume_claim_templates
            .into_iter()
            .flatten()
            .map(|template| pool.text(&template.metadata.name))
            .collect(),
        labels: labels
            .filter_map(|(key, value)| Some((pool.text(key), pool.text(value.as_str()?))))
            .collect(),
        deletes_when_scaled: deletes(retention.when_scaled),
        deletes_when_deleted: deletes(retention.when_deleted),
        operator: meta.controller().map(|owner| Owner {
            api_version: pool.text(&owner.api_version),
            kind: pool.text(&owner.kind),
            name: pool.text(&owner.name),
            uid: pool.text(&owner.uid),
        }),
        scaling: meta
            .annotations
            .as_ref()
            .and_then(|all| all.get(SCALE_ANNOTATION))
            .map(|note| pool.text(note)),
    }
}
