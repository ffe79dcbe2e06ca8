//! The StatefulSet: its ordinals, its strategy, and derived names.

use std::{collections::BTreeMap, ops::Range};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Claim, Pod, Selector};

/// The annotation with the record of a canary.
pub const CANARY_ANNOTATION: &str = "kubectl-stateful.dev/canary";
/// Marks objects that a migration has created or changed, as an annotation or a
/// label; on a set it is a label.
pub const MIGRATION_MARK: &str = "kubectl-stateful.dev/migration";
/// A label of the ConfigMap with the journal of a migration.
pub const JOURNAL_LABEL: &str = "kubectl-stateful.dev/journal";
/// On a set: what a scaling of this program keeps between two runs.
pub const SCALE_ANNOTATION: &str = "kubectl-stateful.dev/scale";

/// The fields of an apps/v1 StatefulSet that are used.
#[derive(Clone, Debug)]
pub struct StatefulSet {
    pub namespace: String,
    pub name: String,
    /// Empty for a manifest that no server has seen.
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
    pub created: Option<Timestamp>,
    pub deleting: Option<Timestamp>,
    pub finalizers: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The owner that reconciles this object, `kind/name`.
    pub controller: Option<String>,
    pub field_managers: Vec<FieldManager>,
    pub replicas: u32,
    /// `spec.ordinals.start`: the ordinal of index 0.
    pub start: u32,
    pub strategy: Strategy,
    /// `spec.updateStrategy` as it was read, to be restored; null if there is
    /// none.
    pub strategy_raw: Value,
    /// `rollingUpdate.maxUnavailable`: a number or a percentage, as written.
    pub max_unavailable: Option<String>,
    pub pod_management: PodManagement,
    pub service_name: Option<String>,
    pub selector: Selector,
    pub min_ready_seconds: u32,
    pub when_scaled: Retention,
    pub when_deleted: Retention,
    pub claim_templates: Vec<ClaimTemplate>,
    pub template: PodTemplate,
    pub status: SetStatus,
}

/// How a field manager got its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Operation {
    /// A server-side apply, which may come again.
    Apply,
    Update,
}

/// A field manager, and which of the fields that we change it owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FieldManager {
    pub name: String,
    pub operation: Operation,
    /// When it last changed a field.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub time: Option<Timestamp>,
    pub replicas: bool,
    pub partition: bool,
    pub template: bool,
}

/// `spec.updateStrategy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// `partition` is `None` when `rollingUpdate` is null: the server fills in
    /// the default only if `type` is missing too.
    RollingUpdate {
        partition: Option<u32>,
    },
    OnDelete,
    /// A strategy newer than this program, such as `Recreate` of KEP-3541.
    Other(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum PodManagement {
    OrderedReady,
    Parallel,
}

/// What happens to claims when their ordinal is removed or their set deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Retention {
    Retain,
    Delete,
}

/// One entry of `volumeClaimTemplates`.
#[derive(Clone, Debug)]
pub struct ClaimTemplate {
    pub name: String,
    /// The size that it asks for.
    pub request: Option<String>,
    pub class: Option<String>,
    pub access_modes: Vec<String>,
    pub is_block: bool,
    pub selector: Option<Selector>,
}

impl ClaimTemplate {
    /// What a claim that is made from it asks for.
    pub fn claim(&self) -> Claim {
        Claim {
            request: self.request.clone(),
            class: self.class.clone(),
            access_modes: self.access_modes.clone(),
            is_block: self.is_block,
            selector: self.selector.clone(),
            ..Claim::default()
        }
    }
}

/// The fields of the pod template that are used.
#[derive(Clone, Debug, Default)]
pub struct PodTemplate {
    pub labels: BTreeMap<String, String>,
    pub containers: Vec<Container>,
    /// The template as it was read, to be compared or restored: a typed round
    /// trip would drop fields.
    pub raw: Value,
}

#[derive(Clone, Debug)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub init: bool,
    pub env_names: Vec<String>,
    pub probes: Vec<Probe>,
    /// Of any kind, not only one with a command.
    pub has_readiness_probe: bool,
    /// Whether a readiness or startup probe decides about its readiness.
    pub probed: bool,
}

/// A probe that runs a command; other kinds are not used.
#[derive(Clone, Debug)]
pub struct Probe {
    pub kind: ProbeKind,
    pub command: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    Startup,
    Readiness,
    Liveness,
}

impl ProbeKind {
    pub fn name(self) -> &'static str {
        match self {
            ProbeKind::Startup => "startup",
            ProbeKind::Readiness => "readiness",
            ProbeKind::Liveness => "liveness",
        }
    }
}

/// The status that the StatefulSet controller last wrote. It does not show which
/// pod runs what: after a template is reverted, `currentRevision` equals
/// `updateRevision` while stuck pods still have the bad revision. Use the pods.
#[derive(Clone, Debug, Default)]
pub struct SetStatus {
    pub observed_generation: i64,
    pub current_revision: Option<String>,
    pub update_revision: Option<String>,
}

impl PodTemplate {
    /// The number of a named port, in any container or init container.
    pub fn port(&self, name: &str) -> Option<u16> {
        let containers = |key: &str| self.raw["spec"][key].as_array().into_iter().flatten();
        let mut ports = containers("containers")
            .chain(containers("initContainers"))
            .filter_map(|container| container["ports"].as_array())
            .flatten();
        let port = ports.find(|port| port["name"] == name)?;
        u16::try_from(port["containerPort"].as_u64()?).ok()
    }
}

impl StatefulSet {
    /// The ordinals that should exist.
    pub fn ordinals(&self) -> Range<u32> {
        self.start..self.start.saturating_add(self.replicas)
    }

