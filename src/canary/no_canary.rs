//! A set on which no canary is: what helps where its pods do not all run the
//! revision of the template. Pure.

use super::{
    abort,
    guards::{self, StartKind},
    lines, rules,
};
use crate::workload::{Finding, Severity, Strategy, Survey};

/// The line that helps.
pub fn way_on(survey: &Survey) -> String {
    if let Some(line) = guards::undone(survey).and_then(|undone| undone.hint) {
        return line;
    }
    if survey.trapped(abort::PATIENCE).is_none() && is_held(survey) && is_adoptable(survey) {
        return lines::adopt(survey, None);
    }
    look_or_unstick(survey)
}

/// The same, for a set that nobody is asked to take over.
pub fn look_or_unstick(survey: &Survey) -> String {
    if survey.trapped(abort::PATIENCE).is_some() {
        return lines::unstick(survey);
    }
    format!("kubectl stateful status {} {}", survey.set.name, survey.at())
}

/// Whether no guard refuses to make a canary of the rollout that is there, but the one
/// that the line overrides.
pub fn is_adoptable(survey: &Survey) -> bool {
    let refuses = |finding: &Finding| {
        finding.severity == Severity::Error && finding.id != rules::NO_WAY_BACK.id
    };
    !guards::check(survey, None, StartKind::Adopt).iter().any(refuses)
}

/// Whether pods stay on another revision until somebody lets them go.
fn is_held(survey: &Survey) -> bool {
    let set = survey.set;
    let holds = |index: u32| match set.strategy {
        Strategy::RollingUpdate { .. } => index < set.partition(),
        Strategy::OnDelete => true,
        Strategy::Other(_) => false,
    };
    let update = set.status.update_revision.as_deref();
    let pods = survey.indexes().filter_map(|(index, slot)| Some((index, slot.pod?)));
    pods.into_iter().any(|(index, pod)| holds(index) && pod.revision() != update)
}
