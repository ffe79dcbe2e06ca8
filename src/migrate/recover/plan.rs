//! The plan of a recovery: the volumes that were named are looked at before
//! anything is stopped. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{candidates::modes, ordinal, start};
use crate::{
    handover::{Original, claim_for, disk, is_bound},
    migrate::{
        journal::{ANNOTATION, Blank, Disk, Held, Journal, Order},
        plan::digest,
        rules, volumes,
    },
    output::{Error, text::list},
    workload::{
        Allowed, Finding, Pod, Severity, bytes,
        raw::{
            annotation, is_leaving, items, kind_and_name, name, phase, policy, replicas, text, uid,
        },
    },
};

/// The recovery that was asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The volumes to put back, each with its template if there are several.
    pub volumes: Vec<(Option<String>, String)>,
    pub ordinal: u32,
    /// Guards that are overridden.
    pub allow: Allowed,
}

/// The objects before a recovery.
#[derive(Clone, Debug, Default)]
pub struct Before {
    pub set: Value,
    /// Claims of the namespace, by name.
    pub claims: BTreeMap<String, Value>,
    /// The volumes that were named, and those of the ordinal's claims; all of
    /// them, if none was named.
    pub volumes: BTreeMap<String, Value>,
    /// Every volume, to find those that are the same disk; `None` if they may not
    /// be listed.
    pub all_volumes: Option<Vec<Value>>,
    /// Claims of other namespaces that have the name of the last claim of a
    /// volume, by volume.
    pub namesakes: BTreeMap<String, Value>,
    /// Pods, by namespace: of the set, and of the last claims of the volumes.
    /// None if they may not be listed.
    pub pods: BTreeMap<String, Option<Vec<Pod>>>,
    /// Nodes, by the volume that is attached to them; `None` if attachments may
    /// not be read.
    pub attachments: Option<BTreeMap<String, String>>,
    /// The flags of the connection, for lines to paste.
    pub flags: String,
}

/// The claim that a volume is reserved for, or was bound to last.
pub struct LastClaim<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    /// Empty if no claim of that name has taken the volume yet.
    uid: &'a str,
}

impl<'a> LastClaim<'a> {
    pub fn of(volume: &'a Value) -> Option<LastClaim<'a>> {
        let word = |pointer: &str| text(volume, pointer).unwrap_or_default();
        Some(LastClaim {
            namespace: word("/spec/claimRef/namespace"),
            name: text(volume, "/spec/claimRef/name")?,
            uid: word("/spec/claimRef/uid"),
        })
    }

    /// The name, with the namespace if that is another one than `here`.
    pub fn text(&self, here: &str) -> String {
        if self.namespace == here {
            return self.name.to_owned();
        }
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Makes the plan.
///
/// # Errors
/// When the request names something that does not exist.
pub fn plan(
    before: &Before,
    request: &Request,
    op: &str,
    now: Timestamp,
) -> Result<(Journal, Vec<Finding>), Error> {
    let set = &before.set;
    let namespace = text(set, "/metadata/namespace").unwrap_or_default().to_owned();
    let mut journal = Journal::begin(op.to_owned(), namespace, identity(set), now);
    journal.replicas = replicas(set);
    journal.order = Order::StopFirst;
    let index = u64::from(request.ordinal).checked_sub(start(set));
    let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else {
        let first = start(set);
        return Err(Error::usage(format!("the first ordinal of {} is {first}", name(set)))
            .hint(format!("--ordinal {first}")));
    };
    journal.down_to = index;
    let mut planner = Planner { before, request, journal, findings: Vec::new() };
    let templates: Vec<&str> = items(set, "/spec/volumeClaimTemplates").map(name).collect();
    for (template, pv) in &request.volumes {
        let template = match (template, templates.as_slice()) {
            (Some(asked), known) if known.contains(&asked.as_str()) => asked.as_str(),
            (None, [one]) => one,
            (_, []) => {
                return Err(Error::usage(format!("{} has no volumeClaimTemplates", name(set))));
            }
            (_, known) => {
                return Err(Error::usage(format!("which template is {pv} for?"))
                    .hint(format!("--pv TEMPLATE={pv}; there are: {}", known.join(", "))));
            }
        };
        if planner.journal.disks.iter().any(|disk| disk.template == template) {
            return Err(Error::usage(format!("--pv names two volumes for template {template}")));
        }
        if planner.journal.disks.iter().any(|disk| disk.pv.name == *pv) {
            return Err(Error::usage(format!("--pv names volume {pv} twice")));
        }
        let Some(volume) = before.volumes.get(pv) else {
            let message = format!("persistentvolumes \"{pv}\" not found");
            return Err(Error::with_headline(
                crate::output::Exit::Error,
                format!("Error from server (NotFound): {message}"),
            ));
        };
        planner.disk(template, volume);
    }
    planner.set(index);
    let Planner { mut journal, mut findings, .. } = planner;
    request.allow.weigh(&mut findings);
    findings.sort_by_key(|finding| finding.severity);
    journal.plan = digest(&journal, &findings);
    Ok((journal, findings))
}

/// Whether each claim has its volume already, and nothing of a move is left on
/// them: then there is nothing to put back.
pub fn is_done(before: &Before, journal: &Journal) -> bool {
    !journal.disks.is_empty()
        && journal.disks.iter().all(|disk| {
            let volume = before.volumes.get(&disk.pv.name);
            let claim = before.claims.get(&disk.new);
            volume.zip(claim).is_some_and(|(volume, claim)| {
                is_bound(volume, claim)
                    && annotation(volume, ANNOTATION).is_none()
                    && annotation(claim, ANNOTATION).is_none()
                    && !is_leaving(volume)
                    && !is_leaving(claim)
            })
        })
}

/// The set as the journal has it: only its identity.
fn identity(set: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": name(set), "namespace": text(set, "/metadata/namespace"), "uid": uid(set) },
        "spec": { "serviceName": text(set, "/spec/serviceName") },
    })
}

struct Planner<'a> {
    before: &'a Before,
    request: &'a Request,
    journal: Journal,
    findings: Vec<Finding>,
}

