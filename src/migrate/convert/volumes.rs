//! Claims become claim templates, and claims under the names that the set looks
//! for.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    ClaimView, Converter, Mode,
    fold::Source,
    metadata::{INSTANCE, Target, has_argo, inherited_metadata},
};
use crate::{
    migrate::rules,
    output::text::list,
    workload::{
        LEGACY_CLASS, Severity, canonical_ordinal,
        raw::{below, entries, items, join, kind, kind_and_name, name, text, walk},
    },
};

/// The disks of a set.
#[derive(Debug, Default)]
pub struct Storage {
    pub templates: Vec<Value>,
    /// Volumes that a claim template replaces, and the name of the template.
    pub replaced: BTreeMap<String, String>,
    /// Those among them that were read-only as a whole.
    pub read_only: Vec<String>,
    /// Positions of old claims, and the new claims.
    pub claims: Vec<(usize, Value)>,
    pub views: Vec<ClaimView>,
}

/// Fields that only apply to this one claim: its volume, and what it was filled
/// from.
const ONE_TIME_FIELDS: [(&str, &str); 4] = [
    ("volumeName", "it names this one volume"),
    ("selector", "the volume is already chosen"),
    ("dataSource", "it would fill every new ordinal with the same old data"),
    ("dataSourceRef", "it would fill every new ordinal with the same old data"),
];

