//! The plan of a migration: the objects and the request in, the journal and the
//! findings out. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

mod disks;

use super::{
    convert::{self, Class, Conversion, Options, Outcome, Produced},
    journal::{
        ANNOTATION, Disk, Held, Journal, KEDA_PAUSED, Mode, Order, Scaler, ScalerKind,
        SourceDeployment, Wishes,
    },
    makers, rules, verify,
    volumes::{ClusterStorage, NewVolumes},
};
use crate::{
    output::{Error, Exit, text::count},
    workload::{
        self, Finding, Pod, Severity, Unread, contains_all,
        raw::{
            annotation, generation, is_deployment, kind, kind_and_name, labels, name, replicas, uid,
        },
    },
};

/// The objects before a migration.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub namespace: String,
    /// Objects that may refer to the Deployment or its claims, with kind and
    /// apiVersion.
    pub objects: Vec<Value>,
    pub pods: Vec<Pod>,
    pub volumes: BTreeMap<String, Value>,
    pub nodes: Vec<Value>,
    /// Why the nodes could not be read, if that is so.
    pub nodes_unread: Option<Unread>,
    pub storage: ClusterStorage,
    /// Whether volumes may not be read.
    pub volumes_forbidden: bool,
    pub unread: Vec<Unread>,
    /// The flags of the connection, for lines to paste.
    pub flags: String,
}

/// The migration that was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub options: Options,
    pub mode: Mode,
    pub order: Order,
    pub new_volumes: NewVolumes,
    pub wishes: Wishes,
}

impl Request {
    /// The Deployments that become the set.
    pub fn deployments(&self) -> &[String] {
        let Options { from, deployments, .. } = &self.options;
        if from.is_empty() { deployments } else { from }
    }
}

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    pub journal: Journal,
    pub view: convert::SetView,
    /// The Services of the namespace that select the new pods.
    pub services: Vec<Value>,
    pub findings: Vec<Finding>,
    /// What could not be read or checked.
    pub unread: Vec<Unread>,
}

/// Makes the plan.
///
/// # Errors
/// When the request names something that does not exist, or the conversion
/// refuses: then there is nothing to plan with.
pub fn plan(
    surroundings: &Surroundings,
    request: &Request,
    op: &str,
    now: Timestamp,
) -> Result<Plan, Error> {
    let mut options = request.options.clone();
    options.mode = request.mode.of_claims();
    options.copies = request.mode.fills();
    options.namespace = Some(surroundings.namespace.clone());
    options.flags.clone_from(&surroundings.flags);
    let conversion = convert::convert(&surroundings.objects, &options)?;
    let refused = |findings: Vec<Finding>| {
        missing_unread(&findings, surroundings).unwrap_or_else(|| refused(findings))
    };
    let Some(view) = conversion.sets.first().cloned() else {
        return Err(refused(conversion.findings));
    };
    let made = Products::of(&conversion);
    let Some(set) = made.set else { return Err(refused(conversion.findings)) };
    let mut plan = Planner {
        surroundings,
        request,
        journal: Journal::begin(op.to_owned(), surroundings.namespace.clone(), set, now),
        findings: conversion.findings.into_iter().filter(applies_live).collect(),
        unread: surroundings.unread.clone(),
    };
    plan.members(&view);
    plan.disks(&view, &made.claims);
    request.new_volumes.check_sizes(&plan.journal.disks)?;
    plan.set();
    plan.service(made.service);
    plan.scalers(&made.retargeted);
    plan.unread();
    plan.findings.extend(makers::checklist(&plan.journal, None, makers::Moment::Planned));
    plan.findings.extend(verify::findings(&plan.journal));
    let services = services(surroundings, &plan.journal.set);
    let (mut findings, unread) = (plan.findings, plan.unread);
    findings.iter_mut().for_each(raise_severity);
    request.options.allow.weigh(&mut findings);
    let mut findings = without_duplicates(findings);
    // Lists come in any order; the hash of a plan must not depend on it.
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
    Ok(Plan { journal, view, services, findings, unread })
}

