//! Pods that a partition holds back, but does not keep.

use crate::{
    output::text::list,
    workload::{Slot, Survey},
};

/// Says which pods this partition does not keep, although it holds them back:
/// below it the controller makes every pod of `status.currentRevision`, and that
/// is the template's own where a set was deleted without its pods and applied
/// again, or where the revision from before is gone.
pub fn not_kept(survey: &Survey, partition: u32) -> Option<String> {
    let (set, status) = (survey.set, &survey.set.status);
    let update = status.update_revision.as_deref()?;
    if !survey.pods_known
        || !set.is_observed()
        || !set.takes_partition()
        || status.current_revision.as_deref() != Some(update)
    {
        return None;
    }
    let others = |slot: &Slot| {
        slot.pod.is_some_and(|pod| pod.revision().is_some_and(|revision| revision != update))
    };
    let held = survey.indexes().filter(|(index, slot)| *index < partition && others(slot));
    let held: Vec<&str> = held.map(|(_, slot)| slot.name.as_str()).collect();
    let (comes, are) = match held.as_slice() {
        [] => return None,
        [_] => ("comes", "it is"),
        _ => ("come", "they are"),
    };
    Some(format!(
        "{} {comes} back on {update} if {are} recreated, because the controller takes {update} for \
         the current revision",
        list(&held)
    ))
}
