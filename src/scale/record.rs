//! What a scaling keeps between two runs: one small annotation on the set.
//!
//! Pods and replicas show where it is. The record has where it began, where it
//! goes, and which step is concluded, because nothing else shows whether hooks,
//! snapshots and checks after a step are done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::workload::{StatefulSet, Unusable, record_of};

/// The annotation that holds the record.
pub use crate::workload::SCALE_ANNOTATION as ANNOTATION;

/// The format this program writes, and the newest that it reads.
const FORMAT: u8 = 1;

/// A scaling under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    format: u8,
    /// uid of the set: a set that was recreated with the annotation has no
    /// scaling.
    set: String,
    /// The replicas before the first step.
    pub from: u32,
    /// The replicas in the end.
    pub to: u32,
    /// The replicas that were written last. Any other number was set by somebody
    /// else.
    pub at: u32,
    /// The replicas up to which hooks and checks after the step are done, too.
    pub concluded: u32,
    pub started: Timestamp,
    /// The run that wrote last. A run that finds another one here stops.
    pub run: String,
    /// Whether it goes back to where an earlier scaling began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aborts: bool,
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
            aborts: false,
        }
    }

    /// The record of going back from here to where this scaling began.
    #[must_use]
    pub fn abort(&self) -> Record {
        if self.aborts {
            return self.clone();
        }
        let (from, to) = (self.at, self.from);
        Record { from, to, concluded: from, aborts: true, ..self.clone() }
    }

    /// The record on a set, where there is one.
    ///
    /// # Errors
    /// When there is one that cannot be used.
    pub fn of(set: &StatefulSet) -> Result<Option<Record>, Unusable> {
        record_of(set, ANNOTATION, FORMAT)
    }

    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// `from 3 to 2`, or that it goes back.
    pub fn words(&self) -> String {
        let Record { from, to, .. } = self;
        match (self.aborts, from == to) {
            (false, _) => format!("from {from} to {to}"),
            (true, false) => format!("back from {from} to {to}"),
            (true, true) => format!("back to {to}"),
        }
    }

    pub fn is_down(&self) -> bool {
        self.to < self.from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaling_that_goes_back_is_not_called_one_from_two_to_two() {
        let text = r#"{"format":1,"set":"u","from":2,"to":3,"at":2,"concluded":2,
                       "started":"2026-01-01T00:00:00Z","run":"me"}"#;
        let record: Record = serde_json::from_str(text).expect("a record");
        assert_eq!(record.words(), "from 2 to 3");
        assert_eq!(record.abort().words(), "back to 2");
        let further = Record { at: 3, ..record };
        assert_eq!(further.abort().words(), "back from 3 to 2");
    }
}
