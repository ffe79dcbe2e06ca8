//! What a canary remembers between two runs: one small annotation on the set.
//!
//! It holds only what cannot be read from the pods: the revision to go back
//! to, what was ours to change, and who is at it. It is no secret, no lock and
//! no log. The controller copies a set's annotations into every
//! ControllerRevision that it makes, so it stays below one KiB; and because
//! everybody who may annotate the set could write it, no command to run and no
//! address to ask ever stands in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::workload::{StatefulSet, Strategy};

/// The annotation.
pub const ANNOTATION: &str = "kubectl-stateful.dev/canary";

/// The format this program writes, and the newest that it reads.
const FORMAT: u8 = 1;

/// A canary under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    format: u8,
    /// uid of the set: a copy of the annotation on a set that was made again
    /// says nothing about it.
    set: String,
    pub phase: Phase,
    /// The ControllerRevision to go back to.
    pub stable: String,
    /// Fingerprint of the template that the canary brings.
    pub template: String,
    /// `spec.replicas` as it was: a set that is scaled meanwhile is another
    /// plan.
    pub replicas: u32,
    /// How many low ordinals keep the stable revision. Under RollingUpdate the
    /// set's own partition says the same, unless somebody else moved it; under
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
    /// The lowest index whose pod has passed its gates; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<u32>,
    /// Fingerprint of the gates, so that a later step does not go on behind
    /// weaker ones unnoticed.
    pub gates: String,
    pub started: Timestamp,
    /// The run that wrote last. Another one in its place has taken over.
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
    /// On the way back to the stable revision.
    Aborting,
}

/// Why the annotation cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Not JSON of ours, or of a newer version of this program.
    Unreadable(String),
    /// Written for another set of this name.
    OfAnotherSet,
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
            partition: set.replicas,
            was,
            on_delete,
            adopted: false,
            judged: None,
            gates: String::new(),
            started: now,
            run: run.to_owned(),
        }
    }

    /// The same canary, opened for going forward: the ordinals from
    /// `partition` up have left the stable revision.
    #[must_use]
    pub fn opened(mut self, set: &StatefulSet, partition: u32, run: &str) -> Record {
        self.phase = Phase::Rolling;
        self.replicas = set.replicas;
        self.partition = partition;
        self.judged = None;
        run.clone_into(&mut self.run);
        self
    }

    /// The record on a set, where there is one.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub fn of(set: &StatefulSet) -> Result<Option<Record>, Unusable> {
        let Some(text) = set.annotations.get(ANNOTATION) else { return Ok(None) };
        let record: Record =
            serde_json::from_str(text).map_err(|error| Unusable::Unreadable(error.to_string()))?;
        if record.format > FORMAT {
            return Err(Unusable::Unreadable(format!("format {}", record.format)));
        }
        if set.is_live() && record.set != set.uid {
            return Err(Unusable::OfAnotherSet);
        }
        Ok(Some(record))
    }

    /// The annotation's value.
    pub fn text(&self) -> String {
        // Serializing strings and numbers cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the ordinal at this index has been told to move.
    pub fn has_released(&self, index: u32) -> bool {
        index >= self.partition
    }

    /// Whether the ordinal at this index has passed its gates.
    pub fn has_judged(&self, index: u32) -> bool {
        self.judged.is_some_and(|judged| index >= judged)
    }
}