impl Converter<'_> {
    /// The claim templates and claims; `None` if a claim is missing, with a
    /// finding.
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
                    "volumes {first} and {volume} use the same claim, {}: they become one template, {template}",
                    claims.join(", ")
                );
                self.findings.push(rules::PVC_TWICE.found(kind_and_name(&source.body), message));
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
        self.check_shape(source, set, &moving, &storage);
        self.note_read_only(source, &mut storage);
        let mut complete = true;
        for (volume, template, claims) in moving {
            for (ordinal, old) in claims.iter().enumerate() {
                let Some(index) = self.find("PersistentVolumeClaim", old, &source.body) else {
                    let message =
                        format!("volume {volume} uses claim {old}, which is not in the input");
                    let hint = format!("add its manifest to the input, or --keep {volume}");
                    self.findings.push(
                        rules::PVC_MISSING.found(kind_and_name(&source.body), message).hint(hint),
                    );
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
                self.refuse_duplicates(&claim);
                self.check_claim(&claim);
                self.check_other_users(source, volume, old);
                if new == *old {
                    continue;
                }
                if self.find("PersistentVolumeClaim", &new, &source.body).is_some() {
                    let message = format!("claim {new} already exists");
                    self.findings.push(
                        rules::NAME_TAKEN
                            .found(kind_and_name(&claim), message)
                            .hint("choose another: --claim VOLUME=TEMPLATE"),
                    );
                }
                storage.claims.push((index, self.new_claim(&claim, &new, source)));
                self.renamed.push((self.namespace_of(&claim).map(str::to_owned), old.clone(), new));
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

    /// The claims that exist under the names of these ordinals.
    fn claims_of_ordinals(
        &self,
        source: &Source,
        set: &str,
        moving: &[(&str, &str, &[String])],
        ordinals: std::ops::Range<u64>,
    ) -> Vec<String> {
        let near = self.objects.iter().filter(|object| {
            text(object, "/kind") == Some("PersistentVolumeClaim")
                && self.namespace_of(object) == self.namespace_of(&source.body)
        });
        let is_one = |claim: &&str| {
            moving.iter().any(|(_, template, _)| {
                let ordinal = claim.strip_prefix(&format!("{template}-{set}-"));
                let ordinal = ordinal.and_then(canonical_ordinal);
                ordinal.is_some_and(|ordinal| ordinals.contains(&u64::from(ordinal)))
            })
        };
        near.map(name).filter(is_one).map(|claim| format!("claim {claim}")).collect()
    }

    /// Checks that there is a claim for every pod and a free name for every
    /// template.
    fn check_shape(
        &mut self,
        source: &Source,
        set: &str,
        moving: &[(&str, &str, &[String])],
        storage: &Storage,
    ) {
        let on = kind_and_name(&source.body);
        let own = source.body.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let ordinals = source.ordinals;
        match self.options.replicas.map(u64::from) {
            Some(asked) if asked > ordinals as u64 => {
                let left = self.claims_of_ordinals(source, set, moving, ordinals as u64..asked);
                let but = if left.is_empty() {
                    String::new()
                } else {
                    let (exist, them) = if left.len() == 1 {
                        ("exists already, and its ordinal starts", "it")
                    } else {
                        ("exist already, and their ordinals start", "them")
                    };
                    format!(", but for {} that {exist} on what is on {them}", list(&left))
                };
                let message = format!(
                    "{asked} replicas, but data for {ordinals}: the ordinals from {ordinals} on \
                     start empty{but}"
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
                    "--mode keep (still shared), --replicas 1 (the data stays with one pod), or first \
                     copy the data to a claim for each pod",
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
                    "template {template} for volume {volume}: the pod already has a volume of that name"
                );
                self.findings.push(
                    rules::NAME_TAKEN
                        .found(on.clone(), message)
                        .hint("choose another: --claim VOLUME=TEMPLATE"),
                );
            }
            let twice = claims.iter().enumerate().find(|(at, claim)| claims[..*at].contains(claim));
            if let Some((_, claim)) = twice.filter(|_| !self.options.copies) {
                let message = format!("two Deployments of --from mount claim {claim} as {volume}");
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
                    "volume {other} keeps claim {}, which volume {volume} would turn into a template",
                    claims[0]
                );
                self.findings.push(
                    rules::PVC_OTHER_USER
                        .found(on.clone(), message)
                        .hint(format!("use --keep {volume} too, or keep neither")),
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
                    "spec.template.spec.volumes[{name}].persistentVolumeClaim.readOnly: moved to each of \
                     its mounts"
                );
                self.findings.push(rules::READ_ONLY.found(kind_and_name(&source.body), message));
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
                    rules::FIELD_DROPPED
                        .found(kind_and_name(&source.body), message)
                        .at(Severity::Warning),
                );
            }
        }
    }

    fn check_claim(&mut self, claim: &Value) {
        let on = kind_and_name(claim);
        if let Some(since) = text(claim, "/metadata/deletionTimestamp") {
            let message = format!("claim {} is being deleted (since {since})", name(claim));
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

    /// Other workloads that mount the claim under its old name.
    fn check_other_users(&mut self, source: &Source, volume: &str, claim: &str) {
        for object in self.objects {
            let mine = kind(object) == "Deployment"
                && (name(object) == name(&source.body)
                    || self.options.from.iter().any(|member| member == name(object)));
            // Objects of a controller follow their owner. Jobs are found among the
            // references.
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
            if !holds
                || mine
                || made
                || self.namespace_of(object) != self.namespace_of(&source.body)
            {
                continue;
            }
            let mut mounts = false;
            walk(object, "", &mut |_, value| {
                mounts |= text(value, "/persistentVolumeClaim/claimName") == Some(claim);
            });
            if mounts {
                let message = format!("{} mounts claim {claim} too", kind_and_name(object));
                self.findings.push(
                    rules::PVC_OTHER_USER
                        .found(kind_and_name(object), message)
                        .hint(format!("--keep {volume} leaves the claim as it is")),
                );
            }
        }
    }

    /// The claim that the pod of the ordinal looks for.
    fn new_claim(&mut self, claim: &Value, new: &str, source: &Source) -> Value {
        let (mut metadata, findings) = inherited_metadata(claim, Target::Claim);
        self.findings.extend(findings);
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
            for (field, why) in ONE_TIME_FIELDS {
                if field != "volumeName" && spec.shift_remove(field).is_some() {
                    dropped.push(format!("spec.{field} ({why})"));
                }
            }
            if let Some(class) = class {
                spec.entry("storageClassName").or_insert_with(|| class.into());
            }
            let message = match volume {
                Some(volume) => format!(
                    "claim {new} names volume {volume}, which belongs to claim {} until its claimRef is changed",
                    name(claim)
                ),
                None => format!(
                    "claim {new} names no volume: applied by itself it gets a new, empty one, and the \
                     data stays with claim {}",
                    name(claim)
                ),
            };
            self.findings.push(rules::BINDING.found(kind_and_name(claim), message));
        }
        if !dropped.is_empty() {
            let message = format!("left out: {}", dropped.join(", "));
            self.findings.push(rules::FIELD_DROPPED.found(kind_and_name(claim), message));
        }
        made
    }
}

/// The class that a claim names, in the field or the annotation. Empty is a name
/// too.
fn class_of(claim: &Value) -> Option<String> {
    text(claim, "/spec/storageClassName")
        .or_else(|| claim.pointer("/metadata/annotations")?.get(LEGACY_CLASS)?.as_str())
        .map(str::to_owned)
}

/// The claim template for claims like this one.
fn template_of(claim: &Value, template: &str, source: &Source) -> Value {
    let (inherited, _) = inherited_metadata(claim, Target::Claim);
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
    for (field, _) in ONE_TIME_FIELDS {
        spec.shift_remove(field);
    }
    if let Some(class) = class_of(claim) {
        spec.entry("storageClassName").or_insert_with(|| class.into());
    }
    json!({"metadata": metadata, "spec": spec})
}

/// Asks Argo CD not to prune the claims that the controller creates: it may take
/// them for its own.
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