impl Planner<'_> {
    fn disk(&mut self, template: &str, volume: &Value) {
        let set = &self.before.set;
        let claim_name = format!("{template}-{}-{}", name(set), self.request.ordinal);
        let old = self.before.claims.get(&claim_name);
        let blank = old
            .and_then(|claim| text(claim, "/spec/volumeName"))
            .and_then(|blank| self.before.volumes.get(blank));
        let of_set = items(set, "/spec/volumeClaimTemplates").find(|one| name(one) == template);
        self.check_state(&claim_name, volume, blank);
        self.check_owner(&claim_name, volume);
        self.check_fit(template, of_set.unwrap_or(&Value::Null), volume);
        self.check_use(volume);
        self.check_disk(volume);
        let policy = |pv: &Value| Original::now(pv).policy().to_owned();
        let disk = Disk {
            volume: template.to_owned(),
            template: template.to_owned(),
            old: old
                .map_or_else(|| Held { name: claim_name.clone(), uid: String::new() }, Held::of),
            new: claim_name.clone(),
            claim: self.claim(old, of_set, &claim_name, volume),
            pv: Held::of(volume),
            policy: policy(volume),
            bound_by_controller: false,
            object: old.cloned().unwrap_or_default(),
            waits_for_pod: false,
            snapshot: None,
            blank: blank.map(|pv| Blank { pv: Held::of(pv), policy: policy(pv) }),
        };
        self.journal.disks.push(disk);
    }

    /// Whether the volume can be had at all.
    fn check_state(&mut self, claim: &str, volume: &Value, blank: Option<&Value>) {
        let on = format!("persistentvolume/{}", name(volume));
        let here = self.journal.namespace.clone();
        let mut unfit = |message: String| {
            self.findings.push(rules::VOLUME_UNFIT.found(on.clone(), message));
        };
        if blank.is_some_and(|blank| uid(blank) == uid(volume)) {
            unfit(format!("claim {claim} already has volume {}", name(volume)));
        } else if !matches!(phase(volume), "Released" | "Available" | "Failed") {
            let holder = LastClaim::of(volume).map(|last| last.text(&here));
            unfit(format!(
                "volume {} is {}, not Released or Available (claim {})",
                name(volume),
                phase(volume),
                holder.as_deref().unwrap_or("<none>")
            ));
        }
        if is_leaving(volume) {
            unfit(format!("volume {} is being deleted", name(volume)));
        }
        let both = [Some(volume), blank].into_iter().flatten();
        self.findings.extend(both.filter_map(|pv| volumes::in_hand(pv, &self.before.flags)));
        if let Some(blank) = blank {
            let message = format!(
                "what {} has written to {} stays there and is not merged",
                self.journal.set_name(),
                name(blank)
            );
            let on = format!("persistentvolume/{}", name(blank));
            self.findings.push(rules::BLANK_IS_KEPT.found(on, message));
        }
    }

    /// Whether the data can be that of this ordinal.
    fn check_owner(&mut self, claim: &str, volume: &Value) {
        // One that is bound cannot be had, whoever has it.
        let last = LastClaim::of(volume).filter(|_| phase(volume) != "Bound");
        let Some(last) = last else { return };
        let here = &self.journal.namespace;
        if last.namespace == here && last.name == claim {
            return;
        }
        let of_another = items(&self.before.set, "/spec/volumeClaimTemplates").find_map(|one| {
            ordinal(last.name, &format!("{}-{}", name(one), name(&self.before.set)))
        });
        let now = self.before.claims.get(last.name);
        let why = if last.namespace != here {
            format!("belongs to claim {} of namespace {}", last.name, last.namespace)
        } else if last.uid.is_empty() {
            format!("is reserved for claim {}, which has not taken it yet", last.name)
        } else if let Some(other) = of_another {
            format!("belongs to claim {}, which is the claim of ordinal {other}", last.name)
        } else if let Some(now) = now {
            let other = text(now, "/spec/volumeName").unwrap_or("<none>");
            format!("belonged to claim {}, which exists again, with volume {other}", last.name)
        } else {
            return;
        };
        let on = format!("persistentvolume/{}", name(volume));
        let message = format!("volume {} {why}", name(volume));
        self.findings.push(rules::VOLUME_FOREIGN.found(on, message));
    }

    /// Whether the volume is as the set's template wants it.
    fn check_fit(&mut self, template: &str, of_set: &Value, volume: &Value) {
        let on = format!("persistentvolume/{}", name(volume));
        let called = name(volume);
        let mode =
            |object: &Value| text(object, "/spec/volumeMode").unwrap_or("Filesystem").to_owned();
        let (has, wants) = (mode(volume), mode(of_set));
        if has != wants {
            let message = format!(
                "volume {called} has volumeMode {has}, and template {template} asks for {wants}"
            );
            self.findings.push(rules::VOLUME_UNFIT.found(on.clone(), message));
        }
        let mut doubtful = |message: String| {
            self.findings.push(rules::VOLUME_DOUBTFUL.found(on.clone(), message));
        };
        let has = text(volume, "/spec/capacity/storage").unwrap_or_default();
        let wants = text(of_set, "/spec/resources/requests/storage").unwrap_or_default();
        if bytes(has).zip(bytes(wants)).is_some_and(|(has, wants)| has < wants) {
            doubtful(format!(
                "volume {called} has {has}, and template {template} asks for {wants}"
            ));
        }
        let has = modes(volume);
        let missing: Vec<&str> = items(of_set, "/spec/accessModes")
            .filter_map(Value::as_str)
            .filter(|wanted| !has.iter().any(|mode| mode == wanted))
            .collect();
        if !missing.is_empty() {
            doubtful(format!(
                "volume {called} has access mode {}, and template {template} asks for {}",
                list(&has),
                list(&missing)
            ));
        }
        if phase(volume) == "Failed" {
            let why = text(volume, "/status/message").unwrap_or("the server gives no reason");
            doubtful(format!("volume {called} is Failed; part of its data may be gone: {why}"));
        }
    }

    /// Whether something still writes to the volume. Its last claim may be gone
    /// and a pod that mounts it may still run, if somebody has removed the
    /// finalizers of the claim.
    fn check_use(&mut self, volume: &Value) {
        let on = format!("persistentvolume/{}", name(volume));
        let called = name(volume);
        let Before { pods, claims, namesakes, attachments, set, .. } = self.before;
        let mut stopped_anyway = false;
        if let Some(last) = LastClaim::of(volume) {
            let here = last.namespace == self.journal.namespace;
            let now = if here { claims.get(last.name) } else { namesakes.get(called) };
            let Some(Some(pods)) = pods.get(last.namespace) else {
                let message = format!(
                    "pods in namespace {} could not be read: one of them may use volume {called}",
                    last.namespace
                );
                self.findings.push(rules::UNREAD.found("pods", message));
                return;
            };
            for pod in pods.iter().filter(|pod| mounts(pod, last.name, now)) {
                // Those that are stopped before the volume is taken.
                let of_set = pod.controller_uid.as_deref() == Some(uid(set));
                let goes = |ordinal: u32| ordinal >= self.request.ordinal;
                if here && of_set && ordinal(&pod.name, name(set)).is_some_and(goes) {
                    stopped_anyway = true;
                    continue;
                }
                let message = format!(
                    "pod {} runs and mounts claim {}, whose volume {called} was",
                    pod.name, last.name
                );
                self.findings
                    .push(rules::VOLUME_IN_USE.found(format!("pod/{}", pod.name), message));
            }
        }
        match attachments {
            _ if !is_attachable(volume) || stopped_anyway => {}
            Some(attached) => {
                if let Some(node) = attached.get(called) {
                    let message = format!(
                        "volume {called} is attached to {node}: something there may use it"
                    );
                    self.findings.push(rules::VOLUME_IN_USE.found(on, message));
                }
            }
            None => {
                let message = format!(
                    "volumeattachments could not be read: volume {called} may be in use on a node"
                );
                let on = "volumeattachments.storage.k8s.io";
                self.findings.push(rules::UNREAD.found(on, message));
            }
        }
    }

    /// Whether another volume is the same disk: after a static re-import, say.
    fn check_disk(&mut self, volume: &Value) {
        let called = name(volume);
        let Some(disk) = disk::of(volume) else { return };
        let Some(all) = &self.before.all_volumes else {
            let message = format!(
                "persistentvolumes could not be listed: another one may be the same disk as \
                 {called}"
            );
            self.findings.push(rules::UNREAD.found("persistentvolumes", message));
            return;
        };
        let twins = all
            .iter()
            .filter(|other| name(other) != called && disk::of(other).as_ref() == Some(&disk));
        for twin in twins {
            let other = name(twin);
            let here = &self.journal.namespace;
            let (whose, severity) = match LastClaim::of(twin) {
                Some(last) if phase(twin) == "Bound" => {
                    (format!("which claim {} uses", last.text(here)), Severity::Error)
                }
                Some(last) => {
                    let state = phase(twin);
                    (format!("which is {state}, of claim {}", last.text(here)), Severity::Warning)
                }
                None => (format!("which is {}", phase(twin)), Severity::Warning),
            };
            let goes = if policy(twin) == "Delete" {
                ": its policy is Delete, and deleting it deletes this data"
            } else {
                ""
            };
            let message =
                format!("volume {called} is the same disk as volume {other}, {whose}{goes}");
            let finding = rules::SAME_DISK.found(format!("persistentvolume/{other}"), message);
            self.findings.push(finding.at(severity));
        }
    }

    fn set(&mut self, index: u32) {
        let set = &self.before.set;
        let on = kind_and_name(set);
        let typed = format!("-n {}{}", self.journal.namespace, self.before.flags);
        let goes = text(set, "/spec/persistentVolumeClaimRetentionPolicy/whenScaled");
        if goes == Some("Delete") {
            let message =
                format!("{} deletes claims when it is scaled down (whenScaled)", name(set));
            self.findings.push(rules::CLAIMS_GO.found(on.clone(), message).hint(format!(
                "kubectl patch sts {} {typed} -p \
                 '{{\"spec\":{{\"persistentVolumeClaimRetentionPolicy\":\
                 {{\"whenScaled\":\"Retain\"}}}}}}'",
                name(set),
            )));
        }
        if self.journal.replicas <= index {
            let (ordinal, replicas) = (self.request.ordinal, self.journal.replicas);
            let message = format!(
                "{} has {replicas} replicas and no ordinal {ordinal}: no pod runs on the volume \
                 until it is scaled up",
                name(set)
            );
            self.findings.push(rules::NO_SUCH_ORDINAL.found(on, message).hint(format!(
                "kubectl stateful scale {} --replicas {} {typed}",
                name(set),
                index.saturating_add(1)
            )));
        }
    }

    /// The claim under the name that the set looks for, for exactly this volume.
    fn claim(
        &self,
        old: Option<&Value>,
        of_set: Option<&Value>,
        claim_name: &str,
        volume: &Value,
    ) -> Value {
        let labels = old
            .and_then(|old| old.pointer("/metadata/labels"))
            .or_else(|| self.before.set.pointer("/spec/selector/matchLabels"));
        let modes =
            volume.pointer("/spec/accessModes").or_else(|| of_set?.pointer("/spec/accessModes"));
        let mut metadata = json!({
            "name": claim_name, "namespace": self.journal.namespace,
            "annotations": { ANNOTATION: self.journal.op },
        });
        if let Some(labels) = labels {
            metadata["labels"] = labels.clone();
        }
        claim_for(volume, &metadata, modes.unwrap_or(&Value::Null))
    }
}

/// Whether a pod mounts the claim that the volume had. `now` is the claim of
/// that name: a pod that came after it mounts that one.
fn mounts(pod: &Pod, claim: &str, now: Option<&Value>) -> bool {
    let names = pod.claims.iter().any(|one| one == claim) && !pod.is_finished();
    let made = now.and_then(|now| text(now, "/metadata/creationTimestamp")?.parse().ok());
    let later =
        pod.created.zip(made).is_some_and(|(pod, claim): (Timestamp, Timestamp)| pod >= claim);
    names && !later
}

/// Whether a volume is attached to the node that uses it.
fn is_attachable(volume: &Value) -> bool {
    !["hostPath", "local", "nfs"]
        .iter()
        .any(|kind| volume.pointer(&format!("/spec/{kind}")).is_some())
}
