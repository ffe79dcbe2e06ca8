//! The plan of a migration: what is there, and what is asked for, in; the
//! journal, and what speaks against it, out. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    convert::{self, Class, Conversion, Made, Options, Outcome},
    journal::{
        ANNOTATION, Disk, Held, Journal, KEDA_PAUSED, Member, Mode, Order, Scaler, ScalerKind,
    },
    object::{entries, is_deployment, items, kind, label, name, text},
    rules,
    volumes::{self, Filling, Offer, Shaped},
    world::{annotation, generation, is_finished, is_leaving, phase, replicas, uid},
};
use crate::{
    output::{Error, Exit, text::count},
    workload::{self, Finding, Pod, Severity, Unread, bytes},
};

/// What is there before a migration.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub namespace: String,
    /// What may refer to the Deployment or its claims, with kind and
    /// apiVersion.
    pub objects: Vec<Value>,
    pub pods: Vec<Pod>,
    pub volumes: BTreeMap<String, Value>,
    pub nodes: Vec<Value>,
    pub offer: Offer,
    pub unread: Vec<Unread>,
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub options: Options,
    pub mode: Mode,
    pub order: Order,
    pub filling: Filling,
}

/// What would happen.
#[derive(Clone, Debug)]
pub struct Plan {
    pub journal: Journal,
    pub view: convert::SetView,
    pub findings: Vec<Finding>,
    /// What could not be read, or not checked.
    pub unread: Vec<Unread>,
}

/// Beta spelling of `storageClassName`.
const LEGACY_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Makes the plan.
///
/// # Errors
/// When the words name what is not there, or the conversion refuses: then
/// there is nothing to plan with.
pub fn plan(there: &Surroundings, wish: &Wish, op: &str, now: Timestamp) -> Result<Plan, Error> {
    let mut options = wish.options.clone();
    options.mode = wish.mode.of_claims();
    options.copies = wish.mode.fills();
    options.namespace = Some(there.namespace.clone());
    let mut allow = std::mem::take(&mut options.allow);
    known_guards(&allow)?;
    // The conversion knows only its own.
    allow.retain(|id| rules::BY_CONVERSION.iter().any(|rule| rule.id == id.as_str()));
    options.allow = allow;
    let conversion = convert::convert(&there.objects, &options)?;
    let Some(view) = conversion.sets.first().cloned() else {
        return Err(refused(conversion.findings));
    };
    let made = Products::of(&conversion);
    let Some(set) = made.set else { return Err(refused(conversion.findings)) };
    let mut plan = Planner {
        there,
        wish,
        journal: Journal::begin(op.to_owned(), there.namespace.clone(), set, now),
        findings: conversion.findings.into_iter().filter(is_true_live).collect(),
        unread: there.unread.clone(),
    };
    plan.members(&view);
    plan.disks(&view, &made.claims);
    wish.filling.known(&plan.journal.disks)?;
    plan.set();
    plan.service(made.service);
    plan.scalers(&made.retargeted);
    plan.surroundings();
    let (mut findings, unread) = (plan.findings, plan.unread);
    for finding in &mut findings {
        raise(finding);
        let allowed = wish.options.allow.iter().any(|id| id == finding.id);
        if finding.severity == Severity::Error && allowed {
            finding.severity = Severity::Warning;
        }
    }
    let mut findings = once(findings);
    // Lists come in any order; a plan does not.
    findings.sort_by(|one, other| {
        let key = |finding: &Finding| {
            (finding.severity, finding.id, finding.object.clone(), finding.message.clone())
        };
        key(one).cmp(&key(other))
    });
    let mut journal = plan.journal;
    journal.scalers.sort_by(|one, other| {
        let key = |scaler: &Scaler| (scaler.kind.api_name(), scaler.target.name.clone());
        key(one).cmp(&key(other))
    });
    journal.plan = digest(&journal, &findings);
    Ok(Plan { journal, view, findings, unread })
}