/// The Services that select the pods of the set, in the order of their names.
fn services(surroundings: &Surroundings, set: &Value) -> Vec<Value> {
    let pods = labels(set, "/spec/template/metadata/labels");
    let selects = |object: &&Value| {
        let selector = labels(object, "/spec/selector");
        kind(object) == "Service" && !selector.is_empty() && contains_all(&pods, &selector)
    };
    let mut found: Vec<Value> = surroundings.objects.iter().filter(selects).cloned().collect();
    found.sort_by(|one, other| name(one).cmp(name(other)));
    found
}

/// Several pods with a copy of one claim give the same finding.
fn without_duplicates(findings: Vec<Finding>) -> Vec<Finding> {
    let mut all = Vec::new();
    for finding in findings {
        if !all.contains(&finding) {
            all.push(finding);
        }
    }
    all
}

/// Whether a finding of the conversion applies to a live application. Those that
/// do not are about what the migration itself takes care of.
fn applies_live(finding: &Finding) -> bool {
    let of_manifests = [&rules::BINDING, &rules::PVC_FIRST, &rules::SERVER_SET];
    !of_manifests.iter().any(|rule| rule.id == finding.id)
}

/// What is a warning for a manifest refuses a live migration.
fn raise_severity(finding: &mut Finding) {
    let live = [&rules::GITOPS, &rules::AUTOSCALER];
    if live.iter().any(|rule| rule.id == finding.id) {
        finding.severity = Severity::Error;
    }
}

fn refused(findings: Vec<Finding>) -> Error {
    let wrong: Vec<Finding> =
        findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    let message = format!("{} refused; nothing was changed", count(wrong.len(), "guard"));
    let mut error = Error::new(Exit::Refused, message);
    for finding in &wrong {
        error = error.caused_by(format!("{} {}", finding.id, finding.message));
    }
    if let Some(hint) = wrong.iter().find_map(|finding| finding.hint.clone()) {
        error = error.hint(hint);
    }
    error.because(wrong)
}

