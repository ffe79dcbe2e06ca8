//! Claims become templates, and the claims that these will look for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    ClaimView, Mode, Work,
    fold::Source,
    metadata::{Heir, INSTANCE, has_argo, heritage},
    object::{below, entries, items, join, kind, label, name, text, walk},
};
use crate::{migrate::rules, workload::Severity};

/// The disks of a set.
#[derive(Debug, Default)]
pub struct Storage {
    pub templates: Vec<Value>,
    /// Volumes that a template replaces, with its name.
    pub replaced: BTreeMap<String, String>,
    /// Those among them that were read-only as a whole.
    pub read_only: Vec<String>,
    /// What the claims at these places become.
    pub claims: Vec<(usize, Value)>,
    pub views: Vec<ClaimView>,
}

/// Beta spelling of `storageClassName`.
const LEGACY_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// What a claim was filled from, and which volume it took: not for the next.
const ONCE: [(&str, &str); 4] = [
    ("volumeName", "it names this one volume"),
    ("selector", "the volume is chosen already"),
    ("dataSource", "it would fill every new ordinal with the same old data"),
    ("dataSourceRef", "it would fill every new ordinal with the same old data"),
];

impl Work<'_> {
    /// `None` where something is missing that nothing can be made without;
    /// the findings say what.
    pub(super) fn storage(&mut self, source: &Source, set: &str) -> Option<Storage> {
        let mut storage = Storage::default();
        let mut moving: Vec<(&str, &str, &[String])> = Vec::new();
        for (volume, claims) in &source.mounts {
            if self.options.mode == Mode::Keep || self.options.keep.contains(volume) {
                storage.views.push(self.kept_view(source, volume, &claims[0]));
                continue;
            }
            if let Some((first, template, _)) =
                moving.iter().find(|(_, _, others)| *others == claims.as_slice())
            {
                let message = format!(
                    "volumes {first} and {volume} are one claim, {}: one template {template}",
                    claims.join(", ")
                );
                self.findings.push(rules::PVC_TWICE.found(label(&source.body), message));
                storage.replaced.insert(volume.clone(), (*template).to_owned());
                continue;
            }
            let template =
                self.options.templates.get(volume).map_or(volume.as_str(), String::as_str);
            moving.push((volume, template, claims));
            storage.replaced.insert(volume.clone(), template.to_owned());
        }
        if moving.is_empty() {
            return Some(storage);
        }
        self.check_shape(source, &moving, &storage);
        self.note_read_only(source, &mut storage);
        let mut complete = true;
        for (volume, template, claims) in moving {
            for (ordinal, old) in claims.iter().enumerate() {
                let Some(index) = self.find("PersistentVolumeClaim", old, &source.body) else {
                    let message =
                        format!("volume {volume} is claim {old}, which the input does not have");
                    let way_out = format!("add its manifest to the input, or --keep {volume}");
                    self.findings
                        .push(rules::PVC_MISSING.found(label(&source.body), message).hint(way_out));
                    complete = false;
                    continue;
                };
                let claim = self.objects[index].clone();
                let new = format!("{template}-{set}-{ordinal}");
                if ordinal == 0 {
                    storage.templates.push(template_of(&claim, template, source));
                }
                storage.views.push(ClaimView {
                    volume: volume.to_owned(),
                    template: Some(template.to_owned()),
                    claim_now: old.clone(),
                    claim_then: new.clone(),
                    size: text(&claim, "/spec/resources/requests/storage").map(str::to_owned),
                    class: class_of(&claim),
                });
                self.refuse_twins(&claim);
                self.check_claim(&claim);
                self.check_other_users(source, volume, old);
                if new == *old {
                    continue;
                }
                if self.find("PersistentVolumeClaim", &new, &source.body).is_some() {
                    let message = format!("the input has a claim {new} already");
                    self.findings.push(
                        rules::NAME_TAKEN
                            .found(label(&claim), message)
                            .hint("choose another: --claim VOLUME=TEMPLATE"),
                    );
                }
                storage.claims.push((index, self.heir_of(&claim, &new, source)));
                self.renamed.push((self.place(&claim).map(str::to_owned), old.clone(), new));
            }
        }
        complete.then_some(storage)
    }

    fn kept_view(&self, source: &Source, volume: &str, claim: &str) -> ClaimView {
        let found = self.find("PersistentVolumeClaim", claim, &source.body);
        let body = found.map(|index| &self.objects[index]);
        ClaimView {
            volume: volume.to_owned(),
            template: None,
            claim_now: claim.to_owned(),
            claim_then: claim.to_owned(),
            size: body
                .and_then(|body| text(body, "/spec/resources/requests/storage"))
                .map(str::to_owned),
            class: body.and_then(class_of),
        }
    }

    /// Whether there is a claim for every pod, and a name for every template.
    fn check_shape(
        &mut self,
        source: &Source,
        moving: &[(&str, &str, &[String])],
        storage: &Storage,
    ) {
        let on = label(&source.body);
        let own = source.body.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let ordinals = source.ordinals;
        match self.options.replicas.map(u64::from) {
            Some(asked) if asked > ordinals as u64 => {
                let message = format!(
                    "{asked} replicas, and data for {ordinals}: the ordinals from {ordinals} on begin empty"
                );
                self.findings.push(
                    rules::EMPTY_ORDINALS
                        .found(on.clone(), message)
                        .hint("fewer --replicas, or --allow MIGRATE-EMPTY-ORDINALS"),
                );
            }
            None if ordinals == 1 && own > 1 => {
                let claims: Vec<&str> =
                    moving.iter().map(|(_, _, claims)| claims[0].as_str()).collect();
                let message = format!("{own} replicas share {}", claims.join(", "));
                self.findings.push(rules::PVC_SHARED.found(on.clone(), message).hint(
                    "--mode keep (still shared), --replicas 1 (the data stays with one pod), or copy it \
                     to a claim each first",
                ));
            }
            _ => {}
        }
        for (place, (volume, template, claims)) in moving.iter().enumerate() {
            let taken = items(&source.body, "/spec/template/spec/volumes").any(|other| {
                let other = text(other, "/name").unwrap_or_default();
                other == *template && !storage.replaced.contains_key(other)
            }) || moving[..place].iter().any(|(_, other, _)| other == template);
            if taken {
                let message = format!(
                    "template {template} for volume {volume}: the pod has such a volume already"
                );
                self.findings.push(
                    rules::NAME_TAKEN
                        .found(on.clone(), message)
                        .hint("choose another: --claim VOLUME=TEMPLATE"),
                );
            }
            let twice = claims.iter().enumerate().find(|(at, claim)| claims[..*at].contains(claim));
            if let Some((_, claim)) = twice.filter(|_| !self.options.copies) {
                let message = format!("two of --from mount claim {claim} as {volume}");
                self.findings.push(
                    rules::NO_CLAIM_IN_MEMBER
                        .found(on.clone(), message)
                        .hint(format!("--keep {volume} leaves it as it is")),
                );
            }
            let kept = source.mounts.iter().find(|(other, others)| {
                self.options.keep.contains(other) && others.iter().any(|one| claims.contains(one))
            });
            if let Some((other, _)) = kept {
                let message = format!(
                    "volume {other} is to keep claim {}, which volume {volume} takes away",
                    claims[0]
                );
                self.findings.push(
                    rules::PVC_OTHER_USER
                        .found(on.clone(), message)
                        .hint(format!("--keep {volume} too, or neither")),
                );
            }
        }
    }

    fn note_read_only(&mut self, source: &Source, storage: &mut Storage) {
        for volume in items(&source.body, "/spec/template/spec/volumes") {
            let Some(name) = text(volume, "/name") else { continue };
            if !storage.replaced.contains_key(name) {
                continue;
            }
            if volume.pointer("/persistentVolumeClaim/readOnly") == Some(&Value::Bool(true)) {
                storage.read_only.push(name.to_owned());
                let message = format!(
                    "spec.template.spec.volumes[{name}].persistentVolumeClaim.readOnly: each of its \
                     mounts says it now"
                );
                self.findings.push(rules::READ_ONLY.found(label(&source.body), message));
            }
            let path = format!("spec.template.spec.volumes[{name}]");
            let own = volume.as_object().into_iter().flatten().map(|(key, _)| (path.clone(), key));
            let inside = format!("{path}.persistentVolumeClaim");
            let claim =
                entries(volume, "/persistentVolumeClaim").map(|(key, _)| (inside.clone(), key));
            let unknown: Vec<String> = own
                .chain(claim)
                .filter(|(_, key)| {
                    !["name", "persistentVolumeClaim", "claimName", "readOnly"]
                        .contains(&key.as_str())
                })
                .map(|(path, key)| join(&path, key))
                .collect();
            if !unknown.is_empty() {
                let message = format!(
                    "{}: a template replaces the volume and has no such field",
                    unknown.join(", ")
                );
                self.findings.push(
                    rules::FIELD_DROPPED.found(label(&source.body), message).at(Severity::Warning),
                );
            }
        }
    }

    fn check_claim(&mut self, claim: &Value) {
        let on = label(claim);
        if let Some(since) = text(claim, "/metadata/deletionTimestamp") {
            let message = format!("claim {} is being deleted, since {since}", name(claim));
            self.findings.push(rules::BEING_DELETED.found(on.clone(), message));
        }
        let mut unusable = |message: String| {
            self.findings.push(rules::PVC_UNUSABLE.found(on.clone(), message));
        };
        if let Some(phase) = text(claim, "/status/phase").filter(|phase| *phase != "Bound") {
            unusable(format!("claim {} is {phase}, not Bound", name(claim)));
        }
        for owner in items(claim, "/metadata/ownerReferences") {
            let kind = text(owner, "/kind").unwrap_or_default();
            let owner = text(owner, "/name").unwrap_or_default();
            unusable(format!("claim {} belongs to {kind} {owner}", name(claim)));
        }
        let finalizers = items(claim, "/metadata/finalizers").filter_map(Value::as_str);
        for finalizer in finalizers.filter(|one| *one != "kubernetes.io/pvc-protection") {
            unusable(format!("claim {} is held by finalizer {finalizer}", name(claim)));
        }
        if class_of(claim).is_none() {
            let message = format!("claim {} names no storage class", name(claim));
            self.findings.push(
                rules::CLASS_UNSET
                    .found(on, message)
                    .hint("write the class of its volume into spec.storageClassName"),
            );
        }
    }

    /// Workloads that hold the claim by its old name.
    fn check_other_users(&mut self, source: &Source, volume: &str, claim: &str) {
        for object in self.objects {
            let mine = kind(object) == "Deployment"
                && (name(object) == name(&source.body)
                    || self.options.from.iter().any(|member| member == name(object)));
            // What a controller made follows its controller, and jobs are told
            // of among the references.
            let holds = matches!(
                kind(object),
                "Deployment"
                    | "StatefulSet"
                    | "DaemonSet"
                    | "ReplicaSet"
                    | "ReplicationController"
                    | "Pod"
            );
            let made = items(object, "/metadata/ownerReferences").next().is_some()
                && matches!(kind(object), "ReplicaSet" | "Pod");
            if !holds || mine || made || self.place(object) != self.place(&source.body) {
                continue;
            }
            let mut mounts = false;
            walk(object, "", &mut |_, value| {
                mounts |= text(value, "/persistentVolumeClaim/claimName") == Some(claim);
            });
            if mounts {
                let message = format!("{} mounts claim {claim} too", label(object));
                self.findings.push(
                    rules::PVC_OTHER_USER
                        .found(label(object), message)
                        .hint(format!("--keep {volume} leaves the claim as it is")),
                );
            }
        }
    }

    /// The claim that ordinal's pod will look for.
    fn heir_of(&mut self, claim: &Value, new: &str, source: &Source) -> Value {
        let (mut metadata, said) = heritage(claim, Heir::Claim);
        self.findings.extend(said);
        metadata.insert("name".to_owned(), new.into());
        let argo = has_argo(claim) || has_argo(&source.body);
        if let Some(labels) = below(&mut metadata, "labels") {
            for (key, value) in entries(&source.body, "/spec/selector/matchLabels") {
                if !(argo && key == INSTANCE) {
                    labels.entry(key).or_insert_with(|| value.clone());
                }
            }
            if labels.is_empty() {
                metadata.shift_remove("labels");
            }
        }
        if argo {
            ask_argo_not_to_prune(&mut metadata);
        }
        let mut made = claim.clone();
        let Some(fields) = made.as_object_mut() else { return made };
        fields.shift_remove("status");
        fields.insert("metadata".to_owned(), Value::Object(metadata));
        let mut dropped = Vec::new();
        if let Some(spec) = below(fields, "spec") {
            let (volume, class) = (text(claim, "/spec/volumeName"), class_of(claim));
            for (field, why) in ONCE {
                if field != "volumeName" && spec.shift_remove(field).is_some() {
                    dropped.push(format!("spec.{field} ({why})"));
                }
            }
            if let Some(class) = class {
                spec.entry("storageClassName").or_insert_with(|| class.into());
            }
            let message = match volume {
                Some(volume) => format!(
                    "claim {new} names volume {volume}, which claim {} holds until its claimRef is changed",
                    name(claim)
                ),
                None => format!(
                    "claim {new} names no volume: applied alone it gets a new, empty one, and the data \
                     stays with claim {}",
                    name(claim)
                ),
            };
            self.findings.push(rules::BINDING.found(label(claim), message));
        }
        if !dropped.is_empty() {
            let message = format!("left out: {}", dropped.join(", "));
            self.findings.push(rules::FIELD_DROPPED.found(label(claim), message));
        }
        made
    }
}

