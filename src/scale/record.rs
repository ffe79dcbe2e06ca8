//! What a scaling remembers between two runs: one small annotation on the set.
//!
//! The pods and the replicas say where it is; this says where it came from,
//! where it goes, and which step has been concluded: hooks after it, snapshots
//! and checks cannot be read from anywhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::workload::StatefulSet;

/// Where it stands.
pub const ANNOTATION: &str = "kubectl-stateful.dev/scale";

/// The format this program writes, and the only one that it reads.
const FORMAT: u8 = 1;

/// A scaling under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    format: u8,
    /// uid of the set: a copy of the annotation on a set that was made again
    /// says nothing about it.
    set: String,
    /// The replicas before the first step.
    pub from: u32,
    /// The replicas in the end.
    pub to: u32,
    /// The replicas that were written last: others mean somebody else.
    pub at: u32,
    /// The replicas up to which everything after the step is done, too.
    pub concluded: u32,
    pub started: Timestamp,
    /// The run that wrote last. Another one in its place has taken over.
    pub run: String,
}

/// Why the annotation cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Not JSON of ours, or of another version of this program.
    Unreadable(String),
    /// Written for another set of this name.
    OfAnotherSet,
}

impl Record {
    /// The record of a scaling that begins now.
    pub fn begin(set: &StatefulSet, to: u32, run: &str, now: Timestamp) -> Record {
        Record {
            format: FORMAT,
            set: set.uid.clone(),
            from: set.replicas,
            to,
            at: set.replicas,
            concluded: set.replicas,
            started: now,
            run: run.to_owned(),
        }
    }

    /// The record on a set, where there is one.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub fn of(set: &StatefulSet) -> Result<Option<Record>, Unusable> {
        let Some(text) = set.annotations.get(ANNOTATION) else { return Ok(None) };
        let record: Record =
            serde_json::from_str(text).map_err(|why| Unusable::Unreadable(why.to_string()))?;
        if record.format != FORMAT {
            let why = format!("format {} is not {FORMAT}", record.format);
            return Err(Unusable::Unreadable(why));
        }
        if record.set == set.uid { Ok(Some(record)) } else { Err(Unusable::OfAnotherSet) }
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn is_down(&self) -> bool {
        self.to < self.from
    }
}