    pub fn pod_name(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.name)
    }

    pub fn claim_name(&self, template: &ClaimTemplate, ordinal: u32) -> String {
        format!("{}-{}-{ordinal}", template.name, self.name)
    }

    /// The ordinal in the name of a pod. Only the canonical form counts: the
    /// controller never creates `web-01`.
    pub fn ordinal_of(&self, pod_name: &str) -> Option<u32> {
        canonical_ordinal(pod_name.strip_prefix(&self.name)?.strip_prefix('-')?)
    }

    /// How many of the lowest ordinals keep the stable revision. It counts from
    /// `ordinals.start` and is not an ordinal (kubernetes #128529).
    pub fn partition(&self) -> u32 {
        match self.strategy {
            Strategy::RollingUpdate { partition } => partition.unwrap_or(0),
            Strategy::OnDelete | Strategy::Other(_) => 0,
        }
    }

    /// Whether the strategy is RollingUpdate, which replaces pods from the
    /// highest ordinal down to the partition.
    pub fn takes_partition(&self) -> bool {
        matches!(self.strategy, Strategy::RollingUpdate { .. })
    }

    /// The ordinals that the controller updates when the template changes.
    pub fn released(&self) -> Range<u32> {
        let ordinals = self.ordinals();
        let first = self.start.saturating_add(self.partition()).min(ordinals.end);
        match self.strategy {
            Strategy::OnDelete => ordinals.end..ordinals.end,
            _ => first..ordinals.end,
        }
    }

    /// Whether the controller has observed the newest spec.
    pub fn is_observed(&self) -> bool {
        self.status.observed_generation >= self.generation
    }

    /// Whether a pod belongs to it: the labels must match the selector, and it must
    /// not have another controller. The name alone does not count.
    pub fn owns(&self, pod: &Pod) -> bool {
        self.has_made(pod.controller_uid.as_deref(), &pod.labels)
    }

    /// The same, of a pod with this owner that controls it, and these labels.
    pub fn has_made(&self, controller: Option<&str>, labels: &BTreeMap<String, String>) -> bool {
        let ours = controller.is_none_or(|uid| !self.is_live() || uid == self.uid);
        ours && self.selector.matches(labels)
    }

    /// Why the set's own pod of this name cannot be created: a pod that is not of the
    /// set has it, and whose that is. `None` for one of the set.
    pub fn name_taken(&self, pod: &Pod) -> Option<String> {
        if self.owns(pod) {
            return None;
        }
        let whose = match (&pod.controller, &pod.controller_uid) {
            (Some(owner), Some(uid))
                if *uid != self.uid && *owner == format!("StatefulSet/{}", self.name) =>
            {
                "an earlier set of the same name"
            }
            (Some(owner), Some(uid)) if *uid != self.uid => owner,
            _ => "nothing, and its labels are not those of the set's selector",
        };
        Some(format!(
            "{} cannot be created: there is a pod of that name ({}), which belongs to {whose}",
            pod.name,
            pod.state()
        ))
    }

    /// Whether it is from a server; a manifest has no uid.
    pub fn is_live(&self) -> bool {
        !self.uid.is_empty()
    }

    /// The manifest that `kubectl apply` has applied last. The next apply sets
    /// again what it has.
    pub fn last_applied(&self) -> Option<Value> {
        let key = "kubectl.kubernetes.io/last-applied-configuration";
        serde_json::from_str(self.annotations.get(key)?).ok()
    }

    /// The partition that the next `kubectl apply` of that manifest sets.
    pub fn applied_partition(&self) -> Option<u64> {
        let manifest = self.last_applied()?;
        manifest.pointer("/spec/updateStrategy/rollingUpdate/partition")?.as_u64()
    }

    /// Whether it has a canary of ours, in any phase.
    pub fn has_canary(&self) -> bool {
        self.annotations.contains_key(CANARY_ANNOTATION)
    }

    /// Whether its pods have claims of their own: from its claim templates, or
    /// generic ephemeral ones.
    pub fn has_claims(&self) -> bool {
        let volumes = self.template.raw["spec"]["volumes"].as_array();
        let mut ephemeral =
            volumes.into_iter().flatten().filter(|volume| !volume["ephemeral"].is_null());
        !self.claim_templates.is_empty() || ephemeral.next().is_some()
    }

    /// `statefulset.apps/web`.
    pub fn reference(&self) -> String {
        format!("statefulset.apps/{}", self.name)
    }
}

/// Parses a decimal number without sign or leading zero.
pub fn canonical_ordinal(digits: &str) -> Option<u32> {
    let canonical = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if canonical { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let raw = serde_json::json!({"spec": {
            "containers": [{"name": "a"}, {"name": "b", "ports": [
                {"containerPort": 80}, {"name": "admin", "containerPort": 8081},
            ]}],
            "initContainers": [{"ports": [{"name": "side", "containerPort": 9000}]}],
        }});
        let template = PodTemplate { raw, ..PodTemplate::default() };
        assert_eq!(template.port("admin"), Some(8081));
        assert_eq!(template.port("side"), Some(9000));
        assert_eq!(template.port("web"), None);
        assert_eq!(PodTemplate::default().port("web"), None);
    }

    #[test]
    fn only_canonical_decimals_are_ordinals() {
        assert_eq!(canonical_ordinal("0"), Some(0));
        assert_eq!(canonical_ordinal("10"), Some(10));
        for wrong in ["", "01", "-1", "+1", "1a", "99999999999"] {
            assert_eq!(canonical_ordinal(wrong), None, "{wrong}");
        }
    }
}