/// What several pods get of one claim is said once.
fn once(findings: Vec<Finding>) -> Vec<Finding> {
    let mut all = Vec::new();
    for finding in findings {
        if !all.contains(&finding) {
            all.push(finding);
        }
    }
    all
}

/// What is said of manifests because nobody takes care of it there: here we
/// do.
fn is_true_live(finding: &Finding) -> bool {
    let of_manifests = [&rules::BINDING, &rules::PVC_FIRST, &rules::SERVER_SET];
    !of_manifests.iter().any(|rule| rule.id == finding.id)
}

/// What a manifest may only be warned of stops a live move.
fn raise(finding: &mut Finding) {
    let live = [&rules::GITOPS, &rules::AUTOSCALER];
    if live.iter().any(|rule| rule.id == finding.id) {
        finding.severity = Severity::Error;
    }
}

/// Whether a guard says no.
pub fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

fn refused(findings: Vec<Finding>) -> Error {
    let wrong: Vec<Finding> =
        findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    let message = format!("{} said no; nothing was changed", count(wrong.len(), "guard"));
    let mut error = Error::new(Exit::Refused, message);
    for finding in &wrong {
        error = error.caused_by(format!("{} {}", finding.id, finding.message));
    }
    if let Some(hint) = wrong.iter().find_map(|finding| finding.hint.clone()) {
        error = error.hint(hint);
    }
    error.because(wrong)
}

/// Whether the Deployments are there; says it as kubectl does.
///
/// # Errors
/// When one is not.
pub fn all_there(there: &Surroundings, options: &Options) -> Result<(), Error> {
    let known = |wanted: &str| {
        there.objects.iter().any(|object| is_deployment(object) && name(object) == wanted)
    };
    let unread = there.unread.iter().find(|unread| unread.resource == "deployments.apps");
    let missing = options.deployments.iter().chain(&options.from).find(|name| !known(name));
    match (missing, unread) {
        (None, _) => Ok(()),
        (Some(_), Some(unread)) => Err(Error::with_headline(
            Exit::Error,
            format!("Error from server (Forbidden): {}", unread.why),
        )),
        (Some(name), None) => Err(Error::with_headline(
            Exit::Error,
            format!("Error from server (NotFound): deployments.apps \"{name}\" not found"),
        )),
    }
}

fn known_guards(allow: &[String]) -> Result<(), Error> {
    let known = rules::allowable();
    match allow.iter().find(|id| !known.iter().any(|rule| rule.id == id.as_str())) {
        None => Ok(()),
        Some(id) => {
            let ids: Vec<&str> = known.iter().map(|rule| rule.id).collect();
            Err(Error::usage(format!("{id} is no guard that can be overridden"))
                .hint(format!("these can: {}", ids.join(", "))))
        }
    }
}

/// What a plan stands for: the same digest, the same doing.
pub(super) fn digest(journal: &Journal, findings: &[Finding]) -> String {
    let mut lasting = journal.clone();
    lasting.op.clear();
    lasting.plan.clear();
    lasting.started = Timestamp::UNIX_EPOCH;
    let mut value = json!({ "journal": lasting, "findings": findings });
    forget(&mut value, &journal.op);
    workload::digest(&value, 8)
}

/// What says only when, or how often, is no part of a plan.
fn forget(value: &mut Value, op: &str) {
    match value {
        Value::Object(fields) => {
            for key in ["resourceVersion", "managedFields", "status"] {
                fields.shift_remove(key);
            }
            fields.values_mut().for_each(|field| forget(field, op));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, op)),
        Value::String(text) if text == op => text.clear(),
        _ => {}
    }
}

/// What a conversion has made, by kind.
#[derive(Default)]
struct Products {
    set: Option<Value>,
    service: Option<Value>,
    claims: Vec<Value>,
    /// Places in the input, and what stands there now.
    retargeted: Vec<(usize, Value)>,
}

