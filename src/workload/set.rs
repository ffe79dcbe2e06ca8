//! The StatefulSet: its ordinals, its strategy, and the names that follow.

use std::{collections::BTreeMap, ops::Range};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Selector;

/// Where a canary keeps what the pods cannot tell.
pub const CANARY_ANNOTATION: &str = "kubectl-stateful.dev/canary";
/// On what a migration has made or taken in hand; on a set, a label.
pub const MIGRATION_MARK: &str = "kubectl-stateful.dev/migration";

/// An apps/v1 StatefulSet, as far as the commands need it.
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
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The owner that reconciles this object, `kind/name`.
    pub controller: Option<String>,
    pub field_managers: Vec<FieldManager>,
    pub replicas: u32,
    /// `spec.ordinals.start`: the ordinal that index 0 has.
    pub start: u32,
    pub strategy: Strategy,
    /// `spec.updateStrategy` as it was read, to be put back; null where there
    /// is none.
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

/// Who set which of the fields that our commands move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FieldManager {
    pub name: String,
    pub replicas: bool,
    pub partition: bool,
    pub template: bool,
}

/// `spec.updateStrategy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// `partition` is `None` when `rollingUpdate` itself is null: the server
    /// fills the default only where `type` is left out as well.
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

/// What happens to claims when their ordinal or their set goes away.
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
}

/// The pod template, as far as it is judged.
#[derive(Clone, Debug, Default)]
pub struct PodTemplate {
    pub labels: BTreeMap<String, String>,
    pub containers: Vec<Container>,
    /// All of it as it was read, to be compared or put back: a typed round
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
    /// Of any kind, not only one that runs a command.
    pub has_readiness_probe: bool,
}

/// A probe that runs a command; other kinds are not judged.
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

/// What the StatefulSet controller last wrote. Not to be trusted for which pod
/// runs what: after a template revert `currentRevision` equals
/// `updateRevision` while stuck pods still carry the bad hash. Judge by pods.
#[derive(Clone, Debug, Default)]
pub struct SetStatus {
    pub observed_generation: i64,
    pub current_revision: Option<String>,
    pub update_revision: Option<String>,
}

impl PodTemplate {
    /// The number of a port that a container, init or not, names.
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

    /// The ordinal of a pod of this set, from its name. Only the canonical
    /// form counts: the controller never writes `web-01`.
    pub fn ordinal_of(&self, pod_name: &str) -> Option<u32> {
        canonical_ordinal(pod_name.strip_prefix(&self.name)?.strip_prefix('-')?)
    }

    /// How many low ordinals keep the stable revision. The field counts from
    /// `ordinals.start`, it is not an ordinal (kubernetes #128529).
    pub fn partition(&self) -> u32 {
        match self.strategy {
            Strategy::RollingUpdate { partition } => partition.unwrap_or(0),
            Strategy::OnDelete | Strategy::Other(_) => 0,
        }
    }

    /// Whether the controller replaces pods, from the highest ordinal down to a
    /// partition.
    pub fn takes_partition(&self) -> bool {
        matches!(self.strategy, Strategy::RollingUpdate { .. })
    }

    /// The ordinals that a template change reaches by itself.
    pub fn released(&self) -> Range<u32> {
        let ordinals = self.ordinals();
        let first = self.start.saturating_add(self.partition()).min(ordinals.end);
        match self.strategy {
            Strategy::OnDelete => ordinals.end..ordinals.end,
            _ => first..ordinals.end,
        }
    }

    /// Whether the controller has seen the newest spec.
    pub fn is_observed(&self) -> bool {
        self.status.observed_generation >= self.generation
    }

    /// A manifest has no uid: no server has taken it yet.
    pub fn is_live(&self) -> bool {
        !self.uid.is_empty()
    }

    /// Whether a canary of ours is on it, in whatever phase.
    pub fn has_canary(&self) -> bool {
        self.annotations.contains_key(CANARY_ANNOTATION)
    }

    /// `statefulset.apps/web`.
    pub fn reference(&self) -> String {
        format!("statefulset.apps/{}", self.name)
    }
}

/// Reads a decimal without sign or leading zero.
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