/// The class that a claim names, in either spelling; empty is a name too.
fn class_of(claim: &Value) -> Option<String> {
    text(claim, "/spec/storageClassName")
        .or_else(|| claim.pointer("/metadata/annotations")?.get(LEGACY_CLASS)?.as_str())
        .map(str::to_owned)
}

/// The template that makes claims like this one.
fn template_of(claim: &Value, template: &str, source: &Source) -> Value {
    let (inherited, _) = heritage(claim, Heir::Claim);
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), template.into());
    for list in ["labels", "annotations"] {
        if let Some(pairs) = inherited.get(list) {
            metadata.insert(list.to_owned(), pairs.clone());
        }
    }
    if has_argo(claim) || has_argo(&source.body) {
        ask_argo_not_to_prune(&mut metadata);
    }
    let mut spec = claim.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    for (field, _) in ONCE {
        spec.shift_remove(field);
    }
    if let Some(class) = class_of(claim) {
        spec.entry("storageClassName").or_insert_with(|| class.into());
    }
    json!({"metadata": metadata, "spec": spec})
}

/// Argo CD may take claims that the controller makes for its own.
fn ask_argo_not_to_prune(metadata: &mut Map<String, Value>) {
    let wanted = [
        ("argocd.argoproj.io/sync-options", &["Prune=false", "Delete=false"][..]),
        ("argocd.argoproj.io/compare-options", &["IgnoreExtraneous"]),
    ];
    let Some(annotations) = below(metadata, "annotations") else { return };
    for (key, options) in wanted {
        let old = annotations.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut all: Vec<&str> = old.split(',').filter(|option| !option.is_empty()).collect();
        for &option in options {
            if !all.contains(&option) {
                all.push(option);
            }
        }
        let joined = all.join(",");
        annotations.insert(key.to_owned(), joined.into());
    }
}
