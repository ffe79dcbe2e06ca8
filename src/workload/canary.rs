//! What a canary keeps between two runs: one small annotation on the set.
//!
//! It stands here because `status` reads it, too: a set under a canary is not
//! one whose rollout somebody has forgotten.
//!
//! It holds only what cannot be read from the pods: the revision to go back to,
//! the partition from before, and the run that wrote last. The controller copies
//! a set's annotations into every ControllerRevision, so it stays below one KiB.
//! Everybody who may annotate the set could write it, so it never holds a command
//! to run or an address to ask.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::CANARY_ANNOTATION as ANNOTATION;
use super::{Pod, StatefulSet, Strategy, Unusable, digest, record_of};

/// The format this program writes, and the newest that it reads.
const FORMAT: u8 = 1;

/// A canary under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    format: u8,
    /// uid of the set: a set that was recreated with the annotation has no
    /// canary.
    set: String,
    pub phase: Phase,
    /// The ControllerRevision to go back to.
    pub stable: String,
    /// Fingerprint of the template that the canary brings.
    pub template: String,
    /// `spec.replicas` at the start: a canary stops when the set is scaled.
    pub replicas: u32,
    /// `spec.ordinals.start` at the start, which indexes and partition count from; none
    /// in a record of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// How many low ordinals keep the stable revision. Under RollingUpdate the
    /// set's own partition is the same, unless somebody else changed it; under
    /// OnDelete this is the only place.
    pub partition: u32,
    /// The partition from before; none where `rollingUpdate` was null, and
    /// under OnDelete.
    pub was: Option<u32>,
    pub on_delete: bool,
    /// Whether the template was applied by somebody else, who may apply it
    /// again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// The pods that have passed their gates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<Passed>,
    /// The guards that were overridden at the start, by id. Whoever goes on has to
    /// override them again, and is told so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Fingerprint of the gates that the canary was started with; empty before
    /// the first.
    pub gates: String,
    pub started: Timestamp,
    /// The run that wrote last. A run that finds another one here stops.
    pub run: String,
}

/// Where a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The partition holds everything back; a template may be applied.
    Staged,
    /// Some ordinals run the new template.
    Rolling,
    /// Pods go back to the stable revision.
    Aborting,
}

impl Record {
    /// The record of a canary that begins now, before the first ordinal.
    pub fn begin(set: &StatefulSet, stable: &str, run: &str, now: Timestamp) -> Record {
        let (was, on_delete) = match set.strategy {
            Strategy::RollingUpdate { partition } => (partition, false),
            Strategy::OnDelete | Strategy::Other(_) => (None, true),
        };
        Record {
            format: FORMAT,
            set: set.uid.clone(),
            phase: Phase::Rolling,
            stable: stable.to_owned(),
            template: String::new(),
            replicas: set.replicas,
            first: Some(set.start),
            partition: set.replicas,
            was,
            on_delete,
            adopted: false,
            passed: Vec::new(),
            allowed: Vec::new(),
            gates: String::new(),
            started: now,
            run: run.to_owned(),
        }
    }

    /// The same canary going forward: the ordinals from `partition` up have left
    /// the stable revision.
    #[must_use]
    pub fn rolling(mut self, set: &StatefulSet, partition: u32, run: &str) -> Record {
        self.phase = Phase::Rolling;
        self.replicas = set.replicas;
        self.first = Some(set.start);
        self.partition = partition;
        self.passed.clear();
        run.clone_into(&mut self.run);
        self
    }

    /// The record on a set, where there is one.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub fn of(set: &StatefulSet) -> Result<Option<Record>, Unusable> {
        record_of(set, ANNOTATION, FORMAT)
    }

    /// What another run, which has written this record, has done with the canary
    /// that was last seen like `before`.
    pub fn taken_over(&self, before: Option<&Record>) -> String {
        let did = match (self.phase, before) {
            (Phase::Staged, _) => "has held this set for another template",
            (Phase::Aborting, _) => "is aborting this canary",
            (Phase::Rolling, Some(before)) => {
                // A pause holds what has not moved yet, and changes nothing else.
                let held = self.partition >= before.partition;
                let same =
                    Record { run: self.run.clone(), partition: self.partition, ..before.clone() };
                if held && *self == same {
                    "has paused this canary"
                } else {
                    "has continued this canary"
                }
            }
            (Phase::Rolling, None) => "has written to this canary",
        };
        format!("{} {did}", self.run)
    }

    /// The annotation's value.
    pub fn text(&self) -> String {
        // Serializing strings and numbers cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the partition has released the ordinal at this index.
    pub fn has_released(&self, index: u32) -> bool {
        index >= self.partition
    }
}

/// A pod that has passed its gates. The judgement belongs to that pod, and to no
/// other one of its name, and not after another restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Passed {
    pub index: u32,
    /// The beginning of a hash of the uid: the annotation is to stay small.
    pod: String,
    restarts: u32,
}

impl Passed {
    /// `restarts`: as many as it had when it was judged.
    pub fn new(index: u32, uid: &str, restarts: u32) -> Passed {
        Passed { index, pod: digest(&Value::from(uid), 8), restarts }
    }

    pub fn of(index: u32, pod: &Pod) -> Passed {
        Passed::new(index, &pod.uid, pod.restarts())
    }
}

impl From<Passed> for String {
    fn from(Passed { index, pod, restarts }: Passed) -> String {
        format!("{index}.{pod}.{restarts}")
    }
}

impl TryFrom<String> for Passed {
    type Error = String;

    fn try_from(text: String) -> Result<Passed, String> {
        let parse = || {
            let mut parts = text.splitn(3, '.');
            let index = parts.next()?.parse().ok()?;
            let pod = parts.next()?.to_owned();
            Some(Passed { index, pod, restarts: parts.next()?.parse().ok()? })
        };
        parse().ok_or_else(|| format!("{text:?} names no pod that has passed"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_judgement_is_of_one_pod_and_its_restarts() {
        let passed = Passed::new(2, "uid-1", 0);
        let text = serde_json::to_value(&passed).expect("a string");
        assert_eq!(serde_json::from_value::<Passed>(text).expect("the same"), passed);
        for other in
            [Passed::new(2, "uid-2", 0), Passed::new(2, "uid-1", 1), Passed::new(1, "uid-1", 0)]
        {
            assert_ne!(passed, other);
        }
        for bad in [json!("2"), json!("a.b.0"), json!("2.b"), json!(2)] {
            assert!(serde_json::from_value::<Passed>(bad.clone()).is_err(), "{bad}");
        }
    }
}
