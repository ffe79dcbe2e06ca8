//! What an abort does, write by write and deletion by deletion, before anybody is
//! asked. Pure.

use super::{
    abort::{self, AbortMove},
    plan::{State, trouble},
    record::Record,
    writes,
};
use crate::{
    cluster::Write,
    output::text::list,
    steps::PodToDelete,
    workload::{Pod, Strategy},
};

/// What an abort does, in this order.
pub struct Outlook {
    /// Puts the template back; none where it is back.
    pub revert: Option<Write>,
    /// The pods that it deletes, as far as that is known.
    pub deletions: Vec<Write>,
    /// Which pods go back, and how.
    pub back: Option<String>,
    /// Restores the strategy and removes the record.
    pub last: Write,
}

/// Why an abort deletes pods, beside each deletion.
pub fn reason(record: &Record) -> &'static str {
    if record.on_delete { "OnDelete" } else { "kubernetes #67250" }
}

/// The write that puts the stable template back; none where its revision is gone.
pub fn revert(state: &State, partition: u32, run: &str) -> Option<Write> {
    let set = state.survey.set;
    let stable = state.survey.facts.revision(&state.record.stable)?;
    let record = abort::reverted(state, partition, run);
    Some(writes::revert(set, &record, &stable.template))
}

/// The whole way back from here.
pub fn of(state: &State, patience: jiff::SignedDuration, run: &str) -> Outlook {
    let (set, record) = (state.survey.set, state.record);
    let (write, after) = match abort::next(state, patience, false) {
        AbortMove::Revert { partition } => {
            (revert(state, partition, run), abort::reverted(state, partition, run))
        }
        _ => (None, record.clone()),
    };
    let stable = record.stable.as_str();
    let moved: Vec<&Pod> = state
        .indexes()
        .rev()
        .filter_map(|(_, slot)| slot.pod)
        .filter(|pod| pod.revision() != Some(stable))
        .collect();
    let names: Vec<&str> = moved.iter().map(|pod| pod.name.as_str()).collect();
    let by_controller = set.takes_partition();
    // One that is broken is never replaced by the controller, the lowest first.
    let never = |pod: &&&Pod| {
        trouble(state, pod).is_some() && !pod.is_ready() && state.survey.is_hopeless(pod, patience)
    };
    let goes = |pod: &&&Pod| !pod.is_terminating();
    let deleted: Vec<&Pod> = if by_controller {
        moved.iter().rev().filter(goes).filter(never).copied().collect()
    } else {
        moved.iter().filter(goes).copied().collect()
    };
    let why = reason(record);
    let deletions = deleted.iter().map(|pod| PodToDelete::of(pod).delete(set, why));
    let how = if by_controller {
        "by the controller; one that never becomes Ready is deleted (kubernetes #67250)"
    } else {
        "by deleting them, each once the one before is back"
    };
    let back = (!names.is_empty()).then(|| format!("{} to {stable}, {how}", list(&names)));
    let mut reverted = set.clone();
    if let Strategy::RollingUpdate { partition } = &mut reverted.strategy {
        *partition = Some(after.partition);
    }
    let last = writes::finish(&reverted, &after);
    Outlook { revert: write, deletions: deletions.collect(), back, last }
}