impl Products {
    fn of(conversion: &Conversion) -> Products {
        let mut products = Products::default();
        for (index, outcome) in conversion.outcomes.iter().enumerate() {
            let Outcome::Became(all) = outcome else { continue };
            for Made { class, body, .. } in all {
                match (class, kind(body)) {
                    (Class::Retargeted, _) => products.retargeted.push((index, body.clone())),
                    (_, "StatefulSet") => products.set = Some(body.clone()),
                    (_, "Service") => products.service = Some(body.clone()),
                    (_, "PersistentVolumeClaim") => products.claims.push(body.clone()),
                    _ => {}
                }
            }
        }
        products
    }
}

struct Planner<'a> {
    there: &'a Surroundings,
    wish: &'a Wish,
    journal: Journal,
    findings: Vec<Finding>,
    unread: Vec<Unread>,
}

impl Planner<'_> {
    fn find(&self, wanted: &str, called: &str) -> Option<&Value> {
        let all = self.there.objects.iter();
        all.clone().find(|object| kind(object) == wanted && name(object) == called)
    }

    fn members(&mut self, view: &convert::SetView) {
        self.journal.mode = self.wish.mode;
        self.journal.order = self.wish.order;
        self.journal.copying.clone_from(&self.wish.filling.copying);
        for called in &view.deployments {
            let found = self.there.objects.iter();
            let found = found.clone().find(|one| is_deployment(one) && name(one) == called);
            let Some(found) = found else { continue };
            self.journal.deployments.push(Member {
                name: called.clone(),
                uid: uid(found).to_owned(),
                generation: generation(found),
                replicas: replicas(found),
                object: kept_copy(found),
            });
            if uid(found).is_empty() {
                self.not_live(found);
                continue;
            }
            let available = found.pointer("/status/availableReplicas").and_then(Value::as_u64);
            let available = available.unwrap_or_default();
            if available < u64::from(replicas(found)) {
                let message = format!("{available} of {} pods are available", replicas(found));
                self.findings.push(rules::UNHEALTHY.found(label(found), message).hint(format!(
                    "kubectl describe deployment/{called} -n {}",
                    self.there.namespace
                )));
            }
        }
        let asked = self.wish.options.replicas;
        let one_each = view.deployments.len() > 1;
        let own = self.journal.deployments.iter().map(|member| member.replicas);
        self.journal.replicas = asked.unwrap_or_else(|| {
            if one_each { own.map(|count| count.min(1)).sum() } else { own.sum() }
        });
    }

    fn disks(&mut self, view: &convert::SetView, claims: &[Value]) {
        for view in &view.claims {
            let Some(template) =
                view.template.clone().filter(|_| view.claim_then != view.claim_now)
            else {
                self.journal.kept.push(view.claim_now.clone());
                continue;
            };
            let old = self.find("PersistentVolumeClaim", &view.claim_now).cloned();
            let new = claims.iter().find(|made| name(made) == view.claim_then);
            let (Some(old), Some(new)) = (old, new) else { continue };
            let pv = if uid(&old).is_empty() {
                self.not_live(&old);
                self.volume_in_manifest(&old)
            } else {
                let Some(pv) = self.volume_of(&old) else { continue };
                self.check_users(&old);
                self.check_resize(&old);
                self.check_disk(&old, &pv);
                pv
            };
            let (claim, waits_for_pod, snapshot) = if self.wish.mode.fills() {
                self.volume_of_its_own(&view.volume, new, &old, &pv)
            } else {
                (self.new_claim(new, &old, &pv), false, None)
            };
            let disk = Disk {
                volume: view.volume.clone(),
                template,
                old: Held { name: name(&old).to_owned(), uid: uid(&old).to_owned() },
                new: view.claim_then.clone(),
                claim,
                waits_for_pod,
                snapshot,
                pv: Held { name: name(&pv).to_owned(), uid: uid(&pv).to_owned() },
                policy: policy_of(&pv),
                bound_by_controller: annotation(&pv, "pv.kubernetes.io/bound-by-controller")
                    .is_some(),
                object: kept_copy(&old),
                blank: None,
            };
            self.journal.disks.push(disk);
        }
    }

    /// No server has given this: what only a server knows is not checked.
    fn not_live(&mut self, object: &Value) {
        let on = label(object);
        let message =
            format!("{on} is a manifest: nothing about pods, volumes and binding was checked");
        self.findings.push(rules::NOT_LIVE.found(on.clone(), message));
        let why = "the input has a manifest, as no server has given it".to_owned();
        self.unread.push(Unread { resource: on, why });
    }

    /// The volume that a manifest asks for, if it names one.
    fn volume_in_manifest(&self, claim: &Value) -> Value {
        let called = text(claim, "/spec/volumeName").unwrap_or_default();
        self.there.volumes.get(called).cloned().unwrap_or_default()
    }

    /// The volume of a claim, if both have each other.
    fn volume_of(&mut self, claim: &Value) -> Option<Value> {
        let on = label(claim);
        let called = text(claim, "/spec/volumeName").unwrap_or_default();
        let mut unfit = |message: String| {
            self.findings.push(rules::VOLUME_UNFIT.found(on.clone(), message));
        };
        let Some(pv) = self.there.volumes.get(called) else {
            let whose = if called.is_empty() { "no volume".to_owned() } else { called.to_owned() };
            unfit(format!("claim {} names {whose}, which cannot be read", name(claim)));
            return None;
        };
        let holder = text(pv, "/spec/claimRef/uid").unwrap_or("nobody");
        if holder != uid(claim) {
            unfit(format!("volume {called} is reserved for {holder}, not {}", uid(claim)));
        }
        if phase(pv) != "Bound" {
            unfit(format!("volume {called} is {}, not Bound", phase(pv)));
        }
        if is_leaving(pv) {
            unfit(format!("volume {called} is being deleted"));
        }
        if let Some(tag) = annotation(pv, ANNOTATION) {
            let message = format!("volume {called} is in the hand of another migration: {tag}");
            self.findings
                .push(rules::UNDER_WAY.found(format!("persistentvolume/{called}"), message));
        }
        Some(pv.clone())
    }

    fn check_disk(&mut self, claim: &Value, pv: &Value) {
        let on = format!("persistentvolume/{}", name(pv));
        let kinds = ["hostPath", "local"];
        if let Some(source) =
            kinds.iter().find(|kind| pv.pointer(&format!("/spec/{kind}")).is_some())
        {
            let message = format!("{} is a {source} volume: it stays on its node", name(pv));
            self.findings.push(rules::NODE_LOCAL_DISK.found(on.clone(), message));
        }
        let affinity = pv.pointer("/spec/nodeAffinity/required/nodeSelectorTerms");
        let Some(terms) = affinity.and_then(Value::as_array) else { return };
        if self.there.nodes.is_empty() {
            return;
        }
        let fits = |node: &&Value| takes_pods(node) && terms.iter().any(|term| matches(node, term));
        if !self.there.nodes.iter().any(|node| fits(&node)) {
            let message = format!(
                "{} of claim {} wants one of its nodes, and none of them takes pods",
                name(pv),
                name(claim)
            );
            self.findings.push(rules::NODE_UNFIT.found(on, message));
        }
    }

    /// Pods on the claim that no Deployment of ours has made.
    fn check_users(&mut self, claim: &Value) {
        let own: Vec<&str> = self
            .there
            .objects
            .iter()
            .filter(|object| kind(object) == "ReplicaSet")
            .filter(|set| {
                items(set, "/metadata/ownerReferences").any(|owner| {
                    let owner = text(owner, "/uid").unwrap_or_default();
                    self.journal.deployments.iter().any(|member| member.uid == owner)
                })
            })
            .map(uid)
            .collect();
        for pod in &self.there.pods {
            let uses = pod.claims.iter().any(|one| one == name(claim));
            let ours = pod.controller_uid.as_deref().is_some_and(|owner| own.contains(&owner));
            if uses && !ours && !is_finished(pod) {
                let message = format!("pod {} has claim {} in use", pod.name, name(claim));
                self.findings.push(rules::PVC_IN_USE.found(format!("pod/{}", pod.name), message));
            }
        }
    }

    fn check_resize(&mut self, claim: &Value) {
        let condition = items(claim, "/status/conditions").find_map(|condition| {
            let holds = text(condition, "/status") == Some("True");
            let kind = text(condition, "/type")?;
            let resizing = matches!(kind, "Resizing" | "FileSystemResizePending");
            (holds && resizing).then(|| kind.to_owned())
        });
        let pending = entries(claim, "/status/allocatedResourceStatuses").next();
        let why = condition.or_else(|| pending.map(|(_, status)| status.to_string()));
        if let Some(why) = why {
            let message = format!("claim {}: {why}", name(claim));
            self.findings.push(rules::PVC_RESIZING.found(label(claim), message));
        }
    }

    /// The new claim, for exactly this volume: with its name it can never be
    /// given another, empty one.
    fn new_claim(&self, made: &Value, old: &Value, pv: &Value) -> Value {
        let mut claim = made.clone();
        claim["metadata"]["namespace"] = json!(self.there.namespace);
        claim["metadata"]["annotations"][ANNOTATION] = json!(self.journal.op);
        if pv.is_null() {
            return claim;
        }
        let class = text(pv, "/spec/storageClassName")
            .or_else(|| annotation(pv, LEGACY_CLASS))
            .unwrap_or_default();
        let spec = &mut claim["spec"];
        spec["volumeName"] = json!(name(pv));
        spec["storageClassName"] = json!(class);
        // More than the volume has would make the resizer grow it.
        let has = text(pv, "/spec/capacity/storage");
        let wants = text(old, "/spec/resources/requests/storage");
        if let (Some(has), Some(wants)) = (has, wants)
            && bytes(has).zip(bytes(wants)).is_some_and(|(has, wants)| has < wants)
        {
            spec["resources"]["requests"]["storage"] = json!(has);
        }
        claim
    }

    /// The new claim for a volume of its own, whether that waits for a pod, and
    /// the snapshot that it is made from.
    fn volume_of_its_own(
        &mut self,
        volume: &str,
        made: &Value,
        old: &Value,
        pv: &Value,
    ) -> (Value, bool, Option<Value>) {
        let mut claim = made.clone();
        claim["metadata"]["namespace"] = json!(self.there.namespace);
        claim["metadata"]["annotations"][ANNOTATION] = json!(self.journal.op);
        let Wish { filling, mode, .. } = self.wish;
        let names = (self.journal.op.as_str(), self.journal.set_name());
        let of = (claim, old, pv);
        let Shaped { claim, waits_for_pod, snapshot, findings } =
            volumes::shape(&self.there.offer, filling, *mode, volume, of, names);
        self.findings.extend(findings);
        if let Some(taken) = snapshot.as_ref().map(name)
            && self.find("VolumeSnapshot", taken).is_some()
        {
            let message = format!("snapshot {taken} is there already");
            let finding = rules::NAME_TAKEN.found(format!("VolumeSnapshot/{taken}"), message);
            self.findings.push(finding.hint(format!("kubectl describe volumesnapshot/{taken}")));
        }
        (claim, waits_for_pod, snapshot)
    }

    /// The set, born without pods.
    fn set(&mut self) {
        let taken: Vec<String> = self
            .journal
            .disks
            .iter()
            .filter(|disk| self.find("PersistentVolumeClaim", &disk.new).is_some())
            .map(|disk| disk.new.clone())
            .collect();
        for claim in taken {
            let message = format!("claim {claim} is there already");
            let finding =
                rules::NAME_TAKEN.found(format!("PersistentVolumeClaim/{claim}"), message);
            if !self
                .findings
                .iter()
                .any(|known| known.id == finding.id && known.message.contains(&claim))
            {
                self.findings.push(finding.hint("choose another: --claim VOLUME=TEMPLATE"));
            }
        }
        let (op, namespace) = (self.journal.op.clone(), self.there.namespace.clone());
        let disks = &self.journal.disks;
        let set = &mut self.journal.set;
        set["metadata"]["namespace"] = json!(namespace);
        // Its controller copies annotations to the set's revisions, and there
        // they would stay.
        set["metadata"]["labels"][ANNOTATION] = json!(op);
        set["spec"]["replicas"] = json!(0);
        let templates = set.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
        for template in templates.into_iter().flatten() {
            let of = |disk: &&Disk| disk.template == name(template);
            if let Some(disk) = disks.iter().find(of) {
                self.wish.filling.shape(&mut template["spec"], &disk.volume);
            }
        }
    }

    fn service(&mut self, made: Option<Value>) {
        let Some(mut service) = made else { return };
        service["metadata"]["namespace"] = json!(self.there.namespace);
        service["metadata"]["annotations"][ANNOTATION] = json!(self.journal.op);
        self.journal.service = Some(service);
    }

    fn scalers(&mut self, retargeted: &[(usize, Value)]) {
        for (index, to) in retargeted {
            let Some(from) = self.there.objects.get(*index) else { continue };
            let (kind, pointer) = match kind(from) {
                "HorizontalPodAutoscaler" => (ScalerKind::Hpa, "/spec/scaleTargetRef"),
                "VerticalPodAutoscaler" => (ScalerKind::Vpa, "/spec/targetRef"),
                "ScaledObject" => (ScalerKind::Keda, "/spec/scaleTargetRef"),
                _ => continue,
            };
            let (Some(was), Some(is)) = (from.pointer(pointer), to.pointer(pointer)) else {
                continue;
            };
            self.journal.scalers.push(Scaler {
                kind,
                target: Held { name: name(from).to_owned(), uid: uid(from).to_owned() },
                pointer: pointer.to_owned(),
                from: was.clone(),
                to: is.clone(),
                paused: annotation(from, KEDA_PAUSED).map(str::to_owned),
            });
        }
    }

    fn surroundings(&mut self) {
        for unread in &self.there.unread {
            let message = format!("{} could not be read: {}", unread.resource, unread.why);
            self.findings.push(rules::UNREAD.found(unread.resource.clone(), message));
        }
    }
}

