//! Whether there is a way back: the revision that the pods ran before the canary. It
//! has the only exact copy of the template from before; the record has its name alone.
//! Pure.

use super::{
    lines,
    plan::can_be_adopted,
    record::{Phase, Record},
    rules,
};
use crate::workload::{
    Finding, Survey,
    rollout::{State, stable_of},
};

/// That the revision to go back to is gone, as far as it was looked for, and the line
/// that goes on all the same. Without a record: of the rollout that is there.
pub fn lost(survey: &Survey, record: Option<&Record>) -> Option<Finding> {
    let stable = match record {
        Some(record) => record.stable.as_str(),
        None => stable_of(survey)?,
    };
    if !survey.facts.lacks(stable) {
        return None;
    }
    let set = survey.set;
    let shown = if set.last_applied().is_some() {
        let (name, at) = (&set.name, survey.at());
        format!("; what was applied last: kubectl apply view-last-applied sts/{name} {at}")
    } else {
        String::new()
    };
    let message = format!(
        "the ControllerRevision {stable} was deleted, and with it the only exact copy of the template \
         from before: abort cannot go back, and the canary can only go forward. If the manifest \
         from before is applied again (from Git or a backup) and gives the same template, the \
         controller makes that revision again, and abort works{shown}"
    );
    Some(rules::NO_WAY_BACK.found(set.reference(), message).hint(way_on(survey, record)))
}

/// The line that goes on without a way back, and never to where one was.
pub fn way_on(survey: &Survey, record: Option<&Record>) -> String {
    let Some(record) = record else { return lines::adopt(survey, None) };
    let state = State::new(survey.facts, record, survey.now);
    let adopts = match (record.phase, state.interference()) {
        (Phase::Rolling, None) => return lines::promote(survey, record),
        (Phase::Rolling, Some(found)) => can_be_adopted(&state, &found),
        (Phase::Staged, _) => state.has_template_waiting(),
        (Phase::Aborting, _) => false,
    };
    if adopts { lines::adopt(survey, Some(record)) } else { lines::forget(survey) }
}
