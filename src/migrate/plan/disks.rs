//! The disks of a plan: each claim with its volume and the claim that follows it,
//! and what speaks against moving them. Pure.

use serde_json::{Value, json};

use super::{Planner, Request, backup_of};
use crate::{
    handover::BOUND_BY_CONTROLLER,
    migrate::{
        convert,
        journal::{ANNOTATION, Disk, Held},
        rules,
        volumes::{self, NewClaim},
    },
    workload::{
        LEGACY_CLASS, Severity, Unread, bytes, node_matches,
        raw::{
            annotation, entries, is_leaving, items, kind, kind_and_name, name, phase, text, uid,
        },
    },
};

impl Planner<'_> {
    pub(super) fn disks(&mut self, view: &convert::SetView, claims: &[Value]) {
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
                self.report_manifest(&old);
                self.volume_in_manifest(&old)
            } else {
                let Some(pv) = self.volume_of(&old) else { continue };
                self.check_users(&old);
                self.check_resize(&old);
                self.check_disk(&old, &pv);
                pv
            };
            let (claim, waits_for_pod, snapshot) = if self.request.mode.fills() {
                self.claim_for_new_volume(&view.volume, new, &old, &pv)
            } else {
                (self.new_claim(new, &old, &pv), false, None)
            };
            let disk = Disk {
                volume: view.volume.clone(),
                template,
                old: Held::of(&old),
                new: view.claim_then.clone(),
                claim,
                waits_for_pod,
                snapshot,
                pv: Held::of(&pv),
                policy: policy_of(&pv),
                bound_by_controller: annotation(&pv, BOUND_BY_CONTROLLER).is_some(),
                object: backup_of(&old),
                blank: None,
            };
            self.journal.disks.push(disk);
        }
    }

    /// The object does not come from a server: what only a server knows cannot be
    /// checked.
    pub(super) fn report_manifest(&mut self, object: &Value) {
        let on = kind_and_name(object);
        let message = format!("{on} is a manifest: pods, volumes and binding could not be checked");
        self.findings.push(rules::NOT_LIVE.found(on.clone(), message));
        let why = "it is a manifest, not an object from a server".to_owned();
        self.unread.push(Unread { resource: on, why });
    }

    /// The volume that a manifest asks for, if it names one.
    fn volume_in_manifest(&self, claim: &Value) -> Value {
        let called = text(claim, "/spec/volumeName").unwrap_or_default();
        self.surroundings.volumes.get(called).cloned().unwrap_or_default()
    }

    /// The volume of a claim, with findings if they do not belong to each other.
    fn volume_of(&mut self, claim: &Value) -> Option<Value> {
        let on = kind_and_name(claim);
        let called = text(claim, "/spec/volumeName").unwrap_or_default();
        let mut unfit = |message: String| {
            self.findings.push(rules::VOLUME_UNFIT.found(on.clone(), message));
        };
        let Some(pv) = self.surroundings.volumes.get(called) else {
            if self.surroundings.volumes_forbidden && !called.is_empty() {
                self.findings.push(rules::no_right("get persistentvolumes"));
                return None;
            }
            unfit(match called {
                "" => format!("claim {} names no volume", name(claim)),
                _ => format!("claim {} names volume {called}, which was not found", name(claim)),
            });
            return None;
        };
        let holder = text(pv, "/spec/claimRef/uid").unwrap_or("nobody");
        if holder != uid(claim) {
            unfit(format!("volume {called} is reserved for {holder}, not for {}", uid(claim)));
        }
        if phase(pv) != "Bound" {
            unfit(format!("volume {called} is {}, not Bound", phase(pv)));
        }
        if is_leaving(pv) {
            unfit(format!("volume {called} is being deleted"));
        }
        self.findings.extend(volumes::in_hand(pv, &self.surroundings.flags));
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
        let Some(checks) = affinity.and_then(Value::as_array) else { return };
        if let Some(unread) = &self.surroundings.nodes_unread {
            // That is no reason to stop: the volume is used on a node already.
            let message = format!(
                "{} can only be used on certain nodes, and nodes could not be read: {}",
                name(pv),
                unread.why
            );
            self.findings.push(rules::UNREAD.found(on, message).at(Severity::Warning));
            return;
        }
        if self.surroundings.nodes.is_empty() {
            return;
        }
        let fits = |node: &&Value| {
            accepts_pods(node) && checks.iter().any(|term| node_matches(node, term))
        };
        if !self.surroundings.nodes.iter().any(|node| fits(&node)) {
            let message = format!(
                "{} of claim {} can only be used on certain nodes, and none of them accepts pods",
                name(pv),
                name(claim)
            );
            self.findings.push(rules::NODE_UNFIT.found(on, message));
        }
    }

    /// Pods that use the claim and do not belong to one of the Deployments.
    fn check_users(&mut self, claim: &Value) {
        let own: Vec<&str> = self
            .surroundings
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
        for pod in &self.surroundings.pods {
            let uses = pod.claims.iter().any(|one| one == name(claim));
            let ours = pod.controller_uid.as_deref().is_some_and(|owner| own.contains(&owner));
            if uses && !ours && !pod.is_finished() {
                let message = format!("pod {} uses claim {}", pod.name, name(claim));
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
            let message = format!("claim {} is being resized: {why}", name(claim));
            self.findings.push(rules::PVC_RESIZING.found(kind_and_name(claim), message));
        }
    }

    /// The new claim, for exactly this volume: because it names the volume, no
    /// provisioner creates an empty one for it.
    fn new_claim(&self, made: &Value, old: &Value, pv: &Value) -> Value {
        let mut claim = made.clone();
        claim["metadata"]["namespace"] = json!(self.surroundings.namespace);
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
        // A larger request would make the resizer grow the volume.
        let has = text(pv, "/spec/capacity/storage");
        let wants = text(old, "/spec/resources/requests/storage");
        if let (Some(has), Some(wants)) = (has, wants)
            && bytes(has).zip(bytes(wants)).is_some_and(|(has, wants)| has < wants)
        {
            spec["resources"]["requests"]["storage"] = json!(has);
        }
        claim
    }

    /// The new claim for a new volume, whether it waits for a pod, and the
    /// snapshot that it is restored from.
    fn claim_for_new_volume(
        &mut self,
        volume: &str,
        made: &Value,
        old: &Value,
        pv: &Value,
    ) -> (Value, bool, Option<Value>) {
        let mut claim = made.clone();
        claim["metadata"]["namespace"] = json!(self.surroundings.namespace);
        claim["metadata"]["annotations"][ANNOTATION] = json!(self.journal.op);
        let Request { new_volumes, mode, .. } = self.request;
        let names = (self.journal.op.as_str(), self.journal.set_name());
        let of = (claim, old, pv);
        let NewClaim { claim, waits_for_pod, snapshot, findings } =
            volumes::new_claim(&self.surroundings.storage, new_volumes, *mode, volume, of, names);
        self.findings.extend(findings);
        if let Some(taken) = snapshot.as_ref().map(name)
            && self.find("VolumeSnapshot", taken).is_some()
        {
            let message = format!("snapshot {taken} already exists");
            let finding = rules::NAME_TAKEN.found(format!("VolumeSnapshot/{taken}"), message);
            let hint = format!(
                "kubectl describe volumesnapshot/{taken} -n {}{}",
                self.surroundings.namespace, self.surroundings.flags
            );
            self.findings.push(finding.hint(hint));
        }
        (claim, waits_for_pod, snapshot)
    }
}

/// The policy of a volume; empty if the volume is not known.
fn policy_of(pv: &Value) -> String {
    let otherwise = if pv.is_null() { "" } else { "Retain" };
    text(pv, "/spec/persistentVolumeReclaimPolicy").unwrap_or(otherwise).to_owned()
}

fn accepts_pods(node: &Value) -> bool {
    let ready = items(node, "/status/conditions").any(|condition| {
        text(condition, "/type") == Some("Ready") && text(condition, "/status") == Some("True")
    });
    ready && node.pointer("/spec/unschedulable") != Some(&Value::Bool(true))
}