/// Of a volume that is not known nobody knows the policy.
fn policy_of(pv: &Value) -> String {
    let otherwise = if pv.is_null() { "" } else { "Retain" };
    text(pv, "/spec/persistentVolumeReclaimPolicy").unwrap_or(otherwise).to_owned()
}

/// The object as a person would need it to make it again.
fn kept_copy(object: &Value) -> Value {
    let mut copy = object.clone();
    if let Some(metadata) = copy.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    copy
}

fn takes_pods(node: &Value) -> bool {
    let ready = items(node, "/status/conditions").any(|condition| {
        text(condition, "/type") == Some("Ready") && text(condition, "/status") == Some("True")
    });
    ready && node.pointer("/spec/unschedulable") != Some(&Value::Bool(true))
}

/// A term of a node selector; an operator that is not known matches, because a
/// guard must not refuse what it does not understand.
fn matches(node: &Value, term: &Value) -> bool {
    let label = |key: &str| {
        entries(node, "/metadata/labels")
            .find(|(known, _)| *known == key)
            .and_then(|(_, v)| v.as_str())
    };
    let expressions = items(term, "/matchExpressions").all(|wanted| {
        let value = label(text(wanted, "/key").unwrap_or_default());
        let among = |value: &str| items(wanted, "/values").any(|one| one.as_str() == Some(value));
        match text(wanted, "/operator") {
            Some("In") => value.is_some_and(among),
            Some("NotIn") => !value.is_some_and(among),
            Some("Exists") => value.is_some(),
            Some("DoesNotExist") => value.is_none(),
            _ => true,
        }
    });
    let fields = items(term, "/matchFields").all(|wanted| {
        let named = |one: &Value| one.as_str() == Some(name(node));
        text(wanted, "/key") != Some("metadata.name") || items(wanted, "/values").any(named)
    });
    expressions && fields
}
