//! What an earlier run has begun and not finished. Pure.

use super::{plan::Terms, record::Record};
use crate::workload::StatefulSet;

/// What is left of the scaling that is noted on the set (`found`), one line for
/// each thing; `record` is the note with which this scaling goes on.
pub fn of_record(
    set: &StatefulSet,
    found: Option<&Record>,
    record: Option<&Record>,
    terms: &Terms,
) -> Vec<String> {
    let mut rest = Vec::new();
    let Some(found) = found else { return rest };
    let Some(record) = record else {
        return vec![format!(
            "the note of a scaling {}, which somebody else has ended, is removed from {}",
            found.words(),
            set.name
        )];
    };
    let names = |from: u32, to: u32| {
        let names = (from..to).rev().map(|index| set.pod_name(set.start.saturating_add(index)));
        names.collect::<Vec<_>>().join(", ")
    };
    let (low, high) = (record.concluded.min(record.at), record.concluded.max(record.at));
    let last = names(low, high);
    if !last.is_empty() {
        let what = if record.is_down() { "gone" } else { "available" };
        rest.push(format!("{last} to be {what}"));
        if record.is_down() && terms.snapshots {
            rest.push(format!("a snapshot of each claim of {last}"));
        }
        if terms.after {
            rest.push(format!("the hooks and checks after {last}"));
        }
    }
    rest.push(format!("the note of the scaling {} is removed from {}", found.words(), set.name));
    rest
}