/// Checks that the Deployments exist.
///
/// # Errors
/// When one does not; with the message of kubectl.
pub fn check_deployments_exist(
    surroundings: &Surroundings,
    options: &Options,
) -> Result<(), Error> {
    let known = |wanted: &str| {
        surroundings.objects.iter().any(|object| is_deployment(object) && name(object) == wanted)
    };
    let unread = surroundings.unread.iter().find(|unread| unread.resource == "deployments.apps");
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

/// The hash of a plan. The same hash means that the same is done.
pub(super) fn digest(journal: &Journal, findings: &[Finding]) -> String {
    let mut lasting = journal.clone();
    lasting.op.clear();
    lasting.plan.clear();
    lasting.started = Timestamp::UNIX_EPOCH;
    // A hint has the flags of the connection in it, and a plan is the same over
    // every connection.
    let findings: Vec<Finding> =
        findings.iter().cloned().map(|finding| Finding { hint: None, ..finding }).collect();
    let mut value = json!({ "journal": lasting, "findings": findings });
    remove_volatile(&mut value, &journal.op);
    workload::digest(&value, 8)
}

/// Removes the fields that change without any change of what is done.
fn remove_volatile(value: &mut Value, op: &str) {
    match value {
        Value::Object(fields) => {
            for key in ["resourceVersion", "managedFields", "status"] {
                fields.shift_remove(key);
            }
            fields.values_mut().for_each(|field| remove_volatile(field, op));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| remove_volatile(item, op)),
        Value::String(text) if text == op => text.clear(),
        _ => {}
    }
}

/// The objects that a conversion has produced, by kind.
#[derive(Default)]
struct Products {
    set: Option<Value>,
    service: Option<Value>,
    claims: Vec<Value>,
    /// Positions in the input, and the new objects.
    retargeted: Vec<(usize, Value)>,
}

impl Products {
    fn of(conversion: &Conversion) -> Products {
        let mut products = Products::default();
        for (index, outcome) in conversion.outcomes.iter().enumerate() {
            let Outcome::Replaced(all) = outcome else { continue };
            for Produced { class, body, .. } in all {
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

/// A claim is not missing where claims could not be read.
fn missing_unread(findings: &[Finding], surroundings: &Surroundings) -> Option<Error> {
    findings.iter().find(|finding| finding.id == rules::PVC_MISSING.id)?;
    let mut unread = surroundings.unread.iter();
    let unread = unread.find(|unread| unread.resource == "persistentvolumeclaims")?;
    Some(Error::with_headline(
        Exit::Error,
        format!("Error from server (Forbidden): {}", unread.why),
    ))
}

struct Planner<'a> {
    surroundings: &'a Surroundings,
    request: &'a Request,
    journal: Journal,
    findings: Vec<Finding>,
    unread: Vec<Unread>,
}

impl Planner<'_> {
    fn find(&self, wanted: &str, called: &str) -> Option<&Value> {
        let all = self.surroundings.objects.iter();
        all.clone().find(|object| kind(object) == wanted && name(object) == called)
    }

    fn members(&mut self, view: &convert::SetView) {
        self.journal.mode = self.request.mode;
        self.journal.order = self.request.order;
        self.journal.copying.clone_from(&self.request.new_volumes.copying);
        self.journal.wishes.clone_from(&self.request.wishes);
        for called in &view.deployments {
            let found = self.surroundings.objects.iter();
            let found = found.clone().find(|one| is_deployment(one) && name(one) == called);
            let Some(found) = found else { continue };
            self.journal.deployments.push(SourceDeployment {
                name: called.clone(),
                uid: uid(found).to_owned(),
                generation: generation(found),
                replicas: replicas(found),
                object: backup_of(found),
                makers: convert::makers(found),
            });
            if uid(found).is_empty() {
                self.report_manifest(found);
                continue;
            }
            let available = found.pointer("/status/availableReplicas").and_then(Value::as_u64);
            let available = available.unwrap_or_default();
            if available < u64::from(replicas(found)) {
                let message = format!("{available} of {} pods are available", replicas(found));
                self.findings.push(rules::UNHEALTHY.found(kind_and_name(found), message).hint(
                    format!(
                        "kubectl describe deployment/{called} -n {}{}",
                        self.surroundings.namespace, self.surroundings.flags
                    ),
                ));
            }
        }
        let asked = self.request.options.replicas;
        let one_each = view.deployments.len() > 1;
        let own = self.journal.deployments.iter().map(|member| member.replicas);
        self.journal.replicas = asked.unwrap_or_else(|| {
            if one_each { own.map(|count| count.min(1)).sum() } else { own.sum() }
        });
    }

    /// The set as it is created: with our mark, and without pods.
    fn set(&mut self) {
        let taken: Vec<String> = self
            .journal
            .disks
            .iter()
            .filter(|disk| self.find("PersistentVolumeClaim", &disk.new).is_some())
            .map(|disk| disk.new.clone())
            .collect();
        for claim in taken {
            let message = format!("claim {claim} already exists");
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
        let (op, namespace) = (self.journal.op.clone(), self.surroundings.namespace.clone());
        let disks = &self.journal.disks;
        let set = &mut self.journal.set;
        set["metadata"]["namespace"] = json!(namespace);
        // A label, because the controller copies annotations to the revisions of
        // the set, where they would stay.
        set["metadata"]["labels"][ANNOTATION] = json!(op);
        set["spec"]["replicas"] = json!(0);
        let templates = set.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
        for template in templates.into_iter().flatten() {
            let of = |disk: &&Disk| disk.template == name(template);
            if let Some(disk) = disks.iter().find(of) {
                self.request.new_volumes.apply_to(&mut template["spec"], &disk.volume);
            }
        }
    }

    fn service(&mut self, made: Option<Value>) {
        let Some(mut service) = made else { return };
        service["metadata"]["namespace"] = json!(self.surroundings.namespace);
        service["metadata"]["annotations"][ANNOTATION] = json!(self.journal.op);
        self.journal.service = Some(service);
    }

    fn scalers(&mut self, retargeted: &[(usize, Value)]) {
        for (index, to) in retargeted {
            let Some(from) = self.surroundings.objects.get(*index) else { continue };
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

    /// A finding for each kind that could not be read.
    fn unread(&mut self) {
        for unread in &self.surroundings.unread {
            let message = format!("{} could not be read: {}", unread.resource, unread.why);
            self.findings.push(rules::UNREAD.found(unread.resource.clone(), message));
        }
    }
}

/// The object as a person would need it to recreate it.
fn backup_of(object: &Value) -> Value {
    let mut copy = object.clone();
    if let Some(metadata) = copy.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    copy
}
